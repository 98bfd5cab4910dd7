//! One's own sessions: the list, ending one, ending all others (contract: login 13.8).
//! The handlers tell [`keyward_selfservice::stories::sessions`]; always JSON.
//! `whoami` has a file of its own.

use axum::Router;
use axum::extract::{Extension, Path};
use axum::response::Response;
use axum::routing::{delete, get};
use http::StatusCode;
use http::header::{HeaderName, LINK};
use keyward_model::SessionId;
use keyward_selfservice::stories::exchange::exchange;
use keyward_selfservice::stories::sessions::{self, Page};
use serde_json::json;

use super::{Called, visit};
use crate::answer::taken_up;
use crate::openapi::Shape::{List, Named, Text};
use crate::openapi::{
    BY_COOKIE, BY_TOKEN, Operation, PAGE, PAGE_SIZE, PAGE_TOKEN, PER_PAGE, SESSION, in_query, nothing, refuses, shows,
};
use crate::pagination::PageQuery;
use crate::query::Query;
use crate::reply::Reply;

pub(crate) const TOTAL: HeaderName = HeaderName::from_static("x-total-count");

pub(super) fn routes() -> Router {
    Router::new()
        .route("/sessions", get(list).delete(end_others))
        .route("/sessions/token-exchange", get(exchange_token))
        .route("/sessions/{id}", delete(end_one))
}

/// The same, for programs.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::frontend("GET", "/sessions", "listMySessions", "Lists one's other sessions.")
        .takes(&[PAGE_SIZE, PAGE_TOKEN, PER_PAGE, PAGE, BY_TOKEN, BY_COOKIE])
        .signed_in()
        .answers(&[shows(200, "A page of them.", List(&Named("session"))), refuses(400), refuses(401)]),
    Operation::frontend("DELETE", "/sessions", "disableMyOtherSessions", "Ends all of one's sessions but this.")
        .takes(&[BY_TOKEN, BY_COOKIE])
        .signed_in()
        .answers(&[shows(200, "How many there were.", Named("deleteMySessionsCount")), refuses(400), refuses(401)]),
    Operation::frontend("DELETE", "/sessions/{id}", "disableMySession", "Ends one of one's other sessions.")
        .takes(&[SESSION, BY_TOKEN, BY_COOKIE])
        .signed_in()
        .answers(&[nothing("It has ended."), refuses(400), refuses(401)]),
    Operation::frontend(
        "GET",
        "/sessions/token-exchange",
        "exchangeSessionToken",
        "Fetches the session that a browser began for an app, once.",
    )
    .takes(&[
        in_query("init_code", Text, "The code that came with the flow.").required(),
        in_query("return_to_code", Text, "The code that the browser brought back.").required(),
    ])
    .answers(&[
        shows(200, "The session and its token.", Named("successfulCodeExchangeResponse")),
        refuses(400),
        refuses(404),
        shows(422, "Nobody was signed in; the flow says why.", Named("loginFlow")),
    ]),
];

async fn exchange_token(Extension(caller): Called) -> Result<Response, Response> {
    let mut call = visit(caller).await?;
    let query = call.caller.query.clone();
    let said = exchange(call.caller.app(), &mut call.visit, query.get("init_code"), query.get("return_to_code")).await;
    let reply = taken_up(&call.caller.site().addresses, call.caller.now, said);
    Ok(call.send(reply).await)
}

async fn list(Extension(caller): Called) -> Result<Response, Response> {
    let page = match PageQuery::read(&caller.query) {
        Ok(page) => page,
        Err(problem) => return Ok(caller.refuse_json(problem).await),
    };
    let call = visit(caller).await?;
    match sessions::list(call.caller.app(), &call.visit, page.rows()).await {
        Ok((sessions, total)) => {
            let reply = listed("/sessions", &call.caller.query, page, &sessions, total);
            Ok(call.send(reply).await)
        }
        Err(problem) => Ok(call.refuse_json(problem).await),
    }
}

async fn end_others(Extension(caller): Called) -> Result<Response, Response> {
    let call = visit(caller).await?;
    match sessions::revoke_others(call.caller.app(), &call.visit).await {
        Ok(count) => Ok(call.send(Reply::json(StatusCode::OK, json!({ "count": count }).to_string())).await),
        Err(problem) => Ok(call.refuse_json(problem).await),
    }
}

async fn end_one(Extension(caller): Called, Path(id): Path<String>) -> Result<Response, Response> {
    let call = visit(caller).await?;
    match sessions::revoke(call.caller.app(), &call.visit, SessionId::parse(&id)).await {
        Ok(()) => Ok(call.send(Reply::empty(StatusCode::NO_CONTENT)).await),
        Err(problem) => Ok(call.refuse_json(problem).await),
    }
}

impl PageQuery {
    /// The page as the stories count it.
    pub(crate) fn rows(self) -> Page {
        let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Page { offset: narrow(self.offset), limit: narrow(self.size) }
    }
}

/// A page of a list whose items are JSON already.
pub(crate) fn listed(path: &str, query: &Query, page: PageQuery, items: &[String], total: u64) -> Reply {
    Reply::json(StatusCode::OK, format!("[{}]", items.join(",")))
        .with(TOTAL, total.to_string())
        .with(LINK, page.links(path, query, total, items.len()))
}
