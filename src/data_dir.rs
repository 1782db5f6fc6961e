//! Exclusive use of a data directory, and a watch over its files.
//!
//! Promises: while a [`DataDir`] lives, no other process gets one for the same directory, even if the file `lock` is
//! deleted: the directory itself is locked as well, and cannot be replaced under the process. The system releases both
//! locks when the process ends, however it ends. On failure: the watch only reports; a file that is gone must be
//! restored by a person.

use anyhow::Context;
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const LOCK_NAME: &str = "lock";

/// Files that must not be replaced while the process runs.
const WATCHED: [&str; 4] = [LOCK_NAME, "log.db", crate::stores::log::high_water::FILE_NAME, "history.db"];

/// Files that must exist, but may be replaced.
const NEEDED: [&str; 2] = ["log.db-wal", "history.db-wal"];

/// Returns those of a list that are there; the last one is only where the history is in the directory.
fn present<'a>(names: &'a [&'static str], has_history: bool) -> &'a [&'static str] {
    &names[..names.len() - usize::from(!has_history)]
}

/// A directory that this process uses exclusively.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _locks: Vec<File>,
}

impl DataDir {
    /// Locks the directory, which is created if it is missing.
    ///
    /// # Errors
    /// When another process uses it, or the system refuses.
    pub fn take(path: &Path) -> anyhow::Result<DataDir> {
        std::fs::create_dir_all(path)
            .with_context(|| format!("failed to make the data directory `{}`", path.display()))?;
        let file = path.join(LOCK_NAME);
        let lock = File::options().create(true).truncate(false).write(true).open(&file);
        let lock = lock.with_context(|| format!("failed to open `{}`", file.display()))?;
        let directory = File::open(path).with_context(|| format!("failed to open `{}`", path.display()))?;
        for (lock, is_directory) in [(&lock, false), (&directory, true)] {
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => anyhow::bail!(
                    "another process uses the data directory `{}`: stop it, or name another with `--data-dir`",
                    path.display()
                ),
                Err(TryLockError::Error(error)) if is_directory => {
                    // Some network file systems cannot lock directories; then the lock of the file must suffice.
                    tracing::debug!(%error, "the data directory itself cannot be locked");
                }
                Err(TryLockError::Error(error)) => {
                    return Err(error).context("failed to lock the data directory");
                }
            }
        }
        Ok(DataDir { path: path.to_owned(), _locks: vec![lock, directory] })
    }

    /// Starts a watch over the files that exist now.
    ///
    /// # Errors
    /// What the system says.
    pub fn watch(&self, has_history: bool) -> io::Result<FileWatch> {
        let watched = present(&WATCHED, has_history);
        let known = watched.iter().map(|name| Ok((*name, identity(&self.path.join(name))?)));
        Ok(FileWatch {
            dir: self.path.clone(),
            known: known.collect::<io::Result<_>>()?,
            has_history,
            has_ended: Arc::default(),
        })
    }
}

/// Identifies the files that the process works with, to tell them from others of the same names.
#[derive(Clone, Debug)]
pub struct FileWatch {
    dir: PathBuf,
    known: Vec<(&'static str, (u64, u64))>,
    has_history: bool,
    has_ended: Arc<AtomicBool>,
}

impl FileWatch {
    /// Ends the watch, with all its clones: the stores are about to be closed, which deletes files.
    pub fn end(&self) {
        self.has_ended.store(true, Ordering::Release);
    }

    /// Checks that no file was deleted or replaced. May wait for the disk.
    ///
    /// # Errors
    /// One sentence per file, for people.
    pub fn look(&self) -> Result<(), String> {
        let mut faults = Vec::new();
        for (name, known) in &self.known {
            match identity(&self.dir.join(name)) {
                Ok(found) if found == *known => {}
                Ok(_) => {
                    faults.push(format!("`{name}` was replaced by another file under the running process"));
                }
                Err(error) => faults.push(gone(name, &error)),
            }
        }
        for name in present(&NEEDED, self.has_history) {
            if let Err(error) = identity(&self.dir.join(name)) {
                faults.push(gone(name, &error));
            }
        }
        // Checked last: files that were closed meanwhile are no fault.
        if faults.is_empty() || self.has_ended.load(Ordering::Acquire) {
            Ok(())
        } else {
            Err(faults.join("; "))
        }
    }
}

fn gone(name: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => format!("`{name}` was deleted under the running process"),
        _ => format!("`{name}` cannot be looked at: {error}"),
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::metadata(path).map(|file| (file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_taken_once_even_without_its_lock_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let taken = DataDir::take(dir.path()).expect("free");
        DataDir::take(dir.path()).expect_err("taken");
        std::fs::remove_file(dir.path().join(LOCK_NAME)).expect("deletes");
        let refused = DataDir::take(dir.path()).expect_err("still taken");
        assert!(refused.to_string().contains("another process"), "{refused}");
        drop(taken);
        DataDir::take(dir.path()).expect("free again");
    }

    #[test]
    fn files_that_go_or_change_are_seen() {
        let dir = tempfile::tempdir().expect("a directory");
        let taken = DataDir::take(dir.path()).expect("free");
        taken.watch(true).expect_err("nothing to watch yet");
        let path = |name: &str| dir.path().join(name);
        for name in WATCHED.iter().chain(&NEEDED) {
            std::fs::write(path(name), "x").expect("writes");
        }
        let watch = taken.watch(true).expect("watches");
        assert_eq!(watch.look(), Ok(()));
        std::fs::write(path("log.db"), "more").expect("writes");
        assert_eq!(watch.look(), Ok(()), "the same file, other content");
        for name in WATCHED {
            std::fs::rename(path(name), path("away")).expect("moves");
            assert!(watch.look().expect_err("gone").contains(&format!("`{name}` was deleted")));
            std::fs::write(path(name), "another").expect("writes");
            assert!(watch.look().expect_err("another").contains(&format!("`{name}` was replaced")));
            std::fs::rename(path("away"), path(name)).expect("moves back");
            assert_eq!(watch.look(), Ok(()));
        }
        let without = taken.watch(false).expect("watches");
        std::fs::remove_file(path("history.db-wal")).expect("deletes");
        std::fs::rename(path("history.db"), path("away")).expect("moves");
        assert_eq!(without.look(), Ok(()), "it is elsewhere");
        std::fs::rename(path("away"), path("history.db")).expect("moves back");
        std::fs::remove_file(path("log.db-wal")).expect("deletes");
        assert!(watch.look().expect_err("gone").contains("`log.db-wal` was deleted"));
        watch.end();
        assert_eq!(watch.look(), Ok(()));
    }
}
