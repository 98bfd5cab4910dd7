//! Requests that really run at the same time: whatever the order, the end is one that some order would have had.
//! Rounds are bounded; each asserts invariants of the stored data and that every confirmed change is in it.
//! A refusal under contention is fine here, a wrong answer or a lost change is not.

use std::sync::Arc;

use keyward_store::{Liveness, PageStart};
use keyward_testkit::{Actor, ClientKind, Flow, PASSWORD, Said, Submitted, Trial, Value, database_test};
use serde_json::json;

const ADA: &str = "ada@example.org";
const ROUNDS: usize = 6;

/// Sends one submit from each of these at once and waits for all.
async fn submit_all(people: Vec<(Arc<Actor>, Flow, Value)>) -> Vec<Submitted> {
    let tasks: Vec<_> = people
        .into_iter()
        .map(|(person, flow, fields)| tokio::spawn(async move { person.submit(&flow, fields).await }))
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await.expect("a submit"));
    }
    for submitted in &all {
        if let Said::Problem { status, error } = &submitted.said {
            assert!(*status < 500 || *status == 503, "contention is no error of the server: {error:#}");
        }
    }
    all
}

async fn live_sessions(t: &Trial) -> usize {
    t.store().list_all_sessions((Liveness::Live, t.now()), None, 1_000).await.unwrap().len()
}

/// Password × traits × traits × a revocation, on one identity. The version counts the changes that happened, so a change that
/// was confirmed and lost, or refused and done, shows.
// cases: AC-60
#[database_test]
async fn parallel_changes_end_in_some_serial_order(t: Trial) {
    let laptop = Arc::new(t.signed_up(ADA).await);
    let id = laptop.id().await;
    let (phone, tablet) = (Arc::new(t.signed_in(ADA).await), Arc::new(t.signed_in(ADA).await));
    let mut password = PASSWORD.to_owned();
    let mut confirmed = 0;
    for round in 0..ROUNDS {
        let lost = t.person();
        lost.sign_in(ADA, &password).await.done();
        let lost_id = lost.whoami().await["id"].as_str().unwrap().to_owned();
        let before = t.snapshot(id).await;

        let next = format!("staple {round} correct elephant");
        let (first, second) = (
            json!({ "email": ADA, "nickname": format!("nick {round}"), "name": {} }),
            json!({ "email": ADA, "age": 18 + round, "name": { "first": "Ada" } }),
        );
        let changes = vec![
            (Arc::clone(&laptop), laptop.init("settings", "").await, json!({ "method": "password", "password": next })),
            (Arc::clone(&phone), phone.init("settings", "").await, json!({ "method": "profile", "traits": first })),
            (Arc::clone(&tablet), tablet.init("settings", "").await, json!({ "method": "profile", "traits": second })),
        ];
        let revocation = {
            let laptop = Arc::clone(&laptop);
            let path = format!("/sessions/{lost_id}");
            tokio::spawn(async move { laptop.call("DELETE", &path).await })
        };
        let said = submit_all(changes).await;
        revocation.await.expect("a revocation").expect(204);

        lost.try_whoami().await.expect(401);
        let done: Vec<bool> = said.iter().map(Submitted::is_done).collect();
        let after = t.snapshot(id).await;
        let happened = done.iter().filter(|done| **done).count();
        assert_eq!(after.version - before.version, i64::try_from(happened).unwrap(), "{done:?}");
        confirmed += happened;
        let expected: Vec<&Value> = match (done[1], done[2]) {
            (true, true) => vec![&first, &second],
            (true, false) => vec![&first],
            (false, true) => vec![&second],
            (false, false) => vec![&before.identity.traits],
        };
        assert!(expected.contains(&&after.identity.traits), "{:#} is none of {expected:#?}", after.identity.traits);
        assert_eq!(laptop.whoami().await["identity"]["traits"], after.identity.traits, "what is shown is what is stored");

        if done[0] {
            let old = std::mem::replace(&mut password, next);
            assert_eq!(t.person().sign_in(ADA, &old).await.form().messages(), [4_000_006]);
        }
        t.person().sign_in(ADA, &password).await.done();
    }
    // Three attempts each: the most a change can meet here are two faster ones.
    assert_eq!(confirmed, 3 * ROUNDS, "a change was refused although trying again would have helped");
}

