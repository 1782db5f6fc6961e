//! The judge of the model: what became of every report, and what was published of every window.
//!
//! It walks the list once, since what is late depends on what was known when it came, but derives everything else from
//! scratch at each step: the clock from all entries so far, the bars from all reports so far.

use super::bars::{self, ModelBar};
use super::clock::{self, Clock, EventTime};
use super::indicators;
use crate::support::outcome::Window;
use std::collections::BTreeMap;
use tickwire::models::bar::BarState;
use tickwire::models::effect::DeadReason;
use tickwire::models::entry::{
    Body, Cancel, Correction, Entry, Position, Quote, SourceId, Trade, TradeId, VenueBar,
};
use tickwire::models::indicators::IndicatorValues;
use tickwire::models::ledger::{Ledger, RejectReason};
use tickwire::models::num::{NOTIONAL_LIMIT, Price, Scale};
use tickwire::models::settings::CoreSettings;
use tickwire::models::time::{Nanos, Width};

/// Who reported a trade, and under which id.
type Identity = (SourceId, TradeId);

/// What became of a report, where that is no question of bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// A retained trade: whether it counts, its marks and the bars say.
    Retained,
    Cancelled,
    /// A cancel that waits for its trade, or waited in vain.
    NoTrade,
    Late,
    Duplicate,
    Rejected(RejectReason),
}

/// One trade, cancel or correction.
#[derive(Clone, Copy, Debug)]
struct Report {
    pos: Position,
    outcome: Outcome,
    /// The trade it reports; a cancel reports none. A correction's stands under the id it is retained under.
    trade: Option<Trade>,
    /// What a cancel takes out.
    target: Option<Identity>,
    /// The time that says when it is sealed.
    ts: Nanos,
    /// A cancel that came dated far ahead is judged once this is sealed.
    judged_at: Option<Nanos>,
    /// An explicit cancel took it out.
    cancelled: bool,
    /// A correction took its place.
    replaced: bool,
    in_charge: bool,
    sealed: bool,
}

impl Report {
    fn identity(&self) -> Option<Identity> {
        self.trade.map(|trade| (trade.source, trade.id))
    }

    /// True for a retained trade that is still found by its identity.
    fn is_known(&self) -> bool {
        self.outcome == Outcome::Retained && !self.sealed
    }
}

/// What was last published of a window.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// `None` when cancels emptied it.
    pub bar: Option<ModelBar>,
    pub state: BarState,
    pub revision: u32,
    pub coverage: f64,
    /// The entry that changed it last.
    pub log_pos: Position,
}

/// The model of one symbol with default scales.
pub struct Model {
    settings: CoreSettings,
    entries: Vec<Entry>,
    /// What each entry contributes to the clock.
    event_times: Vec<Option<EventTime>>,
    clock: Clock,
    reports: Vec<Report>,
    /// What was corrected, and what stands for it.
    corrections: Vec<(Identity, Identity)>,
    /// The greatest that the venue gave of each window.
    venue_bars: BTreeMap<Window, VenueBar>,
    /// The entry that brought the first bar of each window.
    venue_bars_at: BTreeMap<Window, Position>,
    pub published: BTreeMap<Window, Published>,
    /// Position and reason of everything set aside, in the order it was.
    pub dead_letters: Vec<(Position, DeadReason)>,
    num_conflicts: u64,
}

/// Returns what is wrong with a trade's numbers.
fn fault(trade: &Trade) -> Option<RejectReason> {
    if trade.price.0 <= 0 || trade.price.0 >= Price::LIMIT {
        return Some(RejectReason::BadPrice);
    }
    let notional = i128::from(trade.price.0) * i128::from(trade.size.0);
    if trade.size.0 <= 0 || notional >= NOTIONAL_LIMIT {
        return Some(RejectReason::BadSize);
    }
    (!is_time(trade.ts, trade.received)).then_some(RejectReason::BadTime)
}

/// True for times that an entry can have: after the epoch, before 2116, and received then or nobody knows when.
fn is_time(ts: Nanos, received: Nanos) -> bool {
    let can_be = |time: Nanos| (0..1 << 62).contains(&time.0);
    can_be(ts) && (received == Nanos::MIN || can_be(received))
}

