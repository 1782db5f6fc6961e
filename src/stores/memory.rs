//! Stores that keep nothing: for runs without persistence, and for tests.
//!
//! Both are bounded, and forget the oldest when full; an append or a write never fails for lack of room. Nothing is
//! durable: "acknowledged" means here that the process has it.

mod rows;
mod windows;

use super::{
    DeadLetterQuery, DeadLetterRecord, History, HistoryBatch, LogGroup, LogTail, NUM_SLICES, PointSet,
    Points, SliceLine, StoreError, SymbolPoint, TickLog, TickQuery, WindowQuery,
};
use crate::models::bar::{Bar, BarState};
use crate::models::effect::{Effect, IndicatorPoint};
use crate::models::entry::{Body, Entry, Position};
use crate::models::indicators::IndicatorValues;
use crate::models::source::SourceTable;
use crate::models::symbol::{SymbolId, SymbolTable};
use crate::models::time::{Nanos, Width};
use async_trait::async_trait;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use windows::Windows;

/// Most recent ticks kept of a symbol: the longest page that REST gives.
const TICKS_PER_SYMBOL: usize = 1_000;

/// Most recent ticks kept of all symbols together, 110 MB: with more than a thousand symbols each keeps fewer, but never
/// less than some.
const TICKS_OF_ALL: usize = 1 << 20;
const TICKS_PER_SYMBOL_MIN: usize = 50;

/// Dead letters kept.
const DEAD_LETTERS: usize = 10_000;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A log that remembers where it ends, the most recent ticks of every symbol, progress, points and poison, and no
/// entries: [`TickLog::read`] finds nothing.
#[derive(Debug)]
pub struct MemoryLog {
    inner: Mutex<LogState>,
}

#[derive(Debug, Default)]
struct LogState {
    tail: LogTail,
    ticks: HashMap<SymbolId, VecDeque<Entry>>,
    progress: HashMap<String, Vec<u8>>,
    sets: BTreeMap<u32, [SliceLine; 2]>,
    relied_on: Option<Position>,
    points: BTreeMap<SymbolId, BTreeMap<Position, SymbolPoint>>,
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
impl TickLog for MemoryLog {
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
            if !matches!(entry.body, Body::Gap(_) | Body::SourceInCharge { .. }) {
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

    async fn save_points(&self, set: &PointSet) -> Result<(), StoreError> {
        let mut log = lock(&self.inner);
        log.relied_on = log.relied_on.max(Some(set.newest()));
        let newest = log.sets.entry(set.slice).or_default();
        if set.good_to > newest[0].good_to {
            let line = SliceLine { good_to: set.good_to, context: set.context.clone() };
            newest[1] = std::mem::replace(&mut newest[0], line);
        }
        for point in &set.points {
            let points = log.points.entry(point.symbol).or_default();
            points.insert(point.pos, point.clone());
            while points.len() > 2 {
                points.pop_first();
            }
        }
        Ok(())
    }

    async fn load_points(&self) -> Result<Points, StoreError> {
        let log = lock(&self.inner);
        let slices = (0..NUM_SLICES).map(|slice| log.sets.get(&slice).cloned().unwrap_or_default()).collect();
        let num_symbols = log.points.last_key_value().map_or(0, |(symbol, _)| symbol.index() + 1);
        let mut symbols = vec![Vec::new(); num_symbols];
        for (symbol, points) in &log.points {
            symbols[symbol.index()] = points.values().rev().cloned().collect();
        }
        Ok(Points { slices, symbols, relied_on: log.relied_on })
    }

    async fn mark_poison(&self, pos: Position) -> Result<(), StoreError> {
        lock(&self.inner).poison.insert(pos);
        Ok(())
    }

    async fn poison(&self) -> Result<Vec<Position>, StoreError> {
        Ok(lock(&self.inner).poison.iter().copied().collect())
    }

    async fn retain(&self, _now: Nanos, _needed_from: Position) -> Result<u64, StoreError> {
        Ok(0)
    }
}

/// A history of the newest windows of every symbol and width.
#[derive(Debug)]
pub struct MemoryHistory {
    symbols: Arc<SymbolTable>,
    sources: Arc<SourceTable>,
    max_rows: usize,
    inner: Mutex<HistoryState>,
}

#[derive(Debug, Default)]
struct HistoryState {
    windows: Windows,
    /// Symbols by name, as far as they were needed.
    by_name: Vec<(String, SymbolId)>,
    dead_letters: VecDeque<DeadLetterRecord>,
    letter_keys: HashSet<LetterKey>,
    /// Id of the newest dead letter.
    last_letter: u64,
    acknowledged: Position,
}

impl MemoryHistory {
    /// Rows that a run keeps per symbol and width: the longest page that REST gives.
    pub const MAX_ROWS: usize = 5_000;

