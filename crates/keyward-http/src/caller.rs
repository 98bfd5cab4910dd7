//! Who calls, worked out from the headers: token, session, wishes, address, and what protects a submit.
//! [`crate::front`] makes one [`Caller`] for each request; handlers turn it into a [`Call`] when they need the session.
//! Reads headers and one row; decides nothing about flows.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use axum::response::Response;
use http::header::{AsHeaderName, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use keyward_model::{FlowId, FlowType, Lang, Problem, Time, hex};
use keyward_selfservice::outcome::{Entry, LoginOutcome};
use keyward_selfservice::{Client, Guard, Visit};
use keyward_services::audit::{Event, EventKind};
use keyward_services::continuity::Held;
use keyward_services::csrf::{CsrfCookie, csrf_token};
use keyward_services::session::{ActiveSession, find_active};
use keyward_services::tokens::SessionToken;
use keyward_services::{App, storage_problem};
use keyward_store::{Batch, StoreError};

use crate::accept::Wants;
use crate::answer::{self, Door, IntoSaid, Kind, Scene, Step};
use crate::query::Query;
use crate::reply::Reply;
use crate::site::Site;
use crate::state::Known;
use crate::{client, cookies, csrf};

/// More session cookies than this are somebody's attack; the rest is not looked at.
const MOST_SESSION_COOKIES: usize = 4;

/// As with session cookies, the right one may stand behind one that was left over; beyond these nobody looks.
const MOST_CSRF_COOKIES: usize = 4;

/// The right one may stand behind one that was planted or left over from another path; beyond these nobody looks.
const MOST_CONTINUITY_COOKIES: usize = 4;

const SESSION_TOKEN: HeaderName = HeaderName::from_static("x-session-token");

/// One request, before anybody looked at the database.
pub(crate) struct Caller {
    known: Arc<Known>,
    pub(crate) now: Time,
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) query: Query,
    peer: Option<SocketAddr>,
    /// The outer CSRF layer leaves this path alone.
    pub(crate) exempt: bool,
    /// In the order in which they were sent.
    sent_csrf: Vec<CsrfCookie>,
    fresh_csrf: OnceLock<CsrfCookie>,
}

/// Where a session token came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Nowhere,
    Header,
    Cookie,
    Bearer,
}

/// What a request's credentials amount to.
pub(crate) struct Who {
    pub(crate) active: Option<ActiveSession>,
    pub(crate) token: Option<SessionToken>,
    pub(crate) source: Source,
    /// What the session cookie says about its end.
    pub(crate) cookie_expires_at: Option<Time>,
    /// Cookies of different people were sent: nobody is signed in, and the cookies go (AC-57).
    pub(crate) conflict: bool,
}

impl Caller {
    pub(crate) fn new(known: Arc<Known>, method: Method, uri: Uri, headers: HeaderMap, peer: Option<SocketAddr>) -> Self {
        let sent_csrf = cookies::pairs(headers.get_all(header::COOKIE).iter())
            .filter(|(name, _)| *name == known.site.csrf_cookie)
            .filter_map(|(_, value)| CsrfCookie::parse(value))
            .take(MOST_CSRF_COOKIES)
            .collect();
        let query = Query::parse(uri.query().unwrap_or_default());
        Self {
            now: known.app.now(),
            exempt: csrf::is_exempt(uri.path()) && !csrf::is_mailed_link(&method, uri.path(), &query),
            query,
            fresh_csrf: OnceLock::new(),
            known,
            method,
            uri,
            headers,
            peer,
            sent_csrf,
        }
    }

