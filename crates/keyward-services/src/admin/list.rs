//! Reading identities: one, some, or a page of all (contract: admin 8.1, 8.2).
//! The admin port calls it.
//! Knows the filters; parameters and `Link` headers are the wire's.

use keyward_model::{CredentialType, IdentityId, IdentitySnapshot, Problem, Time, trim_identifier};
use keyward_store::{PageStart, StoreError};
use serde_json::Value;

use super::{Refused, Show, admin_form, bad_request};
use crate::derive::is_external_id;
use crate::{App, storage_problem};

/// One identity in its admin form; the config of the credentials in `include` is shown.
///
/// # Errors
/// When there is none.
pub async fn get_identity(app: &App, id: IdentityId, include: &[CredentialType]) -> Result<Value, Refused> {
    shown(app, app.store.find_identity(id).await, include)
}

/// The identity with an operator's own key.
///
/// # Errors
/// When there is none.
pub async fn get_identity_by_external_id(app: &App, id: &str, include: &[CredentialType]) -> Result<Value, Refused> {
    if !is_external_id(id) {
        return Err(Problem::NotFound { reason: None }.into());
    }
    shown(app, app.store.find_identity_by_external_id(id).await, include)
}

fn shown(app: &App, found: Result<Option<IdentitySnapshot>, StoreError>, include: &[CredentialType]) -> Result<Value, Refused> {
    let found = found.map_err(storage_problem)?.ok_or(Problem::NotFound { reason: None })?;
    Ok(admin_form(app, &found, Show::With(include)))
}

/// Which identities a list is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Filter {
    /// All.
    #[default]
    All,
    /// Only these.
    Ids(Vec<IdentityId>),
    /// Only those that sign in with this, as somebody would type it.
    Identifier(String),
    /// Only those that sign in with something that begins so.
    IdentifierPrefix(String),
    /// Only members of an organization; there are none.
    Organization,
}

/// What a list of identities asks for.
#[derive(Debug, Default)]
pub struct ListQuery {
    /// Which.
    pub filter: Filter,
    /// Show the config of these credentials.
    pub include: Vec<CredentialType>,
    /// Where the page starts: the last identity of the previous one.
    pub after: Option<IdentityId>,
    /// Legacy pagination: so many rows are skipped. Only without a filter.
    pub offset: Option<u32>,
    /// At most so many.
    pub limit: u32,
}

/// A page of identities in their admin form.
#[derive(Debug)]
pub struct ListedIdentities {
    /// The identities.
    pub identities: Vec<Value>,
    /// The last one's id, when there are more.
    pub next: Option<IdentityId>,
    /// How many there are in all; only with legacy pagination.
    pub total: Option<u64>,
}

/// Lists identities in the order in which they were made.
///
/// # Errors
/// For a page token that names no identity.
pub async fn list_identities(app: &App, query: ListQuery) -> Result<ListedIdentities, Refused> {
    let mut total = None;
    let mut next = None;
    let found = match &query.filter {
        Filter::Organization => Vec::new(),
        // Nobody's identifier has a zero character in it, and PostgreSQL cannot be asked for one.
        Filter::Identifier(text) | Filter::IdentifierPrefix(text) if text.contains('\0') => Vec::new(),
        Filter::Ids(ids) => app.store.find_identities(ids).await.map_err(storage_problem)?,
        Filter::Identifier(identifier) => by_identifier(app, identifier).await?,
        Filter::IdentifierPrefix(prefix) => {
            let prefix = trim_identifier(prefix).to_lowercase();
            let start = start(app, &query).await?.unwrap_or((Time::from_micros(i64::MIN), IdentityId(uuid::Uuid::nil())));
            // One more than asked for tells whether there is another page.
            let mut found =
                app.store.list_identities_by_prefix(&prefix, start, query.limit + 1).await.map_err(storage_problem)?;
            next = cut(&mut found, query.limit);
            found
        }
        Filter::All => match (query.offset, start(app, &query).await?) {
            (Some(offset), None) => {
                let count = app.store.count_identities().await.map_err(storage_problem)?;
                total = Some(u64::try_from(count).unwrap_or(0));
                app.store.list_identities(PageStart::Offset(offset), query.limit).await.map_err(storage_problem)?
            }
            (_, start) => {
                let start = start.map_or(PageStart::Offset(0), |(at, id)| PageStart::After(at, id));
                let mut found = app.store.list_identities(start, query.limit + 1).await.map_err(storage_problem)?;
                next = cut(&mut found, query.limit);
                found
            }
        },
    };
    let by_credentials = matches!(query.filter, Filter::Identifier(_) | Filter::IdentifierPrefix(_));
    let show = if by_credentials || !query.include.is_empty() { Show::With(&query.include) } else { Show::Nothing };
    let identities = found.iter().map(|identity| admin_form(app, identity, show)).collect();
    Ok(ListedIdentities { identities, next, total })
}

async fn start(app: &App, query: &ListQuery) -> Result<Option<(Time, IdentityId)>, Refused> {
    let Some(last) = query.after else { return Ok(None) };
    let last = app.store.find_identity(last).await.map_err(storage_problem)?;
    let last = last.ok_or_else(|| bad_request("The page token is no longer valid."))?.identity;
    Ok(Some((last.created_at, last.id)))
}

/// Cuts a page to its size; the last one that stays, when something was cut off.
fn cut(found: &mut Vec<IdentitySnapshot>, limit: u32) -> Option<IdentityId> {
    let limit = limit as usize;
    if found.len() <= limit {
        return None;
    }
    found.truncate(limit);
    found.last().map(|last| last.identity.id)
}

/// Names that people type are compared in their canonical spelling, links to providers as they are. A space before the sign of
/// an address, where none can be, was a plus that was not encoded.
async fn by_identifier(app: &App, identifier: &str) -> Result<Vec<IdentitySnapshot>, Refused> {
    let mut candidates = crate::phone::login_candidates(identifier);
    if !candidates.iter().any(|candidate| candidate == identifier) {
        candidates.push(identifier.to_owned());
    }
    if let Some((local, domain)) = identifier.trim().rsplit_once('@').filter(|(local, _)| local.contains(' ')) {
        candidates.extend(crate::phone::login_candidates(&format!("{}@{domain}", local.replace(' ', "+"))));
    }
    for candidate in candidates {
        let found = app.store.find_identities_by_any_identifier(&candidate).await.map_err(storage_problem)?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}
