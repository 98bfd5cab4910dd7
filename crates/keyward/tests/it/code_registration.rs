//! Signing up with a mailed code: the first submit sends, the second one makes the account.

use std::sync::Arc;

use keyward_model::{CredentialType, Span};
use keyward_testkit::{ClientKind, Flow, Said, Trial, database_test, flow_test};
use serde_json::{Value, json};

use crate::code::{codes_to, passwordless, sent};
use crate::code_second::all_at_once;
use crate::mail::{latest_code, other_than};
use crate::second_factor::EMAIL;

fn traits() -> Value {
    json!({ "email": EMAIL, "nickname": "Ada", "name": { "first": "Ada" } })
}

fn submit(code: &str) -> Value {
    json!({ "method": "code", "traits": traits(), "code": code })
}

// cases: L-71
#[flow_test(config = passwordless())]
async fn a_mailed_code_makes_the_account_with_its_address_verified(t: Trial) {
    let ada = t.person();
    let flow = ada.init("registration", "").await;
    let buttons = flow.group("code");
    assert_eq!((buttons.len(), &buttons[0]["meta"]["label"]["id"]), (1, &json!(1_040_006)));

    let form = sent(ada.submit(&flow, json!({ "method": "code", "traits": traits() })).await);
    assert_eq!(form.messages(), [1_040_005]);
    assert_eq!(form.json["active"], "code");
    assert_eq!(form.value("traits.email"), EMAIL);
    for node in form.group("default") {
        assert_eq!(node["attributes"]["type"], "hidden", "{node}");
    }
    let names: Vec<_> = form.group("code").iter().map(|node| node["attributes"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["code", "resend", "method", "method"]);
    assert!(form.find("password").is_none());
    assert_eq!(form.node("code")["meta"]["label"]["id"], 1_070_012);

    let code = latest_code(&t, EMAIL).await;
    let missing = ada.submit(&form, json!({ "method": "code", "traits": traits() })).await.form();
    assert_eq!(missing.messages_at("code"), [4_000_002]);
    let wrong = ada.submit(&form, submit(&other_than(&code))).await.form();
    assert_eq!((wrong.messages(), wrong.state().as_str()), (vec![4_040_003], "sent_email"));
    assert_eq!(wrong.value("traits.nickname"), "Ada");
    for changed in [json!({ "email": "eve@example.org" }), json!({ "email": EMAIL, "nickname": "Eve" }), json!({ "email": "x" })]
    {
        let refused = ada.submit(&form, json!({ "method": "code", "code": code, "traits": changed })).await.form();
        assert_eq!(refused.messages(), [4_000_036], "{changed}");
        assert_eq!(refused.value("traits.email"), EMAIL, "what the code was sent for stays");
    }
    let done = ada.submit(&form, submit(&code)).await.done();
    if ada.client != ClientKind::Browser {
        assert_eq!(done.body["identity"]["verifiable_addresses"][0]["verified"], true, "{:#}", done.body);
    }
    let session = ada.whoami().await;
    assert_eq!(
        (&session["authentication_methods"][0]["method"], &session["authenticator_assurance_level"]),
        (&json!("code"), &json!("aal1"))
    );
    assert_eq!(session["identity"]["traits"]["name"]["first"], "Ada");
    let address = &session["identity"]["verifiable_addresses"][0];
    assert_eq!((&address["verified"], &address["status"]), (&json!(true), &json!("completed")));
    let stored = t.snapshot(ada.id().await).await;
    assert_eq!(stored.credential(CredentialType::Code).unwrap().identifiers, [EMAIL]);
    assert_eq!(stored.factors().password, 0);
}

/// Of several submits of one flow at the same moment some send nothing; those use up none of the address's messages.
#[database_test(config = passwordless())]
async fn only_messages_that_are_sent_count(t: Trial) {
    let ada = Arc::new(t.person());
    let fields = json!({ "method": "code", "traits": traits() });
    let flow = ada.init("registration", "").await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (ada, flow, fields) = (Arc::clone(&ada), flow.clone(), fields.clone());
        tasks.spawn(async move { ada.submit(&flow, fields).await });
    }
    while let Some(submitted) = tasks.join_next().await {
        submitted.unwrap().form();
    }
    for number in codes_to(&t, EMAIL).await.len()..5 {
        let flow = ada.init("registration", "").await;
        let form = ada.submit(&flow, fields.clone()).await.form();
        assert_eq!(form.state(), "sent_email", "message {number}");
    }
    let flow = ada.init("registration", "").await;
    ada.submit(&flow, fields).await.problem(429);
    assert_eq!(codes_to(&t, EMAIL).await.len(), 5);
}

