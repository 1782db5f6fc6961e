//! A process that ends while a standby is in charge.

use super::RATE;
use super::exchange::{Exchange, Market, State};
use super::world::{World, replayed};
use crate::venues::dialects::coinbase::Coinbase;
use crate::venues::dialects::kraken::Kraken;
use tickwire::models::time::SECOND;

#[test]
fn a_start_after_a_change_of_the_charge_puts_the_first_venue_in_charge_and_loses_nothing() {
    let market = Market::new(RATE);
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (Exchange::start(&Coinbase, &market), Exchange::start(&Kraken, &market));
    actix::System::new().block_on(async {
        let world = World::start(dir.path(), &market, [&a, &b], false).await;
        world.until("connection", || a.num_connections() == 1).await;
        market.begin();
        world.until_in_charge("coinbase", "begin").await;
        a.set(State::Gone);
        world.until_in_charge("kraken", "before the end").await;
        world.until_filled("kraken").await;
        // So long after it took charge that it is in charge of all that is not known to be whole.
        let taken = market.now();
        world.until("seconds of its charge", || market.now().0 > taken.0 + 3 * SECOND).await;
        world.finish().await;
        a.set(State::Well);

        let world = World::start(dir.path(), &market, [&a, &b], false).await;
        world.until_in_charge("coinbase", "after the start").await;
        assert_eq!(world.num_hand_overs(), 0.0, "it is in charge from the start on");
        // The charge changes once more behind the one that the start told.
        a.set(State::Gone);
        world.until_in_charge("kraken", "after the start").await;
        a.set(State::Well);
        world.until_in_charge("coinbase", "after the start").await;
        let num_trades = market.stop() as u64;
        world.until_whole(num_trades, "coinbase").await;
        world.until_closed(&market).await;
        world.finish().await.is_whole(num_trades, &replayed(dir.path(), &market));
    });
}
