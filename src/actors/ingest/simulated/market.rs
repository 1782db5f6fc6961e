//! The clean market: seeded trades (and quotes, if asked for) of any number of symbols, in order of event time.
//!
//! Promises: the same settings give the same entries, however the calls of [`Market::fill`] are divided. Prices are
//! positive and on a grid of 0.01; ids are numeric and consecutive per symbol. A trade costs some tens of nanoseconds
//! at 5 symbols as at 10,000, so that a measured pipeline measures itself: all distributions are tables. Nothing here
//! fails, given settings that the configuration accepts.

use super::draws::{Alias, Dice, Tables, first_id, seconds, tables};
use crate::models::entry::{Body, Entry, Quote, SourceId, Trade, TradeId, Updates};
use crate::models::num::{Price, Scale, Size};
use crate::models::symbol::SymbolId;
use crate::models::time::{DAY, MINUTE, Nanos, SECOND};
use std::collections::HashMap;

/// The grid of prices, 0.01 in the default price scale.
pub const TICK: i64 = Scale::PRICE.factor() / 100;
/// One unit in the default size scale.
pub(super) const UNIT: i64 = Scale::SIZE.factor();

/// Trading time behind a yearly volatility: 252 sessions of 6.5 hours.
const SECONDS_PER_YEAR: f64 = 252.0 * 6.5 * 3_600.0;
/// How far prices deviate from their initial value before they are pulled back (one standard deviation).
pub(super) const DEVIATION: f64 = 0.04;
/// How long calm or nervous phases last, in seconds.
const PHASE: f64 = 300.0;
/// How much volatility varies between phases (one standard deviation, as a share of its mean).
const PHASE_DEPTH: f64 = 0.4;
/// A price never exceeds this multiple of its initial value, whatever the settings.
const RUNAWAY: f64 = 20.0;
/// Shortest time that a trade takes from the venue to us, in nanoseconds.
const LATENCY_MIN: i64 = 150_000;
/// Mean of the additional time of other trades, in nanoseconds.
const LATENCY_EXTRA: f64 = 100_000.0;

/// A symbol of the simulated venue. It uses the default scales of prices and sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimulatedSymbol {
    /// Its id.
    pub id: SymbolId,
    /// Its initial price; at least one [`TICK`].
    pub initial_price: Price,
}

/// The settings of a market.
#[derive(Clone, Debug, PartialEq)]
pub struct MarketSettings {
    /// The symbols, the most popular one first; without one nothing is traded.
    pub symbols: Vec<SimulatedSymbol>,
    /// Trades per second, all symbols together, as the mean of a day.
    pub rate_per_second: f64,
    /// Same seed, same market.
    pub seed: u64,
    /// The source that reports the trades.
    pub source: SourceId,
    /// Event time from which trades come.
    pub start: Nanos,
    /// Whether a quote comes before each trade.
    pub quotes: bool,
    /// How unevenly symbols trade: the n-th one n^-popularity times as often as the first. 0 makes them equal.
    pub popularity: f64,
    /// How much livelier the ends of the (UTC) day are: the rate is between 1 - swing and 1 + 2 × swing of its mean.
    pub swing: f64,
    /// Yearly volatility of prices: 0.3 is 30 %.
    pub volatility: f64,
}

impl MarketSettings {
    /// Returns a market of these symbols at 100 trades a second, with every other setting at its default.
    #[must_use]
    pub fn new(symbols: Vec<SimulatedSymbol>, source: SourceId, start: Nanos) -> MarketSettings {
        MarketSettings {
            symbols,
            rate_per_second: 100.0,
            seed: 1,
            source,
            start,
            quotes: false,
            popularity: 0.8,
            swing: 0.1,
            volatility: 0.3,
        }
    }

    /// Returns the share of each symbol in all trades, most popular first.
    pub(super) fn shares(&self) -> Vec<f64> {
        let mut shares: Vec<f64> =
            (1..=self.symbols.len()).map(|rank| (rank as f64).powf(-self.popularity)).collect();
        let sum: f64 = shares.iter().sum();
        shares.iter_mut().for_each(|share| *share /= sum);
        shares
    }

    /// Returns how much a price moves in one second, as a share of itself (one standard deviation).
    pub(super) fn volatility_per_second(&self) -> f64 {
        self.volatility / SECONDS_PER_YEAR.sqrt()
    }
}

