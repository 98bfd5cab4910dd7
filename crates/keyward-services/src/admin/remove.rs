//! Deleting an identity, or one of its credentials (contract: admin 8.7).
//! The admin port calls it.
//! An operator may take away a second factor, but not the last way to sign in.

use keyward_model::{CredentialType, IdentityId, IdentitySnapshot, Problem};
use keyward_store::{Batch, Refusal, StoreError};
use serde_json::{Value, json};

use super::{Refused, bad_request, change, not_found};
use crate::audit::{Client, Event, EventKind};
use crate::derive::{CredentialEdit, IdentityEdit};
use crate::{App, storage_problem};

/// Deletes an identity with its sessions, credentials and addresses.
///
/// # Errors
/// When there is none.
pub async fn delete_identity(app: &App, client: &Client, id: IdentityId) -> Result<(), Refused> {
    let mut batch = Batch::new();
    batch.delete_identity(id);
    Event::done(EventKind::IdentityDeleted).identity(id).detail("by", "admin").write(app, client, app.now(), &mut batch);
    match app.store.commit(batch).await {
        Ok(()) => Ok(()),
        Err(StoreError::Refused(Refusal::Gone)) => Err(Problem::NotFound { reason: None }.into()),
        Err(other) => Err(storage_problem(other).into()),
    }
}

/// Deletes a credential, or one link or key of it. `kind` is the wire's word, `identifier` names one link to a provider.
///
/// # Errors
/// 404 when the identity has no such credential, 400 when it cannot be deleted or would leave no way to sign in.
pub async fn delete_credential(
    app: &App,
    client: &Client,
    id: IdentityId,
    kind: &str,
    identifier: Option<&str>,
) -> Result<(), Refused> {
    change(app, client, id, |before| {
        let missing = || not_found("The identity has no credential of this type.");
        let kind = CredentialType::parse(kind).ok_or_else(missing)?;
        let credential = before.credential(kind).ok_or_else(missing)?;
        let config = &credential.config;
        if config.as_object().is_none_or(serde_json::Map::is_empty) {
            return Err(missing());
        }
        let mut credentials = match kind {
            CredentialType::Totp | CredentialType::LookupSecret => vec![CredentialEdit::Drop(kind)],
            CredentialType::Webauthn => vec![without_second_factor_keys(config)],
            CredentialType::Password => {
                keep_a_first_factor(app, before)?;
                // The writer keeps the identifiers beside an empty config.
                vec![CredentialEdit::Drop(kind)]
            }
            CredentialType::Oidc | CredentialType::Saml => {
                let identifier = identifier.ok_or_else(|| bad_request("The query parameter identifier is missing."))?;
                let rest = without_link(config, identifier).ok_or_else(|| not_found("The identity has no such link."))?;
                keep_a_first_factor(app, before)?;
                vec![rest.map_or(CredentialEdit::Drop(kind), |config| CredentialEdit::Put { kind, config, identifiers: None })]
            }
            CredentialType::Passkey | CredentialType::Code => {
                return Err(bad_request(format!("Credentials of the type {:?} cannot be deleted.", kind.as_str())));
            }
        };
        if leaves_only_companions(before, kind) {
            credentials.push(CredentialEdit::Drop(CredentialType::LookupSecret));
        }
        Ok(IdentityEdit { credentials, ..IdentityEdit::default() })
    })
    .await
    .map(drop)
}

/// Security keys that need a first factor go; keys that are one stay.
fn without_second_factor_keys(config: &Value) -> CredentialEdit {
    let kind = CredentialType::Webauthn;
    let keys = config["credentials"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rest: Vec<_> = keys.iter().filter(|key| key["is_passwordless"] == true).cloned().collect();
    if rest.is_empty() {
        return CredentialEdit::Drop(kind);
    }
    let mut config = config.clone();
    config["credentials"] = json!(rest);
    CredentialEdit::Put { kind, config, identifiers: None }
}

/// The config without a link; `Some(None)` when it was the only one, `None` when there is no such link.
fn without_link(config: &Value, identifier: &str) -> Option<Option<Value>> {
    let (provider, subject) = identifier.split_once(':')?;
    let links = config["providers"].as_array()?;
    let rest: Vec<_> = links.iter().filter(|link| link["provider"] != provider || link["subject"] != subject).cloned().collect();
    if rest.len() == links.len() {
        return None;
    }
    Some((!rest.is_empty()).then(|| {
        let mut config = config.clone();
        config["providers"] = json!(rest);
        config
    }))
}

fn keep_a_first_factor(app: &App, before: &IdentitySnapshot) -> Result<(), Refused> {
    if before.factors().first(app.code_use()) < 2 {
        return Err(bad_request("This is the only way in which the identity can sign in."));
    }
    Ok(())
}

/// Backup codes that came with an authenticator app go with the last factor that they stand in for (decisions 4).
fn leaves_only_companions(before: &IdentitySnapshot, removed: CredentialType) -> bool {
    let mut factors = before.factors();
    match removed {
        CredentialType::Totp => factors.totp = 0,
        CredentialType::Webauthn => factors.webauthn = 0,
        _ => return false,
    }
    factors.second() == 0 && before.factors().second() > 0 && factors.companion_codes > 0
}
