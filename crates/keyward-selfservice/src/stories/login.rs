//! The login story: signing in, confirming that it's you, and (with second factors) stepping up.
//! `http` tells it for `/self-service/login…`.
//! Knows no password: methods prove who somebody is, the story makes or raises a session of it.

use keyward_config::Hook;
use keyward_model::{
    Aal, EntryState, Flow, FlowId, FlowType, FormErrors, IdentitySnapshot, IdentityState, LOGIN_GROUPS, Login, LoginExtra,
    Message, NodeOrder, Problem, Time, sort_entry,
};
use keyward_services::audit::{Event, EventKind};
use keyward_services::payload::Payload;
use keyward_services::session::find_active_by_id;
use keyward_services::{App, attempts, flow_rows, storage_problem};
use keyward_store::Batch;
use serde_json::{Map, Value};

mod arriving;
mod asked;
mod session;
mod steps;

pub(super) use arriving::{arrive, ask_owner, welcome};
use asked::Asked;
pub(super) use session::new_session;
use session::{Way, finish, sign_in};
use steps::{DUE, open, step, wait};

use super::linking::PendingLink;
use super::verification_after::{self, Cause};
use super::{
    exchange, new_flow, note, provider, registration, replace_expired, return_to, same_browser, sessions, store_form, ui,
};
use crate::gate;
use crate::methods::oidc::{Arrival, Departure, recognise};
use crate::methods::{LOGIN, LoginContext, LoginMethod, LoginProposal, Next, Proven, Queued, Refusal, Sent};
use crate::outcome::{Entry, LoginOutcome, Outcome, SignedIn};
use crate::view::LoginView;
use crate::visit::{Submitted, Visit};

/// Opens a login flow (contract: login 6.2).
///
/// # Errors
/// When somebody is signed in and asked for nothing more, for a level that cannot be asked for, or for a `return_to` that
/// is not allowed.
pub async fn create(app: &App, visit: &mut Visit, flow_type: FlowType, request_url: &str) -> Result<LoginOutcome, Problem> {
    let asked = Asked::read(app, request_url)?;
    let location = return_to(app, asked.return_to.as_deref())?;
    let refresh = match &visit.session {
        None if asked.aal == Aal::Aal2 => return Err(Problem::Aal1Required),
        None => false,
        Some(_) if asked.refresh => true,
        // Where this session would not be taken, it leads nowhere else than to its second step.
        Some(active) if asked.aal <= active.session.aal && sessions::is_weak(app, active).await? => {
            return Err(Problem::Aal2Required { return_to: asked.return_to, enrol: false });
        }
        Some(active) if asked.aal <= active.session.aal => {
            return Err(Problem::SessionAlreadyAvailable { location: location.unwrap_or_else(|| super::default_location(app)) });
        }
        Some(_) => false,
    };
    let mut flow = begin(app, visit, flow_type, request_url, &asked, refresh);
    let identity = signed_in_identity(app, visit).await?;
    remember(app, visit, &mut flow, identity.as_ref());
    let exchange_code = exchange::begin(app, visit, &mut flow, asked.exchange);
    if let Some(first_step) = asked.account_link {
        PendingLink::take_over(app, visit, first_step, &mut flow).await?;
    }
    if refresh {
        flow.form.messages.push(Message::plain(1_010_003));
    }
    if asked.aal == Aal::Aal2 && visit.session.as_ref().is_some_and(|active| active.session.aal < Aal::Aal2) {
        flow.form.messages.push(Message::plain(1_010_004));
    }
    let sent = match &identity {
        Some(identity) => open(app, visit, &mut flow, identity).await?,
        None => Queued::default(),
    };
    let mut batch = Batch::new();
    flow_rows::insert(app, &flow, &mut batch);
    batch.append(sent.batch);
    if let Err(error) = app.store.commit(batch).await {
        attempts::give_back_all(app, sent.counted).await;
        return Err(storage_problem(error));
    }
    let mut view = view(app, visit, &flow);
    view.session_token_exchange_code = exchange_code;
    Ok(Outcome::Created(view))
}

