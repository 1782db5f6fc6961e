//! Kraken and what it promises the shell.

use super::contract::{self, Fixture};
use tickwire::actors::ingest::config::VenueConfig;
use tickwire::actors::ingest::registry;

#[test]
fn kraken_keeps_the_contract_of_venues() {
    let entry = registry::find("kraken").unwrap();
    let venue = (entry.open)(&VenueConfig::default());
    contract::holds(
        venue.as_ref(),
        &Fixture {
            frames: &[
                include_str!("../../fixtures/venues/kraken/frame_status.json"),
                include_str!("../../fixtures/venues/kraken/frame_subscribed.json"),
                include_str!("../../fixtures/venues/kraken/frame_not_subscribed.json"),
                include_str!("../../fixtures/venues/kraken/frame_snapshot.json"),
                include_str!("../../fixtures/venues/kraken/frame_trade.json"),
                include_str!("../../fixtures/venues/kraken/frame_heartbeat.json"),
                include_str!("../../fixtures/venues/kraken/frame_pong.json"),
                include_str!("../../fixtures/venues/kraken/frame_error.json"),
            ],
            num_trades: 2,
            pages: &[include_str!("../../fixtures/venues/kraken/trades_page.json")],
            venue_symbols: &["BTC/USD", "ETH/USD"],
        },
    );
}
