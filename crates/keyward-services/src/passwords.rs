//! Passwords of people: policy, breach lookup and the hash queue behind one door.
//! The method `password` and the admin API call it; both get the contract's messages back.
//! Knows neither flows nor rows: a stored hash is a text.

use keyward_model::{Message, Problem, Secret};
use serde_json::json;

use crate::App;
use crate::breach::BreachVerdict;
use crate::common_passwords::is_common;
pub use crate::hashing::Lane;
use crate::hashing::{HashError, Verdict};
use crate::password_policy::{PasswordPolicy, PasswordViolation};

/// Why a password is not taken.
#[derive(Debug)]
pub enum PasswordError {
    /// A message for the field.
    Refused(Message),
    /// The whole request is answered otherwise.
    Problem(Problem),
}

/// Checks a new password against everything but the identity's present one: length, likeness, the list of common passwords, leaks.
///
/// # Errors
/// The first violation, or what kept us from looking.
pub async fn check_policy(app: &App, password: &Secret<String>, identifiers: &[String]) -> Result<(), PasswordError> {
    app.hasher.check_length(password).map_err(error)?;
    let method = &app.config.selfservice.methods.password;
    let policy =
        PasswordPolicy { min_length: method.min_password_length, similarity_check: method.identifier_similarity_check_enabled };
    policy.check(password.reveal(), identifiers.iter().map(String::as_str)).map_err(|violation| {
        PasswordError::Refused(match violation {
            PasswordViolation::TooShort { min_length, actual_length } => {
                Message::new(4_000_032, json!({ "min_length": min_length, "actual_length": actual_length }))
            }
            PasswordViolation::TooSimilar => Message::plain(4_000_031),
        })
    })?;
    if is_common(password.reveal()) {
        let reason = "it is among those that are guessed first.";
        return Err(PasswordError::Refused(Message::new(4_000_005, json!({ "reason": reason }))));
    }
    let Some(lookup) = &app.breach else { return Ok(()) };
    match lookup.check(password).await {
        Ok(BreachVerdict::Acceptable | BreachVerdict::Unchecked) => Ok(()),
        Ok(BreachVerdict::Breached { breaches }) => {
            Err(PasswordError::Refused(Message::new(4_000_034, json!({ "breaches": breaches }))))
        }
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "The list of leaked passwords could not be asked");
            let reason = "The list of leaked passwords could not be asked.".to_owned();
            Err(PasswordError::Problem(Problem::Upstream { reason }))
        }
    }
}

/// Hashes a password with the configured parameters.
///
/// # Errors
/// When it is too long or the queue is full.
pub async fn hash(app: &App, password: &Secret<String>, lane: Lane) -> Result<Secret<String>, PasswordError> {
    app.hasher.hash(password, lane).await.map(Secret::new).map_err(error)
}

/// Compares a password with a stored hash. A hash that cannot be used never matches and costs a dummy, so that a broken
/// row looks like a wrong password.
///
/// # Errors
/// When the queue is full.
pub async fn verify(app: &App, password: &Secret<String>, stored: &str, lane: Lane) -> Result<Verdict, PasswordError> {
    let never = Verdict { matches: false, needs_rehash: false };
    match app.hasher.verify(password, stored, lane).await {
        Ok(verdict) => Ok(verdict),
        Err(HashError::Unusable(_)) => spend_dummy(app, password, lane).await.map(|()| never),
        Err(HashError::TooLong { .. }) => Ok(never),
        Err(other) => Err(error(other)),
    }
}

/// Costs as much as a comparison and answers nothing: for identifiers that do not exist.
///
/// # Errors
/// When the queue is full.
pub async fn spend_dummy(app: &App, password: &Secret<String>, lane: Lane) -> Result<(), PasswordError> {
    match app.hasher.dummy(password, lane).await {
        // Too long costs nothing for known identifiers either.
        Ok(()) | Err(HashError::TooLong { .. }) => Ok(()),
        Err(other) => Err(error(other)),
    }
}

fn error(error: HashError) -> PasswordError {
    match error {
        HashError::TooLong { max, actual } => {
            PasswordError::Refused(Message::new(4_000_033, json!({ "max_length": max, "actual_length": actual })))
        }
        HashError::Busy => PasswordError::Problem(Problem::Busy { retry_after: 1 }),
        HashError::Unusable(_) | HashError::Stopped => {
            tracing::error!(%error, "A password could not be hashed");
            PasswordError::Problem(Problem::Internal)
        }
    }
}
