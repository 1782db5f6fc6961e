//! Prices and sizes between scaled integers and the numbers of JSON.
//!
//! Promises: a scaled integer is written as the nearest `f64`, and an `f64` is read by its shortest decimal text, so
//! that a number that was written from at most 15 digits reads back exactly.

use crate::models::num::{NumError, Scale, parse_decimal};

/// Why an object does not say what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A field that is needed is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A word is none of those that the field may have.
    #[error("`{field}` is `{found}`")]
    Word {
        /// The field.
        field: &'static str,
        /// What it holds.
        found: String,
    },
    /// A number does not fit the symbol's scale.
    #[error("`{field}`: {cause}")]
    Number {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        cause: NumError,
    },
}

impl WireError {
    /// Says that a field holds a word that it may not have.
    pub(super) fn word(field: &'static str, found: &str) -> WireError {
        WireError::Word { field, found: found.to_owned() }
    }
}

/// Returns the `f64` nearest to a scaled integer.
#[must_use]
pub fn nearest(raw: i128, scale: Scale) -> f64 {
    // Both sides are exact below 2^53, so that the one division rounds correctly.
    if raw.unsigned_abs() <= 1 << 53 {
        return scale.wide_to_f64(raw);
    }
    scale.show(raw).to_string().parse().expect("a decimal is a number")
}

/// Returns the scaled integer that a number of JSON stands for, rounded half-even beyond the scale.
///
/// # Errors
/// When the number does not fit the scale, or is not finite.
pub fn exact(value: f64, scale: Scale, field: &'static str) -> Result<i64, WireError> {
    let parsed = parse_decimal(value.to_string().as_bytes(), scale);
    parsed.map(|parsed| parsed.raw).map_err(|cause| WireError::Number { field, cause })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_nearest_number_is_that_of_the_decimal_text(raw in any::<i64>(), decimals in 0_u8..=12) {
            let scale = Scale::new(decimals).expect("in range");
            let text = scale.show(i128::from(raw)).to_string();
            prop_assert_eq!(nearest(i128::from(raw), scale), text.parse::<f64>().expect("a number"));
        }

        #[test]
        fn what_has_15_digits_reads_back_exactly(
            raw in -999_999_999_999_999_i64..=999_999_999_999_999,
            decimals in 0_u8..=12,
        ) {
            let scale = Scale::new(decimals).expect("in range");
            prop_assert_eq!(exact(nearest(i128::from(raw), scale), scale, "price"), Ok(raw));
        }
    }

    #[test]
    fn what_does_not_fit_names_its_field() {
        for value in [f64::NAN, f64::INFINITY, 1e300] {
            let error = exact(value, Scale::PRICE, "open").unwrap_err();
            assert!(error.to_string().starts_with("`open`: "), "{error}");
        }
    }
}
