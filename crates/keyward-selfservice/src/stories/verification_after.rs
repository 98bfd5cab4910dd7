//! Verification flows that other flows begin: for a new account, a changed address, or somebody who signs in.
//! Registration, settings and login plan them here and write them with their own commit, so that there is a code exactly when there
//! is the change that needs it.
//! Knows neither how a code is typed nor what it gives.

use keyward_config::Hook;
use keyward_model::{
    AddressStatus, ContinueWith, EntryState, Flow, FlowId, FlowType, IdentityId, IdentitySnapshot, Problem, SessionId, Time,
    VerifiableAddress, Verification, Via, WaitingFlow,
};
use keyward_services::attempts::{self, Reserved};
use keyward_services::derive::{Derived, IdentityEdit, derive};
use keyward_services::{App, codes, flow_rows, storage_problem};
use keyward_store::{Batch, Refusal as Guarded, StoreError};
use serde_json::{Map, Value};
use url::Url;

use super::mailed::{self, Mailed as _};
use super::schema_of;
use super::verification::{self, CHANNEL, Target};
use crate::gate;
use crate::methods::Refusal;
use crate::visit::Visit;

/// The flow that begins a verification.
pub(super) struct Cause<'a> {
    /// Who talks.
    pub(super) flow_type: FlowType,
    /// The address that made it.
    pub(super) request_url: &'a str,
    /// The session that it hands out or has.
    pub(super) session: Option<SessionId>,
    /// What the client sent along for templates.
    pub(super) transient_payload: Option<&'a Map<String, Value>>,
}

/// Which addresses are asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// Those that are not confirmed: at registration and login.
    Unverified,
    /// Those that nothing was sent to yet: in settings.
    Pending,
}

/// Whether addresses can be confirmed here at all.
pub(super) fn is_on(app: &App) -> bool {
    let settings = Verification::settings(app);
    settings.enabled && mailed::is_enabled(app, settings.strategy)
}

/// A verification flow that is planned and not written yet.
pub(super) struct Begun {
    flow: Flow<Verification>,
    via: Via,
    value: String,
    /// The code and its message.
    rows: Batch,
    counted: Option<Reserved>,
}

/// Plans a flow for the first address in question; for each of them with `feature_flags.legacy_continue_with_verification_ui`. An
/// address that got too many messages, or that none can be written to, gets a flow that asks for it.
///
/// # Errors
/// When the database does not answer.
pub(super) async fn begin(
    app: &App,
    visit: &Visit,
    cause: &Cause<'_>,
    identity: &IdentitySnapshot,
    which: Which,
) -> Result<Vec<Begun>, Problem> {
    let mut begun = Vec::new();
    if !is_on(app) {
        return Ok(begun);
    }
    let known = identity.identity.verifiable_addresses.iter();
    let due = known.filter(|known| !known.verified && (which == Which::Unverified || known.status == AddressStatus::Pending));
    let most = if app.config.feature_flags.legacy_continue_with_verification_ui { usize::MAX } else { 1 };
    for address in due.take(most) {
        match begin_one(app, visit, cause, identity, address).await {
            Ok(one) => begun.push(one),
            Err(problem) => {
                give_back(app, begun).await;
                return Err(problem);
            }
        }
    }
    Ok(begun)
}

