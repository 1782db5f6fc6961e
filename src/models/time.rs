//! Time as integer nanoseconds UTC, and the widths of windows.

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, TimeZone, Utc};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Nanos(pub i64);

/// One second in nanoseconds.
pub const SECOND: i64 = 1_000_000_000;
/// One minute in nanoseconds.
pub const MINUTE: i64 = 60 * SECOND;
/// One hour in nanoseconds.
pub const HOUR: i64 = 60 * MINUTE;
/// One day in nanoseconds.
pub const DAY: i64 = 24 * HOUR;

impl Nanos {
    /// Earlier than every event.
    pub const MIN: Nanos = Nanos(i64::MIN);
    /// Later than every event.
    pub const MAX: Nanos = Nanos(i64::MAX);

    /// Reads an integer whose unit follows from its magnitude: seconds below 1e11, then milli-, micro-, nanoseconds.
    #[must_use]
    pub fn from_epoch(value: i64) -> Option<Nanos> {
        value.checked_mul(Nanos::unit_of(value)).map(Nanos)
    }

    /// Returns the unit of an integer by its magnitude, in nanoseconds.
    const fn unit_of(value: i64) -> i64 {
        match value.unsigned_abs() {
            0..100_000_000_000 => SECOND,
            100_000_000_000..100_000_000_000_000 => 1_000_000,
            100_000_000_000_000..100_000_000_000_000_000 => 1_000,
            _ => 1,
        }
    }

    /// Reads a number of seconds, or of finer units by its magnitude, as [`Nanos::from_epoch`] does, with a fraction: clocks
    /// of scripts give `1700000000.25`. What is finer than a nanosecond is cut.
    fn from_epoch_fraction(text: &str) -> Option<Nanos> {
        let (whole, fraction) = text.split_once('.')?;
        let is_number =
            (1..=18).contains(&fraction.len()) && fraction.bytes().all(|byte| byte.is_ascii_digit());
        let value: i64 = whole.parse().ok().filter(|_| is_number)?;
        let Some(time) = Nanos::from_epoch(value) else { return Some(Nanos::end_of_range(value)) };
        let parts: i128 = fraction.parse().ok()?;
        let beyond =
            parts * i128::from(Nanos::unit_of(value)) / 10_i128.pow(u32::try_from(fraction.len()).ok()?);
        let beyond = i64::try_from(beyond).expect("a fraction is less than a second");
        Some(time.plus(if whole.starts_with('-') { -beyond } else { beyond }))
    }

    /// Reads RFC 3339; a naive time or a bare date is UTC.
    #[must_use]
    pub fn from_rfc3339(text: &str) -> Option<Nanos> {
        plain_time(text).or_else(|| parse_rfc3339(text)?.timestamp_nanos_opt().map(Nanos))
    }

    /// Reads a time as a query gives it: RFC 3339, a date, an epoch number, or relative to `now` (`-1h`, `-1w`, `now`).
    /// What lies outside the range becomes its end: who asks from the year 1 on wants everything.
    #[must_use]
    pub fn from_query(text: &str, now: Nanos) -> Option<Nanos> {
        let text = text.trim();
        if text == "now" {
            return Some(now);
        }
        if let Some(span) = text.strip_prefix('-').and_then(long_span) {
            return Some(i64::try_from(span).map_or(Nanos::MIN, |span| now.plus(-span)));
        }
        if let Ok(value) = text.parse::<i64>() {
            return Some(Nanos::from_epoch(value).unwrap_or(Nanos::end_of_range(value)));
        }
        if let Some(time) = Nanos::from_epoch_fraction(text) {
            return Some(time);
        }
        let time = parse_rfc3339(text)?;
        Some(time.timestamp_nanos_opt().map_or(Nanos::end_of_range(time.timestamp()), Nanos))
    }

    /// Returns the end of the range on the side of the sign.
    const fn end_of_range(sign: i64) -> Nanos {
        if sign < 0 { Nanos::MIN } else { Nanos::MAX }
    }

    /// Shows the time as RFC 3339 UTC with 0, 3 or 6 fractional digits, whatever the time needs; finer digits are cut.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        let format = match self.0.rem_euclid(SECOND) / 1_000 {
            0 => SecondsFormat::Secs,
            micros if micros % 1_000 == 0 => SecondsFormat::Millis,
            _ => SecondsFormat::Micros,
        };
        Utc.timestamp_nanos(self.0).to_rfc3339_opts(format, true)
    }

    /// Returns the time without what is finer than a microsecond.
    #[must_use]
    pub const fn to_micros(self) -> Nanos {
        Nanos(self.0.div_euclid(1_000).saturating_mul(1_000))
    }

    /// Adds nanoseconds, stopping at the ends of the range.
    #[must_use]
    pub const fn plus(self, nanos: i64) -> Nanos {
        Nanos(self.0.saturating_add(nanos))
    }

    /// Returns the nanoseconds from `earlier` to `self`, stopping at the ends of the range.
    #[must_use]
    pub const fn since(self, earlier: Nanos) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// Reads `YYYY-MM-DDThh:mm:ss[.f][Z]`, the form of nearly every time that is read by the million, many times as fast as
