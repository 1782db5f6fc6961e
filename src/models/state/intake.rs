//! Reports come in: who is a repeat, who is late, who waits for whom.

use super::pending_cancels::PendingCancel;
use super::retained::{RetainedTrade, TradeFlags};
use super::sources::LocalSource;
use super::trades::{NUM_WINDOWS_MAX, Place};
use super::window::{self, BarLifecycle, BaseWindow, LargerWindow, Tally};
use super::{Newest, SymbolState, Touched};
use crate::models::bar::{BarSum, VendorBar};
use crate::models::effect::{DeadLetter, DeadReason, Effect};
use crate::models::entry::{Body, Cancel, Correction, Quote, SourceId, Trade, TradeId, Updates, VenueBar};
use crate::models::ledger::RejectReason;
use crate::models::num::{NOTIONAL_LIMIT, Price, Size};
use crate::models::snapshot::LastTrade;
use crate::models::time::{DAY, Nanos, Width};

/// Event times stay below this (the year 2116), so that no window's end and no horizon overflows.
const TIME_LIMIT: Nanos = Nanos(1 << 62);

impl SymbolState {
    pub(super) fn trade(&mut self, trade: &Trade, effects: &mut Vec<Effect>) {
        let body = || Body::Trade(*trade);
        let Some(local) = self.admit(trade, body, effects) else { return };
        let Some(at) = self.window_for(trade.ts, body, Some(local), effects) else { return };
        let touched = match self.retained.find(local, trade.id) {
            Some(place) => self.repeat(place, at, trade, local),
            None if self.retained.may_be_full() && self.is_full(at) => {
                return self.set_aside_overflow(local, body(), effects);
            }
            None => self.insert(at, trade, local, TradeFlags::NONE),
        };
        self.amend(&touched, effects);
    }

    /// True when a window keeps as many trades as its rows can count.
    fn is_full(&self, at: usize) -> bool {
        self.retained.is_full(self.base[at].slot)
    }

    /// Sets a report aside that its window has no room for.
    #[cold]
    fn set_aside_overflow(&mut self, local: LocalSource, body: Body, effects: &mut Vec<Effect>) {
        let reason = RejectReason::BadTime;
        self.outcomes.of(local).reject(reason);
        self.set_aside(DeadReason::Rejected(reason), body, effects);
    }

    /// Counts a report and checks its values. Returns the source's place, unless the report was set aside.
    fn admit(
        &mut self,
        trade: &Trade,
        body: impl Fn() -> Body,
        effects: &mut Vec<Effect>,
    ) -> Option<LocalSource> {
        let local = self.local(trade.source);
        let ledger = self.outcomes.of(local.unwrap_or(0));
        ledger.received += 1;
        let fault = value_fault(trade).or(if local.is_none() { Some(RejectReason::Malformed) } else { None });
        if let Some(reason) = fault {
            ledger.reject(reason);
            self.set_aside(DeadReason::Rejected(reason), body(), effects);
            return None;
        }
        local
    }

    /// Returns the place of the window that takes this event time, opening it where there is none; what is too late
    /// or beyond all windows is set aside, in the ledger of the given source if it is a report.
    #[inline]
    pub(super) fn window_for(
        &mut self,
        ts: Nanos,
        body: impl Fn() -> Body,
        local: Option<LocalSource>,
        effects: &mut Vec<Effect>,
    ) -> Option<usize> {
        let width = self.settings.base().nanos();
        if let Some(oldest) = self.base.front()
            && oldest.start.plus(width).plus(self.settings.horizon) <= self.watermark()
        {
            self.seal(effects);
        }
        // Windows that are there are not sealed, and most trades go to the newest one or the one before.
        for at in (self.base.len().saturating_sub(2)..self.base.len()).rev() {
            let start = self.base[at].start;
            if start <= ts && ts < start.plus(width) {
                return Some(at);
            }
        }
        let start = self.settings.base().start_of(ts);
        if self.is_sealed(start.plus(width), effects) {
            if let Some(local) = local {
                self.outcomes.of(local).late += 1;
            }
            self.set_aside(DeadReason::Late, body(), effects);
            return None;
        }
        let at = self.base.partition_point(|window| window.start < start);
        if self.base.get(at).is_some_and(|window| window.start == start) {
            return Some(at);
        }
        let Some(slot) = self.retained.open(start) else {
            let reason = RejectReason::BadTime;
            if let Some(local) = local {
                self.outcomes.of(local).reject(reason);
            }
            self.set_aside(DeadReason::Rejected(reason), body(), effects);
            return None;
        };
        self.open_window(at, start, slot);
        Some(at)
    }

