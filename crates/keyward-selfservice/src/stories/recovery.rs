//! The recovery story: getting back into an account through one of its addresses.
//! `http` tells it for `/self-service/recovery…`, and the admin API for codes that an operator hands over.
//! Gives a session of one factor and a settings flow; what that session may change is decided where settings are.

use keyward_config::{Hook, MailedFlow, MailedStrategy};
use keyward_model::{
    Aal, AuthMethod, ContinueWith, EntryState, Flow, FlowId, FlowOrigin, FlowType, Form, FormErrors, Group, IdentifierKind,
    IdentityId, IdentitySnapshot, IdentityState, InputType, MailedExtra, Memory, Message, Node, Owner, Problem, Proof, Recovery,
    Secret, Session, Span, Time, Ui, Via, WaitingFlow, canonical_identifier, wire_json,
};
use keyward_services::audit::{Client, Event, EventKind};
use keyward_services::codes::{self, Attempt, Order, Purpose, Tried};
use keyward_services::courier::Template;
use keyward_services::derive::{AddressProof, IdentityEdit, derive};
use keyward_services::payload::Payload;
use keyward_services::session::{self, ActiveSession, session_json};
use keyward_services::tokens::SessionToken;
use keyward_services::{App, attempts, flow_rows, storage_problem};
use keyward_store::{Batch, CodeRow, Refusal as Guarded, StoreError};
use serde_json::json;
use url::Url;

use super::mailed::{self, Mailed};
use super::{default_location, login, return_to, session_issued, settings, ui};
use crate::gate;
use crate::methods::Refusal;
use crate::outcome::{IssuedSession, Outcome, Recovered, RecoveryOutcome};
use crate::visit::{Submitted, Visit};

/// How often a right code is tried to be turned into a session when somebody else wrote to the account in between.
const ATTEMPTS: u32 = 3;

/// Bytes of the longest address that is looked at (RFC 5321 section 4.5.3.1: 64 for the local part, 255 for the domain).
const LONGEST_ADDRESS: usize = 320;

impl Mailed for Recovery {
    fn settings(app: &App) -> &MailedFlow {
        &app.config.selfservice.flows.recovery
    }

    fn ui(app: &App, visit: &Visit, flow: &Flow<Self>) -> Ui {
        // The token stands first, the rest as it is made.
        ui(app, visit, flow, nodes(flow), |nodes| nodes.sort_by_key(|node| node.id() != "csrf_token"))
    }
}

fn nodes(flow: &Flow<Recovery>) -> Vec<Node> {
    let label = |id| Message::plain(id);
    if flow.state == EntryState::ChooseMethod {
        let email = Node::input(Group::Code, "email", InputType::Email).required(true).label(label(1_070_007));
        return vec![email, mailed::go_on(Group::Code, "code")];
    }
    let code = Node::input(Group::Code, "code", InputType::Text)
        .required(true)
        .autocomplete("one-time-code")
        .label(label(1_070_010))
        .with(|input| {
            input.pattern = Some("[0-9]+".to_owned());
            input.maxlength = Some(codes::DIGITS as u32);
        });
    let Some(address) = mailed::address(flow) else {
        // An operator handed the code over: there is nowhere to send another one.
        return vec![code, mailed::go_on(Group::Code, "code")];
    };
    let again = Node::submit(Group::Code, "email", address, label(1_070_008));
    vec![code, mailed::hidden_method("code"), mailed::go_on(Group::Code, "code"), again]
}

/// Opens a recovery flow (contract: recovery 2.2).
///
/// # Errors
/// When somebody is signed in, the flow is switched off, or `return_to` is not allowed.
pub async fn create(app: &App, visit: &mut Visit, flow_type: FlowType, request_url: &str) -> Result<RecoveryOutcome, Problem> {
    if visit.session.is_some() {
        // Only another flow may be waiting for somebody who is signed in (contract: recovery 2.2).
        let flows = format!("{}/self-service/", app.public_base());
        let asked = Url::parse(request_url)
            .ok()
            .and_then(|url| url.query_pairs().find(|(name, _)| name == "return_to").map(|(_, value)| value.into_owned()));
        let location = asked.filter(|asked| asked.starts_with(&flows)).unwrap_or_else(|| default_location(app));
        return Err(Problem::SessionAlreadyAvailable { location });
    }
    mailed::create::<Recovery, _>(app, visit, flow_type, request_url).await
}

