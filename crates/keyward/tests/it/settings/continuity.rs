//! Paused changes: each is continued at most once, by the browser and identity that paused it, on the flow it was meant for.

use keyward_model::Span;
use keyward_testkit::{Actor, ClientKind, Flow, PASSWORD, Trial, flow_test};
use serde_json::{Value, json};

const COOKIE: &str = "ory_kratos_continuity";

/// A change of everything that the schema has, so that a payload that lost something is noticed.
fn change() -> Value {
    let traits = json!({
        "email": "lovelace@example.org",
        "nickname": "Countess & <Ada>",
        "age": 36,
        "newsletter": true,
        "name": { "first": "Ada", "last": "King" },
    });
    json!({ "method": "profile", "traits": traits })
}

fn address(t: &Trial, flow: &Flow) -> String {
    format!("{}/self-service/settings?flow={}", t.public(), flow.id())
}

async fn email(person: &Actor) -> Value {
    person.whoami().await["identity"]["traits"]["email"].clone()
}

/// Somebody with a session that is too old, and a new flow.
async fn stale(t: &Trial) -> (Actor, Flow) {
    let ada = t.signed_up("ada@example.org").await;
    t.clock().advance(Span::hours(2));
    let flow = ada.init("settings", "").await;
    (ada, flow)
}

/// Pauses [`change`]; yields the login that comes first.
async fn pause(ada: &Actor, flow: &Flow) -> String {
    let submitted = ada.submit(flow, change()).await;
    assert!(submitted.reply.set_cookie(COOKIE).is_some(), "{:?}", submitted.reply);
    submitted.login_first("session_refresh_required")
}

/// Goes back to the flow; nothing waits there.
async fn nothing_waits(t: &Trial, ada: &Actor, flow: &Flow) {
    let form = ada.navigate(&address(t, flow)).await.form();
    assert_eq!((form.id(), form.all_messages()), (flow.id(), vec![(String::new(), 4_000_001)]));
    // A script is told the same with its own words: 400 and the flow.
    if ada.client == ClientKind::Spa {
        let reply = ada.call("POST", &address(t, flow)).await.expect(400);
        assert_eq!(ada.understand(flow, reply).await.form().messages(), [4_000_001]);
    }
}

// cases: S-125
#[flow_test(browser, spa)]
async fn without_a_pause_there_is_nothing_to_continue(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    let flow = ada.init("settings", "").await;
    nothing_waits(&t, &ada, &flow).await;
    ada.submit(&flow, change()).await.saved();
}

// cases: S-126, S-127
#[flow_test(browser, spa)]
async fn what_was_paused_is_continued_once_and_whole(t: Trial) {
    let (ada, flow) = stale(&t).await;
    let login = pause(&ada, &flow).await;
    ada.sign_in_again(&login, PASSWORD).await;
    let saved = ada.navigate(&address(&t, &flow)).await.saved();
    let stored = ada.whoami().await["identity"]["traits"].clone();
    assert_eq!(stored, change()["traits"]);
    assert_eq!(saved.value("traits.nickname"), "Countess & <Ada>");

    // The way back is pressed again, also by a browser that kept its cookie from before.
    let id = ada.id().await;
    let done = t.snapshot(id).await;
    nothing_waits(&t, &ada, &flow).await;
    assert_eq!(t.snapshot(id).await, done);
}

/// A script that stays on its page continues with a submit that brings nothing.
// cases: S-126
#[flow_test(spa)]
async fn an_empty_submit_continues(t: Trial) {
    let (ada, flow) = stale(&t).await;
    let login = pause(&ada, &flow).await;
    ada.sign_in_again(&login, PASSWORD).await;
    let reply = ada.call("POST", &address(&t, &flow)).await.expect(200);
    assert_eq!(ada.understand(&flow, reply).await.saved().value("traits.email"), "lovelace@example.org");
}

/// A submit that brings its own payload is that payload, whatever waits.
// cases: S-126
#[flow_test(browser, spa)]
async fn a_payload_of_its_own_comes_first(t: Trial) {
    let (ada, flow) = stale(&t).await;
    let login = pause(&ada, &flow).await;
    ada.sign_in_again(&login, PASSWORD).await;
    let fields = json!({ "method": "profile", "traits": { "email": "king@example.org" } });
    ada.submit(&flow, fields).await.saved();
    assert_eq!(email(&ada).await, "king@example.org");
}

/// Going back without having signed in asks for it again and keeps what waits.
// cases: S-38, S-126
#[flow_test(browser, spa)]
async fn going_back_without_signing_in_asks_again(t: Trial) {
    let (ada, flow) = stale(&t).await;
    let first = pause(&ada, &flow).await;
    let again = ada.navigate(&address(&t, &flow)).await;
    assert_eq!(again.login_first("session_refresh_required"), first);
    assert_eq!(email(&ada).await, "ada@example.org");
    ada.sign_in_again(&first, PASSWORD).await;
    ada.navigate(&address(&t, &flow)).await.saved();
    assert_eq!(email(&ada).await, "lovelace@example.org");
}

// cases: S-128
#[flow_test(browser, spa)]
async fn starting_over_gives_up_what_was_paused(t: Trial) {
    let (ada, flow) = stale(&t).await;
    let login = pause(&ada, &flow).await;
    let kept = ada.cookie(COOKIE).unwrap();
    let fresh = ada.init("settings", "").await;
    ada.sign_in_again(&login, PASSWORD).await;
    nothing_waits(&t, &ada, &flow).await;
    nothing_waits(&t, &ada, &fresh).await;
    // It is given up on the server as well, not only forgotten by the browser.
    ada.set_cookie(COOKIE, &kept);
    nothing_waits(&t, &ada, &flow).await;
    assert_eq!(email(&ada).await, "ada@example.org");
}

