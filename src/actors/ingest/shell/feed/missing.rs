//! What a feed misses: gaps that the log is told of, holes that are to be filled, and those that are given up.
//!
//! Promises: the log is told of a gap when it opens, when it grows, and when it is whole again; what is given up is said, once
//! where the reason is the same for all. Nothing here fails: where no more holes can wait, a further one is given up.

use super::super::gaps::{GapBook, GapId, Stretch};
use super::super::hole::Hole;
use super::super::job::Job;
use super::{Batch, Feed};
use crate::models::entry::{Body, Entry, Gap};
use crate::models::symbol::SymbolId;
use crate::models::time::{HOUR, Nanos};

/// Given-up gaps older than this are behind every seal.
const GAP_AGE_MAX: i64 = 24 * HOUR;

impl Feed {
    /// Returns since when nothing is known of a symbol that begins now: since the largest window up to an hour began. Of wider
    /// ones the past of the symbol tells more, where it has one; where none is asked for they began as much earlier.
    pub fn unknown_since(&self, now: Nanos) -> Nanos {
        let asks_for_past = self.warm_up_bars > 0;
        let widths = self.env.settings.widths.iter();
        let starts = widths.filter(|width| width.nanos() <= HOUR || !asks_for_past);
        starts.map(|width| width.start_of(now)).min().unwrap_or(now)
    }

    /// Opens a gap of all symbols, and puts it into a batch.
    pub fn open_gap(&self, batch: &mut Batch, from: Nanos, to: Nanos, holds: usize) -> GapId {
        self.open_gap_of(batch, None, (from, to), holds)
    }

    /// Opens a gap of the symbol at a place, or of all of them, and puts it into a batch.
    pub fn open_gap_of(
        &self,
        batch: &mut Batch,
        place: Option<usize>,
        (from, to): (Nanos, Nanos),
        holds: usize,
    ) -> GapId {
        let symbol = place.map_or(SymbolId::NONE, |place| self.instruments.symbol(place));
        let mut gaps = self.gaps.borrow_mut();
        gaps.forget_before(to.plus(-GAP_AGE_MAX));
        self.tell_gap(batch, Stretch { symbol, from, to, is_filled: false });
        let id = gaps.open(symbol, from, to, holds);
        self.show_gaps(&gaps);
        id
    }

    /// Puts a stretch of a gap into a batch; of a symbol that has reported nothing it is told behind its first report.
    pub fn tell_gap(&self, batch: &mut Batch, gap: Stretch) {
        let place = self.instruments.place(gap.symbol);
        if place.is_none_or(|place| self.products.borrow()[place].is_introduced) {
            batch.entries.push(self.gap_entry(gap));
        }
    }

    /// Moves the end of an open gap on, and puts what is added into a batch.
    pub fn extend_gap(&self, batch: &mut Batch, gap: GapId, to: Nanos) {
        let longer = self.gaps.borrow_mut().extend(gap, to);
        if let Some(longer) = longer {
            self.tell_gap(batch, longer);
        }
    }

    /// Takes a hold off a gap, and puts what is whole with it into a batch.
    pub fn release_gap(&self, batch: &mut Batch, gap: GapId) {
        let mut gaps = self.gaps.borrow_mut();
        gaps.release(gap).into_iter().for_each(|gap| self.tell_gap(batch, gap));
        if gaps.is_untold(gap) {
            batch.filled.push(gap);
        }
        self.show_gaps(&gaps);
    }

    /// Forgets the gaps of a symbol that is followed no more.
    pub fn forget_gaps(&self, place: usize) {
        self.gaps.borrow_mut().forget(self.instruments.symbol(place));
    }

    /// Leaves a gap open for good.
    pub fn give_up_gap(&self, gap: GapId) {
        let mut gaps = self.gaps.borrow_mut();
        gaps.give_up(gap);
        self.show_gaps(&gaps);
    }

    pub(super) fn show_gaps(&self, gaps: &GapBook) {
        self.standing.note_gap(gaps.first_waiting());
        self.metrics.gaps_open.set(i64::try_from(gaps.num_waiting()).unwrap_or(i64::MAX));
    }

    pub fn gap_entry(&self, Stretch { symbol, from, to, is_filled }: Stretch) -> Entry {
        let gap = Gap { source: self.source, from, to, filled: is_filled };
        Entry { pos: 0, symbol, body: Body::Gap(gap) }
    }

    /// Has a hole filled. Where too many wait it is given up.
    pub fn ask(&self, job: Job) {
        if let Err(refused) = self.queues.jobs.try_send(job) {
            self.give_up(&refused.into_inner(), "too many holes wait to be filled");
        }
    }

    /// Leaves a hole as it is, and says so.
    pub fn give_up(&self, job: &Job, reason: &str) {
        tracing::warn!(
            venue = self.venue.name(),
            symbol = self.instruments.venue_symbol(job.place),
            reason,
            "a hole cannot be filled; it shows in the coverage of its bars"
        );
        self.leave_hole(job);
    }

    /// Leaves a hole as it is because the venue gives no past trades, which is said once.
    pub fn give_up_for_good(&self, job: &Job, reason: &str) {
        if self.health.note_no_past_trades(reason) {
            let venue = self.venue.name();
            tracing::warn!(
                venue,
                reason,
                "what is missed cannot be fetched from this venue; it shows in the coverage of bars"
            );
        }
        self.leave_hole(job);
    }

    /// Says that a symbol lacks a past, or a part of it; each reason once.
    pub fn goes_without_past(&self, place: usize, reason: &str) {
        let symbol = &self.instruments.venue_symbol(place);
        if self.health.note_no_past(symbol, reason) {
            let venue = self.venue.name();
            tracing::warn!(
                venue,
                symbol,
                reason,
                "a new symbol begins without its past, so that its indicators warm up as it trades"
            );
        }
    }

    fn leave_hole(&self, job: &Job) {
        if self.warm_up_bars > 0 {
            // Where so many wait already, this one stays empty, which its coverage shows.
            self.queues.holes.try_send(Hole::of(job)).ok();
        }
        self.metrics.given_up.inc();
        if let (Some(after), Some(before)) = (job.after, job.before) {
            self.products.borrow_mut()[job.place].ids.forget(after + 1, before - 1);
        }
        if let Some(gap) = job.gap {
            self.give_up_gap(gap);
        }
    }
}
