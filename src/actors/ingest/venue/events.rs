//! What a venue says: reports, its clock, how its subscription stands, and what cannot be read.

use crate::models::entry::{Body, Entry};
use crate::models::num::{Price, Size};
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use std::time::Duration;

/// A step of the shell towards a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing: the venue speaks first.
    Wait,
    /// To send the messages of [`Venue::authenticate`](super::Venue::authenticate).
    Authenticate,
    /// To send the messages of [`Venue::subscribe`](super::Venue::subscribe).
    Subscribe,
}

/// What a venue says, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VenueEvent {
    /// Something happened: an entry of the log without its position.
    Report(Entry),
    /// The newest trade there was when the subscription began; it may be old.
    LastTrade(Entry),
    /// A trade did not happen, and the venue does not name it: the newest one of this price and size.
    Break {
        /// The symbol that the withdrawn trade was of.
        symbol: SymbolId,
        /// When that is said to have happened.
        ts: Nanos,
        /// Its price.
        price: Price,
        /// Its size.
        size: Size,
    },
    /// The venue's clock.
    Clock {
        /// Its time.
        time: Nanos,
        /// How far the trade ids of a symbol have come, where it says so.
        reached: Option<(SymbolId, u64)>,
    },
    /// The venue is there, and says no more.
    Alive,
    /// The venue waits for the next step.
    Next(Step),
    /// The subscription is confirmed: of one symbol (in the venue's spelling), or of all that were asked for.
    Subscribed(Option<String>),
    /// The subscription of one symbol is refused, and the others go on. `venue_symbol` is `None` where the venue does not
    /// say which: then it is one that is not confirmed some seconds later.
    NotSubscribed {
        /// The symbol in the venue's spelling.
        venue_symbol: Option<String>,
        /// Why, for people.
        reason: String,
    },
    /// The venue refuses what it was asked for.
    Refused(Refusal),
    /// The venue is about to end the connection: another one is to take its place.
    Ending,
}

impl VenueEvent {
    /// Returns the symbol, number and time of a trade whose id is a number.
    #[must_use]
    pub fn trade_number(entry: &Entry) -> Option<(SymbolId, u64, Nanos)> {
        let Body::Trade(trade) = &entry.body else { return None };
        match trade.id.words() {
            (0, number) => Some((entry.symbol, number, trade.ts)),
            _ => None,
        }
    }
}

/// Why a venue refuses, and what the shell answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For people; holds no key.
    pub reason: String,
    /// What is done then.
    pub then: Then,
}

/// What is done after a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Another try gives the same until somebody changes the configuration: the connection is left for good.
    Stop,
    /// Another try may help, not before this.
    Wait(Duration),
    /// Another try may help, as after a lost connection.
    Retry,
}

/// Why a frame, or a part of it, says nothing that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct FrameFault {
    /// One of few words: it becomes a label, and the reason of the dead letter.
    pub kind: &'static str,
    /// What is wrong, for people.
    pub reason: String,
    /// The symbol it speaks of, as far as it can be read.
    pub venue_symbol: Option<String>,
}

impl FrameFault {
    /// An answer that is not what was asked for.
    #[must_use]
    pub fn malformed(what: &str, error: impl std::fmt::Display) -> FrameFault {
        let reason = format!("not a {what}: {error}");
        FrameFault { kind: "malformed", reason, venue_symbol: None }
    }

    /// An answer to what a venue does not serve.
    pub(super) fn unasked(what: &str) -> FrameFault {
        FrameFault::malformed(what, "this venue has none")
    }
}

/// What reading fills; its room is used again.
#[derive(Debug, Default)]
pub struct Heard {
    /// What was said.
    pub events: Vec<VenueEvent>,
    /// What could not be read.
    pub faults: Vec<FrameFault>,
    /// Frames that are right and none of ours: confirmations, channels that nobody asked for.
    pub num_ignored: u64,
    /// Numbers with more decimals than their symbol's scale, which were rounded.
    pub num_rounded: u64,
    /// Trades with a sale condition that the venue's table lacks; they count as if it were not there.
    pub num_unknown_conditions: u64,
    /// Trades with a sale condition whose rule no source confirms.
    pub num_unconfirmed_conditions: u64,
}

impl Heard {
    /// Empties it.
    pub fn clear(&mut self) {
        self.events.clear();
        self.faults.clear();
        (self.num_ignored, self.num_rounded) = (0, 0);
        (self.num_unknown_conditions, self.num_unconfirmed_conditions) = (0, 0);
    }
}
