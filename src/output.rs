//! The files that `tickwire replay --bars` and `--indicators` write.
//!
//! Promises: a file is complete or does not exist. It is written under a temporary name beside its place and renamed
//! when it is finished; a writer that is dropped before leaves nothing behind. An existing file is replaced only on
//! request.

use crate::models::bar::Bar;
use crate::models::effect::IndicatorPoint;
use crate::models::indicators::IndicatorValues;
use crate::models::num::{Price, Scale};
use crate::models::symbol::SymbolSpec;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

const BAR_HEADER: &str = "symbol,window,window_start_ns,window_end_ns,open,high,low,close,volume,vwap,trade_count,state,revision,coverage";

/// Why an output file was not written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The file is there already.
    #[error("`{path}` exists; give `--force` to replace it")]
    Exists {
        /// The file.
        path: String,
    },
    /// The file cannot be made, written or renamed.
    #[error("cannot write `{path}`: {cause}")]
    Write {
        /// The file.
        path: String,
        /// What the system said.
        cause: io::Error,
    },
}

/// Writes `--bars OUT.csv`. The caller brings the bars in the order of symbol, window, start.
#[derive(Debug)]
pub struct BarWriter(CsvFile);

impl BarWriter {
    /// Begins the file. `force` replaces one that is there.
    ///
    /// # Errors
    /// [`OutputError::Exists`], or [`OutputError::Write`].
    pub fn create(path: &Path, force: bool) -> Result<BarWriter, OutputError> {
        CsvFile::create(path, force, BAR_HEADER).map(BarWriter)
    }

    /// Adds a bar.
    ///
    /// # Errors
    /// [`OutputError::Write`].
    pub fn write(&mut self, spec: &SymbolSpec, bar: &Bar) -> Result<(), OutputError> {
        let price = |price: Price| spec.price_scale.show(i128::from(price.0));
        let [open, high, low, close] = [bar.open, bar.high, bar.low, bar.close].map(price);
        let volume = spec.size_scale.show(bar.volume);
        let vwap = bar.vwap.map(|vwap| Scale::VWAP.show(i128::from(vwap)).to_string()).unwrap_or_default();
        let (name, width, start, end) = (&spec.name, bar.width, bar.start.0, bar.end().0);
        let (count, state, revision, coverage) =
            (bar.trade_count, bar.state.as_str(), bar.revision, bar.coverage);
        self.0.line(format_args!(
            "{name},{width},{start},{end},{open},{high},{low},{close},{volume},{vwap},{count},{state},{revision},{coverage}"
        ))
    }

    /// Moves the finished file into place.
    ///
    /// # Errors
    /// [`OutputError::Write`]; [`OutputError::Exists`] when one was created there meanwhile.
    pub fn finish(self) -> Result<(), OutputError> {
        self.0.finish()
    }
}

/// Writes `--indicators OUT.csv`. The caller brings the rows in the order of symbol, window, start.
#[derive(Debug)]
pub struct IndicatorWriter(CsvFile);

impl IndicatorWriter {
    /// Begins the file. `force` replaces one that is there.
    ///
    /// # Errors
    /// [`OutputError::Exists`], or [`OutputError::Write`].
    pub fn create(path: &Path, force: bool) -> Result<IndicatorWriter, OutputError> {
        let header = format!("symbol,window,window_start_ns,close,{}", IndicatorValues::NAMES.join(","));
        CsvFile::create(path, force, &header).map(IndicatorWriter)
    }

    /// Adds the indicators of one window; a value that is not warmed up stays empty.
    ///
    /// # Errors
    /// [`OutputError::Write`].
    pub fn write(&mut self, spec: &SymbolSpec, point: &IndicatorPoint) -> Result<(), OutputError> {
        let close = spec.price_scale.show(i128::from(point.close.0));
        let (name, width, start) = (&spec.name, point.width, point.start.0);
        let values = point.values.in_order();
        self.0.part(format_args!("{name},{width},{start},{close}"))?;
        for value in values {
            match value {
                Some(value) => self.0.part(format_args!(",{value}"))?,
                None => self.0.part(format_args!(","))?,
            }
        }
        self.0.line(format_args!(""))
    }

    /// Moves the finished file into place.
    ///
    /// # Errors
    /// [`OutputError::Write`]; [`OutputError::Exists`] when one was created there meanwhile.
    pub fn finish(self) -> Result<(), OutputError> {
        self.0.finish()
    }
}

/// A file that is moved into place when it is complete.
#[derive(Debug)]
struct CsvFile {
    path: PathBuf,
    force: bool,
    temporary: Temporary,
    writer: BufWriter<File>,
}

impl CsvFile {
    fn create(path: &Path, force: bool, header: &str) -> Result<CsvFile, OutputError> {
        refuse_existing(path, force)?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.tmp", std::process::id()));
        let temporary = Temporary(path.with_file_name(name));
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&temporary.0);
        let file = file.map_err(|cause| write_error(path, cause))?;
        let mut csv = CsvFile {
            path: path.to_owned(),
            force,
            temporary,
            writer: BufWriter::with_capacity(64 * 1024, file),
        };
        csv.line(format_args!("{header}"))?;
        Ok(csv)
    }

    fn part(&mut self, text: std::fmt::Arguments<'_>) -> Result<(), OutputError> {
        self.writer.write_fmt(text).map_err(|cause| write_error(&self.path, cause))
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) -> Result<(), OutputError> {
        self.part(text)?;
        self.part(format_args!("\n"))
    }

    fn finish(mut self) -> Result<(), OutputError> {
        refuse_existing(&self.path, self.force)?;
        let written = self.writer.flush().and_then(|()| self.writer.get_ref().sync_all());
        written
            .and_then(|()| fs::rename(&self.temporary.0, &self.path))
            .map_err(|cause| write_error(&self.path, cause))
    }
}

