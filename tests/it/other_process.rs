//! A state goes on in another process, which met the symbols and sources in another order and so numbers them otherwise.
//!
//! Bars, indicators and outcomes must be those of the plain run to the last bit, also where trades of two sources tie and
//! only the names of the sources tell which comes first.

use crate::oracle::histories::{bodies, settings_strategy, steps};
use crate::support::outcome::{Outcome, log};
use crate::support::shared;
use proptest::prelude::*;
use std::sync::Arc;
use tickwire::models::effect::{Effect, SealedBar};
use tickwire::models::entry::{
    Body, Cancel, Correction, Entry, Gap, Position, Quote, SourceId, Trade, VenueBar,
};
use tickwire::models::ledger::Ledger;
use tickwire::models::settings::CoreSettings;
use tickwire::models::state::SymbolState;
use tickwire::models::symbol::{SymbolId, SymbolSpec};
use tickwire::models::time::{Nanos, SECOND, Width};
use tickwire::names::Names;

/// The sources of every history here.
const SOURCES: [&str; 3] = ["polygon", "coinbase", "finage"];

/// The symbol whose state moves.
const SYMBOL: &str = "BTC-USD";

/// A process that has met names in an order of its own.
struct World {
    names: Arc<Names>,
    symbol: SymbolId,
    /// Ids of [`SOURCES`].
    sources: [SourceId; 3],
}

impl World {
    /// Meets symbols and sources in these orders; they may be more than the history speaks of.
    fn new(symbols: &[&str], sources: &[&str]) -> World {
        let names = Arc::<Names>::default();
        for name in symbols {
            names.symbols.intern(SymbolSpec::named(name));
        }
        for name in sources {
            names.sources.intern(name);
        }
        let symbol = names.symbols.intern(SymbolSpec::named(SYMBOL));
        let sources = SOURCES.map(|name| names.sources.intern(name));
        World { names, symbol, sources }
    }

    fn fresh(&self, settings: &Arc<CoreSettings>) -> SymbolState {
        let names = Arc::clone(&self.names);
        SymbolState::new(self.symbol, &SymbolSpec::named(SYMBOL), Arc::clone(settings), names)
    }

    fn decode(&self, bytes: &[u8], settings: &Arc<CoreSettings>) -> SymbolState {
        let names = Arc::clone(&self.names);
        SymbolState::decode(bytes, Arc::clone(settings), names).expect("made under these settings")
    }

    /// Returns the entry as it reads here. In a history sources are told by their places in [`SOURCES`].
    fn translate(&self, entry: &Entry) -> Entry {
        let symbol = if entry.symbol == SymbolId::NONE { SymbolId::NONE } else { self.symbol };
        let mut entry = Entry { symbol, ..*entry };
        let source = match &mut entry.body {
            Body::Trade(Trade { source, .. })
            | Body::Cancel(Cancel { source, .. })
            | Body::Correction(Correction { trade: Trade { source, .. }, .. })
            | Body::Quote(Quote { source, .. })
            | Body::VenueBar(VenueBar { source, .. })
            | Body::Gap(Gap { source, .. })
            | Body::SourceInCharge { source, .. }
            | Body::Symbol { source, .. }
            | Body::ClockMark { source, .. } => source,
            Body::Detection { .. } => return entry,
        };
        if *source != SourceId::ANY {
            *source = self.sources[usize::from(source.0)];
        }
        entry
    }
}

