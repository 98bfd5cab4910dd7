//! The one table that turns what stories say into answers: flow kind × door × step × outcome or refusal → [`Reply`].
//! Every flow endpoint ends here, and so does every [`Problem`]; what is refused before a route, readiness, the 401 of whoami
//! and the built-in pages name their own status.
//! The only place that names a status for a self-service flow; `answer.golden` pins the whole table.

use http::StatusCode;
use keyward_model::{Aal, ContinueWith, CredentialType, FlowId, FlowType, IdentityId, Problem, Time, WaitingFlow};
use keyward_selfservice::outcome::{Entry, IssuedSession, Outcome, Registered, SignedIn};
use keyward_services::admin::Refused;

use crate::envelope::{Failure, csrf_details};
use crate::reply::{Content, Reply, SessionCookie};
use crate::site::Addresses;

mod said;

pub(crate) use said::{IntoSaid, Success, View};

/// Which flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Settings,
    Login,
    Registration,
    Recovery,
    Verification,
}

impl Kind {
    /// The word in paths.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Login => "login",
            Self::Registration => "registration",
            Self::Recovery => "recovery",
            Self::Verification => "verification",
        }
    }
}

/// How the client came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// A browser that navigates.
    Html,
    /// A script in a browser.
    Spa,
    /// A native client.
    Api,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Init,
    Fetch,
    Submit,
}

/// Everything about the request that an answer depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) kind: Kind,
    pub(crate) step: Step,
    /// For what went well.
    pub(crate) success: Door,
    /// For forms that are shown again and for refusals.
    pub(crate) refusal: Door,
    /// For refusals that only a loaded flow can have: on API flows they are JSON whatever the client accepts.
    pub(crate) late: Door,
    /// Scripts and apps are told of the next flow inside an error (`feature_flags.use_continue_with_transitions`).
    pub(crate) transitions: bool,
    /// A script sent the request (`Sec-Fetch-Mode`).
    pub(crate) scripted: bool,
    /// `return_to` of an init request, as it came.
    pub(crate) return_to: Option<&'a str>,
    /// The session token that the client showed.
    pub(crate) token: Option<&'a str>,
    pub(crate) now: Time,
}

/// What a story said, whichever flow it was about.
#[derive(Debug)]
pub(crate) enum Said {
    Created(Shape),
    Shown(Shape),
    Opened(Shape),
    Refused(Shape),
    Continued(Shape),
    Stepped(Shape),
    Mailed(Shape),
    SentBack(Shape),
    Throttled { shape: Shape, retry_after: u32 },
    SentOn { shape: Shape, location: String },
    LedOn { shape: Shape, location: String },
    SentAway { flow_type: FlowType, location: String },
    HandedOver { location: String },
    Saved { shape: Shape, location: String, session_expires_at: Time },
    SignedIn(SignedIn),
    Registered(Registered),
    Recovered { shape: Shape, session: IssuedSession, location: String, by_flow: bool },
}

/// A flow, reduced to what answers need of it.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) id: FlowId,
    pub(crate) flow_type: FlowType,
    pub(crate) json: String,
}

/// The answer to a request about a flow.
pub(crate) fn answer(addresses: &Addresses, scene: Scene<'_>, said: Result<Said, Problem>) -> Reply {
    match said {
        Ok(said) => tell(addresses, scene, said),
        Err(problem) => refuse(addresses, scene, &problem),
    }
}

/// How a refusal is told to an operator, of a request or of one part of it.
pub(crate) fn told(addresses: &Addresses, now: Time, refused: &Refused) -> Failure {
    match refused {
        Refused::Problem(problem) => failure(addresses, Kind::Settings, Step::Submit, false, now, problem),
        Refused::UnknownKey(message) => Failure { message: Some(message.clone()), ..Failure::bare(StatusCode::BAD_REQUEST) },
        Refused::Taken(taken) => {
            let failure = Failure::new(StatusCode::CONFLICT, taken.reason).detail("conflict", taken.what);
            let types: Vec<_> = taken.credential_types.iter().copied().map(CredentialType::as_str).collect();
            if types.is_empty() { failure } else { failure.detail("credential_types", types) }
        }
    }
}