/// Reads a recovery flow (contract: recovery 2.3).
///
/// # Errors
/// For an unknown or expired flow, and in another browser than the one that opened it.
pub async fn fetch(app: &App, visit: &mut Visit, id: Option<FlowId>) -> Result<RecoveryOutcome, Problem> {
    mailed::fetch::<Recovery, _>(app, visit, id).await
}

/// Sends a code, or takes one (contract: recovery 2.4 to 2.7).
///
/// # Errors
/// Everything that is not shown on the form itself.
pub async fn submit(app: &App, visit: &mut Visit, id: Option<FlowId>, submitted: Submitted) -> Result<RecoveryOutcome, Problem> {
    let mut flow: Flow<Recovery> = mailed::submitted(app, visit, id).await?;
    let body = match submitted {
        Submitted::Body(Ok(body)) => body,
        Submitted::Body(Err(error)) => return mailed::refuse(app, visit, &flow, error.into()).await,
        Submitted::Nothing => return nobody(app, visit, &flow).await,
    };
    if flow.state == EntryState::PassedChallenge {
        return Err(mailed::replace(app, visit, &flow, Message::plain(4_060_001)).await);
    }
    let transient = match body.transient_payload(app.config.limits.transient_payload_bytes) {
        Ok(transient) => transient.unwrap_or_default(),
        Err(errors) => return mailed::refuse(app, visit, &flow, errors).await,
    };
    if !claims(&body) {
        return nobody(app, visit, &flow).await;
    }
    let mut said = match go_on(app, visit, &mut flow, &body).await {
        Ok(said) => said,
        Err(Refusal::Form(errors)) => return mailed::refuse(app, visit, &flow, errors).await,
        Err(Refusal::Problem(Problem::TooManyAttempts { retry_after })) => {
            return mailed::throttle(app, visit, &flow, retry_after).await;
        }
        Err(Refusal::Problem(problem)) => return Err(problem),
    };
    // Clients know the answer of a submit by it (contract: recovery 2.1).
    if let Outcome::Continued(view) | Outcome::Done(Recovered { view, .. }) = &mut said {
        view.transient_payload = Some(transient);
    }
    Ok(said)
}

/// No method answers to this submit.
async fn nobody(app: &App, visit: &Visit, flow: &Flow<Recovery>) -> Result<RecoveryOutcome, Problem> {
    mailed::refuse(app, visit, flow, FormErrors::global(Message::plain(4_010_005))).await
}

/// Whether a submit is for the method `code`: it says so, or says nothing and brings what only this method takes.
fn claims(body: &Payload) -> bool {
    match body.method() {
        Some(method) => method == "code",
        None => ["code", "email"].into_iter().any(|name| body.text(name).is_some_and(|text| !text.is_empty())),
    }
}

async fn go_on(app: &App, visit: &Visit, flow: &mut Flow<Recovery>, body: &Payload) -> Result<RecoveryOutcome, Refusal> {
    if !mailed::is_enabled(app, MailedStrategy::Code) {
        return Err(Problem::MethodDisabled.into());
    }
    mailed::guard(app, visit, flow).await?;
    let (email, code) = (body.string("email")?, body.string("code")?);
    let filled = |text: Option<&str>| text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    // Nothing is sent from a flow whose code an operator handed over: it stands for no address.
    let email = filled(email).filter(|_| !flow.extra.unbound);
    match (email, filled(code)) {
        (None, None) if flow.state == EntryState::ChooseMethod => Err(FormErrors::at("email", Message::missing("email")).into()),
        (Some(email), None) => send(app, visit, flow, body, &email).await,
        (email, _) if flow.state == EntryState::ChooseMethod => match email {
            Some(email) => send(app, visit, flow, body, &email).await,
            None => Err(FormErrors::at("email", Message::missing("email")).into()),
        },
        (_, code) => redeem(app, visit, flow, code.as_deref().unwrap_or_default()).await,
    }
}

