//! The text of what is looked for, small enough to travel in an entry of the log.
//!
//! Promises: each text is kept once for as long as the process runs, so an entry holds a pointer to it and is copied like any
//! other. Changes are few and of some kilobytes; [`Document::LEN_MAX`] bounds each, and whoever makes new ones bounds how
//! many. What the text says is not looked at here: a process that cannot read one keeps it and hands it on as it is.
//! On failure: a text that is too long is refused.

use internment::Intern;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// A text that was kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Document(Intern<str>);

/// A text is longer than [`Document::LEN_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what is to be looked for takes {0} bytes, and {max} are allowed", max = Document::LEN_MAX)]
pub struct TooLong(pub usize);

impl Document {
    /// Longest text in bytes: room for all rules that are allowed and some hundred overrides.
    pub const LEN_MAX: usize = 128 << 10;

    /// Keeps a text.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn new(text: &str) -> Result<Document, TooLong> {
        if text.len() > Document::LEN_MAX {
            Err(TooLong(text.len()))
        } else {
            Ok(Document(Intern::from(text)))
        }
    }

    /// Returns the text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.as_ref()
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Document").field(&self.text()).finish()
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Document, D::Error> {
        let text = String::deserialize(deserializer)?;
        Document::new(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_kept_once_and_one_that_is_too_long_is_refused() {
        let (one, again) = (Document::new("{}").expect("short"), Document::new("{}").expect("short"));
        assert_eq!(one, again);
        assert_ne!(one, Document::new("{ }").expect("short"));
        let bytes = postcard::to_stdvec(&one).expect("plain data");
        assert_eq!(postcard::from_bytes::<Document>(&bytes), Ok(one));
        let long = "x".repeat(Document::LEN_MAX + 1);
        assert_eq!(Document::new(&long), Err(TooLong(long.len())));
    }
}
