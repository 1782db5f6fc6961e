//! Serde of durations as users write them: `"250ms"`, `"10s"`, `"5min"`.

use crate::models::time::parse_span;
use serde::{Deserialize, Deserializer, Serializer, de::Error};
use std::borrow::Cow;
use std::time::Duration;

pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    let nanos = duration.as_nanos();
    let units = [(60_000_000_000, "min"), (1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")];
    let fits = |(unit, _): &(u128, &str)| nanos >= *unit && nanos.is_multiple_of(*unit);
    let (unit, name) = units.into_iter().find(fits).unwrap_or((1, "ns"));
    serializer.serialize_str(&format!("{}{name}", nanos / unit))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = Cow::<str>::deserialize(deserializer)?;
    let nanos = parse_span(&text).and_then(|nanos| u64::try_from(nanos).ok());
    nanos
        .map(Duration::from_nanos)
        .ok_or_else(|| D::Error::custom(format!("`{text}` is not a span such as `250ms`, `10s` or `5min`")))
}

/// The same of a duration that may not be set.
pub(super) mod optional {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::Duration;

    pub(in super::super) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        /// A duration as users write it.
        #[derive(Deserialize)]
        struct Span(#[serde(deserialize_with = "super::deserialize")] Duration);
        Ok(Option::<Span>::deserialize(deserializer)?.map(|Span(duration)| duration))
    }
}
