//! Cancels that came before their trade.
//!
//! Promises: a symbol keeps [`NUM_WAITING_MAX`] of them at most, and finds the next one to expire without looking at the
//! others. Each waits until its own event time is sealed. One that is dated more than a horizon ahead of the clock may
//! be the first report after a quiet night, or wrong: it is judged when the time at which it came is sealed, and given up
//! if it is still far ahead of a clock that has moved on by more than a horizon.

use super::Identity;
use crate::models::entry::Position;
use crate::models::time::{Nanos, Width};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// At most so many cancels of one symbol wait: far more than a venue sends in a horizon, some 2 MB.
pub const NUM_WAITING_MAX: usize = 1 << 14;

/// All that is needed of a cancel for the dead letter it may become.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct PendingCancel {
    /// Its event time.
    pub ts: Nanos,
    /// Where it stands in the log.
    pub pos: Position,
    /// When it was received.
    pub received: Nanos,
    /// It expires or is judged when everything before this is sealed.
    #[serde(skip, default = "unknown")]
    pub until: Nanos,
}

const fn unknown() -> Nanos {
    Nanos::MIN
}

/// The cancels that wait.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PendingCancels {
    by_trade: BTreeMap<Identity, PendingCancel>,
    #[serde(skip)]
    by_end: BTreeSet<(Nanos, Identity)>,
}

impl PendingCancels {
    /// True when none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_trade.is_empty()
    }

    /// True when no other one may wait.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.by_trade.len() >= NUM_WAITING_MAX
    }

    /// True when a cancel of this trade waits.
    #[must_use]
    pub fn contains(&self, trade: Identity) -> bool {
        self.by_trade.contains_key(&trade)
    }

    /// Lets a cancel wait for a trade that none waits for yet.
    pub fn insert(&mut self, trade: Identity, cancel: PendingCancel) {
        self.by_end.insert((cancel.until, trade));
        self.by_trade.insert(trade, cancel);
    }

    /// Takes out the cancel of a trade.
    pub fn remove(&mut self, trade: Identity) -> Option<PendingCancel> {
        let cancel = self.by_trade.remove(&trade)?;
        self.by_end.remove(&(cancel.until, trade));
        Some(cancel)
    }

    /// Returns the time with whose seal the next one is to be looked at.
    #[must_use]
    pub fn next_end(&self) -> Option<Nanos> {
        self.by_end.first().map(|(until, _)| *until)
    }

    /// Takes out those that waited in vain when everything before `frontier` is sealed, by trade. `far` is a horizon
    /// ahead of the clock.
    pub fn expire(&mut self, frontier: Nanos, far: Nanos, base: Width) -> Vec<(Identity, PendingCancel)> {
        let mut gone = Vec::new();
        while let Some(&(until, trade)) = self.by_end.first()
            && until <= frontier
        {
            let Some(cancel) = self.remove(trade) else { break };
            let end = base.end_of(cancel.ts);
            if end <= frontier || cancel.ts > far {
                gone.push((trade, cancel));
            } else {
                self.insert(trade, PendingCancel { until: end, ..cancel });
            }
        }
        gone.sort_unstable_by_key(|(trade, _)| *trade);
        gone
    }

    /// Returns those that are to be judged before their own time is sealed, and when.
    #[must_use]
    pub fn judged(&self, base: Width) -> Vec<(Identity, Nanos)> {
        let is_judged = |cancel: &PendingCancel| cancel.until < base.end_of(cancel.ts);
        let judged = self.by_trade.iter().filter(|(_, cancel)| is_judged(cancel));
        judged.map(|(trade, cancel)| (*trade, cancel.until)).collect()
    }

    /// Puts back what a checkpoint does not hold of each cancel.
    pub fn restore(&mut self, judged: &[(Identity, Nanos)], base: Width) {
        for cancel in self.by_trade.values_mut() {
            cancel.until = base.end_of(cancel.ts);
        }
        for (trade, until) in judged {
            if let Some(cancel) = self.by_trade.get_mut(trade) {
                cancel.until = *until;
            }
        }
        self.by_end = self.by_trade.iter().map(|(trade, cancel)| (cancel.until, *trade)).collect();
    }
}
