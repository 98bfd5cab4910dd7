//! Whole pages over whole flows: what must be on every page, and what must never be.
//! The fixtures have the shape of the public API's answers.

mod keys;
mod mailed;
mod second_step;
mod social;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;

fn fixture(name: &str) -> Value {
    let text = match name {
        "login" => include_str!("../fixtures/login.json"),
        "registration" => include_str!("../fixtures/registration.json"),
        "settings" => include_str!("../fixtures/settings.json"),
        "settings-enrol" => include_str!("../fixtures/settings-enrol.json"),
        "settings-codes" => include_str!("../fixtures/settings-codes.json"),
        "settings-second-step" => include_str!("../fixtures/settings-second-step.json"),
        "settings-revealed" => include_str!("../fixtures/settings-revealed.json"),
        "settings-renew" => include_str!("../fixtures/settings-renew.json"),
        "settings-keys" => include_str!("../fixtures/settings-keys.json"),
        "login-second-step" => include_str!("../fixtures/login-second-step.json"),
        "registration-keys" => include_str!("../fixtures/registration-keys.json"),
        _ => include_str!("../fixtures/sessions.json"),
    };
    serde_json::from_str(text).expect("fixture")
}

fn context(lang: Lang) -> PageContext {
    PageContext {
        lang,
        brand: "Example & Co".to_owned(),
        public_base: "https://id.example/base".to_owned(),
        signed_in: Some(Person { name: Some("Mara".to_owned()), email: Some("mara@example.org".to_owned()) }),
        logout_url: Some("https://id.example/self-service/logout?token=x".to_owned()),
        login_url: "/self-service/login/browser".to_owned(),
        registration_url: Some("/self-service/registration/browser".to_owned()),
        recovery_url: Some("/self-service/recovery/browser".to_owned()),
        verification_url: Some("/self-service/verification/browser".to_owned()),
        settings_url: "/self-service/settings/browser".to_owned(),
        sessions_url: Some("/ui/sessions".to_owned()),
        language_url: Some("?lang=de".to_owned()),
        mailbox_url: Some("/ui/mailbox".to_owned()),
        footer: vec![FooterLink { label: "Help".to_owned(), href: "/help".to_owned() }],
        theme: None,
    }
}

fn node<'a>(flow: &'a mut Value, group: &str, name: &str) -> &'a mut Value {
    let nodes = flow["ui"]["nodes"].as_array_mut().expect("nodes");
    nodes
        .iter_mut()
        .find(|n| n["group"] == group && (n["attributes"]["name"] == name || n["attributes"]["id"] == name))
        .expect(name)
}

fn refuse(flow: &mut Value, group: &str, name: &str, text: &str) {
    node(flow, group, name)["messages"] = json!([{"id": 4_000_002, "text": text, "type": "error"}]);
}

fn device_page(sessions_json: &Value, ctx: &PageContext, ended: Option<Ended<'_>>) -> String {
    let all = sessions_json.as_array().expect("list");
    let list = SessionList {
        current: &all[0],
        others: all,
        csrf_token: "tok\"en",
        end_one: "/ui/sessions/end",
        end_others: "/ui/sessions/end-others",
        ended,
    };
    sessions(&list, ctx).expect("sessions")
}

/// A start tag with its attributes, unescaped no further than the pages need it.
#[derive(Debug)]
struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Start tags of a page. Every attribute value of ours stands in double quotes, and `<` never stands in text or values.
fn tags(html: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    for part in html.split('<').skip(1) {
        if part.starts_with(['/', '!']) {
            continue;
        }
        let mut chars = part.chars().peekable();
        let mut name = String::new();
        while let Some(c) = chars.next_if(|c| !c.is_whitespace() && *c != '>' && *c != '/') {
            name.push(c);
        }
        assert!(!name.is_empty(), "stray < before {part:?}");
        let mut attributes = Vec::new();
        loop {
            while chars.next_if(|c| c.is_whitespace() || *c == '/').is_some() {}
            let mut key = String::new();
            while let Some(c) = chars.next_if(|c| !c.is_whitespace() && !matches!(*c, '=' | '>' | '/')) {
                key.push(c);
            }
            if key.is_empty() {
                assert_eq!(chars.next(), Some('>'), "unclosed tag {part:?}");
                break;
            }
            let mut value = String::new();
            if chars.next_if_eq(&'=').is_some() {
                assert_eq!(chars.next(), Some('"'), "unquoted value in {part:?}");
                for c in chars.by_ref() {
                    if c == '"' {
                        break;
                    }
                    value.push(c);
                }
            }
            attributes.push((key, value));
        }
        tags.push(Tag { name, attributes });
    }
    tags
}

