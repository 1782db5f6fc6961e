//! Bars of a width that a venue lacks, made of smaller ones that it has.
//!
//! Promises: open, high, low, close and volume are those that the venue's own bar would have, since a window is made only of
//! the bars of all its parts. The mean price is the mean of theirs, each of which the venue had rounded; it is unknown, like
//! the number of trades, where one of them is. A window that the venue's history may begin or end in the middle of is left
//! out, and so is one whose volume no bar can hold. Nothing here asks or fails.

use crate::models::entry::VenueBar;
use crate::models::num::{Price, Size, div_half_even};
use crate::models::time::{HOUR, MINUTE, Nanos, Width};

/// Widths that venues have bars of, the largest first.
const USUAL: [i64; 13] = [
    12 * HOUR,
    8 * HOUR,
    6 * HOUR,
    4 * HOUR,
    2 * HOUR,
    HOUR,
    30 * MINUTE,
    15 * MINUTE,
    10 * MINUTE,
    5 * MINUTE,
    3 * MINUTE,
    2 * MINUTE,
    MINUTE,
];

/// Returns a width, and then those that bars of it can be made of, the largest first: it takes the fewest.
pub fn parts(width: Width) -> impl Iterator<Item = Width> {
    let divides = move |&smaller: &i64| smaller < width.nanos() && width.nanos() % smaller == 0;
    std::iter::once(width).chain(USUAL.into_iter().filter(divides).filter_map(Width::new))
}

/// Makes the bars of a width out of smaller ones, in any order: those of the windows between `from` and `to`. The smaller
/// ones should reach over one window more on both sides, by which it is known that the venue's history neither begins in the
/// first window that is wanted nor ends in the last one.
#[must_use]
pub fn merged(mut bars: Vec<VenueBar>, width: Width, from: Nanos, to: Nanos) -> Vec<VenueBar> {
    bars.sort_unstable_by_key(|bar| bar.start);
    bars.dedup_by_key(|bar| bar.start);
    if let Some(first) = bars.first()
        && width.start_of(first.start) != first.start
    {
        let begin = width.end_of(first.start);
        bars.retain(|bar| bar.start >= begin);
    }
    if let Some(last) = bars.last()
        && last.start.plus(i64::from(last.width_ms) * 1_000_000) != width.end_of(last.start)
    {
        let end = width.start_of(last.start);
        bars.retain(|bar| bar.start < end);
    }
    bars.chunk_by(|one, other| width.start_of(one.start) == width.start_of(other.start))
        .filter_map(|parts| merge(parts, width))
        .filter(|bar| bar.start >= from && bar.start.plus(width.nanos()) <= to)
        .collect()
}

