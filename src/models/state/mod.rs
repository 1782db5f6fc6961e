//! The core: everything that is known about one symbol, and how an entry of the log changes it.
//!
//! Promises: the state and the effects follow from the entries and their order alone, whatever batches they come in;
//! trades within the horizon may come in any order and more than once, and end in the same bars to the last bit.
//! Nothing is allocated per trade but the room that keeps it.
//!
//! An entry is applied whole before the next: first it changes its window, then the bars that had closed already are
//! amended, then the watermark moves, closing and sealing windows.

mod bars;
mod checkpoint;
mod clock;
mod corrections;
mod counts;
mod definition;
mod detection;
mod health;
mod intake;
mod outcomes;
mod packed;
mod pending_cancels;
mod retained;
mod rows;
mod rules;
mod snapshot;
mod sources;
mod stated;
#[cfg(test)]
mod tests;
mod trades;
mod window;

use super::bar::{Bar, TradeOrder};
use super::effect::{DeadReason, Effect};
use super::entry::{Body, Entry, Position, SourceId, TradeId};
use super::indicators::IndicatorSeries;
use super::ledger::RejectReason;
use super::names::Interner;
use super::num::Price;
use super::settings::CoreSettings;
use super::snapshot::LastTrade;
use super::symbol::{SymbolDefinition, SymbolId, SymbolSpec};
use super::time::{Nanos, Width};
use clock::EventClock;
use corrections::Corrections;
use detection::{Detection, Watch};
use health::{Gaps, SourceSchedule};
use outcomes::Outcomes;
use pending_cancels::PendingCancels;
use rules::SymbolRules;
use serde::{Deserialize, Serialize, Serializer};
use smallvec::SmallVec;
use sources::LocalSource;
use stated::Stated;
use std::collections::VecDeque;
use std::sync::Arc;
use trades::RetainedTrades;
use window::{BaseWindow, LargerWindow};

pub use checkpoint::CheckpointError;
pub use outcomes::SourceLedger;

/// One width of windows.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Track {
    width: Width,
    /// Unsealed windows by start; empty in the track of the smallest width, whose windows are [`BaseWindow`]s.
    larger: VecDeque<LargerWindow>,
    indicators: IndicatorSeries,
    /// Counts closed, amended and void bars.
    seq: u64,
    /// The newest bar that is not void. Without its symbol in a checkpoint, which says once by name whose state it is.
    #[serde(serialize_with = "without_symbol")]
    newest: Option<Bar>,
}

fn without_symbol<S: Serializer>(bar: &Option<Bar>, serializer: S) -> Result<S::Ok, S::Error> {
    bar.map(|bar| Bar { symbol: SymbolId::NONE, ..bar }).serialize(serializer)
}

/// The newest trade that may set a price, and where it stands.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Newest {
    order: TradeOrder,
    trade: LastTrade,
    /// The last price of the UTC day before, else the first price seen.
    reference: Price,
}

type Identity = (LocalSource, TradeId);

/// Starts of the smallest windows that an entry touched.
type Touched = SmallVec<[Nanos; 2]>;

/// Everything that is known about one symbol.
#[derive(Clone, Debug)]
pub struct SymbolState {
    symbol: SymbolId,
    spec: SymbolSpec,
    /// What its log said last that it is, and was taken in.
    definition: Option<SymbolDefinition>,
    settings: Arc<CoreSettings>,
    names: Arc<dyn Interner>,
    pos: Position,
    clock: EventClock,
    schedule: SourceSchedule,
    gaps: Gaps,
    retained: RetainedTrades,
    /// Unsealed windows of the smallest width, by start.
    base: VecDeque<BaseWindow>,
    /// One a width, ascending.
    tracks: Vec<Track>,
    pending_cancels: PendingCancels,
    corrections: Corrections,
    outcomes: Outcomes,
    accepted: u64,
    /// Cancels that count, since this state was made: whoever applies an entry sees by it what the entry was.
    cancels: u64,
    newest: Option<Newest>,
    /// Windows that end at or before this take no entries any more.
    sealed_until: Nanos,
    /// The clock's time at which something is to be done.
    due: Nanos,
    /// What trades are looked at for.
    watch: Watch,
    detection: Option<Box<Detection>>,
    /// How many anomalies were published, while nothing is looked for; else those who look know it.
    idle_seq: u64,
    /// What the log said last is looked for; `None` where it said nothing, and the settings hold.
    stated: Option<Stated>,
    rules: Option<Box<SymbolRules>>,
}

