//! Symbols that are added and removed over REST while the program runs on its simulated market.

use crate::support::process::{Ended, Program, command, replay, run_args, wait_for};
use crate::support::scenario::{bad_day, write_csv};
use serde_json::{Value, json};
use std::path::Path;

/// Starts a run of two symbols, each with a short past.
fn start(data: &Path) -> Program {
    let mut run = command(&run_args(data, &["--rate", "500", "--symbols", "AAPL,MSFT"]));
    run.env("TICKWIRE__PROVIDER__WARM_UP", "30min");
    run.env("TICKWIRE__PROVIDER__SIMULATED__WARM_UP_TRADES_MAX", "5000");
    let program = Program::start(run);
    program.line_with(" ready");
    program
}

/// Sends a request, with a body where there is one; returns the status and the JSON that came back.
fn send(program: &Program, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, Value) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut request =
        ureq::http::Request::builder().method(method).uri(format!("{}{path}", program.address("REST")));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut answer = match body {
        "" => agent.run(request.body(()).unwrap()),
        body => agent.run(request.body(body).unwrap()),
    }
    .unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    let json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    (answer.status().as_u16(), json)
}

const JSON: (&str, &str) = ("content-type", "application/json");

fn post(program: &Program, body: &Value) -> (u16, Value) {
    send(program, "POST", "/api/v1/symbols", &[JSON], &body.to_string())
}

fn delete(program: &Program, path: &str) -> (u16, Value) {
    send(program, "DELETE", path, &[], "")
}

/// Returns which of the symbols that are known are followed.
fn followed(program: &Program) -> Vec<String> {
    let list = program.get("REST", "/api/v1/symbols").unwrap().json();
    let details = list["details"].as_object().unwrap();
    details
        .iter()
        .filter(|(_, details)| details["is_followed"] == true)
        .map(|(name, _)| name.clone())
        .collect()
}

/// Waits for a trade of a symbol that is newer than an event time, and returns its time.
fn trade_after(program: &Program, symbol: &str, time: &str) -> String {
    wait_for(&format!("trade of {symbol}"), || {
        let latest = program.get("REST", &format!("/api/v1/latest/{symbol}"))?.json();
        latest["timestamp"].as_str().filter(|found| *found > time).map(str::to_owned)
    })
}

/// Returns how a symbol's feed is.
fn feed_of(program: &Program, symbol: &str) -> String {
    let latest = program.get("REST", &format!("/api/v1/latest/{symbol}")).unwrap().json();
    latest["feed"].as_str().unwrap().to_owned()
}

fn residue_of(ended: &Ended) -> bool {
    ended.stderr.contains("panicked")
}

