//! The table of who may change what, cell by cell, through a running server: the answer, and what is stored afterwards.
//! The cells come from the file that also holds the pure decision to account (`demand.table` of the model).
//! Operations whose methods do not exist yet are named in [`steps`] and are left out there, nowhere else.

use base64::Engine as _;
use keyward_model::{CredentialType, FlowId, FlowOrigin, Identity, IdentityId, IdentitySnapshot, Operation, Settings, Span};
use keyward_services::derive::{CredentialEdit, IdentityEdit, derive};
use keyward_services::flow_rows;
use keyward_store::{Batch, FlowRow, ListedSession, Liveness};
use keyward_testkit::authenticator::{Algorithm, SoftKey};
use keyward_testkit::{Actor, ClientKind, Flow, PASSWORD, Said, Submitted, Trial, Value, flow_test};
use serde_json::json;

use crate::second_factor::{code, codes, first_step, key, step_up};
use crate::second_factor_cases::enrol_first;
use crate::second_factor_races::stored_factors;
use crate::webauthn::options;

const TABLE: &str = include_str!("../../../keyward-model/src/demand.table");
const NEW: &str = "staple 9 correct elephant";

/// Whether there is a second factor, and whether the session showed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    NoFactor,
    Weak,
    Strong,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Done,
    Refresh,
    Aal2,
    Enrol,
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    operation: Operation,
    required_aal: &'static str,
    origin: FlowOrigin,
    level: Level,
    fresh: bool,
    answer: Answer,
}

fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<_> = line.split_whitespace().collect();
        let operation = Operation::ALL.into_iter().find(|operation| operation.as_str() == columns[0]).expect(line);
        let origin = if columns[2] == "recovery" { FlowOrigin::Recovery } else { FlowOrigin::Normal };
        for (place, word) in columns[3..].iter().enumerate() {
            let answer = match *word {
                "done" => Answer::Done,
                "refresh" => Answer::Refresh,
                "aal2" => Answer::Aal2,
                "enrol" => Answer::Enrol,
                _ => panic!("no answer: {word} in {line}"),
            };
            let level = [Level::NoFactor, Level::Weak, Level::Strong][place / 2];
            cells.push(Cell { operation, required_aal: columns[1], origin, level, fresh: place % 2 == 0, answer });
        }
    }
    cells
}

/// What a person does. Some operations can be done in several ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    FreeTrait,
    ProtectedTrait,
    Password,
    EnrolApp,
    MakeCodes,
    UnlinkApp,
    DisableCodes,
    RevealCodes,
    ReplaceCodes,
    AddPasskey,
    RenamePasskey,
    RemovePasskey,
    AddKey,
    RenameKey,
    RemoveKey,
    DisableNothing,
}

/// The ways of doing an operation, each with the second factor that somebody has meanwhile.
fn steps(operation: Operation, level: Level) -> Vec<(Step, Second)> {
    use Second::{App, Codes};
    match operation {
        Operation::EditFreeTraits => vec![(Step::FreeTrait, App)],
        Operation::EditProtectedTraits => vec![(Step::ProtectedTrait, App)],
        Operation::SetFirstPassword => vec![(Step::Password, Codes)],
        Operation::ChangePassword => vec![(Step::Password, App)],
        Operation::AddFactor => {
            vec![(Step::EnrolApp, Codes), (Step::MakeCodes, App), (Step::AddPasskey, App), (Step::AddKey, App)]
        }
        // Without a second factor of one's own there can still be codes that are used up.
        Operation::RemoveFactor if level == Level::NoFactor => vec![(Step::DisableCodes, Codes), (Step::RemovePasskey, App)],
        Operation::RemoveFactor => {
            vec![(Step::UnlinkApp, App), (Step::DisableCodes, Codes), (Step::RemovePasskey, App), (Step::RemoveKey, App)]
        }
        Operation::RevealCodes => vec![(Step::RevealCodes, Codes)],
        Operation::ReplaceCodes => vec![(Step::ReplaceCodes, Codes)],
        Operation::Nothing => vec![(Step::DisableNothing, App)],
        // A security key is a second factor by itself.
        Operation::RenameFactor if level == Level::NoFactor => vec![(Step::RenamePasskey, App)],
        Operation::RenameFactor => vec![(Step::RenamePasskey, App), (Step::RenameKey, App)],
        // There is no method for these yet.
        Operation::Link | Operation::Unlink => Vec::new(),
    }
}

