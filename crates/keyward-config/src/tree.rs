//! The key table as a tree: built once from [`crate::keys`], walked by the checker and the environment overrides.
//! Also answers which known key is nearest to a mistyped one.
//! Knows no values.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::keys::{HOOK_KEYS, KEYS, Kind, REQUEST_KEYS, Status};

/// One place of the tree: an object, a list or a leaf.
#[derive(Default)]
pub(crate) struct Branch {
    /// Known names of an object.
    pub(crate) children: BTreeMap<String, Branch>,
    /// The shape of every entry of an object with free names.
    pub(crate) any: Option<Box<Branch>>,
    /// The shape of every item of a list.
    pub(crate) items: Option<Box<Branch>>,
    /// What the table says about exactly this key.
    pub(crate) kind: Option<Kind>,
    pub(crate) status: Option<Status>,
}

/// The whole table.
pub(crate) static ROOT: LazyLock<Branch> = LazyLock::new(|| {
    let mut root = Branch::default();
    for (pattern, kind, status) in KEYS {
        root.insert(pattern, *kind, *status);
    }
    root
});

impl Branch {
    fn insert(&mut self, pattern: &str, kind: Kind, status: Status) {
        for path in alternatives(pattern) {
            let mut branch = &mut *self;
            for segment in path.split('.').flat_map(steps) {
                branch = match segment {
                    "[]" => branch.items.get_or_insert_default(),
                    "<>" => branch.any.get_or_insert_default(),
                    name => branch.children.entry(name.to_owned()).or_default(),
                };
            }
            branch.kind = Some(kind);
            branch.status = Some(status);
            let below = match kind {
                Kind::Hooks => HOOK_KEYS,
                Kind::Request => REQUEST_KEYS,
                _ => &[],
            };
            for (pattern, kind) in below {
                branch.insert(pattern, *kind, status);
            }
        }
    }

    /// Whether the key is an object with known names.
    pub(crate) fn is_object(&self) -> bool {
        !self.children.is_empty() || self.any.is_some()
    }

    /// The known branch below one name.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.get(name).or(self.any.as_deref())
    }

    /// The one status that every key below shares, if they do; silent keys agree with everything.
    pub(crate) fn common_status(&self) -> Option<Status> {
        let below = self.children.values().chain(self.any.as_deref()).chain(self.items.as_deref());
        let mut found = self.status.filter(|status| *status != Status::Silent);
        for branch in below {
            match (found, branch.common_status()?) {
                (_, Status::Silent) => {}
                (None, status) => found = Some(status),
                (Some(known), status) if known == status => {}
                _ => return None,
            }
        }
        Some(found.unwrap_or(Status::Silent))
    }

    /// The nearest known sibling of a mistyped name, else the full path of a key of that very name elsewhere.
    pub(crate) fn nearest(&self, name: &str, path: &str) -> Option<String> {
        let sibling = self
            .children
            .keys()
            .map(|known| (distance(known, name), known))
            .filter(|(steps, known)| *steps <= 2.max(known.len() / 4) && *steps < known.len())
            .min();
        if let Some((_, known)) = sibling {
            return Some(known.clone());
        }
        let mut elsewhere = Vec::new();
        ROOT.collect(name, "", &mut elsewhere);
        elsewhere.into_iter().min_by_key(|known| distance(known, path))
    }

    fn collect(&self, name: &str, path: &str, found: &mut Vec<String>) {
        for (key, branch) in &self.children {
            let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            if key == name {
                found.push(below.clone());
            }
            branch.collect(name, &below, found);
        }
    }
}

/// `schemas[]` is the name and then the step into its items; a bare `[]` is only that step.
fn steps(segment: &str) -> impl Iterator<Item = &str> {
    let (name, items) = segment.strip_suffix("[]").map_or((segment, None), |name| (name, Some("[]")));
    (!name.is_empty()).then_some(name).into_iter().chain(items)
}

/// Every path that a pattern with braces stands for.
pub(crate) fn alternatives(pattern: &str) -> Vec<String> {
    let Some((before, rest)) = pattern.split_once('{') else {
        return vec![pattern.to_owned()];
    };
    let (names, after) = rest.split_once('}').unwrap_or((rest, ""));
    let tails = alternatives(after);
    names.split(',').flat_map(|name| tails.iter().map(move |tail| format!("{before}{name}{tail}"))).collect()
}

/// Levenshtein's distance in bytes.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.bytes().enumerate() {
            let substituted = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_expand() {
        assert_eq!(alternatives("a.{b,c}.{d,e}"), ["a.b.d", "a.b.e", "a.c.d", "a.c.e"]);
        let hooks = ["selfservice", "flows", "settings", "after", "password", "hooks"]
            .iter()
            .try_fold(&*ROOT, |branch, name| branch.child(name));
        let config = hooks.and_then(|hooks| hooks.items.as_deref()).and_then(|item| item.child("config"));
        assert!(config.is_some_and(|config| config.child("url").is_some() && config.child("recipients").is_some()));
    }

    #[test]
    fn distances() {
        for (left, right, steps) in [("", "", 0), ("abc", "", 3), ("lifespan", "lifspan", 1), ("kitten", "sitting", 3)] {
            assert_eq!(distance(left, right), steps);
            assert_eq!(distance(right, left), steps);
        }
    }

    #[test]
    fn the_nearest_name_is_a_sibling_first() {
        let flows = ROOT.child("selfservice").and_then(|branch| branch.child("flows"));
        let nearest = |name: &str| flows.and_then(|flows| flows.nearest(name, &format!("selfservice.flows.{name}")));
        assert_eq!(nearest("setings").as_deref(), Some("settings"));
        assert_eq!(nearest("allowed_return_urls").as_deref(), Some("selfservice.allowed_return_urls"));
        assert_eq!(nearest("zzzzzzzzzz"), None);
    }
}
