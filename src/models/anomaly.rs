//! Anomalies: what a detector found unusual about a symbol.
//!
//! Promises: pure values. An anomaly is known by its id. Where two of one id meet, the one with the higher log position, then
//! the higher revision, replaces the other whole ([`Anomaly::replaces`]); a repeat changes nothing. Nothing here fails: a word that is unknown
//! is `None`.

use super::entry::Position;
use super::time::Nanos;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How far a value is beyond its threshold, least first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Severity {
    /// Beyond the threshold.
    #[default]
    Low,
    /// Beyond `detection.severity.medium` times the threshold.
    Medium,
    /// Beyond `detection.severity.high` times the threshold.
    High,
    /// Beyond `detection.severity.critical` times the threshold.
    Critical,
}

impl Severity {
    /// All severities, least first.
    pub const ALL: [Severity; 4] = [Severity::Low, Severity::Medium, Severity::High, Severity::Critical];

    /// Returns the word that answers and tables use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }

    /// Reads the word in any case: tables of the system before this one hold both.
    #[must_use]
    pub fn parse(text: &str) -> Option<Severity> {
        Severity::ALL.into_iter().find(|severity| severity.as_str().eq_ignore_ascii_case(text))
    }
}

/// What has become of an anomaly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AnomalyState {
    /// Its condition still holds, or it was about one moment only.
    #[default]
    Active,
    /// Its condition held, and does not any more.
    Ended,
    /// A correction of the data took away what it was based on.
    Withdrawn,
}

impl AnomalyState {
    /// All states.
    pub const ALL: [AnomalyState; 3] = [AnomalyState::Active, AnomalyState::Ended, AnomalyState::Withdrawn];

    /// Returns the word that answers and tables use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            AnomalyState::Active => "active",
            AnomalyState::Ended => "ended",
            AnomalyState::Withdrawn => "withdrawn",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<AnomalyState> {
        AnomalyState::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// The field of the metadata that has the revision.
pub const REVISION: &str = "revision";

/// The type of what rules of the user's own find, and the field of the metadata that has the rule's name.
pub const RULE: &str = "rule";

/// One anomaly.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Anomaly {
    /// Names it, the same in every process that reads the log.
    pub id: String,
    /// Event time; stores keep microseconds.
    pub time: Nanos,
    /// The symbol in its one spelling.
    pub symbol: String,
    /// Which rule found it, such as `price_spike`.
    pub anomaly_type: String,
    /// How far beyond the threshold.
    pub severity: Severity,
    /// What was found, for people.
    pub description: String,
    /// The value that was found, in the unit of its rule.
    pub current_value: Option<f64>,
    /// What would have been usual, in the same unit.
    pub expected_value: Option<f64>,
    /// The rule's threshold.
    pub threshold: Option<f64>,
    /// What else the rule says of it.
    pub metadata: Map<String, Value>,
    /// What has become of it.
    pub state: AnomalyState,
    /// Log position of the last entry that changed it.
    pub log_pos: Position,
}

impl Anomaly {
    /// True when this replaces the one that is stored under the same id.
    #[must_use]
    pub fn replaces(&self, stored: &Anomaly) -> bool {
        (self.log_pos, self.revision()) > (stored.log_pos, stored.revision())
    }

    /// How often something was said of it before, as its metadata have it. It grows without a new log position only at the end
    /// of a bounded input, where bars close without an entry.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.metadata.get(REVISION).and_then(Value::as_u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back() {
        for severity in Severity::ALL {
            assert_eq!(Severity::parse(severity.as_str()), Some(severity));
            assert_eq!(Severity::parse(&severity.as_str().to_uppercase()), Some(severity));
        }
        for state in AnomalyState::ALL {
            assert_eq!(AnomalyState::parse(state.as_str()), Some(state));
        }
        assert!(Severity::Low < Severity::Critical);
        let said = |log_pos, revision: u64| Anomaly {
            log_pos,
            metadata: Map::from_iter([(REVISION.to_owned(), revision.into())]),
            ..Anomaly::default()
        };
        assert!(said(6, 0).replaces(&said(5, 9)) && said(5, 1).replaces(&said(5, 0)));
        assert!(
            !said(5, 1).replaces(&said(5, 1))
                && !said(5, 0).replaces(&Anomaly { log_pos: 5, ..Anomaly::default() })
        );
        assert_eq!((Severity::parse("none"), AnomalyState::parse("open")), (None, None));
    }
}
