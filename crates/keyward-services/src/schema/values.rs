//! Values inside traits: found by the path of a declared trait, and put into the one spelling in which they are stored.
//! Validation, nodes and the writer of identities walk traits through here.
//! Knows paths and kinds, nothing of whether a value is valid.

use std::collections::BTreeSet;

use serde_json::Value;

use keyward_model::{IdentifierKind, Via, canonical_identifier, trim_identifier};

use super::{Extension, IdentitySchema, Step, TraitDefinition, join};
use crate::phone;

/// One step of a concrete path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum At<'a> {
    Key(&'a str),
    Index(usize),
}

/// Every value at a trait's path, with its concrete path. A list where a single value is declared counts element by element.
pub(crate) fn values_at<'a>(traits: &'a Value, path: &'a [Step]) -> Vec<(Vec<At<'a>>, &'a Value)> {
    let mut found = vec![(Vec::new(), traits)];
    for step in path {
        let mut next = Vec::new();
        for (at, value) in found {
            match (step, value) {
                (Step::Key(key), Value::Object(members)) => {
                    if let Some(member) = members.get(key) {
                        next.push((pushed(&at, At::Key(key)), member));
                    }
                }
                (Step::Each, Value::Array(items)) => {
                    next.extend(items.iter().enumerate().map(|(index, item)| (pushed(&at, At::Index(index)), item)));
                }
                _ => {}
            }
        }
        found = next;
    }
    found
        .into_iter()
        .flat_map(|(at, value)| match value {
            Value::Array(items) => items.iter().enumerate().map(|(index, item)| (pushed(&at, At::Index(index)), item)).collect(),
            value => vec![(at, value)],
        })
        .collect()
}

fn pushed<'a>(path: &[At<'a>], last: At<'a>) -> Vec<At<'a>> {
    let mut path = path.to_vec();
    path.push(last);
    path
}

/// The node name of a concrete path.
pub(crate) fn display_name(path: &[At<'_>]) -> String {
    path.iter().fold("traits".to_owned(), |name, at| match at {
        At::Key(key) => join(&name, key),
        At::Index(index) => format!("{name}.{index}"),
    })
}

impl IdentitySchema {
    /// Traits as they are stored: what finds the account or receives messages loses surrounding white space and invisible
    /// characters, phone numbers become E.164. Everything else stays as it is.
    pub fn normalise(&self, mut traits: Value) -> Value {
        for definition in self.traits() {
            let format = definition.format.as_deref();
            if definition.extension.is_flagged() || matches!(format, Some("email" | "email_loose" | "tel")) {
                change_at(&mut traits, &definition.path, &mut |text| normal_text(definition, text));
            }
        }
        traits
    }
}

fn normal_text(definition: &TraitDefinition, text: &mut String) {
    if definition.is_phone()
        && let Some(number) = phone::e164(text)
    {
        *text = number;
    }
    let trimmed = trim_identifier(text);
    if trimmed.len() != text.len() {
        *text = trimmed.to_owned();
    }
}

fn change_at(value: &mut Value, path: &[Step], change: &mut impl FnMut(&mut String)) {
    match (path, value) {
        ([], Value::String(text)) => change(text),
        ([], Value::Array(items)) => {
            for item in items {
                if let Value::String(text) = item {
                    change(text);
                }
            }
        }
        ([Step::Key(key), rest @ ..], Value::Object(members)) => {
            if let Some(member) = members.get_mut(key) {
                change_at(member, rest, change);
            }
        }
        ([Step::Each, rest @ ..], Value::Array(items)) => {
            for item in items {
                change_at(item, rest, change);
            }
        }
        _ => {}
    }
}

impl TraitDefinition {
    fn is_phone(&self) -> bool {
        match self.format.as_deref() {
            Some("tel") => true,
            Some("email" | "email_loose") => false,
            _ => self.extension.via() == Some(Via::Sms),
        }
    }

    fn is_email(&self) -> bool {
        match self.format.as_deref() {
            Some("email" | "email_loose") => true,
            Some("tel") => false,
            _ => self.extension.via() == Some(Via::Email),
        }
    }

    /// The canonical spelling of a value of this trait; `None` when it can find nobody. Formats that check nothing
    /// (`no-validate`, `email_loose`) and dates fall back to the rule for plain text.
    pub(crate) fn canonical(&self, text: &str) -> Option<String> {
        let strict = matches!(self.format.as_deref(), None | Some("email" | "tel"));
        if let Some(number) = phone::e164(text).filter(|_| !self.is_email()) {
            return Some(number);
        }
        if strict && self.is_phone() {
            return None;
        }
        let kind = if strict && self.is_email() { IdentifierKind::Email } else { IdentifierKind::Text };
        canonical_identifier(kind, text)
    }
}

/// The text of a scalar that identifies somebody; numbers and truth values are written out.
pub(crate) fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

/// A value that a trait is used with: it finds the account or receives its messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TraitUse {
    /// The node of the value.
    pub(crate) node: String,
    /// The canonical spelling, or the trimmed and lower-cased text where there is none.
    pub(crate) value: String,
    /// Whether `value` is canonical; old traits may hold what is refused today.
    pub(crate) is_canonical: bool,
    /// What it is used for.
    pub(crate) extension: Extension,
}

