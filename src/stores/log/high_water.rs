//! The highest position ever given, on disk before anything else knows it.
//!
//! A write to a file survives the death of the process, though not of the machine, and costs a microsecond: it goes to
//! the page cache and waits for no disk. So a start after `kill -9` knows how much had been received that the log does
//! not hold, and gives no position twice.
//!
//! The file holds two records, each with a checksum, written in turn, so that one that is torn leaves the one before.
//! Files of 16 bytes, without checksum, are of an earlier version. A file that makes no sense is moved aside and said
//! to be damaged: the log's end then is all that is known, which costs nothing but the count of what was lost.
//! On failure to write: an error to the caller, who goes on giving positions, and says so.

use crate::models::entry::Position;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The file's name in the data directory.
pub const FILE_NAME: &str = "positions";

/// What the file is renamed to when it makes no sense.
const ASIDE_NAME: &str = "positions.damaged";

/// Where the two records stand: in pages of their own, so that a torn page takes one of them.
const RECORDS_AT: [u64; 2] = [0, 4_096];

/// A record: magic, turn, highest position, up to where losses are told (all little-endian `u64`), CRC-32 (`u32`).
const RECORD_LEN: usize = 36;
const MAGIC: u64 = u64::from_be_bytes(*b"TWPOSIT2");

/// No log comes this far: a million entries a second for two thousand years.
const POSITION_MAX: Position = 1 << 56;

/// In a file without checksum, no mark is this far ahead of its log: days of a million entries a second.
const LEAD_MAX: Position = 1 << 40;

/// The highest position given.
#[derive(Debug)]
pub struct HighWater {
    file: File,
    found: Position,
    told: AtomicU64,
    /// The record that is written next has this turn.
    turn: AtomicU64,
    is_held: bool,
    is_failing: Arc<AtomicBool>,
}

/// What a file says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Record {
    turn: u64,
    given: Position,
    told: Position,
}

impl Record {
    fn encode(self) -> [u8; RECORD_LEN] {
        let mut bytes = [0; RECORD_LEN];
        for (at, value) in [MAGIC, self.turn, self.given, self.told].into_iter().enumerate() {
            bytes[at * 8..][..8].copy_from_slice(&value.to_le_bytes());
        }
        let checksum = crc32fast::hash(&bytes[..RECORD_LEN - 4]);
        bytes[RECORD_LEN - 4..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Record> {
        let (said, checksum) = bytes.get(..RECORD_LEN)?.split_last_chunk::<4>()?;
        let word = |at: usize| said.get(at * 8..)?.first_chunk().copied().map(u64::from_le_bytes);
        let is_whole = crc32fast::hash(said) == u32::from_le_bytes(*checksum) && word(0)? == MAGIC;
        let record = Record { turn: word(1)?, given: word(2)?, told: word(3)? };
        (is_whole && record.given < POSITION_MAX && record.told < POSITION_MAX).then_some(record)
    }

    /// Reads a file of an earlier version: the two positions, and nothing to check them by.
    fn decode_old(bytes: &[u8], last: Position) -> Option<Record> {
        let word = |at: usize| bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes).or(Some(0));
        let (given, told) = (word(0)?, word(8).unwrap_or(0));
        let limit = last.saturating_add(LEAD_MAX).min(POSITION_MAX);
        (given < limit && told < limit).then_some(Record { turn: 0, given, told })
    }
}

/// What is wrong with the two records of a file, or with one.
enum Found {
    Whole(Record),
    OneDamaged(Record),
    Damaged,
}

impl Found {
    fn of(bytes: &[u8], last: Position) -> Found {
        if bytes.len() <= 16 {
            return Record::decode_old(bytes, last).map_or(Found::Damaged, Found::Whole);
        }
        let record = |at: u64| bytes.get(usize::try_from(at).ok()?..).and_then(Record::decode);
        // The second is not there before the second write.
        let is_young = bytes.len() as u64 <= RECORDS_AT[1];
        match RECORDS_AT.map(record) {
            [Some(one), Some(other)] => Found::Whole(if one.turn > other.turn { one } else { other }),
            [Some(one), None] if is_young => Found::Whole(one),
            [Some(one), None] | [None, Some(one)] => Found::OneDamaged(one),
            [None, None] => Found::Damaged,
        }
    }
}

impl HighWater {
    /// Says what is wrong with the file of a data directory whose log ends at `last`.
    ///
    /// # Errors
    /// What the system says; a file that is not there is sound.
    pub fn fault(dir: &Path, last: Position) -> io::Result<Option<&'static str>> {
        let bytes = match std::fs::read(dir.join(FILE_NAME)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(match Found::of(&bytes, last) {
            Found::Whole(_) => None,
            Found::OneDamaged(_) => Some("one of its two records is damaged"),
            Found::Damaged => Some("it says nothing that could be true"),
        })
    }