    fn open_window(&mut self, at: usize, start: Nanos, slot: u16) {
        let watermark = self.watermark();
        let window = BaseWindow {
            start,
            slot,
            sum: BarSum::EMPTY,
            venue: None,
            counts: Default::default(),
            tally: Tally::default(),
            lifecycle: BarLifecycle::new(start.plus(self.settings.base().nanos()) <= watermark),
        };
        window::insert(&mut self.base, at, window);
        for track in 1..self.tracks.len() {
            let start = self.tracks[track].width.start_of(start);
            self.open_larger(track, start);
        }
        self.reschedule();
    }

    /// Opens a window of a larger width, if it is not open. Returns its place.
    fn open_larger(&mut self, track: usize, start: Nanos) -> usize {
        let watermark = self.watermark();
        let track = &mut self.tracks[track];
        let at = track.larger.partition_point(|window| window.start < start);
        if track.larger.get(at).is_none_or(|window| window.start != start) {
            let closed = start.plus(track.width.nanos()) <= watermark;
            window::insert(&mut track.larger, at, LargerWindow::new(start, closed));
        }
        at
    }

    /// Takes in a trade that nobody reported before, into a window that is not full.
    #[inline]
    fn insert(&mut self, at: usize, trade: &Trade, local: LocalSource, flags: TradeFlags) -> Touched {
        let flags = flags.with(self.awaited(local, trade.id));
        let retained = RetainedTrade { flags, ..RetainedTrade::of(trade, local, self.retained.sources()) };
        let in_charge = self.schedule.counts(trade.source, trade.ts);
        let counts = in_charge && self.makes_bars(trade.id);
        let window = &mut self.base[at];
        self.retained.insert(window.slot, &retained);
        self.accepted += 1;
        let mut touched = Touched::new();
        if window.add(&retained, counts) {
            let (start, is_closed) = (window.start, window.lifecycle.closed);
            if is_closed {
                touched.push(start);
                self.count_late(start);
            }
            // Windows that have closed are judged by other bars.
            if is_closed || !self.watch.is_usual(trade.price) {
                self.suspect(start, &retained);
            }
        }
        if in_charge {
            self.observe_trade(trade, &retained, counts);
        }
        touched
    }

    /// True when what has this id may make bars: a quote where quotes do, else a trade.
    #[inline]
    fn makes_bars(&self, id: TradeId) -> bool {
        self.spec.price.is_quotes() == id.is_quote()
    }

    /// True when a retained trade counts as far as it stands: it may make bars, and its source is in charge.
    pub(super) fn counts(&self, retained: &RetainedTrade) -> bool {
        self.makes_bars(retained.order.id) && self.schedule.counts(retained.source, retained.order.ts)
    }

    /// Lets a trade of the source in charge move the clock, and the last price if it counts.
    #[inline]
    fn observe_trade(&mut self, trade: &Trade, retained: &RetainedTrade, counts: bool) {
        if counts
            && retained.flags.stands()
            && retained.updates.open_close()
            && self.newest.is_none_or(|newest| newest.order < retained.order)
        {
            self.remember_newest(retained, trade.received);
        }
        self.clock.observe(trade.ts, trade.received, &self.settings);
    }

    fn remember_newest(&mut self, retained: &RetainedTrade, received: Nanos) {
        let order = retained.order;
        let day = |ts: Nanos| ts.0.div_euclid(DAY);
        let reference = match self.newest {
            Some(before) if day(before.order.ts) < day(order.ts) => before.trade.price,
            Some(before) => before.reference,
            None => retained.price,
        };
        let trade = LastTrade {
            ts: order.ts,
            received,
            price: retained.price,
            size: retained.size,
            updates: retained.updates,
            seq: self.accepted,
        };
        self.newest = Some(Newest { order, trade, reference });
    }

