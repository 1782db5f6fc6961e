//! The watermark of a symbol: up to which event time everything is known, but for late entries.
//!
//! Promises: it never goes back, and one wrong timestamp never seals the future.

use crate::models::settings::CoreSettings;
use crate::models::time::Nanos;
use serde::{Deserialize, Serialize};

/// Event time as one symbol and its source have told it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct EventClock {
    /// The newest event time that counts.
    newest: Nanos,
    /// The source's last clock mark.
    mark: Nanos,
    /// A time too far ahead to believe until a second one is.
    candidate: Option<Nanos>,
}

impl EventClock {
    /// A clock that has heard nothing.
    pub const NEW: EventClock = EventClock { newest: Nanos::MIN, mark: Nanos::MIN, candidate: None };

    /// Returns the newest event time known; [`Nanos::MIN`] when there is none.
    #[must_use]
    pub fn now(&self) -> Nanos {
        self.newest.max(self.mark)
    }

    /// Hears an event time. With a received time it counts up to that plus a tolerance. Without one (files), a time
    /// more than a horizon ahead only counts when a second one is too: then the smaller of the two does.
    #[inline]
    pub fn observe(&mut self, ts: Nanos, received: Nanos, settings: &CoreSettings) {
        if ts <= self.newest {
            return;
        }
        if received != Nanos::MIN {
            self.newest = self.newest.max(ts.min(received.plus(settings.future_tolerance)));
            return;
        }
        let now = self.now();
        if now == Nanos::MIN || ts <= now.plus(settings.horizon) {
            self.newest = ts;
        } else if let Some(candidate) = self.candidate.take() {
            self.newest = self.newest.max(ts.min(candidate));
        } else {
            self.candidate = Some(ts);
        }
    }

    /// Hears a clock mark.
    pub fn mark(&mut self, time: Nanos) {
        self.mark = self.mark.max(time);
    }

    /// Returns the watermark.
    #[must_use]
    pub fn watermark(&self, settings: &CoreSettings) -> Nanos {
        self.now().plus(-settings.lateness)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::time::SECOND;

    const T: Nanos = Nanos(1_000_000 * SECOND);

    #[test]
    fn a_received_time_bounds_what_a_wrong_clock_can_do() {
        let settings = CoreSettings::default();
        let mut clock = EventClock::NEW;
        clock.observe(T.plus(SECOND * 9_999), T, &settings);
        assert_eq!(clock.now(), T.plus(SECOND));
        assert_eq!(clock.watermark(&settings), T.plus(-SECOND));
    }

    #[test]
    fn without_received_times_a_leap_needs_a_second_witness() {
        let settings = CoreSettings::default();
        let mut clock = EventClock::NEW;
        clock.observe(T, Nanos::MIN, &settings);
        clock.observe(T.plus(SECOND * 1_000_000), Nanos::MIN, &settings);
        assert_eq!(clock.now(), T, "one is not believed");
        clock.observe(T.plus(SECOND), Nanos::MIN, &settings);
        assert_eq!(clock.now(), T.plus(SECOND), "an ordinary one is, and confirms nothing");
        clock.observe(T.plus(SECOND * 40_000), Nanos::MIN, &settings);
        assert_eq!(clock.now(), T.plus(SECOND * 40_000), "the second leap confirms the smaller");
        clock.mark(T);
        assert_eq!(clock.now(), T.plus(SECOND * 40_000), "it never goes back");
    }
}
