//! Every change of a second factor, tried in every situation in which it must not happen: the answer that the situation calls for, and
//! nothing stored.
//! Levels and age of the session are the business of `demand`; this is about sessions, flows, doors and switches.
//! A situation is made once and then every operation is tried in it.

use keyward_model::{IdentityId, Span};
use keyward_store::{ListedSession, Liveness};
use keyward_testkit::authenticator::Algorithm;
use keyward_testkit::{Actor, ClientKind, Flow, Said, Submitted, Trial, Value, flow_test};
use serde_json::json;

use crate::passkey::browser_key;
use crate::second_factor::{EMAIL, code, enrol, key};
use crate::webauthn::options;

const NEW: &str = "staple 9 correct elephant";

/// All methods that there are.
fn enabled() -> Value {
    let mut config = crate::second_factor::enabled();
    config["selfservice"]["methods"]["passkey"] = json!({ "enabled": true });
    config["selfservice"]["methods"]["webauthn"] = json!({ "enabled": true });
    config
}

/// Two people, since nobody can both enrol and unlink, and a flow for each operation.
struct World {
    t: Trial,
    attempts: Vec<Attempt>,
    ids: [IdentityId; 2],
}

struct Attempt {
    person: usize,
    flow: Flow,
    fields: Value,
}

struct People {
    world: World,
    actors: [Actor; 2],
}

impl People {
    async fn gather(t: &Trial) -> Self {
        let op = crate::oidc::provider(t).await;
        op.sign_in_as(crate::oidc::ada_there());
        let ada = t.signed_up(EMAIL).await;
        let flow = ada.init("settings", "").await;
        crate::oidc_settings::connect(t, &op, &ada, &flow).await.saved();
        enrol(t, &ada).await;
        let passkey = keyward_model::hex(&crate::passkey::add(t, &ada).await.id);
        let key_id = keyward_model::hex(&crate::webauthn::add(t, &ada).await.id);
        let bea = t.signed_up("bea@example.org").await;
        let ids = [ada.id().await, bea.id().await];
        let mut attempts = Vec::new();
        for fields in [
            json!({ "totp_unlink": true }),
            json!({ "lookup_secret_reveal": true }),
            json!({ "lookup_secret_regenerate": true }),
            json!({ "lookup_secret_disable": true }),
            json!({ "method": "password", "password": NEW }),
            json!({ "method": "profile", "traits": { "email": "mallory@example.org" } }),
            json!({ "passkey_remove": passkey }),
            json!({ "passkey_rename": passkey, "passkey_display_name": "mallory" }),
            json!({ "webauthn_remove": key_id }),
            json!({ "webauthn_rename": key_id, "webauthn_register_displayname": "mallory" }),
            json!({ "method": "oidc", "unlink": "op" }),
        ] {
            attempts.push(Attempt { person: 0, flow: ada.init("settings", "").await, fields });
        }
        let flow = bea.init("settings", "").await;
        attempts.push(Attempt { person: 1, flow, fields: json!({ "method": "oidc", "link": "op" }) });
        let flow = bea.init("settings", "").await;
        let fields = json!({ "method": "totp", "totp_code": code(&key(&flow), t) });
        attempts.push(Attempt { person: 1, flow, fields });
        for (data, field) in
            [("passkey_create_data", "passkey_settings_register"), ("webauthn_register_trigger", "webauthn_register")]
        {
            let flow = bea.init("settings", "").await;
            let sent = browser_key(t, Algorithm::Es256).create(&options(&flow, data)).text();
            let fields = json!({ field: sent, "webauthn_register_displayname": "key" });
            attempts.push(Attempt { person: 1, flow, fields });
        }
        let flow = bea.init("settings", "").await;
        bea.submit(&flow, json!({ "lookup_secret_regenerate": true })).await.form();
        attempts.push(Attempt { person: 1, flow, fields: json!({ "lookup_secret_confirm": true }) });
        Self { world: World { t: t.clone(), attempts, ids }, actors: [ada, bea] }
    }

    /// Tries everything, and looks at what is stored before and after each time.
    async fn nothing_happens(
        &self,
        situation: &str,
        attempt: impl AsyncFn(&Actor, &Flow, &Value) -> Submitted,
        expected: fn(&Trial, Submitted),
    ) {
        for Attempt { person, flow, fields } in &self.world.attempts {
            let before = self.world.look().await;
            let submitted = attempt(&self.actors[*person], flow, fields).await;
            let told = submitted.reply.text();
            // Whoever has no second factor yet sees her own preview until she confirms it.
            assert!(*person == 1 || !told.contains("lookup_secret_codes"), "{situation}: codes are shown for {fields}");
            expected(&self.world.t, submitted);
            assert!(self.world.look().await == before, "{situation}: something was stored by {fields}");
        }
    }
}

impl World {
    async fn look(&self) -> (Vec<keyward_model::IdentitySnapshot>, Vec<ListedSession>) {
        let mut snapshots = Vec::new();
        for id in self.ids {
            snapshots.push(self.t.snapshot(id).await);
        }
        let sessions = self.t.store().list_all_sessions((Liveness::Any, self.t.now()), None, 100).await.unwrap();
        (snapshots, sessions)
    }
}

#[track_caller]
fn signed_out(t: &Trial, submitted: Submitted) {
    match t.client {
        ClientKind::Browser => assert!(matches!(submitted.said, Said::Leave(_)), "{:?}", submitted.said),
        ClientKind::Api | ClientKind::Spa => assert_eq!(submitted.problem(401)["id"], "session_inactive"),
    }
}

