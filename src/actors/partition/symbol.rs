//! One actor per ticker: owns its windows and indicators, and is the only writer of that state.
//!
//! Promises: entries of one symbol are applied in log order; each revision of a bar is said at most once per run.
//! On failure: a panic takes the state with it, so it is made anew from the last checkpoint and the entries since,
//! read back from the log and, as far as that may not hold them yet, from the journal; nothing is lost, and the other
//! symbols of the shard only wait. An entry that panics twice is poison: it is set
//! aside, and skipped in every later replay.

use super::marks::{self, Listener, Mark, MarkList};
use super::read_back::ReadBack;
use super::shard::{Shard, SymbolCell, Ticket};
use crate::actors::guard::{self, ActorKind};
use crate::actors::messages::{Drain, LiveTick};
use crate::actors::views::ViewSlot;
use crate::metrics::SymbolMetrics;
use crate::models::effect::Effect;
use crate::models::entry::{Body, Correction, Entry, Position};
use crate::models::ledger::Ledger;
use crate::models::num::Size;
use crate::models::state::SymbolState;
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use crate::stores::log::checkpoint::slice_of;
use crate::stores::log::{Checkpoint, Partition};
use actix::{Actor, Context, Handler, Message, MessageResult};
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
    /// Effects of entries up to here are not said again.
    pub muted_through: Position,
    /// The batch they are part of.
    pub ticket: Arc<Ticket>,
}

/// Encode the state.
#[derive(Message)]
#[rtype(result = "Checkpoint")]
pub struct TakeCheckpoint {
    /// The newest clock mark of each source, ascending: the checkpoint holds those that were kept from the symbol since
    /// nothing was due, and so needs nothing beside it.
    pub marks: Arc<[Entry]>,
    /// Everything of the symbol up to here has been sent to it.
    pub covers_through: Position,
}

/// Close every bar; answer with the fates of all reports.
#[derive(Message)]
#[rtype(result = "Ledger")]
pub struct FinishSymbol;

/// Batches that may wait for one symbol. The router sends one a batch of its own and waits when a mailbox is full,
/// so this only bounds how many of the router's batches a symbol may trail behind.
const MAILBOX_CAPACITY: usize = 16;

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
    shard: Rc<Shard>,
    cell: Rc<SymbolCell>,
    /// The shard's outbox, while a batch is applied: ten thousand of its own would take more memory than the bars in
    /// them, and effects are large, so they are put where they have to go.
    effects: Vec<Effect>,
    /// Effects that were in there before.
    num_said: usize,
    ticks: Vec<LiveTick>,
    view: Option<ViewSlot>,
    metrics: SymbolMetrics,
    num_accepted: u64,
    /// The entry being applied, where they are applied one by one.
    applying: Position,
    /// The entry on which the last panic happened.
    panicked_at: Option<Position>,
}

impl SymbolActor {
    /// Makes the actor of a state.
    #[must_use]
    pub fn new(state: SymbolState, shard: Rc<Shard>, cell: Rc<SymbolCell>) -> SymbolActor {
        let symbol = state.symbol();
        let view = shard.env.views.as_ref().map(|views| views.slot(symbol));
        let spec = shard.env.symbols.spec(symbol);
        let metrics = shard.env.metrics.symbol(&spec.name);
        shard.dues.borrow_mut()[cell.at] = state.next_due();
        cell.applied.set(state.pos());
        let num_accepted = state.num_accepted();
        if let Some(view) = view.as_ref().filter(|_| state.pos() > 0) {
            // A symbol that is quiet after a start is to be seen as well.
            view.store(Some(Arc::new(state.view_with(false))));
        }
        SymbolActor {
            state,
            slice: slice_of(&spec.name),
            shard,
            cell,
            effects: Vec::new(),
            num_said: 0,
            ticks: Vec::new(),
            view,
            metrics,
            num_accepted,
            applying: 0,
            panicked_at: None,
        }
    }

    fn symbol(&self) -> SymbolId {
        self.state.symbol()
    }

    /// Applies what a batch has for the symbol, leaving out what is known already and what is poison.
    fn apply(&mut self, batch: &SymbolBatch) {
        let muted_through = batch.muted_through.min(batch.through);
        let audible = batch.entries.partition_point(|entry| entry.pos <= muted_through);
        let (muted, said) = batch.entries.split_at(audible);
        if muted_through > 0 {
            marks::deliver(self, muted, &batch.marks, muted_through);
            self.unsay();
        }
        marks::deliver(self, said, &batch.marks, batch.through);
    }

    fn borrow_outbox(&mut self) {
        self.effects = self.shard.lend_effects();
        self.num_said = self.effects.len();
    }

