//! What an endpoint is for programs: its name, parameters, body and answers.
//! Files of handlers have a table of these beside their routes; [`super`] puts the tables together.
//! A test compares the tables with the routers, another one the answers with the tables.

use serde_json::{Map, Value, json};

use super::schema::Shape::{self, Flag, List, Named, Number, Text, Uuid};

/// One endpoint with one method.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    name: &'static str,
    summary: &'static str,
    tag: &'static str,
    parameters: &'static [Parameter],
    body: Option<(&'static str, &'static [&'static str])>,
    answers: &'static [Answer],
    /// Security schemes of which one is needed.
    signed_in: &'static [&'static str],
}

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const TEXT: &str = "text/plain";
const SCRIPT: &str = "text/javascript";

impl Operation {
    const fn new(tag: &'static str, method: &'static str, path: &'static str, name: &'static str, summary: &'static str) -> Self {
        Self { method, path, name, summary, tag, parameters: &[], body: None, answers: &[], signed_in: &[] }
    }

    /// For apps and browsers.
    pub(crate) const fn frontend(method: &'static str, path: &'static str, name: &'static str, summary: &'static str) -> Self {
        Self::new("frontend", method, path, name, summary)
    }

    /// For operators.
    pub(crate) const fn identity(method: &'static str, path: &'static str, name: &'static str, summary: &'static str) -> Self {
        Self::new("identity", method, path, name, summary)
    }

    /// For operators who look after mail.
    pub(crate) const fn courier(method: &'static str, path: &'static str, name: &'static str, summary: &'static str) -> Self {
        Self::new("courier", method, path, name, summary)
    }

    /// For machines.
    pub(crate) const fn metadata(method: &'static str, path: &'static str, name: &'static str, summary: &'static str) -> Self {
        Self::new("metadata", method, path, name, summary)
    }

    /// Its parameters.
    pub(crate) const fn takes(self, parameters: &'static [Parameter]) -> Self {
        Self { parameters, ..self }
    }

    /// Its body, a schema in JSON.
    pub(crate) const fn body(self, schema: &'static str) -> Self {
        Self { body: Some((schema, &[JSON])), ..self }
    }

    /// Its body, a schema in JSON or as a form.
    pub(crate) const fn form(self, schema: &'static str) -> Self {
        Self { body: Some((schema, &[JSON, FORM])), ..self }
    }

    /// Somebody has to be signed in.
    pub(crate) const fn signed_in(self) -> Self {
        Self { signed_in: &["sessionToken", "sessionCookie"], ..self }
    }

    /// Somebody has to be signed in, in a browser.
    pub(crate) const fn signed_in_by_cookie(self) -> Self {
        Self { signed_in: &["sessionCookie"], ..self }
    }

    /// Its answers; refusals that are not among them look like those that are.
    pub(crate) const fn answers(self, answers: &'static [Answer]) -> Self {
        Self { answers, ..self }
    }

    pub(super) fn json(&self) -> Value {
        let mut json = json!({ "tags": [self.tag], "summary": self.summary, "operationId": self.name });
        if !self.signed_in.is_empty() {
            json["security"] = self.signed_in.iter().map(|scheme| json!({ *scheme: [] })).collect();
        }
        if !self.parameters.is_empty() {
            json["parameters"] = self.parameters.iter().map(Parameter::json).collect();
        }
        if let Some((schema, kinds)) = self.body {
            json["requestBody"] = json!({ "required": true, "content": content(kinds, Named(schema)) });
        }
        let mut answers: Map<String, Value> =
            self.answers.iter().map(|answer| (answer.status.to_string(), answer.json())).collect();
        let other = Answer { says: "Any other refusal.", ..refuses(500) };
        answers.insert("default".to_owned(), other.json());
        json["responses"] = answers.into();
        json
    }
}

fn content(kinds: &[&str], shape: Shape) -> Value {
    let media = |kind: &str| json!({ "schema": if kind == TEXT { Text.json() } else { shape.json() } });
    kinds.iter().map(|kind| ((*kind).to_owned(), media(kind))).collect::<Map<_, _>>().into()
}

/// What comes with a request beside its body.
#[derive(Debug)]
pub(crate) struct Parameter {
    name: &'static str,
    place: &'static str,
    shape: Shape,
    required: bool,
    says: &'static str,
}

/// A part of the path.
pub(crate) const fn in_path(name: &'static str, shape: Shape, says: &'static str) -> Parameter {
    Parameter { name, place: "path", shape, required: true, says }
}

/// A part of the query that may be missing.
pub(crate) const fn in_query(name: &'static str, shape: Shape, says: &'static str) -> Parameter {
    Parameter { name, place: "query", shape, required: false, says }
}

