//! Windows close, are amended and sealed as the watermark moves.

use super::outcomes::PendingTrades;
use super::pending_cancels::PendingCancel;
use super::window::{self, BarHeader, BarLifecycle, BaseWindow, LargerWindow, Tally};
use super::{SymbolState, Track};
use crate::models::bar::{BarOrigin, BarState, BarSum, Figures};
use crate::models::effect::{DeadLetter, DeadReason, Effect, IndicatorPoint, SealedBar};
use crate::models::entry::{Body, Cancel};
use crate::models::ledger::{Ledger, RejectReason};
use crate::models::time::Nanos;
use smallvec::SmallVec;
use std::ops::Range;

impl SymbolState {
    /// Does what the watermark makes due.
    pub(super) fn advance(&mut self, effects: &mut Vec<Effect>) {
        self.close_until(self.watermark(), effects);
        self.settle_anomalies(effects);
        self.expire_waiting(effects);
        self.seal(effects);
        self.reschedule();
    }

    /// Closes the windows that end by then, in the order of their ends, smaller ones first.
    pub(super) fn close_until(&mut self, watermark: Nanos, effects: &mut Vec<Effect>) {
        let mut closing: SmallVec<[(Nanos, usize, Nanos); 8]> = SmallVec::new();
        let width = self.tracks[0].width.nanos();
        let ended = self.base.iter().take_while(|window| window.start.plus(width) <= watermark);
        closing.extend(
            ended.filter(|window| !window.lifecycle.closed).map(|w| (w.start.plus(width), 0, w.start)),
        );
        for (at, track) in self.tracks.iter().enumerate().skip(1) {
            let width = track.width.nanos();
            let ended = track.larger.iter().take_while(|window| window.start.plus(width) <= watermark);
            closing.extend(
                ended.filter(|window| !window.lifecycle.closed).map(|w| (w.start.plus(width), at, w.start)),
            );
        }
        closing.sort_unstable();
        for (_, track, start) in closing {
            self.close(track, start, effects);
        }
    }

    fn close(&mut self, track: usize, start: Nanos, effects: &mut Vec<Effect>) {
        if track == 0
            && let Some(at) = self.window_at(start)
        {
            self.retained.shrink(self.base[at].slot);
        }
        let figures = self.figures(track, start);
        let coverage = self.coverage(track, start);
        let lifecycle = self.lifecycle_mut(track, start);
        lifecycle.closed = true;
        lifecycle.coverage = coverage;
        if let Some(figures) = figures {
            lifecycle.state = BarState::Closed;
            self.publish(track, start, Some(figures), effects);
        }
    }

    /// Publishes anew the closed bars over these windows of the smallest width, as far as they changed.
    #[inline]
    pub(super) fn amend(&mut self, touched: &[Nanos], effects: &mut Vec<Effect>) {
        if !touched.is_empty() {
            self.amend_over(touched, effects);
        }
    }

    #[inline(never)]
    fn amend_over(&mut self, touched: &[Nanos], effects: &mut Vec<Effect>) {
        for track in 0..self.tracks.len() {
            let width = self.tracks[track].width;
            let mut starts: SmallVec<[Nanos; 4]> =
                touched.iter().map(|&start| width.start_of(start)).collect();
            starts.sort_unstable();
            starts.dedup();
            for start in starts {
                self.amend_bar(track, start, effects);
            }
        }
    }

    /// Publishes anew the closed bars that a gap or a change of source changed, be it only their coverage.
    pub(super) fn amend_all(&mut self, effects: &mut Vec<Effect>) {
        for track in 0..self.tracks.len() {
            let starts: Vec<Nanos> = if track == 0 {
                self.base.iter().map(|window| window.start).collect()
            } else {
                self.tracks[track].larger.iter().map(|window| window.start).collect()
            };
            for start in starts {
                self.amend_bar(track, start, effects);
            }
        }
    }

    pub(super) fn amend_bar(&mut self, track: usize, start: Nanos, effects: &mut Vec<Effect>) {
        if !self.lifecycle_mut(track, start).closed {
            return;
        }
        let figures = self.figures(track, start);
        let coverage = self.coverage(track, start);
        let lifecycle = self.lifecycle_mut(track, start);
        let same_coverage = lifecycle.coverage.to_bits() == coverage.to_bits();
        lifecycle.coverage = coverage;
        if lifecycle.published == figures && (figures.is_none() || same_coverage) {
            return;
        }
        lifecycle.revision += 1;
        lifecycle.state = if figures.is_some() { BarState::Amended } else { BarState::Void };
        self.publish(track, start, figures, effects);
    }

