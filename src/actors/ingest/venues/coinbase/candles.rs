//! Ready-made bars over REST: `[time, low, high, open, close, volume]`, newest first. The venue calls them candles.
//!
//! Promises: a bar that still forms, or lies outside the page, is left out; one that cannot be read is a fault and leaves
//! the others alone. The venue gives neither a mean price nor a number of trades, so the bars have none.

use crate::actors::ingest::config::behind;
use crate::actors::ingest::venue::{BarsPage, Context, Cursor, FrameFault, Heard, Request, VenueEvent};
use crate::actors::ingest::venues::text::number;
use crate::models::entry::{Body, Entry, VenueBar};
use crate::models::num::{Price, Scale, Size, parse_decimal};
use crate::models::time::{Nanos, SECOND};
use reqwest::Url;
use serde_json::value::RawValue;

/// Widths that the venue has, in seconds.
const WIDTHS: [i64; 6] = [60, 300, 900, 3_600, 21_600, 86_400];

/// Windows of a page: a request for more is refused.
const PAGE_LEN: i64 = 300;

/// Returns where the page of a cursor begins: at the start of a window, in seconds.
fn begin(page: &BarsPage<'_>) -> Nanos {
    let told =
        page.cursor.and_then(|cursor| cursor.parse().ok()).map(|seconds: i64| seconds.saturating_mul(SECOND));
    told.map_or(page.from, Nanos)
}

/// Returns the start of the last window of a page.
fn last(page: &BarsPage<'_>) -> Nanos {
    let width = page.width.nanos();
    begin(page).plus((PAGE_LEN - 1) * width).min(page.to.plus(-1))
}

/// Returns where a page is; `None` where the venue has no such width.
pub(super) fn request(rest_url: &Url, page: &BarsPage<'_>) -> Option<Request> {
    let granularity = page.width.nanos() / SECOND;
    if page.width.nanos() % SECOND != 0 || !WIDTHS.contains(&granularity) {
        return None;
    }
    let mut url = behind(rest_url, &["products", &page.instrument.venue_symbol, "candles"]);
    url.query_pairs_mut()
        .append_pair("granularity", &granularity.to_string())
        .append_pair("start", &(begin(page).0.div_euclid(SECOND)).to_string())
        .append_pair("end", &(last(page).0.div_euclid(SECOND)).to_string());
    Some(Request::to(url))
}

/// Reads a page. The next one begins where its last window ends, whether or not there was a bar of each.
pub(super) fn read(
    body: &str,
    page: &BarsPage<'_>,
    context: &Context<'_>,
    heard: &mut Heard,
) -> Result<Option<Cursor>, FrameFault> {
    let rows: Vec<Vec<&RawValue>> =
        serde_json::from_str(body).map_err(|error| FrameFault::malformed("page of candles", error))?;
    for row in rows {
        match entry(&row, page, context, &mut heard.num_rounded) {
            Ok(Some(entry)) => heard.events.push(VenueEvent::Report(entry)),
            Ok(None) => {}
            Err(fault) => heard.faults.push(fault),
        }
    }
    let next = page.width.end_of(last(page));
    Ok((next < page.to).then(|| next.0.div_euclid(SECOND).to_string()))
}

