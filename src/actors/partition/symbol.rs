//! One actor per ticker: owns its windows and indicators, and is the only writer of that state.
//!
//! Promises: entries of one symbol are applied in log order; each revision of a bar is published at most once per run.
//! On failure: a panic takes the state with it, so it is made anew ([`super::rebuild`]); meanwhile the symbol's batches
//! wait in its mailbox, and the other symbols of the shard go on. An entry that panics twice is poison: it is set aside,
//! and skipped in every later replay. Where even that panics, the fault is no entry's: the whole batch is set aside, with
//! an error, and the symbol goes on.

use super::marks::{self, Listener, Mark, MarkList};
use super::outbox::{TickDemand, Ticket};
use super::rebuild::Rebuild;
use super::shard::{Shard, SymbolCell};
use crate::actors::guard::{self, ActorKind};
use crate::actors::messages::{Barrier, LiveTick};
use crate::actors::snapshots::SnapshotSlot;
use crate::metrics::SymbolMetrics;
use crate::models::detection::Finding;
use crate::models::effect::Effect;
use crate::models::entry::{Body, Correction, Entry, Position};
use crate::models::ledger::Ledger;
use crate::models::num::Size;
use crate::models::report::AcceptedReport;
use crate::models::state::SymbolState;
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use crate::stores::log::Checkpoint;
use crate::stores::log::checkpoint::slice_of;
use actix::{
    Actor, ActorFutureExt, AsyncContext, AtomicResponse, Context, Handler, Message, MessageResult,
    ResponseActFuture, WrapFuture,
};
use std::future::ready;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What a batch has for one symbol.
#[derive(Message)]
#[rtype(result = "()")]
pub struct SymbolBatch {
    /// Its own entries, with ascending positions; mostly without clock marks.
    pub entries: Arc<[Entry]>,
    /// The batch's marks, shared by all symbols.
    pub marks: Arc<MarkList>,
    /// The last position of the batch.
    pub through: Position,
    /// Effects of entries up to here are known outside, and are not published again.
    pub muted_through: Position,
    /// The batch they are part of.
    pub ticket: Arc<Ticket>,
}

/// Encode the state. Answers with nothing where that panicked.
#[derive(Message)]
#[rtype(result = "Option<Checkpoint>")]
pub struct TakeCheckpoint {
    /// The newest clock mark of each source, ascending: the checkpoint holds those that were kept from the symbol since
    /// nothing was due, and so needs nothing beside it.
    pub marks: Arc<[Entry]>,
    /// Everything of the symbol up to here has been sent to it.
    pub covers_through: Position,
}

/// Close every bar; answer with the outcomes of all reports.
#[derive(Message)]
#[rtype(result = "Ledger")]
pub struct FinishSymbol;

/// Batches that may wait for one symbol. The router sends one a batch of its own and waits when a mailbox is full,
/// so this bounds how many of the router's batches a symbol may trail behind, also while its state is made anew.
const MAILBOX_CAPACITY: usize = 16;

/// How often a symbol tries to close its last bars. A panic that comes every time is a fault of no entry, which another
/// try would only meet again.
const FINISH_TRIES: u32 = 3;

/// Entries that a symbol's journal may always hold where there is no log: 400 kB, some milliseconds of work after a panic.
const JOURNAL_MIN: usize = 4_096;

/// Entries that the journals of all symbols of a shard may hold together in this way, 14 MB; with more than 2,048 symbols
/// it is 64 entries each, since a checkpoint costs some microseconds and a few kilobytes of its own.
const JOURNALS_MIN: usize = 1 << 17;
const JOURNAL_MIN_OF_MANY: usize = 64;

/// Owns one symbol.
pub struct SymbolActor {
    state: SymbolState,
    /// The slice whose checkpoints hold it.
    slice: u32,
    name: Arc<str>,
    shard: Rc<Shard>,
    cell: Rc<SymbolCell>,
    /// The shard's outbox, while a batch is applied: ten thousand of its own would take more memory than the bars in
    /// them, and effects are large, so they are put where they have to go.
    effects: Vec<Effect>,
    /// Effects that were in there before.
    num_before: usize,
    ticks: Vec<LiveTick>,
    /// Accepted reports of the batch at hand, where a sink wants them.
    reports: Vec<AcceptedReport>,
    slot: Option<SnapshotSlot>,
    metrics: SymbolMetrics,
    num_accepted: u64,
    /// The entry being applied, where they are applied one by one.
    applying: Position,
    /// The entry on which the last try of the batch at hand panicked; 0 where nobody knows.
    panicked_at: Option<Position>,
    /// The state was made anew for the batch at hand: entries are applied one by one.
    is_retry: bool,
}

