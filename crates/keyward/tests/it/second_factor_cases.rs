//! What the wire promises about second factors beyond enrolling and stepping up: levels, freshness, forged forms, pauses, and which
//! login offers what.
//! Each test names the acceptance cases that it proves.
//! The walk through enrolment and step-up itself is in `second_factor`, the table of operations in `demand`.

use keyward_model::{CredentialType, Span, Time};
use keyward_services::totp::TotpKey;
use keyward_testkit::{Actor, ClientKind, Flow, PASSWORD, Reply, Submitted, Trial, UI, Value, flow_test, schema_url};
use serde_json::json;

use crate::second_factor::{EMAIL, code, codes, enabled, enrol, first_step, key, step_up};

const NEW: &str = "staple 9 correct elephant";

/// The address that an address leads back to.
fn return_to(address: &str) -> String {
    let url = reqwest::Url::parse(address).unwrap_or_else(|error| panic!("{address}: {error}"));
    let found = url.query_pairs().find(|(name, _)| name == "return_to");
    found.unwrap_or_else(|| panic!("{address} leads nowhere")).1.into_owned()
}

/// A device at the first level, with a flow from before there was a second.
async fn weak_with_flow(t: &Trial) -> (Actor, Flow) {
    let phone = first_step(t, EMAIL).await;
    let flow = phone.init("settings", "").await;
    (phone, flow)
}

// cases: S-19, S-29
#[flow_test(config = enabled())]
async fn a_flow_from_before_the_second_factor_asks_for_it(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let (phone, flow) = weak_with_flow(&t).await;
    enrol(&t, &ada).await;
    let before = t.snapshot(ada.id().await).await;

    let fetched = phone.fetch("settings", &flow.id()).await.expect(403);
    assert_eq!(fetched.error_id(), "session_aal2_required");
    let login = fetched.json()["redirect_browser_to"].as_str().unwrap().to_owned();
    assert_eq!(return_to(&login), format!("{UI}/settings?flow={}", flow.id()));

    for fields in
        [json!({ "method": "password", "password": NEW }), json!({ "totp_unlink": true }), json!({ "method": "profile" })]
    {
        let login = phone.submit(&flow, fields).await.login_first("session_aal2_required");
        assert_eq!(return_to(&login), format!("{}/self-service/settings?flow={}", t.public(), flow.id()));
    }
    assert_eq!(t.snapshot(ada.id().await).await, before);
}

/// With `return_to` the second factor leads back to the very address that was asked for, and from there to a flow that keeps it.
// cases: S-9, S-10
#[flow_test(browser, spa, config = enabled())]
async fn the_second_factor_leads_back_to_where_one_was(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let (_, backup) = enrol(&t, &ada).await;
    let phone = first_step(&t, EMAIL).await;
    let query = "return_to=http%3A%2F%2F127.0.0.1%3A4456%2Fafter%3Fa%3Db";
    let reply = phone.start("settings", query).await;
    let login = match t.client {
        ClientKind::Browser => reply.expect(303).location().to_owned(),
        _ => reply.expect(403).json()["redirect_browser_to"].as_str().unwrap().to_owned(),
    };
    let init = format!("{}/self-service/settings/browser?{query}", t.public());
    assert_eq!(return_to(&login), init);
    let login = phone.init_at(&login).await;
    let done = phone.submit(&login, json!({ "method": "lookup_secret", "lookup_secret": backup[0] })).await.done();
    assert_eq!(done.location.as_deref(), Some(init.as_str()));
    let flow = phone.init("settings", query).await;
    assert_eq!(flow.json["return_to"], "http://127.0.0.1:4456/after?a=b");
}

