//! The registration story: making an account with traits and a first credential.
//! `http` tells it for `/self-service/registration…`; the form is unified, traits and credentials together.
//! Knows no password: methods work out the first credential, the one writer makes the identity.

use keyward_config::Hook;
use keyward_model::{
    CredentialType, EntryState, Flow, FlowId, FlowType, FormErrors, Group, InputType, Message, NodeOrder, Problem,
    REGISTRATION_GROUPS, Registration, RegistrationExtra, sort_entry, wire_json,
};
use keyward_services::audit::{Event, EventKind};
use keyward_services::derive::{Bounds, IdentityEdit, derive};
use keyward_services::payload::Payload;
use keyward_services::schema::IdentitySchema;
use keyward_services::session::{self, serve_identity, session_json};
use keyward_services::tokens::SessionToken;
use keyward_services::{App, attempts, flow_rows, storage_problem};
use keyward_store::{Batch, Refusal as Guarded, StoreError, UniqueConflict};
use serde_json::{Value, json};

mod arriving;

pub(super) use arriving::{arrive, welcome};

use super::verification_after::{self, Cause, Which};
use super::{
    exchange, login, new_flow, note, provider, redirect, replace_expired, return_to, same_browser, session_issued, store_form, ui,
};
use crate::gate;
use crate::methods::oidc::{Arrival, COMPLETING, Departure};
use crate::methods::{
    Applicant, Queued, REGISTERED_ALREADY, REGISTRATION, Refusal, RegistrationContext, RegistrationMethod, RegistrationProposal,
    Sent, TRAITS, echo_traits,
};
use crate::outcome::{Entry, IssuedSession, Outcome, Registered, RegistrationOutcome};
use crate::view::RegistrationView;
use crate::visit::{Submitted, Visit};
use keyward_model::ContinueWith;

/// Opens a registration flow (contract: login 9).
///
/// # Errors
/// When registration is switched off, somebody is signed in, or `return_to` is not allowed.
pub async fn create(
    app: &App,
    visit: &mut Visit,
    flow_type: FlowType,
    request_url: &str,
) -> Result<RegistrationOutcome, Problem> {
    if !app.config.selfservice.flows.registration.enabled {
        return Err(Problem::FlowDisabled);
    }
    let mut flow = begin(app, visit, flow_type, request_url);
    let location = return_to(app, flow.query("return_to").as_deref())?;
    if visit.session.is_some() {
        return Err(Problem::SessionAlreadyAvailable { location: location.unwrap_or_else(|| super::default_location(app)) });
    }
    if flow.extra.identity_schema.as_deref().is_some_and(|id| !super::is_selectable(app, id)) {
        return Err(Problem::BadRequest { reason: "The identity schema cannot be chosen here.".to_owned() });
    }
    remember(app, &mut flow)?;
    let is_asked_for = flow.query("return_session_token_exchange_code").as_deref() == Some("true");
    let exchange_code = exchange::begin(app, visit, &mut flow, is_asked_for);
    let mut batch = Batch::new();
    flow_rows::insert(app, &flow, &mut batch);
    app.store.commit(batch).await.map_err(storage_problem)?;
    let mut view = view(app, visit, &flow)?;
    view.session_token_exchange_code = exchange_code;
    Ok(Outcome::Created(view))
}

/// Reads a registration flow (contract: login 9).
///
/// # Errors
/// For an unknown or expired flow, and in another browser than the one that opened it.
pub async fn fetch(app: &App, visit: &mut Visit, id: Option<FlowId>) -> Result<RegistrationOutcome, Problem> {
    let flow = find(app, id.ok_or(Problem::FlowNotFound)?).await?;
    visit.flow_type = Some(flow.flow_type);
    same_browser(flow.flow_type, flow.extra.browser.as_deref(), visit)?;
    if flow.is_expired(visit.now) {
        return Err(Problem::FlowGone { flow_type: flow.flow_type, return_to: flow.query("return_to") });
    }
    Ok(Outcome::Shown(view(app, visit, &flow)?))
}

