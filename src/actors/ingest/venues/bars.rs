//! Ready-made bars of venues that say how many trades are in one and what they were weighted by.
//!
//! Promises: a bar that still forms, that lies outside the page, or that has no trade is left out: a window without trades
//! makes no bar here. A text that cannot be read is a fault, and leaves the other bars alone.

use super::text::{Decimals, unusable};
use crate::actors::ingest::venue::{BarsPage, Context, FrameFault};
use crate::models::entry::{Body, Entry, VenueBar};
use crate::models::num::{Price, Scale, Size, div_half_even, parse_decimal};
use crate::models::time::Nanos;

/// The texts of a bar.
pub(super) struct BarTexts<'a> {
    pub open: &'a str,
    pub high: &'a str,
    pub low: &'a str,
    pub close: &'a str,
    pub volume: &'a str,
    pub weight: Weight<'a>,
    pub trade_count: &'a str,
}

/// How a bar says its mean price.
pub(super) enum Weight<'a> {
    /// As such.
    Vwap(&'a str),
    /// By the sum of price × size.
    Notional(&'a str),
}

/// Makes the entry of a bar; `None` where it is left out.
pub(super) fn entry(
    start: Nanos,
    texts: &BarTexts<'_>,
    page: &BarsPage<'_>,
    context: &Context<'_>,
    num_rounded: &mut u64,
) -> Result<Option<Entry>, FrameFault> {
    let width = page.width.nanos();
    let is_wanted = page.from <= start && start < page.to && start.plus(width) <= context.received;
    let instrument = page.instrument;
    let count = texts.trade_count;
    let trade_count: u32 =
        count.parse().map_err(|_| unusable("malformed", "trade count", count, &instrument.venue_symbol))?;
    if !is_wanted || trade_count == 0 {
        return Ok(None);
    }
    let mut decimals = Decimals { instrument, num_rounded };
    let volume = decimals.size("volume", texts.volume)?;
    // A mean is rounded as ours is, which is no loss of what the venue wrote.
    let mut num_rounded = 0;
    let mut means = Decimals { instrument, num_rounded: &mut num_rounded };
    let vwap = match texts.weight {
        Weight::Vwap(text) => means.price("vwap", text)?,
        Weight::Notional(text) => mean(text, volume, instrument.price_scale, instrument.size_scale),
    };
    let bar = VenueBar {
        start,
        received: context.received,
        open: decimals.price("open", texts.open)?,
        high: decimals.price("high", texts.high)?,
        low: decimals.price("low", texts.low)?,
        close: decimals.price("close", texts.close)?,
        volume,
        vwap,
        trade_count,
        width_ms: u32::try_from(width / 1_000_000).expect("a window is at most a day wide"),
        source: context.source,
    };
    Ok(Some(Entry { pos: 0, symbol: instrument.symbol, body: Body::VenueBar(bar) }))
}

/// Returns notional / volume as a price; 0, which is none, where that cannot be.
fn mean(notional: &str, volume: Size, price_scale: Scale, size_scale: Scale) -> Price {
    let divided = || {
        let notional = parse_decimal(notional.as_bytes(), Scale::SIZE).ok()?.raw;
        let scaled = i128::from(notional)
            .checked_mul(i128::from(price_scale.factor()))?
            .checked_mul(i128::from(size_scale.factor()))?;
        let divisor = i128::from(volume.0).checked_mul(i128::from(Scale::SIZE.factor()))?;
        (divisor > 0).then(|| i64::try_from(div_half_even(scaled, divisor)).ok())?
    };
    Price(divided().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::ingest::venue::{Instrument, Instruments};
    use crate::models::entry::SourceId;
    use crate::models::symbol::SymbolId;
    use crate::models::time::{MINUTE, Width};

    #[test]
    fn a_bar_is_whole_wanted_and_has_trades() {
        let instrument = Instrument {
            symbol: SymbolId(2),
            venue_symbol: "BTCUSDT".to_owned(),
            price_scale: Scale::new(2).expect("a scale"),
            size_scale: Scale::SIZE,
        };
        let width = Width::new(MINUTE).expect("a width");
        let (from, to) = (Nanos(10 * MINUTE), Nanos(20 * MINUTE));
        let page = BarsPage { instrument: &instrument, width, from, to, cursor: None };
        let instruments = Instruments::default();
        let received = Nanos(15 * MINUTE);
        let context = Context { instruments: &instruments, source: SourceId(4), received };
        let texts = |trade_count, weight| BarTexts {
            open: "100.25",
            high: "101",
            low: "99.5",
            close: "100",
            volume: "3",
            weight,
            trade_count,
        };
        let read = |start: i64, count, weight| {
            entry(Nanos(start * MINUTE), &texts(count, weight), &page, &context, &mut 0)
        };
        let expected = VenueBar {
            start: Nanos(14 * MINUTE),
            received,
            open: Price(10_025),
            high: Price(10_100),
            low: Price(9_950),
            close: Price(10_000),
            volume: Size(300_000_000),
            vwap: Price(10_017),
            trade_count: 7,
            width_ms: 60_000,
            source: SourceId(4),
        };
        for weight in [Weight::Vwap("100.17"), Weight::Vwap("100.1704"), Weight::Notional("300.5")] {
            let bar = read(14, "7", weight).expect("a bar").expect("wanted");
            assert_eq!((bar.symbol, bar.body), (SymbolId(2), Body::VenueBar(expected)));
        }
        for (start, count) in [(15, "7"), (9, "7"), (20, "7"), (14, "0")] {
            assert_eq!(read(start, count, Weight::Vwap("100")), Ok(None), "{start} {count}");
        }
        assert_eq!(read(14, "x", Weight::Vwap("100")).expect_err("none").kind, "malformed");
        assert_eq!(read(14, "7", Weight::Vwap("x")).expect_err("none").kind, "bad_price");
        let unknown = read(14, "7", Weight::Notional("x")).expect("a bar").expect("wanted");
        assert!(matches!(unknown.body, Body::VenueBar(bar) if bar.vwap == Price(0)));
    }
}
