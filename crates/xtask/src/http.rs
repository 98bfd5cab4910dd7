//! A very small HTTP/1.1 client for plain addresses on this machine.
//! `readme` walks through the started server with it, as a program without any library would.
//! It follows no redirect and keeps no cookie by itself.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::failure::{Failure, Result, during};

/// One answer, with its body as text.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    #[cfg(test)]
    pub(crate) fn for_test(status: u16, body: &str) -> Self {
        Self { status, headers: Vec::new(), body: body.to_owned() }
    }

    /// The values of a header; names are compared without case.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// A plain `http://` address, taken apart.
#[derive(Debug, PartialEq, Eq, Clone)]
pub(crate) struct Address {
    host: String,
    port: u16,
    pub(crate) target: String,
}

impl Address {
    pub(crate) fn parse(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("http://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (authority, 80),
        };
        let target = target.split('#').next().unwrap_or_default();
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        (!host.is_empty()).then(|| Self { host: host.to_owned(), port, target })
    }

    /// The same server with another path; an absolute `location` wins over this one.
    pub(crate) fn join(&self, location: &str) -> Option<Self> {
        if location.starts_with('/') {
            return Some(Self { target: location.to_owned(), ..self.clone() });
        }
        Self::parse(location)
    }
}

const PATIENCE: Duration = Duration::from_secs(30);

/// Sends one request on a connection of its own.
pub(crate) fn send(method: &str, address: &Address, headers: &[(&str, &str)], body: Option<&str>) -> Result<Answer> {
    let what = || format!("{method} {}", address.target);
    let mut stream = TcpStream::connect((address.host.as_str(), address.port)).map_err(during(what()))?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(during(what()))?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(during(what()))?;

    let mut request =
        format!("{method} {} HTTP/1.1\r\nHost: {}:{}\r\nConnection: close\r\n", address.target, address.host, address.port);
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(body) = body {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    request.push_str(body.unwrap_or_default());

    stream.write_all(request.as_bytes()).map_err(during(what()))?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).map_err(during(what()))?;
    parse(&bytes).ok_or_else(|| Failure::new(format!("{}: the answer is no HTTP", what())))
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let split = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..split]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let headers: Vec<(String, String)> =
        lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
    let mut answer = Answer { status, headers, body: String::new() };
    let body = &bytes[split + 4..];
    let chunked = answer.all("transfer-encoding").any(|coding| coding.eq_ignore_ascii_case("chunked"));
    answer.body = String::from_utf8(if chunked { join_chunks(body)? } else { body.to_vec() }).ok()?;
    Some(answer)
}

fn join_chunks(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = bytes.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&bytes[..line]).ok()?.split(';').next()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        bytes = &bytes[line + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(bytes.get(..size)?);
        bytes = bytes.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: &str, port: u16, target: &str) -> Option<Address> {
        Some(Address { host: host.to_owned(), port, target: target.to_owned() })
    }

    #[test]
    fn addresses() {
        assert_eq!(Address::parse("http://127.0.0.1:4433/login?flow=1#top"), address("127.0.0.1", 4433, "/login?flow=1"));
        assert_eq!(Address::parse("http://localhost"), address("localhost", 80, "/"));
        assert_eq!(Address::parse("http://localhost?a=b"), address("localhost", 80, "/?a=b"));
        assert_eq!(Address::parse("https://localhost"), None);
        assert_eq!(Address::parse("http://:1/"), None);
        assert_eq!(Address::parse("http://a:b/"), None);
        let base = Address::parse("http://a:1/x").unwrap();
        assert_eq!(base.join("/y"), address("a", 1, "/y"));
        assert_eq!(base.join("http://b:2/z"), address("b", 2, "/z"));
        assert_eq!(base.join("y"), None);
    }

    #[test]
    fn answers() {
        let plain = parse(b"HTTP/1.1 303 See Other\r\nLocation: /a\r\nset-cookie: a=1\r\nSet-Cookie: b=2\r\n\r\nbody").unwrap();
        assert_eq!((plain.status, plain.body.as_str()), (303, "body"));
        assert_eq!(plain.all("set-cookie").collect::<Vec<_>>(), ["a=1", "b=2"]);

        let chunked =
            parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nab\r\n\r\n1\r\nc\r\n0\r\n\r\n").unwrap();
        assert_eq!(chunked.body, "ab\r\nc");

        assert!(parse(b"SSH-2.0-OpenSSH\r\n\r\n").is_none());
        assert!(parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nshort").is_none());
    }
}
