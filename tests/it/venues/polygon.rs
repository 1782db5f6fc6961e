//! Polygon and what it promises the shell.

use super::contract::{self, Fixture};
use std::path::Path;
use tickwire::actors::ingest::config::VenueConfig;
use tickwire::actors::ingest::registry;
use tickwire::actors::ingest::venue::{Context, Heard, Instrument, Instruments, VenueEvent};
use tickwire::models::entry::SourceId;
use tickwire::models::num::Scale;
use tickwire::models::symbol::SymbolId;
use tickwire::models::time::Nanos;

/// Returns a sample as the venue sends it.
fn sample(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/venues/polygon");
    let file = folder.join(format!("{name}.json"));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    text.trim_end().to_owned()
}

/// Every sample of a frame.
const FRAMES: [&str; 20] = [
    "frame_connected",
    "frame_auth_success",
    "frame_subscribed",
    "frame_subscribed_all",
    "frame_auth_failed",
    "frame_auth_failed_plan",
    "frame_auth_timeout",
    "frame_max_connections",
    "frame_max_connections_older",
    "frame_not_authorized",
    "frame_trade",
    "frame_mixed",
    "frame_quote",
    "frame_bar_minute",
    "frame_limits",
    "frame_forex_quote",
    "frame_crypto_trade",
    "frame_crypto_quote",
    "frame_crypto_bar",
    "frame_index",
];

#[test]
fn polygon_keeps_the_contract_of_venues() {
    let entry = registry::find("massive").unwrap();
    let venue = (entry.open)(&VenueConfig::default());
    let frames = FRAMES.map(sample);
    let frames = frames.each_ref().map(String::as_str);
    contract::holds(
        venue.as_ref(),
        &Fixture {
            frames: &frames,
            num_trades: 4,
            pages: &[&sample("trades_page")],
            venue_symbols: &["AAPL", "MSFT", "AMZN", "SPCE", "GTE", "BTC-USD", "EUR/USD"],
        },
    );
}

/// Returns a frame of so many trades of two stocks.
fn busy_frame(num_trades: usize) -> String {
    let trade = |n: usize| {
        let symbol = ["MSFT", "AAPL"][n % 2];
        format!(
            r#"{{"ev":"T","sym":"{symbol}","x":4,"i":"{}","z":3,"p":414.{:03},"s":{},"ds":"{}.0","c":[12,37],"t":{},"q":{},"trfi":202,"trft":1788876818771}}"#,
            71_775_185_214_823_usize + n,
            n % 1_000,
            n + 1,
            n + 1,
            1_788_876_818_784_usize + n,
            3_681_328 + n,
        )
    };
    format!("[{}]", (0..num_trades).map(trade).collect::<Vec<_>>().join(","))
}

#[test]
fn a_frame_of_trades_is_read_without_an_allocation() {
    let venue = (registry::find("polygon").unwrap().open)(&VenueConfig::default());
    let instrument = |(at, name): (u32, &str)| Instrument {
        symbol: SymbolId(at),
        venue_symbol: name.to_owned(),
        price_scale: Scale::PRICE,
        size_scale: Scale::SIZE,
    };
    let instruments = Instruments::new((0..).zip(["MSFT", "AAPL"]).map(instrument).collect());
    let received = Nanos(1_788_876_900_000_000_000);
    let context = Context { instruments: &instruments, source: SourceId(0), received };
    let frame = busy_frame(100);
    let mut heard = Heard::default();
    // The room for what is heard is made once, and the table of time zones needs none.
    venue.parse(&frame, &context, &mut heard);
    heard.clear();
    let counted = allocation_counter::measure(|| venue.parse(&frame, &context, &mut heard));
    let trades = heard.events.iter().filter(|event| matches!(event, VenueEvent::Report(_))).count();
    assert_eq!((trades, heard.faults.len()), (100, 0));
    assert_eq!(counted.count_total, 0, "{counted:?}");
}
