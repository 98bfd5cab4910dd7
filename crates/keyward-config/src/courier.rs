//! Mail and text messages: the block `courier` and the keys `clients`, with every default filled in.
//! The courier reads how messages leave the house; flows ask which channels there are.
//! Opens no connection and reads no file: certificates and snippets are named here, not loaded.

use keyward_model::{Secret, Span, is_email_address};
use percent_encoding::percent_decode_str;
use url::Url;

use crate::document::Node;
use crate::gateway::{HttpRequest, headers, request};
use crate::report::{Place, Report, WarningKind};
use crate::resolve::Reader;

/// How messages are delivered.
#[derive(Debug, Clone)]
pub struct Courier {
    /// How mail leaves; `None` when nothing is configured, and it waits in the outbox.
    pub email: Option<EmailChannel>,
    /// The gateway for text messages (`courier.channels` with the id `sms`).
    pub sms: Option<HttpRequest>,
    /// `courier.message_retries`: further attempts after the first one.
    pub message_retries: i64,
    /// `courier.worker.pull_count`: messages that a worker takes at once.
    pub pull_count: u32,
    /// `courier.worker.pull_wait`: the time between two looks into the outbox.
    pub pull_wait: Span,
}

impl Courier {
    /// Whether any channel is configured.
    pub const fn delivers(&self) -> bool {
        self.email.is_some() || self.sms.is_some()
    }
}

/// How mail leaves.
#[derive(Debug, Clone)]
pub enum EmailChannel {
    /// To a mail server.
    Smtp(Box<Smtp>),
    /// To an HTTP gateway (`courier.delivery_strategy: http`).
    Http(HttpRequest),
}

/// A mail server and what its mail looks like.
#[derive(Debug, Clone)]
pub struct Smtp {
    /// Host name or address.
    pub host: String,
    /// Port; 465 for `smtps://` and 587 for `smtp://` where none is given.
    pub port: u16,
    /// When the connection is encrypted.
    pub tls: SmtpTls,
    /// `skip_ssl_verify=true`: whoever answers is believed.
    pub skip_ssl_verify: bool,
    /// `server_name`: the name that the certificate must have; the host's where none is given.
    pub server_name: Option<String>,
    /// User name and password, decoded.
    pub credentials: Option<(Secret<String>, Secret<String>)>,
    /// `from_address`.
    pub from_address: String,
    /// `from_name`.
    pub from_name: Option<String>,
    /// `headers`: further header fields of every mail; `Cc` and `Bcc` are further recipients.
    pub headers: Vec<(String, Secret<String>)>,
    /// `local_name`: who we say we are.
    pub local_name: String,
    /// `client_cert_path` and `client_key_path`.
    pub client_certificate: Option<(String, String)>,
}

/// When a connection to a mail server is encrypted (RFC 3207, RFC 8314).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpTls {
    /// From its first byte on (`smtps://`).
    Implicit,
    /// After STARTTLS, or no mail is sent (`smtp://`).
    StartTls,
    /// After STARTTLS where the server offers it (`disable_starttls=true`).
    Opportunistic,
}

/// Which addresses the server may call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clients {
    /// `clients.http.disallow_private_ip_ranges`.
    pub http_public_only: bool,
    /// `clients.http.private_ip_exception_urls`.
    pub http_exceptions: Vec<String>,
    /// `clients.smtp.disallow_private_ip_ranges`.
    pub smtp_public_only: bool,
}

const URI: &str = "courier.smtp.connection_uri";

pub(crate) fn clients(reader: Reader<'_>) -> Clients {
    Clients {
        http_public_only: reader.on("clients.http.disallow_private_ip_ranges", false),
        http_exceptions: reader.texts("clients.http.private_ip_exception_urls", &[]),
        smtp_public_only: reader.on("clients.smtp.disallow_private_ip_ranges", false),
    }
}

