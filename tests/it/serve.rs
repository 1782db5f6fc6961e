//! `tickwire run` as clients meet it: ports, answers, health.

use crate::support::process::{Program, command, replay, run_args, wait_for};
use crate::support::rows::execute;
use crate::support::scenario::{bad_day, write_csv};
use std::path::Path;

/// Starts a run of five symbols with a short past.
fn start(dir: &Path) -> Program {
    let mut run = command(&run_args(dir, &["--rate", "500", "--symbols", "AAPL,MSFT,BRK.B,BTC-USD"]));
    run.env("TICKWIRE__PROVIDER__WARM_UP", "30min");
    run.env("TICKWIRE__PROVIDER__SIMULATED__WARM_UP_TRADES_MAX", "5000");
    Program::start(run)
}

#[test]
fn every_port_says_where_it_listens_and_every_endpoint_answers() {
    let dir = tempfile::tempdir().unwrap();
    let program = start(dir.path());
    program.line_with(" ready");
    for name in ["REST", "dashboard", "metrics"] {
        let address = program.address(name);
        assert!(address.starts_with("http://127.0.0.1:") && !address.ends_with(":0"), "{name}: {address}");
    }
    wait_for("bars in the history", || {
        let bars = program.get("REST", "/api/v1/aggregated/AAPL?window=1min&limit=5")?;
        (bars.status == 200).then_some(())
    });
    let paths = [
        "/",
        "/health",
        "/health/live",
        "/health/ready",
        "/api/v1/symbols",
        "/api/v1/latest/AAPL",
        "/api/v1/latest?symbols=AAPL,MSFT",
        "/api/v1/latest?symbols=*",
        "/api/v1/ticks/AAPL?limit=10",
        "/api/v1/ticks/BTC%2FUSD?limit=10",
        "/api/v1/aggregated/AAPL",
        "/api/v1/aggregated/BRK.B?window=5min&include_forming=true",
        "/api/v1/aggregated/AAPL?window=1min&format=csv",
        "/api/v1/indicators/AAPL?window=1min",
        "/api/v1/indicators/AAPL?window=1min&start_time=-1h",
        "/api/v1/dead-letters?start_time=-1h&empty=ok",
        "/api/v1/metrics/latency?time_range=-1h",
        "/api/v1/metrics/kafka",
        "/api/v1/metrics/throughput",
        "/api/v1/metrics/ledger",
        "/openapi.json",
        "/docs/",
    ];
    for path in paths {
        let answer = wait_for(path, || {
            let answer = program.get("REST", path)?;
            // The first of each kind may need a moment of trading.
            (answer.status == 200).then_some(answer)
        });
        assert!(!answer.body.is_empty(), "{path}");
    }
    let symbols = program.get("REST", "/api/v1/symbols").unwrap().json();
    assert_eq!(symbols["count"], 4, "{symbols}");
    for (name, class) in [("AAPL", "equity"), ("BTC-USD", "crypto")] {
        let details = &symbols["details"][name];
        assert_eq!(
            (details["asset_class"].as_str(), details["venue_symbol"].as_str()),
            (Some(class), Some(name))
        );
    }
    let dashboard = program.get("dashboard", "/api/v1/symbols").unwrap();
    assert_eq!(dashboard.status, 200, "the dashboard's port answers the API too");

    let metrics = program.get("metrics", "/metrics").unwrap();
    assert!(metrics.content_type.starts_with("text/plain"), "{}", metrics.content_type);
    for name in [
        "tick_messages_received_total{symbol=\"AAPL\"}",
        "aggregated_messages_received_total{symbol=\"AAPL\"}",
        "processing_latency_seconds_bucket{component=",
        "active_websocket_connections ",
        "messages_per_second{symbol=\"AAPL\"}",
        "tickwire_log_position ",
        "tickwire_lost_entries_total 0",
    ] {
        assert!(metrics.body.lines().any(|line| line.starts_with(name)), "{name} in {}", metrics.body);
    }
    let health = program.get("REST", "/health").unwrap().json();
    assert_eq!(
        (&health["status"], &health["components"]["log"]),
        (&"healthy".into(), &"healthy".into()),
        "{health}"
    );
    program.stop();
}

