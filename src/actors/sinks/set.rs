//! The sinks of a process: the history, and others beside it, durable ones and those that nobody waits for.
//!
//! Promises: each sink has a queue of its own, and each beside the history a thread of its own, so that one that is slow,
//! hangs or is gone changes nothing for the others, and where nobody waits for it nothing for the data path. Whoever waits
//! for what is written waits for every durable sink.

use super::shell::{BeginLive, BehindAtStart, CopyUnparsedInput, Followed, Need, SinkActor};
use super::{Delivery, OnFull, Sink, SinkPolicy, SinkSpec};
use crate::actors::environment::Environment;
use crate::actors::health::HealthRegistry;
use crate::actors::messages::{Flush, LogDurable, UnparsedInput};
use crate::actors::partition::fanout::SinkOutput;
use crate::stores::log::Partition;
use actix::{Actor, Addr, Arbiter, ArbiterHandle, MailboxError, Recipient};
use futures_util::future::{join_all, try_join_all};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::sync::watch;

/// A sink beside the history, and how it is served.
#[derive(Clone)]
pub struct SinkSetup {
    /// The sink.
    pub sink: Arc<dyn Sink>,
    /// How it is served.
    pub policy: SinkPolicy,
}

impl SinkSetup {
    /// True when checkpoints, retention and the end wait for it.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.sink.spec().delivery == Delivery::Durable
    }
}

/// A durable sink that may fall behind the run, and is caught up then.
#[derive(Clone)]
pub struct Straggler {
    /// Its shell.
    pub addr: Addr<SinkActor>,
    /// The sink itself, to be asked what it holds.
    pub sink: Arc<dyn Sink>,
    /// How it is served.
    pub policy: SinkPolicy,
    /// Whether it needs to be caught up.
    pub need: watch::Receiver<Need>,
    /// Up to where the run was passed over.
    pub passed_over: Arc<AtomicU64>,
}

impl Straggler {
    /// Starts a shell on a thread. Where the sink may fall behind, that comes with it.
    fn start(shell: SinkActor, thread: &ArbiterHandle) -> (Addr<SinkActor>, Option<Straggler>) {
        let (sink, policy) = (shell.sink(), shell.policy());
        let (need, passed_over) = (shell.need(), shell.passed_over());
        let addr = SinkActor::start_in_arbiter(thread, move |_| shell);
        let may_lag = policy.on_full == OnFull::CatchUp;
        let straggler = may_lag.then(|| Straggler { addr: addr.clone(), sink, policy, need, passed_over });
        (addr, straggler)
    }
}

/// A sink beside the history that is about to start.
pub struct Starting {
    /// The sink, and how it is served.
    pub setup: SinkSetup,
    /// What it follows; nothing where nobody waits for it.
    pub followed: Vec<(Partition, Followed)>,
    /// What is known of it where it is behind from the beginning.
    pub behind: Option<BehindAtStart>,
}

/// A sink that runs.
struct Member {
    addr: Addr<SinkActor>,
    output: SinkOutput,
    spec: SinkSpec,
    straggler: Option<Straggler>,
    /// Its thread.
    arbiter: Arbiter,
}

/// The sinks of a process.
pub struct Sinks {
    history: Addr<SinkActor>,
    history_output: SinkOutput,
    history_straggler: Option<Straggler>,
    /// Its thread, where it is not that of the stores.
    history_thread: Option<Arbiter>,
    others: Vec<Member>,
}

