//! Values of the topics that other programs read: the objects of REST with the version of their form and their place in the
//! log.
//!
//! Promises: names of the fields are the contract's; `v` comes first, and a reader skips fields that it does not know.
//! `log_pos` and `ts_ns` are text, since a number of JSON is not exact beyond 2^53 for every reader. Of two messages that
//! speak of the same thing the one with the higher `log_pos` is the later truth. Writing allocates no more than the names
//! and ids of a report need. Nothing here fails.

use super::bar::BarObject;
use super::indicators::IndicatorsObject;
use super::number::nearest;
use super::signals::{AnomalyObject, PredictionObject};
use super::time::Time;
use crate::models::anomaly::Anomaly;
use crate::models::bar::Bar;
use crate::models::effect::IndicatorPoint;
use crate::models::entry::{Body, Cancel, Correction, Entry, Position, Quote, Trade};
use crate::models::prediction::Prediction;
use crate::models::symbol::SymbolSpec;
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use utoipa::ToSchema;

/// Version of the form. It changes where a reader of the one before would take a value wrongly.
pub const MESSAGE_VERSION: u8 = 1;

/// A whole number as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digits(pub i128);

impl Serialize for Digits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl From<Position> for Digits {
    fn from(position: Position) -> Digits {
        Digits(position.into())
    }
}

/// A report: a trade, a correction or a cancel; a quote where quotes make the bars.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TickMessage<'a> {
    /// Version of this form.
    #[schema(example = 1)]
    pub v: u8,
    /// The symbol in its one spelling; the message's key.
    #[schema(value_type = String, example = "BTC-USD")]
    pub symbol: &'a str,
    /// Price of the trade; the middle of a quote that has both sides; 0 of a cancel, which has none.
    #[schema(example = 25714.11)]
    pub price: f64,
    /// Size of the trade; 0 of what is none.
    #[schema(example = 0.25)]
    pub volume: f64,
    /// Event time.
    #[schema(value_type = String, format = DateTime, example = "2023-09-05T17:00:00.123Z")]
    pub timestamp: Time,
    /// Event time in nanoseconds since 1970, exact.
    #[schema(value_type = String, pattern = "^-?[0-9]+$", example = "1693933200123000000")]
    pub ts_ns: Digits,
    /// `trade`, `quote`, `cancel` or `correction`.
    #[schema(value_type = String, example = "trade")]
    pub tick_type: &'static str,
    /// Name of its source.
    #[schema(value_type = String, example = "simulated")]
    pub provider: &'a str,
    /// The venue's id; where that is long or there is none, `#` and 32 hexadecimal digits that name the trade as well.
    #[schema(example = "1001")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trade_id: Option<String>,
    /// The venue's sequence number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// What it counts for: any of `h` high and low, `c` open and close, `v` volume and count; `-` for nothing.
    #[schema(value_type = Option<String>, example = "hcv")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updates: Option<&'static str>,
    /// The trade that a cancel or a correction refers to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ref_trade_id: Option<String>,
    /// Best bid of a quote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bid: Option<f64>,
    /// Best ask of a quote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Option<f64>,
    /// Size at the bid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bid_size: Option<f64>,
    /// Size at the ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask_size: Option<f64>,
    /// When it was received, where that is known.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received_at: Option<Time>,
    /// Its place in the log.
    #[schema(value_type = String, pattern = "^[0-9]+$", example = "1")]
    pub log_pos: Digits,
}

