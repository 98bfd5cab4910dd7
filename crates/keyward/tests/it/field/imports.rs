//! Accounts from other systems: the hashes that they bring, and the names that they take.

use keyward_model::{CredentialType, IdentityId};
use keyward_testkit::{PASSWORD, Trial, Value, database_test};
use serde_json::json;

use super::with_schema;
use crate::admin::run;

/// The password of every hash here.
const GARDEN: &str = "Gartenzwerg-42-blau";

const PBKDF2: [&str; 3] = [
    "$pbkdf2-sha256$i=27500,l=64$AAECAwQFBgcICQoLDA0ODw$D7BeW/1EnKuKzTtO2DNOLNjY+dDTsu632R7ycWLQkNsAdsSpKHGYPefX/tAMLIZIsx2WW8wqxfh+FxUpNUON2g",
    "$pbkdf2-sha256$i=27500,l=64$AAECAwQFBgcICQoLDA0ODw==$D7BeW/1EnKuKzTtO2DNOLNjY+dDTsu632R7ycWLQkNsAdsSpKHGYPefX/tAMLIZIsx2WW8wqxfh+FxUpNUON2g==",
    "$pbkdf2-sha256$i=27500$AAECAwQFBgcICQoLDA0ODw$D7BeW/1EnKuKzTtO2DNOLNjY+dDTsu632R7ycWLQkNsAdsSpKHGYPefX/tAMLIZIsx2WW8wqxfh+FxUpNUON2g",
];

const BCRYPT: &str = "04$7fxe5I03EGL5kwx7mTlJvuk/9yHntJvdiP76GhbgpUSgBgbNS3VKq";

const CRYPT: [&str; 3] = [
    "$6$rounds=5000$saltstring$lMWeSdLshrxIGLOutaL/J86NyVYRzrQTEfWnX3gm3VI8tIM/vmGIwKA4Y5CKNA1nDGKmtqnOfHwtlOeIWbnEP0",
    "$1$saltsalt$pQe5DKTq2H6u9/Symreeg/",
    "$sha512-crypt$rounds=5000$saltstring$lMWeSdLshrxIGLOutaL/J86NyVYRzrQTEfWnX3gm3VI8tIM/vmGIwKA4Y5CKNA1nDGKmtqnOfHwtlOeIWbnEP0",
];

fn body(email: &str, hash: &str) -> Value {
    let credentials = json!({ "password": { "config": { "hashed_password": hash } } });
    json!({ "schema_id": "person", "traits": { "email": email }, "credentials": credentials })
}

async fn stored(t: &Trial, id: IdentityId) -> String {
    let snapshot = t.snapshot(id).await;
    snapshot.credential(CredentialType::Password).unwrap().config["hashed_password"].as_str().unwrap().to_owned()
}

/// Imported, wrong password, right password, and from then on with a hash of our own.
async fn signs_in(t: &Trial, email: &str, id: IdentityId, hash: &str) {
    assert_eq!(t.person().sign_in(email, "Gartenzwerg-42-grau").await.form().messages(), [4_000_006], "{hash}");
    assert_eq!(stored(t, id).await, hash);
    t.person().sign_in(email, GARDEN).await.done();
    let ours = stored(t, id).await;
    assert!(ours != hash && ours.starts_with("$2a$"), "{hash} became {ours}");
    t.person().sign_in(email, GARDEN).await.done();
    assert_eq!(t.person().sign_in(email, "Gartenzwerg-42-grau").await.form().messages(), [4_000_006], "{hash}");
}

async fn all_sign_in(t: &Trial, hashes: &[String]) {
    for (number, hash) in hashes.iter().enumerate() {
        let email = format!("p{number}@example.org");
        let made = t.admin().call("POST", "/admin/identities").json(&body(&email, hash)).await;
        assert_eq!(made.status, 201, "{hash}: {made:?}");
        let id = IdentityId::parse(made.json()["id"].as_str().unwrap()).unwrap();
        signs_in(t, &email, id, hash).await;
    }
}

async fn refused(t: &Trial, hash: &str, words: &[&str]) {
    let reply = t.admin().call("POST", "/admin/identities").json(&body("refused@example.org", hash)).await;
    let reason = reply.expect(400).json()["error"]["reason"].as_str().unwrap().to_owned();
    for word in words {
        assert!(reason.contains(word), "{hash}: {word} does not stand in: {reason}");
    }
}

#[database_test]
async fn imp_01_padded_base64_and_a_long_key(t: Trial) {
    all_sign_in(&t, &PBKDF2.map(str::to_owned)).await;
    let lines: Vec<_> =
        PBKDF2.iter().enumerate().map(|(number, hash)| body(&format!("f{number}@example.org"), hash).to_string()).collect();
    let output = run(&t, &["import", "identities"], lines.join("\n")).await;
    assert!(output.status.success(), "{output:?}");
    for number in 0..PBKDF2.len() {
        t.person().sign_in(&format!("f{number}@example.org"), GARDEN).await.done();
    }
}

