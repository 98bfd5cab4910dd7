//! Method `webauthn`: security keys, as second factor or instead of a password (contract: settings 3.5, login 7.6, 10.4).
//! Settings adds, names and removes them; people step up, sign in and sign up with them.
//! Which of the two a key is is settled when it is added: the configuration says which ones new keys are.

use keyward_config::{Config, UserVerification};
use keyward_model::{
    Aal, AuthMethod, CredentialType, Flow, FlowType, FormErrors, Group, IdentitySnapshot, InputType, Login, Message, Node,
    Operation, Proof, Registration, Span, Time,
};
use keyward_services::audit::{Event, EventKind};
use keyward_services::derive::{CredentialEdit, IdentityEdit};
use keyward_services::keys::KeyUse;
use keyward_services::payload::Payload;
use keyward_services::schema::IdentitySchema;
use keyward_services::webauthn::{Ceremony, Challenge, Creation, Key, Keys, UserEntity, bare_descriptor, request_options};
use keyward_services::{App, attempts};
use serde_json::{Value, json};

use super::keys::{self, Asked, Rename, Use, brings, credential_edit};
use super::{
    Applicant, Change, LoginContext, LoginMethod, LoginProposal, Next, Proposal, Refusal, RegistrationContext,
    RegistrationMethod, RegistrationProposal, SettingsContext, SettingsMethod, SettingsStep, Step, find_by_identifier,
    identifier_field, second_factor,
};

/// The method.
pub struct Webauthn;

/// What attempts are counted as that need no session.
const FIRST_FACTOR: &str = "webauthn_passwordless";

/// How long browsers wait for a key that need not know the person (contract: settings 3.5.2).
const TIMEOUT: Span = Span::minutes(2);

const REMOVE: &str = "webauthn_remove";
const RENAME: &str = "webauthn_rename";
const NAME: &str = "webauthn_register_displayname";
const REGISTER: &str = "webauthn_register";
const LOGIN: &str = "webauthn_login";

/// Whether flows of this type have the method.
const fn serves(config: &Config, flow_type: FlowType) -> bool {
    let method = &config.selfservice.methods.webauthn;
    method.enabled && (method.api_flows || matches!(flow_type, FlowType::Browser))
}

impl SettingsMethod for Webauthn {
    fn id(&self) -> &'static str {
        "webauthn"
    }

    fn group(&self) -> Group {
        Group::Webauthn
    }

    fn enabled(&self, config: &Config) -> bool {
        config.selfservice.methods.webauthn.enabled
    }

    fn claims(&self, body: &Payload) -> bool {
        [REMOVE, RENAME, REGISTER].iter().any(|field| brings(body, field))
    }

    fn remember(&self, context: &SettingsContext<'_>) -> Option<Value> {
        let app = context.app;
        serves(&app.config, context.flow.flow_type).then(|| json!({ "challenge": Challenge::draw(app.random()).text() }))
    }

    fn nodes(&self, context: &SettingsContext<'_>) -> Vec<Node> {
        let SettingsContext { app, flow, identity, .. } = *context;
        let Some(challenge) = pending(context) else { return Vec::new() };
        let keys = Keys::of(identity.credential(CredentialType::Webauthn));
        let is_last = !keys::has_another_way_in(app, identity, CredentialType::Webauthn);
        let mut nodes: Vec<_> = keys
            .credentials
            .iter()
            .map(|key| keys::remove_node(Group::Webauthn, REMOVE, 1_050_018, key, key.is_passwordless && is_last))
            .collect();
        let name = context.schema.passkey_display_name(&identity.identity.traits);
        let party = &app.config.selfservice.methods.webauthn.relying_party;
        let (typed, name) = keys::account_names(identity, party, name);
        // One handle for all keys of an account: an authenticator keeps one key for each.
        let own = identity.identity.id;
        let handle = if keys.user_handle.is_empty() { own.0.as_bytes().as_slice() } else { &keys.user_handle };
        let user = UserEntity { handle, name: &typed, display_name: &name };
        let options = creation(app, &challenge, user, &keys.credentials);
        nodes.extend(registration_nodes(app, flow.flow_type, &options, 1_050_012));
        nodes
    }

    fn decode(&self, context: &SettingsContext<'_>, body: &Payload) -> Result<Box<dyn SettingsStep>, FormErrors> {
        if !serves(&context.app.config, context.flow.flow_type) {
            return Err(FormErrors::global(Message::plain(4_010_004)));
        }
        // Several at once: adding comes first (contract: settings 3.5.3).
        if let Some(sent) = body.string(REGISTER)? {
            let name = required_name(body)?;
            return Ok(Box::new(Register { sent: sent.to_owned(), name }));
        }
        if let Some(id) = body.string(REMOVE)? {
            return Ok(Box::new(Remove { id: id.to_owned() }));
        }
        let id = body.string(RENAME)?.ok_or_else(|| FormErrors::global(Message::plain(4_010_004)))?;
        let name = required_name(body)?;
        Ok(Box::new(Rename { kind: CredentialType::Webauthn, id: id.to_owned(), name, done: EventKind::WebauthnRenamed }))
    }

    fn echo(&self, _context: &SettingsContext<'_>, body: &Payload) -> Vec<(String, Value)> {
        // The name of a key that could not be added; the one of another key belongs to its own form.
        let name = if brings(body, REGISTER) { body.string(NAME).ok().flatten() } else { None };
        name.map(|name| (NAME.to_owned(), name.into())).into_iter().collect()
    }
}

