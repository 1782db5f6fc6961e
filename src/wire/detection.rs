//! What is looked for, as REST gives and takes it.
//!
//! Promises: the keys are those of the section `detection` of the configuration; the types here describe them, and the settings
//! themselves are written and read by their own rules.

use super::message::Digits;
use super::time::Time;
use crate::models::detection::settings::{
    DetectionSettings, PriceThreshold, RsiThreshold, SeverityLevels, Thresholds, VolumeThreshold,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which trades are price spikes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceKeys {
    /// How far off the baseline, in per cent of it.
    #[schema(example = 5.0, exclusive_minimum = 0)]
    pub percent: Option<f64>,
    /// Closed bars whose closes make the baseline.
    #[schema(example = 20, minimum = 2, maximum = 200)]
    pub bars: Option<u64>,
    /// How they do: `mean` or `median`.
    #[schema(example = "mean", pattern = "^(mean|median)$")]
    pub method: Option<String>,
}

/// Which bars are volume spikes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VolumeKeys {
    /// How many times the baseline.
    #[schema(example = 3.0, exclusive_minimum = 0)]
    pub factor: Option<f64>,
    /// Bars before whose volumes make the baseline.
    #[schema(example = 20, minimum = 2, maximum = 200)]
    pub bars: Option<u64>,
    /// How they do: `mean` or `median`.
    #[schema(example = "mean", pattern = "^(mean|median)$")]
    pub method: Option<String>,
}

/// Which values of the RSI are unusual.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RsiKeys {
    /// Above this it is overbought.
    #[schema(example = 70.0, exclusive_minimum = 50, exclusive_maximum = 100)]
    pub overbought: Option<f64>,
    /// Below this it is oversold.
    #[schema(example = 30.0, exclusive_minimum = 0, exclusive_maximum = 50)]
    pub oversold: Option<f64>,
    /// How far it must come back for the excursion to be over.
    #[schema(example = 2.0, minimum = 0, maximum = 20)]
    pub hysteresis: Option<f64>,
}

/// From how many times its threshold on an anomaly is how severe; each at least as much as the one before.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeverityKeys {
    /// `medium`.
    #[schema(example = 1.5, minimum = 1)]
    pub medium: Option<f64>,
    /// `high`.
    #[schema(example = 2.0, minimum = 1)]
    pub high: Option<f64>,
    /// `critical`.
    #[schema(example = 3.0, minimum = 1)]
    pub critical: Option<f64>,
}

/// What holds for some symbols; what it leaves out stays. It names symbols, a class, or both.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OverrideKeys {
    /// Symbols that it is about.
    #[schema(example = json!(["AAPL"]))]
    pub symbols: Option<Vec<String>>,
    /// Class of instruments that it is about.
    #[schema(example = "crypto", pattern = "^(equity|pair|crypto|future|unknown)$")]
    pub asset_class: Option<String>,
    /// Whether anything is looked for.
    pub enabled: Option<bool>,
    /// Price spikes.
    pub price_spike: Option<PriceKeys>,
    /// Volume spikes.
    pub volume_spike: Option<VolumeKeys>,
    /// The RSI.
    pub rsi: Option<RsiKeys>,
    /// Severities.
    pub severity: Option<SeverityKeys>,
}

/// A change of detection, with the keys of the configuration: what is left out stays, and `null` goes back to the configuration.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DetectionKeys {
    /// Whether anomalies are looked for.
    pub enabled: Option<bool>,
    /// The window whose bars are judged. With another one detectors begin anew.
    #[schema(example = "1min")]
    pub window: Option<String>,
    /// Trades far off the closes of the bars before.
    pub price_spike: Option<PriceKeys>,
    /// Bars of far more volume than the bars before.
    pub volume_spike: Option<VolumeKeys>,
    /// The RSI beyond its thresholds.
    pub rsi: Option<RsiKeys>,
    /// From how many times its threshold on an anomaly is how severe.
    pub severity: Option<SeverityKeys>,
    /// What holds for some symbols, the later one over the earlier. The list is one value: a change gives all of it.
    pub overrides: Option<Vec<OverrideKeys>>,
}

