//! Signing in and stepping up with a mailed code (contract: login 7.3).
//! The login story calls it; where an account may not be told of, unknown names are answered and timed as known ones.
//! A mailbox that opened a session is never its second factor (decisions 12).

use keyward_config::Config;
use keyward_model::{
    Aal, AuthMethod, CredentialType, EntryState, Flow, FormErrors, Group, IdentityId, IdentitySnapshot, Login, Message, Node,
    Problem, Proof, Time, Via, trim_identifier,
};
use keyward_services::attempts::{Lane, Subject};
use keyward_services::codes::Purpose;
use keyward_services::derive::{AddressProof, IdentityEdit, derive};
use keyward_services::mailboxes::{self, Mailbox};
use keyward_services::payload::Payload;
use keyward_services::{App, phone, storage_problem};
use keyward_store::{Batch, CodeRow};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Code, ID, RESEND, Receiver, Right, Waiting, asks_again, shown_identity, typed_code, waiting_nodes};
use crate::methods::keys::brings;
use crate::methods::{
    LONGEST_IDENTIFIER, LoginContext, LoginMethod, LoginProposal, Proven, Refusal, Sent, Step, find_by_identifier,
    identifier_field, second_factor,
};

const ADDRESS: &str = "address";

/// What the flow remembers.
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    /// Of somebody who is signed in: where codes can go.
    mailboxes: Vec<Mailbox>,
    /// They choose one of these instead of naming it.
    choose: bool,
    /// Where codes were sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    sent: Option<SentTo>,
}

#[derive(Serialize, Deserialize)]
struct SentTo {
    /// As it was typed or chosen, in the spelling that is shown.
    identifier: String,
    /// Whose it is; nobody's where only the answer says that something was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<IdentityId>,
    /// The addresses; for a new code.
    mailboxes: Vec<Mailbox>,
}

impl Kept {
    fn of(flow: &Flow<Login>) -> Self {
        let memory = flow.memory.0.get(ID).cloned();
        memory.and_then(|memory| serde_json::from_value(memory).ok()).unwrap_or_default()
    }

    fn to_memory(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl LoginMethod for Code {
    fn id(&self) -> &'static str {
        ID
    }

    fn enabled(&self, config: &Config) -> bool {
        let code = &config.selfservice.methods.code;
        code.passwordless_enabled || code.mfa_enabled
    }

    fn claims(&self, flow: &Flow<Login>, body: &Payload) -> bool {
        match body.method() {
            Some(method) => method == ID,
            // A choice says what it is for by itself.
            None => brings(body, ADDRESS) && Kept::of(flow).choose,
        }
    }

    fn remember(&self, context: &LoginContext<'_>, identity: Option<&IdentitySnapshot>) -> Option<Value> {
        let LoginContext { app, visit, flow } = *context;
        let identity = identity.filter(|_| is_offered(app, flow))?;
        if flow.extra.requested_aal == Aal::Aal2 {
            let proofs = visit.session.as_ref().map(|active| active.session.methods.items()).unwrap_or_default();
            let mailboxes = mailboxes::second(app, identity, &proofs);
            return Some(Kept { mailboxes, choose: true, sent: None }.to_memory());
        }
        if !flow.extra.refresh {
            return None;
        }
        let choose = app.config.feature_flags.refresh_login_choose_address;
        Some(Kept { mailboxes: mailboxes::of(app, identity), choose, sent: None }.to_memory())
    }

    fn open<'a>(
        &'a self,
        context: &'a LoginContext<'a>,
        identity: &'a IdentitySnapshot,
    ) -> Step<'a, Result<Option<Sent>, Problem>> {
        Box::pin(async {
            let LoginContext { app, flow, .. } = *context;
            if flow.extra.requested_aal != Aal::Aal2 || !is_offered(app, flow) {
                return Ok(None);
            }
            let kept = Kept::of(flow);
            let chosen = match (flow.query("via"), kept.mailboxes.as_slice()) {
                (Some(name), _) => Some(named(identity, &kept.mailboxes, &name)?),
                // Nothing else can be shown, and it can go to one place only.
                (None, [only]) if app.usable(identity.factors()).second() == 0 => Some(only.clone()),
                (None, _) => None,
            };
            let Some(chosen) = chosen else { return Ok(None) };
            match send(context, kept, Some(identity), vec![chosen.clone()], chosen.address, None).await {
                Ok(sent) => Ok(Some(sent)),
                Err(Refusal::Problem(problem)) => Err(problem),
                Err(Refusal::Form(_)) => Ok(None),
            }
        })
    }

    fn nodes(&self, context: &LoginContext<'_>) -> Vec<Node> {
        let LoginContext { app, flow, .. } = *context;
        if !is_offered(app, flow) {
            return Vec::new();
        }
        let kept = Kept::of(flow);
        if let Some(sent) = kept.sent.as_ref().filter(|_| flow.state != EntryState::ChooseMethod) {
            let identifier = match sent.mailboxes.first().filter(|_| kept.choose) {
                Some(chosen) => Node::hidden(Group::Code, "identifier").label(choice(chosen)),
                None => Node::hidden(Group::Default, "identifier"),
            };
            let mut nodes = vec![identifier.value(sent.identifier.as_str().into())];
            nodes.extend(waiting_nodes(1_070_013));
            return nodes;
        }
        if kept.choose {
            let button = |one: &Mailbox| Node::submit(Group::Code, ADDRESS, one.address.as_str(), choice(one));
            return kept.mailboxes.iter().map(button).collect();
        }
        if flow.extra.refresh && kept.mailboxes.is_empty() {
            return Vec::new();
        }
        let identifier = identifier_field(app, flow).value("".into());
        vec![identifier, Node::submit(Group::Code, "method", ID, Message::plain(1_010_015))]
    }

    fn prove<'a>(&'a self, context: &'a LoginContext<'a>, body: &'a Payload) -> Step<'a, Result<LoginProposal, Refusal>> {
        Box::pin(async {
            let LoginContext { app, flow, .. } = *context;
            if !is_offered(app, flow) {
                return Err(FormErrors::global(Message::plain(4_010_002)).into());
            }
            let mut kept = Kept::of(flow);
            match kept.sent.take().filter(|_| flow.state == EntryState::SentEmail) {
                None => ask(context, kept, body).await.map(LoginProposal::from),
                Some(sent) if asks_again(body) => again(context, kept, sent, body).await.map(LoginProposal::from),
                Some(sent) => judge(context, &sent, &typed_code(body)?).await.map(LoginProposal::from),
            }
        })
    }

    fn echo(&self, body: &Payload) -> Vec<(String, Value)> {
        // What a code was sent for is shown as the flow remembers it.
        if brings(body, ID) || brings(body, RESEND) {
            return Vec::new();
        }
        let identifier = body.string("identifier").ok().flatten().filter(|text| text.len() <= LONGEST_IDENTIFIER);
        identifier.map(|identifier| ("identifier".to_owned(), json!(identifier))).into_iter().collect()
    }
}