/// Makes the account (contract: login 9, 10.1, 11).
///
/// # Errors
/// Everything that is not shown on the form itself.
pub async fn submit(app: &App, visit: &mut Visit, id: Option<FlowId>, submitted: Submitted) -> Result<Entry, Problem> {
    let mut flow = find(app, id.ok_or(Problem::FlowIdMalformed)?).await?;
    visit.flow_type = Some(flow.flow_type);
    if !app.config.selfservice.flows.registration.enabled {
        return Err(Problem::FlowDisabled);
    }
    if visit.session.is_some() {
        return Err(Problem::SessionAlreadyAvailable { location: super::default_location(app) });
    }
    if flow.is_expired(visit.now) {
        return Err(expire(app, visit, &flow).await);
    }
    let body = match submitted {
        Submitted::Body(Ok(body)) => body,
        Submitted::Body(Err(error)) => {
            return refuse(app, visit, flow, None, error.into(), Vec::new()).await.map(Entry::Registration);
        }
        Submitted::Nothing => {
            let errors = FormErrors::global(Message::plain(4_010_003));
            return refuse(app, visit, flow, None, errors, Vec::new()).await.map(Entry::Registration);
        }
    };
    let schema = schema(app, &flow)?;
    let method = REGISTRATION.iter().copied().find(|method| method.claims(&body));
    let outcome = match apply(app, visit, &mut flow, schema, method, &body).await {
        Ok(Reached::Registered(registered)) => Ok(Outcome::Done(*registered)),
        Ok(Reached::Waiting) => Ok(Outcome::Mailed(view(app, visit, &flow)?)),
        Ok(Reached::Departing(departure)) => provider::leave(app, visit, flow, *departure, Batch::new()).await,
        Ok(Reached::Arrived(arrival)) => return arrive(app, visit, flow, *arrival).await,
        Err(Refusal::Form(errors)) => refuse(app, visit, flow, method, errors, typed(schema, &body)).await,
        Err(Refusal::Problem(Problem::TooManyAttempts { retry_after })) => {
            throttle(app, visit, flow, method, retry_after, typed(schema, &body)).await
        }
        Err(Refusal::Problem(problem)) => {
            if let Problem::Csrf(_) = problem {
                note(app, &visit.client, visit.now, Event::refused(EventKind::CsrfRefused, "csrf").flow(flow.id)).await;
            }
            Err(problem)
        }
    };
    outcome.map(Entry::Registration)
}