impl SymbolActor {
    /// Makes the actor of a state.
    #[must_use]
    pub fn new(state: SymbolState, shard: Rc<Shard>, cell: Rc<SymbolCell>) -> SymbolActor {
        let symbol = state.symbol();
        let slot = shard.env.published.snapshots.as_ref().map(|snapshots| snapshots.slot(symbol));
        let spec = shard.env.symbols.spec(symbol);
        let metrics = shard.env.metrics.symbol(&spec.name);
        shard.dues.borrow_mut()[cell.at] = state.next_due();
        cell.applied.set(state.pos());
        let num_accepted = state.num_accepted();
        if let Some(slot) = slot.as_ref().filter(|_| state.pos() > 0) {
            // A symbol that is quiet after a start is to be seen as well.
            slot.store(Some(Arc::new(state.snapshot_with(false))));
        }
        SymbolActor {
            state,
            slice: slice_of(&spec.name),
            name: spec.name.as_str().into(),
            shard,
            cell,
            effects: Vec::new(),
            num_before: 0,
            ticks: Vec::new(),
            reports: Vec::new(),
            slot,
            metrics,
            num_accepted,
            applying: 0,
            panicked_at: None,
            is_retry: false,
        }
    }

    fn symbol(&self) -> SymbolId {
        self.state.symbol()
    }

    /// Applies what a batch has for the symbol, leaving out what is known already and what is quarantined. What comes
    /// before the mute boundary is known outside; only what comes after it is published.
    fn apply(&mut self, batch: &SymbolBatch) {
        let muted_through = batch.muted_through.min(batch.through);
        let boundary = batch.entries.partition_point(|entry| entry.pos <= muted_through);
        let (muted, to_publish) = batch.entries.split_at(boundary);
        if muted_through > 0 {
            marks::deliver(self, muted, &batch.marks, muted_through);
            self.withdraw();
            self.ticks.clear();
            self.reports.clear();
        }
        marks::deliver(self, to_publish, &batch.marks, batch.through);
    }

    fn borrow_outbox(&mut self) {
        self.effects = self.shard.lend_effects();
        self.num_before = self.effects.len();
    }

    fn return_outbox(&mut self, is_past: bool) {
        let new = self.effects.get(self.num_before..).unwrap_or_default();
        let mut num_bars = 0_u64;
        for effect in new {
            match effect {
                Effect::Bar(_) => num_bars += 1,
                Effect::Anomaly(found) if found.is_new() => {
                    let Finding { kind, severity, .. } = found.finding;
                    self.shard.env.metrics.anomaly(kind.anomaly_type(), severity.as_str());
                }
                _ => {}
            }
        }
        if num_bars > 0 {
            self.metrics.bars.inc_by(num_bars);
        }
        self.shard.return_effects(std::mem::take(&mut self.effects), self.num_before, is_past);
    }

    /// Takes back the effects of this symbol that have not left its hands.
    fn withdraw(&mut self) {
        self.effects.truncate(self.num_before);
    }

    #[inline]
    fn apply_one(&mut self, entry: &Entry) {
        if self.is_watched() {
            self.apply_watched(entry);
        } else {
            self.state.apply(std::slice::from_ref(entry), &mut self.effects);
        }
    }

    /// True when there is more to an entry than to apply it.
    fn is_watched(&self) -> bool {
        self.is_retry || self.shard.wants_ticks() || self.shard.wants_reports.get() || self.shard.is_guarded()
    }

    /// Applies an entry that the symbol does not know yet, and notes what was accepted: the report, and the tick of the trade
    /// that it brought, as far as somebody wants them.
    fn apply_watched(&mut self, entry: &Entry) {
        if entry.pos <= self.state.pos() {
            return;
        }
        self.applying = entry.pos;
        let (before, num_cancels) = (self.state.num_accepted(), self.state.num_cancels());
        self.shard.apply(&mut self.state, entry, &mut self.effects);
        let seq = self.state.num_accepted();
        let is_new = seq != before;
        if self.shard.wants_reports.get() && (is_new || self.state.num_cancels() != num_cancels) {
            self.reports.push(AcceptedReport { seq: is_new.then_some(seq), entry: *entry });
        }
        if !is_new || !self.shard.wants_ticks() {
            return;
        }
        let (ts, received, price, size) = match entry.body {
            Body::Trade(trade) | Body::Correction(Correction { trade, .. }) => {
                (trade.ts, trade.received, trade.price, trade.size)
            }
            // Where quotes make the bars they are the ticks.
            Body::Quote(quote) => match quote.price(self.state.spec().price) {
                Some(price) => (quote.ts, quote.received, price, Size(0)),
                None => return,
            },
            _ => return,
        };
        let (symbol, log_pos) = (self.symbol(), entry.pos);
        self.ticks.push(LiveTick { symbol, ts, received, price, size, seq, log_pos });
    }

