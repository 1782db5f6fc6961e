//! Fates of a symbol's reports, so that nothing received is ever unaccounted for.
//!
//! What can still change is not written down but counted anew when asked: the trades of unsealed windows, and of sealed
//! ones that made no bar while a larger window around them still may.

use crate::models::entry::SourceId;
use crate::models::ledger::Ledger;
use crate::models::time::Nanos;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::kept::LocalSource;
use super::window::BaseWindow;

/// Trades of one window and source, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Count for something, if a bar comes of a window that holds them.
    pub active: u32,
    /// Count for nothing, or their source is not in charge.
    pub idle: u32,
    /// Cancelled or replaced.
    pub cancelled: u32,
}

/// Trades of one window, by source.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Counts(SmallVec<[Count; 1]>);

impl Counts {
    /// Returns the count of a source.
    #[inline]
    pub fn of(&mut self, local: LocalSource) -> &mut Count {
        let at = usize::from(local);
        if at >= self.0.len() {
            self.0.resize(at + 1, Count::default());
        }
        &mut self.0[at]
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Returns the counts with the place of their source.
    pub fn iter(&self) -> impl Iterator<Item = (LocalSource, Count)> + '_ {
        (0..).zip(self.0.iter().copied())
    }
}

/// Trades of a sealed window that made no bar there, but may count in a larger one.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Orphans {
    /// Start of the sealed window.
    pub start: Nanos,
    /// Whose.
    pub local: LocalSource,
    /// How many.
    pub count: u32,
    /// A larger window that has been sealed since counted them.
    pub counted: bool,
}

impl Orphans {
    /// Adds them to their source's ledger.
    pub fn settle(&self, ledger: &mut Ledger, counted: bool) {
        *(if counted { &mut ledger.in_bars } else { &mut ledger.filtered }) += u64::from(self.count);
    }
}

/// The fates that are final, by source, and those that wait.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Fates {
    finals: Vec<Ledger>,
    /// Trades that may still count in a larger window.
    pub orphans: Vec<Orphans>,
}

impl Fates {
    /// Returns the final fates of a source.
    #[inline]
    pub fn of(&mut self, local: LocalSource) -> &mut Ledger {
        let at = usize::from(local);
        if at >= self.finals.len() {
            self.finals.resize(at + 1, Ledger::default());
        }
        &mut self.finals[at]
    }

    /// Writes down the fates of a sealed window's trades. Where no trade made a bar, those that count for something
    /// become orphans, unless the venue's bar stood in for all of them.
    pub fn settle_sealed(&mut self, window: &BaseWindow) {
        let waits = !window.sum.is_bar() && window.venue.is_none();
        for (local, mut count) in window.counts.iter() {
            if waits && count.active > 0 {
                let orphans = Orphans { start: window.start, local, count: count.active, counted: false };
                self.orphans.push(orphans);
                count.active = 0;
            }
            settle(self.of(local), count, window.sum.is_bar());
        }
    }

    /// Returns a copy of the final fates, by source.
    #[must_use]
    pub fn finals(&self) -> Vec<Ledger> {
        self.finals.clone()
    }
}

/// Adds what is counted of a window and source to the source's ledger.
pub fn settle(ledger: &mut Ledger, count: Count, makes_bar: bool) {
    ledger.cancelled += u64::from(count.cancelled);
    ledger.filtered += u64::from(count.idle);
    *(if makes_bar { &mut ledger.in_bars } else { &mut ledger.filtered }) += u64::from(count.active);
}

/// A source and the fates of its reports.
pub type SourceLedger = (SourceId, Ledger);
