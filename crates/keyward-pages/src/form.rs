//! Forms from nodes: every node of a flow becomes a field, a button, a hidden value, a picture or a message.
//! Login, registration and settings pages decide which nodes share a form; this module builds it.
//! It knows nothing about sections or pages.

use std::collections::BTreeSet;

use keyward_model::Lang;
use serde::Serialize;

use crate::attributes::{autocomplete, input_type, inputmode};
use crate::flow::{Flow, Node, Text, scalar};
use crate::labels::{self, Purpose};
use crate::messages::{Link, MessageBox, sentence};
use crate::moment::day;
use crate::{safe, social, texts};

/// One `<form>`.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Form {
    pub(crate) action: String,
    pub(crate) method: &'static str,
    pub(crate) hidden: Vec<Hidden>,
    /// In the flow's order.
    pub(crate) elements: Vec<Element>,
    /// The first one is what Enter presses.
    pub(crate) submits: Vec<Button>,
    pub(crate) triggers: Vec<Button>,
    /// Links to the fields with errors, when there are two or more.
    pub(crate) summary: Vec<Complaint>,
    pub(crate) summary_title: String,
    /// Messages of nodes that have no place of their own.
    pub(crate) messages: Vec<MessageBox>,
    /// A name for the password manager, on forms that ask for a password only.
    pub(crate) username: Option<String>,
    /// What the button brings about, said before it.
    pub(crate) note: Option<String>,
    /// Whether even its fields are of no use without scripts.
    pub(crate) scripted: bool,
    /// Another way to send the same form, behind a choice of its own.
    pub(crate) other: Option<Other>,
    /// What can be done instead of typing the code that this form asks for.
    pub(crate) instead: Option<Instead>,
    #[serde(skip)]
    pub(crate) complaints: Vec<Complaint>,
    /// Whether its buttons stand two to a line.
    pub(crate) many: bool,
    /// The group of its first node.
    #[serde(skip)]
    pub(crate) group: String,
    /// Whether it holds hidden values that no other form has.
    #[serde(skip)]
    pub(crate) has_own_values: bool,
}

/// Fields that only one of the scripts' buttons asks for, with that button.
#[derive(Debug, Serialize)]
pub(crate) struct Other {
    pub(crate) icon: &'static str,
    pub(crate) more: String,
    pub(crate) elements: Vec<Element>,
    pub(crate) trigger: Button,
}

/// A form of its own below one that asks for a code, with the same hidden values: a button in the same form would hand in what
/// was typed so far as well.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Instead {
    pub(crate) hint: Option<String>,
    pub(crate) submits: Vec<Button>,
    pub(crate) link: Option<Link>,
}

/// A hidden input.
#[derive(Debug, Serialize)]
pub(crate) struct Hidden {
    pub(crate) name: String,
    pub(crate) value: Option<String>,
    pub(crate) username: bool,
    pub(crate) onload: Option<String>,
}

/// A field's error, for the summary.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Complaint {
    pub(crate) field: String,
    pub(crate) text: String,
}

/// Anything between the top of a form and its buttons.
#[derive(Debug, Serialize)]
#[serde(tag = "is", rename_all = "lowercase")]
pub(crate) enum Element {
    Field(Box<Field>),
    /// A sentence, also for links and pictures whose address is refused.
    Text {
        id: String,
        label: String,
        text: String,
    },
    /// A key to type into another program.
    Secret {
        id: String,
        label: String,
        spaced: String,
        raw: String,
    },
    Codes {
        id: String,
        label: String,
        codes: Vec<OneCode>,
    },
    Image {
        id: String,
        label: String,
        src: String,
        width: Option<u64>,
        height: Option<u64>,
    },
    Link {
        id: String,
        href: String,
        text: String,
    },
    /// A mount point for a script.
    Mount {
        id: String,
        class: Option<String>,
        data: Vec<(String, String)>,
    },
}

/// A backup code; a used one never shows the code.
#[derive(Debug, Serialize)]
pub(crate) struct OneCode {
    pub(crate) text: String,
    pub(crate) used: bool,
    /// When it was used (RFC 3339), if the flow tells.
    used_at: Option<String>,
}

/// A labelled control.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Field {
    pub(crate) id: String,
    pub(crate) name: String,
    /// `input`, `password`, `select` or `tick`.
    look: &'static str,
    kind: String,
    label: String,
    value: Option<String>,
    options: Vec<Choice>,
    optional: bool,
    pub(crate) required: bool,
    disabled: bool,
    checked: bool,
    /// Whether an unticked box has to send an empty value.
    clears: bool,
    autocomplete: Option<String>,
    inputmode: Option<&'static str>,
    pattern: Option<String>,
    maxlength: Option<u64>,
    step: Option<&'static str>,
    /// No capitals and no spelling help: the field holds no prose.
    literal: bool,
    code: bool,
    pub(crate) hint: Option<String>,
    notes: Vec<String>,
    errors: Vec<String>,
    described_by: String,
    pub(crate) forgot: Option<String>,
    pub(crate) autofocus: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct Choice {
    value: String,
    selected: bool,
}

