//! The steps that a venue's prices and sizes have, as the number of their decimals.

use crate::models::num::{Scale, parse_decimal};

/// Returns the decimals of an increment: `0.01` has two. `None` for 0, for what is finer than any scale, and for what is no
/// number.
pub(super) fn decimals(increment: &str) -> Option<Scale> {
    const FINEST: u8 = 12;
    let finest = Scale::new(FINEST).expect("12 decimals are a scale");
    let mut raw = parse_decimal(increment.as_bytes(), finest).ok().filter(|parsed| !parsed.rounded)?.raw;
    if raw <= 0 {
        return None;
    }
    let mut decimals = FINEST;
    while decimals > 0 && raw % 10 == 0 {
        (raw, decimals) = (raw / 10, decimals - 1);
    }
    Scale::new(decimals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_increment_tells_its_decimals() {
        for (text, expected) in [
            ("0.01", Some(2)),
            ("0.01000000", Some(2)),
            ("1", Some(0)),
            ("10", Some(0)),
            ("1e-3", Some(3)),
            ("0.0000000000001", None),
            ("0", None),
            ("-0.1", None),
            ("", None),
        ] {
            assert_eq!(decimals(text).map(Scale::decimals), expected, "{text}");
        }
    }
}
