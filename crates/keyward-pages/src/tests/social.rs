//! Accounts that people have elsewhere: signing in and up with them, connecting and disconnecting them.
//! Over flows in the shape of the contract's samples, changed where a case needs it.

use super::mailed::draw;
use super::second_step::{drop_nodes, section};
use super::*;

fn flow(name: &str) -> Value {
    let flows: Value = serde_json::from_str(include_str!("../../fixtures/social.json")).expect("fixture");
    assert!(flows[name].is_object(), "{name}");
    flows[name].clone()
}

fn draw_in(name: &str, flow: &Value, lang: Lang) -> String {
    let html = draw(name, flow, &PageContext { signed_in: None, ..context(lang) });
    check(name, &html);
    html
}

fn show(name: &str, lang: Lang) -> String {
    draw_in(name, &flow(name), lang)
}

/// The form with this button.
fn form<'h>(html: &'h str, name: &str, value: &str) -> &'h str {
    let wanted = format!("name=\"{name}\" value=\"{value}\"");
    html.split("<form ")
        .skip(1)
        .map(|form| form.split("</form>").next().unwrap_or_default())
        .find(|form| form.contains(&wanted))
        .unwrap_or_else(|| panic!("no {wanted}"))
}

/// `<button …>` with its words.
fn button<'h>(html: &'h str, name: &str, value: &str) -> &'h str {
    let form = form(html, name, value);
    let at = form.find(&format!("name=\"{name}\" value=\"{value}\"")).expect("the button");
    let start = form[..at].rfind("<button").expect("a button");
    form[start..].split("</button>").next().expect("its end")
}

/// The line of the account with this button, as far as its section tells.
fn row<'h>(html: &'h str, name: &str, value: &str) -> &'h str {
    let section = section(html, "oidc");
    let at = section.find(&format!("name=\"{name}\" value=\"{value}\"")).unwrap_or_else(|| panic!("no row of {value}"));
    let start = section[..at].rfind("<li>").expect("a row");
    section[start..].split("</li>").next().expect("its end")
}

#[test]
fn every_flow_keeps_the_rules_and_shows_every_node() {
    let flows: Value = serde_json::from_str(include_str!("../../fixtures/social.json")).expect("fixture");
    for (name, flow) in flows.as_object().expect("flows") {
        for lang in [Lang::En, Lang::De] {
            let html = draw_in(name, flow, lang);
            let tags = tags(&html);
            for node in flow["ui"]["nodes"].as_array().expect("nodes") {
                let attributes = &node["attributes"];
                let value = attributes["value"].as_str().filter(|_| attributes["type"] == "submit");
                let stands = tags.iter().any(|tag| {
                    tag.get("name") == attributes["name"].as_str() && value.is_none_or(|value| tag.get("value") == Some(value))
                });
                // What may not be disconnected has a reason in the place of its button.
                let is_kept = attributes["name"] == "unlink" && attributes["disabled"] == true;
                assert!(stands != is_kept, "{name}: {attributes}");
            }
        }
    }
}

#[test]
fn a_few_buttons_say_all_and_many_share_a_line_that_says_it() {
    let html = show("login-only", Lang::En);
    assert!(
        button(&html, "provider", "github").ends_with("<span class=\"mono\" aria-hidden=\"true\">G</span>Continue with GitHub")
    );
    assert!(!html.contains("aria-label=\"Continue") && !html.contains("class=\"acts many\""));

    for (name, lang, lead, spoken) in [
        ("login-many", Lang::En, "Continue with", "Continue with Google"),
        ("login-many", Lang::De, "Weiter mit", "Weiter mit Google"),
        ("registration-many", Lang::En, "Sign up with", "Sign up with Google"),
        ("registration-many", Lang::De, "Registrieren mit", "Registrieren mit Google"),
    ] {
        let html = show(name, lang);
        let google = button(&html, "provider", "google");
        assert!(google.ends_with("</span>Google") && google.contains(&format!("aria-label=\"{spoken}\"")), "{google}");
        assert!(form(&html, "provider", "google").contains(&format!("<p>{lead}</p>")), "{name}");
        assert!(html.contains("class=\"acts many\""));
    }
    // Three say it all; what was typed for the password is not held against a provider's button.
    let mut three = flow("login-many");
    let nodes = three["ui"]["nodes"].as_array_mut().expect("nodes");
    let mut kept = 0;
    nodes.retain(|node| {
        kept += i32::from(node["group"] == "oidc");
        node["group"] != "oidc" || kept <= 3
    });
    let html = draw_in("login-many", &three, Lang::En);
    assert!(button(&html, "provider", "github").ends_with("Continue with GitHub"));
    assert!(button(&html, "provider", "github").contains(" formnovalidate"));
    assert!(!form(&html, "provider", "github").contains("name=\"password\""));
}

