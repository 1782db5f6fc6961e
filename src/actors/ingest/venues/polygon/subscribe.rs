//! What is sent: the key, and what is subscribed to.

use super::config::Channels;
use super::symbols::market_of;
use crate::secret::Secret;
use serde_json::json;

/// Topics of one message. The venue names no limit; this one keeps messages far below what servers take.
const TOPICS_MAX: usize = 500;

/// Returns the message that holds the key. Without a key it is empty, and the venue says what it thinks of that.
pub(super) fn authenticate(key: Option<&Secret>) -> Vec<String> {
    let key = key.map(Secret::expose).unwrap_or_default();
    vec![json!({"action": "auth", "params": key}).to_string()]
}

/// Returns the messages that ask for symbols.
pub(super) fn subscribe(venue_symbols: &[&str], channels: &Channels) -> Vec<String> {
    messages("subscribe", venue_symbols, channels)
}

/// Returns the messages that end the subscription of symbols.
pub(super) fn unsubscribe(venue_symbols: &[&str], channels: &Channels) -> Vec<String> {
    messages("unsubscribe", venue_symbols, channels)
}

fn messages(action: &str, venue_symbols: &[&str], channels: &Channels) -> Vec<String> {
    let topics_of = |symbol: &&str| {
        let symbol = (*symbol).to_owned();
        channels.of(market_of(&symbol)).map(move |channel| format!("{}.{symbol}", channel.name()))
    };
    let topics: Vec<String> = venue_symbols.iter().flat_map(topics_of).collect();
    let message = |topics: &[String]| json!({"action": action, "params": topics.join(",")}).to_string();
    topics.chunks(TOPICS_MAX).map(message).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::ingest::config::VenueConfig;

    #[test]
    fn messages_are_those_of_the_venues_documentation() {
        let key = Secret::new("KE\"Y".to_owned());
        assert_eq!(authenticate(Some(&key)), [r#"{"action":"auth","params":"KE\"Y"}"#]);
        let config: VenueConfig = toml::from_str("channels = ['T', 'Q']").expect("a section");
        let channels = Channels::of_config(&config);
        assert_eq!(
            subscribe(&["AAPL", "BRK.B", "BTC-USD", "EUR/USD"], &channels),
            [r#"{"action":"subscribe","params":"T.AAPL,Q.AAPL,T.BRK.B,Q.BRK.B,XT.BTC-USD,C.EUR/USD"}"#]
        );
        assert_eq!(
            unsubscribe(&["MSFT"], &channels),
            [r#"{"action":"unsubscribe","params":"T.MSFT,Q.MSFT"}"#]
        );
    }

    #[test]
    fn thousands_of_symbols_go_out_in_several_messages() {
        let names: Vec<String> = (0..1_201).map(|n| format!("S{n}")).collect();
        let symbols: Vec<&str> = names.iter().map(String::as_str).collect();
        let sent = subscribe(&symbols, &Channels::of_config(&VenueConfig::default()));
        assert_eq!(sent.len(), 3);
        assert_eq!(sent.concat().matches("T.S").count(), 1_201);
    }
}
