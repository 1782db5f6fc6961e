//! Anomalies follow from trades and bars: what changed is noted while an entry is applied, and judged once all of it is known.
//!
//! Promises: a trade costs three comparisons while prices are usual, and looks at the detectors' own memory only after one
//! that was not; what is found does not depend on which clock marks were worth delivering, nor on where batches end. Without
//! detection nothing is kept.

use super::SymbolState;
use super::retained::RetainedTrade;
use super::rules::{RulesFound, SymbolRules};
use super::window::BaseWindow;
use crate::models::bar::{Bar, BarSum, SourceRank, TradeOrder};
use crate::models::detection::settings::{DetectionSettings, Thresholds};
use crate::models::detection::{BarDetector, BarFigures, PriceDetector, Publisher, Suspect};
use crate::models::effect::Effect;
use crate::models::num::Price;
use crate::models::symbol::SymbolSpec;
use crate::models::time::{Nanos, Width};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// What each entry is looked at for, beside the state that it changes, so that usual ones touch nothing else.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    /// Prices in an open window that are usual without doubt; none while something was unusual of late.
    low: i64,
    high: i64,
    /// Something was noted that is to be judged.
    pub is_waiting: bool,
    /// The width whose bars are judged, by place; [`usize::MAX`] for none.
    track: usize,
    /// Once all before this is sealed, bars that were judged are let go of.
    lets_go_at: Nanos,
}

impl Watch {
    /// Everything is usual.
    pub const OFF: Watch =
        Watch { low: i64::MIN, high: i64::MAX, is_waiting: false, track: usize::MAX, lets_go_at: Nanos::MAX };

    /// Returns the same, with every trade looked at.
    #[must_use]
    pub const fn alert(self) -> Watch {
        Watch { low: i64::MAX, high: i64::MIN, ..self }
    }

    /// True while something was unusual of late, or rules judge trades.
    const fn is_alert(&self) -> bool {
        self.low > self.high
    }

    /// True for a price in an open window that changes nothing.
    #[inline]
    #[must_use]
    pub const fn is_usual(&self, price: Price) -> bool {
        self.low <= price.0 && price.0 <= self.high
    }
}

/// What was found, and what is needed to go on: all of it that a checkpoint holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Found {
    bars: BarDetector,
    prices: PriceDetector,
    /// How many anomalies were published.
    seq: u64,
}

/// The detectors of a symbol.
#[derive(Clone, Debug)]
pub struct Detection {
    thresholds: Thresholds,
    /// The width whose bars are judged, by place.
    track: usize,
    found: Found,
    /// Windows with new trades that may be unusual.
    suspects: SmallVec<[Suspect; 2]>,
}

impl Detection {
    /// Makes the detectors of a symbol, unless nothing is looked for. They go on from what was found, where that was of
    /// bars of the same width.
    #[must_use]
    pub fn new(
        looked_for: &DetectionSettings,
        widths: &[Width],
        spec: &SymbolSpec,
        found: Option<Found>,
    ) -> Option<Box<Detection>> {
        let thresholds = looked_for.of(spec);
        if !thresholds.enabled {
            return None;
        }
        let track = looked_for.track(widths);
        let width = widths[track];
        let mut found = found.filter(|found| found.bars.width() == width).unwrap_or_else(|| Found {
            bars: BarDetector::new(width),
            prices: PriceDetector::default(),
            seq: 0,
        });
        found.bars.begin(&thresholds);
        Some(Box::new(Detection { thresholds, track, found, suspects: SmallVec::new() }))
    }

    /// Returns what a checkpoint holds.
    #[must_use]
    pub const fn found(&self) -> &Found {
        &self.found
    }

    /// Returns how many anomalies were published.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.found.seq
    }

    /// Notes how many anomalies were published, those of rules among them.
    pub const fn set_seq(&mut self, seq: u64) {
        self.found.seq = seq;
    }

    /// Makes room for a source among the ranks of the others.
    pub fn make_room(&mut self, rank: SourceRank) {
        self.found.prices.make_room(rank);
    }

    /// True where something was noted that is to be judged.
    fn is_waiting(&self) -> bool {
        !self.suspects.is_empty() || !self.found.bars.is_judged()
    }

    /// Returns what entries are to be looked at for.
    #[must_use]
    pub fn watch(&self) -> Watch {
        let Detection { track, found: Found { bars, prices, .. }, .. } = self;
        let (low, high) = if prices.is_calm() { bars.inner_band() } else { (i64::MAX, i64::MIN) };
        Watch { low, high, is_waiting: false, track: *track, lets_go_at: bars.lets_go_at() }
    }
}