    /// Opens the mark of a data directory whose log ends at `last`, making it where there is none.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(dir: &Path, last: Position) -> io::Result<HighWater> {
        let path = dir.join(FILE_NAME);
        let open = || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open()?;
        let bytes = std::fs::read(&path)?;
        let mut is_damaged = false;
        let found = match Found::of(&bytes, last) {
            Found::Whole(record) => record,
            Found::OneDamaged(record) => {
                is_damaged = true;
                tracing::warn!(
                    file = %path.display(),
                    "one of the two records is damaged: the loss at the last end may be counted too low"
                );
                record
            }
            Found::Damaged => {
                let aside = dir.join(ASIDE_NAME);
                std::fs::rename(&path, &aside)?;
                file = open()?;
                tracing::error!(
                    file = %path.display(),
                    aside = %aside.display(),
                    "the file is damaged and put aside: positions go on where the log ends, and nobody knows how much \
                     was lost at the last end of the process"
                );
                Record::default()
            }
        };
        let mark = HighWater {
            file,
            found: found.given,
            told: AtomicU64::new(found.told),
            turn: AtomicU64::new(found.turn + 1),
            is_held: false,
            is_failing: Arc::default(),
        };
        if bytes.len() <= 16 || is_damaged {
            // Both, so that what is left of the other form is not taken for a damaged record.
            for _ in RECORDS_AT {
                if let Err(error) = mark.write(found.given, found.told) {
                    // A start on a full disk serves what there is.
                    tracing::warn!(file = %path.display(), %error, "failed to write; tried again with the next entries");
                }
            }
        }
        Ok(mark)
    }

    /// Returns the mark as it was found.
    #[must_use]
    pub const fn found(&self) -> Position {
        self.found
    }

