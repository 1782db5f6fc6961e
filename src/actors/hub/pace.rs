//! Decides when waiting frames are flushed to the sessions.
//!
//! A write to a session costs its thread some 5 us however much is written. So frames gather for longer the more
//! sessions there are. Promises: writing takes at most a fifth of the threads' time; settled bars are flushed sooner,
//! at the price of a little more of that time. Times are handed in, so nothing here reads the clock, and nothing
//! fails.

use std::time::{Duration, Instant};

/// How long frames may gather for each session.
const GATHER_PER_SESSION: Duration = Duration::from_micros(25);

/// Frames never gather longer than this.
pub const GATHER_MAX: Duration = Duration::from_millis(20);

/// Below this frames are flushed at once: the timer's resolution is a millisecond.
pub const GATHER_MIN: Duration = Duration::from_millis(1);

/// Settled bars gather no longer than this, while the allowance lasts.
const GATHER_SETTLED: Duration = Duration::from_millis(3);

/// The total time by which settled bars may bring flushes forward.
const ALLOWANCE: Duration = Duration::from_millis(500);

/// The allowance regains one part in this many of the time that passes.
const REGAINED: u32 = 4;

/// The schedule of flushes.
pub struct Pace {
    flushed_at: Instant,
    /// Time of the last flush with settled bars.
    settled_at: Option<Instant>,
    /// The part of the allowance that was used up at the last flush.
    debt: Duration,
}

impl Pace {
    /// Makes the schedule of a hub that starts now.
    #[must_use]
    pub const fn new(now: Instant) -> Pace {
        Pace { flushed_at: now, settled_at: None, debt: Duration::ZERO }
    }

    /// Returns how long waiting frames must still wait; zero when they are due.
    #[must_use]
    pub fn wait(&self, now: Instant, num_sessions: u32, has_settled: bool) -> Duration {
        let wait = gather(num_sessions).saturating_sub(now.duration_since(self.flushed_at));
        if !has_settled || self.debt_at(now) + wait > ALLOWANCE {
            return wait;
        }
        let since = self.settled_at.map_or(Duration::MAX, |at| now.duration_since(at));
        wait.min(GATHER_SETTLED.saturating_sub(since))
    }

    /// Records a flush.
    pub fn flushed(&mut self, now: Instant, num_sessions: u32, has_settled: bool) {
        let too_soon = gather(num_sessions).saturating_sub(now.duration_since(self.flushed_at));
        self.debt = self.debt_at(now) + too_soon;
        self.flushed_at = now;
        if has_settled {
            self.settled_at = Some(now);
        }
    }

    fn debt_at(&self, now: Instant) -> Duration {
        self.debt.saturating_sub(now.duration_since(self.flushed_at) / REGAINED)
    }
}

fn gather(num_sessions: u32) -> Duration {
    let gather = (GATHER_PER_SESSION * num_sessions).min(GATHER_MAX);
    if gather < GATHER_MIN { Duration::ZERO } else { gather }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn frames_wait_the_longer_the_more_sessions_there_are() {
        let start = Instant::now();
        let pace = Pace::new(start);
        for (sessions, wait) in [(0, 0), (10, 0), (39, 0), (40, 1), (400, 10), (800, 20), (100_000, 20)] {
            assert_eq!(pace.wait(start, sessions, false), wait * MS, "{sessions} sessions");
        }
        assert_eq!(pace.wait(start + 4 * MS, 400, false), 6 * MS);
        assert_eq!(pace.wait(start + 11 * MS, 400, false), Duration::ZERO);
    }

    #[test]
    fn settled_bars_do_not_wait_for_ticks_and_hardly_for_each_other() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        assert_eq!(pace.wait(start, 1_000, true), Duration::ZERO);
        pace.flushed(start, 1_000, true);
        assert_eq!(pace.wait(start + MS, 1_000, true), 2 * MS);
        assert_eq!(pace.wait(start + MS, 1_000, false), 19 * MS);
    }

    #[test]
    fn a_flood_of_settled_bars_costs_a_bounded_share_more() {
        let start = Instant::now();
        let (mut pace, mut now, mut count) = (Pace::new(start), start, 0_u32);
        while now < start + Duration::from_secs(60) {
            now += pace.wait(now, 1_000, true).max(MS);
            pace.flushed(now, 1_000, true);
            count += 1;
        }
        // One in 20 ms would be 3,000; the allowance and what is regained make the rest.
        assert!((3_000..4_000).contains(&count), "{count}");
        now += Duration::from_secs(3);
        assert_eq!(pace.wait(now, 1_000, true), Duration::ZERO, "it has rested");
    }
}
