//! Recorded answers of the API that we speak, held against ours: status, headers, cookies and the whole shape of the body.
//! `tests/fixtures/wire` has one file per situation; each is brought about here and compared after what varies is blanked.
//! Nodes of methods that are not built are taken out of a recording first; what differs on purpose stands in [`DIFFERENCES`].

use keyward_model::{Span, Time};
use keyward_testkit::{Actor, ClientKind, Flow, Reply, Trial, UI, Value, database_test, schema_url};
use serde_json::json;

const EMAIL: &str = "user-1@example.org";
const AGENT: &str = "recorder";
const PASSWORD: &str = "correct horse 7 battery";
/// Groups of nodes that exist so far.
const GROUPS: [&str; 3] = ["default", "password", "profile"];
/// Headers that clients read.
const HEADERS: [&str; 8] = [
    "content-type",
    "location",
    "cache-control",
    "vary",
    "ory-error-id",
    "link",
    "x-total-count",
    "x-kratos-authenticated-identity-id",
];

/// Where we differ on purpose: the recording, a place in its response, what stands there with us (null: nothing), and why.
const DIFFERENCES: [(&str, &str, &str, &str); 4] = [
    ("settings-401", "/body/error/id", "\"session_inactive\"", "fetch and submit name the id that init names"),
    ("settings-401", "/headers/ory-error-id", "\"session_inactive\"", "the header repeats the id"),
    ("sessions-delete-others", "/body/count", "1", "only sessions that were alive are counted"),
    ("sessions-list", "/body/0/identity", "\"whoami-200:/body/identity\"", "identities in lists are complete"),
];