/// One symbol's price and how it moves with each trade. 64 bytes: one cache line is all a trade touches.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct Book {
    /// The fair price in ticks.
    price: f64,
    /// Where the price is pulled to, in ticks.
    anchor: f64,
    /// The phase: volatility as a multiple of its mean.
    phase: f64,
    /// Move per trade at phase 1 (one standard deviation, as a share of the price).
    step: f64,
    /// Share of the way back to the anchor that a trade goes.
    pull: f64,
    /// Share of the way back to phase 1 that a trade goes.
    calm: f64,
    /// How much a trade moves the phase (one standard deviation).
    shake: f64,
    /// Number of the next trade.
    next_id: u64,
}

impl Book {
    fn new(symbol: &SimulatedSymbol, gap_seconds: f64, volatility: f64, next_id: u64) -> Book {
        let price = (symbol.initial_price.0 / TICK).max(1) as f64;
        let calm = (gap_seconds / PHASE).min(1.0);
        Book {
            price,
            anchor: price,
            phase: 1.0,
            // Limited, so that no step, however rare trades are, can reach zero.
            step: (volatility * gap_seconds.sqrt()).min(0.02),
            // A walk pulled back with this strength deviates by DEVIATION in the long run.
            pull: (gap_seconds * (volatility / DEVIATION).powi(2) / 2.0).min(0.1),
            calm,
            shake: PHASE_DEPTH * (2.0 * calm).sqrt(),
            next_id,
        }
    }

    /// Moves on by one trade.
    #[inline]
    fn turn(&mut self, tables: &Tables, bits: u64) {
        let phase = self.phase + self.calm * (1.0 - self.phase) + self.shake * tables.normal.draw(bits >> 11);
        self.phase = phase.clamp(0.3, 3.0);
        let moved = self.price * self.step * self.phase * tables.normal.draw(bits);
        let pulled = self.pull * (self.anchor - self.price);
        self.price = (self.price + moved + pulled).clamp(1.0, self.anchor * RUNAWAY);
    }
}

/// A running market.
#[derive(Clone, Debug)]
pub struct Market {
    books: Vec<(SymbolId, Book)>,
    chosen_by: Alias,
    dice: Dice,
    quote_dice: Dice,
    source: SourceId,
    quotes: bool,
    rate_per_second: f64,
    swing: f64,
    /// Event time of the next trade.
    next: Nanos,
    /// Part of a nanosecond by which `next` was rounded down.
    carry: f64,
    /// Mean time between trades at this time of day, in nanoseconds, and when it is looked up again.
    gap: f64,
    gap_until: Nanos,
    /// No entry is received before the one ahead of it.
    received: Nanos,
}

impl Market {
    /// Opens a market: the first trade comes a little after the start, near the initial prices.
    ///
    /// # Panics
    /// With a rate that is not positive: the configuration refuses that.
    #[must_use]
    pub fn new(settings: &MarketSettings) -> Market {
        assert!(settings.rate_per_second > 0.0, "validated: the rate is positive");
        let shares = settings.shares();
        let (volatility, next_id) = (settings.volatility_per_second(), first_id(settings.start));
        let books = settings.symbols.iter().zip(&shares).map(|(symbol, share)| {
            let gap_seconds = 1.0 / (settings.rate_per_second * share);
            (symbol.id, Book::new(symbol, gap_seconds, volatility, next_id))
        });
        let mut market = Market {
            books: books.collect(),
            chosen_by: Alias::new(&shares),
            dice: Dice::new(settings.seed, 1),
            quote_dice: Dice::new(settings.seed, 2),
            source: settings.source,
            quotes: settings.quotes,
            rate_per_second: settings.rate_per_second,
            swing: settings.swing,
            next: settings.start,
            carry: 0.0,
            gap: 0.0,
            gap_until: Nanos::MIN,
            received: Nanos::MIN,
        };
        let bits = market.dice.bits();
        market.wait(tables(), bits);
        market
    }

    /// Goes on with the symbols of these settings, not before they start: those that it has already go on where they are.
    ///
    /// # Panics
    /// As [`Market::new`].
    pub fn follow(&mut self, settings: &MarketSettings) {
        let known: HashMap<SymbolId, Book> = self.books.drain(..).collect();
        let Market { mut books, chosen_by, .. } = Market::new(settings);
        for (symbol, book) in &mut books {
            if let Some(Book { price, anchor, phase, next_id, .. }) = known.get(symbol) {
                (book.price, book.anchor, book.phase, book.next_id) = (*price, *anchor, *phase, *next_id);
            }
        }
        (self.books, self.chosen_by) = (books, chosen_by);
        self.next = self.next.max(settings.start);
    }

