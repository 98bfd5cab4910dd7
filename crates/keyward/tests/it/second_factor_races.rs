//! Second factors under contention: one code, many submits; two changes that must not both happen; counts that must stay true.
//! Requests really run at the same time; each round asserts what is stored afterwards.
//! A refusal is fine where somebody else was faster, a wrong answer is not.

use std::sync::Arc;

use keyward_model::{CredentialType, Factors, IdentityId, Span};
use keyward_services::derive::{CredentialEdit, IdentityEdit, derive};
use keyward_services::lookup_codes::LookupCodes;
use keyward_store::{FromRow, Liveness, Row, Sql, StoreError, params};
use keyward_testkit::authenticator::Algorithm;
use keyward_testkit::{Actor, Flow, PASSWORD, Said, Submitted, Trial, Value, database_test};
use serde_json::json;

use crate::passkey::browser_key;
use crate::second_factor::{EMAIL, code, codes, enabled, enrol, first_step, key};
use crate::webauthn::options;

const ROUNDS: usize = 3;
const SUBMITS: usize = 100;

/// With room for as many flows of one account as are sent at once.
fn crowded() -> Value {
    let mut config = enabled();
    config["security"]["limits"]["flows_per_identity"] = json!(2 * ROUNDS * SUBMITS);
    config
}

/// A submit that waits to be sent.
struct Shot {
    person: Arc<Actor>,
    flow: Flow,
    fields: Value,
}

/// Sends all of these at once, and asserts that nobody is told that the server, or their session, is at fault.
async fn fire(shots: Vec<Shot>) -> Vec<Submitted> {
    let start = Arc::new(tokio::sync::Barrier::new(shots.len()));
    let tasks: Vec<_> = shots
        .into_iter()
        .map(|Shot { person, flow, fields }| {
            let start = Arc::clone(&start);
            tokio::spawn(async move {
                start.wait().await;
                person.submit(&flow, fields).await
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        let submitted = task.await.expect("a submit");
        if let Said::Problem { status, error } = &submitted.said {
            assert!([403, 429, 503].contains(status), "contention is no reason for this: {error:#}");
        }
        all.push(submitted);
    }
    all
}

fn done(all: &[Submitted]) -> usize {
    all.iter().filter(|submitted| submitted.is_done()).count()
}

/// Second steps of several devices, several flows each.
async fn second_steps(t: &Trial, fields: &Value) -> Vec<Shot> {
    let mut shots = Vec::new();
    for _ in 0..10 {
        let device = Arc::new(first_step(t, EMAIL).await);
        for _ in 0..SUBMITS / 10 {
            let flow = device.init("login", "aal=aal2").await;
            shots.push(Shot { person: Arc::clone(&device), flow, fields: fields.clone() });
        }
    }
    shots
}

/// Sends one code a hundred times: one is right, the others are told that the code is used, or to wait.
async fn one_of_them_counts(t: &Trial, id: IdentityId, fields: Value, used: u64) {
    let lifted = |t: &Trial| {
        let t = t.clone();
        async move {
            let live = t.store().list_all_sessions((Liveness::Live, t.now()), None, 1_000).await.unwrap();
            live.iter().filter(|listed| listed.session.aal == keyward_model::Aal::Aal2).count()
        }
    };
    let before = lifted(t).await;
    let shots = second_steps(t, &fields).await;
    let devices: Vec<_> = shots.iter().map(|shot| Arc::clone(&shot.person)).collect();
    let all = fire(shots).await;
    let winner = all.iter().position(Submitted::is_done);
    assert_eq!(done(&all), 1, "{:#?}", all.iter().map(|submitted| submitted.reply.text()).collect::<Vec<_>>());
    assert_eq!(lifted(t).await, before + 1, "one session was lifted");
    for (device, submitted) in devices.iter().zip(all) {
        if let Said::Form(form) = submitted.said {
            // The device that was lifted has nothing more to prove.
            let lifted = winner.is_some_and(|winner| Arc::ptr_eq(device, &devices[winner]));
            assert!(form.messages() == [used] || (lifted && form.messages() == [4_000_001]), "{:?}", form.messages());
        }
    }
    let forget = format!("/admin/identities/{id}/attempts");
    t.admin().call("DELETE", &forget).await.expect(204);
}

// cases: AC-41
#[database_test(config = crowded())]
async fn of_many_submits_of_an_app_code_one_counts(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let id = ada.id().await;
    let (key, _) = enrol(&t, &ada).await;
    for _ in 0..ROUNDS {
        t.clock().advance(Span::seconds(60));
        one_of_them_counts(&t, id, json!({ "method": "totp", "totp_code": code(&key, &t) }), 4_000_008).await;
    }
}

// cases: AC-42
#[database_test(config = crowded())]
async fn of_many_submits_of_a_backup_code_one_counts(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let id = ada.id().await;
    let (_, backup) = enrol(&t, &ada).await;
    for (round, code) in (1..=ROUNDS).zip(&backup) {
        let fields = json!({ "method": "lookup_secret", "lookup_secret": code });
        one_of_them_counts(&t, id, fields, 4_000_012).await;
        assert_eq!(left(&t, id).await, 12 - round);
    }
}

async fn left(t: &Trial, id: IdentityId) -> usize {
    let stored = t.snapshot(id).await;
    let row = stored.credential(CredentialType::LookupSecret).expect("a set of codes");
    LookupCodes::from_config(&t.app().keys, id, &row.config).left()
}

/// Different codes do not use each other up.
// cases: AC-42
#[database_test(config = {
    let mut config = crowded();
    config["security"]["attempts"] = json!({ "enabled": false });
    config
})]
async fn every_accepted_code_is_used_and_no_other(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let id = ada.id().await;
    let (_, backup) = enrol(&t, &ada).await;
    let mut shots = Vec::new();
    for code in &backup {
        let device = Arc::new(first_step(&t, EMAIL).await);
        let flow = device.init("login", "aal=aal2").await;
        shots.push(Shot { person: device, flow, fields: json!({ "method": "lookup_secret", "lookup_secret": code }) });
    }
    let all = fire(shots).await;
    let accepted = done(&all);
    assert!(accepted >= 1);
    let stored = t.snapshot(id).await;
    let config = &stored.credential(CredentialType::LookupSecret).unwrap().config;
    let set = LookupCodes::from_config(&t.app().keys, id, config);
    for (typed, submitted) in backup.iter().zip(&all) {
        let kept = set.codes.iter().find(|code| code.code.reveal() == typed).unwrap();
        assert_eq!(kept.used_at.is_some(), submitted.is_done());
    }
    assert_eq!(stored_factors(&t, id).await, stored.factors());
}

