//! Every write of the server, broken at every statement in turn: the database stays as it was, the client learns that it is the
//! server's fault, and the same request works once the database does.
//! [`Faults`](keyward_store::Faults) breaks a batch for real inside the engine; what is compared is everything that was stored.
//! Which statements a write has is nobody's business here.

use keyward_model::{IdentitySnapshot, Span, Time};
use keyward_store::{AuditEvent, FlowRow, ListedSession, Liveness, PageStart};
use keyward_testkit::authenticator::Algorithm;
use keyward_testkit::{Actor, ClientKind, Flow, PASSWORD, Reply, Said, Submitted, Trial, Value, database_test, flow_test};
use serde_json::json;

use crate::passkey::browser_key;
use crate::second_factor::{codes, enabled, first_step, key};
use crate::webauthn::options;

const NEW: &str = "staple 9 correct elephant";
const ADA: &str = "ada@example.org";

/// Everything that a failed write could have left behind.
struct World {
    identities: Vec<IdentitySnapshot>,
    sessions: Vec<ListedSession>,
    audit: Vec<AuditEvent>,
    flow: Option<FlowRow>,
}

impl World {
    async fn look(t: &Trial, flow: Option<&Flow>) -> Self {
        let store = t.store();
        let flow = match flow {
            Some(flow) => {
                let id = keyward_model::FlowId::parse(&flow.id()).unwrap();
                let row = store.find_flow(id, &flow.kind).await.unwrap();
                Some(row.unwrap_or_else(|| panic!("no {} flow is stored under this id", flow.kind)))
            }
            None => None,
        };
        Self {
            identities: store.list_identities(PageStart::Offset(0), 100).await.unwrap(),
            sessions: store.list_all_sessions((Liveness::Any, Time::from_unix(0)), None, 100).await.unwrap(),
            audit: t.audit().await,
            flow,
        }
    }

    fn assert_same(&self, after: &Self, statement: usize) {
        assert_eq!(self.identities, after.identities, "statement {statement} left a trace in the identities");
        assert_eq!(self.sessions, after.sessions, "statement {statement} left a trace in the sessions");
        assert_eq!(self.audit, after.audit, "statement {statement} left a trace in the audit log");
        assert!(self.flow == after.flow, "statement {statement} left a trace in the flow");
    }
}

/// What a request came to: it did what it should, or the status of an error.
type Outcome = Result<(), u16>;

/// Sends the same request until it goes through, with the database failing one statement later each time. Yields how many
/// places could fail. Time goes on in between, so that a stamp that was written too early is seen.
async fn all_or_nothing(t: &Trial, flow: Option<&Flow>, mut request: impl AsyncFnMut() -> Outcome) -> usize {
    for statement in 0..60 {
        let before = World::look(t, flow).await;
        t.faults().fail_at(statement);
        match request().await {
            Ok(()) => return statement,
            Err(status) => assert_eq!(status, 500, "statement {statement}"),
        }
        before.assert_same(&World::look(t, flow).await, statement);
        t.clock().advance(Span::seconds(1));
    }
    panic!("no request went through");
}

#[track_caller]
fn outcome(submitted: Submitted) -> Outcome {
    match submitted.said {
        Said::Done(_) => Ok(()),
        Said::Problem { status, error } => {
            assert_tells_nothing(&error);
            Err(status)
        }
        other => panic!("this was expected to be done or to fail, not {other:#?}"),
    }
}

/// The answer of a JSON endpoint.
#[track_caller]
fn answer(reply: &Reply, success: u16) -> Outcome {
    if reply.status == success {
        return Ok(());
    }
    let body = reply.json();
    assert_eq!(body["error"]["code"], reply.status, "{reply:?}");
    assert_tells_nothing(&body);
    Err(reply.status)
}

/// An error of the database stays in the log: no statement, table or engine shows.
#[track_caller]
fn assert_tells_nothing(error: &Value) {
    let text = error.to_string().to_lowercase();
    for word in ["overflow", "abs(", "select", "sqlite", "postgres", "faults."] {
        assert!(!text.contains(word), "{word}: {text}");
    }
}