// cases: S-74
#[flow_test(browser, spa, config = enabled())]
async fn a_forged_form_changes_no_factor(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let id = ada.id().await;
    let stranger = t.person();
    let foreign = stranger.init("login", "").await.csrf_token().unwrap();
    let forgeries = [Value::Null, json!("rubbish"), json!(foreign)];

    let flow = ada.init("settings", "").await;
    let right = code(&key(&flow), &t);
    let before = t.snapshot(id).await;
    for token in &forgeries {
        let fields = json!({ "method": "totp", "totp_code": right, "csrf_token": token });
        assert_eq!(ada.submit(&flow, fields).await.problem(403)["id"], "security_csrf_violation", "{token}");
    }
    assert_eq!(t.snapshot(id).await, before);
    assert_eq!(ada.whoami().await["authenticator_assurance_level"], "aal1");

    enrol(&t, &ada).await;
    let flow = ada.init("settings", "").await;
    let before = t.snapshot(id).await;
    for field in ["totp_unlink", "lookup_secret_reveal", "lookup_secret_regenerate", "lookup_secret_disable"] {
        for token in &forgeries {
            let submitted = ada.submit(&flow, json!({ field: true, "csrf_token": token })).await;
            assert_eq!(submitted.problem(403)["id"], "security_csrf_violation", "{field} with {token}");
        }
    }
    assert_eq!(t.snapshot(id).await, before);
    let untouched = ada.refetch(&flow).await;
    assert!(untouched.find("lookup_secret_codes").is_none() && untouched.find("lookup_secret_confirm").is_none());
}

/// Apps have no form token, and need none.
// cases: S-73, S-81
#[flow_test(api, config = enabled())]
async fn apps_need_no_form_token(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let flow = ada.init("settings", "").await;
    let wrong = json!({ "method": "totp", "totp_code": "000000", "csrf_token": null });
    assert_eq!(ada.submit(&flow, wrong).await.form().messages_at("totp_code"), [4_000_008]);
    let right = json!({ "method": "totp", "totp_code": code(&key(&flow), &t), "csrf_token": null });
    ada.submit(&flow, right).await.saved();
    let flow = ada.init("settings", "").await;
    let shown = ada.submit(&flow, json!({ "lookup_secret_reveal": true, "csrf_token": null })).await;
    assert_eq!(shown.reply.status, 200);
    let shown = shown.form();
    assert_eq!((codes(&shown).len(), shown.state()), (12, "show_form".to_owned()));
    assert_eq!(shown.json["transient_payload"], json!({}));
}

/// What an old session is told, and the login that it is led to.
async fn asks_for_a_fresh_login(t: &Trial, ada: &Actor, flow: &Flow, fields: Value) -> String {
    let before = t.snapshot(ada.id().await).await;
    let login = ada.submit(flow, fields.clone()).await.login_first("session_refresh_required");
    assert_eq!(t.snapshot(ada.id().await).await, before, "{fields}");
    let shown = ada.init_at(&login).await;
    assert!(shown.messages().contains(&1_010_003), "{fields}: {:?}", shown.messages());
    login
}

// cases: S-75
#[flow_test(config = enabled())]
async fn an_old_session_neither_enrols_nor_unlinks(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    t.clock().advance(Span::hours(2));
    let flow = ada.init("settings", "").await;
    let right = json!({ "method": "totp", "totp_code": code(&key(&flow), &t) });
    let login = asks_for_a_fresh_login(&t, &ada, &flow, right.clone()).await;
    assert_eq!(ada.whoami().await["authenticator_assurance_level"], "aal1");
    let saved = after_the_login(&ada, &flow, right, &login).await;
    assert_eq!(codes(&saved).len(), 12, "what was paused was done, and its codes are shown");
    assert_eq!(ada.whoami().await["authenticator_assurance_level"], "aal2");

    t.clock().advance(Span::hours(2));
    let flow = ada.init("settings", "").await;
    let unlink = json!({ "totp_unlink": true });
    let login = asks_for_a_fresh_login(&t, &ada, &flow, unlink.clone()).await;
    after_the_login(&ada, &flow, unlink, &login).await;
    assert_eq!(t.snapshot(ada.id().await).await.factors().totp, 0);
}

