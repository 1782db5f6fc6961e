//! The clock of recorded data: how far event time has come, and when a clock mark is due.
//!
//! Event time is the newest time that is confirmed. A time more than a horizon ahead of it (and so the very first one)
//! is only remembered until others confirm it, by the rule that symbols follow too ([`Leap`]). So a single wrong time
//! never moves the clock, and after a quiet night the second entry does.

use crate::models::leap::Leap;
use crate::models::time::{Nanos, SECOND};

/// Follows the event times of entries in the order of the log.
#[derive(Clone, Debug)]
pub struct RecordedClock {
    horizon: i64,
    newest: Nanos,
    /// End of the second that the last mark (or the first time) lies in: a newest time from here on makes a mark due.
    next_mark: Nanos,
    leap: Leap,
}

impl RecordedClock {
    pub fn new(horizon: i64) -> RecordedClock {
        RecordedClock { horizon, newest: Nanos::MIN, next_mark: Nanos::MIN, leap: Leap::NONE }
    }

    /// Makes a clock that goes on where another one stood.
    pub fn resumed(horizon: i64, newest: Nanos) -> RecordedClock {
        RecordedClock { newest, next_mark: newest, ..RecordedClock::new(horizon) }
    }

    /// Returns the newest confirmed event time; [`Nanos::MIN`] before there is one.
    pub fn newest(&self) -> Nanos {
        self.newest
    }

    /// True when the time is so far ahead that it needs another one to confirm it.
    #[inline]
    pub(super) fn is_far_ahead(&self, time: Nanos) -> bool {
        self.newest == Nanos::MIN || time.0 > self.newest.0.saturating_add(self.horizon)
    }

    /// Takes in an entry's event time. Returns the time of the mark that stands behind the entry, when the newest time
    /// came into another second: the beginning of that second.
    #[inline]
    pub fn observe(&mut self, time: Nanos) -> Option<Nanos> {
        if self.is_far_ahead(time) {
            self.newest = self.newest.max(self.leap.observe(time, self.horizon)?);
        } else {
            self.leap.forget();
            self.newest = self.newest.max(time);
        }
        if self.newest < self.next_mark {
            return None;
        }
        let second = Nanos(self.newest.0.div_euclid(SECOND).saturating_mul(SECOND));
        self.next_mark = second.plus(SECOND);
        Some(second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::time::MINUTE;

    fn marks(times: &[i64]) -> Vec<Option<i64>> {
        let mut clock = RecordedClock::new(5 * MINUTE);
        times.iter().map(|&ms| clock.observe(Nanos(ms * 1_000_000)).map(|mark| mark.0 / SECOND)).collect()
    }

    #[test]
    fn a_mark_stands_behind_the_first_entry_of_each_second() {
        assert_eq!(
            marks(&[10_500, 10_600, 10_999, 11_000, 10_200, 11_999, 14_100]),
            [None, Some(10), None, Some(11), None, None, Some(14)]
        );
    }

    #[test]
    fn a_single_wrong_time_never_moves_the_clock() {
        let far = 4_000_000_000;
        assert_eq!(
            marks(&[10_000, 10_001, far, 10_002, far, 11_000]),
            [None, Some(10), None, None, None, Some(11)]
        );
        assert_eq!(
            marks(&[far, 10_000, 10_001, 11_000]),
            [None, None, Some(10), Some(11)],
            "not even the first"
        );
        assert_eq!(
            marks(&[10_000, 10_001, far, 2 * far, 11_000]),
            [None, Some(10), None, None, Some(11)],
            "nor do two that are far apart"
        );
    }

    #[test]
    fn a_quiet_night_ends_with_the_second_entry_and_one_mark() {
        assert_eq!(
            marks(&[10_000, 10_001, 40_000_000, 40_001_000, 40_002_500]),
            [None, Some(10), None, Some(40_000), Some(40_002)]
        );
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        let mut clock = RecordedClock::new(i64::MAX);
        for time in [Nanos::MIN, Nanos::MIN, Nanos::MAX, Nanos::MAX, Nanos(0), Nanos::MIN] {
            clock.observe(time);
        }
    }
}
