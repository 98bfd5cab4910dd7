//! Recovery by code: asking for it, taking it, and what it gives, by every kind of client.

use std::sync::Arc;

use keyward_model::Span;
use keyward_testkit::{Actor, ClientKind, Flow, PASSWORD, Said, Submitted, Trial, database_test, flow_test, merge, parameter};
use serde_json::{Value, json};

use crate::mail::{latest_code, mails_to, other_than};
use crate::second_factor::{self, EMAIL, enrol, first_step};

pub(crate) fn enabled() -> Value {
    json!({
        "selfservice": { "flows": { "recovery": { "enabled": true } } },
        "feature_flags": { "use_continue_with_transitions": true },
    })
}

/// Asks for a code to an address.
pub(crate) async fn ask(person: &Actor, address: &str) -> Flow {
    let flow = person.init("recovery", "").await;
    let sent = person.submit(&flow, json!({ "method": "code", "email": address })).await.form();
    assert_eq!((sent.state().as_str(), sent.messages()), ("sent_email", vec![1_060_003]));
    sent
}

/// Recovers an account whose mailbox one can read.
pub(crate) async fn recover(t: &Trial, address: &str) -> (Actor, Submitted) {
    let person = t.person();
    let flow = ask(&person, address).await;
    let code = latest_code(t, address).await;
    let submitted = person.submit(&flow, json!({ "method": "code", "code": code })).await;
    (person, submitted)
}

/// The settings flow that a recovery led to.
async fn settings_after(person: &Actor, submitted: Submitted) -> Flow {
    let done = submitted.done();
    match done.flow {
        Some(flow) => flow,
        None => {
            let location = done.location.expect("a settings page");
            let id = parameter(&location, "flow").expect("a flow");
            Flow { kind: "settings".to_owned(), json: person.fetch("settings", &id).await.expect(200).json() }
        }
    }
}

// cases
#[flow_test(config = enabled())]
async fn a_code_brings_somebody_back(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let person = t.person();
    let flow = person.init("recovery", "").await;
    assert_eq!(flow.names(), ["csrf_token", "email", "method"]);
    assert_eq!((flow.state().as_str(), &flow.json["active"]), ("choose_method", &json!("code")));
    let sent = person.submit(&flow, json!({ "method": "code", "email": " Ada@Example.ORG " })).await.form();
    assert_eq!((sent.state().as_str(), sent.messages()), ("sent_email", vec![1_060_003]));
    assert_eq!(sent.names(), ["csrf_token", "code", "method", "method", "email"]);
    let code = &sent.node("code")["attributes"];
    assert_eq!(
        (&code["autocomplete"], &code["maxlength"], &code["pattern"]),
        (&json!("one-time-code"), &json!(6), &json!("[0-9]+"))
    );
    let [mail] = &mails_to(&t, EMAIL).await[..] else { panic!("one mail") };
    assert_eq!(mail.row.template_type, "recovery_code_valid");
    let code = latest_code(&t, EMAIL).await;
    // With the blanks that people and keyboards add.
    let typed = format!(" {} {} ", &code[..3], &code[3..]);
    let submitted = person.submit(&sent, json!({ "method": "code", "code": typed })).await;
    match t.client {
        ClientKind::Browser => assert_eq!(submitted.reply.status, 303),
        client => {
            let body = submitted.reply.json();
            assert_eq!((submitted.reply.status, &body["state"]), (200, &json!("passed_challenge")));
            let actions: Vec<_> = body["continue_with"].as_array().unwrap().iter().map(|item| &item["action"]).collect();
            match client {
                ClientKind::Api => assert_eq!(actions, ["set_ory_session_token", "show_settings_ui"]),
                _ => assert_eq!(actions, ["show_settings_ui"]),
            }
        }
    }
    let settings = settings_after(&person, submitted).await;
    assert_eq!(settings.messages(), [1_060_001]);
    let message = &settings.json["ui"]["messages"][0];
    assert!(message["context"]["privileged_session_expires_at_unix"].is_number(), "{message}");
    assert!(settings.json["request_url"].as_str().unwrap().contains("/self-service/recovery?flow="));
    let session = person.whoami().await;
    assert_eq!(session["authenticator_assurance_level"], "aal1");
    assert_eq!(session["authentication_methods"][0]["method"], "code_recovery");
    assert_eq!(session["identity"]["id"], ada.id().await.to_string());
    let address = &session["identity"]["verifiable_addresses"][0];
    assert_eq!((&address["verified"], &address["status"]), (&json!(true), &json!("completed")));
    // And the password is theirs to choose.
    person.submit(&settings, json!({ "method": "password", "password": "an entirely new phrase" })).await.saved();
    t.person().sign_in(EMAIL, "an entirely new phrase").await.done();
    assert!(t.person().sign_in(EMAIL, PASSWORD).await.form().messages().contains(&4_000_006));
}