    /// Applies a batch. Returns false when it panicked: nothing of it is published, and the state is of no use any more.
    fn try_batch(&mut self, batch: &SymbolBatch) -> bool {
        let metrics = Arc::clone(&self.shard.env.metrics);
        self.borrow_outbox();
        self.applying = 0;
        let is_applied = guard::run(ActorKind::Symbol, &metrics, || self.apply(batch)).is_some();
        let is_past = batch.ticket.is_past();
        if !is_applied {
            self.withdraw();
        }
        if !is_applied || is_past && self.shard.tick_demand.get() < TickDemand::EveryAndPast {
            self.ticks.clear();
        }
        if !is_applied {
            self.reports.clear();
        }
        self.return_outbox(is_past);
        self.shard.emit_ticks(&mut self.ticks, is_past);
        self.shard.emit_reports(&mut self.reports);
        is_applied
    }

    /// Applies a batch, now or once the state is made anew.
    fn take_batch(&mut self, batch: SymbolBatch, ctx: &mut Context<Self>) {
        if self.try_batch(&batch) {
            self.is_retry = false;
            self.panicked_at = None;
            self.finish_batch(&batch);
            return;
        }
        self.blame(&batch);
        self.rebuild(ctx, |actor, ctx| {
            actor.is_retry = true;
            actor.take_batch(batch, ctx);
        });
    }

    /// Makes the state anew, then goes on. Nothing else is handled meanwhile: what comes waits in the mailbox.
    fn rebuild(
        &mut self,
        ctx: &mut Context<Self>,
        then: impl FnOnce(&mut SymbolActor, &mut Context<Self>) + 'static,
    ) {
        let (shard, cell) = (Rc::clone(&self.shard), Rc::clone(&self.cell));
        let rebuilt = Rebuild::run(shard, cell, self.symbol());
        ctx.wait(rebuilt.into_actor(self).map(|state, actor, ctx| {
            actor.state = state;
            then(actor, ctx);
        }));
    }

    /// Decides what the next try of a batch leaves out. This ends, since an entry panics at most three times: when it is
    /// applied, once more, and when it is set aside; then the whole batch is passed over, and nothing of it is left to
    /// panic.
    fn blame(&mut self, batch: &SymbolBatch) {
        let pos = self.applying;
        match self.panicked_at.replace(pos) {
            None => return,
            Some(before) if before != pos && before != 0 => return,
            Some(_) => {}
        }
        if pos != 0 && !self.shard.is_poison(pos) {
            self.shard.quarantine(&self.name, pos);
            return;
        }
        tracing::error!(
            symbol = &*self.name,
            entries = batch.entries.len(),
            through = batch.through,
            "a batch panics whatever is left out of it: all of it is set aside, and the symbol goes on"
        );
        if pos != 0 {
            self.shard.pass_over(&self.name, pos);
        }
        for entry in batch.entries.iter() {
            self.shard.pass_over(&self.name, entry.pos);
        }
    }

    /// Notes that a batch is applied.
    fn finish_batch(&mut self, batch: &SymbolBatch) {
        let accepted = self.state.num_accepted();
        self.metrics.ticks.inc_by(accepted.saturating_sub(self.num_accepted));
        self.num_accepted = accepted;
        self.cell.applied.set(self.state.pos());
        self.cell.in_flight.set(self.cell.in_flight.get() - 1);
        if self.cell.in_flight.get() == 0 {
            self.shard.dues.borrow_mut()[self.cell.at] = self.state.next_due();
        }
        self.cell.journal.borrow_mut().record(&batch.entries, self.shard.readable());
        self.bound_journal();
        // When more is under way, the snapshot would be old before anyone could look at it.
        if self.cell.in_flight.get() == 0 {
            self.publish_snapshot();
        }
        self.shard.finish(&batch.ticket);
    }

    /// Sees to it that a restart has little to read.
    fn bound_journal(&mut self) {
        let context = &self.shard.context;
        let mut journal = self.cell.journal.borrow_mut();
        if context.durable.is_some() {
            if journal.num_unsaved() > context.max_entries {
                context.urgent.fetch_or(1 << self.slice, Ordering::Relaxed);
            }
            return;
        }
        // Encoding costs some 10 ns a retained trade; this way, at most four times that an entry.
        let num_symbols = self.shard.dues.borrow().len();
        let least = (JOURNALS_MIN / num_symbols).clamp(JOURNAL_MIN_OF_MANY, JOURNAL_MIN);
        let longest = least.max(self.state.num_retained() / 4);
        if journal.weight() > longest && self.cell.in_flight.get() == 0 {
            self.state.pack();
            journal.keep_checkpoint(self.state.pos(), self.state.encode());
        }
    }

