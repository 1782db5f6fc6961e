//! The sections of `[detection]` for conditions of the system: what is looked at, and from where on it is too much.
//!
//! Promises: plain values; nothing here fails.

use super::text::span;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A condition without a threshold of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Watched {
    /// Whether it is looked for.
    pub enabled: bool,
}

/// Section `detection.venue_divergence`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VenueDivergence {
    /// Whether it is looked for.
    pub enabled: bool,
    /// How far a venue that is compared may be from the one in charge, in basis points of the price.
    pub bps: f64,
}

/// Section `detection.clock_off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClockOff {
    /// Whether it is looked for.
    pub enabled: bool,
    /// How far the clock here and a venue's may be apart.
    #[serde(with = "span")]
    pub max: Duration,
}

/// Section `detection.sink_behind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SinkBehind {
    /// Whether it is looked for.
    pub enabled: bool,
    /// How long a sink may fail, catch up or drop rows.
    #[serde(with = "span")]
    pub after: Duration,
}

impl Default for Watched {
    fn default() -> Self {
        Watched { enabled: true }
    }
}

impl Default for VenueDivergence {
    fn default() -> Self {
        VenueDivergence { enabled: true, bps: 50.0 }
    }
}

impl Default for ClockOff {
    fn default() -> Self {
        ClockOff { enabled: true, max: Duration::from_secs(2) }
    }
}

impl Default for SinkBehind {
    fn default() -> Self {
        SinkBehind { enabled: true, after: Duration::from_secs(30) }
    }
}
