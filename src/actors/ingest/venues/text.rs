//! What the parsers of several venues read alike: numbers as they stand, times by their magnitude, texts for people.
//!
//! Promises: no number goes through floating point; a time is cut to the precision that the venue's stream has; what a
//! fault quotes is short. Nothing here panics: what cannot be read is a [`FrameFault`] that names its field.

use crate::actors::ingest::venue::{Context, FrameFault, Instrument};
use crate::models::num::{Price, Scale, Size, parse_decimal};
use crate::models::time::{MINUTE, Nanos};
use serde::Deserialize;
use serde_json::value::RawValue;

/// How far an event may be ahead of its receipt: more is a wrong unit or a broken clock, not a skew.
const AHEAD_MAX: i64 = 5 * MINUTE;

/// Characters of a frame that stand in a message.
const EXCERPT_CHARS: usize = 80;

/// Returns the text of a number, in quotes or not; empty where there is none.
pub(super) fn number(raw: Option<&RawValue>) -> &str {
    match raw.map_or("", RawValue::get) {
        "null" => "",
        text => text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text),
    }
}

/// Reads a JSON object. An array is none, although serde would take its members for fields in their order.
pub(super) fn object<'a, T: Deserialize<'a>>(what: &str, text: &'a str) -> Result<T, FrameFault> {
    if !text.trim_start().starts_with('{') {
        return Err(FrameFault::malformed(what, "it is no JSON object"));
    }
    serde_json::from_str(text).map_err(|error| FrameFault::malformed(what, error))
}

/// Returns the beginning of a text as it may stand in a message.
pub(super) fn excerpt(text: &str) -> String {
    text.chars().take(EXCERPT_CHARS).collect()
}

/// Says that a field cannot be used.
pub(super) fn unusable(kind: &'static str, field: &str, found: &str, venue_symbol: &str) -> FrameFault {
    FrameFault {
        kind,
        reason: format!("`{field}` is unusable: `{}`", excerpt(found)),
        venue_symbol: Some(venue_symbol.to_owned()),
    }
}

/// Says that nobody asked for a symbol.
pub(super) fn unknown_symbol(field: &str, found: &str) -> FrameFault {
    let reason = format!("`{field}` is none that was asked for: `{}`", excerpt(found));
    FrameFault { kind: "unknown_symbol", reason, venue_symbol: None }
}

/// Reads the numbers of one report, and counts those that are finer than their symbol's scale.
pub(super) struct Decimals<'a> {
    /// The instrument of the report: it gives the scales.
    pub instrument: &'a Instrument,
    /// Counts what was rounded.
    pub num_rounded: &'a mut u64,
}

impl Decimals<'_> {
    /// Reads a price. What no price can be, such as a negative one, is the core's to refuse, so that its ledger has it.
    pub fn price(&mut self, field: &str, text: &str) -> Result<Price, FrameFault> {
        self.decimal("bad_price", field, text, self.instrument.price_scale).map(Price)
    }

    /// Reads a size; as with prices, what it says is the core's to judge.
    pub fn size(&mut self, field: &str, text: &str) -> Result<Size, FrameFault> {
        self.decimal("bad_size", field, text, self.instrument.size_scale).map(Size)
    }

    /// Reads a price that may be missing: 0 where it is.
    pub fn price_or_none(&mut self, field: &str, text: &str) -> Result<Price, FrameFault> {
        if text.is_empty() { Ok(Price(0)) } else { self.price(field, text) }
    }

    /// Reads a size that may be missing: 0 where it is.
    pub fn size_or_none(&mut self, field: &str, text: &str) -> Result<Size, FrameFault> {
        if text.is_empty() { Ok(Size(0)) } else { self.size(field, text) }
    }

    fn decimal(
        &mut self,
        kind: &'static str,
        field: &str,
        text: &str,
        scale: Scale,
    ) -> Result<i64, FrameFault> {
        let parsed = parse_decimal(text.as_bytes(), scale)
            .map_err(|_| unusable(kind, field, text, &self.instrument.venue_symbol))?;
        *self.num_rounded += u64::from(parsed.rounded);
        Ok(parsed.raw)
    }
}

