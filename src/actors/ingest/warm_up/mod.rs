//! The past of a symbol that is followed for the first time: which of a venue's bars are asked for, and in which order they
//! go into the log.
//!
//! Promises: bars come in the order of their ends, so that no bar is behind the seal that the ones before it moved; a window
//! of up to an hour is made of smaller bars only where those cover all of it, so that it is what the venue's own bar of it
//! would be. A wider one may begin before the smaller bars do, since a day of these would be many requests; the feed tells the
//! log that it lacks what was before. Nothing here asks or fails.

pub mod larger;

use crate::models::entry::VenueBar;
use crate::models::time::{DAY, HOUR, Nanos, Width};

/// Bars of each window that are asked for where nobody says otherwise: what the slowest indicator needs.
pub const NUM_BARS_DEFAULT: u32 = 200;

/// Most bars of each window that may be asked for, of the past or of a hole: what comes of them is published before the
/// symbol's first live bar.
pub const NUM_BARS_MAX: u32 = 5_000;

/// How much further back bars are looked for where a market was closed: over a weekend and a holiday first, then as far as
/// a market of six hours and a half a day makes necessary.
const CLOSED: i64 = 4 * DAY;
const OPEN_SHARE: i64 = 7;

/// The same of whole days, of which five of seven are trading days and some are holidays.
const OPEN_DAYS_SHARE: i64 = 2;

/// The pasts to ask for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Bars of each window; 0 asks for none.
    pub num_bars: u32,
    /// The largest window that smaller bars make whole: where it begins, each smaller one does.
    pub joint: Width,
}

/// Returns the largest window that smaller bars make whole: of those up to an hour, or else the smallest one.
///
/// # Panics
/// Without a width: the core's settings are validated to have one.
#[must_use]
pub fn joint(widths: &[Width]) -> Width {
    let first = widths.first().expect("validated: at least one width");
    *widths.iter().rfind(|width| width.nanos() <= HOUR).unwrap_or(first)
}

impl Wanted {
    /// Returns the stretches of time in which bars of a width are looked for, the newest first: each begins where the
    /// joint window does, or a wider one of their own, and ends where the one before it begins. A further one is needed only while there are too few.
    #[must_use]
    pub fn stretches(&self, width: Width, to: Nanos) -> [(Nanos, Nanos); 3] {
        let span = i64::from(self.num_bars).saturating_mul(width.nanos());
        let share = if width.nanos() < DAY { OPEN_SHARE } else { OPEN_DAYS_SHARE };
        let reaches = [span, span.saturating_add(CLOSED), span.saturating_mul(share).saturating_add(CLOSED)];
        let aligned = self.joint.max(width);
        let mut end = to;
        reaches.map(|reach| {
            // One window more, since the first one may have to be left out.
            let begin = aligned.start_of(Nanos(to.0.saturating_sub(reach).max(0))).plus(-aligned.nanos());
            let begin = begin.max(Nanos(0)).min(end);
            let stretch = (begin, end);
            end = begin;
            stretch
        })
    }

    /// True when these are enough of a width.
    #[must_use]
    pub fn is_enough(&self, bars: &[VenueBar]) -> bool {
        bars.len() >= self.num_bars as usize
    }

    /// Takes what is not needed out of the bars of one width: those before the joint window that holds the first of the
    /// newest `num_bars`, and those of a joint window that the venue's history may begin in the middle of.
    pub fn trim(&self, width: Width, bars: &mut Vec<VenueBar>) {
        let aligned = self.joint.max(width);
        bars.sort_unstable_by_key(|bar| bar.start);
        bars.dedup_by_key(|bar| bar.start);
        if let Some(surplus) = bars.len().checked_sub(self.num_bars as usize)
            && let Some(first) = bars.get(surplus)
        {
            let begin = aligned.start_of(first.start);
            bars.retain(|bar| bar.start >= begin);
        }
        if let Some(first) = bars.first()
            && aligned.start_of(first.start) != first.start
        {
            let begin = aligned.end_of(first.start);
            bars.retain(|bar| bar.start >= begin);
        }
    }
}

