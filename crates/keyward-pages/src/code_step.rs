//! The step of a flow that asks for a code that was sent, the same in signing in and up, recovery and verification.
//! The pages hand over their forms and messages; what is about the code goes to its field, and the page says where it was sent.
//! It reads the address off the nodes and never says more about it than that.

use std::collections::BTreeSet;

use crate::context::PageContext;
use crate::flow::{Flow, Node};
use crate::form::{Form, Instead};
use crate::labels::Purpose;
use crate::messages::{Link, MessageBox};
use crate::{safe, texts};

/// A code was sent: signing in, the second step, signing up, recovery (the last of them to a chosen address), verification.
const SENT: [u64; 7] = [1_010_014, 1_010_025, 1_040_005, 1_060_003, 1_060_004, 1_080_003, 1_080_004];
/// The code is not right.
const WRONG: [u64; 4] = [4_010_008, 4_040_003, 4_060_006, 4_070_006];

/// Whether the flow waits for a code.
pub(crate) fn waits(flow: &Flow<'_>) -> bool {
    flow.nodes.iter().any(|node| node.group == "code" && node.name() == "code" && node.is_field())
}

/// Puts refusals at the field of the code, and hints and a way out below it. The answer is where the code was sent, in a sentence,
/// for when no message says it; the one that does says it in the same words.
pub(crate) fn settle(
    ctx: &PageContext,
    flow: &Flow<'_>,
    purpose: Purpose,
    forms: &mut [Form],
    messages: &mut Vec<MessageBox>,
) -> Option<String> {
    let form = forms.iter_mut().find(|form| form.asks_code())?;
    let (wrong, others) = std::mem::take(messages).into_iter().partition(|message: &MessageBox| WRONG.contains(&message.id));
    *messages = others;
    for message in &wrong {
        let complaint = form.fields().find(|field| field.name == "code").map(|field| field.refuse(message.text()));
        form.complaints.extend(complaint);
    }
    let address = address(flow, purpose);
    let sentence = address.as_deref().map(|address| sentence(ctx, flow, purpose, address));
    let instead = form.instead.get_or_insert_with(Instead::default);
    if instead.submits.iter().any(|button| button.name != "screen") {
        let phone = address.as_deref().is_some_and(|address| !address.contains('@'));
        instead.hint = Some(texts::fill(ctx.lang, if phone { "again_phone" } else { "again_mail" }, &[]));
    }
    if !instead.submits.iter().any(|button| button.name == "screen") {
        instead.link = elsewhere(ctx, flow, purpose);
    }
    match (&sentence, messages.iter_mut().find(|message| SENT.contains(&message.id))) {
        (Some(sentence), Some(message)) => {
            message.body.clone_from(sentence);
            None
        }
        (None, Some(_)) => None,
        (sentence, None) => sentence.clone(),
    }
}

/// Takes the message that a code was sent away from the others.
pub(crate) fn take_sent(messages: &mut Vec<MessageBox>) -> Option<String> {
    let at = messages.iter().position(|message| SENT.contains(&message.id))?;
    Some(messages.remove(at).body)
}

/// The one address that the message or the nodes name; `None` where there are several or none.
fn address(flow: &Flow<'_>, purpose: Purpose) -> Option<String> {
    let sent = flow.messages.iter().find(|message| SENT.contains(&message.id));
    let told = sent.and_then(|message| message.value("masked_address").or_else(|| message.value("address")));
    let named = |node: &Node<'_>| match purpose {
        Purpose::Recover | Purpose::Verify => {
            node.is_input(&["submit"]) && matches!(node.name(), "email" | "recovery_confirm_address")
        }
        Purpose::SignUp => {
            node.is_hidden() && node.name().starts_with("traits.") && node.value().is_some_and(|value| value.contains('@'))
        }
        Purpose::SignIn | Purpose::Connect | Purpose::Confirm | Purpose::Settings => {
            node.is_hidden() && node.name() == "identifier"
        }
    };
    let values: BTreeSet<String> = match told {
        Some(told) => BTreeSet::from([told.to_owned()]),
        None => flow.nodes.iter().filter(|node| named(node)).filter_map(Node::value).filter(|value| !value.is_empty()).collect(),
    };
    let mut values = values.into_iter();
    values.next().filter(|_| values.next().is_none())
}

/// Whose address it is, only those know who are signed in or signing up.
fn sentence(ctx: &PageContext, flow: &Flow<'_>, purpose: Purpose, address: &str) -> String {
    let own = ctx.signed_in.as_ref().and_then(|person| person.handle()) == Some(address);
    let certain = own || purpose == Purpose::SignUp || purpose == Purpose::Confirm || flow.second_factor;
    texts::fill(ctx.lang, if certain { "code_sent" } else { "code_if_known" }, &[("address", &safe::cut(address))])
}

/// Where another address can be named: a flow of the same kind from its start.
fn elsewhere(ctx: &PageContext, flow: &Flow<'_>, purpose: Purpose) -> Option<Link> {
    let start = match purpose {
        Purpose::SignIn | Purpose::Connect if flow.second_factor => return None,
        Purpose::Confirm | Purpose::Settings => return None,
        Purpose::SignIn | Purpose::Connect => Some(ctx.login_url.as_str()),
        Purpose::SignUp => ctx.registration_url.as_deref(),
        Purpose::Recover => ctx.recovery_url.as_deref(),
        Purpose::Verify => ctx.verification_url.as_deref(),
    };
    let href = flow.carry(start.and_then(safe::address)?);
    Some(Link { text: texts::fill(ctx.lang, "other_address", &[]), href })
}
