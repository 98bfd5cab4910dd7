//! The stories: what happens in each self-service flow, from the first page to the last redirect.
//! `http` tells them with values and gets an outcome or a problem back.
//! What several stories share stands here: making a flow, replacing an expired one, and where a browser goes afterwards.

pub mod exchange;
mod linking;
pub mod login;
pub mod logout;
mod mailed;
mod pending_traits;
mod previous_addresses;
pub mod provider;
pub mod recovery;
pub mod registration;
pub mod sessions;
pub mod settings;
pub mod verification;
mod verification_after;

use keyward_model::{
    ContinueWith, Flow, FlowType, Form, IdentitySnapshot, Kind, Memory, Message, Node, Owner, Problem, Session, Span, Time, Ui,
    upsert,
};
use keyward_services::audit::{Client, Event, EventKind};
use keyward_services::schema::IdentitySchema;
use keyward_services::{App, flow_rows, storage_problem};
use keyward_store::{Batch, Refusal as Guarded, StoreError};
use url::{Position, Url};

pub(crate) use exchange::is_begun;
pub(crate) use linking::{PendingLink, owner_of};

use crate::visit::Visit;

/// A flow at its beginning.
fn new_flow<K: Kind>(
    app: &App,
    visit: &Visit,
    flow_type: FlowType,
    request_url: &str,
    lifespan: Span,
    state: K::State,
    extra: K::Extra,
) -> Flow<K> {
    let owner = Owner { identity_id: visit.identity_id(), session_id: visit.session.as_ref().map(|active| active.session.id) };
    Flow {
        id: app.random().id(),
        flow_type,
        state,
        issued_at: visit.now,
        expires_at: visit.now + lifespan,
        request_url: request_url.to_owned(),
        form: Form::default(),
        memory: Memory::default(),
        extra,
        owner,
        version: 1,
    }
}

/// Stores a replacement for an expired flow and says where it is. It keeps the old `request_url`, and with it `return_to`.
async fn replace_expired<K: Kind>(app: &App, mut replacement: Flow<K>, expired: &Flow<K>) -> Problem {
    replacement.form.say(Message::expired(K::EXPIRED, expired.expires_at));
    let mut batch = Batch::new();
    flow_rows::insert(app, &replacement, &mut batch);
    match app.store.commit(batch).await {
        Ok(()) => {
            Problem::FlowExpired { replacement: replacement.id, flow_type: expired.flow_type, expired_at: expired.expires_at }
        }
        Err(error) => storage_problem(error),
    }
}

/// How often a refused form is stored anew when another submit of the same flow was faster.
const FORM_ATTEMPTS: u32 = 3;

/// Stores what a refused form shows, together with `batch`. What another submit of the flow did in the meantime stays; when
/// there is no end of them, this form is only shown, and `batch` is written alone.
async fn store_form<K: Kind>(app: &App, flow: &mut Flow<K>, batch: Batch) -> Result<(), Problem> {
    for _ in 0..FORM_ATTEMPTS {
        let mut whole = batch.clone();
        flow_rows::update(app, flow, &mut whole);
        match app.store.commit(whole).await {
            Err(StoreError::Refused(Guarded::VersionConflict)) => {
                let stored = flow_rows::find::<K>(app, flow.id).await.map_err(storage_problem)?;
                let stored = stored.ok_or(Problem::FlowNotFound)?;
                (flow.version, flow.state, flow.memory) = (stored.version, stored.state, stored.memory);
            }
            outcome => return outcome.map_err(storage_problem),
        }
    }
    app.store.commit(batch).await.map_err(storage_problem)
}

/// The address of a request as the public knows it, whatever host it was sent to.
fn public_url(app: &App, request_url: &str) -> String {
    match Url::parse(request_url) {
        Ok(url) => format!("{}{}", app.public_base(), &url[Position::BeforePath..]),
        Err(_) => app.public_base().to_owned(),
    }
}

/// Where a browser goes when nothing else says so.
fn default_location(app: &App) -> String {
    app.config.selfservice.default_browser_return_url.to_string()
}

/// The schema that a person signs in or up with: the one they chose, or the default.
pub(crate) fn entry_schema<'a>(app: &'a App, chosen: Option<&str>) -> Option<&'a IdentitySchema> {
    match chosen {
        Some(id) => app.schemas.get(id).map(|entry| &entry.schema),
        None => Some(&app.schemas.default_schema().schema),
    }
}

/// The schema of an account that exists.
///
/// # Errors
/// When the operator took it out of the configuration.
fn schema_of<'a>(app: &'a App, identity: &IdentitySnapshot) -> Result<&'a IdentitySchema, Problem> {
    let identity = &identity.identity;
    app.schemas.get(&identity.schema_id).map(|entry| &entry.schema).ok_or_else(|| {
        tracing::error!(identity.id = %identity.id, schema = identity.schema_id, "The identity's schema is not configured");
        Problem::Internal
    })
}

