//! Where people end up: return addresses, the base URL, and cookies that come from elsewhere.

use keyward_testkit::{Actor, ClientKind, PASSWORD, Trial, Value, flow_test};
use serde_json::json;

use super::{MARA, code_at, enrol_app, second_factors};

/// An address with everything in it that is undone once too often.
const HOME: &str = "http://127.0.0.1:4456/cb?next=%2Fa%2520b&x=1#frag";

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The next address that an answer leads to: `Location`, or what a script is told.
fn next(reply: &keyward_testkit::Reply) -> String {
    match reply.status {
        303 => reply.location().to_owned(),
        403 | 422 => reply.json()["redirect_browser_to"].as_str().unwrap().to_owned(),
        _ => panic!("{reply:?}"),
    }
}

#[flow_test(browser, spa, config = second_factors())]
async fn ret_01_the_return_address_survives_the_second_factor(t: Trial) {
    let mara = t.signed_up(MARA).await;
    let (key, _) = enrol_app(&t, &mara).await;
    t.clock().advance(keyward_model::Span::minutes(2));
    let phone = t.person();
    let flow = phone.init("login", &format!("return_to={}", encoded(HOME))).await;
    assert_eq!(flow.json["return_to"], HOME);
    let reply = phone.submit_call(&flow, json!({ "method": "password", "identifier": MARA, "password": PASSWORD })).await;
    let second = phone.init_at(&next(&reply)).await;
    assert_eq!(second.json["return_to"], HOME);
    let wrong = phone.submit(&second, json!({ "method": "totp", "totp_code": "000000" })).await.form();
    assert_eq!(wrong.json["return_to"], HOME);
    let done = phone.submit(&second, json!({ "method": "totp", "totp_code": code_at(&key, t.now()) })).await.done();
    assert_eq!(done.location.as_deref(), Some(HOME));
}

#[flow_test(browser, spa, config = json!({ "selfservice": { "flows": { "login": { "lifespan": "5m" }, "registration": { "lifespan": "5m" } } } }))]
async fn ret_01_the_return_address_survives_expiry_and_the_way_through_registration(t: Trial) {
    let query = format!("return_to={}", encoded(HOME));
    // Two ways through expiry: the page reads too late, the person submits too late.
    for kind in ["login", "registration"] {
        let person = t.person();
        let flow = person.init(kind, &query).await;
        t.clock().advance(keyward_model::Span::minutes(5));
        let gone = person.fetch(kind, &flow.id()).await.expect(410).json();
        assert_eq!(gone["error"]["details"]["return_to"], HOME);
        let again = person.init_at(gone["error"]["details"]["redirect_to"].as_str().unwrap()).await;
        assert_eq!(again.json["return_to"], HOME, "{kind}");
        let fields = json!({
            "method": "password", "password": PASSWORD, "identifier": MARA, "traits": { "email": format!("{kind}@example.org") },
        });
        let reply = person.submit_call(&flow, fields.clone()).await;
        let id = match t.client {
            ClientKind::Browser => reply.location_parameter("flow").unwrap(),
            _ => reply.expect(410).json()["use_flow_id"].as_str().unwrap().to_owned(),
        };
        let replaced = person.fetch(kind, &id).await.expect(200).json();
        assert_eq!(replaced["return_to"], HOME, "{kind}");
        // And on to the end, from the flow that took its place.
        let replaced = keyward_testkit::Flow { kind: kind.to_owned(), json: replaced };
        if kind == "registration" {
            assert_eq!(person.submit(&replaced, fields).await.done().location.as_deref(), Some(HOME));
        }
    }
    // A session that is too low for settings comes back to the whole init address.
    let mara = t.signed_up(MARA).await;
    let flow = mara.init("settings", &query).await;
    let change = json!({ "method": "profile", "traits": { "email": MARA, "nickname": "Mara" } });
    assert_eq!(mara.submit(&flow, change).await.done().location.as_deref(), Some(HOME));
    let leave = mara.call("GET", &format!("/self-service/logout/browser?{query}")).header("accept", "application/json").await;
    let leave = leave.expect(200).json()["logout_url"].as_str().unwrap().to_owned();
    if t.client == ClientKind::Browser {
        assert_eq!(mara.call("GET", &leave).await.expect(303).location(), HOME);
    }
}

