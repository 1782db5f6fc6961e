//! A data directory that is this process' alone, and a watch over the files in it.
//!
//! Promises: while a [`DataDir`] lives no other process gets one for the same directory, not even when somebody deletes
//! the file `lock`: the directory itself is locked too, and that cannot be made anew under the process. The system lets
//! go of both when the process ends, however it does.
//! On failure: the watch only says what it sees; what to do about a file that is gone is for people.

use anyhow::Context;
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const LOCK_NAME: &str = "lock";

/// Files that are the same ones as long as the process runs.
const WATCHED: [&str; 4] = [LOCK_NAME, "log.db", "history.db", crate::stores::high_water::FILE_NAME];

/// Files that must be there, though they may be made anew.
const NEEDED: [&str; 2] = ["log.db-wal", "history.db-wal"];

/// A directory that this process has for itself.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    _locks: Vec<File>,
}

impl DataDir {
    /// Takes the directory, making it where it is missing.
    ///
    /// # Errors
    /// When another process has it, or the system refuses.
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
                    // Some network file systems lock files only; then the file has to do.
                    tracing::debug!(%error, "the data directory itself cannot be locked");
                }
                Err(TryLockError::Error(error)) => {
                    return Err(error).context("failed to lock the data directory");
                }
            }
        }
        Ok(DataDir { path: path.to_owned(), _locks: vec![lock, directory] })
    }

    /// Begins to watch the files that are there now.
    ///
    /// # Errors
    /// What the system says.
    pub fn watch(&self) -> io::Result<FileWatch> {
        let known = WATCHED.iter().map(|name| Ok((*name, identity(&self.path.join(name))?)));
        Ok(FileWatch {
            dir: self.path.clone(),
            known: known.collect::<io::Result<_>>()?,
            has_ended: Arc::default(),
        })
    }
}

/// Which files a process works with, to be told from others of the same names.
#[derive(Clone, Debug)]
pub struct FileWatch {
    dir: PathBuf,
    known: Vec<(&'static str, (u64, u64))>,
    has_ended: Arc<AtomicBool>,
}

impl FileWatch {
    /// Ends the watch, for this one and its clones: the stores are about to be closed, which deletes files.
    pub fn end(&self) {
        self.has_ended.store(true, Ordering::Release);
    }

    /// Returns what is wrong: a file that was deleted, or another one in its place. May wait for the disk.
    ///
    /// # Errors
    /// For people, one sentence a file.
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
        for name in NEEDED {
            if let Err(error) = identity(&self.dir.join(name)) {
                faults.push(gone(name, &error));
            }
        }
        // Asked last: what was closed meanwhile is no fault.
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
        taken.watch().expect_err("nothing to watch yet");
        let path = |name: &str| dir.path().join(name);
        for name in WATCHED.iter().chain(&NEEDED) {
            std::fs::write(path(name), "x").expect("writes");
        }
        let watch = taken.watch().expect("watches");
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
        std::fs::remove_file(path("log.db-wal")).expect("deletes");
        assert!(watch.look().expect_err("gone").contains("`log.db-wal` was deleted"));
        watch.end();
        assert_eq!(watch.look(), Ok(()));
    }
}
