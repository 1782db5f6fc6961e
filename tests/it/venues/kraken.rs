//! Kraken and what it promises the shell.

use super::contract::{self, Fixture};
use super::dialects::kraken::Kraken;
use super::fake::{FakeVenue, Fault, RestFault};
use super::inside;
use super::live::{Live, held, made_market, replayed};
use super::ready_made;
use crate::support::process::wait_for;
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

/// More trades of a symbol than two pages hold, lost in an outage whose first answers are errors with a good status.
#[test]
fn an_outage_of_several_pages_is_filled_from_its_beginning_on() {
    let trades = made_market(&Kraken, 4_000);
    let dir = tempfile::tempdir().unwrap();
    let expected = replayed(dir.path(), &trades).digest;
    let script = [(300, Fault::Rest(2, RestFault::Status("200 OK"))), (300, Fault::Kick(3_500))];
    let venue = FakeVenue::start(&Kraken, &trades, &script);
    let ledger = inside::run(dir.path(), &venue, &[], async |inside| {
        let is_whole =
            || inside.num_in_bars() == trades.len() as u64 && inside.venue_metric("gaps_open") == 0;
        inside.until("market without a hole", is_whole).await;
        // Two that failed, three pages of the one symbol and two of the other.
        assert!(inside.venue_metric("requests_total") >= 7);
        assert_eq!(inside.venue_metric("holes_given_up_total"), 0);
    });
    assert_eq!((ledger.in_bars, ledger.late), (trades.len() as u64, 0));
    assert_eq!(held(&dir.path().join("data")).digest, expected);
}

#[test]
fn a_pair_that_the_stream_does_not_have_is_left_out_and_the_others_go_on() {
    let trades = made_market(&Kraken, 300);
    let dir = tempfile::tempdir().unwrap();
    let venue = FakeVenue::start(&Kraken, &trades, &[]);
    // Without the list nothing is checked before the stream is asked.
    let away = venue.variable("rest_url");
    let live = Live::start(dir.path(), &venue, "BTC-USD,NOPE-USD,ETH-USD", &[(&away, "http://127.0.0.1:9")]);
    let line = live.program.line_with("the venue refuses this symbol");
    assert!(line.contains("NOPE/USD") && line.contains("Currency pair not supported"), "{line}");
    wait_for("the trades of the others", || (live.ledger("in_bars") == 300).then_some(()));
    wait_for("health that names the pair", || {
        let health = live.program.get("REST", "/health")?.json();
        let said = health["details"]["messages"]["feed_kraken"].as_str()?;
        said.contains("NOPE/USD").then_some(())
    });
    assert_eq!(live.residue(), 0);
    live.program.stop();
}

#[test]
fn its_ready_made_bars_are_those_of_its_trades() {
    for minutes in [1, 5] {
        ready_made::are_those_of_the_trades(&Kraken, minutes);
    }
}
