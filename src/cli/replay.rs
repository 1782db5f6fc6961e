//! `tickwire replay`: its flags and examples, and how fast a replay goes.

use crate::config::parse_duration;
use clap::Args;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Examples.
pub(super) const REPLAY_EXAMPLES: &str = "\
Examples:
  tickwire replay monday.csv tuesday.csv.gz --bars bars.csv --indicators indicators.csv
  tickwire replay monday.csv --speed 10 --symbols AAPL,MSFT
  zcat ticks.jsonl.gz | tickwire replay - --json
  tickwire replay parquet                          what `tickwire export --out parquet` wrote
  tickwire replay year.csv --data-dir data         stores the result; resumes where it was interrupted";

/// Flags of `replay`.
#[derive(Clone, Debug, Args)]
pub struct ReplayOptions {
    /// CSV or JSON lines, plain or .gz, and Parquet files or folders that `export` wrote, merged by time; - is standard input
    /// (JSON lines)
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// How many times as fast as the original, or `max`
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true, default_value_t = Speed::Max)]
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

#[cfg(test)]
mod tests {
    use super::*;

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
