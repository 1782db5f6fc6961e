//! What each venue says on the wire, for the fakes. One file a venue; the suite `every_venue` runs over [`ALL`].

pub mod alpha_vantage;
pub mod binance;
pub mod coinbase;
pub mod finage;
pub mod fmp;
pub mod kraken;
pub mod polygon;

use super::fake::Dialect;

/// Every dialect, sorted by name.
pub const ALL: [&dyn Dialect; 7] = [
    &alpha_vantage::AlphaVantage,
    &binance::TRADES,
    &coinbase::Coinbase,
    &finage::Finage,
    &fmp::Fmp,
    &kraken::Kraken,
    &polygon::Polygon,
];
