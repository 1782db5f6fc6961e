//! The command line: its commands, and the configuration keys that its flags set. It reads nothing but the arguments, and
//! a wrong one ends the process with exit code 2.

use crate::app::backfill::BackfillSettings;
use crate::app::export::ExportSettings;
use crate::app::probe::ProbeSettings;
use crate::config::{LogFormat, Override, Sources, parse_duration};
use crate::models::time::Nanos;
use clap::{Args, Parser, Subcommand};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use toml::Value;

const EXAMPLES: &str = "\
Examples:
  tickwire run                                     runs a simulated market, stores its data in ./data
  tickwire run --symbol-count 1000 --rate 20000    a thousand simulated symbols
  tickwire run --provider coinbase                 live trades of a market that needs no key
  tickwire replay ticks.csv.gz --bars bars.csv     computes the bars of a file
  tickwire serve --data-dir year                   serves what a replay has stored
  tickwire export --out parquet                    writes ticks and bars as Parquet files
  tickwire probe coinbase --symbols BTC-USD        shows the first ticks, or what is wrong
  tickwire backfill --symbols BTC-USD --from -30d --venue coinbase   fills the history with a venue's bars
  tickwire venues                                  lists the providers and what each needs
  tickwire check-config --config tickwire.toml     lists every fault of a configuration
  TICKWIRE__SERVER__REST=127.0.0.1:0 tickwire run  sets `server.rest`; 0 picks a free port

Exit codes: 0 done, 1 failed, 2 wrong usage.";

const RUN_EXAMPLES: &str = "\
Examples:
  tickwire run
  tickwire run --symbols AAPL,BTC-USD --rate 200
  tickwire run --symbol-count 1000 --seed 7 --data-dir /var/lib/tickwire
  tickwire run --provider coinbase --symbols BTC-USD,ETH-USD --data-dir coins";

const SERVE_EXAMPLES: &str = "\
Examples:
  tickwire serve --data-dir year                   REST, WebSocket and dashboard of a replayed directory
  TICKWIRE__SERVER__REST=127.0.0.1:0 tickwire serve";

const REPLAY_EXAMPLES: &str = "\
Examples:
  tickwire replay monday.csv tuesday.csv.gz --bars bars.csv --indicators indicators.csv
  tickwire replay monday.csv --speed 10 --symbols AAPL,MSFT
  zcat ticks.jsonl.gz | tickwire replay - --json
  tickwire replay parquet                          what `tickwire export --out parquet` wrote
  tickwire replay year.csv --data-dir data         stores the result; resumes where it was interrupted";

const PROBE_EXAMPLES: &str = "\
Examples:
  tickwire probe coinbase --symbols BTC-USD
  tickwire probe kraken --record frames.jsonl --seconds 600
  tickwire replay frames.jsonl                     the bars of what was recorded

Exit codes: 0 ticks came, 1 none came, 2 wrong usage: no such venue or symbol, or no key.";

const BACKFILL_EXAMPLES: &str = "\
Examples:
  tickwire backfill --venue coinbase --symbols BTC-USD,ETH-USD --from 2026-01-01 --to 2026-02-01 --data-dir coins
  tickwire backfill --symbols BTC-USD --from -30d --window 15min

Bars of trades that are whole stay as they are; others are replaced by the venue's, and what is lacking is filled. What is
there is not asked for again. No other process may use the data directory meanwhile.

Exit codes: 0 filled, 1 something could not be filled, 2 wrong usage: no such venue, symbol, window or time, or no key.";

const MIGRATE_EXAMPLES: &str = "\
Examples:
  DATABASE_URL=postgres://owner@db/market tickwire migrate --dry-run    shows the steps, and rows that are there twice
  DATABASE_URL=postgres://owner@db/market tickwire migrate              takes them";

const CHECK_EXAMPLES: &str = "\
Examples:
  tickwire check --data-dir data
  tickwire check --data-dir data --repair          after a copy was made

