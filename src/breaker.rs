//! A circuit breaker for a venue that fails again and again.
//!
//! Promises: after `breaker_failures` failures in a row nothing is asked for `breaker_open`; then one try decides. No clock
//! is read here.

use std::time::{Duration, Instant};

/// Stops asking a venue that fails again and again.
#[derive(Debug)]
pub(super) struct Breaker {
    failures_max: u32,
    open_for: Duration,
    failures: u32,
    open_until: Option<Instant>,
}

impl Breaker {
    /// Makes one that opens after so many failures in a row; 0 never opens.
    pub fn new(failures_max: u32, open_for: Duration) -> Breaker {
        Breaker { failures_max, open_for, failures: 0, open_until: None }
    }

    /// Returns how long nothing may be asked.
    pub fn pause(&self, now: Instant) -> Option<Duration> {
        self.open_until.and_then(|until| until.checked_duration_since(now)).filter(|pause| !pause.is_zero())
    }

    /// Notes a failure. Returns true when it opens the breaker.
    pub fn failed(&mut self, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        let opens = self.failures_max > 0 && self.failures >= self.failures_max;
        if opens {
            self.open_until = Some(now + self.open_for);
        }
        opens
    }

    /// Notes a success.
    pub fn succeeded(&mut self) {
        (self.failures, self.open_until) = (0, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_failures_in_a_row_one_try_decides() {
        let (open_for, begun) = (Duration::from_secs(30), Instant::now());
        let mut breaker = Breaker::new(3, open_for);
        assert!(!breaker.failed(begun) && !breaker.failed(begun));
        breaker.succeeded();
        assert!(!breaker.failed(begun) && !breaker.failed(begun), "only failures in a row count");
        assert_eq!(breaker.pause(begun), None);
        assert!(breaker.failed(begun));
        assert_eq!(breaker.pause(begun), Some(open_for));
        let later = begun + open_for;
        assert_eq!(breaker.pause(later), None);
        assert!(breaker.failed(later), "the one try failed");
        assert_eq!(breaker.pause(later), Some(open_for));
        breaker.succeeded();
        assert_eq!(breaker.pause(later), None);
        let mut never = Breaker::new(0, open_for);
        assert!((0..100).all(|_| !never.failed(begun)));
    }
}
