//! A document of a provider, kept for a while: fetched by one request while the others wait, and not again at once after a failure.
//! Metadata and key sets are kept in it.
//! Does not know what the document is.

use std::sync::Arc;

use keyward_model::{Span, Time};
use tokio::sync::Mutex;

use super::OidcError;

/// How long a document is used without asking again.
const KEPT: Span = Span::minutes(60);
/// How long an old document stands in while nobody answers.
const STALE: Span = Span::hours(24);
/// How long nobody asks again after a failure.
const PAUSE: Span = Span::seconds(10);
/// How often somebody may ask because a document was not enough.
const REFRESH: Span = Span::minutes(1);

/// A document, or the fact that there is none.
pub(super) struct Cached<T>(Mutex<Kept<T>>);

struct Kept<T> {
    value: Option<(Arc<T>, Time)>,
    /// When somebody asked last.
    asked: Option<Time>,
    /// How that ended, when not well.
    failed: Option<OidcError>,
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self(Mutex::new(Kept { value: None, asked: None, failed: None }))
    }
}

impl<T> std::fmt::Debug for Cached<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cached").finish_non_exhaustive()
    }
}

impl<T> Cached<T> {
    /// The document, fetched when it is old or was never there.
    pub(super) async fn get<F>(&self, now: Time, fetch: impl FnOnce() -> F) -> Result<Arc<T>, OidcError>
    where
        F: Future<Output = Result<T, OidcError>>,
    {
        let mut kept = self.0.lock().await;
        if let Some(value) = kept.young(now, KEPT) {
            return Ok(value);
        }
        if let Some(error) = kept.failed.clone().filter(|_| kept.asked_within(now, PAUSE)) {
            return kept.young(now, STALE).ok_or(error);
        }
        kept.ask(now, fetch().await)
    }

    /// A newer document than `than`, which was not enough; `None` when there is none and somebody asked a short while ago.
    pub(super) async fn newer<F>(&self, than: &Arc<T>, now: Time, fetch: impl FnOnce() -> F) -> Result<Option<Arc<T>>, OidcError>
    where
        F: Future<Output = Result<T, OidcError>>,
    {
        let mut kept = self.0.lock().await;
        // Somebody else was faster.
        if let Some((value, _)) = kept.value.as_ref().filter(|(value, _)| !Arc::ptr_eq(value, than)) {
            return Ok(Some(Arc::clone(value)));
        }
        if kept.asked_within(now, REFRESH) {
            return Ok(None);
        }
        kept.ask(now, fetch().await).map(|value| (!Arc::ptr_eq(&value, than)).then_some(value))
    }
}

impl<T> Kept<T> {
    fn young(&self, now: Time, age: Span) -> Option<Arc<T>> {
        self.value.as_ref().filter(|(_, fetched)| now < *fetched + age).map(|(value, _)| Arc::clone(value))
    }

    fn asked_within(&self, now: Time, span: Span) -> bool {
        self.asked.is_some_and(|asked| now < asked + span)
    }

    fn ask(&mut self, now: Time, outcome: Result<T, OidcError>) -> Result<Arc<T>, OidcError> {
        self.asked = Some(now);
        match outcome {
            Ok(value) => {
                let value = Arc::new(value);
                self.value = Some((Arc::clone(&value), now));
                self.failed = None;
                Ok(value)
            }
            Err(error) => {
                tracing::warn!(%error, "A document of a provider could not be fetched");
                self.failed = Some(error.clone());
                self.young(now, STALE).ok_or(error)
            }
        }
    }
}
