//! Lists of identities: what is asked for, and the `Link` header (contract: admin 8.1).
//! The handler of `GET /admin/identities` reads its parameters and writes its answer here.
//! Knows both paginations; what an identity is stands below.

use http::StatusCode;
use http::header::LINK;
use keyward_model::{CredentialType, IdentityId, Problem};
use keyward_services::admin::{Filter, ListQuery, ListedIdentities};
use serde_json::Value;
use uuid::Uuid;

use super::{bad, identity_id};
use crate::pagination::{link_to, number, size, unreadable_token};
use crate::public::sessions::TOTAL;
use crate::query::Query;
use crate::reply::Reply;

const LARGEST_SIZE: u32 = 500;
const MOST_IDS: usize = 500;
/// Legacy pagination leads no further.
const LARGEST_OFFSET: u32 = 1_000;
const PATH: &str = "/admin/identities";
/// The page token that starts a list.
const START: &str = "00000000-0000-0000-0000-000000000000";
/// Credential types that the wire knows and no identity has here.
const FOREIGN_TYPES: [&str; 3] = ["deviceauthn", "link_recovery", "code_recovery"];

/// A page of a list, with its links.
pub(super) fn show(query: &Query, (offset, limit): (Option<u32>, u32), listed: ListedIdentities) -> Reply {
    let links = match (offset, listed.total) {
        (Some(offset), Some(total)) => legacy_links(query, offset, limit, total),
        _ => {
            let first = link(query, &[("page_size", limit.to_string()), ("page_token", START.to_owned())], "first");
            let next =
                listed.next.map(|id| link(query, &[("page_size", limit.to_string()), ("page_token", id.to_string())], "next"));
            std::iter::once(first).chain(next).collect::<Vec<_>>().join(",")
        }
    };
    let reply = Reply::json(StatusCode::OK, Value::Array(listed.identities).to_string()).with(LINK, links);
    match listed.total {
        Some(total) => reply.with(TOTAL, total.to_string()),
        None => reply,
    }
}

/// Reads what a list asks for.
pub(super) fn read_list(query: &Query) -> Result<ListQuery, Problem> {
    let filters = ["ids", "credentials_identifier", "preview_credentials_identifier_similar", "organization_id"];
    if filters.into_iter().filter(|name| query.get(name).is_some()).count() > 1 {
        return Err(bad("Only one filter can be used at a time."));
    }
    let ids: Vec<IdentityId> = query.all("ids").flat_map(|text| text.split(',')).map(identity_id).collect::<Result<_, _>>()?;
    if ids.len() > MOST_IDS {
        return Err(bad("At most 500 ids can be asked for at once."));
    }
    let filter = if !ids.is_empty() {
        Filter::Ids(ids)
    } else if let Some(identifier) = query.get("credentials_identifier") {
        Filter::Identifier(identifier.to_owned())
    } else if let Some(prefix) = query.get("preview_credentials_identifier_similar") {
        Filter::IdentifierPrefix(prefix.to_owned())
    } else if let Some(organization) = query.get("organization_id") {
        Uuid::parse_str(organization).map_err(|_| bad("The organization_id is not a UUID."))?;
        Filter::Organization
    } else {
        Filter::All
    };
    let limit = size(query, &["page_size", "per_page"], LARGEST_SIZE)?;
    let after = match query.get("page_token") {
        None | Some(START) => None,
        Some(token) => Some(IdentityId::parse(token).ok_or_else(unreadable_token)?),
    };
    let offset = number::<u32>(query, "page")?.map(|page| page.saturating_mul(limit));
    if offset.is_some_and(|offset| offset > LARGEST_OFFSET) {
        return Err(bad("This far into the list only page_token leads."));
    }
    Ok(ListQuery { filter, include: included(query)?, after, offset, limit })
}

/// Whose config is to be shown.
pub(super) fn included(query: &Query) -> Result<Vec<CredentialType>, Problem> {
    let mut types = Vec::new();
    for text in query.all("include_credential").filter(|text| !FOREIGN_TYPES.contains(text)) {
        let unknown = || bad("The parameter include_credential names no credential type.");
        types.push(CredentialType::parse(text).ok_or_else(unknown)?);
    }
    Ok(types)
}

fn legacy_links(query: &Query, offset: u32, limit: u32, total: u64) -> String {
    let page = u64::from(offset / limit.max(1));
    let last = total.saturating_sub(1) / u64::from(limit.max(1));
    let at = |page: u64, relation| link(query, &[("page", page.to_string()), ("per_page", limit.to_string())], relation);
    let mut links = Vec::new();
    if page > 0 || last == 0 {
        links.push(at(0, "first"));
    }
    if page < last {
        links.push(at(page + 1, "next"));
    }
    if page > 0 {
        links.push(at(page - 1, "prev"));
    }
    if page < last {
        links.push(at(last, "last"));
    }
    links.join(",")
}

fn link(query: &Query, page: &[(&str, String)], relation: &str) -> String {
    link_to(PATH, query, page, relation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ListQuery, Problem> {
        read_list(&Query::parse(text))
    }

    #[test]
    fn lists_are_bounded_and_filters_exclude_each_other() {
        const ID: &str = "7f0c9a4e-3c55-4d5c-9c64-0a8f6f1b2c3d";
        for (text, limit, offset) in [
            ("", 250, None),
            ("page_size=5000", 500, None),
            ("page_size=0", 250, None),
            ("per_page=20", 20, None),
            ("page=2&per_page=20", 20, Some(40)),
            (&format!("page_token={START}&page_size=1"), 1, None),
        ] {
            let query = read(text).expect("usable");
            assert_eq!((query.limit, query.offset, query.after), (limit, offset, None), "{text}");
        }
        let filter = |text: &str| read(text).expect("usable").filter;
        let id = || IdentityId::parse(ID).expect("an id");
        for (text, expected) in [
            ("", Filter::All),
            (&format!("ids={ID}&ids={ID}"), Filter::Ids(vec![id(), id()])),
            ("credentials_identifier=A", Filter::Identifier("A".to_owned())),
            ("preview_credentials_identifier_similar=A", Filter::IdentifierPrefix("A".to_owned())),
            (&format!("organization_id={ID}"), Filter::Organization),
        ] {
            assert_eq!(filter(text), expected, "{text}");
        }
        assert_eq!(
            read("include_credential=deviceauthn&include_credential=totp").expect("usable").include,
            [CredentialType::Totp]
        );
        for text in [
            &format!("ids={ID}&credentials_identifier=x"),
            "ids=nope",
            "include_credential=foo",
            "page_token=nope",
            "page=x",
            "page=50&per_page=500",
            "organization_id=x",
        ] {
            assert!(matches!(read(text), Err(Problem::BadRequest { .. })), "{text}");
        }
    }

    #[test]
    fn legacy_links_name_the_neighbours() {
        let query = Query::parse("page=1&per_page=1");
        assert_eq!(
            legacy_links(&query, 1, 1, 3),
            concat!(
                "</admin/identities?page=0&per_page=1>; rel=\"first\",</admin/identities?page=2&per_page=1>; rel=\"next\",",
                "</admin/identities?page=0&per_page=1>; rel=\"prev\",</admin/identities?page=2&per_page=1>; rel=\"last\"",
            )
        );
        assert_eq!(legacy_links(&query, 0, 250, 3), "</admin/identities?page=0&per_page=250>; rel=\"first\"");
    }
}
