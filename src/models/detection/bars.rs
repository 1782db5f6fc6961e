//! Detectors that judge closed bars: volume spikes and the RSI. They also know the closes that prices are judged by.
//!
//! Promises: after any sequence of new, amended and void bars, what is published is what a single pass over the final bars
//! finds. A usual bar at the end costs some comparisons, since sums of what a baseline takes roll along; a changed bar costs
//! one judgement for itself and for each bar after it. A sealed bar does not change, so of it only what later bars need is
//! kept.

use super::baseline::{PriceBand, VolumeLimit, to_f64};
use super::detected::{AnomalyKind, Finding, severity};
use super::judged::{BarFigures, Change, Excursions, JudgedBars, RsiSide};
use super::publish::{Published, Publisher};
use super::settings::{Method, PriceThreshold, RsiThreshold, Thresholds};
use crate::models::anomaly::{AnomalyState, Severity};
use crate::models::time::{Nanos, Width};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// The RSI of a market that goes nowhere.
const RSI_MIDDLE: f64 = 50.0;

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
    bars: JudgedBars,
    /// Bars that baselines take.
    #[serde(skip)]
    keep: usize,
    /// A volume below this share of the sum of those before is usual by the mean, whatever is rounded.
    #[serde(skip)]
    volume_share: f64,
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
            bars: JudgedBars::new(),
            keep: 0,
            volume_share: 0.0,
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
        match self.bars.upsert(bar, self.keep) {
            Change::New => {
                self.num_new += 1;
                self.note(bar.start, true);
            }
            Change::Nothing => {}
            change => {
                self.is_amended = true;
                self.note(bar.start, change == Change::Close);
            }
        }
    }

    /// Takes a bar out that became void.
    pub fn remove(&mut self, start: Nanos) {
        if let Some(void) = self.bars.remove(start) {
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
        let newest = self.bars.newest().filter(|_| self.num_new == 1 && !self.is_amended);
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
        let Some(num_before) = self.bars.len().checked_sub(1) else { return false };
        let goes_on = self.bars.before(num_before).rsi.is_some();
        if goes_on || rsi.is_some_and(|value| onset(value, &thresholds.rsi).is_some()) {
            return false;
        }
        let newest = *self.bars.figures(num_before);
        let (mut volumes, mut closes) = (self.sums.volumes, self.sums.closes);
        if let Some(first) = num_before.checked_sub(thresholds.volume.bars) {
            let is_usual = match thresholds.volume.method {
                Method::Mean => to_f64(newest.volume) < to_f64(volumes) * self.volume_share,
                Method::Median => false,
            };
            if !is_usual && self.volume_spike(num_before, thresholds).is_some() {
                return false;
            }
            volumes -= self.bars.figures(first).volume;
        }
        if let Some(first) = num_before.checked_sub(thresholds.price.bars) {
            closes -= i128::from(self.bars.figures(first).close);
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
        let newest = |num: usize| self.bars.len().saturating_sub(num)..self.bars.len();
        self.sums = Sums {
            closes: self.bars.closes(newest(thresholds.price.bars)).map(i128::from).sum(),
            volumes: self.bars.volumes(newest(thresholds.volume.bars)).sum(),
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
            Some(first) => {
                let closes = self.bars.closes(first..self.bars.len());
                RecentBand::of(PriceBand::of(closes, threshold), None)
            }
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
        let first = self.bars.place(|start| start < self.unjudged_from).max(self.bars.num_sealed());
        let mut before = self.bars.before(first);
        let entering = before.rsi;
        let mut entering_goes_on = true;
        let mut wanted: SmallVec<[Wanted; 8]> = SmallVec::new();
        for at in first..self.bars.len() {
            let start = self.bars.figures(at).start;
            let spike = self.volume_spike(at, thresholds);
            let value = rsi(start);
            let goes_on = before.rsi.filter(|(side, _)| goes_on(*side, value, thresholds));
            if let Some((_, began)) = before.rsi.filter(|_| goes_on.is_none()) {
                match wanted.iter_mut().rfind(|one| one.start == began) {
                    Some(one) => one.has_ended = true,
                    None => entering_goes_on = false,
                }
            }
            let onset = if goes_on.is_some() { None } else { self.rsi_onset(at, value, thresholds) };
            let (onset, began) = onset.map(|(side, finding)| (finding, (side, start))).unzip();
            let after = Excursions { volume: spike.is_some(), rsi: goes_on.or(began) };
            let spike = spike.filter(|_| !before.volume);
            wanted.push(Wanted { start, spike, onset, has_ended: false, after });
            before = after;
        }
        if let Some((_, began)) = entering {
            let state = if entering_goes_on { AnomalyState::Active } else { AnomalyState::Ended };
            publisher.set_state(self.bars.excursion(began), state);
        }
        for (at, wanted) in (first..).zip(wanted) {
            let Wanted { spike, onset, has_ended, after, .. } = wanted;
            let Some(bar) = self.bars.judgement(at) else { continue };
            bar.after = after;
            publisher.settle(&mut bar.volume_spike, spike.map(|finding| (finding, AnomalyState::Active)));
            let state = if has_ended { AnomalyState::Ended } else { AnomalyState::Active };
            publisher.settle(&mut bar.rsi, onset.map(|finding| (finding, state)));
        }
    }

    fn volume_spike(&self, at: usize, thresholds: &Thresholds) -> Option<Finding> {
        let threshold = &thresholds.volume;
        let first = at.checked_sub(threshold.bars)?;
        let VolumeLimit { expected, times, limit } =
            VolumeLimit::of(self.bars.volumes(first..at), threshold)?;
        let value = to_f64(self.bars.figures(at).volume);
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

    fn rsi_onset(
        &self,
        at: usize,
        value: Option<f64>,
        thresholds: &Thresholds,
    ) -> Option<(RsiSide, Finding)> {
        let value = value?;
        let (side, threshold) = onset(value, &thresholds.rsi)?;
        let times = (value - RSI_MIDDLE) / (threshold - RSI_MIDDLE);
        let severity = severity(times, &thresholds.severity);
        Some((side, Finding { value, threshold, severity, ..self.finding(at, side.kind()) }))
    }

    /// Returns what is the same in all that is found in a bar.
    fn finding(&self, at: usize, kind: AnomalyKind) -> Finding {
        let start = self.bars.figures(at).start;
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
            cause: self.bars.cause(at),
        }
    }

    /// Returns the prices that are usual in a window that starts then: by the closes of the bars before it.
    #[must_use]
    pub fn price_band(&self, start: Nanos, threshold: &PriceThreshold) -> PriceBand {
        if self.band.is_newest && self.newest_end() <= start {
            return self.band.exact;
        }
        let width = self.width.nanos();
        let end = self.bars.place(|before| before.plus(width) <= start);
        let Some(first) = end.checked_sub(threshold.bars) else { return PriceBand::OPEN };
        PriceBand::of(self.bars.closes(first..end), threshold)
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
        self.bars.newest().map_or(Nanos::MIN, |bar| bar.start.plus(self.width.nanos()))
    }

    /// Returns by when bars are sealed that [`BarDetector::seal`] lets go of; [`Nanos::MAX`] where they are too few.
    #[inline]
    #[must_use]
    pub fn lets_go_at(&self) -> Nanos {
        self.bars.lets_go_after().map_or(Nanos::MAX, |start| start.plus(self.width.nanos()))
    }

    /// Says that no bar that ends by `until` changes any more; never earlier than what was said before.
    pub fn seal(&mut self, until: Nanos) {
        if self.lets_go_at() <= until {
            self.bars.let_go(until.plus(-self.width.nanos()), self.keep);
        }
    }
}

/// What is to be published of a bar.
struct Wanted {
    start: Nanos,
    spike: Option<Finding>,
    onset: Option<Finding>,
    has_ended: bool,
    after: Excursions,
}

/// Returns which excursion begins with this RSI, and the threshold that it is beyond.
fn onset(value: f64, limits: &RsiThreshold) -> Option<(RsiSide, f64)> {
    match value {
        value if value > limits.overbought => Some((RsiSide::Overbought, limits.overbought)),
        value if value < limits.oversold => Some((RsiSide::Oversold, limits.oversold)),
        _ => None,
    }
}

/// True while the RSI has not come back far enough.
fn goes_on(side: RsiSide, value: Option<f64>, thresholds: &Thresholds) -> bool {
    let limits = thresholds.rsi;
    value.is_some_and(|value| match side {
        RsiSide::Overbought => value >= limits.overbought - limits.hysteresis,
        RsiSide::Oversold => value <= limits.oversold + limits.hysteresis,
    })
}
