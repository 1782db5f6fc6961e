//! Rules of the user's own follow from trades and bars, too: what changed is noted while an entry is applied, and judged
//! once all of it is known.
//!
//! Promises: a symbol without rules for trades pays nothing for a trade. With such rules every trade that may set the price
//! is looked at, one that does is judged. What is found depends on the entries and their order alone.

use super::SymbolState;
use super::retained::RetainedTrade;
use crate::models::anomaly::AnomalyState;
use crate::models::bar::{Bar, SourceRank, TradeOrder};
use crate::models::detection::settings::DetectionSettings;
use crate::models::detection::{Published, Publisher};
use crate::models::effect::Effect;
use crate::models::indicators::{IndicatorSeries, IndicatorValues};
use crate::models::num::Price;
use crate::models::rules::{BarJudge, Fire, ReadRule, Row, RuledBar, Tick, TickJudge};
use crate::models::symbol::SymbolSpec;
use crate::models::time::{Nanos, Width};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::sync::Arc;

/// The rules of one width.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct WidthRules {
    bars: BarJudge,
    ticks: TickJudge,
    /// The width, by place.
    #[serde(skip)]
    track: usize,
}

/// What was found by rules, and what is needed to go on: all of it that a checkpoint holds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RulesFound {
    widths: Vec<WidthRules>,
    /// How many anomalies of the symbol were published when a rule was judged last.
    seq: u64,
    /// What is active of rules that are gone, and has to end.
    left: Vec<(Width, Box<Published>)>,
}

impl RulesFound {
    /// Returns how many anomalies of the symbol were published when a rule was judged last.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }
}

/// The rules that are about a symbol.
#[derive(Clone, Debug)]
pub struct SymbolRules {
    found: RulesFound,
    /// Trades are judged.
    has_ticks: bool,
    /// The trade of this entry that may set the price.
    trade: Option<TradeOrder>,
    /// Trades that were taken out.
    gone: SmallVec<[TradeOrder; 2]>,
}

impl SymbolRules {
    /// Takes up the rules that are about a symbol; `None` where there are none. They go on from what was found.
    pub fn new(
        looked_for: &DetectionSettings,
        all_widths: &[Width],
        spec: &SymbolSpec,
        found: Option<RulesFound>,
    ) -> Option<Box<SymbolRules>> {
        let RulesFound { widths: mut known, seq, mut left } = found.unwrap_or_default();
        let all = looked_for.rules.read(all_widths, all_widths[looked_for.track(all_widths)]);
        let mut widths = Vec::new();
        for (track, width) in all_widths.iter().enumerate() {
            let own = all.iter().filter(|rule| rule.width == *width && rule.is_about(spec)).cloned();
            let (closed, traded): (Vec<Arc<ReadRule>>, Vec<_>) =
                own.partition(|rule| rule.fire == Fire::BarClose);
            let before = known.iter().position(|known| known.bars.width() == *width);
            if before.is_none() && closed.is_empty() && traded.is_empty() {
                continue;
            }
            let mut rules = match before {
                Some(at) => known.swap_remove(at),
                None => WidthRules { bars: BarJudge::new(*width), ticks: TickJudge::default(), track },
            };
            rules.track = track;
            let is_left = rules.bars.begin(closed, &traded).into_iter().chain(rules.ticks.begin(traded));
            left.extend(is_left.map(|published| (*width, published)));
            if !rules.is_empty() {
                widths.push(rules);
            }
        }
        let has_ticks = widths.iter().any(|rules| !rules.ticks.is_empty());
        let is_wanted = !widths.is_empty() || !left.is_empty();
        let found = RulesFound { widths, seq, left };
        is_wanted.then(|| Box::new(SymbolRules { found, has_ticks, trade: None, gone: SmallVec::new() }))
    }

    /// Returns what was found.
    #[must_use]
    pub fn into_found(self) -> RulesFound {
        self.found
    }

    /// Returns what a checkpoint holds.
    #[must_use]
    pub const fn found(&self) -> &RulesFound {
        &self.found
    }

    /// Makes room for a source among the ranks of the others.
    pub fn make_room(&mut self, rank: SourceRank) {
        self.found.widths.iter_mut().for_each(|rules| rules.ticks.make_room(rank));
        if let Some(trade) = &mut self.trade {
            trade.make_room(rank);
        }
    }
}

impl WidthRules {
    fn is_empty(&self) -> bool {
        self.bars.is_empty() && self.ticks.is_empty()
    }
}

impl SymbolState {
    /// Has the rules that were taken up look at entries; so many anomalies were published before.
    pub(super) fn begin_rules(&mut self, seq: u64) {
        if let Some(rules) = &mut self.rules {
            rules.found.seq = seq;
        }
        self.heed_rules();
        // What is left of rules that are gone ends with the next entry.
        self.watch.is_waiting |= self.rules.as_ref().is_some_and(|rules| !rules.found.left.is_empty());
    }

