//! What a simulated trade costs: the measured pipeline pays for it, too.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use tickwire::actors::ingest::simulated::{
    History, HistorySettings, InjectedFaults, Market, MarketSettings, SimulatedSymbol, initial_price,
    symbol_names,
};
use tickwire::models::entry::{Entry, SourceId};
use tickwire::models::settings::CoreSettings;
use tickwire::models::symbol::SymbolId;
use tickwire::models::time::{Nanos, SECOND};
use tickwire::testkit::Scenario;

const BATCH: usize = 1_024;

fn settings(num_symbols: usize) -> MarketSettings {
    let names = symbol_names(num_symbols);
    let symbols = (0..).map(SymbolId).zip(&names);
    let symbols =
        symbols.map(|(id, name)| SimulatedSymbol { id, initial_price: initial_price(name) }).collect();
    let start = Nanos(1_793_628_000 * SECOND);
    MarketSettings { rate_per_second: 1_000_000.0, ..MarketSettings::new(symbols, SourceId(0), start) }
}

fn simulator(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("simulator");
    group.throughput(Throughput::Elements(BATCH as u64));
    for num_symbols in [5, 1_000, 10_000] {
        let mut market = Market::new(&settings(num_symbols));
        let mut entries: Vec<Entry> = Vec::with_capacity(BATCH);
        group.bench_function(format!("market of {num_symbols}"), |bencher| {
            bencher.iter(|| {
                entries.clear();
                market.fill(Nanos::MAX, BATCH, &mut entries);
                black_box(entries.len())
            });
        });
    }
    let market = MarketSettings { rate_per_second: 1_000.0, ..settings(5) };
    let mut scenario =
        Scenario::new(&market, &InjectedFaults::everything(), CoreSettings::default(), usize::MAX);
    let mut entries: Vec<Entry> = Vec::with_capacity(BATCH);
    group.bench_function("scenario with all misbehaviour", |bencher| {
        bencher.iter(|| {
            entries.clear();
            scenario.next_batch(BATCH, &mut entries);
            black_box(entries.len())
        });
    });
    group.finish();

    let mut group = criterion.benchmark_group("history");
    group.sample_size(10);
    for num_symbols in [5, 1_000] {
        let market = settings(num_symbols);
        let past = HistorySettings::warm_up(&CoreSettings::default().widths, 100_000);
        group.bench_function(format!("warm-up of {num_symbols}"), |bencher| {
            bencher.iter(|| {
                let history = History::new(&market, &past);
                let mut num_entries = 0;
                for (place, symbol) in market.symbols.iter().enumerate() {
                    entries.clear();
                    history.append(place, symbol.initial_price, market.start, &mut entries);
                    num_entries += entries.len();
                }
                black_box(num_entries)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, simulator);
criterion_main!(benches);
