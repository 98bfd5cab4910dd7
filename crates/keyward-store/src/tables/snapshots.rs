//! Whole identities, read at one moment: row, addresses, credentials and identifiers come from a single statement.
//! Everything that edits, signs in or lists identities reads here.
//! One `UNION ALL` instead of five statements, because only a single statement is consistent on shared connections.

use std::collections::HashMap;

use futures_util::{StreamExt, TryStreamExt};
use keyward_model::{
    AddressId, AddressStatus, Credential, CredentialId, CredentialType, Identity, IdentityId, IdentitySnapshot, IdentityState,
    RecoveryAddress, Time, VerifiableAddress, Via,
};

use crate::sql::declare;
use crate::{FromRow, Row, Store, StoreError, params};

/// The parts of the identities whose ids `$chosen` selects. `CROSS JOIN` keeps SQLite from scanning the joined tables.
macro_rules! parts_of {
    ($chosen:literal) => {
        concat!(
            "WITH chosen (chosen_id) AS (",
            $chosen,
            ") SELECT 0 AS part, i.id AS owner, i.id AS id, i.schema_id AS a, i.state AS b, i.traits AS c, ",
            "i.metadata_public AS d, i.metadata_admin AS e, i.external_id AS f, i.organization_id AS g, FALSE AS flag, ",
            "i.version AS n, i.state_changed_at AS t, i.created_at AS created_at, i.updated_at AS updated_at ",
            "FROM chosen CROSS JOIN identities i WHERE i.id = chosen_id ",
            "UNION ALL SELECT 1, c.identity_id, c.id, c.type, c.config, NULL, NULL, NULL, NULL, NULL, FALSE, c.version, NULL, ",
            "c.created_at, c.updated_at FROM chosen CROSS JOIN credentials c WHERE c.identity_id = chosen_id ",
            "UNION ALL SELECT 2, n.identity_id, n.credential_id, n.value, NULL, NULL, NULL, NULL, NULL, NULL, FALSE, n.position, ",
            "NULL, NULL, NULL FROM chosen CROSS JOIN credential_identifiers n WHERE n.identity_id = chosen_id ",
            "UNION ALL SELECT 3, v.identity_id, v.id, v.via, v.value, v.status, NULL, NULL, NULL, NULL, v.verified, v.position, ",
            "v.verified_at, v.created_at, v.updated_at FROM chosen CROSS JOIN verifiable_addresses v ",
            "WHERE v.identity_id = chosen_id ",
            "UNION ALL SELECT 4, r.identity_id, r.id, r.via, r.value, NULL, NULL, NULL, NULL, NULL, FALSE, r.position, NULL, ",
            "r.created_at, r.updated_at FROM chosen CROSS JOIN recovery_addresses r WHERE r.identity_id = chosen_id",
        )
    };
}

declare! { "snapshots";
    BY_ID = parts_of!("SELECT id FROM identities WHERE id = $1");
    BY_EXTERNAL_ID = parts_of!("SELECT id FROM identities WHERE external_id = $1");
    BY_IDENTIFIER = parts_of!("SELECT identity_id FROM credential_identifiers WHERE type = $1 AND value = $2");
    BY_KEY = parts_of!("SELECT identity_id FROM credential_keys WHERE key_id = $1");
    BY_ANY_IDENTIFIER = parts_of!("SELECT DISTINCT identity_id FROM credential_identifiers WHERE value = $1");
    BY_VERIFIABLE_ADDRESS = parts_of!("SELECT identity_id FROM verifiable_addresses WHERE via = $1 AND value = $2");
    BY_RECOVERY_ADDRESS = parts_of!("SELECT identity_id FROM recovery_addresses WHERE via = $1 AND value = $2");
    /// Keyset: what follows a row in the order of creation.
    PAGE_AFTER = parts_of!("SELECT id FROM identities WHERE (created_at, id) > ($1, $2) ORDER BY created_at, id LIMIT $3");
    /// Keyset among those that have an identifier with this beginning. `substr` and not `LIKE` or a range: it means the same
    /// whatever the collation. It reads every identifier, which is what operators' searches may cost.
    PAGE_BY_PREFIX = parts_of!(
        "SELECT id FROM identities WHERE id IN (SELECT identity_id FROM credential_identifiers \
         WHERE substr(value, 1, length($1)) = $1) AND (created_at, id) > ($2, $3) ORDER BY created_at, id LIMIT $4"
    );
    PAGE_AT = parts_of!("SELECT id FROM identities ORDER BY created_at, id LIMIT $1 OFFSET $2");
}

/// Where a page of identities starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageStart {
    /// After so many rows; slow far into a long list, kept for old clients. Zero is the first page.
    Offset(u32),
    /// After the row with this time of creation and id.
    After(Time, IdentityId),
}

