//! The live feed as clients see it.

mod abuse;
mod docs;
mod feeds;
mod panics;
mod past;
mod requests;
mod restart;
mod slow;
mod system;
mod world;

use futures_util::FutureExt;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use tickwire::config::{ByteSize, Limits};
use tickwire::models::bar::BarState;
use tickwire::models::effect::Effect;
use tickwire::models::time::SECOND;
use tungstenite::Message;
use world::{Client, EPOCH, World, bar, closed, snapshot_of, tick};

const SUBSCRIBE_BARS: &str =
    r#"{"type":"subscribe","symbols":["AAPL"],"channels":["bars"],"windows":["1min"],"forming":false}"#;

fn served() -> World {
    let world = World::start(Limits::default(), true);
    world.state.snapshots.publish(snapshot_of(world.aapl, 5));
    world.begin();
    world
}

fn seqs(frames: &[Value]) -> Vec<u64> {
    frames.iter().filter(|frame| frame["type"] == "bar").map(|frame| frame["seq"].as_u64().unwrap()).collect()
}

/// Reads bars up to a number.
fn bars_through(client: &mut Client, last: u64) -> Vec<u64> {
    let mut seqs = Vec::new();
    while seqs.last() != Some(&last) {
        let frame = client.until("bar");
        seqs.push(frame["seq"].as_u64().unwrap());
    }
    seqs
}

fn subscribe_bars_since(epoch: &str, seq: u64) -> String {
    json!({
        "type": "subscribe", "symbols": ["AAPL"], "channels": ["bars"], "windows": ["1min"], "forming": false,
        "since": {"epoch": epoch, "seqs": {"bars:AAPL:1min": seq}},
    })
    .to_string()
}

