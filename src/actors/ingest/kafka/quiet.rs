//! The clock of a topic in which nothing comes.
//!
//! The newest event time and the time since it came are the time now, as far as it is known that nothing more is there: so a
//! recorded day that is written into a topic has its own time of day, and a quiet market goes on.
//!
//! Promises: it goes back only to a newer event. Nothing here fails.

use crate::models::time::Nanos;
use std::time::{Duration, Instant};

/// Event time that runs on.
#[derive(Clone, Copy, Debug)]
pub(super) struct QuietClock {
    event: Nanos,
    came: Instant,
}

impl QuietClock {
    /// A clock of which nothing is known.
    pub fn new(now: Instant) -> QuietClock {
        QuietClock { event: Nanos::MIN, came: now }
    }

    /// Goes on with a clock that showed `event` so long ago.
    pub fn resumed(event: Nanos, ago: Duration, now: Instant) -> QuietClock {
        let ago = i64::try_from(ago.as_nanos()).unwrap_or(i64::MAX);
        QuietClock { event: Nanos(event.0.saturating_add(ago)), came: now }
    }

    /// Sets it to the newest event time.
    pub fn set(&mut self, event: Nanos, now: Instant) {
        (self.event, self.came) = (event, now);
    }

    /// Returns what it shows; `None` before the first event.
    pub fn at(&self, now: Instant) -> Option<Nanos> {
        let since = i64::try_from(now.saturating_duration_since(self.came).as_nanos()).unwrap_or(i64::MAX);
        (self.event != Nanos::MIN).then(|| Nanos(self.event.0.saturating_add(since)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_from_the_newest_event_and_over_a_restart() {
        let now = Instant::now();
        let later = now + Duration::from_secs(3);
        let mut clock = QuietClock::new(now);
        assert_eq!(clock.at(later), None);
        clock.set(Nanos(5), now);
        assert_eq!((clock.at(now), clock.at(later)), (Some(Nanos(5)), Some(Nanos(3_000_000_005))));
        let resumed = QuietClock::resumed(Nanos(5), Duration::from_secs(2), now);
        assert_eq!(resumed.at(now), Some(Nanos(2_000_000_005)));
        assert_eq!(QuietClock::resumed(Nanos::MAX, Duration::MAX, now).at(later), Some(Nanos::MAX));
    }
}
