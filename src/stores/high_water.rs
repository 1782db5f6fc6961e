//! The highest position ever given, on disk before anything else knows it.
//!
//! A write to a file survives the death of the process, though not of the machine, and costs a microsecond. So a start
//! after `kill -9` knows how much had been received that the log does not hold, and gives no position twice.

use crate::models::entry::Position;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The file's name in the data directory.
const FILE_NAME: &str = "positions";

/// Where the file says up to where losses have been told.
const TOLD_AT: u64 = 8;

/// The highest position given. In the file: that, and up to where losses have been told, both little-endian.
#[derive(Debug)]
pub struct HighWater {
    file: File,
    found: Position,
    told: Position,
    is_held: bool,
}

impl HighWater {
    /// Opens the mark of a data directory, making it where there is none.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(dir: &Path) -> io::Result<HighWater> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(dir.join(FILE_NAME))?;
        let read = |at: u64| -> io::Result<Position> {
            let mut bytes = [0; 8];
            let num_read = file.read_at(&mut bytes, at)?;
            Ok(if num_read == bytes.len() { Position::from_le_bytes(bytes) } else { 0 })
        };
        let (found, told) = (read(0)?, read(TOLD_AT)?);
        Ok(HighWater { file, found, told, is_held: false })
    }

    /// Returns the mark as it was found.
    #[must_use]
    pub const fn found(&self) -> Position {
        self.found
    }

    /// Returns how many positions were given that a log which ends at `last` does not hold, those told before left out.
    #[must_use]
    pub fn num_lost(&self, last: Position) -> u64 {
        self.found.saturating_sub(last.max(self.told))
    }

    /// Notes that what is lost has been told, so that the next start does not tell it again.
    ///
    /// # Errors
    /// What the system says.
    pub fn tell(&self) -> io::Result<()> {
        self.file.write_all_at(&self.found.to_le_bytes(), TOLD_AT)
    }

    /// Leaves the mark where it is from here on. For inputs that are read again after a crash: what the log does not
    /// hold by then is not lost, was never said to anybody, and gets the same positions again.
    #[must_use]
    pub fn held(self) -> HighWater {
        HighWater { is_held: true, ..self }
    }

    /// Raises the mark.
    ///
    /// # Errors
    /// What the system says.
    pub fn raise(&self, pos: Position) -> io::Result<()> {
        if self.is_held {
            return Ok(());
        }
        self.file.write_all_at(&pos.to_le_bytes(), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_found_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let mark = HighWater::open(dir.path()).expect("opens");
        assert_eq!(mark.found(), 0);
        mark.raise(7).expect("writes");
        mark.raise(1 << 40).expect("writes");
        let held = HighWater::open(dir.path()).expect("opens").held();
        assert_eq!(held.found(), 1 << 40);
        held.raise(1 << 50).expect("does nothing");
        assert_eq!(HighWater::open(dir.path()).expect("opens").found(), 1 << 40);
    }

    #[test]
    fn a_loss_is_told_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let mark = HighWater::open(dir.path()).expect("opens");
        mark.raise(100).expect("writes");
        let mark = HighWater::open(dir.path()).expect("opens");
        assert_eq!((mark.num_lost(100), mark.num_lost(90)), (0, 10));
        mark.tell().expect("writes");
        mark.raise(130).expect("writes");
        let mark = HighWater::open(dir.path()).expect("opens");
        assert_eq!((mark.num_lost(90), mark.num_lost(120)), (30, 10));
    }
}
