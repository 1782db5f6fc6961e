//! What is sent to begin and to end subscriptions.

use serde_json::json;

/// Returns the one message that asks for all symbols.
pub(super) fn subscribe(venue_symbols: &[&str]) -> String {
    message("subscribe", venue_symbols)
}

/// Returns the one message that ends the subscription of symbols.
pub(super) fn unsubscribe(venue_symbols: &[&str]) -> String {
    message("unsubscribe", venue_symbols)
}

fn message(action: &str, venue_symbols: &[&str]) -> String {
    json!({"action": action, "symbols": venue_symbols.join(",")}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_asks_for_every_symbol() {
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        let expected = json!({"action": "subscribe", "symbols": "AAPL,TSLA"});
        assert_eq!(read(&subscribe(&["AAPL", "TSLA"])), expected);
        let expected = json!({"action": "unsubscribe", "symbols": "TSLA"});
        assert_eq!(read(&unsubscribe(&["TSLA"])), expected);
    }
}