/// What every page must keep, whatever its input was.
fn check(what: &str, html: &str) {
    let tags = tags(html);
    let mut ids = BTreeSet::new();
    for tag in &tags {
        assert!(tag.name != "style" && tag.name != "object", "{what}: <{}>", tag.name);
        // A frame is for the HTML of a message, and may do nothing.
        let caged = tag.get("sandbox") == Some("") && tag.get("srcdoc").is_some() && tag.get("src").is_none();
        assert!(tag.name != "iframe" || caged, "{what}: {tag:?}");
        for (key, value) in &tag.attributes {
            assert!(key != "style" && !key.starts_with("on"), "{what}: {key} on <{}>", tag.name);
            assert!(
                key.bytes().all(|b| b.is_ascii_lowercase() || b == b'-' || b.is_ascii_digit() || b == b'B'),
                "{what}: attribute {key:?}"
            );
            if matches!(key.as_str(), "href" | "action" | "src") {
                let plain = value.replace("&amp;", "&");
                let file = tag.get("download").is_some() && plain.starts_with(safe::TEXT_FILE);
                assert!(file || safe::address(&plain).is_some() || safe::image(&plain).is_some(), "{what}: {key}={value}");
            }
            if key == "id" {
                assert!(ids.insert(value.clone()), "{what}: id {value} twice");
            }
        }
        match tag.name.as_str() {
            "script" => assert!(tag.get("src").is_some(), "{what}: inline script"),
            "form" => assert_eq!(tag.get("method"), Some("post"), "{what}"),
            "input" if tag.get("type") == Some("password") => assert_eq!(tag.get("value"), None, "{what}: a password came back"),
            _ => {}
        }
    }
    for tag in &tags {
        for key in ["aria-describedby", "aria-labelledby", "for", "data-peek"] {
            for id in tag.get(key).unwrap_or_default().split_whitespace() {
                assert!(ids.contains(id), "{what}: {key} names the missing {id}");
            }
        }
        if let Some(target) = tag.get("href").and_then(|href| href.strip_prefix('#')) {
            assert!(ids.contains(target) || target.starts_with("i-"), "{what}: #{target} leads nowhere");
        }
        if tag.name == "use" {
            assert!(
                tag.get("href").and_then(|href| href.strip_prefix('#')).is_some_and(|id| ids.contains(id)),
                "{what}: missing icon"
            );
        }
    }
    for form in html.split("<form ").skip(1) {
        let form = form.split("</form>").next().unwrap_or_default();
        assert!(form.contains("name=\"csrf_token\" value=\""), "{what}: form without csrf_token: {form}");
    }
    assert_eq!(tags.iter().filter(|tag| tag.name == "h1").count(), 1, "{what}");
    assert!(tags.iter().filter(|tag| tag.get("autofocus").is_some()).count() <= 1, "{what}");
    assert!(html.starts_with("<!doctype html>"), "{what}: {}", &html[..40]);
    assert!(!html.contains("{{") && !html.contains("{%") && !html.contains("undefined"), "{what}");
}

