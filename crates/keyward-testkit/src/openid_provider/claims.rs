//! What an OpenID provider says of a person, and the id token it makes of that.
//! Tests write the claims; the provider signs them.
//! Any claim can be replaced, so nothing here is checked.

use keyward_model::{Span, Time};
use serde_json::{Map, Value, json};

use super::misbehaviour::IdTokenFault;

/// How long an id token holds.
const LIFETIME: Span = Span::minutes(10);

/// What the provider says of a person.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claims {
    /// `sub`.
    pub sub: String,
    /// `email`.
    pub email: Option<String>,
    /// `email_verified`.
    pub email_verified: Option<bool>,
    /// `given_name` and `family_name`; `name` is both.
    pub name: Option<(String, String)>,
    /// `acr`.
    pub acr: Option<String>,
    /// `amr`; left out when empty.
    pub amr: Vec<String>,
    /// Other claims. They replace those of the same name, also those of the protocol, such as `aud`.
    pub extra: Map<String, Value>,
}

impl Claims {
    /// Somebody of whom nothing else is said.
    pub fn new(sub: &str) -> Self {
        Self { sub: sub.to_owned(), ..Self::default() }
    }

    /// With an address that the provider has verified.
    #[must_use]
    pub fn verified(self, email: &str) -> Self {
        Self { email: Some(email.to_owned()), email_verified: Some(true), ..self }
    }

    /// With an address that the provider has not verified.
    #[must_use]
    pub fn unverified(self, email: &str) -> Self {
        Self { email: Some(email.to_owned()), email_verified: Some(false), ..self }
    }

    /// With a name.
    #[must_use]
    pub fn named(self, given: &str, family: &str) -> Self {
        Self { name: Some((given.to_owned(), family.to_owned())), ..self }
    }

    /// With how the person signed in at the provider.
    #[must_use]
    pub fn signed_in_by(self, acr: Option<&str>, amr: &[&str]) -> Self {
        let amr = amr.iter().map(|method| (*method).to_owned()).collect();
        Self { acr: acr.map(str::to_owned), amr, ..self }
    }

    /// With another claim.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(name.to_owned(), value.into());
        self
    }

    /// Without what is about the sign-in, as the userinfo endpoint tells it.
    pub(super) fn userinfo(&self) -> Map<String, Value> {
        let mut claims = Map::new();
        let mut put = |name: &str, value: Value| {
            if !value.is_null() {
                claims.insert(name.to_owned(), value);
            }
        };
        put("sub", json!(self.sub));
        put("email", json!(self.email));
        put("email_verified", json!(self.email_verified));
        if let Some((given, family)) = &self.name {
            put("name", json!(format!("{given} {family}")));
            put("given_name", json!(given));
            put("family_name", json!(family));
        }
        claims.extend(self.extra.clone());
        claims
    }

    /// The payload of an id token.
    pub(super) fn id_token(
        &self,
        issuer: &str,
        client_id: &str,
        nonce: Option<&str>,
        now: Time,
        fault: Option<IdTokenFault>,
    ) -> Map<String, Value> {
        let issued = match fault {
            Some(IdTokenFault::Expired) => now - Span::hours(1) - LIFETIME,
            Some(IdTokenFault::NotYet) => now + Span::hours(1),
            _ => now,
        };
        let mut claims = Map::new();
        claims.insert("iss".to_owned(), json!(issuer));
        claims.insert("aud".to_owned(), json!(client_id));
        claims.insert("iat".to_owned(), json!(issued.unix()));
        claims.insert("auth_time".to_owned(), json!(issued.unix()));
        claims.insert("exp".to_owned(), json!((issued + LIFETIME).unix()));
        if let Some(nonce) = nonce {
            claims.insert("nonce".to_owned(), json!(nonce));
        }
        if let Some(acr) = &self.acr {
            claims.insert("acr".to_owned(), json!(acr));
        }
        if !self.amr.is_empty() {
            claims.insert("amr".to_owned(), json!(self.amr));
        }
        claims.extend(self.userinfo());
        match fault {
            Some(IdTokenFault::WrongNonce) => drop(claims.insert("nonce".to_owned(), json!("another nonce"))),
            Some(IdTokenFault::NoNonce) => drop(claims.shift_remove("nonce")),
            Some(IdTokenFault::NoSubject) => drop(claims.shift_remove("sub")),
            Some(IdTokenFault::WrongIssuer) => drop(claims.insert("iss".to_owned(), json!("https://issuer.invalid"))),
            Some(IdTokenFault::WrongAudience) => drop(claims.insert("aud".to_owned(), json!("another client"))),
            Some(IdTokenFault::WrongParty) => {
                claims.insert("aud".to_owned(), json!([client_id, "another client"]));
                claims.insert("azp".to_owned(), json!("another client"));
            }
            Some(IdTokenFault::NotYet) => drop(claims.insert("nbf".to_owned(), json!(issued.unix()))),
            _ => {}
        }
        claims
    }
}
