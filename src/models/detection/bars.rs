//! Detectors that judge closed bars: volume spikes and the RSI. They also know the closes that prices are judged by.
//!
//! Promises: after any sequence of new, amended and void bars, what is published is what a single pass over the final bars
//! finds. A usual bar at the end costs some comparisons, since sums of what a baseline takes roll along; a changed bar costs
//! one judgement for itself and for each bar after it. A sealed bar does not change, so of it only what later bars need is
//! kept.

use super::baseline::{PriceBand, VolumeLimit, to_f64};
use super::detected::{AnomalyKind, Cause, Finding, severity};
use super::publish::{Published, Publisher};
use super::settings::{Method, PriceThreshold, RsiThreshold, Thresholds};
use crate::models::anomaly::{AnomalyState, Severity};
use crate::models::entry::Position;
use crate::models::num::Price;
use crate::models::time::{Nanos, Width};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// Half of the bars that are kept beyond those that baselines take, so that many are let go together.
const SLACK: usize = 16;

/// The RSI of a market that goes nowhere.
const RSI_MIDDLE: f64 = 50.0;

/// Which excursions go on after a bar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Excursions {
    /// The bar was a volume spike.
    volume: bool,
    /// The RSI is beyond a threshold, since the bar that starts then.
    rsi: Option<(AnomalyKind, Nanos)>,
}

/// What is judged of a bar.
#[derive(Clone, Copy, Debug)]
pub struct BarFigures {
    /// Start of its window.
    pub start: Nanos,
    /// Last price, in the symbol's price scale.
    pub close: Price,
    /// Sum of sizes, in its size scale.
    pub volume: i128,
    /// The last entry that changed it.
    pub pos: Position,
    /// How many entries changed it after it closed.
    pub revision: u32,
}

/// A bar, and what was found in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct JudgedBar {
    start: Nanos,
    close: i64,
    volume: i128,
    pos: Position,
    revision: u32,
    after: Excursions,
    volume_spike: Option<Box<Published>>,
    /// The excursion of the RSI that began here.
    rsi: Option<Box<Published>>,
}

/// Sums over the newest bars that have been judged, as many as a baseline takes, or all where these are fewer.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    closes: i128,
    volumes: i128,
}

/// Judges the bars of one width.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BarDetector {
    width: Width,
    /// Sealed bars, as many as a baseline takes at least, then all unsealed ones.
    bars: Vec<JudgedBar>,
    /// Bars that are known to be sealed, of which nothing is published any more.
    num_sealed: usize,
    /// Bars that end by this are sealed.
    sealed_until: Nanos,
    /// Bars that baselines take.
    #[serde(skip)]
    keep: usize,
    /// A volume below this share of the sum of those before is usual by the mean, whatever is rounded.
    #[serde(skip)]
    volume_share: f64,
    /// The excursion of the RSI that began in a sealed bar and may go on.
    began: Option<Box<Published>>,
    /// Bars that start before this have been judged.
    #[serde(skip, default = "all")]
    unjudged_from: Nanos,
    /// The same, of bars whose close is new.
    #[serde(skip, default = "all")]
    new_close_from: Nanos,
    /// What was found in bars that are void by now.
    #[serde(skip)]
    void: Vec<Option<Box<Published>>>,
    /// Bars at the end that are new since the last judgement.
    #[serde(skip)]
    num_new: usize,
    /// Something else has changed since then.
    #[serde(skip)]
    is_amended: bool,
    #[serde(skip)]
    sums: Sums,
    /// The prices that are usual after the newest bar, or after one of late.
    #[serde(skip)]
    band: RecentBand,
}

/// A band, and how long its inner part holds while closes come and go.
#[derive(Clone, Copy, Debug)]
struct RecentBand {
    exact: PriceBand,
    /// It is exact for the newest bar.
    is_newest: bool,
    inner: (i64, i64),
    /// Sums of closes with which every price in the inner part is usual.
    sums: (i128, i128),
}

impl Default for RecentBand {
    fn default() -> Self {
        RecentBand::of(PriceBand::OPEN, None)
    }
}

