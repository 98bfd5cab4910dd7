//! What the wire needs of a configuration, worked out once for each configuration and not once for each request.
//! [`crate::state`] makes it when an app is seen for the first time; every room of this crate reads it.
//! Holds names, addresses and cookie attributes, no secrets.

use keyward_config::{Config, Cookies, Cors};
use keyward_model::FlowId;
use keyward_pages::CONTENT_SECURITY_POLICY;
use keyward_services::csrf::{Origins, csrf_cookie_name};
use url::{Origin, Url, form_urlencoded};

use crate::answer::Kind;

/// One configuration, seen from the wire.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) addresses: Addresses,
    /// The name of the CSRF cookie.
    pub(crate) csrf_cookie: String,
    /// The name of the session cookie.
    pub(crate) session_cookie: String,
    /// Whether the session cookie outlives the browser.
    pub(crate) session_persistent: bool,
    /// Attributes of the session cookie.
    pub(crate) session_attributes: Cookies,
    /// Attributes of all other cookies.
    pub(crate) attributes: Cookies,
    /// Who may send forms.
    pub(crate) origins: Origins,
    /// Cross-origin rules, when switched on.
    pub(crate) cors: Option<Cors>,
    /// Whether answers may ask for https from now on.
    pub(crate) https: bool,
    /// Whether people see the built-in pages.
    pub(crate) built_in_pages: bool,
    /// Origins that forms of the built-in pages may end up at.
    form_targets: Vec<String>,
}

/// Where clients are sent.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    /// `serve.public.base_url` without a trailing slash.
    pub(crate) public: String,
    /// `serve.admin.base_url` without a trailing slash.
    pub(crate) admin: String,
    pub(crate) login_ui: String,
    pub(crate) registration_ui: String,
    pub(crate) settings_ui: String,
    pub(crate) recovery_ui: String,
    pub(crate) verification_ui: String,
    pub(crate) error_ui: String,
}

impl Addresses {
    /// The page that shows a flow.
    pub(crate) fn ui(&self, kind: Kind, id: FlowId) -> String {
        let page = match kind {
            Kind::Settings => &self.settings_ui,
            Kind::Login => &self.login_ui,
            Kind::Registration => &self.registration_ui,
            Kind::Recovery => &self.recovery_ui,
            Kind::Verification => &self.verification_ui,
        };
        with_query(page, &[("flow", &id.to_string())])
    }

    /// The address that shows a flow to programs.
    pub(crate) fn flow(&self, kind: Kind, id: FlowId) -> String {
        format!("{}/self-service/{}/flows?id={id}", self.public, kind.path())
    }

    /// The address that starts a browser flow.
    pub(crate) fn init(&self, kind: Kind, query: &[(&str, &str)]) -> String {
        with_query(&format!("{}/self-service/{}/browser", self.public, kind.path()), query)
    }
}

/// Adds parameters to an address, before its fragment.
pub(crate) fn with_query(address: &str, pairs: &[(&str, &str)]) -> String {
    if pairs.is_empty() {
        return address.to_owned();
    }
    let (address, fragment) = address.split_once('#').map_or((address, None), |(address, fragment)| (address, Some(fragment)));
    let glue = match address.find('?') {
        None => "?",
        Some(at) if at + 1 == address.len() => "",
        Some(_) => "&",
    };
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    match fragment {
        None => format!("{address}{glue}{query}"),
        Some(fragment) => format!("{address}{glue}{query}#{fragment}"),
    }
}

