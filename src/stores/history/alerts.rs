//! What alerts are decided on and sent from: the inbox of anomalies, incidents, silences, and the outbox of messages.
//!
//! Promises, for every implementation: an anomaly that is written and changes something is in the inbox together with its row,
//! from [`AlertStore::begin_inbox`] on. What was decided on is out of the inbox in the transaction that holds the decisions and
//! their messages ([`AlertStore::decide`]), so each anomaly is decided on once, whenever the process dies. A message is given
//! to one process at a time ([`AlertStore::take_outgoing`]), and again only where it was not settled.
//! On failure nothing of a call is there, and the error says whether another try can help.

use super::signals::{Numbered, SignalPage};
use crate::models::alert::Alert;
use crate::models::alerts::incident::{Incident, IncidentState};
use crate::models::alerts::outgoing::Outgoing;
use crate::models::alerts::policy::Changes;
use crate::models::alerts::silence::Silence;
use crate::models::anomaly::{Anomaly, Severity};
use crate::models::time::Nanos;
use crate::stores::error::StoreError;
use async_trait::async_trait;

/// Somebody sees to an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The incident.
    pub id: String,
    /// Who, as they said.
    pub by: String,
    /// When.
    pub time: Nanos,
}

/// Something to decide on.
#[derive(Clone, Debug, PartialEq)]
pub enum InboxItem {
    /// An anomaly as it is now.
    Anomaly(Anomaly),
    /// Somebody sees to an incident.
    Acknowledgement(Acknowledgement),
}

/// The oldest part of the inbox.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inbox {
    /// Its rows, to be taken out with what was decided.
    pub numbers: Vec<u64>,
    /// What they hold, the oldest first. An anomaly of which several rows tell is there once; one that is gone is not.
    pub items: Vec<InboxItem>,
}

/// Asks for incidents.
#[derive(Clone, Debug, PartialEq)]
pub struct IncidentQuery {
    /// Only of this symbol.
    pub symbol: Option<String>,
    /// Only of this type.
    pub anomaly_type: Option<String>,
    /// Only of this severity.
    pub severity: Option<Severity>,
    /// Only those that stand there.
    pub state: Option<IncidentState>,
    /// Which of them.
    pub page: SignalPage,
}

/// What alerts are decided on and sent from.
#[async_trait]
pub trait AlertStore: Send + Sync {
    /// Has anomalies that are written from now on put into the inbox. Without it, as in a replay, nobody is alerted.
    fn begin_inbox(&self);

    /// Takes, or keeps, the right to decide until a moment. False while another process has it.
    async fn lead(&self, owner: &str, now: Nanos, until: Nanos) -> Result<bool, StoreError>;

    /// Returns the oldest rows of the inbox, at most so many.
    async fn inbox(&self, limit: usize) -> Result<Inbox, StoreError>;

    /// Adds to the inbox that somebody sees to incidents.
    async fn acknowledge(&self, acknowledgements: &[Acknowledgement]) -> Result<(), StoreError>;

    /// Returns the incidents that are not closed, wait to go out, or were sent after this.
    async fn kept_incidents(&self, sent_after: Nanos) -> Result<Vec<Incident>, StoreError>;

    /// Returns those of the incidents that are stored.
    async fn incidents_by_id(&self, ids: &[String]) -> Result<Vec<Incident>, StoreError>;

    /// Returns incidents, newest first.
    async fn incidents(&self, query: &IncidentQuery) -> Result<Vec<Numbered<Incident>>, StoreError>;

    /// Returns the silences that end after this, the one that ends first first.
    async fn silences(&self, ended_after: Nanos) -> Result<Vec<Silence>, StoreError>;

    /// Writes a silence over the one of its id.
    async fn put_silence(&self, silence: &Silence) -> Result<(), StoreError>;

    /// Commits what was decided, and takes out of the inbox what it was decided on. False, and nothing is done, where this
    /// process does not have the right to decide any more.
    async fn decide(&self, owner: &str, numbers: &[u64], changes: &Changes) -> Result<bool, StoreError>;

    /// Takes messages to a channel that are due, the oldest first, at most so many; nobody else is given them before `until`.
    async fn take_outgoing(
        &self,
        channel: &str,
        owner: &str,
        now: Nanos,
        until: Nanos,
        limit: usize,
    ) -> Result<Vec<Outgoing>, StoreError>;

    /// Writes what became of messages, and of the decisions that they tell of.
    async fn settle(&self, outgoing: &[Outgoing], alerts: &[Alert]) -> Result<(), StoreError>;

    /// Returns how many messages wait, and since when the oldest one.
    async fn waiting(&self) -> Result<(u64, Option<Nanos>), StoreError>;

    /// Drops closed incidents, silences and messages that changed, ended or were decided before this. Returns the rows.
    async fn prune(&self, before: Nanos) -> Result<u64, StoreError>;
}
