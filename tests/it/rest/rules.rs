//! Trials of rules: what they find, and how they are refused.

use super::world::{World, bar, trade};
use serde_json::{Value, json};

fn test(world: &World, body: &Value) -> (u16, Value) {
    let answer = world.post("/api/v1/rules/test", &body.to_string());
    (answer.status, answer.json())
}

#[test]
fn a_rule_is_tried_on_stored_bars() {
    let world = World::filled();
    let start = bar(world.btc, 2).start.to_rfc3339();
    // Closes rise by 1 a minute, from 25,001 on.
    let body = json!({"when": "close >= 25006", "symbols": ["btc/usd"], "start_time": start});
    let (status, answer) = test(&world, &body);
    assert_eq!(status, 200, "{answer}");
    assert_eq!((&answer["window"], &answer["fire"]), (&json!("1min"), &json!("bar_close")));
    assert_eq!((&answer["num_judged"], &answer["num_fired"]), (&json!(8), &json!(1)));
    let fired = &answer["fired"][0];
    assert_eq!(fired["time"], bar(world.btc, 5).end().to_rfc3339());
    assert_eq!((&fired["current_value"], &fired["threshold"]), (&json!(25_006), &json!(25_006)));
    assert_eq!(fired["metadata"]["log_pos"], "600");
    let held = json!({"when": "close >= 25006", "for": "2min", "start_time": start});
    assert_eq!(test(&world, &held).1["fired"][0]["time"], bar(world.btc, 7).end().to_rfc3339());
    let always = json!({"when": "rsi_14 > 50 on 1min", "start_time": start});
    assert_eq!(test(&world, &always).1["num_fired"], 0, "it began before the range");
    let before = json!({"when": "rsi_14 > 50", "start_time": "2001-01-01"});
    assert_eq!(test(&world, &before).1["num_fired"], 1);
}

#[test]
fn a_rule_is_tried_on_trades() {
    let world = World::filled();
    let body = json!({"when": "price > 25714", "fire": "tick", "start_time": "-1h"});
    let (status, answer) = test(&world, &body);
    assert_eq!(
        (status, &answer["num_judged"], &answer["num_fired"]),
        (200, &json!(5), &json!(1)),
        "{answer}"
    );
    let first = trade(world.btc, 1, 1_000);
    assert_eq!(answer["fired"][0]["time"], first.body.time().to_rfc3339());
    let metadata = &answer["fired"][0]["metadata"];
    assert_eq!(
        (&metadata["trade_id"], &metadata["log_pos"]),
        (&json!("1001"), &json!("1")),
        "first in the log"
    );
}

#[test]
fn a_fault_is_named_with_its_place() {
    let world = World::filled();
    let table = [
        (json!({}), "when", "missing"),
        (json!({"when": 5}), "when", "a text"),
        (json!({"when": "price >"}), "when", "line 1, column 8: expected"),
        (json!({"when": "rsi < 5"}), "when", "did you mean `rsi_14`?"),
        (json!({"when": "price > 1 on 2min"}), "when", "`1min`"),
        (json!({"when": "price > 1", "window": "2min"}), "window", "no window of this service"),
        (json!({"when": "price > 1", "window": "soon"}), "window", "a window such as"),
        (json!({"when": "price > 1", "for": "-5s"}), "for", "a span such as"),
        (json!({"when": "price > 1", "for": "1y"}), "for", "`31d`"),
        (json!({"when": "price > 1", "fire": "now"}), "fire", "`bar_close`"),
        (json!({"when": "price > 1", "symbols": "A"}), "symbols", "a list"),
        (
            json!({"when": "price > 1", "start_time": "-1h", "end_time": "-2h"}),
            "start_time",
            "after `end_time`",
        ),
        (json!({"when": "price > 1", "end_time": "later"}), "end_time", "a time such as"),
        (json!({"when": "price > 1", "name": "x"}), "body", "`name`"),
    ];
    for (body, param, part) in table {
        let (status, answer) = test(&world, &body);
        assert_eq!((status, &answer["param"]), (422, &json!(param)), "{body}: {answer}");
        assert!(answer["detail"].as_str().unwrap().contains(part), "{body}: {answer}");
    }
    assert_eq!(test(&world, &json!({"when": "price > 1", "symbols": ["NOPE"]})).0, 404);
    assert_eq!(world.get("/api/v1/rules/test").status, 405);
    let page = world.send("POST", 0, "/api/v1/rules/test", &[("Origin", "https://evil.example")]);
    assert_eq!(page.status, 403);
}
