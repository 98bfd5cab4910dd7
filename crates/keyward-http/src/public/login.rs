//! Signing in, stepping up, confirming: the doors of the login flow.
//! Each handler reads its parameters and tells one part of the story in [`keyward_selfservice::stories::login`].
//! What the answers look like stands in [`crate::answer`].

use axum::Router;
use axum::body::Body;
use axum::extract::Extension;
use axum::response::Response;
use axum::routing::get;
use keyward_model::FlowType;
use keyward_selfservice::stories::login;

use super::{Called, enter, enter_submit};
use crate::answer::{Kind, Step};
use crate::openapi::Shape::{Flag, Named, Text};
use crate::openapi::{
    Answer, BY_COOKIE, BY_TOKEN, FLOW, FLOW_ID, IDENTITY_SCHEMA, ORGANIZATION, Operation, Parameter, RETURN_TO, in_query, leads,
    refuses, shows,
};

pub(super) fn routes() -> Router {
    Router::new()
        .route("/self-service/login/browser", get(create_browser))
        .route("/self-service/login/api", get(create_api))
        .route("/self-service/login/flows", get(fetch))
        .route("/self-service/login", get(submit).post(submit))
}

const REFRESH: Parameter = in_query("refresh", Flag, "Sign in again although somebody is signed in.");
const AAL: Parameter = in_query("aal", Text, "The level to reach: `aal1` or `aal2`.");

/// The same, for programs.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::frontend(
        "GET",
        "/self-service/login/browser",
        "createBrowserLoginFlow",
        "Starts a login in a browser: leads to its page, or gives the flow to a script.",
    )
    .takes(&[REFRESH, AAL, ORGANIZATION, IDENTITY_SCHEMA, RETURN_TO, BY_COOKIE])
    .answers(&[shows(200, "A script gets the flow.", Named("loginFlow")), leads(303), refuses(400), refuses(401)]),
    Operation::frontend("GET", "/self-service/login/api", "createNativeLoginFlow", "Starts a login in an app.")
        .takes(&[REFRESH, AAL, ORGANIZATION, IDENTITY_SCHEMA, RETURN_TO, BY_TOKEN])
        .answers(&[shows(200, "The flow.", Named("loginFlow")), refuses(400), refuses(401)]),
    Operation::frontend("GET", "/self-service/login/flows", "getLoginFlow", "Shows a flow.")
        .takes(&[FLOW_ID, BY_COOKIE])
        .answers(&[shows(200, "The flow.", Named("loginFlow")), refuses(403), refuses(404), refuses(410)]),
    Operation::frontend(
        "GET",
        "/self-service/login",
        "resumeLoginFlow",
        "Follows a link into a login; a payload never comes with it.",
    )
    .takes(&[FLOW, BY_COOKIE])
    .answers(SUBMITTED),
    Operation::frontend("POST", "/self-service/login", "updateLoginFlow", "Sends a login form.")
        .takes(&[FLOW, BY_COOKIE, BY_TOKEN])
        .form("updateLoginFlowBody")
        .answers(SUBMITTED),
];

/// What becomes of a submit, or of a link that continues one.
const SUBMITTED: &[Answer] = &[
    shows(200, "Done.", Named("successfulNativeLogin")),
    leads(303),
    shows(400, "The form again, or why there is none.", Named("loginFlowOrError")),
    refuses(401),
    refuses(403),
    refuses(404),
    shows(410, "A new flow stands in its place.", Named("selfServiceFlowExpiredError")),
    shows(422, "The second factor or a provider comes next.", Named("errorBrowserLocationChangeRequired")),
    refuses(429),
    refuses(502),
];

async fn create_browser(called: Called) -> Result<Response, Response> {
    create(called, FlowType::Browser).await
}

async fn create_api(called: Called) -> Result<Response, Response> {
    create(called, FlowType::Api).await
}

async fn create(Extension(caller): Called, flow_type: FlowType) -> Result<Response, Response> {
    let mut call = enter(caller, Kind::Login, Step::Init).await?;
    let url = call.caller.request_url();
    let said = login::create(call.caller.app(), &mut call.visit, flow_type, &url).await;
    Ok(call.answer(Kind::Login, Step::Init, said).await)
}

async fn fetch(Extension(caller): Called) -> Result<Response, Response> {
    let mut call = enter(caller, Kind::Login, Step::Fetch).await?;
    let id = call.caller.flow_id("id");
    let said = login::fetch(call.caller.app(), &mut call.visit, id).await;
    Ok(call.answer(Kind::Login, Step::Fetch, said).await)
}

async fn submit(Extension(caller): Called, body: Body) -> Result<Response, Response> {
    let (mut call, submitted) = enter_submit(caller, Kind::Login, body).await?;
    let id = call.caller.flow_id("flow");
    let said = login::submit(call.caller.app(), &mut call.visit, id, submitted).await;
    Ok(call.answer_entry(Kind::Login, said).await)
}
