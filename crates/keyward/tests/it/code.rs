//! Mailed codes at sign-in: as the only factor, as the second one, and as a confirmation.
//! What both have in common, and what outsiders may try, stands here as well; sign-up is in [`crate::code_registration`].
//! Codes are read out of the outbox, as the person reads them out of their mail.

use std::sync::Arc;

use keyward_model::{CredentialType, FlowId, IdentityId, Span, Via};
use keyward_services::codes::{self, Order, Purpose};
use keyward_store::{Batch, Liveness};
use keyward_testkit::{Actor, ClientKind, Flow, Said, Submitted, Trial, database_test, flow_test, schema_url};
use serde_json::{Value, json};

use crate::code_second::all_at_once;
use crate::mail::{code_in, latest_code, mails_to, other_than};
use crate::second_factor::EMAIL;

pub(crate) fn passwordless() -> Value {
    json!({ "selfservice": {
        "methods": { "code": { "passwordless_enabled": true } },
        "flows": { "registration": { "after": { "code": { "hooks": [{ "hook": "session" }] } } } },
    } })
}

pub(crate) fn second() -> Value {
    json!({ "selfservice": { "methods": { "code": { "mfa_enabled": true } } } })
}

/// The codes that were sent to an address.
pub(crate) async fn codes_to(t: &Trial, address: &str) -> Vec<String> {
    mails_to(t, address).await.iter().map(code_in).collect()
}

pub(crate) async fn identity_id(t: &Trial, email: &str) -> IdentityId {
    let found = t.store().find_identity_by_identifier(CredentialType::Password, email).await.unwrap();
    found.expect("an account").identity.id
}

/// A code was sent: programs get the flow with 400, browsers go back to their page with 303.
#[track_caller]
pub(crate) fn sent(submitted: Submitted) -> Flow {
    // Which one it is for whom stands in the golden table of answers.
    assert!(matches!(submitted.reply.status, 303 | 400), "{:?}", submitted.reply);
    let form = submitted.form();
    assert_eq!(form.state(), "sent_email", "{:?}", form.all_messages());
    form
}

/// Opens a login and has a code sent.
async fn asked(person: &Actor, identifier: &str) -> Flow {
    let flow = person.init("login", "").await;
    sent(person.submit(&flow, json!({ "method": "code", "identifier": identifier })).await)
}

async fn enter(person: &Actor, flow: &Flow, code: &str) -> Submitted {
    person.submit(flow, json!({ "method": "code", "code": code })).await
}

// cases: L-37
#[flow_test(config = passwordless())]
async fn a_mailed_code_signs_in_and_verifies_the_address(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    assert_eq!(ada.whoami().await["identity"]["verifiable_addresses"][0]["verified"], false);
    let phone = t.person();
    let flow = phone.init("login", "").await;
    let choose: Vec<_> = flow.nodes().iter().filter(|node| node["group"] == "code").collect();
    assert_eq!(choose.len(), 1, "{:?}", flow.names());
    assert_eq!(choose[0]["attributes"]["value"], "code");
    assert_eq!(choose[0]["meta"]["label"]["id"], 1_010_015);

    // Spelled as people type it.
    let form = sent(phone.submit(&flow, json!({ "method": "code", "identifier": " ADA@example.ORG " })).await);
    assert_eq!(form.messages(), [1_010_014]);
    assert_eq!(form.json["active"], "code");
    let names = form.names();
    assert_eq!(names, ["csrf_token", "identifier", "code", "resend", "method", "method"], "nothing else is shown");
    assert_eq!(form.value("identifier"), EMAIL);
    assert_eq!(form.node("identifier")["attributes"]["type"], "hidden");
    let code = form.node("code");
    assert_eq!(code["attributes"]["autocomplete"], "one-time-code");
    assert_eq!(code["attributes"]["required"], true);
    assert_eq!(code["meta"]["label"]["id"], 1_070_013);
    assert_eq!(form.node("resend")["meta"]["label"]["id"], 1_070_008);
    let methods: Vec<_> = form.nodes().iter().filter(|node| node["attributes"]["name"] == "method").collect();
    let kinds: Vec<_> = methods.iter().map(|node| node["attributes"]["type"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"hidden") && kinds.contains(&"submit"), "{kinds:?}");

    // As mail programs show it.
    let code = latest_code(&t, EMAIL).await;
    enter(&phone, &form, &format!(" {}-{} ", &code[..3], &code[3..])).await.done();
    let session = phone.whoami().await;
    assert_eq!(session["authenticator_assurance_level"], "aal1");
    let proofs = session["authentication_methods"].as_array().unwrap();
    assert_eq!(proofs.len(), 1);
    assert_eq!((&proofs[0]["method"], &proofs[0]["aal"]), (&json!("code"), &json!("aal1")));
    assert_eq!(proofs[0].as_object().unwrap().len(), 3, "which mailbox it was is kept, but not shown: {proofs:?}");
    let address = &session["identity"]["verifiable_addresses"][0];
    assert_eq!((&address["verified"], &address["status"]), (&json!(true), &json!("completed")));
    assert!(address["verified_at"].is_string());

    let again = enter(&phone, &form, &code).await;
    match again.said {
        Said::Form(form) => assert_eq!(form.messages(), [4_000_001], "somebody is signed in"),
        Said::Done(done) => assert_eq!(phone.client, ClientKind::Browser, "{done:?}"),
        other => panic!("{other:?}"),
    }
}