    /// Returns what is true while the mark cannot be written: what a crash loses then is not counted.
    #[must_use]
    pub fn failing(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_failing)
    }

    /// Returns how many positions were given that a log which ends at `last` does not hold, those told before left out.
    #[must_use]
    pub fn num_lost(&self, last: Position) -> u64 {
        self.found.saturating_sub(last.max(self.told.load(Ordering::Relaxed)))
    }

    /// Notes that what is lost has been told, so that the next start does not tell it again.
    ///
    /// # Errors
    /// What the system says.
    pub fn tell(&self) -> io::Result<()> {
        self.told.store(self.found, Ordering::Relaxed);
        self.write(self.found, self.found)
    }

    /// Leaves the mark where it is from here on. For inputs that are read again after a crash: what the log does not
    /// hold by then is not lost, was never said to anybody, and gets the same positions again.
    #[must_use]
    pub fn held(self) -> HighWater {
        HighWater { is_held: true, ..self }
    }

    /// Raises the mark. One caller at a time: whoever gives positions.
    ///
    /// # Errors
    /// What the system says. The record before it stays whole.
    pub fn raise(&self, pos: Position) -> io::Result<()> {
        if self.is_held {
            return Ok(());
        }
        self.write(pos, self.told.load(Ordering::Relaxed))
    }

    fn write(&self, given: Position, told: Position) -> io::Result<()> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let at = RECORDS_AT[(turn % 2) as usize];
        let written = self.file.write_all_at(&Record { turn, given, told }.encode(), at);
        if written.is_err() {
            // The record may be torn: the next try is for the same place, and the one before stays whole.
            self.turn.fetch_sub(1, Ordering::Relaxed);
        }
        self.is_failing.store(written.is_err(), Ordering::Relaxed);
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reopened(dir: &Path) -> HighWater {
        HighWater::open(dir, 0).expect("opens")
    }

    #[test]
    fn the_mark_is_found_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let mark = reopened(dir.path());
        assert_eq!(mark.found(), 0);
        mark.raise(7).expect("writes");
        assert_eq!(reopened(dir.path()).found(), 7);
        mark.raise(1 << 40).expect("writes");
        let held = reopened(dir.path()).held();
        assert_eq!(held.found(), 1 << 40);
        held.raise(1 << 50).expect("does nothing");
        assert_eq!(reopened(dir.path()).found(), 1 << 40);
    }

    #[test]
    fn a_loss_is_told_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let mark = reopened(dir.path());
        mark.raise(100).expect("writes");
        let mark = reopened(dir.path());
        assert_eq!((mark.num_lost(100), mark.num_lost(90)), (0, 10));
        mark.tell().expect("writes");
        mark.raise(130).expect("writes");
        let mark = reopened(dir.path());
        assert_eq!((mark.num_lost(90), mark.num_lost(120)), (30, 10));
    }

    #[test]
    fn any_flipped_bit_leaves_the_record_before_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(FILE_NAME);
        let mark = reopened(dir.path());
        let marks = [1_000, 2_000, 3_000];
        marks.iter().for_each(|pos| mark.raise(*pos).expect("writes"));
        let whole = std::fs::read(&path).expect("reads");
        let mut seen = Vec::new();
        for record_at in RECORDS_AT.map(|at| at as usize) {
            for bit in 0..RECORD_LEN * 8 {
                let mut bytes = whole.clone();
                bytes[record_at + bit / 8] ^= 1 << (bit % 8);
                std::fs::write(&path, bytes).expect("writes");
                seen.push(reopened(dir.path()).found());
            }
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, marks[1..], "the newest, or the one before it");
    }

    #[test]
    fn a_file_that_makes_no_sense_is_put_aside() {
        let negative = [&(1_u64 << 63).to_le_bytes()[..], &[0; 8]].concat();
        let far = [&(1_u64 << 50).to_le_bytes()[..], &[0; 8]].concat();
        for bytes in [vec![0xFF; 36], vec![7; 5_000], negative, far] {
            let dir = tempfile::tempdir().expect("a directory");
            std::fs::write(dir.path().join(FILE_NAME), &bytes).expect("writes");
            let mark = HighWater::open(dir.path(), 500).expect("opens");
            assert_eq!((mark.found(), mark.num_lost(500)), (0, 0));
            assert_eq!(std::fs::read(dir.path().join(ASIDE_NAME)).expect("is there"), bytes);
            mark.raise(501).expect("writes");
            assert_eq!(HighWater::open(dir.path(), 500).expect("opens").found(), 501);
        }
    }

    #[test]
    fn a_file_of_an_earlier_version_is_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let old = [900_u64.to_le_bytes(), 850_u64.to_le_bytes()].concat();
        for bytes in [old.clone(), old[..8].to_vec()] {
            std::fs::write(dir.path().join(FILE_NAME), &bytes).expect("writes");
            let mark = HighWater::open(dir.path(), 800).expect("opens");
            assert_eq!(mark.found(), 900);
            assert_eq!(mark.num_lost(800), if bytes.len() == 16 { 50 } else { 100 });
            assert_eq!(reopened(dir.path()).found(), 900, "it has the new form by now");
        }
    }

    #[test]
    fn a_failed_write_is_an_error_and_can_be_seen() {
        let dir = tempfile::tempdir().expect("a directory");
        let mark =
            HighWater { file: File::open("/dev/null").expect("opens for reading"), ..reopened(dir.path()) };
        let failing = mark.failing();
        assert!(!failing.load(Ordering::Relaxed));
        mark.raise(1).expect_err("it is not open for writing");
        assert!(failing.load(Ordering::Relaxed));
    }
}
