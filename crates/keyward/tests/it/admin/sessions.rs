//! Sessions from an operator's side.

use std::collections::BTreeSet;

use keyward_model::Span;
use keyward_testkit::{Reply, Trial, database_test};
use serde_json::{Value, json};

use super::error;

const NOBODY: &str = "7f0c9a4e-3c55-4d5c-9c64-0a8f6f1b2c3d";

async fn session_of(person: &keyward_testkit::Actor) -> String {
    person.whoami().await["id"].as_str().expect("a session").to_owned()
}

fn next(reply: &Reply) -> Option<String> {
    let link = reply.header("link")?.split(',').find(|link| link.ends_with("rel=\"next\""))?;
    Some(link.trim_start_matches('<').split('>').next()?.to_owned())
}

fn ids(reply: &Reply) -> Vec<String> {
    reply.json().as_array().unwrap().iter().map(|session| session["id"].as_str().unwrap().to_owned()).collect()
}

// cases: L-91
#[database_test]
async fn sessions_are_listed_newest_first_page_by_page(t: Trial) {
    let admin = t.admin();
    let ada = t.signed_up("ada@example.org").await;
    let mut expected = vec![session_of(&ada).await];
    for _ in 0..6 {
        t.clock().advance(Span::minutes(1));
        expected.push(session_of(&t.signed_in("ada@example.org").await).await);
    }
    expected.reverse();
    for size in [1, 3, 7, 5_000] {
        let mut seen = Vec::new();
        let mut path = Some(format!("/admin/sessions?page_size={size}"));
        while let Some(next_path) = path {
            let reply = admin.call("GET", &next_path).await.expect(200);
            assert!(reply.header("link").unwrap().contains("rel=\"first\"") && reply.header("x-total-count").is_none());
            seen.extend(ids(&reply));
            path = next(&reply);
        }
        assert_eq!(seen, expected, "{size}");
    }
    // The oldest one is revoked, and it is the only one that is not live.
    admin.call("DELETE", &format!("/admin/sessions/{}", expected[6])).await.expect(204);
    let live = admin.call("GET", "/admin/sessions?active=true").await.expect(200);
    assert_eq!(ids(&live), expected[..6]);
    let dead = admin.call("GET", "/admin/sessions?active=false").await.expect(200);
    assert_eq!(ids(&dead), expected[6..]);
    let bare = dead.json()[0].clone();
    assert_eq!((&bare["active"], &bare["identity"], &bare["devices"]), (&json!(false), &Value::Null, &Value::Null));
    let full = admin.call("GET", "/admin/sessions?expand=Identity&expand=DEVICES").await.expect(200).json();
    assert_eq!(full[0]["identity"]["traits"]["email"], "ada@example.org");
    assert!(full[0]["identity"].get("metadata_admin").is_some() && full[0]["devices"].is_array());
    for query in ["active=maybe", "expand=everything", "page_token=x", "page_size=x"] {
        error(&admin.call("GET", &format!("/admin/sessions?{query}")).await, 400);
    }
}

// cases: L-91
#[database_test]
async fn one_session_is_shown_and_ended(t: Trial) {
    let admin = t.admin();
    let ada = t.signed_up("ada@example.org").await;
    let id = session_of(&ada).await;
    let path = format!("/admin/sessions/{id}");
    let bare = admin.call("GET", &path).await.expect(200).json();
    assert_eq!((&bare["active"], &bare["identity"], &bare["devices"]), (&json!(true), &Value::Null, &json!([])));
    let full = admin.call("GET", &format!("{path}?expand=identity&expand=devices")).await.expect(200).json();
    assert_eq!(full["identity"]["id"], ada.id().await.to_string());
    assert_eq!(full["devices"].as_array().map(Vec::len), Some(1));
    for _ in 0..2 {
        admin.call("DELETE", &path).await.expect(204);
    }
    ada.try_whoami().await.expect(401);
    assert_eq!(admin.call("GET", &path).await.expect(200).json()["active"], false, "the row stays");
    for method in ["GET", "DELETE"] {
        error(&admin.call(method, &format!("/admin/sessions/{NOBODY}")).await, 404);
        error(&admin.call(method, "/admin/sessions/nope").await, 400);
    }
    error(&admin.call("GET", &format!("{path}?expand=all")).await, 400);
}

