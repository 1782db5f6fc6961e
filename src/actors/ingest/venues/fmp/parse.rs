//! What a frame of the stream means.
//!
//! There are no ids, sequences or sale conditions: odd lots and late prints cannot be told from others, and the shell tells
//! trades apart by what they say. The last price that a quote repeats is no trade.

use super::wire::Frame;
use crate::actors::ingest::venue::{Context, FrameFault, Heard, Instrument, Refusal, Step, Then, VenueEvent};

use crate::actors::ingest::venues::reports::{QuoteTexts, Reader};
use crate::actors::ingest::venues::text::{epoch, event_time, number, object, unknown_symbol};
use crate::models::asset_class::is_joined_forex;
use crate::models::entry::Updates;
use crate::models::time::Nanos;
use std::borrow::Cow;
use std::time::Duration;

/// The stream's finest times have nanoseconds, and no other way brings its trades.
const PRECISION: i64 = 1;

/// How long to stay away when another client took the key over: two that come back at once would throw each other out for ever.
const TAKEN_OVER_PAUSE: Duration = Duration::from_secs(60);

/// Reads one frame. `has_quotes`: the quotes of shares and coins are wanted too.
pub(super) fn frame(text: &str, has_quotes: bool, context: &Context<'_>, heard: &mut Heard) {
    let frame: Frame<'_> = match object("message of this venue", text) {
        Ok(frame) => frame,
        Err(fault) => return heard.faults.push(fault),
    };
    match &frame.event {
        Some(event) => status(event, &frame, heard),
        None if frame.s.is_some() => data(&frame, has_quotes, context, heard),
        None => heard.num_ignored += 1,
    }
}

/// A frame that speaks of the connection. The texts of acknowledgements are not documented, so their status alone counts.
fn status(event: &str, frame: &Frame<'_>, heard: &mut Heard) {
    let is_good = number(frame.status) == "200";
    let said = frame.message.as_deref().unwrap_or_default();
    let told = match event {
        "login" if is_good => VenueEvent::Next(Step::Subscribe),
        "login" => refused(
            said,
            if contains(said, "another location") { Then::Wait(TAKEN_OVER_PAUSE) } else { Then::Stop },
        ),
        "subscribe" if is_good => VenueEvent::Subscribed(None),
        // Another try asks for the same symbols, and their number does not fall.
        "subscribe" => refused(said, if contains(said, "limit") { Then::Stop } else { Then::Retry }),
        "heartbeat" => VenueEvent::Alive,
        _ => {
            heard.num_ignored += 1;
            return;
        }
    };
    heard.events.push(told);
}

fn refused(said: &str, then: Then) -> VenueEvent {
    let reason = if said.is_empty() { "without a reason" } else { said };
    VenueEvent::Refused(Refusal { reason: reason.to_owned(), then })
}

fn contains(said: &str, words: &str) -> bool {
    said.to_ascii_lowercase().contains(words)
}

fn data(frame: &Frame<'_>, has_quotes: bool, context: &Context<'_>, heard: &mut Heard) {
    let said = frame.s.as_deref().unwrap_or_default();
    let Some(instrument) = find(said, context) else {
        return heard.faults.push(unknown_symbol("s", said));
    };
    let has_sides = frame.ap.is_some() || frame.bp.is_some();
    let read = match frame.kind.as_deref() {
        Some("T") => report(frame, instrument, context, heard),
        Some("B") => cancelled(frame, instrument, context, heard),
        Some("Q") | None if has_sides && (has_quotes || is_joined_forex(&instrument.venue_symbol)) => {
            quote(frame, instrument, context, heard)
        }
        _ => {
            heard.num_ignored += 1;
            return;
        }
    };
    match read {
        Ok(event) => heard.events.push(event),
        Err(fault) => heard.faults.push(fault),
    }
}

/// Finds a symbol. The venue writes lower case; another spelling is the same symbol.
fn find<'a>(said: &str, context: &Context<'a>) -> Option<&'a Instrument> {
    context.instruments.find(said).or_else(|| {
        let lower: Cow<'_, str> = said.to_ascii_lowercase().into();
        context.instruments.find(&lower)
    })
}