impl Site {
    /// Works it out.
    pub(crate) fn new(config: &Config) -> Self {
        let flows = &config.selfservice.flows;
        let base = &config.public.base_url;
        let addresses = Addresses {
            public: base.as_str().trim_end_matches('/').to_owned(),
            admin: config.admin.base_url.as_str().trim_end_matches('/').to_owned(),
            login_ui: flows.login.ui_url.to_string(),
            registration_ui: flows.registration.flow.ui_url.to_string(),
            settings_ui: flows.settings.flow.ui_url.to_string(),
            recovery_ui: flows.recovery.flow.ui_url.to_string(),
            verification_ui: flows.verification.flow.ui_url.to_string(),
            error_ui: flows.error_ui_url.to_string(),
        };
        let pages = [
            flows.login.ui_url.url(),
            flows.registration.flow.ui_url.url(),
            flows.settings.flow.ui_url.url(),
            flows.recovery.flow.ui_url.url(),
            flows.verification.flow.ui_url.url(),
        ];
        let shown = [
            ("login", true, &addresses.login_ui),
            ("registration", true, &addresses.registration_ui),
            ("settings", true, &addresses.settings_ui),
            ("recovery", flows.recovery.enabled, &addresses.recovery_ui),
            ("verification", flows.verification.enabled, &addresses.verification_ui),
        ];
        let is_built_in = |(name, shown, page): (&str, bool, &String)| shown && *page == base.join(&format!("/ui/{name}"));
        let built_in_pages = shown.into_iter().any(is_built_in);
        Self {
            csrf_cookie: csrf_cookie_name(base.as_str()),
            session_cookie: config.session.cookie_name.clone(),
            session_persistent: config.session.cookie_persistent,
            session_attributes: config.session.cookie.clone(),
            attributes: config.cookies.clone(),
            origins: Origins::new([base.url()], pages),
            cors: config.public.cors.clone(),
            https: base.is_https(),
            built_in_pages,
            form_targets: form_targets(config),
            addresses,
        }
    }
}

impl Site {
    /// The content policy of a built-in page. Some browsers hold redirects after a form to `form-action` as well, so it names
    /// where a submit may redirect, `more` included.
    pub(crate) fn page_policy(&self, more: impl Iterator<Item = String>) -> String {
        let targets: Vec<_> = self.form_targets.iter().cloned().chain(more).collect();
        CONTENT_SECURITY_POLICY.replace("form-action 'self'", &format!("form-action 'self' {}", targets.join(" ")))
    }
}

/// Origins that a submit may redirect to by configuration, sorted.
fn form_targets(config: &Config) -> Vec<String> {
    let flows = &config.selfservice.flows;
    let afters = [
        &flows.login.after,
        &flows.registration.flow.after,
        &flows.settings.flow.after,
        &flows.recovery.flow.after,
        &flows.verification.flow.after,
    ];
    let methods = afters.iter().flat_map(|after| after.methods.values()).map(|method| &method.default_browser_return_url);
    let configured = afters.iter().map(|after| &after.default_browser_return_url).chain(methods).flatten();
    let mut origins: Vec<_> = configured.filter_map(|text| Url::parse(text).ok()).map(|url| url.origin()).collect();
    origins.push(config.public.base_url.url().origin());
    origins.push(config.selfservice.default_browser_return_url.origin());
    let mut targets: Vec<_> = origins.iter().filter(|origin| origin.is_tuple()).map(Origin::ascii_serialization).collect();
    targets.sort();
    targets.dedup();
    targets
}

#[cfg(test)]
impl Addresses {
    /// Addresses for tests.
    pub(crate) fn sample() -> Self {
        Self {
            public: "https://id.example".to_owned(),
            admin: "https://admin.example".to_owned(),
            login_ui: "https://ui.example/login".to_owned(),
            registration_ui: "https://ui.example/registration".to_owned(),
            settings_ui: "https://ui.example/settings?theme=dark".to_owned(),
            recovery_ui: "https://ui.example/recovery".to_owned(),
            verification_ui: "https://ui.example/verification".to_owned(),
            error_ui: "https://ui.example/error".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_added_where_they_belong() {
        for (address, expected) in [
            ("https://a/b", "https://a/b?flow=1&to=%2Fx%3Fy%3D1"),
            ("https://a/b?", "https://a/b?flow=1&to=%2Fx%3Fy%3D1"),
            ("https://a/b?c=d", "https://a/b?c=d&flow=1&to=%2Fx%3Fy%3D1"),
            ("/b#part", "/b?flow=1&to=%2Fx%3Fy%3D1#part"),
            ("https://a/#/login?x=1", "https://a/?flow=1&to=%2Fx%3Fy%3D1#/login?x=1"),
        ] {
            assert_eq!(with_query(address, &[("flow", "1"), ("to", "/x?y=1")]), expected);
        }
        assert_eq!(with_query("https://a/b", &[]), "https://a/b");
    }
}
