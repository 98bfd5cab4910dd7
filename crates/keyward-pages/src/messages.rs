//! Messages as boxes: which colour, which icon, what is bold, and in which section they belong.
//! Page builders turn `ui.messages` and stray nodes into these.
//! The sentences come from the flow; the pages have their own where they can say more.

use keyward_model::Lang;
use serde::Serialize;

use crate::flow::Text;
use crate::{safe, texts};

/// Flows that were replaced because they had expired: the person did nothing wrong.
const REPLACED: [u64; 5] = [4_050_001, 4_010_001, 4_040_001, 4_060_005, 4_070_005];
/// Messages about the password that stand at the form when they have no field.
const ABOUT_PASSWORD: [u64; 6] = [RECOVERED, 4_000_031, 4_000_032, 4_000_033, 4_000_034, 4_000_039];
/// Somebody is back in their account.
const RECOVERED: u64 = 1_060_001;
/// The identifier belongs to another account.
const TAKEN: [u64; 3] = [4_000_007, 4_000_027, 4_000_028];
/// Somebody's account elsewhere can be connected to the account that has the same address.
pub(crate) const CONNECTS: u64 = 1_010_016;
/// An organization looks after the account, and after what is connected to it.
const ORGANIZATION: u64 = 1_050_023;
/// Only few backup codes are left: the one warning that refuses nothing.
const FEW_CODES: u64 = 7_900_002;
/// From this many seconds on a wait is told in minutes.
const MINUTES_FROM: u64 = 91;
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
    /// Whether something was refused: such a box takes the focus.
    pub(crate) refusal: bool,
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
    pub(crate) fn from_flow(lang: Lang, message: &Text<'_>) -> Self {
        Self::from_node(lang, message, "")
    }

    /// The same for a message that stood at the field with this name, which is not on the page.
    pub(crate) fn from_node(lang: Lang, message: &Text<'_>, field: &str) -> Self {
        let (tone, icon) = match message.kind {
            _ if message.id == FEW_CODES || REPLACED.contains(&message.id) => ("warn", "warn"),
            "error" => ("bad", "stop"),
            "success" => ("good", "ok"),
            _ => ("info", "info"),
        };
        let text = sentence(lang, message, field);
        let (head, body) = if tone == "info" { (String::new(), text) } else { split(&text) };
        let refusal = matches!(tone, "bad" | "warn") && message.id != FEW_CODES;
        Self { tone, icon, head, body, action: None, refusal, id: message.id }
    }

    /// A notice of our own that something was done.
    pub(crate) fn done(text: &str) -> Self {
        let (head, body) = split(text);
        Self { tone: "good", icon: "ok", head, body, action: None, refusal: false, id: 0 }
    }

    /// A refusal of our own.
    pub(crate) fn refusal(text: &str) -> Self {
        Self { tone: "bad", icon: "stop", refusal: true, ..Self::done(text) }
    }

    /// A warning of our own that refuses nothing.
    pub(crate) fn warning(text: &str) -> Self {
        Self { tone: "warn", icon: "warn", ..Self::done(text) }
    }

    /// A neutral notice of our own.
    pub(crate) fn note(text: &str) -> Self {
        Self { tone: "info", icon: "info", head: String::new(), body: text.to_owned(), action: None, refusal: false, id: 0 }
    }

    pub(crate) fn is_refusal(&self) -> bool {
        self.refusal
    }

    /// Both sentences, as they stand at a field.
    pub(crate) fn text(&self) -> String {
        [self.head.as_str(), self.body.as_str()].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn says_recovered(&self) -> bool {
        self.id == RECOVERED
    }

    pub(crate) fn says_taken(&self) -> bool {
        TAKEN.contains(&self.id)
    }

    /// The settings section that the message is about, when its id tells.
    pub(crate) fn section(&self) -> Option<&'static str> {
        match self.id {
            ORGANIZATION => Some("oidc"),
            id => ABOUT_PASSWORD.contains(&id).then_some("password"),
        }
    }
}

/// What a message says, at the field with this name; empty for a message that stands at no field.
pub(crate) fn sentence(lang: Lang, message: &Text<'_>, field: &str) -> String {
    let known = |key: &str| texts::fill(lang, key, &[]);
    match (message.id, field) {
        // The instant is for programs; who has just come back need not hurry.
        (RECOVERED, _) => known("recovered"),
        (4_000_002 | 4_000_003, "totp_code") => known("totp_short"),
        (4_000_002 | 4_000_003, "lookup_secret") => known("backup_missing"),
        (4_000_002 | 4_000_003, "webauthn_register_displayname" | "passkey_display_name") => known("name_missing"),
        (4_000_002 | 4_000_003, "code") => known("code_missing"),
        (4_000_002 | 4_000_003, "email" | "recovery_address" | "recovery_confirm_address") => known("address_missing"),
        (1_010_012, _) => known("key_ready"),
        (CONNECTS, _) => connects(lang, message),
        (4_000_011, _) => known("totp_absent"),
        (4_000_014, _) => known("backup_absent"),
        (7_900_001, _) => match message.number("retry_after") {
            Some(seconds) => wait(lang, seconds),
            None => message.text.to_owned(),
        },
        (FEW_CODES, _) => match message.number("left") {
            Some(0) => known("codes_left_none"),
            Some(1) => known("codes_left_one"),
            Some(left) => texts::fill(lang, "codes_left", &[("left", &left.to_string())]),
            None => message.text.to_owned(),
        },
        _ => message.text.to_owned(),
    }
}

