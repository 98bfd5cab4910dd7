//! Seals bytes so that they can be read and altered only by this server, and only in the place they were sealed for.
//! Columns of the database, cookies and paused payloads pass through here on their way out and in.
//! Does not know what the bytes mean or where they are kept.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use keyward_model::{Random, Secret};

use crate::keys::{KeyId, KeyUse, Keyring};

/// Where a sealed value stands; it opens nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// A column of one row.
    Column {
        /// The table's name.
        table: &'a str,
        /// The primary key of the row, as bytes.
        row: &'a [u8],
        /// The column's name.
        column: &'a str,
    },
    /// A cookie, by its name.
    Cookie(&'a str),
}

/// Why a sealed value did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not the shape of a sealed value: too short, not base64url, or of an unknown version.
    #[error("not a sealed value")]
    Malformed,
    /// Sealed under a key that this server does not hold (any more).
    #[error("sealed under an unknown key")]
    UnknownKey,
    /// Altered, cut, lengthened or moved from another place.
    #[error("the sealed value was altered or belongs elsewhere")]
    Forged,
}

// version ‖ key id ‖ nonce ‖ ciphertext ‖ tag; a value under a fresh key has no key id.
const UNDER_KEYRING: u8 = 1;
const UNDER_FRESH_KEY: u8 = 2;
const NONCE: usize = 24;
const TAG: usize = 16;

impl Keyring {
    /// Seals `plain` for `place` under the current key of `purpose` (XChaCha20-Poly1305). 45 bytes longer than `plain`.
    pub fn seal(&self, purpose: KeyUse, place: Place<'_>, plain: &[u8], random: &dyn Random) -> Vec<u8> {
        let key = self.current(purpose);
        let mut header = vec![UNDER_KEYRING];
        header.extend_from_slice(&key.id);
        encrypt(key.bytes(), header, place, plain, random)
    }

    /// Opens what [`Keyring::seal`] made for the same purpose and place, under any accepted key.
    ///
    /// # Errors
    /// See [`OpenError`]; the plain bytes are returned only when everything is genuine.
    pub fn open(&self, purpose: KeyUse, place: Place<'_>, sealed: &[u8]) -> Result<Secret<Vec<u8>>, OpenError> {
        let id = key_id(sealed)?;
        let (header, rest) = sealed.split_at(1 + id.len());
        let mut outcome = Err(OpenError::UnknownKey);
        // Ids are short, so two keys may share one: try all of that name.
        for key in self.all(purpose).iter().filter(|key| key.id == id) {
            outcome = decrypt(key.bytes(), header, place, rest);
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    /// As [`Keyring::seal`], in base64url without padding (RFC 4648 section 5), for cookies and URLs.
    pub fn seal_text(&self, purpose: KeyUse, place: Place<'_>, plain: &[u8], random: &dyn Random) -> String {
        URL_SAFE_NO_PAD.encode(self.seal(purpose, place, plain, random))
    }

    /// As [`Keyring::open`], for what [`Keyring::seal_text`] made.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_text(&self, purpose: KeyUse, place: Place<'_>, sealed: &str) -> Result<Secret<Vec<u8>>, OpenError> {
        let sealed = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| OpenError::Malformed)?;
        self.open(purpose, place, &sealed)
    }
}

/// Seals `plain` under a random key that exists nowhere else: whoever has only the sealed bytes can never open them.
/// The caller hands the key to the one party that may open, and keeps no copy.
pub fn seal_under_fresh_key(place: Place<'_>, plain: &[u8], random: &dyn Random) -> (Secret<[u8; 32]>, Vec<u8>) {
    let key = Secret::new(random.bytes());
    let sealed = encrypt(key.reveal(), vec![UNDER_FRESH_KEY], place, plain, random);
    (key, sealed)
}

