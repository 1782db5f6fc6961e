//! Entries and bars in columns: what the Parquet files of an export hold, both ways.
//!
//! Promises: what the log holds reads back to the very entry. Columns are called as in the tables and objects that users
//! know. Every price and size is a decimal of one type, whatever the scales of its symbol, since readers that are given
//! many files take the type of the first one for all of them. A reader takes the columns it knows by name, of any type
//! that can be cast to ours, and skips others. On failure, reading says which column is at fault.

mod about;
mod bars;
mod control;
mod ticks;

pub use about::{About, AboutError, Dataset};
pub use bars::{bars, bars_schema};
pub use control::{ControlRows, control, control_schema};
pub use ticks::{TickRows, ticks, ticks_schema};

use crate::models::num::{NumError, Scale, div_half_even};
use crate::models::time::Nanos;
use arrow::array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, TimeUnit};
use arrow::error::ArrowError;

/// Digits of the decimals: the most that fit 128 bits, and that readers take.
const PRECISION: u8 = 38;
/// Decimals after the point: the most that a symbol's scale can have.
const SCALE: u8 = 12;
/// What no decimal reaches.
const LIMIT: u128 = 10_u128.pow(PRECISION as u32);

/// Why columns do not say what they should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ColumnError {
    /// A column that is needed is missing.
    #[error("there is no column `{0}`")]
    Missing(&'static str),
    /// A column holds something else.
    #[error("column `{name}` holds {found}, not {wanted}")]
    Type {
        /// The column.
        name: &'static str,
        /// What it holds.
        found: String,
        /// What it should hold.
        wanted: String,
    },
}

fn decimal_type() -> DataType {
    DataType::Decimal128(PRECISION, SCALE.cast_signed())
}

fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))
}

fn needed(name: &str, of: DataType) -> Field {
    Field::new(name, of, false)
}

fn optional(name: &str, of: DataType) -> Field {
    Field::new(name, of, true)
}

/// Returns a scaled integer in units of the decimals; `None` for a sum that does not fit.
fn widen(raw: i128, scale: Scale) -> Option<i128> {
    let factor = 10_i128.pow(u32::from(SCALE - scale.decimals()));
    raw.checked_mul(factor).filter(|wide| wide.unsigned_abs() < LIMIT)
}

/// Returns a scaled integer, which always fits.
fn widened(raw: i64, scale: Scale) -> i128 {
    widen(i128::from(raw), scale).expect("64 bits and 12 decimals have fewer than 38 digits")
}

/// Returns a decimal as a scaled integer, rounded half-even beyond the scale.
fn narrow(wide: i128, scale: Scale) -> Result<i64, NumError> {
    let factor = 10_i128.pow(u32::from(SCALE - scale.decimals()));
    i64::try_from(div_half_even(wide, factor)).map_err(|_| NumError::Overflow)
}

/// Returns a time for a column of times, which has no room for the one that stands for "nobody knows".
fn known(time: Nanos) -> Option<i64> {
    (time != Nanos::MIN).then_some(time.0)
}

/// Returns a column, cast to the type that it should have; nulls where it may be missing and is.
fn column(batch: &RecordBatch, name: &'static str, of: &DataType) -> Result<ArrayRef, ColumnError> {
    let Some(found) = batch.column_by_name(name) else { return Ok(new_null_array(of, batch.num_rows())) };
    if found.data_type() == of {
        return Ok(found.clone());
    }
    let wrong = |_: ArrowError| ColumnError::Type {
        name,
        found: found.data_type().to_string(),
        wanted: of.to_string(),
    };
    cast(found, of).map_err(wrong)
}

/// As [`column`], for one that must be there and have a value in every row.
fn needed_column(batch: &RecordBatch, name: &'static str, of: &DataType) -> Result<ArrayRef, ColumnError> {
    if batch.column_by_name(name).is_none() {
        return Err(ColumnError::Missing(name));
    }
    let found = column(batch, name, of)?;
    match found.null_count() {
        0 => Ok(found),
        _ => Err(ColumnError::Type { name, found: "nulls".to_owned(), wanted: of.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_scaled_integer_has_a_decimal_and_comes_back(raw in any::<i64>(), decimals in 0_u8..=12) {
            let scale = Scale::new(decimals).expect("at most 12");
            prop_assert_eq!(narrow(widened(raw, scale), scale), Ok(raw));
        }
    }

    #[test]
    fn a_decimal_is_rounded_to_a_coarser_scale_and_what_does_not_fit_is_refused() {
        let cents = Scale::new(2).expect("at most 12");
        assert_eq!(narrow(1_005_000_000_000, cents), Ok(100), "1.005 to even");
        assert_eq!(narrow(1_015_000_000_000, cents), Ok(102));
        assert_eq!(narrow(i128::MAX / 10, cents), Err(NumError::Overflow));
        assert_eq!(widen(10_i128.pow(26), Scale::new(0).expect("at most 12")), None, "39 digits");
    }
}
