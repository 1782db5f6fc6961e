//! Takes the messages of one channel out of the outbox, sends them, and marks what came of it.
//!
//! Promises: one at a time, the oldest first; a message is taken under a lease, so that no other process sends it meanwhile,
//! and marked once the channel has answered. The mark is tried until it is written. A message whose turn does not come for
//! longer than it may wait is given up.
//! Twice goes out only what the process did not live to mark: its id is the same then.

use super::deliver::{Deliver, Outcome, Round};
use crate::actors::health::{Health, HealthRegistry};
use crate::metrics::Metrics;
use crate::models::alert::{Alert, AlertStatus};
use crate::models::alerts::outgoing::{Outgoing, OutgoingState};
use crate::models::time::{MINUTE, Nanos};
use crate::retry::{Backoff, RetryPolicy};
use crate::stores::error::StoreError;
use crate::stores::history::History;
use std::sync::Arc;
use std::time::Duration;

/// Messages taken at one time.
const TAKEN_MAX: usize = 4;

/// How long a message is nobody else's: more than it takes to try those taken with it over all four channels, each for as long
/// as `alerts.timeout` may be.
const LEASE: i64 = 5 * MINUTE;

/// What a sender works with.
#[derive(Clone)]
pub struct SenderParts {
    /// Where the outbox is.
    pub history: Arc<dyn History>,
    /// The channels.
    pub deliveries: Arc<dyn Deliver>,
    /// Names this process among those that send.
    pub owner: String,
    /// How long a message may wait, in nanoseconds.
    pub outbox_age: i64,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Where to say how the channels are.
    pub health: Arc<HealthRegistry>,
    /// Returns the time.
    pub now: Arc<dyn Fn() -> Nanos + Send + Sync>,
}

/// Sends the messages of one channel.
pub struct Sender {
    parts: SenderParts,
    channel: String,
}

impl Sender {
    /// Makes one.
    #[must_use]
    pub const fn new(parts: SenderParts, channel: String) -> Sender {
        Sender { parts, channel }
    }

    /// Sends what is due. Returns how many messages were tried.
    ///
    /// # Errors
    /// When the outbox cannot be read.
    pub async fn turn(&self) -> Result<usize, StoreError> {
        let Some(store) = self.parts.history.alert_store() else { return Ok(0) };
        let now = (self.parts.now)();
        let (num_waiting, _) = store.waiting().await?;
        if num_waiting == 0 {
            return Ok(0);
        }
        let owner = &self.parts.owner;
        let taken = store.take_outgoing(&self.channel, owner, now, now.plus(LEASE), TAKEN_MAX).await?;
        let num_taken = taken.len();
        for message in taken {
            self.send(message).await;
        }
        Ok(num_taken)
    }

    async fn send(&self, mut message: Outgoing) {
        let known = self.parts.deliveries.names();
        let route: Vec<String> = std::iter::once(&self.channel)
            .chain(&message.body.fallback)
            .filter(|name| known.contains(name))
            .cloned()
            .collect();
        let notification = &message.body.notification;
        let round = self.parts.deliveries.deliver(&route, notification, message.attempts).await;
        let now = (self.parts.now)();
        let alerts = settle(&mut message, &round, now, self.parts.outbox_age);
        let result = match message.state {
            OutgoingState::Waiting => "retried",
            OutgoingState::Sent => "sent",
            OutgoingState::Failed => "failed",
        };
        self.parts.metrics.alerts.tried(&self.channel, result);
        self.say(&round);
        self.mark(&message, &alerts).await;
    }

    /// Says how the channel is: as it was with the last message.
    fn say(&self, round: &Round) {
        let took_it = matches!(&round.outcome, Outcome::Sent(name) if *name == self.channel);
        let (health, detail) =
            if took_it { (Health::Healthy, "") } else { (Health::Degraded, round.cause.as_str()) };
        self.parts.health.set(&format!("alerts_{}", self.channel), health, detail);
    }

    /// Marks what came of a message, however long that takes: without the mark it would be sent again.
    async fn mark(&self, message: &Outgoing, alerts: &[Alert]) {
        let Some(store) = self.parts.history.alert_store() else { return };
        let mut backoff = Backoff::new(RetryPolicy::LOCAL);
        while let Err(error) = store.settle(std::slice::from_ref(message), alerts).await {
            tracing::warn!(%error, id = message.id, "failed to mark what came of a message; it is tried again");
            tokio::time::sleep(backoff.failed()).await;
        }
    }
}

/// Writes down what came of a round. Returns the decisions as they stand now.
pub fn settle(message: &mut Outgoing, round: &Round, now: Nanos, outbox_age: i64) -> Vec<Alert> {
    message.lease_until = Nanos(0);
    if round.was_tried {
        message.attempts += 1;
    }
    let cause = &round.cause;
    match &round.outcome {
        Outcome::Sent(name) if *name == message.channel => {
            message.state = OutgoingState::Sent;
            with_status(message, AlertStatus::Sent, "")
        }
        Outcome::Sent(name) => {
            message.state = OutgoingState::Sent;
            let reason = format!("fell back to {name}: {cause}");
            let mut alerts = with_status(message, AlertStatus::Failed, &reason);
            let in_place = |alert: &Alert| Alert {
                id: format!("{}/{name}", alert.id),
                channel: name.clone(),
                status: AlertStatus::Sent,
                reason: format!("in place of {}", message.channel),
                ..alert.clone()
            };
            let in_place: Vec<Alert> = alerts.iter().map(in_place).collect();
            alerts.extend(in_place);
            alerts
        }
        Outcome::GivenUp => give_up(message, cause),
        Outcome::Retry(_) if now.since(message.decided) >= outbox_age => {
            give_up(message, &format!("it waited too long: {cause}"))
        }
        Outcome::Retry(pause) => {
            message.due = now.plus(nanos(*pause));
            with_status(message, AlertStatus::Retrying, cause)
        }
    }
}

fn nanos(pause: Duration) -> i64 {
    i64::try_from(pause.as_nanos()).unwrap_or(i64::MAX)
}

fn give_up(message: &mut Outgoing, cause: &str) -> Vec<Alert> {
    message.state = OutgoingState::Failed;
    with_status(message, AlertStatus::Failed, cause)
}

/// Returns the decisions of a message with a status, and keeps how often it was tried.
fn with_status(message: &Outgoing, status: AlertStatus, reason: &str) -> Vec<Alert> {
    let attempts = message.attempts;
    let alert = |alert: &Alert| Alert { status, reason: reason.to_owned(), attempts, ..alert.clone() };
    message.body.alerts.iter().map(alert).collect()
}
