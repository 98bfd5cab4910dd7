//! The part of the settings below `selfservice`: return addresses, flows, methods.
//! Called once by [`crate::resolve`]; the same rules hold: mistakes are collected, what is malformed counts as absent.
//! Knows where the built-in pages are, because they stand in for pages that nobody configured.

use std::collections::BTreeMap;

use keyward_model::{RequiredAal, Span};
use url::Url;

use crate::document::Node;
use crate::hooks::{self, Hook};
use crate::methods::{
    CodeMethod, LinkMethod, Methods, PasskeyMethod, PasswordMethod, RelyingParty, TotpMethod, UserVerification, WebauthnMethod,
};
use crate::oidc;
use crate::report::{Report, WarningKind};
use crate::resolve::Reader;
use crate::return_to::{ReturnUrls, meant_by_star};
use crate::settings::{
    After, AfterMethod, BaseUrl, Flow, Flows, LogoutFlow, MailedFlow, MailedStrategy, PageAddress, Reauthentication,
    RegistrationFlow, Selfservice, SettingsFlow,
};

const HOUR: Span = Span::hours(1);
const FIVE_MINUTES: Span = Span::minutes(5);

/// The block `selfservice`; `None` when the required return address is unusable. `mailbox`: the pages show mail.
pub(crate) fn resolve(
    reader: Reader<'_>,
    public: &BaseUrl,
    insecure: bool,
    mailbox: bool,
    report: &mut Report,
) -> Option<Selfservice> {
    let methods = methods(reader, public, report);
    let flows = flows(reader, public, report);
    advise(reader, &flows, mailbox, report);
    let key = "selfservice.default_browser_return_url";
    // A missing one was already reported; the others are still judged, so that one run shows every mistake.
    let text = reader.text(key).filter(|text| !text.is_empty());
    let default = text.map(|text| absolute(public, text)).unwrap_or_else(|| Some(public.url().clone()));
    let usable = default.filter(|url| !url.cannot_be_a_base() && url.scheme() != "javascript" && url.scheme() != "data");
    if usable.is_none() {
        report.refuse(&reader.place(key), key, "expected the URL of a page");
    }
    let default = usable?;
    let mut return_urls = ReturnUrls::new(default.clone(), public);
    let list = ["selfservice.allowed_return_urls", "selfservice.whitelisted_return_urls"];
    if let Some((key, node)) = list.iter().find_map(|key| reader.node(key).map(|node| (key, node))) {
        for (index, item) in node.items().iter().enumerate() {
            let Some(entry) = item.as_text() else { continue };
            if let Err(message) = return_urls.allow(entry, insecure) {
                report.refuse(&item.at, format!("{key}.{index}"), message);
            } else if let Some(meant) = meant_by_star(entry) {
                let message = format!("in a path * stands for itself; write {meant} for everything below it");
                report.warn(WarningKind::Advice, &item.at, format!("{key}.{index}"), message);
            }
        }
    }
    if insecure {
        let key = "feature_flags.legacy_allow_insecure_origins";
        let message = "unsafe wildcards in selfservice.allowed_return_urls can send people to pages of strangers";
        report.warn(WarningKind::Advice, &reader.place(key), key, message);
    }
    text?;
    Some(Selfservice { default_browser_return_url: default, return_urls, flows, methods })
}

fn absolute(public: &BaseUrl, text: &str) -> Option<Url> {
    public.url().join(text).ok()
}

