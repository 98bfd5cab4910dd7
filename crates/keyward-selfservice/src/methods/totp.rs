//! Method `totp`: an authenticator app as second factor (contract: settings 3.3, login 7.4).
//! The settings story enrols and removes it, the login story steps up with it.
//! Backup codes come with the first enrolment, in the same commit, because a lost phone must not lose the account.

use keyward_config::Config;
use keyward_model::{
    Aal, Attributes, CredentialType, Flow, FormErrors, Group, IdentitySnapshot, InputType, Login, Message, Meta, Node, Operation,
    Proof,
};
use keyward_services::attempts;
use keyward_services::audit::{Event, EventKind};
use keyward_services::derive::{CredentialEdit, IdentityEdit};
use keyward_services::lookup_codes::{self, IssuedWith, LookupCodes};
use keyward_services::payload::Payload;
use keyward_services::totp::{QR_PIXELS, TotpKey};
use keyward_services::typed_codes::bare;
use keyward_store::Batch;
use serde_json::{Value, json};

use super::{
    Change, LoginContext, LoginMethod, LoginProposal, Proposal, Proven, Refusal, SettingsContext, SettingsMethod, SettingsStep,
    ShowOnce, Step, second_factor,
};

/// The method.
pub struct Totp;

const CODE_DIGITS: usize = 6;

impl SettingsMethod for Totp {
    fn id(&self) -> &'static str {
        "totp"
    }

    fn group(&self) -> Group {
        Group::Totp
    }

    fn enabled(&self, config: &Config) -> bool {
        config.selfservice.methods.totp.enabled
    }

    fn claims(&self, body: &Payload) -> bool {
        body.method().is_some_and(|method| method == "totp") || matches!(body.boolean("totp_unlink"), Ok(Some(true)))
    }

    fn remember(&self, context: &SettingsContext<'_>) -> Option<Value> {
        if is_enrolled(context.identity) {
            return None;
        }
        // The key of a flow stays the same until it is used: somebody may be typing it into a phone right now.
        if let Some(kept) = context.flow.memory.0.get("totp") {
            return Some(kept.clone());
        }
        let key =
            TotpKey::generate(&context.app.config.selfservice.methods.totp.issuer, &account_name(context), context.app.random());
        Some(json!({ "url": key.url().reveal() }))
    }

    fn nodes(&self, context: &SettingsContext<'_>) -> Vec<Node> {
        if is_enrolled(context.identity) {
            let unlink = Node::submit(Group::Totp, "totp_unlink", "true", Message::plain(1_050_004)).required(true);
            return vec![unlink];
        }
        let Some(key) = pending(context) else { return Vec::new() };
        let mut nodes = Vec::new();
        if let Some(src) = key.qr_data_uri() {
            nodes.push(Node {
                kind: "img",
                group: Group::Totp,
                attributes: Attributes::Img {
                    src,
                    id: "totp_qr".to_owned(),
                    width: QR_PIXELS,
                    height: QR_PIXELS,
                    node_type: "img",
                },
                messages: Vec::new(),
                meta: Meta { label: Some(Message::plain(1_050_005)) },
            });
        }
        nodes.push(Node {
            kind: "text",
            group: Group::Totp,
            attributes: Attributes::Text {
                text: Message::new(1_050_006, json!({ "secret": key.base32().reveal() })),
                id: "totp_secret_key".to_owned(),
                node_type: "text",
            },
            messages: Vec::new(),
            meta: Meta { label: Some(Message::plain(1_050_017)) },
        });
        nodes.push(Node::input(Group::Totp, "totp_code", InputType::Text).required(true).label(Message::plain(1_070_006)));
        nodes.push(Node::submit(Group::Totp, "method", "totp", Message::plain(1_070_003)));
        nodes
    }

    fn decode(&self, context: &SettingsContext<'_>, body: &Payload) -> Result<Box<dyn SettingsStep>, FormErrors> {
        let unlink = body.boolean("totp_unlink")? == Some(true);
        match (is_enrolled(context.identity), unlink) {
            (true, true) => Ok(Box::new(Unlink)),
            (true, false) => Ok(Box::new(Nothing)),
            // The app was removed elsewhere since this flow began.
            (false, _) if pending(context).is_none() => {
                let reason = "This page has no key for an authenticator app any more. Open your settings again and start over.";
                Err(FormErrors::global(Message::reason(reason)))
            }
            (false, _) => {
                let code = body.text("totp_code").ok_or_else(|| FormErrors::at("totp_code", Message::missing("totp_code")))?;
                Ok(Box::new(Enrol { code: code.trim().to_owned() }))
            }
        }
    }
}

