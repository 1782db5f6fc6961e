//! The watermark of a symbol: up to which event time everything is known, but for late entries.
//!
//! Promises: it never goes back, and one wrong timestamp never seals the future, the first one included.

use crate::models::leap::Leap;
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
    /// Times too far ahead to believe at once.
    pub(super) leap: Leap,
}

impl EventClock {
    /// A clock that has observed nothing.
    pub const NEW: EventClock = EventClock { newest: Nanos::MIN, mark: Nanos::MIN, leap: Leap::NONE };

    /// Returns the newest event time known; [`Nanos::MIN`] when there is none.
    #[must_use]
    pub fn now(&self) -> Nanos {
        self.newest.max(self.mark)
    }

    /// Observes an event time. With a received time it counts up to that plus a tolerance. Without one (files), a time
    /// more than a horizon ahead, and so the first, only counts once others confirm it.
    #[inline]
    pub fn observe(&mut self, ts: Nanos, received: Nanos, settings: &CoreSettings) {
        if received != Nanos::MIN {
            self.newest = self.newest.max(ts.min(received.plus(settings.future_tolerance)));
        } else if ts > self.newest {
            let now = self.now();
            if now == Nanos::MIN || ts > now.plus(settings.horizon) {
                if let Some(confirmed) = self.leap.observe(ts, settings.horizon) {
                    self.newest = self.newest.max(confirmed);
                }
                return;
            }
            self.newest = ts;
        }
        self.leap.forget();
    }

    /// Observes a clock mark.
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
        let mut now_after = |seconds: i64| {
            clock.observe(T.plus(SECOND * seconds), Nanos::MIN, &settings);
            clock.now()
        };
        assert_eq!(now_after(86_400), Nanos::MIN, "the first is not believed");
        assert_eq!(now_after(0), Nanos::MIN, "nor one that says otherwise");
        assert_eq!(now_after(1), T, "two that agree are");
        assert_eq!(now_after(86_400), T, "a leap is not believed");
        assert_eq!(now_after(2), T.plus(SECOND * 2), "an ordinary time is, and contradicts it");
        assert_eq!(now_after(86_401), T.plus(SECOND * 2), "so that another leap is alone again");
        assert_eq!(now_after(1), T.plus(SECOND * 2), "a time that is not new contradicts it too");
        assert_eq!(now_after(40_001), T.plus(SECOND * 2));
        assert_eq!(now_after(40_000), T.plus(SECOND * 40_000), "the earlier of two that agree counts");
        clock.mark(T);
        assert_eq!(clock.now(), T.plus(SECOND * 40_000), "it never goes back");
    }
}
