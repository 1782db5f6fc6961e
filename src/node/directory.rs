//! What a data directory was begun with, noted in its log: kind of data, settings, and the inputs that were replayed.
//!
//! Promises: a directory belongs to what it was begun with, so that nothing made up ever stands among what was recorded,
//! and the wall clock never judges the age of what was replayed; whatever does not belong is refused before anything is
//! written, with the way out. On failure: a note that cannot be read is an error that names the directory.
//!
//! Directories of before there were notes are told apart by their first source: files have one of their own.

use crate::config::Core;
use crate::models::provenance::{DataKind, Provenance};
use crate::models::time::{MINUTE, Width};
use crate::names::SourceTable;
use crate::stores::log::{LogGroup, LogReader, Progress, TickLog};
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Under what the note is kept, beside the progress of replays.
const KEY: &str = "directory";

/// The source of rows that name no provider: the first one that any replay of files has.
const FILE_SOURCE: &str = "file";

/// The windows of directories of before there were notes, where nobody had set others.
const WINDOWS_BEFORE_NOTES: [i64; 3] = [MINUTE, 5 * MINUTE, 15 * MINUTE];

/// Providers that are named in full; of more only their number is.
const PROVIDERS_NAMED_MAX: usize = 5;

/// What a directory holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What kind of data.
    pub data: DataKind,
    /// The settings that made its results; unknown of a directory of before there were notes.
    pub core: Option<Core>,
    /// The replays into it, in the order in which they were begun.
    #[serde(default)]
    pub runs: Vec<Run>,
}

/// One replay: files that were merged, and how far it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Under what its progress is kept.
    pub key: String,
    /// What was read.
    pub files: Vec<RunFile>,
    /// The symbols that it was limited to; none is all.
    #[serde(default)]
    pub symbols: Vec<String>,
    /// Whether it ended.
    pub state: RunState,
}

/// A file by its content, and what it was called then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunFile {
    /// Hash of all its bytes; none of what can be read only once.
    pub hash: Option<String>,
    /// As it was named, for people.
    pub name: String,
}

/// Whether a replay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It is under way, or was interrupted.
    Begun,
    /// The input could not be read to its end.
    Failed,
    /// It has nothing of the symbols that it was limited to.
    Missed,
    /// All of it is in.
    Done,
}

impl Run {
    /// True for an interrupted one that can go on.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.state == RunState::Begun && self.files.iter().all(|file| file.hash.is_some())
    }

    /// Returns the names of its files, for people and shells.
    #[must_use]
    pub fn names(&self) -> String {
        self.files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>().join(" ")
    }
}

impl Record {
    /// Makes the note of a directory that is begun now.
    #[must_use]
    pub fn new(data: DataKind, core: &Core) -> Record {
        Record { data, core: Some(core.clone()), runs: Vec::new() }
    }

    /// Reads the note of a directory; `None` where nothing was begun yet.
    ///
    /// # Errors
    /// When the log cannot be read, or the note is damaged.
    pub async fn load(log: &dyn LogReader, sources: &SourceTable) -> anyhow::Result<Option<Record>> {
        if let Some(bytes) = log.progress(KEY).await? {
            let record = serde_json::from_slice(&bytes);
            return record.map(Some).context("the note of what the data directory holds is damaged");
        }
        if log.tail().await?.last == 0 {
            return Ok(None);
        }
        let is_replay = sources.all().first().is_some_and(|first| first == FILE_SOURCE);
        let data = if is_replay { DataKind::Replay } else { DataKind::Simulated };
        Ok(Some(Record { data, core: None, runs: Vec::new() }))
    }

    /// Writes the note. Nobody else may append to the log meanwhile.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub async fn save(&self, log: &dyn TickLog) -> anyhow::Result<()> {
        let value = serde_json::to_vec(self).expect("a note is plain data");
        let progress = Some(Progress { key: KEY.to_owned(), value });
        log.append(&LogGroup { entries: Vec::new(), progress }).await?;
        Ok(())
    }

    /// Says what the directory holds.
    #[must_use]
    pub fn what(&self) -> String {
        match (self.data, self.runs.first()) {
            (DataKind::Simulated, _) => "what the provider `simulated` made up".to_owned(),
            (DataKind::Live, _) => "what a venue said".to_owned(),
            (DataKind::Replay, None) => "a replay".to_owned(),
            (DataKind::Replay, Some(run)) => format!("a replay of `{}`", run.names()),
        }
    }

    /// Returns where the data comes from.
    #[must_use]
    pub fn provenance(&self, sources: &SourceTable) -> Provenance {
        let names = sources.all();
        let provider = match names.len() {
            0 => FILE_SOURCE.to_owned(),
            1..=PROVIDERS_NAMED_MAX => names.join(","),
            many => format!("{many} providers"),
        };
        Provenance { data: self.data, provider }
    }

    /// Returns the settings that hold in a directory: those configured, with the windows that it has where none are configured.
    /// Other defaults of a later version must not take windows away from it, nor have it worked out anew.
    #[must_use]
    pub fn settings_in(record: Option<&Record>, configured: &Core) -> Core {
        let own = || match &record?.core {
            Some(noted) => noted.windows.clone(),
            None => WINDOWS_BEFORE_NOTES.into_iter().map(Width::new).collect(),
        };
        let windows = configured.windows.clone().or_else(own).unwrap_or_else(|| configured.settings().widths);
        Core { windows: Some(windows), ..configured.clone() }
    }

    /// Refuses to add another kind of data.
    ///
    /// # Errors
    /// When the directory was begun with another one; the error tells the way out.
    pub fn admit(&self, data: DataKind, dir: &Path) -> anyhow::Result<()> {
        if self.data == data {
            return Ok(());
        }
        let (dir, what) = (dir.display(), self.what());
        anyhow::bail!(
            "the data directory `{dir}` holds {what}, and {} does not belong there: name another with `--data-dir`, \
             or show this one with `tickwire serve --data-dir {dir}`",
            match data {
                DataKind::Simulated => "what the provider `simulated` makes up",
                DataKind::Replay => "a replay",
                DataKind::Live => "what a venue says",
            }
        );
    }

    /// Refuses settings that would give other results than those that are there.
    ///
    /// # Errors
    /// When one differs; the error names each, and the way out.
    pub fn admit_settings(&self, core: &Core, dir: &Path) -> anyhow::Result<()> {
        let dir = dir.display();
        let Some(noted) = &self.core else {
            anyhow::bail!(
                "the data directory `{dir}` holds a replay of an earlier version, which did not note what it had read: \
                 name another with `--data-dir`, or show this one with `tickwire serve --data-dir {dir}`"
            );
        };
        let differing = differences(noted, core);
        anyhow::ensure!(
            differing.is_empty(),
            "the data directory `{dir}` was begun with {}: set that again, or name another directory with `--data-dir`",
            differing.join(" and ")
        );
        Ok(())
    }
}