fn time(frame: &Frame<'_>, instrument: &Instrument, context: &Context<'_>) -> Result<Nanos, FrameFault> {
    let text = number(frame.t);
    event_time(epoch(text, PRECISION), "t", text, &instrument.venue_symbol, context)
}

fn report(
    frame: &Frame<'_>,
    instrument: &Instrument,
    context: &Context<'_>,
    heard: &mut Heard,
) -> Result<VenueEvent, FrameFault> {
    let ts = time(frame, instrument, context)?;
    let mut reader = Reader { instrument, context, num_rounded: &mut heard.num_rounded };
    reader.trade(ts, number(frame.lp), number(frame.ls), Updates::ALL).map(VenueEvent::Report)
}

/// A break names its trade by price and size.
fn cancelled(
    frame: &Frame<'_>,
    instrument: &Instrument,
    context: &Context<'_>,
    heard: &mut Heard,
) -> Result<VenueEvent, FrameFault> {
    let ts = time(frame, instrument, context)?;
    let mut reader = Reader { instrument, context, num_rounded: &mut heard.num_rounded };
    let mut decimals = reader.decimals();
    let (price, size) = (decimals.price("lp", number(frame.lp))?, decimals.size("ls", number(frame.ls))?);
    Ok(VenueEvent::Break { symbol: instrument.symbol, ts, price, size })
}