/// Whether a person may choose this schema themself.
fn is_selectable(app: &App, id: &str) -> bool {
    let default = app.schemas.default_schema().schema.id() == id;
    default || app.schemas.get(id).is_some_and(|entry| entry.selfservice_selectable)
}

/// The most characters of a refused return address that are told.
const LONGEST_SHOWN: usize = 512;

/// Checks an explicit `return_to`; `None` when none was given.
fn return_to(app: &App, candidate: Option<&str>) -> Result<Option<String>, Problem> {
    let urls = &app.config.selfservice.return_urls;
    urls.resolve(candidate).map_err(|_| {
        let return_to = candidate.unwrap_or_default().chars().take(LONGEST_SHOWN).collect::<String>();
        // Never the query: it may hold tokens.
        let asked = return_to.split(['?', '#']).next().unwrap_or_default();
        tracing::info!(return_to = asked, allowed = ?urls.entries(), "A return address is not allowed by selfservice.allowed_return_urls");
        // The list is the operator's: it is told where they try things out, and in the log.
        let allowed = if app.config.dev { urls.entries().to_vec() } else { Vec::new() };
        Problem::ReturnToForbidden { return_to, allowed }
    })
}

/// The built `ui` of a flow: freshly made nodes, then what the flow remembers, then order and language.
fn ui<K: Kind>(app: &App, visit: &Visit, flow: &Flow<K>, nodes: Vec<Node>, sort: impl FnOnce(&mut [Node])) -> Ui {
    let mut nodes = upsert(nodes);
    nodes.push(Node::csrf(if flow.flow_type == FlowType::Browser { &visit.csrf_token } else { "" }));
    flow.form.lay_over(&mut nodes);
    sort(&mut nodes);
    Ui {
        action: format!("{}/self-service/{}?flow={}", app.public_base(), K::NAME, flow.id),
        method: "POST",
        nodes: nodes.into_iter().map(|node| node.in_language(visit.lang)).collect(),
        messages: flow.form.messages.iter().map(|message| message.clone().in_language(visit.lang)).collect(),
    }
}

/// Whether a browser flow is read by the browser that opened it (contract: login 6.4).
fn same_browser(flow_type: FlowType, opened_by: Option<&str>, visit: &Visit) -> Result<(), Problem> {
    let is_one_of_them = |opened_by| visit.browsers.iter().any(|browser| browser == opened_by);
    if flow_type == FlowType::Api || opened_by.is_some_and(is_one_of_them) {
        return Ok(());
    }
    Err(Problem::Csrf(if visit.browsers.is_empty() {
        keyward_model::CsrfFailure::NoCsrfCookie
    } else {
        keyward_model::CsrfFailure::Mismatch
    }))
}

/// What a browser flow tells its client at the end; API clients get nothing.
fn redirect(flow_type: FlowType, location: &str) -> Vec<ContinueWith> {
    match flow_type {
        FlowType::Browser => vec![ContinueWith::RedirectBrowserTo { redirect_browser_to: location.to_owned() }],
        FlowType::Api => Vec::new(),
    }
}

/// A refusal that is worth remembering but has no row of its own: written alone, and never in the way of the answer.
pub(crate) async fn note(app: &App, client: &Client, now: Time, event: Event) {
    let mut batch = Batch::new();
    event.write(app, client, now, &mut batch);
    if let Err(error) = app.store.commit(batch).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "An audit event could not be written");
    }
}

/// How somebody signs in, as the wire's method words.
fn ways_in(app: &App, identity: &IdentitySnapshot) -> Vec<String> {
    let factors = identity.factors();
    let methods = &app.config.selfservice.methods;
    let counted = |on: bool, count: u32| if on { count } else { 0 };
    let ways = [
        ("password", factors.password),
        ("oidc", counted(methods.oidc.enabled, factors.oidc)),
        ("passkey", counted(methods.passkey.enabled, factors.passkey)),
        ("webauthn", counted(methods.webauthn.enabled && methods.webauthn.passwordless, factors.webauthn_passwordless)),
        ("code", counted(app.code_use().passwordless, factors.code)),
    ];
    ways.into_iter().filter(|(_, count)| *count > 0).map(|(way, _)| way.to_owned()).collect()
}

/// The event of a session that begins.
fn session_issued(session: &Session) -> Event {
    Event::done(EventKind::SessionIssued).identity(session.identity_id).session(session.id).detail("aal", session.aal.as_str())
}
