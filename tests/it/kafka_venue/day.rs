//! A recorded day that two programs of the former system write to a topic, each placing keys its own way.

use super::world::{
    LIBRDKAFKA_DEFAULT, OldProducer, made_by, num_read, num_trades, old_tick, run, wait_until_read,
};
use crate::support::kafka::Kafka;
use crate::support::process::{Program, replay, wait_for};
use crate::support::rows::{assert_same_rows, history_rows, rows_by_log};
use crate::support::shared;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use tickwire::models::settings::CoreSettings;
use tickwire::models::time::SECOND;

const DAY: &str = "eq_taq_20140917_trades.csv.gz";
const NUM_PARTITIONS: i32 = 5;
const NUM_KILLS: usize = 6;
/// Messages of a run that are read before it is killed.
const KILLED_AFTER: u64 = 1_500;
/// Messages of half a minute.
const WAITING_MAX: usize = 40;

/// The day as messages: key, value, and which of two producers writes it. They take turns by the second, so trades of one moment
/// have one order.
fn messages() -> Option<Vec<(String, String, usize)>> {
    let rows = shared::open(DAY)?;
    let message = |row: Vec<String>| {
        let time = shared::nanos(&row[0]);
        let turn = (time.0 / SECOND % 2) as usize;
        (row[1].clone(), old_tick(&row[1], &row[2], &row[3], time), turn)
    };
    Some(rows.map(message).collect())
}

/// Writes the messages as a file and replays it.
fn replayed(messages: &[(String, String, usize)], dir: &Path) {
    let file = dir.join("day.jsonl");
    let mut text = String::new();
    messages.iter().for_each(|(_, value, _)| _ = writeln!(text, "{value}"));
    std::fs::write(&file, text).unwrap();
    let data = dir.join("plain");
    let ended = replay(&[file.to_str().unwrap(), "--data-dir", data.to_str().unwrap()]);
    assert_eq!(ended.summary()["ledger"]["residue"], 0);
}

/// Writes messages in their order. What waits in a producer is written behind what the other one writes meanwhile, so little may
/// wait.
fn send(messages: &[(String, String, usize)], topic: &str, producers: &[OldProducer]) {
    for part in messages.chunks(WAITING_MAX) {
        part.iter().for_each(|(key, value, turn)| producers[*turn].send(topic, key, value.as_bytes()));
        producers.iter().for_each(OldProducer::flush);
    }
}

#[test]
fn the_day_of_two_producers_gives_the_bars_of_the_plain_replay() {
    let Some(kafka) = Kafka::take("the_day_of_two_producers") else { return };
    let Some(messages) = messages() else { return };
    let dir = tempfile::tempdir().unwrap();
    replayed(&messages, dir.path());
    let topic = kafka.topic("ticks");
    kafka.create(&topic, NUM_PARTITIONS, &[]);
    let producers = ["murmur2_random", LIBRDKAFKA_DEFAULT].map(|way| OldProducer::new(&kafka, way));
    send(&messages, &topic, &producers);
    let mut partitions: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
    for record in kafka.consume(&topic) {
        partitions.entry(record.key).or_default().insert(record.partition);
    }
    assert!(partitions.values().any(|of_symbol| of_symbol.len() > 1), "each symbol is in one partition");

    let data = dir.path().join("data");
    let program = Program::start(run(&kafka, &topic, &data, &[]));
    wait_until_read(&program, messages.len() as u64);
    program.stop();
    let ((plain, plain_ledger), (made, ledger)) = (made_by(&dir.path().join("plain")), made_by(&data));
    assert_eq!(made.len(), plain.len());
    assert_eq!(made, plain);
    assert_eq!(ledger, plain_ledger);
    assert_eq!((ledger.late, ledger.duplicate, ledger.received), (0, 0, messages.len() as u64));
}

#[test]
fn a_reader_that_is_killed_again_and_again_misses_nothing_and_repeats_nothing() {
    let Some(kafka) = Kafka::take("a_reader_that_is_killed") else { return };
    let Some(messages) = messages() else { return };
    let dir = tempfile::tempdir().unwrap();
    replayed(&messages, dir.path());
    let topic = kafka.topic("ticks");
    kafka.create(&topic, NUM_PARTITIONS, &[]);
    let producers = ["murmur2_random", LIBRDKAFKA_DEFAULT].map(|way| OldProducer::new(&kafka, way));
    let data = dir.path().join("data");
    let slowly = |data: &Path| {
        let mut run = run(&kafka, &topic, data, &[]);
        // So that each kill finds it in the middle.
        run.env("MAX_MESSAGES_PER_SECOND", "8000").env("TICKWIRE__RECOVERY__MAX_AGE", "2s");
        Program::start(run)
    };
    let mut reached = Vec::new();
    for part in messages.chunks(messages.len() / NUM_KILLS + 1) {
        send(part, &topic, &producers);
        let program = slowly(&data);
        wait_for("messages that are read", || (num_read(&program)? > KILLED_AFTER).then_some(()));
        program.kill();
        reached.push(num_trades(&data));
    }
    println!("trades in the log at each kill: {reached:?}");
    assert!(reached.is_sorted() && reached[0] < *reached.last().unwrap());

    let program = Program::start(run(&kafka, &topic, &data, &[]));
    let rest = messages.len() - reached.last().unwrap();
    wait_until_read(&program, rest as u64);
    program.stop();
    assert_eq!(num_trades(&data), messages.len(), "each message is an entry once");
    let (plain, _) = made_by(&dir.path().join("plain"));
    let (made, ledger) = made_by(&data);
    assert_eq!((ledger.late, ledger.duplicate, ledger.residue()), (0, 0, 0));
    assert_eq!(made, plain);
    let (rows, _) = rows_by_log(&data, CoreSettings::default(), false);
    assert_same_rows(&rows, &history_rows(&data), "the history and the log");
}
