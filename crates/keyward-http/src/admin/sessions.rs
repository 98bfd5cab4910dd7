//! Sessions, for operators: all, one, those of an identity (contract: admin 9).
//! The handlers call [`keyward_services::admin`].
//! Lists of all pages by place, lists of one identity by offset; an unknown identity has none.

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Path};
use axum::response::Response;
use axum::routing::{get, patch};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use http::header::{CONTENT_TYPE, LINK};
use keyward_model::{IdentityId, Problem, SessionId, Time};
use keyward_services::admin::{self, BulkAction, BulkTarget, Expand, Refused, SessionPlace};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{answer, bad, identity_id, json_body};
use crate::caller::Caller;
use crate::openapi::Shape::{List, Named};
use crate::openapi::{
    ACTIVE, EXPAND, IDENTITY, Operation, PAGE, PAGE_SIZE, PAGE_TOKEN, PER_PAGE, SESSION, nothing, refuses, shows,
};
use crate::pagination::{self, PageQuery, link_to, unreadable_token};
use crate::public::{Called, sessions::listed};
use crate::query::Query;
use crate::reply::Reply;

const MOST_IDS: usize = 500;
const PATH: &str = "/admin/sessions";
/// Before every session.
const START: SessionPlace = (Time::from_micros(i64::MAX), SessionId(Uuid::max()));

pub(super) fn routes() -> Router {
    Router::new()
        .route(PATH, get(list_all).post(act))
        .route("/admin/sessions/{id}", get(read).delete(revoke))
        .route("/admin/sessions/{id}/extend", patch(extend))
        .route("/admin/identities/{id}/sessions", get(list).delete(end_all))
}

/// The same, for programs.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::identity("GET", "/admin/sessions", "listSessions", "Lists sessions of all identities.")
        .takes(&[PAGE_SIZE, PAGE_TOKEN, ACTIVE, EXPAND])
        .answers(&[shows(200, "A page of them.", List(&Named("session"))), refuses(400)]),
    Operation::identity("GET", "/admin/sessions/{id}", "getSession", "Shows a session.").takes(&[SESSION, EXPAND]).answers(&[
        shows(200, "The session.", Named("session")),
        refuses(400),
        refuses(404),
    ]),
    Operation::identity("DELETE", "/admin/sessions/{id}", "disableSession", "Ends a session.").takes(&[SESSION]).answers(&[
        nothing("It has ended."),
        refuses(400),
        refuses(404),
    ]),
    Operation::identity("PATCH", "/admin/sessions/{id}/extend", "extendSession", "Lets a session live longer.")
        .takes(&[SESSION])
        .answers(&[
            shows(200, "The session.", Named("session")),
            nothing("With `feature_flags.faster_session_extend`."),
            refuses(400),
            refuses(404),
        ]),
    Operation::identity("POST", "/admin/sessions", "manageSessions", "Ends or deletes many sessions.")
        .body("manageSessionsBody")
        .answers(&[shows(200, "How many.", Named("manageSessionsResponse")), refuses(400)]),
    Operation::identity("GET", "/admin/identities/{id}/sessions", "listIdentitySessions", "Lists the sessions of an identity.")
        .takes(&[IDENTITY, ACTIVE, PAGE_SIZE, PAGE_TOKEN, PER_PAGE, PAGE])
        .answers(&[shows(200, "A page of them.", List(&Named("session"))), refuses(400)]),
    Operation::identity(
        "DELETE",
        "/admin/identities/{id}/sessions",
        "deleteIdentitySessions",
        "Deletes the sessions of an identity.",
    )
    .takes(&[IDENTITY])
    .answers(&[nothing("They are gone."), refuses(400), refuses(404)]),
];

async fn list_all(Extension(caller): Called) -> Response {
    answer(&caller, listing_all(&caller).await).await
}