struct StoredFactors(Factors);

impl FromRow for StoredFactors {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        row.json(0).map(Self)
    }
}

static FACTORS: Sql = Sql::new("tests.FACTORS", "SELECT factors FROM identities WHERE id = $1");

/// The counts that stand beside the identity.
pub(crate) async fn stored_factors(t: &Trial, id: IdentityId) -> Factors {
    t.store().one::<StoredFactors>(&FACTORS, params![id]).await.unwrap().expect("an identity").0
}

/// A code is used while the account changes: whichever comes first, the counts are those of what is there.
// cases: AC-60
#[database_test(config = crowded())]
async fn counts_stay_true_while_a_code_is_used(t: Trial) {
    for round in 0..6 {
        let email = format!("ada-{round}@example.org");
        let ada = Arc::new(t.signed_up(&email).await);
        let id = ada.id().await;
        let flow = ada.init("settings", "").await;
        ada.submit(&flow, json!({ "lookup_secret_regenerate": true })).await.form();
        let made = codes(&ada.refetch(&flow).await);
        ada.submit(&flow, json!({ "lookup_secret_confirm": true })).await.saved();
        // One code is left, so using it up makes a difference.
        for code in &made[..11] {
            let device = first_step(&t, &email).await;
            let flow = device.init("login", "aal=aal2").await;
            device.submit(&flow, json!({ "method": "lookup_secret", "lookup_secret": code })).await.done();
        }
        let device = Arc::new(first_step(&t, &email).await);
        let step = device.init("login", "aal=aal2").await;
        let flow = ada.init("settings", "").await;
        let fields = json!({ "method": "totp", "totp_code": code(&key(&flow), &t) });
        let shots = vec![
            Shot { person: Arc::clone(&ada), flow, fields },
            Shot { person: device, flow: step, fields: json!({ "method": "lookup_secret", "lookup_secret": made[11] }) },
        ];
        let all = fire(shots).await;
        assert!(all[0].is_done() && all[1].is_done(), "round {round}: both help themselves by trying again: {all:#?}");
        let stored = t.snapshot(id).await;
        assert_eq!((stored.factors().totp, stored.factors().lookup_secret), (1, 0));
        assert_eq!(stored_factors(&t, id).await, stored.factors(), "round {round}");
        // What the counts decide: a further device is asked for the app.
        t.person().sign_in(&email, PASSWORD).await.done();
        first_step(&t, &email).await.try_whoami().await.expect(403);
    }
}

