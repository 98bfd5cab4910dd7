//! Several tabs, the back button, and sessions that end behind an open page.

use keyward_model::Span;
use keyward_testkit::{Actor, ClientKind, PASSWORD, Reply, Trial, UI, flow_test};
use serde_json::json;

use super::MARA;

fn csrf_name(person: &Actor) -> String {
    person.cookie_names().into_iter().find(|name| name.starts_with("csrf_token_")).expect("a CSRF cookie")
}

#[flow_test(browser, spa)]
async fn tab_01_two_tabs_and_the_back_button(t: Trial) {
    let mara = t.signed_up(MARA).await;
    let first = mara.init("settings", "").await;
    let name = csrf_name(&mara);
    let reply = mara.start("settings", "").await;
    assert!(reply.set_cookie(&name).is_none(), "a second page leaves the cookie alone: {reply:?}");
    let second = mara.init("settings", "").await;
    assert_ne!(first.csrf_token(), second.csrf_token(), "each page has a mask of its own");
    let refresh = mara.init("login", "refresh=true").await;
    let change = |nickname: &str| json!({ "method": "profile", "traits": { "email": MARA, "nickname": nickname } });
    mara.submit(&first, change("First")).await.saved();
    mara.submit(&second, change("Second")).await.saved();
    let again = json!({ "method": "password", "identifier": MARA, "password": PASSWORD });
    mara.submit(&refresh, again).await.done();
    // From the history: the page as it was.
    mara.submit(&first, change("Third")).await.saved();
    assert_eq!(mara.whoami().await["identity"]["traits"]["nickname"], "Third");
}

/// Many pages at once, in a browser that has no cookie yet: whichever cookie it keeps, every page after that works.
#[flow_test(browser)]
async fn tab_01_the_cookie_that_is_kept_serves_every_later_page(t: Trial) {
    t.signed_up(MARA).await;
    let browser = t.person();
    let pages: Vec<_> = (0..50).map(|_| browser.start("login", "").into_future()).collect();
    let replies = futures_join(pages).await;
    let name = csrf_name(&browser);
    let cookies: std::collections::BTreeSet<_> =
        replies.iter().filter_map(|reply| reply.set_cookie(&name)).map(|cookie| cookie.value).collect();
    assert!(cookies.len() > 1, "nobody had a cookie");
    let kept = browser.cookie(&name);
    for _ in 0..3 {
        let flow = browser.init("login", "").await;
        assert_eq!(browser.cookie(&name), kept);
        browser.submit(&flow, json!({ "method": "password", "identifier": MARA, "password": "wrong" })).await.form();
    }
    let flow = browser.init("login", "").await;
    browser.submit(&flow, json!({ "method": "password", "identifier": MARA, "password": PASSWORD })).await.done();
}

async fn futures_join(pages: Vec<impl Future<Output = Reply>>) -> Vec<Reply> {
    let mut pages: Vec<_> = pages.into_iter().map(Box::pin).collect();
    let mut replies: Vec<Option<Reply>> = pages.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (page, reply) in pages.iter_mut().zip(&mut replies) {
            if reply.is_none()
                && let std::task::Poll::Ready(done) = page.as_mut().poll(context)
            {
                *reply = Some(done);
            }
        }
        if replies.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    replies.into_iter().flatten().collect()
}

