//! Typed reads and writes: what is written is what is read, and every guard guards.

use keyward_model::{
    Aal, AuthMethod, ContainerId, Credential, CredentialType, FlowId, Identity, IdentitySnapshot, IdentityState, SessionId, Span,
    Time, Via, WIRE_VERSION, count_factors, serve_wire_json,
};
use keyward_store::{
    AuditEvent, Batch, ContainerRow, ErrorRow, Expect, FlowRow, GrantRow, Liveness, PageStart, Refusal, Sql, Store, StoreError,
    UniqueConflict, params,
};
use serde_json::{Value, json};

use crate::support::{NOW, Trial, credential, id, on_each_database, person, session, token_hash};

on_each_database!(
    an_identity_is_read_as_it_was_written,
    an_edit_is_guarded_by_the_version,
    conflicts_name_the_value_that_is_taken,
    identities_are_listed_in_pages,
    login_upkeep_is_lost_when_somebody_was_faster,
    a_deleted_identity_takes_everything_with_it,
    whoami_reads_session_and_identity,
    whoami_tells_a_credential_that_does_more_than_start_a_session,
    keys_are_found_by_their_id_and_belong_to_one_account,
    a_session_is_raised_once_per_version_and_never_revived,
    sessions_are_listed_with_their_count,
    flows_are_guarded_by_their_version,
    containers_are_consumed_once,
    grants_are_found_and_consumed_once,
    errors_are_kept,
    audit_events_are_only_added,
);

async fn create(store: &Store, identity: &Identity, identifiers: &[&str]) -> IdentitySnapshot {
    let credentials = vec![credential(CredentialType::Password, identifiers)];
    let mut batch = Batch::new();
    batch.insert_identity(identity, &count_factors(&credentials), 1);
    batch.put_credential(identity.id, &credentials[0]);
    store.commit(batch).await.unwrap();
    IdentitySnapshot { identity: identity.clone(), credentials, version: 1 }
}

