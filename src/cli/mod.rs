//! The command line: its commands, and the configuration keys that its flags set. It reads nothing but the arguments, and
//! a wrong one ends the process with exit code 2. The flags and examples of each command are in a file of its own.

mod alert;
mod backfill;
mod compare;
mod completions;
mod dlq;
mod export;
mod probe;
mod replay;
mod run;
mod time;
mod upkeep;

pub use alert::{AlertCommand, AlertOptions};
pub use backfill::BackfillOptions;
pub use compare::CompareOptions;
pub use completions::CompletionsOptions;
pub use dlq::DlqOptions;
pub use export::ExportOptions;
pub use probe::{ProbeOptions, VenuesOptions};
pub use replay::{ReplayOptions, Speed, SpeedError};
pub use run::RunOptions;
pub use upkeep::{CheckOptions, MigrateOptions};

use crate::config::{LogFormat, LogLevel, Override, Sources};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
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
  tickwire dlq ls                                  lists what was not accepted, and why
  tickwire alert test                              sends a sample by every channel that is configured
  tickwire venues                                  lists the providers and what each needs
  tickwire check-config --config tickwire.toml     lists every fault of a configuration
  TICKWIRE__SERVER__REST=127.0.0.1:0 tickwire run  sets `server.rest`; 0 picks a free port

Exit codes: 0 done, 1 failed, 2 wrong usage.";

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
    /// Log lines of this level and above; `RUST_LOG` wins over it
    #[arg(long, global = true, value_enum, value_name = "LEVEL")]
    pub log_level: Option<LogLevel>,
}

/// The commands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Take ticks in and serve bars and indicators, until stopped
    #[command(after_help = run::RUN_EXAMPLES)]
    Run(RunOptions),
    /// Compute the bars and indicators of recorded ticks
    #[command(after_help = replay::REPLAY_EXAMPLES)]
    Replay(ReplayOptions),
    /// Serve what a data directory holds, and add nothing to it, until stopped
    #[command(after_help = run::SERVE_EXAMPLES)]
    Serve,
    /// Migrate the stores to this version: the files of the data directory, and the tables of PostgreSQL
    #[command(after_help = upkeep::MIGRATE_EXAMPLES)]
    Migrate(MigrateOptions),
    /// Read everything in the data directory and list what is damaged
    #[command(after_help = upkeep::CHECK_EXAMPLES)]
    Check(CheckOptions),
    /// Send a sample alert by the configured channels
    #[command(after_help = alert::ALERT_EXAMPLES)]
    Alert(AlertOptions),
    /// Fill the history of the data directory with a venue's own bars
    #[command(after_help = backfill::BACKFILL_EXAMPLES)]
    Backfill(BackfillOptions),
    /// Compare bars with those that the former system writes to Kafka
    #[command(after_help = compare::COMPARE_EXAMPLES)]
    Compare(CompareOptions),
    /// List, show and take in again what was not accepted
    #[command(after_help = dlq::DLQ_EXAMPLES)]
    Dlq(DlqOptions),
    /// Write ticks and bars of the data directory as Parquet files, into a folder or to S3
    #[command(after_help = export::EXPORT_EXAMPLES)]
    Export(ExportOptions),
    /// Connect to a venue, show its first ticks, and say what is wrong
    #[command(after_help = probe::PROBE_EXAMPLES)]
    Probe(ProbeOptions),
    /// List the providers, what each needs, and whether it has it
    #[command(after_help = probe::VENUES_EXAMPLES)]
    Venues(VenuesOptions),
    /// Check the configuration and list every fault
    #[command(after_help = upkeep::CHECK_CONFIG_EXAMPLES)]
    CheckConfig,
    /// Print the configuration as TOML, with where each value came from and secrets as ***
    #[command(after_help = upkeep::PRINT_CONFIG_EXAMPLES)]
    PrintConfig,
    /// Print what a shell needs to complete commands and flags
    #[command(after_help = completions::COMPLETIONS_EXAMPLES)]
    Completions(CompletionsOptions),
}

impl Cli {
    /// Returns the sources of the configuration: the environment of this process, and the flags.
    #[must_use]
    pub fn sources(&self) -> Sources {
        // A script for a shell depends on no configuration, not even on one that is wrong.
        if matches!(self.command, Command::Completions(_)) {
            return Sources::default();
        }
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
        let log_level = self.global.log_level.map(Value::try_from);
        set("--log-level", "log_level", log_level.map(|value| value.expect("a level is one word")));
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
            | Command::Alert(_)
            | Command::Backfill(_)
            | Command::Compare(_)
            | Command::Dlq(_)
            | Command::Export(_)
            | Command::Probe(_)
            | Command::Venues(_)
            | Command::CheckConfig
            | Command::PrintConfig
            | Command::Completions(_) => {}
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
        let run = config(&format!("{line} --log-format json --log-level debug"));
        assert_eq!(run.provider.symbols, ["AAPL", "BTC-USD"]);
        assert!((run.provider.rate - 2.5).abs() < f64::EPSILON);
        assert_eq!((run.provider.seed, run.log_format, run.log_level), (7, LogFormat::Json, LogLevel::Debug));
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
}
