//! Passwords that are guessed first: a list that is asked without a network, whatever else is configured.
//! The password policy calls it for every password that people choose.
//! Knows no counts and no people; the list and its licence lie in `data/`.

/// Lower case, sorted by bytes, one a line. Taken from the frequency lists of `@zxcvbn-ts/language-common` 4.1.3 (MIT): what has
/// eight or more characters, and six or more among the 12 000 most frequent.
const LIST: &str = include_str!("../data/common-passwords.txt");

/// Whether a password is one of them, in whatever case, alone or with the white space around it that keyboards add.
pub(crate) fn is_common(password: &str) -> bool {
    let password = password.trim().to_lowercase();
    !password.is_empty() && !password.contains('\n') && contains(LIST, &password)
}

/// Looks a line up by halving the text; nothing of the list is copied.
fn contains(mut text: &str, wanted: &str) -> bool {
    while !text.is_empty() {
        // Every entry is ASCII, so any byte is the start of a character.
        let middle = text.len() / 2;
        let start = text[..middle].rfind('\n').map_or(0, |end| end + 1);
        let end = text[start..].find('\n').map_or(text.len(), |length| start + length);
        match wanted.cmp(&text[start..end]) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => text = &text[..start],
            std::cmp::Ordering::Greater => text = text.get(end + 1..).unwrap_or_default(),
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_found_and_nothing_else() {
        let lines: Vec<_> = LIST.lines().collect();
        assert!(lines.len() >= 10_000, "{}", lines.len());
        assert!(lines.is_sorted() && LIST.is_ascii());
        for line in &lines {
            assert!(is_common(line), "{line}");
            assert!(!is_common(&format!("{line} of 7 seas")), "{line}");
        }
    }

    #[test]
    fn spelling_does_not_help() {
        for password in ["Password", "PASSWORD1", " password ", "iloveyou", "Baseball"] {
            assert!(is_common(password), "{password}");
        }
        for password in ["", "\n", "password\n1234567", "correct horse battery", "пароль"] {
            assert!(!is_common(password), "{password}");
        }
    }
}
