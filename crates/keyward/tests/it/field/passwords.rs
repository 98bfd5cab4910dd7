//! Passwords that are longer, or spelled otherwise, than a hash likes.

use keyward_model::CredentialType;
use keyward_testkit::{PASSWORD, Trial, Value, flow_test};
use serde_json::json;

use super::MARA;

fn argon2() -> Value {
    json!({ "hashers": { "algorithm": "argon2", "argon2": { "memory": "1MB", "iterations": 1, "parallelism": 1 } } })
}

/// What a password comes to: its bytes, and whether bcrypt can take it.
fn long_ones() -> Vec<(String, usize, bool)> {
    vec![
        ("a".repeat(73), 73, false),
        ("\u{1f510}".repeat(19), 76, false),
        ("\u{e4}".repeat(37), 74, false),
        ("a".repeat(72), 72, true),
        ("\u{1f510}".repeat(18), 72, true),
    ]
}

#[flow_test]
async fn pass_01_more_than_72_bytes_with_bcrypt(t: Trial) {
    for (number, (password, bytes, fits)) in long_ones().into_iter().enumerate() {
        let email = format!("p{number}@example.org");
        let person = t.person();
        let flow = person.init("registration", "").await;
        let fields = json!({ "method": "password", "password": password, "traits": { "email": email } });
        let registered = person.submit(&flow, fields).await;
        let mara = t.person();
        mara.sign_up(&format!("s{number}@example.org"), PASSWORD).await;
        let flow = mara.init("settings", "").await;
        let changed = mara.submit(&flow, json!({ "method": "password", "password": password })).await;
        let credentials = json!({ "password": { "config": { "password": password } } });
        let body =
            json!({ "schema_id": "person", "traits": { "email": format!("a{number}@example.org") }, "credentials": credentials });
        let created = t.admin().call("POST", "/admin/identities").json(&body).await;
        if fits {
            registered.done();
            changed.saved();
            created.expect(201);
            continue;
        }
        for form in [registered.form(), changed.form()] {
            assert_eq!(form.all_messages(), [("password".to_owned(), 4_000_033)]);
            let context = &form.node("password")["messages"][0]["context"];
            assert_eq!((&context["max_length"], &context["actual_length"]), (&json!(72), &json!(bytes)));
        }
        let reason = created.expect(400).json()["error"]["reason"].as_str().unwrap().to_owned();
        assert!(reason.contains("72"), "{reason}");
    }
    // One byte more than what is stored is another password.
    t.person().sign_up(MARA, &"a".repeat(72)).await;
    assert_eq!(t.person().sign_in(MARA, &"a".repeat(73)).await.form().messages(), [4_000_006]);
    t.person().sign_in(MARA, &"a".repeat(72)).await.done();
}

#[flow_test(config = argon2())]
async fn pass_01_another_hash_takes_up_to_a_thousand_bytes(t: Trial) {
    for (number, (password, ..)) in long_ones().into_iter().chain([("a".repeat(1_024), 1_024, true)]).enumerate() {
        let email = format!("p{number}@example.org");
        let person = t.person();
        person.sign_up(&email, &password).await;
        t.person().sign_in(&email, &password).await.done();
        t.person().sign_in(&email, &format!("{password}a")).await.form();
    }
    let mara = t.signed_up(MARA).await;
    let flow = mara.init("settings", "").await;
    let form = mara.submit(&flow, json!({ "method": "password", "password": "a".repeat(1_025) })).await.form();
    assert_eq!(form.all_messages(), [("password".to_owned(), 4_000_033)]);
}

const COMPOSED: &str = "p\u{e4}ssw\u{f6}rt-\u{c5}ngstr\u{f6}m-1";
const DECOMPOSED: &str = "pa\u{308}sswo\u{308}rt-A\u{30a}ngstro\u{308}m-1";

#[flow_test]
async fn pass_03_accents_typed_on_another_system(t: Trial) {
    assert_eq!((COMPOSED.len(), DECOMPOSED.len()), (23, 27));
    for (number, (set, typed)) in [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)].into_iter().enumerate() {
        let email = format!("p{number}@example.org");
        let mara = t.person();
        mara.sign_up(&email, PASSWORD).await;
        let flow = mara.init("settings", "").await;
        mara.submit(&flow, json!({ "method": "password", "password": set })).await.saved();
        for password in [typed, set] {
            t.person().sign_in(&email, password).await.done();
        }
        t.person().sign_in(&email, "passwort-Angstrom-1").await.form();
    }
}

/// Made elsewhere of the decomposed bytes: tried with them as well, and from then on it is ours.
#[flow_test]
async fn pass_03_an_imported_hash_of_the_decomposed_bytes(t: Trial) {
    let hash = foreign(DECOMPOSED);
    let credentials = json!({ "password": { "config": { "hashed_password": hash } } });
    let body = json!({ "schema_id": "person", "traits": { "email": MARA }, "credentials": credentials });
    let id = t.admin().create(&body).await["id"].as_str().and_then(keyward_model::IdentityId::parse).unwrap();
    t.person().sign_in(MARA, "passwort-Angstrom-1").await.form();
    t.person().sign_in(MARA, DECOMPOSED).await.done();
    let stored = t.snapshot(id).await.credential(CredentialType::Password).unwrap().config["hashed_password"].clone();
    assert!(stored.as_str().unwrap().starts_with("$2a$"), "{stored}");
    for password in [COMPOSED, DECOMPOSED] {
        t.person().sign_in(MARA, password).await.done();
    }
}

/// A salted SHA-256 as directories make it: nobody normalised what it was made of.
fn foreign(password: &str) -> String {
    use base64::Engine as _;
    use sha2::Digest as _;
    let salt = b"0123456789abcdef";
    let digest = sha2::Sha256::new().chain_update(password).chain_update(salt).finalize();
    let whole: Vec<u8> = digest.iter().chain(salt).copied().collect();
    format!("{{SSHA256}}{}", base64::engine::general_purpose::STANDARD.encode(whole))
}