/// Through the refresh that a change needs, and back to where the person wanted to go.
#[flow_test(browser, spa)]
async fn ret_01_the_return_address_survives_a_pause(t: Trial) {
    let mara = t.signed_up(MARA).await;
    t.clock().advance(keyward_model::Span::hours(2));
    let flow = mara.init("settings", &format!("return_to={}", encoded(HOME))).await;
    let change = json!({ "method": "password", "password": "staple 9 correct elephant" });
    let login = mara.submit(&flow, change).await.login_first("session_refresh_required");
    let done = mara.sign_in_again(&login, PASSWORD).await;
    let back = done.location.unwrap();
    let reply = mara.call("GET", &back).header("accept", "text/html").header("sec-fetch-mode", "navigate").await;
    assert_eq!(reply.expect(303).location(), HOME);
    assert_eq!(mara.refetch(&flow).await.json["return_to"], HOME);
}

#[flow_test(browser, spa, config = json!({ "selfservice": { "allowed_return_urls": ["https://app.example.org/"] } }))]
async fn ret_03_the_plain_form_covers_what_the_star_was_meant_for(t: Trial) {
    let person = t.person();
    for (target, allowed) in [
        ("https://app.example.org/", true),
        ("https://app.example.org/x", true),
        ("https://app.example.org/x?y", true),
        ("https://app.example.org.evil.test/", false),
        ("http://app.example.org/x", false),
    ] {
        let reply = person.start("login", &format!("return_to={}", encoded(target))).await;
        if allowed {
            assert_eq!(reply.status, if t.client == ClientKind::Browser { 303 } else { 200 }, "{target}");
            assert!(!reply.text().contains("return_to_forbidden"));
        } else if t.client == ClientKind::Spa {
            let error = reply.expect(400).json()["error"].clone();
            assert_eq!(error["id"], "self_service_flow_return_to_forbidden");
            // Both sides of the comparison, for whoever has to find out why.
            let reason = error["reason"].as_str().unwrap();
            assert!(reason.contains(target) && reason.contains("https://app.example.org/."), "{reason}");
        } else {
            assert!(reply.location().contains("/error?id="), "{target}: {reply:?}");
        }
    }
}

const SESSION: &str = "ory_kratos_session";

/// The `Cookie` header of a browser, with other cookies of one name before or after its own.
fn cookies(person: &Actor, name: &str, before: &[&str], after: &[&str]) -> String {
    let pair = |value: &str| format!("{name}={value}");
    let own = person.cookie_names().into_iter().map(|name| format!("{name}={}", person.cookie(&name).unwrap()));
    let all = before.iter().map(|value| pair(value)).chain(own).chain(after.iter().map(|value| pair(value)));
    all.collect::<Vec<_>>().join("; ")
}

#[flow_test(browser, spa)]
async fn edge_01_a_second_session_cookie_is_looked_through(t: Trial) {
    let mara = t.signed_up(MARA).await;
    let stale = {
        let gone = t.signed_up("gone@example.org").await;
        let id = gone.id().await;
        let cookie = gone.cookie(SESSION).unwrap();
        t.admin().call("DELETE", &format!("/admin/identities/{id}/sessions")).await.expect(204);
        cookie
    };
    let foreign = "MTcwMDAwMDAwMHxEWDhFQVFMX2dBQUJFQUVRQUFB";
    let whoami = async |cookies: String| {
        mara.call("GET", "/sessions/whoami").header("accept", "application/json").header("cookie", &cookies).await
    };
    for other in [stale.as_str(), foreign, "", "%%%"] {
        for (before, after) in [(vec![other], vec![]), (vec![], vec![other]), (vec![other], vec![foreign])] {
            let reply = whoami(cookies(&mara, SESSION, &before, &after)).await.expect(200);
            assert_eq!(reply.json()["identity"]["traits"]["email"], MARA);
        }
    }
    whoami(format!("{SESSION}={foreign}; {SESSION}={stale}")).await.expect(401);

    // Two people: nobody is signed in, both cookies go, and a new sign-in is the end of it.
    let other = t.signed_up("other@example.org").await;
    let both = cookies(&mara, SESSION, &[&other.cookie(SESSION).unwrap()], &[]);
    let reply = whoami(both).await.expect(401);
    let cleared: Vec<_> = reply.set_cookies().into_iter().filter(|cookie| cookie.name == SESSION).collect();
    assert!(!cleared.is_empty() && cleared.iter().all(keyward_testkit::SetCookie::is_removal), "{reply:?}");
    assert!(t.audit().await.iter().any(|event| event.kind == "conflicting_session_cookies"));
    mara.drop_cookie(SESSION);
    mara.sign_in(MARA, PASSWORD).await.done();
    assert_eq!(mara.whoami().await["identity"]["traits"]["email"], MARA);
}

