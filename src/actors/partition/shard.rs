//! What the actors of one shard share: a shard is a partition's router, some of its symbols and their fan-out, on one
//! thread, so sharing needs no locks. A thread hosts shards of any number of partitions; they share nothing.

use super::journal::Journal;
use super::outbox::{Outbox, Outgoing, OutgoingTicks, TickDemand, Ticket};
use crate::actors::environment::Environment;
use crate::actors::messages::{EmptyOutbox, LiveTick};
use crate::metrics::{Span, Stage};
use crate::models::detection::document::Document;
use crate::models::effect::Effect;
use crate::models::entry::{Entry, Position};
use crate::models::report::AcceptedReport;
use crate::models::state::SymbolState;
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use crate::stores::log::checkpoint::{partition_of, slice_of};
use crate::stores::log::{Partition, TickLog};
use actix::Recipient;
use actix::dev::SendError;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;

/// What all shards of a partition know of it.
#[derive(Clone)]
pub struct PartitionContext {
    /// The partition.
    pub partition: Partition,
    /// Of how many that the log has.
    pub num_partitions: u32,
    /// Shards that its symbols are spread over.
    pub num_shards: usize,
    /// Where checkpoints, poison and entries are read back from; `None` when nothing outlives the process.
    pub store: Option<Arc<dyn TickLog>>,
    /// What the log holds; `None` where it keeps no entries that could be read back.
    pub durable: Option<Arc<AtomicU64>>,
    /// Entries of a symbol after which its checkpoint is saved before its turn.
    pub max_entries: usize,
    /// Slices, one a bit, with a symbol whose checkpoint is to be saved before its turn.
    pub urgent: Arc<AtomicU64>,
}

impl PartitionContext {
    /// Makes the context of a partition that is all of its log, and of which nothing outlives the process.
    #[must_use]
    pub fn of_whole_log(num_shards: usize) -> PartitionContext {
        PartitionContext {
            partition: Partition::EMBEDDED,
            num_partitions: 1,
            num_shards,
            store: None,
            durable: None,
            max_entries: usize::MAX,
            urgent: Arc::default(),
        }
    }

    /// True when a symbol lives in the partition.
    #[must_use]
    pub fn has(&self, symbol: &str) -> bool {
        self.num_partitions == 1 || partition_of(symbol, self.num_partitions) == self.partition
    }

    /// Returns the shard of a symbol. A slice lives in one shard, so that its checkpoints are of one moment.
    #[must_use]
    pub fn shard_of(&self, symbol: &str) -> usize {
        self.shard_of_slice(slice_of(symbol))
    }

    /// Returns the shard of a slice.
    #[must_use]
    pub const fn shard_of_slice(&self, slice: u32) -> usize {
        slice as usize % self.num_shards
    }

    /// Returns a number that no other shard of the process has, for those who get something from all of them.
    #[must_use]
    pub const fn number_of(&self, shard: usize) -> usize {
        self.partition.0 as usize * self.num_shards + shard
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
    /// What was looked for before its first entry, where the log said so.
    pub looked_for: Cell<Option<Document>>,
    /// What was applied, for a restart after a panic.
    pub journal: RefCell<Journal>,
}

/// Entries that are not applied.
#[derive(Default)]
pub struct Quarantine {
    /// A symbol's actor panicked on them twice: they become dead letters, in every later replay too.
    pub poison: BTreeSet<Position>,
    /// It panicked even on setting them aside: they are passed over.
    pub ignored: BTreeSet<Position>,
}

/// One shard.
pub struct Shard {
    /// Its number in the partition.
    pub index: usize,
    /// What every actor works with.
    pub env: Environment,
    /// What is known of the partition.
    pub context: PartitionContext,
    /// Entries that are not applied.
    pub quarantine: RefCell<Quarantine>,
    /// Per symbol: the time from which on a clock mark brings something about; [`Nanos::MIN`] while nobody knows, since
    /// something is under way to it. In one row, so that a mark asks ten thousand symbols in some microseconds.
    pub dues: RefCell<Vec<Nanos>>,
    /// What the sinks make of ticks.
    pub tick_demand: Cell<TickDemand>,
    /// True when a sink keeps accepted reports.
    pub wants_reports: Cell<bool>,
    outbox: RefCell<Outbox>,
    room: Notify,
    fanout: OnceCell<Recipient<EmptyOutbox>>,
}

impl Shard {
    /// Makes a shard that skips the given positions.
    #[must_use]
    pub fn new(index: usize, env: Environment, context: PartitionContext, poison: &[Position]) -> Rc<Shard> {
        let poison = poison.iter().copied().collect();
        Rc::new(Shard {
            index,
            env,
            context,
            quarantine: RefCell::new(Quarantine { poison, ignored: BTreeSet::new() }),
            dues: RefCell::default(),
            tick_demand: Cell::default(),
            wants_reports: Cell::default(),
            outbox: RefCell::default(),
            room: Notify::new(),
            fanout: OnceCell::new(),
        })
    }