const fn in_header(name: &'static str, says: &'static str) -> Parameter {
    Parameter { name, place: "header", shape: Text, required: false, says }
}

impl Parameter {
    /// It may not be missing.
    pub(crate) const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "in": self.place,
            "description": self.says,
            "required": self.required,
            "schema": self.shape.json(),
        })
    }
}

// --- Parameters of more than one operation, named as the official clients name them ---

pub(crate) const BY_TOKEN: Parameter = in_header("X-Session-Token", "The session token of an app.");
pub(crate) const BY_COOKIE: Parameter = in_header("Cookie", "For servers that ask on behalf of a browser: its cookies.");
pub(crate) const FLOW_ID: Parameter = in_query("id", Uuid, "The flow.").required();
pub(crate) const FLOW: Parameter = in_query("flow", Uuid, "The flow.").required();
pub(crate) const RETURN_TO: Parameter =
    in_query("return_to", Text, "Where the browser goes in the end; one of `selfservice.allowed_return_urls`.");
pub(crate) const CODE: Parameter = in_query("code", Text, "The code of a message.");
pub(crate) const SKIP_SETTINGS: Parameter = in_query("skip_settings", Flag, "Whether the recovery ends without a settings flow.");
pub(crate) const ORGANIZATION: Parameter = in_query("organization", Text, "The organisation that is signed in to.");
pub(crate) const IDENTITY_SCHEMA: Parameter = in_query("identity_schema", Text, "The identity schema of the account.");
pub(crate) const IDENTITY: Parameter = in_path("id", Uuid, "The identity.");
pub(crate) const SESSION: Parameter = in_path("id", Uuid, "The session.");
pub(crate) const INCLUDE_CREDENTIAL: Parameter =
    in_query("include_credential", List(&Text), "Types of credentials whose content is shown.");
pub(crate) const ACTIVE: Parameter = in_query("active", Flag, "Sessions that can be used, or those that cannot.");
pub(crate) const EXPAND: Parameter = in_query("expand", List(&Text), "What is shown of a session: `identity`, `devices`.");
pub(crate) const PAGE_SIZE: Parameter = in_query("page_size", Number, "Items on a page.");
pub(crate) const PAGE_TOKEN: Parameter = in_query("page_token", Text, "From the `Link` header of the page before.");
pub(crate) const PER_PAGE: Parameter = in_query("per_page", Number, "Items on a page, when pages are numbered.");
pub(crate) const PAGE: Parameter = in_query("page", Number, "The page, counted from 0.");

/// What may come back.
#[derive(Debug)]
pub(crate) struct Answer {
    status: u16,
    says: &'static str,
    kinds: &'static [&'static str],
    shape: Shape,
}

/// JSON.
pub(crate) const fn shows(status: u16, says: &'static str, shape: Shape) -> Answer {
    Answer { status, says, kinds: &[JSON], shape }
}

/// Text.
pub(crate) const fn plain(says: &'static str) -> Answer {
    Answer { status: 200, says, kinds: &[TEXT], shape: Text }
}

/// A script.
pub(crate) const fn script(says: &'static str) -> Answer {
    Answer { status: 200, says, kinds: &[SCRIPT], shape: Text }
}

/// 204.
pub(crate) const fn nothing(says: &'static str) -> Answer {
    Answer { status: 204, says, kinds: &[], shape: Text }
}

/// A redirect.
pub(crate) const fn leads(status: u16) -> Answer {
    Answer { status, says: "Go on at `Location`.", kinds: &[], shape: Text }
}

/// A refusal in the usual envelope.
pub(crate) const fn refuses(status: u16) -> Answer {
    let says = match status {
        400 => "The request is not valid.",
        401 => "Nobody is signed in.",
        403 => "This is not allowed.",
        404 => "There is no such thing.",
        409 => "Something else is in the way.",
        410 => "It is over.",
        429 => "There were too many attempts.",
        _ => "It is refused.",
    };
    shows(status, says, Named("errorGeneric"))
}

impl Answer {
    /// With another status.
    pub(crate) const fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// For those who do not ask for JSON, text.
    pub(crate) const fn or_text(self) -> Self {
        Self { kinds: &[JSON, TEXT], ..self }
    }

    fn json(&self) -> Value {
        let mut json = json!({ "description": self.says });
        if (300..400).contains(&self.status) {
            json["headers"] = json!({ "Location": { "schema": Text.json() } });
        }
        if !self.kinds.is_empty() {
            json["content"] = content(self.kinds, self.shape);
        }
        json
    }
}