#[flow_test(browser, spa, config = json!({ "session": { "cookie": { "domain": "example.org" } } }))]
async fn edge_01_both_places_of_the_cookie_are_cleared(t: Trial) {
    let (mara, other) = (t.signed_up(MARA).await, t.signed_up("other@example.org").await);
    let both = cookies(&mara, SESSION, &[&other.cookie(SESSION).unwrap()], &[]);
    let reply = mara.call("GET", "/sessions/whoami").header("accept", "application/json").header("cookie", &both).await;
    let cleared = reply.expect(401).set_cookies().into_iter().filter(|cookie| cookie.name == SESSION && cookie.is_removal());
    let domains: Vec<_> = cleared.map(|cookie| cookie.domain).collect();
    assert!(domains.contains(&None) && domains.iter().flatten().any(|domain| domain == "example.org"), "{domains:?}");
}

/// A CSRF cookie that a sister installation left behind stands before or after the right one, from the start or from now on.
#[flow_test(browser, spa)]
async fn edge_01_a_second_csrf_cookie_does_no_harm(t: Trial) {
    let mara = t.signed_up(MARA).await;
    let name = mara.cookie_names().into_iter().find(|name| name.starts_with("csrf_token_")).unwrap();
    let foreign = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let mut number = 0;
    for other in [foreign, "garbage", ""] {
        for (before, after) in [(vec![other], vec![]), (vec![], vec![other])] {
            let flow = mara.init("settings", "").await;
            number += 1;
            let nickname = format!("Mara {number}");
            let fields = json!({ "method": "profile", "traits": { "email": MARA, "nickname": nickname } });
            let reply = mara.submit_call(&flow, fields).header("cookie", &cookies(&mara, &name, &before, &after)).await;
            mara.understand(&flow, reply).await.saved();

            let login = t.person();
            let flow = login.init("login", "").await;
            let with = |person: &Actor| cookies(person, &name, &before, &after);
            let path = format!("/self-service/login/flows?id={}", flow.id());
            login.call("GET", &path).header("accept", "application/json").header("cookie", &with(&login)).await.expect(200);
            let fields = json!({ "method": "password", "identifier": MARA, "password": PASSWORD });
            let reply = login.submit_call(&flow, fields).header("cookie", &with(&login)).await;
            login.understand(&flow, reply).await.done();
        }
    }
}

