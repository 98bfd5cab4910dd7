//! Recovery, verification and the other places where a mailed code is asked for, and the mailbox.
//! Over answers recorded from a server that speaks the same interface; the steps with several addresses are written after the
//! interface's description.

use super::second_step::{Change, section};
use super::*;

fn flows() -> Value {
    serde_json::from_str(include_str!("../../fixtures/mailed.json")).expect("fixture")
}

fn flow(name: &str) -> Value {
    let flow = flows()[name].take();
    assert!(flow.is_object(), "{name}");
    flow
}

/// The page for a flow of this name.
pub(super) fn draw(name: &str, flow: &Value, ctx: &PageContext) -> String {
    match name.split('-').next() {
        Some("recovery") => recovery(flow, ctx),
        Some("verification") => verification(flow, ctx),
        Some("registration") => registration(flow, ctx),
        Some("settings") => settings(flow, ctx),
        _ => login(flow, ctx),
    }
    .expect(name)
}

fn show(name: &str) -> String {
    draw(name, &flow(name), &outside())
}

fn outside() -> PageContext {
    PageContext { signed_in: None, logout_url: None, ..context(Lang::En) }
}

fn forms(html: &str) -> Vec<&str> {
    html.split("<form ").skip(1).map(|form| form.split("</form>").next().expect("form")).collect()
}

#[test]
fn every_step_keeps_the_rules_of_all_pages() {
    for lang in [Lang::En, Lang::De] {
        for ctx in [context(lang), PageContext { signed_in: None, logout_url: None, ..context(lang) }] {
            for (name, flow) in flows().as_object().expect("flows") {
                check(name, &draw(name, flow, &ctx));
            }
        }
    }
}

#[test]
fn every_node_reaches_the_page_and_every_form_carries_what_is_hidden() {
    for (name, flow) in flows().as_object().expect("flows").iter().filter(|(name, _)| !name.ends_with("-done")) {
        let html = draw(name, flow, &outside());
        let action = flow["ui"]["action"].as_str().expect("action");
        let nodes = flow["ui"]["nodes"].as_array().expect("nodes");
        for node in nodes {
            let attributes = &node["attributes"];
            let value = attributes["value"].as_str().filter(|_| attributes["type"] == "submit");
            let fits = |tag: &Tag| {
                tag.get("name") == attributes["name"].as_str() && value.is_none_or(|value| tag.get("value") == Some(value))
            };
            assert!(tags(&html).iter().any(fits), "{name}: {attributes}");
        }
        let forms = forms(&html);
        assert!(!forms.is_empty(), "{name}");
        for form in forms {
            assert!(form.starts_with(&format!("action=\"{action}\" method=\"post\"")), "{name}: {form}");
            for hidden in nodes.iter().filter(|node| node["attributes"]["type"] == "hidden") {
                let field = format!("<input type=\"hidden\" name=\"{}\"", hidden["attributes"]["name"].as_str().expect("name"));
                assert!(form.contains(&field), "{name}: no {field} in {form}");
            }
        }
    }
}

#[test]
fn the_code_is_asked_for_as_phones_like_it() {
    for name in ["recovery-sent", "recovery-2-code", "verification-sent", "login-sent", "login-second-sent", "registration-sent"]
    {
        let html = show(name);
        let tags = tags(&html);
        let field = tags.iter().find(|tag| tag.get("name") == Some("code")).expect("field");
        for (attribute, value) in [
            ("inputmode", "numeric"),
            ("autocomplete", "one-time-code"),
            ("maxlength", "7"),
            ("pattern", r"[0-9 \-]*"),
            ("class", "otp"),
        ] {
            assert_eq!(field.get(attribute), Some(value), "{name}: {attribute}");
        }
        assert!(field.get("required").is_some() && field.get("autofocus").is_some(), "{name}");
        assert!(html.contains("mara@example.org") || html.contains("ma****@example.org"), "{name} says where to look");
    }
}

