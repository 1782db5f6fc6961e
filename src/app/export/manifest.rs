//! How far an export is: a small file beside the data, one for each range, by which it goes on after an interruption.
//!
//! Promises: what the manifest calls done is in files that are whole. It is written after them, so what is done twice gives
//! the same files once more. Ranges and symbols of the exports in one place do not overlap, since a reader would have rows
//! twice. On failure: a manifest that cannot be read is named.

use super::destination::{Destination, OWN_FOLDER, own_files};
use super::partition::Date;
use super::{ExportSettings, Source};
use crate::app::instruments::WrongUse;
use crate::models::entry::Position;
use crate::models::symbol::PriceSource;
use crate::models::time::Nanos;
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

const EXTENSION: &str = "json";
const VERSION: u32 = 1;

/// How far an export is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    version: u32,
    /// Names the log.
    log: u64,
    /// First event time; `None` for the beginning.
    pub from: Option<Nanos>,
    /// End of the event times, exclusive; `None` for the end.
    pub to: Option<Nanos>,
    /// Names of the symbols asked for; `None` for all.
    symbols: Option<Vec<String>>,
    /// The last position of the log that belongs to the export.
    pub through: Position,
    /// How far the ticks are.
    pub ticks: TicksDone,
    /// The last symbol, by name, all of whose bars are done.
    pub bars_done: Option<String>,
    /// Symbols whose bars are made of quotes, as the log said.
    pub prices: BTreeMap<String, PriceSource>,
    /// What stands in the files that are done.
    pub written: Written,
    /// True when all of it is done.
    pub is_complete: bool,
}

/// How far the ticks of an export are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TicksDone {
    /// Everything up to this position is done ...
    pub through: Position,
    /// ... and of the days up to this one ...
    pub date: Option<Date>,
    /// ... everything up to this one.
    pub date_through: Position,
    /// The newest clock mark up to there.
    pub clock: Option<Nanos>,
}

impl TicksDone {
    /// True for an entry that is in a file already.
    pub(super) fn covers(&self, date: Date, pos: Position) -> bool {
        pos <= self.through || pos <= self.date_through && self.date.is_some_and(|done| date <= done)
    }
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Written {
    pub ticks: u64,
    pub control: u64,
    pub bars: u64,
    pub files: u64,
    pub bytes: u64,
}

impl Manifest {
    /// Reads the manifest of this very export, or makes one.
    pub(super) async fn begin(
        settings: &ExportSettings,
        source: &Source,
        destination: &Destination,
    ) -> anyhow::Result<Manifest> {
        let symbols = source.wanted.as_ref().map(|wanted| wanted.keys().cloned().collect());
        let wanted = Manifest {
            version: VERSION,
            log: source.tail.epoch,
            from: settings.from,
            to: settings.to,
            symbols,
            through: source.tail.last,
            ticks: TicksDone::default(),
            bars_done: None,
            prices: BTreeMap::new(),
            written: Written::default(),
            is_complete: false,
        };
        for (name, bytes) in destination.own_files(EXTENSION).await? {
            let found = Manifest::read(&name, &bytes)?;
            if found.log != wanted.log {
                return Err(WrongUse(format!(
                    "`{}` holds an export of another data directory: name another place with `--out`",
                    settings.out
                ))
                .into());
            }
            if found.is_same_export(&wanted) {
                if !found.is_complete {
                    tracing::info!("going on where the export was interrupted");
                }
                return Ok(found);
            }
            if found.overlaps(&wanted) {
                return Err(WrongUse(format!(
                    "`{}` holds an export {} already, so rows would be there twice: name another place with `--out`, or \
                     another range",
                    settings.out,
                    found.what()
                ))
                .into());
            }
        }
        wanted.save(destination).await?;
        Ok(wanted)
    }

    fn read(name: &str, bytes: &[u8]) -> anyhow::Result<Manifest> {
        let read = serde_json::from_slice(bytes);
        let manifest: Manifest = read.with_context(|| format!("cannot read `{OWN_FOLDER}/{name}`"))?;
        anyhow::ensure!(
            manifest.version == VERSION,
            "`{OWN_FOLDER}/{name}` belongs to another version of the program"
        );
        Ok(manifest)
    }

    /// Writes it.
    pub(super) async fn save(&self, destination: &Destination) -> anyhow::Result<()> {
        let bytes = serde_json::to_vec_pretty(self).expect("plain data");
        destination.put(&self.name(), bytes).await
    }

