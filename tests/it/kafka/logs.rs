//! Several logs that write to the same topics, one after the other.

use super::world::{
    assert_complete, assert_complete_with, core, run, stop, wait_for_health, wait_for_messages,
};
use crate::support::kafka::Kafka;
use crate::support::process::Program;
use std::path::Path;

/// What is said where another log wrote to the topics before.
const OTHER_LOG: &str = "the topics hold messages of another log";

/// What is said where another log wrote to them since.
const RIVAL: &str = "which this log has not reached";

/// Runs until there are some messages more. Returns whether either was said.
fn run_some(kafka: &Kafka, dir: &Path) -> [bool; 2] {
    let program = Program::start(run(dir, kafka, &[]));
    program.line_with(" ready");
    wait_for_messages(kafka, 1_000);
    // The end waits for what is written as it comes, and not for what is brought from the log.
    wait_for_health(&program, "healthy");
    let said = [OTHER_LOG, RIVAL].map(|text| program.find_line(text).is_some());
    if said[1] {
        let health = program.get("REST", "/health").unwrap().json();
        assert!(health["details"]["messages"]["kafka_topics"].to_string().contains(RIVAL), "{health}");
    }
    stop(program);
    said
}

#[test]
fn a_new_log_beside_old_topics_is_told_and_counts_as_the_later_one() {
    let Some(kafka) = Kafka::take("two_logs") else { return };
    let [old, new] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    assert_eq!(run_some(&kafka, old.path()), [false, false]);
    assert_eq!(run_some(&kafka, old.path()), [false, false], "the same log again");
    assert_complete(&kafka, old.path());

    assert_eq!(run_some(&kafka, new.path()), [true, false]);
    assert_eq!(run_some(&kafka, new.path()), [false, false], "once is enough");
    assert_complete_with(&kafka, new.path(), core(), 1);

    // A log is known by what it holds, also without its notes.
    std::fs::remove_file(new.path().join("topics.json")).unwrap();
    assert_eq!(run_some(&kafka, new.path()), [false, false]);
    assert!(assert_complete_with(&kafka, new.path(), core(), 1) > 1_000, "everything is written once more");

    assert_eq!(run_some(&kafka, old.path()), [false, true]);
    assert_complete(&kafka, old.path());
}
