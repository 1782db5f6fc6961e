//! Sorts a shard's stretch of the log by symbol: makes a symbol's actor on first sight, and tells symbols of clock marks
//! when something is due.
//!
//! Promises: each symbol gets its entries in log order, one message a batch however many they are. The batch's clock marks
//! stand in one list, which goes with the entries of a symbol, or alone where something is due; so a mark costs nothing
//! to quiet symbols and all end as if they had seen each (see `marks`).
//! On failure: a panic has the batch routed again, entry by entry; symbols skip what they know. An entry that cannot
//! be routed even so is set aside as poison.

use super::marks::{Mark, MarkList};
use super::outbox::Ticket;
use super::shard::{Shard, SymbolCell};
use super::symbol::{FinishSymbol, SymbolActor, SymbolBatch, TakeCheckpoint};
use crate::actors::guard::{self, ActorKind};
use crate::actors::messages::{Barrier, CheckpointsSaved, EndUnit, Finish, LogBatch, TakeCheckpoints};
use crate::metrics::Stage;
use crate::models::clock_marks;
use crate::models::entry::{Entry, Position};
use crate::models::ledger::Ledger;
use crate::models::state::SymbolState;
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use crate::stores::log::checkpoint::slice_of;
use crate::stores::log::{Checkpoint, CheckpointSet};
use actix::dev::SendError;
use actix::{Actor, ActorContext, Addr, AtomicResponse, Context, Handler, ResponseFuture, WrapFuture};
use futures_util::future::join_all;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

/// Stretches of the log that may wait for a shard. Together with the outbox' limit it bounds what is between the log
/// and the symbols; when it is full the log waits, and so does the venue.
const MAILBOX_CAPACITY: usize = 8;

/// Entries for which room is kept from batch to batch: 3 MB.
const SPARE_ENTRIES_MAX: usize = 1 << 15;

/// Symbols that get their part of a batch before the shard works on what they have: what is under way between a shard's
/// actors stays small however many symbols there are, and so do the effects that wait.
const SYMBOLS_AT_ONCE: usize = 1_024;

/// A symbol's part of a batch, and who is to get it.
type Part = (Rc<Addr<SymbolActor>>, SymbolBatch);

/// The newest clock mark of each source, as entries.
pub type ClockMarks = Vec<Entry>;

/// A symbol as its router knows it.
struct Slot {
    symbol: SymbolId,
    /// The slice whose checkpoints hold it.
    slice: u32,
    /// Shared, never cloned: every fresh clone of an address may put one message more into a full mailbox.
    addr: Rc<Addr<SymbolActor>>,
    cell: Rc<SymbolCell>,
    /// What the batch at hand has for it.
    pending: Vec<Entry>,
    /// Nothing was known of it before this run.
    is_new: bool,
}

/// Where a symbol's slot is.
#[derive(Clone, Copy)]
enum Place {
    /// No entry of it was seen.
    Unseen,
    /// In another shard.
    Elsewhere,
    /// Here.
    At(u32),
}

/// Sorts entries by symbol.
pub struct RouterActor {
    shard: Rc<Shard>,
    /// Place of each symbol's slot, by symbol id.
    places: Vec<Place>,
    slots: Vec<Slot>,
    /// The newest mark of each source before the batch at hand.
    marks: ClockMarks,
    /// What was stated last to be looked for, which symbols that are yet to come must know.
    detection: Option<Entry>,
    /// The same marks, for symbols.
    known: Arc<MarkList>,
    /// The marks in the batch at hand.
    news: Vec<Mark>,
    /// What symbols get that have only marks to observe.
    nothing: Arc<[Entry]>,
    /// Slots with something pending.
    touched: Vec<usize>,
    /// Room that was pending entries' before: one of its own for each symbol would stand empty most of the time.
    spare: Vec<Vec<Entry>>,
    spare_entries: usize,
    /// The last entry routed.
    routed: Position,
    /// Slots whose first entries the log may not hold yet, and the last of these entries: a whole past is much to keep
    /// until the symbol's next entry.
    fresh: VecDeque<(usize, Position)>,
}

