//! The sections of the second step: the authenticator app and the backup codes, in each of their states.
//! The settings page hands over the sections with the forms of the groups `totp` and `lookup_secret`, and gets rows, steps and
//! lists back.
//! It reads the state off the nodes alone and knows nothing of the other sections.

use keyward_model::Lang;
use serde::Serialize;

use crate::context::PageContext;
use crate::flow::Flow;
use crate::form::{Element, Form, OneCode};
use crate::keys::is_way_in;
use crate::messages::{Link, MessageBox};
use crate::render::brand;
use crate::settings::{Empty, Row, Section, Tag};
use crate::{safe, texts};

/// The message that something was saved; it never tells what.
pub(crate) const SAVED: u64 = 1_050_001;
/// The message that only few backup codes are left.
const FEW_CODES: u64 = 7_900_002;

/// What the nodes tell about the second step.
#[derive(Clone, Copy)]
pub(crate) struct Factors {
    lang: Lang,
    /// An app is enrolled.
    pub(crate) app: bool,
    /// An app can be enrolled.
    pub(crate) app_offered: bool,
    /// How many security keys there are as second steps; one that is a way in by itself is none.
    pub(crate) keys: usize,
    /// There are backup codes.
    pub(crate) codes: bool,
    /// There are none. While new ones wait to be confirmed neither is known.
    pub(crate) no_codes: bool,
    /// Codes are on the page.
    pub(crate) shown: bool,
    /// The codes on the page wait to be confirmed.
    pub(crate) pending: bool,
    /// The codes on the page came with the app that was enrolled a moment ago.
    pub(crate) handed_out: bool,
    /// How many codes are left and how many there were, where the page shows them.
    pub(crate) left: Option<(usize, usize)>,
    /// How many are left, where the flow warns of it.
    few: Option<u64>,
}

/// The enrolment of an app, in numbered steps within one form.
#[derive(Serialize)]
pub(crate) struct Enrolment {
    picture: Option<Element>,
    key: Element,
    /// What is left for the last step: the field, and whatever else the group holds.
    pub(crate) form: Form,
}

/// Backup codes to look at and to keep.
#[derive(Serialize)]
pub(crate) struct Codes {
    id: String,
    label: String,
    codes: Vec<OneCode>,
    /// The codes that still work, one a line; empty when there are none.
    copy: String,
    copied: String,
    download: String,
    file_name: String,
    /// What the button below the codes brings about.
    note: Option<String>,
    confirm: Option<Form>,
    way_on: Option<Link>,
    /// Whether the way on is what the page is for.
    pressing: bool,
}

impl Factors {
    pub(crate) fn read(lang: Lang, flow: &Flow<'_>) -> Self {
        let count = |name: &str| flow.nodes.iter().filter(|node| node.name() == name).count();
        let (app, codes) = (count("totp_unlink") > 0, count("lookup_secret_disable") > 0);
        let list =
            flow.nodes.iter().find(|node| node.group == "lookup_secret" && node.raw("text")["context"]["secrets"].is_array());
        let pending = count("lookup_secret_confirm") > 0;
        let saved = flow.messages.iter().any(|message| message.id == SAVED);
        let left = list.and_then(|node| node.raw("text")["context"]["secrets"].as_array()).filter(|_| !pending);
        let warning = flow.nodes.iter().flat_map(|node| &node.messages).find(|message| message.id == FEW_CODES);
        Self {
            lang,
            app,
            app_offered: count("totp_code") > 0,
            keys: flow.nodes.iter().filter(|node| node.name() == "webauthn_remove" && !is_way_in(node)).count(),
            codes,
            no_codes: !codes && list.is_none() && count("lookup_secret_regenerate") > 0,
            shown: list.is_some(),
            pending,
            // A submit hides revealed codes again, so codes beside its success were made by it.
            handed_out: list.is_some() && saved && app && codes,
            left: left.map(|all| (all.iter().filter(|code| code["id"] != 1_050_014).count(), all.len())),
            few: warning.and_then(|warning| warning.number("left")),
        }
    }

