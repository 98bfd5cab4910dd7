//! What a story says when it did not refuse the request: one enum for each kind of flow.
//! Stories return them, `http::answer` turns them into statuses, bodies, cookies and redirects.
//! Refusals of a form are outcomes too: the flow shows what is wrong. Everything else is a [`keyward_model::Problem`].

use keyward_model::{ContinueWith, FlowType, IdentityId, Problem, Secret, Time};

use crate::view::{LoginView, MailedView, RegistrationView, SettingsView};

/// What happened to a flow of a kind whose view is `V` and whose success is `S`.
#[derive(Debug)]
pub enum Outcome<V, S> {
    /// A new flow was made.
    Created(V),
    /// A flow was read.
    Shown(V),
    /// The link of a message was followed: its page comes next, whoever asks (303).
    Opened(V),
    /// The form is refused, or its next step is due; the flow says which.
    Refused(V),
    /// Nothing was changed yet, but the flow shows something new: programs get it (200), a browser goes back to its page.
    Continued(V),
    /// The next step of the same method is due: a form goes back to its page, a script in a browser is told to go there (422),
    /// native clients get the flow (400).
    Stepped(V),
    /// A message is on its way, and the flow waits for what it says: programs get the flow (400), a browser goes back to its page.
    Mailed(V),
    /// The submit brought nothing, and only the page can ask: forms and scripts alike are sent to it (303, 422).
    SentBack(V),
    /// Too many wrong attempts: programs get 429, a browser its page with the flow's message.
    Throttled {
        /// The flow with its message.
        view: V,
        /// Seconds until the next attempt.
        retry_after: u32,
    },
    /// Nothing can be done here, and another page knows how to go on: programs get the refused flow (400), a browser is sent on to
    /// `location` (303).
    SentOn {
        /// The flow with its message.
        view: V,
        /// Where a browser goes.
        location: String,
    },
    /// The next step is another flow's: programs get this flow, which names it (200), a browser goes to its page.
    LedOn {
        /// The flow.
        view: V,
        /// Where a browser goes.
        location: String,
    },
    /// The browser goes to a provider and comes back later: a form is sent there (303), programs are told to send a browser (422).
    SentAway {
        /// Who talks.
        flow_type: FlowType,
        /// Where the browser goes.
        location: String,
    },
    /// A browser did an app's part at a provider and goes back to the app, which fetches what became of it (303).
    HandedOver {
        /// Where the browser goes.
        location: String,
    },
    /// The story came to its end.
    Done(S),
}

/// Settings stories.
pub type SettingsOutcome = Outcome<SettingsView, Saved>;
/// Login stories.
pub type LoginOutcome = Outcome<LoginView, SignedIn>;
/// Registration stories.
pub type RegistrationOutcome = Outcome<RegistrationView, Registered>;

/// What became of a sign-in or sign-up: with a provider, one turns into the other (contract: login 7.8, 10.3).
#[derive(Debug)]
pub enum Entry {
    /// It is about a login flow.
    Login(LoginOutcome),
    /// It is about a registration flow.
    Registration(RegistrationOutcome),
}

/// Where somebody who comes back from a provider had left from, and what became of it.
#[derive(Debug)]
pub enum Returned {
    /// A settings flow.
    Settings(Result<SettingsOutcome, Problem>),
    /// A login flow.
    Login(Result<Entry, Problem>),
    /// A registration flow.
    Registration(Result<Entry, Problem>),
}

/// Recovery stories.
pub type RecoveryOutcome = Outcome<MailedView, Recovered>;
/// Verification stories: an address that is confirmed is one more thing that the flow shows.
pub type VerificationOutcome = Outcome<MailedView, std::convert::Infallible>;

/// A change was stored.
#[derive(Debug)]
pub struct Saved {
    /// The flow after the change, `continue_with` included.
    pub view: SettingsView,
    /// Where a browser goes.
    pub location: String,
    /// When the session ends, for the cookie that is issued anew.
    pub session_expires_at: Time,
}

/// A session to hand out.
#[derive(Debug)]
pub struct IssuedSession {
    /// Its token. Only API clients see it; browsers get it sealed in a cookie.
    /// `None` when an existing session was raised or refreshed: the client keeps the token that it has.
    pub token: Option<Secret<String>>,
    /// When it ends.
    pub expires_at: Time,
    /// The session as JSON.
    pub json: String,
    /// Whether the CSRF secret must change: nobody was signed in before, or somebody else.
    pub rotate_csrf: bool,
}

/// Somebody proved who they are.
#[derive(Debug)]
pub struct SignedIn {
    /// Who talks.
    pub flow_type: FlowType,
    /// Whom the browser remembers to have signed in with all that their account asks for. Nobody while the second step is due:
    /// whoever only knows the password must not get a lane of attempts of their own for it.
    pub remembered: Option<IdentityId>,
    /// The session.
    pub session: IssuedSession,
    /// Where a browser goes.
    pub location: String,
    /// The second-factor login that must come first, when the session is too weak for `session.whoami.required_aal`.
    pub second_factor: Option<String>,
    /// What the client does next; API clients get `null` when it is empty.
    pub continue_with: Vec<ContinueWith>,
}

/// An account was made.
#[derive(Debug)]
pub struct Registered {
    /// Who talks.
    pub flow_type: FlowType,
    /// The new account's id; the browser remembers that it signed in as it.
    pub identity_id: IdentityId,
    /// The public identity as JSON.
    pub identity: String,
    /// The session, when the `session` hook hands it out.
    pub session: Option<IssuedSession>,
    /// Where a browser goes.
    pub location: String,
    /// What the client does next.
    pub continue_with: Vec<ContinueWith>,
}

/// Somebody is back in their account.
#[derive(Debug)]
pub struct Recovered {
    /// The flow at its end, `continue_with` included.
    pub view: MailedView,
    /// The session.
    pub session: IssuedSession,
    /// Where a browser goes: the settings page, unless the request asked for none.
    pub location: String,
    /// Whether scripts and apps get the flow (`feature_flags.use_continue_with_transitions`) or are told to send a browser.
    pub by_flow: bool,
}