/// Whose account it is and what will be connected to it; both names come from elsewhere.
fn connects(lang: Lang, message: &Text<'_>) -> String {
    let value = |name: &str| message.value(name).map(safe::cut);
    let who = value("duplicateIdentifier").or_else(|| value("duplicate_identifier"));
    match (who, value("provider")) {
        (Some(who), Some(provider)) => texts::fill(lang, "connect_text", &[("who", &who), ("provider", &provider)]),
        _ => message.text.to_owned(),
    }
}

/// How long to wait, in words; never shorter than it is.
fn wait(lang: Lang, seconds: u64) -> String {
    match seconds {
        0..=1 => texts::fill(lang, "wait_moment", &[]),
        2..MINUTES_FROM => texts::fill(lang, "wait_seconds", &[("seconds", &seconds.to_string())]),
        _ => texts::fill(lang, "wait_minutes", &[("minutes", &seconds.div_ceil(60).to_string())]),
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
            (7_900_001, "error", "bad"),
            (7_900_002, "info", "warn"),
            (7_999_999, "surprise", "info"),
        ] {
            let message = json!({"id": id, "text": "Something happened. Do that.", "type": kind});
            let shown = MessageBox::from_flow(Lang::En, &Text::read(&message).expect("text"));
            assert_eq!(shown.tone, tone, "{id}");
            assert_eq!(shown.is_refusal(), kind == "error", "{id}");
        }
    }

    #[test]
    fn waits_and_numbers_are_told_in_words() {
        for (id, context, en, de) in [
            (7_900_001, json!({"retry_after": 1}), "Wait a moment", "Warten Sie einen Moment"),
            (7_900_001, json!({"retry_after": 30}), "Wait 30 seconds", "Warten Sie 30 Sekunden"),
            (7_900_001, json!({"retry_after": 91}), "Wait 2 minutes", "Warten Sie 2 Minuten"),
            (7_900_001, json!({"retry_after": 3600}), "Wait 60 minutes", "Warten Sie 60 Minuten"),
            (7_900_002, json!({"left": 0}), "No backup code is left.", "Kein Ersatzcode ist mehr übrig."),
            (7_900_002, json!({"left": 1}), "Only one backup code is left.", "Nur ein Ersatzcode ist noch übrig."),
            (7_900_002, json!({"left": 3}), "Only 3 backup codes are left.", "Nur 3 Ersatzcodes sind noch übrig."),
            (7_900_001, json!({}), "as sent", "as sent"),
            (7_900_002, json!({"left": "x"}), "as sent", "as sent"),
            (1_234, json!({"left": 3}), "as sent", "as sent"),
        ] {
            let message = json!({"id": id, "text": "as sent", "type": "error", "context": context});
            let message = Text::read(&message).expect("text");
            for (lang, want) in [(Lang::En, en), (Lang::De, de)] {
                let said = sentence(lang, &message, "");
                assert!(said.contains(want), "{id} {context}: {said}");
            }
        }
    }

    /// Where the pages know more than the server, they say more; the rest stays as the server says it.
    #[test]
    fn what_the_pages_know_better_has_words_of_ours() {
        for (id, field) in [
            (4_000_002, "totp_code"),
            (4_000_003, "totp_code"),
            (4_000_002, "lookup_secret"),
            (4_000_011, ""),
            (4_000_014, ""),
            (7_900_001, ""),
            (7_900_002, ""),
        ] {
            let row = keyward_model::messages().iter().find(|row| u64::from(row.id) == id).expect("a message of the table");
            let message = json!({"id": id, "text": row.de, "type": "error", "context": {"retry_after": 5, "left": 2}});
            let said = sentence(Lang::De, &Text::read(&message).expect("text"), field);
            assert_ne!(said, row.de, "{id}");
        }
    }

    #[test]
    fn the_first_sentence_is_what_happened() {
        assert_eq!(split("This is wrong. Try again. Really."), ("This is wrong.".into(), "Try again. Really.".into()));
        assert_eq!(
            split("Nur z. B. so geht es. Versuchen Sie es."),
            ("Nur z. B. so geht es.".into(), "Versuchen Sie es.".into())
        );
        assert_eq!(split("No end"), ("No end".into(), String::new()));
    }
}
