//! Submits that wait for a fresh sign-in: kept under a key that only the browser holds, and taken up again afterwards.
//! The settings story asks here for the body of every submit, and leaves here what has to wait.
//! Does not know why a sign-in is asked for.

use keyward_model::{Flow, FormErrors, Message, Problem, Settings};
use keyward_services::audit::{Event, EventKind};
use keyward_services::continuity::{self, Belongs, Opened};
use keyward_services::payload::Payload;
use keyward_services::session::ActiveSession;
use keyward_services::{App, storage_problem};
use keyward_store::{Batch, ContainerRow};

use crate::methods::{SETTINGS, SettingsMethod};
use crate::visit::{Submitted, Visit};

/// What is paused on a settings flow is its owner's.
pub(super) const fn belongs(flow: &Flow<Settings>) -> Belongs {
    Belongs { flow_id: flow.id, identity_id: Some(flow.extra.identity_id) }
}

/// A submit's body, and where it came from.
pub(super) struct Taken {
    pub(super) body: Payload,
    pub(super) paused: Option<ContainerRow>,
}

/// Reads the body, or opens what was paused when there is none. `Err` inside: what the form says.
pub(super) async fn take(
    app: &App,
    visit: &Visit,
    flow: &Flow<Settings>,
    submitted: Submitted,
) -> Result<Result<Taken, FormErrors>, Problem> {
    match submitted {
        Submitted::Body(Ok(body)) => return Ok(Ok(Taken { body, paused: None })),
        Submitted::Body(Err(error)) => return Ok(Err(error.into())),
        Submitted::Nothing => {}
    }
    for method in SETTINGS {
        let name = continuity::container_name(method.id());
        let opened = continuity::open::<Payload>(app, belongs(flow), &name, visit.now, &visit.held).await;
        let opened = opened.map_err(storage_problem)?;
        if let Some(Opened { container, content }) = opened {
            return Ok(Ok(Taken { body: content, paused: Some(container) }));
        }
    }
    let reason = "Nothing was sent, and no earlier change is waiting to be continued.";
    Ok(Err(FormErrors::global(Message::reason(reason))))
}

/// Keeps a submit that needs a fresh proof, so that it continues by itself after the re-login.
pub(super) async fn pause(
    app: &App,
    visit: &mut Visit,
    flow: &Flow<Settings>,
    active: &ActiveSession,
    method: &dyn SettingsMethod,
    body: &Payload,
) -> Result<(), Problem> {
    let mut batch = Batch::new();
    let now = visit.now;
    let name = continuity::container_name(method.id());
    continuity::pause(app, belongs(flow), &name, body, now, &mut visit.held, &mut batch).map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "A paused change could not be written down");
        Problem::Internal
    })?;
    let event = Event::done(EventKind::SettingsPaused).identity(active.session.identity_id).session(active.session.id);
    event.flow(flow.id).method(method.id()).write(app, &visit.client, now, &mut batch);
    app.store.commit(batch).await.map_err(storage_problem)
}