/// What a refused form shows again; there is nothing stored that it could show instead.
fn typed(schema: &IdentitySchema, body: &Payload) -> Vec<(String, Value)> {
    echo_traits(schema, body).into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// How far a submit came.
enum Reached {
    Registered(Box<Registered>),
    /// The flow waits for what a message says.
    Waiting,
    /// The person goes to a provider.
    Departing(Box<Departure>),
    /// A provider vouched for somebody.
    Arrived(Box<Arrival>),
}

async fn apply(
    app: &App,
    visit: &Visit,
    flow: &mut Flow<Registration>,
    schema: &IdentitySchema,
    method: Option<&dyn RegistrationMethod>,
    body: &Payload,
) -> Result<Reached, Refusal> {
    if method.is_some_and(|method| !method.enabled(&app.config)) {
        return Err(Problem::MethodDisabled.into());
    }
    gate::guard_submit(flow.flow_type, visit, method.map_or("", |method| method.id()), body)?;
    let transient = body.transient_payload(app.config.limits.transient_payload_bytes)?;
    if flow.state == EntryState::PassedChallenge {
        return Err(FormErrors::global(Message::plain(4_010_003)).into());
    }
    let traits = schema.decode_traits(body);
    let due = flow.memory.0.get(DUE).and_then(Value::as_str);
    // Traits that a message was sent for are valid, and the method refuses all others.
    let are_complete = method.is_none_or(|method| !method.brings_traits());
    if are_complete && due.is_none_or(|due| method.is_none_or(|method| method.id() != due)) {
        let mut errors = schema.validate(&traits);
        if let Some(method) = method {
            errors.0.extend(method.check(body).0);
        }
        errors.into_result()?;
    }
    // Nobody answers to this submit; the traits are looked at first (contract: login 9).
    let Some(method) = method else { return Err(FormErrors::global(Message::plain(4_010_003)).into()) };
    let location = match return_to(app, flow.query("return_to").as_deref()) {
        Ok(explicit) => explicit.unwrap_or_else(|| after_location(app, method.id())),
        Err(_) => return Err(FormErrors::global(Message::reason("The address to return to is not allowed.")).into()),
    };
    match method.apply(&RegistrationContext { app, visit, flow, schema }, body, traits).await? {
        RegistrationProposal::Sent(sent) => wait(app, visit, flow, method, *sent).await.map(|()| Reached::Waiting),
        RegistrationProposal::Depart(departure) => Ok(Reached::Departing(departure)),
        RegistrationProposal::Arrived(arrival) => Ok(Reached::Arrived(arrival)),
        RegistrationProposal::Create(applicant) => {
            let attempt = applicant.attempt.clone();
            let ending = Ending { transient_payload: transient.as_ref(), location };
            let created = match create_account(app, visit, flow, schema, method, *applicant, ending).await {
                Ok(registered) => Ok(registered),
                Err(NotCreated::Refused(refusal)) => Err(refusal),
                Err(NotCreated::Taken(traits)) => Err(FormErrors::global(taken(app, schema, &traits).await?).into()),
            };
            match (&created, attempt) {
                (Ok(_), Some(attempt)) => attempt.refund(app),
                // It was right, in vain.
                (Err(_), Some(attempt)) => attempt.give_back(app).await,
                (_, None) => {}
            }
            created.map(|registered| Reached::Registered(Box::new(registered)))
        }
    }
}

/// The member of a flow's memory that names the method whose message is waited for.
const DUE: &str = "due";

/// Sends a message, and from now on shows only where its answer goes.
async fn wait(
    app: &App,
    visit: &Visit,
    flow: &mut Flow<Registration>,
    method: &dyn RegistrationMethod,
    sent: Sent,
) -> Result<(), Refusal> {
    flow.memory.0.insert(method.id().to_owned(), sent.memory);
    flow.memory.0.insert(DUE.to_owned(), method.id().into());
    flow.form.say(sent.message);
    flow.state = EntryState::SentEmail;
    flow.extra.active = Some(method.id().to_owned());
    let mut batch = Batch::new();
    flow_rows::update(app, flow, &mut batch);
    let Queued { batch: codes, counted } = sent.queued;
    batch.append(codes);
    let committed = app.store.commit(batch).await;
    if committed.is_err() {
        attempts::give_back_all(app, counted).await;
    }
    match committed {
        Ok(()) => Ok(()),
        // Another submit of this flow was faster.
        Err(StoreError::Refused(Guarded::VersionConflict)) => {
            tracing::debug!(flow.id = %flow.id, client.address = visit.client.address.as_deref(), "A message was not sent");
            Err(FormErrors::global(Message::plain(4_010_003)).into())
        }
        Err(error) => Err(storage_problem(error).into()),
    }
}

/// What follows once the account is there.
struct Ending<'a> {
    transient_payload: Option<&'a serde_json::Map<String, Value>>,
    /// Where a browser goes.
    location: String,
}

/// Why no account was made.
enum NotCreated {
    /// One of these traits is somebody else's.
    Taken(Value),
    /// Anything else.
    Refused(Refusal),
}

impl<R: Into<Refusal>> From<R> for NotCreated {
    fn from(refusal: R) -> Self {
        Self::Refused(refusal.into())
    }
}

