//! The simulated past of a symbol: the bars that a venue would give for the time before the symbol was followed. They
//! warm up indicators and fill charts.
//!
//! Promises: a symbol's past depends on the seed, the symbol, its last price and the time at which it ends, not on when
//! or in which order pasts are made. It ends at exactly the price given, and its volume per minute is about the live
//! one, so that nothing jumps where the two meet. The number of entries stays near the limit however many symbols there
//! are: older bars get wider, but never so wide that a window would have too few. What wide windows need of the time before
//! is bars of their own width, of which smaller windows have none: otherwise one minute would tell all of a day. Entries of
//! a symbol come in the order of their ends. Most are ready-made bars; trades are used where only trades will do: at the end,
//! so that there is a last trade, and at the ends of days, from whose prices later changes are counted. Nothing here fails:
//! where a market is so lively that no bar can hold what is traded in a wide window, that bar is left out.

use super::super::warm_up::larger;
use super::draws::{Dice, first_id, seconds, tables};
use super::market::{DEVIATION, MarketSettings, TICK, UNIT};
use crate::models::entry::{Body, Entry, SourceId, Trade, TradeId, Updates, VenueBar};
use crate::models::num::{NOTIONAL_LIMIT, Price, Size};
use crate::models::symbol::SymbolId;
use crate::models::time::{DAY, HOUR, MINUTE, Nanos, Width};

/// Closed bars that each window gets: what the slowest indicator needs, and some for the edges.
const BARS_NEEDED: i64 = 205;
/// Closed bars that a wide window gets where there are many symbols: enough for every indicator but SMA 200.
const WIDE_BARS_FEW: i64 = 60;
/// Windows that are wider than this are wide: bars of the smallest window over all the time that they need would be too many.
const NARROW_MAX: i64 = 15 * MINUTE;
/// Most bars of one symbol, unless warming up takes more: its past is one message, which must not delay others for
/// long.
const SYMBOL_BARS_MAX: usize = 20_000;
/// Moves of the price within one slot of time, so that a bar has a body and shadows.
const NUM_MOVES: usize = 4;

/// Settings of a history beside those of its market.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistorySettings {
    /// How long it is at least, in nanoseconds.
    pub span: i64,
    /// Widths of the windows to warm up, ascending; at least one.
    pub widths: Vec<Width>,
    /// About the most bars of all symbols together, unless warming up takes more.
    pub num_bars_max: usize,
}

impl HistorySettings {
    /// Returns the history that warms up every window: 51 hours and a little for windows of up to 15 minutes; wide ones get
    /// bars of their own of the time before.
    ///
    /// # Panics
    /// Without a width: the core's settings are validated to have one.
    #[must_use]
    pub fn warm_up(widths: &[Width], num_bars_max: usize) -> HistorySettings {
        let (narrow, _) = narrow_and_wide(widths);
        let widest = narrow.last().expect("validated: at least one width");
        HistorySettings { span: BARS_NEEDED * widest.nanos(), widths: widths.to_vec(), num_bars_max }
    }
}

/// Makes the pasts of a market's symbols, one by one.
#[derive(Clone, Debug)]
pub struct History {
    /// The symbols, and how many units and trades of each there are in a second.
    symbols: Vec<(SymbolId, f64, f64)>,
    seed: u64,
    source: SourceId,
    volatility: f64,
    span: i64,
    base: Width,
    /// Bars of the smallest window begin where such a window does.
    begins_at: Width,
    /// Wide windows, ascending, and how much time each needs.
    wide: Vec<(Width, i64)>,
    /// How far apart bars are: (distance to the end up to which this holds, spacing), nearest first.
    tiers: Vec<(i64, i64)>,
    is_shortened: bool,
}

/// One slot of time.
struct Slot {
    start: Nanos,
    end: Nanos,
    /// The price before, then after each move.
    prices: [Price; NUM_MOVES + 1],
    /// Units traded.
    units: i64,
    num_trades: u32,
}

