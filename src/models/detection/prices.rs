//! The detector that judges trades: price spikes.
//!
//! A trade is judged by the bars that had closed before the smallest window around it. Of each window and direction the
//! first trade beyond the limits, by the order of the trades, is the anomaly; unless the last price of the window before was
//! beyond them too: then the excursion goes on, and is the anomaly of where it began.
//!
//! Promises: what is published follows from the final trades and bars, whatever the order in which they came. A further
//! trade beyond the limits costs a comparison; the trades of a window are looked through only where a baseline changed, or
//! a trade was taken out, while something was unusual. Room is taken only by windows in which something was.

use super::baseline::PriceBand;
use super::detected::{AnomalyKind, Cause, Finding, severity};
use super::publish::{Published, Publisher};
use super::settings::Thresholds;
use crate::models::anomaly::AnomalyState;
use crate::models::bar::{SourceRank, TradeOrder};
use crate::models::entry::Position;
use crate::models::num::Price;
use crate::models::time::Nanos;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::collections::VecDeque;

/// The directions, by their places below.
const SIDES: [AnomalyKind; 2] = [AnomalyKind::PriceAbove, AnomalyKind::PriceBelow];

/// A window in which something may be unusual now.
#[derive(Clone, Copy, Debug)]
pub struct Suspect {
    /// Its start.
    pub start: Nanos,
    /// The only trade that is new in it; `None` where it is to be looked through.
    pub trade: Option<(TradeOrder, Price)>,
}

/// The first trade beyond a limit.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct First {
    order: TradeOrder,
    price: Price,
    /// The entry with which it showed.
    pos: Position,
}

/// A window in which a trade is, or was, beyond the limits.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct SpikeWindow {
    start: Nanos,
    /// By which its trades were judged: that of before, where thresholds have changed meanwhile.
    band: PriceBand,
    firsts: [Option<First>; 2],
    published: [Option<Box<Published>>; 2],
}

impl SpikeWindow {
    fn new(start: Nanos, band: &PriceBand) -> SpikeWindow {
        let (firsts, published) = ([None; 2], [None, None]);
        SpikeWindow { start, band: *band, firsts, published }
    }

    /// Returns the place of the direction in which a price is beyond the limits.
    const fn side(&self, price: Price) -> Option<usize> {
        match price.0 {
            price if price > self.band.high => Some(0),
            price if price < self.band.low => Some(1),
            _ => None,
        }
    }

    /// Takes a trade in. `pos` is the entry with which it showed.
    fn add(&mut self, order: TradeOrder, price: Price, pos: Position) {
        if let Some(side) = self.side(price)
            && self.firsts[side].is_none_or(|first| order < first.order)
        {
            self.firsts[side] = Some(First { order, price, pos });
        }
    }

    fn finding(&self, side: usize, first: &First, thresholds: &Thresholds) -> Finding {
        let value = first.price.0 as f64;
        let PriceBand { expected, distance, percent, .. } = self.band;
        let times = (value - expected).abs() / distance;
        Finding {
            kind: SIDES[side],
            time: first.order.ts,
            start: self.start,
            value,
            expected,
            threshold: percent,
            severity: severity(times, &thresholds.severity),
            bars: thresholds.price.bars as u16,
            method: thresholds.price.method,
            cause: Cause { pos: first.pos, revision: 0, trade: Some(first.order.id) },
        }
    }
}

/// Judges the trades of unsealed windows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PriceDetector {
    /// By start.
    windows: VecDeque<SpikeWindow>,
    /// Direction in which the last price of the newest sealed window was beyond its limits.
    sealed_beyond: Option<u8>,
}

