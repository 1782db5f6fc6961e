//! Reads the newest rows of a range a stretch of time at a time, from its end back.
//!
//! A statement that speaks of a year is planned over the partitions of a year, which takes longer than to read what it gives:
//! most callers want fewer rows than a day has. So the first stretch is as long as the rows should take where the market never
//! closes, and what is still missing then is looked for in ones that are longer and longer, and in the end in all of the rest.
//!
//! Promises: the rows are those of one statement over the whole range. On failure: what the first statement that fails says.

use crate::models::time::{DAY, Nanos};
use crate::stores::error::StoreError;
use std::sync::atomic::{AtomicI64, Ordering};

/// How long stretches reach back, in spans. A market that is open a quarter of the day needs the second one; each partition
/// that a connection has not read from before costs it half a millisecond.
const REACHES: [i64; 4] = [1, 5, 20, 80];

/// The newest time that was read so far. Queries without an end begin near it and not at the end of all times.
#[derive(Debug)]
pub(in crate::stores::history::postgres) struct NewestSeen(AtomicI64);

impl Default for NewestSeen {
    fn default() -> NewestSeen {
        NewestSeen(AtomicI64::new(Nanos::MIN.0))
    }
}

impl NewestSeen {
    /// Takes note of a time.
    pub(in crate::stores::history::postgres) fn note(&self, time: Nanos) {
        self.0.fetch_max(time.0, Ordering::Relaxed);
    }

    /// Returns where to begin for a range that ends then; [`Nanos::MIN`] where nobody knows.
    fn begin_for(&self, end: Nanos) -> Nanos {
        match Nanos(self.0.load(Ordering::Relaxed)) {
            Nanos::MIN if end < Nanos::MAX => end,
            seen => end.min(seen),
        }
    }
}

/// Cuts a range into at most five stretches that together are all of it, the newest first. Both ends of each belong to it.
fn stretches(start: Nanos, end: Nanos, begin: Nanos, span: i64) -> Vec<(Nanos, Nanos)> {
    let mut stretches = Vec::with_capacity(REACHES.len() + 1);
    let mut until = end;
    if begin > Nanos::MIN {
        for reach in REACHES {
            let from = begin.plus(-span.saturating_mul(reach)).max(start);
            if from > until {
                continue;
            }
            stretches.push((from, until));
            if from == start {
                return stretches;
            }
            until = from.plus(-1);
        }
    }
    if start <= until {
        stretches.push((start, until));
    }
    stretches
}

/// Returns at most `limit` rows of a range, the newest first. `span` is about how long they take, in nanoseconds; `read`
/// reads a stretch, both ends included.
pub(super) async fn newest<T, F>(
    (start, end): (Nanos, Nanos),
    seen: &NewestSeen,
    span: i64,
    limit: usize,
    read: impl Fn(Nanos, Nanos, usize) -> F,
) -> Result<Vec<T>, StoreError>
where
    F: Future<Output = Result<Vec<T>, StoreError>>,
{
    let mut rows = Vec::new();
    for (from, until) in stretches(start, end, seen.begin_for(end), span.max(DAY)) {
        rows.extend(read(from, until, limit - rows.len()).await?);
        if rows.len() >= limit {
            break;
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn stretches_are_the_whole_range_from_its_end_back(
            start in -50_i64..50, len in -3_i64..100, seen in -80_i64..120, span in 1_i64..30,
        ) {
            let (start, end) = (Nanos(start), Nanos(start + len));
            for begin in [Nanos(seen).min(end), Nanos::MIN] {
                let stretches = stretches(start, end, begin, span);
                prop_assert!(stretches.len() <= REACHES.len() + 1);
                let mut covered = Vec::new();
                for (from, until) in &stretches {
                    prop_assert!(from <= until);
                    covered.extend((from.0..=until.0).rev());
                }
                let whole: Vec<i64> = (start.0..=end.0).rev().collect();
                prop_assert_eq!(covered, whole);
            }
        }
    }

    #[test]
    fn a_range_without_ends_begins_near_the_newest_row() {
        let seen = NewestSeen::default();
        assert_eq!(
            stretches(Nanos::MIN, Nanos::MAX, seen.begin_for(Nanos::MAX), DAY),
            [(Nanos::MIN, Nanos::MAX)]
        );
        assert_eq!(seen.begin_for(Nanos(7 * DAY)), Nanos(7 * DAY), "an end that is given is as good");
        seen.note(Nanos(1_000 * DAY));
        seen.note(Nanos(900 * DAY));
        let first = stretches(Nanos::MIN, Nanos::MAX, seen.begin_for(Nanos::MAX), DAY)[0];
        assert_eq!(first, (Nanos(999 * DAY), Nanos::MAX));
    }
}
