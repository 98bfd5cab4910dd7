//! A small mail server (RFC 5321) that keeps what it is told and answers as the test says: with or without TLS, with numbers of
//! its choice, or by hanging up.
//! Tests start one and name its port in `courier.smtp.connection_uri`.
//! Takes every user and every recipient unless it is told otherwise.

use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// When the server speaks TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MailTls {
    /// Never.
    #[default]
    None,
    /// After STARTTLS.
    StartTls,
    /// From the first byte on.
    Implicit,
}

/// What the server does about a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MailReply {
    /// What servers usually do.
    #[default]
    Usual,
    /// Answers with this line.
    Say(String),
    /// Hangs up.
    HangUp,
}

/// A mail as it arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceivedMail {
    /// What the client called itself.
    pub hello: String,
    /// The envelope's sender.
    pub from: String,
    /// The envelope's recipients.
    pub to: Vec<String>,
    /// User and password, when the client gave any.
    pub login: Option<(String, String)>,
    /// It came over TLS.
    pub encrypted: bool,
    /// Head and body, lines ended by CR LF, without the dots that the protocol adds.
    pub data: String,
}

impl ReceivedMail {
    /// A header field, unfolded.
    pub fn header(&self, name: &str) -> Option<String> {
        let head = self.data.split("\r\n\r\n").next().unwrap_or_default().replace("\r\n ", " ").replace("\r\n\t", " ");
        let found =
            head.split("\r\n").filter_map(|line| line.split_once(": ")).find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_owned())
    }
}

/// How the server behaves.
pub struct MailRules {
    /// When it speaks TLS.
    pub tls: MailTls,
    /// What it offers for AUTH, such as `PLAIN LOGIN`; over TLS only, if it speaks TLS.
    pub auth: &'static str,
    /// The only certificate that clients may show, and have to.
    pub client: Option<CertificateDer<'static>>,
    /// What it does about a command line, or about the end of a mail, which is `.`.
    pub reply: Box<dyn Fn(&str) -> MailReply + Send + Sync>,
}

impl Default for MailRules {
    fn default() -> Self {
        Self { tls: MailTls::None, auth: "PLAIN LOGIN", client: None, reply: Box::new(|_| MailReply::Usual) }
    }
}

/// The server. It runs as long as the test does.
pub struct MailServer {
    port: u16,
    kept: Arc<Kept>,
}

struct Kept {
    rules: MailRules,
    acceptor: TlsAcceptor,
    mails: Mutex<Vec<ReceivedMail>>,
    commands: Mutex<Vec<String>>,
    count: watch::Sender<usize>,
}

