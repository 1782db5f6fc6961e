//! The circuit breaker of a venue of a feed.
//!
//! It is open while the venue is left alone, half open while it is tried beside the one in charge, and closed while it may be
//! used. No clock is read here: time comes in as the time since the feed began. Nothing fails.

use std::time::Duration;

/// The circuit breaker of a venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaker {
    /// The venue may be used.
    Closed,
    /// It is left alone until then.
    Open {
        /// When it is tried again.
        until: Duration,
    },
    /// It is tried beside the one in charge.
    HalfOpen,
    /// It refuses for good, until somebody changes the configuration and starts anew.
    Refused,
}

impl Breaker {
    /// True when the venue may be opened.
    #[must_use]
    pub fn may_be_tried(self, now: Duration) -> bool {
        match self {
            Breaker::Closed => true,
            Breaker::Open { until } => until <= now,
            Breaker::HalfOpen | Breaker::Refused => false,
        }
    }

    /// Returns the word for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Breaker::Closed => "closed",
            Breaker::Open { .. } => "open",
            Breaker::HalfOpen => "half-open",
            Breaker::Refused => "open for good",
        }
    }

    /// Returns the value of its metric: 0 closed, 1 half open, 2 open.
    #[must_use]
    pub const fn level(self) -> i64 {
        match self {
            Breaker::Closed => 0,
            Breaker::HalfOpen => 1,
            Breaker::Open { .. } | Breaker::Refused => 2,
        }
    }
}
