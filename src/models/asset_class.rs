//! Kinds of instruments, and what a name alone says about the kind.
//!
//! Promises: pure rules. A name that says nothing has the class `unknown`; a venue that knows better says so in the log.

use serde::{Deserialize, Serialize};

/// What kind of instrument a symbol names.
// Checkpoints hold the place of a class in this list: new ones go to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssetClass {
    /// A share or a fund.
    Equity,
    /// Two currencies, or a metal in a currency. In logs of 0.1 pairs with a coin are of this class too.
    Pair,
    /// A future.
    Future,
    /// Nobody said.
    Unknown,
    /// A pair with a coin in it: Bitcoin in dollars.
    Crypto,
}

impl AssetClass {
    const ALL: [AssetClass; 5] =
        [AssetClass::Equity, AssetClass::Pair, AssetClass::Crypto, AssetClass::Future, AssetClass::Unknown];

    /// Returns the word that answers use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            AssetClass::Equity => "equity",
            AssetClass::Pair => "pair",
            AssetClass::Crypto => "crypto",
            AssetClass::Future => "future",
            AssetClass::Unknown => "unknown",
        }
    }

    /// Reads the word that answers use.
    #[must_use]
    pub fn parse(text: &str) -> Option<AssetClass> {
        AssetClass::ALL.into_iter().find(|class| class.as_str() == text)
    }

    /// Returns the class of a pair: what is no currency and no metal is a coin.
    #[must_use]
    pub fn of_pair(base: &str, quote: &str) -> AssetClass {
        if is_currency(base) && is_currency(quote) { AssetClass::Pair } else { AssetClass::Crypto }
    }

    /// Guesses the class of a symbol of which nobody has said more than its name: a separator, or a currency at the end of
    /// what is too long for a share, makes a pair; the code of a month and a year at the end makes a future.
    #[must_use]
    pub fn suggested_by(name: &str) -> AssetClass {
        let name = name.rsplit(':').next().unwrap_or(name);
        if let Some((base, quote)) = split(name) {
            AssetClass::of_pair(base, quote)
        } else if is_future(name) {
            AssetClass::Future
        } else {
            AssetClass::Unknown
        }
    }
}

/// Letters of a currency's code.
const CODE_LEN: usize = 3;

/// Currencies and metals that are traded against each other (ISO 4217).
const CURRENCIES: [&str; 50] = [
    "AED", "ARS", "AUD", "BGN", "BHD", "BRL", "CAD", "CHF", "CLP", "CNH", "CNY", "COP", "CZK", "DKK", "EGP",
    "EUR", "GBP", "HKD", "HUF", "IDR", "ILS", "INR", "ISK", "JPY", "KRW", "KWD", "KZT", "MAD", "MXN", "MYR",
    "NOK", "NZD", "PEN", "PHP", "PLN", "QAR", "RON", "RUB", "SAR", "SEK", "SGD", "THB", "TRY", "TWD", "UAH",
    "USD", "VND", "XAG", "XAU", "ZAR",
];

/// True for a currency or a metal, in upper or lower case.
#[must_use]
pub fn is_currency(code: &str) -> bool {
    CURRENCIES.iter().any(|currency| currency.eq_ignore_ascii_case(code))
}

/// True for two currencies without a separator, in upper or lower case.
#[must_use]
pub fn is_joined_forex(symbol: &str) -> bool {
    symbol.len() == 2 * CODE_LEN
        && symbol.is_ascii()
        && is_currency(&symbol[..CODE_LEN])
        && is_currency(&symbol[CODE_LEN..])
}

/// Currencies and coins in which others are priced, the longer ones first: the ends of `BTCUSDT` and `EURJPY`.
const QUOTE_CURRENCIES: [&str; 14] =
    ["USDT", "USDC", "USD", "EUR", "GBP", "JPY", "CHF", "CAD", "AUD", "NZD", "TRY", "BRL", "BTC", "ETH"];

/// Shortest pair without a separator: no share has six letters.
const JOINED_PAIR_LEN_MIN: usize = 6;

/// Takes the name of a pair apart, with a separator or without. What stands behind the separator of a share, its class, is
/// shorter than a currency.
fn split(name: &str) -> Option<(&str, &str)> {
    if let Some((base, quote)) = name.split_once(['-', '/']) {
        return (!base.is_empty() && quote.len() >= CODE_LEN).then_some((base, quote));
    }
    let is_alphanumeric = name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    if name.len() < JOINED_PAIR_LEN_MIN || !is_alphanumeric {
        return None;
    }
    let base = QUOTE_CURRENCIES.iter().find_map(|quote| name.strip_suffix(quote))?;
    Some(name.split_at(base.len()))
}

/// True for a root of up to three characters, a month's letter (F for January to Z for December), and one or two digits of
/// the year, such as `ESH4`, `CLZ25` and `6EM5`.
fn is_future(name: &str) -> bool {
    let root_and_month = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let num_digits = name.len() - root_and_month.len();
    let Some((month, root)) = root_and_month.as_bytes().split_last() else { return false };
    (1..=2).contains(&num_digits)
        && b"FGHJKMNQUVXZ".contains(month)
        && (1..=3).contains(&root.len())
        && root.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        && root.iter().any(u8::is_ascii_uppercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_suggests_the_class_of_its_symbol() {
        for (class, names) in [
            (AssetClass::Pair, &["EURUSD", "C:EUR/JPY", "XAU-USD", "USDTRY"][..]),
            (AssetClass::Crypto, &["BTC-USD", "BTCUSDT", "X:BTCUSD", "1INCHUSDT", "USDT-USD", "ETH-BTC"]),
            (AssetClass::Future, &["ESH4", "CLZ25", "6EM5", "ZNU24"]),
            (
                AssetClass::Unknown,
                &[
                    "AAPL", "BRK.B", "BRK-B", "GOOGL", "SYM0005", "H4", "6H4", "ESA4", "ABCDH4", "NYUSD",
                    "F", "-", "-USD",
                ],
            ),
        ] {
            for name in names {
                assert_eq!(AssetClass::suggested_by(name), class, "{name}");
            }
        }
    }

    #[test]
    fn words_are_read_back_and_their_places_in_checkpoints_stay() {
        for (place, class) in [
            (0, AssetClass::Equity),
            (1, AssetClass::Pair),
            (2, AssetClass::Future),
            (3, AssetClass::Unknown),
        ] {
            assert_eq!(postcard::to_stdvec(&class).expect("plain data"), [place]);
        }
        for class in AssetClass::ALL {
            assert_eq!(AssetClass::parse(class.as_str()), Some(class));
        }
        assert_eq!(AssetClass::parse("coin"), None);
    }

    #[test]
    fn the_list_of_currencies_is_sorted_and_has_no_repeats() {
        assert!(CURRENCIES.is_sorted_by(|a, b| a < b));
    }
}