    /// Takes back the effects of this symbol that have not left its hands.
    fn unsay(&mut self) {
        self.effects.truncate(self.num_said);
    }

    fn apply_all(&mut self, entries: &[Entry]) {
        entries.iter().for_each(|entry| self.apply_one(entry));
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
        let env = &self.shard.env;
        self.shard.wants_ticks() || env.faults.is_armed() || !self.shard.poison.borrow().is_empty()
    }

    fn apply_watched(&mut self, entry: &Entry) {
        self.applying = entry.pos;
        if self.shard.poison.borrow().contains(&entry.pos) {
            self.state.set_aside_poison(entry, &mut self.effects);
        } else if entry.pos > self.state.pos() {
            if self.shard.env.faults.is_armed() {
                self.shard.env.faults.entry(entry.pos);
            }
            self.apply_heard(entry);
        }
    }

    /// Applies an entry, and tells sinks and live clients of the trade that it brought.
    fn apply_heard(&mut self, entry: &Entry) {
        let before = self.state.num_accepted();
        self.state.apply(std::slice::from_ref(entry), &mut self.effects);
        let seq = self.state.num_accepted();
        if seq == before {
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
        self.ticks.push(LiveTick { symbol: self.symbol(), ts, received, price, size, seq });
    }

    /// Applies a batch, coming back from the last checkpoint after each panic. Ends, since an entry panics at most twice.
    fn apply_guarded(&mut self, batch: &SymbolBatch) {
        let shard = Rc::clone(&self.shard);
        let metrics = &shard.env.metrics;
        self.borrow_outbox();
        loop {
            let applied = guard::run(ActorKind::Symbol, metrics, || {
                self.apply(batch);
            });
            if applied.is_some() {
                break;
            }
            let pos = self.applying.max(self.state.pos());
            if self.panicked_at.replace(pos) == Some(pos) {
                self.condemn(pos);
            }
            while guard::run(ActorKind::Symbol, metrics, || self.rebuild()).is_none() {
                self.condemn(self.applying.max(self.state.pos()));
            }
        }
        let is_past = batch.ticket.is_past();
        self.shard.return_effects(std::mem::take(&mut self.effects), self.num_said, is_past);
        if is_past {
            self.ticks.clear();
        }
        self.shard.emit_ticks(&mut self.ticks);
    }

    /// Declares an entry poison.
    fn condemn(&self, pos: Position) {
        self.shard.poison.borrow_mut().insert(pos);
        self.shard.env.metrics.poison_entries.inc();
        let name = &self.shard.env.symbols.spec(self.symbol()).name;
        tracing::error!(symbol = %name, pos, "entry panicked twice and is set aside for good");
        if let Some(log) = self.shard.env.log.clone() {
            actix::spawn(async move {
                if let Err(error) = log.mark_poison(Partition::EMBEDDED, pos).await {
                    tracing::error!(pos, %error, "failed to remember a poison entry: a replay meets it again");
                }
            });
        }
    }

    /// Makes the state anew from the last checkpoint and the entries since, up to what was applied. What panics in here has
    /// been applied before, so it is condemned at once.
    fn rebuild(&mut self) {
        let shard = Rc::clone(&self.shard);
        let env = &shard.env;
        let cell = Rc::clone(&self.cell);
        let applied = cell.applied.get();
        cell.journal.borrow_mut().unhear(applied);
        let journal = cell.journal.borrow();
        let symbol = self.symbol();
        let store = shard.durable.is_some().then(|| ReadBack::new(env, symbol));
        let checkpoints = match &store {
            Some(store) => store.checkpoints(),
            None => journal.checkpoint().map(<[u8]>::to_vec).into_iter().collect(),
        };
        let state = checkpoints.iter().find_map(|bytes| {
            let decoded = SymbolState::decode(bytes, Arc::clone(&env.settings), Arc::clone(&env.names));
            decoded.map_err(|error| tracing::warn!(%error, "checkpoint is of no use")).ok()
        });
        let mut after = state.as_ref().map_or(journal.begins_after(), SymbolState::pos);
        self.state = state.unwrap_or_else(|| {
            let (settings, names) = (Arc::clone(&env.settings), Arc::clone(&env.names));
            SymbolState::new(symbol, &env.symbols.spec(symbol), settings, names)
        });
        self.applying = 0;
        let mut unheard = Vec::new();
        while let Some(store) = store.as_ref().filter(|_| after < applied) {
            let page = store.page(after);
            let Some(last) = page.last() else { break };
            after = last.pos;
            self.reapply(up_to(&page, applied), &mut unheard);
        }
        self.apply_all(&unheard);
        self.apply_all(&journal.up_to(applied));
        self.unsay();
        // What was said of all this was said before, and the batch at hand says its part anew.
        self.ticks.clear();
    }

    /// Applies entries of the log as the router gave them: it holds clock marks back until something is due or the
    /// symbol's next entry comes, and a symbol begins with an entry of its own.
    fn reapply(&mut self, entries: &[Entry], unheard: &mut Vec<Entry>) {
        for entry in entries {
            let is_early = match entry.body {
                Body::ClockMark { source, time } => {
                    unheard.retain(|mark| mark.body.source() != source);
                    time < self.state.next_due()
                }
                _ => false,
            };
            if self.state.pos() == 0 && entry.body.is_broadcast() {
                continue;
            }
            unheard.push(*entry);
            if !is_early {
                self.apply_all(unheard);
                self.unsay();
                unheard.clear();
            }
        }
    }

    /// Sees to it that a restart has little to read.
    fn bound_journal(&mut self) {
        let env = &self.shard.env;
        let mut journal = self.cell.journal.borrow_mut();
        if self.shard.durable.is_some() {
            if journal.num_unsaved() > env.max_entries {
                env.urgent.fetch_or(1 << self.slice, Ordering::Relaxed);
            }
            return;
        }
        // Encoding costs some 10 ns a kept trade; this way, at most four times that an entry.
        let num_symbols = self.shard.dues.borrow().len();
        let least = (JOURNALS_MIN / num_symbols).clamp(JOURNAL_MIN_OF_MANY, JOURNAL_MIN);
        let longest = least.max(self.state.num_retained() / 4);
        if journal.weight() > longest && self.cell.in_flight.get() == 0 {
            self.state.pack();
            journal.keep_checkpoint(self.state.pos(), self.state.encode());
        }
    }

    fn publish_view(&self) {
        if let Some(view) = &self.view {
            let previews = self.shard.env.live.as_ref().is_some_and(|live| live.previews());
            view.store(Some(Arc::new(self.state.view_with(previews))));
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

    fn hear(&mut self, mark: Mark) {
        self.cell.journal.borrow_mut().hear(mark);
        self.apply_one(&mark.entry());
    }

    fn take(&mut self, entry: &Entry) {
        self.apply_one(entry);
    }
}

/// Returns the entries up to a position.
fn up_to(entries: &[Entry], last: Position) -> &[Entry] {
    &entries[..entries.partition_point(|entry| entry.pos <= last)]
}

impl Actor for SymbolActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_CAPACITY);
    }
}

