//! Trials: what one rule would have found in data that is stored.
//!
//! Promises: pure. Over bars it finds what the core found when they closed, since the same judge looks at the same bars and
//! indicators. Over trades the core itself applies them, behind the stored bars before them; its indicators of bars after
//! these are worked out anew, and nearly agree where [`WARM_UP`] bars are given, since an average forgets how it began. What
//! was withdrawn is left out. Nothing here fails: without data nothing is found.

use super::bar::Bar;
use super::detection::settings::{DetectionSettings, Thresholds};
use super::detection::{Detected, Publisher};
use super::effect::Effect;
use super::entry::{Body, Entry, Position, SourceId, VenueBar};
use super::indicators::IndicatorValues;
use super::names::Interner;
use super::num::{Price, Scale, Size};
use super::rules::{BarJudge, ReadRule, Row, Rule, RuledBar};
use super::settings::CoreSettings;
use super::state::SymbolState;
use super::symbol::{SymbolId, SymbolSpec};
use super::time::Nanos;
use crate::models::anomaly::AnomalyState;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Bars before the trades from which indicators are as good as from all.
pub const WARM_UP: usize = 300;

/// A stored bar with the indicators after it.
#[derive(Clone, Copy, Debug)]
pub struct TrialBar {
    /// The bar.
    pub bar: Bar,
    /// The indicators, where they are stored.
    pub indicators: Option<IndicatorValues>,
}

/// The rule, and whose data it is tried on.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The rule as it is written.
    pub rule: Rule,
    /// The rule as it was read.
    pub read: Arc<ReadRule>,
    /// The symbol.
    pub symbol: SymbolId,
    /// What is fixed about it.
    pub spec: SymbolSpec,
}

impl Trial {
    /// Tries the rule on bars of its width, in order.
    #[must_use]
    pub fn over_bars(&self, bars: &[TrialBar]) -> Vec<Detected> {
        let Trial { read, symbol, spec, .. } = self;
        let mut judge = BarJudge::new(read.width);
        judge.begin(vec![Arc::clone(read)], &[]);
        let mut has_moved = false;
        for TrialBar { bar, indicators } in bars {
            has_moved |= bars.first().is_some_and(|first| first.bar.close != bar.close);
            // Of prices that have never moved the stored RSI is 0 by convention, and no finding.
            let moving = |rsi: &f64| has_moved || *rsi != 0.0;
            let indicators =
                indicators.map(|values| IndicatorValues { rsi_14: values.rsi_14.filter(moving), ..values });
            let cause = RuledBar { pos: bar.log_pos, revision: bar.revision };
            judge.upsert(bar.start, &Row::of_bar(bar, indicators.as_ref(), spec), cause);
        }
        let (mut seq, mut effects) = (0, Vec::new());
        let (width, pos) = (read.width, 0);
        let mut publisher = Publisher { symbol: *symbol, width, pos, seq: &mut seq, effects: &mut effects };
        judge.judge(|_| None, &mut publisher);
        standing(&effects)
    }

    /// Tries the rule on reports of trades in the order of the log, behind bars of its width that end before them. `core` has
    /// the settings of the service.
    #[must_use]
    pub fn over_trades(
        &self,
        bars: &[TrialBar],
        trades: &[Entry],
        core: &CoreSettings,
        names: Arc<dyn Interner>,
    ) -> Vec<Detected> {
        let source = trades.first().map_or(SourceId::default(), |entry| entry.body.source());
        let before = bars.iter().map(|bar| Body::VenueBar(given(&bar.bar, &self.spec, source)));
        let num_before = before.len() as Position;
        let entry = |(pos, body)| Entry { pos, symbol: self.symbol, body };
        let entries: Vec<Entry> =
            (1..).zip(before.chain(trades.iter().map(|entry| entry.body))).map(entry).collect();
        let rule = Rule { window: Some(self.read.width), ..self.rule.clone() };
        let thresholds = Thresholds { enabled: false, ..Thresholds::default() };
        let detection =
            DetectionSettings { thresholds, rules: vec![rule].into(), ..DetectionSettings::default() };
        let settings = CoreSettings {
            widths: vec![self.read.width],
            detection: Some(detection),
            tells_seals: false,
            ..core.clone()
        };
        let mut state = SymbolState::new(self.symbol, &self.spec, Arc::new(settings), names);
        let mut effects = Vec::new();
        state.apply(&entries, &mut effects);
        let place = |pos: Position| {
            let at = pos.checked_sub(num_before + 1).and_then(|at| usize::try_from(at).ok());
            at.and_then(|at| trades.get(at)).map_or(0, |entry| entry.pos)
        };
        let mut found = standing(&effects);
        for one in &mut found {
            one.finding.cause.pos = place(one.finding.cause.pos);
            one.log_pos = place(one.log_pos);
        }
        found
    }
}

/// Returns what was published last of each anomaly that was not withdrawn, by time.
fn standing(effects: &[Effect]) -> Vec<Detected> {
    let mut all: BTreeMap<Nanos, Detected> = BTreeMap::new();
    for effect in effects {
        if let Effect::Anomaly(one) = effect {
            all.insert(one.finding.time, *one);
        }
    }
    all.into_values().filter(|one| one.state != AnomalyState::Withdrawn).collect()
}

/// Makes a stored bar one that is given to the core.
fn given(bar: &Bar, spec: &SymbolSpec, source: SourceId) -> VenueBar {
    let vwap = bar.vwap.map_or(0.0, |vwap| Scale::VWAP.to_f64(vwap) * spec.price_scale.factor() as f64);
    VenueBar {
        start: bar.start,
        received: bar.end(),
        open: bar.open,
        high: bar.high,
        low: bar.low,
        close: bar.close,
        volume: Size(i64::try_from(bar.volume).unwrap_or(i64::MAX)),
        vwap: Price(vwap.round() as i64),
        trade_count: u32::try_from(bar.trade_count).unwrap_or(u32::MAX),
        width_ms: u32::try_from(bar.width.nanos() / 1_000_000).unwrap_or(0),
        source,
    }
}