impl Model {
    pub fn new(settings: &CoreSettings) -> Model {
        Model {
            settings: settings.clone(),
            entries: Vec::new(),
            event_times: Vec::new(),
            clock: clock::after(&[], &[], settings),
            reports: Vec::new(),
            corrections: Vec::new(),
            venue_bars: BTreeMap::new(),
            venue_bars_at: BTreeMap::new(),
            published: BTreeMap::new(),
            dead_letters: Vec::new(),
            num_conflicts: 0,
        }
    }

    /// Takes in one entry.
    pub fn step(&mut self, entry: Entry) {
        let before = self.bars();
        match entry.body {
            Body::Trade(trade) => self.trade(entry.pos, trade, None),
            Body::Correction(correction) => self.correction(entry.pos, correction),
            Body::Cancel(cancel) => self.cancel(entry.pos, cancel),
            Body::VenueBar(bar) => self.venue_bar(entry.pos, bar),
            Body::Quote(quote) => self.quote(entry.pos, quote),
            Body::Gap(_)
            | Body::SourceInCharge { .. }
            | Body::Symbol { .. }
            | Body::Detection { .. }
            | Body::ClockMark { .. } => {}
        }
        self.entries.push(entry);
        self.judge_sources();
        self.event_times.push(self.event_time(entry));
        self.amend(entry, &before);
        self.clock = clock::after(&self.entries, &self.event_times, &self.settings);
        self.close(self.clock.watermark, entry.pos);
        self.seal();
    }

    /// Ends the input: every window closes.
    pub fn finish(&mut self, pos: Position) {
        self.close(Nanos::MAX, pos);
    }

    /// Returns what an entry that was judged contributes to the clock.
    fn event_time(&self, entry: Entry) -> Option<EventTime> {
        let handovers = clock::handovers(&self.entries);
        let in_charge = |source: SourceId, ts: Nanos| {
            handovers.range(..=ts).next_back().is_none_or(|(_, current)| *current == source)
        };
        match entry.body {
            Body::Trade(trade) | Body::Correction(Correction { trade, .. }) => {
                let retained =
                    |report: &Report| report.pos == entry.pos && report.outcome == Outcome::Retained;
                let counts = self.reports.iter().any(retained) && in_charge(trade.source, trade.ts);
                counts.then_some((trade.ts, trade.received))
            }
            Body::VenueBar(bar) => {
                // A repeat of a bar is no second witness of its time.
                let window = bar.width().map(|width| (width, bar.start));
                let first = window.is_some_and(|window| self.venue_bars_at.get(&window) == Some(&entry.pos));
                (first && in_charge(bar.source, bar.start)).then_some((bar.start, bar.received))
            }
            Body::Quote(quote) => {
                let kept = !self.dead_letters.iter().any(|(pos, _)| *pos == entry.pos);
                (kept && in_charge(quote.source, quote.ts)).then_some((quote.ts, quote.received))
            }
            Body::Cancel(_)
            | Body::Gap(_)
            | Body::SourceInCharge { .. }
            | Body::Symbol { .. }
            | Body::Detection { .. }
            | Body::ClockMark { .. } => None,
        }
    }

    fn is_sealed(&self, ts: Nanos) -> bool {
        let base = self.settings.base();
        base.start_of(ts).plus(base.nanos()) <= self.clock.frontier
    }

    fn report(&mut self, pos: Position, ts: Nanos, outcome: Outcome) -> &mut Report {
        match outcome {
            Outcome::Late => self.dead_letters.push((pos, DeadReason::Late)),
            Outcome::Rejected(reason) => self.dead_letters.push((pos, DeadReason::Rejected(reason))),
            _ => {}
        }
        self.reports.push(Report {
            pos,
            outcome,
            trade: None,
            target: None,
            ts,
            judged_at: None,
            cancelled: false,
            replaced: false,
            in_charge: true,
            sealed: false,
        });
        self.reports.last_mut().expect("just pushed")
    }

    /// Judges a trade, or the trade of a correction of `target`.
    fn trade(&mut self, pos: Position, trade: Trade, target: Option<Identity>) {
        if let Some(reason) = fault(&trade) {
            self.report(pos, trade.ts, Outcome::Rejected(reason));
            return;
        }
        if self.is_sealed(trade.ts) {
            self.report(pos, trade.ts, Outcome::Late);
            return;
        }
        let identity = Some((trade.source, trade.id));
        if let Some(at) =
            self.reports.iter().position(|known| known.is_known() && known.identity() == identity)
        {
            self.repeat(at, pos, trade, target);
            return;
        }
        let report = self.report(pos, trade.ts, Outcome::Retained);
        report.trade = Some(trade);
        self.correct(target, trade);
        self.link();
    }

