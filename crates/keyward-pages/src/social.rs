//! Accounts that people have elsewhere: buttons to sign in with them, and the section that connects and disconnects them.
//! Sign-in and sign-up pages have their buttons laid out here; the settings page hands over the nodes `link` and `unlink` and gets
//! rows back.
//! It reads everything off the nodes: an account that is connected but has no node, because it is the only way in, is unknown here.

use keyward_model::Lang;

use crate::context::PageContext;
use crate::flow::{Flow, Node};
use crate::form::{Builder, Form};
use crate::labels::Purpose;
use crate::messages::{CONNECTS, MessageBox};
use crate::settings::{Row, Section, Tag};
use crate::texts;

/// From so many on, buttons say only whose they are, two to a line.
const MANY: usize = 4;

/// Whether the group is about accounts elsewhere.
pub(crate) fn is_social(group: &str) -> bool {
    matches!(group, "oidc" | "saml")
}

/// Whether the node connects or disconnects an account.
pub(crate) fn lists(node: &Node<'_>) -> bool {
    is_social(node.group) && node.is_input(&["submit"]) && matches!(node.name(), "link" | "unlink")
}

/// Whether whoever signs in here connects an account from elsewhere by it: the message says so for as long as it is so.
pub(crate) fn connects(flow: &Flow<'_>) -> bool {
    flow.messages.iter().any(|message| message.id == CONNECTS)
}

/// Whether the node carries on a sign-up for which the provider did not tell enough.
pub(crate) fn completes(node: &Node<'_>) -> bool {
    node.label.is_some_and(|label| label.id == 1_040_003) && node.is_input(&["submit"])
}

/// Gathers many buttons under one line that says what they do; aloud each one still says it all.
pub(crate) fn gather(lang: Lang, purpose: Purpose, form: &mut Form) {
    let alone =
        form.elements.is_empty() && form.triggers.is_empty() && form.submits.iter().all(|button| button.provider.is_some());
    if !is_social(&form.group) || !alone || form.submits.len() < MANY {
        return;
    }
    let lead = match purpose {
        Purpose::SignUp => "provider_sign_up_many",
        Purpose::Confirm | Purpose::Connect => "provider_confirm_many",
        _ => "provider_sign_in_many",
    };
    form.note = Some(texts::fill(lang, lead, &[]));
    form.many = true;
    for button in &mut form.submits {
        if let Some(provider) = button.provider.clone() {
            button.spoken = Some(std::mem::replace(&mut button.label, provider));
        }
    }
}

/// The row of one account, with its messages put into `messages`.
pub(crate) fn row(ctx: &PageContext, builder: &mut Builder<'_>, node: &Node<'_>, messages: &mut Vec<MessageBox>) -> Row {
    let known = |key: &str| texts::fill(ctx.lang, key, &[]);
    let mut form = builder.form([node], Some(node.group));
    messages.append(&mut form.messages);
    let provider = form.submits.first().and_then(|button| button.provider.clone()).unwrap_or_default();
    let disabled = node.flag("disabled");
    for button in &mut form.submits {
        button.letter = None;
    }
    if node.name() == "link" {
        for button in &mut form.submits {
            button.spoken = Some(std::mem::replace(&mut button.label, known("connect")));
        }
        let meta = known(if disabled { "provider_refused" } else { "not_connected" });
        return Row { icon: "link", text: provider, meta: Some(meta), direct: Some(form), ..Row::default() };
    }
    let row = Row {
        icon: "link",
        text: provider.clone(),
        tags: vec![Tag::on(known("connected"))],
        more: known("manage"),
        ..Row::default()
    };
    if disabled {
        return Row { reason: Some(known("provider_kept")), ..row };
    }
    form.note = Some(texts::fill(ctx.lang, "provider_gone", &[("provider", &provider)]));
    Row { forms: vec![form], ..row }
}

/// Says in the header how many are connected, as far as rows tell.
pub(crate) fn arrange(ctx: &PageContext, section: &mut Section) {
    section.tag = match section.rows.iter().filter(|row| row.direct.is_none()).count() {
        0 => None,
        1 => Some(Tag::on(texts::fill(ctx.lang, "oidc_count_one", &[]))),
        count => Some(Tag::on(texts::fill(ctx.lang, "oidc_count", &[("count", &count.to_string())]))),
    };
}