/// A button.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Button {
    pub(crate) name: String,
    pub(crate) value: Option<String>,
    pub(crate) label: String,
    /// The main action of its form.
    pub(crate) main: bool,
    pub(crate) risk: bool,
    pub(crate) disabled: bool,
    pub(crate) unchecked: bool,
    /// First letter of a provider's name, as its tile.
    pub(crate) letter: Option<String>,
    /// What the button is called aloud, where what it shows says less.
    pub(crate) spoken: Option<String>,
    /// Whose account it is about.
    #[serde(skip)]
    pub(crate) provider: Option<String>,
    /// Whether it carries on what was begun at a provider: the main action although it is not called `method`.
    #[serde(skip)]
    pub(crate) completes: bool,
    pub(crate) icon: Option<&'static str>,
    /// The wire's script function; such a button appears only when scripts run.
    pub(crate) trigger: Option<String>,
    pub(crate) fallback: String,
}

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

impl Form {
    /// The fields, in order.
    pub(crate) fn fields(&mut self) -> impl Iterator<Item = &mut Field> {
        self.elements.iter_mut().filter_map(|element| match element {
            Element::Field(field) => Some(&mut **field),
            _ => None,
        })
    }

    /// Whether there is something to type and a button to send it.
    pub(crate) fn asks(&self) -> bool {
        !self.submits.is_empty() && self.elements.iter().any(|element| matches!(element, Element::Field(_)))
    }

    /// Whether it asks for a code that was sent.
    pub(crate) fn asks_code(&self) -> bool {
        self.group == "code"
            && self.elements.iter().any(|element| matches!(element, Element::Field(field) if field.name == "code"))
    }

    /// Whether there is nothing to type and a button to send it.
    pub(crate) fn is_sent(&self) -> bool {
        !self.submits.is_empty() && !self.asks()
    }

    /// Whether a script's button is all there is to it.
    pub(crate) fn is_pressed(&self) -> bool {
        self.elements.is_empty() && self.submits.is_empty() && !self.triggers.is_empty()
    }

    /// Takes the first field with this name out.
    pub(crate) fn take_field(&mut self, name: &str) -> Option<Element> {
        let named = |element: &Element| matches!(element, Element::Field(field) if field.name == name);
        self.elements.iter().position(named).map(|at| self.elements.remove(at))
    }

    /// Whether a button with this name sends it.
    pub(crate) fn has_submit(&self, name: &str) -> bool {
        self.submits.iter().any(|button| button.name == name)
    }

    /// Takes the first list of backup codes out, with its id.
    pub(crate) fn take_codes(&mut self) -> Option<(String, Vec<OneCode>)> {
        let at = self.elements.iter().position(|element| matches!(element, Element::Codes { .. }))?;
        match self.elements.remove(at) {
            Element::Codes { id, codes, .. } => Some((id, codes)),
            _ => None,
        }
    }

    /// Whether a field or a message of this form reports a refusal.
    pub(crate) fn refused(&self) -> bool {
        !self.complaints.is_empty() || self.messages.iter().any(MessageBox::is_refusal)
    }

    /// Whether there is anything but hidden values.
    pub(crate) fn is_visible(&self) -> bool {
        !(self.elements.is_empty() && self.submits.is_empty() && self.triggers.is_empty() && self.messages.is_empty())
    }
}

impl Button {
    /// A submit that no node stands for.
    pub(crate) fn own(name: &str, value: Option<String>, label: String) -> Self {
        Self { name: name.to_owned(), value, label, ..Self::default() }
    }
}

impl Field {
    pub(crate) fn is_password(&self) -> bool {
        self.look == "password"
    }

    /// Puts a refusal of the whole form where the person has to look: at the field.
    pub(crate) fn refuse(&mut self, text: String) -> Complaint {
        if self.errors.is_empty() {
            let joint = if self.described_by.is_empty() { "" } else { " " };
            self.described_by = format!("{}{joint}{}-e", self.described_by, self.id);
        }
        self.errors.push(text.clone());
        Complaint { field: self.id.clone(), text }
    }

    /// Puts in what is known already, where nothing stands yet.
    pub(crate) fn suggest(&mut self, value: &str) {
        if self.value.as_deref().is_none_or(str::is_empty) && self.errors.is_empty() {
            self.value = Some(value.to_owned());
        }
    }

    pub(crate) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    pub(crate) fn is_disabled(&self) -> bool {
        self.disabled
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
