//! One spelling for everything that finds an account: mail addresses, phone numbers and user names.
//! The writer of identities stores what comes out, and login, recovery and import look up what comes out (decisions 5.13).
//! Knows no schema and no phone metadata: E.164 is made in `services`, this file only keeps its form.

use unicode_normalization::UnicodeNormalization;

/// What a text that finds an account is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IdentifierKind {
    /// A mail address: NFC and lower case before the `@`, an IDNA A-label domain (RFC 5891) behind it.
    Email,
    /// A phone number that is already in E.164: `+` and digits.
    Phone,
    /// A user name, number or anything else: NFKC and lower case. A text that is a mail address is treated as one, so that
    /// nobody can take the user name that equals somebody's address in another spelling.
    Text,
}

/// The spelling under which `raw` is stored and found. Surrounding white space and invisible characters are dropped.
///
/// `None` when nothing is left, when an invisible, control or bidirectional character stands inside, or when the kind's form
/// does not hold. The result is a fixed point: canonicalising it again changes nothing.
///
/// ```
/// use keyward_model::{IdentifierKind, canonical_identifier};
/// assert_eq!(canonical_identifier(IdentifierKind::Email, " Mara@BÜCHER.example\t").as_deref(), Some("mara@xn--bcher-kva.example"));
/// assert_eq!(canonical_identifier(IdentifierKind::Text, "ＭＡＲＡ").as_deref(), Some("mara"));
/// assert_eq!(canonical_identifier(IdentifierKind::Text, "ma\u{200b}ra"), None);
/// ```
pub fn canonical_identifier(kind: IdentifierKind, raw: &str) -> Option<String> {
    let once = match kind {
        IdentifierKind::Email => return canonical_email(raw),
        IdentifierKind::Phone => {
            let number = trim_identifier(raw);
            let digits = number.strip_prefix('+')?;
            let well_formed = (2..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
            return well_formed.then(|| number.to_owned());
        }
        // An address keeps its own rule (NFC): asked first, so that both kinds agree on it.
        IdentifierKind::Text => match canonical_email(raw) {
            Some(address) => return Some(address),
            None => canonical_text(raw)?,
        },
    };
    // Folding can uncover more to fold (a compatibility character may become a space and a mark), so fold until nothing moves.
    let mut text = once;
    for _ in 0..4 {
        if let Some(address) = canonical_email(&text) {
            return Some(address);
        }
        let again = canonical_text(&text)?;
        if again == text {
            return Some(text);
        }
        text = again;
    }
    None
}

/// How a typed identifier is looked up, in order: the canonical spellings, then the plain lower-cased text, for identities that
/// were imported under another rule. Empty when nothing can be found under it. Phone numbers come from `services`.
pub fn login_candidates(raw: &str) -> Vec<String> {
    let plain = trim_identifier(raw).to_lowercase();
    let mut candidates: Vec<String> = Vec::with_capacity(2);
    for candidate in [canonical_identifier(IdentifierKind::Text, raw), Some(plain)].into_iter().flatten() {
        // PostgreSQL cannot even be asked for a text with a zero character in it.
        let can_be_stored = !candidate.is_empty() && !candidate.contains('\0');
        if can_be_stored && !candidates.contains(&candidate) {
            candidates.push(candidate);
        }
    }
    candidates
}

/// Without surrounding white space and invisible characters, which keyboards and copied text bring along.
pub fn trim_identifier(raw: &str) -> &str {
    raw.trim_matches(|character: char| character.is_whitespace() || is_invisible(character))
}

/// Whether the text is a mail address that mail can be sent to: a dot-atom or quoted local part (RFC 5321 section 4.1.2,
/// RFC 6531 for letters beyond ASCII) and a domain or address literal. No display name, comment, white space, control or
/// invisible character.
pub fn is_email_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    if text.len() > 1_000 || text.chars().any(|c| c.is_control() || c.is_whitespace() || is_invisible(c)) {
        return false;
    }
    is_local_part(local) && (is_address_literal(domain) || is_domain(domain))
}

fn is_local_part(local: &str) -> bool {
    if let Some(quoted) = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        let mut escaped = false;
        for character in quoted.chars() {
            match character {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => return false,
                _ => {}
            }
        }
        return !escaped;
    }
    let atom =
        |character: char| !character.is_ascii() || character.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(character);
    local.split('.').all(|part| !part.is_empty() && part.chars().all(atom))
}

