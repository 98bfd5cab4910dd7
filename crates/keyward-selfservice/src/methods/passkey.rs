//! Method `passkey`: keys that browsers and password managers keep, found without a name (contract: settings 3.6, login 7.7, 10.5).
//! Settings adds, names and removes them; people sign in and up with them.
//! A passkey is a first factor, however its authenticator knows the person.

use keyward_config::{Config, PasskeyMethod};
use keyward_model::{
    Aal, AuthMethod, CredentialType, Flow, FlowType, FormErrors, Group, IdentitySnapshot, Login, Message, Node, Operation, Proof,
    Registration,
};
use keyward_services::audit::{Event, EventKind};
use keyward_services::derive::{CredentialEdit, IdentityEdit};
use keyward_services::payload::Payload;
use keyward_services::schema::IdentitySchema;
use keyward_services::webauthn::{
    Assertion, Ceremony, Challenge, Creation, Key, Keys, ResidentKey, UserEntity, handle_identifier, key_text, request_options,
};
use keyward_services::{App, storage_problem};
use serde_json::{Value, json};

use super::keys::{self, Asked, Rename, Use, brings, credential_edit};
use super::{
    Applicant, Change, LoginContext, LoginMethod, LoginProposal, Proposal, Refusal, RegistrationContext, RegistrationMethod,
    RegistrationProposal, SettingsContext, SettingsMethod, SettingsStep, Step, identifier_field,
};

/// The method.
pub struct Passkey;

/// Letters and digits of a user handle (contract: settings 3.6.2).
const HANDLE_LENGTH: usize = 64;

const REMOVE: &str = "passkey_remove";
const RENAME: &str = "passkey_rename";
const NAME: &str = "passkey_display_name";
const REGISTER: &str = "passkey_settings_register";
/// The same under the name that sign-up has.
const REGISTER_ALIAS: &str = "passkey_register";
const LOGIN: &str = "passkey_login";

impl SettingsMethod for Passkey {
    fn id(&self) -> &'static str {
        "passkey"
    }

    fn group(&self) -> Group {
        Group::Passkey
    }

    fn enabled(&self, config: &Config) -> bool {
        config.selfservice.methods.passkey.enabled
    }

    fn claims(&self, body: &Payload) -> bool {
        [REMOVE, RENAME, REGISTER, REGISTER_ALIAS].iter().any(|field| brings(body, field))
    }

    fn opening(&self, context: &SettingsContext<'_>) -> Option<Message> {
        display_name(context).is_none().then(|| Message::plain(4_000_009))
    }

    fn remember(&self, context: &SettingsContext<'_>) -> Option<Value> {
        display_name(context)?;
        // One handle for all keys of an account: an authenticator keeps one key for each.
        let handle = own_keys(context.identity).user_handle;
        let handle = String::from_utf8(handle).ok().filter(|handle| !handle.is_empty());
        Some(pending(context.app, handle))
    }

    fn nodes(&self, context: &SettingsContext<'_>) -> Vec<Node> {
        let keys = own_keys(context.identity);
        let is_last = !keys::has_another_way_in(context.app, context.identity, CredentialType::Passkey);
        let mut nodes: Vec<_> =
            keys.credentials.iter().map(|key| keys::remove_node(Group::Passkey, REMOVE, 1_050_020, key, is_last)).collect();
        let memory = context.flow.memory.0.get("passkey");
        let (Some(options), Some(name)) = (memory.and_then(Pending::read), display_name(context)) else { return nodes };
        let method = &context.app.config.selfservice.methods.passkey;
        let (typed, name) = keys::account_names(context.identity, &method.relying_party, Some(name));
        let options = options.creation(method, &typed, &name, &keys.credentials);
        let function = "oryPasskeySettingsRegistration";
        let trigger = Node::trigger(Group::Passkey, "passkey_register_trigger", function, Message::plain(1_050_019));
        nodes.push(called(trigger.value("".into()), function, context.flow.flow_type));
        nodes.push(Node::hidden(Group::Passkey, REGISTER));
        nodes.push(Node::hidden(Group::Passkey, "passkey_create_data").value(options.to_string().into()));
        if context.flow.flow_type == FlowType::Browser {
            nodes.push(keys::script_node(context.app));
        }
        nodes
    }

    fn decode(&self, _context: &SettingsContext<'_>, body: &Payload) -> Result<Box<dyn SettingsStep>, FormErrors> {
        // Several at once: the order decides (contract: settings 3.6.3).
        if let Some(id) = body.string(REMOVE)? {
            return Ok(Box::new(Remove { id: id.to_owned() }));
        }
        let name = keys::name(body, NAME)?;
        if let Some(id) = body.string(RENAME)? {
            if name.is_empty() {
                return Err(FormErrors::at(NAME, Message::missing(NAME)));
            }
            return Ok(Box::new(Rename {
                kind: CredentialType::Passkey,
                id: id.to_owned(),
                name,
                done: EventKind::PasskeyRenamed,
            }));
        }
        let sent = match body.string(REGISTER)? {
            Some(sent) => Some(sent),
            None => body.string(REGISTER_ALIAS)?,
        };
        let sent = sent.ok_or_else(|| FormErrors::global(Message::plain(4_010_004)))?;
        Ok(Box::new(Register { sent: sent.to_owned(), name }))
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
            let pending = context.flow.memory.0.get("passkey").and_then(Pending::read);
            let pending = pending.ok_or_else(|| FormErrors::global(Message::plain(4_000_009)))?;
            let new = pending.verify(app, REGISTER, &self.sent, now).await?;
            let named = if self.name.is_empty() { new.model().unwrap_or_default() } else { &self.name };
            let new = Key { display_name: named.to_owned(), ..new };
            let row = context.identity.credential(CredentialType::Passkey);
            let mut keys = Keys::read(row)?;
            keys::room(&keys)?;
            let mut identifiers = row.map(|row| row.identifiers.clone()).unwrap_or_default();
            let found_by = handle_identifier(pending.handle.as_bytes());
            if !identifiers.contains(&found_by) {
                identifiers.push(found_by);
            }
            keys.user_handle = pending.handle.into_bytes();
            let event = Event::done(EventKind::PasskeyAdded).detail("key", new.hex_id());
            keys.credentials.push(new);
            let change = Change::of(credential_edit(put(&keys, Some(identifiers))));
            Ok(Change { proofs: vec![proof(now)], events: vec![event], ..change }.into())
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
            let keys = Keys::read(context.identity.credential(CredentialType::Passkey))?;
            let key = keys::named(&keys, &self.id)?;
            if !keys::has_another_way_in(context.app, context.identity, CredentialType::Passkey) {
                let reason =
                    "This passkey is your only way in, so it can't be removed. Set a password or add another passkey first.";
                return Err(FormErrors::global(Message::reason(reason)).into());
            }
            let event = Event::done(EventKind::PasskeyRemoved).detail("key", key.hex_id());
            let edit = match keys.without(&key.id) {
                Some(rest) => put(&rest, None),
                None => CredentialEdit::Drop(CredentialType::Passkey),
            };
            Ok(Change { events: vec![event], ..Change::of(credential_edit(edit)) }.into())
        })
    }
}

