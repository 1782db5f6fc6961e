//! Running the core over a list of entries, and what stands at the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use tickwire::models::bar::{Bar, BarState};
use tickwire::models::effect::{Effect, IndicatorPoint};
use tickwire::models::entry::{Body, Entry, Position};
use tickwire::models::indicators::IndicatorValues;
use tickwire::models::ledger::Ledger;
use tickwire::models::settings::CoreSettings;
use tickwire::models::state::SymbolState;
use tickwire::models::symbol::{SymbolId, SymbolSpec};
use tickwire::models::time::{Nanos, Width};
use tickwire::names::Names;

/// The symbol of every test that has only one.
pub const SYMBOL: SymbolId = SymbolId(0);

/// Names a window: its width, then its start.
pub type Window = (Width, Nanos);

/// What was last said about every window, void bars left out, and the ledger.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The last version of each bar.
    pub bars: BTreeMap<Window, Bar>,
    /// The last version of the indicators of each bar.
    pub indicators: BTreeMap<Window, IndicatorPoint>,
    /// Outcomes of all reports.
    pub ledger: Ledger,
}

impl Outcome {
    /// Takes in effects in their order.
    pub fn extend(&mut self, effects: &[Effect]) {
        for effect in effects {
            match *effect {
                Effect::Bar(bar) if bar.state == BarState::Void => {
                    self.bars.remove(&(bar.width, bar.start));
                    self.indicators.remove(&(bar.width, bar.start));
                }
                Effect::Bar(bar) => {
                    self.bars.insert((bar.width, bar.start), bar);
                }
                Effect::Indicators(point) => {
                    self.indicators.insert((point.width, point.start), point);
                }
                Effect::Anomaly(_) | Effect::DeadLetter(_) | Effect::Sealed(_) => {}
            }
        }
    }

    /// Returns what the digest of a run covers, bit for bit: bars and indicators without state, revision or coverage.
    pub fn digest(&self) -> Vec<String> {
        let bars = self.bars.values().map(|bar| {
            let Bar { width, start, open, high, low, close, volume, vwap, trade_count, .. } = *bar;
            format!("{width} {} {open:?} {high:?} {low:?} {close:?} {volume} {vwap:?} {trade_count}", start.0)
        });
        let indicators = self.indicators.values().map(|point| {
            let values = named(&point.values).map(|(_, value)| value.map(f64::to_bits));
            format!("{} {} {:?} {:?} {values:x?}", point.width, point.start.0, point.close, point.vwap)
        });
        bars.chain(indicators).collect()
    }
}

/// Returns the values with their names.
pub fn named(values: &IndicatorValues) -> [(&'static str, Option<f64>); 12] {
    let values = values.in_order();
    std::array::from_fn(|at| (IndicatorValues::NAMES[at], values[at]))
}

/// Gives the bodies positions from 1 on, as a log would.
pub fn log(bodies: impl IntoIterator<Item = Body>) -> Vec<Entry> {
    let entry = |(pos, body): (Position, Body)| Entry {
        pos,
        symbol: if body.is_broadcast() { SymbolId::NONE } else { SYMBOL },
        body,
    };
    (1..).zip(bodies).map(entry).collect()
}

/// Names of the sources with the ids 0, 1, ...: in the order of the ids, as a model without names has them.
const SOURCES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// Makes the names of a process that knows [`SYMBOL`] and eight sources.
pub fn names() -> Arc<Names> {
    let names = Arc::<Names>::default();
    names.symbols.intern(SymbolSpec::named("TEST"));
    for name in SOURCES {
        names.sources.intern(name);
    }
    names
}

/// Makes the core of [`SYMBOL`] with default scales.
pub fn core(settings: &Arc<CoreSettings>) -> SymbolState {
    SymbolState::new(SYMBOL, &SymbolSpec::named("TEST"), Arc::clone(settings), names())
}

/// Applies everything at once and ends the input.
pub fn run(entries: &[Entry], settings: &Arc<CoreSettings>) -> Outcome {
    let mut state = core(settings);
    let mut effects = Vec::new();
    state.apply(entries, &mut effects);
    state.finish(&mut effects);
    let mut outcome = Outcome { ledger: state.ledger(), ..Outcome::default() };
    outcome.extend(&effects);
    outcome
}