/// Two devices with the first factor only enrol at the same moment. Whoever is second is second to an identity that has a second
/// factor, which they did not show (rule R1).
// No case of its own in the list.
#[database_test(config = {
    let mut config = crowded();
    config["selfservice"]["flows"]["settings"]["required_aal"] = json!("aal1");
    config["session"] = json!({ "whoami": { "required_aal": "aal1" } });
    config
})]
async fn the_first_second_factor_is_enrolled_once(t: Trial) {
    for round in 0..8 {
        let email = format!("ada-{round}@example.org");
        let ada = Arc::new(t.signed_up(&email).await);
        let eve = Arc::new(first_step(&t, &email).await);
        let id = ada.id().await;
        let mine = ada.init("settings", "").await;
        let theirs = eve.init("settings", "").await;
        let app = |flow: &Flow| json!({ "method": "totp", "totp_code": code(&key(flow), &t) });
        let with_codes = round % 2 == 1;
        let fields = if with_codes {
            eve.submit(&theirs, json!({ "lookup_secret_regenerate": true })).await.form();
            json!({ "lookup_secret_confirm": true })
        } else {
            app(&theirs)
        };
        let shots = vec![
            Shot { person: Arc::clone(&ada), flow: mine.clone(), fields: app(&mine) },
            Shot { person: Arc::clone(&eve), flow: theirs.clone(), fields },
        ];
        fire(shots).await;
        let levels = [ada.whoami().await, eve.whoami().await].map(|session| session["authenticator_assurance_level"] == "aal2");
        assert!(levels[0] != levels[1], "round {round}: one of both enrolled, the other has not shown that factor: {levels:?}");
        let stored = t.snapshot(id).await;
        if !levels[0] && with_codes {
            assert_eq!(stored.factors().totp, 0, "round {round}");
        } else {
            let sealed = stored.credential(CredentialType::Totp).unwrap().config["totp_url"].as_str().unwrap().to_owned();
            let kept = keyward_services::totp::TotpKey::open(&t.app().keys, id, &sealed).unwrap();
            let winner = if levels[0] { &mine } else { &theirs };
            assert_eq!(kept.base32(), key(winner).base32(), "round {round}: the key of who was told to have enrolled");
        }
    }
}

/// Each of two removals is fine alone; together they would leave no way in.
// cases: AC-82
#[database_test]
async fn the_last_way_in_survives_two_removals_at_once(t: Trial) {
    for round in 0..6 {
        let email = format!("ada-{round}@example.org");
        let subject = format!("subject-{round}");
        let created = t
            .admin()
            .create(&json!({
                "schema_id": "person",
                "traits": { "email": email },
                "credentials": {
                    "password": { "config": { "password": PASSWORD } },
                    "oidc": { "config": { "providers": [{ "provider": "acme", "subject": subject }] } },
                },
            }))
            .await;
        let id = created["id"].as_str().unwrap().to_owned();
        let paths = [
            format!("/admin/identities/{id}/credentials/password"),
            format!("/admin/identities/{id}/credentials/oidc?identifier=acme%3A{subject}"),
        ];
        let start = Arc::new(tokio::sync::Barrier::new(paths.len()));
        let tasks: Vec<_> = paths
            .into_iter()
            .map(|path| {
                let (t, start) = (t.clone(), Arc::clone(&start));
                tokio::spawn(async move {
                    start.wait().await;
                    t.admin().call("DELETE", &path).await.status
                })
            })
            .collect();
        let mut statuses = Vec::new();
        for task in tasks {
            statuses.push(task.await.expect("a removal"));
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [204, 400], "round {round}");
        let stored = t.snapshot(IdentityId::parse(&id).unwrap()).await;
        assert_eq!(stored.factors().first(t.app().code_use()), 1, "round {round}");
    }
}

