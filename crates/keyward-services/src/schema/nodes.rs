//! The form fields of traits (contract: settings 2.5, login 10.7).
//! The profile method shows them with the stored values, registration with none.
//! Knows schema and values; which values to show, and their messages, the caller lays over.

use serde_json::{Map, Value};

use keyward_model::{Choice, Group, InputType, Message, Node};

use super::shape::Shape;
use super::values::values_at;
use super::{IdentitySchema, Step, TraitDefinition, join};

impl IdentitySchema {
    /// One field for each declared trait in document order, with its value where there is one. A list shows its entries, or
    /// one blank field. Values that the schema does not declare follow, unless it declares that there are no others: then they are
    /// from before it did, and the next save leaves them behind.
    pub fn trait_nodes(&self, group: Group, traits: &Value) -> Vec<Node> {
        let mut nodes = Vec::new();
        for definition in self.traits().iter().filter(|definition| !definition.is_element()) {
            let value = value_at(traits, &definition.path);
            match value {
                Some(list @ Value::Array(items)) if !items.is_empty() => flatten(group, &definition.name, list, None, &mut nodes),
                Some(Value::Array(_) | Value::Object(_)) | None => nodes.push(field(definition, group)),
                Some(scalar) => nodes.push(field(definition, group).value(scalar.clone())),
            }
        }
        let mut present = Vec::new();
        flatten(group, "traits", traits, Some(&self.0.shape), &mut present);
        present.retain(|node| !nodes.iter().any(|known| known.id() == node.id()));
        nodes.append(&mut present);
        nodes
    }

    /// The names of the fields in document order, by which forms are sorted.
    pub fn node_keys(&self) -> Vec<String> {
        self.traits().iter().filter(|definition| !definition.is_element()).map(|definition| definition.name.clone()).collect()
    }

    /// What an authenticator app calls the account: the first trait flagged for it.
    pub fn totp_account_name(&self, traits: &Value) -> Option<String> {
        self.first_text(traits, |definition| definition.extension.totp_account_name)
    }

    /// What a passkey calls the account: the first trait flagged for it, else the first WebAuthn identifier.
    pub fn passkey_display_name(&self, traits: &Value) -> Option<String> {
        self.first_text(traits, |definition| definition.extension.passkey_display_name)
            .or_else(|| self.first_text(traits, |definition| definition.extension.webauthn_identifier))
    }

    /// The fields that [`IdentitySchema::passkey_display_name`] is read from, in the order in which they are asked.
    pub fn passkey_display_name_fields(&self) -> Vec<&str> {
        let named = |wanted: fn(&TraitDefinition) -> bool| {
            self.traits()
                .iter()
                .filter(move |definition| wanted(definition))
                .map(|definition| definition.name.as_str())
                .collect::<Vec<_>>()
        };
        let flagged = named(|definition| definition.extension.passkey_display_name);
        if flagged.is_empty() { named(|definition| definition.extension.webauthn_identifier) } else { flagged }
    }

    fn first_text(&self, traits: &Value, wanted: impl Fn(&TraitDefinition) -> bool) -> Option<String> {
        let definitions = self.traits().iter().filter(|definition| wanted(definition));
        definitions
            .flat_map(|definition| values_at(traits, &definition.path))
            .find_map(|(_, value)| super::values::scalar_text(value))
    }
}

fn value_at<'a>(traits: &'a Value, path: &[Step]) -> Option<&'a Value> {
    path.iter().try_fold(traits, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::Each => None,
    })
}

fn field(definition: &TraitDefinition, group: Group) -> Node {
    let (input_type, autocomplete) = input_type(definition);
    let mut node = Node::input(group, definition.name.clone(), input_type).required(definition.required).with(|input| {
        input.autocomplete = autocomplete;
        input.pattern.clone_from(&definition.pattern);
        input.disabled = definition.disabled;
        input.options = definition.options.iter().map(|value| Choice { value: value.clone() }).collect();
    });
    if let Some(title) = &definition.title {
        node = node.label(Message::title(title, &definition.name));
    }
    node
}

fn input_type(definition: &TraitDefinition) -> (InputType, Option<&'static str>) {
    match definition.format.as_deref() {
        Some("email") => return (InputType::Email, Some("email")),
        Some("tel") => return (InputType::Tel, Some("tel")),
        Some("date-time") => return (InputType::DatetimeLocal, None),
        Some("date") => return (InputType::Date, None),
        Some("uri") => return (InputType::Url, Some("url")),
        _ => {}
    }
    if matches!(definition.path.last(), Some(Step::Key(key)) if key == "password") {
        return (InputType::Password, None);
    }
    let is = |name: &str| definition.types.iter().any(|known| known == name);
    let by_type = match () {
        () if is("string") => InputType::Text,
        () if is("number") || is("integer") => InputType::Number,
        () if is("boolean") => InputType::Checkbox,
        () => InputType::Text,
    };
    (by_type, None)
}

/// One field for each scalar inside a value, typed by the value itself. `shape`: what the schema declares there.
fn flatten(group: Group, name: &str, value: &Value, shape: Option<&Shape>, nodes: &mut Vec<Node>) {
    let input_type = match value {
        Value::Object(members) => return flatten_members(group, name, members, shape, nodes),
        Value::Array(items) => {
            let shape = shape.and_then(|shape| shape.items.as_deref());
            for (index, item) in items.iter().enumerate() {
                flatten(group, &format!("{name}.{index}"), item, shape, nodes);
            }
            return;
        }
        Value::Null => return,
        Value::Number(_) => InputType::Number,
        Value::Bool(_) => InputType::Checkbox,
        Value::String(_) => InputType::Text,
    };
    if name != "traits" {
        nodes.push(Node::input(group, name, input_type).value(value.clone()));
    }
}

fn flatten_members(group: Group, name: &str, members: &Map<String, Value>, shape: Option<&Shape>, nodes: &mut Vec<Node>) {
    for (key, member) in members {
        let declared = shape.and_then(|shape| shape.property(key));
        if declared.is_some() || !shape.is_some_and(|shape| shape.closed) {
            flatten(group, &join(name, key), member, declared, nodes);
        }
    }
}