// No case of its own in the list.
#[flow_test]
async fn registration(t: Trial) {
    let ada = t.person();
    let flow = ada.init("registration", "").await;
    let fields = json!({ "method": "password", "password": PASSWORD, "traits": { "email": ADA, "nickname": "Ada" } });
    let places = all_or_nothing(&t, Some(&flow), async || {
        let submitted = ada.submit(&flow, fields.clone()).await;
        if !submitted.is_done() {
            assert_eq!(submitted.reply.set_cookie("ory_kratos_session"), None, "a session that does not exist");
        }
        outcome(submitted)
    })
    .await;
    // Identity, credential, identifier, two addresses, session, flow, two events.
    assert!(places > 6, "only {places} places could fail");
    assert_eq!(ada.whoami().await["identity"]["traits"]["nickname"], "Ada");
    t.person().sign_in(ADA, PASSWORD).await.done();
}

// No case of its own in the list.
#[flow_test]
async fn a_new_session(t: Trial) {
    t.admin().create_person(ADA).await;
    let ada = t.person();
    let flow = ada.init("login", "").await;
    let fields = json!({ "method": "password", "identifier": ADA, "password": PASSWORD });
    let places = all_or_nothing(&t, Some(&flow), async || {
        let submitted = ada.submit(&flow, fields.clone()).await;
        if !submitted.is_done() {
            assert_eq!(submitted.reply.set_cookie("ory_kratos_session"), None, "a session that does not exist");
        }
        outcome(submitted)
    })
    .await;
    assert!(places > 3, "only {places} places could fail");
    ada.whoami().await;
}

// No case of its own in the list.
#[flow_test]
async fn a_refreshed_session(t: Trial) {
    let ada = t.signed_up(ADA).await;
    t.clock().advance(Span::hours(1));
    let before = ada.whoami().await;
    let flow = ada.init("login", "refresh=true").await;
    let fields = json!({ "method": "password", "identifier": ADA, "password": PASSWORD });
    let places = all_or_nothing(&t, Some(&flow), async || outcome(ada.submit(&flow, fields.clone()).await)).await;
    assert!(places > 2, "only {places} places could fail");
    let after = ada.whoami().await;
    assert_eq!(after["id"], before["id"]);
    assert_ne!(after["authenticated_at"], before["authenticated_at"]);
    assert_eq!(after["authentication_methods"].as_array().map(Vec::len), Some(2));
}

/// A refusal is written too: the form with its messages, and the audit event.
// No case of its own in the list.
#[flow_test]
async fn a_wrong_password(t: Trial) {
    t.admin().create_person(ADA).await;
    let ada = t.person();
    let flow = ada.init("login", "").await;
    let fields = json!({ "method": "password", "identifier": ADA, "password": NEW });
    let mut form = None;
    let places = all_or_nothing(&t, Some(&flow), async || {
        let submitted = ada.submit(&flow, fields.clone()).await;
        match submitted.said {
            Said::Form(shown) => {
                form = Some(shown);
                Ok(())
            }
            _ => outcome(submitted),
        }
    })
    .await;
    assert!(places > 1, "only {places} places could fail");
    assert_eq!(form.unwrap().messages(), [4_000_006]);
}

// cases: S-36
#[flow_test]
async fn a_profile(t: Trial) {
    let ada = t.signed_up(ADA).await;
    let flow = ada.init("settings", "").await;
    let traits = json!({ "email": "lovelace@example.org", "nickname": "Ada", "name": { "first": "Ada" } });
    let fields = json!({ "method": "profile", "traits": traits });
    let places = all_or_nothing(&t, Some(&flow), async || outcome(ada.submit(&flow, fields.clone()).await)).await;
    assert!(places > 5, "only {places} places could fail");
    assert_eq!(ada.whoami().await["identity"]["traits"], traits);
    assert_eq!(ada.refetch(&flow).await.value("traits.email"), "lovelace@example.org");
    t.person().sign_in("lovelace@example.org", PASSWORD).await.done();
}

