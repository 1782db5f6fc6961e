//! Decides on what is in the inbox.
//!
//! Promises: what a turn decides is committed with what it was decided on taken out of the inbox; a turn that fails decides
//! again from what is stored. At most [`PAGE_ROWS`] anomalies are in memory besides the open incidents. Of several processes
//! over one history one decides at a time.

use super::outages::FeedWatch;
use crate::actors::health::{Health, HealthRegistry};
use crate::metrics::Metrics;
use crate::models::alerts::policy::{Changes, Policy};
use crate::models::alerts::settings::{AlertSettings, is_lasting};
use crate::models::anomaly::Anomaly;
use crate::models::notification::{CHART_BARS_MAX, ChartBar};
use crate::models::time::{MINUTE, Nanos, SECOND, Width};
use crate::names::SymbolTable;
use crate::stores::error::StoreError;
use crate::stores::history::alerts::{AlertStore, Inbox, InboxItem};
use crate::stores::history::{History, WindowQuery};
use std::sync::Arc;

/// Rows of the inbox that are decided on together.
pub const PAGE_ROWS: usize = 500;

/// How long the right to decide is held after a turn. Another process waits for so long after one that was killed.
const LEASE: i64 = 30 * SECOND;

/// How long after the start feeds are not judged: connections are made, and say nothing yet.
const OUTAGE_GRACE: i64 = MINUTE;

/// How often feeds are looked at.
const OUTAGE_EVERY: i64 = 5 * SECOND;

/// What a manager works with.
pub struct ManagerParts {
    /// Where everything is.
    pub history: Arc<dyn History>,
    /// Who is told of what.
    pub settings: AlertSettings,
    /// Names this process among those that decide.
    pub owner: String,
    /// Says whose data do not come.
    pub feeds: Arc<dyn FeedWatch>,
    /// The symbols, whose bars go with messages.
    pub symbols: Arc<SymbolTable>,
    /// Width of these bars.
    pub width: Option<Width>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Where to say how it goes.
    pub health: Arc<HealthRegistry>,
}

/// Decides on what is in the inbox.
pub struct Manager {
    parts: ManagerParts,
    /// `None` before anything was loaded, and after a failure.
    policy: Option<Policy>,
    began: Option<Nanos>,
    looked: Option<Nanos>,
}

/// What a turn did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// When there will be something to do, as far as that is known.
    pub due: Option<Nanos>,
    /// Messages that were decided on.
    pub num_outgoing: usize,
    /// True where this process decides.
    pub leads: bool,
}

impl Manager {
    /// Makes one, and has the history fill the inbox.
    #[must_use]
    pub fn new(parts: ManagerParts) -> Manager {
        if let Some(store) = parts.history.alert_store() {
            store.begin_inbox();
        }
        Manager { parts, policy: None, began: None, looked: None }
    }

    /// Decides on everything that is in the inbox, and on what is due by now.
    ///
    /// # Errors
    /// When the history cannot be read or written. What was not committed is decided on again by the next turn.
    pub async fn turn(&mut self, now: Nanos) -> Result<Turn, StoreError> {
        // What is half done is not kept: a turn that fails, or is dropped, leaves nothing behind.
        let policy = self.policy.take();
        let history = Arc::clone(&self.parts.history);
        let Some(store) = history.alert_store() else {
            return Ok(Turn { due: None, num_outgoing: 0, leads: false });
        };
        let owner = self.parts.owner.clone();
        if !store.lead(&owner, now, now.plus(LEASE)).await? {
            self.say(Health::Healthy, "another process decides");
            return Ok(Turn { due: None, num_outgoing: 0, leads: false });
        }
        let mut policy = match policy {
            Some(policy) => policy,
            None => {
                let sent_after = now.plus(-self.parts.settings.cooldown);
                Policy::new(self.parts.settings.clone(), store.kept_incidents(sent_after).await?)
            }
        };
        policy.set_silences(store.silences(now).await?);
        let began = *self.began.get_or_insert(now);
        self.look_at_feeds(&mut policy, now, began);
        let mut num_outgoing = 0;
        loop {
            let inbox = store.inbox(PAGE_ROWS).await?;
            adopt(&mut policy, store, &inbox).await?;
            for item in &inbox.items {
                match item {
                    InboxItem::Anomaly(anomaly) if self.is_past(&policy, anomaly, began) => {}
                    InboxItem::Anomaly(anomaly) => policy.anomaly(anomaly, now),
                    InboxItem::Acknowledgement(one) => _ = policy.acknowledge(&one.id, &one.by, one.time),
                }
            }
            policy.tick(now);
            let mut changes = policy.take_changes();
            if !changes.is_empty() || !inbox.numbers.is_empty() {
                self.add_bars(&mut changes).await;
                if !store.decide(&owner, &inbox.numbers, &changes).await? {
                    self.say(Health::Healthy, "another process decides");
                    return Ok(Turn { due: None, num_outgoing, leads: false });
                }
                num_outgoing += changes.outgoing.len();
                self.count(&changes);
            }
            if inbox.numbers.len() < PAGE_ROWS {
                break;
            }
        }
        self.parts.metrics.alerts.open.set(i64::try_from(policy.num_open()).unwrap_or(i64::MAX));
        let due = policy.next_due();
        self.policy = Some(policy);
        self.say(Health::Healthy, "");
        Ok(Turn { due, num_outgoing, leads: true })
    }

