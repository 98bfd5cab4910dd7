//! Identities in files: one object, a list of objects, or an object on every line, read one at a time.
//! Import and validation read them; a file of any size takes the memory of its largest row.
//! Knows JSON and lines, not what an identity is.

use std::cell::Cell;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde::Deserializer as _;
use serde::de::{SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::Failure;

/// The largest row.
const LARGEST_ROW: usize = 4 << 20;

/// A row of a file.
#[derive(Debug)]
pub(crate) struct Row {
    /// The file; empty for the standard input.
    pub(crate) file: PathBuf,
    /// The line on which the row ends, from 1.
    pub(crate) line: u64,
    /// Its JSON, or why it has none.
    pub(crate) json: Result<Box<RawValue>, String>,
}

impl Row {
    /// Where it stands, for messages.
    pub(crate) fn place(&self) -> String {
        if self.file.as_os_str().is_empty() {
            format!("line {}", self.line)
        } else {
            format!("{}, line {}", self.file.display(), self.line)
        }
    }
}

/// Reads the rows of all files, or of the standard input, until `take` does not want any more.
pub(crate) fn read(files: &[PathBuf], mut take: impl FnMut(Row) -> bool) -> Result<(), Failure> {
    let input = [PathBuf::from("-")];
    let files = if files.is_empty() { &input[..] } else { files };
    for file in files {
        let wanted = if file.as_os_str() == "-" {
            read_one(Path::new(""), io::stdin().lock(), &mut take)?
        } else {
            let opened = File::open(file).map_err(|error| Failure::new(&format!("cannot open {}", file.display()), &error))?;
            read_one(file, BufReader::with_capacity(1 << 16, opened), &mut take)?
        };
        if !wanted {
            break;
        }
    }
    Ok(())
}

fn read_one(file: &Path, mut reader: impl BufRead, take: &mut impl FnMut(Row) -> bool) -> Result<bool, Failure> {
    let failed = |error: io::Error| Failure::new(&format!("cannot read {}", shown(file)), &error);
    let mut line = 1;
    loop {
        let buffer = reader.fill_buf().map_err(failed)?;
        match buffer.first() {
            None => return Ok(true),
            Some(byte) if byte.is_ascii_whitespace() => {
                line += u64::from(*byte == b'\n');
                reader.consume(1);
            }
            // A byte order mark, as editors on Windows write it.
            Some(0xef) if buffer.starts_with(&[0xef, 0xbb, 0xbf]) => reader.consume(3),
            Some(b'[') => return read_list(file, line, reader, take),
            Some(_) => return read_lines(file, line, reader, take).map_err(failed),
        }
    }
}

fn shown(file: &Path) -> String {
    if file.as_os_str().is_empty() { "the standard input".to_owned() } else { file.display().to_string() }
}

/// An object on every line. When the first one needs more than a line, objects end where they are complete.
fn read_lines(file: &Path, first: u64, mut reader: impl BufRead, take: &mut impl FnMut(Row) -> bool) -> io::Result<bool> {
    let mut one_each = None;
    let mut text = Vec::new();
    let mut line = first - 1;
    loop {
        let before = text.len();
        let read = (&mut reader).take(LARGEST_ROW as u64 + 1 - before as u64).read_until(b'\n', &mut text)?;
        let ended = read == 0;
        if !ended {
            line += 1;
        }
        if text.len() > LARGEST_ROW {
            skip_line(&mut reader)?;
            text.clear();
            let json = Err(format!("the row is larger than {} MiB", LARGEST_ROW >> 20));
            if !take(Row { file: file.to_owned(), line, json }) {
                return Ok(false);
            }
            continue;
        }
        let is_blank = text.iter().all(u8::is_ascii_whitespace);
        let is_complete = text.trim_ascii_end().ends_with(b"}");
        if !is_blank && (ended || one_each == Some(true) || is_complete || one_each.is_none()) {
            let parsed = serde_json::from_slice::<Box<RawValue>>(&text);
            let unfinished = parsed.as_ref().is_err_and(serde_json::Error::is_eof);
            let one_line = *one_each.get_or_insert(!unfinished);
            if !unfinished || ended || one_line {
                text.clear();
                let json = parsed.map_err(|error| format!("no JSON: {}", category(&error)));
                if !take(Row { file: file.to_owned(), line, json }) {
                    return Ok(false);
                }
            }
        } else if is_blank {
            text.clear();
        }
        if ended {
            return Ok(true);
        }
    }
}

fn skip_line(reader: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        let (used, done) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        reader.consume(used);
        if done {
            return Ok(());
        }
    }
}

