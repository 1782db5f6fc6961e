//! Whatever becomes of the program and of the brokers: the topics are complete in the end.

use super::world::{assert_complete, core, run, stop, wait_for_health, wait_for_messages};
use crate::support::kafka::{Kafka, KafkaServer, Ports, StoppedKafka};
use crate::support::process::{Program, wait_for};
use crate::support::proxy::{Mode, Proxy};
use crate::support::rows::apply_log;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tickwire::models::effect::Effect;
use tickwire::models::time::SECOND;

/// Settings under which what fails is soon tried again.
const QUICK: [(&str, &str); 4] = [
    ("TICKWIRE__KAFKA__TIMEOUT", "500ms"),
    ("TICKWIRE__KAFKA__RETRY_MAX_DELAY", "200ms"),
    ("TICKWIRE__KAFKA__BREAKER_OPEN", "200ms"),
    ("TICKWIRE__KAFKA__LIBRDKAFKA__reconnect.backoff.max.ms", "200"),
];

/// Waits until the log has some entries more.
fn wait_for_entries(program: &Program, num: u64) {
    let before = program.metric("tickwire_log_position ");
    wait_for("entries", || (program.metric("tickwire_log_position ") > before + num).then_some(()));
}

/// Of each bar of a second the highest position in the topic, and by the plain replay of the log.
fn highest_positions(kafka: &Kafka, dir: &Path) -> [BTreeMap<String, u64>; 2] {
    let [mut found, mut expected] = [(); 2].map(|()| BTreeMap::new());
    let note = |bars: &mut BTreeMap<String, u64>, key: String, pos: u64| {
        let highest = bars.entry(key).or_default();
        *highest = pos.max(*highest);
    };
    for record in kafka.consume(&kafka.topic("aggregated_data_1s")) {
        let value: Value = serde_json::from_str(&record.value).unwrap();
        let [symbol, start, pos] =
            ["symbol", "window_start", "log_pos"].map(|field| value[field].as_str().unwrap());
        note(&mut found, format!("{symbol} {start}"), pos.parse().unwrap());
    }
    let applied = apply_log(dir, core(), false);
    for effect in &applied.effects {
        if let Effect::Bar(bar) = effect
            && bar.width.nanos() == SECOND
        {
            let name = &applied.symbols.spec(bar.symbol).name;
            note(&mut expected, format!("{name} {}", bar.start.to_rfc3339()), bar.log_pos);
        }
    }
    [found, expected]
}

#[test]
fn twenty_kills_while_the_broker_goes_and_comes_back_leave_complete_topics() {
    let Some(server) = KafkaServer::start("killed") else { return };
    let kafka = server.client("killed");
    let dir = tempfile::tempdir().unwrap();
    let (mut there, mut away) = (Some(server), None);
    for nth in 0..20 {
        match nth % 7 {
            2 => away = there.take().map(KafkaServer::kill),
            5 => there = away.take().map(StoppedKafka::start).or(there),
            _ => {}
        }
        let mut program = Program::start(run(dir.path(), &kafka, &QUICK));
        program.line_with(" ready");
        // At once, in the middle of things, or when the topics have got something.
        match nth % 3 {
            0 => {}
            1 => wait_for_entries(&program, 500),
            _ if there.is_some() => wait_for_messages(&kafka, 200),
            _ => wait_for_entries(&program, 1_500),
        }
        assert!(!program.has_ended());
        program.kill();
    }
    let _server = there.or_else(|| away.map(StoppedKafka::start)).expect("it is there or away");
    let program = Program::start(run(dir.path(), &kafka, &QUICK));
    program.line_with(" ready");
    wait_for_health(&program, "healthy");
    wait_for_messages(&kafka, 100);
    stop(program);
    assert_complete(&kafka, dir.path());
    let [found, expected] = highest_positions(&kafka, dir.path());
    assert!(expected.len() > 100, "{}", expected.len());
    assert_eq!(found, expected);
}

#[test]
fn a_broker_that_is_away_in_every_way_misses_nothing() {
    let proxy = RefCell::new(None);
    let advertised = |ports: Ports| {
        let before = Proxy::before(ports.broker);
        let text = format!("advertised.listeners=PLAINTEXT://127.0.0.1:{}\n", before.port());
        *proxy.borrow_mut() = Some(before);
        text
    };
    let Some(server) = KafkaServer::start_with("away", &[], advertised) else { return };
    let proxy = proxy.into_inner().unwrap();
    let kafka = server.client("away").at(proxy.port());
    let dir = tempfile::tempdir().unwrap();
    let program = Program::start(run(dir.path(), &kafka, &QUICK));
    program.line_with(" ready");
    wait_for_health(&program, "healthy");
    let said = program.find_line("overrides").unwrap_or_default();
    assert!(said.contains("reconnect.backoff.max.ms") && said.contains("10000"), "{said}");
    for mode in [Mode::Close, Mode::Hang, Mode::Slow(Duration::from_secs(2)), Mode::Reset(10_000)] {
        proxy.set(mode);
        wait_for_health(&program, "unhealthy");
        let before = program.metric("tickwire_log_position ");
        wait_for("live entries", || {
            (program.metric("tickwire_log_position ") > before + 1_000).then_some(())
        });
        proxy.set(Mode::Pass);
        wait_for_health(&program, "healthy");
        wait_for_messages(&kafka, 500);
    }
    let stopped = server.kill();
    wait_for_health(&program, "unhealthy");
    let _server = stopped.start();
    wait_for_health(&program, "healthy");
    wait_for_messages(&kafka, 500);
    let metric = "tickwire_sink_retries_total{sink=\"kafka\"} ";
    assert!(program.metric(metric) > 0 && proxy.num_resets() > 0);
    stop(program);
    assert_complete(&kafka, dir.path());
}

#[test]
fn one_of_three_brokers_killed_under_load_is_not_noticed() {
    let Some([first, second, third]) = KafkaServer::start_three("three") else { return };
    let kafka = second.client("three");
    let all = [&first, &second, &third].map(|server| server.client("three").servers).join(",");
    let dir = tempfile::tempdir().unwrap();
    let safe = [
        ("KAFKA_BOOTSTRAP_SERVERS", all.as_str()),
        ("TICKWIRE__KAFKA__REPLICATION", "3"),
        ("TICKWIRE__KAFKA__MIN_INSYNC_REPLICAS", "2"),
        ("TICKWIRE__KAFKA__TIMEOUT", "60s"),
    ];
    let program = Program::start(run(dir.path(), &kafka, &safe));
    program.line_with(" ready");
    wait_for_health(&program, "healthy");
    wait_for_messages(&kafka, 1_000);
    let _stopped = first.kill();
    wait_for_messages(&kafka, 5_000);
    wait_for_health(&program, "healthy");
    for kind in ["transient", "permanent"] {
        let metric = format!("tickwire_sink_failures_total{{kind=\"{kind}\",sink=\"kafka\"}} ");
        assert_eq!(program.metric(&metric), 0, "{kind}");
    }
    stop(program);
    assert_complete(&kafka, dir.path());
}
