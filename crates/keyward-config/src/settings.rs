//! The settings as the rest of the server reads them: every default filled in, every duration and address parsed.
//! Made by [`crate::load`] and shared by all floors; it says what a configuration means, not what was written.
//! Debug output never shows a secret, and nothing here reads a file.

use std::collections::BTreeMap;
use std::fmt;

use keyward_model::{RequiredAal, Secret, Span};
use serde_json::Value;
use url::Url;

use crate::courier::{Clients, Courier};
use crate::document::Node;
use crate::hooks::Hook;
use crate::limits::Limits;
use crate::methods::Methods;
use crate::network::Network;
use crate::return_to::ReturnUrls;
use crate::tokenizer::TokenizerTemplate;
use crate::traces::Traces;

/// Everything that a running server is told.
#[derive(Debug, Clone)]
pub struct Config {
    /// Development mode: insecure cookies, cheap hashing and visible mail are allowed.
    pub dev: bool,
    /// The database: `memory`, `sqlite://…` or `postgres://…`, exactly as configured.
    pub dsn: Secret<String>,
    /// The port that browsers and apps talk to.
    pub public: PublicListener,
    /// The port for administration; never reachable from outside.
    pub admin: Listener,
    /// Logging.
    pub log: Log,
    /// Root secrets, newest first.
    pub secrets: Secrets,
    /// Password hashing.
    pub hashers: Hashers,
    /// Cookies other than the session's (CSRF, continuity, device).
    pub cookies: Cookies,
    /// Sessions.
    pub session: Session,
    /// Identity schemas.
    pub identity: Identity,
    /// Flows and methods.
    pub selfservice: Selfservice,
    /// Switches for behaviour of particular Kratos releases.
    pub feature_flags: FeatureFlags,
    /// `security.account_enumeration.mitigate`: answers do not tell whether an account exists.
    pub mitigate_account_enumeration: bool,
    /// `security.factor_changes_require_aal2` (ours, default true): an identity that has a second factor must show it
    /// before anything but its free traits is changed.
    pub factor_changes_require_aal2: bool,
    /// `security.attempts` (ours): what wrong passwords and codes lead to.
    pub attempts: Attempts,
    /// `tracing`: where traces are sent, by a binary that can.
    pub traces: Option<Traces>,
    /// `security.limits` (ours): bounds on requests and on what one identity may pile up.
    pub limits: Limits,
    /// `ui.brand.name` (ours): what the built-in pages call the product.
    pub brand_name: String,
    /// The built-in pages show everybody's mail: in development mode, and with `ui.mailbox` (ours) where the server is called
    /// localhost, so that a configuration that moves to another place shows nothing there.
    pub mailbox: bool,
    /// `revision`: the operator's own name for this configuration, which `/health/config` repeats.
    pub revision: Option<String>,
    /// What is deleted in the background, and when.
    pub cleanup: Cleanup,
    /// How messages are delivered.
    pub courier: Courier,
    /// `watch-courier`: this server delivers them itself.
    pub watch_courier: bool,
    /// Which addresses the server may call.
    pub clients: Clients,
}

/// How many wrong attempts are let pass, and what follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempts {
    /// Attempts are counted at all; on unless it is switched off.
    pub enabled: bool,
    /// Wrong attempts in a row, for each account and factor, before the first wait.
    pub free: i64,
    /// The first wait; each further one is twice as long.
    pub first_wait: Span,
    /// No wait is longer.
    pub longest_wait: Span,
    /// After so many in a row no attempt is let through.
    pub hard_stop: i64,
    /// Wrong attempts that a client network may make at once; 0 counts no networks.
    pub network_burst: u32,
}

impl Config {
    /// The absolute public URL of a path such as `/self-service/settings`.
    pub fn public_url(&self, path: &str) -> String {
        self.public.base_url.join(path)
    }
}

/// A part of the configuration kept as written because nothing types it yet; may hold secrets, so it prints as a placeholder.
#[derive(Clone, PartialEq, Default)]
pub struct RawSettings(Value);

impl RawSettings {
    /// The JSON form of what was written, environment overrides included. Never pass it to a log.
    pub const fn reveal(&self) -> &Value {
        &self.0
    }