/// An authenticator app: key, backup codes, level of the session and flow belong together, when it comes, when it is shown and
/// when it goes.
// cases: S-36
#[flow_test(config = enabled())]
async fn an_authenticator_app(t: Trial) {
    let ada = t.signed_up(ADA).await;
    let flow = ada.init("settings", "").await;
    let app = key(&flow);
    let fields = json!({ "method": "totp", "totp_code": app.code_at(t.now()).unwrap() });
    let places = all_or_nothing(&t, Some(&flow), async || {
        let done = outcome(ada.submit(&flow, fields.clone()).await);
        let level = if done.is_ok() { "aal2" } else { "aal1" };
        assert_eq!(ada.whoami().await["authenticator_assurance_level"], level);
        done
    })
    .await;
    // Identity, two credentials with an identifier each, session, flow, five events.
    assert!(places > 8, "only {places} places of the enrolment could fail");

    let phone = first_step(&t, ADA).await;
    let step = phone.init("login", "aal=aal2").await;
    t.clock().advance(Span::seconds(60));
    let typed = json!({ "method": "totp", "totp_code": app.code_at(t.now()).unwrap() });
    let places = all_or_nothing(&t, Some(&step), async || outcome(phone.submit(&step, typed.clone()).await)).await;
    assert!(places > 3, "only {places} places of the second step could fail");
    assert_eq!(phone.whoami().await["authenticator_assurance_level"], "aal2");

    let flow = ada.init("settings", "").await;
    let unlink = json!({ "totp_unlink": true });
    let places = all_or_nothing(&t, Some(&flow), async || outcome(ada.submit(&flow, unlink.clone()).await)).await;
    assert!(places > 5, "only {places} places of the removal could fail");
    t.signed_in(ADA).await.whoami().await;
}

/// Backup codes: made, used and removed whole or not at all.
// cases: S-36
#[flow_test(config = enabled())]
async fn backup_codes(t: Trial) {
    let ada = t.signed_up(ADA).await;
    let flow = ada.init("settings", "").await;
    let mut preview = None;
    let places = all_or_nothing(&t, Some(&flow), async || {
        let submitted = ada.submit(&flow, json!({ "lookup_secret_regenerate": true })).await;
        match submitted.said {
            Said::Form(shown) => {
                preview = Some(shown);
                Ok(())
            }
            _ => outcome(submitted),
        }
    })
    .await;
    assert!(places > 0, "nothing of the preview could fail");
    let made = codes(&preview.unwrap());
    let confirm = json!({ "lookup_secret_confirm": true });
    let places = all_or_nothing(&t, Some(&flow), async || outcome(ada.submit(&flow, confirm.clone()).await)).await;
    assert!(places > 5, "only {places} places of the confirmation could fail");

    let phone = first_step(&t, ADA).await;
    let step = phone.init("login", "aal=aal2").await;
    let typed = json!({ "method": "lookup_secret", "lookup_secret": made[7] });
    let places = all_or_nothing(&t, Some(&step), async || outcome(phone.submit(&step, typed.clone()).await)).await;
    assert!(places > 4, "only {places} places of the second step could fail");
    assert_eq!(phone.whoami().await["authenticator_assurance_level"], "aal2");

    let flow = ada.init("settings", "").await;
    let disable = json!({ "lookup_secret_disable": true });
    let places = all_or_nothing(&t, Some(&flow), async || outcome(ada.submit(&flow, disable.clone()).await)).await;
    assert!(places > 5, "only {places} places of the removal could fail");
    t.signed_in(ADA).await.whoami().await;
}

