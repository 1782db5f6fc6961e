//! FMP and what it promises the shell.

use super::contract::{self, Fixture};
use tickwire::actors::ingest::config::VenueConfig;
use tickwire::actors::ingest::registry;

#[test]
fn fmp_keeps_the_contract_of_venues() {
    let entry = registry::find("fmp").unwrap();
    let venue = (entry.open)(&VenueConfig::default());
    contract::holds(
        venue.as_ref(),
        &Fixture {
            frames: &[
                include_str!("../../fixtures/venues/fmp/frame_break.json"),
                include_str!("../../fixtures/venues/fmp/frame_crypto_quote.json"),
                include_str!("../../fixtures/venues/fmp/frame_forex_quote.json"),
                include_str!("../../fixtures/venues/fmp/frame_heartbeat.json"),
                include_str!("../../fixtures/venues/fmp/frame_login.json"),
                include_str!("../../fixtures/venues/fmp/frame_other_location.json"),
                include_str!("../../fixtures/venues/fmp/frame_plan.json"),
                include_str!("../../fixtures/venues/fmp/frame_quote.json"),
                include_str!("../../fixtures/venues/fmp/frame_subscribe.json"),
                include_str!("../../fixtures/venues/fmp/frame_too_many.json"),
                include_str!("../../fixtures/venues/fmp/frame_trade.json"),
                include_str!("../../fixtures/venues/fmp/frame_unauthorized.json"),
                include_str!("../../fixtures/venues/fmp/frame_unsubscribe.json"),
            ],
            num_trades: 1,
            pages: &[],
            venue_symbols: &["aapl", "btcusd", "eurusd"],
        },
    );
}
