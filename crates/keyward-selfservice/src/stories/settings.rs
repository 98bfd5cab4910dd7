//! The settings story: everything that signed-in people do to their own account.
//! `http` tells it for `/self-service/settings…`; the built-in pages and every other client go the same way.
//! Read [`submit`] top to bottom: it is the whole story of a change, from the door to the commit.

use keyward_model::{
    ContainerId, Flow, FlowId, FlowOrigin, FlowType, FormErrors, IdentitySnapshot, Message, NodeOrder, Operation, Problem,
    SETTINGS_GROUPS, SETTINGS_KEYS, Settings, SettingsExtra, SettingsState, sort_settings, wire_json,
};
use keyward_services::audit::{Event, EventKind};
use keyward_services::continuity;
use keyward_services::derive::derive;
use keyward_services::payload::Payload;
use keyward_services::schema::IdentitySchema;
use keyward_services::session::{ActiveSession, find_active_by_id, serve_identity};
use keyward_services::{App, flow_rows, storage_problem};
use keyward_store::{Batch, ContainerRow, Refusal as Guarded, StoreError, UniqueConflict};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

mod arriving;
mod contributions;
mod new_address;
mod paused;

pub(super) use arriving::{arrive, find_left, refuse_arrival};
use contributions::{contribute, note_change, note_success, raise, refused};
use new_address::{hold, one_at_a_time};
use paused::{Taken, pause, take};

use super::verification_after::{self, Cause, Which};
use super::{new_flow, note, pending_traits, provider, redirect, replace_expired, return_to, schema_of, store_form, ui};
use crate::gate::{self, Admission};
use crate::methods::oidc::{Arrival, Connect, Departure};
use crate::methods::{
    Change, Proposal, REGISTERED_ALREADY, Refusal, SETTINGS, SettingsContext, SettingsMethod, SettingsStep, ShowOnce,
};
use crate::outcome::{Outcome, Saved, SettingsOutcome};
use crate::view::SettingsView;
use crate::visit::{Submitted, Visit};

/// How often a change is worked out anew when somebody else wrote in between (decisions 5.2).
const ATTEMPTS: u32 = 3;

/// Opens a settings flow (contract: settings 1.3, 1.4).
///
/// # Errors
/// Without a session, with too low a level, or with a `return_to` that is not allowed.
pub async fn create(app: &App, visit: &mut Visit, flow_type: FlowType, request_url: &str) -> Result<SettingsOutcome, Problem> {
    let active = gate::session(visit)?.clone();
    let mut flow = fresh_flow(app, visit, &active, flow_type, request_url);
    let asked = flow.query("return_to");
    // Only a browser that asked to come back is led through the second factor and back to this very address, by the name that
    // the public knows: a proxy may have asked for it under another one.
    let resume = asked.as_ref().filter(|_| flow_type == FlowType::Browser).map(|_| super::public_url(app, request_url));
    let (identity, schema) = identity(app, &active).await?;
    gate::level(app, &active, &identity, resume)?;
    return_to(app, asked.as_deref())?;
    remember(app, visit, &mut flow, &identity, schema);
    let context = SettingsContext { app, visit, flow: &flow, identity: &identity, schema };
    let openings: Vec<_> = enabled(app).filter_map(|method| method.opening(&context)).collect();
    flow.form.messages.extend(openings);

    let mut batch = Batch::new();
    if flow_type == FlowType::Browser {
        continuity::abort_all(&mut visit.held, &mut batch);
    }
    flow_rows::insert(app, &flow, &mut batch);
    app.store.commit(batch).await.map_err(storage_problem)?;
    Ok(Outcome::Created(view(app, visit, &flow, &identity, schema)))
}

/// Reads a settings flow (contract: settings 1.5).
///
/// # Errors
/// Without a session, for an unknown, foreign or expired flow, or with too low a level.
pub async fn fetch(app: &App, visit: &mut Visit, id: Option<FlowId>) -> Result<SettingsOutcome, Problem> {
    let active = gate::session(visit)?.clone();
    let flow = find(app, id.ok_or(Problem::FlowNotFound)?).await?;
    visit.flow_type = Some(flow.flow_type);
    gate::ownership(&flow, active.session.identity_id)?;
    let (identity, schema) = identity(app, &active).await?;
    gate::level(app, &active, &identity, Some(gate::page_url(ui_url(app), flow.id)))?;
    if flow.is_expired(visit.now) {
        return Err(Problem::FlowGone { flow_type: flow.flow_type, return_to: flow.query("return_to") });
    }
    Ok(Outcome::Shown(view(app, visit, &flow, &identity, schema)))
}

