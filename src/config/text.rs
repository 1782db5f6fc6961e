//! Values that a configuration writes as text: spans, sizes, addresses, window widths, symbols.
//!
//! Promises: what is printed reads back to the same value. On failure the error says which form was expected.

use crate::models::symbol::is_symbol_name;
use crate::models::time::{DAY, HOUR, MINUTE, SECOND, parse_span};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

/// Why a text does not have the form that its key needs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct TextError {
    text: String,
    expected: &'static str,
}

/// A value with a text form, and a description of that form.
trait Text: Sized {
    const EXPECTED: &'static str;
    fn read(text: &str) -> Option<Self>;
}

/// Reads a string, so that a number or a list is refused with the words that fit the key.
struct TextVisitor<T>(PhantomData<T>);

impl<T: Text> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        parse(text).map_err(E::custom)
    }
}

fn parse<T: Text>(text: &str) -> Result<T, TextError> {
    T::read(text).ok_or_else(|| TextError { text: text.to_owned(), expected: T::EXPECTED })
}

fn from_text<'de, T: Text, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_str(TextVisitor(PhantomData))
}

/// Gives a public type its [`FromStr`], [`Deserialize`] and [`Serialize`] from its [`Text`] and [`fmt::Display`].
macro_rules! text_form {
    ($type:ty) => {
        impl FromStr for $type {
            type Err = TextError;

            fn from_str(text: &str) -> Result<Self, TextError> {
                parse(text)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                from_text(deserializer)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

/// A number of bytes: `20GB` (10^9) or `64KiB` (2^10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(
    /// In bytes.
    pub u64,
);

/// Units, largest first. Of a decimal and a binary unit that both divide a size, the decimal one is printed.
const SIZE_UNITS: [(&str, u64); 9] = [
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

impl Text for ByteSize {
    const EXPECTED: &'static str = "a size such as `64KB`, `512MiB` or `20GB`";

    fn read(text: &str) -> Option<ByteSize> {
        let digits = text.find(|c: char| !c.is_ascii_digit())?;
        let count: u64 = text[..digits].parse().ok()?;
        let name = text[digits..].trim_start();
        let (_, unit) = SIZE_UNITS.iter().find(|(unit, _)| unit.eq_ignore_ascii_case(name))?;
        count.checked_mul(*unit).map(ByteSize)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let divides = |unit: u64| self.0 != 0 && self.0.is_multiple_of(unit);
        let (name, unit) = SIZE_UNITS.into_iter().find(|&(_, unit)| divides(unit)).unwrap_or(("B", 1));
        write!(f, "{}{name}", self.0 / unit)
    }
}

text_form!(ByteSize);

/// An address to listen on: `127.0.0.1:8000`, `[::1]:8000`, `localhost:8000`. It prints in the form that `bind`
/// accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    /// Name or address of the interface, without brackets.
    pub host: String,
    /// Port; 0 picks a free one.
    pub port: u16,
}

impl ListenAddress {
    /// Returns the address of a port that only this machine can reach.
    #[must_use]
    pub fn loopback(port: u16) -> ListenAddress {
        ListenAddress { host: "127.0.0.1".to_owned(), port }
    }
}

impl Text for ListenAddress {
    const EXPECTED: &'static str = "an address such as `127.0.0.1:8000`";

    fn read(text: &str) -> Option<ListenAddress> {
        let (host, port) = text.rsplit_once(':')?;
        let host = match host.strip_prefix('[') {
            Some(inner) => {
                inner.strip_suffix(']').filter(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok())?
            }
            None => host,
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        let bracketed = text.starts_with('[');
        if host.is_empty() || !(bracketed || host.chars().all(is_name)) {
            return None;
        }
        Some(ListenAddress { host: host.to_owned(), port: port.parse().ok()? })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

text_form!(ListenAddress);

/// A span of time that is not negative, in nanoseconds.
struct Span(i64);

impl Text for Span {
    const EXPECTED: &'static str = "a span such as `10ms`, `5min` or `7d`";

    fn read(text: &str) -> Option<Span> {
        parse_span(text.trim()).map(Span)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units =
            [("d", DAY), ("h", HOUR), ("min", MINUTE), ("s", SECOND), ("ms", 1_000_000), ("us", 1_000)];
        // Days are printed only from two whole ones on, so that `24h` and `50h` print as they are written.
        let fits = |&(name, unit): &(&str, i64)| {
            self.0 % unit == 0 && self.0 >= unit && (name != "d" || self.0 >= 2 * unit)
        };
        let (name, unit) = units.into_iter().find(fits).unwrap_or(("ns", 1));
        write!(f, "{}{name}", self.0 / unit)
    }
}

/// Reads a span as a flag gives it.
///
/// # Errors
/// When the text is no span.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, TextError> {
    parse(text).map(|Span(nanos)| Duration::from_nanos(nanos.unsigned_abs()))
}

/// Prints a span as [`parse_duration`] reads it; what does not fit into 292 years is cut.
pub(crate) fn duration_text(span: Duration) -> String {
    Span(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)).to_string()
}

/// Serde of a [`Duration`] as a span.
pub(super) mod span {
    use super::{Deserializer, Duration, Serializer, Span, duration_text, from_text};

    pub fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&duration_text(*span))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        from_text(deserializer).map(|Span(nanos)| Duration::from_nanos(nanos.unsigned_abs()))
    }
}

/// Serde of nanoseconds as a span.
pub(super) mod nanos {
    use super::{Deserializer, Serializer, Span, from_text};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
    pub fn serialize<S: Serializer>(nanos: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Span(*nanos))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        from_text(deserializer).map(|Span(nanos)| nanos)
    }
}

/// Serde of window widths by their names.
pub(super) mod widths {
    use super::{Deserialize, Deserializer, Serializer, Text, from_text};
    use crate::models::time::Width;

    struct Named(Width);

    impl Text for Named {
        const EXPECTED: &'static str = "a window that divides 24 hours, such as `30s`, `5min` or `1h`";

        fn read(text: &str) -> Option<Named> {
            Width::parse(text.trim()).map(Named)
        }
    }

    impl<'de> Deserialize<'de> for Named {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            from_text(deserializer)
        }
    }

    pub fn serialize<S: Serializer>(widths: &Option<Vec<Width>>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(widths.iter().flatten().map(ToString::to_string))
    }

    pub fn deserialize_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Width, D::Error> {
        Named::deserialize(deserializer).map(|Named(width)| width)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Width>>, D::Error> {
        Vec::<Named>::deserialize(deserializer)
            .map(|named| Some(named.into_iter().map(|Named(width)| width).collect()))
    }
}

/// Serde of one window width by its name.
pub(super) mod width {
    use super::{Deserializer, Serializer, widths};
    use crate::models::time::Width;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
    pub fn serialize<S: Serializer>(width: &Width, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(width)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Width, D::Error> {
        widths::deserialize_one(deserializer)
    }
}

/// Serde of symbols in Tickwire's spelling: upper case, pairs with a dash, each once.
pub(super) mod symbols {
    use super::{Deserialize, Deserializer, Serialize, Serializer, Text, from_text, is_symbol_name};

    struct Name(String);

    impl Text for Name {
        const EXPECTED: &'static str = "a symbol: 1 to 32 of A-Z 0-9 . - _ : / = ^ are";

        fn read(text: &str) -> Option<Name> {
            let name = text.trim();
            is_symbol_name(name.as_bytes()).then(|| Name(name.to_ascii_uppercase().replace('/', "-")))
        }
    }

    impl<'de> Deserialize<'de> for Name {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            from_text(deserializer)
        }
    }

    pub fn serialize<S: Serializer>(symbols: &[String], serializer: S) -> Result<S::Ok, S::Error> {
        symbols.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
        let mut symbols: Vec<String> = Vec::new();
        for Name(name) in Vec::<Name>::deserialize(deserializer)? {
            if !symbols.contains(&name) {
                symbols.push(name);
            }
        }
        Ok(symbols)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_size_and_span_reads_back_as_it_was(bytes: u64, nanos in 0..i64::MAX, unit in 0..60_u32) {
            // Shifted left, so that round values are tried as often as odd ones.
            let bytes = ByteSize(bytes >> unit << unit);
            prop_assert_eq!(bytes.to_string().parse(), Ok(bytes));
            let span = Duration::from_nanos((nanos >> unit << unit).unsigned_abs());
            prop_assert_eq!(parse_duration(&duration_text(span)), Ok(span));
        }
    }

    #[test]
    fn sizes_round_trip_in_the_largest_unit_that_fits() {
        for text in ["20GB", "64KB", "1GB", "512MiB", "1TB", "3TiB", "1023B", "0B"] {
            assert_eq!(text.parse::<ByteSize>().unwrap().to_string(), text);
        }
        assert_eq!("1 gb".parse(), Ok(ByteSize(1_000_000_000)));
        for text in ["", "20", "GB", "-1GB", "1.5GB", "1XB", "99999999999TB"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn addresses_round_trip_and_others_are_refused() {
        for text in ["127.0.0.1:8000", "localhost:0", "[::1]:65535", "0.0.0.0:80", "my-host.example:1"] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), text);
        }
        for text in
            ["", "8000", ":8000", "127.0.0.1", "127.0.0.1:65536", "::1:80", "[x]:80", "[::1:80", "a b:1"]
        {
            assert!(text.parse::<ListenAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn spans_round_trip() {
        for text in ["10ms", "50h", "7d", "365d", "2s", "5min", "90s", "24h", "1h", "250us", "3ns", "0ns"] {
            assert_eq!(duration_text(parse_duration(text).unwrap()), text);
        }
        assert_eq!(parse_duration("5m"), Ok(Duration::from_mins(5)));
        for text in ["", "5", "-5s", "5 parsecs", "1.5s", "99999999999d"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
