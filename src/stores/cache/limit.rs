//! Which symbols get more messages a minute than is meant for them.
//!
//! Promises: nothing is held back: ticks over the limit are taken like any other, and who asks is told. The counts are those of
//! the cache, so that every process that counts there counts together. What is known of a symbol ends with the count's time.

use super::COUNT_SPAN;
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// A count over the limit, and until when it is known.
#[derive(Clone, Copy)]
struct Over {
    count: u64,
    until: Nanos,
}

/// The limit, and who is over it.
pub struct MessageLimit {
    max: u64,
    over: Mutex<BTreeMap<SymbolId, Over>>,
    /// How many there are, so that nobody takes the lock while there are none.
    num_over: AtomicUsize,
}

impl MessageLimit {
    /// Makes a limit of so many messages in [`COUNT_SPAN`].
    #[must_use]
    pub fn new(max: u64) -> MessageLimit {
        MessageLimit { max, over: Mutex::default(), num_over: AtomicUsize::new(0) }
    }

    /// Returns the limit.
    #[must_use]
    pub const fn max(&self) -> u64 {
        self.max
    }

    /// Notes what a count is at `now`. Returns true when the symbol has just come over the limit.
    pub fn note(&self, symbol: SymbolId, count: u64, now: Nanos) -> bool {
        if count <= self.max && self.num_over.load(Ordering::Acquire) == 0 {
            return false;
        }
        let mut over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = if count <= self.max {
            over.remove(&symbol);
            false
        } else {
            let until = now.plus(COUNT_SPAN.as_nanos() as i64);
            over.insert(symbol, Over { count, until }).is_none_or(|before| before.until <= now)
        };
        self.num_over.store(over.len(), Ordering::Release);
        is_new
    }

    /// Returns the symbols over the limit, and the count of each.
    #[must_use]
    pub fn all(&self, now: Nanos) -> BTreeMap<SymbolId, u64> {
        if self.num_over.load(Ordering::Acquire) == 0 {
            return BTreeMap::new();
        }
        let over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        let known = over.iter().filter(|(_, over)| over.until > now);
        known.map(|(symbol, over)| (*symbol, over.count)).collect()
    }

    /// True when a symbol is over the limit.
    #[must_use]
    pub fn is_over(&self, symbol: SymbolId, now: Nanos) -> bool {
        if self.num_over.load(Ordering::Acquire) == 0 {
            return false;
        }
        let over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        over.get(&symbol).is_some_and(|over| over.until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::time::SECOND;

    #[test]
    fn a_symbol_is_over_until_its_count_begins_anew_or_nobody_has_counted_for_a_minute() {
        let limit = MessageLimit::new(100);
        let (a, b, at) = (SymbolId(1), SymbolId(2), |seconds: i64| Nanos(seconds * SECOND));
        assert!(!limit.note(a, 100, at(0)) && !limit.is_over(a, at(0)), "up to the limit is not over it");
        assert!(limit.note(a, 101, at(1)));
        assert!(!limit.note(a, 150, at(2)), "it is said once");
        assert!(limit.note(b, 500, at(2)));
        assert_eq!(limit.all(at(3)), BTreeMap::from([(a, 150), (b, 500)]));
        assert!(!limit.note(a, 3, at(10)));
        assert!(!limit.is_over(a, at(10)) && limit.is_over(b, at(10)));
        assert!(!limit.is_over(b, at(62)) && limit.all(at(62)).is_empty());
        assert!(limit.note(b, 101, at(63)), "it is over it again");
    }
}
