//! What a provider says about itself (OpenID Connect Discovery 1.0, RFC 8414): endpoints, keys, and what it can do.
//! Every request to a provider that speaks OpenID Connect begins here.
//! Believes a document only when it names the issuer that was asked for.

use std::sync::Arc;

use keyward_model::{Span, Time};
use serde::Deserialize;
use url::Url;

use super::OidcError;
use super::cached::Cached;
use crate::outbound::{Outbound, OutboundRequest};

/// How long a person waits for a document.
pub(super) const PATIENCE: Span = Span::seconds(5);

/// In issuers of Microsoft: stands for the tenant that a token names.
pub(super) const ANY_TENANT: &str = "{tenantid}";

/// A provider's metadata.
#[derive(Debug)]
pub(super) struct Metadata {
    pub(super) issuer: String,
    pub(super) authorization_endpoint: Url,
    pub(super) token_endpoint: Url,
    pub(super) userinfo_endpoint: Option<Url>,
    pub(super) jwks_uri: Url,
    /// `code_challenge_methods_supported` names S256.
    pub(super) takes_proof_keys: bool,
    /// `token_endpoint_auth_methods_supported`; where nothing is said it should be basic (RFC 8414, section 2), and often is not.
    pub(super) takes_basic: bool,
    pub(super) takes_post: bool,
    /// `authorization_response_iss_parameter_supported` (RFC 9207, section 3).
    pub(super) names_itself: bool,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    userinfo_endpoint: Option<Url>,
    jwks_uri: Url,
    #[serde(default)]
    code_challenge_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: Option<bool>,
}

/// Where a provider's metadata are found.
#[derive(Debug)]
pub(super) struct Discovery {
    issuer: String,
    loose_slash: bool,
    microsoft: bool,
    kept: Cached<Metadata>,
}

impl Discovery {
    /// `loose_slash`: a slash at the end of the issuer does not count. `microsoft`: the issuer may be that of any tenant there.
    pub(super) fn new(issuer: String, loose_slash: bool, microsoft: bool) -> Self {
        Self { issuer, loose_slash, microsoft, kept: Cached::default() }
    }

    /// The issuer that is asked.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The metadata, from not long ago.
    pub(super) async fn get(&self, outbound: &Outbound, now: Time) -> Result<Arc<Metadata>, OidcError> {
        self.kept.get(now, || self.fetch(outbound)).await
    }

    async fn fetch(&self, outbound: &Outbound) -> Result<Metadata, OidcError> {
        let address = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let url = Url::parse(&address).map_err(|_| OidcError::Unusable("its issuer is no address"))?;
        let secure = url.scheme() == "https";
        let request = OutboundRequest { budget: PATIENCE, ..OutboundRequest::get(url) };
        let answer = outbound.send(request).await?;
        if answer.status != 200 {
            return Err(OidcError::Status { what: "its metadata", status: answer.status });
        }
        self.read(&answer.body, secure)
    }

    fn read(&self, body: &[u8], secure: bool) -> Result<Metadata, OidcError> {
        let document: Document =
            serde_json::from_slice(body).map_err(|_| OidcError::Unusable("its metadata are not those of an OpenID provider"))?;
        if !self.is_issuer(&document.issuer) {
            return Err(OidcError::Unusable("its metadata name another issuer than issuer_url"));
        }
        let endpoints = [&document.authorization_endpoint, &document.token_endpoint, &document.jwks_uri];
        let web = |url: &Url| url.scheme() == "https" || (url.scheme() == "http" && !secure);
        if !endpoints.into_iter().chain(&document.userinfo_endpoint).all(web) {
            return Err(OidcError::Unusable("its metadata name addresses that are not secure"));
        }
        let methods = document.token_endpoint_auth_methods_supported;
        let takes = |method: &str| methods.as_ref().is_some_and(|methods| methods.iter().any(|one| one == method));
        let proofs = document.code_challenge_methods_supported.unwrap_or_default();
        Ok(Metadata {
            takes_basic: methods.is_none() || takes("client_secret_basic"),
            takes_post: methods.is_none() || takes("client_secret_post"),
            takes_proof_keys: proofs.iter().any(|method| method == "S256"),
            names_itself: document.authorization_response_iss_parameter_supported.unwrap_or_default(),
            issuer: document.issuer,
            authorization_endpoint: document.authorization_endpoint,
            token_endpoint: document.token_endpoint,
            userinfo_endpoint: document.userinfo_endpoint,
            jwks_uri: document.jwks_uri,
        })
    }

