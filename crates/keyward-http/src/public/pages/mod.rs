//! The built-in pages below `/ui/`: each reads the same flow JSON as any other user interface and draws it.
//! Browsers come here when no other user interface is configured.
//! Draws nothing itself (that is `keyward-pages`) and has no private way into a flow.

mod context;
mod devices;
mod mailbox;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, Path};
use axum::response::Response;
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG};
use http::{HeaderValue, StatusCode};
use keyward_model::{ErrorId, Lang, Problem};
use keyward_pages::{PageContext, PageError};
use keyward_selfservice::outcome::Outcome;
use keyward_selfservice::stories::{login, recovery, registration, settings, verification};
use keyward_services::oidc::Provider;
use keyward_services::{error_store, storage_problem};
use serde_json::Value;
use url::{Origin, Url};

use super::{Called, visit};
use crate::answer::{Kind, Step, Success, View};
use crate::caller::{Call, Caller};
use crate::cookies;
use crate::reply::Reply;
use crate::site::with_query;

pub(super) fn routes() -> Router {
    Router::new()
        .route("/", get(root))
        .route("/ui", get(home))
        .route("/ui/", get(home))
        .route("/ui/signed-out", get(signed_out))
        .route("/ui/login", get(show_login))
        .route("/ui/registration", get(show_registration))
        .route("/ui/settings", get(show_settings))
        .route("/ui/recovery", get(show_recovery))
        .route("/ui/verification", get(show_verification))
        .route("/ui/error", get(show_error))
        .route("/ui/language", get(choose_language))
        .route("/ui/assets/{name}", get(asset))
        .route("/ui/{*rest}", get(nowhere))
        .merge(devices::routes())
        .merge(mailbox::routes())
}

/// The start page of the server, when people see the built-in pages.
async fn root(Extension(caller): Called) -> Response {
    if !caller.site().built_in_pages {
        return Reply::not_found().send(&caller).await;
    }
    Reply::redirect(StatusCode::SEE_OTHER, format!("{}/ui/", caller.site().addresses.public)).send(&caller).await
}

async fn home(Extension(caller): Called) -> Result<Response, Response> {
    let call = visit(caller).await?;
    let page = keyward_pages::home(&context::of(&call));
    draw(call, StatusCode::OK, page).await
}

async fn signed_out(Extension(caller): Called) -> Result<Response, Response> {
    let call = visit(caller).await?;
    let page = keyward_pages::signed_out(&context::of(&call));
    draw(call, StatusCode::OK, page).await
}

async fn nowhere(Extension(caller): Called) -> Result<Response, Response> {
    let call = visit(caller).await?;
    let page = keyward_pages::not_found(&context::of(&call));
    draw(call, StatusCode::NOT_FOUND, page).await
}

async fn show_login(Extension(caller): Called) -> Result<Response, Response> {
    let mut call = visit(caller).await?;
    let said = login::fetch(call.caller.app(), &mut call.visit, call.caller.flow_id("flow")).await;
    show(call, Kind::Login, said, keyward_pages::login).await
}

async fn show_registration(Extension(caller): Called) -> Result<Response, Response> {
    let mut call = visit(caller).await?;
    let said = registration::fetch(call.caller.app(), &mut call.visit, call.caller.flow_id("flow")).await;
    show(call, Kind::Registration, said, keyward_pages::registration).await
}

async fn show_settings(Extension(caller): Called) -> Result<Response, Response> {
    let mut call = visit(caller).await?;
    let said = settings::fetch(call.caller.app(), &mut call.visit, call.caller.flow_id("flow")).await;
    show(call, Kind::Settings, said, keyward_pages::settings).await
}

async fn show_recovery(Extension(caller): Called) -> Result<Response, Response> {
    let mut call = visit(caller).await?;
    let said = recovery::fetch(call.caller.app(), &mut call.visit, call.caller.flow_id("flow")).await;
    show(call, Kind::Recovery, said, keyward_pages::recovery).await
}

async fn show_verification(Extension(caller): Called) -> Result<Response, Response> {
    let mut call = visit(caller).await?;
    let said = verification::fetch(call.caller.app(), &mut call.visit, call.caller.flow_id("flow")).await;
    show(call, Kind::Verification, said, keyward_pages::verification).await
}

/// Where forms with buttons for providers lead: a provider may send people on to others, as companies' own, so any place that is
/// encrypted, and the providers that are not.
fn provider_targets(call: &Call, flow: &Value) -> Vec<String> {
    let mut nodes = flow["ui"]["nodes"].as_array().into_iter().flatten();
    if !nodes.any(|node| node["group"] == "oidc") {
        return Vec::new();
    }
    let origins = call.caller.app().oidc.iter().filter_map(Provider::origin).map(|origin| origin.ascii_serialization());
    std::iter::once("https:".to_owned()).chain(origins.filter(|origin| origin.starts_with("http:"))).collect()
}

type Draw = fn(&Value, &PageContext) -> Result<String, PageError>;

