//! A write that failed: what is said of it, and when it is tried again.
//!
//! Promises: a run of failures is one line in the log, and one more where they turn out not to go away by themselves; the next
//! try waits for the longest of the growing pause, what the backend asked for and the breaker.

use super::{Failure, SinkActor};
use crate::actors::health::{Fenced, Health, StoreBroken};
use crate::actors::sinks::SinkError;
use crate::breaker::BreakerState;
use actix::{AsyncContext, Context};
use std::time::Instant;

impl SinkActor {
    /// Tells what failed, and sets the time of the next try.
    pub(super) fn failed(&mut self, failure: &Failure, ctx: &mut Context<Self>) {
        let (error, is_transient, asked_for) = match failure {
            Failure::Sink(error) => {
                let pause = if let SinkError::Transient { pause, .. } = error { *pause } else { None };
                (error.to_string(), error.is_transient(), pause)
            }
            Failure::Panic => ("the writer panicked".to_owned(), true, None),
        };
        self.metrics.failed(is_transient);
        let name = self.spec.name;
        let rows = if self.spec.wants.ticks || self.spec.wants.reports { "rows" } else { "effects" };
        // What does not go away by itself is said also where it comes after what may.
        let is_worse = !is_transient && !self.told_permanent;
        self.told_permanent |= !is_transient;
        let is_first = self.backoff.num_failures() == 0 || is_worse;
        let status = if self.is_durable() { Health::Unhealthy } else { Health::Degraded };
        let advice = if is_transient { String::new() } else { format!(": {}", self.spec.repair_advice) };
        if is_first && self.is_durable() {
            tracing::error!(error, is_transient, "failed to write the {name}; {rows} wait in memory{advice}");
        } else if is_first {
            tracing::warn!(
                error,
                is_transient,
                "failed to write to {name}; it is tried again, the rest goes on{advice}"
            );
        }
        let left_alone = self.left_alone(&error);
        let waiting = match self.num_behind() {
            positions if self.lag.is_behind() => format!("{positions} positions of the log behind"),
            _ => format!("{} {rows} wait", self.num_waiting),
        };
        self.health.set(name, status, format!("{error}; {waiting}{left_alone}{advice}"));
        self.lag.answered(false);
        if matches!(failure, Failure::Sink(SinkError::Fenced { .. })) {
            self.health.set_fenced(Fenced { store: name, cause: error.clone() });
        }
        if !is_transient && self.is_durable() {
            self.health.set_broken(StoreBroken { store: name, cause: error });
        }
        let grown = self.backoff.failed();
        self.let_go_where_full();
        let pause = if is_transient { grown } else { self.policy.retry.max_delay };
        let pause = pause.max(asked_for.unwrap_or_default());
        let pause = pause.max(self.breaker.pause(Instant::now()).unwrap_or_default());
        self.writing = true;
        self.retry = Some(ctx.run_later(pause, |actor, ctx| {
            actor.retry = None;
            actor.try_again(false, ctx);
        }));
    }

    /// Has the breaker note a failure. Returns what health says of it.
    fn left_alone(&mut self, error: &str) -> String {
        let now = Instant::now();
        let was_closed = self.breaker.state(now) == BreakerState::Closed;
        let opens = self.breaker.failed(now);
        self.metrics.breaker.set(self.breaker.state(now).level());
        if !opens {
            return String::new();
        }
        self.metrics.breaker_opened.inc();
        let open_for = self.policy.breaker.open_for;
        if was_closed {
            let name = self.spec.name;
            tracing::warn!(error, "{name} failed several times in a row: it is left alone for {open_for:?}");
        }
        format!("; circuit breaker open for {open_for:?}")
    }

    pub(super) fn try_again(&mut self, is_end: bool, ctx: &mut Context<Self>) {
        self.metrics.breaker.set(self.breaker.state(Instant::now()).level());
        self.writing = false;
        self.metrics.retries.inc();
        self.write(is_end, ctx);
    }
}