#[test]
fn another_code_is_asked_for_without_what_was_typed() {
    for (name, button, value) in [
        ("recovery-sent", "email", "mara@example.org"),
        ("recovery-2-code", "recovery_confirm_address", "mara@example.org"),
        ("verification-sent", "email", "mara@example.org"),
        ("login-sent", "resend", "code"),
        ("login-second-sent", "resend", "code"),
        ("registration-sent", "resend", "code"),
    ] {
        let html = show(name);
        let forms = forms(&html);
        assert_eq!(forms.len(), 2, "{name}");
        let button = format!("name=\"{button}\" value=\"{value}\"");
        assert!(forms[0].contains("name=\"code\"") && !forms[0].contains(&button), "{name}");
        assert!(forms[1].contains(&button) && !forms[1].contains("name=\"code\""), "{name}");
        assert!(forms[1].contains(">Send a new code</button>") && forms[1].contains("spam folder"), "{name}");
    }
}

#[test]
fn a_way_back_is_there_without_the_flow_offering_one() {
    for (name, href) in [
        ("recovery-sent", "/self-service/recovery/browser"),
        ("verification-sent", "/self-service/verification/browser"),
        ("login-sent", "/self-service/login/browser"),
        ("registration-sent", "/self-service/registration/browser"),
    ] {
        assert!(show(name).contains(&format!("<a class=\"btn bare\" href=\"{href}\">Use another address</a>")), "{name}");
    }
    let chosen = show("recovery-2-code");
    assert!(chosen.contains("<button class=\"btn bare\" name=\"screen\" value=\"previous\" formnovalidate>Back</button>"));
    assert!(!chosen.contains("Use another address"));
}

#[test]
fn a_wrong_code_is_told_at_its_field_and_the_address_stays() {
    for name in ["recovery-wrong", "verification-wrong", "login-wrong", "login-second-wrong", "registration-wrong"] {
        let html = show(name);
        assert_eq!(html.matches("That code is wrong or has expired.").count(), 1, "{name}");
        assert!(html.contains("aria-describedby=\"in-code-e\" aria-invalid=\"true\" autofocus"), "{name}");
        assert!(html.contains("<title>Error: ") && !html.contains("class=\"msg"), "{name}");
        // The second step's sample names no address.
        assert_eq!(html.contains("mara@example.org"), name != "login-second-wrong", "{name}");
    }
}

#[test]
fn whether_an_account_exists_is_told_to_its_owner_only() {
    let careful = "If mara@example.org belongs to an account, a code of 6 digits is on its way.";
    let certain = "We sent a code of 6 digits to mara@example.org.";
    for (name, signed_out, signed_in) in [
        ("recovery-sent", careful, certain),
        ("recovery-wrong", careful, certain),
        ("verification-sent", careful, certain),
        ("login-sent", careful, certain),
        ("login-second-sent", certain, certain),
        ("registration-sent", certain, certain),
    ] {
        for (ctx, said) in [(outside(), signed_out), (context(Lang::En), signed_in)] {
            assert_eq!(draw(name, &flow(name), &ctx).matches(said).count(), 1, "{name}: {said}");
        }
    }
}

#[test]
fn the_address_is_asked_for_and_told_about() {
    for (name, title, button) in [
        ("recovery", "Get back into your account", ">Send the code</button>"),
        ("recovery-link", "Get back into your account", ">Send the link</button>"),
        ("recovery-link-sent", "Look into your mail", ">Send the link again</button>"),
        ("verification-link-sent", "Look into your mail", ">Send the link again</button>"),
        ("verification", "Confirm your email address", ">Send the code</button>"),
        ("verification-sent", "Confirm your email address", ">Confirm address</button>"),
        ("recovery-sent", "Enter the code", ">Continue</button>"),
        ("login-sent", "Enter the code", ">Continue</button>"),
        ("registration-sent", "Enter the code", ">Continue</button>"),
        ("recovery-2-choose", "Where should the code go?", "<b>ma****@example.org</b>"),
        ("recovery-2-confirm", "Enter the address in full", ">Send the code</button>"),
    ] {
        let html = show(name);
        assert!(html.contains(&format!("<h1>{title}</h1>")) && html.contains(button), "{name}");
    }
    let html = show("recovery");
    assert!(html.contains("name=\"email\" autocomplete=\"email\" required autofocus") && html.contains("type=\"email\""));
    for name in ["recovery-empty", "verification-empty"] {
        assert!(show(name).contains("Enter the address first."), "{name}");
    }
    assert!(show("recovery-malformed").contains("Enter the email address in full, like name@example.org."));
}