impl<'a> TickMessage<'a> {
    /// Makes the message of an entry; `None` for entries that are neither report nor quote.
    #[must_use]
    pub fn new(entry: &Entry, spec: &'a SymbolSpec, provider: &'a str) -> Option<TickMessage<'a>> {
        let common = TickMessage {
            v: MESSAGE_VERSION,
            symbol: &spec.name,
            price: 0.0,
            volume: 0.0,
            timestamp: Time(entry.body.time()),
            ts_ns: Digits(entry.body.time().0.into()),
            tick_type: "",
            provider,
            trade_id: None,
            seq: None,
            updates: None,
            ref_trade_id: None,
            bid: None,
            ask: None,
            bid_size: None,
            ask_size: None,
            received_at: None,
            log_pos: entry.pos.into(),
        };
        match &entry.body {
            Body::Trade(trade) => Some(common.with_trade("trade", trade, spec)),
            Body::Correction(Correction { target, trade }) => Some(TickMessage {
                ref_trade_id: Some(target.to_text()),
                ..common.with_trade("correction", trade, spec)
            }),
            Body::Cancel(Cancel { received, target, .. }) => Some(TickMessage {
                tick_type: "cancel",
                ref_trade_id: Some(target.to_text()),
                received_at: Time::known(*received),
                ..common
            }),
            Body::Quote(quote) => Some(common.with_quote(quote, spec)),
            Body::VenueBar(_)
            | Body::Gap(_)
            | Body::SourceInCharge { .. }
            | Body::Symbol { .. }
            | Body::Detection { .. }
            | Body::ClockMark { .. } => None,
        }
    }

    fn with_trade(self, tick_type: &'static str, trade: &Trade, spec: &SymbolSpec) -> TickMessage<'a> {
        TickMessage {
            price: nearest(i128::from(trade.price.0), spec.price_scale),
            volume: nearest(i128::from(trade.size.0), spec.size_scale),
            tick_type,
            trade_id: Some(trade.id.to_text()),
            seq: (trade.seq != 0).then_some(trade.seq),
            updates: Some(trade.updates.as_str()),
            received_at: Time::known(trade.received),
            ..self
        }
    }

    fn with_quote(self, quote: &Quote, spec: &SymbolSpec) -> TickMessage<'a> {
        let side = |price: i64| (price != 0).then(|| nearest(i128::from(price), spec.price_scale));
        let size = |size: i64| nearest(i128::from(size), spec.size_scale);
        let (bid, ask) = (side(quote.bid.0), side(quote.ask.0));
        let sum = i128::from(quote.bid.0) + i128::from(quote.ask.0);
        TickMessage {
            // Of a quote with one side that side is all there is of a price.
            price: match (bid, ask) {
                (Some(_), Some(_)) => nearest(sum, spec.price_scale) / 2.0,
                (one, other) => one.or(other).unwrap_or_default(),
            },
            tick_type: "quote",
            bid,
            ask,
            bid_size: bid.map(|_| size(quote.bid_size.0)),
            ask_size: ask.map(|_| size(quote.ask_size.0)),
            received_at: Time::known(quote.received),
            ..self
        }
    }
}

/// A bar from its close on, one message for each revision, or one when it is sealed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BarMessage<'a> {
    /// Version of this form.
    #[schema(example = 1)]
    pub v: u8,
    /// The bar as REST gives it.
    #[serde(flatten)]
    pub bar: BarObject<'a>,
    /// Place in the log of the last entry that changed it.
    #[schema(value_type = String, pattern = "^[0-9]+$", example = "1")]
    pub log_pos: Digits,
}

impl<'a> BarMessage<'a> {
    /// Makes the message of a bar; `window` is the name of its width.
    #[must_use]
    pub fn new(bar: &Bar, spec: &'a SymbolSpec, window: &'a str) -> BarMessage<'a> {
        let log_pos = bar.log_pos.into();
        BarMessage { v: MESSAGE_VERSION, bar: BarObject::new(bar, spec, window), log_pos }
    }
}

/// The indicators of a closed bar.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct IndicatorsMessage<'a> {
    /// Version of this form.
    #[schema(example = 1)]
    pub v: u8,
    /// The indicators as REST gives them.
    #[serde(flatten)]
    pub indicators: IndicatorsObject<'a>,
    /// Place in the log of the last entry that changed them.
    #[schema(value_type = String, pattern = "^[0-9]+$", example = "1")]
    pub log_pos: Digits,
}

impl<'a> IndicatorsMessage<'a> {
    /// Makes the message of the indicators of a window; `window` is the name of its width.
    #[must_use]
    pub fn new(point: &IndicatorPoint, spec: &'a SymbolSpec, window: &'a str) -> IndicatorsMessage<'a> {
        let indicators = IndicatorsObject::new(point, spec, window);
        IndicatorsMessage { v: MESSAGE_VERSION, indicators, log_pos: point.log_pos.into() }
    }
}

/// An anomaly, one message each time that something is known of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AnomalyMessage {
    /// Version of this form.
    #[schema(example = 1)]
    pub v: u8,
    /// The anomaly as REST gives it.
    #[serde(flatten)]
    pub anomaly: AnomalyObject,
    /// Place in the log of the last entry that changed it.
    #[schema(value_type = String, pattern = "^[0-9]+$", example = "1")]
    pub log_pos: Digits,
}

impl From<Anomaly> for AnomalyMessage {
    fn from(anomaly: Anomaly) -> AnomalyMessage {
        let log_pos = anomaly.log_pos.into();
        AnomalyMessage { v: MESSAGE_VERSION, anomaly: AnomalyObject::new(anomaly, false), log_pos }
    }
}