fn every_page(ctx: &PageContext) -> Vec<(&'static str, String)> {
    let mut refresh = fixture("login");
    refresh["refresh"] = json!(true);
    let identifier = node(&mut refresh, "default", "identifier");
    identifier["attributes"] =
        json!({"name": "identifier", "type": "hidden", "value": "mara@example.org", "disabled": false, "node_type": "input"});
    let failure = json!({"id": "e-1", "created_at": "2026-11-24T18:32:00Z", "error": {"id": "security_csrf_violation", "code": 403, "reason": "The token does not fit."}});
    vec![
        ("login", login(&fixture("login"), ctx).expect("login")),
        ("refresh", login(&refresh, ctx).expect("refresh")),
        ("registration", registration(&fixture("registration"), ctx).expect("registration")),
        ("settings", settings(&fixture("settings"), ctx).expect("settings")),
        ("enrolment", settings(&fixture("settings-enrol"), ctx).expect("enrolment")),
        ("codes", settings(&fixture("settings-codes"), ctx).expect("codes")),
        ("few codes", settings(&fixture("settings-second-step"), ctx).expect("few codes")),
        ("revealed codes", settings(&fixture("settings-revealed"), ctx).expect("revealed codes")),
        ("new codes", settings(&fixture("settings-renew"), ctx).expect("new codes")),
        ("second step", login(&fixture("login-second-step"), ctx).expect("second step")),
        ("keys", settings(&fixture("settings-keys"), ctx).expect("keys")),
        ("sign up with keys", registration(&fixture("registration-keys"), ctx).expect("sign up with keys")),
        ("sessions", device_page(&fixture("sessions"), ctx, Some(Ended::One("curl/8")))),
        ("error", error(&failure, ctx).expect("error")),
        ("empty error", error(&Value::Null, ctx).expect("error")),
        ("home", home(ctx).expect("home")),
        ("home outside", home(&PageContext { signed_in: None, ..ctx.clone() }).expect("home")),
        ("signed out", signed_out(ctx).expect("signed out")),
        ("not found", not_found(ctx).expect("not found")),
    ]
}

#[test]
fn every_page_keeps_the_rules_in_each_language_and_theme() {
    for (lang, tag) in [(Lang::En, "en"), (Lang::De, "de")] {
        for (theme, word) in
            [(None, ">"), (Some(Theme::Light), " data-theme=\"light\">"), (Some(Theme::Dark), " data-theme=\"dark\">")]
        {
            for (what, html) in every_page(&PageContext { theme, ..context(lang) }) {
                check(what, &html);
                assert!(html.contains(&format!("<html lang=\"{tag}\"{word}")), "{what}");
                assert!(html.contains("· Example &amp; Co</title>"), "{what}");
                assert!(html.contains(&format!("href=\"/base/ui/assets/{}\"", stylesheet_name())), "{what}");
            }
        }
    }
    let german = login(&fixture("login"), &context(Lang::De)).expect("login");
    assert!(german.contains("<h1>Anmelden</h1>") && german.contains("Weiter mit GitHub") && german.contains("hreflang=\"en\""));
}

#[test]
fn each_node_reaches_the_page() {
    let ctx = context(Lang::En);
    for name in [
        "login",
        "login-second-step",
        "registration",
        "settings",
        "settings-enrol",
        "settings-codes",
        "settings-second-step",
        "settings-revealed",
        "settings-renew",
        "settings-keys",
        "registration-keys",
    ] {
        let html = match name {
            _ if name.starts_with("registration") => registration(&fixture(name), &ctx),
            _ if name.starts_with("login") => login(&fixture(name), &ctx),
            _ => settings(&fixture(name), &ctx),
        };
        let html = html.expect(name);
        let tags = tags(&html);
        for node in fixture(name)["ui"]["nodes"].as_array().expect("nodes") {
            let attributes = &node["attributes"];
            let found = match (attributes["name"].as_str(), attributes["id"].as_str()) {
                (Some(name), _) => {
                    let value = attributes["value"].as_str().filter(|_| attributes["type"] == "submit");
                    tags.iter()
                        .any(|tag| tag.get("name") == Some(name) && value.is_none_or(|value| tag.get("value") == Some(value)))
                }
                (None, id) => tags.iter().any(|tag| tag.get("id") == id),
            };
            assert!(found, "{name}: {attributes}");
        }
    }
}