impl SymbolState {
    /// Makes the state of a symbol that nothing is known about. `names` are those of the process that gave the symbol and
    /// all sources their ids.
    #[must_use]
    pub fn new(
        symbol: SymbolId,
        spec: &SymbolSpec,
        settings: Arc<CoreSettings>,
        names: Arc<dyn Interner>,
    ) -> SymbolState {
        let track = |&width| Track {
            width,
            larger: VecDeque::new(),
            indicators: IndicatorSeries::new(spec.price_scale),
            seq: 0,
            newest: None,
        };
        let mut state = SymbolState {
            symbol,
            spec: spec.clone(),
            definition: None,
            pos: 0,
            clock: EventClock::NEW,
            schedule: SourceSchedule::default(),
            gaps: Gaps::default(),
            retained: RetainedTrades::default(),
            base: VecDeque::new(),
            tracks: settings.widths.iter().map(track).collect(),
            pending_cancels: PendingCancels::default(),
            corrections: Corrections::default(),
            outcomes: Outcomes::default(),
            accepted: 0,
            cancels: 0,
            newest: None,
            sealed_until: Nanos::MIN,
            due: Nanos::MAX,
            watch: Watch::OFF,
            detection: None,
            idle_seq: 0,
            stated: None,
            rules: None,
            settings,
            names,
        };
        state.renew_detection();
        state
    }

    /// Applies entries of this symbol and broadcasts, in log order, and appends what follows to `effects`.
    /// Entries at or before [`SymbolState::pos`] are known already and are skipped.
    pub fn apply(&mut self, entries: &[Entry], effects: &mut Vec<Effect>) {
        for entry in entries {
            if entry.pos > self.pos {
                self.pos = entry.pos;
                self.apply_body(&entry.body, effects);
            }
        }
    }

    fn apply_body(&mut self, body: &Body, effects: &mut Vec<Effect>) {
        let speaks_first = !body.is_broadcast() && self.schedule.primary().is_none();
        if speaks_first || matches!(body, Body::Gap(_) | Body::SourceInCharge { .. }) {
            // What the watermark has sealed stays so, whatever becomes known of the sources.
            self.seal(effects);
        }
        if speaks_first {
            self.schedule.observe(body.source());
        }
        match body {
            Body::Trade(trade) => self.trade(trade, effects),
            Body::Cancel(cancel) => self.cancel(cancel, effects),
            Body::Correction(correction) => self.correction(correction, effects),
            Body::Quote(quote) => self.quote(quote, effects),
            Body::VenueBar(bar) => self.venue_bar(bar, effects),
            Body::Gap(gap) => {
                self.gaps.apply(gap);
                self.amend_all(effects);
                self.reschedule();
            }
            Body::SourceInCharge { source, from } => self.hand_over(*source, *from, effects),
            Body::Symbol { definition, .. } => self.define(body, definition, effects),
            Body::Detection { document, .. } => self.look_for(*document),
            Body::ClockMark { source, time } => {
                if *source == SourceId::ANY || Some(*source) == self.schedule.primary() {
                    self.clock.mark(*time);
                }
            }
        }
        if self.clock.now() >= self.due {
            self.advance(effects);
        } else {
            self.settle_anomalies(effects);
        }
    }

