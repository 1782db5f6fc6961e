//! `tickwire run` and `tickwire serve`: their flags and examples.

use clap::Args;

/// Examples of `run`.
pub(super) const RUN_EXAMPLES: &str = "\
Examples:
  tickwire run
  tickwire run --symbols AAPL,BTC-USD --rate 200
  tickwire run --symbol-count 1000 --seed 7 --data-dir /var/lib/tickwire
  tickwire run --provider coinbase --symbols BTC-USD,ETH-USD --data-dir coins
  tickwire run --open                              shows the dashboard in the browser once it is ready";

/// Examples of `serve`.
pub(super) const SERVE_EXAMPLES: &str = "\
Examples:
  tickwire serve --data-dir year                   REST, WebSocket and dashboard of a replayed directory
  TICKWIRE__SERVER__REST=127.0.0.1:0 tickwire serve";

/// Flags of `run`.
#[derive(Clone, Debug, Default, Args)]
pub struct RunOptions {
    /// Take ticks from this provider: `simulated` is a made-up market, `kafka` a topic that other programs write to, others are
    /// live venues (`binance`, `coinbase` and `kraken` need no key); of several live venues with commas between the first one
    /// is in charge, and the others take over in this order
    #[arg(long, value_name = "NAME[,NAME]")]
    pub provider: Option<String>,
    /// Follow these symbols, separated by commas
    #[arg(long, value_name = "A,B", value_delimiter = ',', conflicts_with = "symbol_count")]
    pub symbols: Option<Vec<String>>,
    /// Simulate this many symbols
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..))]
    pub symbol_count: Option<u32>,
    /// Simulated ticks a second, over all symbols
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub rate: Option<f64>,
    /// Seed of the simulated venue: the same seed gives the same ticks
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(0..))]
    pub seed: Option<i64>,
    /// Use no external service, whatever the environment and the configuration name
    #[arg(long)]
    pub embedded: bool,
    /// Show the dashboard in the browser once it is ready
    #[arg(long)]
    pub open: bool,
}
