//! Signing in and up at an OpenID provider: who is new, who is known, what is missing, and whose address it is.

use std::sync::Arc;

use keyward_model::CredentialType;
use keyward_testkit::{APP, Actor, Claims, ClientKind, Flow, OpenIdProvider, PASSWORD, Reply, Said, Submitted, Trial, flow_test};
use serde_json::{Value, json};

use crate::second_factor::{EMAIL, code, enrol};

/// Signing up at a provider hands out a session.
pub(crate) fn with_session() -> Value {
    json!({ "selfservice": { "flows": { "registration": { "after": { "oidc": { "hooks": [{ "hook": "session" }] } } } } } })
}

/// A provider `op` that the server knows.
pub(crate) async fn provider(t: &Trial) -> Arc<OpenIdProvider> {
    let provider = t.openid_provider().await;
    t.reconfigure(&provider.methods("op"));
    provider
}

/// Ada at the provider, who says that the address is hers.
pub(crate) fn ada_there() -> Claims {
    Claims::new("ada-at-op").verified(EMAIL).named("Ada", "Lovelace")
}

/// Where an answer sends the browser: forms by 303, programs by 422.
#[track_caller]
pub(crate) fn sent_away(person: &Actor, reply: &Reply) -> String {
    if person.client == ClientKind::Browser {
        assert_eq!(reply.status, 303, "{reply:?}");
        return reply.location().to_owned();
    }
    assert_eq!((reply.status, reply.error_id().as_str()), (422, "browser_location_change_required"), "{reply:?}");
    reply.json()["redirect_browser_to"].as_str().unwrap().to_owned()
}

/// Begins a flow from which somebody can leave to a provider: an app says that it will take up what a browser brings.
pub(crate) async fn begin(person: &Actor, kind: &str, query: &str) -> Flow {
    match person.client {
        ClientKind::Api => {
            let query = format!("return_session_token_exchange_code=true&return_to={APP}/done&{query}");
            person.init(kind, query.trim_end_matches('&')).await
        }
        _ => person.init(kind, query).await,
    }
}

/// Submits, follows to the provider, and brings back what it says. An app opens a browser for it that holds nothing.
pub(crate) async fn through(t: &Trial, provider: &OpenIdProvider, person: &Actor, flow: &Flow, fields: Value) -> Submitted {
    let reply = person.submit_call(flow, fields).await;
    let callback = provider.consent(&sent_away(person, &reply)).await;
    comes_back(t, person, flow, callback.as_str()).await
}

/// Brings the browser back from the provider; an app takes up what its browser brought.
pub(crate) async fn comes_back(t: &Trial, person: &Actor, flow: &Flow, callback: &str) -> Submitted {
    if person.client != ClientKind::Api {
        return person.navigate(callback).await;
    }
    let back = t.person_as(ClientKind::Browser).call("GET", callback).await.expect(303);
    assert!(back.set_cookie("ory_kratos_session").is_none(), "the session is the app's");
    let own = flow.json["session_token_exchange_code"].as_str().expect("the app's code");
    let brought = back.location_parameter("code").unwrap_or_else(|| panic!("{back:?}"));
    let path = format!("/sessions/token-exchange?init_code={own}&return_to_code={brought}");
    let reply = person.call("GET", &path).await;
    if reply.status != 422 {
        return person.understand(flow, reply).await;
    }
    // The app goes on with the flow that it is told, and with the code that it has.
    let mut json = reply.json();
    json["session_token_exchange_code"] = own.into();
    Submitted { reply, said: Said::Form(Flow { kind: flow.kind.clone(), json }) }
}

/// Signs up, or in, with the provider.
pub(crate) async fn enter(t: &Trial, provider: &OpenIdProvider, person: &Actor, kind: &str) -> Submitted {
    let flow = begin(person, kind, "").await;
    through(t, provider, person, &flow, json!({ "method": "oidc", "provider": "op" })).await
}

/// What a session says about how somebody signed in.
pub(crate) async fn proofs(person: &Actor) -> Vec<(String, String)> {
    let session = person.whoami().await;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = session["authentication_methods"].as_array().unwrap().iter();
    all.map(|proof| (text(&proof["method"]), text(&proof["provider"]))).collect()
}

