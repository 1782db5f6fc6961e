//! What is sent to begin and to end subscriptions.
//!
//! The snapshot is asked for: its newest trade tells whether a symbol traded while nobody listened, which otherwise takes a
//! request over REST for each.

use super::config::TRADE;
use serde_json::{Value, json};

/// Symbols of one message: messages are short, and few.
const SYMBOLS_MAX: usize = 100;

/// Returns the messages that ask for the trades of symbols.
pub(super) fn subscribe(venue_symbols: &[&str]) -> Vec<String> {
    messages(
        venue_symbols,
        |symbols| json!({"method": "subscribe", "params": {"channel": TRADE, "symbol": symbols, "snapshot": true}}),
    )
}

/// Returns the messages that end it.
pub(super) fn unsubscribe(venue_symbols: &[&str]) -> Vec<String> {
    messages(
        venue_symbols,
        |symbols| json!({"method": "unsubscribe", "params": {"channel": TRADE, "symbol": symbols}}),
    )
}

fn messages(venue_symbols: &[&str], message: fn(&[&str]) -> Value) -> Vec<String> {
    venue_symbols.chunks(SYMBOLS_MAX).map(|symbols| message(symbols).to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_asks_for_many_symbols() {
        let read = |texts: Vec<String>| -> Vec<Value> {
            texts.iter().map(|text| serde_json::from_str(text).expect("JSON")).collect()
        };
        let expected = json!({
            "method": "subscribe",
            "params": {"channel": "trade", "symbol": ["BTC/USD", "ETH/USD"], "snapshot": true},
        });
        assert_eq!(read(subscribe(&["BTC/USD", "ETH/USD"])), [expected]);
        let expected =
            json!({"method": "unsubscribe", "params": {"channel": "trade", "symbol": ["ETH/USD"]}});
        assert_eq!(read(unsubscribe(&["ETH/USD"])), [expected]);
        let many = vec!["BTC/USD"; SYMBOLS_MAX + 1];
        let lens: Vec<_> = read(subscribe(&many))
            .iter()
            .map(|message| message["params"]["symbol"].as_array().map(Vec::len))
            .collect();
        assert_eq!(lens, [Some(SYMBOLS_MAX), Some(1)]);
    }
}
