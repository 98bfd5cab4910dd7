//! The pages outside the account: sign in, "Confirm it's you", the second step, sign up.
//! The HTTP floor calls them with the flow JSON of its own public API.
//! They know which groups share a form; what a node looks like is the form builder's matter.

use serde::Serialize;
use serde_json::Value;

use crate::ceremony::{self, Fault, Script};
use crate::context::{PageContext, PageError};
use crate::flow::{Flow, Node};
use crate::form::{self, Builder, Form, Other};
use crate::labels::Purpose;
use crate::messages::{Link, MessageBox};
use crate::render::{self, Frame, brand};
use crate::second_step::{self, Way};
use crate::{code_step, safe, social, texts};

/// Our order of the groups; unknown ones come last.
const ORDER: [&str; 11] =
    ["identifier_first", "profile", "password", "code", "totp", "webauthn", "lookup_secret", "link", "passkey", "oidc", "saml"];

#[derive(Serialize)]
struct Auth {
    title: String,
    messages: Vec<MessageBox>,
    /// Where the code was sent that is asked for, if no message says it; or why more is asked for.
    text: Option<String>,
    /// Whose account it is, when the flow tells.
    who: Option<String>,
    not_you: Option<String>,
    /// The ways to take a second step by typing a code.
    ways: Vec<Way>,
    main: Option<Form>,
    others: Vec<Form>,
    /// Forms that only a script fills and sends.
    silent: Vec<Form>,
    scripts: Vec<Script>,
    faults: Vec<Fault>,
    aside: Option<Aside>,
}

#[derive(Serialize)]
struct Aside {
    lead: String,
    link: Link,
}

/// The sign-in page for a login flow; with `refresh` it is "Confirm it's you", with `requested_aal: aal2` the second step.
///
/// # Errors
/// [`PageError::Malformed`] without a usable `ui.action`.
pub fn login(flow: &Value, ctx: &PageContext) -> Result<String, PageError> {
    let flow = Flow::read(flow)?;
    let connects = social::connects(&flow);
    let (purpose, title) = match (flow.refresh, flow.second_factor) {
        (true, _) => (Purpose::Confirm, "refresh_title"),
        (false, _) if connects => (Purpose::Connect, "connect_title"),
        (false, true) => (Purpose::SignIn, ""),
        (false, false) => (Purpose::SignIn, "login_title"),
    };
    let aside = if flow.refresh {
        link(ctx, "", "refresh_cancel", Some(&ctx.settings_url))
    } else if flow.second_factor {
        None
    } else if connects {
        link(ctx, "", "connect_cancel", Some(&flow.carry(&ctx.login_url)))
    } else {
        link(ctx, "new_here", "new_here_link", ctx.registration_url.as_deref().map(|url| flow.carry(url)).as_deref())
    };
    page(ctx, &flow, purpose, title, aside)
}

/// The sign-up page for a registration flow, in one step or in two.
///
/// # Errors
/// [`PageError::Malformed`] without a usable `ui.action`.
pub fn registration(flow: &Value, ctx: &PageContext) -> Result<String, PageError> {
    let flow = Flow::read(flow)?;
    let aside = link(ctx, "have_account", "have_account_link", Some(&flow.carry(&ctx.login_url)));
    let title = if flow.nodes.iter().any(social::completes) { "complete_title" } else { "registration_title" };
    page(ctx, &flow, Purpose::SignUp, title, aside)
}

