//! Runs the manager and the senders on a thread of their own, and begins again after a panic.
//!
//! Promises: each runs for itself, so that a channel that hangs holds up no other one and no decision. They look for work every
//! second, and when something is known to be due. A stop waits for what is being marked, for a moment.

use super::heartbeat::Heartbeat;
use super::manager::{Manager, ManagerParts};
use super::sender::{Sender, SenderParts};
use crate::actors::guard::{self, ActorKind};
use crate::models::time::{MINUTE, Nanos};
use crate::retry::{Backoff, RetryPolicy};
use actix::Arbiter;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};

/// How long there is no look for work where nothing is known to be due.
const IDLE: Duration = Duration::from_secs(1);

/// How often rows that are long ago are dropped.
const PRUNE_EVERY: Duration = Duration::from_hours(1);

/// How long a stop waits for messages that are on their way.
const STOP_MAX: Duration = Duration::from_millis(1_500);

/// How long ago the last decision may be while somebody would be alerted, in nanoseconds.
const DECIDES_WITHIN: i64 = 2 * MINUTE;

/// Returns the time.
type Now = Arc<dyn Fn() -> Nanos + Send + Sync>;

/// Makes what a manager works with, again after a panic.
pub type MakeManager = Arc<dyn Fn() -> ManagerParts + Send + Sync>;

/// The manager and the senders, while they run.
pub struct Alerting {
    arbiter: Arbiter,
    stop: watch::Sender<bool>,
    ended: mpsc::Receiver<()>,
}

impl Alerting {
    /// Starts them; `keeps_for` is how long closed incidents are kept, in nanoseconds.
    #[must_use]
    pub fn start(
        make: MakeManager,
        sender: &SenderParts,
        heartbeat: Option<Heartbeat>,
        keeps_for: i64,
    ) -> Alerting {
        let arbiter = Arbiter::new();
        let (stop, stopped) = watch::channel(false);
        let (end, ended) = mpsc::channel(1);
        let wake = Arc::new(Notify::new());
        for channel in sender.deliveries.names() {
            let (parts, wake) = (sender.clone(), Arc::clone(&wake));
            let (stopped, end) = (stopped.clone(), end.clone());
            arbiter.spawn(async move {
                send(parts, channel, &wake, stopped).await;
                drop(end);
            });
        }
        let decided = Arc::new(AtomicI64::new(i64::MIN));
        if let Some(heartbeat) = heartbeat {
            let (now, decided) = (Arc::clone(&sender.now), Arc::clone(&decided));
            let (stopped, end) = (stopped.clone(), end.clone());
            arbiter.spawn(async move {
                beat(&heartbeat, now, &decided, stopped).await;
                drop(end);
            });
        }
        let now = Arc::clone(&sender.now);
        arbiter.spawn(async move {
            decide(make, now, keeps_for, &Progress { wake, decided }, stopped).await;
            drop(end);
        });
        Alerting { arbiter, stop, ended }
    }

    /// Stops them: a message that a channel has answered is marked.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        // Whoever has not ended by then is cut off; what it did not mark is sent again.
        _ = tokio::time::timeout(STOP_MAX, self.ended.recv()).await;
        self.arbiter.stop();
    }
}

/// Waits, unless it is to stop. Returns false then.
async fn wait(pause: Duration, wake: Option<&Notify>, stopped: &mut watch::Receiver<bool>) -> bool {
    let woken = async {
        match wake {
            Some(wake) => wake.notified().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        // Whoever could tell it to stop is gone.
        _ = stopped.wait_for(|is_stopped| *is_stopped) => false,
        () = tokio::time::sleep(pause) => true,
        () = woken => true,
    }
}

/// What the manager tells the others.
struct Progress {
    /// There are messages to send.
    wake: Arc<Notify>,
    /// When it decided last.
    decided: Arc<AtomicI64>,
}

/// Pings the dead man's switch as long as there are decisions.
async fn beat(heartbeat: &Heartbeat, now: Now, decided: &AtomicI64, mut stopped: watch::Receiver<bool>) {
    let mut was_answered = true;
    loop {
        if !wait(heartbeat.every(), None, &mut stopped).await {
            return;
        }
        if now().since(Nanos(decided.load(Ordering::Relaxed))) > DECIDES_WITHIN {
            continue;
        }
        let is_answered = heartbeat.ping().await;
        if was_answered && !is_answered {
            tracing::warn!("the dead man's switch `alerts.heartbeat.url` does not answer");
        }
        was_answered = is_answered;
    }
}

async fn decide(
    make: MakeManager,
    now: Now,
    keeps_for: i64,
    progress: &Progress,
    mut stopped: watch::Receiver<bool>,
) {
    let mut manager = Manager::new(make());
    let mut backoff = Backoff::new(RetryPolicy::LOCAL);
    let mut pruned = None;
    loop {
        let metrics = Arc::clone(&make().metrics);
        let turn = guard::watch(ActorKind::Alerts, &metrics, manager.turn(now())).await;
        let pause = match turn {
            Some(Ok(turn)) => {
                backoff.reset();
                progress.decided.store(now().0, Ordering::Relaxed);
                if turn.num_outgoing > 0 {
                    progress.wake.notify_waiters();
                }
                let due = turn.due.map(|due| due.since(now()).max(0).unsigned_abs());
                due.map_or(IDLE, |due| Duration::from_nanos(due).min(IDLE))
            }
            Some(Err(error)) => {
                manager.failed(&error);
                backoff.failed()
            }
            None => {
                manager = Manager::new(make());
                backoff.failed()
            }
        };
        manager.measure(now()).await;
        if pruned.is_none_or(|pruned: tokio::time::Instant| pruned.elapsed() >= PRUNE_EVERY) {
            manager.prune(now().plus(-keeps_for)).await;
            pruned = Some(tokio::time::Instant::now());
        }
        if !wait(pause, None, &mut stopped).await {
            return;
        }
    }
}

async fn send(parts: SenderParts, channel: String, wake: &Notify, mut stopped: watch::Receiver<bool>) {
    let metrics = Arc::clone(&parts.metrics);
    let sender = Sender::new(parts, channel);
    let mut backoff = Backoff::new(RetryPolicy::LOCAL);
    loop {
        let pause = match guard::watch(ActorKind::Alerts, &metrics, sender.turn()).await {
            Some(Ok(0)) => {
                backoff.reset();
                IDLE
            }
            // There may be more.
            Some(Ok(_)) => Duration::ZERO,
            Some(Err(error)) => {
                tracing::debug!(%error, "the outbox cannot be read; it is tried again");
                backoff.failed()
            }
            None => backoff.failed(),
        };
        if !wait(pause, Some(wake), &mut stopped).await {
            return;
        }
    }
}
