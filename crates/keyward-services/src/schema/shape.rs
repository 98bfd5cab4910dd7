//! The tree of traits that a schema declares: types, labels, uses and order, with `$ref` and combinations resolved.
//! Built once when a schema is compiled; decoding, nodes and the writer of identities walk it.
//! Knows how schemas are written and nothing of values: whether a value is valid, the validator alone decides.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::{Draft, Extension, SchemaError, extension};

/// How deep traits may nest.
pub(crate) const MAX_DEPTH: usize = 16;
/// How many traits a schema may declare.
const MAX_SHAPES: usize = 1_000;
/// How many options a field can show; beyond that it is a free field, which can still take every one of them.
const MAX_OPTIONS: usize = 500;

/// A declared value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shape {
    /// The JSON types it may have; empty when the schema does not say.
    pub(crate) types: Vec<String>,
    pub(crate) format: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) pattern: Option<String>,
    pub(crate) options: Vec<Value>,
    pub(crate) extension: Extension,
    /// `disableFormField`.
    pub(crate) disabled: bool,
    /// Listed in the direct parent's `required`.
    pub(crate) required: bool,
    /// Declared only in a branch (`anyOf`, `oneOf`, `if`), so it may not be filled in unasked.
    pub(crate) conditional: bool,
    /// It has no members beside the declared ones.
    pub(crate) closed: bool,
    pub(crate) properties: Vec<(String, Shape)>,
    pub(crate) items: Option<Box<Shape>>,
}

impl Shape {
    /// The shape of `properties.traits`.
    pub(crate) fn of_traits(document: &Value, draft: Draft) -> Result<Self, SchemaError> {
        let mut builder = Builder { document, draft, shapes: 0, refs: Vec::new() };
        let mut root = Self::default();
        builder.absorb(&mut root, document, 0, false)?;
        let traits = root.properties.into_iter().find(|(name, _)| name == "traits").map(|(_, shape)| shape);
        match traits {
            Some(traits) if traits.is("object") || !traits.properties.is_empty() => Ok(traits),
            _ => Err(SchemaError::Invalid {
                path: "#/properties/traits".to_owned(),
                reason: "an identity schema must declare the object `traits` here".to_owned(),
            }),
        }
    }

    /// Whether the value can be of this type.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.types.iter().any(|known| known == name)
    }

    /// Whether the value is an object and nothing else.
    pub(crate) fn is_object(&self) -> bool {
        if self.types.is_empty() { !self.properties.is_empty() } else { self.types == ["object"] }
    }

    /// Whether the value is a list.
    pub(crate) fn is_array(&self) -> bool {
        if self.types.is_empty() { self.items.is_some() } else { self.is("array") && !self.is("object") }
    }

    /// The declared member of this name.
    pub(crate) fn property(&self, name: &str) -> Option<&Self> {
        self.properties.iter().find(|(known, _)| known == name).map(|(_, shape)| shape)
    }
}

struct Builder<'a> {
    document: &'a Value,
    draft: Draft,
    shapes: usize,
    refs: Vec<&'a str>,
}

impl<'a> Builder<'a> {
    fn absorb(&mut self, shape: &mut Shape, schema: &'a Value, depth: usize, conditional: bool) -> Result<(), SchemaError> {
        let Some(schema) = schema.as_object() else { return Ok(()) };
        // The traits themselves are one level below the document, and their members may be MAX_DEPTH deep.
        if depth > MAX_DEPTH + 1 {
            return Ok(());
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let found = self.resolve(target)?;
            if self.refs.contains(&target) {
                // It leads back to itself and declares a tree: the first turn is known, the rest depends on the value.
                shape.conditional = true;
                if let Some(members) = found.as_object() {
                    absorb_annotations(shape, members);
                }
            } else {
                self.refs.push(target);
                self.absorb(shape, found, depth, conditional)?;
                self.refs.pop();
            }
            if !self.draft.reads_beside_ref() {
                return Ok(());
            }
        }
        absorb_annotations(shape, schema);
        let is_closed =
            schema.get("additionalProperties") == Some(&Value::Bool(false)) && !schema.contains_key("patternProperties");
        shape.closed |= is_closed && !conditional;
        self.absorb_members(shape, schema, depth, conditional)?;
        for all in list(schema, "allOf") {
            self.absorb(shape, all, depth, conditional)?;
        }
        let branches = ["anyOf", "oneOf"].into_iter().flat_map(|key| list(schema, key));
        for branch in branches.chain(["if", "then", "else"].into_iter().filter_map(|key| schema.get(key))) {
            self.absorb(shape, branch, depth, true)?;
        }
        Ok(())
    }

