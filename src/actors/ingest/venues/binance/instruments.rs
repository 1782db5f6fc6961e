//! How Binance spells pairs (`BTCUSDT`), and its list of them.

use super::super::increments::decimals;
use super::super::pairs;
use super::super::text::number;
use super::wire::{ExchangeInfo, ListedSymbol};
use crate::actors::ingest::config::behind;
use crate::actors::ingest::venue::{FrameFault, Listed, Request};
use crate::models::symbol::is_symbol_name;
use reqwest::Url;

/// What the list costs of the venue's limit.
const COST: u32 = 20;

/// Spells one of our symbols.
pub(super) fn spell(symbol: &str) -> Result<Listed, String> {
    let (base, quote) = pairs::split(symbol).ok_or("it is no pair of coins, such as `BTC-USDT`")?;
    Ok(Listed::pair(&format!("{base}-{quote}"), &format!("{base}{quote}").to_ascii_uppercase()))
}

/// Returns where the list is. Without who may trade what, which would make most of it.
pub(super) fn request(rest_url: &Url) -> Request {
    let mut url = behind(rest_url, &["exchangeInfo"]);
    url.query_pairs_mut().append_pair("showPermissionSets", "false");
    Request { cost: COST, ..Request::to(url) }
}

/// Reads the list. Symbols that are no names here (some are Chinese) are left out.
pub(super) fn read(body: &str) -> Result<Vec<Listed>, FrameFault> {
    let info: ExchangeInfo<'_> =
        serde_json::from_str(body).map_err(|error| FrameFault::malformed("list of symbols", error))?;
    let one = |symbol: ListedSymbol<'_>| {
        let name = format!("{}-{}", symbol.base_asset.as_deref()?, symbol.quote_asset.as_deref()?);
        let step =
            |kind: &str| symbol.filters.iter().find(|filter| filter.filter_type.as_deref() == Some(kind));
        is_symbol_name(name.as_bytes()).then(|| Listed {
            is_trading: symbol.status.as_deref().is_none_or(|status| status == "TRADING"),
            price_scale: step("PRICE_FILTER").and_then(|filter| decimals(number(filter.tick_size))),
            size_scale: step("LOT_SIZE").and_then(|filter| decimals(number(filter.step_size))),
            ..Listed::pair(&name, &symbol.symbol)
        })
    };
    Ok(info.symbols.into_iter().filter_map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::num::Scale;

    #[test]
    fn a_pair_is_spelled_without_a_separator() {
        for (ours, name, venue_symbol) in [
            ("BTC-USDT", "BTC-USDT", "BTCUSDT"),
            ("ETH/BTC", "ETH-BTC", "ETHBTC"),
            ("BTCFDUSD", "BTC-FDUSD", "BTCFDUSD"),
        ] {
            let listed = spell(ours).expect("a pair");
            assert_eq!((listed.name.as_str(), listed.venue_symbol.as_str()), (name, venue_symbol), "{ours}");
        }
        assert!(spell("AAPL").expect_err("a share").contains("BTC-USDT"));
    }

    #[test]
    fn the_list_tells_decimals_and_what_trades() {
        let base = Url::parse("https://api.example/api/v3").expect("a URL");
        let request = request(&base);
        assert_eq!(request.url.as_str(), "https://api.example/api/v3/exchangeInfo?showPermissionSets=false");
        assert_eq!(request.cost, COST);
        let body = r#"{"timezone":"UTC","rateLimits":[],"symbols":[
            {"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT","filters":[
                {"filterType":"PRICE_FILTER","minPrice":"0.01000000","tickSize":"0.01000000"},
                {"filterType":"LOT_SIZE","minQty":"0.00001000","stepSize":"0.00001000"},
                {"filterType":"MAX_NUM_ORDERS","maxNumOrders":200}]},
            {"symbol":"SHIBUSDT","status":"BREAK","baseAsset":"SHIB","quoteAsset":"USDT","filters":[
                {"filterType":"PRICE_FILTER","tickSize":"0.00000001"},{"filterType":"LOT_SIZE","stepSize":"1.00"}]},
            {"symbol":"币安人生USDT","status":"TRADING","baseAsset":"币安人生","quoteAsset":"USDT"},
            {"symbol":"NEWUSDT","baseAsset":"NEW","quoteAsset":"USDT"}
        ]}"#;
        let listed = read(body).expect("a list");
        let told: Vec<_> = listed
            .iter()
            .map(|one| {
                let scales = (one.price_scale.map(Scale::decimals), one.size_scale.map(Scale::decimals));
                (one.name.as_str(), one.venue_symbol.as_str(), scales, one.is_trading)
            })
            .collect();
        let expected = [
            ("BTC-USDT", "BTCUSDT", (Some(2), Some(5)), true),
            ("SHIB-USDT", "SHIBUSDT", (Some(8), Some(0)), false),
            ("NEW-USDT", "NEWUSDT", (None, None), true),
        ];
        assert_eq!(told, expected);
        for body in ["", "[]", r#"{"code":-1003,"msg":"Too many requests"}"#] {
            assert!(read(body).is_err(), "{body}");
        }
    }
}
