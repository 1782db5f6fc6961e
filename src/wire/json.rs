//! Writes JSON, with numbers in their shortest form.
//!
//! Promises: a value that is not finite is `null`, as JSON has no other form of it. Nothing here fails for the types
//! of this folder.

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter};
use std::io;

/// Writes numbers in the shortest form: `100`, not `100.0`.
struct Shortest;

impl Formatter for Shortest {
    fn write_f64<W: ?Sized + io::Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
        if value.fract() == 0.0 && value.abs() <= EXACT_MAX {
            return CompactFormatter.write_i64(writer, value as i64);
        }
        CompactFormatter.write_f64(writer, value)
    }
}

/// Appends a value as JSON.
///
/// # Panics
/// Never: the objects here have text keys only, and memory takes every byte.
pub fn append_json<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    let mut serializer = serde_json::Serializer::with_formatter(out, Shortest);
    value.serialize(&mut serializer).expect("wire objects are plain data");
}

/// Returns a value as JSON.
#[must_use]
pub fn to_json<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(384);
    append_json(value, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_short_and_read_back() {
        let table = [
            (100.0, "100"),
            (-3.0, "-3"),
            (0.1, "0.1"),
            (25714.11, "25714.11"),
            (1e-8, "1e-8"),
            (f64::NAN, "null"),
            (1e300, "1e+300"),
        ];
        for (value, text) in table {
            let written = String::from_utf8(to_json(&value)).expect("JSON is UTF-8");
            let same = |a: &str| serde_json::from_str::<Option<f64>>(a).expect("JSON");
            assert_eq!(same(&written), same(text), "{written}");
            assert!(written.len() <= text.len(), "{written} is longer than {text}");
        }
    }
}
