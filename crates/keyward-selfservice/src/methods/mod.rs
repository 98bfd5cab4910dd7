//! The methods: one file each, and one ordered slice that every story walks.
//! A method says which submits it answers to, what it shows, and what it would change; it never writes anything itself.
//! Methods know neither doors nor cookies, and not each other.

pub mod code;
mod keys;
pub mod lookup_secret;
pub mod oidc;
pub mod passkey;
pub mod password;
pub mod profile;
mod second_factor;
pub mod totp;
pub mod webauthn;

pub(crate) use keys::REGISTERED_ALREADY;
use std::future::Future;
use std::pin::Pin;

use keyward_config::Config;
use keyward_model::{
    AuthMethod, CredentialType, Flow, FormErrors, Group, IdentitySnapshot, InputType, Login, Memory, Message, Node, Operation,
    Problem, Registration, Secret, Settings,
};
use keyward_services::attempts::Reserved;
use keyward_services::audit::Event;
use keyward_services::derive::IdentityEdit;
use keyward_services::payload::Payload;
use keyward_services::schema::IdentitySchema;
use keyward_services::{App, storage_problem};
use serde_json::Value;

use crate::visit::Visit;

/// Settings methods in the order in which they are asked (contract: settings 3.0.1).
pub const SETTINGS: &[&dyn SettingsMethod] = &[
    &profile::Profile,
    &password::Password,
    &oidc::Oidc,
    &totp::Totp,
    &passkey::Passkey,
    &webauthn::Webauthn,
    &lookup_secret::LookupSecret,
];

/// Login methods in the order in which they are asked (contract: login 6.3).
pub const LOGIN: &[&dyn LoginMethod] = &[
    &password::Password,
    &oidc::Oidc,
    &code::Code,
    &totp::Totp,
    &passkey::Passkey,
    &webauthn::Webauthn,
    &lookup_secret::LookupSecret,
];

/// Registration methods in the order in which they are asked (contract: login 9).
pub const REGISTRATION: &[&dyn RegistrationMethod] =
    &[&password::Password, &oidc::Oidc, &code::Code, &passkey::Passkey, &webauthn::Webauthn];

/// A boxed future, so that methods can stand in a slice.
pub type Step<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a settings method can look at.
pub struct SettingsContext<'a> {
    /// The services.
    pub app: &'a App,
    /// The request.
    pub visit: &'a Visit,
    /// The flow.
    pub flow: &'a Flow<Settings>,
    /// The identity as it is now.
    pub identity: &'a IdentitySnapshot,
    /// Its schema.
    pub schema: &'a IdentitySchema,
}

/// Why a method does not go along.
#[derive(Debug)]
pub enum Refusal {
    /// The form says why.
    Form(FormErrors),
    /// The whole request is answered otherwise.
    Problem(Problem),
}