/// [`parse_rfc3339`] does. `None` leaves the text to that.
fn plain_time(text: &str) -> Option<Nanos> {
    let (text, is_zoned) = match text.as_bytes() {
        [text @ .., b'Z'] => (text, true),
        text => (text, false),
    };
    let (head, fraction) = text.split_first_chunk::<19>()?;
    let has_separators = head[4] == b'-'
        && head[7] == b'-'
        && (head[10] == b'T' || head[10] == b' ' && !is_zoned)
        && head[13] == b':'
        && head[16] == b':';
    if !has_separators {
        return None;
    }
    let digit = |byte: u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0'));
    let two = |at: usize| Some(digit(head[at])? * 10 + digit(head[at + 1])?);
    let (year, month, day) = (two(0)? * 100 + two(2)?, two(5)?, two(8)?);
    let (hour, minute, second) = (two(11)?, two(14)?, two(17)?);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(is_leap),
        _ => return None,
    };
    // A leap second is left to others.
    if !(1..=days_in_month).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let nanos = match fraction {
        [] => 0,
        [b'.', digits @ ..] if (1..=9).contains(&digits.len()) => {
            let mut nanos = 0_i64;
            for at in 0..9 {
                nanos = nanos * 10 + digits.get(at).map_or(Some(0), |byte| digit(*byte))?;
            }
            nanos
        }
        _ => return None,
    };
    // Years that begin in March end with the leap day; 719,468 days are from the March of year 0 to 1970.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days = year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    i64::try_from(i128::from(seconds) * i128::from(SECOND) + i128::from(nanos)).ok().map(Nanos)
}

fn parse_rfc3339(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    for format in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(text, format) {
            return Some(time.and_utc());
        }
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    Some(date.and_hms_opt(0, 0, 0)?.and_utc())
}

/// Reads a span such as `90s`, `5m`, `5min`, `2h`, `7d`, `2w`, `1y`, `250ms` as nanoseconds; a year has 365 days.
#[must_use]
pub fn parse_span(text: &str) -> Option<i64> {
    long_span(text).and_then(|nanos| i64::try_from(nanos).ok())
}

/// Reads a span that may be longer than what nanoseconds count.
fn long_span(text: &str) -> Option<i128> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let count: i64 = text[..digits].parse().ok()?;
    let unit = match &text[digits..] {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" | "sec" => SECOND,
        "m" | "min" => MINUTE,
        "h" => HOUR,
        "d" => DAY,
        "w" => 7 * DAY,
        "y" => 365 * DAY,
        _ => return None,
    };
    Some(i128::from(count) * i128::from(unit))
}

/// Width of a tumbling window in nanoseconds: positive, and a divisor of 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Width(i64);

impl Width {
    /// One minute.
    pub const MINUTE: Width = Width(MINUTE);

    /// Returns the width, or `None` when it is not positive or does not divide 24 hours.
    #[must_use]
    pub const fn new(nanos: i64) -> Option<Width> {
        if nanos > 0 && DAY % nanos == 0 { Some(Width(nanos)) } else { None }
    }

    /// Reads a window's name: `1min`, `5m`, `30s`, `1h`, `1d`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Width> {
        parse_span(text).and_then(Width::new)
    }

    /// Returns the width in nanoseconds.
    #[must_use]
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Returns the start of the window that holds `time`, aligned to the UTC epoch; [`Nanos::MIN`] for the one that
    /// would begin before the range.
    #[must_use]
    pub const fn start_of(self, time: Nanos) -> Nanos {
        Nanos(time.0.saturating_sub(time.0.rem_euclid(self.0)))
    }

    /// Returns the end of the window that holds `time`, exclusive.
    #[must_use]
    pub const fn end_of(self, time: Nanos) -> Nanos {
        self.start_of(time).plus(self.0)
    }
}

