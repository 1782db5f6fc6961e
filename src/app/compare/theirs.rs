//! The bars of the former system, as they stand in its topics `aggregated_data_{window}`.
//!
//! Promises: a topic is read to where it ended when the reading began, whoever writes meanwhile; of several messages for one
//! window the last one counts. What this program wrote is told apart by its `log_pos` and left out. On failure the error names
//! the topic.

use super::judge::Values;
use crate::models::time::{Nanos, Width};
use crate::stores::kafka::settings::KafkaSettings;
use crate::stores::kafka::whole::read_topic;
use serde_json::Value;
use std::collections::BTreeMap;

/// What a topic holds of the windows that are asked for.
#[derive(Default)]
pub struct TheirBars {
    /// By symbol and start of the window.
    pub bars: BTreeMap<(String, Nanos), Values>,
    /// Messages that replaced an earlier one of their window with other values.
    pub num_replaced: u64,
    /// Messages that this program wrote.
    pub num_ours: u64,
    /// Messages that are no bars.
    pub num_unreadable: u64,
}

impl TheirBars {
    /// Takes a message.
    fn take(&mut self, value: &[u8], width: Width, wants: impl Fn(&str, Nanos) -> bool) {
        let Some(bar) = serde_json::from_slice::<Value>(value).ok().filter(Value::is_object) else {
            self.num_unreadable += 1;
            return;
        };
        if bar.get("log_pos").is_some() {
            self.num_ours += 1;
            return;
        }
        let Some((symbol, start, values)) = parse(&bar, width) else {
            self.num_unreadable += 1;
            return;
        };
        if wants(&symbol, start) {
            let before = self.bars.insert((symbol, start), values);
            self.num_replaced += u64::from(before.is_some_and(|before| before != values));
        }
    }
}

/// Reads a bar: its symbol, the start of its window and what it says.
fn parse(bar: &Value, width: Width) -> Option<(String, Nanos, Values)> {
    let number = |field: &str| match bar.get(field)? {
        Value::String(text) => text.parse().ok(),
        other => other.as_f64(),
    };
    let time = |field: &str| match bar.get(field)? {
        Value::String(text) => Nanos::from_rfc3339(text),
        other => other.as_i64().and_then(Nanos::from_epoch),
    };
    let start = time("window_start").or_else(|| time("window_end").map(|end| end.plus(-width.nanos())))?;
    let symbol = bar.get("symbol")?.as_str()?.replace('/', "-");
    let count = number("trade_count").or_else(|| number("count"));
    let values = Values {
        open: number("open")?,
        high: number("high")?,
        low: number("low")?,
        close: number("close")?,
        volume: number("volume")?,
        vwap: number("vwap"),
        trade_count: count.filter(|count| *count >= 0.0).map(|count| count as u64),
    };
    Some((symbol, start, values))
}

/// Reads a topic. Blocking.
///
/// # Errors
/// When it is not there, or cannot be read to its end.
pub fn read(
    kafka: &KafkaSettings,
    topic: &str,
    width: Width,
    wants: impl Fn(&str, Nanos) -> bool,
) -> anyhow::Result<TheirBars> {
    let mut found = TheirBars::default();
    read_topic(kafka, topic, "compare", |_, _, value| found.take(value, width, &wants))?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_of_the_former_system_are_read_and_ours_left_out() {
        let minute = Width::parse("1min").expect("a width");
        let mut found = TheirBars::default();
        let bar = |rest: &str| {
            format!(r#"{{"symbol":"BTC/USD","open":1,"high":"2.5","low":0.5,"close":2,"volume":10{rest}}}"#)
        };
        let start = r#","window_start":"2023-11-14T22:13:00""#;
        for value in [
            bar(start),
            bar(&format!("{start},\"trade_count\":3,\"vwap\":1.25")),
            bar(r#","window_end":"2023-11-14 22:15:00","vwap":null"#),
            bar(&format!("{start},\"log_pos\":\"7\"")),
            bar(""),
            "garbage".to_owned(),
            "[]".to_owned(),
            bar(r#","window_start":"2020-01-01T00:00:00""#),
        ] {
            found.take(value.as_bytes(), minute, |_, start| start.0 > 1_650_000_000_000_000_000);
        }
        assert_eq!((found.num_replaced, found.num_ours, found.num_unreadable), (1, 1, 3));
        let at = |start| found.bars[&("BTC-USD".to_owned(), Nanos(start))];
        let (first, second) = (at(1_699_999_980_000_000_000), at(1_700_000_040_000_000_000));
        assert_eq!(found.bars.len(), 2);
        assert_eq!((first.trade_count, first.vwap, first.high), (Some(3), Some(1.25), 2.5));
        assert_eq!((second.trade_count, second.vwap), (None, None));
    }
}