impl SymbolState {
    /// Takes up what is looked for in the symbol as it is defined now.
    pub(super) fn renew_detection(&mut self) {
        let found = self.detection.take().map(|detection| detection.found);
        let rules = self.rules.take().map(|rules| rules.into_found());
        self.reset_detection(found, rules);
    }

    /// Takes up what is looked for, going on from what was found. Where nothing is looked for that is let go of, but for how many
    /// anomalies were published: their numbers only grow.
    pub(super) fn reset_detection(&mut self, found: Option<Found>, rules: Option<RulesFound>) {
        let (of_detection, of_rules) =
            (found.as_ref().map(|found| found.seq), rules.as_ref().map(RulesFound::seq));
        let seq = of_detection.max(of_rules).unwrap_or_default().max(self.idle_seq);
        let looked_for = self.looked_for();
        let detection =
            looked_for.and_then(|of| Detection::new(of, &self.settings.widths, &self.spec, found));
        let rules = looked_for.and_then(|of| SymbolRules::new(of, &self.settings.widths, &self.spec, rules));
        (self.detection, self.rules) = (detection, rules);
        self.watch = self.detection.as_ref().map_or(Watch::OFF, |detection| detection.watch());
        self.begin_rules(seq);
        if let Some(detection) = &mut self.detection {
            detection.set_seq(seq);
        }
        self.idle_seq = if self.detection.is_none() && self.rules.is_none() { seq } else { 0 };
    }

    /// Notes a trade that was added to a window and may be unusual, or is to be judged by rules.
    #[inline(never)]
    pub(super) fn suspect(&mut self, start: Nanos, retained: &RetainedTrade) {
        self.note_trade(retained);
        if !retained.updates.high_low() {
            return;
        }
        let trade = (retained.order, retained.price);
        let Some(detection) = &mut self.detection else { return };
        let Found { bars, prices, .. } = &mut detection.found;
        let is_judged_by_others = bars.newest_end() > start;
        let band = bars.newest_band(&detection.thresholds.price);
        if is_judged_by_others || !prices.is_settled(start, band, trade) {
            detection.suspects.push(Suspect { start, trade: Some(trade) });
            self.watch.is_waiting = true;
        }
    }

    /// Notes a window that was added up anew.
    pub(super) fn suspect_window(&mut self, start: Nanos) {
        if let Some(detection) = &mut self.detection {
            detection.suspects.push(Suspect { start, trade: None });
            self.watch.is_waiting = true;
        }
    }

    /// Notes a bar that was published: one that closed or was amended, or one that became void.
    #[inline]
    pub(super) fn note_bar(&mut self, track: usize, bar: &Bar, is_void: bool) {
        if track == self.watch.track {
            self.note_judged_bar(bar.start, bar.close, bar.volume, bar.revision, is_void);
        }
        if self.rules.is_some() {
            self.note_ruled_bar(track, bar, is_void);
        }
    }

    /// Takes what is judged of a bar apart from the rest, which would have to be copied into memory.
    #[inline]
    fn note_judged_bar(&mut self, start: Nanos, close: Price, volume: i128, revision: u32, is_void: bool) {
        if let Some(Detection { found: Found { bars, .. }, .. }) = self.detection.as_deref_mut() {
            if is_void {
                bars.remove(start);
            } else {
                bars.upsert(BarFigures { start, close, volume, pos: self.pos, revision });
            }
            self.watch.is_waiting = true;
        }
    }

    /// Publishes what the entry changed. Once an entry, before anything of it is sealed.
    #[inline]
    pub(super) fn settle_anomalies(&mut self, effects: &mut Vec<Effect>) {
        if self.watch.is_waiting {
            self.judge_anomalies(effects);
        }
    }

    #[inline(never)]
    fn judge_anomalies(&mut self, effects: &mut Vec<Effect>) {
        self.watch.is_waiting = false;
        if !self.judge_usual_bar() {
            self.judge_all(effects);
        }
        if self.rules.is_some() {
            self.judge_rules(effects);
            self.heed_rules();
        }
    }

    /// Judges what is nearly always all there is: one new bar, in which nothing is unusual. Returns false for anything else, of
    /// which nothing has been published then.
    fn judge_usual_bar(&mut self) -> bool {
        let Some(detection) = self.detection.as_deref_mut() else { return false };
        let Detection { thresholds, track, found: Found { bars, prices, .. }, suspects } = detection;
        let Some(start) = bars.only_new().filter(|_| suspects.is_empty() && prices.is_calm()) else {
            return false;
        };
        let rsi = self.tracks[*track].indicators.newest_moving_rsi(start);
        if !bars.judge_usual(thresholds, rsi) {
            return false;
        }
        // Prices in the windows after it are judged by its close, too.
        let (end, (low, high)) = (bars.newest_end(), bars.inner_band());
        for at in (0..self.base.len()).rev() {
            let window = &self.base[at];
            if window.start < end {
                break;
            }
            if !is_within(window, low, high) {
                return false;
            }
        }
        bars.note_judged();
        let lets_go_at = bars.lets_go_at();
        self.watch = Watch { low, high, is_waiting: false, track: *track, lets_go_at };
        true
    }

