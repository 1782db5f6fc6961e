//! What came before the live market: coarse trades, quickly made, that warm up indicators and fill charts.
//!
//! Promises: each symbol's walk ends at exactly the price at which its live market starts, and its volume per minute is
//! about the live one, so nothing jumps where the two meet. The number of trades stays near the limit however many
//! symbols there are: what is older gets coarser, but never so coarse that a window would have too few bars.
//! Entries come in order of event time, one slot of time after the other, so memory stays bounded.

use super::draws::{Dice, first_id, seconds, tables};
use super::market::{MarketSettings, STRAY, TICK, UNIT};
use crate::models::entry::{Body, Entry, SourceId, Trade, TradeId, Updates};
use crate::models::num::{Price, Size};
use crate::models::symbol::SymbolId;
use crate::models::time::{Nanos, Width};

/// Closed bars that each window shall have: what the slowest indicator needs, and some for the edges.
const BARS_NEEDED: i64 = 205;
/// Trades in a window of the smallest width when there is room, and the steps on the way down. Each divides a minute
/// into whole nanoseconds.
const DENSITIES: [i64; 5] = [6, 4, 3, 2, 1];

/// What a history needs to know beyond the market it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistorySettings {
    /// Event time at which it begins; it ends where the market starts.
    pub from: Nanos,
    /// Widths of the windows to warm up, ascending; at least one.
    pub widths: Vec<Width>,
    /// At most about this many trades, all symbols together, unless warming up takes more.
    pub num_trades_max: usize,
}

impl HistorySettings {
    /// Returns the history that warms up every window before `to`: 50 hours and a little for windows of up to 15 minutes.
    ///
    /// # Panics
    /// Without a width: the core's settings are validated to have one.
    #[must_use]
    pub fn warm_up(to: Nanos, widths: &[Width], num_trades_max: usize) -> HistorySettings {
        let widest = widths.last().expect("validated: at least one width");
        let from = widest.start_of(to.plus(-BARS_NEEDED * widest.nanos()));
        HistorySettings { from, widths: widths.to_vec(), num_trades_max }
    }
}

/// One symbol on its way to where the live market starts.
#[derive(Clone, Debug)]
struct Walk {
    id: SymbolId,
    /// Logarithm of the price now, and at the end.
    now: f64,
    end: f64,
    end_price: Price,
    /// Units traded per second.
    flow: f64,
    next_id: u64,
}

/// A history on its way.
#[derive(Clone, Debug)]
pub struct History {
    walks: Vec<Walk>,
    dice: Dice,
    source: SourceId,
    volatility: f64,
    at: Nanos,
    to: Nanos,
    /// How far apart trades are: (distance to the end up to which this holds, spacing), nearest first.
    tiers: Vec<(i64, i64)>,
}

impl History {
    /// Prepares the history of a market.
    #[must_use]
    pub fn new(market: &MarketSettings, settings: &HistorySettings) -> History {
        let span = market.start.since(settings.from).max(0);
        let volatility = market.volatility_per_second();
        let tables = tables();
        let mut dice = Dice::new(market.seed, 3);
        let strayed = (volatility * seconds(span).sqrt()).min(STRAY);
        let next_id = first_id(settings.from);
        let walks = market.symbols.iter().zip(market.shares()).map(|(symbol, share)| {
            let end_price = Price((symbol.initial_price.0 / TICK).max(1) * TICK);
            let end = (end_price.0 as f64).ln();
            let now = end + strayed * tables.normal.draw(dice.bits());
            let flow = market.rate_per_second * share * tables.mean_size;
            Walk { id: symbol.id, now, end, end_price, flow, next_id }
        });
        let walks: Vec<Walk> = walks.collect();
        let tiers = tiers(settings, span, walks.len());
        History { walks, dice, source: market.source, volatility, at: settings.from, to: market.start, tiers }
    }

    /// Appends whole slots of time until there are `max` entries more, and returns whether any history is left. A slot
    /// holds one trade of each symbol.
    pub fn fill(&mut self, max: usize, out: &mut Vec<Entry>) -> bool {
        let wanted = out.len() + max;
        while out.len() < wanted && self.at < self.to {
            self.fill_slot(out);
        }
        self.at < self.to
    }

    fn fill_slot(&mut self, out: &mut Vec<Entry>) {
        let tables = tables();
        let left = self.to.since(self.at);
        let tier = self.tiers.iter().find(|(reach, _)| left <= *reach).or(self.tiers.last());
        let spacing = tier.expect("there is a tier for each width").1;
        let start = self.at;
        let end = Nanos(start.0 - start.0.rem_euclid(spacing)).plus(spacing).min(self.to);
        let length = end.since(start);
        // A bridge: the pull to the end grows as the time that is left shrinks, and the last step arrives.
        let part = length as f64 / left as f64;
        let spread = self.volatility * (seconds(length) * (1.0 - part)).sqrt();
        let first = out.len();
        for walk in &mut self.walks {
            let (bits, place) = (self.dice.bits(), self.dice.unit());
            walk.now += (walk.end - walk.now) * part + spread * tables.normal.draw(bits);
            let ts = start.plus((place * length as f64) as i64);
            // Uneven, but hardly ever three times the mean: that would be a volume spike in a calm past.
            let unevenness = 0.6 + 0.4 * tables.exponential.draw(bits >> 11);
            let lots = walk.flow * seconds(length) * unevenness / 100.0;
            let price = match end == self.to {
                true => walk.end_price,
                false => Price(((walk.now.exp() / TICK as f64).round() as i64).max(1) * TICK),
            };
            let trade = Trade {
                ts,
                received: ts,
                price,
                size: Size((lots.round() as i64).max(1) * 100 * UNIT),
                seq: 0,
                id: TradeId::number(walk.next_id),
                source: self.source,
                updates: Updates::ALL,
            };
            walk.next_id += 1;
            out.push(Entry { pos: 0, symbol: walk.id, body: Body::Trade(trade) });
        }
        out[first..].sort_by_key(|entry| entry.body.time());
        self.at = end;
    }
}

