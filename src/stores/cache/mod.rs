//! The cache of newest values: prices, bars and indicators as other programs read them by key.
//!
//! A cache holds nothing that is not elsewhere, so it may lose everything at any time. Values are the JSON that REST
//! gives; the keys are those that users of the service know.
//!
//! Promises, for every implementation: a value is gone when its time is over; a counter's time begins with its first
//! increment and is not prolonged by others. A write that fails may have been done in part.

pub mod limit;
pub mod memory;
pub mod reader;
pub mod redis;

use crate::stores::StoreError;
use async_trait::async_trait;
use std::time::Duration;

/// The window whose indicators are the symbol's: its key does not name it.
const MAIN_WINDOW: &str = "1min";

/// How long a count of messages runs.
pub const COUNT_SPAN: Duration = Duration::from_mins(1);

/// Returns the key of a symbol's newest trade.
#[must_use]
pub fn latest_key(symbol: &str) -> String {
    format!("latest_price:{symbol}")
}

/// Returns the key of the newest indicators of a symbol and window.
#[must_use]
pub fn indicators_key(symbol: &str, window: &str) -> String {
    if window == MAIN_WINDOW {
        format!("indicators:{symbol}")
    } else {
        format!("indicators:{symbol}:{window}")
    }
}

/// Returns the key of the newest closed bar of a symbol and window.
#[must_use]
pub fn aggregated_key(symbol: &str, window: &str) -> String {
    format!("aggregated:{symbol}:{window}")
}

/// Returns the key of the number of ticks accepted for a symbol within [`COUNT_SPAN`].
#[must_use]
pub fn count_key(symbol: &str) -> String {
    format!("message_count:{symbol}")
}

/// How long values live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheTtls {
    /// Newest trades.
    pub latest: Duration,
    /// Newest indicators.
    pub indicators: Duration,
    /// Newest closed bars.
    pub aggregated: Duration,
}

/// One change of a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheWrite {
    /// Puts a value in place of the one before.
    Set {
        /// The key.
        key: String,
        /// The value.
        value: Vec<u8>,
        /// How long it lives from now.
        ttl: Duration,
    },
    /// Takes a value away.
    Remove {
        /// The key.
        key: String,
    },
    /// Adds to a counter; one that is not there begins at 0.
    Count {
        /// The key.
        key: String,
        /// How much.
        by: u64,
        /// How long a counter that begins with this lives.
        ttl: Duration,
    },
}

/// What came of one change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheOutcome {
    /// It was made.
    Done,
    /// It was made, and the counter is this now.
    Counted(u64),
    /// The backend refused it: a counter whose key holds something else.
    Refused,
}

/// A cache.
#[async_trait]
pub trait Cache: Send + Sync {
    /// Returns the value of a key, if there is one.
    ///
    /// # Errors
    /// When the backend does not answer.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Makes the changes, of which no two are of one key; without any it asks whether the backend is there. Returns what
    /// came of each in order, and nothing for none.
    ///
    /// # Errors
    /// When the backend does not answer, or refuses everything.
    async fn write(&self, writes: &[CacheWrite]) -> Result<Vec<CacheOutcome>, StoreError>;
}