struct Enrol {
    code: String,
}

impl SettingsStep for Enrol {
    fn operation(&self) -> Operation {
        Operation::AddFactor
    }

    fn propose<'a>(&'a self, context: &'a SettingsContext<'a>) -> Step<'a, Result<Proposal, Refusal>> {
        Box::pin(async {
            let app = context.app;
            let now = context.visit.now;
            let wrong = || FormErrors::at("totp_code", Message::plain(4_000_008));
            let key = pending(context).ok_or_else(wrong)?;
            let step = key.check(&self.code, now, None).ok_or_else(wrong)?;
            let id = context.identity.identity.id;
            let config = json!({ "totp_url": key.seal(&app.keys, id, app.random()), "last_step": step });
            let mut credentials = vec![CredentialEdit::Put { kind: CredentialType::Totp, config, identifiers: None }];
            let mut events = vec![Event::done(EventKind::TotpAdded)];
            let mut show_once = None;
            if wants_companions(context) {
                let codes = lookup_codes::generate(app.random());
                let set = LookupCodes::fresh(codes.clone(), Some(IssuedWith::Totp));
                let config = set.to_config(&app.keys, id, app.random());
                credentials.push(CredentialEdit::Put { kind: CredentialType::LookupSecret, config, identifiers: None });
                events.push(Event::done(EventKind::LookupCodesGenerated).detail("issued_with", "totp"));
                show_once = Some(ShowOnce(codes));
            }
            let proof = second_factor::proof(Proof::Totp, now);
            let edit = IdentityEdit { credentials, ..IdentityEdit::default() };
            Ok(Change { edit, proofs: vec![proof], show_once, events }.into())
        })
    }
}

struct Unlink;

impl SettingsStep for Unlink {
    fn operation(&self) -> Operation {
        Operation::RemoveFactor
    }

    fn propose<'a>(&'a self, context: &'a SettingsContext<'a>) -> Step<'a, Result<Proposal, Refusal>> {
        Box::pin(async {
            let mut credentials = vec![CredentialEdit::Drop(CredentialType::Totp)];
            let mut events = vec![Event::done(EventKind::TotpRemoved)];
            let factors = context.identity.factors();
            // Codes that were handed out with the app go with the last other second factor: alone they would keep nobody out.
            if factors.webauthn == 0 && second_factor::has_companions(context.identity) {
                credentials.push(CredentialEdit::Drop(CredentialType::LookupSecret));
                events.push(Event::done(EventKind::LookupCodesRemoved).detail("issued_with", "totp"));
            }
            Ok(Change { events, ..Change::of(IdentityEdit { credentials, ..IdentityEdit::default() }) }.into())
        })
    }
}

/// A code for an app that is enrolled already: accepted, and nothing changes (contract: settings 3.3.4).
struct Nothing;

impl SettingsStep for Nothing {
    fn operation(&self) -> Operation {
        Operation::Nothing
    }

    fn propose<'a>(&'a self, _context: &'a SettingsContext<'a>) -> Step<'a, Result<Proposal, Refusal>> {
        Box::pin(async { Ok(Change::of(IdentityEdit::default()).into()) })
    }
}

