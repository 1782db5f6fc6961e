//! How a message reaches people, as a sender sees it: one round over the channels of its route.
//!
//! Promises, for every implementation: each channel is asked once a round at the most; one that hangs or panics has failed, and
//! the round ends all the same. The cause holds no secret.

use crate::models::notification::Notification;
use async_trait::async_trait;
use std::time::Duration;

/// What is to be done with a message after a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing: this channel took it.
    Sent(String),
    /// Another round after so long.
    Retry(Duration),
    /// Nothing: no channel will take it.
    GivenUp,
}

/// A round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// What is to be done.
    pub outcome: Outcome,
    /// True when a channel was asked: else all of them are left alone for a while.
    pub was_tried: bool,
    /// What the first channel of the route said, where it did not take the message.
    pub cause: String,
}

/// The channels.
#[async_trait]
pub trait Deliver: Send + Sync {
    /// Returns their names.
    fn names(&self) -> Vec<String>;

    /// Takes a message to the first of these channels that takes it. `num_failures` counts the rounds before this one in which
    /// a channel was asked.
    async fn deliver(&self, route: &[String], notification: &Notification, num_failures: u32) -> Round;
}
