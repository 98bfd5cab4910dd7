//! What leaves the server when somebody wants it to leave for elsewhere: redirects, addresses in answers, pages and the headers on
//! them.
//! Hostile values come in through every door that has one; what goes out is looked at byte by byte.
//! Nothing here renders a page: a small scanner of tags reads what a browser would run.

use keyward_testkit::{APP, Actor, Call, ClientKind, PASSWORD, Reply, Trial, UI, flow_test, schema_url};
use serde_json::json;

use crate::foreign_addresses::FOREIGN;

const ADA: &str = "ada@example.org";

/// Every byte that is no letter or digit, as browsers never write it but servers must read it.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// Nothing of the answer to an attempt leads anywhere but to our own error page.
#[track_caller]
fn assert_refused(client: ClientKind, reply: &Reply, attempt: &str) {
    assert!(!reply.headers.contains_key("refresh"), "{attempt}: {reply:?}");
    match client {
        ClientKind::Api | ClientKind::Spa => {
            assert_eq!(reply.status, 400, "{attempt}: {reply:?}");
            assert_eq!(reply.error_id(), "self_service_flow_return_to_forbidden", "{attempt}");
        }
        ClientKind::Browser => {
            assert_eq!(reply.status, 303, "{attempt}: {reply:?}");
            assert!(reply.location().starts_with(&format!("{UI}/error?id=")), "{attempt}: {reply:?}");
        }
    }
    let location = reply.header("location").unwrap_or_default();
    assert!(!location.contains("evil") && !location.contains("script"), "{attempt}: {reply:?}");
}

// cases: AC-50
#[flow_test(sqlite)]
async fn no_spelling_of_a_foreign_address_starts_a_flow(t: Trial) {
    let ada = t.signed_up(ADA).await;
    let nobody = t.person();
    for foreign in FOREIGN {
        let foreign = foreign.replace("{own}", APP);
        let query = format!("return_to={}", encoded(&foreign));
        for (kind, person) in [("settings", &ada), ("login", &nobody), ("registration", &nobody)] {
            let reply = person.start(kind, &query).await;
            assert_refused(t.client, &reply, &format!("{kind} {foreign:?}"));
        }
    }
    for own in ["", "/", "/x?y=z#w", "?a=b", "/a%2Fb"] {
        let flow = ada.init("settings", &format!("return_to={}", encoded(&format!("{APP}{own}")))).await;
        assert!(flow.json["return_to"].as_str().unwrap().starts_with(APP), "{own}");
    }
}

/// The link that signs out, and the one that changes the language of the pages, take an address too.
// cases: AC-50
#[flow_test(browser, spa, sqlite)]
async fn no_spelling_of_a_foreign_address_follows_a_logout(t: Trial) {
    let ada = t.signed_up(ADA).await;
    for foreign in FOREIGN {
        let foreign = encoded(&foreign.replace("{own}", APP));
        let path = format!("/self-service/logout/browser?return_to={foreign}");
        let reply = ada.call("GET", &path).header("accept", "application/json").await;
        if reply.status == 200 {
            // The address is judged when it is followed.
            let url = reply.json()["logout_url"].as_str().unwrap().to_owned();
            let reply = ada.call("GET", &url).await;
            assert!(reply.status >= 400 || reply.location().starts_with(APP) || reply.location().starts_with(UI), "{reply:?}");
            ada.sign_in(ADA, PASSWORD).await.done();
        } else {
            assert_eq!(reply.status, 400, "{reply:?}");
        }
        let reply = ada.call("GET", &format!("/ui/language?to=de&back={foreign}")).await.expect(303);
        assert_eq!(reply.location(), format!("{}/ui/", t.public()), "{foreign}");
    }
    let reply = ada.call("GET", "/ui/language?to=de&back=/ui/login").await.expect(303);
    assert_eq!(reply.location(), format!("{}/ui/login", t.public()));
}

