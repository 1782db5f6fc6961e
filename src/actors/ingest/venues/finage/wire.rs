//! What Finage's frames and answers hold, as far as it is used. Unknown keys are normal and are skipped; numbers may be JSON
//! numbers or text, so they stay as they stand until they are read as decimals.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A frame of the stream. Which keys are there tells what it is: the account's plan picks one of several models.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Frame<'a> {
    #[serde(borrow)]
    pub status_code: Option<&'a RawValue>,
    #[serde(borrow)]
    pub message: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub error: Option<Cow<'a, str>>,
    /// The symbol.
    #[serde(borrow)]
    pub s: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub t: Option<&'a RawValue>,
    /// Price of a trade.
    #[serde(borrow)]
    pub p: Option<&'a RawValue>,
    /// Size of a trade of a share.
    #[serde(borrow)]
    pub v: Option<&'a RawValue>,
    /// Size of a trade of a coin.
    #[serde(borrow)]
    pub q: Option<&'a RawValue>,
    /// Conditions of a trade of a share.
    #[serde(borrow)]
    pub c: Option<&'a RawValue>,
    #[serde(borrow)]
    pub a: Option<&'a RawValue>,
    #[serde(borrow)]
    pub ap: Option<&'a RawValue>,
    #[serde(rename = "as", borrow)]
    pub ask_size: Option<&'a RawValue>,
    #[serde(borrow)]
    pub b: Option<&'a RawValue>,
    #[serde(borrow)]
    pub bp: Option<&'a RawValue>,
    #[serde(borrow)]
    pub bs: Option<&'a RawValue>,
}

/// A page of bars.
#[derive(Debug, Deserialize)]
pub(super) struct Page<'a> {
    #[serde(default, borrow)]
    pub results: Vec<Row<'a>>,
}

/// A bar: `t` is when it begins.
#[derive(Debug, Deserialize)]
pub(super) struct Row<'a> {
    #[serde(default, borrow)]
    pub o: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub h: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub l: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub c: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub v: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub t: Option<&'a RawValue>,
}

/// An answer that is an error.
#[derive(Debug, Deserialize)]
pub(super) struct Problem<'a> {
    #[serde(borrow)]
    pub error: Cow<'a, str>,
}
