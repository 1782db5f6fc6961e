//! Entries of the log made of what a venue wrote: trades without an id, quotes, ready-made bars.
//!
//! Promises: the same texts make the same entry. What cannot be read is a fault that names the field by what it means;
//! values that no market can have are the core's to refuse.

use super::text::Decimals;
use crate::actors::ingest::venue::{Context, FrameFault, Instrument};
use crate::models::entry::{Body, Entry, Quote, Trade, TradeId, Updates, VenueBar};
use crate::models::num::Price;
use crate::models::time::{Nanos, Width};

/// What is read, and where to.
pub(super) struct Reader<'a> {
    /// The instrument of the report: it gives the symbol and the scales of its numbers.
    pub instrument: &'a Instrument,
    /// What it is read with.
    pub context: &'a Context<'a>,
    /// Counts numbers that are finer than the symbol's scale.
    pub num_rounded: &'a mut u64,
}

/// The texts of a quote; empty where a side is missing.
pub(super) struct QuoteTexts<'a> {
    pub bid: &'a str,
    pub bid_size: &'a str,
    pub ask: &'a str,
    pub ask_size: &'a str,
}

/// The texts of a bar; `volume` is empty where the venue gives none.
pub(super) struct BarTexts<'a> {
    pub open: &'a str,
    pub high: &'a str,
    pub low: &'a str,
    pub close: &'a str,
    pub volume: &'a str,
}

impl Reader<'_> {
    /// Makes a trade that the venue gives no id: the shell gives it one.
    pub fn trade(
        &mut self,
        ts: Nanos,
        price: &str,
        size: &str,
        updates: Updates,
    ) -> Result<Entry, FrameFault> {
        let (received, source) = (self.context.received, self.context.source);
        let mut decimals = self.decimals();
        let (price, size) = (decimals.price("price", price)?, decimals.size("size", size)?);
        let id = TradeId::default();
        Ok(self.entry(Body::Trade(Trade { ts, received, price, size, seq: 0, id, source, updates })))
    }

    /// Makes a quote.
    pub fn quote(&mut self, ts: Nanos, texts: &QuoteTexts<'_>) -> Result<Entry, FrameFault> {
        let (received, source) = (self.context.received, self.context.source);
        let mut decimals = self.decimals();
        let quote = Quote {
            ts,
            received,
            bid: decimals.price_or_none("bid", texts.bid)?,
            ask: decimals.price_or_none("ask", texts.ask)?,
            bid_size: decimals.size_or_none("bid size", texts.bid_size)?,
            ask_size: decimals.size_or_none("ask size", texts.ask_size)?,
            source,
        };
        Ok(self.entry(Body::Quote(quote)))
    }

    /// Makes a bar. It has neither VWAP nor count.
    pub fn bar(&mut self, start: Nanos, width: Width, texts: &BarTexts<'_>) -> Result<Entry, FrameFault> {
        let (received, source) = (self.context.received, self.context.source);
        let mut decimals = self.decimals();
        let bar = VenueBar {
            start,
            received,
            open: decimals.price("open", texts.open)?,
            high: decimals.price("high", texts.high)?,
            low: decimals.price("low", texts.low)?,
            close: decimals.price("close", texts.close)?,
            volume: decimals.size_or_none("volume", texts.volume)?,
            vwap: Price(0),
            trade_count: 0,
            width_ms: width_ms(width),
            source,
        };
        Ok(self.entry(Body::VenueBar(bar)))
    }

    /// Reads numbers of the report.
    pub fn decimals(&mut self) -> Decimals<'_> {
        Decimals { instrument: self.instrument, num_rounded: self.num_rounded }
    }

    const fn entry(&self, body: Body) -> Entry {
        Entry { pos: 0, symbol: self.instrument.symbol, body }
    }
}

/// Returns a width as a bar has it. One of less than a millisecond has no bar of a venue, and becomes 0, which no window has.
fn width_ms(width: Width) -> u32 {
    const MILLISECOND: i64 = 1_000_000;
    if width.nanos() % MILLISECOND == 0 { u32::try_from(width.nanos() / MILLISECOND).unwrap_or(0) } else { 0 }
}

/// True when a bar is wanted on a page: it starts in its span, and has ended for a venue that is so far behind.
pub(super) fn is_wanted(start: Nanos, width: Width, span: (Nanos, Nanos), now: Nanos) -> bool {
    let (from, to) = span;
    from <= start && start < to && start.plus(width.nanos()) <= now
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::ingest::venue::Instruments;
    use crate::models::entry::SourceId;
    use crate::models::num::{Scale, Size};
    use crate::models::symbol::SymbolId;
    use crate::models::time::{DAY, MINUTE};

    #[test]
    fn texts_become_entries() {
        let instrument = Instrument {
            symbol: SymbolId(4),
            venue_symbol: "EUR/USD".to_owned(),
            price_scale: Scale::new(4).expect("a scale"),
            size_scale: Scale::new(1).expect("a scale"),
        };
        let instruments = Instruments::default();
        let context = Context { instruments: &instruments, source: SourceId(2), received: Nanos(9) };
        let mut num_rounded = 0;
        let mut reader = Reader { instrument: &instrument, context: &context, num_rounded: &mut num_rounded };
        let sides = QuoteTexts { bid: "1.1", bid_size: "", ask: "", ask_size: "3" };
        let quote = Quote {
            ts: Nanos(5),
            received: Nanos(9),
            bid: Price(11_000),
            ask: Price(0),
            bid_size: Size(0),
            ask_size: Size(30),
            source: SourceId(2),
        };
        let expected = Entry { pos: 0, symbol: SymbolId(4), body: Body::Quote(quote) };
        assert_eq!(reader.quote(Nanos(5), &sides), Ok(expected));
        let minute = Width::new(MINUTE).expect("a width");
        let texts = BarTexts { open: "1", high: "2.00005", low: "0.5", close: "1.5", volume: "" };
        let Ok(Entry { body: Body::VenueBar(bar), .. }) = reader.bar(Nanos(MINUTE), minute, &texts) else {
            panic!("a bar");
        };
        assert_eq!(
            (bar.start, bar.width_ms, bar.volume, bar.vwap),
            (Nanos(MINUTE), 60_000, Size(0), Price(0))
        );
        assert_eq!(
            [bar.open, bar.high, bar.low, bar.close].map(|price| price.0),
            [10_000, 20_000, 5_000, 15_000]
        );
        assert_eq!(bar.width(), Some(minute));
        for (size, kind) in [("", "bad_size"), ("x", "bad_size")] {
            let fault = reader.trade(Nanos(5), "1", size, Updates::ALL).expect_err("no size");
            assert_eq!(fault.kind, kind);
        }
        assert_eq!(num_rounded, 1);
        assert_eq!(width_ms(Width::new(DAY).expect("a width")), 86_400_000);
    }

    #[test]
    fn a_bar_that_forms_still_is_not_wanted() {
        let minute = Width::new(MINUTE).expect("a width");
        let wanted =
            |start, now| is_wanted(Nanos(start), minute, (Nanos(MINUTE), Nanos(3 * MINUTE)), Nanos(now));
        assert!(wanted(MINUTE, 2 * MINUTE) && !wanted(MINUTE, 2 * MINUTE - 1));
        assert!(!wanted(0, DAY) && !wanted(3 * MINUTE, DAY) && wanted(2 * MINUTE, DAY));
    }
}
