//! Lays a message out: subject, plain text, HTML, and the JSON model that HTTP channels are given.
//! [`super::enqueue`] calls it once for each message, so that a later change of language or address changes nothing.
//! Every value in HTML is escaped by the engine: it goes by the name of the template.

use std::sync::LazyLock;

use keyward_model::{Lang, Via};
use minijinja::value::Serde;
use minijinja::{Environment, Error, UndefinedBehavior};
use serde::Serialize;
use serde_json::{Map, Value, json};
use url::{Position, Url};

use super::texts::{Facts, minutes, words};
use super::{Content, Mail, MailError, Template};

/// What the layouts show.
#[derive(Serialize)]
struct View<'a> {
    lang: &'static str,
    brand: &'a str,
    heading: &'a str,
    before: &'a [String],
    code: Option<&'a str>,
    url: Option<&'a str>,
    link_text: &'a str,
    after: &'a [String],
}

/// Renders a message.
///
/// # Errors
/// When a layout does not fit, or the subject is no single line.
pub(super) fn render(mail: &Mail<'_>, brand: &str, public_base: &Url) -> Result<Content, MailError> {
    // Never the host of the request: whoever asks could write another name into somebody's mail (AC-54).
    let domain = public_base.host_str().unwrap_or_default().to_owned();
    let words = words(&mail.template, mail.lang, &Facts { to: mail.to, brand, domain: &domain, expires_in: mail.expires_in });
    let code = mail.template.code().map(|code| code.reveal().as_str());
    let url = mail.template.url().map(|url| url.reveal().as_str());
    let template_data = Value::Object(model(mail, &domain, &public_request_url(mail.request_url, public_base)));
    if mail.via == Via::Sms {
        // The last line lets telephones fill the code in on this site only.
        let body = match (code, url) {
            (Some(code), _) => format!("{}\n\n@{domain} #{code}", words.sms),
            (None, Some(url)) => format!("{}\n\n{url}", words.sms),
            (None, None) => words.sms,
        };
        return Ok(Content { subject: String::new(), body, html_body: None, template_data, request_headers: Map::new() });
    }
    if !is_single_line(&words.subject) {
        return Err(MailError::Subject);
    }
    let view = View {
        lang: match mail.lang {
            Lang::En => "en",
            Lang::De => "de",
        },
        brand,
        heading: &words.heading,
        before: &words.before,
        code,
        url,
        link_text: words.link_text,
        after: &words.after,
    };
    let layouts = LAYOUTS.as_ref().map_err(|_| MailError::Layout)?;
    let lay_out =
        |name: &str| layouts.get_template(name).and_then(|layout| layout.render(Serde(&view))).map_err(|_| MailError::Layout);
    let (body, html_body) = (lay_out("mail.txt")?, lay_out("mail.html")?);
    Ok(Content { subject: words.subject, body, html_body: Some(html_body), template_data, request_headers: Map::new() })
}

/// What may stand in a header field or an envelope.
pub(super) fn is_single_line(text: &str) -> bool {
    !text.contains(['\r', '\n', '\0'])
}

static LAYOUTS: LazyLock<Result<Environment<'static>, Error>> = LazyLock::new(|| {
    let mut layouts = Environment::new();
    layouts.set_undefined_behavior(UndefinedBehavior::Strict);
    layouts.add_template("mail.html", include_str!("../../templates/mail.html"))?;
    layouts.add_template("mail.txt", include_str!("../../templates/mail.txt"))?;
    Ok(layouts)
});

/// The address of a request as the public knows it: path and query are the client's, the host never is.
fn public_request_url(request_url: &str, public_base: &Url) -> String {
    match Url::parse(request_url) {
        Ok(url) => format!("{}{}", public_base.as_str().trim_end_matches('/'), &url[Position::BeforePath..]),
        Err(_) => public_base.to_string(),
    }
}

/// The model under the names that operators' snippets know.
fn model(mail: &Mail<'_>, domain: &str, request_url: &str) -> Map<String, Value> {
    let sms = mail.via == Via::Sms;
    let mut model = Map::new();
    let mut set = |name: &str, value: Value| {
        model.insert(name.to_owned(), value);
    };
    let identity = || mail.identity.cloned().unwrap_or(Value::Null);
    let transient_payload = mail.transient_payload.map_or(Value::Null, |payload| Value::Object(payload.clone()));
    set("to", json!(mail.to));
    match &mail.template {
        Template::RecoveryCodeInvalid
        | Template::RecoveryInvalid
        | Template::VerificationCodeInvalid
        | Template::VerificationInvalid => {
            set("request_url", json!(request_url));
            set("transient_payload", transient_payload);
            return model;
        }
        Template::VerifiableAddressChanged { changed_at } => {
            set("identity", identity());
            set("changed_at", json!(changed_at));
            set("transient_payload", transient_payload);
            return model;
        }
        // The recovery code has this name on telephones.
        Template::RecoveryCodeValid { code } => {
            set(if sms { "verification_code" } else { "recovery_code" }, json!(code.reveal()));
        }
        Template::RecoveryValid { url } => set("recovery_url", json!(url.reveal())),
        Template::VerificationCodeValid { code, url } => {
            if !sms {
                set("verification_url", json!(url.reveal()));
            }
            set("verification_code", json!(code.reveal()));
        }
        Template::VerificationValid { url } => set("verification_url", json!(url.reveal())),
        Template::LoginCodeValid { code } => set("login_code", json!(code.reveal())),
        Template::RegistrationCodeValid { code, .. } => set("registration_code", json!(code.reveal())),
    }
    match &mail.template {
        Template::RegistrationCodeValid { traits, .. } if !sms => set("traits", traits.clone()),
        _ => set("identity", identity()),
    }
    set("request_url", json!(request_url));
    if sms {
        set("request_url_domain", json!(domain));
    }
    set("transient_payload", transient_payload);
    set("expires_in_minutes", json!(mail.expires_in.map_or(0, minutes)));
    model
}
