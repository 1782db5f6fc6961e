//! Symbols whose data do not come, and those whose data have just come back.
//!
//! Promises: at most one entry a symbol, and none of a symbol that has been well for longer than it takes to settle.

use crate::models::time::Nanos;
use std::collections::{BTreeMap, BTreeSet};

/// What is known of the symbols' feeds.
#[derive(Clone, Debug, Default)]
pub struct Outages {
    /// Since when a symbol is down.
    down: BTreeMap<String, Nanos>,
    /// Until when a symbol that came back has to settle.
    settling: BTreeMap<String, Nanos>,
}

/// How a symbol's feed is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedCondition {
    /// Data come, or nothing else is known.
    Up,
    /// None have come since.
    Down(Nanos),
    /// They come again, and are to be trusted from then on.
    Settling(Nanos),
}

impl Outages {
    /// Takes over which symbols are down now. `settle` is how long one that came back has to settle.
    pub fn update(&mut self, down: &BTreeSet<String>, now: Nanos, settle: i64) {
        let settling = &mut self.settling;
        self.down.retain(|symbol, _| {
            let is_down = down.contains(symbol);
            if !is_down {
                settling.insert(symbol.clone(), now.plus(settle));
            }
            is_down
        });
        for symbol in down {
            self.down.entry(symbol.clone()).or_insert(now);
            self.settling.remove(symbol);
        }
        self.settling.retain(|_, until| *until > now);
    }

    /// Returns how a symbol's feed is.
    #[must_use]
    pub fn of(&self, symbol: &str, now: Nanos) -> FeedCondition {
        if let Some(since) = self.down.get(symbol) {
            return FeedCondition::Down(*since);
        }
        match self.settling.get(symbol) {
            Some(until) if *until > now => FeedCondition::Settling(*until),
            _ => FeedCondition::Up,
        }
    }
}
