//! What others could do with a round trip to a provider: forge it, steal it, repeat it, or put their account in its place.

use keyward_model::Span;
use keyward_testkit::{Claims, ClientKind, Endpoint, IdTokenFault, Misbehaviour, OpenIdProvider, PASSWORD, Trial, database_test};
use serde_json::json;

use crate::oidc::{ada_there, enter, provider, sent_away, with_session};

/// Clients that come back by themselves.
const BROWSERS: [ClientKind; 2] = [ClientKind::Browser, ClientKind::Spa];

// cases: L-60
#[database_test(config = with_session())]
async fn an_answer_counts_once_and_where_it_was_asked_for(t: Trial) {
    let op = provider(&t).await;
    op.sign_in_as(ada_there());
    let trips = BROWSERS.into_iter().flat_map(|client| [(client, "login"), (client, "registration")]);
    for (redeemed, (client, kind)) in trips.enumerate() {
        let ada = t.person_as(client);
        let flow = ada.init(kind, "").await;
        let away = sent_away(&ada, &ada.submit_call(&flow, json!({ "provider": "op" })).await);
        let callback = op.consent(&away).await;
        for forged in [
            callback.with("state", None),
            callback.with("state", Some("forged")),
            callback.with("state", Some(&callback.parameter("state").unwrap().chars().rev().collect::<String>())),
        ] {
            ada.navigate(forged.as_str()).await.problem(400);
        }
        // Another provider's path, another browser, the answer of another round trip.
        ada.navigate(&callback.as_str().replace("/callback/op?", "/callback/other?")).await.problem(400);
        t.person_as(ClientKind::Browser).navigate(callback.as_str()).await.problem(400);
        let eve = t.person_as(client);
        let eves = eve.init(kind, "").await;
        sent_away(&eve, &eve.submit_call(&eves, json!({ "provider": "op" })).await);
        eve.navigate(callback.as_str()).await.problem(400);
        assert_eq!(op.token_requests().len(), redeemed, "no code was redeemed for any of these");
        ada.navigate(callback.as_str()).await.done();
        let id = ada.id().await;
        let again = t.person_as(client);
        again.set_cookie("ory_kratos_continuity", &ada.cookie("ory_kratos_continuity").unwrap_or_default());
        again.navigate(callback.as_str()).await.problem(400);
        assert_eq!(ada.id().await, id);
    }
}

/// An attacker's own answer is of no use in the browser of somebody who is about to connect an account.
// cases: AC-78
#[database_test]
async fn an_attackers_account_is_not_connected_to_a_victim(t: Trial) {
    let op = provider(&t).await;
    for client in BROWSERS {
        attack(&t, &op, client).await;
    }
}

async fn attack(t: &Trial, op: &OpenIdProvider, client: ClientKind) {
    let (ada, eve) = (t.person_as(client), t.person_as(client));
    ada.sign_up(&format!("ada.{client:?}@example.org"), PASSWORD).await;
    eve.sign_up(&format!("eve.{client:?}@example.org"), PASSWORD).await;
    let before = op.authorizations().len();
    op.sign_in_as(Claims::new("eve-at-op").verified("eve@example.org"));
    let eves = eve.init("settings", "").await;
    let away = sent_away(&eve, &eve.submit_call(&eves, json!({ "link": "op" })).await);
    let callback = op.consent(&away).await;
    // Eve keeps her answer and has Ada's browser open it, before and while Ada is on her own way.
    ada.navigate(callback.as_str()).await.problem(403);
    let own = ada.init("settings", "").await;
    let adas = sent_away(&ada, &ada.submit_call(&own, json!({ "link": "op" })).await);
    ada.navigate(callback.as_str()).await.problem(403);
    let mixed = callback.with("state", keyward_testkit::parameter(&adas, "state").as_deref());
    let refused = ada.navigate(mixed.as_str()).await;
    assert_eq!(refused.form().messages(), [4_000_001], "Eve's code does not fit Ada's proof key");
    assert_eq!(t.snapshot(ada.id().await).await.factors().oidc, 0);
    // A page of another site cannot send Ada away in the first place.
    let fresh = ada.init("settings", "").await;
    let form = json!({ "link": "op", "csrf_token": "forged" });
    assert_eq!(ada.submit_call(&fresh, form).await.status, if ada.client == ClientKind::Spa { 403 } else { 303 });
    assert_eq!(op.authorizations().len(), before + 1, "only Eve's own browser came to the provider");
}

