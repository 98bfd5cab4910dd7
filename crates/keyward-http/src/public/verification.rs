//! Confirming an address: the doors of the verification flow.
//! Each handler reads its parameters and tells one part of the story in [`keyward_selfservice::stories::verification`].
//! What the answers look like stands in [`crate::answer`].

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Extension;
use axum::response::Response;
use axum::routing::get;
use keyward_model::FlowType;
use keyward_selfservice::stories::verification;

use super::{Called, enter, enter_submit};
use crate::answer::{Kind, Step};
use crate::openapi::Shape::Named;
use crate::openapi::{Answer, BY_COOKIE, CODE, FLOW, FLOW_ID, Operation, RETURN_TO, leads, refuses, shows};
use crate::pace::evenly;

pub(super) fn routes() -> Router {
    Router::new()
        .route("/self-service/verification/browser", get(create_browser))
        .route("/self-service/verification/api", get(create_api))
        .route("/self-service/verification/flows", get(fetch))
        .route("/self-service/verification", get(open).post(submit))
}

/// The same, for programs.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::frontend(
        "GET",
        "/self-service/verification/browser",
        "createBrowserVerificationFlow",
        "Starts a verification in a browser: leads to its page, or gives the flow to a script.",
    )
    .takes(&[RETURN_TO, BY_COOKIE])
    .answers(&[shows(200, "A script gets the flow.", Named("verificationFlow")), leads(302), leads(303), refuses(400)]),
    Operation::frontend(
        "GET",
        "/self-service/verification/api",
        "createNativeVerificationFlow",
        "Starts a verification in an app.",
    )
    .answers(&[shows(200, "The flow.", Named("verificationFlow")), refuses(400)]),
    Operation::frontend("GET", "/self-service/verification/flows", "getVerificationFlow", "Shows a flow.")
        .takes(&[FLOW_ID, BY_COOKIE])
        .answers(&[shows(200, "The flow.", Named("verificationFlow")), refuses(403), refuses(404), refuses(410)]),
    Operation::frontend(
        "GET",
        "/self-service/verification",
        "resumeVerificationFlow",
        "Follows the link of a message: leads to the page with the code in its field.",
    )
    .takes(&[FLOW, CODE, BY_COOKIE])
    .answers(SUBMITTED),
    Operation::frontend("POST", "/self-service/verification", "updateVerificationFlow", "Sends a verification form.")
        .takes(&[FLOW, BY_COOKIE])
        .form("updateVerificationFlowBody")
        .answers(SUBMITTED),
];

/// What becomes of a submit, or of a link that continues one.
const SUBMITTED: &[Answer] = &[
    shows(200, "The flow with what comes next.", Named("verificationFlow")),
    leads(303),
    shows(400, "The form again, or why there is none.", Named("verificationFlowOrError")),
    refuses(403),
    refuses(404),
    shows(410, "A new flow stands in its place.", Named("selfServiceFlowExpiredError")),
    refuses(429),
];

async fn create_browser(called: Called) -> Result<Response, Response> {
    create(called, FlowType::Browser).await
}

async fn create_api(called: Called) -> Result<Response, Response> {
    create(called, FlowType::Api).await
}

async fn create(Extension(caller): Called, flow_type: FlowType) -> Result<Response, Response> {
    let mut call = enter(caller, Kind::Verification, Step::Init).await?;
    let url = call.caller.request_url();
    let said = verification::create(call.caller.app(), &mut call.visit, flow_type, &url).await;
    Ok(call.answer(Kind::Verification, Step::Init, said).await)
}

async fn fetch(Extension(caller): Called) -> Result<Response, Response> {
    let mut call = enter(caller, Kind::Verification, Step::Fetch).await?;
    let id = call.caller.flow_id("id");
    let said = verification::fetch(call.caller.app(), &mut call.visit, id).await;
    Ok(call.answer(Kind::Verification, Step::Fetch, said).await)
}

/// The link of a message; without a code it is a submit that brings nothing.
async fn open(Extension(called): Called, body: Body) -> Result<Response, Response> {
    let Some(code) = called.query.get("code").filter(|code| !code.is_empty()).map(str::to_owned) else {
        return submit(Extension(called), body).await;
    };
    let mut call = enter(Arc::clone(&called), Kind::Verification, Step::Submit).await?;
    let id = call.caller.flow_id("flow");
    let said = verification::open_link(call.caller.app(), &mut call.visit, id, &code).await;
    Ok(call.answer(Kind::Verification, Step::Submit, said).await)
}

async fn submit(Extension(caller): Called, body: Body) -> Result<Response, Response> {
    let (mut call, submitted) = enter_submit(caller, Kind::Verification, body).await?;
    let id = call.caller.flow_id("flow");
    let said = evenly(verification::submit(call.caller.app(), &mut call.visit, id, submitted)).await;
    Ok(call.answer(Kind::Verification, Step::Submit, said).await)
}
