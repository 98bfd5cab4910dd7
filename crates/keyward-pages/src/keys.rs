//! The sections of passkeys and security keys: a row for each one, and the form that adds another.
//! The settings page hands over the nodes of the two groups and gets rows back; a row tells what a thing is and when it was used,
//! and holds the forms that rename and remove it.
//! It reads everything off the nodes and knows nothing of the other sections but which second steps there are.

use serde::Serialize;
use serde_json::Value;

use crate::context::PageContext;
use crate::factors::{Factors, SAVED};
use crate::flow::{Flow, Node, Text};
use crate::form::{Builder, Button, Element, Form, Hidden};
use crate::messages::MessageBox;
use crate::moment::{day, moment};
use crate::settings::{Empty, Remark, Row, Section, Tag};
use crate::{safe, texts};

/// One of the two groups, with its names on the wire.
#[derive(PartialEq, Eq)]
pub(crate) struct Kind {
    group: &'static str,
    remove: &'static str,
    rename: &'static str,
    /// The field with the name.
    field: &'static str,
    icon: &'static str,
    /// The input, or the button, whose value is what the browser needs to make another one.
    options: &'static str,
    /// How its sentences begin in the table of texts.
    word: &'static str,
}

const PASSKEYS: Kind = Kind {
    group: "passkey",
    remove: "passkey_remove",
    rename: "passkey_rename",
    field: "passkey_display_name",
    icon: "passkey",
    options: "passkey_create_data",
    word: "passkey",
};
const KEYS: Kind = Kind {
    group: "webauthn",
    remove: "webauthn_remove",
    rename: "webauthn_rename",
    field: "webauthn_register_displayname",
    icon: "usb",
    options: "webauthn_register_trigger",
    word: "key",
};

/// What the browser tells the authenticators, so that they stop offering what is gone and show the name of today.
///
/// The members are those of `signalAllAcceptedCredentials` and `signalCurrentUserDetails` (W3C Web Authentication Level 3).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Signal<'a> {
    rp_id: &'a str,
    user_id: &'a str,
    all_accepted_credential_ids: Vec<&'a str>,
    /// Only passkeys carry the person's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<&'a str>,
}

/// Whether a key is a way in by itself; the others are second steps.
pub(crate) fn is_way_in(node: &Node<'_>) -> bool {
    node.flag("disabled") || node.label.is_some_and(|label| label.context["passwordless"] == true)
}

