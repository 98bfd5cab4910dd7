//! What attackers send, and what must not come of it: stolen, planted and mangled tokens, foreign flows.
//! Each test ends with a look at what is stored, because a refusal that acts all the same is the worst answer.
//! Identifiers and passwords stand in [`abuse_passwords`](super::abuse_passwords), malformed requests in
//! [`abuse_requests`](super::abuse_requests), redirects and pages in
//! [`abuse_redirects`](super::abuse_redirects), races in [`concurrency`](super::concurrency).

use keyward_model::{IdentityState, Span};
use keyward_store::Batch;
use keyward_testkit::{Actor, ClientKind, PASSWORD, Reply, Trial, UI, Value, database_test, flow_test};
use serde_json::json;

pub(crate) const ADA: &str = "ada@example.org";
const MALLORY: &str = "mallory@example.org";
pub(crate) const NEW: &str = "staple 9 correct elephant";
const SESSION: &str = "ory_kratos_session";

fn csrf_name(person: &Actor) -> String {
    person.cookie_names().into_iter().find(|name| name.starts_with("csrf_token_")).expect("a CSRF cookie")
}

pub(crate) async fn password_is(t: &Trial, email: &str, password: &str) {
    t.person_as(ClientKind::Api).sign_in(email, password).await.done();
}

// cases: AC-34
#[flow_test]
async fn a_password_in_the_address_is_refused(t: Trial) {
    let ada = t.signed_up(ADA).await;
    let flow = ada.init("settings", "").await;
    let path = format!("/self-service/settings?flow={}&method=password&password={}", flow.id(), NEW.replace(' ', "+"));
    for method in ["GET", "POST"] {
        let reply = ada.call(method, &path).await;
        match t.client {
            ClientKind::Browser => {
                let said = ada.understand(&flow, reply).await;
                assert_eq!(said.problem(400)["code"], 400);
            }
            ClientKind::Api | ClientKind::Spa => assert_eq!(reply.expect(400).json()["error"]["code"], 400),
        }
    }
    password_is(&t, ADA, PASSWORD).await;
}

// cases: AC-36, AC-89
#[flow_test]
async fn another_persons_flow_can_be_neither_read_nor_submitted(t: Trial) {
    let ada = t.signed_up(ADA).await;
    let mallory = t.signed_up(MALLORY).await;
    let before = t.snapshot(ada.id().await).await;
    let flow = ada.init("settings", "").await;
    let read = mallory.fetch("settings", &flow.id()).await.expect(403);
    assert_eq!(read.error_id(), "security_identity_mismatch");
    // The CSRF token is Mallory's own, so that ownership is what refuses.
    let token = mallory.init("settings", "").await.csrf_token();
    for fields in [
        json!({ "method": "profile", "traits": { "email": "owned@example.org" } }),
        json!({ "method": "password", "password": NEW }),
        json!({}),
    ] {
        let mut fields = fields;
        fields["csrf_token"] = json!(token);
        let submitted = mallory.submit(&flow, fields).await;
        assert!(!submitted.reply.text().contains("ada@"), "{:?}", submitted.reply);
        assert_eq!(submitted.problem(403)["id"], "security_identity_mismatch");
    }
    assert!(!read.text().contains("ada@"), "{read:?}");
    assert_eq!(t.snapshot(ada.id().await).await, before);
    mallory.fetch("settings", "4ed32dc4-4ee7-4ff5-9bc9-8a2a8b4e6a2f").await.expect(404);
}

