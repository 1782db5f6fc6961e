//! The program with a real InfluxDB: what it writes is what REST shows, and an embedded run leaves it alone.

use crate::support::influxdb::{Influx, InfluxServer, ORG, Row};
use crate::support::process::{Program, command, wait_for};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;

/// A market whose smallest bars close every second.
const WINDOWS: (&str, &str) = ("TICKWIRE__CORE__WINDOWS", "1s,1min");

#[test]
fn what_a_run_writes_is_what_rest_shows() {
    let Some(influx) = Influx::take("run") else { return };
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("token");
    std::fs::write(&secret, format!("{}\n", influx.token)).unwrap();
    let environment = [
        WINDOWS,
        ("INFLUXDB_URL", influx.url.as_str()),
        ("TICKWIRE__INFLUXDB__TOKEN_FILE", secret.to_str().unwrap()),
        ("INFLUXDB_ORG", ORG),
        ("INFLUXDB_BUCKET", influx.bucket.as_str()),
        ("TICKWIRE__INFLUXDB__BATCH__MAX_AGE", "20ms"),
        ("TICKWIRE__PROVIDER__WARM_UP", "0s"),
    ];
    let args = ["--symbols", "AAPL,BTC-USD", "--rate", "200", "--data-dir", "data"];
    let program = Program::serve(dir.path(), &args, &environment);
    let health = || program.get("REST", "/health").unwrap().json()["components"]["influxdb"].clone();
    wait_for("health", || (health() == "healthy").then_some(()));
    let said = program.line_with("metrics go to influxdb");
    assert!(said.contains("InfluxDB") && said.contains("points for 90 days (made)"), "{said}");
    let bars = || influx.points(&influx.bucket, "aggregated_metrics");
    wait_for("bars of a second", || {
        let is_one = |row: &&Row| row["window"] == "1s" && row["symbol"] == "BTC-USD";
        (bars().iter().filter(is_one).count() > 6).then_some(())
    });
    let shown = program.get("REST", "/api/v1/aggregated/BTC-USD?window=1s&limit=1000").unwrap().json();
    let shown: BTreeMap<String, serde_json::Value> = shown
        .as_array()
        .unwrap()
        .iter()
        .map(|bar| (bar["window_end"].as_str().unwrap().to_owned(), bar.clone()))
        .collect();
    let written = bars();
    let of_btc = written.iter().filter(|row| row["window"] == "1s" && row["symbol"] == "BTC-USD");
    let mut num_compared = 0;
    for (row, bar) in of_btc.filter_map(|row| Some((row, shown.get(&row["_time"])?))) {
        for field in ["open", "high", "low", "close", "volume", "vwap", "trade_count"] {
            // A bar without volume has no mean price.
            let value: Option<f64> = row[field].parse().ok();
            assert_eq!(value, bar[field].as_f64(), "{field} of {row:?} and {bar}");
        }
        num_compared += 1;
    }
    assert!(num_compared > 0, "{} written and {} shown", written.len(), shown.len());
    // No trade took the place of another one, and none is missing.
    wait_for("latest trades", || (influx.points(&influx.bucket, "tick_metrics").len() > 1_000).then_some(()));
    let ended = program.stop();
    assert!(!ended.stderr.contains(&influx.token));
    let metric = |line: &str| ended.stderr.matches(line).count();
    assert_eq!(metric("leaves points out"), 0, "{}", ended.stderr);
    let ticks = influx.points(&influx.bucket, "tick_metrics");
    let mut volume_by_second = BTreeMap::<String, f64>::new();
    for row in ticks.iter().filter(|row| row["symbol"] == "BTC-USD") {
        *volume_by_second.entry(row["_time"][..19].to_owned()).or_default() +=
            row["volume"].parse::<f64>().unwrap();
    }
    let mut num_compared = 0;
    for bar in shown.values().filter(|bar| bar["state"] == "closed") {
        let start = &bar["window_start"].as_str().unwrap()[..19];
        let volume = bar["volume"].as_f64().unwrap();
        let Some(sum) = volume_by_second.get(start) else { continue };
        assert!((sum - volume).abs() < 1e-6, "{sum} in trades, {bar}");
        num_compared += 1;
    }
    assert!(num_compared > 3, "{volume_by_second:?}");
}

