//! Verification by code: asking for it, the link of the mail, and what it confirms, by every kind of client.

use keyward_model::Span;
use keyward_testkit::{Actor, ClientKind, Flow, Submitted, Trial, flow_test};
use serde_json::{Value, json};

use crate::mail::{latest_code, mails_to, other_than};
use crate::second_factor::EMAIL;

pub(crate) fn enabled() -> Value {
    json!({ "selfservice": { "flows": { "verification": { "enabled": true } } } })
}

/// Asks for a code to an address.
async fn ask(person: &Actor, address: &str) -> Flow {
    let flow = person.init("verification", "").await;
    let sent = person.submit(&flow, json!({ "method": "code", "email": address })).await.form();
    assert_eq!((sent.state().as_str(), sent.messages()), ("sent_email", vec![1_080_003]));
    sent
}

/// Somebody who got their first code a second ago, when they signed up.
async fn signed_up(t: &Trial) -> Actor {
    let ada = t.signed_up(EMAIL).await;
    t.clock().advance(Span::seconds(1));
    ada
}

/// The address of an account, as an operator sees it.
async fn address(t: &Trial, ada: &Actor) -> Value {
    t.admin().identity(ada.id().await).await["verifiable_addresses"][0].take()
}

// cases: R-35
#[flow_test(config = enabled())]
async fn an_address_is_on_its_way_once_a_code_is(t: Trial) {
    let made = t.admin().create_person(EMAIL).await;
    let id = made["id"].as_str().unwrap();
    let status = async || t.admin().identity(id).await["verifiable_addresses"][0]["status"].take();
    assert_eq!(status().await, "pending");
    ask(&t.person(), EMAIL).await;
    assert_eq!(status().await, "sent");
}

// cases: AC-74
#[flow_test(config = enabled())]
async fn other_spellings_of_an_address_are_the_address(t: Trial) {
    t.admin().create_person(EMAIL).await;
    let spellings = ["ADA@EXAMPLE.ORG", "  ada@example.org\t", "ada@ex\u{ff41}mple.org", "\u{200b}ada@example.org"];
    for typed in spellings {
        ask(&t.person(), typed).await;
    }
    assert_eq!(mails_to(&t, EMAIL).await.len(), spellings.len());
}

// cases
#[flow_test(config = enabled())]
async fn a_code_confirms_an_address(t: Trial) {
    let ada = signed_up(&t).await;
    let anybody = t.person();
    let flow = anybody.init("verification", "").await;
    let is_app = t.client == ClientKind::Api;
    assert_eq!(flow.names(), if is_app { vec!["email", "method"] } else { vec!["email", "method", "csrf_token"] });
    let sent = anybody.submit(&flow, json!({ "method": "code", "email": EMAIL })).await.form();
    assert_eq!((sent.state().as_str(), sent.messages(), sent.id()), ("sent_email", vec![1_080_003], flow.id()));
    let names: Vec<_> = sent.names().into_iter().filter(|name| *name != "csrf_token").collect();
    assert_eq!(names, ["method", "code", "method", "email"]);
    assert_eq!(address(&t, &ada).await["status"], "sent");
    let code = latest_code(&t, EMAIL).await;
    // Without a method: the code says it (contract: verification 3.2).
    let passed = anybody.submit(&sent, json!({ "code": code })).await.form();
    assert_eq!((passed.state().as_str(), passed.messages()), ("passed_challenge", vec![1_080_002]));
    assert_eq!(passed.names(), ["csrf_token", "continue"]);
    assert_eq!(passed.node("continue")["attributes"]["href"], "http://127.0.0.1:4456/");
    assert_eq!((&passed.json["ui"]["method"], &passed.json["ui"]["action"]), (&json!("GET"), &json!("http://127.0.0.1:4456/")));
    let confirmed = address(&t, &ada).await;
    assert_eq!((&confirmed["verified"], &confirmed["status"]), (&json!(true), &json!("completed")));
    assert!(confirmed["verified_at"].is_string());
    anybody.try_whoami().await.expect(401);
}

// cases: R-37
#[flow_test(config = enabled())]
async fn it_ends_where_the_operator_or_the_person_wants(t: Trial) {
    signed_up(&t).await;
    let after = json!({ "default_browser_return_url": "https://app.example/confirmed" });
    t.reconfigure(&json!({ "selfservice": { "flows": { "verification": { "after": after } } } }));
    let ends = async |query: &str| {
        let person = t.person();
        let flow = person.init("verification", query).await;
        person.submit(&flow, json!({ "method": "code", "email": EMAIL })).await.form();
        let code = latest_code(&t, EMAIL).await;
        let passed = person.submit(&flow, json!({ "method": "code", "code": code })).await.form();
        passed.node("continue")["attributes"]["href"].as_str().unwrap().to_owned()
    };
    assert_eq!(ends("").await, "https://app.example/confirmed");
    assert_eq!(ends("return_to=http%3A%2F%2F127.0.0.1%3A4456%2Fback").await, "http://127.0.0.1:4456/back");
    let refused = t.person().start("verification", "return_to=https%3A%2F%2Fevil.example").await;
    if t.client != ClientKind::Browser {
        assert_eq!((refused.status, refused.error_id().as_str()), (400, "self_service_flow_return_to_forbidden"));
    } else {
        assert_eq!(refused.status, 303);
        assert!(refused.location().starts_with("http://127.0.0.1:4455/error?id="), "{refused:?}");
    }
}