/// Browsers find the change done when they come back, apps send it again.
async fn after_the_login(ada: &Actor, flow: &Flow, fields: Value, login: &str) -> Flow {
    let done = ada.sign_in_again(login, PASSWORD).await;
    match ada.client {
        ClientKind::Api => ada.submit(flow, fields).await.saved(),
        ClientKind::Browser | ClientKind::Spa => ada.navigate(&done.location.unwrap()).await.saved(),
    }
}

// cases: S-77
#[flow_test(config = enabled())]
async fn enrolling_makes_the_session_fresh(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    t.clock().advance(Span::seconds(30));
    enrol(&t, &ada).await;
    let session = ada.whoami().await;
    assert_eq!(session["authenticated_at"], json!(t.now()));
    assert_eq!(session["authentication_methods"][1]["completed_at"], json!(t.now()));
    // Nearly an hour later it still is.
    t.clock().advance(Span::seconds(3_599));
    let flow = ada.init("settings", "").await;
    ada.submit(&flow, json!({ "method": "password", "password": NEW })).await.saved();
}

// cases: S-76
#[flow_test(config = enabled())]
async fn the_stored_address_names_issuer_and_account(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let flow = ada.init("settings", "").await;
    let shown = key(&flow);
    ada.submit(&flow, json!({ "method": "totp", "totp_code": code(&shown, &t) })).await.saved();
    let stored = t.snapshot(ada.id().await).await;
    let row = stored.credential(CredentialType::Totp).unwrap();
    let sealed = row.config["totp_url"].as_str().unwrap();
    let opened = TotpKey::open(&t.app().keys, stored.identity.id, sealed).expect("the server's own key opens it");
    assert_eq!(opened.base32(), shown.base32());
    let url = reqwest::Url::parse(opened.url().reveal()).unwrap();
    assert_eq!(url.path(), "/Test%20%26%20S%C3%B6hne:ada%40example.org");
    let asked: Vec<_> = url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    for (name, value) in [("algorithm", "SHA1"), ("digits", "6"), ("issuer", "Test & Söhne"), ("period", "30")] {
        assert!(asked.contains(&(name.to_owned(), value.to_owned())), "{name} in {asked:?}");
    }
    // A sealed address belongs to its identity: moved to another row it opens nothing.
    let other = keyward_model::IdentityId::parse("7b4b8b7e-2f3e-4b1c-9d55-0c0d5f3a2b10").unwrap();
    assert!(TotpKey::open(&t.app().keys, other, sealed).is_none());
    // The used secret has left the flow.
    let reread = ada.refetch(&flow).await;
    assert!(!reread.json.to_string().contains(shown.base32().reveal().as_str()));
}

// cases: S-82
#[flow_test(config = enabled())]
async fn an_old_session_does_nothing_to_codes(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let (_, backup) = enrol(&t, &ada).await;
    t.clock().advance(Span::hours(2));
    for field in ["lookup_secret_reveal", "lookup_secret_regenerate", "lookup_secret_disable"] {
        let flow = ada.init("settings", "").await;
        asks_for_a_fresh_login(&t, &ada, &flow, json!({ field: true })).await;
        let shown = ada.refetch(&flow).await;
        assert!(shown.find("lookup_secret_codes").is_none(), "{field}");
    }
    let phone = first_step(&t, EMAIL).await;
    step_up(&phone, json!({ "method": "lookup_secret", "lookup_secret": backup[11] })).await.done();
}

/// Nobody who starts anew is surprised by what they gave up.
// cases: S-135
#[flow_test(browser, spa, config = enabled())]
async fn starting_anew_gives_up_what_was_paused(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    enrol(&t, &ada).await;
    t.clock().advance(Span::hours(2));
    let before = t.snapshot(ada.id().await).await;
    for fields in [json!({ "totp_unlink": true }), json!({ "method": "password", "password": NEW })] {
        let flow = ada.init("settings", "").await;
        let login = ada.submit(&flow, fields).await.login_first("session_refresh_required");
        ada.init("settings", "").await;
        let back = ada.sign_in_again(&login, PASSWORD).await.location.unwrap();
        let form = ada.navigate(&back).await.form();
        assert_eq!(form.messages(), [4_000_001]);
        assert_eq!(t.snapshot(ada.id().await).await, before);
        t.clock().advance(Span::hours(2));
    }
}