/// No field, header or parameter says who acts; the session does.
// cases: AC-89, AC-85
#[flow_test]
async fn nothing_in_a_request_chooses_who_acts(t: Trial) {
    let ada = t.signed_up(ADA).await;
    let (ada_id, ada_session) = (ada.id().await, ada.whoami().await["id"].as_str().unwrap().to_owned());
    let mallory = t.signed_up(MALLORY).await;
    let mallory_id = mallory.id().await;
    let before = t.snapshot(ada_id).await;
    let flow = mallory.init("settings", "").await;
    let id = ada_id.to_string();
    let fields = json!({
        "method": "profile", "traits": { "email": MALLORY, "nickname": "Mallory" },
        "id": id, "identity_id": id, "user_id": id, "userId": id, "session_id": ada_session,
        "identity": { "id": id, "traits": { "email": ADA } },
    });
    let call = mallory.submit_call(&flow, fields).header("x-kratos-authenticated-identity-id", &id).header("x-user-id", &id);
    let reply = call.await;
    mallory.understand(&flow, reply).await.saved();
    assert_eq!(t.snapshot(ada_id).await, before);
    assert_eq!(t.snapshot(mallory_id).await.identity.traits["nickname"], "Mallory");
    // Somebody else's session is answered like one that does not exist, and lives on.
    let reply = mallory.call("DELETE", &format!("/sessions/{ada_session}")).header("accept", "application/json").await;
    let unknown = mallory.call("DELETE", "/sessions/4ed32dc4-4ee7-4ff5-9bc9-8a2a8b4e6a2f").header("accept", "application/json");
    assert_eq!((reply.status, reply.text()), {
        let unknown = unknown.await;
        (unknown.status, unknown.text())
    });
    ada.whoami().await;
}

/// What only the server or an operator sets stays as it is, wherever a person writes it.
// cases: AC-85
#[flow_test]
async fn fields_of_the_server_have_no_effect(t: Trial) {
    let forged = |email: &str| {
        json!({
            "state": "inactive", "schema_id": "company", "external_id": "root", "organization_id": "4ed32dc4-4ee7-4ff5-9bc9-8a2a8b4e6a2f",
            "metadata_public": { "admin": true }, "metadata_admin": { "admin": true }, "verified": true, "created_at": "2001-01-01T00:00:00Z",
            "verifiable_addresses": [{ "value": email, "via": "email", "verified": true, "status": "completed" }],
            "recovery_addresses": [{ "value": "mallory@example.org", "via": "email" }],
            "credentials": { "password": { "config": { "hashed_password": "x" } } }, "authenticator_assurance_level": "aal2",
        })
    };
    let with = |mut fields: Value, extra: &Value| {
        let members = extra.as_object().unwrap().iter().map(|(key, value)| (key.clone(), value.clone()));
        fields.as_object_mut().unwrap().extend(members);
        fields["transient_payload"] = extra.clone();
        fields
    };
    let ada = t.person();
    let flow = ada.init("registration", "").await;
    let fields = json!({ "method": "password", "password": PASSWORD, "traits": { "email": ADA } });
    ada.submit(&flow, with(fields, &forged(ADA))).await.done();
    let check = async || {
        let session = ada.whoami().await;
        assert_eq!(session["authenticator_assurance_level"], "aal1");
        let identity = t.snapshot(ada.id().await).await.identity;
        assert_eq!((identity.schema_id.as_str(), identity.state), ("person", IdentityState::Active));
        assert_eq!((&identity.external_id, &identity.organization_id), (&None, &None));
        assert!(identity.metadata_public.is_none() && identity.metadata_admin.is_none());
        assert!(identity.verifiable_addresses.iter().all(|address| !address.verified));
        assert_eq!(identity.recovery_addresses.iter().map(|address| address.value.as_str()).collect::<Vec<_>>(), [ADA]);
    };
    check().await;
    let flow = ada.init("settings", "").await;
    let fields = json!({ "method": "profile", "traits": { "email": ADA, "nickname": "Ada" } });
    ada.submit(&flow, with(fields, &forged(ADA))).await.saved();
    check().await;
    // Inside of the traits the schema decides, and it knows none of them.
    let mut traits = forged(ADA);
    traits["email"] = json!(ADA);
    let submitted = ada.submit(&flow, json!({ "method": "profile", "traits": traits })).await;
    let said = submitted.form().all_messages();
    assert!(!said.is_empty() && said.iter().all(|(_, id)| *id == 4_000_001), "{said:?}");
    check().await;
    let names: Vec<_> = t.snapshot(ada.id().await).await.identity.traits.as_object().unwrap().keys().cloned().collect();
    assert!(names.iter().all(|name| ["email", "nickname", "name"].contains(&name.as_str())), "{names:?}");
    password_is(&t, ADA, PASSWORD).await;
}

