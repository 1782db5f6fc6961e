//! Where in the log something stands, as it is stored beside rows.
//!
//! Positions of a partition only grow, until its topic is made anew or a symbol moves to another partition: then they
//! begin again, in a higher generation. Promises: of two rows that meet under one key, the one with the higher value is
//! the later truth, whichever partition and generation they come from. A log in the process has one generation, 0, whose
//! values are the plain positions.

use super::entry::Position;
use serde::{Deserialize, Serialize};

/// Bits of a position; 15 bits of generation stand above them, and the sign bit of an SQL integer stays free.
const POSITION_BITS: u32 = 48;

/// A generation and a position in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogPos(u64);

impl LogPos {
    /// The highest generation: 32,767.
    pub const GENERATION_MAX: u16 = (1 << 15) - 1;

    /// The highest position in a generation: nine years of a million entries a second.
    pub const POSITION_MAX: Position = (1 << POSITION_BITS) - 1;

    /// Puts both together. `None` where one is too large.
    #[must_use]
    pub const fn new(generation: u16, position: Position) -> Option<LogPos> {
        if generation > LogPos::GENERATION_MAX || position > LogPos::POSITION_MAX {
            return None;
        }
        Some(LogPos((generation as u64) << POSITION_BITS | position))
    }

    /// Takes what is stored beside a row, or stands in an entry. `None` where the sign bit is set.
    #[must_use]
    pub const fn from_stored(stored: u64) -> Option<LogPos> {
        if stored >> 63 == 0 { Some(LogPos(stored)) } else { None }
    }

    /// Returns what is stored beside a row, and stands in entries of this generation.
    #[must_use]
    pub const fn stored(self) -> u64 {
        self.0
    }

    /// Returns the generation.
    #[must_use]
    pub const fn generation(self) -> u16 {
        (self.0 >> POSITION_BITS) as u16
    }

    /// Returns the position in the generation.
    #[must_use]
    pub const fn position(self) -> Position {
        self.0 & LogPos::POSITION_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_log_in_the_process_stores_plain_positions() {
        assert_eq!(LogPos::new(0, 7).map(LogPos::stored), Some(7));
        assert_eq!(LogPos::new(LogPos::GENERATION_MAX + 1, 0), None);
        assert_eq!(LogPos::new(0, LogPos::POSITION_MAX + 1), None);
        assert_eq!(LogPos::from_stored(1 << 63), None);
    }

    proptest! {
        #[test]
        fn a_higher_generation_is_later_whatever_the_position(
            generation in 0..LogPos::GENERATION_MAX,
            before in 0..=LogPos::POSITION_MAX,
            after in 0..=LogPos::POSITION_MAX,
        ) {
            let (old, new) = (LogPos::new(generation, before), LogPos::new(generation + 1, after));
            let (old, new) = (old.expect("in range"), new.expect("in range"));
            prop_assert!(old < new && old.stored() < new.stored() && new.stored().cast_signed() > 0);
            prop_assert_eq!((new.generation(), new.position()), (generation + 1, after));
            prop_assert_eq!(LogPos::from_stored(new.stored()), Some(new));
        }
    }
}