    /// Looks for the newest trade anew, where the one known is no more.
    fn forget_newest(&mut self, gone: &RetainedTrade) {
        let Some(newest) = self.newest.filter(|newest| newest.order == gone.order) else { return };
        let mut best: Option<RetainedTrade> = None;
        for window in self.base.iter().rev() {
            let stands = |retained: &RetainedTrade| {
                retained.flags.stands() && retained.updates.open_close() && self.counts(retained)
            };
            best = self.retained.iter(window.slot).filter(stands).max_by_key(|retained| retained.order);
            if best.is_some() {
                break;
            }
        }
        self.newest = None;
        if let Some(best) = best {
            self.remember_newest(&best, newest.trade.received);
            if let Some(found) = &mut self.newest {
                found.reference = newest.reference;
            }
        }
    }

    /// Notes in each closed window over the trade that it came after the close.
    fn count_late(&mut self, start: Nanos) {
        for track in 0..self.tracks.len() {
            let start = self.tracks[track].width.start_of(start);
            let lifecycle = self.lifecycle_mut(track, start);
            if lifecycle.closed {
                lifecycle.late += 1;
            }
        }
    }

    /// Returns the flags that cancels and corrections which came before their trade have for it.
    #[inline]
    fn awaited(&mut self, local: LocalSource, id: TradeId) -> TradeFlags {
        let mut flags = TradeFlags::NONE;
        if !self.pending_cancels.is_empty() && self.pending_cancels.remove((local, id)).is_some() {
            let ledger = self.outcomes.of(local);
            ledger.rejected[RejectReason::NoTrade as usize] -= 1;
            ledger.cancelled += 1;
            flags = TradeFlags::CANCELLED;
        }
        if self.corrections.contains((local, id)) { flags.with(TradeFlags::REPLACED) } else { flags }
    }

    /// Takes in another report of a trade that is known.
    fn repeat(&mut self, place: Place, at: usize, trade: &Trade, local: LocalSource) -> Touched {
        let before = self.retained.get(place);
        let conflict = !before.same_content(trade);
        let ledger = self.outcomes.of(local);
        ledger.duplicate += 1;
        ledger.conflicts += u64::from(conflict);
        let home = self.window_of(place);
        self.base[home].tally.duplicates += 1;
        let mut touched = Touched::new();
        if conflict && before.loses_to(trade) && !self.is_full(at) {
            self.retained.mark(place, TradeFlags::GONE);
            self.note_gone(&before);
            let retained = RetainedTrade {
                flags: before.flags,
                ..RetainedTrade::of(trade, local, self.retained.sources())
            };
            self.retained.insert(self.base[at].slot, &retained);
            self.corrections.moved((local, trade.id), self.base[at].start);
            self.recount(home, &mut touched);
            self.recount(at, &mut touched);
            self.forget_newest(&before);
            if self.schedule.counts(trade.source, trade.ts) {
                self.observe_trade(trade, &retained, self.makes_bars(trade.id));
            }
        }
        touched
    }

    /// Marks a retained trade as taken out.
    fn take_out(&mut self, place: Place, flags: TradeFlags, touched: &mut Touched) {
        let before = self.retained.get(place);
        self.retained.mark(place, flags);
        if before.flags.stands() {
            self.recount(self.window_of(place), touched);
            self.forget_newest(&before);
            self.note_gone(&before);
        }
    }

    pub(super) fn cancel(&mut self, cancel: &Cancel, effects: &mut Vec<Effect>) {
        let local = self.local(cancel.source);
        let ledger = self.outcomes.of(local.unwrap_or(0));
        ledger.received += 1;
        let (Some(local), true) = (local, is_time(cancel.ts) && is_received(cancel.received)) else {
            let reason = if local.is_none() { RejectReason::Malformed } else { RejectReason::BadTime };
            ledger.reject(reason);
            self.set_aside(DeadReason::Rejected(reason), Body::Cancel(*cancel), effects);
            return;
        };
        let mut touched = Touched::new();
        match self.retained.find(local, cancel.target) {
            Some(place) if self.retained.get(place).flags.has(TradeFlags::CANCELLED) => {
                self.outcomes.of(local).duplicate += 1;
                return;
            }
            Some(place) => {
                self.outcomes.of(local).cancelled += 1;
                self.take_out(place, TradeFlags::CANCELLED, &mut touched);
            }
            None if !self.await_trade(local, cancel, effects) => return,
            None => {}
        }
        self.cancels += 1;
        self.cancel_corrections(local, cancel.target, &mut touched);
        self.amend(&touched, effects);
    }