    /// Whether the connection begins on this machine.
    pub(crate) fn is_from_this_machine(&self) -> bool {
        self.peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback())
    }

    pub(crate) fn app(&self) -> &App {
        &self.known.app
    }

    pub(crate) fn site(&self) -> &Site {
        &self.known.site
    }

    /// The value of a header, when it is text.
    pub(crate) fn header(&self, name: impl AsHeaderName) -> Option<&str> {
        client::text(&self.headers, name)
    }

    /// What the client can read.
    pub(crate) fn wants(&self) -> Wants {
        Wants::read(self.header(header::ACCEPT), self.header(header::CONTENT_TYPE))
    }

    /// The first cookie of that name.
    pub(crate) fn cookie<'a>(&'a self, name: &str) -> Option<&'a str> {
        self.cookies().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    fn cookies(&self) -> impl Iterator<Item = (&str, &str)> {
        cookies::pairs(self.headers.get_all(header::COOKIE).iter())
    }

    /// `X-Request-Id`, when it is usable.
    pub(crate) fn request_id(&self) -> Option<&str> {
        client::request_id(&self.headers)
    }

    pub(crate) fn client(&self) -> Client {
        client::client(&self.headers, self.peer, &self.app().config.public.trusted_proxies)
    }

    /// The absolute address of this request.
    pub(crate) fn request_url(&self) -> String {
        let public = &self.app().config.public;
        let believed = client::is_trusted(self.peer, &public.trusted_proxies);
        client::request_url(&self.headers, &self.uri, public.base_url.url(), believed)
    }

    pub(crate) fn lang(&self) -> Lang {
        Lang::negotiate(self.cookie(cookies::LANGUAGE).or_else(|| self.header("accept-language")))
    }

    /// A flow id from the query; `None` when it is missing or malformed.
    pub(crate) fn flow_id(&self, name: &str) -> Option<FlowId> {
        FlowId::parse(self.query.get(name)?)
    }

    /// The CSRF cookie that this browser sent first or will be given.
    pub(crate) fn csrf_cookie(&self) -> &CsrfCookie {
        self.sent_csrf.first().unwrap_or_else(|| self.fresh_csrf.get_or_init(|| CsrfCookie::generate(self.app().random())))
    }

    fn csrf_cookies(&self) -> &[CsrfCookie] {
        if self.sent_csrf.is_empty() { std::slice::from_ref(self.csrf_cookie()) } else { &self.sent_csrf }
    }

    /// The CSRF cookie that this answer has to set.
    pub(crate) fn missing_csrf_cookie(&self) -> Option<HeaderValue> {
        let missing = self.sent_csrf.is_empty() && !self.exempt;
        missing.then(|| cookies::csrf(self.site(), self.csrf_cookie()))
    }

    /// Checks a form token for this browser and session.
    ///
    /// # Errors
    /// What does not fit.
    pub(crate) fn check_csrf(&self, who: &Who, token: Option<&str>) -> Result<(), keyward_model::CsrfFailure> {
        let session = who.active.as_ref().map(|active| active.session.id);
        csrf::verdict(&self.known, &self.headers, &self.sent_csrf, session, token)
    }

    /// Who is signed in. `X-Session-Token` comes first, then the session cookie, then `Authorization: Bearer`
    /// (contract: settings 1.2.1).
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn who(&self) -> Result<Who, StoreError> {
        if let Some(token) = self.header(SESSION_TOKEN) {
            return self.by_token(SessionToken::parse(token), Source::Header).await;
        }
        let name = self.site().session_cookie.as_str();
        let values = self.cookies().filter(|(found, _)| *found == name).take(MOST_SESSION_COOKIES);
        let sealed: Vec<_> = values.filter_map(|(_, value)| cookies::open_session(&self.app().keys, name, value)).collect();
        if !sealed.is_empty() {
            return self.by_cookies(sealed).await;
        }
        let bearer = self.header("authorization").and_then(|value| value.split_once(' '));
        match bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) {
            Some((_, token)) => self.by_token(SessionToken::parse(token.trim()), Source::Bearer).await,
            None => self.by_token(None, Source::Nowhere).await,
        }
    }

    async fn by_token(&self, token: Option<SessionToken>, source: Source) -> Result<Who, StoreError> {
        let active = match &token {
            Some(token) => find_active(self.app(), token, self.now).await?,
            None => None,
        };
        Ok(Who { active, token, source, cookie_expires_at: None, conflict: false })
    }

    async fn by_cookies(&self, sealed: Vec<cookies::SessionCookieContent>) -> Result<Who, StoreError> {
        let mut who = Who { active: None, token: None, source: Source::Cookie, cookie_expires_at: None, conflict: false };
        for content in sealed {
            let Some(active) = find_active(self.app(), &content.token, self.now).await? else { continue };
            match &who.active {
                None => {
                    who.active = Some(active);
                    who.token = Some(content.token);
                    who.cookie_expires_at = Some(content.expires_at);
                }
                Some(first) if first.session.identity_id == active.session.identity_id => {}
                Some(first) => {
                    let event =
                        Event::refused(EventKind::ConflictingSessionCookies, "two people's session cookies in one request");
                    let mut batch = Batch::new();
                    event.identity(first.session.identity_id).write(self.app(), &self.client(), self.now, &mut batch);
                    self.app().store.commit(batch).await?;
                    return Ok(Who { active: None, token: None, cookie_expires_at: None, conflict: true, ..who });
                }
            }
        }
        Ok(who)
    }

    /// Looks up the session and works out what protects a submit whose body carried `csrf_token`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn call(self: Arc<Self>, form_token: Option<&str>) -> Result<Call, Problem> {
        let who = self.who().await.map_err(storage_problem)?;
        let session_id = who.active.as_ref().map(|active| active.session.id);
        let app = self.app();
        let browsers = if self.exempt && self.sent_csrf.is_empty() { &[] } else { self.csrf_cookies() };
        let visit = Visit {
            now: self.now,
            guard: Guard { browser: self.check_csrf(&who, form_token), api: csrf::api_guard(&self.headers) },
            csrf_token: csrf_token(&app.keys, self.csrf_cookie(), csrf::binding(session_id), app.random()),
            browsers: browsers.iter().map(|cookie| hex(&cookie.digest())).collect(),
            session: who.active,
            client: self.client(),
            lang: self.lang(),
            flow_type: None,
            device: self.cookie(cookies::DEVICE).and_then(|value| cookies::open_device(&app.keys, value)),
            held: self
                .cookies()
                .filter(|(name, _)| *name == cookies::CONTINUITY)
                .take(MOST_CONTINUITY_COOKIES)
                .map(|(_, value)| cookies::open_held(&app.keys, value))
                .find(|held| !held.0.is_empty())
                .unwrap_or_default(),
        };
        Ok(Call { held: visit.held.clone(), visit, token: who.token, conflict: who.conflict, caller: self })
    }

    pub(crate) fn refusal_door(&self) -> Door {
        if self.wants().json { Door::Spa } else { Door::Html }
    }

    /// A script sent the request, as far as the browser says.
    pub(crate) fn is_scripted(&self) -> bool {
        matches!(self.header("sec-fetch-mode"), Some("cors" | "same-origin"))
    }

    fn scene(&self, kind: Kind, step: Step) -> Scene<'_> {
        let api_init = step == Step::Init && self.uri.path().ends_with("/api");
        let refusal = if api_init { Door::Api } else { self.refusal_door() };
        Scene {
            kind,
            step,
            success: match step {
                Step::Fetch => Door::Spa,
                Step::Init if api_init => Door::Api,
                Step::Init | Step::Submit if self.wants().json_success => Door::Spa,
                Step::Init | Step::Submit => Door::Html,
            },
            refusal,
            late: refusal,
            transitions: self.app().config.feature_flags.use_continue_with_transitions,
            scripted: self.is_scripted(),
            return_to: self.query.get("return_to"),
            token: None,
            now: self.now,
        }
    }

    /// Refuses a request about a flow before its story began.
    pub(crate) async fn refuse_flow(&self, kind: Kind, step: Step, problem: Problem) -> Response {
        answer::answer(&self.site().addresses, self.scene(kind, step), Err(problem)).send(self).await
    }

    /// Refuses any other request: JSON, or the error page for browsers.
    pub(crate) async fn refuse(&self, problem: Problem) -> Response {
        self.refusal(self.refusal_door(), &problem).send(self).await
    }

    /// Refuses a request to an endpoint that speaks JSON only.
    pub(crate) async fn refuse_json(&self, problem: Problem) -> Response {
        self.refusal(Door::Api, &problem).send(self).await
    }

    fn refusal(&self, door: Door, problem: &Problem) -> Reply {
        answer::refusal(&self.site().addresses, door, self.is_scripted(), self.now, problem)
    }
}