fn flows(reader: Reader<'_>, public: &BaseUrl, report: &mut Report) -> Flows {
    let settings = |last: &str| reader.text(&format!("selfservice.flows.settings.{last}"));
    let login = flow(reader, public, "login", report);
    let logout = reader.text("selfservice.flows.logout.after.default_browser_return_url");
    let logout = logout.or_else(|| reader.text("selfservice.default_browser_return_url")).unwrap_or_default().to_owned();
    Flows {
        login,
        registration: RegistrationFlow {
            enabled: reader.on("selfservice.flows.registration.enabled", true),
            login_hints: reader.on("selfservice.flows.registration.login_hints", false),
            flow: flow(reader, public, "registration", report),
        },
        settings: SettingsFlow {
            flow: flow(reader, public, "settings", report),
            required_aal: match settings("required_aal") {
                Some("aal1") => RequiredAal::Aal1,
                Some("aal2") => RequiredAal::Aal2,
                _ => RequiredAal::HighestAvailable,
            },
            privileged_session_max_age: reader.span("selfservice.flows.settings.privileged_session_max_age", HOUR),
            reauthentication: match settings("reauthentication") {
                Some("same_aal") => Reauthentication::SameAal,
                _ => Reauthentication::Any,
            },
        },
        logout: LogoutFlow {
            default_browser_return_url: logout,
            clear_browser_data: reader.on("selfservice.flows.logout.clear_browser_data", false),
        },
        error_ui_url: ui_url(reader, public, "error", report),
        recovery: mailed(reader, public, "recovery", report),
        verification: mailed(reader, public, "verification", report),
    }
}

fn mailed(reader: Reader<'_>, public: &BaseUrl, name: &str, report: &mut Report) -> MailedFlow {
    let key = |last: &str| format!("selfservice.flows.{name}.{last}");
    if reader.text(&key("use")) == Some("link") {
        let message = "links are not sent yet; people get a code instead, which the method code has to allow";
        report.warn(WarningKind::NotYet, &reader.place(&key("use")), key("use"), message);
    }
    MailedFlow {
        enabled: reader.on(&key("enabled"), false),
        strategy: MailedStrategy::Code,
        notify_unknown_recipients: reader.on(&key("notify_unknown_recipients"), false),
        flow: flow(reader, public, name, report),
    }
}

fn flow(reader: Reader<'_>, public: &BaseUrl, name: &str, report: &mut Report) -> Flow {
    let key = |last: &str| format!("selfservice.flows.{name}.{last}");
    let mut methods = BTreeMap::new();
    for (method, node) in reader.node(&key("after")).map(Node::entries).unwrap_or_default() {
        if !matches!(method.as_str(), "default_browser_return_url" | "hooks") {
            let (default_browser_return_url, hooks) = outcome(node);
            methods.insert(method.clone(), AfterMethod { default_browser_return_url, hooks });
        }
    }
    let (default_browser_return_url, hooks) = reader.node(&key("after")).map(outcome).unwrap_or_default();
    Flow {
        ui_url: ui_url(reader, public, name, report),
        lifespan: reader.span(&key("lifespan"), HOUR),
        before_hooks: hooks::read(reader.node(&key("before.hooks"))),
        after: After { default_browser_return_url, hooks, methods },
    }
}

fn outcome(node: &Node) -> (Option<String>, Vec<Hook>) {
    let url = node.find("default_browser_return_url").and_then(Node::as_text).filter(|text| !text.is_empty());
    (url.map(str::to_owned), hooks::read(node.find("hooks")))
}

/// The configured page, a relative one as it is written, or the built-in one.
fn ui_url(reader: Reader<'_>, public: &BaseUrl, name: &str, report: &mut Report) -> PageAddress {
    let key = format!("selfservice.flows.{name}.ui_url");
    let page = |url: Url| PageAddress { text: url.to_string(), url };
    let built_in = || page(Url::parse(&public.join(&format!("/ui/{name}"))).unwrap_or_else(|_| public.url().clone()));
    let Some(text) = reader.text(&key).filter(|text| !text.is_empty()) else { return built_in() };
    match (Url::parse(text), absolute(public, text)) {
        (Ok(url), _) if matches!(url.scheme(), "http" | "https") => page(url),
        // A path. What names another host without a scheme is no path.
        (Err(_), Some(url)) if url.origin() == public.url().origin() => PageAddress { text: text.to_owned(), url },
        _ => {
            report.refuse(&reader.place(&key), key, "expected the http or https URL of a page, or a path");
            built_in()
        }
    }
}