/// Which second factor somebody has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Second {
    App,
    Codes,
}

fn setting(required_aal: &str) -> Value {
    json!({
        // What is asked for is the settings flow's business here.
        "session": { "whoami": { "required_aal": "aal1" } },
        "selfservice": {
            "flows": { "settings": { "required_aal": required_aal } },
            "methods": {
                "totp": { "enabled": true, "config": { "issue_lookup_secrets": false } },
                "lookup_secret": { "enabled": true },
                "passkey": { "enabled": true },
                "webauthn": { "enabled": true },
            },
        },
    })
}

#[flow_test(api, browser, config = setting("aal1"))]
async fn every_cell_under_aal1(t: Trial) {
    prove(&t, "aal1").await;
}

#[flow_test(api, browser, config = setting("highest_available"))]
async fn every_cell_under_highest_available(t: Trial) {
    prove(&t, "highest_available").await;
}

#[flow_test(api, browser, config = setting("aal2"))]
async fn every_cell_under_aal2(t: Trial) {
    prove(&t, "aal2").await;
}

/// Whoever was refused is as they were before, so one person in each situation is refused everything; whoever changed something
/// did it for the one cell.
async fn prove(t: &Trial, required_aal: &str) {
    let mut proven = 0;
    for fresh in [true, false] {
        let mut plan = Vec::new();
        let mut refused: Vec<(Situation, Person<'_>)> = Vec::new();
        for cell in cells().into_iter().filter(|cell| cell.required_aal == required_aal && cell.fresh == fresh) {
            for (step, second) in steps(cell.operation, cell.level) {
                let situation = Situation::of(&cell, step, second);
                let email = format!("person-{proven}@example.org");
                proven += 1;
                if cell.answer == Answer::Done {
                    plan.push((situation, Some(Person::prepare(t, &email, situation).await), cell, step));
                    continue;
                }
                if refused.iter().all(|(known, _)| *known != situation) {
                    refused.push((situation, Person::prepare(t, &email, situation).await));
                }
                plan.push((situation, None, cell, step));
            }
        }
        if !fresh {
            t.clock().advance(Span::hours(2));
        }
        for (situation, own, cell, step) in plan {
            let shared = || refused.iter().find(|(known, _)| *known == situation).map(|(_, person)| person);
            own.as_ref().or_else(shared).expect("a person for every cell").prove(&cell, step).await;
        }
    }
    // 12 cells an operation. Without a second factor there is one way less to rename, and two ways less to remove.
    let ways = [1, 1, 1, 1, 4, 1, 1, 1];
    let by_level = (4 * 2 + 8 * 4) + (4 + 8 * 2);
    assert_eq!(proven, 12 * ways.iter().sum::<i32>() + by_level, "every cell of the ten operations, some in several ways");
}

/// What has to be prepared for a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Situation {
    level: Level,
    second: Second,
    /// The step is about codes, so there have to be some.
    has_codes: bool,
    has_password: bool,
    /// The step is about a key that is there.
    key: Option<CredentialType>,
}

impl Situation {
    fn of(cell: &Cell, step: Step, second: Second) -> Self {
        Self {
            level: cell.level,
            second,
            has_codes: matches!(step, Step::DisableCodes | Step::RevealCodes | Step::ReplaceCodes),
            has_password: cell.operation != Operation::SetFirstPassword,
            key: match step {
                Step::RenamePasskey | Step::RemovePasskey => Some(CredentialType::Passkey),
                Step::RenameKey | Step::RemoveKey => Some(CredentialType::Webauthn),
                _ => None,
            },
        }
    }
}