/// An allowed path allows what lies below it and nothing beside it.
// cases: AC-52
#[flow_test(sqlite, config = json!({ "selfservice": { "allowed_return_urls": ["https://app.example.net/app"] } }))]
async fn an_allowed_path_does_not_allow_its_siblings(t: Trial) {
    let nobody = t.person();
    for below in ["/app", "/app/", "/app/x", "/app?x=y", "/app#x", "/app/x/../y"] {
        let flow = nobody.init("login", &format!("return_to={}", encoded(&format!("https://app.example.net{below}")))).await;
        assert!(flow.json["return_to"].as_str().unwrap().starts_with("https://app.example.net/app"), "{below}");
    }
    for beside in [
        "",
        "/",
        "/app-evil",
        "/application",
        "/app.evil",
        "/app;evil",
        "/app@evil",
        "/appx/",
        "/APP",
        "/app/../evil",
        "/app/..",
        "/app/%2e%2e/evil",
        "/app/..%2fevil",
        "/app/..%5cevil",
        "/app/..;/evil",
        "/app\\..\\evil",
        "/./app-evil",
        "//app",
        "/x/app",
    ] {
        let reply = nobody.start("login", &format!("return_to={}", encoded(&format!("https://app.example.net{beside}")))).await;
        assert_refused(t.client, &reply, beside);
    }
}

// cases: AC-53
#[flow_test(sqlite)]
async fn doubled_slashes_lead_nowhere(t: Trial) {
    let ada = t.signed_up(ADA).await;
    for path in [
        "//self-service/settings/browser",
        "/self-service//settings/browser",
        "/self-service/settings//api",
        "//sessions/whoami",
        "/sessions//whoami",
        "/ui//login",
        "//ui/login",
        "//evil.example/ui/login",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let reply = ada.call(method, path).await;
            assert_eq!(reply.status, 404, "{method} {path}: {reply:?}");
            assert!(reply.header("location").is_none());
        }
    }
    for path in [
        "/sessions/whoami/",
        "/sessions/./whoami/../x",
        "/sessions/%2e%2e/admin/identities",
        "/admin/identities/",
        "/identities/x",
    ] {
        let reply = ada.call("GET", path).await;
        assert!(matches!(reply.status, 302..=405), "{path}: {reply:?}");
        assert!(!reply.text().contains(ADA), "{path}: {reply:?}");
    }
}

/// A request that lies about where it was sent.
fn lie<'a>(person: &'a Actor, path: &str) -> Call<'a> {
    let call = person.call("GET", path).header("x-forwarded-host", "evil.example").header("x-forwarded-proto", "https");
    let call = call.header("forwarded", "for=1.2.3.4;host=\"evil.example\";proto=https").header("x-forwarded-port", "666");
    let call = call.header("x-original-url", "https://evil.example/").header("x-forwarded-prefix", "/evil.example");
    call.header("host", "evil.example")
}

/// Whatever a proxy or client claims, addresses that people are sent to come from the configuration.
// Towards AC-54, which is about mail.
#[flow_test(sqlite)]
async fn forwarded_headers_do_not_shape_addresses(t: Trial) {
    let ada = t.signed_up(ADA).await;
    let door = if t.client == ClientKind::Api { "api" } else { "browser" };
    let (start, kind_of) = (format!("/self-service/settings/{door}"), t.client);
    let reply = lie(&ada, &start).await;
    if kind_of == ClientKind::Browser {
        let page = reply.expect(303).location().to_owned();
        assert!(page.starts_with(&format!("{UI}/settings?flow=")), "{page}");
    } else {
        let flow = reply.expect(200).json();
        assert!(flow["ui"]["action"].as_str().unwrap().starts_with(&t.public()), "{flow:#}");
        let mut rest = flow;
        // Told for the record only, and only because this peer is a trusted proxy.
        rest["request_url"] = json!(null);
        assert!(!rest.to_string().contains("evil"), "{rest:#}");
    }
    // Without a session a browser is led to the login, and at the end of a session to where it may go.
    let nobody = t.person();
    let reply = lie(&nobody, &start).await;
    assert!(!format!("{:?}{}", reply.header("location"), reply.text()).contains("evil"), "{reply:?}");
    if kind_of != ClientKind::Api {
        let reply = lie(&ada, "/self-service/logout/browser").header("accept", "application/json").await.expect(200);
        assert!(!reply.text().contains("evil"), "{reply:?}");
    }
    for path in ["/.well-known/change-password", "/ui/settings", "/ui/login", "/ui/sessions", "/schemas", "/sessions/whoami"] {
        let reply = lie(&ada, path).await;
        assert!(!format!("{:?}{}", reply.header("location"), reply.text()).contains("evil"), "{path}: {reply:?}");
    }
}

