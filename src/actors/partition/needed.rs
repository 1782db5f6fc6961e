//! From where on each partition needs the log: its older checkpoints and what comes after them are enough for a start.
//!
//! Promises: the log is kept from the lowest of them on, also while a partition moves from one set of shards to another.
//! A partition that has said nothing yet needs all of it.

use crate::models::entry::Position;
use crate::stores::log::Partition;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Shared by those who write the checkpoints of a log's partitions.
#[derive(Debug)]
pub struct NeededFrom(Mutex<BTreeMap<Partition, Position>>);

impl NeededFrom {
    /// Makes one for so many partitions.
    #[must_use]
    pub fn new(num_partitions: u32) -> NeededFrom {
        NeededFrom(Mutex::new((0..num_partitions).map(|partition| (Partition(partition), 0)).collect()))
    }

    /// Notes what a partition needs, and returns what all of them need.
    pub fn note(&self, partition: Partition, from: Position) -> Position {
        let mut needed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        needed.insert(partition, from);
        needed.values().copied().min().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_partition_that_is_furthest_behind_counts() {
        let needed = NeededFrom::new(2);
        assert_eq!(needed.note(Partition(1), 9), 0, "the other one has said nothing");
        assert_eq!(needed.note(Partition(0), 12), 9);
        assert_eq!(needed.note(Partition(1), 30), 12);
    }
}