/// Somebody in the situation of a cell.
struct Person<'a> {
    t: &'a Trial,
    id: IdentityId,
    email: String,
    /// The device that acts.
    device: Actor,
    /// Another one, at the highest level that there is; only where the cell has a second factor or codes.
    owner: Actor,
}

impl<'a> Person<'a> {
    async fn prepare(t: &'a Trial, email: &str, situation: Situation) -> Self {
        let Situation { level, second, has_codes, has_password, key: held } = situation;
        let created = t.admin().create_person(email).await;
        let id = created["id"].as_str().and_then(IdentityId::parse).expect("an id");
        let owner = t.person();
        let mut app = None;
        let mut made = Vec::new();
        if level != Level::NoFactor || has_codes {
            owner.sign_in(email, PASSWORD).await.done();
        }
        if level != Level::NoFactor && second == Second::App {
            let flow = owner.init("settings", "").await;
            let shown = key(&flow);
            owner.submit(&flow, json!({ "method": "totp", "totp_code": code(&shown, t) })).await.saved();
            app = Some(shown);
        } else if level != Level::NoFactor || has_codes {
            let flow = owner.init("settings", "").await;
            owner.submit(&flow, json!({ "lookup_secret_regenerate": true })).await.form();
            made = codes(&owner.refetch(&flow).await);
            owner.submit(&flow, json!({ "lookup_secret_confirm": true })).await.saved();
        }
        let device = first_step(t, email).await;
        if level == Level::Strong {
            // The enrolment used the code of its moment up.
            t.clock().advance(Span::seconds(30));
            let proof = match &app {
                Some(key) => json!({ "method": "totp", "totp_code": code(key, t) }),
                None => json!({ "method": "lookup_secret", "lookup_secret": made[0] }),
            };
            step_up(&device, proof).await.done();
        }
        let person = Self { t, id, email: email.to_owned(), device, owner };
        if level == Level::NoFactor && has_codes {
            person.use_up_codes().await;
        }
        if let Some(kind) = held {
            let identifiers = (kind == CredentialType::Passkey).then(|| vec![format!("handle of {email}")]);
            let id = base64(email.as_bytes());
            let key = json!({ "id": id, "public_key": "AAECAw==", "is_passwordless": kind == CredentialType::Passkey });
            let config = json!({ "credentials": [key], "user_handle": base64(format!("handle of {email}").as_bytes()) });
            person.edit(CredentialEdit::Put { kind, config, identifiers }).await;
        }
        if !has_password {
            person.edit(CredentialEdit::Drop(CredentialType::Password)).await;
        }
        person
    }

    async fn edit(&self, edit: CredentialEdit) {
        let app = self.t.app();
        let before = self.t.snapshot(self.id).await;
        let schema = &app.schemas.get("person").expect("the schema of people").schema;
        let edit = IdentityEdit { credentials: vec![edit], ..IdentityEdit::default() };
        let derived = derive(schema, Some(&before), &edit, self.t.now(), app.random()).expect("an edit that fits");
        let mut batch = Batch::new();
        derived.write(&mut batch);
        self.t.store().commit(batch).await.expect("an edit that is stored");
    }

    async fn use_up_codes(&self) {
        let snapshot = self.t.snapshot(self.id).await;
        let mut config = snapshot.credential(CredentialType::LookupSecret).expect("codes").config.clone();
        for code in config["recovery_codes"].as_array_mut().expect("a set") {
            code["used_at"] = json!(self.t.now());
        }
        self.edit(CredentialEdit::Put { kind: CredentialType::LookupSecret, config, identifiers: None }).await;
        assert_eq!(self.t.snapshot(self.id).await.factors().second(), 0);
    }

    /// The flow to act on. Where the level forbids to open one, the person's other device opened it.
    async fn flow(&self, cell: &Cell) -> Flow {
        let barred = cell.required_aal == "highest_available" && cell.level == Level::Weak;
        let opener = if barred {
            let refused = self.device.start("settings", "").await;
            assert_eq!(refused.status, if self.t.client == ClientKind::Browser { 303 } else { 403 }, "{cell:?}: {refused:?}");
            &self.owner
        } else {
            &self.device
        };
        let flow = opener.init("settings", "").await;
        if cell.origin == FlowOrigin::Recovery {
            set_origin(self.t, &flow, cell.origin).await;
        }
        flow
    }

