//! Exact decimal numbers: prices and sizes as fixed-point integers.
//!
//! Promises: a value is read from its decimal text without a detour over binary floating point; digits beyond the
//! scale are rounded half-even and reported; what does not fit is an error, never a wrapped or saturated number.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Number of decimals of a fixed-point value, 0 to 12.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Scale(u8);

/// Powers of ten that a scale can name; index = number of decimals.
const POWERS: [i64; 13] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
    1_000_000_000,
    10_000_000_000,
    100_000_000_000,
    1_000_000_000_000,
];

impl Scale {
    /// Default scale of prices: 9 decimals.
    pub const PRICE: Scale = Scale(9);
    /// Default scale of sizes: 8 decimals.
    pub const SIZE: Scale = Scale(8);
    /// Scale of every VWAP: 9 decimals, whatever the symbol's price scale.
    pub const VWAP: Scale = Scale(9);

    /// Returns the scale with that many decimals, or `None` above 12.
    #[must_use]
    pub const fn new(decimals: u8) -> Option<Scale> {
        if decimals <= 12 { Some(Scale(decimals)) } else { None }
    }

    /// Returns the number of decimals.
    #[must_use]
    pub const fn decimals(self) -> u8 {
        self.0
    }

    /// Returns ten to the power of the scale.
    #[must_use]
    pub const fn factor(self) -> i64 {
        POWERS[self.0 as usize]
    }

    /// Converts a scaled integer to the nearest `f64`.
    #[must_use]
    pub fn to_f64(self, raw: i64) -> f64 {
        raw as f64 / self.factor() as f64
    }

    /// Converts a wide scaled integer (a volume) to `f64`.
    #[must_use]
    pub fn wide_to_f64(self, raw: i128) -> f64 {
        raw as f64 / self.factor() as f64
    }

    /// Shows a scaled integer as decimal text without trailing zeros.
    #[must_use]
    pub fn show(self, raw: i128) -> Decimal {
        Decimal { raw, scale: self }
    }
}

/// A scaled integer on its way to text: `Display` prints the exact decimal, trailing zeros dropped.
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    raw: i128,
    scale: Scale,
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let factor = i128::from(self.scale.factor());
        if self.raw < 0 {
            f.write_str("-")?;
        }
        let magnitude = self.raw.unsigned_abs();
        let (whole, mut rest) = (magnitude / factor.unsigned_abs(), magnitude % factor.unsigned_abs());
        write!(f, "{whole}")?;
        if rest != 0 {
            let mut width = usize::from(self.scale.decimals());
            while rest % 10 == 0 {
                rest /= 10;
                width -= 1;
            }
            write!(f, ".{rest:0width$}")?;
        }
        Ok(())
    }
}

/// A price in units of 10^-scale of the symbol's currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Price(pub i64);

impl Price {
    /// Prices stay below this (2^59 scaled units), so that 400 times a squared price fits an `i128`.
    pub const LIMIT: i64 = 1 << 59;
}

/// A traded amount in units of 10^-scale of the instrument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Size(pub i64);

/// Price × size of one trade stays below this, so that no sum over 2^31 trades overflows an `i128`.
pub const NOTIONAL_LIMIT: i128 = 1 << 96;

/// Why a text is not a number that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumError {
    /// The text is not a decimal number.
    #[error("not a decimal number")]
    Malformed,
    /// The number does not fit the symbol's scale.
    #[error("number does not fit")]
    Overflow,
}

/// A parsed decimal and whether digits beyond the scale were rounded away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The value in units of 10^-scale.
    pub raw: i64,
    /// True when non-zero digits beyond the scale were rounded half-even.
    pub rounded: bool,
}

/// Reads decimal text (`-12.50`, `1e-8`, `+3`) as a scaled integer, rounding half-even beyond the scale.
///
/// # Errors
/// [`NumError::Malformed`] for anything that is not a plain decimal number (so `NaN` and `inf` too),
/// [`NumError::Overflow`] for a value that does not fit an `i64` at this scale.
pub fn parse_decimal(text: &[u8], scale: Scale) -> Result<Parsed, NumError> {
    let (negative, digits) = match text.first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    // The common case first: at most 18 digits, no exponent, not more decimals than the scale.
    let mut value: u64 = 0;
    let mut decimals: usize = 0;
    let mut seen_point = false;
    if digits.len() <= 19 && !digits.is_empty() {
        let mut plain = true;
        for &byte in digits {
            let digit = byte.wrapping_sub(b'0');
            if digit <= 9 {
                value = value * 10 + u64::from(digit);
                decimals += usize::from(seen_point);
            } else if byte == b'.' && !seen_point {
                seen_point = true;
            } else {
                plain = false;
                break;
            }
        }
        let room = usize::from(scale.decimals());
        let num_digits = digits.len() - usize::from(seen_point);
        if plain && decimals <= room && num_digits > 0 && num_digits <= 18 {
            let raw = (value as i64).checked_mul(POWERS[room - decimals]).ok_or(NumError::Overflow)?;
            return Ok(Parsed { raw: if negative { -raw } else { raw }, rounded: false });
        }
    }
    parse_decimal_slow(negative, digits, scale)
}

