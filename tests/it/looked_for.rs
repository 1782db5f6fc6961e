//! What is looked for, changed over REST while the whole program runs: kept over a restart, and found again in the log.

use crate::support::process::{Program, command, replay, wait_for};
use crate::support::rows::{assert_same_rows, history_rows, rows_by_log};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use tickwire::models::settings::CoreSettings;
use tickwire::models::time::Width;

const CONFIG: &str = r#"
[core]
windows = ["1s", "1min"]

[detection]
window = "1s"
price_spike = { bars = 2 }
volume_spike = { factor = 1000.0 }
rsi = { overbought = 99.9, oversold = 0.1 }

[[alerts.rules]]
name = "far"
when = "price > 1000000"
"#;

fn serve(dir: &Path, config: &str) -> Program {
    std::fs::write(dir.join("tickwire.toml"), config).unwrap();
    let args = ["--rate", "200", "--symbols", "AAPL,MSFT", "--config", "tickwire.toml", "--data-dir", "data"];
    let program = Program::serve(dir, &args, &[("TICKWIRE__PROVIDER__WARM_UP", "1min")]);
    program.line_with(" ready");
    program
}

fn send(program: &Program, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let request =
        ureq::http::Request::builder().method(method).uri(format!("{}{path}", program.address("REST")));
    let mut answer = match body {
        None => agent.run(request.body(()).unwrap()),
        Some(body) => {
            agent.run(request.header("content-type", "application/json").body(body.to_string()).unwrap())
        }
    }
    .unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    let json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    (answer.status().as_u16(), json)
}

fn ok(program: &Program, method: &str, path: &str, body: Option<&Value>) -> Value {
    let (status, answer) = send(program, method, path, body);
    assert_eq!(status, 200, "{answer}");
    answer
}

const DETECTION: &str = "/api/v1/detection";

fn number(value: &Value) -> u64 {
    value.as_str().unwrap().parse().unwrap()
}

/// Returns the positions of price spikes of a symbol; each is that of the trade that showed it, or took it away.
fn spikes(program: &Program, symbol: &str) -> Vec<u64> {
    rows_of_spikes(program, symbol).iter().map(|row| number(&row["metadata"]["log_pos"])).collect()
}

fn rows_of_spikes(program: &Program, symbol: &str) -> Vec<Value> {
    let path = format!("/api/v1/anomalies?type=price_spike&symbol={symbol}&limit=1000&empty=ok");
    let answer = program.get("REST", &path).filter(|answer| answer.status == 200);
    answer.map(|answer| answer.json().as_array().unwrap().clone()).unwrap_or_default()
}

fn core() -> CoreSettings {
    let width = |text| Width::parse(text).unwrap();
    CoreSettings { widths: vec![width("1s"), width("1min")], ..CoreSettings::default() }
}

/// Returns which price spikes a data directory has, without their places in its log.
fn stored_spikes(data: &Path) -> BTreeSet<String> {
    let rows = history_rows(data);
    let spikes = rows.iter().filter(|row| row.starts_with("anomalies") && row.contains("price_spike"));
    // Time, symbol, type and severity come first.
    spikes.map(|row| row.split('|').take(5).collect::<Vec<_>>().join("|")).collect()
}