// cases: S-129
#[flow_test(browser, spa)]
async fn a_tampered_cookie_opens_nothing_and_is_replaced(t: Trial) {
    let (ada, flow) = stale(&t).await;
    let login = pause(&ada, &flow).await;
    let good = ada.cookie(COOKIE).unwrap();
    let mut tampered = good.clone().into_bytes();
    let middle = tampered.len() / 2;
    tampered[middle] = if tampered[middle] == b'A' { b'B' } else { b'A' };
    let tampered = String::from_utf8(tampered).unwrap();
    ada.sign_in_again(&login, PASSWORD).await;
    for value in [tampered.as_str(), "garbage", "", &good[..good.len() - 4]] {
        ada.set_cookie(COOKIE, value);
        nothing_waits(&t, &ada, &flow).await;
    }
    assert_eq!(email(&ada).await, "ada@example.org");

    t.clock().advance(Span::hours(1));
    let flow = ada.init("settings", "").await;
    ada.set_cookie(COOKIE, &tampered);
    let login = pause(&ada, &flow).await;
    assert_ne!(ada.cookie(COOKIE).unwrap(), tampered);
    ada.sign_in_again(&login, PASSWORD).await;
    ada.navigate(&address(&t, &flow)).await.saved();
    assert_eq!(email(&ada).await, "lovelace@example.org");
}

/// A second cookie of the name, planted or left over from another path, stands before or after the right one.
// cases: S-130
#[flow_test(browser, spa)]
async fn a_second_cookie_of_the_name_does_no_harm(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    for (order, new) in [("before", "first@example.org"), ("after", "second@example.org")] {
        t.clock().advance(Span::hours(2));
        let flow = ada.init("settings", "").await;
        let fields = json!({ "method": "profile", "traits": { "email": new } });
        let login = ada.submit(&flow, fields).await.login_first("session_refresh_required");
        ada.sign_in_again(&login, PASSWORD).await;
        let pairs: Vec<_> = ada.cookie_names().iter().map(|name| format!("{name}={}", ada.cookie(name).unwrap())).collect();
        let (right, other) = (pairs.join("; "), format!("{COOKIE}=garbage"));
        let cookies = if order == "before" { format!("{other}; {right}") } else { format!("{right}; {other}") };
        // After the login a script's browser navigates like any other.
        let call = ada.call("GET", &address(&t, &flow)).header("accept", "text/html").header("cookie", &cookies);
        let reply = call.await.expect(303);
        assert!(reply.location().ends_with(&flow.id()), "{reply:?}");
        assert_eq!(email(&ada).await, new, "{order}: {reply:?}");
    }
}

// cases: S-131
#[flow_test(browser, spa)]
async fn what_was_paused_waits_for_fifteen_minutes(t: Trial) {
    let (ada, flow) = stale(&t).await;
    let login = pause(&ada, &flow).await;
    t.clock().advance(Span::minutes(15));
    ada.sign_in_again(&login, PASSWORD).await;
    nothing_waits(&t, &ada, &flow).await;
    assert_eq!(email(&ada).await, "ada@example.org");

    // A little earlier it is still there.
    t.clock().advance(Span::hours(1));
    let flow = ada.init("settings", "").await;
    let login = pause(&ada, &flow).await;
    t.clock().advance(Span::seconds(899));
    ada.sign_in_again(&login, PASSWORD).await;
    ada.navigate(&address(&t, &flow)).await.saved();
    assert_eq!(email(&ada).await, "lovelace@example.org");
}

// cases: S-125
#[flow_test(browser, spa)]
async fn it_belongs_to_its_flow(t: Trial) {
    let ada = t.signed_up("ada@example.org").await;
    t.clock().advance(Span::hours(2));
    let (other, flow) = (ada.init("settings", "").await, ada.init("settings", "").await);
    let login = pause(&ada, &flow).await;
    ada.sign_in_again(&login, PASSWORD).await;
    nothing_waits(&t, &ada, &other).await;
    assert_eq!(email(&ada).await, "ada@example.org");
}

/// With the very cookie of the browser that paused it, somebody else gets nowhere: neither on their flow nor on that one.
// cases: S-125, S-30
#[flow_test(browser, spa)]
async fn it_belongs_to_its_identity(t: Trial) {
    let (ada, flow) = stale(&t).await;
    let login = pause(&ada, &flow).await;
    let ben = t.signed_up("ben@example.org").await;
    let own = ben.init("settings", "").await;
    ben.set_cookie(COOKIE, &ada.cookie(COOKIE).unwrap());
    nothing_waits(&t, &ben, &own).await;
    let error = ben.navigate(&address(&t, &flow)).await.problem(403);
    assert_eq!(error["id"], "security_identity_mismatch");
    assert_eq!((email(&ada).await, email(&ben).await), (json!("ada@example.org"), json!("ben@example.org")));

    // The right one is not disturbed by the attempt.
    ada.sign_in_again(&login, PASSWORD).await;
    ada.navigate(&address(&t, &flow)).await.saved();
}

/// Pausing again on the same flow replaces what was paused before.
// cases: S-126
#[flow_test(browser, spa)]
async fn the_last_pause_counts(t: Trial) {
    let (ada, flow) = stale(&t).await;
    let fields = json!({ "method": "profile", "traits": { "email": "first@example.org" } });
    ada.submit(&flow, fields).await.login_first("session_refresh_required");
    let login = pause(&ada, &flow).await;
    ada.sign_in_again(&login, PASSWORD).await;
    ada.navigate(&address(&t, &flow)).await.saved();
    assert_eq!(email(&ada).await, "lovelace@example.org");
    nothing_waits(&t, &ada, &flow).await;
}
