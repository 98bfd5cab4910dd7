//! The second step of a sign-in: one code field at a time, the other ways as choices that open in its place; a security key is
//! a choice that needs nothing typed, and a code by mail is asked for before it is typed.
//! The sign-in page hands over its forms and messages and gets the ways back.
//! It works without scripts: the ways are `details` elements of one name, of which a browser keeps one open.

use keyward_model::Lang;
use serde::Serialize;

use crate::flow::Flow;
use crate::form::Form;
use crate::messages::MessageBox;
use crate::{code_step, texts};

/// The request for a second step; every way says it in its own words.
const ASKED: u64 = 1_010_004;

/// Group, icon, title of the page if it is the only way, what to do, and the messages that belong to its field.
const WAYS: [(&str, &str, &str, &str, [u64; 3]); 4] = [
    ("totp", "phone", "enter_code_title", "enter_code", [4_000_008, 4_000_011, 0]),
    ("webauthn", "usb", "use_key_title", "key_ready", [0, 0, 0]),
    ("code", "mail", "get_code_title", "get_code", [0; 3]),
    ("lookup_secret", "codes", "use_backup_title", "enter_backup", [4_000_012, 4_000_014, 4_000_016]),
];

/// A way to prove that it is you.
#[derive(Serialize)]
pub(crate) struct Way {
    icon: &'static str,
    /// Name and explanation of the choice, for the time that another way is open.
    name: String,
    more: String,
    text: String,
    /// The line above the first of the choices.
    lead: Option<String>,
    pub(crate) open: bool,
    /// Nothing is typed: a script's button does it.
    pressed: bool,
    pub(crate) form: Form,
    #[serde(skip)]
    title: &'static str,
}

/// Takes the forms that ask for a code or a key out of `forms`, and the messages about them out of `messages`. Where a code was
/// sent, `told` says.
pub(crate) fn ways(
    lang: Lang,
    flow: &Flow<'_>,
    told: Option<String>,
    forms: &mut Vec<Form>,
    messages: &mut Vec<MessageBox>,
) -> Vec<Way> {
    let known = |key: &str| texts::fill(lang, key, &[]);
    let mut told = told.or_else(|| code_step::take_sent(messages));
    let mut ways = Vec::new();
    for (group, icon, title, text, about) in WAYS {
        let fits = |form: &Form| form.group == group && (form.asks() || form.is_pressed() || (group == "code" && form.is_sent()));
        let Some(at) = forms.iter().position(fits) else { continue };
        let mut form = forms.remove(at);
        let (mine, others) = std::mem::take(messages).into_iter().partition(|message: &MessageBox| about.contains(&message.id));
        *messages = others;
        for message in &mine {
            let complaint = form.fields().next().map(|field| field.refuse(message.text()));
            form.complaints.extend(complaint);
        }
        let sent = form.asks_code();
        let name = if sent { "way_code_sent".to_owned() } else { format!("way_{group}") };
        let text = match group {
            "code" if sent => told.take().unwrap_or_else(|| known("code_sent_somewhere")),
            "code" if form.submits.len() == 1 => known("get_code_one"),
            _ => known(text),
        };
        if let ("code", [only]) = (group, form.submits.as_mut_slice()) {
            only.main = true;
        }
        ways.push(Way {
            icon,
            more: known(&format!("{name}_more")),
            name: known(&name),
            text,
            lead: match ways.len() {
                1 => Some(known(if ways.iter().all(|way: &Way| way.form.group == "totp") { "no_app" } else { "or" })),
                _ => None,
            },
            open: false,
            pressed: form.is_pressed(),
            form,
            title: if sent { "enter_code_title" } else { title },
        });
    }
    if !ways.is_empty() {
        messages.retain(|message| message.id != ASKED);
    }
    // The way that was refused, else the one that the flow knows was used last, else the first.
    let refused = ways.iter().position(|way| !way.form.complaints.is_empty());
    let open = refused.or_else(|| ways.iter().position(|way| Some(way.form.group.as_str()) == flow.active)).unwrap_or(0);
    if let Some(way) = ways.get_mut(open) {
        way.open = true;
        way.form.triggers.iter_mut().for_each(|button| (button.main, button.label) = (true, way.name.clone()));
    }
    ways
}

/// The heading over the ways.
pub(crate) fn title(ways: &[Way]) -> &'static str {
    match ways {
        [] => "second_step_title",
        [only] => only.title,
        ways if ways.iter().any(|way| way.open && way.pressed) => "use_key_title",
        ways if ways.iter().any(|way| way.open && !way.form.asks()) => "second_step_title",
        _ => "enter_code_title",
    }
}
