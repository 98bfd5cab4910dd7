//! Changing one's own account: the doors of the settings flow.
//! Each handler reads its parameters and tells one part of the story in [`keyward_selfservice::stories::settings`].
//! What the answers look like stands in [`crate::answer`].

use axum::Router;
use axum::body::Body;
use axum::extract::Extension;
use axum::response::Response;
use axum::routing::get;
use keyward_model::FlowType;
use keyward_selfservice::stories::settings;

use super::{Called, enter, enter_submit};
use crate::answer::{Kind, Step};
use crate::openapi::Shape::Named;
use crate::openapi::{Answer, BY_COOKIE, BY_TOKEN, FLOW, FLOW_ID, Operation, RETURN_TO, leads, refuses, shows};

pub(super) fn routes() -> Router {
    Router::new()
        .route("/self-service/settings/browser", get(create_browser))
        .route("/self-service/settings/api", get(create_api))
        .route("/self-service/settings/flows", get(fetch))
        .route("/self-service/settings", get(submit).post(submit))
}

/// The same, for programs.
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::frontend(
        "GET",
        "/self-service/settings/browser",
        "createBrowserSettingsFlow",
        "Starts a change of one's own account in a browser: leads to its page, or gives the flow to a script.",
    )
    .takes(&[RETURN_TO, BY_COOKIE])
    .answers(&[
        shows(200, "A script gets the flow.", Named("settingsFlow")),
        leads(303),
        refuses(400),
        refuses(401),
        refuses(403),
    ]),
    Operation::frontend(
        "GET",
        "/self-service/settings/api",
        "createNativeSettingsFlow",
        "Starts a change of one's own account in an app.",
    )
    .takes(&[BY_TOKEN])
    .answers(&[shows(200, "The flow.", Named("settingsFlow")), refuses(400), refuses(401), refuses(403)]),
    Operation::frontend("GET", "/self-service/settings/flows", "getSettingsFlow", "Shows a flow.")
        .takes(&[FLOW_ID, BY_COOKIE, BY_TOKEN])
        .answers(&[
            shows(200, "The flow.", Named("settingsFlow")),
            leads(302),
            refuses(401),
            refuses(403),
            refuses(404),
            refuses(410),
        ]),
    Operation::frontend(
        "GET",
        "/self-service/settings",
        "resumeSettingsFlow",
        "Resumes a change that waited for a fresh sign-in.",
    )
    .takes(&[FLOW, BY_COOKIE, BY_TOKEN])
    .answers(SUBMITTED),
    Operation::frontend("POST", "/self-service/settings", "updateSettingsFlow", "Sends a settings form.")
        .takes(&[FLOW, BY_COOKIE, BY_TOKEN])
        .form("updateSettingsFlowBody")
        .answers(SUBMITTED),
];

/// What becomes of a submit, or of a link that continues one.
const SUBMITTED: &[Answer] = &[
    shows(200, "Done.", Named("settingsFlow")),
    leads(302),
    leads(303),
    shows(400, "The form again, or why there is none.", Named("settingsFlowOrError")),
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
    let mut call = enter(caller, Kind::Settings, Step::Init).await?;
    let url = call.caller.request_url();
    let said = settings::create(call.caller.app(), &mut call.visit, flow_type, &url).await;
    Ok(call.answer(Kind::Settings, Step::Init, said).await)
}

async fn fetch(Extension(caller): Called) -> Result<Response, Response> {
    let mut call = enter(caller, Kind::Settings, Step::Fetch).await?;
    let id = call.caller.flow_id("id");
    let said = settings::fetch(call.caller.app(), &mut call.visit, id).await;
    Ok(call.answer(Kind::Settings, Step::Fetch, said).await)
}

async fn submit(Extension(caller): Called, body: Body) -> Result<Response, Response> {
    let (mut call, submitted) = enter_submit(caller, Kind::Settings, body).await?;
    let id = call.caller.flow_id("flow");
    let said = settings::submit(call.caller.app(), &mut call.visit, id, submitted).await;
    Ok(call.answer(Kind::Settings, Step::Submit, said).await)
}