// cases: L-46
#[flow_test(browser, spa, config = enabled())]
async fn stepping_up_keeps_the_session_and_renews_its_cookie(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let (key, _) = enrol(&t, &ada).await;
    let phone = first_step(&t, EMAIL).await;
    // The whole session is shown only at AAL2, so its id is read from the list of another.
    let before = ada.call("GET", "/sessions").header("accept", "application/json").await.expect(200).json()[0]["id"].clone();
    t.clock().advance(Span::seconds(60));
    let done = step_up(&phone, json!({ "method": "totp", "totp_code": code(&key, &t) })).await;
    let cookie = done.reply.set_cookie("ory_kratos_session").expect("the cookie is issued again");
    assert!(!cookie.is_removal());
    done.done();
    let session = phone.whoami().await;
    assert_eq!((&session["id"], &session["authenticator_assurance_level"]), (&before, &json!("aal2")));
}

// cases: L-44, L-45
#[flow_test(config = enabled())]
async fn who_has_no_second_factor_is_told_so(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let flow = ada.init("login", "aal=aal2").await;
    assert_eq!(flow.names(), ["csrf_token"], "nothing is offered that is not there");
    let totp = ada.submit(&flow, json!({ "method": "totp", "totp_code": "123456" })).await;
    assert_eq!(totp.form().messages(), [4_000_011]);
    let lookup = ada.submit(&flow, json!({ "method": "lookup_secret", "lookup_secret": "abcd1234" })).await;
    assert_eq!(lookup.form().messages(), [4_000_014]);
    assert_eq!(ada.whoami().await["authenticator_assurance_level"], "aal1");
}

// cases: L-44
#[flow_test(config = enabled())]
async fn what_is_typed_at_the_second_step_is_judged(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let (key, backup) = enrol(&t, &ada).await;
    t.clock().advance(Span::seconds(60));
    let phone = first_step(&t, EMAIL).await;
    let flow = phone.init("login", "aal=aal2").await;
    let wrong = (0..10).map(|digit| format!("{digit:06}")).find(|typed| *typed != code(&key, &t)).unwrap();
    for (fields, global, at) in [
        (json!({ "method": "totp", "totp_code": "" }), vec![], vec![4_000_002]),
        (json!({ "method": "totp", "totp_code": "12345" }), vec![], vec![4_000_003]),
        (json!({ "method": "totp", "totp_code": wrong }), vec![4_000_008], vec![]),
        (json!({ "method": "totp" }), vec![], vec![4_000_002]),
    ] {
        let form = phone.submit(&flow, fields.clone()).await.form();
        assert_eq!((form.messages(), form.messages_at("totp_code")), (global, at), "{fields}");
    }
    for (fields, global, at) in [
        (json!({ "method": "lookup_secret", "lookup_secret": "" }), vec![], vec![4_000_002]),
        (json!({ "method": "lookup_secret", "lookup_secret": &backup[0][..7] }), vec![4_000_016], vec![]),
        (json!({ "method": "lookup_secret", "lookup_secret": format!("{}x", backup[0]) }), vec![4_000_016], vec![]),
    ] {
        let form = phone.submit(&flow, fields.clone()).await.form();
        assert_eq!((form.messages(), form.messages_at("lookup_secret")), (global, at), "{fields}");
    }
    phone.try_whoami().await.expect(403);
}

