//! The whole program with rules of its configuration: found, stored, published, told, tried, and found again in the log.

use crate::support::process::{Program, command, wait_for};
use crate::support::receiver::Receiver;
use crate::support::rows::{assert_same_rows, history_rows, rows_by_log};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use tickwire::models::detection::settings::DetectionSettings;
use tickwire::models::rules::{Fire, Rule};
use tickwire::models::settings::CoreSettings;
use tickwire::models::time::{Nanos, Width};

/// Rules that made-up prices keep every few seconds.
const UP: &str = "close > prev(close, 1) and close > prev(close, 2)";
const TRADE: &str = "price > prev(close, 1) and price > prev(close, 2)";

fn configure(dir: &Path, receiver: &Receiver) {
    let url = receiver.url("/in");
    let text = format!(
        r#"
[core]
windows = ["1s", "1min"]

[alerts]
cooldown = "0s"
group_wait = "1s"
group_interval = "1s"

[[alerts.rules]]
name = "up"
when = "{UP} on 1s"

[[alerts.rules]]
name = "trade"
when = "{TRADE}"
window = "1s"
fire = "tick"
severity = "high"

[alerts.webhook]
url = "{url}"
"#
    );
    std::fs::write(dir.join("rules.toml"), text).unwrap();
}

fn serve(dir: &Path) -> Program {
    let args = ["--rate", "200", "--config", "rules.toml", "--data-dir", "data"];
    Program::serve(dir, &args, &[("TICKWIRE__PROVIDER__WARM_UP", "1min")])
}

/// The settings of the core as the configuration has them.
fn core() -> CoreSettings {
    let width = |text| Width::parse(text).unwrap();
    let rule = |name: &str, when: &str, fire| Rule {
        name: name.to_owned(),
        when: when.to_owned(),
        window: Some(width("1s")),
        fire,
        ..Rule::default()
    };
    let mut rules = vec![rule("up", UP, Fire::BarClose), rule("trade", TRADE, Fire::Tick)];
    rules[0].when.push_str(" on 1s");
    rules[1].severity = tickwire::models::anomaly::Severity::High;
    let detection = DetectionSettings { rules: rules.into(), ..DetectionSettings::default() };
    let widths = vec![width("1s"), width("1min")];
    CoreSettings { widths, detection: Some(detection), ..CoreSettings::default() }
}

fn post(program: &Program, path: &str, body: &Value) -> Value {
    let url = format!("{}{path}", program.address("REST"));
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut answer =
        agent.post(url).header("content-type", "application/json").send(body.to_string()).unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    assert_eq!(answer.status(), 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// Returns the anomalies of a rule about a symbol in a range, by time.
fn found(program: &Program, rule: &str, range: &str) -> Vec<Value> {
    let path = format!("/api/v1/anomalies?type=rule&symbol=AAPL&limit=1000&empty=ok{range}");
    let Some(answer) = program.get("REST", &path).filter(|answer| answer.status == 200) else {
        return Vec::new();
    };
    let mut rows: Vec<Value> = answer.json().as_array().unwrap().clone();
    rows.retain(|row| row["metadata"]["rule"] == rule);
    rows.reverse();
    rows
}

fn times(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["time"].as_str().unwrap()).collect()
}

#[test]
fn a_rule_of_the_configuration_is_stored_published_told_tried_and_found_again_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let receiver = Receiver::plain();
    configure(dir.path(), &receiver);
    let program = serve(dir.path());

    let (mut client, _) = tungstenite::connect(program.address("WebSocket")).unwrap();
    let ask = r#"{"type":"subscribe","symbols":["*"],"channels":["anomalies"]}"#;
    client.send(tungstenite::Message::text(ask)).unwrap();
    let published = loop {
        let tungstenite::Message::Text(text) = client.read().unwrap() else { continue };
        let frame: Value = serde_json::from_str(&text).unwrap();
        if frame["anomaly_type"] == "rule" {
            break frame;
        }
    };
    assert!(published["metadata"]["rule"].is_string(), "{published}");
    drop(client);

    wait_for("a post about each rule", || {
        let posts = receiver.posts();
        let titles: Vec<String> = posts
            .iter()
            .map(|post| format!("{}", post.json()["type"]))
            .filter(|kind| kind.contains("rule"))
            .collect();
        (!titles.is_empty()).then_some(())
    });

    for (rule, when, fire, least) in [("up", UP, "bar_close", 5), ("trade", TRADE, "tick", 5)] {
        let all = wait_for("anomalies of the rule", || {
            let all = found(&program, rule, "");
            let live =
                all.iter().filter(|row| row["metadata"]["bar_revision"].is_null() || row["state"] == "ended");
            (live.count() > least).then_some(all)
        });
        let newest = &all[all.len() - 1];
        let cause = if fire == "tick" { "trade_id" } else { "bar_revision" };
        assert!(
            !newest["metadata"][cause].is_null() && newest["metadata"]["log_pos"].is_string(),
            "{newest}"
        );
        assert_eq!(newest["severity"], if fire == "tick" { "high" } else { "medium" });

        // The history has what it shows up to the newest anomaly.
        let time = |at: usize| all[at]["time"].as_str().unwrap().to_owned();
        let (start, end) = (time(1), time(all.len() - 1));
        let trial = post(
            &program,
            "/api/v1/rules/test",
            &json!({"when": when, "window": "1s", "fire": fire, "symbols": ["AAPL"], "start_time": start, "end_time": end}),
        );
        let fired = trial["fired"].as_array().unwrap();
        let inside = |row: &&Value| {
            let time = |text: &str| Nanos::from_rfc3339(text).unwrap();
            let at = time(row["time"].as_str().unwrap());
            time(&start) < at && at <= time(&end)
        };
        let expected: Vec<Value> = all.iter().filter(inside).cloned().collect();
        assert!(expected.len() >= least - 1);
        assert_eq!(times(fired), times(&expected), "{rule}");
        assert_eq!(trial["num_fired"], fired.len());
        assert!(trial["num_judged"].as_u64().unwrap() >= fired.len() as u64);
    }
    program.stop();

    // The newest one that is stored, found again over REST once the program runs anew.
    let program = serve(dir.path());
    let last = wait_for("the newest one", || found(&program, "up", "").last().cloned());
    let range = format!("&start_time={}", last["time"].as_str().unwrap());
    wait_for("others after it", || (found(&program, "up", &range).len() > 1).then_some(()));
    program.stop();
    let data = dir.path().join("data");
    let (expected, _) = rows_by_log(&data, core(), false);
    let rows = history_rows(&data);
    assert_same_rows(&expected, &rows, "after a restart");
    assert!(rows.iter().any(|row| row.starts_with("anomalies") && row.contains("\"rule\":\"trade\"")));
}

