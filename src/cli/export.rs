//! `tickwire export`: its flags and examples.

use super::time::parse_time;
use crate::app::export::ExportSettings;
use crate::models::time::Nanos;
use clap::Args;

/// Examples.
pub(super) const EXPORT_EXAMPLES: &str = "\
Examples:
  tickwire export --data-dir data --out parquet
  tickwire export --from 2026-11-02 --to 2026-11-03 --symbols AAPL,MSFT --out parquet
  AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=... tickwire export --out s3://bucket/prefix
  duckdb -c \"SELECT symbol, count(*) FROM 'parquet/ticks/*/*/*.parquet' GROUP BY ALL\"

It may run beside the process that fills the directory. Interrupted, the same command goes on where it stopped. S3 takes its
settings from the usual variables: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL
(http:// only with AWS_ALLOW_HTTP=true), AWS_CA_BUNDLE.

Exit codes: 0 done, 1 failed or interrupted, 2 wrong usage.";

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

impl ExportOptions {
    /// Returns what is asked of the export.
    #[must_use]
    pub fn into_settings(self) -> ExportSettings {
        let ExportOptions { from, to, out, symbols, json } = self;
        ExportSettings { from, to, symbols, out, json }
    }
}
