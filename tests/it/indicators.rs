//! The indicators against the recorded answers of TA-Lib, cell by cell.

use crate::support::skip::skipped_data;
use flate2::read::GzDecoder;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use tickwire::models::indicators::{IndicatorSeries, IndicatorValues};
use tickwire::models::num::{Price, Scale, parse_decimal};
use tickwire::models::time::{MINUTE, Nanos};

const NAMES: [&str; 12] = IndicatorValues::NAMES;

/// The recorded answers (`talib_*.csv.gz`) beside the repository, or where `TICKWIRE_SHARED` says; `None` without data.
fn recorded_answers() -> Option<Vec<PathBuf>> {
    let shared = std::env::var_os("TICKWIRE_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let mut files: Vec<PathBuf> = std::fs::read_dir(shared.join("data"))
        .ok()?
        .map(|file| file.expect("directory is readable").path())
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with("talib_") && name.ends_with(".csv.gz")
        })
        .collect();
    files.sort();
    Some(files)
}

/// Compares every cell of one file and returns how many held a value.
fn compare(path: &Path) -> usize {
    let mut lines = BufReader::new(GzDecoder::new(File::open(path).expect("file opens"))).lines();
    let header = lines.next().expect("has a header").expect("is text");
    assert_eq!(header.split(',').collect::<Vec<_>>()[1..], NAMES, "{}", path.display());

    let mut series = IndicatorSeries::new(Scale::PRICE);
    let mut num_values = 0;
    for (row, line) in lines.enumerate() {
        let line = line.expect("is text");
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells.len(), 1 + NAMES.len(), "row {row}");
        let close = parse_decimal(cells[0].as_bytes(), Scale::PRICE).expect("close is a decimal");
        let start = Nanos(i64::try_from(row).expect("few rows") * MINUTE);
        series.upsert(start, Price(close.raw)).expect("a new bar changes the series");
        series.seal(Nanos(start.0 - 5 * MINUTE));

        let (_, _, values) = series.latest().expect("a bar was fed");
        for ((column, found), cell) in NAMES.iter().zip(values.in_order()).zip(&cells[1..]) {
            let at = || format!("{}, row {row}, {column}", path.display());
            assert_eq!(found.is_none(), cell.is_empty(), "{}: `{cell}` but {found:?}", at());
            let Some(found) = found else { continue };
            let expected: f64 = cell.parse().expect("cell is a number");
            let allowed = 1e-9 * expected.abs().max(1.0);
            assert!((found - expected).abs() <= allowed, "{}: {found} for {expected}", at());
            num_values += 1;
        }
    }
    num_values
}

#[test]
fn agrees_with_every_cell_of_ta_lib() {
    let Some(files) = recorded_answers() else {
        return skipped_data("no recorded answers of TA-Lib are there; TICKWIRE_SHARED names their folder");
    };
    assert!(!files.is_empty(), "recorded data has answers of TA-Lib");
    for path in files {
        let num_values = compare(&path);
        assert!(num_values > 1_000, "{} compares something", path.display());
        println!("{}: {num_values} values agree", path.display());
    }
}
