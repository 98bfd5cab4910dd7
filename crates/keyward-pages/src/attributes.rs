//! Attributes of a field that follow from its node: type, help of the browser, keys of a phone.
//! The form builder asks for each field that it makes.
//! It knows names of the wire and no page.

use crate::flow::Node;

/// The type of an input that takes text, as far as browsers have it.
pub(crate) fn input_type(node: &Node<'_>, value: Option<&str>) -> String {
    let known = ["text", "password", "number", "checkbox", "email", "tel", "datetime-local", "date", "url"];
    let wanted = node.input_type();
    match wanted {
        // Browsers blank a value with an offset in such a field, and a blank would be sent back.
        "datetime-local" if value.is_some_and(|value| value.len() > 16) => "text".to_owned(),
        _ if known.contains(&wanted) => wanted.to_owned(),
        _ => "text".to_owned(),
    }
}

/// What the browser may fill in (HTML Living Standard section 4.10.18.7.1): as the flow says, else by the name.
pub(crate) fn autocomplete(node: &Node<'_>, setting_password: bool) -> Option<String> {
    let by_name = match node.name() {
        "totp_code" | "code" => "one-time-code",
        "identifier" | "recovery_address" => "username",
        "email" | "recovery_confirm_address" => "email",
        "lookup_secret" | "webauthn_register_displayname" => "off",
        "password" if setting_password => "new-password",
        "password" => "current-password",
        "traits.name" => "name",
        "traits.name.first" | "traits.first_name" | "traits.given_name" => "given-name",
        "traits.name.last" | "traits.last_name" | "traits.family_name" => "family-name",
        "traits.username" => "username",
        _ => "",
    };
    node.attribute("autocomplete")
        .filter(|word| !word.is_empty())
        .or(Some(by_name))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
}

/// Which keys a phone shows.
pub(crate) fn inputmode(node: &Node<'_>, code: bool) -> Option<&'static str> {
    let mail = node.name() == "identifier"
        && node.label.and_then(|label| label.value("name")).is_some_and(|name| name.to_ascii_lowercase().ends_with("email"));
    if code { Some("numeric") } else { mail.then_some("email") }
}
