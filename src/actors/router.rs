//! Sorts a shard's stretch of the log by symbol: makes a symbol's actor on first sight, and tells symbols of clock marks
//! when something is due.
//!
//! Promises: each symbol gets its entries in log order, one message a batch however many they are. A clock mark goes
//! only to symbols for which something is due, and before its next own entry to every other, so a mark costs nothing
//! to quiet symbols and all end as if they had seen each.
//! On failure: a panic has the batch routed again, entry by entry; symbols skip what they know. An entry that cannot
//! be routed even so is set aside as poison.

use super::guard::{self, ActorKind};
use super::messages::{Drain, Finish, LogBatch, PointsSaved, TakePoints};
use super::shard::{Shard, SymbolCell, Ticket, slice_of};
use super::symbol::{FinishSymbol, SymbolActor, SymbolBatch, TakePoint};
use crate::metrics::Stage;
use crate::models::entry::{Body, Entry, Position, SourceId};
use crate::models::ledger::Ledger;
use crate::models::state::SymbolState;
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use crate::stores::{PointSet, SymbolPoint};
use actix::dev::SendError;
use actix::{Actor, Addr, AtomicResponse, Context, Handler, ResponseFuture, WrapFuture};
use futures_util::future::join_all;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

/// Stretches of the log that may wait for a shard. Together with the outbox' limit it bounds what is between the log
/// and the symbols; when it is full the log waits, and so does the venue.
const MAILBOX_CAPACITY: usize = 8;

/// Entries for which room is kept from batch to batch: 3 MB.
const SPARE_ENTRIES_MAX: usize = 1 << 15;

/// The newest clock mark of each source, as entries.
pub type Marks = Vec<Entry>;

