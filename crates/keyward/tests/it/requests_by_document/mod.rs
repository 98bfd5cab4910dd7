//! Thousands of requests, made from the OpenAPI document and then spoilt, against a running server: none of them may be
//! answered with a mistake of ours, and what is answered has to be what the document says.
//! The seed is the name of a test, so every run asks the same; a failure shows the request.
//! Which answer is the right one for a certain request, other tests say.

mod dice;
mod requests;
mod wire;

use std::collections::{BTreeMap, BTreeSet};

use jsonschema::Validator;
use keyward_model::Span;
use keyward_testkit::{APP, Actor, ClientKind, PASSWORD, Trial, UI, database_test};
use serde_json::{Value, json};

use dice::Dice;
use requests::{Maker, Operation, Person, World, operations};
use wire::{Answer, Client, Request};

/// Requests until people sign up anew: many of them end sessions or delete accounts.
const GENERATION: usize = 312;

/// Operations that succeed only when a provider had its part in it (`oidc.rs`, `oidc_apps.rs`).
const WITH_A_PROVIDER: [&str; 4] =
    ["returnFromProvider", "returnFromOneProvider", "returnFromOrganizationsProvider", "exchangeSessionToken"];

/// Every method that there is, and two web sites that share keys.
fn everything() -> Value {
    let party = json!({ "id": "example.org", "origins": ["https://example.org", "https://example.com"] });
    let keys = json!({ "enabled": true, "config": { "rp": party } });
    json!({ "selfservice": {
        "methods": { "code": { "passwordless_enabled": true }, "totp": { "enabled": true }, "lookup_secret": { "enabled": true }, "passkey": keys, "webauthn": keys },
        "flows": { "recovery": { "enabled": true }, "verification": { "enabled": true } },
    } })
}

#[database_test(sqlite, config = everything())]
async fn no_request_is_answered_with_a_mistake_of_ours(t: Trial) {
    bombard(&t, 10_400).await;
}

#[database_test(postgres, config = everything())]
async fn nor_with_the_other_database(t: Trial) {
    bombard(&t, 1_248).await;
}

async fn bombard(t: &Trial, count: usize) {
    let document = keyward_http::openapi();
    let operations = operations(&document);
    let dice = Dice::new(&format!("requests by document {:?}", t.database));
    let mut judge = Judge::new(t, &document, &operations);
    let mut public = Client::new(&t.public());
    let mut admin = Client::new(&t.admin_base());
    for first in (0..count).step_by(GENERATION) {
        let world = populate(t, first).await;
        let maker = Maker { dice: &dice, document: &document, world: &world };
        for number in first..(first + GENERATION).min(count) {
            let operation = &operations[number % operations.len()];
            let request = maker.request(number % operations.len(), operation);
            let client = if operation.is_admin() { &mut admin } else { &mut public };
            let answer = client.ask(&request).await;
            judge.judge(&request, &answer);
        }
        t.clock().advance(Span::minutes(i64::try_from(dice.below(50)).unwrap()));
    }
    judge.conclude(count / operations.len());
    t.admin().call("GET", "/health/ready").await.expect(200);
}

