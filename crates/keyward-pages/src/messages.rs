//! Messages as boxes: which colour, which icon, what is bold, and in which section they belong.
//! Page builders turn `ui.messages` and stray nodes into these.
//! The sentences themselves come from the flow.

use serde::Serialize;

use crate::flow::Text;

/// Flows that were replaced because they had expired: the person did nothing wrong.
const REPLACED: [u64; 5] = [4_050_001, 4_010_001, 4_040_001, 4_060_005, 4_070_005];
/// Messages about the password that stand at the form when they have no field.
const ABOUT_PASSWORD: [u64; 6] = [1_060_001, 4_000_031, 4_000_032, 4_000_033, 4_000_034, 4_000_039];
/// The identifier belongs to another account.
const TAKEN: [u64; 2] = [4_000_007, 4_000_028];
/// A first sentence shorter than this is more likely an abbreviation.
const SHORTEST_SENTENCE: usize = 12;

/// A message box.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct MessageBox {
    /// `info`, `good`, `warn` or `bad`.
    pub(crate) tone: &'static str,
    pub(crate) icon: &'static str,
    /// What happened; bold unless the message is a mere hint.
    pub(crate) head: String,
    /// What to do.
    pub(crate) body: String,
    /// At most one way on.
    pub(crate) action: Option<Link>,
    #[serde(skip)]
    pub(crate) id: u64,
}

/// A link with its words.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Link {
    pub(crate) text: String,
    pub(crate) href: String,
}

impl MessageBox {
    pub(crate) fn from_flow(message: &Text<'_>) -> Self {
        let (tone, icon) = match message.kind {
            _ if REPLACED.contains(&message.id) => ("warn", "warn"),
            "error" => ("bad", "stop"),
            "success" => ("good", "ok"),
            _ => ("info", "info"),
        };
        let (head, body) = if tone == "info" { (String::new(), message.text.to_owned()) } else { split(message.text) };
        Self { tone, icon, head, body, action: None, id: message.id }
    }

    /// A notice of our own that something was done.
    pub(crate) fn done(text: &str) -> Self {
        let (head, body) = split(text);
        Self { tone: "good", icon: "ok", head, body, action: None, id: 0 }
    }

    /// A neutral notice of our own.
    pub(crate) fn note(text: &str) -> Self {
        Self { tone: "info", icon: "info", head: String::new(), body: text.to_owned(), action: None, id: 0 }
    }

    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self.tone, "bad" | "warn")
    }

    pub(crate) fn says_taken(&self) -> bool {
        TAKEN.contains(&self.id)
    }

    /// The settings section that the message is about, when its id tells.
    pub(crate) fn section(&self) -> Option<&'static str> {
        ABOUT_PASSWORD.contains(&self.id).then_some("password")
    }
}

/// The first sentence and the rest.
fn split(text: &str) -> (String, String) {
    let end = text
        .match_indices(['.', '?', '!'])
        .map(|(at, mark)| at + mark.len())
        .find(|&end| end >= SHORTEST_SENTENCE && text[end..].starts_with(' '));
    match end {
        Some(end) => (text[..end].to_owned(), text[end..].trim_start().to_owned()),
        None => (text.to_owned(), String::new()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tone_follows_type_and_expired_flows_are_no_errors() {
        for (id, kind, tone) in [
            (4_000_006, "error", "bad"),
            (1_050_001, "success", "good"),
            (1_010_003, "info", "info"),
            (4_010_001, "error", "warn"),
            (7_900_001, "surprise", "info"),
        ] {
            let message = json!({"id": id, "text": "Something happened. Do that.", "type": kind});
            let shown = MessageBox::from_flow(&Text::read(&message).expect("text"));
            assert_eq!(shown.tone, tone, "{id}");
        }
    }

    #[test]
    fn the_first_sentence_is_what_happened() {
        assert_eq!(split("This is wrong. Try again. Really."), ("This is wrong.".into(), "Try again. Really.".into()));
        assert_eq!(split("Nur z. B. so geht es. Versuche es."), ("Nur z. B. so geht es.".into(), "Versuche es.".into()));
        assert_eq!(split("No end"), ("No end".into(), String::new()));
    }
}
