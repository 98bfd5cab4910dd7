//! Writes every built-in page over the test fixtures into a directory, for looking at them in a browser.
//! Usage: `cargo run -p keyward-pages --example gallery -- DIRECTORY`, then serve that directory.
//! It shows states that a running server reaches only with effort: refusals, second steps, other languages.

use std::error::Error;
use std::path::Path;

use keyward_model::Message;
use keyward_pages::{
    Ended, FooterLink, Lang, Letter, Mailbox, PageContext, Person, SessionList, asset, script_name, stylesheet_name,
};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).ok_or("name a directory")?;
    let directory = Path::new(&directory);
    let assets = directory.join("ui/assets");
    std::fs::create_dir_all(&assets)?;
    for name in [stylesheet_name(), script_name()] {
        std::fs::write(assets.join(name), asset(name).ok_or("no asset")?.bytes)?;
    }
    for (lang, suffix) in [(Lang::En, ""), (Lang::De, "-de")] {
        for (name, html) in pages(lang)? {
            std::fs::write(directory.join(format!("{name}{suffix}.html")), html)?;
        }
    }
    Ok(())
}

fn pages(lang: Lang) -> Result<Vec<(&'static str, String)>, Box<dyn Error>> {
    let ctx = PageContext {
        lang,
        signed_in: Some(Person { name: Some("Mara Lindqvist".into()), email: Some("mara@example.org".into()) }),
        logout_url: Some("home.html".into()),
        login_url: "login.html".into(),
        registration_url: Some("registration.html".into()),
        recovery_url: Some("recovery.html".into()),
        verification_url: Some("verification.html".into()),
        settings_url: "settings.html".into(),
        sessions_url: Some("sessions.html".into()),
        language_url: Some("?lang=de".into()),
        mailbox_url: Some("mailbox.html".into()),
        footer: vec![
            FooterLink { label: "Help".into(), href: "/help".into() },
            FooterLink { label: "Privacy".into(), href: "/privacy".into() },
        ],
        ..PageContext::default()
    };
    let login: Value = serde_json::from_str(include_str!("../fixtures/login.json"))?;
    let registration: Value = serde_json::from_str(include_str!("../fixtures/registration.json"))?;
    let settings: Value = serde_json::from_str(include_str!("../fixtures/settings.json"))?;
    let sessions: Value = serde_json::from_str(include_str!("../fixtures/sessions.json"))?;

    let mut wrong = login.clone();
    wrong["ui"]["messages"] = json!([{"id": 4_000_006, "text": "That email address and password do not belong together. Check both and try again.", "type": "error"}]);

    let mut confirm = plain(&login, &["default", "password", "passkey"]);
    confirm["refresh"] = json!(true);
    confirm["ui"]["messages"] =
        json!([{"id": 1_010_003, "text": "Confirm that it’s you, and we carry on where you left off.", "type": "info"}]);
    for node in nodes(&mut confirm) {
        if node["attributes"]["name"] == "identifier" {
            node["attributes"] = json!({"name": "identifier", "type": "hidden", "value": "mara@example.org", "disabled": false, "node_type": "input"});
        }
    }

    let mut rejected = registration.clone();
    for node in nodes(&mut rejected) {
        match node["attributes"]["name"].as_str() {
            Some("traits.email") => {
                node["attributes"]["value"] = json!("mara@example");
                node["messages"] = json!([{"id": 4_000_040, "text": "Enter the email address in full, like name@example.org.", "type": "error"}]);
            }
            Some("password") => {
                node["messages"] = json!([{"id": 4_000_034, "text": "Choose a different password: this one appears in 3,861 known leaks.", "type": "error"}]);
            }
            _ => {}
        }
    }

    let mut simple = plain(&settings, &["default", "profile", "password"]);
    simple["ui"]["messages"] = json!([{"id": 1_050_001, "text": "Your changes are saved.", "type": "success"}]);
    let mut refused = plain(&settings, &["default", "profile", "password"]);
    for node in nodes(&mut refused).filter(|node| node["group"] == "password" && node["attributes"]["name"] == "password") {
        node["messages"] = json!([{"id": 4_000_032, "text": "Use at least 8 characters. This one has 5.", "type": "error"}]);
    }

    let all = sessions.as_array().ok_or("no sessions")?;
    let list = SessionList {
        current: &all[0],
        others: &all[1..],
        csrf_token: "n4Ph2mS9vXo7q1bD0kYtWw==",
        end_one: "/ui/sessions/end",
        end_others: "/ui/sessions/end-others",
        ended: Some(Ended::One("Mozilla/5.0 (Windows NT 10.0; rv:132.0) Gecko/20100101 Firefox/132.0")),
    };
    let failure = json!({"id": "7c1d0e4a-52b8-4f6e-9d1a-3b5c7d9e1f20", "created_at": "2026-11-24T18:32:00Z", "error": {"id": "security_csrf_violation", "code": 403, "status": "Forbidden", "reason": "The form token does not fit the cookie."}});
    let second = |name: &str| -> Result<Value, serde_json::Error> {
        serde_json::from_str(match name {
            "enrol" => include_str!("../fixtures/settings-enrol.json"),
            "codes" => include_str!("../fixtures/settings-codes.json"),
            "second-step" => include_str!("../fixtures/settings-second-step.json"),
            "revealed" => include_str!("../fixtures/settings-revealed.json"),
            "renew" => include_str!("../fixtures/settings-renew.json"),
            _ => include_str!("../fixtures/login-second-step.json"),
        })
    };
    let saying = |mut flow: Value, message: Value| {
        flow["ui"]["messages"] = json!([message]);
        flow
    };
    let message = |id| json!(Message::plain(id).in_language(lang));
    let mut enrol_wrong = second("enrol")?;
    for node in nodes(&mut enrol_wrong).filter(|node| node["attributes"]["name"] == "totp_code") {
        node["messages"] = json!([message(4_000_008)]);
    }
    let code_wrong = saying(second("login")?, message(4_000_008));
    let backup_used = saying(second("login")?, message(4_000_012));
    let too_many = json!({"id": 7_900_001, "text": "Wait.", "type": "error", "context": {"retry_after": 300}});
    let too_many = saying(second("login")?, too_many);
    let mut step_up = saying(second("login")?, message(1_010_003));
    step_up["refresh"] = json!(true);
    let backup_only = plain(&second("login")?, &["default", "lookup_secret"]);
    let outside = PageContext { signed_in: None, ..ctx.clone() };

    let keys: Value = serde_json::from_str(include_str!("../fixtures/settings-keys.json"))?;
    let sign_up_keys: Value = serde_json::from_str(include_str!("../fixtures/registration-keys.json"))?;
    let mut unconfirmed = simple.clone();
    unconfirmed["identity"]["verifiable_addresses"] = json!([{"value": "mara@example.org", "verified": false, "via": "email"}]);
    let mut no_keys = keys.clone();
    let mut only_passkey = plain(&keys, &["default", "profile", "passkey"]);
    if let Some(nodes) = no_keys["ui"]["nodes"].as_array_mut() {
        nodes.retain(|node| !node["attributes"]["name"].as_str().is_some_and(|name| name.ends_with("_remove")));
    }
    if let Some(nodes) = only_passkey["ui"]["nodes"].as_array_mut() {
        nodes.retain(|node| node["attributes"]["value"] != "c9d4");
    }
    for node in nodes(&mut only_passkey).filter(|node| node["attributes"]["name"] == "passkey_remove") {
        node["attributes"]["disabled"] = json!(true);
    }
    let mut with_key = second("login")?;
    let mut key_login = plain(&login, &["default"]);
    for flow in [&mut with_key, &mut key_login] {
        ask_for_key(flow);
    }
    let key_login = saying(key_login, message(1_010_012));
    let key_only = plain(&with_key, &["default", "webauthn"]);
    let mut all_pages = mailed(&ctx, &outside)?;
    all_pages.extend(social(&ctx, &outside)?);
    all_pages.extend([
        ("settings-keys", keyward_pages::settings(&keys, &ctx)?),
        ("settings-no-keys", keyward_pages::settings(&no_keys, &ctx)?),
        ("settings-only-passkey", keyward_pages::settings(&only_passkey, &ctx)?),
        ("registration-keys", keyward_pages::registration(&sign_up_keys, &outside)?),
        ("login-key", keyward_pages::login(&key_login, &outside)?),
        ("second-step-key", keyward_pages::login(&with_key, &ctx)?),
        ("second-step-only-key", keyward_pages::login(&key_only, &ctx)?),
        ("login", keyward_pages::login(&login, &outside)?),
        ("login-error", keyward_pages::login(&wrong, &outside)?),
        ("login-plain", keyward_pages::login(&plain(&login, &["default", "password"]), &outside)?),
        ("confirm", keyward_pages::login(&confirm, &ctx)?),
        ("registration", keyward_pages::registration(&registration, &outside)?),
        ("registration-error", keyward_pages::registration(&rejected, &outside)?),
        ("settings", keyward_pages::settings(&simple, &ctx)?),
        ("settings-unconfirmed", keyward_pages::settings(&unconfirmed, &ctx)?),
        ("settings-error", keyward_pages::settings(&refused, &ctx)?),
        ("settings-all", keyward_pages::settings(&settings, &ctx)?),
        ("settings-enrol", keyward_pages::settings(&second("enrol")?, &ctx)?),
        ("settings-enrol-wrong", keyward_pages::settings(&enrol_wrong, &ctx)?),
        ("settings-codes", keyward_pages::settings(&second("codes")?, &ctx)?),
        ("settings-second-step", keyward_pages::settings(&second("second-step")?, &ctx)?),
        ("settings-revealed", keyward_pages::settings(&second("revealed")?, &ctx)?),
        ("settings-renew", keyward_pages::settings(&second("renew")?, &ctx)?),
        ("second-step", keyward_pages::login(&second("login")?, &ctx)?),
        ("second-step-wrong", keyward_pages::login(&code_wrong, &ctx)?),
        ("second-step-backup", keyward_pages::login(&backup_used, &ctx)?),
        ("second-step-too-many", keyward_pages::login(&too_many, &ctx)?),
        ("second-step-only-backup", keyward_pages::login(&backup_only, &ctx)?),
        ("second-step-confirm", keyward_pages::login(&step_up, &ctx)?),
        ("sessions", keyward_pages::sessions(&list, &ctx)?),
        ("error", keyward_pages::error(&failure, &outside)?),
        ("home", keyward_pages::home(&ctx)?),
        ("home-outside", keyward_pages::home(&outside)?),
        ("signed-out", keyward_pages::signed_out(&outside)?),
        ("not-found", keyward_pages::not_found(&outside)?),
    ]);
    Ok(all_pages)
}

