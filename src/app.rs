//! Assembles the program, serves until a signal, and stops.
//!
//! Promises: it starts from the end of the data path to its beginning, and stops from the beginning to the end. From the
//! signal to the exit it takes less than 5 s, whatever it is doing, and what was received by then is applied and
//! written. On failure: where the disk takes nothing, the entries that were received and never committed are counted
//! and reported, and the exit code is 1. Where another process writes to the history in place of this one, this one stops
//! with exit code 3, so that whatever starts it again can tell.

mod alerts;
pub mod backfill;
mod beside;
mod candidate;
pub mod channels;
pub mod check;
pub mod compare;
mod conditions;
pub mod detection;
pub mod dlq;
pub mod export;
mod housekeeping;
mod instruments;
pub mod kafka;
mod keys;
mod listeners;
mod live_feed;
pub mod migrate;
mod opening;
pub mod probe;
mod requests;
pub mod running;
mod secret_file;
mod show;
pub mod signals;
mod simulator;
mod sinks;
pub mod symbols;
mod topic_feed;
pub mod venue;
pub mod venues;

pub use instruments::WrongUse;
pub use show::show;

use crate::actors::health::Health;
use crate::actors::hub::demand::LiveDemand;
use crate::actors::hub::messages::{BeginServing, StopServing};
use crate::actors::hub::{HubActor, HubSettings};
use crate::actors::ingest::client::LogClient;
use crate::actors::pipeline::{LiveOutputs, Pipeline, Storage};
use crate::config::Config;
use crate::metrics::Stage;
use crate::models::provenance::{DataKind, Provenance};
use crate::node::directory;
use crate::node::{Node, pipeline_settings};
use crate::stores::cache::reader::CacheReader;
use crate::telemetry::Throttle;
use crate::web::detection_control::DetectionControl;
use crate::web::live::Live;
use crate::web::recent::RecentBars;
use crate::web::state::{AppState, STORE_FAULTS_PER_MINUTE};
use crate::web::symbol_control::SymbolControl;
use crate::web::visitors::Visitors;
use actix::{Actor, Arbiter};
use anyhow::Context;
use detection::{DetectionHandle, DetectionService};
use listeners::{DASHBOARD, Listeners, show_dashboard};
use signals::Signals;
use sinks::OtherSinks;
use std::sync::{Arc, OnceLock};
use symbols::{FollowedSymbols, KeptSymbols, SymbolHandle, SymbolService};

/// Memory for encoded bars, so that the pages that charts ask for are not encoded for each request.
const RECENT_BARS_BYTES: usize = 32 << 20;

/// Takes ticks in and serves the results, until stopped; `opens_dashboard` has the browser show them.
///
/// # Errors
/// When a store, a port, a feed or the stop fails.
pub fn run(config: Config, opens_dashboard: bool) -> anyhow::Result<()> {
    // States of thousands of symbols grow bit by bit all over the heap: huge pages would hold mostly air.
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "huge pages stay on; memory will be higher");
    }
    actix::System::new().block_on(serve(config, opens_dashboard))
}