fn methods(reader: Reader<'_>, public: &BaseUrl, report: &mut Report) -> Methods {
    let key = |method: &str, last: &str| format!("selfservice.methods.{method}.{last}");
    let on = |method: &str, last: &str, default: bool| reader.on(&key(method, last), default);
    let enabled = |method: &str, default: bool| on(method, "enabled", default);
    if on("code", "passwordless_enabled", false) && on("code", "mfa_enabled", false) {
        let name = key("code", "mfa_enabled");
        report.refuse(&reader.place(&name), name, "a code cannot be both the first and the second factor (passwordless_enabled)");
    }
    let host = public.url().host_str().unwrap_or_default();
    Methods {
        profile_enabled: enabled("profile", true),
        password: PasswordMethod {
            enabled: enabled("password", true),
            haveibeenpwned_enabled: on("password", "config.haveibeenpwned_enabled", true),
            haveibeenpwned_host: reader.owned(&key("password", "config.haveibeenpwned_host"), "api.pwnedpasswords.com"),
            max_breaches: reader.number(&key("password", "config.max_breaches"), 0),
            ignore_network_errors: on("password", "config.ignore_network_errors", true),
            min_password_length: reader.number(&key("password", "config.min_password_length"), 8),
            identifier_similarity_check_enabled: on("password", "config.identifier_similarity_check_enabled", true),
        },
        code: CodeMethod {
            enabled: enabled("code", true),
            passwordless_enabled: on("code", "passwordless_enabled", false),
            mfa_enabled: on("code", "mfa_enabled", false),
            lifespan: reader.span(&key("code", "config.lifespan"), HOUR),
            max_submissions: reader.number(&key("code", "config.max_submissions"), 5),
            missing_credential_fallback_enabled: on("code", "config.missing_credential_fallback_enabled", false),
        },
        link: LinkMethod {
            enabled: enabled("link", false),
            lifespan: reader.span(&key("link", "config.lifespan"), HOUR),
            base_url: reader.text(&key("link", "config.base_url")).and_then(|text| Url::parse(text).ok()),
            confirm: on("link", "config.confirm", true),
        },
        totp: TotpMethod {
            enabled: enabled("totp", false),
            issuer: reader.owned(&key("totp", "config.issuer"), host),
            issue_lookup_secrets: on("totp", "config.issue_lookup_secrets", true),
        },
        lookup_secret_enabled: enabled("lookup_secret", false),
        webauthn: WebauthnMethod {
            enabled: enabled("webauthn", false),
            passwordless: on("webauthn", "config.passwordless", false),
            api_flows: on("webauthn", "config.api_flows", true),
            relying_party: relying_party(reader, public, "webauthn", report),
        },
        passkey: PasskeyMethod {
            enabled: enabled("passkey", false),
            relying_party: relying_party(reader, public, "passkey", report),
            attachment: reader.text(&key("passkey", "config.authenticator_selection.attachment")).map(str::to_owned),
            resident_key: reader.owned(&key("passkey", "config.authenticator_selection.resident_key"), "required"),
            user_verification: reader
                .text(&key("passkey", "config.authenticator_selection.user_verification"))
                .and_then(UserVerification::parse)
                .unwrap_or(UserVerification::Preferred),
            attestation: reader.owned(&key("passkey", "config.attestation.preference"), "none"),
            registration_timeout: reader.span(&key("passkey", "config.timeouts.registration"), FIVE_MINUTES),
            login_timeout: reader.span(&key("passkey", "config.timeouts.login"), FIVE_MINUTES),
        },
        oidc: oidc::resolve(reader, report),
    }
}

