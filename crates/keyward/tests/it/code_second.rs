//! Mailed codes as the second factor, and what a mailbox is worth: it never counts twice, and whoever is asked can answer.
//! Sign-in by code alone is in [`crate::code`].

use std::sync::Arc;

use keyward_model::{Aal, AuthMethod, JsonList, Proof, Span, Via, count_factors, session_aal};
use keyward_testkit::{Actor, ClientKind, Flow, PASSWORD, Said, Trial, database_test, flow_test, schema_url};
use serde_json::{Value, json};

use crate::code::{codes_to, identity_id, passwordless, second, sent};
use crate::mail::{latest_code, other_than};
use crate::second_factor::{EMAIL, code, enrol, first_step};

const WORK: &str = "ada@work.example";
const PHONE: &str = "+16502530000";

/// People with up to three addresses.
pub(crate) fn reachable() -> Value {
    let address = |format: &str, via: &str, identifies: bool| {
        json!({ "type": "string", "format": format, "ory.sh/kratos": {
            "credentials": { "password": { "identifier": identifies }, "code": { "identifier": true, "via": via } },
            "verification": { "via": via },
            "recovery": { "via": via },
        } })
    };
    json!({
        "$id": "https://schemas.invalid/reachable.json",
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": { "traits": { "type": "object", "properties": {
            "email": address("email", "email", true),
            "work": address("email", "email", false),
            "phone": address("tel", "sms", false),
        }, "required": ["email"], "additionalProperties": false } },
    })
}

fn several(mut config: Value) -> Value {
    config["identity"] = json!({ "schemas": [{ "id": "person", "url": schema_url(&reachable()) }] });
    config
}

/// Somebody who just signed up by password; where codes are asked for, the second step is due.
async fn member(t: &Trial, email: &str) -> Actor {
    let person = t.person();
    let flow = person.init("registration", "").await;
    person.submit(&flow, json!({ "method": "password", "password": PASSWORD, "traits": { "email": email } })).await.done();
    person
}

/// Somebody with all three addresses, signed up by password.
async fn reachable_person(t: &Trial) -> Actor {
    let person = t.person();
    let flow = person.init("registration", "").await;
    let traits = json!({ "email": EMAIL, "work": WORK, "phone": PHONE });
    person.submit(&flow, json!({ "method": "password", "password": PASSWORD, "traits": traits })).await.done();
    person
}

// cases: L-40
#[flow_test(config = second())]
async fn a_single_address_gets_its_code_at_once(t: Trial) {
    let ada = member(&t, EMAIL).await;
    ada.try_whoami().await.expect(403);
    let flow = ada.init("login", "aal=aal2").await;
    assert_eq!((flow.state().as_str(), flow.messages()), ("sent_email", vec![1_010_025]));
    assert_eq!(flow.json["active"], "code");
    assert_eq!(flow.value("identifier"), EMAIL);
    assert_eq!(flow.node("identifier")["meta"]["label"]["id"], 1_010_023);
    assert_eq!(flow.node("identifier")["attributes"]["type"], "hidden");
    let code = latest_code(&t, EMAIL).await;
    let wrong = ada.submit(&flow, json!({ "method": "code", "code": other_than(&code) })).await.form();
    assert_eq!((wrong.messages(), wrong.state().as_str()), (vec![4_010_008], "sent_email"));
    ada.submit(&flow, json!({ "method": "code", "code": code })).await.done();
    let session = ada.whoami().await;
    assert_eq!(session["authenticator_assurance_level"], "aal2");
    let proofs: Vec<_> = session["authentication_methods"].as_array().unwrap().clone();
    assert_eq!((&proofs[1]["method"], &proofs[1]["aal"]), (&json!("code"), &json!("aal2")));
    assert!(proofs[1].get("mailbox").is_none());
    assert_eq!(session["identity"]["verifiable_addresses"][0]["verified"], true);
    assert_eq!(codes_to(&t, EMAIL).await.len(), 1);

    // A code does not sign in by itself here.
    let stranger = t.person();
    let login = stranger.init("login", "").await;
    assert!(login.group("code").is_empty(), "{:?}", login.names());
    let refused = stranger.submit(&login, json!({ "method": "code", "identifier": EMAIL })).await.form();
    assert_eq!(refused.messages(), [4_010_002]);
}

