//! Sessions and devices: what ends when a password changes, what ends by itself, and what native shells send along.

use keyward_model::Span;
use keyward_testkit::{Actor, ClientKind, PASSWORD, Trial, Value, database_test, flow_test};
use serde_json::json;

use super::{MARA, enrol_app, second_factors};

const NEW: &str = "staple 9 correct elephant";

fn sign_others_out_after(method: &str) -> Value {
    let mut config = second_factors();
    config["selfservice"]["flows"] =
        json!({ "settings": { "after": { method: { "hooks": [{ "hook": "revoke_active_sessions" }] } } } });
    config
}

/// Two other devices of somebody, one with a cookie and one with a token.
async fn devices(t: &Trial) -> [Actor; 2] {
    let (page, app) = (t.person_as(ClientKind::Spa), t.person_as(ClientKind::Api));
    for device in [&page, &app] {
        device.sign_in(MARA, PASSWORD).await;
        // Whoever has a second factor is signed in all the same, and asked for it.
        assert!(matches!(device.try_whoami().await.status, 200 | 403));
    }
    [page, app]
}

async fn session_id(person: &Actor) -> Value {
    person.whoami().await["id"].clone()
}

#[flow_test(config = sign_others_out_after("password"))]
async fn sess_01_a_new_password_ends_every_other_session(t: Trial) {
    let mara = t.signed_up(MARA).await;
    let others = devices(&t).await;
    let (before, credentials) = (session_id(&mara).await, mara.token());
    let flow = mara.init("settings", "").await;

    // Many look at their session while it happens: whoever is answered after the change is not signed in.
    let watching: Vec<_> = (0..4)
        .map(|number| {
            let (t, cookie, token) = (t.clone(), others[0].cookie("ory_kratos_session").unwrap(), others[1].token());
            tokio::spawn(async move {
                let watcher = t.person_as(if number % 2 == 0 { ClientKind::Spa } else { ClientKind::Api });
                watcher.set_cookie("ory_kratos_session", &cookie);
                watcher.set_token(token.as_deref());
                let mut seen = Vec::new();
                for _ in 0..25 {
                    seen.push(watcher.try_whoami().await.status);
                }
                seen
            })
        })
        .collect();
    mara.submit(&flow, json!({ "method": "password", "password": NEW })).await.saved();
    for device in &others {
        device.try_whoami().await.expect(401);
        device.call("GET", "/sessions").await.expect(401);
    }
    for watcher in watching {
        let seen = watcher.await.unwrap();
        assert!(
            seen.is_sorted() && seen.iter().all(|status| matches!(status, 200 | 401)),
            "once ended, ended for good: {seen:?}"
        );
    }
    assert_eq!((session_id(&mara).await, mara.token()), (before, credentials), "who acted goes on");
    let again = json!({ "method": "profile", "traits": { "email": MARA, "nickname": "Mara" } });
    mara.submit(&flow, again).await.saved();
    assert!(t.audit().await.iter().any(|event| event.kind == "sessions_revoked"));
}

#[flow_test(config = second_factors())]
async fn sess_01_without_the_hook_the_others_stay_and_can_be_ended(t: Trial) {
    let mara = t.signed_up(MARA).await;
    let others = devices(&t).await;
    let flow = mara.init("settings", "").await;
    mara.submit(&flow, json!({ "method": "password", "password": NEW })).await.saved();
    for device in &others {
        device.whoami().await;
    }
    assert_eq!(mara.call("DELETE", "/sessions").await.expect(200).json(), json!({ "count": 2 }));
    for device in &others {
        device.try_whoami().await.expect(401);
    }
    mara.whoami().await;
}

