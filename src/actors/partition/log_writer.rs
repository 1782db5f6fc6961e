//! Commits entries to the log in groups.
//!
//! Promises: what was committed is said to be durable, in order, and nothing else is. A group ends when it is large or
//! old enough, or when a flush is requested; while one is being written the next gathers, so a
//! busy log writes large groups.
//! On failure: a group that cannot be written is tried again with growing pauses, for ever; meanwhile entries gather in
//! memory up to a limit, then the answer to more is held back, which stops the reading of the feed. After a panic the
//! group is written again, less what the log has. Where trying again does not help, pauses are the longest ones, and
//! whoever has nothing to do without a log is told ([`HealthRegistry::broken`]).

use super::durability::Durability;
use crate::actors::environment::Environment;
use crate::actors::guard::{self, ActorKind};
use crate::actors::health::{Health, HealthRegistry, StoreBroken};
use crate::actors::messages::{AppendEntries, Flush, LogDurable};
use crate::metrics::Span;
use crate::models::entry::Entry;
use crate::models::time::Nanos;
use crate::retry::{Backoff, RetryPolicy};
use crate::stores::log::{LogGroup, Progress, TickLog};
use actix::fut::wrap_future;
use actix::{
    Actor, ActorFutureExt, AsyncContext, Context, Handler, Recipient, ResponseFuture, StreamHandler,
    WrapFuture,
};
use futures_util::stream;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Messages that may wait besides what has been taken in; few, since [`LogWriterActor`] takes them in at once.
const MAILBOX_CAPACITY: usize = 16;

/// Entries of one commit at the most: about 60 ms of writing, which is what others wait for the disk then.
const GROUP_LIMIT: usize = 1 << 15;

/// Groups that a flush is requested for begin no sooner than this after each other: each costs the disk something.
const FLUSH_INTERVAL: Duration = Duration::from_millis(2);

/// What an operator can do when trying again does not help.
const REPAIR_ADVICE: &str = "stop the program, and run `tickwire check`";

/// When groups end and how much may wait.
#[derive(Clone, Copy, Debug)]
pub struct GroupPolicy {
    /// Entries that end a group.
    pub max_entries: usize,
    /// Age that ends a group.
    pub max_age: Duration,
    /// Entries that may wait while the log cannot be written.
    pub spill_entries: usize,
}

/// Entries that wait for their commit.
struct Waiting {
    entries: Arc<Vec<Entry>>,
    progress: Option<Progress>,
    received: Nanos,
}

/// Commits entries.
pub struct LogWriterActor {
    log: Arc<dyn TickLog>,
    policy: GroupPolicy,
    env: Environment,
    health: Arc<HealthRegistry>,
    /// Shared with whoever needs to know without asking, and with whoever requests a flush.
    durability: Arc<Durability>,
    listeners: Vec<Recipient<LogDurable>>,
    waiting: VecDeque<Waiting>,
    num_waiting: usize,
    /// Messages taken in, and those of them that are durable.
    num_appended: u64,
    num_committed: Arc<AtomicU64>,
    writing: bool,
    /// When the last group was begun that a flush was requested for.
    flushed_at: Option<Instant>,
    /// A flush is requested.
    flush_is_requested: bool,
    backoff: Backoff,
    /// A commit made room, or nothing waits any more.
    progress: Arc<Notify>,
    /// Somebody waits for the end: the next try comes at once.
    retry: Arc<Notify>,
}

impl LogWriterActor {
    /// Makes the writer of a log.
    #[must_use]
    pub fn new(
        log: Arc<dyn TickLog>,
        policy: GroupPolicy,
        env: Environment,
        health: Arc<HealthRegistry>,
        durability: Arc<Durability>,
        listeners: Vec<Recipient<LogDurable>>,
    ) -> LogWriterActor {
        health.set("log", Health::Healthy, "");
        LogWriterActor {
            log,
            policy,
            env,
            health,
            durability,
            listeners,
            waiting: VecDeque::new(),
            num_waiting: 0,
            num_appended: 0,
            num_committed: Arc::default(),
            writing: false,
            flushed_at: None,
            flush_is_requested: false,
            backoff: Backoff::new(RetryPolicy::LOCAL),
            progress: Arc::new(Notify::new()),
            retry: Arc::new(Notify::new()),
        }
    }