    /// Sets an entry aside that must not be applied: it is counted and goes to the dead letters.
    pub fn set_aside_poison(&mut self, entry: &Entry, effects: &mut Vec<Effect>) {
        if entry.pos <= self.pos {
            return;
        }
        self.pos = entry.pos;
        let reason = RejectReason::Poison;
        if entry.body.is_report() {
            let local = self.local(entry.body.source()).unwrap_or(0);
            let ledger = self.outcomes.of(local);
            ledger.received += 1;
            ledger.reject(reason);
        }
        self.set_aside(DeadReason::Rejected(reason), entry.body, effects);
    }

    /// Closes every open window, as the end of a bounded input does. Entries may not follow.
    pub fn finish(&mut self, effects: &mut Vec<Effect>) {
        self.close_until(Nanos::MAX, effects);
        self.settle_anomalies(effects);
        self.tell_rest_sealed(effects);
    }

    /// Packs what will hardly change any more. Changes nothing that can be seen; costs some 20 ns for each trade of the
    /// windows that closed since the last time, so it is not for the path of a tick.
    pub fn pack(&mut self) {
        for window in self.base.iter().filter(|window| window.lifecycle.closed) {
            self.retained.pack(window.slot);
        }
    }

    /// Returns the clock's time at which windows close or seal: a clock mark below it changes nothing but the clock.
    #[must_use]
    pub const fn next_due(&self) -> Nanos {
        self.due
    }

    /// Returns the last entry it knows.
    #[must_use]
    pub const fn pos(&self) -> Position {
        self.pos
    }

    /// Returns what is fixed about the symbol, as the state knows it.
    #[must_use]
    pub const fn spec(&self) -> &SymbolSpec {
        &self.spec
    }

    /// Returns the number of accepted trades: those that were neither repeats nor set aside.
    #[must_use]
    pub const fn num_accepted(&self) -> u64 {
        self.accepted
    }

    /// Returns the number of cancels that took a trade out, or wait for one, since this state was made.
    #[must_use]
    pub const fn num_cancels(&self) -> u64 {
        self.cancels
    }

    /// Returns the number of trades that it keeps, which is what its encoding grows with.
    #[must_use]
    pub fn num_retained(&self) -> usize {
        self.retained.len()
    }

    /// Returns whose state it is.
    #[must_use]
    pub const fn symbol(&self) -> SymbolId {
        self.symbol
    }

    /// Returns the source's place in the symbol's list, or `None` when there are too many.
    #[inline]
    fn local(&mut self, source: SourceId) -> Option<LocalSource> {
        self.retained.sources().find(source).or_else(|| self.add_source(source))
    }

    /// Takes a source up. What is ordered by the names of sources makes room for its name.
    #[cold]
    fn add_source(&mut self, source: SourceId) -> Option<LocalSource> {
        let (local, rank) = self.retained.sources_mut().add(source, self.names.source_name(source))?;
        self.base.iter_mut().for_each(|window| window.sum.make_room(rank));
        let larger = self.tracks.iter_mut().flat_map(|track| &mut track.larger);
        larger.for_each(|window| window.sealed.make_room(rank));
        if let Some(newest) = &mut self.newest {
            newest.order.make_room(rank);
        }
        if let Some(detection) = &mut self.detection {
            detection.make_room(rank);
        }
        if let Some(rules) = &mut self.rules {
            rules.make_room(rank);
        }
        Some(local)
    }

    fn watermark(&self) -> Nanos {
        self.clock.watermark(&self.settings)
    }

    /// True when the window takes no entries any more. Seals what is due first, so that the answer does not depend on
    /// which clock marks were worth delivering.
    fn is_sealed(&mut self, window_end: Nanos, effects: &mut Vec<Effect>) -> bool {
        if window_end > self.sealed_until && window_end.plus(self.settings.horizon) <= self.watermark() {
            self.seal(effects);
        }
        window_end <= self.sealed_until
    }
}
