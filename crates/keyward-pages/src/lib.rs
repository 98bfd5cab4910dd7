//! The built-in pages: HTML rendered from the same flow JSON that any other user interface receives.
//! The HTTP floor calls one function per page and serves [`asset`] beside them.
//! Nothing here knows the store, the session or the configuration: what a page shows stands in its arguments.

mod assets;
mod attributes;
mod auth;
mod ceremony;
mod code_step;
mod context;
mod device;
mod factors;
mod flow;
mod form;
mod keys;
mod labels;
mod mailbox;
mod mailed;
mod messages;
mod moment;
mod plain;
mod render;
mod safe;
mod second_step;
mod sessions;
mod settings;
mod social;
mod texts;

pub use assets::{ASSET_DIRECTORY, Asset, asset, script_name, stylesheet_name};
pub use auth::{login, registration};
pub use context::{FooterLink, PageContext, PageError, Person, THEME_COOKIE, Theme};
pub use keyward_model::Lang;
pub use mailbox::{Letter, Mailbox, mailbox};
pub use mailed::{recovery, verification};
pub use plain::{error, home, not_found, signed_out};
pub use sessions::{Ended, SessionList, sessions};
pub use settings::settings;

/// The Content-Security-Policy header (W3C CSP Level 3) that every page of this crate is written for.
///
/// Pages hold no inline script, style or event handler, so no nonce is needed. `form-action 'self'` also stops some browsers
/// from following a redirect to another origin after a post.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; object-src 'none'; \
     require-trusted-types-for 'script'";

#[cfg(test)]
mod tests;
