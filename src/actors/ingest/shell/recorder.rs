//! A way to keep what a venue sends, as it sends it.
//!
//! Promises: every frame, and every answer to a poll, is given to the recorder before it is read, in the order received,
//! without the user's keys. A feed without a recorder pays nothing for it. A recorder must not block: it runs on the feed's
//! thread.

use super::super::recording::Origin;
use crate::models::time::Nanos;

/// Keeps raw frames.
pub trait Recorder: Send + Sync {
    /// Takes a frame of one of the feed's connections, or the answer to a poll.
    fn frame(&self, received: Nanos, origin: Origin, text: &str);
}
