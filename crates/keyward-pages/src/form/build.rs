//! Forms made of nodes: every node of a flow becomes the field, button, hidden value, picture or message that shows it.
//! Pages and sections build their forms here.
//! Knows nothing of where on a page a form stands.

use std::collections::BTreeSet;

use keyward_model::Lang;

use crate::attributes::{autocomplete, input_type, inputmode};
use crate::flow::{Flow, Node, Text, scalar};
use crate::labels::{self, Purpose};
use crate::messages::{MessageBox, sentence};
use crate::moment::day;
use crate::{safe, social, texts};

use super::{Button, Choice, Complaint, Element, Field, Form, Hidden, Instead, OneCode};

/// What all forms of a page share.
pub(crate) struct Builder<'a> {
    pub(crate) lang: Lang,
    pub(crate) purpose: Purpose,
    pub(crate) flow: &'a Flow<'a>,
    ids: BTreeSet<String>,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(lang: Lang, purpose: Purpose, flow: &'a Flow<'a>) -> Self {
        Self { lang, purpose, flow, ids: BTreeSet::new() }
    }

    /// Builds one form of the given nodes, with the hidden nodes of the `default` group before them.
    pub(crate) fn form<'n>(&mut self, nodes: impl IntoIterator<Item = &'n Node<'n>>, fragment: Option<&str>) -> Form {
        let mut form = Form { action: self.flow.action.to_owned(), method: self.flow.method, ..Form::default() };
        if let Some(fragment) = fragment {
            form.action = format!("{}#{fragment}", form.action);
        }
        let flow = self.flow;
        for node in flow.nodes.iter().filter(|node| node.is_shared()) {
            form.hidden.push(hidden(node));
        }
        let shared = form.hidden.len();
        for node in nodes {
            if form.group.is_empty() {
                node.group.clone_into(&mut form.group);
            }
            self.add(&mut form, node);
        }
        form.has_own_values = form.hidden.len() > shared;
        if form.group == "code" && form.asks() && form.has_submit("method") {
            let (main, rest): (Vec<_>, Vec<_>) =
                std::mem::take(&mut form.submits).into_iter().partition(|button| button.name == "method");
            form.submits = main;
            form.instead = (!rest.is_empty()).then(|| Instead { submits: rest, ..Instead::default() });
        }
        // A stable sort: submits named `method` first, the others as they came.
        form.submits.sort_by_key(|button| button.name != "method");
        for (at, button) in form.submits.iter_mut().enumerate() {
            button.main = at == 0 && (button.completes || matches!(button.name.as_str(), "method" | "lookup_secret_confirm"));
            button.unchecked = !button.main;
        }
        if form.complaints.len() > 1 {
            form.summary.clone_from(&form.complaints);
            form.summary_title = texts::fill(self.lang, "summary", &[("count", &form.complaints.len().to_string())]);
        }
        form
    }

    /// A field that no node stands for: a name that a person gives to a thing.
    pub(crate) fn name_field(&mut self, name: &str, label: String, value: String) -> Field {
        let longest = u64::try_from(safe::LONGEST_NAME).unwrap_or_default();
        Field {
            id: self.id(&format!("in-{}", safe::anchor(name))),
            name: name.to_owned(),
            look: "input",
            kind: "text".to_owned(),
            label,
            value: Some(value),
            required: true,
            autocomplete: Some("off".to_owned()),
            maxlength: Some(longest),
            ..Field::default()
        }
    }

    fn add(&mut self, form: &mut Form, node: &Node<'_>) {
        match node.kind {
            "input" if node.is_hidden() => {
                if !node.is_shared() {
                    form.hidden.push(hidden(node));
                }
                form.messages.extend(self.boxes(node));
            }
            "input" if node.is_input(&["submit"]) => {
                form.submits.push(self.button(node));
                form.messages.extend(self.boxes(node));
            }
            "input" if node.is_input(&["button"]) => {
                form.triggers.push(self.button(node));
                form.messages.extend(self.boxes(node));
            }
            "input" => {
                let field = self.field(node);
                form.complaints.extend(field.errors.iter().map(|text| Complaint { field: field.id.clone(), text: text.clone() }));
                form.elements.push(Element::Field(Box::new(field)));
            }
            _ => {
                form.elements.push(self.passive(node));
                form.messages.extend(self.boxes(node));
            }
        }
    }

    fn boxes(&self, node: &Node<'_>) -> impl Iterator<Item = MessageBox> {
        node.messages.iter().map(|message| MessageBox::from_flow(self.lang, message))
    }

    fn field(&mut self, node: &Node<'_>) -> Field {
        let (lang, name) = (self.lang, node.name());
        let id = self.id(&format!("in-{}", safe::anchor(name)));
        let value = node.value();
        let choices = node.raw("options").as_array().filter(|options| !options.is_empty());
        let look = match node.input_type() {
            "password" => "password",
            "checkbox" => "tick",
            _ if choices.is_some() => "select",
            _ => "input",
        };
        let digits = matches!(name, "totp_code" | "code");
        let code = digits || name == "lookup_secret";
        let setting_password = look == "password" && matches!(self.purpose, Purpose::SignUp | Purpose::Settings);
        let (mut errors, mut notes) = (Vec::new(), Vec::new());
        for message in &node.messages {
            let said = sentence(lang, message, name);
            if message.is_error() { errors.push(said) } else { notes.push(said) }
        }
        let hint = match name {
            "password" if setting_password => Some(texts::fill(lang, "password_hint", &[])),
            "webauthn_register_displayname" => Some(texts::fill(lang, "key_name_hint", &[])),
            _ => None,
        };
        let described = [(hint.is_some(), "h"), (!notes.is_empty(), "n"), (!errors.is_empty(), "e")];
        let described: Vec<String> = described.iter().filter(|(shown, _)| *shown).map(|(_, end)| format!("{id}-{end}")).collect();
        let kind = input_type(node, value.as_deref());
        Field {
            name: name.to_owned(),
            label: labels::field(lang, self.purpose, node),
            options: choices.map(|options| choose(options, value.as_deref())).unwrap_or_default(),
            optional: name.starts_with("traits.") && !node.flag("required") && look != "tick",
            required: node.flag("required") && look != "tick",
            disabled: node.flag("disabled"),
            checked: look == "tick" && matches!(value.as_deref(), Some("true" | "on" | "1")),
            clears: look == "tick" && node.flag("required"),
            autocomplete: autocomplete(node, setting_password),
            inputmode: inputmode(node, digits),
            // Digits as apps and messages print them, "481 209" too; the server drops what is between them.
            pattern: if digits { Some(r"[0-9 \-]*") } else { node.attribute("pattern") }.map(str::to_owned),
            // One character more than the code has, for the same reason.
            maxlength: if digits { Some(node.number("maxlength").unwrap_or(6) + 1) } else { node.number("maxlength") },
            step: (kind == "number").then_some("any"),
            literal: code || matches!(name, "identifier" | "recovery_address" | "recovery_confirm_address"),
            code,
            // What was typed into a password field is never sent back.
            value: value.filter(|_| look != "password"),
            described_by: described.join(" "),
            forgot: None,
            autofocus: false,
            id,
            look,
            kind,
            hint,
            notes,
            errors,
        }
    }

    fn button(&self, node: &Node<'_>) -> Button {
        let label = labels::verb(self.lang, self.purpose, node);
        let name = node.name();
        let trigger = node.attribute("onclickTrigger").filter(|name| safe::trigger(name)).map(str::to_owned);
        let completes = social::completes(node);
        let provider = (matches!(name, "provider" | "link" | "unlink") && !completes)
            .then(|| node.label.and_then(|label| label.value("provider")).map(str::to_owned).or_else(|| node.value()))
            .flatten();
        let first = provider.as_deref().filter(|_| name != "unlink").and_then(|name| name.trim().chars().next());
        Button {
            value: node.value(),
            main: false,
            risk: matches!(name, "unlink" | "totp_unlink" | "lookup_secret_disable") || name.ends_with("_remove"),
            disabled: node.flag("disabled"),
            unchecked: true,
            letter: first.map(|first| first.to_uppercase().collect()),
            provider: provider.map(|name| safe::cut(&name)),
            spoken: None,
            completes,
            icon: match name {
                _ if trigger.is_some() && self.purpose == Purpose::Settings => Some("plus"),
                "passkey_login_trigger" | "passkey_register_trigger" => Some("passkey"),
                "webauthn_login_trigger" | "webauthn_register_trigger" => Some("usb"),
                "method" if node.group == "webauthn" => Some("usb"),
                _ => None,
            },
            fallback: texts::fill(self.lang, "needs_script", &[("label", &label)]),
            name: name.to_owned(),
            label,
            trigger,
        }
    }

    fn passive(&mut self, node: &Node<'_>) -> Element {
        let raw_id = node.attribute("id").unwrap_or_default();
        let id = self.id(&safe::anchor(raw_id));
        let label = node.label.map(|_| labels::field(self.lang, self.purpose, node)).unwrap_or_default();
        let inner = |name: &str| Text::read(node.raw(name));
        match node.kind {
            "img" => {
                let src = node.attribute("src").unwrap_or_default();
                match safe::image(src) {
                    Some(src) => Element::Image {
                        id,
                        label,
                        src: src.to_owned(),
                        width: node.number("width"),
                        height: node.number("height"),
                    },
                    None => Element::Text { id, label, text: safe::cut(src) },
                }
            }
            "a" => {
                let href = node.attribute("href").unwrap_or_default();
                let title = inner("title").map(|title| title.text.to_owned()).filter(|text| !text.is_empty());
                match safe::address(href) {
                    Some(href) => {
                        Element::Link { id, href: href.to_owned(), text: title.unwrap_or_else(|| labels::human(raw_id)) }
                    }
                    None => Element::Text { id, label: title.unwrap_or(label), text: safe::cut(href) },
                }
            }
            "div" => Element::Mount {
                id,
                class: node.attribute("class").map(str::to_owned),
                data: node
                    .raw("data")
                    .as_object()
                    .map(|data| {
                        let entries = data.iter().filter_map(|(name, value)| Some((safe::anchor(name), scalar(value)?)));
                        entries.collect()
                    })
                    .unwrap_or_default(),
            },
            _ => match inner("text") {
                Some(text) if raw_id == "totp_secret_key" => {
                    let raw = text.value("secret").unwrap_or(text.text).to_owned();
                    let letters: Vec<char> = raw.chars().filter(|c| !c.is_whitespace()).collect();
                    let groups: Vec<String> = letters.chunks(4).map(|group| group.iter().collect()).collect();
                    Element::Secret { id, label, spaced: groups.join(" "), raw }
                }
                Some(text) if text.context["secrets"].is_array() => Element::Codes { id, label, codes: self.codes(&text) },
                Some(text) => Element::Text { id, label, text: text.text.to_owned() },
                // A node of a kind that nobody knew when this was written.
                None => Element::Text { id, label, text: node.value().unwrap_or_default() },
            },
        }
    }

    fn codes(&self, list: &Text<'_>) -> Vec<OneCode> {
        let secrets = list.context["secrets"].as_array().map(Vec::as_slice).unwrap_or_default();
        let used = |code: &Text<'_>| {
            let day = code.value("used_at").and_then(|at| day(self.lang, at, self.flow.issued_at));
            let text = match &day {
                Some(day) => texts::fill(self.lang, "code_used_on", &[("day", &day.text)]),
                None => texts::fill(self.lang, "code_used", &[]),
            };
            OneCode { text, used: true, used_at: day.map(|day| day.iso) }
        };
        let codes = secrets.iter().filter_map(Text::read);
        codes
            .map(|code| match code.id {
                1_050_014 => used(&code),
                _ => OneCode { text: code.value("secret").unwrap_or(code.text).to_owned(), used: false, used_at: None },
            })
            .collect()
    }

    /// An element id that no other element of the page has.
    fn id(&mut self, wanted: &str) -> String {
        let mut id = if wanted.is_empty() { "node".to_owned() } else { wanted.to_owned() };
        let mut count = 2;
        while !self.ids.insert(id.clone()) {
            id = format!("{wanted}-{count}");
            count += 1;
        }
        id
    }
}

fn hidden(node: &Node<'_>) -> Hidden {
    Hidden {
        name: node.name().to_owned(),
        value: node.value().filter(|_| node.name() != "password"),
        username: node.name() == "identifier",
        onload: node.attribute("onloadTrigger").filter(|name| safe::trigger(name)).map(str::to_owned),
    }
}

/// The choices; a stored value that is none of them stays selectable, so that saving does not change it.
fn choose(options: &[serde_json::Value], current: Option<&str>) -> Vec<Choice> {
    let mut choices: Vec<Choice> = options
        .iter()
        .filter_map(|option| scalar(&option["value"]))
        .map(|value| Choice { selected: current == Some(value.as_str()), value })
        .collect();
    if let Some(current) = current.filter(|current| !current.is_empty())
        && !choices.iter().any(|choice| choice.selected)
    {
        choices.insert(0, Choice { value: current.to_owned(), selected: true });
    }
    choices
}