/// What came of a history, without anything that a process numbers.
#[derive(Debug, PartialEq)]
struct Result {
    digest: Vec<String>,
    seqs: Vec<(Position, u64)>,
    /// What was sealed when, and when it had been published last.
    sealed: Vec<(Position, Width, Nanos, Position)>,
    dead_letters: Vec<(Position, &'static str)>,
    ledger: Ledger,
    ledgers: Vec<(String, Ledger)>,
}

/// Runs a history in the first world, and from each border on in the next one.
fn run(entries: &[Entry], worlds: &[World], borders: &[usize], settings: &Arc<CoreSettings>) -> Result {
    let mut state = worlds[0].fresh(settings);
    let mut effects: Vec<Effect> = Vec::new();
    let mut from = 0;
    let ends = borders.iter().copied().chain([entries.len()]);
    for (at, end) in ends.enumerate() {
        let world = &worlds[at % worlds.len()];
        if at > 0 {
            state.pack();
            state = world.decode(&state.encode(), settings);
            assert_eq!(state.symbol(), world.symbol);
        }
        let part: Vec<Entry> = entries[from..end].iter().map(|entry| world.translate(entry)).collect();
        let said = effects.len();
        state.apply(&part, &mut effects);
        for effect in &effects[said..] {
            let symbol = match effect {
                Effect::Bar(bar) => bar.symbol,
                Effect::Indicators(point) => point.symbol,
                Effect::Anomaly(anomaly) => anomaly.symbol,
                Effect::DeadLetter(letter) => letter.symbol,
                Effect::Sealed(sealed) => sealed.bar.symbol,
            };
            assert_eq!(symbol, world.symbol, "{effect:?}");
        }
        from = end;
    }
    state.finish(&mut effects);
    let world = &worlds[borders.len() % worlds.len()];
    let mut outcome = Outcome::default();
    outcome.extend(&effects);
    let seq = |effect: &Effect| match effect {
        Effect::Bar(bar) => Some((bar.log_pos, bar.seq)),
        _ => None,
    };
    let sealed = |effect: &Effect| match effect {
        Effect::Sealed(SealedBar { bar, pos }) => Some((*pos, bar.width, bar.start, bar.log_pos)),
        _ => None,
    };
    let dead_letter = |effect: &Effect| match effect {
        Effect::DeadLetter(letter) => Some((letter.pos, letter.reason.as_str())),
        _ => None,
    };
    let by_name = |(source, ledger)| (world.names.sources.name(source), ledger);
    Result {
        digest: outcome.digest(),
        seqs: effects.iter().filter_map(seq).collect(),
        sealed: effects.iter().filter_map(sealed).collect(),
        dead_letters: effects.iter().filter_map(dead_letter).collect(),
        ledger: state.ledger(),
        ledgers: state.ledgers().into_iter().map(by_name).collect(),
    }
}

/// Worlds of which each numbers otherwise than the one before.
fn worlds() -> [World; 3] {
    [
        World::new(&[SYMBOL, "ETH-USD"], &SOURCES),
        World::new(&["AAPL", "ETH-USD", "MSFT"], &["kraken", "finage", "polygon", "coinbase"]),
        World::new(&["ETH-USD"], &["coinbase", "finage"]),
    ]
}

/// Real trades, of which each of three sources tells a part; what all tell of, they tell at other prices.
fn entries_of_real_trades() -> Option<Vec<Entry>> {
    let by_symbol = shared::trades("crypto_coinbase_btcusd_20230905_trades.csv.gz")?;
    let trades = by_symbol.into_values().next().expect("the file has trades");
    let mut bodies = Vec::new();
    for (at, trade) in (0_u16..).zip(trades.into_iter().take(12_000)) {
        let of = |source: u16, raise: i64| {
            let mut trade = Trade { source: SourceId(source), ..trade };
            trade.price.0 += raise;
            Body::Trade(trade)
        };
        bodies.push(of(at % 3, 0));
        if at % 5 == 0 {
            bodies.push(of((at + 1) % 3, 10_000_000));
        }
        if at % 400 == 399 {
            let (source, ts) = (SourceId(at / 400 % 3), trade.ts);
            bodies.push(Body::Gap(Gap { source, from: ts, to: ts.plus(7 * SECOND), filled: false }));
            bodies.push(Body::ClockMark { source, time: ts });
        }
        if at % 3_000 == 2_999 {
            bodies.push(Body::SourceInCharge { source: SourceId(at / 3_000 % 3), from: trade.ts });
        }
    }
    Some(log(bodies))
}

#[test]
fn a_state_goes_on_where_symbols_and_sources_have_other_numbers() {
    let Some(entries) = entries_of_real_trades() else { return };
    let settings = Arc::new(CoreSettings { tells_seals: true, ..CoreSettings::default() });
    let plain = run(&entries, &worlds()[..1], &[], &settings);
    assert!(plain.digest.len() > 20 && plain.ledger.filtered > 0 && plain.ledger.residue() == 0);
    assert!(plain.sealed.len() > 20);
    let borders: Vec<usize> = (1..12).map(|part| part * entries.len() / 12).collect();
    assert_eq!(run(&entries, &worlds(), &borders, &settings), plain);
}

proptest! {
    #[test]
    fn the_order_in_which_names_are_met_changes_nothing(
        steps in steps(),
        settings in settings_strategy(),
        met in Just(vec!["kraken", "polygon", "coinbase", "finage"]).prop_shuffle(),
        splits in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let entries = log(bodies(&steps, &settings));
        let mut borders: Vec<usize> = splits.iter().map(|split| split.index(entries.len())).collect();
        borders.sort_unstable();
        let plain = run(&entries, &worlds()[..1], &[], &settings);
        let other = World::new(&["ETH-USD"], &met);
        prop_assert_eq!(&run(&entries, std::slice::from_ref(&other), &[], &settings), &plain);
        let [one, _, last] = worlds();
        prop_assert_eq!(&run(&entries, &[one, other, last], &borders, &settings), &plain);
    }
}