    /// Takes out what stands for a cancelled trade, what stands for that, and so on.
    fn cancel_corrections(&mut self, local: LocalSource, target: TradeId, touched: &mut Touched) {
        let mut targets = vec![target];
        while let Some(target) = targets.pop() {
            for id in self.corrections.of((local, target)).to_vec() {
                let Some(place) = self.retained.find(local, id) else { continue };
                if !self.retained.get(place).flags.has(TradeFlags::CANCELLED) {
                    self.take_out(place, TradeFlags::CANCELLED, touched);
                    targets.push(id);
                }
            }
        }
    }

    /// Lets a cancel wait for its trade. Returns false when it does not: a repeat, too late, or one too many.
    fn await_trade(&mut self, local: LocalSource, cancel: &Cancel, effects: &mut Vec<Effect>) -> bool {
        let trade = (local, cancel.target);
        if self.pending_cancels.contains(trade) {
            self.outcomes.of(local).duplicate += 1;
            return false;
        }
        self.outcomes.of(local).reject(RejectReason::NoTrade);
        let end = self.settings.base().end_of(cancel.ts);
        if self.is_sealed(end, effects) || self.pending_cancels.is_full() {
            let reason = DeadReason::Rejected(RejectReason::NoTrade);
            self.set_aside(reason, Body::Cancel(*cancel), effects);
            return false;
        }
        // One that is dated far ahead is judged when the time at which it came is sealed.
        let far = self.clock.now().plus(self.settings.horizon);
        let until = if cancel.ts > far { self.settings.base().end_of(far) } else { end };
        let pending = PendingCancel { ts: cancel.ts, pos: self.pos, received: cancel.received, until };
        self.pending_cancels.insert(trade, pending);
        self.reschedule();
        true
    }

    pub(super) fn correction(&mut self, correction: &Correction, effects: &mut Vec<Effect>) {
        let target = correction.target;
        let mut trade = correction.trade;
        if trade.id == target {
            trade.id = target.corrected();
        }
        let body = || Body::Correction(*correction);
        let Some(local) = self.admit(&trade, body, effects) else { return };
        let Some(at) = self.window_for(trade.ts, body, Some(local), effects) else { return };
        if self.is_full(at) && self.retained.find(local, trade.id).is_none() {
            return self.set_aside_overflow(local, body(), effects);
        }
        // Also a repeat replaces its target: whether the trade was known by itself is a matter of order.
        let mut touched = Touched::new();
        let cancelled = self.replace(local, target, &mut touched);
        let changed = match self.retained.find(local, trade.id) {
            Some(place) => self.repeat(place, at, &trade, local),
            None => self.insert(
                at,
                &trade,
                local,
                if cancelled { TradeFlags::CANCELLED } else { TradeFlags::NONE },
            ),
        };
        touched.extend(changed);
        let stands_at = self.retained.find(local, trade.id).map(|place| self.retained.start_of(place.slot));
        self.corrections.insert((local, target), trade.id, stands_at.unwrap_or(self.base[at].start));
        if cancelled {
            self.cancel_corrections(local, target, &mut touched);
        }
        if self
            .retained
            .find(local, trade.id)
            .is_some_and(|place| self.retained.get(place).flags.has(TradeFlags::CANCELLED))
        {
            self.cancel_corrections(local, trade.id, &mut touched);
        }
        self.amend(&touched, effects);
    }

