//! The configuration in force, as both listeners see it.
//! Whoever holds it may swap the app while requests run; every request takes one and keeps it to its end.
//! Does not load or judge configurations.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use keyward_services::App;

use crate::site::Site;

/// The app that new requests use. Swapping it leaves requests under way with the app that they began with.
pub type AppState = Arc<ArcSwap<App>>;

/// Puts an app into force.
pub fn app_state(app: App) -> AppState {
    Arc::new(ArcSwap::from_pointee(app))
}

/// An app together with what the wire derives from its configuration.
pub(crate) struct Known {
    pub(crate) app: Arc<App>,
    pub(crate) site: Site,
}

/// Gives each request its app.
pub(crate) struct Front {
    state: AppState,
    known: ArcSwapOption<Known>,
}

impl Front {
    pub(crate) fn new(state: AppState) -> Arc<Self> {
        Arc::new(Self { state, known: ArcSwapOption::empty() })
    }

    /// The app in force. The first request after a reload works out its site.
    pub(crate) fn enter(&self) -> Arc<Known> {
        let app = self.state.load_full();
        if let Some(known) = self.known.load_full().filter(|known| Arc::ptr_eq(&known.app, &app)) {
            return known;
        }
        let known = Arc::new(Known { site: Site::new(&app.config), app });
        self.known.store(Some(Arc::clone(&known)));
        known
    }
}
