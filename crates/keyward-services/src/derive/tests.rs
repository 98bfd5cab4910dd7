//! Cases for the writer of identities: what stays, what goes, what is protected, and what it refuses.

use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;

/// Counts up: every buffer is different, and equal runs are equal.
#[derive(Default)]
struct Counter(AtomicU64);

impl Random for Counter {
    fn fill(&self, buffer: &mut [u8]) {
        let number = self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        buffer.iter_mut().zip(number.iter().cycle()).for_each(|(byte, source)| *byte = *source);
    }
}

const NOW: Time = Time::from_unix(1_785_000_000);
const LATER: Time = Time::from_unix(1_785_000_060);

fn schema() -> IdentitySchema {
    compile(&json!({
        "email": {"type": "string", "format": "email", "ory.sh/kratos": {
            "credentials": {"password": {"identifier": true}, "webauthn": {"identifier": true}, "code": {"identifier": true, "via": "email"}},
            "verification": {"via": "email"}, "recovery": {"via": "email"}}},
        "phone": {"type": "string", "format": "tel", "ory.sh/kratos": {
            "credentials": {"password": {"identifier": true}}, "verification": {"via": "sms"}}},
        "others": {"type": "array", "items": {"type": "string", "format": "email", "ory.sh/kratos": {"verification": {"via": "email"}}}},
        "nick": {"type": "string", "maxLength": 1000, "ory.sh/kratos": {"credentials": {"password": {"identifier": true}}}},
        "name": {"type": "object", "properties": {"first": {"type": "string"}}},
        "note": {},
    }))
}

fn compile(properties: &Value) -> IdentitySchema {
    let document = json!({"properties": {"traits": {"type": "object", "properties": properties}}});
    IdentitySchema::compile("default", &document.to_string()).unwrap()
}

fn edit(traits: Value) -> IdentityEdit {
    IdentityEdit { traits: Some(traits), ..IdentityEdit::default() }
}

fn put(kind: CredentialType, config: Value) -> CredentialEdit {
    CredentialEdit::Put { kind, config, identifiers: None }
}

fn create(traits: Value, credentials: Vec<CredentialEdit>) -> IdentitySnapshot {
    let edit = IdentityEdit { traits: Some(traits), credentials, ..IdentityEdit::default() };
    derive(&schema(), None, &edit, NOW, &Counter::default()).unwrap().snapshot()
}

fn mara() -> IdentitySnapshot {
    let password = put(CredentialType::Password, json!({"hashed_password": "$argon2id$x"}));
    create(json!({"email": "Mara@Example.org", "name": {"first": "Mara"}}), vec![password])
}

fn change(before: &IdentitySnapshot, edit: IdentityEdit) -> Result<Derived, FormErrors> {
    let random = Counter(AtomicU64::new(1_000));
    derive(&schema(), Some(before), &edit, LATER, &random)
}

fn refusal(result: Result<Derived, FormErrors>) -> (Option<String>, u32) {
    let first = result.unwrap_err().0.remove(0);
    (first.node, first.message.id)
}

#[test]
fn a_new_account_reserves_its_names_for_every_method() {
    let snapshot = mara();
    assert_eq!(snapshot.version, 1);
    assert_eq!(snapshot.identity.traits["email"], "Mara@Example.org", "traits keep what the person typed");
    let rows: Vec<_> = snapshot.credentials.iter().map(|row| (row.kind, row.identifiers.join(","), row.config.clone())).collect();
    let address = "mara@example.org".to_owned();
    assert_eq!(
        rows,
        [
            (CredentialType::Password, address.clone(), json!({"hashed_password": "$argon2id$x"})),
            (CredentialType::Webauthn, address.clone(), json!({})),
            (CredentialType::Code, address.clone(), json!({"addresses": [{"address": address, "channel": "email"}]})),
        ]
    );
    let verifiable: Vec<_> =
        snapshot.identity.verifiable_addresses.iter().map(|row| (row.via, row.value.as_str(), row.status)).collect();
    assert_eq!(verifiable, [(Via::Email, "mara@example.org", AddressStatus::Pending)]);
    assert_eq!(snapshot.identity.recovery_addresses[0].value, "mara@example.org");
    assert_eq!((snapshot.factors().password, snapshot.factors().webauthn, snapshot.factors().code), (1, 0, 1));

    let without = create(json!({"email": "mara@example.org"}), vec![]);
    let identifiers = |snapshot: &IdentitySnapshot| {
        snapshot.credentials.iter().map(|row| (row.kind, row.identifiers.clone())).collect::<Vec<_>>()
    };
    assert_eq!(identifiers(&without), identifiers(&snapshot), "a password changes nothing about what is reserved");
    assert_eq!(without.factors().password, 0);
}

