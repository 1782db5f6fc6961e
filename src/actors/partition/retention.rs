//! The clock by which the age of what is kept is judged: the wall clock, as long as it can be believed.
//!
//! Promises: a wall clock that is suddenly far ahead, of a machine that woke up with a wrong date, deletes nothing. What
//! is kept ages by the time that the process has seen pass since the newest of it; a day of running convinces, and from
//! then on the wall clock rules again. A wall clock that is behind deletes nothing by itself.
//! On failure: the doubt outlives the process only as far as its owner keeps it ([`RetentionClock::doubt`]).

use crate::models::time::{DAY, Nanos};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// How far the wall clock may be ahead of what is kept and of the time that passed: a machine may be off for a while.
const LEAP_MAX: i64 = DAY;

/// For how long a wall clock that leapt must run on before it is believed.
const CONVINCED_AFTER: i64 = DAY;

/// A wall clock that is not believed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// The time that is believed.
    pub believed: Nanos,
    /// For how long the process has run with the doubt, in nanoseconds.
    pub lasted: i64,
}

/// What is believed, and when, on a clock that cannot be set.
#[derive(Debug)]
struct Belief {
    time: Nanos,
    /// Nanoseconds on the clock that cannot be set.
    at: i64,
    doubted: Option<i64>,
}

impl Belief {
    fn new(wall: Nanos, newest: Option<Nanos>, doubt: Option<Doubt>) -> Belief {
        let (time, lasted) = match (doubt, newest) {
            (Some(doubt), _) => (doubt.believed, doubt.lasted),
            (None, Some(newest)) => (newest, 0),
            (None, None) => (wall, 0),
        };
        let leapt = wall.since(time) > LEAP_MAX;
        Belief { time: if leapt { time } else { wall }, at: 0, doubted: leapt.then_some(lasted) }
    }

    /// Returns the time to judge ages by.
    fn at(&mut self, wall: Nanos, running: i64) -> Nanos {
        let passed = (running - self.at).max(0);
        self.at = running;
        self.time = self.time.plus(passed);
        if wall.since(self.time) > LEAP_MAX {
            let lasted = self.doubted.get_or_insert(0);
            *lasted = lasted.saturating_add(passed);
            if *lasted < CONVINCED_AFTER {
                return self.time;
            }
        }
        self.doubted = None;
        self.time = wall;
        wall
    }
}

/// Tells the time to judge ages by.
pub struct RetentionClock {
    wall: Arc<dyn Fn() -> Nanos + Send + Sync>,
    started: Instant,
    belief: Mutex<Belief>,
}

impl RetentionClock {
    /// Makes the clock of a process that starts now, over data whose newest time is given. A doubt is that of an earlier
    /// process over the same data.
    #[must_use]
    pub fn new(
        wall: Arc<dyn Fn() -> Nanos + Send + Sync>,
        newest: Option<Nanos>,
        doubt: Option<Doubt>,
    ) -> RetentionClock {
        let belief = Mutex::new(Belief::new(wall(), newest, doubt));
        RetentionClock { wall, started: Instant::now(), belief }
    }

    /// Returns the time to judge ages by.
    #[must_use]
    pub fn now(&self) -> Nanos {
        let running = i64::try_from(self.started.elapsed().as_nanos()).unwrap_or(i64::MAX);
        let mut belief = self.belief.lock().unwrap_or_else(PoisonError::into_inner);
        belief.at((self.wall)(), running)
    }

    /// Returns what is believed while the wall clock is not, as of the last time it was asked.
    #[must_use]
    pub fn doubt(&self) -> Option<Doubt> {
        let belief = self.belief.lock().unwrap_or_else(PoisonError::into_inner);
        belief.doubted.map(|lasted| Doubt { believed: belief.time, lasted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::time::{HOUR, SECOND};

    const NEWEST: Nanos = Nanos(20_000 * DAY);

    #[test]
    fn the_wall_clock_rules_after_an_ordinary_stop() {
        let wall = NEWEST.plus(6 * HOUR);
        let mut belief = Belief::new(wall, Some(NEWEST), None);
        assert_eq!(belief.at(wall.plus(SECOND), SECOND), wall.plus(SECOND));
        assert_eq!(belief.at(wall.plus(-HOUR), 2 * SECOND), wall.plus(-HOUR), "set back deletes nothing");
        assert_eq!(belief.doubted, None);
        assert_eq!(Belief::new(NEWEST, None, None).at(NEWEST, 1), NEWEST, "nothing is kept yet");
    }

    #[test]
    fn a_leap_before_the_start_or_while_it_runs_is_not_believed_for_a_day_of_running() {
        let wall = NEWEST.plus(400 * DAY);
        let mut belief = Belief::new(wall, Some(NEWEST), None);
        assert_eq!(belief.at(wall.plus(HOUR), HOUR), NEWEST.plus(HOUR));
        // The next process has entries of the new time, and still does not believe it.
        let doubt = Doubt { believed: belief.time, lasted: belief.doubted.expect("in doubt") };
        let mut belief = Belief::new(wall.plus(2 * HOUR), Some(wall.plus(HOUR)), Some(doubt));
        assert_eq!(belief.at(wall.plus(12 * HOUR), 10 * HOUR), NEWEST.plus(11 * HOUR));
        assert_eq!(belief.at(wall.plus(26 * HOUR), 24 * HOUR), wall.plus(26 * HOUR), "a day convinces");
        assert_eq!(belief.doubted, None);

        let mut belief = Belief::new(NEWEST, Some(NEWEST), None);
        assert_eq!(belief.at(wall, SECOND), NEWEST.plus(SECOND), "a leap while it runs");
        assert_eq!(belief.at(NEWEST.plus(HOUR), HOUR), NEWEST.plus(HOUR), "set right again");
        assert_eq!(belief.doubted, None);
    }
}