Exit codes: 0 nothing is damaged, or all of it was repaired; 1 something is damaged, or lost for good.";

const EXPORT_EXAMPLES: &str = "\
Examples:
  tickwire export --data-dir data --out parquet
  tickwire export --from 2026-11-02 --to 2026-11-03 --symbols AAPL,MSFT --out parquet
  AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=... tickwire export --out s3://bucket/prefix
  duckdb -c \"SELECT symbol, count(*) FROM 'parquet/ticks/*/*/*.parquet' GROUP BY ALL\"

It may run beside the process that fills the directory. Interrupted, the same command goes on where it stopped. S3 takes its
settings from the usual variables: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL
(http:// only with AWS_ALLOW_HTTP=true), AWS_CA_BUNDLE.

Exit codes: 0 done, 1 failed or interrupted, 2 wrong usage.";

/// Real-time market data in; bars and indicators out.
#[derive(Clone, Debug, Parser)]
#[command(name = "tickwire", version, after_help = EXAMPLES)]
pub struct Cli {
    /// Settings that apply to every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Settings that apply to every command.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Read the configuration from this TOML file
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Store data in this directory; one process at a time uses it
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Format of the log lines on standard error
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// The commands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Take ticks in and serve bars and indicators, until stopped
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunOptions),
    /// Compute the bars and indicators of recorded ticks
    #[command(after_help = REPLAY_EXAMPLES)]
    Replay(ReplayOptions),
    /// Serve what a data directory holds, and add nothing to it, until stopped
    #[command(after_help = SERVE_EXAMPLES)]
    Serve,
    /// Migrate the stores to this version: the files of the data directory, and the tables of PostgreSQL
    #[command(after_help = MIGRATE_EXAMPLES)]
    Migrate(MigrateOptions),
    /// Read everything in the data directory and list what is damaged
    #[command(after_help = CHECK_EXAMPLES)]
    Check(CheckOptions),
    /// Fill the history of the data directory with a venue's own bars
    #[command(after_help = BACKFILL_EXAMPLES)]
    Backfill(BackfillOptions),
    /// Write ticks and bars of the data directory as Parquet files, into a folder or to S3
    #[command(after_help = EXPORT_EXAMPLES)]
    Export(ExportOptions),
    /// Connect to a venue, show its first ticks, and say what is wrong
    #[command(after_help = PROBE_EXAMPLES)]
    Probe(ProbeOptions),
    /// List the providers, what each needs, and whether it has it
    Venues(VenuesOptions),
    /// Check the configuration and list every fault
    CheckConfig,
    /// Print the configuration as TOML, with where each value came from and secrets as ***
    PrintConfig,
}

/// Flags of `run`.
#[derive(Clone, Debug, Default, Args)]
pub struct RunOptions {
    /// Take ticks from this provider: `simulated` is a made-up market, others are live venues (`binance`, `coinbase` and `kraken`
    /// need no key); of several live venues with commas between the first one is in charge, and the others take over in
    /// this order
    #[arg(long, value_name = "NAME[,NAME]")]
    pub provider: Option<String>,
    /// Follow these symbols, separated by commas
    #[arg(long, value_name = "A,B", value_delimiter = ',', conflicts_with = "symbol_count")]
    pub symbols: Option<Vec<String>>,
    /// Simulate this many symbols
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub symbol_count: Option<u32>,
    /// Simulated ticks a second, over all symbols
    #[arg(long, value_name = "N")]
    pub rate: Option<f64>,
    /// Seed of the simulated venue: the same seed gives the same ticks
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    pub seed: Option<i64>,
    /// Use no external service, whatever the environment and the configuration name
    #[arg(long)]
    pub embedded: bool,
}