#[test]
fn verifying_starts_with_the_address_of_whoever_is_signed_in() {
    let field = |ctx: &PageContext, flow: &Value| {
        let html = verification(flow, ctx).expect("page");
        tags(&html).into_iter().find(|tag| tag.get("name") == Some("email")).and_then(|tag| tag.get("value").map(str::to_owned))
    };
    let mut other = flow("verification");
    node(&mut other, "code", "email")["attributes"]["value"] = json!("other@example.org");
    assert_eq!(field(&context(Lang::En), &flow("verification")).as_deref(), Some("mara@example.org"));
    assert_eq!(field(&context(Lang::En), &other).as_deref(), Some("other@example.org"));
    assert_eq!(field(&outside(), &flow("verification")), None);
}

#[test]
fn the_link_of_the_mail_fills_in_the_code() {
    let mut flow = flow("verification-sent");
    node(&mut flow, "code", "code")["attributes"]["value"] = json!("481209");
    let html = verification(&flow, &outside()).expect("page");
    assert!(html.contains("class=\"otp\" dir=\"ltr\" value=\"481209\""));
}

#[test]
fn what_is_done_leads_on() {
    let html = show("verification-done");
    assert!(html.contains("<h1>You’re all set</h1>") && html.contains("<b>Your email address is confirmed.</b>"));
    assert!(html.contains("<a class=\"btn main full\" id=\"continue\" href=\"https://app.example/welcome\">Continue</a>"));
    assert!(!html.contains("<form "));

    // An app's address is no link of a page, and no reason to have no page.
    let mut app = flow("verification-done");
    app["ui"]["action"] = json!("notes://confirmed");
    node(&mut app, "code", "continue")["attributes"]["href"] = json!("notes://confirmed");
    let html = verification(&app, &outside()).expect("page");
    check("app", &html);
    assert!(html.contains("<p>notes://confirmed</p>") && !html.contains("id=\"continue\""));

    let html = show("recovery-done");
    check("recovered", &html);
    assert!(html.contains("You are back in") && !html.contains("<form "));
    assert!(
        html.contains("href=\"https://app.example/settings?flow=00000000-0000-4000-8000-000000000002\">Choose how to sign in")
    );
}

#[test]
fn codes_stand_among_the_other_second_steps() {
    let mut every = fixture("login-second-step");
    let code_nodes = |name: &str| -> Vec<Value> {
        let flow = flow(name);
        flow["ui"]["nodes"].as_array().expect("nodes").iter().filter(|node| node["group"] == "code").cloned().collect()
    };
    every["ui"]["nodes"].as_array_mut().expect("nodes").extend(code_nodes("login-second-choose"));
    let html = login(&every, &context(Lang::En)).expect("page");
    check("every way", &html);
    let ways: Vec<&str> = html.split("<details class=\"way\" name=\"way\"").skip(1).collect();
    assert_eq!(ways.len(), 3);
    assert!(ways[0].starts_with(" open>") && ways[0].contains("name=\"totp_code\""));
    assert!(ways[1].contains("<b>Get a code</b>") && ways[1].contains(">Send a code to +46701740605</button>"));
    assert!(ways[2].contains("name=\"lookup_secret\"") && !html.contains("step_again"));

    let mut sent = fixture("login-second-step");
    sent["active"] = json!("code");
    sent["ui"]["messages"] = flow("login-second-sent")["ui"]["messages"].take();
    sent["ui"]["nodes"].as_array_mut().expect("nodes").extend(code_nodes("login-second-sent"));
    let html = login(&sent, &context(Lang::En)).expect("page");
    check("every way, sent", &html);
    let ways: Vec<&str> = html.split("<details class=\"way\" name=\"way\"").skip(1).collect();
    assert!(!ways[0].starts_with(" open>") && ways[1].starts_with(" open>"));
    assert!(ways[1].contains("We sent a code of 6 digits to mara@example.org.") && !html.contains("class=\"msg"));
    assert!(!html.contains("Start this step again"));

    let alone = show("login-second-choose");
    assert!(alone.contains("<h1>Get a code</h1>") && !alone.contains("<details class=\"way\""));
    let alone = show("login-second-sent");
    assert!(alone.contains("<a href=\"/self-service/login/browser?aal=aal2\">Start this step again</a>"));
}

