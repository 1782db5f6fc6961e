//! The venue's markets and how it spells what is traded there: `AAPL`, `BTC-USD` and `EUR/USD` on its streams, with a
//! prefix and without a separator over REST.
//!
//! Promises: a symbol belongs to one market, told from its spelling alone. What is traded on none of them is refused.

use super::super::pairs::{self, Market};
use crate::actors::ingest::venue::Listed;

/// The markets, in the order of their streams.
pub(super) const MARKETS: [Market; 3] = [Market::Stocks, Market::Crypto, Market::Forex];

/// Returns the name of a market in the address of its stream.
pub(super) const fn segment(market: Market) -> &'static str {
    match market {
        Market::Stocks => "stocks",
        Market::Crypto => "crypto",
        Market::Forex => "forex",
    }
}

/// Returns the market of a symbol in the spelling of the streams.
pub(super) fn market_of(venue_symbol: &str) -> Market {
    match venue_symbol {
        pair if pair.contains('/') => Market::Forex,
        pair if pair.contains('-') => Market::Crypto,
        _ => Market::Stocks,
    }
}

/// Spells one of our symbols as the streams do. Takes the spelling of REST (`X:BTCUSD`) as well.
pub(super) fn spell(symbol: &str) -> Result<Listed, String> {
    let pair = |pair| match pairs::split(pair) {
        Some((base, quote)) => Ok(format!("{base}-{quote}")),
        None => Err("a pair is two codes, as `BTC-USD`".to_owned()),
    };
    let (name, market) = match symbol.split_once(':') {
        None => pairs::market_of(symbol),
        Some(("X", coins)) => (pair(coins)?, Market::Crypto),
        Some(("C", currencies)) => (pair(currencies)?, Market::Forex),
        Some((prefix, _)) => {
            let what = match prefix {
                "O" => "options are",
                "I" => "indices are",
                _ => "such symbols are",
            };
            return Err(format!("{what} not served; stocks, crypto and forex are"));
        }
    };
    Ok(match market {
        Market::Forex => pairs::listed(&name, &name.replace('-', "/"), market),
        // One half of a pair is no share.
        Market::Stocks if name.contains(['-', '/']) => pair(&name).map(|name| Listed::pair(&name, &name))?,
        Market::Crypto | Market::Stocks => pairs::listed(&name, &name, market),
    })
}

/// Returns the spelling of REST for that of the streams.
pub(super) fn ticker(venue_symbol: &str) -> String {
    match (market_of(venue_symbol), venue_symbol.split_once(['-', '/'])) {
        (Market::Crypto, Some((base, quote))) => format!("X:{base}{quote}"),
        (Market::Forex, Some((base, quote))) => format!("C:{base}{quote}"),
        _ => venue_symbol.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_finds_its_market() {
        for (symbol, name, venue_symbol, rest, market) in [
            ("AAPL", "AAPL", "AAPL", "AAPL", Market::Stocks),
            ("BRK.B", "BRK.B", "BRK.B", "BRK.B", Market::Stocks),
            ("BTC-USD", "BTC-USD", "BTC-USD", "X:BTCUSD", Market::Crypto),
            ("X:BTCUSD", "BTC-USD", "BTC-USD", "X:BTCUSD", Market::Crypto),
            ("X:OPUSD", "OP-USD", "OP-USD", "X:OPUSD", Market::Crypto),
            ("BTCUSD", "BTC-USD", "BTC-USD", "X:BTCUSD", Market::Crypto),
            ("EUR-USD", "EUR-USD", "EUR/USD", "C:EURUSD", Market::Forex),
            ("EUR/USD", "EUR-USD", "EUR/USD", "C:EURUSD", Market::Forex),
            ("C:EURUSD", "EUR-USD", "EUR/USD", "C:EURUSD", Market::Forex),
            ("EURUSD", "EUR-USD", "EUR/USD", "C:EURUSD", Market::Forex),
            ("XAU-USD", "XAU-USD", "XAU/USD", "C:XAUUSD", Market::Forex),
        ] {
            let listed = spell(symbol).expect(symbol);
            assert_eq!(
                (listed.name.as_str(), listed.venue_symbol.as_str()),
                (name, venue_symbol),
                "{symbol}"
            );
            assert_eq!(
                (ticker(&listed.venue_symbol).as_str(), market_of(&listed.venue_symbol)),
                (rest, market)
            );
            assert_eq!(listed.has_only_quotes, market == Market::Forex, "{symbol}");
            assert_eq!(listed.asset_class, market.asset_class(), "{symbol}");
        }
    }

    #[test]
    fn what_is_traded_elsewhere_is_refused() {
        for (symbol, said) in [
            ("O:SPY251219C00650000", "options are not served"),
            ("I:SPX", "indices are not served"),
            ("F:ES", "such symbols are not served"),
            ("BTC-", "a pair is two codes"),
            ("X:BTC", "a pair is two codes"),
        ] {
            let reason = spell(symbol).expect_err(symbol);
            assert!(reason.starts_with(said), "{symbol}: {reason}");
        }
    }
}
