//! Binance and what it promises the shell.

use super::contract::{self, Fixture};
use super::dialects::binance::{AGGREGATES, TRADES};
use super::fake::{FakeVenue, Fault};
use super::inside;
use super::live::{held, made_market, replayed};
use super::ready_made;
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

/// More trades of a symbol than two pages hold, lost in an outage: pages go backwards from its end.
#[test]
fn an_outage_of_several_pages_is_filled_from_its_end_on() {
    for dialect in [&TRADES, &AGGREGATES] {
        let trades = made_market(dialect, 4_000);
        let dir = tempfile::tempdir().unwrap();
        let expected = replayed(dir.path(), &trades).digest;
        let venue = FakeVenue::start(dialect, &trades, &[(300, Fault::Kick(3_500))]);
        let ledger = inside::run(dir.path(), &venue, &[], async |inside| {
            let is_whole =
                || inside.num_in_bars() == trades.len() as u64 && inside.venue_metric("gaps_open") == 0;
            inside.until("market without a hole", is_whole).await;
            // Three pages of the one symbol, two of the other.
            assert!(inside.venue_metric("requests_total") >= 5);
            assert_eq!(inside.venue_metric("holes_given_up_total"), 0);
        });
        assert_eq!((ledger.in_bars, ledger.late), (trades.len() as u64, 0));
        assert_eq!(held(&dir.path().join("data")).digest, expected);
    }
}

#[test]
fn a_connection_that_the_venue_is_about_to_end_is_replaced_without_a_loss() {
    let trades = made_market(&TRADES, 1_500);
    let dir = tempfile::tempdir().unwrap();
    let expected = replayed(dir.path(), &trades).digest;
    let notice = br#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1788876456789}}"#;
    let venue = FakeVenue::start(&TRADES, &trades, &[(500, Fault::Garbage(notice))]);
    venue.wait_for_symbols(venue.symbols().len());
    let ledger = inside::run(dir.path(), &venue, &[], async |inside| {
        let is_over =
            || inside.num_in_bars() == trades.len() as u64 && inside.venue_metric("replaced_total") == 1;
        inside.until("market over two connections", is_over).await;
        assert_eq!((inside.venue_metric("connects_total"), inside.venue_metric("failures_total")), (2, 0));
    });
    assert_eq!((ledger.in_bars, ledger.late), (trades.len() as u64, 0));
    assert_eq!(held(&dir.path().join("data")).digest, expected);
}

#[test]
fn its_ready_made_bars_are_those_of_its_trades() {
    for minutes in [1, 5] {
        ready_made::are_those_of_the_trades(&TRADES, minutes);
    }
}