#[flow_test(config = sign_others_out_after("totp"))]
async fn sess_01_an_app_removed_ends_every_other_session(t: Trial) {
    let mara = t.signed_up(MARA).await;
    enrol_app(&t, &mara).await;
    let others = devices(&t).await;
    let flow = mara.init("settings", "").await;
    mara.submit(&flow, json!({ "totp_unlink": true })).await.saved();
    for device in &others {
        device.try_whoami().await.expect(401);
    }
    mara.whoami().await;
    // The hook of one method is none of another's.
    let others = devices(&t).await;
    mara.submit(&flow, json!({ "method": "password", "password": NEW })).await.saved();
    for device in &others {
        device.whoami().await;
    }
}

fn an_hour() -> Value {
    json!({ "session": { "lifespan": "1h", "earliest_possible_extend": "10m" } })
}

#[flow_test(config = an_hour())]
async fn sess_03_a_session_ends_to_the_second(t: Trial) {
    let mara = t.signed_up(MARA).await;
    let end = t.now() + Span::hours(1);
    for minutes in [51, 59] {
        let since = (t.now().unix() - (end.unix() - 3_600)) / 60;
        t.clock().advance(Span::minutes(minutes - since));
        let session = mara.whoami().await;
        assert_eq!((&session["expires_at"], &session["active"]), (&json!(end), &json!(true)), "looking prolongs nothing");
    }
    t.clock().advance(Span::seconds(59));
    mara.whoami().await;
    t.clock().advance(Span::seconds(1));
    mara.try_whoami().await.expect(401);
    t.clock().advance(Span::minutes(1));
    mara.try_whoami().await.expect(401);
}

#[flow_test(browser, spa, config = an_hour())]
async fn sess_03_the_cookie_lasts_as_long_as_the_session(t: Trial) {
    let mara = t.signed_up(MARA).await;
    t.clock().advance(Span::minutes(40));
    let flow = mara.init("settings", "").await;
    let change = json!({ "method": "profile", "traits": { "email": MARA, "nickname": "Mara" } });
    let saved = mara.submit(&flow, change).await;
    assert_eq!(saved.reply.set_cookie("ory_kratos_session").unwrap().max_age, Some(20 * 60));
    saved.saved();
    let refresh = mara.init("login", "refresh=true").await;
    let again = mara.submit(&refresh, json!({ "method": "password", "identifier": MARA, "password": PASSWORD })).await;
    let age = again.reply.set_cookie("ory_kratos_session").unwrap().max_age.unwrap();
    assert_eq!(mara.whoami().await["expires_at"], json!(t.now() + Span::seconds(age)));
}

#[database_test(config = an_hour())]
async fn sess_03_extending_works_in_its_window_and_once(t: Trial) {
    let mara = t.signed_up(MARA).await;
    let path = format!("/admin/sessions/{}/extend", session_id(&mara).await.as_str().unwrap());
    let end = t.now() + Span::hours(1);
    t.clock().advance(Span::minutes(40));
    let early = t.admin().call("PATCH", &path).await.expect(200).json();
    assert_eq!(early["expires_at"], json!(end));
    t.clock().advance(Span::minutes(15));
    let later = t.now() + Span::hours(1);
    let both: Vec<_> = (0..2)
        .map(|_| {
            let (t, path) = (t.clone(), path.clone());
            tokio::spawn(async move { t.admin().call("PATCH", &path).await.expect(200).json()["expires_at"].clone() })
        })
        .collect();
    for extended in both {
        assert_eq!(extended.await.unwrap(), json!(later));
    }
    assert_eq!(mara.whoami().await["expires_at"], json!(later));
    let extended = t.audit().await.into_iter().filter(|event| event.kind == "session_extended").count();
    assert_eq!(extended, 1, "moved once");
    t.clock().advance(Span::hours(1));
    mara.try_whoami().await.expect(401);
    // What is over stays over.
    let over = t.admin().call("PATCH", &path).await;
    assert_eq!(over.expect(200).json()["active"], false);
    mara.try_whoami().await.expect(401);
}

