//! Identifiers that look like others, passwords of every size, and hashes and services that should make the server stumble.
//! What they lead to is read from the database or tried at sign-in.

use keyward_model::Span;
use keyward_store::Batch;
use keyward_testkit::{PASSWORD, Said, Trial, database_test, flow_test};
use serde_json::json;

use crate::abuse::{ADA, NEW, password_is};

// cases: AC-73
#[flow_test(api, spa)]
async fn only_text_is_an_identifier_or_a_password(t: Trial) {
    t.admin().create_person(ADA).await;
    let person = t.person();
    let flow = person.init("login", "").await;
    for odd in [json!([ADA]), json!({ "$ne": null }), json!(1), json!(true), json!([]), json!({}), json!(null), json!("")] {
        for field in ["identifier", "password"] {
            let mut fields = json!({ "method": "password", "identifier": ADA, "password": PASSWORD });
            fields[field] = odd.clone();
            let submitted = person.submit(&flow, fields).await;
            assert_eq!(submitted.reply.status, 400, "{field}: {odd}");
            assert!(submitted.form().all_messages().iter().any(|(node, _)| node == field), "{field}: {odd}");
        }
    }
    person.try_whoami().await.expect(401);
    let ada = t.signed_in(ADA).await;
    let flow = ada.init("settings", "").await;
    for odd in [json!([NEW]), json!({ "a": NEW }), json!(12_345_678), json!(true)] {
        let submitted = ada.submit(&flow, json!({ "method": "password", "password": odd })).await;
        assert_eq!(submitted.reply.status, 400, "{odd}");
        let submitted = ada.submit(&flow, json!({ "method": "profile", "traits": { "email": odd } })).await;
        assert_eq!(submitted.reply.status, 400, "{odd}");
    }
    password_is(&t, ADA, PASSWORD).await;
}

/// Other spellings are the same account, look-alikes are another one or none at all.
// Towards AC-70, which is about recovery.
#[database_test]
async fn look_alikes_of_an_address_are_not_the_address(t: Trial) {
    t.signed_up(ADA).await;
    let register = async |email: &str| {
        let person = t.person();
        let flow = person.init("registration", "").await;
        let fields = json!({ "method": "password", "password": "mallory's 5 purple giraffes", "traits": { "email": email } });
        person.submit(&flow, fields).await
    };
    for same in ["ADA@example.org", "ada@EXAMPLE.org", " ada@example.org ", "Ada@Example.Org"] {
        assert_eq!(register(same).await.form().messages(), [4_000_007], "{same}");
        t.person().sign_in(same, PASSWORD).await.done();
    }
    for alike in [
        "ad\u{430}@example.org",
        "ada@ex\u{430}mple.org",
        "ada\u{ff20}example.org",
        "\u{ff41}da@example.org",
        "ada\u{200b}@example.org",
        "ada@example.org\u{200b}",
        "ada@example.org\0",
        "ada@example.org\r\nbcc: x@example.org",
        "\u{131}da@example.org",
        "a\u{301}da@example.org",
        "ada@example.org.",
        "ada@example.org,mallory@example.org",
    ] {
        match register(alike).await.said {
            Said::Done(_) => {
                let mallory = t.person();
                mallory.sign_in(alike, "mallory's 5 purple giraffes").await.done();
                assert_ne!(mallory.whoami().await["identity"]["traits"]["email"], ADA, "{alike}");
            }
            Said::Form(_) => {}
            other => panic!("{alike:?} is neither an account nor a mistake to mend: {other:?}"),
        }
        // Mallory's password never opens Ada's account, under no spelling.
        t.person().sign_in(ADA, "mallory's 5 purple giraffes").await.form();
        // So that this guess is judged and not only counted.
        t.clock().advance(Span::hours(1));
    }
    password_is(&t, ADA, PASSWORD).await;
}

/// As in Spring's CVE-2025-22228: what a hasher would cut off is refused, not ignored.
// cases: AC-103, AC-106
#[flow_test]
async fn very_long_passwords_are_refused(t: Trial) {
    let ada = t.signed_up(ADA).await;
    let flow = ada.init("settings", "").await;
    let base = "correct horse 7 battery ".repeat(3);
    assert_eq!(base.len(), 72);
    for tail in ["a", &"b".repeat(1_000), &"c".repeat(900_000)] {
        let form = ada.submit(&flow, json!({ "method": "password", "password": format!("{base}{tail}") })).await.form();
        assert_eq!(form.all_messages(), [("password".to_owned(), 4_000_033)]);
    }
    let longest = &base[..72];
    ada.submit(&flow, json!({ "method": "password", "password": longest })).await.saved();
    assert_eq!(t.person().sign_in(ADA, &format!("{longest}a")).await.form().messages(), [4_000_006]);
    assert_eq!(t.person().sign_in(ADA, &longest[..71]).await.form().messages(), [4_000_006]);
    password_is(&t, ADA, longest).await;
}

