//! The symbols of the simulated venue, and their initial prices.
//!
//! Promises: the same for every run, since both follow from names alone; every price is at least one tick. Nothing
//! here fails.

use super::draws::Dice;
use super::market::TICK;
use crate::models::num::Price;

/// The symbols everybody starts with, and a price in cents that is realistic for them.
const DEFAULTS: [(&str, i64); 5] =
    [("AAPL", 22_750), ("GOOGL", 17_640), ("MSFT", 42_310), ("AMZN", 18_925), ("TSLA", 25_180)];

/// Returns `count` names: the five default symbols, then `SIM0001`, `SIM0002` and so on.
#[must_use]
pub fn symbol_names(count: usize) -> Vec<String> {
    let known = DEFAULTS.iter().map(|(name, _)| (*name).to_owned());
    known.chain((1..).map(|number| format!("SIM{number:04}"))).take(count).collect()
}

/// Returns where the price of a symbol begins: the usual one for a default symbol, else one from 5 to 500 that
/// follows from the name alone.
#[must_use]
pub fn initial_price(name: &str) -> Price {
    let cents = DEFAULTS.iter().find(|(known, _)| *known == name).map_or_else(
        || {
            // FNV-1a: std's hasher may differ from one release to the next.
            let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
            (500.0 * 100_f64.powf(Dice::new(hash, 0).unit())) as i64
        },
        |(_, cents)| *cents,
    );
    Price(cents * TICK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_begin_with_the_defaults_and_go_on_with_numbers() {
        assert_eq!(symbol_names(7), ["AAPL", "GOOGL", "MSFT", "AMZN", "TSLA", "SIM0001", "SIM0002"]);
        assert_eq!(symbol_names(2), ["AAPL", "GOOGL"]);
        let many = symbol_names(10_005);
        assert_eq!(many.last().map(String::as_str), Some("SIM10000"));
        assert_eq!(many.iter().collect::<BTreeSet<_>>().len(), many.len());
    }

    #[test]
    fn prices_begin_on_the_grid_and_differ() {
        let prices: BTreeSet<i64> = symbol_names(1_000).iter().map(|name| initial_price(name).0).collect();
        assert!(prices.len() > 900, "{}", prices.len());
        assert!(prices.iter().all(|price| price % TICK == 0 && (500 * TICK..=50_000 * TICK).contains(price)));
        assert_eq!(initial_price("AAPL"), Price(227_500_000_000));
    }
}