    /// Takes out the trade that another one stands for; it may come later. Returns true when it is cancelled.
    fn replace(&mut self, local: LocalSource, target: TradeId, touched: &mut Touched) -> bool {
        match self.retained.find(local, target) {
            Some(place) => {
                self.take_out(place, TradeFlags::REPLACED, touched);
                self.retained.get(place).flags.has(TradeFlags::CANCELLED)
            }
            None => self.pending_cancels.contains((local, target)),
        }
    }

    /// Takes in a quote. Where quotes make the bars it is retained like a trade without a size: in any order, and known
    /// when it comes again. Else, or without the price that the bars take, it moves the clock if its source is in charge.
    pub(super) fn quote(&mut self, quote: &Quote, effects: &mut Vec<Effect>) {
        if let Some(reason) = quote_fault(quote) {
            self.set_aside(DeadReason::Rejected(reason), Body::Quote(*quote), effects);
        } else if let Some(price) = quote.price(self.spec.price) {
            self.priced_quote(quote, price, effects);
        } else if self.schedule.counts(quote.source, quote.ts) {
            self.clock.observe(quote.ts, quote.received, &self.settings);
        }
    }

    /// Takes in a quote that gives a price for bars. It is no report, so the ledger knows nothing of it.
    fn priced_quote(&mut self, quote: &Quote, price: Price, effects: &mut Vec<Effect>) {
        let body = || Body::Quote(*quote);
        let Some(local) = self.local(quote.source) else {
            self.set_aside(DeadReason::Rejected(RejectReason::Malformed), body(), effects);
            return;
        };
        let Some(at) = self.window_for(quote.ts, body, None, effects) else { return };
        let tick = Trade {
            ts: quote.ts,
            received: quote.received,
            price,
            size: Size(0),
            seq: 0,
            id: TradeId::of_quote(quote),
            source: quote.source,
            updates: Updates::ALL,
        };
        if let Some(place) = self.retained.find(local, tick.id) {
            let home = self.window_of(place);
            self.base[home].tally.duplicates += 1;
        } else if self.retained.may_be_full() && self.is_full(at) {
            self.set_aside(DeadReason::Rejected(RejectReason::BadTime), body(), effects);
        } else {
            let touched = self.insert(at, &tick, local, TradeFlags::NONE);
            self.amend(&touched, effects);
        }
    }

    /// Takes in a bar that a venue gives ready-made. One of the smallest width counts in its window while no trade makes a
    /// bar there; one of a larger width does in its own while the smallest windows in it make none. It counts whoever is in
    /// charge: where nothing else is known, it is better than nothing.
    pub(super) fn venue_bar(&mut self, bar: &VenueBar, effects: &mut Vec<Effect>) {
        let body = || Body::VenueBar(*bar);
        let is_own = |width: Width| Some(width) == bar.width() && width.start_of(bar.start) == bar.start;
        let track = self.tracks.iter().position(|track| is_own(track.width));
        let (track, fault) = match track {
            Some(track) => (track, venue_bar_fault(bar)),
            None => (0, Some(RejectReason::UnknownWidth)),
        };
        if let Some(reason) = fault {
            self.set_aside(DeadReason::Rejected(reason), body(), effects);
            return;
        }
        // The same bar again is no second witness of its time.
        let is_first = if track == 0 {
            let Some(at) = self.window_for(bar.start, body, None, effects) else { return };
            let is_first = window::keep_greater(&mut self.base[at].venue, VendorBar::of(bar));
            self.amend(&[bar.start], effects);
            is_first
        } else {
            if self.is_sealed(bar.start.plus(self.tracks[track].width.nanos()), effects) {
                self.set_aside(DeadReason::Late, body(), effects);
                return;
            }
            if self.tracks[track].larger.len() >= NUM_WINDOWS_MAX {
                self.set_aside(DeadReason::Rejected(RejectReason::BadTime), body(), effects);
                return;
            }
            let at = self.open_larger(track, bar.start);
            let window = &mut self.tracks[track].larger[at];
            let is_first = window::keep_greater(&mut window.venue, VendorBar::of(bar));
            self.amend_bar(track, bar.start, effects);
            self.reschedule();
            is_first
        };
        if is_first && self.schedule.counts(bar.source, bar.start) {
            self.clock.observe(bar.start, bar.received, &self.settings);
        }
    }