    /// Publishes a bar, then its indicators and those that follow from it.
    fn publish(&mut self, at: usize, start: Nanos, figures: Option<Figures>, effects: &mut Vec<Effect>) {
        let tally = self.tally(at, start);
        let lifecycle = *self.lifecycle_mut(at, start);
        let track = &mut self.tracks[at];
        track.seq += 1;
        let (symbol, width, seq, log_pos) = (self.symbol, track.width, track.seq, self.pos);
        let bar = BarHeader { symbol, width, start, seq, log_pos }.bar(figures, &lifecycle, tally);
        effects.push(Effect::Bar(bar));
        let series = &mut track.indicators;
        let steps = if figures.is_some() {
            if track.newest.is_none_or(|newest| newest.start <= start) {
                track.newest = Some(bar);
            }
            match series.upsert(start, bar.close) {
                Some(first) => first..series.len(),
                // The close is the same, but the VWAP that stands beside the indicators may not be.
                None => series.index_of(start).map_or(0..0, |own| own..own + 1),
            }
        } else {
            if track.newest.is_some_and(|newest| newest.start == start) {
                track.newest = None;
            }
            series.remove(start).map_or(0..0, |first| first..series.len())
        };
        let lifecycle = self.lifecycle_mut(at, start);
        (lifecycle.published, lifecycle.log_pos) = (figures, log_pos);
        self.note_bar(at, &bar, figures.is_none());
        self.publish_points(at, steps, effects);
    }

    fn publish_points(&self, at: usize, steps: Range<usize>, effects: &mut Vec<Effect>) {
        let track = &self.tracks[at];
        for step in steps {
            let (start, close, values) = track.indicators.step(step);
            let figures = self.lifecycle(at, start).and_then(|lifecycle| lifecycle.published);
            effects.push(Effect::Indicators(IndicatorPoint {
                symbol: self.symbol,
                width: track.width,
                start,
                close,
                vwap: figures.and_then(|figures| figures.vwap),
                values,
                log_pos: self.pos,
            }));
        }
    }

    /// Seals what the watermark and the gaps allow: windows go, and what they knew goes where it is still needed.
    pub(super) fn seal(&mut self, effects: &mut Vec<Effect>) {
        let watermark = self.watermark();
        if watermark == Nanos::MIN {
            return;
        }
        let base = self.settings.base();
        let mut frontier = base.start_of(watermark.plus(-self.settings.horizon));
        if let Some((from, _)) =
            self.gaps.hold(&self.schedule, self.sealed_until, watermark, self.settings.gap_hold)
        {
            frontier = frontier.min(base.start_of(from));
        }
        if frontier <= self.sealed_until {
            return;
        }
        self.sealed_until = frontier;
        while self.base.front().is_some_and(|window| window.start.plus(base.nanos()) <= frontier) {
            let Some(window) = self.base.pop_front() else { break };
            self.tell_sealed(0, window.start, &window.lifecycle, window.tally, effects);
            let sum = window.effective(base);
            for track in &mut self.tracks[1..] {
                let start = track.width.start_of(window.start);
                if let Ok(at) = track.larger.binary_search_by_key(&start, |window| window.start) {
                    track.larger[at].sealed.merge(&sum);
                    track.larger[at].sealed_tally.merge(window.tally);
                }
            }
            self.seal_prices(&window);
            self.retained.release(window.slot);
            self.outcomes.settle_sealed(&window);
        }
        window::shrink(&mut self.base);
        for at in 1..self.tracks.len() {
            let width = self.tracks[at].width;
            while let Some(window) = self.tracks[at].larger.front()
                && window.start.plus(width.nanos()) <= frontier
            {
                let (start, makes_bar) = (window.start, window.sealed.is_bar());
                self.tell_sealed(at, start, &window.lifecycle, window.sealed_tally, effects);
                for pending in &mut self.outcomes.pending {
                    pending.counted |= makes_bar && width.start_of(pending.start) == start;
                }
                self.tracks[at].larger.pop_front();
            }
            window::shrink(&mut self.tracks[at].larger);
        }
        for track in &mut self.tracks {
            track.indicators.seal(track.width.start_of(frontier));
        }
        self.seal_judged(frontier);
        self.settle_pending();
        self.corrections.seal(frontier, base, &self.retained);
        let oldest = self.tracks.iter().map(|track| track.width.start_of(frontier)).min();
        let oldest = oldest.unwrap_or(frontier);
        self.schedule.prune(oldest);
        self.gaps.prune(oldest);
    }