async fn create_account(
    app: &App,
    visit: &Visit,
    flow: &mut Flow<Registration>,
    schema: &IdentitySchema,
    method: &dyn RegistrationMethod,
    applicant: Applicant,
    Ending { transient_payload, location }: Ending<'_>,
) -> Result<Registered, NotCreated> {
    let edit = IdentityEdit { bounds: Bounds::from(&app.config.limits), ..applicant.edit };
    let mut derived = derive(schema, None, &edit, visit.now, app.random())?;
    let identity_id = derived.identity.id;
    let now = visit.now;
    let hooks = app.config.selfservice.flows.registration.flow.after.hooks_for(method.id());
    let issued = hooks.contains(&Hook::Session).then(|| {
        let token = SessionToken::generate(app.random());
        (login::new_session(app, visit, identity_id, &[applicant.proof]), token)
    });
    let cause = Cause {
        flow_type: flow.flow_type,
        request_url: &flow.request_url,
        session: issued.as_ref().map(|(session, _)| session.id),
        transient_payload,
    };
    let begun = verification_after::begin(app, visit, &cause, &derived.snapshot(), Which::Unverified).await?;
    begun.iter().for_each(|begun| begun.mark(&mut derived));
    let identity = derived.snapshot();

    // What is used up comes first: whoever is late there is told about the code.
    let mut batch = applicant.upkeep;
    derived.write(&mut batch);
    if let Some((session, token)) = &issued {
        session::insert(app, session, token, now, &mut batch);
        session_issued(session).write(app, &visit.client, now, &mut batch);
    }
    begun.iter().for_each(|begun| begun.write(app, &mut batch));
    let event = Event::done(EventKind::RegistrationSucceeded).identity(identity_id).flow(flow.id).method(method.id());
    event.write(app, &visit.client, now, &mut batch);
    if let Some(attempt) = &applicant.attempt {
        attempt.release(&mut batch);
    }
    flow.state = EntryState::PassedChallenge;
    flow.form.clear();
    flow.extra.active = Some(method.id().to_owned());
    flow_rows::update(app, flow, &mut batch);
    let mut continue_with = redirect(flow.flow_type, &location);
    continue_with.extend(verification_after::published(app, &begun, hooks));
    let page = begun.first().map(|begun| begun.page(app)).filter(|_| hooks.contains(&Hook::ShowVerificationUi));
    let outcome = app.store.commit(batch).await;
    if outcome.is_err() {
        verification_after::give_back(app, begun).await;
    }
    match outcome {
        Ok(()) => {}
        Err(StoreError::Unique(UniqueConflict::Key)) => {
            return Err(FormErrors::global(Message::reason(REGISTERED_ALREADY)).into());
        }
        Err(StoreError::Unique(_)) => return Err(NotCreated::Taken(identity.identity.traits)),
        // Two submits of one flow: the first one made the account.
        Err(StoreError::Refused(Guarded::VersionConflict | Guarded::AlreadyUsed)) => {
            return Err(FormErrors::global(Message::plain(4_010_003)).into());
        }
        Err(error) => return Err(storage_problem(error).into()),
    }

    let stored = wire_json(&identity.identity);
    let session = issued.map(|(session, token)| {
        if flow.flow_type == FlowType::Api {
            continue_with.push(ContinueWith::SetOrySessionToken { ory_session_token: token.reveal().clone() });
        }
        IssuedSession {
            token: Some(token.reveal().clone().into()),
            expires_at: session.expires_at,
            json: session_json(&session, true, Some(&stored), app.public_base()),
            rotate_csrf: true,
        }
    });
    Ok(Registered {
        flow_type: flow.flow_type,
        identity_id,
        identity: serve_identity(&stored, app.public_base()),
        session,
        location: page.unwrap_or(location),
        continue_with,
    })
}