    /// Notes that a turn failed.
    pub fn failed(&mut self, error: &StoreError) {
        self.say(Health::Degraded, &format!("nobody is alerted until the history answers: {error}"));
    }

    /// Measures how long messages wait.
    pub async fn measure(&self, now: Nanos) {
        let Some(store) = self.parts.history.alert_store() else { return };
        // The next one will tell.
        let Ok((waiting, oldest)) = store.waiting().await else { return };
        let metrics = &self.parts.metrics.alerts;
        metrics.waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        metrics.waiting_seconds.set(oldest.map_or(0, |oldest| now.since(oldest).max(0) / SECOND));
    }

    /// Drops what was done before this.
    pub async fn prune(&self, before: Nanos) {
        let Some(store) = self.parts.history.alert_store() else { return };
        if let Err(error) = store.prune(before).await {
            tracing::warn!(%error, "failed to drop old alerts; it is tried again");
        }
    }

    fn say(&self, status: Health, detail: &str) {
        self.parts.health.set("alerts", status, detail);
    }

    /// True for a moment long before this process began: the past of a symbol, which its first start brings, wakes nobody.
    fn is_past(&self, policy: &Policy, anomaly: &Anomaly, began: Nanos) -> bool {
        !is_lasting(&anomaly.anomaly_type)
            && began.since(anomaly.time) > self.parts.settings.age_max
            && !policy.knows(&anomaly.id)
    }

    fn look_at_feeds(&mut self, policy: &mut Policy, now: Nanos, began: Nanos) {
        let is_due = self.looked.is_none_or(|looked| now.since(looked) >= OUTAGE_EVERY);
        if now.since(began) >= OUTAGE_GRACE && is_due {
            policy.set_down(&self.parts.feeds.down(now), now);
            self.looked = Some(now);
        }
    }

    fn count(&self, changes: &Changes) {
        for alert in &changes.alerts {
            self.parts.metrics.alerts.decided(&alert.reason);
        }
    }

    /// Adds the last bars to messages about one symbol. A message without them is worth sending too.
    async fn add_bars(&self, changes: &mut Changes) {
        let Some(width) = self.parts.width else { return };
        for message in &mut changes.outgoing {
            let notification = &mut message.body.notification;
            let [name] = notification.symbols.as_slice() else { continue };
            let Some(symbol) = self.parts.symbols.get(name) else { continue };
            let scale = self.parts.symbols.spec(symbol).price_scale;
            let query = WindowQuery {
                symbol,
                width,
                start: Nanos::MIN,
                end: notification.time.plus(width.nanos()),
                limit: CHART_BARS_MAX,
            };
            let Ok(bars) = self.parts.history.bars(&query).await else { continue };
            notification.bars = bars
                .iter()
                .rev()
                .map(|bar| ChartBar {
                    start: bar.start,
                    open: scale.to_f64(bar.open.0),
                    high: scale.to_f64(bar.high.0),
                    low: scale.to_f64(bar.low.0),
                    close: scale.to_f64(bar.close.0),
                })
                .collect();
        }
    }
}

/// Brings in stored incidents that the policy has forgotten, and that something in the inbox is about.
async fn adopt(policy: &mut Policy, store: &dyn AlertStore, inbox: &Inbox) -> Result<(), StoreError> {
    let unknown: Vec<String> = inbox
        .items
        .iter()
        .map(|item| match item {
            InboxItem::Anomaly(anomaly) => &anomaly.id,
            InboxItem::Acknowledgement(one) => &one.id,
        })
        .filter(|id| !policy.knows(id))
        .cloned()
        .collect();
    if !unknown.is_empty() {
        for incident in store.incidents_by_id(&unknown).await? {
            policy.adopt(incident);
        }
    }
    Ok(())
}
