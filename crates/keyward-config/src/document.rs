//! Turns the text of one configuration file into a tree in which every value knows its file and line.
//! The loader calls it once per file and merges the trees; errors later point at the line that was kept here.
//! Knows YAML and JSON, but no configuration key.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::report::{Place, Problem};

/// A value and where it was written; for an entry of an object that is the line of its key.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) value: Shape,
    pub(crate) at: Place,
}

#[derive(Clone)]
pub(crate) enum Shape {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    pub(crate) fn empty() -> Self {
        Self { value: Shape::Map(Vec::new()), at: Place::Nowhere }
    }

    /// The value at a dotted path of object keys; empty values count as absent.
    pub(crate) fn find(&self, path: &str) -> Option<&Self> {
        let mut node = self;
        for segment in path.split('.') {
            node = node.get(segment)?;
        }
        (!matches!(node.value, Shape::Null)).then_some(node)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Shape::Map(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, node)| node),
            _ => None,
        }
    }

    pub(crate) fn items(&self) -> &[Self] {
        match &self.value {
            Shape::List(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn entries(&self) -> &[(String, Self)] {
        match &self.value {
            Shape::Map(entries) => entries,
            _ => &[],
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Shape::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_bool(&self) -> Option<bool> {
        match self.value {
            Shape::Bool(value) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn as_int(&self) -> Option<i64> {
        match self.value {
            Shape::Int(value) => Some(value),
            _ => None,
        }
    }

    /// Objects are merged key by key, everything else is replaced; an empty value replaces nothing.
    pub(crate) fn merge(&mut self, over: Self) {
        match (&mut self.value, over.value) {
            (_, Shape::Null) => {}
            (Shape::Map(mine), Shape::Map(theirs)) => {
                for (key, node) in theirs {
                    match mine.iter_mut().find(|(name, _)| *name == key) {
                        Some((_, existing)) => existing.merge(node),
                        None => mine.push((key, node)),
                    }
                }
            }
            (mine, value) => {
                *mine = value;
                self.at = over.at;
            }
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        match &self.value {
            Shape::Null => Value::Null,
            Shape::Bool(value) => Value::Bool(*value),
            Shape::Int(value) => Value::from(*value),
            Shape::Float(value) => Value::from(*value),
            Shape::Text(text) => Value::String(text.clone()),
            Shape::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            Shape::Map(entries) => Value::Object(entries.iter().map(|(key, node)| (key.clone(), node.to_json())).collect()),
        }
    }

    /// A tree whose every value comes from one place, for values of environment variables.
    pub(crate) fn from_json(value: Value, at: &Place) -> Self {
        let value = match value {
            Value::Null => Shape::Null,
            Value::Bool(value) => Shape::Bool(value),
            Value::Number(number) => number_shape(&number),
            Value::String(text) => Shape::Text(text),
            Value::Array(items) => Shape::List(items.into_iter().map(|item| Self::from_json(item, at)).collect()),
            Value::Object(entries) => {
                Shape::Map(entries.into_iter().map(|(key, value)| (key, Self::from_json(value, at))).collect())
            }
        };
        Self { value, at: at.clone() }
    }

    /// What a message calls this value: its type, never its content.
    pub(crate) fn kind_name(&self) -> &'static str {
        match self.value {
            Shape::Null => "nothing",
            Shape::Bool(_) => "true or false",
            Shape::Int(_) => "a whole number",
            Shape::Float(_) => "a number with a fraction",
            Shape::Text(_) => "text",
            Shape::List(_) => "a list",
            Shape::Map(_) => "an object",
        }
    }
}

fn number_shape(number: &serde_json::Number) -> Shape {
    number.as_i64().map_or_else(|| Shape::Float(number.as_f64().unwrap_or(f64::MAX)), Shape::Int)
}

/// Reads one file; the ending of its name decides the language, YAML when there is none.
pub(crate) fn parse(name: &str, text: &str) -> Result<Node, Problem> {
    let file: Arc<str> = Arc::from(name);
    let refuse = |line: u64, message: String| Problem::new(Place::File { name: Arc::clone(&file), line }, "", message);
    let extension =
        name.rsplit(['/', '\\']).next().and_then(|base| base.rsplit_once('.')).map(|(_, end)| end.to_ascii_lowercase());
    let node = match extension.as_deref() {
        Some("json") => parse_json(&file, text).map_err(|(line, message)| refuse(line, message))?,
        Some("toml") => {
            return Err(refuse(1, "TOML files are not supported; write the same keys as YAML or JSON".to_owned()));
        }
        _ => parse_yaml(&file, text).map_err(|(line, message)| refuse(line, message))?,
    };
    match node.value {
        Shape::Map(_) => Ok(node),
        Shape::Null => Ok(Node::empty()),
        _ => Err(refuse(1, format!("a configuration file is an object of keys, this one is {}", node.kind_name()))),
    }
}

type Refusal = (u64, String);

fn parse_yaml(file: &Arc<str>, text: &str) -> Result<Node, Refusal> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Node::empty());
    }
    let options = serde_saphyr::options! {
        strict_booleans: true,
        legacy_octal_numbers: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::Error,
    };
    let parsed: Spanned<Yaml> = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().map_or(1, |location| location.line().max(1));
        (line, format!("this is not valid YAML: {}", error.without_snippet()))
    })?;
    let line = parsed.defined.line();
    Ok(place_yaml(parsed.value, &Place::File { name: Arc::clone(file), line }, file))
}

/// YAML as serde hands it over, with the line of every key and every list item.
enum Yaml {
    Leaf(Shape),
    List(Vec<Spanned<Yaml>>),
    Map(Vec<(Spanned<String>, Yaml)>),
}

fn place_yaml(yaml: Yaml, at: &Place, file: &Arc<str>) -> Node {
    let place = |line: u64| Place::File { name: Arc::clone(file), line };
    let value = match yaml {
        Yaml::Leaf(shape) => shape,
        Yaml::List(items) => {
            Shape::List(items.into_iter().map(|item| place_yaml(item.value, &place(item.defined.line()), file)).collect())
        }
        Yaml::Map(entries) => Shape::Map(
            entries
                .into_iter()
                .map(|(key, value)| {
                    let node = place_yaml(value, &place(key.defined.line()), file);
                    (key.value, node)
                })
                .collect(),
        ),
    };
    Node { value, at: at.clone() }
}

impl<'de> Deserialize<'de> for Yaml {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(YamlVisitor)
    }
}

