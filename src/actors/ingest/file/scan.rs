//! The fast way to read a line of JSON: trades in the shape that recorders write, in one pass.
//!
//! Reads flat objects of known fields without escapes or anything but ASCII, and with no spaces but those that Python
//! puts behind colons and commas. Everything else is left to [`super::json`], and what both read, they read alike: a
//! property test holds them to it.

use super::row::{TradeRow, integer, num_digits, text_time};
use crate::models::entry::Updates;
use crate::models::time::Nanos;

const SYMBOL: u8 = 1;
const PRICE: u8 = 1 << 1;
const SIZE: u8 = 1 << 2;
const TS: u8 = 1 << 3;
const NEEDED: u8 = SYMBOL | PRICE | SIZE | TS;
const ID: u8 = 1 << 4;
const UPDATES: u8 = 1 << 5;
const PROVIDER: u8 = 1 << 6;
const TICK_TYPE: u8 = 1 << 7;

/// Reads a line; `None` for one that has anything unusual about it.
#[inline]
pub(super) fn scan(line: &[u8]) -> Option<TradeRow<'_>> {
    let mut row = TradeRow {
        symbol: b"",
        price: b"",
        size: b"",
        ts: Nanos(0),
        received: Nanos::MIN,
        seq: 0,
        id: b"",
        updates: Updates::ALL,
        provider: None,
    };
    let mut seen = 0;
    let mut rest = line.strip_prefix(b"{")?;
    loop {
        let (field, value) = key(rest)?;
        if seen & field != 0 {
            return None;
        }
        seen |= field;
        rest = match field {
            SYMBOL => text(value, &mut row.symbol)?,
            PRICE => number(value, &mut row.price)?,
            SIZE => number(value, &mut row.size)?,
            TS if value.first() == Some(&b'"') => quoted_time(value, &mut row.ts)?,
            TS => {
                let mut digits: &[u8] = b"";
                let rest = number(value, &mut digits)?;
                row.ts = Nanos::from_epoch(integer(digits)?)?;
                rest
            }
            ID if value.first() == Some(&b'"') => text(value, &mut row.id)?,
            ID => number(value, &mut row.id)?,
            UPDATES => {
                let mut updates: &[u8] = b"";
                let rest = text(value, &mut updates)?;
                row.updates = Updates::parse(updates)?;
                rest
            }
            PROVIDER => text(value, row.provider.insert(b""))?,
            _ => value.strip_prefix(b"\"trade\"")?,
        };
        match rest {
            [b',', after @ ..] => rest = skip_space(after),
            b"}" => break,
            _ => return None,
        }
    }
    (seen & NEEDED == NEEDED).then_some(row)
}

/// Recognises a key; returns its field and what follows the colon.
#[inline]
fn key(rest: &[u8]) -> Option<(u8, &[u8])> {
    let rest = rest.strip_prefix(b"\"")?;
    let known = |name: &[u8], field: u8| rest.strip_prefix(name).map(|value| (field, skip_space(value)));
    match rest.first()? {
        b's' => known(b"symbol\":", SYMBOL).or_else(|| known(b"size\":", SIZE)),
        b'p' => known(b"price\":", PRICE).or_else(|| known(b"provider\":", PROVIDER)),
        b't' => known(b"ts\":", TS)
            .or_else(|| known(b"timestamp\":", TS))
            .or_else(|| known(b"trade_id\":", ID))
            .or_else(|| known(b"tick_type\":", TICK_TYPE)),
        b'i' => known(b"id\":", ID),
        b'v' => known(b"volume\":", SIZE),
        b'u' => known(b"updates\":", UPDATES),
        _ => None,
    }
}

#[inline]
fn skip_space(rest: &[u8]) -> &[u8] {
    rest.strip_prefix(b" ").unwrap_or(rest)
}

/// Reads a string without escapes; returns what follows it.
#[inline]
fn text<'a>(value: &'a [u8], into: &mut &'a [u8]) -> Option<&'a [u8]> {
    let value = value.strip_prefix(b"\"")?;
    let len = plain_len(value);
    let (text, rest) = value.split_at(len);
    *into = text;
    rest.strip_prefix(b"\"")
}

/// Reads a time in quotes; returns what follows it. Apart, so that its errors' destructors stay out of the loop.
#[inline(never)]
fn quoted_time<'a>(value: &'a [u8], into: &mut Nanos) -> Option<&'a [u8]> {
    let mut time: &[u8] = b"";
    let rest = text(value, &mut time)?;
    *into = text_time("ts", std::str::from_utf8(time).ok()?).ok()?;
    Some(rest)
}

/// Returns how many bytes stand before the first that is a quote, a backslash, a control character or not ASCII.
#[inline]
fn plain_len(value: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let mut len = 0;
    // Eight bytes at a time: a byte's high bit marks it as special. Borrows spoil only bytes above the first special one.
    while let Some(chunk) = value.get(len..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let is_zero = |x: u64| x.wrapping_sub(ONES) & !x;
        let special = is_zero(word ^ (ONES * b'"' as u64))
            | is_zero(word ^ (ONES * b'\\' as u64))
            | (word.wrapping_sub(ONES * 0x20) & !word)
            | word;
        if special & HIGHS != 0 {
            return len + (special & HIGHS).trailing_zeros() as usize / 8;
        }
        len += 8;
    }
    let tail = value[len..].iter().position(|&byte| matches!(byte, b'"' | b'\\' | ..0x20 | 0x80..));
    len + tail.unwrap_or(value.len() - len)
}