/// Whether codes count at the level that the flow asks for.
const fn is_offered(app: &App, flow: &Flow<Login>) -> bool {
    let code = app.code_use();
    match flow.extra.requested_aal {
        Aal::Aal2 => code.mfa,
        Aal::Aal0 | Aal::Aal1 => code.passwordless,
    }
}

fn choice(mailbox: &Mailbox) -> Message {
    Message::new(1_010_023, json!({ "address": mailbox.address, "channel": mailbox.via.as_str() }))
}

/// The address in the trait that the query parameter `via` names.
fn named(identity: &IdentitySnapshot, offered: &[Mailbox], name: &str) -> Result<Mailbox, Problem> {
    let traits = &identity.identity.traits;
    let mut path = name.split('.').filter(|part| *part != "traits" || traits.get("traits").is_some());
    let value = path.try_fold(traits, |value, part| value.get(part)).and_then(Value::as_str);
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return Err(Problem::BadRequest { reason: "The trait that the parameter via names has no value.".to_owned() });
    };
    let candidates = phone::login_candidates(value);
    let found = offered.iter().find(|one| candidates.contains(&one.address));
    found.cloned().ok_or_else(|| Problem::BadRequest {
        reason: "The trait that the parameter via names is no address for this second factor.".to_owned(),
    })
}