/// Reads a login flow (contract: login 6.4).
///
/// # Errors
/// For an unknown or expired flow, and in another browser than the one that opened it.
pub async fn fetch(app: &App, visit: &mut Visit, id: Option<FlowId>) -> Result<LoginOutcome, Problem> {
    let flow = find(app, id.ok_or(Problem::FlowNotFound)?).await?;
    visit.flow_type = Some(flow.flow_type);
    same_browser(flow.flow_type, flow.extra.browser.as_deref(), visit)?;
    if flow.is_expired(visit.now) {
        return Err(Problem::FlowGone { flow_type: flow.flow_type, return_to: flow.query("return_to") });
    }
    Ok(Outcome::Shown(view(app, visit, &flow)))
}

/// Proves who somebody is (contract: login 6.5, 8).
///
/// # Errors
/// Everything that is not shown on the form itself.
pub async fn submit(app: &App, visit: &mut Visit, id: Option<FlowId>, submitted: Submitted) -> Result<Entry, Problem> {
    let mut flow = find(app, id.ok_or(Problem::FlowIdMalformed)?).await?;
    visit.flow_type = Some(flow.flow_type);
    match &visit.session {
        Some(active) if !flow.extra.refresh && flow.extra.requested_aal <= active.session.aal => {
            let errors =
                FormErrors::global(Message::reason("You are signed in already. Sign out first to sign in as somebody else."));
            flow.form.clear();
            flow.form.refuse(errors);
            store_form(app, &mut flow, Batch::new()).await?;
            let location = super::default_location(app);
            return Ok(Entry::Login(Outcome::SentOn { view: view(app, visit, &flow), location }));
        }
        None if flow.extra.requested_aal == Aal::Aal2 => return Err(Problem::Aal1Required),
        _ => {}
    }
    if flow.is_expired(visit.now) {
        return Err(expire(app, visit, &flow).await);
    }
    let body = match submitted {
        Submitted::Body(Ok(body)) => body,
        Submitted::Body(Err(error)) => return refuse(app, visit, flow, None, error.into(), Vec::new()).await.map(Entry::Login),
        Submitted::Nothing => return unclaimed(app, visit, flow).await,
    };
    let Some(method) = LOGIN.iter().copied().find(|method| method.claims(&flow, &body)) else {
        return unclaimed(app, visit, flow).await;
    };
    conclude(app, visit, flow, method, Evidence::Submitted(&body)).await
}

/// Nobody answers to what was sent.
async fn unclaimed(app: &App, visit: &Visit, flow: Flow<Login>) -> Result<Entry, Problem> {
    refuse(app, visit, flow, None, FormErrors::global(Message::plain(4_010_002)), Vec::new()).await.map(Entry::Login)
}

/// What shows who somebody is.
#[derive(Clone, Copy)]
enum Evidence<'a> {
    /// What they sent.
    Submitted(&'a Payload),
    /// A provider, after a round trip.
    Arrived(&'a Arrival),
}

impl Evidence<'_> {
    /// What a refused form shows again.
    fn echo(self, method: &dyn LoginMethod) -> Vec<(String, Value)> {
        match self {
            Self::Submitted(body) => method.echo(body),
            Self::Arrived(_) => Vec::new(),
        }
    }
}

/// Leads what shows who somebody is to its end, and says what came of it.
async fn conclude(
    app: &App,
    visit: &mut Visit,
    mut flow: Flow<Login>,
    method: &dyn LoginMethod,
    evidence: Evidence<'_>,
) -> Result<Entry, Problem> {
    let stepped = flow.extra.active.clone();
    let outcome = match prove(app, visit, &mut flow, method, evidence).await {
        Ok(Reached::SignedIn(signed_in)) => Ok(Outcome::Done(*signed_in)),
        Ok(Reached::Next(next)) => step(app, visit, flow, method, next).await,
        Ok(Reached::Sent(sent)) => wait(app, visit, flow, method, sent).await,
        Ok(Reached::Nothing) => Ok(Outcome::SentBack(view(app, visit, &flow))),
        Ok(Reached::Departing(departure)) => provider::leave(app, visit, flow, *departure, Batch::new()).await,
        Ok(Reached::Unknown(arrival)) => return Box::pin(registration::welcome(app, visit, &flow, *arrival)).await,
        Err(Refusal::Form(errors)) => {
            // Somebody was proved and is refused all the same: what was typed is not at fault, and starts over.
            let proved = flow.extra.active != stepped && flow.extra.active.is_some();
            let echo = if proved { Vec::new() } else { evidence.echo(method) };
            refuse(app, visit, flow, Some(method), errors, echo).await
        }
        Err(Refusal::Problem(Problem::TooManyAttempts { retry_after })) => {
            throttle(app, visit, flow, method, retry_after, evidence.echo(method)).await
        }
        Err(Refusal::Problem(problem)) => {
            if let Problem::Csrf(_) = problem {
                let event = Event::refused(EventKind::CsrfRefused, "csrf").flow(flow.id).method(method.id());
                note(app, &visit.client, visit.now, event).await;
            }
            Err(problem)
        }
    };
    outcome.map(Entry::Login)
}

