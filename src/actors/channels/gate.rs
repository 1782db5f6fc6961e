//! When a channel is asked, and what is done after it did not take a notification: pure, by the clock that it is given.
//!
//! Promises: a channel whose breaker is open, or that asked to be left alone, is not asked; when the breaker lets one try
//! through, it is one, however many wait. Being asked to come later is not a failure of the channel, nor is a notification
//! that it refuses. What can still be told by another channel is told by that one, before anything is given up.

use crate::breaker::{Breaker, BreakerPolicy, BreakerState};
use crate::models::notification::{Receipt, SendError};
use crate::retry::{Backoff, RetryPolicy};
use std::time::{Duration, Instant};

/// How long to wait for the one try that decides: it is under way.
const UNDER_WAY: Duration = Duration::from_secs(1);

/// Failures from which on a pause does not grow: even from a millisecond it has reached a day by then.
const GROWS_MAX: u32 = 27;

/// Lets tries to a channel through, or not.
#[derive(Debug)]
pub struct Gate {
    breaker: Breaker,
    left_alone_until: Option<Instant>,
    is_trying: bool,
}

/// Leave to try once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a try that was let through ends with `Gate::leave`"]
pub struct Pass {
    decides: bool,
}

impl Gate {
    /// Makes one that lets everything through.
    #[must_use]
    pub const fn new(policy: BreakerPolicy) -> Gate {
        Gate { breaker: Breaker::new(policy), left_alone_until: None, is_trying: false }
    }

    /// Asks for a try.
    ///
    /// # Errors
    /// How long to wait before asking again.
    pub fn enter(&mut self, now: Instant) -> Result<Pass, Duration> {
        let asked_for = self.left_alone_until.and_then(|until| until.checked_duration_since(now));
        let pause = asked_for.max(self.breaker.pause(now)).unwrap_or_default();
        if !pause.is_zero() {
            return Err(pause);
        }
        let decides = self.breaker.state(now) == BreakerState::HalfOpen;
        if decides && self.is_trying {
            return Err(UNDER_WAY);
        }
        self.is_trying |= decides;
        Ok(Pass { decides })
    }

    /// Ends a try. `None` for one that was broken off by us: it says nothing of the channel. Returns true when it opens the
    /// breaker.
    pub fn leave(&mut self, pass: Pass, result: Option<&Result<Receipt, SendError>>, now: Instant) -> bool {
        self.is_trying &= !pass.decides;
        match result {
            None => false,
            Some(Ok(_) | Err(SendError::Refused { .. })) => {
                self.left_alone_until = None;
                self.breaker.succeeded();
                false
            }
            Some(Err(SendError::Transient { retry_after: Some(pause), .. })) => {
                self.left_alone_until = self.left_alone_until.max(Some(now + *pause));
                false
            }
            Some(Err(SendError::Transient { retry_after: None, .. } | SendError::Unusable { .. })) => {
                self.breaker.failed(now)
            }
        }
    }
}

/// How often and how long a notification is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryPolicy {
    /// A try that takes longer has failed.
    pub timeout: Duration,
    /// Pauses between tries of one notification.
    pub retry: RetryPolicy,
    /// When a channel is left alone.
    pub breaker: BreakerPolicy,
    /// Tries of one notification that fail before it goes to the next channel; 1 or more.
    pub fallback_after: u32,
}

/// What is done after a channel did not take a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It goes to the next channel of its route.
    FallBack,
    /// It is tried again after this long.
    Retry(Duration),
    /// Nobody takes it.
    GiveUp,
}

impl DeliveryPolicy {
    /// Decides after a failed try. `num_failures` counts the rounds of tries of this notification that failed, with this one;
    /// `has_fallback` is true while another channel can be asked.
    #[must_use]
    pub fn after_failure(&self, error: &SendError, num_failures: u32, has_fallback: bool) -> Next {
        let asked_for = error.retry_after().unwrap_or_default();
        match error {
            _ if has_fallback && self.falls_back(error, num_failures, asked_for) => Next::FallBack,
            SendError::Refused { .. } => Next::GiveUp,
            SendError::Unusable { .. } => Next::Retry(self.retry.max_delay),
            SendError::Transient { .. } => Next::Retry(self.pause(num_failures).max(asked_for)),
        }
    }

    /// Decides where a channel is not asked for so long.
    #[must_use]
    pub fn while_left_alone(&self, pause: Duration, has_fallback: bool) -> Next {
        // A pause as short as one between two tries is waited for: the people of the route come first.
        if has_fallback && pause > self.retry.delay { Next::FallBack } else { Next::Retry(pause) }
    }

    fn falls_back(&self, error: &SendError, num_failures: u32, asked_for: Duration) -> bool {
        let is_transient = matches!(error, SendError::Transient { .. });
        !is_transient || num_failures >= self.fallback_after || asked_for > self.retry.max_delay
    }

