//! Clients that ask for more than is good for the others, and pages that may not ask at all.

use super::world::{Client, RUN, World, bar, closed, snapshot_of, tick};
use super::{seqs, served};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::time::Instant;
use tickwire::config::{ByteSize, Limits};
use tickwire::models::symbol::{SymbolId, SymbolSpec};
use tungstenite::client::IntoClientRequest;

/// Adds symbols that have a closed bar and a last tick.
fn with_symbols(world: &World, count: u32) -> Vec<SymbolId> {
    let name = |nth: u32| SymbolSpec::named(&format!("S{nth:04}"));
    let ids: Vec<SymbolId> = (0..count).map(|nth| world.state.symbols.intern(name(nth))).collect();
    ids.iter().for_each(|id| world.state.snapshots.publish(snapshot_of(*id, 5)));
    ids
}

/// Reads frames up to the answer to a ping.
fn until_pong(client: &mut Client) -> Vec<Value> {
    let mut frames = Vec::new();
    loop {
        let frame = client.frame();
        if frame["type"] == "pong" {
            return frames;
        }
        frames.push(frame);
    }
}

#[test]
fn what_is_repeated_is_answered_once() {
    let world = World::start(Limits::default(), false);
    let ids = with_symbols(&world, 50);
    world.begin();
    let mut client = world.connect();
    client.send(
        &json!({
            "type": "subscribe", "symbols": vec!["*"; 100], "channels": vec!["bars"; 64], "windows": vec!["1min"; 64],
            "forming": false,
        })
        .to_string(),
    );
    let answer = client.until("subscription");
    assert_eq!(answer["symbols"], json!(["*"]));
    let mut num_bars = 0;
    while num_bars < ids.len() {
        let snapshot = client.until("snapshot");
        num_bars += snapshot["bars"].as_array().unwrap().len();
    }
    client.send(r#"{"type":"ping"}"#);
    assert_eq!((num_bars, until_pong(&mut client)), (ids.len(), vec![]), "nothing comes twice");

    let names: Vec<String> = (0..200).map(|nth| format!("X{nth}")).collect();
    let many = json!({"type": "subscribe", "symbols": names, "channels": vec!["bars"; 65]});
    client.send(&many.to_string());
    assert_eq!(client.until("error")["code"], "bad_request");
}

#[test]
fn a_limit_counts_what_is_asked_for_and_not_how_often() {
    let limits = Limits { max_subscriptions: 5, ..Limits::default() };
    let world = World::start(limits, false);
    world.begin();
    let mut client = world.connect();
    let ask = |client: &mut Client, request: Value| {
        client.send(&request.to_string());
        loop {
            let frame = client.frame();
            if frame["type"] == "subscription" || frame["type"] == "error" {
                return frame["code"].as_str().unwrap_or("taken").to_owned();
            }
        }
    };
    let bars =
        |symbols: Value| json!({"type": "subscribe", "symbols": symbols, "channels": ["bars", "bars"]});
    assert_eq!(ask(&mut client, bars(json!(["AAPL", "aapl", "AAPL"]))), "taken");
    assert_eq!(ask(&mut client, bars(json!(["AAPL", "MSFT"]))), "too_many_subscriptions");
    let names: Vec<String> = (0..6).map(|nth| format!("X{nth}")).collect();
    assert_eq!(ask(&mut client, bars(json!(names))), "too_many_subscriptions", "of names that are none, too");
    let seqs: BTreeMap<String, u64> = (0..6).map(|nth| (format!("ticks:X{nth}"), 1)).collect();
    let since = json!({"type": "subscribe", "symbols": ["AAPL"], "since": {"epoch": "x", "seqs": seqs}});
    assert_eq!(ask(&mut client, since), "too_many_subscriptions");
}

#[test]
fn who_asks_for_everything_again_and_again_waits_and_pings_do_not() {
    const NUM_SYMBOLS: u32 = 2_000;
    const NUM_ASKED: usize = 45;
    let world = World::start(Limits::default(), false);
    with_symbols(&world, NUM_SYMBOLS);
    world.begin();
    let mut client = world.connect();
    let start = Instant::now();
    for _ in 0..NUM_ASKED {
        client.send(r#"{"type":"subscribe","symbols":["*"]}"#);
    }
    client.send(r#"{"type":"ping"}"#);
    let frames = until_pong(&mut client);
    let waited = start.elapsed().as_secs() as usize;
    let num_answered = frames.iter().filter(|frame| frame["type"] == "subscription").count();
    // Ten times everything is to be had at once, once a second after that.
    assert!(num_answered <= 11 + waited, "{num_answered} in {waited} s");
    let mut other = world.connect();
    other.send(r#"{"type":"subscribe","symbols":["AAPL"]}"#);
    other.until("snapshot");
}

#[test]
fn requests_beyond_those_that_may_wait_are_refused_and_the_others_answered_in_order() {
    let limits = Limits { max_messages_per_second: 10, ..Limits::default() };
    let world = World::start(limits, false);
    // Nobody is answered yet, so the first request stays in progress and the others wait.
    let mut client = world.connect();
    client.frame();
    let long = "x".repeat(30_000);
    for symbol in ["AAPL", "MSFT", "AAPL"] {
        client.send(&json!({"type": "subscribe", "symbols": [symbol], "filler": long}).to_string());
    }
    client.send(&json!({"type": "unsubscribe", "symbols": ["MSFT"], "filler": long}).to_string());
    assert_eq!(client.frame()["symbols"], json!(["AAPL"]));
    let refused = client.frame();
    assert_eq!((&refused["type"], &refused["code"]), (&json!("error"), &json!("too_many_messages")));
    world.begin();
    client.until("snapshot");
    let next = client.frame();
    assert_eq!((&next["type"], &next["symbols"]), (&json!("subscription"), &json!(["MSFT"])));
}

#[test]
fn a_large_answer_comes_in_parts_and_no_bar_is_missed_or_told_twice_meanwhile() {
    let world = World::start(Limits::default(), false);
    let ids = with_symbols(&world, 2_000);
    world.begin();
    let mut own = world.connect();
    let one =
        r#"{"type":"subscribe","symbols":["S1999"],"channels":["bars"],"windows":["1min"],"forming":false}"#;
    own.send(one);
    own.until("snapshot");
    let mut client = world.connect();
    client.send(
        r#"{"type":"subscribe","symbols":["*"],"channels":["bars"],"windows":["1min"],"forming":false}"#,
    );
    own.send(
        r#"{"type":"subscribe","symbols":["*"],"channels":["bars"],"windows":["1min"],"forming":false}"#,
    );
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // From the last to the first, so that both sides of what was shown are met.
            for id in ids.iter().rev() {
                world.say(closed(*id, 6), vec![]);
            }
            world.say(closed(world.aapl, 6), vec![]);
        });
        for client in [&mut client, &mut own] {
            let mut told: BTreeMap<String, Vec<u64>> = BTreeMap::new();
            let mut num_parts = 0;
            let note = |bar: &Value, told: &mut BTreeMap<String, Vec<u64>>| {
                let name = bar["symbol"].as_str().unwrap().to_owned();
                told.entry(name).or_default().push(bar["seq"].as_u64().unwrap());
            };
            let is_done = |told: &BTreeMap<String, Vec<u64>>| {
                told.len() == ids.len() + 1 && told.values().all(|seqs| seqs.last() == Some(&6))
            };
            while !is_done(&told) {
                let frame = client.frame();
                match frame["type"].as_str() {
                    Some("snapshot") => {
                        num_parts += 1;
                        frame["bars"].as_array().unwrap().iter().for_each(|bar| note(bar, &mut told));
                    }
                    Some("bar") => note(&frame, &mut told),
                    _ => {}
                }
            }
            assert!(num_parts > 5, "{num_parts} parts");
            for (name, seqs) in told.into_iter().filter(|(name, _)| name != "S1999") {
                assert!([vec![5, 6], vec![6]].contains(&seqs), "{name}: {seqs:?}");
            }
        }
    });
    let last = bar(ids[1_999], 7);
    world.say(vec![tickwire::models::effect::Effect::Bar(last)], vec![]);
    for client in [&mut client, &mut own] {
        client.send(r#"{"type":"ping"}"#);
        let rest = until_pong(client);
        let mut rest = seqs(&rest);
        if rest.is_empty() {
            rest.push(client.until("bar")["seq"].as_u64().unwrap());
        }
        assert_eq!(rest, [7], "it goes on, each once");
    }
}

/// The head of a masked frame that announces a payload.
fn head(kind: u8, length: u64) -> Vec<u8> {
    [vec![kind, 0x80 | 127], length.to_be_bytes().to_vec(), vec![0; 4]].concat()
}

#[test]
fn frames_are_refused_by_the_length_that_they_announce() {
    let limits = Limits { max_message_bytes: ByteSize(1_000), ..Limits::default() };
    let world = World::start(limits, false);
    world.begin();
    let fragment = |kind, length: u64| [head(kind, length), vec![0; length as usize]].concat();
    let table: [(Vec<u8>, u16); 5] = [
        (head(0x81, 50 << 30), 1009),
        (head(0x82, 1_001), 1009),
        ([fragment(0x01, 600), fragment(0x00, 300), head(0x80, 101)].concat(), 1009),
        (head(0x89, 50 << 30), 1002),
        (head(0x8a, 126), 1002),
    ];
    for (bytes, code) in table {
        let mut client = world.connect();
        client.frame();
        // Not one byte of the payload is sent: who waits for it waits for ever.
        client.socket.get_mut().write_all(&bytes).unwrap();
        let (frames, (closed, _)) = client.closed();
        assert_eq!(closed, code, "{:?}", &bytes[..2]);
        assert_eq!(frames.last().is_some_and(|frame| frame["code"] == "message_too_long"), code == 1009);
        // What is sent all the same is not read: the connection ends.
        let stream = client.socket.get_mut();
        let block = vec![0; 1 << 20];
        let is_ended = (0..1_000).any(|_| stream.write_all(&block).is_err());
        assert!(is_ended || stream.read(&mut [0]).is_ok_and(|count| count == 0), "it is let go of");
    }
    world.wait_until("all are gone", || world.num_connections() == 0);
}

#[test]
fn pages_of_elsewhere_are_not_let_in() {
    let world = World::start(Limits::default(), false);
    world.begin();
    let address = world.address();
    let connect = |headers: &[(&'static str, &str)]| {
        let mut request = format!("ws://{address}/").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let stream = std::net::TcpStream::connect(address).unwrap();
        match tungstenite::client(request, stream) {
            Ok(_) => 101,
            Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(response))) => {
                response.status().as_u16()
            }
            Err(error) => panic!("{error}"),
        }
    };
    let own = format!("http://{address}");
    for (headers, status) in [
        (vec![], 101),
        (vec![("origin", "http://localhost:3000")], 101),
        (vec![("origin", own.as_str())], 101),
        (vec![("origin", "https://evil.example")], 403),
        (vec![("origin", "null")], 403),
        (vec![("host", "evil.example")], 403),
    ] {
        assert_eq!(connect(&headers), status, "{headers:?}");
    }
}