// cases: L-51, L-52, L-53
#[flow_test(config = with_session())]
async fn whoever_is_new_signs_up_and_whoever_is_known_signs_in(t: Trial) {
    let op = provider(&t).await;
    op.sign_in_as(ada_there());
    let ada = t.person();
    let flow = begin(&ada, "registration", "").await;
    let button = flow.node("provider");
    assert_eq!((&button["attributes"]["value"], &button["meta"]["label"]["id"]), (&json!("op"), &json!(1_040_002)));
    assert_eq!(button["meta"]["label"]["context"], json!({ "provider": "Provider op", "provider_id": "op" }));
    through(&t, &op, &ada, &flow, json!({ "method": "oidc", "provider": "op" })).await.done();
    let session = ada.whoami().await;
    assert_eq!(session["identity"]["traits"]["email"], EMAIL);
    assert_eq!(session["identity"]["traits"]["name"], json!({ "first": "Ada", "last": "Lovelace" }));
    assert_eq!(session["authenticator_assurance_level"], "aal1");
    assert_eq!(proofs(&ada).await, [("oidc".to_owned(), "op".to_owned())]);
    let id = ada.id().await;
    let stored = t.snapshot(id).await;
    let credential = stored.credential(CredentialType::Oidc).unwrap();
    assert_eq!(credential.identifiers, ["op:ada-at-op"]);
    assert!(!credential.config.to_string().contains("eyJ"), "the provider's tokens stand there in clear: {}", credential.config);

    for kind in ["login", "registration"] {
        let again = t.person();
        enter(&t, &op, &again, kind).await.done();
        assert_eq!(again.id().await, id, "{kind}");
    }
    // Another person at the same provider is another person here.
    op.sign_in_as(Claims::new("eve-at-op").verified("eve@example.org"));
    let eve = t.person();
    let flow = eve.init("login", "").await;
    assert_eq!(flow.node("provider")["meta"]["label"]["id"], 1_010_002);
    enter(&t, &op, &eve, "login").await.done();
    assert_ne!(eve.id().await, id);

    for asked in op.authorizations() {
        assert_eq!((asked["response_type"].as_str(), asked["code_challenge_method"].as_str()), ("code", "S256"));
        assert!(asked["scope"].split(' ').any(|word| word == "openid"), "{asked:?}");
    }
}

/// A mapper that vouches for an address confirms it.
#[flow_test(config = with_session())]
async fn only_an_address_that_the_provider_vouches_for_is_confirmed(t: Trial) {
    let op = provider(&t).await;
    t.reconfigure(&json!({ "identity": { "default_schema_id": "verified", "schemas": [
        { "id": "verified", "url": keyward_testkit::schema_url(&json!({
            "$id": "https://schemas.invalid/verified.json", "type": "object",
            "properties": { "traits": { "type": "object", "properties": {
                "email": { "type": "string", "format": "email", "ory.sh/kratos": {
                    "credentials": { "password": { "identifier": true } }, "verification": { "via": "email" } } },
                "name": { "type": "object" },
            }, "required": ["email"] } },
        })) },
    ] } }));
    for (claims, verified) in
        [(Claims::new("a").verified("a@example.org"), true), (Claims::new("b").unverified("b@example.org"), false)]
    {
        op.sign_in_as(claims);
        let person = t.person();
        enter(&t, &op, &person, "registration").await.done();
        let address = &person.whoami().await["identity"]["verifiable_addresses"][0];
        assert_eq!(address["verified"], verified, "{address}");
    }
}

// cases: L-53
#[flow_test(config = with_session())]
async fn what_the_provider_does_not_tell_is_asked_for(t: Trial) {
    let op = provider(&t).await;
    op.sign_in_as(Claims::new("shy").named("Ada", "Lovelace"));
    let ada = t.person();
    let form = enter(&t, &op, &ada, "login").await.form();
    assert_eq!(form.messages_at("traits.email"), [4_000_002]);
    assert_eq!(form.value("traits.name.first"), "Ada");
    assert_eq!(form.json["active"], "oidc");
    assert_eq!(form.node("provider")["meta"]["label"]["id"], 1_040_003);
    assert!(form.find("password").is_none(), "only the provider's way goes on: {:?}", form.names());
    let form = Flow { kind: "registration".into(), json: form.json };
    // What they type wins over what the provider says.
    let fields = json!({ "method": "oidc", "provider": "op", "traits": { "email": EMAIL, "name": { "first": "Augusta" } } });
    through(&t, &op, &ada, &form, fields).await.done();
    let traits = &ada.whoami().await["identity"]["traits"];
    assert_eq!((&traits["email"], &traits["name"]), (&json!(EMAIL), &json!({ "first": "Augusta", "last": "Lovelace" })));
}

