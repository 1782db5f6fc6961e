//! Clients in Python against the built program: some written as users of the old system wrote theirs, one that asks
//! everything the description of the API allows and forbids.

use crate::support::process::{Program, wait_for};
use crate::support::python::{Python, run};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use tickwire::models::time::Nanos;

/// A venue that tells quotes as well, and now and then something that cannot be read.
const UNTIDY: [(&str, &str); 2] = [
    ("TICKWIRE__PROVIDER__SIMULATED__QUOTES", "true"),
    ("TICKWIRE__PROVIDER__SIMULATED__MISBEHAVIOUR__MALFORMED", "0.05"),
];

/// Starts a server that has run for a while: there is an hour of bars of its busiest symbol, and of `wanted` something.
fn start(dir: &Path, environment: &[(&str, &str)], wanted: &str) -> Program {
    let environment = [&[("TICKWIRE__PROVIDER__WARM_UP", "2h")], environment].concat();
    let program = Program::serve(dir, &["--rate", "200"], &environment);
    let get = |path: &str| {
        let url = format!("{}{path}", program.address("REST"));
        ureq::get(&url).call().ok()?.body_mut().read_to_string().ok()
    };
    wait_for("an hour of bars", || {
        let text = get("/api/v1/aggregated/TSLA?limit=100")?;
        (text.matches("window_start").count() >= 60).then_some(())
    });
    wait_for(wanted, || get(wanted));
    program
}

#[test]
fn old_clients_go_on_working() {
    let Some(python) = Python::with("requirements") else { return };
    let dir = tempfile::tempdir().unwrap();
    let program = start(dir.path(), &UNTIDY, "/api/v1/dead-letters");
    for (client, port) in [("rest.py", "REST"), ("live.py", "WebSocket")] {
        run(Command::new(python.program()).arg(python.client(client)).arg(program.address(port))).unwrap();
    }
}

#[test]
fn the_example_of_the_readme_hears_ticks() {
    let Some(python) = Python::with("requirements") else { return };
    let dir = tempfile::tempdir().unwrap();
    let program = Program::serve(dir.path(), &["--rate", "200"], &[]);
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let example = readme.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(example.contains("ws://127.0.0.1:8001/"));
    let example = example.replace("ws://127.0.0.1:8001/", &program.address("WebSocket"));
    let mut client = Command::new(python.program())
        .args(["-u", "-c", &example])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(client.stdout.take().unwrap()).lines().map_while(Result::ok);
    let heard: Vec<String> = lines.take(3).collect();
    client.kill().unwrap();
    client.wait().unwrap();
    assert_eq!(heard.len(), 3, "it ended by itself: {heard:?}");
    for line in heard {
        let [time, price, volume] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert!(Nanos::from_rfc3339(time).is_some(), "{line}");
        assert!(price.parse::<f64>().unwrap() > 0.0 && volume.parse::<f64>().unwrap() > 0.0, "{line}");
    }
}

#[test]
fn every_answer_is_as_described() {
    let Some(python) = Python::with("requirements") else { return };
    let dir = tempfile::tempdir().unwrap();
    let corrected = [
        ("TICKWIRE__PROVIDER__SIMULATED__MISBEHAVIOUR__CANCEL__PROBABILITY", "0.05"),
        ("TICKWIRE__PROVIDER__SIMULATED__MISBEHAVIOUR__CORRECT__PROBABILITY", "0.05"),
    ];
    let misbehaviour = [UNTIDY.as_slice(), &corrected].concat();
    let program = start(dir.path(), &misbehaviour, "/api/v1/dead-letters?symbol=AAPL");
    let url = program.address("REST");
    run(Command::new(python.program()).arg(python.client("examples.py")).arg(&url)).unwrap();
    // What it writes of its own accord goes where the server's data goes. As a module it works in a checkout that was
    // moved, too.
    let asked = run(Command::new(python.program())
        .args(["-m", "schemathesis.cli"])
        .current_dir(dir.path())
        .env("SCHEMATHESIS_HOOKS", python.client("schemathesis_hooks.py"))
        .arg("--config-file")
        .arg(python.client("schemathesis.toml"))
        .args(["run", "--no-color"])
        .arg(format!("{url}/openapi.json")));
    if let Err(found) = asked {
        panic!("{found}");
    }
}