/// Sends a code to an address; says the same whether an account has it or not.
async fn send(
    app: &App,
    visit: &Visit,
    flow: &mut Flow<Recovery>,
    body: &Payload,
    typed: &str,
) -> Result<RecoveryOutcome, Refusal> {
    let malformed = || FormErrors::at("email", Message::new(4_000_040, json!({ "value": typed })));
    // Brought to its one spelling before it is judged, as verification and the sign-in do (AC-74).
    let address = Some(typed).filter(|typed| typed.len() <= LONGEST_ADDRESS);
    let address = address.and_then(|typed| canonical_identifier(IdentifierKind::Email, typed)).ok_or_else(malformed)?;
    let transient = body.transient_payload(app.config.limits.transient_payload_bytes)?;
    let now = visit.now;
    let identity = app.store.find_identity_by_recovery_address(Via::Email, &address).await.map_err(storage_problem)?;
    let lane = identity.as_ref().map_or(attempts::Lane::Public, |found| visit.lane(found.identity.id));
    let counted = codes::admit_message(app, &address, &lane, &visit.client, now).await?;
    let mut batch = Batch::new();
    codes::forget(Purpose::Recovery, flow.id, &mut batch);
    // Unknown addresses have a code as well, which nobody learns and which leads nowhere: so both cost the same.
    let lifespan = codes::lifespan(app);
    let order = Order {
        purpose: Purpose::Recovery,
        flow: flow.id,
        identity: identity.as_ref().map(|found| found.identity.id),
        address: Some((Via::Email, &address)),
        expires_at: now + lifespan,
    };
    let code = codes::issue(app, &order, now, &mut batch);
    let letter = mailed::Letter {
        via: Via::Email,
        // The stored address and not the typed one: look-alikes never lead a mail astray (AC-70).
        to: &address,
        identity: identity.as_ref(),
        valid: Template::RecoveryCodeValid { code },
        invalid: Template::RecoveryCodeInvalid,
        transient_payload: transient.as_ref(),
    };
    mailed::post(app, visit, flow, letter, &mut batch);
    flow.state = EntryState::SentEmail;
    flow.extra.active = Some("code".to_owned());
    flow.form.say(Message::plain(1_060_003));
    mailed::remember_address(flow, typed);
    let event = Event::done(EventKind::RecoveryRequested).flow(flow.id).method("code");
    let event = identity.iter().fold(event, |event, found| event.identity(found.identity.id));
    event.write(app, &visit.client, now, &mut batch);
    flow_rows::update(app, flow, &mut batch);
    match app.store.commit(batch).await {
        Ok(()) => Ok(Outcome::Continued(mailed::view(app, visit, flow))),
        // Another submit of this flow was faster: the page shows what it came to.
        Err(StoreError::Refused(Guarded::VersionConflict)) => {
            counted.give_back(app).await;
            let flow = mailed::find::<Recovery>(app, flow.id).await?;
            Ok(Outcome::Continued(mailed::view(app, visit, &flow)))
        }
        Err(error) => {
            counted.give_back(app).await;
            Err(storage_problem(error).into())
        }
    }
}

