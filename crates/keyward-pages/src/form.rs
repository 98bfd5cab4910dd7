//! What a form of a page consists of: fields, buttons, hidden values, pictures and messages.
//! Templates draw them; login, registration and settings pages decide which nodes share a form, and `build` makes it of them.
//! It knows nothing about sections or pages.

mod build;

use serde::Serialize;

pub(crate) use build::Builder;

use crate::messages::{Link, MessageBox};

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
