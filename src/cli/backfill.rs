//! `tickwire backfill`: its flags and examples.

use crate::app::backfill::BackfillSettings;
use clap::Args;

/// Examples.
pub(super) const BACKFILL_EXAMPLES: &str = "\
Examples:
  tickwire backfill --venue coinbase --symbols BTC-USD,ETH-USD --from 2026-01-01 --to 2026-02-01 --data-dir coins
  tickwire backfill --symbols BTC-USD --from -30d --window 15min

Bars of trades that are whole stay as they are; others are replaced by the venue's, and what is lacking is filled. What is
there is not asked for again. No other process may use the data directory meanwhile.

Exit codes: 0 filled, 1 something could not be filled, 2 wrong usage: no such venue, symbol, window or time, or no key.";

/// Flags of `backfill`.
#[derive(Clone, Debug, Args)]
pub struct BackfillOptions {
    /// Fill these symbols, separated by commas
    #[arg(long, required = true, value_name = "A,B", value_delimiter = ',')]
    pub symbols: Vec<String>,
    /// Fill windows from this time on: a date, a time, or a span back from now (`-30d`)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub from: String,
    /// Fill windows up to this time; as late as the live feed leaves it where none is named
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub to: Option<String>,
    /// Ask this venue; the venues of the feed that follows the symbol, in their order, where none is named
    #[arg(long, value_name = "VENUE")]
    pub venue: Option<String>,
    /// Fill these windows, separated by commas; all that are configured where none is named
    #[arg(long, value_name = "W", value_delimiter = ',')]
    pub window: Vec<String>,
}

impl BackfillOptions {
    /// Returns what is asked of the back-fill.
    #[must_use]
    pub fn into_settings(self) -> BackfillSettings {
        let BackfillOptions { symbols, from, to, venue, window: windows } = self;
        BackfillSettings { symbols, venue, from, to, windows }
    }
}