fn page(ctx: &PageContext, flow: &Flow<'_>, purpose: Purpose, title: &str, aside: Option<Aside>) -> Result<String, PageError> {
    let boxed = |message| MessageBox::from_flow(ctx.lang, message);
    let mut messages: Vec<MessageBox> = flow.messages.iter().map(boxed).collect();
    if purpose == Purpose::SignUp {
        let way_on = link(ctx, "", "have_account_link", Some(&flow.carry(&ctx.login_url)));
        for message in messages.iter_mut().filter(|message| message.says_taken()) {
            message.action = way_on.as_ref().map(|aside| aside.link.clone());
        }
    }
    let is_stray = |node: &&Node<'_>| node.is_stray() && !node.name().starts_with("traits.");
    messages.extend(flow.nodes.iter().filter(is_stray).flat_map(|node| &node.messages).map(boxed));
    let hidden_messages = flow.nodes.iter().filter(|node| node.group == "default" && node.is_hidden());
    messages.extend(hidden_messages.flat_map(|node| &node.messages).map(boxed));

    let mut forms = build(ctx, flow, purpose, &is_stray);
    for form in &mut forms {
        messages.append(&mut form.messages);
    }
    let (mut forms, mut silent): (Vec<Form>, Vec<Form>) = forms.into_iter().partition(Form::is_visible);
    silent.retain(|form| form.has_own_values);
    let waits = code_step::waits(flow);
    let mut told = code_step::settle(ctx, flow, purpose, &mut forms, &mut messages);
    if told.is_none() && flow.nodes.iter().any(social::completes) {
        told = Some(texts::fill(ctx.lang, "complete_text", &[]));
    }
    let mut ways = Vec::new();
    if flow.second_factor {
        ways = second_step::ways(ctx.lang, flow, told.take(), &mut forms, &mut messages);
    }
    let title = match () {
        () if flow.second_factor && !flow.refresh => second_step::title(&ways),
        () if waits && !flow.refresh => "code_title",
        () => title,
    };
    // With other ways on the page there is nothing to start again for.
    let aside = match ways.as_slice() {
        [only] if waits && !flow.refresh && only.form.asks_code() => {
            link(ctx, "no_message", "step_again", Some(&safe::with_query(&flow.carry(&ctx.login_url), "aal", "aal2")))
        }
        _ => aside,
    };
    let title = texts::fill(ctx.lang, title, &[]);
    let refused =
        messages.iter().any(MessageBox::is_refusal) || forms.iter().chain(ways.iter().map(|way| &way.form)).any(Form::refused);
    match ways.iter_mut().find(|way| way.open) {
        Some(way) => focus(std::slice::from_mut(&mut way.form), &messages),
        None => focus(&mut forms, &messages),
    }
    let mut forms = forms.into_iter();
    let mut main = if ways.is_empty() { forms.next() } else { None };
    // Where there are only scripts' buttons, the first is the main one.
    if let Some(form) = main.as_mut().filter(|form| form.submits.is_empty())
        && let Some(first) = form.triggers.first_mut()
    {
        first.main = true;
    }
    if flow.second_factor && main.is_none() && ways.is_empty() {
        let way_out = link(ctx, "", "sign_out", ctx.logout_url.as_deref());
        let note = MessageBox::note(&texts::fill(ctx.lang, "no_second_step", &[("brand", brand(ctx))]));
        messages.push(MessageBox { action: way_out.map(|aside| aside.link), ..note });
    } else if main.is_none() && ways.is_empty() && messages.is_empty() {
        messages.push(MessageBox::note(&texts::fill(ctx.lang, "nothing_offered", &[])));
    }
    let others: Vec<Form> = forms
        .map(|mut form| {
            for button in &mut form.submits {
                button.main = false;
            }
            form
        })
        .collect();

    let who = flow.nodes.iter().find(|node| node.is_hidden() && node.name() == "identifier").and_then(Node::value);
    let session = ctx.signed_in.as_ref().and_then(|person| person.handle()).map(str::to_owned);
    let session = session.filter(|_| flow.refresh || flow.second_factor);
    let who = who.filter(|who| !who.is_empty());
    // While a code is waited for, the flow names where it was sent, and the page says that already.
    let who = if waits { session } else { who.or(session) };
    let who = who.filter(|_| purpose != Purpose::SignUp).map(|who| safe::cut(&who));
    // With a session a new sign-in needs signing out first.
    let not_you =
        if purpose == Purpose::Confirm || flow.second_factor { ctx.logout_url.clone() } else { Some(flow.carry(&ctx.login_url)) };
    let view = Auth {
        title: title.clone(),
        messages,
        text: told,
        not_you: not_you.filter(|_| who.is_some()).filter(|url| safe::address(url).is_some()),
        who,
        ways,
        main,
        others,
        silent,
        scripts: ceremony::scripts(ctx, flow),
        faults: ceremony::faults(ctx, flow, purpose == Purpose::SignUp),
        aside,
    };
    render::page(ctx, "auth.html", &Frame { title, refused, tab: None }, &view)
}