/// Changes something (contract: settings 1.6, 3.0).
///
/// # Errors
/// Everything that is not shown on the form itself.
pub async fn submit(app: &App, visit: &mut Visit, id: Option<FlowId>, submitted: Submitted) -> Result<SettingsOutcome, Problem> {
    let active = gate::session(visit)?.clone();
    let mut flow = find(app, id.ok_or(Problem::FlowIdMalformed)?).await?;
    visit.flow_type = Some(flow.flow_type);
    let (identity, schema) = identity(app, &active).await?;
    gate::level(app, &active, &identity, Some(gate::submit_url(app, &flow)))?;
    if let Err(problem) = gate::ownership(&flow, active.session.identity_id) {
        let event =
            Event::refused(EventKind::IdentityMismatch, "foreign_flow").identity(active.session.identity_id).flow(flow.id);
        note(app, &visit.client, visit.now, event).await;
        return Err(problem);
    }
    if flow.is_expired(visit.now) {
        return Err(expire(app, visit, &active, &flow).await);
    }
    let Taken { body, paused } = match take(app, visit, &flow, submitted).await? {
        Ok(taken) => taken,
        Err(errors) => return refuse(app, visit, flow, &identity, schema, Refused::form(None, errors)).await,
    };
    let Some(method) = SETTINGS.iter().copied().find(|method| method.claims(&body)) else {
        let errors = FormErrors::global(Message::plain(4_010_004));
        return refuse(app, visit, flow, &identity, schema, Refused::form(None, errors)).await;
    };
    let replayed = paused.is_some();
    let submit = Submit { app, visit, active: &active, method, source: Source::Submitted { body: &body, paused } };
    match change(&submit, &mut flow, &identity, schema).await {
        Ok(Changed::Saved(saved)) => Ok(Outcome::Done(saved)),
        Ok(Changed::Kept(view)) => Ok(Outcome::Continued(view)),
        Ok(Changed::Held { view, location }) => Ok(Outcome::LedOn { view, location }),
        Ok(Changed::Departing(departure)) => {
            // Replayed once: what was paused has led to where it wanted.
            let mut batch = Batch::new();
            if let Some(container) = submit.paused() {
                batch.consume_container(container, visit.now);
            }
            provider::leave(app, visit, flow, *departure, batch).await
        }
        // API flows never pause, and what was paused once waits where it is.
        Err(Refusal::Problem(problem @ Problem::RefreshRequired { .. })) if flow.flow_type == FlowType::Browser && !replayed => {
            pause(app, visit, &flow, &active, method, &body).await?;
            Err(problem)
        }
        Err(Refusal::Problem(problem)) => Err(refused(&submit, flow.id, problem).await),
        Err(Refusal::Form(errors)) => {
            let context = SettingsContext { app, visit, flow: &flow, identity: &identity, schema };
            let echo = submit.echo(&context);
            // Replayed once: whatever is sent now is what was typed last.
            let spent = submit.paused().map(|container| container.id);
            refuse(app, visit, flow, &identity, schema, Refused { method: Some(method.id()), errors, echo, spent }).await
        }
    }
}

/// One submit, once it is known whom it is for.
struct Submit<'a> {
    app: &'a App,
    visit: &'a Visit,
    active: &'a ActiveSession,
    method: &'static dyn SettingsMethod,
    source: Source<'a>,
}

/// What a submit brings.
enum Source<'a> {
    /// A body.
    Submitted {
        body: &'a Payload,
        /// The container it was taken from, when it is a replay.
        paused: Option<ContainerRow>,
    },
    /// Somebody who is back from a provider.
    Returned(&'a Arrival),
}

