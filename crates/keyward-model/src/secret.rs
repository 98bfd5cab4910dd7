//! A wrapper that keeps secrets out of logs, errors and debug prints.
//! Everything that holds a password, token or key wraps it; reading it takes a visible call to [`Secret::reveal`].
//! Does not encrypt: it only refuses to be printed, and wipes its memory when dropped.

use std::fmt;

use serde::{Deserialize, Deserializer};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroize;

/// A value that prints as `[secret]`, is wiped on drop and is compared in a time that tells nothing but its length.
#[derive(Clone, Default)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself. Never pass the result to a log or an error.
    pub const fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize + AsRef<[u8]>> PartialEq for Secret<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_ref().ct_eq(other.0.as_ref()).into()
    }
}

impl<T: Zeroize + AsRef<[u8]>> Eq for Secret<T> {}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl<T: Zeroize> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<'de, T: Zeroize + Deserialize<'de>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn equal_is_what_has_the_same_bytes() {
        let secret = |text: &str| Secret::new(text.to_owned());
        assert_eq!(secret("abcd"), secret("abcd"));
        for other in ["abce", "bbcd", "abc", "abcde", "", "ABCD"] {
            assert_ne!(secret("abcd"), secret(other), "{other}");
        }
        assert_eq!(format!("{:?}", secret("abcd")), "[secret]");
    }

    /// A secret that is taken out of its wrapper loses its careful comparison, so nobody may compare it there.
    // cases: AC-45
    #[test]
    fn no_secret_is_compared_outside_of_its_wrapper() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut read = 0;
        let mut found = Vec::new();
        for member in std::fs::read_dir(crates).unwrap() {
            let mut folders = vec![member.unwrap().path().join("src")];
            while let Some(folder) = folders.pop() {
                for entry in std::fs::read_dir(&folder).into_iter().flatten() {
                    let path = entry.unwrap().path();
                    if path.is_dir() {
                        folders.push(path);
                    } else if path.extension().is_some_and(|end| end == "rs") {
                        let text = std::fs::read_to_string(&path).unwrap();
                        read += 1;
                        // Tests may compare as they like; they stand last in every file.
                        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
                        let compares =
                            |line: &&str| line.contains("reveal()") && (line.contains(" == ") || line.contains(" != "));
                        found.extend(code.lines().filter(compares).map(|line| format!("{}: {}", path.display(), line.trim())));
                    }
                }
            }
        }
        assert!(read > 100, "the sources were read: {read}");
        // Whether there is a secret at all is no secret.
        found.retain(|line| !line.contains(".len()") && !line.contains("is_empty()"));
        assert!(found.is_empty(), "compared in a time that tells how much is right: {found:#?}");
    }
}