/// The answer to a request that is not about a flow: JSON, or the error page for browsers that navigate.
pub(crate) fn refusal(addresses: &Addresses, door: Door, scripted: bool, now: Time, problem: &Problem) -> Reply {
    // A submit of a settings flow has the most general form of every refusal.
    hand_over(door, failure(addresses, Kind::Settings, Step::Submit, scripted, now, problem))
}

fn tell(addresses: &Addresses, scene: Scene<'_>, said: Said) -> Reply {
    match said {
        Said::Created(shape) => match door(scene.success, shape.flow_type) {
            Door::Html => Reply::redirect(StatusCode::SEE_OTHER, addresses.ui(scene.kind, shape.id)),
            Door::Spa | Door::Api => Reply::json(StatusCode::OK, shape.json),
        },
        Said::Shown(shape) => match (scene.step, door(scene.success, shape.flow_type)) {
            (Step::Init | Step::Submit, Door::Html) => Reply::redirect(StatusCode::SEE_OTHER, addresses.ui(scene.kind, shape.id)),
            (Step::Fetch, _) | (_, Door::Spa | Door::Api) => Reply::json(StatusCode::OK, shape.json),
        },
        Said::Opened(shape) => Reply::redirect(StatusCode::SEE_OTHER, addresses.ui(scene.kind, shape.id)),
        Said::Refused(shape) => match (scene.kind, door(scene.refusal, shape.flow_type)) {
            (Kind::Registration, Door::Html) => Reply::redirect(StatusCode::FOUND, addresses.ui(scene.kind, shape.id)),
            (Kind::Settings | Kind::Login | Kind::Recovery | Kind::Verification, Door::Html) => {
                Reply::redirect(StatusCode::SEE_OTHER, addresses.ui(scene.kind, shape.id))
            }
            (_, Door::Spa | Door::Api) => Reply::json(StatusCode::BAD_REQUEST, shape.json),
        },
        Said::Continued(shape) => match door(scene.success, shape.flow_type) {
            Door::Html => Reply::redirect(StatusCode::SEE_OTHER, addresses.ui(scene.kind, shape.id)),
            Door::Spa | Door::Api => Reply::json(StatusCode::OK, shape.json),
        },
        Said::Stepped(shape) => match door(scene.refusal, shape.flow_type) {
            Door::Html => Reply::redirect(StatusCode::SEE_OTHER, addresses.ui(scene.kind, shape.id)),
            Door::Spa => Reply::failure(location_change(&addresses.ui(scene.kind, shape.id))),
            Door::Api => Reply::json(StatusCode::BAD_REQUEST, shape.json),
        },
        Said::Mailed(shape) => match door(scene.refusal, shape.flow_type) {
            Door::Html => Reply::redirect(StatusCode::SEE_OTHER, addresses.ui(scene.kind, shape.id)),
            Door::Spa | Door::Api => Reply::json(StatusCode::BAD_REQUEST, shape.json),
        },
        Said::SentBack(shape) => match door(scene.refusal, shape.flow_type) {
            Door::Html => Reply::redirect(StatusCode::SEE_OTHER, addresses.ui(scene.kind, shape.id)),
            Door::Spa | Door::Api => Reply::failure(location_change(&addresses.ui(scene.kind, shape.id))),
        },
        Said::Throttled { shape, retry_after } => match door(scene.refusal, shape.flow_type) {
            Door::Html => Reply::redirect(StatusCode::SEE_OTHER, addresses.ui(scene.kind, shape.id)),
            Door::Spa | Door::Api => {
                let problem = Problem::TooManyAttempts { retry_after };
                Reply::failure(failure(addresses, scene.kind, scene.step, scene.scripted, scene.now, &problem))
            }
        },
        Said::SentOn { shape, location } => match door(scene.refusal, shape.flow_type) {
            Door::Html => Reply::redirect(StatusCode::SEE_OTHER, location),
            Door::Spa | Door::Api => Reply::json(StatusCode::BAD_REQUEST, shape.json),
        },
        Said::LedOn { shape, location } => match door(scene.success, shape.flow_type) {
            Door::Html => Reply::redirect(StatusCode::SEE_OTHER, location),
            Door::Spa | Door::Api => Reply::json(StatusCode::OK, shape.json),
        },
        Said::SentAway { flow_type, location } => match door(scene.refusal, flow_type) {
            Door::Html => Reply::redirect(StatusCode::SEE_OTHER, location),
            Door::Spa | Door::Api => Reply::failure(location_change(&location)),
        },
        Said::HandedOver { location } => Reply::redirect(StatusCode::SEE_OTHER, location),
        Said::Saved { shape, location, session_expires_at } => {
            let reply = match door(scene.success, shape.flow_type) {
                Door::Api => return Reply::json(StatusCode::OK, shape.json),
                Door::Html => Reply::redirect(StatusCode::SEE_OTHER, location),
                Door::Spa => Reply::json(StatusCode::OK, shape.json),
            };
            Reply { session: SessionCookie::Issue { token: None, expires_at: session_expires_at }, ..reply }
        }
        Said::SignedIn(signed_in) => tell_signed_in(scene, signed_in),
        Said::Registered(registered) => tell_registered(scene, registered),
        Said::Recovered { shape, session, location, by_flow } => {
            let reply = match (door(scene.success, shape.flow_type), by_flow) {
                (Door::Api, true) => return Reply::json(StatusCode::OK, shape.json),
                (Door::Api, false) => return Reply::failure(location_change(&location)),
                (Door::Html, _) => Reply::redirect(StatusCode::SEE_OTHER, location),
                (Door::Spa, true) => Reply::json(StatusCode::OK, shape.json),
                (Door::Spa, false) => Reply::failure(location_change(&location)),
            };
            // Nobody has signed in here with all that their account asks for, so the browser gets no lane of its own.
            with_session(reply, None, session)
        }
    }
}

