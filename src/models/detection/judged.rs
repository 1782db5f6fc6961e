//! The bars that are judged: of each what baselines take, and of those that may still change what was found in them.
//!
//! Promises: a bar that is sealed takes no more room than its figures, and goes once no baseline takes it, some together.

use super::detected::{AnomalyKind, Cause};
use super::publish::Published;
use crate::models::entry::Position;
use crate::models::num::Price;
use crate::models::time::Nanos;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ops::Range;

/// How many bars are sealed together. Room for these and as many that are not sealed is there from the start.
const BATCH: usize = 8;

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

/// On which side of its thresholds the RSI is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RsiSide {
    /// Above the upper one.
    Overbought,
    /// Below the lower one.
    Oversold,
}

impl RsiSide {
    /// Returns the detector.
    pub const fn kind(self) -> AnomalyKind {
        match self {
            RsiSide::Overbought => AnomalyKind::Overbought,
            RsiSide::Oversold => AnomalyKind::Oversold,
        }
    }
}

/// Which excursions go on after a bar.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Excursions {
    /// The bar was a volume spike.
    pub volume: bool,
    /// The RSI is beyond a threshold, since the bar that starts then.
    pub rsi: Option<(RsiSide, Nanos)>,
}

/// What baselines take of a bar.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    pub start: Nanos,
    pub close: i64,
    pub volume: i128,
}

/// What was found in a bar.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    pub pos: Position,
    pub revision: u32,
    pub after: Excursions,
    pub volume_spike: Option<Box<Published>>,
    /// The excursion of the RSI that began here.
    pub rsi: Option<Box<Published>>,
}

/// What a bar that was taken in changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new at the end.
    New,
    /// Nothing that is judged.
    Nothing,
    /// A bar before the end is new, or has another close.
    Close,
    /// Only the volume.
    Volume,
}

/// The bars, by start.
#[derive(Clone, Debug)]
pub struct JudgedBars {
    /// Of sealed bars as many as a baseline takes at least, then of all others.
    figures: Vec<Figures>,
    /// Of the others, which are not known to be sealed.
    judgements: Vec<Judgement>,
    /// Which excursions went on after the newest sealed one.
    sealed_after: Excursions,
    /// The excursion of the RSI that began in a sealed bar and may go on.
    began: Option<Box<Published>>,
}

impl JudgedBars {
    /// Makes an empty list.
    pub const fn new() -> JudgedBars {
        let sealed_after = Excursions { volume: false, rsi: None };
        JudgedBars { figures: Vec::new(), judgements: Vec::new(), sealed_after, began: None }
    }

    /// Returns how many there are.
    pub const fn len(&self) -> usize {
        self.figures.len()
    }

    /// Returns how many are known to be sealed. Of these nothing is published any more.
    pub const fn num_sealed(&self) -> usize {
        self.figures.len() - self.judgements.len()
    }

    /// Returns the figures of one, by place.
    pub fn figures(&self, at: usize) -> &Figures {
        &self.figures[at]
    }

    /// Returns those of the newest.
    pub fn newest(&self) -> Option<&Figures> {
        self.figures.last()
    }

    /// Returns closes, of places.
    pub fn closes(&self, range: Range<usize>) -> impl Iterator<Item = i64> + Clone {
        self.figures[range].iter().map(|bar| bar.close)
    }

    /// Returns volumes, of places.
    pub fn volumes(&self, range: Range<usize>) -> impl Iterator<Item = i128> + Clone {
        self.figures[range].iter().map(|bar| bar.volume)
    }

    /// Returns the place of the first bar that is not before the others.
    pub fn place(&self, is_before: impl Fn(Nanos) -> bool) -> usize {
        self.figures.partition_point(|bar| is_before(bar.start))
    }

    /// Returns which excursions go on before an unsealed bar.
    pub fn before(&self, at: usize) -> Excursions {
        let before = at.checked_sub(self.num_sealed() + 1);
        before.map_or(self.sealed_after, |at| self.judgements[at].after)
    }

    /// Returns the entry that an unsealed bar is known by.
    pub fn cause(&self, at: usize) -> Cause {
        let &Judgement { pos, revision, .. } = &self.judgements[at - self.num_sealed()];
        Cause { pos, revision, trade: None }
    }

    /// Returns what was found in an unsealed bar; `None` for a sealed one.
    pub fn judgement(&mut self, at: usize) -> Option<&mut Judgement> {
        let at = at.checked_sub(self.num_sealed())?;
        self.judgements.get_mut(at)
    }

    /// Returns the excursion of the RSI that began in the bar that starts then.
    pub fn excursion(&mut self, start: Nanos) -> &mut Option<Box<Published>> {
        let at = self.place(|before| before < start);
        let is_it = self.figures.get(at).is_some_and(|bar| bar.start == start);
        match at.checked_sub(self.num_sealed()).filter(|_| is_it) {
            Some(at) => &mut self.judgements[at].rsi,
            None => &mut self.began,
        }
    }

