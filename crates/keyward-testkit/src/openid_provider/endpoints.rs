//! What the endpoints of an OpenID provider answer, and on what terms: addresses and clients as registered, codes used once and
//! by the client that has the verifier.
//! [`super::OpenIdProvider`] routes requests here, unless the endpoint is out of order.
//! Strict where RFC 6749 and 7636 are, so that a client that forgets something fails here.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use keyward_model::Span;
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use super::misbehaviour::{Endpoint, Misbehaviour};
use super::{Grant, OpenIdProvider, Parameters, Person, TokenRequest, fresh};
use crate::sink::Received;

/// How long a code can be used.
pub(super) const CODE_LIFETIME: Span = Span::minutes(1);

/// An answer of the provider.
pub(super) struct Answer {
    status: u16,
    /// `Content-Type`, or `Location` of a redirect.
    header: (&'static str, String),
    body: String,
}

impl Answer {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self { status, header: ("Content-Type", "application/json".to_owned()), body: body.to_string() }
    }

    pub(super) fn text(status: u16, body: &str) -> Self {
        Self { status, header: ("Content-Type", "text/html".to_owned()), body: body.to_owned() }
    }

    /// An error as RFC 6749 (5.2) writes it.
    pub(super) fn refused(status: u16, error: &str, description: &str) -> Self {
        Self::json(status, &json!({ "error": error, "error_description": description }))
    }

    fn redirect(target: &Url) -> Self {
        Self { status: 303, header: ("Location", target.to_string()), body: String::new() }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let (name, value) = &self.header;
        let length = self.body.len();
        let head = format!("HTTP/1.1 {} Answer\r\n{name}: {value}\r\nContent-Length: {length}\r\n", self.status);
        format!("{head}Cache-Control: no-store\r\nConnection: close\r\n\r\n{}", self.body).into_bytes()
    }
}

/// The first value counts.
fn parameters(encoded: &[u8]) -> Parameters {
    let mut found = Parameters::new();
    for (name, value) in form_urlencoded::parse(encoded) {
        found.entry(name.into_owned()).or_insert_with(|| value.into_owned());
    }
    found
}

impl OpenIdProvider {
    fn does(&self, misbehaviour: Misbehaviour) -> bool {
        *self.misbehaviour.borrow() == Some(misbehaviour)
    }

    /// OpenID Connect Discovery 1.0, 3.
    pub(super) fn discovery(&self) -> Answer {
        let at = |endpoint: Endpoint| format!("{}{}", self.issuer, endpoint.path());
        let issuer = if self.does(Misbehaviour::OtherIssuer) { "https://issuer.invalid" } else { &self.issuer };
        let pkce: &[&str] = if self.does(Misbehaviour::NoPkce) { &[] } else { &["S256"] };
        let basic = ["client_secret_basic", "client_secret_post"];
        let authentication = if self.does(Misbehaviour::SecretInBody) { &basic[1..] } else { &basic[..] };
        Answer::json(
            200,
            &json!({
                "issuer": issuer,
                "authorization_endpoint": at(Endpoint::Authorization),
                "token_endpoint": at(Endpoint::Token),
                "userinfo_endpoint": at(Endpoint::Userinfo),
                "jwks_uri": at(Endpoint::Keys),
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256", "ES256"],
                "scopes_supported": ["openid", "email", "profile", "offline_access"],
                "token_endpoint_auth_methods_supported": authentication,
                "code_challenge_methods_supported": pkce,
                "claims_parameter_supported": true,
                "authorization_response_iss_parameter_supported": true,
            }),
        )
    }

    /// RFC 6749, 4.1.1 and 4.1.2. The person is sent back only where the client is known to be.
    pub(super) fn authorize(&self, request: &Received) -> Answer {
        let query = request.path.split_once('?').map_or("", |(_, query)| query);
        let asked = parameters(query.as_bytes());
        let get = |name: &str| asked.get(name).map(String::as_str);
        let mut ledger = self.ledger();
        ledger.authorizations.push(asked.clone());
        if get("client_id") != Some(&self.client_id) {
            return Answer::refused(400, "invalid_client", "no such client");
        }
        let redirect_uri = get("redirect_uri").unwrap_or_default();
        if !ledger.redirect_uris.iter().any(|known| known == redirect_uri) {
            return Answer::refused(400, "invalid_request", "the redirect_uri is not registered");
        }
        let Ok(mut target) = Url::parse(redirect_uri) else {
            return Answer::refused(400, "invalid_request", "the redirect_uri is no address");
        };
        let scope = get("scope").unwrap_or_default();
        let challenge = get("code_challenge").map(str::to_owned);
        let refused = match &ledger.person {
            _ if get("response_type") != Some("code") => Some(("unsupported_response_type", "only `code` is supported")),
            _ if !scope.split(' ').any(|scope| scope == "openid") => Some(("invalid_scope", "`openid` is missing")),
            _ if challenge.is_some() != (get("code_challenge_method") == Some("S256")) => {
                Some(("invalid_request", "code_challenge and code_challenge_method=S256 go together"))
            }
            // RFC 7636, 4.2: 32 bytes in base64.
            _ if challenge.as_ref().is_some_and(|challenge| challenge.len() != 43) => {
                Some(("invalid_request", "the code_challenge is no SHA-256"))
            }
            Person::Nobody => return Answer::text(200, "Nobody is signed in at this provider."),
            Person::Denies => Some(("access_denied", "The person said no")),
            Person::Consents(_) => None,
        };
        let mut back = target.query_pairs_mut();
        if self.does(Misbehaviour::NoCode) {
        } else if let Some((error, description)) = refused {
            back.append_pair("error", error).append_pair("error_description", description);
        } else if let Person::Consents(claims) = &ledger.person {
            let grant = Grant {
                claims: claims.as_ref().clone(),
                redirect_uri: redirect_uri.to_owned(),
                scope: scope.to_owned(),
                nonce: get("nonce").map(str::to_owned),
                challenge,
                expires_at: self.clock.now() + CODE_LIFETIME,
            };
            let code = fresh("code");
            back.append_pair("code", &code);
            ledger.grants.insert(code, grant);
        }
        if let Some(state) = get("state") {
            back.append_pair("state", state);
        }
        if self.does(Misbehaviour::CallbackIssuer) {
            back.append_pair("iss", "https://issuer.invalid");
        } else if !self.does(Misbehaviour::NoCallbackIssuer) {
            back.append_pair("iss", &self.issuer);
        }
        drop(back);
        Answer::redirect(&target)
    }