// cases: AC-38
#[flow_test(spa, browser)]
async fn origins_are_compared_exactly(t: Trial) {
    let ada = t.signed_up(ADA).await;
    let flow = ada.init("settings", "").await;
    let fields = |nickname: &str| json!({ "method": "profile", "traits": { "email": ADA, "nickname": nickname } });
    let own = t.public();
    for origin in [
        "https://evil.example",
        "null",
        "https://127.0.0.1:4455",
        "http://127.0.0.1",
        "http://127.0.0.1:44550",
        "http://127.0.0.1:4455.evil.example",
        "http://127.0.0.1.evil.example:4455",
        "http://evil127.0.0.1:4455",
        "http://127.0.0.1:4455@evil.example",
        "http://localhost:4455",
        "file://",
        "x",
        &own.replace("http://", "https://"),
    ] {
        let reply =
            ada.submit_call(&flow, fields("Mallory")).header("origin", origin).header("sec-fetch-site", "cross-site").await;
        let said = ada.understand(&flow, reply).await;
        assert_eq!(said.problem(403)["id"], "security_csrf_violation", "{origin}");
        // Older browsers send no metadata.
        let reply = ada.submit_call(&flow, fields("Mallory")).header("origin", origin).no_header("sec-fetch-site").await;
        let said = ada.understand(&flow, reply).await;
        assert_eq!(said.problem(403)["id"], "security_csrf_violation", "{origin}");
    }
    let reply = ada.submit_call(&flow, fields("Mallory")).no_header("origin").header("sec-fetch-site", "cross-site").await;
    assert_eq!(ada.understand(&flow, reply).await.problem(403)["id"], "security_csrf_violation");
    assert!(ada.whoami().await["identity"]["traits"].get("nickname").is_none());
    for (number, (origin, site)) in [(UI, "same-site"), (own.as_str(), "same-origin")].into_iter().enumerate() {
        let nickname = format!("Ada {number}");
        let reply = ada.submit_call(&flow, fields(&nickname)).header("origin", origin).header("sec-fetch-site", site).await;
        assert_eq!(ada.understand(&flow, reply).await.saved().value("traits.nickname"), nickname.as_str());
    }
}

/// Mallory takes a cookie and its token from the server and puts the cookie into Ada's browser, for example from a sub-domain.
// cases: AC-39
#[flow_test(browser, spa)]
async fn a_planted_csrf_cookie_is_useless(t: Trial) {
    let ada = t.signed_up(ADA).await;
    let flow = ada.init("settings", "").await;
    let stranger = t.person();
    let anonymous = stranger.init("login", "").await.csrf_token();
    let mallory = t.signed_up(MALLORY).await;
    let signed_in = mallory.init("settings", "").await.csrf_token();
    for (thief, token) in [(&stranger, anonymous), (&mallory, signed_in)] {
        let name = csrf_name(thief);
        ada.set_cookie(&name, &thief.cookie(&name).unwrap());
        let fields = json!({ "method": "profile", "traits": { "email": ADA, "nickname": "Owned" }, "csrf_token": token });
        assert_eq!(ada.submit(&flow, fields).await.problem(403)["id"], "security_csrf_violation");
    }
    assert!(ada.whoami().await["identity"]["traits"].get("nickname").is_none());
}

// cases: AC-39, AC-56, AC-66
#[flow_test(browser, spa)]
async fn login_changes_every_cookie(t: Trial) {
    t.admin().create_person(ADA).await;
    let ada = t.person();
    ada.set_cookie(SESSION, "planted");
    let flow = ada.init("login", "").await;
    let (name, token) = (csrf_name(&ada), flow.csrf_token());
    let before = ada.cookie(&name);
    ada.submit(&flow, json!({ "method": "password", "identifier": ADA, "password": PASSWORD })).await.done();
    let (first, csrf) = (ada.cookie(SESSION).unwrap(), ada.cookie(&name));
    assert!(first != "planted" && csrf != before);

    // The token from before the login is good for nothing after it.
    let settings = ada.init("settings", "").await;
    let fields = json!({ "method": "profile", "traits": { "email": ADA, "nickname": "Ada" }, "csrf_token": token });
    assert_eq!(ada.submit(&settings, fields).await.problem(403)["id"], "security_csrf_violation");

    let stranger = t.person();
    stranger.set_cookie(SESSION, "planted");
    stranger.try_whoami().await.expect(401);
    let other = t.signed_in(ADA).await;
    assert_ne!(other.cookie(SESSION).unwrap(), first);
    assert_ne!(other.whoami().await["id"], ada.whoami().await["id"]);
}

