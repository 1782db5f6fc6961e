//! A hole that back-fill has given up, and that ready-made bars may fill.

use super::job::Job;
use crate::models::time::Nanos;
use std::time::Instant;

/// A stretch of a symbol's time whose trades cannot be had.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hole {
    /// Place of the symbol.
    pub place: usize,
    /// Where it begins.
    pub since: Nanos,
    /// Where it ends, exclusive, if that is known.
    pub until: Option<Nanos>,
    /// When it was seen: the core holds the seal for a time from then on.
    pub seen: Instant,
}

impl Hole {
    /// Makes that of a job that was given up.
    pub fn of(job: &Job) -> Hole {
        Hole { place: job.place, since: job.since, until: job.until, seen: job.seen }
    }
}
