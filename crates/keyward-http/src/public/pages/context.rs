//! What a built-in page shows beside its flow: language, theme, who is signed in, and where links lead.
//! The page handlers build it from the request.
//! Everything here is public knowledge of this browser; nothing is looked up again.

use keyward_model::Lang;
use keyward_pages::{PageContext, Person, THEME_COOKIE, Theme};
use keyward_selfservice::stories::logout;
use serde_json::Value;

use super::{mailbox, page_url};
use crate::answer::Kind;
use crate::caller::Call;

/// The context of this request's page.
pub(super) fn of(call: &Call) -> PageContext {
    let caller = &call.caller;
    let config = &caller.app().config;
    let addresses = &caller.site().addresses;
    let flows = &config.selfservice.flows;
    let starts = |flow: &str| format!("{}/self-service/{flow}/browser", addresses.public);
    let here = caller.uri.path_and_query().map_or("/ui/", http::uri::PathAndQuery::as_str);
    let signed_in = call.visit.session.as_ref().map(|active| person(&active.wire_json));
    PageContext {
        lang: call.visit.lang,
        theme: caller.cookie(THEME_COOKIE).and_then(Theme::from_cookie),
        brand: config.brand_name.clone(),
        public_base: addresses.public.clone(),
        logout_url: logout::prepare(caller.app(), &call.visit, None).ok().map(|link| link.url.reveal().clone()),
        sessions_url: signed_in.is_some().then(|| page_url(caller, "/ui/sessions", &[])),
        signed_in,
        login_url: addresses.init(Kind::Login, &[]),
        registration_url: flows.registration.enabled.then(|| addresses.init(Kind::Registration, &[])),
        recovery_url: flows.recovery.enabled.then(|| starts("recovery")),
        verification_url: flows.verification.enabled.then(|| starts("verification")),
        settings_url: addresses.init(Kind::Settings, &[]),
        language_url: Some(page_url(caller, "/ui/language", &[("to", other(call.visit.lang).tag()), ("back", here)])),
        mailbox_url: mailbox::address(caller),
        footer: Vec::new(),
    }
}

const fn other(lang: Lang) -> Lang {
    match lang {
        Lang::En => Lang::De,
        Lang::De => Lang::En,
    }
}

/// Name and address of an identity, as far as its traits have the usual names.
fn person(wire_json: &str) -> Person {
    let identity: Value = serde_json::from_str(wire_json).unwrap_or_default();
    let traits = &identity["traits"];
    let text = |value: &Value| value.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let name = text(&traits["name"]).or_else(|| {
        let parts: Vec<_> = ["first", "last"].iter().filter_map(|part| text(&traits["name"][*part])).collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    });
    let address = ["email", "username", "phone"].iter().find_map(|name| text(&traits[*name]));
    Person { name, email: address.or_else(|| text(&identity["verifiable_addresses"][0]["value"])) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_named_by_the_usual_traits() {
        for (json, name, email) in [
            (r#"{"traits":{"email":"a@b","name":{"first":"Ada","last":"L"}}}"#, Some("Ada L"), Some("a@b")),
            (r#"{"traits":{"username":"ada","name":"Ada"}}"#, Some("Ada"), Some("ada")),
            (r#"{"traits":{"mail":7},"verifiable_addresses":[{"value":"c@d"}]}"#, None, Some("c@d")),
            ("broken", None, None),
        ] {
            let found = person(json);
            assert_eq!((found.name.as_deref(), found.email.as_deref()), (name, email), "{json}");
        }
    }
}