    /// Tells the shard who hands its effects on. Comes once, before anything else.
    pub fn set_fanout(&self, fanout: Recipient<EmptyOutbox>) {
        let is_first = self.fanout.set(fanout).is_ok();
        debug_assert!(is_first, "a shard has one fan-out");
    }

    /// Returns a number that no other shard of the process has.
    #[must_use]
    pub const fn number(&self) -> usize {
        self.context.number_of(self.index)
    }

    /// Returns the last entry that could be read back from the log.
    #[must_use]
    pub fn readable(&self) -> Position {
        self.context.durable.as_ref().map_or(0, |durable| durable.load(Ordering::Acquire))
    }

    /// True when the symbol lives here.
    #[must_use]
    pub fn owns(&self, symbol: SymbolId) -> bool {
        let name = &self.env.symbols.spec(symbol).name;
        self.context.has(name) && self.context.shard_of(name) == self.index
    }

    /// Applies an entry, unless it is quarantined.
    pub fn apply(&self, state: &mut SymbolState, entry: &Entry, effects: &mut Vec<Effect>) {
        let (is_ignored, is_poison) = {
            let Quarantine { poison, ignored } = &*self.quarantine.borrow();
            (ignored.contains(&entry.pos), poison.contains(&entry.pos))
        };
        if is_ignored {
            return;
        }
        if is_poison {
            self.env.faults.set_aside(entry.pos);
            state.set_aside_poison(entry, effects);
            return;
        }
        self.env.faults.entry(entry.pos);
        state.apply(std::slice::from_ref(entry), effects);
    }

    /// True when an entry is set aside.
    #[must_use]
    pub fn is_poison(&self, pos: Position) -> bool {
        self.quarantine.borrow().poison.contains(&pos)
    }

    /// Sets an entry that panicked twice aside as poison, in every later replay too.
    pub fn quarantine(&self, symbol: &str, pos: Position) {
        if !self.quarantine.borrow_mut().poison.insert(pos) {
            return;
        }
        self.env.metrics.poison_entries.inc();
        tracing::error!(symbol, pos, "entry panicked twice and is set aside for good");
        let Some(store) = self.context.store.clone() else { return };
        let partition = self.context.partition;
        actix::spawn(async move {
            if let Err(error) = store.mark_poison(partition, pos).await {
                tracing::error!(pos, %error, "failed to remember a poison entry: a replay meets it again");
            }
        });
    }

    /// Passes an entry over that panics even when it is set aside; a later process tries to set it aside again.
    pub fn pass_over(&self, symbol: &str, pos: Position) {
        self.quarantine(symbol, pos);
        if self.quarantine.borrow_mut().ignored.insert(pos) {
            tracing::error!(symbol, pos, "entry is passed over");
        }
    }

    /// True when there is something to know about an entry before it is applied.
    #[must_use]
    pub fn is_guarded(&self) -> bool {
        self.env.faults.is_armed() || !self.quarantine.borrow().poison.is_empty()
    }

    /// Begins a batch: the shard is done with it once every symbol in it is.
    pub fn begin(&self, through: Position, received: Nanos) -> Arc<Ticket> {
        let ticket = Arc::new(Ticket::new(through, received));
        self.outbox.borrow_mut().begin(Arc::clone(&ticket));
        ticket
    }

    /// Counts one party of the batch as done; the last one has the outbox emptied.
    pub fn finish(&self, ticket: &Ticket) {
        if ticket.finish() {
            if !ticket.is_past() {
                self.env.metrics.observe(Span::ReceivedToBar, ticket.received(), (self.env.now)());
            }
            self.request_empty();
        }
    }

    /// Has the fan-out empty the outbox.
    pub fn request_empty(&self) {
        let Some(fanout) = self.fanout.get() else { return };
        match fanout.try_send(EmptyOutbox) {
            // A full mailbox is about to have it emptied anyway.
            Ok(()) | Err(SendError::Full(_)) => {}
            // The unit is being taken down, and its outbox was emptied before.
            Err(SendError::Closed(_)) => tracing::debug!("a shard's fan-out has ended"),
        }
    }

