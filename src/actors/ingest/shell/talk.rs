//! What the venue has said over one open connection, and when.
//!
//! It is kept apart from the socket so that frames can be read into it while the socket is read. Nothing here fails.

use super::super::venue::{Refusal, Step};
use super::identity::Alike;
use super::subscription::{Moment, Subscription};
use crate::models::time::Nanos;
use std::time::{Duration, Instant};

/// A connection that lives this long after its subscription is a good one, whether or not anything is traded.
const GOOD_AFTER: Duration = Duration::from_secs(10);

/// What was said over one open connection.
pub(super) struct Talk {
    /// When it was opened.
    pub opened: Instant,
    /// How its subscription stands.
    pub subscription: Subscription,
    /// Trades that came over it, where they have no ids.
    pub alike: Alike,
    /// What the venue waits for.
    pub steps: Vec<Step>,
    /// When something last showed that the venue is there.
    pub alive: Moment,
    /// The venue is about to end it.
    pub is_ending: bool,
    /// The venue refuses.
    pub refusal: Option<Refusal>,
    /// It brought something of use.
    pub has_data: bool,
    /// Its subscription was said to be complete.
    pub is_complete: bool,
}

impl Talk {
    /// Begins one.
    pub fn begin(now: Nanos) -> Talk {
        let alive = Moment { instant: Instant::now(), time: now };
        Talk {
            opened: alive.instant,
            subscription: Subscription::default(),
            alike: Alike::default(),
            steps: Vec::new(),
            alive,
            is_ending: false,
            refusal: None,
            has_data: false,
            is_complete: false,
        }
    }

    /// Notes that something came which shows that the venue is there.
    pub fn is_alive(&mut self, now: Moment) {
        self.alive = now;
        self.subscription.show_alive(now.time);
    }

    /// True when it has shown to be a good connection: failures before it do not count any more.
    pub fn is_good(&self) -> bool {
        self.has_data || (self.subscription.since().is_some() && self.opened.elapsed() >= GOOD_AFTER)
    }
}