impl History {
    /// Prepares the histories of a market.
    #[must_use]
    pub fn new(market: &MarketSettings, settings: &HistorySettings) -> History {
        let mean_size = tables().mean_size;
        let symbols = market.symbols.iter().zip(market.shares()).map(|(symbol, share)| {
            let trades = market.rate_per_second * share;
            (symbol.id, trades * mean_size, trades)
        });
        let symbols: Vec<_> = symbols.collect();
        let (narrow, wide) = narrow_and_wide(&settings.widths);
        let first = narrow.first().expect("validated: at least one width");
        let last = narrow.last().expect("validated: at least one width");
        let (mut tiers, span) = tiers(settings, narrow, symbols.len());
        let is_shortened = tiers.len() > 1 || span < settings.span;
        let num_wide = if is_shortened { WIDE_BARS_FEW } else { BARS_NEEDED };
        let mut begins_at = *last;
        if !wide.is_empty() {
            // Bars of the smallest window begin with a day, so that they make each wide window whole or not at all. What that
            // adds is coarse.
            begins_at = day();
            let spacing = settings.widths.iter().rfind(|width| width.nanos() <= HOUR).unwrap_or(last);
            if let Some((reach, _)) = tiers.last_mut() {
                *reach = span;
            }
            tiers.push((span.saturating_add(2 * DAY), spacing.nanos()));
        }
        History {
            is_shortened,
            tiers,
            begins_at,
            wide: wide.iter().map(|width| (*width, num_wide * width.nanos())).collect(),
            symbols,
            seed: market.seed,
            source: market.source,
            volatility: market.volatility_per_second(),
            span,
            base: *first,
        }
    }

    /// True when there are too many symbols for a bar of each smallest window: what is older is coarser, or left out.
    #[must_use]
    pub const fn is_shortened(&self) -> bool {
        self.is_shortened
    }

    /// Appends the whole past of the symbol at a place of the market, up to `to`, where its price is `price`.
    pub fn append(&self, place: usize, price: Price, to: Nanos, out: &mut Vec<Entry>) {
        let (symbol, flow, trades) = self.symbols[place];
        let mut dice = Dice::new(self.seed, (3 << 32) + u64::from(symbol.0));
        let from = self.begins_at.start_of(to.plus(-self.span));
        let wide = self.wide_begins(from, to);
        let begin = wide.iter().map(|(_, begin)| *begin).fold(from, Nanos::min);
        let end_price = Price((price.0 / TICK).max(1) * TICK);
        let goal = (end_price.0 / TICK) as f64;
        let deviation = (self.volatility * seconds(to.since(begin)).sqrt()).min(DEVIATION);
        let fair = goal * (1.0 + deviation * tables().normal.draw(dice.bits()));
        let mut path = Path { fair, goal, end_price, to, flow, trades, volatility: self.volatility, dice };
        let bar_entry = |bar| Entry { pos: 0, symbol, body: Body::VenueBar(bar) };
        self.wide_bars(&wide, (begin, from), &mut path, |bar| out.push(bar_entry(bar)));
        let mut next_id = first_id(from);
        let mut at = from;
        while at < to {
            let end = self.slot_end(at, to);
            let slot = path.next(at, end);
            let is_last = end > self.base.start_of(to).plus(-self.base.nanos());
            let ends_day = end.0.rem_euclid(DAY) == 0 && end < to;
            match self.bar_of(&slot, self.base) {
                Some(bar) if !is_last && !ends_day => out.push(bar_entry(bar)),
                _ => {
                    let trades = self.trades_of(&slot, next_id, &mut path.dice);
                    out.extend(trades.map(|trade| Entry { pos: 0, symbol, body: Body::Trade(trade) }));
                    next_id += NUM_MOVES as u64;
                }
            }
            at = end;
        }
    }

    /// Returns the wide windows that need bars from before `from`, and the days with which these begin.
    fn wide_begins(&self, from: Nanos, to: Nanos) -> Vec<(Width, Nanos)> {
        let begins = self.wide.iter().map(|&(width, reach)| (width, day().start_of(to.plus(-reach))));
        begins.filter(|(_, begin)| Nanos(0) <= *begin && *begin < from).collect()
    }

