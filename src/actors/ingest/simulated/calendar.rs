//! When episodes (bursts, halts, disconnects) begin and end.
//!
//! Promises: episodes of one kind never overlap; when they come depends on the dice alone. Nothing here fails.

use super::draws::{Dice, nanos};
use super::faults::Episodes;
use crate::models::time::Nanos;

/// When episodes of one kind begin and end.
#[derive(Clone, Debug)]
pub struct Calendar {
    episodes: Episodes,
    /// Start of the current or next episode; never comes where there are none.
    pub begin: Nanos,
    /// End of it, exclusive.
    pub end: Nanos,
}

impl Calendar {
    /// Makes a calendar on which nothing is planned yet.
    pub const fn new(episodes: Episodes) -> Calendar {
        Calendar { episodes, begin: Nanos::MAX, end: Nanos::MAX }
    }

    /// Draws the first or next episode after `now`.
    pub fn plan(&mut self, now: Nanos, dice: &mut Dice) {
        if !self.episodes.every.is_zero() {
            self.begin = now.plus(dice.wait(self.episodes.every));
            self.end = self.begin.plus(nanos(self.episodes.length));
        }
    }

    /// Returns the end of the episode that `now` is in, if any, and plans the next when one is over.
    pub fn current(&mut self, now: Nanos, dice: &mut Dice) -> Option<Nanos> {
        while now >= self.end {
            let over = self.end;
            self.plan(over, dice);
        }
        (now >= self.begin).then_some(self.end)
    }
}
