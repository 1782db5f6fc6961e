//! What counts as unusual, by symbol and class of instrument.
//!
//! Promises: plain values, checked once by [`Thresholds::faults`]; an override changes what it names and nothing
//! else, and of several for one symbol the later one wins.

use crate::models::asset_class::AssetClass;
use crate::models::rules::RuleSet;
use crate::models::symbol::SymbolSpec;
use crate::models::time::{MINUTE, Width};
use serde::{Deserialize, Serialize};

/// Bars that a baseline may take in: they are kept for each symbol.
pub const BARS_MAX: usize = 200;

/// What a baseline is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The mean.
    #[default]
    Mean,
    /// The median; what is usually far from it, by the median distance, is not unusual.
    Median,
}

impl Method {
    /// Returns the word that the configuration and answers use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Method::Mean => "mean",
            Method::Median => "median",
        }
    }
}

/// Makes the settings of a detector, with their defaults, and beside them what an override changes: each may be left out.
macro_rules! settings_and_change {
    (
        $(#[$doc:meta])*
        $settings:ident / $change:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty = $default:expr,)+ }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $settings {
            $($(#[$field_doc])* pub $field: $kind,)+
        }

        impl Default for $settings {
            fn default() -> Self {
                $settings { $($field: $default,)+ }
            }
        }

        #[doc = concat!("What an override changes of [`", stringify!($settings), "`]; what is `None` stays.")]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $change {
            $($(#[$field_doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$kind>,)+
        }

        impl $change {
            fn over(&self, before: $settings) -> $settings {
                $settings { $($field: self.$field.unwrap_or(before.$field),)+ }
            }
        }
    };
}

settings_and_change! {
    /// Which trades are price spikes.
    PriceThreshold / PriceChange {
        /// How far off the baseline, in per cent of it.
        percent: f64 = 5.0,
        /// Closed bars whose closes make the baseline.
        bars: usize = 20,
        /// How they do.
        method: Method = Method::Mean,
    }
}

settings_and_change! {
    /// Which bars are volume spikes.
    VolumeThreshold / VolumeChange {
        /// How many times the baseline.
        factor: f64 = 3.0,
        /// Bars before whose volumes make the baseline.
        bars: usize = 20,
        /// How they do.
        method: Method = Method::Mean,
    }
}

settings_and_change! {
    /// Which values of the RSI are unusual.
    RsiThreshold / RsiChange {
        /// Above this it is overbought.
        overbought: f64 = 70.0,
        /// Below this it is oversold.
        oversold: f64 = 30.0,
        /// How far it must come back for the excursion to be over.
        hysteresis: f64 = 2.0,
    }
}

settings_and_change! {
    /// From how many times the threshold on an anomaly is how severe.
    SeverityLevels / SeverityChange {
        /// `medium`.
        medium: f64 = 1.5,
        /// `high`.
        high: f64 = 2.0,
        /// `critical`.
        critical: f64 = 3.0,
    }
}

/// What is unusual about one symbol.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// Whether anything is looked for.
    pub enabled: bool,
    /// Price spikes.
    pub price: PriceThreshold,
    /// Volume spikes.
    pub volume: VolumeThreshold,
    /// The RSI.
    pub rsi: RsiThreshold,
    /// Severities.
    pub severity: SeverityLevels,
}

impl Default for Thresholds {
    fn default() -> Self {
        Thresholds {
            enabled: true,
            price: PriceThreshold::default(),
            volume: VolumeThreshold::default(),
            rsi: RsiThreshold::default(),
            severity: SeverityLevels::default(),
        }
    }
}

impl Thresholds {
    /// Returns the bars that the longer of both baselines takes.
    #[must_use]
    pub fn bars(&self) -> usize {
        self.price.bars.max(self.volume.bars)
    }

    /// Returns every fault: the key below `detection`, and what is wrong.
    #[must_use]
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        for (key, value) in
            [("price_spike.percent", self.price.percent), ("volume_spike.factor", self.volume.factor)]
        {
            if !value.is_finite() || value <= 0.0 {
                faults.push((key, format!("{value} is not above 0")));
            }
        }
        for (key, value, least) in [
            ("severity.medium", self.severity.medium, 1.0),
            ("severity.high", self.severity.high, self.severity.medium),
            ("severity.critical", self.severity.critical, self.severity.high),
        ] {
            if !value.is_finite() || value < least {
                faults.push((key, format!("{value} is not {least} or more")));
            }
        }
        for (key, bars) in [("price_spike.bars", self.price.bars), ("volume_spike.bars", self.volume.bars)] {
            if !(2..=BARS_MAX).contains(&bars) {
                faults.push((key, format!("{bars} is not from 2 to {BARS_MAX}")));
            }
        }
        let RsiThreshold { overbought, oversold, hysteresis } = self.rsi;
        for (key, value, low, high) in
            [("rsi.overbought", overbought, 50.0, 100.0), ("rsi.oversold", oversold, 0.0, 50.0)]
        {
            if !(value > low && value < high) {
                faults.push((key, format!("{value} is not above {low} and below {high}")));
            }
        }
        if !(0.0..=20.0).contains(&hysteresis) {
            faults.push(("rsi.hysteresis", format!("{hysteresis} is not from 0 to 20")));
        }
        faults
    }
}

