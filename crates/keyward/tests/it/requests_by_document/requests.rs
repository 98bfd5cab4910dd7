//! Requests for the operations of the document: fitting ones first, then spoilt in one place or several.
//! The schemas say what fits; what they cannot say (passwords, ids that exist) a [`World`] knows.
//! Sends nothing.

use std::fmt::Write as _;

use keyward_testkit::PASSWORD;
use serde_json::{Map, Value, json};

use super::dice::{Dice, RAW, hostile, text, unmark};
use super::wire::Request;

/// One operation of the document.
pub(super) struct Operation {
    pub(super) name: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) document: Value,
}

impl Operation {
    /// Whether it is the admin port's.
    pub(super) fn is_admin(&self) -> bool {
        self.path.starts_with("/admin/")
    }
}

/// All operations of a document.
pub(super) fn operations(document: &Value) -> Vec<Operation> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| item.as_object().unwrap().iter().map(move |(method, operation)| (path, method, operation)))
        .map(|(path, method, operation)| Operation {
            name: operation["operationId"].as_str().unwrap().to_owned(),
            method: method.to_uppercase(),
            path: path.clone(),
            document: operation.clone(),
        })
        .collect()
}

/// Somebody whose credentials go along.
pub(super) struct Person {
    /// Name and value of the headers that sign them in.
    pub(super) headers: Vec<(String, String)>,
    /// Their flows: kind, id, CSRF token.
    pub(super) flows: Vec<(&'static str, String, String)>,
}

/// What exists on the server at the moment.
pub(super) struct World {
    pub(super) people: Vec<Person>,
    pub(super) identities: Vec<String>,
    pub(super) sessions: Vec<String>,
    pub(super) tokens: Vec<String>,
    pub(super) email: String,
    pub(super) external_id: String,
    /// A message in the outbox.
    pub(super) message: String,
    /// What signs the browser out.
    pub(super) logout: Value,
}

/// Makes requests, one after the other.
pub(super) struct Maker<'a> {
    pub(super) dice: &'a Dice,
    pub(super) document: &'a Value,
    pub(super) world: &'a World,
}

