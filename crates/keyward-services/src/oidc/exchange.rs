//! The way back from a provider: a code becomes tokens, tokens become a subject with claims.
//! [`super::Provider`] calls it for codes of browsers and for id tokens of apps.
//! Knows no flow: that the answer came to the browser that asked was shown before.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use keyward_config::{ClaimsSource, ProviderKind, ProviderSubject};
use keyward_model::{Secret, Span, Time, hex};
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::Sha256;
use url::{Url, form_urlencoded};

use super::id_token::{self, Audience};
use super::kinds::{Client, OpenId, Plain, address};
use super::subject::{NO_SUBJECT, is_subject, subject_of};
use super::{CodeAnswer, IdTokenError, OidcError, Provider, Subject, Tokens};
use crate::outbound::{Outbound, OutboundAnswer, OutboundRequest};

/// How long a person waits for each answer.
const PATIENCE: Span = Span::seconds(10);
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Where Microsoft tells who somebody is.
const GRAPH: &str = "https://graph.microsoft.com/v1.0/me";

/// The answer of a token endpoint (RFC 6749, sections 5.1 and 5.2).
#[derive(Default, Deserialize)]
struct TokenAnswer {
    access_token: Option<Secret<String>>,
    id_token: Option<Secret<String>>,
    refresh_token: Option<Secret<String>>,
    error: Option<Value>,
    error_description: Option<Value>,
}

/// What the code of an answer stands for.
pub(super) async fn redeem(
    provider: &Provider,
    outbound: &Outbound,
    answer: &CodeAnswer<'_>,
    now: Time,
) -> Result<Subject, OidcError> {
    if answer.transaction.provider != provider.settings.id {
        return Err(OidcError::OtherProvider);
    }
    match &provider.client {
        Client::OpenId(client) => {
            let metadata = client.metadata(outbound, now).await?;
            match answer.issuer {
                Some(issuer) if issuer != metadata.issuer => return Err(OidcError::OtherIssuer),
                None if metadata.names_itself => return Err(OidcError::OtherIssuer),
                _ => {}
            }
            let endpoint = provider.settings.token_url.as_ref().unwrap_or(&metadata.token_endpoint);
            let ways = match (metadata.takes_basic, metadata.takes_post) {
                _ if client.facts.only_secrets_in_body => &[Way::Body][..],
                (true, true) => &[Way::Header, Way::Body],
                (false, true) => &[Way::Body],
                _ => &[Way::Header],
            };
            let tokens = tokens(provider, outbound, endpoint, ways, answer, now).await?;
            let userinfo = metadata.userinfo_endpoint.as_ref();
            open_id(provider, client, outbound, userinfo, tokens, answer, now).await
        }
        Client::Plain(client) => {
            let endpoint = address(&client.token_endpoint)?;
            let way = if client.facts.basic { Way::Header } else { Way::Body };
            let tokens = tokens(provider, outbound, &endpoint, &[way], answer, now).await?;
            plain(provider, client, outbound, tokens).await
        }
    }
}

/// Whom an app's id token speaks of.
pub(super) async fn native(
    provider: &Provider,
    outbound: &Outbound,
    id_token: &str,
    nonce: Option<&str>,
    now: Time,
) -> Result<Subject, IdTokenError> {
    let client = provider.open_id().ok_or(IdTokenError::NotSupported)?;
    let settings = &provider.settings;
    let claims = id_token::verify(settings, client, outbound, id_token, Audience::Apps, now).await?;
    id_token::check_submitted_nonce(client, &claims, nonce)?;
    let subject = match (settings.kind, settings.subject_source) {
        (ProviderKind::Microsoft, ProviderSubject::Me) => {
            return Err(IdTokenError::Invalid("its subject can only be asked for with an access token (subject_source: me)"));
        }
        (ProviderKind::Microsoft, ProviderSubject::Oid) => claims.get("oid").and_then(Value::as_str),
        _ => subject_of(&claims),
    };
    let subject = subject.filter(|subject| is_subject(subject)).ok_or(IdTokenError::Invalid(NO_SUBJECT))?.to_owned();
    let tokens = Tokens { id: Some(Secret::new(id_token.to_owned())), ..Tokens::default() };
    Ok(Subject::of_id_token(settings, subject, &claims, claims.clone(), tokens))
}

