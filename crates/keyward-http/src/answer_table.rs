//! The whole answer table as text, compared with `answer.golden` beside this file.
//! After a wanted change run the test once with `KEYWARD_UPDATE_GOLDEN=1` and read the difference.
//! Values are fixed, so that every line says all that a client would see.

use std::fmt::Write as _;

use keyward_model::{Aal, CsrfFailure, Secret, SettingsState, Span, Ui};
use keyward_selfservice::outcome::Saved;
use keyward_selfservice::view::SettingsView;
use serde_json::value::RawValue;

use super::*;

const FLOW: &str = "00000000-0000-4000-8000-000000000001";
const REPLACEMENT: &str = "00000000-0000-4000-8000-000000000002";

fn flow_id(text: &str) -> FlowId {
    FlowId::parse(text).expect("a flow id")
}

fn now() -> Time {
    Time::from_unix(1_767_225_600)
}

/// Every refusal, in every form that matters for an answer. The match makes a new variant fail to compile here.
fn problems(flow_type: FlowType) -> Vec<Problem> {
    let text = |text: &str| text.to_owned();
    let all = vec![
        Problem::SessionInactive,
        Problem::Aal1Required,
        Problem::Aal2Required { return_to: None, enrol: false },
        Problem::Aal2Required { return_to: Some(text("https://id.example/back?a=b")), enrol: false },
        Problem::Aal2Required { return_to: Some(text("https://id.example/back")), enrol: true },
        Problem::RefreshRequired { return_to: text("https://id.example/back?a=b"), aal: Aal::Aal1 },
        Problem::RefreshRequired { return_to: text("https://id.example/back?a=b"), aal: Aal::Aal2 },
        Problem::AddressUnverified {
            flow: WaitingFlow {
                id: flow_id(REPLACEMENT),
                verifiable_address: Some(text("ada@example.org")),
                url: (flow_type == FlowType::Browser).then(|| text("https://ui.example/verification?flow=2")),
            },
            location: text("https://ui.example/verification?flow=2"),
        },
        Problem::SessionAlreadyAvailable { location: text("https://app.example/") },
        Problem::FlowIdMalformed,
        Problem::FlowNotFound,
        Problem::FlowExpired { replacement: flow_id(REPLACEMENT), flow_type, expired_at: now() },
        Problem::FlowReplaced { replacement: flow_id(REPLACEMENT), flow_type, reason: text("why") },
        Problem::FlowGone { flow_type, return_to: None },
        Problem::FlowGone { flow_type, return_to: Some(text("https://app.example/x?y")) },
        Problem::IdentityMismatch,
        Problem::Csrf(CsrfFailure::Mismatch),
        Problem::ReturnToForbidden { return_to: text("https://evil.example/"), allowed: Vec::new() },
        Problem::ReturnToForbidden { return_to: text("https://evil.example/"), allowed: vec![text("https://app.example/")] },
        Problem::FlowDisabled,
        Problem::SessionInUse,
        Problem::MethodDisabled,
        Problem::CredentialInQuery,
        Problem::BadRequest { reason: text("why") },
        Problem::Forbidden { reason: text("why") },
        Problem::NotFound { reason: None },
        Problem::NotFound { reason: Some(text("why")) },
        Problem::Conflict { reason: text("why") },
        Problem::TooLarge,
        Problem::TooManyAttempts { retry_after: 30 },
        Problem::Busy { retry_after: 7 },
        Problem::Upstream { reason: text("why") },
        Problem::Unavailable,
        Problem::Misconfigured { reason: text("why") },
        Problem::Internal,
    ];
    for problem in &all {
        match problem {
            Problem::SessionInactive
            | Problem::Aal1Required
            | Problem::Aal2Required { .. }
            | Problem::RefreshRequired { .. }
            | Problem::AddressUnverified { .. }
            | Problem::SessionAlreadyAvailable { .. }
            | Problem::FlowIdMalformed
            | Problem::FlowNotFound
            | Problem::FlowExpired { .. }
            | Problem::FlowReplaced { .. }
            | Problem::FlowGone { .. }
            | Problem::IdentityMismatch
            | Problem::Csrf(_)
            | Problem::ReturnToForbidden { .. }
            | Problem::FlowDisabled
            | Problem::SessionInUse
            | Problem::MethodDisabled
            | Problem::CredentialInQuery
            | Problem::BadRequest { .. }
            | Problem::Forbidden { .. }
            | Problem::NotFound { .. }
            | Problem::Conflict { .. }
            | Problem::TooLarge
            | Problem::TooManyAttempts { .. }
            | Problem::Busy { .. }
            | Problem::Upstream { .. }
            | Problem::Unavailable
            | Problem::Misconfigured { .. }
            | Problem::Internal => {}
        }
    }
    all
}

fn shape_of(flow_type: FlowType) -> Shape {
    Shape { id: flow_id(FLOW), flow_type, json: "{flow}".to_owned() }
}

