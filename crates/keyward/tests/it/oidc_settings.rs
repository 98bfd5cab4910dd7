//! Connecting an account at a provider in settings, and taking it away.

use keyward_model::{CredentialType, Span};
use keyward_testkit::{Actor, Claims, ClientKind, Flow, OpenIdProvider, PASSWORD, Submitted, Trial, flow_test};
use serde_json::{Value, json};

use crate::oidc::{ada_there, enter, proofs, provider, sent_away, with_session};
use crate::second_factor::{EMAIL, code, enrol};

/// The browser that goes to the provider: the client's own, or one that an app's person is signed in with too.
pub(crate) async fn browser_of(t: &Trial, person: &Actor, email: &str) -> Option<Actor> {
    if person.client != ClientKind::Api {
        return None;
    }
    let browser = t.person_as(ClientKind::Browser);
    browser.sign_in(email, PASSWORD).await.done();
    Some(browser)
}

/// Connects with the provider's current person.
pub(crate) async fn connect(t: &Trial, op: &OpenIdProvider, person: &Actor, flow: &Flow) -> Submitted {
    let reply = person.submit_call(flow, json!({ "method": "oidc", "link": "op" })).await;
    let callback = op.consent(&sent_away(person, &reply)).await;
    let Some(browser) = browser_of(t, person, EMAIL).await else {
        return person.navigate(callback.as_str()).await;
    };
    // The app hands its cookies on.
    let kept = reply.set_cookie("ory_kratos_continuity").expect("what opens the way back");
    browser.set_cookie("ory_kratos_continuity", &kept.value);
    let reply = browser.call("GET", callback.as_str()).await;
    person.understand(flow, reply).await
}

// cases: S-108, S-110, S-111, S-112
#[flow_test]
async fn an_account_is_connected_used_and_disconnected(t: Trial) {
    let op = provider(&t).await;
    let ada = t.signed_up(EMAIL).await;
    let id = ada.id().await;
    op.sign_in_as(ada_there());
    let flow = ada.init("settings", "").await;
    let node = flow.node("link");
    assert_eq!((&node["attributes"]["value"], &node["meta"]["label"]["id"]), (&json!("op"), &json!(1_050_002)));
    assert_eq!(node["meta"]["label"]["context"], json!({ "provider": "Provider op" }));
    assert!(flow.find("unlink").is_none());
    let connected = connect(&t, &op, &ada, &flow).await.saved();
    assert_eq!(connected.json["active"], "oidc");
    assert_eq!(connected.node("unlink")["meta"]["label"]["id"], 1_050_003);
    assert!(connected.find("link").is_none());
    let stored = t.snapshot(id).await;
    let row = stored.credential(CredentialType::Oidc).unwrap();
    assert_eq!((row.identifiers.as_slice(), stored.factors().oidc), (["op:ada-at-op".to_owned()].as_slice(), 1));
    assert_eq!(stored.identity.traits["email"], EMAIL, "claims change no traits");
    if ada.client != ClientKind::Api {
        assert_eq!(proofs(&ada).await.last(), Some(&("oidc".to_owned(), "op".to_owned())));
    }
    let elsewhere = t.person();
    enter(&t, &op, &elsewhere, "login").await.done();
    assert_eq!(elsewhere.id().await, id);

    let again = ada.submit(&connected, json!({ "method": "oidc", "link": "op" })).await.form();
    assert_eq!(again.messages(), [4_000_001]);
    let both = ada.submit(&connected, json!({ "link": "op", "unlink": "op" })).await.form();
    assert_eq!(both.messages(), [4_000_001]);
    for unknown in [json!({ "unlink": "nobody" }), json!({ "link": "nobody" })] {
        assert_eq!(ada.submit(&connected, unknown).await.form().messages(), [4_000_001]);
    }
    let saved = ada.submit(&connected, json!({ "method": "oidc", "unlink": "op" })).await.saved();
    assert!(saved.find("link").is_some() && saved.find("unlink").is_none());
    assert_eq!(t.snapshot(id).await.factors().oidc, 0);
    let gone = t.person();
    let form = enter(&t, &op, &gone, "login").await.form();
    assert_eq!(form.messages(), [1_010_016], "it finds nobody any more, and the address has an owner");
}