#[test]
fn a_changed_address_takes_new_rows_and_an_unchanged_one_keeps_its_own() {
    let mut before = mara();
    before.identity.verifiable_addresses[0].verified = true;
    before.identity.verifiable_addresses[0].status = AddressStatus::Completed;
    let old = before.identity.verifiable_addresses[0].clone();

    let same = change(&before, edit(json!({"email": " MARA@example.org", "name": {"first": "M"}}))).unwrap();
    assert_eq!(same.identity.verifiable_addresses, std::slice::from_ref(&old), "another spelling is the same address");
    assert!(!same.touches_protected());
    assert_eq!(same.changed_traits(), ["traits.email", "traits.name.first"]);
    assert_eq!(same.credentials, before.credentials);

    let more =
        change(&before, edit(json!({"email": "mara@example.org", "others": ["m@example.net", "mara@example.org"]}))).unwrap();
    assert_eq!(more.identity.verifiable_addresses.len(), 2, "one row for each distinct address");
    assert_eq!(more.identity.verifiable_addresses[0], old);
    assert!(more.touches_protected());

    let moved = change(&before, edit(json!({"email": "m@example.net"}))).unwrap();
    let row = &moved.identity.verifiable_addresses[0];
    assert_ne!(row.id, old.id);
    assert_eq!((row.value.as_str(), row.verified, row.status), ("m@example.net", false, AddressStatus::Pending));
    assert!(moved.touches_protected());
    for (row, old) in moved.credentials.iter().zip(&before.credentials) {
        assert_eq!(
            (row.id, row.created_at, row.updated_at, &*row.identifiers),
            (old.id, NOW, LATER, &["m@example.net".to_owned()][..])
        );
    }
    assert_eq!((moved.identity.created_at, moved.identity.updated_at), (NOW, LATER));
}

#[test]
fn what_finds_the_account_is_protected_and_nothing_else() {
    let before =
        create(json!({"email": "mara@example.org", "phone": "+16502530000", "nick": "Mara", "others": ["a@b.example"]}), vec![]);
    for (traits, protected) in [
        (
            json!({"email": "mara@example.org", "phone": "+1 650 253 0000", "nick": "MARA ", "others": ["a@b.example"], "note": 1}),
            false,
        ),
        (json!({"email": "mara@example.org", "phone": "+16502530001", "nick": "Mara", "others": ["a@b.example"]}), true),
        (json!({"email": "mara@example.org", "phone": "+16502530000", "nick": "mara2", "others": ["a@b.example"]}), true),
        (json!({"email": "mara@example.org", "phone": "+16502530000", "nick": "Mara", "others": []}), true),
        (json!({"email": "mara@example.org", "nick": "Mara", "others": ["a@b.example"]}), true),
    ] {
        assert_eq!(change(&before, edit(traits.clone())).unwrap().touches_protected(), protected, "{traits}");
    }
    let totp = IdentityEdit {
        credentials: vec![put(CredentialType::Totp, json!({"totp_url": "otpauth://"}))],
        ..IdentityEdit::default()
    };
    let enrolled = change(&before, totp).unwrap();
    assert!(!enrolled.touches_protected(), "a new factor is its own operation");
    let row = enrolled.credentials.iter().find(|row| row.kind == CredentialType::Totp).unwrap();
    assert_eq!((row.identifiers.clone(), row.version), (vec![before.identity.id.to_string()], 0));
    assert_eq!(enrolled.factors.totp, 1);
}

#[test]
fn a_schema_that_changed_is_nobodys_protected_edit() {
    let mut before = mara();
    before.credentials.retain(|row| row.kind == CredentialType::Password);
    before.identity.recovery_addresses.clear();
    let derived = change(&before, edit(json!({"email": "mara@example.org", "name": {"first": "M"}}))).unwrap();
    assert!(!derived.touches_protected());
    assert_eq!(derived.credentials.len(), 3, "but it is brought up to date");
    assert_eq!(derived.identity.recovery_addresses.len(), 1);
}

