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

/// The highest position given.
#[derive(Debug)]
pub struct HighWater {
    file: File,
    found: Position,
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
        let mut bytes = [0; 8];
        let num_read = file.read_at(&mut bytes, 0)?;
        let found = if num_read == bytes.len() { Position::from_le_bytes(bytes) } else { 0 };
        Ok(HighWater { file, found, is_held: false })
    }

    /// Returns the mark as it was found.
    #[must_use]
    pub const fn found(&self) -> Position {
        self.found
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
}
