//! Currencies, coins, and how venues spell pairs of them.
//!
//! Promises: our spelling of a pair is `BASE-QUOTE`; a text that can be a share is taken for one. Nothing here fails.

/// What coins are priced in, longest first, so that `USDT` is not taken for a pair against `T`.
const QUOTES_OF_COINS: [&str; 10] =
    ["FDUSD", "USDT", "USDC", "USD", "EUR", "GBP", "JPY", "BTC", "ETH", "BNB"];

/// Shortest text without a separator that is taken for a pair.
const JOINED_LEN_MIN: usize = 5;

/// Takes a pair apart: `BTC-USD`, `BTC/USD`, or `BTCUSD` where that can be no share.
pub(super) fn split(symbol: &str) -> Option<(&str, &str)> {
    if let Some((base, quote)) = symbol.split_once(['-', '/']) {
        return (!base.is_empty() && !quote.is_empty()).then_some((base, quote));
    }
    if symbol.len() < JOINED_LEN_MIN || !symbol.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let base = QUOTES_OF_COINS.iter().find_map(|quote| symbol.strip_suffix(quote))?;
    (base.len() > 1).then(|| symbol.split_at(base.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_have_two_halves() {
        for (symbol, halves) in [
            ("BTC-USD", Some(("BTC", "USD"))),
            ("BTC/USD", Some(("BTC", "USD"))),
            ("BTCFDUSD", Some(("BTC", "FDUSD"))),
            ("BTCUSDT", Some(("BTC", "USDT"))),
            ("XRPETH", Some(("XRP", "ETH"))),
            ("AAPL", None),
            ("-", None),
            ("", None),
        ] {
            assert_eq!(split(symbol), halves, "{symbol}");
        }
    }
}
