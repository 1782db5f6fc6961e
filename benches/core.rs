//! What a trade costs the core, and what a checkpoint does.
//!
//! Run with `cargo bench --bench core`. The trades stand in memory, so this leaves out parsing, actors and stores.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use tickwire::models::detection::settings::DetectionSettings;
use tickwire::models::effect::Effect;
use tickwire::models::entry::{Body, Entry, SourceId, Trade, TradeId, Updates};
use tickwire::models::names::Interner;
use tickwire::models::num::{Price, Size};
use tickwire::models::rules::{Fire, Rule};
use tickwire::models::settings::CoreSettings;
use tickwire::models::state::SymbolState;
use tickwire::models::symbol::{SymbolId, SymbolSpec};
use tickwire::models::time::{Nanos, SECOND};
use tickwire::names::Names;

const NUM_TRADES: u64 = 200_000;
const SPAN: i64 = 7_200 * SECOND;
/// On a quarter of an hour, so that windows of every width begin with the trades.
const BEGIN: i64 = 1_700_000_100 * SECOND;
/// Entries handed over at once, as a shard does for its busiest symbols.
const BATCH: usize = 256;

/// How far the trades' times are from the order in which they arrive.
#[derive(Clone, Copy)]
enum Arrival {
    /// In order.
    Clean,
    /// A fifth is up to 2 s late, one in a thousand up to 8 s.
    Jittered,
}