struct Register {
    sent: String,
    name: String,
}

impl SettingsStep for Register {
    fn operation(&self) -> Operation {
        Operation::AddFactor
    }

    fn propose<'a>(&'a self, context: &'a SettingsContext<'a>) -> Step<'a, Result<Proposal, Refusal>> {
        Box::pin(async {
            let (app, now) = (context.app, context.visit.now);
            let method = &app.config.selfservice.methods.webauthn;
            let challenge = pending(context).ok_or_else(|| FormErrors::global(Message::plain(4_010_004)))?;
            let new = keys::new_key(app, REGISTER, &self.sent, &ceremony(app, &challenge), false, now).await?;
            let is_passwordless = method.passwordless;
            let new = Key { display_name: self.name.clone(), is_passwordless, ..new };
            let mut keys = Keys::read(context.identity.credential(CredentialType::Webauthn))?;
            keys::room(&keys)?;
            if keys.user_handle.is_empty() {
                keys.user_handle = context.identity.identity.id.0.as_bytes().to_vec();
            }
            let event = Event::done(EventKind::WebauthnAdded).detail("key", new.hex_id());
            keys.credentials.push(new);
            let change = Change::of(credential_edit(put(&keys)));
            Ok(Change { proofs: vec![proof(is_passwordless, now)], events: vec![event], ..change }.into())
        })
    }
}

struct Remove {
    id: String,
}

impl SettingsStep for Remove {
    fn operation(&self) -> Operation {
        Operation::RemoveFactor
    }

    fn propose<'a>(&'a self, context: &'a SettingsContext<'a>) -> Step<'a, Result<Proposal, Refusal>> {
        Box::pin(async {
            let identity = context.identity;
            let keys = Keys::read(identity.credential(CredentialType::Webauthn))?;
            let key = keys::named(&keys, &self.id)?;
            if key.is_passwordless && !keys::has_another_way_in(context.app, identity, CredentialType::Webauthn) {
                let reason = "This key is your only way in, so it can't be removed. Set a password or add another key first.";
                return Err(FormErrors::at(REMOVE, Message::reason(reason)).into());
            }
            let mut events = vec![Event::done(EventKind::WebauthnRemoved).detail("key", key.hex_id())];
            let mut credentials = vec![match keys.without(&key.id) {
                Some(rest) => put(&rest),
                None => CredentialEdit::Drop(CredentialType::Webauthn),
            }];
            let factors = identity.factors();
            // Codes that were handed out with an authenticator app go with the last other second factor.
            let was_last = !key.is_passwordless && factors.webauthn == 1 && factors.totp == 0;
            if was_last && second_factor::has_companions(identity) {
                credentials.push(CredentialEdit::Drop(CredentialType::LookupSecret));
                events.push(Event::done(EventKind::LookupCodesRemoved).detail("issued_with", "totp"));
            }
            Ok(Change { events, ..Change::of(IdentityEdit { credentials, ..IdentityEdit::default() }) }.into())
        })
    }
}