#[test]
fn several_addresses_of_a_second_step_leave_open_where_the_code_went() {
    let mut sent = flow("login-second-sent");
    let mut second = node(&mut sent, "code", "identifier").clone();
    second["attributes"]["value"] = json!("+46701740605");
    sent["ui"]["nodes"].as_array_mut().expect("nodes").push(second);
    let html = login(&sent, &context(Lang::En)).expect("page");
    check("two addresses", &html);
    assert!(html.contains("A code is on its way to you.") && !html.contains("We sent a code"));
    let mut told = sent.clone();
    told["ui"]["messages"][0]["context"] = json!({"address": "+46701740605"});
    let told = login(&told, &context(Lang::En)).expect("page");
    assert!(told.contains("We sent a code of 6 digits to +46701740605.") && !told.contains("spam folder"));
    assert!(html.contains("<div class=\"who\"><span dir=\"auto\">mara@example.org</span>"));
}

#[test]
fn unconfirmed_addresses_are_told_in_the_profile() {
    let address =
        |value: &str, verified: bool| json!({"id": "1", "value": value, "verified": verified, "via": "email", "status": "sent"});
    let mut flow = fixture("settings");
    flow["identity"]["verifiable_addresses"] = json!([address("mara@example.org", true), address("new@example.org", false)]);
    let html = settings(&flow, &context(Lang::En)).expect("page");
    check("unconfirmed", &html);
    let profile = section(&html, "profile");
    assert!(profile.contains("<b>new@example.org is not confirmed yet.</b>") && !html.contains("mara@example.org is not"));
    assert!(profile.contains("href=\"/self-service/verification/browser\">Confirm it now</a>"));
    assert!(!html.contains("<title>Error: "));

    flow["continue_with"] = json!([{"action": "show_verification_ui", "flow": {"id": "2", "verifiable_address": "new@example.org", "url": "https://id.example/ui/verification?flow=2"}}]);
    let html = settings(&flow, &context(Lang::En)).expect("page");
    assert!(section(&html, "profile").contains("href=\"https://id.example/ui/verification?flow=2\">Confirm it now</a>"));

    let closed = PageContext { verification_url: None, ..context(Lang::En) };
    flow["continue_with"] = json!([]);
    assert!(!settings(&flow, &closed).expect("page").contains("not confirmed yet"));
}

#[test]
fn usual_titles_of_a_schema_speak_the_language_of_the_page() {
    let mut flow = fixture("registration");
    let title = |flow: &mut Value, title: &str| {
        node(flow, "default", "traits.email")["meta"]["label"] =
            json!({"id": 1_070_002, "text": title, "type": "info", "context": {"title": title, "name": "traits.email"}});
    };
    for (said, de) in
        [("E-Mail", "E-Mail-Adresse"), ("First name", "Vorname"), ("PHONE NUMBER", "Telefonnummer"), ("Badge", "Badge")]
    {
        title(&mut flow, said);
        for (lang, want) in [(Lang::En, said), (Lang::De, de)] {
            let html = registration(&flow, &context(lang)).expect("page");
            assert!(html.contains(&format!("<label for=\"in-traits-email\">{want}</label>")), "{said} {want}");
        }
    }
}