impl LoginMethod for Passkey {
    fn id(&self) -> &'static str {
        "passkey"
    }

    fn enabled(&self, config: &Config) -> bool {
        config.selfservice.methods.passkey.enabled
    }

    fn claims(&self, flow: &Flow<Login>, body: &Payload) -> bool {
        flow.extra.requested_aal == Aal::Aal1 && (body.method().is_some_and(|method| method == "passkey") || brings(body, LOGIN))
    }

    fn remember(&self, context: &LoginContext<'_>, identity: Option<&IdentitySnapshot>) -> Option<Value> {
        let LoginContext { app, flow, .. } = *context;
        if flow.extra.requested_aal != Aal::Aal1 {
            return None;
        }
        if !flow.extra.refresh {
            return Some(Asked::anew(app, None, Vec::new()).to_memory());
        }
        let identity = identity?;
        let keys = own_keys(identity).credentials;
        let (identifier, _) = keys::account_names(identity, &app.config.selfservice.methods.passkey.relying_party, None);
        (!keys.is_empty()).then(|| Asked::anew(app, Some(identifier), keys.iter().map(Key::descriptor).collect()).to_memory())
    }

    fn nodes(&self, context: &LoginContext<'_>) -> Vec<Node> {
        let LoginContext { app, flow, .. } = *context;
        let Some(asked) = Asked::read(flow.memory.0.get("passkey")) else { return Vec::new() };
        let Some(challenge) = asked.challenge() else { return Vec::new() };
        let method = &app.config.selfservice.methods.passkey;
        let options =
            request_options(&method.relying_party, &challenge, method.login_timeout, &asked.allow, method.user_verification);
        let is_browser = flow.flow_type == FlowType::Browser;
        let function = "oryPasskeyLogin";
        let trigger = Node::trigger(Group::Passkey, "passkey_login_trigger", function, Message::plain(1_010_021));
        let mut answer = Node::hidden(Group::Passkey, LOGIN);
        let identifier = match &asked.identifier {
            Some(identifier) => Node::hidden(Group::Default, "identifier").value(identifier.as_str().into()),
            None => {
                // The browser offers passkeys in the field's own list.
                let fill = "oryPasskeyLoginAutocompleteInit";
                answer = answer.with(|input| {
                    input.onload = is_browser.then(|| format!("window.{fill}()"));
                    input.onloadTrigger = Some(fill);
                });
                identifier_field(app, flow).value("".into()).autocomplete("username webauthn")
            }
        };
        let mut nodes = vec![
            identifier,
            Node::hidden(Group::Passkey, "passkey_challenge").value(options.to_string().into()),
            answer,
            called(trigger.value("".into()), function, flow.flow_type),
        ];
        if is_browser {
            nodes.push(keys::script_node(app));
        }
        nodes
    }

    fn prove<'a>(&'a self, context: &'a LoginContext<'a>, body: &'a Payload) -> Step<'a, Result<LoginProposal, Refusal>> {
        Box::pin(async {
            let app = context.app;
            let Some(sent) = body.string(LOGIN)? else { return Ok(LoginProposal::Ask) };
            let assertion = keys::assertion(sent)?;
            let asked = Asked::read(context.flow.memory.0.get("passkey"));
            let challenge = asked.as_ref().and_then(Asked::challenge);
            let challenge = challenge.ok_or_else(|| FormErrors::global(Message::plain(4_000_043)))?;
            let (identity, kind) = subject(context, &assertion).await?;
            let method = &app.config.selfservice.methods.passkey;
            let ceremony =
                Ceremony { party: &method.relying_party, challenge: &challenge, user_verification: method.user_verification };
            let proof = proof(context.visit.now);
            let counts: fn(&Key) -> bool = match kind {
                CredentialType::Passkey => |_| true,
                _ => |key| key.is_passwordless,
            };
            let asked = Use { method: "passkey", counted_as: "passkey", kind, proof, ceremony, counts };
            Ok(keys::prove(context, identity, &assertion, asked).await?.into())
        })
    }

    fn echo(&self, _body: &Payload) -> Vec<(String, Value)> {
        Vec::new()
    }
}