/// Signing in again as somebody else inherits neither the session nor what waits in it, and giving up changes nothing.
// cases: AC-66
#[flow_test]
async fn signing_in_again_as_somebody_else_inherits_nothing(t: Trial) {
    let ada = t.signed_up(ADA).await;
    t.signed_up(MALLORY).await;
    let before = ada.whoami().await;
    t.clock().advance(Span::hours(2));
    let settings = ada.init("settings", "").await;
    let submitted = ada.submit(&settings, json!({ "method": "password", "password": NEW })).await;
    let login = submitted.login_first("session_refresh_required");

    let flow = ada.init_at(&login).await;
    let wrong = json!({ "method": "password", "identifier": ADA, "password": "wrong horse 7 battery" });
    ada.submit(&flow, wrong).await.form();
    assert_eq!(ada.whoami().await, before, "a refused sign-in changes nothing");

    let (token, cookie) = (ada.token(), ada.cookie(SESSION));
    let submitted = ada.submit(&flow, json!({ "method": "password", "identifier": MALLORY, "password": PASSWORD })).await;
    submitted.done();
    let session = ada.whoami().await;
    assert_eq!(session["identity"]["traits"]["email"], MALLORY);
    assert_ne!(session["id"], before["id"]);
    assert!(ada.token() != token || ada.cookie(SESSION) != cookie);
    ada.fetch("settings", &settings.id()).await.expect(403);
    if t.client != ClientKind::Api {
        let back = format!("{}/self-service/settings?flow={}", t.public(), settings.id());
        ada.navigate(&back).await.problem(403);
    }
    password_is(&t, ADA, PASSWORD).await;
    password_is(&t, MALLORY, PASSWORD).await;
}

// cases: AC-43, AC-44
#[database_test]
async fn mangled_session_tokens_never_match(t: Trial) {
    let ada = t.signed_up(ADA).await;
    let token = ada.token().unwrap();
    let mut wrong: Vec<String> = (1..token.len()).map(|end| token[..end].to_owned()).collect();
    wrong.extend((1..token.len()).map(|start| token[start..].to_owned()));
    let changed = |at: usize, with: char| {
        let mut letters: Vec<char> = token.chars().collect();
        letters[at] = if letters[at] == with { 'Z' } else { with };
        letters.into_iter().collect::<String>()
    };
    wrong.extend((0..token.len()).step_by(4).map(|at| changed(at, 'A')));
    wrong.extend([
        format!("{token}a"),
        format!("{token}="),
        format!("a{token}"),
        format!("{token}{token}"),
        format!("{token} {token}"),
    ]);
    wrong.extend([token.to_uppercase(), format!("{token},{token}"), format!("\"{token}\""), format!("[\"{token}\"]")]);
    for fixed in
        ["", "0", "null", "undefined", "[]", "{}", "true", "ory_st_", "%00", "*", "ory_st_________________________________"]
    {
        wrong.push(fixed.to_owned());
    }
    let nobody = t.person();
    for token in wrong {
        nobody.call("GET", "/sessions/whoami").header("x-session-token", &token).await.expect(401);
        nobody.call("GET", "/sessions/whoami").header("authorization", &format!("Bearer {token}")).await.expect(401);
    }
    // Whatever is no text is no token.
    for body in
        [json!(null), json!(0), json!([]), json!({}), json!([token]), json!({ "a": token }), json!(true), json!(""), json!(" ")]
    {
        let call = nobody.call("DELETE", "/self-service/logout/api").json(&json!({ "session_token": body }));
        let status = call.await.status;
        assert!(matches!(status, 400 | 403), "{body}: {status}");
    }
    ada.whoami().await;
}