#[flow_test(config = passwordless())]
async fn a_new_code_ends_the_one_before_and_too_many_tries_end_the_flow(t: Trial) {
    t.reconfigure(&json!({ "security": { "attempts": { "enabled": false } } }));
    let ada = t.person();
    let flow = ada.init("registration", "").await;
    let form = sent(ada.submit(&flow, json!({ "method": "code", "traits": traits() })).await);
    let first = latest_code(&t, EMAIL).await;
    let form = sent(ada.submit(&form, json!({ "method": "code", "traits": traits(), "resend": "code" })).await);
    let second = latest_code(&t, EMAIL).await;
    assert_eq!(ada.submit(&form, submit(&first)).await.form().messages(), [4_040_003]);
    for _ in 0..4 {
        assert_eq!(ada.submit(&form, submit(&other_than(&second))).await.form().messages(), [4_040_003]);
    }
    assert_eq!(ada.submit(&form, submit(&second)).await.form().messages(), [4_000_001]);
    ada.try_whoami().await.expect(401);
}

#[flow_test(config = passwordless())]
async fn what_is_wrong_with_the_traits_is_said_before_anything_is_sent(t: Trial) {
    let ada = t.person();
    let flow = ada.init("registration", "").await;
    let refused = ada.submit(&flow, json!({ "method": "code" })).await.form();
    assert_eq!((refused.messages_at("traits.email"), refused.state().as_str()), (vec![4_000_002], "choose_method"));
    let refused = ada.submit(&flow, json!({ "method": "code", "traits": { "email": EMAIL, "nickname": "x" } })).await.form();
    assert_eq!(refused.value("traits.email"), EMAIL);
    assert!(!refused.messages_at("traits.nickname").is_empty());
    assert!(codes_to(&t, EMAIL).await.is_empty());
    // Nothing there to send a code to.
    let flow = ada.init("registration", "identity_schema=company").await;
    let traits = json!({ "contact": EMAIL, "company": "Ada & Söhne" });
    let refused = ada.submit(&flow, json!({ "method": "code", "traits": traits })).await.form();
    assert_eq!(refused.messages(), [4_000_009]);
}

/// Whether an address is taken is told to whoever reads its mail, and to nobody else.
#[flow_test(config = passwordless())]
async fn a_taken_address_shows_only_after_the_right_code(t: Trial) {
    t.signed_up(EMAIL).await;
    let eve = t.person();
    let mut told = Vec::new();
    for address in [EMAIL, "new@example.org"] {
        let flow = eve.init("registration", "").await;
        let form = sent(eve.submit(&flow, json!({ "method": "code", "traits": { "email": address } })).await);
        let fields =
            json!({ "method": "code", "traits": { "email": address }, "code": other_than(&latest_code(&t, address).await) });
        let wrong = eve.submit(&form, fields).await.form();
        told.push((form.all_messages(), wrong.all_messages(), wrong.names().into_iter().map(str::to_owned).collect::<Vec<_>>()));
        if address == EMAIL {
            let fields = json!({ "method": "code", "traits": { "email": address }, "code": latest_code(&t, address).await });
            assert_eq!(eve.submit(&form, fields.clone()).await.form().messages(), [4_000_007]);
            t.reconfigure(&json!({ "selfservice": { "flows": { "registration": { "login_hints": true } } } }));
            let hinted = eve.submit(&form, fields).await.form();
            assert_eq!(hinted.messages(), [4_000_028], "the code was not used up");
            let context = &hinted.json["ui"]["messages"][0]["context"];
            assert_eq!(context["available_credential_types"], json!(["password", "code"]));
        }
    }
    assert_eq!(told[0], told[1]);
}

