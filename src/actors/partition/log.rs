//! Gives every entry its position, and hands it to the log's writer and to the shards.
//!
//! Promises: positions only grow and are never given twice; the writer and every shard get the same entries in the
//! same order. Shards do not wait for the disk.
//! When a shard or the writer is full, this waits, its provider's next message waits, and so the venue does.

use super::shard::Environment;
use crate::actors::guard::{self, ActorKind};
use crate::actors::messages::{AppendEntries, Drain, Ingest, LogBatch, UnparsedInput};
use crate::metrics::{Span, Stage};
use crate::models::time::Nanos;
use crate::stores::log::high_water::HighWater;
use actix::dev::SendError;
use actix::{Actor, AtomicResponse, Context, Handler, Message, Recipient, WrapFuture};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Messages of providers that may wait. Providers send one and await the answer, so this bounds how many there are.
const MAILBOX_CAPACITY: usize = 16;

/// Whom the log feeds.
pub struct LogOutputs {
    /// One a shard.
    pub routers: Vec<Recipient<LogBatch>>,
    /// Commits entries; `None` when nothing outlives the process.
    pub writer: Option<Recipient<AppendEntries>>,
    /// Takes what never became an entry.
    pub letters: Option<Recipient<UnparsedInput>>,
}

/// Gives positions.
pub struct LogActor {
    /// The last position given; shared with whoever counts what is not committed.
    last: Arc<AtomicU64>,
    high_water: Option<HighWater>,
    /// The last try to raise it failed.
    mark_fails: bool,
    /// Shared, never cloned: every fresh clone of an address may put one message more into a full mailbox.
    outputs: Arc<LogOutputs>,
    env: Environment,
}

impl LogActor {
    /// Makes the log that goes on after `last`.
    #[must_use]
    pub fn new(
        last: Arc<AtomicU64>,
        high_water: Option<HighWater>,
        outputs: LogOutputs,
        env: Environment,
    ) -> LogActor {
        LogActor { last, high_water, mark_fails: false, outputs: Arc::new(outputs), env }
    }

    /// Counts what came in.
    fn observe(&self, ingest: &Ingest) {
        self.env.faults.actor(ActorKind::Log);
        let stage = self.env.metrics.stage(Stage::Log);
        stage.received.inc_by(ingest.entries.len() as u64);
        let newest = ingest.entries.last().map(|entry| entry.body.time());
        if let (Some(newest), true) = (newest, ingest.received != Nanos::MIN) {
            self.env.metrics.observe(Span::ExchangeToReceived, newest, ingest.received);
        }
    }

    /// Gives positions.
    fn number(&mut self, ingest: &mut Ingest) {
        let mut last = self.last.load(Ordering::Acquire);
        for entry in &mut ingest.entries {
            last += 1;
            entry.pos = last;
        }
        self.last.store(last, Ordering::Release);
        let Some(high_water) = &self.high_water else { return };
        let was_failing = self.mark_fails;
        let raised = high_water.raise(last);
        self.mark_fails = raised.is_err();
        self.env.metrics.mark_failures.inc_by(u64::from(raised.is_err()));
        match raised {
            // Said once; health and the counter go on saying it.
            Err(error) if !was_failing => {
                tracing::error!(
                    %error,
                    "failed to note the highest position: a crash now would lose uncounted entries"
                );
            }
            Ok(()) if was_failing => tracing::info!("the highest position can be noted again"),
            Ok(()) | Err(_) => {}
        }
    }
}

/// Sends, waiting where the mailbox is full. A receiver that is gone gets nothing: the process is stopping.
async fn deliver<M>(to: &Recipient<M>, message: M)
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    if let Err(SendError::Full(message)) = to.try_send(message) {
        to.send(message).await.ok();
    }
}

impl Actor for LogActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_CAPACITY);
    }
}