/// Makes one bar of the parts of its window, which are in order.
fn merge(parts: &[VenueBar], width: Width) -> Option<VenueBar> {
    let (first, last) = (parts.first()?, parts.last()?);
    let volume: i128 = parts.iter().map(|part| i128::from(part.volume.0)).sum();
    let notional: i128 = parts.iter().map(|part| i128::from(part.vwap.0) * i128::from(part.volume.0)).sum();
    let has_mean = volume > 0 && parts.iter().all(|part| part.vwap.0 != 0 || part.volume.0 == 0);
    let vwap = if has_mean { i64::try_from(div_half_even(notional, volume)).ok()? } else { 0 };
    let is_counted = parts.iter().all(|part| part.trade_count > 0);
    let count: u64 = parts.iter().map(|part| u64::from(part.trade_count)).sum();
    Some(VenueBar {
        start: width.start_of(first.start),
        received: parts.iter().map(|part| part.received).max()?,
        open: first.open,
        high: parts.iter().map(|part| part.high).max()?,
        low: parts.iter().map(|part| part.low).min()?,
        close: last.close,
        volume: Size(i64::try_from(volume).ok()?),
        vwap: Price(vwap),
        trade_count: if is_counted { u32::try_from(count).ok()? } else { 0 },
        width_ms: u32::try_from(width.nanos() / 1_000_000).ok()?,
        source: first.source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::entry::SourceId;

    fn width(minutes: i64) -> Width {
        Width::new(minutes * MINUTE).expect("a width")
    }

    fn bar(at: i64, prices: [i64; 4], volume: i64, vwap: i64, trade_count: u32) -> VenueBar {
        let [open, high, low, close] = prices.map(Price);
        VenueBar {
            start: Nanos(at * MINUTE),
            received: Nanos(at),
            open,
            high,
            low,
            close,
            volume: Size(volume),
            vwap: Price(vwap),
            trade_count,
            width_ms: 60_000,
            source: SourceId(3),
        }
    }

    #[test]
    fn a_width_is_made_of_the_largest_that_divides_it() {
        let minutes = |of: i64| parts(width(of)).map(|part| part.nanos() / MINUTE).collect::<Vec<_>>();
        assert_eq!(minutes(15), [15, 5, 3, 1]);
        assert_eq!(minutes(1), [1]);
        assert_eq!(minutes(45), [45, 15, 5, 3, 1]);
        let seconds = Width::new(MINUTE / 2).expect("a width");
        assert_eq!(parts(seconds).collect::<Vec<_>>(), [seconds]);
    }

    #[test]
    fn a_window_is_what_its_parts_add_up_to() {
        let parts = vec![
            bar(7, [30, 31, 29, 30], 2, 30, 4),
            bar(5, [10, 20, 5, 12], 3, 11, 2),
            bar(9, [40, 40, 40, 40], 0, 0, 1),
            bar(5, [10, 20, 5, 12], 3, 11, 2),
            bar(10, [9, 9, 9, 9], 1, 9, 1),
        ];
        let found = merged(parts, width(5), Nanos(0), Nanos(10 * MINUTE));
        let whole = VenueBar {
            width_ms: 300_000,
            received: Nanos(9),
            ..bar(5, [10, 40, 5, 40], 5, 19, 7) // 93 / 5 = 18.6
        };
        assert_eq!(found, [whole]);
    }

    #[test]
    fn what_a_part_does_not_say_the_window_does_not_say() {
        let parts = [bar(0, [1, 1, 1, 1], 3, 0, 2), bar(4, [1, 1, 1, 1], 3, 1, 0)];
        let found = merged(parts.to_vec(), width(5), Nanos(0), Nanos(5 * MINUTE));
        assert_eq!((found[0].vwap, found[0].trade_count, found[0].volume), (Price(0), 0, Size(6)));
        let large = [bar(0, [1; 4], i64::MAX, 1, 1), bar(4, [1; 4], i64::MAX, 1, 1)];
        assert_eq!(merged(large.to_vec(), width(5), Nanos(0), Nanos(5 * MINUTE)), []);
    }

    #[test]
    fn a_window_that_may_be_cut_is_left_out() {
        let starts = |bars: std::ops::Range<i64>, from: i64, to: i64| -> Vec<i64> {
            let bars = bars.map(|at| bar(at, [1; 4], 1, 1, 1)).collect();
            let found = merged(bars, width(5), Nanos(from * MINUTE), Nanos(to * MINUTE));
            found.iter().map(|bar| bar.start.0 / MINUTE).collect()
        };
        assert_eq!(starts(10..20, 10, 20), [10, 15]);
        assert_eq!(starts(11..20, 10, 20), [15], "the history may begin at 11");
        assert_eq!(starts(5..20, 10, 20), [10, 15], "asked for so that this is known");
        assert_eq!(starts(10..20, 10, 19), [10], "what is not asked for to its end");
        assert_eq!(starts(10..19, 10, 20), [10], "the venue may be behind");
        assert_eq!(starts(10..21, 10, 20), [10, 15], "asked for so that this is known");
        assert_eq!(starts(0..0, 0, 5), [0; 0]);
    }
}