    /// Puts the next group together and writes it in a task of its own.
    fn write(&mut self, ctx: &mut Context<Self>) {
        if self.writing || self.waiting.is_empty() {
            return;
        }
        self.writing = true;
        if std::mem::take(&mut self.flush_is_requested) {
            self.flushed_at = Some(Instant::now());
        }
        let (group, num_taken) = self.next_group();
        let log = Arc::clone(&self.log);
        let (faults, metrics) = (Arc::clone(&self.env.faults), Arc::clone(&self.env.metrics));
        let append = async move {
            let append = async {
                faults.actor(ActorKind::LogWriter);
                log.append(&group).await
            };
            guard::watch(ActorKind::LogWriter, &metrics, append).await
        };
        let task = actix::spawn(append);
        ctx.spawn(wrap_future::<_, Self>(task).map(move |joined, actor, ctx| {
            actor.writing = false;
            match joined.ok().flatten() {
                Some(Ok(())) => actor.committed(num_taken, ctx),
                Some(Err(error)) => actor.failed(&error.to_string(), error.is_transient(), ctx),
                None => actor.failed("the writer panicked", true, ctx),
            }
        }));
    }

    fn next_group(&self) -> (LogGroup, usize) {
        let mut group = LogGroup::default();
        let mut num_taken = 0;
        let durable = self.durability.through();
        for waiting in &self.waiting {
            if num_taken > 0 && group.entries.len() + waiting.entries.len() > GROUP_LIMIT {
                break;
            }
            let new = waiting.entries.partition_point(|entry| entry.pos <= durable);
            group.entries.extend_from_slice(&waiting.entries[new..]);
            group.progress = waiting.progress.clone().or(group.progress);
            num_taken += 1;
        }
        (group, num_taken)
    }

    fn committed(&mut self, num_taken: usize, ctx: &mut Context<Self>) {
        let now = (self.env.now)();
        let mut durable = self.durability.through();
        for done in self.waiting.drain(..num_taken) {
            self.num_waiting -= done.entries.len();
            durable = done.entries.last().map_or(durable, |entry| durable.max(entry.pos));
            self.env.metrics.observe(Span::ReceivedToCommitted, done.received, now);
        }
        self.durability.advance(durable);
        self.num_committed.fetch_add(num_taken as u64, Ordering::Release);
        self.env.metrics.log_position.set(i64::try_from(durable).unwrap_or(i64::MAX));
        self.env.metrics.log_queue.set(self.num_waiting as i64);
        for listener in &self.listeners {
            // One that has no room is told of a later commit, and reads the position by itself.
            _ = listener.try_send(LogDurable(durable));
        }
        if self.backoff.num_failures() > 0 {
            self.backoff.reset();
            self.health.set("log", Health::Healthy, "");
            tracing::info!("log can be written again");
        }
        self.progress.notify_waiters();
        if self.num_waiting >= self.policy.max_entries {
            self.write(ctx);
        } else if !self.waiting.is_empty() {
            self.write_soon(ctx);
        }
    }

    fn failed(&mut self, error: &str, is_transient: bool, ctx: &mut Context<Self>) {
        let advice = if is_transient { "is the disk full?" } else { REPAIR_ADVICE };
        if self.backoff.num_failures() == 0 {
            tracing::error!(error, "failed to write the log; entries wait in memory: {advice}");
        }
        let detail = format!("{error}; {} entries wait: {advice}", self.num_waiting);
        self.health.set("log", Health::Unhealthy, detail);
        let grown = self.backoff.failed();
        let delay = if is_transient { grown } else { RetryPolicy::LOCAL.max_delay };
        if !is_transient {
            self.health.set_broken(StoreBroken { store: "log", cause: error.to_owned() });
        }
        // Someone else may have committed the group before the failure was reported: the log knows.
        let (log, retry) = (Arc::clone(&self.log), Arc::clone(&self.retry));
        let resume = async move {
            // Only the pause is cut short: a full disk may have room again by the time of a stop.
            let _elapsed = tokio::time::timeout(delay, retry.notified()).await;
            // Where it does not say, the group is written again, less what is known to be there.
            log.tail().await.ok()
        };
        self.writing = true;
        ctx.spawn(resume.into_actor(self).map(|tail, actor, ctx| {
            actor.writing = false;
            if let Some(tail) = tail {
                actor.durability.advance(tail.last);
            }
            actor.write(ctx);
        }));
    }

    fn write_soon(&mut self, ctx: &mut Context<Self>) {
        let since = self.flushed_at.map_or(Duration::MAX, |at| at.elapsed());
        let pause = FLUSH_INTERVAL.saturating_sub(since);
        let age = if self.flush_is_requested { pause.min(self.policy.max_age) } else { self.policy.max_age };
        if age.is_zero() {
            self.write(ctx);
        } else {
            ctx.run_later(age, LogWriterActor::write);
        }
    }
}

