//! The built program as a process: started, watched, signalled, and never left behind.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long any condition may take to come true: far more than it needs, so that only what hangs fails.
pub const WAIT_MAX: Duration = Duration::from_secs(60);

/// Waits until the condition gives something.
///
/// # Panics
/// When it does not in [`WAIT_MAX`].
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(begun.elapsed() < WAIT_MAX, "still no {what} after {WAIT_MAX:?}");
        std::thread::park_timeout(pause(begun));
    }
}

/// Returns how long to pause before a condition is looked at again: the longer it was waited for, the longer, so that a wait
/// costs little and takes hardly longer for it.
fn pause(begun: Instant) -> Duration {
    (begun.elapsed() / 50).clamp(Duration::from_millis(5), Duration::from_millis(25))
}

/// Prepares the program with an environment of its own: free ports, two shards.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickwire"));
    configure(&mut command).args(args);
    command
}

/// Prepares the program so that a limit on the size of its files gives it an error in place of its end.
pub fn command_without_size_signal(args: &[&str]) -> Command {
    let mut command = Command::new("sh");
    configure(&mut command)
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_tickwire")])
        .args(args);
    command
}

fn configure(command: &mut Command) -> &mut Command {
    command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    for port in ["REST", "WEBSOCKET", "DASHBOARD", "METRICS"] {
        command.env(format!("TICKWIRE__SERVER__{port}"), "127.0.0.1:0");
    }
    command.env("TICKWIRE__CORE__SHARDS", "2")
}

/// A running program. Dropping it kills it.
pub struct Program {
    child: Child,
    errors: Arc<Mutex<Vec<String>>>,
    error_reader: Option<JoinHandle<()>>,
    output_reader: Option<JoinHandle<String>>,
}

/// What a port answered.
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// What a program left.
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Program {
    /// Starts the program.
    pub fn start(mut command: Command) -> Program {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let errors = Arc::<Mutex<Vec<String>>>::default();
        let (stderr, lines) = (child.stderr.take().unwrap(), Arc::clone(&errors));
        let error_reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        let mut stdout = child.stdout.take().unwrap();
        let output_reader = std::thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).unwrap();
            text
        });
        Program { child, errors, error_reader: Some(error_reader), output_reader: Some(output_reader) }
    }

    /// Starts `tickwire run` in a directory of its own, and waits until it is ready.
    pub fn serve(dir: &Path, args: &[&str], environment: &[(&str, &str)]) -> Program {
        let mut run = command(&["run"]);
        run.args(args).envs(environment.iter().copied()).current_dir(dir);
        let program = Program::start(run);
        program.line_with(" ready");
        program
    }

    /// Returns the first line on standard error that holds the text, once there is one.
    pub fn line_with(&self, text: &str) -> String {
        wait_for(text, || self.find_line(text))
    }

    /// Returns the first line on standard error so far that holds the text.
    pub fn find_line(&self, text: &str) -> Option<String> {
        self.errors.lock().unwrap().iter().find(|line| line.contains(text)).cloned()
    }

    /// Returns where a port listens: `REST`, `metrics`, ....
    pub fn address(&self, name: &str) -> String {
        let line = self.line_with(&format!("{name} listens on "));
        line.rsplit("listens on ").next().unwrap().trim().to_owned()
    }

    /// Asks a port of it. Gives nothing where nobody answers.
    pub fn get(&self, name: &str, path: &str) -> Option<Answer> {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut answer = agent.get(format!("{}{path}", self.address(name))).call().ok()?;
        let header = answer.headers().get("content-type");
        let content_type = header.map_or("", |value| value.to_str().unwrap()).to_owned();
        let body = answer.body_mut().read_to_string().ok()?;
        Some(Answer { status: answer.status().as_u16(), content_type, body })
    }

    /// Returns the value of a metric without labels.
    pub fn metric(&self, name: &str) -> u64 {
        let text = self.get("metrics", "/metrics").unwrap().body;
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0");
        line.trim().parse().unwrap()
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// True when it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Lets it commit to its log some times, or run to its end. Returns true when it still runs.
    pub fn commits(&mut self, data: &Path, num_commits: u32) -> bool {
        let written = || std::fs::metadata(data.join("log.db-wal")).and_then(|file| file.modified()).ok();
        let (mut last, mut num_seen) = (written(), 0);
        wait_for("commits", || {
            let now = written();
            num_seen += u32::from(now != last);
            last = now;
            (num_seen > num_commits || self.has_ended()).then_some(())
        });
        !self.has_ended()
    }

    /// Ends it as `kill -9` does.
    pub fn kill(mut self) -> Ended {
        self.child.kill().unwrap();
        self.wait()
    }

    /// Tells it to stop, and checks that it does in 5 s and well.
    pub fn stop(self) -> Ended {
        let begun = Instant::now();
        self.signal(Signal::TERM);
        let ended = self.wait();
        assert!(ended.status.success(), "{}: {}", ended.status, ended.stderr);
        assert!(begun.elapsed() < Duration::from_secs(5), "it took {:?} to stop", begun.elapsed());
        ended
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Ended {
        let status = wait_for("end of the program", || self.child.try_wait().unwrap());
        let stdout = self.output_reader.take().unwrap().join().unwrap();
        self.error_reader.take().unwrap().join().unwrap();
        let stderr = self.errors.lock().unwrap().join("\n");
        Ended { status, stdout, stderr }
    }
}

/// How many of the last lines of a program a test that fails shows.
const LINES_SHOWN: usize = 40;

impl Drop for Program {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Ok(lines) = self.errors.lock()
        {
            let last = &lines[lines.len().saturating_sub(LINES_SHOWN)..];
            eprintln!("the program said at last:\n{}", last.join("\n"));
        }
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Ended {
    /// Returns the line of JSON that standard output ends with, less what differs from run to run.
    pub fn summary(&self) -> Value {
        assert!(self.status.success(), "{}: {}", self.status, self.stderr);
        let last = self.stdout.lines().last().unwrap_or_default();
        let mut summary: Value = serde_json::from_str(last).unwrap();
        let fields = summary.as_object_mut().unwrap();
        for field in ["seconds", "ticks_per_second"] {
            assert!(fields.remove(field).is_some(), "{field} in {last}");
        }
        summary
    }
}

/// Returns the arguments of `run` over a data directory.
pub fn run_args<'a>(dir: &'a Path, args: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec!["run", "--data-dir", dir.to_str().unwrap()];
    all.extend(args);
    all
}

/// Runs `replay --json` to its end.
pub fn replay(args: &[&str]) -> Ended {
    Program::start(replay_command(args)).wait()
}

/// Prepares `replay --json`.
pub fn replay_command(args: &[&str]) -> Command {
    let mut all = vec!["replay", "--json"];
    all.extend(args);
    command(&all)
}
