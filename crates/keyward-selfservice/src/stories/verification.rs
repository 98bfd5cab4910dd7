//! The verification story: showing that an address is one's own.
//! `http` tells it for `/self-service/verification…`; whoever is signed in, or nobody, goes the same way.
//! Gives no session: a confirmed address is all that comes of it.

use keyward_config::{MailedFlow, MailedStrategy};
use keyward_model::{
    AddressStatus, Attributes, EntryState, Flow, FlowId, FlowType, FormErrors, Group, IdentifierKind, IdentitySnapshot,
    InputType, Message, Meta, Node, Problem, Ui, Verification, Via, canonical_identifier, upsert,
};
use keyward_services::attempts::{self, Lane};
use keyward_services::audit::{Event, EventKind};
use keyward_services::codes::{self, Attempt, Judged, Order, Purpose, Tried};
use keyward_services::courier::Template;
use keyward_services::derive::{AddressProof, AddressState, IdentityEdit, derive};
use keyward_services::payload::Payload;
use keyward_services::{App, flow_rows, phone, storage_problem};
use keyward_store::{Batch, CodeRow, Refusal as Guarded, StoreError};

use super::mailed::{self, Mailed};
use super::{default_location, pending_traits, return_to};
use crate::methods::Refusal;
use crate::outcome::{Outcome, VerificationOutcome};
use crate::visit::{Submitted, Visit};

/// How often a right code is tried to be written down when somebody else wrote to the account in between.
const ATTEMPTS: u32 = 3;

/// Bytes of the longest address that is looked at (RFC 5321 section 4.5.3.1: 64 for the local part, 255 for the domain).
const LONGEST_ADDRESS: usize = 320;

/// The member of a flow's memory with the code of a link that was opened.
const PREFILLED: &str = "code";

/// The member of a flow's memory with the channel of the address that another flow began this one for.
pub(super) const CHANNEL: &str = "channel";

impl Mailed for Verification {
    fn settings(app: &App) -> &MailedFlow {
        &app.config.selfservice.flows.verification
    }

    fn ui(app: &App, visit: &Visit, flow: &Flow<Self>) -> Ui {
        let token = || Node::csrf(if flow.flow_type == FlowType::Browser { &visit.csrf_token } else { "" });
        let passed = flow.state == EntryState::PassedChallenge;
        let mut nodes = upsert(nodes(app, flow));
        // Apps see the empty token only where the contract shows it (contract: verification 3.2).
        if flow.flow_type == FlowType::Browser || passed || !flow.form.fields.is_empty() {
            let place = match flow.state {
                EntryState::ChooseMethod => nodes.len(),
                EntryState::SentEmail => nodes.len().saturating_sub(1),
                EntryState::PassedChallenge => 0,
            };
            nodes.insert(place, token());
        }
        flow.form.lay_over(&mut nodes);
        Ui {
            action: if passed {
                location(app, flow)
            } else {
                format!("{}/self-service/verification?flow={}", app.public_base(), flow.id)
            },
            method: if passed { "GET" } else { "POST" },
            nodes: nodes.into_iter().map(|node| node.in_language(visit.lang)).collect(),
            messages: flow.form.messages.iter().map(|message| message.clone().in_language(visit.lang)).collect(),
        }
    }
}

fn nodes(app: &App, flow: &Flow<Verification>) -> Vec<Node> {
    let label = Message::plain;
    match flow.state {
        EntryState::ChooseMethod => {
            let (kind, name) = if texts(app) { (InputType::Text, 1_070_018) } else { (InputType::Email, 1_070_007) };
            let email = Node::input(Group::Code, "email", kind).required(true).label(label(name));
            vec![email, mailed::go_on(Group::Code, "code")]
        }
        EntryState::SentEmail => {
            let mut code = Node::input(Group::Code, "code", InputType::Text)
                .required(true)
                .autocomplete("one-time-code")
                .label(label(1_070_011));
            if let Some(prefilled) = flow.memory.0.get(PREFILLED) {
                code = code.value(prefilled.clone());
            }
            // Named after the channel where another flow began this one (contract: recovery 7.2).
            let channel = flow.memory.0.get(CHANNEL).and_then(|channel| channel.as_str()).unwrap_or("email");
            let again = Node::submit(Group::Code, channel, mailed::address(flow).unwrap_or_default(), label(1_070_008));
            vec![mailed::hidden_method("code"), code, mailed::go_on(Group::Code, "code"), again]
        }
        EntryState::PassedChallenge => vec![Node {
            kind: "a",
            group: Group::Code,
            attributes: Attributes::Anchor {
                href: location(app, flow),
                title: label(1_070_009),
                id: "continue".to_owned(),
                node_type: "a",
            },
            messages: Vec::new(),
            meta: Meta { label: Some(label(1_070_009)) },
        }],
    }
}

