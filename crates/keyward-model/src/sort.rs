//! The order of nodes, which clients and snapshots rely on (contract: settings 2.6, login 5.5).
//! Stories call it once after all methods gave their nodes.
//! Knows nodes only by id, group and value.

use crate::{Group, Node};

/// What decides the order in one kind of flow.
pub struct NodeOrder<'a> {
    /// Groups in order; a group that is missing here comes first.
    pub groups: &'a [Group],
    /// Prefixes of node ids in order.
    pub keys: &'a [String],
}

/// Groups of the settings flow.
pub const SETTINGS_GROUPS: &[Group] = &[
    Group::Default,
    Group::Profile,
    Group::Password,
    Group::Oidc,
    Group::LookupSecret,
    Group::Webauthn,
    Group::Passkey,
    Group::Totp,
];

/// Groups of the login flow.
pub const LOGIN_GROUPS: &[Group] = &[
    Group::Oidc,
    Group::Default,
    Group::Webauthn,
    Group::Passkey,
    Group::Code,
    Group::Password,
    Group::Totp,
    Group::LookupSecret,
];

/// Groups of the registration flow.
pub const REGISTRATION_GROUPS: &[Group] = &[
    Group::Oidc,
    Group::Saml,
    Group::Default,
    Group::Webauthn,
    Group::Passkey,
    Group::Code,
    Group::Password,
    Group::Captcha,
    Group::Profile,
];

/// Keys of a settings flow, after the trait keys of its schema.
pub const SETTINGS_KEYS: &[&str] = &[
    "lookup_secret_reveal",
    "lookup_secret_regenerate",
    "lookup_secret_codes",
    "lookup_secret_confirm",
    "webauthn_remove",
    "webauthn_register_displayname",
    "webauthn_register",
    "passkey_remove",
    "passkey_register",
    "totp_qr",
    "totp_secret_key",
    "totp_unlink",
    "totp_code",
];

/// Sorts a settings form: groups first, then keys, then values; `csrf_token` stands first, `method` last in its group.
pub fn sort_settings(nodes: &mut [Node], order: &NodeOrder<'_>) {
    nodes.sort_by_cached_key(|node| {
        (node.id() != "csrf_token", group_position(order, node.group), key_position(order, node.id()), node.tiebreak())
    });
}

/// Sorts a login or registration form. The second pass compares only nodes of one group, or of `default` with `password`,
/// so it is no total order and its result depends on the algorithm: it has to be this insertion sort.
pub fn sort_entry(nodes: &mut [Node], order: &NodeOrder<'_>) {
    nodes.sort_by_key(|node| group_position(order, node.group));
    let comparable = |a: &Node, b: &Node| {
        a.group == b.group || matches!((a.group, b.group), (Group::Default, Group::Password) | (Group::Password, Group::Default))
    };
    let position = |node: &Node| (key_position(order, node.id()), node.tiebreak());
    for start in 1..nodes.len() {
        for index in (1..=start).rev() {
            let (left, right) = (&nodes[index - 1], &nodes[index]);
            if !comparable(left, right) || position(right) >= position(left) {
                break;
            }
            nodes.swap(index - 1, index);
        }
    }
}

fn group_position(order: &NodeOrder<'_>, group: Group) -> isize {
    order.groups.iter().position(|candidate| *candidate == group).map_or(-1, |index| isize::try_from(index).unwrap_or(isize::MAX))
}

fn key_position(order: &NodeOrder<'_>, id: &str) -> usize {
    if id == "method" {
        return usize::MAX;
    }
    // The wire looks for the first prefix; an exact key wins here, so that `traits.ab` never sorts as `traits.a`.
    let exact = order.keys.iter().position(|key| key == id);
    exact.or_else(|| order.keys.iter().position(|key| id.starts_with(key.as_str()))).unwrap_or(order.keys.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{InputType, Message};
    use serde_json::json;

    fn ids(nodes: &[Node]) -> Vec<String> {
        nodes.iter().map(|node| node.id().to_owned()).collect()
    }

    #[test]
    fn a_unified_registration_puts_the_password_behind_the_first_trait() {
        let keys: Vec<String> = ["csrf_token", "traits.email", "password", "traits.name"].map(str::to_owned).to_vec();
        let mut nodes = vec![
            Node::input(Group::Password, "password", InputType::Password),
            Node::submit(Group::Password, "method", "password", Message::plain(1_040_001)),
            Node::csrf("x"),
            Node::input(Group::Default, "traits.name", InputType::Text),
            Node::input(Group::Default, "traits.email", InputType::Email),
        ];
        sort_entry(&mut nodes, &NodeOrder { groups: REGISTRATION_GROUPS, keys: &keys });
        assert_eq!(ids(&nodes), ["csrf_token", "traits.email", "password", "traits.name", "method"]);
    }

    #[test]
    fn a_settings_form_goes_by_group_then_key_then_value() {
        let keys: Vec<String> =
            ["traits", "traits.email", "traits.age"].iter().chain(SETTINGS_KEYS).map(|key| (*key).to_owned()).collect();
        let mut nodes = vec![
            Node::submit(Group::Oidc, "unlink", "b", Message::plain(1_070_003)),
            Node::submit(Group::Oidc, "link", "a", Message::plain(1_070_003)),
            Node::submit(Group::Password, "method", "password", Message::plain(1_070_003)),
            Node::input(Group::Password, "password", InputType::Password),
            Node::submit(Group::Profile, "method", "profile", Message::plain(1_070_003)),
            Node::input(Group::Profile, "traits.email", InputType::Email).value(json!("x")),
            Node::csrf(""),
            Node::input(Group::LookupSecret, "lookup_secret_disable", InputType::Submit),
            Node::input(Group::LookupSecret, "lookup_secret_reveal", InputType::Submit),
        ];
        sort_settings(&mut nodes, &NodeOrder { groups: SETTINGS_GROUPS, keys: &keys });
        let expected = [
            "csrf_token",
            "traits.email",
            "method",
            "password",
            "method",
            "link",
            "unlink",
            "lookup_secret_reveal",
            "lookup_secret_disable",
        ];
        assert_eq!(ids(&nodes), expected);
    }
}
