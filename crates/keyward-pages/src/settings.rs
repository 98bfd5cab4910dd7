//! The account centre's first page: the whole settings flow, one section per group.
//! The HTTP floor calls it with the flow JSON of its own public API.
//! It claims nothing about an account that the nodes do not say.

use serde::Serialize;
use serde_json::Value;

use crate::context::{PageContext, PageError};
use crate::flow::{Flow, Node};
use crate::form::{self, Builder, Form, Script};
use crate::labels::{self, Purpose};
use crate::messages::MessageBox;
use crate::render::{self, Frame, Tab};
use crate::{safe, texts};

/// Our order of the sections; unknown groups follow in the flow's order.
const ORDER: [(&str, &str); 7] = [
    ("profile", "user"),
    ("password", "lock"),
    ("passkey", "passkey"),
    ("totp", "phone"),
    ("webauthn", "usb"),
    ("lookup_secret", "codes"),
    ("oidc", "link"),
];

#[derive(Serialize)]
struct Settings {
    title: String,
    who: Option<String>,
    /// Messages that no section claims. Each section repeats them, hidden, for the moment it is the target of the address.
    messages: Vec<MessageBox>,
    guard: Vec<Fact>,
    sections: Vec<Section>,
    /// Forms that only a script fills and sends.
    silent: Vec<Form>,
    scripts: Vec<Script>,
}

#[derive(Serialize)]
struct Section {
    id: String,
    title: String,
    intro: Option<&'static str>,
    icon: &'static str,
    messages: Vec<MessageBox>,
    /// A section whose form waits behind a row.
    row: Option<Row>,
    forms: Vec<Form>,
}

#[derive(Serialize)]
struct Row {
    text: String,
    more: String,
    open: bool,
}

/// A line of the protection summary.
#[derive(Serialize)]
struct Fact {
    href: String,
    text: String,
    state: String,
    set: bool,
}

/// The settings page for a settings flow.
///
/// Each form posts to `ui.action` with its group as fragment, so that the answer comes back at its section.
///
/// # Errors
/// [`PageError::Malformed`] without a usable `ui.action`.
pub fn settings(flow: &Value, ctx: &PageContext) -> Result<String, PageError> {
    let flow = Flow::read(flow)?;
    let mut groups = flow.groups();
    groups.sort_by_key(|group| position(&flow, group));
    let mut builder = Builder::new(ctx.lang, Purpose::Settings, &flow);
    let mut sections: Vec<Section> = groups.into_iter().map(|group| section(ctx, &mut builder, group)).collect();
    let rest: Vec<&Node<'_>> =
        flow.nodes.iter().filter(|n| n.group == "default" && n.kind != "script" && !n.is_hidden() && !n.is_stray()).collect();
    if !rest.is_empty() {
        let form = builder.form(rest, Some("default"));
        sections.push(describe(ctx, "default", vec![form]));
    }

    let mut messages = Vec::new();
    let loose = flow.nodes.iter().filter(|node| node.is_stray() || (node.group == "default" && node.is_hidden()));
    let all = flow.messages.iter().chain(loose.flat_map(|node| &node.messages)).map(MessageBox::from_flow);
    for message in all {
        let target = message.section().or(flow.active);
        match target.and_then(|target| sections.iter_mut().find(|section| section.id == target)) {
            Some(section) => {
                if let Some(row) = &mut section.row {
                    row.open = true;
                }
                section.messages.push(message);
            }
            None => messages.push(message),
        }
    }
    let mut silent = Vec::new();
    sections.retain_mut(|section| {
        let (visible, hidden): (Vec<Form>, Vec<Form>) = section.forms.drain(..).partition(Form::is_visible);
        section.forms = visible;
        silent.extend(hidden);
        !(section.forms.is_empty() && section.messages.is_empty())
    });
    let refused = messages.iter().any(MessageBox::is_refusal) || sections.iter().any(Section::refused);

    let title = texts::fill(ctx.lang, "settings_title", &[]);
    let who = ctx.signed_in.as_ref().and_then(|person| person.handle());
    let view = Settings {
        who: who.map(|who| texts::fill(ctx.lang, "signed_in_as", &[("who", &safe::cut(who))])),
        title: title.clone(),
        messages,
        guard: guard(ctx, &flow),
        sections,
        silent,
        scripts: form::scripts(&flow),
    };
    render::page(ctx, "settings.html", &Frame { title, refused, tab: Some(Tab::Settings) }, &view)
}