/// Flags of `replay`.
#[derive(Clone, Debug, Args)]
pub struct ReplayOptions {
    /// CSV or JSON lines, plain or .gz, and Parquet files or folders that `export` wrote, merged by time; - is standard input
    /// (JSON lines)
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// How many times as fast as the original, or `max`
    #[arg(long, value_name = "FACTOR", default_value_t = Speed::Max)]
    pub speed: Speed,
    /// Take these symbols only, separated by commas
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub symbols: Option<Vec<String>>,
    /// How long after its close a window still takes entries; sets `core.horizon`
    #[arg(long, value_name = "SPAN", value_parser = parse_duration)]
    pub horizon: Option<Duration>,
    /// Write the final bars to this CSV file
    #[arg(long, value_name = "OUT.csv")]
    pub bars: Option<PathBuf>,
    /// Write the final indicators to this CSV file
    #[arg(long, value_name = "OUT.csv")]
    pub indicators: Option<PathBuf>,
    /// End standard output with the summary as one line of JSON
    #[arg(long)]
    pub json: bool,
    /// Overwrite output files that exist
    #[arg(long)]
    pub force: bool,
}

/// Flags of `migrate`.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct MigrateOptions {
    /// Show what there is to do, and change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Flags of `check`.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct CheckOptions {
    /// Repair what can be repaired: bars and indicators are computed again from the log
    #[arg(long)]
    pub repair: bool,
}

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

/// Flags of `export`.
#[derive(Clone, Debug, Args)]
pub struct ExportOptions {
    /// Export from this time on, such as 2026-11-02 or 2026-11-02T14:30:00Z; from the beginning where it is not given
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub from: Option<Nanos>,
    /// Export what is before this time; all there is where it is not given
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub to: Option<Nanos>,
    /// Write into this folder, or to `s3://BUCKET/PREFIX`
    #[arg(long, value_name = "DIR|s3://...")]
    pub out: String,
    /// Export these symbols only, separated by commas
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub symbols: Vec<String>,
    /// End standard output with the result as one line of JSON
    #[arg(long)]
    pub json: bool,
}

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
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub seconds: u32,
    /// Overwrite a file that is there
    #[arg(long, requires = "record")]
    pub force: bool,
}

/// Flags of `venues`.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct VenuesOptions {
    /// Print the list as one line of JSON
    #[arg(long)]
    pub json: bool,
}

/// How fast a replay goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// This many times as fast as the original; finite and above 0.
    Times(f64),
    /// As fast as possible.
    Max,
}

/// A text that is not a speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("neither `max` nor a number above 0")]
pub struct SpeedError;

impl FromStr for Speed {
    type Err = SpeedError;

    fn from_str(text: &str) -> Result<Speed, SpeedError> {
        match text {
            "max" => Ok(Speed::Max),
            _ => text
                .parse()
                .ok()
                .filter(|times: &f64| times.is_finite() && *times > 0.0)
                .map(Speed::Times)
                .ok_or(SpeedError),
        }
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Speed::Times(times) => write!(f, "{times}"),
            Speed::Max => f.write_str("max"),
        }
    }
}

impl BackfillOptions {
    /// Returns what is asked of the back-fill.
    #[must_use]
    pub fn into_settings(self) -> BackfillSettings {
        let BackfillOptions { symbols, from, to, venue, window: windows } = self;
        BackfillSettings { symbols, venue, from, to, windows }
    }
}

/// Reads a time of the command line.
fn parse_time(text: &str) -> Result<Nanos, &'static str> {
    Nanos::from_rfc3339(text).ok_or("neither a date nor a time such as 2026-11-02T14:30:00Z")
}

impl ExportOptions {
    /// Returns what is asked of the export.
    #[must_use]
    pub fn into_settings(self) -> ExportSettings {
        let ExportOptions { from, to, out, symbols, json } = self;
        ExportSettings { from, to, symbols, out, json }
    }
}

impl ProbeOptions {
    /// Returns what is asked of the probe.
    #[must_use]
    pub fn into_settings(self) -> ProbeSettings {
        let ProbeOptions { venue, symbols, record, seconds, force } = self;
        ProbeSettings { venue, symbols, record, seconds, force }
    }
}