impl LoginMethod for Webauthn {
    fn id(&self) -> &'static str {
        "webauthn"
    }

    fn enabled(&self, config: &Config) -> bool {
        config.selfservice.methods.webauthn.enabled
    }

    fn claims(&self, _flow: &Flow<Login>, body: &Payload) -> bool {
        body.method().is_some_and(|method| method == "webauthn") || brings(body, LOGIN)
    }

    fn remember(&self, context: &LoginContext<'_>, identity: Option<&IdentitySnapshot>) -> Option<Value> {
        let LoginContext { app, flow, .. } = *context;
        if !serves(&app.config, flow.flow_type) {
            return None;
        }
        let is_second = flow.extra.requested_aal == Aal::Aal2;
        if !is_second && !flow.extra.refresh {
            // Which keys are meant is known once the person has said who they are.
            return app.config.selfservice.methods.webauthn.passwordless.then(|| Asked::default().to_memory());
        }
        let identity = identity?;
        let row = identity.credential(CredentialType::Webauthn)?;
        let keys = descriptors(&Keys::of(Some(row)), !is_second);
        (!keys.is_empty()).then(|| Asked::anew(app, row.identifiers.first().cloned(), keys).to_memory())
    }

    fn nodes(&self, context: &LoginContext<'_>) -> Vec<Node> {
        let LoginContext { app, flow, .. } = *context;
        let Some(asked) = Asked::read(flow.memory.0.get("webauthn")) else { return Vec::new() };
        let Some(challenge) = asked.challenge() else {
            let identifier = identifier_field(app, flow).autocomplete("username webauthn");
            return vec![identifier, Node::submit(Group::Webauthn, "method", "webauthn", Message::plain(1_010_008))];
        };
        let party = &app.config.selfservice.methods.webauthn.relying_party;
        let options = request_options(party, &challenge, TIMEOUT, &asked.allow, UserVerification::Discouraged).to_string();
        let is_first = flow.extra.requested_aal == Aal::Aal1 && !flow.extra.refresh;
        let label = if is_first { 1_010_013 } else { 1_010_008 };
        let identifier =
            Node::hidden(Group::Default, "identifier").value(asked.identifier.unwrap_or_default().into()).required(is_first);
        let mut nodes = vec![identifier];
        nodes.extend(ceremony_nodes(app, flow.flow_type, "oryWebAuthnLogin", LOGIN, "webauthn_login_trigger", &options, label));
        nodes
    }

    fn prove<'a>(&'a self, context: &'a LoginContext<'a>, body: &'a Payload) -> Step<'a, Result<LoginProposal, Refusal>> {
        Box::pin(async {
            let LoginContext { app, visit, flow } = *context;
            let is_second = flow.extra.requested_aal == Aal::Aal2;
            let is_known = is_second || flow.extra.refresh;
            // Switched off since the flow began.
            let is_off = !is_known && !app.config.selfservice.methods.webauthn.passwordless;
            if !serves(&app.config, flow.flow_type) || (is_off && flow.memory.0.contains_key("webauthn")) {
                return Err(FormErrors::global(Message::plain(4_010_002)).into());
            }
            let identifier = body.string("identifier")?;
            let identifier = identifier.ok_or_else(|| missing_identifier(is_known))?;
            let not_enrolled = || FormErrors::global(Message::plain(if is_known { 4_000_013 } else { 4_000_015 }));
            let asked = Asked::read(flow.memory.0.get("webauthn")).ok_or_else(not_enrolled)?;
            let Some(sent) = body.string(LOGIN)? else {
                return if is_known { Ok(LoginProposal::Ask) } else { ask(app, identifier).await.map(Into::into) };
            };
            let assertion = keys::assertion(sent)?;
            let wrong = || FormErrors::global(Message::plain(4_000_043));
            let challenge = asked.challenge().ok_or_else(wrong)?;
            let identity = if is_known {
                second_factor::signed_in_identity(context).await?
            } else {
                // Whoever was asked, not whoever the submit says it was.
                let asked = asked.identifier.unwrap_or_default();
                match find_by_identifier(app, CredentialType::Webauthn, &asked).await? {
                    Some(identity) => identity,
                    None => {
                        // Counted like that of an account, so that nobody is told by it who has one.
                        let candidates = keyward_services::phone::login_candidates(&asked);
                        let unknown = attempts::Subject::Unknown(candidates.first().map_or(&asked, |first| first));
                        let lane = attempts::Lane::Public;
                        drop(attempts::reserve(app, unknown, FIRST_FACTOR, &lane, &visit.client, visit.now).await?);
                        return Err(wrong().into());
                    }
                }
            };
            let counts: fn(&Key) -> bool = if is_second { |key| !key.is_passwordless } else { |key| key.is_passwordless };
            let proof = proof(!is_second, visit.now);
            let ceremony = ceremony(app, &challenge);
            // Who needs nothing but a name to try must not keep the owner of a session from their second step.
            let counted_as = if is_known { "webauthn" } else { FIRST_FACTOR };
            let asked = Use { method: "webauthn", counted_as, kind: CredentialType::Webauthn, proof, ceremony, counts };
            Ok(keys::prove(context, identity, &assertion, asked).await?.into())
        })
    }

    fn echo(&self, body: &Payload) -> Vec<(String, Value)> {
        let identifier = body.string("identifier").ok().flatten().filter(|text| text.len() <= super::LONGEST_IDENTIFIER);
        identifier.map(|identifier| ("identifier".to_owned(), json!(identifier))).into_iter().collect()
    }
}

