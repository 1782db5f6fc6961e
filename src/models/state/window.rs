//! One window of one width: what it adds up to, and what has become of its bar.

use super::counts::Counts;
use super::retained::RetainedTrade;
use crate::models::bar::{Bar, BarOrigin, BarState, BarSum, Figures, TradeOrder, VendorBar};
use crate::models::entry::{Position, Updates};
use crate::models::num::Price;
use crate::models::symbol::SymbolId;
use crate::models::time::{Nanos, Width};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Reports that a window knows of besides the trades that count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Repeated reports.
    pub duplicates: u32,
    /// Trades that cancels or corrections took out.
    pub cancelled: u32,
}

impl Tally {
    /// Adds another.
    pub fn merge(&mut self, other: Tally) {
        self.duplicates += other.duplicates;
        self.cancelled += other.cancelled;
    }
}

/// The lifecycle of a window's bar.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct BarLifecycle {
    /// The watermark passed the window's end.
    pub closed: bool,
    /// What was published last; `None` when there was no bar, or it became void.
    pub published: Option<Figures>,
    /// Coverage published last.
    pub coverage: f64,
    /// How many entries changed it after it closed.
    pub revision: u32,
    /// Trades that came after the close and still counted.
    pub late: u32,
    /// State published last.
    pub state: BarState,
    /// The entry at which it was published last; 0 where it was not, or nobody knows. Stands apart in checkpoints.
    #[serde(skip)]
    pub log_pos: Position,
}

impl BarLifecycle {
    /// A lifecycle that begins, in a window that is open still or has closed already.
    #[must_use]
    pub const fn new(closed: bool) -> BarLifecycle {
        let state = BarState::Forming;
        BarLifecycle { closed, published: None, coverage: 1.0, revision: 0, late: 0, state, log_pos: 0 }
    }
}

/// A window of the smallest width: the trades enter here.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BaseWindow {
    /// Start, inclusive.
    pub start: Nanos,
    /// Where its trades are retained.
    pub slot: u16,
    /// Sum over the trades that count.
    pub sum: BarSum,
    /// The venue's own bar; counts while no trade makes one.
    pub venue: Option<Box<VendorBar>>,
    /// Outcomes of its trades, by source.
    pub counts: Counts,
    /// What else it knows of.
    pub tally: Tally,
    /// The lifecycle of its bar.
    pub lifecycle: BarLifecycle,
}

impl BaseWindow {
    /// Counts a retained trade, and adds it up if it stands and counts. Returns true if it was added. Quotes are no reports,
    /// so they are added up only.
    #[inline]
    pub fn add(&mut self, retained: &RetainedTrade, counts: bool) -> bool {
        if retained.order.id.is_quote() {
            if counts {
                self.sum.add(retained.order, retained.price, retained.size, retained.updates);
            }
            return counts;
        }
        let count = self.counts.of(retained.local);
        if !retained.flags.stands() {
            count.cancelled += 1;
            self.tally.cancelled += 1;
            false
        } else if counts && retained.updates != Updates::NONE {
            count.active += 1;
            let order = TradeOrder { id: retained.order.id.as_reported(), ..retained.order };
            self.sum.add(order, retained.price, retained.size, retained.updates);
            true
        } else {
            count.idle += 1;
            false
        }
    }

    /// Forgets its trades, but not its lifecycle, before they are counted anew.
    pub fn clear(&mut self) {
        self.counts.clear();
        self.sum = BarSum::EMPTY;
        self.tally.cancelled = 0;
    }

    /// Returns what larger windows merge: the trades, or the venue's bar while no trade makes one.
    #[must_use]
    pub fn effective(&self, width: Width) -> BarSum {
        match &self.venue {
            Some(bar) if !self.sum.is_bar() => BarSum::of_vendor(bar, self.start, width),
            _ => self.sum,
        }
    }
}

/// A window of a larger width: its sealed part, to which the unsealed windows of the smallest width add.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LargerWindow {
    /// Start, inclusive.
    pub start: Nanos,
    /// Sum over the sealed windows in it.
    pub sealed: BarSum,
    /// What the sealed windows in it knew of besides.
    pub sealed_tally: Tally,
    /// The venue's own bar; counts while the windows of the smallest width make none.
    pub venue: Option<Box<VendorBar>>,
    /// The lifecycle of its bar.
    pub lifecycle: BarLifecycle,
}

impl LargerWindow {
    /// A window of which nothing is known, open still or closed already.
    #[must_use]
    pub const fn new(start: Nanos, closed: bool) -> LargerWindow {
        let lifecycle = BarLifecycle::new(closed);
        let sealed_tally = Tally { duplicates: 0, cancelled: 0 };
        LargerWindow { start, sealed: BarSum::EMPTY, sealed_tally, venue: None, lifecycle }
    }
}

/// Keeps the greater of the bars that a venue gives for a window. Returns true for the first one.
pub fn keep_greater(kept: &mut Option<Box<VendorBar>>, bar: VendorBar) -> bool {
    match kept {
        Some(known) => {
            **known = bar.max(**known);
            false
        }
        None => {
            *kept = Some(Box::new(bar));
            true
        }
    }
}

/// Puts a window in its place. Windows are large and symbols many, so room is made for few more than there are.
pub fn insert<T>(windows: &mut VecDeque<T>, at: usize, window: T) {
    if windows.len() == windows.capacity() {
        windows.reserve_exact(1 + windows.len() / 8);
    }
    windows.insert(at, window);
}

/// Gives back room that windows which are gone have left.
pub fn shrink<T>(windows: &mut VecDeque<T>) {
    if windows.capacity() > 2 + windows.len() + windows.len() / 4 {
        windows.shrink_to(windows.len() + windows.len() / 8);
    }
}

/// What a published bar needs to know beside its figures.
#[derive(Clone, Copy, Debug)]
pub struct BarHeader {
    /// The symbol.
    pub symbol: SymbolId,
    /// Width of its window.
    pub width: Width,
    /// Start of its window.
    pub start: Nanos,
    /// Its place among the published bars of its width.
    pub seq: u64,
    /// The last entry that changed it.
    pub log_pos: Position,
}

impl BarHeader {
    /// Puts a bar together. A void one shows the prices it had and counts nothing.
    #[must_use]
    pub fn bar(self, figures: Option<Figures>, lifecycle: &BarLifecycle, tally: Tally) -> Bar {
        let none = Figures {
            ohlc: [Price(0); 4],
            volume: 0,
            vwap: None,
            trade_count: 0,
            origin: BarOrigin::default(),
        };
        let void = lifecycle.published.map_or(none, |before| Figures {
            ohlc: before.ohlc,
            origin: before.origin,
            ..none
        });
        let Figures { ohlc: [open, high, low, close], volume, vwap, trade_count, origin } =
            figures.unwrap_or(void);
        Bar {
            symbol: self.symbol,
            width: self.width,
            start: self.start,
            open,
            high,
            low,
            close,
            volume,
            vwap,
            trade_count,
            state: lifecycle.state,
            origin,
            revision: lifecycle.revision,
            coverage: lifecycle.coverage,
            late: lifecycle.late,
            duplicates: tally.duplicates,
            cancelled: tally.cancelled,
            seq: self.seq,
            log_pos: self.log_pos,
        }
    }
}
