//! The second step on the pages: setting it up, keeping and renewing backup codes, signing in with it.
//! Over recorded answers of the server, changed where a case needs it.

use super::*;

/// Makes a case of its own out of a fixture.
pub(super) type Change<'c> = &'c dyn Fn(&mut Value);

/// The section with this id, to its end.
pub(super) fn section<'h>(html: &'h str, id: &str) -> &'h str {
    let start = html.find(&format!("<section class=\"card\" id=\"{id}\"")).unwrap_or_else(|| panic!("no section {id}"));
    html[start..].split("</section>").next().expect("section")
}

/// The row whose form has this button: its name, and what is said before the button.
pub(super) fn row<'h>(html: &'h str, button: &str) -> &'h str {
    let end = html.find(&format!("name=\"{button}\"")).unwrap_or_else(|| panic!("no button {button}"));
    let start = html[..end].rfind("<details").unwrap_or_else(|| panic!("{button} is behind no row"));
    &html[start..end]
}

fn show(name: &str) -> String {
    settings(&fixture(name), &context(Lang::En)).expect(name)
}

pub(super) fn drop_nodes(flow: &mut Value, names: &[&str]) {
    let named = |n: &Value| names.iter().any(|name| n["attributes"]["name"] == *name || n["attributes"]["id"] == *name);
    flow["ui"]["nodes"].as_array_mut().expect("nodes").retain(|node| !named(node));
}

pub(super) fn submit(name: &str) -> Value {
    let group = name.split('_').next().map(|first| if first == "lookup" { "lookup_secret" } else { first });
    json!({"type": "input", "group": group, "attributes": {"name": name, "type": "submit", "value": "true", "disabled": false, "node_type": "input"}, "messages": [], "meta": {}})
}

fn say(flow: &mut Value, id: u64, kind: &str) {
    flow["ui"]["messages"] = json!([{"id": id, "text": "As the flow says it.", "type": kind, "context": {"retry_after": 300}}]);
}

#[test]
fn enrolling_takes_three_steps_in_one_form() {
    let html = show("settings-enrol");
    let totp = section(&html, "totp");
    assert_eq!(totp.matches("<form ").count(), 1);
    let order = ["Open an authenticator app", "<img id=\"totp_qr\"", "id=\"totp_secret_key\"", "name=\"totp_code\"", ">Turn on<"];
    let order: Vec<usize> = order.iter().map(|part| totp.find(part).expect(part)).collect();
    assert!(order.is_sorted(), "{order:?}");
    assert!(totp.contains(">JBSW Y3DP EHPK 3PXP Q4TU MVLA 6ZQX 2N7R</code>"));
    assert!(totp.contains("data-copy=\"JBSWY3DPEHPK3PXPQ4TUMVLA6ZQX2N7R\""));
    assert!(totp.contains("width=\"256\" height=\"256\" alt=\"QR code"));
    let tags = tags(totp);
    let field = tags.iter().find(|tag| tag.get("name") == Some("totp_code")).expect("field");
    for (name, value) in [
        ("inputmode", "numeric"),
        ("autocomplete", "one-time-code"),
        ("maxlength", "7"),
        ("pattern", r"[0-9 \-]*"),
        ("class", "otp"),
        ("autocapitalize", "none"),
    ] {
        assert_eq!(field.get(name), Some(value), "{name}");
    }
    assert!(field.get("required").is_some());
    // It comes right after the profile, and the page says why.
    let place = |id: &str| html.find(&format!("<section class=\"card\" id=\"{id}\"")).expect(id);
    assert!(place("profile") < place("totp") && place("totp") < place("password"));
    assert!(html.contains("Add a second step") && html.contains("<path class=\"off\""));
    assert!(section(&html, "lookup_secret").contains("No backup codes yet"));
}

