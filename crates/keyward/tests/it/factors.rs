//! The counts of what an identity can prove itself with, which stand beside it: after any sequence of changes they are what the
//! credentials say, and the levels that people are asked for follow from the credentials even where the counts are damaged.
//! Sequences are drawn from seeds, so a failure names one that can be run again.
//! What each change does is tested elsewhere.

use keyward_model::{Aal, CredentialType, IdentityId, Random, Span, count_factors};
use keyward_services::totp::TotpKey;
use keyward_services::webauthn::Keys;
use keyward_store::{Batch, Expect, Refusal, Sql, params};
use keyward_testkit::authenticator::Algorithm;
use keyward_testkit::{Actor, Flow, PASSWORD, Said, SeededRandom, Submitted, Trial, Value, database_test};
use serde_json::json;

use crate::passkey::browser_key;
use crate::second_factor::{EMAIL, code, codes, enabled, enrol, first_step, key, step_up};
use crate::second_factor_races::stored_factors;
use crate::webauthn::options;

const SEQUENCES: u32 = 6;
const STEPS: u32 = 50;

#[derive(Clone, Copy, Debug)]
enum Move {
    Enrol,
    Unlink,
    Regenerate,
    Confirm,
    Disable,
    UseCode,
    UseApp,
    Password,
    FreeTrait,
    Email,
    AddPasskey,
    RemovePasskey,
    AddKey,
    RemoveKey,
    AdminDropsApp,
    AdminDropsCodes,
    AdminDropsKeys,
    AdminPatches,
    AdminReplaces,
    CodesSignIn,
    CodesAreSecond,
    Companions,
    KeysSignIn,
}

const MOVES: [Move; 23] = [
    Move::Enrol,
    Move::Unlink,
    Move::Regenerate,
    Move::Confirm,
    Move::Disable,
    Move::UseCode,
    Move::UseApp,
    Move::Password,
    Move::FreeTrait,
    Move::Email,
    Move::AddPasskey,
    Move::RemovePasskey,
    Move::AddKey,
    Move::RemoveKey,
    Move::AdminDropsApp,
    Move::AdminDropsCodes,
    Move::AdminDropsKeys,
    Move::AdminPatches,
    Move::AdminReplaces,
    Move::CodesSignIn,
    Move::CodesAreSecond,
    Move::Companions,
    Move::KeysSignIn,
];

/// What the person knows and the operator has set.
struct World {
    t: Trial,
    ada: Actor,
    id: IdentityId,
    email: String,
    password: String,
    app: Option<TotpKey>,
    codes: Vec<String>,
    flow: Option<Flow>,
    number: u32,
    codes_sign_in: bool,
    codes_are_second: bool,
    companions: bool,
    keys_sign_in: bool,
}

fn whole() -> Value {
    let mut config = enabled();
    config["selfservice"]["methods"]["passkey"] = json!({ "enabled": true });
    config["selfservice"]["methods"]["webauthn"] = json!({ "enabled": true });
    // Every level is asked for somewhere: here by whoami. The operations ask for themselves.
    config["selfservice"]["flows"]["settings"]["required_aal"] = json!("aal1");
    config
}

// cases: AC-04
#[database_test(config = whole())]
async fn stored_counts_are_those_of_the_credentials(t: Trial) {
    let mut happened = [0_u32; MOVES.len()];
    for seed in 0..SEQUENCES {
        let random = SeededRandom::new(&format!("sequence {seed}"));
        let mut world = World::begin(&t, seed).await;
        let mut told = Vec::new();
        for _ in 0..STEPS {
            let [byte] = (&random as &dyn Random).bytes::<1>();
            let place = usize::from(byte) % MOVES.len();
            t.clock().advance(Span::seconds(60));
            let done = world.make(MOVES[place]).await;
            happened[place] += u32::from(done);
            told.push((MOVES[place], done));
            world.check(&format!("seed {seed}: {told:?}")).await;
        }
        t.admin().call("DELETE", &format!("/admin/identities/{}", world.id)).await.expect(204);
        world.ada.try_whoami().await.expect(401);
    }
    // A sequence in which nothing happens proves nothing.
    let idle: Vec<_> = MOVES.iter().zip(happened).filter(|(_, times)| *times == 0).collect();
    assert!(idle.is_empty(), "nothing of this happened: {idle:?}");
}

