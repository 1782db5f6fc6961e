//! What FMP's frames and answers hold, as far as it is used. Unknown keys are normal and are skipped; numbers may be JSON
//! numbers or text, so they stay as they stand until they are read as decimals.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A frame of the stream: with `event` it speaks of the connection, without it is data.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Frame<'a> {
    #[serde(borrow)]
    pub event: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub status: Option<&'a RawValue>,
    #[serde(borrow)]
    pub message: Option<Cow<'a, str>>,
    /// The symbol, in lower case.
    #[serde(borrow)]
    pub s: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub t: Option<&'a RawValue>,
    #[serde(rename = "type", borrow)]
    pub kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub ap: Option<&'a RawValue>,
    #[serde(rename = "as", borrow)]
    pub ask_size: Option<&'a RawValue>,
    #[serde(borrow)]
    pub bp: Option<&'a RawValue>,
    #[serde(borrow)]
    pub bs: Option<&'a RawValue>,
    #[serde(borrow)]
    pub lp: Option<&'a RawValue>,
    #[serde(borrow)]
    pub ls: Option<&'a RawValue>,
}

/// A row of a page of bars.
#[derive(Debug, Deserialize)]
pub(super) struct Row<'a> {
    #[serde(borrow)]
    pub date: Cow<'a, str>,
    #[serde(default, borrow)]
    pub open: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub low: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub high: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub close: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub volume: Option<&'a RawValue>,
}

/// An answer that is an error, whatever its status.
#[derive(Debug, Deserialize)]
pub(super) struct Problem<'a> {
    #[serde(rename = "Error Message", borrow)]
    pub message: Cow<'a, str>,
}