// cases: L-54
#[flow_test(config = with_session())]
async fn a_refusal_at_the_provider_is_told_on_the_form_that_was_left(t: Trial) {
    let op = provider(&t).await;
    for kind in ["login", "registration"] {
        op.deny();
        let ada = t.person();
        let flow = begin(&ada, kind, "").await;
        let form = through(&t, &op, &ada, &flow, json!({ "provider": "op" })).await.form();
        assert_eq!((form.id(), form.messages()), (flow.id(), vec![4_000_001]));
        assert!(ada.try_whoami().await.status == 401);
        // The flow is still good.
        op.sign_in_as(ada_there());
        through(&t, &op, &ada, &flow, json!({ "provider": "op" })).await.done();
    }
}

// cases: L-55, AC-75
#[flow_test(config = with_session())]
async fn whose_address_it_is_connects_the_account_by_signing_in(t: Trial) {
    let op = provider(&t).await;
    let id = t.signed_up(EMAIL).await.id().await;
    t.signed_up("eve@example.org").await;
    op.sign_in_as(ada_there());
    for kind in ["login", "registration"] {
        let ada = t.person();
        let form = enter(&t, &op, &ada, kind).await.form();
        assert_eq!(form.messages(), [1_010_016]);
        let context = &form.json["ui"]["messages"][0]["context"];
        assert_eq!(context["duplicate_identifier"], EMAIL);
        assert_eq!((&context["provider"], &context["available_credential_types"]), (&json!("Provider op"), &json!([])));
        assert_eq!((form.value("identifier"), &form.node("identifier")["attributes"]["type"]), (json!(EMAIL), &json!("hidden")));
        assert!(form.find("provider").is_none(), "the provider just used is of no use");
        assert!(ada.try_whoami().await.status == 401, "nobody is signed in yet");
        assert!(t.snapshot(id).await.credential(CredentialType::Oidc).is_none());
    }
    let ada = t.person();
    let form = Flow { kind: "login".into(), ..enter(&t, &op, &ada, "login").await.form() };
    let eves = json!({ "method": "password", "identifier": "eve@example.org", "password": PASSWORD });
    let refused = ada.submit(&form, eves).await.form();
    assert_eq!(refused.messages(), [1_010_016, 4_010_009]);
    let own = json!({ "method": "password", "identifier": EMAIL, "password": PASSWORD });
    ada.submit(&form, own).await.done();
    assert_eq!(ada.id().await, id);
    assert_eq!(proofs(&ada).await, [("password".to_owned(), String::new()), ("oidc".to_owned(), "op".to_owned())]);
    let again = t.person();
    enter(&t, &op, &again, "login").await.done();
    assert_eq!(again.id().await, id);
}

/// Connecting at sign-in is a change of the account: it waits for the second factor.
// cases: AC-18
#[flow_test(config = {
    let mut config = with_session();
    keyward_testkit::merge(&mut config, &crate::second_factor::enabled());
    config
})]
async fn connecting_at_sign_in_waits_for_the_second_factor(t: Trial) {
    let op = provider(&t).await;
    let phone = t.signed_up(EMAIL).await;
    let (secret, _) = enrol(&t, &phone).await;
    let id = phone.id().await;
    op.sign_in_as(ada_there());
    t.clock().advance(keyward_model::Span::minutes(2));
    let ada = t.person();
    let form = Flow { kind: "login".into(), ..enter(&t, &op, &ada, "login").await.form() };
    let first = ada.submit(&form, json!({ "method": "password", "identifier": EMAIL, "password": PASSWORD })).await;
    let linked = || async { t.snapshot(id).await.credential(CredentialType::Oidc).is_some() };
    assert!(!linked().await, "the password alone connects nothing");
    let second = match ada.client {
        ClientKind::Browser => first.reply.location().to_owned(),
        ClientKind::Spa => first.reply.json()["redirect_browser_to"].as_str().unwrap().to_owned(),
        // An app gets its session, and asks for the second step itself.
        ClientKind::Api => {
            first.done();
            format!("{}/self-service/login/browser?aal=aal2&account_link={}", t.public(), form.id())
        }
    };
    assert!(second.contains("aal=aal2"), "{second}");
    let step = ada.init_at(&second).await;
    ada.submit(&step, json!({ "method": "totp", "totp_code": code(&secret, &t) })).await.done();
    assert!(linked().await);
    assert_eq!(ada.whoami().await["authenticator_assurance_level"], "aal2");
}

