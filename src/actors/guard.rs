//! Keeps panics where they happen: work that panics is caught at the handler, counted, and done again or given up.
//!
//! actix revives an actor that stops, but not one that panics, whose mailbox is lost. So no panic may leave a handler
//! here: synchronous work runs under [`run`], futures under [`watch`], and what can block or fail for long runs in a
//! task of its own whose panic comes back as an error.

use crate::metrics::Metrics;
use futures_util::FutureExt;
use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The kinds of actors, as metrics and logs name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ActorKind {
    /// Reads a venue.
    Provider,
    /// Gives positions.
    Log,
    /// Commits entries.
    LogWriter,
    /// Sorts entries by symbol.
    Router,
    /// Owns a symbol.
    Symbol,
    /// Hands effects on.
    FanOut,
    /// Commits effects.
    History,
    /// Keeps the cache up to date.
    Cache,
    /// Writes to the store of metrics.
    MetricsStore,
    /// Writes to the topics.
    Topics,
    /// Writes checkpoints.
    Recovery,
    /// Serves live clients.
    Hub,
    /// Decides on alerts, and sends them.
    Alerts,
    /// Judges the system itself.
    Conditions,
}

impl ActorKind {
    /// Returns the label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            ActorKind::Provider => "provider",
            ActorKind::Log => "log",
            ActorKind::LogWriter => "log_writer",
            ActorKind::Router => "router",
            ActorKind::Symbol => "symbol",
            ActorKind::FanOut => "fanout",
            ActorKind::History => "history",
            ActorKind::Cache => "cache",
            ActorKind::MetricsStore => "metrics_store",
            ActorKind::Topics => "topics",
            ActorKind::Recovery => "recovery",
            ActorKind::Hub => "hub",
            ActorKind::Alerts => "alerts",
            ActorKind::Conditions => "conditions",
        }
    }
}

/// Returns the message of a panic.
fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

fn report(kind: ActorKind, metrics: &Metrics, panic: &(dyn Any + Send)) {
    metrics.restarted(kind.as_str());
    tracing::error!(actor = kind.as_str(), error = message(panic), "actor panicked and goes on");
}

/// Runs synchronous work. `None` when it panicked: the caller repairs its state.
pub fn run<T>(kind: ActorKind, metrics: &Metrics, work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| report(kind, metrics, &*panic)).ok()
}

/// Runs a future. `None` when it panicked.
pub async fn watch<T>(kind: ActorKind, metrics: &Metrics, work: impl Future<Output = T>) -> Option<T> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|panic| report(kind, metrics, &*panic)).ok()
}