/// The second step of a sign-in that begins with a name: one of that account's keys.
async fn ask(app: &App, identifier: &str) -> Result<Next, Refusal> {
    let found = find_by_identifier(app, CredentialType::Webauthn, identifier).await?;
    let keys = found.as_ref().map(|identity| Keys::of(identity.credential(CredentialType::Webauthn)));
    let mitigate = app.config.mitigate_account_enumeration;
    let allow = match keys.map(|keys| descriptors(&keys, true)).filter(|keys| !keys.is_empty()) {
        // Hints would tell a real key from one that nobody has.
        Some(mut keys) => {
            for key in keys.iter_mut().filter_map(Value::as_object_mut).filter(|_| mitigate) {
                key.shift_remove("transports");
            }
            keys
        }
        // A key that nobody has, the same one every time: nobody is told who has an account.
        None if mitigate => vec![decoy(app, identifier)],
        None => return Err(FormErrors::global(Message::plain(4_000_015)).into()),
    };
    let memory = Asked::anew(app, Some(identifier.to_owned()), allow).to_memory();
    Ok(Next { memory, message: Message::plain(1_010_012) })
}

fn decoy(app: &App, identifier: &str) -> Value {
    let candidates = keyward_services::phone::login_candidates(identifier);
    let canonical = candidates.first().map_or(identifier, String::as_str);
    let id = app.keys.sign(KeyUse::DecoyKey, &[canonical.as_bytes()]);
    bare_descriptor(&id)
}

fn missing_identifier(is_known: bool) -> FormErrors {
    if is_known {
        return FormErrors::at("identifier", Message::missing("identifier"));
    }
    FormErrors::global(Message::reason("Enter the address or name that you sign in with."))
}

impl RegistrationMethod for Webauthn {
    fn id(&self) -> &'static str {
        "webauthn"
    }

    fn enabled(&self, config: &Config) -> bool {
        let method = &config.selfservice.methods.webauthn;
        method.enabled && method.passwordless
    }

    fn claims(&self, body: &Payload) -> bool {
        body.method().is_some_and(|method| method == "webauthn") || brings(body, REGISTER)
    }

    fn remember(&self, app: &App, _schema: &IdentitySchema, flow: &Flow<Registration>) -> Option<Value> {
        let handle = app.random().id::<keyward_model::FlowId>().to_string();
        serves(&app.config, flow.flow_type)
            .then(|| json!({ "challenge": Challenge::draw(app.random()).text(), "user_handle": handle }))
    }

    fn nodes(&self, context: &RegistrationContext<'_>) -> Vec<Node> {
        let RegistrationContext { app, flow, .. } = *context;
        let Some((challenge, handle)) = entry(flow) else { return Vec::new() };
        let party = &app.config.selfservice.methods.webauthn.relying_party.display_name;
        let user = UserEntity { handle: &handle, name: party, display_name: party };
        registration_nodes(app, flow.flow_type, &creation(app, &challenge, user, &[]), 1_040_004)
    }

    fn check(&self, body: &Payload) -> FormErrors {
        let mut errors = match body.string(REGISTER) {
            Ok(Some(_)) => FormErrors::default(),
            Ok(None) => FormErrors::at(REGISTER, Message::missing(REGISTER)),
            Err(errors) => errors,
        };
        errors.0.extend(keys::name(body, NAME).err().unwrap_or_default().0);
        errors
    }

    fn apply<'a>(
        &'a self,
        context: &'a RegistrationContext<'a>,
        body: &'a Payload,
        traits: Value,
    ) -> Step<'a, Result<RegistrationProposal, Refusal>> {
        Box::pin(async move {
            let (app, now) = (context.app, context.visit.now);
            let (challenge, user_handle) = entry(context.flow).ok_or_else(|| FormErrors::global(Message::plain(4_010_003)))?;
            let sent = body.string(REGISTER)?.unwrap_or_default();
            let new = keys::new_key(app, REGISTER, sent, &ceremony(app, &challenge), false, now).await?;
            let new = Key { display_name: keys::name(body, NAME)?, is_passwordless: true, ..new };
            let keys = Keys { credentials: vec![new], user_handle, ..Keys::default() };
            let edit = IdentityEdit { traits: Some(traits), ..credential_edit(put(&keys)) };
            Ok(Applicant::new(edit, proof(true, now)).into())
        })
    }
}

