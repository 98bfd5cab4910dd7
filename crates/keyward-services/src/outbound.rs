//! The one door to other people's servers: it refuses private addresses, follows no redirect, and bounds size and time.
//! Web hooks, the HTTP courier, OpenID providers and the breach lookup send their requests through it.
//! Does not know what is sent or what an answer means.

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use keyward_model::Span;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, redirect};
use url::{Host, Url};

/// The most bytes of an answer's body.
pub const LONGEST_ANSWER: usize = 256 * 1024;

/// The longest a request may take, from looking up the name to the last byte.
pub const LONGEST_WAIT: Span = Span::seconds(15);

/// Which addresses may be reached.
#[derive(Debug, Clone, Default)]
pub struct OutboundRules {
    /// Whether private, loopback and other special addresses are allowed for every request.
    pub allow_private: bool,
    /// URLs that may lead to such addresses even so. `*` stands for any run of characters; all of the URL must match.
    pub private_exceptions: Vec<String>,
}

/// A request to send.
#[derive(Debug, Clone)]
pub struct OutboundRequest {
    /// The method.
    pub method: Method,
    /// Where to; http or https.
    pub url: Url,
    /// Header fields, beside those that HTTP itself needs.
    pub headers: HeaderMap,
    /// The body, if there is one.
    pub body: Option<Vec<u8>>,
    /// The longest to wait for the whole answer; never more than [`LONGEST_WAIT`].
    pub budget: Span,
}

impl OutboundRequest {
    /// A GET without header fields and with the whole budget.
    pub fn get(url: Url) -> Self {
        Self { method: Method::GET, url, headers: HeaderMap::new(), body: None, budget: LONGEST_WAIT }
    }
}

/// What came back; redirects and error statuses are answers like any other.
#[derive(Debug, Clone)]
pub struct OutboundAnswer {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body, complete.
    pub body: Vec<u8>,
}