fn tell_signed_in(scene: Scene<'_>, said: SignedIn) -> Reply {
    let SignedIn { flow_type, remembered, session, location, second_factor, continue_with } = said;
    let reply = match (door(scene.success, flow_type), second_factor) {
        (Door::Api, _) => {
            let token = session.token.as_ref().map(|token| token.reveal().as_str()).or(scene.token);
            return Reply::json(StatusCode::OK, entry_json(token, Some(&session.json), None, &continue_with));
        }
        (Door::Html, second_factor) => Reply::redirect(StatusCode::SEE_OTHER, second_factor.unwrap_or(location)),
        (Door::Spa, Some(location)) => Reply::failure(location_change(&location)),
        (Door::Spa, None) => Reply::json(StatusCode::OK, entry_json(None, Some(&session.json), None, &continue_with)),
    };
    with_session(reply, remembered, session)
}

fn tell_registered(scene: Scene<'_>, said: Registered) -> Reply {
    let Registered { flow_type, identity_id, identity, session, location, continue_with } = said;
    let json = |token| {
        let session = session.as_ref().map(|session| session.json.as_str());
        entry_json(token, session, Some(&identity), &continue_with)
    };
    let reply = match door(scene.success, flow_type) {
        Door::Api => {
            let token = session.as_ref().and_then(|session| session.token.as_ref()).map(|token| token.reveal().as_str());
            return Reply::json(StatusCode::OK, json(token));
        }
        Door::Html => Reply::redirect(StatusCode::SEE_OTHER, location),
        Door::Spa => Reply::json(StatusCode::OK, json(None)),
    };
    match session {
        Some(session) => with_session(reply, Some(identity_id), session),
        None => reply,
    }
}