// cases: R-38
#[flow_test(config = enabled())]
async fn the_link_of_the_mail_fills_the_field_and_confirms_nothing(t: Trial) {
    let ada = signed_up(&t).await;
    let flow = ask(&ada, EMAIL).await;
    let code = latest_code(&t, EMAIL).await;
    let mails = mails_to(&t, EMAIL).await;
    let link = mails[0].content.as_ref().unwrap().template_data["verification_url"].as_str().unwrap().to_owned();
    assert_eq!(link, format!("{}/self-service/verification?code={code}&flow={}", t.public(), flow.id()));
    // In the browser that asked, the field is filled; what an app asked for, and what is opened elsewhere, has a page of its own.
    if t.client != ClientKind::Api {
        let reply = ada.call("GET", &link).header("accept", "text/html").await.expect(303);
        assert_eq!(reply.location(), format!("http://127.0.0.1:4455/verification?flow={}", flow.id()));
        assert_eq!(ada.refetch(&flow).await.value("code"), code.as_str());
    }
    let phone = t.person_as(ClientKind::Browser);
    let open = async |link: &str| {
        let reply = phone.call("GET", link).await.expect(303);
        let id = reply.location_parameter("flow").unwrap();
        assert_ne!(id, flow.id());
        Flow { kind: "verification".to_owned(), json: phone.fetch("verification", &id).await.expect(200).json() }
    };
    let shown = open(&link).await;
    assert_eq!((shown.state().as_str(), shown.value("code")), ("sent_email", json!(code)));
    let wrong = open(&link.replace(&code, &other_than(&code))).await;
    assert_eq!(wrong.value("code"), other_than(&code).as_str(), "whether a code is right is not told by looking");
    assert_eq!(address(&t, &ada).await["verified"], false);
    let submitted = phone.submit(&wrong, json!({ "method": "code", "code": code })).await.form();
    assert_eq!(submitted.messages(), [4_070_006], "the right code was not what the link had");
    // Nobody but the phone reads it, and an app's flow shows nothing.
    ada.fetch("verification", &shown.id()).await.expect(403);
    if t.client == ClientKind::Api {
        assert!(ada.refetch(&flow).await.value("code").is_null());
    }
    let passed = phone.submit(&shown, json!({ "method": "code", "code": code })).await.form();
    assert_eq!(passed.state(), "passed_challenge");
    assert_eq!(address(&t, &ada).await["verified"], true);
    // The flow that asked is still there for whoever types the code.
    let passed = ada.submit(&flow, json!({ "method": "code", "code": code })).await.form();
    assert_eq!(passed.state(), "passed_challenge");
}

#[flow_test(config = enabled())]
async fn links_are_not_there_to_try_codes(t: Trial) {
    t.signed_up(EMAIL).await;
    let flow = ask(&t.person(), EMAIL).await;
    let code = latest_code(&t, EMAIL).await;
    let thief = t.person_as(ClientKind::Browser);
    let open = async |code: &str| {
        let link = format!("/self-service/verification?code={code}&flow={}", flow.id());
        let reply = thief.call("GET", &link).await.expect(303);
        let id = reply.location_parameter("flow").unwrap();
        Flow { kind: "verification".to_owned(), json: thief.fetch("verification", &id).await.expect(200).json() }
    };
    for _ in 0..5 {
        open(&other_than(&code)).await;
    }
    let late = open(&code).await;
    let form = thief.submit(&late, json!({ "method": "code", "code": code })).await.form();
    assert_eq!(form.messages(), [4_070_006]);
}

#[flow_test(config = enabled())]
async fn nobody_else_touches_a_flow(t: Trial) {
    if t.client == ClientKind::Api {
        return;
    }
    t.signed_up(EMAIL).await;
    let person = t.person();
    let flow = ask(&person, EMAIL).await;
    let stranger = t.person_as(ClientKind::Spa);
    stranger.init("verification", "").await;
    for fields in [json!({ "method": "code", "email": "eve@example.org" }), json!({ "method": "nope" }), json!({})] {
        let reply = stranger.submit_call(&flow, fields).await;
        assert_eq!((reply.status, reply.error_id().as_str()), (403, "security_csrf_violation"));
    }
    let read = stranger.call("GET", &format!("/self-service/verification?flow={}", flow.id())).await;
    assert!(read.status == 403 && !read.text().contains(EMAIL), "{read:?}");
    assert_eq!(person.refetch(&flow).await.messages(), [1_080_003]);
}