// cases: R-2
#[flow_test(config = enabled())]
async fn an_address_that_nobody_has_is_answered_alike(t: Trial) {
    t.signed_up(EMAIL).await;
    let shown = async |address: &str| {
        let mut flow = ask(&t.person(), address).await.json;
        let text = flow.to_string().replace(address, "<address>").replace(flow["id"].as_str().unwrap(), "<id>");
        flow = serde_json::from_str(&text).unwrap();
        if let Some(token) = flow["ui"]["nodes"][0]["attributes"].get_mut("value") {
            *token = json!("<token>");
        }
        flow
    };
    assert_eq!(shown(EMAIL).await, shown("nobody@example.org").await);
    assert!(mails_to(&t, "nobody@example.org").await.is_empty());
    t.reconfigure(&json!({ "selfservice": { "flows": { "recovery": { "notify_unknown_recipients": true } } } }));
    ask(&t.person(), "nobody@example.org").await;
    let [mail] = &mails_to(&t, "nobody@example.org").await[..] else { panic!("one mail") };
    assert_eq!(mail.row.template_type, "recovery_code_invalid");
    assert!(!mail.content.as_ref().unwrap().template_data.to_string().contains("recovery_code\""));
}

// cases, AC-73
#[flow_test(config = enabled())]
async fn what_is_no_address_is_told(t: Trial) {
    let person = t.person();
    let flow = person.init("recovery", "").await;
    for (fields, message) in [
        (json!({ "method": "code", "email": "" }), 4_000_002),
        (json!({ "method": "code" }), 4_000_002),
        (json!({ "method": "code", "email": "nope" }), 4_000_040),
        (json!({ "method": "code", "email": format!("{}@example.org", "a".repeat(400)) }), 4_000_040),
        (json!({ "method": "code", "email": "a@example.org\r\nBcc: b@example.org" }), 4_000_040),
    ] {
        let submitted = person.submit(&flow, fields.clone()).await;
        if t.client != ClientKind::Browser {
            assert_eq!(submitted.reply.status, 400, "{fields}");
        }
        let form = submitted.form();
        assert_eq!((form.state().as_str(), form.messages_at("email")), ("choose_method", vec![message]), "{fields}");
    }
    for fields in [json!({ "method": "nope", "email": EMAIL }), json!({ "method": "link", "email": EMAIL }), json!({})] {
        assert_eq!(person.submit(&flow, fields).await.form().messages(), [4_010_005]);
    }
    if t.client != ClientKind::Browser {
        for email in [json!([EMAIL]), json!({ "a": EMAIL }), json!(7), json!(true)] {
            let submitted = person.submit(&flow, json!({ "method": "code", "email": email })).await;
            assert_eq!(submitted.reply.status, 400, "{email}");
        }
    }
    assert!(mails_to(&t, EMAIL).await.is_empty());
}

// cases
#[flow_test(config = enabled())]
async fn wrong_codes_are_few_and_a_new_one_replaces_the_old(t: Trial) {
    t.signed_up(EMAIL).await;
    let person = t.person();
    let flow = ask(&person, EMAIL).await;
    let first = latest_code(&t, EMAIL).await;
    t.clock().advance(Span::seconds(1));
    let again = person.submit(&flow, json!({ "method": "code", "email": EMAIL })).await.form();
    assert_eq!((again.id(), again.messages()), (flow.id(), vec![1_060_003]));
    let second = latest_code(&t, EMAIL).await;
    if first != second {
        let form = person.submit(&flow, json!({ "method": "code", "code": first })).await.form();
        assert_eq!(form.messages(), [4_060_006]);
    }
    for wrong in [other_than(&second), String::new(), second[..5].to_owned()] {
        let submitted = person.submit(&flow, json!({ "method": "code", "code": wrong })).await;
        if t.client != ClientKind::Browser {
            assert_eq!(submitted.reply.status, 200);
        }
        let form = submitted.form();
        assert_eq!((form.id(), form.messages()), (flow.id(), vec![4_060_006]));
    }
    settings_after(&person, person.submit(&flow, json!({ "method": "code", "code": second })).await).await;
    person.whoami().await;

    // Five tries, and the sixth meets another flow, even with the right code.
    let other = t.person();
    let flow = ask(&other, EMAIL).await;
    let code = latest_code(&t, EMAIL).await;
    for _ in 0..5 {
        other.submit(&flow, json!({ "method": "code", "code": other_than(&code) })).await;
        t.clock().advance(Span::minutes(5));
    }
    let replaced = other.submit(&flow, json!({ "method": "code", "code": code })).await;
    let id = replacement(replaced);
    assert_ne!(id, flow.id());
    let shown = other.fetch("recovery", &id).await.expect(200).json();
    assert_eq!((&shown["state"], &shown["ui"]["messages"][0]["id"]), (&json!("choose_method"), &json!(4_000_001)));
    other.try_whoami().await.expect(401);
}

