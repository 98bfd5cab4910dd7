//! Turns the operator's secrets into one independent key per use, so that a value made for one purpose never opens another.
//! Built once at start; sealing, tokens and the CSRF check draw their keys from it.
//! Does not know where secrets come from, and never shows one.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use keyward_model::Secret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The operator's secrets as configured; in each list the newest stands first.
#[derive(Debug, Clone, Default)]
pub struct KeyMaterial {
    /// `secrets.default`: signs what has no list of its own.
    pub default: Vec<Secret<String>>,
    /// `secrets.cookie`: seals cookies.
    pub cookie: Vec<Secret<String>>,
    /// `secrets.cipher`: seals columns of the database.
    pub cipher: Vec<Secret<String>>,
}

/// What a key is for. Each use has a label of its own in the key derivation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyUse {
    /// Masked form tokens.
    Csrf,
    /// The session cookie.
    SessionCookie,
    /// The cookie that finds a paused payload again.
    ContinuityCookie,
    /// The cookie of a browser that once signed in as an identity.
    Device,
    /// What a flow remembers between requests.
    FlowMemory,
    /// Payloads paused for a re-login.
    ContinuityPayload,
    /// Factor secrets and provider tokens in credential rows.
    Credential,
    /// Traits that wait until their new address is confirmed.
    PendingTraits,
    /// Bodies of outgoing mail and text messages.
    CourierBody,
    /// Codes sent by mail or text message.
    MailedCode,
    /// Identifiers that attempts are counted under, known or not.
    AttemptSubject,
    /// Logout tokens.
    LogoutToken,
    /// Page tokens of lists.
    Pagination,
    /// The state parameter of a provider round trip.
    ProviderState,
    /// Ids of keys that nobody has, shown where an account would be told by its keys.
    DecoyKey,
}

const USES: [KeyUse; 15] = [
    KeyUse::Csrf,
    KeyUse::SessionCookie,
    KeyUse::ContinuityCookie,
    KeyUse::Device,
    KeyUse::FlowMemory,
    KeyUse::ContinuityPayload,
    KeyUse::Credential,
    KeyUse::PendingTraits,
    KeyUse::CourierBody,
    KeyUse::MailedCode,
    KeyUse::AttemptSubject,
    KeyUse::LogoutToken,
    KeyUse::Pagination,
    KeyUse::ProviderState,
    KeyUse::DecoyKey,
];

impl KeyUse {
    /// Part of everything ever sealed or signed: a changed label makes all earlier values unreadable.
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Csrf => b"csrf",
            Self::SessionCookie => b"session-cookie",
            Self::ContinuityCookie => b"continuity-cookie",
            Self::Device => b"device",
            Self::FlowMemory => b"flow-memory",
            Self::ContinuityPayload => b"continuity-payload",
            Self::Credential => b"credential",
            Self::PendingTraits => b"pending-traits",
            Self::CourierBody => b"courier-body",
            Self::MailedCode => b"mailed-code",
            Self::AttemptSubject => b"attempt-subject",
            Self::LogoutToken => b"logout-token",
            Self::Pagination => b"pagination",
            Self::ProviderState => b"provider-state",
            Self::DecoyKey => b"decoy-key",
        }
    }

    const fn list(self) -> List {
        match self {
            Self::SessionCookie | Self::ContinuityCookie | Self::Device => List::Cookie,
            Self::FlowMemory | Self::ContinuityPayload | Self::Credential | Self::PendingTraits | Self::CourierBody => {
                List::Cipher
            }
            Self::Csrf
            | Self::MailedCode
            | Self::AttemptSubject
            | Self::LogoutToken
            | Self::Pagination
            | Self::ProviderState
            | Self::DecoyKey => List::Default,
        }
    }
}

/// Names a key inside sealed values without telling anything about it.
pub type KeyId = [u8; 4];

/// Why no keyring could be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// All three lists are empty.
    #[error("no secret is configured: set one of secrets.default, secrets.cookie or secrets.cipher")]
    NoSecret,
    /// A secret has fewer than [`SHORTEST_SECRET`] bytes.
    #[error("secrets.{list}[{index}] has fewer than 16 bytes")]
    TooShort {
        /// The list: `default`, `cookie` or `cipher`.
        list: &'static str,
        /// Position in that list, from 0.
        index: usize,
    },
}

/// The fewest bytes a secret may have.
pub const SHORTEST_SECRET: usize = 16;