async fn listing_all(caller: &Caller) -> Result<Reply, Refused> {
    let query = &caller.query;
    let (active, expand) = (active(query)?, expand(query)?);
    let size = pagination::size(query, &["page_size"], pagination::LARGEST_SIZE)?;
    let after = match query.get("page_token") {
        None => None,
        Some(token) => Some(read_token(token).ok_or_else(unreadable_token)?),
    };
    let page = admin::list_sessions(caller.app(), active, expand, after, size).await?;
    let next = page.next.map(|place| link(query, size, place, "next"));
    let links: Vec<String> = std::iter::once(link(query, size, START, "first")).chain(next).collect();
    Ok(Reply::json(StatusCode::OK, Value::Array(page.sessions).to_string()).with(LINK, links.join(",")))
}

async fn read(Extension(caller): Called, Path(id): Path<String>) -> Response {
    let reading = async {
        let session = admin::get_session(caller.app(), session_id(&id)?, expand(&caller.query)?).await?;
        Ok(Reply::json(StatusCode::OK, session.to_string()))
    };
    answer(&caller, reading.await).await
}

async fn revoke(Extension(caller): Called, Path(id): Path<String>) -> Response {
    let revoking = async {
        admin::revoke_session(caller.app(), &caller.client(), session_id(&id)?).await?;
        // The reference server says so although there is nothing.
        Ok(Reply::empty(StatusCode::NO_CONTENT).with(CONTENT_TYPE, "application/json; charset=utf-8"))
    };
    answer(&caller, revoking.await).await
}

async fn extend(Extension(caller): Called, Path(id): Path<String>) -> Response {
    let extending = async {
        let session = admin::extend_session(caller.app(), &caller.client(), session_id(&id)?).await?;
        if caller.app().config.feature_flags.faster_session_extend {
            return Ok(Reply::empty(StatusCode::NO_CONTENT));
        }
        Ok(Reply::json(StatusCode::OK, session.to_string()))
    };
    answer(&caller, extending.await).await
}

async fn act(Extension(caller): Called, request_body: Body) -> Response {
    let acting = async {
        let (action, target) = read_action(&json_body(&caller, request_body).await?)?;
        let done = admin::act_on_sessions(caller.app(), &caller.client(), action, target).await?;
        Ok(Reply::json(StatusCode::OK, json!({ "processed": done.processed, "more": done.more }).to_string()))
    };
    answer(&caller, acting.await).await
}

async fn list(Extension(caller): Called, Path(id): Path<String>) -> Response {
    answer(&caller, listing(&caller, &id).await).await
}

async fn listing(caller: &Caller, id: &str) -> Result<Reply, Refused> {
    let id = identity_id(id)?;
    let page = PageQuery::read(&caller.query)?;
    let rows = page.rows();
    let active = active(&caller.query)?;
    let (sessions, total) = admin::identity_sessions(caller.app(), id, active, (rows.offset, rows.limit)).await?;
    Ok(listed(caller.uri.path(), &caller.query, page, &sessions, total))
}

async fn end_all(Extension(caller): Called, Path(id): Path<String>) -> Response {
    let ending = async {
        admin::delete_identity_sessions(caller.app(), &caller.client(), identity_id(&id)?).await?;
        Ok(Reply::empty(StatusCode::NO_CONTENT))
    };
    answer(&caller, ending.await).await
}

fn session_id(text: &str) -> Result<SessionId, Problem> {
    SessionId::parse(text).ok_or_else(|| bad("The id is not a UUID."))
}

fn active(query: &Query) -> Result<Option<bool>, Problem> {
    match query.get("active") {
        None => Ok(None),
        Some("true" | "1") => Ok(Some(true)),
        Some("false" | "0") => Ok(Some(false)),
        Some(_) => Err(bad("The parameter active must be true or false.")),
    }
}