/// A request with its session: what a story needs, and what its answer still has to say about cookies.
pub(crate) struct Call {
    pub(crate) caller: Arc<Caller>,
    pub(crate) visit: Visit,
    token: Option<SessionToken>,
    conflict: bool,
    held: Held,
}

impl Call {
    /// Answers what a story about a flow said.
    pub(crate) async fn answer(self, kind: Kind, step: Step, said: Result<impl IntoSaid, Problem>) -> Response {
        let said = said.and_then(IntoSaid::into_said);
        let token = self.token.as_ref().map(|token| token.reveal().as_str());
        let mut scene = Scene { token, ..self.caller.scene(kind, step) };
        if self.visit.flow_type == Some(FlowType::Api) {
            scene.late = Door::Api;
        }
        let reply = answer::answer(&self.caller.site().addresses, scene, said);
        self.send(reply).await
    }

    /// Answers what became of a sign-in or sign-up, which may have turned into the other. `kind`: what it began as.
    pub(crate) async fn answer_entry(self, kind: Kind, said: Result<Entry, Problem>) -> Response {
        match said {
            Ok(Entry::Login(outcome)) => self.answer(Kind::Login, Step::Submit, Ok(outcome)).await,
            Ok(Entry::Registration(outcome)) => self.answer(Kind::Registration, Step::Submit, Ok(outcome)).await,
            Err(problem) => self.answer(kind, Step::Submit, Err::<LoginOutcome, _>(problem)).await,
        }
    }

    /// Refuses something that is not about a flow.
    pub(crate) async fn refuse(self, problem: Problem) -> Response {
        let reply = self.caller.refusal(self.caller.refusal_door(), &problem);
        self.send(reply).await
    }

    /// Refuses a request to an endpoint that speaks JSON only.
    pub(crate) async fn refuse_json(self, problem: Problem) -> Response {
        let reply = self.caller.refusal(Door::Api, &problem);
        self.send(reply).await
    }

    /// Sends an answer together with the cookies that the story changed.
    pub(crate) async fn send(self, mut reply: Reply) -> Response {
        let caller = &self.caller;
        let (app, site) = (caller.app(), caller.site());
        if self.visit.held != self.held {
            reply.cookies.push(cookies::held(&app.keys, site, &self.visit.held, caller.now, app.random()));
        }
        if let Some(latest) = reply.remember {
            reply.cookies.push(cookies::device(&app.keys, site, self.visit.device.as_ref(), latest, app.random()));
        }
        reply.bind_session(app, site, self.token.as_ref(), self.conflict, caller.now);
        reply.send(caller).await
    }
}