/// Whether text messages can be sent.
fn texts(app: &App) -> bool {
    app.config.courier.sms.is_some()
}

/// Where the person goes afterwards.
fn location(app: &App, flow: &Flow<Verification>) -> String {
    let configured = || Verification::settings(app).flow.after.default_browser_return_url.clone();
    let asked = return_to(app, flow.query("return_to").as_deref()).ok().flatten();
    asked.or_else(configured).unwrap_or_else(|| default_location(app))
}

/// Opens a verification flow (contract: verification 3.1).
///
/// # Errors
/// When the flow is switched off, or `return_to` is not allowed.
pub async fn create(
    app: &App,
    visit: &mut Visit,
    flow_type: FlowType,
    request_url: &str,
) -> Result<VerificationOutcome, Problem> {
    mailed::create::<Verification, _>(app, visit, flow_type, request_url).await
}

/// Reads a verification flow.
///
/// # Errors
/// For an unknown or expired flow, and in another browser than the one that opened it or its link.
pub async fn fetch(app: &App, visit: &mut Visit, id: Option<FlowId>) -> Result<VerificationOutcome, Problem> {
    mailed::fetch::<Verification, _>(app, visit, id).await
}

/// Follows the link of a message: the page opens with the code in its field, and the person confirms (decisions 12). In another
/// browser than the one that asked, or for an app, a flow of its own shows it: whoever asked for a code to somebody else's address
/// must not read it there. Programs that look through mail open links as well, so the flow that asked stays as it is.
///
/// # Errors
/// For an unknown or expired flow, and where the operator switched the flow off.
pub async fn open_link(app: &App, visit: &mut Visit, id: Option<FlowId>, code: &str) -> Result<VerificationOutcome, Problem> {
    let mut flow: Flow<Verification> = mailed::find(app, id.ok_or(Problem::FlowIdMalformed)?).await?;
    visit.flow_type = Some(flow.flow_type);
    let is_own = flow.flow_type == FlowType::Browser && mailed::is_readers(&flow, visit).is_ok();
    if !Verification::settings(app).enabled {
        return Err(Problem::FlowDisabled);
    }
    if flow.is_expired(visit.now) {
        let replacement = mailed::begin(app, visit, FlowType::Browser, &flow.request_url);
        return Err(super::replace_expired(app, replacement, &flow).await);
    }
    if flow.state != EntryState::SentEmail {
        return Ok(Outcome::Opened(mailed::view(app, visit, &flow)));
    }
    let code: String = code.chars().filter(char::is_ascii_digit).take(codes::DIGITS).collect();
    let mut batch = Batch::new();
    if is_own {
        flow.memory.0.insert(PREFILLED.to_owned(), code.into());
        flow_rows::update(app, &mut flow, &mut batch);
    } else {
        let mut opened = mailed::begin::<Verification>(app, visit, FlowType::Browser, &flow.request_url);
        opened.state = EntryState::SentEmail;
        opened.form.clone_from(&flow.form);
        opened.memory.clone_from(&flow.memory);
        mailed::remember_origin(&mut opened, &flow);
        // Counted like a submit, and a wrong code looks like a right one until it is sent: nobody tries codes here.
        let counts = codes::count_submission(app, flow.id).await?;
        if let Judged::Right(row) = codes::judge(app, Purpose::Verification, flow.id, &code, visit.now).await?
            && counts
        {
            codes::carry_over(app, &row, Purpose::Verification, opened.id, &code, visit.now, &mut batch);
        }
        opened.memory.0.insert(PREFILLED.to_owned(), code.into());
        flow_rows::insert(app, &opened, &mut batch);
        flow = opened;
    }
    match app.store.commit(batch).await {
        Ok(()) | Err(StoreError::Refused(Guarded::VersionConflict)) => {}
        Err(error) => return Err(storage_problem(error)),
    }
    Ok(Outcome::Opened(mailed::view(app, visit, &flow)))
}

