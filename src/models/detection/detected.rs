//! What a detector found, as a small value; and as people and stores have it, an [`Anomaly`].
//!
//! Promises: the id follows from symbol, detector, width and event time alone, so every process that reads the log names an
//! anomaly alike, and one that is withdrawn and found again is the same.

use super::settings::{Method, SeverityLevels};
use crate::models::anomaly::{Anomaly, AnomalyState, REVISION, RULE, Severity};
use crate::models::entry::{Position, TradeId};
use crate::models::rules::RuleName;
use crate::models::symbol::{SymbolId, SymbolSpec};
use crate::models::time::{Nanos, Width};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::cmp::Ordering;

/// Which detector found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AnomalyKind {
    /// A trade far above the baseline of closes.
    PriceAbove,
    /// A trade far below it.
    PriceBelow,
    /// A bar far above the baseline of volumes.
    Volume,
    /// The RSI above its upper threshold.
    Overbought,
    /// The RSI below its lower threshold.
    Oversold,
    /// A rule of the user's own, by its name.
    Rule(RuleName),
}

impl AnomalyKind {
    /// All kinds but those of rules.
    pub const ALL: [AnomalyKind; 5] = [
        AnomalyKind::PriceAbove,
        AnomalyKind::PriceBelow,
        AnomalyKind::Volume,
        AnomalyKind::Overbought,
        AnomalyKind::Oversold,
    ];

    /// Returns the type that answers and tables use.
    #[must_use]
    pub const fn anomaly_type(self) -> &'static str {
        match self {
            AnomalyKind::PriceAbove | AnomalyKind::PriceBelow => "price_spike",
            AnomalyKind::Volume => "volume_spike",
            AnomalyKind::Overbought => "rsi_overbought",
            AnomalyKind::Oversold => "rsi_oversold",
            AnomalyKind::Rule(_) => RULE,
        }
    }

    /// Returns the word in an id, where a trade above and one below at one moment must not be the same.
    const fn id_word(self) -> &'static str {
        match self {
            AnomalyKind::PriceAbove => "price_spike_up",
            AnomalyKind::PriceBelow => "price_spike_down",
            AnomalyKind::Volume | AnomalyKind::Overbought | AnomalyKind::Oversold | AnomalyKind::Rule(_) => {
                self.anomaly_type()
            }
        }
    }

    /// Returns the name of the rule.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        match self {
            AnomalyKind::Rule(name) => Some(name),
            _ => None,
        }
    }
}

/// The bar or the trade that showed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The entry with which it showed.
    pub pos: Position,
    /// The bar's revision; 0 of a trade.
    pub revision: u32,
    /// The trade's id; `None` of a bar.
    pub trade: Option<TradeId>,
}

/// What was found, and by what it was judged. Prices and volumes are in the symbol's scales.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Which detector.
    pub kind: AnomalyKind,
    /// Event time: of the trade, or the end of the bar's window.
    pub time: Nanos,
    /// Start of the window of the bar, or of the smallest one around the trade.
    pub start: Nanos,
    /// The value.
    pub value: f64,
    /// The baseline.
    pub expected: f64,
    /// How far from the baseline is unusual: per cent of it, times it, or a value of the RSI.
    pub threshold: f64,
    /// By how far over.
    pub severity: Severity,
    /// Bars in the baseline; 0 of the RSI.
    pub bars: u16,
    /// How the baseline was made.
    pub method: Method,
    /// What showed it.
    pub cause: Cause,
}

impl Finding {
    /// Makes that of a rule: with both sides of what it compares, and event time and start of the window. They are in units
    /// that people use.
    #[must_use]
    pub const fn of_rule(
        name: RuleName,
        severity: Severity,
        (value, threshold): (f64, f64),
        (time, start): (Nanos, Nanos),
        cause: Cause,
    ) -> Finding {
        let (kind, method) = (AnomalyKind::Rule(name), Method::Mean);
        Finding { kind, time, start, value, expected: 0.0, threshold, severity, bars: 0, method, cause }
    }

    /// True when the other says the same to whoever reads it; which revision showed it first does not matter.
    #[must_use]
    pub fn says_the_same(&self, other: &Finding) -> bool {
        Finding { cause: other.cause, ..*self } == *other
    }
}

