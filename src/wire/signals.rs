//! Anomalies, predictions, alerts, incidents and silences as JSON, with the names of the tables.
//!
//! Promises: every field of the row is there, and nothing else. Nothing here fails.

use super::time::Time;
use crate::models::alert::Alert;
use crate::models::alerts::incident::{Hold, Incident};
use crate::models::alerts::silence::Silence;
use crate::models::anomaly::Anomaly;
use crate::models::prediction::Prediction;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// One anomaly.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct AnomalyObject {
    /// Event time.
    #[schema(value_type = String, format = DateTime, example = "2023-09-05T17:01:00Z")]
    pub time: Time,
    /// The symbol.
    #[schema(example = "BTC-USD")]
    pub symbol: String,
    /// Which rule found it.
    #[schema(example = "price_spike")]
    pub anomaly_type: String,
    /// `low`, `medium`, `high` or `critical`.
    #[schema(example = "high")]
    pub severity: &'static str,
    /// What was found, for people.
    #[schema(example = "12.5 % above the mean of 20 bars")]
    pub description: String,
    /// The value that was found.
    #[schema(example = 28_928.25)]
    pub current_value: Option<f64>,
    /// What would have been usual.
    #[schema(example = 25_714)]
    pub expected_value: Option<f64>,
    /// The rule's threshold.
    #[schema(example = 5)]
    pub threshold: Option<f64>,
    /// What else the rule says of it: an object, in CSV its text.
    #[schema(value_type = Object)]
    pub metadata: Value,
    /// Names it.
    #[schema(example = "281474976710657-0")]
    pub id: String,
    /// `active`, `ended` or `withdrawn`.
    #[schema(example = "active")]
    pub state: &'static str,
}

impl AnomalyObject {
    /// Makes the object of an anomaly. Where every field must be flat, as in CSV, its metadata are text.
    #[must_use]
    pub fn new(anomaly: Anomaly, is_flat: bool) -> AnomalyObject {
        let metadata = anomaly.metadata;
        AnomalyObject {
            time: Time(anomaly.time),
            symbol: anomaly.symbol,
            anomaly_type: anomaly.anomaly_type,
            severity: anomaly.severity.as_str(),
            description: anomaly.description,
            current_value: anomaly.current_value,
            expected_value: anomaly.expected_value,
            threshold: anomaly.threshold,
            metadata: if is_flat { text_of(metadata) } else { Value::Object(metadata) },
            id: anomaly.id,
            state: anomaly.state.as_str(),
        }
    }
}

/// Returns an object as the text of its JSON; one without fields is empty.
fn text_of(metadata: Map<String, Value>) -> Value {
    Value::String(if metadata.is_empty() { String::new() } else { Value::Object(metadata).to_string() })
}

/// One prediction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct PredictionObject {
    /// End of the bar whose close is predicted.
    #[schema(value_type = String, format = DateTime, example = "2023-09-05T17:01:00Z")]
    pub time: Time,
    /// The symbol.
    #[schema(example = "BTC-USD")]
    pub symbol: String,
    /// Last close that was known.
    #[schema(example = 25_714.11)]
    pub current_price: f64,
    /// The close that is expected, also where the model abstained.
    #[schema(example = 25_716.5)]
    pub predicted_price: f64,
    /// How sure the model is, 0 to 1.
    #[schema(example = 0.61)]
    pub confidence: f64,
    /// How far ahead, in minutes.
    #[schema(example = 1)]
    pub time_horizon_minutes: u32,
    /// Version of the model.
    #[schema(example = "20230905T1600-1")]
    pub model_version: String,
    /// Lower end of the interval.
    #[schema(example = 25_700)]
    pub lower: Option<f64>,
    /// Upper end of the interval.
    #[schema(example = 25_733)]
    pub upper: Option<f64>,
    /// True when the model says that it knows too little to be used.
    pub abstained: bool,
    /// The close that came, once it is known.
    #[schema(example = 25_715.25)]
    pub actual_price: Option<f64>,
    /// Measured skill of the model: the share of the naive forecast's error that it saves, at most 1; negative where it
    /// is worse.
    #[schema(example = 0.08)]
    pub skill: Option<f64>,
}

impl From<Prediction> for PredictionObject {
    fn from(prediction: Prediction) -> PredictionObject {
        PredictionObject {
            time: Time(prediction.time),
            symbol: prediction.symbol,
            current_price: prediction.current_price,
            predicted_price: prediction.predicted_price,
            confidence: prediction.confidence,
            time_horizon_minutes: prediction.horizon_minutes,
            model_version: prediction.model_version,
            lower: prediction.lower,
            upper: prediction.upper,
            abstained: prediction.abstained,
            actual_price: prediction.actual_price,
            skill: prediction.skill,
        }
    }
}

/// One alert.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct AlertObject {
    /// Names it.
    #[schema(example = "281474976710657-0-slack")]
    pub id: String,
    /// Time of the decision.
    #[schema(value_type = String, format = DateTime, example = "2023-09-05T17:01:00.25Z")]
    pub time: Time,
    /// The symbol.
    #[schema(example = "BTC-USD")]
    pub symbol: String,
    /// Type of the anomaly.
    #[schema(example = "price_spike")]
    pub anomaly_type: String,
    /// `low`, `medium`, `high` or `critical`.
    #[schema(example = "high")]
    pub severity: &'static str,
    /// Name of the channel.
    #[schema(example = "slack")]
    pub channel: String,
    /// `sent`, `held`, `failed` or `retrying`.
    #[schema(example = "sent")]
    pub status: &'static str,
    /// Why it stands there; empty for one that was sent.
    #[schema(example = "cooldown")]
    pub reason: String,
    /// Attempts made.
    #[schema(example = 1)]
    pub attempts: u32,
    /// Id of the anomaly.
    #[schema(example = "281474976710657-0")]
    pub anomaly_id: String,
}