/// The flow that took the place of the submitted one.
#[track_caller]
fn replacement(submitted: Submitted) -> String {
    match &submitted.said {
        Said::Form(flow) => flow.id(),
        Said::Problem { error, .. } => {
            let next = &error["details"]["continue_with"][0];
            assert_eq!(next["action"], "show_recovery_ui", "{error:#}");
            next["flow"]["id"].as_str().unwrap().to_owned()
        }
        other => panic!("{other:#?}"),
    }
}

// cases, AC-46
#[flow_test(config = enabled())]
async fn a_code_counts_once_and_only_on_its_flow(t: Trial) {
    t.signed_up(EMAIL).await;
    let (person, other) = (t.person(), t.person());
    let flow = ask(&person, EMAIL).await;
    let code = latest_code(&t, EMAIL).await;
    let elsewhere = ask(&other, EMAIL).await;
    if latest_code(&t, EMAIL).await != code {
        let form = other.submit(&elsewhere, json!({ "method": "code", "code": code })).await.form();
        assert_eq!(form.messages(), [4_060_006], "a code of another flow");
    }
    person.submit(&flow, json!({ "method": "code", "code": code })).await.done();
    let id = if t.client == ClientKind::Api {
        replacement(person.submit(&flow, json!({ "method": "code", "code": code })).await)
    } else {
        // The token was renewed with the sign-in.
        let csrf_token = person.init("settings", "").await.csrf_token();
        replacement(person.submit(&flow, json!({ "method": "code", "code": code, "csrf_token": csrf_token })).await)
    };
    let shown = person.fetch("recovery", &id).await.expect(200).json();
    assert_eq!(shown["ui"]["messages"][0]["id"], 4_060_001);
}

// cases: R-13
#[flow_test(config = enabled())]
async fn an_expired_flow_gives_way_to_a_new_one(t: Trial) {
    let person = t.person();
    let flow = person.init("recovery", "").await;
    t.clock().advance(Span::hours(2));
    let fields = json!({ "method": "code", "email": EMAIL });
    let reply = person.submit_call(&flow, fields).await;
    let id = match t.client {
        ClientKind::Api => {
            assert_eq!((reply.status, reply.error_id().as_str()), (410, "self_service_flow_expired"));
            let body = reply.json();
            assert_eq!(body["error"]["details"]["continue_with"][0]["flow"]["id"], body["use_flow_id"]);
            body["use_flow_id"].as_str().unwrap().to_owned()
        }
        ClientKind::Spa => {
            assert!(reply.clone().expect(303).location().contains("/self-service/recovery/flows?id="));
            reply.location_parameter("id").unwrap()
        }
        ClientKind::Browser => reply.expect(303).location_parameter("flow").unwrap(),
    };
    let shown = person.fetch("recovery", &id).await.expect(200).json();
    let message = &shown["ui"]["messages"][0];
    assert_eq!(message["id"], 4_060_005);
    assert!(message["context"]["expired_at_unix"].is_number());
    person.fetch("recovery", &flow.id()).await.expect(410);
}