impl Submit<'_> {
    const fn paused(&self) -> Option<&ContainerRow> {
        match &self.source {
            Source::Submitted { paused, .. } => paused.as_ref(),
            Source::Returned(_) => None,
        }
    }

    /// What a refused form shows again.
    fn echo(&self, context: &SettingsContext<'_>) -> Vec<(String, Value)> {
        match &self.source {
            Source::Submitted { body, .. } => self.method.echo(context, body),
            Source::Returned(_) => Vec::new(),
        }
    }

    fn transient_payload(&self) -> Result<Option<Map<String, Value>>, FormErrors> {
        match &self.source {
            Source::Submitted { body, .. } => body.transient_payload(self.app.config.limits.transient_payload_bytes),
            Source::Returned(arrival) => Ok(arrival.transient_payload.clone()),
        }
    }
}

/// What a submit came to.
enum Changed {
    /// The identity was changed.
    Saved(Saved),
    /// The flow keeps and shows something.
    Kept(SettingsView),
    /// The change waits until its new address is confirmed.
    Held {
        /// The flow, which names the one that takes the code.
        view: SettingsView,
        /// The page that takes it.
        location: String,
    },
    /// The person goes to a provider first.
    Departing(Box<Departure>),
}

/// The way of one change through the gate to the commit.
async fn change(
    submit: &Submit<'_>,
    flow: &mut Flow<Settings>,
    identity: &IdentitySnapshot,
    schema: &IdentitySchema,
) -> Result<Changed, Refusal> {
    let Submit { app, visit, method, .. } = *submit;
    if !method.enabled(&app.config) {
        return Err(Problem::MethodDisabled.into());
    }
    let (proposal, terms) = decide(submit, flow, identity, schema).await?;
    match proposal {
        Proposal::Apply(change) => {
            let decided = Decided { change: *change, terms };
            commit(submit, flow, identity.clone(), schema, decided).await
        }
        Proposal::Remember { memory, events } => {
            let transient = submit.transient_payload()?;
            keep(submit, flow, Kept { memory, events, admission: terms.admission }).await?;
            let mut view = view(app, visit, flow, identity, schema);
            // Clients know this answer by it (contract: settings 2.1).
            view.transient_payload = Some(transient.unwrap_or_default());
            Ok(Changed::Kept(view))
        }
        // What admits it is used up when they come back.
        Proposal::Depart(departure) => Ok(Changed::Departing(departure)),
    }
}

/// Reads the submit, leads it through the gate and works out what it comes to, for the identity and flow as they are given.
async fn decide(
    submit: &Submit<'_>,
    flow: &Flow<Settings>,
    identity: &IdentitySnapshot,
    schema: &IdentitySchema,
) -> Result<(Proposal, Terms), Refusal> {
    let Submit { app, visit, method, .. } = *submit;
    let context = SettingsContext { app, visit, flow, identity, schema };
    submit.transient_payload()?;
    let step: Box<dyn SettingsStep> = match &submit.source {
        Source::Submitted { body, paused } => {
            let step = method.decode(&context, body)?;
            if paused.is_none() {
                // A replay was guarded before it was paused, and its token may have been renewed by the re-login.
                gate::guard_submit(flow.flow_type, visit, method.id(), body)?;
            }
            step
        }
        // Guarded when they left.
        Source::Returned(arrival) => Box::new(Connect((*arrival).clone())),
    };
    let location = location(app, flow, method.id()).map_err(forbidden_return)?;
    let operation = step.operation();
    let admission = gate::admit(app, visit, submit.active, flow, operation, identity).await?;
    Ok((step.propose(&context).await?, Terms { operation, admission, location }))
}

/// On what terms a change was let through.
struct Terms {
    operation: Operation,
    admission: Admission,
    /// Where a browser goes afterwards.
    location: String,
}

/// What a flow keeps without a change of the identity.
struct Kept {
    memory: Value,
    events: Vec<Event>,
    admission: Admission,
}

