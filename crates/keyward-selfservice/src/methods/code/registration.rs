//! Signing up with a mailed code (contract: login 10.2).
//! The registration story calls it twice: the first submit sends, the second one makes the account with the address verified.
//! Whether an address is taken shows only after the right code: before that, everybody gets the same answer.

use keyward_config::Config;
use keyward_model::{Aal, AuthMethod, EntryState, Flow, FormErrors, Group, Message, Node, Proof, Registration};
use keyward_services::attempts::{Lane, Subject};
use keyward_services::codes::Purpose;
use keyward_services::derive::{AddressProof, Bounds, IdentityEdit, derive};
use keyward_services::mailboxes::Mailbox;
use keyward_services::payload::Payload;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Code, ID, Receiver, Right, Waiting, asks_again, typed_code, waiting_nodes};
use crate::methods::{Applicant, Refusal, RegistrationContext, RegistrationMethod, RegistrationProposal, Sent, Step};

/// What the flow remembers while it waits. The story shows `traits`, by this name.
#[derive(Serialize, Deserialize)]
struct Kept {
    traits: Value,
    mailboxes: Vec<Mailbox>,
}

impl Kept {
    fn of(flow: &Flow<Registration>) -> Option<Self> {
        let memory = flow.memory.0.get(ID).filter(|_| flow.state == EntryState::SentEmail)?;
        serde_json::from_value(memory.clone()).ok()
    }
}

impl RegistrationMethod for Code {
    fn id(&self) -> &'static str {
        ID
    }

    fn enabled(&self, config: &Config) -> bool {
        config.selfservice.methods.code.passwordless_enabled
    }

    fn claims(&self, body: &Payload) -> bool {
        body.method().is_some_and(|method| method == ID)
    }

    fn nodes(&self, context: &RegistrationContext<'_>) -> Vec<Node> {
        match Kept::of(context.flow) {
            Some(_) => waiting_nodes(1_070_012),
            None => vec![Node::submit(Group::Code, "method", ID, Message::plain(1_040_006))],
        }
    }

    fn check(&self, _body: &Payload) -> FormErrors {
        FormErrors::default()
    }

    fn apply<'a>(
        &'a self,
        context: &'a RegistrationContext<'a>,
        body: &'a Payload,
        traits: Value,
    ) -> Step<'a, Result<RegistrationProposal, Refusal>> {
        Box::pin(async move {
            let Some(kept) = Kept::of(context.flow) else {
                let mailboxes = mailboxes(context, &traits)?;
                return send(context, Kept { traits, mailboxes }, body)
                    .await
                    .map(|sent| RegistrationProposal::Sent(Box::new(sent)));
            };
            let same = |traits: &Value| filled_in(context.schema.normalise(traits.clone()));
            if same(&traits) != same(&kept.traits) {
                return Err(FormErrors::global(Message::plain(4_000_036)).into());
            }
            if asks_again(body) {
                return send(context, kept, body).await.map(|sent| RegistrationProposal::Sent(Box::new(sent)));
            }
            let typed = typed_code(body)?;
            create(context, kept, &typed).await.map(RegistrationProposal::from)
        })
    }
}

/// Where codes for an account with these traits go. Everything that would keep the account from being made is refused here, but
/// not that it is taken.
fn mailboxes(context: &RegistrationContext<'_>, traits: &Value) -> Result<Vec<Mailbox>, Refusal> {
    let RegistrationContext { app, visit, schema, .. } = *context;
    let bounds = Bounds::from(&app.config.limits);
    let edit = IdentityEdit { traits: Some(traits.clone()), bounds, ..IdentityEdit::default() };
    let derived = derive(schema, None, &edit, visit.now, app.random())?;
    let addresses = schema.code_addresses(&derived.identity.traits);
    if addresses.is_empty() {
        return Err(FormErrors::global(Message::plain(4_000_009)).into());
    }
    Ok(addresses.into_iter().map(|(via, address)| Mailbox { via, address }).collect())
}

async fn send(context: &RegistrationContext<'_>, kept: Kept, body: &Payload) -> Result<Sent, Refusal> {
    let RegistrationContext { app, flow, .. } = *context;
    let transient = body.transient_payload(app.config.limits.transient_payload_bytes)?;
    let receiver = Receiver { mailboxes: &kept.mailboxes, identity: None, traits: Some(&kept.traits), is_decoy: false };
    let queued = waiting(context).send(&receiver, &flow.request_url, transient.as_ref()).await?;
    let memory = serde_json::to_value(&kept).unwrap_or_default();
    Ok(Sent { memory, message: Message::plain(1_040_005), queued })
}

async fn create(context: &RegistrationContext<'_>, kept: Kept, typed: &str) -> Result<Applicant, Refusal> {
    let visit = context.visit;
    let waiting = waiting(context);
    let Some(first) = kept.mailboxes.first() else { return Err(waiting.wrong()) };
    let Right { row, upkeep, attempt } = waiting.judge(typed, Subject::Unknown(&first.address), &Lane::Public).await?;
    let Some((via, value)) = row.address else { return Err(waiting.wrong()) };
    let proof = AuthMethod::mailed(Proof::Code, Aal::Aal1, visit.now, via, &value);
    let addresses = vec![AddressProof { via, value }];
    let edit = IdentityEdit { traits: Some(kept.traits), addresses, ..IdentityEdit::default() };
    Ok(Applicant { upkeep, attempt: Some(attempt), ..Applicant::new(edit, proof) })
}

const fn waiting<'a>(context: &RegistrationContext<'a>) -> Waiting<'a> {
    Waiting { app: context.app, visit: context.visit, purpose: Purpose::Registration, flow: context.flow.id }
}

/// Traits without what a form leaves empty.
fn filled_in(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.into_iter().map(|(name, value)| (name, filled_in(value)));
            Value::Object(kept.filter(|(_, value)| !is_blank(value)).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(filled_in).collect()),
        other => other,
    }
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}
