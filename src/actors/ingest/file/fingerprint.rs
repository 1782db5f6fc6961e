//! Tells one input from another by what is in it, whatever it is called and wherever it lies.
//!
//! Promises: the name of a file is a hash of all its bytes; the ids that its trades are given, where they have none, are
//! the same for a file, its copy and its packed copy, so that what is read twice is a repeat and not a second trade.
//! On failure: a file that cannot be read is named; what is no file (standard input, a pipe) has no name, since it
//! cannot be read a second time.

use super::error::{FileError, shown};
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// How much of a file's unpacked beginning goes into the epoch of its given ids.
const HEAD_LEN: u64 = 64 * 1024;

/// First bytes of a gzip file.
pub(super) const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Returns a hash of all bytes of a file as hexadecimal digits; `None` for what cannot be read a second time.
///
/// # Errors
/// [`FileError::Open`] for a file that cannot be read.
pub fn content_hash(path: &Path) -> Result<Option<String>, FileError> {
    let hash = || -> io::Result<Option<String>> {
        if !is_file(path)? {
            return Ok(None);
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(File::open(path)?)?;
        Ok(Some(hasher.finalize().to_hex().to_string()))
    };
    hash().map_err(|cause| FileError::Open { path: shown(path), cause })
}

/// Returns the epoch of the ids that trades of a file are given where they have none; `None` for what is no file.
///
/// # Errors
/// [`FileError::Open`] for a file that cannot be read.
pub(super) fn epoch_of(path: &Path) -> Result<Option<u32>, FileError> {
    let head = || -> io::Result<Option<Vec<u8>>> {
        if !is_file(path)? {
            return Ok(None);
        }
        let mut magic = Vec::new();
        let mut file = File::open(path)?;
        (&mut file).take(2).read_to_end(&mut magic)?;
        let is_gzip = magic == GZIP_MAGIC;
        let whole = io::Cursor::new(magic).chain(file);
        let mut head = Vec::new();
        if is_gzip {
            // What is damaged here is told, with its row, by whoever reads the file for its rows.
            let _ = MultiGzDecoder::new(io::BufReader::new(whole)).take(HEAD_LEN).read_to_end(&mut head);
        } else {
            whole.take(HEAD_LEN).read_to_end(&mut head)?;
        }
        Ok(Some(head))
    };
    let head = head().map_err(|cause| FileError::Open { path: shown(path), cause })?;
    Ok(head.map(|head| {
        let hash = blake3::hash(&head);
        u32::from_le_bytes(std::array::from_fn(|at| hash.as_bytes()[at]))
    }))
}

/// True for a file that can be read again. A pipe's content is gone once somebody has looked at it.
fn is_file(path: &Path) -> io::Result<bool> {
    Ok(path.as_os_str() != "-" && path.metadata()?.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::fs;
    use std::io::Write;

    #[test]
    fn the_name_follows_content_and_neither_name_nor_place() {
        let dir = tempfile::tempdir().expect("writable");
        let file = |name: &str, content: &[u8]| {
            fs::write(dir.path().join(name), content).expect("writable");
            dir.path().join(name)
        };
        let of = |path: &Path| content_hash(path).expect("readable").expect("a file");
        let mut long = vec![b'x'; 200_000];
        let (a, copy) = (file("a.csv", &long), file("b.csv", &long));
        assert_eq!(of(&a), of(&copy));
        long[150_000] = b'y';
        let other = file("c.csv", &long);
        assert_ne!(of(&a), of(&other), "the end counts as well as the beginning");
        assert_eq!(content_hash(Path::new("-")).expect("nothing to read"), None);
        assert!(matches!(content_hash(&dir.path().join("none")), Err(FileError::Open { .. })));

        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        packed.write_all(&long).expect("memory takes everything");
        let packed = file("c.csv.gz", &packed.finish().expect("memory takes everything"));
        let epoch = |path: &Path| epoch_of(path).expect("readable");
        assert_ne!(of(&other), of(&packed));
        assert_eq!(epoch(&other), epoch(&packed), "rows of a packed copy are given the same ids");
        assert_ne!(epoch(&other), epoch(&file("d.csv", b"other rows")));
        assert_eq!(epoch(Path::new("-")), None);
    }
}
