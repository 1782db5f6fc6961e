//! Limits of one client: messages per second, and work per second.
//!
//! Promises: what one client costs the server is bounded, and a client within the limits never waits. Times are handed
//! in, so nothing here reads the clock, and nothing fails.

use std::time::{Duration, Instant};

/// Limits messages per second.
pub struct MessageRate {
    max: u32,
    since: Instant,
    count: u32,
}

/// What to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Process it.
    Take,
    /// Drop it, and tell the client.
    Refuse,
    /// Drop it; the client was told in this second already.
    Ignore,
    /// Close the session: the client goes on regardless.
    Close,
}

/// Messages beyond the limit, in multiples of it, after which the session is closed.
const VIOLATIONS_MAX: u32 = 10;

impl MessageRate {
    /// Allows this many messages per second.
    #[must_use]
    pub const fn new(max: u32, now: Instant) -> MessageRate {
        MessageRate { max, since: now, count: 0 }
    }

    /// Judges a message.
    pub fn judge(&mut self, now: Instant) -> Verdict {
        if now.duration_since(self.since) >= Duration::from_secs(1) {
            self.since = now;
            self.count = 0;
        }
        self.count += 1;
        match self.count.saturating_sub(self.max) {
            0 => Verdict::Take,
            1 => Verdict::Refuse,
            over if over > self.max.saturating_mul(VIOLATIONS_MAX) => Verdict::Close,
            _ => Verdict::Ignore,
        }
    }
}

/// Work that a client may ask for at once, in members of a snapshot: everything about some thousand symbols.
const WORK_MAX: u32 = 20_000;

/// Work that a client regains per second: some milliseconds of the hub's time.
const WORK_PER_SECOND: u32 = 2_000;

/// A token bucket of work. A client starts with a full bucket, so one that subscribes once never waits, and one that
/// subscribes all the time gets a small share of the server.
pub struct Budget {
    left: f64,
    counted_at: Instant,
}

impl Budget {
    /// Makes a full bucket.
    #[must_use]
    pub fn new(now: Instant) -> Budget {
        Budget { left: f64::from(WORK_MAX), counted_at: now }
    }

    /// Takes that much, if it is there. A request for more than the bucket holds costs the whole bucket.
    pub fn take(&mut self, now: Instant, work: usize) -> bool {
        let regained = now.duration_since(self.counted_at).as_secs_f64() * f64::from(WORK_PER_SECOND);
        self.left = (self.left + regained).min(f64::from(WORK_MAX));
        self.counted_at = self.counted_at.max(now);
        let work = f64::from(u32::try_from(work).map_or(WORK_MAX, |work| work.min(WORK_MAX)));
        let has_enough = self.left >= work;
        if has_enough {
            self.left -= work;
        }
        has_enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_given_at_once_then_bit_by_bit_and_a_small_request_need_not_wait_for_a_large_one() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        assert!(budget.take(start, usize::MAX), "for everything there is");
        assert!(!budget.take(start, 2_000));
        assert!(budget.take(start + Duration::from_millis(100), 10));
        let mut taken = 0_usize;
        for millis in 0..10_000 {
            taken += usize::from(budget.take(start + Duration::from_millis(millis), 2_000));
        }
        assert_eq!(taken, 9, "one a second");
        assert!(budget.take(start + Duration::from_secs(60), 20_000));
        assert!(!budget.take(start + Duration::from_secs(60), 20_000), "nothing is saved beyond that");
    }

    #[test]
    fn a_burst_is_refused_once_then_ignored_then_closed_and_forgotten_after_a_second() {
        let start = Instant::now();
        let mut rate = MessageRate::new(2, start);
        let verdicts: Vec<Verdict> = (0..24).map(|_| rate.judge(start)).collect();
        assert_eq!(verdicts[..4], [Verdict::Take, Verdict::Take, Verdict::Refuse, Verdict::Ignore]);
        assert_eq!((verdicts[21], verdicts[22]), (Verdict::Ignore, Verdict::Close));
        assert_eq!(rate.judge(start + Duration::from_secs(1)), Verdict::Take);
    }
}