/// What one provider says counts for no other, whatever path or state it comes with.
// cases: AC-79
#[database_test(config = with_session())]
async fn one_provider_answers_for_no_other(t: Trial) {
    let (a, b) = (t.openid_provider().await, t.openid_provider().await);
    let providers = json!([a.provider_config("a"), b.provider_config("b")]);
    t.reconfigure(
        &json!({ "selfservice": { "methods": { "oidc": { "enabled": true, "config": { "providers": providers } } } } }),
    );
    for op in [&a, &b] {
        op.sign_in_as(ada_there());
    }
    for client in BROWSERS {
        let ada = t.person_as(client);
        let flow = ada.init("login", "").await;
        let away = sent_away(&ada, &ada.submit_call(&flow, json!({ "provider": "a" })).await);
        let from_a = a.consent(&away).await;
        ada.navigate(&from_a.as_str().replace("/callback/a?", "/callback/b?")).await.problem(400);
        let other = t.person_as(client);
        let elsewhere = other.init("login", "").await;
        let from_b = b.consent(&sent_away(&other, &other.submit_call(&elsewhere, json!({ "provider": "b" })).await)).await;
        // The code and the name of B, with the state of A.
        let mixed = from_b.with("state", from_a.parameter("state").as_deref());
        let mixed = mixed.as_str().replace("/callback/b?", "/callback/a?");
        assert_eq!(ada.navigate(&mixed).await.form().messages(), [4_000_001]);
        assert!(a.token_requests().is_empty(), "the code of another provider goes nowhere");
    }
    // Without the proof key that the browser left with, the code is worth nothing, and no answer without a state is one.
    let ada = t.person_as(ClientKind::Browser);
    let flow = ada.init("login", "").await;
    let away = sent_away(&ada, &ada.submit_call(&flow, json!({ "provider": "a" })).await);
    let from_a = a.consent(&away).await;
    ada.navigate(from_a.with("state", None).as_str()).await.problem(400);
    let done = ada.navigate(from_a.as_str()).await;
    assert!(done.is_done(), "{:?}", done.said);
}

/// Every lie of a token or an endpoint ends on the form.
#[database_test(config = with_session())]
async fn a_provider_that_lies_or_fails_signs_nobody_in(t: Trial) {
    let op = provider(&t).await;
    op.sign_in_as(ada_there());
    let lies = IdTokenFault::ALL.map(Misbehaviour::IdToken).into_iter().chain([
        Misbehaviour::NoIdToken,
        Misbehaviour::CallbackIssuer,
        Misbehaviour::NoCallbackIssuer,
        Misbehaviour::Down(Endpoint::Token),
        Misbehaviour::Oversize(Endpoint::Token),
        Misbehaviour::NoJson(Endpoint::Token),
    ]);
    for lie in lies {
        op.misbehave(lie);
        let ada = t.person_as(ClientKind::Browser);
        let form = enter(&t, &op, &ada, "login").await.form();
        assert_eq!(form.messages(), [4_000_001], "{lie:?}");
        let told = form.json["ui"]["messages"][0]["text"].as_str().unwrap().to_owned();
        assert!(told.len() < 300, "{lie:?}: {told}");
        assert!(!told.contains("eyJ"), "{lie:?}: {told}");
    }
    op.behave();
    op.rotate_keys();
    t.clock().advance(Span::minutes(2));
    enter(&t, &op, &t.person_as(ClientKind::Browser), "login").await.done();
}

/// A round trip that takes too long is over, and so is its flow.
#[database_test(config = with_session())]
async fn a_round_trip_ends(t: Trial) {
    let op = provider(&t).await;
    t.reconfigure(&json!({ "selfservice": { "flows": { "login": { "lifespan": "2h" } } } }));
    op.sign_in_as(ada_there());
    let ada = t.person_as(ClientKind::Browser);
    let flow = ada.init("login", "").await;
    let away = sent_away(&ada, &ada.submit_call(&flow, json!({ "provider": "op" })).await);
    t.clock().advance(Span::minutes(31));
    let callback = op.consent(&away).await;
    ada.navigate(callback.as_str()).await.problem(400);
}

/// Providers that answer with a form come back as a link, because a form of another site brings no cookies.
#[database_test(config = with_session())]
async fn an_answer_by_form_comes_once_more_as_a_link(t: Trial) {
    let op = provider(&t).await;
    op.sign_in_as(ada_there());
    let ada = t.person_as(ClientKind::Browser);
    let flow = ada.init("login", "").await;
    let away = sent_away(&ada, &ada.submit_call(&flow, json!({ "provider": "op" })).await);
    let callback = op.consent(&away).await;
    let fields: Vec<_> =
        ["code", "state", "iss"].into_iter().filter_map(|name| Some((name.to_owned(), callback.parameter(name)?))).collect();
    let path = "/self-service/methods/oidc/callback/op";
    let reply = t.person_as(ClientKind::Browser).call("POST", path).form(&fields).await.expect(302);
    let location = reply.location().to_owned();
    assert!(location.starts_with(&format!("{}{path}?", t.public().trim_end_matches('/'))), "{location}");
    ada.navigate(&location).await.done();
    ada.id().await;
}
