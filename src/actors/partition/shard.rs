//! What the actors of one shard share. They run on one thread, so sharing needs no locks; shards share nothing.

use super::fanout::{DrainOutbox, FanOutActor};
use super::journal::Journal;
use crate::actors::faults::FaultPlan;
use crate::actors::hub::demand::LiveDemand;
use crate::actors::messages::LiveTick;
use crate::actors::views::{SourceClocks, ViewBoard};
use crate::metrics::{Metrics, Stage};
use crate::models::effect::Effect;
use crate::models::entry::Position;
use crate::models::names::Interner;
use crate::models::settings::CoreSettings;
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use crate::names::SymbolTable;
use crate::stores::log::TickLog;
use crate::stores::log::checkpoint::slice_of;
use actix::Addr;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Effects that may wait in a shard for its sinks. Above it the router sends no more, which pushes back to the venue;
/// an effect takes some 260 bytes, so this is 4 MB and what the symbols at work add.
const OUTBOX_LIMIT: usize = 1 << 14;

/// Effects that have the outbox emptied before all symbols of a batch are done: where one mark closes the bars of
/// thousands of symbols, sinks need not get them all at once.
const OUTBOX_LARGE: usize = 1 << 11;

/// Outboxes' room that is kept: 16 MB at the most.
const SPARE_ROOMS_MAX: usize = 4;

/// Ticks that may wait in a shard for the fan-out. Above it they go at once: what is newer counts for those who want
/// them, and they see by the numbers of the ticks how many are missing.
const TICKS_LIMIT: usize = 1 << 15;

/// Room of effects that are with every sink, for those to come: room that grows bit by bit is copied each time, and what
/// is given back to the system comes back page by page.
#[derive(Debug, Default)]
pub struct SpareRoom(Mutex<Vec<Vec<Effect>>>);

impl SpareRoom {
    fn take(&self) -> Vec<Effect> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Keeps the room, unless somebody else still looks at what is in it or there is enough.
    pub fn put(&self, effects: Arc<Vec<Effect>>) {
        let Some(mut room) = Arc::into_inner(effects).filter(|room| room.capacity() > 0) else { return };
        room.clear();
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE_ROOMS_MAX {
            spare.push(room);
        }
    }
}

/// What every shard of a process works with.
#[derive(Clone)]
pub struct Environment {
    /// The settings that change results.
    pub settings: Arc<CoreSettings>,
    /// Symbols of the process.
    pub symbols: Arc<SymbolTable>,
    /// Names of its symbols and sources, for the core.
    pub names: Arc<dyn Interner>,
    /// Where pictures of symbols hang; `None` when nobody looks (a replay).
    pub views: Option<Arc<ViewBoard>>,
    /// What live clients want; `None` when there can be none (a replay).
    pub live: Option<Arc<LiveDemand>>,
    /// Clocks of the sources.
    pub clocks: Arc<SourceClocks>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Panics on purpose.
    pub faults: Arc<FaultPlan>,
    /// Where checkpoints and poison are kept; `None` when nothing outlives the process.
    pub log: Option<Arc<dyn TickLog>>,
    /// Entries of a symbol after which its checkpoint is saved before its turn.
    pub max_entries: usize,
    /// Slices, one a bit, with a symbol whose checkpoint is to be saved before its turn.
    pub urgent: Arc<AtomicU64>,
    /// Room that effects had before.
    pub spare: Arc<SpareRoom>,
    /// Tells the time that latencies are measured by.
    pub now: Arc<dyn Fn() -> Nanos + Send + Sync>,
}

#[cfg(test)]
use crate::names::Names;

#[cfg(test)]
impl Environment {
    /// Makes one with which nothing outlives the test, nobody looks, and time stands still.
    #[must_use]
    pub fn for_test() -> Environment {
        let names = Names::default();
        names.sources.intern("test");
        Environment {
            settings: Arc::new(CoreSettings::default()),
            symbols: Arc::clone(&names.symbols),
            names: Arc::new(names),
            views: None,
            live: None,
            clocks: Arc::new(SourceClocks::default()),
            metrics: Arc::new(Metrics::new(0)),
            faults: Arc::new(FaultPlan::default()),
            log: None,
            max_entries: usize::MAX,
            urgent: Arc::default(),
            spare: Arc::default(),
            now: Arc::new(|| Nanos(0)),
        }
    }
}

/// Returns the shard of a slice: a slice lives in one shard, so that its checkpoints are of one moment.
#[must_use]
pub const fn shard_of(slice: u32, num_shards: usize) -> usize {
    slice as usize % num_shards
}

