//! Instants and spans, in microseconds, because that is what both databases store exactly.
//! Every floor uses them; the text form is RFC 3339 in UTC with trailing zeros of the fraction removed, as the wire has it.
//! Nothing here reads a clock: "now" is an argument (see [`crate::Clock`]).

use std::fmt;
use std::ops::{Add, Sub};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// An instant in UTC: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(i64);

impl Time {
    /// From microseconds since the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From whole seconds since the Unix epoch.
    pub const fn from_unix(seconds: i64) -> Self {
        Self(seconds * MICROS_PER_SECOND)
    }

    /// Microseconds since the Unix epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn unix(self) -> i64 {
        self.0.div_euclid(MICROS_PER_SECOND)
    }

    /// The same instant with the fraction of the second removed.
    pub const fn truncated_to_seconds(self) -> Self {
        Self::from_unix(self.unix())
    }

    /// The span from `earlier` to `self`; zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Span {
        Span((self.0 - earlier.0).max(0))
    }

    /// Parses RFC 3339; digits below a microsecond are dropped. `None` when the text is no such date.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() < 20 || !text.is_ascii() {
            return None;
        }
        let number = |range: std::ops::Range<usize>| -> Option<i64> {
            let digits = text.get(range)?;
            digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
        };
        let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
        let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
        let separators =
            bytes[4] == b'-' && bytes[7] == b'-' && matches!(bytes[10], b'T' | b't') && bytes[13] == b':' && bytes[16] == b':';
        if !separators || !(1..=12).contains(&month) || !(1..=days_in_month(year, month)).contains(&day) {
            return None;
        }
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let mut rest = &text[19..];
        let mut micros = 0;
        if let Some(after) = rest.strip_prefix('.') {
            let digits = after.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 {
                return None;
            }
            for position in 0..6 {
                let digit = after.as_bytes().get(position).filter(|_| position < digits).map_or(0, |b| b - b'0');
                micros = micros * 10 + i64::from(digit);
            }
            rest = &after[digits..];
        }
        let offset = match rest.as_bytes() {
            [b'Z' | b'z'] => 0,
            [sign @ (b'+' | b'-'), ..] if rest.len() == 6 && rest.as_bytes()[3] == b':' => {
                let (hours, minutes) = (number(text.len() - 5..text.len() - 3)?, number(text.len() - 2..text.len())?);
                if hours > 23 || minutes > 59 {
                    return None;
                }
                (hours * 3600 + minutes * 60) * if *sign == b'-' { -1 } else { 1 }
            }
            _ => return None,
        };
        let seconds = days_from_civil(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second - offset;
        Some(Self(seconds * MICROS_PER_SECOND + micros))
    }
}

impl Add<Span> for Time {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for Time {
    type Output = Self;
    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.unix(), self.0.rem_euclid(MICROS_PER_SECOND));
        let (year, month, day) = civil_from_days(seconds.div_euclid(SECONDS_PER_DAY));
        let of_day = seconds.rem_euclid(SECONDS_PER_DAY);
        let mut text = *b"....-..-..T..:..:.........Z";
        let start = if (0..=9_999).contains(&year) {
            put_digits(&mut text[..4], year);
            0
        } else {
            // Such years may take more than four characters.
            write!(f, "{year:04}")?;
            4
        };
        for (start, number) in [(5, month), (8, day), (11, of_day / 3600), (14, of_day / 60 % 60), (17, of_day % 60)] {
            put_digits(&mut text[start..start + 2], number);
        }
        let end = if micros == 0 {
            19
        } else {
            put_digits(&mut text[20..26], micros);
            26 - text[20..26].iter().rev().take_while(|digit| **digit == b'0').count()
        };
        text[end] = b'Z';
        f.write_str(std::str::from_utf8(&text[start..=end]).map_err(|_| fmt::Error)?)
    }
}