// Towards AC-54, which is about mail.
#[flow_test(api, spa, sqlite, config = json!({ "serve": { "trusted_proxies": ["203.0.113.0/24"] } }))]
async fn strangers_are_not_believed_at_all(t: Trial) {
    let nobody = t.person();
    let door = if t.client == ClientKind::Api { "api" } else { "browser" };
    let call = nobody.call("GET", &format!("/self-service/login/{door}"));
    let call =
        call.header("x-forwarded-host", "evil.example").header("x-forwarded-proto", "https").header("true-client-ip", "1.2.3.4");
    let flow = call.await.expect(200);
    assert!(!flow.text().contains("evil.example"), "{flow:?}");
    let ada = t.signed_up(ADA).await;
    let session = ada.whoami().await;
    let address = session["devices"][0]["ip_address"].as_str().unwrap();
    assert!(address.starts_with("127.0.0.1"), "{address}");
}

// cases: AC-55
#[flow_test(sqlite)]
async fn what_steers_a_flow_stands_there_once(t: Trial) {
    let ada = t.signed_up(ADA).await;
    let nobody = t.person();
    let flow = ada.init("settings", "").await;
    let (id, own) = (flow.id(), encoded(APP));
    let door = if t.client == ClientKind::Api { "api" } else { "browser" };
    for (person, method, path) in [
        (&ada, "GET", format!("/self-service/settings/{door}?return_to={own}&return_to=https%3A%2F%2Fevil.example")),
        (&nobody, "GET", format!("/self-service/login/{door}?return_to={own}&return%5Fto={own}")),
        (&nobody, "GET", format!("/self-service/registration/{door}?return_to=&return_to={own}")),
        (&ada, "GET", format!("/self-service/settings/flows?id={id}&id={id}")),
        (&ada, "POST", format!("/self-service/settings?flow={id}&flow={id}")),
        (&ada, "POST", format!("/self-service/settings?flow={id}&csrf_token=a&csrf_token=b")),
        (&ada, "GET", "/self-service/logout?token=a&token=b".to_owned()),
    ] {
        let reply = person.call(method, &path).await;
        if t.client == ClientKind::Browser {
            assert!(reply.status == 303 && reply.location().starts_with(&format!("{UI}/error?id=")), "{path}: {reply:?}");
        } else {
            assert_eq!(reply.status, 400, "{path}: {reply:?}");
        }
        assert!(!reply.text().contains("evil.example"), "{path}: {reply:?}");
    }
    ada.whoami().await;
}

// cases: AC-59
#[flow_test(sqlite)]
async fn answers_about_people_are_never_cached(t: Trial) {
    let ada = t.signed_up(ADA).await;
    let nobody = t.person();
    let flow = ada.init("settings", "").await;
    let door = if t.client == ClientKind::Api { "api" } else { "browser" };
    let mut paths: Vec<String> = ["settings", "login", "registration"].map(|kind| format!("/self-service/{kind}/{door}")).into();
    paths.push(format!("/self-service/settings/flows?id={}", flow.id()));
    paths.extend(
        ["/sessions", "/sessions/whoami", "/self-service/logout/browser", "/self-service/errors?id=x"].map(str::to_owned),
    );
    paths.extend(
        ["/ui/login", "/ui/settings", "/ui/sessions", "/ui/", "/", "/nowhere", "/.well-known/change-password"].map(str::to_owned),
    );
    for path in paths {
        for person in [&ada, &nobody] {
            let reply = person.call("GET", &path).await;
            let cache = reply.header("cache-control").unwrap_or_default();
            assert!(cache.contains("no-store") && !cache.contains("public"), "{path}: {reply:?}");
            let vary = reply
                .headers
                .get_all("vary")
                .iter()
                .map(|value| value.to_str().unwrap().to_lowercase())
                .collect::<Vec<_>>()
                .join(",");
            assert!(vary.contains("cookie") && vary.contains("origin"), "{path}: {reply:?}");
        }
    }
    let submitted = ada.submit(&flow, json!({ "method": "profile", "traits": { "email": ADA, "nickname": "Ada" } })).await;
    assert!(submitted.reply.header("cache-control").is_some_and(|value| value.contains("no-store")));
    // What has the same content for everybody may be kept, and sets no cookie.
    let page = nobody.call("GET", "/ui/login").header("accept", "text/html").await;
    assert!(page.status < 400, "{page:?}");
}

/// What an attacker writes into fields, devices and addresses, and a careless operator into a schema.
const HOSTILE: &[&str] = &[
    "<script>alert(1)</script>",
    "\"><script src=//evil.example></script>",
    "'\"><img src=x onerror=alert(1)>",
    "</title></textarea></style><svg/onload=alert(1)>",
    "\" autofocus onfocus=alert(1) x=\"",
    "javascript:alert(1)//",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<!--><base href=//evil.example>",
    "\u{202e}\u{2028}<a href=javascript:alert(1)>x",
];

