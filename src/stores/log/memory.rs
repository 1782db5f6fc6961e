//! A log that keeps nothing: for runs without persistence, and for tests.
//!
//! Promises: it is bounded, and forgets the oldest ticks when full; an append never fails for lack of room. Nothing is
//! durable: what was acknowledged, the process has.

use super::{
    Checkpoint, CheckpointSet, CheckpointStore, Checkpoints, CommitLog, LogGroup, LogReader, LogTail,
    NUM_SLICES, Partition, SetHeader, TickLog, TickQuery,
};
use crate::models::entry::{Body, Entry, Position};
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use crate::stores::error::StoreError;
use async_trait::async_trait;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most recent ticks kept of a symbol: the longest page that REST gives.
const TICKS_PER_SYMBOL: usize = 1_000;

/// Most recent ticks kept of all symbols together, 110 MB: with more than a thousand symbols each keeps fewer, but never
/// less than some.
const TICKS_OF_ALL: usize = 1 << 20;
const TICKS_PER_SYMBOL_MIN: usize = 50;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A log that remembers where it ends, the most recent ticks of every symbol, progress, checkpoints and poison, and no
/// entries: [`LogReader::read`] finds nothing.
#[derive(Debug)]
pub struct MemoryLog {
    inner: Mutex<LogState>,
}

#[derive(Debug, Default)]
struct LogState {
    tail: LogTail,
    ticks: HashMap<SymbolId, VecDeque<Entry>>,
    progress: HashMap<String, Vec<u8>>,
    recovery: BTreeMap<Partition, Recovery>,
}

/// What recovery of one partition starts from.
#[derive(Debug, Default)]
struct Recovery {
    headers: BTreeMap<u32, [SetHeader; 2]>,
    relied_on: Option<Position>,
    checkpoints: BTreeMap<Arc<str>, BTreeMap<Position, Checkpoint>>,
    poison: BTreeSet<Position>,
}

impl Default for MemoryLog {
    fn default() -> Self {
        MemoryLog::new()
    }
}

impl MemoryLog {
    /// Makes an empty log with a name of its own.
    #[must_use]
    pub fn new() -> MemoryLog {
        let tail = LogTail { epoch: rand::random(), ..LogTail::default() };
        MemoryLog { inner: Mutex::new(LogState { tail, ..LogState::default() }) }
    }
}

/// Keeps a tick, and as many before it as there is room for with so many symbols.
fn keep_tick(ticks: &mut VecDeque<Entry>, tick: Entry, num_symbols: usize) {
    let most = (TICKS_OF_ALL / num_symbols).clamp(TICKS_PER_SYMBOL_MIN, TICKS_PER_SYMBOL);
    if ticks.len() >= most {
        let num_over = ticks.len() + 1 - most;
        ticks.drain(..num_over);
        if ticks.capacity() > 2 * most {
            ticks.shrink_to(most);
        }
    }
    ticks.push_back(tick);
}

#[async_trait]
impl CommitLog for MemoryLog {
    async fn append(&self, group: &LogGroup) -> Result<(), StoreError> {
        let mut log = lock(&self.inner);
        if let Some(first) = group.entries.first()
            && first.pos <= log.tail.last
        {
            return Err(StoreError::Permanent {
                context: "failed to append to the log",
                cause: format!("position {} is not after {}", first.pos, log.tail.last),
            });
        }
        for entry in &group.entries {
            log.tail.last = entry.pos;
            // Nothing can be read back: what is left begins after the end.
            log.tail.first = entry.pos + 1;
            log.tail.dropped_through = entry.pos;
            let tells_time = !matches!(
                entry.body,
                Body::Gap(_) | Body::SourceInCharge { .. } | Body::Symbol { .. } | Body::Detection { .. }
            );
            if tells_time {
                log.tail.newest = log.tail.newest.max(Some(entry.body.time()));
            }
            if entry.body.is_report() || matches!(entry.body, Body::Quote(_)) {
                let num_symbols = log.ticks.len().max(1);
                let ticks = log.ticks.entry(entry.symbol).or_default();
                keep_tick(ticks, *entry, num_symbols);
            }
        }
        if let Some(progress) = &group.progress {
            log.progress.insert(progress.key.clone(), progress.value.clone());
        }
        Ok(())
    }

    async fn retain(&self, _now: Nanos, _needed_from: Position) -> Result<u64, StoreError> {
        Ok(0)
    }
}