/// Takes a code. A wrong one is said on the flow, with which the person goes on.
async fn redeem(app: &App, visit: &Visit, flow: &mut Flow<Recovery>, typed: &str) -> Result<RecoveryOutcome, Refusal> {
    let now = visit.now;
    let sent = codes::sent(app, Purpose::Recovery, flow.id).await?;
    let identity = sent.as_ref().and_then(|code| code.identity_id);
    let address = sent.as_ref().and_then(|code| code.address.as_ref()).map_or("", |(_, address)| address);
    let subject = identity.map_or(attempts::Subject::Unknown(address), attempts::Subject::Identity);
    let lane = identity.map_or(attempts::Lane::Public, |identity| visit.lane(identity));
    let attempt = Attempt {
        purpose: Purpose::Recovery,
        flow: flow.id,
        typed,
        subject,
        counter: "code",
        lane: &lane,
        client: &visit.client,
    };
    let wrong = || Message::plain(4_060_006);
    let (code, identity, attempt) = match codes::attempt(app, &attempt, now).await? {
        Tried::Over => return Err(mailed::over(app, visit, flow).await.into()),
        Tried::Right(CodeRow { identity_id: None, .. }, _) | Tried::Wrong | Tried::Used => {
            let mut batch = Batch::new();
            let event = Event::refused(EventKind::RecoveryFailed, "code").flow(flow.id).method("code");
            let event = identity.into_iter().fold(event, Event::identity);
            event.write(app, &visit.client, now, &mut batch);
            return Ok(mailed::say(app, visit, flow, wrong(), batch).await?);
        }
        Tried::Right(code @ CodeRow { identity_id: Some(identity), .. }, attempt) => (code, identity, attempt),
    };
    for _ in 0..ATTEMPTS {
        match recover(app, visit, &mut flow.clone(), &code, identity, &attempt).await {
            Ok(recovered) => {
                attempt.refund(app);
                return Ok(Outcome::Done(recovered));
            }
            Err(Missed::Again) => match mailed::find(app, flow.id).await {
                Ok(found) => *flow = found,
                Err(problem) => {
                    attempt.give_back(app).await;
                    return Err(problem.into());
                }
            },
            Err(Missed::Used) => return Ok(mailed::say(app, visit, flow, wrong(), Batch::new()).await?),
            Err(Missed::Off) => {
                attempt.give_back(app).await;
                return Err(mailed::replace(app, visit, flow, Message::plain(4_010_011)).await.into());
            }
            Err(Missed::Refused(refusal)) => {
                attempt.give_back(app).await;
                return Err(refusal);
            }
        }
        if flow.state == EntryState::PassedChallenge {
            attempt.give_back(app).await;
            return Err(mailed::replace(app, visit, flow, Message::plain(4_060_001)).await.into());
        }
    }
    attempt.give_back(app).await;
    Err(Problem::Unavailable.into())
}

/// Why a right code came to nothing.
enum Missed {
    /// Somebody else wrote to the account or the flow; look again.
    Again,
    /// Another request used the code.
    Used,
    /// The account is switched off.
    Off,
    /// Something else.
    Refused(Refusal),
}

impl From<Problem> for Missed {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem.into())
    }
}

