//! Currencies, coins, and how venues spell pairs of them.
//!
//! Promises: our spelling of a pair is `BASE-QUOTE`; a text that can be a share is taken for one. Nothing here fails.

use crate::actors::ingest::venue::Listed;
use crate::models::symbol::AssetClass;

/// What a symbol is traded as. Venues keep these markets apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Market {
    /// Shares and funds.
    Stocks,
    /// Pairs of which a half at least is a coin.
    Crypto,
    /// Pairs of currencies, and metals against them.
    Forex,
}

/// Currencies and metals that are traded against each other (ISO 4217). What is none of them is a coin.
const CURRENCIES: [&str; 50] = [
    "AED", "ARS", "AUD", "BGN", "BHD", "BRL", "CAD", "CHF", "CLP", "CNH", "CNY", "COP", "CZK", "DKK", "EGP",
    "EUR", "GBP", "HKD", "HUF", "IDR", "ILS", "INR", "ISK", "JPY", "KRW", "KWD", "KZT", "MAD", "MXN", "MYR",
    "NOK", "NZD", "PEN", "PHP", "PLN", "QAR", "RON", "RUB", "SAR", "SEK", "SGD", "THB", "TRY", "TWD", "UAH",
    "USD", "VND", "XAG", "XAU", "ZAR",
];

/// What coins are priced in, longest first, so that `USDT` is not taken for a pair against `T`.
const QUOTES_OF_COINS: [&str; 10] =
    ["FDUSD", "USDT", "USDC", "USD", "EUR", "GBP", "JPY", "BTC", "ETH", "BNB"];

/// Shortest text without a separator that is taken for a pair: shares of five letters end in none of the above.
const JOINED_LEN_MIN: usize = 5;

/// Letters of a currency's code.
const CODE_LEN: usize = 3;

/// Returns a symbol of a market as venues list it that have no list: shares and pairs, of currencies quotes alone.
pub(super) fn listed(name: &str, venue_symbol: &str, market: Market) -> Listed {
    Listed {
        asset_class: if market == Market::Stocks { AssetClass::Equity } else { AssetClass::Pair },
        has_only_quotes: market == Market::Forex,
        ..Listed::pair(name, venue_symbol)
    }
}

/// True for a currency or a metal, in upper or lower case.
pub(super) fn is_currency(code: &str) -> bool {
    CURRENCIES.iter().any(|currency| currency.eq_ignore_ascii_case(code))
}

/// True for two currencies without a separator, in upper or lower case.
pub(super) fn is_joined_forex(symbol: &str) -> bool {
    symbol.len() == 2 * CODE_LEN
        && symbol.is_ascii()
        && is_currency(&symbol[..CODE_LEN])
        && is_currency(&symbol[CODE_LEN..])
}

/// Takes a pair apart: `BTC-USD`, `BTC/USD`, or `BTCUSD` where that can be no share.
pub(super) fn split(symbol: &str) -> Option<(&str, &str)> {
    if let Some((base, quote)) = symbol.split_once(['-', '/']) {
        return (!base.is_empty() && !quote.is_empty()).then_some((base, quote));
    }
    if symbol.len() < JOINED_LEN_MIN || !symbol.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    if is_joined_forex(symbol) {
        return Some(symbol.split_at(CODE_LEN));
    }
    let base = QUOTES_OF_COINS.iter().find_map(|quote| symbol.strip_suffix(quote))?;
    (base.len() > 1).then(|| symbol.split_at(base.len()))
}

/// Returns our spelling, and the market: of `BTCUSD` it is `BTC-USD`.
pub(super) fn market_of(symbol: &str) -> (String, Market) {
    match split(symbol) {
        None => (symbol.to_owned(), Market::Stocks),
        Some((base, quote)) => {
            let is_forex = is_currency(base) && is_currency(quote);
            (format!("{base}-{quote}"), if is_forex { Market::Forex } else { Market::Crypto })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_told_from_shares() {
        for (symbol, name, market) in [
            ("AAPL", "AAPL", Market::Stocks),
            ("BRK.B", "BRK.B", Market::Stocks),
            ("GOOGL", "GOOGL", Market::Stocks),
            ("TSCO.LON", "TSCO.LON", Market::Stocks),
            ("BTC-USD", "BTC-USD", Market::Crypto),
            ("BTC/USD", "BTC-USD", Market::Crypto),
            ("BTCUSD", "BTC-USD", Market::Crypto),
            ("DOGEUSD", "DOGE-USD", Market::Crypto),
            ("OPUSD", "OP-USD", Market::Crypto),
            ("GBTC", "GBTC", Market::Stocks),
            ("SOLUSDT", "SOL-USDT", Market::Crypto),
            ("BTCFDUSD", "BTC-FDUSD", Market::Crypto),
            ("ETH-BTC", "ETH-BTC", Market::Crypto),
            ("ETHBTC", "ETH-BTC", Market::Crypto),
            ("USDT-USD", "USDT-USD", Market::Crypto),
            ("EUR-USD", "EUR-USD", Market::Forex),
            ("GBPJPY", "GBP-JPY", Market::Forex),
            ("USDEUR", "USD-EUR", Market::Forex),
            ("XAU-USD", "XAU-USD", Market::Forex),
            ("-", "-", Market::Stocks),
            ("", "", Market::Stocks),
        ] {
            assert_eq!(market_of(symbol), (name.to_owned(), market), "{symbol}");
        }
    }

    #[test]
    fn the_list_is_sorted_and_has_no_repeats() {
        assert!(CURRENCIES.is_sorted_by(|a, b| a < b));
    }
}