// cases
#[flow_test(config = enabled())]
async fn earlier_sessions_end_where_the_operator_wants_it_and_inactive_accounts_get_none(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    recover(&t, EMAIL).await.1.done();
    ada.whoami().await;
    let hooks = json!([{ "hook": "revoke_active_sessions" }]);
    t.reconfigure(&json!({ "selfservice": { "flows": { "recovery": { "after": { "hooks": hooks } } } } }));
    let (person, submitted) = recover(&t, EMAIL).await;
    submitted.done();
    person.whoami().await;
    ada.try_whoami().await.expect(401);

    let id = person.id().await;
    let patch = json!([{ "op": "replace", "path": "/state", "value": "inactive" }]);
    t.admin().call("PATCH", &format!("/admin/identities/{id}")).json(&patch).await.expect(200);
    let (person, submitted) = recover(&t, EMAIL).await;
    let id = replacement(submitted);
    let shown = person.fetch("recovery", &id).await.expect(200).json();
    assert_eq!(shown["ui"]["messages"][0]["id"], 4_010_011);
    person.try_whoami().await.expect(401);
}

// cases
#[flow_test(config = enabled())]
async fn it_begins_and_ends_where_it_may(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let reply = ada.start("recovery", "").await;
    if t.client == ClientKind::Browser {
        assert_eq!((reply.status, reply.location()), (302, "http://127.0.0.1:4456/"));
    } else {
        assert_eq!((reply.status, reply.error_id().as_str()), (400, "session_already_available"));
    }
    let person = t.person();
    if t.client == ClientKind::Api {
        return;
    }
    let refused = person.start("recovery", "return_to=https%3A%2F%2Fevil.example%2F").await;
    if t.client == ClientKind::Spa {
        assert_eq!((refused.status, refused.error_id().as_str()), (400, "self_service_flow_return_to_forbidden"));
    } else {
        assert_eq!(refused.status, 303);
        assert!(refused.location().starts_with("http://127.0.0.1:4455/error?id="), "{refused:?}");
    }
    let flow = person.init("recovery", "return_to=http%3A%2F%2F127.0.0.1%3A4456%2Fback").await;
    assert_eq!(flow.json["return_to"], "http://127.0.0.1:4456/back");
    let fields = json!({ "method": "code", "email": EMAIL, "csrf_token": "forged" });
    person.submit(&flow, fields).await.problem(403);
    let sent = person.submit(&flow, json!({ "method": "code", "email": EMAIL })).await.form();
    let code = latest_code(&t, EMAIL).await;
    let settings = settings_after(&person, person.submit(&sent, json!({ "method": "code", "code": code })).await).await;
    assert_eq!(settings.json["return_to"], "http://127.0.0.1:4456/back");
    // Nobody else reads the flow.
    t.person().fetch("recovery", &sent.id()).await.expect(403);
}

#[flow_test(config = enabled())]
async fn the_settings_page_is_left_out_for_whoever_asks(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let after = json!({ "default_browser_return_url": "https://app.example/back" });
    t.reconfigure(&json!({ "selfservice": { "flows": { "recovery": { "after": after } } } }));
    let person = t.person();
    let flow = person.init("recovery", "skip_settings=true").await;
    let sent = person.submit(&flow, json!({ "method": "code", "email": EMAIL })).await.form();
    let code = latest_code(&t, EMAIL).await;
    let submitted = person.submit(&sent, json!({ "method": "code", "code": code })).await;
    if t.client == ClientKind::Browser {
        assert_eq!((submitted.reply.status, submitted.reply.location()), (303, "https://app.example/back"));
    } else {
        let body = submitted.reply.json();
        assert_eq!((submitted.reply.status, &body["state"]), (200, &json!("passed_challenge")));
        assert!(!body["continue_with"].to_string().contains("show_settings_ui"), "{body:#}");
    }
    assert_eq!(whose(&person).await, ada.id().await.to_string());
}

#[flow_test(config = enabled())]
async fn without_transitions_clients_are_told_where_to_go(t: Trial) {
    t.reconfigure(&json!({ "feature_flags": { "use_continue_with_transitions": false } }));
    t.signed_up(EMAIL).await;
    let person = t.person();
    let flow = ask(&person, EMAIL).await;
    let code = latest_code(&t, EMAIL).await;
    let reply = person.submit_call(&flow, json!({ "method": "code", "code": code })).await;
    // cases: R-6
    if t.client == ClientKind::Browser {
        assert!(reply.expect(303).location().starts_with("http://127.0.0.1:4455/settings?flow="));
    } else {
        let told = reply.expect(422).json();
        assert_eq!(told["error"]["id"], "browser_location_change_required");
        assert!(told["redirect_browser_to"].as_str().unwrap().starts_with("http://127.0.0.1:4455/settings?flow="));
    }
}

