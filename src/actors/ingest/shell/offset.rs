//! How far our clock is from the venue's.
//!
//! The time from an event to its receipt is the way it takes plus what our clock is ahead. The shortest one in each second
//! has the least of the way in it, and the median over a minute of seconds is moved by no single wrong time. No clock is
//! read here, and nothing fails.

use crate::models::time::{Nanos, SECOND};
use std::collections::VecDeque;

/// Seconds with events that are remembered.
const SECONDS_MAX: usize = 60;

/// Seconds with events before a difference is worth a warning: a few late reports are no wrong clock.
const SECONDS_MIN: usize = 10;

/// A difference that is worth a warning.
const WARN_FROM: i64 = SECOND / 2;

/// What was seen of the difference.
#[derive(Debug, Default)]
pub(super) struct ClockOffset {
    /// The second of receipt that is going on, and the shortest way in it.
    current: Option<(i64, i64)>,
    /// The shortest ways of the seconds before.
    shortest: VecDeque<i64>,
    /// Their median.
    median: Option<i64>,
}

impl ClockOffset {
    /// Notes an event. Returns true when a second has ended with it, so that there is news.
    #[inline]
    pub fn saw(&mut self, event: Nanos, received: Nanos) -> bool {
        let way = received.0.saturating_sub(event.0);
        let second = received.0.div_euclid(SECOND);
        match &mut self.current {
            Some((current, shortest)) if *current == second => {
                *shortest = way.min(*shortest);
                false
            }
            current => {
                let ended = current.replace((second, way));
                if let Some((_, shortest)) = ended {
                    self.remember(shortest);
                }
                ended.is_some()
            }
        }
    }

    fn remember(&mut self, shortest: i64) {
        if self.shortest.len() == SECONDS_MAX {
            self.shortest.pop_front();
        }
        self.shortest.push_back(shortest);
        let mut sorted: Vec<i64> = self.shortest.iter().copied().collect();
        sorted.sort_unstable();
        self.median = Some(sorted[sorted.len() / 2]);
    }

    /// Returns how far events lie behind our clock when they come, in nanoseconds; less than 0 where our clock is behind.
    /// Those of the last moment count where they are further behind than usual: then more are on their way.
    pub fn behind(&self, now: Nanos) -> Option<i64> {
        let is_last = |second: i64| now.0.div_euclid(SECOND) - second <= 1;
        let last = self.current.filter(|&(second, _)| self.median.is_none() || is_last(second));
        self.median.max(last.map(|(_, shortest)| shortest))
    }

    /// Returns the difference once it is sure, in nanoseconds: more than 0 where our clock is ahead.
    pub fn known(&self) -> Option<i64> {
        self.median.filter(|_| self.shortest.len() >= SECONDS_MIN)
    }
}

/// True for a difference that is worth a warning.
pub(super) const fn is_wrong(difference: i64) -> bool {
    difference.saturating_abs() > WARN_FROM
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: i64 = SECOND / 1_000;

    /// Two events a second for so long, that come so much later; one in ten is off.
    fn offset(seconds: i64, late: i64) -> ClockOffset {
        let mut offset = ClockOffset::default();
        for at in 0..seconds {
            let received = Nanos(at * SECOND);
            let wrong = if at % 10 == 3 { -900 * SECOND } else { 30 * MILLISECOND };
            let is_news = offset.saw(received.plus(-late), received);
            assert_eq!(is_news, at > 0);
            assert!(!offset.saw(received.plus(-late - wrong), received.plus(MILLISECOND)));
        }
        offset
    }

    #[test]
    fn a_wrong_clock_shows_and_a_slow_report_does_not() {
        let wrong = |known: Option<i64>| known.filter(|known| is_wrong(*known));
        let known = |seconds, late| {
            let known = offset(seconds, late).known();
            (known, wrong(known))
        };
        assert_eq!(known(10, 2 * SECOND), (None, None), "too little is known");
        assert_eq!(known(11, 2 * SECOND), (Some(2 * SECOND), Some(2 * SECOND)));
        assert_eq!(known(200, -2 * SECOND), (Some(-2 * SECOND), Some(-2 * SECOND)));
        assert_eq!(known(200, 500 * MILLISECOND), (Some(500 * MILLISECOND), None));
        let mut moved = offset(200, 3 * SECOND);
        for at in 200..300 {
            moved.saw(Nanos(at * SECOND), Nanos(at * SECOND));
        }
        assert_eq!((moved.known(), wrong(moved.known())), (Some(0), None), "a clock that was set right");
    }

    #[test]
    fn events_are_as_far_behind_as_usual_or_as_the_last_ones() {
        let mut offset = ClockOffset::default();
        assert_eq!(offset.behind(Nanos(0)), None);
        offset.saw(Nanos(5), Nanos(9));
        assert_eq!(
            (offset.behind(Nanos(500 * SECOND)), offset.known()),
            (Some(4), None),
            "all that is known"
        );
        for at in 1..20 {
            offset.saw(Nanos(at * SECOND - 6), Nanos(at * SECOND));
        }
        assert_eq!(offset.behind(Nanos(20 * SECOND)), Some(6));
        offset.saw(Nanos(0), Nanos(20 * SECOND));
        assert_eq!(offset.behind(Nanos(21 * SECOND)), Some(20 * SECOND), "a backlog is being read");
        assert_eq!(offset.behind(Nanos(22 * SECOND)), Some(6), "one late report");
        offset.saw(Nanos::MIN, Nanos::MAX);
    }
}
