//! Conditions of the system: what is wrong at some moments of the wall clock, and goes on until it is over.
//!
//! They follow from readings rather than from entries of the log, so a replay has none of them. A condition begins when two
//! readings in a row are over the threshold, so that one odd second wakes nobody, and ends when two in a row have come back by a
//! tenth of it. Where nothing is read the condition goes on: no data is no recovery.
//!
//! Promises: pure; time is handed in. One condition of one subject is one anomaly from its beginning to its end, also across
//! restarts ([`Conditions::resume`]). Room is taken only by subjects that are, or were at the last reading, over their
//! threshold. Nothing here fails.

use super::anomaly::{Anomaly, AnomalyState, REVISION, Severity};
use super::detection::settings::SeverityLevels;
use super::detection::severity;
use super::time::Nanos;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Readings over the threshold, or back from it, after which a condition begins or ends.
const IN_A_ROW: u32 = 2;

/// How far a value must come back, as a share of its threshold.
const HYSTERESIS: f64 = 0.1;

/// The symbol of conditions: they are about all symbols, or none.
pub const ALL_SYMBOLS: &str = "*";

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionKind {
    /// A stage of the data path is slow: its 99th percentile, in milliseconds.
    HighLatency,
    /// A source is not heard: seconds since it was.
    StaleFeed,
    /// A venue has gaps that are yet to be filled.
    Gap,
    /// A venue that is compared is far from the one in charge, in basis points of the price.
    VenueDivergence,
    /// The clock of this machine and a venue's are apart, in seconds.
    ClockOff,
    /// Reports that the ledger does not explain.
    LedgerResidue,
    /// A sink does not do its work, in seconds since it did.
    SinkBehind,
}

impl ConditionKind {
    /// All kinds.
    pub const ALL: [ConditionKind; 7] = [
        ConditionKind::HighLatency,
        ConditionKind::StaleFeed,
        ConditionKind::Gap,
        ConditionKind::VenueDivergence,
        ConditionKind::ClockOff,
        ConditionKind::LedgerResidue,
        ConditionKind::SinkBehind,
    ];

    /// Returns the type of its anomalies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            ConditionKind::HighLatency => "high_latency",
            ConditionKind::StaleFeed => "stale_feed",
            ConditionKind::Gap => "gap",
            ConditionKind::VenueDivergence => "venue_divergence",
            ConditionKind::ClockOff => "clock_off",
            ConditionKind::LedgerResidue => "ledger_residue",
            ConditionKind::SinkBehind => "sink_behind",
        }
    }

    /// Reads the type of an anomaly; `None` where it is no condition's.
    #[must_use]
    pub fn parse(anomaly_type: &str) -> Option<ConditionKind> {
        ConditionKind::ALL.into_iter().find(|kind| kind.as_str() == anomaly_type)
    }

    /// Returns how severe it is at the least: where the threshold is nothing, no value is so many times as much.
    const fn severity_min(self) -> Severity {
        match self {
            ConditionKind::HighLatency | ConditionKind::Gap | ConditionKind::VenueDivergence => Severity::Low,
            ConditionKind::ClockOff | ConditionKind::SinkBehind => Severity::Medium,
            ConditionKind::StaleFeed => Severity::High,
            ConditionKind::LedgerResidue => Severity::Critical,
        }
    }

    /// Returns what a value says, for people.
    fn describe(self, subject: &str, value: f64) -> String {
        match self {
            ConditionKind::HighLatency => format!("99 % of `{subject}` take up to {value:.0} ms"),
            ConditionKind::StaleFeed => format!("`{subject}` has not been heard for {value:.0} s"),
            ConditionKind::Gap => format!("`{subject}` has {value:.0} gaps that are yet to be filled"),
            ConditionKind::VenueDivergence => {
                format!("prices of `{subject}` differ by {value:.1} basis points")
            }
            ConditionKind::ClockOff => {
                format!("the clock here and that of `{subject}` are {value:.1} s apart")
            }
            ConditionKind::LedgerResidue => format!("the ledger does not explain {value:.0} reports"),
            ConditionKind::SinkBehind => format!("`{subject}` has been behind for {value:.0} s"),
        }
    }
}

/// Thresholds of the kinds that are looked for, in the units of [`Reading`]; `None` for one that is not. Feeds have their own.
#[derive(Clone, Debug, PartialEq)]
pub struct ConditionSettings {
    /// Of a 99th percentile, in milliseconds.
    pub high_latency: Option<f64>,
    /// Whether sources that are not heard are looked for: each has limits of its own.
    pub stale_feed: bool,
    /// Whether gaps are looked for.
    pub gap: bool,
    /// Of prices, in basis points.
    pub venue_divergence: Option<f64>,
    /// Of clocks, in seconds.
    pub clock_off: Option<f64>,
    /// Whether reports that the ledger does not explain are looked for.
    pub ledger_residue: bool,
    /// Of sinks, in seconds.
    pub sink_behind: Option<f64>,
    /// From how many times its threshold on a condition is how severe.
    pub levels: SeverityLevels,
}

