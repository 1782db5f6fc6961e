//! What the policy is set to: spans, limits and routes.
//!
//! Promises: plain values. A name in a route is matched whole; `*` at its end stands for any rest. Nothing here fails.

use crate::models::anomaly::Severity;
use crate::models::conditions::ConditionKind;
use crate::models::time::{DAY, HOUR, MINUTE, SECOND};

/// Settings of the policy. Spans are nanoseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertSettings {
    /// How long after an alert of a symbol and type no other one of both is sent.
    pub cooldown: i64,
    /// How long the first alert of a group waits for others of its kind.
    pub group_wait: i64,
    /// How long after a group its next one goes out at the earliest.
    pub group_interval: i64,
    /// How long after an outage of its feed nothing is sent of a symbol's prices: the first trade after a gap is far from the
    /// mean of the bars before it.
    pub feed_settle: i64,
    /// Nothing is sent of what happened longer ago than this when it becomes known.
    pub age_max: i64,
    /// How long an incident that has no end by itself, such as a spike, stays open.
    pub open_for: i64,
    /// Incidents that a message lists; the others are counted.
    pub lines_max: usize,
    /// Incidents that are kept open; where there are more, the oldest one is closed.
    pub incidents_max: usize,
    /// Who is told of what.
    pub routes: Vec<Route>,
    /// Address of the page, for links.
    pub public_url: Option<String>,
    /// True for data that a machine made up: messages say so first.
    pub is_simulated: bool,
}

impl Default for AlertSettings {
    fn default() -> AlertSettings {
        AlertSettings {
            cooldown: 5 * MINUTE,
            group_wait: 5 * SECOND,
            group_interval: 30 * SECOND,
            feed_settle: 30 * SECOND,
            age_max: 15 * MINUTE,
            open_for: DAY,
            lines_max: 20,
            incidents_max: 10_000,
            routes: Vec::new(),
            public_url: None,
            is_simulated: false,
        }
    }
}

/// Longest span that a setting may have: an incident is looked at for as long at the most.
pub const SPAN_MAX: i64 = 31 * 24 * HOUR;

/// Who is told of what. Every route that fits counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// Names of the channels.
    pub channels: Vec<String>,
    /// Channels to use where one of `channels` does not take a message, the first one first.
    pub fallback: Vec<String>,
    /// Least severity.
    pub min_severity: Severity,
    /// Types that it is about; empty for all.
    pub types: Vec<String>,
    /// Symbols that it is about; empty for all.
    pub symbols: Vec<String>,
}

impl Route {
    /// True for what the route is about.
    #[must_use]
    pub fn fits(&self, severity: Severity, anomaly_type: &str, symbol: &str) -> bool {
        severity >= self.min_severity
            && fits_any(&self.types, anomaly_type)
            && fits_any(&self.symbols, symbol)
    }
}

/// True where one of the names fits, or there are none.
#[must_use]
pub fn fits_any(names: &[String], name: &str) -> bool {
    let fits = |wanted: &String| match wanted.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => wanted == name,
    };
    names.is_empty() || names.iter().any(fits)
}

/// A channel that is to be told, and those to use where it does not take the message.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Name of the channel.
    pub channel: String,
    /// Names of the others.
    pub fallback: Vec<String>,
}

impl AlertSettings {
    /// Returns who is to be told, each channel once, in the order of the routes.
    #[must_use]
    pub fn targets(&self, severity: Severity, anomaly_type: &str, symbol: &str) -> Vec<Target> {
        let mut targets: Vec<Target> = Vec::new();
        for route in self.routes.iter().filter(|route| route.fits(severity, anomaly_type, symbol)) {
            for channel in &route.channels {
                if targets.iter().all(|known| known.channel != *channel) {
                    targets.push(Target { channel: channel.clone(), fallback: route.fallback.clone() });
                }
            }
        }
        targets
    }

    /// Returns the channels to use where one does not take a message: those of the first route that names it.
    #[must_use]
    pub fn fallback(&self, channel: &str) -> Vec<String> {
        let route = self.routes.iter().find(|route| route.channels.iter().any(|name| name == channel));
        route.map(|route| route.fallback.clone()).unwrap_or_default()
    }
}

/// True for a type that is judged by prices and volumes, which an outage of the feed distorts.
#[must_use]
pub fn is_of_prices(anomaly_type: &str) -> bool {
    ConditionKind::parse(anomaly_type).is_none()
}

/// True for a type whose anomalies end by themselves. A spike is about one moment, and has no end.
#[must_use]
pub fn is_lasting(anomaly_type: &str) -> bool {
    !matches!(anomaly_type, "price_spike" | "volume_spike")
}
