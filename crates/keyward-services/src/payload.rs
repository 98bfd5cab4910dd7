//! A submitted body, decoded but not yet understood: JSON, form fields or query parameters behind the same questions.
//! `http` makes it from bytes it has already limited in size, stories and methods ask it for fields, `schema` for traits.
//! Knows no HTTP and no method; it only keeps what kind of body it was, because typing differs (contract: settings 2.9).

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use keyward_model::{FormErrors, Message};
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

/// How many form fields or query parameters a body may have.
pub const MAX_FIELDS: usize = 1_000;
/// How many objects and arrays may stand inside each other below the body itself.
pub const MAX_NESTING: usize = 16;

/// How a payload was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// A JSON object.
    Json,
    /// Fields of a form, URL-encoded or multipart.
    Form,
    /// Parameters of a query.
    Query,
}

/// Why a body is no payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Not JSON (RFC 8259).
    #[error("the body is not valid JSON")]
    NotJson,
    /// JSON, but no object.
    #[error("the body must be a JSON object")]
    NotAnObject,
    /// The same key twice in one object: two readers could disagree about which one counts.
    #[error("the body has the same key twice in one object")]
    DuplicateKey,
    /// More than [`MAX_NESTING`] levels.
    #[error("the body is nested too deeply")]
    TooDeep,
    /// More than [`MAX_FIELDS`] fields.
    #[error("the body has too many fields")]
    TooManyFields,
    /// A content type that no parser is meant for.
    #[error("the content type is not supported")]
    ContentType,
    /// Not the multipart form (RFC 7578) that its content type announces.
    #[error("the body is not a valid form")]
    NotAForm,
}

impl From<PayloadError> for FormErrors {
    fn from(error: PayloadError) -> Self {
        let sentence = match error {
            PayloadError::NotJson => "What was sent is not valid JSON.",
            PayloadError::NotAnObject => "What was sent must be a JSON object.",
            PayloadError::DuplicateKey => "What was sent has the same key twice in one object.",
            PayloadError::TooDeep => "What was sent is nested too deeply.",
            PayloadError::TooManyFields => "What was sent has too many fields.",
            PayloadError::ContentType => "Send JSON or a form, and name its content type.",
            PayloadError::NotAForm => "What was sent is not a valid form.",
        };
        Self::global(Message::reason(sentence))
    }
}

/// A submitted body. Serialisable, so that a paused submit can be sealed and replayed as it came; its debug print names
/// fields and never values, because they may be passwords.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Payload {
    encoding: Encoding,
    fields: Fields,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Fields {
    Json(Map<String, Value>),
    Pairs(Vec<(String, String)>),
}