impl RecentBand {
    /// Makes it of the band after the newest bar; `sum` is that of its closes where it is by their mean.
    fn of(exact: PriceBand, sum: Option<(i128, &PriceThreshold)>) -> RecentBand {
        let PriceBand { low, high, distance, .. } = exact;
        let whole = RecentBand { exact, is_newest: true, inner: (low, high), sums: (0, -1) };
        // The mean may move by a twentieth of the distance: then the limits, which are at most twice as far from nothing as
        // the mean is, move by a tenth at most.
        match sum {
            Some((sum, threshold)) if threshold.percent <= 100.0 => {
                let room = (distance * 0.05 * threshold.bars as f64) as i128;
                let margin = (distance * 0.1) as i64 + 1;
                let inner = (low.saturating_add(margin), high.saturating_sub(margin));
                RecentBand { inner, sums: (sum - room, sum + room), ..whole }
            }
            _ => whole,
        }
    }
}

const fn all() -> Nanos {
    Nanos::MAX
}

impl BarDetector {
    /// Makes one that has seen no bar.
    #[must_use]
    pub const fn new(width: Width) -> BarDetector {
        BarDetector {
            width,
            bars: Vec::new(),
            num_sealed: 0,
            sealed_until: Nanos::MIN,
            keep: 0,
            volume_share: 0.0,
            began: None,
            unjudged_from: Nanos::MAX,
            new_close_from: Nanos::MAX,
            void: Vec::new(),
            num_new: 0,
            is_amended: false,
            sums: Sums { closes: 0, volumes: 0 },
            band: RecentBand {
                exact: PriceBand::OPEN,
                is_newest: true,
                inner: (i64::MIN, i64::MAX),
                sums: (0, -1),
            },
        }
    }

    /// Returns the width of the bars.
    #[must_use]
    pub const fn width(&self) -> Width {
        self.width
    }

    /// Takes a bar in that closed or was amended. It is judged with [`BarDetector::judge`].
    pub fn upsert(&mut self, bar: BarFigures) {
        let BarFigures { start, close, volume, pos, revision } = bar;
        let new = JudgedBar {
            start,
            close: close.0,
            volume,
            pos,
            revision,
            after: Excursions::default(),
            volume_spike: None,
            rsi: None,
        };
        if self.bars.last().is_none_or(|newest| newest.start < bar.start) {
            if self.bars.capacity() == 0 {
                self.bars.reserve_exact(self.keep + 2 * SLACK);
            }
            self.bars.push(new);
            self.num_new += 1;
            self.note(bar.start, true);
            return;
        }
        let at = self.bars.partition_point(|known| known.start < bar.start);
        match self.bars.get_mut(at).filter(|known| known.start == bar.start) {
            Some(known) => {
                let has_new_close = known.close != new.close;
                if !has_new_close && known.volume == new.volume {
                    return;
                }
                self.is_amended = true;
                *known = JudgedBar { volume_spike: known.volume_spike.take(), rsi: known.rsi.take(), ..new };
                self.note(bar.start, has_new_close);
            }
            None => {
                self.is_amended = true;
                self.bars.insert(at, new);
                self.note(bar.start, true);
            }
        }
    }

    /// Takes a bar out that became void.
    pub fn remove(&mut self, start: Nanos) {
        let at = self.bars.partition_point(|known| known.start < start);
        if self.bars.get(at).is_some_and(|known| known.start == start) {
            let void = self.bars.remove(at);
            self.is_amended = true;
            self.void.extend([void.volume_spike, void.rsi].into_iter().filter(Option::is_some));
            self.note(start, true);
        }
    }

    fn note(&mut self, start: Nanos, has_new_close: bool) {
        self.unjudged_from = self.unjudged_from.min(start);
        if has_new_close {
            self.new_close_from = self.new_close_from.min(start);
        }
    }

