//! Currencies, coins, and how venues spell pairs of them.
//!
//! Promises: our spelling of a pair is `BASE-QUOTE`; a text that can be a share is taken for one. Nothing here fails.

use crate::actors::ingest::venue::Listed;
use crate::models::asset_class::{AssetClass, is_currency, is_joined_forex};

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

impl Market {
    /// Returns the class of what is traded there.
    pub(super) fn asset_class(self) -> AssetClass {
        match self {
            Market::Stocks => AssetClass::Equity,
            Market::Crypto => AssetClass::Crypto,
            Market::Forex => AssetClass::Pair,
        }
    }
}

/// What coins are priced in, longest first, so that `USDT` is not taken for a pair against `T`.
const QUOTES_OF_COINS: [&str; 10] =
    ["FDUSD", "USDT", "USDC", "USD", "EUR", "GBP", "JPY", "BTC", "ETH", "BNB"];

/// Shortest text without a separator that is taken for a pair: shares of five letters end in none of the above.
const JOINED_LEN_MIN: usize = 5;

/// Returns a symbol of a market as venues list it that have no list: shares and pairs, of currencies quotes alone.
pub(super) fn listed(name: &str, venue_symbol: &str, market: Market) -> Listed {
    Listed {
        asset_class: market.asset_class(),
        has_only_quotes: market == Market::Forex,
        ..Listed::pair(name, venue_symbol)
    }
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
        return Some(symbol.split_at(symbol.len() / 2));
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
}
