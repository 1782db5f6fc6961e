//! What a connection asks the back-fill for.

use super::gaps::GapId;
use crate::models::time::Nanos;
use std::time::Instant;

/// A hole in the trades of one symbol.
#[derive(Debug)]
pub(super) struct Job {
    /// Place of the symbol.
    pub place: usize,
    /// The last id before the hole; `None` where nobody knows: then it begins at `since`.
    pub after: Option<u64>,
    /// The first id behind the hole; `None`: up to the newest trade.
    pub before: Option<u64>,
    /// Where the hole begins.
    pub since: Nanos,
    /// Where it ends, exclusive, if that is known.
    pub until: Option<Nanos>,
    /// The gap that it is a part of.
    pub gap: Option<GapId>,
    /// When it was seen.
    pub seen: Instant,
    /// When it may be asked for at the earliest.
    pub due: Instant,
}