/// Keys: added, named, used and removed whole or not at all.
// cases: S-36
#[flow_test(config = json!({ "selfservice": { "methods": { "passkey": { "enabled": true }, "webauthn": { "enabled": true } } } }))]
async fn keys(t: Trial) {
    let ada = t.signed_up(ADA).await;
    for (data, field, remove, rename, name) in [
        ("passkey_create_data", "passkey_settings_register", "passkey_remove", "passkey_rename", "passkey_display_name"),
        ("webauthn_register_trigger", "webauthn_register", "webauthn_remove", "webauthn_rename", "webauthn_register_displayname"),
    ] {
        let flow = ada.init("settings", "").await;
        let mut key = browser_key(&t, Algorithm::Es256);
        let sent = key.create(&options(&flow, data)).text();
        let fields = json!({ field: sent, name: "key" });
        let places = all_or_nothing(&t, Some(&flow), async || outcome(ada.submit(&flow, fields.clone()).await)).await;
        // Identity, credential, identifier, key, session, flow, events.
        assert!(places > 8, "only {places} places of the registration could fail");
        let id = keyward_model::hex(&key.id);

        if data == "passkey_create_data" {
            let phone = t.person();
            let login = phone.init("login", "").await;
            let sent = key.get(&options(&login, "passkey_challenge")).text(&key);
            let fields = json!({ "method": "passkey", "passkey_login": sent });
            let places = all_or_nothing(&t, Some(&login), async || outcome(phone.submit(&login, fields.clone()).await)).await;
            assert!(places > 3, "only {places} places of the sign-in could fail");
        }
        let flow = ada.init("settings", "").await;
        let fields = json!({ rename: id, name: "other" });
        let places = all_or_nothing(&t, Some(&flow), async || outcome(ada.submit(&flow, fields.clone()).await)).await;
        assert!(places > 4, "only {places} places of the renaming could fail");
        let flow = ada.init("settings", "").await;
        let fields = json!({ remove: id });
        let places = all_or_nothing(&t, Some(&flow), async || outcome(ada.submit(&flow, fields.clone()).await)).await;
        assert!(places > 3, "only {places} places of the removal could fail");
    }
    t.signed_in(ADA).await.whoami().await;
}

/// With the hook that ends the other sessions: they end with the new password or not at all.
// cases: S-36, S-68
#[flow_test(config = json!({ "selfservice": { "flows": { "settings": { "after": { "password": {
    "hooks": [{ "hook": "revoke_active_sessions" }] } } } } } }))]
async fn a_password(t: Trial) {
    let ada = t.signed_up(ADA).await;
    let other = t.signed_in(ADA).await;
    let flow = ada.init("settings", "").await;
    let fields = json!({ "method": "password", "password": NEW });
    let places = all_or_nothing(&t, Some(&flow), async || {
        let submitted = ada.submit(&flow, fields.clone()).await;
        if !submitted.is_done() {
            other.whoami().await;
        }
        outcome(submitted)
    })
    .await;
    assert!(places > 5, "only {places} places could fail");
    ada.whoami().await;
    other.try_whoami().await.expect(401);
    t.person().sign_in(ADA, NEW).await.done();
    assert_eq!(t.person().sign_in(ADA, PASSWORD).await.form().messages(), [4_000_006]);
}

/// A pause that could not be written may be repeated, and so may the way back: the payload is used up only by success.
// cases: S-36
#[flow_test(browser, spa)]
async fn a_pause_and_its_end(t: Trial) {
    let ada = t.signed_up(ADA).await;
    t.clock().advance(Span::hours(2));
    let flow = ada.init("settings", "").await;
    let mut login = None;
    let places = all_or_nothing(&t, Some(&flow), async || {
        let submitted = ada.submit(&flow, json!({ "method": "password", "password": NEW })).await;
        match &submitted.said {
            Said::Leave(_) | Said::Problem { status: 403, .. } => {
                login = Some(submitted.login_first("session_refresh_required"));
                Ok(())
            }
            _ => outcome(submitted),
        }
    })
    .await;
    assert!(places > 1, "only {places} places of the pause could fail");

    let back = ada.sign_in_again(&login.unwrap(), PASSWORD).await.location.unwrap();
    t.clock().advance(Span::seconds(1));
    let places = all_or_nothing(&t, Some(&flow), async || outcome(ada.navigate(&back).await)).await;
    assert!(places > 5, "only {places} places of the way back could fail");
    assert_eq!(ada.refetch(&flow).await.state(), "success");
    t.person().sign_in(ADA, NEW).await.done();
}

/// A flow that could not be stored is not handed out.
// cases: S-36
#[flow_test]
async fn the_start_of_a_flow(t: Trial) {
    let ada = t.signed_up(ADA).await;
    let nobody = t.person();
    for (kind, person) in [("settings", &ada), ("login", &nobody), ("registration", &nobody)] {
        let places = all_or_nothing(&t, None, async || started(person, kind).await).await;
        assert!(places > 0, "nothing could fail");
    }
}