impl World {
    async fn begin(t: &Trial, seed: u32) -> Self {
        // The sequence before may have left other settings.
        t.reconfigure(&json!({ "selfservice": { "methods": {
            "code": { "passwordless_enabled": false, "mfa_enabled": false },
            "totp": { "config": { "issue_lookup_secrets": true } },
            "webauthn": { "config": { "passwordless": false } },
        } } }));
        let email = format!("ada-{seed}@example.org");
        let ada = t.signed_up(&email).await;
        let id = ada.id().await;
        Self {
            t: t.clone(),
            ada,
            id,
            email,
            password: PASSWORD.to_owned(),
            app: None,
            codes: Vec::new(),
            flow: None,
            number: 0,
            codes_sign_in: false,
            codes_are_second: false,
            companions: true,
            keys_sign_in: false,
        }
    }

    /// Whether it happened; what is not allowed at the moment does not.
    async fn make(&mut self, step: Move) -> bool {
        self.number += 1;
        match step {
            Move::Enrol => {
                let flow = self.open().await;
                if flow.find("totp_secret_key").is_none() {
                    return false;
                }
                let shown = key(&flow);
                let fields = json!({ "method": "totp", "totp_code": code(&shown, &self.t) });
                let Some(saved) = self.change(&flow, fields).await else { return false };
                self.app = Some(shown);
                if saved.find("lookup_secret_codes").is_some() {
                    self.codes = codes(&saved);
                }
                true
            }
            Move::Unlink => self.settle(json!({ "totp_unlink": true })).await,
            Move::Regenerate => {
                let flow = self.open().await;
                let submitted = self.ada.submit(&flow, json!({ "lookup_secret_regenerate": true })).await;
                self.flow = Some(flow);
                matches!(submitted.said, Said::Form(_))
            }
            Move::Confirm => {
                let Some(flow) = self.flow.take() else { return false };
                let preview = codes(&self.ada.refetch(&flow).await);
                let confirmed = self.change(&flow, json!({ "lookup_secret_confirm": true })).await.is_some();
                if confirmed {
                    self.codes = preview;
                }
                confirmed
            }
            Move::Disable => self.settle(json!({ "lookup_secret_disable": true })).await,
            Move::UseCode => {
                let Some(code) = self.codes.pop() else { return false };
                self.second_step(json!({ "method": "lookup_secret", "lookup_secret": code })).await
            }
            Move::UseApp => {
                let Some(app) = &self.app else { return false };
                let fields = json!({ "method": "totp", "totp_code": code(app, &self.t) });
                self.second_step(fields).await
            }
            Move::Password => {
                let next = format!("staple {} correct elephant", self.number);
                let changed = self.settle(json!({ "method": "password", "password": next })).await;
                if changed {
                    self.password = next;
                }
                changed
            }
            Move::FreeTrait => {
                let traits = json!({ "email": self.email, "nickname": format!("nick {}", self.number) });
                self.settle(json!({ "method": "profile", "traits": traits })).await
            }
            Move::Email => {
                let next = format!("{}-{}", self.number, self.email.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-'));
                let changed = self.settle(json!({ "method": "profile", "traits": { "email": next } })).await;
                if changed {
                    self.email = next;
                }
                changed
            }
            Move::AddPasskey => self.add_key("passkey_create_data", "passkey_settings_register").await,
            Move::AddKey => self.add_key("webauthn_register_trigger", "webauthn_register").await,
            Move::RemovePasskey => self.remove_key("passkey_remove").await,
            Move::RemoveKey => self.remove_key("webauthn_remove").await,
            Move::AdminDropsKeys => self.admin("DELETE", "/credentials/webauthn", None).await,
            Move::AdminDropsApp => self.admin("DELETE", "/credentials/totp", None).await,
            Move::AdminDropsCodes => self.admin("DELETE", "/credentials/lookup_secret", None).await,
            Move::AdminPatches => {
                let patch = json!([{ "op": "add", "path": "/metadata_public", "value": { "number": self.number } }]);
                self.admin("PATCH", "", Some(patch)).await
            }
            Move::AdminReplaces => {
                let body = json!({ "schema_id": "person", "state": "active", "traits": { "email": self.email } });
                self.admin("PUT", "", Some(body)).await
            }
            Move::CodesSignIn => {
                self.codes_sign_in = !self.codes_sign_in;
                // A code cannot be both.
                self.codes_are_second &= !self.codes_sign_in;
                self.switch_codes();
                true
            }
            Move::CodesAreSecond => {
                self.codes_are_second = !self.codes_are_second;
                self.codes_sign_in &= !self.codes_are_second;
                self.switch_codes();
                true
            }
            Move::Companions => {
                self.companions = !self.companions;
                let config = json!({ "issue_lookup_secrets": self.companions });
                self.t.reconfigure(&json!({ "selfservice": { "methods": { "totp": { "config": config } } } }));
                true
            }
            Move::KeysSignIn => {
                self.keys_sign_in = !self.keys_sign_in;
                let config = json!({ "passwordless": self.keys_sign_in });
                self.t.reconfigure(&json!({ "selfservice": { "methods": { "webauthn": { "config": config } } } }));
                true
            }
        }
    }

    async fn add_key(&self, data: &str, field: &str) -> bool {
        let flow = self.open().await;
        let sent = browser_key(&self.t, Algorithm::Es256).create(&options(&flow, data)).text();
        self.change(&flow, json!({ field: sent, "webauthn_register_displayname": "key" })).await.is_some()
    }

    async fn remove_key(&self, field: &str) -> bool {
        let flow = self.open().await;
        let Some(node) = flow.find(field) else { return false };
        let id = node["attributes"]["value"].clone();
        self.change(&flow, json!({ field: id })).await.is_some()
    }

    fn switch_codes(&self) {
        let code = json!({ "passwordless_enabled": self.codes_sign_in, "mfa_enabled": self.codes_are_second });
        self.t.reconfigure(&json!({ "selfservice": { "methods": { "code": code } } }));
    }

    async fn open(&self) -> Flow {
        self.ada.init("settings", "").await
    }

    async fn settle(&self, fields: Value) -> bool {
        let flow = self.open().await;
        self.change(&flow, fields).await.is_some()
    }

    /// Submits; an old or weak session helps itself once where it can.
    async fn change(&self, flow: &Flow, fields: Value) -> Option<Flow> {
        let Submitted { said, .. } = self.ada.submit(flow, fields.clone()).await;
        match said {
            Said::Done(done) => done.flow,
            Said::Problem { status: 403, error } if error["id"] == "session_refresh_required" => {
                let login = self.ada.init("login", "refresh=true").await;
                let proof = json!({ "method": "password", "identifier": self.email, "password": self.password });
                self.ada.submit(&login, proof).await.done();
                match self.ada.submit(flow, fields).await.said {
                    Said::Done(done) => done.flow,
                    _ => None,
                }
            }
            Said::Problem { status: 403, .. } | Said::Form(_) => None,
            other => panic!("{other:?}"),
        }
    }

    async fn second_step(&self, fields: Value) -> bool {
        let login = self.ada.init("login", "refresh=true&aal=aal2").await;
        let submitted = self.ada.submit(&login, fields).await;
        match &submitted.said {
            Said::Done(_) => true,
            Said::Form(_) => false,
            other => panic!("{other:?}"),
        }
    }

    async fn admin(&self, method: &str, rest: &str, body: Option<Value>) -> bool {
        let path = format!("/admin/identities/{}{rest}", self.id);
        let admin = self.t.admin();
        let call = admin.call(method, &path);
        let reply = match body {
            Some(body) => call.json(&body).await,
            None => call.await,
        };
        assert!([200, 204, 404].contains(&reply.status), "{reply:?}");
        reply.status != 404
    }

    /// The counts are those of the credentials, and a device at the first level is asked for exactly what they allow.
    async fn check(&self, so_far: &str) {
        let stored = self.t.snapshot(self.id).await;
        let counted = count_factors(&stored.credentials);
        assert_eq!(stored_factors(&self.t, self.id).await, counted, "{so_far}");
        // Counted once more, from what is known here.
        let rows = |kind| stored.credential(kind).is_some();
        assert_eq!(counted.totp > 0, rows(CredentialType::Totp), "{so_far}");
        assert!(counted.lookup_secret == 0 || counted.companion_codes == 0, "{so_far}");
        let keys = Keys::of(stored.credential(CredentialType::Webauthn)).credentials;
        let second_keys = keys.iter().filter(|key| !key.is_passwordless).count();
        assert_eq!(usize::try_from(counted.webauthn), Ok(second_keys), "{so_far}");
        assert_eq!(usize::try_from(counted.webauthn_passwordless), Ok(keys.len() - second_keys), "{so_far}");
        let second =
            counted.totp > 0 || counted.lookup_secret > 0 || second_keys > 0 || (self.codes_are_second && counted.code > 0);
        let device = self.t.person();
        device.sign_in(&self.email, &self.password).await.done();
        device.try_whoami().await.expect(if second { 403 } else { 200 });
    }
}

static DAMAGE: Sql = Sql::new("tests.DAMAGE_FACTORS", "UPDATE identities SET factors = $1 WHERE id = $2");

async fn damage(t: &Trial, id: IdentityId, counts: &str) {
    let mut batch = Batch::new();
    batch.push(&DAMAGE, params![counts, id], Expect::Rows(1, Refusal::Gone));
    t.store().commit(batch).await.unwrap();
}

/// Whatever became of the counts beside the identity: a device at the first level is asked for the second factor that there is,
/// and nobody for one that there is not.
// cases: AC-04
#[database_test(config = enabled())]
async fn damaged_counts_neither_open_nor_close_a_door(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let id = ada.id().await;
    let bob = t.signed_up("bob@example.org").await;
    let bob_id = bob.id().await;
    enrol(&t, &ada).await;
    let phone = first_step(&t, EMAIL).await;
    for counts in
        ["{}", r#"{"totp":0}"#, r#"{"password":1}"#, r#"{"totp":9,"lookup_secret":9}"#, r#"{"totp":-1}"#, "[]", "null", "", "x"]
    {
        damage(&t, id, counts).await;
        damage(&t, bob_id, counts).await;
        for path in ["/sessions/whoami", "/sessions"] {
            let refused = phone.call("GET", path).await.expect(403);
            assert_eq!(refused.error_id(), "session_aal2_required", "{path} {counts}");
            ada.call("GET", path).await.expect(200);
            bob.call("GET", path).await.expect(200);
        }
        assert_eq!(phone.start("login", "").await.expect(403).error_id(), "session_aal2_required", "{counts}");
        assert_eq!(phone.start("settings", "").await.expect(403).error_id(), "session_aal2_required", "{counts}");
        bob.init("settings", "").await;
    }
}

/// The counts beside the identity were damaged: nobody changes more than they could before, and the next change mends them.
// cases: AC-04
#[database_test(config = enabled())]
async fn damaged_counts_admit_to_nothing(t: Trial) {
    let ada = t.signed_up(EMAIL).await;
    let id = ada.id().await;
    let (key, _) = enrol(&t, &ada).await;
    let phone = first_step(&t, EMAIL).await;
    damage(&t, id, "{}").await;
    assert_eq!(stored_factors(&t, id).await.available(t.app().code_use()), Aal::Aal0, "the damage is done");

    assert_eq!(phone.start("settings", "").await.expect(403).error_id(), "session_aal2_required");
    let flow = ada.init("settings", "").await;
    assert_eq!(phone.fetch("settings", &flow.id()).await.expect(403).error_id(), "session_aal2_required");
    let before = t.snapshot(id).await;
    for fields in
        [json!({ "method": "profile", "traits": { "email": EMAIL, "nickname": "Eve" } }), json!({ "totp_unlink": true })]
    {
        phone.submit(&flow, fields).await.login_first("session_aal2_required");
    }
    assert_eq!(t.snapshot(id).await, before);

    ada.submit(&flow, json!({ "method": "profile", "traits": { "email": EMAIL, "nickname": "Ada" } })).await.saved();
    assert_eq!(stored_factors(&t, id).await, t.snapshot(id).await.factors(), "mended");
    t.clock().advance(Span::seconds(60));
    step_up(&phone, json!({ "method": "totp", "totp_code": code(&key, &t) })).await.done();
}
