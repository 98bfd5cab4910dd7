//! What guessing leads to, and what it does not: waits that grow, networks that are slowed, switches, and how operators help.
//! Wrong attempts are made through sign-in, as a guesser would.
//! Codes of second factors are guessed in `second_factor`.

use keyward_model::Span;
use keyward_testkit::{Actor, ClientKind, PASSWORD, Reply, Submitted, Trial, Value, database_test, flow_test};
use serde_json::json;

const ADA: &str = "ada@example.org";
const WRONG: &str = "wrong horse 7 battery";

fn rules(rules: &Value) -> Value {
    json!({ "security": { "attempts": rules } })
}

async fn guess_from(guesser: &Actor, address: &str, email: &str, password: &str) -> Submitted {
    let flow = guesser.init("login", "").await;
    let fields = json!({ "method": "password", "identifier": email, "password": password });
    let reply = guesser.submit_call(&flow, fields).header("x-forwarded-for", address).await;
    guesser.understand(&flow, reply).await
}

/// Seconds to wait, when the answer says so: in its header, or on the form.
fn wait(submitted: &Submitted) -> Option<u64> {
    let Reply { status, .. } = &submitted.reply;
    if *status == 429 {
        return submitted.reply.header("retry-after").map(|seconds| seconds.parse().unwrap());
    }
    let keyward_testkit::Said::Form(form) = &submitted.said else { return None };
    let messages = form.json["ui"]["messages"].as_array()?;
    messages.iter().find(|message| message["id"] == 7_900_001)?["context"]["retry_after"].as_u64()
}

#[flow_test]
async fn an_operator_lets_somebody_in_who_was_locked_out(t: Trial) {
    let id = t.signed_up(ADA).await.id().await;
    for _ in 0..5 {
        t.person().sign_in(ADA, WRONG).await.form();
    }
    assert!(wait(&t.person().sign_in(ADA, PASSWORD).await).is_some());
    let path = format!("/admin/identities/{id}/attempts");
    let found = t.admin().call("GET", &path).await.expect(200).json();
    assert_eq!(found[0]["authenticator"], "password");
    assert_eq!((&found[0]["lane"], &found[0]["failures"]), (&json!("public"), &json!(5)));
    assert_eq!(found[0]["blocked_until"], json!(t.now() + Span::seconds(30)));

    t.admin().call("DELETE", &path).await.expect(204);
    t.person().sign_in(ADA, PASSWORD).await.done();
    assert_eq!(t.admin().call("GET", &path).await.expect(200).json(), json!([]));
    let unlocked = t.audit().await.into_iter().find(|event| event.kind == "attempts_forgotten").expect("an event");
    assert_eq!(unlocked.identity_id, Some(id));
}

// cases: AC-71, AC-14
#[flow_test]
async fn other_spellings_and_other_doors_give_no_further_attempts(t: Trial) {
    t.signed_up(ADA).await;
    for name in ["ada", "eve"] {
        let spellings = [
            format!("{name}@example.org"),
            format!("{}@EXAMPLE.org", name.to_uppercase()),
            format!("  {name}@example.org "),
            format!("{name}@example.org\u{200b}"),
            format!("{name}@ex\u{ff41}mple.org"),
        ];
        for spelling in &spellings {
            let submitted = t.person().sign_in(spelling, WRONG).await;
            assert_eq!(wait(&submitted), None, "{spelling:?}");
        }
        for spelling in &spellings {
            assert!(wait(&t.person().sign_in(spelling, PASSWORD).await).is_some(), "{spelling:?}");
            // Not by another kind of client either.
            for client in [ClientKind::Api, ClientKind::Browser, ClientKind::Spa] {
                assert!(wait(&t.person_as(client).sign_in(spelling, PASSWORD).await).is_some(), "{spelling:?}, {client:?}");
            }
        }
    }
}

#[database_test]
async fn only_who_exists_is_unlocked(t: Trial) {
    for method in ["GET", "DELETE"] {
        let unknown = "/admin/identities/7b4b8b7e-2f3e-4b1c-9d55-0c0d5f3a2b10/attempts";
        t.admin().call(method, unknown).await.expect(404);
        t.admin().call(method, "/admin/identities/rubbish/attempts").await.expect(400);
    }
}

