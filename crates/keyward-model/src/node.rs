//! Form nodes: what a page shows and what a client sends back (contract: settings 2.2).
//! Methods build them anew at every read, [`crate::sort`] orders them, `http` and the pages serialise them.
//! They know neither database nor request: a node is a value.

use serde::Serialize;
use serde_json::Value;

use crate::{Lang, Message};

/// Which method a node belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants are the wire's words")]
pub enum Group {
    Default,
    Password,
    Oidc,
    Profile,
    Link,
    Code,
    Totp,
    LookupSecret,
    Webauthn,
    Passkey,
    IdentifierFirst,
    Captcha,
    Saml,
    #[serde(rename = "deviceauthn")]
    DeviceAuthn,
}

/// A form node.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Node {
    /// `input`, `text`, `img`, `a` or `script`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Which method it belongs to.
    pub group: Group,
    /// What it shows.
    pub attributes: Attributes,
    /// What is wrong with its value.
    pub messages: Vec<Message>,
    /// Its label.
    pub meta: Meta,
}

/// Leaves one node of each id, as a form has one field of each name: the last one, in the place of the first. Buttons stay, since
/// several of a name are several choices (contract: settings 2.3).
pub fn upsert(nodes: Vec<Node>) -> Vec<Node> {
    let mut kept: Vec<Node> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let is_button = matches!(&node.attributes, Attributes::Input(input) if input.input_type == InputType::Submit);
        match kept.iter_mut().find(|known| !is_button && known.id() == node.id()) {
            Some(known) => *known = node,
            None => kept.push(node),
        }
    }
    kept
}

/// What stands beside a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Meta {
    /// What to call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<Message>,
}

/// The type-specific part of a node.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Attributes {
    /// A field or button.
    Input(Box<Input>),
    /// A piece of text.
    Text {
        /// What it says.
        text: Message,
        /// Its id.
        id: String,
        /// Always `text`.
        node_type: &'static str,
    },
    /// A picture.
    Img {
        /// A `data:` URI.
        src: String,
        /// Its id.
        id: String,
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
        /// Always `img`.
        node_type: &'static str,
    },
    /// A link.
    Anchor {
        /// Where it leads.
        href: String,
        /// What it says.
        title: Message,
        /// Its id.
        id: String,
        /// Always `a`.
        node_type: &'static str,
    },
    /// A script that the page loads.
    Script(Box<Script>),
}

/// Attributes of a script: those of the HTML element.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Script {
    /// Its address.
    pub src: String,
    /// Whether the page goes on meanwhile.
    #[serde(rename = "async")]
    pub asynchronous: bool,
    /// What the request tells of the page.
    pub referrerpolicy: &'static str,
    /// How it is fetched from another origin.
    pub crossorigin: &'static str,
    /// Subresource Integrity of what `src` answers.
    pub integrity: String,
    /// Its media type.
    #[serde(rename = "type")]
    pub media_type: &'static str,
    /// Its id.
    pub id: &'static str,
    /// For pages whose policy asks for one; random in every answer.
    pub nonce: String,
    /// Always `script`.
    pub node_type: &'static str,
}

/// What a field is (`attributes.type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the variants are HTML's words")]
pub enum InputType {
    Text,
    Password,
    Number,
    Checkbox,
    Hidden,
    Email,
    Tel,
    Submit,
    Button,
    #[serde(rename = "datetime-local")]
    DatetimeLocal,
    Date,
    Url,
}

/// One choice of a field.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Choice {
    /// The value to send.
    pub value: Value,
}