    /// Makes the bars of wide windows in a stretch of whole days: of each day those of the smallest width that reaches so far
    /// back, and what they add up to in larger ones.
    fn wide_bars(
        &self,
        wide: &[(Width, Nanos)],
        (begin, until): (Nanos, Nanos),
        path: &mut Path,
        mut put: impl FnMut(VenueBar),
    ) {
        let (mut at, mut of_day): (Nanos, Vec<VenueBar>) = (begin, Vec::new());
        while at < until {
            let Some(finest) = wide.iter().position(|(_, begin)| *begin <= at) else { return };
            let (width, _) = wide[finest];
            let end = at.plus(width.nanos());
            let bar = self.bar_of(&path.next(at, end), width);
            of_day.extend(bar);
            bar.into_iter().filter(is_possible).for_each(&mut put);
            for &(larger, _) in wide[finest + 1..].iter().filter(|(larger, _)| larger.end_of(at) == end) {
                let begin = larger.start_of(at);
                let parts = of_day.iter().filter(|part| part.start >= begin).copied().collect();
                larger::merged(parts, larger, begin, end).into_iter().filter(is_possible).for_each(&mut put);
            }
            if day().start_of(end) == end {
                of_day.clear();
            }
            at = end;
        }
    }

    /// Returns the end of the slot that begins at a time: none reaches into the stretch where bars are closer together.
    fn slot_end(&self, at: Nanos, to: Nanos) -> Nanos {
        let mut end = to;
        for (reach, spacing) in &self.tiers {
            let aligned = |time: Nanos| Nanos(time.0 - time.0.rem_euclid(*spacing));
            let begins = aligned(to.plus(-*reach));
            if at >= begins {
                return end.min(aligned(at).plus(*spacing));
            }
            end = begins;
        }
        end
    }

    /// Returns the bar of a slot, in its first window of a width; `None` where no bar can be so narrow, or hold so much.
    fn bar_of(&self, slot: &Slot, width: Width) -> Option<VenueBar> {
        let width_ms = u32::try_from(width.nanos() / 1_000_000).ok()?;
        let sum: i128 = slot.prices[1..].iter().map(|price| i128::from(price.0)).sum();
        let [open, .., close] = slot.prices;
        let bar = VenueBar {
            start: slot.start,
            received: slot.start.plus(width.nanos()),
            open,
            high: slot.prices.into_iter().fold(open, Price::max),
            low: slot.prices.into_iter().fold(open, Price::min),
            close,
            volume: Size(slot.units.checked_mul(UNIT)?),
            vwap: Price((sum / NUM_MOVES as i128) as i64),
            trade_count: slot.num_trades,
            width_ms,
            source: self.source,
        };
        (bar.width() == Some(width)).then_some(bar)
    }

    /// Returns the moves of a slot as trades, all in the first smallest window of it.
    fn trades_of<'a>(
        &'a self,
        slot: &'a Slot,
        first_id: u64,
        dice: &'a mut Dice,
    ) -> impl Iterator<Item = Trade> + 'a {
        let length = slot.end.since(slot.start).min(self.base.nanos()) as f64 / NUM_MOVES as f64;
        let each = slot.units / NUM_MOVES as i64;
        let rest = slot.units - each * NUM_MOVES as i64;
        (0_u32..).zip(&slot.prices[1..]).map(move |(at, price)| {
            let ts = slot.start.plus(((f64::from(at) + dice.unit()) * length) as i64);
            Trade {
                ts,
                received: ts,
                price: *price,
                size: Size((each + if at == 0 { rest } else { 0 }) * UNIT),
                seq: 0,
                id: TradeId::number(first_id + u64::from(at)),
                source: self.source,
                updates: Updates::ALL,
            }
        })
    }
}

/// The way of a symbol's price to where it is now.
struct Path {
    /// The price in ticks, and where it goes.
    fair: f64,
    goal: f64,
    end_price: Price,
    /// When it is there.
    to: Nanos,
    /// Units and trades in a second.
    flow: f64,
    trades: f64,
    /// A second's.
    volatility: f64,
    dice: Dice,
}