/// Fills `digits` with a number that is not negative and has no more of them. Every answer holds several times, and the
/// formatting machinery takes ten times as long.
fn put_digits(digits: &mut [u8], mut number: i64) {
    for digit in digits.iter_mut().rev() {
        // Below ten, so it fits.
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl de::Visitor<'_> for Text {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an RFC 3339 date and time")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Time, E> {
                Time::parse(text).ok_or_else(|| E::custom("expected an RFC 3339 date and time"))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

/// A length of time in microseconds, never negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(i64);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// From microseconds; a negative number counts as zero.
    pub const fn from_micros(micros: i64) -> Self {
        Self(if micros < 0 { 0 } else { micros })
    }

    /// From whole seconds.
    pub const fn seconds(seconds: i64) -> Self {
        Self::from_micros(seconds * MICROS_PER_SECOND)
    }

    /// From whole minutes.
    pub const fn minutes(minutes: i64) -> Self {
        Self::seconds(minutes * 60)
    }

    /// From whole hours.
    pub const fn hours(hours: i64) -> Self {
        Self::minutes(hours * 60)
    }

    /// Microseconds.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds, rounded down.
    pub const fn as_seconds(self) -> i64 {
        self.0 / MICROS_PER_SECOND
    }

    /// For timers of the runtime.
    pub const fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_micros(self.0.unsigned_abs())
    }

    /// Parses the configuration grammar `([0-9]+(ns|us|ms|s|m|h))+`, for example `1h30m`.
    /// Anything below a microsecond is rounded up to one, so that a positive duration never becomes zero.
    /// `None` when the text does not follow the grammar or is longer than about 290 000 years.
    pub fn parse(text: &str) -> Option<Self> {
        let mut nanos: i128 = 0;
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let amount: i128 = rest.get(..digits)?.parse().ok()?;
            rest = &rest[digits..];
            let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
            let unit: i128 = match &rest[..letters] {
                "ns" => 1,
                "us" => 1_000,
                "ms" => 1_000_000,
                "s" => 1_000_000_000,
                "m" => 60_000_000_000,
                "h" => 3_600_000_000_000,
                _ => return None,
            };
            rest = &rest[letters..];
            nanos = nanos.checked_add(amount.checked_mul(unit)?)?;
        }
        if text.is_empty() {
            return None;
        }
        i64::try_from((nanos + 999) / 1_000).ok().map(Self)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}us", self.0)
    }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar, counted in 400-year eras that begin in March.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_trims_the_fraction() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_500_000, "1970-01-01T00:00:01.5Z"),
            (951_782_400_000_001, "2000-02-29T00:00:00.000001Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (4_102_444_800_000_000, "2100-01-01T00:00:00Z"),
            (4_102_444_800_123_450, "2100-01-01T00:00:00.12345Z"),
            (253_402_300_799_100_000, "9999-12-31T23:59:59.1Z"),
        ] {
            assert_eq!(Time::from_micros(micros).to_string(), text);
            assert_eq!(Time::parse(text), Some(Time::from_micros(micros)));
            let json = format!("\"{text}\"");
            assert_eq!(serde_json::to_string(&Time::from_micros(micros)).expect("a text"), json);
            assert_eq!(serde_json::from_str::<Time>(&json).expect("a time"), Time::from_micros(micros));
        }
        // No clock shows these, but a damaged row may.
        for (micros, text) in [
            (253_402_300_800_000_000, "10000-01-01T00:00:00Z"),
            (-62_167_219_200_000_001, "-001-12-31T23:59:59.999999Z"),
            (i64::MAX, "294247-01-10T04:00:54.775807Z"),
            (i64::MIN, "-290308-12-21T19:59:05.224192Z"),
        ] {
            assert_eq!(Time::from_micros(micros).to_string(), text);
        }
        assert_eq!(Time::parse("2026-03-03T12:00:00.123456789+01:30"), Time::parse("2026-03-03T10:30:00.123456Z"));
        for bad in [
            "",
            "2026-02-30T00:00:00Z",
            "2026-03-03 12:00:00Z",
            "2026-03-03T12:00:00",
            "2026-03-03T12:00:00.Z",
            "2026-03-03T24:00:00Z",
        ] {
            assert_eq!(Time::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn durations_follow_the_configuration_grammar() {
        assert_eq!(Span::parse("1h30m"), Some(Span::minutes(90)));
        assert_eq!(Span::parse("0s"), Some(Span::ZERO));
        assert_eq!(Span::parse("1ns"), Some(Span::from_micros(1)));
        assert_eq!(Span::parse("10m0s5ms"), Some(Span::from_micros(600_005_000)));
        for bad in ["", "1", "h", "1d", "-1s", "1.5h", "1h ", "99999999999999999999h"] {
            assert_eq!(Span::parse(bad), None, "{bad}");
        }
    }
}