/// Sends a code, or takes one (contract: verification 3.2).
///
/// # Errors
/// Everything that is not shown on the form itself.
pub async fn submit(
    app: &App,
    visit: &mut Visit,
    id: Option<FlowId>,
    submitted: Submitted,
) -> Result<VerificationOutcome, Problem> {
    let mut flow: Flow<Verification> = mailed::submitted(app, visit, id).await?;
    let body = match submitted {
        Submitted::Body(Ok(body)) => body,
        Submitted::Body(Err(error)) => return mailed::refuse(app, visit, &flow, error.into()).await,
        Submitted::Nothing => return nobody(app, visit, &flow).await,
    };
    if flow.state == EntryState::PassedChallenge {
        return Err(mailed::replace(app, visit, &flow, Message::plain(4_070_002)).await);
    }
    if let Err(errors) = body.transient_payload(app.config.limits.transient_payload_bytes) {
        return mailed::refuse(app, visit, &flow, errors).await;
    }
    if !claims(&body) {
        return nobody(app, visit, &flow).await;
    }
    match go_on(app, visit, &mut flow, &body).await {
        Ok(said) => Ok(said),
        Err(Refusal::Form(errors)) => mailed::refuse(app, visit, &flow, errors).await,
        Err(Refusal::Problem(Problem::TooManyAttempts { retry_after })) => mailed::throttle(app, visit, &flow, retry_after).await,
        Err(Refusal::Problem(problem)) => Err(problem),
    }
}

/// No method answers to this submit.
async fn nobody(app: &App, visit: &Visit, flow: &Flow<Verification>) -> Result<VerificationOutcome, Problem> {
    mailed::refuse(app, visit, flow, FormErrors::global(Message::plain(4_010_006))).await
}

/// Whether a submit is for the method `code`: it says so, or says nothing and brings a code.
fn claims(body: &Payload) -> bool {
    match body.method() {
        Some(method) => method == "code",
        None => body.text("code").is_some_and(|code| !code.is_empty()),
    }
}

async fn go_on(app: &App, visit: &Visit, flow: &mut Flow<Verification>, body: &Payload) -> Result<VerificationOutcome, Refusal> {
    if !mailed::is_enabled(app, MailedStrategy::Code) {
        return Err(Problem::MethodDisabled.into());
    }
    mailed::guard(app, visit, flow).await?;
    let (email, code) = (body.string("email")?.or(body.string("sms")?), body.string("code")?);
    let filled = |text: Option<&str>| text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    match (filled(email), filled(code)) {
        (Some(email), None) => send(app, visit, flow, body, &email).await,
        (email, _) if flow.state == EntryState::ChooseMethod => match email {
            Some(email) => send(app, visit, flow, body, &email).await,
            None => Err(FormErrors::at("email", Message::missing("email")).into()),
        },
        (_, code) => redeem(app, visit, flow, code.as_deref().unwrap_or_default()).await,
    }
}

/// Reads an address as somebody types it; `None` for what can be none.
fn read_address(typed: &str) -> Option<(Via, String)> {
    if typed.len() > LONGEST_ADDRESS {
        return None;
    }
    if typed.contains('@') {
        return Some((Via::Email, canonical_identifier(IdentifierKind::Email, typed)?));
    }
    phone::login_candidates(typed)
        .into_iter()
        .find_map(|number| Some((Via::Sms, canonical_identifier(IdentifierKind::Phone, &number)?)))
}

