//! What a frame of the stream means.
//!
//! A trade's time has the stream's milliseconds, and its conditions decide what it counts for. Events of kinds that
//! nobody asked for are counted and no faults.

use super::super::conditions::{self, Unsettled};
use super::super::pairs::Market;
use super::config::{Channel, Channels};
use super::identity::{self, Identity};
use super::status;
use super::symbols::market_of;
use super::wire::{self, Event, plain};
use crate::actors::ingest::venue::{Context, FrameFault, Heard, Instrument, VenueEvent};
use crate::actors::ingest::venues::text::{self, Decimals, unknown_symbol};
use crate::models::entry::{Body, Entry, Quote, Trade, Updates, VenueBar};
use crate::models::time::Nanos;

/// The stream's times have milliseconds. REST has nanoseconds, which are cut, or a trade would have two times.
pub(super) const PRECISION: i64 = 1_000_000;

/// Reads frames and past trades.
#[derive(Clone, Debug)]
pub(super) struct Parser {
    /// What is subscribed to.
    pub channels: Channels,
    /// Whether off-hours trades of stocks make prices.
    pub has_extended_hours: bool,
}

impl Parser {
    /// Reads one frame.
    pub fn frame(&self, text: &str, context: &Context<'_>, heard: &mut Heard) {
        let mut num_events = 0;
        let read = wire::events(text, |event| {
            num_events += 1;
            if let Err(fault) = self.event(event, context, heard) {
                heard.faults.push(fault);
            }
        });
        match read {
            Ok(()) if num_events == 0 => heard.num_ignored += 1,
            Ok(()) => {}
            Err(error) => heard.faults.push(FrameFault::malformed("frame of this venue", error)),
        }
    }

    fn event(&self, event: &Event<'_>, context: &Context<'_>, heard: &mut Heard) -> Result<(), FrameFault> {
        let entry = match event.ev {
            "T" => self.trade(event, find("sym", event.sym, context)?, context, heard)?,
            "XT" => self.trade(event, find("pair", event.pair, context)?, context, heard)?,
            "C" => {
                let sides = [event.b, "", event.a, ""];
                quote(find("p", event.p, context)?, event.t, sides, context, heard)?
            }
            "Q" | "XQ" => {
                let (field, symbol) = if event.ev == "Q" { ("sym", event.sym) } else { ("pair", event.pair) };
                let sides = [event.bp, event.bid_size, event.ap, event.ask_size];
                quote(find(field, symbol, context)?, event.t, sides, context, heard)?
            }
            "status" => {
                status::answer(event, &self.channels, heard);
                return Ok(());
            }
            "" => return Err(FrameFault::malformed("message", "`ev` is missing")),
            name => match Channel::find(name).and_then(Channel::bar_width_ms) {
                Some(width_ms) => bar(event, width_ms, context, heard)?,
                None => {
                    heard.num_ignored += 1;
                    return Ok(());
                }
            },
        };
        heard.events.push(VenueEvent::Report(entry));
        Ok(())
    }

    fn trade(
        &self,
        event: &Event<'_>,
        instrument: &Instrument,
        context: &Context<'_>,
        heard: &mut Heard,
    ) -> Result<Entry, FrameFault> {
        let texts = TradeTexts {
            identity: Identity { exchange: event.x, facility: event.trfi, id: event.i },
            price: event.p,
            size: if event.ds.is_empty() { event.s } else { event.ds },
            time: event.t,
            seq: event.q,
            conditions: event.c,
        };
        let trade = self.read_trade(&texts, instrument, context, heard)?;
        Ok(Entry { pos: 0, symbol: instrument.symbol, body: Body::Trade(trade) })
    }

