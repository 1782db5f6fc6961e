//! How far a topic has been read: kept in the log, in the same commit as the entries that came of it.
//!
//! Promises: after a crash reading goes on behind the last message whose entry the log holds, so none is missed and none comes
//! twice. Topics of one name in two clusters, and a topic that was made anew, are told apart, so that ids which follow from
//! a message's place never meet. On failure a stored value that cannot be read is an error, and never a new beginning.

use crate::models::entry::TradeId;
use crate::models::time::Nanos;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Bits of a given id's counter that hold the offset; those above hold the partition.
const OFFSET_BITS: u32 = 44;

/// How far a topic has been read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Positions {
    /// How often the topic was found made anew.
    pub generation: u32,
    /// By partition: the offset of the first message that was not read.
    pub next: BTreeMap<i32, i64>,
    /// The event time that the topic's clock showed, and the time of day then.
    pub clock: Option<(Nanos, Nanos)>,
    /// By partition: the timestamp of the last message that was read. One that was deleted and made anew has another message
    /// there, however many it has by then.
    pub last: BTreeMap<i32, Nanos>,
}

/// A value that is none of ours.
#[derive(Debug, thiserror::Error)]
#[error("the positions of the topic in the log are damaged: {0}")]
pub struct DamagedPositions(postcard::Error);

impl Positions {
    /// Returns the key under which the positions of a topic stand in the log.
    #[must_use]
    pub fn key(cluster: &str, topic: &str) -> String {
        format!("kafka/{cluster}/{topic}")
    }

    /// Reads what [`Positions::encode`] wrote.
    ///
    /// # Errors
    /// When it is something else.
    pub fn decode(bytes: &[u8]) -> Result<Positions, DamagedPositions> {
        let ((generation, next, clock), rest) = postcard::take_from_bytes(bytes).map_err(DamagedPositions)?;
        // Earlier versions end here.
        let last = if rest.is_empty() { Ok(BTreeMap::new()) } else { postcard::from_bytes(rest) };
        Ok(Positions { generation, next, clock, last: last.map_err(DamagedPositions)? })
    }

    /// Returns them as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("positions are plain data")
    }
}

/// Gives ids to messages that have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaceIds {
    epoch: u32,
}

impl PlaceIds {
    /// Makes the ids of one generation of a topic.
    #[must_use]
    pub fn new(cluster: &str, topic: &str, generation: u32) -> PlaceIds {
        let hash = blake3::hash(format!("{cluster}/{topic}/{generation}").as_bytes());
        PlaceIds { epoch: u32::from_le_bytes(std::array::from_fn(|at| hash.as_bytes()[at])) }
    }

    /// Returns the id of the message at a place. Those of one partition ascend.
    #[must_use]
    pub const fn of(self, partition: i32, offset: i64) -> TradeId {
        let (partition, offset) = (partition.cast_unsigned() as u64, offset.cast_unsigned());
        TradeId::given(self.epoch, partition << OFFSET_BITS | offset & ((1 << OFFSET_BITS) - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_read_back_and_damage_is_no_beginning() {
        let positions = Positions {
            generation: 2,
            next: BTreeMap::from([(0, 5), (7, 1 << 40)]),
            clock: Some((Nanos(1), Nanos(2))),
            last: BTreeMap::from([(7, Nanos(3))]),
        };
        assert_eq!(Positions::decode(&positions.encode()).expect("as written"), positions);
        let earlier = postcard::to_stdvec(&(2_u32, &positions.next, positions.clock)).expect("plain data");
        let read = Positions::decode(&earlier).expect("as an earlier version wrote it");
        assert_eq!(read, Positions { last: BTreeMap::new(), ..positions });
        assert!(Positions::decode(&[earlier.as_slice(), b"\xff"].concat()).is_err());
        assert!(Positions::decode(b"\xff\xff\xff\xff\xff\xff").is_err());
        assert_ne!(Positions::key("a", "t"), Positions::key("b", "t"));
    }

    #[test]
    fn every_place_has_an_id_of_its_own() {
        let ids = PlaceIds::new("cluster", "tick_data", 0);
        assert!(ids.of(0, 1) < ids.of(0, 2) && ids.of(0, 2) < ids.of(0, 1 << 40));
        assert_ne!(ids.of(0, 5), ids.of(1, 5));
        for other in [("cluster", "tick_data", 1), ("cluster", "other", 0), ("other", "tick_data", 0)] {
            assert_ne!(PlaceIds::new(other.0, other.1, other.2).of(0, 5), ids.of(0, 5), "{other:?}");
        }
    }
}