impl Section {
    fn refused(&self) -> bool {
        self.messages.iter().any(MessageBox::is_refusal) || self.forms.iter().any(Form::refused)
    }
}

/// Where a group stands; enrolling an authenticator comes right after the profile while there is no second step yet.
fn position(flow: &Flow<'_>, group: &str) -> usize {
    let named = |name: &str| flow.nodes.iter().any(|node| node.name() == name);
    if group == "totp" && named("totp_code") && !named("webauthn_remove") {
        return 1;
    }
    ORDER.iter().position(|(known, _)| *known == group).map_or(ORDER.len() + 1, |at| if at == 0 { 0 } else { at + 1 })
}

fn section(ctx: &PageContext, builder: &mut Builder<'_>, group: &str) -> Section {
    let flow = builder.flow;
    let nodes: Vec<&Node<'_>> = flow.nodes.iter().filter(|node| node.group == group && node.kind != "script").collect();
    // A submit that is not the group's `method` acts on one thing: it stands alone, so that Enter in a field never presses it.
    let (single, together): (Vec<_>, Vec<_>) = nodes.into_iter().partition(|n| n.is_input(&["submit"]) && n.name() != "method");
    let id = safe::anchor(group);
    let mut forms: Vec<Form> = single.into_iter().map(|node| builder.form([node], Some(&id))).collect();
    if !together.is_empty() {
        let mut form = builder.form(together, Some(&id));
        let passwords_only = form.fields().count() > 0 && form.fields().all(|field| field.is_password());
        let person = ctx.signed_in.as_ref().and_then(|person| person.handle()).map(str::to_owned);
        form.username = person.filter(|_| passwords_only);
        if group == "profile" || group == "password" {
            forms.insert(0, form);
        } else {
            forms.push(form);
        }
    }
    describe(ctx, group, forms)
}

fn describe(ctx: &PageContext, group: &str, mut forms: Vec<Form>) -> Section {
    let mut messages = Vec::new();
    for form in &mut forms {
        messages.append(&mut form.messages);
    }
    let open = forms.iter().any(|form| !form.complaints.is_empty()) || messages.iter().any(MessageBox::is_refusal);
    forms.retain(|form| form.is_visible() || form.has_own_values);
    let known = |key: &str| texts::fill(ctx.lang, key, &[]);
    Section {
        id: safe::anchor(group),
        title: texts::text(ctx.lang, group).map_or_else(|| labels::human(group), str::to_owned),
        intro: texts::text(ctx.lang, &format!("{group}_intro")),
        icon: ORDER.iter().find(|(known, _)| *known == group).map_or("box", |&(_, icon)| icon),
        messages,
        row: (group == "password").then(|| Row { text: known("password_row"), more: known("password_row_more"), open }),
        forms,
    }
}

/// What is set up, as far as the nodes tell: they never say whether there is a password.
fn guard(ctx: &PageContext, flow: &Flow<'_>) -> Vec<Fact> {
    let count = |name: &str| flow.nodes.iter().filter(|node| node.name() == name).count();
    let known = |key: &str| texts::fill(ctx.lang, key, &[]);
    let number = |count: usize| if count == 0 { known("state_none") } else { count.to_string() };
    let switch = |on: bool| known(if on { "state_on" } else { "state_off" });
    let mut facts = Vec::new();
    let mut add = |group: &str, set: bool, state: String| {
        facts.push(Fact { href: format!("#{group}-t"), text: known(group), state, set });
    };
    let groups = flow.groups();
    if groups.contains(&"passkey") {
        add("passkey", count("passkey_remove") > 0, number(count("passkey_remove")));
    }
    if count("totp_unlink") > 0 || count("totp_code") > 0 {
        add("totp", count("totp_unlink") > 0, switch(count("totp_unlink") > 0));
    }
    if groups.contains(&"webauthn") {
        add("webauthn", count("webauthn_remove") > 0, number(count("webauthn_remove")));
    }
    let disable = count("lookup_secret_disable") > 0;
    // While new codes wait to be confirmed the nodes do not say whether old ones exist.
    if disable || (count("lookup_secret_regenerate") > 0 && count("lookup_secret_confirm") == 0) {
        add("lookup_secret", disable, switch(disable));
    }
    facts
}
