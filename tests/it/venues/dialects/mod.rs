//! What each venue says on the wire, for the fakes. One file a venue; the suite `every_venue` runs over [`ALL`].

pub mod coinbase;

use super::fake::Dialect;

/// Every dialect, sorted by name.
pub const ALL: [&dyn Dialect; 1] = [&coinbase::Coinbase];