pub(crate) fn resolve(reader: Reader<'_>, report: &mut Report) -> Courier {
    let smtp = smtp(reader, report);
    let email = if reader.text("courier.delivery_strategy") == Some("http") {
        let key = "courier.http.request_config";
        request(reader.node(key), key, &reader.place("courier.delivery_strategy"), report).map(EmailChannel::Http)
    } else {
        smtp.map(|smtp| EmailChannel::Smtp(Box::new(smtp)))
    };
    if let Some(courier) = reader.node("courier").filter(|_| email.is_none() && reader.text(URI).is_none()) {
        let message = "there is nothing that delivers mail; it waits in the outbox until this key is set";
        report.warn(WarningKind::Advice, &courier.at, URI, message);
    }
    Courier {
        email,
        sms: sms(reader, report),
        message_retries: reader.number("courier.message_retries", 5),
        pull_count: reader.number("courier.worker.pull_count", 10),
        pull_wait: reader.span("courier.worker.pull_wait", Span::seconds(1)),
    }
}

fn sms(reader: Reader<'_>, report: &mut Report) -> Option<HttpRequest> {
    let channels = reader.node("courier.channels").map(Node::items).unwrap_or_default();
    let mut found = None;
    for (index, channel) in channels.iter().enumerate() {
        let key = format!("courier.channels.{index}");
        if channel.get("id").and_then(Node::as_text).is_none() {
            report.refuse(&channel.at, format!("{key}.id"), "is required: sms");
        }
        if found.is_some() {
            report.refuse(&channel.at, key.as_str(), "there can be one channel for text messages");
        }
        let read = request(channel.get("request_config"), &format!("{key}.request_config"), &channel.at, report);
        found = found.or(read);
    }
    found
}

fn smtp(reader: Reader<'_>, report: &mut Report) -> Option<Smtp> {
    let uri = reader.text(URI)?;
    let place = reader.place(URI);
    let server = match server(uri, &place, report) {
        Ok(server) => server,
        Err(message) => {
            report.refuse(&place, URI, message);
            return None;
        }
    };
    let text = |last: &str| reader.text(&format!("courier.smtp.{last}")).filter(|text| !text.is_empty());
    for last in ["from_address", "from_name", "local_name"] {
        let key = format!("courier.smtp.{last}");
        if text(last).is_some_and(|text| text.chars().any(char::is_control)) {
            report.refuse(&reader.place(&key), key, "line breaks and other control characters cannot be sent");
        }
    }
    let from_address = text("from_address").unwrap_or("no-reply@ory.kratos.sh").to_owned();
    if !is_email_address(&from_address) {
        report.refuse(&reader.place("courier.smtp.from_address"), "courier.smtp.from_address", "expected one mail address");
    }
    let client_certificate = match (text("client_cert_path"), text("client_key_path")) {
        (Some(cert), Some(key)) => Some((cert.to_owned(), key.to_owned())),
        (None, None) => None,
        _ => {
            let key = "courier.smtp.client_cert_path";
            report.refuse(&reader.place("courier.smtp"), key, "needs client_key_path beside it, and the other way round");
            None
        }
    };
    let headers = headers(reader.node("courier.smtp.headers"), "courier.smtp.headers", report);
    Some(Smtp {
        from_address,
        from_name: text("from_name").map(str::to_owned),
        headers,
        local_name: text("local_name").unwrap_or("localhost").to_owned(),
        client_certificate,
        ..server
    })
}