/// What a sign-up remembers of the key that is about to be made: the challenge, and the bytes of the handle.
fn entry(flow: &Flow<Registration>) -> Option<(Challenge, Vec<u8>)> {
    let memory = flow.memory.0.get("webauthn")?;
    let challenge = Challenge::parse(memory["challenge"].as_str()?)?;
    let handle = keyward_model::FlowId::parse(memory["user_handle"].as_str()?)?;
    Some((challenge, handle.0.as_bytes().to_vec()))
}

fn pending(context: &SettingsContext<'_>) -> Option<Challenge> {
    Challenge::parse(context.flow.memory.0.get("webauthn")?["challenge"].as_str()?)
}

fn ceremony<'a>(app: &'a App, challenge: &'a Challenge) -> Ceremony<'a> {
    let party = &app.config.selfservice.methods.webauthn.relying_party;
    Ceremony { party, challenge, user_verification: UserVerification::Discouraged }
}

fn creation(app: &App, challenge: &Challenge, user: UserEntity<'_>, exclude: &[Key]) -> String {
    let party = &app.config.selfservice.methods.webauthn.relying_party;
    let user_verification = UserVerification::Discouraged;
    let creation = Creation { party, user, challenge, timeout: TIMEOUT, exclude, user_verification, resident: None };
    creation.options().to_string()
}

/// The nodes that add a key, in settings and at sign-up.
fn registration_nodes(app: &App, flow_type: FlowType, options: &str, label: u32) -> Vec<Node> {
    let name = Node::input(Group::Webauthn, NAME, InputType::Text).value("".into()).label(Message::plain(1_050_013));
    let mut nodes = vec![name];
    let trigger = "webauthn_register_trigger";
    nodes.extend(ceremony_nodes(app, flow_type, "oryWebAuthnRegistration", REGISTER, trigger, options, label));
    nodes
}

/// A button that starts a ceremony, the hidden field for its answer, and the script.
fn ceremony_nodes(
    app: &App,
    flow_type: FlowType,
    function: &'static str,
    answer: &str,
    trigger: &str,
    options: &str,
    label: u32,
) -> Vec<Node> {
    let is_browser = flow_type == FlowType::Browser;
    let trigger = Node::trigger(Group::Webauthn, trigger, function, Message::plain(label))
        .value(options.into())
        .with(|input| input.onclick = is_browser.then(|| format!("window.{function}({options})")));
    let mut nodes = vec![Node::hidden(Group::Webauthn, answer).value("".into()), trigger];
    if is_browser {
        nodes.push(keys::script_node(app));
    }
    nodes
}

fn descriptors(keys: &Keys, passwordless: bool) -> Vec<Value> {
    keys.credentials.iter().filter(|key| key.is_passwordless == passwordless).map(Key::descriptor).collect()
}

fn required_name(body: &Payload) -> Result<String, FormErrors> {
    let name = keys::name(body, NAME)?;
    if name.is_empty() { Err(FormErrors::at(NAME, Message::missing(NAME))) } else { Ok(name) }
}

fn put(keys: &Keys) -> CredentialEdit {
    keys::put(CredentialType::Webauthn, keys, None)
}

const fn proof(is_first: bool, completed_at: Time) -> AuthMethod {
    let aal = if is_first { Aal::Aal1 } else { Aal::Aal2 };
    AuthMethod::new(Proof::Webauthn, aal, completed_at)
}
