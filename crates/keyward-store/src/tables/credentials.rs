//! Credentials, the identifiers that find them at sign-in, and the keys that they hold.
//! The writer of identities puts and drops them beside its guarded update; login upkeep only touches a config.
//! Reading them is part of `snapshots`.

use keyward_model::{Credential, CredentialId, CredentialType, IdentityId, Time};
use serde_json::Value;

use super::{json, position};
use crate::sql::declare;
use crate::{Batch, Expect, Refusal, params};

declare! { "credentials";
    PUT = "INSERT INTO credentials (id, identity_id, type, config, version, created_at, updated_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7) \
        ON CONFLICT (id) DO UPDATE SET config = excluded.config, version = excluded.version, updated_at = excluded.updated_at \
        WHERE credentials.identity_id = excluded.identity_id AND credentials.type = excluded.type";
    DROP = "DELETE FROM credentials WHERE id = $1 AND identity_id = $2";
    CLEAR_IDENTIFIERS = "DELETE FROM credential_identifiers WHERE credential_id = $1 AND identity_id = $2";
    PUT_IDENTIFIER = "INSERT INTO credential_identifiers (type, value, identity_id, credential_id, position) \
        VALUES ($1, $2, $3, $4, $5)";
    CLEAR_KEYS = "DELETE FROM credential_keys WHERE credential_id = $1 AND identity_id = $2";
    /// A key that the same account holds in another credential, too, is known already.
    PUT_KEY = "INSERT INTO credential_keys (key_id, identity_id, credential_id) SELECT $1, c.identity_id, c.id FROM credentials c \
        WHERE c.identity_id = $2 AND c.id = $3 \
        AND NOT EXISTS (SELECT 1 FROM credential_keys o WHERE o.key_id = $1 AND o.identity_id = $2)";
    TOUCH = "UPDATE credentials SET config = $1, updated_at = $2 WHERE id = $3 AND config = $4";
}

impl Batch {
    /// Adds or replaces a credential with all its identifiers, and the ids of the keys that it holds. Belongs beside [`Batch::update_identity`], whose guard keeps
    /// two writers apart. A credential that replaces another of its type under a new id comes after that one's drop.
    ///
    /// [`crate::UniqueConflict::Identifier`] when another identity signs in with one of the identifiers, and
    /// [`crate::UniqueConflict::Key`] when a key is registered already.
    pub fn put_credential(&mut self, identity: IdentityId, credential: &Credential) {
        let kind = credential.kind.as_str();
        let values = params![
            credential.id,
            identity,
            kind,
            json(&credential.config),
            credential.version,
            credential.created_at,
            credential.updated_at,
        ];
        self.push(&PUT, values, Expect::Rows(1, Refusal::VersionConflict));
        self.push(&CLEAR_IDENTIFIERS, params![credential.id, identity], Expect::Any);
        for (place, identifier) in credential.identifiers.iter().enumerate() {
            let values = params![kind, identifier, identity, credential.id, position(place)];
            self.push(&PUT_IDENTIFIER, values, Expect::Any);
        }
        if matches!(credential.kind, CredentialType::Webauthn | CredentialType::Passkey) {
            self.push(&CLEAR_KEYS, params![credential.id, identity], Expect::Any);
            let keys = credential.config["credentials"].as_array().map(Vec::as_slice).unwrap_or_default();
            for key in keys.iter().filter_map(|key| key["id"].as_str()) {
                self.push(&PUT_KEY, params![key, identity, credential.id], Expect::Any);
            }
        }
    }

    /// Removes a credential with its identifiers. Refused with [`Refusal::VersionConflict`] when it is gone already.
    pub fn drop_credential(&mut self, identity: IdentityId, credential: CredentialId) {
        self.push(&DROP, params![credential, identity], Expect::Rows(1, Refusal::VersionConflict));
    }

    /// Uses something up at sign-in, such as a code of a set or a time step: replaces the config, if it still is what was
    /// read, and leaves the identity's version alone. Refused with [`Refusal::AlreadyUsed`] when somebody else was faster.
    pub fn consume_credential_config(&mut self, read: &Credential, config: &Value, now: Time) {
        let values = params![json(config), now, read.id, json(&read.config)];
        self.push(&TOUCH, values, Expect::Rows(1, Refusal::AlreadyUsed));
    }

    /// Upkeep at sign-in, such as a rehash or a sign count: replaces the config if it still is what was read, and leaves the
    /// identity's version alone. Changes nothing when somebody else was faster.
    pub fn touch_credential_config(&mut self, read: &Credential, config: &Value, now: Time) {
        self.push(&TOUCH, params![json(config), now, read.id, json(&read.config)], Expect::Any);
    }
}