    pub(crate) fn from_node(node: &Node) -> Self {
        Self(node.to_json())
    }
}

impl fmt::Debug for RawSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[settings]")
    }
}

/// A base URL, kept exactly as configured because the name of the CSRF cookie is derived from its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    pub(crate) text: String,
    pub(crate) url: Url,
}

impl BaseUrl {
    /// The configured text, with or without its trailing slash.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The parsed form.
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// The base and a path with exactly one slash between them.
    pub fn join(&self, path: &str) -> String {
        format!("{}/{}", self.text.trim_end_matches('/'), path.trim_start_matches('/'))
    }

    /// Whether the scheme is https.
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }
}

/// The address of a page, as written: a relative one stays relative where browsers are sent to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageAddress {
    pub(crate) text: String,
    pub(crate) url: Url,
}

impl PageAddress {
    /// What browsers are told.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where that is, seen from the public base URL.
    pub const fn url(&self) -> &Url {
        &self.url
    }
}

impl fmt::Display for PageAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// One listening port.
#[derive(Debug, Clone)]
pub struct Listener {
    /// The URL under which clients reach it; ends in a slash only if configured so.
    pub base_url: BaseUrl,
    /// The address to bind.
    pub host: String,
    /// The port to bind.
    pub port: u16,
    /// Certificate and key, when the server ends TLS itself.
    pub tls: Option<Tls>,
    /// Health checks are left out of the request log.
    pub quiet_health_log: bool,
    /// `serve.admin.connections` (ours): the most open connections.
    pub connections: usize,
}

/// The public port: a listener and what only browsers need.
#[derive(Debug, Clone)]
pub struct PublicListener {
    /// The URL under which clients reach it, exactly as configured.
    pub base_url: BaseUrl,
    /// The address to bind.
    pub host: String,
    /// The port to bind.
    pub port: u16,
    /// Certificate and key, when the server ends TLS itself.
    pub tls: Option<Tls>,
    /// Health checks are left out of the request log.
    pub quiet_health_log: bool,
    /// Cross-origin requests; `None` when switched off.
    pub cors: Option<Cors>,
    /// `serve.public.body_limit` (ours): the most bytes a request body may have; default 1 MiB.
    pub body_limit: usize,
    /// `serve.public.connections` (ours): the most open connections.
    pub connections: usize,
    /// `serve.trusted_proxies` (ours): networks whose forwarded headers are believed; default loopback and private ranges.
    pub trusted_proxies: Vec<Network>,
}

/// What a listener needs to end TLS itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain, the server's own certificate first.
    pub cert: Pem,
    /// The private key.
    pub key: Pem,
}

/// Where PEM text (RFC 7468) comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pem {
    /// A file, read again when it changes.
    Path(String),
    /// The text itself in base64 (RFC 4648, section 4).
    Base64(Secret<String>),
}

/// Deleting what nobody needs any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cleanup {
    /// `database.cleanup.enabled` (ours): this node deletes in the background.
    pub enabled: bool,
    /// `database.cleanup.batch_size`: the most rows that one statement deletes.
    pub batch_size: u32,
    /// `database.cleanup.sleep.tables`: the time between two rounds of a node, on average.
    pub sleep: Span,
    /// `database.cleanup.older_than`: how long rows stay after they ended; a day when not configured, so that whoever comes
    /// late is told that a flow expired.
    pub older_than: Span,
    /// `audit.retention` (ours): how long audit events are kept; `None` keeps them for ever.
    pub audit_retention: Option<Span>,
}

impl Cleanup {
    /// How long audit events are kept where nothing else is configured.
    pub const AUDIT_RETENTION: Span = Span::hours(365 * 24);
}

/// The answer to cross-origin requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    /// Origins as written; `*` matches all, `*.` as the first label matches subdomains.
    pub allowed_origins: Vec<String>,
    /// Methods, upper case.
    pub allowed_methods: Vec<String>,
    /// Request headers.
    pub allowed_headers: Vec<String>,
    /// Response headers that scripts may read.
    pub exposed_headers: Vec<String>,
    /// Cookies are allowed.
    pub allow_credentials: bool,
    /// Seconds for which a preflight may be remembered; zero sends no such header.
    pub max_age: u64,
}