#[test]
fn a_wrong_code_is_told_at_its_field_within_the_steps() {
    let mut flow = fixture("settings-enrol");
    node(&mut flow, "totp", "totp_code")["messages"] =
        json!([{"id": 4_000_008, "text": "Dieser Code stimmt nicht.", "type": "error"}]);
    let html = settings(&flow, &context(Lang::De)).expect("settings");
    check("wrong code", &html);
    let totp = section(&html, "totp");
    assert!(totp.contains("<ol class=\"enrol\">") && totp.contains("Dieser Code stimmt nicht."));
    assert!(totp.contains("aria-describedby=\"in-totp_code-e\" aria-invalid=\"true\""));
    assert!(html.contains("<title>Fehler: "));
}

#[test]
fn an_enrolment_without_its_picture_keeps_the_key() {
    let mut flow = fixture("settings-enrol");
    drop_nodes(&mut flow, &["totp_qr"]);
    let html = settings(&flow, &context(Lang::En)).expect("settings");
    check("no picture", &html);
    assert!(section(&html, "totp").contains("JBSW Y3DP") && !html.contains("<img"));
}

#[test]
fn codes_that_came_with_the_app_are_shown_first_and_once() {
    let html = show("settings-codes");
    let place = |id: &str| html.find(&format!("<section class=\"card\" id=\"{id}\"")).expect(id);
    assert!(place("totp") < place("lookup_secret") && place("lookup_secret") < place("profile"));
    assert!(section(&html, "totp").contains("<b>Two-step sign-in is on.</b>"));
    assert!(!html.contains("Your changes are saved.") && !html.contains(" echo\"") && !html.contains("guard"));
    let codes = section(&html, "lookup_secret");
    assert!(codes.contains(">Save your backup codes</h2>") && codes.contains("Shown once"));
    assert_eq!(
        codes
            .split("<ol class=\"codes\"")
            .nth(1)
            .and_then(|rest| rest.split("</ol>").next())
            .expect("list")
            .matches("<li>")
            .count(),
        12
    );
    assert!(codes.contains("<a class=\"btn main\" href=\"/self-service/settings/browser\">I have saved them</a>"));
    assert!(!codes.contains("lookup_secret_confirm"));
}

#[test]
fn codes_can_be_kept_in_three_ways_of_which_one_needs_no_script() {
    let html = show("settings-revealed");
    let codes = section(&html, "lookup_secret");
    let tags = tags(codes);
    let file = tags.iter().find(|tag| tag.get("download").is_some()).expect("download");
    assert_eq!(file.get("download"), Some("example-co-backup-codes.txt"));
    let body = file.get("href").and_then(|href| href.strip_prefix(safe::TEXT_FILE)).expect("a text file");
    assert!(body.starts_with("Example%20%26%20Co%3A%20backup%20codes%20for%20mara%40example.org%0A"));
    assert_eq!(body.matches("%0A").count(), 12, "three lines of head, nine codes");
    assert!(body.contains("j9sk2vte%0Ax5hg7cwm") && !body.contains("Used"));
    let copy = tags.iter().find(|tag| tag.get("data-copy").is_some()).expect("copy");
    assert_eq!(copy.get("data-copy").map(|text| text.lines().count()), Some(9));
    assert_eq!(copy.get("data-done"), Some("All 9 codes copied."));
    let print = tags.iter().find(|tag| tag.get("data-print").is_some()).expect("print");
    assert!(copy.get("hidden").is_some() && print.get("hidden").is_some() && file.get("hidden").is_none());
    assert!(codes.contains("<noscript>") && codes.contains("role=\"status\" data-say"));
}

#[test]
fn used_codes_name_their_day_and_never_the_code() {
    for (lang, days) in [
        (Lang::En, ["Used 19 Nov</time>", "Used 4 Oct</time>", "Used 31 Dec 2025</time>"]),
        (Lang::De, ["Benutzt 19. Nov.</time>", "Benutzt 4. Okt.</time>", "Benutzt 31. Dez. 2025</time>"]),
    ] {
        let html = settings(&fixture("settings-revealed"), &context(lang)).expect("settings");
        let codes = section(&html, "lookup_secret");
        for day in days {
            assert!(codes.contains(day), "{day}");
        }
        assert!(codes.contains("<time datetime=\"2026-11-19T07:30:00Z\">"));
    }
    let html = show("settings-revealed");
    assert!(html.contains("9 of 12 left") && html.contains("Hide the codes"));
}

