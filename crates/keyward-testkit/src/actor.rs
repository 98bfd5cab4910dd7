//! A person with a client: starts flows, fills them in, signs in and out, and asserts how the transport behaves on the way.
//! Tests get one from [`crate::Trial::person`] and use it the same way whichever client it is.
//! What goes wrong in the transport fails here; what an answer says is left to the test.

use std::sync::{Mutex, MutexGuard, PoisonError};

use keyward_model::IdentityId;
use serde_json::{Value, json};

use crate::call::{Call, Reply, parameter};
use crate::config::UI;
use crate::flow::{Done, Flow, Said, Submitted};
use crate::jar::Jar;
use crate::trial::{ClientKind, Trial};

/// The password of people that a trial signs up.
pub const PASSWORD: &str = "correct horse 7 battery";

/// A person with one client. Cookies and token are kept behind a lock, so that one actor can do several things at once.
pub struct Actor {
    /// How it speaks.
    pub client: ClientKind,
    trial: Trial,
    jar: Mutex<Jar>,
    token: Mutex<Option<String>>,
}

/// Accept headers as browsers and scripts send them.
const PAGES: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
const DATA: &str = "application/json";

impl Actor {
    pub(crate) fn new(trial: Trial, client: ClientKind) -> Self {
        Self { client, trial, jar: Mutex::default(), token: Mutex::default() }
    }

    // --- Flows ---

    /// Asks for a new flow of a kind (`settings`, `login`, `registration`), with a query such as `return_to=…`; the raw answer.
    pub async fn start(&self, kind: &str, query: &str) -> Reply {
        let door = if self.client == ClientKind::Api { "api" } else { "browser" };
        let mark = if query.is_empty() { "" } else { "?" };
        self.call("GET", &format!("/self-service/{kind}/{door}{mark}{query}")).await
    }

    /// Starts a flow. API clients get 200 with an API flow and no cookie, scripts 200 with a browser flow, browsers a 303 to the
    /// page, which fetches the flow.
    pub async fn init(&self, kind: &str, query: &str) -> Flow {
        let reply = self.start(kind, query).await;
        self.started(kind, reply).await
    }

    /// Starts the flow that an address leads to, such as the login of `redirect_browser_to`. API clients take its query to the
    /// address that is theirs.
    pub async fn init_at(&self, address: &str) -> Flow {
        let path = self.path(address);
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        let kind = path.strip_prefix("/self-service/").and_then(|rest| rest.strip_suffix("/browser"));
        let kind = kind.unwrap_or_else(|| panic!("{address} starts no browser flow"));
        self.init(kind, query).await
    }

    async fn started(&self, kind: &str, reply: Reply) -> Flow {
        match self.client {
            ClientKind::Api | ClientKind::Spa => {
                let flow = Flow { kind: kind.to_owned(), json: reply.clone().expect(200).json() };
                let flow_type = if self.client == ClientKind::Api { "api" } else { "browser" };
                assert_eq!(flow.json["type"], flow_type, "{reply:?}");
                flow
            }
            ClientKind::Browser => {
                let reply = reply.expect(303);
                let page = format!("{}?flow=", page(kind));
                assert!(reply.location().starts_with(&page), "the page was expected: {reply:?}");
                let id = reply.location_parameter("flow").unwrap_or_default();
                self.fetched(kind, &id).await
            }
        }
    }

    /// Fetches a flow as the page that shows it does; the raw answer.
    pub async fn fetch(&self, kind: &str, id: &str) -> Reply {
        self.read_call(&format!("/self-service/{kind}/flows?id={id}")).await
    }

    /// Fetches a flow again.
    pub async fn refetch(&self, flow: &Flow) -> Flow {
        self.fetched(&flow.kind, &flow.id()).await
    }

    async fn fetched(&self, kind: &str, id: &str) -> Flow {
        Flow { kind: kind.to_owned(), json: self.fetch(kind, id).await.expect(200).json() }
    }