/// Why there is no answer. Never carries the URL, which may hold credentials.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// Neither http nor https.
    #[error("only http and https addresses can be called")]
    Scheme,
    /// The host is, or its name leads only to, an address that is not public.
    #[error("the address is private and may not be called")]
    PrivateAddress,
    /// The budget ran out.
    #[error("the server did not answer in time")]
    Timeout,
    /// The body exceeds [`LONGEST_ANSWER`].
    #[error("the answer is longer than 256 KiB")]
    TooLong,
    /// No connection, a broken one, or something that is not HTTP.
    #[error("the request failed")]
    Failed(#[source] reqwest::Error),
    /// No TLS client could be set up.
    #[error("the TLS client cannot be set up")]
    Tls(#[source] rustls::Error),
}

/// The client. Costs nothing until the first request.
#[derive(Debug, Default)]
pub struct Outbound {
    rules: OutboundRules,
    guarded: OnceLock<Client>,
    open: OnceLock<Client>,
}

impl Outbound {
    /// A client under these rules.
    pub fn new(rules: OutboundRules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// See [`OutboundError`].
    pub async fn send(&self, request: OutboundRequest) -> Result<OutboundAnswer, OutboundError> {
        if !matches!(request.url.scheme(), "http" | "https") {
            return Err(OutboundError::Scheme);
        }
        let may_be_private = self.rules.allow_private
            || self.rules.private_exceptions.iter().any(|pattern| matches_pattern(pattern, request.url.as_str()));
        if !may_be_private {
            // A literal address never reaches the resolver, so it is judged here.
            match request.url.host() {
                Some(Host::Ipv4(address)) if !is_public(address.into()) => return Err(OutboundError::PrivateAddress),
                Some(Host::Ipv6(address)) if !is_public(address.into()) => return Err(OutboundError::PrivateAddress),
                _ => {}
            }
        }
        let client = if may_be_private { client(&self.open, false)? } else { client(&self.guarded, true)? };
        let budget = request.budget.min(LONGEST_WAIT).to_std();
        tokio::time::timeout(budget, exchange(client, request)).await.map_err(|_| OutboundError::Timeout)?
    }
}

async fn exchange(client: &Client, request: OutboundRequest) -> Result<OutboundAnswer, OutboundError> {
    let mut sending = client.request(request.method, request.url).headers(request.headers);
    if let Some(body) = request.body {
        sending = sending.body(body);
    }
    let mut response = sending.send().await.map_err(failure)?;
    if response.content_length().is_some_and(|length| length > LONGEST_ANSWER as u64) {
        return Err(OutboundError::TooLong);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failure)? {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            return Err(OutboundError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(OutboundAnswer { status: response.status().as_u16(), headers: std::mem::take(response.headers_mut()), body })
}

fn failure(error: reqwest::Error) -> OutboundError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(error) = cause {
        if error.is::<OnlyPrivate>() {
            return OutboundError::PrivateAddress;
        }
        cause = error.source();
    }
    OutboundError::Failed(error.without_url())
}

#[expect(clippy::disallowed_methods, reason = "this is the one place where clients are made")]
fn client(cell: &OnceLock<Client>, guarded: bool) -> Result<&Client, OutboundError> {
    if let Some(client) = cell.get() {
        return Ok(client);
    }
    let roots = rustls::RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    // The provider is named here, so that nothing depends on a process-wide default.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(OutboundError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let built = Client::builder()
        .tls_backend_preconfigured(tls)
        .dns_resolver(Arc::new(Resolver { guarded }))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .retry(reqwest::retry::never())
        .connect_timeout(Duration::from_secs(5))
        .pool_idle_timeout(Duration::from_secs(30))
        .pool_max_idle_per_host(8)
        .user_agent(concat!("keyward/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(OutboundError::Failed)?;
    // When two requests build one at the same time, the first wins and the other is dropped.
    Ok(cell.get_or_init(|| built))
}

/// Asks the system, and when guarded keeps only public addresses. The connection is made to the addresses that were
/// judged here, so a name cannot change its meaning in between.
struct Resolver {
    guarded: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("the name leads to private addresses only")]
struct OnlyPrivate;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guarded = self.guarded;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if !guarded || found.is_empty() {
                return Ok(Box::new(found.into_iter()) as Addrs);
            }
            let public: Vec<SocketAddr> = found.into_iter().filter(|address| is_public(address.ip())).collect();
            if public.is_empty() { Err(OnlyPrivate.into()) } else { Ok(Box::new(public.into_iter()) as Addrs) }
        })
    }
}

/// Whether an address belongs to the public internet (IANA special-purpose address registries, RFC 6890).
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

const fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !matches!(
        (a, b, c),
        (0 | 10 | 127 | 224.., _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18..=19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embedded = || {
        let [.., a, b, c, d] = address.octets();
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // IPv4-mapped, and the well-known prefix of NAT64: what counts is the address inside.
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => embedded(),
        // Protocol assignments (Teredo among them), documentation, 6to4, documentation.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // Only this eighth of the space is global unicast.
        [first, ..] => first >> 13 == 1,
    }
}

/// `*` matches any run of characters, everything else itself.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(found) = rest.find(part) else { return false };
        rest = &rest[found + part.len()..];
    }
    true
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::mpsc;

    /// A server that answers every connection with what `answer` writes, and passes on the request heads it got.
    pub(crate) async fn serve<F, Fut>(answer: F) -> (SocketAddr, mpsc::UnboundedReceiver<String>)
    where
        F: Fn(TcpStream, String) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (seen, heads) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else { break };
                    head.push(byte);
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                let _ = seen.send(head.clone());
                tokio::spawn(answer(stream, head));
            }
        });
        (address, heads)
    }

    /// A complete answer with this status line and body.
    pub(crate) fn answer(status: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
    }

    pub(crate) async fn write(mut stream: TcpStream, text: String) {
        let _ = stream.write_all(text.as_bytes()).await;
    }

    fn url(text: impl AsRef<str>) -> Url {
        Url::parse(text.as_ref()).expect("url")
    }

    fn open() -> Outbound {
        Outbound::new(OutboundRules { allow_private: true, ..OutboundRules::default() })
    }

    #[test]
    fn only_public_addresses_are_public() {
        for (text, public) in [
            ("1.1.1.1", true),
            ("8.8.8.8", true),
            ("100.63.255.255", true),
            ("100.128.0.1", true),
            ("172.15.0.1", true),
            ("172.32.0.1", true),
            ("192.0.1.1", true),
            ("192.167.1.1", true),
            ("198.17.0.1", true),
            ("223.255.255.255", true),
            ("0.0.0.0", false),
            ("10.1.2.3", false),
            ("100.64.0.1", false),
            ("100.127.255.255", false),
            ("127.0.0.1", false),
            ("127.255.255.254", false),
            ("169.254.169.254", false),
            ("172.16.0.1", false),
            ("172.31.255.255", false),
            ("192.0.0.170", false),
            ("192.0.2.1", false),
            ("192.88.99.1", false),
            ("192.168.0.1", false),
            ("198.18.0.1", false),
            ("198.51.100.1", false),
            ("203.0.113.1", false),
            ("224.0.0.1", false),
            ("240.0.0.1", false),
            ("255.255.255.255", false),
            ("2606:4700::1111", true),
            ("2001:4860:4860::8888", true),
            ("::", false),
            ("::1", false),
            ("::7f00:1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:10.0.0.1", false),
            ("::ffff:1.1.1.1", true),
            ("64:ff9b::169.254.169.254", false),
            ("64:ff9b::1.1.1.1", true),
            ("64:ff9b:1::1.1.1.1", false),
            ("100::1", false),
            ("2001::1", false),
            ("2001:db8::1", false),
            ("2002:7f00:1::", false),
            ("3fff::1", false),
            ("fc00::1", false),
            ("fd12:3456::1", false),
            ("fe80::1", false),
            ("fec0::1", false),
            ("ff02::1", false),
        ] {
            assert_eq!(is_public(text.parse().expect("address")), public, "{text}");
        }
    }

    #[tokio::test]
    async fn private_hosts_are_refused_however_they_are_written() {
        let (address, mut heads) = serve(|stream, _| write(stream, answer("200 OK", "x"))).await;
        let port = address.port();
        let guarded = Outbound::new(OutboundRules::default());
        for host in
            ["127.0.0.1", "2130706433", "0x7f.1", "017700000001", "127.1", "[::1]", "[::ffff:127.0.0.1]", "0", "localhost"]
        {
            let outcome = guarded.send(OutboundRequest::get(url(format!("http://{host}:{port}/")))).await;
            assert!(matches!(outcome, Err(OutboundError::PrivateAddress)), "{host}: {outcome:?}");
        }
        for bad in ["ftp://example.com/", "file:///etc/passwd", "data:,x", "unix:/run/x"] {
            assert!(matches!(guarded.send(OutboundRequest::get(url(bad))).await, Err(OutboundError::Scheme)), "{bad}");
        }
        assert!(heads.try_recv().is_err(), "nothing may have been sent");
    }

    #[tokio::test]
    async fn exceptions_open_the_way_for_their_urls_only() {
        let (address, _heads) = serve(|stream, _| write(stream, answer("200 OK", "x"))).await;
        let rules = OutboundRules {
            allow_private: false,
            private_exceptions: vec![format!("http://localhost:{}/hook/*", address.port())],
        };
        let outbound = Outbound::new(rules);
        for (path, allowed) in [("hook/a", true), ("hook/", true), ("other", false), ("", false)] {
            let outcome = outbound.send(OutboundRequest::get(url(format!("http://localhost:{}/{path}", address.port())))).await;
            assert_eq!(outcome.is_ok(), allowed, "{path}: {outcome:?}");
        }
    }

    #[test]
    fn patterns() {
        for (pattern, text, matches) in [
            ("", "", true),
            ("*", "", true),
            ("*", "anything", true),
            ("http://a/b", "http://a/b", true),
            ("http://a/b", "http://a/bc", false),
            ("http://a/*", "http://a/b/c", true),
            ("http://a/*", "https://a/b", false),
            ("http://*/x", "http://a/y/x", true),
            ("http://*/x", "http://a/xy", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c", false),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(matches_pattern(pattern, text), matches, "{pattern} {text}");
        }
    }

    #[tokio::test]
    async fn requests_arrive_and_answers_return_without_redirects() {
        let (address, mut heads) = serve(|stream, _| write(stream, answer("302 Found\r\nlocation: /elsewhere", "gone"))).await;
        let mut request = OutboundRequest::get(url(format!("http://{address}/path?query")));
        request.method = Method::POST;
        request.headers.insert("x-test", "value".parse().expect("header"));
        request.body = Some(b"body".to_vec());
        let answer = open().send(request).await.expect("answered");
        assert_eq!((answer.status, answer.body.as_slice()), (302, &b"gone"[..]));
        assert_eq!(answer.headers.get("location").map(|value| value.as_bytes()), Some(&b"/elsewhere"[..]));
        let head = heads.recv().await.expect("one request").to_lowercase();
        assert!(head.starts_with("post /path?query http/1.1\r\n") && head.contains("x-test: value\r\n"), "{head}");
        assert!(head.contains("content-length: 4\r\n"), "{head}");
        assert!(heads.try_recv().is_err());
    }

    #[tokio::test]
    async fn long_answers_are_cut_off_while_they_stream() {
        for (length, announced, fits) in [
            (LONGEST_ANSWER, true, true),
            (LONGEST_ANSWER, false, true),
            (LONGEST_ANSWER + 1, true, false),
            (LONGEST_ANSWER + 1, false, false),
        ] {
            let (address, _heads) = serve(move |stream, _| {
                let size = if announced { format!("content-length: {length}\r\n") } else { String::new() };
                write(stream, format!("HTTP/1.1 200 OK\r\n{size}connection: close\r\n\r\n{}", "x".repeat(length)))
            })
            .await;
            match open().send(OutboundRequest::get(url(format!("http://{address}/")))).await {
                Ok(answer) => assert!(fits && answer.body.len() == length),
                Err(error) => assert!(!fits && matches!(error, OutboundError::TooLong), "{length} {error:?}"),
            }
        }
        // Without end: only the cap can stop it.
        let (address, _heads) = serve(|mut stream, _| async move {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
        })
        .await;
        let outcome = open().send(OutboundRequest::get(url(format!("http://{address}/")))).await;
        assert!(matches!(outcome, Err(OutboundError::TooLong)), "{outcome:?}");
    }

    #[tokio::test]
    async fn silence_and_broken_answers_end_in_errors_without_the_url() {
        let (silent, _heads) = serve(|stream, _| async move {
            let _stream = stream;
            std::future::pending::<()>().await;
        })
        .await;
        let mut request = OutboundRequest::get(url(format!("http://{silent}/secret-path")));
        request.budget = Span::from_micros(20_000);
        assert!(matches!(open().send(request).await, Err(OutboundError::Timeout)));

        for broken in ["", "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort"] {
            let (address, _heads) = serve(move |stream, _| write(stream, broken.to_owned())).await;
            let error =
                open().send(OutboundRequest::get(url(format!("http://u:p@{address}/secret-path")))).await.expect_err("broken");
            assert!(matches!(error, OutboundError::Failed(_)), "{error:?}");
            assert!(!format!("{error} {error:?}").contains("secret-path"), "{error:?}");
        }
    }

    #[test]
    fn nothing_is_built_before_the_first_request() {
        let outbound = open();
        assert!(outbound.open.get().is_none() && outbound.guarded.get().is_none());
        assert!(client(&outbound.guarded, true).is_ok() && outbound.guarded.get().is_some());
    }
}
