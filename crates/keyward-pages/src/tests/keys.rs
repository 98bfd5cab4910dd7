//! Passkeys and security keys on the pages: what each row tells, how it is renamed and removed, how one is added and used.
//! Over fixtures in the shape of the contract's samples, changed where a case needs it.

use super::second_step::{Change, drop_nodes, row, section, submit};
use super::*;

fn show(flow: &Value, lang: Lang) -> String {
    let html = settings(flow, &context(lang)).expect("settings");
    check("keys", &html);
    html
}

fn keys() -> Value {
    fixture("settings-keys")
}

/// The whole row of the thing with this id on the wire.
fn item<'h>(html: &'h str, id: &str) -> &'h str {
    let at = html.find(&format!("_rename\" value=\"{id}\"")).unwrap_or_else(|| panic!("no row {id}"));
    let start = html[..at].rfind("<details").expect("row");
    html[start..].split("</details>").next().expect("row")
}

fn mark(flow: &mut Value, name: &str, context: &str, value: Value) {
    let node = node(flow, name.split('_').next().expect("group"), name);
    node["meta"]["label"]["context"][context] = value;
}

/// `<button …>` or `<input …>` with this name.
fn control<'h>(html: &'h str, name: &str) -> &'h str {
    let at = html.find(&format!("name=\"{name}\"")).unwrap_or_else(|| panic!("no {name}"));
    let start = html[..at].rfind('<').expect("tag");
    html[start..].split('>').next().expect("tag")
}

#[test]
fn a_row_tells_name_model_dates_and_what_is_special() {
    for (lang, phone, new, key) in [
        (
            Lang::En,
            ["Added 19 Aug 2025", "Last used 23 Nov", "Synced"],
            ["Passkey without a name", "Added 20 Nov", "Never used"],
            ["Perhaps copied", "Its counter went backwards", "Last used 18 Nov"],
        ),
        (
            Lang::De,
            ["Hinzugefügt 19. Aug. 2025", "Zuletzt benutzt 23. Nov.", "Synchronisiert"],
            ["Passkey ohne Namen", "Hinzugefügt 20. Nov.", "Nie benutzt"],
            ["Vielleicht kopiert", "lief sein Zähler rückwärts", "Zuletzt benutzt 18. Nov."],
        ),
    ] {
        let html = show(&keys(), lang);
        for (id, words, others) in [("b7c2", phone, new), ("c9d4", new, phone), ("a1f0", key, new)] {
            let row = item(&html, id);
            for word in words {
                assert!(row.contains(word), "{id}: {word}");
            }
            assert!(!others.iter().any(|word| row.contains(word)), "{id}");
        }
        assert!(item(&html, "b7c2").contains("<b>Mara’s phone</b>") && item(&html, "b7c2").contains("iCloud Keychain · <time"));
        assert!(!item(&html, "c9d4").contains(">unnamed<") && !item(&html, "c9d4").contains("value=\"unnamed\""));
        assert!(!html.contains("<details open>"), "nothing destructive on the first screen");
    }
    let html = show(&keys(), Lang::En);
    assert!(section(&html, "passkey").contains("2 passkeys</span>") && section(&html, "webauthn").contains("1 key</span>"));
    assert!(item(&html, "a1f0").contains("<span class=\"tag warn\">") && item(&html, "a1f0").contains("class=\"msg warn\""));
}

