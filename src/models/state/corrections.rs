//! Which trades stand for which others.
//!
//! Promises: what is sealed is found without looking at what is not. A correction is known for as long as the trade that
//! it brought is retained.

use super::Identity;
use super::trades::RetainedTrades;
use crate::models::entry::TradeId;
use crate::models::time::{Nanos, Width};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The corrections whose trades are retained.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Corrections {
    /// Corrected trade, known or not, to the known trades that stand for it.
    by_target: BTreeMap<Identity, Vec<TradeId>>,
    /// The other way round.
    #[serde(skip)]
    targets: BTreeMap<Identity, Vec<TradeId>>,
    /// The trades that stand for others, by the start of every window in which they stood.
    #[serde(skip)]
    by_window: BTreeMap<Nanos, Vec<Identity>>,
}

impl Corrections {
    /// True when some trade stands for this one.
    #[must_use]
    pub fn contains(&self, target: Identity) -> bool {
        self.by_target.contains_key(&target)
    }

    /// Returns the trades that stand for this one.
    #[must_use]
    pub fn of(&self, target: Identity) -> &[TradeId] {
        self.by_target.get(&target).map_or(&[], Vec::as_slice)
    }

    /// Notes that a trade, retained in the window that starts then, stands for another of its source.
    pub fn insert(&mut self, target: Identity, by: TradeId, window: Nanos) {
        let standing = self.by_target.entry(target).or_default();
        if standing.contains(&by) {
            return;
        }
        standing.push(by);
        let by = (target.0, by);
        let targets = self.targets.entry(by).or_default();
        targets.push(target.1);
        if targets.len() == 1 {
            self.by_window.entry(window).or_default().push(by);
        }
    }

    /// Notes that a trade is now retained in another window.
    pub fn moved(&mut self, by: Identity, window: Nanos) {
        if self.targets.contains_key(&by) {
            self.by_window.entry(window).or_default().push(by);
        }
    }

    /// Forgets the corrections whose trades are retained no more, once the windows that end by then are released.
    pub fn seal(&mut self, frontier: Nanos, base: Width, retained: &RetainedTrades) {
        while let Some(window) = self.by_window.first_entry()
            && window.key().plus(base.nanos()) <= frontier
        {
            for by in window.remove() {
                if retained.find(by.0, by.1).is_none() {
                    self.forget(by);
                }
            }
        }
    }

    fn forget(&mut self, by: Identity) {
        for target in self.targets.remove(&by).unwrap_or_default() {
            let target = (by.0, target);
            let Some(standing) = self.by_target.get_mut(&target) else { continue };
            standing.retain(|id| *id != by.1);
            if standing.is_empty() {
                self.by_target.remove(&target);
            }
        }
    }

    /// Works out what a checkpoint does not hold.
    pub fn restore(&mut self, retained: &RetainedTrades) {
        for (target, standing) in std::mem::take(&mut self.by_target) {
            for by in standing {
                // One that is not retained goes with the next seal.
                let window =
                    retained.find(target.0, by).map_or(Nanos::MIN, |place| retained.start_of(place.slot));
                self.insert(target, by, window);
            }
        }
    }
}
