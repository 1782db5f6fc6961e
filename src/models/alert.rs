//! Alerts: an anomaly on its way to people over one channel.
//!
//! Promises: pure values. An alert is known by its id, and moves on only: of two of one id the later attempt stays, and of
//! the same attempt the more final status ([`Alert::replaces`]). Nothing here fails: a word that is unknown is `None`.

use super::anomaly::Severity;
use super::time::Nanos;
use serde::{Deserialize, Serialize};

/// Where an alert stands. In the order in which one attempt goes through them: later ones are more final.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AlertStatus {
    /// Not sent, since one of its kind was sent shortly before.
    #[default]
    Held,
    /// An attempt failed, and there will be another one.
    Retrying,
    /// Given up.
    Failed,
    /// The channel has taken it.
    Sent,
}

impl AlertStatus {
    /// All of them, the least final first.
    pub const ALL: [AlertStatus; 4] =
        [AlertStatus::Held, AlertStatus::Retrying, AlertStatus::Failed, AlertStatus::Sent];

    /// Returns the word that answers and tables use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            AlertStatus::Held => "held",
            AlertStatus::Retrying => "retrying",
            AlertStatus::Failed => "failed",
            AlertStatus::Sent => "sent",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<AlertStatus> {
        AlertStatus::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// One alert.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Names it.
    pub id: String,
    /// Time of the decision, by the wall clock; stores keep microseconds.
    pub time: Nanos,
    /// The symbol in its one spelling.
    pub symbol: String,
    /// Type of the anomaly.
    pub anomaly_type: String,
    /// Severity of the anomaly.
    pub severity: Severity,
    /// Name of the channel.
    pub channel: String,
    /// Where it stands.
    pub status: AlertStatus,
    /// Why it stands there, for people; empty for one that was sent.
    pub reason: String,
    /// Attempts made.
    pub attempts: u32,
    /// Id of the anomaly.
    pub anomaly_id: String,
}

impl Alert {
    /// True when this replaces the one that is stored under the same id.
    #[must_use]
    pub fn replaces(&self, stored: &Alert) -> bool {
        (self.attempts, self.status) > (stored.attempts, stored.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back() {
        for status in AlertStatus::ALL {
            assert_eq!(AlertStatus::parse(status.as_str()), Some(status));
        }
        assert_eq!(AlertStatus::parse("lost"), None);
    }

    #[test]
    fn an_alert_only_moves_on() {
        let at = |attempts, status| Alert { attempts, status, ..Alert::default() };
        let story = [
            at(0, AlertStatus::Held),
            at(1, AlertStatus::Retrying),
            at(1, AlertStatus::Failed),
            at(2, AlertStatus::Retrying),
            at(2, AlertStatus::Sent),
        ];
        for (place, alert) in story.iter().enumerate() {
            for (other_place, other) in story.iter().enumerate() {
                assert_eq!(alert.replaces(other), place > other_place, "{alert:?} over {other:?}");
            }
        }
    }
}
