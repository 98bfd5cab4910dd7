//! Method `lookup_secret`: backup codes, each good for one second step (contract: settings 3.4, login 7.5).
//! The settings story shows, replaces and removes them, the login story steps up with one.
//! A new set counts only once it was confirmed; until then the old codes stay good.

use keyward_config::Config;
use keyward_model::{
    Aal, Attributes, CredentialType, Flow, FormErrors, Group, IdentitySnapshot, InputType, Login, Message, MessageKind, Meta,
    Node, Operation, Proof, Secret, count_factors,
};
use keyward_services::audit::{Event, EventKind};
use keyward_services::derive::{CredentialEdit, IdentityEdit};
use keyward_services::lookup_codes::{self, LookupCode, LookupCodes, Redemption};
use keyward_services::payload::Payload;
use keyward_services::{App, attempts};
use keyward_store::Batch;
use serde_json::{Value, json};

use super::{
    Change, LoginContext, LoginMethod, LoginProposal, Proposal, Proven, Refusal, SettingsContext, SettingsMethod, SettingsStep,
    ShowOnce, Step, second_factor,
};

/// The method.
pub struct LookupSecret;

/// A person with this many codes left, or fewer, is told so.
const FEW: usize = 3;

impl SettingsMethod for LookupSecret {
    fn id(&self) -> &'static str {
        "lookup_secret"
    }

    fn group(&self) -> Group {
        Group::LookupSecret
    }

    fn enabled(&self, config: &Config) -> bool {
        config.selfservice.methods.lookup_secret_enabled
    }

    fn claims(&self, body: &Payload) -> bool {
        Action::ALL.iter().any(|action| is_true(body, action.field()))
    }

    fn nodes(&self, context: &SettingsContext<'_>) -> Vec<Node> {
        let button = |action: Action| Node::submit(Group::LookupSecret, action.field(), "true", Message::plain(action.label()));
        if let Some(codes) = pending(context).filter(|_| may_see(context)) {
            let codes: Vec<_> = codes.into_iter().map(|code| LookupCode { code, used_at: None }).collect();
            return vec![codes_node(&codes), button(Action::Confirm)];
        }
        if let Some(codes) = shown(context) {
            return vec![codes_node(&codes), button(Action::Disable), button(Action::Regenerate)];
        }
        if !second_factor::has_codes(context.identity) {
            return vec![button(Action::Regenerate)];
        }
        let mut reveal = button(Action::Reveal);
        let left = stored(context.app, context.identity).map_or(0, |set| set.left());
        if left <= FEW {
            reveal.messages.push(Message::new(7_900_002, json!({ "left": left })));
        }
        vec![reveal, button(Action::Disable)]
    }

    fn decode(&self, context: &SettingsContext<'_>, body: &Payload) -> Result<Box<dyn SettingsStep>, FormErrors> {
        // Forms may send several buttons; the order decides (contract: settings 3.4.2).
        let action = Action::ALL.into_iter().find(|action| is_true(body, action.field()));
        let action = action.ok_or_else(|| FormErrors::global(Message::plain(4_010_004)))?;
        let has_codes = second_factor::has_codes(context.identity);
        match action {
            Action::Reveal if !has_codes => Err(FormErrors::global(Message::reason("There are no backup codes to show."))),
            Action::Confirm if pending(context).is_none() => Err(none_pending()),
            _ => Ok(Box::new(Act { action, has_codes })),
        }
    }
}

/// What a submit asks for, in the order in which several at once are decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Confirm,
    Reveal,
    Disable,
    Regenerate,
}

impl Action {
    const ALL: [Self; 4] = [Self::Confirm, Self::Reveal, Self::Disable, Self::Regenerate];

    const fn field(self) -> &'static str {
        match self {
            Self::Confirm => "lookup_secret_confirm",
            Self::Reveal => "lookup_secret_reveal",
            Self::Disable => "lookup_secret_disable",
            Self::Regenerate => "lookup_secret_regenerate",
        }
    }

    const fn label(self) -> u32 {
        match self {
            Self::Confirm => 1_050_011,
            Self::Reveal => 1_050_007,
            Self::Disable => 1_050_016,
            Self::Regenerate => 1_050_008,
        }
    }
}

struct Act {
    action: Action,
    has_codes: bool,
}

