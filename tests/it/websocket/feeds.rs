//! The state of a symbol's feed: a last tick never makes a dead symbol look alive.

use super::world::{NOW, World, snapshot_of};
use tickwire::config::Limits;
use tickwire::models::snapshot::{LastTrade, SymbolSnapshot};
use tickwire::models::time::SECOND;

const SUBSCRIBE_TICKS: &str = r#"{"type":"subscribe","symbols":["*"],"channels":["ticks"]}"#;

fn served(broadcast: bool) -> World {
    let world = World::start(Limits::default(), broadcast);
    world.state.snapshots.publish(snapshot_of(world.aapl, 5));
    world.begin();
    world
}

/// The snapshot of a symbol that has just traded.
fn traded(world: &World) -> SymbolSnapshot {
    let snapshot = snapshot_of(world.aapl, 5);
    let now = world.state.now();
    SymbolSnapshot {
        last: snapshot.last.map(|last| LastTrade { ts: now, seq: last.seq + 1, ..last }),
        ..snapshot
    }
}

#[test]
fn the_snapshot_says_that_a_symbol_is_dead_though_nobody_followed_it() {
    let world = served(false);
    for (seconds, state) in [(0, "live"), (12, "quiet"), (40, "stale"), (600, "dead")] {
        world.clock.advance(seconds * SECOND);
        let mut client = world.connect();
        client.send(SUBSCRIBE_TICKS);
        let snapshot = client.until("snapshot");
        assert_eq!(snapshot["ticks"][0]["symbol"], "AAPL");
        assert_eq!(snapshot["ticks"][0]["feed"], state, "{seconds} s later");
        drop(client);
        world.wait_until("it is gone", || world.num_connections() == 0);
    }
}

#[test]
fn a_client_that_asked_for_nothing_learns_it_with_the_last_tick() {
    let world = served(true);
    world.clock.advance(3_600 * SECOND);
    let mut client = world.connect();
    let tick = client.until("tick");
    assert_eq!((&tick["seq"], &tick["feed"]), (&41.into(), &"dead".into()));
}

#[test]
fn what_a_snapshot_says_first_is_told_to_the_others_and_a_tick_of_now_says_nothing() {
    let world = served(false);
    let mut first = world.connect();
    first.send(SUBSCRIBE_TICKS);
    assert_eq!(first.until("snapshot")["ticks"][0]["feed"], "live");
    world.clock.advance(40 * SECOND);
    let mut second = world.connect();
    second.send(SUBSCRIBE_TICKS);
    assert_eq!(second.until("snapshot")["ticks"][0]["feed"], "stale");
    assert_eq!(first.until("feed")["feed"], "stale");
    // It comes back before anybody has looked a second time: both must hear of it.
    world.state.snapshots.publish(traded(&world));
    world.say(vec![], vec![super::world::tick(world.aapl, 42)]);
    for client in [&mut first, &mut second] {
        let tick = client.until("tick");
        assert!(tick.get("feed").is_none(), "{tick}");
        assert_eq!(client.until("feed")["feed"], "live");
    }
    assert_ne!(world.state.now(), NOW);
}
