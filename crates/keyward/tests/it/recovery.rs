//! Recovery by code: asking for it, taking it, and what it gives, by every kind of client.

use keyward_model::Span;
use keyward_testkit::{Actor, ClientKind, Flow, PASSWORD, Said, Submitted, Trial, flow_test, parameter};
use serde_json::{Value, json};

use crate::mail::{latest_code, mails_to, other_than};
use crate::second_factor::EMAIL;

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

pub(crate) async fn whose(person: &Actor) -> Value {
    person.whoami().await["identity"]["id"].take()
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
pub(crate) async fn settings_after(person: &Actor, submitted: Submitted) -> Flow {
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
