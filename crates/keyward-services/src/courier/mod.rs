//! Mail and text messages: rendered and queued with the change that causes them, delivered afterwards by a worker.
//! Flows call [`enqueue`] with the batch they are about to commit; the binary runs the worker, the admin port reads the outbox.
//! Does not know why a message is sent, and decides no limits: who may cause how many is for the flows.

mod content;
mod counts;
mod http;
mod render;
mod smtp;
mod texts;
mod worker;

use keyward_model::{IdentifierKind, Lang, MessageId, Problem, Secret, Span, Time, Via, canonical_identifier, is_email_address};
use keyward_store::{Batch, MessageFilter, MessageStatus, OutboxRow, StoreError};
use serde_json::{Map, Value};

pub use content::{Content, open};
pub use counts::Counts;
pub use http::Gateways;
pub use worker::{Round, deliver_due, deliver_due_until};

use crate::App;

/// A message to send.
#[derive(Debug)]
pub struct Mail<'a> {
    /// By mail or as a text message.
    pub via: Via,
    /// To whom: exactly one address, as stored.
    pub to: &'a str,
    /// What about.
    pub template: Template,
    /// The public identity it is about, if there is one.
    pub identity: Option<&'a Value>,
    /// `request_url` of the flow, for gateways; what the message itself says never comes from it.
    pub request_url: &'a str,
    /// What the client sent along for templates.
    pub transient_payload: Option<&'a Map<String, Value>>,
    /// How long the code or link is valid from now on.
    pub expires_in: Option<Span>,
    /// The language of the person who asked.
    pub lang: Lang,
}

/// What a message is about.
#[derive(Debug, Clone)]
pub enum Template {
    /// A code that recovers an account.
    RecoveryCodeValid {
        /// The code.
        code: Secret<String>,
    },
    /// Somebody asked to recover an account that there is not.
    RecoveryCodeInvalid,
    /// A link that recovers an account.
    RecoveryValid {
        /// The link.
        url: Secret<String>,
    },
    /// Somebody asked to recover an account that there is not.
    RecoveryInvalid,
    /// A code that verifies an address.
    VerificationCodeValid {
        /// The code.
        code: Secret<String>,
        /// A link to the page that takes the code.
        url: Secret<String>,
    },
    /// Somebody asked to verify an address that nobody has.
    VerificationCodeInvalid,
    /// A link that verifies an address.
    VerificationValid {
        /// The link.
        url: Secret<String>,
    },
    /// Somebody asked to verify an address that nobody has.
    VerificationInvalid,
    /// A code to sign in with.
    LoginCodeValid {
        /// The code.
        code: Secret<String>,
    },
    /// A code to sign up with.
    RegistrationCodeValid {
        /// The code.
        code: Secret<String>,
        /// The traits as submitted.
        traits: Value,
    },
    /// Tells previous addresses that an address was changed.
    VerifiableAddressChanged {
        /// When.
        changed_at: Time,
    },
}

impl Template {
    /// The wire's word.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::RecoveryCodeValid { .. } => "recovery_code_valid",
            Self::RecoveryCodeInvalid => "recovery_code_invalid",
            Self::RecoveryValid { .. } => "recovery_valid",
            Self::RecoveryInvalid => "recovery_invalid",
            Self::VerificationCodeValid { .. } => "verification_code_valid",
            Self::VerificationCodeInvalid => "verification_code_invalid",
            Self::VerificationValid { .. } => "verification_valid",
            Self::VerificationInvalid => "verification_invalid",
            Self::LoginCodeValid { .. } => "login_code_valid",
            Self::RegistrationCodeValid { .. } => "registration_code_valid",
            Self::VerifiableAddressChanged { .. } => "verifiable_address_changed",
        }
    }

    const fn code(&self) -> Option<&Secret<String>> {
        match self {
            Self::RecoveryCodeValid { code }
            | Self::VerificationCodeValid { code, .. }
            | Self::LoginCodeValid { code }
            | Self::RegistrationCodeValid { code, .. } => Some(code),
            _ => None,
        }
    }

    const fn url(&self) -> Option<&Secret<String>> {
        match self {
            Self::RecoveryValid { url } | Self::VerificationCodeValid { url, .. } | Self::VerificationValid { url } => Some(url),
            _ => None,
        }
    }
}

/// Why a message cannot be queued. Never shows the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// Not exactly one well-formed address for this channel; line breaks and zero characters never are.
    #[error("the recipient is not one well-formed address")]
    Recipient,
    /// The subject is no single line.
    #[error("the subject is no single line")]
    Subject,
    /// A built-in layout is broken.
    #[error("the message cannot be laid out")]
    Layout,
}

impl From<MailError> for Problem {
    fn from(error: MailError) -> Self {
        match error {
            MailError::Recipient => Self::BadRequest { reason: "The address is not one that messages can be sent to.".into() },
            MailError::Subject | MailError::Layout => {
                tracing::error!(%error, "a message was not queued");
                Self::Internal
            }
        }
    }
}

/// Renders a message and adds it to a batch, to be delivered once that is committed.
///
/// # Errors
/// See [`MailError`]; nothing was added then.
pub fn enqueue(app: &App, mail: &Mail<'_>, now: Time, batch: &mut Batch) -> Result<MessageId, MailError> {
    if !is_recipient(mail.via, mail.to) {
        return Err(MailError::Recipient);
    }
    let content = render::render(mail, &app.config.brand_name, app.config.public.base_url.url())?;
    let id: MessageId = app.random().id();
    batch.insert_message(&OutboxRow {
        id,
        status: MessageStatus::Queued,
        via: mail.via,
        recipient: mail.to.to_owned(),
        template_type: mail.template.as_str().to_owned(),
        channel: mail.via.as_str().to_owned(),
        content: content.seal(app, id),
        send_count: 0,
        due_at: Some(now),
        created_at: now,
        updated_at: now,
    });
    app.messages.queued(mail.via);
    Ok(id)
}

/// Whether messages can go to this address by this channel.
fn is_recipient(via: Via, to: &str) -> bool {
    match via {
        Via::Email => is_email_address(to),
        Via::Sms => canonical_identifier(IdentifierKind::Phone, to).as_deref() == Some(to),
    }
}

/// A message of the outbox with what it says.
#[derive(Debug, Clone)]
pub struct OutboxMessage {
    /// The row.
    pub row: OutboxRow,
    /// What it says; `None` when it was sealed under a secret that is no longer configured.
    pub content: Option<Content>,
}

/// The newest messages, opened, for the mailbox of a development server.
///
/// # Errors
/// When the database does not answer.
pub async fn list_recent(app: &App, limit: u32) -> Result<Vec<OutboxMessage>, StoreError> {
    let rows = app.store.list_messages(&MessageFilter::default(), None, limit).await?;
    Ok(rows.into_iter().map(|row| OutboxMessage { content: open(app, &row).ok(), row }).collect())
}
