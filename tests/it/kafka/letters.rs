//! Dead letters of what never became an entry: they stand in the history and in the topic, and either home serves.

use crate::support::kafka::Kafka;
use crate::support::process::{Program, command, run_args, wait_for};
use serde_json::Value;
use std::path::Path;

fn dlq(data: &Path, kafka: &Kafka, args: &[&str]) -> String {
    let mut all = vec!["dlq"];
    all.extend(args);
    all.extend(["--data-dir", data.to_str().unwrap()]);
    let mut dlq = command(&all);
    dlq.env("KAFKA_BOOTSTRAP_SERVERS", &kafka.servers);
    dlq.env("TICKWIRE__KAFKA__TOPICS__DLQ", kafka.topic("tick_data_dlq"));
    let ended = Program::start(dlq).wait();
    assert!(ended.status.success(), "{args:?}: {}", ended.stderr);
    ended.stdout
}

fn letters(text: &str) -> Vec<Value> {
    let mut found: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    found.sort_by_key(|letter| letter["origin"].as_str().unwrap().to_owned());
    found
}

#[test]
fn what_never_became_an_entry_stands_in_the_topic_with_its_place() {
    let Some(kafka) = Kafka::take("letters") else { return };
    let input = kafka.topic("input");
    kafka.create(&input, 1, &[]);
    let tick = |symbol: &str| {
        format!(r#"{{"symbol":"{symbol}","price":1,"volume":1,"timestamp":"2014-09-17T12:00:00"}}"#)
    };
    let [a, b, c] = ["A", "B", "C"].map(tick);
    let values = [
        a.as_str(),
        "garbage",
        &b,
        r#"{"symbol":"A","price":"high","volume":1,"timestamp":"2014-09-17T12:00:00"}"#,
        &c,
    ];
    kafka.produce(&input, values.map(|value| ("A", value.as_bytes())));
    let dir = tempfile::tempdir().unwrap();
    let mut run = command(&run_args(dir.path(), &["--provider", "kafka"]));
    run.env("KAFKA_BOOTSTRAP_SERVERS", &kafka.servers)
        .env("TICKWIRE__VENUES__KAFKA__TOPIC", &input)
        .env("TICKWIRE__CORE__MAX_SYMBOLS", "2")
        .env("TICKWIRE__KAFKA__PARTITIONS", "1")
        .envs(kafka.topics());
    let program = Program::start(run);
    program.line_with(" ready");
    let home = kafka.topic("tick_data_dlq");
    let count = kafka.counter(&home);
    wait_for("letters", || (count() == 3).then_some(()));
    program.stop();

    let places: Vec<(Value, String)> = kafka
        .consume(&home)
        .iter()
        .map(|record| serde_json::from_str::<Value>(&record.value).unwrap())
        .map(|value| (value["offset"].clone(), value["reason"].as_str().unwrap().to_owned()))
        .collect();
    let expected = [(1, "malformed"), (3, "bad_price"), (4, "too_many_symbols")];
    assert_eq!(places, expected.map(|(offset, reason)| (offset.into(), reason.to_owned())));

    let [in_topic, in_history] = [&["ls", "--json", "--topic"][..], &["ls", "--json"]].map(|args| {
        let found = letters(&dlq(dir.path(), &kafka, args));
        found
            .into_iter()
            .map(|letter| [letter["origin"].clone(), letter["payload"].clone()])
            .collect::<Vec<_>>()
    });
    assert_eq!(in_topic, in_history);
    assert_eq!(in_topic[0], [format!("{input}[0]@1"), "garbage".to_owned()].map(Value::from));

    let only = ["--reason", "too_many_symbols"];
    let said = dlq(dir.path(), &kafka, &[&["replay", "--topic"], &only[..]].concat());
    assert!(said.starts_with("1 handed on, 1 in_bars"), "{said}");
    let said = dlq(dir.path(), &kafka, &[&["replay"], &only[..]].concat());
    assert!(said.starts_with("1 handed on, 1 duplicate"), "the same letter of the other home: {said}");
}
