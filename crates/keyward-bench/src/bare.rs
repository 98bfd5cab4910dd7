//! The server to compare with: an axum handler that returns bytes which it was given, and does nothing else.
//! The runner starts it as a process of its own, with the answer of a real server in a file.
//! It knows nothing of sessions; whatever stands between it and a real server is the work of that server.

use std::path::Path;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::get;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::failure::{Failure, Result, during};

/// An answer to be given again and again.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Recorded {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// Headers that the HTTP library writes itself for every answer.
const WRITTEN_BY_THE_LIBRARY: [&str; 4] = ["date", "content-length", "connection", "keep-alive"];

/// Serves on 127.0.0.1 until it is stopped, with as many threads as the real server has: one per core.
pub(crate) fn run(answer: &Path, port: u16) -> Result<()> {
    let text = std::fs::read_to_string(answer).map_err(during("reading the answer to give"))?;
    let recorded: Recorded = serde_json::from_str(&text).map_err(during("reading the answer to give"))?;
    let router = router(recorded)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(during("starting the runtime"))?;
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(during("listening"))?;
        axum::serve(listener, router).await.map_err(during("serving"))
    })
}

fn router(recorded: Recorded) -> Result<Router> {
    let mut prepared = Response::new(());
    *prepared.status_mut() = StatusCode::from_u16(recorded.status).map_err(during("reading the status"))?;
    for (name, value) in &recorded.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(during("reading a header"))?;
        if WRITTEN_BY_THE_LIBRARY.contains(&name.as_str()) {
            continue;
        }
        let value = HeaderValue::from_str(value).map_err(during("reading a header"))?;
        prepared.headers_mut().append(name, value);
    }
    if recorded.body.is_empty() {
        return Err(Failure::new("the answer to give has no body"));
    }
    let body = axum::body::Bytes::from(recorded.body);
    let whoami = move || {
        let mut answer = Response::new(axum::body::Body::from(body.clone()));
        *answer.status_mut() = prepared.status();
        answer.headers_mut().clone_from(prepared.headers());
        async move { answer }
    };
    Ok(Router::new().route("/sessions/whoami", get(whoami)).route("/health/alive", get(|| async { "ok" })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::{self, Connection};
    use crate::response::headers;

    #[tokio::test]
    async fn gives_the_very_same_answer() {
        let recorded = Recorded {
            status: 200,
            headers: [
                ("content-type", "application/json; charset=utf-8"),
                ("content-length", "999"),
                ("date", "Thu, 01 Jan 1970 00:00:00 GMT"),
                ("vary", "Origin"),
                ("vary", "Cookie"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
            body: "{\"é\":1}".to_owned(),
        };
        let router = router(recorded).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        let mut connection = Connection::open(address).await.unwrap();
        let answer = connection.succeed(&connection::get(address, "/sessions/whoami", Some("t"))).await.unwrap();
        assert_eq!(answer.body, "{\"é\":1}".as_bytes());
        let mut names: Vec<(String, String)> = headers(answer.head).into_iter().filter(|(name, _)| name != "date").collect();
        names.sort();
        let expected = [
            ("content-length", "8"),
            ("content-type", "application/json; charset=utf-8"),
            ("vary", "Cookie"),
            ("vary", "Origin"),
        ];
        assert_eq!(names, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