/// Writes what the flow keeps. The state stays what it was, and earlier messages go.
async fn keep(submit: &Submit<'_>, flow: &mut Flow<Settings>, kept: Kept) -> Result<(), Refusal> {
    let Submit { app, method, .. } = *submit;
    let mut batch = Batch::new();
    admitted(submit, kept.admission, &mut batch);
    flow.form.clear();
    flow.extra.last_method = Some(method.id().to_owned());
    ShowOnce::forget(&mut flow.memory);
    flow.memory.0.insert(method.id().to_owned(), kept.memory);
    for event in kept.events {
        note_change(submit, flow.id, event, &mut batch);
    }
    flow_rows::update(app, flow, &mut batch);
    match app.store.commit(batch).await {
        Ok(()) => Ok(()),
        Err(StoreError::Refused(Guarded::AlreadyUsed)) => Err(gate::refresh_again(app, submit.active, flow).into()),
        Err(StoreError::Refused(Guarded::VersionConflict)) => Err(beaten().into()),
        Err(error) => Err(storage_problem(error).into()),
    }
}

/// Uses up what admitted the submit.
fn admitted(submit: &Submit<'_>, admission: Admission, batch: &mut Batch) {
    if let Admission::Grant(grant) = admission {
        batch.consume_grant(grant, submit.visit.now);
    }
    if let Some(container) = submit.paused() {
        batch.consume_container(container, submit.visit.now);
    }
}

fn beaten() -> FormErrors {
    FormErrors::global(Message::reason("Somebody else changed this account at the same moment. Look at it and try again."))
}

/// What remains to be written once a change is worked out.
struct Decided {
    change: Change,
    terms: Terms,
}

/// Writes the change and everything that belongs to it in one commit. When somebody else was faster, it is decided anew on top
/// of theirs, from the submit to the gate.
async fn commit(
    submit: &Submit<'_>,
    flow: &mut Flow<Settings>,
    mut before: IdentitySnapshot,
    schema: &IdentitySchema,
    mut decided: Decided,
) -> Result<Changed, Refusal> {
    let Submit { app, visit, active, method, .. } = *submit;
    let transient = submit.transient_payload()?;
    let mut attempt = 1;
    loop {
        let raised = raise(&active.session, decided.terms.operation, &decided.change.proofs, visit.now);
        // What is shown after the commit is shown to the raised session.
        let mut afterwards = visit.clone();
        if let (Some(after), Some(raised)) = (&mut afterwards.session, &raised) {
            after.session = raised.clone();
        }
        let mut derived = derive(schema, Some(&before), &decided.change.edit, visit.now, app.random())?;
        // Demanded again on what will really be written: a hook, or another request, may have made more of it.
        let admission = if derived.touches_protected() {
            gate::admit(app, visit, active, flow, Operation::EditProtectedTraits, &before).await?
        } else {
            decided.terms.admission
        };
        match pending_traits::new_addresses(app, method.id(), &before, &derived).as_slice() {
            [] => {}
            [address] => return hold(submit, flow, (&before, schema), &derived, address, admission).await,
            _ => return one_at_a_time(submit, flow, &before, schema).await,
        }
        let cause = Cause {
            flow_type: flow.flow_type,
            request_url: &flow.request_url,
            session: Some(active.session.id),
            transient_payload: transient.as_ref(),
        };
        let begun = verification_after::begin(app, visit, &cause, &derived.snapshot(), Which::Pending).await?;
        begun.iter().for_each(|begun| begun.mark(&mut derived));
        let after = derived.snapshot();
        flow.state = SettingsState::Success;
        flow.form.say(Message::plain(1_050_001));
        flow.extra.last_method = Some(method.id().to_owned());
        if let Source::Returned(_) = submit.source {
            flow.extra.active = Some(method.id().to_owned());
        }
        if decided.terms.operation == Operation::ChangePassword {
            // What a recovery admits, it admits once.
            flow.extra.origin = FlowOrigin::Normal;
        }
        remember(app, visit, flow, &after, schema);

        if let Some(codes) = &decided.change.show_once {
            codes.keep(&mut flow.memory);
        }

        let mut batch = Batch::new();
        admitted(submit, admission, &mut batch);
        derived.write(&mut batch);
        if let Some(raised) = &raised {
            batch.raise_session(raised, visit.now);
        }
        begun.iter().for_each(|begun| begun.write(app, &mut batch));
        contribute(submit, &derived, flow, transient.as_ref(), &mut batch);
        note_success(submit, flow.id, &decided.change, &derived.changed_traits(), &mut batch);
        flow_rows::update(app, flow, &mut batch);

        let next: Vec<_> = begun.iter().map(|begun| begun.next(app)).collect();
        let outcome = app.store.commit(batch).await;
        if outcome.is_err() {
            verification_after::give_back(app, begun).await;
        }
        match outcome {
            Ok(()) => {
                let mut view = view(app, &afterwards, flow, &after, schema);
                let location = decided.terms.location;
                view.continue_with = next;
                view.continue_with.extend(redirect(flow.flow_type, &location));
                return Ok(Changed::Saved(Saved { view, location, session_expires_at: active.session.expires_at }));
            }
            Err(StoreError::Refused(Guarded::VersionConflict)) if attempt < ATTEMPTS => {
                attempt += 1;
                *flow = find(app, flow.id).await?;
                before = self::identity(app, active).await?.0;
                let (Proposal::Apply(change), terms) = decide(submit, flow, &before, schema).await? else {
                    return Err(beaten().into());
                };
                decided = Decided { change: *change, terms };
            }
            Err(StoreError::Refused(Guarded::VersionConflict)) => return Err(beaten().into()),
            // The session was ended, or raised by another request, while this one was worked out.
            Err(StoreError::Refused(Guarded::Gone)) => {
                let session = find_active_by_id(app, active.session.id, visit.now).await.map_err(storage_problem)?;
                return Err(if session.is_some() { beaten().into() } else { Problem::SessionInactive.into() });
            }
            Err(StoreError::Refused(Guarded::AlreadyUsed)) => {
                return Err(gate::refresh_again(app, active, flow).into());
            }
            Err(StoreError::Unique(UniqueConflict::Key)) => {
                return Err(FormErrors::global(Message::reason(REGISTERED_ALREADY)).into());
            }
            Err(StoreError::Unique(_)) => return Err(FormErrors::global(Message::plain(4_000_007)).into()),
            Err(error) => return Err(storage_problem(error).into()),
        }
    }
}

