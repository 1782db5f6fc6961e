//! `tickwire compare`: its flags and examples.

use super::time::parse_time;
use crate::app::compare::CompareSettings;
use crate::models::time::Nanos;
use clap::Args;

/// Examples.
pub(super) const COMPARE_EXAMPLES: &str = "\
Examples:
  tickwire compare --window 1min
  tickwire compare --symbols AAPL --from 2026-11-02 --to 2026-11-03 --topics aggregated_data --limit 100

Reads the topic `PREFIX_WINDOW` that the former system writes, and the bars of the data directory; it may run beside the
process that fills it. KAFKA_BOOTSTRAP_SERVERS or `kafka.bootstrap_servers` says where the brokers are. It counts the windows
that are equal, and those that differ by their likely reason:
  late_trades, duplicates, cancelled   what a bar here says of trades that came late, came twice or were taken back
  missing_here, missing_there, gap     one side has fewer trades; `gap` where the source here was not whole
  window_edge, order, sale_conditions  the same trades, in the neighbouring window, in another order, or making a price
  only_ours, only_theirs, unexplained  one side has no bar; nothing that the bars say explains it
Windows that only one side can have, since it began earlier or ended later, are left out unless --from and --to name them.
Bars that would be equal with their times moved by a zone's offset are told.

Exit codes: 0 compared, whatever came of it, 1 failed, 2 wrong usage.";

/// Flags of `compare`.
#[derive(Clone, Debug, Args)]
pub struct CompareOptions {
    /// Compare these symbols only, separated by commas
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub symbols: Vec<String>,
    /// Compare windows that start at this time or later
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub from: Option<Nanos>,
    /// Compare windows that start before this time
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub to: Option<Nanos>,
    /// Compare the bars of this window
    #[arg(long, value_name = "W", default_value = "1min")]
    pub window: String,
    /// What the names of the other system's topics begin with; `kafka.topics.aggregated` where it is not given
    #[arg(long, value_name = "PREFIX")]
    pub topics: Option<String>,
    /// List so many differences
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: usize,
    /// Print the result as one line of JSON
    #[arg(long)]
    pub json: bool,
}

impl CompareOptions {
    /// Returns what is compared.
    #[must_use]
    pub fn into_settings(self) -> CompareSettings {
        let CompareOptions { symbols, from, to, window, topics, limit, json } = self;
        CompareSettings { symbols, from, to, window, topics, limit, json }
    }
}