impl Sinks {
    /// Starts the history's sink on the stores' thread, or where it may be caught up on one of its own, and the others on
    /// threads of their own.
    #[must_use]
    pub fn start(
        history: SinkActor,
        stores: &ArbiterHandle,
        others: Vec<Starting>,
        env: &Environment,
        health: &Arc<HealthRegistry>,
    ) -> Sinks {
        let (spec, policy) = (history.spec(), history.policy());
        // What catches up writes all the time, and the log's writer is not to wait for that.
        let history_thread = (policy.on_full == OnFull::CatchUp).then(Arbiter::new);
        let thread = history_thread.as_ref().map_or_else(|| stores.clone(), Arbiter::handle);
        let (history, history_straggler) = Straggler::start(history, &thread);
        let history_output = output(&history, &spec, &policy);
        let start = |Starting { setup: SinkSetup { sink, policy }, followed, behind }: Starting| {
            let spec = sink.spec();
            let keeper = history.clone().recipient();
            let shell = SinkActor::new(sink, policy, env.clone(), Arc::clone(health), followed);
            let shell = shell.with_dead_letters(keeper);
            let shell = match behind {
                Some(behind) => shell.behind(behind),
                None => shell,
            };
            let arbiter = Arbiter::new();
            let (addr, straggler) = Straggler::start(shell, &arbiter.handle());
            Member { output: output(&addr, &spec, &policy), addr, spec, straggler, arbiter }
        };
        let others: Vec<Member> = others.into_iter().map(start).collect();
        for member in others.iter().filter(|member| member.spec.delivery == Delivery::Durable) {
            let to = member.addr.clone().recipient();
            let copy = CopyUnparsedInput { name: member.spec.name, to };
            history.try_send(copy).expect("a new mailbox has room for a message a sink");
        }
        Sinks { history, history_output, history_straggler, history_thread, others }
    }

    /// Returns what the fan-outs serve.
    #[must_use]
    pub fn outputs(&self) -> Vec<SinkOutput> {
        let others = self.others.iter().map(|member| member.output.clone());
        std::iter::once(self.history_output.clone()).chain(others).collect()
    }

    /// Returns the durable sinks that may fall behind; the history's, and those beside it.
    #[must_use]
    pub fn stragglers(&self) -> (Option<&Straggler>, Vec<&Straggler>) {
        let others = self.others.iter().filter_map(|member| member.straggler.as_ref());
        (self.history_straggler.as_ref(), others.collect())
    }

    /// Has nobody wait any more for those that may fall behind.
    ///
    /// # Errors
    /// When the process is stopping.
    pub async fn begin_live(&self) -> Result<(), MailboxError> {
        let (history, others) = self.stragglers();
        try_join_all(history.into_iter().chain(others).map(|straggler| straggler.addr.send(BeginLive)))
            .await?;
        Ok(())
    }

    /// Returns who is to hear how far the log is durable.
    #[must_use]
    pub fn log_listeners(&self) -> Vec<Recipient<LogDurable>> {
        let others = self.others.iter().filter(|member| member.spec.waits_for_log);
        let others = others.map(|member| member.addr.clone().recipient());
        std::iter::once(self.history.clone().recipient()).chain(others).collect()
    }

    /// Returns who keeps what never became an entry.
    #[must_use]
    pub fn unparsed_input(&self) -> Recipient<UnparsedInput> {
        self.history.clone().recipient()
    }

    fn others(&self, delivery: Delivery) -> impl Iterator<Item = &Addr<SinkActor>> {
        let others = self.others.iter().filter(move |member| member.spec.delivery == delivery);
        others.map(|member| &member.addr)
    }

    /// Waits until every durable sink has written everything that has come in.
    ///
    /// # Errors
    /// When the process is stopping.
    pub async fn flush(&self) -> Result<(), MailboxError> {
        let durable = std::iter::once(&self.history).chain(self.others(Delivery::Durable));
        try_join_all(durable.map(|addr| addr.send(Flush))).await?;
        Ok(())
    }

    /// Lets those that nobody waits for write what they have, for a second at the most.
    pub async fn flush_best_effort(&self) {
        // One that is gone has nothing to write.
        join_all(self.others(Delivery::BestEffort).map(|addr| addr.send(Flush))).await;
    }

    /// Ends their threads.
    pub fn end(&self) {
        let others = self.others.iter().map(|member| &member.arbiter);
        for thread in self.history_thread.iter().chain(others) {
            thread.stop();
        }
    }
}

fn output(addr: &Addr<SinkActor>, spec: &SinkSpec, policy: &SinkPolicy) -> SinkOutput {
    SinkOutput {
        name: spec.name,
        batches: addr.clone().recipient(),
        wants: spec.wants,
        is_durable: spec.delivery == Delivery::Durable,
        is_waited_for: policy.on_full != OnFull::DropOldest,
    }
}
