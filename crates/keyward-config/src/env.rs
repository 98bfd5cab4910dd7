//! Environment variables as overrides: `SERVE_PUBLIC_PORT` is `serve.public.port`, `…_PROVIDERS_0_CLIENT_ID` reaches into a list.
//! The loader applies them after all files; names are matched against the key table, so underscores inside keys are no riddle.
//! Judges the form of a value only as far as it must to read it; the checker does the rest and then names the variable.

use std::collections::BTreeMap;

use crate::document::{Node, Shape};
use crate::keys::Kind;
use crate::report::{Place, Report, WarningKind};
use crate::tree::{Branch, ROOT};

/// Keys of the command line and of bookkeeping, whose names are too common to be read from the environment.
const NOT_FROM_ENVIRONMENT: &[&str] = &["$schema", "help", "config", "version", "revision"];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Item(usize),
}

/// Overrides the merged files with every variable whose name is a key.
pub(crate) fn apply(root: &mut Node, variables: &BTreeMap<String, String>, report: &mut Report) {
    let mut found: Vec<(Vec<Step>, &Branch, &str, &str)> = Vec::new();
    for (name, value) in variables {
        match locate(&ROOT, name, Vec::new()) {
            Some((steps, branch)) => found.push((steps, branch, name, value)),
            None if name.starts_with("SELFSERVICE_") => report.warn(
                WarningKind::Advice,
                &Place::Variable(name.clone()),
                "",
                "looks like a setting but matches no key, so it has no effect",
            ),
            None => {}
        }
    }
    // Whole objects and lists first, so that a variable for one entry refines one for the whole.
    found.sort_by_cached_key(|(steps, ..)| order(steps));
    for (steps, branch, name, value) in found {
        let at = Place::Variable(name.to_owned());
        let key = dotted(&steps);
        if steps.len() == 1 && matches!(steps.first(), Some(Step::Key(key)) if NOT_FROM_ENVIRONMENT.contains(&key.as_str())) {
            continue;
        }
        // Short names of whole objects (SESSION, DATABASE, LOG…) often mean something else to someone else.
        if steps.len() == 1 && branch.is_object() && !value.trim_start().starts_with('{') {
            continue;
        }
        match read(branch, value, &at) {
            Ok(node) => {
                if let Err(message) = put(root, &steps, node, &at) {
                    report.refuse(&at, key, message);
                }
            }
            Err(message) => report.refuse(&at, key, message),
        }
    }
}

/// Shorter paths first, list items by number.
fn order(steps: &[Step]) -> (usize, Vec<usize>) {
    let numbers = steps.iter().filter_map(|step| if let Step::Item(index) = step { Some(*index) } else { None }).collect();
    (steps.len(), numbers)
}

fn dotted(steps: &[Step]) -> String {
    let mut path = String::new();
    for step in steps {
        if !path.is_empty() {
            path.push('.');
        }
        match step {
            Step::Key(key) => path.push_str(key),
            Step::Item(index) => path.push_str(&index.to_string()),
        }
    }
    path
}

/// The key that a name stands for: the deepest branch that uses the name up.
fn locate<'a>(branch: &'a Branch, rest: &str, taken: Vec<Step>) -> Option<(Vec<Step>, &'a Branch)> {
    if rest.is_empty() {
        return (!taken.is_empty()).then_some((taken, branch));
    }
    let deeper = |below: &'a Branch, rest: &str, step: Step| {
        let mut steps = taken.clone();
        steps.push(step);
        locate(below, rest, steps)
    };
    // Longer names first: `default_schema_id` before a possible `default`.
    for (key, below) in branch.children.iter().rev() {
        let upper = key.to_ascii_uppercase().replace('-', "_");
        if let Some(after) = rest.strip_prefix(&upper) {
            let after = if after.is_empty() { Some("") } else { after.strip_prefix('_').filter(|after| !after.is_empty()) };
            if let Some(found) = after.and_then(|after| deeper(below, after, Step::Key(key.clone()))) {
                return Some(found);
            }
        }
    }
    if let Some(items) = &branch.items {
        let (index, after) = rest.split_once('_').unwrap_or((rest, ""));
        if let Some(found) = index.parse().ok().and_then(|index| deeper(items, after, Step::Item(index))) {
            return Some(found);
        }
    }
    if matches!(branch.kind, Some(Kind::TextList | Kind::Secrets(..))) {
        let mut steps = taken.clone();
        steps.push(Step::Item(rest.parse().ok()?));
        return Some((steps, &TEXT_ITEM));
    }
    if let Some(any) = &branch.any {
        let ends = rest.match_indices('_').map(|(end, _)| end).chain([rest.len()]);
        for end in ends.filter(|end| *end > 0) {
            let (name, after) = (&rest[..end], rest[end..].trim_start_matches('_'));
            if let Some(found) = deeper(any, after, Step::Key(name.to_ascii_lowercase())) {
                return Some(found);
            }
        }
    }
    None
}

