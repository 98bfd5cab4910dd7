//! Method `code`: one-time codes by mail or text message, for signing in, stepping up and signing up (contract: login 7.3, 10.2).
//! The stories call it; codes and messages are written with the flow, and a right code is used up with what it proves.
//! Knows no transport: what is queued here is delivered by the courier.

mod login;
mod registration;

use keyward_model::{FlowId, FormErrors, Group, IdentityId, InputType, Message, Node, Problem, Secret};
use keyward_services::codes::{self, Attempt, Order, Purpose, Tried};
use keyward_services::courier::{self, Mail, Template};
use keyward_services::mailboxes::Mailbox;
use keyward_services::payload::Payload;
use keyward_services::session::serve_identity;
use keyward_services::{App, attempts};
use keyward_store::{Batch, CodeRow};
use serde_json::{Map, Value};

use super::{Queued, Refusal};
use crate::visit::Visit;

/// The method.
pub struct Code;

const ID: &str = "code";
const RESEND: &str = "resend";

/// What the submits of a flow that waits for a code have in common.
struct Waiting<'a> {
    app: &'a App,
    visit: &'a Visit,
    purpose: Purpose,
    flow: FlowId,
}

/// Somebody who is sent codes, or would be.
struct Receiver<'a> {
    /// Where they go.
    mailboxes: &'a [Mailbox],
    /// The account, where there is one.
    identity: Option<(IdentityId, &'a Value)>,
    /// What the codes are sent for, on a sign-up.
    traits: Option<&'a Value>,
    /// Nobody has the mailbox: everything is done but the sending.
    is_decoy: bool,
}

impl Waiting<'_> {
    /// Makes a code for each mailbox and queues the messages. Earlier codes of the flow end with it.
    async fn send(
        &self,
        receiver: &Receiver<'_>,
        request_url: &str,
        transient_payload: Option<&Map<String, Value>>,
    ) -> Result<Queued, Refusal> {
        let Self { app, visit, .. } = *self;
        let lane = receiver.identity.map_or(attempts::Lane::Public, |(identity, _)| visit.lane(identity));
        let mut counted = Vec::new();
        let written = async {
            for one in receiver.mailboxes {
                counted.push(codes::admit_message(app, &one.address, &lane, &visit.client, visit.now).await?);
            }
            self.write(receiver, request_url, transient_payload)
        };
        match written.await {
            Ok(batch) => Ok(Queued { batch, counted }),
            Err(problem) => {
                // None is sent, so none counts.
                attempts::give_back_all(app, counted).await;
                Err(problem.into())
            }
        }
    }

    fn write(
        &self,
        receiver: &Receiver<'_>,
        request_url: &str,
        transient_payload: Option<&Map<String, Value>>,
    ) -> Result<Batch, Problem> {
        let Self { app, visit, purpose, flow } = *self;
        let mut batch = Batch::new();
        codes::forget(purpose, flow, &mut batch);
        let lifespan = codes::lifespan(app);
        for one in receiver.mailboxes {
            let order = Order {
                purpose,
                flow,
                identity: receiver.identity.map(|(id, _)| id),
                address: Some((one.via, &one.address)),
                expires_at: visit.now + lifespan,
            };
            let code = codes::issue(app, &order, visit.now, &mut batch);
            let mail = Mail {
                via: one.via,
                to: &one.address,
                template: template(code, receiver.traits),
                identity: receiver.identity.map(|(_, identity)| identity),
                request_url,
                transient_payload,
                expires_in: Some(lifespan),
                lang: visit.lang,
            };
            if receiver.is_decoy {
                // A message that nobody gets, for the time that it takes.
                let _ = courier::enqueue(app, &mail, visit.now, &mut Batch::new());
                continue;
            }
            courier::enqueue(app, &mail, visit.now, &mut batch)?;
        }
        Ok(batch)
    }

    /// Judges what was typed, after it was counted against the flow and against whoever it is about.
    async fn judge(&self, typed: &str, subject: attempts::Subject<'_>, lane: &attempts::Lane) -> Result<Right, Refusal> {
        let Self { app, visit, purpose, flow } = *self;
        let attempt = Attempt { purpose, flow, typed, subject, counter: ID, lane, client: &visit.client };
        let reason = match codes::attempt(app, &attempt, visit.now).await? {
            Tried::Right(row, attempt) => {
                let mut upkeep = Batch::new();
                codes::use_up(app, &row, visit.now, &mut upkeep);
                return Ok(Right { row, upkeep, attempt: *attempt });
            }
            Tried::Wrong => return Err(self.wrong()),
            Tried::Used => "This code was used already. Have a new one sent.",
            Tried::Over => "Too many codes were tried. Start over to get a new one.",
        };
        Err(FormErrors::global(Message::reason(reason)).into())
    }

    fn wrong(&self) -> Refusal {
        let id = if self.purpose == Purpose::Registration { 4_040_003 } else { 4_010_008 };
        FormErrors::global(Message::plain(id)).into()
    }
}

/// A right code.
struct Right {
    row: CodeRow,
    /// Uses it up.
    upkeep: Batch,
    attempt: attempts::Reserved,
}

fn template(code: Secret<String>, traits: Option<&Value>) -> Template {
    match traits {
        None => Template::LoginCodeValid { code },
        Some(traits) => Template::RegistrationCodeValid { code, traits: traits.clone() },
    }
}

/// The public identity, for templates.
fn shown_identity(app: &App, identity: &keyward_model::Identity) -> Value {
    let json = serve_identity(&keyward_model::wire_json(identity), app.public_base());
    serde_json::from_str(&json).unwrap_or_default()
}

/// Whether a new code is asked for.
fn asks_again(body: &Payload) -> bool {
    body.text(RESEND).is_some_and(|value| value == ID)
}

fn typed_code(body: &Payload) -> Result<String, FormErrors> {
    let code = body.text(ID).ok_or_else(|| FormErrors::at(ID, Message::missing(ID)))?;
    Ok(code.into_owned())
}

/// The nodes of a flow that waits for a code; `label` is what the field is called.
fn waiting_nodes(label: u32) -> Vec<Node> {
    vec![
        Node::hidden(Group::Code, "method").value(ID.into()),
        Node::input(Group::Code, ID, InputType::Text).required(true).autocomplete("one-time-code").label(Message::plain(label)),
        Node::submit(Group::Code, "method", ID, Message::plain(1_070_009)),
        Node::submit(Group::Code, RESEND, ID, Message::plain(1_070_008)),
    ]
}