fn recording(name: &str) -> Value {
    let path = format!("{}/tests/fixtures/wire/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str::<Value>(&text).unwrap_or_else(|error| panic!("{path}: {error}"))["response"].take()
}

/// What the recorded server was configured with, as far as it exists here.
fn as_recorded() -> Value {
    let schema = recording("schemas-list")["body"][0]["schema"].take();
    let flow = |name: &str| json!({ "ui_url": format!("{UI}/{name}"), "lifespan": "10m" });
    json!({
        "identity": { "default_schema_id": "default", "schemas": [{ "id": "default", "url": schema_url(&schema) }] },
        "session": { "lifespan": "1h", "whoami": { "required_aal": "aal1" } },
        "selfservice": {
            "default_browser_return_url": format!("{UI}/welcome"),
            "allowed_return_urls": [UI],
            "flows": {
                "login": flow("login"),
                "registration": flow("registration"),
                "settings": flow("settings"),
                "logout": { "after": { "default_browser_return_url": format!("{UI}/login") } },
            },
        },
    })
}

/// Sets or removes what a pointer names.
fn put(root: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    let parent = root.pointer_mut(parent).unwrap_or_else(|| panic!("nothing at {pointer}"));
    if parent.is_array() {
        let index: usize = key.parse().expect("an index");
        parent[index] = value;
    } else if value.is_null() {
        parent.as_object_mut().expect("an object").shift_remove(key);
    } else {
        parent[key] = value;
    }
}

/// The recording as we have to answer it.
fn expected(name: &str) -> Value {
    let mut response = recording(name);
    for (_, pointer, value, _) in DIFFERENCES.iter().filter(|(of, ..)| *of == name) {
        let value: Value = serde_json::from_str(value).expect("JSON in the table");
        let value = match value.as_str().and_then(|text| text.split_once(':')) {
            Some((other, place)) => recording(other).pointer(place).cloned().expect("a place in another recording"),
            None => value,
        };
        put(&mut response, pointer, value);
    }
    response
}

/// Blanks what varies, and takes out what belongs to parts that are not built.
fn blank(key: &str, value: &Value, bases: &[(&str, &str)]) -> Value {
    match value {
        Value::Array(items) => {
            let exists = |item: &&Value| match key {
                "nodes" => GROUPS.iter().any(|group| item["group"] == **group),
                "continue_with" => item["action"] != "show_verification_ui",
                _ => true,
            };
            let mut items: Vec<_> = items.iter().filter(exists).map(|item| blank("", item, bases)).collect();
            if key == "nodes" {
                // Where nodes stand follows from the groups between them, and is tested with those that exist.
                items.sort_by_key(|node| (node["group"].to_string(), node["attributes"]["name"].to_string()));
            }
            Value::Array(items)
        }
        Value::Object(members) => {
            let mut members = members.clone();
            if members.get("name") == Some(&json!("csrf_token")) && members["value"] != "" {
                members["value"] = json!("<csrf>");
            }
            if members.get("name") == Some(&json!("identifier")) {
                // Comes from security keys and passkeys.
                members.shift_remove("autocomplete");
            }
            Value::Object(members.iter().map(|(key, value)| (key.clone(), blank(key, value, bases))).collect())
        }
        Value::String(text) => Value::String(blank_text(key, text, bases)),
        Value::Number(_) if key == "since" => json!("<number>"),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn blank_text(key: &str, text: &str, bases: &[(&str, &str)]) -> String {
    match key {
        "text" | "reason" | "message" | "hint" | "reject_reason" | "docs" | "user_agent" | "ip_address" => {
            return "<text>".to_owned();
        }
        // Mail is not sent yet.
        "status" if text == "sent" || text == "pending" => return "<status>".to_owned(),
        _ => {}
    }
    if keyward_model::FlowId::parse(text).is_some() {
        return "<id>".to_owned();
    }
    if Time::parse(text).is_some() {
        return "<time>".to_owned();
    }
    let mut text = text.to_owned();
    for (base, name) in bases {
        text = text.replace(base, name);
    }
    for mark in ["ory_st_", "ory_lo_", "flow=", "token="] {
        if let Some(start) = text.find(mark) {
            let start = start + mark.len();
            let end = text[start..]
                .find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '*'))
                .map_or(text.len(), |end| start + end);
            text.replace_range(start..end, "*");
        }
    }
    text
}

/// Compares an answer with its recording; yields what differs.
fn compare(t: &Trial, name: &str, reply: &Reply) -> Vec<String> {
    let wanted = expected(name);
    let public = t.public();
    let bases = [("http://public.test", "PUBLIC"), ("http://ui.test", "UI"), (public.as_str(), "PUBLIC"), (UI, "UI")];
    let mut found = Vec::new();
    let mut differ = |what: &str, ours: Value, theirs: Value| {
        if ours != theirs {
            found.push(format!("{name}: {what}\n  ours   {ours}\n  theirs {theirs}"));
        }
    };
    differ("status", json!(reply.status), wanted["status"].clone());
    for header in HEADERS {
        let theirs = wanted["headers"].get(header).map_or(Value::Null, |value| blank(header, value, &bases));
        let ours = reply.header(header).map_or(Value::Null, |value| Value::String(blank_text(header, value, &bases)));
        // Every answer of ours says that it is not to be kept, and what an empty one would be.
        let more = theirs.is_null() && matches!(header, "cache-control" | "content-type");
        if !more {
            differ(header, ours, theirs);
        }
    }
    differ("cookies", our_cookies(reply), their_cookies(&wanted["headers"]["set-cookie"]));
    match wanted.get("body") {
        None => differ("body", json!(reply.text()), json!("")),
        Some(Value::String(page)) => {
            differ("body", json!(blank_text("", &reply.text(), &bases)), json!(blank_text("", page, &bases)));
        }
        Some(body) => {
            let mut places = Vec::new();
            walk("", &blank("", &reply.json(), &bases), &blank("", body, &bases), &mut places);
            for (place, ours, theirs) in places {
                differ(&place, ours, theirs);
            }
        }
    }
    found
}

/// The places at which two bodies differ. A missing member is `<nothing>`.
fn walk(place: &str, ours: &Value, theirs: &Value, found: &mut Vec<(String, Value, Value)>) {
    let nothing = json!("<nothing>");
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))) {
                walk(&format!("{place}/{key}"), a.get(key).unwrap_or(&nothing), b.get(key).unwrap_or(&nothing), found);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (ours, theirs)) in a.iter().zip(b).enumerate() {
                walk(&format!("{place}/{index}"), ours, theirs, found);
            }
        }
        _ if ours == theirs => {}
        _ => found.push((place.to_owned(), ours.clone(), theirs.clone())),
    }
}