impl RouterActor {
    /// Makes the router of a shard with the states that recovery found, the marks they had observed, and what was to be
    /// looked for.
    #[must_use]
    pub fn new(
        shard: Rc<Shard>,
        states: Vec<SymbolState>,
        marks: ClockMarks,
        detection: Option<Entry>,
    ) -> RouterActor {
        if let Some(stated) = detection {
            shard.env.note_looked_for(&stated);
        }
        let mut router = RouterActor {
            shard,
            places: Vec::new(),
            slots: Vec::new(),
            known: Arc::new(list_of(&marks, &[])),
            marks,
            detection,
            news: Vec::new(),
            nothing: Arc::default(),
            touched: Vec::new(),
            spare: Vec::new(),
            spare_entries: 0,
            routed: 0,
            fresh: VecDeque::new(),
        };
        for state in states {
            let symbol = state.symbol();
            router.add(symbol, state);
        }
        router
    }

    fn add(&mut self, symbol: SymbolId, state: SymbolState) -> usize {
        let at = self.slots.len();
        let cell = Rc::new(SymbolCell { at, ..SymbolCell::default() });
        self.shard.dues.borrow_mut().push(Nanos::MAX);
        let is_new = state.pos() == 0;
        let actor = SymbolActor::new(state, Rc::clone(&self.shard), Rc::clone(&cell));
        let addr = Rc::new(actor.start());
        let slice = slice_of(&self.shard.env.symbols.spec(symbol).name);
        self.slots.push(Slot { symbol, slice, addr, cell, pending: Vec::new(), is_new });
        self.remember(symbol, Place::At(u32::try_from(at).expect("fewer than 2^32 symbols")));
        at
    }

    fn remember(&mut self, symbol: SymbolId, place: Place) {
        if symbol.index() >= self.places.len() {
            self.places.resize(symbol.index() + 1, Place::Unseen);
        }
        self.places[symbol.index()] = place;
    }

    /// Returns the symbol's slot, made on first sight; `None` when the symbol lives in another shard.
    fn slot_of(&mut self, symbol: SymbolId) -> Option<usize> {
        match self.places.get(symbol.index()) {
            Some(Place::At(at)) => return Some(*at as usize),
            Some(Place::Elsewhere) => return None,
            Some(Place::Unseen) | None => {}
        }
        if !self.shard.owns(symbol) {
            self.remember(symbol, Place::Elsewhere);
            return None;
        }
        let env = &self.shard.env;
        let mut state = SymbolState::new(
            symbol,
            &env.symbols.spec(symbol),
            Arc::clone(&env.settings),
            Arc::clone(&env.names),
        );
        let looked_for = self.detection.and_then(|stated| stated.body.looked_for());
        if let Some(document) = looked_for {
            state.look_for(document);
        }
        let at = self.add(symbol, state);
        self.slots[at].cell.looked_for.set(looked_for);
        Some(at)
    }

    /// Puts an entry to what is pending for its symbol, or for all of them.
    fn place(&mut self, entry: &Entry) {
        self.routed = self.routed.max(entry.pos);
        if let Some(mark) = Mark::of(entry) {
            self.shard.env.published.clocks.advance(mark.source, mark.time);
            self.news.push(mark);
        } else if entry.is_broadcast() {
            if entry.body.looked_for().is_some() {
                self.shard.env.note_looked_for(entry);
                self.detection = Some(*entry);
            }
            (0..self.slots.len()).for_each(|at| self.give(at, entry));
        } else if let Some(at) = self.slot_of(entry.symbol) {
            self.give(at, entry);
        }
    }

    fn give(&mut self, at: usize, entry: &Entry) {
        let slot = &mut self.slots[at];
        if slot.pending.is_empty() {
            self.touched.push(at);
            if slot.pending.capacity() == 0 {
                slot.pending = self.spare.pop().unwrap_or_default();
                self.spare_entries -= slot.pending.capacity();
            }
        }
        slot.pending.push(*entry);
    }

    /// Closes the list of marks that the symbols of the batch get. Returns it with the newest time in the batch.
    fn list_marks(&mut self) -> (Arc<MarkList>, Option<Nanos>) {
        let news = std::mem::take(&mut self.news);
        let newest = news.iter().map(|mark| mark.time).max();
        if newest.is_none() {
            return (Arc::clone(&self.known), None);
        }
        let list = Arc::new(list_of(&self.marks, &news));
        for mark in news {
            match self.marks.iter_mut().find(|known| known.body.source() == mark.source) {
                Some(known) => *known = mark.entry(),
                None => self.marks.push(mark.entry()),
            }
        }
        self.known = Arc::new(list_of(&self.marks, &[]));
        (list, newest)
    }