#[flow_test(config = passwordless())]
async fn the_answer_shows_the_address_as_verified_and_a_used_flow_is_over(t: Trial) {
    t.signed_up(EMAIL).await;
    let phone = t.person();
    let form = asked(&phone, EMAIL).await;
    let code = latest_code(&t, EMAIL).await;
    let done = enter(&phone, &form, &code).await.done();
    if phone.client != ClientKind::Browser {
        assert_eq!(done.body["session"]["identity"]["verifiable_addresses"][0]["verified"], true);
    }
    // Without the session, the same flow: it passed its challenge.
    let other = t.person_as(ClientKind::Api);
    if phone.client == ClientKind::Api {
        assert_eq!(enter(&other, &form, &code).await.form().messages(), [4_010_002]);
    }
}

// cases: L-38
#[flow_test(config = passwordless())]
async fn wrong_codes_are_refused_and_counted_by_the_flow(t: Trial) {
    t.reconfigure(&json!({ "security": { "attempts": { "enabled": false } } }));
    t.signed_up(EMAIL).await;
    let phone = t.person();
    let form = asked(&phone, EMAIL).await;
    let code = latest_code(&t, EMAIL).await;
    let empty = phone.submit(&form, json!({ "method": "code", "code": "" })).await.form();
    assert_eq!(empty.messages_at("code"), [4_000_002]);
    for typed in [other_than(&code).as_str(), "1", "1234567", "\u{661}\u{662}\u{663}\u{664}\u{665}\u{666}", "abcdef"] {
        let refused = enter(&phone, &form, typed).await.form();
        assert_eq!((refused.messages(), refused.state().as_str()), (vec![4_010_008], "sent_email"), "{typed:?}");
        assert_eq!(refused.value("identifier"), EMAIL);
        assert_eq!(refused.value("code"), Value::Null, "what was typed is not shown again");
    }
    assert_eq!(enter(&phone, &form, &code).await.form().messages(), [4_000_001], "the sixth is one too many, right or not");
    phone.try_whoami().await.expect(401);

    // A new flow is a new chance, and a new code ends the one before.
    let form = asked(&phone, EMAIL).await;
    let first = latest_code(&t, EMAIL).await;
    let resent = sent(phone.submit(&form, json!({ "method": "code", "resend": "code", "identifier": EMAIL })).await);
    let second = latest_code(&t, EMAIL).await;
    assert_ne!(first, second);
    assert_eq!(resent.messages(), [1_010_014]);
    assert_eq!(enter(&phone, &resent, &first).await.form().messages(), [4_010_008]);
    enter(&phone, &resent, &second).await.done();
}

#[flow_test(config = passwordless())]
async fn a_code_ends_with_its_time(t: Trial) {
    t.reconfigure(&json!({ "selfservice": { "methods": { "code": { "config": { "lifespan": "10m" } } } } }));
    t.signed_up(EMAIL).await;
    let phone = t.person();
    let form = asked(&phone, EMAIL).await;
    t.clock().advance(Span::minutes(10));
    assert_eq!(enter(&phone, &form, &latest_code(&t, EMAIL).await).await.form().messages(), [4_010_008]);
}