/// Opens what [`seal_under_fresh_key`] made for the same place.
///
/// # Errors
/// [`OpenError::Forged`] also when the key is not the right one.
pub fn open_under_fresh_key(key: &Secret<[u8; 32]>, place: Place<'_>, sealed: &[u8]) -> Result<Secret<Vec<u8>>, OpenError> {
    match sealed.split_at_checked(1) {
        Some((header @ [UNDER_FRESH_KEY], rest)) => decrypt(key.reveal(), header, place, rest),
        _ => Err(OpenError::Malformed),
    }
}

fn key_id(sealed: &[u8]) -> Result<KeyId, OpenError> {
    match sealed {
        [UNDER_KEYRING, a, b, c, d, rest @ ..] if rest.len() >= NONCE + TAG => Ok([*a, *b, *c, *d]),
        _ => Err(OpenError::Malformed),
    }
}

fn encrypt(key: &[u8; 32], header: Vec<u8>, place: Place<'_>, plain: &[u8], random: &dyn Random) -> Vec<u8> {
    let nonce: [u8; NONCE] = random.bytes();
    let aad = associated_data(&header, place);
    let mut body = Vec::with_capacity(plain.len() + TAG);
    body.extend_from_slice(plain);
    XChaCha20Poly1305::new(key.into())
        .encrypt_in_place(&XNonce::from(nonce), &aad, &mut body)
        .expect("nothing in memory reaches the cipher's limit of 256 GiB");
    let mut sealed = header;
    sealed.reserve_exact(NONCE + body.len());
    sealed.extend_from_slice(&nonce);
    sealed.append(&mut body);
    sealed
}

fn decrypt(key: &[u8; 32], header: &[u8], place: Place<'_>, rest: &[u8]) -> Result<Secret<Vec<u8>>, OpenError> {
    let (nonce, body) = rest.split_first_chunk::<NONCE>().ok_or(OpenError::Malformed)?;
    if body.len() < TAG {
        return Err(OpenError::Malformed);
    }
    let mut plain = body.to_vec();
    XChaCha20Poly1305::new(key.into())
        .decrypt_in_place(&XNonce::from(*nonce), &associated_data(header, place), &mut plain)
        .map_err(|_| OpenError::Forged)?;
    Ok(Secret::new(plain))
}

