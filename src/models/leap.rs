//! Leaps of event time where nobody knows when an entry was received, as in files.
//!
//! A time more than a horizon ahead of all that is known may be wrong, and so may the very first one. It is remembered,
//! and counts only once it is confirmed: by another such time within a horizon of it, or by two more anywhere ahead, as
//! sparse trades are. Then the earliest of those that confirm each other counts. A time that is not so far ahead
//! contradicts it, and it is forgotten. So one wrong time never moves a clock, nor do several with ordinary ones between.

use super::time::Nanos;
use serde::{Deserialize, Serialize};

/// The times that wait to be confirmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leap {
    first: Option<Nanos>,
    /// Another one, more than a horizon away from the first. Checkpoints hold it apart: the older ones had none.
    #[serde(skip)]
    second: Option<Nanos>,
}

impl Leap {
    /// No time waits.
    pub const NONE: Leap = Leap { first: None, second: None };

    /// Observes a time that is more than a horizon ahead. Returns the time that counts now, if that confirmed one.
    pub fn observe(&mut self, time: Nanos, horizon: i64) -> Option<Nanos> {
        let is_near = |other: &Nanos| other.0.abs_diff(time.0) <= horizon.unsigned_abs();
        let near = [self.first, self.second].into_iter().flatten().filter(is_near).min();
        let confirmed = match (near, self.first, self.second) {
            (Some(near), ..) => near.min(time),
            (None, Some(first), Some(second)) => first.min(second).min(time),
            (None, Some(_), None) => {
                self.second = Some(time);
                return None;
            }
            (None, None, _) => {
                self.first = Some(time);
                return None;
            }
        };
        *self = Leap::NONE;
        Some(confirmed)
    }

    /// Forgets what waits: a later entry contradicted it.
    #[inline]
    pub const fn forget(&mut self) {
        if self.first.is_some() {
            *self = Leap::NONE;
        }
    }

    /// Returns the time that waits second, for a checkpoint.
    #[must_use]
    pub const fn second(&self) -> Option<Nanos> {
        self.second
    }

    /// Puts back the time that waits second.
    pub const fn restore_second(&mut self, second: Option<Nanos>) {
        self.second = second;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What counts after each of these times, with a horizon of 5.
    fn heard(times: &[i64]) -> Vec<Option<i64>> {
        let mut leap = Leap::NONE;
        times.iter().map(|&time| leap.observe(Nanos(time), 5).map(|nanos| nanos.0)).collect()
    }

    #[test]
    fn a_time_near_another_confirms_it() {
        assert_eq!(heard(&[100, 103, 200]), [None, Some(100), None]);
        assert_eq!(heard(&[100, 95, 200]), [None, Some(95), None], "in any order");
        assert_eq!(heard(&[900, 100, 103]), [None, None, Some(100)], "a wrong one before them says nothing");
        assert_eq!(heard(&[100, 900, 103]), [None, None, Some(100)], "nor one between them");
    }

    #[test]
    fn sparse_times_confirm_each_other_by_threes() {
        assert_eq!(heard(&[100, 200, 300, 400]), [None, None, Some(100), None]);
        assert_eq!(heard(&[100, 900, 200]), [None, None, Some(100)], "the earliest counts");
    }

    #[test]
    fn what_is_contradicted_is_forgotten() {
        let mut leap = Leap::NONE;
        assert_eq!((leap.observe(Nanos(100), 5), leap.observe(Nanos(900), 5)), (None, None));
        leap.forget();
        assert_eq!(leap, Leap::NONE);
        assert_eq!(leap.observe(Nanos(100), 5), None);
        for time in [Nanos::MAX, Nanos::MIN] {
            leap.observe(time, i64::MAX);
        }
    }
}