#[test]
fn a_providers_button_sends_no_more_than_the_token_and_works_without_scripts() {
    for name in ["login-many", "registration-many"] {
        let html = show(name, Lang::En);
        let form = form(&html, "provider", "github");
        assert_eq!(form.matches("<input ").count(), 1, "{form}");
        assert!(form.contains("name=\"csrf_token\"") && !form.contains("data-trigger") && !form.contains(" hidden>"));
    }
}

#[test]
fn an_address_that_has_an_account_leads_to_signing_in_there() {
    for (lang, title, text, verb, google, aside) in [
        (
            Lang::En,
            "You already have an account",
            "mara@example.org belongs to an account here. Sign in to it the way you usually do, and GitHub is connected",
            "Sign in and connect",
            "Confirm with Google",
            "Sign in without connecting",
        ),
        (
            Lang::De,
            "Sie haben schon ein Konto",
            "mara@example.org gehört schon zu einem Konto. Melden Sie sich dort wie gewohnt an, dann wird GitHub verbunden",
            "Anmelden und verbinden",
            "Bestätigen mit Google",
            "Ohne Verbinden anmelden",
        ),
    ] {
        let html = show("login-connect", lang);
        for text in [&format!("<h1>{title}</h1>"), text, &format!(">{aside}</a>")] {
            assert!(html.contains(text), "{text}");
        }
        assert!(button(&html, "method", "password").ends_with(&format!(">{verb}")));
        assert!(button(&html, "provider", "google").ends_with(google));
        assert!(html.contains("<span dir=\"auto\">mara@example.org</span>") && !html.contains("<title>Error"));
        for form in html.split("<form ").skip(1) {
            assert!(form.contains("name=\"identifier\" value=\"mara@example.org\""), "{form}");
        }
    }
    // A wrong password is told beside it.
    let mut wrong = flow("login-connect");
    let refused = json!({"id": 4_000_006, "text": "Those two do not fit. Check both.", "type": "error"});
    wrong["ui"]["messages"].as_array_mut().unwrap().push(refused);
    let html = draw_in("login-connect", &wrong, Lang::En);
    assert!(html.contains("<title>Error: You already have an account") && html.contains(">Sign in and connect</button>"));
    // Names that are missing are not guessed at.
    let mut bare = flow("login-connect");
    bare["ui"]["messages"][0]["context"] = json!({});
    assert!(draw_in("login-connect", &bare, Lang::En).contains("mara@example.org belongs to an account already."));
}

#[test]
fn confirming_with_a_provider_says_so() {
    let html = draw("login-confirm", &flow("login-confirm"), &context(Lang::En));
    assert!(html.contains("<h1>Confirm it’s you</h1>") && button(&html, "provider", "github").ends_with("Confirm with GitHub"));
}

#[test]
fn what_a_provider_did_not_tell_is_asked_for_in_one_form() {
    let html = show("registration-complete", Lang::En);
    assert!(html.contains("<title>Error: Almost done") && html.contains("did not tell us everything"));
    let form = form(&html, "provider", "github");
    for name in ["csrf_token", "traits.email", "traits.name.first", "traits.website"] {
        assert!(form.contains(&format!("name=\"{name}\"")), "{name}");
    }
    // The main action, which the browser checks the fields for.
    assert_eq!(
        button(&html, "provider", "github"),
        "<button class=\"btn main full\" name=\"provider\" value=\"github\">Continue"
    );
    assert!(form.contains("value=\"Mara\"") && form.contains("aria-invalid=\"true\" autofocus"));

    // With `feature_flags.legacy_oidc_registration_node_group` the fields are in the provider's group.
    let mut legacy = flow("registration-complete");
    for node in legacy["ui"]["nodes"].as_array_mut().expect("nodes") {
        if node["attributes"]["name"] != "csrf_token" {
            node["group"] = json!("oidc");
        }
    }
    let html = draw_in("registration-complete", &legacy, Lang::En);
    assert!(button(&html, "provider", "github").contains("class=\"btn main full\" name=\"provider\" value=\"github\">"));
}