    /// Makes a trade of its texts. Prices and sizes that no trade can have are the core's to refuse, so that its ledger
    /// has them.
    pub fn read_trade(
        &self,
        texts: &TradeTexts<'_>,
        instrument: &Instrument,
        context: &Context<'_>,
        heard: &mut Heard,
    ) -> Result<Trade, FrameFault> {
        let ts = event_time("time", texts.time, instrument, context)?;
        let mut numbers = Decimals { instrument, num_rounded: &mut heard.num_rounded };
        let price = numbers.price("price", texts.price)?;
        let size = numbers.size("size", texts.size)?;
        // It only orders trades of one millisecond; crypto has none.
        let seq = texts.seq.parse().unwrap_or(0);
        let id = match texts.identity.pack(ts) {
            Some(id) => id,
            None => identity::of_content(texts.identity.exchange, ts, price.0, size.0, seq),
        };
        let updates = match market_of(&instrument.venue_symbol) {
            Market::Stocks => {
                let mut unsettled = Unsettled::default();
                let updates =
                    conditions::updates(texts.conditions, ts, self.has_extended_hours, &mut unsettled);
                heard.num_unknown_conditions += unsettled.unknown;
                heard.num_unconfirmed_conditions += unsettled.unconfirmed;
                updates
            }
            // There they say who was the aggressor.
            Market::Crypto | Market::Forex => Updates::ALL,
        };
        let (received, source) = (context.received, context.source);
        Ok(Trade { ts, received, price, size, seq, id, source, updates })
    }
}

/// The texts of a trade, of the stream or of a page; empty where there is none.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TradeTexts<'a> {
    pub identity: Identity<'a>,
    pub price: &'a str,
    pub size: &'a str,
    pub time: &'a str,
    pub seq: &'a str,
    /// The array as it stands.
    pub conditions: &'a str,
}

fn find<'a>(field: &str, symbol: &str, context: &Context<'a>) -> Result<&'a Instrument, FrameFault> {
    let found = context.instruments.find(symbol).or_else(|| context.instruments.find(&plain(symbol)));
    found.ok_or_else(|| unknown_symbol(field, symbol))
}

/// Makes a quote of the texts of bid, its size, ask and its size. A side that is missing is 0.
pub(super) fn quote(
    instrument: &Instrument,
    time: &str,
    [bid, bid_size, ask, ask_size]: [&str; 4],
    context: &Context<'_>,
    heard: &mut Heard,
) -> Result<Entry, FrameFault> {
    let mut numbers = Decimals { instrument, num_rounded: &mut heard.num_rounded };
    let quote = Quote {
        ts: event_time("time", time, instrument, context)?,
        received: context.received,
        bid: numbers.price_or_none("bid", bid)?,
        ask: numbers.price_or_none("ask", ask)?,
        bid_size: numbers.size_or_none("bid size", bid_size)?,
        ask_size: numbers.size_or_none("ask size", ask_size)?,
        source: context.source,
    };
    Ok(Entry { pos: 0, symbol: instrument.symbol, body: Body::Quote(quote) })
}

/// Makes a bar of an event. One that comes again replaces the one before, which the core sees to.
fn bar(
    event: &Event<'_>,
    width_ms: u32,
    context: &Context<'_>,
    heard: &mut Heard,
) -> Result<Entry, FrameFault> {
    let (field, symbol) = if event.sym.is_empty() { ("pair", event.pair) } else { ("sym", event.sym) };
    let texts = BarTexts {
        start: event.s,
        open: event.o,
        high: event.h,
        low: event.l,
        close: event.c,
        volume: if event.dv.is_empty() { event.v } else { event.dv },
        vwap: event.vw,
        trade_count: "",
    };
    texts.entry(find(field, symbol, context)?, width_ms, context, heard)
}

/// The texts of a bar, of the stream or of a page; empty where there is none.
#[derive(Clone, Copy, Debug)]
pub(super) struct BarTexts<'a> {
    pub start: &'a str,
    pub open: &'a str,
    pub high: &'a str,
    pub low: &'a str,
    pub close: &'a str,
    pub volume: &'a str,
    pub vwap: &'a str,
    pub trade_count: &'a str,
}