struct YamlVisitor;

impl<'de> Visitor<'de> for YamlVisitor {
    type Value = Yaml;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a configuration value")
    }

    fn visit_unit<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Leaf(Shape::Null))
    }

    fn visit_none<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Leaf(Shape::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Yaml, D::Error> {
        Yaml::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Yaml, E> {
        Ok(Yaml::Leaf(Shape::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Yaml, E> {
        Ok(Yaml::Leaf(Shape::Int(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Yaml, E> {
        // Beyond i64 only the magnitude matters: every numeric key refuses it by its bounds.
        Ok(Yaml::Leaf(i64::try_from(value).map_or(Shape::Float(f64::MAX), Shape::Int)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Yaml, E> {
        Ok(Yaml::Leaf(Shape::Float(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Yaml, E> {
        Ok(Yaml::Leaf(Shape::Text(value.to_owned())))
    }

    fn visit_string<E>(self, value: String) -> Result<Yaml, E> {
        Ok(Yaml::Leaf(Shape::Text(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Yaml, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Yaml::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Yaml, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key()? {
            entries.push((key, map.next_value()?));
        }
        Ok(Yaml::Map(entries))
    }
}

fn parse_json(file: &Arc<str>, text: &str) -> Result<Node, Refusal> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Ok(Node::empty());
    }
    // serde_json judges the syntax (and bounds the nesting); the scan below only has to follow valid text.
    serde_json::from_str::<serde::de::IgnoredAny>(text)
        .map_err(|error| (error.line() as u64, format!("this is not valid JSON: {error}")))?;
    let mut scan = JsonScan { text, position: 0, line: 1, file };
    scan.value(None)
}

/// Walks JSON that is known to be valid and remembers lines, which serde_json does not.
struct JsonScan<'a> {
    text: &'a str,
    position: usize,
    line: u64,
    file: &'a Arc<str>,
}

impl JsonScan<'_> {
    fn value(&mut self, at: Option<Place>) -> Result<Node, Refusal> {
        self.skip_space();
        let at = at.unwrap_or_else(|| self.place());
        let value = match self.peek() {
            Some(b'{') => {
                let mut entries: Vec<(String, Node)> = Vec::new();
                self.position += 1;
                while self.more(b'}') {
                    let place = self.place();
                    let key = self.string()?;
                    if entries.iter().any(|(known, _)| *known == key) {
                        return Err((self.line, format!("the key \"{key}\" is written twice in the same object")));
                    }
                    self.skip_space();
                    self.position += 1;
                    entries.push((key, self.value(Some(place))?));
                }
                Shape::Map(entries)
            }
            Some(b'[') => {
                let mut items = Vec::new();
                self.position += 1;
                while self.more(b']') {
                    items.push(self.value(None)?);
                }
                Shape::List(items)
            }
            Some(b'"') => Shape::Text(self.string()?),
            _ => {
                let rest = self.text.get(self.position..).unwrap_or_default();
                let end = rest.find([',', '}', ']', ' ', '\n', '\r', '\t']).unwrap_or(rest.len());
                self.position += end;
                match serde_json::from_str::<Value>(&rest[..end]) {
                    Ok(Value::Null) => Shape::Null,
                    Ok(Value::Bool(value)) => Shape::Bool(value),
                    Ok(Value::Number(number)) => number_shape(&number),
                    _ => return Err((self.line, "this is not valid JSON".to_owned())),
                }
            }
        };
        Ok(Node { value, at })
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    fn place(&self) -> Place {
        Place::File { name: Arc::clone(self.file), line: self.line }
    }

    fn skip_space(&mut self) {
        while let Some(byte @ (b' ' | b'\n' | b'\r' | b'\t')) = self.peek() {
            self.line += u64::from(byte == b'\n');
            self.position += 1;
        }
    }

    /// Moves to the next element, or past the closing bracket and says that there is none.
    fn more(&mut self, close: u8) -> bool {
        self.skip_space();
        if self.peek() == Some(b',') {
            self.position += 1;
            self.skip_space();
        }
        match self.peek() {
            Some(byte) if byte != close => true,
            _ => {
                self.position += 1;
                false
            }
        }
    }

    fn string(&mut self) -> Result<String, Refusal> {
        let start = self.position;
        let mut end = start + 1;
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(end) {
            match byte {
                b'\\' => end += 2,
                b'"' => break,
                _ => end += 1,
            }
        }
        self.position = end + 1;
        self.text
            .get(start..=end)
            .and_then(|quoted| serde_json::from_str(quoted).ok())
            .ok_or_else(|| (self.line, "this is not valid JSON".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(node: &Node, path: &str) -> u64 {
        match node.find(path).map(|found| &found.at) {
            Some(Place::File { line, .. }) => *line,
            _ => 0,
        }
    }

    #[test]
    fn yaml_keeps_lines_and_strict_booleans() {
        let text =
            "# top\nlog:\n  level: yes\nbase: &b\n  port: 1\n  on: true\nserve:\n  <<: *b\n  port: 2\nlist:\n  - a\n  - b: ~\n";
        let node = parse("a.yml", text).unwrap_or_else(|problem| panic!("{problem}"));
        assert_eq!(node.find("log.level").and_then(Node::as_text), Some("yes"));
        assert_eq!(node.find("serve.port").and_then(Node::as_int), Some(2));
        assert_eq!(node.find("serve.on").and_then(Node::as_bool), Some(true));
        assert_eq!((line(&node, "log.level"), line(&node, "serve.port"), line(&node, "serve")), (3, 9, 7));
        let items = node.find("list").map(Node::items).unwrap_or_default();
        assert_eq!(items[1].at.to_string(), "a.yml:12");
        assert!(node.find("list").is_some() && items[1].find("b").is_none());
    }

    #[test]
    fn json_keeps_lines_and_reads_what_yaml_cannot() {
        let text = "{\n\t\"a\": {\"b\": [1, -2.5, \"\\ud83d\\ude00\\/\"],\n\"c\": null},\n \"d\": true\n}";
        let node = parse("a.json", text).unwrap_or_else(|problem| panic!("{problem}"));
        assert_eq!(node.find("a.b").map(|list| list.items()[2].as_text()), Some(Some("😀/")));
        assert_eq!((line(&node, "a.b"), line(&node, "d")), (2, 4));
        assert_eq!(node.to_json(), serde_json::json!({"a": {"b": [1, -2.5, "😀/"], "c": null}, "d": true}));
    }

    #[test]
    fn broken_files_are_refused_with_their_line() {
        for (name, text, expected) in [
            ("a.yml", "a: 1\nb: 2\na: 3\n", "a.yml:3"),
            ("a.yml", "a:\n  - b\n c: [\n", "a.yml:3"),
            ("a.json", "{\n\"a\": 1,\n\"a\": 2}", "a.json:3"),
            ("a.json", "{\n\"a\": }", "a.json:2"),
            ("a.toml", "a = 1", "a.toml:1"),
            ("a.yml", "- a\n", "a.yml:1"),
        ] {
            let problem = parse(name, text).err().map(|problem| problem.to_string()).unwrap_or_default();
            assert!(problem.starts_with(expected), "{name} {text:?}: {problem}");
        }
    }

    #[test]
    fn the_text_around_a_mistake_is_not_shown() {
        let problem =
            parse("a.yml", "secrets:\n  cookie: hunter2\n  cookie: [\n").err().map(|p| p.to_string()).unwrap_or_default();
        assert!(!problem.is_empty() && !problem.contains("hunter2"), "{problem}");
    }
}
