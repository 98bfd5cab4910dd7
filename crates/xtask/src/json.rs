//! Reads JSON, as far as the walk of `readme` needs it: parse a text, look up a member by path.
//! Here because chores use the standard library only.
//! It is no library: numbers stay text, and it writes nothing but strings.

/// A parsed value. Numbers keep their spelling.
#[derive(Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// The whole of `text`, or `None` when it is not JSON.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader { rest: text };
        let value = reader.value(0)?;
        reader.space();
        reader.rest.is_empty().then_some(value)
    }

    /// The member at a path of names, such as `["ui", "action"]`.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |value, name| match value {
            Self::Object(members) => members.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        })
    }

    pub(crate) fn text_at(&self, path: &[&str]) -> Option<&str> {
        match self.at(path)? {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// A JSON string with its quotation marks.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control < ' ' => quoted.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

const DEEPEST: usize = 64;

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn take(&mut self, word: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(word)?;
        Some(())
    }

    fn value(&mut self, depth: usize) -> Option<Json> {
        if depth > DEEPEST {
            return None;
        }
        self.space();
        match self.rest.chars().next()? {
            'n' => self.take("null").map(|()| Json::Null),
            't' => self.take("true").map(|()| Json::Bool(true)),
            'f' => self.take("false").map(|()| Json::Bool(false)),
            '"' => self.text().map(Json::Text),
            '[' => self.list(depth),
            '{' => self.object(depth),
            _ => self.number(),
        }
    }

    fn list(&mut self, depth: usize) -> Option<Json> {
        self.take("[")?;
        let mut values = Vec::new();
        self.space();
        if self.take("]").is_some() {
            return Some(Json::List(values));
        }
        loop {
            values.push(self.value(depth + 1)?);
            self.space();
            if self.take("]").is_some() {
                return Some(Json::List(values));
            }
            self.take(",")?;
        }
    }

    fn object(&mut self, depth: usize) -> Option<Json> {
        self.take("{")?;
        let mut members = Vec::new();
        self.space();
        if self.take("}").is_some() {
            return Some(Json::Object(members));
        }
        loop {
            self.space();
            let name = self.text()?;
            self.space();
            self.take(":")?;
            members.push((name, self.value(depth + 1)?));
            self.space();
            if self.take("}").is_some() {
                return Some(Json::Object(members));
            }
            self.take(",")?;
        }
    }

    fn number(&mut self) -> Option<Json> {
        let length = self.rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')).unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at(length);
        number.parse::<f64>().ok()?;
        self.rest = rest;
        Some(Json::Number(number.to_owned()))
    }

    fn text(&mut self) -> Option<String> {
        self.take("\"")?;
        let mut text = String::new();
        loop {
            let end = self.rest.find(['"', '\\'])?;
            text.push_str(&self.rest[..end]);
            let escaped = self.rest[end..].starts_with('\\');
            self.rest = &self.rest[end + 1..];
            if !escaped {
                return Some(text);
            }
            text.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Option<char> {
        let kind = self.rest.chars().next()?;
        self.rest = &self.rest[kind.len_utf8()..];
        match kind {
            'n' => Some('\n'),
            't' => Some('\t'),
            'r' => Some('\r'),
            'b' => Some('\u{8}'),
            'f' => Some('\u{c}'),
            '"' | '\\' | '/' => Some(kind),
            'u' => {
                let high = self.code_unit()?;
                if !(0xd800..0xdc00).contains(&high) {
                    return char::from_u32(high);
                }
                self.take("\\u")?;
                let low = self.code_unit()?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                char::from_u32(0x10000 + ((high - 0xd800) << 10) + low)
            }
            _ => None,
        }
    }

    fn code_unit(&mut self) -> Option<u32> {
        let digits = self.rest.get(..4)?;
        let unit = u32::from_str_radix(digits, 16).ok()?;
        self.rest = &self.rest[4..];
        Some(unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_by_path() {
        let flow =
            Json::parse(r#" {"ui": {"action": "http:\/\/a\u00e9\ud83d\ude00", "nodes": [1, -2.5e3, true, null, {}]}} "#).unwrap();
        assert_eq!(flow.text_at(&["ui", "action"]), Some("http://aé😀"));
        assert_eq!(flow.at(&["ui", "missing"]), None);
        assert_eq!(flow.text_at(&["ui", "nodes"]), None);
        assert!(matches!(flow.at(&["ui", "nodes"]), Some(Json::List(nodes)) if nodes.len() == 5));
    }

    #[test]
    fn what_is_not_json() {
        for text in ["", "{", "[1,]", "{\"a\" 1}", "nul", "\"a", "1 2", "\"\\ud800\"", "\"\\x\"", &"[".repeat(100)] {
            assert_eq!(Json::parse(text), None, "{text}");
        }
    }

    #[test]
    fn quoting_round_trips() {
        let text = "a\"b\\c\n\u{1}é";
        assert_eq!(Json::parse(&quoted(text)), Some(Json::Text(text.to_owned())));
    }
}