impl BarTexts<'_> {
    /// Makes the entry.
    pub fn entry(
        &self,
        instrument: &Instrument,
        width_ms: u32,
        context: &Context<'_>,
        heard: &mut Heard,
    ) -> Result<Entry, FrameFault> {
        // The volume of a currency's bar is its number of quotes: taken for a size it would give a wrong VWAP.
        let is_forex = market_of(&instrument.venue_symbol) == Market::Forex;
        let (volume, count) = if is_forex { ("", self.volume) } else { (self.volume, self.trade_count) };
        let mut numbers = Decimals { instrument, num_rounded: &mut heard.num_rounded };
        let bar = VenueBar {
            start: event_time("start", self.start, instrument, context)?,
            received: context.received,
            open: numbers.price("open", self.open)?,
            high: numbers.price("high", self.high)?,
            low: numbers.price("low", self.low)?,
            close: numbers.price("close", self.close)?,
            volume: numbers.size_or_none("volume", volume)?,
            vwap: numbers.price_or_none("vwap", self.vwap)?,
            // Says how much there was and makes no price: one that cannot be read is none.
            trade_count: count.parse().unwrap_or(0),
            width_ms,
            source: context.source,
        };
        Ok(Entry { pos: 0, symbol: instrument.symbol, body: Body::VenueBar(bar) })
    }
}

