//! The doors of the login flow: what may be asked for, what a flow shows, and what a submit answers.
//! Each test names the acceptance cases that it proves; the ones about configuration stand in `config_cases`.
//! Second factors are put into the database, which is quicker than enrolling them and is not what is tested here.

use keyward_model::{
    Aal, AuthMethod, Credential, CredentialType, Proof, Random, SessionId, Span, Time, count_factors, session_aal,
};
use keyward_store::Batch;
use keyward_testkit::{APP, Actor, ClientKind, PASSWORD, START, SeededRandom, Trial, UI, Value, flow_test};
use serde_json::json;

const RETURN: &str = "return_to=http%3A%2F%2F127.0.0.1%3A4456%2Fback%3Fa%3Db";
const RETURNED: &str = "http://127.0.0.1:4456/back?a=b";

/// The error that a request for a flow ends with: in JSON, or on the error page of a browser.
pub(crate) async fn refused(person: &Actor, kind: &str, query: &str, code: u16) -> Value {
    if person.client == ClientKind::Browser {
        return person.navigate(&format!("/self-service/{kind}/browser?{query}")).await.problem(code);
    }
    person.start(kind, query).await.expect(code).json()["error"].take()
}

/// Gives somebody an authenticator app, as enrolling one leaves it in the database.
pub(crate) async fn give_totp(t: &Trial, person: &Actor) {
    let before = t.snapshot(person.id().await).await;
    let random = SeededRandom::new("an authenticator app");
    let now = t.now();
    let app = Credential {
        id: (&random as &dyn Random).id(),
        kind: CredentialType::Totp,
        identifiers: vec![before.identity.id.to_string()],
        config: json!({ "totp_url": "otpauth://totp/nobody" }),
        version: 0,
        created_at: now,
        updated_at: now,
    };
    let mut credentials = before.credentials.clone();
    credentials.push(app.clone());
    let mut batch = Batch::new();
    batch.update_identity(&before, &before.identity, &count_factors(&credentials));
    batch.put_credential(before.identity.id, &app);
    t.store().commit(batch).await.unwrap();
}

/// The method that [`give_totp`] is about: a factor counts while its method is on.
pub(crate) fn with_totp() -> Value {
    json!({ "selfservice": { "methods": { "totp": { "enabled": true } } } })
}

/// Raises somebody's session to AAL2, as a second factor leaves it in the database.
async fn raise(t: &Trial, person: &Actor) {
    let session = person.whoami().await;
    let id = session["id"].as_str().and_then(SessionId::parse).unwrap();
    let mut session = t.store().find_session_by_id(id).await.unwrap().unwrap().session;
    let totp = AuthMethod::new(Proof::Totp, Aal::Aal2, t.now());
    session.methods.push(totp);
    session.aal = session_aal(&session.methods.items());
    let mut batch = Batch::new();
    batch.raise_session(&session, t.now());
    t.store().commit(batch).await.unwrap();
    assert_eq!(person.whoami().await["authenticator_assurance_level"], "aal2");
}

fn credentials(password: &str) -> Value {
    json!({ "method": "password", "identifier": "ada@example.org", "password": password })
}

// cases: L-1, L-2, L-3
#[flow_test]
async fn a_flow_for_anybody(t: Trial) {
    let nobody = t.person();
    let reply = nobody.start("login", "").await;
    let csrf = reply.set_cookies();
    match t.client {
        ClientKind::Api => {
            assert_eq!(reply.clone().expect(200).json()["type"], "api");
            assert_eq!(csrf, []);
        }
        ClientKind::Browser | ClientKind::Spa => {
            assert_eq!(csrf.len(), 1, "{reply:?}");
            assert!(csrf[0].name.starts_with("csrf_token_") && csrf[0].http_only && csrf[0].max_age == Some(31_536_000));
        }
    }
    if t.client == ClientKind::Browser {
        let id = reply.location_parameter("flow").unwrap();
        assert_eq!(reply.expect(303).location(), format!("{UI}/login?flow={id}"));
        assert!(keyward_model::FlowId::parse(&id).is_some());
    }

    let flow = nobody.init("login", "").await;
    assert_eq!(flow.state(), "choose_method");
    assert_eq!(flow.names(), ["csrf_token", "identifier", "password", "method"]);
    assert_eq!(flow.csrf_token().unwrap().is_empty(), t.client == ClientKind::Api);
    assert_eq!(flow.value("identifier"), "");
    assert!(flow.node("password")["attributes"].get("value").is_none());
    assert_eq!(flow.node("identifier")["meta"]["label"]["id"], 1_070_002);
    assert_eq!(flow.node("method")["meta"]["label"]["id"], 1_010_022);
    assert_eq!((&flow.json["refresh"], &flow.json["requested_aal"]), (&json!(false), &json!("aal1")));
    assert_eq!(flow.messages(), [] as [u64; 0]);
    // Without a session there is nothing to refresh.
    assert_eq!(nobody.init("login", "refresh=true").await.json["refresh"], false);
}