impl Handler<SymbolBatch> for SymbolActor {
    type Result = ();

    fn handle(&mut self, batch: SymbolBatch, _ctx: &mut Self::Context) {
        self.apply_guarded(&batch);
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
        // When more is under way, the picture would be old before anyone could look at it.
        if self.cell.in_flight.get() == 0 {
            self.publish_view();
        }
        self.shard.finish(&batch.ticket);
    }
}

impl Handler<TakeCheckpoint> for SymbolActor {
    type Result = MessageResult<TakeCheckpoint>;

    fn handle(
        &mut self,
        TakeCheckpoint { marks, covers_through }: TakeCheckpoint,
        _ctx: &mut Self::Context,
    ) -> Self::Result {
        self.borrow_outbox();
        self.state.apply(&marks, &mut self.effects);
        self.shard.return_effects(std::mem::take(&mut self.effects), self.num_said, false);
        self.cell.applied.set(self.state.pos());
        if self.cell.in_flight.get() == 0 {
            self.shard.dues.borrow_mut()[self.cell.at] = self.state.next_due();
        }
        self.state.pack();
        let pos = self.state.pos().max(covers_through);
        let spec = self.shard.env.symbols.spec(self.symbol());
        MessageResult(Checkpoint { symbol: spec.name.as_str().into(), pos, bytes: self.state.encode() })
    }
}

impl Handler<Drain> for SymbolActor {
    type Result = ();

    /// Answers once everything before it is applied.
    fn handle(&mut self, _: Drain, _ctx: &mut Self::Context) {}
}

impl Handler<FinishSymbol> for SymbolActor {
    type Result = MessageResult<FinishSymbol>;

    fn handle(&mut self, _: FinishSymbol, _ctx: &mut Self::Context) -> Self::Result {
        self.borrow_outbox();
        self.state.finish(&mut self.effects);
        self.shard.return_effects(std::mem::take(&mut self.effects), self.num_said, false);
        // Where the end of a replay is shown, nothing is forming any more.
        self.publish_view();
        MessageResult(self.state.ledger())
    }
}
