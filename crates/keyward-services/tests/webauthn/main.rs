//! Answers of authenticators that are bent in one place each: whatever the algorithm, none of them proves anything.
//! What is right next to them is accepted, so that a refusal means the bent place and not the whole.

mod corpus;

use std::fmt::Debug;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyward_config::{RelyingParty, UserVerification};
use keyward_model::Time;
use keyward_services::webauthn::{
    Assertion, Attestation, Ceremony, Challenge, Flags, Key, Keys, LONGEST_KEY_ID, Unproven, Used, verify_new, verify_use,
};
use keyward_testkit::authenticator::{self as soft, AT, Algorithm, BE, BS, Creation, ED, SoftKey, UP, UV, Use, encode, sha256};
use serde_json::{Value, json};

const ORIGIN: &str = "https://login.example.org";
const APP: &str = "android:apk-key-hash:-2AMDOS0HZpZowxPbSqjXBQeD8dMh5Vlp11F3ZEJbz4";
const RP: &str = "login.example.org";
const CHALLENGE: [u8; 32] = [7; 32];

fn party() -> RelyingParty {
    RelyingParty { id: RP.to_owned(), display_name: "Test".to_owned(), origins: vec![ORIGIN.to_owned(), APP.to_owned()] }
}

fn options(challenge: &[u8]) -> Value {
    json!({ "publicKey": { "rp": { "id": RP }, "rpId": RP, "user": { "id": "aGFuZGxl" }, "challenge": encode(challenge) } })
}

fn judge_new(sent: &str, user_verification: UserVerification, attested: bool) -> Result<Key, String> {
    let attestation = Attestation::parse(sent).map_err(|error| error.to_string())?;
    let challenge = Challenge::parse(&encode(&CHALLENGE)).expect("a challenge");
    let ceremony = Ceremony { party: &party(), challenge: &challenge, user_verification };
    verify_new(&attestation, &ceremony, attested, Time::default()).map_err(|error| error.to_string())
}

fn judge_use(sent: &str, key: &Key, user_verification: UserVerification) -> Result<Used, String> {
    let assertion = Assertion::parse(sent).map_err(|error| error.to_string())?;
    let challenge = Challenge::parse(&encode(&CHALLENGE)).expect("a challenge");
    let ceremony = Ceremony { party: &party(), challenge: &challenge, user_verification };
    verify_use(&assertion, &ceremony, key, Time::default()).map_err(|error| error.to_string())
}

fn made(algorithm: Algorithm) -> (SoftKey, Creation, Key) {
    let mut key = SoftKey::new(algorithm, ORIGIN);
    let creation = key.create(&options(&CHALLENGE));
    let stored = judge_new(&creation.text(), UserVerification::Preferred, false).expect("a good key");
    (key, creation, stored)
}

#[track_caller]
fn refused<T: Debug>(what: &str, algorithm: Algorithm, verdict: Result<T, String>) {
    assert!(verdict.is_err(), "{what} was accepted for {algorithm:?}: {verdict:?}");
}

