//! Symbols whose bars are made of quotes: any order, repeats and delays within the horizon end in the same bars, which are
//! those that a plain sum over the sorted quotes gives; trades beside them count for nothing, and the ledger stays whole.

use crate::support::outcome::{Outcome, core, log, run};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use tickwire::models::bar::Bar;
use tickwire::models::entry::{Body, Quote, SourceId, Trade, TradeId, Updates};
use tickwire::models::num::{Price, Size};
use tickwire::models::settings::CoreSettings;
use tickwire::models::symbol::{PriceSource, SymbolDefinition, SymbolSpec, VenueSymbol};
use tickwire::models::time::{DAY, MINUTE, Nanos, SECOND, Width};

const START: i64 = 19_000 * DAY;

fn definition(price: PriceSource) -> Body {
    let spec = SymbolSpec { price, ..SymbolSpec::named("TEST") };
    let definition = SymbolDefinition::of(&spec, VenueSymbol::default());
    Body::Symbol { source: SourceId(0), received: Nanos::MIN, definition }
}

/// A quote so many tenths of a second after the start.
fn quote(tenths: i64, bid: i64, ask: i64, source: u16) -> Quote {
    Quote {
        ts: Nanos(START + tenths * SECOND / 10),
        received: Nanos::MIN,
        bid: Price(bid),
        ask: Price(ask),
        bid_size: Size(100),
        ask_size: Size(200),
        source: SourceId(source),
    }
}

fn mark(seconds: i64) -> Body {
    Body::ClockMark { source: SourceId::ANY, time: Nanos(START + seconds * SECOND) }
}

fn settings() -> Arc<CoreSettings> {
    Arc::new(CoreSettings::default())
}

/// What the bars must be: of each minute with a price the first, highest, lowest and last, and how many quotes.
fn expected(quotes: &[Quote], price: PriceSource) -> BTreeMap<Nanos, ([i64; 4], u64)> {
    let minute = Width::new(MINUTE).expect("divides a day");
    let mut sorted: Vec<&Quote> = quotes.iter().collect();
    sorted.sort_by_key(|quote| (quote.ts, TradeId::of_quote(quote), quote.source));
    sorted.dedup_by_key(|quote| (quote.ts, TradeId::of_quote(quote), quote.source));
    let mut bars: BTreeMap<Nanos, ([i64; 4], u64)> = BTreeMap::new();
    for quote in sorted {
        let (bid, ask) = (quote.bid.0, quote.ask.0);
        let price = match price {
            PriceSource::Bid if bid > 0 => bid,
            PriceSource::Ask if ask > 0 => ask,
            // Even sums only, so that there is nothing to round.
            PriceSource::Mid if bid > 0 && ask > 0 => (bid + ask) / 2,
            _ => continue,
        };
        let (ohlc, count) = bars.entry(minute.start_of(quote.ts)).or_insert(([price; 4], 0));
        *ohlc = [ohlc[0], ohlc[1].max(price), ohlc[2].min(price), price];
        *count += 1;
    }
    bars
}

fn minutes(outcome: &Outcome) -> BTreeMap<Nanos, ([i64; 4], u64)> {
    let figures = |bar: &Bar| ([bar.open.0, bar.high.0, bar.low.0, bar.close.0], bar.trade_count);
    let bars = outcome.bars.iter().filter(|((width, _), _)| width.nanos() == MINUTE);
    bars.map(|((_, start), bar)| (*start, figures(bar))).collect()
}

proptest! {
    #[test]
    fn any_order_and_repeats_of_quotes_end_in_the_same_bars(
        price in prop::sample::select(vec![PriceSource::Mid, PriceSource::Bid, PriceSource::Ask]),
        quotes in prop::collection::vec((0_i64..2_400, 0_i64..9, 0_i64..9, 0_u16..3), 1..60),
        order in prop::collection::vec((any::<u32>(), any::<bool>()), 60),
    ) {
        let quotes: Vec<Quote> =
            quotes.iter().map(|&(at, bid, ask, source)| quote(at, 2 * bid, 2 * ask, source)).collect();
        let clean = log([definition(price)].into_iter().chain(quotes.iter().copied().map(Body::Quote)));
        let mut arrivals: Vec<(u32, Quote)> = Vec::new();
        for (quote, &(place, again)) in quotes.iter().zip(&order) {
            arrivals.push((place, *quote));
            if again {
                arrivals.push((place.rotate_left(16), *quote));
            }
        }
        arrivals.sort_by_key(|(place, _)| *place);
        let shuffled = arrivals.iter().map(|(_, quote)| Body::Quote(*quote));
        let shuffled = log([definition(price)].into_iter().chain(shuffled));
        let (clean, shuffled) = (run(&clean, &settings()), run(&shuffled, &settings()));
        prop_assert_eq!(clean.digest(), shuffled.digest());
        prop_assert_eq!(minutes(&clean), expected(&quotes, price));
        for bar in clean.bars.values() {
            prop_assert_eq!((bar.volume, bar.vwap), (0, None));
        }
        prop_assert_eq!((clean.ledger.received, shuffled.ledger.residue()), (0, 0));
    }
}

#[test]
fn trades_of_a_quoted_symbol_count_for_nothing_but_are_accounted_for() {
    let trade = |id: u64, tenths: i64| {
        Body::Trade(Trade {
            ts: Nanos(START + tenths * SECOND / 10),
            received: Nanos::MIN,
            price: Price(99),
            size: Size(5),
            seq: 0,
            id: TradeId::number(id),
            source: SourceId(0),
            updates: Updates::ALL,
        })
    };
    let bodies = [
        definition(PriceSource::Mid),
        Body::Quote(quote(0, 10, 12, 0)),
        trade(1, 5),
        trade(1, 5),
        Body::Quote(quote(20, 20, 22, 0)),
        trade(2, 700),
        mark(400),
    ];
    let outcome = run(&log(bodies), &settings());
    let ledger = outcome.ledger;
    assert_eq!((ledger.received, ledger.filtered, ledger.duplicate, ledger.in_bars), (3, 2, 1, 0));
    assert_eq!(ledger.residue(), 0);
    assert_eq!(minutes(&outcome), BTreeMap::from([(Nanos(START), ([11, 21, 11, 21], 2))]));
}

#[test]
fn a_late_quote_is_a_dead_letter_and_another_source_does_not_count() {
    let settings = settings();
    let mut state = core(&settings);
    let mut effects = Vec::new();
    let late = Body::Quote(quote(1, 30, 32, 0));
    let bodies = [
        definition(PriceSource::Bid),
        Body::SourceInCharge { source: SourceId(1), from: Nanos(START) },
        Body::Quote(quote(0, 10, 12, 1)),
        Body::Quote(quote(10, 50, 52, 0)),
        mark(60 + 300 + 3),
        late,
    ];
    state.apply(&log(bodies), &mut effects);
    let mut outcome = Outcome::default();
    outcome.extend(&effects);
    assert_eq!(minutes(&outcome), BTreeMap::from([(Nanos(START), ([10, 10, 10, 10], 1))]));
    let last = state.snapshot().last.expect("a quote set the price");
    assert_eq!((last.price, last.size, last.seq), (Price(10), Size(0), 1));
    let letters = effects.iter().filter(
        |effect| matches!(effect, tickwire::models::effect::Effect::DeadLetter(letter) if letter.body == late),
    );
    assert_eq!(letters.count(), 1);
}