impl Kind {
    pub(crate) fn of(group: &str) -> Option<&'static Self> {
        [&PASSKEYS, &KEYS].into_iter().find(|kind| kind.group == group)
    }

    /// Whether the node is one of the things that this section lists.
    pub(crate) fn lists(&self, node: &Node<'_>) -> bool {
        node.name() == self.remove && node.is_input(&["submit"])
    }

    /// The row of one thing, with its messages put into `messages`.
    pub(crate) fn row(
        &self,
        ctx: &PageContext,
        builder: &mut Builder<'_>,
        factors: &Factors,
        node: &Node<'_>,
        messages: &mut Vec<MessageBox>,
    ) -> Row {
        let known = |key: &str| texts::fill(ctx.lang, &format!("{}_{key}", self.word), &[]);
        let label = node.label;
        let (given, model) = names(node);
        let name = given.clone().or_else(|| model.clone());
        // Two that have the same name, or none, differ by the minute.
        let shown = |node: &Node<'_>| {
            let (given, model) = names(node);
            given.or(model)
        };
        let alike = builder.flow.nodes.iter().filter(|other| self.lists(other) && shown(other) == name).count() > 1;
        let marked = |mark: &str| label.is_some_and(|label| label.context[mark] == true);
        let synced = marked("synced").then(|| Tag::plain(texts::fill(ctx.lang, "synced", &[])));
        let cloned = marked("clone_warning");
        let copied = cloned.then(|| Tag::warn(texts::fill(ctx.lang, "cloned", &[])));

        let mut removal = builder.form([node], Some(self.group));
        messages.append(&mut removal.messages);
        let mut forms = vec![self.renaming(builder, node, given.as_deref())];
        let reason = node.flag("disabled").then(|| known("only"));
        if reason.is_none() {
            removal.hidden.push(method(self.group));
            removal.note = Some(known(self.loss(factors, node)));
            for button in &mut removal.submits {
                button.label = match &name {
                    Some(name) => texts::fill(ctx.lang, &format!("{}_remove", self.word), &[("name", name)]),
                    None => known("remove_unnamed"),
                };
            }
            forms.push(removal);
        }
        Row {
            icon: self.icon,
            remarks: remarks(ctx, builder.flow, label, model.filter(|model| name.as_ref() != Some(model)), alike),
            text: name.unwrap_or_else(|| known("unnamed")),
            tags: synced.into_iter().chain(copied).collect(),
            more: texts::fill(ctx.lang, "manage", &[]),
            warning: cloned.then(|| MessageBox::warning(&known("cloned"))),
            forms,
            reason,
            ..Row::default()
        }
    }

    fn renaming(&self, builder: &mut Builder<'_>, node: &Node<'_>, name: Option<&str>) -> Form {
        let mut form = builder.form([], Some(self.group));
        let label = texts::fill(builder.lang, &format!("{}_name", self.word), &[]);
        form.hidden.push(method(self.group));
        form.elements.push(Element::Field(Box::new(builder.name_field(self.field, label, name.unwrap_or_default().to_owned()))));
        form.submits.push(Button::own(self.rename, node.value(), texts::fill(builder.lang, "save_name", &[])));
        form
    }

    /// What is lost with it, as the end of a key of the table.
    fn loss(&self, factors: &Factors, node: &Node<'_>) -> &'static str {
        match () {
            () if *self == PASSKEYS => "gone",
            () if is_way_in(node) => "gone_way_in",
            () if factors.keys > 1 => "gone_others",
            () if factors.app => "gone_app",
            () if factors.codes => "gone_codes",
            () => "gone_last",
        }
    }

    /// Arranges the section: how many there are, and the form for another one below them.
    pub(crate) fn arrange(&self, ctx: &PageContext, section: &mut Section) {
        let known = |key: &str| texts::fill(ctx.lang, &format!("{}_{key}", self.word), &[]);
        section.tag = match section.rows.len() {
            0 => None,
            1 => Some(Tag::on(known("count_one"))),
            count => Some(Tag::on(texts::fill(ctx.lang, &format!("{}_count", self.word), &[("count", &count.to_string())]))),
        };
        for form in &mut section.forms {
            form.scripted = form.submits.is_empty() && !form.triggers.is_empty();
            form.fields().filter(|field| field.name == self.field).for_each(|field| field.required = true);
        }
        if section.rows.is_empty() {
            let adds = section.forms.iter().position(|form| form.scripted);
            section.empty =
                adds.map(|at| Empty { title: known("none"), text: known("none_text"), form: section.forms.remove(at) });
        } else {
            section.after = std::mem::take(&mut section.forms);
        }
    }

    /// What the browser passes on after something was saved; `None` where nothing was, or where the nodes do not tell enough.
    pub(crate) fn signal(&self, flow: &Flow<'_>) -> Option<String> {
        if !flow.messages.iter().any(|message| message.id == SAVED) {
            return None;
        }
        let options = flow.nodes.iter().find(|node| node.name() == self.options).and_then(Node::value)?;
        let options: Value = serde_json::from_str(&options).ok()?;
        let options = &options["publicKey"];
        let excluded = options["excludeCredentials"].as_array().map(Vec::as_slice).unwrap_or_default();
        let accepted: Vec<&str> = excluded.iter().filter_map(|one| one["id"].as_str()).collect();
        // A list with a hole would tell authenticators to forget what is not in it.
        let listed = flow.nodes.iter().filter(|node| self.lists(node)).count();
        if accepted.len() != listed {
            return None;
        }
        let user = |name: &str| options["user"][name].as_str();
        let signal = Signal {
            rp_id: options["rp"]["id"].as_str()?,
            user_id: user("id")?,
            all_accepted_credential_ids: accepted,
            name: user("name").filter(|_| *self == PASSKEYS),
            display_name: user("displayName").filter(|_| *self == PASSKEYS),
        };
        serde_json::to_string(&signal).ok()
    }
}

/// The name that the person gave it, and the name of its model. The wire says `unnamed` for want of a name.
fn names(node: &Node<'_>) -> (Option<String>, Option<String>) {
    let value = |name: &str| node.label.and_then(|label| label.value(name)).filter(|name| *name != "unnamed").map(safe::cut);
    (value("display_name"), value("model"))
}

/// Model and dates, as far as the label tells; with the time of day where another one looks the same.
fn remarks(ctx: &PageContext, flow: &Flow<'_>, label: Option<Text<'_>>, model: Option<String>, alike: bool) -> Vec<Remark> {
    let Some(label) = label else { return Vec::new() };
    let added = |at: &str| {
        let exact = moment(ctx.lang, at).filter(|_| alike).or_else(|| day(ctx.lang, at, flow.issued_at))?;
        Some(Remark { text: texts::fill(ctx.lang, "added_on", &[("day", &exact.text)]), time: Some(exact.iso) })
    };
    let dated = |key: &str, at: &str| {
        let day = day(ctx.lang, at, flow.issued_at)?;
        Some(Remark { text: texts::fill(ctx.lang, key, &[("day", &day.text)]), time: Some(day.iso) })
    };
    let plain = |text: String| Remark { text, time: None };
    let never = label.context.get("last_used_at").is_some_and(Value::is_null);
    [
        model.map(plain),
        label.value("added_at").and_then(added),
        label.value("last_used_at").and_then(|at| dated("last_used_on", at)),
        never.then(|| plain(texts::fill(ctx.lang, "never_used", &[]))),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn method(group: &str) -> Hidden {
    Hidden { name: "method".to_owned(), value: Some(group.to_owned()), username: false, onload: None }
}