fn hostile_person() -> serde_json::Value {
    let title = "Nick <script>alert(1)</script> \"' onmouseover=alert(1)";
    let email = json!({
        "type": "string", "format": "email", "title": "<img src=x onerror=alert(1)>",
        "ory.sh/kratos": { "credentials": { "password": { "identifier": true } } } });
    let properties = json!({ "email": email, "nickname": { "type": "string", "title": title } });
    json!({
        "$id": "https://schemas.invalid/hostile.json", "title": "</script><script>alert(1)</script>", "type": "object",
        "properties": { "traits": { "type": "object", "properties": properties, "required": ["email"] } } })
}

fn hostile_schema() -> serde_json::Value {
    let schemas = json!([{ "id": "person", "url": schema_url(&hostile_person()) }]);
    json!({ "identity": { "schemas": schemas }, "ui": { "brand": { "name": "<script>alert(1)</script>" } } })
}

// cases: AC-100, AC-102
#[flow_test(browser, config = hostile_schema())]
async fn hostile_texts_stay_texts_on_every_page(t: Trial) {
    let script = t.person_as(ClientKind::Spa);
    script.sign_up(ADA, PASSWORD).await;
    for hostile in HOSTILE {
        // A second device that calls itself something, as its owner or a thief may.
        let device = t.person_as(ClientKind::Spa);
        let flow = device.init("login", "").await;
        let fields = json!({ "method": "password", "identifier": ADA, "password": PASSWORD });
        let agent: String = hostile.chars().filter(char::is_ascii).collect();
        let reply = device.submit_call(&flow, fields).header("user-agent", &agent).await;
        device.understand(&flow, reply).await.done();

        // The value is stored and shown.
        let flow = script.init("settings", "").await;
        let traits = json!({ "email": ADA, "nickname": hostile });
        let saved = script.submit(&flow, json!({ "method": "profile", "traits": traits })).await.saved();
        assert_eq!(saved.value("traits.nickname"), *hostile);
        let page = page(&script, &format!("/ui/settings?flow={}", flow.id())).await;
        assert!(page.contains("nickname"), "the field is on the page: {page}");
        assert_inert(&page, hostile);

        assert_inert(&self::page(&script, "/ui/sessions").await, hostile);
        assert_inert(&self::page(&device, "/ui/").await, hostile);
        assert_inert(&self::page(&script, &format!("/ui/sessions?ended=one&device={}", encoded(hostile))).await, hostile);

        // A refused value comes back into its field.
        let nobody = t.person_as(ClientKind::Spa);
        let flow = nobody.init("login", "").await;
        nobody.submit(&flow, json!({ "method": "password", "identifier": hostile, "password": "x" })).await.form();
        assert_inert(&self::page(&nobody, &format!("/ui/login?flow={}", flow.id())).await, hostile);
        let flow = nobody.init("registration", "").await;
        let fields = json!({ "method": "password", "password": "short", "traits": { "email": hostile, "nickname": hostile } });
        nobody.submit(&flow, fields).await.form();
        assert_inert(&self::page(&nobody, &format!("/ui/registration?flow={}", flow.id())).await, hostile);

        // Addresses of pages hold nothing that is shown as more than text.
        for path in ["/ui/error?id=", "/ui/nowhere/", "/ui/login?flow=", "/ui/signed-out?x="] {
            let reply = nobody.call("GET", &format!("{path}{}", encoded(hostile))).header("accept", "text/html").await;
            if reply.header("content-type").is_some_and(|kind| kind.starts_with("text/html")) {
                assert_guarded(&reply);
                assert_inert(&reply.text(), hostile);
            }
            assert!(!reply.header("location").unwrap_or_default().contains(['<', '"']), "{reply:?}");
        }
    }
}

/// A page as a browser gets it, with the headers that every page has.
async fn page(person: &Actor, path: &str) -> String {
    let call = person.call("GET", path).header("accept", "text/html").no_header("origin").header("sec-fetch-mode", "navigate");
    let reply = call.await.expect(200);
    assert_guarded(&reply);
    reply.text()
}