// cases: AC-43, AC-57, AC-58
#[database_test]
async fn mangled_cookies_never_match(t: Trial) {
    let ada = t.person_as(ClientKind::Browser);
    ada.sign_up(ADA, PASSWORD).await;
    let value = ada.cookie(SESSION).unwrap();
    let nobody = t.person_as(ClientKind::Browser);
    let ask =
        |cookies: String| nobody.call("GET", "/sessions/whoami").header("accept", "application/json").header("cookie", &cookies);
    let mut wrong: Vec<String> = (1..value.len()).step_by(7).map(|end| value[..end].to_owned()).collect();
    wrong.extend((1..value.len()).step_by(7).map(|start| value[start..].to_owned()));
    wrong.extend(["A", "=", ".", "%3D"].map(|tail| format!("{value}{tail}")));
    // The last letter holds unused bits: another one must not decode to the same bytes.
    let last = value.chars().next_back().unwrap();
    let others = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['-', '_']).filter(|letter| *letter != last);
    wrong.extend(others.map(|letter| format!("{}{letter}", &value[..value.len() - last.len_utf8()])));
    for wrong in wrong {
        ask(format!("{SESSION}={wrong}")).await.expect(401);
    }
    // Names are literal.
    for name in [
        "ory%5Fkratos_session",
        "%6Fry_kratos_session",
        "ORY_KRATOS_SESSION",
        "ory_kratos_session[]",
        "__Host-ory_kratos_session",
    ] {
        ask(format!("{name}={value}")).await.expect(401);
    }
    ask(format!("{SESSION}={value}")).await.expect(200);
    // Beside rubbish the valid one counts; two people at once are nobody.
    ask(format!("{SESSION}=rubbish; {SESSION}={value}")).await.expect(200);
    let mallory = t.person_as(ClientKind::Browser);
    mallory.sign_up(MALLORY, PASSWORD).await;
    let other = mallory.cookie(SESSION).unwrap();
    for both in [format!("{SESSION}={value}; {SESSION}={other}"), format!("{SESSION}={other}; {SESSION}={value}")] {
        let refused = ask(both).await.expect(401);
        assert!(refused.set_cookie(SESSION).is_none_or(|cookie| cookie.is_removal()));
    }
    assert!(t.audit().await.iter().any(|event| event.kind == "conflicting_session_cookies"));
}

// cases: AC-43, AC-44
#[flow_test(browser, spa)]
async fn mangled_logout_tokens_end_nothing(t: Trial) {
    let ada = t.signed_up(ADA).await;
    let link = async |person: &Actor| {
        let reply = person.call("GET", "/self-service/logout/browser").header("accept", "application/json").await;
        reply.expect(200).json()["logout_token"].as_str().unwrap().to_owned()
    };
    let token = link(&ada).await;
    let mallory = t.signed_up(MALLORY).await;
    let foreign = link(&mallory).await;
    let mut wrong: Vec<String> = (1..token.len()).step_by(3).map(|end| token[..end].to_owned()).collect();
    wrong.extend([format!("{token}a"), token[1..].to_owned(), token.to_uppercase(), "0".to_owned(), "null".to_owned(), foreign]);
    for token in wrong {
        let reply = ada.call("GET", &format!("/self-service/logout?token={token}")).header("accept", "application/json").await;
        assert!(matches!(reply.status, 400 | 403), "{reply:?}");
    }
    ada.whoami().await;
    mallory.whoami().await;
}

// cases: AC-64
#[flow_test]
async fn an_inactive_person_keeps_nothing(t: Trial) {
    let ada = t.signed_up(ADA).await;
    let id = ada.id().await;
    let settings = ada.init("settings", "").await;
    let login = t.person();
    let under_way = login.init("login", "").await;
    let before = t.snapshot(id).await;
    let mut identity = before.identity.clone();
    identity.state = IdentityState::Inactive;
    let mut batch = Batch::new();
    batch.update_identity(&before, &identity, &before.factors());
    t.store().commit(batch).await.unwrap();
    let before = t.snapshot(id).await;

    ada.try_whoami().await.expect(401);
    ada.fetch("settings", &settings.id()).await.expect(401);
    ada.call("GET", "/sessions").header("accept", "application/json").await.expect(401);
    ada.call("DELETE", "/sessions").header("accept", "application/json").await.expect(401);
    let fields = json!({ "method": "password", "password": NEW });
    let submitted = ada.submit(&settings, fields).await;
    assert!(!submitted.is_done(), "{:?}", submitted.reply);
    let fields = json!({ "method": "password", "identifier": ADA, "password": PASSWORD });
    assert_eq!(login.submit(&under_way, fields).await.form().messages(), [4_010_011]);
    login.try_whoami().await.expect(401);
    assert_eq!(t.snapshot(id).await, before);
}