    /// Whether the document speaks of the issuer that was asked for (OpenID Connect Discovery 1.0, section 4.3).
    fn is_issuer(&self, found: &str) -> bool {
        if self.microsoft {
            // The document of a domain or of `common` names a tenant's id, or none at all.
            let tenant = found.strip_prefix("https://login.microsoftonline.com/").and_then(|rest| rest.strip_suffix("/v2.0"));
            return tenant.is_some_and(|tenant| tenant == ANY_TENANT || is_tenant(tenant));
        }
        if self.loose_slash {
            return found.trim_end_matches('/') == self.issuer.trim_end_matches('/');
        }
        found == self.issuer
    }
}

/// Whether a text is the id of a tenant: a UUID in its usual form.
pub(super) fn is_tenant(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::parse_str(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn document(patch: &[(&str, Value)]) -> Vec<u8> {
        let mut document = json!({
            "issuer": "https://op.example.org",
            "authorization_endpoint": "https://op.example.org/auth",
            "token_endpoint": "https://op.example.org/token",
            "jwks_uri": "https://keys.example.org/jwks",
        });
        for (name, value) in patch {
            document[*name] = value.clone();
        }
        document.to_string().into_bytes()
    }

    fn read(issuer: &str, loose: bool, microsoft: bool, patch: &[(&str, Value)]) -> Result<Metadata, OidcError> {
        Discovery::new(issuer.to_owned(), loose, microsoft).read(&document(patch), true)
    }

    #[test]
    fn metadata_speak_of_the_issuer_that_was_asked_for() {
        let issuer = |text: &str| [("issuer", json!(text))];
        let home = "https://op.example.org";
        assert!(read(home, false, false, &[]).is_ok());
        for other in ["https://op.example.org/", "https://OP.example.org", "https://evil.example.org", ""] {
            assert!(read(home, false, false, &issuer(other)).is_err(), "{other}");
        }
        assert!(read(home, true, false, &issuer("https://op.example.org/")).is_ok());
        assert!(read(home, true, false, &issuer("https://op.example.org/x")).is_err());
        let tenant = "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0";
        for (found, fits) in [
            (tenant, true),
            ("https://login.microsoftonline.com/{tenantid}/v2.0", true),
            ("https://login.microsoftonline.com/common/v2.0", false),
            ("https://login.microsoftonline.com.evil.org/{tenantid}/v2.0", false),
            ("https://sts.windows.net/{tenantid}/", false),
        ] {
            let read = read("https://login.microsoftonline.com/common/v2.0", false, true, &issuer(found));
            assert_eq!(read.is_ok(), fits, "{found}");
        }
    }

    #[test]
    fn metadata_say_what_a_provider_can_do() {
        let home = "https://op.example.org";
        let plain = read(home, false, false, &[]).unwrap();
        assert!(plain.takes_basic && plain.takes_post && !plain.takes_proof_keys && !plain.names_itself);
        let rich = [
            ("code_challenge_methods_supported", json!(["plain", "S256"])),
            ("token_endpoint_auth_methods_supported", json!(["client_secret_post"])),
            ("authorization_response_iss_parameter_supported", json!(true)),
        ];
        let rich = read(home, false, false, &rich).unwrap();
        assert!(!rich.takes_basic && rich.takes_post && rich.takes_proof_keys && rich.names_itself);
        for (name, value) in [
            ("token_endpoint", json!("http://op.example.org/token")),
            ("userinfo_endpoint", json!("http://op.example.org/me")),
            ("jwks_uri", json!("file:///etc/passwd")),
            ("jwks_uri", json!(5)),
        ] {
            assert!(read(home, false, false, &[(name, value)]).is_err(), "{name}");
        }
    }
}