/// Reads a time whose unit follows from its magnitude, as a whole number in any spelling that JSON allows, cut to a
/// precision. Zero and what lies before it is no time.
pub(super) fn epoch(text: &str, precision: i64) -> Option<Nanos> {
    let whole = Scale::new(0).expect("no decimals are a scale");
    let parsed = parse_decimal(text.as_bytes(), whole).ok().filter(|parsed| parsed.raw > 0)?;
    Nanos::from_epoch(parsed.raw).map(|time| cut(time, precision))
}

/// Cuts a time to a precision.
pub(super) const fn cut(time: Nanos, precision: i64) -> Nanos {
    Nanos(time.0 - time.0.rem_euclid(precision))
}

/// Returns the time of an event unless there is none, or it is too far ahead of its receipt.
pub(super) fn event_time(
    time: Option<Nanos>,
    field: &str,
    found: &str,
    venue_symbol: &str,
    context: &Context<'_>,
) -> Result<Nanos, FrameFault> {
    time.filter(|time| time.since(context.received) <= AHEAD_MAX)
        .ok_or_else(|| unusable("bad_time", field, found, venue_symbol))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::ingest::venue::Instruments;
    use crate::models::entry::SourceId;
    use crate::models::symbol::SymbolId;
    use crate::models::time::SECOND;

    fn raw(text: &str) -> Box<RawValue> {
        serde_json::from_str(text).expect("JSON")
    }

    #[test]
    fn numbers_are_read_as_they_stand() {
        for (text, read) in
            [("\"1.50\"", "1.50"), ("1.50", "1.50"), ("1e-8", "1e-8"), ("null", ""), ("\"\"", "")]
        {
            assert_eq!(number(Some(&raw(text))), read);
        }
        assert_eq!(number(None), "");
        let instrument = Instrument {
            symbol: SymbolId(1),
            venue_symbol: "A".to_owned(),
            price_scale: Scale::new(2).expect("a scale"),
            size_scale: Scale::new(3).expect("a scale"),
        };
        let mut num_rounded = 0;
        let mut decimals = Decimals { instrument: &instrument, num_rounded: &mut num_rounded };
        assert_eq!(decimals.price("p", "1.5e1"), Ok(Price(1_500)));
        assert_eq!(decimals.size("s", "0.1234"), Ok(Size(123)));
        assert_eq!(
            (decimals.price_or_none("p", ""), decimals.size_or_none("s", "")),
            (Ok(Price(0)), Ok(Size(0)))
        );
        let fault = decimals.size("s", &"x".repeat(500)).expect_err("no number");
        assert_eq!((fault.kind, fault.venue_symbol.as_deref()), ("bad_size", Some("A")));
        assert!(fault.reason.len() < 120, "{}", fault.reason);
        assert_eq!(num_rounded, 1);
    }

    #[test]
    fn times_have_the_unit_of_their_magnitude_and_lie_in_no_future() {
        let time = Nanos(1_788_876_954_689_000_000);
        for (text, precision, read) in [
            ("1788876954689", 1_000_000, Some(time)),
            ("1.788876954689e12", 1_000_000, Some(time)),
            ("1788876954689999", 1_000_000, Some(time)),
            ("1788876954689000001", 1, Some(time.plus(1))),
            ("1788876954", SECOND, Some(Nanos(1_788_876_954 * SECOND))),
            ("0", 1, None),
            ("-1788876954", 1, None),
            ("99999999999999999999", 1, None),
            ("", 1, None),
            ("soon", 1, None),
        ] {
            assert_eq!(epoch(text, precision), read, "{text}");
        }
        let instruments = Instruments::default();
        let at = |received| Context { instruments: &instruments, source: SourceId(0), received };
        assert_eq!(event_time(Some(time), "t", "", "A", &at(time.plus(-AHEAD_MAX))), Ok(time));
        let ahead = event_time(Some(time), "t", "9", "A", &at(time.plus(-AHEAD_MAX - 1)));
        assert_eq!(ahead.expect_err("ahead").kind, "bad_time");
        assert_eq!(event_time(None, "t", "9", "A", &at(time)).expect_err("none").kind, "bad_time");
    }
}