/// The first submit: finds out who is meant, and sends.
async fn ask(context: &LoginContext<'_>, kept: Kept, body: &Payload) -> Result<Sent, Refusal> {
    let LoginContext { app, visit, flow } = *context;
    if flow.extra.requested_aal == Aal::Aal2 {
        let identity = second_factor::signed_in_identity(context).await?;
        let proofs = visit.session.as_ref().map(|active| active.session.methods.items()).unwrap_or_default();
        let offered = mailboxes::second(app, &identity, &proofs);
        let typed = match body.string(ADDRESS)? {
            Some(address) => Some(address),
            None => body.string("identifier")?,
        };
        let chosen = match (typed, offered.as_slice()) {
            (Some(typed), _) => chosen(&offered, typed).ok_or_else(|| FormErrors::global(Message::plain(4_010_010)))?,
            (None, [only]) => only,
            (None, _) => return Err(FormErrors::at(ADDRESS, Message::missing(ADDRESS)).into()),
        };
        let (chosen, address) = (vec![chosen.clone()], chosen.address.clone());
        return send(context, Kept { mailboxes: offered, ..kept }, Some(&identity), chosen, address, Some(body)).await;
    }
    let typed = match body.string(ADDRESS)?.filter(|_| kept.choose) {
        Some(address) => address,
        None => body.string("identifier")?.ok_or_else(|| {
            let field = if kept.choose { ADDRESS } else { "identifier" };
            FormErrors::at(field, Message::missing(field))
        })?,
    };
    if typed.len() > LONGEST_IDENTIFIER {
        return Err(unknown());
    }
    let candidates = phone::login_candidates(typed);
    let found = find(app, typed, &candidates).await?;
    if flow.extra.refresh {
        // Somebody confirms themself: nobody else is asked, and nothing is told of them.
        let own = visit.identity_id();
        let found = found.filter(|identity| Some(identity.identity.id) == own).ok_or_else(unknown)?;
        let mailboxes = receivers(app, &found, &candidates);
        return send(context, kept, Some(&found), mailboxes, shown(typed), Some(body)).await;
    }
    match found {
        Some(identity) => {
            let mailboxes = receivers(app, &identity, &candidates);
            send(context, kept, Some(&identity), mailboxes, shown(typed), Some(body)).await
        }
        None => {
            let address = candidates.into_iter().next().ok_or_else(unknown)?;
            let nobody = Mailbox { via: if address.starts_with('+') { Via::Sms } else { Via::Email }, address };
            let sent = send(context, kept, None, vec![nobody], shown(typed), Some(body)).await?;
            if app.config.mitigate_account_enumeration { Ok(sent) } else { Err(unknown()) }
        }
    }
}

fn unknown() -> Refusal {
    FormErrors::global(Message::plain(4_000_035)).into()
}

/// A new code for the same flow.
async fn again(context: &LoginContext<'_>, kept: Kept, sent: SentTo, body: &Payload) -> Result<Sent, Refusal> {
    let app = context.app;
    let identity = match sent.identity {
        Some(id) => Some(app.store.find_identity(id).await.map_err(storage_problem)?.ok_or_else(unknown)?),
        None => None,
    };
    // What is no longer theirs gets nothing.
    let mailboxes = match &identity {
        Some(identity) => {
            let own = allowed(context, identity);
            sent.mailboxes.into_iter().filter(|one| own.contains(one)).collect()
        }
        None => sent.mailboxes,
    };
    if mailboxes.is_empty() {
        return Err(unknown());
    }
    send(context, kept, identity.as_ref(), mailboxes, sent.identifier, Some(body)).await
}

/// Where codes of this flow may go.
fn allowed(context: &LoginContext<'_>, identity: &IdentitySnapshot) -> Vec<Mailbox> {
    let LoginContext { app, visit, flow } = *context;
    if flow.extra.requested_aal != Aal::Aal2 {
        return mailboxes::of(app, identity);
    }
    let proofs = visit.session.as_ref().map(|active| active.session.methods.items()).unwrap_or_default();
    mailboxes::second(app, identity, &proofs)
}

/// Who signs in with codes under this name. The number of reads does not depend on whether somebody does.
async fn find(app: &App, typed: &str, candidates: &[String]) -> Result<Option<IdentitySnapshot>, Problem> {
    let found = find_by_identifier(app, CredentialType::Code, typed).await?;
    if !app.config.selfservice.methods.code.missing_credential_fallback_enabled {
        return Ok(found);
    }
    let mut fallback = None;
    for candidate in candidates {
        let via = if candidate.starts_with('+') { Via::Sms } else { Via::Email };
        let owner = app.store.find_identity_by_verifiable_address(via, candidate).await.map_err(storage_problem)?;
        fallback = fallback.or(owner.filter(|identity| identity.credential(CredentialType::Code).is_none()));
    }
    Ok(found.or(fallback))
}

/// The address that was named; all of them where none was.
fn receivers(app: &App, identity: &IdentitySnapshot, candidates: &[String]) -> Vec<Mailbox> {
    let all = mailboxes::of(app, identity);
    match all.iter().find(|one| candidates.contains(&one.address)) {
        Some(named) => vec![named.clone()],
        None => all,
    }
}

fn chosen<'a>(offered: &'a [Mailbox], typed: &str) -> Option<&'a Mailbox> {
    let candidates = phone::login_candidates(typed);
    offered.iter().find(|one| candidates.contains(&one.address))
}

/// An identifier in the spelling that the waiting form shows; made of what was typed alone.
fn shown(typed: &str) -> String {
    let typed = trim_identifier(typed);
    if typed.contains('@') { typed.to_lowercase() } else { phone::e164(typed).unwrap_or_else(|| typed.to_owned()) }
}

