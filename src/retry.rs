//! Pauses between tries of what failed and may yet work.
//!
//! Promises: pauses double from the first to the longest one, never exceed it, and vary at random by half, so that many
//! clients of one server that comes back do not ask it all at once. There is no last try: whoever gives up counts for
//! itself with [`Backoff::num_failures`].

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use std::time::Duration;

/// How long to wait between tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Longest pause after the first failure.
    pub delay: Duration,
    /// Longest pause of all.
    pub max_delay: Duration,
}

impl RetryPolicy {
    /// Pauses of 100 ms at first and 5 s at the most: for stores on this machine, which an operator mends by hand.
    pub const LOCAL: RetryPolicy =
        RetryPolicy { delay: Duration::from_millis(100), max_delay: Duration::from_secs(5) };
}

/// Counts failures in a row, and says how long to wait after each.
#[derive(Debug)]
pub struct Backoff {
    policy: RetryPolicy,
    delays: ExponentialBackoff,
    num_failures: u32,
}

impl Backoff {
    /// Makes the pauses of a policy.
    #[must_use]
    pub fn new(policy: RetryPolicy) -> Backoff {
        Backoff { policy, delays: delays(policy), num_failures: 0 }
    }

    /// Counts a failure and returns how long to wait before the next try.
    pub fn failed(&mut self) -> Duration {
        self.num_failures = self.num_failures.saturating_add(1);
        let longest = self.policy.max_delay;
        self.delays.next().map_or(longest, |delay| delay.min(longest))
    }

    /// Returns how often it has failed since it last worked.
    #[must_use]
    pub const fn num_failures(&self) -> u32 {
        self.num_failures
    }

    /// Begins anew after a success.
    pub fn reset(&mut self) {
        if self.num_failures > 0 {
            *self = Backoff::new(self.policy);
        }
    }
}

/// The library adds up to as much again to each pause: it is given half of what is allowed.
fn delays(policy: RetryPolicy) -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(policy.delay / 2)
        .with_max_delay(policy.max_delay / 2)
        .with_factor(2.0)
        .without_max_times()
        .with_jitter()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RetryPolicy =
        RetryPolicy { delay: Duration::from_millis(100), max_delay: Duration::from_secs(3) };

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::new(POLICY);
        let mut most = POLICY.delay;
        for num_failures in 1..=40 {
            let pause = backoff.failed();
            assert!(pause >= most / 2 && pause <= most, "{pause:?} after {num_failures} failures");
            most = (most * 2).min(POLICY.max_delay);
        }
        assert_eq!(backoff.num_failures(), 40);
        backoff.reset();
        assert_eq!(backoff.num_failures(), 0);
        assert!(backoff.failed() <= POLICY.delay);
    }

    #[test]
    fn two_clients_do_not_wait_equally_long() {
        let pauses: Vec<Duration> = (0..20)
            .map(|_| {
                let mut backoff = Backoff::new(POLICY);
                (0..4).map(|_| backoff.failed()).sum()
            })
            .collect();
        assert!(pauses.iter().any(|pause| *pause != pauses[0]), "{pauses:?}");
    }
}