impl Store {
    /// An identity with everything that belongs to it.
    ///
    /// # Errors
    /// As [`Store::one`]; likewise for the other reads here.
    pub async fn find_identity(&self, id: IdentityId) -> Result<Option<IdentitySnapshot>, StoreError> {
        Ok(assemble(self.few(&BY_ID, params![id]).await?).pop())
    }

    /// The identity that signs in with a canonical identifier of this credential type.
    ///
    /// # Errors
    /// As [`Store::one`].
    pub async fn find_identity_by_identifier(
        &self,
        kind: CredentialType,
        identifier: &str,
    ) -> Result<Option<IdentitySnapshot>, StoreError> {
        Ok(assemble(self.few(&BY_IDENTIFIER, params![kind.as_str(), identifier]).await?).pop())
    }

    /// The identity that holds a key of an authenticator, by the key's id in standard base64.
    ///
    /// # Errors
    /// As [`Store::one`].
    pub async fn find_identity_by_key(&self, key_id: &str) -> Result<Option<IdentitySnapshot>, StoreError> {
        Ok(assemble(self.few(&BY_KEY, params![key_id]).await?).pop())
    }

    /// The identity with an operator's own key.
    ///
    /// # Errors
    /// As [`Store::one`].
    pub async fn find_identity_by_external_id(&self, external_id: &str) -> Result<Option<IdentitySnapshot>, StoreError> {
        Ok(assemble(self.few(&BY_EXTERNAL_ID, params![external_id]).await?).pop())
    }

    /// The identity that holds a canonical verifiable address.
    ///
    /// # Errors
    /// As [`Store::one`].
    pub async fn find_identity_by_verifiable_address(
        &self,
        via: Via,
        address: &str,
    ) -> Result<Option<IdentitySnapshot>, StoreError> {
        Ok(assemble(self.few(&BY_VERIFIABLE_ADDRESS, params![via.as_str(), address]).await?).pop())
    }

    /// The identity that a canonical address recovers.
    ///
    /// # Errors
    /// As [`Store::one`].
    pub async fn find_identity_by_recovery_address(
        &self,
        via: Via,
        address: &str,
    ) -> Result<Option<IdentitySnapshot>, StoreError> {
        Ok(assemble(self.few(&BY_RECOVERY_ADDRESS, params![via.as_str(), address]).await?).pop())
    }

    /// Every identity that signs in with this identifier, whatever the credential type, oldest first.
    ///
    /// # Errors
    /// As [`Store::one`].
    pub async fn find_identities_by_any_identifier(&self, identifier: &str) -> Result<Vec<IdentitySnapshot>, StoreError> {
        Ok(assemble(self.few(&BY_ANY_IDENTIFIER, params![identifier]).await?))
    }

    /// At most `limit` identities, oldest first.
    ///
    /// # Errors
    /// As [`Store::one`].
    pub async fn list_identities(&self, start: PageStart, limit: u32) -> Result<Vec<IdentitySnapshot>, StoreError> {
        let limit = i64::from(limit);
        Ok(assemble(match start {
            PageStart::Offset(offset) => self.many(&PAGE_AT, params![limit, i64::from(offset)]).await?,
            PageStart::After(created_at, id) => self.many(&PAGE_AFTER, params![created_at, id, limit]).await?,
        }))
    }

    /// At most `limit` identities that sign in with something that begins with `prefix`, oldest first, after the given place.
    ///
    /// # Errors
    /// As [`Store::one`].
    pub async fn list_identities_by_prefix(
        &self,
        prefix: &str,
        (created_at, id): (Time, IdentityId),
        limit: u32,
    ) -> Result<Vec<IdentitySnapshot>, StoreError> {
        Ok(assemble(self.many(&PAGE_BY_PREFIX, params![prefix, created_at, id, i64::from(limit)]).await?))
    }

    /// Those of the given identities that exist, oldest first. Each is read at its own moment.
    ///
    /// # Errors
    /// As [`Store::one`].
    pub async fn find_identities(&self, ids: &[IdentityId]) -> Result<Vec<IdentitySnapshot>, StoreError> {
        // Several at a time, so that a distant server costs few round trips.
        let reads = futures_util::stream::iter(ids.to_vec()).map(|id| self.find_identity(id)).buffered(16);
        let mut found: Vec<_> = reads.try_filter_map(|snapshot| async { Ok(snapshot) }).try_collect().await?;
        found.sort_by_key(|snapshot| (snapshot.identity.created_at, snapshot.identity.id));
        found.dedup_by_key(|snapshot| snapshot.identity.id);
        Ok(found)
    }
}

/// One row of the union.
struct Part {
    owner: IdentityId,
    content: Content,
}