/// The forms, the main one first.
///
/// Visible nodes of the `default` group (identifier, traits) live in the form of the group that hosts them; groups that need
/// what is typed there join it. Every other group has a form of its own.
fn build(ctx: &PageContext, flow: &Flow<'_>, purpose: Purpose, is_stray: &dyn Fn(&&Node<'_>) -> bool) -> Vec<Form> {
    let mut groups = flow.groups();
    let waits = code_step::waits(flow);
    let place = |group: &str| ORDER.iter().position(|known| *known == group).map_or(ORDER.len(), |at| at + 1);
    groups.sort_by_key(|group| if waits && *group == "code" { 0 } else { place(group) });
    let shared = |node: &&Node<'_>| node.group == "default" && node.kind != "script" && !node.is_hidden() && !is_stray(node);
    let has = |group: &str, test: &dyn Fn(&Node<'_>) -> bool| flow.nodes.iter().any(|node| node.group == group && test(node));
    let hosts = flow.nodes.iter().any(|node| shared(&node));
    let host = if !hosts {
        None
    } else if let Some(group) = groups.iter().copied().find(|group| has(group, &social::completes)) {
        Some(group)
    } else if groups.contains(&"password") {
        Some("password")
    } else {
        let submits = |node: &Node<'_>| node.is_input(&["submit"]) && node.name() == "method";
        groups.iter().copied().find(|group| has(group, &submits)).or_else(|| groups.first().copied())
    };
    let joins = |group: &str| match purpose {
        _ if !hosts => false,
        _ if host == Some(group) => true,
        Purpose::SignUp => !matches!(group, "oidc" | "saml"),
        _ => has(group, &|node| node.name() == "method") && !has(group, &|node| node.is_field()),
    };

    let mut builder = Builder::new(ctx.lang, purpose, flow);
    let mut forms = Vec::new();
    if hosts {
        let together = flow
            .nodes
            .iter()
            .filter(|node| shared(node) || (node.kind != "script" && node.group != "default" && joins(node.group)));
        let mut form = builder.form(together, None);
        // Whatever the order of the nodes, Enter presses the button of the host.
        form.submits.sort_by_key(|button| (button.name != "method", button.value.as_deref() != host));
        for (at, button) in form.submits.iter_mut().enumerate() {
            button.main = at == 0 && (button.completes || button.name == "method");
            button.unchecked = !button.main;
        }
        if purpose == Purpose::SignUp {
            set_apart(ctx, &mut form);
        }
        forms.push(form);
    }
    for group in groups.into_iter().filter(|group| !joins(group)) {
        forms.push(builder.form(flow.nodes.iter().filter(|node| node.group == group && node.kind != "script"), None));
    }
    for form in &mut forms {
        social::gather(ctx.lang, purpose, form);
    }
    if purpose != Purpose::SignUp && flow.nodes.iter().any(|node| node.name() == "password") {
        let forgot = ctx.recovery_url.as_deref().and_then(safe::address).map(|url| flow.carry(url));
        for field in forms.iter_mut().flat_map(Form::fields).filter(|field| field.is_password()) {
            field.forgot.clone_from(&forgot);
        }
    }
    forms
}

/// Puts the name of a security key behind a choice of its own: whoever signs up in another way need not wonder about it.
fn set_apart(ctx: &PageContext, form: &mut Form) {
    let at = form.triggers.iter().position(|button| button.name == "webauthn_register_trigger");
    let Some(at) = at.filter(|_| form.submits.len() + form.triggers.len() > 1) else { return };
    let trigger = form.triggers.remove(at);
    let elements = form.take_field("webauthn_register_displayname").into_iter().collect();
    form.other = Some(Other { icon: "usb", more: texts::fill(ctx.lang, "key_sign_up_more", &[]), elements, trigger });
}

/// One focus target per page: the refusal on top, or the only field in error, or the first field.
pub(crate) fn focus(forms: &mut [Form], messages: &[MessageBox]) {
    let complaints: usize = forms.iter().map(|form| form.complaints.len()).sum();
    if messages.iter().any(MessageBox::is_refusal) || complaints > 1 {
        return;
    }
    let wanted = |field: &&mut form::Field| !field.is_disabled() && (complaints == 0 || field.has_errors());
    if let Some(field) = forms.iter_mut().flat_map(Form::fields).find(wanted) {
        field.autofocus = true;
    }
}

fn link(ctx: &PageContext, lead: &str, text: &str, href: Option<&str>) -> Option<Aside> {
    let href = href.and_then(safe::address)?.to_owned();
    let lead = if lead.is_empty() { String::new() } else { texts::fill(ctx.lang, lead, &[]) };
    Some(Aside { lead, link: Link { text: texts::fill(ctx.lang, text, &[]), href } })
}
