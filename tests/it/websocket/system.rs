//! What a view of the system follows: ledgers by symbol, and the state of the server as a whole.

use super::world::{NOW, World, snapshot_of};
use serde_json::{Value, json};
use tickwire::actors::health::Health;
use tickwire::config::Limits;
use tickwire::metrics::Span;
use tickwire::models::ledger::{Ledger, RejectReason};
use tickwire::models::snapshot::SymbolSnapshot;
use tickwire::models::symbol::SymbolId;
use tickwire::models::time::SECOND;

fn served() -> World {
    let world = World::start(Limits::default(), false);
    publish(&world, world.aapl, 10);
    publish(&world, world.msft, 20);
    world.begin();
    world
}

/// Publishes a snapshot of a symbol with this many reports, of which two came to nothing.
fn publish(world: &World, symbol: SymbolId, received: u64) {
    let mut ledger = Ledger { received, in_bars: received - 2, late: 1, ..Ledger::default() };
    ledger.reject(RejectReason::BadPrice);
    world.state.snapshots.publish(SymbolSnapshot { ledger, ..snapshot_of(symbol, 5) });
}

fn counts(received: u64) -> Value {
    json!({
        "received": received, "in_bars": received - 2, "filtered": 0, "late": 1, "duplicate": 0, "rejected": 1,
        "cancelled": 0, "residue": 0,
    })
}

#[test]
fn ledgers_are_shown_at_once_and_then_only_those_that_change() {
    let world = served();
    let mut client = world.connect();
    client.send(r#"{"type":"subscribe","symbols":["*"],"channels":["ledger","system"]}"#);
    let snapshot = client.until("snapshot");
    let shown: Vec<(&Value, &Value)> =
        snapshot["ledgers"].as_array().unwrap().iter().map(|row| (&row["symbol"], &row["ledger"])).collect();
    assert_eq!(shown, [(&json!("AAPL"), &counts(10)), (&json!("MSFT"), &counts(20))]);
    // The first second has all of them once more, since the hub had not published any.
    client.until("system");
    client.until("system");
    publish(&world, world.msft, 21);
    let mut changed = Vec::new();
    let mut num_systems = 0;
    while num_systems < 2 || changed.is_empty() {
        let frame = client.frame();
        match frame["type"].as_str().unwrap() {
            "ledger" => changed.push((frame["symbol"].clone(), frame["ledger"].clone())),
            "system" => num_systems += 1,
            other => panic!("nobody asked for `{other}`"),
        }
    }
    assert_eq!(changed, [(json!("MSFT"), counts(21))]);
}

#[test]
fn a_feed_that_falls_silent_changes_the_ledgers_row_and_the_counts() {
    let world = served();
    let mut client = world.connect();
    client.send(r#"{"type":"subscribe","symbols":["AAPL"],"channels":["ledger"]}"#);
    assert_eq!(client.until("snapshot")["ledgers"][0]["feed"], "live");
    client.until("ledger");
    world.clock.advance(40 * SECOND);
    let frame = client.until("ledger");
    assert_eq!((&frame["symbol"], &frame["feed"]), (&json!("AAPL"), &json!("stale")));
    client.send(r#"{"type":"subscribe","symbols":["*"],"channels":["system"]}"#);
    let feeds = &client.until("system")["feeds"];
    assert_eq!(feeds, &json!({"live": 0, "quiet": 0, "stale": 2, "dead": 0}));
}

#[test]
fn the_figures_of_the_whole_are_those_of_rest() {
    let world = served();
    let metrics = &world.state.metrics;
    let aapl = metrics.symbol("AAPL");
    metrics.sample(NOW.plus(-SECOND));
    aapl.ticks.inc_by(250);
    aapl.bars.inc_by(2);
    metrics.observe(Span::ReceivedToBar, NOW, NOW.plus(700_000));
    metrics.observe(Span::ReceivedToSent, NOW, NOW.plus(3_000_000));
    metrics.sample(NOW);
    world.state.health.set("venue", Health::Degraded, "it does not answer");
    let mut client = world.connect();
    client.send(r#"{"type":"subscribe","symbols":["*"],"channels":["system"]}"#);
    let frame = client.until("system");
    assert_eq!(frame["timestamp"], "2023-09-05T01:00:00Z");
    assert_eq!((&frame["messages_per_second"], &frame["bars_per_second"]), (&json!(250), &json!(2)));
    let expected = metrics.with_history(|history| history.latency(NOW.plus(-SECOND)));
    let found = frame["latency"].as_object().unwrap();
    assert_eq!(found.len(), 4, "two stages were timed: {found:?}");
    assert_eq!(found.len(), expected.len());
    for point in expected {
        assert_eq!(found[point.field].as_f64(), Some(point.value), "{}", point.field);
    }
    assert_eq!(frame["dead_letters"], json!({"bad_price": 2, "late": 2}));
    assert_eq!((&frame["ledger"]["received"], &frame["ledger"]["residue"]), (&json!(30), &json!(0)));
    let components = json!([
        {"name": "log", "status": "healthy", "message": ""},
        {"name": "venue", "status": "degraded", "message": "it does not answer"},
    ]);
    assert_eq!(frame["components"], components);
}

#[test]
fn who_unsubscribes_gets_no_more_of_it() {
    let world = served();
    let mut client = world.connect();
    client.send(r#"{"type":"subscribe","symbols":["*"],"channels":["ledger","system","metrics"]}"#);
    client.until("system");
    client.send(r#"{"type":"unsubscribe","symbols":["*"],"channels":["ledger","system"]}"#);
    client.until("subscription");
    publish(&world, world.aapl, 11);
    for _ in 0..2 {
        // What was on its way comes before the next figures.
        client.until("metrics");
    }
    publish(&world, world.aapl, 12);
    for _ in 0..2 {
        assert_eq!(client.frame()["type"], "metrics");
    }
}