fn session(token: Option<&str>) -> IssuedSession {
    IssuedSession {
        token: token.map(|token| Secret::new(token.to_owned())),
        expires_at: now() + Span::hours(1),
        json: "{session}".to_owned(),
        rotate_csrf: token.is_some(),
    }
}

fn outcomes(kind: Kind, flow_type: FlowType) -> Vec<(&'static str, Said)> {
    let location = || "https://app.example/".to_owned();
    let next = || match flow_type {
        FlowType::Browser => vec![ContinueWith::RedirectBrowserTo { redirect_browser_to: location() }],
        FlowType::Api => Vec::new(),
    };
    let mut all = vec![
        ("created", Said::Created(shape_of(flow_type))),
        ("shown", Said::Shown(shape_of(flow_type))),
        ("opened", Said::Opened(shape_of(flow_type))),
        ("refused", Said::Refused(shape_of(flow_type))),
        ("continued", Said::Continued(shape_of(flow_type))),
        ("stepped", Said::Stepped(shape_of(flow_type))),
        ("mailed", Said::Mailed(shape_of(flow_type))),
        ("sent back", Said::SentBack(shape_of(flow_type))),
        ("throttled", Said::Throttled { shape: shape_of(flow_type), retry_after: 30 }),
        ("sent on", Said::SentOn { shape: shape_of(flow_type), location: location() }),
        ("led on", Said::LedOn { shape: shape_of(flow_type), location: location() }),
        ("sent away", Said::SentAway { flow_type, location: location() }),
        ("handed over", Said::HandedOver { location: location() }),
    ];
    let signed_in = |token, second_factor: Option<&str>| {
        Said::SignedIn(SignedIn {
            flow_type,
            remembered: IdentityId::parse(FLOW),
            session: session(token),
            location: location(),
            second_factor: second_factor.map(str::to_owned),
            continue_with: next(),
        })
    };
    let registered = |session| {
        Said::Registered(Registered {
            flow_type,
            identity_id: IdentityId::parse(FLOW).expect("an id"),
            identity: "{identity}".to_owned(),
            session,
            location: location(),
            continue_with: next(),
        })
    };
    match kind {
        Kind::Settings => all.push((
            "saved",
            Said::Saved { shape: shape_of(flow_type), location: location(), session_expires_at: now() + Span::hours(1) },
        )),
        Kind::Login => {
            all.push(("signed in", signed_in(Some("ory_st_new"), None)));
            all.push(("raised", signed_in(None, None)));
            all.push(("too weak", signed_in(Some("ory_st_new"), Some("https://id.example/second"))));
        }
        Kind::Registration => {
            all.push(("registered", registered(None)));
            all.push(("registered with session", registered(Some(session(Some("ory_st_new"))))));
        }
        Kind::Recovery => {
            for (name, by_flow) in [("recovered, told by the flow", true), ("recovered, told by an address", false)] {
                let shape = shape_of(flow_type);
                let session = session(Some("ory_st_new"));
                all.push((name, Said::Recovered { shape, session, location: location(), by_flow }));
            }
        }
        Kind::Verification => {}
    }
    all
}

/// One answer as one line.
fn line(reply: &Reply) -> String {
    let mut text = reply.status.as_u16().to_string();
    match &reply.content {
        Content::Nothing => {}
        Content::Json(json) => write!(text, " {json}").expect("a string"),
        Content::Redirect(location) => write!(text, " -> {location}").expect("a string"),
        Content::Failure(failure) => {
            assert_eq!(failure.status, reply.status, "status and code always agree");
            text = describe(&text, failure);
        }
        Content::ErrorPage(failure) => text = describe(&format!("{text} error page, stored"), failure),
        Content::Text(_) | Content::Html(_) => panic!("flows are never answered with {reply:?}"),
    }
    match &reply.session {
        SessionCookie::Keep => {}
        SessionCookie::Clear => text.push_str(" [session cleared]"),
        SessionCookie::Issue { token: Some(_), .. } => text.push_str(" [new session cookie]"),
        SessionCookie::Issue { token: None, .. } => text.push_str(" [same session, new cookie]"),
    }
    if reply.rotate_csrf {
        text.push_str(" [new csrf cookie]");
    }
    text
}

fn describe(head: &str, failure: &Failure) -> String {
    let mut text = format!("{head} {} {}", failure.status.as_u16(), failure.id.unwrap_or("-"));
    if failure.reason.is_some() {
        text.push_str(" reason");
    }
    for (name, value) in failure.details.iter().filter(|(name, _)| !matches!(name.as_str(), "docs" | "hint" | "reject_reason")) {
        write!(text, " details.{name}={value}").expect("a string");
    }
    for (name, value) in &failure.beside {
        write!(text, " {name}={value}").expect("a string");
    }
    if let Some(seconds) = failure.retry_after {
        write!(text, " retry-after={seconds}").expect("a string");
    }
    text
}