// cases: L-41, L-42
#[flow_test(config = several(second()))]
async fn of_several_addresses_one_is_chosen(t: Trial) {
    let ada = reachable_person(&t).await;
    let flow = ada.init("login", "aal=aal2").await;
    assert_eq!(flow.state(), "choose_method");
    let choices: Vec<_> = flow.group("code").iter().map(|node| node["attributes"].clone()).collect();
    let shown: Vec<_> = choices.iter().map(|input| (input["name"].clone(), input["value"].clone())).collect();
    let expected = [PHONE, EMAIL, WORK].map(|address| (json!("address"), json!(address)));
    assert_eq!(shown, expected, "by address, whatever the channel");
    let labels: Vec<_> = flow.group("code").iter().map(|node| node["meta"]["label"].clone()).collect();
    assert!(labels.iter().all(|label| label["id"] == 1_010_023));
    assert_eq!(labels[0]["context"], json!({ "address": PHONE, "channel": "sms" }));
    assert_eq!(labels[2]["context"], json!({ "address": WORK, "channel": "email" }));
    assert!(codes_to(&t, EMAIL).await.is_empty());

    member(&t, "eve@example.org").await;
    for foreign in ["eve@example.org", "nobody@example.org", ""] {
        let refused = ada.submit(&flow, json!({ "method": "code", "address": foreign })).await.form();
        let expected = if foreign.is_empty() { ("address".to_owned(), 4_000_002) } else { (String::new(), 4_010_010) };
        assert!(refused.all_messages().contains(&expected), "{foreign}: {:?}", refused.all_messages());
    }
    // A choice needs no method.
    let form = sent(ada.submit(&flow, json!({ "address": WORK })).await);
    assert_eq!((form.messages(), form.value("identifier")), (vec![1_010_025], json!(WORK)));
    assert_eq!(form.names().iter().filter(|name| **name == "identifier").count(), 1);
    assert!(form.find("address").is_none());
    let first = latest_code(&t, WORK).await;
    sent(ada.submit(&form, json!({ "method": "code", "resend": "code" })).await);
    let code = latest_code(&t, WORK).await;
    assert_eq!(ada.submit(&form, json!({ "method": "code", "code": first })).await.form().messages(), [4_010_008]);
    ada.submit(&form, json!({ "method": "code", "code": code })).await.done();
    assert_eq!(ada.whoami().await["authenticator_assurance_level"], "aal2");

    // By text message as well.
    let phone = first_step(&t, EMAIL).await;
    let flow = phone.init("login", "aal=aal2").await;
    let form = sent(phone.submit(&flow, json!({ "method": "code", "address": "+1 650-253-0000" })).await);
    phone.submit(&form, json!({ "method": "code", "code": latest_code(&t, PHONE).await })).await.done();
    let identity = &phone.whoami().await["identity"]["verifiable_addresses"].clone();
    let verified: Vec<_> = identity.as_array().unwrap().iter().filter(|row| row["verified"] == true).collect();
    assert_eq!(verified.len(), 2, "those that received a code: {identity:#}");
}

#[flow_test(config = several(second()))]
async fn via_names_the_trait_that_gets_the_code(t: Trial) {
    let ada = reachable_person(&t).await;
    let flow = ada.init("login", "aal=aal2&via=work").await;
    assert_eq!((flow.state().as_str(), flow.value("identifier")), ("sent_email", json!(WORK)));
    ada.submit(&flow, json!({ "method": "code", "code": latest_code(&t, WORK).await })).await.done();
    let phone = first_step(&t, EMAIL).await;
    for missing in ["nickname", "work.deeper", "traits"] {
        let reply = phone.start("login", &format!("aal=aal2&via={missing}")).await;
        let status = if phone.client == ClientKind::Browser { 303 } else { 400 };
        reply.expect(status);
    }
}