/// How far a submit came.
enum Reached {
    SignedIn(Box<SignedIn>),
    Next(Next),
    Sent(Sent),
    /// The person goes to a provider.
    Departing(Box<Departure>),
    /// A provider vouched for somebody who has no account.
    Unknown(Box<Arrival>),
    /// It brought nothing to judge.
    Nothing,
}

async fn prove(
    app: &App,
    visit: &Visit,
    flow: &mut Flow<Login>,
    method: &dyn LoginMethod,
    evidence: Evidence<'_>,
) -> Result<Reached, Refusal> {
    if !method.enabled(&app.config) {
        return Err(Problem::MethodDisabled.into());
    }
    let transient = match evidence {
        Evidence::Submitted(body) => {
            gate::guard_submit(flow.flow_type, visit, method.id(), body)?;
            body.transient_payload(app.config.limits.transient_payload_bytes)?
        }
        // Guarded when they left.
        Evidence::Arrived(arrival) => arrival.transient_payload.clone(),
    };
    if flow.state == EntryState::PassedChallenge {
        return Err(FormErrors::global(Message::plain(4_010_002)).into());
    }
    let location = match return_to(app, flow.query("return_to").as_deref()) {
        Ok(Some(explicit)) => explicit,
        Ok(None) => after_location(app, method.id()),
        Err(_) => return Err(FormErrors::global(Message::reason("The address to return to is not allowed.")).into()),
    };
    let mut visit = visit.clone();
    for _ in 0..ATTEMPTS {
        let context = LoginContext { app, visit: &visit, flow };
        let proposal = match evidence {
            Evidence::Submitted(body) => method.prove(&context, body).await?,
            Evidence::Arrived(arrival) => recognise(&context, arrival).await?,
        };
        let proven = match proposal {
            LoginProposal::Proven(proven) => *proven,
            LoginProposal::Next(next) => return Ok(Reached::Next(next)),
            LoginProposal::Sent(sent) => return Ok(Reached::Sent(*sent)),
            LoginProposal::Depart(departure) => return Ok(Reached::Departing(departure)),
            LoginProposal::Unknown(arrival) => return Ok(Reached::Unknown(arrival)),
            LoginProposal::Ask => return Ok(Reached::Nothing),
        };
        flow.extra.active = Some(method.id().to_owned());
        if proven.identity.identity.state != IdentityState::Active {
            proven.attempt.give_back(app).await;
            return Err(FormErrors::global(Message::plain(4_010_011)).into());
        }
        if let Some(refusal) = admit_address(app, &visit, flow, method, &proven, transient.as_ref()).await {
            proven.attempt.give_back(app).await;
            return Err(refusal);
        }
        let attempt = proven.attempt.clone();
        let way = Way { method, location: location.clone(), transient: transient.as_ref() };
        let signed_in = sign_in(app, &visit, &mut flow.clone(), way, proven).await;
        if let Ok(Some(signed_in)) = signed_in {
            return Ok(Reached::SignedIn(Box::new(signed_in)));
        }
        attempt.give_back(app).await;
        signed_in?;
        if let Some(active) = &visit.session {
            // Raised by another request, it is judged as it is now; ended, it is not brought back.
            let id = active.session.id;
            let session = find_active_by_id(app, id, visit.now).await.map_err(storage_problem)?;
            visit.session = Some(session.ok_or(Problem::SessionInactive)?);
        }
    }
    Err(FormErrors::global(Message::plain(4_010_002)).into())
}

/// How often a proof is looked at anew when another request used up something of the same credential, or raised the same session,
/// at the same moment.
const ATTEMPTS: u32 = 3;

/// The hooks that follow a login by this method.
fn hooks<'a>(app: &'a App, method: &dyn LoginMethod) -> &'a [Hook] {
    app.config.selfservice.flows.login.after.hooks_for(method.id())
}