#[test]
fn what_came_while_the_server_was_away_is_there_when_it_is_back() {
    let Some(server) = InfluxServer::start("away") else { return };
    let influx = server.set_up("away");
    let dir = tempfile::tempdir().unwrap();
    let environment = [
        WINDOWS,
        ("INFLUXDB_URL", influx.url.as_str()),
        ("INFLUXDB_TOKEN", influx.token.as_str()),
        ("INFLUXDB_ORG", ORG),
        ("INFLUXDB_BUCKET", influx.bucket.as_str()),
        ("TICKWIRE__INFLUXDB__BATCH__MAX_AGE", "20ms"),
        ("TICKWIRE__INFLUXDB__RETRY_MAX_DELAY", "200ms"),
        ("TICKWIRE__INFLUXDB__BREAKER_OPEN", "200ms"),
        ("TICKWIRE__PROVIDER__WARM_UP", "0s"),
    ];
    let program = Program::serve(dir.path(), &["--symbols", "AAPL,MSFT", "--rate", "1000"], &environment);
    let health = |status: &str| {
        wait_for(status, || {
            let health = program.get("REST", "/health").unwrap().json();
            (health["components"]["influxdb"] == status).then_some(())
        });
    };
    health("healthy");
    let stopped = server.kill();
    health("degraded");
    wait_for("an open breaker", || {
        (program.metric("tickwire_sink_breaker_opened_total{sink=\"influxdb\"} ") > 0).then_some(())
    });
    let before = program.metric("tickwire_log_position ");
    wait_for("live entries", || (program.metric("tickwire_log_position ") > before + 3_000).then_some(()));
    assert_eq!(program.get("REST", "/health/ready").unwrap().status, 200, "nothing else is worse");
    let _server = stopped.start(None);
    health("healthy");
    let after = program.metric("tickwire_log_position ");
    wait_for("live entries", || (program.metric("tickwire_log_position ") > after + 5_000).then_some(()));
    assert_eq!(program.metric("tickwire_sink_dropped_total{reason=\"full\",sink=\"influxdb\"} "), 0);
    program.stop();
    // Every trade has a point of its own: as many as the bar of its second counts.
    let mut num_trades = BTreeMap::<String, u64>::new();
    for row in influx.points(&influx.bucket, "tick_metrics") {
        *num_trades.entry(format!("{} {}", row["symbol"], &row["_time"][..19])).or_default() += 1;
    }
    let bars = influx.points(&influx.bucket, "aggregated_metrics");
    let of_a_second: Vec<&Row> = bars.iter().filter(|row| row["window"] == "1s").collect();
    for row in &of_a_second {
        let end: DateTime<Utc> = row["_time"].parse().unwrap();
        let start = (end - TimeDelta::seconds(1)).format("%Y-%m-%dT%H:%M:%S");
        let counted: u64 = row["trade_count"].parse().unwrap();
        assert_eq!(num_trades.get(&format!("{} {start}", row["symbol"])), Some(&counted), "{row:?}");
    }
    assert!(of_a_second.len() > 8, "{bars:?}");
}

#[test]
fn a_start_without_its_server_is_as_quick_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    // Nobody listens there.
    let environment = [("INFLUXDB_URL", "http://127.0.0.1:1"), ("INFLUXDB_TOKEN", "hunter2-hunter2")];
    let program = Program::serve(dir.path(), &["--symbols", "AAPL", "--rate", "50"], &environment);
    let latest = || program.get("REST", "/api/v1/latest/AAPL").filter(|answer| answer.status == 200);
    wait_for("a price", latest);
    let detail = wait_for("its health", || {
        let health = program.get("REST", "/health").unwrap().json();
        let detail = health["details"]["messages"]["influxdb"].as_str()?.to_owned();
        detail.contains("circuit breaker open").then_some(detail)
    });
    assert!(!detail.contains("hunter2"), "{detail}");
    assert_eq!(program.get("REST", "/health/ready").unwrap().status, 200);
    assert_eq!(program.metric("tickwire_sink_breaker_state{sink=\"influxdb\"} "), 2);
    assert!(!program.stop().stderr.contains("hunter2"));
}

#[test]
fn an_embedded_run_uses_no_influxdb_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let environment = [("INFLUXDB_URL", "http://127.0.0.1:1"), ("INFLUXDB_TOKEN", "hunter2-hunter2")];
    let program = Program::serve(dir.path(), &["--embedded", "--rate", "5"], &environment);
    assert!(program.line_with("environment ignored").contains("INFLUXDB_TOKEN INFLUXDB_URL"));
    let health = program.get("REST", "/health").unwrap().json();
    assert_eq!(health["components"]["influxdb"], "disabled");
    program.stop();
}

#[test]
fn the_token_is_never_printed() {
    let mut print = command(&["print-config"]);
    print.env("INFLUXDB_TOKEN", "hunter2-hunter2").env("INFLUXDB_URL", "http://influx.example:8086");
    let printed = print.output().unwrap();
    let text = String::from_utf8(printed.stdout).unwrap();
    assert!(text.contains("token = \"***\"") && text.contains("http://influx.example:8086"), "{text}");
    assert!(!text.contains("hunter2"));
}
