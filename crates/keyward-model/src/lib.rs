//! The words of Keyward: identities, sessions, flows, nodes, messages and the rules between them.
//! Every other floor speaks them. This crate does no I/O, reads no clock and draws no randomness.

mod chance;
mod demand;
mod factors;
mod flow;
mod form;
mod hex;
mod id;
mod identifier;
mod identity;
mod message;
mod node;
mod problem;
mod reasons;
mod secret;
mod session;
mod sort;
mod time;

pub use chance::{Clock, Random};
pub use demand::{Demand, Operation, RequiredAal, SettingsRules, demand, flow_admits};
pub use factors::{Aal, AuthMethod, CodeUse, CredentialType, Factors, Proof, mailbox, session_aal};
pub use flow::{
    ContinueWith, EntryState, Flow, FlowOrigin, FlowType, Kind, Login, LoginExtra, MailedExtra, Memory, Owner, Recovery,
    Registration, RegistrationExtra, Settings, SettingsExtra, SettingsState, Verification, WaitingFlow,
};
pub use form::{Field, Form, FormError, FormErrors};
pub use hex::hex;
pub use id::{
    AddressId, CodeId, ContainerId, CredentialId, DeviceId, DispatchId, ErrorId, EventId, FlowId, GrantId, IdentityId, MessageId,
    SessionId, TraitsChangeId,
};
pub use identifier::{IdentifierKind, canonical_identifier, is_email_address, login_candidates, trim_identifier};
pub use identity::{
    AddressStatus, Audience, Credential, Identity, IdentitySnapshot, IdentityState, RecoveryAddress, VerifiableAddress, Via,
    WIRE_VERSION, WireIdentity, count_factors, schema_url, serve_wire_json, wire_json,
};
pub use message::{Lang, Message, MessageKind, MessageRow, messages};
pub use node::{Attributes, Choice, Group, Input, InputType, Meta, Node, Script, Ui, upsert};
pub use problem::{CsrfFailure, Problem};
pub use secret::Secret;
pub use session::{Device, JsonList, Session};
pub use sort::{LOGIN_GROUPS, NodeOrder, REGISTRATION_GROUPS, SETTINGS_GROUPS, SETTINGS_KEYS, sort_entry, sort_settings};
pub use time::{Span, Time};
