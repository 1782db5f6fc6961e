//! Where all that is served comes from, as everybody who looks at it must be told.
//!
//! Promises: what a machine made up, what is shown again and what happens now never look alike, since each answer that
//! names the service or a symbol carries one of the three words.

use serde::{Deserialize, Serialize};

/// What kind of data it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataKind {
    /// Made up by the simulated venue.
    Simulated,
    /// Recorded ticks that were replayed.
    Replay,
    /// What a venue says now.
    Live,
}

impl DataKind {
    /// Returns the word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            DataKind::Simulated => "simulated",
            DataKind::Replay => "replay",
            DataKind::Live => "live",
        }
    }
}

/// What kind of data it is, and who it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// What kind of data it is.
    pub data: DataKind,
    /// Name of the provider; of several, as for files that name them, all of them with commas between.
    pub provider: String,
}

impl Provenance {
    /// What the simulated venue makes.
    #[must_use]
    pub fn simulated() -> Provenance {
        Provenance { data: DataKind::Simulated, provider: "simulated".to_owned() }
    }
}