/// Client data that another page, another ceremony or another place made.
fn bent_client_data(kind: &'static str) -> Vec<(&'static str, Value)> {
    let other = if kind == "webauthn.create" { "webauthn.get" } else { "webauthn.create" };
    vec![
        ("the other ceremony", json!({ "type": other })),
        ("no ceremony", json!({ "type": "" })),
        ("payment", json!({ "type": "payment.get" })),
        ("no type", json!({ "type": null })),
        ("another challenge", json!({ "challenge": encode(&[8; 32]) })),
        ("a shorter challenge", json!({ "challenge": encode(&CHALLENGE[..31]) })),
        ("a longer challenge", json!({ "challenge": encode(&[7; 33]) })),
        ("an empty challenge", json!({ "challenge": "" })),
        ("a challenge that is no base64url", json!({ "challenge": "!" })),
        ("a longer host", json!({ "origin": "https://login.example.org.evil.example" })),
        ("a host with the same end", json!({ "origin": "https://evil-login.example.org" })),
        ("a host below", json!({ "origin": "https://a.login.example.org" })),
        ("the host above", json!({ "origin": "https://example.org" })),
        ("without TLS", json!({ "origin": "http://login.example.org" })),
        ("another port", json!({ "origin": "https://login.example.org:8443" })),
        ("the same port, written", json!({ "origin": "https://login.example.org:443" })),
        ("a trailing dot", json!({ "origin": "https://login.example.org." })),
        ("a trailing slash", json!({ "origin": "https://login.example.org/" })),
        ("user info", json!({ "origin": "https://login.example.org@evil.example" })),
        ("user info of the host", json!({ "origin": "https://evil@login.example.org" })),
        ("a path", json!({ "origin": "https://login.example.org/evil" })),
        ("upper case", json!({ "origin": "https://LOGIN.example.org" })),
        ("a letter that looks alike", json!({ "origin": "https://lоgin.example.org" })),
        ("the same in punycode", json!({ "origin": "https://xn--lgin-55d.example.org" })),
        ("white space", json!({ "origin": " https://login.example.org" })),
        ("no origin", json!({ "origin": "null" })),
        ("another app", json!({ "origin": "android:apk-key-hash:-3AMDOS0HZpZowxPbSqjXBQeD8dMh5Vlp11F3ZEJbz4" })),
        ("the app in lower case", json!({ "origin": APP.to_lowercase() })),
        ("in a frame", json!({ "crossOrigin": true })),
        ("below another page", json!({ "topOrigin": "https://evil.example" })),
    ]
}

fn bend(client_data: &mut Value, patch: &Value) {
    for (member, value) in patch.as_object().expect("members") {
        client_data[member] = value.clone();
    }
}

type BendCreation = fn(&mut Creation, &SoftKey);

