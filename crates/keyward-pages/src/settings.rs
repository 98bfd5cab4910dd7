//! The account centre's first page: the whole settings flow, one section per group.
//! The HTTP floor calls it with the flow JSON of its own public API.
//! It claims nothing about an account that the nodes do not say.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use crate::ceremony::{self, Fault, Script};
use crate::context::{PageContext, PageError};
use crate::factors::{Codes, Enrolment, Factors};
use crate::flow::{Flow, Node};
use crate::form::{Builder, Form};
use crate::keys::Kind;
use crate::labels::{self, Purpose};
use crate::messages::{Link, MessageBox};
use crate::render::{self, Frame, Tab};
use crate::{safe, social, texts};

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
    /// Messages that no section claims.
    messages: Vec<MessageBox>,
    guard: Option<Guard>,
    sections: Vec<Section>,
    /// Forms that only a script fills and sends.
    silent: Vec<Form>,
    scripts: Vec<Script>,
    faults: Vec<Fault>,
}

/// One card of the page. What is empty or `None` is left out.
#[derive(Default, Serialize)]
pub(crate) struct Section {
    id: String,
    /// Its name in the list of sections, whatever the heading says at the moment.
    name: String,
    pub(crate) title: String,
    pub(crate) intro: Option<String>,
    icon: &'static str,
    pub(crate) tag: Option<Tag>,
    /// Messages that no section claims, hidden but for the moment that this section is the target of the address.
    echoes: Vec<MessageBox>,
    messages: Vec<MessageBox>,
    pub(crate) enrolment: Option<Enrolment>,
    pub(crate) codes: Option<Codes>,
    pub(crate) empty: Option<Empty>,
    pub(crate) forms: Vec<Form>,
    pub(crate) rows: Vec<Row>,
    /// Forms below the rows.
    pub(crate) after: Vec<Form>,
    /// What the browser passes on to authenticators, as JSON.
    signal: Option<String>,
}

/// The state of a section in a word or two.
#[derive(Serialize)]
pub(crate) struct Tag {
    tone: &'static str,
    icon: Option<&'static str>,
    text: String,
}

/// Forms that wait behind a row, with what will happen said before the button. What is empty or `None` is left out.
#[derive(Default, Serialize)]
pub(crate) struct Row {
    pub(crate) icon: &'static str,
    pub(crate) text: String,
    pub(crate) tags: Vec<Tag>,
    pub(crate) meta: Option<String>,
    /// Facts in the place of `meta`, one beside the other.
    pub(crate) remarks: Vec<Remark>,
    pub(crate) more: String,
    pub(crate) warning: Option<MessageBox>,
    pub(crate) note: Option<String>,
    pub(crate) open: bool,
    pub(crate) forms: Vec<Form>,
    /// A form in the row itself, for what needs no word before it; then nothing waits behind the row.
    pub(crate) direct: Option<Form>,
    /// Why there is no button to remove it.
    pub(crate) reason: Option<String>,
}

/// A fact about a row, with its instant (RFC 3339) if it has one.
#[derive(Serialize)]
pub(crate) struct Remark {
    pub(crate) text: String,
    pub(crate) time: Option<String>,
}

/// Something that is not set up yet.
#[derive(Serialize)]
pub(crate) struct Empty {
    pub(crate) title: String,
    pub(crate) text: String,
    pub(crate) form: Form,
}

