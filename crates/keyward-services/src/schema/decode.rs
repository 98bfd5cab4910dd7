//! Traits out of a submitted body (contract: settings 2.9, login 10.8).
//! Profile and registration call it before validating; what it makes is what the person meant, valid or not.
//! Knows bodies and declared types; refuses nothing, because whatever cannot be converted stays for the validator to name.

use serde_json::{Map, Number, Value};

use super::IdentitySchema;
use super::shape::Shape;
use crate::payload::{Encoding, Payload, parse_boolean, split_key};

const TRAITS: &str = "traits";

impl IdentitySchema {
    /// The traits of a body. Form fields and dotted JSON keys are typed by the schema, nested JSON stays as it is; declared
    /// objects that are missing become `{}`; unknown traits stay, so that a strict schema can refuse them.
    ///
    /// Bounded by the payload: its fields and nesting are limited, list positions only order and never size a list.
    pub fn decode_traits(&self, payload: &Payload) -> Value {
        let mut traits = match payload.nested(TRAITS) {
            None | Some(Value::Null) => Value::Object(Map::new()),
            Some(Value::String(text)) if text.is_empty() => Value::Object(Map::new()),
            Some(value) => value.clone(),
        };
        let shape = &self.0.shape;
        if let Value::Object(members) = &mut traits {
            let mut tree = Tree::default();
            for (key, value) in payload.dotted(TRAITS) {
                // What a form leaves empty is absent, required or not.
                if value.as_str() != Some("") {
                    tree.insert(&split_key(key)[1..], value.into_owned());
                }
            }
            tree.merge_into(members, shape);
            fill_in(members, shape, payload.encoding() != Encoding::Json);
        }
        traits
    }
}

/// Fields by the parts of their names.
#[derive(Default)]
struct Tree {
    values: Vec<Value>,
    children: Vec<(String, Tree)>,
}

impl Tree {
    fn insert(&mut self, path: &[String], value: Value) {
        let [first, rest @ ..] = path else {
            self.values.push(value);
            return;
        };
        let index = self.children.iter().position(|(name, _)| name == first).unwrap_or_else(|| {
            self.children.push((first.clone(), Self::default()));
            self.children.len() - 1
        });
        self.children[index].1.insert(rest, value);
    }

    fn merge_into(self, members: &mut Map<String, Value>, shape: &Shape) {
        for (name, child) in self.children {
            let declared = shape.property(&name);
            match (members.get_mut(&name), child.children.is_empty() || declared.is_some_and(Shape::is_array)) {
                (Some(Value::Object(inner)), false) => child.merge_into(inner, declared.unwrap_or(&Shape::default())),
                _ => {
                    members.insert(name, child.into_value(declared.unwrap_or(&Shape::default())));
                }
            }
        }
    }

    fn into_value(mut self, shape: &Shape) -> Value {
        if shape.is_array() {
            return self.into_list(shape);
        }
        if !self.children.is_empty() {
            let mut members = Map::new();
            self.merge_into(&mut members, shape);
            return Value::Object(members);
        }
        // Of repeated fields the last one counts: a hidden `false` before a ticked box.
        self.values.pop().map_or(Value::Null, |value| convert(value, shape))
    }

    fn into_list(self, shape: &Shape) -> Value {
        let anything = Shape::default();
        let element = shape.items.as_deref().unwrap_or(&anything);
        let mut numbered: Vec<(u64, Self)> = Vec::new();
        let mut named: Vec<(String, Self)> = Vec::new();
        for (name, child) in self.children {
            match name.parse() {
                Ok(position) => numbered.push((position, child)),
                Err(_) => named.push((name, child)),
            }
        }
        if !named.is_empty() {
            // Names where positions belong: keep what was sent, and the validator says that it is no list.
            let mut members = Map::new();
            Self { values: Vec::new(), children: named }.merge_into(&mut members, &anything);
            return Value::Object(members);
        }
        numbered.sort_by_key(|(position, _)| *position);
        let mut items: Vec<Value> = numbered.into_iter().map(|(_, child)| child.into_value(element)).collect();
        for value in self.values {
            match value {
                Value::Array(mut several) => items.append(&mut several),
                value => items.push(convert(value, element)),
            }
        }
        Value::Array(items)
    }
}

/// Types a text by the schema; what does not convert stays, and the validator says so.
fn convert(value: Value, shape: &Shape) -> Value {
    let Value::String(text) = &value else {
        // The other way round for a dotted JSON key: a number where a text is declared.
        let written = matches!(value, Value::Number(_) | Value::Bool(_)) && shape.types == ["string"];
        return if written { Value::String(value.to_string()) } else { value };
    };
    if shape.is("string") || shape.types.is_empty() {
        return value;
    }
    let number = || parse_number(text).map(Value::Number);
    let boolean = || parse_boolean(text).map(Value::Bool);
    let numeric = shape.is("number") || shape.is("integer");
    let converted = match (numeric, shape.is("boolean")) {
        (true, true) => number().or_else(boolean),
        (true, false) => number(),
        (false, true) => boolean(),
        (false, false) => None,
    };
    converted.unwrap_or(value)
}

fn parse_number(text: &str) -> Option<Number> {
    if let Ok(whole) = text.parse::<i64>() {
        return Some(whole.into());
    }
    if let Ok(whole) = text.parse::<u64>() {
        return Some(whole.into());
    }
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    plain.then(|| text.parse().ok()).flatten().and_then(Number::from_f64)
}

/// Declared objects that are missing become `{}`. In a form an unticked box sends nothing, so a required one is `false`.
fn fill_in(members: &mut Map<String, Value>, shape: &Shape, is_form: bool) {
    for (name, property) in shape.properties.iter().filter(|(_, property)| !property.conditional) {
        if property.is_object() && !members.contains_key(name) {
            members.insert(name.clone(), Value::Object(Map::new()));
        }
        if is_form && property.required && property.types == ["boolean"] && !members.contains_key(name) {
            members.insert(name.clone(), Value::Bool(false));
        }
        if let Some(Value::Object(inner)) = members.get_mut(name) {
            fill_in(inner, property, is_form);
        }
    }
}
