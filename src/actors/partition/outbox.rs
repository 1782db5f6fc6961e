//! Effects of one shard on their way out, and how far the shard is done with its partition.
//!
//! Promises: effects leave in the order in which they were put in; the shard is said to be done with a batch only once
//! every symbol of it has put its effects in. When it is full the router sends no more, which pushes back to the venue.
//! Ticks that find no room take the place of older ones, since what is newer counts for a live client; where a sink is to
//! get every tick they push back as effects do.

use crate::actors::messages::LiveTick;
use crate::models::effect::Effect;
use crate::models::entry::Position;
use crate::models::report::AcceptedReport;
use crate::models::time::Nanos;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Effects that may wait in a shard for its sinks. Above it the router sends no more, which pushes back to the venue;
/// an effect takes some 260 bytes, so this is 4 MB and what the symbols at work add.
pub const OUTBOX_LIMIT: usize = 1 << 14;

/// Effects that have the outbox emptied before all symbols of a batch are done: where one mark closes the bars of
/// thousands of symbols, sinks need not get them all at once.
pub const OUTBOX_LARGE: usize = 1 << 11;

/// Ticks that may wait in a shard for the fan-out. Above it those that wait go at once, since whoever wants them sees by
/// their numbers how many are missing; or the router sends no more, where a sink is to get every one.
pub const TICKS_LIMIT: usize = 1 << 15;

/// What becomes of ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TickDemand {
    /// No sink wants any.
    #[default]
    Nothing,
    /// Sinks want those that there is room for.
    Newest,
    /// A sink that is waited for wants them: none may be dropped.
    Every,
    /// A durable sink keeps them: it gets those of the past too, and those that are read again after a restart.
    EveryAndPast,
}

/// Ticks on their way out.
#[derive(Debug, Default)]
pub struct OutgoingTicks {
    /// Those that tell of the past or are read again, for durable sinks alone. A symbol's come before its others.
    pub past: Vec<LiveTick>,
    /// Those that happened just now.
    pub live: Vec<LiveTick>,
    /// How many had to go since the last ones were taken.
    pub num_dropped: usize,
}

/// Counts how many symbols have yet to apply their part of a batch.
#[derive(Debug)]
pub struct Ticket {
    through: Position,
    received: Nanos,
    outstanding: AtomicU32,
}

impl Ticket {
    /// Makes the ticket of a batch, with one party: the router.
    #[must_use]
    pub fn new(through: Position, received: Nanos) -> Ticket {
        Ticket { through, received, outstanding: AtomicU32::new(1) }
    }

    /// Returns when the oldest entry of the batch was received.
    #[must_use]
    pub const fn received(&self) -> Nanos {
        self.received
    }

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

    fn is_done(&self) -> bool {
        self.outstanding.load(Ordering::Relaxed) == 0
    }
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

/// Effects and ticks that wait, and the batches that they come from.
#[derive(Default)]
pub struct Outbox {
    effects: Vec<Effect>,
    /// Which of them tell of the past, ascending.
    past: Vec<Range<usize>>,
    /// When the oldest entry that they may follow from was received.
    received: Option<Nanos>,
    ticks: OutgoingTicks,
    reports: Vec<AcceptedReport>,
    tickets: VecDeque<Arc<Ticket>>,
    through: Position,
}

impl Outbox {
    /// Notes that a batch has begun.
    pub fn begin(&mut self, ticket: Arc<Ticket>) {
        self.tickets.push_back(ticket);
    }

    /// Returns the number of effects that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.effects.len()
    }

    /// True when the router may send more.
    #[must_use]
    pub fn has_room(&self, demand: TickDemand) -> bool {
        let num_ticks = self.ticks.past.len() + self.ticks.live.len();
        let has_room_for_ticks = demand < TickDemand::Every || num_ticks < TICKS_LIMIT;
        self.effects.len() < OUTBOX_LIMIT && has_room_for_ticks && self.reports.len() < TICKS_LIMIT
    }

    /// True when no effects wait.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.effects.is_empty()
    }

    /// Lends the effects to whoever adds to them.
    pub fn lend(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Takes the effects back; those from index `before` on are new. Returns true when there are so many by now that
    /// they should go.
    pub fn take_back(&mut self, effects: Vec<Effect>, before: usize, is_past: bool) -> bool {
        let end = effects.len();
        self.effects = effects;
        if end == before {
            return false;
        }
        if before == 0 {
            self.received = self.tickets.front().map(|ticket| ticket.received);
        }
        if is_past {
            match self.past.last_mut().filter(|range| range.end == before) {
                Some(range) => range.end = end,
                None => self.past.push(before..end),
            }
        }
        end >= OUTBOX_LARGE && before < OUTBOX_LARGE
    }

    /// Adds ticks. Returns how many older ones had to go for them.
    pub fn add_ticks(&mut self, ticks: &mut Vec<LiveTick>, is_past: bool, demand: TickDemand) -> usize {
        let OutgoingTicks { past, live, num_dropped: num_dropped_before } = &mut self.ticks;
        if is_past {
            past.append(ticks);
            return 0;
        }
        let mut num_dropped = 0;
        if demand < TickDemand::Every && live.len() + ticks.len() > TICKS_LIMIT {
            num_dropped = live.len();
            live.clear();
        }
        *num_dropped_before += num_dropped;
        live.append(ticks);
        num_dropped
    }

    /// Adds accepted reports. None is ever dropped: they push back as effects do.
    pub fn add_reports(&mut self, reports: &mut Vec<AcceptedReport>) {
        self.reports.append(reports);
    }

    /// Takes the reports that wait.
    pub fn take_reports(&mut self) -> Vec<AcceptedReport> {
        std::mem::take(&mut self.reports)
    }

    /// Takes the ticks that wait.
    pub fn take_ticks(&mut self) -> OutgoingTicks {
        std::mem::take(&mut self.ticks)
    }

    /// Takes the effects that wait, and leaves what `room` returns in their place.
    pub fn take_effects(&mut self, room: impl FnOnce() -> Vec<Effect>) -> Outgoing {
        while let Some(ticket) = self.tickets.pop_front_if(|ticket| ticket.is_done()) {
            self.through = self.through.max(ticket.through);
        }
        let received = self.received.take().unwrap_or(Nanos::MIN);
        let past = std::mem::take(&mut self.past);
        let room = if self.effects.is_empty() { Vec::new() } else { room() };
        let effects = std::mem::replace(&mut self.effects, room);
        Outgoing { effects, past, received, through: self.through }
    }
}