/// A prediction.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PredictionMessage {
    /// Version of this form.
    #[schema(example = 1)]
    pub v: u8,
    /// The prediction as REST gives it.
    #[serde(flatten)]
    pub prediction: PredictionObject,
    /// Place in the log of the last entry that it rests on.
    #[schema(value_type = String, pattern = "^[0-9]+$", example = "1")]
    pub log_pos: Digits,
}

impl PredictionMessage {
    /// Makes the message of a prediction that rests on the log up to a position.
    #[must_use]
    pub fn new(prediction: Prediction, log_pos: Position) -> PredictionMessage {
        PredictionMessage { v: MESSAGE_VERSION, prediction: prediction.into(), log_pos: log_pos.into() }
    }
}

/// What was not accepted, and why.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DeadLetterMessage<'a> {
    /// Version of this form.
    #[schema(example = 1)]
    pub v: u8,
    /// Why.
    #[schema(value_type = String, example = "late")]
    pub reason: Cow<'a, str>,
    /// The symbol, where it was readable; the message's key.
    #[schema(value_type = Option<String>, example = "BTC-USD")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symbol: Option<Cow<'a, str>>,
    /// Name of its source.
    #[schema(value_type = String, example = "simulated")]
    pub provider: Cow<'a, str>,
    /// When it was received, or its event time where nobody knows.
    #[schema(value_type = String, format = DateTime, example = "2023-09-05T17:00:00.123Z")]
    pub received_at: Time,
    /// What came: the entry as JSON, or the text as it was.
    #[schema(value_type = String)]
    pub payload: Cow<'a, str>,
    /// The topic that it stood in, where it came from one.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<Cow<'a, str>>,
    /// Its partition there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<i32>,
    /// Its offset there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<i64>,
    /// Its place in another input, such as `file:row`.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Cow<'a, str>>,
    /// Its place in the log, where it became an entry.
    #[schema(value_type = Option<String>, pattern = "^[0-9]+$", example = "1")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_pos: Option<Digits>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::entry::{SourceId, TradeId, Updates};
    use crate::models::num::{Price, Size};
    use crate::models::symbol::SymbolId;
    use crate::models::time::Nanos;
    use crate::wire::{TickObject, to_json};
    use serde_json::{Value, json};

    fn trade() -> Trade {
        Trade {
            ts: Nanos(1_700_000_000_123_456_789),
            received: Nanos(1_700_000_000_125_000_000),
            price: Price(25_714_110_000_000),
            size: Size(25_000_000),
            seq: 9,
            id: TradeId::number(77),
            source: SourceId(3),
            updates: Updates::ALL,
        }
    }

    fn message(body: Body) -> Value {
        let spec = SymbolSpec::named("BTC-USD");
        let entry = Entry { pos: u64::MAX, symbol: SymbolId(0), body };
        serde_json::from_slice(&to_json(&TickMessage::new(&entry, &spec, "coinbase").unwrap())).unwrap()
    }

    #[test]
    fn a_report_has_what_an_old_reader_needs_and_exact_numbers_as_text() {
        assert_eq!(
            message(Body::Trade(trade())),
            json!({
                "v": 1, "symbol": "BTC-USD", "price": 25_714.11, "volume": 0.25, "timestamp": "2023-11-14T22:13:20.123456Z",
                "ts_ns": "1700000000123456789", "tick_type": "trade", "provider": "coinbase", "trade_id": "77", "seq": 9,
                "updates": "hcv", "received_at": "2023-11-14T22:13:20.125Z", "log_pos": "18446744073709551615",
            })
        );
        let (ts, received, source) = (trade().ts, Nanos::MIN, SourceId(3));
        let cancel = message(Body::Cancel(Cancel { ts, received, target: TradeId::number(5), source }));
        let said = (&cancel["tick_type"], &cancel["ref_trade_id"], &cancel["price"], &cancel["volume"]);
        assert_eq!(said, (&json!("cancel"), &json!("5"), &json!(0), &json!(0)));
        assert!(cancel.get("received_at").is_none());
    }

    #[test]
    fn a_report_reads_back_as_the_tick_of_rest() {
        let spec = SymbolSpec::named("BTC-USD");
        let correction = Correction { target: TradeId::from_text(b"a-1"), trade: trade() };
        for body in [Body::Trade(trade()), Body::Correction(correction)] {
            let mut fields = message(body);
            fields.as_object_mut().unwrap().remove("log_pos");
            let text = fields.to_string();
            let tick: TickObject<'_> = serde_json::from_str(&text).unwrap();
            assert_eq!(tick.read(&spec, SourceId(3), TradeId::default()), Ok(body));
        }
    }
}
