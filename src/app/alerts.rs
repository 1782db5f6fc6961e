//! Starts what decides on alerts and sends them, as the configuration has it.
//!
//! Promises: nobody is alerted of recorded ticks, and with `alerts.enabled = false` of nothing. A channel that cannot be reached
//! does not keep the program from starting. On failure: a setting that cannot be used ends the start with an error that names
//! its key.

use super::channels;
use crate::actors::alerts::heartbeat::{Heartbeat, HeartbeatSettings};
use crate::actors::alerts::manager::ManagerParts;
use crate::actors::alerts::outages::SnapshotFeeds;
use crate::actors::alerts::sender::SenderParts;
use crate::actors::alerts::supervisor::{Alerting, MakeManager};
use crate::clock::{Clock, SystemClock};
use crate::config::{Alerts, AlertsRoute, Config};
use crate::models::alerts::settings::{AlertSettings, Route};
use crate::models::provenance::{DataKind, Provenance};
use crate::node::Node;
use crate::tls;
use anyhow::Context;
use std::sync::Arc;
use std::time::Duration;

/// Starts it; `None` where nobody is alerted.
///
/// # Errors
/// When a channel, a route or the dead man's switch cannot be used.
pub fn start(config: &Config, node: &mut Node, provenance: &Provenance) -> anyhow::Result<Option<Alerting>> {
    let alerts = &config.alerts;
    if !alerts.enabled || provenance.data == DataKind::Replay || node.history.alert_store().is_none() {
        return Ok(None);
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let deliveries = Arc::new(channels::open(alerts, &clock)?);
    let settings = settings(config, provenance.data == DataKind::Simulated);
    let owner = format!("{:032x}", rand::random::<u128>());
    let feeds = Arc::new(SnapshotFeeds {
        snapshots: node.publish_snapshots(),
        clocks: Arc::clone(&node.env.published.clocks),
        symbols: Arc::clone(&node.symbols),
        core: Arc::clone(&node.env.settings),
    });
    let (history, symbols) = (Arc::clone(&node.history), Arc::clone(&node.symbols));
    let (metrics, health) = (Arc::clone(&node.env.metrics), Arc::clone(&node.health));
    let width = node.env.settings.widths.first().copied();
    let parts = SenderParts {
        history: Arc::clone(&history),
        deliveries,
        owner: owner.clone(),
        outbox_age: nanos(alerts.outbox_age),
        metrics: Arc::clone(&metrics),
        health: Arc::clone(&health),
        now: Arc::clone(&node.env.now),
    };
    let make: MakeManager = Arc::new(move || ManagerParts {
        history: Arc::clone(&history),
        settings: settings.clone(),
        owner: owner.clone(),
        feeds: Arc::clone(&feeds) as _,
        symbols: Arc::clone(&symbols),
        width,
        metrics: Arc::clone(&metrics),
        health: Arc::clone(&health),
    });
    Ok(Some(Alerting::start(make, &parts, heartbeat(alerts, node)?, nanos(alerts.keep))))
}

fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

/// Returns what the policy is set to. Without a route everything goes to every channel.
fn settings(config: &Config, is_simulated: bool) -> AlertSettings {
    let alerts = &config.alerts;
    let everything =
        Route { channels: alerts.channels().into_iter().map(str::to_owned).collect(), ..Route::default() };
    let routes = match alerts.routes.is_empty() {
        true => vec![everything],
        false => alerts.routes.iter().map(AlertsRoute::route).collect(),
    };
    AlertSettings {
        cooldown: nanos(alerts.cooldown),
        group_wait: nanos(alerts.group_wait),
        group_interval: nanos(alerts.group_interval),
        feed_settle: nanos(alerts.feed_settle),
        age_max: nanos(alerts.max_age),
        open_for: nanos(alerts.open_for),
        incidents_max: alerts.max_open.get(),
        routes,
        public_url: config.server.public_url.clone(),
        is_simulated,
        ..AlertSettings::default()
    }
}

/// Makes the dead man's switch, where one is configured.
fn heartbeat(alerts: &Alerts, node: &Node) -> anyhow::Result<Option<Heartbeat>> {
    let section = &alerts.heartbeat;
    let key = "alerts.heartbeat.url";
    let url = channels::given_or_read(section.url.as_ref(), key, section.url_file.as_deref())?;
    let Some(url) = url else { return Ok(None) };
    let url = crate::config::http_url(&url).map_err(|fault| anyhow::anyhow!("`{key}` {fault}"))?;
    let tls = tls::client(section.ca_file.as_deref()).context("`alerts.heartbeat.ca_file` cannot be used")?;
    let settings = HeartbeatSettings { url, every: section.every, tls, timeout: alerts.timeout };
    Ok(Some(Heartbeat::new(settings, Arc::clone(&node.env.metrics))))
}
