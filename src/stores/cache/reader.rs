//! Reads a cache for those who have somewhere else to look as well, and so never wait for it.
//!
//! Promises: a read takes [`READ_TIMEOUT`] at the most. After one that failed nobody asks for [`PAUSE`]; then one reader
//! tries, and the others go on without until it has had an answer.

use super::Cache;
use super::limit::MessageLimit;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Time that a read may take: a cache in the same network answers in a millisecond, the history in some.
pub const READ_TIMEOUT: Duration = Duration::from_millis(50);

/// How long a cache that did not answer is left alone.
pub const PAUSE: Duration = Duration::from_secs(1);

/// Reads a cache.
pub struct CacheReader {
    cache: Arc<dyn Cache>,
    begun: Instant,
    /// Nobody asks before this, in milliseconds since `begun`.
    closed_until: AtomicU64,
    limit: Option<Arc<MessageLimit>>,
}

impl CacheReader {
    /// Makes the reader of a cache.
    #[must_use]
    pub fn new(cache: Arc<dyn Cache>) -> CacheReader {
        CacheReader { cache, begun: Instant::now(), closed_until: AtomicU64::new(0), limit: None }
    }

    /// Takes the limit of messages that is watched where the cache is written.
    #[must_use]
    pub fn with_limit(self, limit: Option<Arc<MessageLimit>>) -> CacheReader {
        CacheReader { limit, ..self }
    }

    /// Returns the limit of messages, where there is one.
    #[must_use]
    pub fn limit(&self) -> Option<&MessageLimit> {
        self.limit.as_deref()
    }

    /// Returns the value of a key; `None` also where the cache does not answer.
    pub async fn get(&self, key: &str) -> Option<Vec<u8>> {
        let now = self.now_ms();
        let closed_until = self.closed_until.load(Ordering::Acquire);
        if now < closed_until {
            return None;
        }
        if closed_until > 0 {
            // Whoever wins this tries; to the others it stays closed.
            let next = now + PAUSE.as_millis() as u64;
            let won =
                self.closed_until.compare_exchange(closed_until, next, Ordering::AcqRel, Ordering::Acquire);
            if won.is_err() {
                return None;
            }
        }
        match tokio::time::timeout(READ_TIMEOUT, self.cache.get(key)).await {
            Ok(Ok(found)) => {
                if closed_until > 0 {
                    self.closed_until.store(0, Ordering::Release);
                    tracing::info!("the cache answers again");
                }
                found
            }
            Ok(Err(error)) => self.failed(closed_until, &error.to_string()),
            Err(_) => self.failed(closed_until, "no answer in time"),
        }
    }

    fn failed(&self, closed_until: u64, error: &str) -> Option<Vec<u8>> {
        if closed_until == 0 {
            tracing::warn!(error, "the cache cannot be read; it is left out until it answers");
        }
        self.closed_until.store(self.now_ms() + PAUSE.as_millis() as u64, Ordering::Release);
        None
    }

    fn now_ms(&self) -> u64 {
        self.begun.elapsed().as_millis() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CacheOutcome, CacheWrite};
    use super::*;
    use crate::stores::StoreError;
    use async_trait::async_trait;
    use std::sync::atomic::AtomicBool;

    /// Answers, or hangs; counts the reads.
    #[derive(Default)]
    struct FlakyCache {
        hangs: AtomicBool,
        num_asked: AtomicU64,
    }

    #[async_trait]
    impl Cache for FlakyCache {
        async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
            self.num_asked.fetch_add(1, Ordering::SeqCst);
            if self.hangs.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            Ok(Some(key.as_bytes().to_vec()))
        }

        async fn write(&self, _: &[CacheWrite]) -> Result<Vec<CacheOutcome>, StoreError> {
            Ok(Vec::new())
        }
    }

    #[tokio::test]
    async fn a_cache_that_hangs_is_asked_once_and_then_left_alone() {
        let cache = Arc::new(FlakyCache::default());
        let reader = CacheReader::new(cache.clone());
        assert_eq!(reader.get("a").await, Some(b"a".to_vec()));
        cache.hangs.store(true, Ordering::SeqCst);
        for _ in 0..100 {
            assert_eq!(reader.get("a").await, None);
        }
        assert_eq!(cache.num_asked.load(Ordering::SeqCst), 2);
        cache.hangs.store(false, Ordering::SeqCst);
        // As if the pause were over.
        reader.closed_until.store(1, Ordering::SeqCst);
        while reader.now_ms() < 1 {
            tokio::task::yield_now().await;
        }
        assert_eq!(reader.get("a").await, Some(b"a".to_vec()));
        assert_eq!(reader.get("b").await, Some(b"b".to_vec()));
        assert_eq!(cache.num_asked.load(Ordering::SeqCst), 4);
    }
}