/// What an override changes; what is `None` stays. Written with the keys of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DetectionOverride {
    /// The symbols it speaks of, in their one spelling.
    pub symbols: Vec<String>,
    /// The class of instruments it speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asset_class: Option<AssetClass>,
    /// Whether anything is looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Price spikes.
    #[serde(rename = "price_spike")]
    pub price: PriceChange,
    /// Volume spikes.
    #[serde(rename = "volume_spike")]
    pub volume: VolumeChange,
    /// The RSI.
    pub rsi: RsiChange,
    /// Severities.
    pub severity: SeverityChange,
}

impl DetectionOverride {
    fn speaks_of(&self, spec: &SymbolSpec) -> bool {
        self.symbols.contains(&spec.name) || self.asset_class == Some(spec.asset_class)
    }

    /// Returns what it makes of the thresholds.
    #[must_use]
    pub fn over(&self, before: &Thresholds) -> Thresholds {
        Thresholds {
            enabled: self.enabled.unwrap_or(before.enabled),
            price: self.price.over(before.price),
            volume: self.volume.over(before.volume),
            rsi: self.rsi.over(before.rsi),
            severity: self.severity.over(before.severity),
        }
    }
}

/// What is looked for in all symbols.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectionSettings {
    /// Width of the bars that are judged; where there are no such windows, that is the smallest width.
    pub width: Width,
    /// What holds where no override says otherwise.
    pub thresholds: Thresholds,
    /// What holds for some symbols, the later one over the earlier.
    pub overrides: Vec<DetectionOverride>,
    /// Rules of the user's own.
    pub rules: RuleSet,
}

impl Default for DetectionSettings {
    fn default() -> Self {
        let width = Width::new(MINUTE).expect("a minute divides a day");
        DetectionSettings {
            width,
            thresholds: Thresholds::default(),
            overrides: Vec::new(),
            rules: RuleSet::default(),
        }
    }
}

impl DetectionSettings {
    /// Returns what holds for a symbol.
    #[must_use]
    pub fn of(&self, spec: &SymbolSpec) -> Thresholds {
        let spoken = self.overrides.iter().filter(|one| one.speaks_of(spec));
        spoken.fold(self.thresholds, |before, one| one.over(&before))
    }

    /// Returns the place of the judged width among the widths of the windows.
    #[must_use]
    pub fn track(&self, widths: &[Width]) -> usize {
        widths.iter().position(|width| *width == self.width).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_override_wins_and_changes_what_it_names() {
        let equities = DetectionOverride {
            asset_class: Some(AssetClass::Equity),
            price: PriceChange { percent: Some(2.0), ..PriceChange::default() },
            volume: VolumeChange { factor: Some(9.0), ..VolumeChange::default() },
            ..DetectionOverride::default()
        };
        let one = DetectionOverride {
            symbols: vec!["A".to_owned()],
            price: PriceChange { percent: Some(7.0), ..PriceChange::default() },
            enabled: Some(false),
            ..DetectionOverride::default()
        };
        let settings = DetectionSettings { overrides: vec![equities, one], ..DetectionSettings::default() };
        let spec = |name, asset_class| SymbolSpec { asset_class, ..SymbolSpec::named(name) };
        let of = |name, class| {
            let found = settings.of(&spec(name, class));
            (found.enabled, found.price.percent, found.volume.factor)
        };
        assert_eq!(of("A", AssetClass::Equity), (false, 7.0, 9.0));
        assert_eq!(of("B", AssetClass::Equity), (true, 2.0, 9.0));
        assert_eq!(of("A", AssetClass::Pair), (false, 7.0, 3.0));
        assert_eq!(of("B", AssetClass::Pair), (true, 5.0, 3.0));
    }

    #[test]
    fn faults_are_all_named() {
        let good = Thresholds::default();
        assert_eq!(good.faults(), []);
        let bad = Thresholds {
            price: PriceThreshold { percent: f64::NAN, bars: 1, ..good.price },
            volume: VolumeThreshold { factor: -1.0, bars: 201, ..good.volume },
            rsi: RsiThreshold { overbought: 50.0, oversold: 50.0, hysteresis: -1.0 },
            severity: SeverityLevels { medium: 3.0, high: 2.0, critical: 1.0 },
            ..good
        };
        let keys: Vec<&str> = bad.faults().into_iter().map(|(key, _)| key).collect();
        let expected = [
            "price_spike.percent",
            "volume_spike.factor",
            "severity.high",
            "severity.critical",
            "price_spike.bars",
            "volume_spike.bars",
            "rsi.overbought",
            "rsi.oversold",
            "rsi.hysteresis",
        ];
        assert_eq!(keys, expected);
    }

    #[test]
    fn a_minute_is_judged_where_there_is_one_and_else_the_smallest_width() {
        let widths = |names: &[&str]| -> Vec<Width> {
            names.iter().map(|name| Width::parse(name).expect("a width")).collect()
        };
        let by_default = DetectionSettings::default();
        assert_eq!(by_default.track(&widths(&["1s", "1min", "5min"])), 1);
        assert_eq!(by_default.track(&widths(&["5s", "5min"])), 0);
        let width = Width::parse("5min").expect("a width");
        let set = DetectionSettings { width, ..by_default };
        assert_eq!(set.track(&widths(&["1min", "5min"])), 1);
    }
}
