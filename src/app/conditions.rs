//! Starts what watches the system itself, as the configuration has it.
//!
//! Promises: nothing is judged of recorded ticks, nor where `detection.enabled` is false. Nothing here fails.

use crate::actors::conditions::readings::{Observed, Readings};
use crate::actors::conditions::watch::{self, WatchParts};
use crate::actors::hub::HubActor;
use crate::config::Config;
use crate::models::provenance::{DataKind, Provenance};
use crate::node::Node;
use actix::{Addr, Arbiter};
use std::sync::Arc;

/// Starts it; `None` where nothing is judged. It runs until the arbiter is stopped.
pub fn start(
    config: &Config,
    node: &mut Node,
    provenance: &Provenance,
    hub: &Addr<HubActor>,
) -> Option<Arbiter> {
    if !config.detection.enabled || provenance.data == DataKind::Replay {
        return None;
    }
    let snapshots = node.publish_snapshots();
    let settings = config.detection.conditions(config.metrics.latency_threshold);
    let (env, health) = (node.env.clone(), Arc::clone(&node.health));
    let (history, sources) = (Arc::clone(&node.history), Arc::clone(&node.sources));
    let hub = hub.clone().recipient();
    Some(watch::start(Arc::new(move || {
        let observed = Observed {
            metrics: Arc::clone(&env.metrics),
            health: Arc::clone(&health),
            snapshots: Arc::clone(&snapshots),
            clocks: Arc::clone(&env.published.clocks),
            sources: Arc::clone(&sources),
            core: Arc::clone(&env.settings),
        };
        WatchParts {
            readings: Readings::new(observed, settings.clone()),
            history: Arc::clone(&history),
            hub: hub.clone(),
            metrics: Arc::clone(&env.metrics),
            now: Arc::clone(&env.now),
        }
    })))
}