/// What a refused form shows.
struct Refused {
    method: Option<&'static str>,
    errors: FormErrors,
    echo: Vec<(String, Value)>,
    /// The container whose payload it was, when it was a replay.
    spent: Option<ContainerId>,
}

impl Refused {
    const fn form(method: Option<&'static str>, errors: FormErrors) -> Self {
        Self { method, errors, echo: Vec::new(), spent: None }
    }
}

async fn refuse(
    app: &App,
    visit: &Visit,
    flow: Flow<Settings>,
    identity: &IdentitySnapshot,
    schema: &IdentitySchema,
    refused: Refused,
) -> Result<SettingsOutcome, Problem> {
    // The change may have left the flow half rewritten in memory: what is shown starts from what is stored.
    let mut flow = find(app, flow.id).await?;
    flow.form.clear();
    ShowOnce::forget(&mut flow.memory);
    for (node, value) in refused.echo {
        flow.form.echo(node, value);
    }
    flow.form.refuse(refused.errors);
    flow.extra.last_method = refused.method.map(str::to_owned);
    let mut batch = Batch::new();
    batch.drop_containers(refused.spent.as_slice());
    let mut event = Event::refused(EventKind::SettingsFailed, "form").identity(flow.extra.identity_id).flow(flow.id);
    if let Some(method) = refused.method {
        event = event.method(method);
    }
    event.write(app, &visit.client, visit.now, &mut batch);
    store_form(app, &mut flow, batch).await?;
    Ok(Outcome::Refused(view(app, visit, &flow, identity, schema)))
}

async fn expire(app: &App, visit: &Visit, active: &ActiveSession, flow: &Flow<Settings>) -> Problem {
    let mut replacement = fresh_flow(app, visit, active, flow.flow_type, &flow.request_url);
    replacement.extra.origin = flow.extra.origin;
    match identity(app, active).await {
        Ok((identity, schema)) => remember(app, visit, &mut replacement, &identity, schema),
        Err(problem) => return problem,
    }
    replace_expired(app, replacement, flow).await
}

