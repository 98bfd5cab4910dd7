//! Which kind of answer a client wants: the two questions that the contract asks of `Accept` and `Content-Type`.
//! [`crate::caller`] asks them once per request, the answer table uses the verdicts.
//! Pure text in, truth values out; knows neither flows nor statuses.

use std::cmp::Reverse;

/// What a request says about the answers it can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wants {
    /// Refusals as JSON instead of redirects (contract: settings 1.2.2).
    pub(crate) json: bool,
    /// Successes as JSON instead of redirects (contract: settings 1.2.3).
    pub(crate) json_success: bool,
    /// `text/html` is named outright, as browsers do when they navigate.
    pub(crate) names_html: bool,
}

impl Wants {
    /// Judges the two header values; `None` is an absent header.
    pub(crate) fn read(accept: Option<&str>, content_type: Option<&str>) -> Self {
        let accept = accept.unwrap_or_default();
        Self {
            json: pick(accept, &["text/html", "text/*", "*/*", JSON]) == Some(JSON) || content_type.is_some_and(is_json_type),
            json_success: pick(accept, &["text/html", JSON]) == Some(JSON),
            names_html: ranges(accept).any(|range| range.name.eq_ignore_ascii_case("text/html") && range.quality > 0),
        }
    }
}

const JSON: &str = "application/json";

/// Whether a `Content-Type` is JSON, with or without parameters.
pub(crate) fn is_json_type(content_type: &str) -> bool {
    essence(content_type).eq_ignore_ascii_case(JSON)
}

/// A media type without its parameters.
pub(crate) fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

struct Range<'a> {
    name: &'a str,
    /// Thousandths.
    quality: u16,
}

/// The ranges of an `Accept` header (RFC 9110 section 12.5.1). Parameters other than `q` are ignored; an unreadable `q`
/// counts as 0, so that the range is left out.
fn ranges(accept: &str) -> impl Iterator<Item = Range<'_>> {
    accept.split(',').filter_map(|part| {
        let mut pieces = part.split(';').map(str::trim);
        let name = pieces.next().filter(|name| !name.is_empty())?;
        let weight = pieces.find_map(|piece| piece.strip_prefix("q=").or_else(|| piece.strip_prefix("Q=")));
        Some(Range { name, quality: weight.map_or(1_000, quality) })
    })
}

fn quality(text: &str) -> u16 {
    match text.trim().parse::<f32>() {
        // At most 1000 after the clamp, and not negative.
        Ok(weight) if weight.is_finite() => (weight.clamp(0.0, 1.0) * 1_000.0) as u16,
        _ => 0,
    }
}

/// The offer with the highest quality; among equals the one that was named most exactly, then the one offered first.
/// `None` when nothing fits. Unlike RFC 9110 a wildcard may raise an offer that is named with a lower quality: this is how
/// the reference server reads the header, and clients were written against it.
fn pick<'a>(accept: &str, offers: &[&'a str]) -> Option<&'a str> {
    let mut best: Option<(u16, u8, Reverse<usize>)> = None;
    for range in ranges(accept).filter(|range| range.quality > 0) {
        for (place, offer) in offers.iter().enumerate() {
            let exactness = match range.name.strip_suffix('*') {
                Some("*/") => 1,
                Some(kind) if kind.ends_with('/') && offer.starts_with(kind) => 2,
                _ if range.name.eq_ignore_ascii_case(offer) => 3,
                _ => continue,
            };
            best = best.max(Some((range.quality, exactness, Reverse(place))));
        }
    }
    best.and_then(|(_, _, Reverse(place))| offers.get(place).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_table_of_wishes() {
        const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
        for (accept, content_type, json, json_success) in [
            (None, None, false, false),
            (Some(""), None, false, false),
            (Some("*/*"), None, false, false),
            (Some(BROWSER), Some("application/x-www-form-urlencoded"), false, false),
            (Some("application/json"), None, true, true),
            (Some("application/json"), Some("application/x-www-form-urlencoded"), true, true),
            (Some("application/json, text/plain, */*"), None, true, true),
            (Some("APPLICATION/JSON"), None, true, true),
            (Some("application/*"), None, true, true),
            (None, Some("application/json"), true, false),
            (Some("*/*"), Some("application/json; charset=utf-8"), true, false),
            (Some("*/*"), Some("application/json;charset=UTF-8"), true, false),
            (Some("text/html"), Some("application/json"), true, false),
            (Some("*/*"), Some("application/jsonp"), false, false),
            (Some("text/html;q=0.9, application/json"), None, true, true),
            (Some("text/html, application/json;q=0.9"), None, false, false),
            (Some("text/html;q=0.5, application/json;q=0.5"), None, false, false),
            (Some("application/json;q=0"), None, false, false),
            (Some("application/json;q=0.000, text/html;q=0.1"), None, false, false),
            (Some("application/json;q=broken"), None, false, false),
            (Some("application/json;q=NaN"), None, false, false),
            (Some("application/json; charset=utf-8; q=0.7, */*; q=0.1"), None, true, true),
            (Some("text/plain, application/json"), None, true, true),
            (Some("text/*, application/json;q=0.9"), None, false, false),
            (Some(",;=,q=1,/,*"), None, false, false),
        ] {
            let wants = Wants::read(accept, content_type);
            assert_eq!((wants.json, wants.json_success), (json, json_success), "{accept:?} {content_type:?}");
        }
    }

    #[test]
    fn html_counts_as_named_only_when_it_is() {
        for (accept, named) in [("text/html,*/*;q=0.8", true), ("*/*", false), ("text/*", false), ("text/html;q=0", false)] {
            assert_eq!(Wants::read(Some(accept), None).names_html, named, "{accept}");
        }
    }
}
