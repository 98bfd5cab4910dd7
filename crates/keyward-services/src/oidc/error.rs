//! What can go wrong between us and a provider, as sentences that may stand on a form.
//! Every file of this folder answers with them; stories show them, or turn them into a status.
//! Never holds a token or an address: what a provider said is cut to a short line of plain words.

use crate::outbound::OutboundError;

/// Why a round trip to a provider came to nothing. Its text may be shown to the person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OidcError {
    /// No answer: no connection, too slow, too long, or an address that may not be called.
    #[error("The provider cannot be reached: {0}.")]
    Unreachable(String),
    /// An answer with a status that is none of success, and without an error code (RFC 6749, section 5.2).
    #[error("The provider answered with status {status} when asked for {what}.")]
    Status {
        /// What it was asked for.
        what: &'static str,
        /// The status code.
        status: u16,
    },
    /// An error code of the provider (RFC 6749, sections 4.1.2.1 and 5.2), made by [`OidcError::refused`].
    #[error("The provider refused: {0}.")]
    Refused(String),
    /// The person did not agree there (`access_denied`), which is their good right.
    #[error("You did not agree at the provider, so nothing was changed.")]
    Denied,
    /// An answer that is not what was asked for.
    #[error("The provider gave an answer that cannot be used: {0}.")]
    Unusable(&'static str),
    /// No id token beside the access token (OpenID Connect Core 1.0, section 3.1.3.3).
    #[error("The provider sent no id token; the scope openid has to be allowed there.")]
    NoIdToken,
    /// An id token that is not to be believed.
    #[error("{0}")]
    IdToken(IdTokenError),
    /// The parameter `iss` of the answer names somebody else (RFC 9207, section 2.4).
    #[error("The answer came from another provider than the one that was asked.")]
    OtherIssuer,
    /// The round trip was begun with another provider.
    #[error("The sign-in was begun with another provider.")]
    OtherProvider,
    /// The userinfo endpoint speaks of somebody else (OpenID Connect Core 1.0, section 5.3.2).
    #[error("The provider's id token and its userinfo speak of different people.")]
    OtherSubject,
    /// The operator's mapper failed; the log says why.
    #[error("What the provider said cannot be turned into an account. Tell the people who run this service.")]
    Mapper,
    /// All workers that evaluate mappers are busy.
    #[error("The server has too much to do; please try again.")]
    Busy,
    /// Our own key for this provider cannot sign.
    #[error("The server cannot show the provider who it is.")]
    ClientSecret,
}

/// Why an id token is not to be believed (OpenID Connect Core 1.0, section 3.1.3.7).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenError {
    /// Providers of this kind have no id tokens.
    #[error("This provider has no id tokens that could be verified.")]
    NotSupported,
    /// A nonce was expected and the token has none.
    #[error("The id token has no nonce.")]
    NonceMissingInToken,
    /// The token has a nonce and nobody said which it should be.
    #[error("The id token has a nonce, which was not submitted beside it.")]
    NonceNotSubmitted,
    /// The token has another nonce.
    #[error("The id token has another nonce than the one that was submitted.")]
    NonceMismatch,
    /// Keys of the provider are out of reach.
    #[error("The provider cannot be asked for its keys.")]
    Unreachable(String),
    /// Signature, issuer, audience, lifetime or subject are wrong; the text says which.
    #[error("The id token does not verify: {0}.")]
    Invalid(&'static str),
}

impl OidcError {
    /// What a provider said instead of a code or a token: its error code and, when there is one, its description.
    pub fn refused(error: &str, description: Option<&str>) -> Self {
        if error == "access_denied" {
            return Self::Denied;
        }
        let error = quoted(error);
        match description.map(quoted).filter(|text| !text.is_empty()) {
            Some(description) => Self::Refused(format!("{error}: {description}")),
            None => Self::Refused(error),
        }
    }
}

impl From<OutboundError> for OidcError {
    fn from(error: OutboundError) -> Self {
        Self::Unreachable(error.to_string())
    }
}

impl From<OidcError> for IdTokenError {
    fn from(error: OidcError) -> Self {
        match error {
            OidcError::IdToken(error) => error,
            error => Self::Unreachable(error.to_string()),
        }
    }
}

/// The most characters of a provider's words that are repeated.
const LONGEST_QUOTE: usize = 160;
/// Longer words are no words: they may be tokens.
const LONGEST_WORD: usize = 40;

/// A provider's words, fit to be repeated: one short line without addresses and without anything that may be a token.
fn quoted(text: &str) -> String {
    let mut line = String::new();
    for word in text.split(|character: char| character.is_whitespace() || character.is_control()) {
        if word.is_empty() {
            continue;
        }
        let shown = if word.contains("://") || word.chars().count() > LONGEST_WORD { "…" } else { word };
        if line.chars().count() + shown.chars().count() >= LONGEST_QUOTE {
            line.push('…');
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(shown.chars().filter(|character| is_plain(*character)));
    }
    line.trim_end_matches('.').to_owned()
}

/// Letters, digits and ASCII punctuation of every day; no markup, and nothing that turns the direction of writing.
fn is_plain(character: char) -> bool {
    character.is_alphanumeric() || " .,:;!?'()_-+/=…".contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_provider_says_is_cut_to_plain_words() {
        let token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl";
        for (error, description, shown) in [
            ("invalid_scope", None, "invalid_scope"),
            ("invalid_scope", Some(""), "invalid_scope"),
            ("invalid_scope", Some("There is\r\nno such."), "invalid_scope: There is no such"),
            ("x", Some("<b onload=1>hi</b>\u{202e}\0"), "x: b onload=1hi/b"),
            ("x", Some(token), "x: …"),
            ("x", Some("see https://u:p@example.org/?code=1 for more"), "x: see … for more"),
        ] {
            let said = OidcError::refused(error, description);
            assert_eq!(said, OidcError::Refused(shown.to_owned()));
        }
        let long = OidcError::refused("x", Some(&"word ".repeat(500))).to_string();
        assert!(long.chars().count() < 250, "{long}");
    }
}