/// Sends a code to an address; says the same whether an account has it or not, and whatever was typed.
async fn send(
    app: &App,
    visit: &Visit,
    flow: &mut Flow<Verification>,
    body: &Payload,
    typed: &str,
) -> Result<VerificationOutcome, Refusal> {
    if typed.len() > LONGEST_ADDRESS {
        let context = serde_json::json!({ "max_length": LONGEST_ADDRESS, "actual_length": typed.len() });
        return Err(FormErrors::at("email", Message::new(4_000_017, context)).into());
    }
    let now = visit.now;
    let address = read_address(typed);
    let waiting = match &address {
        Some(address) if pending_traits::is_for_change(flow) => resent(app, visit, flow, address).await?,
        _ => Resent::Other,
    };
    if let Resent::Over = waiting {
        return wrong(app, visit, flow).await;
    }
    let identity = match (&address, waiting) {
        (None, _) => None,
        (_, Resent::Again(account)) => Some(*account),
        (Some((via, value)), _) => app.store.find_identity_by_verifiable_address(*via, value).await.map_err(storage_problem)?,
    };
    let lane = identity.as_ref().map_or(Lane::Public, |found| visit.lane(found.identity.id));
    let counted_as = address.as_ref().map_or(typed, |(_, value)| value);
    let counted = codes::admit_message(app, counted_as, &lane, &visit.client, now).await?;
    let sent = queue(app, visit, flow, Asked { typed, address: address.as_ref(), transient: body, identity }).await;
    if sent.is_err() {
        counted.give_back(app).await;
    }
    sent
}

/// What a code is asked for.
struct Asked<'a> {
    typed: &'a str,
    address: Option<&'a (Via, String)>,
    transient: &'a Payload,
    identity: Option<IdentitySnapshot>,
}

/// Writes the code and its message. When another submit, or a change of the account, was faster, it is worked out anew.
async fn queue(
    app: &App,
    visit: &Visit,
    flow: &mut Flow<Verification>,
    asked: Asked<'_>,
) -> Result<VerificationOutcome, Refusal> {
    let Asked { typed, address, transient, mut identity } = asked;
    let transient = transient.transient_payload(app.config.limits.transient_payload_bytes)?;
    let via = address.map_or(Via::Email, |(via, _)| *via);
    for _ in 0..ATTEMPTS {
        let mut batch = Batch::new();
        if let Some((via, value)) = address {
            start(app, visit, flow, Target { via: *via, value, identity: identity.as_ref() }, transient.as_ref(), &mut batch)?;
        }
        flow.state = EntryState::SentEmail;
        flow.extra.active = Some("code".to_owned());
        flow.form.say(sent(via));
        mailed::remember_address(flow, typed);
        flow.memory.0.remove(PREFILLED);
        flow_rows::update(app, flow, &mut batch);
        match app.store.commit(batch).await {
            Ok(()) => return Ok(Outcome::Continued(mailed::view(app, visit, flow))),
            Err(StoreError::Refused(Guarded::VersionConflict | Guarded::Gone)) => {
                *flow = mailed::find::<Verification>(app, flow.id).await?;
                if flow.state == EntryState::PassedChallenge {
                    break;
                }
                if let Some(id) = identity.as_ref().map(|found| found.identity.id) {
                    identity = app.store.find_identity(id).await.map_err(storage_problem)?;
                }
            }
            Err(error) => return Err(storage_problem(error).into()),
        }
    }
    Ok(Outcome::Continued(mailed::view(app, visit, flow)))
}

/// What another code on a flow that a change of traits waits for is about.
enum Resent {
    /// The change's new address, which is nobody's yet; for this account.
    Again(Box<IdentitySnapshot>),
    /// The change is over.
    Over,
    /// Another address.
    Other,
}

/// Looks again at a change before its code is sent once more (contract: recovery 3.5).
async fn resent(app: &App, visit: &Visit, flow: &Flow<Verification>, address: &(Via, String)) -> Result<Resent, Refusal> {
    let Some((row, account)) = pending_traits::waiting(app, visit, flow).await? else { return Ok(Resent::Over) };
    if row.address != *address {
        return Ok(Resent::Other);
    }
    pending_traits::free(app, &account, address).await?;
    Ok(Resent::Again(Box::new(account)))
}

