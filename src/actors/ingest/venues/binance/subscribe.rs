//! What is sent to begin and to end subscriptions.

use super::config::Channel;
use serde_json::json;

/// The `id` of the messages that subscribe; their answers repeat it.
pub(super) const SUBSCRIBE_ID: u64 = 1;

/// The `id` of those that end subscriptions.
const UNSUBSCRIBE_ID: u64 = 2;

/// Streams that a connection can have.
pub(super) const STREAMS_MAX: usize = 1_024;

/// Streams that a message names. The venue closes a connection that sends more than five messages a second, pings and pongs
/// among them, so a full connection is subscribed with two.
const STREAMS_PER_MESSAGE: usize = STREAMS_MAX / 2;

/// Returns the messages that ask for a channel of symbols.
pub(super) fn subscribe(venue_symbols: &[&str], channel: Channel) -> Vec<String> {
    messages("SUBSCRIBE", SUBSCRIBE_ID, venue_symbols, channel)
}

/// Returns the messages that end it.
pub(super) fn unsubscribe(venue_symbols: &[&str], channel: Channel) -> Vec<String> {
    messages("UNSUBSCRIBE", UNSUBSCRIBE_ID, venue_symbols, channel)
}

fn messages(method: &str, id: u64, venue_symbols: &[&str], channel: Channel) -> Vec<String> {
    let stream = |symbol: &&str| format!("{}@{}", symbol.to_ascii_lowercase(), channel.name());
    let message = |symbols: &[&str]| {
        let streams: Vec<String> = symbols.iter().map(stream).collect();
        json!({"method": method, "params": streams, "id": id}).to_string()
    };
    venue_symbols.chunks(STREAMS_PER_MESSAGE).map(message).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn a_message_asks_for_many_streams_and_a_full_connection_takes_few() {
        let read = |texts: Vec<String>| -> Vec<Value> {
            texts.iter().map(|text| serde_json::from_str(text).expect("JSON")).collect()
        };
        let expected = json!({"method": "SUBSCRIBE", "params": ["btcusdt@trade", "ethusdt@trade"], "id": 1});
        assert_eq!(read(subscribe(&["BTCUSDT", "ETHUSDT"], Channel::Trade)), [expected]);
        let expected = json!({"method": "UNSUBSCRIBE", "params": ["btcusdt@aggTrade"], "id": 2});
        assert_eq!(read(unsubscribe(&["BTCUSDT"], Channel::AggTrade)), [expected]);
        let full = vec!["BTCUSDT"; STREAMS_MAX];
        assert_eq!(subscribe(&full, Channel::Trade).len(), 2);
    }
}