#[flow_test(config = {
    let mut config = second();
    config["selfservice"]["methods"]["totp"] = json!({ "enabled": true });
    config["selfservice"]["methods"]["lookup_secret"] = json!({ "enabled": true });
    config
})]
async fn with_another_second_factor_nothing_is_sent_unasked(t: Trial) {
    let ada = member(&t, EMAIL).await;
    let flow = ada.init("login", "aal=aal2").await;
    ada.submit(&flow, json!({ "method": "code", "code": latest_code(&t, EMAIL).await })).await.done();
    let (key, _) = enrol(&t, &ada).await;
    let phone = first_step(&t, EMAIL).await;
    let before = codes_to(&t, EMAIL).await.len();
    let flow = phone.init("login", "aal=aal2").await;
    assert_eq!(flow.state(), "choose_method");
    assert!(flow.find("address").is_some() && flow.find("totp_code").is_some(), "{:?}", flow.names());
    assert_eq!(codes_to(&t, EMAIL).await.len(), before);
    t.clock().advance(Span::seconds(60));
    phone.submit(&flow, json!({ "method": "totp", "totp_code": code(&key, &t) })).await.done();
}

#[flow_test(config = second())]
async fn an_init_that_may_not_send_says_when_it_can(t: Trial) {
    let ada = member(&t, EMAIL).await;
    for _ in 0..5 {
        assert_eq!(ada.init("login", "aal=aal2").await.state(), "sent_email");
    }
    let flow = ada.init("login", "aal=aal2").await;
    assert_eq!(flow.state(), "choose_method");
    assert!(flow.messages().contains(&7_900_001), "{:?}", flow.messages());
    assert_eq!(codes_to(&t, EMAIL).await.len(), 5);
    t.clock().advance(Span::minutes(6));
    let form = sent(ada.submit(&flow, json!({ "method": "code", "address": EMAIL })).await);
    // Whoever reads them may have more.
    ada.submit(&form, json!({ "method": "code", "code": latest_code(&t, EMAIL).await })).await.done();
    for _ in 0..5 {
        assert_eq!(ada.init("login", "aal=aal2&refresh=true").await.state(), "sent_email");
    }
}

/// Puts other first proofs into a person's session, as a recovery makes them.
async fn opened_with(t: &Trial, email: &str, proofs: &[AuthMethod]) {
    let id = identity_id(t, email).await;
    let (sessions, _) = t.store().list_sessions(id, (keyward_store::Liveness::Live, t.now()), None, (0, 10)).await.unwrap();
    for mut session in sessions {
        session.methods = JsonList::of(proofs);
        session.aal = session_aal(proofs);
        let mut batch = keyward_store::Batch::new();
        batch.raise_session(&session, t.now());
        t.store().commit(batch).await.unwrap();
    }
}

