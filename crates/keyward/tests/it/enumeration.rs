//! Whether an account exists is not told: the answers to a wrong password or a mailed code are the same to the byte, whoever was named.
//! Ids, tokens and what was typed are masked; everything else counts, headers and cookies included.
//! How long the answers take is measured by `keyward-bench enumeration`, not here, where other work would decide.

use keyward_model::IdentityId;
use keyward_testkit::{Actor, Flow, PASSWORD, Reply, Trial, flow_test, merge};
use serde_json::json;

use crate::second_factor::{EMAIL, enabled, enrol};

/// An answer without what differs from request to request.
fn masked(flow: &Flow, identifier: &str, reply: &Reply) -> String {
    let mut text = format!("{}\n", reply.status);
    for (name, value) in &reply.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        // Of a cookie the name and the attributes stay.
        let value = match (name.as_str(), value.split_once('=')) {
            ("set-cookie", Some((cookie, rest))) => {
                format!("{cookie}=<value>{}", rest.find(';').map_or("", |end| &rest[end..]))
            }
            ("x-request-id" | "date", _) => "<masked>".to_owned(),
            _ => value,
        };
        text += &format!("{name}: {value}\n");
    }
    text += &reply.text();
    if let Some(token) = flow.csrf_token().filter(|token| !token.is_empty()) {
        text = text.replace(&token, "<token>");
    }
    let text = text.replace(&flow.id(), "<flow>").replace(identifier, "<typed>");
    mask_tokens(&text)
}

/// Masked form tokens are new in every answer.
fn mask_tokens(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("\"csrf_token\",\"type\":\"hidden\",\"value\":\"") {
        let value = start + "\"csrf_token\",\"type\":\"hidden\",\"value\":\"".len();
        out += &rest[..value];
        out += "<token>";
        rest = &rest[value + rest[value..].find('"').unwrap_or(0)..];
    }
    out + rest
}

/// Everything that a guesser sees of a wrong password: the answer, and the form that a browser then fetches.
async fn seen(guesser: &Actor, identifier: &str, password: &str) -> Vec<String> {
    let flow = guesser.init("login", "").await;
    let fields = json!({ "method": "password", "identifier": identifier, "password": password });
    let reply = guesser.submit_call(&flow, fields).await;
    let shown = guesser.fetch("login", &flow.id()).await;
    vec![masked(&flow, identifier, &reply), masked(&flow, identifier, &shown)]
}

#[flow_test(config = enabled())]
async fn who_has_an_account_is_not_told(t: Trial) {
    // Somebody with two factors, somebody with one, somebody who was switched off, somebody who never had a password.
    enrol(&t, &t.signed_up(EMAIL).await).await;
    // All names are of one length, so that the length of an answer counts too.
    t.signed_up("bea@example.org").await;
    let gone = t.admin().create_person("cal@example.org").await;
    let id = gone["id"].as_str().and_then(IdentityId::parse).unwrap();
    let patch = json!([{ "op": "replace", "path": "/state", "value": "inactive" }]);
    t.admin().call("PATCH", &format!("/admin/identities/{id}")).json(&patch).await.expect(200);
    let providers = json!([{ "provider": "acme", "subject": "1" }]);
    let social = json!({ "oidc": { "config": { "providers": providers } } });
    t.admin().create(&json!({ "schema_id": "person", "traits": { "email": "dan@example.org" }, "credentials": social })).await;

    // Past the five free attempts as well: the wait is the same for all.
    for attempt in 0..7 {
        let expected = seen(&t.person(), "eve@example.org", "wrong horse 7 battery").await;
        for known in [EMAIL, "bea@example.org", "cal@example.org", "dan@example.org"] {
            let told = seen(&t.person(), known, "wrong horse 7 battery").await;
            assert_eq!(told, expected, "attempt {attempt} as {known}");
        }
    }
    t.clock().advance(keyward_model::Span::hours(1));
    t.person().sign_in("bea@example.org", PASSWORD).await.done();
}

fn mailed() -> serde_json::Value {
    let mut config = enabled();
    merge(&mut config, &crate::recovery::enabled());
    merge(&mut config, &crate::verification::enabled());
    merge(&mut config, &json!({ "security": { "account_enumeration": { "mitigate": true } } }));
    config
}

/// Everything that a guesser sees who asks for a code to somebody's address and then tries one.
async fn seen_by_mail(guesser: &Actor, kind: &str, address: &str, tries: usize) -> Vec<String> {
    let flow = guesser.init(kind, "").await;
    let mut all = Vec::new();
    let mut submits = vec![json!({ "method": "code", "email": address })];
    submits.extend((0..tries).map(|_| json!({ "method": "code", "code": "000000" })));
    for fields in submits {
        let reply = guesser.submit_call(&flow, fields).await;
        let shown = guesser.fetch(kind, &flow.id()).await;
        all.extend([masked(&flow, address, &reply), masked(&flow, address, &shown)]);
    }
    all
}

// cases: AC-83
#[flow_test(config = mailed())]
async fn nor_does_recovery_tell(t: Trial) {
    mailed_flows_do_not_tell(&t, "recovery").await;
}

// cases: AC-83
#[flow_test(config = mailed())]
async fn nor_does_verification_tell(t: Trial) {
    mailed_flows_do_not_tell(&t, "verification").await;
}

async fn mailed_flows_do_not_tell(t: &Trial, kind: &str) {
    enrol(t, &t.signed_up(EMAIL).await).await;
    t.signed_up("bea@example.org").await;
    let gone = t.admin().create_person("cal@example.org").await;
    let id = gone["id"].as_str().and_then(IdentityId::parse).unwrap();
    let patch = json!([{ "op": "replace", "path": "/state", "value": "inactive" }]);
    t.admin().call("PATCH", &format!("/admin/identities/{id}")).json(&patch).await.expect(200);
    // Past the free messages, too: who has to wait is told so whoever was named.
    for round in 0..7 {
        let expected = seen_by_mail(&t.person(), kind, "eve@example.org", 2).await;
        for known in [EMAIL, "bea@example.org", "cal@example.org"] {
            let told = seen_by_mail(&t.person(), kind, known, 2).await;
            assert_eq!(told, expected, "{kind} of {known}, round {round}");
        }
        // The first two answers are to the question for a message.
        let waits = expected[..2].iter().any(|answer| answer.contains("7900001") || answer.contains("too_many_attempts"));
        assert_eq!(waits, round >= 5, "{kind}, round {round}");
    }
}