/// Turns a right code into a session and a settings flow, in one commit with all that belongs to it.
async fn recover(
    app: &App,
    visit: &Visit,
    flow: &mut Flow<Recovery>,
    code: &CodeRow,
    identity: IdentityId,
    attempt: &attempts::Reserved,
) -> Result<Recovered, Missed> {
    let now = visit.now;
    let before = app.store.find_identity(identity).await.map_err(storage_problem)?.ok_or(Missed::Used)?;
    if before.identity.state != IdentityState::Active {
        return Err(Missed::Off);
    }
    // The address may have left the account since the code was sent: whoever reads it now is somebody else.
    let still_theirs = |(via, value): &(Via, String)| {
        before.identity.recovery_addresses.iter().any(|known| known.via == *via && known.value == *value)
    };
    if !code.address.as_ref().is_none_or(still_theirs) {
        return Err(Missed::Used);
    }
    let schema = super::schema_of(app, &before)?;
    let mut batch = Batch::new();
    codes::use_up(app, code, now, &mut batch);
    // The code came through the mailbox; one that an operator handed over proves no address.
    let proven = code.address.iter().map(|(via, value)| AddressProof { via: *via, value: value.clone() });
    let edit = IdentityEdit { addresses: proven.collect(), ..IdentityEdit::default() };
    let derived =
        derive(schema, Some(&before), &edit, now, app.random()).map_err(|errors| Missed::Refused(Refusal::Form(errors)))?;
    derived.write(&mut batch);
    let after = derived.snapshot();

    let proof = match &code.address {
        Some((via, address)) => AuthMethod::mailed(Proof::CodeRecovery, Aal::Aal1, now, *via, address),
        None => AuthMethod::handed_over(Proof::CodeRecovery, Aal::Aal1, now),
    };
    let token = SessionToken::generate(app.random());
    let session = login::new_session(app, visit, identity, &[proof]);
    session::insert(app, &session, &token, now, &mut batch);
    if Recovery::settings(app).flow.after.hooks.contains(&Hook::RevokeActiveSessions) {
        batch.revoke_other_sessions(identity, session.id, now);
        let event = Event::done(EventKind::SessionsRevoked).identity(identity).session(session.id);
        event.write(app, &visit.client, now, &mut batch);
    }
    let stored = wire_json(&after.identity);
    let settings = match skips_settings(flow) {
        true => None,
        false => Some(open_settings(app, visit, flow, &session, &stored, &after, &mut batch)?),
    };
    attempt.release(&mut batch);
    let event = Event::done(EventKind::RecoverySucceeded).identity(identity).session(session.id).flow(flow.id).method("code");
    event.write(app, &visit.client, now, &mut batch);
    session_issued(&session).write(app, &visit.client, now, &mut batch);
    flow.state = EntryState::PassedChallenge;
    flow.owner.identity_id = Some(identity);
    // The browser's cookie is renewed; from now on the flow is the session's.
    flow.extra.session = Some(session.id);
    flow.form.clear();
    flow_rows::update(app, flow, &mut batch);
    match app.store.commit(batch).await {
        Ok(()) => {}
        Err(StoreError::Refused(Guarded::AlreadyUsed)) => return Err(Missed::Used),
        Err(StoreError::Refused(Guarded::VersionConflict | Guarded::Gone)) => return Err(Missed::Again),
        Err(error) => return Err(storage_problem(error).into()),
    }

    let location = match &settings {
        Some(id) => gate::page_url(app.config.selfservice.flows.settings.flow.ui_url.as_str(), id),
        None => leave(app, flow),
    };
    let mut view = mailed::view(app, visit, flow);
    if flow.flow_type == FlowType::Api {
        view.continue_with.push(ContinueWith::SetOrySessionToken { ory_session_token: token.reveal().clone() });
    }
    if let Some(id) = settings {
        let waiting = WaitingFlow { id, verifiable_address: None, url: Some(location.clone()) };
        view.continue_with.push(ContinueWith::ShowSettingsUi { flow: waiting });
    }
    Ok(Recovered {
        view,
        session: IssuedSession {
            token: Some(token.reveal().clone().into()),
            expires_at: session.expires_at,
            json: session_json(&session, true, Some(&stored), app.public_base()),
            rotate_csrf: true,
        },
        location,
        by_flow: app.config.feature_flags.use_continue_with_transitions || skips_settings(flow),
    })
}

/// `skip_settings` of the init request.
fn skips_settings(flow: &Flow<Recovery>) -> bool {
    flow.query("skip_settings").is_some_and(|value| value == "true")
}

/// Where a browser goes without a settings page.
fn leave(app: &App, flow: &Flow<Recovery>) -> String {
    let configured = || Recovery::settings(app).flow.after.default_browser_return_url.clone();
    let asked = return_to(app, flow.query("return_to").as_deref()).ok().flatten();
    asked.or_else(configured).unwrap_or_else(|| default_location(app))
}