#[test]
fn settings_forms_come_back_at_their_section_and_resubmit_every_trait() {
    let html = settings(&fixture("settings"), &context(Lang::En)).expect("settings");
    let profile =
        html.split("#profile\" method=\"post\"").nth(1).and_then(|rest| rest.split("</form>").next()).expect("profile form");
    for name in ["traits.email", "traits.name.first", "traits.age", "traits.newsletter"] {
        assert!(profile.contains(&format!("name=\"{name}\"")), "{name}");
    }
    assert!(profile.contains("value=\"0\"") && profile.contains("checked"));
    // An empty value goes ahead of a required tick box, so that unticking it still sends the trait.
    assert!(profile.contains("<input type=\"hidden\" name=\"traits.newsletter\" value=\"\">"));
    assert!(profile.contains(">Save</button>") && html.contains(">Save the password</button>"));
    // Codes that are on the page come first.
    let order: Vec<usize> = ["lookup_secret", "profile", "password", "webauthn", "oidc", "captcha", "link"]
        .iter()
        .map(|id| html.find(&format!("<section class=\"card\" id=\"{id}\"")).expect(id))
        .collect();
    assert!(order.is_sorted(), "{order:?}");
    for tag in tags(&html).iter().filter(|tag| tag.name == "section") {
        if let Some(id) = tag.get("id") {
            assert!(html.contains(&format!("#{id}\" method=\"post\"")), "{id}");
        }
    }
    // Removing a key is a form of its own: Enter in the name field must not press it.
    let removal = html.split("name=\"webauthn_remove\"").next().and_then(|before| before.rsplit("<form ").next()).expect("form");
    assert!(!removal.contains("webauthn_register_displayname"));
    assert!(html.contains("Remove the security key “Blue key”"));
    assert!(!html.contains("Used up on") && html.contains(">Used 4 Oct</time></small>"));
    assert!(!html.contains(">Set<"), "the nodes never say whether there is a password");
}

#[test]
fn two_field_errors_make_a_summary_and_one_takes_the_focus() {
    let ctx = context(Lang::En);
    let mut flow = fixture("registration");
    refuse(&mut flow, "default", "traits.email", "Enter the address in full.");
    let one = registration(&flow, &ctx).expect("page");
    check("one error", &one);
    assert!(one.contains("<title>Error: Create an account · ") && !one.contains("data-errors"));
    assert!(one.contains("aria-describedby=\"in-traits-email-e\" aria-invalid=\"true\" autofocus"));
    refuse(&mut flow, "password", "password", "Use at least 8 characters.");
    let two = registration(&flow, &ctx).expect("page");
    check("two errors", &two);
    assert!(two.contains("2 answers need another look") && !two.contains(" autofocus"));
    for (id, text) in [("in-traits-email", "Enter the address in full."), ("in-password", "Use at least 8 characters.")] {
        assert!(two.contains(&format!("<a href=\"#{id}\">{text}</a>")), "{id}");
        assert_eq!(two.matches(text).count(), 2, "{text}");
    }
}

#[test]
fn messages_stand_where_they_belong() {
    let ctx = context(Lang::En);
    let mut flow = fixture("login");
    node(&mut flow, "default", "identifier")["attributes"]["value"] = json!("mara@example.org");
    flow["ui"]["messages"] = json!([{"id": 4_000_006, "text": "Those two do not fit together. Check both.", "type": "error"}]);
    let html = login(&flow, &ctx).expect("login");
    assert!(html.contains("<title>Error: Sign in"));
    assert!(html.contains("data-errors") && html.contains("<b>Those two do not fit together.</b></p><p>Check both.</p>"));
    assert!(html.contains("value=\"mara@example.org\"") && !html.contains(" autofocus"));

    let mut flow = fixture("settings");
    flow["ui"]["messages"] = json!([{"id": 1_050_001, "text": "Your changes are saved.", "type": "success"}]);
    let html = settings(&flow, &ctx).expect("settings");
    check("saved", &html);
    assert!(
        html.contains("<title>Sign-in &amp; profile")
            && html.contains("class=\"lead\"")
            && html.contains("class=\"msg good echo\"")
    );
    flow["active"] = json!("oidc");
    let html = settings(&flow, &ctx).expect("settings");
    let section = html.split("id=\"oidc\"").nth(1).expect("section");
    assert!(section.contains("Your changes are saved.") && !html.contains("class=\"lead\"") && !html.contains(" echo\""));

    // A node that exists only for its message is a message, not an empty field.
    flow["ui"]["nodes"].as_array_mut().expect("nodes").push(json!({"type": "input", "group": "default", "attributes": {"name": "passkey_remove", "type": "text", "disabled": false, "node_type": "input"}, "messages": [{"id": 4_000_001, "text": "It is your only way in.", "type": "error"}], "meta": {}}));
    let html = settings(&flow, &ctx).expect("settings");
    check("stray", &html);
    assert!(
        html.contains("It is your only way in.") && !html.contains("name=\"passkey_remove\"") && html.contains("<title>Error: ")
    );

    let mut flow = fixture("settings");
    flow["ui"]["messages"] = json!([{"id": 1_060_001, "text": "You are back in. Choose a new password.", "type": "success"}]);
    let html = settings(&flow, &ctx).expect("settings");
    let section = html.split("id=\"password\"").nth(1).expect("section");
    assert!(section.contains("<details open>") && section.contains("You are back in."));
    let head = html.split("id=\"profile\"").next().expect("what stands before the sections");
    assert!(head.contains("class=\"lead\"") && head.contains("You are back in.") && head.contains("href=\"#password\""));
}