    /// Returns the name of its file, which follows from what is exported.
    fn name(&self) -> String {
        let end =
            |end: Option<Nanos>, open: &str| end.map_or_else(|| open.to_owned(), |end| end.0.to_string());
        let symbols = self.symbols.as_ref().map(|symbols| {
            let hash = blake3::hash(symbols.join(",").as_bytes()).to_hex();
            format!("-{}", &hash[..12])
        });
        format!(
            "{}-{}{}.{EXTENSION}",
            end(self.from, "begin"),
            end(self.to, "end"),
            symbols.unwrap_or_default()
        )
    }

    fn is_same_export(&self, other: &Manifest) -> bool {
        (self.from, self.to, &self.symbols) == (other.from, other.to, &other.symbols)
    }

    fn overlaps(&self, other: &Manifest) -> bool {
        let begins_before = |one: &Manifest, end: Option<Nanos>| match (one.from, end) {
            (Some(from), Some(end)) => from < end,
            _ => true,
        };
        let shares_symbols = match (&self.symbols, &other.symbols) {
            (Some(ours), Some(theirs)) => ours.iter().any(|symbol| theirs.contains(symbol)),
            _ => true,
        };
        begins_before(self, other.to) && begins_before(other, self.to) && shares_symbols
    }

    /// Says what is exported, for people.
    fn what(&self) -> String {
        let end = |end: Option<Nanos>, open: &str| end.map_or_else(|| open.to_owned(), Nanos::to_rfc3339);
        let symbols = self.symbols.as_ref().map(|symbols| format!(" of {}", symbols.join(",")));
        format!(
            "from {} to {}{}",
            end(self.from, "the beginning"),
            end(self.to, "the end"),
            symbols.unwrap_or_default()
        )
    }

    /// True for a time in the range.
    pub(super) fn includes(&self, time: Nanos) -> bool {
        self.from.is_none_or(|from| from <= time) && self.is_before_end(time)
    }

    /// True for a time before the end of the range.
    pub(super) fn is_before_end(&self, time: Nanos) -> bool {
        self.to.is_none_or(|to| time < to)
    }
}

/// Refuses a folder whose export was not finished: it would be taken for whole.
///
/// # Errors
/// When there is such an export, or its manifest cannot be read.
pub fn refuse_unfinished(folder: &Path) -> anyhow::Result<()> {
    for (name, bytes) in own_files(folder, EXTENSION)? {
        let manifest = Manifest::read(&name, &bytes)?;
        anyhow::ensure!(
            manifest.is_complete,
            "the export in `{}` {} was interrupted: run the same `tickwire export` again to finish it, or name the \
             folders or files that are to be replayed",
            folder.display(),
            manifest.what()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(range: (Option<i64>, Option<i64>), symbols: Option<&[&str]>) -> Manifest {
        Manifest {
            version: VERSION,
            log: 1,
            from: range.0.map(Nanos),
            to: range.1.map(Nanos),
            symbols: symbols.map(|names| names.iter().map(|&name| name.to_owned()).collect()),
            through: 9,
            ticks: TicksDone::default(),
            bars_done: None,
            prices: BTreeMap::new(),
            written: Written::default(),
            is_complete: false,
        }
    }

    #[test]
    fn ranges_that_share_rows_are_found_and_neighbours_are_not() {
        let table = [
            ((Some(0), Some(10)), None, (Some(10), None), None, false),
            ((Some(0), Some(10)), None, (Some(9), None), None, true),
            ((None, None), None, (Some(5), Some(6)), None, true),
            ((None, Some(5)), None, (Some(5), Some(6)), None, false),
            ((None, None), Some(&["A", "B"][..]), (None, None), Some(&["C"][..]), false),
            ((None, None), Some(&["A", "B"][..]), (Some(1), None), Some(&["B"][..]), true),
            ((None, None), Some(&["A"][..]), (None, None), None, true),
        ];
        for (range, symbols, other_range, other_symbols, expected) in table {
            let (one, other) = (manifest(range, symbols), manifest(other_range, other_symbols));
            assert_eq!(one.overlaps(&other), expected, "{} and {}", one.what(), other.what());
            assert_eq!(other.overlaps(&one), expected, "{} and {}", other.what(), one.what());
            assert_ne!(one.name(), other.name());
        }
    }

    #[test]
    fn what_is_done_is_told_from_what_is_not() {
        let (today, yesterday) = (Date::of(Nanos(10 * crate::models::time::DAY)), Date::of(Nanos(0)));
        let done = TicksDone { through: 100, date: Some(yesterday), date_through: 200, clock: None };
        for (date, pos, expected) in [
            (today, 100, true),
            (today, 101, false),
            (yesterday, 150, true),
            (yesterday, 200, true),
            (yesterday, 201, false),
        ] {
            assert_eq!(done.covers(date, pos), expected, "{date:?} {pos}");
        }
    }
}
