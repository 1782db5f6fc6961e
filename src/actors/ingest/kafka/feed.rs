//! Hands what is read of a topic to the log, and starts the reading anew where it ended with an error.
//!
//! Promises: the log has taken a stretch before the one after the next few is read ([`LogClient`]), and a stretch goes on its way
//! together with the positions it reaches. Once it is stopped, what was handed to the log has been taken; the rest is in the
//! topic. On failure: the reading is started again where it was, after a pause that grows.

use super::plan::{FromReader, Stretch, TopicPlan};
use super::positions::Positions;
use super::search;
use crate::actors::environment::Environment;
use crate::actors::health::{Health, HealthRegistry};
use crate::actors::ingest::client::{LogClient, LogGone};
use crate::actors::ingest::handle::{FeedHandle, StopSignal};
use crate::actors::messages::Ingest;
use crate::actors::partition::log::LogActor;
use crate::retry::{Backoff, RetryPolicy};
use crate::stores::log::Progress;
use actix::Addr;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Stretches that wait for the log, of some thousand messages each.
const STRETCHES_MAX: usize = 2;

/// Starts reading.
#[must_use]
pub fn start(
    plan: TopicPlan,
    log: Addr<LogActor>,
    env: Environment,
    health: Arc<HealthRegistry>,
) -> FeedHandle {
    FeedHandle::spawn(move |stop| async move {
        let client = LogClient::new(log, Arc::clone(&env.metrics));
        let mut feed = Feed { plan: Arc::new(plan), client, env, health, reached: None };
        feed.run(stop).await;
        // The log is gone only where the process is stopping.
        _ = feed.client.settle().await;
    })
}

struct Feed {
    plan: Arc<TopicPlan>,
    client: LogClient,
    env: Environment,
    health: Arc<HealthRegistry>,
    /// How far what was handed to the log reaches, and in which cluster: the log may not hold it yet.
    reached: Option<(String, Positions)>,
}

impl Feed {
    async fn run(&mut self, stop: StopSignal) {
        let mut backoff = Backoff::new(RetryPolicy::LOCAL);
        loop {
            let before = self.reached.clone();
            let ended = tokio::select! {
                () = stop.told() => return,
                ended = self.read() => ended,
            };
            let Ok(reason) = ended else { return };
            if self.reached != before {
                backoff = Backoff::new(RetryPolicy::LOCAL);
            }
            self.env.metrics.restarted("provider");
            tracing::error!(
                topic = self.plan.topic,
                reason,
                "the reading of the topic ended; it is started again"
            );
            let detail = format!("kafka: {}: {reason}", self.plan.topic);
            self.health.set(&format!("feed_{}", self.plan.name), Health::Degraded, detail);
            tokio::select! {
                () = stop.told() => return,
                () = tokio::time::sleep(backoff.failed()) => {}
            }
        }
    }

    /// Reads until the reading ends; returns why. Dropped, it has the reading end.
    async fn read(&mut self) -> Result<String, LogGone> {
        let (sender, mut said) = mpsc::channel(STRETCHES_MAX);
        let (plan, env, health) = (Arc::clone(&self.plan), self.env.clone(), Arc::clone(&self.health));
        let resume = self.reached.clone();
        let (ending, ended) = oneshot::channel();
        let read = move || {
            let end = search::read(&plan, resume, &env, &health, &sender);
            // Nobody waits for the reason of an end that was asked for.
            _ = ending.send(end);
        };
        if let Err(error) = std::thread::Builder::new().name("kafka-reader".to_owned()).spawn(read) {
            return Ok(format!("no thread for it: {error}"));
        }
        while let Some(said) = said.recv().await {
            match said {
                FromReader::Positions(key, answer) => {
                    // The thread ends where nobody can answer it.
                    _ = answer.send(self.plan.kept.progress(&key).await);
                }
                FromReader::Stretch(cluster, stretch) => self.hand_over(cluster, *stretch).await?,
            }
        }
        Ok(match ended.await {
            Ok(Ok(())) => "it ended by itself".to_owned(),
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => "its thread panicked".to_owned(),
        })
    }

    async fn hand_over(&mut self, cluster: String, stretch: Stretch) -> Result<(), LogGone> {
        let Stretch { entries, dead_letters, positions, received } = stretch;
        let key = Positions::key(&cluster, &self.plan.topic);
        let progress = Some(Progress { key, value: positions.encode() });
        self.client.send(Ingest { entries, dead_letters, progress, received }).await?;
        self.reached = Some((cluster, positions));
        Ok(())
    }
}
