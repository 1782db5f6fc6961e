//! `tickwire migrate`, `tickwire check`, `tickwire check-config` and `tickwire print-config`: their flags and examples.

use clap::Args;

/// Examples of `migrate`.
pub(super) const MIGRATE_EXAMPLES: &str = "\
Examples:
  DATABASE_URL=postgres://owner@db/market tickwire migrate --dry-run    shows the steps, and rows that are there twice
  DATABASE_URL=postgres://owner@db/market tickwire migrate              takes them";

/// Examples of `check`.
pub(super) const CHECK_EXAMPLES: &str = "\
Examples:
  tickwire check --data-dir data
  tickwire check --data-dir data --repair          after a copy was made

Exit codes: 0 nothing is damaged, or all of it was repaired; 1 something is damaged, or lost for good.";

/// Examples of `check-config`.
pub(super) const CHECK_CONFIG_EXAMPLES: &str = "\
Examples:
  tickwire check-config --config tickwire.toml
  TICKWIRE__SERVER__REST=0.0.0.0:8000 tickwire check-config

Exit codes: 0 the configuration is valid, 2 it is not; every fault is listed with its key and where it came from.";

/// Examples of `print-config`.
pub(super) const PRINT_CONFIG_EXAMPLES: &str = "\
Examples:
  tickwire print-config                            every key with its value, and where that came from
  tickwire print-config --config tickwire.toml > whole.toml";

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