/// Attributes of an input; optional ones are left out when empty, an empty `value` is kept.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(non_snake_case, reason = "the wire's spelling")]
pub struct Input {
    /// The key to send.
    pub name: String,
    /// What kind of field.
    #[serde(rename = "type")]
    pub input_type: InputType,
    /// What stands in it; absent means never shown (passwords).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// Whether it must be filled.
    #[serde(skip_serializing_if = "is_false")]
    pub required: bool,
    /// The autofill hint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autocomplete: Option<&'static str>,
    /// A regular expression the value must match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Whether it can be used.
    pub disabled: bool,
    /// Legacy script call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub onclick: Option<String>,
    /// Name of the helper function to call on click.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub onclickTrigger: Option<&'static str>,
    /// Legacy script call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub onload: Option<String>,
    /// Name of the helper function to call when the page is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub onloadTrigger: Option<&'static str>,
    /// Longest value in characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maxlength: Option<u32>,
    /// The allowed values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<Choice>,
    /// Always `input`.
    pub node_type: &'static str,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl Node {
    /// An input without value or label.
    pub fn input(group: Group, name: impl Into<String>, input_type: InputType) -> Self {
        let input = Input {
            name: name.into(),
            input_type,
            value: None,
            required: false,
            autocomplete: None,
            pattern: None,
            disabled: false,
            onclick: None,
            onclickTrigger: None,
            onload: None,
            onloadTrigger: None,
            maxlength: None,
            options: Vec::new(),
            node_type: "input",
        };
        Self { kind: "input", group, attributes: Attributes::Input(Box::new(input)), messages: Vec::new(), meta: Meta::default() }
    }

    /// A submit button that sends `name=value`.
    pub fn submit(group: Group, name: &str, value: impl Into<Value>, label: Message) -> Self {
        Self::input(group, name, InputType::Submit).value(value.into()).label(label)
    }

    /// A field that no person sees, without a value.
    pub fn hidden(group: Group, name: &str) -> Self {
        Self::input(group, name, InputType::Hidden)
    }

    /// A button that does nothing by itself: a script's function is called by its name.
    pub fn trigger(group: Group, name: &str, function: &'static str, label: Message) -> Self {
        Self::input(group, name, InputType::Button).with(|input| input.onclickTrigger = Some(function)).label(label)
    }

    /// The hidden `csrf_token` (contract: settings 2.4); empty in API flows.
    pub fn csrf(token: &str) -> Self {
        Self::input(Group::Default, "csrf_token", InputType::Hidden).value(token.into()).required(true)
    }

    /// With a value.
    #[must_use]
    pub fn value(self, value: Value) -> Self {
        self.with(|input| input.value = (!value.is_null()).then_some(value))
    }

    /// Required or not.
    #[must_use]
    pub fn required(self, required: bool) -> Self {
        self.with(|input| input.required = required)
    }

    /// With an autofill hint.
    #[must_use]
    pub fn autocomplete(self, hint: &'static str) -> Self {
        self.with(|input| input.autocomplete = Some(hint))
    }

    /// With a label.
    #[must_use]
    pub fn label(mut self, label: Message) -> Self {
        self.meta.label = Some(label);
        self
    }

    /// Changes the input's attributes; other node types are left alone.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Input)) -> Self {
        if let Attributes::Input(input) = &mut self.attributes {
            change(input);
        }
        self
    }

    /// The node's id: an input's name, else its `id` (contract: login 5.4).
    pub fn id(&self) -> &str {
        match &self.attributes {
            Attributes::Input(input) => &input.name,
            Attributes::Text { id, .. } | Attributes::Img { id, .. } | Attributes::Anchor { id, .. } => id,
            Attributes::Script(script) => script.id,
        }
    }

    /// The text that breaks ties in sorting (contract: settings 2.6).
    pub(crate) fn tiebreak(&self) -> String {
        match &self.attributes {
            Attributes::Input(input) => match &input.value {
                None => "<nil>".to_owned(),
                Some(Value::String(text)) => text.clone(),
                Some(value) => value.to_string(),
            },
            Attributes::Text { text, .. } => text.text.clone(),
            Attributes::Img { src, .. } => src.clone(),
            Attributes::Anchor { href, .. } => href.clone(),
            Attributes::Script(script) => script.src.clone(),
        }
    }

    /// The same node with every sentence in `lang`.
    #[must_use]
    pub fn in_language(mut self, lang: Lang) -> Self {
        self.messages = self.messages.into_iter().map(|message| message.in_language(lang)).collect();
        self.meta.label = self.meta.label.map(|label| label.in_language(lang));
        if let Attributes::Text { text, .. } | Attributes::Anchor { title: text, .. } = &mut self.attributes {
            *text = text.clone().in_language(lang);
        }
        self
    }
}

/// The `ui` object of a flow.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ui {
    /// Where forms post to.
    pub action: String,
    /// Always `POST`.
    pub method: &'static str,
    /// Never null.
    pub nodes: Vec<Node>,
    /// Messages about the whole form.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<Message>,
}