/// Makes the entry of a row; `None` where it is left out.
fn entry(
    row: &[&RawValue],
    page: &BarsPage<'_>,
    context: &Context<'_>,
    num_rounded: &mut u64,
) -> Result<Option<Entry>, FrameFault> {
    let fault = |kind, field: &str| FrameFault {
        kind,
        reason: format!("`{field}` of a candle is unusable"),
        venue_symbol: Some(page.instrument.venue_symbol.clone()),
    };
    let column = |at: usize| number(row.get(at).copied());
    let start = column(0).parse().ok().and_then(|seconds: i64| seconds.checked_mul(SECOND)).map(Nanos);
    let start = start.ok_or_else(|| fault("bad_time", "time"))?;
    // Of what is far out of range no end can be told; it is not wanted either.
    if start < page.from || start >= page.to || start.plus(page.width.nanos()) > context.received {
        return Ok(None);
    }
    let mut decimal = |kind, field, at, scale: Scale| {
        let parsed = parse_decimal(column(at).as_bytes(), scale).map_err(|_| fault(kind, field))?;
        *num_rounded += u64::from(parsed.rounded);
        Ok(parsed.raw)
    };
    let prices = page.instrument.price_scale;
    let bar = VenueBar {
        start,
        received: context.received,
        low: Price(decimal("bad_price", "low", 1, prices)?),
        high: Price(decimal("bad_price", "high", 2, prices)?),
        open: Price(decimal("bad_price", "open", 3, prices)?),
        close: Price(decimal("bad_price", "close", 4, prices)?),
        volume: Size(decimal("bad_size", "volume", 5, page.instrument.size_scale)?),
        vwap: Price(0),
        trade_count: 0,
        width_ms: u32::try_from(page.width.nanos() / 1_000_000).expect("a window is at most a day wide"),
        source: context.source,
    };
    Ok(Some(Entry { pos: 0, symbol: page.instrument.symbol, body: Body::VenueBar(bar) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::ingest::venue::{Instrument, Instruments};
    use crate::models::entry::SourceId;
    use crate::models::symbol::SymbolId;
    use crate::models::time::{HOUR, MINUTE, Width};

    const CANDLES: &str = include_str!("../../../../../tests/fixtures/venues/coinbase/bars_candles.json");

    fn instrument() -> Instrument {
        Instrument {
            symbol: SymbolId(1),
            venue_symbol: "BTC-USD".to_owned(),
            price_scale: Scale::PRICE,
            size_scale: Scale::SIZE,
        }
    }

    #[test]
    fn pages_follow_each_other_to_the_end() {
        let (instrument, base) = (instrument(), Url::parse("https://api.example").expect("a URL"));
        let width = Width::new(MINUTE).expect("a width");
        let (from, to) = (Nanos(0), Nanos(6 * HOUR));
        let (instruments, mut cursor, mut asked) = (Instruments::default(), None, Vec::new());
        let context = Context { instruments: &instruments, source: SourceId(0), received: to };
        loop {
            let page = BarsPage { instrument: &instrument, width, from, to, cursor: cursor.as_ref() };
            let url = request(&base, &page).expect("it has minutes").url;
            asked.push(url.query().expect("a query").to_owned());
            match read("[]", &page, &context, &mut Heard::default()).expect("a page") {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        let expected = ["granularity=60&start=0&end=17940", "granularity=60&start=18000&end=21599"];
        assert_eq!(asked, expected);
        let odd = BarsPage {
            instrument: &instrument,
            width: Width::new(2 * MINUTE).expect("a width"),
            from,
            to,
            cursor: None,
        };
        assert_eq!(request(&base, &odd), None);
    }

    #[test]
    fn a_page_has_the_whole_bars_that_were_asked_for() {
        let instrument = instrument();
        let width = Width::new(MINUTE).expect("a width");
        let to = Nanos(1_788_876_060 * SECOND);
        let instruments = Instruments::default();
        let read_at = |received: Nanos, body: &str| {
            let page = BarsPage { instrument: &instrument, width, from: Nanos(0), to, cursor: None };
            let (context, mut heard) =
                (Context { instruments: &instruments, source: SourceId(4), received }, Heard::default());
            read(body, &page, &context, &mut heard).expect("a page");
            heard
        };
        let heard = read_at(to, CANDLES);
        let VenueEvent::Report(Entry { body: Body::VenueBar(bar), .. }) = heard.events[0] else {
            panic!("no bar")
        };
        let expected = VenueBar {
            start: Nanos(1_788_876_000 * SECOND),
            received: to,
            open: Price(68_900_160_000_000),
            high: Price(68_950_500_000_000),
            low: Price(68_890_100_000_000),
            close: Price(68_910_250_000_000),
            volume: Size(1_250_123_456),
            vwap: Price(0),
            trade_count: 0,
            width_ms: 60_000,
            source: SourceId(4),
        };
        assert_eq!((bar, heard.events.len(), heard.faults.len()), (expected, 2, 0));
        assert_eq!(read_at(to.plus(-1), CANDLES).events.len(), 1, "the newest one still forms");
        let kinds = |body: &str| read_at(to, body).faults.iter().map(|fault| fault.kind).collect::<Vec<_>>();
        assert_eq!(
            kinds("[[60,1],[\"x\"],[9223372036854775807,1,1,1,1,1]]"),
            ["bad_price", "bad_time", "bad_time"]
        );
    }
}