/// Settings of detection, with the keys of the configuration, and the rules.
#[derive(Deserialize, ToSchema)]
pub struct DetectionSettingsObject {
    /// Whether anomalies are looked for.
    pub enabled: bool,
    /// The window whose bars are judged.
    #[schema(example = "1min")]
    pub window: String,
    /// Trades far off the closes of the bars before.
    pub price_spike: PriceKeys,
    /// Bars of far more volume than the bars before.
    pub volume_spike: VolumeKeys,
    /// The RSI beyond its thresholds.
    pub rsi: RsiKeys,
    /// From how many times its threshold on an anomaly is how severe.
    pub severity: SeverityKeys,
    /// What holds for some symbols, the later one over the earlier.
    pub overrides: Vec<OverrideKeys>,
    /// Rules, which are made and deleted at `rules`.
    pub rules: Vec<RuleKeys>,
}

/// A rule of the user's own.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleKeys {
    /// Its name, unlike those of all others.
    #[schema(example = "oversold", max_length = 40, pattern = "^[A-Za-z0-9._-]{1,40}$")]
    pub name: String,
    /// When it holds.
    #[schema(example = "rsi_14 < 25 on 5min", max_length = 1000)]
    pub when: String,
    /// The window whose bars are judged, where `when` says none.
    #[schema(example = "5min", max_length = 16)]
    pub window: Option<String>,
    /// Symbols that it is about; all where there are none.
    #[schema(example = json!(["AAPL"]), max_items = 1000)]
    pub symbols: Option<Vec<String>>,
    /// How long it must hold before it fires, by default `0s`.
    #[serde(rename = "for")]
    #[schema(example = "0s", pattern = "^[0-9]{1,4}(ns|us|ms|s|sec|m|min)$")]
    pub holds_for: Option<String>,
    /// When it is judged, by default `bar_close`.
    #[schema(example = "bar_close", pattern = "^(tick|bar|bar_close)$")]
    pub fire: Option<String>,
    /// How severe its anomalies are, by default `medium`.
    #[schema(example = "medium", pattern = "^(low|medium|high|critical)$")]
    pub severity: Option<String>,
    /// Where it comes from: `config` or `api`. A request leaves it out.
    #[schema(example = "api", pattern = "^(config|api)$", read_only)]
    pub origin: Option<String>,
}

/// What holds for one symbol.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SymbolDetection {
    /// The symbol.
    #[schema(example = "AAPL")]
    pub symbol: String,
    /// Whether anything is looked for.
    pub enabled: bool,
    /// Price spikes.
    #[schema(value_type = PriceKeys)]
    pub price_spike: PriceThreshold,
    /// Volume spikes.
    #[schema(value_type = VolumeKeys)]
    pub volume_spike: VolumeThreshold,
    /// The RSI.
    #[schema(value_type = RsiKeys)]
    pub rsi: RsiThreshold,
    /// Severities.
    #[schema(value_type = SeverityKeys)]
    pub severity: SeverityLevels,
    /// Names of the rules that are about it.
    #[schema(example = json!(["oversold"]))]
    pub rules: Vec<String>,
}

impl SymbolDetection {
    /// Makes the object of what holds for a symbol.
    #[must_use]
    pub fn new(symbol: String, holds: Thresholds, rules: Vec<String>) -> SymbolDetection {
        let Thresholds { enabled, price, volume, rsi, severity } = holds;
        SymbolDetection { symbol, enabled, price_spike: price, volume_spike: volume, rsi, severity, rules }
    }
}

/// What is looked for, from which position of the log on, and where that came from.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DetectionObject {
    /// Where it came from: `config`, or `api` where the API has changed something.
    #[schema(example = "config")]
    pub by: &'static str,
    /// It holds for what comes behind this position of the log; none where the log does not say it.
    #[schema(value_type = Option<String>, pattern = "^[0-9]+$", example = "1")]
    pub log_pos: Option<Digits>,
    /// When it was stated.
    #[schema(value_type = Option<String>, format = DateTime, example = "2023-09-05T17:00:00Z")]
    pub since: Option<Time>,
    /// What is looked for.
    #[schema(value_type = DetectionSettingsObject)]
    pub settings: DetectionSettings,
    /// What the configuration says.
    #[schema(value_type = DetectionSettingsObject)]
    pub config: DetectionSettings,
    /// What holds for the symbol that was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symbol: Option<SymbolDetection>,
}