/// What the authenticator says of a new key.
fn bent_creations() -> Vec<(&'static str, BendCreation)> {
    vec![
        ("another relying party", |one, _| one.data.rp_id_hash = sha256(b"evil.example")),
        ("the relying party above", |one, _| one.data.rp_id_hash = sha256(b"example.org")),
        ("nobody there", |one, _| one.data.flags &= !UP),
        ("backed up and not eligible", |one, _| one.data.flags |= BS),
        ("no key, says the flag", |one, _| one.data.flags &= !AT),
        ("extensions, says the flag", |one, _| one.data.flags |= ED),
        ("something left over", |one, _| one.data.rest = vec![0]),
        ("extensions that nobody announced", |one, _| one.data.rest = vec![0xa0]),
        ("extensions that are no map", |one, _| {
            one.data.flags |= ED;
            one.data.rest = vec![0x80];
        }),
        ("an empty id", |one, _| set_id(one, Vec::new())),
        ("an id of 1024 bytes", |one, _| set_id(one, vec![1; LONGEST_KEY_ID + 1])),
        ("another id outside", |one, _| one.raw_id[0] ^= 1),
        ("a key that is no map", |one, _| set_cose(one, vec![0x01])),
        ("an empty key", |one, _| set_cose(one, vec![0xa0])),
        ("EdDSA", |one, _| set_cose(one, cose(&[(1, 1), (3, -8), (-1, 6)], &[(-2, &[9; 32])]))),
        ("ES512", |one, _| set_cose(one, cose(&[(1, 2), (3, -36), (-1, 3)], &[(-2, &[9; 66]), (-3, &[9; 66])]))),
        ("RS1", |one, _| set_cose(one, cose(&[(1, 3), (3, -65_535)], &[(-1, &[9; 256]), (-2, &[1, 0, 1])]))),
        ("PS256", |one, _| set_cose(one, cose(&[(1, 3), (3, -37)], &[(-1, &[9; 256]), (-2, &[1, 0, 1])]))),
        ("a symmetric key", |one, _| set_cose(one, cose(&[(1, 4), (3, -7)], &[(-1, &[9; 32])]))),
        ("a point that is not on the curve", |one, _| {
            set_cose(one, cose(&[(1, 2), (3, -7), (-1, 1)], &[(-2, &[9; 32]), (-3, &[9; 32])]));
        }),
        ("a point at infinity", |one, _| {
            set_cose(one, cose(&[(1, 2), (3, -7), (-1, 1)], &[(-2, &[0; 32]), (-3, &[0; 32])]));
        }),
        ("a short coordinate", |one, _| {
            set_cose(one, cose(&[(1, 2), (3, -7), (-1, 1)], &[(-2, &[9; 31]), (-3, &[9; 32])]));
        }),
        ("an unknown curve", |one, _| {
            set_cose(one, cose(&[(1, 2), (3, -7), (-1, 8)], &[(-2, &[9; 32]), (-3, &[9; 32])]));
        }),
        ("a short modulus", |one, _| set_cose(one, cose(&[(1, 3), (3, -257)], &[(-1, &[9; 128]), (-2, &[1, 0, 1])]))),
        ("a member twice", |one, key| {
            let mut twice = key.cose();
            twice[0] += 1;
            soft::integer(&mut twice, 3);
            soft::integer(&mut twice, key.algorithm().cose());
            set_cose(one, twice);
        }),
        ("a key cut short", |one, key| {
            let cose = key.cose();
            set_cose(one, cose[..cose.len() - 1].to_vec());
        }),
        ("a list that claims to be huge", |one, _| {
            set_cose(one, vec![0xa1, 0x01, 0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        }),
        ("a text that claims to be huge", |one, _| {
            set_cose(one, vec![0xa1, 0x01, 0x7b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        }),
        ("lists in lists", |one, _| set_cose(one, [vec![0xa1, 0x01], vec![0x81; 5_000]].concat())),
        ("maps in maps", |one, _| set_cose(one, vec![0xa1; 5_000])),
        ("lists without an end", |one, _| set_cose(one, [vec![0xbf, 0x01], vec![0x9f; 5_000]].concat())),
        ("an unknown attestation", |one, _| one.format = "telepathy".to_owned()),
        ("an attestation of an old phone", |one, _| one.format = "android-safetynet".to_owned()),
        ("a TPM without a statement", |one, _| one.format = "tpm".to_owned()),
        ("a packed attestation without a statement", |one, _| one.format = "packed".to_owned()),
        ("a statement that is no map", |one, _| {
            one.format = "packed".to_owned();
            one.statement = vec![0x01];
        }),
        ("a self attestation of another key", |one, key| {
            let other = SoftKey::new(key.algorithm(), ORIGIN);
            *one = one.clone().attested_by(&other);
        }),
        ("a self attestation for another challenge", |one, key| {
            *one = one.clone().attested_by(key);
            one.client_data["extra"] = json!("added afterwards");
        }),
        ("a self attestation of other data", |one, key| {
            *one = one.clone().attested_by(key);
            one.data.sign_count += 1;
        }),
    ]
}

fn set_id(one: &mut Creation, id: Vec<u8>) {
    one.raw_id.clone_from(&id);
    one.data.attested.as_mut().expect("a key").id = id;
}

fn set_cose(one: &mut Creation, cose: Vec<u8>) {
    one.data.attested.as_mut().expect("a key").cose = cose;
}

fn cose(numbers: &[(i64, i64)], strings: &[(i64, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    soft::map(&mut out, (numbers.len() + strings.len()) as u64);
    for (label, value) in numbers {
        soft::integer(&mut out, *label);
        soft::integer(&mut out, *value);
    }
    for (label, value) in strings {
        soft::integer(&mut out, *label);
        soft::bytes(&mut out, value);
    }
    out
}

// cases: AC-23, AC-27
#[test]
fn no_bent_registration_is_accepted() {
    for algorithm in Algorithm::ALL {
        let (key, good, _) = made(algorithm);
        let mut tried = 0;
        for (what, patch) in bent_client_data("webauthn.create") {
            let mut one = good.clone();
            bend(&mut one.client_data, &patch);
            refused(what, algorithm, judge_new(&one.text(), UserVerification::Preferred, false));
            tried += 1;
        }
        for (what, change) in bent_creations() {
            let mut one = good.clone();
            change(&mut one, &key);
            refused(what, algorithm, judge_new(&one.text(), UserVerification::Preferred, false));
            tried += 1;
        }
        let mut unverified = good.clone();
        unverified.data.flags &= !UV;
        refused("not verified", algorithm, judge_new(&unverified.text(), UserVerification::Required, false));
        judge_new(&unverified.text(), UserVerification::Preferred, false).expect("not asked for");
        judge_new(&good.text(), UserVerification::Required, false).expect("verified");
        assert!(tried >= 40, "{tried}");
    }
}

#[test]
fn no_part_of_a_registration_may_be_cut_off_or_added() {
    let (_, good, _) = made(Algorithm::Es256);
    let object = good.object();
    let text = |object: &[u8]| {
        let mut credential = good.credential();
        credential["response"]["attestationObject"] = encode(object).into();
        credential.to_string()
    };
    judge_new(&text(&object), UserVerification::Preferred, false).expect("the whole");
    for length in 0..object.len() {
        refused("a beginning", Algorithm::Es256, judge_new(&text(&object[..length]), UserVerification::Preferred, false));
    }
    for more in [&[0][..], &[0xa0], &[0xff], &object] {
        let longer = [&object, more].concat();
        refused("more than the whole", Algorithm::Es256, judge_new(&text(&longer), UserVerification::Preferred, false));
    }
    // The same member twice: what one reader takes, another must not.
    let mut twice = Vec::new();
    soft::map(&mut twice, 4);
    twice.extend(&object[1..]);
    soft::text(&mut twice, "authData");
    soft::bytes(&mut twice, &good.data.encode());
    refused("data twice", Algorithm::Es256, judge_new(&text(&twice), UserVerification::Preferred, false));
}

/// What is large is refused before it is looked into.
#[test]
fn large_parts_and_many_members_are_refused() {
    let (mut key, good, stored) = made(Algorithm::Es256);
    let mut one = key.get(&options(&CHALLENGE));
    one.data.flags |= ED;
    let mut many = |count: u64| {
        let mut rest = Vec::new();
        soft::map(&mut rest, count);
        for number in 0..count {
            soft::text(&mut rest, &number.to_string());
            rest.push(0xf5);
        }
        one.data.rest = rest;
        judge_use(&one.text(&key), &stored, UserVerification::Preferred)
    };
    many(32).expect("some members");
    many(33).expect_err("too many");
    many(100_000).expect_err("far too many");
    for (part, most) in [("clientDataJSON", 4_096), ("attestationObject", 16_384)] {
        let mut credential = good.credential();
        credential["response"][part] = encode(&vec![0x20; most + 1]).into();
        let error = judge_new(&credential.to_string(), UserVerification::Preferred, false).expect_err(part);
        assert_eq!(error, format!("{part} cannot be read"));
    }
}

#[test]
fn what_is_no_credential_is_none() {
    let (_, good, _) = made(Algorithm::Es256);
    let mut bent = vec![String::new(), "null".to_owned(), "[]".to_owned(), "{}".to_owned(), "\"x\"".to_owned(), "{".to_owned()];
    for (pointer, value) in [
        ("/type", json!("password")),
        ("/response", json!(null)),
        ("/response/attestationObject", json!("?")),
        ("/response/attestationObject", json!(7)),
        ("/response/clientDataJSON", json!(encode(b"not json"))),
        ("/response/clientDataJSON", json!(encode(b"{}"))),
        ("/response/clientDataJSON", json!(encode(&[0xff, 0xfe]))),
        ("/rawId", json!(encode(b"another"))),
        ("/id", json!(encode(b"another"))),
    ] {
        let mut credential = good.credential();
        *credential.pointer_mut(pointer).expect(pointer) = value;
        bent.push(credential.to_string());
    }
    // Client data with a member twice.
    let client_data = good.client_data.to_string();
    let twice = format!("{},\"origin\":\"{ORIGIN}\"}}", &client_data[..client_data.len() - 1]);
    let mut credential = good.credential();
    credential["response"]["clientDataJSON"] = encode(twice.as_bytes()).into();
    bent.push(credential.to_string());
    for text in bent {
        refused(&text, Algorithm::Es256, judge_new(&text, UserVerification::Preferred, false));
        refused(&text, Algorithm::Es256, Assertion::parse(&text).map_err(|error| error.to_string()));
    }
}

type BendUse = fn(&mut Use, &SoftKey);

fn bent_uses() -> Vec<(&'static str, BendUse)> {
    vec![
        ("another relying party", |one, _| one.data.rp_id_hash = sha256(b"evil.example")),
        ("nobody there", |one, _| one.data.flags &= !UP),
        ("backed up and not eligible", |one, _| one.data.flags |= BS),
        ("extensions, says the flag", |one, _| one.data.flags |= ED),
        ("a key, says the flag", |one, _| one.data.flags |= AT),
        ("something left over", |one, _| one.data.rest = vec![0]),
        ("no signature", |one, _| one.signature = Some(Vec::new())),
        ("a signature of nothing", |one, key| one.signature = Some(key.sign(&[]))),
        ("a signature of another key", |one, key| {
            let other = SoftKey::new(key.algorithm(), ORIGIN);
            one.signature = Some(other.sign(&signed(one)));
        }),
        ("a signature of another algorithm", |one, key| {
            let algorithm = if key.algorithm() == Algorithm::Rs256 { Algorithm::Es256 } else { Algorithm::Rs256 };
            one.signature = Some(SoftKey::new(algorithm, ORIGIN).sign(&signed(one)));
        }),
        ("a signature of other client data", |one, key| {
            let signature = key.sign(&signed(one));
            one.client_data["extra"] = json!("added afterwards");
            one.signature = Some(signature);
        }),
        ("a signature of another count", |one, key| {
            let signature = key.sign(&signed(one));
            one.data.sign_count += 1;
            one.signature = Some(signature);
        }),
        ("a signature of other flags", |one, key| {
            one.data.flags &= !UV;
            let signature = key.sign(&signed(one));
            one.data.flags |= UV;
            one.signature = Some(signature);
        }),
        ("a bent signature", |one, key| {
            let mut signature = key.sign(&signed(one));
            let middle = signature.len() / 2;
            signature[middle] ^= 1;
            one.signature = Some(signature);
        }),
        ("a signature cut short", |one, key| {
            let mut signature = key.sign(&signed(one));
            signature.pop();
            one.signature = Some(signature);
        }),
        ("a longer signature", |one, key| {
            let mut signature = key.sign(&signed(one));
            signature.push(0);
            one.signature = Some(signature);
        }),
        ("zeros for a signature", |one, _| one.signature = Some(vec![0x30, 0x06, 0x02, 0x01, 0x00, 0x02, 0x01, 0x00])),
        ("another key's id", |one, _| one.raw_id[0] ^= 1),
        ("an id of 1024 bytes", |one, _| one.raw_id = vec![1; LONGEST_KEY_ID + 1]),
        ("no id", |one, _| one.raw_id = Vec::new()),
        ("a handle of 65 bytes", |one, _| one.user_handle = Some(vec![1; 65])),
    ]
}

fn signed(one: &Use) -> Vec<u8> {
    [one.data.encode(), sha256(one.client_data.to_string().as_bytes()).to_vec()].concat()
}

// cases: AC-23, AC-27
#[test]
fn no_bent_use_is_accepted() {
    for algorithm in Algorithm::ALL {
        let (mut key, _, stored) = made(algorithm);
        let good = key.get(&options(&CHALLENGE));
        judge_use(&good.text(&key), &stored, UserVerification::Preferred).expect("the good one");
        let mut tried = 0;
        for (what, patch) in bent_client_data("webauthn.get") {
            let mut one = good.clone();
            bend(&mut one.client_data, &patch);
            refused(what, algorithm, judge_use(&one.text(&key), &stored, UserVerification::Preferred));
            tried += 1;
        }
        for (what, change) in bent_uses() {
            let mut one = good.clone();
            change(&mut one, &key);
            refused(what, algorithm, judge_use(&one.text(&key), &stored, UserVerification::Preferred));
            tried += 1;
        }
        let mut unverified = good.clone();
        unverified.data.flags &= !UV;
        refused("not verified", algorithm, judge_use(&unverified.text(&key), &stored, UserVerification::Required));
        judge_use(&unverified.text(&key), &stored, UserVerification::Preferred).expect("not asked for");
        let whole = good.data.encode();
        for length in 0..whole.len() {
            let mut credential = good.credential(&key);
            credential["response"]["authenticatorData"] = encode(&whole[..length]).into();
            refused("a beginning", algorithm, judge_use(&credential.to_string(), &stored, UserVerification::Preferred));
        }
        assert!(tried >= 40, "{tried}");
    }
}

#[test]
fn origins_are_compared_as_they_are_written() {
    for origin in [ORIGIN, APP] {
        let mut key = SoftKey::new(Algorithm::Es256, origin);
        let stored = judge_new(&key.create(&options(&CHALLENGE)).text(), UserVerification::Preferred, false).expect(origin);
        let sent = key.get(&options(&CHALLENGE)).text(&key);
        judge_use(&sent, &stored, UserVerification::Preferred).expect(origin);
    }
}

// cases: AC-26
#[test]
fn attestation_is_verified_where_it_comes_and_demanded_where_it_is_wanted() {
    for algorithm in Algorithm::ALL {
        let mut key = SoftKey::new(algorithm, ORIGIN);
        let good = key.create(&options(&CHALLENGE));
        let attested = good.clone().attested_by(&key);
        let stored = judge_new(&attested.text(), UserVerification::Preferred, false).expect("attested by itself");
        assert_eq!(stored.attestation_type, "packed");
        for own in [&good, &attested] {
            let unproven = judge_new(&own.text(), UserVerification::Preferred, true).expect_err("by nobody else");
            assert_eq!(unproven, Unproven::Unattested.to_string());
        }
    }
}

#[test]
fn ids_of_every_length_that_authenticators_may_choose_work() {
    for length in [1, 16, 255, 528, LONGEST_KEY_ID] {
        let mut key = SoftKey::new(Algorithm::Es256, ORIGIN);
        key.id = vec![0xab; length];
        let stored = judge_new(&key.create(&options(&CHALLENGE)).text(), UserVerification::Preferred, false).expect("a key");
        assert_eq!(stored.id, key.id);
        judge_use(&key.get(&options(&CHALLENGE)).text(&key), &stored, UserVerification::Preferred).expect("its use");
    }
}

#[test]
fn extensions_hints_and_padding_harm_nothing() {
    let mut key = SoftKey::new(Algorithm::Es256, ORIGIN);
    key.transports = Some(["cable", "internal", "hybrid", "smart-card", "telepathy"].map(str::to_owned).to_vec());
    let mut creation = key.create(&options(&CHALLENGE));
    creation.data.flags |= ED;
    soft::map(&mut creation.data.rest, 1);
    soft::text(&mut creation.data.rest, "hmac-secret");
    creation.data.rest.push(0xf5);
    creation.client_data["other"] = json!({ "members": ["are", "allowed"] });
    let mut credential = creation.credential();
    credential["clientExtensionResults"] = json!({ "credProps": { "rk": true }, "nobody": "knows" });
    credential["authenticatorAttachment"] = json!("platform");
    let padded = format!("{}=", credential["rawId"].as_str().expect("an id"));
    credential["rawId"] = padded.into();
    let stored = judge_new(&credential.to_string(), UserVerification::Preferred, false).expect("a key");
    assert_eq!(stored.transport.expect("hints"), ["cable", "internal", "hybrid", "smart-card", "telepathy"]);
}

/// Counts and flags over a life (WebAuthn Level 3, sections 6.1.1 and 6.1.3).
#[test]
fn counts_and_flags_are_kept_and_judged() {
    let (mut key, _, mut stored) = made(Algorithm::Es256);
    assert_eq!(stored.flags.expect("flags"), Flags { user_present: true, user_verified: true, ..Flags::default() });
    let mut turn = |flags: u8, count: u32, stored: &Key| {
        let mut one = key.get(&options(&CHALLENGE));
        one.data.flags = flags;
        one.data.sign_count = count;
        judge_use(&one.text(&key), stored, UserVerification::Preferred)
    };
    for (count, backwards) in [(0, false), (5, false), (6, false), (6, true), (2, true), (7, false), (0, true)] {
        let used = turn(UP, count, &stored).expect("a signal is no refusal");
        assert_eq!(used.counted_backwards, backwards, "{count}");
        stored = used.key;
    }
    assert_eq!((stored.authenticator.sign_count, stored.authenticator.clone_warning), (7, true), "the warning stays");
    let used = turn(UP | BE, 8, &stored).expect("may be synced from now on");
    assert!(used.became_backup_eligible);
    let used = turn(UP | BE | BS, 9, &used.key).expect("is synced");
    assert!(!used.became_backup_eligible && used.key.is_synced());
    let used = turn(UP | BE, 10, &used.key).expect("is not, for now");
    turn(UP, 11, &used.key).expect_err("what may be synced stays so");
    // Kept by a server that kept no flags: taken as they are at the first use.
    let unknown = Key { flags: None, ..used.key };
    let used = turn(UP | BE | BS, 12, &unknown).expect("unknown flags");
    assert!(!used.became_backup_eligible && used.key.is_synced());
}

/// Keys as other servers stored them: the public key is the authenticator's own bytes.
#[test]
fn stored_keys_of_other_servers_are_used() {
    let mut accepted = 0;
    for algorithm in Algorithm::ALL {
        let (mut key, _, _) = made(algorithm);
        let sent = key.get(&options(&CHALLENGE)).text(&key);
        let plain = json!({
            "id": STANDARD.encode(&key.id), "public_key": STANDARD.encode(key.cose()), "attestation_type": "none",
            "authenticator": { "aaguid": STANDARD.encode([0; 16]), "sign_count": 0, "clone_warning": false },
            "display_name": "", "added_at": "2024-05-01T10:00:00Z", "is_passwordless": true,
        });
        let flags = json!({ "user_present": true, "user_verified": false, "backup_eligible": false, "backup_state": false });
        let attestation = json!({ "object": "AA==", "client_dataJSON": "AA==", "public_key_algorithm": -7 });
        for more in [
            json!({}),
            json!({ "flags": flags }),
            json!({ "flags": null }),
            json!({ "transport": ["usb", "nfc"], "flags": flags }),
            json!({ "transport": null, "attestation": attestation }),
            json!({ "authenticator": { "aaguid": null, "sign_count": 0 } }),
            json!({ "authenticator": { "aaguid": "", "sign_count": 0, "clone_warning": true, "attachment": "platform" } }),
            json!({ "attestation_type": "packed" }),
            json!({ "authenticator": null, "display_name": null }),
            json!({ "attestation_type": "" }),
            json!({ "added_at": null }),
            json!({ "display_name": "YubiKey", "is_passwordless": false }),
        ] {
            let mut stored = plain.clone();
            bend(&mut stored, &more);
            let keys: Keys = serde_json::from_value(json!({ "credentials": [stored], "user_handle": null })).expect("keys");
            judge_use(&sent, &keys.credentials[0], UserVerification::Preferred).unwrap_or_else(|error| panic!("{more}: {error}"));
            accepted += 1;
        }
    }
    assert!(accepted >= 10);
}

/// A key that was stored with the wrong public key proves nothing.
#[test]
fn broken_stored_keys_prove_nothing() {
    let (mut key, _, stored) = made(Algorithm::Es256);
    let sent = key.get(&options(&CHALLENGE)).text(&key);
    let other = SoftKey::new(Algorithm::Es256, ORIGIN).cose();
    for public_key in [vec![], vec![0xa0], vec![0xff; 40], other, [key.cose(), vec![0]].concat()] {
        let broken = Key { public_key, ..stored.clone() };
        refused("a broken key", Algorithm::Es256, judge_use(&sent, &broken, UserVerification::Preferred));
    }
}
