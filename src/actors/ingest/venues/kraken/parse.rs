//! What a frame of the stream means.
//!
//! The venue tells no time between trades: a heartbeat only shows that it is there. A snapshot repeats trades of the past; its
//! newest one shows whether something was missed, and REST brings what it was. The aggressor's side is not kept: no bar
//! depends on it.

use super::super::numbered::TradeTexts;
use super::super::text::{excerpt, number, unknown_symbol};
use super::config::TRADE;
use super::wire::{Confirmed, Frame, StreamTrade};
use crate::actors::ingest::venue::{Context, FrameFault, Heard, Refusal, Then, VenueEvent};
use crate::models::entry::Entry;
use crate::models::time::Nanos;
use serde_json::value::RawValue;
use std::time::Duration;

/// The stream's times have microseconds. Finer digits are cut, or a trade would have another time over REST.
pub(super) const PRECISION: i64 = 1_000;

/// Pause after the venue complained of too many messages. It says no time of its own.
const RATE_PAUSE: Duration = Duration::from_secs(60);

/// Reads one frame.
pub(super) fn frame(text: &str, context: &Context<'_>, heard: &mut Heard) {
    let frame: Frame<'_> = match serde_json::from_str(text) {
        Ok(frame) => frame,
        Err(error) => {
            return heard.faults.push(FrameFault::malformed("message of this venue", error));
        }
    };
    match (frame.channel.as_deref(), frame.method.as_deref()) {
        (Some(TRADE), _) => trades(&frame, context, heard),
        (Some("heartbeat"), _) => heard.events.push(VenueEvent::Alive),
        (None, Some("subscribe")) => answer(&frame, heard),
        (Some(_), _) | (None, Some(_)) => heard.num_ignored += 1,
        (None, None) => match frame.complaint.as_deref().or(frame.error.as_deref()) {
            Some(said) => heard.events.push(VenueEvent::Refused(refusal(said))),
            None => {
                let fault = FrameFault::malformed("message of this venue", "neither channel nor method");
                heard.faults.push(fault);
            }
        },
    }
}

fn trades(frame: &Frame<'_>, context: &Context<'_>, heard: &mut Heard) {
    let data = frame.data.map_or("null", RawValue::get);
    let trades: Vec<StreamTrade<'_>> = match serde_json::from_str(data) {
        Ok(trades) => trades,
        Err(error) => return heard.faults.push(FrameFault::malformed("list of trades", error)),
    };
    let is_snapshot = frame.kind.as_deref() == Some("snapshot");
    if trades.is_empty() {
        heard.num_ignored += 1;
    }
    let mut newest: Vec<Entry> = Vec::new();
    for trade in &trades {
        let symbol = trade.symbol.as_deref().unwrap_or_default();
        let Some(instrument) = context.instruments.find(symbol) else {
            heard.faults.push(unknown_symbol("symbol", symbol));
            continue;
        };
        let time = trade.timestamp.as_deref().unwrap_or_default();
        let texts = TradeTexts {
            id: number(trade.trade_id),
            price: number(trade.price),
            size: number(trade.qty),
            time,
            read: Nanos::from_rfc3339(time),
            precision: PRECISION,
        };
        match texts.entry(instrument, context, &mut heard.num_rounded) {
            Ok(entry) if is_snapshot => keep_newest(&mut newest, entry),
            Ok(entry) => heard.events.push(VenueEvent::Report(entry)),
            Err(fault) => heard.faults.push(fault),
        }
    }
    heard.events.extend(newest.into_iter().map(VenueEvent::LastTrade));
}

/// Keeps the newest trade of each symbol. A snapshot is of one symbol or of few.
fn keep_newest(newest: &mut Vec<Entry>, entry: Entry) {
    match newest.iter_mut().find(|kept| kept.symbol == entry.symbol) {
        Some(kept) if VenueEvent::trade_number(kept) < VenueEvent::trade_number(&entry) => *kept = entry,
        Some(_) => {}
        None => newest.push(entry),
    }
}