impl Cli {
    /// Returns the sources of the configuration: the environment of this process, and the flags.
    #[must_use]
    pub fn sources(&self) -> Sources {
        let is_embedded = matches!(&self.command, Command::Run(run) if run.embedded);
        Sources { is_embedded, ..Sources::of_process(self.global.config.clone(), self.overrides()) }
    }

    /// Returns the keys that the flags set.
    fn overrides(&self) -> Vec<Override> {
        let mut overrides = Vec::new();
        let mut set = |flag, key, value: Option<Value>| {
            overrides.extend(value.map(|value| Override { flag, key, value }));
        };
        let data_dir =
            self.global.data_dir.as_ref().map(|dir| Value::String(dir.to_string_lossy().into_owned()));
        set("--data-dir", "data_dir", data_dir);
        let log_format = self.global.log_format.map(Value::try_from);
        set("--log-format", "log_format", log_format.map(|value| value.expect("a format is one word")));
        match &self.command {
            Command::Run(run) => {
                set("--provider", "provider.name", run.provider.clone().map(Value::from));
                set("--symbols", "provider.symbols", run.symbols.clone().map(Value::from));
                set("--symbol-count", "provider.symbol_count", run.symbol_count.map(Value::from));
                set("--rate", "provider.rate", run.rate.map(Value::from));
                set("--seed", "provider.seed", run.seed.map(Value::from));
                set("--embedded", "redis.enabled", run.embedded.then(|| Value::from(false)));
                set("--embedded", "history.kind", run.embedded.then(|| Value::from("sqlite")));
            }
            Command::Replay(replay) => {
                let horizon = replay.horizon.map(|span| Value::from(crate::config::duration_text(span)));
                set("--horizon", "core.horizon", horizon);
            }
            Command::Serve
            | Command::Migrate(_)
            | Command::Check(_)
            | Command::Backfill(_)
            | Command::Export(_)
            | Command::Probe(_)
            | Command::Venues(_)
            | Command::CheckConfig
            | Command::PrintConfig => {}
        }
        overrides
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Origin};
    use clap::CommandFactory;

    fn config(line: &str) -> Config {
        let cli = Cli::try_parse_from(line.split(' ')).expect("the line is right");
        Config::load(&Sources { flags: cli.overrides(), ..Sources::default() }).expect("the values are right")
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_set_their_keys() {
        let line =
            "tickwire run --provider simulated --symbols aapl,BTC/USD --rate 2.5 --seed 7 --data-dir d";
        let run = config(&format!("{line} --log-format json"));
        assert_eq!(run.provider.symbols, ["AAPL", "BTC-USD"]);
        assert!((run.provider.rate - 2.5).abs() < f64::EPSILON);
        assert_eq!((run.provider.seed, run.log_format), (7, LogFormat::Json));
        assert_eq!(run.data_dir, PathBuf::from("d"));
        assert_eq!(run.origin("data_dir"), &Origin::Flag("--data-dir"));
        assert_eq!(run.origin("provider.name"), &Origin::Flag("--provider"));
        assert_eq!(config("tickwire run --symbol-count 9").provider.symbol_count.map(u32::from), Some(9));
        let replay = config("tickwire replay - --horizon 90s --symbols X");
        assert_eq!(replay.core.horizon, 90_000_000_000);
        assert_eq!(
            replay.provider,
            Config::default().provider,
            "a filter of a replay is not what a run follows"
        );
    }

    #[test]
    fn speeds() {
        assert_eq!("max".parse(), Ok(Speed::Max));
        assert_eq!("10".parse(), Ok(Speed::Times(10.0)));
        assert_eq!("0.5".parse(), Ok(Speed::Times(0.5)));
        for text in ["", "0", "-1", "inf", "NaN", "fast", "MAX"] {
            assert_eq!(text.parse::<Speed>(), Err(SpeedError), "{text}");
        }
    }
}