#[test]
fn malformed_requests_are_problems_of_the_client() {
    let dir = tempfile::tempdir().unwrap();
    let program = start(dir.path());
    program.line_with(" ready");
    wait_for("the first tick", || (program.get("REST", "/api/v1/latest/AAPL")?.status == 200).then_some(()));
    let table = [
        ("/nowhere", 404),
        ("/api/v1/latest/NOPE", 404),
        ("/api/v1/latest/%00", 422),
        ("/api/v1/latest/%FF%FE", 422),
        ("/api/v1/latest/..%2F..%2Fetc%2Fpasswd", 404),
        ("/api/v1/ticks/AAPL?limit=0", 422),
        ("/api/v1/ticks/AAPL?limit=-1", 422),
        ("/api/v1/ticks/AAPL?limit=1001", 422),
        ("/api/v1/ticks/AAPL?limit=ten", 422),
        ("/api/v1/ticks/AAPL?start_time=yesterday-ish", 422),
        ("/api/v1/ticks/AAPL?start_time=99999999999999999999999999", 422),
        ("/api/v1/ticks/AAPL?end_time=-99999999999999999999h", 422),
        // A span beyond all times reaches their beginning.
        ("/api/v1/ticks/AAPL?end_time=-999999999999999999h", 404),
        ("/api/v1/ticks/AAPL?start_time=2023-02-30", 422),
        ("/api/v1/ticks/AAPL?start_time=1980-01-01&end_time=1980-01-02", 404),
        ("/api/v1/aggregated/AAPL?window=7min", 422),
        ("/api/v1/aggregated/AAPL?window=%F0%9F%98%80", 422),
        ("/api/v1/aggregated/AAPL?include_forming=maybe", 422),
        ("/api/v1/aggregated/AAPL?cursor=AAAA", 422),
        ("/api/v1/indicators/AAPL?window=", 422),
        ("/api/v1/metrics/latency?time_range=1%20fortnight", 422),
        ("/api/v1/dead-letters?limit=99999999999999", 422),
    ];
    for (path, status) in table {
        let answer = program.get("REST", path).unwrap();
        assert!((400..500).contains(&answer.status), "{path}: {} {}", answer.status, answer.body);
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        assert_eq!(answer.content_type, "application/problem+json", "{path}");
        let problem = answer.json();
        assert!(problem["code"].is_string() && problem["detail"].is_string(), "{path}: {problem}");
    }
    program.stop();
}

#[test]
fn nobody_is_served_before_the_log_is_applied() {
    let dir = tempfile::tempdir().unwrap();
    let (file, data) = (dir.path().join("day.csv"), dir.path().join("data"));
    write_csv(&file, &bad_day(20, 50.0, 60_000, 121));
    replay(&[file.to_str().unwrap(), "--data-dir", data.to_str().unwrap()]).summary();
    // Without checkpoints the whole log is applied again.
    execute(&data, "log.db", "DELETE FROM checkpoints");
    execute(&data, "log.db", "DELETE FROM checkpoint_sets");
    let program = Program::start(command(&["serve", "--data-dir", data.to_str().unwrap()]));
    let early = wait_for("first answer", || program.get("REST", "/health/ready"));
    assert_eq!(early.status, 503, "{}", early.body);
    let live = program.get("REST", "/health/live").unwrap();
    assert_eq!(live.status, 200);
    program.line_with(" ready");
    let ready = program.get("REST", "/health/ready").unwrap();
    assert_eq!((ready.status, &ready.json()["status"]), (200, &"ready".into()));
    program.stop();
}

#[test]
fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut run = command(&run_args(dir.path(), &[]));
    run.env("TICKWIRE__SERVER__REST", taken.local_addr().unwrap().to_string());
    let ended = Program::start(run).wait();
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("server.rest"), "{}", ended.stderr);
}
