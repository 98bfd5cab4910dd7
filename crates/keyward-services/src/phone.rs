//! Phone numbers in the one form that is stored and dialled: E.164.
//! The writer of identities and the schema's `tel` format ask here, and login for what was typed.
//! Knows numbering plans through their metadata and no configuration: a number needs its country code.

use keyward_model::{IdentifierKind, canonical_identifier, trim_identifier};

/// Longest text that is tried as a phone number, in bytes: fifteen digits with generous punctuation.
const MAX_LENGTH: usize = 64;

/// The number as `+` and digits (ITU-T E.164); `None` when it has no country code or is none of that country's numbers.
pub fn e164(raw: &str) -> Option<String> {
    let text = trim_identifier(raw);
    let dialled = |character: char| character.is_ascii_digit() || "+ -./()\u{a0}\u{2010}\u{2011}\u{2013}".contains(character);
    if !text.starts_with('+') || text.len() > MAX_LENGTH || !text.chars().all(dialled) {
        return None;
    }
    let number = phonenumber::parse(None, text).ok().filter(phonenumber::PhoneNumber::is_valid)?;
    let formatted = number.format().mode(phonenumber::Mode::E164).to_string();
    canonical_identifier(IdentifierKind::Phone, &formatted)
}

/// How a typed identifier is looked up, in order: as a phone number when it is one, then as
/// [`keyward_model::login_candidates`] says.
pub fn login_candidates(raw: &str) -> Vec<String> {
    let mut candidates: Vec<String> = e164(raw).into_iter().collect();
    for candidate in keyward_model::login_candidates(raw) {
        if !candidates.contains(&candidate) {
            candidates.push(candidate);
        }
    }
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_form_and_need_their_country() {
        for (raw, expected) in [
            ("+49 (0)30 1234567", Some("+49301234567")),
            ("\u{200b}+49 30-1234567 ", Some("+49301234567")),
            ("+1 650-253-0000", Some("+16502530000")),
            ("+16502530000", Some("+16502530000")),
            ("030 1234567", None),
            ("+49", None),
            ("+999 123456789", None),
            ("+1 650-253-0000;ext=1", None),
            ("", None),
            ("+", None),
        ] {
            assert_eq!(e164(raw).as_deref(), expected, "{raw:?}");
        }
        assert_eq!(login_candidates("+1 650 253 0000")[0], "+16502530000");
        assert_eq!(login_candidates("Mara"), ["mara"]);
        assert_eq!(e164(&"+1".repeat(10_000)), None);
    }
}