impl LoginMethod for Totp {
    fn id(&self) -> &'static str {
        "totp"
    }

    fn enabled(&self, config: &Config) -> bool {
        config.selfservice.methods.totp.enabled
    }

    fn claims(&self, flow: &Flow<Login>, body: &Payload) -> bool {
        flow.extra.requested_aal == Aal::Aal2 && body.method().is_some_and(|method| method == "totp")
    }

    fn remember(&self, context: &LoginContext<'_>, identity: Option<&IdentitySnapshot>) -> Option<Value> {
        let flow = context.flow;
        (flow.extra.requested_aal == Aal::Aal2 && identity.is_some_and(is_enrolled)).then(|| json!({}))
    }

    fn nodes(&self, context: &LoginContext<'_>) -> Vec<Node> {
        if !context.flow.memory.0.contains_key("totp") {
            return Vec::new();
        }
        let code = Node::input(Group::Totp, "totp_code", InputType::Text)
            .value("".into())
            .required(true)
            .label(Message::plain(1_010_006));
        vec![code, Node::submit(Group::Totp, "method", "totp", Message::plain(1_010_009))]
    }

    fn prove<'a>(&'a self, context: &'a LoginContext<'a>, body: &'a Payload) -> Step<'a, Result<LoginProposal, Refusal>> {
        Box::pin(async {
            let app = context.app;
            let identity = second_factor::signed_in_identity(context).await?;
            let code = body.text("totp_code").ok_or_else(|| FormErrors::at("totp_code", Message::missing("totp_code")))?;
            let length = bare(&code).chars().count();
            if length < CODE_DIGITS {
                let message = Message::new(4_000_003, json!({ "min_length": CODE_DIGITS, "actual_length": length }));
                return Err(FormErrors::at("totp_code", message).into());
            }
            let id = identity.identity.id;
            let row = identity.credential(CredentialType::Totp);
            let key = row.and_then(|row| TotpKey::open(&app.keys, id, row.config["totp_url"].as_str()?));
            let (Some(row), Some(key)) = (row, key) else { return Err(FormErrors::global(Message::plain(4_000_011)).into()) };
            let now = context.visit.now;
            let lane = context.visit.lane(id);
            let subject = attempts::Subject::Identity(id);
            let attempt = attempts::reserve(app, subject, "totp", &lane, &context.visit.client, now).await?;
            let last_step = row.config["last_step"].as_u64();
            let Some(step) = key.check(&code, now, last_step) else {
                if key.check(&code, now, None).is_some() {
                    second_factor::note_replay(context, id, "totp").await;
                }
                return Err(FormErrors::global(Message::plain(4_000_008)).into());
            };
            let mut upkeep = Batch::new();
            let mut config = row.config.clone();
            config["last_step"] = json!(step);
            upkeep.consume_credential_config(row, &config, now);
            let proof = second_factor::proof(Proof::Totp, now);
            Ok(Proven { identity, proof, upkeep, attempt }.into())
        })
    }

    fn echo(&self, _body: &Payload) -> Vec<(String, Value)> {
        Vec::new()
    }
}

fn is_enrolled(identity: &IdentitySnapshot) -> bool {
    identity.factors().totp > 0
}

fn pending(context: &SettingsContext<'_>) -> Option<TotpKey> {
    TotpKey::parse(context.flow.memory.0.get("totp")?["url"].as_str()?)
}

fn account_name(context: &SettingsContext<'_>) -> String {
    let traits = &context.identity.identity.traits;
    context.schema.totp_account_name(traits).unwrap_or_else(|| context.identity.identity.id.to_string())
}

fn wants_companions(context: &SettingsContext<'_>) -> bool {
    let methods = &context.app.config.selfservice.methods;
    methods.lookup_secret_enabled && methods.totp.issue_lookup_secrets && !second_factor::has_codes(context.identity)
}
