//! Assurance levels: who is asked for a second factor, where that leads, and what one factor alone does not do.

use keyward_model::{CredentialType, Span};
use keyward_services::totp::TotpKey;
use keyward_testkit::{APP, ClientKind, PASSWORD, Reply, Trial, UI, Value, flow_test};
use serde_json::json;

use super::{MARA, code_at, enrol_app, second_factors, step_up};

/// Accounts that were brought along count like those that grew here, whatever an older server believed about them.
#[flow_test(config = second_factors())]
async fn aal_01_an_imported_second_factor_protects(t: Trial) {
    let url = "otpauth://totp/Old:mara?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Old";
    let both = json!({ "password": { "config": { "password": PASSWORD } }, "totp": { "config": { "totp_url": url } } });
    let body = |email: &str, credentials: &Value| json!({ "schema_id": "person", "traits": { "email": email }, "credentials": credentials });
    let admin = t.admin();
    admin.create(&body(MARA, &both)).await;
    // In two steps, in either order.
    let later = admin.create_person("late@example.org").await["id"].as_str().unwrap().to_owned();
    let totp = json!([{ "op": "add", "path": "/credentials/totp", "value": { "type": "totp", "config": { "totp_url": url } } }]);
    admin.call("PATCH", &format!("/admin/identities/{later}")).json(&totp).await.expect(200);
    let first =
        admin.create(&body("first@example.org", &json!({ "totp": both["totp"] }))).await["id"].as_str().unwrap().to_owned();
    let mut replaced = body("first@example.org", &json!({ "password": both["password"] }));
    replaced["state"] = "active".into();
    admin.call("PUT", &format!("/admin/identities/{first}")).json(&replaced).await.expect(200);
    let key = TotpKey::parse(url).unwrap();
    for email in [MARA, "late@example.org", "first@example.org"] {
        let mara = t.person();
        mara.sign_in(email, PASSWORD).await;
        assert_eq!(mara.try_whoami().await.expect(403).error_id(), "session_aal2_required", "{email}");
        step_up(&mara, json!({ "method": "totp", "totp_code": code_at(&key, t.now()) })).await.done();
        assert_eq!(mara.whoami().await["authenticator_assurance_level"], "aal2");
    }
}

fn both_factors_fresh() -> Value {
    let mut config = second_factors();
    config["selfservice"]["flows"] =
        json!({ "settings": { "privileged_session_max_age": "1m", "reauthentication": "same_aal" } });
    config
}

/// Signed in with both factors, but long ago: the first one alone brings no change about.
#[flow_test(browser, spa, config = both_factors_fresh())]
async fn aal_03_the_password_alone_resumes_nothing(t: Trial) {
    let mara = t.signed_up(MARA).await;
    let (key, _) = enrol_app(&t, &mara).await;
    t.clock().advance(Span::minutes(2));
    let id = mara.id().await;
    let hash = async || t.snapshot(id).await.credential(CredentialType::Password).unwrap().config.clone();
    let before = hash().await;

    // What nobody signs in with needs none of it.
    let flow = mara.init("settings", "").await;
    mara.submit(&flow, json!({ "method": "profile", "traits": { "email": MARA, "nickname": "Mara" } })).await.saved();

    let new = "staple 9 correct elephant";
    let flow = mara.init("settings", "").await;
    let change = json!({ "method": "password", "password": new });
    let login = mara.submit(&flow, change.clone()).await.login_first("session_refresh_required");
    let back = format!("{}/self-service/settings?flow={}", t.public(), flow.id());

    // A person, or a page, that takes the first factor instead is asked again.
    let weak = login.replace("aal=aal2&", "");
    let entry = mara.init_at(&weak).await;
    mara.submit(&entry, json!({ "method": "password", "identifier": MARA, "password": PASSWORD })).await;
    assert_eq!(hash().await, before, "the password alone");
    let again = mara.navigate(&back).await.login_first("session_refresh_required");
    assert_eq!(hash().await, before, "going back after the password alone");
    assert!(again.contains("aal=aal2"), "{again}");

    let entry = mara.init_at(&again).await;
    assert_eq!(entry.json["requested_aal"], "aal2");
    mara.submit(&entry, json!({ "method": "totp", "totp_code": code_at(&key, t.now()) })).await.done();
    mara.navigate(&back).await.saved();
    assert_ne!(hash().await, before);
    t.person().sign_in(MARA, new).await;
}