/// All keys of this server. For each use the first key seals and signs, all keys open and verify.
///
/// A use prefers its own list. The other lists follow behind it, so that values made before an operator gave a use
/// its own list stay readable.
pub struct Keyring {
    keys: Vec<Vec<Key>>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").finish_non_exhaustive()
    }
}

impl Keyring {
    /// Derives every key (HKDF-SHA-256, RFC 5869). Costs microseconds.
    ///
    /// # Errors
    /// When there is no secret at all, or one is shorter than [`SHORTEST_SECRET`] bytes.
    pub fn new(material: &KeyMaterial) -> Result<Self, KeyError> {
        let lists = [("default", &material.default), ("cookie", &material.cookie), ("cipher", &material.cipher)];
        for (list, secrets) in lists {
            if let Some(index) = secrets.iter().position(|secret| secret.reveal().len() < SHORTEST_SECRET) {
                return Err(KeyError::TooShort { list, index });
            }
        }
        if lists.iter().all(|(_, secrets)| secrets.is_empty()) {
            return Err(KeyError::NoSecret);
        }
        let keys = USES.iter().map(|purpose| derive_all(material, *purpose)).collect();
        Ok(Self { keys })
    }

    /// HMAC-SHA-256 of the concatenated `parts` under the current key. Parts must have fixed lengths or be delimited.
    pub fn sign(&self, purpose: KeyUse, parts: &[&[u8]]) -> [u8; 32] {
        self.current(purpose).sign(parts)
    }

    /// HMAC-SHA-256 of the concatenated `parts` under every accepted key, the current one first.
    pub fn sign_with_all(&self, purpose: KeyUse, parts: &[&[u8]]) -> Vec<[u8; 32]> {
        self.all(purpose).iter().map(|key| key.sign(parts)).collect()
    }

    /// Whether `mac` is the HMAC of `parts` under any accepted key; takes the same time whichever key it is.
    pub fn verify(&self, purpose: KeyUse, parts: &[&[u8]], mac: &[u8]) -> bool {
        let mut found = subtle::Choice::from(0);
        for key in self.all(purpose) {
            found |= key.sign(parts).ct_eq(mac);
        }
        found.into()
    }

    pub(crate) fn current(&self, purpose: KeyUse) -> &Key {
        // A keyring has at least one secret, hence at least one key for every use.
        &self.keys[purpose as usize][0]
    }

    pub(crate) fn all(&self, purpose: KeyUse) -> &[Key] {
        &self.keys[purpose as usize]
    }
}

/// One derived key with its name.
pub(crate) struct Key {
    pub(crate) id: KeyId,
    bytes: Secret<[u8; 32]>,
}

impl Key {
    pub(crate) const fn bytes(&self) -> &[u8; 32] {
        self.bytes.reveal()
    }

    fn sign(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.bytes()).expect("HMAC takes keys of every length");
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    Default,
    Cookie,
    Cipher,
}

fn derive_all(material: &KeyMaterial, purpose: KeyUse) -> Vec<Key> {
    let (default, cookie, cipher) = (&material.default, &material.cookie, &material.cipher);
    let order = match purpose.list() {
        List::Default => [default, cookie, cipher],
        List::Cookie => [cookie, default, cipher],
        List::Cipher => [cipher, default, cookie],
    };
    let mut keys: Vec<Key> = Vec::new();
    for secret in order.into_iter().flatten() {
        let key = derive(secret.reveal().as_bytes(), purpose.label());
        // The same secret may stand in two lists.
        if !keys.iter().any(|known| known.bytes() == key.bytes()) {
            keys.push(key);
        }
    }
    keys
}