/// The distinct addresses for one use, in schema order.
pub(crate) fn distinct_addresses(uses: &[TraitUse], via: impl Fn(&TraitUse) -> Option<Via>) -> Vec<(Via, String)> {
    let mut found: Vec<(Via, String)> = Vec::new();
    for one in uses {
        if let Some(via) = via(one) {
            let address = (via, one.value.clone());
            if !found.contains(&address) {
                found.push(address);
            }
        }
    }
    found
}

/// The distinct values for one use, in schema order.
pub(crate) fn distinct_values(uses: &[TraitUse], flagged: impl Fn(&TraitUse) -> bool) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for one in uses.iter().filter(|one| flagged(one)) {
        if !found.contains(&one.value) {
            found.push(one.value.clone());
        }
    }
    found
}

impl IdentitySchema {
    /// What these traits sign in with beside a password, in schema order and canonical; empty when nothing does.
    pub fn password_identifiers(&self, traits: &Value) -> Vec<String> {
        distinct_values(&self.uses(traits), |one| one.extension.password_identifier)
    }

    /// Everything that these traits sign in with, by whatever method; distinct, canonical, in schema order.
    pub fn identifiers(&self, traits: &Value) -> Vec<String> {
        let signs_in = |one: &TraitUse| {
            let Extension { password_identifier, webauthn_identifier, code, .. } = &one.extension;
            *password_identifier || *webauthn_identifier || code.is_some()
        };
        distinct_values(&self.uses(traits), signs_in)
    }

    /// The distinct addresses that receive sign-in codes, canonical, in schema order.
    pub fn code_addresses(&self, traits: &Value) -> Vec<(Via, String)> {
        distinct_addresses(&self.uses(traits), |one| one.extension.code)
    }

    /// The distinct addresses that are confirmed or that recover the account, canonical, in schema order.
    pub fn contact_addresses(&self, traits: &Value) -> Vec<(Via, String)> {
        distinct_addresses(&self.uses(traits), |one| one.extension.verification.or(one.extension.recovery))
    }

    /// Every value that finds the account or receives messages, in schema order.
    pub(crate) fn uses(&self, traits: &Value) -> Vec<TraitUse> {
        let flagged = self.traits().iter().filter(|definition| definition.extension.is_flagged());
        let mut uses = Vec::new();
        for definition in flagged {
            for (path, value) in values_at(traits, &definition.path) {
                let Some(text) = scalar_text(value).filter(|text| !trim_identifier(text).is_empty()) else { continue };
                let canonical = definition.canonical(&text);
                uses.push(TraitUse {
                    node: display_name(&path),
                    is_canonical: canonical.is_some(),
                    value: canonical.unwrap_or_else(|| trim_identifier(&text).to_lowercase()),
                    extension: definition.extension.clone(),
                });
            }
        }
        uses
    }
}

/// The names of values that differ; a list counts as one value.
pub(crate) fn changed_names(name: &str, before: &Value, after: &Value, names: &mut BTreeSet<String>) {
    match (before, after) {
        (before, after) if before == after => {}
        (Value::Object(old), Value::Object(new)) => {
            for key in old.keys().chain(new.keys()) {
                let missing = Value::Null;
                let pair = (old.get(key).unwrap_or(&missing), new.get(key).unwrap_or(&missing));
                changed_names(&join(name, key), pair.0, pair.1, names);
            }
        }
        (Value::Object(members), Value::Null) | (Value::Null, Value::Object(members)) => {
            for (key, member) in members {
                changed_names(&join(name, key), member, &Value::Null, names);
            }
        }
        _ => {
            names.insert(name.to_owned());
        }
    }
}