#[async_trait]
impl LogReader for MemoryLog {
    async fn tail(&self) -> Result<LogTail, StoreError> {
        Ok(lock(&self.inner).tail)
    }

    async fn read(&self, _after: Position, _limit: usize) -> Result<Vec<Entry>, StoreError> {
        Ok(Vec::new())
    }

    async fn ticks(&self, query: &TickQuery) -> Result<Vec<Entry>, StoreError> {
        let key = |entry: &Entry| (entry.body.time(), entry.pos);
        let log = lock(&self.inner);
        let mut found: Vec<Entry> = log
            .ticks
            .get(&query.symbol)
            .into_iter()
            .flatten()
            .filter(|entry| (query.start..=query.end).contains(&entry.body.time()))
            .filter(|entry| query.before.is_none_or(|before| key(entry) < before))
            .copied()
            .collect();
        found.sort_unstable_by_key(|entry| Reverse(key(entry)));
        found.truncate(query.limit);
        Ok(found)
    }

    async fn progress(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(lock(&self.inner).progress.get(key).cloned())
    }
}

#[async_trait]
impl CheckpointStore for MemoryLog {
    async fn save_checkpoints(&self, partition: Partition, set: &CheckpointSet) -> Result<(), StoreError> {
        let mut log = lock(&self.inner);
        let recovery = log.recovery.entry(partition).or_default();
        recovery.relied_on = recovery.relied_on.max(Some(set.newest()));
        let newest = recovery.headers.entry(set.slice).or_default();
        if set.covers_through > newest[0].covers_through {
            let header = SetHeader { covers_through: set.covers_through, context: set.context.clone() };
            newest[1] = std::mem::replace(&mut newest[0], header);
        }
        for checkpoint in &set.checkpoints {
            let of_symbol = recovery.checkpoints.entry(Arc::clone(&checkpoint.symbol)).or_default();
            of_symbol.insert(checkpoint.pos, checkpoint.clone());
            while of_symbol.len() > 2 {
                of_symbol.pop_first();
            }
        }
        Ok(())
    }

    async fn load_checkpoints(&self, partition: Partition) -> Result<Checkpoints, StoreError> {
        let mut log = lock(&self.inner);
        let recovery = log.recovery.entry(partition).or_default();
        let header = |slice| recovery.headers.get(&slice).cloned().unwrap_or_default();
        let slices = (0..NUM_SLICES).map(header).collect();
        let newest_first = |of_symbol: &BTreeMap<_, Checkpoint>| of_symbol.values().rev().cloned().collect();
        let symbols = recovery.checkpoints.values().map(newest_first).collect();
        Ok(Checkpoints { slices, symbols, relied_on: recovery.relied_on })
    }

    async fn mark_poison(&self, partition: Partition, pos: Position) -> Result<(), StoreError> {
        lock(&self.inner).recovery.entry(partition).or_default().poison.insert(pos);
        Ok(())
    }

    async fn poison(&self, partition: Partition) -> Result<Vec<Position>, StoreError> {
        let log = lock(&self.inner);
        Ok(log.recovery.get(&partition).map_or_else(Vec::new, |found| found.poison.iter().copied().collect()))
    }
}

#[async_trait]
impl TickLog for MemoryLog {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::entry::Trade;

    #[tokio::test]
    async fn the_log_of_many_symbols_keeps_fewer_ticks_of_each() {
        let (log, num_symbols) = (MemoryLog::new(), 3_000_u32);
        for round in 0..400_u32 {
            let entries = (0..num_symbols).map(|at| {
                let pos = u64::from(round * num_symbols + at) + 1;
                let body = Body::Trade(Trade::for_test(pos, Nanos(pos.cast_signed())));
                Entry { pos, symbol: SymbolId(at), body }
            });
            let group = LogGroup { entries: entries.collect(), progress: None };
            log.append(&group).await.expect("it keeps nothing that could fail");
        }
        let (most, inner) = (TICKS_OF_ALL / num_symbols as usize, lock(&log.inner));
        assert!(inner.ticks.values().all(|ticks| ticks.len() == most && ticks.capacity() <= 2 * most + 1));
        let newest = inner.ticks[&SymbolId(7)].back().map(|tick| tick.pos);
        assert_eq!(newest, Some(u64::from(399 * num_symbols) + 8));
    }
}