/// Says that an address or name is taken and, where the operator wants it, how its owner signs in.
async fn taken(app: &App, schema: &IdentitySchema, traits: &Value) -> Result<Message, Problem> {
    if !app.config.selfservice.flows.registration.login_hints {
        return Ok(Message::plain(4_000_007));
    }
    let named = schema.password_identifiers(traits).into_iter().map(|name| (CredentialType::Password, name));
    let reached = schema.code_addresses(traits).into_iter().map(|(_, address)| (CredentialType::Code, address));
    for (kind, identifier) in named.chain(reached) {
        let owner = app.store.find_identity_by_identifier(kind, &identifier).await.map_err(storage_problem)?;
        let Some(owner) = owner else { continue };
        let context = json!({
            "available_credential_types": super::ways_in(app, &owner),
            "available_oidc_providers": app.oidc.connected(owner.credential(CredentialType::Oidc)),
            "credential_identifier_hint": identifier,
        });
        return Ok(Message::new(4_000_028, context));
    }
    Ok(Message::plain(4_000_007))
}

pub(super) async fn refuse(
    app: &App,
    visit: &Visit,
    flow: Flow<Registration>,
    method: Option<&dyn RegistrationMethod>,
    errors: FormErrors,
    echo: Vec<(String, Value)>,
) -> Result<RegistrationOutcome, Problem> {
    // The attempt may have left the flow half rewritten in memory: what is shown starts from what is stored.
    let mut flow = find(app, flow.id).await?;
    flow.form.clear();
    // Traits that a message was sent for stay those.
    for (node, value) in echo.into_iter().filter(|_| flow.state != EntryState::SentEmail) {
        flow.form.echo(node, value);
    }
    flow.form.refuse(errors);
    let mut batch = Batch::new();
    let mut event = Event::refused(EventKind::RegistrationFailed, "form").flow(flow.id);
    if let Some(method) = method {
        event = event.method(method.id());
    }
    event.write(app, &visit.client, visit.now, &mut batch);
    store_form(app, &mut flow, batch).await?;
    Ok(Outcome::Refused(view(app, visit, &flow)?))
}

/// Tells the person to wait.
async fn throttle(
    app: &App,
    visit: &Visit,
    flow: Flow<Registration>,
    method: Option<&dyn RegistrationMethod>,
    retry_after: u32,
    echo: Vec<(String, Value)>,
) -> Result<RegistrationOutcome, Problem> {
    let mut flow = find(app, flow.id).await?;
    flow.form.say(Message::new(7_900_001, json!({ "retry_after": retry_after })));
    for (node, value) in echo.into_iter().filter(|_| flow.state != EntryState::SentEmail) {
        flow.form.echo(node, value);
    }
    let mut batch = Batch::new();
    let mut event = Event::refused(EventKind::ThrottleEngaged, "too_many_attempts").flow(flow.id);
    if let Some(method) = method {
        event = event.method(method.id());
    }
    event.write(app, &visit.client, visit.now, &mut batch);
    store_form(app, &mut flow, batch).await?;
    Ok(Outcome::Throttled { view: view(app, visit, &flow)?, retry_after })
}

pub(super) fn begin(app: &App, visit: &Visit, flow_type: FlowType, request_url: &str) -> Flow<Registration> {
    let lifespan = app.config.selfservice.flows.registration.flow.lifespan;
    let extra = RegistrationExtra {
        browser: visit.browsers.first().filter(|_| flow_type == FlowType::Browser).cloned(),
        ..RegistrationExtra::default()
    };
    let mut flow: Flow<Registration> = new_flow(app, visit, flow_type, request_url, lifespan, EntryState::ChooseMethod, extra);
    flow.extra.organization_id = flow.query("organization").filter(|id| FlowId::parse(id).is_some());
    flow.extra.identity_schema = flow.query("identity_schema");
    flow
}

pub(super) async fn expire(app: &App, visit: &Visit, flow: &Flow<Registration>) -> Problem {
    let mut replacement = begin(app, visit, flow.flow_type, &flow.request_url);
    if let Err(problem) = remember(app, &mut replacement) {
        return problem;
    }
    exchange::hand_on(flow, &mut replacement);
    replace_expired(app, replacement, flow).await
}

