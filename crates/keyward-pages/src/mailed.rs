//! The pages that a mailed code or link carries: recovery and verification, from the address to what is done.
//! The HTTP floor calls them with the flow JSON of its own public API.
//! Which step it is, the nodes tell; whether an account exists, nothing here tells.

use serde::Serialize;
use serde_json::Value;

use crate::auth::focus;
use crate::ceremony::{self, Script};
use crate::context::{PageContext, PageError};
use crate::flow::{Flow, Node};
use crate::form::{Builder, Form, Instead};
use crate::labels::Purpose;
use crate::messages::{Link, MessageBox};
use crate::render::{self, Frame};
use crate::{code_step, safe, texts};

/// A link was sent: recovery, verification.
const LINK_SENT: [u64; 2] = [1_060_002, 1_080_001];
/// What the headings of the steps say as well: choose an address, enter it in full.
const SAID_ABOVE: [u64; 2] = [1_060_006, 1_060_005];

/// Where the flow stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Address,
    Choose,
    Confirm,
    Code,
    /// A link was sent, and can be sent again.
    Link,
    Done,
}

#[derive(Serialize)]
struct Mailed {
    title: String,
    messages: Vec<MessageBox>,
    text: Option<String>,
    choices: Option<Choices>,
    main: Option<Form>,
    others: Vec<Form>,
    way_on: Option<WayOn>,
    scripts: Vec<Script>,
    aside: Option<Link>,
}

/// Addresses to choose from; each is a button of the form, which has no others.
#[derive(Serialize)]
struct Choices {
    form: Form,
    list: Vec<Choice>,
}

#[derive(Serialize)]
struct Choice {
    name: String,
    value: Option<String>,
    text: String,
    more: String,
    icon: &'static str,
}

/// The link that a flow ends with.
#[derive(Serialize)]
struct WayOn {
    id: String,
    link: Link,
}

/// The page for a recovery flow: the address, where there are several the choice among them, the code, and the way on.
///
/// # Errors
/// [`PageError::Malformed`] without a usable `ui.action`.
pub fn recovery(flow: &Value, ctx: &PageContext) -> Result<String, PageError> {
    let read = Flow::read(flow)?;
    let back = link("back_to_sign_in", &read.carry(&ctx.login_url), ctx);
    if !read.passed {
        return page(ctx, &read, Purpose::Recover, back);
    }
    let told = flow["continue_with"].as_array().into_iter().flatten().find(|item| item["action"] == "show_settings_ui");
    let href = told.and_then(|item| item["flow"]["url"].as_str()).unwrap_or(&ctx.settings_url);
    let way_on = link("recovery_done_link", href, ctx).map(|link| WayOn { id: "continue".to_owned(), link });
    let messages = read.messages.iter().map(|message| MessageBox::from_flow(ctx.lang, message)).collect();
    done(ctx, "recovery_done_title", messages, Some("recovery_done_text"), way_on)
}

/// The page for a verification flow: the address, the code (which the link of the mail may have filled in), and the way on.
///
/// # Errors
/// [`PageError::Malformed`] without a usable `ui.action`.
pub fn verification(flow: &Value, ctx: &PageContext) -> Result<String, PageError> {
    let flow = Flow::read(flow)?;
    let anchor = flow.nodes.iter().find(|node| node.kind == "a");
    if !flow.passed && anchor.is_none() {
        let later = match ctx.signed_in {
            Some(_) => link("later", &ctx.settings_url, ctx),
            None => link("back_to_sign_in", &flow.carry(&ctx.login_url), ctx),
        };
        return page(ctx, &flow, Purpose::Verify, later);
    }
    let mut messages: Vec<MessageBox> = flow.messages.iter().map(|message| MessageBox::from_flow(ctx.lang, message)).collect();
    let href = anchor.and_then(|node| node.attribute("href"));
    let way_on = match href.map(|href| (href, safe::address(href))) {
        Some((_, Some(href))) => link("continue", href, ctx),
        // The address of another program is for reading only.
        Some((href, None)) => {
            messages.push(MessageBox::note(&safe::cut(href)));
            None
        }
        None => link("continue", &render::local(ctx, "/ui/"), ctx),
    };
    let id = safe::anchor(anchor.map_or("continue", Node::name));
    let text = (!messages.iter().any(MessageBox::is_refusal)).then_some("verification_done_text");
    done(ctx, "verification_done_title", messages, text, way_on.map(|link| WayOn { id, link }))
}

