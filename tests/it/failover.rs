//! Failover on real sockets: two exchanges of one market, each in a venue's own words, that are taken away, frozen and brought
//! back while it trades.
//!
//! Whoever was in charge when: the bars are those of the plain replay of the market's trades, digest for digest, and whole; what
//! nobody could tell shows in the coverage.

mod exchange;
mod key;
mod restart;
mod symbols;
mod world;

use crate::support::process::{Program, command, run_args, wait_for};
use crate::venues::dialects::binance;
use crate::venues::dialects::coinbase::Coinbase;
use crate::venues::dialects::kraken::Kraken;
use exchange::{Exchange, Market, PRODUCTS, State};
use std::time::{Duration, Instant};
use world::{World, replayed};

/// Trades a second where venues come and go: a debug build on two cores that other tests use too cannot work through more.
const RATE: usize = if cfg!(debug_assertions) { 2_500 } else { 10_000 };

/// How often the first venue is cut and frozen, and for how long it flaps.
const NUM_CYCLES: usize = if cfg!(debug_assertions) { 1 } else { 5 };
const FLAP_SPAN: Duration =
    if cfg!(debug_assertions) { Duration::from_secs(3) } else { Duration::from_mins(1) };

/// Cuts the first venue and freezes it, and has it back each time.
async fn come_and_go(world: &World, [a, b]: [&Exchange; 2]) {
    for _ in 0..NUM_CYCLES {
        a.set(State::Gone);
        world.until_in_charge(b.name(), "broken").await;
        let said = format!("`{}` in charge: ", b.name());
        world.until("health that says so", || world.feed_health().starts_with(&said)).await;
        a.set(State::Well);
        world.until_in_charge(a.name(), "recovered").await;

        a.set(State::Frozen);
        world.until_in_charge(b.name(), "silent").await;
        a.set(State::Well);
        world.until_in_charge(a.name(), "recovered").await;
    }
}

/// Lets the first venue come and go as quickly as it is tried.
async fn flap(world: &World, [a, b]: [&Exchange; 2]) {
    let before = world.num_hand_overs();
    a.set(State::Gone);
    world.until_in_charge(b.name(), "flaps").await;
    let (begun, mut num_flaps) = (Instant::now(), 0);
    while begun.elapsed() < FLAP_SPAN || num_flaps < 5 {
        let num_before = a.num_connections();
        a.set(State::Well);
        world.until("another try", || a.num_connections() > num_before).await;
        a.set(State::Gone);
        world.until("end of the connection", || a.num_open() == 0).await;
        num_flaps += 1;
    }
    println!("flaps: {num_flaps} in {:.0} s", begun.elapsed().as_secs_f64());
    assert_eq!(world.num_hand_overs(), before + 1.0, "a venue that flaps stays where it is");
    a.set(State::Well);
    world.until_in_charge(a.name(), "recovered").await;
}

#[test]
fn whatever_happens_to_the_first_venue_the_bars_are_those_of_the_plain_replay() {
    let market = Market::new(RATE);
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (Exchange::start(&Coinbase, &market), Exchange::start(&Kraken, &market));
    actix::System::new().block_on(async {
        let world = World::start(dir.path(), &market, [&a, &b], false).await;
        world.until("connection", || a.num_connections() == 1).await;
        market.begin();
        world.until_in_charge("coinbase", "begin").await;
        assert_eq!(b.num_connections(), 0, "standbys are not opened before they are needed");
        come_and_go(&world, [&a, &b]).await;
        flap(&world, [&a, &b]).await;
        // The standby that was not needed any more is away as well.
        b.set(State::Gone);
        let num_trades = market.stop() as u64;
        world.until_whole(num_trades, "coinbase").await;
        world.until_closed(&market).await;
        let outcome = world.finish().await;
        outcome.is_whole(num_trades, &replayed(dir.path(), &market));
        assert!(outcome.ledger.filtered > 0, "the venues overlapped");
    });
}

/// The one has microseconds and numbers that the other does not have; the other cuts times to milliseconds and tells no time.
#[test]
fn venues_that_have_nothing_in_common_but_the_market_take_over_from_each_other() {
    let market = Market::new(RATE);
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (Exchange::start(&Kraken, &market), Exchange::start(&binance::TRADES, &market));
    actix::System::new().block_on(async {
        let world = World::start(dir.path(), &market, [&a, &b], false).await;
        world.until("connection", || a.num_connections() == 1).await;
        market.begin();
        world.until_in_charge("kraken", "begin").await;
        come_and_go(&world, [&a, &b]).await;
        a.set(State::Gone);
        world.until_in_charge("binance", "broken").await;
        let num_trades = market.stop() as u64;
        world.until_whole(num_trades, "binance").await;
        world.until_closed(&market).await;
        world.finish().await.is_whole(num_trades, &replayed(dir.path(), &market));
    });
}