/// Which login offers which methods, and what its success makes of the session (contract: login 7.10).
// cases: L-6, L-7, L-8, L-18, L-19
#[flow_test(config = enabled())]
async fn refresh_and_step_up_offer_what_fits(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let (key, _) = enrol(&t, &ada).await;
    let phone = first_step(&t, EMAIL).await;
    let offered = |flow: &Flow| {
        let field = |name: &str| flow.find(name).is_some();
        (field("password"), field("totp_code"), field("lookup_secret"))
    };
    let refresh = phone.init("login", "refresh=true").await;
    assert_eq!((offered(&refresh), refresh.messages()), ((true, false, false), vec![1_010_003]));
    let step_up = phone.init("login", "aal=aal2").await;
    assert_eq!((offered(&step_up), step_up.messages()), ((false, true, true), vec![1_010_004]));
    let both = phone.init("login", "refresh=true&aal=aal2").await;
    assert_eq!((offered(&both), both.messages()), ((false, true, true), vec![1_010_003, 1_010_004]));

    t.clock().advance(Span::seconds(60));
    phone.submit(&both, json!({ "method": "totp", "totp_code": code(&key, &t) })).await.done();
    let first = phone.whoami().await;
    assert_eq!(methods(&first), ["password", "totp"]);
    let again = phone.start("login", "aal=aal2").await;
    match t.client {
        ClientKind::Browser => assert!(again.expect(303).location().starts_with(keyward_testkit::APP)),
        _ => assert_eq!(again.expect(400).error_id(), "session_already_available"),
    }

    t.clock().advance(Span::seconds(60));
    let refresh = phone.init("login", "refresh=true").await;
    assert_eq!(offered(&refresh), (true, false, false));
    phone.submit(&refresh, json!({ "method": "password", "identifier": EMAIL, "password": PASSWORD })).await.done();
    let second = phone.whoami().await;
    let raised = (&second["id"], &second["authenticator_assurance_level"], methods(&second));
    assert_eq!(raised, (&first["id"], &json!("aal2"), vec!["password", "totp", "password"]));
    assert_eq!(second["authenticated_at"], json!(t.now()));

    let refresh = phone.init("login", "refresh=true&aal=aal2").await;
    assert_eq!((offered(&refresh), refresh.messages()), ((false, true, true), vec![1_010_003]));
    phone.submit(&refresh, json!({ "method": "totp", "totp_code": code(&key, &t) })).await.done();
    let third = phone.whoami().await;
    assert_eq!((&third["id"], &third["authenticator_assurance_level"]), (&first["id"], &json!("aal2")));
    assert_eq!(methods(&third), ["password", "totp", "password", "totp"]);

    // Somebody else at the same device is somebody else: nothing of the session is inherited.
    t.person().sign_up("eve@example.org", PASSWORD).await;
    let refresh = phone.init("login", "refresh=true").await;
    phone.submit(&refresh, json!({ "method": "password", "identifier": "eve@example.org", "password": PASSWORD })).await.done();
    let eve = phone.whoami().await;
    assert_ne!(eve["id"], first["id"]);
    assert_eq!((&eve["authenticator_assurance_level"], methods(&eve)), (&json!("aal1"), vec!["password"]));
}

fn methods(session: &Value) -> Vec<&str> {
    session["authentication_methods"].as_array().unwrap().iter().map(|proof| proof["method"].as_str().unwrap()).collect()
}

/// Under the default configuration, without anybody asking for it.
// cases: AC-06
#[flow_test(config = enabled())]
async fn an_enrolled_app_is_enforced_and_alone_signs_nobody_in(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let (key, backup) = enrol(&t, &ada).await;
    t.clock().advance(Span::seconds(60));
    let phone = first_step(&t, EMAIL).await;
    assert_eq!(phone.try_whoami().await.expect(403).error_id(), "session_aal2_required");
    for _ in 0..2 {
        assert!([303, 403].contains(&phone.start("settings", "").await.status), "asking twice does not help");
    }

    // Without a first factor there is no second step …
    let stranger = t.person();
    let refused = stranger.start("login", "aal=aal2").await;
    assert!([303, 401].contains(&refused.status), "{refused:?}");
    // … and at the first one a second factor proves nothing.
    let flow = stranger.init("login", "").await;
    for fields in [
        json!({ "method": "totp", "totp_code": code(&key, &t), "identifier": EMAIL }),
        json!({ "method": "lookup_secret", "lookup_secret": backup[0], "identifier": EMAIL }),
    ] {
        let submitted = stranger.submit(&flow, fields).await;
        assert_eq!(submitted.reply.set_cookie("ory_kratos_session"), None);
        assert_eq!(submitted.form().messages(), [4_010_002]);
    }
    // A second step that somebody else opened is of no use without their session.
    let opened = phone.init("login", "aal=aal2").await;
    let submitted = stranger.submit(&opened, json!({ "method": "totp", "totp_code": code(&key, &t) })).await;
    assert!(!submitted.is_done(), "{:?}", submitted.reply);
    stranger.try_whoami().await.expect(401);
    // Nothing of all this used the code up.
    step_up(&phone, json!({ "method": "totp", "totp_code": code(&key, &t) })).await.done();
}

