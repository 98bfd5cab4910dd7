//! Apps that sign people in at a provider: with a browser of the system and two codes, or with a token that they have already.

use keyward_model::Span;
use keyward_testkit::{
    APP, Actor, Claims, ClientKind, Flow, IdTokenFault, Misbehaviour, OpenIdProvider, PASSWORD, Reply, Trial, database_test,
    parameter,
};
use serde_json::{Value, json};

use crate::oidc::{ada_there, provider, sent_away, with_session};
use crate::second_factor::EMAIL;

/// Begins a flow of an app whose person will use a browser; gives the flow and the app's code.
async fn begun(t: &Trial, kind: &str) -> (Actor, Flow, String) {
    let app = t.person_as(ClientKind::Api);
    let query = format!("return_session_token_exchange_code=true&return_to={APP}/done");
    let flow = app.init(kind, &query).await;
    let code = flow.json["session_token_exchange_code"].as_str().expect("the app's code").to_owned();
    assert_eq!(code.len(), 64);
    assert!(app.refetch(&flow).await.json.get("session_token_exchange_code").is_none(), "it is told once");
    (app, flow, code)
}

/// Leaves with the app's flow, and comes back in a browser that holds nothing.
async fn in_a_browser(t: &Trial, op: &OpenIdProvider, app: &Actor, flow: &Flow) -> Reply {
    let away = sent_away(app, &app.submit_call(flow, json!({ "method": "oidc", "provider": "op" })).await);
    let callback = op.consent(&away).await;
    t.person_as(ClientKind::Browser).call("GET", callback.as_str()).await.expect(303)
}

async fn fetch(t: &Trial, init: &str, return_to: &str) -> Reply {
    let query = format!("init_code={init}&return_to_code={return_to}");
    t.person_as(ClientKind::Api).call("GET", &format!("/sessions/token-exchange?{query}")).await
}

// cases: L-57, AC-47
#[database_test(config = with_session())]
async fn a_browser_signs_in_for_an_app_which_fetches_the_token_once(t: Trial) {
    let op = provider(&t).await;
    op.sign_in_as(ada_there());
    let mut ids = Vec::new();
    for kind in ["registration", "login"] {
        let (app, flow, code) = begun(&t, kind).await;
        let back = in_a_browser(&t, &op, &app, &flow).await;
        let location = back.location().to_owned();
        assert!(location.starts_with(&format!("{APP}/done?code=")), "{location}");
        assert!(back.set_cookie("ory_kratos_session").is_none(), "the session is the app's");
        let other = parameter(&location, "code").unwrap();
        assert_eq!(other.len(), 64);
        assert!(kind == "registration" || t.app().store.count_identities().await.unwrap() == 1);
        for (init, return_to) in [(other.as_str(), code.as_str()), (&code, &code), (&other, &other), (&"a".repeat(64), &other)] {
            fetch(&t, init, return_to).await.expect(404);
        }
        fetch(&t, &code, "").await.expect(400);
        fetch(&t, "", &other).await.expect(400);
        let answer = fetch(&t, &code, &other).await.expect(200).json();
        app.set_token(answer["session_token"].as_str());
        let session = app.whoami().await;
        assert_eq!((&session["id"], &session["identity"]["traits"]["email"]), (&answer["session"]["id"], &json!(EMAIL)));
        ids.push(session["identity"]["id"].clone());
        fetch(&t, &code, &other).await.expect(404);
    }
    assert_eq!(ids[0], ids[1]);
}

/// An app that sends somebody through a browser gets nothing of it without the code that their browser brings to its own place.
// cases: L-51
#[database_test(config = with_session())]
async fn nothing_happens_in_a_browser_that_an_app_sent_somebody_through(t: Trial) {
    let op = provider(&t).await;
    // An app of somebody else's waits with an account of theirs that claims Ada's address.
    let ada = t.person_as(ClientKind::Browser);
    ada.sign_up(EMAIL, PASSWORD).await;
    op.sign_in_as(Claims::new("ada-at-op"));
    let settings = ada.init("settings", "").await;
    crate::oidc_settings::connect(&t, &op, &ada, &settings).await.saved();
    let id = ada.id().await;
    let eve = t.person_as(ClientKind::Api);
    for kind in ["login", "registration"] {
        let plain = eve.init(kind, "").await;
        let refused = eve.submit(&plain, json!({ "provider": "op", "traits": { "email": "eve@example.org" } })).await.form();
        assert_eq!(refused.messages(), [4_000_001], "a flow that no app takes up leads nowhere");
        let (app, flow, _) = begun(&t, kind).await;
        let back = in_a_browser(&t, &op, &app, &flow).await;
        assert!(back.location().starts_with(&format!("{APP}/done?code=")), "{back:?}");
        assert!(back.set_cookies().is_empty() && app.try_whoami().await.status == 401, "{back:?}");
        assert_eq!(app.refetch(&flow).await.state(), "choose_method", "the flow is where it was");
    }
    assert_eq!(t.snapshot(id).await.factors().oidc, 1);
    assert_eq!(t.app().store.count_identities().await.unwrap(), 1);
}

