//! Codes as people type them: with the blanks and hyphens that programs show for the eye and keyboards add.
//! Authenticator codes and backup codes are compared without them.
//! Knows no code.

use zeroize::Zeroizing;

/// A code without what was added for the eye.
pub fn bare(typed: &str) -> Zeroizing<String> {
    Zeroizing::new(typed.chars().filter(|character| !character.is_whitespace() && *character != '-').collect())
}
