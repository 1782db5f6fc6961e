//! What the venue says of a connection, and what is answered: as its documentation wants it. A key that is refused is not
//! tried again, a connection too many is not replaced at once.

use super::super::pairs::Market;
use super::config::{Channel, Channels};
use super::wire::{Event, plain};
use crate::actors::ingest::venue::{Heard, Refusal, Step, Then, VenueEvent};
use crate::actors::ingest::venues::text::excerpt;
use std::time::Duration;

/// Pause before a connection is tried again that was closed for another one of the same key.
const CROWDED_PAUSE: Duration = Duration::from_mins(1);

/// Answers a status.
pub(super) fn answer(event: &Event<'_>, channels: &Channels, heard: &mut Heard) {
    let message = plain(event.message);
    let refused = |then, what: &str| {
        let reason = format!("{what}: {}", excerpt(message.trim()));
        VenueEvent::Refused(Refusal { reason, then })
    };
    let answer = match event.status {
        "connected" => VenueEvent::Next(Step::Authenticate),
        "auth_success" => VenueEvent::Next(Step::Subscribe),
        "auth_failed" => refused(Then::Stop, "the key, or its plan, is refused"),
        "auth_timeout" => refused(Then::Retry, "the key came too late"),
        "max_connections" => {
            refused(Then::Wait(CROWDED_PAUSE), "another connection uses the key, and the plan has no more")
        }
        "error" => VenueEvent::NotSubscribed { venue_symbol: None, reason: excerpt(message.trim()) },
        "success" => {
            match message.strip_prefix("subscribed to:").and_then(|topic| confirmed(topic, channels)) {
                Some(symbol) => VenueEvent::Subscribed(Some(symbol)),
                // Of another channel. It is no sign that the connection lasts: some are closed right behind it.
                None => {
                    heard.num_ignored += 1;
                    return;
                }
            }
        }
        _ => {
            heard.num_ignored += 1;
            return;
        }
    };
    heard.events.push(answer);
}

/// Returns the symbol that a confirmed topic subscribes, if it is the channel that makes its market's bars.
fn confirmed(topic: &str, channels: &Channels) -> Option<String> {
    let (channel, symbol) = topic.trim().split_once('.')?;
    let market = Channel::find(channel)?.market();
    let is_first = channels.of(market).next().is_some_and(|first| first.name() == channel);
    // Forex takes both spellings, and sends one.
    let symbol = if market == Market::Forex { symbol.replace('-', "/") } else { symbol.to_owned() };
    is_first.then_some(symbol)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{context, instruments, one, parser, read};
    use super::*;

    #[test]
    fn a_status_has_its_answer() {
        let status = |word: &str, message: &str| {
            one(read(&format!(r#"[{{"ev":"status","status":"{word}","message":"{message}"}}]"#)))
        };
        let then = |event| match event {
            VenueEvent::Refused(refusal) => (refusal.then, refusal.reason),
            other => panic!("not refused: {other:?}"),
        };
        assert_eq!(status("connected", "Connected Successfully"), VenueEvent::Next(Step::Authenticate));
        assert_eq!(status("auth_success", "authenticated"), VenueEvent::Next(Step::Subscribe));
        let said = "the key, or its plan, is refused: authentication failed".to_owned();
        assert_eq!(then(status("auth_failed", "authentication failed")), (Then::Stop, said));
        let said = "the key, or its plan, is refused: Your plan doesn't include websocket access.".to_owned();
        let plan = status("auth_failed", "Your plan doesn't include websocket access.");
        assert_eq!(then(plan), (Then::Stop, said));
        assert_eq!(then(status("auth_timeout", "No authentication request received.")).0, Then::Retry);
        for message in
            ["Maximum number of websocket connections exceeded. ", "Maximum number of connections exceeded."]
        {
            let (then, reason) = then(status("max_connections", message));
            assert_eq!(then, Then::Wait(Duration::from_mins(1)));
            assert!(reason.ends_with("exceeded."), "{reason}");
        }
        let reason = "not authorized".to_owned();
        let refused = VenueEvent::NotSubscribed { venue_symbol: None, reason };
        assert_eq!(status("error", "not authorized"), refused);
        for (message, symbol) in [
            ("subscribed to: T.AAPL", Some("AAPL")),
            ("subscribed to: T.BRK.B", Some("BRK.B")),
            ("subscribed to: XT.BTC-USD", Some("BTC-USD")),
            ("subscribed to: C.EUR/USD", Some("EUR/USD")),
            ("subscribed to: C.EUR-USD", Some("EUR/USD")),
            ("subscribed to: Q.AAPL", None),
            ("subscribed to: nothing", None),
            ("unsubscribed to: T.AAPL", None),
        ] {
            let frame = format!(r#"[{{"ev":"status","status":"success","message":"{message}"}}]"#);
            let heard = read(&frame);
            let subscribed = |symbol: &str| VenueEvent::Subscribed(Some(symbol.to_owned()));
            assert_eq!(heard.events, symbol.map(subscribed).into_iter().collect::<Vec<_>>(), "{message}");
            assert_eq!(heard.num_ignored, u64::from(symbol.is_none()), "{message}");
        }
        assert_eq!(read(r#"[{"ev":"status","status":"news","message":"hello"}]"#).num_ignored, 1);
    }

    #[test]
    fn the_first_channel_asked_for_confirms_a_symbol() {
        let frame = r#"[{"ev":"status","status":"success","message":"subscribed to: AM.MSFT"}]"#;
        let (instruments, mut heard) = (instruments(), Heard::default());
        parser("channels = ['AM']").frame(frame, &context(&instruments), &mut heard);
        assert_eq!(heard.events, [VenueEvent::Subscribed(Some("MSFT".to_owned()))]);
    }
}