    /// Returns the event time of the next trade.
    #[must_use]
    pub const fn next_time(&self) -> Nanos {
        self.next
    }

    /// Returns the current price of the symbol at a place.
    #[must_use]
    pub fn price(&self, place: usize) -> Price {
        Price(((self.books[place].1.price + 0.5) as i64).max(1) * TICK)
    }

    /// Appends at most `max` trades with event times up to and including `until`, and returns how many. Fewer than
    /// `max` means that the market has reached `until`. Quotes are added to these.
    pub fn fill(&mut self, until: Nanos, max: usize, out: &mut Vec<Entry>) -> usize {
        let tables = tables();
        let mut num_trades = 0;
        if self.books.is_empty() {
            return 0;
        }
        while num_trades < max && self.next <= until {
            let bits = self.dice.bits();
            let trade_bits = self.dice.bits();
            let ts = self.next;
            let latency = LATENCY_MIN + (tables.exponential.draw(trade_bits >> 33) * LATENCY_EXTRA) as i64;
            self.received = self.received.max(ts.plus(latency));
            let place = self.chosen_by.choose(bits);
            let (symbol, book) = &mut self.books[place];
            book.turn(tables, trade_bits);
            let fair = (book.price + 0.5) as i64;
            if self.quotes {
                let quote =
                    quote_around(fair, ts, self.received, self.source, tables, self.quote_dice.bits());
                out.push(Entry { pos: 0, symbol: *symbol, body: Body::Quote(quote) });
            }
            // Half the trades hit the bid or lift the ask, one tick from the middle.
            let bounce = [-1, 0, 0, 1][(trade_bits >> 44) as usize & 3];
            let trade = Trade {
                ts,
                received: self.received,
                price: Price((fair + bounce).max(1) * TICK),
                size: Size(tables.sizes.draw(trade_bits >> 22) as i64 * UNIT),
                seq: 0,
                id: TradeId::number(book.next_id),
                source: self.source,
                updates: Updates::ALL,
            };
            book.next_id += 1;
            out.push(Entry { pos: 0, symbol: *symbol, body: Body::Trade(trade) });
            num_trades += 1;
            self.wait(tables, bits);
        }
        num_trades
    }

    /// Moves `next` on to the trade after it.
    #[inline]
    fn wait(&mut self, tables: &Tables, bits: u64) {
        if self.next >= self.gap_until {
            let minute = self.next.0.div_euclid(MINUTE) * MINUTE;
            self.gap_until = Nanos(minute).plus(MINUTE);
            self.gap = SECOND as f64 / (self.rate_per_second * liveliness(Nanos(minute), self.swing));
        }
        let exact = tables.exponential.draw(bits) * self.gap + self.carry;
        let whole = exact as i64;
        self.carry = exact - whole as f64;
        self.next = self.next.plus(whole);
    }
}

/// Returns the rate at that time as a multiple of its mean over the day: a parabola, highest at midnight UTC.
fn liveliness(time: Nanos, swing: f64) -> f64 {
    let x = seconds(time.0.rem_euclid(DAY)) / seconds(DAY) - 0.5;
    1.0 + swing * (12.0 * x * x - 1.0)
}

