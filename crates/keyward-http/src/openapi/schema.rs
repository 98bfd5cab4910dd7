//! The words in which the tables beside the handlers and in this folder describe JSON, and how they become JSON Schema.
//! [`super`] puts the tables together.
//! Knows no endpoint.

use serde_json::{Map, Value, json};

/// What a value is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// Anything.
    Any,
    /// `true` or `false`.
    Flag,
    /// Many of one kind.
    List(&'static Shape),
    /// Names that nobody knows before, each with a value of one kind.
    Map(&'static Shape),
    /// A schema of the tables.
    Named(&'static str),
    /// A whole number.
    Number,
    /// Members that nobody knows before.
    Object,
    /// That, or `null`.
    OrNull(&'static Shape),
    Text,
    /// RFC 3339.
    Time,
    Uuid,
}

impl Shape {
    pub(super) fn json(self) -> Value {
        match self {
            Self::Any => json!({}),
            Self::Flag => json!({ "type": "boolean" }),
            Self::List(item) => json!({ "type": "array", "items": item.json() }),
            Self::Map(value) => json!({ "type": "object", "additionalProperties": value.json() }),
            Self::Named(name) => json!({ "$ref": reference(name) }),
            Self::Number => json!({ "type": "integer" }),
            Self::Object => json!({ "type": "object" }),
            Self::OrNull(shape) => shape.json_or_null(),
            Self::Text => json!({ "type": "string" }),
            Self::Time => json!({ "type": "string", "format": "date-time" }),
            Self::Uuid => json!({ "type": "string", "format": "uuid" }),
        }
    }

    fn json_or_null(self) -> Value {
        let mut json = self.json();
        match json.get("type") {
            Some(kind) => json["type"] = json!([kind, "null"]),
            None if matches!(self, Self::Named(_)) => json = json!({ "oneOf": [json, { "type": "null" }] }),
            None => {}
        }
        json
    }
}

fn reference(name: &str) -> String {
    format!("#/components/schemas/{name}")
}

/// A member of an object.
#[derive(Debug)]
pub(super) struct Member {
    name: &'static str,
    shape: Shape,
    required: bool,
    says: Option<&'static str>,
}

/// A member that is always there.
pub(super) const fn must(name: &'static str, shape: Shape) -> Member {
    Member { name, shape, required: true, says: None }
}

/// A member that may be left out or `null`.
pub(super) const fn may(name: &'static str, shape: Shape) -> Member {
    Member { name, shape, required: false, says: None }
}

impl Member {
    /// What its name and shape do not say.
    pub(super) const fn says(self, text: &'static str) -> Self {
        Self { says: Some(text), ..self }
    }

    fn json(&self) -> Value {
        let mut json = if self.required { self.shape.json() } else { self.shape.json_or_null() };
        if let Some(text) = self.says {
            json["description"] = json!(text);
        }
        json
    }
}

/// A schema with a name.
#[derive(Debug)]
pub(super) struct Schema {
    pub(super) name: &'static str,
    says: &'static str,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Object(&'static [Member]),
    List(Shape),
    Words(&'static [&'static str]),
    Either(&'static [&'static str]),
    ToldBy { member: &'static str, choices: &'static [(&'static str, &'static str)] },
}

impl Schema {
    /// An object; without members, one of which nobody knows any before.
    pub(super) const fn object(name: &'static str, says: &'static str, members: &'static [Member]) -> Self {
        Self { name, says, form: Form::Object(members) }
    }

    /// A list.
    pub(super) const fn list(name: &'static str, says: &'static str, item: Shape) -> Self {
        Self { name, says, form: Form::List(item) }
    }

    /// One of a few words.
    pub(super) const fn words(name: &'static str, says: &'static str, words: &'static [&'static str]) -> Self {
        Self { name, says, form: Form::Words(words) }
    }

    /// One of several schemas.
    pub(super) const fn either(name: &'static str, says: &'static str, schemas: &'static [&'static str]) -> Self {
        Self { name, says, form: Form::Either(schemas) }
    }

    /// One of several schemas, told by a word in a member that all of them have.
    pub(super) const fn told_by(
        name: &'static str,
        says: &'static str,
        member: &'static str,
        choices: &'static [(&'static str, &'static str)],
    ) -> Self {
        Self { name, says, form: Form::ToldBy { member, choices } }
    }

    pub(super) fn json(&self) -> Value {
        let mut json = match &self.form {
            Form::Object([]) => Shape::Object.json(),
            Form::Object(members) => {
                let required: Vec<&str> = members.iter().filter(|member| member.required).map(|member| member.name).collect();
                let properties: Map<String, Value> =
                    members.iter().map(|member| (member.name.to_owned(), member.json())).collect();
                let mut json = json!({ "type": "object", "properties": properties });
                if !required.is_empty() {
                    json["required"] = json!(required);
                }
                json
            }
            Form::List(item) => json!({ "type": "array", "items": item.json() }),
            Form::Words(words) => json!({ "type": "string", "enum": words }),
            Form::Either(schemas) => {
                json!({ "oneOf": schemas.iter().map(|name| Shape::Named(name).json()).collect::<Vec<_>>() })
            }
            Form::ToldBy { member, choices } => {
                let mapping: Map<String, Value> =
                    choices.iter().map(|(word, name)| ((*word).to_owned(), json!(reference(name)))).collect();
                json!({
                    "oneOf": choices.iter().map(|(_, name)| Shape::Named(name).json()).collect::<Vec<_>>(),
                    "discriminator": { "propertyName": member, "mapping": mapping },
                })
            }
        };
        json["description"] = json!(self.says);
        json
    }
}
