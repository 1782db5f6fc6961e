//! Where rows go: the folders of an export, by date and symbol, as `key=value`, which readers take for columns.

use crate::models::entry::Position;
use crate::models::time::{DAY, Nanos};
use crate::wire::columns::Dataset;
use std::fmt::Write;

/// A day of UTC, in days since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub(super) struct Date(i64);

impl Date {
    /// The first day that times can name.
    pub(super) const FIRST: Date = Date::of(Nanos::MIN);
    /// The last one.
    pub(super) const LAST: Date = Date::of(Nanos::MAX);

    /// Returns the day of a time.
    pub(super) const fn of(time: Nanos) -> Date {
        Date(time.0.div_euclid(DAY))
    }

    /// Returns its first moment, or the beginning of time.
    pub(super) const fn start(self) -> Nanos {
        Nanos(self.0.saturating_mul(DAY))
    }

    /// Returns the first moment of the day after it, or the end of time.
    pub(super) const fn end(self) -> Nanos {
        Nanos(self.0.saturating_add(1).saturating_mul(DAY))
    }

    /// Returns the day so many days later.
    pub(super) const fn plus(self, days: i64) -> Date {
        Date(self.0.saturating_add(days))
    }

    fn text(self) -> String {
        // In the middle of the day, since the first one does not begin within the range.
        let noon = self.start().plus(if self.start() == Nanos::MIN { 0 } else { DAY / 2 });
        let mut text = noon.to_rfc3339();
        text.truncate("2023-09-05".len());
        text
    }
}

/// Returns the name of the file of a day, from the root of the export. It is called after the first position in it, so it
/// has the same name whenever it is written, and none that another file of the folder has.
pub(super) fn file_name(dataset: Dataset, date: Date, symbol: Option<&str>, first: Position) -> String {
    let mut name = format!("{}/date={}", dataset.as_str(), date.text());
    if let Some(symbol) = symbol {
        name.push_str("/symbol=");
        name.push_str(&escaped(symbol));
    }
    write!(name, "/part-{first:016}.parquet").expect("a text takes everything");
    name
}

/// Escapes a symbol as folders of that form do: readers undo it.
fn escaped(symbol: &str) -> String {
    let mut text = String::with_capacity(symbol.len());
    for byte in symbol.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").expect("a text takes everything");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_date_and_need_no_care() {
        let time = Nanos::from_rfc3339("2023-09-05T23:59:59.999999999Z").expect("a time");
        assert_eq!(
            file_name(Dataset::Ticks, Date::of(time), Some("X:BTC/USD^"), 17),
            "ticks/date=2023-09-05/symbol=X%3ABTC%2FUSD%5E/part-0000000000000017.parquet"
        );
        let next = Date::of(time.plus(1));
        assert_eq!(
            file_name(Dataset::Control, next, None, 1),
            "control/date=2023-09-06/part-0000000000000001.parquet"
        );
        assert_eq!((next.start(), Date::of(time).end()), (time.plus(1), time.plus(1)));
        assert_eq!(Date::of(Nanos(-1)).text(), "1969-12-31");
        for end in [Nanos::MIN, Nanos::MAX] {
            assert_eq!(Date::of(end).text().len(), 10);
        }
    }
}
