//! Up to where the topics hold everything, in a file of the data directory.
//!
//! It stands beside the log and not in Kafka: a start needs it also while no broker answers, and it belongs to one log,
//! whereas topics may be read and written by others. It names that log and the topics, so that where either is another one
//! everything is brought again.
//!
//! Promises: what was saved is there after the process was killed. After a loss of power it may be an older state, or
//! nothing; then messages are written again, with the same `log_pos`. On failure: a file that makes no sense counts as
//! none, which is said; an error of the disk comes back.

use crate::models::entry::Position;
use crate::stores::log::Partition;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// The file's name in the data directory.
const FILE_NAME: &str = "topics.json";

/// What the file says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Saved {
    /// The log's name.
    epoch: String,
    topics: BTreeSet<String>,
    /// By partition of the log.
    positions: BTreeMap<u32, Position>,
    /// The generation of the log in the topics; `None` before it is known. Files of earlier versions lack it: it was 0.
    #[serde(default)]
    generation: Option<u16>,
}

/// How far the topics are.
#[derive(Debug)]
pub struct TopicPosition {
    /// `None` where nothing outlives the process.
    path: Option<PathBuf>,
    saved: Saved,
}

impl TopicPosition {
    /// Reads how far these topics are with the log of this name, in the data directory where there is one.
    ///
    /// # Errors
    /// What the system says; a file that is not there is none.
    pub fn open(dir: Option<&Path>, epoch: u64, topics: BTreeSet<String>) -> io::Result<TopicPosition> {
        let path = dir.map(|dir| dir.join(FILE_NAME));
        let positions = BTreeMap::new();
        let mut saved = Saved { epoch: format!("{epoch:016x}"), topics, positions, generation: None };
        let text = match path.as_deref().map(std::fs::read) {
            None => None,
            Some(Ok(text)) => Some(text),
            Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => None,
            Some(Err(error)) => return Err(error),
        };
        let found = text.and_then(|text| match serde_json::from_slice::<Saved>(&text) {
            Ok(found) => Some(found),
            Err(error) => {
                tracing::warn!(%error, "`{FILE_NAME}` makes no sense: the topics get what the log holds once more");
                None
            }
        });
        if let Some(found) = found {
            if found.epoch == saved.epoch && found.topics.is_superset(&saved.topics) {
                saved.positions = found.positions;
                saved.generation = Some(found.generation.unwrap_or(0));
            } else {
                tracing::warn!("log or topics are others than before: the topics get what the log holds");
            }
        }
        Ok(TopicPosition { path, saved })
    }

    /// Returns the generation of the log in the topics: the higher part of each `log_pos` there. `None` before it is known.
    #[must_use]
    pub const fn generation(&self) -> Option<u16> {
        self.saved.generation
    }

    /// Notes the generation of the log in the topics, before anything is written in it.
    ///
    /// # Errors
    /// What the system says. The file stays as it was.
    pub fn begin(&mut self, generation: u16) -> io::Result<()> {
        self.saved.generation = Some(generation);
        self.store()
    }

    /// Returns up to where they hold everything of a partition.
    #[must_use]
    pub fn of(&self, partition: Partition) -> Position {
        self.saved.positions.get(&partition.0).copied().unwrap_or(0)
    }

    /// Notes that they hold everything up to there.
    ///
    /// # Errors
    /// What the system says. The file stays as it was.
    pub fn save(&mut self, acknowledged: &BTreeMap<Partition, Position>) -> io::Result<()> {
        let mut is_news = false;
        for (partition, reached) in acknowledged {
            let known = self.saved.positions.entry(partition.0).or_default();
            is_news |= *reached > *known;
            *known = (*known).max(*reached);
        }
        if is_news { self.store() } else { Ok(()) }
    }

    fn store(&self) -> io::Result<()> {
        let Some(path) = self.path.as_deref() else { return Ok(()) };
        let text = serde_json::to_vec(&self.saved).expect("plain data");
        let aside = path.with_extension("json.new");
        std::fs::write(&aside, text)?;
        std::fs::rename(&aside, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn open(dir: &Path, epoch: u64, names: &[&str]) -> TopicPosition {
        TopicPosition::open(Some(dir), epoch, topics(names)).unwrap()
    }

    #[test]
    fn it_is_found_again_for_the_same_log_and_topics_alone() {
        let dir = tempfile::tempdir().unwrap();
        let zero = Partition(0);
        let mut position = open(dir.path(), 7, &["a", "b"]);
        assert_eq!((position.of(zero), position.generation()), (0, None));
        position.begin(3).unwrap();
        assert_eq!(open(dir.path(), 7, &["a", "b"]).generation(), Some(3), "before anything is written");
        position.save(&BTreeMap::from([(zero, 100)])).unwrap();
        position.save(&BTreeMap::from([(zero, 90)])).unwrap();
        for (epoch, names, expected) in [
            (7, &["a", "b"][..], 100),
            (7, &["a"][..], 100),
            (8, &["a", "b"][..], 0),
            (7, &["a", "c"][..], 0),
        ] {
            let found = open(dir.path(), epoch, names);
            let generation = (expected > 0).then_some(3);
            assert_eq!((found.of(zero), found.generation()), (expected, generation), "{epoch} {names:?}");
        }
        let before = r#"{"epoch":"0000000000000007","topics":["a"],"positions":{"0":9}}"#;
        std::fs::write(dir.path().join(FILE_NAME), before).unwrap();
        let found = open(dir.path(), 7, &["a"]);
        assert_eq!((found.of(zero), found.generation()), (9, Some(0)), "of an earlier version");
        std::fs::write(dir.path().join(FILE_NAME), "{").unwrap();
        assert_eq!(open(dir.path(), 7, &["a", "b"]).of(zero), 0);
    }
}