/// Reads the time of an event.
fn event_time(
    field: &str,
    text: &str,
    instrument: &Instrument,
    context: &Context<'_>,
) -> Result<Nanos, FrameFault> {
    text::event_time(text::epoch(text, PRECISION), field, text, &instrument.venue_symbol, context)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{RECEIVED, one, read};
    use super::*;
    use crate::models::entry::{SourceId, TradeId};
    use crate::models::num::{Price, Size};
    use crate::models::symbol::SymbolId;

    /// The sample of the venue's documentation.
    const TRADE: &str = r#"{"ev":"T","sym":"MSFT","x":4,"i":"12345","z":3,"p":414.125,"s":100,"ds":"100.0","c":[12,37],"t":1788876818784,"q":3681328,"trfi":202,"trft":1788876818771}"#;

    const TS: Nanos = Nanos(1_788_876_818_784_000_000);

    fn kinds(text: &str) -> Vec<&'static str> {
        read(text).faults.iter().map(|fault| fault.kind).collect()
    }

    fn body(text: &str) -> Body {
        match one(read(text)) {
            VenueEvent::Report(entry) => entry.body,
            other => panic!("no report: {other:?}"),
        }
    }

    #[test]
    fn a_trade_has_every_digit_and_counts_for_what_its_conditions_allow() {
        let identity = Identity { exchange: "4", facility: "202", id: "12345" };
        let trade = Trade {
            ts: TS,
            received: RECEIVED,
            price: Price(4_141_250),
            size: Size(10_000_000_000),
            seq: 3_681_328,
            id: identity.pack(TS).expect("it has an id"),
            source: SourceId(7),
            updates: Updates::parse(b"v").expect("a form"),
        };
        let expected = Entry { pos: 0, symbol: SymbolId(0), body: Body::Trade(trade) };
        assert_eq!(one(read(&format!("[{TRADE}]"))), VenueEvent::Report(expected));
        for (from, to) in [
            ("414.125", "\"414.125\""),
            ("414.125", "4.14125e2"),
            ("\"x\":4", "\"x\":\"4\""),
            ("\"i\":\"12345\"", "\"i\":12345"),
            ("1788876818784,", "1788876818784999999,"),
            ("\"ds\":\"100.0\",", ""),
            ("1788876818771", "null"),
            ("\"s\":100,", "\"s\":99,\"new\":{\"a\":[]},"),
        ] {
            assert!(TRADE.contains(from), "{from}");
            let again = one(read(&format!("[{}]", TRADE.replace(from, to))));
            assert_eq!(again, VenueEvent::Report(expected), "{to}");
        }
        let fraction = TRADE.replace("\"100.0\"", "\"0.25\"").replace("\"s\":100", "\"s\":0");
        let Body::Trade(trade) = body(&format!("[{fraction}]")) else { panic!("a trade") };
        assert_eq!(trade.size, Size(25_000_000));
    }

    #[test]
    fn one_frame_brings_events_of_several_kinds_and_symbols() {
        let frame = r#"[{"ev":"T","sym":"AAPL","i":"5096","x":10,"p":161.87,"s":300,"c":[14,41],"t":1788876192462,"q":4009402,"z":3},{"ev":"T","sym":"AMZN","i":"799","x":4,"p":161.87,"s":100,"t":1788876192717,"q":4009434,"z":3},{"ev":"A","sym":"MSFT","v":200,"av":8642007,"op":25.66,"vw":25.3981,"o":25.39,"c":25.39,"h":25.39,"l":25.39,"a":25.3714,"z":50,"s":1788876191000,"e":1788876192000},{"ev":"LULD","T":"MSFT","h":428.96,"l":398.11,"i":[21],"z":3,"t":1788877046310003385,"q":290317}]"#;
        let heard = read(frame);
        let symbols: Vec<_> = heard
            .events
            .iter()
            .map(|event| match event {
                VenueEvent::Report(entry) => (entry.symbol, entry.body.time().0),
                other => panic!("no report: {other:?}"),
            })
            .collect();
        assert_eq!(
            symbols,
            [(SymbolId(1), 1_788_876_192_462_000_000), (SymbolId(0), 1_788_876_191_000_000_000)]
        );
        assert_eq!(heard.faults.iter().map(|fault| fault.kind).collect::<Vec<_>>(), ["unknown_symbol"]);
        assert_eq!(heard.num_ignored, 1);
    }

    #[test]
    fn crypto_trades_have_no_conditions_and_may_lack_an_id() {
        let frame = r#"[{"ev":"XT","pair":"BTC-USD","p":63021.9,"t":1788876007425,"s":0.01616617,"c":[2],"i":"14272084","x":3,"r":1788876007576}]"#;
        let Body::Trade(trade) = body(frame) else { panic!("a trade") };
        assert_eq!(
            (trade.price, trade.size, trade.updates),
            (Price(630_219_000), Size(1_616_617), Updates::ALL)
        );
        let without = frame.replace(r#""i":"14272084","#, "");
        let ids: Vec<TradeId> = [frame, &without, &without.replace("63021.9", "63022.0")]
            .into_iter()
            .map(|frame| match body(frame) {
                Body::Trade(trade) => trade.id,
                other => panic!("no trade: {other:?}"),
            })
            .collect();
        assert!(ids[0] != ids[1] && ids[1] != ids[2], "{ids:?}");
    }

    #[test]
    fn quotes_lack_a_side_where_the_venue_leaves_it_out() {
        let sides = |text: &str| match body(text) {
            Body::Quote(quote) => [quote.bid.0, quote.bid_size.0, quote.ask.0, quote.ask_size.0],
            other => panic!("no quote: {other:?}"),
        };
        let whole = r#"[{"ev":"Q","sym":"MSFT","bx":4,"bp":414.12,"bs":1,"ax":7,"ap":414.13,"as":2,"c":0,"i":[604],"t":1788876818784,"q":50385480,"z":3}]"#;
        assert_eq!(sides(whole), [4_141_200, 100_000_000, 4_141_300, 200_000_000]);
        assert_eq!(sides(&whole.replace(r#""bp":414.12,"bs":1,"#, "")), [0, 0, 4_141_300, 200_000_000]);
        let forex = r#"[{"ev":"C","p":"EUR/USD","x":"44","a":1.09229,"b":1.09227,"t":1788876818784}]"#;
        assert_eq!(sides(forex), [10_923, 0, 10_923, 0], "to the symbol's scale");
        assert_eq!(sides(&forex.replace("EUR/USD", "EUR\\/USD")), sides(forex), "a slash may be escaped");
        let crypto = r#"[{"ev":"XQ","pair":"BTC-USD","bp":63052.7,"bs":0.48,"ap":63053.1,"as":0.601,"t":1788876411115,"x":1,"r":1788876411128}]"#;
        assert_eq!(sides(crypto), [630_527_000, 48_000_000, 630_531_000, 60_100_000]);
    }

    #[test]
    fn bars_have_the_width_of_their_channel() {
        let bar = |text: &str| match body(text) {
            Body::VenueBar(bar) => bar,
            other => panic!("no bar: {other:?}"),
        };
        let minute = bar(
            r#"[{"ev":"AM","sym":"MSFT","v":4110,"dv":"4110.5","av":9470157,"op":0.4372,"vw":0.4488,"o":0.4488,"c":0.4486,"h":0.4489,"l":0.4486,"a":0.4352,"z":685,"s":1788876780000,"e":1788876840000}]"#,
        );
        assert_eq!(minute.start, Nanos(1_788_876_780_000_000_000));
        assert_eq!(
            [minute.open, minute.high, minute.low, minute.close].map(|price| price.0),
            [4_488, 4_489, 4_486, 4_486]
        );
        assert_eq!((minute.volume.0, minute.vwap.0, minute.width_ms), (411_050_000_000, 4_488, 60_000));
        let crypto = bar(
            r#"[{"ev":"XA","pair":"BTC-USD","v":95.6112,"vw":63011.7,"z":0,"o":63000.0,"c":63040.5,"h":63044.0,"l":62990.1,"s":1788876240000,"e":1788876300000}]"#,
        );
        assert_eq!((crypto.volume.0, crypto.width_ms), (9_561_120_000, 60_000));
        let forex = bar(
            r#"[{"ev":"CAS","pair":"EUR/USD","o":1.0923,"c":1.0924,"h":1.0925,"l":1.0922,"v":7,"s":1788876240000}]"#,
        );
        assert_eq!(
            (forex.volume.0, forex.trade_count, forex.width_ms),
            (0, 7, 1_000),
            "a count is no volume"
        );
    }

    #[test]
    fn what_cannot_be_used_is_a_fault_of_its_event_alone() {
        assert_eq!(read("[]").num_ignored, 1);
        let with = |from: &str, to: &str| {
            assert!(TRADE.contains(from), "{from}");
            format!("[{},{TRADE}]", TRADE.replace(from, to))
        };
        for (text, kind) in [
            (with("\"ev\":\"T\",", ""), "malformed"),
            (with("MSFT", "NOPE"), "unknown_symbol"),
            (with("\"sym\":\"MSFT\",", ""), "unknown_symbol"),
            (with("414.125", "\"NaN\""), "bad_price"),
            (with("414.125", "null"), "bad_price"),
            (with("\"100.0\"", "\"x\""), "bad_size"),
            (with("1788876818784", "0"), "bad_time"),
            (with("1788876818784", "\"soon\""), "bad_time"),
            // Five minutes and a millisecond after it was received.
            (with("1788876818784", "1788877200001"), "bad_time"),
        ] {
            assert_eq!(kinds(&text), [kind], "{text}");
            assert_eq!(read(&text).events.len(), 1, "the other trade counts: {text}");
        }
        for text in ["", "x", "[1]", "[[]]", "\u{0}\u{fffd}", &TRADE[..60]] {
            assert_eq!(kinds(text), ["malformed"], "{text}");
        }
        let cut = read(&format!("[{TRADE},{}", &TRADE[..60]));
        assert_eq!((cut.events.len(), cut.faults.len()), (1, 1), "what came whole counts");
    }

    #[test]
    fn conditions_that_nobody_knows_are_counted() {
        let heard = read(&format!(
            "[{},{}]",
            TRADE.replace("[12,37]", "[999,998]"),
            TRADE.replace("[12,37]", "[29]")
        ));
        assert_eq!((heard.num_unknown_conditions, heard.num_unconfirmed_conditions), (1, 1));
    }
}
