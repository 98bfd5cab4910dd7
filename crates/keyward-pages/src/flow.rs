//! Reading a flow: the members of the JSON that pages use, as borrowed values.
//! Every page with a flow starts here.
//! It is lenient, so that a node of an unknown kind still reaches the page; only `ui.action` is indispensable, and that only
//! while something is to be sent.

use serde_json::Value;

use crate::context::PageError;
use crate::safe;

/// A flow of any kind.
pub(crate) struct Flow<'a> {
    /// Where its forms post to.
    pub(crate) action: &'a str,
    /// `post` unless the flow asks for `get`.
    pub(crate) method: &'static str,
    pub(crate) nodes: Vec<Node<'a>>,
    pub(crate) messages: Vec<Text<'a>>,
    /// The method used last, if the flow tells.
    pub(crate) active: Option<&'a str>,
    pub(crate) return_to: Option<&'a str>,
    pub(crate) login_challenge: Option<&'a str>,
    /// When the flow began, as the wire writes it.
    pub(crate) issued_at: &'a str,
    /// Whether what the flow is for is done.
    pub(crate) passed: bool,
    pub(crate) refresh: bool,
    pub(crate) second_factor: bool,
}

/// A message, a label or the text of a text node.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a> {
    pub(crate) id: u64,
    pub(crate) text: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) context: &'a Value,
}

impl<'a> Text<'a> {
    pub(crate) fn read(value: &'a Value) -> Option<Self> {
        value.is_object().then(|| Self {
            id: value["id"].as_u64().unwrap_or_default(),
            text: value["text"].as_str().unwrap_or_default(),
            kind: value["type"].as_str().unwrap_or("info"),
            context: &value["context"],
        })
    }

    pub(crate) fn is_error(&self) -> bool {
        self.kind == "error"
    }

    /// A whole number of the context.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.context[name].as_u64()
    }

    /// A string of the context; an empty one counts as absent.
    pub(crate) fn value(&self, name: &str) -> Option<&'a str> {
        self.context[name].as_str().filter(|text| !text.is_empty())
    }
}

/// One entry of `ui.nodes`.
#[derive(Clone)]
pub(crate) struct Node<'a> {
    pub(crate) kind: &'a str,
    pub(crate) group: &'a str,
    pub(crate) label: Option<Text<'a>>,
    pub(crate) messages: Vec<Text<'a>>,
    attributes: &'a Value,
}

impl<'a> Node<'a> {
    fn read(value: &'a Value) -> Self {
        let attributes = &value["attributes"];
        let kind = value["type"].as_str().or_else(|| attributes["node_type"].as_str()).unwrap_or("input");
        Self {
            kind,
            group: value["group"].as_str().filter(|group| !group.is_empty()).unwrap_or("default"),
            label: Text::read(&value["meta"]["label"]).or_else(|| Text::read(&attributes["label"])),
            messages: texts(&value["messages"]),
            attributes,
        }
    }

    /// A string attribute; absent and of another type are the same.
    pub(crate) fn attribute(&self, name: &str) -> Option<&'a str> {
        self.attributes[name].as_str()
    }

    pub(crate) fn raw(&self, name: &str) -> &'a Value {
        &self.attributes[name]
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.attributes[name].as_bool().unwrap_or_default()
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.attributes[name].as_u64()
    }

    /// The name of an input, the id of anything else.
    pub(crate) fn name(&self) -> &'a str {
        self.attribute("name").or_else(|| self.attribute("id")).unwrap_or_default()
    }

    pub(crate) fn input_type(&self) -> &'a str {
        self.attribute("type").unwrap_or("text")
    }

    pub(crate) fn is_input(&self, types: &[&str]) -> bool {
        self.kind == "input" && types.contains(&self.input_type())
    }

    pub(crate) fn is_hidden(&self) -> bool {
        self.is_input(&["hidden"])
    }

    /// A hidden value that every form of the page sends along: all of `default`, and what an earlier step asked for.
    pub(crate) fn is_shared(&self) -> bool {
        self.is_hidden() && (self.group == "default" || self.name() == "identifier" || self.name().starts_with("traits."))
    }

    /// Whether a person types or chooses something in it.
    pub(crate) fn is_field(&self) -> bool {
        self.kind == "input" && !self.is_input(&["hidden", "submit", "button"])
    }

    /// The value as a form would send it; `None` when there is none.
    pub(crate) fn value(&self) -> Option<String> {
        scalar(&self.attributes["value"])
    }

    /// A node that exists only because its message had no other place: no label, no value, nothing to fill in.
    pub(crate) fn is_stray(&self) -> bool {
        self.group == "default"
            && self.is_field()
            && self.label.is_none()
            && !self.messages.is_empty()
            && self.value().is_none()
            && !self.flag("required")
            && self.name() != "identifier"
    }
}

impl<'a> Flow<'a> {
    pub(crate) fn read(flow: &'a Value) -> Result<Self, PageError> {
        let ui = &flow["ui"];
        let text = |name: &str| flow[name].as_str().filter(|text| !text.is_empty());
        let passed = text("state") == Some("passed_challenge");
        // What is done has no form any more, and its action is where people go on, which may be another program.
        let action = ui["action"].as_str().and_then(safe::address).or(passed.then_some(""));
        let action = action.ok_or(PageError::Malformed("ui.action"))?;
        Ok(Self {
            action: action.split('#').next().unwrap_or_default(),
            method: if ui["method"].as_str().is_some_and(|method| method.eq_ignore_ascii_case("get")) { "get" } else { "post" },
            nodes: ui["nodes"].as_array().map(|nodes| nodes.iter().map(Node::read).collect()).unwrap_or_default(),
            messages: texts(&ui["messages"]),
            active: text("active"),
            return_to: text("return_to"),
            login_challenge: text("oauth2_login_challenge"),
            issued_at: flow["issued_at"].as_str().unwrap_or_default(),
            passed,
            refresh: flow["refresh"].as_bool().unwrap_or_default(),
            second_factor: text("requested_aal") == Some("aal2"),
        })
    }

    /// Names of the groups that have anything to show, in the order of first appearance; `default` and scripts left out.
    pub(crate) fn groups(&self) -> Vec<&'a str> {
        let mut groups = Vec::new();
        for node in self.nodes.iter().filter(|node| node.kind != "script" && node.group != "default") {
            if !groups.contains(&node.group) {
                groups.push(node.group);
            }
        }
        groups
    }

    /// `address` carrying on what this flow has to remember: where to return to, and the OAuth2 request it serves.
    pub(crate) fn carry(&self, address: &str) -> String {
        let mut out = address.to_owned();
        for (name, value) in [("return_to", self.return_to), ("login_challenge", self.login_challenge)] {
            if let Some(value) = value {
                out = safe::with_query(&out, name, value);
            }
        }
        out
    }
}

/// A JSON scalar as form text; objects, arrays and null have none.
pub(crate) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn texts(list: &Value) -> Vec<Text<'_>> {
    list.as_array().map(|list| list.iter().filter_map(Text::read).collect()).unwrap_or_default()
}