/// What is wrong, without quoting the row: it may hold a password.
fn category(error: &serde_json::Error) -> &'static str {
    if error.is_eof() { "it breaks off" } else { "its syntax is wrong" }
}

fn read_list(file: &Path, first: u64, reader: impl BufRead, take: &mut impl FnMut(Row) -> bool) -> Result<bool, Failure> {
    let line = Rc::new(Cell::new(first));
    let counting = Counting { reader, line: Rc::clone(&line) };
    let mut list = serde_json::Deserializer::from_reader(counting);
    let mut wanted = true;
    let outcome = list.deserialize_seq(Rows { file, line: &line, take, wanted: &mut wanted });
    match outcome {
        Ok(()) => Ok(true),
        Err(_) if !wanted => Ok(false),
        Err(error) => {
            let place = format!("{}, line {}", shown(file), line.get());
            Err(Failure::say(format!("{place}: the list is no JSON from here on: {}", category(&error))))
        }
    }
}

/// Counts the lines that went through. The parser reads byte by byte, so the count is where it stands.
struct Counting<R> {
    reader: R,
    line: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(buffer)?;
        let lines = buffer[..length].iter().filter(|byte| **byte == b'\n').count();
        self.line.set(self.line.get() + lines as u64);
        Ok(length)
    }
}

struct Rows<'a, F> {
    file: &'a Path,
    line: &'a Cell<u64>,
    take: &'a mut F,
    wanted: &'a mut bool,
}

impl<'de, F: FnMut(Row) -> bool> Visitor<'de> for Rows<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of identities")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(json) = list.next_element::<Box<RawValue>>()? {
            *self.wanted = (self.take)(Row { file: self.file.to_owned(), line: self.line.get(), json: Ok(json) });
            if !*self.wanted {
                return Err(serde::de::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Result<Vec<(u64, Option<String>)>, String> {
        let mut rows = Vec::new();
        let mut take = |row: Row| {
            rows.push((row.line, row.json.ok().map(|json| json.get().split_whitespace().collect())));
            true
        };
        read_one(Path::new(""), text.as_bytes(), &mut take).map_err(|failure| failure.to_string())?;
        Ok(rows)
    }

    fn row(line: u64, text: &str) -> (u64, Option<String>) {
        (line, Some(text.to_owned()))
    }

    #[test]
    fn one_object_a_list_and_lines_are_all_rows_with_their_lines() {
        for (text, expected) in [
            ("", vec![]),
            ("  \n\n", vec![]),
            ("[]", vec![]),
            (r#"{"a":1}"#, vec![row(1, r#"{"a":1}"#)]),
            ("\u{feff}{\"a\":1}\n", vec![row(1, r#"{"a":1}"#)]),
            ("{\n \"a\": 1\n}\n", vec![row(3, r#"{"a":1}"#)]),
            ("{\n \"a\": {\n\"b\":2\n}}\n{\n\"a\": 2}", vec![row(4, r#"{"a":{"b":2}}"#), row(6, r#"{"a":2}"#)]),
            ("{\"a\":1}\n\n{\"a\":2}\r\n{\"a\":3}", vec![row(1, r#"{"a":1}"#), row(3, r#"{"a":2}"#), row(4, r#"{"a":3}"#)]),
            ("{\"a\":1}\n{\"a\":\n{\"a\":3}\n", vec![row(1, r#"{"a":1}"#), (2, None), row(3, r#"{"a":3}"#)]),
            ("{\"a\":1}\nnonsense\n{\"a\":3}\n", vec![row(1, r#"{"a":1}"#), (2, None), row(3, r#"{"a":3}"#)]),
            (
                "\n[{\"a\":1},\n{\"a\":\n2}\n, {\"a\":3}]\n",
                vec![row(2, r#"{"a":1}"#), row(4, r#"{"a":2}"#), row(5, r#"{"a":3}"#)],
            ),
        ] {
            assert_eq!(rows(text), Ok(expected), "{text:?}");
        }
        let broken = rows("[{\"a\":1},\n{\"a\":]").unwrap_err();
        assert!(broken.contains("line 2"), "{broken}");
    }

    #[test]
    fn a_row_without_end_is_cut_off() {
        let text = format!("{{\"a\":1}}\n{{\"a\":\"{}\"}}\n{{\"a\":3}}\n", "x".repeat(LARGEST_ROW));
        assert_eq!(rows(&text), Ok(vec![row(1, r#"{"a":1}"#), (2, None), row(3, r#"{"a":3}"#)]));
    }
}
