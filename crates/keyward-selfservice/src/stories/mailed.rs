//! What recovery and verification have in common: flows that begin with an address and go on with what is sent to it.
//! Their stories open, read and replace flows here, and ask here how a code is sent and tried.
//! Knows neither what a code gives nor how an answer looks.

use keyward_config::{MailedFlow, MailedStrategy};
use keyward_model::{
    EntryState, Flow, FlowId, FlowType, FormErrors, Group, IdentitySnapshot, InputType, Kind, MailedExtra, Message, Node, Owner,
    Problem, Ui, Via, wire_json,
};
use keyward_services::audit::{Event, EventKind};
use keyward_services::courier::{self, Mail, Template};
use keyward_services::{App, codes, flow_rows, session, storage_problem};
use keyward_store::Batch;
use serde_json::{Map, Value};

use super::{new_flow, note, return_to, same_browser, store_form};
use crate::gate;
use crate::methods::Refusal;
use crate::outcome::Outcome;
use crate::view::MailedView;
use crate::visit::Visit;

/// The kinds of flow that this is about.
pub(super) trait Mailed: Kind<State = EntryState, Extra = MailedExtra> {
    /// The operator's settings.
    fn settings(app: &App) -> &MailedFlow;
    /// What the flow shows, ordered.
    fn ui(app: &App, visit: &Visit, flow: &Flow<Self>) -> Ui
    where
        Self: Sized;
}

/// The wire's word of a method.
pub(super) const fn method(strategy: MailedStrategy) -> &'static str {
    match strategy {
        MailedStrategy::Code => "code",
        MailedStrategy::Link => "link",
    }
}

/// Whether the operator switched a method on.
pub(super) const fn is_enabled(app: &App, strategy: MailedStrategy) -> bool {
    match strategy {
        MailedStrategy::Code => app.config.selfservice.methods.code.enabled,
        MailedStrategy::Link => app.config.selfservice.methods.link.enabled,
    }
}

/// Opens a flow.
///
/// # Errors
/// When the flow or its method is switched off, and for a `return_to` that is not allowed.
pub(super) async fn create<K: Mailed, S>(
    app: &App,
    visit: &Visit,
    flow_type: FlowType,
    request_url: &str,
) -> Result<Outcome<MailedView, S>, Problem> {
    let settings = K::settings(app);
    if !settings.enabled {
        return Err(Problem::FlowDisabled);
    }
    if !is_enabled(app, settings.strategy) {
        let reason = format!("The method {} is switched off, and {} uses it.", method(settings.strategy), K::NAME);
        return Err(Problem::BadRequest { reason });
    }
    let flow: Flow<K> = begin(app, visit, flow_type, request_url);
    return_to(app, flow.query("return_to").as_deref())?;
    let mut batch = Batch::new();
    flow_rows::insert(app, &flow, &mut batch);
    app.store.commit(batch).await.map_err(storage_problem)?;
    Ok(Outcome::Created(view(app, visit, &flow)))
}

/// A flow at its beginning, read only by the browser of this visit.
pub(super) fn begin<K: Mailed>(app: &App, visit: &Visit, flow_type: FlowType, request_url: &str) -> Flow<K> {
    let settings = K::settings(app);
    let extra = MailedExtra {
        active: Some(method(settings.strategy).to_owned()),
        browser: visit.browsers.first().filter(|_| flow_type == FlowType::Browser).cloned(),
        unbound: false,
        session: None,
    };
    let mut flow = new_flow(app, visit, flow_type, request_url, settings.flow.lifespan, EntryState::ChooseMethod, extra);
    // Whoever is signed in has nothing to do with whose address it is about.
    flow.owner = Owner::default();
    flow
}

/// Reads a flow.
///
/// # Errors
/// For an unknown or expired flow, and in another browser than the one that opened it.
pub(super) async fn fetch<K: Mailed, S>(
    app: &App,
    visit: &mut Visit,
    id: Option<FlowId>,
) -> Result<Outcome<MailedView, S>, Problem> {
    let flow: Flow<K> = find(app, id.ok_or(Problem::FlowNotFound)?).await?;
    visit.flow_type = Some(flow.flow_type);
    is_readers(&flow, visit)?;
    if flow.is_expired(visit.now) {
        return Err(Problem::FlowGone { flow_type: flow.flow_type, return_to: flow.query("return_to") });
    }
    Ok(Outcome::Shown(view(app, visit, &flow)))
}

