//! Alpha Vantage and what it promises the shell.

use super::contract::{self, Fixture};
use tickwire::actors::ingest::config::VenueConfig;
use tickwire::actors::ingest::registry;
use tickwire::actors::ingest::venue::{Context, Heard, Instrument, Instruments, Judgement};
use tickwire::models::entry::SourceId;
use tickwire::models::num::Scale;
use tickwire::models::symbol::SymbolId;
use tickwire::models::time::Nanos;

/// Samples of answers with data, and the symbol that each speaks of.
const POLLS: [(&str, &str); 4] = [
    ("MSFT", include_str!("../../fixtures/venues/alpha_vantage/poll_intraday.json")),
    ("EUR-USD", include_str!("../../fixtures/venues/alpha_vantage/poll_fx.json")),
    ("BTC-USD", include_str!("../../fixtures/venues/alpha_vantage/poll_crypto.json")),
    ("BTC-USD", include_str!("../../fixtures/venues/alpha_vantage/poll_rate.json")),
];

#[test]
fn alpha_vantage_keeps_the_contract_of_venues() {
    let entry = registry::find("alpha_vantage").unwrap();
    let venue = (entry.open)(&VenueConfig::default());
    let venue_symbols = ["MSFT", "EUR-USD", "BTC-USD"];
    let fixture = Fixture { frames: &["{}"], num_trades: 0, pages: &[], venue_symbols: &venue_symbols };
    contract::holds(venue.as_ref(), &fixture);

    let instrument = |(at, name): (u32, &&str)| Instrument {
        symbol: SymbolId(at),
        venue_symbol: (*name).to_owned(),
        price_scale: Scale::PRICE,
        size_scale: Scale::SIZE,
    };
    let instruments = Instruments::new((0..).zip(&venue_symbols).map(instrument).collect());
    let received = Nanos(1_800_000_000_000_000_000);
    let context = Context { instruments: &instruments, source: SourceId(3), received };
    for (symbol, body) in POLLS {
        let poll = &venue.polls(&[symbol])[0];
        let mut heard = Heard::default();
        assert_eq!(venue.judge(200, body), Judgement::Good, "{body}");
        venue.read_poll(body, poll, &context, &mut heard).unwrap();
        assert!(heard.faults.is_empty() && heard.events.len() == 1, "{body}: {heard:?}");
    }
}