impl Maker<'_> {
    /// A request for an operation.
    pub(super) fn request(&self, number: usize, operation: &Operation) -> Request {
        let dice = self.dice;
        let person = self.person(operation);
        // A third of all requests is left as it is, so that the others have something to meet.
        let spoil = !dice.one_in(3);
        let mut path = operation.path.clone();
        let mut query = Vec::new();
        let mut headers = vec![("host".to_owned(), b"id.example".to_vec())];
        for parameter in operation.document["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap();
            let spoilt = spoil && dice.one_in(3);
            match parameter["in"].as_str() {
                Some("path") => {
                    let value =
                        if spoilt { text(dice) } else { self.fitting_text(name, &parameter["schema"], operation, person) };
                    path = path.replace(&format!("{{{name}}}"), &segment(&value));
                }
                Some("query") if parameter["required"] == true || dice.one_in(if spoil { 2 } else { 3 }) => {
                    for _ in 0..if spoil && dice.one_in(20) { 600 } else { 1 } {
                        let value =
                            if spoilt { text(dice) } else { self.fitting_text(name, &parameter["schema"], operation, person) };
                        query.push(format!("{name}={}", encoded(&value)));
                    }
                }
                _ => {}
            }
        }
        let json = dice.below(4) > 0;
        headers.push(("accept".to_owned(), if json { "application/json" } else { "text/html,*/*;q=0.8" }.into()));
        if !operation.is_admin() && !dice.one_in(8) {
            headers.extend(person.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())));
        }
        let body = match operation.document.get("requestBody") {
            Some(wanted) => {
                let (kind, body) = self.body(wanted, person, spoil);
                headers.extend(kind.map(|kind| ("content-type".to_owned(), kind.into_bytes())));
                body
            }
            // Nobody asked for one.
            None if spoil && dice.one_in(10) => b"{\"a\":".to_vec(),
            None => Vec::new(),
        };
        if spoil {
            self.spoil_query(&mut query);
            self.spoil_headers(&mut headers);
        }
        let mark = if query.is_empty() { "" } else { "?" };
        let target = format!("{path}{mark}{}", query.join("&"));
        Request { operation: number, method: operation.method.clone(), target, headers, body }
    }

    /// Mostly somebody who has a flow of the kind that is asked for.
    fn person(&self, operation: &Operation) -> &Person {
        let kind = operation.path.strip_prefix("/self-service/").and_then(|rest| rest.split('/').next());
        let fits = |person: &&Person| person.flows.iter().any(|(found, ..)| kind == Some(*found));
        let people: Vec<&Person> = self.world.people.iter().filter(|person| self.dice.one_in(4) || fits(person)).collect();
        people.get(self.dice.below(people.len())).copied().unwrap_or_else(|| self.dice.one_of(&self.world.people))
    }

    fn spoil_query(&self, query: &mut Vec<String>) {
        const GARBAGE: &[&str] =
            &["%", "%zz=%zz", "=", "&&&", "a", "%ff=%fe", "password=x", "csrf_token=x", "id=1", "x[]=1", "?", "%00=%00"];
        if self.dice.one_in(4) {
            query.push((*self.dice.one_of(GARBAGE)).to_owned());
        }
        if self.dice.one_in(8)
            && let Some(first) = query.first().cloned()
        {
            query.push(first);
        }
    }

    fn spoil_headers(&self, headers: &mut Vec<(String, Vec<u8>)>) {
        const NAMES: &[&str] = &[
            "accept",
            "accept-language",
            "authorization",
            "content-encoding",
            "content-type",
            "cookie",
            "forwarded",
            "if-match",
            "origin",
            "range",
            "referer",
            "sec-fetch-mode",
            "sec-fetch-site",
            "true-client-ip",
            "user-agent",
            "x-csrf-token",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-http-method-override",
            "x-request-id",
            "x-session-token",
        ];
        const VALUES: &[&[u8]] = &[
            b"",
            b"\xff\xfe",
            b"\xc3\x28",
            b"application/json;q=0",
            b"text/html;q=x,,*/*;q=-1",
            b"Bearer ory_st_x",
            b"Bearer",
            b"a=b=c;;=;d",
            b"ory_kratos_session=; ory_kratos_session=x",
            b"csrf_token_x=%00",
            b"for=\"[::1",
            b"http://[",
            b"https://evil.example",
            b"cross-site",
            b"1e999",
            b"gzip",
            b"multipart/form-data; boundary=",
            b"de-DE-x-y;q=9,*",
            b"DELETE",
        ];
        for _ in 0..self.dice.below(3) {
            let name = *self.dice.one_of(NAMES);
            if self.dice.one_in(2) {
                headers.retain(|(found, _)| found != name);
            }
            headers.push((name.to_owned(), self.dice.one_of(VALUES).to_vec()));
        }
    }

    fn body(&self, wanted: &Value, person: &Person, spoil: bool) -> (Option<String>, Vec<u8>) {
        let dice = self.dice;
        let kinds: Vec<_> = wanted["content"].as_object().unwrap().iter().collect();
        let (kind, media) = dice.one_of(&kinds);
        let mut kind = (*kind).clone();
        let mut value = self.fitting("", &media["schema"], person, 0);
        if spoil {
            for _ in 0..dice.below(4) {
                spoil_value(dice, &mut value, 0);
            }
        }
        let mut bytes = if kind.contains("form") { form(&value).into_bytes() } else { unmark(value.to_string()).into_bytes() };
        if spoil {
            spoil_bytes(dice, &mut bytes);
            const KINDS: &[&str] = &[
                "application/json; charset=utf-8",
                "application/json;charset=utf-16",
                "application/JSON",
                "application/x-www-form-urlencoded",
                "multipart/form-data; boundary=x",
                "text/plain",
                "application/xml",
                "application",
                ";",
            ];
            match dice.below(12) {
                0 => return (None, bytes),
                1 => kind = (*dice.one_of(KINDS)).to_owned(),
                _ => {}
            }
        }
        (Some(kind), bytes)
    }

    fn fitting_text(&self, name: &str, schema: &Value, operation: &Operation, person: &Person) -> String {
        let of_session = operation.path.contains("sessions/{id}");
        match (name, schema["format"].as_str()) {
            ("flow", _) | ("id", Some("uuid")) if operation.path.starts_with("/self-service/") => {
                let kind = operation.path.split('/').nth(2).unwrap_or_default();
                let flow = person.flows.iter().find(|(found, ..)| *found == kind);
                flow.map_or_else(String::new, |(_, id, _)| id.clone())
            }
            ("id", Some("uuid")) if operation.path.starts_with("/admin/courier/") => self.world.message.clone(),
            ("id", Some("uuid")) if of_session => self.dice.one_of(&self.world.sessions).clone(),
            ("id", None) => (*self.dice.one_of(&["person", "company", "cGVyc29u", "stub:500"])).to_owned(),
            _ => match self.fitting(name, schema, person, 0) {
                Value::String(text) => text,
                Value::Array(items) => items.first().and_then(Value::as_str).unwrap_or_default().to_owned(),
                other => other.to_string(),
            },
        }
    }

    /// A value that a schema describes and that means something here.
    fn fitting(&self, name: &str, schema: &Value, person: &Person, depth: usize) -> Value {
        let dice = self.dice;
        if let Some(known) = self.known(name, person) {
            return known;
        }
        if let Some(target) = schema["$ref"].as_str() {
            let target = self.document.pointer(&target[1..]).unwrap();
            return self.fitting(name, target, person, depth + 1);
        }
        if let Some(mapping) = schema["discriminator"]["mapping"].as_object() {
            let choices: Vec<_> = mapping.iter().collect();
            let (word, target) = dice.one_of(&choices);
            let mut value = self.fitting(name, &json!({ "$ref": target }), person, depth + 1);
            value[schema["discriminator"]["propertyName"].as_str().unwrap()] = json!(word);
            return value;
        }
        if let Some(choices) = schema["oneOf"].as_array() {
            return self.fitting(name, &choices[0], person, depth + 1);
        }
        if let Some(words) = schema["enum"].as_array() {
            return dice.one_of(words).clone();
        }
        let kind = schema["type"].as_array().and_then(|kinds| kinds.first()).unwrap_or(&schema["type"]);
        match (kind.as_str(), schema["format"].as_str()) {
            (Some("object"), _) => {
                let mut members = Map::new();
                let required = schema["required"].as_array();
                for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
                    let required = required.is_some_and(|names| names.iter().any(|required| required == name));
                    if required || (depth < 8 && dice.one_in(5)) {
                        members.insert(name.clone(), self.fitting(name, schema, person, depth + 1));
                    }
                }
                Value::Object(members)
            }
            (Some("array"), _) => (0..dice.below(3)).map(|_| self.fitting(name, &schema["items"], person, depth + 1)).collect(),
            (Some("boolean"), _) => json!(dice.one_in(2)),
            (Some("integer" | "number"), _) => json!(dice.below(5)),
            (Some("string"), Some("uuid")) => json!(dice.one_of(&self.world.identities)),
            (Some("string"), Some("date-time")) => json!("2026-01-01T00:00:00Z"),
            (Some("string"), _) => json!("x"),
            _ => json!({ "a": 1 }),
        }
    }

    /// Names whose values the document cannot know.
    fn known(&self, name: &str, person: &Person) -> Option<Value> {
        let dice = self.dice;
        let email = || json!(self.world.email);
        Some(match name {
            "traits" => {
                let email = if dice.one_in(4) { email() } else { json!(format!("p{}@example.org", dice.below(1 << 40))) };
                json!({ "email": email, "nickname": "Ada" })
            }
            "schema_id" | "identity_schema" => json!("person"),
            "identifier" | "password_identifier" | "credentials_identifier" => email(),
            "password" if dice.below(4) > 0 => json!(PASSWORD),
            "password" => json!("another horse 8 battery"),
            "hashed_password" => json!("$2a$04$KGYyTiYxkHBSWbUKMv5Pm.b9gQl9l0gBxZ0pQ5zYQbqVEbHvUcN1C"),
            "csrf_token" => json!(person.flows.first().map(|(_, _, token)| token)),
            "token" => self.world.logout.clone(),
            "externalID" => json!(self.world.external_id),
            "session_token" => json!(dice.one_of(&self.world.tokens)),
            "sessions" => json!([dice.one_of(&self.world.sessions)]),
            "organization_id" | "region" if dice.below(3) > 0 => Value::Null,
            "region" => json!("eu"),
            "via" => json!("email"),
            "aal" => json!("aal1"),
            "status" => json!("completed"),
            "type" | "include_credential" => json!(dice.one_of(&["password", "totp", "oidc", "webauthn", "lookup_secret"])),
            "expand" => json!(dice.one_of(&["identity", "devices"])),
            "return_to" => json!(keyward_testkit::APP),
            "page_token" => json!(""),
            "op" => json!(dice.one_of(&["add", "remove", "replace", "test", "move", "copy"])),
            "path" => json!(dice.one_of(&[
                "/traits/nickname",
                "/traits",
                "/traits/email",
                "/metadata_public",
                "/metadata_public/a/b/-",
                "/metadata_admin/a~1b",
                "/state",
                "/external_id",
                "/credentials/password/config/hashed_password",
                "/credentials/password",
                "/credentials/oidc/config",
                "/verifiable_addresses/0/verified",
                "/verifiable_addresses/18446744073709551616",
                "/verifiable_addresses/-",
                "/id",
                "/region",
                "/schema_id",
                "",
                "/",
                "x",
                "/~2",
            ])),
            _ => return None,
        })
    }
}