// cases: AC-46
#[flow_test(config = passwordless())]
async fn a_code_of_another_flow_or_story_makes_no_account(t: Trial) {
    t.signed_up("bob@example.org").await;
    let ada = t.person();
    let begin = || async {
        let flow = ada.init("registration", "").await;
        sent(ada.submit(&flow, json!({ "method": "code", "traits": traits() })).await)
    };
    let first: Flow = begin().await;
    let first_code = latest_code(&t, EMAIL).await;
    let second = begin().await;
    let second_code = latest_code(&t, EMAIL).await;
    assert_eq!(ada.submit(&first, submit(&second_code)).await.form().messages(), [4_040_003]);
    let login = ada.init("login", "").await;
    let login = sent(ada.submit(&login, json!({ "method": "code", "identifier": "bob@example.org" })).await);
    let login_code = latest_code(&t, "bob@example.org").await;
    assert_eq!(ada.submit(&second, submit(&login_code)).await.form().messages(), [4_040_003]);
    let crossed = ada.submit(&login, json!({ "method": "code", "code": first_code.clone() })).await.form();
    assert_eq!(crossed.messages(), [4_010_008]);
    ada.submit(&first, submit(&first_code)).await.done();
}

// cases: AC-12
#[flow_test(config = passwordless())]
async fn guesses_and_messages_are_counted_by_address(t: Trial) {
    let ada = t.person();
    let mut told = Vec::new();
    for _ in 0..2 {
        let flow = ada.init("registration", "").await;
        let form = sent(ada.submit(&flow, json!({ "method": "code", "traits": traits() })).await);
        for _ in 0..3 {
            let wrong = other_than(&latest_code(&t, EMAIL).await);
            told.push(match ada.submit(&form, submit(&wrong)).await.said {
                Said::Form(form) => form.messages()[0],
                Said::Problem { status, .. } => u64::from(status),
                other => panic!("{other:?}"),
            });
        }
    }
    assert_eq!(told[..5], [4_040_003; 5]);
    assert_eq!(told[5], if ada.client == ClientKind::Browser { 7_900_001 } else { 429 });
    for _ in 0..3 {
        let flow = ada.init("registration", "").await;
        sent(ada.submit(&flow, json!({ "method": "code", "traits": traits() })).await);
    }
    let flow = ada.init("registration", "").await;
    let submitted = ada.submit(&flow, json!({ "method": "code", "traits": traits() })).await;
    match submitted.said {
        Said::Problem { status: 429, error } => assert_eq!(error["id"], "too_many_attempts"),
        Said::Form(form) => {
            assert_eq!((form.messages(), ada.client), (vec![7_900_001], ClientKind::Browser));
            assert_eq!(form.value("traits.email"), EMAIL, "what was typed stays");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(codes_to(&t, EMAIL).await.len(), 5);
}

#[flow_test(config = passwordless())]
async fn a_sign_up_code_ends_with_its_time(t: Trial) {
    t.reconfigure(&json!({ "selfservice": { "methods": { "code": { "config": { "lifespan": "10m" } } } } }));
    let ada = t.person();
    let flow = ada.init("registration", "").await;
    let form = sent(ada.submit(&flow, json!({ "method": "code", "traits": traits() })).await);
    t.clock().advance(Span::minutes(10));
    assert_eq!(ada.submit(&form, submit(&latest_code(&t, EMAIL).await)).await.form().messages(), [4_040_003]);
}

// cases: AC-42
#[database_test(config = {
    let mut config = passwordless();
    config["selfservice"]["methods"]["code"]["config"] = json!({ "max_submissions": 255 });
    config["security"] = json!({ "attempts": { "enabled": false } });
    config
})]
async fn of_a_hundred_equal_sign_ups_one_makes_the_account(t: Trial) {
    let ada = Arc::new(t.person());
    let flow = ada.init("registration", "").await;
    let form = sent(ada.submit(&flow, json!({ "method": "code", "traits": traits() })).await);
    let fields = submit(&latest_code(&t, EMAIL).await);
    assert_eq!(all_at_once(&ada, &form, &fields, 100).await, 1);
    let found = t.admin().call("GET", &format!("/admin/identities?credentials_identifier={EMAIL}")).await.expect(200).json();
    assert_eq!(found.as_array().unwrap().len(), 1);
}