/// What was read of one subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// What was read.
    pub kind: ConditionKind,
    /// Of whom: a stage, a source, a venue, a sink, a symbol.
    pub subject: String,
    /// The value, in the unit of its kind; never negative.
    pub value: f64,
    /// Above this it is too much.
    pub threshold: f64,
}

impl Reading {
    fn is_over(&self) -> bool {
        self.value > self.threshold
    }

    fn has_come_back(&self) -> bool {
        self.value <= self.threshold * (1.0 - HYSTERESIS)
    }

    fn severity(&self, levels: &SeverityLevels) -> Severity {
        let least = self.kind.severity_min();
        let times = self.value / self.threshold;
        if times.is_finite() { least.max(severity(times, levels)) } else { least }
    }
}

/// What is known of one subject.
#[derive(Clone, Debug)]
enum Course {
    /// Over the threshold, so many times in a row.
    Rising(u32),
    /// It holds; so many readings in a row have come back.
    Holds(Box<Anomaly>, u32),
}

/// The conditions that hold.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    courses: BTreeMap<(ConditionKind, String), Course>,
}

impl Conditions {
    /// Goes on with what an earlier run said last of its conditions; others of its anomalies are left out.
    pub fn resume(&mut self, anomalies: Vec<Anomaly>) {
        for anomaly in anomalies {
            let kind = ConditionKind::parse(&anomaly.anomaly_type);
            let subject = anomaly.metadata.get("subject").and_then(Value::as_str).map(str::to_owned);
            if let (Some(kind), Some(subject), AnomalyState::Active) = (kind, subject, anomaly.state) {
                self.courses.insert((kind, subject), Course::Holds(Box::new(anomaly), 0));
            }
        }
    }

    /// Returns the number of conditions that hold.
    #[must_use]
    pub fn num_open(&self) -> usize {
        self.courses.values().filter(|course| matches!(course, Course::Holds(..))).count()
    }

    /// Takes a reading in. Returns what is to be said: that the condition began, that it is more severe now, or that it is
    /// over.
    pub fn judge(&mut self, reading: &Reading, now: Nanos, levels: &SeverityLevels) -> Option<Anomaly> {
        let key = (reading.kind, reading.subject.clone());
        let severity = reading.severity(levels);
        let Some(course) = self.courses.get_mut(&key) else {
            if reading.is_over() {
                self.courses.insert(key, Course::Rising(1));
            }
            return None;
        };
        match course {
            Course::Rising(_) if !reading.is_over() => {
                self.courses.remove(&key);
                None
            }
            Course::Rising(times) if *times + 1 < IN_A_ROW => {
                *times += 1;
                None
            }
            Course::Rising(_) => {
                let anomaly = begun(reading, now, severity);
                *course = Course::Holds(Box::new(anomaly.clone()), 0);
                Some(anomaly)
            }
            Course::Holds(anomaly, back) if reading.has_come_back() => {
                *back += 1;
                if *back < IN_A_ROW {
                    return None;
                }
                let ended = said_again(anomaly, AnomalyState::Ended, now);
                self.courses.remove(&key);
                Some(ended)
            }
            Course::Holds(anomaly, back) => {
                *back = 0;
                if severity <= anomaly.severity {
                    return None;
                }
                let mut worse = said_again(anomaly, AnomalyState::Active, now);
                worse.severity = severity;
                worse.current_value = Some(reading.value);
                worse.description = reading.kind.describe(&reading.subject, reading.value);
                **anomaly = worse.clone();
                Some(worse)
            }
        }
    }
}

fn begun(reading: &Reading, now: Nanos, severity: Severity) -> Anomaly {
    let Reading { kind, subject, value, threshold } = reading;
    let metadata = Map::from_iter([("subject".to_owned(), json!(subject)), (REVISION.to_owned(), json!(0))]);
    Anomaly {
        id: format!("{ALL_SYMBOLS}/{}/{subject}/{}", kind.as_str(), now.0),
        time: now,
        symbol: ALL_SYMBOLS.to_owned(),
        anomaly_type: kind.as_str().to_owned(),
        severity,
        description: kind.describe(subject, *value),
        current_value: Some(*value),
        expected_value: None,
        threshold: Some(*threshold),
        metadata,
        state: AnomalyState::Active,
        log_pos: 0,
    }
}