#[test]
fn what_a_label_does_not_tell_is_left_out() {
    let mut flow = keys();
    node(&mut flow, "passkey", "passkey_remove")["meta"]["label"]["context"] =
        json!({"display_name": "Laptop", "added_at": "2026-03-03T08:00:00Z", "added_at_unix": 1_772_524_800});
    node(&mut flow, "webauthn", "webauthn_remove")["meta"] = json!({});
    let html = show(&flow, Lang::En);
    let laptop = item(&html, "b7c2");
    assert!(laptop.contains("Added 3 Mar</time></span>") && !laptop.contains("used") && !laptop.contains("class=\"tag"));
    let key = item(&html, "a1f0");
    assert!(key.contains("<b>Security key without a name</b>") && key.contains(">Remove this security key</button>"));
    // A model stands for the missing name, and then only once.
    mark(&mut flow, "passkey_remove", "display_name", json!("unnamed"));
    mark(&mut flow, "passkey_remove", "model", json!("1Password"));
    let html = show(&flow, Lang::En);
    assert!(item(&html, "b7c2").contains("<b>1Password</b>") && !item(&html, "b7c2").contains("1Password ·"));
    assert!(item(&html, "b7c2").contains("Remove the passkey “1Password”"));
}

#[test]
fn renaming_and_removing_are_forms_of_their_own() {
    let html = show(&keys(), Lang::En);
    for (id, group, field, name) in [
        ("b7c2", "passkey", "passkey_display_name", "Mara’s phone"),
        ("c9d4", "passkey", "passkey_display_name", ""),
        ("a1f0", "webauthn", "webauthn_register_displayname", "Blue key"),
    ] {
        let forms: Vec<&str> = item(&html, id).split("<form ").skip(1).collect();
        assert_eq!(forms.len(), 2, "{id}");
        for form in &forms {
            assert!(form.starts_with("action=\"https://id.example/self-service/settings?flow="), "{id}");
            assert!(form.contains(&format!("#{group}\" method=\"post\"")), "{id}");
            assert!(form.contains(&format!("<input type=\"hidden\" name=\"method\" value=\"{group}\">")), "{id}");
        }
        let input = control(forms[0], field);
        assert!(input.contains(&format!(" value=\"{name}\"")) && input.contains(" required"), "{id}: {input}");
        assert!(input.contains("maxlength=\"64\"") && input.contains("autocomplete=\"off\""), "{id}: {input}");
        assert!(!forms[0].contains("_remove") && !forms[1].contains(field), "{id}");
        let removal = control(forms[1], &format!("{group}_remove"));
        assert!(removal.contains("class=\"btn risk\"") && removal.contains(&format!("value=\"{id}\"")), "{id}: {removal}");
        let words = forms[1].find("<p>").expect("what it means");
        assert!(words < forms[1].find("<button").expect("button"), "{id}: said before it is done");
    }
}

#[test]
fn the_only_way_in_has_a_reason_in_the_place_of_the_button() {
    for (name, id, reason) in [
        ("passkey_remove", "b7c2", "Set a password or add another passkey first."),
        ("webauthn_remove", "a1f0", "Set a password or add another key first."),
    ] {
        let mut flow = keys();
        node(&mut flow, name.split('_').next().expect("group"), name)["attributes"]["disabled"] = json!(true);
        let html = show(&flow, Lang::En);
        let row = item(&html, id);
        assert!(row.contains("It is your only way in") && row.contains(reason), "{name}");
        assert!(!row.contains(&format!("name=\"{name}\"")) && row.contains("_rename"), "{name}");
    }
    // What refuses a removal has no node of its own, and stands in the flow's messages as well: it is said once.
    let mut flow = keys();
    let refusal = json!({"id": 4_000_001, "text": "It is your only way in.", "type": "error", "context": {"reason": "x"}});
    flow["ui"]["messages"] = json!([refusal]);
    flow["ui"]["nodes"].as_array_mut().expect("nodes").push(json!({"type": "input", "group": "default", "attributes": {"name": "webauthn_remove", "type": "text", "disabled": false, "node_type": "input"}, "messages": [refusal], "meta": {}}));
    let html = show(&flow, Lang::En);
    assert_eq!(
        html.matches("data-errors tabindex=\"-1\"><div class=\"msg bad\" role=\"alert\">").count() - 8,
        1,
        "one beside the templates"
    );
    assert_eq!(section(&html, "passkey").matches("It is your only way in.").count(), 1);
}

