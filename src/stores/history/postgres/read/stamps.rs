//! Times as PostgreSQL keeps them: in microseconds.
//!
//! Promises: a range of times in nanoseconds and the one in microseconds hold the same rows. Nothing here fails; a row that
//! makes no sense is named in its error.

use crate::models::time::Nanos;
use crate::stores::error::StoreError;
use chrono::{DateTime, Utc};
use std::fmt::Display;

/// Returns the first time in microseconds that is not before this one.
pub(super) fn at_or_after(time: Nanos) -> DateTime<Utc> {
    at_or_before(time.plus(999))
}

/// Returns the last time in microseconds that is not after this one.
pub(super) fn at_or_before(time: Nanos) -> DateTime<Utc> {
    DateTime::from_timestamp_nanos(time.to_micros().0)
}

/// Returns a time in nanoseconds.
pub(super) fn nanos(time: DateTime<Utc>) -> Nanos {
    Nanos(time.timestamp_micros().saturating_mul(1_000))
}

/// Makes the error for a row that makes no sense.
pub(super) fn senseless(table: &'static str, row: impl Display, what: impl Display) -> StoreError {
    StoreError::Permanent {
        context: "failed to read a row",
        cause: format!("table `{table}`, {row}: {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_the_same_rows_in_microseconds() {
        for (time, after, before) in
            [(0, 0, 0), (1, 1, 0), (999, 1, 0), (1_000, 1, 1), (-1, 0, -1), (-1_000, -1, -1)]
        {
            assert_eq!(at_or_after(Nanos(time)).timestamp_micros(), after, "{time}");
            assert_eq!(at_or_before(Nanos(time)).timestamp_micros(), before, "{time}");
        }
        for end in [Nanos::MIN, Nanos::MAX] {
            assert!(at_or_before(end) <= at_or_after(end));
        }
    }
}
