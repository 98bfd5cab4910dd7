//! The endpoints of the public port: one file for each family, its routes beside its handlers.
//! [`crate::router`] merges them.
//! Handlers are doors: they read parameters, tell a story, and pass on what it said.

mod errors;
pub(crate) mod health;
mod login;
mod logout;
mod oidc;
mod pages;
mod recovery;
mod redirects;
mod registration;
mod schemas;
pub(crate) mod sessions;
mod settings;
mod verification;
mod well_known;
mod whoami;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Extension;
use axum::response::Response;
use keyward_selfservice::Submitted;

use crate::answer::{Kind, Step};
use crate::body;
use crate::caller::{Call, Caller};
use crate::openapi::Operation;

/// How handlers receive the request.
pub(crate) type Called = Extension<Arc<Caller>>;

pub(crate) fn routes() -> Router {
    Router::new()
        .merge(settings::routes())
        .merge(login::routes())
        .merge(registration::routes())
        .merge(recovery::routes())
        .merge(verification::routes())
        .merge(oidc::routes())
        .merge(logout::routes())
        .merge(sessions::routes())
        .merge(whoami::routes())
        .merge(schemas::routes())
        .merge(errors::routes())
        .merge(well_known::routes())
        .merge(health::routes())
        .merge(asides())
}

/// What is for eyes, and for those who came to the wrong port.
pub(crate) fn asides() -> Router {
    Router::new().merge(pages::routes()).merge(redirects::routes())
}

/// What all routes but the asides are for programs.
pub(crate) fn operations() -> impl Iterator<Item = &'static Operation> {
    let tables = [
        login::OPERATIONS,
        registration::OPERATIONS,
        settings::OPERATIONS,
        recovery::OPERATIONS,
        verification::OPERATIONS,
        oidc::OPERATIONS,
        logout::OPERATIONS,
        whoami::OPERATIONS,
        sessions::OPERATIONS,
        errors::OPERATIONS,
        schemas::OPERATIONS,
        well_known::OPERATIONS,
        health::OPERATIONS,
    ];
    tables.into_iter().flatten()
}

/// Looks up the session for a request about a flow that has no body.
async fn enter(caller: Arc<Caller>, kind: Kind, step: Step) -> Result<Call, Response> {
    match Arc::clone(&caller).call(None).await {
        Ok(call) => Ok(call),
        Err(problem) => Err(caller.refuse_flow(kind, step, problem).await),
    }
}

/// Reads a submit and looks up the session for it.
async fn enter_submit(caller: Arc<Caller>, kind: Kind, request_body: Body) -> Result<(Call, Submitted), Response> {
    let submitted = match body::submitted(&caller, request_body).await {
        Ok(submitted) => submitted,
        Err(problem) => return Err(caller.refuse_flow(kind, Step::Submit, problem).await),
    };
    match Arc::clone(&caller).call(body::form_token(&submitted)).await {
        Ok(call) => Ok((call, submitted)),
        Err(problem) => Err(caller.refuse_flow(kind, Step::Submit, problem).await),
    }
}

/// Looks up the session for a request that is not about a flow.
async fn visit(caller: Arc<Caller>) -> Result<Call, Response> {
    match Arc::clone(&caller).call(None).await {
        Ok(call) => Ok(call),
        Err(problem) => Err(caller.refuse(problem).await),
    }
}