/// One item of a list of texts.
static TEXT_ITEM: Branch = Branch { children: BTreeMap::new(), any: None, items: None, kind: Some(Kind::Text), status: None };

/// The text of a variable as the value that the key expects; what cannot be read stays text for the checker to refuse.
fn read(branch: &Branch, value: &str, at: &Place) -> Result<Node, String> {
    let leaf = |value: Shape| Ok(Node { value, at: at.clone() });
    let trimmed = value.trim();
    let json = |expected: &str| {
        serde_json::from_str(trimmed).map(|value| Node::from_json(value, at)).map_err(|error| {
            format!("expected {expected} as JSON; the text is not valid JSON (line {}, column {})", error.line(), error.column())
        })
    };
    match branch.kind {
        Some(Kind::TextList | Kind::Secrets(..)) if trimmed.starts_with('[') => json("a list"),
        Some(Kind::TextList | Kind::Secrets(..)) => {
            let items = trimmed.split(',').map(str::trim).filter(|item| !item.is_empty());
            leaf(Shape::List(items.map(|item| Node { value: Shape::Text(item.to_owned()), at: at.clone() }).collect()))
        }
        Some(Kind::Bool) => match trimmed {
            "true" | "TRUE" | "True" | "1" => leaf(Shape::Bool(true)),
            "false" | "FALSE" | "False" | "0" => leaf(Shape::Bool(false)),
            _ => leaf(Shape::Text(value.to_owned())),
        },
        Some(Kind::Int(..)) => leaf(trimmed.parse().map_or_else(|_| Shape::Text(value.to_owned()), Shape::Int)),
        Some(Kind::Ratio) => leaf(trimmed.parse().map_or_else(|_| Shape::Text(value.to_owned()), Shape::Float)),
        Some(Kind::TextMap) => json("an object"),
        Some(Kind::Anything) => Ok(serde_json::from_str(trimmed)
            .map_or_else(|_| Node { value: Shape::Text(value.to_owned()), at: at.clone() }, |value| Node::from_json(value, at))),
        _ if branch.items.is_some() && trimmed.is_empty() => leaf(Shape::List(Vec::new())),
        _ if branch.items.is_some() => json("a list"),
        _ if branch.is_object() => json("an object"),
        _ => leaf(Shape::Text(value.to_owned())),
    }
}