/// Whose passkey it is, and which credential holds it: the signed-in person's on a refresh, else the one of the handle.
async fn subject(context: &LoginContext<'_>, assertion: &Assertion) -> Result<(IdentitySnapshot, CredentialType), Refusal> {
    let store = &context.app.store;
    let unknown = || FormErrors::global(Message::plain(4_000_015));
    if context.flow.extra.refresh {
        return Ok((super::second_factor::signed_in_identity(context).await?, CredentialType::Passkey));
    }
    let handle = assertion.user_handle().ok_or_else(unknown)?;
    let found = store.find_identity_by_identifier(CredentialType::Passkey, &handle_identifier(handle)).await;
    if let Some(identity) = found.map_err(storage_problem)? {
        return Ok((identity, CredentialType::Passkey));
    }
    // Keys that signed people in before there were passkeys are remembered by the account, not by an identifier; they go on to do
    // so when only passkeys are switched on (contract: login 7.7).
    let found = store.find_identity_by_key(&key_text(assertion.key_id())).await.map_err(storage_problem)?;
    let identity = found.ok_or_else(unknown)?;
    let keys = Keys::of(identity.credential(CredentialType::Webauthn));
    let is_theirs = keys.find(assertion.key_id()).is_some_and(|key| key.is_passwordless)
        && keys::is_own_handle(&identity, CredentialType::Webauthn, Some(handle));
    if is_theirs { Ok((identity, CredentialType::Webauthn)) } else { Err(unknown().into()) }
}

