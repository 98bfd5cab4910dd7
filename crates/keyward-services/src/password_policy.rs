//! Judges a new password by its length and by its likeness to the person's identifiers.
//! Every path on which people set a password themselves calls it, before the breach lookup and the hashing.
//! Does not know hashers or breach lists; upper limits are theirs.

/// What a new password has to satisfy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordPolicy {
    /// The fewest bytes (not characters).
    pub min_length: usize,
    /// Whether passwords that resemble an identifier are refused.
    pub similarity_check: bool,
}

/// Why a password is refused, with the numbers that the message names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordViolation {
    /// Fewer bytes than required.
    #[error("the password has {actual_length} of at least {min_length} bytes")]
    TooShort {
        /// The fewest bytes allowed.
        min_length: usize,
        /// The bytes the password has.
        actual_length: usize,
    },
    /// Too much like an identifier.
    #[error("the password is too similar to an identifier")]
    TooSimilar,
}

impl PasswordPolicy {
    /// Checks length, then likeness to each identifier; the first violation decides, as only one message is shown.
    ///
    /// # Errors
    /// The violation.
    pub fn check<'a>(&self, password: &str, identifiers: impl IntoIterator<Item = &'a str>) -> Result<(), PasswordViolation> {
        if password.len() < self.min_length {
            return Err(PasswordViolation::TooShort { min_length: self.min_length, actual_length: password.len() });
        }
        if self.similarity_check && identifiers.into_iter().any(|identifier| are_similar(password, identifier)) {
            return Err(PasswordViolation::TooSimilar);
        }
        Ok(())
    }
}

/// Longer texts are not compared: the work grows with the product of both lengths.
const LONGEST_COMPARED: usize = 256;
const LEAST_DISTANCE: usize = 5;

fn are_similar(password: &str, identifier: &str) -> bool {
    if password.len() > LONGEST_COMPARED || identifier.len() > LONGEST_COMPARED {
        return false;
    }
    let (password, identifier) = (password.to_lowercase(), identifier.to_lowercase());
    // "Longer than half of the password", without fractions.
    edit_distance(&password, &identifier) < LEAST_DISTANCE
        || 2 * longest_common_substring(password.as_bytes(), identifier.as_bytes()) > password.len()
}

/// Levenshtein distance in characters, with one row of memory.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// Length in bytes of the longest run that stands in both, with one row of memory.
fn longest_common_substring(a: &[u8], b: &[u8]) -> usize {
    let mut longest = 0;
    // row[j + 1]: the common run that ends at the present byte of `a` and at b[j].
    let mut row = vec![0_usize; b.len() + 1];
    for from in a {
        for j in (0..b.len()).rev() {
            row[j + 1] = if *from == b[j] { row[j] + 1 } else { 0 };
            longest = longest.max(row[j + 1]);
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: PasswordPolicy = PasswordPolicy { min_length: 8, similarity_check: true };

    #[test]
    fn length_is_counted_in_bytes() {
        for (password, actual) in
            [("", Some(0)), ("1234567", Some(7)), ("12345678", None), ("ééé", Some(6)), ("éééé", None), ("😀😀", None)]
        {
            let expected =
                actual.map_or(Ok(()), |actual_length| Err(PasswordViolation::TooShort { min_length: 8, actual_length }));
            assert_eq!(POLICY.check(password, []), expected, "{password}");
        }
    }

    #[test]
    fn likeness_to_an_identifier() {
        let long = "x".repeat(257);
        for (password, identifier, refused) in [
            ("hunter@example.org", "hunter@example.org", true),
            ("HUNTER@Example.ORG", "hunter@example.org", true),
            // Distance 4 is too near, 5 is not when the common run is short.
            ("ab1cd2ef3gh4", "abcdefgh", true),
            ("ab1cd2ef3gh4i5", "abcdefghi", false),
            // Half of the password may be shared, more may not.
            ("abcdef123456", "abcdef-and-something-longer", false),
            ("abcdefg123456", "abcdefg-and-something-longer", true),
            ("abcdefg1234567", "abcdefg-and-something-longer", false),
            ("correct horse battery", "hunter@example.org", false),
            ("12345678", "", false),
            ("ÄÖÜßäöüß", "äöüßäöüß", true),
            (long.as_str(), long.as_str(), false),
            (&long[..256], &long[..256], true),
            ("xxxxxxxxxxxx", long.as_str(), false),
        ] {
            assert_eq!(POLICY.check(password, ["nobody@else.example", identifier]).is_err(), refused, "{password} {identifier}");
            let relaxed = PasswordPolicy { similarity_check: false, ..POLICY };
            assert_eq!(relaxed.check(password, [identifier]), Ok(()));
        }
    }

    #[test]
    fn distances_and_runs() {
        for (a, b, distance, run) in [
            ("", "", 0, 0),
            ("abc", "", 3, 0),
            ("", "abc", 3, 0),
            ("kitten", "sitting", 3, 3),
            ("flaw", "lawn", 2, 3),
            ("abcabc", "abc", 3, 3),
            ("aaaa", "aa", 2, 2),
            ("xabcy", "zabcw", 2, 3),
        ] {
            assert_eq!(edit_distance(a, b), distance, "{a} {b}");
            assert_eq!(longest_common_substring(a.as_bytes(), b.as_bytes()), run, "{a} {b}");
        }
        assert_eq!(edit_distance("é", "e"), 1);
    }
}