impl From<FormErrors> for Refusal {
    fn from(errors: FormErrors) -> Self {
        Self::Form(errors)
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

/// Changes one part of one's own account.
pub trait SettingsMethod: Sync {
    /// The wire's method word; also names its section, its hooks and its paused payloads.
    fn id(&self) -> &'static str;
    /// The group of its nodes.
    fn group(&self) -> Group;
    /// Whether the operator switched it on.
    fn enabled(&self, config: &Config) -> bool;
    /// Whether this submit is for it, switched on or not.
    fn claims(&self, body: &Payload) -> bool;
    /// What the page says about it when the flow is made.
    fn opening(&self, _context: &SettingsContext<'_>) -> Option<Message> {
        None
    }
    /// What to keep, sealed, until the submit: runs once when a flow is made and again after each success.
    fn remember(&self, _context: &SettingsContext<'_>) -> Option<Value> {
        None
    }
    /// What it shows. Changes nothing: called at every read.
    fn nodes(&self, context: &SettingsContext<'_>) -> Vec<Node>;
    /// Reads the submit.
    ///
    /// # Errors
    /// What is wrong with the form.
    fn decode(&self, context: &SettingsContext<'_>, body: &Payload) -> Result<Box<dyn SettingsStep>, FormErrors>;
    /// Which submitted values a refused form shows again. Never a secret.
    fn echo(&self, _context: &SettingsContext<'_>, _body: &Payload) -> Vec<(String, Value)> {
        Vec::new()
    }
}

/// A decoded settings submit.
pub trait SettingsStep: Send + Sync {
    /// What it is about to do; decides what is demanded.
    fn operation(&self) -> Operation;
    /// Works out the change: policy, hashing, verification. Runs after the gate, outside any write.
    fn propose<'a>(&'a self, context: &'a SettingsContext<'a>) -> Step<'a, Result<Proposal, Refusal>>;
}

/// What a settings method comes to.
#[derive(Debug)]
pub enum Proposal {
    /// Change the identity.
    Apply(Box<Change>),
    /// Change nothing yet: keep something in the flow's sealed memory and show it.
    Remember {
        /// Replaces the method's memory.
        memory: Value,
        /// For the audit log.
        events: Vec<Event>,
    },
    /// Change nothing yet: the person goes to a provider first.
    Depart(Box<oidc::Departure>),
}

/// What a settings submit changes.
#[derive(Debug)]
pub struct Change {
    /// The edit of the identity.
    pub edit: IdentityEdit,
    /// Proofs given on the way; they raise the running session in the same commit.
    pub proofs: Vec<AuthMethod>,
    /// Codes that this flow shows from now on, to this identity, until its next submit.
    pub show_once: Option<ShowOnce>,
    /// What the audit log says beside the general event.
    pub events: Vec<Event>,
}

impl From<Change> for Proposal {
    fn from(change: Change) -> Self {
        Self::Apply(Box::new(change))
    }
}

impl Change {
    /// An edit and nothing else.
    pub const fn of(edit: IdentityEdit) -> Self {
        Self { edit, proofs: Vec::new(), show_once: None, events: Vec::new() }
    }
}

/// Freshly issued backup codes, kept sealed in the flow's memory (decisions 4).
#[derive(Clone, Debug, PartialEq)]
pub struct ShowOnce(pub Vec<Secret<String>>);

impl ShowOnce {
    const KEY: &'static str = "show_once";

    /// Puts the codes into a flow's memory.
    pub(crate) fn keep(&self, memory: &mut Memory) {
        let codes: Vec<_> = self.0.iter().map(|code| Value::from(code.reveal().as_str())).collect();
        memory.0.insert(Self::KEY.to_owned(), codes.into());
    }

    /// Reads them back.
    pub(crate) fn read(memory: &Memory) -> Option<Self> {
        let codes = memory.0.get(Self::KEY)?.as_array()?;
        Some(Self(codes.iter().filter_map(|code| Some(code.as_str()?.to_owned().into())).collect()))
    }

    /// Takes them out: the next submit has come.
    pub(crate) fn forget(memory: &mut Memory) {
        memory.0.remove(Self::KEY);
    }
}

/// What a login method can look at.
pub struct LoginContext<'a> {
    /// The services.
    pub app: &'a App,
    /// The request.
    pub visit: &'a Visit,
    /// The flow.
    pub flow: &'a Flow<Login>,
}

/// Who somebody turned out to be.
#[derive(Debug)]
pub struct Proven {
    /// The identity.
    pub identity: IdentitySnapshot,
    /// The proof for the session.
    pub proof: AuthMethod,
    /// Upkeep of the credential that was used, such as a rehash: written with the session, never a reason to fail.
    pub upkeep: keyward_store::Batch,
    /// The attempt that was right; the story forgets the failures before it, or gives it back when it comes to nothing.
    pub attempt: keyward_services::attempts::Reserved,
}

/// What a login method comes to.
#[derive(Debug)]
pub enum LoginProposal {
    /// Somebody is proved.
    Proven(Box<Proven>),
    /// The method knows who is meant and asks for the proof: its nodes are all that the flow shows from now on.
    Next(Next),
    /// The submit brought nothing yet: the page has to ask.
    Ask,
    /// A message is on its way, and the flow waits for what it says.
    Sent(Box<Sent>),
    /// The person goes to a provider first.
    Depart(Box<oidc::Departure>),
    /// A provider vouched for somebody who has no account yet.
    Unknown(Box<oidc::Arrival>),
}

/// A message that is sent when the flow is stored; its method's nodes are all that the flow shows from then on.
#[derive(Debug)]
pub struct Sent {
    /// Replaces the method's memory.
    pub memory: Value,
    /// What the page says.
    pub message: Message,
    /// What is written with the flow.
    pub queued: Queued,
}

/// Codes and messages that wait for the commit of their flow.
#[derive(Debug, Default)]
pub struct Queued {
    /// The codes and the messages.
    pub batch: keyward_store::Batch,
    /// How the messages were counted; given back when the commit comes to nothing.
    pub counted: Vec<Reserved>,
}

/// The next step of a sign-in.
#[derive(Debug)]
pub struct Next {
    /// Replaces the method's memory.
    pub memory: Value,
    /// What the page says.
    pub message: Message,
}

impl From<Proven> for LoginProposal {
    fn from(proven: Proven) -> Self {
        Self::Proven(Box::new(proven))
    }
}

impl From<Sent> for LoginProposal {
    fn from(sent: Sent) -> Self {
        Self::Sent(Box::new(sent))
    }
}

impl From<Next> for LoginProposal {
    fn from(next: Next) -> Self {
        Self::Next(next)
    }
}

/// Proves who somebody is.
pub trait LoginMethod: Sync {
    /// The wire's method word.
    fn id(&self) -> &'static str;
    /// Whether the operator switched it on.
    fn enabled(&self, config: &Config) -> bool;
    /// Whether this submit is for it.
    fn claims(&self, flow: &Flow<Login>, body: &Payload) -> bool;
    /// What to remember when the flow is made; `identity` is the signed-in one on a refresh or step-up.
    fn remember(&self, _context: &LoginContext<'_>, _identity: Option<&IdentitySnapshot>) -> Option<Value> {
        None
    }
    /// What it sends by itself when the flow is made for somebody who is signed in. Asked after [`LoginMethod::remember`].
    fn open<'a>(
        &'a self,
        _context: &'a LoginContext<'a>,
        _identity: &'a IdentitySnapshot,
    ) -> Step<'a, Result<Option<Sent>, Problem>> {
        Box::pin(async { Ok(None) })
    }
    /// What it shows.
    fn nodes(&self, context: &LoginContext<'_>) -> Vec<Node>;
    /// Proves it, or says why not. Where secrets could be guessed, it costs the same whether the account exists or not.
    fn prove<'a>(&'a self, context: &'a LoginContext<'a>, body: &'a Payload) -> Step<'a, Result<LoginProposal, Refusal>>;
    /// Which submitted values a refused form shows again. Never a secret.
    fn echo(&self, body: &Payload) -> Vec<(String, Value)>;
}

/// What a registration method can look at.
pub struct RegistrationContext<'a> {
    /// The services.
    pub app: &'a App,
    /// The request.
    pub visit: &'a Visit,
    /// The flow.
    pub flow: &'a Flow<Registration>,
    /// The schema of the identity to be.
    pub schema: &'a IdentitySchema,
}

