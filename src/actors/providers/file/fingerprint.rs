//! Names an input, so that an interrupted replay of it is recognised.

use super::error::{FileError, shown};
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

/// How much of each file's beginning goes into the name.
const HEAD_LEN: u64 = 64 * 1024;

/// The name of an input: the same for the same files in the same order, wherever they lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Key under which the progress of a replay is kept.
    pub key: String,
    /// Epoch of the ids that trades without one are given: the same in every replay of this input.
    pub epoch: u32,
    /// False for standard input, which cannot be read a second time.
    pub is_repeatable: bool,
}

/// Names the files by their names, sizes and first 64 KiB.
///
/// # Errors
/// [`FileError::Open`] for a file that cannot be read.
pub fn fingerprint(paths: &[PathBuf]) -> Result<Fingerprint, FileError> {
    let mut hasher = blake3::Hasher::new();
    let mut is_repeatable = true;
    for path in paths {
        if path.as_os_str() == "-" {
            is_repeatable = false;
            continue;
        }
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        let head = || -> io::Result<(u64, Vec<u8>)> {
            let file = File::open(path)?;
            let len = file.metadata()?.len();
            let mut head = Vec::new();
            file.take(HEAD_LEN).read_to_end(&mut head)?;
            Ok((len, head))
        };
        let (len, head) = head().map_err(|cause| FileError::Open { path: shown(path), cause })?;
        for part in [name, &len.to_le_bytes(), &head] {
            // The length before each part keeps (`ab`, `c`) and (`a`, `bc`) apart.
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    let hash = hasher.finalize();
    let epoch = u32::from_le_bytes(std::array::from_fn(|at| hash.as_bytes()[at]));
    Ok(Fingerprint { key: format!("file:{}", hash.to_hex()), epoch, is_repeatable })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_name_follows_content_and_not_place() {
        let dir = tempfile::tempdir().expect("writable");
        let file = |folder: &str, name: &str, text: &str| {
            let folder = dir.path().join(folder);
            fs::create_dir_all(&folder).expect("writable");
            fs::write(folder.join(name), text).expect("writable");
            folder.join(name)
        };
        let of = |paths: &[PathBuf]| fingerprint(paths).expect("readable");
        let (a, b) = (file("x", "a.csv", "one"), file("x", "b.csv", "two"));
        assert_eq!(of(std::slice::from_ref(&a)), of(&[file("y", "a.csv", "one")]));
        assert_ne!(of(std::slice::from_ref(&a)), of(&[file("z", "a.csv", "ono")]));
        assert_ne!(of(&[a.clone(), b.clone()]), of(&[b.clone(), a.clone()]));
        assert!(of(std::slice::from_ref(&a)).is_repeatable);
        assert!(!of(&[a, PathBuf::from("-")]).is_repeatable);
        assert!(matches!(fingerprint(&[dir.path().join("none")]), Err(FileError::Open { .. })));
    }
}