    /// Judges what changed. `rsi` is that of the bar with this start. Returns the end of the first bar whose close is new.
    pub fn judge(
        &mut self,
        thresholds: &Thresholds,
        rsi: impl Fn(Nanos) -> Option<f64>,
        publisher: &mut Publisher<'_>,
    ) -> Option<Nanos> {
        self.judge_changed(thresholds, rsi, publisher);
        let new_close = self.new_close_from;
        self.note_judged();
        self.add_up(thresholds);
        (new_close != Nanos::MAX).then(|| new_close.plus(self.width.nanos()))
    }

    /// True where no more has changed than that one bar is new at the end. Returns its start.
    #[inline]
    #[must_use]
    pub fn only_new(&self) -> Option<Nanos> {
        let newest = self.bars.last().filter(|_| self.num_new == 1 && !self.is_amended);
        newest.map(|bar| bar.start)
    }

    /// True where nothing has changed.
    #[must_use]
    pub const fn is_judged(&self) -> bool {
        self.num_new == 0 && !self.is_amended
    }

    /// Judges the one bar that is new at the end. Returns false where it is unusual, or goes on with what was: then nothing has
    /// been done, and [`BarDetector::judge`] is to do it. Otherwise the band is that after it, and
    /// [`BarDetector::note_judged`] says that it has been judged.
    pub fn judge_usual(&mut self, thresholds: &Thresholds, rsi: Option<f64>) -> bool {
        let Some((newest, before)) = self.bars.split_last() else { return false };
        let goes_on = before.last().is_some_and(|bar| bar.after.rsi.is_some());
        if goes_on || rsi.is_some_and(|value| onset(value, &thresholds.rsi).is_some()) {
            return false;
        }
        let (mut volumes, mut closes) = (self.sums.volumes, self.sums.closes);
        if let Some(first) = before.len().checked_sub(thresholds.volume.bars) {
            let is_usual = match thresholds.volume.method {
                Method::Mean => to_f64(newest.volume) < to_f64(volumes) * self.volume_share,
                Method::Median => false,
            };
            if !is_usual && self.volume_spike(before.len(), thresholds).is_some() {
                return false;
            }
            volumes -= before[first].volume;
        }
        let num_before = before.len();
        if let Some(first) = num_before.checked_sub(thresholds.price.bars) {
            closes -= i128::from(before[first].close);
        }
        closes += i128::from(newest.close);
        self.sums = Sums { closes, volumes: volumes + newest.volume };
        let (low, high) = self.band.sums;
        if low <= closes && closes <= high && num_before >= thresholds.price.bars {
            self.band.is_newest = false;
        } else {
            self.renew_band(&thresholds.price);
        }
        true
    }

    /// Says that what changed has been judged.
    #[inline]
    pub const fn note_judged(&mut self) {
        (self.unjudged_from, self.new_close_from) = (Nanos::MAX, Nanos::MAX);
        (self.num_new, self.is_amended) = (0, false);
    }

    /// Takes up thresholds: those of a start, or others than before.
    pub fn begin(&mut self, thresholds: &Thresholds) {
        self.keep = thresholds.bars();
        // Less by far more than what rounding can do.
        self.volume_share = thresholds.volume.factor / thresholds.volume.bars as f64 * (1.0 - 1e-9);
        self.add_up(thresholds);
    }

    fn add_up(&mut self, thresholds: &Thresholds) {
        let newest = |bars: usize| &self.bars[self.bars.len().saturating_sub(bars)..];
        self.sums = Sums {
            closes: closes(newest(thresholds.price.bars)).map(i128::from).sum(),
            volumes: volumes(newest(thresholds.volume.bars)).sum(),
        };
        self.renew_band(&thresholds.price);
    }

    /// Works out the prices that are usual after the newest bar.
    fn renew_band(&mut self, threshold: &PriceThreshold) {
        let closes_sum = self.sums.closes;
        self.band = match self.bars.len().checked_sub(threshold.bars) {
            None => RecentBand::default(),
            Some(_) if threshold.method == Method::Mean => {
                let exact = PriceBand::around_mean(closes_sum, threshold);
                RecentBand::of(exact, Some((closes_sum, threshold)))
            }
            Some(first) => RecentBand::of(PriceBand::of(closes(&self.bars[first..]), threshold), None),
        };
    }