/// Logging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// The least severe level that is written.
    pub level: LogLevel,
    /// The form of a line.
    pub format: LogFormat,
}

/// Levels of the log; Kratos' `fatal` and `panic` are `Error`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Everything.
    Trace,
    /// For developers.
    Debug,
    /// The default.
    Info,
    /// Warnings and errors.
    Warn,
    /// Errors only.
    Error,
}

/// Forms of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Root secrets; keys are derived from them with one label per use. The first of each list is used for new values.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    /// `secrets.default`.
    pub default: Vec<Secret<String>>,
    /// `secrets.cookie`.
    pub cookie: Vec<Secret<String>>,
    /// `secrets.cipher`.
    pub cipher: Vec<Secret<String>>,
}

impl Secrets {
    /// Whether there is none at all, so that a development server has to make one.
    pub const fn is_empty(&self) -> bool {
        self.default.is_empty() && self.cookie.is_empty() && self.cipher.is_empty()
    }
}

/// Password hashing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hashers {
    /// The format of new hashes.
    pub algorithm: HashAlgorithm,
    /// The cost of bcrypt, 4 to 31; at least 12 outside development mode.
    pub bcrypt_cost: u32,
    /// Parameters of Argon2id.
    pub argon2: Argon2,
}

/// Formats of new password hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashAlgorithm {
    /// `$2a$…`
    Bcrypt,
    /// `$argon2id$…`
    Argon2,
}

/// Parameters of Argon2id (RFC 9106).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2 {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
    /// Bytes of salt.
    pub salt_length: usize,
    /// Bytes of output.
    pub key_length: usize,
}

/// `SameSite` of a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// Sent by same-site requests only.
    Strict,
    /// Also by top-level navigation.
    Lax,
    /// Always; only together with `Secure`.
    None,
}

/// Attributes that cookies share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cookies {
    /// `Domain`; `None` binds the cookie to the host.
    pub domain: Option<String>,
    /// `Path`.
    pub path: String,
    /// `SameSite`; `Lax` whenever the cookie is not `Secure`.
    pub same_site: SameSite,
    /// `Secure`; on unless development mode or the configuration says otherwise.
    pub secure: bool,
}

/// Sessions and their cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// How long a new session lives.
    pub lifespan: Span,
    /// How long before its end a session may be prolonged; equal to the lifespan when not configured.
    pub earliest_possible_extend: Span,
    /// The name of the cookie.
    pub cookie_name: String,
    /// Whether the cookie outlives the browser.
    pub cookie_persistent: bool,
    /// The other attributes of the cookie.
    pub cookie: Cookies,
    /// What `whoami` asks for: `Aal1` or `HighestAvailable`.
    pub whoami_required_aal: RequiredAal,
    /// The tokens that `whoami` can make of a session, in the order of the configuration.
    pub tokenizers: Vec<TokenizerTemplate>,
}

/// Identity schemas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The schema of people who register without naming one; always one of `schemas`.
    pub default_schema_id: String,
    /// At least one.
    pub schemas: Vec<SchemaSource>,
}

/// Where one identity schema comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaSource {
    /// Its id.
    pub id: String,
    /// `file://`, `base64://`, `http://` or `https://`.
    pub url: String,
    /// People may choose it at registration.
    pub selfservice_selectable: bool,
}

/// Flows and methods.
#[derive(Debug, Clone)]
pub struct Selfservice {
    /// Where browsers go when nothing else is said.
    pub default_browser_return_url: Url,
    /// The rules for `return_to`.
    pub return_urls: ReturnUrls,
    /// The flows.
    pub flows: Flows,
    /// The methods.
    pub methods: Methods,
}

/// The flows.
#[derive(Debug, Clone)]
pub struct Flows {
    /// Sign-in.
    pub login: Flow,
    /// Registration.
    pub registration: RegistrationFlow,
    /// Settings.
    pub settings: SettingsFlow,
    /// Sign-out.
    pub logout: LogoutFlow,
    /// The page that shows stored errors.
    pub error_ui_url: PageAddress,
    /// Recovery of an account.
    pub recovery: MailedFlow,
    /// Verification of an address.
    pub verification: MailedFlow,
}

