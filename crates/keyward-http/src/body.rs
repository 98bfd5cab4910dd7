//! Bodies of submits, from bytes to a payload: one parser for each content type, and bounds on everything (AC-107, AC-114).
//! Flow endpoints call [`submitted`]; other endpoints that take a body call [`read`].
//! Does not know what the fields mean.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::{Method, header};
use keyward_model::Problem;
use keyward_selfservice::Submitted;
use keyward_services::payload::{Payload, PayloadError};
use url::form_urlencoded;

use crate::accept::{essence, is_json_type};
use crate::caller::Caller;
use crate::multipart;

/// A body that takes longer to arrive is given up.
const PATIENCE: Duration = Duration::from_secs(15);

/// Reads a whole body, up to `serve.public.body_limit`.
///
/// # Errors
/// When it is larger, slower or broken off.
pub(crate) async fn read(caller: &Caller, body: Body) -> Result<Bytes, Problem> {
    read_up_to(caller, body, caller.app().config.public.body_limit).await
}

/// Reads a whole body of at most so many bytes.
///
/// # Errors
/// When it is larger, slower or broken off.
pub(crate) async fn read_up_to(caller: &Caller, body: Body, limit: usize) -> Result<Bytes, Problem> {
    let announced = caller.header(header::CONTENT_LENGTH.as_str()).and_then(|length| length.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(Problem::TooLarge);
    }
    match tokio::time::timeout(PATIENCE, collect(body, limit)).await {
        Ok(bytes) => bytes,
        Err(_) => Err(Problem::BadRequest { reason: "The body did not arrive in time.".to_owned() }),
    }
}

async fn collect(body: Body, limit: usize) -> Result<Bytes, Problem> {
    let mut chunks = body.into_data_stream();
    let mut bytes = BytesMut::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Problem::BadRequest { reason: "The body broke off.".to_owned() })?;
        if bytes.len() + chunk.len() > limit {
            return Err(Problem::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

/// What a request to a submit endpoint brings. GET never brings a payload (decisions 5.9); a body that cannot be
/// understood is for the flow to show.
///
/// # Errors
/// When a credential stands in the query, or the body cannot be read at all.
pub(crate) async fn submitted(caller: &Caller, body: Body) -> Result<Submitted, Problem> {
    let query = caller.query.pairs().map(|(name, value)| (name.to_owned(), value.to_owned()));
    match Payload::from_query(query) {
        Ok(payload) if payload.has_credential_field() => return Err(Problem::CredentialInQuery),
        Ok(_) => {}
        Err(error) => return Err(Problem::BadRequest { reason: format!("The query is not usable: {error}.") }),
    }
    if matches!(caller.method, Method::GET | Method::HEAD) {
        return Ok(Submitted::Nothing);
    }
    let bytes = read(caller, body).await?;
    if bytes.is_empty() {
        return Ok(Submitted::Nothing);
    }
    Ok(Submitted::Body(parse(caller.header(header::CONTENT_TYPE.as_str()).unwrap_or_default(), &bytes)))
}

/// The CSRF token inside a submit.
pub(crate) fn form_token(submitted: &Submitted) -> Option<&str> {
    match submitted {
        Submitted::Body(Ok(payload)) => payload.csrf_token(),
        Submitted::Body(Err(_)) | Submitted::Nothing => None,
    }
}

/// Decodes a body by its content type, and by nothing else.
///
/// # Errors
/// [`PayloadError`] for unknown content types and for bodies that are not what their type says.
pub(crate) fn parse(content_type: &str, bytes: &[u8]) -> Result<Payload, PayloadError> {
    let kind = essence(content_type);
    if is_json_type(content_type) {
        Payload::from_json(bytes)
    } else if kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        Payload::from_form(form_urlencoded::parse(bytes).into_owned())
    } else if kind.eq_ignore_ascii_case("multipart/form-data") {
        Payload::from_form(multipart::fields(content_type, bytes).ok_or(PayloadError::NotAForm)?)
    } else {
        Err(PayloadError::ContentType)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_parser_for_each_content_type() {
        const JSON: &[u8] = br#"{"method":"password","traits":{"email":"a@b"}}"#;
        const FORM: &[u8] = b"method=password&traits.email=a%40b";
        const PARTS: &[u8] = b"--x\r\nContent-Disposition: form-data; name=\"method\"\r\n\r\npassword\r\n--x--\r\n";
        for (content_type, body, method) in [
            ("application/json", JSON, Ok(Some("password"))),
            ("application/json; charset=utf-8", JSON, Ok(Some("password"))),
            ("Application/JSON", JSON, Ok(Some("password"))),
            ("application/x-www-form-urlencoded", FORM, Ok(Some("password"))),
            ("application/x-www-form-urlencoded; charset=UTF-8", FORM, Ok(Some("password"))),
            ("multipart/form-data; boundary=x", PARTS, Ok(Some("password"))),
            ("multipart/form-data", PARTS, Err(PayloadError::NotAForm)),
            ("multipart/form-data; boundary=y", PARTS, Err(PayloadError::NotAForm)),
            ("application/json", FORM, Err(PayloadError::NotJson)),
            ("application/json", b"[]", Err(PayloadError::NotAnObject)),
            ("application/json", br#"{"method":"a","method":"b"}"#, Err(PayloadError::DuplicateKey)),
            ("application/x-www-form-urlencoded", JSON, Ok(None)),
            ("text/plain", JSON, Err(PayloadError::ContentType)),
            ("", JSON, Err(PayloadError::ContentType)),
            ("application/json-patch+json", JSON, Err(PayloadError::ContentType)),
        ] {
            let parsed = parse(content_type, body);
            let found = parsed.as_ref().map(Payload::method).map_err(|error| *error);
            assert_eq!(found, method, "{content_type}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..300), kind in 0..3_usize) {
            let kinds = ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=\"-\""];
            let _ = parse(kinds[kind], &body);
        }
    }
}