    /// Tells of a bar that it stays as it is, where somebody wants to know.
    fn tell_sealed(
        &self,
        track: usize,
        start: Nanos,
        lifecycle: &BarLifecycle,
        tally: Tally,
        effects: &mut Vec<Effect>,
    ) {
        let Some(figures) = lifecycle.published.filter(|_| self.settings.tells_seals) else { return };
        let Track { width, seq, .. } = self.tracks[track];
        // What is published was changed last when it was published; checkpoints of earlier versions do not say when.
        let log_pos = if lifecycle.log_pos > 0 { lifecycle.log_pos } else { self.pos };
        let header = BarHeader { symbol: self.symbol, width, start, seq, log_pos };
        let bar = header.bar(Some(figures), lifecycle, tally);
        effects.push(Effect::Sealed(SealedBar { bar, pos: self.pos }));
    }

    /// Tells of every bar that is not sealed that it stays as it is: nothing comes any more.
    pub(super) fn tell_rest_sealed(&self, effects: &mut Vec<Effect>) {
        for window in &self.base {
            self.tell_sealed(0, window.start, &window.lifecycle, window.tally, effects);
        }
        for (at, track) in self.tracks.iter().enumerate() {
            for window in &track.larger {
                let tally = self.tally(at, window.start);
                self.tell_sealed(at, window.start, &window.lifecycle, tally, effects);
            }
        }
    }

    /// Decides over the trades of sealed windows for which no larger window is left to wait for.
    fn settle_pending(&mut self) {
        if self.outcomes.pending.is_empty() {
            return;
        }
        let (tracks, frontier) = (&self.tracks, self.sealed_until);
        let open =
            |start: Nanos| tracks.iter().any(|t| t.width.start_of(start).plus(t.width.nanos()) > frontier);
        let settled: Vec<PendingTrades> = self.outcomes.pending.extract_if(.., |o| !open(o.start)).collect();
        for pending in settled {
            pending.settle(self.outcomes.of(pending.local), pending.counted);
        }
    }

    /// Gives up cancels whose trade can no longer come.
    fn expire_waiting(&mut self, effects: &mut Vec<Effect>) {
        if self.pending_cancels.is_empty() {
            return;
        }
        self.seal(effects);
        let far = self.clock.now().plus(self.settings.horizon);
        let gone = self.pending_cancels.expire(self.sealed_until, far, self.settings.base());
        for ((local, target), cancel) in gone {
            let PendingCancel { ts, pos, received, .. } = cancel;
            let source = self.retained.sources().id(local);
            let body = Body::Cancel(Cancel { ts, received, target, source });
            let reason = DeadReason::Rejected(RejectReason::NoTrade);
            effects.push(Effect::DeadLetter(DeadLetter { pos, symbol: self.symbol, reason, body }));
        }
    }

    /// Works out when something is to be done next: the next close or seal of a window, or the end of a gap's hold.
    pub(super) fn reschedule(&mut self) {
        let watermark = self.watermark();
        let base = self.settings.base();
        let hold = self.gaps.hold(&self.schedule, self.sealed_until, watermark, self.settings.gap_hold);
        let due_of = |end: Nanos| match hold {
            _ if end > watermark => end,
            _ if end.plus(self.settings.horizon) > watermark => end.plus(self.settings.horizon),
            Some((from, given_up)) if end > base.start_of(from) => given_up,
            // A gap that held it was filled: it is due now.
            _ => end.plus(self.settings.horizon),
        };
        let mut due = self.pending_cancels.next_end().map_or(Nanos::MAX, due_of);
        // Of each width the oldest window seals next, and the oldest open one closes next.
        let end = |window: &BaseWindow| window.start.plus(base.nanos());
        let open = self.base.partition_point(|window| end(window) <= watermark);
        for window in [self.base.front(), self.base.get(open)].into_iter().flatten() {
            due = due.min(due_of(end(window)));
        }
        for track in &self.tracks[1..] {
            let end = |window: &LargerWindow| window.start.plus(track.width.nanos());
            let open = track.larger.partition_point(|window| end(window) <= watermark);
            for window in [track.larger.front(), track.larger.get(open)].into_iter().flatten() {
                due = due.min(due_of(end(window)));
            }
        }
        self.due = due.plus(self.settings.lateness);
    }

    /// Returns the sum over a window's trades now.
    fn sum(&self, track: usize, start: Nanos) -> BarSum {
        if track == 0 {
            let base = self.settings.base();
            return self.window_at(start).map_or(BarSum::EMPTY, |at| self.base[at].effective(base));
        }
        let Some(at) = self.larger_at(track, start) else { return BarSum::EMPTY };
        let sum = self.sum_of_smallest(track, at);
        match &self.tracks[track].larger[at].venue {
            Some(bar) if !sum.is_bar() => BarSum::of_vendor(bar, start, self.tracks[track].width),
            _ => sum,
        }
    }