/// An anomaly that was found, changed, ended or was withdrawn: one effect.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detected {
    /// The symbol.
    pub symbol: SymbolId,
    /// Width of the bars that are judged.
    pub width: Width,
    /// What was found.
    pub finding: Finding,
    /// What has become of it.
    pub state: AnomalyState,
    /// How often it was published before.
    pub revision: u32,
    /// Counts what is published of the symbol's anomalies: the `seq` of topic `anomalies`.
    pub seq: u64,
    /// The last entry that changed it.
    pub log_pos: Position,
}

impl Detected {
    /// True for the first that is said of it.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        self.revision == 0
    }

    /// Returns the id in the history, topics and alerts.
    #[must_use]
    pub fn id(&self, spec: &SymbolSpec) -> String {
        let Finding { kind, time, .. } = self.finding;
        let (symbol, word, width) = (&spec.name, kind.id_word(), self.width);
        match kind.rule() {
            Some(name) => format!("{symbol}/{word}/{name}/{width}/{}", time.0),
            None => format!("{symbol}/{word}/{width}/{}", time.0),
        }
    }

    /// Returns the value and the baseline as people know them; a rule has no baseline.
    #[must_use]
    pub fn values(&self, spec: &SymbolSpec) -> (f64, Option<f64>) {
        let Finding { kind, value, expected, .. } = self.finding;
        let factor = match kind {
            AnomalyKind::PriceAbove | AnomalyKind::PriceBelow => spec.price_scale.factor(),
            AnomalyKind::Volume => spec.size_scale.factor(),
            AnomalyKind::Overbought | AnomalyKind::Oversold => 1,
            AnomalyKind::Rule(_) => return (value, None),
        };
        (value / factor as f64, Some(expected / factor as f64))
    }

    fn description(&self) -> String {
        let Finding { kind, value, expected, threshold, bars, method, .. } = self.finding;
        let method = method.as_str();
        match kind {
            AnomalyKind::PriceAbove | AnomalyKind::PriceBelow => {
                let side = if kind == AnomalyKind::PriceAbove { "above" } else { "below" };
                let percent = (value - expected).abs() / expected * 100.0;
                format!("{percent:.1} % {side} the {method} of {bars} closes")
            }
            AnomalyKind::Volume => {
                format!("{:.1} times the {method} volume of {bars} bars", value / expected)
            }
            AnomalyKind::Overbought => format!("RSI {value:.1} is above {threshold}"),
            AnomalyKind::Oversold => format!("RSI {value:.1} is below {threshold}"),
            AnomalyKind::Rule(name) => {
                let is = match value.partial_cmp(&threshold) {
                    Some(Ordering::Less) => "below",
                    Some(Ordering::Greater) => "above",
                    _ => "at",
                };
                format!("rule {name}: {} is {is} {}", shown(value), shown(threshold))
            }
        }
    }

    /// Returns it as stores keep it and answers show it.
    #[must_use]
    pub fn anomaly(&self, spec: &SymbolSpec) -> Anomaly {
        let Finding { kind, time, start, threshold, severity, bars, method, cause, .. } = self.finding;
        let (value, expected) = self.values(spec);
        let mut metadata = Map::new();
        let mut put = |name: &str, value: Value| _ = metadata.insert(name.to_owned(), value);
        put("window", json!(self.width.to_string()));
        put("window_start", json!(start.to_rfc3339()));
        // As text: a number of more than 53 bits is another one in most readers of JSON.
        put("log_pos", json!(cause.pos.to_string()));
        match cause.trade {
            Some(trade) if trade.is_quote() => {}
            Some(trade) => put("trade_id", json!(trade.to_text())),
            None => put("bar_revision", json!(cause.revision)),
        }
        if let Some(name) = kind.rule() {
            put(RULE, json!(name));
        }
        if bars > 0 {
            put("bars", json!(bars));
            put("method", json!(method.as_str()));
        }
        put(REVISION, json!(self.revision));
        Anomaly {
            id: self.id(spec),
            time,
            symbol: spec.name.clone(),
            anomaly_type: kind.anomaly_type().to_owned(),
            severity,
            description: self.description(),
            current_value: Some(value),
            expected_value: expected,
            threshold: Some(threshold),
            metadata,
            state: self.state,
            log_pos: self.log_pos,
        }
    }
}

/// Shows a number of a rule with at most six decimals, which are more than a description needs.
fn shown(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Returns how severe a value is that is so many times as far off as the threshold.
#[must_use]
pub fn severity(times: f64, levels: &SeverityLevels) -> Severity {
    match times {
        _ if times >= levels.critical => Severity::Critical,
        _ if times >= levels.high => Severity::High,
        _ if times >= levels.medium => Severity::Medium,
        _ => Severity::Low,
    }
}