/// Makes the settings flow that a recovery leads to: it says until when the password can be changed, and comes back to where the
/// recovery was asked to lead.
fn open_settings(
    app: &App,
    visit: &Visit,
    flow: &Flow<Recovery>,
    session: &Session,
    stored: &str,
    identity: &IdentitySnapshot,
    batch: &mut Batch,
) -> Result<FlowId, Missed> {
    let return_to = flow.query("return_to").or_else(|| Recovery::settings(app).flow.after.default_browser_return_url.clone());
    let mut request_url = format!("{}/self-service/recovery?flow={}", app.public_base(), flow.id);
    if let (Some(return_to), Ok(mut url)) = (return_to, Url::parse(&request_url)) {
        url.query_pairs_mut().append_pair("return_to", &return_to);
        request_url = url.into();
    }
    let active = ActiveSession { session: session.clone(), wire_json: stored.to_owned(), further_credential: None };
    let mut opened = settings::fresh_flow(app, visit, &active, flow.flow_type, &request_url);
    opened.owner = Owner { identity_id: Some(session.identity_id), session_id: Some(session.id) };
    opened.extra.origin = FlowOrigin::Recovery;
    settings::remember(app, visit, &mut opened, identity, super::schema_of(app, identity)?);
    let max_age = app.config.selfservice.flows.settings.privileged_session_max_age;
    opened.form.say(Message::recovered(session.authenticated_at + max_age));
    flow_rows::insert(app, &opened, batch);
    Ok(opened.id)
}

/// Makes a code that an operator hands over, with the flow that it is typed into (contract: recovery 2.11). It proves no address.
///
/// # Errors
/// [`Problem::NotFound`] for an unknown identity and where codes are switched off; otherwise when the database does not answer.
pub async fn hand_over(
    app: &App,
    client: &Client,
    now: Time,
    identity: IdentityId,
    flow_type: FlowType,
    lifespan: Span,
) -> Result<HandedOver, Problem> {
    if !mailed::is_enabled(app, MailedStrategy::Code) {
        return Err(Problem::NotFound { reason: Some("The administrator has switched the method code off.".to_owned()) });
    }
    if app.store.find_identity(identity).await.map_err(storage_problem)?.is_none() {
        return Err(Problem::NotFound { reason: Some("There is no such identity.".to_owned()) });
    }
    let settings = Recovery::settings(app);
    let expires_at = now + lifespan;
    let path = match flow_type {
        FlowType::Api => "api",
        FlowType::Browser => "browser",
    };
    let mut flow: Flow<Recovery> = Flow {
        id: app.random().id(),
        flow_type,
        state: EntryState::SentEmail,
        issued_at: now,
        // A code that is valid for longer than a flow needs a flow for as long.
        expires_at: expires_at.max(now + settings.flow.lifespan),
        request_url: format!("{}/self-service/recovery/{path}", app.public_base()),
        form: Form::default(),
        memory: Memory::default(),
        extra: MailedExtra { active: Some("code".to_owned()), browser: None, unbound: true, session: None },
        owner: Owner { identity_id: Some(identity), session_id: None },
        version: 1,
    };
    flow.form.say(Message::plain(1_060_003));
    let mut batch = Batch::new();
    let order = Order { purpose: Purpose::Recovery, flow: flow.id, identity: Some(identity), address: None, expires_at };
    let code = codes::issue(app, &order, now, &mut batch);
    let event = Event::done(EventKind::RecoveryRequested).identity(identity).flow(flow.id).method("code").detail("by", "admin");
    event.write(app, client, now, &mut batch);
    flow_rows::insert(app, &flow, &mut batch);
    app.store.commit(batch).await.map_err(storage_problem)?;
    Ok(HandedOver { link: gate::page_url(settings.flow.ui_url.as_str(), flow.id), code, expires_at })
}

/// What an operator gives to somebody.
#[derive(Debug)]
pub struct HandedOver {
    /// The page that takes the code.
    pub link: String,
    /// The code.
    pub code: Secret<String>,
    /// When it ends.
    pub expires_at: Time,
}
