//! Finage and what it promises the shell.

use super::contract::{self, Fixture};
use tickwire::actors::ingest::config::VenueConfig;
use tickwire::actors::ingest::registry;

#[test]
fn finage_keeps_the_contract_of_venues() {
    let entry = registry::find("finage").unwrap();
    let config = VenueConfig { stream_url: "ws://127.0.0.1:9".parse().ok(), ..VenueConfig::default() };
    let venue = (entry.open)(&config);
    contract::holds(
        venue.as_ref(),
        &Fixture {
            frames: &[
                include_str!("../../fixtures/venues/finage/frame_authorizing.json"),
                include_str!("../../fixtures/venues/finage/frame_authorizing_older.json"),
                include_str!("../../fixtures/venues/finage/frame_connected.json"),
                include_str!("../../fixtures/venues/finage/frame_connected_older.json"),
                include_str!("../../fixtures/venues/finage/frame_crypto_trade.json"),
                include_str!("../../fixtures/venues/finage/frame_crypto_trade_change.json"),
                include_str!("../../fixtures/venues/finage/frame_etf_price.json"),
                include_str!("../../fixtures/venues/finage/frame_etf_quote_change.json"),
                include_str!("../../fixtures/venues/finage/frame_forex_quote.json"),
                include_str!("../../fixtures/venues/finage/frame_forex_quote_change.json"),
                include_str!("../../fixtures/venues/finage/frame_invalid_socket_key.json"),
                include_str!("../../fixtures/venues/finage/frame_plan.json"),
                include_str!("../../fixtures/venues/finage/frame_stock_quote.json"),
                include_str!("../../fixtures/venues/finage/frame_stock_quote_change.json"),
                include_str!("../../fixtures/venues/finage/frame_stock_trade.json"),
                include_str!("../../fixtures/venues/finage/frame_wrong_key.json"),
            ],
            num_trades: 3,
            pages: &[],
            venue_symbols: &[
                "AAPL", "TSLA", "GOOGL", "QQQ", "SPY", "EUR/USD", "GBP/USD", "BTCUSD", "DOGEUSD",
            ],
        },
    );
}
