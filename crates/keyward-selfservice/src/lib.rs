//! The self-service stories (registration, login, recovery, verification, settings, logout) and the methods they are told with.
//! `http` calls the stories with values and turns what they say into answers.
//! Never sees a request or a response, and names no status code.

mod gate;
pub mod methods;
pub mod outcome;
pub mod stories;
pub mod view;
pub mod visit;
pub mod webauthn_script;

pub use outcome::{
    IssuedSession, LoginOutcome, Outcome, Recovered, RecoveryOutcome, Registered, RegistrationOutcome, Saved, SettingsOutcome,
    SignedIn, VerificationOutcome,
};
pub use visit::{Client, Device, ForbiddenHeader, Guard, Submitted, Visit};