// cases: S-108, S-109
#[flow_test(config = with_session())]
async fn the_only_way_in_stays(t: Trial) {
    let op = provider(&t).await;
    op.sign_in_as(ada_there());
    let ada = t.person();
    enter(&t, &op, &ada, "registration").await.done();
    let flow = ada.init("settings", "").await;
    assert!(flow.find("unlink").is_none() && flow.find("link").is_none());
    let refused = ada.submit(&flow, json!({ "method": "oidc", "unlink": "op" })).await.form();
    assert_eq!(refused.messages(), [4_000_001]);
    assert_eq!(t.snapshot(ada.id().await).await.factors().oidc, 1);
    let fresh = ada.init("settings", "").await;
    ada.submit(&fresh, json!({ "method": "password", "password": PASSWORD })).await.saved();
    let fresh = ada.init("settings", "").await;
    ada.submit(&fresh, json!({ "method": "oidc", "unlink": "op" })).await.saved();
    t.person().sign_in(EMAIL, PASSWORD).await.done();
}

/// Nobody has an account to disconnect who never connected one.
#[flow_test]
async fn disconnecting_nothing_is_not_found(t: Trial) {
    provider(&t).await;
    let ada = t.signed_up(EMAIL).await;
    let flow = ada.init("settings", "").await;
    ada.submit(&flow, json!({ "method": "oidc", "unlink": "op" })).await.problem(404);
}

// cases: S-113
#[flow_test(config = with_session())]
async fn an_account_of_somebody_else_is_not_connected(t: Trial) {
    let op = provider(&t).await;
    op.sign_in_as(Claims::new("eve-at-op").verified("eve@example.org"));
    enter(&t, &op, &t.person(), "registration").await.done();
    let ada = t.signed_up(EMAIL).await;
    let flow = ada.init("settings", "").await;
    let form = connect(&t, &op, &ada, &flow).await.form();
    assert_eq!(form.messages(), [4_000_007]);
    assert_eq!(t.snapshot(ada.id().await).await.factors().oidc, 0);
}

// cases: S-114
#[flow_test]
async fn what_the_provider_refuses_or_forgets_is_told(t: Trial) {
    use keyward_testkit::Misbehaviour;
    let op = provider(&t).await;
    let ada = t.signed_up(EMAIL).await;
    let flow = ada.init("settings", "").await;
    op.deny();
    assert_eq!(connect(&t, &op, &ada, &flow).await.form().messages(), [4_000_001]);
    op.sign_in_as(ada_there());
    for wrong in [Misbehaviour::NoIdToken, Misbehaviour::NoCode, Misbehaviour::Down(keyward_testkit::Endpoint::Token)] {
        op.misbehave(wrong);
        assert_eq!(connect(&t, &op, &ada, &flow).await.form().messages(), [4_000_001], "{wrong:?}");
    }
    op.behave();
    connect(&t, &op, &ada, &flow).await.saved();
}

// cases: S-116, L-59
#[flow_test(config = json!({ "selfservice": { "flows": { "settings": { "privileged_session_max_age": "5m" } } } }))]
async fn a_stale_session_signs_in_first_and_can_do_so_with_the_provider(t: Trial) {
    let op = provider(&t).await;
    let ada = t.signed_up(EMAIL).await;
    op.sign_in_as(ada_there());
    let flow = ada.init("settings", "").await;
    connect(&t, &op, &ada, &flow).await.saved();
    t.clock().advance(Span::minutes(10));
    let flow = ada.init("settings", "").await;
    let login = ada.submit(&flow, json!({ "method": "oidc", "unlink": "op" })).await.login_first("session_refresh_required");
    let refresh = ada.init_at(&login).await;
    assert_eq!(refresh.value("provider"), "op", "a connected account can confirm who it is");
    // Somebody else's account at the provider confirms nothing.
    let session = ada.whoami().await["id"].clone();
    let eve = Claims::new("eve-at-op").verified("eve@example.org");
    op.sign_in_as(eve.clone());
    let refused = confirm(&t, &op, &ada, &refresh, &eve).await.form();
    assert_eq!(refused.messages(), [4_000_001]);
    op.sign_in_as(ada_there());
    let done = confirm(&t, &op, &ada, &refresh, &ada_there()).await.done();
    assert_eq!(ada.whoami().await["id"], session, "the session goes on");
    if ada.client == ClientKind::Api {
        ada.submit(&flow, json!({ "method": "oidc", "unlink": "op" })).await.saved();
    } else {
        assert_eq!(op.authorizations().pop().unwrap()["prompt"], "login", "the provider asks once more");
        // The change that waited is done by itself.
        ada.navigate(&done.location.unwrap()).await;
    }
    assert_eq!(t.snapshot(ada.id().await).await.factors().oidc, 0);
}

