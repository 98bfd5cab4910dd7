//! What a flow remembers of its form: messages and echoed values, never nodes.
//! Stories write it when something is refused; rendering lays it over freshly built nodes.
//! Holds no secret: methods drop passwords and codes before anything is echoed.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{Group, InputType, Message, Node};

/// Messages and echoed values of one form.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Form {
    /// About the whole form.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<Message>,
    /// By node id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, Field>,
}

/// What is remembered about one node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// The submitted value, to show again; null was sent empty or not at all, absent means "as the method says".
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub value: Option<Value>,
    /// What was wrong with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<Message>,
}

/// Keeps a null that is there apart from one that is not.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl Form {
    /// Forgets all messages, keeps nothing: every submit starts from a clean form (decisions 8).
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Replaces everything by one message about the whole form.
    pub fn say(&mut self, message: Message) {
        self.clear();
        self.messages.push(message);
    }

    /// Adds refusals to the nodes that they name.
    pub fn refuse(&mut self, errors: FormErrors) {
        for FormError { node, message } in errors.0 {
            match node {
                Some(node) => self.fields.entry(node).or_default().messages.push(message),
                None => self.messages.push(message),
            }
        }
    }

    /// Remembers a submitted value.
    pub fn echo(&mut self, node: impl Into<String>, value: Value) {
        self.fields.entry(node.into()).or_default().value = Some(value);
    }

    /// A submitted value that is remembered.
    pub fn echoed(&self, node: &str) -> Option<&Value> {
        self.fields.get(node)?.value.as_ref()
    }

    /// Lays echoed values and messages over nodes. A message whose node does not exist gets a text input of the
    /// default group (contract: settings 2.3), so that no client loses it.
    pub fn lay_over(&self, nodes: &mut Vec<Node>) {
        for (id, field) in &self.fields {
            let mut found = false;
            for node in nodes.iter_mut().filter(|node| node.id() == id) {
                if let Some(value) = &field.value {
                    *node = node.clone().value(value.clone());
                }
                if !found {
                    node.messages.extend(field.messages.iter().cloned());
                    found = true;
                }
            }
            if !found && !field.messages.is_empty() {
                let mut node = Node::input(Group::Default, id.clone(), InputType::Text);
                node.messages.clone_from(&field.messages);
                nodes.push(node);
            }
        }
    }
}

/// One refusal: at a node, or about the whole form.
#[derive(Clone, Debug, PartialEq)]
pub struct FormError {
    /// The node id; `None` for the form itself.
    pub node: Option<String>,
    /// What to say.
    pub message: Message,
}

/// Why a form is refused. Never empty where it is an error.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FormErrors(pub Vec<FormError>);

impl FormErrors {
    /// One refusal at a node.
    pub fn at(node: impl Into<String>, message: Message) -> Self {
        Self(vec![FormError { node: Some(node.into()), message }])
    }

    /// One refusal of the whole form.
    pub fn global(message: Message) -> Self {
        Self(vec![FormError { node: None, message }])
    }

    /// Whether nothing is refused.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a refusal at a node.
    pub fn push(&mut self, node: impl Into<String>, message: Message) {
        self.0.push(FormError { node: Some(node.into()), message });
    }

    /// `Ok` when nothing is refused.
    ///
    /// # Errors
    /// Itself, when something is.
    pub fn into_result(self) -> Result<(), Self> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_message_without_a_node_is_not_lost_and_lands_on_the_first_of_several() {
        let mut form = Form::default();
        form.refuse(FormErrors::at("traits.gone", Message::missing("gone")));
        form.refuse(FormErrors::at("unlink", Message::plain(4_000_007)));
        form.echo("traits.email", json!("typed"));
        let mut nodes = vec![
            Node::submit(Group::Oidc, "unlink", "a", Message::plain(1_070_003)),
            Node::submit(Group::Oidc, "unlink", "b", Message::plain(1_070_003)),
            Node::input(Group::Profile, "traits.email", InputType::Email).value(json!("stored")),
        ];
        form.lay_over(&mut nodes);
        assert_eq!(nodes.iter().map(|node| node.messages.len()).collect::<Vec<_>>(), [1, 0, 0, 1]);
        assert_eq!((nodes[3].id(), nodes[3].group), ("traits.gone", Group::Default));
        assert_eq!(serde_json::to_value(&nodes[2]).unwrap()["attributes"]["value"], "typed");
    }
}
