//! Signing out: a link for browsers, a call for apps (contract: login 12).
//! `http` tells it for `/self-service/logout…`.
//! Stores nothing for the link: its token is derived from the session, so only that session's browser can use it.

use keyward_model::{Problem, Secret};
use keyward_services::audit::{Event, EventKind};
use keyward_services::tokens::{self, SessionToken};
use keyward_services::{App, storage_problem};
use keyward_store::Batch;

use super::return_to;
use crate::visit::Visit;

/// Where to sign out.
#[derive(Debug)]
pub struct LogoutLink {
    /// The whole link, token included.
    pub url: Secret<String>,
    /// The token alone.
    pub token: Secret<String>,
}

/// Prepares the link.
///
/// # Errors
/// Without a session, or for a `return_to` that is not allowed.
pub fn prepare(app: &App, visit: &Visit, target: Option<&str>) -> Result<LogoutLink, Problem> {
    let active = visit.session.as_ref().ok_or(Problem::SessionInactive)?;
    return_to(app, target)?;
    let token = tokens::logout_token(&app.keys, active.session.id);
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("token", token.reveal());
    if let Some(target) = target.filter(|text| !text.is_empty()) {
        query.append_pair("return_to", target);
    }
    let url = format!("{}/self-service/logout?{}", app.public_base(), query.finish());
    Ok(LogoutLink { url: url.into(), token })
}

/// Signs out and says where a browser goes.
///
/// # Errors
/// Without a token or session, or when they do not belong together.
pub async fn finish(app: &App, visit: &Visit, token: Option<&str>, target: Option<&str>) -> Result<String, Problem> {
    let token = token.filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| Problem::BadRequest { reason: "The parameter token is missing.".to_owned() })?;
    let active = visit.session.as_ref().ok_or(Problem::SessionInactive)?;
    if !tokens::is_logout_token(&app.keys, active.session.id, token) {
        return Err(Problem::Forbidden { reason: "The token belongs to another session.".to_owned() });
    }
    let location = return_to(app, target)?;
    let mut batch = Batch::new();
    batch.revoke_session(active.session.identity_id, active.session.id, visit.now);
    let event = Event::done(EventKind::LoggedOut).identity(active.session.identity_id).session(active.session.id);
    event.write(app, &visit.client, visit.now, &mut batch);
    app.store.commit(batch).await.map_err(storage_problem)?;
    Ok(location.unwrap_or_else(|| app.config.selfservice.flows.logout.default_browser_return_url.clone()))
}

/// Signs out an app by its session token. Doing it again changes nothing and is no error.
///
/// # Errors
/// For a token that no session ever had.
pub async fn native(app: &App, visit: &Visit, session_token: &str) -> Result<(), Problem> {
    let unknown = || Problem::Forbidden { reason: "There is no session with this token.".to_owned() };
    let token = SessionToken::parse(session_token).ok_or_else(unknown)?;
    let row = app.store.find_session(&token.digest()).await.map_err(storage_problem)?.ok_or_else(unknown)?;
    if !row.session.active {
        return Ok(());
    }
    let mut batch = Batch::new();
    batch.revoke_session(row.session.identity_id, row.session.id, visit.now);
    let event = Event::done(EventKind::LoggedOut).identity(row.session.identity_id).session(row.session.id);
    event.write(app, &visit.client, visit.now, &mut batch);
    app.store.commit(batch).await.map_err(storage_problem)
}