impl SettingsStep for Act {
    fn operation(&self) -> Operation {
        match self.action {
            Action::Reveal => Operation::RevealCodes,
            Action::Disable if self.has_codes => Operation::RemoveFactor,
            Action::Disable => Operation::Nothing,
            // The first set is a new factor, a further one replaces what may be somebody's last resort.
            Action::Regenerate | Action::Confirm if self.has_codes => Operation::ReplaceCodes,
            Action::Regenerate | Action::Confirm => Operation::AddFactor,
        }
    }

    fn propose<'a>(&'a self, context: &'a SettingsContext<'a>) -> Step<'a, Result<Proposal, Refusal>> {
        Box::pin(async {
            let app = context.app;
            let now = context.visit.now;
            match self.action {
                Action::Reveal => Ok(Proposal::Remember {
                    memory: json!({ "revealed": true }),
                    events: vec![Event::done(EventKind::LookupCodesRevealed)],
                }),
                Action::Regenerate => {
                    let codes: Vec<_> = lookup_codes::generate(app.random()).iter().map(|code| json!(code.reveal())).collect();
                    Ok(Proposal::Remember { memory: json!({ "pending": codes }), events: Vec::new() })
                }
                Action::Confirm => {
                    let codes = pending(context).ok_or_else(none_pending)?;
                    let config = LookupCodes::fresh(codes, None).to_config(&app.keys, context.identity.identity.id, app.random());
                    let credentials = vec![CredentialEdit::Put { kind: CredentialType::LookupSecret, config, identifiers: None }];
                    let proof = second_factor::proof(Proof::LookupSecret, now);
                    let events = vec![Event::done(EventKind::LookupCodesConfirmed)];
                    let edit = IdentityEdit { credentials, ..IdentityEdit::default() };
                    Ok(Change { proofs: vec![proof], events, ..Change::of(edit) }.into())
                }
                Action::Disable => {
                    let drop = CredentialEdit::Drop(CredentialType::LookupSecret);
                    let credentials = if self.has_codes { vec![drop] } else { Vec::new() };
                    let events = if self.has_codes { vec![Event::done(EventKind::LookupCodesRemoved)] } else { Vec::new() };
                    let edit = IdentityEdit { credentials, ..IdentityEdit::default() };
                    Ok(Change { events, ..Change::of(edit) }.into())
                }
            }
        })
    }
}

impl LoginMethod for LookupSecret {
    fn id(&self) -> &'static str {
        "lookup_secret"
    }

    fn enabled(&self, config: &Config) -> bool {
        config.selfservice.methods.lookup_secret_enabled
    }

    fn claims(&self, flow: &Flow<Login>, body: &Payload) -> bool {
        flow.extra.requested_aal == Aal::Aal2 && body.method().is_some_and(|method| method == "lookup_secret")
    }

    fn remember(&self, context: &LoginContext<'_>, identity: Option<&IdentitySnapshot>) -> Option<Value> {
        let flow = context.flow;
        (flow.extra.requested_aal == Aal::Aal2 && identity.is_some_and(second_factor::has_codes)).then(|| json!({}))
    }

    fn nodes(&self, context: &LoginContext<'_>) -> Vec<Node> {
        if !context.flow.memory.0.contains_key("lookup_secret") {
            return Vec::new();
        }
        let code = Node::input(Group::LookupSecret, "lookup_secret", InputType::Text);
        let code = code.value("".into()).required(true).label(Message::plain(1_010_007));
        vec![code, Node::submit(Group::LookupSecret, "method", "lookup_secret", Message::plain(1_010_010))]
    }

    fn prove<'a>(&'a self, context: &'a LoginContext<'a>, body: &'a Payload) -> Step<'a, Result<LoginProposal, Refusal>> {
        Box::pin(async {
            let app = context.app;
            let now = context.visit.now;
            let identity = second_factor::signed_in_identity(context).await?;
            let id = identity.identity.id;
            let missing = || FormErrors::at("lookup_secret", Message::missing("lookup_secret"));
            let typed = body.string("lookup_secret")?.ok_or_else(missing)?;
            let row = identity.credential(CredentialType::LookupSecret).filter(|_| second_factor::has_codes(&identity));
            let Some(row) = row else { return Err(FormErrors::global(Message::plain(4_000_014)).into()) };
            let lane = context.visit.lane(id);
            let subject = attempts::Subject::Identity(id);
            let attempt = attempts::reserve(app, subject, "lookup_secret", &lane, &context.visit.client, now).await?;
            let set = LookupCodes::from_config(&app.keys, id, &row.config);
            let place = match set.redeem(typed) {
                Redemption::Good(place) => place,
                Redemption::Used => return Err(FormErrors::global(Message::plain(4_000_012)).into()),
                Redemption::Unknown => return Err(FormErrors::global(Message::plain(4_000_016)).into()),
            };
            let mut config = row.config.clone();
            config["recovery_codes"][place]["used_at"] = json!(now);
            let mut upkeep = Batch::new();
            // The counts beside the identity follow, so that a used-up set is no second factor any more.
            let mut credentials = identity.credentials.clone();
            for credential in &mut credentials {
                if credential.id == row.id {
                    credential.config = config.clone();
                }
            }
            upkeep.use_up_factors(&identity, &count_factors(&credentials));
            upkeep.consume_credential_config(row, &config, now);
            let event = Event::done(EventKind::LookupCodeUsed).identity(id).flow(context.flow.id).method("lookup_secret");
            event.detail("left", set.left().saturating_sub(1)).write(app, &context.visit.client, now, &mut upkeep);
            let proof = second_factor::proof(Proof::LookupSecret, now);
            Ok(Proven { identity, proof, upkeep, attempt }.into())
        })
    }

    fn echo(&self, _body: &Payload) -> Vec<(String, Value)> {
        Vec::new()
    }
}

