//! Silences: what nobody wants to be told of for a while.
//!
//! Promises: every silence has an end. Nothing here fails.

use super::settings::fits_any;
use crate::models::anomaly::Severity;
use crate::models::time::Nanos;
use serde::{Deserialize, Serialize};

/// Silences that count at one time; a new one above it is refused.
pub const SILENCES_MAX: usize = 1_000;

/// What nobody wants to be told of for a while.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Names it.
    pub id: String,
    /// Begins to count then.
    pub start: Nanos,
    /// Counts no more from then on.
    pub end: Nanos,
    /// Symbols that it is about; empty for all.
    pub symbols: Vec<String>,
    /// Types that it is about; empty for all.
    pub types: Vec<String>,
    /// Highest severity that it is about.
    pub max_severity: Severity,
    /// Why, for people.
    pub comment: String,
    /// Who made it, as they said.
    pub created_by: String,
    /// When it was made.
    pub created: Nanos,
}

impl Silence {
    /// True while it counts.
    #[must_use]
    pub fn is_active(&self, now: Nanos) -> bool {
        self.start <= now && now < self.end
    }

    /// True for what it is about.
    #[must_use]
    pub fn fits(&self, severity: Severity, anomaly_type: &str, symbol: &str) -> bool {
        severity <= self.max_severity
            && fits_any(&self.types, anomaly_type)
            && fits_any(&self.symbols, symbol)
    }
}