#[test]
fn what_no_venue_can_tell_shows_in_the_coverage() {
    let market = Market::new(RATE);
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (Exchange::start(&Coinbase, &market), Exchange::start(&Kraken, &market));
    actix::System::new().block_on(async {
        let world = World::start(dir.path(), &market, [&a, &b], false).await;
        b.forget_past();
        world.until("connection", || a.num_connections() == 1).await;
        market.begin();
        world.until_in_charge("coinbase", "begin").await;
        a.set(State::Gone);
        world.until_in_charge("kraken", "broken").await;
        let num_trades = market.stop() as u64;
        world.until_last(&market).await;
        world.until_closed(&market).await;
        let outcome = world.finish().await;
        assert!(outcome.ledger.in_bars < num_trades && outcome.ledger.residue() == 0);
        assert!(outcome.coverage < 1.0);
        for product in PRODUCTS {
            for (second, count) in market.trades_by_second(product) {
                let (found, coverage) =
                    outcome.bars.get(&(product.to_owned(), second)).copied().unwrap_or_default();
                assert!(found == count || coverage < 1.0, "{product} {second}: {found} of {count} trades");
                assert!(found <= count, "{product} {second}: {found} of {count} trades");
            }
        }
    });
}

#[test]
fn a_venue_that_is_compared_enters_no_bar_and_its_divergence_is_measured() {
    let market = Market::new(5_000);
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (Exchange::start(&Coinbase, &market), Exchange::start(&Kraken, &market));
    actix::System::new().block_on(async {
        let world = World::start(dir.path(), &market, [&a, &b], true).await;
        world.until("connections", || a.num_connections() == 1 && b.num_connections() == 1).await;
        market.begin();
        let volume = "tickwire_feed_divergence_volume_ratio{feed=\"coins\",venue=\"kraken\"}";
        let is_long = || market.num_played() > 20_000 && world.metric(volume).is_some();
        world.until("window to compare", is_long).await;
        let num_trades = market.stop() as u64;
        world.until("all trades", || world.ledger().in_bars == num_trades).await;
        let compared = "`kraken` differs by 0.0 bps in price and 0 % in volume";
        world.until("comparison", || world.feed_health().contains(compared)).await;
        world.until_closed(&market).await;
        let outcome = world.finish().await;
        outcome.is_whole(num_trades, &replayed(dir.path(), &market));
        assert_eq!(outcome.ledger.received, num_trades);
    });
}

#[test]
fn a_list_of_providers_is_a_feed_with_standbys() {
    let market = Market::new(1_000);
    let dir = tempfile::tempdir().unwrap();
    let exchange = Exchange::start(&Coinbase, &market);
    let list = "coinbase,kraken";
    let mut run =
        command(&run_args(&dir.path().join("data"), &["--provider", list, "--symbols", "BTC-USD,ETH-USD"]));
    run.envs(exchange.environment());
    // Nobody is there, and nobody needs it.
    run.env("TICKWIRE__VENUES__KRAKEN__STREAM_URL", "ws://127.0.0.1:9");
    run.env("TICKWIRE__VENUES__KRAKEN__REST_URL", "http://127.0.0.1:9");
    let program = Program::start(run);
    program.line_with(" ready");
    market.begin();
    wait_for("trades in bars", || {
        let series = "tickwire_ledger_reports{fate=\"in_bars\",source=\"coinbase\"}";
        (program.metric(series) > 0).then_some(())
    });
    let health = program.get("REST", "/health").unwrap().json();
    assert_eq!(health["provider"], list);
    let said = health["details"]["messages"]["feed_coinbase"].as_str().unwrap();
    assert!(said.starts_with("`coinbase` in charge: ") && said.ends_with("; `kraken` on standby"), "{said}");
    assert_eq!(program.metric("tickwire_venue_breaker_state{feed=\"coinbase\",venue=\"kraken\"}"), 0);
    assert_eq!(program.metric("tickwire_feed_in_charge{feed=\"coinbase\",venue=\"coinbase\"}"), 1);
    program.stop();
}
