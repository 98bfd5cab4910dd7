//! The claims of an id token, held against what is expected (OpenID Connect Core 1.0, section 3.1.3.7).
//! The exchange calls it with a token, the provider's keys and the instant of the request.
//! Knows no accounts, and keeps nothing.

use keyward_config::OidcProvider;
use keyward_model::{Span, Time};
use serde_json::{Map, Value};

use super::discovery::{ANY_TENANT, Metadata, is_tenant};
use super::key_set::Failure;
use super::kinds::OpenId;
use super::subject::{NO_SUBJECT, subject_of};
use super::{IdTokenError, OidcError};
use crate::outbound::Outbound;

/// How far the clocks of two servers may differ.
const LEEWAY: Span = Span::seconds(60);

/// The tenant of Microsoft in which everybody's private account is.
const PRIVATE_ACCOUNTS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

/// Whom the token must be meant for.
#[derive(Clone, Copy)]
pub(super) enum Audience {
    /// Us: it was fetched with a code.
    Client,
    /// Us, or an app that belongs to us.
    Apps,
}

/// The claims of an id token after everything but its nonce was verified.
pub(super) async fn verify(
    settings: &OidcProvider,
    client: &OpenId,
    outbound: &Outbound,
    token: &str,
    audience: Audience,
    now: Time,
) -> Result<Map<String, Value>, IdTokenError> {
    let metadata = client.metadata(outbound, now).await?;
    let signed = client.keys.verify(outbound, &metadata.jwks_uri, token, now).await.map_err(|failure| match failure {
        Failure::Token(why) => IdTokenError::Invalid(why),
        Failure::Provider(error) => IdTokenError::Unreachable(error.to_string()),
    })?;
    let claims = signed.claims;
    let issuer = issuer(settings, &metadata, &claims).ok_or(IdTokenError::Invalid("it has another issuer"))?;
    // Where keys of several issuers stand together, each signs for its own.
    let tenant = claims.get("tid").and_then(Value::as_str).unwrap_or_default();
    if signed.key_issuer.is_some_and(|of_key| of_key.replace(ANY_TENANT, tenant) != issuer) {
        return Err(IdTokenError::Invalid("it is signed with the key of another issuer"));
    }
    judge(settings, &claims, audience, now).map_err(IdTokenError::Invalid)?;
    Ok(claims)
}

/// The issuer of a token, when it is the provider.
pub(super) fn issuer(settings: &OidcProvider, metadata: &Metadata, claims: &Map<String, Value>) -> Option<String> {
    let expected = if metadata.issuer.contains(ANY_TENANT) {
        let tenant = claims.get("tid").and_then(Value::as_str).filter(|tenant| is_tenant(tenant))?;
        let only_work = settings.microsoft_tenant.as_deref() == Some("organizations");
        if only_work && tenant == PRIVATE_ACCOUNTS {
            return None;
        }
        metadata.issuer.replace(ANY_TENANT, tenant)
    } else {
        metadata.issuer.clone()
    };
    (claims.get("iss").and_then(Value::as_str) == Some(expected.as_str())).then_some(expected)
}

fn judge(settings: &OidcProvider, claims: &Map<String, Value>, audience: Audience, now: Time) -> Result<(), &'static str> {
    let is_ours = |text: &str| {
        text == settings.client_id
            || (matches!(audience, Audience::Apps) && settings.additional_id_token_audiences.iter().any(|one| one == text))
    };
    match claims.get("aud") {
        Some(Value::String(one)) if is_ours(one) => {}
        Some(Value::Array(several)) if several.iter().filter_map(Value::as_str).any(is_ours) => {
            if several.len() > 1 && !claims.get("azp").and_then(Value::as_str).is_some_and(is_ours) {
                return Err("it has several audiences and was not made for this one");
            }
        }
        _ => return Err("it has another audience"),
    }
    let moment = |name: &str| claims.get(name).map(|value| value.as_f64().filter(|at| at.is_finite()));
    let (now, leeway) = (now.unix() as f64, LEEWAY.as_seconds() as f64);
    match moment("exp") {
        Some(Some(expires)) if now < expires + leeway => {}
        Some(Some(_)) => return Err("it has expired"),
        _ => return Err("it does not say when it expires"),
    }
    match moment("iat") {
        Some(Some(issued)) if issued <= now + leeway => {}
        Some(Some(_)) => return Err("it was issued in the future; do both clocks go right?"),
        _ => return Err("it does not say when it was issued"),
    }
    match moment("nbf") {
        None => {}
        Some(Some(begins)) if begins <= now + leeway => {}
        Some(_) => return Err("it is not valid yet"),
    }
    subject_of(claims).map(drop).ok_or(NO_SUBJECT)
}

/// Whether the token repeats the nonce that was sent with its code.
pub(super) fn check_nonce(client: &OpenId, claims: &Map<String, Value>, sent: &str) -> Result<(), OidcError> {
    let error = match claims.get("nonce").and_then(Value::as_str).filter(|nonce| !nonce.is_empty()) {
        Some(nonce) if nonce == sent => return Ok(()),
        None if client.facts.may_forget_nonce => return Ok(()),
        Some(_) => IdTokenError::NonceMismatch,
        None => IdTokenError::NonceMissingInToken,
    };
    Err(OidcError::IdToken(error))
}

/// Whether the token has the nonce that an app says it asked for.
pub(super) fn check_submitted_nonce(
    client: &OpenId,
    claims: &Map<String, Value>,
    submitted: Option<&str>,
) -> Result<(), IdTokenError> {
    let nonce = claims.get("nonce").and_then(Value::as_str).filter(|nonce| !nonce.is_empty());
    match (nonce, submitted.filter(|nonce| !nonce.is_empty())) {
        (Some(nonce), Some(submitted)) if nonce == submitted => Ok(()),
        (Some(_), Some(_)) => Err(IdTokenError::NonceMismatch),
        (Some(_), None) => Err(IdTokenError::NonceNotSubmitted),
        // Old devices of Apple's say so in a signed claim, libraries of Google's have no nonce.
        (None, None) if client.facts.apps_may_lack_nonce || claims.get("nonce_supported") == Some(&Value::Bool(false)) => Ok(()),
        (None, _) => Err(IdTokenError::NonceMissingInToken),
    }
}
