//! Bars: what one tumbling window of one symbol adds up to.

use super::entry::{Position, TradeId, Updates, VenueBar};
use super::num::{Price, Scale, Size, div_half_even};
use super::symbol::SymbolId;
use super::time::{Nanos, Width};
use serde::{Deserialize, Serialize};

/// Place of a source among the sources that report a symbol, by their names. It settles what nothing else does, and is the
/// same in every process, where ids are not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourceRank(pub u16);

/// Where a trade stands among the trades of its symbol: by event time, venue sequence, identity, name of the source.
/// Open and close follow it, so they do not depend on the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TradeOrder {
    /// Event time.
    pub ts: Nanos,
    /// The venue's sequence number.
    pub seq: u64,
    /// Identity.
    pub id: TradeId,
    /// Source, as the last resort.
    pub source: SourceRank,
}

impl TradeOrder {
    /// Makes room for a source that now has this rank: it and those behind it move on by one.
    pub const fn make_room(&mut self, rank: SourceRank) {
        if self.source.0 >= rank.0 {
            self.source.0 += 1;
        }
    }
}

/// Sums over trades. Adding and merging commute and associate exactly: any order, any grouping, the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BarSum {
    /// First and last trade that count for open and close, with their prices.
    ends: Option<Ends>,
    high: Price,
    low: Price,
    /// Sum of sizes in the symbol's size scale.
    pub volume: i128,
    /// Sum of price × size, in both scales together.
    pub notional: i128,
    /// Trades that count for volume and count.
    pub trade_count: u64,
    /// A venue's bar without a mean price is in the sum, so nobody knows the notional.
    vwap_unknown: bool,
    /// It is a bar because venues made bars, and no trade would have made one.
    vendor_only: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Ends {
    first: (TradeOrder, Price),
    last: (TradeOrder, Price),
}

impl BarSum {
    /// The sum over nothing.
    pub const EMPTY: BarSum = BarSum {
        ends: None,
        high: Price(i64::MIN),
        low: Price(i64::MAX),
        volume: 0,
        notional: 0,
        trade_count: 0,
        vwap_unknown: false,
        vendor_only: false,
    };

    /// Takes over a bar that a venue made of a window. Its ends stand at the edges of the window.
    #[must_use]
    pub fn of_vendor(bar: &VendorBar, start: Nanos, width: Width) -> BarSum {
        // No trade stands beside them: a trade in the window would have its bar, and other windows have other times.
        let order = |ts| TradeOrder { ts, seq: 0, id: TradeId::default(), source: SourceRank::default() };
        let last_moment = start.plus(width.nanos() - 1);
        BarSum {
            ends: Some(Ends { first: (order(start), bar.open), last: (order(last_moment), bar.close) }),
            high: bar.high,
            low: bar.low,
            volume: i128::from(bar.volume.0),
            notional: i128::from(bar.vwap.0) * i128::from(bar.volume.0),
            trade_count: u64::from(bar.trade_count),
            vwap_unknown: bar.vwap.0 == 0,
            vendor_only: true,
        }
    }

    /// Adds one trade as far as it counts.
    #[inline]
    pub fn add(&mut self, order: TradeOrder, price: Price, size: Size, updates: Updates) {
        if updates.high_low() {
            self.high = self.high.max(price);
            self.low = self.low.min(price);
        }
        if updates.volume() {
            self.volume += i128::from(size.0);
            self.notional += i128::from(price.0) * i128::from(size.0);
            self.trade_count += 1;
        }
        if updates.open_close() {
            match &mut self.ends {
                Some(ends) => {
                    if order < ends.first.0 {
                        ends.first = (order, price);
                    }
                    if order > ends.last.0 {
                        ends.last = (order, price);
                    }
                }
                None => self.ends = Some(Ends { first: (order, price), last: (order, price) }),
            }
        }
    }

    /// Adds everything that another sum holds.
    pub fn merge(&mut self, other: &BarSum) {
        self.high = self.high.max(other.high);
        self.low = self.low.min(other.low);
        self.volume += other.volume;
        self.notional += other.notional;
        self.trade_count += other.trade_count;
        self.vwap_unknown |= other.vwap_unknown;
        self.vendor_only = match (self.is_bar(), other.is_bar()) {
            (true, true) => self.vendor_only && other.vendor_only,
            (true, false) => self.vendor_only,
            (false, _) => other.vendor_only,
        };
        match (&mut self.ends, other.ends) {
            (Some(ends), Some(others)) => {
                if others.first.0 < ends.first.0 {
                    ends.first = others.first;
                }
                if others.last.0 > ends.last.0 {
                    ends.last = others.last;
                }
            }
            (None, ends) => self.ends = ends,
            (Some(_), None) => {}
        }
    }