    pub(super) fn hand_over(&mut self, source: SourceId, from: Nanos, effects: &mut Vec<Effect>) {
        self.schedule.hand_over(from, source);
        let width = self.settings.base().nanos();
        for at in 0..self.base.len() {
            if self.base[at].start.plus(width) > from {
                self.add_up(at);
            }
        }
        self.amend_all(effects);
        self.reschedule();
    }

    /// Sends an entry to the dead letters.
    pub(super) fn set_aside(&self, reason: DeadReason, body: Body, effects: &mut Vec<Effect>) {
        effects.push(Effect::DeadLetter(DeadLetter { pos: self.pos, symbol: self.symbol, reason, body }));
    }

    /// Returns the place of the window in which a retained trade stands.
    fn window_of(&self, place: Place) -> usize {
        self.window_at(self.retained.start_of(place.slot)).expect("retained trades have their window")
    }

    /// Adds up a window anew, and notes that it was touched.
    fn recount(&mut self, at: usize, touched: &mut Touched) {
        self.add_up(at);
        let start = self.base[at].start;
        if !touched.contains(&start) {
            touched.push(start);
        }
    }

    /// Adds up a window anew from its trades, after something other than one more trade changed it.
    fn add_up(&mut self, at: usize) {
        let quotes_make_bars = self.spec.price.is_quotes();
        let makes_bars = |retained: &RetainedTrade| quotes_make_bars == retained.order.id.is_quote();
        let window = &mut self.base[at];
        window.clear();
        for retained in self.retained.iter(window.slot) {
            window.add(
                &retained,
                makes_bars(&retained) && self.schedule.counts(retained.source, retained.order.ts),
            );
        }
        let start = window.start;
        self.suspect_window(start);
    }
}

fn is_price(price: Price) -> bool {
    0 < price.0 && price.0 < Price::LIMIT
}

fn is_time(ts: Nanos) -> bool {
    (Nanos(0)..TIME_LIMIT).contains(&ts)
}

/// True for a received time that can be, and for that of an entry of which nobody knows it.
fn is_received(received: Nanos) -> bool {
    received == Nanos::MIN || is_time(received)
}

/// Returns what is wrong with a quote's values. A side without a price has 0.
fn quote_fault(quote: &Quote) -> Option<RejectReason> {
    let is_side = |price: Price| price.0 == 0 || is_price(price);
    if !is_side(quote.bid) || !is_side(quote.ask) {
        Some(RejectReason::BadPrice)
    } else if quote.bid_size.0 < 0 || quote.ask_size.0 < 0 {
        Some(RejectReason::BadSize)
    } else {
        (!is_time(quote.ts) || !is_received(quote.received)).then_some(RejectReason::BadTime)
    }
}

/// Returns what is wrong with a bar's values.
fn venue_bar_fault(bar: &VenueBar) -> Option<RejectReason> {
    let prices = [bar.open, bar.high, bar.low, bar.close];
    let is_within = |price: Price| bar.low <= price && price <= bar.high;
    if !prices.into_iter().all(|price| is_price(price) && is_within(price))
        || !(bar.vwap.0 == 0 || is_price(bar.vwap))
    {
        Some(RejectReason::BadPrice)
    } else if bar.volume.0 < 0
        || i128::from(bar.vwap.0.max(bar.high.0)) * i128::from(bar.volume.0) >= NOTIONAL_LIMIT
    {
        Some(RejectReason::BadSize)
    } else {
        (!is_time(bar.start) || !is_received(bar.received)).then_some(RejectReason::BadTime)
    }
}

/// Returns what is wrong with a trade's values.
#[inline]
fn value_fault(trade: &Trade) -> Option<RejectReason> {
    if !is_price(trade.price) {
        Some(RejectReason::BadPrice)
    } else if trade.size.0 <= 0 || i128::from(trade.price.0) * i128::from(trade.size.0) >= NOTIONAL_LIMIT {
        Some(RejectReason::BadSize)
    } else if !is_time(trade.ts) || !is_received(trade.received) {
        Some(RejectReason::BadTime)
    } else {
        None
    }
}
