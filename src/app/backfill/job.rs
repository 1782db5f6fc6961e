//! Fills the windows of one symbol and width, part by part.
//!
//! Promises: a part is asked for only where one of its windows is not whole, and not again where it was filled before; its
//! rows are committed together, and then it is noted in the log that it is done, so whatever ends the process costs one part
//! at the most. Parts lie at fixed times: whoever begins elsewhere finds the same ones. On failure what was filled stays.

use super::rows::{SEED_BARS, Series, is_whole};
use crate::actors::ingest::shell::{BarsAsked, BarsClient, BarsError};
use crate::actors::ingest::venue::Instrument;
use crate::models::bar::{Bar, BarOrigin};
use crate::models::effect::Effect;
use crate::models::time::{Nanos, Width};
use crate::stores::StoreError;
use crate::stores::history::{History, HistoryBatch, WindowQuery};
use crate::stores::log::{LogGroup, Progress, TickLog};
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Windows of a part: a week of minutes, which venues give in 1 to 34 pages.
const PART_LEN: usize = 10_000;

/// Why a stretch was not filled to its end.
#[derive(Debug, thiserror::Error)]
pub enum FillError {
    /// The venue did not give its bars.
    #[error(transparent)]
    Venue(#[from] BarsError),
    /// The directory cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Parts that are done, by their numbers.
type Notes = BTreeMap<i64, Done>;

/// What was done of a part, and how many whole bars the history had of it then: with fewer it is not done any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Done {
    from: Nanos,
    to: Nanos,
    num_whole: usize,
}

/// What came of the windows of a stretch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Bars written.
    pub num_written: usize,
    /// Bars that were there and stay.
    pub num_kept: usize,
    /// Windows that the venue has no bar of.
    pub num_without: usize,
    /// True when bars were asked for: where everything was there, nothing is.
    pub has_asked: bool,
}

/// Fills windows of one symbol and width from a venue.
pub struct Job<'a> {
    pub history: &'a dyn History,
    pub log: &'a dyn TickLog,
    pub client: &'a BarsClient,
    pub instrument: &'a Instrument,
    pub series: Series,
    /// Under what it is noted in the log which parts are done.
    pub key: String,
}

impl Job<'_> {
    /// Fills the windows from `from` to `to`, and moves the bar on by each window. May be dropped at any await.
    ///
    /// # Errors
    /// [`FillError`]; the tally then says what was done.
    pub async fn fill(
        &self,
        from: Nanos,
        to: Nanos,
        tally: &mut Tally,
        bar: &ProgressBar,
    ) -> Result<(), FillError> {
        let mut notes = self.notes().await?;
        for (number, from, to) in parts(self.series.width, from, to) {
            let part = Part { from, to, stored: self.stored(from, to, PART_LEN).await? };
            let is_done = self.is_done(notes.get(&number), from, to).await?;
            let wanted = if is_done { None } else { part.wanted(self.series.width) };
            if let Some((first, end)) = wanted {
                let asked =
                    BarsAsked { instrument: self.instrument, width: self.series.width, from: first, to: end };
                tally.has_asked = true;
                let mut given = self.client.bars(&asked).await?.unwrap_or_default();
                given.sort_unstable_by_key(|bar| bar.start);
                let before = self.before(from).await?;
                let rows = self.series.rows(&before, &part.stored, &given);
                let starts: Vec<Nanos> = rows.iter().filter_map(start_of_bar).collect();
                let is_replaced = |bar: &&Bar| starts.binary_search(&bar.start).is_ok();
                let num_kept = part.stored.len() - part.stored.iter().filter(is_replaced).count();
                self.write(rows).await?;
                let num_whole = part.stored.iter().filter(|bar| is_whole(bar)).count() + starts.len();
                notes.insert(number, Done { from, to, num_whole });
                self.note(&notes).await?;
                tally.num_kept += num_kept;
                tally.num_written += starts.len();
                tally.num_without +=
                    part.num_windows(self.series.width).saturating_sub(num_kept + starts.len());
            } else {
                tally.num_kept += part.stored.len();
                tally.num_without += part.num_windows(self.series.width).saturating_sub(part.stored.len());
            }
            bar.inc(part.num_windows(self.series.width) as u64);
        }
        Ok(())
    }

    /// True when a note says that a part is done, and the history still has what it had then.
    async fn is_done(&self, done: Option<&Done>, from: Nanos, to: Nanos) -> Result<bool, StoreError> {
        match done {
            Some(done) if done.from <= from && to <= done.to => {
                let stored = self.stored(done.from, done.to, PART_LEN).await?;
                Ok(stored.iter().filter(|bar| is_whole(bar)).count() >= done.num_whole)
            }
            _ => Ok(false),
        }
    }

    /// Returns stored bars, oldest first. A venue's bar whose indicators are gone is as good as none: it comes again.
    async fn stored(&self, start: Nanos, end: Nanos, limit: usize) -> Result<Vec<Bar>, StoreError> {
        let Series { symbol, width, .. } = self.series;
        let query = WindowQuery { symbol, width, start, end, limit };
        let mut bars = self.history.bars(&query).await?;
        let points = self.history.indicators(&query).await?;
        let starts: HashSet<Nanos> = points.iter().map(|point| point.start).collect();
        bars.retain(|bar| bar.origin != BarOrigin::Vendor || starts.contains(&bar.start));
        bars.reverse();
        Ok(bars)
    }

    async fn before(&self, time: Nanos) -> Result<Vec<Bar>, StoreError> {
        self.stored(Nanos::MIN, time, SEED_BARS).await
    }

    async fn write(&self, rows: Vec<Effect>) -> Result<(), StoreError> {
        // Nothing of the log reached the history by this.
        let batch = HistoryBatch {
            effects: vec![Arc::new(rows)],
            reports: Vec::new(),
            dead_letters: Vec::new(),
            acknowledged: 0,
        };
        self.history.write(&batch).await
    }

    async fn notes(&self) -> Result<Notes, StoreError> {
        let noted = self.log.progress(&self.key).await?;
        // A note that cannot be read costs requests and nothing else.
        Ok(noted.and_then(|bytes| postcard::from_bytes(&bytes).ok()).unwrap_or_default())
    }

    async fn note(&self, notes: &Notes) -> Result<(), StoreError> {
        let value = postcard::to_stdvec(notes).expect("a note is plain data");
        let progress = Some(Progress { key: self.key.clone(), value });
        self.log.append(&LogGroup { entries: Vec::new(), progress }).await
    }
}

