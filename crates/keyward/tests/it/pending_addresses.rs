//! New addresses that wait until they are confirmed (hook `verify_new_address`): what is changed when, and what ends the wait.
//! Each test names the acceptance cases that it proves.
//! The other flows that lead to a verification are left to `verification_after`.

use keyward_model::Span;
use keyward_testkit::{Actor, ClientKind, Flow, Trial, flow_test, merge};
use serde_json::{Value, json};

use crate::mail::mails_to;
use crate::second_factor::EMAIL;
use crate::verification_after::{
    NEW, addresses, flow_of, hooked, reachable, read, sign_up, status, told, type_code, verifications,
};

fn verified_first() -> Value {
    let mut config = reachable();
    merge(&mut config, &hooked("settings", "profile", &["verify_new_address", "notify_previous_addresses"]));
    config
}

/// Somebody who has confirmed nothing, and whose new addresses wait until they are.
async fn careful(t: &Trial) -> Actor {
    let ada = t.person();
    sign_up(&ada, "", json!({ "email": EMAIL })).await.done();
    t.clock().advance(Span::seconds(1));
    ada
}

async fn traits(t: &Trial, person: &Actor) -> Value {
    t.admin().identity(person.id().await).await["traits"].take()
}

/// Asks for a new address; yields the flow that takes the code.
async fn ask_for(t: &Trial, person: &Actor, settings: &Flow, address: &str) -> Flow {
    let submitted = person.submit(settings, json!({ "method": "profile", "traits": { "email": address } })).await;
    assert_eq!(submitted.reply.status, if t.client == ClientKind::Browser { 303 } else { 200 });
    let id = flow_of(t, address).await;
    let shown = submitted.form();
    if t.client == ClientKind::Browser {
        assert_eq!((shown.kind.as_str(), shown.id()), ("verification", id.clone()));
    } else {
        assert_eq!((shown.kind.as_str(), shown.state().as_str(), shown.messages()), ("settings", "show_form", Vec::new()));
        let items = shown.json["continue_with"].as_array().unwrap();
        assert_eq!((items.len(), &verifications(&shown.json)[0]["id"]), (1, &json!(id)));
        assert_ne!(shown.json["identity"]["traits"]["email"], address);
        assert_eq!(shown.value("traits.email"), address);
    }
    let flow = read(person, &id).await;
    assert_eq!((flow.state().as_str(), flow.messages()), ("sent_email", vec![1_080_003]));
    flow
}

/// The code of the latest message, typed.
// cases, S-119
#[flow_test(config = verified_first())]
async fn a_new_address_takes_effect_once_it_is_confirmed(t: Trial) {
    let ada = careful(&t).await;
    let settings = ada.init("settings", "").await;
    let saved =
        ada.submit(&settings, json!({ "method": "profile", "traits": { "email": EMAIL, "nickname": "Ada" } })).await.saved();
    assert_eq!(saved.messages(), [1_050_001]);

    let settings = ada.init("settings", "").await;
    let flow = ask_for(&t, &ada, &settings, NEW).await;
    assert_eq!(
        (traits(&t, &ada).await, addresses(&t, &ada).await),
        (json!({ "email": EMAIL, "nickname": "Ada" }), vec![status(EMAIL, "sent")])
    );
    assert_eq!((told(&t, EMAIL).await, mails_to(&t, NEW).await.len()), (0, 1));

    // Once more, by the button of the page.
    t.clock().advance(Span::seconds(1));
    let flow = ada.submit(&flow, json!({ "method": "code", "email": NEW })).await.form();
    assert_eq!((flow.messages(), mails_to(&t, NEW).await.len()), (vec![1_080_003], 2));
    let passed = type_code(&t, &ada, &flow, NEW).await.form();
    assert_eq!((passed.state().as_str(), passed.messages()), ("passed_challenge", vec![1_080_002]));
    assert_eq!((traits(&t, &ada).await, addresses(&t, &ada).await), (json!({ "email": NEW }), vec![status(NEW, "completed")]));
    assert_eq!(told(&t, EMAIL).await, 1, "the address that was there is told now");
    let kinds: Vec<_> = t.audit().await.into_iter().map(|event| event.kind).collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "traits_changed").count(), 2);
    t.signed_in(NEW).await;
}

