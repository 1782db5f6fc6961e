//! The sinks of a process: the history, and others beside it, durable ones and those that nobody waits for.
//!
//! Promises: each sink has a queue of its own, and each beside the history a thread of its own, so that one that is slow,
//! hangs or is gone changes nothing for the others, and where nobody waits for it nothing for the data path. Whoever waits
//! for what is written waits for every durable sink.

use super::shell::{Followed, SinkActor};
use super::{Delivery, OnFull, Sink, SinkPolicy, SinkSpec};
use crate::actors::environment::Environment;
use crate::actors::health::HealthRegistry;
use crate::actors::messages::{Flush, LogDurable, UnparsedInput};
use crate::actors::partition::fanout::SinkOutput;
use crate::stores::log::Partition;
use actix::{Actor, Addr, Arbiter, ArbiterHandle, MailboxError, Recipient};
use futures_util::future::{join_all, try_join_all};
use std::sync::Arc;

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

/// A sink that runs.
struct Member {
    addr: Addr<SinkActor>,
    output: SinkOutput,
    spec: SinkSpec,
    /// Its thread.
    arbiter: Arbiter,
}

/// The sinks of a process.
pub struct Sinks {
    history: Addr<SinkActor>,
    history_output: SinkOutput,
    others: Vec<Member>,
}

impl Sinks {
    /// Starts the history's sink on the stores' thread, and the others on threads of their own. With each of these comes
    /// what it follows, which is nothing where nobody waits for it.
    #[must_use]
    pub fn start(
        history: SinkActor,
        stores: &ArbiterHandle,
        others: Vec<(SinkSetup, Vec<(Partition, Followed)>)>,
        env: &Environment,
        health: &Arc<HealthRegistry>,
    ) -> Sinks {
        let (spec, policy) = (history.spec(), history.policy());
        let history = SinkActor::start_in_arbiter(stores, move |_| history);
        let history_output = output(&history, &spec, &policy);
        let start = |(SinkSetup { sink, policy }, followed): (SinkSetup, Vec<(Partition, Followed)>)| {
            let spec = sink.spec();
            let keeper = history.clone().recipient();
            let shell = SinkActor::new(sink, policy, env.clone(), Arc::clone(health), followed);
            let shell = shell.with_dead_letters(keeper);
            let arbiter = Arbiter::new();
            let addr = SinkActor::start_in_arbiter(&arbiter.handle(), move |_| shell);
            Member { output: output(&addr, &spec, &policy), addr, spec, arbiter }
        };
        let others = others.into_iter().map(start).collect();
        Sinks { history, history_output, others }
    }

    /// Returns what the fan-outs serve.
    #[must_use]
    pub fn outputs(&self) -> Vec<SinkOutput> {
        let others = self.others.iter().map(|member| member.output.clone());
        std::iter::once(self.history_output.clone()).chain(others).collect()
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
        for member in &self.others {
            member.arbiter.stop();
        }
    }
}

fn output(addr: &Addr<SinkActor>, spec: &SinkSpec, policy: &SinkPolicy) -> SinkOutput {
    SinkOutput {
        name: spec.name,
        batches: addr.clone().recipient(),
        wants: spec.wants,
        is_durable: spec.delivery == Delivery::Durable,
        is_waited_for: policy.on_full == OnFull::Block,
    }
}