/// Handles exponents, long digit strings and rounding.
fn parse_decimal_slow(negative: bool, digits: &[u8], scale: Scale) -> Result<Parsed, NumError> {
    let mantissa_len = digits.iter().position(|b| matches!(b, b'e' | b'E')).unwrap_or(digits.len());
    let exponent: i32 = match digits.get(mantissa_len + 1..) {
        Some(text) => {
            std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(NumError::Malformed)?
        }
        None => 0,
    };
    let mantissa = &digits[..mantissa_len];
    let point = mantissa.iter().position(|&b| b == b'.');
    let significant: Vec<u8> = mantissa
        .iter()
        .enumerate()
        .filter(|(at, _)| Some(*at) != point)
        .map(|(_, &byte)| byte.wrapping_sub(b'0'))
        .collect();
    if significant.is_empty() || significant.iter().any(|&digit| digit > 9) {
        return Err(NumError::Malformed);
    }
    let point = i64::try_from(point.unwrap_or(mantissa.len())).map_err(|_| NumError::Malformed)?;
    // How many leading digits of `significant` stay in the scaled integer; beyond its end zeros follow.
    let kept = point + i64::from(exponent) + i64::from(scale.decimals());
    let mut raw: i128 = 0;
    for at in 0..kept.max(0) {
        let digit = usize::try_from(at).ok().and_then(|at| significant.get(at)).copied();
        if digit.is_none() && raw == 0 {
            break;
        }
        raw = raw * 10 + i128::from(digit.unwrap_or(0));
        if raw > i128::from(i64::MAX) {
            return Err(NumError::Overflow);
        }
    }
    let rest: &[u8] = match usize::try_from(kept) {
        Ok(kept) => significant.get(kept..).unwrap_or(&[]),
        Err(_) => &significant,
    };
    let rounded = rest.iter().any(|&digit| digit != 0);
    // The first digit beyond the scale decides, unless zeros stand before the significant ones.
    let up = kept >= 0
        && match rest.first() {
            Some(&first) if first > 5 => true,
            Some(&5) => rest[1..].iter().any(|&digit| digit != 0) || raw % 2 == 1,
            _ => false,
        };
    raw += i128::from(up);
    let raw = i64::try_from(raw).map_err(|_| NumError::Overflow)?;
    Ok(Parsed { raw: if negative { -raw } else { raw }, rounded })
}

/// Divides, rounding half to even. The divisor is positive.
#[must_use]
pub fn div_half_even(numerator: i128, divisor: i128) -> i128 {
    debug_assert!(divisor > 0, "divisor is positive");
    let (quotient, rest) = (numerator.div_euclid(divisor), numerator.rem_euclid(divisor));
    match (rest * 2).cmp(&divisor) {
        std::cmp::Ordering::Less => quotient,
        std::cmp::Ordering::Greater => quotient + 1,
        std::cmp::Ordering::Equal => quotient + (quotient & 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn raw(text: &str) -> Result<Parsed, NumError> {
        parse_decimal(text.as_bytes(), Scale::SIZE)
    }

    #[test]
    fn reads_plain_long_and_exponent_forms() {
        let table = [
            ("0", 0, false),
            ("1", 100_000_000, false),
            ("-12.5", -1_250_000_000, false),
            ("0.00000001", 1, false),
            ("1e-8", 1, false),
            ("1E2", 10_000_000_000, false),
            ("0.000000005", 0, true),
            ("0.000000015", 2, true),
            ("0.0000000051", 1, true),
            ("0.10000000149011612", 10_000_000, true),
            ("00000000000000000000.5", 50_000_000, false),
            ("1.50000000000000000000000", 150_000_000, false),
            ("5e-12", 0, true),
            (".5", 50_000_000, false),
            ("5.", 500_000_000, false),
        ];
        for (text, value, rounded) in table {
            assert_eq!(raw(text), Ok(Parsed { raw: value, rounded }), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_number_or_does_not_fit() {
        for text in ["", "-", ".", "abc", "1.2.3", "NaN", "inf", "1e", "1e+x", "0x10", "1,5", " 1"] {
            assert_eq!(raw(text), Err(NumError::Malformed), "{text}");
        }
        for text in ["92233720368547758070", "1e30", "92233720368.54775808"] {
            assert_eq!(raw(text), Err(NumError::Overflow), "{text}");
        }
    }

    #[test]
    fn rounds_half_to_even_in_division() {
        let table = [(5, 2, 2), (7, 2, 4), (6, 4, 2), (10, 4, 2), (11, 4, 3), (-5, 2, -2), (-7, 2, -4)];
        for (numerator, divisor, expected) in table {
            assert_eq!(div_half_even(numerator, divisor), expected, "{numerator}/{divisor}");
        }
    }

    proptest! {
        #[test]
        fn text_round_trips(value in any::<i64>().prop_filter("has a magnitude", |v| *v != i64::MIN), decimals in 0_u8..=12) {
            let scale = Scale::new(decimals).expect("in range");
            let text = scale.show(i128::from(value)).to_string();
            prop_assert_eq!(parse_decimal(text.as_bytes(), scale), Ok(Parsed { raw: value, rounded: false }));
        }
    }
}
