//! A history that keeps nothing: for runs without persistence, and for tests.
//!
//! Promises: it is bounded, and forgets the oldest windows when full; a write never fails for lack of room. Nothing is
//! durable: what was acknowledged, the process has.

mod alert_tables;
mod alerts;
mod rows;
mod signals;
mod windows;

pub use signals::MemorySignals;

use super::alerts::AlertStore;
use super::signals::{AlertQuery, AnomalyQuery, Numbered, PredictionQuery, SignalBatch, SignalHistory};
use super::{DeadLetterQuery, DeadLetterRecord, History, HistoryBatch, WindowQuery};
use crate::models::alert::Alert;
use crate::models::anomaly::Anomaly;
use crate::models::bar::{Bar, BarState};
use crate::models::effect::{Effect, IndicatorPoint};
use crate::models::entry::Position;
use crate::models::indicators::IndicatorValues;
use crate::models::prediction::Prediction;
use crate::models::symbol::SymbolId;
use crate::models::time::{Nanos, Width};
use crate::names::{SourceTable, SymbolTable};
use crate::stores::error::StoreError;
use async_trait::async_trait;
use std::cmp::Reverse;
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use windows::Windows;

/// Dead letters kept.
const DEAD_LETTERS: usize = 10_000;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A history of the newest windows of every symbol and width.
#[derive(Debug)]
pub struct MemoryHistory {
    symbols: Arc<SymbolTable>,
    sources: Arc<SourceTable>,
    max_rows: usize,
    inner: Mutex<HistoryState>,
    signals: MemorySignals,
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
        MemoryHistory {
            symbols,
            sources,
            max_rows,
            inner: Mutex::default(),
            signals: MemorySignals::default(),
        }
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
impl SignalHistory for MemoryHistory {
    async fn write_signals(&self, batch: &SignalBatch) -> Result<(), StoreError> {
        self.signals.write_signals(batch).await
    }

    async fn anomalies(&self, query: &AnomalyQuery) -> Result<Vec<Numbered<Anomaly>>, StoreError> {
        self.signals.anomalies(query).await
    }

    async fn predictions(&self, query: &PredictionQuery) -> Result<Vec<Numbered<Prediction>>, StoreError> {
        self.signals.predictions(query).await
    }

    async fn newest_predictions(&self, symbol: &str) -> Result<Vec<Prediction>, StoreError> {
        self.signals.newest_predictions(symbol).await
    }

    async fn alerts(&self, query: &AlertQuery) -> Result<Vec<Numbered<Alert>>, StoreError> {
        self.signals.alerts(query).await
    }
}

#[async_trait]
impl History for MemoryHistory {
    fn alert_store(&self) -> Option<&dyn AlertStore> {
        Some(&self.signals)
    }

    async fn write(&self, batch: &HistoryBatch) -> Result<(), StoreError> {
        let mut history = lock(&self.inner);
        for effect in batch.effects.iter().flat_map(|part| part.iter()) {
            match effect {
                Effect::Bar(bar) => history.windows.put_bar(bar, self.max_rows),
                Effect::Indicators(point) => history.windows.put_point(point, self.max_rows),
                Effect::DeadLetter(letter) => {
                    history.put_dead_letter(DeadLetterRecord::of(letter, &self.symbols, &self.sources));
                }
                Effect::Anomaly(_) | Effect::Sealed(_) => {}
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