#[test]
fn numbers_of_ticks_hold_within_a_run_and_up_to_what_was_there_at_its_start() {
    let world = served();
    let mut witness = world.connect();
    witness.send(r#"{"type":"subscribe","symbols":["AAPL"]}"#);
    assert_eq!(witness.until("connection")["run"], RUN);
    witness.until("snapshot");
    world.say(vec![], (42..=45).map(|seq| tick(world.aapl, seq)).collect());
    while witness.until("tick")["seq"] != 45 {}
    let table: [(u64, Option<&str>, Option<u64>); 7] = [
        (40, None, Some(4)),
        (41, Some("another"), Some(3)),
        (41, None, Some(3)),
        (43, Some(RUN), Some(1)),
        (43, None, None),
        (43, Some("another"), None),
        (46, Some(RUN), None),
    ];
    for (known, run, skipped) in table {
        let mut since = json!({"epoch": super::EPOCH, "seqs": {"ticks:AAPL": known}});
        if let Some(run) = run {
            since["run"] = json!(run);
        }
        let mut client = world.connect();
        client.send(&json!({"type": "subscribe", "symbols": ["AAPL"], "since": since}).to_string());
        client.until("subscription");
        let first = client.frame();
        let expected = match skipped {
            Some(_) => (json!("skipped"), Value::Null),
            None => (json!("resync"), json!(["ticks:AAPL"])),
        };
        assert_eq!((&first["type"], &first["topics"]), (&expected.0, &expected.1), "{known} {run:?}");
        assert_eq!(first["count"].as_u64(), skipped, "{known} {run:?}");
    }
}