    /// Has each trade looked at where rules judge trades. To be called after [`SymbolState::watch`] was made anew.
    #[inline]
    pub(super) fn heed_rules(&mut self) {
        if self.rules.as_ref().is_some_and(|rules| rules.has_ticks) {
            self.watch = self.watch.alert();
        }
    }

    /// Notes a trade that was added to a window, which may set the price.
    pub(super) fn note_trade(&mut self, retained: &RetainedTrade) {
        if let Some(rules) = self.rules.as_deref_mut().filter(|rules| rules.has_ticks)
            && retained.updates.open_close()
        {
            rules.trade = Some(retained.order);
            self.watch.is_waiting = true;
        }
    }

    /// Notes a trade that was taken out.
    pub(super) fn note_gone(&mut self, retained: &RetainedTrade) {
        if let Some(rules) = self.rules.as_deref_mut().filter(|rules| rules.has_ticks) {
            rules.gone.push(retained.order);
            self.watch.is_waiting = true;
        }
    }

    /// Notes a bar that was published.
    #[inline(never)]
    pub(super) fn note_ruled_bar(&mut self, track: usize, bar: &Bar, is_void: bool) {
        let Some(rules) = self.rules.as_deref_mut() else { return };
        let Some(rules) = rules.found.widths.iter_mut().find(|rules| rules.track == track) else { return };
        if is_void {
            rules.bars.remove(bar.start);
        } else {
            let cause = RuledBar { pos: self.pos, revision: bar.revision };
            rules.bars.upsert(bar.start, &Row::of_bar(bar, None, &self.spec), cause);
        }
        self.watch.is_waiting = true;
    }

    /// Publishes what the entry changed.
    #[inline(never)]
    pub(super) fn judge_rules(&mut self, effects: &mut Vec<Effect>) {
        let Some(mut rules) = self.rules.take() else { return };
        let SymbolRules { found: RulesFound { widths, seq, left }, trade, gone, .. } = &mut *rules;
        *seq = self.detection.as_ref().map_or(*seq, |detection| detection.seq().max(*seq));
        let newest = self.newest.map(|newest| newest.order);
        let trade = trade.take().filter(|order| newest == Some(*order));
        let (symbol, pos) = (self.symbol, self.pos);
        for (width, published) in left.drain(..) {
            let mut publisher = Publisher { symbol, width, pos, seq, effects };
            publisher.set_state(&mut Some(published), AnomalyState::Ended);
        }
        for WidthRules { bars, ticks, track } in widths {
            let mut publisher = Publisher { symbol, width: bars.width(), pos, seq, effects };
            let series = &self.tracks[*track].indicators;
            bars.judge(
                |start| closed_indicators(series, start).map(|values| Row::of_indicators(&values)),
                &mut publisher,
            );
            gone.iter().for_each(|order| ticks.withdraw(*order));
            let start = |order: TradeOrder| (order, bars.width().start_of(order.ts));
            if let Some((order, start)) = trade.filter(|_| !ticks.is_empty()).map(start)
                && let Some(figures) = self.figures(*track, start)
            {
                let close = figures.ohlc[3];
                let values =
                    ticks.takes_indicators().then(|| indicators_with(series, start, close)).flatten();
                let row = Row::new(&figures, values.as_ref(), &self.spec);
                ticks.judge(bars.samples(), &Tick { order, start, row: &row }, &mut publisher);
            }
            ticks.settle(&mut publisher);
        }
        gone.clear();
        if let Some(detection) = &mut self.detection {
            detection.set_seq(*seq);
        }
        self.rules = Some(rules);
    }

    /// Lets go of what is sealed up to a frontier.
    pub(super) fn seal_rules(&mut self, frontier: Nanos) {
        if let Some(rules) = self.rules.as_deref_mut() {
            for WidthRules { bars, ticks, .. } in &mut rules.found.widths {
                bars.seal(frontier);
                ticks.seal(frontier);
            }
        }
    }
}

/// Returns the indicators of a closed bar. While prices have never moved the RSI is a convention and no finding.
fn closed_indicators(series: &IndicatorSeries, start: Nanos) -> Option<IndicatorValues> {
    let at = series.index_of(start)?;
    let (_, _, values) = series.step(at);
    Some(IndicatorValues { rsi_14: series.moving_rsi(at), ..values })
}

/// Returns the indicators as they are with a bar that forms behind all others, or has closed by now.
fn indicators_with(series: &IndicatorSeries, start: Nanos, close: Price) -> Option<IndicatorValues> {
    match series.latest() {
        Some((newest, ..)) if newest >= start => closed_indicators(series, start),
        _ => Some(series.preview(close)),
    }
}