/// Lets every method put what it needs until the submit into the flow's sealed memory.
fn remember(app: &App, flow: &mut Flow<Registration>) -> Result<(), Problem> {
    let schema = schema(app, flow)?;
    for method in REGISTRATION.iter().filter(|method| method.enabled(&app.config)) {
        if let Some(content) = method.remember(app, schema, flow) {
            flow.memory.0.insert(method.id().to_owned(), content);
        }
    }
    Ok(())
}

pub(super) async fn find(app: &App, id: FlowId) -> Result<Flow<Registration>, Problem> {
    flow_rows::find(app, id).await.map_err(storage_problem)?.ok_or(Problem::FlowNotFound)
}

fn schema<'a>(app: &'a App, flow: &Flow<Registration>) -> Result<&'a IdentitySchema, Problem> {
    // A schema that was taken out of the configuration while the flow was open: the flow has nothing to fill in any more.
    super::entry_schema(app, flow.extra.identity_schema.as_deref()).ok_or(Problem::FlowNotFound)
}

fn after_location(app: &App, method: &str) -> String {
    let configured = app.config.selfservice.flows.registration.flow.after.return_url(method);
    configured.map_or_else(|| super::default_location(app), str::to_owned)
}

pub(super) fn view(app: &App, visit: &Visit, flow: &Flow<Registration>) -> Result<RegistrationView, Problem> {
    let schema = schema(app, flow)?;
    let context = RegistrationContext { app, visit, flow, schema };
    let enabled = || REGISTRATION.iter().filter(|method| method.enabled(&app.config));
    let due = flow.memory.0.get(DUE).and_then(Value::as_str);
    // Switched off meanwhile, it is not waited for.
    let due = due.filter(|due| flow.state == EntryState::SentEmail && enabled().any(|method| method.id() == *due));
    let sent_for = due.and_then(|due| flow.memory.0.get(due)).and_then(|memory| memory.get(TRAITS));
    let traits = sent_for.or_else(|| flow.form.echoed(TRAITS));
    let mut nodes = schema.trait_nodes(Group::Default, traits.unwrap_or(&json!({})));
    if due.is_some() {
        nodes = nodes.into_iter().map(|node| node.with(|input| input.input_type = InputType::Hidden)).collect();
    }
    // Somebody whose traits a provider did not tell in full comes from there; no other method asks for them.
    let completing = flow.memory.0.get("oidc").is_some_and(|memory| memory.get(COMPLETING).is_some());
    let due = due.or(completing.then_some("oidc"));
    let shown = enabled().filter(|method| due.is_none_or(|due| due == method.id()));
    nodes.extend(shown.flat_map(|method| method.nodes(&context)));
    // The password stands behind the first trait (contract: login 5.5).
    let mut keys = vec!["csrf_token".to_owned()];
    let mut traits = schema.node_keys().into_iter();
    keys.extend(traits.next());
    keys.push("password".to_owned());
    keys.extend(traits);
    keys.extend(["webauthn_remove", "webauthn_register_displayname", "webauthn_register"].map(str::to_owned));
    let ui = ui(app, visit, flow, nodes, |nodes| sort_entry(nodes, &NodeOrder { groups: REGISTRATION_GROUPS, keys: &keys }));
    Ok(RegistrationView {
        id: flow.id,
        flow_type: flow.flow_type,
        expires_at: flow.expires_at,
        issued_at: flow.issued_at,
        request_url: flow.request_url.clone(),
        return_to: flow.query("return_to"),
        active: flow.extra.active.clone(),
        ui,
        organization_id: flow.extra.organization_id.clone(),
        state: flow.state,
        identity_schema: flow.extra.identity_schema.clone(),
        transient_payload: None,
        session_token_exchange_code: None,
    })
}