fn is_domain(domain: &str) -> bool {
    let letter =
        |character: char| !character.is_ascii() || character.is_ascii_alphanumeric() || character == '-' || character == '_';
    domain.split('.').all(|label| !label.is_empty() && label.chars().all(letter)) && idna::domain_to_ascii(domain).is_ok()
}

fn is_address_literal(domain: &str) -> bool {
    let Some(literal) = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) else { return false };
    match literal.strip_prefix("IPv6:").or_else(|| literal.strip_prefix("ipv6:")) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => literal.parse::<std::net::Ipv4Addr>().is_ok(),
    }
}

fn canonical_email(raw: &str) -> Option<String> {
    let text = trim_identifier(raw);
    if !is_email_address(text) {
        return None;
    }
    let (local, domain) = text.rsplit_once('@')?;
    let local: String = local.nfc().collect::<String>().to_lowercase().nfc().collect();
    let domain = if is_address_literal(domain) { domain.to_ascii_lowercase() } else { idna::domain_to_ascii(domain).ok()? };
    let address = format!("{local}@{domain}");
    is_email_address(&address).then_some(address)
}

fn canonical_text(raw: &str) -> Option<String> {
    let text: String = trim_identifier(raw).nfkc().collect::<String>().to_lowercase().nfkc().collect();
    let text = trim_identifier(&text);
    let clean = !text.is_empty() && !text.chars().any(|c| c.is_control() || is_invisible(c) || (c.is_whitespace() && c != ' '));
    clean.then(|| text.to_owned())
}

/// Characters that show nothing or turn the direction of what follows (Unicode TR 36 section 2.5), so that two different
/// texts look the same.
const fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_one_spelling() {
        use IdentifierKind::{Email, Phone, Text};
        for (kind, raw, expected) in [
            (Email, "mara@example.org", Some("mara@example.org")),
            (Email, "\u{200b}Mara@Example.ORG\u{a0}", Some("mara@example.org")),
            (Email, "mara+tag@example.org", Some("mara+tag@example.org")),
            (Email, "e\u{301}va@example.org", Some("\u{e9}va@example.org")),
            (Email, "mara@BÜCHER.example", Some("mara@xn--bcher-kva.example")),
            (Email, "mara@xn--bcher-kva.example", Some("mara@xn--bcher-kva.example")),
            (Email, "root@localhost", Some("root@localhost")),
            (Email, "\"a@b\"@example.org", Some("\"a@b\"@example.org")),
            (Email, "mara@[127.0.0.1]", Some("mara@[127.0.0.1]")),
            (Email, "mara\u{ff20}example.org", None),
            (Email, "ma ra@example.org", None),
            (Email, "ma\u{202e}ra@example.org", None),
            (Email, "mara@exa\u{200d}mple.org", None),
            (Email, "mara@example.org.", None),
            (Email, "Mara <mara@example.org>", None),
            (Email, "a@b@example.org", None),
            (Email, ".mara@example.org", None),
            (Email, "mara@", None),
            (Email, "", None),
            (Phone, "+49301234567", Some("+49301234567")),
            (Phone, "0301234567", None),
            (Phone, "+49 30", None),
            (Text, "  Mara Winter ", Some("mara winter")),
            (Text, "ﬁne", Some("fine")),
            (Text, "Mara@BÜCHER.example", Some("mara@xn--bcher-kva.example")),
            (Text, "mara\u{ff20}example.org", Some("mara@example.org")),
            (Email, "ﬁne@example.org", Some("ﬁne@example.org")),
            (Text, "ﬁne@example.org", Some("ﬁne@example.org")),
            (Text, "ma\u{2066}ra", None),
            (Text, "ma\nra", None),
            (Text, "\u{200b} ", None),
        ] {
            let canonical = canonical_identifier(kind, raw);
            assert_eq!(canonical.as_deref(), expected, "{kind:?} {raw:?}");
            if let Some(text) = canonical {
                assert_eq!(canonical_identifier(kind, &text), Some(text.clone()), "{raw:?} moves when folded again");
            }
        }
    }

    #[test]
    fn what_was_stored_is_among_the_candidates_of_every_spelling_of_it() {
        for (typed, stored) in [
            ("Mara@Example.org ", "mara@example.org"),
            ("MARA@bücher.example", "mara@xn--bcher-kva.example"),
            ("MARA@bücher.example", "mara@bücher.example"),
            ("Mara", "mara"),
        ] {
            assert!(login_candidates(typed).iter().any(|candidate| candidate == stored), "{typed:?}");
        }
        assert!(login_candidates(" \u{200b}").is_empty());
    }
}
