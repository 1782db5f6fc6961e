//! What is sent to log in, and to begin and end subscriptions.

use serde_json::json;

/// Returns the message that shows the key.
pub(super) fn login(key: &str) -> String {
    json!({"event": "login", "data": {"apiKey": key}}).to_string()
}

/// Returns the one message that asks for all symbols.
pub(super) fn subscribe(venue_symbols: &[&str]) -> String {
    message("subscribe", venue_symbols)
}

/// Returns the one message that ends the subscription of symbols.
pub(super) fn unsubscribe(venue_symbols: &[&str]) -> String {
    message("unsubscribe", venue_symbols)
}

fn message(event: &str, venue_symbols: &[&str]) -> String {
    json!({"event": event, "data": {"ticker": venue_symbols}}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_asks_for_every_symbol() {
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        let expected = json!({"event": "subscribe", "data": {"ticker": ["aapl", "msft"]}});
        assert_eq!(read(&subscribe(&["aapl", "msft"])), expected);
        let expected = json!({"event": "unsubscribe", "data": {"ticker": ["msft"]}});
        assert_eq!(read(&unsubscribe(&["msft"])), expected);
        assert_eq!(read(&login("secret")), json!({"event": "login", "data": {"apiKey": "secret"}}));
    }
}