fn is_true(body: &Payload, field: &str) -> bool {
    matches!(body.boolean(field), Ok(Some(true)))
}

fn none_pending() -> FormErrors {
    FormErrors::global(Message::reason("There are no new backup codes to confirm. Make new ones first."))
}

/// The set that waits for its confirmation; only whole.
fn pending(context: &SettingsContext<'_>) -> Option<Vec<Secret<String>>> {
    let codes = context.flow.memory.0.get("lookup_secret")?["pending"].as_array()?;
    let codes: Vec<Secret<String>> = codes.iter().filter_map(|code| Some(code.as_str()?.to_owned().into())).collect();
    (codes.len() == lookup_codes::SET).then_some(codes)
}

/// Whether the session proved as much as the identity can: a flow can be read by every session of its identity.
/// Whoever has nothing but these codes may look at them at the level at which they were allowed to ask.
fn may_see(context: &SettingsContext<'_>) -> bool {
    is_strong(context) || context.app.usable(context.identity.factors()).second() == 0
}

fn is_strong(context: &SettingsContext<'_>) -> bool {
    context.visit.session.as_ref().is_some_and(|active| active.session.aal >= Aal::Aal2)
}

/// The codes that this flow shows: just handed out, or revealed.
fn shown(context: &SettingsContext<'_>) -> Option<Vec<LookupCode>> {
    let revealed = context.flow.memory.0.get("lookup_secret").is_some_and(|memory| memory["revealed"] == true);
    if let Some(ShowOnce(codes)) = ShowOnce::read(&context.flow.memory) {
        return is_strong(context).then(|| codes.into_iter().map(|code| LookupCode { code, used_at: None }).collect());
    }
    (revealed && may_see(context)).then(|| stored(context.app, context.identity)).flatten().map(|set| set.codes)
}

fn stored(app: &App, identity: &IdentitySnapshot) -> Option<LookupCodes> {
    let row = identity.credential(CredentialType::LookupSecret)?;
    Some(LookupCodes::from_config(&app.keys, identity.identity.id, &row.config))
}

fn codes_node(codes: &[LookupCode]) -> Node {
    let items: Vec<Message> = codes
        .iter()
        .map(|code| match code.used_at {
            None => Message::new(1_050_009, json!({ "secret": code.code.reveal() })),
            Some(at) => Message::new(1_050_014, json!({ "used_at": at, "used_at_unix": at.unix() })),
        })
        .collect();
    let text = codes.iter().map(|code| if code.used_at.is_some() { "used" } else { code.code.reveal().as_str() });
    let text = text.collect::<Vec<_>>().join(", ");
    let context = json!({ "secrets": items }).as_object().cloned().unwrap_or_default();
    let text = Message { id: 1_050_015, text, kind: MessageKind::Info, context };
    Node {
        kind: "text",
        group: Group::LookupSecret,
        attributes: Attributes::Text { text, id: "lookup_secret_codes".to_owned(), node_type: "text" },
        messages: Vec::new(),
        meta: Meta { label: Some(Message::plain(1_050_010)) },
    }
}