/// Whatever a mailed code or link leads to, and the mailbox that they arrive in.
fn mailed(ctx: &PageContext, outside: &PageContext) -> Result<Vec<(&'static str, String)>, Box<dyn Error>> {
    let flows: Value = serde_json::from_str(include_str!("../fixtures/mailed.json"))?;
    let mut prefilled = flows["verification-sent"].clone();
    for node in nodes(&mut prefilled).filter(|node| node["attributes"]["name"] == "code") {
        node["attributes"]["value"] = json!("481209");
    }
    let long = "maria-magdalena.von-und-zu-hohenfels-wallenstein-the-third@a-very-long-department-name.example.org";
    let mut long_address: Value = serde_json::from_str(&flows["recovery-sent"].to_string().replace("mara@example.org", long))?;
    long_address["ui"]["messages"][0]["context"] = json!({});
    let mut every_way: Value = serde_json::from_str(include_str!("../fixtures/login-second-step.json"))?;
    let mut every_way_sent = every_way.clone();
    for (flow, from) in [(&mut every_way, "login-second-choose"), (&mut every_way_sent, "login-second-sent")] {
        let code = flows[from]["ui"]["nodes"].as_array().into_iter().flatten().filter(|node| node["group"] == "code").cloned();
        if let Some(nodes) = flow["ui"]["nodes"].as_array_mut() {
            nodes.extend(code);
        }
    }
    every_way_sent["active"] = json!("code");
    let letter =
        |id, recipient, subject, text, template, time| Letter { id, recipient, subject, text, html: None, time, template };
    let letters = [
        Letter {
            html: Some("<p style=\"color:green\">Enter this code: <b>481209</b></p><script>parent.document.title='x'</script>"),
            ..letter(
                "1",
                "mara@example.org",
                "481209 is your code",
                "Hello,\n\nenter this code to confirm your email address:\n\n481209\n\nor open this link:\n\nhttps://id.example/self-service/verification?code=481209&flow=6f0d4c56-0b8f-4c1e-9f0e-2a9f5f6d1c77\n\nIt works for 15 minutes.",
                "verification_code_valid",
                "2026-11-24T18:32:07Z",
            )
        },
        letter("2", long, "Get back into your account", "Your code: 913370", "recovery_code_valid", "2026-11-24T18:21:40Z"),
        letter("3", "+46701740605", "", "224 466 is your code for Keyward.", "login_code_valid", "2026-11-23T15:02:00Z"),
    ];
    let mailbox = Mailbox { letters: &letters, open: None, more: true, address: "mailbox.html" };
    let recovery = |name: &str| keyward_pages::recovery(&flows[name], outside);
    let verification = |name: &str| keyward_pages::verification(&flows[name], ctx);
    Ok(vec![
        ("recovery", recovery("recovery")?),
        ("recovery-malformed", recovery("recovery-malformed")?),
        ("recovery-code", recovery("recovery-sent")?),
        ("recovery-code-wrong", recovery("recovery-wrong")?),
        ("recovery-code-long", keyward_pages::recovery(&long_address, outside)?),
        ("recovery-choose", recovery("recovery-2-choose")?),
        ("recovery-confirm", recovery("recovery-2-confirm")?),
        ("recovery-code-chosen", recovery("recovery-2-code")?),
        ("recovery-link-sent", recovery("recovery-link-sent")?),
        ("recovery-done", recovery("recovery-done")?),
        ("verification", verification("verification")?),
        ("verification-code", verification("verification-sent")?),
        ("verification-code-wrong", verification("verification-wrong")?),
        ("verification-prefilled", keyward_pages::verification(&prefilled, ctx)?),
        ("verification-done", verification("verification-done")?),
        ("login-code", keyward_pages::login(&flows["login-sent"], outside)?),
        ("login-code-wrong", keyward_pages::login(&flows["login-wrong"], outside)?),
        ("second-step-address", keyward_pages::login(&flows["login-second-choose"], ctx)?),
        ("second-step-mailed", keyward_pages::login(&flows["login-second-sent"], ctx)?),
        ("second-step-every-way", keyward_pages::login(&every_way, ctx)?),
        ("second-step-every-way-mailed", keyward_pages::login(&every_way_sent, ctx)?),
        ("registration-code", keyward_pages::registration(&flows["registration-sent"], outside)?),
        ("mailbox", keyward_pages::mailbox(&mailbox, outside)?),
        ("mailbox-phone", keyward_pages::mailbox(&Mailbox { open: Some("3"), ..mailbox }, outside)?),
        ("mailbox-long", keyward_pages::mailbox(&Mailbox { open: Some("2"), ..mailbox }, outside)?),
        ("mailbox-empty", keyward_pages::mailbox(&Mailbox { letters: &[], ..mailbox }, outside)?),
    ])
}