#[test]
fn what_removing_a_key_means_depends_on_what_is_left() {
    let another = |flow: &mut Value| {
        let mut key = submit("webauthn_remove");
        key["attributes"]["value"] = json!("d0");
        flow["ui"]["nodes"].as_array_mut().expect("nodes").push(key);
    };
    let app = |flow: &mut Value| flow["ui"]["nodes"].as_array_mut().expect("nodes").push(submit("totp_unlink"));
    let codes = |flow: &mut Value| flow["ui"]["nodes"].as_array_mut().expect("nodes").push(submit("lookup_secret_disable"));
    let way_in = |flow: &mut Value| mark(flow, "webauthn_remove", "passwordless", json!(true));
    let same = |_: &mut Value| ();
    let cases: [(Change<'_>, &str); 5] = [
        (&same, "It is your last second step."),
        (&another, "Your other security keys keep working."),
        (&app, "your authenticator app is the second step that is left"),
        (&codes, "Backup codes that came with an authenticator app stop working too"),
        (&way_in, "After this you can no longer sign in with it."),
    ];
    for (change, consequence) in cases {
        let mut flow = keys();
        change(&mut flow);
        let html = show(&flow, Lang::En);
        assert!(row(&html, "webauthn_remove").contains(consequence), "{consequence}");
    }
    // A key that is a way in by itself makes no second step.
    let mut flow = keys();
    assert!(show(&flow, Lang::En).contains("Two-step sign-in is on"));
    way_in(&mut flow);
    assert!(!show(&flow, Lang::En).contains("Two-step sign-in is on"));
    assert!(row(&show(&flow, Lang::En), "passkey_remove").contains("Delete it on your device or in your password manager"));
}

#[test]
fn adding_waits_for_scripts_and_says_so() {
    let html = show(&keys(), Lang::En);
    let passkeys = section(&html, "passkey");
    let rows = passkeys.find("<ul class=\"rows\">").expect("rows");
    let add = passkeys.find("name=\"passkey_register_trigger\"").expect("button");
    assert!(rows < add, "the list comes first");
    assert!(control(&html, "passkey_register_trigger").ends_with("data-trigger=\"oryPasskeySettingsRegistration\" hidden"));
    assert!(passkeys.contains("<noscript><p class=\"hint\">This needs JavaScript: Add a passkey</p></noscript>"));
    let keys_section = section(&html, "webauthn");
    let form = keys_section.rsplit("<form ").next().expect("form");
    assert!(form.contains("data-scripted hidden>"), "the field is of no use without scripts");
    let noscript = "</div>\n<noscript><p class=\"hint\">This needs JavaScript: Add a security key</p></noscript>";
    assert!(form.contains(noscript), "outside of what is hidden: {form}");
    let field = control(form, "webauthn_register_displayname");
    assert!(field.contains(" required") && field.contains("aria-describedby="), "{field}");
    assert!(form.contains("name=\"webauthn_register\"") && form.contains("challenge"));

    let mut flow = keys();
    drop_nodes(&mut flow, &["passkey_remove", "webauthn_remove"]);
    let html = show(&flow, Lang::De);
    for (id, words) in [("passkey", "Noch kein Passkey"), ("webauthn", "Noch kein Sicherheitsschlüssel")] {
        let empty = section(&html, id);
        assert!(empty.contains("class=\"empty\"") && empty.contains(words) && empty.contains("data-trigger"), "{id}");
        assert!(!empty.contains("class=\"rows\"") && !empty.contains("class=\"tag"), "{id}");
    }
}

#[test]
fn every_failure_of_a_dialog_has_words_on_the_page() {
    let words = |html: &str| -> Vec<String> {
        html.split("<template data-fault=\"").skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
    };
    let browsers =
        ["NotAllowedError", "InvalidStateError", "SecurityError", "TimeoutError", "NotSupportedError", "ConstraintError"];
    let ours = ["NoOptionsError", ""];
    for (lang, cancelled) in [(Lang::En, "Nothing was added."), (Lang::De, "Es wurde nichts hinzugefügt.")] {
        let html = show(&keys(), lang);
        let named = words(&html);
        assert!(browsers.iter().chain(&ours).all(|name| named.iter().any(|known| known == name)), "{named:?}");
        assert!(named.iter().any(|name| name == "webauthn_register_displayname"));
        let template = html.split("data-fault=\"NotAllowedError\">").nth(1).expect("template");
        assert!(template.starts_with("<div data-errors tabindex=\"-1\"><div class=\"msg bad\" role=\"alert\">"));
        assert!(template.split("</template>").next().expect("end").contains(cancelled));
    }
    let html = show(&keys(), Lang::En);
    assert!(html.contains("data-title=\"Error: Sign-in &amp; profile · Example &amp; Co\""));
    let html = login(&fixture("login"), &context(Lang::En)).expect("login");
    assert!(html.contains("Nothing was confirmed.") && !words(&html).iter().any(|name| name == "field"));
    // Pages without such a button carry none of it.
    let html = settings(&fixture("settings-enrol"), &context(Lang::En)).expect("settings");
    assert!(words(&html).is_empty());
}

#[test]
fn authenticators_hear_of_changes_only_after_one_and_only_whole_lists() {
    let signals = |flow: &Value| -> Vec<Value> {
        let html = show(flow, Lang::En);
        let all = tags(&html);
        let all = all.iter().filter_map(|tag| tag.get("data-signal"));
        all.map(|json| serde_json::from_str(&json.replace("&quot;", "\"")).expect("json")).collect()
    };
    let mut flow = keys();
    assert_eq!(signals(&flow), Vec::<Value>::new());
    flow["ui"]["messages"] = json!([{"id": 1_050_001, "text": "Saved.", "type": "success"}]);
    assert_eq!(
        signals(&flow),
        [
            json!({"rpId": "id.example", "userId": "dXNlcg", "allAcceptedCredentialIds": ["t8I", "ydQ"], "name": "mara@example.org", "displayName": "mara@example.org"}),
            json!({"rpId": "id.example", "userId": "nw1MVguPTB6fDiqfX20cdw", "allAcceptedCredentialIds": ["ofA"]}),
        ]
    );
    // One passkey more on the page than in the list: nothing is told, lest an authenticator forget it.
    let mut key = submit("passkey_remove");
    key["attributes"]["value"] = json!("e0");
    flow["ui"]["nodes"].as_array_mut().expect("nodes").push(key);
    assert_eq!(signals(&flow).len(), 1);
    drop_nodes(&mut flow, &["passkey_create_data", "webauthn_register_trigger"]);
    assert_eq!(signals(&flow), Vec::<Value>::new());
}

#[test]
fn the_helper_script_comes_whole_and_from_this_server_only() {
    let html = show(&keys(), Lang::En);
    let all = tags(&html);
    let script = all.iter().find(|tag| tag.get("id") == Some("webauthn_script")).expect("script");
    for (name, value) in [
        ("src", "https://id.example/.well-known/ory/webauthn.js"),
        ("integrity", "sha512-AAAA"),
        ("crossorigin", "anonymous"),
        ("referrerpolicy", "no-referrer"),
        ("type", "text/javascript"),
        ("nonce", "00000000-0000-4000-8000-0000000000aa"),
        ("async", ""),
    ] {
        assert_eq!(script.get(name), Some(value), "{name}");
    }
    for elsewhere in ["https://cdn.example/webauthn.js", "//cdn.example/webauthn.js", "http://id.example/webauthn.js"] {
        let mut flow = keys();
        node(&mut flow, "webauthn", "webauthn_script")["attributes"]["src"] = json!(elsewhere);
        assert!(!show(&flow, Lang::En).contains("webauthn_script"), "{elsewhere}");
    }
}

fn key_nodes(label: u64) -> Vec<Value> {
    let input = |name: &str, kind: &str, value: &str| json!({"type": "input", "group": "webauthn", "attributes": {"name": name, "type": kind, "value": value, "disabled": false, "node_type": "input"}, "messages": [], "meta": {}});
    let mut trigger = input("webauthn_login_trigger", "button", "{\"publicKey\":{\"challenge\":\"AAAA\"}}");
    trigger["attributes"]["onclickTrigger"] = json!("oryWebAuthnLogin");
    trigger["meta"] = json!({"label": {"id": label, "text": "Use the key", "type": "info"}});
    let identifier = json!({"type": "input", "group": "default", "attributes": {"name": "identifier", "type": "hidden", "value": "mara@example.org", "disabled": false, "node_type": "input"}, "messages": [], "meta": {}});
    vec![identifier, input("webauthn_login", "hidden", ""), trigger]
}

#[test]
fn signing_in_with_a_key_takes_an_identifier_first_and_the_key_then() {
    let ctx = context(Lang::En);
    let mut flow = fixture("login");
    flow["ui"]["nodes"].as_array_mut().expect("nodes").push(json!({"type": "input", "group": "webauthn", "attributes": {"name": "method", "type": "submit", "value": "webauthn", "disabled": false, "node_type": "input"}, "messages": [], "meta": {"label": {"id": 1_010_008, "text": "Use the key", "type": "info"}}}));
    let html = login(&flow, &ctx).expect("login");
    check("first step", &html);
    let main = html.split("<form ").nth(1).and_then(|form| form.split("</form>").next()).expect("form");
    assert!(main.contains("autocomplete=\"username webauthn\"") && main.contains("value=\"password\">Sign in</button>"));
    assert!(main.contains("name=\"method\" value=\"webauthn\" formnovalidate>") && main.contains("Sign in with a security key"));

    let mut nodes = key_nodes(1_010_013);
    nodes.push(fixture("login")["ui"]["nodes"][2].clone());
    flow["ui"]["nodes"] = json!(nodes);
    flow["ui"]["messages"] = json!([{"id": 1_010_012, "text": "Prepare it.", "type": "info"}]);
    let html = login(&flow, &ctx).expect("login");
    check("second step", &html);
    assert!(html.contains("Have your security key at hand.") && html.contains("<span dir=\"auto\">mara@example.org</span>"));
    assert!(
        control(&html, "webauthn_login_trigger").contains("class=\"btn main full\"") && html.contains("Use your security key")
    );
}

#[test]
fn a_key_stands_beside_the_codes_of_the_second_step() {
    let ctx = context(Lang::En);
    let mut flow = fixture("login-second-step");
    flow["ui"]["nodes"].as_array_mut().expect("nodes").extend(key_nodes(1_010_008));
    let html = login(&flow, &ctx).expect("login");
    check("beside the app", &html);
    let order: Vec<usize> =
        ["name=\"totp_code\"", "no access to the app?", "name=\"webauthn_login_trigger\"", "Use a backup code"]
            .iter()
            .map(|part| html.find(part).expect(part))
            .collect();
    assert!(order.is_sorted() && html.matches("class=\"or\"").count() == 1, "{order:?}");
    assert!(control(&html, "webauthn_login_trigger").starts_with("<button class=\"choice\" type=\"button\""));
    assert!(html.contains("<h1>Enter your code</h1>") && html.contains("Plug it in or hold it to your device"));
    assert!(html.contains("<noscript><p class=\"hint\">This needs JavaScript: "));

    // Used last: it is what the page is for, and the codes are the choices.
    flow["active"] = json!("webauthn");
    let html = login(&flow, &ctx).expect("login");
    check("used last", &html);
    assert!(html.contains("<h1>Use your security key</h1>") && !html.contains("name=\"way\" open"));
    assert!(control(&html, "webauthn_login_trigger").starts_with("<button class=\"btn main full\""));

    for gone in [vec!["totp_code", "method"], vec!["totp_code", "method", "lookup_secret"]] {
        let mut flow = fixture("login-second-step");
        flow["ui"]["nodes"].as_array_mut().expect("nodes").extend(key_nodes(1_010_008));
        flow["ui"]["nodes"]
            .as_array_mut()
            .expect("nodes")
            .retain(|node| node["group"] != "totp" && (gone.len() < 3 || node["group"] != "lookup_secret"));
        let html = login(&flow, &ctx).expect("login");
        check("first or only", &html);
        assert!(html.contains("<h1>Use your security key</h1>") && html.contains("Have your security key at hand."));
        assert_eq!(html.contains("Use a backup code"), gone.len() < 3);
        assert!(control(&html, "webauthn_login_trigger").starts_with("<button class=\"btn main full\""));
    }
    flow["refresh"] = json!(true);
    let html = login(&flow, &ctx).expect("login");
    assert!(html.contains("<h1>Confirm it’s you</h1>") && html.contains("webauthn_login_trigger"));
}

#[test]
fn a_key_confirms_too() {
    let mut flow = fixture("login");
    flow["refresh"] = json!(true);
    let mut nodes = key_nodes(1_010_008);
    nodes.push(fixture("login")["ui"]["nodes"][2].clone());
    flow["ui"]["nodes"] = json!(nodes);
    let html = login(&flow, &context(Lang::De)).expect("login");
    check("confirm", &html);
    assert!(html.contains("Mit einem Sicherheitsschlüssel bestätigen"));
}

#[test]
fn signing_up_without_a_password_uses_the_same_fields() {
    let html = registration(&fixture("registration-keys"), &context(Lang::En)).expect("registration");
    assert_eq!(html.matches("<form ").count(), 1, "every way needs the address");
    let order: Vec<usize> =
        ["traits.email", "name=\"password\"", "value=\"password\"", "passkey_register_trigger", "webauthn_register_displayname"]
            .iter()
            .map(|part| html.find(part).expect(part))
            .collect();
    assert!(order.is_sorted(), "{order:?}");
    let key = html.split("<details class=\"way\" data-scripted hidden>").nth(1).expect("choice");
    assert!(key.contains("Sign up with a security key") && key.contains("Name of the key") && key.contains("data-trigger"));
    assert!(key.contains("</details>\n<noscript><p class=\"hint\">This needs JavaScript: Sign up with a security key</p>"));
    assert!(!control(key, "webauthn_register_displayname").contains(" required"), "a closed choice must not hold up the others");

    let mut flow = fixture("registration-keys");
    flow["ui"]["nodes"].as_array_mut().expect("nodes").retain(|node| node["group"] != "password" && node["group"] != "webauthn");
    let html = registration(&flow, &context(Lang::En)).expect("registration");
    check("passkeys alone", &html);
    assert!(control(&html, "passkey_register_trigger").contains("class=\"btn main full\""));
}

#[test]
fn a_missing_name_is_told_in_words() {
    let mut flow = keys();
    node(&mut flow, "webauthn", "webauthn_register_displayname")["messages"] = json!([{"id": 4_000_002, "text": "Fill in: webauthn_register_displayname.", "type": "error", "context": {"property": "webauthn_register_displayname"}}]);
    let html = show(&flow, Lang::En);
    let section = section(&html, "webauthn");
    assert!(section.contains("Enter a name first") && !section.contains("Fill in"));
    assert!(html.contains("<title>Error: "));

    // The field of a row has no node, so its refusal has no place but the top.
    let mut flow = keys();
    flow["ui"]["nodes"].as_array_mut().expect("nodes").push(json!({"type": "input", "group": "default", "attributes": {"name": "passkey_display_name", "type": "text", "disabled": false, "node_type": "input"}, "messages": [{"id": 4_000_002, "text": "Fill in: passkey_display_name.", "type": "error"}], "meta": {}}));
    let html = show(&flow, Lang::De);
    assert!(html.contains("Geben Sie zuerst einen Namen ein") && !html.contains("Fill in"));
}
