//! A circuit breaker for what fails again and again: a venue, a store.
//!
//! Promises: after so many failures in a row nothing is asked for a while (open); then one try decides (half open): its
//! success closes the breaker, its failure opens it again. No clock is read here.

use std::time::{Duration, Instant};

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// Failures in a row that open it; 0 never does.
    pub failures: u32,
    /// How long it stays open before the next try.
    pub open_for: Duration,
}

/// What a breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything.
    Closed,
    /// One try, which decides.
    HalfOpen,
    /// Nothing.
    Open,
}

impl BreakerState {
    /// Returns the word that health uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            BreakerState::Closed => "closed",
            BreakerState::HalfOpen => "half-open",
            BreakerState::Open => "open",
        }
    }

    /// Returns the number that metrics use.
    #[must_use]
    pub const fn level(self) -> i64 {
        match self {
            BreakerState::Closed => 0,
            BreakerState::HalfOpen => 1,
            BreakerState::Open => 2,
        }
    }
}

/// Stops asking what fails again and again.
#[derive(Debug)]
pub struct Breaker {
    policy: BreakerPolicy,
    failures: u32,
    open_until: Option<Instant>,
}

impl Breaker {
    /// Makes one that is closed.
    #[must_use]
    pub const fn new(policy: BreakerPolicy) -> Breaker {
        Breaker { policy, failures: 0, open_until: None }
    }

    /// Returns how long nothing may be asked.
    #[must_use]
    pub fn pause(&self, now: Instant) -> Option<Duration> {
        self.open_until.and_then(|until| until.checked_duration_since(now)).filter(|pause| !pause.is_zero())
    }

    /// Returns what it lets through.
    #[must_use]
    pub fn state(&self, now: Instant) -> BreakerState {
        match self.open_until {
            None => BreakerState::Closed,
            Some(_) if self.pause(now).is_some() => BreakerState::Open,
            Some(_) => BreakerState::HalfOpen,
        }
    }

    /// Notes a failure. Returns true when it opens the breaker.
    pub fn failed(&mut self, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        let opens = self.policy.failures > 0 && self.failures >= self.policy.failures;
        if opens {
            self.open_until = Some(now + self.policy.open_for);
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
        let mut breaker = Breaker::new(BreakerPolicy { failures: 3, open_for });
        assert!(!breaker.failed(begun) && !breaker.failed(begun));
        breaker.succeeded();
        assert!(!breaker.failed(begun) && !breaker.failed(begun), "only failures in a row count");
        assert_eq!((breaker.pause(begun), breaker.state(begun)), (None, BreakerState::Closed));
        assert!(breaker.failed(begun));
        assert_eq!((breaker.pause(begun), breaker.state(begun)), (Some(open_for), BreakerState::Open));
        let later = begun + open_for;
        assert_eq!((breaker.pause(later), breaker.state(later)), (None, BreakerState::HalfOpen));
        assert!(breaker.failed(later), "the one try failed");
        assert_eq!((breaker.pause(later), breaker.state(later)), (Some(open_for), BreakerState::Open));
        breaker.succeeded();
        assert_eq!((breaker.pause(later), breaker.state(later)), (None, BreakerState::Closed));
        let mut never = Breaker::new(BreakerPolicy { failures: 0, open_for });
        assert!((0..100).all(|_| !never.failed(begun)));
    }
}