/// Reads the answer to a subscription: there is one for each symbol.
fn answer(frame: &Frame<'_>, heard: &mut Heard) {
    let result = frame.result.map_or("{}", RawValue::get);
    let confirmed: Confirmed<'_> = match serde_json::from_str(result) {
        Ok(confirmed) => confirmed,
        Err(error) => {
            return heard.faults.push(FrameFault::malformed("answer to a subscription", error));
        }
    };
    let is_successful = frame.success == Some(true);
    if is_successful && confirmed.channel.as_deref().is_some_and(|channel| channel != TRADE) {
        heard.num_ignored += 1;
        return;
    }
    let symbol = frame.symbol.as_deref().or(confirmed.symbol.as_deref()).map(str::to_owned);
    let said = frame.error.as_deref().unwrap_or("without a reason");
    heard.events.push(match symbol {
        symbol if is_successful => VenueEvent::Subscribed(symbol),
        Some(symbol) => VenueEvent::NotSubscribed { venue_symbol: Some(symbol), reason: excerpt(said) },
        // What names no symbol is refused as a whole.
        None => VenueEvent::Refused(refusal(said)),
    });
}

fn refusal(said: &str) -> Refusal {
    let is_rate = said.to_ascii_lowercase().contains("rate");
    Refusal { reason: excerpt(said), then: if is_rate { Then::Wait(RATE_PAUSE) } else { Then::Retry } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::ingest::venue::{Instrument, Instruments};
    use crate::models::entry::{Body, SourceId, Trade, TradeId, Updates};
    use crate::models::num::{Price, Scale, Size};
    use crate::models::symbol::SymbolId;

    const RECEIVED: Nanos = Nanos(1_800_000_000_000_000_000);

    fn read(text: &str) -> Heard {
        let instrument = |(at, name): (u32, &str)| Instrument {
            symbol: SymbolId(at),
            venue_symbol: name.to_owned(),
            price_scale: Scale::new(2).expect("at most 12"),
            size_scale: Scale::SIZE,
        };
        let instruments = (0..).zip(["ETH/USD", "BTC/USD"]).map(instrument).collect();
        let instruments = Instruments::new(instruments);
        let context = Context { instruments: &instruments, source: SourceId(7), received: RECEIVED };
        let mut heard = Heard::default();
        frame(text, &context, &mut heard);
        heard
    }

    // The example of the venue's documentation, with other values.
    const TRADE_FRAME: &str = include_str!("../../../../../tests/fixtures/venues/kraken/frame_trade.json");

    fn trade(id: u64) -> Entry {
        let body = Body::Trade(Trade {
            ts: Nanos(1_788_888_955_440_295_000),
            received: RECEIVED,
            price: Price(10_594_420),
            size: Size(27_625),
            seq: 0,
            id: TradeId::number(id),
            source: SourceId(7),
            updates: Updates::ALL,
        });
        Entry { pos: 0, symbol: SymbolId(1), body }
    }

    #[test]
    fn a_trade_has_every_digit() {
        let heard = read(TRADE_FRAME);
        assert_eq!(heard.events, [VenueEvent::Report(trade(10_218_208))]);
        assert_eq!((heard.faults.len(), heard.num_ignored, heard.num_rounded), (0, 0, 0));
        for (from, to) in [
            ("105944.20", "\"105944.20\""),
            ("0.00027625", "2.7625e-4"),
            ("10218208", "\"10218208\""),
            (".440295Z", ".440295999Z"),
            ("\"ord_type\":\"limit\"", "\"ord_type\":7,\"more\":[{}]"),
        ] {
            let other = TRADE_FRAME.replace(from, to);
            assert_ne!(other, TRADE_FRAME, "{from}");
            assert_eq!(read(&other).events, heard.events, "{to}");
        }
        assert_eq!(read(&TRADE_FRAME.replace("105944.20", "105944.2000001")).num_rounded, 1);
    }

    #[test]
    fn a_frame_has_several_trades_and_a_fault_in_one_leaves_the_others() {
        let one = TRADE_FRAME.split_once('[').and_then(|(_, rest)| rest.rsplit_once(']')).expect("a list").0;
        let (bad, next) = (one.replace("BTC/USD", "XBT/USD"), one.replace("10218208", "10218209"));
        let frame = TRADE_FRAME.replace(one, &format!("{one},{bad},{next}"));
        let heard = read(&frame);
        assert_eq!(heard.events, [trade(10_218_208), trade(10_218_209)].map(VenueEvent::Report));
        assert_eq!(heard.faults.iter().map(|fault| fault.kind).collect::<Vec<_>>(), ["unknown_symbol"]);
        // Of a snapshot the newest trade counts, in whatever order they stand.
        let snapshot = TRADE_FRAME
            .replace("\"update\"", "\"snapshot\"")
            .replace(one, &format!("{next},{one},{}", one.replace("BTC/USD", "ETH/USD")));
        let other = Entry { symbol: SymbolId(0), ..trade(10_218_208) };
        assert_eq!(read(&snapshot).events, [trade(10_218_209), other].map(VenueEvent::LastTrade));
    }

    #[test]
    fn answers_tell_each_symbol_and_complaints_end_the_connection() {
        let confirmed = include_str!("../../../../../tests/fixtures/venues/kraken/frame_subscribed.json");
        assert_eq!(read(confirmed).events, [VenueEvent::Subscribed(Some("BTC/USD".to_owned()))]);
        assert_eq!(read(&confirmed.replace("\"trade\"", "\"ticker\"")).num_ignored, 1);
        let refused = include_str!("../../../../../tests/fixtures/venues/kraken/frame_not_subscribed.json");
        let reason = "Currency pair not supported XBT/USD".to_owned();
        let expected = VenueEvent::NotSubscribed { venue_symbol: Some("XBT/USD".to_owned()), reason };
        assert_eq!(read(refused).events, [expected]);
        let unnamed = refused.replace("\"symbol\":\"XBT/USD\",", "");
        for (text, then) in [
            (
                include_str!("../../../../../tests/fixtures/venues/kraken/frame_error.json"),
                Then::Wait(RATE_PAUSE),
            ),
            (&unnamed, Then::Retry),
            (r#"{"Error":"Malformed request"}"#, Then::Retry),
            (r#"{"error":"Malformed request"}"#, Then::Retry),
        ] {
            let events = read(text).events;
            assert!(matches!(&events[..], [VenueEvent::Refused(refusal)] if refusal.then == then), "{text}");
        }
    }

    #[test]
    fn other_frames_are_known_counted_or_faults() {
        let heartbeat = include_str!("../../../../../tests/fixtures/venues/kraken/frame_heartbeat.json");
        assert_eq!(read(heartbeat).events, [VenueEvent::Alive]);
        for text in [
            include_str!("../../../../../tests/fixtures/venues/kraken/frame_status.json"),
            include_str!("../../../../../tests/fixtures/venues/kraken/frame_pong.json"),
            r#"{"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD"}]}"#,
            r#"{"channel":"new","data":7}"#,
            r#"{"channel":"trade","type":"update","data":[]}"#,
        ] {
            let heard = read(text);
            assert_eq!((heard.events.len(), heard.faults.len(), heard.num_ignored), (0, 0, 1), "{text}");
        }
        for (text, kind) in [
            ("", "malformed"),
            ("[]", "malformed"),
            ("{}", "malformed"),
            ("\u{0}\u{fffd}", "malformed"),
            (&TRADE_FRAME[..60], "malformed"),
            (r#"{"channel":"trade","type":"update"}"#, "malformed"),
            (&TRADE_FRAME.replace("10218208", "1.5"), "malformed"),
            (&TRADE_FRAME.replace("105944.20", "null"), "bad_price"),
            (&TRADE_FRAME.replace("0.00027625", "true"), "bad_size"),
            (&TRADE_FRAME.replace("2026-09-08", "2126-09-08"), "bad_time"),
            (&TRADE_FRAME.replace("2026-09-08", "0001-01-01"), "bad_time"),
        ] {
            let heard = read(text);
            assert_eq!(heard.faults.iter().map(|fault| fault.kind).collect::<Vec<_>>(), [kind], "{text}");
            assert!(heard.events.is_empty(), "{text}");
        }
    }
}
