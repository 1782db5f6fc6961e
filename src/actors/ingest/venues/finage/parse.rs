//! What a frame of the stream means.
//!
//! Nothing in a frame says what it is: its keys do. There are no ids, sequences or corrections; the shell tells trades apart
//! by what they say. Prices without a size, such as those of indices, are no trades. The codes of sale conditions are not
//! documented, so every trade counts for everything unless the user takes them for those of Polygon, as which they look;
//! off-exchange prints (`dp`) are on the tape like others.

use super::config::Reading;
use super::wire::Frame;
use crate::actors::ingest::venue::{Context, FrameFault, Heard, Instrument, Refusal, Step, Then, VenueEvent};
use crate::actors::ingest::venues::conditions::{self, Unsettled};
use crate::actors::ingest::venues::reports::{QuoteTexts, Reader};
use crate::actors::ingest::venues::text::{epoch, event_time, number, object, unknown_symbol};
use crate::models::entry::{Entry, Updates};
use crate::models::time::Nanos;
use serde_json::value::RawValue;
use std::time::Duration;

/// The stream's times have milliseconds.
const PRECISION: i64 = 1_000_000;

/// How long to stay away from a venue that says that it was asked too much.
const LIMIT_PAUSE: Duration = Duration::from_secs(60);

/// Words of refusals that another try does not change, where they come without a code.
const FATAL: [&str; 3] = ["invalid socket key", "use your socket key", "upgrade your package"];

/// Reads one frame.
pub(super) fn frame(text: &str, reading: Reading, context: &Context<'_>, heard: &mut Heard) {
    let frame: Frame<'_> = match object("message of this venue", text) {
        Ok(frame) => frame,
        Err(fault) => return heard.faults.push(fault),
    };
    if frame.s.is_some() {
        data(&frame, reading, context, heard);
    } else {
        status(&frame, heard);
    }
}

/// A frame that speaks of the connection. Its texts differ by age of the server, so that their beginning counts.
fn status(frame: &Frame<'_>, heard: &mut Heard) {
    let said = frame.message.as_deref().or(frame.error.as_deref()).unwrap_or_default();
    let lower = said.to_ascii_lowercase();
    let refused = |then| VenueEvent::Refused(Refusal { reason: said.to_owned(), then });
    let is_fatal = FATAL.iter().any(|words| lower.contains(words));
    heard.events.push(match number(frame.status_code) {
        "401" | "403" => refused(Then::Stop),
        _ if is_fatal => refused(Then::Stop),
        "429" => refused(Then::Wait(LIMIT_PAUSE)),
        code if code.starts_with(['4', '5']) => refused(Then::Retry),
        _ if frame.error.is_some() => refused(Then::Retry),
        _ if lower.starts_with("connected") => VenueEvent::Next(Step::Subscribe),
        _ if lower.starts_with("subscribed") => VenueEvent::Subscribed(None),
        _ => {
            heard.num_ignored += 1;
            return;
        }
    });
}

fn data(frame: &Frame<'_>, reading: Reading, context: &Context<'_>, heard: &mut Heard) {
    let said = frame.s.as_deref().unwrap_or_default();
    let Some(instrument) = context.instruments.find(said) else {
        return heard.faults.push(unknown_symbol("s", said));
    };
    let sides = [frame.a.or(frame.ap), frame.b.or(frame.bp)];
    let read = match (frame.p, frame.v.or(frame.q)) {
        (Some(price), Some(size)) => trade(frame, reading, (price, size), instrument, context, heard),
        (None, _)
            if sides.iter().any(Option::is_some)
                && (reading.has_quotes || is_forex(&instrument.venue_symbol)) =>
        {
            quote(frame, sides, instrument, context, heard)
        }
        _ => {
            heard.num_ignored += 1;
            return;
        }
    };
    match read {
        Ok(entry) => heard.events.push(VenueEvent::Report(entry)),
        Err(fault) => heard.faults.push(fault),
    }
}

/// True for a pair of currencies: the stream writes a slash in those, and in no other symbol.
pub(super) fn is_forex(venue_symbol: &str) -> bool {
    venue_symbol.contains('/')
}

fn time(frame: &Frame<'_>, instrument: &Instrument, context: &Context<'_>) -> Result<Nanos, FrameFault> {
    let text = number(frame.t);
    event_time(epoch(text, PRECISION), "t", text, &instrument.venue_symbol, context)
}