fn quote(
    frame: &Frame<'_>,
    instrument: &Instrument,
    context: &Context<'_>,
    heard: &mut Heard,
) -> Result<VenueEvent, FrameFault> {
    let ts = time(frame, instrument, context)?;
    let sides = QuoteTexts {
        bid: number(frame.bp),
        bid_size: number(frame.bs),
        ask: number(frame.ap),
        ask_size: number(frame.ask_size),
    };
    let mut reader = Reader { instrument, context, num_rounded: &mut heard.num_rounded };
    reader.quote(ts, &sides).map(VenueEvent::Report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::ingest::venues::fixture::{RECEIVED, hear};
    use crate::models::entry::{Body, Entry, Quote, SourceId, Trade, TradeId};
    use crate::models::num::{Price, Size};
    use crate::models::symbol::SymbolId;

    fn read_with(text: &str, has_quotes: bool) -> Heard {
        let symbols = ["aapl", "btcusd", "eurusd"];
        hear(&symbols, [5, 1], |context, heard| frame(text, has_quotes, context, heard))
    }

    fn read(text: &str) -> Heard {
        read_with(text, false)
    }

    const TRADE: &str = r#"{"s":"aapl","t":1788876818784000000,"type":"T","lp":229.51,"ls":100}"#;
    const QUOTE: &str = r#"{"s":"aapl","t":1788876818790000000,"type":"Q","ap":229.52,"as":300,"bp":229.5,"bs":100,"lp":229.51,"ls":100}"#;

    #[test]
    fn trades_and_breaks_are_reports_and_the_last_price_of_a_quote_is_none() {
        let trade = Trade {
            ts: Nanos(1_788_876_818_784_000_000),
            received: RECEIVED,
            price: Price(22_951_000),
            size: Size(1_000),
            seq: 0,
            id: TradeId::default(),
            source: SourceId(7),
            updates: Updates::ALL,
        };
        let expected = [VenueEvent::Report(Entry { pos: 0, symbol: SymbolId(0), body: Body::Trade(trade) })];
        assert_eq!(read(TRADE).events, expected);
        let spelled =
            TRADE.replace("229.51", "\"229.510\"").replace("aapl", "AAPL").replace("784000000,", "784,");
        assert_eq!(read(&spelled).events, expected, "text for numbers, another case, milliseconds");
        let (ts, price, size) = (trade.ts, trade.price, trade.size);
        let cancel = VenueEvent::Break { symbol: SymbolId(0), ts, price, size };
        assert_eq!(read(&TRADE.replace("\"T\"", "\"B\"")).events, [cancel]);
        let ignored = read(QUOTE);
        assert_eq!((ignored.events.len(), ignored.num_ignored), (0, 1));
    }

    #[test]
    fn quotes_are_read_of_currencies_and_where_they_are_asked_for() {
        let heard = read_with(QUOTE, true);
        let [VenueEvent::Report(Entry { body: Body::Quote(quote), .. })] = heard.events[..] else {
            panic!("{heard:?}");
        };
        let expected = Quote {
            ts: Nanos(1_788_876_818_790_000_000),
            received: RECEIVED,
            bid: Price(22_950_000),
            ask: Price(22_952_000),
            bid_size: Size(1_000),
            ask_size: Size(3_000),
            source: SourceId(7),
        };
        assert_eq!(quote, expected);
        let forex = r#"{"s":"eurusd","t":1788876818784,"ap":1.09229,"bp":1.09227,"as":null}"#;
        assert!(matches!(read(forex).events[..], [VenueEvent::Report(Entry { body: Body::Quote(_), .. })]));
        let coin = r#"{"s":"btcusd","t":1788876818784,"e":"binance","type":"Q","ap":63052.7,"as":0.5,"bp":63052.6,"bs":0.8}"#;
        assert_eq!((read(coin).num_ignored, read_with(coin, true).events.len()), (1, 1));
    }

    #[test]
    fn what_the_venue_says_of_the_connection_has_its_answer() {
        let refusal = |text: &str| match read(text).events.as_slice() {
            [VenueEvent::Refused(refusal)] => refusal.clone(),
            events => panic!("{text}: {events:?}"),
        };
        let of = |event: &str, status: &str, message: &str| {
            format!(r#"{{"event":"{event}","status":{status},"message":"{message}"}}"#)
        };
        assert_eq!(read(&of("login", "200", "Authenticated")).events, [VenueEvent::Next(Step::Subscribe)]);
        assert_eq!(read(&of("login", "\"200\"", "Hi")).events, [VenueEvent::Next(Step::Subscribe)]);
        assert_eq!(read(&of("subscribe", "200", "whatever")).events, [VenueEvent::Subscribed(None)]);
        assert_eq!(read(r#"{"event":"heartbeat","timestamp":5}"#).events, [VenueEvent::Alive]);
        for (event, message, then) in [
            ("login", "Unauthorized", Then::Stop),
            ("login", "You are not authorized to use this", Then::Stop),
            ("login", "Connected from another location", Then::Wait(TAKEN_OVER_PAUSE)),
            ("subscribe", "You reached the limit of subscriptions: 100 symbols", Then::Stop),
            ("subscribe", "Unauthorized", Then::Retry),
        ] {
            let refusal = refusal(&of(event, "401", message));
            assert_eq!((refusal.reason.as_str(), refusal.then), (message, then));
        }
        for text in [of("unsubscribe", "200", ""), of("news", "200", ""), "{}".to_owned()] {
            assert_eq!(read(&text).num_ignored, 1, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_a_fault() {
        let ahead = (RECEIVED.0 + 6 * 60_000_000_000).to_string();
        for (text, kind) in [
            ("", "malformed"),
            ("[]", "malformed"),
            ("\u{0}\u{fffd}", "malformed"),
            (&TRADE[..40], "malformed"),
            (&TRADE.replace("aapl", "tsla"), "unknown_symbol"),
            (&TRADE.replace("229.51", "null"), "bad_price"),
            (&TRADE.replace("229.51", "\"NaN\""), "bad_price"),
            (&TRADE.replace(":100", ":null"), "bad_size"),
            (&TRADE.replace("1788876818784000000", "0"), "bad_time"),
            (&TRADE.replace("1788876818784000000", "null"), "bad_time"),
            (&TRADE.replace("1788876818784000000", &ahead), "bad_time"),
        ] {
            let heard = read(text);
            assert_eq!(heard.faults.iter().map(|fault| fault.kind).collect::<Vec<_>>(), [kind], "{text}");
            assert!(heard.events.is_empty(), "{text}");
        }
        assert_eq!(read(&TRADE.replace("\"T\"", "\"X\"")).num_ignored, 1, "kinds to come are skipped");
    }
}