/// Name, attributes and age; not `Secure`, which servers of tests leave out because they run in development mode.
fn our_cookies(reply: &Reply) -> Value {
    // One cookie is ours alone: it keeps strangers' guesses apart from the owner's (docs/adr, CONFORMANCE).
    let cookies = reply.set_cookies().into_iter().filter(|cookie| cookie.name != "keyward_device").map(|cookie| {
        let name = if cookie.name.starts_with("csrf_token_") && cookie.name.len() == 75 { "csrf" } else { &cookie.name };
        json!([name, cookie.max_age, cookie.path, cookie.same_site, cookie.http_only, cookie.expires.is_some()])
    });
    sorted(cookies.collect())
}

fn their_cookies(headers: &Value) -> Value {
    let cookies = headers.as_array().into_iter().flatten().map(|header| {
        let header = header.as_str().expect("a cookie");
        let name = header.split('=').next().unwrap_or_default();
        let name = if name.starts_with("csrf_token_") { "csrf" } else { name };
        let attribute = |wanted: &str| {
            let mut parts = header.split("; ").filter_map(|part| part.split_once('='));
            parts.find(|(name, _)| *name == wanted).map(|(_, value)| value.to_owned())
        };
        let age = attribute("Max-Age").and_then(|age| age.parse::<i64>().ok());
        let (path, same_site) = (attribute("Path"), attribute("SameSite"));
        json!([name, age, path, same_site, header.contains("HttpOnly"), attribute("Expires").is_some()])
    });
    sorted(cookies.collect())
}

fn sorted(mut cookies: Vec<Value>) -> Value {
    cookies.sort_by_key(Value::to_string);
    Value::Array(cookies)
}

fn traits() -> Value {
    json!({ "email": EMAIL, "name": { "first": "Rec", "last": "Order" } })
}

fn registration(password: &str) -> Value {
    json!({ "method": "password", "password": password, "traits": traits() })
}

fn login(password: &str) -> Value {
    json!({ "method": "password", "identifier": EMAIL, "password": password })
}

async fn registered(t: &Trial) -> Actor {
    let person = t.person_as(ClientKind::Api);
    let flow = person.init("registration", "").await;
    let reply = person.submit_call(&flow, registration(PASSWORD)).header("user-agent", AGENT).await;
    person.understand(&flow, reply).await.done();
    person
}

async fn signed_in(t: &Trial, client: ClientKind) -> Actor {
    let person = t.person_as(client);
    let flow = person.init("login", "").await;
    let reply = person.submit_call(&flow, login(PASSWORD)).header("user-agent", AGENT).await;
    person.understand(&flow, reply).await.done();
    person
}