#[test]
fn phone_numbers_are_stored_in_one_form() {
    let snapshot = create(json!({"phone": "\u{200b}+1 (650) 253-0000 "}), vec![]);
    assert_eq!(snapshot.identity.traits["phone"], "+16502530000");
    assert_eq!(
        (snapshot.identity.verifiable_addresses[0].via, &*snapshot.identity.verifiable_addresses[0].value),
        (Via::Sms, "+16502530000")
    );
    assert_eq!(snapshot.credentials[0].identifiers, ["+16502530000"]);
    assert_eq!(refusal(change(&snapshot, edit(json!({"phone": "0650 253"})))), (Some("traits.phone".into()), 4_000_041));
}

#[test]
fn a_schema_that_grew_stricter_never_blocks_another_change() {
    let before = mara();
    let stricter = IdentitySchema::compile("default", &json!({"properties": {"traits": {
        "type": "object", "required": ["company"], "additionalProperties": false,
        "properties": {"company": {"type": "string"}, "email": {"type": "string", "format": "email", "ory.sh/kratos": {"credentials": {"password": {"identifier": true}}}}}}}}).to_string()).unwrap();
    let random = Counter::default();
    let password = IdentityEdit {
        credentials: vec![put(CredentialType::Password, json!({"hashed_password": "$new$"}))],
        ..IdentityEdit::default()
    };
    let derived = derive(&stricter, Some(&before), &password, LATER, &random).unwrap();
    assert_eq!(derived.identity.traits, before.identity.traits);
    let again = edit(before.identity.traits.clone());
    assert!(derive(&stricter, Some(&before), &again, LATER, &random).unwrap_err().0.len() >= 2, "but its own edit is judged");
    let moved = IdentityEdit { schema_id: Some("default".into()), ..IdentityEdit::default() };
    assert!(derive(&stricter, Some(&before), &moved, LATER, &random).is_err(), "and so is a move to it");
}

#[test]
fn a_password_or_key_needs_an_identifier() {
    let nameless = create(json!({}), vec![]);
    assert!(nameless.credentials.is_empty());
    for kind in [CredentialType::Password, CredentialType::Webauthn] {
        let edit = IdentityEdit { credentials: vec![put(kind, json!({"hashed_password": "$x$"}))], ..IdentityEdit::default() };
        assert_eq!(refusal(change(&nameless, edit)), (None, 4_000_009), "{kind:?}");
    }
    let left = change(&mara(), edit(json!({}))).unwrap();
    let row = left.credentials.iter().find(|row| row.kind == CredentialType::Password).unwrap();
    assert!(row.identifiers.is_empty() && !row.config["hashed_password"].is_null(), "the hash waits for a new identifier");
    assert_eq!((left.factors.password, left.credentials.len()), (0, 1));
}

#[test]
fn dropping_keeps_the_names_and_removes_the_rest() {
    let passkey = CredentialEdit::Put {
        kind: CredentialType::Passkey,
        config: json!({"credentials": [{}]}),
        identifiers: Some(vec!["handle".into()]),
    };
    let before = change(&mara(), IdentityEdit { credentials: vec![passkey], ..IdentityEdit::default() }).unwrap().snapshot();
    assert_eq!(before.credential(CredentialType::Passkey).unwrap().identifiers, ["handle"]);
    let renamed = put(CredentialType::Passkey, json!({"credentials": [{"display_name": "phone"}]}));
    let after = change(&before, IdentityEdit { credentials: vec![renamed], ..IdentityEdit::default() }).unwrap();
    assert_eq!(after.snapshot().credential(CredentialType::Passkey).unwrap().identifiers, ["handle"], "kept when not given");
    let drops = [CredentialType::Passkey, CredentialType::Password].map(CredentialEdit::Drop).to_vec();
    let after = change(&before, IdentityEdit { credentials: drops, ..IdentityEdit::default() }).unwrap().snapshot();
    assert!(after.credential(CredentialType::Passkey).is_none());
    let reserved = after.credential(CredentialType::Password).unwrap();
    assert_eq!((&reserved.config, &*reserved.identifiers), (&json!({}), &["mara@example.org".to_owned()][..]));
    let oidc = put(CredentialType::Oidc, json!({"providers": [{"provider": "op", "subject": "s1"}, {"subject": "broken"}]}));
    let linked = change(&before, IdentityEdit { credentials: vec![oidc], ..IdentityEdit::default() }).unwrap();
    assert_eq!(linked.snapshot().credential(CredentialType::Oidc).unwrap().identifiers, ["op:s1"]);
    assert_eq!(linked.factors.oidc, 1);
}