/// People of every kind, with flows of every kind.
async fn populate(t: &Trial, number: usize) -> World {
    let email = format!("ada{number}@example.org");
    let api = t.person_as(ClientKind::Api);
    api.sign_up(&email, PASSWORD).await;
    let spa = t.person_as(ClientKind::Spa);
    spa.sign_up(&format!("spa{number}@example.org"), PASSWORD).await;
    let second = t.person_as(ClientKind::Api);
    second.sign_in(&email, PASSWORD).await.done();
    let third = t.person_as(ClientKind::Api);
    third.sign_in(&email, PASSWORD).await.done();
    let (nobody, stranger) = (t.person_as(ClientKind::Api), t.person_as(ClientKind::Browser));
    let tokens = vec![api.token().unwrap(), second.token().unwrap()];
    let made = json!({
        "schema_id": "person",
        "traits": { "email": format!("made{number}@example.org") },
        "external_id": format!("e{number}"),
        "credentials": {
            "password": { "config": { "password": PASSWORD } },
            "totp": { "config": { "totp_url": "otpauth://totp/x?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=x" } },
            "lookup_secret": { "config": { "codes": [{ "code": "abcd1234" }] } },
        },
    });
    let identities = vec![api.id().await.to_string(), t.admin().create(&made).await["id"].as_str().unwrap().to_owned()];
    let session = |whoami: Value| whoami["id"].as_str().unwrap().to_owned();
    let sessions = vec![session(second.whoami().await), session(third.whoami().await)];
    let logout = spa.call("GET", "/self-service/logout/browser").await.expect(200).json();
    let mut people = Vec::new();
    for (actor, kinds) in [
        (&api, &["settings"][..]),
        (&spa, &["settings"]),
        (&nobody, &["login", "registration", "recovery", "verification"]),
        (&stranger, &["login", "registration", "recovery", "verification"]),
    ] {
        let mut flows = Vec::new();
        for kind in kinds {
            let flow = actor.init(kind, "").await;
            flows.push((*kind, flow.id(), flow.csrf_token().unwrap_or_default()));
        }
        people.push(Person { headers: credentials(actor), flows });
    }
    World {
        people,
        identities,
        sessions,
        tokens,
        email,
        logout: logout["logout_token"].clone(),
        external_id: format!("e{number}"),
        message: crate::courier::queued(t, &format!("made{number}@example.org")).await,
    }
}

/// The headers that sign somebody in.
fn credentials(actor: &Actor) -> Vec<(String, String)> {
    let token = actor.token().map(|token| ("x-session-token".to_owned(), token));
    let cookies: Vec<String> =
        actor.cookie_names().into_iter().filter_map(|name| Some(format!("{name}={}", actor.cookie(&name)?))).collect();
    let cookies = (!cookies.is_empty()).then(|| ("cookie".to_owned(), cookies.join("; ")));
    let origin = (actor.client != ClientKind::Api).then(|| ("origin".to_owned(), UI.to_owned()));
    token.into_iter().chain(cookies).chain(origin).collect()
}

/// Compares answers with the document.
struct Judge<'a> {
    operations: &'a [Operation],
    validators: BTreeMap<(usize, u16), Validator>,
    /// Where redirects may lead.
    places: Vec<String>,
    /// Operations that did what they are for.
    succeeded: BTreeSet<usize>,
    statuses: BTreeMap<u16, usize>,
    faults: Vec<String>,
}

/// Where the schema of every error is kept.
const ERRORS: u16 = 0;

impl<'a> Judge<'a> {
    fn new(t: &Trial, document: &Value, operations: &'a [Operation]) -> Self {
        let components = strict(&document["components"]);
        let mut validators = BTreeMap::new();
        for (number, operation) in operations.iter().enumerate() {
            for (status, answer) in operation.document["responses"].as_object().unwrap() {
                let Some(schema) = answer["content"].get("application/json").map(|media| &media["schema"]) else { continue };
                // What stands for all the rest is the form of errors.
                let status = if status == "default" { ERRORS } else { status.parse().expect("a status") };
                let schema = json!({ "allOf": [schema], "components": components });
                let validator =
                    jsonschema::draft202012::new(&schema).unwrap_or_else(|error| panic!("{}: {error}", operation.name));
                validators.insert((number, status), validator);
            }
        }
        let places = vec![t.public(), t.admin_base(), UI.to_owned(), APP.to_owned()];
        Self { operations, validators, places, succeeded: BTreeSet::new(), statuses: BTreeMap::new(), faults: Vec::new() }
    }

    fn judge(&mut self, request: &Request, answer: &Answer) {
        *self.statuses.entry(answer.status).or_default() += 1;
        if let Err(fault) = self.compare(request, answer) {
            let name = &self.operations[request.operation].name;
            self.faults.push(format!("{name}, {}: {fault}\n\n{request:?}\n\n{answer:?}", answer.status));
        }
    }

