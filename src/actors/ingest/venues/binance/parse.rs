//! What a frame of the stream means.
//!
//! The venue tells no time between trades, and no trade goes without its own. Who was the aggressor is not kept: no bar depends
//! on it. Trades in blocks have ids of their own and no place in the market's prices: they are none of ours, as is everything
//! that was not subscribed to.

use super::super::numbered::TradeTexts;
use super::super::text::{epoch, excerpt, number, unknown_symbol};
use super::config::Channel;
use super::subscribe::SUBSCRIBE_ID;
use super::wire::{ErrorSaid, Event, Frame};
use crate::actors::ingest::venue::{Context, FrameFault, Heard, Refusal, Then, VenueEvent};

/// The stream's times have milliseconds. It could have microseconds, and then REST must be asked for them too: they are cut.
pub(super) const PRECISION: i64 = 1_000_000;

/// The notice that the connection is about to end: the kind of the event, and the name of its stream with a `!`.
const SHUTDOWN: &str = "serverShutdown";

/// Reads one frame.
pub(super) fn frame(text: &str, channel: Channel, context: &Context<'_>, heard: &mut Heard) {
    let frame: Frame<'_> = match serde_json::from_str(text) {
        Ok(frame) => frame,
        Err(error) => {
            return heard.faults.push(FrameFault::malformed("message of this venue", error));
        }
    };
    if let Some(data) = frame.data {
        let stream = frame.stream.as_deref().unwrap_or_default();
        let kind = stream.rsplit_once('@').map_or(stream, |(_, kind)| kind);
        // What other streams bring need not even have the form of an event.
        if kind == channel.name() || kind.strip_prefix('!') == Some(SHUTDOWN) {
            event(data.get(), channel, context, heard);
        } else {
            heard.num_ignored += 1;
        }
    } else if frame.error.is_some() || frame.code.is_some() {
        heard.events.push(VenueEvent::Refused(refusal(&frame)));
    } else if let Some(id) = frame.id {
        if id.get().parse() == Ok(SUBSCRIBE_ID) {
            heard.events.push(VenueEvent::Subscribed(None));
        } else {
            heard.num_ignored += 1;
        }
    } else {
        event(text, channel, context, heard);
    }
}

fn event(text: &str, channel: Channel, context: &Context<'_>, heard: &mut Heard) {
    let event: Event<'_> = match serde_json::from_str(text) {
        Ok(event) => event,
        Err(error) => {
            return heard.faults.push(FrameFault::malformed("event of this venue", error));
        }
    };
    match event.kind.as_deref() {
        Some(SHUTDOWN) => heard.events.push(VenueEvent::Ending),
        Some(kind) if kind == channel.name() => trade(&event, channel, context, heard),
        Some(_) => heard.num_ignored += 1,
        // The best bid and ask come without a kind.
        None if event.symbol.is_some() => heard.num_ignored += 1,
        None => {
            heard.faults.push(FrameFault::malformed("message of this venue", "no event, no answer"));
        }
    }
}

fn trade(event: &Event<'_>, channel: Channel, context: &Context<'_>, heard: &mut Heard) {
    let symbol = event.symbol.as_deref().unwrap_or_default();
    let Some(instrument) = context.instruments.find(symbol) else {
        return heard.faults.push(unknown_symbol("s", symbol));
    };
    let id = match channel {
        Channel::Trade => event.trade_id,
        Channel::AggTrade => event.agg_id,
    };
    let time = number(event.time);
    let texts = TradeTexts {
        id: number(id),
        price: number(event.price),
        size: number(event.size),
        time,
        read: epoch(time, PRECISION),
        precision: PRECISION,
    };
    match texts.entry(instrument, context, &mut heard.num_rounded) {
        Ok(entry) => heard.events.push(VenueEvent::Report(entry)),
        Err(fault) => heard.faults.push(fault),
    }
}