    /// Returns what the windows of the smallest width in a larger one add up to.
    fn sum_of_smallest(&self, track: usize, at: usize) -> BarSum {
        let window = &self.tracks[track].larger[at];
        let mut sum = window.sealed;
        for window in self.base_within(track, window.start) {
            sum.merge(&window.effective(self.settings.base()));
        }
        sum
    }

    /// True when a bar that the venue gave of this width stands where nothing else is known of the window.
    fn is_filled(&self, track: usize, start: Nanos) -> bool {
        let Some(at) = self.larger_at(track, start).filter(|_| track > 0) else { return false };
        self.tracks[track].larger[at].venue.is_some() && !self.sum_of_smallest(track, at).is_bar()
    }

    pub(super) fn figures(&self, track: usize, start: Nanos) -> Option<Figures> {
        let own = if self.spec.price.is_quotes() { BarOrigin::Quotes } else { BarOrigin::Trades };
        self.sum(track, start).figures(self.spec.price_scale, own)
    }

    /// Returns the share of the window in which its source was healthy; none of one that only the venue's bar fills.
    pub(super) fn coverage(&self, track: usize, start: Nanos) -> f64 {
        if self.is_filled(track, start) {
            return 0.0;
        }
        self.gaps.coverage(&self.schedule, start, self.tracks[track].width)
    }

    pub(super) fn tally(&self, track: usize, start: Nanos) -> Tally {
        if track == 0 {
            return self.window_at(start).map_or(Tally::default(), |at| self.base[at].tally);
        }
        let sealed = self.larger_at(track, start).map(|at| self.tracks[track].larger[at].sealed_tally);
        let mut tally = sealed.unwrap_or_default();
        for window in self.base_within(track, start) {
            tally.merge(window.tally);
        }
        tally
    }

    fn base_within(&self, track: usize, start: Nanos) -> impl Iterator<Item = &BaseWindow> {
        let end = start.plus(self.tracks[track].width.nanos());
        let first = self.base.partition_point(|window| window.start < start);
        self.base.range(first..).take_while(move |window| window.start < end)
    }

    fn larger_at(&self, track: usize, start: Nanos) -> Option<usize> {
        self.tracks[track].larger.binary_search_by_key(&start, |window| window.start).ok()
    }

    /// Returns the place of the unsealed window of the smallest width with this start.
    pub(super) fn window_at(&self, start: Nanos) -> Option<usize> {
        self.base.binary_search_by_key(&start, |window| window.start).ok()
    }

    fn lifecycle(&self, track: usize, start: Nanos) -> Option<&BarLifecycle> {
        if track == 0 {
            self.window_at(start).map(|at| &self.base[at].lifecycle)
        } else {
            self.larger_at(track, start).map(|at| &self.tracks[track].larger[at].lifecycle)
        }
    }

    /// Returns the lifecycle of a window that is known to be unsealed.
    pub(super) fn lifecycle_mut(&mut self, track: usize, start: Nanos) -> &mut BarLifecycle {
        let found = if track == 0 {
            self.window_at(start).map(|at| &mut self.base[at].lifecycle)
        } else {
            self.larger_at(track, start).map(|at| &mut self.tracks[track].larger[at].lifecycle)
        };
        found.expect("an unsealed window is open in every width")
    }

    /// Returns true when a larger window around this start makes a bar now.
    fn counts_in_larger(&self, start: Nanos) -> bool {
        (1..self.tracks.len()).any(|track| {
            let start = self.tracks[track].width.start_of(start);
            self.trades_make_bar(track, start)
        })
    }

    fn trades_make_bar(&self, track: usize, start: Nanos) -> bool {
        let sealed =
            self.larger_at(track, start).is_some_and(|at| self.tracks[track].larger[at].sealed.is_bar());
        sealed || self.base_within(track, start).any(|window| window.effective(self.settings.base()).is_bar())
    }

    /// Returns the outcomes of all reports, by the source's place.
    pub(super) fn outcomes_by_source(&self) -> Vec<Ledger> {
        let mut ledgers = self.outcomes.finals();
        for window in &self.base {
            let makes_bar =
                window.sum.is_bar() || (window.venue.is_none() && self.counts_in_larger(window.start));
            for (local, count) in window.counts.iter() {
                count.settle(&mut ledgers[usize::from(local)], makes_bar);
            }
        }
        for pending in &self.outcomes.pending {
            let counted = pending.counted || self.counts_in_larger(pending.start);
            pending.settle(&mut ledgers[usize::from(pending.local)], counted);
        }
        ledgers
    }
}
