//! Reads Kratos configuration files and environment overrides into typed settings.
//! The binary loads once at start and again on change; every other floor reads [`Config`] and the rules for `return_to`.
//! Knows no database, no request and no clock, and never prints a secret.

mod check;
mod courier;
mod document;
mod effective;
mod env;
mod gateway;
mod hooks;
mod keys;
mod limits;
mod load;
mod methods;
mod network;
mod oidc;
mod quickstart;
mod reference;
mod report;
mod resolve;
mod return_to;
mod selfservice;
mod settings;
mod tokenizer;
mod traces;
mod tree;

pub use courier::{Clients, Courier, EmailChannel, Smtp, SmtpTls};
pub use effective::Effective;
pub use gateway::{HttpAuth, HttpRequest};
pub use hooks::{Hook, Recipients};
pub use limits::Limits;
pub use load::{Flags, Loaded, Source, Unreadable, load, read_files};
pub use methods::{
    CodeMethod, LinkMethod, Methods, PasskeyMethod, PasswordMethod, RelyingParty, TotpMethod, UserVerification, WebauthnMethod,
};
pub use network::{Network, NotANetwork};
pub use oidc::{AppleKey, ClaimsSource, OidcMethod, OidcProvider, Pkce, ProviderKind, ProviderSubject};
pub use quickstart::{DEFAULT_SCHEMA, DEFAULT_SCHEMA_ID, Quickstart};
pub use reference::{KeyReference, json_schema, key_reference};
pub use report::{ConfigErrors, Place, Problem, Warning, WarningKind};
pub use return_to::{ReturnToForbidden, ReturnUrls};
pub use settings::{
    After, AfterMethod, Argon2, Attempts, BaseUrl, Cleanup, Config, Cookies, Cors, FeatureFlags, Flow, Flows, HashAlgorithm,
    Hashers, Identity, Listener, Log, LogFormat, LogLevel, LogoutFlow, MailedFlow, MailedStrategy, PageAddress, Pem,
    PublicListener, RawSettings, Reauthentication, RegistrationFlow, SameSite, SchemaSource, Secrets, Selfservice, Session,
    SettingsFlow, Tls,
};
pub use tokenizer::{Document, SubjectSource, TokenizerTemplate};
pub use traces::Traces;