/// A symbol as its router knows it.
struct Slot {
    symbol: SymbolId,
    addr: Addr<SymbolActor>,
    cell: Rc<SymbolCell>,
    /// What the batch at hand has for it.
    pending: Vec<Entry>,
    /// The last entry it was given.
    given: Position,
    /// The last entry that was sent to it.
    sent: Position,
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
    marks: Marks,
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
    /// Makes the router of a shard with the states that recovery found, and the marks they had heard of.
    #[must_use]
    pub fn new(shard: Rc<Shard>, states: Vec<SymbolState>, marks: Marks) -> RouterActor {
        let mut router = RouterActor {
            shard,
            places: Vec::new(),
            slots: Vec::new(),
            marks,
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
        let cell = Rc::new(SymbolCell::default());
        let given = state.pos();
        let actor = SymbolActor::new(state, Rc::clone(&self.shard), Rc::clone(&cell));
        let at = self.slots.len();
        let pending = Vec::new();
        let is_new = given == 0;
        self.slots.push(Slot { symbol, addr: actor.start(), cell, pending, given, sent: given, is_new });
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
        let state = SymbolState::new(symbol, &env.symbols.spec(symbol), Arc::clone(&env.settings));
        Some(self.add(symbol, state))
    }

    /// Puts an entry to what is pending for its symbol, behind the marks that symbol has not heard.
    fn place(&mut self, entry: &Entry) {
        self.routed = self.routed.max(entry.pos);
        match entry.body {
            Body::ClockMark { source, time } => self.place_mark(entry, source, time),
            Body::Gap(_) => {
                for at in 0..self.slots.len() {
                    self.give_marks(at);
                    self.give(at, entry);
                }
            }
            _ => {
                if let Some(at) = self.slot_of(entry.symbol) {
                    self.give_marks(at);
                    self.give(at, entry);
                }
            }
        }
    }

    fn place_mark(&mut self, entry: &Entry, source: SourceId, time: Nanos) {
        self.shard.env.clocks.advance(source, time);
        for at in 0..self.slots.len() {
            let slot = &self.slots[at];
            // While anything is under way to it, nobody knows what is due.
            let unknown = slot.cell.in_flight.get() > 0 || !slot.pending.is_empty();
            if unknown || slot.cell.due.get() <= time {
                self.give_marks(at);
                self.give(at, entry);
            }
        }
        match self.marks.iter_mut().find(|mark| mark.body.source() == source) {
            Some(mark) => *mark = *entry,
            None => self.marks.push(*entry),
        }
    }

    /// Gives a symbol the marks it has not heard. One that is new has heard all: it began after them.
    fn give_marks(&mut self, at: usize) {
        let slot = &self.slots[at];
        if slot.given == 0 || self.marks.iter().all(|mark| mark.pos <= slot.given) {
            return;
        }
        let mut unheard: Vec<Entry> = self.marks.iter().filter(|m| m.pos > slot.given).copied().collect();
        unheard.sort_unstable_by_key(|mark| mark.pos);
        for mark in &unheard {
            self.give(at, mark);
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
        slot.given = slot.given.max(entry.pos);
    }

    /// Sends what is pending. Returns the symbols whose mailbox is full, with their part.
    fn send(&mut self, batch: &LogBatch, ticket: &Arc<Ticket>) -> Vec<(Addr<SymbolActor>, SymbolBatch)> {
        let mut full = Vec::new();
        let readable = self.shard.readable();
        for at in self.touched.drain(..) {
            let slot = &mut self.slots[at];
            // An exact copy: it goes to the journal, while the room it was gathered in is used again.
            let entries = Arc::from(slot.pending.as_slice());
            slot.pending.clear();
            let room = std::mem::take(&mut slot.pending);
            if self.spare_entries + room.capacity() <= SPARE_ENTRIES_MAX {
                self.spare_entries += room.capacity();
                self.spare.push(room);
            }
            if slot.sent == 0 && self.shard.durable.is_some() {
                self.fresh.push_back((at, slot.given));
            }
            slot.sent = slot.given;
            slot.cell.journal.borrow_mut().record(&entries, readable, slot.is_new);
            slot.cell.in_flight.set(slot.cell.in_flight.get() + 1);
            ticket.add();
            let ticket = Arc::clone(ticket);
            let part = SymbolBatch { entries, muted_through: batch.muted_through, ticket };
            if let Err(SendError::Full(part)) = slot.addr.try_send(part) {
                full.push((slot.addr.clone(), part));
            }
        }
        full
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
        let marks = self.marks.clone();
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
        for slot in &mut self.slots {
            slot.pending.clear();
            slot.given = slot.sent;
        }
        self.touched.clear();
        self.marks = marks;
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
        let full = self.send(&batch, &ticket);
        self.trim_fresh();
        self.shard.finish(&ticket);
        let shard = Rc::clone(&self.shard);
        let wait = async move {
            // All others have their part already; these get theirs as soon as they have had their turn.
            for (addr, part) in full {
                addr.send(part).await.ok();
            }
            shard.wait_for_room().await;
        };
        AtomicResponse::new(Box::pin(wait.into_actor(self)))
    }
}

impl Handler<TakePoints> for RouterActor {
    type Result = ResponseFuture<Option<PointSet>>;

    fn handle(&mut self, TakePoints { slice, also }: TakePoints, _ctx: &mut Self::Context) -> Self::Result {
        let is_wanted = |slot: &&Slot| {
            slice_of(slot.symbol) == slice
                && (slot.cell.journal.borrow().is_touched() || also.contains(&slot.symbol))
        };
        let good_to = self.routed;
        let mut marks = self.marks.clone();
        marks.sort_unstable_by_key(|mark| mark.pos);
        let marks: Arc<[Entry]> = marks.into();
        let ask = |slot: &Slot| {
            slot.cell.journal.borrow_mut().taken();
            slot.addr.send(TakePoint { marks: Arc::clone(&marks), good_to })
        };
        let asked: Vec<_> = self.slots.iter().filter(is_wanted).map(ask).collect();
        let context = postcard::to_stdvec(&self.marks).expect("marks are plain data");
        Box::pin(async move {
            let taken = join_all(asked).await;
            let mut points = taken.into_iter().collect::<Result<Vec<SymbolPoint>, _>>().ok()?;
            points.sort_unstable_by_key(|point| point.symbol);
            Some(PointSet { slice, good_to, context, points })
        })
    }
}

/// Unpacks what a set of points knows of the marks. `None` where it is damaged.
#[must_use]
pub fn marks_of(context: &[u8]) -> Option<Marks> {
    postcard::from_bytes(context).ok()
}

impl Handler<PointsSaved> for RouterActor {
    type Result = ();

    fn handle(&mut self, saved: PointsSaved, _ctx: &mut Self::Context) {
        for slot in self.slots.iter().filter(|slot| slice_of(slot.symbol) == saved.slice) {
            slot.cell.journal.borrow_mut().saved(saved.good_to);
        }
    }
}

impl Handler<Finish> for RouterActor {
    type Result = ResponseFuture<Ledger>;

    fn handle(&mut self, _: Finish, _ctx: &mut Self::Context) -> Self::Result {
        // Which marks were worth sending is a matter of speed; what the last bars say of the log must not be.
        for at in 0..self.slots.len() {
            self.give_marks(at);
        }
        let nothing = Arc::new(Vec::new());
        let unheard =
            LogBatch { entries: nothing, through: self.routed, muted_through: 0, received: Nanos::MIN };
        let ticket = self.shard.begin(unheard.through, unheard.received);
        let full = self.send(&unheard, &ticket);
        self.shard.finish(&ticket);
        let symbols: Vec<_> = self.slots.iter().map(|slot| slot.addr.clone()).collect();
        Box::pin(async move {
            for (addr, part) in full {
                addr.send(part).await.ok();
            }
            let asked: Vec<_> = symbols.iter().map(|addr| addr.send(FinishSymbol)).collect();
            let mut sum = Ledger::default();
            for ledger in join_all(asked).await.into_iter().flatten() {
                sum.merge(&ledger);
            }
            sum
        })
    }
}

impl Handler<Drain> for RouterActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drain, _ctx: &mut Self::Context) -> Self::Result {
        // A symbol's mailbox is in order: its answer says that all before is applied. Only those with something under
        // way are asked.
        let busy = self.slots.iter().filter(|slot| slot.cell.in_flight.get() > 0);
        let asked: Vec<_> = busy.map(|slot| slot.addr.send(Drain)).collect();
        Box::pin(async move {
            join_all(asked).await;
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::shard::Environment;
    use crate::models::entry::Trade;
    use crate::models::symbol::SymbolSpec;
    use crate::stores::memory::MemoryLog;
    use std::sync::atomic::{AtomicU64, Ordering};

    fn shard() -> Rc<Shard> {
        let env = Environment::for_test();
        env.symbols.intern(SymbolSpec::named("A"));
        Shard::new(0, 1, env, None, &[])
    }

    fn trade(pos: Position) -> Entry {
        let trade = Trade::for_test(pos, Nanos(pos.cast_signed()));
        Entry { pos, symbol: SymbolId(0), body: Body::Trade(trade) }
    }

    fn mark(pos: Position) -> Entry {
        let body = Body::ClockMark { source: SourceId(0), time: Nanos(pos.cast_signed()) };
        Entry { pos, symbol: SymbolId::NONE, body }
    }

    #[actix::test]
    async fn a_symbol_of_a_point_hears_the_marks_from_before_the_start() {
        let shard = shard();
        let mut state =
            SymbolState::new(SymbolId(0), &SymbolSpec::named("A"), Arc::clone(&shard.env.settings));
        state.apply(&[trade(1)], &mut Vec::new());
        let mut router = RouterActor::new(shard, vec![state], vec![mark(2)]);
        router.place(&trade(3));
        assert_eq!(router.slots[0].pending, [mark(2), trade(3)]);
        let context = postcard::to_stdvec(&router.marks).expect("plain data");
        assert_eq!(marks_of(&context), Some(vec![mark(2)]));
    }

    #[actix::test]
    async fn what_a_symbol_begins_with_is_let_go_once_the_log_holds_it() {
        let mut env = Environment::for_test();
        env.log = Some(Arc::new(MemoryLog::new()));
        env.symbols.intern(SymbolSpec::named("A"));
        let durable = Arc::new(AtomicU64::new(0));
        let shard = Shard::new(0, 1, env, Some(Arc::clone(&durable)), &[]);
        let mut router = RouterActor::new(Rc::clone(&shard), Vec::new(), Vec::new());
        let entries = Arc::new((1..=500).map(trade).collect());
        let batch = LogBatch { entries, through: 500, muted_through: 0, received: Nanos::MIN };
        router.sort(&batch);
        let ticket = shard.begin(500, Nanos::MIN);
        assert_eq!(router.send(&batch, &ticket).len(), 0);
        for (held, kept) in [(499, 500), (500, 0)] {
            durable.store(held, Ordering::Release);
            router.trim_fresh();
            assert_eq!(router.slots[0].cell.journal.borrow().len(), kept, "the log holds {held}");
        }
    }

    #[actix::test]
    async fn a_symbol_begins_after_the_marks_before_it() {
        let mut router = RouterActor::new(shard(), Vec::new(), vec![mark(2)]);
        router.place(&trade(3));
        router.place(&mark(4));
        router.place(&trade(5));
        assert_eq!(router.slots[0].pending, [trade(3), mark(4), trade(5)]);
    }
}