// cases: L-39
#[flow_test(config = passwordless())]
async fn an_unknown_account_is_told_of_unless_that_is_switched_off(t: Trial) {
    t.signed_up(EMAIL).await;
    let phone = t.person();
    let flow = phone.init("login", "").await;
    let refused = phone.submit(&flow, json!({ "method": "code", "identifier": "bob@example.org" })).await.form();
    assert_eq!((refused.messages(), refused.state().as_str()), (vec![4_000_035], "choose_method"));
    assert_eq!(refused.value("identifier"), "bob@example.org");
    let missing = phone.submit(&flow, json!({ "method": "code" })).await.form();
    assert_eq!(missing.messages_at("identifier"), [4_000_002]);

    t.reconfigure(&json!({ "security": { "account_enumeration": { "mitigate": true } } }));
    let mut seen = Vec::new();
    for address in ["bob@example.org", EMAIL] {
        let flow = phone.init("login", "").await;
        let form = sent(phone.submit(&flow, json!({ "method": "code", "identifier": address })).await);
        let wrong = enter(&phone, &form, "000000").await.form();
        let resent = sent(phone.submit(&form, json!({ "method": "code", "resend": "code" })).await);
        let told: Vec<_> = [&form, &wrong, &resent].map(|flow| without_ids(flow, address)).into();
        seen.push(told);
    }
    assert_eq!(seen[0], seen[1], "an account that there is not looks like one");
    assert_eq!(codes_to(&t, "bob@example.org").await, Vec::<String>::new());
    assert_eq!(codes_to(&t, EMAIL).await.len(), 2);
}

fn without_ids(flow: &Flow, address: &str) -> String {
    let mut json = flow.json.clone();
    for key in ["issued_at", "created_at", "updated_at", "expires_at"] {
        json[key] = Value::Null;
    }
    let text = json.to_string().replace(address, "<typed>").replace(&flow.id(), "<flow>");
    flow.csrf_token().filter(|token| !token.is_empty()).map_or(text.clone(), |token| text.replace(&token, "<token>"))
}

// cases: AC-46
#[flow_test(config = passwordless())]
async fn a_code_counts_for_its_flow_and_purpose_only(t: Trial) {
    t.reconfigure(&json!({ "security": { "attempts": { "enabled": false } } }));
    t.signed_up(EMAIL).await;
    let phone = t.person();
    let first = asked(&phone, EMAIL).await;
    let first_code = latest_code(&t, EMAIL).await;
    let second = asked(&phone, EMAIL).await;
    let second_code = latest_code(&t, EMAIL).await;
    assert_eq!(enter(&phone, &first, &second_code).await.form().messages(), [4_010_008]);
    assert_eq!(enter(&phone, &second, &first_code).await.form().messages(), [4_010_008]);
    // Made for something else, for this very flow.
    let flow_id = FlowId::parse(&second.id()).unwrap();
    let id = identity_id(&t, EMAIL).await;
    for purpose in [Purpose::Verification, Purpose::Recovery, Purpose::Registration] {
        let app = t.app();
        let order = Order {
            purpose,
            flow: flow_id,
            identity: Some(id),
            address: Some((Via::Email, EMAIL)),
            expires_at: t.now() + Span::hours(1),
        };
        let mut batch = Batch::new();
        let code = codes::issue(&app, &order, t.now(), &mut batch);
        t.store().commit(batch).await.unwrap();
        assert_eq!(enter(&phone, &second, code.reveal()).await.form().messages(), [4_010_008], "{purpose:?}");
    }
    enter(&phone, &first, &first_code).await.done();
}

// cases: AC-12
#[flow_test(config = passwordless())]
async fn guesses_are_counted_by_account_and_by_name_alike(t: Trial) {
    t.reconfigure(&json!({ "security": { "account_enumeration": { "mitigate": true } } }));
    t.signed_up(EMAIL).await;
    for address in [EMAIL, "bob@example.org"] {
        let guesser = t.person();
        let mut told = Vec::new();
        // More guesses than one flow takes, so in two flows.
        for _ in 0..2 {
            let form = asked(&guesser, address).await;
            for _ in 0..3 {
                let submitted = enter(&guesser, &form, "000000").await;
                told.push(match (submitted.said, submitted.reply.status) {
                    (Said::Form(form), _) => form.messages()[0],
                    (Said::Problem { status: 429, error }, _) => {
                        assert_eq!(error["id"], "too_many_attempts");
                        7_900_001
                    }
                    other => panic!("{other:?}"),
                });
            }
        }
        assert_eq!(told, [4_010_008, 4_010_008, 4_010_008, 4_010_008, 4_010_008, 7_900_001], "{address}");
    }
    // Whoever waits is let in with the right code, and what was counted is forgotten.
    t.clock().advance(Span::minutes(10));
    let phone = t.person();
    let form = asked(&phone, EMAIL).await;
    enter(&phone, &form, &latest_code(&t, EMAIL).await).await.done();
    let id = identity_id(&t, EMAIL).await;
    let record = t.admin().call("GET", &format!("/admin/identities/{id}/attempts")).await.expect(200).json();
    assert!(!record.to_string().contains("code"), "{record}");
}

