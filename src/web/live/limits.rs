//! How often a client may speak, and how much work it may ask for.

use std::time::{Duration, Instant};

/// Counts messages by the second.
pub struct MessageRate {
    max: u32,
    since: Instant,
    count: u32,
}

/// What is to become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Take it.
    Take,
    /// Leave it, and say so.
    Refuse,
    /// Leave it; the client was told in this second.
    Ignore,
    /// The client does not listen: close.
    Close,
}

/// Messages beyond the limit, in multiples of it, that end a session.
const PATIENCE: u32 = 10;

impl MessageRate {
    /// Allows this many messages a second.
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
            over if over > self.max.saturating_mul(PATIENCE) => Verdict::Close,
            _ => Verdict::Ignore,
        }
    }
}

/// Work that a client may have at once, in members of a snapshot: all there is of some thousand symbols.
const WORK_MAX: u32 = 20_000;

/// Work that a client is given in a second: some milliseconds of the hub's time.
const WORK_PER_SECOND: u32 = 2_000;

/// What a client may ask for: it starts with plenty and gets a little back all the time, so that whoever subscribes
/// once never waits, and whoever subscribes on end takes no more than a small share of the server.
pub struct Budget {
    left: f64,
    counted_at: Instant,
}

impl Budget {
    /// Gives all there may be.
    #[must_use]
    pub fn new(now: Instant) -> Budget {
        Budget { left: f64::from(WORK_MAX), counted_at: now }
    }

    /// Takes that much, if it is there. What is more than there may ever be is to be had for everything.
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
    fn work_is_given_at_once_then_bit_by_bit_and_a_small_wish_need_not_wait_for_a_large_one() {
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
