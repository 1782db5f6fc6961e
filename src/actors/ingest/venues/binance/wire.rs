//! What Binance's frames and answers hold, as far as it is used. Unknown keys are normal and are skipped; numbers stay as they
//! stand until they are read as decimals. Keys differ by the case of one letter.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A frame: an event of a stream in its envelope (`stream`, `data`), or the answer to a message. An event without an envelope
/// has none of these keys.
#[derive(Debug, Deserialize)]
pub(super) struct Frame<'a> {
    #[serde(default, borrow)]
    pub stream: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    pub data: Option<&'a RawValue>,
    /// Which message it answers.
    #[serde(default, borrow)]
    pub id: Option<&'a RawValue>,
    /// Why a message is refused; `code` and `msg` beside it say the same in another form.
    #[serde(default, borrow)]
    pub error: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub code: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub msg: Option<Cow<'a, str>>,
}

/// An event of a stream.
#[derive(Debug, Deserialize)]
pub(super) struct Event<'a> {
    #[serde(default, borrow, rename = "e")]
    pub kind: Option<Cow<'a, str>>,
    #[serde(default, borrow, rename = "s")]
    pub symbol: Option<Cow<'a, str>>,
    #[serde(default, borrow, rename = "t")]
    pub trade_id: Option<&'a RawValue>,
    #[serde(default, borrow, rename = "a")]
    pub agg_id: Option<&'a RawValue>,
    #[serde(default, borrow, rename = "p")]
    pub price: Option<&'a RawValue>,
    #[serde(default, borrow, rename = "q")]
    pub size: Option<&'a RawValue>,
    #[serde(default, borrow, rename = "T")]
    pub time: Option<&'a RawValue>,
}

/// Why a message is refused.
#[derive(Debug, Deserialize)]
pub(super) struct ErrorSaid<'a> {
    #[serde(default, borrow)]
    pub code: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub msg: Option<Cow<'a, str>>,
}

/// A trade of a page: `historicalTrades` and `aggTrades` have the same in other keys.
#[derive(Debug, Deserialize)]
pub(super) struct PastTrade<'a> {
    #[serde(default, borrow, alias = "a")]
    pub id: Option<&'a RawValue>,
    #[serde(default, borrow, alias = "p")]
    pub price: Option<&'a RawValue>,
    #[serde(default, borrow, alias = "q")]
    pub qty: Option<&'a RawValue>,
    #[serde(default, borrow, alias = "T")]
    pub time: Option<&'a RawValue>,
}

/// A row of bars: its columns.
pub(super) type Row<'a> = Vec<&'a RawValue>;

/// The list of instruments.
#[derive(Debug, Deserialize)]
pub(super) struct ExchangeInfo<'a> {
    #[serde(borrow)]
    pub symbols: Vec<ListedSymbol<'a>>,
}

/// An instrument of the list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListedSymbol<'a> {
    #[serde(borrow)]
    pub symbol: Cow<'a, str>,
    #[serde(default, borrow)]
    pub status: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    pub base_asset: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    pub quote_asset: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    pub filters: Vec<Filter<'a>>,
}

/// A rule for orders; two of them tell the steps of prices and sizes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Filter<'a> {
    #[serde(default, borrow)]
    pub filter_type: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    pub tick_size: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub step_size: Option<&'a RawValue>,
}
