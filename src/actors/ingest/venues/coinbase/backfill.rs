//! Past trades and the list of products over REST.

use super::super::increments::decimals;
use super::super::numbered;
use super::super::text::number;
use super::parse::trade_texts;
use super::wire::{PastTrade, Product};
use crate::actors::ingest::config::behind;
use crate::actors::ingest::venue::{Context, Cursor, FrameFault, Heard, Listed, Request, TradesPage};
use reqwest::Url;

/// Trades of a page: the most that the venue gives.
const PAGE_LEN: &str = "1000";

/// Returns where the list of products is.
pub(super) fn products_request(rest_url: &Url) -> Request {
    Request::to(behind(rest_url, &["products"]))
}

/// Reads the list of products.
pub(super) fn read_products(body: &str) -> Result<Vec<Listed>, FrameFault> {
    let products: Vec<Product<'_>> =
        serde_json::from_str(body).map_err(|error| FrameFault::malformed("list of products", error))?;
    let listed = |product: Product<'_>| Listed {
        is_trading: product.status.is_none_or(|status| status == "online")
            && product.trading_disabled != Some(true),
        price_scale: decimals(number(product.quote_increment)),
        size_scale: decimals(number(product.base_increment)),
        ..Listed::pair(&product.id, &product.id)
    };
    Ok(products.into_iter().map(listed).collect())
}

/// Returns where a page of trades is. `after` means older than that id: pages go backwards in time.
pub(super) fn trades_request(rest_url: &Url, page: &TradesPage<'_>) -> Request {
    let mut url = behind(rest_url, &["products", &page.instrument.venue_symbol, "trades"]);
    let mut query = url.query_pairs_mut();
    query.append_pair("limit", PAGE_LEN);
    let before = page.before.map(|before| before.to_string());
    if let Some(before) = page.cursor.or(before.as_ref()) {
        query.append_pair("after", before);
    }
    drop(query);
    Request::to(url)
}

/// Reads a page of trades, newest first as the venue gives them. The next one holds those before its oldest.
pub(super) fn read_trades(
    body: &str,
    page: &TradesPage<'_>,
    context: &Context<'_>,
    heard: &mut Heard,
) -> Result<Option<Cursor>, FrameFault> {
    let trades: Vec<PastTrade<'_>> =
        serde_json::from_str(body).map_err(|error| FrameFault::malformed("page of trades", error))?;
    let texts = trades.iter().map(|trade| {
        let time = trade.time.as_deref().unwrap_or_default();
        trade_texts(trade.trade_id, trade.price, trade.size, time)
    });
    let oldest = numbered::page(texts, page.instrument, context, heard);
    let more = oldest.filter(|oldest| match page.after {
        Some(after) => oldest.id > after.saturating_add(1),
        None => oldest.ts >= page.since,
    });
    Ok(more.map(|oldest| oldest.id.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::ingest::venue::{Instrument, Instruments};
    use crate::models::entry::SourceId;
    use crate::models::num::Scale;
    use crate::models::symbol::SymbolId;
    use crate::models::time::Nanos;

    fn instrument() -> Instrument {
        Instrument {
            symbol: SymbolId(1),
            venue_symbol: "BTC-USD".to_owned(),
            price_scale: Scale::PRICE,
            size_scale: Scale::SIZE,
        }
    }

    fn first_page(instrument: &Instrument) -> TradesPage<'_> {
        TradesPage { instrument, after: None, before: None, since: Nanos(0), until: None, cursor: None }
    }

    #[test]
    fn products_say_their_decimals_and_whether_they_trade() {
        let body = r#"[
            {"id":"BTC-USD","quote_increment":"0.01","base_increment":"0.00000001","status":"online","trading_disabled":false},
            {"id":"PEPE-USD","quote_increment":"0.00000001","base_increment":"1","status":"delisted"},
            {"id":"ODD-USD","quote_increment":1e-3,"base_increment":"0","trading_disabled":true},
            {"id":"NEW-USD"}
        ]"#;
        let listed = read_products(body).expect("a list");
        let told: Vec<_> = listed
            .iter()
            .map(|one| {
                (
                    one.venue_symbol.as_str(),
                    one.price_scale.map(Scale::decimals),
                    one.size_scale.map(Scale::decimals),
                    one.is_trading,
                )
            })
            .collect();
        let expected = [
            ("BTC-USD", Some(2), Some(8), true),
            ("PEPE-USD", Some(8), Some(0), false),
            ("ODD-USD", Some(3), None, false),
            ("NEW-USD", None, None, true),
        ];
        assert_eq!(told, expected);
        assert!(read_products("{\"message\":\"NotFound\"}").is_err());
    }

    #[test]
    fn a_page_has_the_trades_of_the_stream() {
        let instrument = instrument();
        let page_of = |after| TradesPage { after, ..first_page(&instrument) };
        let instruments = Instruments::new(vec![instrument.clone()]);
        let context = Context {
            instruments: &instruments,
            source: SourceId(0),
            received: Nanos(1_800_000_000_000_000_000),
        };
        let body = r#"[{"time":"2026-09-08T14:30:02.028459123Z","trade_id":463751434,"price":"68900.16","size":"0.05","side":"sell"},
                       {"time":"never","trade_id":463751433,"price":"68900.16","size":"0.05","side":"buy"}]"#;
        let mut page = Heard::default();
        let next = read_trades(body, &page_of(None), &context, &mut page).expect("a page");
        assert_eq!(next.as_deref(), Some("463751434"), "older ones may be wanted");
        for (after, is_more) in [(463_751_433, false), (463_751_432, true)] {
            let next = read_trades(body, &page_of(Some(after)), &context, &mut Heard::default());
            assert_eq!(next.expect("a page").is_some(), is_more, "{after}");
        }
        let mut stream = Heard::default();
        let frame = r#"{"type":"match","trade_id":463751434,"sequence":5,"time":"2026-09-08T14:30:02.028459Z","product_id":"BTC-USD","size":"0.05","price":"68900.16","side":"sell"}"#;
        super::super::parse::frame(frame, &context, &mut stream);
        assert_eq!(page.events, stream.events, "to the last bit, or it would be a conflict");
        assert_eq!(page.faults.iter().map(|fault| fault.kind).collect::<Vec<_>>(), ["bad_time"]);
        assert!(read_trades("<html>", &page_of(None), &context, &mut page).is_err());
    }

    #[test]
    fn pages_go_backwards() {
        let base = Url::parse("https://api.example/x").expect("a URL");
        let (instrument, cursor) = (instrument(), "42".to_owned());
        let first = first_page(&instrument);
        let url = |page: &TradesPage<'_>| trades_request(&base, page).url.to_string();
        let before = TradesPage { before: Some(77), ..first };
        assert_eq!(url(&before), "https://api.example/x/products/BTC-USD/trades?limit=1000&after=77");
        assert_eq!(url(&first), "https://api.example/x/products/BTC-USD/trades?limit=1000");
        let next = TradesPage { cursor: Some(&cursor), ..before };
        assert_eq!(url(&next), "https://api.example/x/products/BTC-USD/trades?limit=1000&after=42");
    }
}