#[test]
fn symbols_come_and_go_without_a_restart_and_stay_so_after_one() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let program = start(&data);
    let (status, answer) = post(&program, &json!({"symbols": ["btc/usd", "AAPL", "aapl", "BTC-USD"]}));
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["added"], json!(["BTC-USD"]));
    assert_eq!(answer["present"], json!(["AAPL", "AAPL", "BTC-USD"]));
    let (status, answer) = post(&program, &json!({"symbols": ["GOOG", "a b"]}));
    assert_eq!((status, &answer["param"]), (422, &json!("symbols")), "{answer}");
    assert_eq!(followed(&program), ["AAPL", "BTC-USD", "MSFT"]);
    let first = trade_after(&program, "BTC-USD", "");
    wait_for("a past, as at a start", || {
        let bars = program.get("REST", "/api/v1/aggregated/BTC-USD?window=1min&limit=20")?;
        (bars.status == 200 && bars.json().as_array()?.len() == 20).then_some(())
    });

    let (status, answer) = delete(&program, "/api/v1/symbols?symbols=MSFT,btcusd,NOPE");
    assert_eq!((status, &answer["removed"]), (200, &json!(["MSFT", "BTC-USD"])), "{answer}");
    assert_eq!(answer["refused"][0]["reason"], "unknown_symbol");
    let (status, answer) = delete(&program, "/api/v1/symbols/MSFT");
    assert_eq!((status, answer), (200, json!({"removed": [], "absent": ["MSFT"], "refused": []})));
    assert_eq!(followed(&program), ["AAPL"]);
    assert_eq!((feed_of(&program, "MSFT").as_str(), feed_of(&program, "AAPL").as_str()), ("dead", "live"));
    // What was under way has come, and a trade of another symbol is newer than all of it.
    let last = wait_for("the end of its trades", || {
        let latest = |symbol: &str| {
            let latest = program.get("REST", &format!("/api/v1/latest/{symbol}"))?.json();
            latest["timestamp"].as_str().map(str::to_owned)
        };
        let last = latest("BTC-USD")?;
        (latest("AAPL")? > last && latest("BTC-USD")? == last).then_some(last)
    });
    assert!(last >= first);
    let (status, answer) = post(&program, &json!({"symbols": ["SOL-USD"], "feed": "simulated"}));
    assert_eq!((status, &answer["added"]), (200, &json!(["SOL-USD"])), "{answer}");
    trade_after(&program, "SOL-USD", "");
    assert_eq!(program.metric("tickwire_ledger_residue{source=\"simulated\"}"), 0);
    let ended = program.stop();
    assert!(!residue_of(&ended), "{}", ended.stderr);

    let program = start(&data);
    let said = program.line_with("symbols.json");
    assert!(said.contains("SOL-USD") && said.contains("MSFT") && !said.contains("BTC-USD"), "{said}");
    assert_eq!(followed(&program), ["AAPL", "SOL-USD"]);
    let before = trade_after(&program, "SOL-USD", "");
    trade_after(&program, "SOL-USD", &before);
    // What was removed is there still, and goes on when it is followed again.
    assert_eq!(program.get("REST", "/api/v1/aggregated/BTC-USD?limit=5").unwrap().status, 200);
    assert_eq!(post(&program, &json!({"symbols": ["BTC-USD", "MSFT"]})).0, 200);
    trade_after(&program, "BTC-USD", &last);
    assert_eq!(feed_of(&program, "BTC-USD"), "live");
    trade_after(&program, "MSFT", &last);
    assert_eq!(program.metric("tickwire_ledger_residue{source=\"simulated\"}"), 0);
    program.stop();
    let kept: Value = serde_json::from_slice(&std::fs::read(data.join("symbols.json")).unwrap()).unwrap();
    let expected = json!({"simulated": {"added": ["BTC-USD", "SOL-USD"], "removed": []}});
    assert_eq!(kept, json!({"version": 1, "feeds": expected}));
}

#[test]
fn without_any_symbol_it_waits_for_one() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let program = start(&data);
    trade_after(&program, "AAPL", "");
    assert_eq!(delete(&program, "/api/v1/symbols?symbols=AAPL,MSFT").0, 200);
    assert_eq!(feed_of(&program, "AAPL"), "dead", "nobody brings it");
    program.stop();
    let program = start(&data);
    assert_eq!(followed(&program), Vec::<String>::new());
    assert_eq!(feed_of(&program, "AAPL"), "dead", "after a restart too");
    assert_eq!(post(&program, &json!({"symbols": ["TSLA"]})).0, 200);
    trade_after(&program, "TSLA", "");
    program.stop();
}