#[flow_test(config = rules(&json!({ "free": 2, "first_wait": "10s", "longest_wait": "25s", "hard_stop": 6 })))]
async fn waits_double_up_to_the_longest_and_end_at_the_hard_stop(t: Trial) {
    t.signed_up(ADA).await;
    for email in [ADA, "nobody@example.org"] {
        let mut waits = Vec::new();
        for _ in 0..6 {
            t.person().sign_in(email, WRONG).await.form();
            let waiting = wait(&t.person().sign_in(email, WRONG).await);
            waits.push(waiting.unwrap_or(0));
            t.clock().advance(Span::seconds(waiting.map_or(0, |seconds| i64::try_from(seconds).unwrap())));
            if waiting.is_none() {
                break;
            }
        }
        // The second attempt of the first round is free, so it is judged and counts.
        assert_eq!(waits, [0], "{email}");
        let mut waits = Vec::new();
        for _ in 0..4 {
            let waiting = wait(&t.person().sign_in(email, WRONG).await).expect("a wait");
            waits.push(waiting);
            t.clock().advance(Span::seconds(i64::try_from(waiting).unwrap()));
            t.person().sign_in(email, WRONG).await.form();
        }
        assert_eq!(waits, [11, 21, 26, 26], "{email}");
        // Six in a row: not even the right password helps, however long one waits.
        t.clock().advance(Span::hours(24));
        assert_eq!(wait(&t.person().sign_in(email, PASSWORD).await), Some(26), "{email}");
    }
}

/// Whoever only knows the password gets five guesses of the code, however many browsers they come with.
#[flow_test(browser, spa, config = crate::second_factor::enabled())]
async fn signing_in_again_buys_no_guesses_of_the_second_step(t: Trial) {
    let ada = t.signed_up(ADA).await;
    crate::second_factor::enrol(&t, &ada).await;
    let mut judged = 0;
    for _ in 0..4 {
        let thief = t.person();
        thief.sign_in(ADA, PASSWORD).await;
        assert_eq!(thief.cookie("keyward_device"), None, "the second step is due");
        for _ in 0..3 {
            let flow = thief.init("login", "aal=aal2").await;
            let guess = thief.submit(&flow, json!({ "method": "totp", "totp_code": "000000" })).await;
            judged += usize::from(wait(&guess).is_none());
        }
    }
    assert_eq!(judged, 5);
    assert!(ada.cookie("keyward_device").is_some());
}

#[flow_test(browser, spa)]
async fn the_device_cookie_is_for_the_server_alone(t: Trial) {
    t.signed_up(ADA).await;
    let cookie = t.person().sign_in(ADA, PASSWORD).await.reply.set_cookie("keyward_device").expect("a device cookie");
    assert!(cookie.http_only);
    assert_eq!((cookie.path.as_deref(), cookie.same_site.as_deref()), (Some("/"), Some("Lax")));
    assert_eq!((cookie.max_age, cookie.domain), (Some(365 * 24 * 3_600), None));
}

#[flow_test(config = rules(&json!({ "enabled": false })))]
async fn switched_off_nothing_is_counted(t: Trial) {
    t.signed_up(ADA).await;
    for _ in 0..12 {
        t.person().sign_in(ADA, WRONG).await.form();
    }
    t.person().sign_in(ADA, PASSWORD).await.done();
}

#[flow_test(config = rules(&json!({ "network_burst": 3 })))]
async fn a_network_that_tries_many_accounts_is_slowed(t: Trial) {
    t.signed_up(ADA).await;
    let guesser = t.person();
    for number in 0..3 {
        guess_from(&guesser, "198.51.100.7", &format!("person-{number}@example.org"), WRONG).await.form();
    }
    let refused = guess_from(&guesser, "198.51.100.7", ADA, PASSWORD).await;
    assert_eq!(wait(&refused), Some(2), "{:?}", refused.reply);
    guess_from(&t.person(), "203.0.113.8", ADA, PASSWORD).await.done();
    t.clock().advance(Span::seconds(1));
    guess_from(&t.person(), "198.51.100.7", ADA, PASSWORD).await.done();
    // What was right costs nothing, so there is one attempt left again.
    guess_from(&t.person(), "198.51.100.7", ADA, PASSWORD).await.done();
}