fn relying_party(reader: Reader<'_>, public: &BaseUrl, method: &str, report: &mut Report) -> RelyingParty {
    let key = |last: &str| format!("selfservice.methods.{method}.config.rp.{last}");
    let id = reader.owned(&key("id"), public.url().host_str().unwrap_or_default());
    let display_name = reader.owned(&key("display_name"), &id);
    let mut origins = reader.texts(&key("origins"), &[]);
    if let Some(origin) = reader.text(&key("origin")) {
        let message = format!("this is an old name; write {} with a list", key("origins"));
        report.warn(WarningKind::Deprecated, &reader.place(&key("origin")), key("origin"), message);
        if origins.is_empty() {
            origins.push(origin.to_owned());
        }
    }
    if origins.is_empty() {
        // The built-in pages, and Kratos' default.
        origins.push(public.url().origin().ascii_serialization());
        origins.push(format!("{}://{id}", public.url().scheme()));
    }
    let mut known = Vec::new();
    for origin in origins {
        match web_origin(&origin) {
            Some(origin) if !known.contains(&origin) => known.push(origin),
            Some(_) => {}
            None => {
                let message = "expected an origin such as https://example.org or android:apk-key-hash:…";
                report.refuse(&reader.place(&key("origins")), key("origins"), format!("{message}; found {origin:?}"));
            }
        }
    }
    if id.parse::<std::net::IpAddr>().is_ok() && reader.on(&format!("selfservice.methods.{method}.enabled"), false) {
        let message = "browsers accept no IP address here; open the pages under a name such as localhost, and write that";
        report.warn(WarningKind::Advice, &reader.place(&key("id")), key("id"), message);
    }
    RelyingParty { id, display_name, origins: known }
}

/// An origin as browsers tell it in client data: scheme, host and port for the web, any other as it stands. `None` for what is no
/// origin.
fn web_origin(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    match url.scheme() {
        "http" | "https" => Some(url.origin().ascii_serialization()),
        _ => Some(text.to_owned()),
    }
}

/// Warnings about combinations that start but may surprise.
fn advise(reader: Reader<'_>, flows: &Flows, mailbox: bool, report: &mut Report) {
    let style = "selfservice.flows.registration.style";
    match reader.text(style) {
        Some("unified") => {}
        Some(_) => report.warn(
            WarningKind::NotYet,
            &reader.place(style),
            style,
            "profile_first is not served yet; registration shows one form as with unified",
        ),
        None => report.warn(
            WarningKind::Advice,
            &reader.place(style),
            style,
            "absent; registration shows one form (unified), where Kratos would ask in two steps",
        ),
    }
    let style = "selfservice.flows.login.style";
    if reader.text(style) == Some("identifier_first") {
        let message = "identifier_first is not served yet; sign-in shows one form as with unified";
        report.warn(WarningKind::NotYet, &reader.place(style), style, message);
    }
    // Where the pages show it, mail can be read without one.
    if reader.node("courier").is_none() && !mailbox {
        let message = "mail is needed, but there is no block courier; messages wait in the outbox until there is one";
        for (name, mailed) in [("recovery", &flows.recovery), ("verification", &flows.verification)] {
            let key = format!("selfservice.flows.{name}.enabled");
            if mailed.enabled {
                report.warn(WarningKind::Advice, &reader.place(&key), key, message);
            }
        }
        for (key, hooks) in hooks_after(flows) {
            if hooks.contains(&Hook::Verification) {
                report.warn(WarningKind::Advice, &reader.place(&key), key, message);
            }
        }
    }
    if !flows.verification.enabled {
        for (key, hooks) in hooks_after(flows) {
            let verifies = |hook: &Hook| {
                matches!(
                    hook,
                    Hook::Verification | Hook::ShowVerificationUi | Hook::RequireVerifiedAddress | Hook::VerifyNewAddress
                )
            };
            if hooks.iter().any(verifies) {
                let message = "addresses are verified only with selfservice.flows.verification.enabled: true";
                report.warn(WarningKind::Advice, &reader.place(&key), key, message);
            }
        }
    }
}

/// The lists of hooks after login, registration and settings, with their keys.
fn hooks_after(flows: &Flows) -> impl Iterator<Item = (String, &[Hook])> {
    let flows = [("login", &flows.login), ("registration", &flows.registration.flow), ("settings", &flows.settings.flow)];
    flows.into_iter().flat_map(|(name, flow)| {
        let key = move |last: &str| format!("selfservice.flows.{name}.after.{last}");
        let of_methods =
            flow.after.methods.iter().map(move |(method, after)| (key(&format!("{method}.hooks")), &after.hooks[..]));
        of_methods.chain([(key("hooks"), &flow.after.hooks[..])])
    })
}