fn with_session(reply: Reply, remember: Option<IdentityId>, session: IssuedSession) -> Reply {
    let cookie = SessionCookie::Issue { token: session.token, expires_at: session.expires_at };
    Reply { session: cookie, remember, rotate_csrf: session.rotate_csrf, ..reply }
}

/// The success body of login and registration; the parts are JSON already.
fn entry_json(token: Option<&str>, session: Option<&str>, identity: Option<&str>, continue_with: &[ContinueWith]) -> String {
    let mut parts = Vec::with_capacity(4);
    if let Some(token) = token {
        parts.push(format!("\"session_token\":{}", serde_json::Value::from(token)));
    }
    if let Some(session) = session {
        parts.push(format!("\"session\":{session}"));
    }
    if let Some(identity) = identity {
        parts.push(format!("\"identity\":{identity}"));
    }
    let next = if continue_with.is_empty() { None } else { serde_json::to_string(continue_with).ok() };
    parts.push(format!("\"continue_with\":{}", next.as_deref().unwrap_or("null")));
    format!("{{{}}}", parts.join(","))
}

/// The flow's own type decides when it is known to be a native client's.
const fn door(wished: Door, flow_type: FlowType) -> Door {
    match flow_type {
        FlowType::Api => Door::Api,
        FlowType::Browser => wished,
    }
}

fn refuse(addresses: &Addresses, scene: Scene<'_>, problem: &Problem) -> Reply {
    let Scene { kind, step, .. } = scene;
    let at = match problem {
        // Known before the flow is.
        Problem::SessionInactive | Problem::FlowIdMalformed | Problem::FlowNotFound => scene.refusal,
        Problem::FlowExpired { flow_type, .. }
        | Problem::FlowReplaced { flow_type, .. }
        | Problem::FlowGone { flow_type, .. } => door(scene.refusal, *flow_type),
        _ if step == Step::Submit => scene.late,
        _ => scene.refusal,
    };
    let told = failure(addresses, kind, step, scene.scripted, scene.now, problem);
    match (at, problem, step, kind) {
        (Door::Spa, Problem::SessionInactive, Step::Init, Kind::Settings) => {
            Reply::failure(told.beside("CredentialsMissing", false))
        }
        (Door::Html, Problem::SessionInactive, Step::Init, Kind::Settings) => {
            let query: Vec<_> = scene.return_to.map(|to| ("return_to", to)).into_iter().collect();
            Reply::redirect(StatusCode::SEE_OTHER, addresses.init(Kind::Login, &query))
        }
        (Door::Html, Problem::SessionInactive, Step::Fetch | Step::Submit, Kind::Settings) => {
            Reply::redirect(StatusCode::FOUND, addresses.login_ui.clone())
        }
        (Door::Html, Problem::Aal2Required { return_to, enrol }, Step::Init | Step::Submit, _) => {
            Reply::redirect(StatusCode::SEE_OTHER, second_factor(addresses, return_to.as_deref(), *enrol))
        }
        (Door::Html, Problem::RefreshRequired { return_to, aal }, Step::Init | Step::Submit, _) => {
            Reply::redirect(StatusCode::SEE_OTHER, refresh(addresses, return_to, *aal))
        }
        (Door::Html, Problem::AddressUnverified { location, .. }, Step::Init | Step::Submit, _) => {
            Reply::redirect(StatusCode::SEE_OTHER, location.clone())
        }
        (Door::Html, Problem::SessionAlreadyAvailable { location }, Step::Submit, Kind::Registration)
        | (Door::Html, Problem::SessionAlreadyAvailable { location }, Step::Init, Kind::Recovery) => {
            Reply::redirect(StatusCode::FOUND, location.clone())
        }
        (Door::Html, Problem::SessionAlreadyAvailable { location }, Step::Init | Step::Submit, _) => {
            Reply::redirect(StatusCode::SEE_OTHER, location.clone())
        }
        (Door::Html, Problem::FlowExpired { replacement, .. } | Problem::FlowReplaced { replacement, .. }, ..)
            if step != Step::Fetch =>
        {
            Reply::redirect(StatusCode::SEE_OTHER, addresses.ui(kind, *replacement))
        }
        // What became of a recovery or verification is read where the new flow is (contract: recovery 2.9, 3.2).
        (Door::Spa, Problem::FlowExpired { replacement, .. }, Step::Submit, Kind::Recovery)
        | (Door::Spa | Door::Api, Problem::FlowExpired { replacement, .. }, Step::Submit, Kind::Verification) => {
            Reply::redirect(StatusCode::SEE_OTHER, addresses.flow(kind, *replacement))
        }
        (
            Door::Spa | Door::Api,
            Problem::FlowExpired { replacement, .. } | Problem::FlowReplaced { replacement, .. },
            Step::Submit,
            Kind::Recovery,
        ) if !scene.transitions => Reply::redirect(StatusCode::SEE_OTHER, addresses.flow(kind, *replacement)),
        // Reading a flow is answered with JSON, whoever asks.
        (_, _, Step::Fetch, _) => Reply::failure(told),
        (at, _, Step::Init | Step::Submit, _) => hand_over(at, told),
    }
}