#[test]
fn links_between_sign_in_and_sign_up_keep_the_return_address() {
    let ctx = context(Lang::En);
    let html = login(&fixture("login"), &ctx).expect("login");
    let carried = "/self-service/registration/browser?return_to=https%3A%2F%2Fapp.example%2Fa%3Fb%3Dc%26d";
    assert!(html.contains(&format!("href=\"{carried}\"")));
    let mut flow = fixture("registration");
    flow["ui"]["messages"] = json!([{"id": 4_000_007, "text": "That address is taken. Sign in instead.", "type": "error"}]);
    let html = registration(&flow, &ctx).expect("registration");
    assert_eq!(html.matches("href=\"/self-service/login/browser?return_to=https%3A%2F%2Fapp.example%2F\"").count(), 2);
    let closed = PageContext { registration_url: None, recovery_url: None, ..ctx };
    let html = login(&fixture("login"), &closed).expect("login");
    assert!(!html.contains("New here?") && !html.contains("Forgot it?"));
}

#[test]
fn sign_in_shares_one_form_only_where_the_identifier_is_needed() {
    let html = login(&fixture("login"), &context(Lang::En)).expect("login");
    let main = html.split("<form ").nth(1).expect("form");
    assert!(main.contains("name=\"identifier\"") && main.contains("value=\"password\">Sign in</button>"));
    assert!(main.contains("value=\"code\" formnovalidate>Send me a code</button>"));
    let others: Vec<&str> = html.split("<form ").skip(2).collect();
    assert_eq!(others.len(), 2);
    assert!(others.iter().all(|form| !form.contains("name=\"identifier\"")));
    assert!(
        html.contains("data-trigger=\"oryPasskeyLogin\" hidden>")
            && html.contains("data-onload=\"oryPasskeyLoginAutocompleteInit\"")
    );
    assert!(!html.contains("window.ory"), "code strings of the wire are ignored");
}

#[test]
fn what_an_earlier_step_asked_for_goes_along_and_script_only_values_stay() {
    let hidden = |group: &str, name: &str, value: &str| json!({"type": "input", "group": group, "attributes": {"name": name, "type": "hidden", "value": value, "disabled": false, "node_type": "input"}, "messages": [], "meta": {}});
    let mut flow = fixture("login");
    let nodes = flow["ui"]["nodes"].as_array_mut().expect("nodes");
    nodes.retain(|node| {
        node["attributes"]["name"] != "identifier"
            && node["attributes"]["name"] != "passkey_login_trigger"
            && node["group"] != "oidc"
    });
    nodes.insert(0, hidden("identifier_first", "identifier", "mara@example.org"));
    let html = login(&flow, &context(Lang::En)).expect("login");
    check("second step of two", &html);
    let forms: Vec<&str> = html.split("<form ").skip(1).collect();
    assert_eq!(forms.len(), 3, "password, code, and the passkey form that a script sends");
    assert!(forms.iter().all(|form| form.contains("name=\"identifier\" value=\"mara@example.org\"")));
    assert!(forms[2].contains("hidden>") && forms[2].contains("name=\"passkey_challenge\""));
    assert!(html.contains("<span dir=\"auto\">mara@example.org</span>"));

    let mut flow = fixture("settings");
    flow["ui"]["nodes"].as_array_mut().expect("nodes").push(hidden("deviceauthn", "device_nonce", "n1"));
    let html = settings(&flow, &context(Lang::En)).expect("settings");
    check("silent", &html);
    assert!(html.contains("name=\"device_nonce\" value=\"n1\"") && !html.contains("<section class=\"card\" id=\"deviceauthn\""));
}

