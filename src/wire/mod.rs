//! The one JSON form of ticks, bars and indicators, both ways: REST, live feed, dead letters, topics and caches; and that of
//! anomalies, predictions and alerts, for REST.
//!
//! Promises: names and order of the fields are the contract's; times are RFC 3339 UTC; a price or a size is the `f64`
//! nearest to the exact value, written in the shortest form that reads back as it ([`to_json`] also drops `.0`). Every
//! object is one flat row, so that it is a line of CSV as well, and has a default, so that a list without rows still
//! has its header. What was written here is read back to the same value, as long as a price or a volume has no more
//! than 15 digits; fields that are unknown are skipped. On failure, reading says which field is at fault. [`columns`] is
//! the other form: exact, for files.

mod bar;
pub mod columns;
mod detection;
mod filled_bar;
mod indicators;
mod json;
mod latest;
mod message;
mod number;
mod past;
mod signals;
mod tick;
mod time;

pub use bar::BarObject;
pub use detection::{DetectionKeys, DetectionObject, DetectionSettingsObject, RuleKeys, SymbolDetection};
pub use filled_bar::FilledBarObject;
pub use indicators::IndicatorsObject;
pub use json::{append_json, to_json};
pub use latest::{LatestObject, tick_type};
pub use message::{
    AnomalyMessage, BarMessage, DeadLetterMessage, Digits, IndicatorsMessage, MESSAGE_VERSION,
    PredictionMessage, TickMessage,
};
pub use number::{WireError, exact, nearest};
pub use past::PastObject;
pub use signals::{AlertObject, AnomalyObject, IncidentObject, PredictionObject, SilenceObject};
pub use tick::{TickObject, payload};
pub use time::Time;
