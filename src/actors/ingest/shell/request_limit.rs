//! How often a venue may be asked over REST: all who ask it with one key take turns, on whichever thread and for whatever.
//!
//! Promises: at most so many requests a minute in all; what a venue says of when it may be asked again holds for everybody, a
//! day at the most. A lock is held for some stores and never while somebody waits. Nothing here fails.

use super::super::config::VenueConfig;
use crate::actors::retry_after::PAUSE_MAX;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The limit of a venue, shared by whoever has a clone of it.
#[derive(Clone, Debug)]
pub struct RequestLimit(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    interval: Duration,
    turns: Mutex<Turns>,
}

#[derive(Debug)]
struct Turns {
    next: Instant,
    /// Until when the venue wants to be left alone, and why.
    left_alone: Option<(Instant, String)>,
}

impl RequestLimit {
    /// Makes the limit of a venue: that of its section, or `own_rate` requests a minute where that sets none.
    #[must_use]
    pub fn new(config: &VenueConfig, own_rate: u32) -> RequestLimit {
        let rate = config.requests_per_minute.map_or(own_rate, NonZeroU32::get).max(1);
        RequestLimit(Arc::new(Shared {
            interval: Duration::from_secs(60) / rate,
            turns: Mutex::new(Turns { next: Instant::now(), left_alone: None }),
        }))
    }

    /// Returns how long a request would wait for its turn.
    pub(super) fn wait(&self) -> Duration {
        self.with(|turns| turns.next).saturating_duration_since(Instant::now())
    }

    /// Gives a request its turn, and returns when that is. It counts as `cost` requests.
    pub(super) fn turn(&self, cost: u32) -> Instant {
        let interval = self.0.interval;
        self.with(|turns| {
            let turn = turns.next.max(Instant::now());
            turns.next = turn + interval * cost;
            turn
        })
    }

    /// Returns until when the venue wants to be left alone, and why; `None` where it may be asked.
    pub(super) fn left_alone(&self) -> Option<(Instant, String)> {
        self.with(Turns::left_alone)
    }

    /// Notes that the venue wants to be left alone for some time. Returns true when it was not left alone already.
    pub(super) fn leave_alone(&self, reason: &str, pause: Duration) -> bool {
        let until = Instant::now() + pause.min(PAUSE_MAX);
        self.with(|turns| {
            turns.next = turns.next.max(until);
            let before = turns.left_alone();
            let is_news = before.is_none();
            if before.is_none_or(|(known, _)| known < until) {
                turns.left_alone = Some((until, reason.to_owned()));
            }
            is_news
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Turns) -> T) -> T {
        // Whoever panicked with the lock had nothing half done.
        work(&mut self.0.turns.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Turns {
    fn left_alone(&mut self) -> Option<(Instant, String)> {
        self.left_alone.take_if(|(until, _)| *until <= Instant::now());
        self.left_alone.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(own_rate: u32) -> RequestLimit {
        RequestLimit::new(&VenueConfig::default(), own_rate)
    }

    #[test]
    fn all_who_share_a_limit_take_turns() {
        let limit = limit(60);
        let other = limit.clone();
        let first = limit.turn(1);
        assert_eq!(other.turn(2), first + Duration::from_secs(1));
        assert_eq!(limit.turn(1), first + Duration::from_secs(3), "it counted as two");
        assert!(other.wait() > Duration::from_secs(3));
        assert!(self::limit(60).wait().is_zero(), "another venue's is its own");
    }

    #[test]
    fn a_pause_holds_for_all_and_never_shrinks() {
        let limit = limit(60_000);
        let other = limit.clone();
        assert_eq!(other.left_alone(), None);
        assert!(limit.leave_alone("busy", Duration::from_mins(2)));
        let (until, reason) = other.left_alone().expect("it wants to be left alone");
        assert_eq!(reason, "busy");
        assert!(!other.leave_alone("busy still", Duration::from_secs(1)), "that is known");
        assert_eq!(limit.left_alone(), Some((until, reason)));
        assert!(limit.turn(1) >= until);
    }
}
