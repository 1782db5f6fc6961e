//! When a connection is replaced that the venue would end at a certain age.
//!
//! Promises: it is replaced before that age, at the hour that the user chose where that comes first, and never all
//! connections of a feed at once. No clock is read here, and nothing fails.

use super::super::time_of_day::TimeOfDay;
use crate::models::time::{DAY, Nanos, SECOND};
use std::time::Duration;

/// Time between the replacements of two connections at one hour: venues limit how many connect at a time.
const APART: i64 = 10 * SECOND;

/// Returns how old a connection becomes that was opened at a time. It is one of several of its feed, in this place.
pub(super) fn replace_after(
    age_max: Duration,
    opened: Nanos,
    at: usize,
    hour: Option<TimeOfDay>,
) -> Duration {
    let age_max = i64::try_from(age_max.as_nanos()).unwrap_or(i64::MAX / 4);
    let apart = i64::try_from(at).unwrap_or(i64::MAX).saturating_mul(APART);
    // The last of them in this life, so that a connection is not replaced without need.
    let chosen = hour.map(|hour| {
        let first = (hour.nanos() - opened.0).rem_euclid(DAY).saturating_add(apart.min(DAY / 24));
        first + (age_max - first).max(0) / DAY * DAY
    });
    let by_age = age_max - apart.min(age_max / 8);
    let age = chosen.filter(|age| (1..=age_max).contains(age)).unwrap_or(by_age);
    Duration::from_nanos(age.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::time::{HOUR, MINUTE};

    #[test]
    fn the_hour_comes_first_where_it_comes_in_time() {
        let hours = |hours: i64| Duration::from_nanos((hours * HOUR).unsigned_abs());
        let midnight = Nanos(20_000 * DAY);
        let four: TimeOfDay = "04:00".parse().expect("a time of day");
        let table = [
            (23, 0, 0, None, 23 * HOUR),
            (23, 0, 2, None, 23 * HOUR - 2 * APART),
            (23, 0, 1_000_000, None, 23 * HOUR - 23 * HOUR / 8),
            (23, 1, 0, Some(four), 3 * HOUR),
            (23, 1, 3, Some(four), 3 * HOUR + 3 * APART),
            (23, 6, 0, Some(four), 22 * HOUR),
            (23, 4, 0, Some(four), 23 * HOUR),
            (50, 1, 0, Some(four), 27 * HOUR),
            (2, 1, 0, Some(four), 2 * HOUR),
        ];
        for (age_max, opened, at, hour, expected) in table {
            let opened = midnight.plus(opened * HOUR);
            let age = replace_after(hours(age_max), opened, at, hour);
            assert_eq!(age.as_nanos(), expected.unsigned_abs().into(), "{age_max} h, opened at {opened:?}");
        }
        let just_before = midnight.plus(4 * HOUR - MINUTE);
        assert_eq!(replace_after(hours(23), just_before, 0, Some(four)), Duration::from_secs(60));
        assert!(!replace_after(Duration::MAX, midnight, 0, None).is_zero());
    }
}
