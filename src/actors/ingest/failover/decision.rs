//! What the charge of a feed decides, and why. Values only: nothing here fails.

use crate::actors::ingest::venue::Then;

/// Why the charge changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The connection of the venue in charge is broken, or does not come about.
    Broken,
    /// Nothing came of it.
    Silent,
    /// It refuses what it is asked for.
    Refused(Then),
    /// A venue that stands before it in the list is well again.
    Recovered,
}

impl Why {
    /// Returns the word for people and for the label of a metric.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Why::Broken => "broken",
            Why::Silent => "silent",
            Why::Refused(_) => "refused",
            Why::Recovered => "recovered",
        }
    }
}

/// What is to be done, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A venue is to be opened.
    Start(usize),
    /// Another venue is in charge from now on.
    HandOver {
        /// Its place in the feed's list of venues.
        to: usize,
        /// Why.
        why: Why,
    },
    /// A venue is to be closed.
    Stop(usize),
}
