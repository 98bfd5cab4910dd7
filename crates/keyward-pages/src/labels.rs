//! Words for nodes: labels and button verbs by message id and by what the page is for.
//! Form builders ask here for every node that shows a label.
//! Labels without an entry keep the text of the flow, which is localised already; names that people chose are cut and quoted.

use keyward_model::Lang;

use crate::flow::{Node, Text};
use crate::{safe, texts};

/// What the person came to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    SignIn,
    /// Sign-in to an account that one from elsewhere is then connected to (login flow with message 1010016).
    Connect,
    /// Sign-in again, to confirm a change (login flow with `refresh`).
    Confirm,
    SignUp,
    Recover,
    Verify,
    Settings,
}

/// The label of a field, text or picture.
pub(crate) fn field(lang: Lang, purpose: Purpose, node: &Node<'_>) -> String {
    let known = |key: &str| texts::fill(lang, key, &[]);
    match node.label {
        Some(label) => match label.id {
            1_070_001 if purpose == Purpose::Settings => known("new_password"),
            1_070_001 => known("password"),
            1_070_004 => known("identifier"),
            1_050_005 => known("totp_scan"),
            1_050_010 => known("lookup_secret"),
            1_050_013 => known("key_name"),
            1_050_017 => known("totp_key"),
            1_010_006 => known("totp_app_code"),
            1_010_007 => known("backup_code"),
            1_070_006 | 1_070_010..=1_070_013 => known("totp_code"),
            1_070_002 => title(lang, node, &label),
            _ => plain(node, &label),
        },
        None => human(node.name()),
    }
}

/// Titles of schemas that are written in English, of fields that nearly every service has.
const TITLES: [(&str, &[&str]); 7] = [
    ("title_email", &["email", "e-mail", "email address", "e-mail address"]),
    ("title_name", &["name", "full name", "your name"]),
    ("title_first_name", &["first name", "given name"]),
    ("title_last_name", &["last name", "family name", "surname"]),
    ("title_username", &["username", "user name"]),
    ("title_phone", &["phone", "phone number", "telephone number"]),
    ("title_website", &["website", "web site"]),
];

/// The title that the schema gives a field. There is one for all languages, so pages in another one know the usual ones.
fn title(lang: Lang, node: &Node<'_>, label: &Text<'_>) -> String {
    let said = plain(node, label);
    let usual = |titles: &[&str]| titles.iter().any(|title| title.eq_ignore_ascii_case(said.trim()));
    match TITLES.iter().find(|(_, titles)| usual(titles)) {
        Some((key, _)) if lang != Lang::En => texts::fill(lang, key, &[]),
        _ => said,
    }
}

/// The verb of a submit or trigger.
pub(crate) fn verb(lang: Lang, purpose: Purpose, node: &Node<'_>) -> String {
    let known = |key: &str| texts::fill(lang, key, &[]);
    if node.name() == "method"
        && let Some(key) = method_verb(purpose, node)
    {
        return known(key);
    }
    let Some(label) = node.label else { return human(node.name()) };
    let provider = |key: &str| {
        let name = label.value("provider").map_or_else(|| node.value().unwrap_or_default(), str::to_owned);
        texts::fill(lang, key, &[("provider", &safe::cut(&name))])
    };
    let owned = |key: &str| {
        let name = label.value("display_name").map_or_else(|| known("unnamed"), safe::cut);
        texts::fill(lang, key, &[("name", &name)])
    };
    match label.id {
        1_010_002 if purpose == Purpose::Confirm => provider("provider_confirm"),
        1_010_002 => provider("provider_sign_in"),
        1_010_017 => known("sign_in_connect"),
        1_010_018 => provider("provider_confirm"),
        1_040_003 => known("continue"),
        1_040_002 => provider("provider_sign_up"),
        1_050_002 => provider("provider_link"),
        1_050_003 => provider("provider_unlink"),
        1_010_008 if purpose == Purpose::Confirm => known("key_confirm"),
        1_010_008 => known("key_sign_in"),
        1_010_013 => known("key_use"),
        1_040_004 => known("key_sign_up"),
        1_010_021 if purpose == Purpose::Confirm => known("passkey_confirm"),
        1_010_021 => known("passkey_sign_in"),
        1_040_007 => known("passkey_sign_up"),
        1_050_019 => known("passkey_add"),
        1_050_020 => owned("passkey_remove"),
        1_050_012 => known("key_add"),
        1_050_018 => owned("key_remove"),
        1_050_004 => known("totp_remove"),
        1_050_007 => known("codes_show"),
        1_050_008 => known("codes_make"),
        1_050_011 => known("codes_saved"),
        1_050_016 => known("codes_off"),
        1_010_023 => {
            let address = label.value("address").map_or_else(|| node.value().unwrap_or_default(), str::to_owned);
            texts::fill(lang, "code_to", &[("address", &safe::cut(&address))])
        }
        1_070_008 => known("resend"),
        1_040_008 | 1_060_007 => known("back"),
        _ => plain(node, &label),
    }
}

fn method_verb(purpose: Purpose, node: &Node<'_>) -> Option<&'static str> {
    let method = node.value();
    Some(match (purpose, method.as_deref()?) {
        (Purpose::SignIn, "password") => "sign_in",
        (Purpose::Connect, "password") => "sign_in_connect",
        (Purpose::Confirm, "password") => "confirm",
        (Purpose::SignUp, "password") => "create_account",
        (Purpose::SignUp, "profile") | (_, "identifier_first") => "continue",
        (Purpose::SignIn | Purpose::Connect | Purpose::Confirm, "totp" | "lookup_secret") => "continue",
        (Purpose::SignIn | Purpose::Connect, "webauthn") => "key_sign_in",
        (Purpose::Confirm, "webauthn") => "key_confirm",
        (Purpose::Settings, "profile") => "save",
        (Purpose::Settings, "password") => "change_password",
        (Purpose::Settings, "totp") => "turn_on",
        (_, "link") => "send_link",
        // The same submit asks for a code first and hands it in later; the label's id tells which.
        (_, "code") if node.label.is_some_and(|label| matches!(label.id, 1_010_015 | 1_010_019 | 1_040_006)) => "send_code",
        _ => return None,
    })
}

/// The text of the label; a title from the identity schema comes before the sentence around it.
fn plain(node: &Node<'_>, label: &Text<'_>) -> String {
    let text = if label.id == 1_070_002 { label.value("title").unwrap_or(label.text) } else { label.text };
    if text.trim().is_empty() { human(node.name()) } else { text.to_owned() }
}

/// Readable words for a technical name: the last segment, with blanks.
pub(crate) fn human(name: &str) -> String {
    let last = name.rsplit('.').find(|part| !part.is_empty()).unwrap_or(name);
    let words = last.replace(['_', '-'], " ");
    let mut chars = words.trim().chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
