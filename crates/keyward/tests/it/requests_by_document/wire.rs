//! Requests as bytes and answers as bytes, over one connection to each port.
//! The tests of this folder send what no HTTP library would: paths, headers and bodies stay as they were made.
//! Knows HTTP/1.1 as far as a server of ours speaks it.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// Longer than any honest answer takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// One request, made.
pub(super) struct Request {
    pub(super) operation: usize,
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// The first header of a name, as text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", self.body.len()).as_bytes());
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// For messages of failed checks: everything that was sent, cut where it is long.
impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.bytes();
        write!(f, "{}", String::from_utf8_lossy(&bytes[..bytes.len().min(3_000)]))
    }
}

/// One answer, complete.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Answer {
    /// The first header of a name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub(super) fn json(&self) -> Result<serde_json::Value, String> {
        serde_json::from_str(&self.body).map_err(|error| format!("no JSON: {error}"))
    }
}

/// A client of one port.
pub(super) struct Client {
    address: String,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    /// Of the port at a base address.
    pub(super) fn new(base: &str) -> Self {
        Self { address: base.trim_start_matches("http://").to_owned(), connection: None }
    }

    /// Sends a request and reads its answer. The next one goes over the same connection if the server keeps it.
    ///
    /// # Panics
    /// When there is no answer, or not in time.
    pub(super) async fn ask(&mut self, request: &Request) -> Answer {
        let answer = tokio::time::timeout(PATIENCE, self.exchange(request)).await;
        answer
            .unwrap_or_else(|_| panic!("no answer in time: {request:?}"))
            .unwrap_or_else(|error| panic!("no answer ({error}): {request:?}"))
    }

    async fn exchange(&mut self, request: &Request) -> std::io::Result<Answer> {
        // A server may end a connection that waits; only on a new one an answer is owed.
        if let Some(kept) = self.connection.take()
            && let Ok(answer) = self.converse(kept, request).await
        {
            return Ok(answer);
        }
        let fresh = BufReader::new(TcpStream::connect(&self.address).await?);
        self.converse(fresh, request).await
    }

    async fn converse(&mut self, mut connection: BufReader<TcpStream>, request: &Request) -> std::io::Result<Answer> {
        // A server that refuses early may close before it has read everything.
        let sent = connection.get_mut().write_all(&request.bytes()).await;
        let (answer, kept) = read(&mut connection).await.map_err(|error| sent.err().unwrap_or(error))?;
        self.connection = kept.then_some(connection);
        Ok(answer)
    }
}

async fn read(connection: &mut BufReader<TcpStream>) -> std::io::Result<(Answer, bool)> {
    let status = line(connection).await?;
    let status = status.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other("no status"))?;
    let mut headers = Vec::new();
    loop {
        let line = line(connection).await?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut answer = Answer { status, headers, body: String::new() };
    let mut body = Vec::new();
    if answer.header("transfer-encoding") == Some("chunked") {
        loop {
            let length = usize::from_str_radix(&line(connection).await?, 16).map_err(std::io::Error::other)?;
            let mut chunk = vec![0; length + 2];
            connection.read_exact(&mut chunk).await?;
            body.extend_from_slice(&chunk[..length]);
            if length == 0 {
                break;
            }
        }
    } else {
        let length = answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        body.resize(length, 0);
        connection.read_exact(&mut body).await?;
    }
    answer.body = String::from_utf8(body).map_err(std::io::Error::other)?;
    let kept = answer.header("connection") != Some("close");
    Ok((answer, kept))
}

async fn line(connection: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    if connection.read_until(b'\n', &mut bytes).await? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}