fn refusal(outcome: Result<(), StoreError>) -> Refusal {
    match outcome {
        Err(StoreError::Refused(refusal)) => refusal,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

async fn an_identity_is_read_as_it_was_written(trial: &Trial) {
    let store = &trial.store;
    let written = create(store, &person("ada"), &["zoe@example.org", "ada@example.org"]).await;
    let identity = &written.identity;
    let expected = Some(written.clone());
    assert_eq!(store.find_identity(identity.id).await.unwrap(), expected);
    assert_eq!(store.find_identity_by_external_id("crm-ada").await.unwrap(), expected);
    assert_eq!(store.find_identity_by_identifier(CredentialType::Password, "zoe@example.org").await.unwrap(), expected);
    assert_eq!(store.find_identity_by_verifiable_address(Via::Sms, "+49-ada").await.unwrap(), expected);
    assert_eq!(store.find_identity_by_recovery_address(Via::Email, "ada@example.org").await.unwrap(), expected);
    assert_eq!(store.find_identities_by_any_identifier("ada@example.org").await.unwrap(), std::slice::from_ref(&written));
    assert_eq!(store.find_identities(&[id(), identity.id, identity.id]).await.unwrap(), std::slice::from_ref(&written));

    assert_eq!(store.find_identity(id()).await.unwrap(), None);
    assert_eq!(store.find_identity_by_identifier(CredentialType::Oidc, "zoe@example.org").await.unwrap(), None);
    assert_eq!(store.find_identity_by_identifier(CredentialType::Password, "ZOE@example.org").await.unwrap(), None);
    assert_eq!(store.find_identity_by_recovery_address(Via::Sms, "ada@example.org").await.unwrap(), None);
}

async fn an_edit_is_guarded_by_the_version(trial: &Trial) {
    let store = &trial.store;
    let before = create(store, &person("ada"), &["ada@example.org"]).await;
    let mut identity = before.identity.clone();
    identity.state = IdentityState::Inactive;
    identity.metadata_admin = Some(json!([1]));
    identity.external_id = None;
    // The telephone becomes the first address, the mail address changes in place and can no longer recover.
    identity.verifiable_addresses.reverse();
    identity.verifiable_addresses[1].value = "new@example.org".into();
    identity.recovery_addresses.clear();
    let mut totp = credential(CredentialType::Totp, &[]);
    totp.config = json!({"totp_url": "sealed"});
    let edit = |traits: Value| {
        let mut batch = Batch::new();
        let mut identity = identity.clone();
        identity.traits = traits;
        batch.update_identity(&before, &identity, &count_factors(&[totp.clone()]));
        batch.put_credential(identity.id, &totp);
        batch.drop_credential(identity.id, before.credentials[0].id);
        (batch, identity)
    };
    let (first, identity) = edit(json!({"winner": true}));
    let (second, _) = edit(json!({"winner": false}));
    store.commit(first).await.unwrap();
    assert_eq!(refusal(store.commit(second).await), Refusal::VersionConflict);

    let expected = IdentitySnapshot { identity, credentials: vec![totp.clone()], version: 2 };
    assert_eq!(store.find_identity(before.identity.id).await.unwrap(), Some(expected));
    assert_eq!(store.find_identity_by_identifier(CredentialType::Password, "ada@example.org").await.unwrap(), None);
}

type Clash = fn(&mut Identity, &Identity);

async fn conflicts_name_the_value_that_is_taken(trial: &Trial) {
    let store = &trial.store;
    let ada = create(store, &person("ada"), &["ada@example.org"]).await.identity;
    let attempt = |change: Clash, identifier: &'static str| {
        let mut other = person("bob");
        change(&mut other, &ada);
        let mut batch = Batch::new();
        batch.insert_identity(&other, &count_factors(&[]), 1);
        batch.put_credential(other.id, &credential(CredentialType::Password, &[identifier]));
        batch
    };
    let cases: [(Clash, &str, UniqueConflict); 5] = [
        (|_, _| {}, "ada@example.org", UniqueConflict::Identifier),
        (
            |bob, ada| bob.verifiable_addresses[1].value.clone_from(&ada.verifiable_addresses[1].value),
            "bob",
            UniqueConflict::VerifiableAddress,
        ),
        (
            |bob, ada| bob.recovery_addresses[0].value.clone_from(&ada.recovery_addresses[0].value),
            "bob",
            UniqueConflict::RecoveryAddress,
        ),
        (|bob, ada| bob.external_id.clone_from(&ada.external_id), "bob", UniqueConflict::ExternalId),
        (|bob, ada| bob.id = ada.id, "bob", UniqueConflict::Other),
    ];
    for (change, identifier, expected) in cases {
        match store.commit(attempt(change, identifier)).await {
            Err(StoreError::Unique(conflict)) => assert_eq!(conflict, expected),
            other => panic!("{expected:?}: {other:?}"),
        }
    }
    // An address id of somebody else is not taken over.
    let mut batch = attempt(|_, _| {}, "bob");
    let bob = store.count_identities().await.unwrap();
    batch.put_recovery_address(id(), 0, &ada.recovery_addresses[0]);
    assert_eq!(refusal(store.commit(batch).await), Refusal::Gone);
    assert_eq!((bob, store.count_identities().await.unwrap()), (1, 1));
    store.commit(attempt(|_, _| {}, "bob")).await.unwrap();
}

async fn identities_are_listed_in_pages(trial: &Trial) {
    let store = &trial.store;
    let mut all = Vec::new();
    for (place, name) in ["c", "a", "b", "e", "d"].into_iter().enumerate() {
        let mut identity = person(name);
        // Two share an instant, so that the id must break the tie.
        identity.created_at = Time::from_unix(if place == 2 { 1 } else { i64::try_from(place).unwrap() });
        all.push(create(store, &identity, &[name]).await);
    }
    assert_eq!(store.count_identities().await.unwrap(), 5);
    assert_eq!(store.list_identities(PageStart::Offset(0), 100).await.unwrap(), all);
    assert_eq!(store.list_identities(PageStart::Offset(3), 2).await.unwrap(), all[3..]);
    let mut start = PageStart::Offset(0);
    let mut walked = Vec::new();
    loop {
        let page = store.list_identities(start, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        start = PageStart::After(last.identity.created_at, last.identity.id);
        walked.extend(page);
    }
    assert_eq!(walked, all);
}

async fn login_upkeep_is_lost_when_somebody_was_faster(trial: &Trial) {
    let store = &trial.store;
    let before = create(store, &person("ada"), &["ada@example.org"]).await;
    for hash in ["first", "second"] {
        let mut batch = Batch::new();
        batch.touch_credential_config(&before.credentials[0], &json!({"hashed_password": hash}), NOW);
        store.commit(batch).await.unwrap();
    }
    let after = store.find_identity(before.identity.id).await.unwrap().unwrap();
    assert_eq!(after.credentials[0].config, json!({"hashed_password": "first"}));
    assert_eq!(after.version, before.version, "upkeep must not disturb an edit in progress");
}

async fn a_deleted_identity_takes_everything_with_it(trial: &Trial) {
    let store = &trial.store;
    let ada = create(store, &person("ada"), &["ada@example.org"]).await.identity;
    let (own, hash) = (session(&ada), token_hash());
    let mut batch = Batch::new();
    batch.insert_session(&own, &hash, NOW);
    let flow = FlowRow { identity_id: Some(ada.id), ..flow() };
    batch.insert_flow(&flow);
    store.commit(batch).await.unwrap();

    let mut batch = Batch::new();
    batch.delete_identity(ada.id);
    store.commit(batch.clone()).await.unwrap();
    assert_eq!(store.find_session(&hash).await.unwrap(), None);
    assert_eq!(store.find_flow(flow.id, &flow.kind).await.unwrap(), None);
    assert_eq!(refusal(store.commit(batch).await), Refusal::Gone);

    // A sign-in that raced with the deletion finds nobody to sign in.
    let mut batch = Batch::new();
    batch.insert_session(&session(&ada), &token_hash(), NOW);
    assert_eq!(refusal(store.commit(batch).await), Refusal::Gone);
    // Everything that was taken is free again.
    create(store, &person("ada"), &["ada@example.org"]).await;
}

async fn whoami_tells_a_credential_that_does_more_than_start_a_session(trial: &Trial) {
    use CredentialType::{Code, LookupSecret, Oidc, Passkey, Password, Saml, Totp, Webauthn};
    let cases: [(&[CredentialType], Option<CredentialType>); 9] = [
        (&[], None),
        (&[Password, Passkey, Oidc, Saml], None),
        (&[Code], Some(Code)),
        (&[Code, Password], Some(Code)),
        (&[Code, Totp], Some(Totp)),
        (&[Code, LookupSecret], Some(LookupSecret)),
        (&[Code, Webauthn, Passkey], Some(Webauthn)),
        (&[LookupSecret, Password], Some(LookupSecret)),
        (&[Password, Totp], Some(Totp)),
    ];
    for (number, (held, expected)) in cases.into_iter().enumerate() {
        let ada = person(&format!("ada-{number}"));
        let hash = token_hash();
        let mut batch = Batch::new();
        batch.insert_identity(&ada, &count_factors(&[]), 1);
        batch.insert_session(&session(&ada), &hash, NOW);
        held.iter().for_each(|kind| batch.put_credential(ada.id, &credential(*kind, &[])));
        trial.store.commit(batch).await.unwrap();
        let row = trial.store.find_session(&hash).await.unwrap().unwrap();
        assert_eq!(row.further_credential, expected, "{held:?}");
    }
    // A row that only keeps names reserved proves nothing.
    let (ada, hash) = (person("reserved"), token_hash());
    let mut batch = Batch::new();
    batch.insert_identity(&ada, &count_factors(&[]), 1);
    batch.insert_session(&session(&ada), &hash, NOW);
    batch.put_credential(ada.id, &Credential { config: json!({}), ..credential(Webauthn, &["reserved"]) });
    trial.store.commit(batch).await.unwrap();
    assert_eq!(trial.store.find_session(&hash).await.unwrap().unwrap().further_credential, None);
}

async fn keys_are_found_by_their_id_and_belong_to_one_account(trial: &Trial) {
    let store = &trial.store;
    let ada = create(store, &person("ada"), &["ada@example.org"]).await;
    let bea = create(store, &person("bea"), &["bea@example.org"]).await;
    let keys = |ids: &[&str]| {
        let credentials: Vec<_> = ids.iter().map(|id| json!({ "id": id, "public_key": "AA==" })).collect();
        json!({ "credentials": credentials })
    };
    let held = Credential { config: keys(&["AQ==", "Ag=="]), ..credential(CredentialType::Passkey, &["handle"]) };
    let mut batch = Batch::new();
    batch.put_credential(ada.identity.id, &held);
    store.commit(batch).await.unwrap();
    for id in ["AQ==", "Ag=="] {
        assert_eq!(store.find_identity_by_key(id).await.unwrap().unwrap().identity.id, ada.identity.id);
    }
    let mut batch = Batch::new();
    batch.put_credential(
        bea.identity.id,
        &Credential { config: keys(&["Ag=="]), ..credential(CredentialType::Webauthn, &["bea"]) },
    );
    assert!(matches!(store.commit(batch).await, Err(StoreError::Unique(UniqueConflict::Key))), "of another kind, too");
    // A key that is taken out is free, and so are those of an account that goes.
    let mut batch = Batch::new();
    batch.put_credential(ada.identity.id, &Credential { config: keys(&["AQ=="]), ..held });
    batch.put_credential(
        bea.identity.id,
        &Credential { config: keys(&["Ag=="]), ..credential(CredentialType::Webauthn, &["bea"]) },
    );
    store.commit(batch).await.unwrap();
    assert_eq!(store.find_identity_by_key("Ag==").await.unwrap().unwrap().identity.id, bea.identity.id);
    let mut batch = Batch::new();
    batch.delete_identity(bea.identity.id);
    store.commit(batch).await.unwrap();
    assert!(store.find_identity_by_key("Ag==").await.unwrap().is_none());
}

async fn whoami_reads_session_and_identity(trial: &Trial) {
    let store = &trial.store;
    let ada = create(store, &person("ada"), &["ada@example.org"]).await;
    let (own, hash) = (session(&ada.identity), token_hash());
    let mut batch = Batch::new();
    batch.insert_session(&own, &hash, NOW);
    store.commit(batch).await.unwrap();

    let row = store.find_session(&hash).await.unwrap().unwrap();
    assert_eq!(row.session, own);
    assert_eq!((row.identity_state, row.identity_version, row.wire_version), (IdentityState::Active, 1, WIRE_VERSION));
    let mut answer = String::new();
    serve_wire_json(&row.wire_json, "https://id.example", &mut answer);
    let served: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(served["traits"], ada.identity.traits);
    assert_eq!(served["verifiable_addresses"][1]["value"], "+49-ada");
    assert_eq!(store.find_session_by_id(own.id).await.unwrap(), Some(row));
    assert_eq!(store.find_session(&token_hash()).await.unwrap(), None);
}

async fn a_session_is_raised_once_per_version_and_never_revived(trial: &Trial) {
    let store = &trial.store;
    let ada = create(store, &person("ada"), &["ada@example.org"]).await.identity;
    let (own, hash) = (session(&ada), token_hash());
    let mut batch = Batch::new();
    batch.insert_session(&own, &hash, NOW);
    store.commit(batch).await.unwrap();

    let mut raised = own.clone();
    raised.aal = Aal::Aal2;
    raised.methods.push(AuthMethod::password(NOW + Span::seconds(5)));
    raised.authenticated_at = NOW + Span::seconds(5);
    let mut raise = Batch::new();
    raise.raise_session(&raised, NOW);
    store.commit(raise.clone()).await.unwrap();
    assert_eq!(refusal(store.commit(raise).await), Refusal::Gone, "the version has moved on");
    raised.version = 2;
    assert_eq!(store.find_session(&hash).await.unwrap().unwrap().session, raised);

    let mut extend = Batch::new();
    extend.extend_session(own.id, NOW + Span::hours(48), NOW);
    store.commit(extend.clone()).await.unwrap();
    raised.expires_at = NOW + Span::hours(48);
    assert_eq!(store.find_session(&hash).await.unwrap().unwrap().session, raised);

    let mut foreign = Batch::new();
    foreign.revoke_session(id(), own.id, NOW);
    store.commit(foreign).await.unwrap();
    assert!(store.find_session(&hash).await.unwrap().unwrap().session.active, "somebody else's id revokes nothing");
    let mut revoke = Batch::new();
    revoke.revoke_session(ada.id, own.id, NOW);
    assert_eq!(store.commit_counted(revoke.clone()).await.unwrap(), [1]);
    assert_eq!(store.commit_counted(revoke).await.unwrap(), [0]);
    let mut raise = Batch::new();
    raise.raise_session(&raised, NOW);
    assert_eq!(refusal(store.commit(raise).await), Refusal::Gone);
    assert_eq!(refusal(store.commit(extend).await), Refusal::Gone);
    assert!(!store.find_session(&hash).await.unwrap().unwrap().session.active);
}

async fn sessions_are_listed_with_their_count(trial: &Trial) {
    let store = &trial.store;
    let ada = create(store, &person("ada"), &["ada@example.org"]).await.identity;
    let bob = create(store, &person("bob"), &["bob@example.org"]).await.identity;
    let mut sessions = Vec::new();
    let mut batch = Batch::new();
    for age in 0..4_i64 {
        let mut one = session(&ada);
        if age == 3 {
            one.expires_at = NOW;
        }
        batch.insert_session(&one, &token_hash(), NOW - Span::seconds(age));
        sessions.push(one);
    }
    batch.insert_session(&session(&bob), &token_hash(), NOW - Span::seconds(60));
    batch.revoke_session(ada.id, sessions[2].id, NOW);
    store.commit(batch).await.unwrap();
    sessions[2].active = false;

    let list = |liveness, except, page| store.list_sessions(ada.id, (liveness, NOW), except, page);
    assert_eq!(list(Liveness::Any, None, (0, 10)).await.unwrap(), (sessions.clone(), 4));
    assert_eq!(list(Liveness::Any, None, (1, 2)).await.unwrap(), (sessions[1..3].to_vec(), 4));
    assert_eq!(list(Liveness::Live, None, (0, 10)).await.unwrap(), (sessions[..2].to_vec(), 2));
    assert_eq!(list(Liveness::Live, Some(sessions[0].id), (0, 10)).await.unwrap(), (sessions[1..2].to_vec(), 1));
    assert_eq!(list(Liveness::Dead, None, (0, 10)).await.unwrap(), (sessions[2..].to_vec(), 2));

    let first = store.list_all_sessions((Liveness::Any, NOW), None, 3).await.unwrap();
    let place = first.last().map(|listed| (listed.created_at, listed.session.id));
    let second = store.list_all_sessions((Liveness::Any, NOW), place, 3).await.unwrap();
    let all: Vec<SessionId> = first.iter().chain(&second).map(|listed| listed.session.id).collect();
    assert_eq!(all.len(), 5);
    assert_eq!(all[..4], sessions.iter().map(|one| one.id).collect::<Vec<_>>());

    let mut others = Batch::new();
    others.revoke_other_sessions(ada.id, sessions[1].id, NOW);
    assert_eq!(store.commit_counted(others).await.unwrap(), [2], "one was revoked before, one is kept");
    assert_eq!(list(Liveness::Live, None, (0, 10)).await.unwrap().1, 1);
    let mut every = Batch::new();
    every.revoke_sessions(ada.id, NOW);
    every.delete_sessions(bob.id);
    assert_eq!(store.commit_counted(every).await.unwrap(), [1, 1]);
    assert_eq!(store.list_all_sessions((Liveness::Live, NOW), None, 10).await.unwrap(), []);
}

fn flow() -> FlowRow {
    FlowRow {
        id: id(),
        kind: "settings".into(),
        flow_type: "browser".into(),
        state: "show_form".into(),
        issued_at: NOW,
        expires_at: NOW + Span::hours(1),
        request_url: "https://id.example/self-service/settings/browser?return_to=x".into(),
        identity_id: None,
        session_id: Some(id()),
        form: "{}".into(),
        memory: Some(vec![0, 159, 146, 150]),
        extra: "null".into(),
        version: 1,
    }
}

async fn flows_are_guarded_by_their_version(trial: &Trial) {
    let store = &trial.store;
    let mut flow = flow();
    let mut batch = Batch::new();
    batch.insert_flow(&flow);
    store.commit(batch).await.unwrap();
    assert_eq!(store.find_flow(flow.id, "settings").await.unwrap(), Some(flow.clone()));
    assert_eq!(store.find_flow(flow.id, "login").await.unwrap(), None, "a flow is never read as another kind");

    flow.state = "success".into();
    flow.memory = None;
    let mut batch = Batch::new();
    batch.update_flow(&flow);
    store.commit(batch.clone()).await.unwrap();
    assert_eq!(refusal(store.commit(batch).await), Refusal::VersionConflict);
    flow.version = 2;
    assert_eq!(store.find_flow(flow.id, "settings").await.unwrap(), Some(flow));
}

fn container(flow: FlowId) -> ContainerRow {
    ContainerRow {
        id: id(),
        name: "ory_kratos_settings_password".into(),
        identity_id: None,
        flow_id: flow,
        expires_at: NOW + Span::minutes(15),
        payload: vec![1, 2, 3],
        created_at: NOW,
    }
}

async fn containers_are_consumed_once(trial: &Trial) {
    let store = &trial.store;
    let (used, late, dropped) = (container(id()), container(id()), container(id()));
    let mut batch = Batch::new();
    [&used, &late, &dropped].into_iter().for_each(|one| batch.insert_container(one));
    store.commit(batch).await.unwrap();
    assert_eq!(store.find_container(used.id).await.unwrap(), Some(used.clone()));

    let consume = |container: &ContainerRow, now| {
        let mut batch = Batch::new();
        batch.consume_container(container, now);
        batch
    };
    assert_eq!(refusal(store.commit(consume(&late, late.expires_at)).await), Refusal::AlreadyUsed);
    assert_eq!(refusal(store.commit(consume(&ContainerRow { flow_id: id(), ..late.clone() }, NOW)).await), Refusal::AlreadyUsed);
    store.commit(consume(&used, NOW)).await.unwrap();
    assert_eq!(refusal(store.commit(consume(&used, NOW)).await), Refusal::AlreadyUsed);
    let mut batch = Batch::new();
    batch.drop_containers(&[dropped.id, id::<ContainerId>()]);
    store.commit(batch).await.unwrap();
    assert_eq!(store.find_container(dropped.id).await.unwrap(), None);
    assert!(store.find_container(late.id).await.unwrap().is_some());
}

async fn grants_are_found_and_consumed_once(trial: &Trial) {
    let store = &trial.store;
    let ada = create(store, &person("ada"), &["ada@example.org"]).await.identity;
    let grant = GrantRow {
        id: id(),
        settings_flow_id: id(),
        identity_id: ada.id,
        session_id: id(),
        expires_at: NOW + Span::minutes(10),
        used_at: None,
    };
    let mut batch = Batch::new();
    batch.insert_grant(&grant);
    store.commit(batch).await.unwrap();
    let find = |flow, session, now| store.find_unused_grant(flow, session, now);
    assert_eq!(find(grant.settings_flow_id, grant.session_id, NOW).await.unwrap(), Some(grant.clone()));
    assert_eq!(find(grant.settings_flow_id, grant.session_id, grant.expires_at).await.unwrap(), None);
    assert_eq!(find(id(), grant.session_id, NOW).await.unwrap(), None);
    assert_eq!(find(grant.settings_flow_id, id(), NOW).await.unwrap(), None);

    let consume = |now| {
        let mut batch = Batch::new();
        batch.consume_grant(grant.id, now);
        batch
    };
    assert_eq!(refusal(store.commit(consume(grant.expires_at)).await), Refusal::AlreadyUsed);
    store.commit(consume(NOW)).await.unwrap();
    assert_eq!(refusal(store.commit(consume(NOW)).await), Refusal::AlreadyUsed);
    assert_eq!(find(grant.settings_flow_id, grant.session_id, NOW).await.unwrap(), None);
}

async fn errors_are_kept(trial: &Trial) {
    let error = ErrorRow { id: id(), error: r#"{"code":404}"#.into(), created_at: NOW, updated_at: NOW };
    let mut batch = Batch::new();
    batch.insert_error(&error);
    trial.store.commit(batch).await.unwrap();
    assert_eq!(trial.store.find_error(error.id).await.unwrap(), Some(error));
    assert_eq!(trial.store.find_error(id()).await.unwrap(), None);
}

async fn audit_events_are_only_added(trial: &Trial) {
    static CHANGE: Sql = Sql::new("test.CHANGE", "UPDATE audit_events SET reason = $1");
    static RETAIN: Sql = Sql::new("test.RETAIN", "DELETE FROM audit_events WHERE at < $1");
    let store = &trial.store;
    let identity = id();
    let event = |age: i64, identity_id| AuditEvent {
        id: id(),
        at: NOW - Span::seconds(age),
        kind: "password_changed".into(),
        result: "success".into(),
        identity_id,
        session_id_hash: Some(vec![9; 32]),
        flow_id: Some(id()),
        method: Some("password".into()),
        client_ip: Some("192.0.2.1".into()),
        user_agent: None,
        request_id: None,
        reason: None,
        details: "{}".into(),
    };
    let events = [event(0, Some(identity)), event(1, Some(identity)), event(2, None), event(3, Some(identity))];
    let mut batch = Batch::new();
    events.iter().rev().for_each(|event| batch.insert_audit_event(event));
    store.commit(batch).await.unwrap();
    assert_eq!(store.list_audit_events(None, None, 10).await.unwrap(), events);
    assert_eq!(store.list_audit_events(Some(identity), None, 2).await.unwrap(), events[..2]);
    let before = Some((events[1].at, events[1].id));
    assert_eq!(store.list_audit_events(Some(identity), before, 2).await.unwrap(), events[3..]);

    let mut batch = Batch::new();
    batch.push(&CHANGE, params!["nothing happened"], Expect::Any);
    assert!(matches!(store.commit(batch).await, Err(StoreError::Rejected { statement: "test.CHANGE", .. })));
    let mut batch = Batch::new();
    batch.push(&RETAIN, params![NOW], Expect::Rows(3, Refusal::Gone));
    store.commit(batch).await.unwrap();
    assert_eq!(store.list_audit_events(None, None, 10).await.unwrap(), events[..1]);
}