// cases: AC-104
#[database_test]
async fn hashes_with_absurd_costs_are_harmless(t: Trial) {
    let absurd = [
        "$2b$31$CwTycUXWue0Thq9StjUM0uJ8z2n7eG0JvZ1l1y6o8z5Xy0q3nq1b2",
        "$argon2id$v=19$m=4294967295,t=4294967295,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA",
        "$argon2id$v=19$m=0,t=0,p=0$$",
        "$pbkdf2-sha256$i=4294967295,l=32$c2FsdA$aGFzaA",
        "$scrypt$ln=60,r=4294967295,p=4294967295$c2FsdA$aGFzaA",
    ];
    for hash in absurd {
        let credentials = json!({ "password": { "config": { "hashed_password": hash } } });
        let body = json!({ "schema_id": "person", "traits": { "email": "bob@example.org" }, "credentials": credentials });
        let reply = t.admin().call("POST", "/admin/identities").json(&body).await;
        assert_eq!(reply.status, 400, "{hash}: {reply:?}");
        assert!(!reply.text().contains(hash));
    }
    // Stored all the same, for example by a restored backup.
    let ada = t.signed_up(ADA).await;
    let snapshot = t.snapshot(ada.id().await).await;
    for hash in absurd.into_iter().chain(["", "rubbish", "$2b$"]) {
        let mut credential = snapshot.credentials[0].clone();
        credential.config = json!({ "hashed_password": hash });
        let mut batch = Batch::new();
        batch.put_credential(snapshot.identity.id, &credential);
        t.store().commit(batch).await.unwrap();
        assert_eq!(t.person().sign_in(ADA, PASSWORD).await.form().messages(), [4_000_006], "{hash}");
        // Each is a wrong password to the count of attempts; the longest wait is an hour.
        t.clock().advance(Span::hours(1));
    }
}

// cases: AC-105
#[flow_test(api)]
async fn a_broken_breach_service_does_not_decide_at_random(t: Trial) {
    let ada = t.signed_up(ADA).await;
    let flow = ada.init("settings", "").await;
    let answers = [(500, String::new()), (200, "not a range".to_owned()), (200, "8CBCB:".to_owned()), (404, "x".to_owned())];
    for (number, (status, body)) in answers.into_iter().enumerate() {
        let service = t.sink(move |_| (status, body.clone())).await;
        let config = |ignore: bool| {
            let config = json!({
                "haveibeenpwned_enabled": true, "haveibeenpwned_host": service.address(), "ignore_network_errors": ignore });
            json!({ "selfservice": { "methods": { "password": { "config": config } } } })
        };
        let fields = json!({ "method": "password", "password": format!("staple {number} correct elephant") });
        t.reconfigure(&config(false));
        let submitted = ada.submit(&flow, fields.clone()).await;
        assert!(!submitted.is_done(), "{:?}", submitted.reply);
        assert!(!submitted.reply.text().contains(service.address()), "{:?}", submitted.reply);
        t.reconfigure(&config(true));
        ada.submit(&flow, fields).await.saved();
    }
    password_is(&t, ADA, "staple 3 correct elephant").await;
    // One that takes the question and never answers: the wait has an end, and the list of our own decides meanwhile.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = format!("http://{}", silent.local_addr().unwrap());
    let config = json!({ "haveibeenpwned_enabled": true, "haveibeenpwned_host": host, "ignore_network_errors": true });
    t.reconfigure(&json!({ "selfservice": { "methods": { "password": { "config": config } } } }));
    let common = json!({ "method": "password", "password": "Password1" });
    assert_eq!(ada.submit(&flow, common).await.form().all_messages(), [("password".to_owned(), 4_000_005)]);
    let fields = json!({ "method": "password", "password": "staple 9 correct elephant" });
    let answered = tokio::time::timeout(std::time::Duration::from_secs(30), ada.submit(&flow, fields)).await;
    answered.expect("an answer although the service is silent").saved();
}