#[test]
fn what_cannot_be_done_is_said_with_the_field_at_fault() {
    let dir = tempfile::tempdir().unwrap();
    let program = start(&dir.path().join("data"));
    let long = format!("{{\"symbols\": [\"{}\"]}}", "A".repeat(70_000));
    let symbols = json!({"symbols": ["TSLA"]}).to_string();
    let form = ("content-type", "application/x-www-form-urlencoded");
    let plain = ("content-type", "text/plain");
    let (near, far) = (("origin", "http://localhost:3000"), ("origin", "https://evil.example"));
    for (headers, body, expected) in [
        (&[JSON][..], "{}", (422, "bad_parameter", "symbols")),
        (&[JSON], r#"{"symbols": ["TSLA"], "feed": "nope"}"#, (422, "bad_parameter", "feed")),
        (&[JSON], "{", (422, "bad_parameter", "body")),
        (&[JSON], r#"{"symbols": ["a b"]}"#, (422, "bad_parameter", "symbols")),
        (&[JSON], &long, (413, "body_too_long", "")),
        (&[form], &symbols, (415, "unsupported_media_type", "")),
        (&[plain, near], &symbols, (415, "unsupported_media_type", "")),
        (&[JSON, far], &symbols, (403, "origin_not_allowed", "")),
    ] {
        let (status, problem) = send(&program, "POST", "/api/v1/symbols", headers, body);
        let param = problem["param"].as_str().unwrap_or_default();
        let shown = &body[..body.len().min(60)];
        let code = problem["code"].as_str().unwrap();
        assert_eq!((status, code, param), expected, "{shown} {headers:?}: {problem}");
    }
    let preflight = [far, ("access-control-request-method", "POST")];
    assert_eq!(send(&program, "OPTIONS", "/api/v1/symbols", &preflight, "").0, 403);
    assert_eq!(send(&program, "DELETE", "/api/v1/symbols/AAPL", &[far], "").0, 403);
    let (status, problem) = delete(&program, "/api/v1/symbols/NOPE");
    assert_eq!((status, problem["code"].as_str()), (404, Some("unknown_symbol")));
    let (status, problem) = delete(&program, "/api/v1/symbols?symbols=NOPE,NADA");
    assert_eq!((status, problem["code"].as_str()), (404, Some("unknown_symbol")));
    let (status, problem) = delete(&program, "/api/v1/symbols");
    assert_eq!((status, problem["param"].as_str()), (422, Some("symbols")));
    let (status, problem) = send(&program, "PUT", "/api/v1/symbols", &[], "");
    assert_eq!((status, problem["code"].as_str()), (405, Some("method_not_allowed")));
    assert_eq!(followed(&program), ["AAPL", "MSFT"], "nothing has changed");
    program.stop();
}

#[test]
fn a_page_that_star_lets_in_reads_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let program =
        Program::serve(dir.path(), &["--symbols", "AAPL"], &[("TICKWIRE__SERVER__CORS_ORIGINS", "*")]);
    let far = ("origin", "https://evil.example");
    assert_eq!(send(&program, "GET", "/api/v1/symbols", &[far], "").0, 200);
    let (status, problem) =
        send(&program, "POST", "/api/v1/symbols", &[JSON, far], r#"{"symbols": ["TSLA"]}"#);
    assert_eq!((status, problem["code"].as_str()), (403, Some("origin_not_allowed")));
    assert_eq!(post(&program, &json!({"symbols": ["TSLA"]})).0, 200, "a program names no page");
    program.stop();
}

#[test]
fn no_more_symbols_than_the_configuration_allows() {
    let dir = tempfile::tempdir().unwrap();
    let program =
        Program::serve(dir.path(), &["--symbols", "AAPL,MSFT"], &[("TICKWIRE__CORE__MAX_SYMBOLS", "3")]);
    let (status, answer) = post(&program, &json!({"symbols": ["TSLA", "AMZN"]}));
    assert_eq!((status, &answer["added"]), (200, &json!(["TSLA"])));
    assert_eq!(answer["refused"][0]["reason"], "too_many_symbols");
    assert_eq!(followed(&program), ["AAPL", "MSFT", "TSLA"]);
    program.stop();
}

#[test]
fn a_damaged_file_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("symbols.json"), "{\"version\": 1, ").unwrap();
    let ended = Program::start(command(&run_args(&data, &["--symbols", "AAPL"]))).wait();
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.stderr.contains("symbols.json") && ended.stderr.contains("move it away"),
        "{}",
        ended.stderr
    );
}

#[test]
fn what_is_only_served_is_not_changed() {
    let dir = tempfile::tempdir().unwrap();
    let (file, data) = (dir.path().join("day.csv"), dir.path().join("data"));
    write_csv(&file, &bad_day(2, 50.0, 500, 7));
    replay(&[file.to_str().unwrap(), "--data-dir", data.to_str().unwrap()]).summary();
    let program = Program::start(command(&["serve", "--data-dir", data.to_str().unwrap()]));
    program.line_with(" ready");
    let (status, problem) = post(&program, &json!({"symbols": ["TSLA"]}));
    assert_eq!((status, problem["code"].as_str()), (409, Some("symbols_fixed")));
    for wrong in ["q=a%20b", "q=", "limit=0"] {
        assert_eq!(program.get("REST", &format!("/api/v1/symbols?{wrong}")).unwrap().status, 422, "{wrong}");
    }
    let found = program.get("REST", "/api/v1/symbols?q=zzz").unwrap().json();
    assert_eq!((&found["symbols"], &found["found"], &found["unasked"]), (&json!([]), &json!([]), &json!([])));
    program.stop();
}
