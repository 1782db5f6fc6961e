//! Bars of the model: every window of every width, added up from scratch.

use std::collections::{BTreeMap, BTreeSet};
use tickwire::models::bar::BarOrigin;
use tickwire::models::entry::{SourceId, Trade, TradeId, VenueBar};
use tickwire::models::num::Price;
use tickwire::models::settings::CoreSettings;
use tickwire::models::time::{Nanos, Width};

use crate::support::outcome::Window;

/// What the trades of one window say, without the history of how they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelBar {
    pub ohlc: [Price; 4],
    pub volume: i128,
    pub vwap: Option<i64>,
    pub trade_count: u64,
    pub origin: BarOrigin,
    /// Nothing smaller is known of the window: the bar is the venue's own of this width.
    pub is_filled: bool,
}

/// By smallest window first, since a venue's bar stands for all of its own; then by time, venue sequence, identity, source.
type Order = (Nanos, Nanos, u64, TradeId, SourceId);

/// A trade, or a venue's bar taken as one: something that sets prices and adds volume.
struct Part {
    order: Order,
    ends: Option<(Price, Price)>,
    extremes: Option<(Price, Price)>,
    volume: i128,
    /// `None` where the venue gives no mean price: then nobody knows the one of the window.
    notional: Option<i128>,
    count: u64,
    is_venues: bool,
}

/// Computes every bar that exists. `trades` are those that count; `venue_bars` the greatest of each window.
pub fn all(
    trades: &[Trade],
    venue_bars: &BTreeMap<Window, VenueBar>,
    settings: &CoreSettings,
) -> BTreeMap<Window, ModelBar> {
    let base = settings.base();
    let mut bars = BTreeMap::new();
    let parts = parts(trades, venue_bars, base);
    for &width in &settings.widths {
        let starts: BTreeSet<Nanos> = parts.iter().map(|part| width.start_of(part.order.0)).collect();
        for start in starts {
            let within: Vec<&Part> =
                parts.iter().filter(|part| width.start_of(part.order.0) == start).collect();
            if let Some(bar) = add_up(&within) {
                bars.insert((width, start), bar);
            }
        }
    }
    for (window, bar) in venue_bars.iter().filter(|(window, _)| window.0 != base) {
        let alone = add_up(&[&part_of_venue(bar)]).expect("a venue's bar has ends");
        bars.entry(*window).or_insert(ModelBar { is_filled: true, ..alone });
    }
    bars
}

/// True when some trade sets a price in its smallest window, so that a venue's bar does not count there.
fn has_own_bar(trades: &[Trade], start: Nanos, base: Width) -> bool {
    trades.iter().any(|trade| base.start_of(trade.ts) == start && trade.updates.open_close())
}

/// True when a venue's bar stands for the trades of the window.
pub fn is_venues(
    trades: &[Trade],
    venue_bars: &BTreeMap<Window, VenueBar>,
    start: Nanos,
    base: Width,
) -> bool {
    venue_bars.contains_key(&(base, start)) && !has_own_bar(trades, start, base)
}

fn parts(trades: &[Trade], venue_bars: &BTreeMap<Window, VenueBar>, base: Width) -> Vec<Part> {
    let mut parts: Vec<Part> = trades
        .iter()
        .filter(|trade| !is_venues(trades, venue_bars, base.start_of(trade.ts), base))
        .map(|trade| {
            let Trade { ts, seq, id, source, price, size, updates, .. } = *trade;
            let counts = updates.volume();
            Part {
                order: (base.start_of(ts), ts, seq, id.as_reported(), source),
                ends: updates.open_close().then_some((price, price)),
                extremes: updates.high_low().then_some((price, price)),
                volume: if counts { i128::from(size.0) } else { 0 },
                notional: Some(if counts { i128::from(price.0) * i128::from(size.0) } else { 0 }),
                count: u64::from(counts),
                is_venues: false,
            }
        })
        .collect();
    let of_base = venue_bars.iter().filter(|(window, _)| window.0 == base).map(|(_, bar)| bar);
    parts.extend(of_base.filter(|bar| !has_own_bar(trades, bar.start, base)).map(part_of_venue));
    parts.sort_by_key(|part| part.order);
    parts
}

fn part_of_venue(bar: &VenueBar) -> Part {
    Part {
        order: (bar.start, bar.start, 0, TradeId::default(), bar.source),
        ends: Some((bar.open, bar.close)),
        extremes: Some((bar.high, bar.low)),
        volume: i128::from(bar.volume.0),
        notional: (bar.vwap.0 != 0).then(|| i128::from(bar.vwap.0) * i128::from(bar.volume.0)),
        count: u64::from(bar.trade_count),
        is_venues: true,
    }
}

fn add_up(parts: &[&Part]) -> Option<ModelBar> {
    let ends: Vec<(Price, Price)> = parts.iter().filter_map(|part| part.ends).collect();
    let (open, close) = (ends.first()?.0, ends.last()?.1);
    let high = parts.iter().filter_map(|part| part.extremes).map(|extremes| extremes.0).max()?;
    let low = parts.iter().filter_map(|part| part.extremes).map(|extremes| extremes.1).min()?;
    let volume: i128 = parts.iter().map(|part| part.volume).sum();
    let notional: Option<i128> = parts.iter().map(|part| part.notional).sum();
    let is_own = parts.iter().any(|part| part.ends.is_some() && !part.is_venues);
    Some(ModelBar {
        origin: if is_own { BarOrigin::Trades } else { BarOrigin::Vendor },
        is_filled: false,
        ohlc: [open, high, low, close],
        volume,
        vwap: notional.and_then(|notional| half_even(notional, volume)),
        trade_count: parts.iter().map(|part| part.count).sum(),
    })
}

/// Rounds a quotient of numbers that are not negative to the nearest integer, to the even one in the middle.
fn half_even(numerator: i128, divisor: i128) -> Option<i64> {
    if divisor == 0 {
        return None;
    }
    let (whole, twice_rest) = (numerator / divisor, numerator % divisor * 2);
    let up = twice_rest > divisor || twice_rest == divisor && whole % 2 == 1;
    i64::try_from(whole + i128::from(up)).ok()
}
