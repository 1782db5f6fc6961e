//! Cost of a frame of a live venue: its bytes to entries, without the socket and the log.
//!
//! Run with `cargo bench --bench venues`. For figures that a loaded machine does not blur, count instructions:
//! `valgrind --tool=callgrind target/release/deps/venues-* --bench --profile-time 1`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use tickwire::actors::ingest::config::VenueConfig;
use tickwire::actors::ingest::registry;
use tickwire::actors::ingest::venue::{Context, Heard, Instrument, Instruments};
use tickwire::models::entry::SourceId;
use tickwire::models::num::Scale;
use tickwire::models::symbol::SymbolId;
use tickwire::models::time::Nanos;

/// Symbols that the frames speak of, among many others that are followed.
const SYMBOLS: [&str; 7] = ["MSFT", "AAPL", "NVDA", "V", "GOOGL", "BRK.B", "TSLA"];

/// Returns what a busy feed follows.
fn instruments() -> Instruments {
    let names = SYMBOLS.iter().map(|&name| name.to_owned()).chain((0..2_000).map(|n| format!("S{n}")));
    let instrument = |(at, venue_symbol): (u32, String)| Instrument {
        symbol: SymbolId(at),
        venue_symbol,
        price_scale: Scale::PRICE,
        size_scale: Scale::SIZE,
    };
    Instruments::new((0..).zip(names).map(instrument).collect())
}

/// Returns a frame of so many trades, those of an exchange and those off them in turn.
fn polygon_frame(num_trades: usize) -> String {
    let trade = |n: usize| {
        let symbol = SYMBOLS[n * n % 7];
        let (cents, size, id) = (n * 7_919 % 10_000, 1 + n * 31 % 999, 52_983_525_034_825 + n);
        let (ms, sequence) = (1_788_876_818_784 + n, 3_681_328 + n);
        if n.is_multiple_of(2) {
            format!(
                r#"{{"ev":"T","sym":"{symbol}","x":4,"i":"{n}","z":3,"p":414.{cents:04},"s":{size},"ds":"{size}.0","c":[12,37],"t":{ms},"q":{sequence},"trfi":202,"trft":{ms}}}"#
            )
        } else {
            format!(
                r#"{{"ev":"T","sym":"{symbol}","i":"{id}","x":11,"p":161.{cents:04},"s":{size},"c":[14,41],"t":{ms},"q":{sequence},"z":3}}"#
            )
        }
    };
    format!("[{}]", (0..num_trades).map(trade).collect::<Vec<_>>().join(","))
}

fn venues(c: &mut Criterion) {
    let instruments = instruments();
    let received = Nanos(1_788_876_900_000_000_000);
    let context = Context { instruments: &instruments, source: SourceId(0), received };
    let venue = (registry::find("polygon").expect("it is served").open)(&VenueConfig::default());
    let mut heard = Heard::default();
    let mut group = c.benchmark_group("polygon");
    for num_trades in [1, 100] {
        let frame = polygon_frame(num_trades);
        group.throughput(Throughput::Elements(num_trades as u64));
        group.bench_function(format!("{num_trades}_trades"), |b| {
            b.iter(|| {
                heard.clear();
                venue.parse(black_box(&frame), &context, &mut heard);
                assert_eq!(heard.events.len(), num_trades);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, venues);
criterion_main!(benches);
