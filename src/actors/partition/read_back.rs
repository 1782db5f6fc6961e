//! Reads back what the store knows of a symbol, for its actor to come back from a panic.
//!
//! Promises: nothing is left out for a failure that may go away; it is tried again until it does, and meanwhile the
//! shard stands, its queues fill, and the venue waits. What will not go away is said, and the caller goes on without.

use super::shard::Environment;
use crate::models::entry::{Entry, Position};
use crate::models::symbol::SymbolId;
use crate::stores::StoreError;
use crate::stores::log::{Partition, TickLog};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Entries that are read at once: under 1 MB.
const PAGE_ENTRIES: usize = 8_192;

/// Pause after the first failed try, and after many.
const RETRY_DELAY: Duration = Duration::from_millis(100);
const RETRY_DELAY_MAX: Duration = Duration::from_secs(5);

/// What the store knows of one symbol.
pub struct ReadBack<'a> {
    env: &'a Environment,
    symbol: SymbolId,
}

impl<'a> ReadBack<'a> {
    /// Makes the reader of a symbol.
    #[must_use]
    pub const fn new(env: &'a Environment, symbol: SymbolId) -> ReadBack<'a> {
        ReadBack { env, symbol }
    }

    /// Returns the symbol's encoded checkpoints, newest first.
    #[must_use]
    pub fn checkpoints(&self) -> Vec<Vec<u8>> {
        let name = Arc::new(self.env.symbols.spec(self.symbol).name.clone());
        let checkpoints = self.read(move |log| {
            let name = Arc::clone(&name);
            async move { log.checkpoints_of(Partition::EMBEDDED, &name).await }
        });
        checkpoints.into_iter().map(|checkpoint| checkpoint.bytes).collect()
    }

    /// Returns what comes next after a position: entries of the symbol and broadcasts. Nothing at the log's end.
    #[must_use]
    pub fn page(&self, after: Position) -> Vec<Entry> {
        let symbol = self.symbol;
        self.read(move |log| async move { log.read_of(symbol, after, PAGE_ENTRIES).await })
    }

    /// Waits for the store on a thread of its own, since the one at hand runs a shard.
    fn read<T, F>(&self, ask: impl Fn(Arc<dyn TickLog>) -> F) -> T
    where
        T: Default + Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let Some(log) = &self.env.log else { return T::default() };
        let mut delay = RETRY_DELAY;
        loop {
            let answer = ask(Arc::clone(log));
            let asked = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.map(|runtime| runtime.block_on(answer))
            });
            let name = &self.env.symbols.spec(self.symbol).name;
            match asked.join() {
                Ok(Ok(Ok(found))) => return found,
                Ok(Ok(Err(error))) if !error.is_transient() => {
                    tracing::error!(symbol = %name, %error, "failed to read a symbol back; it goes on without");
                    return T::default();
                }
                Ok(Ok(Err(error))) => {
                    tracing::error!(symbol = %name, %error, "failed to read a symbol back; it is tried again");
                }
                Ok(Err(error)) => {
                    tracing::error!(symbol = %name, %error, "failed to read a symbol back; it is tried again");
                }
                Err(_) => {
                    tracing::error!(symbol = %name, "the reader of the store panicked; the symbol goes on without");
                    return T::default();
                }
            }
            std::thread::sleep(delay);
            delay = (delay * 2).min(RETRY_DELAY_MAX);
        }
    }
}