#[track_caller]
fn assert_guarded(reply: &Reply) {
    let header = |name: &str| reply.header(name).unwrap_or_else(|| panic!("no {name}: {reply:?}"));
    assert!(header("content-type").starts_with("text/html; charset=utf-8"), "{reply:?}");
    let policy = header("content-security-policy");
    // The text beside a redirect needs no script at all.
    let more: &[&str] = if reply.status < 300 || reply.status >= 400 {
        &["script-src 'self'", "base-uri 'none'", "object-src 'none'"]
    } else {
        &[]
    };
    for directive in ["default-src 'none'", "frame-ancestors 'none'"].iter().chain(more) {
        assert!(policy.split(';').any(|found| found.trim() == *directive), "{directive}: {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("x-frame-options"), "DENY");
    assert!(header("cache-control").contains("no-store"));
}

/// Every tag and attribute that a browser would see, read the way its tokenizer does as far as our own pages need it.
fn tags(page: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut tags = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        // Closing tags do nothing.
        if !rest.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '!') {
            continue;
        }
        let end = rest.find(|letter: char| letter.is_whitespace() || "/>".contains(letter)).unwrap_or(rest.len());
        let name = rest[..end].to_lowercase();
        rest = &rest[end..];
        let mut attributes = Vec::new();
        loop {
            rest = rest.trim_start_matches(|letter: char| letter.is_whitespace() || letter == '/');
            if rest.is_empty() || rest.starts_with('>') {
                break;
            }
            let end = rest.find(|letter: char| letter.is_whitespace() || "=>/".contains(letter)).unwrap_or(rest.len());
            let attribute = rest[..end].to_lowercase();
            rest = rest[end..].trim_start();
            let mut value = "";
            if let Some(after) = rest.strip_prefix('=') {
                let after = after.trim_start();
                (value, rest) = match after.chars().next() {
                    Some(quote @ ('"' | '\'')) => after[1..].split_once(quote).unwrap_or((&after[1..], "")),
                    _ => {
                        after.split_at(after.find(|letter: char| letter.is_whitespace() || letter == '>').unwrap_or(after.len()))
                    }
                };
            } else if end == 0 {
                rest = &rest[1..];
            }
            attributes.push((attribute, value.to_owned()));
        }
        tags.push((name, attributes));
    }
    tags
}

/// Nothing on the page runs, loads or leads elsewhere because of a text.
#[track_caller]
fn assert_inert(page: &str, hostile: &str) {
    if let Some(trouble) = trouble(page) {
        panic!("{hostile}: {trouble}: {page}");
    }
}

/// The first thing on a page that our own pages never have.
fn trouble(page: &str) -> Option<String> {
    let listed = |list: &[&str], text: &str| list.contains(&text);
    for (name, attributes) in tags(page) {
        if listed(&["base", "iframe", "object", "embed", "!--"], &name) {
            return Some(format!("<{name}>"));
        }
        for (attribute, value) in &attributes {
            let known = |letter: char| letter.is_ascii_alphanumeric() || "-:_".contains(letter);
            if attribute.starts_with("on") || attribute == "srcdoc" || !attribute.chars().all(known) {
                return Some(format!("<{name} {attribute}>"));
            }
            let value = value.to_lowercase();
            let safe = ["/", "#", "http://127.0.0.1", "data:image/"].iter().any(|start| value.starts_with(start));
            let leads = listed(&["src", "href", "action", "formaction", "data", "xlink:href"], attribute);
            if leads && (!safe || value.starts_with("//") || value.contains("evil.example")) {
                return Some(format!("<{name} {attribute}={value}>"));
            }
        }
        let source = attributes.iter().find(|(attribute, _)| attribute == "src").map(|(_, value)| value.as_str());
        if name == "script" && !source.is_some_and(|source| source.contains("/ui/assets/")) {
            return Some("an inline or foreign script".to_owned());
        }
    }
    // Seven times seven, where a template was run.
    page.contains(">49").then(|| "a template was run".to_owned())
}

#[test]
fn the_scanner_sees_what_a_browser_would_run() {
    for page in [
        "<p>x</p><script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<input value=\"\" autofocus onfocus=alert(1) x=\"\">",
        "<svg/onload=alert(1)>",
        "<a href='javascript:alert(1)'>",
        "<base href=//evil.example>",
        "<script src=\"//evil.example/ui/assets/x.js\"></script>",
    ] {
        assert!(trouble(page).is_some(), "{page}");
    }
    for page in [
        "<input value=\"&quot;&lt;script&gt; onfocus=x\">",
        "<p>&lt;img onerror=x&gt; javascript:x</p>",
        "<a href=\"/ui/\">a &lt; b</a>",
        "<script src=\"/ui/assets/x.js\" defer></script>",
    ] {
        assert_eq!(trouble(page), None, "{page}");
    }
}