pub(super) fn fresh_flow(
    app: &App,
    visit: &Visit,
    active: &ActiveSession,
    flow_type: FlowType,
    request_url: &str,
) -> Flow<Settings> {
    let extra =
        SettingsExtra { identity_id: active.session.identity_id, origin: FlowOrigin::Normal, last_method: None, active: None };
    let lifespan = app.config.selfservice.flows.settings.flow.lifespan;
    new_flow(app, visit, flow_type, request_url, lifespan, SettingsState::ShowForm, extra)
}

/// The methods that the operator switched on.
fn enabled(app: &App) -> impl Iterator<Item = &'static dyn SettingsMethod> {
    SETTINGS.iter().copied().filter(|method| method.enabled(&app.config))
}

/// Lets every method put what it needs until the submit into the flow's sealed memory.
pub(super) fn remember(
    app: &App,
    visit: &Visit,
    flow: &mut Flow<Settings>,
    identity: &IdentitySnapshot,
    schema: &IdentitySchema,
) {
    let mut memory = keyward_model::Memory::default();
    for method in enabled(app) {
        let context = SettingsContext { app, visit, flow, identity, schema };
        if let Some(content) = method.remember(&context) {
            memory.0.insert(method.id().to_owned(), content);
        }
    }
    flow.memory = memory;
}

async fn find(app: &App, id: FlowId) -> Result<Flow<Settings>, Problem> {
    flow_rows::find(app, id).await.map_err(storage_problem)?.ok_or(Problem::FlowNotFound)
}

/// The identity of the session with its schema.
async fn identity<'a>(app: &'a App, active: &ActiveSession) -> Result<(IdentitySnapshot, &'a IdentitySchema), Problem> {
    let snapshot = app.store.find_identity(active.session.identity_id).await.map_err(storage_problem)?;
    // Deleted between the session check and now: the session is gone with it.
    let snapshot = snapshot.ok_or(Problem::SessionInactive)?;
    let schema = schema_of(app, &snapshot)?;
    Ok((snapshot, schema))
}

fn ui_url(app: &App) -> &str {
    app.config.selfservice.flows.settings.flow.ui_url.as_str()
}

/// Where a browser goes after success (contract: settings 1.11.3).
fn location(app: &App, flow: &Flow<Settings>, method: &str) -> Result<String, Problem> {
    if let Some(explicit) = return_to(app, flow.query("return_to").as_deref())? {
        return Ok(explicit);
    }
    let configured = app.config.selfservice.flows.settings.flow.after.return_url(method);
    Ok(configured.map_or_else(|| gate::page_url(ui_url(app), flow.id), str::to_owned))
}

/// A `return_to` that was allowed when the flow began and is not any more is shown on the form (contract: settings 1.11.3).
fn forbidden_return(problem: Problem) -> Refusal {
    match problem {
        Problem::ReturnToForbidden { .. } => {
            FormErrors::global(Message::reason("The address to return to is not allowed.")).into()
        }
        other => other.into(),
    }
}

fn view(app: &App, visit: &Visit, flow: &Flow<Settings>, identity: &IdentitySnapshot, schema: &IdentitySchema) -> SettingsView {
    let context = SettingsContext { app, visit, flow, identity, schema };
    let nodes = enabled(app).flat_map(|method| method.nodes(&context)).collect();
    let keys: Vec<String> = schema.node_keys().into_iter().chain(SETTINGS_KEYS.iter().map(|key| (*key).to_owned())).collect();
    let ui = ui(app, visit, flow, nodes, |nodes| sort_settings(nodes, &NodeOrder { groups: SETTINGS_GROUPS, keys: &keys }));
    SettingsView {
        id: flow.id,
        flow_type: flow.flow_type,
        expires_at: flow.expires_at,
        issued_at: flow.issued_at,
        request_url: flow.request_url.clone(),
        return_to: flow.query("return_to"),
        active: flow.extra.active.clone(),
        ui,
        identity: raw(serve_identity(&wire_json(&identity.identity), app.public_base())),
        state: flow.state,
        organization_id: None,
        continue_with: Vec::new(),
        transient_payload: None,
    }
}

/// Text that this server just serialised; the fallback is unreachable and still valid JSON.
fn raw(json: String) -> Box<RawValue> {
    RawValue::from_string(json).unwrap_or_default()
}