    /// Takes what is pending, and the batch's marks where something is due. Returns it with those it is for.
    fn parts(&mut self, batch: &LogBatch, ticket: &Arc<Ticket>) -> Vec<Part> {
        let mut parts = Vec::with_capacity(self.touched.len());
        let (marks, newest) = self.list_marks();
        for at in std::mem::take(&mut self.touched) {
            let slot = &mut self.slots[at];
            // An exact copy: it goes to the journal, while the room it was gathered in is used again.
            let entries: Arc<[Entry]> = Arc::from(slot.pending.as_slice());
            slot.pending.clear();
            let room = std::mem::take(&mut slot.pending);
            if self.spare_entries + room.capacity() <= SPARE_ENTRIES_MAX {
                self.spare_entries += room.capacity();
                self.spare.push(room);
            }
            if self.slots[at].is_new
                && self.slots[at].cell.sent.get() == 0
                && self.shard.context.durable.is_some()
            {
                let last = entries.last().map_or(0, |entry| entry.pos);
                self.fresh.push_back((at, last));
            }
            parts.push(self.part(at, entries, &marks, batch, ticket));
        }
        let Some(newest) = newest else { return parts };
        // Those that got something just now are among them: nobody knows what is due to them.
        let is_due = |(_, due): &(usize, &Nanos)| **due <= newest;
        let due: Vec<usize> =
            self.shard.dues.borrow().iter().enumerate().filter(is_due).map(|(at, _)| at).collect();
        for at in due {
            if self.slots[at].cell.sent.replace(batch.through) < batch.through {
                let nothing = Arc::clone(&self.nothing);
                parts.push(self.part(at, nothing, &marks, batch, ticket));
            }
        }
        parts
    }

    /// Makes a symbol's part, which must be sent.
    fn part(
        &self,
        at: usize,
        entries: Arc<[Entry]>,
        marks: &Arc<MarkList>,
        batch: &LogBatch,
        ticket: &Arc<Ticket>,
    ) -> Part {
        let Slot { addr, cell, is_new, .. } = &self.slots[at];
        cell.journal.borrow_mut().sent(&entries, batch.through, *is_new);
        cell.sent.set(batch.through);
        cell.in_flight.set(cell.in_flight.get() + 1);
        self.shard.dues.borrow_mut()[at] = Nanos::MIN;
        ticket.add();
        let (marks, ticket) = (Arc::clone(marks), Arc::clone(ticket));
        let LogBatch { through, muted_through, .. } = *batch;
        (Rc::clone(addr), SymbolBatch { entries, marks, through, muted_through, ticket })
    }

    /// Lets go of first entries that the log holds by now.
    fn trim_fresh(&mut self) {
        let readable = self.shard.readable();
        while let Some((at, _)) = self.fresh.pop_front_if(|(_, last)| *last <= readable) {
            self.slots[at].cell.journal.borrow_mut().let_go(readable);
        }
    }

    /// Sorts a batch, whatever happens.
    fn sort(&mut self, batch: &LogBatch) {
        let metrics = Arc::clone(&self.shard.env.metrics);
        let sorted = guard::run(ActorKind::Router, &metrics, || {
            for entry in batch.entries.iter() {
                self.place(entry);
            }
            self.shard.env.faults.actor(ActorKind::Router);
        });
        if sorted.is_some() {
            return;
        }
        // Nothing of the batch was ever there, no clock mark either.
        self.slots.iter_mut().for_each(|slot| slot.pending.clear());
        self.touched.clear();
        self.news.clear();
        for entry in batch.entries.iter() {
            if guard::run(ActorKind::Router, &metrics, || self.place(entry)).is_none() {
                metrics.poison_entries.inc();
                tracing::error!(pos = entry.pos, "entry cannot be routed and is skipped");
            }
        }
    }
}

impl Actor for RouterActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_CAPACITY);
    }
}

impl Handler<LogBatch> for RouterActor {
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, batch: LogBatch, _ctx: &mut Self::Context) -> Self::Result {
        let ticket = self.shard.begin(batch.through, batch.received);
        let metrics = self.shard.env.metrics.stage(Stage::Router);
        metrics.received.inc_by(batch.entries.len() as u64);
        self.sort(&batch);
        self.routed = self.routed.max(batch.through);
        let parts = self.parts(&batch, &ticket);
        self.trim_fresh();
        let (shard, num_routed) = (Rc::clone(&self.shard), batch.entries.len() as u64);
        let deliver = async move {
            send(parts, ticket, Rc::clone(&shard)).await;
            shard.env.metrics.stage(Stage::Router).sent.inc_by(num_routed);
        };
        AtomicResponse::new(Box::pin(deliver.into_actor(self)))
    }
}

