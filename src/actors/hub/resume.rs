//! Reads what a client missed from the history, where it is nowhere else: after a restart, or a long absence.
//!
//! The history keeps the newest revision of each bar with its number. A number that is missing there belonged to a
//! revision that a later one replaced. So the bars published since, each in its newest revision and in the order of
//! their numbers, bring the client to the state that all others have. Promises: the result is complete, or `None`: the
//! history has not caught up, has dropped some of it, or it is more than one answer should hold.

use super::last_values::Settled;
use crate::models::bar::Bar;
use crate::models::effect::{Effect, IndicatorPoint};
use crate::models::settings::CoreSettings;
use crate::models::symbol::SymbolId;
use crate::models::time::{Nanos, Width};
use crate::stores::history::{History, WindowQuery};

/// Missed numbers up to which a client can resume; more are read over REST.
pub const NUM_MISSED_MAX: u64 = 500;

/// Unsealed windows that a symbol can have, whatever the settings.
const NUM_UNSEALED_MAX: i64 = 16_384;

/// Reads what was published with numbers above `known` up to `last`. `None` when that is not complete.
pub async fn missed(
    history: &dyn History,
    core: &CoreSettings,
    symbol: SymbolId,
    width: Width,
    known: u64,
    last: u64,
) -> Option<Vec<Settled>> {
    let num_missed = last.checked_sub(known).filter(|missed| *missed <= NUM_MISSED_MAX)?;
    let limit = num_missed as usize + num_unsealed(core, width);
    // A history that cannot be read shows in its own health; the client starts anew, as with anything incomplete.
    let bars = history.revisions(symbol, width, limit).await.ok()?;
    let missed = revisions_since(&bars, known, last)?;
    let query = WindowQuery { symbol, width, start: Nanos::MIN, end: Nanos::MAX, limit };
    // The same holds here.
    let points = history.indicators(&query).await.ok()?;
    let known_pos = known_through(&bars, known);
    Some(with_points(&missed, points, known_pos))
}

/// Returns the position up to which a client has at least what was published: that of the newest bar that it knows. A bar
/// without a number was filled in beside the log, and its position is none of the log's.
fn known_through(bars: &[Bar], known: u64) -> u64 {
    let is_known = |bar: &&Bar| (1..=known).contains(&bar.seq);
    bars.iter().filter(is_known).map(|bar| bar.log_pos).max().unwrap_or(0)
}

/// Returns how many windows can have changed although newer ones exist: those that were not sealed.
fn num_unsealed(core: &CoreSettings, width: Width) -> usize {
    let span = core.horizon.saturating_add(core.gap_hold).saturating_add(core.lateness);
    (span / width.nanos() + 2).clamp(2, NUM_UNSEALED_MAX) as usize
}

/// Returns the bars whose newest number is above `known` and at most `last`, sorted by number. `None` when some are
/// missing.
fn revisions_since(bars: &[Bar], known: u64, last: u64) -> Option<Vec<Bar>> {
    let newest = bars.iter().map(|bar| bar.seq).max().unwrap_or(0);
    if newest < last {
        return None;
    }
    let mut missed: Vec<Bar> =
        bars.iter().filter(|bar| known < bar.seq && bar.seq <= last).copied().collect();
    missed.sort_unstable_by_key(|bar| bar.seq);
    let num_replaced = (last - known) - missed.len() as u64;
    // Each revision but the newest was replaced; a number that this does not explain belonged to a bar that was
    // dropped.
    let num_older: u64 = bars.iter().filter(|bar| bar.seq > known).map(|bar| u64::from(bar.revision)).sum();
    (num_replaced <= num_older).then_some(missed)
}

