//! The wall clock of the US exchanges, by the table of time zones. Venues name their sessions, and some their bars, in it.
//!
//! Promises: daylight saving as the table has it. A local time that there was twice is the earlier one; one that there
//! never was is none.

use crate::models::time::{DAY, MINUTE, Nanos, SECOND};
use chrono::{DateTime, NaiveDateTime, Offset, TimeZone};
use chrono_tz::America::New_York;

/// 09:30, when the regular session begins.
const OPEN: i64 = (9 * 60 + 30) * MINUTE;
/// 16:00, when it ends.
const CLOSE: i64 = 16 * 60 * MINUTE;

/// Returns what the wall clock shows, in nanoseconds since 00:00.
fn time_of_day(time: Nanos) -> i64 {
    let utc = DateTime::from_timestamp_nanos(time.0).naive_utc();
    let offset = New_York.offset_from_utc_datetime(&utc).fix().local_minus_utc();
    time.plus(i64::from(offset) * SECOND).0.rem_euclid(DAY)
}

/// True from 09:30 until before 16:00 on any day: holidays and days that end early are not told apart.
#[must_use]
pub fn is_regular_hours(time: Nanos) -> bool {
    (OPEN..CLOSE).contains(&time_of_day(time))
}

/// Reads a local time such as `2026-09-08 15:59:00`.
#[must_use]
pub fn read(text: &str) -> Option<Nanos> {
    let local = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok()?;
    let time = New_York.from_local_datetime(&local).earliest()?;
    time.timestamp_nanos_opt().map(Nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> Nanos {
        Nanos::from_rfc3339(text).expect("RFC 3339")
    }

    #[test]
    fn the_session_follows_daylight_saving() {
        for (time, is_regular) in [
            ("2026-01-15T14:29:59.999Z", false),
            ("2026-01-15T14:30:00Z", true),
            ("2026-01-15T20:59:59.999999999Z", true),
            ("2026-01-15T21:00:00Z", false),
            ("2026-07-15T13:29:59Z", false),
            ("2026-07-15T13:30:00Z", true),
            ("2026-07-15T20:00:00Z", false),
            // The Mondays after the clocks changed.
            ("2026-03-09T13:30:00Z", true),
            ("2026-11-02T13:30:00Z", false),
            ("1970-01-01T15:00:00Z", true),
        ] {
            assert_eq!(is_regular_hours(utc(time)), is_regular, "{time}");
        }
    }

    #[test]
    fn local_times_are_read_and_one_that_never_was_is_none() {
        for (local, time) in [
            ("2026-09-08 15:59:00", Some("2026-09-08T19:59:00Z")),
            ("2026-01-08 15:59:00", Some("2026-01-08T20:59:00Z")),
            ("2026-11-01 01:30:00", Some("2026-11-01T05:30:00Z")),
            ("2026-03-08 02:30:00", None),
            ("2026-09-08", None),
            ("", None),
        ] {
            assert_eq!(read(local), time.map(utc), "{local}");
        }
    }
}
