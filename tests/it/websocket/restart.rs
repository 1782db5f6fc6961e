//! The built program, killed in the middle.

use crate::support::process::Program;
use crate::support::rows::bar_numbers;
use serde_json::{Value, json};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

/// Has bars amended again and again: one trade in twenty comes up to three seconds late.
const AMENDING: [(&str, &str); 2] = [
    ("TICKWIRE__PROVIDER__SIMULATED__MISBEHAVIOUR__DELAY__PROBABILITY", "0.05"),
    ("TICKWIRE__PROVIDER__SIMULATED__MISBEHAVIOUR__DELAY__MAX", "3s"),
];

/// Starts it with windows of a second, so that there is something to see.
fn start(dir: &Path, misbehaviour: &[(&str, &str)]) -> Program {
    let mut environment = vec![
        ("TICKWIRE__CORE__WINDOWS", "1s,5s"),
        ("TICKWIRE__CORE__LATENESS", "100ms"),
        ("TICKWIRE__PROVIDER__WARM_UP", "0s"),
    ];
    environment.extend(misbehaviour);
    Program::serve(dir, &["--symbols", "AAPL,MSFT", "--rate", "400", "--seed", "7"], &environment)
}

fn connect(program: &Program) -> WebSocket<MaybeTlsStream<TcpStream>> {
    let (socket, _) = tungstenite::connect(program.address("WebSocket")).unwrap();
    if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    }
    socket
}

/// Follows the bars from where it was, until some more have come. Returns whether all that was missed could be had.
fn follow(program: &Program, bars: &mut Vec<(u64, Value)>, epoch: &mut Option<String>, count: usize) -> bool {
    let mut socket = connect(program);
    let mut request = json!({
        "type": "subscribe", "symbols": ["AAPL"], "channels": ["bars"], "windows": ["1s"], "forming": false,
    });
    if let Some(epoch) = epoch {
        let last = bars.last().unwrap().0;
        request["since"] = json!({"epoch": epoch, "seqs": {"bars:AAPL:1s": last}});
    }
    socket.send(Message::text(request.to_string())).unwrap();
    let (mut num_new, mut is_whole) = (0, true);
    while num_new < count {
        let Message::Text(text) = socket.read().unwrap() else { continue };
        let frame: Value = serde_json::from_str(&text).unwrap();
        match frame["type"].as_str() {
            Some("subscription") => *epoch = Some(frame["epoch"].as_str().unwrap().to_owned()),
            Some("resync") => is_whole = false,
            Some("bar") => {
                bars.push((frame["seq"].as_u64().unwrap(), frame));
                num_new += 1;
            }
            _ => {}
        }
    }
    is_whole
}

#[test]
fn a_client_misses_no_bar_and_sees_none_twice_though_the_server_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut bars, mut epoch) = (Vec::new(), None);
    let mut program = start(dir.path(), &[]);
    follow(&program, &mut bars, &mut epoch, 3);
    for _ in 0..2 {
        // What is sent now is missed: another client proves that it was.
        let mut others = Vec::new();
        follow(&program, &mut others, &mut None, 2);
        program.kill();
        program = start(dir.path(), &[]);
        assert!(follow(&program, &mut bars, &mut epoch, 4), "everything missed is in the history");
    }
    let seqs: Vec<u64> = bars.iter().map(|(seq, _)| *seq).collect();
    let expected: Vec<u64> = (seqs[0]..seqs[0] + seqs.len() as u64).collect();
    assert_eq!(seqs, expected);
}

#[test]
fn a_client_has_the_newest_revision_of_every_bar_though_the_server_is_killed_seven_times() {
    let dir = tempfile::tempdir().unwrap();
    let (mut bars, mut epoch) = (Vec::new(), None);
    for _ in 0..7 {
        let program = start(dir.path(), &AMENDING);
        assert!(follow(&program, &mut bars, &mut epoch, 8), "nothing has to be read again");
        // What is sent now is missed: another client proves that it was.
        follow(&program, &mut Vec::new(), &mut None, 4);
        program.kill();
    }
    assert!(bars.is_sorted_by(|a, b| a.0 < b.0), "each number once, and ascending");
    let known: Vec<(u64, u64)> =
        bars.iter().map(|(seq, bar)| (*seq, bar["revision"].as_u64().unwrap())).collect();
    let (first, last) = (known[0].0, known[known.len() - 1].0);
    let of_history: Vec<(u64, u64)> = bar_numbers(&dir.path().join("data"), "AAPL", 1_000_000_000)
        .into_iter()
        .filter(|(seq, _)| (first..=last).contains(seq))
        .collect();
    assert!(of_history.iter().any(|(_, revision)| *revision > 0), "bars were amended");
    let missing: Vec<_> = of_history.iter().filter(|bar| !known.contains(bar)).collect();
    assert!(missing.is_empty(), "never sent: {missing:?} of {of_history:?}");
}