/// The app sends whoever has no complete session to sign in; that must not send them back at once.
#[flow_test(browser, spa, config = second_factors())]
async fn aal_05_a_login_abandoned_at_the_second_step_goes_on(t: Trial) {
    let mara = t.signed_up(MARA).await;
    let (key, _) = enrol_app(&t, &mara).await;
    t.clock().advance(Span::minutes(2));
    let phone = t.person();
    phone.sign_in(MARA, PASSWORD).await;

    let home = format!("{APP}/start?x=1");
    let query = format!("return_to={}", url::form_urlencoded::byte_serialize(home.as_bytes()).collect::<String>());
    let mut address = home.clone();
    let mut steps = Vec::new();
    let flow = loop {
        steps.push(address.clone());
        assert!(steps.len() < 10, "in circles: {steps:#?}");
        if address == home {
            // What every app does.
            assert_eq!(phone.try_whoami().await.status, 403);
            address = format!("{}/self-service/login/browser?{query}", t.public());
        } else if let Some(id) = address.strip_prefix(&format!("{UI}/login?flow=")) {
            break keyward_testkit::Flow { kind: "login".to_owned(), json: phone.fetch("login", id).await.expect(200).json() };
        } else {
            let reply = phone.call("GET", &address).await;
            address = match (t.client, reply.status) {
                (ClientKind::Browser, 303) => reply.location().to_owned(),
                (ClientKind::Spa, 403) => {
                    assert_eq!(reply.error_id(), "session_aal2_required");
                    reply.json()["redirect_browser_to"].as_str().unwrap().to_owned()
                }
                (ClientKind::Spa, 200) => format!("{UI}/login?flow={}", reply.json()["id"].as_str().unwrap()),
                _ => panic!("{reply:?}"),
            };
        }
    };
    assert_eq!(flow.json["requested_aal"], "aal2");
    assert!(flow.find("totp_code").is_some(), "{:?}", flow.names());
    // There is a way out as well.
    phone.call("GET", "/self-service/logout/browser").header("accept", "application/json").await.expect(200);
    let done = phone.submit(&flow, json!({ "method": "totp", "totp_code": code_at(&key, t.now()) })).await.done();
    assert_eq!(done.location, Some(home));
    phone.whoami().await;
}

/// Where one factor is enough for whoami, whoever has a session is signed in, and goes where they wanted.
#[flow_test(config = second_factors())]
async fn aal_05_where_one_factor_is_enough_a_login_is_over(t: Trial) {
    let mara = t.signed_up(MARA).await;
    enrol_app(&t, &mara).await;
    let phone = t.person();
    phone.sign_in(MARA, PASSWORD).await;
    // An app is told the same as a page.
    let refused = phone.start("login", "").await;
    match t.client {
        ClientKind::Browser => assert!(refused.expect(303).location().contains("login/browser?aal=aal2")),
        ClientKind::Api | ClientKind::Spa => assert_eq!(refused.expect(403).error_id(), "session_aal2_required"),
    }
    t.reconfigure(&json!({ "session": { "whoami": { "required_aal": "aal1" } } }));
    let reply = phone.start("login", "return_to=http%3A%2F%2F127.0.0.1%3A4456%2Fx").await;
    match t.client {
        ClientKind::Browser => assert_eq!(reply.expect(303).location(), "http://127.0.0.1:4456/x"),
        ClientKind::Api | ClientKind::Spa => assert_eq!(reply.expect(400).error_id(), "session_already_available"),
    }
}

/// Every address of an answer, in its headers and in its body, also inside other addresses. What was asked for is told as it was
/// asked: `request_url` is a record and leads nowhere.
fn addresses(reply: &Reply) -> Vec<String> {
    let mut found: Vec<String> = reply.header("location").into_iter().map(str::to_owned).collect();
    let mut rest = vec![serde_json::from_slice(&reply.body).unwrap_or_else(|_| json!(reply.text()))];
    while let Some(value) = rest.pop() {
        match value {
            Value::Object(members) => {
                rest.extend(members.into_iter().filter(|(name, _)| name != "request_url").map(|(_, value)| value));
            }
            Value::Array(items) => rest.extend(items),
            Value::String(text) => found.push(text),
            _ => {}
        }
    }
    let decoded: Vec<_> = found.iter().map(|text| percent(text)).collect();
    found.extend(decoded);
    found
}

