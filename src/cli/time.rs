//! Times on the command line.

use crate::models::time::Nanos;

/// Reads a time of the command line.
pub(super) fn parse_time(text: &str) -> Result<Nanos, &'static str> {
    Nanos::from_rfc3339(text).ok_or("neither a date nor a time such as 2026-11-02T14:30:00Z")
}