fn table() -> String {
    let addresses = Addresses::sample();
    let mut text = String::new();
    let kinds = [Kind::Settings, Kind::Login, Kind::Registration, Kind::Recovery, Kind::Verification];
    let scenes = kinds.into_iter().map(|kind| (kind, true)).chain([(Kind::Recovery, false)]);
    for (kind, transitions) in scenes {
        for step in [Step::Init, Step::Fetch, Step::Submit] {
            for (door, flow_type) in [(Door::Html, FlowType::Browser), (Door::Spa, FlowType::Browser), (Door::Api, FlowType::Api)]
            {
                let scene = Scene {
                    kind,
                    step,
                    success: if step == Step::Fetch { Door::Spa } else { door },
                    refusal: door,
                    late: door,
                    transitions,
                    scripted: door == Door::Spa,
                    return_to: Some("https://app.example/"),
                    token: Some("ory_st_shown"),
                    now: now() + Span::seconds(1),
                };
                let mut put = |name: &str, reply: Reply| {
                    let how = if transitions { "" } else { ", no transitions" };
                    let row = format!("{}{how} {step:?} {door:?} | {name}", kind.path());
                    writeln!(text, "{row} | {}", line(&reply)).expect("a string");
                };
                for (name, said) in outcomes(kind, flow_type) {
                    put(name, answer(&addresses, scene, Ok(said)));
                }
                for problem in problems(flow_type) {
                    let name = format!("{problem:?}");
                    put(&name, answer(&addresses, scene, Err(problem)));
                }
            }
        }
    }
    text
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the switch that rewrites the golden file comes from the developer's shell")]
fn the_answer_table_is_the_pinned_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/answer.golden");
    let found = table();
    if std::env::var_os("KEYWARD_UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &found).expect("the golden file can be written");
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    let (mut old, mut new) = (expected.lines(), found.lines());
    loop {
        match (old.next(), new.next()) {
            (None, None) => break,
            (old, new) => assert_eq!(new, old, "the table changed; rerun with KEYWARD_UPDATE_GOLDEN=1 if that is wanted"),
        }
    }
}

/// What a browser is told of an app's flow, and the app itself never.
const IN_A_BROWSER: [&str; 2] = ["opened", "handed over"];

#[test]
fn api_flows_are_json_even_for_clients_that_ask_for_html() {
    let addresses = Addresses::sample();
    let scene = Scene {
        kind: Kind::Login,
        step: Step::Submit,
        success: Door::Html,
        refusal: Door::Html,
        late: Door::Api,
        transitions: true,
        scripted: false,
        return_to: None,
        token: None,
        now: now(),
    };
    for (name, said) in outcomes(Kind::Login, FlowType::Api).into_iter().filter(|(name, _)| !IN_A_BROWSER.contains(name)) {
        let content = answer(&addresses, scene, Ok(said)).content;
        // Who has to wait, or to ask on a page, is told so in an error, which is JSON as well.
        let told = ["throttled", "sent back", "sent away"].contains(&name);
        let json = if told { matches!(content, Content::Failure(_)) } else { matches!(content, Content::Json(_)) };
        assert!(json, "{name}");
    }
    let expired = Problem::FlowExpired { replacement: flow_id(REPLACEMENT), flow_type: FlowType::Api, expired_at: now() };
    for (problem, json) in [
        (expired, true),
        (Problem::MethodDisabled, true),
        (Problem::RefreshRequired { return_to: String::new(), aal: Aal::Aal1 }, true),
        // The flow was not loaded yet, so nobody knows that it is a native client's.
        (Problem::FlowNotFound, false),
    ] {
        let name = format!("{problem:?}");
        assert_eq!(matches!(answer(&addresses, scene, Err(problem)).content, Content::Failure(_)), json, "{name}");
    }
}

#[test]
fn outcomes_of_stories_keep_their_flow() {
    let view = || SettingsView {
        id: flow_id(FLOW),
        flow_type: FlowType::Api,
        expires_at: now(),
        issued_at: now(),
        request_url: String::new(),
        return_to: None,
        active: None,
        ui: Ui { action: String::new(), method: "POST", nodes: Vec::new(), messages: Vec::new() },
        identity: RawValue::from_string("{}".to_owned()).expect("JSON"),
        state: SettingsState::ShowForm,
        organization_id: None,
        continue_with: Vec::new(),
        transient_payload: None,
    };
    let saved = Saved { view: view(), location: "/done".to_owned(), session_expires_at: now() };
    let outcome: Outcome<SettingsView, Saved> = Outcome::Done(saved);
    match outcome.into_said() {
        Ok(Said::Saved { shape, location, .. }) => {
            assert_eq!((shape.id, shape.flow_type, location.as_str()), (flow_id(FLOW), FlowType::Api, "/done"));
            assert!(shape.json.starts_with("{\"id\":"));
        }
        other => panic!("{other:?}"),
    }
}
