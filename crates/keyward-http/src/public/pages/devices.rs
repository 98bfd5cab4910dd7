//! The page of signed-in devices, and the two forms on it that end sessions.
//! It shows what `GET /sessions` and `whoami` show, and does what `DELETE /sessions…` does.
//! Its forms pass the outer CSRF layer before they come here.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Path};
use axum::response::Response;
use axum::routing::{get, post};
use http::StatusCode;
use keyward_model::{Problem, SessionId};
use keyward_pages::{Ended, SessionList};
use keyward_selfservice::outcome::LoginOutcome;
use keyward_selfservice::stories::sessions::{self, Page};
use keyward_services::session::session_json;
use serde_json::Value;

use super::{context, draw, page_url};
use crate::answer::{Kind, Step};
use crate::body;
use crate::caller::{Call, Caller};
use crate::public::{Called, visit};
use crate::reply::Reply;

const PAGE: &str = "/ui/sessions";
/// The button of each device names its session in the field `session`.
const END_ONE: &str = "/ui/sessions/end";
/// More devices than this are not listed on one page.
const MOST: Page = Page { offset: 0, limit: 250 };

pub(super) fn routes() -> Router {
    Router::new()
        .route(PAGE, get(show))
        .route(END_ONE, post(end_chosen))
        .route("/ui/sessions/{id}/end", post(end_one))
        .route("/ui/sessions/end-others", post(end_others))
}

async fn show(Extension(caller): Called) -> Result<Response, Response> {
    let call = visit(caller).await?;
    let Some(active) = &call.visit.session else { return Ok(to_login(call).await) };
    let app = call.caller.app();
    let others = match sessions::list(app, &call.visit, MOST).await {
        Ok((sessions, _)) => sessions.iter().filter_map(|json| serde_json::from_str(json).ok()).collect::<Vec<Value>>(),
        Err(problem) => return Ok(refuse(call, problem).await),
    };
    let own = session_json(&active.session, true, Some(&active.wire_json), app.public_base());
    let current: Value = serde_json::from_str(&own).unwrap_or_default();
    let query = &call.caller.query;
    let ended = match query.get("ended") {
        Some("one") => Some(Ended::One(query.get("device").unwrap_or_default())),
        Some("others") => Some(Ended::Others),
        Some("gone") => Some(Ended::Gone),
        _ => None,
    };
    let list = SessionList {
        current: &current,
        others: &others,
        csrf_token: &call.visit.csrf_token,
        end_one: &page_url(&call.caller, END_ONE, &[]),
        end_others: &page_url(&call.caller, "/ui/sessions/end-others", &[]),
        ended,
    };
    let page = keyward_pages::sessions(&list, &context::of(&call));
    draw(call, StatusCode::OK, page).await
}

async fn end_chosen(Extension(caller): Called, request_body: Body) -> Result<Response, Response> {
    let bytes = match body::read(&caller, request_body).await {
        Ok(bytes) => bytes,
        Err(problem) => return Err(caller.refuse(problem).await),
    };
    let form = body::parse(caller.header("content-type").unwrap_or_default(), &bytes).ok();
    let id = form.as_ref().and_then(|form| form.text("session")).unwrap_or_default().into_owned();
    end(caller, id).await
}

async fn end_one(Extension(caller): Called, Path(id): Path<String>) -> Result<Response, Response> {
    end(caller, id).await
}

async fn end(caller: Arc<Caller>, id: String) -> Result<Response, Response> {
    let call = visit(caller).await?;
    if call.visit.session.is_none() {
        return Ok(to_login(call).await);
    }
    let device = match device_of(&call, &id).await {
        Ok(device) => device,
        Err(problem) => return Ok(refuse(call, problem).await),
    };
    match sessions::revoke(call.caller.app(), &call.visit, SessionId::parse(&id)).await {
        Ok(()) => match device {
            Some(device) => Ok(back(call, &[("ended", "one"), ("device", &device)]).await),
            None => Ok(back(call, &[("ended", "gone")]).await),
        },
        Err(problem) => Ok(refuse(call, problem).await),
    }
}

async fn end_others(Extension(caller): Called) -> Result<Response, Response> {
    let call = visit(caller).await?;
    if call.visit.session.is_none() {
        return Ok(to_login(call).await);
    }
    match sessions::revoke_others(call.caller.app(), &call.visit).await {
        Ok(_) => Ok(back(call, &[("ended", "others")]).await),
        Err(problem) => Ok(refuse(call, problem).await),
    }
}

/// The user agent of a session that is still there, for the notice afterwards.
async fn device_of(call: &Call, id: &str) -> Result<Option<String>, Problem> {
    let (sessions, _) = sessions::list(call.caller.app(), &call.visit, MOST).await?;
    let found = sessions.iter().filter_map(|json| serde_json::from_str::<Value>(json).ok()).find(|session| session["id"] == *id);
    Ok(found.map(|session| session["devices"][0]["user_agent"].as_str().unwrap_or_default().to_owned()))
}

async fn back(call: Call, query: &[(&str, &str)]) -> Response {
    let location = page_url(&call.caller, PAGE, query);
    call.send(Reply::redirect(StatusCode::SEE_OTHER, location)).await
}

async fn to_login(call: Call) -> Response {
    let here = page_url(&call.caller, PAGE, &[]);
    // Our own pages are always allowed to be returned to only below /self-service; others need the list.
    let allowed = call.caller.app().config.selfservice.return_urls.resolve(Some(&here)).is_ok();
    let query: &[(&str, &str)] = if allowed { &[("return_to", &here)] } else { &[] };
    let location = call.caller.site().addresses.init(Kind::Login, query);
    call.send(Reply::redirect(StatusCode::SEE_OTHER, location)).await
}

/// Refusals are told as at the start of a flow: a second factor is led to, everything else has its error page.
async fn refuse(call: Call, problem: Problem) -> Response {
    call.answer(Kind::Login, Step::Init, Err::<LoginOutcome, _>(problem)).await
}
