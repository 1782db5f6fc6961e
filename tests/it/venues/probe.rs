//! `tickwire probe` against fake venues: first ticks, plain words for what is wrong, and recordings that replay to the bars of
//! what was traded.

use super::dialects;
use super::dialects::coinbase::Coinbase;
use super::fake::{Dialect, FakeVenue};
use super::live::{OPEN_WINDOWS, WINDOWS, made_market, replayed};
use crate::support::process::{Ended, Program, command, replay, replay_command, wait_for};

fn probe(venue: &FakeVenue, args: &[&str]) -> Program {
    let mut all = vec!["probe", venue.dialect().name()];
    all.extend(args);
    let mut probe = command(&all);
    probe.envs(OPEN_WINDOWS).envs(venue.environment());
    Program::start(probe)
}

fn symbols(dialect: &dyn Dialect) -> String {
    dialect.symbols().join(",")
}

#[test]
fn first_ticks_are_shown_and_it_ends_by_itself() {
    for dialect in dialects::ALL {
        let venue = FakeVenue::start(dialect, &made_market(dialect, 200), &[]);
        venue.wait_for_symbols(venue.symbols().len());
        let Ended { status, stdout, stderr } =
            probe(&venue, &["--symbols", &symbols(dialect), "--seconds", "60"]).wait();
        assert!(status.success(), "{}: {stdout}\n{stderr}", dialect.name());
        assert!(stdout.starts_with(&format!("connecting to {}", dialect.name())), "{stdout}");
        assert!(stdout.contains(" ticks in "), "{stdout}");
    }
}

#[test]
fn recorded_frames_replay_to_the_bars_of_what_was_traded() {
    let dialects = dialects::ALL.into_iter().filter(|dialect| dialect.trades_per_answer() == 0);
    let replay = |args: &[&str]| {
        let mut run = replay_command(args);
        run.envs([WINDOWS]);
        Program::start(run).wait()
    };
    let mut num_compared = 0;
    for dialect in dialects {
        let name = dialect.name();
        let dir = tempfile::tempdir().unwrap();
        let trades = made_market(dialect, 400);
        let expected = replayed(dir.path(), &trades);
        let venue = FakeVenue::start(dialect, &trades, &[]);
        venue.wait_for_symbols(venue.symbols().len());
        let file = dir.path().join("frames.jsonl");
        let file = file.to_str().unwrap();
        let program = probe(&venue, &["--symbols", &symbols(dialect), "--record", file, "--seconds", "3600"]);
        wait_for("recording of every trade", || {
            let is_played = venue.num_played() == trades.len();
            let num_recorded = || replay(&[file]).summary()["ledger"]["in_bars"].as_u64();
            (is_played && num_recorded() == Some(trades.len() as u64)).then_some(())
        });
        let ended = program.stop();
        assert!(ended.stdout.contains(" frames recorded"), "{name}: {}", ended.stdout);
        let summary = replay(&[file]).summary();
        assert_eq!(summary["digest"], expected.digest.as_str(), "{name}");
        assert_eq!(summary["ledger"]["residue"].as_i64().unwrap_or(0), 0, "{name}");
        let one = dialect.symbols()[0];
        let own = trades.iter().filter(|trade| trade.symbol == one).count();
        let summary = replay(&[file, "--symbols", one]).summary();
        assert_eq!(summary["ledger"]["in_bars"], own, "{name}: symbols that were not asked for");
        num_compared += 1;
    }
    assert!(num_compared > 0);
}

#[test]
fn what_is_wrong_is_said_in_plain_words() {
    let venue = FakeVenue::start(&Coinbase, &made_market(&Coinbase, 10), &[]);
    let ended = probe(&venue, &["--symbols", "NOPE-USD"]).wait();
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("`coinbase` has no symbol `NOPE-USD`; there is "), "{}", ended.stderr);

    let mut unreachable = command(&["probe", "coinbase", "--symbols", "BTC-USD", "--seconds", "1"]);
    unreachable.envs(venue.environment()).env(venue.variable("stream_url"), "ws://127.0.0.1:1");
    let ended = Program::start(unreachable).wait();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(ended.stdout.contains("cannot reach `127.0.0.1:1`"), "{}", ended.stdout);
    assert!(
        ended.stderr.contains("error: nothing came") && ended.stderr.contains("a firewall"),
        "{}",
        ended.stderr
    );

    for (venue, said) in [("nope", "nobody serves `nope`"), ("simulated", "nothing to connect to")] {
        let ended = Program::start(command(&["probe", venue])).wait();
        assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
}

#[test]
fn a_recording_that_cannot_be_read_is_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("frames.jsonl");
    let header =
        |venue: &str| format!(r#"{{"tickwire_frames":1,"venue":"{venue}","channels":[],"symbols":[]}}"#);
    for (text, said) in [
        ("{\"tickwire_frames\":9}\n".to_owned(), "frames of form 9"),
        (header("nope"), "nobody serves the venue `nope`"),
    ] {
        std::fs::write(&path, text).unwrap();
        let ended = replay(&[path.to_str().unwrap()]);
        assert!(!ended.status.success() && ended.stderr.contains(said), "{}", ended.stderr);
    }
    std::fs::write(&path, format!("{}\nno frame\n", header("coinbase"))).unwrap();
    let summary = replay(&[path.to_str().unwrap()]).summary();
    assert_eq!(summary["ledger"]["received"], 1, "{summary}");
}