impl Handler<Ingest> for LogActor {
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, mut ingest: Ingest, _ctx: &mut Self::Context) -> Self::Result {
        let metrics = Arc::clone(&self.env.metrics);
        // A panic here costs a count; giving positions cannot panic, so no entry goes without one.
        guard::run(ActorKind::Log, &metrics, || self.observe(&ingest));
        self.number(&mut ingest);
        let (outputs, through) = (Arc::clone(&self.outputs), self.last.load(Ordering::Acquire));
        let Ingest { entries, dead_letters, progress, received } = ingest;
        let deliver_all = async move {
            if let (Some(letters), false) = (&outputs.letters, dead_letters.is_empty()) {
                // Once the progress is committed nobody reads these rows again; and without a wait here they would pile
                // up where the disk is slower than what brings them. A receiver that is gone stopped with the process.
                letters.send(UnparsedInput(dead_letters)).await.ok();
            }
            let entries = Arc::new(entries);
            let batch = LogBatch { entries, through, muted_through: 0, received };
            for router in &outputs.routers {
                deliver(router, batch.clone()).await;
            }
            if let Some(writer) = &outputs.writer {
                // Its answer is what holds the feed back when too much waits for the disk.
                let append = AppendEntries { entries: batch.entries.clone(), progress, received };
                writer.send(append).await.ok();
            }
            metrics.stage(Stage::Log).sent.inc_by(batch.entries.len() as u64);
        };
        AtomicResponse::new(Box::pin(deliver_all.into_actor(self)))
    }
}

impl Handler<Drain> for LogActor {
    type Result = ();

    /// Answers once everything before it has been handed on.
    fn handle(&mut self, _: Drain, _ctx: &mut Self::Context) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::history::DeadLetterRecord;
    use actix::ResponseFuture;
    use futures_util::future::join_all;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Notify;

    /// A history that writes nothing until it is told to.
    #[derive(Clone, Default)]
    struct SlowDisk {
        waiting: Arc<AtomicUsize>,
        most_waiting: Arc<AtomicUsize>,
        came: Arc<Notify>,
        may_write: Arc<Notify>,
    }

    impl Actor for SlowDisk {
        type Context = Context<Self>;
    }

    impl Handler<UnparsedInput> for SlowDisk {
        type Result = ResponseFuture<()>;

        fn handle(
            &mut self,
            UnparsedInput(letters): UnparsedInput,
            _ctx: &mut Self::Context,
        ) -> Self::Result {
            let waiting = self.waiting.fetch_add(letters.len(), Ordering::SeqCst) + letters.len();
            self.most_waiting.fetch_max(waiting, Ordering::SeqCst);
            self.came.notify_one();
            let disk = self.clone();
            Box::pin(async move {
                disk.may_write.notified().await;
                disk.waiting.fetch_sub(letters.len(), Ordering::SeqCst);
            })
        }
    }

    fn letter() -> DeadLetterRecord {
        DeadLetterRecord {
            reason: "malformed".to_owned(),
            symbol: None,
            provider: "file".to_owned(),
            received_at: Nanos(0),
            payload: "garbage".to_owned(),
            pos: None,
            origin: "-:1".to_owned(),
            id: 0,
        }
    }

    #[actix::test]
    async fn dead_letters_never_pile_up_behind_a_slow_disk() {
        let disk = SlowDisk::default();
        let letters = Some(disk.clone().start().recipient());
        let outputs = LogOutputs { routers: Vec::new(), writer: None, letters };
        let log = LogActor::new(Arc::default(), None, outputs, Environment::for_test()).start();
        let stretch = || Ingest {
            entries: Vec::new(),
            dead_letters: vec![letter(); 10],
            progress: None,
            received: Nanos::MIN,
        };
        let sent = join_all((0..3).map(|_| log.send(stretch())));
        let written = async {
            for _ in 0..3 {
                disk.came.notified().await;
                disk.may_write.notify_one();
            }
        };
        let (taken, ()) = futures_util::future::join(sent, written).await;
        assert!(taken.iter().all(Result::is_ok));
        let left = disk.waiting.load(Ordering::SeqCst);
        assert_eq!((disk.most_waiting.load(Ordering::SeqCst), left), (10, 0), "those of one message");
    }
}