/// Codes that nobody fetched with end by themselves.
#[database_test(config = with_session())]
async fn codes_end(t: Trial) {
    let op = provider(&t).await;
    op.sign_in_as(ada_there());
    let (app, flow, code) = begun(&t, "login").await;
    let back = in_a_browser(&t, &op, &app, &flow).await;
    let other = parameter(back.location(), "code").unwrap();
    t.clock().advance(Span::minutes(11));
    fetch(&t, &code, &other).await.expect(404);
}

/// Of many apps with the same two codes one gets a token.
#[database_test(config = with_session())]
async fn of_many_fetches_one_succeeds(t: Trial) {
    let op = provider(&t).await;
    op.sign_in_as(ada_there());
    let (app, flow, code) = begun(&t, "login").await;
    let back = in_a_browser(&t, &op, &app, &flow).await;
    let other = parameter(back.location(), "code").unwrap();
    let mut fetches = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (app, path) =
            (t.person_as(ClientKind::Api), format!("/sessions/token-exchange?init_code={code}&return_to_code={other}"));
        fetches.spawn(async move { app.call("GET", &path).await.status });
    }
    let statuses = fetches.join_all().await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 404).count(), 19, "{statuses:?}");
}

/// A browser that could not sign in for the app brings it the flow that says why.
#[database_test(config = with_session())]
async fn an_app_reads_why_nobody_signed_in(t: Trial) {
    let op = provider(&t).await;
    for (kind, person, message) in [
        ("login", None, json!(4_000_001)),
        ("registration", None, json!(4_000_001)),
        ("registration", Some(Claims::new("shy")), Value::Null),
    ] {
        let is_told_by_the_address = kind == "registration" && person.is_none();
        match person {
            Some(person) => op.sign_in_as(person),
            None => op.deny(),
        }
        let (app, flow, code) = begun(&t, kind).await;
        let back = in_a_browser(&t, &op, &app, &flow).await;
        let location = back.location();
        assert_eq!(parameter(location, "flow").is_some(), is_told_by_the_address, "{location}");
        let told = fetch(&t, &code, &parameter(location, "code").unwrap()).await.expect(422).json();
        assert_eq!(told["id"], flow.json["id"]);
        if !message.is_null() {
            assert_eq!(told["ui"]["messages"][0]["id"], message);
        }
    }
}

// cases: L-58
#[database_test(config = with_session())]
async fn a_token_that_an_app_has_already_signs_in(t: Trial) {
    let op = provider(&t).await;
    let submit = |token: String, nonce: Option<&str>| {
        let mut body = json!({ "method": "oidc", "provider": "op", "id_token": token });
        if let Some(nonce) = nonce {
            body["id_token_nonce"] = nonce.into();
        }
        body
    };
    let mut ids = Vec::new();
    for kind in ["login", "registration", "login"] {
        let app = t.person_as(ClientKind::Api);
        let flow = app.init(kind, "").await;
        let token = op.mint_id_token(&ada_there(), Some("n-1"));
        let done = app.submit(&flow, submit(token, Some("n-1"))).await.done();
        assert!(done.body["session_token"].is_string(), "{:#}", done.body);
        ids.push(app.id().await);
    }
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let app = t.person_as(ClientKind::Api);
    let flow = app.init("login", "").await;
    for (minted, sent) in [(Some("n-1"), Some("n-2")), (Some("n-1"), None), (None, Some("n-1"))] {
        let refused = app.submit(&flow, submit(op.mint_id_token(&ada_there(), minted), sent)).await;
        refused.problem(502);
    }
    // The nonce is above.
    let others = [IdTokenFault::WrongNonce, IdTokenFault::NoNonce];
    for fault in IdTokenFault::ALL.into_iter().filter(|fault| !others.contains(fault)) {
        op.misbehave(Misbehaviour::IdToken(fault));
        let token = op.mint_id_token(&ada_there(), Some("n-1"));
        app.submit(&flow, submit(token, Some("n-1"))).await.problem(403);
    }
    op.behave();
    app.submit(&flow, submit("no.token.atall".to_owned(), Some("n"))).await.problem(403);
}

/// An app connects an account with a token and needs no browser for it.
#[database_test]
async fn an_app_connects_an_account_with_a_token(t: Trial) {
    let op = provider(&t).await;
    let app = t.person_as(ClientKind::Api);
    app.sign_up(EMAIL, PASSWORD).await;
    let flow = app.init("settings", "").await;
    let token = op.mint_id_token(&ada_there(), Some("n"));
    let saved = app.submit(&flow, json!({ "link": "op", "id_token": token, "id_token_nonce": "n" })).await.saved();
    assert!(saved.find("unlink").is_some());
    let phone = t.person_as(ClientKind::Api);
    let login = phone.init("login", "").await;
    let token = op.mint_id_token(&ada_there(), Some("m"));
    phone.submit(&login, json!({ "provider": "op", "id_token": token, "id_token_nonce": "m" })).await.done();
    assert_eq!(phone.id().await, app.id().await);
}