/// Confirms who it is at the provider; an app has a token of it.
async fn confirm(t: &Trial, op: &OpenIdProvider, person: &Actor, flow: &Flow, there: &Claims) -> Submitted {
    if person.client != ClientKind::Api {
        return crate::oidc::through(t, op, person, flow, json!({ "method": "oidc", "provider": "op" })).await;
    }
    let token = op.mint_id_token(there, Some("n"));
    person.submit(flow, json!({ "provider": "op", "id_token": token, "id_token_nonce": "n" })).await
}

/// Who has a second factor shows it before anything is connected.
#[flow_test(config = {
    let mut config = crate::second_factor::enabled();
    config["selfservice"]["flows"] = json!({ "settings": { "required_aal": "aal1" } });
    config
})]
async fn connecting_takes_the_second_factor_of_those_who_have_one(t: Trial) {
    let op = provider(&t).await;
    op.sign_in_as(ada_there());
    let phone = t.signed_up(EMAIL).await;
    let (secret, _) = enrol(&t, &phone).await;
    t.clock().advance(Span::minutes(2));
    let ada = crate::second_factor::first_step(&t, EMAIL).await;
    let flow = ada.init("settings", "").await;
    ada.submit(&flow, json!({ "method": "oidc", "link": "op" })).await.login_first("session_aal2_required");
    assert!(op.authorizations().is_empty());
    let step = ada.init("login", "aal=aal2").await;
    ada.submit(&step, json!({ "method": "totp", "totp_code": code(&secret, &t) })).await.done();
    let reply = ada.submit_call(&flow, json!({ "method": "oidc", "link": "op" })).await;
    sent_away(&ada, &reply);
}

/// What a provider says about levels counts only where the operator wrote it down.
// cases: AC-19
#[flow_test(config = with_session())]
async fn a_level_at_the_provider_counts_where_the_operator_said_so(t: Trial) {
    let op = t.openid_provider().await;
    let mut methods = op.methods("op");
    t.reconfigure(&methods);
    let level = |person: Actor| async move { person.whoami().await["authenticator_assurance_level"].clone() };
    let strong =
        |sub: &str| Claims::new(sub).verified(&format!("{sub}@example.org")).signed_in_by(Some("urn:strong"), &["pwd", "otp"]);
    op.sign_in_as(strong("a"));
    let person = t.person();
    enter(&t, &op, &person, "registration").await.done();
    let proof = person.whoami().await["authentication_methods"][0].clone();
    assert_eq!((&proof["upstream_acr"], &proof["upstream_amr"]), (&json!("urn:strong"), &json!(["pwd", "otp"])));
    assert_eq!(level(person).await, "aal1", "nobody said that it counts");

    methods["selfservice"]["methods"]["oidc"]["config"]["providers"][0]["aal2_acr_values"] = json!(["urn:strong"]);
    t.reconfigure(&methods);
    for (claims, expected) in [
        (strong("b"), "aal2"),
        (Claims::new("c").verified("c@example.org"), "aal1"),
        (Claims::new("d").verified("d@example.org").signed_in_by(Some("urn:strong2"), &["mfa"]), "aal1"),
        (Claims::new("e").verified("e@example.org").signed_in_by(Some("URN:STRONG"), &[]), "aal1"),
    ] {
        let sub = claims.sub.clone();
        op.sign_in_as(claims);
        let person = t.person();
        enter(&t, &op, &person, "registration").await.done();
        assert_eq!(level(person).await, expected, "{sub}");
    }
    // An unsigned claim is none.
    op.sign_in_as(strong("f"));
    op.misbehave(keyward_testkit::Misbehaviour::IdToken(keyward_testkit::IdTokenFault::Unsigned));
    assert_eq!(enter(&t, &op, &t.person(), "registration").await.form().messages(), [4_000_001]);
}

/// What the admin API shows of a connected account.
#[flow_test(config = with_session())]
async fn operators_read_the_tokens_and_disconnect(t: Trial) {
    let op = provider(&t).await;
    let ada = t.signed_up(EMAIL).await;
    op.sign_in_as(ada_there());
    let flow = ada.init("settings", "").await;
    connect(&t, &op, &ada, &flow).await.saved();
    let id = ada.id().await;
    let shown = t.admin().call("GET", &format!("/admin/identities/{id}?include_credential=oidc")).await.expect(200).json();
    let link: &Value = &shown["credentials"]["oidc"]["config"]["providers"][0];
    assert_eq!((&link["provider"], &link["subject"]), (&json!("op"), &json!("ada-at-op")));
    assert!(link["initial_id_token"].as_str().is_some_and(|token| token.starts_with("eyJ")), "{link}");
    let plain = t.admin().call("GET", &format!("/admin/identities/{id}")).await.expect(200).json();
    assert!(!plain.to_string().contains("eyJ"), "{plain}");
}