#[test]
fn keys_that_look_alike_differ_by_the_minute() {
    let cases: [(&str, Change<'_>, bool); 2] = [
        ("alone", &|_| {}, false),
        (
            "alike",
            &|flow| node(flow, "passkey", "passkey_remove")["meta"]["label"]["context"]["display_name"] = json!("unnamed"),
            true,
        ),
    ];
    for (what, change, exact) in cases {
        let mut flow = fixture("settings-keys");
        change(&mut flow);
        for node in flow["ui"]["nodes"].as_array_mut().expect("nodes") {
            if let Some(context) = node["meta"]["label"]["context"].as_object_mut() {
                context.remove("model");
            }
        }
        let html = settings(&flow, &context(Lang::En)).expect("page");
        check(what, &html);
        assert_eq!(section(&html, "passkey").contains("Added 20 Nov 2026, 08:00 UTC"), exact, "{what}");
        assert_eq!(section(&html, "passkey").contains("Added 19 Aug 2025, 08:00 UTC"), exact, "{what}");
    }
}

fn letters() -> [Letter<'static>; 3] {
    let letter = Letter {
        id: "1",
        recipient: "mara@example.org",
        subject: "481209 is your code",
        text: "Hello,\n\n481209\n\nhttps://id.example/self-service/verification?code=481209&flow=1\n",
        html: None,
        time: "2026-11-24T18:32:07Z",
        template: "verification_code_valid",
    };
    [
        Letter { id: "2", subject: "Older & <b>bold</b>", text: "Nothing to press.", time: "2026-11-23T18:32:07Z", ..letter },
        letter,
        Letter {
            id: "3",
            recipient: "+46701740605",
            subject: "",
            text: "224 466 is your code",
            html: Some("<p>Hi</p><script>alert(1)</script>\"><img src=x>"),
            time: "2026-11-22T18:32:07Z",
            ..letter
        },
    ]
}

#[test]
fn the_mailbox_lists_the_newest_first_and_opens_what_is_asked_for() {
    let letters = letters();
    let box_of = |open| Mailbox { letters: &letters, open, more: false, address: "/base/ui/mailbox" };
    for lang in [Lang::En, Lang::De] {
        for open in [None, Some("2"), Some("3"), Some("gone")] {
            check("mailbox", &mailbox(&box_of(open), &context(lang)).expect("page"));
        }
    }
    let newest = mailbox(&box_of(Some("gone")), &context(Lang::En)).expect("page");
    let place = |id: &str| newest.find(&format!("href=\"/base/ui/mailbox?message={id}#message\"")).expect(id);
    assert!(place("1") < place("2") && place("2") < place("3"));
    assert_eq!(newest.matches("aria-current=\"true\"").count(), 1);
    assert!(
        newest.contains("message=1#message\" aria-current=\"true\"")
            && newest.contains("<h2 id=\"message-t\">481209 is your code</h2>")
    );
    assert!(newest.contains(">481 209</span>") && newest.contains("data-copy=\"481209\""));
    let link = "https://id.example/self-service/verification?code=481209&amp;flow=1";
    assert!(newest.contains(&format!("<a class=\"btn main\" href=\"{link}\" rel=\"noreferrer\">Open the link</a>")));
    assert!(newest.contains(&format!("data-copy=\"{link}\"")) && newest.contains("<code>verification_code_valid</code>"));

    let second = mailbox(&box_of(Some("2")), &context(Lang::En)).expect("page");
    assert!(second.contains("<h2 id=\"message-t\">Older &amp; &lt;b&gt;bold&lt;/b&gt;</h2>") && !second.contains("data-copy"));

    let phone = mailbox(&box_of(Some("3")), &context(Lang::En)).expect("page");
    assert!(phone.contains("<h2 id=\"message-t\">224 466 is your code</h2>") && phone.contains("text to +46701740605"));
    let tags = tags(&phone);
    let frame = tags.iter().find(|tag| tag.name == "iframe").expect("frame");
    let inside = frame.get("srcdoc").expect("srcdoc");
    assert!(inside.starts_with("&lt;!doctype html&gt;") && inside.contains("default-src &#39;none&#39;"));
    assert!(inside.ends_with("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&gt;&lt;img src=x&gt;"));

    let none = Mailbox { letters: &[], ..box_of(None) };
    let empty = mailbox(&none, &context(Lang::En)).expect("page");
    check("empty mailbox", &empty);
    assert!(empty.contains("No messages yet") && !empty.contains("<article"));
}
