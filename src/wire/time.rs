//! Times as text: RFC 3339 UTC.
//!
//! Promises: a time is written with 0, 3 or 6 fractional digits, and finer digits are cut. On failure, reading quotes
//! the text.

use crate::models::time::Nanos;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;

/// A time on the wire: RFC 3339 UTC with 0, 3 or 6 fractional digits. Finer digits are cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Time(pub Nanos);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339())
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let time = Nanos::from_rfc3339(&text);
        time.map(Time).ok_or_else(|| Error::custom(format!("`{text}` is not a time in RFC 3339")))
    }
}

impl Time {
    /// Returns the time, or `None` for the mark of an unknown one.
    #[must_use]
    pub fn known(time: Nanos) -> Option<Time> {
        (time != Nanos::MIN).then_some(Time(time))
    }
}