/// How a client shows itself at the token endpoint (RFC 6749, section 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Header,
    Body,
}

/// The tokens of a code. A second way is tried only when the first was refused as such, which leaves the code as it was.
async fn tokens(
    provider: &Provider,
    outbound: &Outbound,
    endpoint: &Url,
    ways: &[Way],
    answer: &CodeAnswer<'_>,
    now: Time,
) -> Result<Tokens, OidcError> {
    let mut last = OidcError::ClientSecret;
    for way in ways {
        let request = token_request(provider, endpoint, *way, answer, now)?;
        let answer = outbound.send(request).await?;
        match read_tokens(&answer) {
            Err((error, true)) => last = error,
            Err((error, false)) => return Err(error),
            Ok(tokens) => return Ok(tokens),
        }
    }
    Err(last)
}

fn token_request(
    provider: &Provider,
    endpoint: &Url,
    way: Way,
    answer: &CodeAnswer<'_>,
    now: Time,
) -> Result<OutboundRequest, OidcError> {
    let settings = &provider.settings;
    let secret = match &provider.key {
        Some(key) => key.secret(&settings.client_id, now)?,
        None => settings.client_secret.clone(),
    };
    let transaction = answer.transaction;
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "authorization_code")
        .append_pair("code", answer.code)
        .append_pair("redirect_uri", &transaction.redirect_uri);
    if let Some(verifier) = &transaction.verifier {
        form.append_pair("code_verifier", verifier.reveal());
    }
    let mut headers = HeaderMap::new();
    let public = secret.reveal().is_empty();
    if public || way == Way::Body {
        form.append_pair("client_id", &settings.client_id);
        if !public {
            form.append_pair("client_secret", secret.reveal());
        }
    } else {
        // Both halves are form-encoded before they are joined.
        let half = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let pair = Secret::new(format!("{}:{}", half(&settings.client_id), half(secret.reveal())));
        headers.insert(AUTHORIZATION, sensitive(&format!("Basic {}", STANDARD.encode(pair.reveal())))?);
    }
    headers.insert(CONTENT_TYPE, FORM);
    headers.insert(ACCEPT, JSON);
    let body = Some(form.finish().into_bytes());
    Ok(OutboundRequest { method: Method::POST, url: endpoint.clone(), headers, body, budget: PATIENCE })
}