    /// As [`TradeOrder::make_room`], for the trades that it remembers.
    pub const fn make_room(&mut self, rank: SourceRank) {
        if let Some(ends) = &mut self.ends {
            ends.first.0.make_room(rank);
            ends.last.0.make_room(rank);
        }
    }

    /// True when a bar exists: some trade counts for open and close.
    #[must_use]
    pub const fn is_bar(&self) -> bool {
        self.ends.is_some()
    }

    /// Returns the lowest and the highest price of trades that count for them, whether or not there is a bar. Without such a
    /// trade the lowest is above the highest.
    #[must_use]
    pub const fn extremes(&self) -> (Price, Price) {
        (self.low, self.high)
    }

    /// Returns open, high, low and close, if a bar exists.
    #[must_use]
    pub fn ohlc(&self) -> Option<[Price; 4]> {
        self.ends.map(|ends| [ends.first.1, self.high, self.low, ends.last.1])
    }

    /// Returns what the bar shows, if one exists; `own` is what bars of this symbol are made of unless a venue made them.
    #[must_use]
    pub fn figures(&self, price_scale: Scale, own: BarOrigin) -> Option<Figures> {
        self.ohlc().map(|ohlc| Figures {
            ohlc,
            volume: self.volume,
            vwap: self.vwap(price_scale),
            trade_count: self.trade_count,
            origin: if self.vendor_only { BarOrigin::Vendor } else { own },
        })
    }

    /// Returns the volume-weighted mean price with 9 decimals, rounded half-even; `None` without volume.
    #[must_use]
    pub fn vwap(&self, price_scale: Scale) -> Option<i64> {
        if self.volume == 0 || self.vwap_unknown {
            return None;
        }
        // notional / volume is in the price scale; bring it to 9 decimals before the one rounding.
        let (decimals, wanted) = (price_scale.decimals(), Scale::VWAP.decimals());
        let ten = |n: u8| 10_i128.pow(u32::from(n));
        let mean = if wanted >= decimals {
            let factor = ten(wanted - decimals);
            match self.notional.checked_mul(factor) {
                Some(numerator) => div_half_even(numerator, self.volume),
                // The factor is even here, so the whole part does not change to which side a tie rounds.
                None => {
                    let (whole, rest) = (self.notional / self.volume, self.notional % self.volume);
                    let rest = div_half_even(rest.checked_mul(factor)?, self.volume);
                    whole.checked_mul(factor)?.checked_add(rest)?
                }
            }
        } else {
            div_half_even(self.notional, self.volume.checked_mul(ten(decimals - wanted))?)
        };
        i64::try_from(mean).ok()
    }
}

/// What a bar shows of its trades; an entry changed the bar when it changed these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Open, high, low, close.
    pub ohlc: [Price; 4],
    /// Sum of sizes.
    pub volume: i128,
    /// Volume-weighted mean price with 9 decimals.
    pub vwap: Option<i64>,
    /// Trades that count for volume and count.
    pub trade_count: u64,
    /// What it is made of.
    pub origin: BarOrigin,
}

/// A bar that a venue gave ready-made. Of two for one window the greater one stays, whichever came first: the one of more
/// trades, then of more volume, then that with the greater prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct VendorBar {
    trade_count: u32,
    volume: Size,
    high: Price,
    low: Price,
    open: Price,
    close: Price,
    vwap: Price,
}

impl VendorBar {
    /// Takes what a bar shows.
    #[must_use]
    pub const fn of(bar: &VenueBar) -> VendorBar {
        let VenueBar { trade_count, volume, high, low, open, close, vwap, .. } = *bar;
        VendorBar { trade_count, volume, high, low, open, close, vwap }
    }
}

/// What a bar is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BarOrigin {
    /// Trades, and bars of a venue where its window had none.
    #[default]
    Trades,
    /// Quotes, and bars of a venue where its window had none.
    Quotes,
    /// Bars of a venue alone.
    Vendor,
}

impl BarOrigin {
    /// Returns the word that answers use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            BarOrigin::Trades => "trades",
            BarOrigin::Quotes => "quotes",
            BarOrigin::Vendor => "vendor",
        }
    }

    /// Reads the word that answers use.
    #[must_use]
    pub fn parse(text: &str) -> Option<BarOrigin> {
        [BarOrigin::Trades, BarOrigin::Quotes, BarOrigin::Vendor]
            .into_iter()
            .find(|origin| origin.as_str() == text)
    }
}

/// What a bar's life has brought it to. "Sealed" is no state: it follows from the symbol's frontier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BarState {
    /// Its window is still open.
    Forming,
    /// The watermark passed its end.
    Closed,
    /// An entry changed it after it closed.
    Amended,
    /// Cancels emptied it after it closed.
    Void,
}

