//! Authenticator apps (RFC 6238): making a key, showing it, and checking a code against it.
//! The method `totp` calls it in settings and at sign-in.
//! Knows no rows: a stored key is a sealed text, and which steps were used is told by the caller.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyward_model::{IdentityId, Random, Secret, Time};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use subtle::ConstantTimeEq as _;
use totp_rs::{Builder, Totp};

use crate::keys::{KeyUse, Keyring};
use crate::seal::Place;
use crate::typed_codes::bare;

/// Length of a key: 160 bits, as RFC 4226 section 4 recommends.
const KEY_BYTES: usize = 20;
const DIGITS: usize = 6;
const STEP_SECONDS: i64 = 30;
/// Pixels of the picture; clients expect 256 by 256.
pub const QR_PIXELS: u32 = 256;

/// Only these stay as they are in labels and parameters (RFC 3986 section 2.3): apps differ in how they read the rest.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A key with its otpauth address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TotpKey {
    url: Secret<String>,
    base32: Secret<String>,
}

impl TotpKey {
    /// A new key for an account. Issuer and account name may be any text.
    pub fn generate(issuer: &str, account: &str, random: &dyn Random) -> Self {
        let key: [u8; KEY_BYTES] = random.bytes();
        let base32 = totp_rs::Secret::from(key).to_base32();
        let (issuer, account) = (encode(issuer), encode(account));
        let url = format!(
            "otpauth://totp/{issuer}:{account}?algorithm=SHA1&digits={DIGITS}&issuer={issuer}&period={STEP_SECONDS}&secret={base32}"
        );
        Self { url: url.into(), base32: base32.into() }
    }

    /// Reads an otpauth address that this server made or an operator imported. `None` when it holds no usable key, or asks
    /// for other parameters than SHA-1, six digits and thirty seconds.
    pub fn parse(url: &str) -> Option<Self> {
        let parsed =
            url::Url::parse(url).ok().filter(|parsed| parsed.scheme() == "otpauth" && parsed.host_str() == Some("totp"))?;
        let parameter = |name: &str| parsed.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        let usual = parameter("algorithm").is_none_or(|name| name.eq_ignore_ascii_case("SHA1"))
            && parameter("digits").is_none_or(|digits| digits == "6")
            && parameter("period").is_none_or(|period| period == "30");
        let base32 = parameter("secret")?.trim_end_matches('=').to_ascii_uppercase();
        totp_rs::Secret::try_from_base32(&base32).ok().filter(|_| usual)?;
        Some(Self { url: url.to_owned().into(), base32: base32.into() })
    }

    /// The whole address, for the QR code.
    pub const fn url(&self) -> &Secret<String> {
        &self.url
    }

    /// The key for typing.
    pub const fn base32(&self) -> &Secret<String> {
        &self.base32
    }

    /// Checks a code at `now`. Gives the time step that it belongs to when it is right and later than `last_used`, so that
    /// each code counts once (RFC 6238 section 5.2). One step of clock drift is allowed either way.
    pub fn check(&self, code: &str, now: Time, last_used: Option<u64>) -> Option<u64> {
        let code = bare(code);
        let totp = self.algorithm()?;
        let current = step_at(now);
        let mut found = None;
        // All three are always computed and compared, so that the time tells nothing.
        for step in current.saturating_sub(1)..=current + 1 {
            let expected = code_of(&totp, step);
            let fits = bool::from(expected.as_bytes().ct_eq(code.as_bytes()));
            if fits && last_used.is_none_or(|used| step > used) {
                found = Some(step);
            }
        }
        found
    }

    /// The code that an app shows at `now`. Tests and tools play the app with it.
    pub fn code_at(&self, now: Time) -> Option<String> {
        Some(code_of(&self.algorithm()?, step_at(now)))
    }

    fn algorithm(&self) -> Option<Totp> {
        let secret = totp_rs::Secret::try_from_base32(self.base32.reveal()).ok()?;
        Some(Builder::new().with_secret(secret).build_noncompliant())
    }

    /// The picture as a `data:` address: black on white, with the quiet zone of ISO/IEC 18004. `None` when the address is too
    /// long for a QR code; the key for typing still works.
    pub fn qr_data_uri(&self) -> Option<String> {
        let code = fast_qr::QRBuilder::new(self.url.reveal().as_str()).ecl(fast_qr::ECL::M).build().ok()?;
        let side = QR_PIXELS as usize;
        let modules = code.size + 8;
        let mut pixels = vec![255_u8; side * side];
        let scale = side / modules;
        let margin = (side - scale * code.size) / 2;
        if scale == 0 {
            return None;
        }
        for row in 0..code.size {
            for column in (0..code.size).filter(|column| code[row][*column].value()) {
                for line in 0..scale {
                    let start = (margin + row * scale + line) * side + margin + column * scale;
                    pixels[start..start + scale].fill(0);
                }
            }
        }
        let mut png = Vec::new();
        let mut encoder = png::Encoder::new(&mut png, QR_PIXELS, QR_PIXELS);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels)).ok()?;
        Some(format!("data:image/png;base64,{}", STANDARD.encode(png)))
    }

    /// The address, sealed for the credential row of `identity`.
    pub fn seal(&self, keys: &Keyring, identity: IdentityId, random: &dyn Random) -> String {
        keys.seal_text(KeyUse::Credential, place(&identity), self.url.reveal().as_bytes(), random)
    }

    /// Opens what [`TotpKey::seal`] made for the same identity; also takes an address in clear, from before sealing.
    pub fn open(keys: &Keyring, identity: IdentityId, stored: &str) -> Option<Self> {
        if stored.starts_with("otpauth:") {
            return Self::parse(stored);
        }
        let plain = keys.open_text(KeyUse::Credential, place(&identity), stored).ok()?;
        Self::parse(std::str::from_utf8(plain.reveal()).ok()?)
    }
}

