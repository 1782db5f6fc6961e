//! `docs/websocket.md` tells the truth: its frames have the fields, the order and the types of real ones.

use super::world::{World, bar, closed, tick, view};
use serde_json::Value;
use std::collections::BTreeMap;
use tickwire::config::Limits;
use tickwire::models::effect::Effect;
use tickwire::models::time::SECOND;
use tickwire::models::view::SymbolView;
use tickwire::web::live::{Ending, ErrorCode};

fn manual() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/websocket.md")).unwrap()
}

/// Fields of an object in their order, with the types of their values.
fn shape(text: &str) -> Vec<(String, &'static str)> {
    // A map of serde_json's sorts its keys: the order is read from the text.
    let object: serde_json::Map<String, Value> = serde_json::from_str(text).unwrap();
    let mut fields: Vec<(usize, String, &'static str)> = object
        .iter()
        .map(|(name, value)| {
            let at = text.find(&format!("\"{name}\":")).expect("the field is in the text");
            let kind = match value {
                Value::Null | Value::Number(_) => "number",
                Value::Bool(_) => "truth",
                Value::String(_) => "text",
                Value::Array(_) => "list",
                Value::Object(_) => "object",
            };
            (at, name.clone(), kind)
        })
        .collect();
    fields.sort();
    fields.into_iter().map(|(_, name, kind)| (name, kind)).collect()
}

/// One text of each type of frame that the server sends.
fn frames() -> BTreeMap<String, String> {
    let world = World::start(Limits::default(), false);
    world.state.views.publish(view(world.aapl, 5));
    world.begin();
    let mut client = world.connect();
    client.send("x");
    client.send(r#"{"type":"ping"}"#);
    client.send(
        r#"{"type":"subscribe","symbols":["AAPL","XXXX"],"channels":["ticks","bars","indicators","metrics"],
        "windows":["1min"],"forming":false,"since":{"epoch":"other","seqs":{"bars:AAPL:1min":3}}}"#,
    );
    let mut frames = BTreeMap::new();
    let mut is_said = false;
    while frames.len() < 12 {
        let text = client.text().unwrap();
        let frame: Value = serde_json::from_str(&text).unwrap();
        let kind = frame["type"].as_str().unwrap().to_owned();
        if kind == "snapshot" && !is_said {
            is_said = true;
            world.say(closed(world.aapl, 6), vec![tick(world.aapl, 42), tick(world.aapl, 44)]);
            // Nothing trades any more.
            world.clock.advance(15 * SECOND);
        }
        frames.insert(kind, text);
    }
    frames
}

/// The text of the first tick of a snapshot.
fn last_tick(snapshot: &str) -> &str {
    let from = snapshot.find("{\"type\":\"tick\"").expect("the snapshot has a tick");
    let len = snapshot[from..].find('}').expect("it ends");
    &snapshot[from..=from + len]
}

#[test]
fn every_frame_in_it_has_the_shape_of_a_real_one() {
    let manual = manual();
    let mut documented: BTreeMap<String, &str> = BTreeMap::new();
    for line in manual.lines().filter(|line| line.starts_with("{\"type\":")) {
        let frame: Value = serde_json::from_str(line).unwrap();
        documented.entry(frame["type"].as_str().unwrap().to_owned()).or_insert(line);
    }
    for asked in ["subscribe", "unsubscribe", "ping"] {
        documented.remove(asked).expect("what a client sends is there");
    }
    let real = frames();
    assert_eq!(documented.keys().collect::<Vec<_>>(), real.keys().collect::<Vec<_>>());
    let snapshot = documented["snapshot"];
    for (kind, line) in documented {
        assert_eq!(shape(line), shape(&real[&kind]), "{kind}: {}", real[&kind]);
    }
    assert_eq!(shape(last_tick(snapshot)), shape(last_tick(&real["snapshot"])));
}

#[test]
fn it_names_every_error_and_every_close_code() {
    let manual = manual();
    for code in ErrorCode::ALL {
        assert!(manual.contains(&format!("| `{}` |", code.as_str())), "{}", code.as_str());
    }
    for ending in Ending::ALL {
        let row = format!("| {} | `{}` |", ending.code(), ending.reason());
        assert!(manual.contains(&row), "{row}");
    }
    let rows = manual.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, ErrorCode::ALL.len(), "it names no error that there is not");
}

#[test]
fn what_a_preview_adds_is_there() {
    let world = World::start(Limits::default(), false);
    world.begin();
    let mut client = world.connect();
    client.send(r#"{"type":"subscribe","symbols":["AAPL"],"channels":["indicators"],"windows":["1min"]}"#);
    client.until("snapshot");
    world.say(vec![Effect::Bar(bar(world.aapl, 1))], vec![]);
    world.state.views.publish(SymbolView { pos: 900, ..view(world.aapl, 1) });
    assert_eq!(client.until("indicators")["forming"], true);
    assert!(manual().contains("\"forming\":true"));
}
