//! What people call an authenticator, by the AAGUID that it tells of itself.
//! Settings name new passkeys so and show the model beside each key.
//! For eyes only: an AAGUID that nobody attested proves nothing (WebAuthn Level 3, section 6.5.1).

use uuid::Uuid;

/// `aaguid<TAB>name`, sorted; lines that begin with `#` tell where it is from.
const MODELS: &str = include_str!("../../data/aaguids.tsv");

/// The name of a model; `None` when it is unknown or the authenticator does not tell.
pub(super) fn model(aaguid: &[u8]) -> Option<&'static str> {
    let wanted = Uuid::from_slice(aaguid).ok().filter(|id| !id.is_nil())?;
    let mut buffer = Uuid::encode_buffer();
    let wanted: &str = wanted.hyphenated().encode_lower(&mut buffer);
    MODELS.lines().find_map(|line| line.strip_prefix(wanted)?.strip_prefix('\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_names_a_model_and_they_are_sorted() {
        let lines: Vec<_> = MODELS.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(lines.len() > 300);
        assert!(lines.is_sorted());
        for line in lines {
            let (id, name) = line.split_once('\t').expect(line);
            assert_eq!(model(Uuid::parse_str(id).expect(line).as_bytes()), Some(name));
        }
    }

    #[test]
    fn nobody_is_named_for_a_missing_or_blank_id() {
        for aaguid in [&[][..], &[0; 16], &[7; 16], &[7; 3]] {
            assert_eq!(model(aaguid), None);
        }
    }
}
