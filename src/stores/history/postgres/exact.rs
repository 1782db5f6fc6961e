//! Scaled integers as doubles, and back to the last digit.
//!
//! Promises: an integer below [`EXACT_BELOW`] comes back from the double that stands for it. A column `exact` holds the
//! others.

use crate::models::num::Scale;

/// Dividing by ten to the power of the scale and multiplying again is off by less than half, up to here: 2 million units at
/// 9 decimals, and 22 million at 8.
const EXACT_BELOW: u128 = 1 << 51;

/// True when the double gives the integer back.
pub(super) const fn is_exact(raw: i128) -> bool {
    raw.unsigned_abs() < EXACT_BELOW
}

/// Returns the integer that a double stands for.
pub(super) fn raw_of(value: f64, scale: Scale) -> i64 {
    (value * scale.factor() as f64).round() as i64
}

/// Returns the integers as a text with commas between where doubles would not give all of them back.
pub(super) fn text<const N: usize>(values: [Option<i128>; N]) -> Option<String> {
    if values.iter().flatten().all(|raw| is_exact(*raw)) {
        return None;
    }
    Some(values.map(|value| value.map(|raw| raw.to_string()).unwrap_or_default()).join(","))
}

/// Reads such a text.
pub(super) fn parse<const N: usize>(text: &str) -> Option<[Option<i128>; N]> {
    let mut values = [None; N];
    let mut parts = text.split(',');
    for value in &mut values {
        let part = parts.next()?;
        *value = if part.is_empty() { None } else { Some(part.parse().ok()?) };
    }
    parts.next().is_none().then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_small_integer_comes_back_from_its_double(
            raw in -(EXACT_BELOW as i64)..EXACT_BELOW as i64,
            decimals in 0_u8..=12,
        ) {
            let scale = Scale::new(decimals).expect("at most 12");
            prop_assert_eq!(raw_of(scale.to_f64(raw), scale), raw);
        }

        #[test]
        fn others_come_back_from_their_text(values in any::<[Option<i128>; 3]>()) {
            match text(values) {
                Some(text) => prop_assert_eq!(parse(&text), Some(values)),
                None => prop_assert!(values.iter().flatten().all(|raw| is_exact(*raw))),
            }
        }
    }
}