    async fn prove(&self, cell: &Cell, step: Step) {
        let flow = self.flow(cell).await;
        let fields = self.fields(step, &flow);
        let before = self.stored(&flow).await;
        let submitted = self.device.submit(&flow, fields).await;
        let situation = format!("{cell:?} by {step:?}");
        match cell.answer {
            Answer::Done => {
                self.done(step, &flow, submitted, &before, &situation).await;
                return;
            }
            Answer::Refresh => drop(submitted.login_first("session_refresh_required")),
            Answer::Aal2 => drop(submitted.login_first("session_aal2_required")),
            Answer::Enrol => enrol_first(self.t, &submitted),
        }
        let after = self.stored(&flow).await;
        assert_eq!(after.identity, before.identity, "{situation}");
        assert_eq!(after.sessions, before.sessions, "{situation}");
        assert!(after.flow == before.flow, "the flow was changed: {situation}");
    }

    fn fields(&self, step: Step, flow: &Flow) -> Value {
        match step {
            Step::FreeTrait => json!({ "method": "profile", "traits": { "email": self.email, "nickname": "Countess" } }),
            Step::ProtectedTrait => json!({ "method": "profile", "traits": { "email": format!("new-{}", self.email) } }),
            Step::Password => json!({ "method": "password", "password": NEW }),
            Step::EnrolApp => json!({ "method": "totp", "totp_code": code(&key(flow), self.t) }),
            Step::MakeCodes | Step::ReplaceCodes => json!({ "lookup_secret_regenerate": true }),
            Step::UnlinkApp => json!({ "totp_unlink": true }),
            Step::DisableCodes | Step::DisableNothing => json!({ "lookup_secret_disable": true }),
            Step::RevealCodes => json!({ "lookup_secret_reveal": true }),
            Step::AddPasskey => {
                let sent = self.browser().create(&options(flow, "passkey_create_data")).text();
                json!({ "method": "passkey", "passkey_settings_register": sent })
            }
            Step::AddKey => {
                let sent = self.browser().create(&options(flow, "webauthn_register_trigger")).text();
                json!({ "method": "webauthn", "webauthn_register": sent, "webauthn_register_displayname": "key" })
            }
            Step::RenamePasskey => {
                json!({ "method": "passkey", "passkey_rename": self.key_id(), "passkey_display_name": "new" })
            }
            Step::RenameKey => {
                json!({ "method": "webauthn", "webauthn_rename": self.key_id(), "webauthn_register_displayname": "new" })
            }
            Step::RemovePasskey => json!({ "passkey_remove": self.key_id() }),
            Step::RemoveKey => json!({ "webauthn_remove": self.key_id() }),
        }
    }

    fn browser(&self) -> SoftKey {
        SoftKey::new(Algorithm::Es256, self.t.public().trim_end_matches('/'))
    }

    fn key_id(&self) -> String {
        keyward_model::hex(self.email.as_bytes())
    }

