//! What waits to go out together: incidents of one type, by channel and kind of message.
//!
//! Promises: a group goes out once its first member has waited as long as it may, and not before the pause after the group
//! before it is over. Members are in the order in which they came, each once.

use super::settings::AlertSettings;
use crate::models::notification::NotificationKind;
use crate::models::time::Nanos;
use std::collections::BTreeMap;

/// What the members of a group have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupKey {
    /// Over which channel.
    pub channel: String,
    /// What is said of them.
    pub kind: NotificationKind,
    /// Their type.
    pub anomaly_type: String,
}

impl GroupKey {
    /// Makes a key.
    #[must_use]
    pub fn new(channel: &str, kind: NotificationKind, anomaly_type: &str) -> GroupKey {
        GroupKey { channel: channel.to_owned(), kind, anomaly_type: anomaly_type.to_owned() }
    }
}

#[derive(Clone, Debug)]
struct Group {
    due: Nanos,
    members: Vec<String>,
}

/// The groups that wait.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    waiting: BTreeMap<GroupKey, Group>,
    /// When the last group of a key went out.
    sent: BTreeMap<GroupKey, Nanos>,
}

impl Groups {
    /// Adds a member that waits since a moment.
    pub fn add(&mut self, key: GroupKey, id: &str, since: Nanos, settings: &AlertSettings) {
        let pause_over = self.sent.get(&key).map_or(Nanos::MIN, |sent| sent.plus(settings.group_interval));
        let due = since.plus(settings.group_wait).max(pause_over);
        let group = self.waiting.entry(key).or_insert_with(|| Group { due, members: Vec::new() });
        group.due = group.due.min(due);
        group.members.push(id.to_owned());
    }

    /// Takes the groups that are due.
    pub fn take_due(&mut self, now: Nanos, settings: &AlertSettings) -> Vec<(GroupKey, Vec<String>)> {
        self.sent.retain(|_, sent| sent.plus(settings.group_interval) > now);
        let due: Vec<GroupKey> =
            self.waiting.iter().filter(|(_, group)| group.due <= now).map(|(key, _)| key.clone()).collect();
        due.into_iter()
            .filter_map(|key| {
                let group = self.waiting.remove(&key)?;
                Some((key, group.members))
            })
            .collect()
    }

    /// Notes that something of a group went out.
    pub fn note_sent(&mut self, key: GroupKey, now: Nanos) {
        self.sent.insert(key, now);
    }

    /// Returns when the next group is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Nanos> {
        self.waiting.values().map(|group| group.due).min()
    }
}