impl BarState {
    /// Returns the word that answers use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            BarState::Forming => "forming",
            BarState::Closed => "closed",
            BarState::Amended => "amended",
            BarState::Void => "void",
        }
    }

    /// Reads the word that answers use.
    #[must_use]
    pub fn parse(text: &str) -> Option<BarState> {
        [BarState::Forming, BarState::Closed, BarState::Amended, BarState::Void]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// One bar as it is published and stored. Prices and sizes are scaled by the symbol's scales.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bar {
    /// The symbol.
    pub symbol: SymbolId,
    /// Width of its window.
    pub width: Width,
    /// Start of its window, inclusive.
    pub start: Nanos,
    /// First price by [`TradeOrder`].
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Last price by [`TradeOrder`].
    pub close: Price,
    /// Sum of sizes, in the size scale.
    pub volume: i128,
    /// Volume-weighted mean price with 9 decimals; `None` without volume.
    pub vwap: Option<i64>,
    /// Trades that count for volume and count.
    pub trade_count: u64,
    /// What its life has brought it to.
    pub state: BarState,
    /// What it is made of.
    pub origin: BarOrigin,
    /// How many entries changed it after it closed.
    pub revision: u32,
    /// Share of the window in which its source was healthy, 0 to 1.
    pub coverage: f64,
    /// Trades that came after the close and still counted.
    pub late: u32,
    /// Repeated reports that were set aside.
    pub duplicates: u32,
    /// Trades that cancels or corrections took out.
    pub cancelled: u32,
    /// Counts the closed, amended and void bars of its symbol and width; orders the live feed.
    pub seq: u64,
    /// The last entry that changed it.
    pub log_pos: Position,
}

impl Bar {
    /// Returns the end of the window, exclusive.
    #[must_use]
    pub const fn end(&self) -> Nanos {
        self.start.plus(self.width.nanos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(ts: i64, id: u64) -> TradeOrder {
        TradeOrder { ts: Nanos(ts), seq: 0, id: TradeId::number(id), source: SourceRank(0) }
    }

    #[test]
    fn ends_follow_time_then_identity_and_not_arrival() {
        let mut sum = BarSum::EMPTY;
        assert_eq!(sum.ohlc(), None);
        sum.add(order(2, 10), Price(30), Size(1), Updates::ALL);
        sum.add(order(2, 9), Price(20), Size(1), Updates::ALL);
        sum.add(order(1, 11), Price(10), Size(2), Updates::ALL);
        assert_eq!(sum.ohlc(), Some([Price(10), Price(30), Price(10), Price(30)]));
        assert_eq!((sum.volume, sum.trade_count), (4, 3));
        assert_eq!(sum.vwap(Scale::VWAP), Some(18), "70 / 4 = 17.5 rounds to even");
    }

    #[test]
    fn a_mean_price_is_exact_at_every_scale_and_size() {
        let scale = |decimals| Scale::new(decimals).expect("at most 12");
        let sum = |trades: &[(i64, i64)]| {
            let mut sum = BarSum::EMPTY;
            for (at, (price, size)) in (0..).zip(trades) {
                sum.add(order(at, 1), Price(*price), Size(*size), Updates::ALL);
            }
            sum
        };
        let small = sum(&[(10, 1), (11, 2)]);
        assert_eq!(small.vwap(scale(0)), Some(10_666_666_667), "32 / 3");
        assert_eq!(small.vwap(scale(12)), Some(0), "0.010666… of the last decimal");
        // The largest notional that a trade may have, a thousand times: times 10^9 it does not fit 128 bits.
        let size = (1_i64 << 62) - 1;
        let large = vec![(1_i64 << 33, size); 1_000];
        assert_eq!(sum(&large).vwap(scale(0)), Some((1_i64 << 33) * 1_000_000_000));
        let uneven: Vec<(i64, i64)> = (0..1_000).map(|n| ((1_i64 << 33) - n % 2, size)).collect();
        assert_eq!(sum(&uneven).vwap(scale(0)), Some((1_i64 << 33) * 1_000_000_000 - 500_000_000));
        assert_eq!(sum(&[(1_i64 << 58, size); 40]).vwap(scale(0)), None, "no such price has 9 decimals");
    }

    #[test]
    fn what_has_only_high_or_volume_makes_no_bar_but_counts_once_there_is_one() {
        let mut extremes = BarSum::EMPTY;
        let high_only = Updates::parse(b"h").expect("valid");
        let volume_only = Updates::parse(b"v").expect("valid");
        extremes.add(order(1, 1), Price(99), Size(5), high_only);
        extremes.add(order(1, 2), Price(1), Size(5), volume_only);
        assert!(!extremes.is_bar());
        let mut sum = BarSum::EMPTY;
        sum.add(order(3, 3), Price(50), Size(1), Updates::ALL);
        sum.merge(&extremes);
        assert_eq!(sum.ohlc(), Some([Price(50), Price(99), Price(50), Price(50)]));
        assert_eq!((sum.volume, sum.trade_count), (6, 2));
    }
}