    /// Whether signing in takes two steps, as far as the nodes tell.
    pub(crate) fn second_step(&self) -> bool {
        self.app || self.keys > 0
    }

    /// The number of codes in words, where it is known.
    pub(crate) fn codes_state(&self) -> Option<String> {
        match (self.left, self.few) {
            (Some((0, _)), _) | (None, Some(0)) => Some(self.say("codes_state_none")),
            (Some((left, all)), _) => {
                Some(texts::fill(self.lang, "codes_state_left", &[("left", &left.to_string()), ("all", &all.to_string())]))
            }
            (None, Some(left)) => Some(texts::fill(self.lang, "codes_state_few", &[("left", &left.to_string())])),
            (None, None) => None,
        }
    }

    /// What was done, in the words of the section that it was done in.
    pub(crate) fn done(&self, section: &str, message: &MessageBox) -> Option<MessageBox> {
        let key = match section {
            _ if message.id != SAVED => return None,
            "totp" if self.handed_out => "totp_done_codes",
            "totp" if self.app => "totp_done",
            "totp" if self.app_offered => "totp_done_gone",
            "lookup_secret" if self.codes => "codes_done",
            "lookup_secret" if self.no_codes => "codes_done_off",
            _ => return None,
        };
        Some(MessageBox::done(&self.say(key)))
    }

    fn say(&self, key: &str) -> String {
        texts::fill(self.lang, key, &[])
    }

    /// Arranges the section of the authenticator app.
    pub(crate) fn app_section(&self, section: &mut Section) {
        section.tag = match (self.app, self.app_offered) {
            (true, _) => Some(Tag::on(self.say("state_on"))),
            (false, true) => Some(Tag::plain(self.say("state_off"))),
            (false, false) => None,
        };
        for mut form in std::mem::take(&mut section.forms) {
            match take_key(&mut form) {
                Some((picture, key)) => section.enrolment = Some(Enrolment { picture, key, form }),
                None if form.has_submit("totp_unlink") => section.rows.push(Row {
                    icon: "phone",
                    text: self.say("totp"),
                    meta: Some(self.say("totp_meta")),
                    more: self.say("manage"),
                    note: Some(self.say(match (self.keys > 0, self.no_codes) {
                        (true, _) => "totp_gone_key",
                        (false, true) => "totp_gone",
                        (false, false) => "totp_gone_codes",
                    })),
                    forms: vec![form],
                    ..Row::default()
                }),
                None => section.forms.push(form),
            }
        }
    }

    /// Arranges the section of the backup codes.
    pub(crate) fn codes_section(&self, ctx: &PageContext, section: &mut Section) {
        let mut list = None;
        let mut confirm = None;
        for mut form in std::mem::take(&mut section.forms) {
            if list.is_none() {
                list = form.take_codes();
            }
            if !form.is_visible() {
                continue;
            }
            if form.has_submit("lookup_secret_confirm") {
                confirm = Some(form);
            } else if let Some(row) = self.row(&form) {
                section.rows.push(Row { forms: vec![form], ..row });
            } else if form.has_submit("lookup_secret_regenerate") {
                let text = if self.app_offered && self.keys == 0 { "codes_none_app" } else { "codes_none_text" };
                form.submits.iter_mut().for_each(|button| button.label = self.say("codes_make_first"));
                section.empty = Some(Empty { title: self.say("codes_none"), text: self.say(text), form });
            } else {
                section.forms.push(form);
            }
        }
        // Looking comes first, switching off last.
        section.rows.sort_by_key(|row| row.icon == "bin");
        section.tag = self.codes_tag();
        if self.handed_out {
            (section.title, section.intro) = (self.say("codes_save_title"), Some(self.say("codes_save_intro")));
        } else if self.pending {
            (section.title, section.intro) = (self.say("codes_new_title"), Some(self.say("codes_new_intro")));
        }
        match list {
            Some((id, codes)) => section.codes = Some(self.list(ctx, id, codes, confirm)),
            None => section.forms.extend(confirm),
        }
    }