fn expand(query: &Query) -> Result<Expand, Problem> {
    let mut expand = Expand::default();
    for word in query.all("expand") {
        match word.to_ascii_lowercase().as_str() {
            "identity" => expand.identity = true,
            "devices" => expand.devices = true,
            _ => return Err(bad("The parameter expand takes identity and devices.")),
        }
    }
    Ok(expand)
}

fn read_action(body: &Value) -> Result<(BulkAction, BulkTarget), Problem> {
    let action = match body["action"].as_str() {
        Some("disable") => BulkAction::Disable,
        Some("delete") => BulkAction::Delete,
        _ => return Err(bad("The action must be disable or delete.")),
    };
    let list = |name: &str| match &body[name] {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => {
            let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            texts.ok_or_else(|| bad("The ids must be texts."))
        }
        _ => Err(bad("The ids must be a list.")),
    };
    let (identities, sessions) = (list("identities")?, list("sessions")?);
    if identities.len() > MOST_IDS || sessions.len() > MOST_IDS {
        return Err(bad("At most 500 ids can be named at once."));
    }
    let target = match (identities.as_slice(), sessions.as_slice()) {
        (["*"], []) => BulkTarget::Everyone,
        ([_, ..], []) => {
            let ids: Result<Vec<IdentityId>, Problem> = identities.into_iter().map(identity_id).collect();
            BulkTarget::Identities(ids?)
        }
        ([], [_, ..]) => {
            let ids: Result<Vec<SessionId>, Problem> = sessions.into_iter().map(session_id).collect();
            BulkTarget::Sessions(ids?)
        }
        _ => return Err(bad("Name either identities or sessions.")),
    };
    Ok((action, target))
}

fn read_token(token: &str) -> Option<SessionPlace> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let (created_at, id) = text.split_once('/')?;
    Some((Time::from_micros(created_at.parse().ok()?), SessionId::parse(id)?))
}

fn link(query: &Query, size: u32, (created_at, id): SessionPlace, relation: &str) -> String {
    let token = URL_SAFE_NO_PAD.encode(format!("{}/{id}", created_at.micros()));
    link_to(PATH, query, &[("page_size", size.to_string()), ("page_token", token)], relation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_survive_their_token() {
        let query = Query::parse("active=true&page_size=5&page_token=x&expand=");
        let place = (Time::from_unix(1_800_000_000), SessionId(Uuid::nil()));
        for place in [place, START] {
            let link = link(&query, 5, place, "next");
            let token = link.split("page_token=").nth(1).and_then(|rest| rest.split('>').next()).expect("a token");
            assert_eq!(read_token(token), Some(place));
            assert!(link.starts_with("</admin/sessions?active=true&page_size=5&page_token="), "{link}");
        }
        for token in ["", "!", "eA", "MS9ub3BlCg"] {
            assert_eq!(read_token(token), None, "{token}");
        }
    }

    #[test]
    fn an_action_names_one_kind_of_target() {
        let id = "7f0c9a4e-3c55-4d5c-9c64-0a8f6f1b2c3d";
        let many = vec![id; 501];
        for (body, fits) in [
            (json!({ "action": "disable", "identities": ["*"] }), true),
            (json!({ "action": "delete", "identities": [id], "sessions": [] }), true),
            (json!({ "action": "delete", "sessions": [id, id] }), true),
            (json!({ "action": "delete", "sessions": ["*"] }), false),
            (json!({ "action": "delete", "identities": ["*", id] }), false),
            (json!({ "action": "delete", "identities": [id], "sessions": [id] }), false),
            (json!({ "action": "delete" }), false),
            (json!({ "action": "delete", "identities": [] }), false),
            (json!({ "action": "delete", "identities": many }), false),
            (json!({ "action": "delete", "identities": [7] }), false),
            (json!({ "action": "delete", "identities": id }), false),
            (json!({ "action": "extend", "identities": [id] }), false),
            (json!({ "identities": [id] }), false),
            (json!([]), false),
        ] {
            assert_eq!(read_action(&body).is_ok(), fits, "{body}");
        }
    }
}
