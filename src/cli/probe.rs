//! `tickwire probe` and `tickwire venues`: their flags and examples.

use crate::app::probe::ProbeSettings;
use clap::Args;
use std::path::PathBuf;

/// Examples of `probe`.
pub(super) const PROBE_EXAMPLES: &str = "\
Examples:
  tickwire probe coinbase --symbols BTC-USD
  tickwire probe kraken --record frames.jsonl --seconds 600
  tickwire replay frames.jsonl                     the bars of what was recorded

Exit codes: 0 ticks came, 1 none came, 2 wrong usage: no such venue or symbol, or no key.";

/// Examples of `venues`.
pub(super) const VENUES_EXAMPLES: &str = "\
Examples:
  tickwire venues                                  what there is, what each needs, and whether it has it
  tickwire venues --json | jq '.[].name'";

/// Flags of `probe`.
#[derive(Clone, Debug, Args)]
pub struct ProbeOptions {
    /// The venue to connect to; `tickwire venues` lists them
    #[arg(value_name = "VENUE")]
    pub venue: String,
    /// Follow these symbols, separated by commas; the venue's usual ones where none is named
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub symbols: Vec<String>,
    /// Keep the frames as they come in this file, which `replay` reads, for as long as `--seconds` says
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// End after so many seconds at the latest
    #[arg(long, value_name = "N", allow_negative_numbers = true, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub seconds: u32,
    /// Overwrite a file that is there
    #[arg(long, requires = "record")]
    pub force: bool,
}

impl ProbeOptions {
    /// Returns what is asked of the probe.
    #[must_use]
    pub fn into_settings(self) -> ProbeSettings {
        let ProbeOptions { venue, symbols, record, seconds, force } = self;
        ProbeSettings { venue, symbols, record, seconds, force }
    }
}

/// Flags of `venues`.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct VenuesOptions {
    /// Print the list as one line of JSON
    #[arg(long)]
    pub json: bool,
}
