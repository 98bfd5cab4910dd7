//! The operator's data mapper: claims of a provider become traits, metadata and verified addresses (contract: login 7.8).
//! [`super::Provider::map`] calls it with the snippet; stories judge the traits by the schema.
//! Knows the form of what a mapper gives, not what traits mean.

use keyward_jsonnet::{Job, Jsonnet, JsonnetError};
use keyward_model::Via;
use serde_json::{Map, Value};

use super::{OidcError, Subject};

/// What a mapper gave.
#[derive(Clone, PartialEq)]
pub struct Mapped {
    /// The traits: an object.
    pub traits: Value,
    /// The metadata that the person may see, when the mapper names any.
    pub metadata_public: Option<Value>,
    /// The metadata for operators, when the mapper names any.
    pub metadata_admin: Option<Value>,
    /// Addresses that count as verified where the account has them.
    pub verified_addresses: Vec<(Via, String)>,
}

impl std::fmt::Debug for Mapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mapped").finish_non_exhaustive()
    }
}

/// Evaluates the snippet with `std.extVar('claims')`.
pub(super) async fn map(provider: &str, jsonnet: &Jsonnet, snippet: &str, subject: &Subject) -> Result<Mapped, OidcError> {
    let job = Job {
        snippet: snippet.to_owned(),
        variables: vec![("claims".to_owned(), subject.claims.to_string())],
        arguments: Vec::new(),
    };
    let json = jsonnet.evaluate(&job).await.map_err(|error| {
        let outcome = if matches!(error, JsonnetError::Busy) { OidcError::Busy } else { OidcError::Mapper };
        match error {
            // What a snippet says of itself may hold what it was given.
            JsonnetError::Raised(_) | JsonnetError::Invalid(_) => {
                tracing::warn!(
                    provider,
                    "The data mapper of a provider ended with an error of its own; at level debug it is told, and may hold claims"
                );
                tracing::debug!(provider, %error, "What the data mapper of a provider said");
            }
            error => tracing::warn!(provider, %error, "The data mapper of a provider could not be evaluated"),
        }
        outcome
    })?;
    read(&json).map_err(|why| {
        tracing::warn!(provider, why, "The data mapper of a provider gave something that cannot be used");
        OidcError::Mapper
    })
}

/// Reads `{identity: {traits, metadata_public, metadata_admin, verified_addresses}}`.
fn read(json: &str) -> Result<Mapped, &'static str> {
    let value: Value = serde_json::from_str(json).map_err(|_| "it is not JSON")?;
    let Value::Object(mut value) = value else { return Err("it is no object") };
    let Some(Value::Object(mut identity)) = value.remove("identity") else { return Err("it has no object identity") };
    let some = |value: Option<Value>| value.filter(|value| !value.is_null());
    let traits = match some(identity.remove("traits")) {
        None => Value::Object(Map::new()),
        Some(traits @ Value::Object(_)) => traits,
        Some(_) => return Err("identity.traits is no object"),
    };
    let verified_addresses = match some(identity.remove("verified_addresses")) {
        None => Vec::new(),
        Some(Value::Array(items)) => items.iter().map(address).collect::<Result<_, _>>()?,
        Some(_) => return Err("identity.verified_addresses is no list"),
    };
    Ok(Mapped {
        traits,
        metadata_public: some(identity.remove("metadata_public")),
        metadata_admin: some(identity.remove("metadata_admin")),
        verified_addresses,
    })
}

fn address(item: &Value) -> Result<(Via, String), &'static str> {
    let via = item["via"].as_str().and_then(Via::parse).ok_or("via of a verified address is neither email nor sms")?;
    let value = item["value"].as_str().filter(|value| !value.is_empty()).ok_or("a verified address has no value")?;
    Ok((via, value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_mapper_gives_an_identity_or_nothing() {
        let whole = json!({ "identity": {
            "traits": { "email": "a@example.org" },
            "metadata_public": { "plan": 1 },
            "metadata_admin": null,
            "verified_addresses": [{ "via": "email", "value": "a@example.org" }, { "via": "sms", "value": "+15550100" }],
        } });
        let mapped = read(&whole.to_string()).unwrap();
        assert_eq!(mapped.traits, json!({ "email": "a@example.org" }));
        assert_eq!((mapped.metadata_public, mapped.metadata_admin), (Some(json!({ "plan": 1 })), None));
        let addresses = [(Via::Email, "a@example.org".to_owned()), (Via::Sms, "+15550100".to_owned())];
        assert_eq!(mapped.verified_addresses, addresses);
        assert_eq!(read(r#"{"identity":{}}"#).unwrap().traits, json!({}));
        for (json, why) in [
            ("[]", "no object"),
            ("nonsense", "not JSON"),
            ("{}", "identity"),
            (r#"{"identity":[]}"#, "identity"),
            (r#"{"identity":{"traits":"x"}}"#, "traits"),
            (r#"{"identity":{"verified_addresses":{}}}"#, "list"),
            (r#"{"identity":{"verified_addresses":[{"via":"fax","value":"1"}]}}"#, "via"),
            (r#"{"identity":{"verified_addresses":[{"via":"sms","value":1}]}}"#, "value"),
        ] {
            assert!(read(json).is_err_and(|said| said.contains(why)), "{json}");
        }
    }
}