    /// Lends the outbox to the symbol that is being applied, which puts its effects behind those that are there.
    pub fn lend_effects(&self) -> Vec<Effect> {
        self.outbox.borrow_mut().lend()
    }

    /// Takes the outbox back; the effects from index `before` on are new. Those of the past are for the history, and
    /// live clients do not hear them one by one.
    pub fn return_effects(&self, effects: Vec<Effect>, before: usize, is_past: bool) {
        let is_large = self.outbox.borrow_mut().take_back(effects, before, is_past);
        if is_large {
            self.request_empty();
        }
    }

    /// True when a sink or a live client wants ticks.
    #[must_use]
    pub fn wants_ticks(&self) -> bool {
        let live = self.env.published.live.as_ref();
        self.sinks_want_ticks() || live.is_some_and(|live| live.ticks())
    }

    /// True when a sink wants ticks.
    #[must_use]
    pub fn sinks_want_ticks(&self) -> bool {
        self.tick_demand.get() != TickDemand::Nothing
    }

    /// Puts ticks on their way to sinks and live clients; those of the past go to durable sinks alone.
    pub fn emit_ticks(&self, ticks: &mut Vec<LiveTick>, is_past: bool) {
        if ticks.is_empty() {
            return;
        }
        let num_dropped = self.outbox.borrow_mut().add_ticks(ticks, is_past, self.tick_demand.get());
        if num_dropped > 0 {
            self.env.metrics.dropped(Stage::Fanout, "ticks_conflated", num_dropped as u64);
        }
    }

    /// Puts accepted reports on their way to durable sinks.
    pub fn emit_reports(&self, reports: &mut Vec<AcceptedReport>) {
        if !reports.is_empty() {
            self.outbox.borrow_mut().add_reports(reports);
        }
    }

    /// Takes the reports that wait.
    pub fn take_reports(&self) -> Vec<AcceptedReport> {
        self.outbox.borrow_mut().take_reports()
    }

    /// Takes the ticks that wait.
    pub fn take_ticks(&self) -> OutgoingTicks {
        let taken = self.outbox.borrow_mut().take_ticks();
        self.room.notify_waiters();
        taken
    }

    /// Takes the effects that wait.
    pub fn take_effects(&self) -> Outgoing {
        let outgoing = self.outbox.borrow_mut().take_effects(|| self.env.buffers.take());
        self.room.notify_waiters();
        outgoing
    }

    /// Waits until the outbox has room.
    pub async fn wait_for_room(&self) {
        loop {
            let notified = self.room.notified();
            if self.outbox.borrow().has_room(self.tick_demand.get()) {
                return;
            }
            self.request_empty();
            notified.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::outbox::TICKS_LIMIT;
    use super::*;
    use crate::models::num::{Price, Size};
    use futures_util::FutureExt;

    fn ticks(seqs: std::ops::Range<u64>) -> Vec<LiveTick> {
        let tick = |seq| LiveTick {
            symbol: SymbolId(0),
            ts: Nanos(0),
            received: Nanos(0),
            price: Price(1),
            size: Size(1),
            seq,
            log_pos: seq,
        };
        seqs.map(tick).collect()
    }

    #[test]
    fn ticks_that_find_no_room_push_back_or_take_the_place_of_older_ones_and_are_counted() {
        let limit = TICKS_LIMIT as u64;
        for (demand, num_dropped) in [(TickDemand::Every, 0), (TickDemand::Newest, TICKS_LIMIT)] {
            let env = Environment::for_test();
            let shard = Shard::new(0, env.clone(), PartitionContext::of_whole_log(1), &[]);
            shard.tick_demand.set(demand);
            shard.emit_ticks(&mut ticks(0..limit), false);
            let is_waited_for = shard.wait_for_room().now_or_never().is_none();
            assert_eq!(is_waited_for, demand == TickDemand::Every);
            shard.emit_ticks(&mut ticks(limit..limit + 10), false);
            let taken = shard.take_ticks();
            assert_eq!((taken.live.len() + num_dropped, taken.num_dropped), (TICKS_LIMIT + 10, num_dropped));
            assert_eq!(taken.live.last().map(|tick| tick.seq), Some(limit + 9), "the newest stay");
            let counted = format!("{{reason=\"ticks_conflated\",stage=\"fanout\"}} {num_dropped}");
            assert_eq!(env.metrics.encode().contains(&counted), num_dropped > 0);
            assert!(shard.wait_for_room().now_or_never().is_some(), "there is room again");
            assert_eq!(shard.take_ticks().num_dropped, 0, "they are told once");
        }
    }
}
