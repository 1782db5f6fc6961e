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
