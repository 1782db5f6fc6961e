//! Messages on their way out: what the outbox holds.
//!
//! Promises: a message has an id of its own, which stays through all tries. Nothing here fails: a word that is unknown is
//! `None`.

use crate::models::alert::Alert;
use crate::models::notification::Notification;
use crate::models::time::Nanos;
use serde::{Deserialize, Serialize};

/// Where a message stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OutgoingState {
    /// It is to be sent, or sent again.
    #[default]
    Waiting,
    /// The channel has taken it.
    Sent,
    /// Given up.
    Failed,
}

impl OutgoingState {
    /// All states.
    pub const ALL: [OutgoingState; 3] = [OutgoingState::Waiting, OutgoingState::Sent, OutgoingState::Failed];

    /// Returns the word that tables use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            OutgoingState::Waiting => "waiting",
            OutgoingState::Sent => "sent",
            OutgoingState::Failed => "failed",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<OutgoingState> {
        OutgoingState::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// A message on its way out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outgoing {
    /// Id of the decision, which the notification has too; with `/` and a channel behind it where it fell back to that one.
    pub id: String,
    /// Over which channel.
    pub channel: String,
    /// When it was decided.
    pub decided: Nanos,
    /// Where it stands.
    pub state: OutgoingState,
    /// Not to be tried before.
    pub due: Nanos,
    /// Tries made.
    pub attempts: u32,
    /// Who tries it; empty where nobody does.
    pub lease_owner: String,
    /// Until when nobody else may.
    pub lease_until: Nanos,
    /// What is sent.
    pub body: OutgoingBody,
}

/// What a message says, and what it is about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OutgoingBody {
    /// What the channel shows.
    pub notification: Notification,
    /// The decisions that it tells of.
    pub alerts: Vec<Alert>,
    /// Channels to use where this one does not take it, the next one first.
    pub fallback: Vec<String>,
}