fn trade(
    frame: &Frame<'_>,
    reading: Reading,
    (price, size): (&RawValue, &RawValue),
    instrument: &Instrument,
    context: &Context<'_>,
    heard: &mut Heard,
) -> Result<Entry, FrameFault> {
    let ts = time(frame, instrument, context)?;
    let mut updates = Updates::ALL;
    if reading.has_conditions {
        let mut unsettled = Unsettled::default();
        updates = conditions::updates(number(frame.c), ts, true, &mut unsettled);
        heard.num_unknown_conditions += unsettled.unknown;
        heard.num_unconfirmed_conditions += unsettled.unconfirmed;
    }
    let mut reader = Reader { instrument, context, num_rounded: &mut heard.num_rounded };
    reader.trade(ts, number(Some(price)), number(Some(size)), updates)
}

fn quote(
    frame: &Frame<'_>,
    [ask, bid]: [Option<&RawValue>; 2],
    instrument: &Instrument,
    context: &Context<'_>,
    heard: &mut Heard,
) -> Result<Entry, FrameFault> {
    let ts = time(frame, instrument, context)?;
    let sides = QuoteTexts {
        bid: number(bid),
        bid_size: number(frame.bs),
        ask: number(ask),
        ask_size: number(frame.ask_size),
    };
    Reader { instrument, context, num_rounded: &mut heard.num_rounded }.quote(ts, &sides)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::ingest::venues::fixture::{RECEIVED, hear};
    use crate::models::entry::{Body, Quote, SourceId, Trade, TradeId};
    use crate::models::num::{Price, Size};

    const QUOTES: Reading = Reading { has_quotes: true, has_conditions: false };

    fn read_with(text: &str, reading: Reading) -> Heard {
        let symbols = ["AAPL", "BTCUSD", "EUR/USD", "SPY"];
        hear(&symbols, [9, 8], |context, heard| frame(text, reading, context, heard))
    }

    fn read(text: &str) -> Heard {
        read_with(text, Reading::default())
    }

    fn entry(heard: &Heard) -> Body {
        match heard.events.as_slice() {
            [VenueEvent::Report(entry)] => entry.body,
            _ => panic!("{heard:?}"),
        }
    }

    const STOCK: &str = r#"{"s":"AAPL","p":163.58,"c":[37],"v":50,"dp":false,"t":1788876954689}"#;
    const COIN: &str =
        r#"{"s":"BTCUSD","p":"63682.66306523","q":"0.04582","dex":false,"src":"A","t":1788876298290}"#;
    const STOCK_QUOTE: &str = r#"{"s":"AAPL","ap":189.3,"bp":189.27,"as":3,"bs":1,"t":1788876004431}"#;
    const FOREX: &str =
        r#"{"s":"EUR/USD","a":1.09229,"b":1.09227,"dd":"-0.0108","ppms":false,"t":1788876338000}"#;

    #[test]
    fn trades_are_told_by_their_keys() {
        let trade = |ts, price, size| {
            Body::Trade(Trade {
                ts: Nanos(ts),
                received: RECEIVED,
                price: Price(price),
                size: Size(size),
                seq: 0,
                id: TradeId::default(),
                source: SourceId(7),
                updates: Updates::ALL,
            })
        };
        let stock = trade(1_788_876_954_689_000_000, 163_580_000_000, 5_000_000_000);
        assert_eq!(entry(&read(STOCK)), stock);
        let spelled = STOCK.replace("163.58", "\"163.580\"").replace("89}", "89999}");
        assert_eq!(entry(&read(&spelled)), stock, "text for numbers, microseconds");
        assert_eq!(entry(&read(COIN)), trade(1_788_876_298_290_000_000, 63_682_663_065_230, 4_582_000));
        let changed = COIN.replace("\"dex\":false,\"src\":\"A\"", "\"dc\":\"1.4\",\"dd\":\"0.1\"");
        assert_eq!(entry(&read(&changed)), entry(&read(COIN)));
        let index = r#"{"s":"SPY","p":"458.61","dc":"-0.42","dd":"-1.92","t":1788876608}"#;
        assert_eq!(read(index).num_ignored, 1, "a price without a size is no trade");
    }

    #[test]
    fn conditions_say_what_a_trade_counts_for_where_they_are_believed() {
        let reading = Reading { has_quotes: false, has_conditions: true };
        let updates = |text: &str, reading| match entry(&read_with(text, reading)) {
            Body::Trade(trade) => trade.updates.as_str(),
            other => panic!("no trade: {other:?}"),
        };
        assert_eq!((updates(STOCK, reading), updates(STOCK, Reading::default())), ("v", "hcv"));
        for text in [STOCK.replace("\"c\":[37],", ""), STOCK.replace("[37]", "null"), COIN.to_owned()] {
            assert_eq!(updates(&text, reading), "hcv", "{text}");
        }
        let heard = read_with(&STOCK.replace("[37]", "[999,29]"), reading);
        assert_eq!((heard.num_unknown_conditions, heard.num_unconfirmed_conditions), (1, 1));
    }

    #[test]
    fn quotes_are_read_of_currencies_and_where_they_are_asked_for() {
        let quote = |ts, bid, ask, bid_size, ask_size| {
            Body::Quote(Quote {
                ts: Nanos(ts),
                received: RECEIVED,
                bid: Price(bid),
                ask: Price(ask),
                bid_size: Size(bid_size),
                ask_size: Size(ask_size),
                source: SourceId(7),
            })
        };
        let forex = quote(1_788_876_338_000_000_000, 1_092_270_000, 1_092_290_000, 0, 0);
        assert_eq!(entry(&read(FOREX)), forex);
        let stock =
            quote(1_788_876_004_431_000_000, 189_270_000_000, 189_300_000_000, 100_000_000, 300_000_000);
        assert_eq!(entry(&read_with(STOCK_QUOTE, QUOTES)), stock);
        let other = STOCK_QUOTE.replace("\"ap\"", "\"a\"").replace("\"bp\"", "\"b\"");
        assert_eq!(entry(&read_with(&other, QUOTES)), stock, "the other model");
        assert_eq!(read(STOCK_QUOTE).num_ignored, 1);
    }

    #[test]
    fn what_the_venue_says_of_the_connection_has_its_answer() {
        let subscribe = [VenueEvent::Next(Step::Subscribe)];
        for text in [
            r#"{"status_code":200,"message":"connected to the adapter","id":"e0fb1b68"}"#,
            r#"{"status_code":200,"message":"Connected to the U.S Market source."}"#,
            r#"{"message":"Connected to the Forex Market source."}"#,
        ] {
            assert_eq!(read(text).events, subscribe, "{text}");
        }
        for text in [
            r#"{"status_code":200,"message":"authorizing","id":"e0fb1b68"}"#,
            r#"{"message":"Authorizing..."}"#,
            "{}",
        ] {
            assert_eq!((read(text).num_ignored, read(text).events), (1, vec![]), "{text}");
        }
        for (text, then) in [
            (r#"{"status_code":401,"message":"invalid socket key"}"#, Then::Stop),
            (r#"{"status_code":"401","message":"use your socket key to connect"}"#, Then::Stop),
            (r#"{"message":"Please upgrade your package to access this market"}"#, Then::Stop),
            (r#"{"status_code":429,"message":"slow down"}"#, Then::Wait(LIMIT_PAUSE)),
            (r#"{"status_code":500,"message":"oops"}"#, Then::Retry),
            (r#"{"error":"Please check the symbol and try again."}"#, Then::Retry),
        ] {
            match read(text).events.as_slice() {
                [VenueEvent::Refused(refusal)] => {
                    assert_eq!(refusal.then, then, "{text}");
                    assert!(text.contains(&refusal.reason), "{text}");
                }
                events => panic!("{text}: {events:?}"),
            }
        }
    }

    #[test]
    fn what_cannot_be_read_is_a_fault() {
        let ahead = (RECEIVED.0 / 1_000_000 + 6 * 60_000).to_string();
        for (text, kind) in [
            ("", "malformed"),
            ("[]", "malformed"),
            ("\u{0}\u{fffd}", "malformed"),
            (&STOCK[..40], "malformed"),
            (&STOCK.replace("AAPL", "TSLA"), "unknown_symbol"),
            (&STOCK.replace("163.58", "\"NaN\""), "bad_price"),
            (&STOCK.replace("50", "true"), "bad_size"),
            (&STOCK.replace("1788876954689", "0"), "bad_time"),
            (&STOCK.replace("1788876954689", &ahead), "bad_time"),
        ] {
            let heard = read(text);
            assert_eq!(heard.faults.iter().map(|fault| fault.kind).collect::<Vec<_>>(), [kind], "{text}");
            assert!(heard.events.is_empty(), "{text}");
        }
    }
}
