//! What is sent to begin and to end subscriptions.

use serde_json::json;

/// Returns the one message that asks for all products. The venue drops a connection that does not subscribe within 5 s.
pub(super) fn subscribe(venue_symbols: &[&str], channels: &[String]) -> Vec<String> {
    vec![message("subscribe", venue_symbols, channels)]
}

/// Returns the one message that ends the subscription of products.
pub(super) fn unsubscribe(venue_symbols: &[&str], channels: &[String]) -> Vec<String> {
    vec![message("unsubscribe", venue_symbols, channels)]
}

fn message(kind: &str, venue_symbols: &[&str], channels: &[String]) -> String {
    json!({"type": kind, "product_ids": venue_symbols, "channels": channels}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_asks_for_every_product_and_channel() {
        let channels = ["matches".to_owned(), "heartbeat".to_owned()];
        let sent = subscribe(&["BTC-USD", "ETH-USD"], &channels);
        let expected = json!({
            "type": "subscribe", "product_ids": ["BTC-USD", "ETH-USD"], "channels": ["matches", "heartbeat"],
        });
        let sent: Vec<serde_json::Value> =
            sent.iter().map(|text| serde_json::from_str(text).expect("JSON")).collect();
        assert_eq!(sent, [expected]);
    }
}
