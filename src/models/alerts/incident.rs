//! Incidents: anomalies as people are told of them.
//!
//! Promises: an incident has the id of its anomaly. It holds all that the policy must know of it after a restart: who was
//! told, what waits to go out, and why something is held back. Nothing here fails: a word that is unknown is `None`.

use crate::models::anomaly::{Anomaly, RULE, Severity};
use crate::models::entry::Position;
use crate::models::notification::NotificationKind;
use crate::models::time::Nanos;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Where an incident stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentState {
    /// It goes on, or nobody has seen to it yet.
    #[default]
    Open,
    /// Somebody sees to it.
    Acknowledged,
    /// It was open when its symbol's data stopped coming: nobody knows.
    NoData,
    /// Its condition does not hold any more.
    Resolved,
    /// It never was: the data that it was based on were corrected.
    Withdrawn,
    /// It was about one moment, which is long ago; or too many were open.
    Expired,
}

impl IncidentState {
    /// All states.
    pub const ALL: [IncidentState; 6] = [
        IncidentState::Open,
        IncidentState::Acknowledged,
        IncidentState::NoData,
        IncidentState::Resolved,
        IncidentState::Withdrawn,
        IncidentState::Expired,
    ];

    /// Returns the word that answers and tables use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            IncidentState::Open => "open",
            IncidentState::Acknowledged => "acknowledged",
            IncidentState::NoData => "no_data",
            IncidentState::Resolved => "resolved",
            IncidentState::Withdrawn => "withdrawn",
            IncidentState::Expired => "expired",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<IncidentState> {
        IncidentState::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// True when nothing more is expected of it.
    #[must_use]
    pub const fn is_closed(self) -> bool {
        matches!(self, IncidentState::Resolved | IncidentState::Withdrawn | IncidentState::Expired)
    }
}

/// Why an alert is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// One of its symbol and type was sent shortly before.
    Cooldown,
    /// Somebody has silenced it.
    Silenced,
    /// The feed of its symbol is down, or was a moment ago.
    FeedDown,
    /// It happened too long ago.
    TooOld,
    /// No route leads to a channel.
    NoRoute,
    /// It ended before it went out.
    Ended,
    /// It was withdrawn before it went out.
    Withdrawn,
    /// Somebody saw to it before it went out.
    Acknowledged,
    /// Its end was not told of, and it goes on.
    GoesOn,
    /// Too many incidents are open.
    TooMany,
}

impl Hold {
    /// Returns the word that the reason of an alert begins with.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Hold::Cooldown => "cooldown",
            Hold::Silenced => "silenced",
            Hold::FeedDown => "feed_down",
            Hold::TooOld => "too_old",
            Hold::NoRoute => "no_route",
            Hold::Ended => "ended",
            Hold::Withdrawn => "withdrawn",
            Hold::Acknowledged => "acknowledged",
            Hold::GoesOn => "goes_on",
            Hold::TooMany => "too_many",
        }
    }

    /// True when it may be sent later, if it goes on by then.
    #[must_use]
    pub const fn may_pass(self) -> bool {
        matches!(self, Hold::Cooldown | Hold::Silenced | Hold::FeedDown)
    }
}

/// What waits to go out over a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// What it will say.
    pub kind: NotificationKind,
    /// Since when.
    pub since: Nanos,
}

/// An anomaly as people are told of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Id of the anomaly.
    pub id: String,
    /// The symbol.
    pub symbol: String,
    /// Type of the anomaly.
    pub anomaly_type: String,
    /// How severe it is.
    pub severity: Severity,
    /// Event time; stores keep microseconds.
    pub time: Nanos,
    /// What was found, for people.
    pub description: String,
    /// The value that was found.
    pub current_value: Option<f64>,
    /// What would have been usual.
    pub expected_value: Option<f64>,
    /// The rule's threshold.
    pub threshold: Option<f64>,
    /// Where it stands.
    pub state: IncidentState,
    /// When that changed last, by the wall clock.
    pub changed: Nanos,
    /// When it was decided to tell of it.
    pub sent: Option<Nanos>,
    /// Channels that were told of it, and of nothing after that.
    pub told: BTreeSet<String>,
    /// Channels that were told that it is over.
    pub over: BTreeSet<String>,
    /// Somebody was told that it was withdrawn.
    pub taken_back: bool,
    /// Why it was not told of.
    pub hold: Option<Hold>,
    /// What waits to go out, by channel.
    pub waiting: BTreeMap<String, Waiting>,
    /// Decisions made about it, which gives each an id of its own.
    pub num_decisions: u32,
    /// Who sees to it, as they said.
    pub acknowledged_by: Option<String>,
    /// Position of the anomaly as it was judged.
    pub log_pos: Position,
}

impl Incident {
    /// Makes the incident of an anomaly that becomes known.
    #[must_use]
    pub fn new(anomaly: &Anomaly, now: Nanos) -> Incident {
        let mut incident = Incident {
            id: anomaly.id.clone(),
            symbol: anomaly.symbol.clone(),
            anomaly_type: anomaly.anomaly_type.clone(),
            time: anomaly.time,
            changed: now,
            ..Incident::default()
        };
        incident.take_over(anomaly);
        incident
    }

    /// Returns the name of the rule of the user's own that found it, which its id has behind the type.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        let rest = self.id.strip_prefix(&self.symbol)?.strip_prefix('/')?;
        rest.strip_prefix(RULE)?.strip_prefix('/')?.split('/').next()
    }

    /// Takes over what the anomaly says now.
    pub fn take_over(&mut self, anomaly: &Anomaly) {
        self.severity = anomaly.severity;
        self.description.clone_from(&anomaly.description);
        self.current_value = anomaly.current_value;
        self.expected_value = anomaly.expected_value;
        self.threshold = anomaly.threshold;
        self.log_pos = anomaly.log_pos;
    }

    /// True when nothing more is to be done about it.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state.is_closed() && self.waiting.is_empty()
    }

    /// Notes what a channel is told.
    pub fn note_told(&mut self, channel: &str, kind: NotificationKind) {
        match kind {
            NotificationKind::Fired => _ = self.told.insert(channel.to_owned()),
            NotificationKind::Resolved => {
                self.told.remove(channel);
                self.over.insert(channel.to_owned());
            }
            NotificationKind::Withdrawn => {
                self.taken_back |= self.told.remove(channel) | self.over.remove(channel);
            }
            NotificationKind::NoData | NotificationKind::Test => {}
        }
    }

    /// Changes its state.
    pub fn set_state(&mut self, state: IncidentState, now: Nanos) {
        (self.state, self.changed) = (state, now);
    }
}