    /// Judges every bar from the first that changed on.
    fn judge_changed(
        &mut self,
        thresholds: &Thresholds,
        rsi: impl Fn(Nanos) -> Option<f64>,
        publisher: &mut Publisher<'_>,
    ) {
        self.void.drain(..).for_each(|mut void| publisher.settle(&mut void, None));
        let first = self.bars.partition_point(|bar| bar.start < self.unjudged_from).max(self.num_sealed);
        let mut before = first.checked_sub(1).map_or_else(Excursions::default, |at| self.bars[at].after);
        let entering = before.rsi;
        let mut entering_goes_on = true;
        let mut wanted: SmallVec<[Wanted; 8]> = SmallVec::new();
        for at in first..self.bars.len() {
            let spike = self.volume_spike(at, thresholds);
            let value = rsi(self.bars[at].start);
            let goes_on = before.rsi.filter(|(kind, _)| goes_on(*kind, value, thresholds));
            if let Some((_, began)) = before.rsi.filter(|_| goes_on.is_none()) {
                match wanted.iter_mut().rfind(|one| one.start == began) {
                    Some(one) => one.has_ended = true,
                    None => entering_goes_on = false,
                }
            }
            let onset = if goes_on.is_some() { None } else { self.rsi_onset(at, value, thresholds) };
            let start = self.bars[at].start;
            let after = Excursions {
                volume: spike.is_some(),
                rsi: goes_on.or(onset.as_ref().map(|finding| (finding.kind, start))),
            };
            let spike = spike.filter(|_| !before.volume);
            wanted.push(Wanted { start, spike, onset, has_ended: false });
            self.bars[at].after = after;
            before = after;
        }
        if let Some((_, began)) = entering {
            let state = if entering_goes_on { AnomalyState::Active } else { AnomalyState::Ended };
            let at = self.bars.partition_point(|bar| bar.start < began);
            let slot = match self.bars.get_mut(at).filter(|bar| at >= self.num_sealed && bar.start == began) {
                Some(bar) => &mut bar.rsi,
                None => &mut self.began,
            };
            publisher.set_state(slot, state);
        }
        for (bar, wanted) in self.bars[first..].iter_mut().zip(wanted) {
            let Wanted { spike, onset, has_ended, .. } = wanted;
            publisher.settle(&mut bar.volume_spike, spike.map(|finding| (finding, AnomalyState::Active)));
            let state = if has_ended { AnomalyState::Ended } else { AnomalyState::Active };
            publisher.settle(&mut bar.rsi, onset.map(|finding| (finding, state)));
        }
    }

    fn volume_spike(&self, at: usize, thresholds: &Thresholds) -> Option<Finding> {
        let threshold = &thresholds.volume;
        let first = at.checked_sub(threshold.bars)?;
        let VolumeLimit { expected, times, limit } =
            VolumeLimit::of(volumes(&self.bars[first..at]), threshold)?;
        let value = to_f64(self.bars[at].volume);
        (value > limit).then(|| Finding {
            value,
            expected,
            threshold: times,
            severity: severity(value / limit, &thresholds.severity),
            bars: threshold.bars as u16,
            method: threshold.method,
            ..self.finding(at, AnomalyKind::Volume)
        })
    }

    fn rsi_onset(&self, at: usize, value: Option<f64>, thresholds: &Thresholds) -> Option<Finding> {
        let value = value?;
        let (kind, threshold) = onset(value, &thresholds.rsi)?;
        let times = (value - RSI_MIDDLE) / (threshold - RSI_MIDDLE);
        let severity = severity(times, &thresholds.severity);
        Some(Finding { value, threshold, severity, ..self.finding(at, kind) })
    }

    /// Returns what is the same in all that is found in a bar.
    fn finding(&self, at: usize, kind: AnomalyKind) -> Finding {
        let JudgedBar { start, pos, revision, .. } = self.bars[at];
        Finding {
            kind,
            time: start.plus(self.width.nanos()),
            start,
            value: 0.0,
            expected: RSI_MIDDLE,
            threshold: 0.0,
            severity: Severity::Low,
            bars: 0,
            method: Method::Mean,
            cause: Cause { pos, revision, trade: None },
        }
    }

