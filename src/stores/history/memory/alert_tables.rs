//! What is kept in memory of alerts.
//!
//! Promises: of each at most [`ROWS_MAX`] rows; what came first goes when another one comes, and of incidents and messages
//! first what is done. Nothing here fails.

use crate::models::alerts::incident::Incident;
use crate::models::alerts::outgoing::{Outgoing, OutgoingState};
use crate::models::alerts::silence::Silence;
use crate::models::anomaly::Anomaly;
use crate::stores::history::alerts::InboxItem;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Rows kept of each: some megabytes.
const ROWS_MAX: usize = 10_000;

/// What is kept of alerts.
#[derive(Debug, Default)]
pub(super) struct AlertTables {
    pub(super) is_filled: bool,
    pub(super) inbox: VecDeque<(u64, InboxItem)>,
    last: u64,
    pub(super) incidents: BTreeMap<String, (u64, Incident)>,
    pub(super) silences: BTreeMap<String, Silence>,
    pub(super) outgoing: BTreeMap<String, Outgoing>,
}

impl AlertTables {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Puts something into the inbox.
    pub(super) fn put_in(&mut self, item: InboxItem) {
        let number = self.next();
        if self.inbox.len() == ROWS_MAX {
            self.inbox.pop_front();
        }
        self.inbox.push_back((number, item));
    }

    /// Puts anomalies into the inbox, where it is filled.
    pub(super) fn fill_inbox(&mut self, anomalies: impl Iterator<Item = Anomaly>) {
        if self.is_filled {
            anomalies.for_each(|anomaly| self.put_in(InboxItem::Anomaly(anomaly)));
        }
    }

    /// Writes an incident over the one of its id.
    pub(super) fn put_incident(&mut self, incident: Incident) {
        let known = self.incidents.get(&incident.id).map(|(number, _)| *number);
        let number = known.unwrap_or_else(|| self.next());
        if known.is_none() && self.incidents.len() >= ROWS_MAX {
            let oldest = self.incidents.values().min_by_key(|(number, known)| (!known.is_done(), *number));
            if let Some(oldest) = oldest.map(|(_, known)| known.id.clone()) {
                self.incidents.remove(&oldest);
            }
        }
        self.incidents.insert(incident.id.clone(), (number, incident));
    }

    /// Writes a message over the one of its id.
    pub(super) fn put_outgoing(&mut self, message: Outgoing) {
        if !self.outgoing.contains_key(&message.id) && self.outgoing.len() >= ROWS_MAX {
            let is_waiting = |message: &Outgoing| message.state == OutgoingState::Waiting;
            let oldest = self.outgoing.values().min_by_key(|known| (is_waiting(known), known.decided));
            if let Some(oldest) = oldest.map(|known| known.id.clone()) {
                self.outgoing.remove(&oldest);
            }
        }
        self.outgoing.insert(message.id.clone(), message);
    }
}

/// Alerts of this process.
#[derive(Debug, Default)]
pub(super) struct MemoryAlerts(Mutex<AlertTables>);

impl MemoryAlerts {
    pub(super) fn tables(&self) -> MutexGuard<'_, AlertTables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
