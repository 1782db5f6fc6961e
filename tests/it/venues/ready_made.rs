//! Ready-made bars of venues that say all of a bar: asked for by the venue, answered by its dialect, and held against what the
//! trades come to.

use super::fake::market::{MarketBar, bars};
use super::fake::{Dialect, HttpRequest, Past};
use super::live::made_market;
use tickwire::actors::ingest::config::VenueConfig;
use tickwire::actors::ingest::registry;
use tickwire::actors::ingest::venue::{
    BarsPage, Context, Heard, Instrument, Instruments, Request, VenueEvent,
};
use tickwire::models::entry::{Body, SourceId, VenueBar};
use tickwire::models::num::Scale;
use tickwire::models::symbol::SymbolId;
use tickwire::models::time::{MINUTE, Nanos, Width};

/// Returns a request as the fake would read it.
fn sent(request: &Request) -> HttpRequest {
    let query = request.url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned()));
    HttpRequest { path: request.url.path().to_owned(), query: query.collect(), headers: Vec::new() }
}

/// Asks a venue for all bars of a width that have ended, and holds them against those of the trades.
pub fn are_those_of_the_trades(dialect: &'static dyn Dialect, minutes: i64) {
    let entry = registry::find(dialect.name()).unwrap();
    let venue = (entry.open)(&VenueConfig::default());
    let trades = made_market(dialect, 1_500);
    let symbols = dialect.symbols().map(str::to_owned);
    let now = trades.last().unwrap().ts;
    let past = Past { trades: &trades, forgotten: &[], now, symbols: &symbols, rest_url: "" };
    let width = Width::new(minutes * MINUTE).unwrap();
    for symbol in &symbols {
        let instrument = Instrument {
            symbol: SymbolId(0),
            venue_symbol: venue.spell(symbol).unwrap().venue_symbol,
            price_scale: Scale::PRICE,
            size_scale: Scale::PRICE,
        };
        let instruments = Instruments::new(vec![instrument.clone()]);
        let context = Context { instruments: &instruments, source: SourceId(0), received: Nanos(now) };
        let from = width.start_of(Nanos(trades[0].ts));
        let (mut cursor, mut found) = (None, Vec::new());
        loop {
            let page =
                BarsPage { instrument: &instrument, width, from, to: Nanos(now), cursor: cursor.as_ref() };
            let request = venue.bars_request(&page).expect("the venue has bars of this width");
            let answer = dialect.answer(&sent(&request), &past);
            let mut heard = Heard::default();
            cursor = venue.read_bars(&answer.body, &page, &context, &mut heard).unwrap();
            assert!(heard.faults.is_empty(), "{:?}", heard.faults);
            found.extend(heard.events.iter().map(figures));
            if cursor.is_none() {
                break;
            }
        }
        let of_symbol = trades.iter().filter(|trade| trade.symbol == *symbol);
        let ended = bars(of_symbol, width.nanos()).into_iter().filter(|bar| bar.start + width.nanos() <= now);
        let expected: Vec<MarketBar> = ended.collect();
        assert!(expected.len() > 1, "too few to tell");
        assert_eq!(found.len(), expected.len(), "{} of {symbol}", dialect.name());
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(exact(found), exact(expected), "{} of {symbol}", dialect.name());
            // A mean is rounded, by the venue or where it is worked out from a rounded sum.
            let [found, expected] = [found, expected].map(|bar| bar.vwap.parse::<f64>().unwrap());
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }
}

/// Returns what must agree to the last digit.
fn exact(bar: &MarketBar) -> (i64, [String; 5], u64) {
    let texts = [&bar.open, &bar.high, &bar.low, &bar.close, &bar.volume];
    let shortest = |text: &String| match text.split_once('.') {
        Some(_) => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        None => text.clone(),
    };
    (bar.start, texts.map(shortest), bar.num_trades)
}

fn figures(event: &VenueEvent) -> MarketBar {
    let VenueEvent::Report(entry) = event else { panic!("no report: {event:?}") };
    let Body::VenueBar(bar) = entry.body else { panic!("no bar: {entry:?}") };
    let VenueBar { start, open, high, low, close, volume, vwap, trade_count, .. } = bar;
    let text = |raw: i64| Scale::PRICE.show(raw.into()).to_string();
    MarketBar {
        start: start.0,
        open: text(open.0),
        high: text(high.0),
        low: text(low.0),
        close: text(close.0),
        volume: text(volume.0),
        vwap: text(vwap.0),
        num_trades: trade_count.into(),
    }
}