fn hand_over(door: Door, told: Failure) -> Reply {
    match door {
        Door::Html => Reply { content: Content::ErrorPage(told), ..Reply::empty(StatusCode::SEE_OTHER) },
        Door::Spa | Door::Api => Reply::failure(told),
    }
}

/// Status, id and words of every refusal.
fn failure(addresses: &Addresses, kind: Kind, step: Step, scripted: bool, now: Time, problem: &Problem) -> Failure {
    match problem {
        Problem::SessionInactive => {
            Failure::named(StatusCode::UNAUTHORIZED, "session_inactive", "No active session was found in this request.")
        }
        Problem::Aal1Required => Failure::named(
            StatusCode::UNAUTHORIZED,
            "session_aal1_required",
            "A second factor can only be asked for after signing in with a first one.",
        ),
        Problem::Aal2Required { return_to, enrol } => {
            let location = second_factor(addresses, return_to.as_deref(), *enrol);
            let told = Failure::named(StatusCode::FORBIDDEN, "session_aal2_required", "This needs the second factor.")
                .detail("redirect_browser_to", location.as_str())
                .leading_to(&location);
            if *enrol { told.detail("reason_code", "enrol_second_factor") } else { told }
        }
        Problem::RefreshRequired { return_to, aal } => Failure::named(
            StatusCode::FORBIDDEN,
            "session_refresh_required",
            "The sign-in is too long ago for this change; sign in again.",
        )
        .leading_to(&refresh(addresses, return_to, *aal)),
        Problem::AddressUnverified { flow, .. } => {
            let next = [ContinueWith::ShowVerificationUi { flow: flow.clone() }];
            Failure::named(
                StatusCode::FORBIDDEN,
                "session_verified_address_required",
                "An address of this account has to be confirmed before anybody signs in to it.",
            )
            .detail("continue_with", serde_json::to_value(next).unwrap_or_default())
        }
        Problem::SessionAlreadyAvailable { .. } => {
            Failure::named(StatusCode::BAD_REQUEST, "session_already_available", "Someone is signed in already.")
        }
        Problem::FlowIdMalformed => match step {
            Step::Fetch => Failure::bare(StatusCode::NOT_FOUND),
            Step::Init | Step::Submit => Failure::new(StatusCode::BAD_REQUEST, "The query parameter flow is missing or no UUID."),
        },
        Problem::FlowNotFound => match step {
            Step::Fetch => Failure::bare(StatusCode::NOT_FOUND),
            Step::Init | Step::Submit => Failure::new(StatusCode::NOT_FOUND, "There is no flow with this id."),
        },
        Problem::FlowExpired { replacement, flow_type: _, expired_at } => {
            let told = Failure::named(
                StatusCode::GONE,
                "self_service_flow_expired",
                "The flow has expired; a new one was made in its place.",
            );
            let told = if kind == Kind::Recovery { told.detail("continue_with", recovery_ui(*replacement)) } else { told };
            told.beside("expired_at", serde_json::to_value(expired_at).unwrap_or_default())
                .beside("since", now.since(*expired_at).micros().saturating_mul(1_000))
                .beside("use_flow_id", replacement.to_string())
        }
        Problem::FlowReplaced { replacement, flow_type: _, reason } => match kind {
            Kind::Recovery => {
                Failure::new(StatusCode::BAD_REQUEST, reason.clone()).detail("continue_with", recovery_ui(*replacement))
            }
            _ => Failure::named(StatusCode::GONE, "self_service_flow_replaced", reason.clone())
                .beside("use_flow_id", replacement.to_string()),
        },
        Problem::FlowGone { flow_type, return_to } => gone(addresses, kind, *flow_type, return_to.as_deref()),
        Problem::IdentityMismatch => {
            Failure::named(StatusCode::FORBIDDEN, "security_identity_mismatch", "The flow belongs to another identity.")
        }
        Problem::Csrf(cause) => Failure {
            details: csrf_details(*cause, scripted),
            ..Failure::named(
                StatusCode::FORBIDDEN,
                "security_csrf_violation",
                "The request could not be told apart from a forged one.",
            )
        },
        Problem::ReturnToForbidden { return_to, allowed } => {
            let mut reason = format!("The return_to address {return_to} is not in the list of allowed ones.");
            if !allowed.is_empty() {
                reason = format!("{reason} Allowed are: {}.", allowed.join(", "));
            }
            Failure::named(StatusCode::BAD_REQUEST, "self_service_flow_return_to_forbidden", reason)
        }
        Problem::FlowDisabled => {
            Failure::named(StatusCode::BAD_REQUEST, "self_service_flow_disabled", "The administrator has switched this flow off.")
        }
        Problem::SessionInUse => Failure {
            message: Some("This is the session in use. Sign out instead.".into()),
            ..Failure::bare(StatusCode::BAD_REQUEST)
        },
        Problem::MethodDisabled => Failure::new(StatusCode::NOT_FOUND, "The administrator has switched this method off."),
        Problem::CredentialInQuery => {
            Failure::new(StatusCode::BAD_REQUEST, "A password, code or key must be sent in the body, never in an address.")
        }
        Problem::BadRequest { reason } => Failure::new(StatusCode::BAD_REQUEST, reason.clone()),
        Problem::Forbidden { reason } => Failure::new(StatusCode::FORBIDDEN, reason.clone()),
        Problem::NotFound { reason } => {
            Failure { reason: reason.clone().map(Into::into), ..Failure::bare(StatusCode::NOT_FOUND) }
        }
        Problem::Conflict { reason } => Failure::new(StatusCode::CONFLICT, reason.clone()),
        Problem::TooLarge => Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "The body has more bytes than this server reads."),
        Problem::TooManyAttempts { retry_after } => Failure {
            retry_after: Some(*retry_after),
            ..Failure::named(
                StatusCode::TOO_MANY_REQUESTS,
                "too_many_attempts",
                "Too many wrong attempts in a row; wait before the next one.",
            )
        },
        Problem::Busy { retry_after } => Failure {
            retry_after: Some(*retry_after),
            ..Failure::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "The server has too much to work out at this moment; try again shortly.",
            )
        },
        Problem::Upstream { reason } => Failure::new(StatusCode::BAD_GATEWAY, reason.clone()),
        Problem::Unavailable => Failure {
            retry_after: Some(2),
            ..Failure::new(StatusCode::SERVICE_UNAVAILABLE, "The database cannot be reached; try again shortly.")
        },
        Problem::Misconfigured { reason } => {
            Failure::named(StatusCode::INTERNAL_SERVER_ERROR, "invalid_configuration", reason.clone())
        }
        Problem::Internal => Failure::bare(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

fn gone(addresses: &Addresses, kind: Kind, flow_type: FlowType, return_to: Option<&str>) -> Failure {
    let reason = "The flow has expired; start a new one.";
    let told = match kind {
        Kind::Settings | Kind::Verification => Failure::new(StatusCode::GONE, reason),
        Kind::Recovery if flow_type == FlowType::Browser => Failure::new(StatusCode::GONE, reason),
        Kind::Login | Kind::Registration | Kind::Recovery => {
            Failure::named(StatusCode::GONE, "self_service_flow_expired", reason)
        }
    };
    match flow_type {
        FlowType::Api => told.detail("api", format!("{}/self-service/{}/api", addresses.public, kind.path())),
        FlowType::Browser => {
            let query: Vec<_> = return_to.map(|to| ("return_to", to)).into_iter().collect();
            told.detail("redirect_to", addresses.init(kind, &query)).detail("return_to", return_to.unwrap_or_default())
        }
    }
}

/// What a refused recovery goes on with.
fn recovery_ui(replacement: FlowId) -> serde_json::Value {
    let flow = WaitingFlow { id: replacement, verifiable_address: None, url: None };
    serde_json::to_value([ContinueWith::ShowRecoveryUi { flow }]).unwrap_or_default()
}

fn location_change(location: &str) -> Failure {
    Failure::named(StatusCode::UNPROCESSABLE_ENTITY, "browser_location_change_required", "The browser has to go on elsewhere.")
        .leading_to(location)
}

fn second_factor(addresses: &Addresses, return_to: Option<&str>, enrol: bool) -> String {
    if enrol {
        return addresses.settings_ui.clone();
    }
    let mut query = vec![("aal", "aal2")];
    query.extend(return_to.map(|to| ("return_to", to)));
    addresses.init(Kind::Login, &query)
}

fn refresh(addresses: &Addresses, return_to: &str, aal: Aal) -> String {
    let level = (aal > Aal::Aal1).then_some(("aal", aal.as_str()));
    let query: Vec<_> = level.into_iter().chain([("refresh", "true"), ("return_to", return_to)]).collect();
    addresses.init(Kind::Login, &query)
}

/// What an app gets that takes up what a browser began for it (contract: login 13.9).
pub(crate) fn taken_up(addresses: &Addresses, now: Time, said: Result<Entry, Problem>) -> Reply {
    let session = match said {
        Ok(Entry::Login(Outcome::Done(done))) => Some(done.session),
        Ok(Entry::Registration(Outcome::Done(done))) => done.session,
        Ok(Entry::Login(Outcome::Refused(view) | Outcome::SentOn { view, .. })) => return why_nobody(addresses, now, &view),
        Ok(Entry::Registration(Outcome::Refused(view))) => return why_nobody(addresses, now, &view),
        Ok(Entry::Login(_) | Entry::Registration(_)) => return refusal(addresses, Door::Api, false, now, &Problem::Internal),
        Err(problem) => return refusal(addresses, Door::Api, false, now, &problem),
    };
    let token = session.as_ref().and_then(|session| session.token.as_ref());
    let (Some(session), Some(token)) = (&session, token) else {
        let reason = "The account was made, but signing up signs nobody in here.".to_owned();
        return refusal(addresses, Door::Api, false, now, &Problem::NotFound { reason: Some(reason) });
    };
    let token = serde_json::Value::from(token.reveal().as_str());
    Reply::json(StatusCode::OK, format!("{{\"session_token\":{token},\"session\":{}}}", session.json))
}

fn why_nobody(addresses: &Addresses, now: Time, view: &impl View) -> Reply {
    match said::shape(view) {
        Ok(shape) => Reply::json(StatusCode::UNPROCESSABLE_ENTITY, shape.json),
        Err(problem) => refusal(addresses, Door::Api, false, now, &problem),
    }
}

/// What a browser is told that brings a provider's form: it comes once more, as a link (contract: settings 1.1).
pub(crate) fn once_more(location: String) -> Reply {
    Reply::redirect(StatusCode::FOUND, location)
}

#[cfg(test)]
#[path = "answer_table.rs"]
mod table;