/// The protection summary: a sentence, a key with a tooth for every fact, and the facts.
#[derive(Serialize)]
struct Guard {
    title: String,
    text: String,
    facts: Vec<Fact>,
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
pub fn settings(source: &Value, ctx: &PageContext) -> Result<String, PageError> {
    let flow = Flow::read(source)?;
    let factors = Factors::read(ctx.lang, &flow);
    let mut groups = flow.groups();
    groups.sort_by_key(|group| position(&factors, group));
    let mut builder = Builder::new(ctx.lang, Purpose::Settings, &flow);
    let mut sections: Vec<Section> = groups.into_iter().map(|group| section(ctx, &mut builder, &factors, group)).collect();
    let rest: Vec<&Node<'_>> =
        flow.nodes.iter().filter(|n| n.group == "default" && n.kind != "script" && !n.is_hidden() && !n.is_stray()).collect();
    if !rest.is_empty() {
        let form = builder.form(rest, Some("default"));
        sections.push(describe(ctx, "default", vec![form]));
    }
    let mut silent = Vec::new();
    for section in &mut sections {
        let (visible, hidden): (Vec<Form>, Vec<Form>) = section.forms.drain(..).partition(Form::is_visible);
        section.forms = visible;
        silent.extend(hidden);
        section.arrange(ctx, &factors);
    }

    let mut messages = Vec::new();
    let loose = flow.nodes.iter().filter(|node| node.is_stray() || (node.group == "default" && node.is_hidden()));
    // What has no node to stand at may stand in both places: it is said once.
    let mut said = BTreeSet::new();
    let loose = loose.flat_map(|node| node.messages.iter().map(|message| (message, node.name())));
    let all = flow.messages.iter().map(|message| (message, "")).chain(loose);
    let all = all.filter(|(message, _)| said.insert((message.id, message.text)));
    for message in all.map(|(message, field)| MessageBox::from_node(ctx.lang, message, field)) {
        let enrolled = Some("totp").filter(|_| factors.handed_out && factors.done("totp", &message).is_some());
        let target = message.section().or(enrolled).or(flow.active);
        match target.and_then(|target| sections.iter_mut().find(|section| section.id == target)) {
            Some(section) => {
                if let ("password", Some(row)) = (section.id.as_str(), section.rows.first_mut()) {
                    row.open = true;
                }
                section.messages.push(factors.done(&section.id, &message).unwrap_or(message));
            }
            None => messages.push(message),
        }
    }
    let unconfirmed = unconfirmed(ctx, source);
    match sections.iter_mut().find(|section| section.id == "profile") {
        Some(section) => section.messages.extend(unconfirmed),
        None => messages.extend(unconfirmed),
    }
    sections.retain(|section| !section.is_empty());
    for section in &mut sections {
        let echo = |message: &MessageBox| factors.done(&section.id, message).unwrap_or_else(|| message.clone());
        section.echoes = messages.iter().map(echo).collect();
    }
    // Who got back in came for the password: the way there stands first.
    let recovered = sections.iter().flat_map(|section| &section.messages).find(|message| message.says_recovered());
    if let Some(recovered) = recovered.cloned() {
        let text = texts::fill(ctx.lang, "choose_password", &[]);
        messages.insert(0, MessageBox { action: Some(Link { text, href: "#password".to_owned() }), ..recovered });
    }
    let refused = messages.iter().any(MessageBox::is_refusal) || sections.iter().any(Section::refused);

    let title = texts::fill(ctx.lang, "settings_title", &[]);
    let who = ctx.signed_in.as_ref().and_then(|person| person.handle());
    let view = Settings {
        who: who.map(|who| texts::fill(ctx.lang, "signed_in_as", &[("who", &safe::cut(who))])),
        title: title.clone(),
        messages,
        guard: guard(ctx, &flow, &factors),
        sections,
        silent,
        scripts: ceremony::scripts(ctx, &flow),
        faults: ceremony::faults(ctx, &flow, true),
    };
    render::page(ctx, "settings.html", &Frame { title, refused, tab: Some(Tab::Settings) }, &view)
}

/// A warning for each address that is not confirmed yet, with the way to do it: the flow that was started for it, else a new one.
fn unconfirmed(ctx: &PageContext, flow: &Value) -> Vec<MessageBox> {
    let list = |name: &str, from: &'_ Value| from[name].as_array().cloned().unwrap_or_default();
    let started = list("continue_with", flow);
    let started: Vec<&Value> =
        started.iter().filter(|item| item["action"] == "show_verification_ui").map(|item| &item["flow"]).collect();
    list("verifiable_addresses", &flow["identity"])
        .iter()
        .filter(|address| address["verified"] == false)
        .filter_map(|address| {
            let value = address["value"].as_str().filter(|value| !value.is_empty())?;
            let own = started.iter().find(|flow| flow["verifiable_address"] == value).and_then(|flow| flow["url"].as_str());
            let href = own.or(ctx.verification_url.as_deref()).and_then(safe::address)?.to_owned();
            let action = Some(Link { text: texts::fill(ctx.lang, "verify_now", &[]), href });
            let text = texts::fill(ctx.lang, "unverified", &[("address", &safe::cut(value))]);
            Some(MessageBox { action, ..MessageBox::warning(&text) })
        })
        .collect()
}

impl Section {
    fn refused(&self) -> bool {
        let mut forms = self.forms.iter().chain(&self.after).chain(self.rows.iter().flat_map(|row| &row.forms));
        self.messages.iter().any(MessageBox::is_refusal)
            || forms.any(Form::refused)
            || self.enrolment.as_ref().is_some_and(|enrolment| enrolment.form.refused())
            || self.empty.as_ref().is_some_and(|empty| empty.form.refused())
    }

    fn is_empty(&self) -> bool {
        self.forms.is_empty()
            && self.rows.is_empty()
            && self.messages.is_empty()
            && self.enrolment.is_none()
            && self.codes.is_none()
            && self.empty.is_none()
    }