/// A header field that no log shows.
fn sensitive(text: &str) -> Result<HeaderValue, OidcError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| OidcError::Unusable("its token is none"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The tokens, or why there are none, and whether it was because the client showed itself in the wrong way.
fn read_tokens(answer: &OutboundAnswer) -> Result<Tokens, (OidcError, bool)> {
    // Some say with status 200 that something is wrong.
    let read: TokenAnswer = serde_json::from_slice(&answer.body).unwrap_or_default();
    if let Some(error) = &read.error {
        let error = error.as_str().unwrap_or("error");
        let refused = OidcError::refused(error, read.error_description.as_ref().and_then(Value::as_str));
        return Err((refused, error == "invalid_client"));
    }
    if answer.status != 200 {
        return Err((OidcError::Status { what: "tokens", status: answer.status }, answer.status == 401));
    }
    let some = |token: Option<Secret<String>>| token.filter(|token| !token.reveal().is_empty());
    let access = some(read.access_token).ok_or((OidcError::Unusable("it holds no access token"), false))?;
    Ok(Tokens { id: some(read.id_token), access: Some(access), refresh: some(read.refresh_token) })
}

async fn open_id(
    provider: &Provider,
    client: &OpenId,
    outbound: &Outbound,
    userinfo: Option<&Url>,
    tokens: Tokens,
    answer: &CodeAnswer<'_>,
    now: Time,
) -> Result<Subject, OidcError> {
    let settings = &provider.settings;
    let id_token = tokens.id.as_ref().ok_or(OidcError::NoIdToken)?;
    let verified = id_token::verify(settings, client, outbound, id_token.reveal(), Audience::Client, now).await;
    let id_claims = verified.map_err(|error| match error {
        IdTokenError::Unreachable(why) => OidcError::Unreachable(why.trim_end_matches('.').to_owned()),
        error => OidcError::IdToken(error),
    })?;
    id_token::check_nonce(client, &id_claims, &answer.transaction.nonce)?;
    let access = tokens.access.as_ref().ok_or(OidcError::Unusable("it holds no access token"))?;
    let claims = if client.facts.tells_at_userinfo || settings.claims_source == ClaimsSource::Userinfo {
        let url = userinfo.ok_or(OidcError::Unusable("it has no userinfo endpoint"))?;
        let Value::Object(mut claims) = fetch(outbound, url, "Bearer", access).await? else {
            return Err(OidcError::Unusable("its userinfo are no claims"));
        };
        if subject_of(&claims).is_none() || subject_of(&claims) != subject_of(&id_claims) {
            return Err(OidcError::OtherSubject);
        }
        if let Some(issuer) = id_claims.get("iss") {
            claims.insert("iss".to_owned(), issuer.clone());
        }
        claims
    } else {
        id_claims.clone()
    };
    let subject = match (settings.kind, settings.subject_source) {
        (ProviderKind::Microsoft, ProviderSubject::Me) => {
            let me = fetch(outbound, &address(GRAPH)?, "Bearer", access).await?;
            me["id"].as_str().map(str::to_owned)
        }
        (ProviderKind::Microsoft, ProviderSubject::Oid) => id_claims.get("oid").and_then(Value::as_str).map(str::to_owned),
        _ => subject_of(&id_claims).map(str::to_owned),
    };
    let subject = subject.filter(|subject| is_subject(subject)).ok_or(OidcError::Unusable(NO_SUBJECT))?;
    Ok(Subject::of_id_token(settings, subject, &id_claims, claims, tokens))
}

async fn plain(provider: &Provider, client: &Plain, outbound: &Outbound, tokens: Tokens) -> Result<Subject, OidcError> {
    let access = tokens.access.as_ref().ok_or(OidcError::Unusable("it holds no access token"))?;
    let mut url = address(&client.userinfo_endpoint)?;
    if provider.settings.kind == ProviderKind::Facebook {
        // Shows that the token is not used by somebody who only came by it.
        url.query_pairs_mut().append_pair("appsecret_proof", &proof(&provider.settings.client_secret, access)?);
    }
    let profile = fetch(outbound, &url, client.facts.scheme, access).await?;
    let mut claims = (client.facts.read)(&profile).ok_or(OidcError::Unusable("it does not say who somebody is"))?;
    if let Some(emails) = &client.emails_endpoint {
        // Whoever did not allow it gets no address, and that is all.
        match fetch(outbound, &address(emails)?, client.facts.scheme, access).await {
            Ok(emails) => claims.extend(super::profile::primary_email(&emails)),
            Err(OidcError::Status { status: 401 | 403 | 404, .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let subject = subject_of(&claims).ok_or(OidcError::Unusable(NO_SUBJECT))?.to_owned();
    claims.insert("iss".to_owned(), client.facts.issuer.into());
    Ok(Subject::of_profile(subject, claims, tokens))
}

/// HMAC-SHA-256 of the access token under the client secret, in hex.
fn proof(secret: &Secret<String>, access: &Secret<String>) -> Result<String, OidcError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()).map_err(|_| OidcError::ClientSecret)?;
    mac.update(access.reveal().as_bytes());
    Ok(hex(&mac.finalize().into_bytes()))
}

/// JSON that an access token opens (RFC 6750, section 2.1).
async fn fetch(outbound: &Outbound, url: &Url, scheme: &str, access: &Secret<String>) -> Result<Value, OidcError> {
    let mut request = OutboundRequest { budget: PATIENCE, ..OutboundRequest::get(url.clone()) };
    request.headers.insert(AUTHORIZATION, sensitive(&format!("{scheme} {}", access.reveal()))?);
    request.headers.insert(ACCEPT, JSON);
    let answer = outbound.send(request).await?;
    if answer.status != 200 {
        return Err(OidcError::Status { what: "who somebody is", status: answer.status });
    }
    let read: Value = serde_json::from_slice(&answer.body).map_err(|_| OidcError::Unusable("it is not JSON"))?;
    Ok(read)
}

/// Claims as an object, for the files that read profiles.
pub(super) type Claims = Map<String, Value>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oidc::discovery;
    use crate::outbound::LONGEST_WAIT;

    #[test]
    fn nobody_waits_as_long_as_a_server_may() {
        assert!(PATIENCE < LONGEST_WAIT && discovery::PATIENCE < PATIENCE);
    }
}