/// After a real mismatch the error page leads on, and where it leads a form works.
#[flow_test(browser, config = json!({ "selfservice": { "flows": {
    "error": { "ui_url": null }, "settings": { "ui_url": null }, "login": { "ui_url": null },
} } }))]
async fn tab_01_the_error_page_leads_to_a_form_that_works(t: Trial) {
    let mara = t.person_as(ClientKind::Api);
    mara.sign_up(MARA, PASSWORD).await;
    let browser = t.person();
    let start = browser.call("GET", "/self-service/login/browser").await.expect(303).location().to_owned();
    let page = browser.call("GET", &start).await.expect(200).text();
    let send = async |page: &str, csrf: Option<&str>| {
        let value = |name: &str| {
            let at = page.find(&format!("name=\"{name}\"")).unwrap_or_else(|| panic!("no {name}: {page}"));
            let tag = &page[page[..at].rfind('<').unwrap()..];
            let tag = &tag[..tag.find('>').unwrap()];
            tag.split("value=\"")
                .nth(1)
                .unwrap()
                .split('"')
                .next()
                .unwrap()
                .replace("&#x2b;", "+")
                .replace("&#43;", "+")
                .replace("&#x3d;", "=")
                .replace("&#x2f;", "/")
        };
        let action = page.split("action=\"").find(|rest| rest.contains("/self-service/login?flow=")).unwrap();
        let action = action.split('"').next().unwrap().replace("&amp;", "&").replace("&#x2f;", "/");
        let token = csrf.map_or_else(|| value("csrf_token"), str::to_owned);
        let fields = [("csrf_token", token.as_str()), ("identifier", MARA), ("password", PASSWORD), ("method", "password")];
        let fields: Vec<_> = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        browser.call("POST", &action).header("origin", &t.public()).header("sec-fetch-site", "same-origin").form(&fields).await
    };
    let lost = send(&page, Some("bm90IGEgdG9rZW4=")).await.expect(303).location().to_owned();
    assert!(lost.starts_with(&format!("{}/ui/error?id=", t.public())), "{lost}");
    let error = browser.call("GET", &lost).await.expect(200).text();
    let links = error.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap().replace("&#x2f;", "/"));
    let again = links
        .into_iter()
        .find(|href| href.contains("/self-service/login/browser"))
        .unwrap_or_else(|| panic!("no way on: {error}"));
    let start = browser.call("GET", &again).await.expect(303).location().to_owned();
    let page = browser.call("GET", &start).await.expect(200).text();
    send(&page, None).await.expect(303);
    browser.whoami().await;
}

/// How a session can end behind an open page.
#[flow_test(config = json!({ "session": { "lifespan": "30m" } }))]
async fn tab_03_every_settings_endpoint_says_that_the_session_is_gone(t: Trial) {
    for state in ["expired", "revoked", "signed out", "switched off"] {
        let email = format!("{}@example.org", state.replace(' ', "-"));
        let mara = t.signed_up(&email).await;
        let id = mara.id().await;
        let flow = mara.init("settings", "").await;
        match state {
            "expired" => t.clock().advance(Span::minutes(30)),
            "revoked" => {
                t.admin().call("DELETE", &format!("/admin/identities/{id}/sessions")).await.expect(204);
            }
            "signed out" => {
                mara.set_token(None);
                mara.drop_cookie("ory_kratos_session");
            }
            _ => {
                let patch = json!([{ "op": "replace", "path": "/state", "value": "inactive" }]);
                t.admin().call("PATCH", &format!("/admin/identities/{id}")).json(&patch).await.expect(200);
            }
        }
        let fields = json!({ "method": "profile", "traits": { "email": email, "nickname": "Late" } });
        let back = "return_to=http%3A%2F%2F127.0.0.1%3A4456%2Fback";
        let (init, fetch, submit) = (
            mara.start("settings", back).await,
            mara.call("GET", &format!("/self-service/settings/flows?id={}", flow.id())).await,
            mara.submit_call(&flow, fields).await,
        );
        if t.client == ClientKind::Browser {
            let login = init.expect(303).location().to_owned();
            assert_eq!(login, format!("{}/self-service/login/browser?{back}", t.public()), "{state}");
            // A page that is open is led to the login page; what is fetched for one is data.
            let place = submit.location().to_owned();
            assert!(matches!(submit.status, 302 | 303) && place.starts_with(&format!("{UI}/login")), "{state}: {submit:?}");
            assert!(matches!(fetch.status, 302 | 401), "{state}: {fetch:?}");
        } else {
            for (what, reply) in [("init", init), ("fetch", fetch), ("submit", submit)] {
                let body = reply.clone().expect(401).json();
                assert_eq!(reply.error_id(), "session_inactive", "{state}, {what}");
                assert_eq!(body["error"]["code"], 401);
                assert!(body["error"]["reason"].is_string() && body["error"]["message"].is_string(), "{state}, {what}: {body}");
            }
        }
        let stored = t.snapshot(id).await.identity.traits;
        assert!(stored.get("nickname").is_none(), "{state}");
    }
}
