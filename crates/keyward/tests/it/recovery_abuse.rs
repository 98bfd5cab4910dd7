//! What others try with somebody's recovery: the mailbox in place of the second factor, the same code often, other spellings, other
//! hosts, late.
//! Each test names the acceptance cases that it proves.
//! The way through a recovery that succeeds is left to `recovery`.

use std::sync::Arc;

use keyward_model::Span;
use keyward_testkit::{ClientKind, Flow, Trial, database_test, flow_test, merge, parameter};
use serde_json::{Value, json};

use crate::mail::{latest_code, mails_to, other_than};
use crate::recovery::{ask, enabled, recover, settings_after, whose};
use crate::second_factor::{self, EMAIL, enrol, first_step};

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