/// Returns what is said of an anomaly after what was said before.
fn said_again(before: &Anomaly, state: AnomalyState, now: Nanos) -> Anomaly {
    let mut after = Anomaly { state, ..before.clone() };
    after.metadata.insert(REVISION.to_owned(), json!(before.revision() + 1));
    if state == AnomalyState::Ended {
        after.metadata.insert("ended".to_owned(), json!(now.to_rfc3339()));
    }
    after
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::time::SECOND;

    fn reading(value: f64) -> Reading {
        Reading {
            kind: ConditionKind::HighLatency,
            subject: "received_to_bar".to_owned(),
            value,
            threshold: 100.0,
        }
    }

    const LEVELS: SeverityLevels = SeverityLevels { medium: 1.5, high: 2.0, critical: 3.0 };

    /// Judges one value a second. Returns what is said at each: state, severity, revision.
    fn said(conditions: &mut Conditions, values: &[f64]) -> Vec<Option<(AnomalyState, Severity, u64)>> {
        let judge = |(at, value): (i64, &f64)| {
            let anomaly = conditions.judge(&reading(*value), Nanos(at * SECOND), &LEVELS)?;
            Some((anomaly.state, anomaly.severity, anomaly.revision()))
        };
        (0..).zip(values).map(judge).collect()
    }

    #[test]
    fn one_odd_second_is_nothing_and_a_longer_one_begins_and_ends_once() {
        let mut conditions = Conditions::default();
        let (active, ended) = (AnomalyState::Active, AnomalyState::Ended);
        let low = Severity::Low;
        assert_eq!(said(&mut conditions, &[500.0, 20.0, 100.0, 101.0]), [None; 4]);
        let begins = said(&mut conditions, &[120.0, 140.0, 95.0, 20.0, 95.0, 20.0, 140.0]);
        assert_eq!(begins[0], Some((active, low, 0)));
        assert_eq!(begins[1..], [None; 6], "it goes on: not twice in a row below 90");
        assert_eq!(conditions.num_open(), 1);
        assert_eq!(said(&mut conditions, &[90.0, 20.0, 20.0]), [None, Some((ended, low, 1)), None]);
        assert!(conditions.courses.is_empty());
    }

    #[test]
    fn what_gets_worse_is_said_once_more_under_the_same_id() {
        let mut conditions = Conditions::default();
        let mut judge = |value: f64, at: i64| conditions.judge(&reading(value), Nanos(at), &LEVELS);
        assert_eq!(judge(150.0, 1), None);
        let begun = judge(150.0, 2).expect("it begins");
        let worse = judge(310.0, 3).expect("it is worse");
        assert_eq!((worse.id.as_str(), worse.severity), (begun.id.as_str(), Severity::Critical));
        assert!(worse.replaces(&begun) && worse.description.contains("310 ms"));
        assert_eq!(judge(320.0, 4), None);
        assert_eq!(judge(150.0, 5), None, "it does not get better before it ends");
        assert_eq!(judge(0.0, 6), None);
        let ended = judge(0.0, 7).expect("it ends");
        assert!(ended.replaces(&worse) && ended.metadata.contains_key("ended"));
    }

    #[test]
    fn a_restart_goes_on_with_what_was_open() {
        let mut before = Conditions::default();
        let open = said(&mut before, &[200.0, 200.0]);
        assert!(open[1].is_some());
        let mut stored = before.judge(&reading(400.0), Nanos(9), &LEVELS).into_iter().collect::<Vec<_>>();
        stored.push(Anomaly { anomaly_type: "price_spike".to_owned(), ..Anomaly::default() });
        let id = stored[0].id.clone();
        let mut after = Conditions::default();
        after.resume(stored);
        assert_eq!(after.num_open(), 1);
        assert_eq!(after.judge(&reading(10.0), Nanos(10), &LEVELS), None);
        let ended = after.judge(&reading(10.0), Nanos(11), &LEVELS).expect("it ends");
        assert_eq!((ended.id, ended.state), (id, AnomalyState::Ended));
    }

    #[test]
    fn a_threshold_of_nothing_is_passed_by_anything() {
        let mut conditions = Conditions::default();
        let gap =
            |value| Reading { kind: ConditionKind::Gap, subject: "kraken".to_owned(), value, threshold: 0.0 };
        assert_eq!(conditions.judge(&gap(1.0), Nanos(1), &LEVELS), None);
        let begun = conditions.judge(&gap(1.0), Nanos(2), &LEVELS).expect("a gap");
        assert_eq!((begun.symbol.as_str(), begun.severity), (ALL_SYMBOLS, Severity::Low));
        assert_eq!(conditions.judge(&gap(0.0), Nanos(3), &LEVELS), None);
        assert!(conditions.judge(&gap(0.0), Nanos(4), &LEVELS).is_some());
    }
}
