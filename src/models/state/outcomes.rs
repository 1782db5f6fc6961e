//! Outcomes of a symbol's reports, so that nothing received is ever unaccounted for.
//!
//! What can still change is not written down but counted anew when asked: the trades of unsealed windows, and of sealed
//! ones that made no bar while a larger window around them still may.

use super::sources::LocalSource;
use super::window::BaseWindow;
use crate::models::entry::SourceId;
use crate::models::ledger::Ledger;
use crate::models::time::Nanos;
use serde::{Deserialize, Serialize};

/// Trades of a sealed window that made no bar there, but may count in a larger one.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct PendingTrades {
    /// Start of the sealed window.
    pub start: Nanos,
    /// The source that reported them.
    pub local: LocalSource,
    /// Number of trades.
    pub count: u32,
    /// A larger window that has been sealed since counted them.
    pub counted: bool,
}

impl PendingTrades {
    /// Adds them to their source's ledger.
    pub fn settle(&self, ledger: &mut Ledger, counted: bool) {
        *(if counted { &mut ledger.in_bars } else { &mut ledger.filtered }) += u64::from(self.count);
    }
}

/// The outcomes that are final, by source, and those that wait.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcomes {
    finals: Vec<Ledger>,
    /// Trades that may still count in a larger window.
    pub pending: Vec<PendingTrades>,
}

impl Outcomes {
    /// Returns the final outcomes of a source.
    #[inline]
    pub fn of(&mut self, local: LocalSource) -> &mut Ledger {
        let at = usize::from(local);
        if at >= self.finals.len() {
            self.finals.resize(at + 1, Ledger::default());
        }
        &mut self.finals[at]
    }

    /// Writes down the outcomes of a sealed window's trades. Where no trade made a bar, those that count for something
    /// are pending, unless the venue's bar stood in for all of them.
    pub fn settle_sealed(&mut self, window: &BaseWindow) {
        let waits = !window.sum.is_bar() && window.venue.is_none();
        for (local, mut count) in window.counts.iter() {
            if waits && count.active > 0 {
                let pending =
                    PendingTrades { start: window.start, local, count: count.active, counted: false };
                self.pending.push(pending);
                count.active = 0;
            }
            count.settle(self.of(local), window.sum.is_bar());
        }
    }

    /// Returns a copy of the final outcomes, by source.
    #[must_use]
    pub fn finals(&self) -> Vec<Ledger> {
        self.finals.clone()
    }
}

/// A source and the outcomes of its reports.
pub type SourceLedger = (SourceId, Ledger);
