//! A backend that does as it is told, and remembers what it was given.

use async_trait::async_trait;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tickwire::actors::guard::ActorKind;
use tickwire::actors::sinks::{Delivery, Sink, SinkBatch, SinkError, SinkSpec, Wants};
use tickwire::models::effect::Effect;
use tickwire::models::entry::Position;
use tickwire::models::symbol::SymbolId;
use tickwire::stores::history::DeadLetterRecord;
use tickwire::stores::log::Partition;
use tokio::sync::Notify;

/// How one write ends.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    Transient,
    Permanent,
    Panic,
    /// Not before it is let go.
    Hang,
}

pub struct Scripted {
    name: &'static str,
    delivery: Delivery,
    keeps_dead_letters: bool,
    hurries: bool,
    held: Position,
    steps: Mutex<VecDeque<Step>>,
    refused: Mutex<(Vec<Position>, bool)>,
    num_writes: AtomicUsize,
    written: Mutex<Vec<SinkBatch>>,
    go_on: Notify,
    is_away: AtomicBool,
}

impl Scripted {
    pub fn new(delivery: Delivery) -> Scripted {
        Scripted {
            name: "scripted",
            delivery,
            keeps_dead_letters: false,
            hurries: false,
            held: 0,
            steps: Mutex::default(),
            refused: Mutex::default(),
            num_writes: AtomicUsize::new(0),
            written: Mutex::default(),
            go_on: Notify::new(),
            is_away: AtomicBool::new(false),
        }
    }

    pub fn named(self, name: &'static str) -> Scripted {
        Scripted { name, ..self }
    }

    pub fn that_keeps_dead_letters(self) -> Scripted {
        Scripted { name: "keeper", keeps_dead_letters: true, ..self }
    }

    /// Has readers who wait for what it writes.
    pub fn that_hurries(self) -> Scripted {
        Scripted { hurries: true, ..self }
    }

    /// Holds everything up to a position from before.
    pub fn holding(self, held: Position) -> Scripted {
        Scripted { held, ..self }
    }

    /// Says whether it answers at all.
    pub fn set_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::SeqCst);
    }

    fn answers(&self) -> Result<(), SinkError> {
        let (context, cause) = ("failed to connect", "nobody is there".to_owned());
        match self.is_away.load(Ordering::SeqCst) {
            true => Err(SinkError::Transient { context, cause, pause: None }),
            false => Ok(()),
        }
    }

    /// Says how the next writes end; those after them end well.
    pub fn script(&self, steps: impl IntoIterator<Item = Step>) {
        self.steps.lock().unwrap().extend(steps);
    }

    /// Refuses bars of these positions, and ticks of these numbers.
    pub fn refuse(&self, positions: impl IntoIterator<Item = Position>, says_which: bool) {
        *self.refused.lock().unwrap() = (positions.into_iter().collect(), says_which);
    }

    /// Lets the write that hangs go on.
    pub fn let_go(&self) {
        self.go_on.notify_one();
    }

    pub fn num_writes(&self) -> usize {
        self.num_writes.load(Ordering::SeqCst)
    }

    fn collect<T>(&self, rows: impl Fn(&SinkBatch) -> Vec<T>) -> Vec<T> {
        self.written.lock().unwrap().iter().flat_map(rows).collect()
    }

    pub fn positions(&self) -> Vec<Position> {
        self.collect(|batch| batch.effects.iter().flat_map(|part| part.iter()).map(Effect::log_pos).collect())
    }

    pub fn seqs(&self) -> Vec<u64> {
        self.collect(|batch| batch.ticks.iter().flat_map(|part| part.iter()).map(|tick| tick.seq).collect())
    }

    pub fn ticks_by_symbol(&self) -> BTreeMap<SymbolId, Vec<u64>> {
        let mut by_symbol = BTreeMap::<SymbolId, Vec<u64>>::new();
        let ticks = self.collect(|batch| {
            let ticks = batch.ticks.iter().flat_map(|part| part.iter());
            ticks.map(|tick| (tick.symbol, tick.seq)).collect()
        });
        for (symbol, seq) in ticks {
            by_symbol.entry(symbol).or_default().push(seq);
        }
        by_symbol
    }

    pub fn dead_letters(&self) -> Vec<DeadLetterRecord> {
        self.collect(|batch| batch.dead_letters.clone())
    }

    pub fn batch_sizes(&self) -> Vec<usize> {
        self.collect(|batch| vec![batch.num_rows()])
    }

    pub fn acknowledged(&self) -> Position {
        self.collect(|batch| batch.acknowledged.values().copied().collect()).into_iter().max().unwrap_or(0)
    }

    fn check_rows(&self, batch: &SinkBatch) -> Result<(), SinkError> {
        let (refused, says_which) = self.refused.lock().unwrap().clone();
        let effects = batch.effects.iter().flat_map(|part| part.iter()).map(Effect::log_pos);
        let ticks = batch.ticks.iter().flat_map(|part| part.iter()).map(|tick| tick.seq);
        let places = effects.chain(ticks).enumerate().filter(|(_, row)| refused.contains(row));
        let places: Vec<usize> = places.map(|(place, _)| place).collect();
        if places.is_empty() {
            return Ok(());
        }
        let rows = if says_which { places } else { Vec::new() };
        Err(SinkError::Rows { context: "failed to write", cause: "told to".to_owned(), rows })
    }
}

#[async_trait]
impl Sink for Scripted {
    fn spec(&self) -> SinkSpec {
        SinkSpec {
            name: self.name,
            kind: ActorKind::Cache,
            stage: None,
            wants: Wants { ticks: true, reports: false, effects: true },
            delivery: self.delivery,
            waits_for_log: self.delivery == Delivery::Durable,
            hurries_log: self.hurries,
            keeps_dead_letters: self.keeps_dead_letters,
            repair_advice: "have it mended",
            checked_every: None,
        }
    }

    async fn acknowledged(&self, _: Partition) -> Result<Position, SinkError> {
        self.answers()?;
        Ok(Scripted::acknowledged(self).max(self.held))
    }

    async fn write(&self, batch: &SinkBatch) -> Result<(), SinkError> {
        self.num_writes.fetch_add(1, Ordering::SeqCst);
        self.answers()?;
        let step = self.steps.lock().unwrap().pop_front();
        let (context, cause) = ("failed to write", "told to".to_owned());
        match step {
            Some(Step::Transient) => return Err(SinkError::Transient { context, cause, pause: None }),
            Some(Step::Permanent) => return Err(SinkError::Permanent { context, cause }),
            Some(Step::Panic) => panic!("told to"),
            Some(Step::Hang) => self.go_on.notified().await,
            None => {}
        }
        self.check_rows(batch)?;
        self.written.lock().unwrap().push(batch.clone());
        Ok(())
    }
}