// cases: AC-65
#[flow_test]
async fn a_method_that_is_switched_off_ends_its_flows_under_way(t: Trial) {
    let ada = t.signed_up(ADA).await;
    let id = ada.id().await;
    let (newcomer, returning) = (t.person(), t.person());
    let settings = ada.init("settings", "").await;
    let registration = newcomer.init("registration", "").await;
    let login = returning.init("login", "").await;
    let before = t.snapshot(id).await;
    t.reconfigure(
        &json!({ "selfservice": { "methods": { "password": { "enabled": false }, "profile": { "enabled": false } } } }),
    );

    let password = json!({ "method": "password", "password": NEW });
    let profile = json!({ "method": "profile", "traits": { "email": ADA, "nickname": "Ada" } });
    let sign_up = json!({ "method": "password", "password": PASSWORD, "traits": { "email": "bob@example.org" } });
    let sign_in = json!({ "method": "password", "identifier": ADA, "password": PASSWORD });
    for (person, flow, fields) in [
        (&ada, &settings, password),
        (&ada, &settings, profile),
        (&newcomer, &registration, sign_up),
        (&returning, &login, sign_in),
    ] {
        person.submit(flow, fields).await.problem(404);
    }
    assert_eq!(t.snapshot(id).await, before);
    newcomer.try_whoami().await.expect(401);
    returning.try_whoami().await.expect(401);
    assert_eq!(t.store().count_identities().await.unwrap(), 1);
}

/// Revocation by whoever may do it, on each database: at once, for every client, and without bringing anything back.
// cases: AC-63
#[database_test]
async fn revoked_sessions_end_at_once_everywhere(t: Trial) {
    let laptop = t.signed_up(ADA).await;
    let id = laptop.id().await;
    let browser = t.person_as(ClientKind::Browser);
    browser.sign_in(ADA, PASSWORD).await.done();
    let phone = t.signed_in(ADA).await;
    let flow = phone.init("settings", "").await;
    laptop.call("DELETE", "/sessions").await.expect(200);
    for gone in [&browser, &phone] {
        gone.try_whoami().await.expect(401);
    }
    let refused: Reply = phone.submit_call(&flow, json!({ "method": "password", "password": NEW })).await.expect(401);
    assert_eq!(refused.error_id(), "session_inactive");
    laptop.whoami().await;
    t.admin().call("DELETE", &format!("/admin/identities/{id}/sessions")).await.expect(204);
    laptop.try_whoami().await.expect(401);
    password_is(&t, ADA, PASSWORD).await;
}

/// A page of another site may make the browser ask, but neither reads the answer nor finds a token in it.
// cases: AC-35
#[flow_test(browser, spa, config = json!({ "serve": { "public": { "cors": { "enabled": true, "allowed_origins": ["https://app.example"] } } } }))]
async fn a_foreign_site_reads_nothing(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    for path in [
        "/sessions/whoami",
        "/sessions",
        "/self-service/settings/browser",
        "/self-service/logout/browser",
        "/self-service/login/browser?refresh=true",
    ] {
        let call = ada.call("GET", path).header("accept", "application/json").header("origin", "https://evil.example");
        let reply = call.header("sec-fetch-site", "cross-site").header("sec-fetch-mode", "cors").await;
        assert_eq!(reply.header("access-control-allow-origin"), None, "{path}");
        assert!(!reply.text().contains("ory_st_"), "{path}");
        assert!(reply.header("cache-control").is_some_and(|value| value.contains("no-store")), "{path}");
    }
}