/// The two second factors of an identity go at once, from two devices that showed them: both go, or one is refused, and the counts
/// tell the truth.
// cases: AC-82
#[database_test(config = {
    let mut config = crowded();
    config["selfservice"]["methods"]["totp"]["config"]["issue_lookup_secrets"] = json!(false);
    config
})]
async fn both_second_factors_may_go_and_are_gone(t: Trial) {
    for round in 0..6 {
        let email = format!("ada-{round}@example.org");
        let ada = Arc::new(t.signed_up(&email).await);
        let id = ada.id().await;
        let flow = ada.init("settings", "").await;
        ada.submit(&flow, json!({ "method": "totp", "totp_code": code(&key(&flow), &t) })).await.saved();
        let flow = ada.init("settings", "").await;
        ada.submit(&flow, json!({ "lookup_secret_regenerate": true })).await.form();
        let made = codes(&ada.refetch(&flow).await);
        ada.submit(&flow, json!({ "lookup_secret_confirm": true })).await.saved();
        let phone = Arc::new(first_step(&t, &email).await);
        let step = phone.init("login", "aal=aal2").await;
        phone.submit(&step, json!({ "method": "lookup_secret", "lookup_secret": made[0] })).await.done();

        let (first, second) = (ada.init("settings", "").await, phone.init("settings", "").await);
        let shots = vec![
            Shot { person: Arc::clone(&ada), flow: first, fields: json!({ "totp_unlink": true }) },
            Shot { person: Arc::clone(&phone), flow: second, fields: json!({ "lookup_secret_disable": true }) },
        ];
        let all = fire(shots).await;
        let factors = t.snapshot(id).await.factors();
        assert_eq!((factors.totp == 0, factors.lookup_secret == 0), (all[0].is_done(), all[1].is_done()), "round {round}");
        assert_eq!(stored_factors(&t, id).await, factors, "round {round}");
        // Whoever is left with something is asked for it, and nobody for what is gone.
        let tablet = first_step(&t, &email).await;
        tablet.try_whoami().await.expect(if factors.second() == 0 { 200 } else { 403 });
    }
}

/// What is judged is reserved first, so many guesses at once are no more than a few in a row.
// cases: AC-67
#[database_test(config = crowded())]
async fn guesses_at_once_never_exceed_the_limit(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    enrol(&t, &ada).await;
    let stranger = Arc::new(t.person());
    let mut shots = Vec::new();
    for number in 0..200 {
        let flow = stranger.init("login", "").await;
        let fields = json!({ "method": "password", "identifier": EMAIL, "password": format!("wrong horse {number} battery") });
        shots.push(Shot { person: Arc::clone(&stranger), flow, fields });
    }
    judged_at_most_five(fire(shots).await, 4_000_006);

    let phone = t.person();
    t.clock().advance(Span::minutes(30));
    phone.sign_in(EMAIL, PASSWORD).await.done();
    let phone = Arc::new(phone);
    let mut shots = Vec::new();
    for number in 0..200 {
        let flow = phone.init("login", "aal=aal2").await;
        let fields = json!({ "method": "lookup_secret", "lookup_secret": format!("wrong{number:03}") });
        shots.push(Shot { person: Arc::clone(&phone), flow, fields });
    }
    judged_at_most_five(fire(shots).await, 4_000_016);
}