#[test]
fn a_replay_withdraws_what_a_cancelled_trade_caused_and_does_so_again() {
    let dir = tempfile::tempdir().unwrap();
    let at = |second: i64| 1_780_000_000 + second;
    let trade = |id: i64, price: f64| {
        format!(r#"{{"symbol":"AAPL","price":{price},"size":1,"ts":{},"trade_id":"{id}"}}"#, at(id))
    };
    let lines = [
        trade(1, 100.0),
        trade(2, 250.0),
        trade(3, 100.0),
        trade(4, 260.0),
        format!(
            r#"{{"symbol":"AAPL","price":0,"volume":0,"tick_type":"cancel","ts":{},"ref_trade_id":"2"}}"#,
            at(2)
        ),
        trade(5, 100.0),
    ];
    std::fs::write(dir.path().join("trades.ndjson"), lines.join("\n")).unwrap();
    let rules = "[[alerts.rules]]\nname = \"over\"\nwhen = \"price > 200\"\nfire = \"tick\"\n";
    std::fs::write(dir.path().join("rules.toml"), rules).unwrap();
    let mut all = BTreeSet::new();
    for data in ["one", "two"] {
        let args = ["replay", "trades.ndjson", "--config", "rules.toml", "--data-dir", data];
        let ended = command(&args).current_dir(dir.path()).output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        let mut rows = history_rows(&dir.path().join(data));
        rows.retain(|row| row.starts_with("anomalies") && row.contains("\"rule\":\"over\""));
        assert_eq!(rows.len(), 2, "{rows:?}");
        let with = |state: &str| rows.iter().filter(|row| row.contains(state)).count();
        assert_eq!((with("withdrawn"), with("ended")), (1, 1), "{rows:?}");
        all.insert(rows);
    }
    assert_eq!(all.len(), 1);
}

#[test]
fn a_check_says_where_a_rule_is_at_fault() {
    let dir = tempfile::tempdir().unwrap();
    let rules = "[[alerts.rules]]\nname = \"low\"\nwhen = \"rsi_14 < 25 and volum > 3\"\n";
    std::fs::write(dir.path().join("rules.toml"), rules).unwrap();
    let ended =
        command(&["check-config", "--config", "rules.toml"]).current_dir(dir.path()).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success(), "{said}");
    for part in
        ["alerts.rules", "`low`", "line 1, column 17", "did you mean `volume`?", "                ^^^^^"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
}