fn step_at(now: Time) -> u64 {
    u64::try_from(now.unix() / STEP_SECONDS).unwrap_or(0)
}

fn code_of(totp: &Totp, step: u64) -> String {
    totp.generate(step * STEP_SECONDS.unsigned_abs()).to_string()
}

const fn place(identity: &IdentityId) -> Place<'_> {
    Place::Column { table: "credentials", row: identity.0.as_bytes(), column: "totp_url" }
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;
    impl Random for Fixed {
        fn fill(&self, buffer: &mut [u8]) {
            // The key of the RFC's examples, RFC 6238 appendix B.
            for (byte, source) in buffer.iter_mut().zip(b"12345678901234567890".iter().cycle()) {
                *byte = *source;
            }
        }
    }

    fn key(issuer: &str, account: &str) -> TotpKey {
        TotpKey::generate(issuer, account, &Fixed as &dyn Random)
    }

    #[test]
    fn codes_are_those_of_the_standard() {
        // RFC 6238 appendix B, SHA-1, the last six of the eight digits.
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(
                key("Keyward", "a").check(code, Time::from_unix(seconds), None),
                Some(seconds.unsigned_abs() / 30),
                "{code}"
            );
        }
    }

    #[test]
    fn codes_are_those_of_the_counter_that_a_step_is() {
        // RFC 4226 appendix D: the same key, counters 0 to 9.
        let listed = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"];
        for (step, code) in (0..).zip(listed) {
            assert_eq!(key("Keyward", "a").code_at(Time::from_unix(step * STEP_SECONDS)).as_deref(), Some(code), "{step}");
            assert_eq!(key("Keyward", "a").code_at(Time::from_unix(step * STEP_SECONDS + 29)).as_deref(), Some(code), "{step}");
        }
    }

    /// Another HMAC, and the truncation of RFC 4226 section 5.3 written down once more.
    fn independent(key: &[u8], step: u64) -> String {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
        let mac = aws_lc_rs::hmac::sign(&key, &step.to_be_bytes());
        let offset = usize::from(mac.as_ref()[19] & 15);
        let word = u32::from_be_bytes(mac.as_ref()[offset..offset + 4].try_into().unwrap());
        format!("{:06}", (word & 0x7fff_ffff) % 1_000_000)
    }

    proptest::proptest! {
        #[test]
        fn another_generator_agrees(secret in proptest::array::uniform20(proptest::prelude::any::<u8>()), unix in 0_i64..1 << 40) {
            let base32 = totp_rs::Secret::from(secret).to_base32();
            let key = TotpKey::parse(&format!("otpauth://totp/a?secret={base32}")).unwrap();
            let now = Time::from_unix(unix);
            let step = unix.unsigned_abs() / 30;
            proptest::prop_assert_eq!(key.code_at(now), Some(independent(&secret, step)));
            // The neighbours are accepted, and what lies further away is not; codes may repeat by chance.
            for near in step.saturating_sub(1)..=step + 1 {
                proptest::prop_assert!(key.check(&independent(&secret, near), now, None).is_some());
            }
            let far = independent(&secret, step + 2);
            let by_chance = (step.saturating_sub(1)..=step + 1).any(|near| independent(&secret, near) == far);
            proptest::prop_assert_eq!(key.check(&far, now, None).is_some(), by_chance);
        }
    }

    #[test]
    fn a_step_counts_once_and_the_neighbours_are_allowed() {
        let key = key("Keyward", "a");
        let code = "287082"; // step 1
        for (at, last_used, expected) in [
            (59, None, Some(1)),
            (89, None, Some(1)),
            (0, None, Some(1)),
            (90, None, None),
            (59, Some(0), Some(1)),
            (59, Some(1), None),
            (59, Some(2), None),
        ] {
            assert_eq!(key.check(code, Time::from_unix(at), last_used), expected, "{at} after {last_used:?}");
        }
        for (typed, fits) in
            [("287 082", true), ("287-082", true), (" 287082 ", true), ("28708", false), ("", false), ("２８７０８２", false)]
        {
            assert_eq!(key.check(typed, Time::from_unix(59), None).is_some(), fits, "{typed}");
        }
    }

    #[test]
    fn any_name_can_be_read_back_from_the_address() {
        for (issuer, account) in [("Keyward", "a@b.example"), ("Bücher & Söhne: AG", "Zoë 😀/?#%:"), ("", "x")] {
            let made = key(issuer, account);
            let url = url::Url::parse(made.url().reveal()).unwrap();
            let label =
                percent_encoding::percent_decode_str(url.path().trim_start_matches('/')).decode_utf8().unwrap().into_owned();
            assert_eq!(label, format!("{issuer}:{account}"));
            let shown = url.query_pairs().find(|(name, _)| name == "issuer").unwrap().1.into_owned();
            assert_eq!(shown, issuer, "parameters are read without a plus for a space");
            assert_eq!(TotpKey::parse(made.url().reveal()).unwrap().base32(), made.base32());
            assert!(made.qr_data_uri().unwrap().starts_with("data:image/png;base64,iVBOR"));
        }
        for bad in [
            "",
            "otpauth://hotp/x?secret=JBSWY3DP",
            "otpauth://totp/x",
            "otpauth://totp/x?secret=1!",
            "otpauth://totp/x?secret=JBSWY3DP&digits=8",
        ] {
            assert!(TotpKey::parse(bad).is_none(), "{bad}");
        }
        assert!(key("i", &"long ".repeat(2_000)).qr_data_uri().is_none());
    }
}
