//! Clients in Python, written as users of the old system wrote theirs, against the built program.

use crate::support::process::wait_for;
use crate::support::program::Program;
use std::path::{Path, PathBuf};
use std::process::Command;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// Returns a Python that has what the clients need; `None`, said out loud, where there is none to be had.
fn python() -> Option<PathBuf> {
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients");
    let python = venv.join("bin/python");
    let works = || {
        let import = Command::new(&python).args(["-c", "import requests, websockets"]).output();
        import.is_ok_and(|output| output.status.success())
    };
    if !works() {
        let made = Command::new("python3").args(["-m", "venv"]).arg(&venv).output();
        if made.is_ok_and(|output| output.status.success()) {
            let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
            let installed = Command::new(&python).args(pip).arg(folder().join("requirements.txt")).output();
            if let Ok(output) = installed
                && !output.status.success()
            {
                eprintln!("{}", String::from_utf8_lossy(&output.stderr));
            }
        }
    }
    if works() {
        return Some(python);
    }
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "CI has Python with `requests` and `websockets`");
    None
}

#[test]
fn old_clients_go_on_working() {
    let Some(python) = python() else {
        eprintln!("skipped: needs python3 with venv, and the packages `requests` and `websockets`");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let program = Program::start(dir.path(), &["--rate", "200"], &[("TICKWIRE__PROVIDER__WARM_UP", "2h")]);
    // The clients come to a server that has run for a while.
    let bars = format!("{}/api/v1/aggregated/TSLA?limit=100", program.url("REST"));
    wait_for("an hour of bars", || {
        let text = ureq::get(&bars).call().ok()?.body_mut().read_to_string().ok()?;
        (text.matches("window_start").count() >= 60).then_some(())
    });
    for (client, port) in [("rest.py", "REST"), ("live.py", "WebSocket")] {
        let output =
            Command::new(&python).arg(folder().join(client)).arg(program.url(port)).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{client}: {said}");
    }
}
