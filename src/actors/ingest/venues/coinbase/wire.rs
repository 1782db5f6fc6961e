//! What Coinbase's frames and answers hold, as far as it is used. Unknown keys are normal and are skipped; numbers may be
//! JSON numbers or text, so they stay as they stand until they are read as decimals.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A frame of the stream: `type` says which of the other keys are there.
#[derive(Debug, Deserialize)]
pub(super) struct Frame<'a> {
    #[serde(rename = "type", borrow)]
    pub kind: Cow<'a, str>,
    #[serde(default, borrow)]
    pub product_id: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    pub trade_id: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub price: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub size: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub time: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    pub last_trade_id: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub message: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    pub reason: Option<Cow<'a, str>>,
}

/// A trade of a page of past trades. It has neither the product nor the stream's sequence.
#[derive(Debug, Deserialize)]
pub(super) struct PastTrade<'a> {
    #[serde(default, borrow)]
    pub trade_id: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub price: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub size: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub time: Option<Cow<'a, str>>,
}

/// A product of the list.
#[derive(Debug, Deserialize)]
pub(super) struct Product<'a> {
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    #[serde(default, borrow)]
    pub quote_increment: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub base_increment: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub status: Option<Cow<'a, str>>,
    #[serde(default)]
    pub trading_disabled: Option<bool>,
}