enum Content {
    Identity(Box<IdentitySnapshot>),
    Credential(Credential),
    Identifier { credential: CredentialId, position: i64, value: String },
    Verifiable { position: i64, address: VerifiableAddress },
    Recovery { position: i64, address: RecoveryAddress },
}

impl FromRow for Part {
    fn from_row(row: &Row<'_>) -> Result<Self, StoreError> {
        let content = match row.get::<i64>(0)? {
            0 => Content::Identity(Box::new(IdentitySnapshot {
                identity: Identity {
                    id: row.get(2)?,
                    schema_id: row.get(3)?,
                    state: row.word(4, IdentityState::parse)?,
                    traits: row.json(5)?,
                    metadata_public: row.optional_json(6)?,
                    metadata_admin: row.optional_json(7)?,
                    external_id: row.get(8)?,
                    organization_id: row.get(9)?,
                    state_changed_at: row.get(12)?,
                    created_at: row.get(13)?,
                    updated_at: row.get(14)?,
                    verifiable_addresses: Vec::new(),
                    recovery_addresses: Vec::new(),
                },
                credentials: Vec::new(),
                version: row.get(11)?,
            })),
            1 => Content::Credential(Credential {
                id: row.get(2)?,
                kind: row.word(3, CredentialType::parse)?,
                identifiers: Vec::new(),
                config: row.json(4)?,
                version: row.get(11)?,
                created_at: row.get(13)?,
                updated_at: row.get(14)?,
            }),
            2 => Content::Identifier { credential: row.get(2)?, position: row.get(11)?, value: row.get(3)? },
            3 => Content::Verifiable {
                position: row.get(11)?,
                address: VerifiableAddress {
                    id: row.get::<AddressId>(2)?,
                    value: row.get(4)?,
                    verified: row.get(10)?,
                    via: row.word(3, Via::parse)?,
                    status: row.word(5, AddressStatus::parse)?,
                    verified_at: row.get(12)?,
                    created_at: row.get(13)?,
                    updated_at: row.get(14)?,
                },
            },
            4 => Content::Recovery {
                position: row.get(11)?,
                address: RecoveryAddress {
                    id: row.get::<AddressId>(2)?,
                    value: row.get(4)?,
                    via: row.word(3, Via::parse)?,
                    created_at: row.get(13)?,
                    updated_at: row.get(14)?,
                },
            },
            _ => return Err(row.corrupt(0, "a known part")),
        };
        Ok(Self { owner: row.get(1)?, content })
    }
}

/// The parts of one identity while they are put together.
#[derive(Default)]
struct Assembly {
    snapshot: Option<Box<IdentitySnapshot>>,
    credentials: Vec<Credential>,
    identifiers: Vec<(CredentialId, i64, String)>,
    verifiable: Vec<(i64, VerifiableAddress)>,
    recovery: Vec<(i64, RecoveryAddress)>,
}

impl Assembly {
    fn finish(mut self) -> Option<IdentitySnapshot> {
        let mut snapshot = *self.snapshot?;
        self.identifiers.sort_by_key(|(_, position, _)| *position);
        for (credential, _, value) in self.identifiers {
            if let Some(credential) = self.credentials.iter_mut().find(|one| one.id == credential) {
                credential.identifiers.push(value);
            }
        }
        self.credentials.sort_by_key(|credential| credential.kind);
        self.verifiable.sort_by_key(|(position, address)| (*position, address.id));
        self.recovery.sort_by_key(|(position, address)| (*position, address.id));
        snapshot.credentials = self.credentials;
        snapshot.identity.verifiable_addresses = self.verifiable.into_iter().map(|(_, address)| address).collect();
        snapshot.identity.recovery_addresses = self.recovery.into_iter().map(|(_, address)| address).collect();
        Some(snapshot)
    }
}

fn assemble(parts: Vec<Part>) -> Vec<IdentitySnapshot> {
    let mut assemblies: HashMap<IdentityId, Assembly> = HashMap::new();
    for Part { owner, content } in parts {
        let assembly = assemblies.entry(owner).or_default();
        match content {
            Content::Identity(snapshot) => assembly.snapshot = Some(snapshot),
            Content::Credential(credential) => assembly.credentials.push(credential),
            Content::Identifier { credential, position, value } => assembly.identifiers.push((credential, position, value)),
            Content::Verifiable { position, address } => assembly.verifiable.push((position, address)),
            Content::Recovery { position, address } => assembly.recovery.push((position, address)),
        }
    }
    let mut snapshots: Vec<_> = assemblies.into_values().filter_map(Assembly::finish).collect();
    snapshots.sort_by_key(|snapshot| (snapshot.identity.created_at, snapshot.identity.id));
    snapshots
}