/// Plans a flow for one address, which need not be the account's yet.
///
/// # Errors
/// When the database does not answer.
pub(super) async fn begin_one(
    app: &App,
    visit: &Visit,
    cause: &Cause<'_>,
    identity: &IdentitySnapshot,
    address: &VerifiableAddress,
) -> Result<Begun, Problem> {
    let VerifiableAddress { via, value, .. } = address;
    let counted = match codes::admit_notice(app, value, &visit.client, visit.now).await {
        Ok(counted) => Some(counted),
        Err(Problem::TooManyAttempts { .. }) => None,
        Err(problem) => return Err(problem),
    };
    let mut flow = mailed::begin::<Verification>(app, visit, cause.flow_type, &request_url(cause.request_url));
    flow.owner.identity_id = Some(identity.identity.id);
    flow.extra.session = cause.session.filter(|_| cause.flow_type == FlowType::Browser);
    let mut begun = Begun { flow, via: *via, value: value.clone(), rows: Batch::new(), counted };
    let target = Target { via: *via, value, identity: Some(identity) };
    let is_sent =
        begun.counted.is_some() && verification::post(app, visit, &begun.flow, &target, cause.transient_payload, &mut begun.rows);
    if is_sent {
        begun.flow.state = EntryState::SentEmail;
        begun.flow.form.say(verification::sent(*via));
        mailed::remember_address(&mut begun.flow, value);
        begun.flow.memory.0.insert(CHANNEL.to_owned(), channel(*via).into());
    } else {
        begun.rows = Batch::new();
        begun.flow.form.echo("email", value.clone().into());
        if let Some(counted) = begun.counted.take() {
            counted.give_back(app).await;
        }
    }
    Ok(begun)
}

const fn channel(via: Via) -> &'static str {
    match via {
        Via::Email => "email",
        Via::Sms => "sms",
    }
}

/// The address of the flow that a verification comes from, with the place that is meant for afterwards.
fn request_url(caused_by: &str) -> String {
    const AFTERWARDS: &str = "after_verification_return_to";
    let Ok(mut url) = Url::parse(caused_by) else { return caused_by.to_owned() };
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    if pairs.iter().all(|(name, _)| name != AFTERWARDS) {
        return caused_by.to_owned();
    }
    let afterwards = pairs.iter().find(|(name, value)| name == AFTERWARDS && !value.is_empty()).map(|(_, value)| value.clone());
    let replaced = |name: &str| name == AFTERWARDS || (name == "return_to" && afterwards.is_some());
    url.query_pairs_mut()
        .clear()
        .extend_pairs(pairs.iter().filter(|(name, _)| !replaced(name)))
        .extend_pairs(afterwards.iter().map(|place| ("return_to", place)));
    if url.query() == Some("") {
        url.set_query(None);
    }
    url.into()
}

impl Begun {
    /// Notes in the account that a message is on its way.
    pub(super) fn mark(&self, derived: &mut Derived) {
        if self.is_sent() {
            derived.mark_sent(self.via, &self.value);
        }
    }

    /// Whether a message is on its way.
    pub(super) fn is_sent(&self) -> bool {
        self.flow.state == EntryState::SentEmail
    }

    fn is_pending_in(&self, identity: &IdentitySnapshot) -> bool {
        let mut known = identity.identity.verifiable_addresses.iter();
        let pending = |known: &VerifiableAddress| known.status == AddressStatus::Pending && !known.verified;
        known.any(|known| known.via == self.via && known.value == self.value && pending(known))
    }

    /// Adds the flow with its code and message to a commit, behind the account.
    pub(super) fn write(&self, app: &App, batch: &mut Batch) {
        flow_rows::insert(app, &self.flow, batch);
        batch.append(self.rows.clone());
    }

    /// The flow's id.
    pub(super) const fn id(&self) -> FlowId {
        self.flow.id
    }

    /// Lets the flow remember something more.
    pub(super) fn keeping(mut self, name: &str, value: Value) -> Self {
        self.flow.memory.0.insert(name.to_owned(), value);
        self
    }

    /// The page of the flow.
    pub(super) fn page(&self, app: &App) -> String {
        gate::page_url(Verification::settings(app).flow.ui_url.as_str(), self.flow.id)
    }

    /// What the client is told.
    pub(super) fn waiting(&self, app: &App) -> WaitingFlow {
        let url = (self.flow.flow_type == FlowType::Browser).then(|| self.page(app));
        WaitingFlow { id: self.flow.id, verifiable_address: Some(self.value.clone()), url }
    }

    /// What the client does next.
    pub(super) fn next(&self, app: &App) -> ContinueWith {
        ContinueWith::ShowVerificationUi { flow: self.waiting(app) }
    }
}

