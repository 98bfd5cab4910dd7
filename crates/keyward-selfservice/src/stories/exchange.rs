//! An app whose person goes to a provider with a browser: the app gets one code when its flow begins, the browser brings it another
//! one, and both together finish the flow, once (contract: login 13.9).
//! Login and registration begin an exchange, the provider story hands over what the browser brought, and `http` tells [`exchange`] for
//! `GET /sessions/token-exchange`.
//! What a browser brings makes nobody a session: whoever can send somebody through a browser need not be their app.

use keyward_model::{Flow, FlowType, Kind, Login, Problem, Registration, Span, Time};
use keyward_services::{App, flow_rows, storage_problem};
use keyward_store::{Batch, Refusal as Guarded, StoreError, TokenExchangeRow};
use serde_json::json;
use sha2::{Digest, Sha256};
use url::Url;

use super::{login, registration};
use crate::methods::oidc::Arrival;
use crate::outcome::{Entry, Outcome};
use crate::visit::Visit;

/// The member of a flow's memory that holds the digest of the app's code.
const MEMORY: &str = "session_token_exchange";
/// The member that holds who came back from the provider.
const ARRIVAL: &str = "oidc_arrival";
const LENGTH: usize = 64;
/// How long an app may take to finish.
const LASTS: Span = Span::minutes(10);

/// Begins an exchange where the app asks for one and nobody is signed in; gives the app's code.
pub(super) fn begin<K: Kind>(app: &App, visit: &Visit, flow: &mut Flow<K>, is_asked_for: bool) -> Option<String> {
    if !is_asked_for || flow.flow_type != FlowType::Api || visit.session.is_some() {
        return None;
    }
    let code = app.random().alphanumeric(LENGTH);
    flow.memory.0.insert(MEMORY.to_owned(), json!(digest(&code)));
    Some(code)
}

/// A flow that takes another one's place goes on with its exchange.
pub(super) fn hand_on<A: Kind, B: Kind>(from: &Flow<A>, to: &mut Flow<B>) {
    if let Some(kept) = from.memory.0.get(MEMORY) {
        to.memory.0.insert(MEMORY.to_owned(), kept.clone());
    }
}

/// Whether the app can take up what a browser brings.
pub(crate) fn is_begun<K: Kind>(flow: &Flow<K>) -> bool {
    flow.memory.0.contains_key(MEMORY)
}

/// Keeps who came back, and gives where the browser goes: to the app, with the other code. `location` is the flow's own `return_to`,
/// which was checked. `arrival`: nobody where the flow says why.
///
/// # Errors
/// When the flow was changed meanwhile, or no app waits.
pub(super) async fn hand_over<K: Kind>(
    app: &App,
    mut flow: Flow<K>,
    location: &str,
    arrival: Option<&Arrival>,
    now: Time,
) -> Result<String, Problem> {
    let init_code_hash = flow.memory.0.get(MEMORY).and_then(|kept| serde_json::from_value(kept.clone()).ok());
    let init_code_hash: [u8; 32] = init_code_hash.ok_or(Problem::FlowNotFound)?;
    let code = app.random().alphanumeric(LENGTH);
    let mut url = Url::parse(location).map_err(|_| Problem::FlowNotFound)?;
    let others: Vec<_> = url.query_pairs().into_owned().filter(|(name, _)| name != "code" && name != "flow").collect();
    url.query_pairs_mut().clear().extend_pairs(others).append_pair("code", &code);
    match arrival {
        Some(arrival) => {
            flow.memory.0.insert(ARRIVAL.to_owned(), serde_json::to_value(arrival).unwrap_or_default());
        }
        None if K::NAME == Registration::NAME => {
            url.query_pairs_mut().append_pair("flow", &flow.id.to_string());
        }
        None => {}
    }
    let mut batch = Batch::new();
    batch.insert_token_exchange(&TokenExchangeRow {
        init_code_hash,
        return_to_code_hash: digest(&code),
        flow_kind: K::NAME.to_owned(),
        flow_id: flow.id,
        expires_at: now + LASTS,
    });
    flow_rows::update(app, &mut flow, &mut batch);
    match app.store.commit(batch).await {
        Ok(()) => Ok(url.into()),
        Err(StoreError::Refused(Guarded::VersionConflict)) => {
            Err(Problem::Conflict { reason: "Another request changed this flow at the same moment; try again.".to_owned() })
        }
        Err(error) => Err(storage_problem(error)),
    }
}

/// Finishes what a browser began for an app.
///
/// # Errors
/// When a code is missing, when the two do not belong together, and when they were used or are too old.
pub async fn exchange(
    app: &App,
    visit: &mut Visit,
    init_code: Option<&str>,
    return_to_code: Option<&str>,
) -> Result<Entry, Problem> {
    let given = |code: Option<&str>| code.filter(|code| !code.is_empty()).map(digest);
    let (Some(init), Some(return_to)) = (given(init_code), given(return_to_code)) else {
        return Err(Problem::BadRequest { reason: "Both init_code and return_to_code are needed.".to_owned() });
    };
    let row = app.store.find_token_exchange(&init, &return_to).await.map_err(storage_problem)?;
    let row = row.filter(|row| row.expires_at > visit.now).ok_or_else(unknown)?;
    visit.flow_type = Some(FlowType::Api);
    // The flow was begun by nobody who was signed in, whoever asks now.
    visit.session = None;
    if row.flow_kind == Login::NAME {
        let flow = login::find(app, row.flow_id).await.map_err(|_| unknown())?;
        match take_up(app, visit, flow, &row).await? {
            (flow, Some(arrival)) => login::arrive(app, visit, flow, &arrival).await,
            (flow, None) => Ok(Entry::Login(Outcome::Refused(login::view(app, visit, &flow)))),
        }
    } else {
        let flow = registration::find(app, row.flow_id).await.map_err(|_| unknown())?;
        match take_up(app, visit, flow, &row).await? {
            (flow, Some(arrival)) => registration::arrive(app, visit, flow, arrival).await,
            (flow, None) => Ok(Entry::Registration(Outcome::Refused(registration::view(app, visit, &flow)?))),
        }
    }
}

fn unknown() -> Problem {
    Problem::NotFound { reason: Some("These two codes finish nothing, or did so before.".to_owned()) }
}

/// Uses the codes up, and takes out who came back. A flow that nobody came back to says why, to both codes as often as they ask.
async fn take_up<K: Kind>(
    app: &App,
    visit: &Visit,
    mut flow: Flow<K>,
    row: &TokenExchangeRow,
) -> Result<(Flow<K>, Option<Arrival>), Problem> {
    let Some(kept) = flow.memory.0.remove(ARRIVAL) else {
        // Nobody came back, or another request took them up since the codes were looked at.
        let still =
            app.store.find_token_exchange(&row.init_code_hash, &row.return_to_code_hash).await.map_err(storage_problem)?;
        return if still.is_some() { Ok((flow, None)) } else { Err(unknown()) };
    };
    if flow.is_expired(visit.now) {
        return Err(unknown());
    }
    let mut batch = Batch::new();
    batch.consume_token_exchange(row, visit.now);
    flow_rows::update(app, &mut flow, &mut batch);
    match app.store.commit(batch).await {
        Ok(()) => Ok((flow, serde_json::from_value(kept).ok())),
        Err(StoreError::Refused(Guarded::AlreadyUsed | Guarded::VersionConflict)) => Err(unknown()),
        Err(error) => Err(storage_problem(error)),
    }
}

fn digest(code: &str) -> [u8; 32] {
    Sha256::digest(code).into()
}