async fn serve(config: Config, opens_dashboard: bool) -> anyhow::Result<()> {
    if !config.ignored().is_empty() {
        tracing::info!(
            names = config.ignored().join(" "),
            "environment ignored: this run has no use for these"
        );
    }
    for mistake in config.likely_mistakes() {
        tracing::warn!("{mistake}");
    }
    let signals = Signals::arm(config.server.stop_timeout)?;
    let listeners = Listeners::bind(&config)?;
    let begin = async {
        let kept = KeptSymbols::open(&config)?;
        let plan = venue::Plan::make(&config, &kept).await?;
        let node = Node::open_for_run(&config).await?;
        if node.is_durable() {
            let data = plan.provenance().data;
            let (log, record) = (node.log.as_ref(), node.record.as_ref());
            directory::claim(log, record, data, &node.core, &config.data_dir).await?;
        }
        let retention = housekeeping::retention_clock(&node).await?;
        anyhow::Ok((plan, kept, node, retention))
    };
    let (plan, kept, mut node, retention) = tokio::select! {
        begun = begin => begun?,
        by = signals.received() => return stopped_at_start(by),
    };
    let live = live(&config, &mut node);
    let provenance = plan.provenance();
    announce(&provenance);
    plan.announce(&config);
    let OtherSinks { setups, cache } = sinks::open(&config, &mut node)?;
    let followed = Arc::<FollowedSymbols>::default();
    let (handle, mut requests) = SymbolHandle::new(Arc::clone(&followed));
    let (detection_handle, detection_requests) = DetectionHandle::new();
    let controls: (Arc<dyn SymbolControl>, Arc<dyn DetectionControl>) =
        (Arc::new(handle), Arc::new(detection_handle));
    let state = app_state(&config, &mut node, &live, provenance, cache, Some(controls));
    // Before anything is computed, so that every anomaly from now on finds its inbox.
    let alerting = alerts::start(&config, &mut node, &state.provenance)?;
    let server = listeners.serve(&config, Arc::clone(&state))?;
    let dashboard = server.addresses()[DASHBOARD];

    let outputs =
        LiveOutputs { batches: live.hub.clone().recipient(), durable: live.hub.clone().recipient() };
    let storage = Storage {
        live: Some(outputs),
        sinks: setups,
        retention: Some(Arc::clone(&retention)),
        ..node.storage(true)
    };
    let start = async {
        let settings = pipeline_settings(&config);
        let pipeline = Pipeline::start(node.env.clone(), settings, storage, node.health.clone()).await?;
        // The hub has what recovery computed before it answers a client.
        pipeline.drain().await?;
        live.hub.send(BeginServing).await.context("the hub is gone")?;
        let client = LogClient::new(pipeline.log().clone(), Arc::clone(&node.env.metrics));
        let mut detection = DetectionService::new(&config, &node, client);
        detection.begin().await?;
        let feeds = plan.start(&config, &node, &pipeline).await?;
        anyhow::Ok((pipeline, feeds, detection))
    };
    let (pipeline, feeds, detection) = tokio::select! {
        started = start => started?,
        by = signals.received() => return stopped_at_start(by),
    };
    housekeeping::start(&config, &node, Arc::clone(&state), retention);
    let watch = conditions::start(&config, &mut node, &state.provenance, &live.hub);
    node.health.set_ready(true);
    tracing::info!("ready");
    if opens_dashboard {
        show_dashboard(dashboard);
    }

    let detection = actix::spawn(detection.serve(detection_requests));
    let symbols_max = config.core.max_symbols.get();
    let mut symbols = SymbolService::new(&node, feeds, kept, followed, symbols_max);
    let mut fenced = None;
    let by = tokio::select! {
        by = signals.received() => by,
        fence = node.health.fenced() => {
            fenced = Some(fence);
            "another process has taken over"
        }
        () = symbols.serve(&mut requests) => anyhow::bail!("nobody can change symbols any more"),
    };
    // Who waits for an answer is told that nobody gives one.
    drop(requests);
    detection.abort();
    tracing::info!("{by}; stopping");
    node.health.set_ready(false);
    let stop = async {
        symbols.stop().await;
        if let Some(watch) = watch {
            watch.stop();
        }
        pipeline.stop().await?;
        if let Some(alerting) = alerting {
            alerting.stop().await;
        }
        live.stop();
        live.hub.send(StopServing).await.context("the hub is gone")?;
        actix_web::web::block(|| server.stop()).await.context("the web servers are gone")??;
        node.close().await;
        anyhow::Ok(())
    };
    match (tokio::time::timeout(config.server.stop_timeout, stop).await, fenced) {
        (Ok(Ok(())), Some(fenced)) => Err(fenced.into()),
        (Ok(stopped), _) => stopped.inspect(|()| tracing::info!("stopped")),
        (Err(_), _) => anyhow::bail!("the stop took too long: {}", what_is_lost(&pipeline, &node)),
    }
}

/// Ends a start that was interrupted. Nothing was received yet, and the next start repeats what recovery has done.
fn stopped_at_start(by: &str) -> anyhow::Result<()> {
    tracing::info!("{by} before it was ready; nothing was received");
    Ok(())
}

