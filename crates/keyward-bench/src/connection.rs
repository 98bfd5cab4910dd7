//! A keep-alive HTTP/1.1 connection that sends one request at a time and waits for its whole answer.
//! The load generator holds many; set-up and start-up checks use a single one.
//! It knows no paths and judges no status.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::failure::{Failure, Result, during};
use crate::response::{Head, parse_head};

/// One connection with the bytes of the last answer.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A complete answer; valid until the next request.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    /// Status line and headers.
    pub(crate) head: &'a [u8],
    pub(crate) body: &'a [u8],
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 * 1024) })
    }

    /// Sends a complete request and reads its complete answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.stream.write_all(request).await.map_err(during("sending a request"))?;
        self.buffer.clear();
        let mut head: Option<Head> = None;
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await.map_err(during("reading an answer"))?;
            if read == 0 {
                return Err(Failure::new("the server closed a connection before it had answered"));
            }
            if head.is_none() {
                head = parse_head(&self.buffer)?;
            }
            let Some(found) = &head else { continue };
            let whole = found.length + found.body;
            if self.buffer.len() > whole {
                return Err(Failure::new("the server sent more than the answer"));
            }
            if self.buffer.len() == whole {
                let (head, body) = self.buffer.split_at(found.length);
                return Ok(Answer { status: found.status, head, body });
            }
        }
    }

    /// Like [`Self::exchange`]; any status but 2xx fails, with the start of the body for the person who reads it.
    pub(crate) async fn succeed(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        let answer = self.exchange(request).await?;
        if (200..300).contains(&answer.status) {
            return Ok(answer);
        }
        let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let excerpt = &answer.body[..answer.body.len().min(600)];
        Err(Failure::new(format!(
            "`{}` was answered with status {}: {}",
            String::from_utf8_lossy(line),
            answer.status,
            String::from_utf8_lossy(excerpt)
        )))
    }
}

/// A GET without body; `token` becomes `X-Session-Token`.
pub(crate) fn get(address: SocketAddr, path: &str, token: Option<&str>) -> Vec<u8> {
    let token = token.map(|token| format!("x-session-token: {token}\r\n")).unwrap_or_default();
    format!("GET {path} HTTP/1.1\r\nhost: {address}\r\naccept: application/json\r\nuser-agent: keyward-bench\r\n{token}\r\n")
        .into_bytes()
}

/// A POST of JSON; `token` becomes `X-Session-Token`.
pub(crate) fn post(address: SocketAddr, path: &str, token: Option<&str>, body: &str) -> Vec<u8> {
    let token = token.map(|token| format!("x-session-token: {token}\r\n")).unwrap_or_default();
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\naccept: application/json\r\nuser-agent: keyward-bench\r\n{token}\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    /// Serves one connection: for each request, the given pieces one after the other.
    async fn server(answers: Vec<Vec<&'static str>>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            for pieces in answers {
                let mut request = [0; 1024];
                if stream.read(&mut request).await.unwrap() == 0 {
                    return;
                }
                for piece in pieces {
                    stream.write_all(piece.as_bytes()).await.unwrap();
                    tokio::task::yield_now().await;
                }
            }
        });
        address
    }

    #[tokio::test]
    async fn answers_in_pieces_on_one_connection() {
        let address = server(vec![
            vec!["HTTP/1.1 200 OK\r\ncontent-le", "ngth: 4\r\n\r", "\nab", "cd"],
            vec!["HTTP/1.1 204 No Content\r\n\r\n"],
            vec!["HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno"],
        ])
        .await;
        let mut connection = Connection::open(address).await.unwrap();
        let request = get(address, "/a", Some("t"));
        let answer = connection.exchange(&request).await.unwrap();
        assert_eq!((answer.status, answer.body), (200, &b"abcd"[..]));
        assert!(answer.head.ends_with(b"\r\n\r\n"));
        assert_eq!(connection.succeed(&request).await.unwrap().status, 204);
        let failure = connection.succeed(&request).await.err().unwrap().to_string();
        assert!(failure.contains("GET /a HTTP/1.1") && failure.contains("404") && failure.ends_with("no"), "{failure}");
        assert!(connection.exchange(&request).await.is_err(), "the server is gone");
    }

    #[test]
    fn requests() {
        let address: SocketAddr = "127.0.0.1:9".parse().unwrap();
        let text = String::from_utf8(post(address, "/p?flow=1", Some("tok"), "{\"é\":1}")).unwrap();
        assert!(text.starts_with("POST /p?flow=1 HTTP/1.1\r\nhost: 127.0.0.1:9\r\n"), "{text}");
        assert!(text.contains("\r\nx-session-token: tok\r\n") && text.contains("\r\ncontent-length: 8\r\n\r\n"), "{text}");
        let text = String::from_utf8(get(address, "/", None)).unwrap();
        assert!(!text.contains("x-session-token") && text.ends_with("\r\n\r\n"), "{text}");
    }
}