impl Path {
    /// Goes on to the end of a slot of time.
    fn next(&mut self, start: Nanos, end: Nanos) -> Slot {
        let tables = tables();
        let on_grid = |fair: f64| Price(((fair + 0.5) as i64).max(1) * TICK);
        let length = seconds(end.since(start));
        let step = length / NUM_MOVES as f64;
        let mut left = seconds(self.to.since(start));
        // Enough for all draws of a slot: each takes 11 bits.
        let mut bits = self.dice.bits();
        let mut prices = [on_grid(self.fair); NUM_MOVES + 1];
        for moved in &mut prices[1..] {
            // A bridge: the pull to the end grows as the time that is left shrinks, and the last step arrives.
            let part = (step / left).min(1.0);
            let spread = self.volatility * (step * (1.0 - part)).sqrt();
            self.fair += (self.goal - self.fair) * part + self.fair * spread * tables.normal.draw(bits);
            self.fair = self.fair.max(1.0);
            *moved = on_grid(self.fair);
            (bits, left) = (bits >> 11, left - step);
        }
        if end == self.to {
            prices[NUM_MOVES] = self.end_price;
        }
        // Uneven, but hardly ever three times the mean: that would be a volume spike in a calm past.
        let unevenness = 0.6 + 0.4 * tables.exponential.draw(bits);
        let units = self.flow * length * unevenness;
        let whole = if units < 100.0 { units.round() } else { (units / 100.0).round() * 100.0 };
        Slot {
            start,
            end,
            prices,
            units: (whole as i64).max(NUM_MOVES as i64),
            num_trades: ((self.trades * length * unevenness).round() as u32).max(NUM_MOVES as u32),
        }
    }
}

fn day() -> Width {
    Width::new(DAY).expect("a day divides itself")
}

/// True for a bar that the core takes: more turnover it does not hold.
fn is_possible(bar: &VenueBar) -> bool {
    i128::from(bar.high.0) * i128::from(bar.volume.0) < NOTIONAL_LIMIT
}

/// Divides widths into those that bars of the smallest one warm up, at least one, and the wide ones, of which each is a
/// multiple of the one before, since it is made of that.
fn narrow_and_wide(widths: &[Width]) -> (&[Width], Vec<Width>) {
    let num_narrow = widths.iter().filter(|width| width.nanos() <= NARROW_MAX).count().max(1);
    let (narrow, rest) = widths.split_at(num_narrow.min(widths.len()));
    let mut wide: Vec<Width> = Vec::new();
    for width in rest {
        if wide.last().is_none_or(|before| width.nanos() % before.nanos() == 0) {
            wide.push(*width);
        }
    }
    (narrow, wide)
}

/// Chooses how dense the history is: a bar in each smallest window, if their number allows; else each window gets the bars
/// it needs, of its own width, and the time before them gets bars of the smallest width that the number allows, as far
/// back as it does. Returns the tiers and the length of the history.
fn tiers(settings: &HistorySettings, widths: &[Width], num_symbols: usize) -> (Vec<(i64, i64)>, i64) {
    let most = (settings.num_bars_max / num_symbols.max(1)).min(SYMBOL_BARS_MAX);
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let mut tiers = Vec::new();
    let num_fine = widths
        .iter()
        .zip(0_i64..)
        .position(|(width, num_finer)| BARS_NEEDED * num_finer + settings.span / width.nanos() < most);
    let num_fine = num_fine.unwrap_or(widths.len() - 1);
    let width = widths[num_fine].nanos();
    let room = (most - BARS_NEEDED * num_fine as i64).max(BARS_NEEDED);
    let needed = BARS_NEEDED * widths.last().map_or(width, |widest| widest.nanos());
    let span = settings.span.min(needed.max(room.saturating_mul(width)));
    tiers.extend(widths[..num_fine].iter().map(|width| (BARS_NEEDED * width.nanos(), width.nanos())));
    // It begins at a window of the widest width, so a little before.
    tiers.push((span.saturating_add(needed), width));
    (tiers, span)
}

#[cfg(test)]
mod tests {
    use super::super::market::{Market, SimulatedSymbol};
    use super::super::symbols::{initial_price, symbol_names};
    use super::*;
    use crate::models::bar::Bar;
    use crate::models::effect::Effect;
    use crate::models::names::for_test::ListedNames;
    use crate::models::settings::CoreSettings;
    use crate::models::state::SymbolState;
    use crate::models::symbol::SymbolSpec;
    use crate::models::time::{MINUTE, SECOND};
    use std::sync::Arc;

