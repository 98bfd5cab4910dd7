//! A change of traits whose new address has to be confirmed first: it waits, and the account stays as it is.
//! The settings story comes here when the operator wants that (hook `verify_new_address`).
//! Knows neither how the code is sent nor how the change is applied in the end.

use keyward_model::{Flow, IdentitySnapshot, Message, Settings, VerifiableAddress};
use keyward_services::derive::Derived;
use keyward_services::schema::IdentitySchema;
use keyward_services::{flow_rows, storage_problem};
use keyward_store::{Batch, Refusal as Guarded, StoreError};

use super::super::verification_after::Cause;
use super::super::{pending_traits, store_form};
use super::{Changed, Submit, admitted, beaten, view};
use crate::gate::{self, Admission};
use crate::methods::{Refusal, SettingsContext, ShowOnce};

/// Lets a change wait until its new address is confirmed: nothing of the account changes, and the form shows what was typed.
pub(super) async fn hold(
    submit: &Submit<'_>,
    flow: &mut Flow<Settings>,
    (before, schema): (&IdentitySnapshot, &IdentitySchema),
    derived: &Derived,
    address: &VerifiableAddress,
    admission: Admission,
) -> Result<Changed, Refusal> {
    let Submit { app, visit, active, .. } = *submit;
    let transient = submit.transient_payload()?;
    let cause = Cause {
        flow_type: flow.flow_type,
        request_url: &flow.request_url,
        session: Some(active.session.id),
        transient_payload: transient.as_ref(),
    };
    let asked = pending_traits::Asked { session: active.session.id, settings_flow: flow.id, before, derived };
    let held = pending_traits::hold(app, visit, &cause, &asked, address).await?;
    let mut batch = Batch::new();
    admitted(submit, admission, &mut batch);
    held.write(app, &mut batch);
    show_typed(submit, flow, before, schema);
    flow_rows::update(app, flow, &mut batch);
    let (next, location) = (held.next(app), held.page(app));
    let outcome = app.store.commit(batch).await;
    if outcome.is_err() {
        held.give_back(app).await;
    }
    match outcome {
        Ok(()) => {
            let mut view = view(app, visit, flow, before, schema);
            view.continue_with.push(next);
            Ok(Changed::Held { view, location })
        }
        Err(StoreError::Refused(Guarded::AlreadyUsed)) => Err(gate::refresh_again(app, active, flow).into()),
        Err(StoreError::Refused(Guarded::VersionConflict)) => Err(beaten().into()),
        Err(error) => Err(storage_problem(error).into()),
    }
}

/// Only one address can wait to be confirmed.
pub(super) async fn one_at_a_time(
    submit: &Submit<'_>,
    flow: &mut Flow<Settings>,
    before: &IdentitySnapshot,
    schema: &IdentitySchema,
) -> Result<Changed, Refusal> {
    let Submit { app, visit, .. } = *submit;
    show_typed(submit, flow, before, schema);
    flow.form.messages.push(Message::plain(4_050_002));
    let mut batch = Batch::new();
    if let Some(container) = submit.paused() {
        batch.consume_container(container, visit.now);
    }
    store_form(app, flow, batch).await?;
    Ok(Changed::Kept(view(app, visit, flow, before, schema)))
}

/// Shows what was typed in the place of what is stored.
fn show_typed(submit: &Submit<'_>, flow: &mut Flow<Settings>, before: &IdentitySnapshot, schema: &IdentitySchema) {
    let Submit { app, visit, method, .. } = *submit;
    let echo = submit.echo(&SettingsContext { app, visit, flow, identity: before, schema });
    flow.form.clear();
    for (node, value) in echo {
        flow.form.echo(node, value);
    }
    ShowOnce::forget(&mut flow.memory);
    flow.extra.last_method = Some(method.id().to_owned());
}