    /// Submits a flow: API clients and scripts as JSON, browsers as a form with dotted names. The CSRF token of the flow goes
    /// along unless `fields` has a `csrf_token` of its own; null leaves it out.
    pub async fn submit(&self, flow: &Flow, fields: Value) -> Submitted {
        let reply = self.submit_call(flow, fields).await;
        self.understand(flow, reply).await
    }

    /// The request of [`Actor::submit`], for tests that change it before it is sent.
    pub fn submit_call(&self, flow: &Flow, mut fields: Value) -> Call<'_> {
        let members = fields.as_object_mut().expect("fields are an object");
        match members.get("csrf_token") {
            None => {
                if let Some(token) = flow.csrf_token().filter(|token| !token.is_empty()) {
                    members.insert("csrf_token".to_owned(), Value::from(token));
                }
            }
            Some(Value::Null) => {
                members.shift_remove("csrf_token");
            }
            Some(_) => {}
        }
        let ui = &flow.json["ui"];
        assert_eq!(ui["method"], "POST");
        let action = ui["action"].as_str().unwrap_or_else(|| panic!("no `ui.action`: {:#}", flow.json));
        let call = self.call("POST", action);
        match self.client {
            ClientKind::Api | ClientKind::Spa => call.json(&fields),
            ClientKind::Browser => call.form(&form_fields(&fields)),
        }
    }

    /// Says what the answer to a submit means, and fetches what a browser was sent to.
    pub async fn understand(&self, flow: &Flow, reply: Reply) -> Submitted {
        let said = if (300..400).contains(&reply.status) {
            assert_eq!(self.client, ClientKind::Browser, "only browsers are redirected: {reply:?}");
            self.redirected(Some(flow), &reply).await
        } else {
            assert_ne!(self.client, ClientKind::Browser, "browsers are redirected: {reply:?}");
            answered(flow, &reply)
        };
        if let Said::Done(Done { body, .. }) = &said {
            let next = body["continue_with"].as_array().into_iter().flatten();
            let handed_over = next.filter_map(|item| item["ory_session_token"].as_str()).next();
            if let Some(token) = body["session_token"].as_str().or(handed_over) {
                self.set_token(Some(token));
            }
        }
        Submitted { reply, said }
    }

    /// Goes to an address as a browser does that follows a redirect or a script's `window.location`, and says where it ends.
    pub async fn navigate(&self, address: &str) -> Submitted {
        assert_ne!(self.client, ClientKind::Api, "API clients do not navigate");
        let call = self.bare_call("GET", &self.path(address)).header("accept", PAGES).header("sec-fetch-mode", "navigate");
        let reply = self.with_cookies(call).await;
        let said = self.redirected(None, &reply).await;
        Submitted { reply, said }
    }

    /// What a redirect of a browser means. `flow` is the one that was submitted.
    async fn redirected(&self, flow: Option<&Flow>, reply: &Reply) -> Said {
        let location = reply.location();
        for kind in ["settings", "login", "registration", "recovery", "verification"] {
            if let Some(id) = parameter(location, "flow").filter(|_| location.starts_with(&format!("{}?", page(kind)))) {
                let shown = self.fetched(kind, &id).await;
                // A recovery ends on the settings page.
                let recovered = kind == "settings" && flow.is_some_and(|flow| flow.kind == "recovery");
                let is_refused = !shown.is_saved() && !recovered;
                // Only a refused registration is answered with 302.
                let allowed: &[u16] = if kind == "registration" && is_refused { &[302, 303] } else { &[303] };
                assert!(allowed.contains(&reply.status), "{reply:?}");
                return match is_refused {
                    true => Said::Form(shown),
                    false => Said::Done(Done { flow: Some(shown), body: Value::Null, location: Some(location.to_owned()) }),
                };
            }
        }
        if location.starts_with(&format!("{}?", page("error"))) {
            assert_eq!(reply.status, 303, "{reply:?}");
            let id = parameter(location, "id").unwrap_or_default();
            let stored = self.read_call(&format!("/self-service/errors?id={id}")).await.expect(200).json();
            let error = stored["error"].clone();
            let code = error["code"].as_u64().and_then(|code| u16::try_from(code).ok());
            return Said::Problem { status: code.unwrap_or_else(|| panic!("an error without code: {stored:#}")), error };
        }
        let login = format!("{}/self-service/login/browser", self.trial.public());
        if location.starts_with(&login) || location == page("login") {
            return Said::Leave(location.to_owned());
        }
        let saved = match flow {
            Some(flow) if flow.kind == "settings" => Some(self.refetch(flow).await),
            _ => None,
        };
        Said::Done(Done { flow: saved, body: Value::Null, location: Some(location.to_owned()) })
    }

    // --- Accounts and sessions ---

    /// Signs up by password and stays signed in; yields the identity.
    pub async fn sign_up(&self, email: &str, password: &str) -> Value {
        let flow = self.init("registration", "").await;
        let fields = json!({ "method": "password", "password": password, "traits": { "email": email } });
        self.submit(&flow, fields).await.done();
        self.whoami().await["identity"].take()
    }

    /// Signs in by password.
    pub async fn sign_in(&self, email: &str, password: &str) -> Submitted {
        let flow = self.init("login", "").await;
        self.submit(&flow, json!({ "method": "password", "identifier": email, "password": password })).await
    }

    /// Signs in once more, by password, where `login` leads to (see [`Submitted::login_first`]).
    pub async fn sign_in_again(&self, login: &str, password: &str) -> Done {
        let flow = self.init_at(login).await;
        let identifier = flow.value("identifier");
        self.submit(&flow, json!({ "method": "password", "identifier": identifier, "password": password })).await.done()
    }

    /// The session; there must be one.
    pub async fn whoami(&self) -> Value {
        self.try_whoami().await.expect(200).json()
    }

    /// The answer to whoami.
    pub async fn try_whoami(&self) -> Reply {
        self.read_call("/sessions/whoami").await
    }

    /// The id of the signed-in identity.
    pub async fn id(&self) -> IdentityId {
        let session = self.whoami().await;
        let id = session["identity"]["id"].as_str().and_then(IdentityId::parse);
        id.unwrap_or_else(|| panic!("no identity in {session:#}"))
    }

    // --- Credentials of the client ---

    /// The session token of an API client.
    pub fn token(&self) -> Option<String> {
        self.lock_token().clone()
    }

    /// Puts another session token in place.
    pub fn set_token(&self, token: Option<&str>) {
        *self.lock_token() = token.map(str::to_owned);
    }

    /// A cookie that the browser would send now.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.lock_jar().get(name, self.trial.now()).map(str::to_owned)
    }

    /// The names of the cookies that the browser would send now.
    pub fn cookie_names(&self) -> Vec<String> {
        self.lock_jar().names(self.trial.now())
    }

    /// Puts a cookie into the browser.
    pub fn set_cookie(&self, name: &str, value: &str) {
        self.lock_jar().put(name, value);
    }

    /// Takes a cookie out of the browser.
    pub fn drop_cookie(&self, name: &str) {
        self.lock_jar().remove(name);
    }

    fn lock_jar(&self) -> MutexGuard<'_, Jar> {
        self.jar.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_token(&self) -> MutexGuard<'_, Option<String>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // --- Requests ---

    /// A request as this client sends it: to a path, or to an absolute address of the public port.
    pub fn call(&self, method: &str, address: &str) -> Call<'_> {
        let call = self.bare_call(method, &self.path(address));
        match self.client {
            ClientKind::Api => self.with_token(call.header("accept", DATA)),
            ClientKind::Spa => {
                let call = call.header("accept", DATA).header("origin", UI);
                self.with_cookies(call.header("sec-fetch-mode", "cors").header("sec-fetch-site", "same-site"))
            }
            ClientKind::Browser => {
                let call =
                    call.header("accept", PAGES).header("sec-fetch-mode", "navigate").header("sec-fetch-site", "same-site");
                // Browsers name the origin of a form, not that of a link.
                self.with_cookies(if method == "GET" { call } else { call.header("origin", UI) })
            }
        }
    }

    /// A read as the server does it that renders the pages: JSON, with the browser's cookies and nothing else of the browser.
    /// API clients and scripts read for themselves.
    fn read_call(&self, path: &str) -> Call<'_> {
        match self.client {
            ClientKind::Browser => self.with_cookies(self.bare_call("GET", path).header("accept", DATA)),
            ClientKind::Api | ClientKind::Spa => self.call("GET", path),
        }
    }

    fn bare_call(&self, method: &str, path: &str) -> Call<'_> {
        let url = format!("{}{path}", self.trial.public());
        Call::new(&self.trial.world.http, method, url, Box::new(|reply| self.keep(reply)))
    }

    fn with_cookies<'a>(&self, call: Call<'a>) -> Call<'a> {
        match self.lock_jar().header(self.trial.now()) {
            Some(cookies) => call.header("cookie", &cookies),
            None => call,
        }
    }

    fn with_token<'a>(&self, call: Call<'a>) -> Call<'a> {
        match self.token() {
            Some(token) => call.header("x-session-token", &token),
            None => call,
        }
    }

    fn keep(&self, reply: &Reply) {
        let mut jar = self.lock_jar();
        for cookie in reply.set_cookies() {
            jar.take(&cookie, self.trial.now());
        }
    }

    /// The path and query of an address of the public port.
    fn path(&self, address: &str) -> String {
        if address.starts_with('/') {
            return address.to_owned();
        }
        let path = address.strip_prefix(&self.trial.public()).filter(|path| path.starts_with('/'));
        path.unwrap_or_else(|| panic!("{address} is not an address of the public port")).to_owned()
    }
}

