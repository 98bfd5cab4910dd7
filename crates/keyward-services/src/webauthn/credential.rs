//! What browsers and apps send at the end of a ceremony, taken apart: the credential's JSON, client data and authenticator data.
//! The checks in [`super`] read it; keys are stored from it.
//! Believes nothing: bounds every length, refuses what is left over, and verifies no signature.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde_cbor_2::Value as Cbor;

/// Unpadded, as the standard says; clients that pad are understood.
pub(super) const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The most bytes of a credential id (WebAuthn Level 3, section 4).
pub const LONGEST_KEY_ID: usize = 1_023;

/// The most bytes of each part. What authenticators send is far below: an attestation of a TPM with its certificates has some
/// 6 KiB, a signature of RSA 512 bytes.
const LONGEST_CLIENT_DATA: usize = 4_096;
const LONGEST_ATTESTATION: usize = 16_384;
const LONGEST_AUTHENTICATOR_DATA: usize = 4_096;
const LONGEST_SIGNATURE: usize = 1_024;
/// The most members of a map.
const MOST_MEMBERS: usize = 32;

/// Why something is no answer of an authenticator. Tells which part, never what stands in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} cannot be read")]
pub struct Malformed(pub(super) &'static str);

/// A new key, as `navigator.credentials.create` gives it.
pub struct Attestation {
    pub(super) client_data: ClientData,
    pub(super) client_data_json: Vec<u8>,
    pub(super) object: Vec<u8>,
    pub(super) format: String,
    pub(super) data: AuthenticatorData,
    pub(super) attested: AttestedKey,
    pub(super) transports: Vec<String>,
}

/// The proof that somebody holds a key, as `navigator.credentials.get` gives it.
pub struct Assertion {
    key_id: Vec<u8>,
    user_handle: Option<Vec<u8>>,
    pub(super) client_data: ClientData,
    pub(super) client_data_json: Vec<u8>,
    pub(super) data: AuthenticatorData,
    pub(super) authenticator_data: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

impl fmt::Debug for Attestation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attestation({})", self.format)
    }
}

impl fmt::Debug for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Assertion")
    }
}

const ID: &str = "the id of the credential";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Credential<R> {
    raw_id: Option<String>,
    id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    response: R,
}

impl<R> Credential<R> {
    /// The bytes of the id; both spellings are the same id, and one is enough.
    fn key_id(&self) -> Result<Vec<u8>, Malformed> {
        if self.kind.as_deref().is_some_and(|kind| kind != "public-key") {
            return Err(Malformed("the type of the credential"));
        }
        let raw_id =
            self.raw_id.as_deref().filter(|text| !text.is_empty()).map(|text| bytes(text, LONGEST_KEY_ID, ID)).transpose()?;
        let id = self.id.as_deref().filter(|text| !text.is_empty()).map(|text| bytes(text, LONGEST_KEY_ID, ID)).transpose()?;
        match (raw_id, id) {
            (Some(raw_id), Some(id)) if raw_id != id => Err(Malformed(ID)),
            (Some(id), _) | (None, Some(id)) => Ok(id),
            (None, None) => Err(Malformed(ID)),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AttestationResponse {
    #[serde(rename = "clientDataJSON")]
    client_data_json: String,
    attestation_object: String,
    #[serde(default)]
    transports: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AssertionResponse {
    #[serde(rename = "clientDataJSON")]
    client_data_json: String,
    authenticator_data: String,
    signature: String,
    #[serde(default)]
    user_handle: Option<String>,
}

/// What the client signed for (WebAuthn Level 3, section 5.8.1).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClientData {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) challenge: String,
    pub(super) origin: String,
    #[serde(default)]
    pub(super) cross_origin: Option<bool>,
    #[serde(default)]
    pub(super) top_origin: Option<String>,
}

/// The signed bytes of an authenticator (WebAuthn Level 3, section 6.1), as far as this server keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AuthenticatorData {
    pub(super) flags: u8,
    pub(super) sign_count: u32,
}

/// Bits of the flags.
pub(super) const USER_PRESENT: u8 = 0x01;
pub(super) const USER_VERIFIED: u8 = 0x04;
pub(super) const BACKUP_ELIGIBLE: u8 = 0x08;
pub(super) const BACKUP_STATE: u8 = 0x10;
const ATTESTED_KEY: u8 = 0x40;
const EXTENSIONS: u8 = 0x80;

impl AuthenticatorData {
    pub(super) const fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// The part that tells of a new key (WebAuthn Level 3, section 6.5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AttestedKey {
    pub(super) aaguid: [u8; 16],
    pub(super) id: Vec<u8>,
    /// The public key, a COSE_Key (RFC 9053) in the very bytes that the authenticator chose.
    pub(super) public_key: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AttestationObject<'a> {
    #[serde(rename = "fmt")]
    format: &'a str,
    auth_data: &'a [u8],
}

impl Attestation {
    /// Reads the JSON of a new credential.
    ///
    /// # Errors
    /// Which part cannot be read.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let credential: Credential<AttestationResponse> = serde_json::from_str(text).map_err(|_| Malformed("the credential"))?;
        let id = credential.key_id()?;
        let response = credential.response;
        let (client_data, client_data_json) = client_data(&response.client_data_json)?;
        let object = bytes(&response.attestation_object, LONGEST_ATTESTATION, "attestationObject")?;
        let broken = Malformed("attestationObject");
        let AttestationObject { format, auth_data } = serde_cbor_2::from_slice(&object).map_err(|_| broken)?;
        let (data, attested) = authenticator_data(auth_data)?;
        let attested = attested.ok_or(broken)?;
        if attested.id != id {
            return Err(Malformed(ID));
        }
        let format = format.to_owned();
        // What is unknown is kept as it is told: the browser reads it again some day (section 5.8.4).
        let mut transports = response.transports.unwrap_or_default();
        transports.truncate(MOST_TRANSPORTS);
        transports.retain(|name| name.len() <= LONGEST_TRANSPORT);
        Ok(Self { client_data, client_data_json, object, format, data, attested, transports })
    }

    /// The new key's id.
    pub fn key_id(&self) -> &[u8] {
        &self.attested.id
    }
}

/// Names of transports are hints of a few letters; these bounds keep nonsense out of the database.
const MOST_TRANSPORTS: usize = 16;
const LONGEST_TRANSPORT: usize = 64;

impl Assertion {
    /// Reads the JSON of a used credential.
    ///
    /// # Errors
    /// Which part cannot be read.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let credential: Credential<AssertionResponse> = serde_json::from_str(text).map_err(|_| Malformed("the credential"))?;
        let key_id = credential.key_id()?;
        let response = credential.response;
        let (client_data, client_data_json) = client_data(&response.client_data_json)?;
        let raw = bytes(&response.authenticator_data, LONGEST_AUTHENTICATOR_DATA, "authenticatorData")?;
        let (data, _) = authenticator_data(&raw)?;
        let signature = bytes(&response.signature, LONGEST_SIGNATURE, "signature")?;
        // Some browsers send an empty text where others send nothing.
        let user_handle = response.user_handle.filter(|text| !text.is_empty());
        let user_handle = user_handle.map(|text| bytes(&text, LONGEST_USER_HANDLE, "userHandle")).transpose()?;
        let user_handle = user_handle.filter(|bytes| !bytes.is_empty());
        Ok(Self { key_id, user_handle, client_data, client_data_json, data, authenticator_data: raw, signature })
    }