fn report(differences: Vec<String>) {
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[database_test(config = as_recorded())]
async fn login_answers(t: Trial) {
    use ClientKind::{Api, Browser, Spa};
    let fresh = |client| t.person_as(client);
    let mut found = Vec::new();
    let mut check = |name: &str, reply: Reply| found.extend(compare(&t, name, &reply));
    let credentials = json!({ "password": { "config": { "password": PASSWORD } } });
    let person = json!({ "schema_id": "default", "state": "inactive", "traits": traits(), "credentials": credentials });
    t.admin().create(&person).await;
    let api = fresh(Api);
    check("login-400-inactive", api.submit_call(&api.init("login", "").await, login(PASSWORD)).await);
    t.store().commit(forget(&t).await).await.unwrap();
    registered(&t).await;
    check("login-init-api", fresh(Api).start("login", "").await);
    check("login-init-spa", fresh(Spa).start("login", "").await);
    check("login-init-browser", fresh(Browser).start("login", "").await);
    check("login-init-401-aal2", fresh(Api).start("login", "aal=aal2").await);
    check("login-init-400-return-to", fresh(Spa).start("login", "return_to=https%3A%2F%2Fevil.example%2F").await);
    let (api, spa, browser) = (fresh(Api), fresh(Spa), fresh(Browser));
    let (of_api, of_spa) = (api.init("login", "").await, spa.init("login", "").await);
    let of_browser = browser.init("login", "").await;
    check("login-400-credentials", api.submit_call(&of_api, login("wrong horse 7 battery")).await);
    check(
        "login-400-api-cookie",
        api.submit_call(&api.init("login", "").await, login(PASSWORD)).header("cookie", "some=thing").await,
    );
    let empty = json!({ "method": "password", "identifier": "", "password": "" });
    check("login-400-empty", api.submit_call(&api.init("login", "").await, empty).await);
    let unknown = json!({ "method": "nope" });
    check("login-400-no-strategy", api.submit_call(&api.init("login", "").await, unknown).await);
    let mut forged = login(PASSWORD);
    forged["csrf_token"] = json!("wrong");
    check("login-403-csrf", spa.submit_call(&of_spa, forged).await);
    check("login-200-api", api.submit_call(&of_api, login(PASSWORD)).header("user-agent", AGENT).await);
    check("login-200-spa", spa.submit_call(&of_spa, login(PASSWORD)).header("user-agent", AGENT).await);
    check("login-303-browser", browser.submit_call(&of_browser, login(PASSWORD)).await);
    check("login-init-400-session", spa.start("login", "").await);
    check("login-init-refresh-spa", spa.start("login", "refresh=true").await);
    let (api, browser) = (fresh(Api), fresh(Browser));
    let (of_api, of_browser) = (api.init("login", "").await, browser.init("login", "").await);
    t.clock().advance(Span::seconds(601));
    check("login-expired-api", api.submit_call(&of_api, login(PASSWORD)).await);
    check("login-get-410-browser", browser.fetch("login", &of_browser.id()).await);
    report(found);
}

#[database_test(config = as_recorded())]
async fn registration_answers(t: Trial) {
    use ClientKind::{Api, Browser, Spa};
    let (api, spa, browser) = (t.person_as(Api), t.person_as(Spa), t.person_as(Browser));
    let mut found = Vec::new();
    let mut check = |name: &str, reply: Reply| found.extend(compare(&t, name, &reply));
    let started = api.start("registration", "").await;
    check("registration-init-api", started.clone());
    let flow = Flow { kind: "registration".to_owned(), json: started.json() };
    let poor = json!({ "method": "password", "password": "abc", "traits": { "name": { "first": "x" } } });
    check("registration-400-api", api.submit_call(&flow, poor).await);
    let of_browser = browser.init("registration", "").await;
    check("registration-302-browser", browser.submit_call(&of_browser, registration("abc")).await);
    let flow = api.init("registration", "").await;
    check("registration-200-api", api.submit_call(&flow, registration(PASSWORD)).header("user-agent", AGENT).await);
    let flow = api.init("registration", "").await;
    check("registration-400-duplicate", api.submit_call(&flow, registration(PASSWORD)).await);
    // The recordings name everybody alike.
    t.store().commit(forget(&t).await).await.unwrap();
    let flow = spa.init("registration", "").await;
    check("registration-200-spa", spa.submit_call(&flow, registration(PASSWORD)).header("user-agent", AGENT).await);
    report(found);
}

async fn forget(t: &Trial) -> keyward_store::Batch {
    let mut batch = keyward_store::Batch::new();
    for snapshot in t.store().list_identities(keyward_store::PageStart::Offset(0), 9).await.unwrap() {
        batch.delete_identity(snapshot.identity.id);
    }
    batch
}

#[database_test(config = as_recorded())]
async fn settings_answers(t: Trial) {
    let ada = registered(&t).await;
    let spa = signed_in(&t, ClientKind::Spa).await;
    let mut found = Vec::new();
    let mut check = |name: &str, reply: Reply| found.extend(compare(&t, name, &reply));
    check("settings-init-api", ada.start("settings", "").await);
    check("settings-init-spa", spa.start("settings", "").await);
    let flow = ada.init("settings", "").await;
    let profile = json!({ "method": "profile", "traits": traits() });
    check("settings-401", ada.submit_call(&flow, profile.clone()).no_header("x-session-token").await);
    let wrong = json!({ "method": "profile", "traits": { "email": "not an address", "website": 7 } });
    check("settings-400-profile", ada.submit_call(&flow, wrong).await);
    let flow = ada.init("settings", "").await;
    check("settings-400-password-short", ada.submit_call(&flow, json!({ "method": "password", "password": "abc" })).await);
    let flow = ada.init("settings", "").await;
    check(
        "settings-200-password",
        ada.submit_call(&flow, json!({ "method": "password", "password": "another 5 purple giraffe" })).await,
    );
    let flow = ada.init("settings", "").await;
    let mut with_site = profile.clone();
    with_site["traits"]["website"] = json!("https://example.org/me");
    check("settings-200-profile-api", ada.submit_call(&flow, with_site).await);
    let address = "/self-service/settings?flow=4ed32dc4-4ee7-4ff5-9bc9-8a2a8b4e6a2f";
    check("settings-404-flow", ada.call("POST", address).json(&profile).await);
    let flow = spa.init("settings", "").await;
    let mut forged = profile;
    forged["csrf_token"] = json!("wrong");
    check("settings-403-csrf", spa.submit_call(&flow, forged).await);
    report(found);
}

#[database_test(config = as_recorded())]
async fn session_answers(t: Trial) {
    use ClientKind::{Api, Browser, Spa};
    let ada = registered(&t).await;
    let nobody = t.person_as(Api);
    let mut found = Vec::new();
    let mut check = |name: &str, reply: Reply| found.extend(compare(&t, name, &reply));
    check("whoami-200", ada.try_whoami().await);
    check("whoami-401", nobody.try_whoami().await);
    let (spa, browser) = (signed_in(&t, Spa).await, signed_in(&t, Browser).await);
    let init = || spa.call("GET", "/self-service/logout/browser");
    check("logout-init-200", init().await);
    check("logout-init-401", t.person_as(Spa).call("GET", "/self-service/logout/browser").await);
    let url = init().await.json()["logout_url"].as_str().unwrap().to_owned();
    check("logout-204", spa.call("GET", &url).await);
    let prepared = browser.call("GET", "/self-service/logout/browser").await.json();
    check("logout-303", browser.call("GET", prepared["logout_url"].as_str().unwrap()).await);
    let unknown = json!({ "session_token": format!("ory_st_{}", "x".repeat(32)) });
    check("logout-api-403", nobody.call("DELETE", "/self-service/logout/api").json(&unknown).await);
    // Two have signed out by now, one is left beside this one.
    signed_in(&t, Api).await;
    check("sessions-list", ada.call("GET", "/sessions").await);
    let own = ada.whoami().await["id"].as_str().unwrap().to_owned();
    check("sessions-delete-400-current", ada.call("DELETE", &format!("/sessions/{own}")).await);
    check("sessions-delete-others", ada.call("DELETE", "/sessions").await);
    check("schemas-list", t.person_as(Api).call("GET", "/schemas").await);
    check("errors-stub", t.person_as(Api).call("GET", "/self-service/errors?id=stub:500").await);
    check("errors-404", t.person_as(Api).call("GET", "/self-service/errors?id=4ed32dc4-4ee7-4ff5-9bc9-8a2a8b4e6a2f").await);
    report(found);
}
