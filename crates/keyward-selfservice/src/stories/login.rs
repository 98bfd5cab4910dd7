//! The login story: signing in, confirming that it's you, and (with second factors) stepping up.
//! `http` tells it for `/self-service/login…`.
//! Knows no password: methods prove who somebody is, the story makes or raises a session of it.

use keyward_config::Hook;
use keyward_model::{
    Aal, Device, EntryState, Flow, FlowId, FlowType, FormErrors, IdentitySnapshot, IdentityState, JsonList, LOGIN_GROUPS, Login,
    LoginExtra, Message, NodeOrder, Problem, Session, Time, flow_admits, session_aal, sort_entry, wire_json,
};
use keyward_services::audit::{Event, EventKind};
use keyward_services::payload::Payload;
use keyward_services::session::{self, find_active_by_id, session_json};
use keyward_services::tokens::SessionToken;
use keyward_services::{App, attempts, flow_rows, mailboxes, storage_problem};
use keyward_store::{Batch, GrantRow, Refusal as Guarded, StoreError};
use serde_json::{Map, Value};

mod asked;
mod steps;

use asked::Asked;
use steps::{DUE, open, step, wait};

use super::verification_after::{self, Cause, Which};
use super::{
    FORM_ATTEMPTS, new_flow, note, redirect, replace_expired, return_to, same_browser, session_issued, sessions, store_form, ui,
};
use crate::gate;
use crate::methods::{LOGIN, LoginContext, LoginMethod, LoginProposal, Next, Proven, Queued, Refusal, Sent};
use crate::outcome::{IssuedSession, LoginOutcome, Outcome, SignedIn};
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
    Ok(Outcome::Created(view(app, visit, &flow)))
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
pub async fn submit(app: &App, visit: &mut Visit, id: Option<FlowId>, submitted: Submitted) -> Result<LoginOutcome, Problem> {
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
            return Ok(Outcome::SentOn { view: view(app, visit, &flow), location });
        }
        None if flow.extra.requested_aal == Aal::Aal2 => return Err(Problem::Aal1Required),
        _ => {}
    }
    if flow.is_expired(visit.now) {
        return Err(expire(app, visit, &flow).await);
    }
    let body = match submitted {
        Submitted::Body(Ok(body)) => body,
        Submitted::Body(Err(error)) => return refuse(app, visit, flow, None, error.into(), Vec::new()).await,
        Submitted::Nothing => {
            let errors = FormErrors::global(Message::plain(4_010_002));
            return refuse(app, visit, flow, None, errors, Vec::new()).await;
        }
    };
    let Some(method) = LOGIN.iter().copied().find(|method| method.claims(&flow, &body)) else {
        return refuse(app, visit, flow, None, FormErrors::global(Message::plain(4_010_002)), Vec::new()).await;
    };
    let stepped = flow.extra.active.clone();
    match prove(app, visit, &mut flow, method, &body).await {
        Ok(Reached::SignedIn(signed_in)) => Ok(Outcome::Done(*signed_in)),
        Ok(Reached::Next(next)) => step(app, visit, flow, method, next).await,
        Ok(Reached::Sent(sent)) => wait(app, visit, flow, method, sent).await,
        Ok(Reached::Nothing) => Ok(Outcome::SentBack(view(app, visit, &flow))),
        Err(Refusal::Form(errors)) => {
            // Somebody was proved and is refused all the same: what was typed is not at fault, and starts over.
            let proved = flow.extra.active != stepped && flow.extra.active.is_some();
            let echo = if proved { Vec::new() } else { method.echo(&body) };
            refuse(app, visit, flow, Some(method), errors, echo).await
        }
        Err(Refusal::Problem(Problem::TooManyAttempts { retry_after })) => {
            throttle(app, visit, flow, method, retry_after, method.echo(&body)).await
        }
        Err(Refusal::Problem(problem)) => {
            if let Problem::Csrf(_) = problem {
                let event = Event::refused(EventKind::CsrfRefused, "csrf").flow(flow.id).method(method.id());
                note(app, &visit.client, visit.now, event).await;
            }
            Err(problem)
        }
    }
}

/// How far a submit came.
enum Reached {
    SignedIn(Box<SignedIn>),
    Next(Next),
    Sent(Sent),
    /// It brought nothing to judge.
    Nothing,
}

