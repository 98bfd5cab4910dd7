//! The mailbox of the development mode: what would have been sent, to read in the browser.
//! The HTTP floor calls it with the newest messages of the outbox, decrypted.
//! A message is foreign text: its words are shown as text, its HTML only in a frame that may do nothing.

use keyward_model::Time;
use serde::Serialize;

use crate::context::{PageContext, PageError};
use crate::moment::{Moment, moment};
use crate::render::{self, Frame};
use crate::{safe, texts};

/// How many digits a mailed code has.
const CODE_DIGITS: usize = 6;
/// What comes before the HTML of a message in its frame: nothing is loaded, nothing runs (W3C CSP Level 3, section 3.3).
const FRAME_HEAD: &str = "<!doctype html><meta charset=\"utf-8\"><meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
     img-src data:; style-src 'unsafe-inline'; form-action 'none'\">";

/// A message of the outbox.
#[derive(Clone, Copy, Debug)]
pub struct Letter<'a> {
    /// Its id, as it stands in the address of the page.
    pub id: &'a str,
    /// An email address or a phone number.
    pub recipient: &'a str,
    /// Empty for text messages.
    pub subject: &'a str,
    /// The plain text.
    pub text: &'a str,
    /// The same as HTML, if the message has it.
    pub html: Option<&'a str>,
    /// When it was put into the outbox (RFC 3339).
    pub time: &'a str,
    /// The wire's name of the template, for example `recovery_code_valid`.
    pub template: &'a str,
}

/// What the mailbox shows.
#[derive(Clone, Copy, Debug)]
pub struct Mailbox<'a> {
    /// In any order; the page lists the newest first.
    pub letters: &'a [Letter<'a>],
    /// The id of the message to open; the newest one if there is no such message.
    pub open: Option<&'a str>,
    /// Whether there are older messages that are not among the letters.
    pub more: bool,
    /// The address of this page, such as `/ui/mailbox`.
    pub address: &'a str,
}

#[derive(Serialize)]
struct View {
    title: String,
    address: String,
    more: bool,
    list: Vec<Entry>,
    open: Option<Opened>,
}

#[derive(Serialize)]
struct Entry {
    href: String,
    subject: String,
    to: String,
    time: Option<Moment>,
    current: bool,
}

#[derive(Serialize)]
struct Opened {
    subject: String,
    recipient: String,
    template: String,
    time: Option<Moment>,
    code: Option<Code>,
    link: Option<String>,
    text: String,
    frame: Option<String>,
}

#[derive(Serialize)]
struct Code {
    /// In two groups, for the eye.
    spaced: String,
    raw: String,
}

/// The mailbox with one message open.
///
/// The query parameter `message` of its links names the message to open.
///
/// # Errors
/// [`PageError::Template`] only.
pub fn mailbox(mailbox: &Mailbox<'_>, ctx: &PageContext) -> Result<String, PageError> {
    let mut letters: Vec<&Letter<'_>> = mailbox.letters.iter().collect();
    // The sort is stable: what came at the same time stays as it is.
    letters.sort_by_key(|letter| std::cmp::Reverse(Time::parse(letter.time)));
    let wanted = letters.iter().find(|letter| Some(letter.id) == mailbox.open);
    let open = wanted.or(letters.first()).copied();
    let address = safe::address(mailbox.address).unwrap_or("?");
    let entry = |letter: &&Letter<'_>| Entry {
        href: format!("{}#message", safe::with_query(address, "message", letter.id)),
        subject: subject(ctx, letter),
        to: texts::fill(
            ctx.lang,
            if letter.recipient.contains('@') { "mail_to" } else { "mail_text_to" },
            &[("recipient", letter.recipient)],
        ),
        time: moment(ctx.lang, letter.time),
        current: open.is_some_and(|open| open.id == letter.id),
    };
    let title = texts::fill(ctx.lang, "mailbox_title", &[]);
    let view = View {
        title: title.clone(),
        address: address.to_owned(),
        more: mailbox.more,
        list: letters.iter().map(entry).collect(),
        open: open.map(|letter| opened(ctx, letter)),
    };
    render::page(ctx, "mailbox.html", &Frame { title, refused: false, tab: None }, &view)
}

fn opened(ctx: &PageContext, letter: &Letter<'_>) -> Opened {
    Opened {
        subject: subject(ctx, letter),
        recipient: letter.recipient.to_owned(),
        template: letter.template.to_owned(),
        time: moment(ctx.lang, letter.time),
        code: code(letter.text).or_else(|| code(letter.subject)),
        link: link(letter.text),
        text: letter.text.trim().to_owned(),
        frame: letter.html.filter(|html| !html.trim().is_empty()).map(|html| format!("{FRAME_HEAD}{html}")),
    }
}

/// Text messages have none: their first line stands for it.
fn subject(ctx: &PageContext, letter: &Letter<'_>) -> String {
    let lines = std::iter::once(letter.subject).chain(letter.text.lines());
    let first = lines.map(str::trim).find(|line| !line.is_empty()).map(safe::cut);
    first.unwrap_or_else(|| texts::fill(ctx.lang, "mail_no_subject", &[]))
}

/// The first six digits that stand alone, also in two groups of three. Digits within addresses are none.
fn code(text: &str) -> Option<Code> {
    let words: Vec<&str> = text
        .split_whitespace()
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()))
        .filter(|word| !word.is_empty())
        .collect();
    let digits = |word: &str, count: usize| word.len() == count && word.bytes().all(|byte| byte.is_ascii_digit());
    let whole = words.iter().find(|word| digits(word, CODE_DIGITS)).map(|word| (*word).to_owned());
    let half = |pair: &&[&str]| pair.iter().all(|word| digits(word, CODE_DIGITS / 2));
    let raw = whole.or_else(|| words.windows(2).find(half).map(<[&str]>::concat))?;
    let (first, second) = raw.split_at_checked(CODE_DIGITS / 2)?;
    Some(Code { spaced: format!("{first} {second}"), raw })
}

/// The first web address, without the punctuation around it.
fn link(text: &str) -> Option<String> {
    let mut words = text.split_whitespace();
    let found = words.find_map(|word| {
        let start = word.find("https://").or_else(|| word.find("http://"))?;
        Some(word[start..].trim_end_matches(['.', ',', ';', ')', '>', ']', '"', '\'']))
    });
    found.and_then(safe::address).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_links_are_lifted_out_of_the_text() {
        for (text, want_code, want_link) in [
            ("Hello,\n\n481209\n\nIt works once.", Some("481 209"), None),
            ("Your code: 481 209.", Some("481 209"), None),
            ("Code (481209)", Some("481 209"), None),
            (
                "<https://id.example/self-service/verification?code=481209&flow=1>.",
                None,
                Some("https://id.example/self-service/verification?code=481209&flow=1"),
            ),
            ("Call +49 30 123 456 or 12345", Some("123 456"), None),
            ("1234567 and 48120", None, None),
            ("javascript:alert(1) ftp://a", None, None),
            ("", None, None),
        ] {
            assert_eq!(code(text).map(|code| code.spaced).as_deref(), want_code, "{text}");
            assert_eq!(link(text).as_deref(), want_link, "{text}");
        }
    }
}