// A mailbox never counts twice.
#[flow_test(config = several(second()))]
async fn the_mailbox_that_opened_a_session_is_not_its_second_factor(t: Trial) {
    let ada = reachable_person(&t).await;
    let recovered = |address: Option<&str>| match address {
        Some(address) => AuthMethod::mailed(Proof::CodeRecovery, Aal::Aal1, t.now(), Via::Email, address),
        None => AuthMethod::new(Proof::LinkRecovery, Aal::Aal1, t.now()),
    };
    opened_with(&t, EMAIL, &[recovered(Some(EMAIL))]).await;
    ada.try_whoami().await.expect(403);
    let flow = ada.init("login", "aal=aal2").await;
    let choices: Vec<_> = flow.group("code").iter().map(|node| node["attributes"]["value"].clone()).collect();
    assert_eq!(choices, [json!(PHONE), json!(WORK)]);
    let refused = ada.submit(&flow, json!({ "method": "code", "address": EMAIL })).await.form();
    assert_eq!(refused.messages(), [4_010_010]);
    assert!(codes_to(&t, EMAIL).await.is_empty());

    // A code that was sent while another factor had opened the session is worth as little.
    opened_with(&t, EMAIL, &[AuthMethod::password(t.now())]).await;
    let flow = ada.init("login", "aal=aal2").await;
    let form = sent(ada.submit(&flow, json!({ "method": "code", "address": EMAIL })).await);
    opened_with(&t, EMAIL, &[recovered(Some(EMAIL))]).await;
    let code = latest_code(&t, EMAIL).await;
    assert_eq!(ada.submit(&form, json!({ "method": "code", "code": code })).await.form().messages(), [4_010_010]);

    // Whoever showed a password as well has two factors.
    opened_with(&t, EMAIL, &[recovered(Some(EMAIL)), AuthMethod::password(t.now())]).await;
    assert_eq!(ada.init("login", "aal=aal2").await.group("code").len(), 3);
    // Nobody knows which mailbox it was: none of those that it may have been.
    opened_with(&t, EMAIL, &[recovered(None)]).await;
    assert!(ada.init("login", "aal=aal2").await.group("code").is_empty());
    ada.whoami().await;
}

// Whoever is told `aal2` has something to show: with a single mailbox nobody is told after a recovery by it.
#[flow_test(config = second())]
async fn nobody_is_asked_for_what_they_cannot_show(t: Trial) {
    let ada = member(&t, EMAIL).await;
    ada.try_whoami().await.expect(403);
    opened_with(&t, EMAIL, &[AuthMethod::mailed(Proof::CodeRecovery, Aal::Aal1, t.now(), Via::Email, EMAIL)]).await;
    ada.whoami().await;
    ada.init("settings", "").await;
    let flow = ada.init("login", "aal=aal2").await;
    assert_eq!((flow.state().as_str(), flow.group("code").len()), ("choose_method", 0));
}

// cases: AC-17
#[database_test(config = several(json!({ "selfservice": { "methods": { "totp": { "enabled": true } } } })))]
async fn addresses_count_as_the_configuration_says(t: Trial) {
    reachable_person(&t).await;
    let id = identity_id(&t, EMAIL).await;
    let counted = count_factors(&t.snapshot(id).await.credentials);
    assert_eq!(counted.code, 3, "one for each address");
    for (passwordless, mfa, available, told) in
        [(false, false, Aal::Aal1, 200), (true, false, Aal::Aal1, 200), (false, true, Aal::Aal2, 403)]
    {
        t.reconfigure(
            &json!({ "selfservice": { "methods": { "code": { "passwordless_enabled": passwordless, "mfa_enabled": mfa } } } }),
        );
        let case = format!("passwordless {passwordless}, second {mfa}");
        let app = t.app();
        assert_eq!(app.usable(counted).available(app.code_use()), available, "{case}");
        assert_eq!(counted.second(), 0, "they are protected by no rule of their own: {case}");
        assert_eq!(app.ways_in(&counted), if passwordless { 2 } else { 1 }, "{case}");
        let device = first_step(&t, EMAIL).await;
        device.try_whoami().await.expect(told);
        device.start("settings", "").await.expect(if told == 200 { 200 } else { 403 });
        let login = device.start("login", "aal=aal2").await.expect(200).json();
        let nodes = login["ui"]["nodes"].as_array().unwrap().iter().filter(|node| node["group"] == "code").count();
        assert_eq!(nodes, if mfa { 3 } else { 0 }, "{case}");
    }
    // Addresses that go away go on counting nowhere.
    let admin = t.admin();
    let patch = json!([{ "op": "remove", "path": "/traits/phone" }, { "op": "remove", "path": "/traits/work" }]);
    admin.call("PATCH", &format!("/admin/identities/{id}")).json(&patch).await.expect(200);
    assert_eq!(count_factors(&t.snapshot(id).await.credentials).code, 1);
}

