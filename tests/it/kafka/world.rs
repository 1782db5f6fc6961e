//! A run that writes topics, what must stand in them, and what does.

use crate::support::kafka::{Kafka, Record};
use crate::support::process::{Program, command, run_args, wait_for};
use crate::support::rows::{Applied, apply_log};
use rustix::process::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use tickwire::models::detection::settings::DetectionSettings;
use tickwire::models::effect::{Effect, SealedBar};
use tickwire::models::log_pos::LogPos;
use tickwire::models::settings::CoreSettings;
use tickwire::models::time::{MINUTE, SECOND, Width};
use tickwire::wire::{AnomalyMessage, BarMessage, IndicatorsMessage, TickMessage, to_json};

/// Bars that close all the time, and little made-up past.
pub fn run(dir: &Path, kafka: &Kafka, further: &[(&str, &str)]) -> Command {
    let mut run = command(&run_args(dir, &["--rate", "1500", "--symbol-count", "20", "--seed", "5"]));
    run.env("KAFKA_BOOTSTRAP_SERVERS", &kafka.servers)
        .env("TICKWIRE__KAFKA__PARTITIONS", "6")
        .env("TICKWIRE__SERVER__STOP_TIMEOUT", "50s")
        .env("TICKWIRE__PROVIDER__WARM_UP", "1min")
        .env("TICKWIRE__PROVIDER__SIMULATED__WARM_UP_TRADES_MAX", "500")
        .env("TICKWIRE__RECOVERY__MAX_AGE", "640ms")
        .env("TICKWIRE__CORE__WINDOWS", "100ms,1s,1min")
        .env("TICKWIRE__CORE__LATENESS", "10ms")
        .envs(kafka.topics())
        .envs(further.iter().copied());
    run
}

pub fn core() -> CoreSettings {
    let widths = [SECOND / 10, SECOND, MINUTE].map(|nanos| Width::new(nanos).unwrap());
    let detection = Some(DetectionSettings::default());
    CoreSettings { widths: widths.to_vec(), lateness: SECOND / 100, detection, ..CoreSettings::default() }
}

/// Returns what must stand in the topics by a log: each topic's values.
fn expected(applied: &Applied, only_sealed: bool) -> BTreeMap<String, BTreeSet<String>> {
    let mut topics: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut add = |topic: &str, value: Vec<u8>| {
        topics.entry(topic.to_owned()).or_default().insert(String::from_utf8(value).unwrap());
    };
    for effect in &applied.effects {
        match effect {
            Effect::Bar(_) if only_sealed => {}
            Effect::Bar(bar) | Effect::Sealed(SealedBar { bar, .. }) => {
                let (spec, window) = (applied.symbols.spec(bar.symbol), bar.width.to_string());
                add(&format!("aggregated_data_{window}"), to_json(&BarMessage::new(bar, &spec, &window)));
            }
            Effect::Indicators(point) => {
                let (spec, window) = (applied.symbols.spec(point.symbol), point.width.to_string());
                add("technical_indicators", to_json(&IndicatorsMessage::new(point, &spec, &window)));
            }
            Effect::Anomaly(detected) => {
                let spec = applied.symbols.spec(detected.symbol);
                add("anomalies", to_json(&AnomalyMessage::from(detected.anomaly(&spec))));
            }
            Effect::DeadLetter(_) => {}
        }
    }
    for report in &applied.reports {
        let spec = applied.symbols.spec(report.entry.symbol);
        let provider = applied.sources.name(report.entry.body.source());
        add("tick_data", to_json(&TickMessage::new(&report.entry, &spec, &provider).unwrap()));
    }
    topics
}

/// Compares what stands in the topics with what follows from the log. Returns how many messages were there twice.
pub fn assert_complete(kafka: &Kafka, dir: &Path) -> usize {
    assert_complete_with(kafka, dir, core(), 0)
}

/// The same under other settings, of the messages of one generation.
pub fn assert_complete_with(kafka: &Kafka, dir: &Path, core: CoreSettings, generation: u16) -> usize {
    let only_sealed = core.tells_seals;
    let applied = apply_log(dir, core, false);
    assert!(applied.reports.len() > 500, "{}", applied.reports.len());
    let mut num_repeats = 0;
    for (topic, expected) in expected(&applied, only_sealed) {
        let records = kafka.consume(&kafka.topic(&topic));
        let of_generation = |record: &Record| plain_value(&record.value, generation);
        let values: Vec<String> = records.iter().filter_map(of_generation).collect();
        let found: BTreeSet<String> = values.iter().cloned().collect();
        let missing: Vec<&String> = expected.difference(&found).take(3).collect();
        let surplus: Vec<&String> = found.difference(&expected).take(3).collect();
        assert!(
            missing.is_empty() && surplus.is_empty(),
            "{topic}: {} expected, {} found; missing: {missing:#?}; surplus: {surplus:#?}",
            expected.len(),
            found.len()
        );
        num_repeats += values.len() - found.len();
    }
    num_repeats
}

/// Rows that may wait when a run is stopped: a fifth of those with which a sink falls behind, and what the log brings it later a
/// stop does not wait for.
const WAITING_MAX: u64 = 20_000;

/// Stops a run that has the time it needs for its last messages.
pub fn stop(program: Program) {
    let of_sink = |name: &str| program.metric(&format!("tickwire_sink_{name}{{sink=\"kafka\"}} "));
    wait_for("a sink with little to write", || {
        (of_sink("behind_positions") == 0 && of_sink("queue_length") < WAITING_MAX).then_some(())
    });
    program.signal(Signal::TERM);
    let ended = program.wait();
    assert!(ended.status.success(), "{}: {}", ended.status, ended.stderr);
}

/// Returns a value as it were in the generation 0; nothing of one of another generation.
fn plain_value(value: &str, generation: u16) -> Option<String> {
    let (before, rest) = value.rsplit_once(r#""log_pos":""#)?;
    let (digits, after) = rest.split_once('"')?;
    let pos = LogPos::from_stored(digits.parse().ok()?)?;
    let is_wanted = pos.generation() == generation;
    is_wanted.then(|| format!(r#"{before}"log_pos":"{}"{after}"#, pos.position()))
}

pub fn wait_for_health(program: &Program, status: &str) {
    wait_for(status, || {
        let health = program.get("REST", "/health")?.json();
        (health["components"]["kafka"] == status).then_some(())
    });
}

pub fn wait_for_messages(kafka: &Kafka, num: u64) {
    let count = kafka.counter(&kafka.topic("tick_data"));
    let begun = std::cell::Cell::new(None);
    wait_for("messages", || {
        let there = count();
        let first = begun.get().unwrap_or(there);
        begun.set(Some(first));
        (there > first + num).then_some(())
    });
}