fn with_recovery_address() -> Value {
    let trait_of = |extension: Value| json!({ "type": "string", "format": "email", "ory.sh/kratos": extension });
    let schema = json!({
        "$id": "https://schemas.invalid/rescued.json",
        "type": "object",
        "properties": { "traits": {
            "type": "object",
            "properties": {
                "email": trait_of(json!({ "credentials": { "password": { "identifier": true } } })),
                "rescue": trait_of(json!({ "recovery": { "via": "email" } })),
            },
            "required": ["email"],
        } },
    });
    json!({ "identity": { "default_schema_id": "rescued", "schemas": [{ "id": "rescued", "url": schema_url(&schema) }] } })
}

// cases: AC-07
#[flow_test(config = with_recovery_address())]
async fn a_recovery_address_is_changed_by_a_fresh_session_only(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let fields = json!({ "method": "profile", "traits": { "email": EMAIL, "rescue": "mallory@example.org" } });
    t.clock().advance(Span::hours(2));
    let flow = ada.init("settings", "").await;
    let before = t.snapshot(ada.id().await).await;
    let login = ada.submit(&flow, fields.clone()).await.login_first("session_refresh_required");
    assert_eq!(t.snapshot(ada.id().await).await, before);
    after_the_login(&ada, &flow, fields, &login).await;
    let after = t.snapshot(ada.id().await).await;
    assert_eq!(after.identity.recovery_addresses[0].value, "mallory@example.org");
}

fn second_factor_first() -> Value {
    let mut config = enabled();
    config["selfservice"]["flows"]["settings"]["required_aal"] = json!("aal2");
    config
}

/// Who has to enrol first is told so by every endpoint, until it is done.
// cases: AC-08
#[flow_test(config = second_factor_first())]
async fn what_waits_for_a_second_factor_waits_everywhere(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let id = ada.id().await;
    let before = t.snapshot(id).await;
    let change = json!({ "method": "password", "password": NEW });
    let first = ada.init("settings", "").await;
    enrol_first(&t, &ada.submit(&first, change.clone()).await);
    enrol_first(&t, &ada.submit(&first, change.clone()).await);
    let other = ada.init("settings", "").await;
    enrol_first(&t, &ada.submit(&other, change.clone()).await);
    enrol_first(&t, &ada.submit(&other, json!({ "method": "profile", "traits": { "email": "eve@example.org" } })).await);
    // A second step leads nowhere, and a fresh proof of the first factor changes nothing.
    let refresh = ada.init("login", "refresh=true").await;
    ada.submit(&refresh, json!({ "method": "password", "identifier": EMAIL, "password": PASSWORD })).await.done();
    enrol_first(&t, &ada.submit(&other, change.clone()).await);
    if t.client != ClientKind::Api {
        let reply = ada.call("GET", &format!("/self-service/settings?flow={}", other.id())).await;
        assert!(!ada.understand(&other, reply).await.is_done(), "nothing was kept to be continued");
    }
    assert_eq!(t.snapshot(id).await, before);
    enrol(&t, &ada).await;
    ada.submit(&first, change).await.saved();
}

