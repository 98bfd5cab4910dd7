//! Addresses that receive sign-in codes, and what they are worth as a second factor.
//! The method `code` offers them, and everybody who asks for an identity's level asks here.
//! Knows nothing of codes or messages; which address a session was opened with stands in its proofs.

use keyward_model::{Aal, AuthMethod, CredentialType, Factors, IdentitySnapshot, Proof, Via, mailbox};
use serde::{Deserialize, Serialize};

use crate::App;

/// An address and how it is reached.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailbox {
    /// How.
    #[serde(rename = "channel")]
    pub via: Via,
    /// The canonical address.
    pub address: String,
}

impl std::fmt::Debug for Mailbox {
    // Addresses are personal data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mailbox({})", self.via.as_str())
    }
}

/// The addresses of the `code` credential; where the configuration allows it, those that can be verified for identities without one.
pub fn of(app: &App, identity: &IdentitySnapshot) -> Vec<Mailbox> {
    let own = of_credential(identity);
    if !own.is_empty() || !app.config.selfservice.methods.code.missing_credential_fallback_enabled {
        return own;
    }
    let addresses = identity.identity.verifiable_addresses.iter();
    addresses.map(|row| Mailbox { via: row.via, address: row.value.clone() }).collect()
}

fn of_credential(identity: &IdentitySnapshot) -> Vec<Mailbox> {
    let row = identity.credential(CredentialType::Code);
    row.and_then(|row| serde_json::from_value(row.config["addresses"].clone()).ok()).unwrap_or_default()
}

/// The addresses that can be the second factor of a session with these proofs: none that its first factor went through.
pub fn second(app: &App, identity: &IdentitySnapshot, proofs: &[AuthMethod]) -> Vec<Mailbox> {
    without_first(of(app, identity), identity, proofs)
}

/// The highest level that an identity can reach in a session with these proofs, under the configuration in force.
pub fn available(app: &App, identity: &IdentitySnapshot, proofs: &[AuthMethod]) -> Aal {
    let mut factors: Factors = app.usable(identity.factors());
    if app.code_use().mfa && factors.code > 0 {
        let second = without_first(of_credential(identity), identity, proofs);
        factors.code = u32::try_from(second.len()).unwrap_or(u32::MAX);
    }
    factors.available(app.code_use())
}

fn without_first(mut mailboxes: Vec<Mailbox>, identity: &IdentitySnapshot, proofs: &[AuthMethod]) -> Vec<Mailbox> {
    let first: Vec<_> = proofs.iter().filter(|proof| proof.aal == Aal::Aal1).collect();
    // Whoever also showed something else has two factors with any mailbox.
    if first.iter().any(|proof| !proof.is_mailed()) {
        return mailboxes;
    }
    for proof in first {
        match (&proof.mailbox, proof.method) {
            (Some(used), _) => mailboxes.retain(|one| mailbox(one.via, &one.address) != *used),
            // Which one it was is not known any more: it may have been each of these.
            (None, Proof::Code) => mailboxes.clear(),
            (None, _) => {
                let rows = &identity.identity.recovery_addresses;
                mailboxes.retain(|one| !rows.iter().any(|row| row.via == one.via && row.value == one.address));
            }
        }
    }
    mailboxes
}