    /// Returns the pause after so many failures: it doubles with each, and varies at random.
    fn pause(&self, num_failures: u32) -> Duration {
        let mut backoff = Backoff::new(self.retry);
        for _ in 1..num_failures.min(GROWS_MAX) {
            backoff.failed();
        }
        backoff.failed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN_FOR: Duration = Duration::from_secs(60);
    const POLICY: DeliveryPolicy = DeliveryPolicy {
        timeout: Duration::from_secs(10),
        retry: RetryPolicy { delay: Duration::from_secs(1), max_delay: Duration::from_secs(300) },
        breaker: BreakerPolicy { failures: 3, open_for: OPEN_FOR },
        fallback_after: 3,
    };

    fn taken() -> Result<Receipt, SendError> {
        Ok(Receipt::default())
    }

    fn transient(retry_after: Option<u64>) -> SendError {
        let retry_after = retry_after.map(Duration::from_secs);
        SendError::Transient { cause: "busy".to_owned(), retry_after, may_have_arrived: false }
    }

    fn unusable() -> SendError {
        SendError::Unusable { cause: "wrong key".to_owned() }
    }

    fn refused() -> SendError {
        SendError::Refused { cause: "too ugly".to_owned() }
    }

    /// Enters and leaves; returns whether that opened the breaker.
    fn attempt(gate: &mut Gate, result: &Result<Receipt, SendError>, now: Instant) -> bool {
        let pass = gate.enter(now).expect("it is let through");
        gate.leave(pass, Some(result), now)
    }

    #[test]
    fn a_channel_that_fails_is_left_alone_and_then_one_try_decides() {
        let begun = Instant::now();
        let mut gate = Gate::new(POLICY.breaker);
        assert!(!attempt(&mut gate, &Err(transient(None)), begun));
        assert!(!attempt(&mut gate, &Err(unusable()), begun));
        assert!(attempt(&mut gate, &Err(transient(None)), begun), "the third in a row opens it");
        assert_eq!(gate.enter(begun), Err(OPEN_FOR));
        let later = begun + OPEN_FOR;
        let pass = gate.enter(later).expect("one is let through");
        assert_eq!(gate.enter(later), Err(UNDER_WAY), "one, not two");
        gate.leave(pass, None, later);
        let pass = gate.enter(later).expect("the first was broken off and decided nothing");
        assert!(gate.leave(pass, Some(&Err(unusable())), later), "it opens again");
        assert_eq!(gate.enter(later), Err(OPEN_FOR));
        let later = later + OPEN_FOR;
        assert!(!attempt(&mut gate, &taken(), later));
        assert!(gate.enter(later).is_ok() && gate.enter(later).is_ok(), "all are let through");
    }

    #[test]
    fn what_a_channel_asks_for_and_what_it_refuses_is_no_failure_of_it() {
        let begun = Instant::now();
        let mut gate = Gate::new(POLICY.breaker);
        for round in 0..10 {
            assert!(!attempt(&mut gate, &Err(refused()), begun), "{round}");
        }
        assert!(!attempt(&mut gate, &Err(transient(Some(7))), begun));
        assert_eq!(gate.enter(begun), Err(Duration::from_secs(7)));
        let later = begun + Duration::from_secs(7);
        for round in 0..10 {
            assert!(!attempt(&mut gate, &Err(transient(Some(0))), later), "{round}");
        }
        assert!(gate.enter(later).is_ok() && gate.enter(later).is_ok(), "all are let through");
    }

    #[test]
    fn another_channel_is_asked_before_anything_is_given_up() {
        for (error, num_failures, has_fallback, next) in [
            (refused(), 1, true, Next::FallBack),
            (refused(), 1, false, Next::GiveUp),
            (unusable(), 1, true, Next::FallBack),
            (unusable(), 1, false, Next::Retry(POLICY.retry.max_delay)),
            (transient(None), 3, true, Next::FallBack),
            (transient(Some(7)), 1, true, Next::Retry(Duration::from_secs(7))),
            (transient(Some(301)), 1, true, Next::FallBack),
            (transient(Some(3_600)), 9, false, Next::Retry(Duration::from_hours(1))),
        ] {
            assert_eq!(POLICY.after_failure(&error, num_failures, has_fallback), next, "{error:?}");
        }
        let pause = Duration::from_secs(30);
        assert_eq!(POLICY.while_left_alone(pause, true), Next::FallBack);
        assert_eq!(POLICY.while_left_alone(pause, false), Next::Retry(pause));
        assert_eq!(POLICY.while_left_alone(UNDER_WAY, true), Next::Retry(UNDER_WAY));
    }

    #[test]
    fn pauses_grow_with_the_failures_of_a_notification_up_to_the_longest() {
        for num_failures in 1..=40 {
            let Next::Retry(pause) = POLICY.after_failure(&transient(None), num_failures, false) else {
                panic!("it is tried again");
            };
            let most = (POLICY.retry.delay * 2_u32.saturating_pow(num_failures - 1).min(1_000))
                .min(POLICY.retry.max_delay);
            assert!(pause >= most / 2 && pause <= most, "{pause:?} after {num_failures}");
        }
    }
}
