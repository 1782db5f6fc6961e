//! What Alpha Vantage's answers hold, as far as it is used. All values are text, and all keys but the uppermost begin with an
//! ordinal that differs between functions, so that they are told by what follows it.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::{Borrow, Cow};
use std::collections::{BTreeMap, HashMap};

/// An answer by its uppermost keys, as they stand.
pub(super) type Answer<'a> = HashMap<Text<'a>, &'a RawValue>;

/// Fields of a row, of the description of a series or of a rate.
pub(super) type Fields<'a> = HashMap<Text<'a>, &'a RawValue>;

/// Rows of a series by their time. The venue writes the newest first, and nothing is to rely on that.
pub(super) type Series<'a> = BTreeMap<Text<'a>, Fields<'a>>;

/// A text that is borrowed where it holds nothing escaped.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl Borrow<str> for Text<'_> {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// What an answer holds in place of data.
#[derive(Debug, Deserialize)]
pub(super) struct Problem<'a> {
    #[serde(rename = "Error Message", default, borrow)]
    pub error: Option<Cow<'a, str>>,
    #[serde(rename = "Information", default, borrow)]
    pub information: Option<Cow<'a, str>>,
    #[serde(rename = "Note", default, borrow)]
    pub note: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    pub detail: Option<Cow<'a, str>>,
}

/// Returns a key without its ordinal: of `5. Exchange Rate` and `1a. open` what follows the dot.
pub(super) fn bare(key: &str) -> &str {
    let after_digits = key.trim_start_matches(|c: char| c.is_ascii_digit());
    if after_digits.len() == key.len() {
        return key;
    }
    let after_letter = after_digits.strip_prefix(|c: char| c.is_ascii_lowercase()).unwrap_or(after_digits);
    after_letter.strip_prefix(". ").unwrap_or(key)
}

/// Returns the field of a name that stands behind an ordinal, or of one that begins with it: `open (USD)`.
pub(super) fn field<'a>(fields: &Fields<'a>, name: &str) -> Option<&'a RawValue> {
    let is_it = |key: &&Text<'_>| {
        bare(&key.0).strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(" ("))
    };
    // Of several the same one each time.
    fields.keys().filter(is_it).min().and_then(|key| fields.get(key)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_their_ordinals() {
        for (key, expected) in [
            ("1. open", "open"),
            ("05. price", "price"),
            ("1a. open (USD)", "open (USD)"),
            ("Meta Data", "Meta Data"),
            ("1.open", "1.open"),
            ("52-week high", "52-week high"),
            ("", ""),
        ] {
            assert_eq!(bare(key), expected);
        }
        let fields: Fields<'_> =
            serde_json::from_str(r#"{"1b. open (USD)":"2","1a. open (USD)":"1","2. opening":"3"}"#)
                .expect("fields");
        assert_eq!(field(&fields, "open").map(RawValue::get), Some("\"1\""));
        assert!(field(&fields, "close").is_none());
    }
}
