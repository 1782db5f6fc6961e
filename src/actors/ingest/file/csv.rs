//! Rows of comma-separated values. The header says where the columns stand; a row must have as many as the header.

use super::error::{RowFault, excerpt};
use super::row::{TradeRow, exact_time};
use crate::models::entry::Updates;
use crate::models::time::Nanos;
use memchr::memchr;
use std::borrow::Cow;

/// Columns that are read, in the order of [`Columns::places`].
const NAMES: [&str; 6] = ["ts_ns", "symbol", "price", "size", "trade_id", "updates"];
/// How many of them must be there.
const NUM_REQUIRED: usize = 5;

/// Where the columns of a file stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Columns {
    len: usize,
    places: [Option<usize>; NAMES.len()],
    /// True for the usual header, whose columns stand in the usual order: rows are then cut without a detour.
    is_usual: bool,
}

impl Columns {
    /// Reads the header.
    ///
    /// # Errors
    /// The names of required columns that it lacks or names twice.
    pub(super) fn from_header(line: &[u8]) -> Result<Columns, String> {
        let names: Vec<Cow<'_, [u8]>> = split(line);
        let place = |name: &str| {
            let mut at = names.iter().enumerate().filter(|(_, found)| found.trim_ascii() == name.as_bytes());
            at.next().map(|(at, _)| at).filter(|_| at.next().is_none())
        };
        let places = NAMES.map(place);
        let missing: Vec<&str> = NAMES
            .into_iter()
            .zip(places)
            .take(NUM_REQUIRED)
            .filter(|(_, at)| at.is_none())
            .map(|(name, _)| name)
            .collect();
        if !missing.is_empty() {
            return Err(format!("`{}`", missing.join("`, `")));
        }
        let is_usual = names.len() == NUM_REQUIRED
            && places.iter().take(NUM_REQUIRED).flatten().copied().eq(0..NUM_REQUIRED);
        Ok(Columns { len: names.len(), places, is_usual })
    }

    /// Reads a row and hands it to `then`, since a quoted value lives only that long.
    #[inline]
    pub(super) fn read<T>(
        &self,
        line: &[u8],
        then: impl FnOnce(&TradeRow<'_>) -> Result<T, RowFault>,
    ) -> Result<T, RowFault> {
        if !line.is_ascii() && std::str::from_utf8(line).is_err() {
            return Err(RowFault::NotUtf8);
        }
        if self.is_usual
            && memchr(b'"', line).is_none()
            && let Some(values) = split_exactly(line)
        {
            return then(&trade_row(values, b"")?);
        }
        let values = split(line);
        if values.len() != self.len {
            return Err(RowFault::NumColumns { expected: self.len, found: values.len() });
        }
        let value = |name: usize| self.places[name].map_or(&b""[..], |at| &values[at]);
        then(&trade_row(std::array::from_fn(value), value(NUM_REQUIRED))?)
    }

    /// Returns the symbol of a row that could not be read, as far as that can be told.
    pub(super) fn symbol(&self, line: &[u8]) -> Option<String> {
        let at = self.places[1]?;
        let values = split(line);
        values.get(at).and_then(|value| std::str::from_utf8(value).ok()).map(str::to_owned)
    }
}

#[inline]
fn trade_row<'a>(values: [&'a [u8]; NUM_REQUIRED], updates: &[u8]) -> Result<TradeRow<'a>, RowFault> {
    let [ts, symbol, price, size, id] = values;
    Ok(TradeRow {
        symbol,
        price,
        size,
        ts: exact_time(NAMES[0], ts)?,
        received: Nanos::MIN,
        seq: 0,
        id,
        updates: Updates::parse(updates).ok_or_else(|| RowFault::Invalid {
            field: "updates",
            problem: "not made of `h`, `c`, `v` or `-`",
            found: excerpt(updates),
        })?,
        provider: None,
    })
}

/// Cuts a row of five plain columns.
#[inline]
fn split_exactly(line: &[u8]) -> Option<[&[u8]; NUM_REQUIRED]> {
    let mut values = [&b""[..]; NUM_REQUIRED];
    let mut rest = line;
    for value in &mut values[..NUM_REQUIRED - 1] {
        let comma = memchr(b',', rest)?;
        *value = &rest[..comma];
        rest = &rest[comma + 1..];
    }
    values[NUM_REQUIRED - 1] = rest;
    memchr(b',', rest).is_none().then_some(values)
}

/// Cuts a row at its commas, except those in double quotes; a doubled quote within them is one.
fn split(line: &[u8]) -> Vec<Cow<'_, [u8]>> {
    if memchr(b'"', line).is_none() {
        return line.split(|&byte| byte == b',').map(Cow::Borrowed).collect();
    }
    let mut values = Vec::new();
    let mut value = Vec::new();
    let mut quoted = false;
    let mut bytes = line.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' if quoted && bytes.peek() == Some(&b'"') => {
                bytes.next();
                value.push(b'"');
            }
            b'"' => quoted = !quoted,
            b',' if !quoted => values.push(Cow::Owned(std::mem::take(&mut value))),
            _ => value.push(byte),
        }
    }
    values.push(Cow::Owned(value));
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: &str, line: &str) -> Result<(String, String, Updates), RowFault> {
        let columns = Columns::from_header(header.as_bytes()).expect("valid");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        columns.read(line.as_bytes(), |row| Ok((text(row.symbol), text(row.id), row.updates)))
    }

    const USUAL: &str = "ts_ns,symbol,price,size,trade_id";

    #[test]
    fn columns_are_found_by_name() {
        let all = |id: &str| Ok(("A".to_owned(), id.to_owned(), Updates::ALL));
        assert_eq!(read(USUAL, "1,A,2,3,x"), all("x"));
        assert_eq!(read(USUAL, "1,A,2,3,"), all(""), "an empty id is none");
        assert_eq!(read(USUAL, "1,\"A\",2,3,\"a\"\",b\""), all("a\",b"));
        assert_eq!(read("venue,trade_id,size,price,symbol,ts_ns", "N,x,3,2,A,1"), all("x"));
        assert_eq!(
            read("ts_ns,symbol,price,size,trade_id,updates", "1,A,2,3,x,-").map(|row| row.2),
            Ok(Updates::NONE)
        );
        assert_eq!(
            read("ts_ns,symbol,price,size,trade_id,updates", "1,A,2,3,x,").map(|row| row.2),
            Ok(Updates::ALL)
        );
    }

    #[test]
    fn faults_are_named() {
        for (line, found) in [("1,A,2,3", 4), ("1,A,2,3,x,y", 6), ("x", 1)] {
            assert_eq!(read(USUAL, line), Err(RowFault::NumColumns { expected: 5, found }), "{line}");
        }
        assert!(matches!(read(USUAL, ",A,2,3,x"), Err(RowFault::Missing { field: "ts_ns" })));
        assert!(matches!(read(USUAL, "1.5,A,2,3,x"), Err(RowFault::Invalid { field: "ts_ns", .. })));
        let updates = "ts_ns,symbol,price,size,trade_id,updates";
        assert!(matches!(read(updates, "1,A,2,3,x,q"), Err(RowFault::Invalid { field: "updates", .. })));
    }

    #[test]
    fn a_header_lacks_what_it_does_not_name_once() {
        let missing = |header: &str| Columns::from_header(header.as_bytes()).expect_err("not whole");
        assert_eq!(missing("ts_ns,symbol,bid,ask"), "`price`, `size`, `trade_id`");
        assert_eq!(missing("ts_ns,symbol,price,size,trade_id,price"), "`price`");
    }
}