    fn compare(&mut self, request: &Request, answer: &Answer) -> Result<(), String> {
        let operation = &self.operations[request.operation];
        let documented = operation.document["responses"].get(answer.status.to_string()).is_some();
        let is_json = answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
        match answer.status {
            200..300 => {
                self.succeeded.insert(request.operation);
                demand(documented, "the document does not know this status")?;
                demand(answer.status != 204 || answer.body.is_empty(), "nothing was to be said")?;
                if is_json && answer.status != 204 {
                    self.validate(request, answer.status, &answer.json()?)?;
                }
            }
            300..400 => {
                let location = answer.header("location").ok_or("a redirect to nowhere")?;
                demand(self.places.iter().any(|place| is_below(location, place)), "a redirect to elsewhere")?;
                if !location.contains("/error?id=") {
                    self.succeeded.insert(request.operation);
                    demand(documented, "the document does not know this redirect")?;
                }
            }
            400..500 if is_json => {
                let body = answer.json()?;
                if body.get("ui").is_some() {
                    self.validate(request, answer.status, &body)?;
                } else {
                    let envelope = body["error"]["code"] == answer.status && body["error"]["message"].is_string();
                    demand(envelope, "this is not the envelope")?;
                    self.validate(request, ERRORS, &body)?;
                }
            }
            400..500 => {
                let promised = request.header("accept") == Some("application/json");
                demand(!promised || without_envelope(answer), "JSON was promised")?;
            }
            _ => return Err("a mistake of ours".to_owned()),
        }
        Ok(())
    }

    fn validate(&self, request: &Request, status: u16, body: &Value) -> Result<(), String> {
        // One item of a long list is like the other.
        let start = body.as_array().map(|items| Value::from(&items[..items.len().min(3)]));
        let body = start.as_ref().unwrap_or(body);
        let Some(validator) = self.validators.get(&(request.operation, status)) else {
            return Err("the document knows no JSON here".to_owned());
        };
        let wrong: Vec<String> =
            validator.iter_errors(body).map(|error| format!("{:.200} at {}", error.to_string(), error.instance_path())).collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
    }

    /// Requests that never get past the door would prove little. What takes another server succeeds elsewhere.
    fn conclude(&self, each: usize) {
        let never: Vec<&str> = self
            .operations
            .iter()
            .enumerate()
            .filter(|(number, _)| !self.succeeded.contains(number))
            .map(|(_, operation)| operation.name.as_str())
            .filter(|name| !WITH_A_PROVIDER.contains(name))
            .collect();
        println!("{:?}", self.statuses);
        let faults = &self.faults;
        assert!(
            faults.is_empty(),
            "{} faults; the first ones:\n\n{}",
            faults.len(),
            faults[..faults.len().min(12)].join("\n\n—\n\n")
        );
        assert!(each < 100 || never.is_empty(), "these never succeeded: {never:?}; statuses {:?}", self.statuses);
    }
}

fn demand(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise.to_owned()) }
}

fn is_below(location: &str, place: &str) -> bool {
    location.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
}

/// What is refused before anything of ours runs, and methods and paths that do not exist, are told in plain text.
fn without_envelope(answer: &Answer) -> bool {
    let by_protocol = matches!(answer.status, 400 | 414 | 431) && answer.body.is_empty();
    by_protocol || (answer.status == 404 && answer.body.starts_with("404 page not found")) || answer.status == 405
}

/// Objects that have members have no others: what a server says and its document does not is a mistake, too.
fn strict(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let mut strict: serde_json::Map<String, Value> =
                members.iter().map(|(name, value)| (name.clone(), self::strict(value))).collect();
            if strict.get("properties").is_some_and(Value::is_object) && strict.get("type") == Some(&json!("object")) {
                strict.entry("additionalProperties").or_insert(json!(false));
            }
            Value::Object(strict)
        }
        Value::Array(items) => items.iter().map(strict).collect(),
        other => other.clone(),
    }
}
