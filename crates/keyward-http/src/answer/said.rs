//! What stories of different kinds say, brought into the one form that the table of answers reads.
//! [`crate::caller`] turns outcomes into it before they are answered.
//! Names no status.

use keyward_model::{FlowId, FlowType, Problem};
use keyward_selfservice::outcome::{Outcome, Recovered, Registered, Saved, SignedIn};
use keyward_selfservice::view::{LoginView, MailedView, RegistrationView, SettingsView};
use serde::Serialize;

use super::{Said, Shape};

/// What stories of different kinds say, in one type.
pub(crate) trait IntoSaid {
    /// # Errors
    /// [`Problem::Internal`] when the flow cannot be serialised.
    fn into_said(self) -> Result<Said, Problem>;
}

impl<V: View, S: Success> IntoSaid for Outcome<V, S> {
    fn into_said(self) -> Result<Said, Problem> {
        match self {
            Self::Created(view) => shape(&view).map(Said::Created),
            Self::Shown(view) => shape(&view).map(Said::Shown),
            Self::Opened(view) => shape(&view).map(Said::Opened),
            Self::Refused(view) => shape(&view).map(Said::Refused),
            Self::Continued(view) => shape(&view).map(Said::Continued),
            Self::Stepped(view) => shape(&view).map(Said::Stepped),
            Self::Mailed(view) => shape(&view).map(Said::Mailed),
            Self::SentBack(view) => shape(&view).map(Said::SentBack),
            Self::Throttled { view, retry_after } => Ok(Said::Throttled { shape: shape(&view)?, retry_after }),
            Self::SentOn { view, location } => Ok(Said::SentOn { shape: shape(&view)?, location }),
            Self::LedOn { view, location } => Ok(Said::LedOn { shape: shape(&view)?, location }),
            Self::SentAway { flow_type, location } => Ok(Said::SentAway { flow_type, location }),
            Self::HandedOver { location } => Ok(Said::HandedOver { location }),
            Self::Done(success) => success.into_said(),
        }
    }
}

/// A flow as clients see it, of any kind.
pub(crate) trait View: Serialize {
    fn key(&self) -> (FlowId, FlowType);
}

/// The end of a story of any kind.
pub(crate) trait Success {
    /// # Errors
    /// As [`IntoSaid::into_said`].
    fn into_said(self) -> Result<Said, Problem>;
}

impl View for SettingsView {
    fn key(&self) -> (FlowId, FlowType) {
        (self.id, self.flow_type)
    }
}

impl View for LoginView {
    fn key(&self) -> (FlowId, FlowType) {
        (self.id, self.flow_type)
    }
}

impl View for RegistrationView {
    fn key(&self) -> (FlowId, FlowType) {
        (self.id, self.flow_type)
    }
}

impl View for MailedView {
    fn key(&self) -> (FlowId, FlowType) {
        (self.id, self.flow_type)
    }
}

impl Success for Saved {
    fn into_said(self) -> Result<Said, Problem> {
        let shape = shape(&self.view)?;
        Ok(Said::Saved { shape, location: self.location, session_expires_at: self.session_expires_at })
    }
}

impl Success for SignedIn {
    fn into_said(self) -> Result<Said, Problem> {
        Ok(Said::SignedIn(self))
    }
}

impl Success for Registered {
    fn into_said(self) -> Result<Said, Problem> {
        Ok(Said::Registered(self))
    }
}

impl Success for Recovered {
    fn into_said(self) -> Result<Said, Problem> {
        let Self { view, session, location, by_flow } = self;
        Ok(Said::Recovered { shape: shape(&view)?, session, location, by_flow })
    }
}

impl Success for std::convert::Infallible {
    fn into_said(self) -> Result<Said, Problem> {
        match self {}
    }
}

/// Serialises a flow; what cannot be serialised is a mistake of ours.
pub(super) fn shape(view: &impl View) -> Result<Shape, Problem> {
    let (id, flow_type) = view.key();
    let json = serde_json::to_string(view).map_err(|error| {
        tracing::error!(%error, "a flow could not be serialised");
        Problem::Internal
    })?;
    Ok(Shape { id, flow_type, json })
}
