//! What a frame of the stream means.
//!
//! Trades carry no sequence here although the stream has one: REST has none, so with it the place of a trade among others
//! of its time would depend on how it came. Trade ids ascend with the sequence and stand on both ways. `side` is not
//! kept: no bar depends on it.

use super::super::numbered::TradeTexts;
use super::super::text::{cut, event_time, number, unknown_symbol};
use super::wire::Frame;
use crate::actors::ingest::venue::{Context, FrameFault, Heard, Refusal, Then, VenueEvent};
use crate::models::entry::Entry;
use crate::models::time::Nanos;
use serde_json::value::RawValue;

/// The stream's times have microseconds. Finer digits are cut, or a trade would have another time over REST.
const PRECISION: i64 = 1_000;

/// Reads one frame.
pub(super) fn frame(text: &str, context: &Context<'_>, heard: &mut Heard) {
    let frame: Frame<'_> = match serde_json::from_str(text) {
        Ok(frame) => frame,
        Err(error) => {
            let reason = format!("frame is not a message of this venue: {error}");
            heard.faults.push(FrameFault { kind: "malformed", reason, venue_symbol: None });
            return;
        }
    };
    match &*frame.kind {
        "match" => report(&frame, context, heard, VenueEvent::Report),
        "last_match" => report(&frame, context, heard, VenueEvent::LastTrade),
        "heartbeat" => heartbeat(&frame, context, heard),
        "subscriptions" => heard.events.push(VenueEvent::Subscribed(None)),
        "error" => {
            let parts = [frame.message.as_deref(), frame.reason.as_deref()];
            let said: Vec<&str> = parts.into_iter().flatten().collect();
            let refusal = Refusal { reason: said.join(": "), then: Then::Retry };
            heard.events.push(VenueEvent::Refused(refusal));
        }
        _ => heard.num_ignored += 1,
    }
}

fn report(frame: &Frame<'_>, context: &Context<'_>, heard: &mut Heard, event: fn(Entry) -> VenueEvent) {
    let product = frame.product_id.as_deref().unwrap_or_default();
    let Some(instrument) = context.instruments.find(product) else {
        return heard.faults.push(unknown_symbol("product_id", product));
    };
    let time = frame.time.as_deref().unwrap_or_default();
    let texts = trade_texts(frame.trade_id, frame.price, frame.size, time);
    match texts.entry(instrument, context, &mut heard.num_rounded) {
        Ok(entry) => heard.events.push(event(entry)),
        Err(fault) => heard.faults.push(fault),
    }
}

/// A heartbeat tells the venue's time. Its `last_trade_id` has been seen to be 0 all the time: it shows holes, never that
/// there is none.
fn heartbeat(frame: &Frame<'_>, context: &Context<'_>, heard: &mut Heard) {
    let product = frame.product_id.as_deref().unwrap_or_default();
    let Some(instrument) = context.instruments.find(product) else {
        return heard.faults.push(unknown_symbol("product_id", product));
    };
    let time = match time_of(frame.time.as_deref().unwrap_or_default(), product, context) {
        Ok(time) => time,
        Err(fault) => return heard.faults.push(fault),
    };
    let reached = number(frame.last_trade_id).parse().ok().filter(|&id: &u64| id > 0);
    let reached = reached.map(|id| (instrument.symbol, id));
    heard.events.push(VenueEvent::Clock { time, reached });
}

/// Returns a trade of the stream or of a page as it is read.
pub(super) fn trade_texts<'a>(
    id: Option<&'a RawValue>,
    price: Option<&'a RawValue>,
    size: Option<&'a RawValue>,
    time: &'a str,
) -> TradeTexts<'a> {
    TradeTexts {
        id: number(id),
        price: number(price),
        size: number(size),
        time,
        read: Nanos::from_rfc3339(time),
        precision: PRECISION,
    }
}

