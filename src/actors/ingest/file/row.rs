//! One trade as a row gives it, and how its texts become an entry. Every form of row comes through here.

use super::error::{BadRow, RowFault, excerpt};
use super::names::{KnownSymbol, Names};
use crate::models::entry::{Body, Entry, Trade, TradeId, Updates};
use crate::models::num::{Price, Scale, Size, parse_decimal};
use crate::models::time::Nanos;

/// What a row turned out to be.
#[derive(Debug)]
pub(super) enum Row {
    /// An entry.
    Entry(Entry),
    /// Nothing that can be used. Boxed, since it is rare and large.
    Bad(Box<BadRow>),
    /// Not for the log.
    Skipped,
}

/// The texts of a trade, and what was cheap to read on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TradeRow<'a> {
    pub symbol: &'a [u8],
    pub price: &'a [u8],
    pub size: &'a [u8],
    pub ts: Nanos,
    pub received: Nanos,
    pub seq: u64,
    /// Empty where the row has none.
    pub id: &'a [u8],
    pub updates: Updates,
    pub provider: Option<&'a [u8]>,
}

impl TradeRow<'_> {
    /// Makes the entry; `None` for a symbol that was not asked for. `given` is the id of a trade that has none.
    #[inline]
    pub(super) fn entry(&self, names: &mut Names, given: TradeId) -> Result<Option<Entry>, RowFault> {
        let Some(symbol) = names.symbol(self.symbol)? else { return Ok(None) };
        let trade = self.trade(symbol, names, given)?;
        Ok(Some(Entry { pos: 0, symbol: symbol.id, body: Body::Trade(trade) }))
    }

    /// Makes the trade of a symbol that is known already.
    #[inline]
    pub(super) fn trade(
        &self,
        symbol: KnownSymbol,
        names: &mut Names,
        given: TradeId,
    ) -> Result<Trade, RowFault> {
        Ok(Trade {
            ts: self.ts,
            received: self.received,
            price: Price(decimal("price", self.price, symbol.price_scale)?),
            size: Size(decimal("size", self.size, symbol.size_scale)?),
            seq: self.seq,
            id: if self.id.is_empty() { given } else { TradeId::from_text(self.id) },
            source: names.source(self.provider)?,
            updates: self.updates,
        })
    }
}

/// Reads a number that must be there.
#[inline]
pub(super) fn decimal(field: &'static str, text: &[u8], scale: Scale) -> Result<i64, RowFault> {
    match parse_decimal(text, scale) {
        Ok(parsed) => Ok(parsed.raw),
        Err(_) if text.is_empty() => Err(RowFault::Missing { field }),
        Err(cause) => Err(RowFault::Number { field, cause, found: excerpt(text) }),
    }
}

/// Reads a time that is a number: an integer whose unit follows from its magnitude, or the same with decimals.
pub(super) fn epoch_time(field: &'static str, text: &[u8]) -> Result<Nanos, RowFault> {
    let out_of_range = || RowFault::TimeRange { field, found: excerpt(text) };
    if let Some(value) = integer(text) {
        return Nanos::from_epoch(value).ok_or_else(out_of_range);
    }
    let read = |scale: u8| {
        parse_decimal(text, Scale::new(scale).expect("at most 12 decimals")).map(|parsed| parsed.raw)
    };
    let whole = match read(0) {
        Ok(whole) => whole,
        Err(_) if text.is_empty() => return Err(RowFault::Missing { field }),
        Err(_) => return Err(RowFault::Invalid { field, problem: "no time", found: excerpt(text) }),
    };
    // The decimals that the unit leaves for nanoseconds, found by what one unit is worth.
    let unit =
        Nanos::from_epoch(whole).ok_or_else(out_of_range)?.0.checked_div(whole).unwrap_or(1_000_000_000);
    read(unit.ilog10() as u8).map(Nanos).map_err(|_| out_of_range())
}

/// Reads a time in nanoseconds, whatever its magnitude.
#[inline]
pub(super) fn exact_time(field: &'static str, text: &[u8]) -> Result<Nanos, RowFault> {
    match integer(text) {
        Some(value) => Ok(Nanos(value)),
        None if text.is_empty() => Err(RowFault::Missing { field }),
        None => Err(RowFault::Invalid { field, problem: "no integer of nanoseconds", found: excerpt(text) }),
    }
}

/// Reads a time that is text: RFC 3339, or a number in quotes.
pub(super) fn text_time(field: &'static str, text: &str) -> Result<Nanos, RowFault> {
    if text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.')) && !is_date(text) {
        return epoch_time(field, text.as_bytes());
    }
    Nanos::from_rfc3339(text).ok_or_else(|| RowFault::Invalid {
        field,
        problem: "no RFC 3339 time",
        found: excerpt(text.as_bytes()),
    })
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && text.as_bytes()[4] == b'-'
}

/// Reads a plain integer.
#[inline]
pub(super) fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        _ => (false, text),
    };
    if digits.is_empty() || digits.len() > 18 {
        return if digits.first()?.is_ascii_digit() {
            std::str::from_utf8(text).ok()?.parse().ok()
        } else {
            None
        };
    }
    let mut value: i64 = 0;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if negative { -value } else { value })
}

/// Returns how many digits the text begins with. Byte by byte: the numbers of a trade are too short for more to pay.
#[inline]
pub(super) fn num_digits(text: &[u8]) -> usize {
    text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_read_in_every_form() {
        let t = Nanos(1_700_000_000_123_456_789);
        let second = Nanos(1_700_000_000_000_000_000);
        let table = [
            ("1700000000", second),
            ("1700000000000", second),
            ("1700000000123456789", t),
            ("1700000000.123456789", t),
            ("1700000000123.456789", t),
            ("1700000000123456.789", t),
            ("1.7e9", second),
            ("0", Nanos(0)),
            ("0.5", Nanos(500_000_000)),
            ("-1", Nanos(-1_000_000_000)),
        ];
        for (text, expected) in table {
            assert_eq!(epoch_time("ts", text.as_bytes()), Ok(expected), "{text}");
        }
        for text in ["1700000000", "2023-11-14T22:13:20Z", "2023-11-14T23:13:20+01:00", "2023-11-14 22:13:20"]
        {
            assert_eq!(text_time("ts", text), Ok(second), "{text}");
        }
        assert!(matches!(epoch_time("ts", b"99999999999"), Err(RowFault::TimeRange { .. })));
        for text in ["", "noon", "2023-13-14", "--1", "-", "1.2.3", "2023-11-14Tx"] {
            assert!(text_time("ts", text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn integers_read_as_the_standard_library_does(value in any::<i64>()) {
            prop_assert_eq!(integer(value.to_string().as_bytes()), Some(value));
        }

        #[test]
        fn digits_are_counted_up_to_the_first_other_byte(text in prop::collection::vec(prop_oneof![3 => b'0'..=b'9', 1 => any::<u8>()], 0..40)) {
            let expected = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
            prop_assert_eq!(num_digits(&text), expected);
        }

        #[test]
        fn what_is_no_integer_is_none(text in "[-+0-9a]{0,22}") {
            let expected = if text.starts_with('+') { None } else { text.parse().ok() };
            prop_assert_eq!(integer(text.as_bytes()), expected);
        }
    }
}
