//! What a failing database means to the person who asked.
//! Services and stories call it at the point where they give up; nobody else looks into store errors.
//! Logs the cause once, here, because the answer will not tell it.

use keyward_model::Problem;
use keyward_store::StoreError;

/// Logs a store error and turns it into a refusal. Expected refusals (a guard that did not match, a taken identifier)
/// are handled before this point; here they count as internal.
#[expect(clippy::needless_pass_by_value, reason = "the error ends here; callers map with it")]
pub fn storage_problem(error: StoreError) -> Problem {
    match &error {
        StoreError::Unavailable(_) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "The database does not answer");
            Problem::Unavailable
        }
        _ => {
            tracing::error!(error = &error as &dyn std::error::Error, "The database refused a statement");
            Problem::Internal
        }
    }
}