// cases: AC-09
#[flow_test(config = {
    let mut config = passwordless();
    config["selfservice"]["methods"]["totp"] = json!({ "enabled": true });
    config["selfservice"]["methods"]["lookup_secret"] = json!({ "enabled": true });
    config["selfservice"]["flows"]["settings"] = json!({ "reauthentication": "same_aal", "privileged_session_max_age": "10m" });
    config
})]
async fn a_refresh_by_code_admits_nothing_that_needs_the_second_factor(t: Trial) {
    let ada = member(&t, EMAIL).await;
    let (key, _) = enrol(&t, &ada).await;
    t.clock().advance(Span::hours(1));
    let settings = ada.init("settings", "").await;
    let fields = json!({ "totp_unlink": true });
    let login = ada.submit(&settings, fields.clone()).await.login_first("session_refresh_required");
    assert!(login.contains("aal=aal2"), "{login}");

    let refresh = ada.init("login", "refresh=true").await;
    let form = sent(ada.submit(&refresh, json!({ "method": "code", "identifier": EMAIL })).await);
    assert_eq!(form.messages(), [1_010_025]);
    ada.submit(&form, json!({ "method": "code", "code": latest_code(&t, EMAIL).await })).await.done();
    let session = ada.whoami().await;
    assert_eq!(session["authenticator_assurance_level"], "aal2", "a refresh takes nothing away");
    assert_eq!(session["authentication_methods"][2]["method"], "code");
    ada.submit(&settings, fields.clone()).await.login_first("session_refresh_required");

    let refresh = ada.init("login", "refresh=true&aal=aal2").await;
    ada.submit(&refresh, json!({ "method": "totp", "totp_code": code(&key, &t) })).await.done();
    ada.submit(&settings, fields).await.done();
}

#[flow_test(config = several(passwordless()))]
async fn a_refresh_by_code_is_for_oneself(t: Trial) {
    let ada = reachable_person(&t).await;
    member(&t, "eve@example.org").await;
    let id = ada.whoami().await["id"].clone();
    let flow = ada.init("login", "refresh=true").await;
    assert_eq!(flow.value("identifier"), "");
    for foreign in ["eve@example.org", "nobody@example.org"] {
        let refused = ada.submit(&flow, json!({ "method": "code", "identifier": foreign })).await.form();
        assert_eq!(refused.messages(), [4_000_035], "{foreign}");
        assert!(codes_to(&t, foreign).await.is_empty());
    }
    // Without the flag a choice is nobody's submit.
    let unclaimed = ada.submit(&flow, json!({ "address": EMAIL })).await.form();
    assert_eq!(unclaimed.messages(), [4_010_002]);
    let form = sent(ada.submit(&flow, json!({ "method": "code", "identifier": WORK })).await);
    ada.submit(&form, json!({ "method": "code", "code": latest_code(&t, WORK).await })).await.done();
    let session = ada.whoami().await;
    assert_eq!(session["id"], id);
    assert_eq!(session["authentication_methods"].as_array().unwrap().len(), 2);

    t.reconfigure(&json!({ "feature_flags": { "refresh_login_choose_address": true } }));
    let flow = ada.init("login", "refresh=true").await;
    let choices: Vec<_> = flow.group("code").iter().map(|node| node["attributes"]["value"].clone()).collect();
    assert_eq!(choices, [json!(PHONE), json!(EMAIL), json!(WORK)]);
    let refused = ada.submit(&flow, json!({ "address": "eve@example.org" })).await.form();
    assert_eq!(refused.messages(), [4_000_035]);
    let form = sent(ada.submit(&flow, json!({ "address": EMAIL })).await);
    assert_eq!(form.messages(), [1_010_025]);
    ada.submit(&form, json!({ "method": "code", "code": latest_code(&t, EMAIL).await })).await.done();
    assert_eq!(ada.whoami().await["authentication_methods"].as_array().unwrap().len(), 3);
}

