//! Reads the head of an HTTP/1.1 answer from bytes that may have arrived only in part (RFC 9112).
//! The client calls it after every read until the head is complete.
//! It understands what the servers under test send, status and `content-length`, and refuses the rest.

use crate::failure::{Failure, Result};

/// More than any head of the servers under test.
const LARGEST_HEAD: usize = 64 * 1024;

/// A complete head.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// Bytes of the head with its final empty line; the body starts there.
    pub(crate) length: usize,
    /// Bytes of the body.
    pub(crate) body: usize,
}

/// Parses the head at the start of `bytes`. `None` asks for more bytes.
pub(crate) fn parse_head(bytes: &[u8]) -> Result<Option<Head>> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        if bytes.len() > LARGEST_HEAD {
            return Err(Failure::new("the head of an answer does not end"));
        }
        return Ok(None);
    };
    let mut lines = bytes[..end].split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let status = lines.next().and_then(status_of).ok_or_else(|| Failure::new("an answer does not start with a status line"))?;
    let mut length = None;
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            return Err(Failure::new("an answer has a header line without a colon"));
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            length = Some(number(value).ok_or_else(|| Failure::new("an answer has a content-length that is no number"))?);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return Err(Failure::new("an answer is sent in chunks; whole ones were expected"));
        } else if name.eq_ignore_ascii_case(b"connection") && value.eq_ignore_ascii_case(b"close") {
            return Err(Failure::new(format!("the server closes the connection after an answer with status {status}")));
        }
    }
    let without_body = status < 200 || status == 204 || status == 304;
    let body = match length {
        _ if without_body => 0,
        Some(length) => length,
        None => return Err(Failure::new("an answer does not tell its length")),
    };
    Ok(Some(Head { status, length: end + 4, body }))
}

/// The headers of a complete head, in the order in which they came.
pub(crate) fn headers(head: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(head);
    text.lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect()
}

fn status_of(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.1 ")?;
    if rest.get(3).is_some_and(|after| *after != b' ') {
        return None;
    }
    let status = number(rest.get(..3)?)?;
    u16::try_from(status).ok().filter(|status| (100..600).contains(status))
}

fn number(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_found_however_it_is_cut() {
        let answer: &[u8] = b"HTTP/1.1 200 OK\r\nvary: Origin\r\nContent-LENGTH:  7 \r\nx-empty:\r\n\r\n{\r\n\r\n1}";
        let whole = answer.len() - 7;
        for cut in 0..=answer.len() {
            let parsed = parse_head(&answer[..cut]).unwrap();
            let expected = (cut >= whole).then_some(Head { status: 200, length: whole, body: 7 });
            assert_eq!(parsed, expected, "cut after {cut} bytes");
        }
    }

    #[test]
    fn bodies() {
        for (text, status, body) in [
            ("HTTP/1.1 204 No Content\r\n\r\n", 204, 0),
            ("HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", 304, 0),
            ("HTTP/1.1 100 Continue\r\n\r\n", 100, 0),
            ("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n", 401, 0),
            ("HTTP/1.1 200\r\nContent-Length: 12\r\nconnection: keep-alive\r\n\r\n", 200, 12),
        ] {
            let head = parse_head(text.as_bytes()).unwrap().unwrap();
            assert_eq!((head.status, head.body, head.length), (status, body, text.len()), "{text}");
        }
    }

    #[test]
    fn what_is_refused() {
        for text in [
            "HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 2x0 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 700 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: +1\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length:\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\nConnection: Close\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            "\r\n\r\n",
        ] {
            assert!(parse_head(text.as_bytes()).is_err(), "{text}");
        }
        assert!(parse_head(&vec![b'a'; LARGEST_HEAD + 1]).is_err());
    }

    #[test]
    fn headers_in_order() {
        let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nVary:Origin, Cookie\r\n\r\n";
        let expected = [("content-type", "application/json; charset=utf-8"), ("vary", "Origin, Cookie")];
        assert_eq!(headers(head), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
