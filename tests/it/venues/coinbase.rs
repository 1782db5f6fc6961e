//! Coinbase and what it promises the shell.

use super::contract::{self, Fixture};
use super::dialects::coinbase::{Coinbase, frame};
use super::live::made_market;
use tickwire::actors::ingest::config::VenueConfig;
use tickwire::actors::ingest::registry;

#[test]
fn coinbase_keeps_the_contract_of_venues() {
    let entry = registry::find("coinbase").unwrap();
    let venue = (entry.open)(&VenueConfig::default());
    let trades = made_market(&Coinbase, 3);
    let page = serde_json::to_string(&serde_json::json!([
        {"time": "2026-09-08T14:30:02.028459Z", "trade_id": 463_751_434, "price": "68900.16", "size": "0.05", "side": "sell"},
        {"time": "2026-09-08T14:30:01Z", "trade_id": 463_751_433, "price": "68900.1", "size": "1", "side": "buy"},
    ]));
    let frames = [
        frame(&trades[0], "match"),
        frame(&trades[1], "match"),
        frame(&trades[2], "last_match"),
        r#"{"type":"heartbeat","sequence":90,"last_trade_id":20,"product_id":"BTC-USD","time":"2026-09-08T14:30:02.028459Z"}"#.to_owned(),
        r#"{"type":"subscriptions","channels":[{"name":"matches","product_ids":["BTC-USD"]}]}"#.to_owned(),
        r#"{"type":"error","message":"Failed to subscribe","reason":"X is not a valid product"}"#.to_owned(),
        r#"{"type":"ticker","sequence":37475248783,"product_id":"ETH-USD","price":"1285.22"}"#.to_owned(),
    ];
    let frames: Vec<&str> = frames.iter().map(String::as_str).collect();
    contract::holds(
        venue.as_ref(),
        &Fixture {
            frames: &frames,
            num_trades: 3,
            pages: &[&page.unwrap()],
            venue_symbols: &["BTC-USD", "ETH-USD"],
        },
    );
}