// cases: L-4
#[flow_test]
async fn a_second_factor_without_a_first(t: Trial) {
    let error = refused(&t.person(), "login", "aal=aal2", 401).await;
    assert_eq!(error["id"], "session_aal1_required");
}

// cases: L-5
#[flow_test]
async fn whoever_is_signed_in_need_not(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    for (query, location) in [("", format!("{APP}/")), (RETURN, RETURNED.to_owned())] {
        let reply = ada.start("login", query).await;
        if t.client == ClientKind::Browser {
            assert_eq!(reply.expect(303).location(), location);
        } else {
            assert_eq!(reply.expect(400).error_id(), "session_already_available");
        }
    }
}

// cases: L-6
#[flow_test]
async fn a_refresh_knows_who_it_is(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let flow = ada.init("login", "refresh=true").await;
    assert_eq!(flow.json["refresh"], true);
    assert_eq!(flow.messages(), [1_010_003]);
    assert_eq!(flow.names(), ["csrf_token", "identifier", "password", "method"]);
    assert_eq!(
        (flow.value("identifier"), &flow.node("identifier")["attributes"]["type"]),
        (json!("ada@example.org"), &json!("hidden"))
    );
    assert_eq!(flow.node("method")["meta"]["label"]["id"], 1_010_001);
    assert_eq!(ada.refetch(&flow).await.messages(), [1_010_003]);
}

// cases: L-7
#[flow_test]
async fn a_refresh_to_a_higher_level_says_both(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let flow = ada.init("login", "aal=aal2&refresh=true").await;
    assert_eq!(flow.messages(), [1_010_003, 1_010_004]);
    assert_eq!((&flow.json["refresh"], &flow.json["requested_aal"]), (&json!(true), &json!("aal2")));
    let raised = ada.init("login", "aal=AAL2").await;
    assert_eq!(raised.messages(), [1_010_004]);
    assert_eq!(raised.json["refresh"], false);
}

// cases: L-8
#[flow_test]
async fn a_level_that_is_held_need_not_be_reached(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    give_totp(&t, &ada).await;
    // Whoami shows a weak session to nobody, so the session is raised while one factor is enough for it.
    t.reconfigure(&json!({ "session": { "whoami": { "required_aal": "aal1" } } }));
    raise(&t, &ada).await;
    let reply = ada.start("login", "aal=aal2").await;
    if t.client == ClientKind::Browser {
        assert_eq!(reply.expect(303).location(), format!("{APP}/"));
    } else {
        assert_eq!(reply.expect(400).error_id(), "session_already_available");
    }
    assert_eq!(ada.init("login", "aal=aal2&refresh=true").await.messages(), [1_010_003]);
}

// cases: L-9
#[flow_test]
async fn a_level_that_does_not_exist(t: Trial) {
    let nobody = t.person();
    for level in ["aal0", "aal3", "2", "aal1%20"] {
        refused(&nobody, "login", &format!("aal={level}"), 400).await;
    }
    assert_eq!(nobody.init("login", "aal=AAL1").await.json["requested_aal"], "aal1");
}

// cases: L-10
#[flow_test]
async fn a_place_to_return_to_that_is_not_allowed(t: Trial) {
    let nobody = t.person();
    for place in ["https%3A%2F%2Fevil.example%2F", "http%3A%2F%2F127.0.0.1%3A44560%2F", "%2F%2Fevil.example"] {
        let error = refused(&nobody, "login", &format!("return_to={place}"), 400).await;
        assert_eq!(error["id"], "self_service_flow_return_to_forbidden", "{place}");
    }
}

