//! Hooks as the configuration names them: which exist, in which list each may stand, and which this version runs.
//! The checker refuses wrong ones at the start; flows later run the typed lists in the order kept here.
//! Does not run anything.

use crate::check::walk;
use crate::document::{Node, Shape};
use crate::report::{Report, WarningKind};
use crate::settings::RawSettings;
use crate::tree::Branch;

/// One entry of a hook list.
#[derive(Debug, Clone, PartialEq)]
pub enum Hook {
    /// `session`: signs the person in right after registration. Always the last of its list.
    Session,
    /// `revoke_active_sessions`: ends the identity's other sessions.
    RevokeActiveSessions,
    /// `require_verified_address`: refuses a login without a verified address.
    RequireVerifiedAddress,
    /// `verification` or `verify`: starts a verification flow for the address.
    Verification,
    /// `show_verification_ui`: leads to the verification page.
    ShowVerificationUi,
    /// `verify_new_address`: an address change takes effect only after verification.
    VerifyNewAddress,
    /// `notify_previous_addresses`: tells earlier addresses about a change.
    NotifyPreviousAddresses(Recipients),
    /// `web_hook`: calls a URL; the value is its `config` as written.
    WebHook(RawSettings),
    /// A hook of a commercial product, by name; it does nothing.
    Commercial(String),
}

/// Whom `notify_previous_addresses` writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Recipients {
    /// Addresses that disappeared.
    #[default]
    Removed,
    /// Every address that was verified before.
    AllVerified,
    /// Every previous address.
    All,
}

impl Hook {
    /// Whether this version runs the hook; the others load with a warning.
    pub const fn runs(&self) -> bool {
        !matches!(self, Self::WebHook(_) | Self::Commercial(_))
    }

    fn named(name: &str, config: Option<&Node>) -> Option<Self> {
        Some(match name {
            "session" => Self::Session,
            "revoke_active_sessions" => Self::RevokeActiveSessions,
            "require_verified_address" => Self::RequireVerifiedAddress,
            "verification" | "verify" => Self::Verification,
            "show_verification_ui" => Self::ShowVerificationUi,
            "verify_new_address" => Self::VerifyNewAddress,
            "notify_previous_addresses" => {
                Self::NotifyPreviousAddresses(match config.and_then(|config| config.get("recipients")).and_then(Node::as_text) {
                    Some("all_verified") => Recipients::AllVerified,
                    Some("all") => Recipients::All,
                    _ => Recipients::Removed,
                })
            }
            "web_hook" => Self::WebHook(config.map(RawSettings::from_node).unwrap_or_default()),
            "b2b_sso" | "organization" => Self::Commercial(name.to_owned()),
            _ => return None,
        })
    }
}

const NAMES: &[&str] = &[
    "session",
    "revoke_active_sessions",
    "require_verified_address",
    "verification",
    "verify",
    "show_verification_ui",
    "verify_new_address",
    "notify_previous_addresses",
    "web_hook",
    "b2b_sso",
    "organization",
];

/// The names that one list takes besides `web_hook` and the commercial ones, by its dotted key.
fn allowed(path: &str) -> &'static [&'static str] {
    let segments: Vec<&str> = path.split('.').skip(2).collect();
    match segments.as_slice() {
        ["login", "after", "oidc", "hooks"] => &["revoke_active_sessions", "require_verified_address"],
        ["login", "after", "hooks"] | ["login", "after", _, "hooks"] => {
            &["revoke_active_sessions", "require_verified_address", "verification", "verify", "show_verification_ui"]
        }
        ["registration", "after", _, "hooks"] => &["session", "verification", "verify", "show_verification_ui"],
        ["settings", "after", "profile", "hooks"] => {
            &["verification", "verify", "show_verification_ui", "verify_new_address", "notify_previous_addresses"]
        }
        ["settings", "after", _, "hooks"] => &["revoke_active_sessions", "verification", "verify"],
        ["recovery", "after", "hooks"] => &["revoke_active_sessions"],
        _ => &[],
    }
}

/// Checks one list of hooks and warns about those that this version does not run.
pub(crate) fn check(node: &Node, branch: &Branch, path: &str, quiet: bool, report: &mut Report) {
    let Shape::List(items) = &node.value else {
        report.refuse(&node.at, path, format!("expected a list of hooks, found {}", node.kind_name()));
        return;
    };
    for (index, item) in items.iter().enumerate() {
        let key = format!("{path}.{index}");
        let Some(name) = item.get("hook").and_then(Node::as_text) else {
            if let Shape::Map(_) = item.value {
                report.refuse(&item.at, key, "expected an entry with the key hook and the name of a hook as text");
            } else {
                report.refuse(&item.at, key, format!("expected an object with the key hook, found {}", item.kind_name()));
            }
            continue;
        };
        let at = item.get("hook").map_or(&item.at, |hook| &hook.at);
        let config = item.find("config");
        let Some(hook) = Hook::named(name, config) else {
            let names = NAMES.join(", ");
            report.refuse(at, key, format!("there is no hook \"{}\"; known are {names}", name.escape_debug()));
            continue;
        };
        if let Hook::Commercial(_) = hook {
            let message = format!("the hook {name} belongs to a commercial product; it has no effect here");
            report.warn(WarningKind::Commercial, at, key, message);
            continue;
        }
        if name != "web_hook" && !allowed(path).contains(&name) {
            let fitting: Vec<&str> = allowed(path).iter().copied().chain(["web_hook"]).collect();
            report.refuse(at, key, format!("the hook {name} cannot stand in this list; it takes {}", fitting.join(", ")));
            continue;
        }
        if items[..index].iter().any(|earlier| earlier.to_json() == item.to_json()) {
            report.refuse(at, key.clone(), format!("the hook {name} stands in this list twice"));
        }
        if let Some(shape) = &branch.items {
            walk(item, shape, &key, true, report);
        }
        if let Hook::WebHook(_) = hook {
            web_hook(item, config, &key, report);
        }
        if !hook.runs() && !quiet {
            report.warn(WarningKind::NotYet, at, key, format!("the hook {name} is known, but this version does not run it yet"));
        }
    }
}

fn web_hook(item: &Node, config: Option<&Node>, key: &str, report: &mut Report) {
    for needed in ["url", "method"] {
        if config.and_then(|config| config.find(needed)).is_none() {
            report.refuse(&item.at, format!("{key}.config.{needed}"), "a web hook needs this key");
        }
    }
    let on = |path: &str| config.and_then(|config| config.find(path)).and_then(Node::as_bool) == Some(true);
    if on("response.ignore") && (on("response.parse") || on("can_interrupt")) {
        let message = "the answer of a web hook cannot be ignored and used at the same time";
        report.refuse(&item.at, format!("{key}.config.response"), message);
    }
    if let Some(old) = config.and_then(|config| config.find("can_interrupt")).filter(|_| on("can_interrupt")) {
        let message = "an old form; write response.parse: true";
        report.warn(WarningKind::Deprecated, &old.at, format!("{key}.config.can_interrupt"), message);
    }
}

/// The typed list, `session` moved to its end; entries that the checker refused are left out.
pub(crate) fn read(node: Option<&Node>) -> Vec<Hook> {
    let items = node.map(Node::items).unwrap_or_default();
    let mut hooks: Vec<Hook> =
        items.iter().filter_map(|item| Hook::named(item.get("hook").and_then(Node::as_text)?, item.find("config"))).collect();
    hooks.sort_by_key(|hook| *hook == Hook::Session);
    hooks
}
