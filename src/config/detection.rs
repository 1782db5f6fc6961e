//! Section `detection`: what counts as unusual, for all symbols and for some.
//!
//! Promises: keys and defaults are those of the core's settings; an override has the same keys, and what it leaves out stays.

use super::text::{symbols, width};
use crate::models::asset_class::AssetClass;
use crate::models::detection::settings::{
    DetectionOverride, DetectionSettings, Method, PriceThreshold, RsiThreshold, SeverityLevels, Thresholds,
    VolumeThreshold,
};
use crate::models::time::Width;
use serde::{Deserialize, Serialize};

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
    pub price_spike: PriceSpike,
    /// Bars of far more volume than the bars before.
    pub volume_spike: VolumeSpike,
    /// The RSI beyond its thresholds.
    pub rsi: Rsi,
    /// From how many times its threshold on an anomaly is how severe.
    pub severity: SeverityTimes,
    /// What holds for some symbols.
    pub overrides: Vec<DetectionTable>,
}

/// Section `detection.price_spike`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PriceSpike {
    /// How far off, in per cent.
    pub percent: f64,
    /// Bars whose closes a trade is compared with.
    pub bars: usize,
    /// Whether with their `mean` or their `median`.
    pub method: Method,
}

/// Section `detection.volume_spike`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VolumeSpike {
    /// How many times as much.
    pub factor: f64,
    /// Bars whose volumes a bar is compared with.
    pub bars: usize,
    /// Whether with their `mean` or their `median`.
    pub method: Method,
}

/// Section `detection.rsi`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rsi {
    /// Above this it is overbought.
    pub overbought: f64,
    /// Below this it is oversold.
    pub oversold: f64,
    /// How far it must come back for that to be over.
    pub hysteresis: f64,
}

/// Section `detection.severity`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SeverityTimes {
    /// `medium`.
    pub medium: f64,
    /// `high`.
    pub high: f64,
    /// `critical`.
    pub critical: f64,
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
    pub price_spike: PriceSpikeChange,
    /// As in the section.
    pub volume_spike: VolumeSpikeChange,
    /// As in the section.
    pub rsi: RsiChange,
    /// As in the section.
    pub severity: SeverityChange,
}

/// Changes of `price_spike`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PriceSpikeChange {
    /// As in the section.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
    /// As in the section.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bars: Option<usize>,
    /// As in the section.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
}

/// Changes of `volume_spike`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VolumeSpikeChange {
    /// As in the section.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// As in the section.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bars: Option<usize>,
    /// As in the section.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
}

/// Changes of `rsi`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RsiChange {
    /// As in the section.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overbought: Option<f64>,
    /// As in the section.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oversold: Option<f64>,
    /// As in the section.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hysteresis: Option<f64>,
}

/// Changes of `severity`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SeverityChange {
    /// As in the section.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub medium: Option<f64>,
    /// As in the section.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// As in the section.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub critical: Option<f64>,
}

impl Default for Detection {
    fn default() -> Self {
        let Thresholds { enabled, .. } = Thresholds::default();
        Detection {
            enabled,
            window: DetectionSettings::default().width,
            price_spike: PriceSpike::default(),
            volume_spike: VolumeSpike::default(),
            rsi: Rsi::default(),
            severity: SeverityTimes::default(),
            overrides: Vec::new(),
        }
    }
}

impl Default for PriceSpike {
    fn default() -> Self {
        let PriceThreshold { percent, bars, method } = Thresholds::default().price;
        PriceSpike { percent, bars, method }
    }
}

impl Default for VolumeSpike {
    fn default() -> Self {
        let VolumeThreshold { factor, bars, method } = Thresholds::default().volume;
        VolumeSpike { factor, bars, method }
    }
}

impl Default for Rsi {
    fn default() -> Self {
        let RsiThreshold { overbought, oversold, hysteresis } = Thresholds::default().rsi;
        Rsi { overbought, oversold, hysteresis }
    }
}

impl Default for SeverityTimes {
    fn default() -> Self {
        let SeverityLevels { medium, high, critical } = Thresholds::default().severity;
        SeverityTimes { medium, high, critical }
    }
}

impl DetectionTable {
    fn settings(&self) -> DetectionOverride {
        let DetectionTable { symbols, asset_class, enabled, price_spike, volume_spike, rsi, severity } = self;
        DetectionOverride {
            symbols: symbols.clone(),
            asset_class: *asset_class,
            enabled: *enabled,
            price_percent: price_spike.percent,
            price_bars: price_spike.bars,
            price_method: price_spike.method,
            volume_factor: volume_spike.factor,
            volume_bars: volume_spike.bars,
            volume_method: volume_spike.method,
            overbought: rsi.overbought,
            oversold: rsi.oversold,
            hysteresis: rsi.hysteresis,
            medium: severity.medium,
            high: severity.high,
            critical: severity.critical,
        }
    }
}

impl Detection {
    fn thresholds(&self) -> Thresholds {
        let Detection { enabled, price_spike, volume_spike, rsi, severity, .. } = self;
        let PriceSpike { percent, bars, method } = *price_spike;
        let price = PriceThreshold { percent, bars, method };
        let VolumeSpike { factor, bars, method } = *volume_spike;
        let volume = VolumeThreshold { factor, bars, method };
        let Rsi { overbought, oversold, hysteresis } = *rsi;
        let SeverityTimes { medium, high, critical } = *severity;
        Thresholds {
            enabled: *enabled,
            price,
            volume,
            rsi: RsiThreshold { overbought, oversold, hysteresis },
            severity: SeverityLevels { medium, high, critical },
        }
    }

    /// Returns the settings of the core; `None` where nothing is looked for in any symbol.
    #[must_use]
    pub fn settings(&self) -> Option<DetectionSettings> {
        let overrides: Vec<_> = self.overrides.iter().map(DetectionTable::settings).collect();
        let is_enabled = self.enabled || overrides.iter().any(|one| one.enabled == Some(true));
        let (width, thresholds) = (self.window, self.thresholds());
        is_enabled.then_some(DetectionSettings { width, thresholds, overrides })
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
