//! What Kraken's frames and answers hold, as far as it is used. Unknown keys are normal and are skipped; numbers stay as they
//! stand until they are read as decimals.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A frame of the stream: data of a channel, the answer to a message (`method`), or a complaint that answers nothing
/// (`Error`).
#[derive(Debug, Deserialize)]
pub(super) struct Frame<'a> {
    #[serde(default, borrow)]
    pub channel: Option<Cow<'a, str>>,
    #[serde(default, borrow, rename = "type")]
    pub kind: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    pub data: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub method: Option<Cow<'a, str>>,
    #[serde(default)]
    pub success: Option<bool>,
    #[serde(default, borrow)]
    pub result: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub symbol: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    pub error: Option<Cow<'a, str>>,
    #[serde(default, borrow, rename = "Error")]
    pub complaint: Option<Cow<'a, str>>,
}

/// A trade in the data of a frame.
#[derive(Debug, Deserialize)]
pub(super) struct StreamTrade<'a> {
    #[serde(default, borrow)]
    pub symbol: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    pub price: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub qty: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub trade_id: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub timestamp: Option<Cow<'a, str>>,
}

/// What a subscription was confirmed for.
#[derive(Debug, Deserialize)]
pub(super) struct Confirmed<'a> {
    #[serde(default, borrow)]
    pub channel: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    pub symbol: Option<Cow<'a, str>>,
}

/// An answer over REST. Its errors, which come with a good status, are read where it is judged.
#[derive(Debug, Deserialize)]
pub(super) struct Answer<'a> {
    #[serde(default, borrow)]
    pub result: Option<&'a RawValue>,
}

/// The result of an answer: by the pair's name, which may be another than the one asked for, and `last`.
pub(super) type ByPair<'a> = BTreeMap<String, &'a RawValue>;

/// A row of trades or bars: its columns.
pub(super) type Row<'a> = Vec<&'a RawValue>;

/// A pair of the list.
#[derive(Debug, Deserialize)]
pub(super) struct Pair<'a> {
    #[serde(default, borrow)]
    pub wsname: Option<Cow<'a, str>>,
    #[serde(default)]
    pub pair_decimals: Option<u8>,
    #[serde(default)]
    pub lot_decimals: Option<u8>,
    #[serde(default, borrow)]
    pub status: Option<Cow<'a, str>>,
}