fn page(kind: &str) -> String {
    format!("{UI}/{kind}")
}

/// What a JSON answer to a submit means.
fn answered(flow: &Flow, reply: &Reply) -> Said {
    let body = reply.json();
    if body.get("ui").is_some() {
        let shown = Flow { kind: flow.kind.clone(), json: body.clone() };
        assert!(matches!(reply.status, 200 | 400), "a form comes with 200 or 400: {reply:?}");
        if reply.status == 200 && shown.is_saved() {
            return Said::Done(Done { location: next_location(&body), flow: Some(shown), body });
        }
        if reply.status == 200 && shown.kind == "recovery" && shown.json["state"] == "passed_challenge" {
            return Said::Done(Done { location: next_location(&body), flow: None, body });
        }
        return Said::Form(shown);
    }
    if reply.status == 200 {
        return Said::Done(Done { flow: None, location: next_location(&body), body });
    }
    let error = body["error"].clone();
    assert_eq!(error["code"], reply.status, "status and `error.code` differ: {reply:?}");
    Said::Problem { status: reply.status, error }
}

fn next_location(body: &Value) -> Option<String> {
    let items = body["continue_with"].as_array()?;
    let place = |item: &Value| match item["action"].as_str()? {
        "redirect_browser_to" => item["redirect_browser_to"].as_str().map(str::to_owned),
        "show_settings_ui" => item["flow"]["url"].as_str().map(str::to_owned),
        _ => None,
    };
    items.iter().find_map(place)
}

/// Flattens to dotted names, as the names of nodes are; items of lists repeat the name.
fn form_fields(fields: &Value) -> Vec<(String, String)> {
    fn add(name: &str, value: &Value, out: &mut Vec<(String, String)>) {
        match value {
            Value::Null => {}
            Value::Object(members) => {
                for (key, value) in members {
                    add(&if name.is_empty() { key.clone() } else { format!("{name}.{key}") }, value, out);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| add(name, item, out)),
            Value::String(text) => out.push((name.to_owned(), text.clone())),
            Value::Bool(_) | Value::Number(_) => out.push((name.to_owned(), value.to_string())),
        }
    }
    let mut out = Vec::new();
    add("", fields, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_have_dotted_names() {
        let fields =
            json!({ "method": "profile", "traits": { "name": { "first": "Ada" }, "age": 36, "tags": ["a", "b"], "x": null } });
        let pairs = [
            ("method", "profile"),
            ("traits.name.first", "Ada"),
            ("traits.age", "36"),
            ("traits.tags", "a"),
            ("traits.tags", "b"),
        ];
        assert_eq!(form_fields(&fields), pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