#[flow_test(config = enabled())]
async fn an_address_is_not_filled_with_mails(t: Trial) {
    t.signed_up(EMAIL).await;
    t.signed_up("bea@example.org").await;
    let flows = json!({ "verification": { "enabled": true } });
    t.reconfigure(&json!({ "selfservice": { "flows": flows } }));
    // cases: AC-117
    for (kind, address) in [("recovery", EMAIL), ("recovery", "nobody@example.org"), ("verification", "bea@example.org")] {
        for number in 0..5 {
            // Either flow counts for both.
            let asked = if number % 2 == 0 { kind } else { "recovery" };
            let person = t.person();
            let flow = person.init(asked, "").await;
            let sent = person.submit(&flow, json!({ "method": "code", "email": address })).await.form();
            assert_eq!(sent.state(), "sent_email", "{asked} of {address}, {number}");
        }
        let person = t.person();
        let flow = person.init(kind, "").await;
        let submitted = person.submit(&flow, json!({ "method": "code", "email": address })).await;
        if t.client == ClientKind::Browser {
            let form = submitted.form();
            assert_eq!((form.state().as_str(), form.messages()), ("choose_method", vec![7_900_001]));
        } else {
            assert_eq!(submitted.problem(429)["id"], "too_many_attempts");
        }
        t.clock().advance(Span::minutes(6));
        ask(&t.person(), address).await;
    }
    assert_eq!(mails_to(&t, EMAIL).await.len(), 6);
    assert_eq!(mails_to(&t, "bea@example.org").await.len(), 6);
}

// cases
#[flow_test(config = enabled())]
async fn an_operator_hands_over_a_code(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let id = ada.id().await.to_string();
    let ask = async |body: Value| t.admin().call("POST", "/admin/recovery/code").json(&body).await;
    for (body, status) in [
        (json!({ "identity_id": id, "expires_in": "-1h" }), 400),
        (json!({ "identity_id": id, "expires_in": "junk" }), 400),
        (json!({ "identity_id": id, "flow_type": "other" }), 400),
        (json!({ "identity_id": "nope" }), 400),
        (json!({ "identity_id": "6ba7b810-9dad-4dd1-80b4-00c04fd430c8" }), 404),
        (json!({}), 400),
        (json!([]), 400),
    ] {
        assert_eq!(ask(body.clone()).await.status, status, "{body}");
    }
    let flow_type = if t.client == ClientKind::Api { "api" } else { "browser" };
    let made = ask(json!({ "identity_id": id, "flow_type": flow_type, "expires_in": "2h" })).await.expect(201).json();
    let code = made["recovery_code"].as_str().unwrap();
    assert!(code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()));
    let link = made["recovery_link"].as_str().unwrap();
    let flow_id = parameter(link, "flow").unwrap();
    assert!(mails_to(&t, EMAIL).await.is_empty());
    t.clock().advance(Span::minutes(90));

    let person = t.person();
    let json = person.fetch("recovery", &flow_id).await.expect(200).json();
    let flow = Flow { kind: "recovery".to_owned(), json };
    assert_eq!(flow.names(), ["csrf_token", "code", "method"]);
    let form = person.submit(&flow, json!({ "method": "code", "code": other_than(code) })).await.form();
    assert_eq!(form.messages(), [4_060_006]);
    let submitted = person.submit(&flow, json!({ "method": "code", "code": code })).await;
    settings_after(&person, submitted).await;
    assert_eq!(person.whoami().await["identity"]["verifiable_addresses"][0]["verified"], false);
}

/// With second factors, and a whoami that asks for them.
fn guarded() -> Value {
    let mut config = second_factor::enabled();
    merge(&mut config, &enabled());
    merge(&mut config, &json!({ "session": { "whoami": { "required_aal": "highest_available" } } }));
    config
}