    fn absorb_members(
        &mut self,
        shape: &mut Shape,
        schema: &'a Map<String, Value>,
        depth: usize,
        conditional: bool,
    ) -> Result<(), SchemaError> {
        for (name, member) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let known = shape.properties.iter().position(|(known, _)| known == name);
            let index = match known {
                Some(index) => index,
                None => {
                    self.count()?;
                    shape.properties.push((name.clone(), Shape { conditional, ..Shape::default() }));
                    shape.properties.len() - 1
                }
            };
            let slot = &mut shape.properties[index].1;
            slot.conditional &= conditional;
            self.absorb(slot, member, depth + 1, conditional)?;
        }
        if !conditional {
            for name in list(schema, "required").filter_map(Value::as_str) {
                if let Some((_, property)) = shape.properties.iter_mut().find(|(known, _)| known == name) {
                    property.required = true;
                }
            }
        }
        if let Some(items) = schema.get("items").filter(|items| items.is_object()) {
            if shape.items.is_none() {
                self.count()?;
            }
            let mut inner = shape.items.take().unwrap_or_default();
            self.absorb(&mut inner, items, depth + 1, conditional)?;
            shape.items = Some(inner);
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), SchemaError> {
        self.shapes += 1;
        if self.shapes > MAX_SHAPES { Err(SchemaError::TooManyTraits { limit: MAX_SHAPES }) } else { Ok(()) }
    }

    fn resolve(&self, target: &str) -> Result<&'a Value, SchemaError> {
        let unresolved = || SchemaError::Reference { target: target.to_owned() };
        let (base, fragment) = target.split_once('#').unwrap_or((target, ""));
        let start = if base.is_empty() { Some(self.document) } else { by_id(self.document, base, 0) };
        let start = start.ok_or_else(unresolved)?;
        let fragment = percent_decode_str(fragment).decode_utf8_lossy();
        if fragment.is_empty() || fragment.starts_with('/') {
            start.pointer(&fragment).ok_or_else(unresolved)
        } else {
            by_anchor(start, &fragment, 0).ok_or_else(unresolved)
        }
    }
}

fn list<'a>(schema: &'a Map<String, Value>, key: &str) -> impl Iterator<Item = &'a Value> {
    schema.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn absorb_annotations(shape: &mut Shape, schema: &Map<String, Value>) {
    let text = |key: &str| schema.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    if shape.types.is_empty() {
        shape.types = match schema.get("type") {
            Some(Value::String(name)) => vec![name.clone()],
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
    }
    shape.format = shape.format.take().or_else(|| text("format"));
    shape.title = shape.title.take().or_else(|| text("title"));
    shape.pattern = shape.pattern.take().or_else(|| text("pattern"));
    if shape.options.is_empty() {
        let options: Vec<_> = list(schema, "enum")
            .filter(|option| matches!(option, Value::String(_) | Value::Number(_) | Value::Bool(_)))
            .take(MAX_OPTIONS + 1)
            .cloned()
            .collect();
        shape.options = if options.len() > MAX_OPTIONS { Vec::new() } else { options };
    }
    shape.disabled |= schema.get("disableFormField") == Some(&Value::Bool(true));
    if let Some(value) = schema.get(extension::KEYWORD) {
        shape.extension.merge(&Extension::read(value, shape.format.as_deref()));
    }
}

fn by_id<'a>(value: &'a Value, wanted: &str, depth: usize) -> Option<&'a Value> {
    let own = ["$id", "id"].into_iter().filter_map(|key| value.get(key)?.as_str());
    let ends = |id: &str| {
        let id = id.trim_end_matches('#');
        id == wanted || (id.len() > wanted.len() && id.ends_with(wanted) && id[..id.len() - wanted.len()].ends_with('/'))
    };
    if own.into_iter().any(ends) {
        return Some(value);
    }
    if depth > 64 {
        return None;
    }
    children(value).find_map(|child| by_id(child, wanted, depth + 1))
}

fn by_anchor<'a>(value: &'a Value, wanted: &str, depth: usize) -> Option<&'a Value> {
    let named = |key: &str, prefix: &str| {
        value.get(key).and_then(Value::as_str).and_then(|text| text.strip_prefix(prefix)) == Some(wanted)
    };
    if named("$anchor", "") || named("$dynamicAnchor", "") || named("$id", "#") || named("id", "#") {
        return Some(value);
    }
    if depth > 64 {
        return None;
    }
    children(value).find_map(|child| by_anchor(child, wanted, depth + 1))
}

fn children(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Object(map) => Box::new(map.values()),
        Value::Array(items) => Box::new(items.iter()),
        _ => Box::new(std::iter::empty()),
    }
}
