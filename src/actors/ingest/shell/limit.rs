//! Limits by time: how often something is said, and how fast frames are taken. Promises: nothing is lost without being
//! counted. Nothing fails.

use std::time::{Duration, Instant};

/// Lets so many through in a stretch of time, and counts those it holds back.
pub(super) struct Limit {
    most: u32,
    period: Duration,
    begun: Instant,
    used: u32,
    num_held_back: u64,
}

impl Limit {
    /// Makes one that lets `most` through in each `period`.
    pub fn new(most: u32, period: Duration) -> Limit {
        Limit { most, period, begun: Instant::now(), used: 0, num_held_back: 0 }
    }

    /// Returns how many were held back since the last one that was let through; `None` holds this one back too.
    pub fn take(&mut self) -> Option<u64> {
        if self.begun.elapsed() >= self.period {
            (self.begun, self.used) = (Instant::now(), 0);
        }
        if self.used == self.most {
            self.num_held_back += 1;
            return None;
        }
        self.used += 1;
        Some(std::mem::take(&mut self.num_held_back))
    }
}

/// Takes no more frames a second than it may.
pub(super) struct Pace {
    most: Option<u32>,
    begun: Instant,
    used: u32,
}

impl Pace {
    /// Makes one of so many frames a second; `None` is any number.
    pub fn new(most: Option<u32>) -> Pace {
        Pace { most, begun: Instant::now(), used: 0 }
    }

    /// Returns how long to wait after so many frames.
    pub fn pause_after(&mut self, num_frames: usize) -> Option<Duration> {
        const PERIOD: Duration = Duration::from_secs(1);
        let most = self.most?;
        if self.begun.elapsed() >= PERIOD {
            (self.begun, self.used) = (Instant::now(), 0);
        }
        self.used = self.used.saturating_add(u32::try_from(num_frames).unwrap_or(u32::MAX));
        (self.used >= most).then(|| PERIOD.saturating_sub(self.begun.elapsed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_says_how_many_it_held_back() {
        let mut limit = Limit::new(2, Duration::from_hours(1));
        let told: Vec<Option<u64>> = (0..5).map(|_| limit.take()).collect();
        assert_eq!(told, [Some(0), Some(0), None, None, None]);
        limit.period = Duration::ZERO;
        assert_eq!(limit.take(), Some(3));
    }

    #[test]
    fn a_pace_waits_once_a_second_is_used_up() {
        let mut pace = Pace::new(Some(10));
        assert_eq!(pace.pause_after(9), None);
        assert!(pace.pause_after(1).is_some_and(|pause| !pause.is_zero()));
        assert_eq!(Pace::new(None).pause_after(1_000_000), None);
    }
}