// cases: AC-05
#[flow_test(config = guarded())]
async fn a_mailbox_is_no_way_around_the_second_factor(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    enrol(&t, &ada).await;
    for required in ["aal1", "highest_available", "aal2"] {
        t.reconfigure(&json!({ "selfservice": { "flows": { "settings": { "required_aal": required } } } }));
        let person = t.person();
        let flow = ask(&person, EMAIL).await;
        let code = latest_code(&t, EMAIL).await;
        let reply = person.submit_call(&flow, json!({ "method": "code", "code": code })).await;
        let location = match t.client {
            ClientKind::Browser => reply.expect(303).location().to_owned(),
            client => {
                let body = reply.expect(200).json();
                let items = body["continue_with"].as_array().unwrap();
                if client == ClientKind::Api {
                    person.set_token(items[0]["ory_session_token"].as_str());
                }
                items.last().unwrap()["flow"]["url"].as_str().unwrap().to_owned()
            }
        };
        assert_eq!(person.try_whoami().await.status, 403, "whoami asks for the second factor");
        let id = parameter(&location, "flow").unwrap();
        let fetched = person.fetch("settings", &id).await;
        if required == "highest_available" {
            assert_eq!((fetched.status, fetched.error_id().as_str()), (403, "session_aal2_required"));
            continue;
        }
        let flow = Flow { kind: "settings".to_owned(), json: fetched.expect(200).json() };
        let fields = json!({ "method": "password", "password": "an entirely new phrase" });
        person.submit(&flow, fields).await.login_first("session_aal2_required");
        person.submit(&flow, json!({ "method": "totp", "totp_unlink": true })).await.login_first("session_aal2_required");
        person
            .submit(&flow, json!({ "method": "profile", "traits": { "email": "thief@example.org" } }))
            .await
            .login_first("session_aal2_required");
    }
    // Nothing was changed: the old password still is the first step.
    first_step(&t, EMAIL).await;
}

/// Guesses are not counted, so that all of them are judged.
fn uncounted() -> Value {
    let mut config = enabled();
    let changes = json!({
        "selfservice": { "methods": { "code": { "config": { "max_submissions": 255 } } } },
        "security": { "attempts": { "enabled": false } },
    });
    merge(&mut config, &changes);
    config
}

// cases: AC-42
#[database_test(config = uncounted())]
async fn a_hundred_times_the_right_code_makes_one_session(t: Trial) {
    t.signed_up(EMAIL).await;
    for _ in 0..3 {
        let person = Arc::new(t.person_as(ClientKind::Api));
        let flow = ask(&person, EMAIL).await;
        let fields = json!({ "method": "code", "code": latest_code(&t, EMAIL).await });
        let recovered = async || t.audit().await.iter().filter(|event| event.kind == "recovery_succeeded").count();
        let before = recovered().await;
        let start = Arc::new(tokio::sync::Barrier::new(100));
        let submits: Vec<_> = (0..100)
            .map(|_| {
                let (person, flow, fields, start) = (Arc::clone(&person), flow.clone(), fields.clone(), Arc::clone(&start));
                tokio::spawn(async move {
                    start.wait().await;
                    person.submit_call(&flow, fields).await
                })
            })
            .collect();
        let mut done = 0;
        for submit in submits {
            let reply = submit.await.expect("a submit");
            // Who is late is told that the code, or the flow, was used.
            assert!(matches!(reply.status, 200 | 400 | 503), "{reply:?}");
            done += usize::from(reply.status == 200 && reply.text().contains("show_settings_ui"));
        }
        assert_eq!((done, recovered().await - before), (1, 1));
    }
}

/// The identity behind a session.
async fn whose(person: &Actor) -> Value {
    person.whoami().await["identity"]["id"].take()
}

// cases: AC-48, AC-70, AC-74
#[flow_test(config = enabled())]
async fn a_code_goes_to_the_stored_address_and_acts_for_its_own_account(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let eve = t.signed_up("eve@example.org").await;
    // Other spellings of the same address are the same address, normalised before it is looked at.
    for typed in ["ADA@EXAMPLE.ORG", "  ada@example.org\t", "ada@ex\u{ff41}mple.org", "\u{200b}ada@example.org"] {
        ask(&t.person(), typed).await;
        t.clock().advance(Span::minutes(10));
    }
    // Look-alikes are other addresses: they get nothing, and neither does the account.
    let before = mails_to(&t, EMAIL).await.len();
    assert_eq!(before, 4);
    for look_alike in ["\u{430}da@example.org", "ada@example.org.evil.example", "ada+x@example.org", "ad\u{131}@example.org"] {
        ask(&t.person(), look_alike).await;
        t.clock().advance(Span::minutes(10));
    }
    assert_eq!(mails_to(&t, EMAIL).await.len(), before);
    let all = keyward_services::courier::list_recent(&t.app(), 100).await.unwrap();
    assert!(all.iter().all(|message| message.row.recipient == EMAIL), "mail goes to the stored address only");

    // Whatever else the request says, the code is Eve's.
    let person = t.person();
    let flow = ask(&person, "eve@example.org").await;
    let code = latest_code(&t, "eve@example.org").await;
    let id = ada.id().await.to_string();
    let fields = json!({
        "method": "code", "code": code, "identity_id": id, "identifier": EMAIL, "recovery_address": EMAIL,
        "traits": { "email": EMAIL }, "transient_payload": { "identity_id": id, "email": EMAIL },
    });
    settings_after(&person, person.submit(&flow, fields).await).await;
    assert_eq!(whose(&person).await, eve.id().await.to_string());
}

