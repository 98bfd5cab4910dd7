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

pub(super) fn routes() -> Router {
    Router::new()
        .route("/self-service/login/browser", get(create_browser))
        .route("/self-service/login/api", get(create_api))
        .route("/self-service/login/flows", get(fetch))
        .route("/self-service/login", get(submit).post(submit))
}

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
    Ok(call.answer(Kind::Login, Step::Submit, said).await)
}