#[flow_test(config = enabled())]
async fn without_a_session(t: Trial) {
    let people = People::gather(&t).await;
    let stranger = t.person();
    people.nothing_happens("no session", async |_, flow, fields| stranger.submit(flow, fields.clone()).await, signed_out).await;
    for id in people.world.ids {
        t.admin().call("DELETE", &format!("/admin/identities/{id}/sessions")).await.expect(204);
    }
    people.nothing_happens("revoked", async |person, flow, fields| person.submit(flow, fields.clone()).await, signed_out).await;
}

#[flow_test(config = enabled())]
async fn as_somebody_who_was_switched_off(t: Trial) {
    let people = People::gather(&t).await;
    let patch = json!([{ "op": "replace", "path": "/state", "value": "inactive" }]);
    for id in people.world.ids {
        t.admin().call("PATCH", &format!("/admin/identities/{id}")).json(&patch).await.expect(200);
    }
    people.nothing_happens("inactive", async |person, flow, fields| person.submit(flow, fields.clone()).await, signed_out).await;
}

#[flow_test(config = enabled())]
async fn in_somebody_elses_flow(t: Trial) {
    let people = People::gather(&t).await;
    let eve = t.signed_up("eve@example.org").await;
    let own = eve.init("settings", "").await;
    let foreign = async |_: &Actor, flow: &Flow, fields: &Value| {
        // With a token of her own, so that it is the flow that is wrong.
        let mut fields = fields.clone();
        fields["csrf_token"] = json!(own.csrf_token());
        eve.submit(flow, fields).await
    };
    people
        .nothing_happens("foreign", foreign, |_, submitted| {
            assert_eq!(submitted.problem(403)["id"], "security_identity_mismatch");
        })
        .await;
}

#[flow_test(config = enabled())]
async fn in_a_flow_that_is_over_or_never_was(t: Trial) {
    let people = People::gather(&t).await;
    let unknown = async |person: &Actor, flow: &Flow, fields: &Value| {
        let mut elsewhere = flow.clone();
        let id = flow.id();
        let action = flow.json["ui"]["action"].as_str().unwrap().replace(&id, "7b4b8b7e-2f3e-4b1c-9d55-0c0d5f3a2b10");
        elsewhere.json["ui"]["action"] = json!(action);
        person.submit(&elsewhere, fields.clone()).await
    };
    people.nothing_happens("unknown", unknown, |_, submitted| drop(submitted.problem(404))).await;

    t.clock().advance(Span::minutes(61));
    let expired = async |person: &Actor, flow: &Flow, fields: &Value| person.submit(flow, fields.clone()).await;
    people
        .nothing_happens("expired", expired, |t, submitted| match t.client {
            ClientKind::Browser => assert_eq!(submitted.form().messages(), [4_050_001]),
            ClientKind::Api | ClientKind::Spa => assert_eq!(submitted.problem(410)["id"], "self_service_flow_expired"),
        })
        .await;
}

#[flow_test(api, config = enabled())]
async fn by_a_browser_in_the_flow_of_an_app(t: Trial) {
    let people = People::gather(&t).await;
    for (name, value) in [("cookie", "name=bar"), ("origin", "https://mallory.example")] {
        let attempt = async |person: &Actor, flow: &Flow, fields: &Value| {
            let reply = person.submit_call(flow, fields.clone()).header(name, value).await;
            person.understand(flow, reply).await
        };
        people.nothing_happens(name, attempt, |_, submitted| assert_eq!(submitted.form().messages(), [4_000_001])).await;
    }
}

/// A GET only continues; what it carries in its query is not obeyed.
#[flow_test(browser, spa, config = enabled())]
async fn by_a_link(t: Trial) {
    let people = People::gather(&t).await;
    let by_link = async |person: &Actor, flow: &Flow, fields: &Value| {
        let mut action = reqwest::Url::parse(flow.json["ui"]["action"].as_str().unwrap()).unwrap();
        for (name, value) in fields.as_object().unwrap() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            action.query_pairs_mut().append_pair(name, &text);
        }
        action.query_pairs_mut().append_pair("csrf_token", &flow.csrf_token().unwrap());
        let reply = person.call("GET", action.as_str()).await;
        person.understand(flow, reply).await
    };
    people
        .nothing_happens("link", by_link, |_, submitted| match submitted.said {
            Said::Form(form) => assert_eq!(form.messages(), [4_000_001]),
            Said::Problem { status, .. } => assert_eq!(status, 400),
            other => panic!("{other:?}"),
        })
        .await;
}

#[flow_test(config = enabled())]
async fn with_a_body_of_another_kind(t: Trial) {
    let people = People::gather(&t).await;
    let as_text = async |person: &Actor, flow: &Flow, fields: &Value| {
        let mut fields = fields.clone();
        fields["csrf_token"] = json!(flow.csrf_token());
        let reply = person.submit_call(flow, json!({})).body("text/plain", fields.to_string()).await;
        person.understand(flow, reply).await
    };
    people.nothing_happens("text", as_text, |_, submitted| assert!(!submitted.is_done(), "{:?}", submitted.said)).await;
}

#[flow_test(config = enabled())]
async fn by_methods_that_are_switched_off(t: Trial) {
    let people = People::gather(&t).await;
    let off = json!({ "enabled": false });
    t.reconfigure(&json!({ "selfservice": { "methods": {
            "totp": off, "lookup_secret": off, "password": off, "profile": off, "passkey": off, "webauthn": off, "oidc": off,
        } } }));
    let attempt = async |person: &Actor, flow: &Flow, fields: &Value| person.submit(flow, fields.clone()).await;
    people.nothing_happens("off", attempt, |_, submitted| drop(submitted.problem(404))).await;
}