    /// Which key.
    pub fn key_id(&self) -> &[u8] {
        &self.key_id
    }

    /// Whose key, as the authenticator remembers it; never empty.
    pub fn user_handle(&self) -> Option<&[u8]> {
        self.user_handle.as_deref()
    }
}

/// WebAuthn Level 3, section 5.4.3.
const LONGEST_USER_HANDLE: usize = 64;

/// At most `most` bytes, looked at before anything is made of them.
fn bytes(text: &str, most: usize, what: &'static str) -> Result<Vec<u8>, Malformed> {
    let bytes = if text.len() <= most.div_ceil(3) * 4 { BASE64URL.decode(text).ok() } else { None };
    bytes.filter(|bytes| bytes.len() <= most).ok_or(Malformed(what))
}

fn client_data(text: &str) -> Result<(ClientData, Vec<u8>), Malformed> {
    let json = bytes(text, LONGEST_CLIENT_DATA, "clientDataJSON")?;
    let client_data = serde_json::from_slice(&json).map_err(|_| Malformed("clientDataJSON"))?;
    Ok((client_data, json))
}

/// Takes authenticator data apart. Nothing may be left over: what one reader skips, another could take for something else.
fn authenticator_data(raw: &[u8]) -> Result<(AuthenticatorData, Option<AttestedKey>), Malformed> {
    const BROKEN: Malformed = Malformed("authenticatorData");
    let (_rp_id_hash, rest) = raw.split_first_chunk::<32>().ok_or(BROKEN)?;
    let (&[flags], rest) = rest.split_first_chunk::<1>().ok_or(BROKEN)?;
    let (sign_count, mut rest) = rest.split_first_chunk::<4>().ok_or(BROKEN)?;
    let data = AuthenticatorData { flags, sign_count: u32::from_be_bytes(*sign_count) };
    let mut attested = None;
    if data.has(ATTESTED_KEY) {
        let (aaguid, after) = rest.split_first_chunk::<16>().ok_or(BROKEN)?;
        let (length, after) = after.split_first_chunk::<2>().ok_or(BROKEN)?;
        let length = usize::from(u16::from_be_bytes(*length));
        if length == 0 || length > LONGEST_KEY_ID {
            return Err(Malformed(ID));
        }
        let (id, after) = after.split_at_checked(length).ok_or(BROKEN)?;
        let (public_key, after) = first_map(after).ok_or(Malformed("the public key"))?;
        attested = Some(AttestedKey { aaguid: *aaguid, id: id.to_owned(), public_key: public_key.to_owned() });
        rest = after;
    }
    if data.has(EXTENSIONS) {
        rest = first_map(rest).ok_or(Malformed("the extensions"))?.1;
    }
    if rest.is_empty() { Ok((data, attested)) } else { Err(BROKEN) }
}

/// The bytes of the CBOR map that stands first, and those after it. `None` when there is none, or a key of it comes twice.
fn first_map(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut reader = serde_cbor_2::Deserializer::from_slice(bytes);
    let Entries(keys) = Entries::deserialize(&mut reader).ok()?;
    let twice = keys.iter().enumerate().any(|(place, key)| keys[..place].contains(key));
    if twice { None } else { bytes.split_at_checked(reader.byte_offset()) }
}

/// The keys of a CBOR map, as often as they come. An ordinary map would keep the last of two values without a word.
struct Entries(Vec<Cbor>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> serde::de::Visitor<'de> for Reader {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut keys = Vec::new();
                while let Some((key, _)) = map.next_entry::<Cbor, Cbor>()? {
                    if keys.len() == MOST_MEMBERS {
                        return Err(serde::de::Error::custom("too many members"));
                    }
                    keys.push(key);
                }
                Ok(Entries(keys))
            }
        }

        deserializer.deserialize_map(Reader)
    }
}
