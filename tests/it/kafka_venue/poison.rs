//! Messages that are no ticks: dead letters with their places, and what `tickwire dlq` does with them.

use super::world::{OldProducer, old_tick, run, wait_until_read};
use crate::support::kafka::Kafka;
use crate::support::process::{Program, command};
use serde_json::Value;
use std::path::Path;
use tickwire::models::time::{Nanos, SECOND};

const NOON: Nanos = Nanos(1_410_955_200 * SECOND);

fn dlq(data: &Path, args: &[&str], kafka: Option<&Kafka>) -> String {
    let mut all = vec!["dlq"];
    all.extend(args);
    all.extend(["--data-dir", data.to_str().unwrap()]);
    let mut dlq = command(&all);
    if let Some(kafka) = kafka {
        dlq.env("KAFKA_BOOTSTRAP_SERVERS", &kafka.servers)
            .env("TICKWIRE__KAFKA__TOPICS__DLQ", kafka.topic("dlq"));
    }
    let ended = Program::start(dlq).wait();
    assert!(ended.status.success(), "{args:?}: {}", ended.stderr);
    ended.stdout
}

fn letters(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn poison_is_set_aside_with_its_place_and_holds_up_nothing() {
    let Some(kafka) = Kafka::take("poison_is_set_aside") else { return };
    let topic = kafka.topic("ticks");
    kafka.create(&topic, 1, &[("max.message.bytes", "4000000")]);
    let producer = OldProducer::new(&kafka, "murmur2_random");
    let huge = format!(r#"{{"symbol":"A","note":"{}"}}"#, "y".repeat(2 << 20));
    let poison: [(&str, &str); 6] = [
        ("garbage", "malformed"),
        (r#"{"price":1,"volume":1,"timestamp":"2014-09-17T12:00:00"}"#, "malformed"),
        (r#"{"symbol":"A","price":"high","volume":1,"timestamp":"2014-09-17T12:00:00"}"#, "bad_price"),
        (r#"{"v":2,"symbol":"A","price":1,"volume":1,"timestamp":"2014-09-17T12:00:00"}"#, "future_version"),
        (&huge, "malformed"),
        ("", "malformed"),
    ];
    producer.send(&topic, "A", old_tick("A", "1", "1", NOON).as_bytes());
    poison.iter().for_each(|(value, _)| producer.send(&topic, "A", value.as_bytes()));
    producer.send(&topic, "A", old_tick("A", "2", "1", NOON.plus(SECOND)).as_bytes());
    producer.flush();
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let program = Program::start(run(&kafka, &topic, &data, &[]));
    wait_until_read(&program, 8);
    let latest = program.get("REST", "/api/v1/latest/A").unwrap().json();
    assert_eq!(latest["price"], 2.0, "what stands behind the poison is read");

    // Beside the process that runs.
    let mut found = letters(&dlq(&data, &["ls", "--json"], None));
    found.sort_by_key(|letter| letter["origin"].as_str().unwrap().to_owned());
    let places: Vec<&str> = found.iter().map(|letter| letter["origin"].as_str().unwrap()).collect();
    let expected: Vec<String> = (1..=6).map(|offset| format!("{topic}[0]@{offset}")).collect();
    assert_eq!(places, expected);
    for (letter, (value, reason)) in found.iter().zip(poison) {
        assert_eq!((&letter["reason"], &letter["provider"]), (&reason.into(), &"kafka".into()), "{letter}");
        assert!(value.starts_with(letter["payload"].as_str().unwrap()), "{letter}");
    }
    let by_reason = letters(&dlq(&data, &["ls", "--json", "--reason", "future_version"], None));
    assert_eq!(by_reason.len(), 1);
    let id = by_reason[0]["id"].as_str().unwrap();
    let shown = dlq(&data, &["show", id], None);
    assert!(shown.contains("future_version") && shown.contains(&places[3].to_owned()), "{shown}");
    program.stop();

    let program = Program::start(run(&kafka, &topic, &data, &[]));
    program.line_with(" ready");
    program.line_with("reading the topic");
    program.stop();
    assert_eq!(letters(&dlq(&data, &["ls", "--json"], None)).len(), 6, "a restart repeats none");
}

#[test]
fn letters_are_taken_in_again_by_the_log_or_by_a_topic() {
    let Some(kafka) = Kafka::take("letters_are_taken_in_again") else { return };
    let topic = kafka.topic("ticks");
    kafka.create(&topic, 2, &[]);
    let producer = OldProducer::new(&kafka, "murmur2_random");
    for (second, symbol) in ["A", "B", "C"].into_iter().enumerate() {
        let tick = old_tick(symbol, "1", "1", NOON.plus(second as i64 * SECOND));
        producer.send(&topic, symbol, tick.as_bytes());
    }
    producer.flush();
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut narrow = run(&kafka, &topic, &data, &[]);
    narrow.env("TICKWIRE__CORE__MAX_SYMBOLS", "2");
    let program = Program::start(narrow);
    wait_until_read(&program, 3);
    program.stop();
    let refused = letters(&dlq(&data, &["ls", "--json"], None));
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0]["reason"], "too_many_symbols");

    let said = dlq(&data, &["replay", "--reason", "too_many_symbols"], None);
    assert!(said.starts_with("1 handed on, 1 in_bars"), "{said}");
    let said = dlq(&data, &["replay"], None);
    assert!(said.starts_with("1 handed on, 1 duplicate"), "it is there once: {said}");

    let said = dlq(&data, &["replay", "--to", &topic], Some(&kafka));
    assert!(said.starts_with("1 handed on"), "{said}");
    assert_eq!(kafka.num_messages(&topic), 4);

    // The other home of letters.
    let home = kafka.topic("dlq");
    kafka.create(&home, 1, &[]);
    let letter = serde_json::json!({
        "v": 1, "reason": "malformed", "provider": "kafka", "received_at": "2014-09-17T12:00:00Z",
        "payload": old_tick("A", "3", "1", NOON.plus(9 * SECOND)), "topic": topic, "partition": 1, "offset": 7,
    });
    kafka.produce(&home, [("A", letter.to_string().as_bytes())]);
    let found = letters(&dlq(&data, &["ls", "--topic", "--json"], Some(&kafka)));
    assert_eq!(found.len(), 1);
    assert_eq!(
        (&found[0]["origin"], &found[0]["id"]),
        (&format!("{topic}[1]@7").into(), &format!("{home}[0]@0").into())
    );
    let said = dlq(&data, &["replay", "--topic"], Some(&kafka));
    assert!(said.starts_with("1 handed on, 1 in_bars"), "{said}");
}