/// A refresh that one app began is of no use to another one, whoever reads its code.
#[flow_test(config = passwordless())]
async fn a_refresh_is_nobody_elses(t: Trial) {
    let ada = member(&t, EMAIL).await;
    let flow = ada.init("login", "refresh=true").await;
    let form = sent(ada.submit(&flow, json!({ "method": "code", "identifier": EMAIL })).await);
    let code = latest_code(&t, EMAIL).await;
    if ada.client == ClientKind::Api {
        let eve = member(&t, "eve@example.org").await;
        let refused = eve.submit(&form, json!({ "method": "code", "code": code.clone() })).await;
        match refused.said {
            Said::Form(form) => assert_eq!(form.messages(), [4_000_035]),
            other => panic!("{other:?}"),
        }
    }
    ada.submit(&form, json!({ "method": "code", "code": code })).await.done();
}

/// Codes that lost their address prove nothing.
#[flow_test(config = several(passwordless()))]
async fn a_code_to_an_address_that_was_taken_away_is_wrong(t: Trial) {
    reachable_person(&t).await;
    let id = identity_id(&t, EMAIL).await;
    let phone = t.person();
    let flow = phone.init("login", "").await;
    let form = sent(phone.submit(&flow, json!({ "method": "code", "identifier": WORK })).await);
    let patch = json!([{ "op": "remove", "path": "/traits/work" }]);
    t.admin().call("PATCH", &format!("/admin/identities/{id}")).json(&patch).await.expect(200);
    let refused = phone.submit(&form, json!({ "method": "code", "code": latest_code(&t, WORK).await })).await.form();
    assert_eq!(refused.messages(), [4_010_008]);
    phone.submit(&form, json!({ "method": "code", "resend": "code" })).await.form();
    assert_eq!(codes_to(&t, WORK).await.len(), 1);
}

// cases: AC-42
#[database_test(config = {
    let mut config = second();
    config["selfservice"]["methods"]["code"]["config"] = json!({ "max_submissions": 255 });
    config["security"] = json!({ "attempts": { "enabled": false } });
    config
})]
async fn of_a_hundred_equal_second_steps_one_counts(t: Trial) {
    member(&t, EMAIL).await;
    let device = Arc::new(first_step(&t, EMAIL).await);
    let flow = device.init("login", "aal=aal2").await;
    let fields = json!({ "method": "code", "code": latest_code(&t, EMAIL).await });
    let done = all_at_once(&device, &flow, &fields, 100).await;
    assert_eq!(done, 1);
    assert_eq!(device.whoami().await["authentication_methods"].as_array().unwrap().len(), 2, "one proof was added");
}

/// Sends the same submit so often at once; says how many were done. The others have to be told about it on the form.
pub(crate) async fn all_at_once(person: &Arc<Actor>, flow: &Flow, fields: &Value, times: usize) -> usize {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..times {
        let (person, flow, fields) = (Arc::clone(person), flow.clone(), fields.clone());
        tasks.spawn(async move { person.submit(&flow, fields).await });
    }
    let mut done = 0;
    while let Some(submitted) = tasks.join_next().await {
        let submitted = submitted.expect("a submit");
        match &submitted.said {
            Said::Done(_) => done += 1,
            Said::Form(form) => {
                let known = [4_000_001, 4_010_002, 4_010_003, 4_010_008, 4_040_003, 4_000_007];
                assert!(form.messages().iter().all(|id| known.contains(id)), "{:?}", form.messages());
            }
            Said::Problem { status: 400, error } => assert_eq!(error["id"], "session_already_available", "{error:#}"),
            other => panic!("{other:?}"),
        }
    }
    done
}

/// Nobody else's second step: the one of a first factor that was not shown.
#[flow_test(config = second())]
async fn a_second_step_needs_its_first(t: Trial) {
    member(&t, EMAIL).await;
    let phone = first_step(&t, EMAIL).await;
    let flow = phone.init("login", "aal=aal2").await;
    let code = latest_code(&t, EMAIL).await;
    if phone.client == ClientKind::Api {
        let stranger = t.person();
        stranger.submit(&flow, json!({ "method": "code", "code": code.clone() })).await.problem(401);
    }
    phone.submit(&flow, json!({ "method": "code", "code": code })).await.done();
}