/// Describes what a stop that took too long leaves behind.
fn what_is_lost(pipeline: &Pipeline, node: &Node) -> String {
    // Entries that still wait for a position are counted by stage.
    let received = |stage| node.env.metrics.stage(stage).received.get();
    let num_waiting = received(Stage::Provider).saturating_sub(received(Stage::Log));
    match pipeline.num_uncommitted() + num_waiting {
        0 => "everything received is in the log, and the next start goes on from there".to_owned(),
        lost => format!(
            "{lost} entries received were never committed and are lost; the next start notes a gap since the last one \
             that was"
        ),
    }
}

/// Logs at the start, in a word that nobody overlooks, what kind of data it is.
fn announce(provenance: &Provenance) {
    let provider = &provenance.provider;
    match provenance.data {
        DataKind::Simulated => {
            tracing::warn!(
                provider,
                "SIMULATED data: every tick is made up; nothing of it happened on a market"
            );
        }
        DataKind::Replay => tracing::warn!(provider, "REPLAY data: recorded ticks, not what happens now"),
        DataKind::Live => tracing::info!(provider, "LIVE data"),
    }
}

/// Starts the hub on a thread of its own.
fn live(config: &Config, node: &mut Node) -> Arc<Live> {
    let snapshots = node.publish_snapshots();
    let demand = Arc::<LiveDemand>::default();
    node.env.published.live = Some(Arc::clone(&demand));
    let epoch = format!("{:016x}", node.epoch);
    // Ticks are published before the log holds them, so their numbers are final within one run only.
    let run = format!("{:016x}", rand::random::<u64>());
    let settings = HubSettings {
        epoch: epoch.clone(),
        run: run.clone(),
        symbols: Arc::clone(&node.symbols),
        snapshots,
        clocks: Arc::clone(&node.env.published.clocks),
        history: Arc::clone(&node.history),
        metrics: Arc::clone(&node.env.metrics),
        health: Arc::clone(&node.health),
        demand,
        durability: Arc::clone(&node.durability),
        core: Arc::clone(&node.env.settings),
        faults: Arc::clone(&node.env.faults),
        now: Arc::clone(&node.env.now),
    };
    let hub = HubActor::start_in_arbiter(&Arbiter::new().handle(), move |_| HubActor::new(settings));
    let server = &config.server;
    Arc::new(Live::new(hub, epoch, run, server.websocket_broadcast, server.limits.clone()))
}

fn app_state(
    config: &Config,
    node: &mut Node,
    live: &Arc<Live>,
    provenance: Provenance,
    cache: Option<CacheReader>,
    controls: Option<(Arc<dyn SymbolControl>, Arc<dyn DetectionControl>)>,
) -> Arc<AppState> {
    let snapshots = node.publish_snapshots();
    let env = &node.env;
    let (symbol_control, detection_control) = controls.unzip();
    // PostgreSQL is the history where it is used, and known under that name.
    for name in ["alerts", "kafka", "postgres", "influxdb", "redis"] {
        node.health.set(name, Health::Disabled, "");
    }
    let server = &config.server;
    let listeners = [&server.rest, &server.websocket, &server.dashboard, &server.metrics];
    let visitors = Visitors::new(&server.cors_origins, listeners.map(|address| address.host.as_str()));
    if visitors.is_open() {
        tracing::warn!(
            "`server.cors_origins` has `*`: every web page that somebody opens may use this server"
        );
    }
    Arc::new(AppState {
        symbols: Arc::clone(&node.symbols),
        sources: Arc::clone(&node.sources),
        snapshots,
        clocks: Arc::clone(&env.published.clocks),
        log: Arc::clone(&node.log),
        history: Arc::clone(&node.history),
        health: Arc::clone(&node.health),
        metrics: Arc::clone(&env.metrics),
        cache,
        recent: RecentBars::new(RECENT_BARS_BYTES),
        clock: Arc::clone(&env.now),
        core: Arc::clone(&env.settings),
        provenance,
        shown_until: OnceLock::new(),
        store_faults: Throttle::new(STORE_FAULTS_PER_MINUTE),
        version: env!("CARGO_PKG_VERSION"),
        started: (env.now)(),
        visitors,
        live: Some(Arc::clone(live)),
        symbol_control,
        looked_for: Arc::clone(&env.published.looked_for),
        detection_control,
    })
}
