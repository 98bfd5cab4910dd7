//! Holds the merged tree against the key table: unknown keys, wrong types and values, and keys without effect.
//! The loader calls it once; it never stops at the first mistake.
//! Knows the form of each value, not how values depend on each other (that is [`crate::resolve`]).

use url::Url;

use crate::document::{Node, Shape};
use crate::hooks;
use crate::keys::{Kind, Status};
use crate::report::{Report, WarningKind};
use crate::tree::{Branch, ROOT};

/// Checks the whole tree.
pub(crate) fn check(root: &Node, report: &mut Report) {
    walk(root, &ROOT, "", false, report);
}

/// Checks one place; `quiet` says that a warning for something above was already given.
pub(crate) fn walk(node: &Node, branch: &Branch, path: &str, quiet: bool, report: &mut Report) {
    if matches!(node.value, Shape::Null) {
        return;
    }
    let quiet = quiet || announce(node, branch, path, report);
    if matches!(branch.kind, Some(Kind::Hooks)) {
        hooks::check(node, branch, path, quiet, report);
        return;
    }
    match (&node.value, branch.kind) {
        (_, Some(Kind::Anything)) => {}
        (Shape::Map(entries), _) if branch.is_object() => {
            for (key, value) in entries {
                let below = join(path, key);
                match branch.child(key) {
                    Some(child) => walk(value, child, &below, quiet, report),
                    None => {
                        let hint = branch.nearest(key, &below).map(|name| format!("; did you mean {name}?")).unwrap_or_default();
                        report.refuse(&value.at, below, format!("there is no such key{hint}"));
                    }
                }
            }
        }
        (Shape::List(items), _) if branch.items.is_some() => {
            for (index, item) in items.iter().enumerate() {
                if let Some(shape) = &branch.items {
                    walk(item, shape, &join(path, &index.to_string()), quiet, report);
                }
            }
        }
        (Shape::Map(entries), Some(Kind::TextMap)) => {
            for (key, value) in entries.iter().filter(|(_, value)| value.as_text().is_none()) {
                report.refuse(&value.at, join(path, key), format!("expected text, found {}", value.kind_name()));
            }
        }
        (Shape::List(items), Some(Kind::TextList)) => {
            for (index, item) in items.iter().enumerate().filter(|(_, item)| item.as_text().is_none()) {
                let message = format!("expected text, found {}", item.kind_name());
                report.refuse(&item.at, join(path, &index.to_string()), message);
            }
        }
        (Shape::List(items), Some(Kind::Secrets(least, most))) => secrets(items, least, most, path, report),
        (Shape::Map(_) | Shape::List(_), _) => {
            report.refuse(&node.at, path, format!("expected {}, found {}", expected(branch), node.kind_name()));
        }
        (_, Some(kind)) if !branch.is_object() => scalar(node, kind, branch, path, report),
        _ => report.refuse(&node.at, path, format!("expected {}, found {}", expected(branch), node.kind_name())),
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Gives the one warning that a key or a whole block deserves; true when nothing below needs another.
fn announce(node: &Node, branch: &Branch, path: &str, report: &mut Report) -> bool {
    match branch.common_status() {
        Some(Status::NotYet) => {
            if switched_on(node, branch, path) {
                let message = "known, but this version does nothing with it yet";
                report.warn(WarningKind::NotYet, &node.at, path, message);
            }
            true
        }
        Some(Status::Commercial) => {
            if switched_on(node, branch, path) {
                let message = "belongs to a commercial product; it has no effect here";
                report.warn(WarningKind::Commercial, &node.at, path, message);
            }
            true
        }
        Some(Status::Moot(sentence)) if switched_on(node, branch, path) => {
            report.warn(WarningKind::Advice, &node.at, path, sentence);
            true
        }
        Some(Status::Renamed(new)) => {
            report.warn(WarningKind::Deprecated, &node.at, path, format!("this is an old name; write {new}"));
            true
        }
        _ => false,
    }
}

/// Whether a block without effect would have had one: `enabled: false` and empty lists are no reason to warn.
fn switched_on(node: &Node, branch: &Branch, path: &str) -> bool {
    match &node.value {
        Shape::Null | Shape::Bool(false) => false,
        Shape::List(items) => !items.is_empty(),
        Shape::Map(entries) => match node.get("enabled").map(|enabled| &enabled.value) {
            Some(Shape::Bool(enabled)) => *enabled,
            // Of all switches only that of `code` is on when it is absent.
            None if branch.children.contains_key("enabled") && path != "selfservice.methods.code" => false,
            _ => entries.iter().any(|(key, value)| {
                branch.child(key).is_none_or(|child| {
                    child.common_status() != Some(Status::Silent) && switched_on(value, child, &join(path, key))
                })
            }),
        },
        _ => true,
    }
}

fn scalar(node: &Node, kind: Kind, branch: &Branch, path: &str, report: &mut Report) {
    // Values of kinds that may hold a secret are never repeated; those of the others help to find the mistake.
    let (fits, may_show) = match (kind, &node.value) {
        (Kind::Text | Kind::SecretText, Shape::Text(_)) | (Kind::Bool | Kind::LooseBool, Shape::Bool(_)) => (true, false),
        (Kind::Int(least, most), Shape::Int(value)) => ((least..=most).contains(value), true),
        (Kind::Ratio, Shape::Int(value)) => ((0..=1).contains(value), true),
        (Kind::Ratio, Shape::Float(value)) => ((0.0..=1.0).contains(value), true),
        (Kind::Span, Shape::Text(text)) => (keyward_model::Span::parse(text).is_some(), true),
        (Kind::Size, Shape::Text(text)) => (parse_size(text).is_some(), true),
        (Kind::OneOf(names), Shape::Text(text)) => (names.contains(&text.as_str()), true),
        (Kind::LooseBool, Shape::Text(text)) => (matches!(text.as_str(), "true" | "false"), true),
        (Kind::Url, Shape::Text(text)) => (is_url(text), false),
        (Kind::UrlReference, Shape::Text(text)) => (is_reference(text), false),
        _ => (false, false),
    };
    if fits {
        return;
    }
    let found = match &node.value {
        Shape::Text(text) if may_show => format!("\"{}\"", text.escape_debug()),
        Shape::Int(value) if may_show => value.to_string(),
        Shape::Float(value) if may_show => value.to_string(),
        Shape::Text(_) if matches!(kind, Kind::Url | Kind::UrlReference) => "other text".to_owned(),
        _ => node.kind_name().to_owned(),
    };
    let quotes = if matches!(kind, Kind::Text | Kind::SecretText) { "; put it in quotes" } else { "" };
    report.refuse(&node.at, path, format!("expected {}, found {found}{quotes}", expected(branch)));
}

fn expected(branch: &Branch) -> String {
    match branch.kind {
        Some(Kind::Text | Kind::SecretText) => "text".to_owned(),
        Some(Kind::Bool | Kind::LooseBool) => "true or false".to_owned(),
        Some(Kind::Int(least, i64::MAX)) => format!("a whole number of at least {least}"),
        Some(Kind::Int(least, most)) => format!("a whole number from {least} to {most}"),
        Some(Kind::Ratio) => "a number from 0 to 1".to_owned(),
        Some(Kind::Span) => "a duration such as 30s, 15m or 1h30m".to_owned(),
        Some(Kind::Size) => "a size such as 64MB".to_owned(),
        Some(Kind::Url) => "an absolute URL".to_owned(),
        Some(Kind::UrlReference) => "a URL".to_owned(),
        Some(Kind::OneOf(names)) if names.len() == 1 => format!("\"{}\"", names[0]),
        Some(Kind::OneOf(names)) => format!("one of {}", names.join(", ")),
        Some(Kind::TextList) => "a list of texts".to_owned(),
        Some(Kind::TextMap) => "an object of texts".to_owned(),
        Some(Kind::Secrets(..)) => "a list of secrets".to_owned(),
        Some(Kind::Hooks) => "a list of hooks".to_owned(),
        Some(Kind::Request | Kind::Anything) => "an object".to_owned(),
        None if branch.items.is_some() => "a list".to_owned(),
        None => "an object".to_owned(),
    }
}

fn secrets(items: &[Node], least: usize, most: usize, path: &str, report: &mut Report) {
    for (index, item) in items.iter().enumerate() {
        let key = join(path, &index.to_string());
        let Some(text) = item.as_text() else {
            report.refuse(&item.at, key, format!("expected text, found {}; put it in quotes", item.kind_name()));
            continue;
        };
        let length = text.chars().count();
        if least == most && length != least {
            let message =
                format!("has {length} characters, exactly {least} are needed; `openssl rand -hex 16` makes such a secret");
            report.refuse(&item.at, key, message);
        } else if length < least {
            let message =
                format!("has {length} characters, at least {least} are needed; `openssl rand -hex 32` makes a good secret");
            report.refuse(&item.at, key, message);
        }
    }
}

fn is_url(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| url.has_host())
}

fn is_reference(text: &str) -> bool {
    let relative = || Url::parse("http://localhost/").and_then(|base| base.join(text)).is_ok();
    !text.is_empty() && !text.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\') && relative()
}

/// Bytes of a size such as `128MB`; units count in steps of 1024, as Kratos has them.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let amount: u64 = text.get(..digits)?.parse().ok()?;
    let shift = match text.get(digits..)?.trim_start().to_ascii_uppercase().as_str() {
        "B" | "" => 0,
        "KB" | "KIB" | "K" => 10,
        "MB" | "MIB" | "M" => 20,
        "GB" | "GIB" | "G" => 30,
        "TB" | "TIB" | "T" => 40,
        _ => return None,
    };
    amount.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [("128MB", Some(128 << 20)), ("1 GiB", Some(1 << 30)), ("512", Some(512)), ("64kb", Some(65_536))] {
            assert_eq!(parse_size(text), bytes, "{text}");
        }
        for bad in ["", "MB", "1.5GB", "-1MB", "12PB", "99999999999TB"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
    }

    #[test]
    fn references() {
        for good in ["https://a.example/x?y#z", "/settings", "settings", "exp://localhost:8081/--/x", "com.app:/cb"] {
            assert!(is_reference(good), "{good}");
        }
        for bad in ["", "http://", "a b", "/\\evil", "https://a\n"] {
            assert!(!is_reference(bad), "{bad}");
        }
    }
}