#[test]
fn connected_accounts_say_what_disconnecting_means_and_others_connect_at_once() {
    for (lang, count, connected, gone, not, connect, spoken) in [
        (
            Lang::En,
            "1 connected",
            "Connected",
            "After this you can no longer sign in with GitHub.",
            "Not connected",
            "Connect",
            "Connect Google",
        ),
        (
            Lang::De,
            "1 verbunden",
            "Verbunden",
            "Danach können Sie sich nicht mehr mit GitHub anmelden.",
            "Nicht verbunden",
            "Verbinden",
            "Google verbinden",
        ),
    ] {
        let html = show("settings-connected", lang);
        let own = section(&html, "oidc");
        assert!(own.contains(&format!("{count}</span>")) && own.contains("Your changes are saved."));
        let github = row(&html, "unlink", "github");
        let said = github.find(gone).expect("what it means");
        assert!(github.contains("<details><summary") && said < github.find("<button").expect("the button"));
        assert!(github.contains(&format!("{connected}</span>")) && github.contains("class=\"btn risk\""));
        assert!(button(&html, "unlink", "github").ends_with("GitHub trennen") || lang == Lang::En);
        let google = row(&html, "link", "google");
        assert!(!google.contains("<details") && google.contains(not) && google.contains("<b>Google</b>"));
        assert!(button(&html, "link", "google").ends_with(&format!(">{connect}")));
        assert!(button(&html, "link", "google").contains(&format!("aria-label=\"{spoken}\"")));
        for (name, value) in [("unlink", "github"), ("link", "google"), ("link", "workspace")] {
            let form = form(&html, name, value);
            assert!(form.contains("#oidc\" method=\"post\"") && form.matches("<button").count() == 1, "{form}");
        }
    }
}

#[test]
fn nothing_is_claimed_that_the_nodes_do_not_say() {
    // An account that is the only way in is connected and has no node.
    let mut only = flow("settings-connected");
    drop_nodes(&mut only, &["unlink"]);
    let html = draw_in("settings-connected", &only, Lang::En);
    assert!(!section(&html, "oidc").contains("class=\"tag"));
    let mut none = flow("settings-connected");
    drop_nodes(&mut none, &["unlink", "link"]);
    let html = draw_in("settings-connected", &none, Lang::En);
    assert!(!html.contains("id=\"oidc\"") && html.contains("class=\"lead\""), "the message finds another place");
}

#[test]
fn a_refusal_stands_in_the_section() {
    let html = show("settings-refused", Lang::En);
    assert!(html.contains("<title>Error: "));
    let own = section(&html, "oidc");
    assert!(own.contains("<b>The sign-in at the provider was cancelled.</b></p><p>Nothing was changed.</p>"));
    assert!(own.contains("data-errors") && !html.contains("class=\"lead\""));
    // Who cannot sign up is shown the way in.
    for (id, place) in [(4_000_027, "registration-many"), (4_010_009, "login-connect")] {
        let mut refused = flow(place);
        refused["ui"]["messages"] = json!([{"id": id, "text": "As the flow says it.", "type": "error"}]);
        let html = draw_in(place, &refused, Lang::En);
        assert!(html.contains("<b>As the flow says it.</b>") && html.contains("<title>Error: "), "{id}");
        assert_eq!(html.contains("<p class=\"acts\"><a class=\"btn\" href="), id == 4_000_027, "{id}");
    }
}

#[test]
fn what_an_organisation_looks_after_has_reasons_and_no_buttons() {
    for (lang, message, kept, refused) in [
        (Lang::En, "Your organisation looks after this account.", "can’t be removed here", "nothing else can be connected"),
        (Lang::De, "Your organisation", "lässt sie sich hier nicht trennen", "lässt sich nichts anderes verbinden"),
    ] {
        let html = show("settings-organization", lang);
        let own = section(&html, "oidc");
        for words in [message, kept, refused] {
            assert!(own.contains(words), "{words}");
        }
        assert!(!own.contains("name=\"unlink\"") && button(&html, "link", "other").contains(" disabled>"));
    }
}

#[test]
fn names_of_providers_stay_text() {
    for name in ["login-many", "login-connect", "registration-many", "settings-connected", "settings-organization"] {
        let mut hostile = flow(name);
        for node in hostile["ui"]["nodes"].as_array_mut().expect("nodes").iter_mut().filter(|node| node["group"] == "oidc") {
            node["meta"]["label"]["context"]["provider"] = json!("\"><script>alert(1)</script>");
        }
        for message in hostile["ui"]["messages"].as_array_mut().into_iter().flatten() {
            message["context"] = json!({"provider": "<script>alert(1)</script>", "duplicateIdentifier": "<img src=x>"});
        }
        let html = draw_in(name, &hostile, Lang::En);
        assert!(!html.contains("<script>") && !html.contains("<img"), "{name}");
        let mut long = flow(name);
        for node in long["ui"]["nodes"].as_array_mut().expect("nodes").iter_mut().filter(|node| node["group"] == "oidc") {
            node["meta"]["label"]["context"]["provider"] = json!("x".repeat(500));
        }
        assert!(!draw_in(name, &long, Lang::En).contains(&"x".repeat(65)), "{name}");
    }
}