    /// Notes that a trade stands for another one.
    fn correct(&mut self, target: Option<Identity>, by: Trade) {
        if let Some(target) = target {
            self.corrections.push((target, (by.source, by.id)));
        }
    }

    /// Judges a report of a trade that is known: the same again, or another version of it.
    fn repeat(&mut self, at: usize, pos: Position, trade: Trade, target: Option<Identity>) {
        let rank = |trade: &Trade| (trade.seq, trade.ts, trade.price, trade.size, trade.updates.bits());
        let known = self.reports[at];
        let old = known.trade.expect("what has an identity has a trade");
        if rank(&old) != rank(&trade) {
            self.num_conflicts += 1;
        }
        let wins = rank(&old) < rank(&trade);
        if wins {
            self.reports[at].outcome = Outcome::Duplicate;
        }
        let report = self.report(pos, trade.ts, if wins { Outcome::Retained } else { Outcome::Duplicate });
        if wins {
            report.trade = Some(trade);
            (report.cancelled, report.replaced) = (known.cancelled, known.replaced);
        }
        self.correct(target, trade);
        self.link();
    }

    fn correction(&mut self, pos: Position, correction: Correction) {
        let Correction { target, mut trade } = correction;
        if trade.id == target {
            trade.id = target.corrected();
        }
        self.trade(pos, trade, Some((trade.source, target)));
    }

    fn cancel(&mut self, pos: Position, cancel: Cancel) {
        if !is_time(cancel.ts, cancel.received) {
            self.report(pos, cancel.ts, Outcome::Rejected(RejectReason::BadTime));
            return;
        }
        let target = (cancel.source, cancel.target);
        let waits = |other: &Report| {
            other.outcome == Outcome::NoTrade && !other.sealed && other.target == Some(target)
        };
        let outcome = match self.known(target) {
            Some(known) if known.cancelled => Outcome::Duplicate,
            None if self.reports.iter().any(waits) => Outcome::Duplicate,
            None if self.is_sealed(cancel.ts) => Outcome::Rejected(RejectReason::NoTrade),
            // Until what it names is found, which may be at once.
            _ => Outcome::NoTrade,
        };
        let far = self.clock.now.plus(self.settings.horizon);
        let report = self.report(pos, cancel.ts, outcome);
        report.target = Some(target);
        report.judged_at = (cancel.ts > far).then_some(far);
        self.link();
    }

    /// Returns the retained trade of this identity, if it is not sealed.
    fn known(&self, identity: Identity) -> Option<&Report> {
        self.reports.iter().find(|report| report.is_known() && report.identity() == Some(identity))
    }

    /// Lets cancels and corrections act on what they name, whichever came first, until nothing more follows.
    fn link(&mut self) {
        let mut replaced = Vec::new();
        for &(target, by) in &self.corrections {
            if self.known(by).is_some() {
                replaced.push(target);
            }
        }
        let mut cancelled = Vec::new();
        for report in &mut self.reports {
            let waits = report.outcome == Outcome::NoTrade && !report.sealed;
            cancelled.extend(report.target.filter(|_| waits));
            cancelled.extend(report.identity().filter(|_| report.is_known() && report.cancelled));
        }
        // A cancel of a trade holds for its corrections, for theirs, and so on.
        loop {
            let follows = |&&(target, by): &&(Identity, Identity)| {
                cancelled.contains(&target) && !cancelled.contains(&by) && self.known(by).is_some()
            };
            let Some(&(_, by)) = self.corrections.iter().find(follows) else { break };
            cancelled.push(by);
        }
        for at in 0..self.reports.len() {
            let report = &mut self.reports[at];
            if let Some(identity) = report.identity().filter(|_| report.is_known()) {
                report.replaced |= replaced.contains(&identity);
                report.cancelled |= cancelled.contains(&identity);
            }
        }
        for at in 0..self.reports.len() {
            let report = self.reports[at];
            let waits = report.outcome == Outcome::NoTrade && !report.sealed;
            if waits && report.target.is_some_and(|target| self.known(target).is_some()) {
                self.reports[at].outcome = Outcome::Cancelled;
            }
        }
    }