/// A change that comes too late leads to a sign-in and is not made.
#[flow_test(config = an_hour())]
async fn sess_03_a_submit_after_the_end_leads_to_a_sign_in(t: Trial) {
    let mara = t.signed_up(MARA).await;
    let id = mara.id().await;
    let flow = mara.init("settings", "").await;
    t.clock().advance(Span::minutes(60));
    let change = json!({ "method": "profile", "traits": { "email": MARA, "nickname": "Late" } });
    let late = mara.submit(&flow, change).await;
    if t.client == ClientKind::Browser {
        assert!(matches!(late.said, keyward_testkit::Said::Leave(_)), "{:?}", late.said);
    } else {
        assert_eq!(late.problem(401)["id"], "session_inactive");
    }
    assert!(t.snapshot(id).await.identity.traits.get("nickname").is_none());
}

/// Web views name an origin of their own and replay cookies.
#[flow_test(api, config = json!({ "serve": { "public": { "cors": { "enabled": true, "allowed_origins": ["capacitor://localhost"] } } } }))]
async fn app_01_a_shell_that_adds_headers_is_told_which(t: Trial) {
    t.signed_up(MARA).await;
    let app = t.person();
    let fields = json!({ "method": "password", "identifier": MARA, "password": PASSWORD });
    for (header, value, words) in [
        ("Origin", "capacitor://localhost", vec!["Origin", "docs/"]),
        ("Cookie", "foo=bar", vec!["Cookie", "foo", "docs/"]),
        ("Cookie", "__cf_bm=x; foo=bar; session=1", vec!["Cookie", "foo, session"]),
    ] {
        let flow = app.init("login", "").await;
        let reply = app.submit_call(&flow, fields.clone()).header(header, value).await.expect(400);
        assert!(reply.set_cookies().is_empty(), "{reply:?}");
        let form = app.understand(&flow, reply).await.form();
        assert_eq!(form.messages(), [4_000_001]);
        let context = &form.json["ui"]["messages"][0]["context"];
        let reason = context["reason"].as_str().unwrap();
        for word in words {
            assert!(reason.contains(word), "{word}: {reason}");
        }
    }
    let flow = app.init("login", "").await;
    let network = "__cf_bm=x; cf_clearance=y; _cfuvid=z";
    let reply = app.submit_call(&flow, fields).header("Cookie", network).await.expect(200);
    assert!(reply.set_cookies().is_empty(), "{reply:?}");
}

#[flow_test(spa, config = json!({ "serve": { "public": { "cors": { "enabled": true, "allowed_origins": ["capacitor://localhost"] } } } }))]
async fn app_01_an_origin_with_a_scheme_of_its_own_is_allowed_as_written(t: Trial) {
    let shell = "capacitor://localhost";
    t.person_as(ClientKind::Api).sign_up(MARA, PASSWORD).await;
    let page = t.person();
    let preflight = async |origin: &str| {
        let call = page.call("OPTIONS", "/self-service/login/browser").header("origin", origin);
        call.header("access-control-request-method", "GET").await
    };
    let reply = preflight(shell).await;
    assert_eq!(reply.header("access-control-allow-origin"), Some(shell));
    assert_eq!(reply.header("access-control-allow-credentials"), Some("true"));
    for other in ["ionic://localhost", "capacitor://localhost.evil.test", "http://localhost", "null"] {
        assert_eq!(preflight(other).await.header("access-control-allow-origin"), None, "{other}");
    }
    let init = page.call("GET", "/self-service/login/browser").header("origin", shell).await.expect(200);
    assert_eq!(init.header("access-control-allow-origin"), Some(shell));
    let flow = keyward_testkit::Flow { kind: "login".to_owned(), json: init.json() };
    let fields = json!({ "method": "password", "identifier": MARA, "password": PASSWORD });
    let reply = page.submit_call(&flow, fields).header("origin", shell).header("sec-fetch-site", "cross-site").await;
    page.understand(&flow, reply).await.done();
    page.whoami().await;
}