#[flow_test(config = passwordless())]
async fn nobody_fills_a_mailbox(t: Trial) {
    t.signed_up(EMAIL).await;
    let phone = t.person();
    for _ in 0..5 {
        asked(&phone, EMAIL).await;
    }
    let flow = phone.init("login", "").await;
    let submitted = phone.submit(&flow, json!({ "method": "code", "identifier": EMAIL })).await;
    match submitted.said {
        Said::Problem { status: 429, error } => assert_eq!(error["id"], "too_many_attempts"),
        Said::Form(form) => assert_eq!((form.messages(), phone.client), (vec![7_900_001], ClientKind::Browser)),
        other => panic!("{other:?}"),
    }
    assert_eq!(codes_to(&t, EMAIL).await.len(), 5);
    // Its owner, who reads them, is not kept out.
    t.clock().advance(Span::minutes(6));
    let form = asked(&phone, EMAIL).await;
    enter(&phone, &form, &latest_code(&t, EMAIL).await).await.done();
    let tablet = t.person();
    for _ in 0..5 {
        asked(&tablet, EMAIL).await;
    }
}

// cases: AC-42
#[database_test(config = {
    let mut config = passwordless();
    config["selfservice"]["methods"]["code"]["config"] = json!({ "max_submissions": 255 });
    config["security"] = json!({ "attempts": { "enabled": false } });
    config
})]
async fn of_a_hundred_equal_sign_ins_one_counts(t: Trial) {
    t.signed_up(EMAIL).await;
    let id = identity_id(&t, EMAIL).await;
    let live = |t: &Trial| {
        let t = t.clone();
        async move { t.store().list_sessions(id, (Liveness::Live, t.now()), None, (0, 1)).await.unwrap().1 }
    };
    let before = live(&t).await;
    let phone = Arc::new(t.person());
    let form = asked(&phone, EMAIL).await;
    let fields = json!({ "method": "code", "code": latest_code(&t, EMAIL).await });
    assert_eq!(all_at_once(&phone, &form, &fields, 100).await, 1);
    assert_eq!(live(&t).await, before + 1);
}

/// Asking several times at the same moment leaves one code that counts.
#[database_test(config = passwordless())]
async fn of_several_requests_one_code_counts(t: Trial) {
    t.signed_up(EMAIL).await;
    let phone = Arc::new(t.person());
    let flow = phone.init("login", "").await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (phone, flow) = (Arc::clone(&phone), flow.clone());
        tasks.spawn(async move { phone.submit(&flow, json!({ "method": "code", "identifier": EMAIL })).await });
    }
    while let Some(submitted) = tasks.join_next().await {
        let form = submitted.unwrap().form();
        // Who comes after the first one is asked for its code.
        let told: Vec<_> = form.all_messages().into_iter().map(|(_, id)| id).collect();
        assert!([1_010_014, 4_010_002, 4_000_002].iter().any(|id| told == [*id]), "{told:?}");
    }
    let codes = codes_to(&t, EMAIL).await;
    let mut right = 0;
    for code in &codes {
        right += usize::from(enter(&phone, &flow, code).await.is_done());
    }
    assert_eq!(right, 1, "{} were sent", codes.len());
}

#[flow_test(config = passwordless())]
async fn whoever_never_had_a_code_may_use_a_verifiable_address_where_that_is_switched_on(t: Trial) {
    // The schema learns about codes after the account was made.
    let person = |code: bool| {
        let mut schema = crate::code_second::reachable();
        if !code {
            for name in ["email", "work", "phone"] {
                let uses = &mut schema["properties"]["traits"]["properties"][name]["ory.sh/kratos"]["credentials"];
                uses.as_object_mut().unwrap().remove("code");
            }
        }
        json!({ "identity": { "schemas": [{ "id": "person", "url": schema_url(&schema) }] } })
    };
    t.reconfigure(&person(false));
    t.signed_up(EMAIL).await;
    let id = identity_id(&t, EMAIL).await;
    t.reconfigure(&person(true));
    assert!(t.snapshot(id).await.credential(CredentialType::Code).is_none());
    let phone = t.person();
    let flow = phone.init("login", "").await;
    let refused = phone.submit(&flow, json!({ "method": "code", "identifier": EMAIL })).await.form();
    assert_eq!(refused.messages(), [4_000_035]);
    let fallback = json!({ "missing_credential_fallback_enabled": true });
    t.reconfigure(&json!({ "selfservice": { "methods": { "code": { "config": fallback } } } }));
    let form = sent(phone.submit(&flow, json!({ "method": "code", "identifier": EMAIL })).await);
    enter(&phone, &form, &latest_code(&t, EMAIL).await).await.done();
    let row = t.snapshot(id).await.credential(CredentialType::Code).cloned().expect("the credential is made");
    assert_eq!(row.identifiers, [EMAIL]);
    assert_eq!(row.config, json!({ "addresses": [{ "address": EMAIL, "channel": "email" }] }));
}

