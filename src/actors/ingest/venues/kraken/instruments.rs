//! How Kraken spells pairs, and its list of them.
//!
//! The stream says `BTC/USD`. REST knows bitcoin and dogecoin by older names, `XBT` and `XDG`, and has no separator:
//! `XBTUSD`. Its list has the stream's form with REST's names: `XBT/USD`.

use super::super::pairs;
use super::wire::{Answer, Pair};
use crate::actors::ingest::config::behind;
use crate::actors::ingest::venue::{FrameFault, Listed, Request};
use crate::models::num::Scale;
use crate::models::symbol::is_symbol_name;
use reqwest::Url;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Coins that REST knows by another name than the stream: the stream's, REST's.
const REST_NAMES: [(&str, &str); 2] = [("BTC", "XBT"), ("DOGE", "XDG")];

/// Returns the stream's name of a coin.
fn stream_name(coin: &str) -> &str {
    REST_NAMES.iter().find(|(_, rest)| *rest == coin).map_or(coin, |(stream, _)| stream)
}

/// Returns REST's name of a coin.
fn rest_name(coin: &str) -> &str {
    REST_NAMES.iter().find(|(stream, _)| *stream == coin).map_or(coin, |(_, rest)| rest)
}

/// Returns REST's spelling of a pair that the stream spells so.
pub(super) fn rest_pair(venue_symbol: &str) -> String {
    let (base, quote) = venue_symbol.split_once('/').unwrap_or((venue_symbol, ""));
    format!("{}{}", rest_name(base), rest_name(quote))
}

/// Spells one of our symbols.
pub(super) fn spell(symbol: &str) -> Result<Listed, String> {
    let (base, quote) =
        pairs::split(symbol).ok_or("it is no pair of coins or currencies, such as `BTC-USD`")?;
    Ok(listed(base, quote))
}

fn listed(base: &str, quote: &str) -> Listed {
    let (base, quote) = (stream_name(base), stream_name(quote));
    let name = format!("{base}-{quote}").to_ascii_uppercase();
    Listed::pair(&name, &format!("{base}/{quote}"))
}

/// Returns where the list of pairs is.
pub(super) fn request(rest_url: &Url) -> Request {
    Request::to(behind(rest_url, &["AssetPairs"]))
}

/// Reads the list of pairs. Those without a name on the stream (dark pools) are not for us.
pub(super) fn read(body: &str) -> Result<Vec<Listed>, FrameFault> {
    let malformed = |error: serde_json::Error| FrameFault::malformed("list of pairs", error);
    let answer: Answer<'_> = serde_json::from_str(body).map_err(malformed)?;
    let result = answer.result.map_or("null", RawValue::get);
    let pairs: BTreeMap<String, Pair<'_>> = serde_json::from_str(result).map_err(malformed)?;
    let one = |pair: Pair<'_>| {
        let (base, quote) = pair.wsname.as_deref()?.split_once('/')?;
        let listed = Listed {
            is_trading: pair.status.as_deref().is_none_or(|status| status == "online"),
            price_scale: pair.pair_decimals.and_then(Scale::new),
            size_scale: pair.lot_decimals.and_then(Scale::new),
            ..listed(base, quote)
        };
        is_symbol_name(listed.name.as_bytes()).then_some(listed)
    };
    Ok(pairs.into_values().filter_map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_has_a_spelling_for_each_way() {
        for (ours, stream, rest) in [
            ("BTC-USD", "BTC/USD", "XBTUSD"),
            ("ETH/EUR", "ETH/EUR", "ETHEUR"),
            ("DOGE-BTC", "DOGE/BTC", "XDGXBT"),
            ("XBTUSD", "BTC/USD", "XBTUSD"),
            ("XDG-USD", "DOGE/USD", "XDGUSD"),
        ] {
            let listed = spell(ours).expect("a pair");
            assert_eq!((listed.venue_symbol.as_str(), rest_pair(stream).as_str()), (stream, rest), "{ours}");
            assert_eq!(listed.name, stream.replace('/', "-"));
        }
        assert!(spell("AAPL").expect_err("a share").contains("BTC-USD"));
    }

    #[test]
    fn the_list_tells_decimals_and_what_trades() {
        let body = r#"{"error":[],"result":{
            "XXBTZUSD":{"altname":"XBTUSD","wsname":"XBT/USD","pair_decimals":1,"lot_decimals":8,"status":"online","fees":[[0,0.4]]},
            "XDGEUR":{"altname":"XDGEUR","wsname":"XDG/EUR","pair_decimals":7,"lot_decimals":8,"status":"cancel_only"},
            "AAPLxUSD":{"altname":"AAPLxUSD","wsname":"AAPLx/USD"},
            "XXBTZUSD.d":{"altname":"XBTUSD.d"},
            "ODD":{"wsname":"O DD/USD","pair_decimals":99}
        }}"#;
        let listed = read(body).expect("a list");
        let mut told: Vec<_> = listed
            .iter()
            .map(|one| {
                let scales = (one.price_scale.map(Scale::decimals), one.size_scale.map(Scale::decimals));
                (one.name.as_str(), one.venue_symbol.as_str(), scales, one.is_trading)
            })
            .collect();
        told.sort_unstable();
        let expected = [
            ("AAPLX-USD", "AAPLx/USD", (None, None), true),
            ("BTC-USD", "BTC/USD", (Some(1), Some(8)), true),
            ("DOGE-EUR", "DOGE/EUR", (Some(7), Some(8)), false),
        ];
        assert_eq!(told, expected);
        for body in ["", "[]", r#"{"error":["EService:Busy"]}"#, r#"{"error":[],"result":[1]}"#] {
            assert!(read(body).is_err(), "{body}");
        }
    }
}
