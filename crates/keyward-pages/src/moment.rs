//! Dates as people read them, from the RFC 3339 text of the wire.
//! Session and error pages call it for every `<time>` element.
//! It reads no clock, so it never says "yesterday"; times are in UTC and say so.

use keyward_model::{Lang, Time};
use serde::Serialize;

use crate::texts;

/// An instant for `<time datetime>` and for the eye.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub(crate) struct Moment {
    /// The machine form, RFC 3339 in UTC to the second.
    pub(crate) iso: String,
    /// For example `24 Nov 2026, 16:04 UTC`.
    pub(crate) text: String,
}

/// `None` for anything but RFC 3339 and for the zero date that stands for "never".
pub(crate) fn moment(lang: Lang, raw: &str) -> Option<Moment> {
    let time = Time::parse(raw)?.truncated_to_seconds();
    let iso = time.to_string();
    let part = |range: std::ops::Range<usize>| iso.get(range);
    let (year, month, day, clock) = (part(0..4)?, part(5..7)?, part(8..10)?, part(11..16)?);
    if year == "0001" {
        return None;
    }
    let months = texts::text(lang, "months")?;
    let month = months.split(' ').nth(month.parse::<usize>().ok()?.checked_sub(1)?)?;
    let day = day.trim_start_matches('0');
    let text = match lang {
        Lang::En => format!("{day} {month} {year}, {clock} UTC"),
        Lang::De => format!("{day}. {month} {year}, {clock} UTC"),
    };
    Some(Moment { text, iso })
}

/// The day only, for example `24 Nov`; with its year unless that is the year of `now` (RFC 3339 as well).
pub(crate) fn day(lang: Lang, raw: &str, now: &str) -> Option<Moment> {
    let full = moment(lang, raw)?;
    let (date, _) = full.text.split_once(',')?;
    let year = full.iso.get(0..4)?;
    let this_year = Time::parse(now).is_some_and(|now| now.to_string().get(0..4) == Some(year));
    let text = if this_year { date.trim_end_matches(year).trim_end() } else { date };
    Some(Moment { text: text.to_owned(), iso: full.iso.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_read_naturally_in_both_languages() {
        let cases = [
            (Lang::En, "2026-11-24T16:04:59.123456789Z", Some("24 Nov 2026, 16:04 UTC")),
            (Lang::De, "2026-03-03T08:00:00Z", Some("3. März 2026, 08:00 UTC")),
            (Lang::En, "2026-03-03T01:30:00+02:00", Some("2 Mar 2026, 23:30 UTC")),
            (Lang::En, "0001-01-01T00:00:00Z", None),
            (Lang::En, "2026-13-01T00:00:00Z", None),
            (Lang::En, "<script>", None),
        ];
        for (lang, raw, want) in cases {
            assert_eq!(moment(lang, raw).map(|m| m.text).as_deref(), want, "{raw}");
        }
    }

    #[test]
    fn days_name_their_year_only_where_it_is_another_one() {
        let cases = [
            (Lang::En, "2026-11-19T07:30:00Z", "2026-11-24T16:04:00Z", Some("19 Nov")),
            (Lang::De, "2026-11-19T07:30:00Z", "2026-11-24T16:04:00Z", Some("19. Nov.")),
            (Lang::En, "2025-12-31T23:10:00Z", "2026-11-24T16:04:00Z", Some("31 Dec 2025")),
            (Lang::De, "2025-12-31T23:10:00Z", "", Some("31. Dez. 2025")),
            (Lang::En, "yesterday", "2026-11-24T16:04:00Z", None),
        ];
        for (lang, raw, now, want) in cases {
            assert_eq!(day(lang, raw, now).map(|day| day.text).as_deref(), want, "{raw}");
        }
    }
}
