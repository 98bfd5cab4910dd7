//! Who asks, and through what: everything a story needs to know about a request, as values.
//! `http` fills it in once per request; stories read it.
//! Holds no request, no header map and no cookie jar.

use keyward_model::{CsrfFailure, IdentityId, Lang, Time};
use keyward_services::attempts::Lane;
pub use keyward_services::audit::Client;
use keyward_services::continuity::Held;
use keyward_services::session::ActiveSession;

/// One request, seen from a story.
#[derive(Clone, Debug)]
pub struct Visit {
    /// The instant that the whole request happens at.
    pub now: Time,
    /// Who is signed in.
    pub session: Option<ActiveSession>,
    /// What protects a submit. Which of the two verdicts counts depends on the flow's type.
    pub guard: Guard,
    /// The masked token that browser forms of this answer carry.
    pub csrf_token: String,
    /// Fingerprints of the CSRF cookies, the one that new flows remember first: login and registration flows are read only by the
    /// browser that opened them.
    pub browsers: Vec<String>,
    /// Where the request came from.
    pub client: Client,
    /// The language of messages.
    pub lang: Lang,
    /// Who talks through the flow, once a story has found it: decides how refusals are answered.
    pub flow_type: Option<keyward_model::FlowType>,
    /// This browser, if somebody signed in with it before.
    pub device: Option<Device>,
    /// Paused payloads that this browser holds. Stories hand it back changed.
    pub held: Held,
}

impl Visit {
    /// The signed-in identity.
    pub fn identity_id(&self) -> Option<IdentityId> {
        self.session.as_ref().map(|active| active.session.identity_id)
    }

    /// The lane in which attempts on this identity count.
    pub fn lane(&self, identity: IdentityId) -> Lane {
        match &self.device {
            Some(device) if device.identities.contains(&identity) => Lane::Device(device.id),
            _ => Lane::Public,
        }
    }
}

/// A browser that somebody signed in with before, from its sealed device cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Random, made at the first sign-in.
    pub id: [u8; 16],
    /// Who signed in with it, the latest first.
    pub identities: Vec<IdentityId>,
}

/// Verdicts about a submit, worked out before the flow is known.
#[derive(Clone, Debug)]
pub struct Guard {
    /// For browser flows: whether cookie, token, session and origin fit together.
    pub browser: Result<(), CsrfFailure>,
    /// For API flows: the header that must not be there, if it is.
    pub api: Result<(), ForbiddenHeader>,
}

/// A header that gives away a browser on an API flow (contract: settings 1.10.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForbiddenHeader {
    /// `Origin`.
    Origin,
    /// `Cookie`, with the names of those that no content delivery network added.
    Cookie(Vec<String>),
}

/// What came with a submit.
#[derive(Debug)]
pub enum Submitted {
    /// A form or JSON body. `Err` holds why it could not be read; the flow says so.
    Body(Result<keyward_services::payload::Payload, keyward_services::payload::PayloadError>),
    /// Nothing: resume what was paused.
    Nothing,
}