/// Counts how many symbols have yet to apply their part of a batch.
#[derive(Debug)]
pub struct Ticket {
    through: Position,
    received: Nanos,
    outstanding: AtomicU32,
}

impl Ticket {
    /// Counts one more symbol.
    pub fn add(&self) {
        self.outstanding.fetch_add(1, Ordering::Relaxed);
    }

    /// True when nobody received its entries as they happened: they tell of the past, or are read back.
    #[must_use]
    pub fn is_past(&self) -> bool {
        self.received == Nanos::MIN
    }

    /// Counts one symbol as done. Returns true for the last one.
    pub fn finish(&self) -> bool {
        self.outstanding.fetch_sub(1, Ordering::Relaxed) == 1
    }
}

/// What a symbol's actor and its router both know.
#[derive(Default)]
pub struct SymbolCell {
    /// The symbol's place in [`Shard::dues`].
    pub at: usize,
    /// The last position of the newest batch it got a part of.
    pub sent: Cell<Position>,
    /// Batches sent and not yet applied.
    pub in_flight: Cell<u32>,
    /// The last entry applied.
    pub applied: Cell<Position>,
    /// What was applied, for a restart after a panic.
    pub journal: RefCell<Journal>,
}

/// Effects on their way out, and how far the shard is done.
#[derive(Default)]
struct Outbox {
    effects: Vec<Effect>,
    /// Which of them tell of the past, ascending.
    past: Vec<Range<usize>>,
    /// When the oldest entry that they may follow from was received.
    received: Option<Nanos>,
    ticks: Vec<LiveTick>,
    tickets: VecDeque<Arc<Ticket>>,
    through: Position,
}

/// What the fan-out takes out of a shard.
pub struct Outgoing {
    /// Effects, in order.
    pub effects: Vec<Effect>,
    /// Which of them tell of the past, ascending.
    pub past: Vec<Range<usize>>,
    /// When the oldest entry that they may follow from was received; [`Nanos::MIN`] where nobody knows.
    pub received: Nanos,
    /// The position up to which they are all there.
    pub through: Position,
}

/// One shard.
pub struct Shard {
    /// Which one.
    pub index: usize,
    /// Of how many.
    pub num_shards: usize,
    /// What all shards work with.
    pub env: Environment,
    /// What the log holds; `None` where it keeps no entries that could be read back.
    pub durable: Option<Arc<AtomicU64>>,
    /// Entries to skip, since a symbol's actor panicked on them twice.
    pub poison: RefCell<BTreeSet<Position>>,
    /// Per symbol: the time from which on a clock mark brings something about; [`Nanos::MIN`] while nobody knows, since
    /// something is under way to it. In one row, so that a mark asks ten thousand symbols in some microseconds.
    pub dues: RefCell<Vec<Nanos>>,
    /// A sink wants ticks.
    pub sinks_want_ticks: Cell<bool>,
    outbox: RefCell<Outbox>,
    room: Notify,
    fanout: OnceCell<Addr<FanOutActor>>,
}

impl Shard {
    /// Makes a shard that skips the given positions.
    #[must_use]
    pub fn new(
        index: usize,
        num_shards: usize,
        env: Environment,
        durable: Option<Arc<AtomicU64>>,
        poison: &[Position],
    ) -> Rc<Shard> {
        Rc::new(Shard {
            index,
            num_shards,
            env,
            durable,
            poison: RefCell::new(poison.iter().copied().collect()),
            dues: RefCell::default(),
            sinks_want_ticks: Cell::default(),
            outbox: RefCell::default(),
            room: Notify::new(),
            fanout: OnceCell::new(),
        })
    }

    /// Tells the shard who hands its effects on.
    pub fn set_fanout(&self, fanout: Addr<FanOutActor>) {
        self.fanout.set(fanout).ok();
    }

    /// Returns the last entry that could be read back from the log.
    #[must_use]
    pub fn readable(&self) -> Position {
        self.durable.as_ref().map_or(0, |durable| durable.load(Ordering::Acquire))
    }

    /// True when the symbol lives here.
    #[must_use]
    pub fn owns(&self, symbol: SymbolId) -> bool {
        shard_of(slice_of(&self.env.symbols.spec(symbol).name), self.num_shards) == self.index
    }

