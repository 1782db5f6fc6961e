//! `symbols.json` in the data directory: which symbols were added and removed while a run went on.
//!
//! Promises: the file is replaced as a whole, and what it says is on the disk before a change is answered. It wins over the
//! configuration, and a start says so. On failure: a file that cannot be read ends the start with an error that names it and
//! the way out; one that cannot be written refuses the change. A run that keeps nothing has no such file.

use crate::config::{Config, LogKind};
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Name of the file.
pub const FILE_NAME: &str = "symbols.json";

/// The form of the file that this version writes, and the newest that it reads.
const VERSION: u32 = 1;

/// What was changed about the symbols of one feed, in our spelling.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FeedChanges {
    /// Followed beside those that the configuration names.
    pub added: BTreeSet<String>,
    /// Not followed although the configuration names them.
    pub removed: BTreeSet<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Document {
    version: u32,
    feeds: BTreeMap<String, FeedChanges>,
}

/// What was changed about the symbols of all feeds.
#[derive(Clone, Debug, Default)]
pub struct KeptSymbols {
    /// Where it is kept; `None` where nothing is.
    path: Option<PathBuf>,
    feeds: BTreeMap<String, FeedChanges>,
}

impl KeptSymbols {
    /// Reads what the data directory keeps.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn open(config: &Config) -> anyhow::Result<KeptSymbols> {
        match config.log.kind {
            LogKind::Memory => Ok(KeptSymbols::default()),
            LogKind::Sqlite => KeptSymbols::read(config.data_dir.join(FILE_NAME)),
        }
    }

    fn read(path: PathBuf) -> anyhow::Result<KeptSymbols> {
        let shown = path.display();
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(KeptSymbols { path: Some(path), feeds: BTreeMap::new() });
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read `{shown}`")),
        };
        let read: Result<Document, _> = serde_json::from_slice(&text);
        let document = read.with_context(|| {
            format!(
                "`{shown}` does not say which symbols were added and removed: mend it, or move it away to follow what the \
                 configuration names"
            )
        })?;
        anyhow::ensure!(
            document.version <= VERSION,
            "`{shown}` is of a newer version: start that version, or move the file away to follow what the configuration names"
        );
        Ok(KeptSymbols { path: Some(path), feeds: document.feeds })
    }

    /// Returns what was changed about a feed.
    #[must_use]
    pub fn of(&self, feed: &str) -> FeedChanges {
        self.feeds.get(feed).cloned().unwrap_or_default()
    }

    /// Returns what the file changes, a line a feed, for whoever reads the configuration.
    #[must_use]
    pub fn in_words(&self) -> String {
        let line = |(feed, FeedChanges { added, removed }): (&String, &FeedChanges)| {
            let list = |what: &str, names: &BTreeSet<String>| {
                let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                (!names.is_empty()).then(|| format!("{what} {}", names.join(", ")))
            };
            let said: Vec<String> =
                [list("adds", added), list("removes", removed)].into_iter().flatten().collect();
            format!(
                "`{FILE_NAME}` in the data directory wins: in the feed `{feed}` it {}\n",
                said.join(" and ")
            )
        };
        self.feeds.iter().map(line).collect()
    }

    /// Says what the file changes, and what in it is of no feed there is.
    pub fn announce(&self, feeds: &[&str]) {
        for (feed, FeedChanges { added, removed }) in &self.feeds {
            let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(",");
            let (added, removed) = (list(added), list(removed));
            if feeds.contains(&feed.as_str()) {
                tracing::info!(
                    feed,
                    added,
                    removed,
                    "`{FILE_NAME}` of the data directory changes the symbols of the configuration"
                );
            } else {
                tracing::warn!(
                    feed,
                    added,
                    removed,
                    "`{FILE_NAME}` of the data directory has symbols of a feed that there is not; they wait for it"
                );
            }
        }
    }

    /// Notes that a symbol is followed from now on.
    pub fn follow(&mut self, feed: &str, symbol: &str, is_configured: bool) {
        let changes = self.feeds.entry(feed.to_owned()).or_default();
        changes.removed.remove(symbol);
        if !is_configured {
            changes.added.insert(symbol.to_owned());
        }
        self.tidy();
    }

    /// Notes that a symbol is followed no more.
    pub fn leave(&mut self, feed: &str, symbol: &str, is_configured: bool) {
        let changes = self.feeds.entry(feed.to_owned()).or_default();
        changes.added.remove(symbol);
        if is_configured {
            changes.removed.insert(symbol.to_owned());
        }
        self.tidy();
    }

    fn tidy(&mut self) {
        self.feeds.retain(|_, changes| *changes != FeedChanges::default());
    }

    /// Puts it on the disk.
    ///
    /// # Errors
    /// What the system says; then the file is as it was.
    pub async fn save(&self) -> io::Result<()> {
        let Some(path) = self.path.clone() else { return Ok(()) };
        let document = Document { version: VERSION, feeds: self.feeds.clone() };
        let text = serde_json::to_vec_pretty(&document).expect("the document is plain data");
        let written = tokio::task::spawn_blocking(move || replace(&path, &text)).await;
        written.unwrap_or_else(|_| Err(io::Error::other("writing panicked")))
    }
}