fn quote_around(
    fair: i64,
    ts: Nanos,
    received: Nanos,
    source: SourceId,
    tables: &Tables,
    bits: u64,
) -> Quote {
    let size = |bits: u64| Size(tables.sizes.draw(bits) as i64 * UNIT);
    Quote {
        ts,
        received,
        bid: Price((fair - 1) * TICK),
        ask: Price((fair + 1) * TICK),
        bid_size: size(bits),
        ask_size: size(bits >> 11),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::super::symbols::{initial_price, symbol_names};
    use super::*;
    use crate::models::time::HOUR;
    use proptest::prelude::*;

    /// Noon UTC of some day: the middle of the swing.
    const NOON: Nanos = Nanos(20_000 * DAY + DAY / 2);

    fn settings(num_symbols: u32) -> MarketSettings {
        let names = symbol_names(num_symbols as usize);
        let symbols = (0..num_symbols)
            .map(|id| SimulatedSymbol { id: SymbolId(id), initial_price: initial_price(&names[id as usize]) })
            .collect();
        MarketSettings::new(symbols, SourceId(3), NOON)
    }

    fn trades(market: &mut Market, count: usize) -> Vec<(SymbolId, Trade)> {
        let mut entries = Vec::new();
        assert_eq!(market.fill(Nanos::MAX, count, &mut entries), count);
        let trades = entries.iter().filter_map(|entry| match entry.body {
            Body::Trade(trade) => Some((entry.symbol, trade)),
            _ => None,
        });
        trades.collect()
    }

    #[test]
    fn symbols_that_stay_go_on_where_they_are() {
        let mut market = Market::new(&settings(3));
        trades(&mut market, 1_000);
        let prices: Vec<Price> = (0..3).map(|place| market.price(place)).collect();
        let mut ids: HashMap<SymbolId, u64> =
            market.books.iter().map(|(symbol, book)| (*symbol, book.next_id)).collect();
        let mut others = settings(4);
        others.symbols.remove(0);
        others.start = market.next_time();
        market.follow(&others);
        assert_eq!([market.price(0), market.price(1)], prices[1..]);
        for (symbol, trade) in trades(&mut market, 1_000) {
            assert_ne!(symbol, SymbolId(0));
            let id = ids.entry(symbol).or_insert_with(|| first_id(others.start));
            assert_eq!(trade.id, TradeId::number(*id), "{symbol:?}");
            *id += 1;
        }
        assert_eq!(ids.len(), 4, "the new one trades");
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(
            seed in any::<u64>(),
            quotes in any::<bool>(),
            cuts in prop::collection::vec((1_usize..40, 1_i64..400_000_000), 1..30),
        ) {
            let settings = MarketSettings { seed, quotes, ..settings(7) };
            let (mut cut, mut until) = (Vec::new(), NOON);
            let mut market = Market::new(&settings);
            for (max, step) in cuts {
                until = until.plus(step);
                let filled = market.fill(until, max, &mut cut);
                prop_assert!(filled <= max);
                prop_assert!(filled == max || market.next_time() > until, "it has come to `until`");
                prop_assert!(cut.last().is_none_or(|entry| entry.body.time() <= until));
            }
            let mut whole = Vec::new();
            let num_trades = cut.iter().filter(|entry| entry.body.is_report()).count();
            Market::new(&settings).fill(Nanos::MAX, num_trades, &mut whole);
            prop_assert_eq!(cut, whole);
        }

        #[test]
        fn prices_stay_on_the_grid_and_above_zero_however_wild(
            seed in any::<u64>(),
            cents in 1_i64..100_000,
            volatility in 0.0_f64..10.0,
            rate in 0.01_f64..1_000.0,
        ) {
            let symbols = vec![SimulatedSymbol { id: SymbolId(0), initial_price: Price(cents * TICK) }];
            let wild = MarketSettings { seed, volatility, rate_per_second: rate, symbols, ..settings(1) };
            for (_, trade) in trades(&mut Market::new(&wild), 1_000) {
                prop_assert!(trade.price.0 > 0 && trade.price.0 % TICK == 0, "{:?}", trade.price);
                prop_assert!(trade.size.0 > 0 && trade.size.0 % UNIT == 0, "{:?}", trade.size);
                prop_assert!((trade.price.0 as f64) <= (cents * TICK) as f64 * RUNAWAY + 2.0 * TICK as f64);
            }
        }
    }

    #[test]
    fn seeds_make_different_markets() {
        let market = |seed| trades(&mut Market::new(&MarketSettings { seed, ..settings(5) }), 100);
        assert_eq!(market(1), market(1));
        assert_ne!(market(1), market(2));
    }

    #[test]
    fn the_rate_is_the_one_asked_for_over_a_day_and_near_it_at_any_time() {
        for rate in [0.5, 100.0, 1_000_000.0] {
            let mut market = Market::new(&MarketSettings { rate_per_second: rate, ..settings(5) });
            let last = trades(&mut market, 40_000).last().expect("40,000").1.ts;
            let seen = 40_000.0 / seconds(last.since(NOON)) / rate;
            assert!((0.87..=1.22).contains(&seen), "{seen} of {rate}");
        }
        let mut market = Market::new(&MarketSettings { rate_per_second: 1.0, ..settings(5) });
        let in_a_day = market.fill(NOON.plus(DAY), usize::MAX, &mut Vec::new());
        assert!((in_a_day as f64 / 86_400.0 - 1.0).abs() < 0.02, "{in_a_day}");
    }

    #[test]
    fn arrivals_are_as_uneven_as_a_poisson_process() {
        let trades = trades(&mut Market::new(&settings(5)), 50_000);
        let gaps: Vec<f64> =
            trades.windows(2).map(|pair| seconds(pair[1].1.ts.since(pair[0].1.ts))).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.05, "{}", variance.sqrt() / mean);
        assert!(gaps.iter().all(|gap| *gap >= 0.0));
    }

    #[test]
    fn ids_are_consecutive_per_symbol_and_go_on_after_a_restart() {
        let mut next: HashMap<SymbolId, u64> = HashMap::new();
        let mut market = Market::new(&MarketSettings { rate_per_second: 100_000.0, ..settings(20) });
        let mut last = NOON;
        for (symbol, trade) in trades(&mut market, 20_000) {
            let id = next.entry(symbol).or_insert_with(|| first_id(NOON));
            assert_eq!(trade.id, TradeId::number(*id));
            *id += 1;
            last = trade.ts;
        }
        assert_eq!(next.len(), 20);
        assert!(
            next.values().all(|id| *id < first_id(last)),
            "a market that starts later repeats none of them"
        );
        assert!(first_id(last) < 1 << 53);
    }

    #[test]
    fn popular_symbols_trade_more() {
        let mut counts = [0_usize; 50];
        for (symbol, _) in trades(&mut Market::new(&settings(50)), 100_000) {
            counts[symbol.index()] += 1;
        }
        let ratio = counts[0] as f64 / counts[9] as f64;
        assert!((ratio / 10_f64.powf(0.8) - 1.0).abs() < 0.1, "{ratio}");
        assert!(counts.iter().all(|count| *count > 100), "{counts:?}");
    }

    #[test]
    fn prices_move_as_much_as_asked_for_whatever_the_rate() {
        for rate in [5.0, 500.0] {
            let mut market =
                Market::new(&MarketSettings { rate_per_second: rate, popularity: 0.0, ..settings(5) });
            let mut entries = Vec::new();
            market.fill(NOON.plus(10 * HOUR), usize::MAX, &mut entries);
            let mut closes: HashMap<(SymbolId, i64), i64> = HashMap::new();
            for entry in &entries {
                if let Body::Trade(trade) = entry.body {
                    closes.insert((entry.symbol, trade.ts.0 / (5 * MINUTE)), trade.price.0);
                }
            }
            let returns: Vec<f64> = closes
                .iter()
                .filter_map(|((symbol, slot), close)| {
                    closes.get(&(*symbol, slot - 1)).map(|before| (*close as f64 / *before as f64).ln())
                })
                .collect();
            let deviation = (returns.iter().map(|r| r * r).sum::<f64>() / returns.len() as f64).sqrt();
            let wanted = settings(5).volatility_per_second() * 300_f64.sqrt();
            assert!((0.75..1.35).contains(&(deviation / wanted)), "{deviation} for {wanted} at {rate}/s");
        }
    }

    #[test]
    fn quotes_surround_the_price_and_change_no_trade() {
        let with = MarketSettings { quotes: true, ..settings(5) };
        let mut entries = Vec::new();
        Market::new(&with).fill(Nanos::MAX, 1_000, &mut entries);
        assert_eq!(entries.len(), 2_000);
        for pair in entries.chunks(2) {
            let [Entry { body: Body::Quote(quote), .. }, Entry { body: Body::Trade(trade), .. }] = pair
            else {
                panic!("a quote, then its trade: {pair:?}");
            };
            assert!((quote.bid..=quote.ask).contains(&trade.price) && quote.ts == trade.ts);
        }
        let plain = trades(&mut Market::new(&settings(5)), 1_000);
        assert_eq!(trades(&mut Market::new(&with), 1_000), plain);
    }

    #[test]
    fn received_times_follow_event_times_in_order() {
        let trades = trades(&mut Market::new(&settings(5)), 10_000);
        assert!(trades.windows(2).all(|pair| pair[0].1.received <= pair[1].1.received));
        let latencies = trades.iter().map(|(_, trade)| trade.received.since(trade.ts));
        assert!(latencies.clone().all(|nanos| nanos >= LATENCY_MIN));
        assert!(latencies.max().expect("not empty") < 5_000_000);
    }
}