/// What the page says once a code is on its way.
pub(super) fn sent(via: Via) -> Message {
    Message::plain(match via {
        Via::Email => 1_080_003,
        Via::Sms => 1_080_004,
    })
}

/// Where a code goes.
pub(super) struct Target<'a> {
    /// By mail or as a text message.
    pub(super) via: Via,
    /// The canonical address.
    pub(super) value: &'a str,
    /// The account that has it.
    pub(super) identity: Option<&'a IdentitySnapshot>,
}

/// Adds a new code with its message to a commit, and that it was sent to the account's address.
///
/// # Errors
/// When the account cannot be written, for example because its schema is gone.
pub(super) fn start(
    app: &App,
    visit: &Visit,
    flow: &Flow<Verification>,
    target: Target<'_>,
    transient_payload: Option<&serde_json::Map<String, serde_json::Value>>,
    batch: &mut Batch,
) -> Result<(), Refusal> {
    let now = visit.now;
    let Target { via, value, identity } = target;
    post(app, visit, flow, &target, transient_payload, batch);
    let Some(found) = identity else { return Ok(()) };
    let known = found.identity.verifiable_addresses.iter().find(|known| known.via == via && known.value == value);
    // Written once: what is sent or confirmed already stays as it is.
    if let Some(known) = known.filter(|known| known.status == AddressStatus::Pending && !known.verified) {
        let state =
            AddressState { via, value: known.value.clone(), verified: false, status: AddressStatus::Sent, verified_at: None };
        let edit = IdentityEdit { address_states: vec![state], ..IdentityEdit::default() };
        derive(super::schema_of(app, found)?, Some(found), &edit, now, app.random())?.write(batch);
    }
    Ok(())
}

/// Adds a new code with its message to a commit; `false` when the message cannot be written.
pub(super) fn post(
    app: &App,
    visit: &Visit,
    flow: &Flow<Verification>,
    target: &Target<'_>,
    transient_payload: Option<&serde_json::Map<String, serde_json::Value>>,
    batch: &mut Batch,
) -> bool {
    let Target { via, value, identity } = *target;
    let now = visit.now;
    codes::forget(Purpose::Verification, flow.id, batch);
    // Unknown addresses have a code as well, which nobody learns and which leads nowhere: so both cost the same.
    let order = Order {
        purpose: Purpose::Verification,
        flow: flow.id,
        identity: identity.map(|found| found.identity.id),
        address: Some((via, value)),
        expires_at: now + codes::lifespan(app),
    };
    let code = codes::issue(app, &order, now, batch);
    let url = format!("{}/self-service/verification?code={}&flow={}", app.public_base(), code.reveal(), flow.id);
    let letter = mailed::Letter {
        via,
        to: value,
        identity,
        valid: Template::VerificationCodeValid { code, url: url.into() },
        invalid: Template::VerificationCodeInvalid,
        transient_payload,
    };
    let written = mailed::post(app, visit, flow, letter, batch);
    let event = Event::done(EventKind::VerificationRequested).flow(flow.id).method("code");
    let event = identity.into_iter().fold(event, |event, found| event.identity(found.identity.id));
    event.write(app, &visit.client, now, batch);
    written
}

/// Takes a code. A wrong one is said on the flow, with which the person goes on.
async fn redeem(app: &App, visit: &Visit, flow: &mut Flow<Verification>, typed: &str) -> Result<VerificationOutcome, Refusal> {
    // Under the address, whoever has it: what goes wrong here must keep nobody from signing in.
    let sent = codes::sent(app, Purpose::Verification, flow.id).await?;
    let address = sent.as_ref().and_then(|code| code.address.as_ref()).map_or("", |(_, address)| address);
    let subject = attempts::Subject::Unknown(address);
    let attempt = Attempt {
        purpose: Purpose::Verification,
        flow: flow.id,
        typed,
        subject,
        counter: "verification",
        lane: &Lane::Public,
        client: &visit.client,
    };
    let (code, attempt) = match codes::attempt(app, &attempt, visit.now).await? {
        Tried::Right(code, attempt) => (code, attempt),
        Tried::Wrong | Tried::Used => return wrong(app, visit, flow).await,
        Tried::Over => return Err(mailed::over(app, visit, flow).await.into()),
    };
    match confirm(app, visit, flow, &code, &attempt).await {
        Ok(true) => {
            attempt.refund(app);
            Ok(Outcome::Continued(mailed::view(app, visit, flow)))
        }
        Ok(false) => wrong(app, visit, flow).await,
        Err(refusal) => {
            attempt.give_back(app).await;
            Err(refusal)
        }
    }
}