    /// In the middle of a minute, so that the last slot is a part of one.
    const START: Nanos = Nanos(1_790_000_000 * SECOND + 123_456_789);

    fn market(num_symbols: u32) -> MarketSettings {
        let names = symbol_names(num_symbols as usize);
        let symbols = (0..num_symbols)
            .map(|id| SimulatedSymbol { id: SymbolId(id), initial_price: initial_price(&names[id as usize]) })
            .collect();
        MarketSettings::new(symbols, SourceId(0), START)
    }

    fn history(market: &MarketSettings, num_bars_max: usize) -> History {
        History::new(market, &HistorySettings::warm_up(&CoreSettings::default().widths, num_bars_max))
    }

    fn past(market: &MarketSettings, num_bars_max: usize, place: usize) -> Vec<Entry> {
        let mut entries = Vec::new();
        let price = market.symbols[place].initial_price;
        history(market, num_bars_max).append(place, price, START, &mut entries);
        entries
    }

    /// Returns what the core makes of a past, and its state.
    fn bars(entries: &[Entry]) -> (Vec<Bar>, SymbolState) {
        let settings = Arc::new(CoreSettings::default());
        let mut state = SymbolState::new(
            entries[0].symbol,
            &SymbolSpec::named("A"),
            settings,
            ListedNames::of_sources(&["simulated"]),
        );
        let numbered: Vec<Entry> = (1..).zip(entries).map(|(pos, entry)| Entry { pos, ..*entry }).collect();
        let mut effects = Vec::new();
        state.apply(&numbered, &mut effects);
        let bars = effects.into_iter().filter_map(|effect| match effect {
            Effect::Bar(bar) => Some(bar),
            Effect::DeadLetter(letter) => panic!("{letter:?}"),
            Effect::Indicators(_) | Effect::Anomaly(_) | Effect::Sealed(_) => None,
        });
        (bars.collect(), state)
    }

    #[test]
    fn every_window_is_warm_and_has_whole_bars_however_many_symbols_there_are() {
        for num_symbols in [5, 1_000] {
            let market = market(num_symbols);
            for place in [0, num_symbols as usize - 1] {
                let (bars, state) = bars(&past(&market, 100_000, place));
                assert_eq!(state.ledger().residue(), 0);
                let minutes = bars.iter().filter(|bar| bar.width.nanos() == MINUTE);
                let begin = minutes.map(|bar| bar.start).min().expect("bars of minutes");
                assert_eq!(begin.0.rem_euclid(DAY), 0, "bars of minutes begin with a day");
                for width in CoreSettings::default().widths {
                    let mut newest: Vec<&Bar> = bars.iter().filter(|bar| bar.width == width).collect();
                    let is_wide = width.nanos() > 15 * MINUTE;
                    let few = if is_wide && num_symbols > 32 { 59 } else { 200 };
                    assert!(newest.len() >= few, "{} bars of {width} at {num_symbols}", newest.len());
                    newest.drain(..newest.len() - few);
                    let starts: Vec<i64> = newest.iter().map(|bar| bar.start.0).collect();
                    assert!(starts.windows(2).all(|pair| pair[1] - pair[0] == width.nanos()), "holes");
                    for bar in newest {
                        // One of which there are no smaller bars is the venue's word alone.
                        let is_covered = bar.coverage == if bar.start < begin { 0.0 } else { 1.0 };
                        assert!(bar.trade_count >= 4 && bar.revision == 0 && is_covered, "{bar:?}");
                        assert!(bar.low <= bar.open.min(bar.close) && bar.high >= bar.open.max(bar.close));
                    }
                }
                let moved = bars.iter().filter(|bar| bar.low < bar.high).count();
                assert!(moved * 10 > bars.len() * 9, "{moved} of {} have a body", bars.len());
                // What has no last trade has no price in lists, and without one of the day before no change.
                let snapshot = state.snapshot_with(false);
                assert_eq!(snapshot.last.map(|last| last.price), Some(market.symbols[place].initial_price));
                let day = |ts: Nanos| ts.0.div_euclid(DAY);
                let before =
                    bars.iter().filter(|bar| day(bar.start) < day(START)).max_by_key(|bar| bar.start);
                assert_eq!(snapshot.reference, before.map(|bar| bar.close));
            }
        }
    }