fn start_of_bar(row: &Effect) -> Option<Nanos> {
    match row {
        Effect::Bar(bar) => Some(bar.start),
        Effect::Indicators(_) | Effect::DeadLetter(_) | Effect::Anomaly(_) | Effect::Sealed(_) => None,
    }
}

/// A part of a stretch, and what is stored of it.
struct Part {
    from: Nanos,
    to: Nanos,
    stored: Vec<Bar>,
}

impl Part {
    fn num_windows(&self, width: Width) -> usize {
        usize::try_from(self.to.since(self.from) / width.nanos()).unwrap_or(0)
    }

    /// Returns where the windows that are not whole begin and end; `None` when all are.
    fn wanted(&self, width: Width) -> Option<(Nanos, Nanos)> {
        let mut whole = self.stored.iter().filter(|bar| is_whole(bar)).map(|bar| bar.start).peekable();
        let (mut first, mut end, mut start) = (None, self.from, self.from);
        while start < self.to {
            if whole.next_if_eq(&start).is_none() {
                first.get_or_insert(start);
                end = start.plus(width.nanos());
            }
            start = start.plus(width.nanos());
        }
        first.map(|first| (first, end))
    }
}

/// Cuts a stretch, whose ends are those of windows, into parts at fixed times: each with its number.
fn parts(width: Width, from: Nanos, to: Nanos) -> impl Iterator<Item = (i64, Nanos, Nanos)> {
    let len = width.nanos().saturating_mul(PART_LEN as i64);
    let first = from.0.div_euclid(len);
    (first..)
        .map(move |number| {
            let begin = Nanos(number.saturating_mul(len));
            (number, begin.max(from), begin.plus(len).min(to))
        })
        .take_while(|(_, from, to)| from < to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::bar::BarState;
    use crate::models::num::Price;
    use crate::models::symbol::SymbolId;
    use crate::models::time::MINUTE;

    const WIDTH: Width = Width::new(MINUTE).expect("a width");

    fn stored(at: i64, coverage: f64) -> Bar {
        Bar {
            symbol: SymbolId(0),
            width: WIDTH,
            start: Nanos(at * MINUTE),
            open: Price(1),
            high: Price(1),
            low: Price(1),
            close: Price(1),
            volume: 1,
            vwap: None,
            trade_count: 1,
            state: BarState::Closed,
            origin: BarOrigin::Trades,
            revision: 0,
            coverage,
            late: 0,
            duplicates: 0,
            cancelled: 0,
            seq: 1,
            log_pos: 1,
        }
    }

    #[test]
    fn parts_lie_at_fixed_times_and_touch() {
        let of = |from: i64, to: i64| -> Vec<(i64, i64, i64)> {
            parts(WIDTH, Nanos(from * MINUTE), Nanos(to * MINUTE))
                .map(|(number, from, to)| (number, from.0 / MINUTE, to.0 / MINUTE))
                .collect()
        };
        assert_eq!(of(9_990, 20_010), [(0, 9_990, 10_000), (1, 10_000, 20_000), (2, 20_000, 20_010)]);
        assert_eq!(of(10_000, 20_000), [(1, 10_000, 20_000)]);
        assert_eq!(of(5, 5), []);
    }

    #[test]
    fn only_what_is_not_whole_is_asked_for() {
        let wanted = |stored: Vec<Bar>| {
            let part = Part { from: Nanos(10 * MINUTE), to: Nanos(15 * MINUTE), stored };
            part.wanted(WIDTH).map(|(first, end)| (first.0 / MINUTE, end.0 / MINUTE))
        };
        assert_eq!(wanted(Vec::new()), Some((10, 15)));
        assert_eq!(wanted((10..15).map(|at| stored(at, 1.0)).collect()), None);
        assert_eq!(wanted(vec![stored(10, 1.0), stored(11, 0.5), stored(14, 1.0)]), Some((11, 14)));
        assert_eq!(wanted(vec![stored(12, 1.0), stored(14, 0.0)]), Some((10, 15)));
    }
}
