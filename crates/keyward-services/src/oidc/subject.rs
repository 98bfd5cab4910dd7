//! Who somebody is at a provider, with what the provider says about them.
//! The exchange makes one of tokens, the mapper and the links read it.
//! Knows nothing of accounts here.

use keyward_config::OidcProvider;
use keyward_model::Secret;
use serde_json::{Map, Value};

/// The longest subject, in characters (OpenID Connect Core 1.0, section 2).
pub(super) const LONGEST_SUBJECT: usize = 255;

/// The longest word for a level or a method that is taken over, in bytes, and the most methods.
const LONGEST_WORD: usize = 255;
const MOST_WORDS: usize = 16;

/// Somebody at a provider.
#[derive(Clone)]
pub struct Subject {
    /// What the provider calls them for ever; 1 to 255 characters.
    pub subject: String,
    /// The claims for the mapper: an object with `iss` and `sub` in it.
    pub claims: Value,
    /// The claim `acr` of the id token.
    pub acr: Option<String>,
    /// The claim `amr` of the id token.
    pub amr: Vec<String>,
    /// Whether the provider says, in a verified id token, that two factors were shown, in words that the operator listed.
    pub is_aal2: bool,
    /// What the provider gave beside.
    pub tokens: Tokens,
}

impl std::fmt::Debug for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subject").field("is_aal2", &self.is_aal2).finish_non_exhaustive()
    }
}

/// The tokens of one round trip.
#[derive(Debug, Clone, Default)]
pub struct Tokens {
    /// The id token.
    pub id: Option<Secret<String>>,
    /// The access token.
    pub access: Option<Secret<String>>,
    /// The refresh token.
    pub refresh: Option<Secret<String>>,
}

/// What is said to a missing subject.
pub(super) const NO_SUBJECT: &str = "it names nobody in 1 to 255 characters";

/// The claim `sub`, when it can be one.
pub(super) fn subject_of(claims: &Map<String, Value>) -> Option<&str> {
    let subject = claims.get("sub").and_then(Value::as_str)?;
    is_subject(subject).then_some(subject)
}

/// Whether a text can name somebody.
pub(super) fn is_subject(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= LONGEST_SUBJECT && !text.chars().any(char::is_control)
}

impl Subject {
    /// Somebody of whom a verified id token speaks.
    pub(super) fn of_id_token(
        settings: &OidcProvider,
        subject: String,
        id_token: &Map<String, Value>,
        claims: Map<String, Value>,
        tokens: Tokens,
    ) -> Self {
        let acr = id_token.get("acr").and_then(Value::as_str).map(str::to_owned);
        let amr: Vec<String> = match id_token.get("amr") {
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Some(Value::String(one)) => vec![one.clone()],
            _ => Vec::new(),
        };
        // What goes into a session is bounded; no provider has longer words or more of them.
        let acr = acr.filter(|acr| acr.len() <= LONGEST_WORD);
        let amr: Vec<String> = amr.into_iter().filter(|amr| amr.len() <= LONGEST_WORD).take(MOST_WORDS).collect();
        let is_aal2 = acr.as_ref().is_some_and(|acr| settings.aal2_acr_values.contains(acr))
            || amr.iter().any(|amr| settings.aal2_amr_values.contains(amr));
        Self { claims: for_mapper(&subject, claims), subject, acr, amr, is_aal2, tokens }
    }

    /// Somebody of whom only an endpoint speaks: nothing there proves a level.
    pub(super) fn of_profile(subject: String, claims: Map<String, Value>, tokens: Tokens) -> Self {
        Self { claims: for_mapper(&subject, claims), subject, acr: None, amr: Vec::new(), is_aal2: false, tokens }
    }

    /// Takes over the name that Apple sends once, in the form field `user` beside the first code: nothing signs it, so it may
    /// complete claims and not change them.
    pub fn add_name_from_form(&mut self, user: &str) {
        let Ok(user) = serde_json::from_str::<Value>(user) else { return };
        let Some(claims) = self.claims.as_object_mut() else { return };
        for (claim, part) in [("given_name", "firstName"), ("family_name", "lastName"), ("last_name", "lastName")] {
            if let Some(name) = user["name"][part].as_str().filter(|name| !name.is_empty() && name.len() <= 255) {
                claims.entry(claim).or_insert_with(|| name.into());
            }
        }
    }
}

/// Claims as mappers expect them: what says "verified" is true or false, `sub` is the subject that counts, and `raw_claims` has
/// everything as the provider wrote it.
fn for_mapper(subject: &str, mut claims: Map<String, Value>) -> Value {
    let raw = Value::Object(claims.clone());
    for (verified, what) in [("email_verified", "email"), ("phone_number_verified", "phone_number")] {
        if claims.contains_key(verified) || claims.contains_key(what) {
            let says_so = matches!(claims.get(verified), Some(Value::Bool(true)))
                || claims.get(verified).and_then(Value::as_str) == Some("true");
            claims.insert(verified.to_owned(), says_so.into());
        }
    }
    claims.insert("sub".to_owned(), subject.into());
    claims.insert("raw_claims".to_owned(), raw);
    Value::Object(claims)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn mapped(claims: Value) -> Value {
        for_mapper("s", claims.as_object().cloned().unwrap_or_default())
    }

    // cases: AC-76
    #[test]
    fn only_true_is_verified() {
        for (written, verified) in [
            (json!(true), true),
            (json!("true"), true),
            (json!(false), false),
            (json!("false"), false),
            (json!("True"), false),
            (json!("1"), false),
            (json!(1), false),
            (json!(null), false),
            (json!([true]), false),
        ] {
            let claims = mapped(json!({ "email": "a@example.org", "email_verified": written }));
            assert_eq!(claims["email_verified"], verified, "{written}");
            assert_eq!(claims["raw_claims"]["email_verified"], written);
        }
        assert_eq!(mapped(json!({ "email": "a@example.org" }))["email_verified"], false);
        assert_eq!(mapped(json!({})), json!({ "sub": "s", "raw_claims": {} }));
    }

    #[test]
    fn a_name_from_a_form_completes_and_changes_nothing() {
        let mut subject = Subject::of_profile("s".into(), Map::new(), Tokens::default());
        subject.claims["given_name"] = "Ada".into();
        subject.add_name_from_form("no json");
        subject.add_name_from_form(r#"{"name":{"firstName":"Eve","lastName":"Lovelace"},"email":"eve@example.org"}"#);
        assert_eq!((&subject.claims["given_name"], &subject.claims["family_name"]), (&json!("Ada"), &json!("Lovelace")));
        assert!(subject.claims.get("email").is_none());
    }
}
