//! Signing up: the doors of the registration flow.
//! Each handler reads its parameters and tells one part of the story in [`keyward_selfservice::stories::registration`].
//! What the answers look like stands in [`crate::answer`].

use axum::Router;
use axum::body::Body;
use axum::extract::Extension;
use axum::response::Response;
use axum::routing::get;
use keyward_model::FlowType;
use keyward_selfservice::stories::registration;

use super::{Called, enter, enter_submit};
use crate::answer::{Kind, Step};
use crate::openapi::Shape::Named;
use crate::openapi::{
    Answer, BY_COOKIE, FLOW, FLOW_ID, IDENTITY_SCHEMA, ORGANIZATION, Operation, RETURN_TO, leads, refuses, shows,
};

pub(super) fn routes() -> Router {
    Router::new()
        .route("/self-service/registration/browser", get(create_browser))
        .route("/self-service/registration/api", get(create_api))
        .route("/self-service/registration/flows", get(fetch))
        .route("/self-service/registration", get(submit).post(submit))
}

/// The same, for programs.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::frontend(
        "GET",
        "/self-service/registration/browser",
        "createBrowserRegistrationFlow",
        "Starts a registration in a browser: leads to its page, or gives the flow to a script.",
    )
    .takes(&[ORGANIZATION, IDENTITY_SCHEMA, RETURN_TO, BY_COOKIE])
    .answers(&[shows(200, "A script gets the flow.", Named("registrationFlow")), leads(303), refuses(400)]),
    Operation::frontend(
        "GET",
        "/self-service/registration/api",
        "createNativeRegistrationFlow",
        "Starts a registration in an app.",
    )
    .takes(&[ORGANIZATION, IDENTITY_SCHEMA, RETURN_TO])
    .answers(&[shows(200, "The flow.", Named("registrationFlow")), refuses(400)]),
    Operation::frontend("GET", "/self-service/registration/flows", "getRegistrationFlow", "Shows a flow.")
        .takes(&[FLOW_ID, BY_COOKIE])
        .answers(&[shows(200, "The flow.", Named("registrationFlow")), refuses(403), refuses(404), refuses(410)]),
    Operation::frontend(
        "GET",
        "/self-service/registration",
        "resumeRegistrationFlow",
        "Follows a link into a registration; a payload never comes with it.",
    )
    .takes(&[FLOW, BY_COOKIE])
    .answers(SUBMITTED),
    Operation::frontend("POST", "/self-service/registration", "updateRegistrationFlow", "Sends a registration form.")
        .takes(&[FLOW, BY_COOKIE])
        .form("updateRegistrationFlowBody")
        .answers(SUBMITTED),
];

/// What becomes of a submit, or of a link that continues one.
const SUBMITTED: &[Answer] = &[
    shows(200, "Done.", Named("successfulNativeRegistration")),
    leads(302),
    leads(303),
    shows(400, "The form again, or why there is none.", Named("registrationFlowOrError")),
    refuses(401),
    refuses(403),
    refuses(404),
    shows(410, "A new flow stands in its place.", Named("selfServiceFlowExpiredError")),
    shows(422, "A provider comes next.", Named("errorBrowserLocationChangeRequired")),
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
    let mut call = enter(caller, Kind::Registration, Step::Init).await?;
    let url = call.caller.request_url();
    let said = registration::create(call.caller.app(), &mut call.visit, flow_type, &url).await;
    Ok(call.answer(Kind::Registration, Step::Init, said).await)
}

async fn fetch(Extension(caller): Called) -> Result<Response, Response> {
    let mut call = enter(caller, Kind::Registration, Step::Fetch).await?;
    let id = call.caller.flow_id("id");
    let said = registration::fetch(call.caller.app(), &mut call.visit, id).await;
    Ok(call.answer(Kind::Registration, Step::Fetch, said).await)
}

async fn submit(Extension(caller): Called, body: Body) -> Result<Response, Response> {
    let (mut call, submitted) = enter_submit(caller, Kind::Registration, body).await?;
    let id = call.caller.flow_id("flow");
    let said = registration::submit(call.caller.app(), &mut call.visit, id, submitted).await;
    Ok(call.answer_entry(Kind::Registration, said).await)
}