/// An account to be made.
#[derive(Debug)]
pub struct Applicant {
    /// Traits and first credential.
    pub edit: IdentityEdit,
    /// The proof for a session that the registration hands out.
    pub proof: AuthMethod,
    /// What is used up with the account, such as a code.
    pub upkeep: keyward_store::Batch,
    /// The attempt that was right, where there was something to guess; given back when it comes to nothing.
    pub attempt: Option<keyward_services::attempts::Reserved>,
}

impl Applicant {
    /// An account that is made without anything to guess or to use up.
    pub const fn new(edit: IdentityEdit, proof: AuthMethod) -> Self {
        Self { edit, proof, upkeep: keyward_store::Batch::new(), attempt: None }
    }
}

/// What a registration method comes to.
#[derive(Debug)]
pub enum RegistrationProposal {
    /// Make this account.
    Create(Box<Applicant>),
    /// A message is on its way, and the flow waits for what it says.
    Sent(Box<Sent>),
    /// The person goes to a provider first.
    Depart(Box<oidc::Departure>),
    /// A provider vouched for somebody.
    Arrived(Box<oidc::Arrival>),
}

impl From<Applicant> for RegistrationProposal {
    fn from(applicant: Applicant) -> Self {
        Self::Create(Box::new(applicant))
    }
}

