//! Validation of traits, and the translation of what is wrong into the contract's messages (settings 2.10).
//! Stories and the writer of identities call it; every refusal lands on the node of the value that is wrong.
//! Knows the validator's error kinds, and values only as long as it takes to name what is wrong with them.

use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::{PatternOptions, ValidationError};
use serde_json::{Value, json};

use keyward_model::{FormError, FormErrors, Message, Via, is_email_address};

use super::values::{display_name, values_at};
use super::{Draft, IdentitySchema, SchemaError, TraitDefinition, join};
use crate::payload::wrong_type;
use crate::phone;

/// How many refusals one answer carries.
const MAX_REFUSALS: usize = 100;
/// Memory for one compiled `pattern`, in bytes.
const PATTERN_SIZE: usize = 1 << 20;

/// Compiles the validator of a document. Patterns run in linear time; formats are checked in every draft; nothing is fetched.
pub(super) fn compile(document: &Value, draft: Draft) -> Result<jsonschema::Validator, SchemaError> {
    // The draft is known by now, and a `$schema` that is spelled in another way must not be looked up.
    let mut document = document.clone();
    if let Some(members) = document.as_object_mut() {
        members.shift_remove("$schema");
    }
    jsonschema::options()
        .with_draft(draft.library())
        .offline()
        .should_validate_formats(true)
        .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_SIZE))
        .with_format("email", is_email_address)
        .with_format("email_loose", is_loose_email_address)
        .with_format("tel", |text: &str| phone::e164(text).is_some())
        .with_format("no-validate", |_: &str| true)
        .build(&document)
        .map_err(|error| match error.kind() {
            Kind::Referencing(inner) => SchemaError::Reference { target: inner.to_string() },
            _ => SchemaError::Invalid {
                path: format!("#{}", error.instance_path().as_str()),
                reason: error.masked_with("this value").to_string(),
            },
        })
}

impl IdentitySchema {
    /// What is wrong with traits, each at its node; empty when nothing is. Values are judged as they would be stored: without
    /// surrounding white space, phone numbers in E.164.
    pub fn validate(&self, traits: &Value) -> FormErrors {
        if !traits.is_object() {
            return FormErrors::at("traits", wrong_type(&["object"], traits));
        }
        let instance = json!({ "traits": self.normalise(traits.clone()) });
        let mut refusals = Refusals::default();
        for error in self.0.validator.iter_errors(&instance) {
            refusals.translate(&error);
        }
        for definition in self.traits() {
            check_address(definition, &instance["traits"], &mut refusals);
        }
        FormErrors(refusals.0)
    }
}

/// What the extension demands beyond the schema: an address that gets mail or messages must be able to.
fn check_address(definition: &TraitDefinition, traits: &Value, refusals: &mut Refusals) {
    let format = definition.format.as_deref().unwrap_or_default();
    if !definition.extension.is_flagged() || matches!(format, "no-validate" | "email" | "tel" | "date" | "time" | "date-time") {
        return;
    }
    for (path, value) in values_at(traits, &definition.path) {
        let Some(text) = value.as_str() else { continue };
        let message = match definition.extension.via() {
            _ if text.is_empty() => continue,
            Some(Via::Email) if !is_email_address(text) => Message::new(4_000_040, json!({ "value": text })),
            Some(Via::Sms) if phone::e164(text).is_none() => Message::new(4_000_041, json!({ "value": text })),
            None if definition.canonical(text).is_none() => {
                Message::reason("This contains characters that cannot be seen. Type it again.")
            }
            _ => continue,
        };
        refusals.add(Some(display_name(&path)), message);
    }
}

fn is_loose_email_address(text: &str) -> bool {
    let visible = !text.chars().any(|character| character.is_control() || character.is_whitespace());
    visible && text.rsplit_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
}

#[derive(Default)]
struct Refusals(Vec<FormError>);

impl Refusals {
    fn add(&mut self, node: Option<String>, message: Message) {
        let refusal = FormError { node, message };
        if self.0.len() < MAX_REFUSALS && !self.0.contains(&refusal) {
            self.0.push(refusal);
        }
    }

    fn translate(&mut self, error: &ValidationError<'_>) {
        if self.0.len() >= MAX_REFUSALS {
            return;
        }
        let node = node_of(error);
        match error.kind() {
            Kind::Required { property } => {
                let property = property.as_str().unwrap_or_default();
                let missing = match &node {
                    Some(parent) => join(parent, property),
                    None => property.replace('.', "\\."),
                };
                self.add(Some(missing), Message::missing(property));
            }
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } if context.iter().any(|branch| !branch.is_empty()) => {
                for cause in context.iter().flatten() {
                    self.translate(cause);
                }
            }
            kind => self.add(node, message(kind, error.instance())),
        }
    }
}

fn node_of(error: &ValidationError<'_>) -> Option<String> {
    let parts = error.instance_path().iter().map(|segment| segment.to_string().replace('.', "\\.")).collect::<Vec<_>>();
    (!parts.is_empty()).then(|| parts.join("."))
}