    /// What was done is what is stored, and nothing beside it.
    async fn done(&self, step: Step, flow: &Flow, submitted: Submitted, before: &Stored, situation: &str) {
        let previews = matches!(step, Step::MakeCodes | Step::ReplaceCodes | Step::RevealCodes);
        if previews {
            let Said::Form(shown) = submitted.said else { panic!("{situation}: {:?}", submitted.said) };
            assert!(shown.find("lookup_secret_codes").is_some(), "{situation}");
            assert_eq!(self.stored(flow).await.identity, before.identity, "a look changes nothing: {situation}");
            if step == Step::RevealCodes {
                return;
            }
            self.device.submit(flow, json!({ "lookup_secret_confirm": true })).await.saved();
        } else {
            assert!(submitted.is_done(), "{situation}: {:?}", submitted.said);
        }
        let after = self.stored(flow).await;
        let changed: Vec<_> = CredentialType::ALL
            .into_iter()
            .filter(|kind| config(&before.identity, *kind) != config(&after.identity, *kind))
            .collect();
        let expected = match step {
            Step::FreeTrait | Step::DisableNothing => vec![],
            Step::ProtectedTrait => vec![CredentialType::Code],
            Step::Password => vec![CredentialType::Password],
            Step::EnrolApp | Step::UnlinkApp => vec![CredentialType::Totp],
            Step::MakeCodes | Step::DisableCodes | Step::ReplaceCodes => vec![CredentialType::LookupSecret],
            Step::AddPasskey | Step::RenamePasskey | Step::RemovePasskey => vec![CredentialType::Passkey],
            Step::AddKey | Step::RenameKey | Step::RemoveKey => vec![CredentialType::Webauthn],
            Step::RevealCodes => unreachable!("looked at above"),
        };
        assert_eq!(changed, expected, "{situation}");
        let (was, is): (&Identity, &Identity) = (&before.identity.identity, &after.identity.identity);
        match step {
            Step::FreeTrait => assert_eq!(is.traits["nickname"], "Countess"),
            Step::ProtectedTrait => assert_eq!(is.traits["email"], format!("new-{}", self.email)),
            _ => assert_eq!(is.traits, was.traits, "{situation}"),
        }
        let raised = matches!(step, Step::EnrolApp | Step::MakeCodes | Step::ReplaceCodes | Step::AddKey);
        // A passkey is one more proof of the first factor.
        let proven = raised || step == Step::AddPasskey;
        assert_eq!(after.sessions != before.sessions, proven, "sessions after {situation}");
        let level = self.device.whoami().await["authenticator_assurance_level"].clone();
        assert_eq!(level == "aal2", raised || situation.contains("Strong"), "{situation}");
        assert_eq!(stored_factors(self.t, self.id).await, after.identity.factors(), "{situation}");
    }

    async fn stored(&self, flow: &Flow) -> Stored {
        let all = self.t.store().list_all_sessions((Liveness::Any, self.t.now()), None, 1_000).await.unwrap();
        Stored {
            identity: self.t.snapshot(self.id).await,
            sessions: all.into_iter().filter(|listed| listed.session.identity_id == self.id).collect(),
            flow: self.t.store().find_flow(FlowId::parse(&flow.id()).unwrap(), "settings").await.unwrap(),
        }
    }
}

fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn config(snapshot: &IdentitySnapshot, kind: CredentialType) -> Option<&Value> {
    snapshot
        .credential(kind)
        .map(|row| &row.config)
        .filter(|config| config.as_object().is_some_and(|members| !members.is_empty()))
}

struct Stored {
    identity: IdentitySnapshot,
    sessions: Vec<ListedSession>,
    flow: Option<FlowRow>,
}

/// Makes a flow look as if a recovery had led to it.
async fn set_origin(t: &Trial, flow: &Flow, origin: FlowOrigin) {
    let app = t.app();
    let id = FlowId::parse(&flow.id()).unwrap();
    let mut stored = flow_rows::find::<Settings>(&app, id).await.unwrap().unwrap();
    stored.extra.origin = origin;
    let mut batch = Batch::new();
    flow_rows::update(&app, &mut stored, &mut batch);
    t.store().commit(batch).await.unwrap();
}

/// What a recovery admits without a second factor, it admits once.
#[flow_test(config = setting("aal2"))]
async fn a_recovery_admits_one_password_change(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let flow = ada.init("settings", "").await;
    set_origin(&t, &flow, FlowOrigin::Recovery).await;
    ada.submit(&flow, json!({ "method": "profile", "traits": { "email": "ada@example.org", "nickname": "Ada" } })).await.saved();
    ada.submit(&flow, json!({ "method": "password", "password": NEW })).await.saved();
    enrol_first(&t, &ada.submit(&flow, json!({ "method": "password", "password": "another 5 purple giraffe" })).await);
    t.person().sign_in("ada@example.org", NEW).await.done();
}