/// What every flow has.
#[derive(Debug, Clone)]
pub struct Flow {
    /// The page that renders the flow; the built-in one when none is configured.
    pub ui_url: PageAddress,
    /// How long a flow may be submitted.
    pub lifespan: Span,
    /// Hooks that run when a flow is made.
    pub before_hooks: Vec<Hook>,
    /// What happens after success.
    pub after: After,
}

/// Registration.
#[derive(Debug, Clone)]
pub struct RegistrationFlow {
    /// People may register.
    pub enabled: bool,
    /// Who signs up with a taken address is told how to sign in with it.
    pub login_hints: bool,
    /// What every flow has.
    pub flow: Flow,
}

/// Settings.
#[derive(Debug, Clone)]
pub struct SettingsFlow {
    /// What every flow has.
    pub flow: Flow,
    /// The assurance level for the flow or its operations.
    pub required_aal: RequiredAal,
    /// How long after authentication protected changes are allowed; zero asks every time.
    pub privileged_session_max_age: Span,
    /// `selfservice.flows.settings.reauthentication` (ours): which factor makes a session privileged again.
    pub reauthentication: Reauthentication,
}

/// Which factor renews a privileged session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reauthentication {
    /// Any factor, as in Kratos.
    Any,
    /// An operation that needs AAL2 needs a fresh second factor.
    SameAal,
}

/// Sign-out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogoutFlow {
    /// Where browsers go afterwards.
    pub default_browser_return_url: String,
    /// Asks the browser to clear its data.
    pub clear_browser_data: bool,
}

/// Recovery and verification.
#[derive(Debug, Clone)]
pub struct MailedFlow {
    /// The flow is offered.
    pub enabled: bool,
    /// Link or code.
    pub strategy: MailedStrategy,
    /// Mails go out even to addresses that nobody has.
    pub notify_unknown_recipients: bool,
    /// What every flow has.
    pub flow: Flow,
}

/// How a mailed flow proves the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailedStrategy {
    /// A one-time code.
    Code,
    /// A link.
    Link,
}

/// What happens after a flow succeeded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct After {
    /// Where browsers go, as written (a relative value is used as it is).
    pub default_browser_return_url: Option<String>,
    /// Hooks of methods that have none of their own.
    pub hooks: Vec<Hook>,
    /// Exceptions by method.
    pub methods: BTreeMap<String, AfterMethod>,
}

/// What happens after success with one method.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AfterMethod {
    /// Where browsers go.
    pub default_browser_return_url: Option<String>,
    /// The hooks of this method.
    pub hooks: Vec<Hook>,
}

impl After {
    /// The configured target for a method: its own, else the flow's.
    pub fn return_url(&self, method: &str) -> Option<&str> {
        let own = self.methods.get(method).and_then(|after| after.default_browser_return_url.as_deref());
        own.or(self.default_browser_return_url.as_deref())
    }

    /// The hooks for a method: its own list when it has entries, else the flow's; never both.
    pub fn hooks_for(&self, method: &str) -> &[Hook] {
        self.methods.get(method).map(|after| after.hooks.as_slice()).filter(|hooks| !hooks.is_empty()).unwrap_or(&self.hooks)
    }
}

/// Switches for behaviour of particular Kratos releases; all off by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FeatureFlags {
    /// `cacheable_sessions`
    pub cacheable_sessions: bool,
    /// `cacheable_sessions_max_age`
    pub cacheable_sessions_max_age: Option<Span>,
    /// `use_continue_with_transitions`
    pub use_continue_with_transitions: bool,
    /// `choose_recovery_address`
    pub choose_recovery_address: bool,
    /// `legacy_continue_with_verification_ui`
    pub legacy_continue_with_verification_ui: bool,
    /// `legacy_require_verified_login_error`
    pub legacy_require_verified_login_error: bool,
    /// `faster_session_extend`
    pub faster_session_extend: bool,
    /// `password_profile_registration_node_group: password`
    pub profile_nodes_in_password_group: bool,
    /// `legacy_oidc_registration_node_group`
    pub legacy_oidc_registration_node_group: bool,
    /// `legacy_allow_insecure_origins`: unsafe wildcards in `allowed_return_urls` are obeyed.
    pub legacy_allow_insecure_origins: bool,
    /// `refresh_login_choose_address`
    pub refresh_login_choose_address: bool,
}
