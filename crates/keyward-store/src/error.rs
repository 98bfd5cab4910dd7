//! What the database can answer besides rows, in words that both engines share.
//! Every function of this crate returns it; stories turn refusals into conflicts and the rest into "try again later".
//! Never carries a value of a row or parameter: those may be personal data or secrets.

/// A failed read or commit. Unless it is [`StoreError::Unavailable`] with [`Outage::Unknown`], nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A guard of the batch did not hold.
    #[error("the change was refused: {0}")]
    Refused(Refusal),
    /// Another row already holds a value that must be unique.
    #[error("already taken: {0}")]
    Unique(UniqueConflict),
    /// The database cannot be used right now.
    #[error("the database is unavailable: {0}")]
    Unavailable(Outage),
    /// A stored value is not of the kind that the program expects.
    #[error("statement {statement}, column {column}: expected {expected}")]
    Corrupt {
        /// Registered name of the statement.
        statement: &'static str,
        /// Zero-based column.
        column: usize,
        /// What should have stood there.
        expected: &'static str,
    },
    /// The database does not accept a statement; a defect of this program.
    #[error("statement {statement} failed: {reason}")]
    Rejected {
        /// Registered name of the statement.
        statement: &'static str,
        /// Error code, and the message where it can only speak of the statement's text.
        reason: String,
    },
    /// The database address cannot be used. Never contains the address itself.
    #[error("{0}")]
    Dsn(String),
    /// The schema in the database does not fit this program.
    #[error("{0}")]
    Schema(String),
}

/// Which guard did not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The row changed since it was read: read again and derive again.
    #[error("the row changed in the meantime")]
    VersionConflict,
    /// A one-time secret, grant or container was used before.
    #[error("already used or expired")]
    AlreadyUsed,
    /// The row, or the row that it belongs to, no longer exists or no longer counts.
    #[error("the row is gone")]
    Gone,
}

/// Which unique value is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UniqueConflict {
    /// A sign-in identifier of the same credential type.
    #[error("a sign-in identifier")]
    Identifier,
    /// A key of an authenticator.
    #[error("a key")]
    Key,
    /// A verifiable address.
    #[error("a verifiable address")]
    VerifiableAddress,
    /// A recovery address.
    #[error("a recovery address")]
    RecoveryAddress,
    /// An identity's external id.
    #[error("an external id")]
    ExternalId,
    /// Anything else, such as a row id.
    #[error("another unique value")]
    Other,
}

impl UniqueConflict {
    /// Tells the conflict from the table and the columns, or the constraint's name, that the engine reports.
    pub(crate) fn of(table: &str, place: &str) -> Self {
        let over_value = place.contains("value");
        match table {
            "credential_identifiers" => Self::Identifier,
            "credential_keys" => Self::Key,
            "verifiable_addresses" if over_value => Self::VerifiableAddress,
            "recovery_addresses" if over_value => Self::RecoveryAddress,
            "identities" if place.contains("external_id") => Self::ExternalId,
            _ => Self::Other,
        }
    }
}

/// Why the database cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Outage {
    /// Another writer holds the database, or too many calls wait for it.
    #[error("it is busy")]
    Busy,
    /// No connection, or it broke. Nothing was written.
    #[error("no connection ({0})")]
    Unreachable(String),
    /// The connection broke while the commit was being confirmed: it may or may not have happened.
    #[error("the outcome of the last commit is unknown")]
    Unknown,
    /// The files or the disk fail.
    #[error("storage failure ({0})")]
    Storage(String),
}

impl StoreError {
    /// Shorthand for the commonest answer of the engines.
    pub(crate) const fn outage(outage: Outage) -> Self {
        Self::Unavailable(outage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conflicts_are_told_apart_by_the_words_of_both_engines() {
        for (table, place, expected) in [
            ("credential_identifiers", "credential_identifiers.type, credential_identifiers.value", UniqueConflict::Identifier),
            ("credential_identifiers", "credential_identifiers_type_value", UniqueConflict::Identifier),
            ("credential_keys", "credential_keys.key_id", UniqueConflict::Key),
            ("verifiable_addresses", "verifiable_addresses.via, verifiable_addresses.value", UniqueConflict::VerifiableAddress),
            ("verifiable_addresses", "verifiable_addresses.id", UniqueConflict::Other),
            ("verifiable_addresses", "verifiable_addresses_pkey", UniqueConflict::Other),
            ("recovery_addresses", "recovery_addresses_via_value", UniqueConflict::RecoveryAddress),
            ("identities", "identities.external_id", UniqueConflict::ExternalId),
            ("identities", "identities_pkey", UniqueConflict::Other),
        ] {
            assert_eq!(UniqueConflict::of(table, place), expected, "{place}");
        }
    }
}
