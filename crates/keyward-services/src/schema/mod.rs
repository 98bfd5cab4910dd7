//! Identity schemas: which traits there are, how a form asks for them, what is valid, and what each is used for.
//! Configuration compiles them once, stories ask for nodes and validation, the writer of identities for identifiers.
//! The only module that knows the JSON Schema library; knows no flow, no store and no configuration.

mod catalog;
mod decode;
mod extension;
mod nodes;
mod shape;
#[cfg(test)]
mod tests;
mod validate;
mod values;

use std::sync::Arc;

use serde_json::Value;

pub use catalog::{SchemaEntry, SchemaSource, Schemas, load_document};
pub use extension::Extension;
pub(crate) use shape::MAX_DEPTH as MAX_TRAIT_DEPTH;
use shape::Shape;
pub(crate) use values::{TraitUse, changed_names, distinct_addresses, distinct_values};

/// Longest schema document, in bytes.
pub const MAX_DOCUMENT: usize = 1 << 20;

/// Why a schema cannot be used. Paths are JSON pointers into the document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// Longer than [`MAX_DOCUMENT`].
    #[error("the document is longer than {MAX_DOCUMENT} bytes")]
    TooLarge,
    /// Not JSON.
    #[error("the document is not valid JSON: {reason}")]
    NotJson {
        /// What the parser says, with line and column.
        reason: String,
    },
    /// A `$schema` that is none of drafts 4, 6, 7, 2019-09 and 2020-12.
    #[error("{path}: unknown draft {found:?}; known are draft-04, draft-06, draft-07, 2019-09 and 2020-12")]
    Draft {
        /// Where.
        path: String,
        /// What stands there.
        found: String,
    },
    /// The keyword `ory.sh/kratos` is not used as documented.
    #[error("{path}: expected {expected}")]
    Extension {
        /// Where.
        path: String,
        /// What may stand there.
        expected: String,
    },
    /// The document is no valid JSON Schema.
    #[error("{path}: {reason}")]
    Invalid {
        /// Where.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// A `$ref` that leads out of the document or nowhere.
    #[error("the reference {target:?} does not lead to a part of this document")]
    Reference {
        /// The value of `$ref`.
        target: String,
    },
    /// More traits than a form can sensibly show.
    #[error("more than {limit} traits are declared")]
    TooManyTraits {
        /// How many are allowed.
        limit: usize,
    },
    /// The URL's scheme cannot be loaded.
    #[error("{scheme}:// is not supported for identity schemas yet; use file:// or base64://")]
    Scheme {
        /// The part before `://`.
        scheme: String,
    },
    /// The document could not be read.
    #[error("the document cannot be read: {reason}")]
    Unreadable {
        /// What the operating system or the decoder says.
        reason: String,
    },
    /// Two schemas have one id, or the default schema does not exist.
    #[error("{0}")]
    Catalog(String),
}

/// The JSON Schema drafts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Draft {
    Four,
    Six,
    Seven,
    Nineteen,
    Twenty,
}

impl Draft {
    fn of(document: &Value) -> Result<Self, SchemaError> {
        let Some(found) = document.get("$schema") else { return Ok(Self::Seven) };
        let text = found.as_str().unwrap_or_default();
        let known = [
            ("draft-04/schema", Self::Four),
            ("draft-06/schema", Self::Six),
            ("draft-07/schema", Self::Seven),
            ("draft/2019-09/schema", Self::Nineteen),
            ("draft/2020-12/schema", Self::Twenty),
        ];
        let name = text.trim_end_matches('#').strip_prefix("http").map(|rest| rest.trim_start_matches('s'));
        let name = name.and_then(|rest| rest.strip_prefix("://json-schema.org/"));
        match known.into_iter().find(|(known, _)| Some(*known) == name) {
            Some((_, draft)) => Ok(draft),
            None => Err(SchemaError::Draft { path: "#/$schema".to_owned(), found: text.to_owned() }),
        }
    }

    /// Since 2019-09 keywords beside `$ref` count; before, they are ignored.
    pub(crate) const fn reads_beside_ref(self) -> bool {
        matches!(self, Self::Nineteen | Self::Twenty)
    }

    const fn library(self) -> jsonschema::Draft {
        match self {
            Self::Four => jsonschema::Draft::Draft4,
            Self::Six => jsonschema::Draft::Draft6,
            Self::Seven => jsonschema::Draft::Draft7,
            Self::Nineteen => jsonschema::Draft::Draft201909,
            Self::Twenty => jsonschema::Draft::Draft202012,
        }
    }
}

/// One step on the way to a trait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The member of this name.
    Key(String),
    /// Every element of a list.
    Each,
}