#[test]
fn confirming_names_the_account_and_offers_the_way_back() {
    let pages = every_page(&context(Lang::En));
    let (_, html) = pages.iter().find(|(what, _)| *what == "refresh").expect("refresh");
    assert!(html.contains("<h1>Confirm it’s you</h1>") && html.contains(">Confirm</button>"));
    assert!(html.contains(
        "<span dir=\"auto\">mara@example.org</span><a href=\"https://id.example/self-service/logout?token=x\">Not you?</a>"
    ));
    assert!(html.contains("<input type=\"hidden\" name=\"identifier\" value=\"mara@example.org\" autocomplete=\"username\">"));
    assert!(html.contains("Confirm with a passkey") && html.contains("href=\"/self-service/settings/browser\">Cancel"));
}

#[test]
fn devices_are_named_and_each_has_its_form() {
    let html = device_page(&fixture("sessions"), &context(Lang::En), Some(Ended::Others));
    for text in [
        "Firefox on Linux",
        "Safari on iPhone",
        "“NotesForAndroid”",
        "password, authenticator app",
        "2001:db8:4a::17",
        "github account",
        "Signed out everywhere else.",
    ] {
        assert!(html.contains(text), "{text}");
    }
    assert!(html.contains("<time datetime=\"2026-11-24T16:04:00Z\">24 Nov 2026, 16:04 UTC</time>"));
    assert_eq!(html.matches("<form ").count(), 3);
    assert!(!html.contains("value=\"10000000-0000-4000-8000-000000000001\""), "this device has no form");
    assert!(
        html.contains("name=\"session\" value=\"10000000-0000-4000-8000-000000000002\"")
            && html.contains("value=\"tok&quot;en\"")
    );
    let alone = json!([fixture("sessions")[0]]);
    let html = device_page(&alone, &context(Lang::En), None);
    assert!(html.contains("on this device only") && !html.contains("<form "));
}

const HOSTILE: [&str; 6] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "{{ 7777 * 3 }}{% raw %}<!--icons-->",
    "</title><style>*{}</style>&lt;b&gt;",
];