/// Whether a flow is read by whom it is for: the browser that opened it, the session that another flow made it for, or anybody
/// where it waits for nobody in particular.
pub(super) fn is_readers<K: Mailed>(flow: &Flow<K>, visit: &Visit) -> Result<(), Problem> {
    let session = visit.session.as_ref().map(|active| active.session.id);
    if flow.extra.unbound || (session.is_some() && flow.extra.session == session) {
        return Ok(());
    }
    same_browser(flow.flow_type, flow.extra.browser.as_deref(), visit)
}

/// The flow of a submit.
///
/// # Errors
/// For an unknown or expired one, in another browser than the one that it is for, and where the operator switched the flow off.
pub(super) async fn submitted<K: Mailed>(app: &App, visit: &mut Visit, id: Option<FlowId>) -> Result<Flow<K>, Problem> {
    let flow: Flow<K> = find(app, id.ok_or(Problem::FlowIdMalformed)?).await?;
    visit.flow_type = Some(flow.flow_type);
    if !K::settings(app).enabled {
        return Err(Problem::FlowDisabled);
    }
    if let Err(problem) = is_readers(&flow, visit) {
        note(app, &visit.client, visit.now, Event::refused(EventKind::CsrfRefused, "csrf").flow(flow.id)).await;
        return Err(problem);
    }
    if flow.is_expired(visit.now) {
        let replacement = begin(app, visit, flow.flow_type, &flow.request_url);
        return Err(super::replace_expired(app, replacement, &flow).await);
    }
    Ok(flow)
}

/// Protects a submit as the flow's type needs it; a forged one is noted.
pub(super) async fn guard<K: Mailed>(app: &App, visit: &Visit, flow: &Flow<K>) -> Result<(), Refusal> {
    let guarded = gate::guard(flow.flow_type, visit);
    if let Err(Refusal::Problem(Problem::Csrf(_))) = guarded {
        note(app, &visit.client, visit.now, Event::refused(EventKind::CsrfRefused, "csrf").flow(flow.id)).await;
    }
    guarded
}

/// Stores a flow in the place of one that cannot go on, and says where it is.
pub(super) async fn replace<K: Mailed>(app: &App, visit: &Visit, over: &Flow<K>, message: Message) -> Problem {
    let reason = message.text.clone();
    let mut replacement: Flow<K> = begin(app, visit, over.flow_type, &over.request_url);
    replacement.form.say(message);
    let mut batch = Batch::new();
    flow_rows::insert(app, &replacement, &mut batch);
    match app.store.commit(batch).await {
        Ok(()) => Problem::FlowReplaced { replacement: replacement.id, flow_type: over.flow_type, reason },
        Err(error) => storage_problem(error),
    }
}

/// Replaces a flow on which too many codes were tried.
pub(super) async fn over<K: Mailed>(app: &App, visit: &Visit, flow: &Flow<K>) -> Problem {
    let reason = "Too many codes were tried here. Enter your address again to get a new one.";
    replace(app, visit, flow, Message::reason(reason)).await
}

/// Shows a form again with what is wrong.
pub(super) async fn refuse<K: Mailed, S>(
    app: &App,
    visit: &Visit,
    flow: &Flow<K>,
    errors: FormErrors,
) -> Result<Outcome<MailedView, S>, Problem> {
    // What is shown starts from what is stored.
    let mut flow: Flow<K> = find(app, flow.id).await?;
    flow.form.clear();
    flow.form.refuse(errors);
    store_form(app, &mut flow, Batch::new()).await?;
    Ok(Outcome::Refused(view(app, visit, &flow)))
}

/// Says something on the flow that is neither a success nor a mistake in the form: programs get it with 200.
pub(super) async fn say<K: Mailed, S>(
    app: &App,
    visit: &Visit,
    flow: &Flow<K>,
    message: Message,
    batch: Batch,
) -> Result<Outcome<MailedView, S>, Problem> {
    let mut flow: Flow<K> = find(app, flow.id).await?;
    flow.form.say(message);
    store_form(app, &mut flow, batch).await?;
    Ok(Outcome::Continued(view(app, visit, &flow)))
}

/// Tells the person to wait.
pub(super) async fn throttle<K: Mailed, S>(
    app: &App,
    visit: &Visit,
    flow: &Flow<K>,
    retry_after: u32,
) -> Result<Outcome<MailedView, S>, Problem> {
    let mut flow: Flow<K> = find(app, flow.id).await?;
    flow.form.say(Message::new(7_900_001, serde_json::json!({ "retry_after": retry_after })));
    let mut batch = Batch::new();
    let event = Event::refused(EventKind::ThrottleEngaged, "too_many_attempts").flow(flow.id).method("code");
    event.write(app, &visit.client, visit.now, &mut batch);
    store_form(app, &mut flow, batch).await?;
    Ok(Outcome::Throttled { view: view(app, visit, &flow), retry_after })
}

