//! Pages of lists: the query parameters in, the `Link` header out (contract: login 13.8).
//! Every list reads its size here; session and schema lists are read by offsets, which are counted in rows from 0.
//! Knows no list: how many rows there are is an argument.

use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyward_model::Problem;
use serde::{Deserialize, Serialize};

use crate::query::Query;

const DEFAULT_SIZE: u32 = 250;
/// The most rows of a page, where a list has no bound of its own.
pub(crate) const LARGEST_SIZE: u32 = 1_000;

/// Which rows are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageQuery {
    /// Rows to skip.
    pub(crate) offset: u64,
    /// Rows to return, 1 to 1000.
    pub(crate) size: u64,
}

/// What a page token says; opaque for clients, the same as in the reference server.
#[derive(Serialize, Deserialize)]
struct Token {
    offset: String,
    v: u8,
}

impl PageQuery {
    /// Reads `page_size` with `page_token`, or `page` (from 0) with `per_page`. Sizes are clamped.
    ///
    /// # Errors
    /// When a number or token cannot be read.
    pub(crate) fn read(query: &Query) -> Result<Self, Problem> {
        let size = u64::from(size(query, &["page_size", "per_page"], LARGEST_SIZE)?);
        let offset = match (query.get("page_token"), number::<u64>(query, "page")?) {
            (Some(token), _) => read_token(token).ok_or_else(unreadable_token)?,
            (None, page) => page.unwrap_or(0).saturating_mul(size),
        };
        // Databases count in signed numbers.
        Ok(Self { offset: offset.min(i64::MAX as u64), size })
    }

    /// The `Link` header (RFC 8288) for a list at `path` of `total` rows, of which `returned` are on this page.
    pub(crate) fn links(self, path: &str, query: &Query, total: u64, returned: usize) -> String {
        if total <= self.size && self.offset == 0 {
            return link(path, query, 0, returned as u64, "first");
        }
        let page = self.offset / self.size;
        let last = total.saturating_sub(1) / self.size;
        let mut links = Vec::new();
        if page > 0 {
            links.push(link(path, query, 0, self.size, "first"));
        }
        if page < last {
            links.push(link(path, query, page + 1, self.size, "next"));
        }
        if page > 0 {
            links.push(link(path, query, page - 1, self.size, "prev"));
        }
        if page < last {
            links.push(link(path, query, last, self.size, "last"));
        }
        links.join(",")
    }
}

/// How many rows a page is to have: what the first of these parameters that is there says, the default for 0 or without one.
///
/// # Errors
/// When one of them is no number.
pub(crate) fn size(query: &Query, names: &[&str], largest: u32) -> Result<u32, Problem> {
    let mut asked = None;
    for name in names {
        let given = number::<u64>(query, name)?;
        asked = asked.or(given);
    }
    let asked = asked.filter(|size| *size > 0).map_or(DEFAULT_SIZE, |size| u32::try_from(size).unwrap_or(u32::MAX));
    Ok(asked.min(largest))
}

/// A whole number, if the parameter is there.
///
/// # Errors
/// When it is something else.
pub(crate) fn number<T: FromStr>(query: &Query, name: &str) -> Result<Option<T>, Problem> {
    let refused = |_| Problem::BadRequest { reason: format!("The parameter {name} must be a whole number.") };
    query.get(name).map(|text| text.parse().map_err(refused)).transpose()
}

/// The refusal of a token that is none of ours.
pub(crate) fn unreadable_token() -> Problem {
    Problem::BadRequest { reason: "The page token cannot be read.".to_owned() }
}

fn read_token(token: &str) -> Option<u64> {
    let token: Token = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    token.offset.parse().ok()
}

fn write_token(offset: u64) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::json!({ "offset": offset.to_string(), "v": 2 }).to_string())
}

fn link(path: &str, query: &Query, page: u64, size: u64, relation: &str) -> String {
    let (token, size) = (write_token(page.saturating_mul(size)), size.to_string());
    let place = [("page", page.to_string()), ("page_size", size.clone()), ("page_token", token), ("per_page", size)];
    link_to(path, query, &place, relation)
}

/// One entry of a `Link` header (RFC 8288): the same request at another `place` of its list.
pub(crate) fn link_to(path: &str, query: &Query, place: &[(&str, String)], relation: &str) -> String {
    let mut pairs: Vec<(&str, String)> = query
        .pairs()
        .filter(|(name, value)| !value.is_empty() && !matches!(*name, "page" | "per_page" | "page_size" | "page_token"))
        .map(|(name, value)| (name, value.to_owned()))
        .collect();
    pairs.extend(place.iter().cloned());
    pairs.sort_by_key(|(name, _)| *name);
    let text = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    format!("<{path}?{text}>; rel=\"{relation}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<(u64, u64), String> {
        PageQuery::read(&Query::parse(query)).map(|page| (page.offset, page.size)).map_err(|problem| match problem {
            Problem::BadRequest { reason } => reason,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn both_spellings_are_read_and_sizes_clamped() {
        let token = write_token(40);
        for (query, expected) in [
            ("", Ok((0, 250))),
            ("page_size=10", Ok((0, 10))),
            ("page_size=0", Ok((0, 250))),
            ("page_size=5000", Ok((0, 1_000))),
            ("page=3&per_page=20", Ok((60, 20))),
            ("per_page=20", Ok((0, 20))),
            ("page=18446744073709551615&per_page=20", Ok((i64::MAX as u64, 20))),
            (&format!("page_size=20&page_token={token}"), Ok((40, 20))),
            ("page_size=0&per_page=20", Ok((0, 250))),
            ("page_token=broken!", Err("The page token cannot be read.")),
            ("page=-1", Err("The parameter page must be a whole number.")),
            ("page_size=ten", Err("The parameter page_size must be a whole number.")),
            ("page_size=10&per_page=ten", Err("The parameter per_page must be a whole number.")),
        ] {
            assert_eq!(read(query), expected.map_err(str::to_owned), "{query}");
        }
    }

    #[test]
    fn relations_depend_on_where_the_page_lies() {
        for (query, total, returned, relations) in [
            ("", 0, 0, "first"),
            ("", 3, 3, "first"),
            ("page_size=2", 5, 2, "next,last"),
            ("page=1&per_page=2", 5, 2, "first,next,prev,last"),
            ("page=2&per_page=2", 5, 1, "first,prev"),
        ] {
            let links = PageQuery::read(&Query::parse(query)).expect("readable").links(
                "/sessions",
                &Query::parse(query),
                total,
                returned,
            );
            let found: Vec<_> = links.split("rel=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
            assert_eq!(found.join(","), relations, "{links}");
        }
        let query = Query::parse("active=true");
        let page = PageQuery { offset: 0, size: 250 };
        assert_eq!(
            page.links("/sessions", &query, 1, 1),
            format!("</sessions?active=true&page=0&page_size=1&page_token={}&per_page=1>; rel=\"first\"", write_token(0)),
        );
    }
}