    /// Takes a bar in. `keep` is how many a baseline takes.
    #[inline]
    pub fn upsert(&mut self, bar: BarFigures, keep: usize) -> Change {
        let BarFigures { start, close, volume, pos, revision } = bar;
        let new = Figures { start, close: close.0, volume };
        let judgement = Judgement { pos, revision, ..Judgement::default() };
        if self.figures.last().is_none_or(|newest| newest.start < start) {
            if self.figures.capacity() == 0 {
                self.figures.reserve_exact(keep + 2 * BATCH);
                self.judgements.reserve_exact(2 * BATCH);
            }
            self.figures.push(new);
            self.judgements.push(judgement);
            return Change::New;
        }
        let at = self.place(|before| before < start);
        let num_sealed = self.num_sealed();
        match self.figures.get_mut(at).filter(|known| known.start == start) {
            Some(known) => {
                let has_new_close = known.close != new.close;
                if !has_new_close && known.volume == new.volume {
                    return Change::Nothing;
                }
                *known = new;
                if let Some(known) = self.judgement(at) {
                    let (volume_spike, rsi) = (known.volume_spike.take(), known.rsi.take());
                    *known = Judgement { volume_spike, rsi, ..judgement };
                }
                if has_new_close { Change::Close } else { Change::Volume }
            }
            None => {
                self.figures.insert(at, new);
                // One before a sealed bar has been sealed, too.
                if let Some(at) = at.checked_sub(num_sealed) {
                    self.judgements.insert(at, judgement);
                }
                Change::Close
            }
        }
    }

    /// Takes a bar out. Returns what was found in it; `None` where it was not there.
    pub fn remove(&mut self, start: Nanos) -> Option<Judgement> {
        let at = self.place(|before| before < start);
        let num_sealed = self.num_sealed();
        self.figures.get(at).filter(|bar| bar.start == start)?;
        self.figures.remove(at);
        Some(at.checked_sub(num_sealed).map(|at| self.judgements.remove(at)).unwrap_or_default())
    }

    /// Returns the start of the bar with which enough are sealed to be let go of together.
    #[inline]
    pub fn lets_go_after(&self) -> Option<Nanos> {
        self.figures.get(self.num_sealed() + BATCH - 1).map(|bar| bar.start)
    }

    /// Seals the bars that start by `start_max`, which change no more, and lets go of sealed ones but for the newest `keep`.
    pub fn let_go(&mut self, start_max: Nanos, keep: usize) {
        let unsealed = &self.figures[self.num_sealed()..];
        let num = unsealed.partition_point(|bar| bar.start <= start_max);
        let Some(newest) = num.checked_sub(1).map(|at| &self.judgements[at]) else { return };
        self.sealed_after = newest.after;
        match newest.after.rsi {
            None => self.began = None,
            Some((_, began)) => {
                if let Ok(at) = unsealed[..num].binary_search_by_key(&began, |bar| bar.start) {
                    self.began = self.judgements[at].rsi.take();
                }
            }
        }
        self.judgements.drain(..num);
        self.figures.drain(..self.num_sealed().saturating_sub(keep));
    }
}

/// A bar as a checkpoint has it. A sealed one has only its figures, and the newest of these the excursions after it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct StoredBar<P> {
    start: Nanos,
    close: i64,
    volume: i128,
    pos: Position,
    revision: u32,
    after: (bool, Option<(AnomalyKind, Nanos)>),
    volume_spike: P,
    rsi: P,
}

/// Sealed and unsealed bars, how many are sealed, a time that nothing reads any more, and the excursion that began in a
/// sealed one.
type Stored<B, P> = (B, usize, Nanos, P);

/// The bars as [`StoredBar`]s.
struct StoredBars<'a>(&'a JudgedBars);

impl Serialize for StoredBars<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let JudgedBars { figures, judgements, sealed_after, .. } = self.0;
        let num_sealed = self.0.num_sealed();
        let bars = figures.iter().enumerate().map(|(at, &Figures { start, close, volume })| {
            let found = at.checked_sub(num_sealed).map(|at| &judgements[at]);
            let after = match found {
                Some(found) => found.after,
                None if at + 1 == num_sealed => *sealed_after,
                None => Excursions::default(),
            };
            let rsi = after.rsi.map(|(side, since)| (side.kind(), since));
            StoredBar {
                start,
                close,
                volume,
                pos: found.map_or(0, |found| found.pos),
                revision: found.map_or(0, |found| found.revision),
                after: (after.volume, rsi),
                volume_spike: found.and_then(|found| found.volume_spike.as_deref()),
                rsi: found.and_then(|found| found.rsi.as_deref()),
            }
        });
        serializer.collect_seq(bars)
    }
}