// cases, S-120, S-121
#[flow_test(config = verified_first())]
async fn two_at_once_or_somebody_elses_are_refused(t: Trial) {
    let ada = careful(&t).await;
    t.admin().create_person("grace@example.org").await;
    let settings = ada.init("settings", "").await;
    let two = json!({ "email": NEW, "second": "other@example.org" });
    let submitted = ada.submit(&settings, json!({ "method": "profile", "traits": two })).await;
    assert_eq!(submitted.reply.status, if t.client == ClientKind::Browser { 303 } else { 200 });
    let form = submitted.form();
    assert_eq!((form.kind.as_str(), form.messages(), form.value("traits.email")), ("settings", vec![4_050_002], json!(NEW)));
    let taken = ada.submit(&settings, json!({ "method": "profile", "traits": { "email": "grace@example.org" } })).await;
    assert_eq!(taken.reply.status, if t.client == ClientKind::Browser { 303 } else { 400 });
    assert_eq!(taken.form().messages(), [4_000_007]);
    assert_eq!(traits(&t, &ada).await, json!({ "email": EMAIL }));
    for address in [NEW, "other@example.org", "grace@example.org"] {
        assert!(mails_to(&t, address).await.is_empty());
    }
}

// cases: R-51, AC-68
#[flow_test(config = verified_first())]
async fn only_the_latest_change_applies_and_only_by_its_own_code(t: Trial) {
    let ada = careful(&t).await;
    let settings = ada.init("settings", "").await;
    let first = ask_for(&t, &ada, &settings, "first@example.org").await;
    t.clock().advance(Span::seconds(1));
    let second = ask_for(&t, &ada, &settings, NEW).await;
    // The code of one address on the flow of the other, and the code of the change that is over.
    let stray = type_code(&t, &ada, &second, "first@example.org").await.form();
    assert_eq!(stray.messages(), [4_070_006]);
    let over = type_code(&t, &ada, &first, "first@example.org").await.form();
    assert_eq!((over.state().as_str(), over.messages()), ("sent_email", vec![4_070_006]));
    assert_eq!(traits(&t, &ada).await, json!({ "email": EMAIL }));
    let passed = type_code(&t, &ada, &second, NEW).await.form();
    assert_eq!(passed.state(), "passed_challenge");
    assert_eq!((traits(&t, &ada).await, addresses(&t, &ada).await), (json!({ "email": NEW }), vec![status(NEW, "completed")]));
}

// cases: R-52, S-122
#[flow_test(config = verified_first())]
async fn a_change_is_over_with_its_session_and_with_other_traits(t: Trial) {
    let ada = careful(&t).await;
    let id = ada.id().await;
    let settings = ada.init("settings", "").await;
    let flow = ask_for(&t, &ada, &settings, NEW).await;
    let nickname = json!([{ "op": "add", "path": "/traits/nickname", "value": "Countess" }]);
    t.admin().call("PATCH", &format!("/admin/identities/{id}")).json(&nickname).await.expect(200);
    assert_eq!(type_code(&t, &ada, &flow, NEW).await.form().messages(), [4_070_006]);
    let again = ada.submit(&flow, json!({ "method": "code", "email": NEW })).await.form();
    assert_eq!((again.messages(), mails_to(&t, NEW).await.len()), (vec![4_070_006], 1));

    let settings = ada.init("settings", "").await;
    let flow = ask_for(&t, &ada, &settings, "third@example.org").await;
    t.admin().call("DELETE", &format!("/admin/identities/{id}/sessions")).await.expect(204);
    ada.try_whoami().await.expect(401);
    let flow = read(&ada, &flow.id()).await;
    assert_eq!(type_code(&t, &ada, &flow, "third@example.org").await.form().messages(), [4_070_006]);
    let stored = t.admin().identity(id).await;
    assert_eq!(stored["traits"], json!({ "email": EMAIL, "nickname": "Countess" }));
    assert_eq!(stored["verifiable_addresses"].as_array().unwrap().len(), 1);
}

#[flow_test(config = verified_first())]
async fn an_address_can_be_taken_while_it_waits(t: Trial) {
    let ada = careful(&t).await;
    let settings = ada.init("settings", "").await;
    let flow = ask_for(&t, &ada, &settings, NEW).await;
    t.admin().create_person(NEW).await;
    t.clock().advance(Span::seconds(1));
    let again = ada.submit(&flow, json!({ "method": "code", "email": NEW })).await;
    assert_eq!(again.form().messages(), [4_000_007]);
    assert_eq!(mails_to(&t, NEW).await.len(), 1, "its owner is not written to");
    let submitted = type_code(&t, &ada, &flow, NEW).await;
    assert_eq!(submitted.reply.status, if t.client == ClientKind::Browser { 303 } else { 400 });
    assert_eq!(submitted.form().messages(), [4_000_007]);
    assert_eq!(traits(&t, &ada).await, json!({ "email": EMAIL }));
}