fn done(
    ctx: &PageContext,
    title: &str,
    messages: Vec<MessageBox>,
    text: Option<&str>,
    way_on: Option<WayOn>,
) -> Result<String, PageError> {
    let title = texts::fill(ctx.lang, title, &[]);
    let refused = messages.iter().any(MessageBox::is_refusal);
    let view = Mailed {
        title: title.clone(),
        messages,
        text: text.map(|key| texts::fill(ctx.lang, key, &[])),
        choices: None,
        main: None,
        others: Vec::new(),
        way_on,
        scripts: Vec::new(),
        aside: None,
    };
    render::page(ctx, "mailed.html", &Frame { title, refused, tab: None }, &view)
}

fn page(ctx: &PageContext, flow: &Flow<'_>, purpose: Purpose, aside: Option<Link>) -> Result<String, PageError> {
    let known = |key: &str| texts::fill(ctx.lang, key, &[]);
    let stage = stage(flow);
    let mut messages: Vec<MessageBox> = flow
        .messages
        .iter()
        .filter(|message| !SAID_ABOVE.contains(&message.id))
        .map(|message| MessageBox::from_flow(ctx.lang, message))
        .collect();
    let homeless = flow.nodes.iter().filter(|node| node.is_stray() || (node.group == "default" && node.is_hidden()));
    messages.extend(homeless.flat_map(|node| &node.messages).map(|message| MessageBox::from_flow(ctx.lang, message)));

    let mut forms = build(ctx, flow, purpose);
    for form in &mut forms {
        messages.append(&mut form.messages);
    }
    let said = code_step::settle(ctx, flow, purpose, &mut forms, &mut messages);
    let mut forms: Vec<Form> = forms.into_iter().filter(Form::is_visible).collect();
    let by_link = forms.first().is_some_and(|form| form.group == "link");
    for form in forms.iter_mut().filter(|form| matches!(form.group.as_str(), "code" | "link")) {
        prepare(ctx, purpose, stage, form);
    }
    let refused = messages.iter().any(MessageBox::is_refusal) || forms.iter().any(Form::refused);
    focus(&mut forms, &messages);

    let title = match (stage, purpose) {
        (Stage::Choose, _) => "recovery_choose_title",
        (Stage::Confirm, _) => "recovery_confirm_title",
        (Stage::Link, _) => "look_title",
        (Stage::Code, Purpose::Recover) => "code_title",
        (_, Purpose::Verify) if flow.nodes.iter().any(is_mail) => "verification_title",
        (_, Purpose::Verify) => "verification_title_any",
        _ => "recovery_title",
    };
    let text = match stage {
        Stage::Choose => Some(known("recovery_choose_text")),
        Stage::Confirm => Some(known("recovery_confirm_text")),
        Stage::Link => Some(known("look_text")),
        Stage::Address => {
            let subject = if purpose == Purpose::Verify { "verification" } else { "recovery" };
            Some(known(&format!("{subject}_{}_text", if by_link { "link" } else { "code" })))
        }
        Stage::Code | Stage::Done => said,
    };
    let mut forms = forms.into_iter();
    let mut main = forms.next();
    let choices = if stage == Stage::Choose { main.take().map(|form| choose(ctx, form)) } else { None };
    let title = known(title);
    if main.is_none() && choices.is_none() && messages.is_empty() {
        messages.push(MessageBox::note(&known("nothing_offered")));
    }
    let view = Mailed {
        title: title.clone(),
        messages,
        text: text.filter(|_| main.is_some() || choices.is_some()),
        choices,
        main,
        others: forms.collect(),
        way_on: None,
        scripts: ceremony::scripts(ctx, flow),
        aside,
    };
    render::page(ctx, "mailed.html", &Frame { title, refused, tab: None }, &view)
}

