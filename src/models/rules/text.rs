//! Values of a rule that are written as text, for `#[serde(with = …)]`: spans, windows, severities.

use crate::models::time::{DAY, HOUR, MINUTE, SECOND};

/// Shows a span as it is written.
#[must_use]
pub fn shown_span(nanos: i64) -> String {
    let units = [("d", DAY), ("h", HOUR), ("min", MINUTE), ("s", SECOND), ("ms", 1_000_000), ("us", 1_000)];
    let fits = |&(_, unit): &(&str, i64)| nanos != 0 && nanos % unit == 0;
    let zero_or_least = if nanos == 0 { ("s", SECOND) } else { ("ns", 1) };
    let (name, unit) = units.into_iter().find(fits).unwrap_or(zero_or_least);
    format!("{}{name}", nanos / unit)
}

/// A span that is not negative, in nanoseconds.
pub mod span {
    use crate::models::time::parse_span;
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    /// Writes the text.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(nanos: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::shown_span(*nanos))
    }

    /// Reads the text.
    ///
    /// # Errors
    /// When it is another text, which is said.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        let text = String::deserialize(deserializer)?;
        let span = parse_span(text.trim()).filter(|span| *span >= 0);
        span.ok_or_else(|| Error::custom(format!("`{text}` is not a span such as `30s` or `5min`")))
    }
}

/// A window, or none.
pub mod window {
    use crate::models::time::Width;
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::{Serialize, Serializer};

    /// Writes the text.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(window: &Option<Width>, serializer: S) -> Result<S::Ok, S::Error> {
        window.map(|width| width.to_string()).serialize(serializer)
    }

    /// Reads the text.
    ///
    /// # Errors
    /// When it is another text, which is said.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Width>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        let width = Width::parse(text.trim());
        width
            .map(Some)
            .ok_or_else(|| Error::custom(format!("`{text}` is not a window such as `1min` or `5min`")))
    }
}

/// A severity.
pub mod severity {
    use crate::models::anomaly::Severity;
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    /// Writes the text.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(severity: &Severity, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(severity.as_str())
    }

    /// Reads the text.
    ///
    /// # Errors
    /// When it is another text, which is said.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Severity, D::Error> {
        let text = String::deserialize(deserializer)?;
        let all = || Severity::ALL.map(Severity::as_str).join("`, `");
        Severity::parse(&text).ok_or_else(|| Error::custom(format!("`{text}` is none of `{}`", all())))
    }
}