/// Somebody waits for what the log was given last.
struct FlushRequest;

impl StreamHandler<FlushRequest> for LogWriterActor {
    fn handle(&mut self, _: FlushRequest, ctx: &mut Self::Context) {
        // It may come before the entries that it is about: then it is for those.
        if std::mem::replace(&mut self.flush_is_requested, true) {
            return;
        }
        if !self.writing {
            self.write_soon(ctx);
        }
    }
}

impl Actor for LogWriterActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_CAPACITY);
        ctx.add_stream(stream::unfold(Arc::clone(&self.durability), async |durability| {
            durability.flush_requested().await;
            Some((FlushRequest, durability))
        }));
    }
}

impl Handler<AppendEntries> for LogWriterActor {
    type Result = ResponseFuture<()>;

    /// Answers once there is room for more. The actor itself must go on meanwhile: it is what makes the room.
    fn handle(&mut self, append: AppendEntries, ctx: &mut Self::Context) -> Self::Result {
        let AppendEntries { entries, progress, received } = append;
        let was_empty = self.waiting.is_empty();
        self.num_waiting += entries.len();
        self.env.metrics.log_queue.set(self.num_waiting as i64);
        self.num_appended += 1;
        self.waiting.push_back(Waiting { entries, progress, received });
        if self.num_waiting >= self.policy.max_entries {
            self.write(ctx);
        } else if was_empty {
            self.write_soon(ctx);
        }
        let full = self.num_waiting > self.policy.spill_entries;
        if full && self.backoff.num_failures() > 0 {
            tracing::error!(
                entries = self.num_waiting,
                "memory for unwritten entries is full; the feed waits"
            );
        }
        let room = Arc::clone(&self.progress).notified_owned();
        Box::pin(async move {
            if full {
                room.await;
            }
        })
    }
}

impl Handler<Flush> for LogWriterActor {
    type Result = ResponseFuture<()>;

    /// Answers once everything that waits is durable.
    fn handle(&mut self, _: Flush, ctx: &mut Self::Context) -> Self::Result {
        let metrics = Arc::clone(&self.env.metrics);
        guard::run(ActorKind::LogWriter, &metrics, || self.write(ctx));
        self.retry.notify_waiters();
        // By messages, not by positions: progress without entries is to be durable too.
        let target = self.num_appended;
        let (committed, progress) = (Arc::clone(&self.num_committed), Arc::clone(&self.progress));
        Box::pin(async move {
            loop {
                let notified = progress.notified();
                if committed.load(Ordering::Acquire) >= target {
                    return;
                }
                notified.await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::entry::{Body, SourceId};
    use crate::models::symbol::SymbolId;
    use crate::stores::log::memory::MemoryLog;

    /// Passes on what the writer says is durable.
    struct Listener(tokio::sync::mpsc::UnboundedSender<u64>);

    impl Actor for Listener {
        type Context = Context<Self>;
    }

    impl Handler<LogDurable> for Listener {
        type Result = ();

        fn handle(&mut self, LogDurable(through): LogDurable, _ctx: &mut Self::Context) {
            self.0.send(through).expect("the test listens");
        }
    }

    fn append(pos: u64) -> AppendEntries {
        let body = Body::ClockMark { source: SourceId(0), time: Nanos(0) };
        let entries = Arc::new(vec![Entry { pos, symbol: SymbolId::NONE, body }]);
        AppendEntries { entries, progress: None, received: Nanos::MIN }
    }

    #[actix::test]
    async fn a_group_that_clients_wait_for_is_written_before_it_is_old() {
        let (env, durability) = (Environment::for_test(), Arc::<Durability>::default());
        let (sender, mut durable) = tokio::sync::mpsc::unbounded_channel();
        let policy =
            GroupPolicy { max_entries: 1_000, max_age: Duration::from_secs(3_600), spill_entries: 1_000 };
        let writer = LogWriterActor::new(
            Arc::new(MemoryLog::new()),
            policy,
            env,
            Arc::default(),
            Arc::clone(&durability),
            vec![Listener(sender).start().recipient()],
        )
        .start();
        // One right after another: the later ones come too soon, and wait for a moment only.
        for pos in 1..=6 {
            let clients_wait_first = pos > 3;
            if clients_wait_first {
                durability.request_flush();
                tokio::task::yield_now().await;
            }
            writer.send(append(pos)).await.expect("it runs");
            if !clients_wait_first {
                durability.request_flush();
            }
            let heard = tokio::time::timeout(Duration::from_secs(60), durable.recv()).await;
            assert_eq!(heard.expect("it is written long before the hour is over"), Some(pos));
        }
    }
}
