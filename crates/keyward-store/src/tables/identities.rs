//! The identity row and its addresses: every change of an account passes the guarded update here.
//! The writer of identities in `services` calls it; reading whole identities is `snapshots`.
//! Renders the public form stored beside the row, so that no writer can forget it.

use keyward_model::{
    AddressId, Factors, Identity, IdentityId, IdentitySnapshot, RecoveryAddress, VerifiableAddress, WIRE_VERSION, wire_json,
};

use super::{json, position};
use crate::sql::declare;
use crate::{Batch, Expect, Params, Refusal, Store, StoreError, params};

declare! { "identities";
    INSERT = "INSERT INTO identities (id, schema_id, state, state_changed_at, traits, metadata_public, metadata_admin, external_id, \
        organization_id, wire_json, wire_version, factors, updated_at, version, created_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
    UPDATE = "UPDATE identities SET schema_id = $1, state = $2, state_changed_at = $3, traits = $4, metadata_public = $5, \
        metadata_admin = $6, external_id = $7, organization_id = $8, wire_json = $9, wire_version = $10, factors = $11, \
        updated_at = $12, version = version + 1 WHERE id = $13 AND version = $14";
    USE_UP = "UPDATE identities SET factors = $1, version = version + 1 WHERE id = $2 AND version = $3";
    DELETE = "DELETE FROM identities WHERE id = $1";
    COUNT = "SELECT COUNT(*) FROM identities";
    PUT_VERIFIABLE = "INSERT INTO verifiable_addresses (id, identity_id, position, via, value, verified, status, verified_at, \
        created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
        ON CONFLICT (id) DO UPDATE SET position = excluded.position, via = excluded.via, value = excluded.value, \
        verified = excluded.verified, status = excluded.status, verified_at = excluded.verified_at, \
        updated_at = excluded.updated_at WHERE verifiable_addresses.identity_id = excluded.identity_id";
    DROP_VERIFIABLE = "DELETE FROM verifiable_addresses WHERE id = $1 AND identity_id = $2";
    PUT_RECOVERY = "INSERT INTO recovery_addresses (id, identity_id, position, via, value, created_at, updated_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7) \
        ON CONFLICT (id) DO UPDATE SET position = excluded.position, via = excluded.via, value = excluded.value, \
        updated_at = excluded.updated_at WHERE recovery_addresses.identity_id = excluded.identity_id";
    DROP_RECOVERY = "DELETE FROM recovery_addresses WHERE id = $1 AND identity_id = $2";
}

/// The columns that an insert and an update share, `schema_id` to `updated_at`.
fn columns(identity: &Identity, factors: &Factors) -> Params {
    params![
        &identity.schema_id,
        identity.state.as_str(),
        identity.state_changed_at,
        json(&identity.traits),
        identity.metadata_public.as_ref().map(json),
        identity.metadata_admin.as_ref().map(json),
        identity.external_id.as_ref(),
        identity.organization_id.as_ref(),
        wire_json(identity),
        WIRE_VERSION,
        json(factors),
        identity.updated_at,
    ]
}

impl Batch {
    /// Adds an identity row with its addresses; credentials come separately.
    pub fn insert_identity(&mut self, identity: &Identity, factors: &Factors, version: i64) {
        let mut values = params![identity.id];
        values.extend(columns(identity, factors));
        values.extend(params![version, identity.created_at]);
        self.push(&INSERT, values, Expect::Rows(1, Refusal::VersionConflict));
        self.put_addresses(identity);
    }

    /// Replaces the identity row and moves its version on by one, if it still is `read`. Addresses that `before` had and
    /// the identity no longer has are dropped; credentials come separately.
    ///
    /// Refused with [`Refusal::VersionConflict`] when the row changed or is gone.
    pub fn update_identity(&mut self, before: &IdentitySnapshot, identity: &Identity, factors: &Factors) {
        let mut values = columns(identity, factors);
        values.extend(params![identity.id, before.version]);
        self.push(&UPDATE, values, Expect::Rows(1, Refusal::VersionConflict));
        for old in &before.identity.verifiable_addresses {
            if identity.verifiable_addresses.iter().all(|new| new.id != old.id) {
                self.drop_verifiable_address(identity.id, old.id);
            }
        }
        for old in &before.identity.recovery_addresses {
            if identity.recovery_addresses.iter().all(|new| new.id != old.id) {
                self.drop_recovery_address(identity.id, old.id);
            }
        }
        self.put_addresses(identity);
    }

    fn put_addresses(&mut self, identity: &Identity) {
        for (place, address) in identity.verifiable_addresses.iter().enumerate() {
            self.put_verifiable_address(identity.id, place, address);
        }
        for (place, address) in identity.recovery_addresses.iter().enumerate() {
            self.put_recovery_address(identity.id, place, address);
        }
    }

    /// Brings the counts of what an identity can prove up to date after something that counts was used up at sign-in. Moves
    /// the row's version on, so that a change that was worked out on the old counts is worked out anew.
    ///
    /// Refused with [`Refusal::AlreadyUsed`] when the row changed since it was `read`.
    pub fn use_up_factors(&mut self, read: &IdentitySnapshot, factors: &Factors) {
        self.push(&USE_UP, params![json(factors), read.identity.id, read.version], Expect::Rows(1, Refusal::AlreadyUsed));
    }

    /// Removes an identity and all that belongs to it. Refused with [`Refusal::Gone`] when there is none.
    pub fn delete_identity(&mut self, id: IdentityId) {
        self.push(&DELETE, params![id], Expect::Rows(1, Refusal::Gone));
    }

    /// Adds or replaces one verifiable address; `place` is its rank in the list. Refused with [`Refusal::Gone`] when the id
    /// is another identity's.
    pub fn put_verifiable_address(&mut self, identity: IdentityId, place: usize, address: &VerifiableAddress) {
        let values = params![
            address.id,
            identity,
            position(place),
            address.via.as_str(),
            &address.value,
            address.verified,
            address.status.as_str(),
            address.verified_at,
            address.created_at,
            address.updated_at,
        ];
        self.push(&PUT_VERIFIABLE, values, Expect::Rows(1, Refusal::Gone));
    }

    /// Removes one verifiable address.
    pub fn drop_verifiable_address(&mut self, identity: IdentityId, address: AddressId) {
        self.push(&DROP_VERIFIABLE, params![address, identity], Expect::Any);
    }

    /// Adds or replaces one recovery address; `place` is its rank in the list. Refused with [`Refusal::Gone`] when the id is
    /// another identity's.
    pub fn put_recovery_address(&mut self, identity: IdentityId, place: usize, address: &RecoveryAddress) {
        let values = params![
            address.id,
            identity,
            position(place),
            address.via.as_str(),
            &address.value,
            address.created_at,
            address.updated_at,
        ];
        self.push(&PUT_RECOVERY, values, Expect::Rows(1, Refusal::Gone));
    }

    /// Removes one recovery address.
    pub fn drop_recovery_address(&mut self, identity: IdentityId, address: AddressId) {
        self.push(&DROP_RECOVERY, params![address, identity], Expect::Any);
    }
}

impl Store {
    /// How many identities there are.
    ///
    /// # Errors
    /// As [`Store::one`].
    pub async fn count_identities(&self) -> Result<i64, StoreError> {
        Ok(self.many::<i64>(&COUNT, params![]).await?.first().copied().unwrap_or(0))
    }
}