#[test]
fn who_asks_for_nothing_gets_the_last_ticks_then_all_until_the_first_subscription() {
    let world = served();
    let mut client = world.connect();
    assert_eq!(client.frame()["type"], "connection");
    let last = client.frame();
    assert_eq!((&last["symbol"], &last["seq"]), (&json!("AAPL"), &json!(41)));
    world.say(vec![], vec![tick(world.msft, 1), tick(world.aapl, 42)]);
    let mut heard = [client.frame(), client.frame()];
    heard.sort_by_key(|frame| frame["symbol"].to_string());
    assert_eq!((&heard[0]["seq"], &heard[1]["seq"]), (&json!(42), &json!(1)));

    client.send(r#"{"type":"subscribe","symbols":["msft","nope","MSFT"]}"#);
    let answer = client.until("subscription");
    assert_eq!((&answer["symbols"], &answer["unknown"]), (&json!(["MSFT"]), &json!(["nope"])));
    let snapshot = client.frame();
    assert_eq!((&snapshot["type"], &snapshot["epoch"]), (&json!("snapshot"), &json!(EPOCH)));
    assert_eq!(snapshot["ticks"][0]["seq"], 1);
    world.say(vec![], vec![tick(world.aapl, 43), tick(world.msft, 2)]);
    assert_eq!(client.until("tick")["symbol"], "MSFT");
    client.send(r#"{"type":"unsubscribe","symbols":["*"]}"#);
    assert_eq!(client.until("subscription")["action"], "unsubscribe");
    world.wait_until("nobody wants ticks", || !world.demand.ticks());
}

#[test]
fn broadcast_can_be_off() {
    let world = World::start(Limits::default(), false);
    world.begin();
    let mut client = world.connect();
    client.send(r#"{"type":"ping"}"#);
    assert_eq!(client.frame()["type"], "connection");
    assert_eq!(client.frame()["type"], "pong");
    assert!(!world.demand.ticks(), "nobody works for ticks that nobody wants");
}

#[test]
fn a_client_with_all_and_with_one_gets_each_tick_once_and_told_how_many_were_missed() {
    let world = served();
    let mut client = world.connect();
    client.send(r#"{"type":"subscribe","symbols":["AAPL"]}"#);
    client.until("snapshot");
    client.send(r#"{"type":"subscribe","symbols":["*"]}"#);
    client.until("snapshot");
    world.say(vec![], vec![tick(world.aapl, 42), tick(world.aapl, 42), tick(world.aapl, 45)]);
    let skipped = client.until("skipped");
    assert_eq!((&skipped["symbol"], &skipped["count"]), (&json!("AAPL"), &json!(2)));
    assert_eq!([client.frame()["seq"].clone(), client.frame()["seq"].clone()], [json!(42), json!(45)]);
    client.send(r#"{"type":"ping"}"#);
    assert_eq!(client.frame()["type"], "pong");
}

#[test]
fn who_begins_to_follow_is_told_of_no_skipped_ticks_that_were_before() {
    let world = served();
    let mut client = world.connect();
    client.send(r#"{"type":"subscribe","symbols":["AAPL"]}"#);
    let snapshot = client.until("snapshot");
    assert_eq!(snapshot["ticks"][0]["seq"], 41);
    // Two trades that were under way when nobody followed ticks yet, and so came to no client.
    world.say(vec![], vec![tick(world.aapl, 44)]);
    assert_eq!(client.frame()["seq"], 44, "none of them was skipped");
    world.say(vec![], vec![tick(world.aapl, 47)]);
    assert_eq!((client.frame()["count"].clone(), client.frame()["seq"].clone()), (json!(2), json!(47)));
}

#[test]
fn bars_and_indicators_come_by_window_and_forming_ones_where_wanted() {
    let world = served();
    let mut client = world.connect();
    client.send(
        r#"{"type":"subscribe","symbols":["AAPL"],"channels":["bars","indicators"],"windows":["1min"]}"#,
    );
    let snapshot = client.until("snapshot");
    let states: Vec<&Value> = snapshot["bars"].as_array().unwrap().iter().map(|bar| &bar["state"]).collect();
    assert_eq!(states, ["closed", "forming"]);
    assert_eq!((&snapshot["indicators"][0]["seq"], &snapshot["ticks"]), (&json!(5), &json!([])));

    world.wait_until("previews are wanted", || world.demand.previews());
    let moved = snapshot_of(world.aapl, 5);
    world.state.snapshots.publish(tickwire::models::snapshot::SymbolSnapshot { pos: moved.pos + 1, ..moved });
    let forming = client.until("bar");
    assert_eq!((&forming["state"], &forming["seq"]), (&json!("forming"), &json!(5)));
    let preview = client.until("indicators");
    assert_eq!(preview["forming"], true);

    world.say(closed(world.aapl, 6), vec![]);
    let bar = client.until("bar");
    assert_eq!((&bar["state"], &bar["seq"]), (&json!("closed"), &json!(6)));
    let indicators = client.until("indicators");
    assert_eq!((&indicators["seq"], indicators.get("forming")), (&json!(6), None));
}

#[test]
fn a_bar_is_told_once_the_log_holds_it_and_never_twice() {
    let world = served();
    world.durability.position().store(60, Ordering::Release);
    let mut client = world.connect();
    client.send(SUBSCRIBE_BARS);
    client.until("snapshot");
    world.say(closed(world.aapl, 6), vec![]);
    world.say(closed(world.aapl, 6), vec![]);
    world.say(closed(world.aapl, 7), vec![]);
    assert_eq!(client.until("bar")["seq"], 6);
    client.send(r#"{"type":"ping"}"#);
    assert_eq!(client.frame()["type"], "pong", "the log does not hold the seventh");
    world.durability.position().store(70, Ordering::Release);
    assert_eq!(client.until("bar")["seq"], 7);
}

#[test]
fn the_log_is_asked_to_commit_when_somebody_waits_for_a_bar_and_only_then() {
    let world = served();
    world.durability.position().store(60, Ordering::Release);
    let is_asked = || world.durability.flush_requested().now_or_never().is_some();
    let mut client = world.connect();
    client.send(r#"{"type":"subscribe","symbols":["AAPL"],"channels":["ticks"]}"#);
    client.until("snapshot");
    world.say(closed(world.aapl, 7), vec![tick(world.aapl, 42)]);
    assert_eq!(client.until("tick")["seq"], 42);
    assert!(!is_asked(), "nobody waits for bars");

    client.send(SUBSCRIBE_BARS);
    client.until("snapshot");
    world.say(closed(world.aapl, 8), vec![]);
    world.wait_until("the log is asked", is_asked);
    world.durability.position().store(80, Ordering::Release);
    assert_eq!(client.until("bar")["seq"], 7);
    assert_eq!(client.until("bar")["seq"], 8);
    let timed = "processing_latency_seconds_count{component=\"received_to_bar_sent\"} ";
    world.wait_until("how long the bars took is known", || {
        let metrics = world.state.metrics.encode();
        metrics.lines().find_map(|line| line.strip_prefix(timed)).is_some_and(|count| count != "0")
    });
}

#[test]
fn who_comes_back_gets_what_it_missed_once() {
    let world = served();
    let mut witness = world.connect();
    witness.send(SUBSCRIBE_BARS);
    witness.until("snapshot");
    for nth in 6..=9 {
        world.say(closed(world.aapl, nth), vec![]);
    }
    let amended = tickwire::models::bar::Bar {
        state: BarState::Amended,
        revision: 1,
        seq: 10,
        log_pos: 100,
        ..bar(world.aapl, 8)
    };
    world.say(vec![Effect::Bar(amended)], vec![]);
    while witness.until("bar")["seq"] != 10 {}
    let mut client = world.connect();
    client.send(&subscribe_bars_since(EPOCH, 7));
    client.until("subscription");
    let missed = [client.frame(), client.frame(), client.frame()];
    assert_eq!(seqs(&missed), [8, 9, 10]);
    assert_eq!((&missed[2]["state"], &missed[2]["revision"]), (&json!("amended"), &json!(1)));
    let snapshot = client.frame();
    assert_eq!((&snapshot["type"], &snapshot["bars"]), (&json!("snapshot"), &json!([])));
    world.say(closed(world.aapl, 11), vec![]);
    assert_eq!(client.frame()["seq"], 11);
}

#[test]
fn after_a_restart_the_history_gives_what_was_missed_or_the_client_is_told_to_read_anew() {
    let symbol = tickwire::models::symbol::SymbolId(0);
    let past: Vec<Effect> = (1..=5).flat_map(|nth| closed(symbol, nth)).collect();
    let world = World::with_history(Limits::default(), false, &past);
    world.state.snapshots.publish(snapshot_of(world.aapl, 5));
    world.begin();
    let mut witness = world.connect();
    witness.send(SUBSCRIBE_BARS);
    witness.until("snapshot");
    world.say(closed(world.aapl, 6), vec![]);
    while witness.until("bar")["seq"] != 6 {}
    let table: [(&str, u64, &[u64]); 5] =
        [(EPOCH, 3, &[4, 5, 6]), (EPOCH, 5, &[6]), (EPOCH, 6, &[]), (EPOCH, 99, &[]), ("other", 5, &[])];
    for (epoch, known, missed) in table {
        let mut client = world.connect();
        client.send(&subscribe_bars_since(epoch, known));
        client.until("subscription");
        let is_anew = epoch != EPOCH || known > 6;
        let mut frames = Vec::new();
        let snapshot = loop {
            let frame = client.frame();
            if frame["type"] == "snapshot" {
                break frame;
            }
            frames.push(frame);
        };
        assert_eq!(seqs(&frames), missed, "{epoch} {known}");
        assert_eq!(frames.iter().any(|frame| frame["type"] == "resync"), is_anew, "{epoch} {known}");
        let expected = if is_anew { 1 } else { 0 };
        assert_eq!(snapshot["bars"].as_array().unwrap().len(), expected, "{epoch} {known}");
    }
    // A bar that was amended after it was missed: its newest revision stands for all.
    let world = {
        let mut past = past;
        let late = bar(symbol, 4);
        past.push(Effect::Bar(tickwire::models::bar::Bar { seq: 6, log_pos: 60, revision: 1, ..late }));
        World::with_history(Limits::default(), false, &past)
    };
    let mut newest = snapshot_of(world.aapl, 6);
    newest.pos = 70;
    world.state.snapshots.publish(newest);
    world.begin();
    let mut client = world.connect();
    client.send(&subscribe_bars_since(EPOCH, 3));
    client.until("subscription");
    let told = [client.frame(), client.frame()];
    assert_eq!(seqs(&told), [5, 6], "each as it is now; the fourth is not what it was");
    assert_eq!((&told[1]["revision"], &client.frame()["type"]), (&json!(1), &json!("snapshot")));
}

#[test]
fn limits_are_told_and_enforced() {
    let limits = Limits {
        max_connections: 2,
        max_subscriptions: 3,
        max_message_bytes: ByteSize(200),
        max_messages_per_second: 5,
        ..Limits::default()
    };
    let world = World::start(limits, false);
    world.begin();
    let (mut first, mut second) = (world.connect(), world.connect());
    assert_eq!([first.frame()["type"].clone(), second.frame()["type"].clone()], ["connection", "connection"]);
    let (frames, ending) = world.connect().closed();
    assert_eq!(
        (frames[0]["code"].as_str(), ending),
        (Some("too_many_connections"), (4029, "limit".to_owned()))
    );

    first.send(
        r#"{"type":"subscribe","symbols":["AAPL","MSFT"],"channels":["bars"],"windows":["1min","5min"]}"#,
    );
    assert_eq!(first.frame()["code"], "too_many_subscriptions");
    first.send(
        r#"{"type":"subscribe","symbols":["AAPL"],"channels":["bars"],"windows":["1min","5min","15min"]}"#,
    );
    first.until("subscription");
    first.send(&format!(r#"{{"type":"ping","filler":"{}"}}"#, "x".repeat(200)));
    let (frames, ending) = first.closed();
    assert_eq!(frames.last().unwrap()["code"], "message_too_long");
    assert_eq!(ending, (1009, "limit".to_owned()));

    world.wait_until("the first is gone", || world.num_connections() == 1);
    for _ in 0..100 {
        second.socket.write(Message::text(r#"{"type":"ping"}"#)).unwrap();
    }
    second.socket.flush().unwrap();
    let (frames, ending) = second.closed();
    let pongs = frames.iter().filter(|frame| frame["type"] == "pong").count();
    assert_eq!((pongs, ending), (5, (4029, "limit".to_owned())));
    assert!(frames.iter().any(|frame| frame["code"] == "too_many_messages"));
}

#[test]
fn a_message_may_come_in_pieces_and_nonsense_is_told() {
    use tungstenite::protocol::frame::Frame;
    use tungstenite::protocol::frame::coding::{Data, OpCode};
    let world = World::start(Limits::default(), false);
    world.begin();
    let mut client = world.connect();
    client.frame();
    for (data, text, is_last) in [(Data::Text, "{\"type\":", false), (Data::Continue, "\"ping\"}", true)] {
        let frame = Frame::message(text.as_bytes().to_vec(), OpCode::Data(data), is_last);
        client.socket.send(Message::Frame(frame)).unwrap();
    }
    assert_eq!(client.frame()["type"], "pong");
    let table = [
        ("x", "bad_json"),
        ("[]", "bad_request"),
        (r#"{"type":"subscribe"}"#, "bad_request"),
        (r#"{"type":"subscribe","symbols":[1]}"#, "bad_request"),
        (r#"{"type":"fly"}"#, "unknown_type"),
        (r#"{"type":"subscribe","symbols":["AAPL"],"channels":["x"]}"#, "unknown_channel"),
        (r#"{"type":"subscribe","symbols":["AAPL"],"windows":["7min"]}"#, "unknown_window"),
    ];
    for (text, code) in table {
        client.send(text);
        assert_eq!(client.frame()["code"], code, "{text}");
    }
}

#[test]
fn a_stop_is_told_behind_what_waits() {
    let world = served();
    let mut client = world.connect();
    client.send(SUBSCRIBE_BARS);
    client.until("snapshot");
    world.say(closed(world.aapl, 6), vec![]);
    world.stop_serving();
    let (frames, closed) = client.closed();
    assert_eq!((seqs(&frames), closed), (vec![6], (1001, "shutdown".to_owned())));
    let (_, closed) = world.connect().closed();
    assert_eq!(closed, (1001, "shutdown".to_owned()), "nobody is let in any more");
}

#[test]
fn the_state_of_a_feed_and_the_servers_pace_are_told() {
    let world = served();
    let mut client = world.connect();
    client.send(r#"{"type":"subscribe","symbols":["*"],"channels":["ticks","metrics"]}"#);
    assert_eq!(client.until("snapshot")["ticks"][0]["feed"], "live");
    assert_eq!(client.until("metrics")["residue"], 0);
    world.clock.advance(40 * SECOND);
    assert_eq!(client.until("feed")["feed"], "stale");
}

#[test]
fn bars_come_in_order_even_while_many_come_and_go() {
    let world = served();
    let mut client = world.connect();
    client.send(SUBSCRIBE_BARS);
    client.until("snapshot");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for nth in 6..206 {
                world.say(closed(world.aapl, nth), vec![tick(world.aapl, 36 + nth)]);
            }
        });
        for _ in 0..20 {
            let mut other = world.connect();
            other.send(SUBSCRIBE_BARS);
            let snapshot = other.until("snapshot");
            let first = snapshot["bars"][0]["seq"].as_u64().unwrap();
            if first < 205 {
                assert_eq!(bars_through(&mut other, 205), (first + 1..=205).collect::<Vec<_>>());
            }
        }
    });
    assert_eq!(bars_through(&mut client, 205), (6..=205).collect::<Vec<_>>());
    world.wait_until("all others are gone", || world.num_connections() == 1);
}