fn percent(text: &str) -> String {
    url::form_urlencoded::parse(format!("x={}", text.replace('&', "%26").replace('+', "%2B")).as_bytes())
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

/// A proxy inside calls the server by another name.
#[flow_test(config = second_factors())]
async fn aal_07_no_address_is_built_from_the_request(t: Trial) {
    let (host, evil) = ("keyward.internal:4433", "evil.test");
    let check = |reply: &Reply, what: &str| {
        for text in addresses(reply) {
            assert!(!text.contains("internal") && !text.contains("evil"), "{what}: {text}\n{reply:?}");
            for own in text
                .match_indices("http")
                .map(|(at, _)| &text[at..])
                .filter(|rest| rest.starts_with("http://") || rest.starts_with("https://"))
            {
                let known = [t.public().as_str(), UI, APP, "http://schemas", "http://json-schema", "https://schemas"]
                    .iter()
                    .any(|known| own.starts_with(known));
                assert!(known, "{what}: {own}");
            }
        }
    };
    let mara = t.signed_up(MARA).await;
    let strong = t.signed_up("strong@example.org").await;
    let (_, _) = enrol_app(&t, &strong).await;
    let flow_of_strong = strong.init("settings", "").await;
    let weak = t.person();
    weak.sign_in("strong@example.org", PASSWORD).await;
    let own = mara.init("settings", "").await;
    let login = t.person();
    let open = login.init("login", "").await;
    t.clock().advance(Span::minutes(59));
    let recent = mara.init("settings", "").await;
    t.clock().advance(Span::minutes(2));

    let door = if t.client == ClientKind::Api { "api" } else { "browser" };
    let back = "return_to=http%3A%2F%2F127.0.0.1%3A4456%2Fback";
    let nobody = t.person();
    let settings_of = |flow: &keyward_testkit::Flow| format!("/self-service/settings?flow={}", flow.id());
    let start = format!("/self-service/settings/{door}");
    let start_back = format!("/self-service/settings/{door}?{back}");
    let login_start = format!("/self-service/login/{door}?{back}");
    let change = json!({ "method": "password", "password": "staple 9 correct elephant" });
    let mut answers: Vec<(&str, Reply)> = Vec::new();
    for (what, person, path) in [
        ("init", &mara, start.as_str()),
        ("init, return_to", &mara, &start_back),
        ("init without a session", &nobody, &start_back),
        ("init at one factor", &weak, &start),
        ("init at one factor, return_to", &weak, &start_back),
        ("login", &nobody, &login_start),
        ("login, signed in", &mara, &login_start),
        ("login, at one factor", &weak, &login_start),
        ("whoami at one factor", &weak, "/sessions/whoami"),
        ("whoami", &mara, "/sessions/whoami"),
        ("sessions", &mara, "/sessions"),
    ] {
        let call = person.call("GET", path).header("host", host).header("x-forwarded-host", evil);
        answers.push((what, call.await));
    }
    for (what, person, kind, id) in [
        ("fetch at one factor", &weak, "settings", flow_of_strong.id()),
        ("fetch too late", &mara, "settings", own.id()),
        ("fetch", &mara, "settings", recent.id()),
        ("fetch a login too late", &login, "login", open.id()),
    ] {
        let call = person.call("GET", &format!("/self-service/{kind}/flows?id={id}")).header("accept", "application/json");
        answers.push((what, call.header("host", host).header("x-forwarded-host", evil).await));
    }
    for (what, person, path, flow) in [
        ("submit at one factor", &weak, settings_of(&flow_of_strong), &flow_of_strong),
        ("submit too late", &mara, settings_of(&own), &own),
        ("submit after too long", &mara, settings_of(&recent), &recent),
    ] {
        assert!(flow.json["ui"]["action"].as_str().unwrap().ends_with(&path));
        let call = person.submit_call(flow, change.clone()).header("host", host).header("x-forwarded-host", evil);
        answers.push((what, call.await));
    }
    // Signing in at one factor leads a page elsewhere.
    let late = t.person();
    let entry = late.init("login", back).await;
    let fields = json!({ "method": "password", "identifier": "strong@example.org", "password": PASSWORD });
    let call = late.submit_call(&entry, fields).header("host", host).header("x-forwarded-host", evil);
    answers.push(("sign-in", call.await));
    for (what, reply) in &answers {
        check(reply, what);
    }
    let statuses: Vec<_> = answers.iter().map(|(what, reply)| (*what, reply.status)).collect();
    if t.client == ClientKind::Spa {
        for wanted in [200, 401, 403, 410, 422] {
            assert!(statuses.iter().any(|(_, status)| *status == wanted), "{wanted}: {statuses:?}");
        }
    }
}