impl From<Alert> for AlertObject {
    fn from(alert: Alert) -> AlertObject {
        AlertObject {
            id: alert.id,
            time: Time(alert.time),
            symbol: alert.symbol,
            anomaly_type: alert.anomaly_type,
            severity: alert.severity.as_str(),
            channel: alert.channel,
            status: alert.status.as_str(),
            reason: alert.reason,
            attempts: alert.attempts,
            anomaly_id: alert.anomaly_id,
        }
    }
}

/// One incident: an anomaly as people are told of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct IncidentObject {
    /// Names it: the id of the anomaly.
    #[schema(example = "BTC-USD/price_spike/1min/1693933260000000000")]
    pub id: String,
    /// Event time.
    #[schema(value_type = String, format = DateTime, example = "2023-09-05T17:01:00Z")]
    pub time: Time,
    /// The symbol.
    #[schema(example = "BTC-USD")]
    pub symbol: String,
    /// Type of the anomaly.
    #[schema(example = "price_spike")]
    pub anomaly_type: String,
    /// `low`, `medium`, `high` or `critical`.
    #[schema(example = "high")]
    pub severity: &'static str,
    /// `open`, `acknowledged`, `no_data`, `resolved`, `withdrawn` or `expired`.
    #[schema(example = "open")]
    pub state: &'static str,
    /// When that changed last.
    #[schema(value_type = String, format = DateTime, example = "2023-09-05T17:01:05.25Z")]
    pub changed: Time,
    /// What was found, for people.
    #[schema(example = "12.5 % above the mean of 20 bars")]
    pub description: String,
    /// The value that was found.
    #[schema(example = 28_928.25)]
    pub current_value: Option<f64>,
    /// What would have been usual.
    #[schema(example = 25_714)]
    pub expected_value: Option<f64>,
    /// The rule's threshold.
    #[schema(example = 5)]
    pub threshold: Option<f64>,
    /// The channels that were told of it, with blanks between.
    #[schema(example = "email slack")]
    pub told: String,
    /// Why it was not told of: a word as the reasons of alerts begin with; `null` where it was, or is about to be.
    #[schema(example = "cooldown")]
    pub held: Option<&'static str>,
    /// Who sees to it, as they said.
    #[schema(example = "ann")]
    pub acknowledged_by: Option<String>,
}

impl From<Incident> for IncidentObject {
    fn from(incident: Incident) -> IncidentObject {
        IncidentObject {
            time: Time(incident.time),
            changed: Time(incident.changed),
            severity: incident.severity.as_str(),
            state: incident.state.as_str(),
            told: incident.told.union(&incident.over).cloned().collect::<Vec<String>>().join(" "),
            held: incident.hold.map(Hold::as_str),
            id: incident.id,
            symbol: incident.symbol,
            anomaly_type: incident.anomaly_type,
            description: incident.description,
            current_value: incident.current_value,
            expected_value: incident.expected_value,
            threshold: incident.threshold,
            acknowledged_by: incident.acknowledged_by,
        }
    }
}

/// One silence: what nobody wants to be told of for a while.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct SilenceObject {
    /// Names it.
    #[schema(example = "s-18c2a9f0b1d4e7a3")]
    pub id: String,
    /// Begins to count then.
    #[schema(value_type = String, format = DateTime, example = "2023-09-05T17:00:00Z")]
    pub start: Time,
    /// Counts no more from then on.
    #[schema(value_type = String, format = DateTime, example = "2023-09-05T19:00:00Z")]
    pub end: Time,
    /// Symbols that it is about, `*` at an end standing for any rest; all where there are none.
    #[schema(example = json!(["BTC-*"]))]
    pub symbols: Vec<String>,
    /// Types that it is about; all where there are none.
    #[schema(example = json!(["price_spike"]))]
    pub types: Vec<String>,
    /// Highest severity that it is about.
    #[schema(example = "high")]
    pub max_severity: &'static str,
    /// Why, for people.
    #[schema(example = "earnings")]
    pub comment: String,
    /// Who made it, as they said.
    #[schema(example = "ann")]
    pub created_by: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime, example = "2023-09-05T17:00:00Z")]
    pub created: Time,
}

impl From<Silence> for SilenceObject {
    fn from(silence: Silence) -> SilenceObject {
        SilenceObject {
            id: silence.id,
            start: Time(silence.start),
            end: Time(silence.end),
            symbols: silence.symbols,
            types: silence.types,
            max_severity: silence.max_severity.as_str(),
            comment: silence.comment,
            created_by: silence.created_by,
            created: Time(silence.created),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::to_json;
    use serde_json::json;

    #[test]
    fn metadata_are_an_object_and_where_fields_must_be_flat_their_text() {
        let metadata = Map::from_iter([("bars".to_owned(), json!(20))]);
        let anomaly = Anomaly { metadata, ..Anomaly::default() };
        let field = |anomaly: &Anomaly, is_flat| {
            let json = to_json(&AnomalyObject::new(anomaly.clone(), is_flat));
            serde_json::from_slice::<Value>(&json).unwrap()["metadata"].clone()
        };
        assert_eq!(field(&anomaly, false), json!({"bars": 20}));
        assert_eq!(field(&anomaly, true), json!("{\"bars\":20}"));
        let plain = Anomaly::default();
        assert_eq!((field(&plain, false), field(&plain, true)), (json!({}), json!("")));
    }
}