/// Puts hostile text into every string of a JSON value but the structural ones.
fn poison(value: &mut Value, key: &str, text: &str) {
    match value {
        Value::String(old) => {
            if !matches!(key, "type" | "node_type" | "group" | "action" | "method" | "requested_aal") {
                *old = text.to_owned();
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|item| poison(item, key, text)),
        Value::Object(map) => map.iter_mut().for_each(|(key, item)| poison(item, key, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[test]
fn hostile_text_stays_text_on_every_page() {
    for text in HOSTILE {
        let ctx = PageContext {
            brand: text.to_owned(),
            public_base: text.to_owned(),
            signed_in: Some(Person { name: None, email: Some(text.to_owned()) }),
            logout_url: Some(text.to_owned()),
            login_url: text.to_owned(),
            registration_url: Some(text.to_owned()),
            recovery_url: Some(text.to_owned()),
            verification_url: Some(text.to_owned()),
            settings_url: text.to_owned(),
            sessions_url: Some(text.to_owned()),
            language_url: Some(text.to_owned()),
            mailbox_url: Some(text.to_owned()),
            footer: vec![FooterLink { label: text.to_owned(), href: text.to_owned() }],
            ..context(Lang::En)
        };
        let poisoned = |name: &str| {
            let mut value = fixture(name);
            value["ui"]["messages"] = json!([{"id": 4_000_001, "text": "x", "type": "error"}]);
            for node in value["ui"]["nodes"].as_array_mut().into_iter().flatten() {
                node["messages"] = json!([{"id": 4_000_001, "text": "x", "type": "error"}]);
            }
            poison(&mut value, "", text);
            // Forms are checked for their token, so that name stays.
            if let Some(nodes) = value["ui"]["nodes"].as_array_mut() {
                let token = nodes.iter_mut().find(|node| node["group"] == "default" && node["attributes"]["type"] == "hidden");
                token.expect("token")["attributes"]["name"] = json!("csrf_token");
            }
            value
        };
        let letter = Letter { id: text, recipient: text, subject: text, text, html: Some(text), time: text, template: text };
        let letters = Mailbox { letters: &[letter], open: Some(text), more: true, address: text };
        let codes: Value = serde_json::from_str(include_str!("../fixtures/mailed.json")).expect("fixture");
        let mut poisoned_codes = Vec::new();
        let social: Value = serde_json::from_str(include_str!("../fixtures/social.json")).expect("fixture");
        for (name, flow) in codes.as_object().into_iter().chain(social.as_object()).flatten() {
            let mut flow = flow.clone();
            poison(&mut flow, "", text);
            for node in flow["ui"]["nodes"].as_array_mut().into_iter().flatten().filter(|node| node["group"] == "default") {
                node["attributes"]["name"] = json!("csrf_token");
            }
            poisoned_codes.push((name, mailed::draw(name, &flow, &ctx)));
        }
        let mut list = fixture("sessions");
        poison(&mut list, "", text);
        list[1]["id"] = json!("other");
        let failure = json!({"id": text, "created_at": text, "error": {"id": text, "reason": text, "message": text}});
        let pages = [
            ("login", login(&poisoned("login"), &ctx).expect("login")),
            ("registration", registration(&poisoned("registration"), &ctx).expect("registration")),
            ("settings", settings(&poisoned("settings"), &ctx).expect("settings")),
            ("enrolment", settings(&poisoned("settings-enrol"), &ctx).expect("enrolment")),
            ("codes", settings(&poisoned("settings-codes"), &ctx).expect("codes")),
            ("second step", login(&poisoned("login-second-step"), &ctx).expect("second step")),
            ("keys", settings(&poisoned("settings-keys"), &ctx).expect("keys")),
            ("sessions", device_page(&list, &ctx, Some(Ended::One(text)))),
            ("error", error(&failure, &ctx).expect("error")),
            ("home", home(&ctx).expect("home")),
            ("mailbox", mailbox(&letters, &ctx).expect("mailbox")),
        ];
        let pages = pages.into_iter().chain(poisoned_codes.iter().map(|(name, html)| (name.as_str(), html.clone())));
        for (what, html) in pages {
            if text.contains("{{") {
                // Template syntax in a value is printed, never run.
                assert!(html.contains("{{ 7777 * 3 }}{% raw %}") && !html.contains("23331"), "{what}");
                assert_eq!(html.matches("<svg hidden").count(), 1, "{what}");
                continue;
            }
            check(&format!("{what} with {text}"), &html);
            assert!(!html.contains("<script>") && !html.contains("<img src=x"), "{what}: {text}");
        }
    }
}

#[test]
fn refused_addresses_and_pictures_become_text_and_scripts_stay_away() {
    let mut flow = fixture("settings");
    node(&mut flow, "link", "help_link")["attributes"]["href"] = json!("javascript:alert(1)");
    node(&mut flow, "totp", "totp_qr")["attributes"]["src"] = json!("https://tracker.example/x.png");
    node(&mut flow, "webauthn", "webauthn_script")["attributes"]["src"] = json!("data:text/javascript,alert(1)");
    node(&mut flow, "webauthn", "webauthn_register_trigger")["attributes"]["onclickTrigger"] = json!("alert");
    node(&mut flow, "password", "password")["attributes"]["value"] = json!("hunter2hunter2");
    let html = settings(&flow, &context(Lang::En)).expect("settings");
    check("refused", &html);
    assert!(html.contains("<p>javascript:alert(1)</p>") && html.contains("<p>https://tracker.example/x.png</p>"));
    assert!(
        !html.contains("<img")
            && !html.contains("data:text/javascript")
            && !html.contains("data-trigger")
            && !html.contains("hunter2")
    );

    flow["ui"]["action"] = json!("javascript:alert(1)");
    assert!(matches!(settings(&flow, &context(Lang::En)), Err(PageError::Malformed("ui.action"))));
    assert!(matches!(login(&Value::Null, &context(Lang::En)), Err(PageError::Malformed("ui.action"))));
}

#[test]
fn malformed_nodes_never_break_a_page() {
    let odd = json!([null, 1, "x", {}, {"type": "novel", "group": "novel", "attributes": {"id": "thing", "node_type": "novel"}}, {"group": "default", "attributes": {"name": "csrf_token", "type": "hidden", "value": ""}}]);
    let flow = json!({"ui": {"action": "/x?flow=1", "nodes": odd, "messages": "none"}});
    for html in [login(&flow, &context(Lang::En)), registration(&flow, &context(Lang::En)), settings(&flow, &context(Lang::En))] {
        let html = html.expect("page");
        check("odd nodes", &html);
        assert!(html.contains("id=\"thing\""));
    }
    let empty = json!({"ui": {"action": "/x?flow=1", "nodes": null}});
    check("no nodes", &login(&empty, &context(Lang::En)).expect("page"));
}
