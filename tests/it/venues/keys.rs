//! Keys: whatever a venue answers, none is ever shown.
//!
//! Each venue that asks for a key is refused it in every way it can, on the stream and over REST, while the program is
//! asked for all that it shows, and says all that it can say. The fakes echo the key where the venue does, and send it in
//! garbage.

use super::dialects;
use super::fake::{Dialect, FakeVenue, Fault, RestFault, Welcome};
use super::live::{Live, held, made_market};
use crate::support::process::{Program, command, wait_for};
use std::path::Path;

/// Where the program shows something of a venue.
const PAGES: [&str; 6] =
    ["/", "/health", "/health/ready", "/api/v1/dead-letters", "/api/v1/symbols", "/api/v1/metrics/ledger"];

/// Returns the dialects of venues with keys.
fn with_keys() -> Vec<&'static dyn Dialect> {
    let keyed: Vec<_> = dialects::ALL.into_iter().filter(|dialect| !dialect.keys().is_empty()).collect();
    assert!(!keyed.is_empty());
    keyed
}

/// Checks that a text shows no key, written plainly or as in a URL.
fn shows_no_key(dialect: &dyn Dialect, place: &str, text: &str) {
    for (name, key) in dialect.keys() {
        assert!(!text.contains(key), "{}: {place} shows `{name}`: {text}", dialect.name());
    }
}

/// Asks the program for all that it shows.
fn pages_show_no_key(dialect: &dyn Dialect, live: &Live) {
    for page in PAGES {
        let answer = live.program.get("REST", page).unwrap();
        shows_no_key(dialect, page, &answer.body);
    }
    shows_no_key(dialect, "/metrics", &live.program.get("metrics", "/metrics").unwrap().body);
}

/// Runs the program until the fake was asked, and checks every page, every line, and every file.
fn run(
    dialect: &'static dyn Dialect,
    dir: &Path,
    venue: &FakeVenue,
    what: &str,
    is_met: impl Fn(&Live) -> bool,
) {
    let symbols = dialect.symbols().join(",");
    let live = Live::start(dir, venue, &symbols, &[("RUST_LOG", "trace")]);
    live.program.line_with(" ready");
    wait_for(&format!("{}: {what}", dialect.name()), || is_met(&live).then_some(()));
    pages_show_no_key(dialect, &live);
    let ended = live.program.stop();
    shows_no_key(dialect, what, &ended.stderr);
    shows_no_key(dialect, what, &ended.stdout);
    let data = dir.join("data");
    held(&data);
    for file in std::fs::read_dir(&data).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            shows_no_key(dialect, &path.display().to_string(), &String::from_utf8_lossy(&bytes));
        }
    }
}

#[test]
fn a_key_that_is_refused_in_every_way_is_never_shown() {
    for dialect in with_keys() {
        let trades = made_market(dialect, 200);
        assert!(!dialect.refusals().is_empty() || !dialect.rest_refusals().is_empty(), "{}", dialect.name());
        for which in 0..dialect.refusals().len() {
            let dir = tempfile::tempdir().unwrap();
            let venue = FakeVenue::start(dialect, &trades, &[]);
            venue.meet(usize::MAX, Welcome::RefuseKey(which));
            run(dialect, dir.path(), &venue, "a stream that is refused", |live| {
                let health = live.program.get("REST", "/health").unwrap().json();
                venue.num_connections() > 0
                    && health["components"][format!("feed_{}", dialect.name())] == "degraded"
                    && live.metric("failures_total") > 0
            });
        }
        // A venue that streams and has no past trades is asked for nothing over REST.
        let is_asked = dialect.has_past_trades() || dialect.trades_per_answer() > 0;
        for which in (0..dialect.rest_refusals().len()).filter(|_| is_asked) {
            let dir = tempfile::tempdir().unwrap();
            let venue = FakeVenue::start(dialect, &trades, &[(50, Fault::Kick(20))]);
            venue.fail_rest(usize::MAX, RestFault::RefuseKey(which));
            run(dialect, dir.path(), &venue, "REST that is refused", |_| venue.num_requests() > 0);
        }
    }
}

#[test]
fn a_key_in_what_a_venue_sends_is_not_kept() {
    for dialect in with_keys().into_iter().filter(|dialect| dialect.trades_per_answer() == 0) {
        let keys: Vec<String> =
            dialect.keys().iter().map(|(name, key)| format!("\"{name}\":\"{key}\"")).collect();
        // The script lives as long as the test.
        let echo: &'static str = String::leak(format!("{{\"garbage\":true,{}", keys.join(",")));
        let dir = tempfile::tempdir().unwrap();
        let venue = FakeVenue::start(
            dialect,
            &made_market(dialect, 200),
            &[(20, Fault::Garbage(echo.as_bytes())), (30, Fault::Garbage(echo.as_bytes()))],
        );
        run(dialect, dir.path(), &venue, "garbage that is kept", |live| {
            let letters = live.program.get("REST", "/api/v1/dead-letters").unwrap().body;
            letters.contains("garbage") && letters.contains("***")
        });
    }
}

#[test]
fn a_recording_holds_no_key() {
    for dialect in with_keys() {
        let keys: Vec<String> =
            dialect.keys().iter().map(|(name, key)| format!("\"{name}\":\"{key}\"")).collect();
        let echo: &'static str = String::leak(format!("{{\"garbage\":true,{}}}", keys.join(",")));
        let is_polled = dialect.trades_per_answer() > 0;
        let script = if is_polled { vec![] } else { vec![(20, Fault::Garbage(echo.as_bytes()))] };
        let venue = FakeVenue::start(dialect, &made_market(dialect, 200), &script);
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("frames.jsonl");
        let symbols = dialect.symbols().join(",");
        let mut probe = command(&["probe", dialect.name(), "--symbols", &symbols, "--record"]);
        probe.arg(&file).args(["--seconds", "3600"]).envs(venue.environment());
        let program = Program::start(probe);
        let recorded = || std::fs::read_to_string(&file).unwrap_or_default();
        wait_for("a recording", || {
            let text = recorded();
            let has_echo = is_polled || text.contains("garbage");
            (venue.num_played() == 200 && has_echo && text.lines().count() > 3).then_some(())
        });
        let ended = program.stop();
        let text = recorded();
        shows_no_key(dialect, "the recording", &text);
        shows_no_key(dialect, "the probe", &ended.stdout);
        shows_no_key(dialect, "the probe", &ended.stderr);
        assert!(
            is_polled || text.contains("***"),
            "{}: what was recorded shows where a key was",
            dialect.name()
        );
    }
}

#[test]
fn a_key_is_not_printed_with_the_configuration() {
    for dialect in with_keys() {
        let venue = FakeVenue::start(dialect, &made_market(dialect, 2), &[]);
        let mut print = command(&["print-config"]);
        let output = print.envs(venue.environment()).output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("***"), "{text}");
        shows_no_key(dialect, "print-config", &text);
        shows_no_key(dialect, "print-config", &String::from_utf8(output.stderr).unwrap());
    }
}