#[test]
fn thresholds_change_while_a_run_goes_on_and_a_replay_judges_as_it_did() {
    let dir = tempfile::tempdir().unwrap();
    let program = serve(dir.path(), CONFIG);
    let first = ok(&program, "GET", DETECTION, None);
    assert_eq!((&first["by"], &first["log_pos"]), (&json!("config"), &json!("1")), "{first}");
    assert_eq!(first["settings"], first["config"]);
    assert_eq!(first["settings"]["price_spike"]["percent"], 5.0);
    wait_for("some bars", || {
        program.get("REST", "/api/v1/aggregated/AAPL?window=1s").filter(|it| it.status == 200)
    });
    assert_eq!(spikes(&program, "AAPL"), [0_u64; 0], "5 % are far");

    let percent = 0.01;
    let change = json!({"price_spike": {"percent": percent}});
    let changed = ok(&program, "PATCH", DETECTION, Some(&change));
    assert_eq!(changed["by"], "api");
    assert_eq!(changed["settings"]["price_spike"], json!({"percent": percent, "bars": 2, "method": "mean"}));
    assert_eq!(changed["config"]["price_spike"]["percent"], 5.0);
    let since = number(&changed["log_pos"]);
    assert_eq!(ok(&program, "PATCH", DETECTION, Some(&change))["log_pos"], changed["log_pos"], "nothing new");
    wait_for("a spike", || spikes(&program, "AAPL").first().copied());
    let found = spikes(&program, "AAPL");
    assert!(found.iter().all(|pos| *pos > since), "not before {since}: {found:?}");

    // A symbol that comes later is judged by it.
    ok(&program, "POST", "/api/v1/symbols", Some(&json!({"symbols": ["BTC-USD"]})));
    wait_for("a spike of a new symbol", || spikes(&program, "BTC-USD").first().copied());
    let one = ok(&program, "GET", &format!("{DETECTION}?symbol=btcusd"), None);
    assert_eq!(
        (&one["symbol"]["symbol"], &one["symbol"]["price_spike"]["percent"]),
        (&json!("BTC-USD"), &json!(percent))
    );
    assert_eq!(one["symbol"]["rules"], json!(["far"]));
    program.stop();

    let program = serve(dir.path(), CONFIG);
    program.line_with("changed over the API and goes on");
    let kept = ok(&program, "GET", DETECTION, None);
    assert_eq!((&kept["log_pos"], &kept["settings"]), (&changed["log_pos"], &changed["settings"]));
    let before = spikes(&program, "AAPL").len();
    wait_for("a spike after the start", || (spikes(&program, "AAPL").len() > before).then_some(()));
    let reset = ok(&program, "DELETE", DETECTION, None);
    assert_eq!((&reset["by"], &reset["settings"]), (&json!("config"), &first["settings"]));
    let until = number(&reset["log_pos"]);
    assert!(until > since);
    // Two bars have to close: the first of them may have begun before the change.
    let bar_ends = || -> Option<Vec<String>> {
        let bars = program.get("REST", "/api/v1/aggregated/AAPL?window=1s&limit=2")?.json();
        bars.as_array()?.iter().map(|bar| Some(bar["window_end"].as_str()?.to_owned())).collect()
    };
    let newest = wait_for("bars", bar_ends).into_iter().max();
    wait_for("bars after it", || bar_ends().filter(|ends| ends.iter().min() > newest.as_ref()));
    program.kill();

    // The configuration has changed, and wins where it has.
    let program = serve(dir.path(), &CONFIG.replace("bars = 2", "bars = 3"));
    let last = ok(&program, "GET", DETECTION, None);
    assert_eq!(
        (&last["by"], &last["settings"]["price_spike"]["bars"]),
        (&json!("config"), &json!(3)),
        "{last}"
    );
    assert!(number(&last["log_pos"]) > until, "{until}: {last}");
    for row in ["AAPL", "MSFT", "BTC-USD"].iter().flat_map(|name| rows_of_spikes(&program, name)) {
        // One that was found just before may be withdrawn by a trade of its window, which the new limits have.
        let is_found = (since..until).contains(&number(&row["metadata"]["log_pos"]));
        assert!(is_found || row["state"] == "withdrawn", "{since} to {until}: {row}");
    }
    program.stop();

    let data = dir.path().join("data");
    let (expected, _) = rows_by_log(&data, core(), false);
    assert_same_rows(&expected, &history_rows(&data), "by the log, from its first entry on");

    let out = dir.path().join("out");
    let args = ["export", "--data-dir", data.to_str().unwrap(), "--out", out.to_str().unwrap(), "--json"];
    let exported = Program::start(command(&args)).wait();
    assert!(exported.status.success(), "{}", exported.stderr);
    let again = dir.path().join("again");
    let config = dir.path().join("plain.toml");
    std::fs::write(&config, "[core]\nwindows = [\"1s\", \"1min\"]\n").unwrap();
    let args =
        [out.to_str().unwrap(), "--config", config.to_str().unwrap(), "--data-dir", again.to_str().unwrap()];
    let replayed = replay(&args);
    assert!(replayed.status.success(), "{}", replayed.stderr);
    let found = stored_spikes(&data);
    assert!(found.len() > 3, "{found:?}");
    assert_eq!(stored_spikes(&again), found, "by a replay with another configuration");
}