// cases: L-11
#[flow_test]
async fn a_place_to_return_to_is_kept_and_used(t: Trial) {
    t.signed_up("ada@example.org").await;
    let phone = t.person();
    let flow = phone.init("login", RETURN).await;
    assert_eq!(flow.json["return_to"], RETURNED);
    assert!(flow.json["request_url"].as_str().unwrap().ends_with(&format!("?{RETURN}")));
    // A wrong password in between loses nothing.
    let form = phone.submit(&flow, credentials("wrong horse 7 battery")).await.form();
    assert_eq!(form.json["return_to"], RETURNED);
    let done = phone.submit(&form, credentials(PASSWORD)).await.done();
    assert_eq!(done.location.as_deref(), (t.client != ClientKind::Api).then_some(RETURNED));
}

// cases: L-12
#[flow_test(browser, spa)]
async fn a_flow_belongs_to_the_browser_that_opened_it(t: Trial) {
    let nobody = t.person();
    let flow = nobody.init("login", "").await;
    nobody.refetch(&flow).await;
    let (thief, other) = (t.person(), t.person());
    other.init("login", "").await;
    for somebody in [thief, other] {
        let reply = somebody.fetch("login", &flow.id()).await.expect(403);
        assert_eq!(reply.error_id(), "security_csrf_violation");
        assert_eq!(reply.header("ory-error-id"), Some("security_csrf_violation"));
    }
}

// cases: L-13
#[flow_test]
async fn reading_an_expired_flow_says_where_to_start(t: Trial) {
    let nobody = t.person();
    let (plain, returning) = (nobody.init("login", "").await, nobody.init("login", RETURN).await);
    t.clock().advance(Span::hours(1));
    for (flow, query, place) in [(plain, "", ""), (returning, RETURN, RETURNED)] {
        let reply = nobody.fetch("login", &flow.id()).await.expect(410);
        assert_eq!(reply.error_id(), "self_service_flow_expired");
        let details = reply.json()["error"]["details"].take();
        if t.client == ClientKind::Api {
            assert_eq!(details, json!({ "api": format!("{}/self-service/login/api", t.public()) }));
            continue;
        }
        assert_eq!(details["return_to"], place);
        let init = details["redirect_to"].as_str().unwrap();
        assert!(init.starts_with(&format!("{}/self-service/login/browser", t.public())), "{init}");
        assert_eq!(init.contains('?'), !query.is_empty(), "{init}");
        assert_eq!(nobody.init_at(init).await.json.get("return_to").is_some(), !query.is_empty());
    }
}

// cases: L-14
#[flow_test]
async fn submitting_an_expired_flow_makes_a_new_one(t: Trial) {
    t.signed_up("ada@example.org").await;
    let phone = t.person();
    let flow = phone.init("login", RETURN).await;
    t.clock().advance(Span::seconds(3_602));
    let submitted = phone.submit(&flow, credentials(PASSWORD)).await;
    let fresh = if t.client == ClientKind::Browser {
        assert_eq!(submitted.reply.status, 303);
        submitted.form()
    } else {
        let body = submitted.reply.json();
        assert_eq!(submitted.problem(410)["id"], "self_service_flow_expired");
        assert_eq!(body["since"], 2_000_000_000_u64);
        assert_eq!(Time::parse(body["expired_at"].as_str().unwrap()), Some(START + Span::hours(1)));
        let fresh = phone.fetch("login", body["use_flow_id"].as_str().unwrap()).await.expect(200).json();
        keyward_testkit::Flow { kind: "login".to_owned(), json: fresh }
    };
    assert_ne!(fresh.id(), flow.id());
    assert_eq!(fresh.messages(), [4_010_001]);
    assert_eq!(fresh.json["request_url"], flow.json["request_url"]);
    assert_eq!(fresh.json["return_to"], RETURNED);
    phone.try_whoami().await.expect(401);
    phone.submit(&fresh, credentials(PASSWORD)).await.done();
}