/// What stands at the top level under a name.
enum Found<'a> {
    Nothing,
    Text(&'a str),
    Other(&'a Value),
}

impl Payload {
    /// Reads a JSON body. The caller has limited its size.
    ///
    /// # Errors
    /// [`PayloadError`] when it is no JSON object, repeats a key or nests too deeply.
    pub fn from_json(body: &[u8]) -> Result<Self, PayloadError> {
        match read_json(body)? {
            Value::Object(map) => Self { encoding: Encoding::Json, fields: Fields::Json(map) }.check_keys(),
            _ => Err(PayloadError::NotAnObject),
        }
    }

    /// Takes the decoded fields of a form, in order.
    ///
    /// # Errors
    /// [`PayloadError`] when there are too many, or a dotted name nests too deeply.
    pub fn from_form(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, PayloadError> {
        Self::from_pairs(Encoding::Form, pairs)
    }

    /// Takes the decoded parameters of a query, in order.
    ///
    /// # Errors
    /// As [`Payload::from_form`].
    pub fn from_query(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, PayloadError> {
        Self::from_pairs(Encoding::Query, pairs)
    }

    fn from_pairs(encoding: Encoding, pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, PayloadError> {
        let pairs = pairs.into_iter().take(MAX_FIELDS + 1).collect();
        Self { encoding, fields: Fields::Pairs(pairs) }.check_keys()
    }

    fn check_keys(self) -> Result<Self, PayloadError> {
        let deep = |key: &str| key.bytes().filter(|byte| *byte == b'.').count() > MAX_NESTING;
        let too_deep = match &self.fields {
            Fields::Json(map) => map.keys().any(|key| deep(key)),
            Fields::Pairs(pairs) => pairs.iter().any(|(key, _)| deep(key)),
        };
        let fields = match &self.fields {
            Fields::Json(map) => map.len(),
            Fields::Pairs(pairs) => pairs.len(),
        };
        match (too_deep, fields > MAX_FIELDS) {
            (true, _) => Err(PayloadError::TooDeep),
            (false, true) => Err(PayloadError::TooManyFields),
            (false, false) => Ok(self),
        }
    }

    /// How it was written.
    pub const fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Whether it has no field at all.
    pub fn is_empty(&self) -> bool {
        match &self.fields {
            Fields::Json(map) => map.is_empty(),
            Fields::Pairs(pairs) => pairs.is_empty(),
        }
    }

    fn find(&self, name: &str) -> Found<'_> {
        match &self.fields {
            Fields::Json(map) => match map.get(name) {
                None | Some(Value::Null) => Found::Nothing,
                Some(Value::String(text)) if text.is_empty() => Found::Nothing,
                Some(Value::String(text)) => Found::Text(text),
                Some(value) => Found::Other(value),
            },
            Fields::Pairs(pairs) => match pairs.iter().rev().find(|(key, _)| key == name) {
                Some((_, text)) if !text.is_empty() => Found::Text(text),
                _ => Found::Nothing,
            },
        }
    }

    /// A top-level scalar as text, as the contract converts values of buttons and codes: an empty one counts as absent, of
    /// repeated form fields the last one counts, JSON numbers and booleans are written out. Objects and arrays count as absent.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        match self.find(name) {
            Found::Text(text) => Some(Cow::Borrowed(text)),
            Found::Other(value @ (Value::Bool(_) | Value::Number(_))) => Some(Cow::Owned(value.to_string())),
            Found::Other(_) | Found::Nothing => None,
        }
    }

    /// A top-level string that finds an account or proves something (identifier, address, password, code): nothing else is
    /// turned into text, so that no lookup ever sees a list or an object.
    ///
    /// # Errors
    /// 4000026 at the field when JSON holds anything but a string.
    pub fn string(&self, name: &str) -> Result<Option<&str>, FormErrors> {
        match self.find(name) {
            Found::Nothing => Ok(None),
            Found::Text(text) => Ok(Some(text)),
            Found::Other(value) => Err(FormErrors::at(name, wrong_type(&["string"], value))),
        }
    }

    /// A top-level truth value; absent and empty are `None`.
    ///
    /// # Errors
    /// 4000026 at the field when it is neither a truth value nor the text of one.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, FormErrors> {
        match self.find(name) {
            Found::Nothing => Ok(None),
            Found::Other(Value::Bool(value)) => Ok(Some(*value)),
            Found::Text(text) => parse_boolean(text)
                .map(Some)
                .ok_or_else(|| FormErrors::at(name, wrong_type(&["boolean"], &Value::String(String::new())))),
            Found::Other(value) => Err(FormErrors::at(name, wrong_type(&["boolean"], value))),
        }
    }

    /// The anti-forgery token of the form.
    pub fn csrf_token(&self) -> Option<&str> {
        self.plain("csrf_token")
    }

    /// Which method the submit names.
    pub fn method(&self) -> Option<&str> {
        self.plain("method")
    }

    fn plain(&self, name: &str) -> Option<&str> {
        match self.find(name) {
            Found::Text(text) => Some(text),
            Found::Other(_) | Found::Nothing => None,
        }
    }

    /// Whether it carries something that proves an identity. Such a field must not stand in a query, where it would land in
    /// histories and access logs. `code` is not among them: mailed links and provider callbacks carry one.
    pub fn has_credential_field(&self) -> bool {
        let proves = |name: &str| {
            matches!(name, "password" | "totp_code" | "lookup_secret" | "id_token")
                || name.starts_with("webauthn_")
                || name.starts_with("passkey_")
        };
        match &self.fields {
            Fields::Json(map) => map.keys().any(|name| proves(name)),
            Fields::Pairs(pairs) => pairs.iter().any(|(name, _)| proves(name)),
        }
    }

    /// The client's free data for web hooks: a JSON object, dotted fields, or JSON text in a form field.
    ///
    /// # Errors
    /// 4000026 at `transient_payload` when it is no object, 4000001 when it has more than `most` bytes of JSON.
    pub fn transient_payload(&self, most: usize) -> Result<Option<Map<String, Value>>, FormErrors> {
        const NAME: &str = "transient_payload";
        match self.object(NAME)? {
            Some(map) if Value::Object(map.clone()).to_string().len() > most => {
                Err(FormErrors::at(NAME, Message::reason("The additional data is too long.")))
            }
            found => Ok(found),
        }
    }

    /// A top-level object: JSON, dotted fields, or JSON text in a form field.
    ///
    /// # Errors
    /// 4000026 at the field when it is no object.
    pub fn object(&self, name: &'static str) -> Result<Option<Map<String, Value>>, FormErrors> {
        let mut found = match self.find(name) {
            Found::Nothing => None,
            Found::Other(Value::Object(map)) => Some(map.clone()),
            Found::Other(value) => return Err(FormErrors::at(name, wrong_type(&["object"], value))),
            Found::Text(text) => match (self.encoding, read_json(text.as_bytes())) {
                (Encoding::Form | Encoding::Query, Ok(Value::Object(map))) => Some(map),
                _ => return Err(FormErrors::at(name, wrong_type(&["object"], &Value::String(String::new())))),
            },
        };
        for (key, value) in self.dotted(name) {
            let map = found.get_or_insert_with(Map::new);
            let path = split_key(key);
            insert_at(map, &path[1..], value.into_owned());
        }
        Ok(found)
    }

    /// Whether it came as JSON: no page of another site can send that without being asked first (Fetch Standard, CORS preflight).
    pub const fn is_json(&self) -> bool {
        matches!(self.fields, Fields::Json(_))
    }

    /// What stands nested under a top-level key of a JSON body.
    pub(crate) fn nested(&self, name: &str) -> Option<&Value> {
        match &self.fields {
            Fields::Json(map) => map.get(name),
            Fields::Pairs(_) => None,
        }
    }

    /// Top-level fields below a dotted prefix: all form fields in order, or the dotted keys of a JSON body.
    pub(crate) fn dotted(&self, prefix: &str) -> Vec<(&str, Cow<'_, Value>)> {
        let below = |key: &str| key.strip_prefix(prefix).is_some_and(|rest| rest.len() > 1 && rest.starts_with('.'));
        match &self.fields {
            Fields::Json(map) => {
                map.iter().filter(|(key, _)| below(key)).map(|(key, value)| (key.as_str(), Cow::Borrowed(value))).collect()
            }
            Fields::Pairs(pairs) => pairs
                .iter()
                .filter(|(key, _)| below(key))
                .map(|(key, text)| (key.as_str(), Cow::Owned(Value::String(text.clone()))))
                .collect(),
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = match &self.fields {
            Fields::Json(map) => map.keys().map(String::as_str).collect(),
            Fields::Pairs(pairs) => pairs.iter().map(|(key, _)| key.as_str()).collect(),
        };
        write!(f, "Payload({:?} {names:?})", self.encoding)
    }
}

/// The refusal of a value of the wrong type (4000026).
pub(crate) fn wrong_type(allowed: &[&str], actual: &Value) -> Message {
    Message::new(4_000_026, json!({ "allowed_types": allowed, "actual_type": type_name(actual) }))
}

/// What JSON Schema calls the type of a value; whole numbers are numbers, as in the contract.
pub(crate) const fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The truth value that a text stands for: what HTML checkboxes and other clients send.
pub(crate) fn parse_boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "True" | "TRUE" | "on" => Some(true),
        "0" | "f" | "F" | "false" | "False" | "FALSE" | "off" => Some(false),
        _ => None,
    }
}