#[test]
fn a_proof_counts_for_the_very_address_it_went_to() {
    let before = mara();
    for (via, value, verified) in [
        (Via::Email, "mara@example.org", true),
        (Via::Sms, "mara@example.org", false),
        (Via::Email, "other@example.org", false),
        (Via::Email, "Mara@example.org", false),
    ] {
        let proof = AddressProof { via, value: value.into() };
        let derived = change(&before, IdentityEdit { addresses: vec![proof], ..IdentityEdit::default() }).unwrap();
        let row = &derived.identity.verifiable_addresses[0];
        assert_eq!(
            (row.verified, row.verified_at.is_some(), row.status == AddressStatus::Completed),
            (verified, verified, verified),
            "{value}"
        );
    }
}

#[test]
fn nothing_in_traits_reaches_a_field_of_the_account() {
    let hostile = json!({"email": "mara@example.org", "note": {"id": "x"}, "id": "x", "verified": true, "state": "inactive",
        "schema_id": "admin", "metadata_public": {"a": 1}, "external_id": "x", "verifiable_addresses": [{"verified": true}]});
    let before = mara();
    let after = change(&before, edit(hostile)).unwrap().identity;
    let mut expected = before.identity.clone();
    expected.traits = after.traits.clone();
    expected.updated_at = LATER;
    assert!(after == expected, "only traits and the time changed");
}

#[test]
fn sizes_are_bounded() {
    let before = mara();
    let deep = (0..17).fold(json!(1), |inner, _| json!({ "n": inner }));
    let just = (0..15).fold(json!(1), |inner, _| json!({ "n": inner }));
    for (traits, expected) in [
        (json!({"note": deep}), Some(("traits", 4_000_001))),
        (json!({"note": just}), None),
        (json!({"note": "x".repeat(Bounds::default().traits_bytes)}), Some(("traits", 4_000_001))),
        (json!({"nick": "x".repeat(Bounds::default().identifier_bytes + 1)}), Some(("traits.nick", 4_000_017))),
        (json!({"nick": "x".repeat(Bounds::default().identifier_bytes)}), None),
        (json!({"email": format!("{}@example.org", "x".repeat(400))}), Some(("traits.email", 4_000_017))),
        (json!({"nick": "ma\u{200d}ra"}), Some(("traits.nick", 4_000_001))),
        (json!([1]), Some(("traits", 4_000_026))),
    ] {
        let found = change(&before, edit(traits)).map(|_| ()).map_err(|mut errors| {
            let first = errors.0.remove(0);
            (first.node.unwrap(), first.message.id)
        });
        assert_eq!(found.err(), expected.map(|(node, id)| (node.to_owned(), id)));
    }
    for (external_id, accepted) in [("x".repeat(64), true), ("x".repeat(65), false), (String::new(), false)] {
        let edit = IdentityEdit { external_id: Some(Some(external_id)), ..IdentityEdit::default() };
        assert_eq!(change(&before, edit).is_ok(), accepted);
    }
}

#[test]
fn fields_change_only_when_told_to() {
    let before = mara();
    let edit = IdentityEdit {
        state: Some(IdentityState::Inactive),
        metadata_public: Some(Some(json!({"plan": 1}))),
        metadata_admin: Some(None),
        external_id: Some(Some("e-1".into())),
        ..IdentityEdit::default()
    };
    let after = change(&before, edit).unwrap().identity;
    assert_eq!((after.state, after.state_changed_at), (IdentityState::Inactive, LATER));
    assert_eq!((after.metadata_public, after.external_id.as_deref()), (Some(json!({"plan": 1})), Some("e-1")));
    let same = IdentityEdit { state: Some(IdentityState::Active), ..IdentityEdit::default() };
    assert_eq!(change(&before, same).unwrap().identity.state_changed_at, NOW);
}