impl Serialize for JudgedBars {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stored: Stored<_, _> = (StoredBars(self), self.num_sealed(), Nanos(0), self.began.as_deref());
        stored.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for JudgedBars {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        type Found = Option<Box<Published>>;
        let (stored, num_sealed, _, began): Stored<Vec<StoredBar<Found>>, Found> =
            Deserialize::deserialize(deserializer)?;
        let mut bars = JudgedBars { began, ..JudgedBars::new() };
        for (at, bar) in stored.into_iter().enumerate() {
            let StoredBar { start, close, volume, pos, revision, after, volume_spike, rsi } = bar;
            let (is_spike, excursion) = after;
            let excursion = excursion.map(|(kind, since)| match kind {
                AnomalyKind::Overbought => (RsiSide::Overbought, since),
                _ => (RsiSide::Oversold, since),
            });
            let after = Excursions { volume: is_spike, rsi: excursion };
            bars.figures.push(Figures { start, close, volume });
            if at < num_sealed {
                bars.sealed_after = after;
            } else {
                bars.judgements.push(Judgement { pos, revision, after, volume_spike, rsi });
            }
        }
        Ok(bars)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(nth: i64) -> BarFigures {
        BarFigures {
            start: Nanos(nth),
            close: Price(100 + nth),
            volume: 10,
            pos: nth.unsigned_abs(),
            revision: 1,
        }
    }

    fn bars(starts: Range<i64>) -> JudgedBars {
        let mut bars = JudgedBars::new();
        starts.for_each(|nth| assert_eq!(bars.upsert(bar(nth), 3), Change::New));
        bars
    }

    #[test]
    fn sealed_bars_go_some_together_and_those_that_a_baseline_takes_stay() {
        let mut bars = bars(0..20);
        assert_eq!(bars.lets_go_after(), Some(Nanos(BATCH as i64 - 1)));
        bars.let_go(Nanos(11), 3);
        assert_eq!((bars.len(), bars.num_sealed()), (11, 3));
        assert_eq!(bars.closes(0..4).collect::<Vec<_>>(), [109, 110, 111, 112]);
        assert_eq!(bars.cause(3).pos, 12);
        assert!(bars.judgement(2).is_none());
        assert_eq!(bars.lets_go_after(), Some(Nanos(19)));
        bars.let_go(Nanos(19), 3);
        assert_eq!((bars.len(), bars.lets_go_after()), (3, None));
    }

    #[test]
    fn excursions_of_a_sealed_bar_go_on() {
        let mut bars = bars(0..20);
        let after = Excursions { volume: true, rsi: Some((RsiSide::Oversold, Nanos(4))) };
        (4..12).for_each(|at| bars.judgement(at).unwrap().after = after);
        bars.let_go(Nanos(11), 3);
        assert_eq!(bars.before(bars.num_sealed()), after);
        assert_eq!(bars.before(bars.num_sealed() + 1), Excursions::default());
    }

    #[test]
    fn changes_are_told_apart() {
        let mut bars = bars(0..20);
        bars.let_go(Nanos(11), 3);
        let changed = |close: i64, volume| BarFigures { close: Price(close), volume, ..bar(15) };
        assert_eq!(bars.upsert(changed(115, 10), 3), Change::Nothing);
        assert_eq!(bars.upsert(changed(115, 11), 3), Change::Volume);
        assert_eq!(bars.upsert(changed(116, 11), 3), Change::Close);
        assert!(bars.remove(Nanos(15)).is_some() && bars.remove(Nanos(15)).is_none());
        assert_eq!(bars.upsert(bar(15), 3), Change::Close);
        assert_eq!((bars.len(), bars.num_sealed()), (11, 3));
    }

    /// The form of which version 6 of a checkpoint is, and has always been.
    #[derive(Serialize)]
    struct Version6 {
        start: i64,
        close: i64,
        volume: i128,
        pos: u64,
        revision: u32,
        volume_goes_on: bool,
        rsi_goes_on: Option<(AnomalyKind, i64)>,
        volume_spike: Option<()>,
        rsi: Option<()>,
    }

    #[test]
    fn a_checkpoint_is_read_whichever_program_wrote_it() {
        let stored = (0..20).map(|nth: i64| {
            let rsi_goes_on = (nth == 11).then_some((AnomalyKind::Oversold, 4));
            let BarFigures { start, close, volume, pos, revision } = bar(nth);
            let (start, close, volume_goes_on) = (start.0, close.0, nth == 11);
            let (volume_spike, rsi) = (None, None);
            Version6 { start, close, volume, pos, revision, volume_goes_on, rsi_goes_on, volume_spike, rsi }
        });
        let stored: Vec<Version6> = stored.collect();
        let sealed_until = 12_i64;
        let bytes = postcard::to_allocvec(&(stored, 12_usize, sealed_until, None::<()>)).unwrap();
        let read: JudgedBars = postcard::from_bytes(&bytes).unwrap();
        assert_eq!((read.len(), read.num_sealed()), (20, 12));
        let after = Excursions { volume: true, rsi: Some((RsiSide::Oversold, Nanos(4))) };
        assert_eq!((read.before(12), read.cause(12).pos), (after, 12));
        let again: JudgedBars = postcard::from_bytes(&postcard::to_allocvec(&read).unwrap()).unwrap();
        assert_eq!(format!("{again:?}"), format!("{read:?}"));
    }
}
