//! Clients that read slowly, at intervals or not at all: others notice nothing, and they are told or closed.

use super::world::{Client, Closed, World, bar, snapshot_of, tick};
use super::{SUBSCRIBE_BARS, seqs, served};
use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tickwire::actors::messages::LiveTick;
use tickwire::config::Limits;
use tickwire::models::effect::Effect;
use tungstenite::Message;

/// Ticks of one symbol, some megabytes of frames.
fn flood(world: &World, first: u64, count: u64) {
    for start in (first..first + count).step_by(500) {
        let ticks: Vec<LiveTick> =
            (start..(start + 500).min(first + count)).map(|seq| tick(world.aapl, seq)).collect();
        world.say(vec![], ticks);
    }
}

#[test]
fn a_reader_that_stops_costs_others_nothing_and_is_told_what_it_missed() {
    const COUNT: u64 = 100_000;
    let world = served();
    let mut stopped: Vec<Client> = (0..10).map(|_| world.connect()).collect();
    for client in &mut stopped {
        client.send(r#"{"type":"subscribe","symbols":["AAPL"]}"#);
        client.until("snapshot");
    }
    let mut reader = world.connect();
    reader.send(r#"{"type":"subscribe","symbols":["AAPL"]}"#);
    reader.until("snapshot");
    let mut next = 42;
    std::thread::scope(|scope| {
        scope.spawn(|| flood(&world, 42, COUNT));
        while next < 42 + COUNT {
            let frame = reader.frame();
            match frame["type"].as_str() {
                // A reader on a busy machine may fall behind as well; what it is told must add up.
                Some("skipped") => next += frame["count"].as_u64().unwrap(),
                Some("tick") => {
                    assert_eq!(frame["seq"], next);
                    next += 1;
                }
                _ => {}
            }
        }
    });
    for client in &mut stopped {
        let (mut next, mut num_ticks) = (42, 0);
        while next < 42 + COUNT {
            let frame = client.frame();
            match frame["type"].as_str() {
                Some("skipped") => next += frame["count"].as_u64().unwrap(),
                Some("tick") => {
                    assert_eq!(frame["seq"], next);
                    next += 1;
                    num_ticks += 1;
                }
                _ => {}
            }
        }
        assert!(num_ticks < COUNT, "nobody keeps 16 MB for a client that does not read");
    }
}

#[test]
fn who_wants_ticks_at_intervals_gets_the_newest_of_each_symbol_and_bars_at_once() {
    const COUNT: u64 = 10_000;
    let world = served();
    for (symbols, first) in [(r#"["AAPL"]"#, 42), (r#"["*"]"#, 42 + COUNT)] {
        let mut client = world.connect();
        let request = r#"{"type":"subscribe","channels":["ticks","bars"],"interval_ms":100,"symbols":"#;
        client.send(&format!("{request}{symbols}}}"));
        client.until("snapshot");
        flood(&world, first, COUNT);
        let mut num_ticks = 0;
        loop {
            let frame = client.until("tick");
            num_ticks += 1;
            if frame["seq"] == first + COUNT - 1 {
                break;
            }
        }
        assert!(num_ticks < COUNT / 10, "{symbols}: {num_ticks} ticks");
        client.send(r#"{"type":"ping"}"#);
        assert_eq!(client.frame()["type"], "pong", "nothing is told as skipped");
    }
}

#[test]
fn a_client_that_does_not_keep_up_with_bars_is_closed_as_slow() {
    let world = served();
    let mut client = world.connect();
    client.send(SUBSCRIBE_BARS);
    client.until("snapshot");
    let mut nth = 6;
    world.wait_until("it is let go", || {
        let effects = (nth..nth + 500).map(|nth| Effect::Bar(bar(world.aapl, nth))).collect();
        world.say(effects, vec![]);
        nth += 500;
        // What the sockets hold themselves is some megabytes.
        nth > 60_000
    });
    let (frames, closed) = client.closed();
    assert_eq!(closed, (4013, "slow".to_owned()));
    let told = seqs(&frames);
    assert!(told.windows(2).all(|pair| pair[0] + 1 == pair[1]), "what was told before has no hole");
}

#[test]
fn a_client_that_takes_nothing_for_long_is_closed_as_slow() {
    let limits = Limits { stall_timeout: Duration::from_millis(100), ..Limits::default() };
    let world = World::start(limits, false);
    world.state.snapshots.publish(snapshot_of(world.aapl, 5));
    world.begin();
    let mut client = world.connect();
    client.send(r#"{"type":"subscribe","symbols":["AAPL"]}"#);
    client.until("snapshot");
    // The look for those who take nothing comes once a second; meanwhile the market goes on.
    let (start, mut first) = (Instant::now(), 42);
    while start.elapsed() < Duration::from_secs(3) {
        flood(&world, first, 10_000);
        first += 10_000;
    }
    let (_, closed) = client.closed();
    assert_eq!(closed, (4013, "slow".to_owned()));
    world.wait_until("it is gone", || world.num_connections() == 0);
}

/// Reads up to the end of a session, answers no ping, and returns what the close frame says.
fn read_without_an_answer(mut stream: &TcpStream) -> Option<Closed> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let mut rest = bytes.as_slice();
    while let [kind, len, ..] = *rest {
        let (header, len) = match len {
            126 => (4, usize::from(u16::from_be_bytes([rest[2], rest[3]]))),
            len => (2, usize::from(len)),
        };
        let payload = &rest[header..header + len];
        if kind == 0x88 {
            let reason = String::from_utf8_lossy(&payload[2..]).into_owned();
            return Some((u16::from_be_bytes([payload[0], payload[1]]), reason));
        }
        rest = &rest[header + len..];
    }
    None
}

#[test]
fn a_client_that_answers_pings_stays_and_one_that_does_not_is_closed_as_idle() {
    let limits = Limits {
        ping_interval: Duration::from_millis(50),
        // Longer than a busy machine keeps a thread waiting.
        idle_timeout: Duration::from_secs(2),
        ..Limits::default()
    };
    let world = World::start(limits, false);
    world.begin();
    let mut client = world.connect();
    // For longer than who is idle may stay.
    for _ in 0..60 {
        // Reading a ping queues the answer, the next read sends it.
        while !matches!(client.socket.read().unwrap(), Message::Ping(_)) {}
    }
    let mute = world.connect();
    let ending = read_without_an_answer(mute.socket.get_ref());
    assert_eq!(ending, Some((4008, "idle".to_owned())));
}
