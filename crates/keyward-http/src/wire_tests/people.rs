//! Sessions on the wire: found, issued, ended, and cookies that come back.

use std::collections::BTreeMap;

use axum::response::Response;
use http::header::{COOKIE, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use keyward_model::{ContainerId, Secret, Span};
use keyward_services::continuity::{Held, Parcel};
use keyward_services::csrf::csrf_cookie_name;
use keyward_services::tokens::SessionToken;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{BASE, JSON, app, ask, error, request, set_cookies, text};
use crate::site::Site;
use crate::{Routes, app_state, cookies, public_router};

#[tokio::test]
async fn cookies_come_back_as_they_were_given() {
    let app = app(|_| {}).await;
    let site = Site::new(&app.config);
    let (now, random) = (app.now(), app.random());
    let token = SessionToken::generate(random);
    let value = |cookie: &HeaderValue| {
        let text = cookie.to_str().expect("text");
        text.split(';').next().and_then(|pair| pair.split_once('=')).expect("a pair").1.to_owned()
    };
    let first = cookies::session(&app.keys, &site, token.reveal(), now + Span::hours(1), now, random);
    let again = cookies::session(&app.keys, &site, token.reveal(), now + Span::hours(1), now, random);
    assert_ne!(first, again, "every issue differs");
    assert!(first.to_str().expect("text").contains("Max-Age=3600"));
    assert!(!first.to_str().expect("text").contains(token.reveal().as_str()));
    let opened = cookies::open_session(&app.keys, &site.session_cookie, &value(&first)).expect("our own cookie");
    assert_eq!((opened.token.digest(), opened.expires_at), (token.digest(), now + Span::hours(1)));
    assert!(cookies::open_session(&app.keys, "other_name", &value(&first)).is_none());
    let mut forged = value(&first);
    forged.replace_range(10..11, if &forged[10..11] == "A" { "B" } else { "A" });
    assert!(cookies::open_session(&app.keys, &site.session_cookie, &forged).is_none());

    let id: ContainerId = random.id();
    let parcel = Parcel { id, key: Secret::new([7; 32]) };
    let held = Held([("ory_kratos_settings_password".to_owned(), parcel)].into());
    let cookie = cookies::held(&app.keys, &site, &held, now, random);
    assert!(cookie.len() < 4_096 && cookie.to_str().expect("text").contains("Max-Age=2592000"));
    assert_eq!(cookies::open_held(&app.keys, &value(&cookie)), held);
    assert_eq!(cookies::open_held(&app.keys, &value(&first)), Held::default(), "one cookie is not taken for another");
    for cleared in cookies::clear_session(&site) {
        let text = cleared.to_str().expect("text");
        assert!(text.contains("Max-Age=0") && text.contains("Expires=Thu, 01 Jan 1970 00:00:00 GMT"), "{text}");
    }
}

#[tokio::test]
async fn signed_in_people_are_found_by_each_of_the_three_ways() {
    let app = app(|_| {}).await;
    let made = keyward_services::admin::create_identity(&app, &keyward_selfservice::Client::default(), json!({
        "traits": { "email": "ada@app.test" }, "credentials": { "password": { "config": { "password": "correct horse battery" } } },
    }))
    .await;
    let (identity, _) = made.expect("an identity");
    let site = Site::new(&app.config);
    let public = public_router(app_state(app));
    let answer = ask(&public, "GET", "/self-service/login/api", &[JSON], "").await;
    let flow: Value = serde_json::from_str(&text(answer).await).expect("JSON");
    let path = format!("/self-service/login?flow={}", flow["id"].as_str().expect("an id"));
    let body = json!({ "method": "password", "identifier": "ada@app.test", "password": "correct horse battery" }).to_string();
    // A native client is recognised by what it does not send, whatever it accepts.
    let answer = ask(&public, "POST", &path, &[("content-type", "application/json; charset=utf-8")], &body).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(set_cookies(answer.headers()).is_empty());
    let signed_in: Value = serde_json::from_str(&text(answer).await).expect("JSON");
    assert_eq!(signed_in["continue_with"], Value::Null);
    let token = signed_in["session_token"].as_str().expect("a token");

    // What is needed to make a cookie: the keys of the same configuration.
    let twin = super::app(|_| {}).await;
    let sealed = cookies::session(&twin.keys, &site, token, twin.now() + Span::hours(1), twin.now(), twin.random());
    let pair = sealed.to_str().expect("text").split(';').next().expect("a pair").to_owned();
    let bearer = format!("bearer {token}");
    let unknown = format!("ory_st_{}", "x".repeat(32));
    let cut = &token[..token.len() - 1];
    for (headers, found) in [
        (vec![("x-session-token", token)], true),
        (vec![("authorization", bearer.as_str())], true),
        (vec![("cookie", pair.as_str())], true),
        (vec![("cookie", &pair), ("authorization", "Bearer nonsense")], true),
        // The header wins, even when it is of no use.
        (vec![("x-session-token", &unknown), ("cookie", &pair)], false),
        (vec![("x-session-token", cut)], false),
        (vec![("authorization", token)], false),
        (vec![("cookie", "ory_kratos_session=broken"), ("authorization", &bearer)], true),
    ] {
        let answer = ask(&public, "GET", "/sessions/whoami", &headers, "").await;
        assert_eq!(answer.status() == StatusCode::OK, found, "{headers:?}");
        if found {
            assert_eq!(answer.headers()["x-kratos-authenticated-identity-id"], identity.to_string());
            let session: Value = serde_json::from_str(&text(answer).await).expect("JSON");
            assert_eq!(session["id"], signed_in["session"]["id"]);
        }
    }
    let mut twice = request("GET", "/sessions/whoami", &[], "");
    twice.headers_mut().append(COOKIE, HeaderValue::try_from(format!("{pair}; ory_kratos_session=broken")).expect("a value"));
    assert_eq!(
        public.clone().oneshot(twice).await.expect("routers do not fail").status(),
        StatusCode::OK,
        "the only valid one counts"
    );
}

/// Keeps cookies like a browser with one site.
#[derive(Default)]
struct Jar(BTreeMap<String, String>);

impl Jar {
    fn take(&mut self, headers: &HeaderMap) {
        for cookie in set_cookies(headers) {
            let (pair, attributes) = cookie.split_once(';').expect("attributes");
            let (name, value) = pair.split_once('=').expect("a pair");
            if attributes.contains("Max-Age=0") {
                self.0.remove(name);
            } else {
                self.0.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    fn header(&self) -> String {
        self.0.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    async fn ask(&mut self, router: &Routes, method: &str, path: &str, body: &str) -> Response {
        let cookies = self.header();
        let mut headers = vec![("accept", "text/html"), ("content-type", "application/x-www-form-urlencoded")];
        if !cookies.is_empty() {
            headers.push(("cookie", &cookies));
        }
        let answer = ask(router, method, path.strip_prefix(BASE).unwrap_or(path), &headers, body).await;
        self.take(answer.headers());
        answer
    }
}

fn location(answer: &Response) -> String {
    answer.headers()[LOCATION].to_str().expect("text").to_owned()
}

/// A browser that signed in by forms as the built-in pages would.
async fn signed_in_browser(router: &Routes, email: &str) -> Jar {
    let mut jar = Jar::default();
    let page = location(&jar.ask(router, "GET", "/self-service/login/browser", "").await);
    let id = page.strip_prefix("http://ui.test/login?flow=").expect("the login page");
    let flow = jar.ask(router, "GET", &format!("/self-service/login/flows?id={id}"), "").await;
    let flow: Value = serde_json::from_str(&text(flow).await).expect("JSON");
    let nodes = flow["ui"]["nodes"].as_array().expect("nodes");
    let token = nodes.iter().find(|node| node["attributes"]["name"] == "csrf_token").expect("a token");
    let body = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("csrf_token", token["attributes"]["value"].as_str().expect("text"))
        .append_pair("method", "password")
        .append_pair("identifier", email)
        .append_pair("password", "correct horse battery")
        .finish();
    let before = jar.0.clone();
    let answer = jar.ask(router, "POST", flow["ui"]["action"].as_str().expect("an action"), &body).await;
    assert_eq!((answer.status(), location(&answer).as_str()), (StatusCode::SEE_OTHER, "http://app.test/"));
    assert_ne!(jar.0[&csrf_cookie_name(BASE)], before[&csrf_cookie_name(BASE)], "the CSRF secret changes at sign-in");
    jar
}

async fn people(emails: &[&str]) -> Routes {
    let app = app(|_| {}).await;
    for email in emails {
        let body = json!({
            "traits": { "email": email },
            "credentials": { "password": { "config": { "password": "correct horse battery" } } },
        });
        let made = keyward_services::admin::create_identity(&app, &keyward_selfservice::Client::default(), body).await;
        made.unwrap_or_else(|problem| panic!("{problem:?}"));
    }
    public_router(app_state(app))
}

#[tokio::test]
async fn a_browser_signs_in_and_out_again() {
    let public = people(&["ada@app.test"]).await;
    let mut jar = signed_in_browser(&public, "ada@app.test").await;
    let whoami = jar.ask(&public, "GET", "/sessions/whoami", "").await;
    assert_eq!(whoami.status(), StatusCode::OK);
    assert!(set_cookies(whoami.headers()).is_empty(), "a cookie that is up to date is not issued again");
    // Who is signed in is sent on, and scripts are told.
    assert_eq!(location(&jar.ask(&public, "GET", "/self-service/login/browser", "").await), "http://app.test/");
    let cookies = jar.header();
    let answer = ask(&public, "GET", "/self-service/login/browser", &[JSON, ("cookie", &cookies)], "").await;
    assert_eq!(error(answer).await["error"]["id"], "session_already_available");

    let settings = location(&jar.ask(&public, "GET", "/self-service/settings/browser", "").await);
    assert!(settings.starts_with("http://ui.test/settings?flow="));

    let link: Value =
        serde_json::from_str(&text(jar.ask(&public, "GET", "/self-service/logout/browser", "").await).await).expect("JSON");
    let before = jar.0.clone();
    let refused = jar.ask(&public, "GET", "/self-service/logout?token=ory_lo_wrong", "").await;
    assert!(location(&refused).starts_with("http://ui.test/error?id="));
    let answer = jar.ask(&public, "GET", link["logout_url"].as_str().expect("a link"), "").await;
    assert_eq!((answer.status(), location(&answer).as_str()), (StatusCode::SEE_OTHER, "http://app.test/"));
    assert!(!jar.0.contains_key("ory_kratos_session"));
    assert_ne!(jar.0[&csrf_cookie_name(BASE)], before[&csrf_cookie_name(BASE)], "the CSRF secret changes at sign-out");
    let old = Jar(before).header();
    assert_eq!(ask(&public, "GET", "/sessions/whoami", &[("cookie", &old)], "").await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn cookies_of_two_people_sign_nobody_in_and_are_cleared() {
    let public = people(&["ada@app.test", "bob@app.test"]).await;
    let pair = |jar: &Jar| format!("ory_kratos_session={}", jar.0["ory_kratos_session"]);
    let ada = pair(&signed_in_browser(&public, "ada@app.test").await);
    let ada_elsewhere = pair(&signed_in_browser(&public, "ada@app.test").await);
    let bob = pair(&signed_in_browser(&public, "bob@app.test").await);
    for (cookies, status, cleared) in [
        (format!("{ada}; {ada_elsewhere}"), StatusCode::OK, false),
        (format!("{ada}; {bob}"), StatusCode::UNAUTHORIZED, true),
        (format!("ory_kratos_session=old; {bob}"), StatusCode::OK, false),
    ] {
        for path in ["/sessions/whoami", "/sessions"] {
            let answer = ask(&public, "GET", path, &[JSON, ("cookie", &cookies)], "").await;
            assert_eq!(answer.status(), status, "{path}");
            let gone = set_cookies(answer.headers()).iter().any(|cookie| cookie.starts_with("ory_kratos_session=;"));
            assert_eq!(gone, cleared, "{path}");
        }
    }
}

#[tokio::test]
async fn the_devices_page_ends_sessions() {
    let public = people(&["ada@app.test"]).await;
    let mut here = signed_in_browser(&public, "ada@app.test").await;
    let mut there = signed_in_browser(&public, "ada@app.test").await;
    let mut elsewhere = signed_in_browser(&public, "ada@app.test").await;
    let whoami: Value = serde_json::from_str(&text(there.ask(&public, "GET", "/sessions/whoami", "").await).await).expect("JSON");
    let page = text(here.ask(&public, "GET", "/ui/sessions", "").await).await;
    let token = page.split("name=\"csrf_token\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a form token");
    let token = token.replace("&#x2b;", "+").replace("&#x2f;", "/").replace("&#x3d;", "=");
    let form = |fields: &[(&str, &str)]| url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let id = whoami["id"].as_str().expect("an id");
    let end_one = "/ui/sessions/end";
    assert!(
        page.contains("ui&#x2f;sessions&#x2f;end\"") || page.contains("ui/sessions/end\""),
        "the page posts to an address that exists"
    );

    let forged = here.ask(&public, "POST", end_one, &form(&[("csrf_token", "forged"), ("session", id)])).await;
    assert!(location(&forged).starts_with("http://ui.test/error?id="));
    assert_eq!(there.ask(&public, "GET", "/sessions/whoami", "").await.status(), StatusCode::OK);

    let ended = location(&here.ask(&public, "POST", end_one, &form(&[("csrf_token", &token), ("session", id)])).await);
    assert!(ended.starts_with("http://id.test/ui/sessions?ended=one"), "{ended}");
    assert_eq!(there.ask(&public, "GET", "/sessions/whoami", "").await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(here.ask(&public, "GET", &ended, "").await.status(), StatusCode::OK);

    assert_eq!(
        location(&here.ask(&public, "POST", "/ui/sessions/end-others", &form(&[("csrf_token", &token)])).await),
        "http://id.test/ui/sessions?ended=others"
    );
    assert_eq!(elsewhere.ask(&public, "GET", "/sessions/whoami", "").await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(here.ask(&public, "GET", "/sessions/whoami", "").await.status(), StatusCode::OK);
}