    /// Closes every bar. Returns nothing where that panicked: nothing of it is published, and the state is of no use.
    fn try_finish(&mut self) -> Option<Ledger> {
        let metrics = Arc::clone(&self.shard.env.metrics);
        self.borrow_outbox();
        let finished = guard::run(ActorKind::Symbol, &metrics, || {
            self.state.finish(&mut self.effects);
            self.shard.env.faults.actor(ActorKind::Symbol);
        });
        if finished.is_none() {
            self.withdraw();
        }
        self.return_outbox(false);
        finished?;
        // Where the end of a replay is shown, nothing is forming any more.
        self.publish_snapshot();
        Some(self.state.ledger())
    }

    /// Closes every bar, trying again with the state made anew after a panic. Ends with the outcomes of all reports as they
    /// are, and with the bars open, where it panics every time.
    fn finish(&mut self, tries: u32) -> ResponseActFuture<Self, Ledger> {
        if tries == 0 {
            tracing::error!(symbol = &*self.name, "the last bars cannot be closed and are missing");
            return Box::pin(ready(self.state.ledger()).into_actor(self));
        }
        if let Some(ledger) = self.try_finish() {
            return Box::pin(ready(ledger).into_actor(self));
        }
        let rebuilt = Rebuild::run(Rc::clone(&self.shard), Rc::clone(&self.cell), self.symbol());
        Box::pin(rebuilt.into_actor(self).then(move |state, actor, _ctx| {
            actor.state = state;
            actor.finish(tries - 1)
        }))
    }

    fn publish_snapshot(&self) {
        if let Some(slot) = &self.slot {
            let previews = self.shard.env.published.live.as_ref().is_some_and(|live| live.previews());
            slot.store(Some(Arc::new(self.state.snapshot_with(previews))));
        }
    }
}

impl Listener for SymbolActor {
    fn pos(&self) -> Position {
        self.state.pos()
    }

    fn due(&self) -> Nanos {
        self.state.next_due()
    }

    fn observe(&mut self, mark: Mark) {
        self.cell.journal.borrow_mut().observe(mark);
        self.apply_one(&mark.entry());
    }

    fn take(&mut self, entry: &Entry) {
        self.apply_one(entry);
    }
}

impl Actor for SymbolActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_CAPACITY);
    }
}

impl Handler<SymbolBatch> for SymbolActor {
    type Result = ();

    fn handle(&mut self, batch: SymbolBatch, ctx: &mut Self::Context) {
        self.take_batch(batch, ctx);
    }
}

impl Handler<TakeCheckpoint> for SymbolActor {
    type Result = MessageResult<TakeCheckpoint>;

    fn handle(
        &mut self,
        TakeCheckpoint { marks, covers_through }: TakeCheckpoint,
        ctx: &mut Self::Context,
    ) -> Self::Result {
        let metrics = Arc::clone(&self.shard.env.metrics);
        self.borrow_outbox();
        let taken = guard::run(ActorKind::Symbol, &metrics, || {
            self.state.apply(&marks, &mut self.effects);
            self.state.pack();
            (self.state.pos(), self.state.encode())
        });
        let Some((pos, bytes)) = taken else {
            self.withdraw();
            self.return_outbox(false);
            self.rebuild(ctx, |_, _| {});
            return MessageResult(None);
        };
        self.return_outbox(false);
        self.cell.applied.set(pos);
        if self.cell.in_flight.get() == 0 {
            self.shard.dues.borrow_mut()[self.cell.at] = self.state.next_due();
        }
        let pos = pos.max(covers_through);
        MessageResult(Some(Checkpoint { symbol: Arc::clone(&self.name), pos, bytes }))
    }
}

impl Handler<Barrier> for SymbolActor {
    type Result = ();

    /// Answers once everything before it is applied.
    fn handle(&mut self, _: Barrier, _ctx: &mut Self::Context) {}
}

impl Handler<FinishSymbol> for SymbolActor {
    type Result = AtomicResponse<Self, Ledger>;

    fn handle(&mut self, _: FinishSymbol, _ctx: &mut Self::Context) -> Self::Result {
        AtomicResponse::new(self.finish(FINISH_TRIES))
    }
}