/// Splits a dotted key; `\.` is a dot inside a part.
pub(crate) fn split_key(key: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = key.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, parts.last_mut()) {
            ('.', _) => parts.push(String::new()),
            ('\\', Some(part)) if characters.peek() == Some(&'.') => {
                characters.next();
                part.push('.');
            }
            (other, Some(part)) => part.push(other),
            (_, None) => {}
        }
    }
    parts
}

/// Puts a value at a path of objects; what is no object on the way is replaced.
fn insert_at(map: &mut Map<String, Value>, path: &[String], value: Value) {
    match path {
        [] => {}
        [last] => {
            map.insert(last.clone(), value);
        }
        [first, rest @ ..] => {
            let slot = map.entry(first.clone()).or_insert_with(|| Value::Object(Map::new()));
            if !slot.is_object() {
                *slot = Value::Object(Map::new());
            }
            if let Value::Object(inner) = slot {
                insert_at(inner, rest, value);
            }
        }
    }
}

fn read_json(body: &[u8]) -> Result<Value, PayloadError> {
    let refusal = Cell::new(PayloadError::NotJson);
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = Strict { depth: 0, refusal: &refusal }.deserialize(&mut deserializer).map_err(|_| refusal.get())?;
    deserializer.end().map_err(|_| PayloadError::NotJson)?;
    Ok(value)
}