/// What waits for a second step waits for the session whose first step it was.
// cases: AC-18
#[flow_test(config = {
    let mut config = with_session();
    keyward_testkit::merge(&mut config, &crate::second_factor::enabled());
    config
})]
async fn what_waits_for_the_second_step_is_no_other_sessions(t: Trial) {
    let op = provider(&t).await;
    let phone = t.signed_up("eve@example.org").await;
    let (secret, _) = enrol(&t, &phone).await;
    let eve = phone.id().await;
    t.signed_up(EMAIL).await;
    op.sign_in_as(ada_there());
    t.clock().advance(keyward_model::Span::minutes(2));
    let ada = t.person();
    let form = enter(&t, &op, &ada, "login").await.form();
    let other = crate::second_factor::first_step(&t, "eve@example.org").await;
    let step = other.init("login", &format!("aal=aal2&account_link={}", form.id())).await;
    other.submit(&step, json!({ "method": "totp", "totp_code": code(&secret, &t) })).await.done();
    assert!(t.snapshot(eve).await.credential(CredentialType::Oidc).is_none());
}

// cases: L-56
#[flow_test(config = with_session())]
async fn an_account_follows_the_provider_only_where_it_is_told_to(t: Trial) {
    let op = t.openid_provider().await;
    let mut methods = op.methods("op");
    for (mode, expected) in [("never", "Ada"), ("automatic", "Augusta")] {
        methods["selfservice"]["methods"]["oidc"]["config"]["providers"][0]["update_identity_on_login"] = mode.into();
        t.reconfigure(&methods);
        op.sign_in_as(Claims::new(mode).verified(&format!("{mode}@example.org")).named("Ada", "Lovelace"));
        enter(&t, &op, &t.person(), "registration").await.done();
        op.sign_in_as(Claims::new(mode).verified(&format!("{mode}@example.org")).named("Augusta", "Lovelace"));
        let again = t.person();
        enter(&t, &op, &again, "login").await.done();
        assert_eq!(again.whoami().await["identity"]["traits"]["name"]["first"], expected);
    }
    // An address that somebody else has shuts nobody out.
    t.signed_up("taken@example.org").await;
    op.sign_in_as(Claims::new("automatic").verified("taken@example.org").named("Augusta", "Lovelace"));
    let again = t.person();
    enter(&t, &op, &again, "login").await.done();
    assert_eq!(again.whoami().await["identity"]["traits"]["email"], "automatic@example.org");
}

/// Where nobody may sign up, whoever is known signs in, and whose address it is connects their account.
// cases: AC-86
#[flow_test(config = with_session())]
async fn a_provider_opens_no_account_where_registration_is_off(t: Trial) {
    let op = provider(&t).await;
    op.sign_in_as(ada_there());
    enter(&t, &op, &t.person(), "registration").await.done();
    t.signed_up("bob@example.org").await;
    let opened = t.person();
    let flow = begin(&opened, "registration", "").await;
    t.reconfigure(&json!({ "selfservice": { "flows": { "registration": { "enabled": false } } } }));
    // A flow that was opened before opens no account either, by whatever method.
    let traits = json!({ "email": "late@example.org" });
    for fields in [
        json!({ "method": "password", "password": PASSWORD, "traits": traits }),
        json!({ "method": "code", "traits": traits }),
        json!({ "method": "passkey", "passkey_register": "{}", "traits": traits }),
        json!({ "method": "webauthn", "webauthn_register": "{}", "traits": traits }),
        json!({ "method": "oidc", "provider": "op" }),
    ] {
        assert_eq!(opened.submit(&flow, fields).await.problem(400)["id"], "self_service_flow_disabled");
    }
    enter(&t, &op, &t.person(), "login").await.done();
    op.sign_in_as(Claims::new("new").verified("new@example.org"));
    let refused = enter(&t, &op, &t.person(), "login").await.problem(400);
    assert_eq!(refused["id"], "self_service_flow_disabled");
    op.sign_in_as(Claims::new("bob-at-op").verified("bob@example.org"));
    let form = enter(&t, &op, &t.person(), "login").await.form();
    assert_eq!(form.messages(), [1_010_016]);
}

/// What a client may ask of the provider, and what goes no further.
// cases: AC-80
#[flow_test(config = with_session())]
async fn only_known_parameters_reach_the_provider(t: Trial) {
    let op = provider(&t).await;
    op.sign_in_as(ada_there());
    let ada = t.person();
    let flow = match ada.client {
        ClientKind::Api => begin(&ada, "login", "").await,
        _ => ada.init("login", &format!("return_to={APP}/welcome")).await,
    };
    let upstream = json!({ "prompt": "select_account", "hd": "example.org", "login_hint": "eve@example.org", "redirect_uri": "https://evil.example" });
    let done = through(&t, &op, &ada, &flow, json!({ "provider": "op", "upstream_parameters": upstream })).await.done();
    let asked = op.authorizations().pop().unwrap();
    assert_eq!((asked["prompt"].as_str(), asked["hd"].as_str()), ("select_account", "example.org"));
    assert!(!asked.contains_key("login_hint"), "{asked:?}");
    if ada.client != ClientKind::Api {
        assert_eq!(done.location.as_deref(), Some(format!("{APP}/welcome").as_str()));
    }
}