impl fmt::Display for Width {
    /// Prints the name users know: `1min`, `15min`, `30s`, `1h`, `1d`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.0;
        match n {
            _ if n % DAY == 0 => write!(f, "{}d", n / DAY),
            _ if n % HOUR == 0 => write!(f, "{}h", n / HOUR),
            _ if n % MINUTE == 0 => write!(f, "{}min", n / MINUTE),
            _ if n % SECOND == 0 => write!(f, "{}s", n / SECOND),
            _ if n % 1_000_000 == 0 => write!(f, "{}ms", n / 1_000_000),
            _ => write!(f, "{n}ns"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_fast_way_reads_a_time_as_the_slow_one_does(
            date in (0_u16..10_000, 0_u8..14, 0_u8..33),
            time in (0_u8..25, 0_u8..61, 0_u8..62),
            separator in prop::sample::select(vec!["T", " ", "t"]),
            fraction in prop::option::of("[0-9]{0,11}"),
            zone in prop::sample::select(vec!["", "Z", "z", "+01:00"]),
        ) {
            let ((year, month, day), (hour, minute, second)) = (date, time);
            let fraction = fraction.map_or_else(String::new, |digits| format!(".{digits}"));
            let text = format!(
                "{year:04}-{month:02}-{day:02}{separator}{hour:02}:{minute:02}:{second:02}{fraction}{zone}"
            );
            let slow = parse_rfc3339(&text).and_then(|time| time.timestamp_nanos_opt().map(Nanos));
            if let Some(fast) = plain_time(&text) {
                prop_assert_eq!(Some(fast), slow, "{}", text);
            }
            prop_assert_eq!(Nanos::from_rfc3339(&text), slow);
        }

        #[test]
        fn the_fast_way_reads_what_is_written(nanos in any::<i64>()) {
            let time = Nanos(nanos).to_micros();
            prop_assert_eq!(plain_time(&time.to_rfc3339()), Some(time));
        }
    }

    #[test]
    fn reads_every_form_of_time() {
        let t = Nanos(1_700_000_000 * SECOND);
        let table = [
            ("2023-11-14T22:13:20Z", t),
            ("2023-11-14T23:13:20+01:00", t),
            ("2023-11-14T22:13:20", t),
            ("2023-11-14 22:13:20.5", t.plus(SECOND / 2)),
            ("2023-11-14", Nanos(1_699_920_000 * SECOND)),
            ("1700000000", t),
            ("1700000000000", t),
            ("1700000000000000", t),
            ("1700000000000000000", t),
            ("now", t.plus(HOUR)),
            ("-1h", t),
            ("-1w", t.plus(HOUR - 7 * DAY)),
            ("-1y", t.plus(HOUR - 365 * DAY)),
            ("-99999y", Nanos::MIN),
            ("2023-11-14 22:13", t.plus(-20 * SECOND)),
            ("2023-11-14 22:13:20", t),
            ("2023-11-14 22:13:20Z", t),
            ("1700000000.5", t.plus(SECOND / 2)),
            ("1700000000.123456789", t.plus(123_456_789)),
            ("1700000000000.25", t.plus(250_000)),
            ("-0.5", Nanos(-SECOND / 2)),
            ("99999999999.9", Nanos::MAX),
        ];
        for (text, expected) in table {
            assert_eq!(Nanos::from_query(text, t.plus(HOUR)), Some(expected), "{text}");
        }
        for text in ["", "yesterday", "-1q", "2023-13-01", "1700000000.", "1.5.5", "1e9", ".5", "1.x"] {
            assert_eq!(Nanos::from_query(text, t), None, "{text}");
        }
        for (text, end) in [
            ("0001-01-01", Nanos::MIN),
            ("0001-01-01T00:00:00Z", Nanos::MIN),
            ("9999-12-31T23:59:59Z", Nanos::MAX),
            ("-99999999999", Nanos::MIN),
            ("99999999999", Nanos::MAX),
        ] {
            assert_eq!(Nanos::from_query(text, t), Some(end), "{text}");
        }
        assert_eq!(Nanos::from_rfc3339("9999-12-31T23:59:59Z"), None);
    }

    #[test]
    fn prints_as_many_digits_as_needed() {
        let t = Nanos(1_700_000_000 * SECOND);
        assert_eq!(t.to_rfc3339(), "2023-11-14T22:13:20Z");
        assert_eq!(t.plus(5_000_000).to_rfc3339(), "2023-11-14T22:13:20.005Z");
        assert_eq!(t.plus(5_123).to_rfc3339(), "2023-11-14T22:13:20.000005Z");
        assert_eq!(t.plus(123).to_rfc3339(), "2023-11-14T22:13:20Z");
    }

    #[test]
    fn names_of_widths_round_trip() {
        for name in ["1s", "30s", "1min", "5min", "15min", "1h", "4h", "1d", "500ms"] {
            assert_eq!(Width::parse(name).map(|w| w.to_string()).as_deref(), Some(name));
        }
        assert_eq!(Width::parse("7min"), None, "does not divide a day");
        assert_eq!(Width::parse("60m").map(|w| w.to_string()).as_deref(), Some("1h"));
    }

    #[test]
    fn windows_align_below_the_epoch_too() {
        let minute = Width::parse("1min").expect("valid");
        assert_eq!(minute.start_of(Nanos(-1)), Nanos(-MINUTE));
        assert_eq!(minute.start_of(Nanos(MINUTE)), Nanos(MINUTE));
    }

    #[test]
    fn windows_at_the_ends_of_time_stop_there() {
        let day = Width::parse("1d").expect("valid");
        assert_eq!(day.start_of(Nanos::MIN), Nanos::MIN);
        assert_eq!(day.start_of(Nanos(i64::MIN + 1)), Nanos::MIN);
        let last = day.start_of(Nanos::MAX);
        assert!(last.0 % DAY == 0 && last < Nanos::MAX && last.plus(DAY) == Nanos::MAX);
    }
}