/// Signing in with an account elsewhere, and connecting one.
fn social(ctx: &PageContext, outside: &PageContext) -> Result<Vec<(&'static str, String)>, Box<dyn Error>> {
    let flows: Value = serde_json::from_str(include_str!("../fixtures/social.json"))?;
    let login = |name: &str| keyward_pages::login(&flows[name], outside);
    let registration = |name: &str| keyward_pages::registration(&flows[name], outside);
    let settings = |name: &str| keyward_pages::settings(&flows[name], ctx);
    let mut wrong = flows["login-connect"].clone();
    wrong["ui"]["messages"] = json!([Message::plain(4_000_006).in_language(ctx.lang)]);
    Ok(vec![
        ("social-login-many", login("login-many")?),
        ("social-login-only", login("login-only")?),
        ("social-login-connect", login("login-connect")?),
        ("social-login-connect-wrong", keyward_pages::login(&wrong, outside)?),
        ("social-login-confirm", keyward_pages::login(&flows["login-confirm"], ctx)?),
        ("social-registration-many", registration("registration-many")?),
        ("social-registration-complete", registration("registration-complete")?),
        ("social-settings-connected", settings("settings-connected")?),
        ("social-settings-refused", settings("settings-refused")?),
        ("social-settings-organization", settings("settings-organization")?),
    ])
}