/// Names the settings that differ, with the value noted and the one given.
fn differences(noted: &Core, given: &Core) -> Vec<String> {
    let table = |core: &Core| {
        let core = Core { shards: 0, max_symbols: Core::default().max_symbols, ..core.clone() };
        toml::Table::try_from(core).expect("settings are plain data")
    };
    let (noted, given) = (table(noted), table(given));
    let differs = |(key, value): &(&String, &toml::Value)| given.get(*key) != Some(*value);
    let show = |(key, value): (&String, &toml::Value)| {
        let now = given.get(key).map(ToString::to_string).unwrap_or_default();
        format!("`core.{key}` = {value}, not {now}")
    };
    noted.iter().filter(differs).map(show).collect()
}

/// Takes a directory for a live run, under the settings that hold in it: notes what it is begun with where it is new.
///
/// # Errors
/// When it was begun with something else, or the note cannot be read or written.
pub async fn claim(
    log: &dyn TickLog,
    record: Option<&Record>,
    data: DataKind,
    core: &Core,
    dir: &Path,
) -> anyhow::Result<()> {
    let wanted = Record::new(data, core);
    if let Some(record) = record {
        record.admit(data, dir)?;
        if *record == wanted {
            return Ok(());
        }
    }
    // The settings of a live run may change; whoever shows the directory takes the last ones.
    wanted.save(log).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::log::memory::MemoryLog;

    #[tokio::test]
    async fn a_directory_belongs_to_what_it_was_begun_with() {
        let (log, sources) = (MemoryLog::new(), SourceTable::default());
        assert_eq!(Record::load(&log, &sources).await.expect("reads"), None);
        let (core, dir) = (Core::default(), Path::new("d"));
        claim(&log, None, DataKind::Simulated, &core, dir).await.expect("new");
        let record = Record::load(&log, &sources).await.expect("reads").expect("noted");
        claim(&log, Some(&record), DataKind::Simulated, &core, dir).await.expect("the same");
        let refused = record.admit(DataKind::Replay, Path::new("d")).expect_err("another kind").to_string();
        assert!(refused.contains("`d`") && refused.contains("`simulated` made up"), "{refused}");
        assert!(refused.contains("tickwire serve --data-dir d"), "{refused}");
    }

    #[test]
    fn a_directory_keeps_its_windows_until_others_are_set() {
        let windows =
            |core: &Core| core.settings().widths.iter().map(ToString::to_string).collect::<Vec<_>>();
        let of = |text: &str| toml::from_str::<Core>(text).expect("a section");
        let (unset, set) = (Core::default(), of("windows = ['1min', '4h']"));
        let unnoted = Record { data: DataKind::Live, core: None, runs: Vec::new() };
        let begun = Record::new(DataKind::Live, &of("windows = ['30s']"));
        let table: [(Option<&Record>, &Core, &[&str]); 5] = [
            (None, &unset, &["1min", "5min", "15min", "1h", "1d"]),
            (None, &set, &["1min", "4h"]),
            (Some(&begun), &unset, &["30s"]),
            (Some(&begun), &set, &["1min", "4h"]),
            (Some(&unnoted), &unset, &["1min", "5min", "15min"]),
        ];
        for (record, configured, expected) in table {
            let core = Record::settings_in(record, configured);
            assert_eq!(windows(&core), expected);
            assert!(core.windows.is_some(), "what is noted says it");
        }
    }

    #[test]
    fn settings_that_change_results_are_named_and_shards_are_not() {
        let record = Record::new(DataKind::Replay, &Core::default());
        let shards = Core { shards: 7, ..Core::default() };
        record.admit_settings(&shards, Path::new("d")).expect("shards change nothing");
        let other = Core { horizon: 2_000_000_000, ..Core::default() };
        let refused = record.admit_settings(&other, Path::new("d")).expect_err("another horizon").to_string();
        assert!(refused.contains("`core.horizon` = \"5min\", not \"2s\""), "{refused}");
    }
}