/// Chooses how dense the history is: evenly, as far as the number of trades allows; else only as dense as the
/// windows need it, each by its own width for as long as it needs bars.
fn tiers(settings: &HistorySettings, span: i64, num_symbols: usize) -> Vec<(i64, i64)> {
    let base = settings.widths.first().expect("validated: at least one width").nanos();
    let budget = settings.num_trades_max / num_symbols.max(1);
    let fits = |density: &&i64| {
        base % **density == 0 && usize::try_from(span / base * **density).is_ok_and(|needed| needed <= budget)
    };
    match DENSITIES.iter().find(fits) {
        Some(density) => vec![(i64::MAX, base / density)],
        None => settings.widths.iter().map(|width| (BARS_NEEDED * width.nanos(), width.nanos())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::market::{Market, SimulatedSymbol};
    use super::super::symbols::{initial_price, symbol_names};
    use super::*;
    use crate::models::settings::CoreSettings;
    use crate::models::time::{MINUTE, SECOND};
    use std::collections::{BTreeMap, BTreeSet};

    /// In the middle of a minute, so that the last slot is a part of one.
    const START: Nanos = Nanos(1_790_000_000 * SECOND + 123_456_789);

    fn market(num_symbols: u32) -> MarketSettings {
        let names = symbol_names(num_symbols as usize);
        let symbols = (0..num_symbols)
            .map(|id| SimulatedSymbol { id: SymbolId(id), initial_price: initial_price(&names[id as usize]) })
            .collect();
        MarketSettings::new(symbols, SourceId(0), START)
    }

    fn history(market: &MarketSettings, num_trades_max: usize, max: usize) -> Vec<(SymbolId, Trade)> {
        let settings = HistorySettings::warm_up(START, &CoreSettings::default().widths, num_trades_max);
        let mut history = History::new(market, &settings);
        let mut entries = Vec::new();
        while history.fill(max, &mut entries) {}
        let trades = entries.iter().filter_map(|entry| match entry.body {
            Body::Trade(trade) => Some((entry.symbol, trade)),
            _ => None,
        });
        trades.collect()
    }

    #[test]
    fn every_window_of_every_symbol_is_warm() {
        for (num_symbols, num_trades_max) in [(5, 100_000), (200, 100_000)] {
            let trades = history(&market(num_symbols), num_trades_max, 1_000);
            for width in CoreSettings::default().widths {
                let mut bars: BTreeMap<SymbolId, BTreeSet<Nanos>> = BTreeMap::new();
                for (symbol, trade) in &trades {
                    bars.entry(*symbol).or_default().insert(width.start_of(trade.ts));
                }
                assert_eq!(bars.len(), num_symbols as usize);
                for starts in bars.values() {
                    let closed = starts.iter().filter(|start| start.plus(width.nanos()) <= START).count();
                    assert!(closed >= 200, "{closed} bars of {width} with {num_symbols} symbols");
                }
            }
        }
    }

    #[test]
    fn it_comes_in_order_and_does_not_depend_on_the_cuts() {
        let market = market(5);
        let trades = history(&market, 100_000, 1_000);
        assert!(trades.windows(2).all(|pair| pair[0].1.ts <= pair[1].1.ts));
        assert!(
            trades
                .iter()
                .all(|(_, trade)| trade.ts < START && trade.price.0 > 0 && trade.price.0 % TICK == 0)
        );
        assert_eq!(trades, history(&market, 100_000, 7));
    }

    #[test]
    fn the_number_of_trades_is_bounded_unless_warming_up_takes_more() {
        let few = history(&market(5), 100_000, 10_000).len();
        assert!((50_000..=100_000).contains(&few), "{few}");
        let many = history(&market(200), 100_000, 10_000).len();
        assert!(many <= 200 * 650, "{many}: some 500 each are needed");
    }

    #[test]
    fn it_joins_the_live_market_without_a_jump() {
        let settings = MarketSettings { rate_per_second: 200.0, ..market(5) };
        let past = history(&settings, 100_000, 10_000);
        let mut live = Vec::new();
        Market::new(&settings).fill(START.plus(10 * MINUTE), usize::MAX, &mut live);
        for symbol in &settings.symbols {
            let of_symbol = |(id, _): &&(SymbolId, Trade)| *id == symbol.id;
            let (_, last) = past.iter().rev().find(of_symbol).expect("has a past");
            assert_eq!(last.price, symbol.initial_price);
            let trades = || {
                live.iter().filter(|entry| entry.symbol == symbol.id).filter_map(|entry| match entry.body {
                    Body::Trade(trade) => Some(trade),
                    _ => None,
                })
            };
            let first = trades().next().expect("trades");
            assert!((first.price.0 - last.price.0).abs() <= 5 * TICK, "{last:?} {first:?}");
            assert!(first.id > last.id, "ids go on, too");
            let live_volume: i64 = trades().map(|trade| trade.size.0 / UNIT).sum();
            let hour =
                past.iter().filter(of_symbol).filter(|(_, trade)| trade.ts >= START.plus(-60 * MINUTE));
            let past_volume: i64 = hour.map(|(_, trade)| trade.size.0 / UNIT).sum::<i64>() / 6;
            let ratio = past_volume as f64 / live_volume as f64;
            assert!((0.7..1.4).contains(&ratio), "{past_volume} beside {live_volume}");
        }
    }
}