/// Puts something in the place of something, somewhere.
fn spoil_value(dice: &Dice, value: &mut Value, depth: usize) {
    let inward = depth < 6 && dice.below(3) > 0;
    match value {
        Value::Object(members) if inward && !members.is_empty() => {
            let name = dice.one_of(&members.keys().cloned().collect::<Vec<_>>()).clone();
            match dice.below(8) {
                0 => drop(members.shift_remove(&name)),
                1 => drop(members.insert(text(dice), hostile(dice))),
                _ => spoil_value(dice, &mut members[&name], depth + 1),
            }
        }
        Value::Array(items) if inward && !items.is_empty() => {
            let place = dice.below(items.len());
            match dice.below(8) {
                0 => drop(items.remove(place)),
                1 => *items = vec![items[place].clone(); if dice.one_in(4) { 1_001 } else { 2 }],
                _ => spoil_value(dice, &mut items[place], depth + 1),
            }
        }
        _ => *value = hostile(dice),
    }
}

/// Breaks a body as a line or an attacker does.
fn spoil_bytes(dice: &Dice, bytes: &mut Vec<u8>) {
    let place = dice.below(bytes.len());
    match dice.below(30) {
        0 => bytes.truncate(place),
        1 => bytes.insert(place, 0xff),
        2 => bytes.insert(place, 0),
        3 => drop(bytes.splice(0..0, *b"\xef\xbb\xbf")),
        4 => bytes.extend_from_slice(b"garbage"),
        5 => *bytes = String::from_utf8_lossy(bytes).replacen('{', "{\"method\":1,\"traits\":[],\"traits\":{},", 1).into_bytes(),
        6 => bytes.clear(),
        7 => *bytes = vec![b'['; 20_000],
        8 => *bytes = [b"{\"a\":".repeat(9_000), b"1".to_vec()].concat(),
        9 => *bytes = String::from_utf8_lossy(bytes).encode_utf16().flat_map(u16::to_be_bytes).collect(),
        10 => *bytes = RAW[dice.below(RAW.len())].as_bytes().to_vec(),
        11 => drop(bytes.splice(0..0, *b" \t\r\n")),
        _ => {}
    }
}

/// Dotted names, as forms have them; lists repeat theirs.
fn form(value: &Value) -> String {
    fn add(name: &str, value: &Value, pairs: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (key, value) in members {
                    add(&if name.is_empty() { key.clone() } else { format!("{name}.{key}") }, value, pairs);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| add(name, item, pairs)),
            Value::Null => pairs.push(encoded(name)),
            Value::String(text) => pairs.push(format!("{}={}", encoded(name), encoded(text))),
            other => pairs.push(format!("{}={}", encoded(name), encoded(&other.to_string()))),
        }
    }
    let mut pairs = Vec::new();
    add("", value, &mut pairs);
    pairs.join("&")
}

fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// One segment of a path; an empty one would be another path.
fn segment(text: &str) -> String {
    if text.is_empty() { "%20".to_owned() } else { encoded(text) }
}
