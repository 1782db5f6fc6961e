//! `[[alerts.routes]]`: who is told of what.
//!
//! Promises: a route that leads nowhere is a fault, since its alerts would be lost.

use crate::models::alerts::settings::Route;
use crate::models::anomaly::Severity;
use serde::{Deserialize, Serialize};

/// One table of `[[alerts.routes]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertsRoute {
    /// Names of the channels.
    pub channels: Vec<String>,
    /// Channels to use where one of `channels` does not take a message, the first one first.
    pub fallback: Vec<String>,
    /// Least severity.
    pub min_severity: Severity,
    /// Types of anomalies that it is about; empty for all. `*` at the end stands for any rest.
    pub types: Vec<String>,
    /// Symbols that it is about; empty for all. `*` at the end stands for any rest.
    pub symbols: Vec<String>,
}

impl AlertsRoute {
    /// Returns the route of the policy.
    #[must_use]
    pub fn route(&self) -> Route {
        let AlertsRoute { channels, fallback, min_severity, types, symbols } = self.clone();
        Route { channels, fallback, min_severity, types, symbols }
    }
}

/// Returns the faults of routes; `used` are the channels that are used.
pub(super) fn faults(routes: &[AlertsRoute], used: &[&str]) -> Vec<(&'static str, String)> {
    let key = "alerts.routes";
    let used_text = if used.is_empty() { "none".to_owned() } else { format!("`{}`", used.join("`, `")) };
    let mut found = Vec::new();
    for (at, route) in routes.iter().enumerate() {
        if route.channels.is_empty() {
            found.push((key, format!("[{at}] names no channel in `channels`")));
        }
        for name in route.channels.iter().chain(&route.fallback) {
            if !used.contains(&name.as_str()) {
                found.push((
                    key,
                    format!(
                        "[{at}] names the channel `{name}`, which is not configured; configured: {used_text}"
                    ),
                ));
            }
        }
    }
    found
}
