//! How many trades of a window count for something, by source: what its share of the ledger is worked out from.
//!
//! Promises: plain sums, which the order of the trades does not change. Nothing here fails.

use super::sources::LocalSource;
use crate::models::ledger::Ledger;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

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

    /// Sets all counts to zero, before the trades are counted anew.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Returns the counts with the place of their source.
    pub fn iter(&self) -> impl Iterator<Item = (LocalSource, Count)> + '_ {
        (0..).zip(self.0.iter().copied())
    }
}

impl Count {
    /// Adds the trades to the ledger of their source.
    pub fn settle(self, ledger: &mut Ledger, makes_bar: bool) {
        ledger.cancelled += u64::from(self.cancelled);
        ledger.filtered += u64::from(self.idle);
        *(if makes_bar { &mut ledger.in_bars } else { &mut ledger.filtered }) += u64::from(self.active);
    }
}