// cases
#[flow_test(config = enabled())]
async fn wrong_codes_are_few_and_a_used_one_is_over(t: Trial) {
    let ada = signed_up(&t).await;
    let person = t.person();
    let flow = ask(&person, EMAIL).await;
    let code = latest_code(&t, EMAIL).await;
    for _ in 0..5 {
        let submitted = person.submit(&flow, json!({ "method": "code", "code": other_than(&code) })).await;
        if t.client != ClientKind::Browser {
            assert_eq!(submitted.reply.status, 200);
        }
        assert_eq!(submitted.form().messages(), [4_070_006]);
        t.clock().advance(Span::minutes(5));
    }
    let replaced = person.submit(&flow, json!({ "method": "code", "code": code })).await;
    assert_eq!(replacement(&t, &person, &flow, replaced).await, 4_000_001);
    assert_eq!(address(&t, &ada).await["verified"], false);

    let flow = ask(&person, EMAIL).await;
    let code = latest_code(&t, EMAIL).await;
    assert_eq!(person.submit(&flow, json!({ "method": "code", "code": code })).await.form().state(), "passed_challenge");
    let again = person.submit(&flow, json!({ "method": "code", "code": code })).await;
    assert_eq!(replacement(&t, &person, &flow, again).await, 4_070_002);
}

/// The message of the flow that took the place of the submitted one.
async fn replacement(t: &Trial, person: &Actor, flow: &Flow, submitted: Submitted) -> u64 {
    let id = match t.client {
        ClientKind::Browser => submitted.form().id(),
        _ => {
            assert_eq!((submitted.reply.status, submitted.reply.error_id().as_str()), (410, "self_service_flow_replaced"));
            submitted.reply.json()["use_flow_id"].as_str().unwrap().to_owned()
        }
    };
    assert_ne!(id, flow.id());
    let shown = person.fetch("verification", &id).await.expect(200).json();
    shown["ui"]["messages"][0]["id"].as_u64().unwrap()
}

// cases: R-41
#[flow_test(config = enabled())]
async fn an_expired_flow_gives_way_to_a_new_one(t: Trial) {
    let person = t.person();
    let flow = person.init("verification", "").await;
    t.clock().advance(Span::hours(2));
    let reply = person.submit_call(&flow, json!({ "method": "code", "email": EMAIL })).await.expect(303);
    let id = match t.client {
        ClientKind::Browser => reply.location_parameter("flow").unwrap(),
        _ => {
            assert!(reply.location().contains("/self-service/verification/flows?id="));
            reply.location_parameter("id").unwrap()
        }
    };
    let shown = person.fetch("verification", &id).await.expect(200).json();
    assert_eq!(shown["ui"]["messages"][0]["id"], 4_070_005);
    person.fetch("verification", &flow.id()).await.expect(410);
}

// cases: R-44
#[flow_test(config = enabled())]
async fn an_address_that_nobody_has_is_answered_alike(t: Trial) {
    signed_up(&t).await;
    let shown = async |address: &str| {
        let flow = ask(&t.person(), address).await;
        let token = flow.csrf_token().unwrap_or_default();
        let text = flow.json.to_string().replace(address, "<address>").replace(&flow.id(), "<id>");
        if token.is_empty() { text } else { text.replace(&token, "<token>") }
    };
    assert_eq!(shown(EMAIL).await, shown("nobody@example.org").await);
    assert!(mails_to(&t, "nobody@example.org").await.is_empty());
    t.reconfigure(&json!({ "selfservice": { "flows": { "verification": { "notify_unknown_recipients": true } } } }));
    ask(&t.person(), "nobody@example.org").await;
    let [mail] = &mails_to(&t, "nobody@example.org").await[..] else { panic!("one mail") };
    assert_eq!(mail.row.template_type, "verification_code_invalid");
    // Whatever is typed is answered alike.
    ask(&t.person(), "no address at all").await;
}

#[flow_test(config = enabled())]
async fn what_is_missing_is_told(t: Trial) {
    let person = t.person();
    let flow = person.init("verification", "").await;
    let form = person.submit(&flow, json!({ "method": "code", "email": "" })).await.form();
    assert_eq!(form.messages_at("email"), [4_000_002]);
    assert_eq!(form.names(), ["email", "method", "csrf_token"]);
    for fields in [json!({ "method": "nope", "email": EMAIL }), json!({ "email": EMAIL })] {
        assert_eq!(person.submit(&flow, fields).await.form().messages(), [4_010_006]);
    }
    if t.client != ClientKind::Api {
        person.submit(&flow, json!({ "method": "code", "email": EMAIL, "csrf_token": "forged" })).await.problem(403);
    }
    t.reconfigure(&json!({ "selfservice": { "flows": { "verification": { "enabled": false } } } }));
    person.submit(&flow, json!({ "method": "code", "email": EMAIL })).await.problem(400);
}
