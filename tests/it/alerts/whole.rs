//! The whole program with a webhook: from the anomaly to the post, and what people say over REST.

use crate::support::process::{Program, wait_for};
use crate::support::receiver::Receiver;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// A market of one spike in a hundred trades, of which each is told alone, and of nothing else that is unusual. Spikes are so
/// far off that no bar which closes meanwhile makes one usual.
const RESTLESS: [(&str, &str); 12] = [
    ("TICKWIRE__CORE__WINDOWS", "1s,1min"),
    ("TICKWIRE__PROVIDER__SIMULATED__MISBEHAVIOUR__PRICE_SPIKE__PROBABILITY", "0.01"),
    ("TICKWIRE__DETECTION__WINDOW", "1s"),
    ("TICKWIRE__DETECTION__PRICE_SPIKE__METHOD", "median"),
    ("TICKWIRE__DETECTION__VOLUME_SPIKE__FACTOR", "1000"),
    ("TICKWIRE__DETECTION__RSI__OVERBOUGHT", "99.999"),
    ("TICKWIRE__DETECTION__RSI__OVERSOLD", "0.001"),
    ("TICKWIRE__DETECTION__HIGH_LATENCY__ENABLED", "false"),
    ("TICKWIRE__DETECTION__STALE_FEED__ENABLED", "false"),
    ("TICKWIRE__ALERTS__COOLDOWN", "0s"),
    ("TICKWIRE__ALERTS__GROUP_WAIT", "1s"),
    ("TICKWIRE__ALERTS__GROUP_INTERVAL", "1s"),
];

fn serve(dir: &Path, receiver: &Receiver) -> Program {
    let url = receiver.url("/in");
    let environment = [&RESTLESS[..], &[("TICKWIRE__ALERTS__WEBHOOK__URL", url.as_str())]].concat();
    Program::serve(dir, &["--rate", "200"], &environment)
}

/// Waits for rows of a path that fit.
fn rows(program: &Program, path: &str, fits: impl Fn(&Value) -> bool) -> Vec<Value> {
    wait_for(path, || {
        let answer = program.get("REST", path).filter(|answer| answer.status == 200)?;
        let rows: Vec<Value> = answer.json().as_array()?.iter().filter(|row| fits(row)).cloned().collect();
        (!rows.is_empty()).then_some(rows)
    })
}

fn post(program: &Program, path: &str, body: &Value) -> Value {
    let url = format!("{}{path}", program.address("REST"));
    let answer = ureq::post(url).header("content-type", "application/json").send(body.to_string());
    serde_json::from_str(&answer.unwrap().body_mut().read_to_string().unwrap()).unwrap()
}

/// Returns the ids of what came: of the beginnings alone, or of ends as well.
fn ids(receiver: &Receiver, with_ends: bool) -> Vec<String> {
    let posts = receiver.posts().into_iter().map(|post| post.json());
    let wanted = posts.filter(|told| with_ends || told["kind"] == "fired");
    wanted.map(|told| told["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_spike_reaches_its_receiver_and_people_acknowledge_and_silence_it() {
    let dir = tempfile::tempdir().unwrap();
    let receiver = Receiver::plain();
    let program = serve(dir.path(), &receiver);
    let told = wait_for("a post", || receiver.posts().into_iter().next()).json();
    assert!(told["title"].as_str().unwrap().starts_with("SIMULATED "), "{told}");
    assert_eq!((&told["kind"], &told["type"]), (&json!("fired"), &json!("price_spike")));

    // Its decision is marked once the receiver has answered, and its incident is open.
    let sent = rows(&program, "/api/v1/alerts?status=sent", |_| true);
    let id = sent.last().unwrap()["anomaly_id"].as_str().unwrap();
    let is_it = |row: &Value| row["id"] == id;
    let open = rows(&program, "/api/v1/alerts/incidents?state=open&limit=1000", is_it);
    assert_eq!(open[0]["told"], "webhook");
    let anomalies = rows(&program, "/api/v1/anomalies?type=price_spike&limit=1000", is_it);
    for field in ["symbol", "time", "current_value", "expected_value", "threshold"] {
        assert_eq!(open[0][field], anomalies[0][field], "{field}");
    }

    let answer =
        post(&program, "/api/v1/alerts/incidents/acknowledge", &json!({"ids": [id, "?"], "by": "ann"}));
    assert_eq!(answer, json!({"acknowledged": [id], "closed": [], "unknown": ["?"]}));
    let seen = rows(&program, "/api/v1/alerts/incidents?state=acknowledged", is_it);
    assert_eq!(seen[0]["acknowledged_by"], "ann");

    let silence = post(&program, "/api/v1/alerts/silences", &json!({"end": "+2h", "comment": "a test"}));
    let by = format!("silenced: by {} until ", silence["id"].as_str().unwrap());
    let is_silenced = |row: &Value| row["reason"].as_str().unwrap().starts_with(&by);
    rows(&program, "/api/v1/alerts?status=held", is_silenced);
    // What was on its way when the silence began has arrived and is marked.
    wait_for("marks", || {
        let waiting = program.get("REST", "/api/v1/alerts?status=retrying")?;
        (waiting.status == 404).then_some(())
    });
    let before = ids(&receiver, false);
    program.kill();

    // A silence outlives the process, and nothing that was told is told again.
    let program = serve(dir.path(), &receiver);
    assert_eq!(rows(&program, "/api/v1/alerts/silences", |_| true), std::slice::from_ref(&silence));
    let after_start = rows(&program, "/api/v1/alerts?status=held&limit=1000", is_silenced).len();
    wait_for("another one that is silenced", || {
        let rows = rows(&program, "/api/v1/alerts?status=held&limit=1000", is_silenced);
        (rows.len() > after_start).then_some(())
    });
    // Who was told that something began is told of its end, silence or not.
    assert_eq!(ids(&receiver, false), before);
    let url =
        format!("{}/api/v1/alerts/silences/{}", program.address("REST"), silence["id"].as_str().unwrap());
    ureq::delete(url).call().unwrap();
    wait_for("a post after the silence", || (ids(&receiver, false).len() > before.len()).then_some(()));
    let all = ids(&receiver, true);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "each once: {all:?}");
    program.stop();
}

#[test]
fn a_replay_wakes_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let receiver = Receiver::plain();
    let trades: String = (0..3_600)
        .map(|nth| {
            let price = if nth == 3_000 { 200.0 } else { 100.0 };
            format!("{{\"symbol\":\"AAPL\",\"price\":{price},\"size\":1,\"ts\":{}}}\n", 1_780_000_000 + nth)
        })
        .collect();
    std::fs::write(dir.path().join("trades.ndjson"), trades).unwrap();
    let mut replay = crate::support::process::command(&["replay", "trades.ndjson", "--data-dir", "data"]);
    let replay = replay.current_dir(dir.path()).env("TICKWIRE__ALERTS__WEBHOOK__URL", receiver.url("/in"));
    let ended = replay.output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let found = crate::support::rows::history_rows(&dir.path().join("data"));
    assert!(found.iter().any(|row| row.starts_with("anomalies") && row.contains("price_spike")));
    assert!(receiver.posts().is_empty());
}
