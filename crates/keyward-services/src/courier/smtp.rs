//! Delivery to a mail server (RFC 5321): one connection for each attempt, encrypted unless the operator says otherwise.
//! The worker calls it with an opened message.
//! Knows one attempt; what a failure leads to is for the worker.

use std::net::SocketAddr;
use std::time::{Duration, UNIX_EPOCH};

use keyward_config::{Smtp, SmtpTls};
use keyward_model::is_email_address;
use keyward_store::OutboxRow;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Mailboxes, MultiPart, SinglePart};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Identity, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use lettre::{Address, Message};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::Content;
use super::render::is_single_line;
use super::worker::Failure;
use crate::App;
use crate::codes;
use crate::outbound::is_public;

/// The longest to wait for a step.
const PATIENCE: Duration = Duration::from_secs(10);
/// Nobody waits long for a farewell.
const FAREWELL: Duration = Duration::from_secs(1);
/// Characters of a server's own words that are kept.
const LONGEST_REASON: usize = 300;

/// Makes one attempt.
pub(super) async fn deliver(app: &App, smtp: &Smtp, row: &OutboxRow, content: &Content) -> Result<(), Failure> {
    let message = compose(smtp, row, content)?;
    let addresses = resolve(app, smtp).await?;
    let hello = ClientId::Domain(smtp.local_name.clone());
    let tls = tls_parameters(smtp).await?;
    let implicit = (smtp.tls == SmtpTls::Implicit).then(|| tls.clone());
    let connecting = AsyncSmtpConnection::connect_tokio1(addresses.as_slice(), Some(PATIENCE), &hello, implicit, None);
    let mut connection = step("connect", connecting).await?;
    // After a failed handshake there is nobody left to say goodbye to.
    encrypt(&mut connection, smtp, &hello, tls).await?;
    let outcome = converse(&mut connection, smtp, &message).await;
    // The server has answered for the message already; how it says goodbye changes nothing.
    let _ = tokio::time::timeout(FAREWELL, connection.abort()).await;
    outcome
}

async fn encrypt(connection: &mut AsyncSmtpConnection, smtp: &Smtp, hello: &ClientId, tls: TlsParameters) -> Result<(), Failure> {
    match smtp.tls {
        SmtpTls::StartTls if !connection.can_starttls() => {
            let reason = "the server does not offer STARTTLS; disable_starttls=true sends mail without encryption";
            Err(Failure::later("starttls", reason))
        }
        SmtpTls::StartTls | SmtpTls::Opportunistic if connection.can_starttls() => {
            step("starttls", connection.starttls(tls, hello)).await
        }
        _ => Ok(()),
    }
}

async fn converse(connection: &mut AsyncSmtpConnection, smtp: &Smtp, message: &Message) -> Result<(), Failure> {
    if let Some((user, password)) = &smtp.credentials {
        let credentials = Credentials::new(user.reveal().clone(), password.reveal().clone());
        let proving = connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials);
        // What the server says here may repeat what it was told, so only its number is kept.
        step("auth", proving).await.map_err(|failure| failure.without_words("the server did not accept user and password"))?;
    }
    let envelope = message.envelope();
    let bytes = message.formatted();
    let mut options = Vec::new();
    if envelope.to().iter().chain(envelope.from()).any(|address| !address.to_string().is_ascii()) {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            return Err(Failure::later("mail", "the server takes no addresses with letters beyond ASCII (SMTPUTF8)"));
        }
        options.push(MailParameter::SmtpUtfEight);
    }
    if !bytes.is_ascii() && connection.server_info().supports_feature(Extension::EightBitMime) {
        options.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    step("mail", connection.command(Mail::new(envelope.from().cloned(), options))).await?;
    for (place, recipient) in envelope.to().iter().enumerate() {
        let outcome = step("rcpt", connection.command(Rcpt::new(recipient.clone(), Vec::new()))).await;
        // Whoever gets a copy is no reason to keep the mail from the person.
        if place == 0 {
            outcome.map_err(Failure::final_when_permanent)?;
        }
    }
    step("data", connection.command(Data)).await?;
    step("message", connection.message(&bytes)).await.map_err(Failure::final_when_permanent)?;
    Ok(())
}

async fn step<T>(name: &'static str, work: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(failure(name, &error)),
        Err(_) => Err(Failure::later(name, "the server did not answer in time")),
    }
}

fn failure(step: &'static str, error: &Error) -> Failure {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_REASON).collect();
    // Servers quote what they refuse, and a subject begins with its code.
    let text = without_codes(&text);
    let status = error.status().map(|code| code.to_string());
    Failure::later(step, text).with_status(status, error.is_permanent())
}

