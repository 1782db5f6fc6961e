//! Notifications: what is told to people over a channel, and what a channel is.
//!
//! Promises: pure values, and the one trait that every channel implements. A notification holds all that a channel shows, so
//! that a channel asks nobody while it sends. No text of a [`SendError`] holds a secret: whoever makes one takes them out.
//! On failure: [`SendError`] says, where it is made, whether trying again can help, and whether the notification may have
//! arrived all the same.

use super::anomaly::Severity;
use super::time::Nanos;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a notification is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotificationKind {
    /// Something began.
    #[default]
    Fired,
    /// It ended.
    Resolved,
    /// It never was: the data that it was based on were corrected.
    Withdrawn,
    /// Nothing is known: the data that would show it do not come.
    NoData,
    /// A sample, sent so that somebody sees whether it arrives.
    Test,
}

impl NotificationKind {
    /// All kinds.
    pub const ALL: [NotificationKind; 5] = [
        NotificationKind::Fired,
        NotificationKind::Resolved,
        NotificationKind::Withdrawn,
        NotificationKind::NoData,
        NotificationKind::Test,
    ];

    /// Returns the word that templates and tables use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            NotificationKind::Fired => "fired",
            NotificationKind::Resolved => "resolved",
            NotificationKind::Withdrawn => "withdrawn",
            NotificationKind::NoData => "no_data",
            NotificationKind::Test => "test",
        }
    }

    /// True when what was told before does not hold any more.
    #[must_use]
    pub const fn is_end(self) -> bool {
        matches!(self, NotificationKind::Resolved | NotificationKind::Withdrawn)
    }
}

/// A labelled value, such as `Price` and `231.50`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What it is, in a word or two.
    pub label: String,
    /// Its value, with its unit.
    pub text: String,
}

impl Fact {
    /// Makes one.
    #[must_use]
    pub fn new(label: impl Into<String>, text: impl Into<String>) -> Fact {
        Fact { label: label.into(), text: text.into() }
    }
}

/// A bar of the picture that goes with a notification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ChartBar {
    /// Start of its window.
    pub start: Nanos,
    /// First price.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
}

/// Most bars that a picture shows: those before are left out by whoever makes a notification, and by every channel.
pub const CHART_BARS_MAX: usize = 60;

/// One message to people. Texts are plain: each channel escapes them for its own form, and cuts what is too long for it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// Id of the decision to send it: the same each time that it is tried, so that a receiver can drop a repeat.
    pub id: String,
    /// What it is about.
    pub kind: NotificationKind,
    /// Severity of what it is about; the highest one where it is about several.
    pub severity: Severity,
    /// Type of the anomaly or name of the rule, such as `price_spike`.
    pub alert_type: String,
    /// One line: what happened.
    pub title: String,
    /// Sentences: what is known of it. May be empty, and may have several lines.
    pub text: String,
    /// The symbols it is about, in their one spelling; none for what is about the whole system.
    pub symbols: Vec<String>,
    /// Values that tell more, the most telling first.
    pub facts: Vec<Fact>,
    /// When it happened.
    pub time: Nanos,
    /// When what it is about began: `time` itself, or an earlier one where this tells of its end.
    pub began: Nanos,
    /// Bars up to `time`, oldest first, at most [`CHART_BARS_MAX`]: of the symbol, where it is about one.
    pub bars: Vec<ChartBar>,
    /// Where to see more, where `server.public_url` is set.
    pub link: Option<String>,
}

/// What a channel said when it took a notification, for people: `250 2.0.0 Ok: queued as 4F1`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt(pub String);

/// Why a channel did not take a notification. No text holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// May go away by itself: no connection, no answer in time, busy, too many requests.
    #[error("{cause}")]
    Transient {
        /// What happened.
        cause: String,
        /// How long the channel asks to be left alone, where it says so.
        retry_after: Option<Duration>,
        /// True when the notification may have arrived all the same, so that trying again may show it twice.
        may_have_arrived: bool,
    },
    /// The channel takes nothing until somebody mends its settings: a wrong password, an address that is gone.
    #[error("{cause}")]
    Unusable {
        /// What the channel said.
        cause: String,
    },
    /// The channel does not take this notification, now or later; another one it may.
    #[error("{cause}")]
    Refused {
        /// What the channel said.
        cause: String,
    },
}

impl SendError {
    /// Returns how long the channel asks to be left alone, where it says so.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            SendError::Transient { retry_after, .. } => *retry_after,
            SendError::Unusable { .. } | SendError::Refused { .. } => None,
        }
    }

    /// True when the notification may have arrived all the same.
    #[must_use]
    pub const fn may_have_arrived(&self) -> bool {
        matches!(self, SendError::Transient { may_have_arrived: true, .. })
    }
}

/// A way to reach people.
#[async_trait]
pub trait Channel: Send + Sync {
    /// Returns its name, as routes and the configuration have it: `slack`.
    fn name(&self) -> &'static str;

    /// Sends a notification once, and waits for the answer. Never tries again by itself. May be dropped where it takes too
    /// long; the notification may have arrived then.
    ///
    /// # Errors
    /// [`SendError`].
    async fn send(&self, notification: &Notification) -> Result<Receipt, SendError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_json_have_the_same_words() {
        for kind in NotificationKind::ALL {
            assert_eq!(serde_json::to_value(kind).expect("a word"), kind.as_str());
        }
        assert!(NotificationKind::Withdrawn.is_end() && !NotificationKind::NoData.is_end());
    }

    #[test]
    fn only_what_may_pass_says_when_to_come_again() {
        let cause = || "no".to_owned();
        let busy = SendError::Transient {
            cause: cause(),
            retry_after: Some(Duration::from_secs(7)),
            may_have_arrived: true,
        };
        assert!(busy.may_have_arrived());
        assert_eq!(busy.retry_after(), Some(Duration::from_secs(7)));
        for error in [SendError::Unusable { cause: cause() }, SendError::Refused { cause: cause() }] {
            assert_eq!((error.retry_after(), error.may_have_arrived()), (None, false));
        }
    }
}
