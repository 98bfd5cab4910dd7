//! Flows as clients see them, ready for serde.
//! Stories build a view at the end of every request; `http` sends it, the built-in pages draw it.
//! Key order and presence follow the contract (settings 2.1, login 5.1).

use keyward_model::{Aal, ContinueWith, EntryState, FlowId, FlowType, SettingsState, Time, Ui};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// A settings flow.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the fields are the wire's words, described in the contract")]
pub struct SettingsView {
    pub id: FlowId,
    #[serde(rename = "type")]
    pub flow_type: FlowType,
    pub expires_at: Time,
    pub issued_at: Time,
    pub request_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<String>,
    pub ui: Ui,
    pub identity: Box<RawValue>,
    pub state: SettingsState,
    pub organization_id: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub continue_with: Vec<ContinueWith>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transient_payload: Option<Map<String, Value>>,
}

/// A login flow.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the fields are the wire's words, described in the contract")]
pub struct LoginView {
    pub id: FlowId,
    pub organization_id: Option<String>,
    #[serde(rename = "type")]
    pub flow_type: FlowType,
    pub expires_at: Time,
    pub issued_at: Time,
    pub request_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<String>,
    pub ui: Ui,
    pub created_at: Time,
    pub updated_at: Time,
    pub refresh: bool,
    pub requested_aal: Aal,
    pub state: EntryState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_schema: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transient_payload: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_token_exchange_code: Option<String>,
}

/// A registration flow.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the fields are the wire's words, described in the contract")]
pub struct RegistrationView {
    pub id: FlowId,
    #[serde(rename = "type")]
    pub flow_type: FlowType,
    pub expires_at: Time,
    pub issued_at: Time,
    pub request_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<String>,
    pub ui: Ui,
    pub organization_id: Option<String>,
    pub state: EntryState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_schema: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transient_payload: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_token_exchange_code: Option<String>,
}

/// A recovery or verification flow.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "the fields are the wire's words, described in the contract")]
pub struct MailedView {
    pub id: FlowId,
    #[serde(rename = "type")]
    pub flow_type: FlowType,
    pub expires_at: Time,
    pub issued_at: Time,
    pub request_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub return_to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<String>,
    pub ui: Ui,
    pub state: EntryState,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub continue_with: Vec<ContinueWith>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transient_payload: Option<Map<String, Value>>,
}
