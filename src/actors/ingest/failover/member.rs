//! One venue of a feed as the charge sees it: how long it has been well, when it said something last, and its breaker.
//!
//! No clock is read here: time comes in as the time since the feed began. Nothing fails.

use super::breaker::Breaker;
use crate::actors::ingest::shell::Phase;
use crate::actors::ingest::venue::Then;
use crate::models::time::Nanos;
use std::time::Duration;

/// What is seen of a running venue at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// How its connections are.
    pub phase: Phase,
    /// How often one broke.
    pub num_breaks: u32,
    /// How many reports came.
    pub num_reports: u64,
    /// The newest event time of a report.
    pub newest: Nanos,
    /// No gap of it is yet to be filled.
    pub is_whole: bool,
    /// Nothing more is read of it, because the log is full: that is no silence of its own.
    pub is_held_up: bool,
    /// How many symbols it brings: those that it is followed for, but for the ones that it refuses.
    pub num_symbols: usize,
    /// What is done about its refusal, if it refuses.
    pub refused: Option<Then>,
}

/// A venue that runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// When it was opened.
    pub since: Duration,
    /// Since when it has been up without a break.
    pub up_since: Option<Duration>,
    /// When a report came last, or when it came up.
    heard: Duration,
    num_breaks: u32,
    /// How many reports came.
    pub num_reports: u64,
    /// It broke since the last look, whatever it is now.
    pub has_broken: bool,
}

/// One venue of a feed.
#[derive(Debug)]
pub(super) struct Member {
    /// How long its breaker stays open.
    pause: Duration,
    pub breaker: Breaker,
    /// `None` while it is closed.
    pub run: Option<Run>,
}

impl Member {
    /// Makes one that does not run, by how long its breaker stays open.
    pub fn new(pause: Duration) -> Member {
        Member { pause, breaker: Breaker::Closed, run: None }
    }

    /// Notes that it is opened.
    pub fn begin(&mut self, now: Duration) {
        self.run = Some(Run {
            since: now,
            up_since: None,
            heard: now,
            num_breaks: 0,
            num_reports: 0,
            has_broken: false,
        });
    }

    /// Takes in how it stands.
    pub fn observe(&mut self, seen: &Seen, now: Duration) {
        let Some(run) = &mut self.run else { return };
        run.has_broken = run.num_breaks != seen.num_breaks;
        run.num_breaks = seen.num_breaks;
        if seen.phase != Phase::Up || run.has_broken {
            run.up_since = None;
        }
        if seen.phase == Phase::Up && run.up_since.is_none() {
            (run.up_since, run.heard) = (Some(now), now);
        }
        if run.num_reports != seen.num_reports || seen.is_held_up {
            (run.num_reports, run.heard) = (seen.num_reports, now);
        }
    }

    /// Returns for how long it has been up without a break.
    pub fn up_for(&self, now: Duration) -> Option<Duration> {
        self.run.and_then(|run| run.up_since).map(|since| now.saturating_sub(since))
    }

    /// Returns for how long nothing has come.
    pub fn silent_for(&self, now: Duration) -> Duration {
        self.run.map_or(Duration::ZERO, |run| now.saturating_sub(run.heard))
    }

    /// Leaves it alone, as long as it wants or its breaker says.
    pub fn leave(&mut self, refused: Option<Then>, now: Duration) {
        self.breaker = match refused {
            Some(Then::Stop) => Breaker::Refused,
            Some(Then::Wait(pause)) => Breaker::Open { until: now + pause.max(self.pause) },
            Some(Then::Retry) | None => Breaker::Open { until: now + self.pause },
        };
    }
}