/// An address that somebody typed leads to nobody's account, and is asked about nowhere.
#[flow_test(config = with_session())]
async fn a_typed_address_is_no_proof_of_anything(t: Trial) {
    let op = provider(&t).await;
    t.signed_up("bob@example.org").await;
    op.sign_in_as(Claims::new("eve-at-op").verified("eve@example.org"));
    let eve = t.person();
    let flow = begin(&eve, "registration", "").await;
    let typed = json!({ "provider": "op", "traits": { "email": "bob@example.org" } });
    let form = through(&t, &op, &eve, &flow, typed.clone()).await.form();
    assert_eq!(form.messages(), [4_000_007], "nothing is offered to be connected");
    let early = begin(&eve, "login", "").await;
    t.reconfigure(&json!({ "selfservice": { "flows": { "registration": { "enabled": false } } } }));
    let mut answers = Vec::new();
    for email in ["bob@example.org", "nobody@example.org"] {
        let flow = if email.starts_with("bob") { early.clone() } else { begin(&eve, "login", "").await };
        let typed = json!({ "provider": "op", "traits": { "email": email } });
        answers.push(through(&t, &op, &eve, &flow, typed).await.problem(400)["id"].clone());
    }
    assert_eq!(answers[0], answers[1], "nor does it tell who has an account");
}

/// Nobody connects an account without being told so, also after a wrong password, and nobody does in another browser.
// cases: AC-77
#[flow_test(config = with_session())]
async fn what_waits_is_told_as_long_as_it_waits(t: Trial) {
    let op = provider(&t).await;
    t.signed_up(EMAIL).await;
    op.sign_in_as(ada_there());
    let ada = t.person();
    let form = Flow { kind: "login".into(), ..enter(&t, &op, &ada, "login").await.form() };
    let wrong = json!({ "method": "password", "identifier": EMAIL, "password": "not this one 1234" });
    let again = ada.submit(&form, wrong).await.form();
    assert_eq!(again.messages(), [1_010_016, 4_000_006]);
    let shown = ada.refetch(&again).await;
    assert_eq!(shown.messages(), [1_010_016, 4_000_006]);
    if ada.client != ClientKind::Api {
        // In another browser it is of no use, whoever signs in there.
        let own = json!({ "method": "password", "identifier": EMAIL, "password": PASSWORD });
        let elsewhere = t.person();
        elsewhere.init("login", "").await;
        elsewhere.submit(&form, own).await.problem(403);
        elsewhere.fetch("login", &form.id()).await.expect(403);
    }
}

/// Who has connected an account of a provider connects no second one by signing in, and a session gets nothing by it.
#[flow_test(config = with_session())]
async fn a_second_account_of_one_provider_is_not_connected_by_signing_in(t: Trial) {
    let op = t.openid_provider().await;
    let mut methods = op.methods("op");
    methods["selfservice"]["methods"]["oidc"]["config"]["providers"][0]["aal2_amr_values"] = json!(["mfa"]);
    t.reconfigure(&methods);
    op.sign_in_as(ada_there());
    let ada = t.person();
    enter(&t, &op, &ada, "registration").await.done();
    let id = ada.id().await;
    let settings = ada.init("settings", "").await;
    ada.submit(&settings, json!({ "method": "password", "password": PASSWORD })).await.saved();
    op.sign_in_as(Claims::new("other-at-op").verified(EMAIL).signed_in_by(None, &["mfa"]));
    let again = t.person();
    let form = enter(&t, &op, &again, "login").await.form();
    assert_eq!(form.messages(), [4_000_001], "nothing is promised that cannot be kept");
    let form = enter(&t, &op, &again, "registration").await.form();
    assert_eq!(form.messages(), [4_000_001]);
    again.sign_in(EMAIL, PASSWORD).await.done();
    assert_eq!(again.whoami().await["authenticator_assurance_level"], "aal1");
    assert_eq!(t.snapshot(id).await.credential(CredentialType::Oidc).unwrap().identifiers, ["op:ada-at-op"]);
}
