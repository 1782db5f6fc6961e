//! Stores that keep nothing: for runs without persistence, and for tests.
//!
//! Both are bounded, and forget the oldest when full; an append or a write never fails for lack of room. Nothing is
//! durable: "acknowledged" means here that the process has it.

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

/// Most recent ticks kept per symbol: the longest page that REST gives.
const TICKS_PER_SYMBOL: usize = 1_000;

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
                let ticks = log.ticks.entry(entry.symbol).or_default();
                if ticks.len() == TICKS_PER_SYMBOL {
                    ticks.pop_front();
                }
                ticks.push_back(*entry);
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

/// The windows of one symbol and width, by start.
type Series<T> = BTreeMap<Nanos, T>;

/// The log position that says so, and the indicators; `None` where the bar is void.
type KnownPoint = (Position, Option<IndicatorPoint>);

#[derive(Debug, Default)]
struct HistoryState {
    bars: HashMap<(SymbolId, Width), Series<Bar>>,
    indicators: HashMap<(SymbolId, Width), Series<KnownPoint>>,
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
    fn put_indicators(
        &mut self,
        key: (SymbolId, Width),
        start: Nanos,
        log_pos: Position,
        point: Option<IndicatorPoint>,
        max_rows: usize,
    ) {
        let series = self.indicators.entry(key).or_default();
        put(series, start, (log_pos, point), max_rows, |(log_pos, _)| *log_pos);
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

/// Puts a row over one whose position is not higher, and drops the oldest where there are too many.
fn put<T>(series: &mut Series<T>, start: Nanos, row: T, max_rows: usize, log_pos: impl Fn(&T) -> Position) {
    if series.get(&start).is_some_and(|known| log_pos(known) > log_pos(&row)) {
        return;
    }
    series.insert(start, row);
    while series.len() > max_rows {
        series.pop_first();
    }
}

#[async_trait]
impl History for MemoryHistory {
    async fn write(&self, batch: &HistoryBatch) -> Result<(), StoreError> {
        let mut history = lock(&self.inner);
        for effect in &batch.effects {
            match effect {
                Effect::Bar(bar) => {
                    let key = (bar.symbol, bar.width);
                    let series = history.bars.entry(key).or_default();
                    put(series, bar.start, *bar, self.max_rows, |bar| bar.log_pos);
                    if bar.state == BarState::Void {
                        history.put_indicators(key, bar.start, bar.log_pos, None, self.max_rows);
                    }
                }
                Effect::Indicators(point) => {
                    let key = (point.symbol, point.width);
                    history.put_indicators(key, point.start, point.log_pos, Some(*point), self.max_rows);
                }
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
        let series = history.bars.get(&(query.symbol, query.width));
        let bars = series.into_iter().flat_map(|series| series.values().rev());
        let wanted = bars
            .filter(|bar| bar.state != BarState::Void && bar.start >= query.start && bar.end() <= query.end);
        Ok(wanted.take(query.limit).copied().collect())
    }

    async fn revisions(&self, symbol: SymbolId, width: Width, limit: usize) -> Result<Vec<Bar>, StoreError> {
        let history = lock(&self.inner);
        let series = history.bars.get(&(symbol, width));
        Ok(series.into_iter().flat_map(|series| series.values().rev()).take(limit).copied().collect())
    }

    async fn indicators(&self, query: &WindowQuery) -> Result<Vec<IndicatorPoint>, StoreError> {
        let history = lock(&self.inner);
        let series = history.indicators.get(&(query.symbol, query.width));
        let points =
            series.into_iter().flat_map(|series| series.values().rev()).filter_map(|(_, point)| *point);
        let wanted = points
            .filter(|point| point.start >= query.start && point.start.plus(point.width.nanos()) <= query.end);
        Ok(wanted.take(query.limit).collect())
    }

    async fn scan(
        &self,
        after: Option<(SymbolId, Width, Nanos)>,
        limit: usize,
    ) -> Result<Vec<(Bar, IndicatorPoint)>, StoreError> {
        let history = lock(&self.inner);
        let mut keys: Vec<(String, Width, SymbolId)> = history
            .bars
            .keys()
            .map(|(symbol, width)| (self.symbols.spec(*symbol).name.clone(), *width, *symbol))
            .collect();
        keys.sort_unstable();
        let after =
            after.map(|(symbol, width, start)| (self.symbols.spec(symbol).name.clone(), width, start));
        let mut found = Vec::new();
        for (name, width, symbol) in keys {
            let from = match &after {
                Some((last_name, last_width, _)) if (&name, width) < (last_name, *last_width) => continue,
                Some((last_name, last_width, start)) if (&name, width) == (last_name, *last_width) => {
                    start.plus(1)
                }
                _ => Nanos::MIN,
            };
            let points = history.indicators.get(&(symbol, width));
            for (start, bar) in history.bars[&(symbol, width)].range(from..) {
                if bar.state == BarState::Void {
                    continue;
                }
                if found.len() == limit {
                    return Ok(found);
                }
                let point = points.and_then(|points| points.get(start)).and_then(|(_, point)| *point);
                let point = point.unwrap_or(IndicatorPoint {
                    symbol,
                    width,
                    start: *start,
                    close: bar.close,
                    vwap: bar.vwap,
                    values: IndicatorValues::default(),
                    log_pos: bar.log_pos,
                });
                found.push((*bar, point));
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