/// Why a message was refused: `code` and `msg` stand in the frame or in its `error`.
fn refusal(frame: &Frame<'_>) -> Refusal {
    let plain = ErrorSaid { code: frame.code, msg: frame.msg.clone() };
    let said = match frame.error {
        Some(error) => serde_json::from_str(error.get()).unwrap_or(plain),
        None => plain,
    };
    let msg = said.msg.as_deref().unwrap_or("without a reason");
    let reason = match said.code {
        Some(code) => format!("{} (code {})", excerpt(msg), excerpt(code.get())),
        None => excerpt(msg),
    };
    Refusal { reason, then: Then::Retry }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::ingest::venue::{Instrument, Instruments};
    use crate::models::entry::{Body, Entry, SourceId, Trade, TradeId, Updates};
    use crate::models::num::{Price, Scale, Size};
    use crate::models::symbol::SymbolId;
    use crate::models::time::Nanos;

    const RECEIVED: Nanos = Nanos(1_800_000_000_000_000_000);

    fn read(text: &str, channel: Channel) -> Heard {
        let instruments = Instruments::new(vec![Instrument {
            symbol: SymbolId(3),
            venue_symbol: "BTCUSDT".to_owned(),
            price_scale: Scale::new(2).expect("at most 12"),
            size_scale: Scale::SIZE,
        }]);
        let context = Context { instruments: &instruments, source: SourceId(7), received: RECEIVED };
        let mut heard = Heard::default();
        frame(text, channel, &context, &mut heard);
        heard
    }

    // The example of the venue's documentation, with other values, in the envelope of a combined stream and without.
    const TRADE: &str = include_str!("../../../../../tests/fixtures/venues/binance/frame_trade.json");
    const TRADE_RAW: &str =
        include_str!("../../../../../tests/fixtures/venues/binance/frame_trade_plain.json");

    fn expected(id: u64) -> VenueEvent {
        let body = Body::Trade(Trade {
            ts: Nanos(1_788_876_782_135_000_000),
            received: RECEIVED,
            price: Price(6_302_541),
            size: Size(150_000),
            seq: 0,
            id: TradeId::number(id),
            source: SourceId(7),
            updates: Updates::ALL,
        });
        VenueEvent::Report(Entry { pos: 0, symbol: SymbolId(3), body })
    }

    #[test]
    fn a_trade_has_every_digit() {
        for text in [TRADE, TRADE_RAW] {
            let heard = read(text, Channel::Trade);
            assert_eq!(heard.events, [expected(5_312_345_678)], "{text}");
            assert_eq!((heard.faults.len(), heard.num_ignored, heard.num_rounded), (0, 0, 0));
        }
        for (from, to) in [
            ("\"63025.41000000\"", "63025.41"),
            ("\"0.00150000\"", "1.5e-3"),
            ("1788876782135,", "1788876782135999,"),
            ("\"M\":true", "\"M\":{\"new\":[]}"),
        ] {
            let other = TRADE.replace(from, to);
            assert_ne!(other, TRADE, "{from}");
            assert_eq!(read(&other, Channel::Trade).events, [expected(5_312_345_678)], "{to}");
        }
        assert_eq!(read(&TRADE.replace("63025.41", "63025.413"), Channel::Trade).num_rounded, 1);
    }

    #[test]
    fn aggregates_have_ids_of_their_own_and_are_read_alone() {
        let aggregate = TRADE.replace("\"trade\"", "\"aggTrade\"").replace("@trade", "@aggTrade");
        let aggregate = aggregate.replace("\"t\":5312345678", "\"a\":26129,\"f\":27781,\"l\":27783");
        assert_eq!(read(&aggregate, Channel::AggTrade).events, [expected(26_129)]);
        for (text, channel) in [(&*aggregate, Channel::Trade), (TRADE, Channel::AggTrade)] {
            let heard = read(text, channel);
            assert_eq!((heard.events.len(), heard.faults.len(), heard.num_ignored), (0, 0, 1), "{text}");
        }
        let block = TRADE_RAW.replace("\"trade\"", "\"blockTrade\"");
        assert_eq!(read(&block, Channel::Trade).num_ignored, 1);
    }

    #[test]
    fn answers_confirm_or_refuse() {
        let confirmed = include_str!("../../../../../tests/fixtures/venues/binance/frame_subscribed.json");
        assert_eq!(read(confirmed, Channel::Trade).events, [VenueEvent::Subscribed(None)]);
        let listed = include_str!("../../../../../tests/fixtures/venues/binance/frame_subscriptions.json");
        assert_eq!(read(listed, Channel::Trade).num_ignored, 1);
        let request = include_str!("../../../../../tests/fixtures/venues/binance/frame_invalid_request.json");
        let json = include_str!("../../../../../tests/fixtures/venues/binance/frame_invalid_json.json");
        let within = format!(r#"{{"error":{},"id":1}}"#, request.trim());
        for (text, reason) in [
            (request, "Invalid request: missing field `method` at line 1 column 73 (code 2)"),
            (&within, "Invalid request: missing field `method` at line 1 column 73 (code 2)"),
            (json, "Invalid JSON: expected value at line 1 column 1 (code 3)"),
            (r#"{"error":"no","id":1}"#, "without a reason"),
        ] {
            let refused = Refusal { reason: reason.to_owned(), then: Then::Retry };
            assert_eq!(read(text, Channel::Trade).events, [VenueEvent::Refused(refused)], "{text}");
        }
    }

    #[test]
    fn the_end_is_told_before_it_comes() {
        let raw = include_str!("../../../../../tests/fixtures/venues/binance/frame_server_shutdown.json");
        let wrapped = format!(r#"{{"stream":"!serverShutdown","data":{}}}"#, raw.trim());
        for text in [raw, &wrapped] {
            assert_eq!(read(text, Channel::Trade).events, [VenueEvent::Ending], "{text}");
        }
    }

    #[test]
    fn other_frames_are_known_counted_or_faults() {
        for text in [
            include_str!("../../../../../tests/fixtures/venues/binance/frame_book_ticker.json"),
            include_str!("../../../../../tests/fixtures/venues/binance/frame_kline.json"),
            r#"{"stream":"!miniTicker@arr","data":[{"e":"24hrMiniTicker"}]}"#,
            r#"{"stream":"btcusdt@bookTicker","data":{"u":400900217,"s":"BTCUSDT"}}"#,
            r#"{"e":"new","s":"BTCUSDT"}"#,
        ] {
            let heard = read(text, Channel::Trade);
            assert_eq!((heard.events.len(), heard.faults.len(), heard.num_ignored), (0, 0, 1), "{text}");
        }
        for (text, kind) in [
            ("", "malformed"),
            ("[]", "malformed"),
            ("{}", "malformed"),
            ("\u{0}\u{fffd}", "malformed"),
            (&TRADE[..60], "malformed"),
            (r#"{"stream":"btcusdt@trade","data":7}"#, "malformed"),
            (&TRADE.replace("5312345678", "1.5"), "malformed"),
            (&TRADE.replace("BTCUSDT", "DOGEUSDT"), "unknown_symbol"),
            (&TRADE.replace("63025.41000000", "NaN"), "bad_price"),
            (&TRADE.replace("\"0.00150000\"", "null"), "bad_size"),
            (&TRADE.replace("1788876782135,", "0,"), "bad_time"),
            (&TRADE.replace("1788876782135,", "1988876782135,"), "bad_time"),
        ] {
            let heard = read(text, Channel::Trade);
            assert_eq!(heard.faults.iter().map(|fault| fault.kind).collect::<Vec<_>>(), [kind], "{text}");
            assert!(heard.events.is_empty(), "{text}");
        }
    }
}