    fn quote(&mut self, pos: Position, quote: Quote) {
        let sides = [(quote.bid, quote.bid_size), (quote.ask, quote.ask_size)];
        let reason = if sides.iter().any(|(price, _)| !(0..Price::LIMIT).contains(&price.0)) {
            RejectReason::BadPrice
        } else if sides.iter().any(|(_, size)| size.0 < 0) {
            RejectReason::BadSize
        } else if !is_time(quote.ts, quote.received) {
            RejectReason::BadTime
        } else {
            return;
        };
        self.dead_letters.push((pos, DeadReason::Rejected(reason)));
    }

    fn venue_bar(&mut self, pos: Position, bar: VenueBar) {
        let rejected = |reason| Some(DeadReason::Rejected(reason));
        let prices = [bar.open, bar.high, bar.low, bar.close];
        let notional = i128::from(bar.high.0) * i128::from(bar.volume.0);
        let width = bar.width().filter(|width| self.settings.widths.contains(width));
        let width = width.filter(|width| width.start_of(bar.start) == bar.start);
        let reason = if width.is_none() {
            rejected(RejectReason::UnknownWidth)
        } else if prices.iter().any(|price| price.0 <= 0 || price.0 >= Price::LIMIT)
            || prices.iter().max() != Some(&bar.high)
            || prices.iter().min() != Some(&bar.low)
            || !(0..Price::LIMIT).contains(&bar.vwap.0)
        {
            rejected(RejectReason::BadPrice)
        } else if bar.volume.0 < 0 || notional >= NOTIONAL_LIMIT {
            rejected(RejectReason::BadSize)
        } else if !is_time(bar.start, bar.received) {
            rejected(RejectReason::BadTime)
        } else if width.is_some_and(|width| bar.start.plus(width.nanos()) <= self.clock.frontier) {
            Some(DeadReason::Late)
        } else {
            None
        };
        match (reason, width) {
            (None, Some(width)) => {
                let window = (width, bar.start);
                self.venue_bars_at.entry(window).or_insert(pos);
                let rank = |bar: &VenueBar| {
                    (bar.trade_count, bar.volume, bar.high, bar.low, bar.open, bar.close, bar.vwap)
                };
                let known = self.venue_bars.entry(window).or_insert(bar);
                if rank(known) < rank(&bar) {
                    *known = bar;
                }
            }
            (reason, _) => self.dead_letters.extend(reason.map(|reason| (pos, reason))),
        }
    }

    /// Judges again whose source is in charge, as far as nothing is sealed.
    fn judge_sources(&mut self) {
        let handovers = clock::handovers(&self.entries);
        for report in self.reports.iter_mut().filter(|report| !report.sealed) {
            if let Some(trade) = report.trade {
                let handover = handovers.range(..=trade.ts).next_back();
                report.in_charge = handover.is_none_or(|(_, source)| *source == trade.source);
            }
        }
    }

    /// Returns the trades that may count.
    fn standing(&self) -> Vec<Trade> {
        let stands = |report: &&Report| {
            report.outcome == Outcome::Retained && !report.cancelled && !report.replaced && report.in_charge
        };
        self.reports.iter().filter(stands).filter_map(|report| report.trade).collect()
    }

    fn bars(&self) -> BTreeMap<Window, ModelBar> {
        bars::all(&self.standing(), &self.venue_bars, &self.settings)
    }

    /// Revises the closed windows that the last entry changed.
    fn amend(&mut self, entry: Entry, before: &BTreeMap<Window, ModelBar>) {
        let after = self.bars();
        let mut windows: Vec<Window> = before.keys().chain(after.keys()).copied().collect();
        windows.sort();
        windows.dedup();
        for window in windows {
            let (width, start) = window;
            let end = start.plus(width.nanos());
            if end > self.clock.watermark || end <= self.clock.frontier {
                continue;
            }
            let bar = after.get(&window);
            let known = self.published.get(&window);
            let coverage = self.coverage(start, width, bar);
            let covers_anew =
                bar.is_some() && known.is_some_and(|known| known.coverage.to_bits() != coverage.to_bits());
            if bar == before.get(&window) && !covers_anew {
                continue;
            }
            let published = Published {
                bar: bar.cloned(),
                state: if bar.is_some() { BarState::Amended } else { BarState::Void },
                revision: known.map_or(0, |known| known.revision) + 1,
                coverage,
                log_pos: entry.pos,
            };
            self.published.insert(window, published);
        }
    }