/// Makes an account with a first credential.
pub trait RegistrationMethod: Sync {
    /// The wire's method word.
    fn id(&self) -> &'static str;
    /// Whether the operator switched it on.
    fn enabled(&self, config: &Config) -> bool;
    /// Whether this submit is for it.
    fn claims(&self, body: &Payload) -> bool;
    /// What to keep, sealed, until the submit: runs once when a flow is made.
    fn remember(&self, _app: &App, _schema: &IdentitySchema, _flow: &Flow<Registration>) -> Option<Value> {
        None
    }
    /// Whether traits come from elsewhere as well, so that those of the submit need not be complete.
    fn brings_traits(&self) -> bool {
        false
    }
    /// What it shows beside the traits.
    fn nodes(&self, context: &RegistrationContext<'_>) -> Vec<Node>;
    /// Refusals of its own fields, found together with those of the traits.
    fn check(&self, body: &Payload) -> FormErrors;
    /// Works out the account. `traits` are decoded and valid; while the flow waits for what a message says they are as they came.
    fn apply<'a>(
        &'a self,
        context: &'a RegistrationContext<'a>,
        body: &'a Payload,
        traits: Value,
    ) -> Step<'a, Result<RegistrationProposal, Refusal>>;
}

/// The field for what somebody signs in with, called as their schema calls it.
fn identifier_field(app: &App, flow: &Flow<Login>) -> Node {
    let schema = crate::stories::entry_schema(app, flow.extra.identity_schema.as_deref());
    let title = schema.and_then(IdentitySchema::identifier_title);
    let label = title.map_or_else(|| Message::plain(1_070_004), |(title, name)| Message::title(title, name));
    Node::input(Group::Default, "identifier", InputType::Text).required(true).label(label)
}

/// Bytes that somebody may type to sign in. Nothing longer is looked up or kept in the form; operators may import identifiers
/// that exceed `security.limits`, so that bound is not asked here.
const LONGEST_IDENTIFIER: usize = 4_096;

/// The account that somebody means who types this to sign in.
async fn find_by_identifier(app: &App, kind: CredentialType, typed: &str) -> Result<Option<IdentitySnapshot>, Problem> {
    if typed.len() > LONGEST_IDENTIFIER {
        return Ok(None);
    }
    for candidate in keyward_services::phone::login_candidates(typed) {
        let found = app.store.find_identity_by_identifier(kind, &candidate).await.map_err(storage_problem)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The name under which the submitted traits are remembered as a whole. No node has it: the nodes are made of them, so that a
/// list shows the entries that were typed and not those that are stored.
pub(crate) const TRAITS: &str = "traits";

/// The submitted traits as echoes: as a whole, and for their nodes, one per leaf, so that a refused form shows what was typed;
/// `None` where nothing was.
pub(crate) fn echo_traits(schema: &IdentitySchema, body: &Payload) -> Vec<(String, Option<Value>)> {
    let traits = schema.decode_traits(body);
    let nodes = schema.trait_nodes(Group::Default, &traits);
    let leaves = nodes.into_iter().filter_map(|node| match &node.attributes {
        keyward_model::Attributes::Input(input) => Some((input.name.clone(), input.value.clone())),
        _ => None,
    });
    leaves.chain([(TRAITS.to_owned(), Some(traits.clone()))]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_has_an_id_of_its_own_and_the_order_of_the_contract() {
        let order = ["profile", "password", "oidc", "totp", "passkey", "webauthn", "lookup_secret"];
        let ids: Vec<_> = SETTINGS.iter().map(|method| method.id()).collect();
        let expected: Vec<_> = order.into_iter().filter(|id| ids.contains(id)).collect();
        assert_eq!(ids, expected);
        for method in SETTINGS {
            assert_eq!(serde_json::to_value(method.group()).unwrap(), method.id(), "a method's nodes stand in its own group");
        }
    }
}