/// Reads a number as JSON writes it, without an exponent; returns what follows it.
#[inline]
fn number<'a>(value: &'a [u8], into: &mut &'a [u8]) -> Option<&'a [u8]> {
    let sign = usize::from(value.first() == Some(&b'-'));
    let whole = sign + num_digits(&value[sign..]);
    if whole == sign || (value[sign] == b'0' && whole > sign + 1) {
        return None;
    }
    let mut len = whole;
    if value.get(whole) == Some(&b'.') {
        len = whole + 1 + num_digits(&value[whole + 1..]);
        if len == whole + 1 {
            return None;
        }
    }
    let (digits, rest) = value.split_at(len);
    *into = digits;
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::super::json::{self, Record};
    use super::super::names::Names;
    use super::*;
    use crate::models::entry::TradeId;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn names() -> Names {
        Names::new(Arc::default(), Arc::default(), None, 100, "file")
    }

    const GIVEN: TradeId = TradeId::given(7, 1);

    #[test]
    fn the_usual_shapes_take_the_fast_way() {
        for line in [
            r#"{"symbol":"AAPL","price":123.4567,"size":10,"ts":1700000100000,"id":"AAPL-000000001"}"#,
            r#"{"symbol":"BTC-USD","price":0.5,"volume":0.00000001,"timestamp":1700000100,"trade_id":123}"#,
            r#"{"symbol": "AAPL", "price": 123.4567, "size": 10, "timestamp": "2023-11-14T22:13:20.123Z"}"#,
            r#"{"ts":1700000100000000000,"id":"","provider":"x","updates":"hv","tick_type":"trade","size":-1,"price":0,"symbol":"A"}"#,
        ] {
            assert!(scan(line.as_bytes()).is_some(), "{line}");
        }
    }

    #[test]
    fn anything_unusual_is_left_to_the_full_parser() {
        let line = r#"{"symbol":"A","price":1,"size":2,"ts":3}"#;
        assert!(scan(line.as_bytes()).is_some());
        for (from, to) in [
            (":1", ":  1"),
            (":1", " :1"),
            (",", " ,"),
            ("A", "\\u0041"),
            ("A", "Ä"),
            ("A", "\t"),
            (":1", ":01"),
            (":1", ":1."),
            (":1", ":1e5"),
            (":1", ":.5"),
            (":1", ":-"),
            (":1", ":null"),
            (":1", ":\"1\""),
            ("3}", "3} "),
            ("3}", "3,}"),
            ("3}", "3"),
            ("3}", "3.5}"),
            ("3}", "3,\"x\":1}"),
            ("3}", "3,\"ts\":4}"),
            ("3}", "3,\"timestamp\":4}"),
            ("3}", "3,\"tick_type\":\"quote\"}"),
            ("3}", "99999999999}"),
            ("{", "[{"),
            ("\"price\":1,", ""),
        ] {
            let unusual = line.replacen(from, to, 1);
            assert_eq!(scan(unusual.as_bytes()), None, "{unusual}");
        }
        for len in 0..line.len() {
            assert_eq!(scan(&line.as_bytes()[..len]), None, "cut at {len}");
        }
    }

    fn value() -> impl Strategy<Value = String> {
        prop_oneof![
            4 => "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,12})?",
            2 => "[1-9][0-9]{9,18}",
            3 => "\"[A-Z]{1,5}(-[0-9]{1,20})?\"",
            1 => "\"[ -~äß\\t]{0,20}\"",
            1 => "\"(trade|quote|hcv|-|h|x|\\\\\\\\|\\\\\"|\\\\u0041|2023-11-14T22:13:20Z)\"",
            1 => "(null|true|01|1\\.|-|1e5|1E-3|\\{\\}|\\[1\\]|)",
        ]
    }

    fn line() -> impl Strategy<Value = Vec<u8>> {
        let key = prop::sample::select(vec![
            "symbol",
            "price",
            "size",
            "volume",
            "ts",
            "timestamp",
            "ts_ns",
            "id",
            "trade_id",
            "tick_type",
            "provider",
            "updates",
            "seq",
            "bid",
            "x",
        ]);
        let any_fields = prop::collection::vec((key, value()), 0..9);
        let (whole, spaced) = (any::<bool>(), any::<bool>());
        let spoil = prop::option::weighted(0.2, (any::<prop::sample::Index>(), any::<u8>()));
        (any_fields, whole, spaced, spoil).prop_map(|(fields, whole, spaced, spoil)| {
            let mut parts: Vec<String> =
                fields.into_iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
            if whole {
                parts.insert(0, r#""symbol":"AB","price":12.50,"size":3,"ts":1700000000123"#.to_owned());
            }
            let mut line = format!("{{{}}}", parts.join(if spaced { ", " } else { "," })).into_bytes();
            if let Some((at, byte)) = spoil {
                let at = at.index(line.len());
                line[at] = byte;
            }
            line
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn what_is_scanned_is_what_the_full_parser_reads(line in line()) {
            if let Some(row) = scan(&line) {
                let (mut fast, mut full) = (names(), names());
                let scanned = row.entry(&mut fast, GIVEN);
                let scanned = scanned.map(|entry| entry.map_or(Record::Skipped, Record::Entry));
                prop_assert_eq!(scanned, json::read(&line, &mut full, GIVEN));
            }
        }

        #[test]
        fn plain_text_ends_where_the_definition_says(text in prop::collection::vec(any::<u8>(), 0..40)) {
            let special = |byte: &u8| matches!(byte, b'"' | b'\\') || *byte < 0x20 || *byte >= 0x80;
            prop_assert_eq!(plain_len(&text), text.iter().position(special).unwrap_or(text.len()));
        }
    }
}
