//! A cache in this process: the plain form of what every cache does.
//!
//! Promises: as the trait says, by the clock that it is given. It holds as many values as there are symbols and windows;
//! what is over its time goes with the next write.

use super::{Cache, CacheOutcome, CacheWrite};
use crate::clock::Clock;
use crate::models::time::Nanos;
use crate::stores::StoreError;
use async_trait::async_trait;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A value, and when it is over.
struct Held {
    value: Vec<u8>,
    until: Nanos,
}

/// A cache that is a table.
pub struct MemoryCache {
    clock: Arc<dyn Clock>,
    held: Mutex<HashMap<String, Held>>,
}

impl MemoryCache {
    /// Makes an empty cache.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> MemoryCache {
        MemoryCache { clock, held: Mutex::default() }
    }
}

fn after(now: Nanos, ttl: Duration) -> Nanos {
    now.plus(i64::try_from(ttl.as_nanos()).unwrap_or(i64::MAX))
}

#[async_trait]
impl Cache for MemoryCache {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let now = self.clock.now();
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(held.get(key).filter(|held| held.until > now).map(|held| held.value.clone()))
    }

    async fn write(&self, writes: &[CacheWrite]) -> Result<Vec<CacheOutcome>, StoreError> {
        let now = self.clock.now();
        let mut table = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        table.retain(|_, held| held.until > now);
        let make = |write: &CacheWrite| {
            match write {
                CacheWrite::Set { key, value, ttl } => {
                    table.insert(key.clone(), Held { value: value.clone(), until: after(now, *ttl) });
                }
                CacheWrite::Remove { key } => _ = table.remove(key),
                CacheWrite::Count { key, by, ttl } => {
                    let fresh = || Held { value: b"0".to_vec(), until: after(now, *ttl) };
                    let held = table.entry(key.clone()).or_insert_with(fresh);
                    let count =
                        std::str::from_utf8(&held.value).ok().and_then(|text| text.parse::<u64>().ok());
                    let Some(count) = count.map(|count| count + by) else { return CacheOutcome::Refused };
                    held.value = count.to_string().into_bytes();
                    return CacheOutcome::Counted(count);
                }
            }
            CacheOutcome::Done
        };
        Ok(writes.iter().map(make).collect())
    }
}