    /// Makes an empty history that keeps at most `max_rows` windows per symbol and width (`usize::MAX`: all of them).
    #[must_use]
    pub fn new(symbols: Arc<SymbolTable>, sources: Arc<SourceTable>, max_rows: usize) -> MemoryHistory {
        MemoryHistory { symbols, sources, max_rows, inner: Mutex::default() }
    }
}

/// What makes a dead letter the same as another one.
#[derive(Debug, PartialEq, Eq, Hash)]
enum LetterKey {
    Entry(Position),
    Input(String, String),
}

impl LetterKey {
    /// Returns `None` for a letter that nothing tells apart from others.
    fn of(letter: &DeadLetterRecord) -> Option<LetterKey> {
        match letter.pos {
            Some(pos) => Some(LetterKey::Entry(pos)),
            None if letter.origin.is_empty() => None,
            None => Some(LetterKey::Input(letter.provider.clone(), letter.origin.clone())),
        }
    }
}

impl HistoryState {
    /// Has all symbols in the list by name.
    fn sort_names(&mut self, symbols: &SymbolTable) {
        if self.by_name.len() < symbols.len() {
            self.by_name = symbols.since(0).into_iter().map(|(id, spec)| (spec.name.clone(), id)).collect();
            self.by_name.sort_unstable();
        }
    }

    fn put_dead_letter(&mut self, letter: DeadLetterRecord) {
        if let Some(key) = LetterKey::of(&letter)
            && !self.letter_keys.insert(key)
        {
            return;
        }
        if self.dead_letters.len() == DEAD_LETTERS
            && let Some(oldest) = self.dead_letters.pop_front()
            && let Some(key) = LetterKey::of(&oldest)
        {
            self.letter_keys.remove(&key);
        }
        self.last_letter += 1;
        self.dead_letters.push_back(DeadLetterRecord { id: self.last_letter, ..letter });
    }
}

/// Returns the point of a bar that nothing more is known about.
fn without_indicators(bar: &Bar) -> IndicatorPoint {
    IndicatorPoint {
        symbol: bar.symbol,
        width: bar.width,
        start: bar.start,
        close: bar.close,
        vwap: bar.vwap,
        values: IndicatorValues::default(),
        log_pos: bar.log_pos,
    }
}

#[async_trait]
impl History for MemoryHistory {
    async fn write(&self, batch: &HistoryBatch) -> Result<(), StoreError> {
        let mut history = lock(&self.inner);
        for effect in batch.effects.iter().flat_map(|part| part.iter()) {
            match effect {
                Effect::Bar(bar) => history.windows.put_bar(bar, self.max_rows),
                Effect::Indicators(point) => history.windows.put_point(point, self.max_rows),
                Effect::DeadLetter(letter) => {
                    history.put_dead_letter(DeadLetterRecord::of(letter, &self.symbols, &self.sources));
                }
            }
        }
        for letter in &batch.dead_letters {
            history.put_dead_letter(letter.clone());
        }
        history.acknowledged = history.acknowledged.max(batch.acknowledged);
        Ok(())
    }

    async fn acknowledged(&self) -> Result<Position, StoreError> {
        Ok(lock(&self.inner).acknowledged)
    }

    async fn bars(&self, query: &WindowQuery) -> Result<Vec<Bar>, StoreError> {
        let history = lock(&self.inner);
        let bars = history.windows.bars(query.symbol, query.width);
        let wanted = bars
            .filter(|bar| bar.state != BarState::Void && bar.start >= query.start && bar.end() <= query.end);
        Ok(wanted.take(query.limit).collect())
    }

    async fn revisions(&self, symbol: SymbolId, width: Width, limit: usize) -> Result<Vec<Bar>, StoreError> {
        let history = lock(&self.inner);
        Ok(history.windows.bars(symbol, width).take(limit).collect())
    }

    async fn indicators(&self, query: &WindowQuery) -> Result<Vec<IndicatorPoint>, StoreError> {
        let history = lock(&self.inner);
        let points = history.windows.points(query.symbol, query.width);
        let wanted = points
            .filter(|point| point.start >= query.start && point.start.plus(point.width.nanos()) <= query.end);
        Ok(wanted.take(query.limit).collect())
    }

    async fn scan(
        &self,
        after: Option<(SymbolId, Width, Nanos)>,
        limit: usize,
    ) -> Result<Vec<(Bar, IndicatorPoint)>, StoreError> {
        let mut history = lock(&self.inner);
        history.sort_names(&self.symbols);
        let first = after.map_or(0, |(symbol, ..)| {
            let name = &self.symbols.spec(symbol).name;
            history.by_name.partition_point(|(known, _)| known < name)
        });
        let mut found = Vec::new();
        for &(_, symbol) in &history.by_name[first..] {
            let after = after.filter(|(last, ..)| *last == symbol).map(|(_, width, start)| (width, start));
            for (bar, point) in history.windows.of_symbol(symbol, after) {
                if found.len() == limit {
                    return Ok(found);
                }
                found.push((bar, point.unwrap_or_else(|| without_indicators(&bar))));
            }
        }
        Ok(found)
    }

    async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<Vec<DeadLetterRecord>, StoreError> {
        let history = lock(&self.inner);
        let place = |letter: &DeadLetterRecord| (letter.received_at, letter.id);
        let mut found: Vec<&DeadLetterRecord> = history
            .dead_letters
            .iter()
            .filter(|letter| query.reason.as_ref().is_none_or(|reason| *reason == letter.reason))
            .filter(|letter| query.symbol.is_none() || query.symbol == letter.symbol)
            .filter(|letter| query.start.is_none_or(|start| letter.received_at >= start))
            .filter(|letter| query.before.is_none_or(|before| place(letter) < before))
            .collect();
        found.sort_unstable_by_key(|letter| Reverse(place(letter)));
        Ok(found.into_iter().take(query.limit).cloned().collect())
    }

    async fn retain(&self, _now: Nanos) -> Result<u64, StoreError> {
        Ok(0)
    }
}

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