/// Every part is preceded by its length, so that no two places share an encoding.
fn associated_data(header: &[u8], place: Place<'_>) -> Vec<u8> {
    let parts: &[&[u8]] = match place {
        Place::Column { table, row, column } => &[b"column", table.as_bytes(), row, column.as_bytes()],
        Place::Cookie(name) => &[b"cookie", name.as_bytes()],
    };
    let mut data = header.to_vec();
    for part in parts {
        data.extend_from_slice(&(part.len() as u64).to_be_bytes());
        data.extend_from_slice(part);
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::tests::{Counting, ring};

    const HERE: Place<'_> = Place::Column { table: "flows", row: b"row", column: "memory" };
    const OLD: &str = "generation-one-secret";
    const MIDDLE: &str = "generation-two-secret";
    const NEW: &str = "generation-three-secret";

    fn open(ring: &Keyring, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        ring.open(KeyUse::FlowMemory, HERE, sealed).map(|plain| plain.reveal().clone())
    }

    #[test]
    fn what_was_sealed_opens_and_never_looks_the_same_twice() {
        let (ring, random) = (ring(&[NEW]), Counting::new());
        for plain in [&b""[..], b"x", &[7; 5000]] {
            let sealed = ring.seal(KeyUse::FlowMemory, HERE, plain, &random);
            assert_eq!(sealed.len(), plain.len() + 45);
            assert_eq!(open(&ring, &sealed).as_deref(), Ok(plain));
            assert_ne!(sealed, ring.seal(KeyUse::FlowMemory, HERE, plain, &random));
            let text = ring.seal_text(KeyUse::SessionCookie, Place::Cookie("session"), plain, &random);
            assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
            let opened = ring.open_text(KeyUse::SessionCookie, Place::Cookie("session"), &text).expect("genuine");
            assert_eq!(opened.reveal().as_slice(), plain);
        }
    }

    #[test]
    fn three_generations_rotate() {
        let random = Counting::new();
        let rings = [ring(&[OLD]), ring(&[MIDDLE, OLD]), ring(&[NEW, MIDDLE, OLD]), ring(&[NEW, MIDDLE]), ring(&[NEW])];
        // Row: who sealed. Column: who opens.
        let expected = [
            [true, true, true, false, false],
            [false, true, true, true, false],
            [false, false, true, true, true],
            [false, false, true, true, true],
            [false, false, true, true, true],
        ];
        for (sealer, row) in rings.iter().zip(expected) {
            let sealed = sealer.seal(KeyUse::FlowMemory, HERE, b"memory", &random);
            for (opener, opens) in rings.iter().zip(row) {
                let wanted = if opens { Ok(b"memory".to_vec()) } else { Err(OpenError::UnknownKey) };
                assert_eq!(open(opener, &sealed), wanted);
            }
        }
    }

    #[test]
    fn every_altered_bit_and_every_other_length_is_refused() {
        let (ring, random) = (ring(&[NEW]), Counting::new());
        let sealed = ring.seal(KeyUse::FlowMemory, HERE, b"a short memory", &random);
        for position in 0..sealed.len() * 8 {
            let mut altered = sealed.clone();
            altered[position / 8] ^= 1 << (position % 8);
            assert!(open(&ring, &altered).is_err(), "bit {position}");
        }
        for length in 0..sealed.len() {
            assert!(open(&ring, &sealed[..length]).is_err(), "cut to {length}");
        }
        for tail in [&b"\0"[..], b"more"] {
            assert_eq!(open(&ring, &[&sealed, tail].concat()), Err(OpenError::Forged));
        }
        let text = ring.seal_text(KeyUse::Pagination, Place::Cookie("c"), b"x", &random);
        for bad in [
            "",
            " ",
            "0",
            "=",
            &format!("{text}="),
            &format!(" {text}"),
            &format!("{text}A"),
            &text[1..],
            &text[..text.len() - 1],
        ] {
            assert!(ring.open_text(KeyUse::Pagination, Place::Cookie("c"), bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_value_opens_only_in_its_place() {
        let (ring, random) = (ring(&[NEW]), Counting::new());
        let sealed = ring.seal(KeyUse::FlowMemory, HERE, b"memory", &random);
        let elsewhere = [
            Place::Column { table: "flow", row: b"srow", column: "memory" },
            Place::Column { table: "flows", row: b"rox", column: "memory" },
            Place::Column { table: "flows", row: b"row", column: "extra" },
            Place::Column { table: "flows", row: b"rowm", column: "emory" },
            Place::Cookie("memory"),
        ];
        for place in elsewhere {
            assert_eq!(ring.open(KeyUse::FlowMemory, place, &sealed).err(), Some(OpenError::Forged), "{place:?}");
        }
        assert_eq!(ring.open(KeyUse::Credential, HERE, &sealed).err(), Some(OpenError::UnknownKey));
    }

    #[test]
    fn a_fresh_key_is_the_only_one_that_opens() {
        let (ring, random) = (ring(&[NEW]), Counting::new());
        let (key, sealed) = seal_under_fresh_key(HERE, b"payload", &random);
        let (other, _) = seal_under_fresh_key(HERE, b"payload", &random);
        assert_eq!(open_under_fresh_key(&key, HERE, &sealed).map(|plain| plain.reveal().clone()), Ok(b"payload".to_vec()));
        assert_eq!(open_under_fresh_key(&other, HERE, &sealed).err(), Some(OpenError::Forged));
        assert_eq!(open_under_fresh_key(&key, Place::Cookie("c"), &sealed).err(), Some(OpenError::Forged));
        assert_eq!(open(&ring, &sealed), Err(OpenError::Malformed));
        for length in 0..sealed.len() {
            assert!(open_under_fresh_key(&key, HERE, &sealed[..length]).is_err());
        }
    }
}