/// Removes the temporary file; after the rename there is none.
#[derive(Debug)]
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn refuse_existing(path: &Path, force: bool) -> Result<(), OutputError> {
    if !force && path.symlink_metadata().is_ok() {
        return Err(OutputError::Exists { path: path.display().to_string() });
    }
    Ok(())
}

fn write_error(path: &Path, cause: io::Error) -> OutputError {
    OutputError::Write { path: path.display().to_string(), cause }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::bar::{BarOrigin, BarState};
    use crate::models::indicators::IndicatorValues;
    use crate::models::symbol::SymbolId;
    use crate::models::time::{MINUTE, Nanos, Width};

    fn bar() -> Bar {
        Bar {
            symbol: SymbolId(0),
            width: Width::new(5 * MINUTE).expect("divides a day"),
            start: Nanos(300_000_000_000),
            open: Price(123_456_700_000),
            high: Price(124_000_000_000),
            low: Price(123_000_000_000),
            close: Price(123_000_000_001),
            volume: 1_050_000_000,
            vwap: Some(123_333_333_333),
            trade_count: 7,
            state: BarState::Amended,
            origin: BarOrigin::Trades,
            revision: 2,
            coverage: 1.0,
            late: 0,
            duplicates: 0,
            cancelled: 0,
            seq: 1,
            log_pos: 5,
        }
    }

    #[test]
    fn rows_have_the_columns_that_users_rely_on() {
        let dir = tempfile::tempdir().expect("writable");
        let spec = SymbolSpec::named("BTC-USD");
        let path = dir.path().join("bars.csv");
        let mut writer = BarWriter::create(&path, false).expect("writable");
        writer.write(&spec, &bar()).expect("writable");
        writer.write(&spec, &Bar { vwap: None, coverage: 0.25, ..bar() }).expect("writable");
        assert!(!path.exists(), "not before it is whole");
        writer.finish().expect("writable");
        assert_eq!(
            fs::read_to_string(&path).expect("there"),
            "symbol,window,window_start_ns,window_end_ns,open,high,low,close,volume,vwap,trade_count,state,revision,coverage\n\
             BTC-USD,5min,300000000000,600000000000,123.4567,124,123,123.000000001,10.5,123.333333333,7,amended,2,1\n\
             BTC-USD,5min,300000000000,600000000000,123.4567,124,123,123.000000001,10.5,,7,amended,2,0.25\n"
        );

        let path = dir.path().join("indicators.csv");
        let mut writer = IndicatorWriter::create(&path, false).expect("writable");
        let values =
            IndicatorValues { sma_20: Some(0.1 + 0.2), bb_lower: Some(100.0), ..IndicatorValues::default() };
        let point = IndicatorPoint {
            symbol: SymbolId(0),
            width: bar().width,
            start: bar().start,
            close: bar().close,
            vwap: None,
            values,
            log_pos: 1,
        };
        writer.write(&spec, &point).expect("writable");
        writer.finish().expect("writable");
        assert_eq!(
            fs::read_to_string(&path).expect("there"),
            "symbol,window,window_start_ns,close,sma_20,sma_50,sma_200,ema_12,ema_26,rsi_14,macd,macd_signal,macd_histogram,bb_upper,bb_middle,bb_lower\n\
             BTC-USD,5min,300000000000,123.000000001,0.30000000000000004,,,,,,,,,,,100\n"
        );
    }

    #[test]
    fn an_existing_file_needs_force_and_an_unfinished_one_leaves_nothing() {
        let dir = tempfile::tempdir().expect("writable");
        let path = dir.path().join("bars.csv");
        fs::write(&path, "old").expect("writable");
        let refused = BarWriter::create(&path, false).expect_err("exists");
        assert!(refused.to_string().contains("--force"), "{refused}");
        drop(BarWriter::create(&path, true).expect("writable"));
        assert_eq!(fs::read_to_string(&path).expect("there"), "old");
        assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 1);
        BarWriter::create(&path, true).expect("writable").finish().expect("writable");
        assert!(fs::read_to_string(&path).expect("there").starts_with("symbol,"));
        assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 1);
        let lost = BarWriter::create(&dir.path().join("none/bars.csv"), false).expect_err("no folder");
        assert!(matches!(lost, OutputError::Write { .. }), "{lost}");
    }

    #[test]
    fn a_file_that_came_up_meanwhile_is_not_replaced() {
        let dir = tempfile::tempdir().expect("writable");
        let path = dir.path().join("bars.csv");
        let writer = BarWriter::create(&path, false).expect("writable");
        fs::write(&path, "other").expect("writable");
        assert!(matches!(writer.finish(), Err(OutputError::Exists { .. })));
        assert_eq!(fs::read_to_string(&path).expect("there"), "other");
    }
}