fn message(kind: &Kind, actual: &Value) -> Message {
    let length = || actual.as_str().map_or(0, |text| text.chars().count());
    let items = || actual.as_array().map_or(0, Vec::len);
    match kind {
        Kind::MinLength { limit } => Message::new(4_000_003, json!({ "min_length": limit, "actual_length": length() })),
        Kind::MaxLength { limit } => Message::new(4_000_017, json!({ "max_length": limit, "actual_length": length() })),
        Kind::Pattern { pattern } => Message::new(4_000_004, json!({ "pattern": pattern })),
        Kind::Minimum { limit } => Message::new(4_000_018, json!({ "minimum": limit, "actual": actual })),
        Kind::ExclusiveMinimum { limit } => Message::new(4_000_019, json!({ "minimum": limit, "actual": actual })),
        Kind::Maximum { limit } => Message::new(4_000_020, json!({ "maximum": limit, "actual": actual })),
        Kind::ExclusiveMaximum { limit } => Message::new(4_000_021, json!({ "maximum": limit, "actual": actual })),
        Kind::MultipleOf { multiple_of } => Message::new(4_000_022, json!({ "base": whole(*multiple_of), "actual": actual })),
        Kind::MaxItems { limit } => Message::new(4_000_023, json!({ "max_items": limit, "actual_items": items() })),
        Kind::MinItems { limit } => Message::new(4_000_024, json!({ "min_items": limit, "actual_items": items() })),
        Kind::UniqueItems => {
            let (first, second) = first_equal_pair(actual);
            Message::new(4_000_025, json!({ "index_a": first, "index_b": second }))
        }
        Kind::Type { kind } => {
            let allowed: Vec<_> = match kind {
                TypeKind::Single(one) => vec![one.as_str()],
                TypeKind::Multiple(several) => several.iter().map(jsonschema::JsonType::as_str).collect(),
            };
            wrong_type(&allowed, actual)
        }
        Kind::Constant { expected_value } => match &**expected_value {
            Value::Array(_) | Value::Object(_) => Message::plain(4_000_030),
            scalar => Message::new(4_000_029, json!({ "expected": scalar })),
        },
        Kind::Format { format } => match (format.as_str(), actual.as_str().unwrap_or_default()) {
            ("email" | "email_loose", "") => Message::reason("This may not be empty."),
            ("email" | "email_loose", value) => Message::new(4_000_040, json!({ "value": value })),
            ("tel", value) => Message::new(4_000_041, json!({ "value": value })),
            ("date", _) => Message::reason("Enter a date, like 2026-07-29."),
            ("date-time", _) => Message::reason("Enter a date and time with its zone, like 2026-07-29T18:30:00Z."),
            ("time", _) => Message::reason("Enter a time with its zone, like 18:30:00Z."),
            ("uri" | "iri", _) => Message::reason("Enter a full web address, like https://example.org."),
            (other, _) => Message::reason(format!("This does not have the form that is asked for ({}).", clip(other))),
        },
        Kind::Enum { .. } => Message::reason("Choose one of the given values."),
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let names: Vec<_> = unexpected.iter().take(5).map(|name| clip(name)).collect();
            Message::reason(format!("This form does not know these fields: {}.", names.join(", ")))
        }
        Kind::AdditionalItems { .. } | Kind::UnevaluatedItems { .. } => Message::reason("There are more entries than allowed."),
        Kind::FalseSchema => Message::reason("This field cannot be filled in."),
        Kind::Contains => Message::reason("An entry that is asked for is missing."),
        Kind::MaxProperties { limit } => Message::reason(format!("At most {limit} fields are allowed here.")),
        Kind::MinProperties { limit } => Message::reason(format!("At least {limit} fields are needed here.")),
        Kind::Not { .. } => Message::reason("This value is not allowed."),
        Kind::OneOfMultipleValid { .. } => Message::reason("This fits several of the allowed forms, but must fit exactly one."),
        Kind::PropertyNames { .. } => Message::reason("A field has a name that is not allowed."),
        _ => Message::reason("This does not have the form that is asked for."),
    }
}

/// `2` and not `2.0`, as the schema's author wrote it.
#[expect(clippy::cast_possible_truncation, reason = "only whole numbers of 32 bits are converted")]
fn whole(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() <= f64::from(i32::MAX) { json!(number as i64) } else { json!(number) }
}

fn first_equal_pair(list: &Value) -> (usize, usize) {
    let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
    // Bounded: the pair is only for the sentence, and comparing all entries of a long list costs their square.
    let items = &items[..items.len().min(500)];
    for (second, item) in items.iter().enumerate() {
        if let Some(first) = items[..second].iter().position(|earlier| earlier == item) {
            return (first, second);
        }
    }
    (0, 0)
}

fn clip(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(64).collect()
}
