//! JSON lines of any shape: every key order, escapes, unknown and nested fields, all kinds of ticks.
//!
//! Field names and meanings are those of the topic `tick_data`; `volume` may be called `size`, `timestamp` `ts`,
//! `trade_id` `id`. Of two names for one thing the longer one counts; `ts_ns` beats both names of the time, being exact.

use super::error::{RowFault, excerpt};
use super::names::{KnownSymbol, Names};
use super::row::{TradeRow, decimal, epoch_time, exact_time, integer, text_time};
use crate::models::entry::{Body, Cancel, Correction, Entry, Quote, TradeId, Updates, VenueBar};
use crate::models::num::{Price, Scale, Size};
use crate::models::time::{Nanos, Width};
use crate::wire::MESSAGE_VERSION;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// What a line of JSON turns out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// An entry.
    Entry(Entry),
    /// Not for the log: a symbol that was not asked for, or a control line of a recorded topic, whose work the
    /// reader's own clock marks do.
    Skipped,
}

impl From<Option<Entry>> for Record {
    fn from(entry: Option<Entry>) -> Record {
        entry.map_or(Record::Skipped, Record::Entry)
    }
}

/// Reads a line.
pub(super) fn read(line: &[u8], names: &mut Names, given: TradeId) -> Result<Record, RowFault> {
    Fields::parse(line)?.record(names, given)
}

/// Reads a message of a topic: a line that may have a version, and whose trade may lack a size, so that it counts for
/// prices only.
pub(super) fn read_message(text: &[u8], names: &mut Names, given: TradeId) -> Result<Record, RowFault> {
    let fields = Fields { may_lack_size: true, ..Fields::parse(text)? };
    let version = fields.count("v")?;
    if version > u64::from(MESSAGE_VERSION) {
        return Err(RowFault::FutureVersion { found: version });
    }
    fields.record(names, given)
}

impl Fields<'_> {
    fn record(&self, names: &mut Names, given: TradeId) -> Result<Record, RowFault> {
        let fields = self;
        let tick_type = fields.text("tick_type").unwrap_or(Cow::Borrowed("trade"));
        if tick_type.eq_ignore_ascii_case("control") {
            return Ok(Record::Skipped);
        }
        let Some(symbol) = names.symbol(fields.symbol()?)? else { return Ok(Record::Skipped) };
        let body = if tick_type.eq_ignore_ascii_case("trade") {
            Body::Trade(fields.with_trade(|row| row.trade(symbol, names, given))?)
        } else if tick_type.eq_ignore_ascii_case("quote") {
            Body::Quote(fields.quote(symbol, names)?)
        } else if tick_type.eq_ignore_ascii_case("cancel") {
            Body::Cancel(fields.cancel(names)?)
        } else if tick_type.eq_ignore_ascii_case("correction") {
            let target = TradeId::from_text(fields.required("ref_trade_id")?.as_bytes());
            Body::Correction(Correction {
                target,
                trade: fields.with_trade(|row| row.trade(symbol, names, target))?,
            })
        } else if tick_type.eq_ignore_ascii_case("bar") {
            Body::VenueBar(fields.bar(symbol, names)?)
        } else {
            return Err(RowFault::Invalid {
                field: "tick_type",
                problem: "none of `trade`, `quote`, `cancel`, `correction`, `bar`, `control`",
                found: excerpt(tick_type.as_bytes()),
            });
        };
        Ok(Record::Entry(Entry { pos: 0, symbol: symbol.id, body }))
    }
}

/// Returns symbol and provider of a line that could not be read, as far as that can be told.
pub(super) fn labels(line: &[u8]) -> (Option<String>, Option<String>) {
    match Fields::parse(line) {
        Ok(fields) => {
            (fields.text("symbol").map(Cow::into_owned), fields.text("provider").map(Cow::into_owned))
        }
        Err(_) => (None, None),
    }
}

/// Every field that is read.
const KEYS: [&str; 29] = [
    "symbol",
    "price",
    "volume",
    "size",
    "timestamp",
    "ts",
    "ts_ns",
    "trade_id",
    "id",
    "tick_type",
    "provider",
    "updates",
    "ref_trade_id",
    "seq",
    "received_at",
    "bid",
    "ask",
    "bid_size",
    "ask_size",
    "open",
    "high",
    "low",
    "close",
    "vwap",
    "trade_count",
    "window",
    "window_start",
    "window_end",
    "v",
];