#[flow_test(config = passwordless())]
async fn an_account_that_is_switched_off_stays_out(t: Trial) {
    t.signed_up(EMAIL).await;
    let id = identity_id(&t, EMAIL).await;
    let patch = json!([{ "op": "replace", "path": "/state", "value": "inactive" }]);
    t.admin().call("PATCH", &format!("/admin/identities/{id}")).json(&patch).await.expect(200);
    let phone = t.person();
    let form = asked(&phone, EMAIL).await;
    let refused = enter(&phone, &form, &latest_code(&t, EMAIL).await).await.form();
    assert_eq!(refused.messages(), [4_010_011]);
    phone.try_whoami().await.expect(401);
}

// cases: AC-73
#[flow_test(config = passwordless())]
async fn lists_objects_and_the_like_are_no_names_and_no_codes(t: Trial) {
    t.signed_up(EMAIL).await;
    let phone = t.person();
    if phone.client == ClientKind::Browser {
        return;
    }
    for value in [json!([EMAIL]), json!({ "a": EMAIL }), json!(7), json!(true)] {
        let flow = phone.init("login", "").await;
        let refused = phone.submit(&flow, json!({ "method": "code", "identifier": value })).await.form();
        assert_eq!(refused.state(), "choose_method", "{value}");
        assert!(!refused.messages_at("identifier").is_empty(), "{value}: {:?}", refused.all_messages());
    }
    let form = asked(&phone, EMAIL).await;
    let code = latest_code(&t, EMAIL).await;
    for value in [json!([code]), json!({ "a": code }), json!(true)] {
        assert!(!phone.submit(&form, json!({ "method": "code", "code": value })).await.is_done(), "{value}");
    }
    assert!(codes_to(&t, EMAIL).await.len() == 1);
}

/// With both switches off the method is not there; switched off meanwhile, its flows show everything else again.
#[flow_test(config = passwordless())]
async fn a_method_that_is_switched_off_answers_nothing(t: Trial) {
    t.signed_up(EMAIL).await;
    let phone = t.person();
    let form = asked(&phone, EMAIL).await;
    t.reconfigure(&json!({ "selfservice": { "methods": { "code": { "passwordless_enabled": false } } } }));
    let code = latest_code(&t, EMAIL).await;
    phone.submit(&form, json!({ "method": "code", "code": code.clone() })).await.problem(404);
    assert!(phone.refetch(&form).await.find("password").is_some());
    t.reconfigure(&json!({ "selfservice": { "methods": { "code": { "passwordless_enabled": true } } } }));
    enter(&phone, &form, &code).await.done();
}

#[flow_test(config = passwordless())]
async fn operators_see_and_keep_code_credentials(t: Trial) {
    t.signed_up(EMAIL).await;
    let id = identity_id(&t, EMAIL).await;
    let admin = t.admin();
    let shown = admin.call("GET", &format!("/admin/identities/{id}?include_credential=code")).await.expect(200).json();
    let row = &shown["credentials"]["code"];
    assert_eq!((&row["identifiers"], &row["version"]), (&json!([EMAIL]), &json!(1)), "{row:#}");
    assert_eq!(row["config"], json!({ "addresses": [{ "address": EMAIL, "channel": "email" }] }));
    let list = admin.call("GET", &format!("/admin/identities?credentials_identifier={EMAIL}&include_credential=code")).await;
    assert_eq!(list.expect(200).json()[0]["credentials"]["code"]["config"], row["config"]);
    // Traits say where codes go: the credential comes and goes with them.
    admin.call("DELETE", &format!("/admin/identities/{id}/credentials/code")).await.expect(400);

    let imported = json!({ "schema_id": "person", "traits": { "email": "bob@example.org" } });
    admin.call("POST", "/admin/identities").json(&imported).await.expect(201);
    let phone = t.person();
    let form = asked(&phone, "bob@example.org").await;
    enter(&phone, &form, &latest_code(&t, "bob@example.org").await).await.done();
    assert_eq!(phone.whoami().await["identity"]["traits"]["email"], "bob@example.org");
}