fn stage(flow: &Flow<'_>) -> Stage {
    let has = |name: &str| flow.nodes.iter().any(|node| node.name() == name && !node.is_hidden());
    let has_field = |name: &str| flow.nodes.iter().any(|node| node.name() == name && node.is_field());
    match () {
        () if flow.passed => Stage::Done,
        () if code_step::waits(flow) => Stage::Code,
        () if has("recovery_select_address") => Stage::Choose,
        () if has_field("recovery_confirm_address") => Stage::Confirm,
        () if flow.messages.iter().any(|message| LINK_SENT.contains(&message.id)) => Stage::Link,
        () => Stage::Address,
    }
}

/// One form for each group, the code or the link first; what belongs to no group goes along with the first.
fn build(ctx: &PageContext, flow: &Flow<'_>, purpose: Purpose) -> Vec<Form> {
    let mut groups = flow.groups();
    groups.sort_by_key(|group| !matches!(*group, "code" | "link"));
    let mut builder = Builder::new(ctx.lang, purpose, flow);
    let loose = |node: &&Node<'_>| node.group == "default" && node.kind != "script" && !node.is_hidden() && !node.is_stray();
    let first = groups.first().copied();
    let mut forms = Vec::new();
    for group in groups {
        let own = flow.nodes.iter().filter(|node| node.group == group && node.kind != "script");
        let beside = flow.nodes.iter().filter(|node| loose(node) && first == Some(group));
        forms.push(builder.form(own.chain(beside), None));
    }
    if first.is_none() && flow.nodes.iter().any(|node| loose(&node)) {
        forms.push(builder.form(flow.nodes.iter().filter(loose), None));
    }
    forms
}

/// Words for what the button does at this step, and the address of whoever is signed in.
fn prepare(ctx: &PageContext, purpose: Purpose, stage: Stage, form: &mut Form) {
    let verb = match (stage, purpose) {
        (Stage::Code, Purpose::Verify) => "confirm_address",
        (Stage::Code, _) => "continue",
        (Stage::Link, _) => "send_link_again",
        _ if form.group == "link" => "send_link",
        _ => "send_the_code",
    };
    for button in form.submits.iter_mut().filter(|button| button.name == "method") {
        button.label = texts::fill(ctx.lang, verb, &[]);
    }
    let address = ctx.signed_in.as_ref().and_then(|person| person.email.as_deref()).filter(|address| address.contains('@'));
    if let (Stage::Address, Some(address)) = (stage, address) {
        form.fields().filter(|field| field.name == "email").for_each(|field| field.suggest(address));
    }
}

fn choose(ctx: &PageContext, mut form: Form) -> Choices {
    let submits = std::mem::take(&mut form.submits).into_iter();
    let (buttons, rest): (Vec<_>, Vec<_>) = submits.partition(|button| button.name == "recovery_select_address");
    form.instead = (!rest.is_empty()).then(|| Instead { submits: rest, ..Instead::default() });
    let list = buttons
        .into_iter()
        .map(|button| {
            let mail = button.label.contains('@');
            Choice {
                more: texts::fill(ctx.lang, if mail { "by_mail" } else { "by_phone" }, &[]),
                icon: if mail { "mail" } else { "mobile" },
                text: safe::cut(&button.label),
                name: button.name,
                value: button.value,
            }
        })
        .collect();
    Choices { form, list }
}

/// Whether the node is for an email address or names one.
fn is_mail(node: &Node<'_>) -> bool {
    node.name() == "email" && (node.input_type() == "email" || node.value().is_some_and(|value| value.contains('@')))
}

fn link(text: &str, href: &str, ctx: &PageContext) -> Option<Link> {
    Some(Link { href: safe::address(href)?.to_owned(), text: texts::fill(ctx.lang, text, &[]) })
}