/// Writes the value to its place; a list grows by one item at most, never with a hole.
fn put(node: &mut Node, steps: &[Step], value: Node, at: &Place) -> Result<(), String> {
    let Some((step, rest)) = steps.split_first() else {
        *node = value;
        return Ok(());
    };
    match step {
        Step::Key(key) => {
            if !matches!(node.value, Shape::Map(_)) {
                *node = Node { value: Shape::Map(Vec::new()), at: at.clone() };
            }
            let Shape::Map(entries) = &mut node.value else { return Ok(()) };
            if let Some(position) = entries.iter().position(|(name, _)| name == key) {
                return put(&mut entries[position].1, rest, value, at);
            }
            let mut fresh = Node { value: Shape::Null, at: at.clone() };
            put(&mut fresh, rest, value, at)?;
            entries.push((key.clone(), fresh));
        }
        Step::Item(index) => {
            if !matches!(node.value, Shape::List(_)) {
                *node = Node { value: Shape::List(Vec::new()), at: at.clone() };
            }
            let Shape::List(items) = &mut node.value else { return Ok(()) };
            if *index > items.len() {
                return Err(format!(
                    "item {index} would leave a hole: the list has {} so far, so the next one is item {}",
                    items.len(),
                    items.len()
                ));
            }
            if *index == items.len() {
                items.push(Node { value: Shape::Null, at: at.clone() });
            }
            put(&mut items[*index], rest, value, at)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::parse;

    fn with(file: &str, variables: &[(&str, &str)]) -> (serde_json::Value, Vec<String>) {
        let mut node = parse("a.yml", file).unwrap_or_else(|problem| panic!("{problem}"));
        let mut report = Report::default();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        apply(&mut node, &variables, &mut report);
        let said = report.problems.iter().map(ToString::to_string).chain(report.warnings.iter().map(ToString::to_string));
        (node.to_json(), said.collect())
    }

    #[test]
    fn names_reach_their_keys() {
        let providers = "/selfservice/methods/oidc/config/providers";
        let table: &[(&str, &str, &str, serde_json::Value)] = &[
            ("SERVE_PUBLIC_PORT", "8080", "/serve/public/port", 8080.into()),
            ("SERVE_PUBLIC_BASE_URL", "https://a/", "/serve/public/base_url", "https://a/".into()),
            ("IDENTITY_DEFAULT_SCHEMA_ID", "x", "/identity/default_schema_id", "x".into()),
            ("IDENTITY_SCHEMAS_0_ID", "y", "/identity/schemas/0/id", "y".into()),
            ("SQA_OPT_OUT", "true", "/sqa-opt-out", true.into()),
            ("COOKIES_SAME_SITE", "None", "/cookies/same_site", "None".into()),
            ("DEV", "1", "/dev", true.into()),
            ("SECRETS_DEFAULT", "a,b", "/secrets/default", serde_json::json!(["a", "b"])),
            ("SECRETS_COOKIE_0", "c", "/secrets/cookie/0", "c".into()),
            (
                "SELFSERVICE_ALLOWED_RETURN_URLS",
                "https://a/",
                "/selfservice/allowed_return_urls",
                serde_json::json!(["https://a/"]),
            ),
            (
                "SELFSERVICE_ALLOWED_RETURN_URLS",
                "https://a/ , https://b/",
                "/selfservice/allowed_return_urls",
                serde_json::json!(["https://a/", "https://b/"]),
            ),
            (
                "SELFSERVICE_ALLOWED_RETURN_URLS",
                "[\"https://a/?x=1,2\"]",
                "/selfservice/allowed_return_urls",
                serde_json::json!(["https://a/?x=1,2"]),
            ),
            ("SELFSERVICE_ALLOWED_RETURN_URLS", "", "/selfservice/allowed_return_urls", serde_json::json!([])),
            ("SELFSERVICE_METHODS_OIDC_CONFIG_PROVIDERS_0_CLIENT_ID", "abc", &format!("{providers}/0/client_id"), "abc".into()),
            ("SELFSERVICE_METHODS_OIDC_CONFIG_PROVIDERS", "[{\"id\":\"hub\"}]", &format!("{providers}/0/id"), "hub".into()),
            (
                "SELFSERVICE_FLOWS_REGISTRATION_AFTER_PASSWORD_HOOKS_0_HOOK",
                "session",
                "/selfservice/flows/registration/after/password/hooks/0/hook",
                "session".into(),
            ),
            (
                "SELFSERVICE_FLOWS_SETTINGS_AFTER",
                "{\"password\":{\"hooks\":[]}}",
                "/selfservice/flows/settings/after/password/hooks",
                serde_json::json!([]),
            ),
            (
                "SESSION_WHOAMI_TOKENIZER_TEMPLATES_JWT_LONG_TTL",
                "1h",
                "/session/whoami/tokenizer/templates/jwt_long/ttl",
                "1h".into(),
            ),
        ];
        for (name, value, pointer, expected) in table {
            let (json, said) = with("selfservice: {allowed_return_urls: [\"https://file/\"]}", &[(*name, *value)]);
            assert_eq!(json.pointer(pointer), Some(expected), "{name}");
            assert_eq!(said, Vec::<String>::new(), "{name}");
        }
    }

    #[test]
    fn foreign_variables_are_left_alone() {
        let variables =
            [("PATH", "/bin"), ("VERSION", "7"), ("SESSION", "gnome"), ("DATABASE", "x"), ("LOG", "1"), ("SERVE_", "x")];
        let (json, said) = with("dsn: memory", &variables);
        assert_eq!((json, said), (serde_json::json!({"dsn": "memory"}), vec![]));
    }

    #[test]
    fn mistakes_name_the_variable() {
        for (name, value, expected) in [
            ("SELFSERVICE_METHODS_OIDC_CONFIG_PROVIDERS_5_CLIENT_ID", "s3cr3t", "would leave a hole"),
            ("SELFSERVICE_ALLOWED_RETURN_URLS", "[\"s3cr3t", "not valid JSON"),
            ("SELFSERVICE_FLOWS_SETTINGS_AFTER", "s3cr3t", "expected an object as JSON"),
            ("SELFSERVICE_FLOW_SETTINGS_UI_URL", "s3cr3t", "matches no key"),
        ] {
            let (_, said) = with("dsn: memory", &[(name, value)]);
            let [line] = said.as_slice() else { panic!("{name}: {said:?}") };
            assert!(line.starts_with(&format!("environment variable {name}: ")) && line.contains(expected), "{line}");
            assert!(!line.contains("s3cr3t"), "{line}");
        }
    }

    #[test]
    fn items_refine_a_whole_list() {
        let (json, said) = with(
            "dsn: memory",
            &[
                ("SELFSERVICE_METHODS_OIDC_CONFIG_PROVIDERS_1_ID", "second"),
                ("SELFSERVICE_METHODS_OIDC_CONFIG_PROVIDERS_0_CLIENT_ID", "abc"),
                ("SELFSERVICE_METHODS_OIDC_CONFIG_PROVIDERS", "[{\"id\":\"first\"}]"),
            ],
        );
        assert_eq!(said, Vec::<String>::new());
        assert_eq!(
            json.pointer("/selfservice/methods/oidc/config/providers"),
            Some(&serde_json::json!([{"id": "first", "client_id": "abc"}, {"id": "second"}]))
        );
    }
}