    fn codes_tag(&self) -> Option<Tag> {
        let few = self.few.is_some() || self.left.is_some_and(|(left, _)| left <= 3);
        let state = self.codes_state();
        Some(match state {
            _ if self.pending => Tag::warn(self.say("codes_state_new")),
            _ if self.handed_out => Tag::warn(self.say("codes_state_once")),
            Some(state) if few => Tag::warn(state),
            Some(state) => Tag::on(state),
            None if self.codes => Tag::on(self.say("state_on")),
            None => return None,
        })
    }

    /// The row that a form waits behind, without the form.
    fn row(&self, form: &Form) -> Option<Row> {
        let (icon, name, text, meta) = match () {
            () if form.has_submit("lookup_secret_reveal") => {
                ("codes", "codes_show_row", "codes_show_text", Some("codes_show_row_meta"))
            }
            () if form.has_submit("lookup_secret_regenerate") && !self.no_codes => {
                ("plus", "codes_make_row", "codes_make_text", Some("codes_make_row_meta"))
            }
            () if form.has_submit("lookup_secret_disable") => {
                let text = if self.second_step() { "codes_off_text" } else { "codes_off_text_alone" };
                ("bin", "codes_off_row", text, None)
            }
            () => return None,
        };
        Some(Row {
            icon,
            text: self.say(name),
            meta: meta.map(|meta| self.say(meta)),
            more: self.say(&format!("{name}_more")),
            note: Some(self.say(text)),
            ..Row::default()
        })
    }

    fn list(&self, ctx: &PageContext, id: String, codes: Vec<OneCode>, confirm: Option<Form>) -> Codes {
        let good: Vec<&str> = codes.iter().filter(|code| !code.used).map(|code| code.text.as_str()).collect();
        let who = ctx.signed_in.as_ref().and_then(|person| person.handle()).map(safe::cut);
        let head = match &who {
            Some(who) => texts::fill(self.lang, "codes_file", &[("brand", brand(ctx)), ("who", who)]),
            None => texts::fill(self.lang, "codes_file_nobody", &[("brand", brand(ctx))]),
        };
        let copy = good.join("\n");
        let file = format!("{head}\n{}\n\n{copy}\n", self.say("codes_file_rule"));
        let way_on = if self.handed_out { "codes_saved" } else { "codes_hide" };
        let href = safe::address(&ctx.settings_url).filter(|_| confirm.is_none());
        Codes {
            id,
            label: self.say("lookup_secret"),
            copied: match good.len() {
                1 => self.say("codes_copied_one"),
                count => texts::fill(self.lang, "codes_copied", &[("count", &count.to_string())]),
            },
            download: safe::text_file(&file),
            file_name: file_name(brand(ctx), &self.say("codes_file_name")),
            note: confirm.is_some().then(|| self.say("codes_new_after")),
            confirm,
            way_on: href.map(|href| Link { text: self.say(way_on), href: href.to_owned() }),
            pressing: self.handed_out,
            copy,
            codes,
        }
    }
}

/// Takes picture and key out of a form that enrols an app: it shows a key and asks for a code.
fn take_key(form: &mut Form) -> Option<(Option<Element>, Element)> {
    let place = |form: &Form, is: fn(&Element) -> bool| form.elements.iter().position(is);
    let key = place(form, |element| matches!(element, Element::Secret { .. })).filter(|_| form.asks())?;
    let key = form.elements.remove(key);
    let picture = place(form, |element| matches!(element, Element::Image { .. }));
    Some((picture.map(|at| form.elements.remove(at)), key))
}

/// `example-co-backup-codes.txt` for the brand `Example & Co`.
fn file_name(brand: &str, what: &str) -> String {
    let lower = brand.to_ascii_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let name: Vec<&str> = words.chain([what]).collect();
    format!("{}.txt", name.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_after_the_brand_as_far_as_letters_go() {
        for (brand, want) in [("Example & Co", "example-co-codes.txt"), ("Бренд", "codes.txt"), ("../..\u{202e}", "codes.txt")]
        {
            assert_eq!(file_name(brand, "codes"), want, "{brand}");
        }
    }
}
