//! The faults of a bad feed, as settings.
//!
//! Promises: all of them are off by default. On failure: every setting out of range is named with its key.

use crate::actors::ingest::span;
use crate::models::time::HOUR;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A wrong event time is wrong by at least this much: nobody could take it for a delay.
pub const WRONG_TIME_MIN: i64 = HOUR;

/// The faults that are injected into the simulated feed. Probabilities are per trade, from 0 (never) to 1 (always).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InjectedFaults {
    /// Probability that a trade is lost.
    pub drop: f64,
    /// Trades, cancels and corrections that are reported twice: how often, and how much later at most.
    pub duplicate: Shift,
    /// Trades reported a second time with another price under the same id: how often, and how much later at most.
    pub conflict: Shift,
    /// Trades that a few others overtake: how often, and how much later they come at most.
    pub reorder: Shift,
    /// Trades that come later, meant to be within the horizon: how often, and how much later at most.
    pub delay: Shift,
    /// Trades that come too late, meant to be beyond the horizon: how often, and how much later. They come between
    /// once and one and a half times this span later.
    pub late: Shift,
    /// Trades that are cancelled: how often, and how much later at most.
    pub cancel: Shift,
    /// Trades that are cancelled before they come: how often, and how much later than their cancel they come at most.
    pub cancel_early: Shift,
    /// Trades that are corrected under the same id: how often, and how much later at most.
    pub correct: Shift,
    /// Trades that are corrected under a new id: how often, and how much later at most.
    pub correct_new_id: Shift,
    /// Trades with a wrong event time, half of them in the future, half in the past: how often, and how wrong at most.
    /// They are wrong by an hour at least.
    pub wrong_time: Shift,
    /// Symbols whose clock is wrong all the time: the share of symbols (`probability`), and how wrong at most.
    pub clock_skew: Shift,
    /// Trades at a price that is far off.
    pub price_spike: Spike,
    /// Trades of a size that is far off.
    pub volume_spike: Spike,
    /// Probability that a trade has a price or a size that is zero or negative.
    pub malformed: f64,
    /// Probability that a trade's sale conditions let it count for less than everything.
    pub conditions: f64,
    /// Times in which nothing arrives, until all of it arrives at once.
    pub burst: Episodes,
    /// Times in which one symbol does not trade.
    pub halt: Episodes,
    /// Times in which the connection is down: what would have arrived is lost, and a gap is reported.
    pub disconnect: Episodes,
}

/// How often something is shifted in time, and how far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shift {
    /// Probability, 0 to 1.
    pub probability: f64,
    /// How far at most, such as `"10s"`.
    #[serde(with = "span")]
    pub max: Duration,
}

impl Default for Shift {
    fn default() -> Self {
        Shift { probability: 0.0, max: Duration::from_secs(10) }
    }
}

/// How often a value is off, and by how much.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spike {
    /// Probability, 0 to 1.
    pub probability: f64,
    /// The value is multiplied by this, or divided by it.
    pub factor: f64,
}

impl Default for Spike {
    fn default() -> Self {
        Spike { probability: 0.0, factor: 10.0 }
    }
}

/// How often something happens that lasts, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Episodes {
    /// Mean time from the end of one to the start of the next; `"0s"` means never.
    #[serde(with = "span")]
    pub every: Duration,
    /// How long one lasts.
    #[serde(with = "span")]
    pub length: Duration,
}

impl Default for Episodes {
    fn default() -> Self {
        Episodes { every: Duration::ZERO, length: Duration::from_secs(5) }
    }
}

impl InjectedFaults {
    /// True when nothing is switched on: entries arrive as they were made.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.probabilities().iter().all(|(_, probability)| *probability == 0.0)
            && [self.burst, self.halt, self.disconnect].iter().all(|episodes| episodes.every.is_zero())
    }

    /// Returns everything at once, each often enough that a few thousand trades show it: for tests and demonstrations.
    #[must_use]
    pub fn everything() -> InjectedFaults {
        let shift = |probability, seconds| Shift { probability, max: Duration::from_secs(seconds) };
        let episodes = |every, length| Episodes {
            every: Duration::from_secs(every),
            length: Duration::from_secs(length),
        };
        InjectedFaults {
            drop: 0.01,
            duplicate: shift(0.02, 60),
            conflict: shift(0.005, 30),
            reorder: Shift { probability: 0.05, max: Duration::from_millis(500) },
            delay: shift(0.02, 240),
            late: shift(0.005, 480),
            cancel: shift(0.01, 120),
            cancel_early: shift(0.005, 60),
            correct: shift(0.005, 120),
            correct_new_id: shift(0.005, 120),
            wrong_time: shift(0.001, 86_400),
            clock_skew: shift(0.2, 5),
            price_spike: Spike { probability: 0.001, factor: 1.2 },
            volume_spike: Spike { probability: 0.001, factor: 50.0 },
            malformed: 0.002,
            conditions: 0.05,
            burst: episodes(60, 3),
            halt: episodes(120, 90),
            disconnect: episodes(300, 20),
        }
    }

    /// Returns every fault: its key, which begins with `misbehaviour.`, and what is wrong.
    pub(super) fn validate(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        for (key, probability) in self.probabilities() {
            if !(0.0..=1.0).contains(&probability) {
                faults.push((key, "must be a probability from 0 to 1".to_owned()));
            }
        }
        let factors = [
            ("misbehaviour.price_spike.factor", self.price_spike.factor),
            ("misbehaviour.volume_spike.factor", self.volume_spike.factor),
        ];
        for (key, factor) in factors {
            if !(1.0..=1_000.0).contains(&factor) {
                faults.push((key, "must be from 1 to 1000".to_owned()));
            }
        }
        faults
    }

    /// Returns every probability under its key.
    fn probabilities(&self) -> [(&'static str, f64); 16] {
        [
            ("misbehaviour.drop", self.drop),
            ("misbehaviour.duplicate.probability", self.duplicate.probability),
            ("misbehaviour.conflict.probability", self.conflict.probability),
            ("misbehaviour.reorder.probability", self.reorder.probability),
            ("misbehaviour.delay.probability", self.delay.probability),
            ("misbehaviour.late.probability", self.late.probability),
            ("misbehaviour.cancel.probability", self.cancel.probability),
            ("misbehaviour.cancel_early.probability", self.cancel_early.probability),
            ("misbehaviour.correct.probability", self.correct.probability),
            ("misbehaviour.correct_new_id.probability", self.correct_new_id.probability),
            ("misbehaviour.wrong_time.probability", self.wrong_time.probability),
            ("misbehaviour.clock_skew.probability", self.clock_skew.probability),
            ("misbehaviour.price_spike.probability", self.price_spike.probability),
            ("misbehaviour.volume_spike.probability", self.volume_spike.probability),
            ("misbehaviour.malformed", self.malformed),
            ("misbehaviour.conditions", self.conditions),
        ]
    }
}
