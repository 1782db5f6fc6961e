//! When a connection is replaced that the venue would end at a certain age.
//!
//! Promises: it is replaced before that age, and never all connections of a feed at once. Where the user chose an hour and
//! the venue gives a connection a day or more, that is the only time of the day at which it happens: since a connection
//! opened at the hour would be ended at the same hour of the next day, it is replaced a minute before, and so each day a
//! minute earlier, until that has come to [`EARLY_MAX`]. Then it is replaced once more at the hour itself. No clock is
//! read here, and nothing fails.

use super::super::time_of_day::TimeOfDay;
use crate::models::time::{DAY, HOUR, MINUTE, Nanos, SECOND};
use std::time::Duration;

/// Time between the replacements of two connections at one hour: venues limit how many connect at a time.
const APART: i64 = 10 * SECOND;

/// How long before the venue ends a connection it is replaced, where no hour is chosen: time for many tries.
const BEFORE_END: i64 = HOUR;

/// The same at the chosen hour: time for a few tries. What is missed where they all fail is fetched over REST.
const BEFORE_END_AT_HOUR: i64 = MINUTE;

/// How much earlier than the chosen hour a connection may be replaced: some two months of a minute a day.
const EARLY_MAX: i64 = HOUR;

/// Returns how old a connection becomes that was opened at a time, of those that the venue ends at `age_max`. It is one of
/// several of its feed, in this place.
pub(super) fn replace_after(
    age_max: Duration,
    opened: Nanos,
    at: usize,
    hour: Option<TimeOfDay>,
) -> Duration {
    let age_max = i64::try_from(age_max.as_nanos()).unwrap_or(i64::MAX / 4);
    let apart = i64::try_from(at).unwrap_or(i64::MAX).saturating_mul(APART);
    let by_age = age_max - BEFORE_END.min(age_max / 8) - apart.min(age_max / 8);
    let at_hour = hour.and_then(|hour| {
        let oldest = age_max - BEFORE_END_AT_HOUR.min(age_max / 8);
        let first = (hour.nanos() - opened.0).rem_euclid(DAY).saturating_add(apart.min(DAY / 24));
        // The last of them in this life, so that a connection is not replaced without need.
        let last = first + (oldest - first).max(0) / DAY * DAY;
        let is_early = last < EARLY_MAX && age_max >= DAY;
        if is_early || (last > oldest && age_max >= DAY) {
            Some(oldest)
        } else {
            Some(last).filter(|age| *age <= oldest)
        }
    });
    Duration::from_nanos(at_hour.unwrap_or(by_age).max(0).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDNIGHT: Nanos = Nanos(20_000 * DAY);

    fn four() -> TimeOfDay {
        "04:00".parse().expect("a time of day")
    }

    fn hours(hours: i64) -> Duration {
        Duration::from_nanos((hours * HOUR).unsigned_abs())
    }

    #[test]
    fn the_hour_comes_first_where_it_comes_in_time() {
        let four = Some(four());
        let table = [
            (24, 0, 0, None, 23 * HOUR),
            (24, 0, 2, None, 23 * HOUR - 2 * APART),
            (24, 0, 1_000_000, None, 23 * HOUR - 3 * HOUR),
            (24, HOUR, 0, four, 3 * HOUR),
            (24, HOUR, 3, four, 3 * HOUR + 3 * APART),
            (24, 6 * HOUR, 0, four, 22 * HOUR),
            (24, 4 * HOUR, 0, four, 24 * HOUR - MINUTE),
            (24, 4 * HOUR + SECOND, 0, four, 24 * HOUR - MINUTE),
            (24, 4 * HOUR + MINUTE, 0, four, 24 * HOUR - MINUTE),
            // It was opened early, for this hour.
            (24, 4 * HOUR - MINUTE, 0, four, 24 * HOUR - MINUTE),
            (24, 3 * HOUR, 0, four, HOUR),
            (50, HOUR, 0, four, 27 * HOUR),
            (2, 3 * HOUR, 0, four, HOUR),
            (2, HOUR, 0, four, 2 * HOUR - HOUR / 4),
        ];
        for (age_max, opened, at, hour, expected) in table {
            let opened = MIDNIGHT.plus(opened);
            let age = replace_after(hours(age_max), opened, at, hour);
            assert_eq!(age.as_nanos(), expected.unsigned_abs().into(), "{age_max} h, opened at {opened:?}");
        }
        assert!(!replace_after(Duration::MAX, MIDNIGHT, 0, None).is_zero());
        assert!(!replace_after(Duration::MAX, MIDNIGHT, 0, four).is_zero());
    }

    #[test]
    fn a_year_of_connections_is_replaced_once_a_day_about_the_hour() {
        for at in [0, 5] {
            // What opening takes.
            let (mut opened, mut num_replaced) = (MIDNIGHT.plus(13 * HOUR), 0);
            while opened < MIDNIGHT.plus(366 * DAY) {
                let age = replace_after(hours(24), opened, at, Some(four()));
                let age = i64::try_from(age.as_nanos()).expect("a day");
                assert!(age <= 24 * HOUR - MINUTE, "before the venue ends it: {age}");
                opened = opened.plus(age + SECOND / 2);
                num_replaced += 1;
                let of_day = opened.0.rem_euclid(DAY);
                assert!((3 * HOUR - MINUTE..4 * HOUR + MINUTE).contains(&of_day), "{of_day}");
            }
            assert!((365..=373).contains(&num_replaced), "{num_replaced}");
        }
    }
}
