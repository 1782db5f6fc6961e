//! The built program as a process of its own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A running program; it is killed at the end of the test.
pub struct Program {
    pub child: Child,
    addresses: Vec<(String, String)>,
}

impl Program {
    /// Starts `tickwire run` on free ports in a directory of its own, and waits until it is ready.
    pub fn start(dir: &Path, args: &[&str], environment: &[(&str, &str)]) -> Program {
        let ports = ["REST", "WEBSOCKET", "DASHBOARD", "METRICS"];
        let ports = ports.map(|name| (format!("TICKWIRE__SERVER__{name}"), "127.0.0.1:0"));
        let mut child = Command::new(env!("CARGO_BIN_EXE_tickwire"))
            .args(["run", "--log-format", "json"])
            .args(args)
            .env_clear()
            .envs(ports)
            .envs(environment.iter().copied())
            .current_dir(dir)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut addresses = Vec::new();
        loop {
            let line = lines.next().expect("the program starts").unwrap();
            if let Some((before, after)) = line.split_once(" listens on ") {
                let part = |text: Option<&str>| text.unwrap().to_owned();
                addresses.push((part(before.rsplit('"').next()), part(after.split('"').next())));
            }
            if line.contains("\"ready\"") {
                break;
            }
        }
        // What it says later is read, so that it never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Program { child, addresses }
    }

    /// Returns where it listens: `REST`, `WebSocket`, `dashboard`, `metrics`.
    pub fn url(&self, name: &str) -> &str {
        let found = self.addresses.iter().find(|(known, _)| known == name);
        &found.expect("it says where it listens").1
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