async fn started(person: &Actor, kind: &str) -> Outcome {
    let reply = person.start(kind, "").await;
    if person.client != ClientKind::Browser {
        return answer(&reply, 200);
    }
    let reply = reply.expect(303);
    if reply.location_parameter("flow").is_some() {
        return Ok(());
    }
    let id = reply.location_parameter("id").unwrap_or_else(|| panic!("neither a flow nor an error: {reply:?}"));
    let stored = person.call("GET", &format!("/self-service/errors?id={id}")).header("accept", "application/json").await;
    Err(u16::try_from(stored.expect(200).json()["error"]["code"].as_u64().unwrap()).unwrap())
}

// cases: AC-63
#[flow_test]
async fn a_logout(t: Trial) {
    let ada = t.signed_up(ADA).await;
    let other = t.signed_in(ADA).await;
    let places = if t.client == ClientKind::Api {
        let body = json!({ "session_token": ada.token() });
        all_or_nothing(&t, None, async || {
            let call = ada.call("DELETE", "/self-service/logout/api").no_header("x-session-token").json(&body);
            answer(&call.await, 204)
        })
        .await
    } else {
        let logout = ada.call("GET", "/self-service/logout/browser").header("accept", "application/json").await;
        let url = logout.expect(200).json()["logout_url"].as_str().unwrap().to_owned();
        all_or_nothing(&t, None, async || {
            let reply = ada.call("GET", &url).header("accept", "application/json").await;
            let removed = reply.set_cookie("ory_kratos_session").is_some_and(|cookie| cookie.is_removal());
            assert_eq!(removed, reply.status == 204, "the cookie goes with the session: {reply:?}");
            answer(&reply, 204)
        })
        .await
    };
    assert!(places > 1, "only {places} places could fail");
    ada.try_whoami().await.expect(401);
    other.whoami().await;
}

// cases: AC-63
#[flow_test(api, spa)]
async fn ending_sessions(t: Trial) {
    let ada = t.signed_up(ADA).await;
    let (phone, tablet) = (t.signed_in(ADA).await, t.signed_in(ADA).await);
    let session = phone.whoami().await["id"].as_str().unwrap().to_owned();
    let one = format!("/sessions/{session}");
    let places = all_or_nothing(&t, None, async || answer(&ada.call("DELETE", &one).await, 204)).await;
    assert!(places > 1, "only {places} places could fail");
    phone.try_whoami().await.expect(401);
    tablet.whoami().await;

    let places = all_or_nothing(&t, None, async || answer(&ada.call("DELETE", "/sessions").await, 200)).await;
    assert!(places > 1, "only {places} places could fail");
    tablet.try_whoami().await.expect(401);
    ada.whoami().await;
}

// cases: AC-63
#[database_test]
async fn what_operators_do(t: Trial) {
    let admin = t.admin();
    let password = json!({ "config": { "password": PASSWORD } });
    let body = json!({ "schema_id": "person", "traits": { "email": ADA }, "credentials": { "password": password } });
    let places = all_or_nothing(&t, None, async || answer(&admin.call("POST", "/admin/identities").json(&body).await, 201)).await;
    assert!(places > 4, "only {places} places of the creation could fail");

    let ada = t.signed_in(ADA).await;
    let id = ada.id().await;
    let sessions = format!("/admin/identities/{id}/sessions");
    let places = all_or_nothing(&t, None, async || answer(&admin.call("DELETE", &sessions).await, 204)).await;
    assert!(places > 1, "only {places} places of ending sessions could fail");
    ada.try_whoami().await.expect(401);

    let ada = t.signed_in(ADA).await;
    let identity = format!("/admin/identities/{id}");
    let places = all_or_nothing(&t, None, async || answer(&admin.call("DELETE", &identity).await, 204)).await;
    assert!(places > 1, "only {places} places of the deletion could fail");
    ada.try_whoami().await.expect(401);
    admin.call("GET", &identity).await.expect(404);
    assert_eq!(t.person().sign_in(ADA, PASSWORD).await.form().messages(), [4_000_006]);
}