fn derive(secret: &[u8], label: &[u8]) -> Key {
    let mut bytes = [0; 32];
    Hkdf::<Sha256>::new(Some(b"keyward v1"), secret)
        .expand(label, &mut bytes)
        .expect("32 bytes are within the 8160 that HKDF-SHA-256 can give");
    let digest = Sha256::new().chain_update(b"keyward key id").chain_update(bytes).finalize();
    Key { id: [digest[0], digest[1], digest[2], digest[3]], bytes: Secret::new(bytes) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::collections::HashSet;

    pub(crate) fn secrets(texts: &[&str]) -> Vec<Secret<String>> {
        texts.iter().map(|text| Secret::new((*text).to_owned())).collect()
    }

    /// A keyring whose default list holds these generations, newest first.
    pub(crate) fn ring(generations: &[&str]) -> Keyring {
        Keyring::new(&KeyMaterial { default: secrets(generations), ..KeyMaterial::default() }).expect("long enough")
    }

    /// Counts upwards: every call gives other bytes, every run the same.
    pub(crate) struct Counting(std::sync::atomic::AtomicU64);

    impl Counting {
        pub(crate) fn new() -> Self {
            Self(std::sync::atomic::AtomicU64::new(0))
        }
    }

    impl keyward_model::Random for Counting {
        fn fill(&self, buffer: &mut [u8]) {
            for chunk in buffer.chunks_mut(32) {
                let count = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let digest = Sha256::digest(count.to_be_bytes());
                chunk.copy_from_slice(&digest[..chunk.len()]);
            }
        }
    }

    const A: &str = "first-secret-of-the-operator";
    const B: &str = "second-secret-of-the-operator";

    #[test]
    fn the_table_of_uses_is_complete_and_in_order() {
        for (position, purpose) in USES.iter().enumerate() {
            assert_eq!(*purpose as usize, position);
        }
        let labels: HashSet<_> = USES.iter().map(|purpose| purpose.label()).collect();
        assert_eq!(labels.len(), USES.len());
    }

    #[test]
    fn every_use_has_a_key_of_its_own() {
        let ring = ring(&[A, B]);
        let mut seen = HashSet::new();
        for purpose in USES {
            for key in ring.all(purpose) {
                assert!(seen.insert(*key.bytes()), "{purpose:?}");
            }
        }
        assert_eq!(seen.len(), 2 * USES.len());
    }

    #[test]
    fn any_one_list_serves_all_uses() {
        let lists = [
            KeyMaterial { default: secrets(&[A]), ..KeyMaterial::default() },
            KeyMaterial { cookie: secrets(&[A]), ..KeyMaterial::default() },
            KeyMaterial { cipher: secrets(&[A]), ..KeyMaterial::default() },
        ];
        for material in lists {
            let ring = Keyring::new(&material).expect("one secret suffices");
            assert!(USES.iter().all(|purpose| ring.all(*purpose).len() == 1));
        }
    }

    #[test]
    fn a_use_prefers_its_list_and_still_accepts_the_others() {
        let before = ring(&[A]);
        let after = Keyring::new(&KeyMaterial { default: secrets(&[A]), cipher: secrets(&[B]), ..KeyMaterial::default() })
            .expect("two secrets");
        assert_ne!(before.current(KeyUse::FlowMemory).id, after.current(KeyUse::FlowMemory).id);
        assert_eq!(before.current(KeyUse::FlowMemory).id, after.all(KeyUse::FlowMemory)[1].id);
        assert_eq!(before.current(KeyUse::SessionCookie).id, after.current(KeyUse::SessionCookie).id);
    }

    #[test]
    fn unusable_material_is_refused_and_never_printed() {
        assert_eq!(Keyring::new(&KeyMaterial::default()).err(), Some(KeyError::NoSecret));
        let short = KeyMaterial { cookie: secrets(&[A, "fifteen-bytes.."]), ..KeyMaterial::default() };
        let error = Keyring::new(&short).expect_err("too short");
        assert_eq!(error, KeyError::TooShort { list: "cookie", index: 1 });
        assert!(!format!("{error} {error:?} {short:?} {:?}", ring(&[A])).contains("fifteen"));
    }

    #[test]
    fn old_generations_verify_and_unknown_ones_do_not() {
        let mac = ring(&[A]).sign(KeyUse::MailedCode, &[b"one", b"two"]);
        assert!(ring(&[B, A]).verify(KeyUse::MailedCode, &[b"one", b"two"], &mac));
        assert!(!ring(&[B]).verify(KeyUse::MailedCode, &[b"one", b"two"], &mac));
        assert!(!ring(&[A]).verify(KeyUse::Pagination, &[b"one", b"two"], &mac));
        assert!(!ring(&[A]).verify(KeyUse::MailedCode, &[b"one", b"too"], &mac));
        for length in [0, 1, 31] {
            assert!(!ring(&[A]).verify(KeyUse::MailedCode, &[b"one", b"two"], &mac[..length]));
        }
    }

    #[test]
    fn the_derivation_is_the_published_one() {
        // RFC 5869 with salt "keyward v1", computed step by step with HMAC alone.
        let hmac = |key: &[u8], data: &[u8]| -> [u8; 32] {
            let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("any length");
            mac.update(data);
            mac.finalize().into_bytes().into()
        };
        let extracted = hmac(b"keyward v1", A.as_bytes());
        assert_eq!(*derive(A.as_bytes(), b"csrf").bytes(), hmac(&extracted, b"csrf\x01"));
    }
}
