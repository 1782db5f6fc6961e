//! The recorded market data that lies beside the repository, in the folder `shared/data`.
//!
//! It is read from `$TICKWIRE_SHARED/data`, else from `../shared/data`. Its terms forbid a copy in the repository, so a
//! checkout may lack it: then [`open`] says what the test skips and gives `None`, and with `CI=true` that is a failure. A file
//! that is there but cannot be read fails the test.

use super::skip::skipped_data;
use flate2::read::GzDecoder;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use tickwire::models::entry::{SourceId, Trade, TradeId, Updates};
use tickwire::models::num::{Price, Scale, Size, parse_decimal};
use tickwire::models::time::Nanos;

/// One recorded file: its rows as text fields, the header left out.
pub struct Recording {
    lines: std::io::Lines<BufReader<GzDecoder<File>>>,
}

/// Returns the path of a file of the shared data, if it is there; else says what is skipped.
pub fn path(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("TICKWIRE_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")), PathBuf::from);
    let path = folder.join("data").join(name);
    if path.is_file() {
        return Some(path);
    }
    skipped_data(&format!("`{name}` of the shared data is not there; TICKWIRE_SHARED names its folder"));
    None
}

/// Opens a recorded file, if the shared data is there.
pub fn open(name: &str) -> Option<Recording> {
    let file = File::open(path(name)?).expect("the file can be opened");
    let mut lines = BufReader::new(GzDecoder::new(file)).lines();
    lines.next().expect("the file has a header").expect("the file can be unpacked");
    Some(Recording { lines })
}

impl Iterator for Recording {
    type Item = Vec<String>;

    fn next(&mut self) -> Option<Vec<String>> {
        let line = self.lines.next()?.expect("the file can be unpacked");
        Some(line.split(',').map(str::to_owned).collect())
    }
}

/// Reads a time column.
pub fn nanos(text: &str) -> Nanos {
    Nanos(text.parse().expect("a time is an integer"))
}

/// Reads a price column at the default scale.
pub fn price(text: &str) -> Price {
    Price(parse_decimal(text.as_bytes(), Scale::PRICE).expect("a price is a decimal number").raw)
}

/// Reads a size column at the default scale.
pub fn size(text: &str) -> Size {
    Size(parse_decimal(text.as_bytes(), Scale::SIZE).expect("a size is a decimal number").raw)
}

/// Reads one row of a file of trades.
pub fn trade(row: &[String]) -> Trade {
    Trade {
        ts: nanos(&row[0]),
        received: Nanos::MIN,
        price: price(&row[2]),
        size: size(&row[3]),
        seq: 0,
        id: TradeId::from_text(row[4].as_bytes()),
        source: SourceId(0),
        updates: Updates::ALL,
    }
}

/// Reads a file of trades, by symbol, in the order of the file.
pub fn trades(name: &str) -> Option<BTreeMap<String, Vec<Trade>>> {
    let mut by_symbol: BTreeMap<String, Vec<Trade>> = BTreeMap::new();
    for row in open(name)? {
        by_symbol.entry(row[1].clone()).or_default().push(trade(&row));
    }
    Some(by_symbol)
}
