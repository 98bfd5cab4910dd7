//! Getting back in: the doors of the recovery flow.
//! Each handler reads its parameters and tells one part of the story in [`keyward_selfservice::stories::recovery`].
//! What the answers look like stands in [`crate::answer`].

use axum::Router;
use axum::body::Body;
use axum::extract::Extension;
use axum::response::Response;
use axum::routing::get;
use keyward_model::FlowType;
use keyward_selfservice::stories::recovery;

use super::{Called, enter, enter_submit};
use crate::answer::{Kind, Step};
use crate::openapi::Shape::Named;
use crate::openapi::{Answer, BY_COOKIE, FLOW, FLOW_ID, Operation, RETURN_TO, SKIP_SETTINGS, leads, refuses, shows};
use crate::pace::evenly;

pub(super) fn routes() -> Router {
    Router::new()
        .route("/self-service/recovery/browser", get(create_browser))
        .route("/self-service/recovery/api", get(create_api))
        .route("/self-service/recovery/flows", get(fetch))
        .route("/self-service/recovery", get(submit).post(submit))
}

/// The same, for programs.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::frontend(
        "GET",
        "/self-service/recovery/browser",
        "createBrowserRecoveryFlow",
        "Starts a recovery in a browser: leads to its page, or gives the flow to a script.",
    )
    .takes(&[RETURN_TO, SKIP_SETTINGS, BY_COOKIE])
    .answers(&[shows(200, "A script gets the flow.", Named("recoveryFlow")), leads(302), leads(303), refuses(400)]),
    Operation::frontend("GET", "/self-service/recovery/api", "createNativeRecoveryFlow", "Starts a recovery in an app.")
        .answers(&[shows(200, "The flow.", Named("recoveryFlow")), refuses(400)]),
    Operation::frontend("GET", "/self-service/recovery/flows", "getRecoveryFlow", "Shows a flow.")
        .takes(&[FLOW_ID, BY_COOKIE])
        .answers(&[shows(200, "The flow.", Named("recoveryFlow")), refuses(403), refuses(404), refuses(410)]),
    Operation::frontend(
        "GET",
        "/self-service/recovery",
        "resumeRecoveryFlow",
        "Follows a link into a recovery; a payload never comes with it.",
    )
    .takes(&[FLOW, BY_COOKIE])
    .answers(SUBMITTED),
    Operation::frontend("POST", "/self-service/recovery", "updateRecoveryFlow", "Sends a recovery form.")
        .takes(&[FLOW, BY_COOKIE])
        .form("updateRecoveryFlowBody")
        .answers(SUBMITTED),
];

/// What becomes of a submit, or of a link that continues one.
const SUBMITTED: &[Answer] = &[
    shows(200, "The flow with what comes next.", Named("recoveryFlow")),
    leads(303),
    shows(400, "The form again, or why there is none.", Named("recoveryFlowOrError")),
    refuses(403),
    refuses(404),
    shows(410, "A new flow stands in its place.", Named("selfServiceFlowExpiredError")),
    refuses(422),
    refuses(429),
];

async fn create_browser(called: Called) -> Result<Response, Response> {
    create(called, FlowType::Browser).await
}

async fn create_api(called: Called) -> Result<Response, Response> {
    create(called, FlowType::Api).await
}

async fn create(Extension(caller): Called, flow_type: FlowType) -> Result<Response, Response> {
    let mut call = enter(caller, Kind::Recovery, Step::Init).await?;
    let url = call.caller.request_url();
    let said = recovery::create(call.caller.app(), &mut call.visit, flow_type, &url).await;
    Ok(call.answer(Kind::Recovery, Step::Init, said).await)
}

async fn fetch(Extension(caller): Called) -> Result<Response, Response> {
    let mut call = enter(caller, Kind::Recovery, Step::Fetch).await?;
    let id = call.caller.flow_id("id");
    let said = recovery::fetch(call.caller.app(), &mut call.visit, id).await;
    Ok(call.answer(Kind::Recovery, Step::Fetch, said).await)
}

async fn submit(Extension(caller): Called, body: Body) -> Result<Response, Response> {
    let (mut call, submitted) = enter_submit(caller, Kind::Recovery, body).await?;
    let id = call.caller.flow_id("flow");
    let said = evenly(recovery::submit(call.caller.app(), &mut call.visit, id, submitted)).await;
    Ok(call.answer(Kind::Recovery, Step::Submit, said).await)
}
