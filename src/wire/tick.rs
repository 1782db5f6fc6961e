//! Reports and quotes as JSON: for REST and topics, and as the payload of dead letters.
//!
//! Promises: every entry of the log has a form here; trades, quotes, cancels and corrections are read back to what they
//! were. On failure, reading names the field.

use super::json::to_json;
use super::number::{WireError, exact, nearest};
use super::time::Time;
use crate::models::entry::{
    Body, Cancel, Correction, Entry, Position, Quote, SourceId, Trade, TradeId, Updates,
};
use crate::models::num::{Price, Size};
use crate::models::symbol::{SymbolId, SymbolSpec};
use crate::models::time::Nanos;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::borrow::Cow;
use utoipa::ToSchema;

/// A report or a quote as the log holds it. A reader needs `symbol`, `price` and `timestamp`; the rest may be missing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct TickObject<'a> {
    /// The symbol in its one spelling.
    #[schema(required = true, example = "BTC-USD")]
    #[serde(borrow)]
    pub symbol: Cow<'a, str>,
    /// Price of the trade; the middle of a quote that has both sides; none of a cancel.
    #[schema(example = 25714.11)]
    pub price: Option<f64>,
    /// Size of the trade.
    #[schema(example = 0.25)]
    pub volume: Option<f64>,
    /// Event time.
    #[schema(required = true, value_type = String, format = DateTime, example = "2023-09-05T17:00:00.123Z")]
    pub timestamp: Time,
    /// Event time in nanoseconds since 1970, exact.
    #[schema(required = true, example = "1693933200123000000")]
    pub ts_ns: String,
    /// `trade`, `quote`, `cancel` or `correction`.
    #[schema(required = true, example = "trade")]
    #[serde(borrow)]
    pub tick_type: Cow<'a, str>,
    /// Name of its source.
    #[schema(required = true, example = "simulated")]
    pub provider: String,
    /// The venue's id; where that is long or there is none, `#` and 32 hexadecimal digits that name the trade as well.
    #[schema(example = "1001")]
    pub trade_id: Option<String>,
    /// The venue's sequence number.
    pub seq: Option<u64>,
    /// What it counts for: any of `h`, `c`, `v`, or `-`.
    #[schema(example = "hcv")]
    #[serde(borrow)]
    pub updates: Option<Cow<'a, str>>,
    /// The trade that a cancel or a correction refers to.
    pub ref_trade_id: Option<String>,
    /// Best bid of a quote.
    pub bid: Option<f64>,
    /// Best ask of a quote.
    pub ask: Option<f64>,
    /// Size at the bid.
    pub bid_size: Option<f64>,
    /// Size at the ask.
    pub ask_size: Option<f64>,
    /// When it was received, where that is known.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub received_at: Option<Time>,
    /// Its place in the log.
    #[schema(required = true, value_type = u64, example = 1)]
    pub log_pos: Position,
}

