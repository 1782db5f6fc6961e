//! Checkpoints: the states that recovery starts from, as a log's store keeps them.
//!
//! Promises: everything here is known by partition and by the symbol's name, and the slices that checkpoints are taken
//! by are told by a hash of the name that never changes. So another process that meets symbols in another order, or runs
//! another number of threads, goes on from the same checkpoints.

use super::Partition;
use crate::models::entry::Position;
use std::sync::Arc;

/// Into how many slices the symbols of a partition are spread, so that checkpoints cost a little always instead of much
/// at once. Kept with the checkpoints: another number would make a newer slice's line speak of an older slice's symbols.
pub const NUM_SLICES: u32 = 64;

/// Returns a number that stands for a name, the same in every process and version.
fn hash_of(symbol: &str) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *blake3::hash(symbol.as_bytes()).as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// Returns the slice of a symbol.
#[must_use]
pub fn slice_of(symbol: &str) -> u32 {
    (hash_of(symbol) % u64::from(NUM_SLICES)) as u32
}

/// Returns the partition of a symbol in a log with so many of them. Takes other bits than [`slice_of`], so that each
/// partition has symbols of every slice.
///
/// # Panics
/// When there are none.
#[must_use]
pub fn partition_of(symbol: &str, num_partitions: u32) -> Partition {
    Partition(((hash_of(symbol) >> 32) % u64::from(num_partitions)) as u32)
}

/// The state of one symbol that recovery can start from. Opaque here: the core encodes and checks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The symbol's name.
    pub symbol: Arc<str>,
    /// It holds everything of the symbol up to here, clock marks too: a replay that begins after this needs nothing else.
    pub pos: Position,
    /// The encoded state, with version, fingerprint and checksum inside.
    pub bytes: Vec<u8>,
}

/// Checkpoints of one slice of a partition's symbols, written as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointSet {
    /// The slice.
    pub slice: u32,
    /// Symbols of the slice that are not in `checkpoints` are unchanged since their last one up to here.
    pub covers_through: Position,
    /// What a replay from there must know beside the states. Opaque here.
    pub context: Vec<u8>,
    /// States of the symbols touched since the slice's last set.
    pub checkpoints: Vec<Checkpoint>,
}

impl CheckpointSet {
    /// Returns the last entry that the set knows of. A symbol that was too busy to be asked at once may be ahead of the
    /// others.
    #[must_use]
    pub fn newest(&self) -> Position {
        self.checkpoints.iter().map(|checkpoint| checkpoint.pos).fold(self.covers_through, Position::max)
    }
}

/// What is kept of a set besides its checkpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetHeader {
    /// Symbols of the slice that had no newer checkpoint in the set were unchanged up to here.
    pub covers_through: Position,
    /// The clock marks that a replay from there must know, packed by the core.
    pub context: Vec<u8>,
}

/// What the recovery of a partition starts from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoints {
    /// By slice: the newest set's header, and that of the set before; default where there is none.
    pub slices: Vec<[SetHeader; 2]>,
    /// By symbol, in the order of their names: the checkpoints of each, newest first, at most two, at least one.
    pub symbols: Vec<Vec<Checkpoint>>,
    /// The checkpoints leave out what the history must hold therefore: everything up to here. `None` of checkpoints that
    /// were saved before this was noted.
    pub relied_on: Option<Position>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_symbol_belongs_never_changes() {
        // Written down once: files hold checkpoints by these numbers.
        let found = ["AAPL", "BTC-USD", "MSFT"].map(|name| (slice_of(name), partition_of(name, 4)));
        assert_eq!(found, [(43, Partition(1)), (42, Partition(1)), (20, Partition(3))]);
    }

    #[test]
    fn every_partition_has_symbols_of_every_slice() {
        let mut seen = vec![[false; NUM_SLICES as usize]; 4];
        for at in 0..4_000 {
            let name = format!("S{at}");
            seen[partition_of(&name, 4).0 as usize][slice_of(&name) as usize] = true;
        }
        assert!(seen.iter().flatten().all(|seen| *seen));
    }
}