    /// Puts the forms where the section wants them: behind rows, into steps, below a list.
    fn arrange(&mut self, ctx: &PageContext, factors: &Factors) {
        match self.id.as_str() {
            "password" if !self.forms.is_empty() => {
                let known = |key: &str| texts::fill(ctx.lang, key, &[]);
                let complaints = self.forms.iter().any(|form| !form.complaints.is_empty());
                self.rows.push(Row {
                    icon: self.icon,
                    text: known("password_row"),
                    more: known("password_row_more"),
                    open: complaints || self.messages.iter().any(MessageBox::is_refusal),
                    forms: std::mem::take(&mut self.forms),
                    ..Row::default()
                });
            }
            "totp" => factors.app_section(self),
            "lookup_secret" => factors.codes_section(ctx, self),
            group if social::is_social(group) => social::arrange(ctx, self),
            group => {
                if let Some(kind) = Kind::of(group) {
                    kind.arrange(ctx, self);
                }
            }
        }
    }
}

impl Tag {
    /// Set up.
    pub(crate) fn on(text: String) -> Self {
        Self { tone: "good", icon: Some("tick"), text }
    }

    /// In need of attention.
    pub(crate) fn warn(text: String) -> Self {
        Self { tone: "warn", icon: Some("warn"), text }
    }

    /// Neither good nor bad.
    pub(crate) fn plain(text: String) -> Self {
        Self { tone: "plain", icon: None, text }
    }
}

/// Where a group stands. Codes that are shown come first: they have to be saved before anything else. Enrolling an
/// authenticator comes right after the profile while there is no second step yet.
fn position(factors: &Factors, group: &str) -> usize {
    const FIRST: usize = 2;
    match group {
        "totp" if factors.handed_out => 0,
        "lookup_secret" if factors.shown => 1,
        "profile" => FIRST,
        "totp" if factors.app_offered && factors.keys == 0 => FIRST + 1,
        _ => FIRST + 2 + ORDER.iter().position(|(known, _)| *known == group).unwrap_or(ORDER.len()),
    }
}

fn section(ctx: &PageContext, builder: &mut Builder<'_>, factors: &Factors, group: &str) -> Section {
    let flow = builder.flow;
    let kind = Kind::of(group);
    let nodes = flow.nodes.iter().filter(|node| node.group == group && node.kind != "script");
    let (listed, nodes): (Vec<_>, Vec<_>) =
        nodes.partition(|node| kind.is_some_and(|kind| kind.lists(node)) || social::lists(node));
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
    let mut section = describe(ctx, group, forms);
    if let Some(kind) = kind {
        let messages = &mut section.messages;
        section.rows = listed.into_iter().map(|node| kind.row(ctx, builder, factors, node, messages)).collect();
        section.signal = kind.signal(flow);
    } else if social::is_social(group) {
        let messages = &mut section.messages;
        section.rows = listed.into_iter().map(|node| social::row(ctx, builder, node, messages)).collect();
    }
    section
}

fn describe(ctx: &PageContext, group: &str, mut forms: Vec<Form>) -> Section {
    let mut messages = Vec::new();
    for form in &mut forms {
        messages.append(&mut form.messages);
    }
    forms.retain(|form| form.is_visible() || form.has_own_values);
    let name = texts::text(ctx.lang, group).map_or_else(|| labels::human(group), str::to_owned);
    Section {
        id: safe::anchor(group),
        title: name.clone(),
        name,
        intro: texts::text(ctx.lang, &format!("{group}_intro")).map(str::to_owned),
        icon: ORDER.iter().find(|(known, _)| *known == group).map_or("box", |&(_, icon)| icon),
        messages,
        forms,
        ..Section::default()
    }
}

/// What is set up, as far as the nodes tell: they never say whether there is a password. Left out while codes are on the page.
fn guard(ctx: &PageContext, flow: &Flow<'_>, factors: &Factors) -> Option<Guard> {
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
    if factors.app || factors.app_offered {
        add("totp", factors.app, switch(factors.app));
    }
    if groups.contains(&"webauthn") {
        add("webauthn", factors.keys > 0, number(factors.keys));
    }
    if factors.codes || factors.no_codes {
        let state = if factors.codes { factors.codes_state().unwrap_or_else(|| known("state_on")) } else { known("state_none") };
        add("lookup_secret", factors.codes, state);
    }
    let (title, text) = match (factors.second_step(), factors.no_codes) {
        (true, true) => ("guard_on_title", "guard_no_codes_text"),
        (true, false) => ("guard_on_title", "guard_on_text"),
        (false, _) if factors.app_offered && !factors.codes => ("guard_none_title", "guard_none_text"),
        (false, _) => ("guard_title", "guard_text"),
    };
    (!facts.is_empty() && !factors.shown).then(|| Guard { title: known(title), text: known(text), facts })
}