#[test]
fn new_codes_count_only_once_they_are_confirmed_and_the_page_says_so() {
    let html = show("settings-renew");
    let codes = section(&html, "lookup_secret");
    for text in ["Save your new backup codes", "Not in use yet", "any codes that you had keep working", "stop working then"] {
        assert!(codes.contains(text), "{text}");
    }
    let confirm = codes.split("<form ").nth(1).expect("form");
    assert!(confirm.contains("<button class=\"btn main\" name=\"lookup_secret_confirm\" value=\"true\">I have saved them"));
    assert!(!codes.contains("Hide the codes") && !codes.contains("of 12 left"));
    // What is pending says nothing about what there was.
    assert!(row(&html, "totp_unlink").contains("Backup codes that came with the app stop working too"));
}

#[test]
fn what_removing_means_stands_before_the_button() {
    let with_key = |flow: &mut Value| {
        let mut key = submit("webauthn_remove");
        key["group"] = json!("webauthn");
        flow["ui"]["nodes"].as_array_mut().expect("nodes").push(key);
    };
    let no_codes = |flow: &mut Value| {
        drop_nodes(flow, &["lookup_secret_reveal", "lookup_secret_disable"]);
        flow["ui"]["nodes"].as_array_mut().expect("nodes").push(submit("lookup_secret_regenerate"));
    };
    let no_app = |flow: &mut Value| drop_nodes(flow, &["totp_unlink"]);
    let same = |_: &mut Value| ();
    let cases: [(&str, Change<'_>, &str); 7] = [
        ("totp_unlink", &same, "Backup codes that came with the app stop working too"),
        ("totp_unlink", &no_codes, "one step, such as a password, is enough"),
        ("totp_unlink", &with_key, "your security key is the second step that is left"),
        ("lookup_secret_reveal", &same, "nobody looks over your shoulder"),
        ("lookup_secret_disable", &same, "Without your phone you would then need help"),
        ("lookup_secret_disable", &with_key, "Without your phone you would then need help"),
        ("lookup_secret_disable", &no_app, "one step, such as a password, is enough"),
    ];
    for (button, change, consequence) in cases {
        let mut flow = fixture("settings-second-step");
        change(&mut flow);
        let html = settings(&flow, &context(Lang::En)).expect("settings");
        check(button, &html);
        let row = row(&html, button);
        assert!(row.contains(consequence), "{button}: {row}");
        assert!(row.starts_with("<details><summary"), "{button} waits behind a closed row");
        let risk = format!("<button class=\"btn risk\" name=\"{button}\"");
        assert_eq!(html.contains(&risk), button != "lookup_secret_reveal", "{button}");
    }
}

#[test]
fn few_codes_left_is_a_warning_and_no_refusal() {
    for (left, head, tag) in [
        (0, "<b>No backup code is left.</b>", "None left</span>"),
        (1, "<b>Only one backup code is left.</b>", "1 left</span>"),
        (2, "<b>Only 2 backup codes are left.</b>", "2 left</span>"),
    ] {
        let mut flow = fixture("settings-second-step");
        node(&mut flow, "lookup_secret", "lookup_secret_reveal")["messages"][0]["context"]["left"] = json!(left);
        let html = settings(&flow, &context(Lang::En)).expect("settings");
        let codes = section(&html, "lookup_secret");
        assert!(codes.contains(head) && codes.contains(tag), "{left}");
        assert!(codes.contains("<div class=\"msg warn\" role=\"status\">"), "{left}");
        assert!(html.contains("<title>Sign-in") && !html.contains("data-errors"), "{left}");
    }
}

#[test]
fn what_was_saved_is_named_in_its_section() {
    let none = |flow: &mut Value| {
        drop_nodes(flow, &["lookup_secret_reveal", "lookup_secret_disable"]);
        flow["ui"]["nodes"].as_array_mut().expect("nodes").push(submit("lookup_secret_regenerate"));
    };
    let enrol = |flow: &mut Value| {
        *flow = fixture("settings-enrol");
    };
    let same = |_: &mut Value| ();
    let cases: [(&str, Change<'_>, &str); 5] = [
        ("totp", &same, "<b>Two-step sign-in is on.</b>"),
        ("totp", &enrol, "<b>The authenticator app is removed.</b>"),
        ("lookup_secret", &same, "<b>Your new backup codes work from now on.</b>"),
        ("lookup_secret", &none, "<b>Backup codes are off.</b>"),
        ("profile", &same, "<b>As the flow says it.</b>"),
    ];
    for (id, change, words) in cases {
        let mut flow = fixture("settings-second-step");
        change(&mut flow);
        say(&mut flow, 1_050_001, "success");
        let html = settings(&flow, &context(Lang::En)).expect("settings");
        let shown = section(&html, id);
        assert!(shown.contains("class=\"msg good echo\"") && shown.contains(words), "{id}: {words}");
        // The flow may name the method itself; then the words stand in the section for good.
        flow["active"] = json!(id);
        let html = settings(&flow, &context(Lang::En)).expect("settings");
        assert!(section(&html, id).contains(words) && !html.contains(" echo\""), "{id}: {words}");
    }
}

#[test]
fn one_code_is_asked_for_and_the_other_way_is_a_choice() {
    let html = login(&fixture("login-second-step"), &context(Lang::En)).expect("login");
    assert!(html.contains("<h1>Enter your code</h1>") && !html.contains("One more step"));
    assert!(html.contains("<span dir=\"auto\">mara@example.org</span>") && html.contains(">Not you?</a>"));
    let ways: Vec<&str> = html.split("<details class=\"way\" name=\"way\"").skip(1).collect();
    assert_eq!(ways.len(), 2);
    assert!(ways[0].starts_with(" open>") && ways[0].contains("name=\"totp_code\"") && ways[0].contains(" autofocus"));
    assert!(ways[1].starts_with("><summary class=\"choice\">") && ways[1].contains("Use a backup code"));
    let tags = tags(&html);
    let backup = tags.iter().find(|tag| tag.get("name") == Some("lookup_secret")).expect("backup code");
    assert_eq!((backup.get("autocomplete"), backup.get("inputmode")), (Some("off"), None));
    assert_eq!((backup.get("maxlength"), backup.get("spellcheck")), (None, Some("false")));
    // Each way sends its own method and nothing of the other one.
    for (way, method) in ways.iter().zip(["totp", "lookup_secret"]) {
        let form = way.split("</form>").next().expect("form");
        assert!(form.contains(&format!("<button class=\"btn main full\" name=\"method\" value=\"{method}\">Continue")), "{form}");
        assert_eq!(form.matches("name=\"method\"").count(), 1);
    }
}

#[test]
fn a_refusal_of_the_second_step_opens_its_way_and_stands_at_its_field() {
    for (id, field, other) in [
        (4_000_008, "totp_code", "lookup_secret"),
        (4_000_012, "lookup_secret", "totp_code"),
        (4_000_016, "lookup_secret", "totp_code"),
    ] {
        let mut flow = fixture("login-second-step");
        say(&mut flow, id, "error");
        let html = login(&flow, &context(Lang::En)).expect("login");
        check("refused", &html);
        let open = html.split("name=\"way\" open>").nth(1).and_then(|rest| rest.split("</details>").next()).expect("open way");
        assert!(
            open.contains("As the flow says it.") && open.contains(&format!("name=\"{field}\"")) && !open.contains(other),
            "{id}"
        );
        assert!(open.contains(&format!("aria-describedby=\"in-{field}-e\" aria-invalid=\"true\" autofocus")), "{id}");
        assert!(html.contains("<title>Error: Enter your code") && !html.contains("data-errors"), "{id}");
        assert_eq!(html.matches("name=\"way\" open>").count(), 1, "{id}");
    }
    // Too many tries are nobody's field: on top, and the forms stay.
    let mut flow = fixture("login-second-step");
    say(&mut flow, 7_900_001, "error");
    let html = login(&flow, &context(Lang::En)).expect("login");
    assert!(html.contains("data-errors") && html.contains("<b>Too many tries.</b></p><p>Wait 5 minutes, then try again."));
    assert!(html.contains("name=\"totp_code\"") && html.contains("name=\"lookup_secret\"") && !html.contains(" autofocus"));
}

#[test]
fn what_is_missing_in_a_code_is_said_without_the_name_of_the_field() {
    for (group, field, id, words) in [
        ("totp", "totp_code", 4_000_002, "Enter all 6 digits"),
        ("totp", "totp_code", 4_000_003, "Enter all 6 digits"),
        ("lookup_secret", "lookup_secret", 4_000_002, "Enter one of your backup codes."),
    ] {
        let mut flow = fixture("login-second-step");
        flow["ui"]["messages"] = json!([]);
        node(&mut flow, group, field)["messages"] = json!([{"id": id, "text": "Fill in: totp_code.", "type": "error"}]);
        let html = login(&flow, &context(Lang::En)).expect("login");
        assert!(html.contains(words) && !html.contains("Fill in"), "{id} at {field}");
        let open = html.split("name=\"way\" open>").nth(1).and_then(|rest| rest.split("</details>").next()).expect("open way");
        assert!(open.contains(words), "{field}");
    }
}

#[test]
fn with_one_way_or_none_there_is_nothing_to_choose() {
    for (gone, title, field) in
        [("lookup_secret", "Enter your code", "totp_code"), ("totp", "Use a backup code", "lookup_secret")]
    {
        let mut flow = fixture("login-second-step");
        flow["ui"]["nodes"].as_array_mut().expect("nodes").retain(|node| node["group"] != gone);
        let html = login(&flow, &context(Lang::En)).expect("login");
        check(gone, &html);
        assert!(html.contains(&format!("<h1>{title}</h1>")) && html.contains(&format!("name=\"{field}\"")), "{gone}");
        assert!(!html.contains("<details") && !html.contains("class=\"or\""), "{gone}");
    }
    let mut flow = fixture("login-second-step");
    flow["ui"]["nodes"].as_array_mut().expect("nodes").retain(|node| node["group"] == "default");
    let html = login(&flow, &context(Lang::En)).expect("login");
    check("no way", &html);
    assert!(html.contains("ask the people who run Example &amp; Co") && html.contains("logout?token=x\">Sign out</a>"));
}

#[test]
fn confirming_with_the_second_step_says_why_and_offers_the_way_back() {
    let mut flow = fixture("login-second-step");
    flow["refresh"] = json!(true);
    flow["ui"]["messages"] = json!([
        {"id": 1_010_003, "text": "Confirm, and we carry on.", "type": "info"},
        {"id": 1_010_004, "text": "One more step.", "type": "info"},
    ]);
    let html = login(&flow, &context(Lang::En)).expect("login");
    check("step up", &html);
    assert!(html.contains("<h1>Confirm it’s you</h1>") && html.contains("Confirm, and we carry on."));
    assert!(!html.contains("One more step.") && html.contains("href=\"/self-service/settings/browser\">Cancel"));
    assert!(html.contains("<span dir=\"auto\">mara@example.org</span>"));
    // Where no way takes codes, the request stays a message.
    flow["ui"]["nodes"].as_array_mut().expect("nodes").retain(|node| node["group"] == "default");
    let html = login(&flow, &context(Lang::En)).expect("login");
    assert!(html.contains("One more step."));
}

/// The secrets of a flow stand on its page where they are meant to be read or kept, and nowhere else.
#[test]
fn secrets_stand_only_where_they_are_read() {
    let html = show("settings-enrol");
    let key = "JBSWY3DPEHPK3PXPQ4TUMVLA6ZQX2N7R";
    assert_eq!(html.matches(key).count(), 1, "in the copy button only");
    for (name, times) in [("settings-codes", 3), ("settings-revealed", 3), ("settings-second-step", 0)] {
        assert_eq!(show(name).matches("j9sk2vte").count(), times, "{name}: list, copy button, file");
    }
}