#[test]
fn what_cannot_be_changed_is_refused_with_its_key_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let program = serve(dir.path(), CONFIG);
    let before = ok(&program, "GET", DETECTION, None);
    for (change, param, said) in [
        (json!({"price_spik": {}}), "body", "price_spik"),
        (json!({"clock_off": {"enabled": false}}), "body", "clock_off"),
        (json!({"price_spike": {"percnt": 1}}), "price_spike.percnt", "percnt"),
        (json!({"price_spike": {"percent": -1}}), "price_spike.percent", "not above 0"),
        (json!({"severity": {"medium": 50}}), "severity.high", "not 50 or more"),
        (json!({"rsi": {"overbought": 100}}), "rsi.overbought", "100 is not above 50 and below 100"),
        (json!({"window": "2min"}), "window", "core.windows"),
        (json!({"overrides": [{"enabled": false}]}), "overrides", "asset_class"),
    ] {
        let (status, answer) = send(&program, "PATCH", DETECTION, Some(&change));
        assert_eq!((status, &answer["param"]), (422, &json!(param)), "{answer}");
        assert!(answer["detail"].as_str().unwrap().contains(said), "{answer}");
    }
    let (status, answer) = send(&program, "PUT", DETECTION, Some(&json!({})));
    assert_eq!((status, &answer["code"]), (405, &json!("method_not_allowed")));
    assert_eq!(ok(&program, "GET", DETECTION, None), before);
    program.stop();
    let shown = Program::start({
        let mut serve = command(&["serve", "--data-dir", "data"]);
        serve.current_dir(dir.path());
        serve
    });
    shown.line_with(" ready");
    assert_eq!(ok(&shown, "GET", DETECTION, None)["settings"], before["settings"]);
    let (status, answer) = send(&shown, "PATCH", DETECTION, Some(&json!({"enabled": false})));
    assert_eq!((status, &answer["code"]), (409, &json!("detection_fixed")), "{answer}");
}

#[test]
fn rules_are_made_and_deleted_over_rest() {
    let dir = tempfile::tempdir().unwrap();
    let program = serve(dir.path(), CONFIG);
    let names = |program: &Program| -> Vec<(String, String)> {
        let rules = ok(program, "GET", "/api/v1/rules", None);
        let of = |rule: &Value, key: &str| rule[key].as_str().unwrap().to_owned();
        rules.as_array().unwrap().iter().map(|rule| (of(rule, "name"), of(rule, "origin"))).collect()
    };
    let far = ("far".to_owned(), "config".to_owned());
    let up = ("up".to_owned(), "api".to_owned());
    assert_eq!(names(&program), std::slice::from_ref(&far));
    let rule = json!({"name": "up", "when": "close > prev(close, 1) on 1s", "symbols": ["aapl"], "severity": "high"});
    let made = ok(&program, "POST", "/api/v1/rules", Some(&rule));
    assert_eq!(
        (&made["origin"], &made["symbols"], &made["for"]),
        (&json!("api"), &json!(["AAPL"]), &json!("0s"))
    );
    for (rule, code, said) in [
        (rule.clone(), "rule_fixed", "already"),
        (json!({"name": "a", "when": "volum > 1"}), "bad_parameter", "line 1, column 1"),
        (json!({"name": "a", "when": "price > 1", "origin": "config"}), "bad_parameter", "origin"),
        (json!({"name": "a b", "when": "price > 1"}), "bad_parameter", "name"),
    ] {
        let (status, answer) = send(&program, "POST", "/api/v1/rules", Some(&rule));
        let expected = if code == "rule_fixed" { 409 } else { 422 };
        assert_eq!((status, &answer["code"]), (expected, &json!(code)), "{answer}");
        assert!(answer["detail"].as_str().unwrap().contains(said), "{answer}");
    }
    let found = |program: &Program| {
        let path = "/api/v1/anomalies?type=rule&limit=1000&empty=ok";
        let answer = program.get("REST", path).filter(|answer| answer.status == 200)?.json();
        let rows = answer.as_array().unwrap().clone();
        assert!(rows.iter().all(|row| row["symbol"] == "AAPL" && row["metadata"]["rule"] == "up"));
        Some(rows)
    };
    wait_for("anomalies of the rule", || found(&program).filter(|rows| rows.len() > 1));
    program.stop();
    let program = serve(dir.path(), CONFIG);
    assert_eq!(names(&program), [far.clone(), up]);
    let (status, answer) = send(&program, "DELETE", "/api/v1/rules/far", None);
    assert_eq!((status, &answer["code"]), (409, &json!("rule_fixed")), "{answer}");
    assert_eq!(send(&program, "DELETE", "/api/v1/rules/none", None).0, 404);
    assert_eq!(ok(&program, "DELETE", "/api/v1/rules/up", None)["name"], "up");
    assert_eq!(names(&program), [far]);
    wait_for("the end of what went on", || {
        found(&program).filter(|rows| rows.iter().all(|row| row["state"] != "active"))
    });
    program.stop();
    let data = dir.path().join("data");
    let (expected, _) = rows_by_log(&data, core(), false);
    assert_same_rows(&expected, &history_rows(&data), "by the log");
}