/// Reads a time, cut to the stream's precision. Year 1, which the venue sends where it has no time, is none.
fn time_of(text: &str, product: &str, context: &Context<'_>) -> Result<Nanos, FrameFault> {
    let time = Nanos::from_rfc3339(text).filter(|time| time.0 > 0).map(|time| cut(time, PRECISION));
    event_time(time, "time", text, product, context)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::ingest::venue::{Instrument, Instruments};
    use crate::models::entry::{Body, SourceId, Trade, TradeId, Updates};
    use crate::models::num::{Price, Scale, Size};
    use crate::models::symbol::SymbolId;

    const RECEIVED: Nanos = Nanos(1_800_000_000_000_000_000);

    fn instruments() -> Instruments {
        Instruments::new(vec![Instrument {
            symbol: SymbolId(3),
            venue_symbol: "BTC-USD".to_owned(),
            price_scale: Scale::new(2).expect("at most 12"),
            size_scale: Scale::SIZE,
        }])
    }

    fn read(text: &str) -> Heard {
        let instruments = instruments();
        let context = Context { instruments: &instruments, source: SourceId(7), received: RECEIVED };
        let mut heard = Heard::default();
        frame(text, &context, &mut heard);
        heard
    }

    // The example of the venue's documentation, shortened.
    const MATCH: &str = r#"{"type":"match","trade_id":463751434,"sequence":50978628538,"maker_order_id":"ac92","taker_order_id":"132f","time":"2026-09-08T14:30:02.028459Z","product_id":"BTC-USD","size":"0.05","price":"68900.16","side":"sell"}"#;

    #[test]
    fn a_match_is_a_trade_with_every_digit() {
        let expected = Entry {
            pos: 0,
            symbol: SymbolId(3),
            body: Body::Trade(Trade {
                ts: Nanos(1_788_877_802_028_459_000),
                received: RECEIVED,
                price: Price(6_890_016),
                size: Size(5_000_000),
                seq: 0,
                id: TradeId::number(463_751_434),
                source: SourceId(7),
                updates: Updates::ALL,
            }),
        };
        let heard = read(MATCH);
        assert_eq!(heard.events, [VenueEvent::Report(expected)]);
        assert_eq!((heard.faults.len(), heard.num_ignored, heard.num_rounded), (0, 0, 0));
        let last = read(&MATCH.replace("\"match\"", "\"last_match\""));
        assert_eq!(last.events, [VenueEvent::LastTrade(expected)]);
        let spelled = MATCH.replace("\"0.05\"", "0.05").replace("463751434", "\"463751434\"");
        assert_eq!(read(&spelled).events, [VenueEvent::Report(expected)], "numbers as text and as numbers");
        let finer = MATCH.replace(".028459Z", ".028459999Z").replace("68900.16", "68900.1600001");
        let heard = read(&finer);
        assert_eq!((heard.events, heard.num_rounded), (vec![VenueEvent::Report(expected)], 1));
    }

    #[test]
    fn heartbeats_are_the_clock_and_say_how_far_ids_have_come() {
        let beat = |last: &str| {
            format!(
                r#"{{"type":"heartbeat","sequence":90,"last_trade_id":{last},"product_id":"BTC-USD","time":"2026-09-08T14:30:02Z"}}"#
            )
        };
        let time = Nanos(1_788_877_802_000_000_000);
        let told = VenueEvent::Clock { time, reached: Some((SymbolId(3), 20)) };
        assert_eq!(read(&beat("20")).events, [told]);
        for last in ["0", "null", "-1", "\"x\""] {
            assert_eq!(read(&beat(last)).events, [VenueEvent::Clock { time, reached: None }], "{last}");
        }
    }

    #[test]
    fn other_frames_are_known_counted_or_faults() {
        let error = r#"{"type":"error","message":"Failed to subscribe","reason":"X is not a valid product"}"#;
        let reason = "Failed to subscribe: X is not a valid product".to_owned();
        let refused = Refusal { reason, then: Then::Retry };
        assert_eq!(read(error).events, [VenueEvent::Refused(refused)]);
        assert_eq!(read(r#"{"type":"subscriptions","channels":[]}"#).events, [VenueEvent::Subscribed(None)]);
        assert_eq!(read(r#"{"type":"ticker","price":5}"#).num_ignored, 1);
        let bad_time = MATCH.replace("2026-09-08T14:30:02.028459Z", "0001-01-01T00:00:00Z");
        for (text, kind) in [
            ("", "malformed"),
            ("[]", "malformed"),
            ("{}", "malformed"),
            ("\u{0}\u{fffd}", "malformed"),
            (&MATCH[..60], "malformed"),
            (&MATCH.replace("463751434", "1.5"), "malformed"),
            (&MATCH.replace("BTC-USD", "DOGE-USD"), "unknown_symbol"),
            (&MATCH.replace("68900.16", "NaN"), "bad_price"),
            (&MATCH.replace("\"0.05\"", "null"), "bad_size"),
            (&bad_time, "bad_time"),
        ] {
            let heard = read(text);
            assert_eq!(heard.faults.iter().map(|fault| fault.kind).collect::<Vec<_>>(), [kind], "{text}");
            assert!(heard.events.is_empty(), "{text}");
        }
    }
}