/// The values of a line by the place of their key in [`KEYS`]; `null` counts as absent.
#[derive(Default)]
struct Fields<'a> {
    values: [Option<Value<'a>>; KEYS.len()],
    may_lack_size: bool,
}

enum Value<'a> {
    /// What stood in quotes.
    Text(Cow<'a, str>),
    /// A number, or what cannot be one: `true`, `[…]`, `{…}`.
    Bare(&'a str),
}

impl Value<'_> {
    fn as_str(&self) -> &str {
        match self {
            Value::Text(text) => text,
            Value::Bare(text) => text,
        }
    }
}

impl<'a> Fields<'a> {
    fn parse(line: &'a [u8]) -> Result<Fields<'a>, RowFault> {
        let text = std::str::from_utf8(line).map_err(|_| RowFault::NotUtf8)?;
        serde_json::from_str(text).map_err(|error| RowFault::NotJson { cause: error.to_string() })
    }

    fn get(&self, key: &str) -> Option<&Value<'a>> {
        let at = KEYS.iter().position(|known| *known == key).expect("key is one of KEYS");
        self.values[at].as_ref()
    }

    /// Returns a value that is not empty, as text.
    fn text(&self, key: &str) -> Option<Cow<'_, str>> {
        self.get(key).map(Value::as_str).filter(|text| !text.is_empty()).map(Cow::Borrowed)
    }

    fn required(&self, field: &'static str) -> Result<Cow<'_, str>, RowFault> {
        self.text(field).ok_or(RowFault::Missing { field })
    }

    /// Returns the bytes of the first of these fields that has a value; of none, nothing.
    fn first<const N: usize>(&self, keys: [&str; N]) -> &[u8] {
        let found = keys.into_iter().filter_map(|key| self.get(key)).find(|value| !value.as_str().is_empty());
        found.map_or(b"", |value| value.as_str().as_bytes())
    }

    fn symbol(&self) -> Result<&[u8], RowFault> {
        match self.get("symbol") {
            Some(Value::Text(text)) => Ok(text.as_bytes()),
            Some(Value::Bare(text)) => Err(RowFault::Invalid {
                field: "symbol",
                problem: "no text",
                found: excerpt(text.as_bytes()),
            }),
            None => Err(RowFault::Missing { field: "symbol" }),
        }
    }

    fn time(&self, field: &'static str) -> Option<Result<Nanos, RowFault>> {
        self.get(field).map(|value| match value {
            Value::Text(text) => text_time(field, text),
            Value::Bare(text) => epoch_time(field, text.as_bytes()),
        })
    }

    /// Returns the event time.
    fn ts(&self) -> Result<Nanos, RowFault> {
        if let Some(exact) = self.get("ts_ns") {
            return exact_time("ts_ns", exact.as_str().as_bytes());
        }
        self.time("timestamp")
            .or_else(|| self.time("ts"))
            .unwrap_or(Err(RowFault::Missing { field: "timestamp" }))
    }

    fn received(&self) -> Result<Nanos, RowFault> {
        self.time("received_at").unwrap_or(Ok(Nanos::MIN))
    }

    /// Returns a whole number that is not negative; 0 where there is none.
    fn count(&self, field: &'static str) -> Result<u64, RowFault> {
        let Some(text) = self.text(field) else { return Ok(0) };
        integer(text.as_bytes())
            .and_then(|count| u64::try_from(count).ok())
            .ok_or_else(|| RowFault::Invalid { field, problem: "no count", found: excerpt(text.as_bytes()) })
    }

    /// Returns a number; 0 where there is none.
    fn number(&self, field: &'static str, scale: Scale) -> Result<i64, RowFault> {
        self.text(field).map_or(Ok(0), |text| decimal(field, text.as_bytes(), scale))
    }

    fn provider(&self) -> Option<&[u8]> {
        self.get("provider").map(|value| value.as_str().as_bytes())
    }

    fn with_trade<T>(&self, then: impl FnOnce(&TradeRow<'_>) -> Result<T, RowFault>) -> Result<T, RowFault> {
        let mut updates = self.text("updates").unwrap_or_default();
        let mut size = self.first(["volume", "size"]);
        if size.is_empty() && self.may_lack_size {
            size = b"0";
            if updates.is_empty() {
                updates = Cow::Borrowed("hc");
            }
        }
        then(&TradeRow {
            symbol: self.first(["symbol"]),
            price: self.first(["price"]),
            size,
            ts: self.ts()?,
            received: self.received()?,
            seq: self.count("seq")?,
            id: self.first(["trade_id", "id"]),
            updates: Updates::parse(updates.as_bytes()).ok_or_else(|| RowFault::Invalid {
                field: "updates",
                problem: "not made of `h`, `c`, `v` or `-`",
                found: excerpt(updates.as_bytes()),
            })?,
            provider: self.provider(),
        })
    }

    fn quote(&self, symbol: KnownSymbol, names: &mut Names) -> Result<Quote, RowFault> {
        if self.text("bid").is_none() && self.text("ask").is_none() {
            return Err(RowFault::Missing { field: "bid" });
        }
        Ok(Quote {
            ts: self.ts()?,
            received: self.received()?,
            bid: Price(self.number("bid", symbol.price_scale)?),
            ask: Price(self.number("ask", symbol.price_scale)?),
            bid_size: Size(self.number("bid_size", symbol.size_scale)?),
            ask_size: Size(self.number("ask_size", symbol.size_scale)?),
            source: names.source(self.provider())?,
        })
    }

    fn cancel(&self, names: &mut Names) -> Result<Cancel, RowFault> {
        Ok(Cancel {
            ts: self.ts()?,
            received: self.received()?,
            target: TradeId::from_text(self.required("ref_trade_id")?.as_bytes()),
            source: names.source(self.provider())?,
        })
    }

    /// Reads a venue's bar: as REST gives one, or with the start of its window as the tick's time.
    fn bar(&self, symbol: KnownSymbol, names: &mut Names) -> Result<VenueBar, RowFault> {
        let window = self.required("window")?;
        let width_ms = Width::parse(&window)
            .filter(|width| width.nanos() % 1_000_000 == 0)
            .and_then(|width| u32::try_from(width.nanos() / 1_000_000).ok())
            .ok_or_else(|| RowFault::Invalid {
                field: "window",
                problem: "no window",
                found: excerpt(window.as_bytes()),
            })?;
        let price = |field| decimal(field, self.first([field]), symbol.price_scale).map(Price);
        Ok(VenueBar {
            start: self.time("window_start").unwrap_or_else(|| self.ts())?,
            received: self.received()?,
            open: price("open")?,
            high: price("high")?,
            low: price("low")?,
            close: price("close")?,
            volume: Size(decimal("volume", self.first(["volume", "size"]), symbol.size_scale)?),
            vwap: Price(self.number("vwap", symbol.price_scale)?),
            trade_count: u32::try_from(self.count("trade_count")?).unwrap_or(u32::MAX),
            width_ms,
            source: names.source(self.provider())?,
        })
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Fields::default();
        while let Some(Key(place)) = map.next_key()? {
            match place {
                Some(at) => {
                    let raw: &RawValue = map.next_value()?;
                    fields.values[at] = value_of(raw.get()).map_err(serde::de::Error::custom)?;
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(fields)
    }
}

fn value_of(raw: &str) -> Result<Option<Value<'_>>, serde_json::Error> {
    Ok(match raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(text) if !text.contains('\\') => Some(Value::Text(Cow::Borrowed(text))),
        Some(_) => Some(Value::Text(Cow::Owned(serde_json::from_str(raw)?))),
        None if raw == "null" => None,
        None => Some(Value::Bare(raw)),
    })
}

/// The place of a key in [`KEYS`]; `None` for a key that is not read.
struct Key(Option<usize>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl Visitor<'_> for KeyVisitor {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E>(self, text: &str) -> Result<Key, E> {
                Ok(Key(KEYS.iter().position(|known| *known == text)))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}
