//! Checks before a replay whether its files are too late for a data directory that has advanced further already.
//!
//! Promises: a refusal changes nothing; for a file that follows the directory's data only the first rows are read,
//! since rows after the directory's time cannot be late because of it. A few wrong times do not make a file late.

use crate::actors::ingest::file::{FileInput, FileOptions, InputBatch};
use crate::models::entry::{Body, Entry};
use crate::models::settings::CoreSettings;
use crate::models::time::Nanos;
use crate::names::SymbolTable;
use std::path::PathBuf;
use std::sync::Arc;

/// Late trades up to which a file is accepted; they are dead letters, counted as late.
const WRONG_TIMES_MAX: u64 = 10;

/// Symbols that are checked: more of them in one file are garbage, which is not worth the memory.
const SYMBOLS_MAX: usize = 100_000;

/// Rows read per step.
const ROWS: usize = 4_096;

/// The number of reports that would be late in a directory that has advanced to a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lateness {
    /// Reports that were checked.
    pub reports: u64,
    /// Reports whose window is sealed.
    pub late: u64,
    /// The earliest time of a late report.
    pub earliest: Option<Nanos>,
}

impl Lateness {
    /// True when the files cannot be meant to come now.
    pub(super) const fn is_too_much(self) -> bool {
        self.late > WRONG_TIMES_MAX || self.late > 0 && self.late == self.reports
    }

    /// Counts entries of symbols by what the core would say of them with the clock at `reached`. A symbol that the
    /// directory does not know begins when its first entry comes: nothing of it is late.
    fn look(
        &mut self,
        entries: &[Entry],
        symbols: &SymbolTable,
        known: &SymbolTable,
        core: &CoreSettings,
        reached: Nanos,
    ) {
        let watermark = reached.plus(-core.lateness);
        for entry in entries.iter().filter(|entry| entry.body.is_report()) {
            self.reports += 1;
            let time = entry.body.time();
            let end = core.base().start_of(time).plus(core.base().nanos());
            let is_sealed = end.plus(core.horizon) <= watermark;
            if is_sealed && known.get(&symbols.spec(entry.symbol).name).is_some() {
                self.late += 1;
                self.earliest = Some(self.earliest.map_or(time, |earliest| earliest.min(time)));
            }
        }
    }
}

/// Looks at files until they have come to the time that the directory has reached, or to their end.
pub(super) fn lateness(
    paths: &[PathBuf],
    wanted: Option<&[String]>,
    known: &SymbolTable,
    core: &CoreSettings,
    reached: Nanos,
) -> anyhow::Result<Lateness> {
    // Tables of its own: what is refused leaves no names behind.
    let symbols = Arc::<SymbolTable>::default();
    let options = FileOptions {
        symbols: wanted.map(<[String]>::to_vec),
        symbols_max: SYMBOLS_MAX,
        horizon: core.horizon,
        epoch: 0,
    };
    let mut input = FileInput::open(paths, options, Arc::clone(&symbols), Arc::default())?;
    let (mut found, mut batch) = (Lateness::default(), InputBatch::default());
    // A fault of the file is reported when it is replayed.
    while input.next_batch(ROWS, &mut batch).unwrap_or(false) {
        found.look(&batch.entries, &symbols, known, core, reached);
        let marks = batch.entries.iter().filter(|entry| matches!(entry.body, Body::ClockMark { .. }));
        if marks.map(|mark| mark.body.time()).max() >= Some(reached) {
            break;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::symbol::SymbolSpec;
    use crate::models::time::SECOND;
    use std::fmt::Write;

    #[test]
    fn an_earlier_file_is_late_as_a_whole_and_one_that_follows_is_not() {
        let dir = tempfile::tempdir().expect("writable");
        let core = CoreSettings::default();
        let file = |name: &str, first: i64, wrong: usize| {
            let mut text = "ts_ns,symbol,price,size,trade_id\n".to_owned();
            for row in 0..20_000_i64 {
                let wrong = row >= 100 && row < 100 + wrong as i64;
                let second = if wrong { 5_000 } else { first + row };
                writeln!(text, "{},{},1,1,{row}", second * SECOND, if row % 2 == 0 { "A" } else { "B" })
                    .expect("memory takes everything");
            }
            std::fs::write(dir.path().join(name), text).expect("writable");
            dir.path().join(name)
        };
        let known = SymbolTable::default();
        known.intern(SymbolSpec::named("A"));
        let of = |path: PathBuf| {
            lateness(&[path], None, &known, &core, Nanos(1_000_000 * SECOND)).expect("readable")
        };
        let earlier = of(file("earlier", 100_000, 0));
        assert_eq!((earlier.reports, earlier.late), (20_000, 10_000), "B is new and may come");
        assert_eq!(earlier.earliest, Some(Nanos(100_000 * SECOND)));
        assert!(earlier.is_too_much());
        let following = of(file("following", 999_990, 0));
        assert!(following.reports < 10_000 && !following.is_too_much(), "{following:?}");
        let wrong = of(file("wrong", 1_000_000, 3));
        assert!(wrong.late > 0 && !wrong.is_too_much(), "{wrong:?}");
    }
}