impl<'a> TickObject<'a> {
    /// Makes the object of an entry; `None` for entries that are neither report nor quote.
    #[must_use]
    pub fn new(entry: &Entry, spec: &'a SymbolSpec, provider: &str) -> Option<TickObject<'a>> {
        let common = TickObject {
            symbol: Cow::Borrowed(&spec.name),
            timestamp: Time(entry.body.time()),
            ts_ns: entry.body.time().0.to_string(),
            provider: provider.to_owned(),
            log_pos: entry.pos,
            ..TickObject::default()
        };
        match &entry.body {
            Body::Trade(trade) => Some(common.with_trade("trade", trade, spec)),
            Body::Correction(Correction { target, trade }) => Some(TickObject {
                ref_trade_id: Some(target.to_text()),
                ..common.with_trade("correction", trade, spec)
            }),
            Body::Cancel(Cancel { received, target, .. }) => Some(TickObject {
                tick_type: "cancel".into(),
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

    fn with_trade(self, tick_type: &'a str, trade: &Trade, spec: &SymbolSpec) -> TickObject<'a> {
        TickObject {
            price: Some(nearest(i128::from(trade.price.0), spec.price_scale)),
            volume: Some(nearest(i128::from(trade.size.0), spec.size_scale)),
            tick_type: tick_type.into(),
            trade_id: Some(trade.id.to_text()),
            seq: (trade.seq != 0).then_some(trade.seq),
            updates: Some(trade.updates.as_str().into()),
            received_at: Time::known(trade.received),
            ..self
        }
    }

    fn with_quote(self, quote: &Quote, spec: &SymbolSpec) -> TickObject<'a> {
        let side = |price: i64| (price != 0).then(|| nearest(i128::from(price), spec.price_scale));
        let size = |size: i64| nearest(i128::from(size), spec.size_scale);
        let (bid, ask) = (side(quote.bid.0), side(quote.ask.0));
        let sum = i128::from(quote.bid.0) + i128::from(quote.ask.0);
        TickObject {
            price: bid.and(ask).map(|_| nearest(sum, spec.price_scale) / 2.0),
            tick_type: "quote".into(),
            bid,
            ask,
            bid_size: bid.map(|_| size(quote.bid_size.0)),
            ask_size: ask.map(|_| size(quote.ask_size.0)),
            received_at: Time::known(quote.received),
            ..self
        }
    }

    /// Reads what the tick says. Without a type it is a trade, without an exact time it happened at `timestamp`, and a
    /// trade without a volume counts for prices only; `given` identifies a trade that came without an id.
    ///
    /// # Errors
    /// When a field that its type needs is missing, a word is unknown, or a number does not fit the symbol's scales.
    pub fn read(&self, spec: &SymbolSpec, source: SourceId, given: TradeId) -> Result<Body, WireError> {
        let ts = match self.ts_ns.as_str() {
            "" => self.timestamp.0,
            text => Nanos(text.parse().map_err(|_| WireError::word("ts_ns", text))?),
        };
        let received = self.received_at.map_or(Nanos::MIN, |at| at.0);
        let target = || match &self.ref_trade_id {
            Some(text) => Ok(TradeId::from_text(text.as_bytes())),
            None => Err(WireError::Missing("ref_trade_id")),
        };
        let price = |value: Option<f64>, field| {
            value.map_or(Ok(Price(0)), |value| exact(value, spec.price_scale, field).map(Price))
        };
        let size = |value: Option<f64>, field| {
            value.map_or(Ok(Size(0)), |value| exact(value, spec.size_scale, field).map(Size))
        };
        let trade = || -> Result<Trade, WireError> {
            let updates = match (&self.updates, self.volume) {
                (Some(text), _) => {
                    Updates::parse(text.as_bytes()).ok_or_else(|| WireError::word("updates", text))?
                }
                (None, Some(_)) => Updates::ALL,
                (None, None) => Updates::parse(b"hc").expect("a known spelling"),
            };
            Ok(Trade {
                ts,
                received,
                price: price(Some(self.price.ok_or(WireError::Missing("price"))?), "price")?,
                size: size(self.volume, "volume")?,
                seq: self.seq.unwrap_or(0),
                id: self.trade_id.as_ref().map_or(given, |text| TradeId::from_text(text.as_bytes())),
                source,
                updates,
            })
        };
        match &*self.tick_type {
            "" | "trade" => Ok(Body::Trade(trade()?)),
            "correction" => Ok(Body::Correction(Correction { target: target()?, trade: trade()? })),
            "cancel" => Ok(Body::Cancel(Cancel { ts, received, target: target()?, source })),
            "quote" => Ok(Body::Quote(Quote {
                ts,
                received,
                bid: price(self.bid, "bid")?,
                ask: price(self.ask, "ask")?,
                bid_size: size(self.bid_size, "bid_size")?,
                ask_size: size(self.ask_size, "ask_size")?,
                source,
            })),
            other => Err(WireError::word("tick_type", other)),
        }
    }
}

/// Writes an entry as the payload of a dead letter: the fields of a tick that are known. A bar of a venue has its
/// prices and `width_ms`; what concerns a whole source has the type `control`.
#[must_use]
pub fn payload(body: &Body, spec: Option<&SymbolSpec>, provider: &str) -> String {
    let nameless = SymbolSpec::named("");
    let spec = spec.unwrap_or(&nameless);
    let entry = Entry { pos: 0, symbol: SymbolId::NONE, body: *body };
    let tick = TickObject::new(&entry, spec, provider).unwrap_or_else(|| TickObject {
        symbol: Cow::Borrowed(&spec.name),
        timestamp: Time(body.time()),
        ts_ns: body.time().0.to_string(),
        provider: provider.to_owned(),
        received_at: body.received().and_then(Time::known),
        tick_type: if matches!(body, Body::VenueBar(_)) { "bar" } else { "control" }.into(),
        ..TickObject::default()
    });
    let Ok(Value::Object(mut fields)) = serde_json::to_value(&tick) else {
        unreachable!("a tick is an object of plain data")
    };
    fields.retain(|_, value| !value.is_null());
    // The record of the letter has the position.
    fields.remove("log_pos");
    if spec.name.is_empty() {
        fields.remove("symbol");
    }
    let mut put = |name: &str, value: Value| _ = fields.insert(name.to_owned(), value);
    match body {
        Body::Trade(_) | Body::Correction(_) | Body::Cancel(_) | Body::Quote(_) => {}
        Body::VenueBar(bar) => {
            let prices = [("open", bar.open), ("high", bar.high), ("low", bar.low), ("price", bar.close)];
            for (name, price) in prices {
                put(name, json!(nearest(i128::from(price.0), spec.price_scale)));
            }
            put("volume", json!(nearest(i128::from(bar.volume.0), spec.size_scale)));
            put("width_ms", json!(bar.width_ms));
        }
        Body::Gap(gap) => {
            put("control", json!("gap"));
            put("from", json!(gap.from.to_rfc3339()));
            put("to", json!(gap.to.to_rfc3339()));
        }
        Body::SourceInCharge { from, .. } => {
            put("control", json!("charge"));
            put("from", json!(from.to_rfc3339()));
        }
        Body::Symbol { definition, .. } => {
            put("control", json!("symbol"));
            put("price_scale", json!(definition.price_scale.decimals()));
            put("size_scale", json!(definition.size_scale.decimals()));
            put("asset_class", json!(definition.asset_class.as_str()));
            put("price_source", json!(definition.price.as_str()));
            put("venue_symbol", json!(definition.venue_symbol.as_str()));
        }
        Body::Detection { document, .. } => {
            put("control", json!("detection"));
            put("detection", json!(document.text()));
        }
        Body::ClockMark { .. } => put("control", json!("mark")),
    }
    String::from_utf8(to_json(&fields)).expect("JSON is UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> SymbolSpec {
        SymbolSpec::named("BTC-USD")
    }

    fn trade() -> Trade {
        Trade {
            ts: Nanos(1_700_000_000_123_456_789),
            received: Nanos(1_700_000_000_125_000_000),
            price: Price(25_714_110_000_000),
            size: Size(250_000_001),
            seq: 9,
            id: TradeId::number(77),
            source: SourceId(3),
            updates: Updates::ALL,
        }
    }

    fn bodies() -> Vec<Body> {
        let (Trade { ts, received, source, .. }, target) = (trade(), TradeId::from_text(b"a-1"));
        vec![
            Body::Trade(trade()),
            Body::Trade(Trade { received: Nanos::MIN, seq: 0, updates: Updates::NONE, ..trade() }),
            Body::Correction(Correction { target, trade: trade() }),
            Body::Cancel(Cancel { ts, received, target, source }),
            Body::Quote(Quote {
                ts,
                received,
                bid: Price(25_714_000_000_000),
                ask: Price(25_714_250_000_000),
                bid_size: Size(1),
                ask_size: Size(50_000_000),
                source,
            }),
        ]
    }

    #[test]
    fn ticks_read_back_as_they_were_written() {
        for body in bodies() {
            let entry = Entry { pos: 5, symbol: SymbolId(0), body };
            let spec = spec();
            let json = to_json(&TickObject::new(&entry, &spec, "coinbase").unwrap());
            let tick: TickObject<'_> = serde_json::from_slice(&json).unwrap();
            assert_eq!((&*tick.symbol, tick.provider.as_str(), tick.log_pos), ("BTC-USD", "coinbase", 5));
            assert_eq!(tick.read(&spec, SourceId(3), TradeId::default()), Ok(body));
        }
    }

    #[test]
    fn an_old_producer_need_not_say_much() {
        let text = r#"{"symbol":"BTC-USD","price":1.5,"timestamp":"2023-11-14T22:13:20Z","exchange":"X"}"#;
        let tick: TickObject<'_> = serde_json::from_str(text).unwrap();
        let Ok(Body::Trade(read)) = tick.read(&spec(), SourceId(1), TradeId::given(1, 2)) else {
            panic!("a trade")
        };
        assert_eq!((read.ts, read.price), (Nanos(1_700_000_000_000_000_000), Price(1_500_000_000)));
        assert_eq!((read.id, read.updates.as_str()), (TradeId::given(1, 2), "hc"));
        for (text, problem) in [
            (r#"{"symbol":"A","timestamp":"2023-11-14"}"#, "`price` is missing"),
            (r#"{"tick_type":"cancel"}"#, "`ref_trade_id` is missing"),
            (r#"{"tick_type":"news"}"#, "`tick_type` is `news`"),
            (r#"{"price":1,"updates":"x"}"#, "`updates` is `x`"),
            (r#"{"price":1e300}"#, "`price`: number does not fit"),
        ] {
            let tick: TickObject<'_> = serde_json::from_str(text).unwrap();
            let error = tick.read(&spec(), SourceId(1), TradeId::default()).unwrap_err();
            assert_eq!(error.to_string(), problem, "{text}");
        }
    }

    #[test]
    fn a_payload_is_a_tick_that_reads_back() {
        let spec = spec();
        for body in bodies() {
            let text = payload(&body, Some(&spec), "coinbase");
            assert!(!text.contains("null") && !text.contains("log_pos"), "{text}");
            let tick: TickObject<'_> = serde_json::from_str(&text).unwrap();
            assert_eq!(tick.read(&spec, SourceId(3), TradeId::default()), Ok(body), "{text}");
        }
        let long = TradeId::from_text(b"0b9d9a1e-6a3c-4d0c-9f57-1d3b8c1d2e3f");
        let text = payload(&Body::Trade(Trade { id: long, ..trade() }), Some(&spec), "coinbase");
        assert!(text.contains(&format!("\"trade_id\":\"{}\"", long.to_text())), "{text}");
        let tick: TickObject<'_> = serde_json::from_str(&text).unwrap();
        let read = tick.read(&spec, SourceId(3), TradeId::default());
        assert_eq!(read, Ok(Body::Trade(Trade { id: long, ..trade() })), "it names the same trade");
    }

    #[test]
    fn a_payload_of_a_whole_source_says_what_it_was() {
        let mark = Body::ClockMark { source: SourceId(0), time: Nanos(1_700_000_000_000_000_000) };
        assert_eq!(
            payload(&mark, None, "coinbase"),
            r#"{"control":"mark","provider":"coinbase","tick_type":"control","timestamp":"2023-11-14T22:13:20Z","ts_ns":"1700000000000000000"}"#
        );
    }
}
