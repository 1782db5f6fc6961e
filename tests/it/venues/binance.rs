//! Binance and what it promises the shell.

use super::contract::{self, Fixture};
use tickwire::actors::ingest::config::VenueConfig;
use tickwire::actors::ingest::registry;

#[test]
fn binance_keeps_the_contract_of_venues() {
    let entry = registry::find("binance").unwrap();
    let others = [
        include_str!("../../fixtures/venues/binance/frame_book_ticker.json"),
        include_str!("../../fixtures/venues/binance/frame_kline.json"),
        include_str!("../../fixtures/venues/binance/frame_subscribed.json"),
        include_str!("../../fixtures/venues/binance/frame_subscriptions.json"),
        include_str!("../../fixtures/venues/binance/frame_invalid_request.json"),
        include_str!("../../fixtures/venues/binance/frame_invalid_json.json"),
        include_str!("../../fixtures/venues/binance/frame_server_shutdown.json"),
    ];
    let trade = include_str!("../../fixtures/venues/binance/frame_trade.json");
    let plain = include_str!("../../fixtures/venues/binance/frame_trade_plain.json");
    let aggregate = include_str!("../../fixtures/venues/binance/frame_aggregate.json");
    for (channel, num_trades, page) in [
        ("trade", 2, include_str!("../../fixtures/venues/binance/trades_page.json")),
        ("aggTrade", 1, include_str!("../../fixtures/venues/binance/trades_aggregates.json")),
    ] {
        let config = VenueConfig { channels: vec![channel.to_owned()], ..VenueConfig::default() };
        let venue = (entry.open)(&config);
        contract::holds(
            venue.as_ref(),
            &Fixture {
                frames: &[&[trade, plain, aggregate][..], &others].concat(),
                num_trades,
                pages: &[page],
                venue_symbols: &["BTCUSDT", "ETHUSDT"],
            },
        );
    }
}