    /// RFC 6749, 4.1.3; RFC 7636, 4.6; OpenID Connect Core 1.0, 3.1.3.
    pub(super) fn token(&self, request: &Received) -> Answer {
        let authorization = request.header("authorization").map(str::to_owned);
        let asked = TokenRequest { parameters: parameters(&request.body), authorization };
        let get = |name: &str| asked.parameters.get(name).map(String::as_str);
        let mut ledger = self.ledger();
        ledger.token_requests.push(asked.clone());
        let is_form = request.header("content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        if request.method != "POST" || !is_form {
            return Answer::refused(400, "invalid_request", "a form has to be posted");
        }
        if !self.authenticates(&asked) {
            return Answer::refused(401, "invalid_client", "the client is not who it says");
        }
        if get("grant_type") != Some("authorization_code") {
            return Answer::refused(400, "unsupported_grant_type", "only `authorization_code` is supported");
        }
        // Taken, whatever comes of it: a code that was tried is spent.
        let Some(grant) = ledger.grants.remove(get("code").unwrap_or_default()) else {
            return Answer::refused(400, "invalid_grant", "no such code, or it was used before");
        };
        if self.clock.now() >= grant.expires_at {
            return Answer::refused(400, "invalid_grant", "the code is too old");
        }
        if get("redirect_uri") != Some(&grant.redirect_uri) {
            return Answer::refused(400, "invalid_grant", "the redirect_uri is not that of the authorization");
        }
        let proven = get("code_verifier").map(|verifier| URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes())));
        if proven != grant.challenge {
            return Answer::refused(400, "invalid_grant", "the code_verifier does not belong to the code_challenge");
        }
        let access_token = fresh("access");
        let mut tokens = json!({
            "access_token": access_token,
            "refresh_token": fresh("refresh"),
            "token_type": "Bearer",
            "expires_in": 3600,
            "scope": grant.scope,
        });
        if !self.does(Misbehaviour::NoIdToken) {
            tokens["id_token"] = json!(self.id_token(&ledger, &grant.claims, grant.nonce.as_deref()));
        }
        ledger.access_tokens.insert(access_token, grant.claims);
        Answer::json(200, &tokens)
    }

    /// RFC 6749, 2.3.1: in the header or in the body, not both.
    fn authenticates(&self, asked: &TokenRequest) -> bool {
        let own = Some((self.client_id.clone(), self.client_secret.clone()));
        let body = asked.parameters.get("client_id").cloned().zip(asked.parameters.get("client_secret").cloned());
        let Some(header) = &asked.authorization else { return body == own };
        let basic = header.strip_prefix("Basic ").and_then(|text| STANDARD.decode(text).ok());
        let basic = basic.and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = basic.as_deref().and_then(|text| text.split_once(':'));
        let unescape =
            |text: &str| form_urlencoded::parse(format!("x={text}").as_bytes()).next().map(|(_, text)| text.into_owned());
        let header = pair.and_then(|(id, secret)| unescape(id).zip(unescape(secret)));
        body.is_none() && header == own && !self.does(Misbehaviour::SecretInBody)
    }

    /// OpenID Connect Core 1.0, 5.3.
    pub(super) fn userinfo(&self, request: &Received) -> Answer {
        let ledger = self.ledger();
        let token = request.header("authorization").and_then(|header| header.strip_prefix("Bearer "));
        let Some(claims) = token.and_then(|token| ledger.access_tokens.get(token)) else {
            return Answer::refused(401, "invalid_token", "no such access token");
        };
        let mut claims = claims.userinfo();
        if self.does(Misbehaviour::OtherSubject) {
            claims.insert("sub".to_owned(), json!("somebody else"));
        }
        Answer::json(200, &Value::Object(claims))
    }
}