/// Spreads the bits of a counter: the same trades every time, without a generator's state.
const fn mixed(n: u64) -> u64 {
    let mut x = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

fn behind(n: u64, arrival: Arrival) -> i64 {
    let draw = mixed(n);
    let most = match (arrival, draw % 1_000) {
        (Arrival::Jittered, 0) => 8_000,
        (Arrival::Jittered, 1..200) => 2_000,
        (Arrival::Clean | Arrival::Jittered, _) => return 0,
    };
    ((draw >> 32) % most) as i64 * 1_000_000
}

fn trades(num_symbols: u64, arrival: Arrival) -> Vec<Entry> {
    let entry = |n: u64| {
        let arrived = BEGIN + n as i64 * (SPAN / NUM_TRADES as i64);
        let draw = mixed(n ^ 0x5555);
        let trade = Trade {
            ts: Nanos((arrived - behind(n, arrival)).max(BEGIN)),
            received: Nanos::MIN,
            // Within 2 %, as in a market: trades beyond the limits of detection are seldom.
            price: Price(100_000_000_000 + (draw >> 50) as i64 * 100_000),
            size: Size(((draw >> 30) % 500 + 1) as i64 * 100_000_000),
            seq: 0,
            id: TradeId::number(n),
            source: SourceId(0),
            updates: Updates::ALL,
        };
        Entry {
            pos: n + 1,
            symbol: SymbolId((mixed(n) >> 40) as u32 % num_symbols as u32),
            body: Body::Trade(trade),
        }
    };
    (0..NUM_TRADES).map(entry).collect()
}

/// Names of a process with the one source that there is.
fn names() -> Arc<dyn Interner> {
    let names = Names::default();
    names.symbols.intern(SymbolSpec::named("TEST"));
    names.sources.intern("file");
    Arc::new(names)
}

/// What is looked for.
#[derive(Clone, Copy)]
enum LookedFor {
    Nothing,
    /// As by default.
    Usual,
    /// That, and a rule.
    Rule(&'static str, Fire),
}

/// A rule on closed bars, and one on trades.
const CLOSED: LookedFor = LookedFor::Rule("rsi_14 < 25 or volume > 3 * avg(volume, 20)", Fire::BarClose);
const TRADED: LookedFor = LookedFor::Rule("pct_change(15min) < -3", Fire::Tick);

fn detection(looked_for: LookedFor) -> Option<DetectionSettings> {
    let rules = match looked_for {
        LookedFor::Nothing => return None,
        LookedFor::Usual => Vec::new(),
        LookedFor::Rule(when, fire) => {
            vec![Rule { name: "rule".to_owned(), when: when.to_owned(), fire, ..Rule::default() }]
        }
    };
    Some(DetectionSettings { rules: rules.into(), ..DetectionSettings::default() })
}

fn states(num_symbols: u64, looked_for: LookedFor) -> Vec<SymbolState> {
    let detection = detection(looked_for);
    let settings = Arc::new(CoreSettings { detection, ..CoreSettings::default() });
    let names = names();
    let state = |at| {
        let (settings, names) = (Arc::clone(&settings), Arc::clone(&names));
        SymbolState::new(SymbolId(at), &SymbolSpec::named("TEST"), settings, names)
    };
    (0..num_symbols as u32).map(state).collect()
}

/// Sorts the entries by symbol, a batch at a time, as a router would. With many symbols there are few trades to a bar,
/// so that closing bars is most of the work.
fn sorted(entries: &[Entry], num_symbols: u64) -> Vec<Vec<Entry>> {
    let batches = entries.chunks(BATCH * num_symbols as usize).flat_map(|chunk| {
        let mut parts = vec![Vec::new(); num_symbols as usize];
        chunk.iter().for_each(|entry| parts[entry.symbol.index()].push(*entry));
        parts
    });
    batches.filter(|part| !part.is_empty()).collect()
}

fn apply_all(mut states: Vec<SymbolState>, batches: &[Vec<Entry>]) -> (Vec<SymbolState>, usize) {
    let (mut effects, mut num_effects) = (Vec::<Effect>::new(), 0);
    for batch in batches {
        states[batch[0].symbol.index()].apply(batch, &mut effects);
        num_effects += effects.len();
        effects.clear();
    }
    (states, num_effects)
}

fn apply(c: &mut Criterion) {
    let mut group = c.benchmark_group("core");
    group
        .throughput(Throughput::Elements(NUM_TRADES))
        .sample_size(20)
        .measurement_time(Duration::from_secs(4));
    for (name, num_symbols, arrival, looked_for) in [
        ("apply, one symbol, in order", 1, Arrival::Clean, LookedFor::Usual),
        ("apply, one symbol, jittered", 1, Arrival::Jittered, LookedFor::Usual),
        ("apply, one symbol, jittered, without detection", 1, Arrival::Jittered, LookedFor::Nothing),
        ("apply, 1,000 symbols, jittered", 1_000, Arrival::Jittered, LookedFor::Usual),
        ("apply, 1,000 symbols, jittered, without detection", 1_000, Arrival::Jittered, LookedFor::Nothing),
        ("apply, one symbol, jittered, a rule on closed bars", 1, Arrival::Jittered, CLOSED),
        ("apply, one symbol, jittered, a rule on trades", 1, Arrival::Jittered, TRADED),
        ("apply, 1,000 symbols, jittered, a rule on closed bars", 1_000, Arrival::Jittered, CLOSED),
    ] {
        let batches = sorted(&trades(num_symbols, arrival), num_symbols);
        group.bench_function(name, |b| {
            let fresh = || states(num_symbols, looked_for);
            b.iter_batched(fresh, |states| apply_all(states, &batches), BatchSize::PerIteration);
        });
    }
    group.finish();
}

fn recovery_point(c: &mut Criterion) {
    let batches = sorted(&trades(1, Arrival::Jittered), 1);
    let (states, _) = apply_all(states(1, LookedFor::Usual), &batches);
    let state = states.into_iter().next().expect("there is one symbol");
    let bytes = state.encode();
    let (settings, names) = (Arc::new(CoreSettings::default()), names());
    let mut group = c.benchmark_group("checkpoint");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("encode", |b| b.iter(|| black_box(&state).encode()));
    group.bench_function("decode", |b| {
        b.iter(|| {
            let (settings, names) = (Arc::clone(&settings), Arc::clone(&names));
            SymbolState::decode(black_box(&bytes), settings, names).expect("made under these settings")
        });
    });
    group.finish();
}

criterion_group!(benches, apply, recovery_point);
criterion_main!(benches);