/// A text in which runs of as many digits as a code has, or more, are blotted out.
fn without_codes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut digits = String::new();
    for character in text.chars().chain(['\0']) {
        if character.is_ascii_digit() {
            digits.push(character);
            continue;
        }
        out.push_str(if digits.len() >= codes::DIGITS { "…" } else { &digits });
        digits.clear();
        if character != '\0' {
            out.push(character);
        }
    }
    out
}

async fn resolve(app: &App, smtp: &Smtp) -> Result<Vec<SocketAddr>, Failure> {
    let looking = tokio::net::lookup_host((smtp.host.as_str(), smtp.port));
    let found = match tokio::time::timeout(PATIENCE, looking).await {
        Ok(Ok(found)) => found,
        Ok(Err(_)) => return Err(Failure::later("resolve", "the name of the server cannot be resolved")),
        Err(_) => return Err(Failure::later("resolve", "the name of the server was not resolved in time")),
    };
    let public_only = app.config.clients.smtp_public_only;
    let addresses: Vec<_> = found.filter(|address| !public_only || is_public(address.ip())).collect();
    if addresses.is_empty() {
        return Err(Failure::later("resolve", "the server has no address that may be called"));
    }
    Ok(addresses)
}

async fn tls_parameters(smtp: &Smtp) -> Result<TlsParameters, Failure> {
    let mut builder = TlsParameters::builder(smtp.server_name.as_ref().unwrap_or(&smtp.host).clone())
        .dangerous_accept_invalid_certs(smtp.skip_ssl_verify)
        .dangerous_accept_invalid_hostnames(smtp.skip_ssl_verify);
    if let Some((cert, key)) = &smtp.client_certificate {
        // Read for each attempt, so that a renewed certificate counts at once.
        let read = async |path: &str| {
            let read = tokio::fs::read(path).await;
            read.map_err(|error| Failure::later("certificate", format!("the client certificate cannot be read: {error}")))
        };
        let (cert, key) = (read(cert).await?, read(key).await?);
        // The library takes the certificate itself where its name says PEM.
        let cert = CertificateDer::from_pem_slice(&cert)
            .map_err(|_| Failure::later("certificate", "the client certificate is no PEM"))?;
        builder = builder.identify_with(Identity::from_pem(&cert, &key).map_err(|error| failure("certificate", &error))?);
    }
    builder.build().map_err(|error| failure("tls", &error))
}

/// The mail itself. The same message gives the same bytes each time, so that receivers can tell a repetition.
fn compose(smtp: &Smtp, row: &OutboxRow, content: &Content) -> Result<Message, Failure> {
    let recipient = Some(row.recipient.as_str()).filter(|to| is_email_address(to)).and_then(|to| to.parse::<Address>().ok());
    let recipient = recipient.ok_or_else(|| Failure::never("recipient", "the recipient is no well-formed address"))?;
    if !is_single_line(&content.subject) {
        return Err(Failure::never("subject", "the subject is no single line"));
    }
    let bad_sender = || Failure::later("sender", "courier.smtp.from_address cannot be used");
    let sender: Address = smtp.from_address.parse().map_err(|_| bad_sender())?;
    let message_id = format!("<{}@{}>", row.id, sender.domain());
    let since_epoch = Duration::from_micros(u64::try_from(row.created_at.micros()).unwrap_or(0));
    let mut message = Message::builder()
        .from(Mailbox::new(smtp.from_name.clone(), sender))
        .to(Mailbox::new(None, recipient))
        .subject(content.subject.as_str())
        .date(UNIX_EPOCH + since_epoch)
        .message_id(Some(message_id));
    for (name, value) in &smtp.headers {
        let value = value.reveal();
        let copies = || value.parse::<Mailboxes>().into_iter().flatten();
        match name.to_ascii_lowercase().as_str() {
            "cc" => message = copies().fold(message, lettre::message::MessageBuilder::cc),
            "bcc" => message = copies().fold(message, lettre::message::MessageBuilder::bcc),
            // These say what the mail is and are ours.
            "from" | "to" | "subject" | "date" | "message-id" | "mime-version" => {}
            lower if lower.starts_with("content-") => {}
            _ => {
                let name = HeaderName::new_from_ascii(name.clone());
                let name = name.map_err(|_| Failure::later("headers", "courier.smtp.headers cannot be used"))?;
                message = message.raw_header(HeaderValue::new(name, value.clone()));
            }
        }
    }
    let plain = SinglePart::plain(content.body.clone());
    let composed = match &content.html_body {
        Some(html) => {
            let boundary = format!("keyward-{}", row.id.0.simple());
            let parts = MultiPart::alternative().boundary(boundary);
            message.multipart(parts.singlepart(plain).singlepart(SinglePart::html(html.clone())))
        }
        None => message.singlepart(plain),
    };
    composed.map_err(|_| Failure::never("message", "the mail cannot be composed"))
}