// cases: AC-61, AC-63
#[database_test]
async fn a_revoked_session_never_comes_back(t: Trial) {
    let laptop = Arc::new(t.signed_up(ADA).await);
    for round in 0..2 * ROUNDS {
        let phone = Arc::new(t.signed_in(ADA).await);
        let old = phone.token().unwrap();
        let session = phone.whoami().await["id"].clone();
        let flow = phone.init("login", "refresh=true").await;
        let refresh = {
            let phone = Arc::clone(&phone);
            let fields = json!({ "method": "password", "identifier": ADA, "password": PASSWORD });
            tokio::spawn(async move { phone.submit(&flow, fields).await })
        };
        let revocation = {
            let laptop = Arc::clone(&laptop);
            tokio::spawn(async move { laptop.call("DELETE", "/sessions").await })
        };
        let (refresh, revocation) = (refresh.await.expect("a refresh"), revocation.await.expect("a revocation"));
        revocation.expect(200);
        if let Said::Problem { status, error } = &refresh.said {
            assert!(*status < 500, "round {round}: {error:#}");
        }
        phone.set_token(Some(&old));
        phone.try_whoami().await.expect(401);
        let live = t.store().list_all_sessions((Liveness::Live, t.now()), None, 1_000).await.unwrap();
        let revived = live.iter().any(|listed| session == listed.session.id.to_string());
        assert!(!revived, "round {round}: the refresh brought the session back");
        // Whoever proved the password after the revocation is signed in anew, not again.
        laptop.call("DELETE", "/sessions").await.expect(200);
    }
    assert_eq!(live_sessions(&t).await, 1);
}

// No case of its own in the list.
#[database_test]
async fn one_registration_flow_makes_one_account(t: Trial) {
    let first = t.person();
    let flow = first.init("registration", "").await;
    let people: Vec<_> = (0..20)
        .map(|number| {
            let traits = json!({ "email": format!("ada{number}@example.org") });
            let fields = json!({ "method": "password", "password": PASSWORD, "traits": traits });
            (Arc::new(t.person()), flow.clone(), fields)
        })
        .collect();
    let said = submit_all(people).await;
    assert_eq!(said.iter().filter(|submitted| submitted.is_done()).count(), 1, "{said:#?}");
    assert_eq!(t.store().list_identities(PageStart::Offset(0), 100).await.unwrap().len(), 1);
    assert_eq!(live_sessions(&t).await, 1);
}

// No case of its own in the list.
#[database_test]
async fn one_address_belongs_to_one_account(t: Trial) {
    let mut people = Vec::new();
    for _ in 0..10 {
        let person = Arc::new(t.person());
        let flow = person.init("registration", "").await;
        let fields = json!({ "method": "password", "password": PASSWORD, "traits": { "email": "Ada@Example.org" } });
        people.push((person, flow, fields));
    }
    let said = submit_all(people).await;
    assert_eq!(said.iter().filter(|submitted| submitted.is_done()).count(), 1);
    for submitted in said {
        match submitted.said {
            Said::Done(_) | Said::Problem { status: 503, .. } => {}
            Said::Form(form) => assert_eq!(form.messages(), [4_000_007]),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(t.store().list_identities(PageStart::Offset(0), 100).await.unwrap().len(), 1);
}

// No case of its own in the list.
#[database_test]
async fn one_login_flow_makes_one_session(t: Trial) {
    t.admin().create_person(ADA).await;
    let first = t.person();
    let flow = first.init("login", "").await;
    let fields = json!({ "method": "password", "identifier": ADA, "password": PASSWORD });
    let people = (0..20).map(|_| (Arc::new(t.person()), flow.clone(), fields.clone())).collect();
    let said = submit_all(people).await;
    assert_eq!(said.iter().filter(|submitted| submitted.is_done()).count(), 1, "{said:#?}");
    assert_eq!(live_sessions(&t).await, 1);
}

/// Ten tabs come back from the login at once.
// cases: AC-33
#[database_test]
async fn a_paused_change_happens_once(t: Trial) {
    let ada = t.person_as(ClientKind::Browser);
    ada.sign_up(ADA, PASSWORD).await;
    let id = ada.id().await;
    t.clock().advance(keyward_model::Span::hours(2));
    let flow = ada.init("settings", "").await;
    let fields = json!({ "method": "password", "password": "staple 9 correct elephant" });
    let login = ada.submit(&flow, fields).await.login_first("session_refresh_required");
    let back = ada.sign_in_again(&login, PASSWORD).await.location.unwrap();

    let before = t.snapshot(id).await.version;
    let ada = Arc::new(ada);
    let tabs: Vec<_> = (0..10)
        .map(|_| {
            let (ada, back) = (Arc::clone(&ada), back.clone());
            tokio::spawn(async move { ada.navigate(&back).await })
        })
        .collect();
    for tab in tabs {
        if let Said::Problem { status, error } = tab.await.expect("a tab").said {
            assert!(status < 500, "{error:#}");
        }
    }
    assert_eq!(t.snapshot(id).await.version, before + 1);
    let changed = t.audit().await.into_iter().filter(|event| event.kind == "settings_succeeded").count();
    assert_eq!(changed, 1);
    t.person().sign_in(ADA, "staple 9 correct elephant").await.done();
}