impl PriceDetector {
    /// True while no price is, or was, unusual in an unsealed window or the newest sealed one.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        self.windows.is_empty() && self.sealed_beyond.is_none()
    }

    /// True where a trade that is new in a window changes nothing that is published, as far as can be told without looking
    /// further. `band` has the prices that are usual in the window.
    #[must_use]
    pub fn is_settled(&self, start: Nanos, band: &PriceBand, (order, price): (TradeOrder, Price)) -> bool {
        match self.windows.back() {
            Some(newest) if newest.start == start => match newest.side(price) {
                _ if newest.band != *band => false,
                Some(side) => newest.firsts[side].is_some_and(|first| first.order < order),
                None => true,
            },
            // The last price of a window decides whether an excursion goes on in one after it.
            Some(newest) if newest.start > start => false,
            _ => band.has(price.0),
        }
    }

    /// True for a window in which a trade is, or was, unusual.
    #[must_use]
    pub fn has(&self, start: Nanos) -> bool {
        self.place_of(start).is_ok()
    }

    /// Returns the starts of windows from one on that were judged by other limits than those of today.
    pub fn judged_by_others(&self, from: Nanos, band: impl Fn(Nanos) -> PriceBand) -> SmallVec<[Nanos; 2]> {
        let first = self.windows.partition_point(|window| window.start < from);
        let windows = self.windows.range(first..);
        windows.filter(|it| it.band != band(it.start)).map(|it| it.start).collect()
    }

    fn place_of(&self, start: Nanos) -> Result<usize, usize> {
        self.windows.binary_search_by_key(&start, |window| window.start)
    }

    /// Takes in the only trade that is new in a window.
    pub fn add(
        &mut self,
        start: Nanos,
        band: &PriceBand,
        (order, price): (TradeOrder, Price),
        pos: Position,
    ) {
        let at = match self.place_of(start) {
            Ok(at) => at,
            Err(_) if band.has(price.0) => return,
            Err(at) => {
                self.windows.insert(at, SpikeWindow::new(start, band));
                at
            }
        };
        self.windows[at].add(order, price, pos);
    }

    /// Judges all trades of a window anew, by this band.
    pub fn look_through(
        &mut self,
        start: Nanos,
        band: &PriceBand,
        trades: impl Iterator<Item = (TradeOrder, Price)>,
        pos: Position,
    ) {
        let mut window = SpikeWindow::new(start, band);
        trades.for_each(|(order, price)| window.add(order, price, pos));
        match self.place_of(start) {
            Ok(at) => {
                let known = &mut self.windows[at];
                for (first, before) in window.firsts.iter_mut().zip(known.firsts) {
                    if let (Some(first), Some(before)) = (first, before)
                        && first.order == before.order
                    {
                        first.pos = before.pos;
                    }
                }
                window.published = std::mem::take(&mut known.published);
                *known = window;
            }
            Err(at) if window.firsts.iter().any(Option::is_some) => self.windows.insert(at, window),
            Err(_) => {}
        }
    }

    /// Publishes what changed in the windows that start at or after `from`. `before` is start and last price of the newest
    /// unsealed window with a bar that starts before another.
    pub fn settle(
        &mut self,
        from: Nanos,
        thresholds: &Thresholds,
        before: impl Fn(Nanos) -> Option<(Nanos, Price)>,
        publisher: &mut Publisher<'_>,
    ) {
        let first = self.windows.partition_point(|window| window.start < from);
        for at in first..self.windows.len() {
            let beyond = match before(self.windows[at].start) {
                Some((start, price)) => self.place_of(start).ok().and_then(|at| self.windows[at].side(price)),
                None => self.sealed_beyond.map(usize::from),
            };
            let window = &mut self.windows[at];
            for side in 0..SIDES.len() {
                let onset = window.firsts[side].filter(|_| beyond != Some(side));
                let wanted = onset.map(|first| window.finding(side, &first, thresholds));
                let wanted = wanted.map(|finding| (finding, AnomalyState::Active));
                publisher.settle(&mut window.published[side], wanted);
            }
        }
    }

    /// Lets go of a window that is sealed; windows are in order. `close` is its last price, where it has a bar.
    pub fn seal(&mut self, start: Nanos, close: Option<Price>) {
        let window = self.windows.pop_front_if(|window| window.start <= start);
        if let Some(close) = close {
            let side = window.and_then(|window| window.side(close));
            self.sealed_beyond = side.map(|side| side as u8);
        }
    }

    /// Makes room for a source among the ranks of the others.
    pub fn make_room(&mut self, rank: SourceRank) {
        for first in self.windows.iter_mut().flat_map(|window| window.firsts.iter_mut().flatten()) {
            first.order.make_room(rank);
        }
    }
}