/// The hook `require_verified_address` (contract: login 8.4): why somebody who proved who they are stays outside, until one of their
/// addresses is confirmed.
async fn admit_address(
    app: &App,
    visit: &Visit,
    flow: &Flow<Login>,
    method: &dyn LoginMethod,
    proven: &Proven,
    transient_payload: Option<&Map<String, Value>>,
) -> Option<Refusal> {
    let known = &proven.identity.identity.verifiable_addresses;
    if !hooks(app, method).contains(&Hook::RequireVerifiedAddress) || known.iter().any(|address| address.verified) {
        return None;
    }
    if known.is_empty() {
        let reason = "The hook require_verified_address needs an address that can be confirmed, and the account has none.";
        return Some(Problem::Misconfigured { reason: reason.to_owned() }.into());
    }
    let unconfirmed = || Some(FormErrors::global(Message::plain(4_000_010)).into());
    if app.config.feature_flags.legacy_require_verified_login_error {
        return unconfirmed();
    }
    let cause = Cause { flow_type: flow.flow_type, request_url: &flow.request_url, session: None, transient_payload };
    match verification_after::send_now(app, visit, &cause, proven.identity.identity.id).await {
        Ok(Some(begun)) => {
            let event = Event::refused(EventKind::LoginFailed, "address_unverified").identity(proven.identity.identity.id);
            note(app, &visit.client, visit.now, event.flow(flow.id).method(method.id())).await;
            Some(Problem::AddressUnverified { flow: begun.waiting(app), location: begun.page(app) }.into())
        }
        // Nothing can be confirmed here, so there is nowhere to lead to.
        Ok(None) => unconfirmed(),
        Err(refusal) => Some(refusal),
    }
}

pub(super) async fn refuse(
    app: &App,
    visit: &Visit,
    flow: Flow<Login>,
    method: Option<&dyn LoginMethod>,
    errors: FormErrors,
    echo: Vec<(String, Value)>,
) -> Result<LoginOutcome, Problem> {
    // The attempt may have left the flow half rewritten in memory: what is shown starts from what is stored.
    // Which method it was is told only once it had proved somebody, or asked for its next step.
    let active = flow.extra.active;
    let mut flow = find(app, flow.id).await?;
    flow.extra.active = active;
    flow.form.clear();
    for (node, value) in echo {
        flow.form.echo(node, value);
    }
    flow.form.refuse(errors);
    flow.extra.updated_at = visit.now;
    let mut batch = Batch::new();
    let mut event = Event::refused(EventKind::LoginFailed, "form").flow(flow.id);
    if let Some(method) = method {
        event = event.method(method.id());
    }
    event.write(app, &visit.client, visit.now, &mut batch);
    store_form(app, &mut flow, batch).await?;
    Ok(Outcome::Refused(view(app, visit, &flow)))
}

/// Tells the person to wait.
async fn throttle(
    app: &App,
    visit: &Visit,
    flow: Flow<Login>,
    method: &dyn LoginMethod,
    retry_after: u32,
    echo: Vec<(String, Value)>,
) -> Result<LoginOutcome, Problem> {
    // As in [`refuse`]: what is shown starts from what is stored.
    let mut flow = find(app, flow.id).await?;
    flow.form.say(Message::new(7_900_001, serde_json::json!({ "retry_after": retry_after })));
    for (node, value) in echo {
        flow.form.echo(node, value);
    }
    flow.extra.updated_at = visit.now;
    let mut batch = Batch::new();
    let event = Event::refused(EventKind::ThrottleEngaged, "too_many_attempts").flow(flow.id).method(method.id());
    event.write(app, &visit.client, visit.now, &mut batch);
    store_form(app, &mut flow, batch).await?;
    Ok(Outcome::Throttled { view: view(app, visit, &flow), retry_after })
}

pub(super) async fn expire(app: &App, visit: &Visit, flow: &Flow<Login>) -> Problem {
    let asked = match Asked::read(app, &flow.request_url) {
        Ok(asked) => asked,
        Err(problem) => return problem,
    };
    let refresh = flow.extra.refresh && visit.session.is_some();
    let mut replacement = begin(app, visit, flow.flow_type, &flow.request_url, &asked, refresh);
    replacement.extra.serves = flow.extra.serves;
    exchange::hand_on(flow, &mut replacement);
    PendingLink::hand_on(flow, &mut replacement);
    match signed_in_identity(app, visit).await {
        Ok(identity) => remember(app, visit, &mut replacement, identity.as_ref()),
        Err(problem) => return problem,
    }
    replace_expired(app, replacement, flow).await
}

