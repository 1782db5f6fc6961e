//! What each venue says on the wire, for the fakes. One file a venue; the suite `every_venue` runs over [`ALL`].

pub mod binance;
pub mod coinbase;
pub mod kraken;
pub mod polygon;

use super::fake::Dialect;

/// Every dialect, sorted by name.
pub const ALL: [&dyn Dialect; 4] =
    [&binance::TRADES, &coinbase::Coinbase, &kraken::Kraken, &polygon::Polygon];
