//! The time of day: the system's clock, and one that tests set by hand.
//!
//! Promises: nothing else reads the time of day, so that everything that depends on it can be tested and replayed.

use crate::models::time::Nanos;
use std::fmt::Debug;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A source of the time of day.
pub trait Clock: Debug + Send + Sync {
    /// Returns the time of day. It may step back when the clock is set.
    fn now(&self) -> Nanos;
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
    fn now(&self) -> Nanos {
        let nanos = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()),
            Err(before) => i64::try_from(before.duration().as_nanos()).map(|nanos| -nanos),
        };
        Nanos(nanos.expect("the clock is within 292 years of 1970"))
    }
}

/// A clock that stands still until it is set.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Makes a clock that shows `now`.
    #[must_use]
    pub const fn new(now: Nanos) -> ManualClock {
        ManualClock(AtomicI64::new(now.0))
    }

    /// Sets the clock, forwards or back.
    pub fn set(&self, now: Nanos) {
        self.0.store(now.0, Ordering::SeqCst);
    }

    /// Advances the clock by nanoseconds.
    pub fn advance(&self, nanos: i64) {
        self.0.fetch_add(nanos, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Nanos {
        Nanos(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_shows_what_it_was_turned_to() {
        let clock = ManualClock::new(Nanos(5));
        clock.advance(2);
        assert_eq!(clock.now(), Nanos(7));
        clock.set(Nanos(1));
        assert_eq!(clock.now(), Nanos(1));
    }

    #[test]
    fn the_system_clock_shows_this_century() {
        let start = Nanos::from_rfc3339("2020-01-01").unwrap();
        let end = Nanos::from_rfc3339("2100-01-01").unwrap();
        assert!((start..end).contains(&SystemClock.now()));
    }
}