fn begin(app: &App, visit: &Visit, flow_type: FlowType, request_url: &str, asked: &Asked, refresh: bool) -> Flow<Login> {
    let extra = LoginExtra {
        refresh,
        requested_aal: asked.aal,
        serves: asked.serves.filter(|_| refresh || asked.aal == Aal::Aal2),
        organization_id: asked.organization.clone(),
        identity_schema: asked.identity_schema.clone(),
        active: None,
        updated_at: visit.now,
        browser: visit.browsers.first().filter(|_| flow_type == FlowType::Browser).cloned(),
    };
    let lifespan = app.config.selfservice.flows.login.lifespan;
    new_flow(app, visit, flow_type, request_url, lifespan, EntryState::ChooseMethod, extra)
}

async fn signed_in_identity(app: &App, visit: &Visit) -> Result<Option<IdentitySnapshot>, Problem> {
    match visit.identity_id() {
        None => Ok(None),
        Some(id) => app.store.find_identity(id).await.map_err(storage_problem),
    }
}

fn remember(app: &App, visit: &Visit, flow: &mut Flow<Login>, identity: Option<&IdentitySnapshot>) {
    for method in LOGIN.iter().filter(|method| method.enabled(&app.config)) {
        if let Some(content) = method.remember(&LoginContext { app, visit, flow }, identity) {
            flow.memory.0.insert(method.id().to_owned(), content);
        }
    }
}

pub(super) async fn find(app: &App, id: FlowId) -> Result<Flow<Login>, Problem> {
    flow_rows::find(app, id).await.map_err(storage_problem)?.ok_or(Problem::FlowNotFound)
}

fn after_location(app: &App, method: &str) -> String {
    let configured = app.config.selfservice.flows.login.after.return_url(method);
    configured.map_or_else(|| super::default_location(app), str::to_owned)
}

/// The second-factor login that comes first, leading to where this one would have led.
fn second_factor_url(app: &App, flow: &Flow<Login>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("aal", "aal2");
    if let Some(target) = flow.query("return_to") {
        query.append_pair("return_to", &target);
    }
    format!("{}/self-service/login/browser?{}", app.public_base(), query.finish())
}

pub(super) fn view(app: &App, visit: &Visit, flow: &Flow<Login>) -> LoginView {
    let context = LoginContext { app, visit, flow };
    let due = flow.memory.0.get(DUE).and_then(Value::as_str);
    let enabled = || LOGIN.iter().filter(|method| method.enabled(&app.config));
    // Switched off meanwhile, it is not waited for.
    let due = due.filter(|due| enabled().any(|method| method.id() == *due));
    let shown = enabled().filter(|method| due.is_none_or(|due| due == method.id()));
    let nodes: Vec<_> = shown.flat_map(|method| method.nodes(&context)).collect();
    let pending = PendingLink::of(flow);
    let nodes = match &pending {
        Some(pending) => pending.show(nodes),
        None => nodes,
    };
    let keys = ["csrf_token", "identifier", "password"].map(str::to_owned);
    let mut ui = ui(app, visit, flow, nodes, |nodes| sort_entry(nodes, &NodeOrder { groups: LOGIN_GROUPS, keys: &keys }));
    if let Some(pending) = pending {
        ui.messages.insert(0, pending.message(app).in_language(visit.lang));
    }
    let Flow { extra, .. } = flow;
    let created_at: Time = flow.issued_at;
    LoginView {
        id: flow.id,
        organization_id: extra.organization_id.clone(),
        flow_type: flow.flow_type,
        expires_at: flow.expires_at,
        issued_at: flow.issued_at,
        request_url: flow.request_url.clone(),
        return_to: flow.query("return_to"),
        active: extra.active.clone(),
        ui,
        created_at,
        updated_at: extra.updated_at,
        refresh: extra.refresh,
        requested_aal: extra.requested_aal,
        state: flow.state,
        identity_schema: extra.identity_schema.clone(),
        transient_payload: None,
        session_token_exchange_code: None,
    }
}
