//! Reports that were accepted, as whoever keeps every tick gets them: pure values.

use super::entry::Entry;
use serde::{Deserialize, Serialize};

/// A trade, a correction or a cancel that the core has accepted; a quote where quotes make the bars. A repeat is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedReport {
    /// Accepted trades of the symbol, this one included; `None` of a cancel, which is no trade.
    pub seq: Option<u64>,
    /// What was reported, and its place in the log: one report an entry.
    pub entry: Entry,
}
