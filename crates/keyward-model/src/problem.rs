//! Every way in which Keyward says no, except refusals of a form, which are shown on the form.
//! Stories and services return them, `http::answer` alone turns them into statuses, bodies and redirects.
//! Holds facts, not wording, and nothing secret.

use crate::{Aal, FlowId, FlowType, Time, WaitingFlow};

/// A refusal.
#[derive(Clone, Debug, PartialEq)]
pub enum Problem {
    /// The endpoint needs a session and there is none that can be used.
    SessionInactive,
    /// A second factor was asked for without a session to raise.
    Aal1Required,
    /// The session's level is too low.
    Aal2Required {
        /// Where the second-factor login should lead back to; absolute.
        return_to: Option<String>,
        /// The identity has no second factor: lead to settings instead of a login that cannot succeed.
        enrol: bool,
    },
    /// The last proof is too old for this change.
    RefreshRequired {
        /// Where the login should lead back to; absolute.
        return_to: String,
        /// The level of the proof that has to be fresh; at [`Aal::Aal1`] any will do.
        aal: Aal,
    },
    /// Nobody signs in to this account before one of its addresses is confirmed.
    AddressUnverified {
        /// The verification flow that waits.
        flow: WaitingFlow,
        /// Its page.
        location: String,
    },
    /// Somebody is signed in already.
    SessionAlreadyAvailable {
        /// Where a browser goes instead.
        location: String,
    },
    /// The `flow` or `id` parameter is missing or no UUID.
    FlowIdMalformed,
    /// There is no such flow.
    FlowNotFound,
    /// A submit came too late; a replacement waits.
    FlowExpired {
        /// The new flow.
        replacement: FlowId,
        /// Who talks.
        flow_type: FlowType,
        /// When the old one ended.
        expired_at: Time,
    },
    /// A flow cannot go on for another reason than its age; a replacement says why.
    FlowReplaced {
        /// The new flow.
        replacement: FlowId,
        /// Who talks.
        flow_type: FlowType,
        /// The sentence of the replacement's message.
        reason: String,
    },
    /// A read came too late.
    FlowGone {
        /// Who talks.
        flow_type: FlowType,
        /// `return_to` of the old flow.
        return_to: Option<String>,
    },
    /// The flow belongs to somebody else.
    IdentityMismatch,
    /// A browser's submit without a valid CSRF token.
    Csrf(CsrfFailure),
    /// `return_to` leads to a place that is not allowed.
    ReturnToForbidden {
        /// What was asked for, cut when it is very long.
        return_to: String,
        /// The list, where it may be shown.
        allowed: Vec<String>,
    },
    /// The whole flow is switched off.
    FlowDisabled,
    /// The session in use cannot be ended by its id: that is what signing out is for.
    SessionInUse,
    /// The method is switched off.
    MethodDisabled,
    /// A password or code stood in an address.
    CredentialInQuery,
    /// Something else about the request is wrong.
    BadRequest {
        /// A short sentence for developers.
        reason: String,
    },
    /// Known but not allowed.
    Forbidden {
        /// A short sentence for developers.
        reason: String,
    },
    /// No such resource.
    NotFound {
        /// A short sentence for developers.
        reason: Option<String>,
    },
    /// It exists already.
    Conflict {
        /// A short sentence for developers.
        reason: String,
    },
    /// The request is larger than allowed.
    TooLarge,
    /// All hands are full (password hashing); try again.
    Busy {
        /// Seconds.
        retry_after: u32,
    },
    /// Too many wrong attempts in a row; wait before the next one.
    TooManyAttempts {
        /// Seconds.
        retry_after: u32,
    },
    /// A service that we depend on did not answer as it should.
    Upstream {
        /// A short sentence for developers.
        reason: String,
    },
    /// The database cannot be reached or is locked.
    Unavailable,
    /// The configuration asks for something that cannot be.
    Misconfigured {
        /// A short sentence for the operator.
        reason: String,
    },
    /// A mistake on our side; the cause stands in the log.
    Internal,
}

/// What exactly was wrong with the CSRF protection (contract: settings 1.10.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CsrfFailure {
    /// No cookie at all.
    NoCookies,
    /// Cookies, but not the CSRF cookie.
    NoCsrfCookie,
    /// The body had no token.
    NoToken,
    /// Cookie and token do not belong together, or not to this session.
    Mismatch,
    /// `Origin` or `Sec-Fetch-Site` say that another site sent this.
    CrossSite,
}
