//! The outbox, for operators: a page of messages, or one with its attempts (contract: admin 6.1).
//! The handlers call [`keyward_services::admin`].
//! Page tokens are sealed and end after an hour, so that nobody builds upon what is in them.

use axum::Router;
use axum::extract::{Extension, Path};
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use http::header::LINK;
use keyward_model::{MessageId, Problem, Span, Time};
use keyward_services::admin::{self, MessagePlace, Refused};
use keyward_services::keys::KeyUse;
use keyward_services::seal::Place;
use keyward_store::{MessageFilter, MessageStatus};
use serde_json::Value;
use uuid::Uuid;

use super::{answer, bad};
use crate::caller::Caller;
use crate::openapi::Shape::{List, Named, Text, Uuid as Id};
use crate::openapi::{Operation, PAGE_SIZE, PAGE_TOKEN, Parameter, in_path, in_query, refuses, shows};
use crate::pagination::{link_to, number, unreadable_token};
use crate::public::Called;
use crate::query::Query;
use crate::reply::Reply;

const PATH: &str = "/admin/courier/messages";
const DEFAULT_SIZE: u32 = 10;
const LARGEST_SIZE: u32 = 500;
/// How long a page token is good for.
const TOKEN_LIFE: Span = Span::hours(1);
/// Before every message.
const START: MessagePlace = (Time::from_micros(i64::MAX), MessageId(Uuid::max()));
const SEAL: Place<'static> = Place::Column { table: "courier_messages", row: b"", column: "page_token" };

pub(super) fn routes() -> Router {
    Router::new().route(PATH, get(list)).route("/admin/courier/messages/{id}", get(read))
}

const MESSAGE: Parameter = in_path("id", Id, "The message.");
const STATUS: Parameter = in_query("status", Named("courierMessageStatus"), "Only messages that have come so far.");
const RECIPIENT: Parameter = in_query("recipient", Text, "Only messages for exactly this address.");

/// The same, for programs.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::courier("GET", "/admin/courier/messages", "listCourierMessages", "Lists messages of the outbox, newest first.")
        .takes(&[PAGE_SIZE, PAGE_TOKEN, STATUS, RECIPIENT])
        .answers(&[shows(200, "A page of them.", List(&Named("message"))), refuses(400)]),
    Operation::courier("GET", "/admin/courier/messages/{id}", "getCourierMessage", "Shows a message with its attempts.")
        .takes(&[MESSAGE])
        .answers(&[shows(200, "The message.", Named("message")), refuses(400), refuses(404)]),
];

async fn list(Extension(caller): Called) -> Response {
    answer(&caller, listing(&caller).await).await
}

async fn listing(caller: &Caller) -> Result<Reply, Refused> {
    let query = &caller.query;
    let asked = number::<u64>(query, "page_size")?.filter(|size| *size > 0);
    let size = asked.map_or(DEFAULT_SIZE, |size| u32::try_from(size).unwrap_or(u32::MAX)).min(LARGEST_SIZE);
    let filter = MessageFilter {
        status: query.get("status").map(status).transpose()?,
        // No address has a space in it; a plus that was not encoded arrives as one.
        recipient: query.get("recipient").map(|recipient| recipient.replace(' ', "+")),
    };
    let after = match query.get("page_token") {
        None => None,
        Some(token) => Some(read_token(caller, token).ok_or_else(unreadable_token)?),
    };
    let page = admin::list_messages(caller.app(), &filter, after, size).await?;
    let next = page.next.map(|place| link(caller, query, size, place, "next"));
    let links: Vec<String> = std::iter::once(link(caller, query, size, START, "first")).chain(next).collect();
    Ok(Reply::json(StatusCode::OK, Value::Array(page.messages).to_string()).with(LINK, links.join(",")))
}

async fn read(Extension(caller): Called, Path(id): Path<String>) -> Response {
    let reading = async {
        let id = MessageId::parse(&id).ok_or_else(|| bad("The id is not a UUID."))?;
        Ok(Reply::json(StatusCode::OK, admin::get_message(caller.app(), id).await?.to_string()))
    };
    answer(&caller, reading.await).await
}

fn status(text: &str) -> Result<MessageStatus, Problem> {
    MessageStatus::parse(text).ok_or_else(|| bad("The parameter status takes queued, sent, processing and abandoned."))
}

fn read_token(caller: &Caller, token: &str) -> Option<MessagePlace> {
    let opened = caller.app().keys.open_text(KeyUse::Pagination, SEAL, token).ok()?;
    let text = std::str::from_utf8(opened.reveal()).ok()?;
    let mut parts = text.split('/');
    let mut time = || Some(Time::from_micros(parts.next()?.parse().ok()?));
    let (issued_at, created_at) = (time()?, time()?);
    let place = (created_at, MessageId::parse(parts.next()?)?);
    (issued_at + TOKEN_LIFE > caller.now).then_some(place)
}

fn link(caller: &Caller, query: &Query, size: u32, (created_at, id): MessagePlace, relation: &str) -> String {
    let plain = format!("{}/{}/{id}", caller.now.micros(), created_at.micros());
    let app = caller.app();
    let token = app.keys.seal_text(KeyUse::Pagination, SEAL, plain.as_bytes(), app.random());
    link_to(PATH, query, &[("page_size", size.to_string()), ("page_token", token)], relation)
}