/// The server behind a proxy that takes a path away.
#[flow_test(browser, spa)]
async fn edge_03_a_base_url_with_a_path_stands_in_every_address(t: Trial) {
    let mara = t.signed_up(MARA).await;
    for base in ["https://www.example.org/auth", "https://www.example.org/auth/"] {
        t.reconfigure(&json!({ "serve": { "public": { "base_url": base } } }));
        let root = "https://www.example.org/auth";
        let mut found: Vec<String> = Vec::new();
        let ask = async |path: &str, accept: &str| {
            let call = mara.call("GET", path).header("accept", accept).no_header("origin").no_header("sec-fetch-site");
            call.await
        };
        let settings = ask("/self-service/settings/browser", "application/json").await.expect(200);
        let flow = settings.json();
        found.push(flow["ui"]["action"].as_str().unwrap().to_owned());
        found.push(flow["identity"]["schema_url"].as_str().unwrap().to_owned());
        let nobody = t.person();
        let start = nobody.call("GET", "/self-service/settings/browser").header("accept", "text/html").await.expect(303);
        found.push(start.location().to_owned());
        found.push(
            ask("/self-service/logout/browser", "application/json").await.expect(200).json()["logout_url"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
        found.push(
            ask("/sessions/whoami", "application/json").await.expect(200).json()["identity"]["schema_url"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
        for address in &found {
            let rest = address.strip_prefix(root).unwrap_or_else(|| panic!("{address}"));
            assert!(rest.starts_with("/self-service/") || rest.starts_with("/schemas/"), "{address}");
            assert!(!rest.contains("//"), "{address}");
        }
        // A slash too many is answered at once, or leads to where the slash is not, wherever the proxy has put us.
        let slash = ask("/sessions/whoami/", "application/json").await;
        match slash.header("location") {
            None => assert_eq!(slash.json()["identity"]["traits"]["email"], MARA),
            Some(place) => {
                let target = url::Url::parse(&format!("{root}/sessions/whoami/")).unwrap().join(place).unwrap();
                assert_eq!(target.as_str(), format!("{root}/sessions/whoami"));
            }
        }
        // A proxy that leaves the path on finds the same server behind it.
        let kept = ask("/auth/sessions/whoami", "application/json").await;
        assert_eq!(kept.expect(200).json()["identity"]["traits"]["email"], MARA);
        let kept = ask("/auth/self-service/settings/browser", "application/json").await.expect(200).json();
        assert_eq!(
            kept["ui"]["action"].as_str().unwrap().split("?flow=").next().unwrap(),
            format!("{root}/self-service/settings")
        );
    }
}

fn embedded() -> Value {
    json!({
        "serve": { "public": { "base_url": "https://id.example.org/" } },
        "cookies": { "same_site": "None", "secure": true },
        "session": { "cookie": { "same_site": "None", "secure": true } },
    })
}

#[flow_test(browser, spa)]
async fn edge_05_every_cookie_follows_its_key(t: Trial) {
    let mara = t.person();
    mara.sign_up(MARA, PASSWORD).await;
    t.clock().advance(keyward_model::Span::hours(2));
    t.reconfigure(&embedded());
    let mut seen = std::collections::BTreeSet::new();
    let mut check = |reply: &keyward_testkit::Reply| {
        for cookie in reply.set_cookies() {
            assert_eq!((cookie.same_site.as_deref(), cookie.secure), (Some("None"), true), "{cookie:?}");
            seen.insert(cookie.name.split("token_").next().unwrap().to_owned());
        }
    };
    let act = |address: &str| address.replace("https://id.example.org", &t.public());
    let init =
        mara.call("GET", "/self-service/login/browser?refresh=true").header("accept", "application/json").await.expect(200);
    check(&init);
    let login = init.json();
    let token = |flow: &Value| {
        let nodes = flow["ui"]["nodes"].as_array().unwrap();
        nodes.iter().find(|node| node["attributes"]["name"] == "csrf_token").unwrap()["attributes"]["value"].clone()
    };
    let settings = mara.call("GET", "/self-service/settings/browser").header("accept", "application/json").await.expect(200);
    check(&settings);
    let settings = settings.json();
    let change = json!({ "method": "password", "password": "staple 9 correct elephant", "csrf_token": token(&settings) });
    let pause = mara.call("POST", &act(settings["ui"]["action"].as_str().unwrap()));
    let pause =
        pause.header("accept", "application/json").header("origin", "https://id.example.org").json(&change).await.expect(403);
    check(&pause);
    let fields = json!({ "method": "password", "identifier": MARA, "password": PASSWORD, "csrf_token": token(&login) });
    let again = mara.call("POST", &act(login["ui"]["action"].as_str().unwrap()));
    let again =
        again.header("accept", "application/json").header("origin", "https://id.example.org").json(&fields).await.expect(200);
    check(&again);
    let leave = mara.call("GET", "/self-service/logout/browser").header("accept", "application/json").await.expect(200);
    let leave = act(leave.json()["logout_url"].as_str().unwrap());
    check(&mara.call("GET", &leave).await);
    for name in ["csrf_", SESSION, "ory_kratos_continuity"] {
        assert!(seen.contains(name), "{name}: {seen:?}");
    }
}