impl Handler<TakeCheckpoints> for RouterActor {
    type Result = ResponseFuture<Option<CheckpointSet>>;

    fn handle(
        &mut self,
        TakeCheckpoints { slice, also }: TakeCheckpoints,
        _ctx: &mut Self::Context,
    ) -> Self::Result {
        let wanted: Vec<SymbolId> = also.iter().filter_map(|name| self.shard.env.symbols.get(name)).collect();
        let is_wanted = |slot: &&Slot| {
            slot.slice == slice && (slot.cell.journal.borrow().is_touched() || wanted.contains(&slot.symbol))
        };
        let covers_through = self.routed;
        let mut marks = self.marks.clone();
        marks.sort_unstable_by_key(|mark| mark.pos);
        let marks: Arc<[Entry]> = marks.into();
        let ask = |slot: &Slot| {
            slot.cell.journal.borrow_mut().taken();
            slot.addr.send(TakeCheckpoint { marks: Arc::clone(&marks), covers_through })
        };
        let asked: Vec<_> = self.slots.iter().filter(is_wanted).map(ask).collect();
        let context =
            clock_marks::encode(&self.marks, self.detection.as_ref(), self.shard.env.names.as_ref());
        Box::pin(async move {
            let taken = join_all(asked).await;
            // A symbol that is gone ends with its shard, and one that panicked is asked again with the slice's next
            // turn: the checkpoints of before hold.
            let taken = taken.into_iter().map(|checkpoint| checkpoint.ok().flatten());
            let mut checkpoints = taken.collect::<Option<Vec<Checkpoint>>>()?;
            checkpoints.sort_unstable_by(|one, other| one.symbol.cmp(&other.symbol));
            Some(CheckpointSet { slice, covers_through, context, checkpoints })
        })
    }
}

/// Gives symbols their part of a batch.
async fn send(parts: Vec<Part>, ticket: Arc<Ticket>, shard: Rc<Shard>) {
    let mut full = Vec::new();
    for (at, (addr, part)) in parts.into_iter().enumerate() {
        if at > 0 && at % SYMBOLS_AT_ONCE == 0 {
            tokio::task::yield_now().await;
            shard.wait_for_room().await;
        }
        match addr.try_send(part) {
            Ok(()) => {}
            Err(SendError::Full(part)) => full.push((addr, part)),
            Err(SendError::Closed(part)) => {
                tracing::error!("a symbol's actor is gone: its part of a batch is not applied");
                shard.finish(&part.ticket);
            }
        }
    }
    // All others have their part already; these get theirs as soon as they have had their turn.
    for (addr, part) in full {
        let of_part = Arc::clone(&part.ticket);
        if addr.send(part).await.is_err() {
            tracing::error!("a symbol's actor is gone: its part of a batch is not applied");
            shard.finish(&of_part);
        }
    }
    shard.finish(&ticket);
    shard.wait_for_room().await;
}

/// Makes the list of the newest marks and those that follow them.
fn list_of(newest: &[Entry], fresh: &[Mark]) -> MarkList {
    let mut marks: Vec<Mark> = newest.iter().filter_map(Mark::of).collect();
    marks.sort_unstable_by_key(|mark| mark.pos);
    marks.extend_from_slice(fresh);
    MarkList::new(marks)
}

impl Handler<CheckpointsSaved> for RouterActor {
    type Result = ();

    fn handle(&mut self, saved: CheckpointsSaved, _ctx: &mut Self::Context) {
        for slot in self.slots.iter().filter(|slot| slot.slice == saved.slice) {
            slot.cell.journal.borrow_mut().saved(saved.covers_through);
        }
    }
}

impl Handler<Finish> for RouterActor {
    type Result = ResponseFuture<Ledger>;

    fn handle(&mut self, _: Finish, _ctx: &mut Self::Context) -> Self::Result {
        // Which marks were worth sending is a matter of speed; what the last bars say of the log must not be.
        let mut marks = self.marks.clone();
        marks.sort_unstable_by_key(|mark| mark.pos);
        for mark in &marks {
            (0..self.slots.len()).for_each(|at| self.give(at, mark));
        }
        let nothing = Arc::new(Vec::new());
        let remaining =
            LogBatch { entries: nothing, through: self.routed, muted_through: 0, received: Nanos::MIN };
        let ticket = self.shard.begin(remaining.through, remaining.received);
        let send = send(self.parts(&remaining, &ticket), ticket, Rc::clone(&self.shard));
        let symbols: Vec<_> = self.slots.iter().map(|slot| Rc::clone(&slot.addr)).collect();
        Box::pin(async move {
            send.await;
            let asked: Vec<_> = symbols.iter().map(|addr| addr.send(FinishSymbol)).collect();
            let mut sum = Ledger::default();
            for ledger in join_all(asked).await.into_iter().flatten() {
                sum.merge(&ledger);
            }
            sum
        })
    }
}

