//! The inbox of anomalies, incidents, silences and the outbox of messages in memory.
//!
//! Promises: those of [`super::alert_tables`]. Nothing outlives the process. Nothing here fails.

use super::alert_tables::AlertTables;
use super::signals::MemorySignals;
use crate::models::alert::Alert;
use crate::models::alerts::incident::Incident;
use crate::models::alerts::outgoing::{Outgoing, OutgoingState};
use crate::models::alerts::policy::Changes;
use crate::models::alerts::silence::Silence;
use crate::models::time::Nanos;
use crate::stores::error::StoreError;
use crate::stores::history::alerts::{Acknowledgement, AlertStore, Inbox, InboxItem, IncidentQuery};
use crate::stores::history::signals::{Numbered, SignalBatch, SignalHistory};
use async_trait::async_trait;
use std::cmp::Reverse;
use std::collections::HashSet;

#[async_trait]
impl AlertStore for MemorySignals {
    fn begin_inbox(&self) {
        self.alerts.tables().is_filled = true;
    }

    async fn lead(&self, _: &str, _: Nanos, _: Nanos) -> Result<bool, StoreError> {
        Ok(true)
    }

    async fn inbox(&self, limit: usize) -> Result<Inbox, StoreError> {
        let tables = self.alerts.tables();
        let mut inbox = Inbox::default();
        let mut seen = HashSet::new();
        // The newest of each anomaly is what it is now.
        for (number, item) in tables.inbox.iter().take(limit).rev() {
            inbox.numbers.push(*number);
            let is_wanted = match item {
                InboxItem::Anomaly(anomaly) => seen.insert(anomaly.id.clone()),
                InboxItem::Acknowledgement(_) => true,
            };
            if is_wanted {
                inbox.items.push(item.clone());
            }
        }
        inbox.numbers.reverse();
        inbox.items.reverse();
        Ok(inbox)
    }

    async fn acknowledge(&self, acknowledgements: &[Acknowledgement]) -> Result<(), StoreError> {
        let mut tables = self.alerts.tables();
        for one in acknowledgements {
            tables.put_in(InboxItem::Acknowledgement(one.clone()));
        }
        Ok(())
    }

    async fn kept_incidents(&self, sent_after: Nanos) -> Result<Vec<Incident>, StoreError> {
        let tables = self.alerts.tables();
        let is_kept =
            |incident: &&Incident| !incident.is_done() || incident.sent.is_some_and(|sent| sent > sent_after);
        let mut kept: Vec<&(u64, Incident)> =
            tables.incidents.values().filter(|(_, incident)| is_kept(&incident)).collect();
        kept.sort_by_key(|(number, _)| *number);
        Ok(kept.into_iter().map(|(_, incident)| incident.clone()).collect())
    }

    async fn incidents_by_id(&self, ids: &[String]) -> Result<Vec<Incident>, StoreError> {
        let tables = self.alerts.tables();
        Ok(ids.iter().filter_map(|id| tables.incidents.get(id)).map(|(_, known)| known.clone()).collect())
    }

    async fn incidents(&self, query: &IncidentQuery) -> Result<Vec<Numbered<Incident>>, StoreError> {
        let tables = self.alerts.tables();
        let fits = |incident: &Incident| {
            query.symbol.as_ref().is_none_or(|asked| *asked == incident.symbol)
                && query.anomaly_type.as_ref().is_none_or(|asked| *asked == incident.anomaly_type)
                && query.severity.is_none_or(|asked| asked == incident.severity)
                && query.state.is_none_or(|asked| asked == incident.state)
        };
        let found = tables.incidents.values().map(|(number, incident)| {
            let row = Incident { time: incident.time.to_micros(), ..incident.clone() };
            Numbered { number: *number, row }
        });
        let mut found: Vec<Numbered<Incident>> =
            found.filter(|found| query.page.has(found.row.time, found.number) && fits(&found.row)).collect();
        found.sort_unstable_by_key(|found| Reverse((found.row.time, found.number)));
        found.truncate(query.page.limit);
        Ok(found)
    }

    async fn silences(&self, ended_after: Nanos) -> Result<Vec<Silence>, StoreError> {
        let tables = self.alerts.tables();
        let mut found: Vec<Silence> =
            tables.silences.values().filter(|silence| silence.end > ended_after).cloned().collect();
        found.sort_by(|a, b| (a.end, &a.id).cmp(&(b.end, &b.id)));
        Ok(found)
    }

    async fn put_silence(&self, silence: &Silence) -> Result<(), StoreError> {
        self.alerts.tables().silences.insert(silence.id.clone(), silence.clone());
        Ok(())
    }

    async fn decide(&self, _: &str, numbers: &[u64], changes: &Changes) -> Result<bool, StoreError> {
        let decided = SignalBatch { alerts: changes.alerts.clone(), ..SignalBatch::default() };
        self.write_signals(&decided).await?;
        let numbers: HashSet<u64> = numbers.iter().copied().collect();
        let mut tables = self.alerts.tables();
        tables.inbox.retain(|(number, _)| !numbers.contains(number));
        for incident in &changes.incidents {
            tables.put_incident(incident.clone());
        }
        for message in &changes.outgoing {
            tables.put_outgoing(message.clone());
        }
        Ok(true)
    }

    async fn take_outgoing(
        &self,
        channel: &str,
        owner: &str,
        now: Nanos,
        until: Nanos,
        limit: usize,
    ) -> Result<Vec<Outgoing>, StoreError> {
        let mut tables = self.alerts.tables();
        let is_free = |message: &&mut Outgoing| {
            message.channel == channel
                && message.state == OutgoingState::Waiting
                && message.due <= now
                && message.lease_until <= now
        };
        let mut due: Vec<&mut Outgoing> = tables.outgoing.values_mut().filter(is_free).collect();
        due.sort_by_key(|message| message.due);
        let take = |message: &mut Outgoing| {
            (message.lease_owner, message.lease_until) = (owner.to_owned(), until);
            message.clone()
        };
        Ok(due.into_iter().take(limit).map(take).collect())
    }

    async fn settle(&self, outgoing: &[Outgoing], alerts: &[Alert]) -> Result<(), StoreError> {
        let settled = SignalBatch { alerts: alerts.to_vec(), ..SignalBatch::default() };
        self.write_signals(&settled).await?;
        let mut tables = self.alerts.tables();
        for message in outgoing {
            tables.put_outgoing(message.clone());
        }
        Ok(())
    }

    async fn waiting(&self) -> Result<(u64, Option<Nanos>), StoreError> {
        let tables = self.alerts.tables();
        let waiting = || tables.outgoing.values().filter(|message| message.state == OutgoingState::Waiting);
        Ok((waiting().count() as u64, waiting().map(|message| message.decided).min()))
    }

    async fn prune(&self, before: Nanos) -> Result<u64, StoreError> {
        let mut tables = self.alerts.tables();
        let num_rows =
            |tables: &AlertTables| tables.incidents.len() + tables.silences.len() + tables.outgoing.len();
        let num_before = num_rows(&tables);
        tables.incidents.retain(|_, (_, known)| !known.is_done() || known.changed >= before);
        tables.silences.retain(|_, silence| silence.end >= before);
        tables
            .outgoing
            .retain(|_, message| message.state == OutgoingState::Waiting || message.decided >= before);
        Ok((num_before - num_rows(&tables)) as u64)
    }
}
