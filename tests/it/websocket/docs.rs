//! The samples of frames and `docs/websocket.md` tell the truth: each sample has the fields, the order and the types of
//! a frame that a client got, and each frame in the manual is a sample.

use super::world::{World, anomaly, bar, closed, snapshot_of, tick};
use crate::support::fixtures::{names, read};
use serde_json::Value;
use std::collections::BTreeMap;
use tickwire::config::Limits;
use tickwire::models::anomaly::{Anomaly, AnomalyState};
use tickwire::models::effect::Effect;
use tickwire::models::snapshot::SymbolSnapshot;
use tickwire::models::time::SECOND;
use tickwire::web::live::{CloseReason, ErrorCode};

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
    world.state.snapshots.publish(snapshot_of(world.aapl, 5));
    world.begin();
    let mut client = world.connect();
    client.send("x");
    client.send(r#"{"type":"ping"}"#);
    client.send(
        r#"{"type":"subscribe","symbols":["AAPL","XXXX"],"channels":["ticks","bars","indicators","anomalies","metrics"],
        "windows":["1min"],"forming":false,"since":{"epoch":"other","seqs":{"bars:AAPL:1min":3}}}"#,
    );
    client.send(r#"{"type":"subscribe","symbols":["*"],"channels":["ledger","system"]}"#);
    let mut frames = BTreeMap::new();
    let mut is_said = false;
    while frames.len() < 15 {
        let text = client.text().unwrap();
        let frame: Value = serde_json::from_str(&text).unwrap();
        let kind = frame["type"].as_str().unwrap().to_owned();
        if kind == "snapshot" && !is_said {
            is_said = true;
            let spike = anomaly(world.aapl, 1, AnomalyState::Active);
            world.say(
                [closed(world.aapl, 6), vec![spike]].concat(),
                vec![tick(world.aapl, 42), tick(world.aapl, 44)],
            );
            // Nothing trades any more.
            world.clock.advance(15 * SECOND);
        }
        frames.entry(kind).or_insert(text);
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
fn every_sample_has_the_shape_of_a_real_frame() {
    let real = frames();
    for (kind, frame) in &real {
        assert_eq!(shape(&read(&format!("live/{kind}"))), shape(frame), "{kind}: {frame}");
    }
    assert_eq!(shape(last_tick(&read("live/snapshot"))), shape(last_tick(&real["snapshot"])));
    // What has no kind of its own is a variant of one.
    for name in names("live") {
        let sample: Value = serde_json::from_str(&read(&format!("live/{name}"))).unwrap();
        let kind = sample["type"].as_str().unwrap();
        assert!(real.contains_key(kind) && name.starts_with(kind), "{name} is a `{kind}`");
    }
}

#[test]
fn every_frame_in_it_is_a_sample() {
    let manual = manual();
    let mut shown: Vec<String> = Vec::new();
    for line in manual.lines().filter(|line| line.starts_with("{\"type\":")) {
        let frame: Value = serde_json::from_str(line).unwrap();
        let kind = frame["type"].as_str().unwrap();
        if ["subscribe", "unsubscribe", "ping"].contains(&kind) {
            continue;
        }
        assert_eq!(line, read(&format!("live/{kind}")), "the sample of `{kind}` is another one");
        shown.push(kind.to_owned());
    }
    shown.sort();
    shown.dedup();
    let kinds: Vec<String> = names("live").into_iter().filter(|name| !name.contains('_')).collect();
    assert_eq!(shown, kinds, "one frame of each kind is shown");
    assert!(
        manual.contains(r#""past":{"done":340,"total":1000}"#)
            && read("live/metrics_past").contains(r#""past":{"done":340,"total":1000}"#)
    );
}

#[test]
fn it_names_every_error_and_every_close_code() {
    let manual = manual();
    for code in ErrorCode::ALL {
        assert!(manual.contains(&format!("| `{}` |", code.as_str())), "{}", code.as_str());
    }
    for reason in CloseReason::ALL {
        let row = format!("| {} | `{}` |", reason.code(), reason.reason());
        assert!(manual.contains(&row), "{row}");
    }
    let rows = manual.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, ErrorCode::ALL.len(), "it names no error that there is not");
}

#[test]
fn anomalies_come_to_who_follows_them_each_once_and_withdrawn_ones_too() {
    let world = World::start(Limits::default(), false);
    world.begin();
    let (mut client, mut other) = (world.connect(), world.connect());
    client.send(r#"{"type":"subscribe","symbols":["*"],"channels":["anomalies"]}"#);
    client.until("subscription");
    other.send(r#"{"type":"subscribe","symbols":["AAPL"],"channels":["bars"],"forming":false}"#);
    other.until("snapshot");
    client.until("snapshot");
    let said = |seq, state| anomaly(world.aapl, seq, state);
    world.say(vec![said(1, AnomalyState::Active), said(2, AnomalyState::Withdrawn)], vec![]);
    // A repeat, as after a restart of the symbol's actor.
    world.say(vec![said(2, AnomalyState::Withdrawn), said(3, AnomalyState::Active)], vec![]);
    world.say(closed(world.aapl, 9), vec![]);
    let frames = [1, 2, 3].map(|_| client.until("anomaly"));
    let seqs = frames.each_ref().map(|frame| frame["seq"].as_u64().unwrap());
    assert_eq!(seqs, [1, 2, 3]);
    assert_eq!((frames[1]["state"].as_str(), &frames[1]["id"]), (Some("withdrawn"), &frames[0]["id"]));
    let first: Value = serde_json::from_str(&other.text().unwrap()).unwrap();
    assert_eq!(first["type"], "bar", "nobody else gets them");
}

#[test]
fn what_is_about_no_symbol_comes_to_who_follows_the_anomalies_of_all() {
    let world = World::start(Limits::default(), false);
    world.begin();
    let (mut client, mut other) = (world.connect(), world.connect());
    client.send(r#"{"type":"subscribe","symbols":["*"],"channels":["anomalies"]}"#);
    client.until("snapshot");
    other.send(r#"{"type":"subscribe","symbols":["AAPL"],"channels":["anomalies","bars"],"forming":false}"#);
    other.until("snapshot");
    let condition = |id: &str| Anomaly {
        id: id.to_owned(),
        symbol: "*".to_owned(),
        anomaly_type: "stale_feed".to_owned(),
        ..Anomaly::default()
    };
    for id in ["*/stale_feed/a/1", "*/stale_feed/b/2"] {
        world.announce(condition(id));
    }
    world.say(closed(world.aapl, 9), vec![]);
    let frames = [1, 2].map(|_| client.until("anomaly"));
    assert_eq!(
        frames.map(|frame| (frame["symbol"].clone(), frame["id"].clone(), frame["seq"].clone())),
        [
            ("*".into(), "*/stale_feed/a/1".into(), 1.into()),
            ("*".into(), "*/stale_feed/b/2".into(), 2.into())
        ]
    );
    let first: Value = serde_json::from_str(&other.text().unwrap()).unwrap();
    assert_eq!(first["type"], "bar", "it is about no symbol of theirs");
}

#[test]
fn what_a_preview_adds_is_there() {
    let world = World::start(Limits::default(), false);
    world.begin();
    let mut client = world.connect();
    client.send(r#"{"type":"subscribe","symbols":["AAPL"],"channels":["indicators"],"windows":["1min"]}"#);
    client.until("snapshot");
    world.say(vec![Effect::Bar(bar(world.aapl, 1))], vec![]);
    world.state.snapshots.publish(SymbolSnapshot { pos: 900, ..snapshot_of(world.aapl, 1) });
    assert_eq!(client.until("indicators")["forming"], true);
    assert!(manual().contains("\"forming\":true"));
}