impl Handler<Barrier> for RouterActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Barrier, _ctx: &mut Self::Context) -> Self::Result {
        // A symbol's mailbox is in order: its answer says that all before is applied. Only those with something under
        // way are asked.
        let busy = self.slots.iter().filter(|slot| slot.cell.in_flight.get() > 0);
        let asked: Vec<_> = busy.map(|slot| slot.addr.send(Barrier)).collect();
        Box::pin(async move {
            join_all(asked).await;
        })
    }
}

impl Handler<EndUnit> for RouterActor {
    type Result = ();

    /// The symbols end with it, since nobody else has their addresses.
    fn handle(&mut self, _: EndUnit, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::environment::Environment;
    use crate::actors::partition::shard::PartitionContext;
    use crate::models::detection::document::Document;
    use crate::models::entry::{Body, SourceId, Trade};
    use crate::models::symbol::SymbolSpec;
    use crate::stores::log::memory::MemoryLog;
    use std::sync::atomic::{AtomicU64, Ordering};

    fn shard() -> Rc<Shard> {
        let env = Environment::for_test();
        env.symbols.intern(SymbolSpec::named("A"));
        Shard::new(0, env, PartitionContext::of_whole_log(1), &[])
    }

    fn state(shard: &Shard, spec: &SymbolSpec) -> SymbolState {
        let env = &shard.env;
        SymbolState::new(SymbolId(0), spec, Arc::clone(&env.settings), Arc::clone(&env.names))
    }

    fn trade(pos: Position) -> Entry {
        let trade = Trade::for_test(pos, Nanos(pos.cast_signed()));
        Entry { pos, symbol: SymbolId(0), body: Body::Trade(trade) }
    }

    fn mark(pos: Position) -> Entry {
        let body = Body::ClockMark { source: SourceId(0), time: Nanos(pos.cast_signed()) };
        Entry { pos, symbol: SymbolId::NONE, body }
    }

    fn batch(entries: Vec<Entry>) -> LogBatch {
        let through = entries.last().map_or(0, |entry| entry.pos);
        LogBatch { entries: Arc::new(entries), through, muted_through: 0, received: Nanos::MIN }
    }

    /// Returns what a symbol knows in the end, and how many parts it got.
    async fn routed(router: &mut RouterActor, batches: Vec<LogBatch>) -> (Checkpoint, usize) {
        let mut num_parts = 0;
        for batch in batches {
            router.sort(&batch);
            let ticket = router.shard.begin(batch.through, batch.received);
            let parts = router.parts(&batch, &ticket);
            num_parts += parts.len();
            send(parts, ticket, Rc::clone(&router.shard)).await;
        }
        let take = TakeCheckpoint { marks: Arc::default(), covers_through: 0 };
        (router.slots[0].addr.send(take).await.expect("it lives").expect("it is taken"), num_parts)
    }

    #[actix::test]
    async fn a_symbol_of_a_checkpoint_observes_the_marks_from_before_the_start() {
        let shard = shard();
        let spec = SymbolSpec::named("A");
        let mut state = state(&shard, &spec);
        state.apply(&[trade(1)], &mut Vec::new());
        let mut expected = state.clone();
        expected.apply(&[mark(2), trade(3)], &mut Vec::new());
        let mut router = RouterActor::new(shard, vec![state], vec![mark(2)], None);
        let (checkpoint, _) = routed(&mut router, vec![batch(vec![trade(3)])]).await;
        assert_eq!((checkpoint.pos, checkpoint.bytes == expected.encode()), (3, true));
    }

    #[actix::test]
    async fn what_a_symbol_begins_with_is_let_go_once_the_log_holds_it() {
        let env = Environment::for_test();
        env.symbols.intern(SymbolSpec::named("A"));
        let durable = Arc::new(AtomicU64::new(0));
        let context = PartitionContext {
            store: Some(Arc::new(MemoryLog::new())),
            durable: Some(Arc::clone(&durable)),
            ..PartitionContext::of_whole_log(1)
        };
        let shard = Shard::new(0, env, context, &[]);
        let mut router = RouterActor::new(Rc::clone(&shard), Vec::new(), Vec::new(), None);
        routed(&mut router, vec![batch((1..=500).map(trade).collect())]).await;
        for (held, kept) in [(499, 500), (500, 0)] {
            durable.store(held, Ordering::Release);
            router.trim_fresh();
            assert_eq!(router.slots[0].cell.journal.borrow().weight(), kept, "the log holds {held}");
        }
    }

    #[actix::test]
    async fn a_symbol_begins_after_the_marks_before_it() {
        let shard = shard();
        let spec = SymbolSpec::named("A");
        let mut expected = state(&shard, &spec);
        expected.apply(&[trade(3), mark(4), trade(5)], &mut Vec::new());
        let mut router = RouterActor::new(shard, Vec::new(), vec![mark(2)], None);
        let (checkpoint, _) = routed(&mut router, vec![batch(vec![trade(3), mark(4), trade(5)])]).await;
        assert_eq!((checkpoint.pos, checkpoint.bytes == expected.encode()), (5, true));
    }

    #[actix::test]
    async fn a_mark_goes_only_where_something_may_be_due() {
        let shard = shard();
        let spec = SymbolSpec::named("A");
        let mut state = state(&shard, &spec);
        state.apply(&[trade(1)], &mut Vec::new());
        let due = state.next_due();
        let late = Entry {
            pos: 5,
            symbol: SymbolId::NONE,
            body: Body::ClockMark { source: SourceId(0), time: due },
        };
        let mut router = RouterActor::new(shard, vec![state], Vec::new(), None);
        let quiet = (2..5).map(|pos| batch(vec![mark(pos)]));
        let (checkpoint, num_parts) = routed(&mut router, quiet.chain([batch(vec![late])]).collect()).await;
        assert_eq!((checkpoint.pos, num_parts), (5, 1), "three marks before it cost nothing");
    }

    #[actix::test]
    async fn without_a_log_the_journals_of_many_symbols_hold_little() {
        const NUM_SYMBOLS: u32 = 3_000;
        let env = Environment::for_test();
        for at in 0..NUM_SYMBOLS {
            env.symbols.intern(SymbolSpec::named(&format!("S{at}")));
        }
        let mut router = RouterActor::new(
            Shard::new(0, env, PartitionContext::of_whole_log(1), &[]),
            Vec::new(),
            Vec::new(),
            None,
        );
        let of = |symbol: u32, pos| Entry { symbol: SymbolId(symbol), ..trade(pos) };
        let one_each = batch((0..NUM_SYMBOLS).map(|at| of(at, u64::from(at) + 1)).collect());
        let more = (1..=200).map(|at| batch(vec![of(0, u64::from(NUM_SYMBOLS) + at)]));
        let (checkpoint, _) = routed(&mut router, [one_each].into_iter().chain(more).collect()).await;
        assert_eq!(checkpoint.pos, u64::from(NUM_SYMBOLS) + 200);
        let journal = router.slots[0].cell.journal.borrow();
        assert!(journal.weight() <= 64 && journal.checkpoint().is_some(), "{} entries", journal.weight());
    }

    #[actix::test]
    async fn a_symbol_begins_with_what_was_stated_before_its_first_entry() {
        let shard = shard();
        let stated = |pos, text| {
            let document = Document::new(text).expect("short");
            Entry { pos, symbol: SymbolId::NONE, body: Body::Detection { at: Nanos(0), document } }
        };
        let of_recovery = stated(3, "3");
        let mut router = RouterActor::new(Rc::clone(&shard), Vec::new(), Vec::new(), Some(of_recovery));
        let now = |shard: &Shard| shard.env.published.looked_for.now().map(|stated| stated.pos);
        assert_eq!(now(&shard), Some(3), "it is shown before anything comes");
        let unread = shard.env.metrics.unread_detection.get();
        router.place(&stated(5, "5"));
        assert_eq!((now(&shard), shard.env.metrics.unread_detection.get()), (Some(5), unread + 1));
        router.place(&trade(7));
        assert_eq!(router.slots[0].cell.looked_for.get(), stated(5, "5").body.looked_for());
        router.place(&stated(9, "9"));
        assert_eq!(router.slots[0].pending.iter().map(|entry| entry.pos).collect::<Vec<_>>(), [7, 9]);
        assert_eq!(
            router.slots[0].cell.looked_for.get(),
            stated(5, "5").body.looked_for(),
            "what it began with"
        );
    }
}
