//! `tickwire alert`: its commands, their flags and examples.

use clap::{Args, Subcommand};

/// Examples.
pub(super) const ALERT_EXAMPLES: &str = "\
Examples:
  tickwire alert test                              a sample by every channel that is configured
  tickwire alert test --channel slack --channel email

Exit codes: 0 every channel took it, 1 one did not, 2 wrong usage: no such channel, or it is not configured.";

/// Flags of `alert`.
#[derive(Clone, Debug, Args)]
pub struct AlertOptions {
    /// What is done.
    #[command(subcommand)]
    pub command: AlertCommand,
}

/// What is done with alerts.
#[derive(Clone, Debug, Subcommand)]
pub enum AlertCommand {
    /// Send a sample, and print what each channel said
    Test {
        /// By this channel: slack, email, webhook or alertmanager; may be given several times. By default all that are
        /// configured
        #[arg(long = "channel", value_name = "NAME", value_delimiter = ',')]
        channels: Vec<String>,
    },
}