/// Replaces a file as a whole.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("json.new");
    let mut file = File::create(&temporary)?;
    file.write_all(text)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    match path.parent() {
        // A name is on the disk when its directory is.
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[tokio::test]
    async fn changes_are_kept_and_take_each_other_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(FILE_NAME);
        let mut kept = KeptSymbols::read(path.clone()).expect("there is none yet");
        kept.follow("coins", "SOL-USD", false);
        kept.follow("coins", "BTC-USD", true);
        kept.leave("coins", "ETH-USD", true);
        kept.leave("stocks", "AAPL", false);
        kept.save().await.expect("writes");
        let mut kept = KeptSymbols::read(path.clone()).expect("reads");
        let expected = FeedChanges { added: set(&["SOL-USD"]), removed: set(&["ETH-USD"]) };
        assert_eq!((kept.of("coins"), kept.of("stocks")), (expected, FeedChanges::default()));
        let said = "`symbols.json` in the data directory wins: in the feed `coins` it adds `SOL-USD` and removes `ETH-USD`\n";
        assert_eq!(kept.in_words(), said);
        kept.leave("coins", "SOL-USD", false);
        kept.follow("coins", "ETH-USD", true);
        kept.save().await.expect("writes");
        assert_eq!(KeptSymbols::read(path.clone()).expect("reads").feeds, BTreeMap::new());
        assert_eq!(fs::read_dir(dir.path()).expect("lists").count(), 1, "nothing else is left");
    }

    #[test]
    fn a_file_that_says_nothing_is_an_error_that_names_it_and_the_way_out() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(FILE_NAME);
        let newer = r#"{"version": 2, "feeds": {}}"#;
        for (text, said) in [
            ("", "mend it"),
            ("{\"version\": 1", "mend it"),
            (r#"{"version": 1, "feeds": {"a": {"more": []}}}"#, "mend it"),
            (newer, "newer version"),
        ] {
            fs::write(&path, text).expect("writes");
            let error = format!("{:#}", KeptSymbols::read(path.clone()).expect_err(text));
            assert!(error.contains(FILE_NAME) && error.contains(said) && error.contains("away"), "{error}");
        }
    }

    #[tokio::test]
    async fn where_it_cannot_be_written_it_stays_as_it_was() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(FILE_NAME);
        let mut kept = KeptSymbols::read(path.clone()).expect("there is none yet");
        kept.follow("coins", "SOL-USD", false);
        kept.save().await.expect("writes");
        // A directory in the way of the new file.
        fs::create_dir(dir.path().join("symbols.json.new")).expect("makes one");
        kept.follow("coins", "ADA-USD", false);
        kept.save().await.expect_err("it cannot");
        let kept = KeptSymbols::read(path).expect("reads");
        assert_eq!(kept.of("coins").added, set(&["SOL-USD"]));
    }
}
