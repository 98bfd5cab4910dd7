//! The steps of a sign-in before its proof: what a method asks for next, and what it sends.
//! The login story comes here when a method has not proved anybody yet.
//! Makes no session.

use keyward_model::{EntryState, Flow, FormErrors, IdentitySnapshot, Login, Message, Problem, Time};
use keyward_services::{App, attempts, flow_rows, storage_problem};
use keyward_store::{Batch, Refusal as Guarded, StoreError};

use super::{finish, refuse, view};
use crate::methods::{LOGIN, LoginContext, LoginMethod, Next, Queued, Sent};
use crate::outcome::{LoginOutcome, Outcome};
use crate::visit::Visit;

/// The member of a flow's memory that names the method whose next step is due.
pub(super) const DUE: &str = "due";

/// Lets methods send what they send by themselves; gives what is to be written with the flow.
pub(super) async fn open(
    app: &App,
    visit: &Visit,
    flow: &mut Flow<Login>,
    identity: &IdentitySnapshot,
) -> Result<Queued, Problem> {
    for method in LOGIN.iter().copied().filter(|method| method.enabled(&app.config)) {
        match method.open(&LoginContext { app, visit, flow }, identity).await {
            Ok(None) => {}
            Ok(Some(sent)) => return Ok(await_answer(flow, method, sent, visit.now)),
            // Nothing is sent then; the page says when it can be asked for.
            Err(Problem::TooManyAttempts { retry_after }) => {
                flow.form.messages.push(Message::new(7_900_001, serde_json::json!({ "retry_after": retry_after })));
            }
            Err(problem) => return Err(problem),
        }
    }
    Ok(Queued::default())
}

/// Turns a flow into one that waits for what a message says; gives what is to be written with it.
fn await_answer(flow: &mut Flow<Login>, method: &dyn LoginMethod, sent: Sent, now: Time) -> Queued {
    flow.memory.0.insert(method.id().to_owned(), sent.memory);
    flow.memory.0.insert(DUE.to_owned(), method.id().into());
    flow.form.say(sent.message);
    flow.state = EntryState::SentEmail;
    flow.extra.active = Some(method.id().to_owned());
    flow.extra.updated_at = now;
    sent.queued
}

/// Sends a message, and from now on shows only where its answer goes.
pub(super) async fn wait(
    app: &App,
    visit: &Visit,
    mut flow: Flow<Login>,
    method: &dyn LoginMethod,
    sent: Sent,
) -> Result<LoginOutcome, Problem> {
    let Queued { batch, counted } = await_answer(&mut flow, method, sent, visit.now);
    let finished = finish(app, &mut flow, batch).await;
    if finished.is_err() {
        attempts::give_back_all(app, counted).await;
    }
    match finished {
        Ok(()) => Ok(Outcome::Mailed(view(app, visit, &flow))),
        // Somebody signed in with this flow meanwhile.
        Err(StoreError::Refused(Guarded::VersionConflict | Guarded::AlreadyUsed)) => {
            refuse(app, visit, flow, Some(method), FormErrors::global(Message::plain(4_010_002)), Vec::new()).await
        }
        Err(error) => Err(storage_problem(error)),
    }
}

/// Keeps what a method asks for next, and shows nothing else.
pub(super) async fn step(
    app: &App,
    visit: &Visit,
    mut flow: Flow<Login>,
    method: &dyn LoginMethod,
    next: Next,
) -> Result<LoginOutcome, Problem> {
    flow.memory.0.insert(method.id().to_owned(), next.memory);
    flow.memory.0.insert(DUE.to_owned(), method.id().into());
    flow.form.say(next.message);
    flow.extra.active = Some(method.id().to_owned());
    flow.extra.updated_at = visit.now;
    let mut batch = Batch::new();
    flow_rows::update(app, &mut flow, &mut batch);
    match app.store.commit(batch).await {
        Ok(()) => Ok(Outcome::Stepped(view(app, visit, &flow))),
        // Another submit of this flow was faster: the page shows what it came to.
        Err(StoreError::Refused(Guarded::VersionConflict)) => {
            refuse(app, visit, flow, Some(method), FormErrors::global(Message::plain(4_010_002)), Vec::new()).await
        }
        Err(error) => Err(storage_problem(error)),
    }
}