    /// Begins a batch: the shard is done with it once every symbol in it is.
    pub fn begin(&self, through: Position, received: Nanos) -> Arc<Ticket> {
        let ticket = Arc::new(Ticket { through, received, outstanding: AtomicU32::new(1) });
        self.outbox.borrow_mut().tickets.push_back(Arc::clone(&ticket));
        ticket
    }

    /// Counts one party of the batch as done; the last one has the outbox emptied.
    pub fn finish(&self, ticket: &Ticket) {
        if ticket.finish() {
            if ticket.received != Nanos::MIN {
                let now = (self.env.now)();
                self.env.metrics.observe(crate::metrics::Span::ReceivedToBar, ticket.received, now);
            }
            self.request_drain();
        }
    }

    /// Has the fan-out empty the outbox. When its mailbox is full, it is about to do so anyway.
    pub fn request_drain(&self) {
        if let Some(fanout) = self.fanout.get() {
            fanout.try_send(DrainOutbox).ok();
        }
    }

    /// Lends the outbox to the symbol that is being applied, which puts its effects behind those that are there.
    pub fn lend_effects(&self) -> Vec<Effect> {
        std::mem::take(&mut self.outbox.borrow_mut().effects)
    }

    /// Takes the outbox back; the effects from index `before` on are new. Those of the past are for the history, and
    /// live clients do not hear them one by one.
    pub fn return_effects(&self, effects: Vec<Effect>, before: usize, is_past: bool) {
        let mut outbox = self.outbox.borrow_mut();
        let end = effects.len();
        outbox.effects = effects;
        if end == before {
            return;
        }
        if before == 0 {
            outbox.received = outbox.tickets.front().map(|ticket| ticket.received);
        }
        if is_past {
            match outbox.past.last_mut().filter(|range| range.end == before) {
                Some(range) => range.end = end,
                None => outbox.past.push(before..end),
            }
        }
        drop(outbox);
        if end >= OUTBOX_LARGE && before < OUTBOX_LARGE {
            self.request_drain();
        }
    }

    /// True when a sink or a live client wants ticks.
    #[must_use]
    pub fn wants_ticks(&self) -> bool {
        self.sinks_want_ticks.get() || self.env.live.as_ref().is_some_and(|live| live.ticks())
    }

    /// Puts ticks on their way to sinks and live clients.
    pub fn emit_ticks(&self, ticks: &mut Vec<LiveTick>) {
        if ticks.is_empty() {
            return;
        }
        let waiting = &mut self.outbox.borrow_mut().ticks;
        if waiting.len() + ticks.len() > TICKS_LIMIT {
            self.env.metrics.dropped(Stage::Fanout, "ticks_conflated", waiting.len() as u64);
            waiting.clear();
        }
        waiting.append(ticks);
    }

    /// Takes the ticks that wait.
    pub fn take_ticks(&self) -> Vec<LiveTick> {
        std::mem::take(&mut self.outbox.borrow_mut().ticks)
    }

    /// Takes the effects that wait.
    pub fn take_effects(&self) -> Outgoing {
        let mut outbox = self.outbox.borrow_mut();
        while let Some(ticket) = outbox.tickets.front()
            && ticket.outstanding.load(Ordering::Relaxed) == 0
        {
            outbox.through = outbox.through.max(ticket.through);
            outbox.tickets.pop_front();
        }
        self.room.notify_waiters();
        let received = outbox.received.take().unwrap_or(Nanos::MIN);
        let past = std::mem::take(&mut outbox.past);
        let room = if outbox.effects.is_empty() { Vec::new() } else { self.env.spare.take() };
        let effects = std::mem::replace(&mut outbox.effects, room);
        Outgoing { effects, past, received, through: outbox.through }
    }

    /// Waits until the outbox has room.
    pub async fn wait_for_room(&self) {
        loop {
            let notified = self.room.notified();
            if self.outbox.borrow().effects.len() < OUTBOX_LIMIT {
                return;
            }
            self.request_drain();
            notified.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_used_again_once_nobody_looks_at_what_was_in_it() {
        let spare = SpareRoom::default();
        let effects = Arc::new(Vec::with_capacity(100));
        spare.put(Arc::clone(&effects));
        assert_eq!(spare.take().capacity(), 0, "it is looked at still");
        spare.put(effects);
        let room = spare.take();
        assert_eq!((room.capacity(), room.len()), (100, 0));
        (0..10).for_each(|_| spare.put(Arc::new(Vec::with_capacity(100))));
        assert_eq!(spare.0.lock().unwrap().len(), SPARE_ROOMS_MAX);
    }
}
