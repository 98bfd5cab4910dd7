//! What a page needs to know beside its flow: language, theme, brand and the addresses it may link to.
//! The HTTP floor fills it per request from configuration, cookies and the session it already looked up.
//! It carries no secret: the only tokens on a page come from the flow JSON or from the session list.

use keyward_model::Lang;

/// Name of the cookie that pins a theme; its value is `light` or `dark`, anything else counts as absent.
pub const THEME_COOKIE: &str = "keyward_theme";

/// A colour scheme that the person pinned; without one the system's own setting decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// Dark text on light ground.
    Light,
    /// Light text on dark ground.
    Dark,
}

impl Theme {
    /// Reads the value of [`THEME_COOKIE`]; `None` for anything but the two known words.
    pub fn from_cookie(value: &str) -> Option<Self> {
        match value {
            "light" => Some(Self::Light),
            "dark" => Some(Self::Dark),
            _ => None,
        }
    }

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// Whose session it is, as far as a page shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// Display name, if the identity has one.
    pub name: Option<String>,
    /// Address or other identifier the person signs in with.
    pub email: Option<String>,
}

impl Person {
    /// The identifier if there is one, else the name.
    pub(crate) fn handle(&self) -> Option<&str> {
        self.email.as_deref().or(self.name.as_deref()).filter(|handle| !handle.is_empty())
    }
}

/// A link below the page, such as help or privacy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FooterLink {
    /// The words of the link.
    pub label: String,
    /// http(s) or relative; any other address leaves the link out.
    pub href: String,
}

/// Everything beside the flow that a page shows or links to.
///
/// Addresses are absolute or start with `/`. A page leaves out the link whose address is `None`.
#[derive(Clone, Debug, Default)]
pub struct PageContext {
    /// Language of the page's own sentences; labels and messages come localised in the flow JSON.
    pub lang: Lang,
    /// The pinned theme (see [`THEME_COOKIE`]).
    pub theme: Option<Theme>,
    /// Name of the service in header and titles; `Keyward` when empty.
    pub brand: String,
    /// Base of the public API, for example `https://id.example`. Only its path is used, so that assets always come from the
    /// origin that served the page.
    pub public_base: String,
    /// Who is signed in, if anyone.
    pub signed_in: Option<Person>,
    /// The one-time address that ends this session.
    pub logout_url: Option<String>,
    /// Starts a browser login flow.
    pub login_url: String,
    /// Starts a browser registration flow; `None` when registration is switched off.
    pub registration_url: Option<String>,
    /// Starts a browser recovery flow; `None` when recovery is switched off.
    pub recovery_url: Option<String>,
    /// Starts a browser verification flow; `None` when verification is switched off.
    pub verification_url: Option<String>,
    /// Starts a browser settings flow.
    pub settings_url: String,
    /// The page with the signed-in devices.
    pub sessions_url: Option<String>,
    /// This page in the other language.
    pub language_url: Option<String>,
    /// The page with what a development server would have sent; `None` outside development mode.
    pub mailbox_url: Option<String>,
    /// Links below the page.
    pub footer: Vec<FooterLink>,
}

/// Why a page could not be rendered. Both are faults of the server, never of the person.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The JSON lacks a member without which there is no page, or holds an unusable value there.
    #[error("the flow has no usable {0}")]
    Malformed(&'static str),
    /// A template refused its input.
    #[error("the page template failed")]
    Template(#[from] minijinja::Error),
}