/// Puts indicators after the bars that they follow from: their own, or the first one published since they changed.
fn with_points(missed: &[Bar], mut points: Vec<IndicatorPoint>, known_pos: u64) -> Vec<Settled> {
    points.sort_unstable_by_key(|point| point.start);
    let place = |point: &IndicatorPoint| {
        let is_own = |bar: &Bar| (bar.log_pos, bar.start) == (point.log_pos, point.start);
        missed.iter().position(is_own).or_else(|| missed.iter().position(|bar| bar.log_pos >= point.log_pos))
    };
    let mut followed: Vec<Vec<IndicatorPoint>> = vec![Vec::new(); missed.len()];
    for point in points.into_iter().filter(|point| point.log_pos > known_pos) {
        if let Some(at) = place(&point) {
            followed[at].push(point);
        }
    }
    let mut settled = Vec::with_capacity(2 * missed.len());
    for (bar, points) in missed.iter().zip(followed) {
        settled.push(Settled { seq: bar.seq, effect: Effect::Bar(*bar) });
        let point = |point| Settled { seq: bar.seq, effect: Effect::Indicators(point) };
        settled.extend(points.into_iter().map(point));
    }
    settled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::bar::{BarOrigin, BarState};
    use crate::models::indicators::IndicatorValues;
    use crate::models::num::Price;
    use crate::models::time::MINUTE;

    #[test]
    fn bars_that_were_filled_in_beside_the_log_are_not_among_what_a_client_knows() {
        let filled = Bar { log_pos: 1 << 48, ..bar(1, 0, 0) };
        let bars = [bar(3, 0, 3), bar(2, 0, 2), filled];
        assert_eq!(known_through(&bars, 2), 20);
        assert_eq!(revisions_since(&bars, 2, 3), Some(vec![bars[0]]));
    }

    fn minute() -> Width {
        Width::parse("1min").expect("a width")
    }

    /// The bar of the n-th minute, published last as number `seq`, as its `revision`-th revision.
    fn bar(nth: i64, revision: u32, seq: u64) -> Bar {
        Bar {
            symbol: SymbolId(0),
            width: minute(),
            start: Nanos(nth * MINUTE),
            open: Price(1),
            high: Price(1),
            low: Price(1),
            close: Price(1),
            volume: 1,
            vwap: None,
            trade_count: 1,
            state: BarState::Closed,
            origin: BarOrigin::Trades,
            revision,
            coverage: 1.0,
            late: 0,
            duplicates: 0,
            cancelled: 0,
            seq,
            log_pos: 10 * seq,
        }
    }

    fn seqs(bars: &[Bar], known: u64, last: u64) -> Option<Vec<u64>> {
        revisions_since(bars, known, last).map(|missed| missed.iter().map(|bar| bar.seq).collect())
    }

    #[test]
    fn revisions_that_were_replaced_are_left_out_and_holes_are_found() {
        // 4 was the first revision of the bar that was published again as 6.
        let amended = [bar(1, 0, 1), bar(2, 0, 2), bar(3, 0, 3), bar(5, 0, 5), bar(4, 1, 6)];
        assert_eq!(seqs(&amended, 2, 6), Some(vec![3, 5, 6]));
        assert_eq!(seqs(&amended, 4, 6), Some(vec![5, 6]));
        assert_eq!(seqs(&amended, 3, 5), Some(vec![5]), "the sixth is sent to those who know more");
        assert_eq!(seqs(&amended, 3, 7), None, "the history has not caught up");
        let with_hole = [bar(1, 0, 1), bar(2, 0, 2), bar(5, 0, 5), bar(6, 0, 6)];
        assert_eq!(seqs(&with_hole, 2, 6), None, "retention has dropped some");
        assert_eq!(seqs(&[], 0, 0), Some(vec![]));
    }

    #[test]
    fn indicators_come_behind_their_own_bar_or_the_one_that_changed_them() {
        let missed = [bar(3, 0, 3), bar(5, 0, 5), bar(4, 2, 7)];
        let point = |nth: i64, log_pos: u64| IndicatorPoint {
            symbol: SymbolId(0),
            width: minute(),
            start: Nanos(nth * MINUTE),
            close: Price(1),
            vwap: None,
            values: IndicatorValues::default(),
            log_pos,
        };
        // Those of the fifth changed with the sixth number, a revision that the seventh replaced.
        let points = vec![point(2, 20), point(3, 30), point(4, 70), point(5, 60), point(6, 80)];
        let followed: Vec<(u64, Option<i64>)> = with_points(&missed, points, 20)
            .iter()
            .map(|settled| match settled.effect {
                Effect::Indicators(point) => (settled.seq, Some(point.start.0 / MINUTE)),
                _ => (settled.seq, None),
            })
            .collect();
        assert_eq!(followed, [(3, None), (3, Some(3)), (5, None), (7, None), (7, Some(4)), (7, Some(5))]);
    }

    #[test]
    fn as_many_windows_are_looked_at_as_may_have_changed() {
        let core = CoreSettings {
            horizon: 5 * MINUTE,
            gap_hold: 10 * MINUTE,
            lateness: 0,
            ..CoreSettings::default()
        };
        assert_eq!(num_unsealed(&core, minute()), 17);
        assert_eq!(num_unsealed(&core, Width::parse("1s").expect("a width")), 902);
        let endless = CoreSettings { gap_hold: i64::MAX, ..core };
        assert_eq!(num_unsealed(&endless, minute()), 16_384);
    }
}