#[database_test(config = json!({ "hashers": { "bcrypt": { "cost": 5 } } }))]
async fn imp_03_bcrypt_of_other_languages(t: Trial) {
    all_sign_in(&t, &["$2y$", "$2a$", "$2b$"].map(|prefix| format!("{prefix}{BCRYPT}"))).await;
    refused(&t, &format!("$2x${BCRYPT}"), &["$2x$"]).await;
    refused(&t, &format!("$2y${}", &BCRYPT[1..]), &["malformed"]).await;
    refused(&t, &format!("$2y$16{}", &BCRYPT[2..]), &["15"]).await;
    refused(&t, &format!("$2y$99{}", &BCRYPT[2..]), &["15"]).await;
}

#[database_test]
async fn imp_05_raw_crypt_strings(t: Trial) {
    all_sign_in(&t, &CRYPT.map(str::to_owned)).await;
    refused(&t, &CRYPT[0].replace("rounds=5000", "rounds=999999999"), &["rounds"]).await;
    // What locks an account elsewhere is no hash.
    for locked in ["!", "*", "x", "!!", "!$6$saltstring$abc", "*LK*"] {
        refused(&t, locked, &["locked"]).await;
    }
}

fn two_names() -> Value {
    let identifies = json!({ "credentials": { "password": { "identifier": true }, "webauthn": { "identifier": true } } });
    with_schema(&json!({
        "type": "object",
        "properties": {
            "email": { "type": "string", "format": "email", "ory.sh/kratos": identifies },
            "name": { "type": "string", "ory.sh/kratos": identifies },
        },
        "required": ["email"],
    }))
}

/// However somebody came in, their names are theirs.
#[database_test(config = two_names())]
async fn imp_07_every_way_in_takes_the_same_names(t: Trial) {
    let traits = |number: usize| json!({ "email": format!("p{number}@example.org"), "name": format!("Name{number}") });
    let entry = async |way: usize, traits: &Value| -> bool {
        let body = json!({ "schema_id": "person", "traits": traits });
        match way {
            0 => {
                let reply = t.admin().call("POST", "/admin/identities").json(&body).await;
                assert!(matches!(reply.status, 201 | 409), "{reply:?}");
                reply.status == 201
            }
            1 => {
                let body = json!({ "identities": [{ "create": body }] });
                let reply = t.admin().call("PATCH", "/admin/identities").json(&body).await.expect(200).json();
                reply["identities"][0]["action"] == "create"
            }
            2 => run(&t, &["import", "identities"], body.to_string()).await.status.success(),
            _ => {
                let person = t.person();
                let flow = person.init("registration", "").await;
                let submitted =
                    person.submit(&flow, json!({ "method": "password", "password": PASSWORD, "traits": traits })).await;
                if submitted.is_done() {
                    return true;
                }
                assert_eq!(submitted.form().messages(), [4_000_007]);
                false
            }
        }
    };
    for first in 0..4 {
        assert!(entry(first, &traits(first)).await, "{first}");
        for second in 0..4 {
            let free = 10 + 4 * first + second;
            let mut same_email = traits(free);
            same_email["email"] = format!("P{first}@Example.ORG ").into();
            assert!(!entry(second, &same_email).await, "the address, {first} then {second}");
            let mut same_name = traits(free);
            same_name["name"] = format!(" nAME{first}").into();
            assert!(!entry(second, &same_name).await, "the name, {first} then {second}");
        }
    }
    // Also while the methods that use the names are switched off.
    t.reconfigure(&json!({ "selfservice": { "methods": { "password": { "enabled": false } } } }));
    assert!(entry(0, &traits(4)).await);
    t.reconfigure(&json!({ "selfservice": { "methods": { "password": { "enabled": true } } } }));
    let mut taken = traits(5);
    taken["name"] = "name4".into();
    assert!(!entry(3, &taken).await);
    assert_eq!(t.store().count_identities().await.unwrap(), 5);
}

#[database_test(config = two_names())]
async fn imp_07_an_operator_and_a_person_want_one_name_at_once(t: Trial) {
    for round in 0..5 {
        let name = format!("Wanted{round}");
        let operator = {
            let (t, name) = (t.clone(), name.clone());
            async move {
                let traits = json!({ "email": format!("o{round}@example.org"), "name": name });
                let reply =
                    t.admin().call("POST", "/admin/identities").json(&json!({ "schema_id": "person", "traits": traits })).await;
                assert!(matches!(reply.status, 201 | 409), "{reply:?}");
                reply.status == 201
            }
        };
        let person = {
            let (t, name) = (t.clone(), name.to_lowercase());
            async move {
                let person = t.person();
                let flow = person.init("registration", "").await;
                let traits = json!({ "email": format!("r{round}@example.org"), "name": name });
                person.submit(&flow, json!({ "method": "password", "password": PASSWORD, "traits": traits })).await.is_done()
            }
        };
        let (operator, person) = (tokio::spawn(operator), tokio::spawn(person));
        let won = (operator.await.unwrap(), person.await.unwrap());
        assert!(won.0 != won.1, "{won:?}");
        assert_eq!(t.store().count_identities().await.unwrap(), round + 1);
    }
}