// cases: L-15
#[flow_test]
async fn signing_in_while_signed_in(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    t.signed_up("bob@example.org").await;
    let phone = t.person();
    let flow = phone.init("login", RETURN).await;
    phone.sign_in("ada@example.org", PASSWORD).await.done();
    let bob = json!({ "method": "password", "identifier": "bob@example.org", "password": PASSWORD });
    // The cookie was renewed with the session, so the flow may not be read any more; the answer to the submit is.
    let call = phone.submit_call(&flow, bob);
    let reply = call.await;
    if t.client == ClientKind::Browser {
        assert_eq!(reply.expect(303).location(), format!("{APP}/"));
    } else {
        let body = reply.expect(400).json();
        let message = &body["ui"]["messages"][0];
        assert_eq!((&message["id"], &body["id"]), (&json!(4_000_001), &json!(flow.id())));
        assert!(message["context"]["reason"].is_string());
    }
    assert_eq!(phone.id().await, ada.id().await);
}

// cases: L-17
#[flow_test]
async fn a_method_that_nobody_has(t: Trial) {
    t.signed_up("ada@example.org").await;
    let phone = t.person();
    let flow = phone.init("login", "").await;
    for method in [json!("telepathy"), json!(""), json!(null)] {
        let fields = json!({ "method": method, "identifier": "ada@example.org", "password": PASSWORD });
        let submitted = phone.submit(&flow, fields).await;
        assert_eq!(submitted.reply.status, if t.client == ClientKind::Browser { 303 } else { 400 });
        assert_eq!(submitted.form().all_messages(), [(String::new(), 4_010_002)], "{method}");
    }
    phone.submit(&flow, credentials(PASSWORD)).await.done();
}

// cases: L-18
#[flow_test]
async fn somebody_else_signs_in_during_a_refresh(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let bob = t.signed_up("bob@example.org").await;
    let (before, token) = (ada.whoami().await, ada.token());
    let flow = ada.init("login", "refresh=true").await;
    let fields = json!({ "method": "password", "identifier": "bob@example.org", "password": PASSWORD });
    ada.submit(&flow, fields).await.done();
    let after = ada.whoami().await;
    assert_ne!(after["id"], before["id"]);
    assert_eq!(after["identity"]["id"], bob.id().await.to_string());
    assert_eq!(after["authentication_methods"].as_array().unwrap().len(), 1);
    if t.client == ClientKind::Api {
        assert_ne!(ada.token(), token);
    }
}

// cases: L-19
#[flow_test]
async fn a_refresh_keeps_the_session(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let (before, token) = (ada.whoami().await, ada.token());
    t.clock().advance(Span::minutes(10));
    let flow = ada.init("login", "refresh=true").await;
    let submitted = ada.submit(&flow, credentials(PASSWORD)).await;
    assert_eq!(submitted.reply.set_cookie("ory_kratos_session").is_some(), t.client != ClientKind::Api);
    submitted.done();
    let after = ada.whoami().await;
    assert_eq!((&after["id"], &after["issued_at"]), (&before["id"], &before["issued_at"]));
    let time = |session: &Value, key: &str| Time::parse(session[key].as_str().unwrap()).unwrap();
    for key in ["authenticated_at", "expires_at"] {
        assert_eq!(time(&after, key), time(&before, key) + Span::minutes(10), "{key}");
    }
    let methods: Vec<_> = after["authentication_methods"].as_array().unwrap().iter().map(|proof| &proof["method"]).collect();
    assert_eq!(methods, ["password", "password"]);
    assert_eq!(ada.token(), token);
}

// cases: L-20, L-21
#[flow_test(config = with_totp())]
async fn a_password_alone_does_not_show_who_has_a_second_factor(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    give_totp(&t, &ada).await;
    let phone = t.person();
    let flow = phone.init("login", RETURN).await;
    let submitted = phone.submit(&flow, credentials(PASSWORD)).await;
    let cookie = submitted.reply.set_cookie("ory_kratos_session");
    assert_eq!(cookie.is_some(), t.client != ClientKind::Api);
    let second = format!("{}/self-service/login/browser?aal=aal2&{RETURN}", t.public());
    match t.client {
        ClientKind::Api => {
            let body = submitted.done().body;
            assert!(body["session_token"].as_str().unwrap().starts_with("ory_st_"));
            assert_eq!(body["session"].get("identity"), Some(&json!(null)));
        }
        ClientKind::Spa => {
            let body = submitted.reply.json();
            assert_eq!(submitted.problem(422)["id"], "browser_location_change_required");
            assert_eq!(body["redirect_browser_to"], second);
        }
        ClientKind::Browser => assert_eq!(submitted.reply.expect(303).location(), second),
    }
    phone.try_whoami().await.expect(403);
    if t.client != ClientKind::Api {
        let step_up = phone.init_at(&second).await;
        assert_eq!((step_up.messages(), &step_up.json["return_to"]), (vec![1_010_004], &json!(RETURNED)));
    }
}

