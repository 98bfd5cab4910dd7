//! Signing up with what a provider says: who is known already signs in, who owns the address connects it, and what the provider did
//! not tell is asked for.
//! The registration story comes here when somebody is back from a provider, and the login story when it does not know them.
//! Makes accounts only through the registration story.

use keyward_model::{CredentialType, EntryState, Flow, FormErrors, Login, Message, Problem, Registration};
use keyward_services::oidc::{Links, identifier};
use keyward_services::schema::IdentitySchema;
use keyward_services::{App, flow_rows, storage_problem};
use keyward_store::Batch;
use serde_json::{Value, json};

use super::{
    Ending, NotCreated, after_location, begin, create_account, find, refuse, return_to, schema, store_form, taken, view,
};
use crate::methods::oidc::{Arrival, COMPLETING, Offered, Oidc, applicant, refused};
use crate::methods::{Applicant, Refusal, TRAITS};
use crate::outcome::{Entry, Outcome, RegistrationOutcome};
use crate::stories::linking::Owner;
use crate::stories::{exchange, login, owner_of};
use crate::visit::Visit;

/// Goes on with a flow from which somebody left to a provider, or whose app has a token of one.
pub(in crate::stories) async fn arrive(
    app: &App,
    visit: &mut Visit,
    flow: Flow<Registration>,
    arrival: Arrival,
) -> Result<Entry, Problem> {
    let found_by = identifier(&arrival.provider, &arrival.subject.subject);
    let known = app.store.find_identity_by_identifier(CredentialType::Oidc, &found_by).await.map_err(storage_problem)?;
    if known.is_some() {
        return Box::pin(login::welcome(app, visit, &flow, &arrival)).await;
    }
    make(app, visit, flow, arrival).await
}

/// Makes an account for somebody who wanted to sign in with a provider and has none yet.
pub(in crate::stories) async fn welcome(
    app: &App,
    visit: &mut Visit,
    from: &Flow<Login>,
    arrival: Arrival,
) -> Result<Entry, Problem> {
    let mut flow = begin(app, visit, from.flow_type, &from.request_url);
    flow.extra.organization_id.clone_from(&from.extra.organization_id);
    flow.extra.identity_schema.clone_from(&from.extra.identity_schema);
    flow.extra.browser.clone_from(&from.extra.browser);
    exchange::hand_on(from, &mut flow);
    let mut batch = Batch::new();
    flow_rows::insert(app, &flow, &mut batch);
    app.store.commit(batch).await.map_err(storage_problem)?;
    make(app, visit, flow, arrival).await
}

async fn make(app: &App, visit: &mut Visit, mut flow: Flow<Registration>, arrival: Arrival) -> Result<Entry, Problem> {
    let schema = schema(app, &flow)?;
    let provider = app.oidc.get(&arrival.provider).ok_or(Problem::MethodDisabled)?;
    let location = match return_to(app, flow.query("return_to").as_deref()) {
        Ok(explicit) => explicit.unwrap_or_else(|| after_location(app, "oidc")),
        Err(_) => {
            let errors = FormErrors::global(Message::reason("The address to return to is not allowed."));
            return refuse(app, visit, flow, Some(&Oidc), errors, Vec::new()).await.map(Entry::Registration);
        }
    };
    let applicant = match applicant(app, visit, provider, &arrival).await {
        Ok(applicant) => applicant,
        Err(error) => {
            let errors = refused(provider, &error);
            return refuse(app, visit, flow, Some(&Oidc), errors, Vec::new()).await.map(Entry::Registration);
        }
    };
    let Offered { applicant, told } = applicant;
    let traits = applicant.edit.traits.clone().unwrap_or_default();
    // Only what the provider says of somebody leads to an owner: an address that was typed is asked about nowhere.
    let told = schema.normalise(told);
    if !app.config.selfservice.flows.registration.enabled {
        // An account that is there can be connected all the same.
        return match owner_of(app, schema, &told, None).await? {
            Some(owner) => ask(app, visit, flow, arrival, &owner).await,
            None => Err(Problem::FlowDisabled),
        };
    }
    let transient = arrival.transient_payload.clone();
    let ending = Ending { transient_payload: transient.as_ref(), location };
    match created(app, visit, &mut flow, schema, applicant, ending).await {
        Ok(outcome) => Ok(Entry::Registration(outcome)),
        Err(NotCreated::Refused(Refusal::Form(errors))) => {
            incomplete(app, visit, flow, arrival.provider, traits, errors).await.map(Entry::Registration)
        }
        Err(NotCreated::Refused(Refusal::Problem(problem))) => Err(problem),
        Err(NotCreated::Taken(traits)) => match owner_of(app, schema, &told, None).await? {
            Some(owner) => ask(app, visit, flow, arrival, &owner).await,
            None => {
                let message = match owner_of(app, schema, &traits, None).await? {
                    Some(_) => taken(app, schema, &traits).await?,
                    // Taken a moment ago, and free again; or by the same account at the provider.
                    None => Message::plain(4_000_027),
                };
                refuse(app, visit, flow, Some(&Oidc), FormErrors::global(message), Vec::new()).await.map(Entry::Registration)
            }
        },
    }
}

/// Asks the owner of an address to sign in and connect the account, unless one of the same provider is connected already.
async fn ask(app: &App, visit: &Visit, flow: Flow<Registration>, arrival: Arrival, owner: &Owner) -> Result<Entry, Problem> {
    let links = Links::of(owner.identity.credential(CredentialType::Oidc));
    if links.find(&arrival.provider).is_none() {
        return login::ask_owner(app, visit, &flow, arrival, owner).await.map(Entry::Login);
    }
    let reason = "The account with this address has another account of this provider connected. Sign in to it and disconnect that one first.";
    let errors = FormErrors::global(Message::reason(reason));
    refuse(app, visit, flow, Some(&Oidc), errors, Vec::new()).await.map(Entry::Registration)
}

async fn created(
    app: &App,
    visit: &Visit,
    flow: &mut Flow<Registration>,
    schema: &IdentitySchema,
    applicant: Applicant,
    ending: Ending<'_>,
) -> Result<RegistrationOutcome, NotCreated> {
    if flow.state == EntryState::PassedChallenge {
        return Err(FormErrors::global(Message::plain(4_010_003)).into());
    }
    create_account(app, visit, flow, schema, &Oidc, applicant, ending).await.map(Outcome::Done)
}

/// Asks for what the provider did not tell; everything else is filled in already.
async fn incomplete(
    app: &App,
    visit: &Visit,
    flow: Flow<Registration>,
    provider: String,
    traits: Value,
    errors: FormErrors,
) -> Result<RegistrationOutcome, Problem> {
    // The attempt may have left the flow half rewritten in memory: what is shown starts from what is stored.
    let mut flow = find(app, flow.id).await?;
    flow.form.clear();
    flow.form.echo(TRAITS, traits);
    flow.form.refuse(errors);
    flow.extra.active = Some("oidc".to_owned());
    flow.memory.0.insert("oidc".to_owned(), json!({ COMPLETING: provider }));
    store_form(app, &mut flow, Batch::new()).await?;
    Ok(Outcome::Refused(view(app, visit, &flow)?))
}