pub(super) async fn find<K: Mailed>(app: &App, id: FlowId) -> Result<Flow<K>, Problem> {
    flow_rows::find(app, id).await.map_err(storage_problem)?.ok_or(Problem::FlowNotFound)
}

pub(super) fn view<K: Mailed>(app: &App, visit: &Visit, flow: &Flow<K>) -> MailedView {
    MailedView {
        id: flow.id,
        flow_type: flow.flow_type,
        expires_at: flow.expires_at,
        issued_at: flow.issued_at,
        request_url: flow.request_url.clone(),
        return_to: flow.query("return_to"),
        active: flow.extra.active.clone(),
        ui: K::ui(app, visit, flow),
        state: flow.state,
        continue_with: Vec::new(),
        transient_payload: None,
    }
}

/// A message with a code, to an address that an account has or has not.
pub(super) struct Letter<'a> {
    /// By mail or as a text message.
    pub(super) via: Via,
    /// The canonical address.
    pub(super) to: &'a str,
    /// The account that has the address.
    pub(super) identity: Option<&'a IdentitySnapshot>,
    /// What it is told.
    pub(super) valid: Template,
    /// What an address that nobody has is told, where the operator wants that.
    pub(super) invalid: Template,
    /// What the client sent along for templates.
    pub(super) transient_payload: Option<&'a Map<String, Value>>,
}

/// Adds a message to the commit; `false` when it cannot be written. Without an account it is written all the same and thrown away,
/// so that the time tells nothing.
pub(super) fn post<K: Mailed>(app: &App, visit: &Visit, flow: &Flow<K>, letter: Letter<'_>, batch: &mut Batch) -> bool {
    let Letter { via, to, identity, valid, invalid, transient_payload } = letter;
    let public = identity.map(|found| session::serve_identity(&wire_json(&found.identity), app.public_base()));
    let public: Option<Value> = public.and_then(|json| serde_json::from_str(&json).ok());
    let mail = |template| Mail {
        via,
        to,
        template,
        identity: public.as_ref(),
        request_url: &flow.request_url,
        transient_payload,
        expires_in: Some(codes::lifespan(app)),
        lang: visit.lang,
    };
    let mut nowhere = Batch::new();
    let known = identity.is_some();
    let written = courier::enqueue(app, &mail(valid), visit.now, if known { &mut *batch } else { &mut nowhere });
    let told = !known && via == Via::Email && K::settings(app).notify_unknown_recipients;
    let written = if told { courier::enqueue(app, &mail(invalid), visit.now, batch) } else { written };
    if let Err(error) = &written {
        // The answer must not tell who has an account, so it is the same.
        tracing::warn!(flow.id = %flow.id, error = error as &dyn std::error::Error, "A message could not be written");
    }
    written.is_ok()
}

/// The address that a code was sent to, as it was typed; sealed with the flow's memory.
const ADDRESS: &str = "address";

/// Keeps the address in the flow's memory.
pub(super) fn remember_address<K: Kind>(flow: &mut Flow<K>, address: &str) {
    flow.memory.0.insert(ADDRESS.to_owned(), address.into());
}

/// The address in the flow's memory.
pub(super) fn address<K: Kind>(flow: &Flow<K>) -> Option<&str> {
    flow.memory.0.get(ADDRESS)?.as_str()
}

/// The flow that a message was sent for, where its link was opened elsewhere.
const ORIGIN: &str = "origin";

/// Keeps which flow another one stands for.
pub(super) fn remember_origin<K: Kind>(flow: &mut Flow<K>, stands_for: &Flow<K>) {
    let origin = origin(stands_for).to_string();
    flow.memory.0.insert(ORIGIN.to_owned(), origin.into());
}

/// The flow that the message was sent for: this one, unless its link was opened elsewhere.
pub(super) fn origin<K: Kind>(flow: &Flow<K>) -> FlowId {
    flow.memory.0.get(ORIGIN).and_then(|id| FlowId::parse(id.as_str()?)).unwrap_or(flow.id)
}

/// The button that sends what the flow has.
pub(super) fn go_on(group: Group, value: &str) -> Node {
    Node::submit(group, "method", value, Message::plain(1_070_009))
}

/// The hidden field that names the method.
pub(super) fn hidden_method(value: &str) -> Node {
    Node::input(Group::Code, "method", InputType::Hidden).value(value.into())
}
