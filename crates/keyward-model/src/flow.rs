//! Self-service flows: one generic shape, one kind per story.
//! Stories create and load them, the store keeps a row of each, `http` shows them.
//! A flow stores memory, messages and echoed values; nodes are rendered when it is read.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Aal, FlowId, Form, IdentityId, SessionId, Time};

/// Who talks through a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FlowType {
    /// A native client with a session token, never with cookies.
    Api,
    /// A browser, by form or by script, with cookies and CSRF protection.
    Browser,
}

impl FlowType {
    /// The wire's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Browser => "browser",
        }
    }
}

/// What distinguishes the kinds of flow.
pub trait Kind: Send + Sync + 'static {
    /// The word in paths and in the `kind` column.
    const NAME: &'static str;
    /// The message of a replacement for an expired flow.
    const EXPIRED: u32;
    /// `state` on the wire.
    type State: Clone + PartialEq + Serialize + DeserializeOwned + Send + Sync;
    /// What only this kind remembers in clear.
    type Extra: Clone + Serialize + DeserializeOwned + Send + Sync;
}

/// A flow of kind `K`.
#[derive(Clone, Debug)]
pub struct Flow<K: Kind> {
    /// Its id.
    pub id: FlowId,
    /// Who talks.
    pub flow_type: FlowType,
    /// How far it has come.
    pub state: K::State,
    /// When it was made.
    pub issued_at: Time,
    /// When it stops accepting submits.
    pub expires_at: Time,
    /// The absolute address that made it, query included; `return_to` is read from here.
    pub request_url: String,
    /// Messages and echoed values.
    pub form: Form,
    /// Secrets of methods between init and submit, such as a pending TOTP key. Sealed in the database.
    pub memory: Memory,
    /// What only this kind remembers.
    pub extra: K::Extra,
    /// Whose it is, as far as that is known.
    pub owner: Owner,
    /// Row version; guards every write.
    pub version: i64,
}

impl<K: Kind> Flow<K> {
    /// Whether submits come too late.
    pub fn is_expired(&self, now: Time) -> bool {
        self.expires_at <= now
    }

    /// The first value of a query parameter of the init request; empty counts as absent.
    pub fn query(&self, name: &str) -> Option<String> {
        let url = url::Url::parse(&self.request_url).ok()?;
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).filter(|value| !value.is_empty())
    }
}

/// Whose a flow is; columns of its own, because a deleted identity or session takes its flows along.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// The identity.
    pub identity_id: Option<IdentityId>,
    /// The session that was there at init.
    pub session_id: Option<SessionId>,
}

/// Per-method memory by method id. Empty for the methods that need none.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Memory(pub serde_json::Map<String, Value>);

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Memory({} methods)", self.0.len())
    }
}

/// Changing one's own account.
#[derive(Clone, Copy, Debug)]
pub struct Settings;

/// Signing in, stepping up, confirming.
#[derive(Clone, Copy, Debug)]
pub struct Login;

/// Signing up.
#[derive(Clone, Copy, Debug)]
pub struct Registration;

/// Getting back into an account.
#[derive(Clone, Copy, Debug)]
pub struct Recovery;

/// Confirming an address.
#[derive(Clone, Copy, Debug)]
pub struct Verification;

impl Kind for Settings {
    const NAME: &'static str = "settings";
    const EXPIRED: u32 = 4_050_001;
    type State = SettingsState;
    type Extra = SettingsExtra;
}

impl Kind for Login {
    const NAME: &'static str = "login";
    const EXPIRED: u32 = 4_010_001;
    type State = EntryState;
    type Extra = LoginExtra;
}

impl Kind for Registration {
    const NAME: &'static str = "registration";
    const EXPIRED: u32 = 4_040_001;
    type State = EntryState;
    type Extra = RegistrationExtra;
}

impl Kind for Recovery {
    const NAME: &'static str = "recovery";
    const EXPIRED: u32 = 4_060_005;
    type State = EntryState;
    type Extra = MailedExtra;
}

impl Kind for Verification {
    const NAME: &'static str = "verification";
    const EXPIRED: u32 = 4_070_005;
    type State = EntryState;
    type Extra = MailedExtra;
}

/// How far a settings flow has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettingsState {
    /// Nothing was changed yet, or the last submit was refused on a fresh flow.
    ShowForm,
    /// The last accepted submit was stored.
    Success,
}

/// How far a flow other than settings has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryState {
    /// Waiting for a method.
    ChooseMethod,
    /// A code or link is on its way.
    SentEmail,
    /// Done.
    PassedChallenge,
}

/// Where a settings flow came from: recovery admits one password change where otherwise a second factor would be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum FlowOrigin {
    /// The person opened settings.
    #[default]
    Normal,
    /// A recovery led here.
    Recovery,
}

/// What a settings flow remembers beside its form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsExtra {
    /// Whose settings.
    pub identity_id: IdentityId,
    /// Where it came from.
    #[serde(default)]
    pub origin: FlowOrigin,
    /// The method whose submit was answered last, for pages that open its section; not on the wire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_method: Option<String>,
    /// The method that came back from elsewhere to end here; on the wire as `active`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<String>,
}

/// What a login flow remembers beside its form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginExtra {
    /// Whether an existing session confirms itself.
    pub refresh: bool,
    /// The level that is asked for.
    pub requested_aal: Aal,
    /// The settings flow that sent the person here for a fresh proof; completing this login admits its next submit once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serves: Option<FlowId>,
    /// `organization` of the init request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<String>,
    /// `identity_schema` of the init request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_schema: Option<String>,
    /// Method last used; on the wire as `active`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<String>,
    /// When the row was last written.
    pub updated_at: Time,
    /// The CSRF cookie of the browser that opened the flow, hashed: another browser may not read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub browser: Option<String>,
}

/// What a registration flow remembers beside its form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationExtra {
    /// `organization` of the init request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<String>,
    /// `identity_schema` of the init request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_schema: Option<String>,
    /// Method last used; on the wire as `active`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<String>,
    /// The CSRF cookie of the browser that opened the flow, hashed: another browser may not read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub browser: Option<String>,
}

/// What a recovery or verification flow remembers beside its form. Addresses and codes are not among it: they stand sealed in
/// [`Memory`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailedExtra {
    /// The method in use, `code` or `link`; on the wire as `active`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<String>,
    /// The CSRF cookie of the browser that opened the flow, hashed: another browser may not read it. Flows that an operator or
    /// another flow made belong to no browser yet, see `unbound`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub browser: Option<String>,
    /// No browser opened this flow, so any may read it: an operator made it, or it waits behind a mailed link.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unbound: bool,
    /// The session that another flow handed out together with this one: whoever has it may read the flow as well, because the
    /// CSRF cookie changes when a session begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
}

/// What the client does next (`continue_with` on the wire).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum ContinueWith {
    /// Send the browser there.
    RedirectBrowserTo {
        /// Absolute or relative address.
        redirect_browser_to: String,
    },
    /// Keep this token.
    SetOrySessionToken {
        /// The session token.
        ory_session_token: String,
    },
    /// Confirm an address.
    ShowVerificationUi {
        /// The flow that waits.
        flow: WaitingFlow,
    },
    /// Change the account.
    ShowSettingsUi {
        /// The flow that waits.
        flow: WaitingFlow,
    },
    /// Get back into the account.
    ShowRecoveryUi {
        /// The flow that waits.
        flow: WaitingFlow,
    },
}

/// A flow that the client goes on with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WaitingFlow {
    /// Its id.
    pub id: FlowId,
    /// The address that is to be confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verifiable_address: Option<String>,
    /// Its page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}
