//! The endpoints of the admin port; the prefix `/admin` was added before if it was missing.
//! [`crate::router`] merges them.
//! Nobody is asked who they are here: whoever reaches this port may do everything.

mod health;
mod identities;
mod redirects;
mod sessions;

use axum::Router;

pub(crate) fn routes() -> Router {
    Router::new().merge(identities::routes()).merge(sessions::routes()).merge(health::routes()).merge(redirects::routes())
}