/// What the URI says. A refusal never repeats it, since it holds the password.
fn server(uri: &str, place: &Place, report: &mut Report) -> Result<Smtp, &'static str> {
    const ENCODE: &str = "this is no address of a mail server; write user name and password percent-encoded (RFC 3986, section 3.2.1): \
        %40 for @, %2F for /, %3A for :, %23 for #, %3F for ?, %25 for %";
    let tls = if uri.starts_with("smtps://") { SmtpTls::Implicit } else { SmtpTls::StartTls };
    if tls != SmtpTls::Implicit && !uri.starts_with("smtp://") {
        return Err("expected a URL that begins with smtp:// or smtps://");
    }
    let url = Url::parse(uri).map_err(|_| ENCODE)?;
    // A raw `/`, `#` or `?` inside the password would end the host before its `@`.
    let rest = &url[url::Position::BeforePath..];
    if !matches!(url.path(), "" | "/") || url.fragment().is_some() || rest.contains('@') {
        return Err(ENCODE);
    }
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or(ENCODE)?;
    if uri.split(['?', '#']).next().is_some_and(|address| address.matches('@').count() > 1) {
        let message = "more than one @; write the one inside the user name or password as %40";
        report.warn(WarningKind::Advice, place, URI, message);
    }
    let decode = |text: &str| -> Result<Secret<String>, &'static str> {
        let decoded = percent_decode_str(text).decode_utf8().map_err(|_| ENCODE)?;
        if decoded.chars().any(char::is_control) {
            return Err("user name and password cannot hold control characters");
        }
        Ok(Secret::new(decoded.into_owned()))
    };
    let credentials = match (url.username(), url.password()) {
        ("", None) => None,
        (user, password) => Some((decode(user)?, decode(password.unwrap_or_default())?)),
    };
    let mut smtp = Smtp {
        host: host.trim_matches(['[', ']']).to_owned(),
        port: url.port().unwrap_or(if tls == SmtpTls::Implicit { 465 } else { 587 }),
        tls,
        skip_ssl_verify: false,
        server_name: None,
        credentials,
        from_address: String::new(),
        from_name: None,
        headers: Vec::new(),
        local_name: String::new(),
        client_certificate: None,
    };
    for (name, value) in url.query_pairs() {
        let on = matches!(&*value, "true" | "1");
        match &*name {
            "disable_starttls" if on && tls == SmtpTls::StartTls => smtp.tls = SmtpTls::Opportunistic,
            "skip_ssl_verify" => smtp.skip_ssl_verify = on,
            "server_name" if !value.is_empty() => smtp.server_name = Some(value.into_owned()),
            "legacy_ssl" => {
                let message = "legacy_ssl is an old parameter without effect; smtps:// already means TLS from the start";
                report.warn(WarningKind::Deprecated, place, URI, message);
            }
            _ => {}
        }
    }
    Ok(smtp)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(uri: &str) -> Result<Smtp, &'static str> {
        server(uri, &Place::Nowhere, &mut Report::default())
    }

    #[test]
    fn user_and_password_are_decoded_exactly() {
        let smtp = read("smtp://mailer%40example.org:p%2Fa%23s%2Bs%40%3A%25word@mail.example.org:2525/").expect("encoded");
        let (user, password) = smtp.credentials.expect("credentials");
        assert_eq!((user.reveal().as_str(), password.reveal().as_str()), ("mailer@example.org", "p/a#s+s@:%word"));
        assert_eq!((smtp.host.as_str(), smtp.port, smtp.tls), ("mail.example.org", 2525, SmtpTls::StartTls));
        let plus = read("smtps://a:b+c@h").expect("a plus");
        assert_eq!(plus.credentials.map(|(_, password)| password), Some(Secret::new("b+c".to_owned())));
        for raw in [
            "smtp://mailer@example.org:p/a#s+s@mail.example.org:587/",
            "smtp://u:12/x@mail.example.org",
            "smtp://u:p#x@mail.example.org",
            "smtp://u:12?x@mail.example.org",
            "smtp://u:p%00w@mail.example.org",
            "smtp://u:p%0D%0Aw@mail.example.org",
            "smtp://",
            "http://mail.example.org",
        ] {
            assert!(read(raw).is_err(), "{raw}");
        }
        assert!(
            read("smtp://mailer@example.org:p/a#s+s@mail.example.org:587/").is_err_and(|text| text.contains("percent-encod"))
        );
    }

    #[test]
    fn the_query_says_how_the_connection_is_secured() {
        use SmtpTls::{Implicit, Opportunistic, StartTls};
        for (uri, tls, skip, name, port) in [
            ("smtp://h", StartTls, false, None, 587),
            ("smtps://h/", Implicit, false, None, 465),
            ("smtp://h/?disable_starttls=true", Opportunistic, false, None, 587),
            ("smtp://h/?disable_starttls=false", StartTls, false, None, 587),
            ("smtps://h/?disable_starttls=true", Implicit, false, None, 465),
            ("smtp://[::1]:25/?skip_ssl_verify=true&server_name=mail.example.org", StartTls, true, Some("mail.example.org"), 25),
        ] {
            let smtp = read(uri).expect(uri);
            let read = (smtp.tls, smtp.skip_ssl_verify, smtp.server_name.as_deref(), smtp.port);
            assert_eq!(read, (tls, skip, name, port), "{uri}");
        }
    }
}