impl RegistrationMethod for Passkey {
    fn id(&self) -> &'static str {
        "passkey"
    }

    fn enabled(&self, config: &Config) -> bool {
        config.selfservice.methods.passkey.enabled
    }

    fn claims(&self, body: &Payload) -> bool {
        body.method().is_some_and(|method| method == "passkey") || brings(body, REGISTER_ALIAS)
    }

    fn remember(&self, app: &App, schema: &IdentitySchema, _flow: &Flow<Registration>) -> Option<Value> {
        (!schema.passkey_display_name_fields().is_empty()).then(|| pending(app, None))
    }

    fn nodes(&self, context: &RegistrationContext<'_>) -> Vec<Node> {
        let RegistrationContext { app, flow, schema, .. } = *context;
        let Some(pending) = flow.memory.0.get("passkey").and_then(Pending::read) else { return Vec::new() };
        let method = &app.config.selfservice.methods.passkey;
        let fields = schema.passkey_display_name_fields();
        // The browser fills in what the person types.
        let party = &method.relying_party.display_name;
        let options = json!({
            "credentialOptions": pending.creation(method, party, party, &[]),
            "displayNameFieldName": fields.first(),
            "displayNameFieldNames": fields,
        });
        let function = "oryPasskeyRegistration";
        let trigger = Node::trigger(Group::Passkey, "passkey_register_trigger", function, Message::plain(1_040_007));
        let mut nodes = vec![
            Node::hidden(Group::Passkey, "passkey_create_data").value(options.to_string().into()),
            called(trigger, function, flow.flow_type),
            Node::hidden(Group::Passkey, REGISTER_ALIAS),
        ];
        if flow.flow_type == FlowType::Browser {
            nodes.push(keys::script_node(app));
        }
        nodes
    }

    fn check(&self, body: &Payload) -> FormErrors {
        match body.string(REGISTER_ALIAS) {
            Ok(Some(_)) => FormErrors::default(),
            Ok(None) => FormErrors::at(REGISTER_ALIAS, Message::missing(REGISTER_ALIAS)),
            Err(errors) => errors,
        }
    }

    fn apply<'a>(
        &'a self,
        context: &'a RegistrationContext<'a>,
        body: &'a Payload,
        traits: Value,
    ) -> Step<'a, Result<RegistrationProposal, Refusal>> {
        Box::pin(async move {
            let (app, now) = (context.app, context.visit.now);
            let sent = body.string(REGISTER_ALIAS)?.unwrap_or_default();
            let pending = context.flow.memory.0.get("passkey").and_then(Pending::read);
            let pending = pending.ok_or_else(|| FormErrors::global(Message::plain(4_000_009)))?;
            let new = pending.verify(app, REGISTER_ALIAS, sent, now).await?;
            let named = new.model().unwrap_or_default().to_owned();
            let identifiers = vec![handle_identifier(pending.handle.as_bytes())];
            let keys = Keys {
                credentials: vec![Key { display_name: named, ..new }],
                user_handle: pending.handle.into_bytes(),
                ..Keys::default()
            };
            let edit = IdentityEdit { traits: Some(traits), ..credential_edit(put(&keys, Some(identifiers))) };
            Ok(Applicant::new(edit, proof(now)).into())
        })
    }
}

/// A key that is about to be made: what the flow remembers of it.
struct Pending {
    challenge: Challenge,
    handle: String,
}

/// A new ceremony, for an account that has this handle already or gets one.
fn pending(app: &App, handle: Option<String>) -> Value {
    let handle = handle.unwrap_or_else(|| app.random().alphanumeric(HANDLE_LENGTH));
    json!({ "challenge": Challenge::draw(app.random()).text(), "user_handle": handle })
}

impl Pending {
    fn read(memory: &Value) -> Option<Self> {
        let challenge = Challenge::parse(memory["challenge"].as_str()?)?;
        Some(Self { challenge, handle: memory["user_handle"].as_str()?.to_owned() })
    }

    fn creation(&self, method: &PasskeyMethod, typed: &str, name: &str, exclude: &[Key]) -> Value {
        let resident = ResidentKey {
            attachment: method.attachment.as_deref(),
            resident_key: &method.resident_key,
            attestation: &method.attestation,
        };
        Creation {
            party: &method.relying_party,
            user: UserEntity { handle: self.handle.as_bytes(), name: typed, display_name: name },
            challenge: &self.challenge,
            timeout: method.registration_timeout,
            exclude,
            user_verification: method.user_verification,
            resident: Some(resident),
        }
        .options()
    }

    async fn verify(&self, app: &App, field: &'static str, sent: &str, now: keyward_model::Time) -> Result<Key, Refusal> {
        let method = &app.config.selfservice.methods.passkey;
        let ceremony =
            Ceremony { party: &method.relying_party, challenge: &self.challenge, user_verification: method.user_verification };
        let key = keys::new_key(app, field, sent, &ceremony, method.wants_attestation(), now).await?;
        Ok(Key { is_passwordless: true, ..key })
    }
}

/// Browsers without the page's own script call the function themselves.
fn called(node: Node, function: &str, flow_type: FlowType) -> Node {
    node.with(|input| input.onclick = (flow_type == FlowType::Browser).then(|| format!("window.{function}()")))
}

fn own_keys(identity: &IdentitySnapshot) -> Keys {
    Keys::of(identity.credential(CredentialType::Passkey))
}

fn display_name(context: &SettingsContext<'_>) -> Option<String> {
    context.schema.passkey_display_name(&context.identity.identity.traits)
}

fn put(keys: &Keys, identifiers: Option<Vec<String>>) -> CredentialEdit {
    keys::put(CredentialType::Passkey, keys, identifiers)
}

const fn proof(completed_at: keyward_model::Time) -> AuthMethod {
    AuthMethod::new(Proof::Passkey, Aal::Aal1, completed_at)
}