#[test]
fn only_what_differs_is_written() {
    let before = mara();
    let written = |derived: &Derived| {
        let mut batch = Batch::new();
        derived.write(&mut batch);
        batch.len()
    };
    let nothing = written(&change(&before, IdentityEdit::default()).unwrap());
    let name = written(&change(&before, edit(json!({"email": "mara@example.org", "name": {"first": "M"}}))).unwrap());
    assert_eq!(name, nothing, "credentials that stay are not written");
    let totp = IdentityEdit { credentials: vec![put(CredentialType::Totp, json!({}))], ..IdentityEdit::default() };
    assert!(written(&change(&before, totp).unwrap()) > nothing);
    let gone = written(&change(&before, edit(json!({}))).unwrap());
    assert!(gone > 0);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn deriving_what_was_derived_changes_nothing(
        email in prop_oneof!["[A-Za-z.+]{1,8}@[a-zA-ZäöüßİΣ-]{1,8}\\.(org|example)", "\\PC{0,20}"],
        nick in prop_oneof!["[\\u{200b} ]?[A-Za-zäΣİﬁＭ ]{1,8}[ \\t]?", "\\PC{1,12}", "\\PC{1,4}@\\PC{1,4}"],
        phone in "\\+[0-9 ()-]{4,16}",
    ) {
        for traits in [json!({"email": email}), json!({"nick": nick}), json!({"phone": phone}), json!({"others": [email, nick]})] {
            let random = Counter::default();
            let Ok(first) = derive(&schema(), None, &edit(traits), NOW, &random) else { continue };
            let before = first.snapshot();
            let second = derive(&schema(), Some(&before), &edit(before.identity.traits.clone()), NOW, &random).unwrap();
            prop_assert!(!second.touches_protected());
            prop_assert_eq!(second.changed_traits(), Vec::<String>::new());
            prop_assert_eq!(&second.snapshot().credentials, &before.credentials);
            prop_assert!(second.identity == before.identity);

            // What was stored, typed again as it stands or as it is canonical, is found.
            for row in &before.credentials {
                for identifier in &row.identifiers {
                    let found = crate::phone::login_candidates(identifier);
                    prop_assert!(found.contains(identifier), "{:?} is not among {:?}", identifier, found);
                }
            }
            let typed = before.identity.traits["nick"].as_str().or(before.identity.traits["email"].as_str());
            if let (Some(typed), Some(row)) = (typed, before.credentials.first()) {
                let stored = &row.identifiers[0];
                prop_assert!(crate::phone::login_candidates(typed).contains(stored), "{:?} does not find {:?}", typed, stored);
            }
        }
    }
}

#[tokio::test]
async fn what_is_written_is_what_was_derived_and_a_lost_race_is_refused() {
    use keyward_store::{Refusal, Store, StoreError, UniqueConflict};

    let store = Store::open("memory").await.unwrap();
    let random = Counter::default();
    let commit = async |derived: &Derived| {
        let mut batch = Batch::new();
        derived.write(&mut batch);
        store.commit(batch).await
    };
    let password = vec![put(CredentialType::Password, json!({"hashed_password": "$1$"}))];
    let first = IdentityEdit {
        traits: Some(json!({"email": "mara@example.org", "others": ["a@b.example", "c@d.example"]})),
        credentials: password,
        ..IdentityEdit::default()
    };
    let created = derive(&schema(), None, &first, NOW, &random).unwrap();
    commit(&created).await.unwrap();
    let stored = store.find_identity(created.identity.id).await.unwrap().unwrap();
    assert_eq!(stored, created.snapshot());

    let next = |edit| derive(&schema(), Some(&stored), &edit, LATER, &random).unwrap();
    let swapped = json!({"email": "new@example.org", "phone": "+16502530000", "others": ["c@d.example", "mara@example.org"]});
    let profile = next(edit(swapped.clone()));
    let totp = next(IdentityEdit {
        credentials: vec![
            put(CredentialType::Totp, json!({"totp_url": "otpauth://"})),
            CredentialEdit::Drop(CredentialType::Password),
        ],
        ..IdentityEdit::default()
    });
    commit(&totp).await.unwrap();
    assert!(matches!(commit(&profile).await, Err(StoreError::Refused(Refusal::VersionConflict))));
    let now = store.find_identity(created.identity.id).await.unwrap().unwrap();
    assert_eq!(now, totp.snapshot());
    let again = derive(&schema(), Some(&now), &edit(swapped), LATER, &random).unwrap();
    commit(&again).await.unwrap();
    let last = store.find_identity(created.identity.id).await.unwrap().unwrap();
    assert_eq!(last, again.snapshot());
    assert_eq!(last.factors().totp, 1, "nothing is lost");

    let taken = derive(&schema(), None, &edit(json!({"email": "NEW@example.org"})), LATER, &random).unwrap();
    assert!(matches!(
        commit(&taken).await,
        Err(StoreError::Unique(UniqueConflict::Identifier | UniqueConflict::VerifiableAddress))
    ));
}