#[track_caller]
fn judged_at_most_five(all: Vec<Submitted>, wrong: u64) {
    let mut judged = 0;
    for submitted in all {
        match submitted.said {
            Said::Form(form) => {
                assert_eq!(form.messages(), [wrong]);
                judged += 1;
            }
            Said::Problem { status: 429, error } => assert_eq!(error["id"], "too_many_attempts"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(judged, 5, "as many as are free, and no more");
}

/// Whichever way a secret is tried, it is counted in the same place.
// cases: AC-13
#[database_test(config = crowded())]
async fn guesses_on_every_path_are_counted_together(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    enrol(&t, &ada).await;
    let wrong_code = json!({ "method": "totp", "totp_code": "000000" });
    // Each from another device, in another flow; a refresh and a step up are the same secret.
    for query in ["aal=aal2", "refresh=true&aal=aal2", "aal=aal2", "refresh=true&aal=aal2", "aal=aal2"] {
        let device = first_step(&t, EMAIL).await;
        let flow = device.init("login", query).await;
        assert_eq!(device.submit(&flow, wrong_code.clone()).await.form().messages(), [4_000_008], "{query}");
    }
    for query in ["aal=aal2", "refresh=true&aal=aal2"] {
        let device = first_step(&t, EMAIL).await;
        let flow = device.init("login", query).await;
        device.submit(&flow, wrong_code.clone()).await.problem(429);
    }
    let wrong = json!({ "method": "password", "identifier": EMAIL, "password": "wrong horse 7 battery" });
    for (query, signed_in) in [("", false), ("refresh=true", true), ("", false), ("refresh=true", true), ("", false)] {
        let device = if signed_in { &ada } else { &t.person() };
        let flow = device.init("login", query).await;
        assert_eq!(device.submit(&flow, wrong.clone()).await.form().messages(), [4_000_006], "{query}");
    }
    for (query, device) in [("refresh=true", &ada), ("", &t.person())] {
        let flow = device.init("login", query).await;
        device.submit(&flow, wrong.clone()).await.problem(429);
    }
}

// cases: AC-21
#[database_test(config = keys())]
async fn one_challenge_makes_one_key(t: Trial) {
    let ada = Arc::new(t.signed_up(EMAIL).await);
    let id = ada.id().await;
    for round in 0..ROUNDS {
        let flow = ada.init("settings", "").await;
        let asked = options(&flow, "passkey_create_data");
        let shots = (0..SUBMITS)
            .map(|_| {
                // A key of its own for each, so that it is the challenge that is used up.
                let sent = browser_key(&t, Algorithm::Es256).create(&asked).text();
                let fields = json!({ "passkey_settings_register": sent });
                Shot { person: Arc::clone(&ada), flow: flow.clone(), fields }
            })
            .collect();
        assert_eq!(done(&fire(shots).await), 1, "round {round}");
        assert_eq!(t.snapshot(id).await.factors().passkey, u32::try_from(round + 1).unwrap());
    }
}

#[database_test(config = keys())]
async fn one_challenge_signs_in_once(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let mut passkey = crate::passkey::add(&t, &ada).await;
    let mut key = crate::webauthn::add(&t, &ada).await;
    for round in 0..ROUNDS {
        let phone = Arc::new(t.person());
        let login = phone.init("login", "").await;
        let sent = passkey.get(&options(&login, "passkey_challenge")).text(&passkey);
        let fields = json!({ "method": "passkey", "passkey_login": sent });
        let shot = || Shot { person: Arc::clone(&phone), flow: login.clone(), fields: fields.clone() };
        assert_eq!(done(&fire((0..SUBMITS).map(|_| shot()).collect()).await), 1, "round {round}");

        let device = Arc::new(first_step(&t, EMAIL).await);
        let login = device.init("login", "aal=aal2").await;
        let sent = key.get(&options(&login, "webauthn_login_trigger")).text(&key);
        let fields = json!({ "method": "webauthn", "identifier": EMAIL, "webauthn_login": sent });
        let shot = || Shot { person: Arc::clone(&device), flow: login.clone(), fields: fields.clone() };
        assert_eq!(done(&fire((0..SUBMITS).map(|_| shot()).collect()).await), 1, "round {round}");
    }
}

/// Two different ways in go at the same moment: one of them stays (AC-82).
// cases: AC-82
#[database_test(config = keys())]
async fn two_last_ways_in_never_both_go(t: Trial) {
    for round in 0..ROUNDS * 3 {
        let email = format!("ada-{round}@example.org");
        let ada = t.signed_up(&email).await;
        let first = keyward_model::hex(&crate::passkey::add(&t, &ada).await.id);
        let second = keyward_model::hex(&crate::passkey::add(&t, &ada).await.id);
        let id = ada.id().await;
        let mut batch = keyward_store::Batch::new();
        let app = t.app();
        let before = t.snapshot(id).await;
        let schema = &app.schemas.get("person").unwrap().schema;
        let edit = IdentityEdit { credentials: vec![CredentialEdit::Drop(CredentialType::Password)], ..IdentityEdit::default() };
        derive(schema, Some(&before), &edit, t.now(), app.random()).unwrap().write(&mut batch);
        t.store().commit(batch).await.unwrap();
        let ada = Arc::new(ada);
        let mut shots = Vec::new();
        for key in [&first, &second] {
            let flow = ada.init("settings", "").await;
            shots.push(Shot { person: Arc::clone(&ada), flow, fields: json!({ "passkey_remove": key }) });
        }
        assert_eq!(done(&fire(shots).await), 1, "round {round}");
        assert_eq!(t.snapshot(id).await.factors().passkey, 1, "round {round}");
    }
}

/// Keys of both kinds, with room for what is sent at once.
fn keys() -> Value {
    let mut config = crowded();
    config["selfservice"]["methods"]["passkey"] = json!({ "enabled": true });
    config["selfservice"]["methods"]["webauthn"] = json!({ "enabled": true });
    config["security"]["attempts"]["enabled"] = json!(false);
    config
}