// cases: L-28
#[flow_test]
async fn empty_fields_are_named(t: Trial) {
    let nobody = t.person();
    let flow = nobody.init("login", "").await;
    let missing = |name: &str| (name.to_owned(), 4_000_002);
    for (identifier, password, expected) in [
        (json!(""), json!(""), vec![missing("identifier"), missing("password")]),
        (json!(null), json!(null), vec![missing("identifier"), missing("password")]),
        (json!("ada@example.org"), json!(""), vec![missing("password")]),
        (json!(""), json!(PASSWORD), vec![missing("identifier")]),
    ] {
        let fields = json!({ "method": "password", "identifier": identifier, "password": password });
        let submitted = nobody.submit(&flow, fields).await;
        assert_eq!(submitted.reply.status, if t.client == ClientKind::Browser { 303 } else { 400 });
        let form = submitted.form();
        assert_eq!(form.all_messages(), expected);
        for (name, _) in expected {
            assert_eq!(form.node(&name)["messages"][0]["context"]["property"], name);
        }
        assert!(form.value("password").is_null());
    }
}

// cases: L-30
#[flow_test(browser, spa)]
async fn a_form_needs_its_csrf_token(t: Trial) {
    t.signed_up("ada@example.org").await;
    let (phone, other) = (t.person(), t.person());
    let foreign = other.init("login", "").await.csrf_token().unwrap();
    let flow = phone.init("login", "").await;
    for token in [json!(null), json!(""), json!("bm90IGEgdG9rZW4="), json!(foreign)] {
        let mut fields = credentials(PASSWORD);
        fields["csrf_token"] = token.clone();
        let error = phone.submit(&flow, fields).await.problem(403);
        assert_eq!(error["id"], "security_csrf_violation", "{token}");
        assert!(error["details"]["hint"].is_string(), "{token}");
        assert!(error["details"]["reject_reason"].is_string(), "{token}");
        phone.try_whoami().await.expect(401);
    }
    // A header is no substitute for the field.
    let mut fields = credentials(PASSWORD);
    fields["csrf_token"] = json!(null);
    let reply = phone.submit_call(&flow, fields).header("x-csrf-token", &flow.csrf_token().unwrap()).await;
    phone.understand(&flow, reply).await.problem(403);
    phone.submit(&flow, credentials(PASSWORD)).await.done();
}

// cases: L-31
#[flow_test(api)]
async fn an_api_flow_refuses_what_only_browsers_send(t: Trial) {
    t.signed_up("ada@example.org").await;
    let phone = t.person();
    let flow = phone.init("login", "").await;
    for (name, value) in [("Origin", UI), ("Cookie", "theme=dark"), ("Cookie", "__cf_bm=1; theme=dark")] {
        let reply = phone.submit_call(&flow, credentials(PASSWORD)).header(name, value).await.expect(400);
        let form = phone.understand(&flow, reply).await.form();
        assert_eq!(form.all_messages(), [(String::new(), 4_000_001)]);
        let reason = form.json["ui"]["messages"][0]["context"]["reason"].as_str().unwrap();
        assert!(reason.contains(name), "{reason}");
    }
    phone.try_whoami().await.expect(401);
    // What a content network adds on its way is no browser's.
    for cookies in ["__cf_bm=1", "_cfuvid=2; cf_clearance=3"] {
        let flow = phone.init("login", "").await;
        let reply = phone.submit_call(&flow, credentials(PASSWORD)).header("Cookie", cookies).await;
        phone.understand(&flow, reply).await.done();
        phone.whoami().await;
        phone.set_token(None);
    }
}