/// Adds what a login flow shows once it knows whose key it waits for.
fn ask_for_key(flow: &mut Value) {
    let input = |group: &str, attributes: Value| json!({"type": "input", "group": group, "attributes": attributes, "messages": [], "meta": {"label": {"id": 1_010_013, "text": "Use the key", "type": "info"}}});
    if let Some(nodes) = flow["ui"]["nodes"].as_array_mut() {
        nodes.retain(|node| node["attributes"]["name"] != "identifier");
        nodes.push(input("default", json!({"name": "identifier", "type": "hidden", "value": "mara@example.org"})));
        nodes.push(input("webauthn", json!({"name": "webauthn_login", "type": "hidden", "value": ""})));
        nodes.push(input(
            "webauthn",
            json!({"name": "webauthn_login_trigger", "type": "button", "value": "{\"publicKey\":{\"challenge\":\"AAAA\"}}", "onclickTrigger": "oryWebAuthnLogin"}),
        ));
    }
}

fn nodes(flow: &mut Value) -> impl Iterator<Item = &mut Value> {
    flow["ui"]["nodes"].as_array_mut().into_iter().flatten()
}

/// The flow with only the nodes of the given groups.
fn plain(flow: &Value, groups: &[&str]) -> Value {
    let mut flow = flow.clone();
    if let Some(nodes) = flow["ui"]["nodes"].as_array_mut() {
        nodes.retain(|node| node["group"].as_str().is_some_and(|group| groups.contains(&group)));
    }
    flow
}
