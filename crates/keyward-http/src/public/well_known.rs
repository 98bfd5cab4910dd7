//! Addresses that other programs know by heart (RFC 8615).
//! Password managers ask for the place to change a password.
//! Redirects only.

use axum::Router;
use axum::extract::Extension;
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;

use super::Called;
use crate::openapi::{Operation, leads};
use crate::reply::Reply;

pub(super) fn routes() -> Router {
    Router::new().route("/.well-known/change-password", get(change_password))
}

/// The same, for programs.
pub(super) const OPERATIONS: &[Operation] = &[Operation::frontend(
    "GET",
    "/.well-known/change-password",
    "getChangePasswordUrl",
    "Leads password managers to where a password is changed.",
)
.answers(&[leads(303)])];

async fn change_password(Extension(caller): Called) -> Response {
    let addresses = &caller.site().addresses;
    // The built-in settings page cannot show anything without a flow.
    let location = if caller.site().built_in_pages || addresses.settings_ui.is_empty() {
        addresses.init(crate::answer::Kind::Settings, &[])
    } else {
        addresses.settings_ui.clone()
    };
    Reply::redirect(StatusCode::SEE_OTHER, location).send(&caller).await
}