/// What a client is told of the flows after a registration or sign-in: clients go where they are told at once, so the operator has
/// to want it by the hook `show_verification_ui`, or by the flag that brings older behaviour back (contract: login 11).
pub(super) fn published(app: &App, begun: &[Begun], hooks: &[Hook]) -> Vec<ContinueWith> {
    let wanted = hooks.contains(&Hook::ShowVerificationUi) || app.config.feature_flags.legacy_continue_with_verification_ui;
    begun.iter().filter(|_| wanted).map(|begun| begun.next(app)).collect()
}

/// Adds planned flows to the commit of something else that does not change the account, and notes in the account what is on its way.
/// Yields the account as it is then.
///
/// # Errors
/// When the account's schema is gone.
pub(super) fn write_for(
    app: &App,
    begun: &[Begun],
    identity: IdentitySnapshot,
    now: Time,
    batch: &mut Batch,
) -> Result<IdentitySnapshot, Refusal> {
    let mut after = None;
    let is_news = |begun: &Begun| begun.is_sent() && begun.is_pending_in(&identity);
    if begun.iter().any(is_news) {
        let schema = schema_of(app, &identity)?;
        let mut derived = derive(schema, Some(&identity), &IdentityEdit::default(), now, app.random())?;
        begun.iter().for_each(|begun| begun.mark(&mut derived));
        derived.write(batch);
        after = Some(derived.snapshot());
    }
    begun.iter().for_each(|begun| begun.write(app, batch));
    Ok(after.unwrap_or(identity))
}

/// How often the account is looked at anew when somebody else wrote to it in between.
const ATTEMPTS: u32 = 3;

/// Begins a verification with nothing else to write: for the first address of an account that is not confirmed. `None` when there is
/// none, or nothing is confirmed here.
///
/// # Errors
/// When the database does not answer.
pub(super) async fn send_now(
    app: &App,
    visit: &Visit,
    cause: &Cause<'_>,
    identity: IdentityId,
) -> Result<Option<Begun>, Refusal> {
    for _ in 0..ATTEMPTS {
        let Some(found) = app.store.find_identity(identity).await.map_err(storage_problem)? else { return Ok(None) };
        let mut begun = begin(app, visit, cause, &found, Which::Unverified).await?;
        let mut batch = Batch::new();
        if let Err(refusal) = write_for(app, &begun, found, visit.now, &mut batch) {
            give_back(app, begun).await;
            return Err(refusal);
        }
        match app.store.commit(batch).await {
            Ok(()) => return Ok((!begun.is_empty()).then(|| begun.swap_remove(0))),
            Err(error) => {
                give_back(app, begun).await;
                if !matches!(error, StoreError::Refused(Guarded::VersionConflict | Guarded::Gone)) {
                    return Err(storage_problem(error).into());
                }
            }
        }
    }
    Err(Problem::Unavailable.into())
}

/// The commit came to nothing, so no message was sent.
pub(super) async fn give_back(app: &App, begun: Vec<Begun>) {
    attempts::give_back_all(app, begun.into_iter().filter_map(|begun| begun.counted).collect()).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_for_afterwards_takes_the_place_of_the_one_to_return_to() {
        for (caused_by, expected) in [
            ("https://id/r/browser", "https://id/r/browser"),
            ("https://id/r/browser?return_to=%2Fa", "https://id/r/browser?return_to=%2Fa"),
            ("https://id/r/browser?return_to=%2Fa&after_verification_return_to=%2Fb", "https://id/r/browser?return_to=%2Fb"),
            ("https://id/r/browser?after_verification_return_to=%2Fb&x=1", "https://id/r/browser?x=1&return_to=%2Fb"),
            ("https://id/r/browser?after_verification_return_to=&return_to=%2Fa", "https://id/r/browser?return_to=%2Fa"),
            ("https://id/r/browser?after_verification_return_to=", "https://id/r/browser"),
            ("no address", "no address"),
        ] {
            assert_eq!(request_url(caused_by), expected, "{caused_by}");
        }
    }
}