    /// Returns the prices that are usual in a window that starts then: by the closes of the bars before it.
    #[must_use]
    pub fn price_band(&self, start: Nanos, threshold: &PriceThreshold) -> PriceBand {
        if self.band.is_newest && self.newest_end() <= start {
            return self.band.exact;
        }
        let width = self.width.nanos();
        let end = self.bars.partition_point(|bar| bar.start.plus(width) <= start);
        let Some(first) = end.checked_sub(threshold.bars) else { return PriceBand::OPEN };
        PriceBand::of(closes(&self.bars[first..end]), threshold)
    }

    /// Returns the prices that are usual in windows that start at [`BarDetector::newest_end`] or later.
    pub fn newest_band(&mut self, threshold: &PriceThreshold) -> &PriceBand {
        if !self.band.is_newest {
            self.renew_band(threshold);
        }
        &self.band.exact
    }

    /// Returns the lowest and the highest price that are usual without doubt in windows that start then: others may be.
    #[must_use]
    pub const fn inner_band(&self) -> (i64, i64) {
        self.band.inner
    }

    /// Returns the end of the newest bar; [`Nanos::MIN`] without one.
    #[must_use]
    pub fn newest_end(&self) -> Nanos {
        self.bars.last().map_or(Nanos::MIN, |bar| bar.start.plus(self.width.nanos()))
    }

    /// Says that no bar that ends by `until` changes any more; never earlier than what was said before.
    #[inline]
    pub fn seal(&mut self, until: Nanos) {
        self.sealed_until = until;
        if self.bars.len() >= self.keep + 2 * SLACK {
            self.let_go();
        }
    }

    /// Lets go of sealed bars that no baseline takes any more, once they are some.
    fn let_go(&mut self) {
        let start_max = self.sealed_until.plus(-self.width.nanos());
        let mut num_sealed = self.num_sealed;
        while self.bars.get(num_sealed).is_some_and(|bar| bar.start <= start_max) {
            num_sealed += 1;
        }
        if num_sealed == self.num_sealed {
            return;
        }
        let goes_on = self.bars[num_sealed - 1].after.rsi;
        if goes_on.is_none() {
            self.began = None;
        }
        for bar in &mut self.bars[self.num_sealed..num_sealed] {
            bar.volume_spike = None;
            let rsi = bar.rsi.take();
            if goes_on.is_some_and(|(_, began)| began == bar.start) {
                self.began = rsi;
            }
        }
        self.num_sealed = num_sealed;
        let num_unneeded = num_sealed.saturating_sub(self.keep);
        if num_unneeded >= SLACK / 2 {
            self.bars.drain(..num_unneeded);
            self.num_sealed -= num_unneeded;
        }
    }
}

fn closes(bars: &[JudgedBar]) -> impl Iterator<Item = i64> + Clone {
    bars.iter().map(|bar| bar.close)
}

fn volumes(bars: &[JudgedBar]) -> impl Iterator<Item = i128> + Clone {
    bars.iter().map(|bar| bar.volume)
}

/// What is to be published of a bar.
struct Wanted {
    start: Nanos,
    spike: Option<Finding>,
    onset: Option<Finding>,
    has_ended: bool,
}

/// Returns which excursion begins with this RSI, and the threshold that it is beyond.
fn onset(value: f64, limits: &RsiThreshold) -> Option<(AnomalyKind, f64)> {
    match value {
        value if value > limits.overbought => Some((AnomalyKind::Overbought, limits.overbought)),
        value if value < limits.oversold => Some((AnomalyKind::Oversold, limits.oversold)),
        _ => None,
    }
}

/// True while the RSI has not come back far enough.
fn goes_on(kind: AnomalyKind, value: Option<f64>, thresholds: &Thresholds) -> bool {
    let limits = thresholds.rsi;
    value.is_some_and(|value| match kind {
        AnomalyKind::Overbought => value >= limits.overbought - limits.hysteresis,
        _ => value <= limits.oversold + limits.hysteresis,
    })
}