    #[test]
    fn it_comes_in_order_and_depends_on_nothing_but_the_symbol() {
        let market = market(5);
        let entries = past(&market, 100_000, 3);
        let end = |entry: &Entry| match entry.body {
            Body::VenueBar(bar) => bar.start.plus(i64::from(bar.width_ms) * 1_000_000),
            body => body.time(),
        };
        assert!(entries.windows(2).all(|pair| end(&pair[0]) <= end(&pair[1])));
        assert!(entries.iter().all(|entry| entry.body.time() < START && entry.symbol == SymbolId(3)));
        let history = history(&market, 100_000);
        let mut both = Vec::new();
        history.append(1, market.symbols[1].initial_price, START, &mut both);
        let first = both.len();
        history.append(3, market.symbols[3].initial_price, START, &mut both);
        assert_eq!(both[first..], entries);
        assert_ne!(both[0], entries[0]);
    }

    #[test]
    fn the_number_of_entries_is_bounded_unless_warming_up_takes_more() {
        assert!(
            !history(&market(32), 100_000).is_shortened() && history(&market(33), 100_000).is_shortened()
        );
        let few = past(&market(5), 100_000, 0).len();
        assert!((3_075 + 340..3_200 + 380).contains(&few), "{few}: a bar a minute, then wide ones");
        let some = past(&market(100), 100_000, 0).len();
        assert!(
            (760..850 + 110).contains(&some),
            "{some}: a bar each five minutes, and the newest ones by the minute"
        );
        let many = past(&market(10_000), 100_000, 9_999).len();
        assert!(many <= 560 + 110, "{many}: some 500 are needed, and 60 of wide windows");
        let settings = HistorySettings {
            span: 3_650 * DAY,
            ..HistorySettings::warm_up(&CoreSettings::default().widths, usize::MAX)
        };
        let mut long = Vec::new();
        History::new(&market(1), &settings).append(0, Price(TICK), START, &mut long);
        // A day has its last bar as trades.
        assert!((19_000..=SYMBOL_BARS_MAX + 3 * 210).contains(&long.len()), "{} of ten years", long.len());
    }

    #[test]
    fn windows_that_no_bar_of_a_venue_can_have_are_filled_by_trades() {
        let widths = [100_000, SECOND].map(|nanos| Width::new(nanos).expect("divides a day"));
        let history = History::new(&market(1), &HistorySettings::warm_up(&widths, 1_000));
        let mut entries = Vec::new();
        history.append(0, Price(TICK * 100), START, &mut entries);
        assert!(entries.iter().all(|entry| matches!(entry.body, Body::Trade(_))) && entries.len() > 1_600);
    }

    #[test]
    fn it_joins_the_live_market_without_a_jump() {
        let settings = MarketSettings { rate_per_second: 200.0, ..market(5) };
        let mut live = Vec::new();
        Market::new(&settings).fill(START.plus(10 * MINUTE), usize::MAX, &mut live);
        for (place, symbol) in settings.symbols.iter().enumerate() {
            let past = past(&settings, 100_000, place);
            let Some(Entry { body: Body::Trade(last), .. }) = past.last() else {
                panic!("ends with a trade")
            };
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
            let hour = past.iter().filter(|entry| entry.body.time() >= START.plus(-60 * MINUTE));
            let volumes = hour.map(|entry| match entry.body {
                Body::Trade(trade) => trade.size.0 / UNIT,
                Body::VenueBar(bar) => bar.volume.0 / UNIT,
                _ => 0,
            });
            let past_volume: i64 = volumes.sum::<i64>() / 6;
            let ratio = past_volume as f64 / live_volume as f64;
            assert!((0.7..1.4).contains(&ratio), "{past_volume} beside {live_volume}");
        }
    }
}