async fn prove(
    app: &App,
    visit: &Visit,
    flow: &mut Flow<Login>,
    method: &dyn LoginMethod,
    body: &Payload,
) -> Result<Reached, Refusal> {
    if !method.enabled(&app.config) {
        return Err(Problem::MethodDisabled.into());
    }
    gate::guard(flow.flow_type, visit)?;
    let transient = body.transient_payload(app.config.limits.transient_payload_bytes)?;
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
        let proven = match method.prove(&LoginContext { app, visit: &visit, flow }, body).await? {
            LoginProposal::Proven(proven) => *proven,
            LoginProposal::Next(next) => return Ok(Reached::Next(next)),
            LoginProposal::Sent(sent) => return Ok(Reached::Sent(*sent)),
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

/// How somebody signs in.
struct Way<'a> {
    method: &'a dyn LoginMethod,
    /// Where a browser goes afterwards.
    location: String,
    /// What the client sent along for templates.
    transient: Option<&'a Map<String, Value>>,
}

/// Makes a session, or raises the one that is there, in one commit with the flow, the grant and the audit log.
/// `None` when another request was faster in using something up, or in changing the session or the account.
async fn sign_in(
    app: &App,
    visit: &Visit,
    flow: &mut Flow<Login>,
    way: Way<'_>,
    proven: Proven,
) -> Result<Option<SignedIn>, Refusal> {
    let now = visit.now;
    let Way { method, location, transient } = way;
    let Proven { identity, proof, upkeep, attempt } = proven;
    let identity_id = identity.identity.id;
    // What is used up comes first: whoever is late there is told about the code, not about the session.
    let mut batch = upkeep;
    let current = visit.session.as_ref().filter(|active| active.session.identity_id == identity_id);
    // A second factor is proven inside a session and never starts one.
    if current.is_none() && proof.aal == Aal::Aal2 && flow.extra.requested_aal == Aal::Aal2 {
        return Err(Problem::Aal1Required.into());
    }
    let (session, token) = match current {
        Some(active) => {
            let mut session = active.session.clone();
            session.methods.push(proof);
            session.aal = session_aal(&session.methods.items());
            session.authenticated_at = now;
            session.expires_at = now + app.config.session.lifespan;
            batch.raise_session(&session, now);
            let event = Event::done(EventKind::RefreshSucceeded).session(session.id);
            event.identity(identity_id).flow(flow.id).method(method.id()).write(app, &visit.client, now, &mut batch);
            (session, None)
        }
        None => {
            let token = SessionToken::generate(app.random());
            let session = new_session(app, visit, identity_id, proof);
            if hooks(app, method).contains(&Hook::RevokeActiveSessions) {
                batch.revoke_other_sessions(identity_id, session.id, now);
                Event::done(EventKind::SessionsRevoked).identity(identity_id).write(app, &visit.client, now, &mut batch);
            }
            session::insert(app, &session, &token, now, &mut batch);
            let event = Event::done(EventKind::LoginSucceeded).identity(identity_id).session(session.id);
            event.flow(flow.id).method(method.id()).write(app, &visit.client, now, &mut batch);
            session_issued(&session).write(app, &visit.client, now, &mut batch);
            (session, Some(token))
        }
    };
    if let Some(settings_flow_id) = flow.extra.serves {
        batch.insert_grant(&GrantRow {
            id: app.random().id(),
            settings_flow_id,
            identity_id,
            session_id: session.id,
            expires_at: now + gate::GRANT,
            used_at: None,
        });
    }
    let cause = Cause {
        flow_type: flow.flow_type,
        request_url: &flow.request_url,
        session: Some(session.id),
        transient_payload: transient,
    };
    // Where a second step is due, the first one has sent it (contract: login 8.3).
    let verifies = hooks(app, method).contains(&Hook::Verification) && flow.extra.requested_aal == Aal::Aal1;
    let begun = match verifies {
        true => verification_after::begin(app, visit, &cause, &identity, Which::Unverified).await?,
        false => Vec::new(),
    };
    let identity = match verification_after::write_for(app, &begun, identity, now, &mut batch) {
        Ok(identity) => identity,
        Err(refusal) => {
            verification_after::give_back(app, begun).await;
            return Err(refusal);
        }
    };
    attempt.release(&mut batch);
    flow.state = EntryState::PassedChallenge;
    flow.form.clear();
    flow.extra.active = Some(method.id().to_owned());
    flow.extra.updated_at = now;
    let mut continue_with = redirect(flow.flow_type, &location);
    continue_with.extend(verification_after::published(app, &begun, hooks(app, method)));
    let page = begun.first().map(|begun| begun.page(app)).filter(|_| hooks(app, method).contains(&Hook::ShowVerificationUi));
    let outcome = finish(app, flow, batch).await;
    if outcome.is_err() {
        verification_after::give_back(app, begun).await;
    }
    match outcome {
        Ok(()) => attempt.refund(app),
        Err(StoreError::Refused(Guarded::VersionConflict)) => {
            // Two right submits of one flow: the other one signed in. Else the account was changed at the same moment.
            let stored = find(app, flow.id).await?;
            return match stored.state {
                EntryState::PassedChallenge => Err(FormErrors::global(Message::plain(4_010_002)).into()),
                _ => Ok(None),
            };
        }
        Err(StoreError::Refused(Guarded::AlreadyUsed)) => return Ok(None),
        // The session ended while the password was being checked, or another request raised it.
        Err(StoreError::Refused(Guarded::Gone)) if current.is_some() => return Ok(None),
        Err(StoreError::Refused(Guarded::Gone)) => return Err(Problem::SessionInactive.into()),
        Err(error) => return Err(storage_problem(error).into()),
    }

    let available = mailboxes::available(app, &identity, &session.methods.items());
    // Whoami would refuse such a session, so the second factor has to follow.
    let weak = !flow_admits(session.aal, available, app.config.session.whoami_required_aal);
    let second_factor = weak.then(|| second_factor_url(app, flow));
    let whole = session.aal >= Aal::Aal2 || available < Aal::Aal2;
    let hide_identity = weak && flow.flow_type == FlowType::Api;
    let stored = wire_json(&identity.identity);
    Ok(Some(SignedIn {
        flow_type: flow.flow_type,
        remembered: whole.then_some(identity_id),
        session: IssuedSession {
            token: token.map(|token| token.reveal().clone().into()),
            expires_at: session.expires_at,
            json: session_json(&session, true, (!hide_identity).then_some(stored.as_str()), app.public_base()),
            rotate_csrf: current.is_none(),
        },
        continue_with,
        location: page.unwrap_or(location),
        second_factor,
    }))
}

/// Commits a sign-in together with its flow. A wrong submit of the same flow may have written its message in the meantime: the
/// right one wins over it, but not over another right one. Where the account changed since it was read, it says that what was
/// shown is used up, so that it is judged anew.
async fn finish(app: &App, flow: &mut Flow<Login>, batch: Batch) -> Result<(), StoreError> {
    let mut outcome = Ok(());
    for _ in 0..FORM_ATTEMPTS {
        let mut whole = batch.clone();
        let read = flow.version;
        flow_rows::update(app, flow, &mut whole);
        outcome = app.store.commit(whole).await;
        if !matches!(outcome, Err(StoreError::Refused(Guarded::VersionConflict))) {
            return outcome;
        }
        match flow_rows::find::<Login>(app, flow.id).await? {
            Some(stored) if stored.state != EntryState::PassedChallenge && stored.version == read => {
                return Err(StoreError::Refused(Guarded::AlreadyUsed));
            }
            Some(stored) if stored.state != EntryState::PassedChallenge => flow.version = stored.version,
            _ => return outcome,
        }
    }
    outcome
}

/// A session that begins now with one proof.
pub(super) fn new_session(
    app: &App,
    visit: &Visit,
    identity_id: keyward_model::IdentityId,
    proof: keyward_model::AuthMethod,
) -> Session {
    let methods = [proof];
    Session {
        id: app.random().id(),
        identity_id,
        active: true,
        aal: session_aal(&methods),
        methods: JsonList::of(&methods),
        authenticated_at: visit.now,
        issued_at: visit.now,
        expires_at: visit.now + app.config.session.lifespan,
        devices: JsonList::of(&[Device {
            id: app.random().id(),
            ip_address: visit.client.address.clone(),
            user_agent: visit.client.user_agent.clone(),
            location: Some(visit.client.location.clone()),
        }]),
        version: 1,
    }
}

async fn refuse(
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

async fn expire(app: &App, visit: &Visit, flow: &Flow<Login>) -> Problem {
    let asked = match Asked::read(app, &flow.request_url) {
        Ok(asked) => asked,
        Err(problem) => return problem,
    };
    let refresh = flow.extra.refresh && visit.session.is_some();
    let mut replacement = begin(app, visit, flow.flow_type, &flow.request_url, &asked, refresh);
    replacement.extra.serves = flow.extra.serves;
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

async fn find(app: &App, id: FlowId) -> Result<Flow<Login>, Problem> {
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

fn view(app: &App, visit: &Visit, flow: &Flow<Login>) -> LoginView {
    let context = LoginContext { app, visit, flow };
    let due = flow.memory.0.get(DUE).and_then(Value::as_str);
    let enabled = || LOGIN.iter().filter(|method| method.enabled(&app.config));
    // Switched off meanwhile, it is not waited for.
    let due = due.filter(|due| enabled().any(|method| method.id() == *due));
    let shown = enabled().filter(|method| due.is_none_or(|due| due == method.id()));
    let nodes = shown.flat_map(|method| method.nodes(&context)).collect();
    let keys = ["csrf_token", "identifier", "password"].map(str::to_owned);
    let ui = ui(app, visit, flow, nodes, |nodes| sort_entry(nodes, &NodeOrder { groups: LOGIN_GROUPS, keys: &keys }));
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
    }
}