/// Builds a [`Value`] and refuses what `serde_json` would silently accept.
#[derive(Clone, Copy)]
struct Strict<'a> {
    depth: usize,
    refusal: &'a Cell<PayloadError>,
}

impl Strict<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth > MAX_NESTING {
            self.refusal.set(PayloadError::TooDeep);
            return Err(E::custom("nested too deeply"));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            if map.contains_key(&key) {
                self.refusal.set(PayloadError::DuplicateKey);
                return Err(A::Error::custom("duplicate key"));
            }
            let value = access.next_value_seed(inner)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(pairs: &[(&str, &str)]) -> Payload {
        Payload::from_form(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))).unwrap()
    }

    fn json(body: &str) -> Payload {
        Payload::from_json(body.as_bytes()).unwrap()
    }

    #[test]
    fn only_an_unambiguous_shallow_object_is_a_payload() {
        let nested = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
        let lists = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        let dotted = format!("{{\"traits{}\":1}}", ".a".repeat(MAX_NESTING + 1));
        for (body, expected) in [
            ("{}", None),
            ("", Some(PayloadError::NotJson)),
            ("{", Some(PayloadError::NotJson)),
            ("{}{}", Some(PayloadError::NotJson)),
            ("{\"a\":1e999}", Some(PayloadError::NotJson)),
            ("[]", Some(PayloadError::NotAnObject)),
            ("\"text\"", Some(PayloadError::NotAnObject)),
            ("null", Some(PayloadError::NotAnObject)),
            ("{\"a\":1,\"a\":2}", Some(PayloadError::DuplicateKey)),
            ("{\"traits\":{\"email\":\"a\",\"\\u0065mail\":\"b\"}}", Some(PayloadError::DuplicateKey)),
            (nested(MAX_NESTING + 1).as_str(), None),
            (nested(MAX_NESTING + 2).as_str(), Some(PayloadError::TooDeep)),
            (lists.as_str(), Some(PayloadError::TooDeep)),
            (dotted.as_str(), Some(PayloadError::TooDeep)),
        ] {
            assert_eq!(Payload::from_json(body.as_bytes()).err(), expected, "{body:.80}");
        }
        let many = (0..100_000).map(|number| (format!("traits.{number}"), String::new()));
        assert_eq!(Payload::from_form(many).err(), Some(PayloadError::TooManyFields));
        assert_eq!(Payload::from_form([(".".repeat(10_000), String::new())]).err(), Some(PayloadError::TooDeep));
    }

    #[test]
    fn fields_are_read_as_the_contract_converts_them() {
        let cases = [
            (json(r#"{"a":"x"}"#), Some("x")),
            (json(r#"{"a":""}"#), None),
            (json(r#"{"a":null}"#), None),
            (json(r#"{"a":true}"#), Some("true")),
            (json(r#"{"a":123456}"#), Some("123456")),
            (json(r#"{"a":["x"]}"#), None),
            (form(&[("a", "x"), ("a", "y")]), Some("y")),
            (form(&[("a", "x"), ("a", "")]), None),
            (form(&[]), None),
        ];
        for (payload, expected) in cases {
            assert_eq!(payload.text("a").as_deref(), expected, "{payload:?}");
        }
    }

    #[test]
    fn identifiers_and_secrets_of_another_type_are_refused_before_any_lookup() {
        for (value, actual) in [("1", "number"), ("true", "boolean"), ("[\"a\",\"b\"]", "array"), ("{\"$ne\":1}", "object")] {
            let errors = json(&format!("{{\"password\":{value}}}")).string("password").unwrap_err();
            assert_eq!(errors.0[0].node.as_deref(), Some("password"));
            assert_eq!((errors.0[0].message.id, &errors.0[0].message.context["actual_type"]), (4_000_026, &json!(actual)));
        }
        assert_eq!(json(r#"{"password":"x"}"#).string("password"), Ok(Some("x")));
        assert_eq!(form(&[("password", "")]).string("password"), Ok(None));
    }

    #[test]
    fn truth_values_are_read_from_both_bodies() {
        for (payload, expected) in [
            (json(r#"{"a":true}"#), Ok(Some(true))),
            (json(r#"{"a":"true"}"#), Ok(Some(true))),
            (json(r#"{"a":"false"}"#), Ok(Some(false))),
            (json(r#"{"a":""}"#), Ok(None)),
            (json(r#"{"a":1}"#), Err(())),
            (json(r#"{"a":"zzz"}"#), Err(())),
            (form(&[("a", "false"), ("a", "on")]), Ok(Some(true))),
            (form(&[("a", "maybe")]), Err(())),
        ] {
            assert_eq!(payload.boolean("a").map_err(|_| ()), expected, "{payload:?}");
        }
    }

    #[test]
    fn additional_data_is_an_object_of_bounded_size() {
        let object = |value: Value| value.as_object().cloned();
        for (payload, expected) in [
            (json(r#"{"transient_payload":{"a":{"b":1}}}"#), Ok(object(json!({"a": {"b": 1}})))),
            (json(r#"{"transient_payload":{"a":1},"transient_payload.b.c":2}"#), Ok(object(json!({"a": 1, "b": {"c": 2}})))),
            (form(&[("transient_payload", "{\"a\":1}")]), Ok(object(json!({"a": 1})))),
            (
                form(&[("transient_payload.a.b", "1"), ("transient_payload.a.c", "2")]),
                Ok(object(json!({"a": {"b": "1", "c": "2"}}))),
            ),
            (json("{}"), Ok(None)),
            (json(r#"{"transient_payload":[1]}"#), Err(4_000_026)),
            (json(r#"{"transient_payload":"{}"}"#), Err(4_000_026)),
            (form(&[("transient_payload", "nope")]), Err(4_000_026)),
            (json(&format!("{{\"transient_payload\":{{\"a\":\"{}\"}}}}", "x".repeat(9_000))), Err(4_000_001)),
        ] {
            assert_eq!(payload.transient_payload(8 * 1_024).map_err(|errors| errors.0[0].message.id), expected, "{payload:?}");
        }
    }

    #[test]
    fn a_replayed_payload_is_the_same_payload_and_never_prints_values() {
        for payload in [json(r#"{"password":"hunter2","traits":{"n":1.5}}"#), form(&[("password", "hunter2"), ("a", "b")])] {
            let stored = serde_json::to_string(&payload).unwrap();
            assert_eq!(serde_json::from_str::<Payload>(&stored).unwrap(), payload);
            assert!(!format!("{payload:?}").contains("hunter2"));
            assert!(payload.has_credential_field());
        }
        assert!(!form(&[("method", "profile"), ("lookup_secret_reveal", "true")]).has_credential_field());
        assert!(form(&[("passkey_login", "{}")]).has_credential_field());
    }
}
