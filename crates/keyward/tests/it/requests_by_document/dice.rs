//! Chance with a seed, and the values that somebody sends who means no good.
//! Requests are made from both.
//! Knows no operation.

use keyward_model::Random as _;
use keyward_testkit::SeededRandom;
use serde_json::{Value, json};

/// A source of choices; the same seed makes the same ones.
pub(super) struct Dice(SeededRandom);

impl Dice {
    pub(super) fn new(seed: &str) -> Self {
        Self(SeededRandom::new(seed))
    }

    /// A number below `end`.
    pub(super) fn below(&self, end: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % end.max(1) as u64).unwrap_or_default()
    }

    /// True once in so many times.
    pub(super) fn one_in(&self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of several.
    pub(super) fn one_of<'a, T>(&self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// Texts for any place: paths, parameters, headers and strings of bodies.
pub(super) const TEXTS: &[&str] = &[
    "",
    " ",
    "0",
    "-1",
    "1e9",
    "18446744073709551616",
    "null",
    "true",
    "undefined",
    "*",
    "%",
    "%00",
    "%zz",
    "\u{0}",
    "a\u{0}b",
    "\r\nx: y",
    "\u{1b}[31m",
    "'",
    "' OR 1=1--",
    "\"; DROP TABLE identities; --",
    "%' ESCAPE '",
    "_%_",
    "\\",
    "{}",
    "[]",
    "${jndi:ldap://x}",
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "..\\..",
    "/",
    "//evil.example",
    "https://evil.example/",
    "javascript:alert(1)",
    "\u{202e}abc",
    "\u{feff}",
    "\u{fffd}",
    "\u{10ffff}",
    "e\u{301}\u{301}\u{301}",
    "ﷺ",
    "İ",
    "ß@ß.example",
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "7f0c9a4e3c554d5c9c640a8f6f1b2c3d",
    "{7f0c9a4e-3c55-4d5c-9c64-0a8f6f1b2c3d}",
    "urn:uuid:7f0c9a4e-3c55-4d5c-9c64-0a8f6f1b2c3d",
    "7f0c9a4e-3c55-4d5c-9c64-0a8f6f1b2c3g",
    "7f0c9a4e-3c55-4d5c-9c64-0a8f6f1b2c3d ",
    "2026-01-01T00:00:00Z",
    "9999999-99-99T99:99:99Z",
    "eyJvZmZzZXQiOiItMSIsInYiOjJ9",
    "eyJvZmZzZXQiOiI5OTk5OTk5OTk5OTk5OTk5OTk5OSIsInYiOjJ9",
    "LTkyMjMzNzIwMzY4NTQ3NzU4MDgvMDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAw",
    "ory_st_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "$2a$31$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$aGFzaA",
    "otpauth://totp/x?secret=",
    "aal9",
    "+49",
    "+4917612345678901234567890",
];

/// JSON as nobody's serialiser writes it; a text of a body that is one of the [`MARKS`] turns into its neighbour.
pub(super) const RAW: &[&str] = &[
    "1e400",
    "-0",
    "-1e-400",
    "123456789012345678901234567890",
    "0.1e1000000",
    "01",
    "+1",
    "NaN",
    "Infinity",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "\"\\x\"",
    "\"\u{7f}\"",
    "{\"a\":1,\"a\":2}",
    "[,]",
    "{}{}",
    "tru",
    "'a'",
    "/**/1",
];

/// Stands for a member of [`RAW`] until the body is text.
pub(super) fn mark(number: usize) -> String {
    format!("@raw{number}@")
}

/// Puts raw JSON in place of its marks.
pub(super) fn unmark(mut text: String) -> String {
    if !text.contains("\"@raw") {
        return text;
    }
    for (number, raw) in RAW.iter().enumerate() {
        let mark = format!("\"{}\"", mark(number));
        text = text.replace(&mark, raw);
    }
    text
}

/// Any value, of any type, for a place that wants another one.
pub(super) fn hostile(dice: &Dice) -> Value {
    match dice.below(12) {
        0 => Value::Null,
        1 => json!(dice.one_in(2)),
        2 => json!(*dice.one_of(&[0, 1, -1, i64::MAX, i64::MIN])),
        3 => json!(*dice.one_of(&[0.5, 1e300, -1e-300, f64::MAX])),
        4 => json!(u64::MAX),
        5 => json!([]),
        6 => json!({}),
        7 => json!([null, {}, [[]], "", 1]),
        8 => json!({ "": { "a.b": [1] }, "__proto__": {}, "\u{0}": 1 }),
        9 => nested(dice, *dice.one_of(&[5, 40, 150, 600])),
        10 => json!(mark(dice.below(RAW.len()))),
        _ => json!(text(dice)),
    }
}

fn nested(dice: &Dice, depth: usize) -> Value {
    (0..depth).fold(Value::Null, |inner, _| match dice.below(2) {
        0 => Value::Array(vec![inner]),
        _ => Value::Object([("a".to_owned(), inner)].into_iter().collect()),
    })
}

/// A text that nobody wants, now and then a long one.
pub(super) fn text(dice: &Dice) -> String {
    match dice.below(20) {
        0 => "x".repeat(*dice.one_of(&[300, 5_000])),
        1 => "ä\u{0}".repeat(200),
        // Databases differ most in what they think of this one.
        2 | 3 => (*dice.one_of(&["\u{0}", "a\u{0}b", "ada\u{0}@example.org"])).to_owned(),
        4 => ".".repeat(1_000),
        _ => (*dice.one_of(TEXTS)).to_owned(),
    }
}