/// Draws a flow. A flow that is gone, foreign or unreadable gives way to a new one; what else went wrong is told as at
/// the start of a flow.
async fn show<V: View, S: Success>(
    call: Call,
    kind: Kind,
    said: Result<Outcome<V, S>, Problem>,
    draw_flow: Draw,
) -> Result<Response, Response> {
    match said {
        Ok(Outcome::Created(view) | Outcome::Shown(view) | Outcome::Refused(view) | Outcome::Continued(view)) => {
            let flow = serde_json::to_value(view).unwrap_or_default();
            let page = draw_flow(&flow, &context::of(&call));
            // The flow's submit may redirect there; it was checked when the flow was made.
            let target = flow["return_to"].as_str().and_then(|url| Url::parse(url).ok()).map(|url| url.origin());
            let target = target.filter(Origin::is_tuple).map(|origin| origin.ascii_serialization());
            let policy = call.caller.site().page_policy(target.into_iter().chain(provider_targets(&call, &flow)));
            draw_under(call, StatusCode::OK, page, policy).await
        }
        Err(problem) => match restart(&call.caller, kind, &problem) {
            Some(location) => Ok(call.send(Reply::redirect(StatusCode::SEE_OTHER, location)).await),
            None => Ok(call.answer(kind, Step::Init, Err::<Outcome<V, S>, _>(problem)).await),
        },
        done @ Ok(
            Outcome::Opened(_)
            | Outcome::Stepped(_)
            | Outcome::Mailed(_)
            | Outcome::SentBack(_)
            | Outcome::SentOn { .. }
            | Outcome::LedOn { .. }
            | Outcome::SentAway { .. }
            | Outcome::HandedOver { .. }
            | Outcome::Throttled { .. }
            | Outcome::Done(_),
        ) => Ok(call.answer(kind, Step::Init, done).await),
    }
}

/// Where a new flow starts, for refusals that a new flow mends. A browser that keeps no cookies would be sent in circles.
fn restart(caller: &Caller, kind: Kind, problem: &Problem) -> Option<String> {
    let return_to = match problem {
        Problem::FlowGone { return_to, .. } => return_to.as_deref(),
        Problem::FlowNotFound | Problem::FlowIdMalformed | Problem::IdentityMismatch => None,
        Problem::Csrf(_) if caller.missing_csrf_cookie().is_none() => None,
        _ => return None,
    };
    let query: Vec<_> = return_to.map(|to| ("return_to", to)).into_iter().collect();
    Some(caller.site().addresses.init(kind, &query))
}

async fn show_error(Extension(caller): Called) -> Result<Response, Response> {
    let call = visit(Arc::clone(&caller)).await?;
    let found = match caller.query.get("id").and_then(ErrorId::parse) {
        Some(id) => error_store::find(caller.app(), id).await.map_err(storage_problem),
        None => Ok(None),
    };
    let context = context::of(&call);
    match found {
        Ok(Some(error)) => draw(call, StatusCode::OK, keyward_pages::error(&error, &context)).await,
        Ok(None) => draw(call, StatusCode::NOT_FOUND, keyward_pages::not_found(&context)).await,
        Err(problem) => Ok(caller.refuse_json(problem).await),
    }
}

/// Remembers a language in a cookie and goes back to the page that asked.
async fn choose_language(Extension(caller): Called) -> Response {
    let lang = Lang::negotiate(caller.query.get("to"));
    let back = caller.query.get("back").filter(|back| is_page(back)).unwrap_or("/ui/");
    let mut reply = Reply::redirect(StatusCode::SEE_OTHER, format!("{}{back}", caller.site().addresses.public));
    reply.cookies.push(cookies::language(caller.site(), lang));
    reply.send(&caller).await
}

/// Whether a path is one of our own pages and cannot be read as another host.
fn is_page(path: &str) -> bool {
    path.starts_with("/ui/") && !path.contains("//") && !path.contains(['\\', '@', '\r', '\n']) && !path.contains("..")
}

async fn asset(Extension(caller): Called, Path(name): Path<String>) -> Response {
    let Some(asset) = keyward_pages::asset(&name) else { return Reply::not_found().send(&caller).await };
    let mut response = Response::new(axum::body::Body::from(asset.bytes));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    // The name changes with the content.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    if let Ok(tag) = HeaderValue::try_from(format!("\"{}\"", asset.hash)) {
        headers.insert(ETAG, tag);
    }
    response
}

/// Sends a page under the content policy of all pages.
async fn draw(call: Call, status: StatusCode, page: Result<String, PageError>) -> Result<Response, Response> {
    let policy = call.caller.site().page_policy(std::iter::empty());
    draw_under(call, status, page, policy).await
}

async fn draw_under(
    call: Call,
    status: StatusCode,
    page: Result<String, PageError>,
    policy: String,
) -> Result<Response, Response> {
    match page {
        Ok(html) => {
            let reply = Reply { status, ..Reply::html(html) }.with(CONTENT_SECURITY_POLICY, policy);
            Ok(call.send(reply).await)
        }
        Err(error) => {
            tracing::error!(%error, "a page could not be drawn");
            Err(call.caller.refuse_json(Problem::Internal).await)
        }
    }
}

/// The address of a page of ours, below the path of the public base.
fn page_url(caller: &Caller, path: &str, query: &[(&str, &str)]) -> String {
    with_query(&format!("{}{path}", caller.site().addresses.public), query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_pages_are_gone_back_to() {
        for (path, own) in [
            ("/ui/", true),
            ("/ui/login?flow=1", true),
            ("/uix", false),
            ("/ui//evil.example", false),
            ("//evil.example/ui/", false),
            ("/ui/\\evil.example", false),
            ("https://evil.example/ui/", false),
            ("/ui/../admin", false),
        ] {
            assert_eq!(is_page(path), own, "{path}");
        }
    }
}