    /// Returns the share of the window in which the source in charge was whole: none where only a venue's bar fills it.
    fn coverage(&self, start: Nanos, width: Width, bar: Option<&ModelBar>) -> f64 {
        if bar.is_some_and(|bar| bar.is_filled) { 0.0 } else { clock::coverage(&self.entries, start, width) }
    }

    /// Publishes the bars of windows that end by then.
    fn close(&mut self, by: Nanos, pos: Position) {
        for ((width, start), bar) in self.bars() {
            let closes = start.plus(width.nanos()) <= by;
            if closes && !self.published.contains_key(&(width, start)) {
                let coverage = self.coverage(start, width, Some(&bar));
                let published = Published {
                    bar: Some(bar),
                    state: BarState::Closed,
                    revision: 0,
                    coverage,
                    log_pos: pos,
                };
                self.published.insert((width, start), published);
            }
        }
    }

    /// Forgets the identities of what is sealed; cancels that still wait then waited in vain.
    fn seal(&mut self) {
        for at in 0..self.reports.len() {
            let report = self.reports[at];
            let is_judged = report.judged_at.is_some_and(|judged_at| self.is_sealed(judged_at));
            if is_judged {
                self.reports[at].judged_at = None;
            }
            let far = self.clock.now.plus(self.settings.horizon);
            let is_given_up = is_judged && report.outcome == Outcome::NoTrade && report.ts > far;
            if report.sealed || !(is_given_up || self.is_sealed(report.ts)) {
                continue;
            }
            self.reports[at].sealed = true;
            if report.outcome == Outcome::NoTrade {
                self.dead_letters.push((report.pos, DeadReason::Rejected(RejectReason::NoTrade)));
            }
        }
        let corrections = std::mem::take(&mut self.corrections);
        self.corrections = corrections.into_iter().filter(|(_, by)| self.known(*by).is_some()).collect();
    }

    /// Counts the outcomes of all reports so far.
    pub fn ledger(&self) -> Ledger {
        let mut ledger = Ledger { conflicts: self.num_conflicts, ..Ledger::default() };
        let standing = self.standing();
        let bars = self.bars();
        for report in &self.reports {
            ledger.received += 1;
            match report.outcome {
                Outcome::Retained if report.cancelled || report.replaced => ledger.cancelled += 1,
                Outcome::Retained if self.is_in_a_bar(report, &standing, &bars) => ledger.in_bars += 1,
                Outcome::Retained => ledger.filtered += 1,
                Outcome::Cancelled => ledger.cancelled += 1,
                Outcome::NoTrade => ledger.reject(RejectReason::NoTrade),
                Outcome::Late => ledger.late += 1,
                Outcome::Duplicate => ledger.duplicate += 1,
                Outcome::Rejected(reason) => ledger.reject(reason),
            }
        }
        ledger
    }

    fn is_in_a_bar(&self, report: &Report, standing: &[Trade], bars: &BTreeMap<Window, ModelBar>) -> bool {
        let Some(trade) = report.trade else { return false };
        let base = self.settings.base();
        let in_window =
            |width: &Width| bars.get(&(*width, width.start_of(trade.ts))).is_some_and(|bar| !bar.is_filled);
        report.in_charge
            && trade.updates.bits() != 0
            && !bars::is_venues(standing, &self.venue_bars, base.start_of(trade.ts), base)
            && self.settings.widths.iter().any(in_window)
    }

    /// Computes the indicators of every closed bar.
    pub fn indicators(&self) -> BTreeMap<Window, IndicatorValues> {
        let mut values = BTreeMap::new();
        for &width in &self.settings.widths {
            let mut closes = Vec::new();
            for (window, published) in self.published.iter().filter(|(window, _)| window.0 == width) {
                if let Some(bar) = &published.bar {
                    closes.push(Scale::PRICE.to_f64(bar.ohlc[3].0));
                    values.insert(*window, indicators::after(&closes));
                }
            }
        }
        values
    }
}
