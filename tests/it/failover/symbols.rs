//! Symbols that one venue of a feed has and another one has not.

use super::exchange::{Exchange, Market, State};
use super::world::{World, replayed};
use crate::venues::dialects::coinbase::Coinbase;
use crate::venues::dialects::kraken::Kraken;

#[test]
fn a_symbol_that_the_standby_lacks_is_fetched_when_its_venue_is_back() {
    let market = Market::new(2_000);
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (Exchange::start(&Coinbase, &market), Exchange::start(&Kraken, &market));
    b.drop_product("ETH-USD");
    actix::System::new().block_on(async {
        let world = World::start(dir.path(), &market, [&a, &b], false).await;
        world.until("connection", || a.num_connections() == 1).await;
        market.begin();
        world.until_in_charge("coinbase", "begin").await;
        for source in ["coinbase", "kraken"].map(|name| world.node.sources.intern(name)) {
            let limits = world.node.env.published.clocks.limits(source);
            assert_eq!((limits.stale, limits.dead), (3_000_000_000, 400_000_000_000), "as the feed says");
        }
        let lacking = "; `kraken` on standby without `ETH-USD`";
        world.until("health that names it", || world.feed_health().ends_with(lacking)).await;
        a.set(State::Gone);
        world.until_in_charge("kraken", "without a symbol").await;
        let waiting = "; `ETH-USD` wait for `coinbase`";
        world.until("health that says so", || world.feed_health().contains(waiting)).await;
        // It is tried and found away a few times, and what it owes stays known.
        let failures = "tickwire_venue_failures_total{venue=\"coinbase\"}";
        world.until("more tries", || world.metric(failures).is_some_and(|count| count >= 4.0)).await;
        a.set(State::Well);
        world.until_in_charge("coinbase", "recovered").await;
        let num_trades = market.stop() as u64;
        world.until_whole(num_trades, "coinbase").await;
        world.until_closed(&market).await;
        world.finish().await.is_whole(num_trades, &replayed(dir.path(), &market));
    });
}

/// The list of the standby has the symbol, and its stream does not.
#[test]
fn a_symbol_that_the_standby_refuses_stays_with_its_venue_and_is_fetched_when_that_is_back() {
    let market = Market::new(2_000);
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (Exchange::start(&Coinbase, &market), Exchange::start(&Kraken, &market));
    actix::System::new().block_on(async {
        let world = World::start(dir.path(), &market, [&a, &b], false).await;
        b.drop_product("ETH-USD");
        world.until("connection", || a.num_connections() == 1).await;
        market.begin();
        world.until_in_charge("coinbase", "begin").await;
        a.set(State::Gone);
        world.until_in_charge("kraken", "without a symbol").await;
        for said in ["left out: `ETH/USD` (Currency pair not supported", "; `ETH-USD` wait for `coinbase`"] {
            world.until("health that names it", || world.feed_health().contains(said)).await;
        }
        a.set(State::Well);
        world.until_in_charge("coinbase", "recovered").await;
        world.until("health without it", || !world.feed_health().contains("wait for")).await;
        let num_trades = market.stop() as u64;
        world.until_whole(num_trades, "coinbase").await;
        world.until_closed(&market).await;
        world.finish().await.is_whole(num_trades, &replayed(dir.path(), &market));
    });
}
