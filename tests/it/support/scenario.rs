//! A bad day at the simulated venue, as entries and as a file.

use std::fmt::Write;
use std::path::Path;
use tickwire::actors::ingest::simulated::{
    InjectedFaults, MarketSettings, SimulatedSymbol, initial_price, symbol_names,
};
use tickwire::models::entry::{Body, Entry, SourceId};
use tickwire::models::num::Scale;
use tickwire::models::settings::CoreSettings;
use tickwire::models::symbol::SymbolId;
use tickwire::models::time::{Nanos, SECOND};
use tickwire::testkit::Scenario;

/// 2026-11-02, a Monday, in the middle of a minute.
const START: Nanos = Nanos(1_793_628_000 * SECOND + 17_000_000_000);

/// What arrives on a day with every fault, in order of arrival; symbol `n` is the `n`th of [`symbol_names`].
pub fn bad_day(num_symbols: u32, rate_per_second: f64, num_trades: usize, seed: u64) -> Vec<Entry> {
    println!("seed {seed}");
    let names = symbol_names(num_symbols as usize);
    let symbols = (0..).map(SymbolId).zip(&names);
    let symbols =
        symbols.map(|(id, name)| SimulatedSymbol { id, initial_price: initial_price(name) }).collect();
    let market = MarketSettings { rate_per_second, seed, ..MarketSettings::new(symbols, SourceId(0), START) };
    let mut scenario =
        Scenario::new(&market, &InjectedFaults::everything(), CoreSettings::default(), num_trades);
    let mut entries = Vec::new();
    while scenario.next_batch(4_096, &mut entries) {}
    entries
}

/// Writes the trades of a bad day as CSV, every thousandth row damaged. Returns the number of damaged rows.
pub fn write_csv(path: &Path, day: &[Entry]) -> usize {
    let own = day.iter().filter(|entry| !entry.body.is_broadcast());
    let names = symbol_names(own.map(|entry| entry.symbol.index() + 1).max().unwrap_or(0));
    let (mut text, mut num_damaged, mut num_rows) = ("ts_ns,symbol,price,size,trade_id\n".to_owned(), 0, 0);
    for entry in day {
        let Body::Trade(trade) = entry.body else { continue };
        let name = &names[entry.symbol.index()];
        let price = Scale::PRICE.show(i128::from(trade.price.0));
        let size = Scale::SIZE.show(i128::from(trade.size.0));
        let (_, id) = trade.id.words();
        writeln!(text, "{},{name},{price},{size},{id}", trade.ts.0).unwrap();
        num_rows += 1;
        if num_rows % 1_000 == 0 {
            num_damaged += 1;
            writeln!(text, "{},{name},twelve,{size},{id}", trade.ts.0).unwrap();
        }
    }
    std::fs::write(path, text).unwrap();
    num_damaged
}