/// Puts bars of all widths into the order in which they go into the log.
pub fn put_in_order(bars: &mut [VenueBar]) {
    bars.sort_by_key(|bar| (bar.start.plus(i64::from(bar.width_ms) * 1_000_000), bar.width_ms));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::entry::SourceId;
    use crate::models::num::{Price, Size};
    use crate::models::time::{HOUR, MINUTE};

    fn width(minutes: i64) -> Width {
        Width::new(minutes * MINUTE).expect("a width")
    }

    fn bar(minutes: i64, at: i64) -> VenueBar {
        VenueBar {
            start: Nanos(at * MINUTE),
            received: Nanos(at * MINUTE),
            open: Price(1),
            high: Price(1),
            low: Price(1),
            close: Price(1),
            volume: Size(1),
            vwap: Price(0),
            trade_count: 0,
            width_ms: u32::try_from(minutes * 60_000).expect("short"),
            source: SourceId(0),
        }
    }

    #[test]
    fn stretches_reach_back_as_far_as_closed_markets_need_and_touch() {
        let wanted = Wanted { num_bars: 200, joint: width(15) };
        let to = Nanos(30 * DAY + 7 * MINUTE);
        for minutes in [1, 5, 15] {
            let stretches = wanted.stretches(width(minutes), to);
            assert_eq!(stretches[0].1, to);
            assert!(to.since(stretches[0].0) >= 200 * minutes * MINUTE + 15 * MINUTE);
            assert!(to.since(stretches[0].0) <= 200 * minutes * MINUTE + 30 * MINUTE);
            assert!(to.since(stretches[2].0) >= 7 * 200 * minutes * MINUTE + 4 * DAY);
            for (at, (begin, end)) in stretches.into_iter().enumerate() {
                assert!(begin < end && begin.0 % (15 * MINUTE) == 0);
                assert!(at == 0 || end == stretches[at - 1].0);
            }
        }
        let [(begin, end), _, (oldest, _)] = wanted.stretches(width(24 * 60), Nanos(700 * DAY + HOUR));
        assert_eq!((begin.0 / DAY, end), (499, Nanos(700 * DAY + HOUR)), "days begin with a day");
        assert_eq!(oldest.0 / DAY, 295, "a share has five days a week");
        let young = wanted.stretches(width(15), Nanos(HOUR));
        assert_eq!(young, [(Nanos(0), Nanos(HOUR)), (Nanos(0), Nanos(0)), (Nanos(0), Nanos(0))]);
    }

    #[test]
    fn the_joint_window_is_the_largest_up_to_an_hour() {
        for (widths, expected) in [(&[1, 5, 15, 60, 1_440][..], 60), (&[1, 15, 120], 15), (&[240, 720], 240)]
        {
            let widths: Vec<Width> = widths.iter().copied().map(width).collect();
            assert_eq!(joint(&widths), width(expected));
        }
    }

    #[test]
    fn a_joint_window_has_all_its_smaller_bars_or_none() {
        let wanted = Wanted { num_bars: 20, joint: width(15) };
        let trimmed = |minutes: std::ops::Range<i64>| {
            let mut bars: Vec<VenueBar> = minutes.rev().map(|at| bar(1, at)).collect();
            wanted.trim(width(1), &mut bars);
            (bars.first().map(|bar| bar.start.0 / MINUTE), bars.len())
        };
        assert_eq!(trimmed(0..50), (Some(30), 20), "no more than are needed");
        assert_eq!(trimmed(0..49), (Some(15), 34), "but for those of a window that is begun");
        assert_eq!(trimmed(7..20), (Some(15), 5), "the venue's history began in a window");
        assert_eq!(trimmed(7..9), (None, 0));
        assert_eq!(trimmed(0..0), (None, 0));
    }

    #[test]
    fn bars_come_in_the_order_of_their_ends() {
        let mut bars = vec![bar(15, 0), bar(15, 15), bar(5, 10), bar(1, 14), bar(1, 15), bar(5, 0)];
        put_in_order(&mut bars);
        let order: Vec<(i64, u32)> =
            bars.iter().map(|bar| (bar.start.0 / MINUTE, bar.width_ms / 60_000)).collect();
        assert_eq!(order, [(0, 5), (14, 1), (10, 5), (0, 15), (15, 1), (15, 15)]);
    }
}