// cases: L-92
#[database_test(config = json!({ "session": { "lifespan": "24h", "earliest_possible_extend": "1h" } }))]
async fn a_session_is_prolonged_only_near_its_end_and_while_it_lives(t: Trial) {
    let admin = t.admin();
    let ada = t.signed_up("ada@example.org").await;
    let id = session_of(&ada).await;
    let extend = async || admin.call("PATCH", &format!("/admin/sessions/{id}/extend")).await;
    let end = t.now() + Span::hours(24);
    assert_eq!(extend().await.expect(200).json()["expires_at"], json!(end), "too early: nothing happens");
    t.clock().advance(Span::minutes(23 * 60 + 30));
    let extended = extend().await.expect(200).json();
    let end = t.now() + Span::hours(24);
    assert_eq!((&extended["expires_at"], &extended["devices"]), (&json!(end), &json!([])));
    assert_eq!(extended["identity"]["traits"]["email"], "ada@example.org");
    t.clock().advance(Span::minutes(23 * 60 + 30));
    ada.whoami().await;
    admin.call("DELETE", &format!("/admin/sessions/{id}")).await.expect(204);
    let revoked = extend().await.expect(200).json();
    assert_eq!((&revoked["expires_at"], &revoked["active"]), (&json!(end), &json!(false)));
    error(&admin.call("PATCH", &format!("/admin/sessions/{NOBODY}/extend")).await, 404);
    error(&admin.call("PATCH", "/admin/sessions/nope/extend").await, 400);
    t.reconfigure(&json!({ "feature_flags": { "faster_session_extend": true } }));
    assert_eq!(extend().await.expect(204).body, b"");
}

// cases: L-93
#[database_test]
async fn many_sessions_are_ended_or_deleted_at_once(t: Trial) {
    let admin = t.admin();
    let act = async |body: Value| t.admin().call("POST", "/admin/sessions").json(&body).await.expect(200).json();
    let (ada, bob) = (t.signed_up("ada@example.org").await, t.signed_up("bob@example.org").await);
    let other = t.signed_in("ada@example.org").await;
    let done = act(json!({ "action": "disable", "sessions": [session_of(&other).await, NOBODY] })).await;
    assert_eq!(done, json!({ "processed": 1, "more": false }));
    other.try_whoami().await.expect(401);
    ada.whoami().await;
    let ada_id = ada.id().await;
    assert_eq!(act(json!({ "action": "disable", "identities": [ada_id, NOBODY] })).await["processed"], 1);
    ada.try_whoami().await.expect(401);
    bob.whoami().await;
    assert_eq!(act(json!({ "action": "delete", "identities": [ada_id] })).await["processed"], 2);
    let another = t.signed_in("bob@example.org").await;
    assert_eq!(act(json!({ "action": "disable", "identities": ["*"] })).await, json!({ "processed": 2, "more": false }));
    bob.try_whoami().await.expect(401);
    another.try_whoami().await.expect(401);
    assert_eq!(act(json!({ "action": "delete", "identities": ["*"] })).await["processed"], 2);
    assert_eq!(admin.call("GET", "/admin/sessions").await.expect(200).json(), json!([]));
    for body in [
        json!({}),
        json!({ "action": "disable" }),
        json!({ "action": "explode", "identities": ["*"] }),
        json!({ "action": "disable", "sessions": ["*"] }),
        json!({ "action": "disable", "identities": ["*", NOBODY] }),
        json!({ "action": "disable", "identities": [NOBODY], "sessions": [NOBODY] }),
        json!({ "action": "disable", "identities": ["nope"] }),
        json!({ "action": "disable", "identities": vec![NOBODY; 501] }),
    ] {
        error(&admin.call("POST", "/admin/sessions").json(&body).await, 400);
    }
}

// No case of its own in the list.
#[database_test]
async fn sessions_of_an_identity_are_listed_and_deleted(t: Trial) {
    let admin = t.admin();
    let ada = t.signed_up("ada@example.org").await;
    t.signed_up("bob@example.org").await;
    let mut expected = BTreeSet::from([session_of(&ada).await]);
    for _ in 0..2 {
        expected.insert(session_of(&t.signed_in("ada@example.org").await).await);
    }
    let path = format!("/admin/identities/{}/sessions", ada.id().await);
    let all = admin.call("GET", &path).await.expect(200);
    assert_eq!(all.header("x-total-count"), Some("3"));
    assert_eq!(ids(&all).into_iter().collect::<BTreeSet<_>>(), expected);
    assert_eq!(all.json()[0]["identity"]["traits"]["email"], "ada@example.org");
    let page = admin.call("GET", &format!("{path}?page=1&per_page=2&active=true")).await.expect(200);
    assert_eq!((page.header("x-total-count"), ids(&page).len()), (Some("3"), 1));
    admin.call("DELETE", &path).await.expect(204);
    let events = t.audit().await.len();
    error(&admin.call("DELETE", &path).await, 404);
    assert_eq!(t.audit().await.len(), events, "what was not done is not told as done");
    ada.try_whoami().await.expect(401);
    let nobody = admin.call("GET", &format!("/admin/identities/{NOBODY}/sessions")).await.expect(200);
    assert_eq!((nobody.json(), nobody.header("x-total-count")), (json!([]), Some("0")));
    error(&admin.call("GET", "/admin/identities/nope/sessions").await, 400);
    error(&admin.call("DELETE", "/admin/identities/nope/sessions").await, 400);
    error(&admin.call("GET", &format!("{path}?active=maybe")).await, 400);
}
