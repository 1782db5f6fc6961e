//! A past that comes while clients listen: they are shown what came of it, and hear none of it bar by bar.

use super::world::{EPOCH, World, closed, snapshot_of};
use super::{SUBSCRIBE_BARS, subscribe_bars_since};
use serde_json::{Value, json};
use tickwire::config::Limits;
use tickwire::models::effect::Effect;
use tickwire::models::symbol::SymbolId;

/// The past of a symbol: bars with the numbers up to `last`, and their indicators.
fn past(symbol: SymbolId, last: u64) -> Vec<Effect> {
    (1..=last).flat_map(|nth| closed(symbol, nth)).collect()
}

#[test]
fn a_past_is_shown_as_one_snapshot_and_the_numbers_go_on_behind_it() {
    let world = World::start(Limits::default(), true);
    world.begin();
    let mut client = world.connect();
    let request = json!({"type": "subscribe", "symbols": ["*"], "channels": ["ticks", "bars", "indicators"]});
    client.send(&request.to_string());
    client.until("snapshot");
    // Between two live bars of another symbol, in one message.
    let effects = [closed(world.msft, 7), past(world.aapl, 300), closed(world.msft, 8)].concat();
    world.state.snapshots.publish(snapshot_of(world.aapl, 300));
    world.say_past(effects, 2..602);
    world.say(closed(world.aapl, 301), vec![]);
    let mut heard: Vec<(String, String, Value)> = Vec::new();
    while heard.last().is_none_or(|(_, symbol, seq)| (symbol.as_str(), seq) != ("AAPL", &json!(301))) {
        let frame = client.frame();
        let (kind, shown) = match frame["type"].as_str().unwrap() {
            "bar" if frame["state"] == "forming" => continue,
            "snapshot" => ("snapshot", &frame["bars"]),
            "bar" => ("bar", &frame),
            "tick" => ("tick", &frame),
            _ => continue,
        };
        let shown = if shown.is_array() { &shown[0] } else { shown };
        if shown.is_object() {
            heard.push((kind.to_owned(), shown["symbol"].as_str().unwrap().to_owned(), shown["seq"].clone()));
        }
    }
    let expected = [("bar", "MSFT", 7), ("snapshot", "AAPL", 300), ("bar", "MSFT", 8), ("bar", "AAPL", 301)];
    let bars: Vec<_> = heard.iter().filter(|(kind, ..)| kind != "tick").collect();
    let bars: Vec<_> =
        bars.iter().map(|(k, s, seq)| (k.as_str(), s.as_str(), seq.as_u64().unwrap())).collect();
    assert_eq!(bars, expected);
    let ticks: Vec<_> = heard.iter().filter(|(kind, ..)| kind == "tick").collect();
    assert_eq!(ticks.len(), 1, "the last tick, so that a symbol that trades seldom has a price: {ticks:?}");

    // Who comes later sees the same, and goes on from it; what led to it is in the history.
    let mut later = world.connect();
    later.send(SUBSCRIBE_BARS);
    assert_eq!(later.until("snapshot")["bars"][0]["seq"], 301);
    for (known, answer) in [(300, "bar"), (299, "resync")] {
        let mut back = world.connect();
        back.send(&subscribe_bars_since(EPOCH, known));
        back.until("subscription");
        assert_eq!(back.frame()["type"], answer, "knows {known}");
    }
}

#[test]
fn what_is_read_back_before_the_hub_serves_can_be_resumed() {
    let world = World::start(Limits::default(), true);
    world.say_past(past(world.aapl, 20), 0..40);
    world.state.snapshots.publish(snapshot_of(world.aapl, 20));
    world.begin();
    let mut client = world.connect();
    client.send(&subscribe_bars_since(EPOCH, 5));
    let numbers: Vec<Value> = (6..=20).map(|_| client.until("bar")["seq"].clone()).collect();
    assert_eq!(numbers, (6..=20).map(|seq| json!(seq)).collect::<Vec<_>>());
}