// cases: AC-49
#[flow_test(config = enabled())]
async fn a_code_ends_to_the_second(t: Trial) {
    t.signed_up(EMAIL).await;
    t.reconfigure(&json!({ "selfservice": { "methods": { "code": { "config": { "lifespan": "10m" } } } } }));
    for (wait, counts) in [(-1, true), (0, false), (1, false)] {
        let person = t.person();
        let flow = ask(&person, EMAIL).await;
        // Reading the code takes a second.
        let code = latest_code(&t, EMAIL).await;
        t.clock().advance(Span::seconds(10 * 60 - 1 + wait));
        let submitted = person.submit(&flow, json!({ "method": "code", "code": code })).await;
        if counts {
            submitted.done();
        } else {
            assert_eq!(submitted.form().messages(), [4_060_006], "{wait}");
        }
        t.clock().advance(Span::hours(1));
    }
}

// cases: AC-54
#[flow_test(config = enabled())]
async fn links_name_the_configured_address(t: Trial) {
    let flows = json!({ "verification": { "enabled": true } });
    t.reconfigure(&json!({ "selfservice": { "flows": flows } }));
    t.signed_up(EMAIL).await;
    let person = t.person();
    for kind in ["recovery", "verification"] {
        let door = if t.client == ClientKind::Api { "api" } else { "browser" };
        let start = person.call("GET", &format!("/self-service/{kind}/{door}"));
        let start = start.header("host", "evil.example").header("x-forwarded-host", "evil.example");
        let reply = start.header("x-forwarded-proto", "https").header("forwarded", "host=evil.example;proto=https").await;
        let flow = match t.client {
            ClientKind::Browser => {
                assert!(reply.location().starts_with("http://127.0.0.1:4455/"), "{reply:?}");
                let id = reply.location_parameter("flow").unwrap();
                person.fetch(kind, &id).await.expect(200).json()
            }
            _ => reply.expect(200).json(),
        };
        assert!(!flow["ui"]["action"].to_string().contains("evil"), "{flow:#}");
        let flow = Flow { kind: kind.to_owned(), json: flow };
        person.submit(&flow, json!({ "method": "code", "email": EMAIL })).await.form();
    }
    let mails = mails_to(&t, EMAIL).await;
    assert_eq!(mails.len(), 3, "of the sign-up, the recovery and the verification");
    for message in mails {
        let content = message.content.unwrap();
        let text =
            format!("{}{}{:?}{}", content.subject, content.body, content.html_body, content.template_data["verification_url"]);
        assert!(!text.contains("evil"), "{text}");
    }
}

#[flow_test(config = enabled())]
async fn a_code_to_an_address_that_left_the_account_opens_nothing(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let thief = t.person();
    let flow = ask(&thief, EMAIL).await;
    let code = latest_code(&t, EMAIL).await;
    let settings = ada.init("settings", "").await;
    ada.submit(&settings, json!({ "method": "profile", "traits": { "email": "ada@new.example" } })).await.saved();
    let form = thief.submit(&flow, json!({ "method": "code", "code": code })).await.form();
    assert_eq!(form.messages(), [4_060_006]);
    thief.try_whoami().await.expect(401);
}

#[flow_test(config = enabled())]
async fn outsiders_keep_nobody_from_their_codes_for_good(t: Trial) {
    t.signed_up(EMAIL).await;
    let thief = t.person_as(ClientKind::Api);
    let flow = ask(&thief, EMAIL).await;
    let code = latest_code(&t, EMAIL).await;
    // A flow that is over counts nothing any more.
    for _ in 0..30 {
        thief.submit_call(&flow, json!({ "method": "code", "code": other_than(&code) })).await;
        t.clock().advance(Span::minutes(1));
    }
    t.clock().advance(Span::minutes(20));
    let (person, submitted) = recover(&t, EMAIL).await;
    submitted.done();
    person.whoami().await;
}