impl MailServer {
    /// Starts a server on a free port of this machine, with a certificate that nobody trusts.
    ///
    /// # Panics
    /// When there is no port or no certificate.
    pub async fn start(rules: MailRules) -> Self {
        let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("making a certificate");
        let key = PrivateKeyDer::try_from(signed.signing_key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions of TLS");
        let tls = match &rules.client {
            None => tls.with_no_client_auth(),
            Some(client) => {
                let mut roots = RootCertStore::empty();
                roots.add(client.clone()).expect("a certificate of a client");
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                tls.with_client_cert_verifier(verifier.expect("a verifier of clients"))
            }
        };
        let tls = tls.with_single_cert(vec![signed.cert.der().clone()], key).expect("a certificate with its key");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binding the port of a mail server");
        let port = listener.local_addr().expect("the address of a mail server").port();
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let kept =
            Arc::new(Kept { rules, acceptor, mails: Mutex::default(), commands: Mutex::default(), count: watch::Sender::new(0) });
        let keeping = Arc::clone(&kept);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = Arc::clone(&keeping);
                // A client that goes away in the middle is its own business.
                tokio::spawn(async move { kept.serve(stream).await.ok() });
            }
        });
        Self { port, kept }
    }

    /// Its port on 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Every mail so far, in order.
    pub fn mails(&self) -> Vec<ReceivedMail> {
        self.kept.mails.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every command line so far, in order.
    pub fn commands(&self) -> Vec<String> {
        self.kept.commands.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until so many mails have arrived.
    pub async fn wait_for(&self, mails: usize) {
        let mut count = self.kept.count.subscribe();
        count.wait_for(|count| *count >= mails).await.expect("the server runs");
    }
}

impl Kept {
    async fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        match self.rules.tls {
            MailTls::Implicit => {
                let stream = self.acceptor.accept(stream).await?;
                self.converse(BufReader::new(stream), true, true).await.map(drop)
            }
            MailTls::StartTls => {
                let Some(stream) = self.converse(BufReader::new(stream), true, false).await? else { return Ok(()) };
                let stream = self.acceptor.accept(stream.into_inner()).await?;
                self.converse(BufReader::new(stream), false, true).await.map(drop)
            }
            MailTls::None => self.converse(BufReader::new(stream), true, false).await.map(drop),
        }
    }

    /// Speaks until the end, or gives the stream back for TLS.
    async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut stream: BufReader<S>,
        greets: bool,
        encrypted: bool,
    ) -> std::io::Result<Option<BufReader<S>>> {
        let mut mail = ReceivedMail { encrypted, ..ReceivedMail::default() };
        if greets {
            say(&mut stream, "220 mail.invalid ready").await?;
        }
        while let Some(line) = read_line(&mut stream).await? {
            self.commands.lock().unwrap_or_else(PoisonError::into_inner).push(line.clone());
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match (self.rules.reply)(&line) {
                MailReply::Usual => {}
                MailReply::HangUp => return Ok(None),
                MailReply::Say(answer) => {
                    say(&mut stream, &answer).await?;
                    continue;
                }
            }
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" => {
                    mail.hello = rest.to_owned();
                    let mut offers = vec!["mail.invalid".to_owned(), "8BITMIME".to_owned()];
                    if self.rules.tls == MailTls::StartTls && !encrypted {
                        offers.push("STARTTLS".to_owned());
                    } else if !self.rules.auth.is_empty() {
                        offers.push(format!("AUTH {}", self.rules.auth));
                    }
                    let last = offers.len() - 1;
                    for (place, offer) in offers.iter().enumerate() {
                        say(&mut stream, &format!("250{}{offer}", if place == last { ' ' } else { '-' })).await?;
                    }
                }
                "STARTTLS" => {
                    say(&mut stream, "220 go on").await?;
                    return Ok(Some(stream));
                }
                "AUTH" => {
                    mail.login = self.login(&mut stream, rest).await?;
                    say(&mut stream, "235 welcome").await?;
                }
                "MAIL" => {
                    mail.from = address(rest);
                    say(&mut stream, "250 fine").await?;
                }
                "RCPT" => {
                    mail.to.push(address(rest));
                    say(&mut stream, "250 fine").await?;
                }
                "DATA" => {
                    say(&mut stream, "354 go on").await?;
                    mail.data.clear();
                    while let Some(line) = read_line(&mut stream).await?.filter(|line| line != ".") {
                        mail.data.push_str(line.strip_prefix('.').unwrap_or(&line));
                        mail.data.push_str("\r\n");
                    }
                    match (self.rules.reply)(".") {
                        MailReply::HangUp => return Ok(None),
                        MailReply::Say(answer) => say(&mut stream, &answer).await?,
                        MailReply::Usual => {
                            self.mails.lock().unwrap_or_else(PoisonError::into_inner).push(mail.clone());
                            self.count.send_modify(|count| *count += 1);
                            say(&mut stream, "250 taken").await?;
                        }
                    }
                    mail.to.clear();
                }
                "QUIT" => {
                    say(&mut stream, "221 bye").await?;
                    return Ok(None);
                }
                _ => say(&mut stream, "502 what?").await?,
            }
        }
        Ok(None)
    }

    /// RFC 4616, and the older LOGIN.
    async fn login<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut BufReader<S>,
        rest: &str,
    ) -> std::io::Result<Option<(String, String)>> {
        let decode = |text: &str| String::from_utf8(STANDARD.decode(text).unwrap_or_default()).unwrap_or_default();
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        if mechanism == "PLAIN" {
            let text = decode(initial);
            let mut parts = text.split('\0').skip(1).map(str::to_owned);
            return Ok(parts.next().zip(parts.next()));
        }
        let user = if initial.is_empty() { ask(stream, "Username:").await? } else { initial.to_owned() };
        let password = ask(stream, "Password:").await?;
        Ok(Some((decode(&user), decode(&password))))
    }
}

async fn ask<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufReader<S>, what: &str) -> std::io::Result<String> {
    say(stream, &format!("334 {}", STANDARD.encode(what))).await?;
    Ok(read_line(stream).await?.unwrap_or_default())
}

async fn say<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufReader<S>, line: &str) -> std::io::Result<()> {
    stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).await?;
    stream.get_mut().flush().await
}

async fn read_line<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufReader<S>) -> std::io::Result<Option<String>> {
    let mut bytes = Vec::new();
    stream.read_until(b'\n', &mut bytes).await?;
    let line = String::from_utf8_lossy(&bytes);
    Ok(line.ends_with('\n').then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
}

fn address(rest: &str) -> String {
    let inner = rest.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inner.map_or_else(|| rest.to_owned(), |(address, _)| address.to_owned())
}
