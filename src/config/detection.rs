//! Section `detection`: what counts as unusual, for all symbols and for some, and of the system itself.
//!
//! Promises: keys and defaults are those of the core's settings; an override has the same keys, and what it leaves out stays.

use super::conditions::{ClockOff, SinkBehind, VenueDivergence, Watched};
use super::text::{symbols, width};
use crate::models::asset_class::AssetClass;
use crate::models::conditions::ConditionSettings;
use crate::models::detection::settings::{
    DetectionOverride, DetectionSettings, PriceChange, PriceThreshold, RsiChange, RsiThreshold,
    SeverityChange, SeverityLevels, Thresholds, VolumeChange, VolumeThreshold,
};
use crate::models::rules::RuleSet;
use crate::models::time::Width;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Section `detection`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Detection {
    /// Whether anomalies are looked for.
    pub enabled: bool,
    /// The window whose bars are judged; where there is no `1min`, the smallest.
    #[serde(with = "width")]
    pub window: Width,
    /// Trades far off the closes of the bars before.
    pub price_spike: PriceThreshold,
    /// Bars of far more volume than the bars before.
    pub volume_spike: VolumeThreshold,
    /// The RSI beyond its thresholds.
    pub rsi: RsiThreshold,
    /// From how many times its threshold on an anomaly is how severe.
    pub severity: SeverityLevels,
    /// A stage is slower than `metrics.latency_threshold`.
    pub high_latency: Watched,
    /// A source is not heard for longer than its feed's `stale_after`.
    pub stale_feed: Watched,
    /// A venue has gaps that are yet to be filled.
    pub gap: Watched,
    /// A venue that is compared is far from the one in charge.
    pub venue_divergence: VenueDivergence,
    /// The clock here and a venue's are apart.
    pub clock_off: ClockOff,
    /// The ledger does not explain reports.
    pub ledger_residue: Watched,
    /// A sink does not do its work.
    pub sink_behind: SinkBehind,
    /// What holds for some symbols.
    pub overrides: Vec<DetectionTable>,
}

/// One table of `[[detection.overrides]]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DetectionTable {
    /// Symbols it speaks of.
    #[serde(with = "symbols")]
    pub symbols: Vec<String>,
    /// Class of instruments it speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asset_class: Option<AssetClass>,
    /// As in the section.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// As in the section.
    pub price_spike: PriceChange,
    /// As in the section.
    pub volume_spike: VolumeChange,
    /// As in the section.
    pub rsi: RsiChange,
    /// As in the section.
    pub severity: SeverityChange,
}

impl Default for Detection {
    fn default() -> Self {
        let Thresholds { enabled, price, volume, rsi, severity } = Thresholds::default();
        Detection {
            enabled,
            window: DetectionSettings::default().width,
            price_spike: price,
            volume_spike: volume,
            rsi,
            severity,
            high_latency: Watched::default(),
            stale_feed: Watched::default(),
            gap: Watched::default(),
            venue_divergence: VenueDivergence::default(),
            clock_off: ClockOff::default(),
            ledger_residue: Watched::default(),
            sink_behind: SinkBehind::default(),
            overrides: Vec::new(),
        }
    }
}

impl DetectionTable {
    fn settings(&self) -> DetectionOverride {
        let DetectionTable { symbols, asset_class, enabled, price_spike, volume_spike, rsi, severity } = self;
        DetectionOverride {
            symbols: symbols.clone(),
            asset_class: *asset_class,
            enabled: *enabled,
            price: *price_spike,
            volume: *volume_spike,
            rsi: *rsi,
            severity: *severity,
        }
    }
}

impl Detection {
    fn thresholds(&self) -> Thresholds {
        Thresholds {
            enabled: self.enabled,
            price: self.price_spike,
            volume: self.volume_spike,
            rsi: self.rsi,
            severity: self.severity,
        }
    }

    /// Returns the settings of the core, with these rules; `None` where nothing is looked for in any symbol.
    #[must_use]
    pub fn settings(&self, rules: RuleSet) -> Option<DetectionSettings> {
        let settings = self.all_settings(rules);
        let is_enabled = self.enabled || settings.overrides.iter().any(|one| one.enabled == Some(true));
        (is_enabled || !settings.rules.is_empty()).then_some(settings)
    }

    /// Returns the settings of the core, with these rules, also where nothing is looked for.
    #[must_use]
    pub fn all_settings(&self, rules: RuleSet) -> DetectionSettings {
        let overrides = self.overrides.iter().map(DetectionTable::settings).collect();
        DetectionSettings { width: self.window, thresholds: self.thresholds(), overrides, rules }
    }

    /// Returns the settings for conditions of the system; `latency` is `metrics.latency_threshold`.
    #[must_use]
    pub fn conditions(&self, latency: Duration) -> ConditionSettings {
        let (divergence, clock, sink) = (self.venue_divergence, self.clock_off, self.sink_behind);
        ConditionSettings {
            high_latency: self.high_latency.enabled.then_some(latency.as_secs_f64() * 1_000.0),
            stale_feed: self.stale_feed.enabled,
            gap: self.gap.enabled,
            venue_divergence: divergence.enabled.then_some(divergence.bps),
            clock_off: clock.enabled.then_some(clock.max.as_secs_f64()),
            ledger_residue: self.ledger_residue.enabled,
            sink_behind: sink.enabled.then_some(sink.after.as_secs_f64()),
            levels: self.severity,
        }
    }

    /// Returns every fault: the key, and what is wrong. `widths` are those of the windows.
    #[must_use]
    pub fn faults(&self, widths: &[Width]) -> Vec<(String, String)> {
        let own = self.thresholds();
        let mut faults: Vec<(String, String)> =
            own.faults().into_iter().map(|(key, reason)| (format!("detection.{key}"), reason)).collect();
        if self.window != DetectionSettings::default().width && !widths.contains(&self.window) {
            let reason = format!("{} is none of `core.windows`", self.window);
            faults.push(("detection.window".to_owned(), reason));
        }
        let VenueDivergence { bps, .. } = self.venue_divergence;
        if !(bps.is_finite() && bps > 0.0) {
            faults.push(("detection.venue_divergence.bps".to_owned(), "must be more than 0".to_owned()));
        }
        for (key, span) in
            [("clock_off.max", self.clock_off.max), ("sink_behind.after", self.sink_behind.after)]
        {
            if span.is_zero() {
                faults.push((format!("detection.{key}"), "must be more than 0".to_owned()));
            }
        }
        for (nth, table) in self.overrides.iter().enumerate() {
            let mut fault = |reason| faults.push(("detection.overrides".to_owned(), reason));
            if table.symbols.is_empty() && table.asset_class.is_none() {
                fault(format!("table {} names neither `symbols` nor an `asset_class`", nth + 1));
            }
            for (key, reason) in table.settings().over(&own).faults() {
                fault(format!("table {}: `{key}`: {reason}", nth + 1));
            }
        }
        faults
    }
}