    #[inline(never)]
    fn judge_all(&mut self, effects: &mut Vec<Effect>) {
        let Some(mut detection) = self.detection.take_if(|detection| detection.is_waiting()) else { return };
        let Detection { thresholds, track, found: Found { bars, prices, seq }, suspects } = &mut *detection;
        let series = &self.tracks[*track].indicators;
        let rsi = |start: Nanos| series.index_of(start).and_then(|at| series.moving_rsi(at));
        let width = bars.width();
        let mut publisher = Publisher { symbol: self.symbol, width, pos: self.pos, seq, effects };
        let new_closes = bars.judge(thresholds, rsi, &mut publisher);
        let mut from = Nanos::MAX;
        if let Some(end) = new_closes {
            // Mostly the newest one only.
            for window in self.base.iter().rev().take_while(|window| window.start >= end) {
                let band = bars.price_band(window.start, &thresholds.price);
                if prices.has(window.start) || !is_within(window, band.low, band.high) {
                    prices.look_through(window.start, &band, self.spikeable(window), self.pos);
                    from = from.min(window.start);
                }
            }
        }
        for Suspect { start, trade } in suspects.drain(..) {
            let band = bars.price_band(start, &thresholds.price);
            match trade {
                Some(trade) => prices.add(start, &band, trade, self.pos),
                None => {
                    let Some(at) = self.window_at(start) else { continue };
                    let window = &self.base[at];
                    if prices.has(start) || !is_within(window, band.low, band.high) {
                        prices.look_through(start, &band, self.spikeable(window), self.pos);
                    }
                }
            }
            from = from.min(start);
        }
        if !prices.is_calm() {
            // What is published again is judged by the thresholds of today, whatever they were when it was found.
            let band = |start| bars.price_band(start, &thresholds.price);
            for start in prices.judged_by_others(from, band) {
                let Some(at) = self.window_at(start) else { continue };
                prices.look_through(start, &band(start), self.spikeable(&self.base[at]), self.pos);
            }
            let before = |start: Nanos| {
                let at = self.base.partition_point(|window| window.start < start);
                let close = |window: &BaseWindow| Some((window.start, close_of(&window.sum)?));
                self.base.range(..at).rev().find_map(close)
            };
            prices.settle(from, thresholds, before, &mut publisher);
        }
        self.watch = detection.watch();
        self.detection = Some(detection);
    }

    /// Returns the trades of a window that set its highest and lowest price.
    fn spikeable<'a>(&'a self, window: &BaseWindow) -> impl Iterator<Item = (TradeOrder, Price)> + 'a {
        let counts = |retained: &RetainedTrade| {
            retained.flags.stands() && retained.updates.high_low() && self.counts(retained)
        };
        let trades = self.retained.iter(window.slot).filter(counts);
        trades.map(|retained| (retained.order, retained.price))
    }

    /// Lets go of what a sealed window was looked at for.
    #[inline]
    pub(super) fn seal_prices(&mut self, window: &BaseWindow) {
        if self.watch.is_alert()
            && let Some(detection) = &mut self.detection
        {
            detection.found.prices.seal(window.start, close_of(&window.sum));
        }
    }

    /// Lets go of what bars that are sealed up to a frontier were looked at for.
    #[inline]
    pub(super) fn seal_judged(&mut self, frontier: Nanos) {
        let is_alert = self.watch.is_alert();
        if (is_alert || self.watch.lets_go_at <= frontier)
            && let Some(detection) = &mut self.detection
        {
            let bars = &mut detection.found.bars;
            bars.seal(frontier);
            if is_alert {
                self.watch = Watch { is_waiting: self.watch.is_waiting, ..detection.watch() };
            } else {
                self.watch.lets_go_at = bars.lets_go_at();
            }
        }
        if self.rules.is_some() {
            self.seal_rules(frontier);
            self.heed_rules();
        }
    }
}

/// True where every price of a window that could be a spike is within limits.
fn is_within(window: &BaseWindow, low: i64, high: i64) -> bool {
    let (lowest, highest) = window.sum.extremes();
    lowest > highest || (low <= lowest.0 && highest.0 <= high)
}

/// Returns the last price of the trades in a window.
fn close_of(sum: &BarSum) -> Option<Price> {
    sum.ohlc().map(|[.., close]| close)
}