/// A trait that a schema declares: a value without declared members, or the elements of a list.
#[derive(Clone, Debug)]
pub struct TraitDefinition {
    /// How to get there from the traits object.
    pub path: Vec<Step>,
    /// The node name: `traits.a.b`, dots inside a key escaped; elements of lists end in the list's name.
    pub name: String,
    /// Its JSON types as declared; empty when the schema leaves it open.
    pub types: Vec<String>,
    /// `format`.
    pub format: Option<String>,
    /// `title`.
    pub title: Option<String>,
    /// `pattern`.
    pub pattern: Option<String>,
    /// The scalars of `enum`, when there are at most 500.
    pub options: Vec<Value>,
    /// Whether the direct parent requires it.
    pub required: bool,
    /// `disableFormField`.
    pub disabled: bool,
    /// What it is used for.
    pub extension: Extension,
}

impl TraitDefinition {
    /// Whether it is the element of a list.
    pub fn is_element(&self) -> bool {
        self.path.contains(&Step::Each)
    }
}

/// A compiled identity schema. Cloning shares it.
#[derive(Clone)]
pub struct IdentitySchema(Arc<Compiled>);

struct Compiled {
    id: String,
    validator: jsonschema::Validator,
    shape: Shape,
    traits: Vec<TraitDefinition>,
}

impl std::fmt::Debug for IdentitySchema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IdentitySchema({})", self.0.id)
    }
}

impl IdentitySchema {
    /// Compiles a document under the id that identities name it by.
    ///
    /// # Errors
    /// [`SchemaError`] when it is too large, no JSON Schema of a known draft, refers outside itself, misuses the extension
    /// keyword or declares no `properties.traits`.
    pub fn compile(id: &str, document: &str) -> Result<Self, SchemaError> {
        if document.len() > MAX_DOCUMENT {
            return Err(SchemaError::TooLarge);
        }
        let document: Value =
            serde_json::from_str(document).map_err(|error| SchemaError::NotJson { reason: error.to_string() })?;
        Self::compile_value(id, &document)
    }

    /// As [`IdentitySchema::compile`], for a document that is parsed already and was small enough.
    ///
    /// # Errors
    /// As [`IdentitySchema::compile`].
    pub fn compile_value(id: &str, document: &Value) -> Result<Self, SchemaError> {
        let draft = Draft::of(document)?;
        extension::check_document(document, &mut Vec::new())?;
        let validator = validate::compile(document, draft)?;
        let shape = Shape::of_traits(document, draft)?;
        let mut traits = Vec::new();
        collect(&shape, &mut Vec::new(), &mut traits);
        Ok(Self(Arc::new(Compiled { id: id.to_owned(), validator, shape, traits })))
    }

    /// The id that identities name it by.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Every declared trait in document order, elements of lists behind their list.
    pub fn traits(&self) -> &[TraitDefinition] {
        &self.0.traits
    }

    /// The label of the identifier field at sign-in: the title of the one trait that signs in with a password, when there is
    /// exactly one such trait and it has a title (contract: login 10.7).
    pub fn identifier_title(&self) -> Option<(&str, &str)> {
        let mut identifiers = self.0.traits.iter().filter(|definition| definition.extension.password_identifier);
        match (identifiers.next(), identifiers.next()) {
            (Some(only), None) => Some((only.title.as_deref()?, &only.name)),
            _ => None,
        }
    }
}

fn collect(shape: &Shape, path: &mut Vec<Step>, traits: &mut Vec<TraitDefinition>) {
    let is_traits_object = path.is_empty();
    let has_members = |shape: &Shape| shape.is_object() || !shape.properties.is_empty();
    let lists_objects = shape.is_array() && shape.items.as_deref().is_some_and(has_members);
    if !is_traits_object && !has_members(shape) && !lists_objects {
        traits.push(TraitDefinition {
            path: path.clone(),
            name: name_of(path),
            types: shape.types.clone(),
            format: shape.format.clone(),
            title: shape.title.clone(),
            pattern: shape.pattern.clone(),
            options: shape.options.clone(),
            required: shape.required,
            disabled: shape.disabled,
            extension: shape.extension.clone(),
        });
    }
    for (name, property) in &shape.properties {
        path.push(Step::Key(name.clone()));
        collect(property, path, traits);
        path.pop();
    }
    if let Some(items) = &shape.items {
        path.push(Step::Each);
        collect(items, path, traits);
        path.pop();
    }
}

fn name_of(path: &[Step]) -> String {
    path.iter().fold("traits".to_owned(), |name, step| match step {
        Step::Key(key) => join(&name, key),
        Step::Each => name,
    })
}

/// A node name one level deeper.
pub(crate) fn join(name: &str, key: &str) -> String {
    format!("{name}.{}", key.replace('.', "\\."))
}