/// Writes down what a right code proves; `false` when that is nothing any more.
async fn confirm(
    app: &App,
    visit: &Visit,
    flow: &mut Flow<Verification>,
    code: &CodeRow,
    attempt: &attempts::Reserved,
) -> Result<bool, Refusal> {
    let (Some(identity), Some((via, value))) = (code.identity_id, code.address.clone()) else { return Ok(false) };
    for _ in 0..ATTEMPTS {
        let Some(before) = app.store.find_identity(identity).await.map_err(storage_problem)? else { break };
        let mut batch = Batch::new();
        codes::use_up(app, code, visit.now, &mut batch);
        attempt.release(&mut batch);
        if before.identity.verifiable_addresses.iter().any(|known| known.via == via && known.value == value) {
            let proven = AddressProof { via, value: value.clone() };
            let edit = IdentityEdit { addresses: vec![proven], ..IdentityEdit::default() };
            derive(super::schema_of(app, &before)?, Some(&before), &edit, visit.now, app.random())?.write(&mut batch);
        } else {
            // The account's no more, or not yet: a code proves the address that it went to and no other (AC-68).
            let waiting = pending_traits::waiting(app, visit, flow).await?;
            let Some((row, before)) = waiting.filter(|(row, _)| row.address.0 == via && row.address.1 == value) else { break };
            let changed = pending_traits::apply(app, visit, flow, &row, &before, &mut batch)?;
            let event = Event::done(EventKind::TraitsChanged).identity(identity).session(row.session_id);
            let event = event.flow(row.settings_flow_id).method("profile").detail("traits", changed.changed_traits());
            event.write(app, &visit.client, visit.now, &mut batch);
        }
        let event = Event::done(EventKind::VerificationSucceeded).identity(identity).flow(flow.id).method("code");
        event.write(app, &visit.client, visit.now, &mut batch);
        flow.state = EntryState::PassedChallenge;
        flow.form.say(Message::plain(match via {
            Via::Email => 1_080_002,
            Via::Sms => 1_080_005,
        }));
        flow.memory.0.remove(PREFILLED);
        flow_rows::update(app, flow, &mut batch);
        match app.store.commit(batch).await {
            Ok(()) => return Ok(true),
            Err(StoreError::Refused(Guarded::AlreadyUsed)) => break,
            // Somebody else took an address while it waited.
            Err(StoreError::Unique(_)) => return Err(FormErrors::global(Message::plain(4_000_007)).into()),
            Err(StoreError::Refused(Guarded::VersionConflict | Guarded::Gone)) => {
                *flow = mailed::find(app, flow.id).await?;
                if flow.state == EntryState::PassedChallenge {
                    return Err(mailed::replace(app, visit, flow, Message::plain(4_070_002)).await.into());
                }
            }
            Err(error) => return Err(storage_problem(error).into()),
        }
    }
    Ok(false)
}

async fn wrong(app: &App, visit: &Visit, flow: &Flow<Verification>) -> Result<VerificationOutcome, Refusal> {
    let mut batch = Batch::new();
    let event = Event::refused(EventKind::VerificationFailed, "code").flow(flow.id).method("code");
    event.write(app, &visit.client, visit.now, &mut batch);
    let mut said = mailed::say(app, visit, flow, Message::plain(4_070_006), batch).await?;
    if let Outcome::Continued(view) = &mut said {
        // Clients know this answer by it.
        view.transient_payload = Some(serde_json::Map::new());
    }
    Ok(said)
}
