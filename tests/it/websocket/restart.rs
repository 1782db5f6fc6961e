//! The built program, killed in the middle.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

struct Program {
    child: Child,
    websocket: String,
}

impl Program {
    /// Starts it with windows of a second, so that there is something to see.
    fn start(dir: &std::path::Path) -> Program {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tickwire"))
            .args(["run", "--symbols", "AAPL,MSFT", "--rate", "400", "--seed", "7", "--log-format", "json"])
            .env_clear()
            .envs([
                ("TICKWIRE__SERVER__REST", "127.0.0.1:0"),
                ("TICKWIRE__SERVER__WEBSOCKET", "127.0.0.1:0"),
                ("TICKWIRE__SERVER__DASHBOARD", "127.0.0.1:0"),
                ("TICKWIRE__SERVER__METRICS", "127.0.0.1:0"),
                ("TICKWIRE__CORE__WINDOWS", "1s,5s"),
                ("TICKWIRE__CORE__LATENESS", "100ms"),
                ("TICKWIRE__PROVIDER__WARM_UP", "0s"),
                ("TICKWIRE__DATA_DIR", "data"),
            ])
            .current_dir(dir)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut websocket = None;
        loop {
            let line = lines.next().expect("the program starts").unwrap();
            if let Some(at) = line.find("WebSocket listens on ") {
                let rest = &line[at + "WebSocket listens on ".len()..];
                websocket = Some(rest.split('"').next().unwrap().to_owned());
            }
            if line.contains("\"ready\"") {
                break;
            }
        }
        std::thread::spawn(move || lines.for_each(drop));
        Program { child, websocket: websocket.expect("it says where it listens") }
    }

    fn connect(&self) -> WebSocket<MaybeTlsStream<TcpStream>> {
        let (socket, _) = tungstenite::connect(&self.websocket).unwrap();
        if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        }
        socket
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Follows the bars from where it was, until some more have come. Returns whether all that was missed could be had.
fn follow(program: &Program, told: &mut Vec<(u64, Value)>, epoch: &mut Option<String>, count: usize) -> bool {
    let mut socket = program.connect();
    let mut wish = json!({
        "type": "subscribe", "symbols": ["AAPL"], "channels": ["bars"], "windows": ["1s"], "forming": false,
    });
    if let Some(epoch) = epoch {
        let last = told.last().unwrap().0;
        wish["since"] = json!({"epoch": epoch, "seqs": {"bars:AAPL:1s": last}});
    }
    socket.send(Message::text(wish.to_string())).unwrap();
    let (mut heard, mut is_whole) = (0, true);
    while heard < count {
        let Message::Text(text) = socket.read().unwrap() else { continue };
        let frame: Value = serde_json::from_str(&text).unwrap();
        match frame["type"].as_str() {
            Some("subscription") => *epoch = Some(frame["epoch"].as_str().unwrap().to_owned()),
            Some("resync") => is_whole = false,
            Some("bar") => {
                told.push((frame["seq"].as_u64().unwrap(), frame));
                heard += 1;
            }
            _ => {}
        }
    }
    is_whole
}

#[test]
fn a_client_misses_no_bar_and_sees_none_twice_though_the_server_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut told, mut epoch) = (Vec::new(), None);
    let mut program = Program::start(dir.path());
    follow(&program, &mut told, &mut epoch, 3);
    for _ in 0..2 {
        // What is told now is missed: another client proves that it was.
        let mut others = Vec::new();
        follow(&program, &mut others, &mut None, 2);
        program.child.kill().unwrap();
        program.child.wait().unwrap();
        program = Program::start(dir.path());
        assert!(follow(&program, &mut told, &mut epoch, 4), "everything missed is in the history");
    }
    let seqs: Vec<u64> = told.iter().map(|(seq, _)| *seq).collect();
    let expected: Vec<u64> = (seqs[0]..seqs[0] + seqs.len() as u64).collect();
    assert_eq!(seqs, expected);
}
