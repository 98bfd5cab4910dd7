//! Hashes of other systems: imported, signed in with once, and then the server's own.

use keyward_model::CredentialType;
use keyward_testkit::{Trial, database_test};
use serde_json::json;

use super::{error, id_of, person};

const HASHES: [&str; 11] = [
    "$pbkdf2-sha1$i=1000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$aUfE2vx5Q7zgbb0jx49AaNpXUQQVW6pePKN5ab37G40",
    "$pbkdf2-sha224$i=1000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$UrjDZXM1sG0TQTxqIhpBncU/VRCD6TblLyeMhMQfCME",
    "$pbkdf2-sha256$i=1000,l=32$MDEyMzQ1Njc4OWFiY2RlZg$cBg8D2DungRB9k76szThf5ehfyBz991ay6PT8Srwk4M",
    "$scrypt$ln=16384,r=8,p=1$MDEyMzQ1Njc4OWFiY2RlZg==$0LupyHkzAIgDr9UDsriAAf87vMbCbcaUfDvFOAHk0D0=",
    "{SSHA}VtJJPXPvCfCWGkEI7kkQTL9vdXUwMTIzNDU2Nw==",
    "$sha256$pf=e1NBTFR9LS17UEFTU1dPUkR9OntTQUxUfQ==$cGVwcGVy$UJaySAAhA4Aji0rvnGBWQA+lcPsfvxDR+RvFKUq+yFc=",
    "$md5$PLTnMmMfR+brlh80VUt83g==",
    "$md5-crypt$saltsalt$NuzA7WTAelpl95xgBGWN60",
    "$sha256-crypt$saltstring$vc6YOOogU4kWVvwga8e9zTFgKcy4tb5LaPxIiPJzqEC",
    "$sha512-crypt$rounds=1400$anotherlongsalt$0PTOn8bBzyqhh2wyYzWU/brdeY8ErVYrWGtpWQ.bUqWCi7scvtbXl.9n4xWAPmBVClu7RNqgj5BNSysjCHbab0",
    "$hmac-sha256$MDE2ZTExN2RjNWI3YTQ4ZGFlOGMzODAxMzBhNzE0YTA4MmQ4OTA4YmZkYjRjN2ZiZWEyMDVjMTVkMDQ1MmNmMQ==$YSBrZXk=",
];

// cases: R-85
#[database_test]
async fn a_foreign_hash_signs_in_and_is_replaced(t: Trial) {
    let admin = t.admin();
    for (number, hash) in HASHES.into_iter().enumerate() {
        let email = format!("p{number}@example.org");
        let mut body = person(&email);
        body["credentials"] = json!({ "password": { "config": { "hashed_password": hash } } });
        let id = id_of(&admin.create(&body).await);
        let stored = async || {
            let snapshot = t.snapshot(id).await;
            let config = &snapshot.credential(CredentialType::Password).expect("a row").config;
            config["hashed_password"].as_str().expect("a hash").to_owned()
        };
        assert_eq!(stored().await, hash);
        t.person().sign_in(&email, "wrong horse").await.form();
        assert_eq!(stored().await, hash, "a wrong password changes nothing");
        t.person().sign_in(&email, "correct horse").await.done();
        assert!(stored().await.starts_with("$2a$04$"), "{hash}");
        t.person().sign_in(&email, "correct horse").await.done();
    }
}

// cases: R-85
#[database_test]
async fn unknown_and_too_expensive_hashes_are_refused(t: Trial) {
    for hash in [
        "",
        "x",
        "$2x$06$AAAA",
        "$scrypt$ln=262144,r=8,p=1$MDEy$0LupyHkzAIgDr9UDsriAAQ==",
        "$argon2id$v=19$m=9999999,t=1,p=1$c29tZXNhbHQ$c29tZXNhbHRzb21lc2FsdA",
    ] {
        let mut body = person("ada@example.org");
        body["credentials"] = json!({ "password": { "config": { "hashed_password": hash } } });
        error(&t.admin().call("POST", "/admin/identities").json(&body).await, 400);
    }
}