async fn send(
    context: &LoginContext<'_>,
    kept: Kept,
    identity: Option<&IdentitySnapshot>,
    mailboxes: Vec<Mailbox>,
    identifier: String,
    body: Option<&Payload>,
) -> Result<Sent, Refusal> {
    let LoginContext { app, visit, flow } = *context;
    let transient = match body {
        Some(body) => body.transient_payload(app.config.limits.transient_payload_bytes)?,
        None => None,
    };
    let json = identity.map(|identity| (identity.identity.id, shown_identity(app, &identity.identity)));
    let receiver = Receiver {
        mailboxes: &mailboxes,
        identity: json.as_ref().map(|(id, json)| (*id, json)),
        traits: None,
        is_decoy: identity.is_none(),
    };
    let waiting = Waiting { app, visit, purpose: Purpose::Login, flow: flow.id };
    let queued = waiting.send(&receiver, &flow.request_url, transient.as_ref()).await?;
    let message = if flow.extra.refresh || flow.extra.requested_aal == Aal::Aal2 {
        let addresses: Vec<_> = mailboxes.iter().map(|one| one.address.as_str()).collect();
        Message::new(1_010_025, json!({ "address": addresses.join(", ") }))
    } else {
        Message::plain(1_010_014)
    };
    let sent = SentTo { identifier, identity: json.map(|(id, _)| id), mailboxes };
    let memory = Kept { sent: Some(sent), ..kept }.to_memory();
    Ok(Sent { memory, message, queued })
}

/// The second submit: compares what was typed.
async fn judge(context: &LoginContext<'_>, sent: &SentTo, typed: &str) -> Result<Proven, Refusal> {
    let LoginContext { app, visit, flow } = *context;
    // Inside a session the account is the session's, and so is whoever is counted.
    if (flow.extra.refresh || flow.extra.requested_aal == Aal::Aal2) && sent.identity != visit.identity_id() {
        return Err(if flow.extra.requested_aal == Aal::Aal2 { foreign() } else { unknown() });
    }
    let (subject, lane) = match sent.identity {
        Some(id) => (Subject::Identity(id), visit.lane(id)),
        None => (Subject::Unknown(sent.mailboxes.first().map_or(&sent.identifier, |one| &one.address)), Lane::Public),
    };
    let waiting = Waiting { app, visit, purpose: Purpose::Login, flow: flow.id };
    let Right { row, mut upkeep, attempt } = waiting.judge(typed, subject, &lane).await?;
    match owner(context, &waiting, &row).await {
        Ok((identity, used)) => {
            let identity = verify(app, visit.now, identity, &used, &mut upkeep);
            let proof = AuthMethod::mailed(Proof::Code, flow.extra.requested_aal, visit.now, used.via, &used.address);
            Ok(Proven { identity, proof, upkeep, attempt })
        }
        Err(refusal) => {
            // It was right, in vain.
            attempt.give_back(app).await;
            Err(refusal)
        }
    }
}

/// Whose a right code is, and where it went; refused where the address is not theirs any more.
async fn owner(context: &LoginContext<'_>, waiting: &Waiting<'_>, row: &CodeRow) -> Result<(IdentitySnapshot, Mailbox), Refusal> {
    let LoginContext { app, flow, .. } = *context;
    let identity = match row.identity_id {
        Some(id) => app.store.find_identity(id).await.map_err(storage_problem)?,
        None => None,
    };
    let (Some(identity), Some(used)) = (identity, used(row)) else { return Err(waiting.wrong()) };
    if !allowed(context, &identity).contains(&used) {
        // The address was taken away meanwhile, or opened this session.
        return Err(if flow.extra.requested_aal == Aal::Aal2 { foreign() } else { waiting.wrong() });
    }
    Ok((identity, used))
}

fn foreign() -> Refusal {
    FormErrors::global(Message::plain(4_010_010)).into()
}

fn used(row: &CodeRow) -> Option<Mailbox> {
    row.address.clone().map(|(via, address)| Mailbox { via, address })
}

/// Whoever reads what is sent to an address has it. Where the identity signs in with codes for the first time, it gets the
/// credential as well. Gives the identity as it will be.
fn verify(app: &App, now: Time, identity: IdentitySnapshot, used: &Mailbox, upkeep: &mut Batch) -> IdentitySnapshot {
    let mut addresses = identity.identity.verifiable_addresses.iter();
    let is_open = addresses.any(|row| row.via == used.via && row.value == used.address && !row.verified);
    let Some(entry) = app.schemas.get(&identity.identity.schema_id) else { return identity };
    let has_credential = identity.credential(CredentialType::Code).is_some();
    if !is_open && (has_credential || entry.schema.code_addresses(&identity.identity.traits).is_empty()) {
        return identity;
    }
    let proof = AddressProof { via: used.via, value: used.address.clone() };
    let edit = IdentityEdit { addresses: vec![proof], ..IdentityEdit::default() };
    match derive(&entry.schema, Some(&identity), &edit, now, app.random()) {
        Ok(derived) => {
            derived.write(upkeep);
            derived.snapshot()
        }
        // Old traits that the schema no longer takes keep nobody from signing in.
        Err(_) => identity,
    }
}