/// Told to enrol a second factor: the way leads to the settings page.
#[track_caller]
pub(crate) fn enrol_first(t: &Trial, submitted: &Submitted) {
    let reply: &Reply = &submitted.reply;
    let page = format!("{UI}/settings");
    if t.client == ClientKind::Browser {
        assert_eq!((reply.status, reply.location()), (303, page.as_str()), "{reply:?}");
        return;
    }
    assert_eq!((reply.status, reply.error_id().as_str()), (403, "session_aal2_required"), "{reply:?}");
    let body = reply.json();
    assert_eq!(body["redirect_browser_to"], page);
    assert_eq!(body["error"]["details"]["reason_code"], "enrol_second_factor");
}

/// Codes that wait for their confirmation are shown to a session of the same level only: every session of an identity may read its
/// flows.
// cases: AC-03
#[flow_test(config = {
    let mut config = enabled();
    config["selfservice"]["flows"]["settings"]["required_aal"] = json!("aal1");
    config
})]
async fn no_answer_to_a_weak_session_has_a_code(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let (_, handed_out) = enrol(&t, &ada).await;
    let phone = first_step(&t, EMAIL).await;
    for field in ["lookup_secret_reveal", "lookup_secret_regenerate"] {
        let flow = ada.init("settings", "").await;
        ada.submit(&flow, json!({ field: true })).await;
        let shown = codes(&ada.refetch(&flow).await);
        assert_eq!(shown.len(), 12);
        let read = phone.fetch("settings", &flow.id()).await.expect(200).text();
        assert!(!shown.iter().chain(&handed_out).any(|code| read.contains(code.as_str())), "{field}");
        // Nor does confirming somebody else's preview work, or show it.
        let own = phone.refetch(&flow).await;
        let refused = phone.submit(&own, json!({ "lookup_secret_confirm": true })).await;
        let told = refused.reply.text();
        assert!(!shown.iter().any(|code| told.contains(code.as_str())), "{field}");
        assert!(!refused.is_done());
    }
}

/// The clock of a phone, or of a node, is half a minute off, and may be set back: what was used stays used.
// cases: AC-40
#[flow_test(config = enabled())]
async fn a_code_survives_clocks_that_differ_and_no_code_survives_its_use(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let (key, _) = enrol(&t, &ada).await;
    let at = |seconds: i64| key.code_at(Time::from_unix(t.now().unix() + seconds)).unwrap();
    let tried = async |typed: String| {
        let device = first_step(&t, EMAIL).await;
        let submitted = step_up(&device, json!({ "method": "totp", "totp_code": typed })).await;
        let accepted = submitted.is_done();
        if !accepted {
            assert_eq!(submitted.form().messages(), [4_000_008]);
        }
        accepted
    };
    t.clock().advance(Span::minutes(10));
    assert!(!tried(at(-60)).await && !tried(at(60)).await, "two steps away");
    assert!(tried(at(-30)).await, "a phone that is late");
    assert!(tried(at(0)).await, "a phone that is right");
    assert!(tried(at(30)).await, "a phone that is early");
    // Now nothing of this minute is left, neither for late phones nor for those who listened.
    for seconds in [-30, 0, 30] {
        assert!(!tried(at(seconds)).await, "{seconds}");
    }
    forget_attempts(&t, &ada).await;
    // Half a minute later the early phone's step is the current one, and used.
    t.clock().advance(Span::seconds(30));
    assert!(!tried(at(-30)).await && !tried(at(0)).await);
    // The clock is set back: the same codes are right by the clock, and stay used.
    t.clock().set_back(Span::seconds(30));
    for seconds in [-30, 0, 30] {
        assert!(!tried(at(seconds)).await, "{seconds} after the clock was set back");
    }
    forget_attempts(&t, &ada).await;
    t.clock().advance(Span::seconds(60));
    assert!(!tried(at(-30)).await, "an older step");
    assert!(tried(at(0)).await);
}

async fn forget_attempts(t: &Trial, person: &Actor) {
    let path = format!("/admin/identities/{}/attempts", person.id().await);
    t.admin().call("DELETE", &path).await.expect(204);
}
