//! `tickwire dlq`: its commands, their flags and examples.

use super::time::parse_time;
use crate::app::dlq::{Action, Selection};
use crate::models::time::Nanos;
use clap::{Args, Subcommand};

/// Examples.
pub(super) const DLQ_EXAMPLES: &str = "\
Examples:
  tickwire dlq ls --reason malformed --since 2026-11-02
  tickwire dlq show 17
  tickwire dlq replay --reason too_many_symbols              no other process may use the data directory meanwhile
  tickwire dlq replay --topic --symbol AAPL --to tick_data   by way of the topic that a running process reads";

/// Flags of `dlq`.
#[derive(Clone, Debug, Args)]
pub struct DlqOptions {
    /// What is done.
    #[command(subcommand)]
    pub command: DlqCommand,
}

/// What is done with dead letters.
#[derive(Clone, Debug, Subcommand)]
pub enum DlqCommand {
    /// List them, the newest first
    Ls {
        /// Which.
        #[command(flatten)]
        which: DlqSelection,
        /// Print each as a line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Show some with all that they say
    Show {
        /// Their names, as `ls` lists them
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        /// Look in the topic `kafka.topics.dlq`, not in the history
        #[arg(long)]
        topic: bool,
    },
    /// Take them in again, the oldest first
    Replay {
        /// Their names; all that the flags allow where none is named
        #[arg(value_name = "ID")]
        ids: Vec<String>,
        /// Which.
        #[command(flatten)]
        which: DlqSelection,
        /// Write them to this topic, in place of the log of the data directory
        #[arg(long, value_name = "TOPIC")]
        to: Option<String>,
    },
}

/// Which dead letters.
#[derive(Clone, Debug, Args)]
pub struct DlqSelection {
    /// Look in the topic `kafka.topics.dlq`, not in the history
    #[arg(long)]
    pub topic: bool,
    /// Only those of this reason
    #[arg(long, value_name = "REASON")]
    pub reason: Option<String>,
    /// Only those of this symbol
    #[arg(long, value_name = "SYMBOL")]
    pub symbol: Option<String>,
    /// Only those received at this time or later
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub since: Option<Nanos>,
    /// At most so many, the newest
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: usize,
}

impl DlqOptions {
    /// Returns which letters are asked for, and what is done with them.
    #[must_use]
    pub fn into_request(self) -> (Selection, Action) {
        let of = |ids, which: DlqSelection| {
            let DlqSelection { topic, reason, symbol, since, limit } = which;
            Selection { is_of_topic: topic, ids, reason, symbol, since, limit }
        };
        match self.command {
            DlqCommand::Ls { which, json } => (of(Vec::new(), which), Action::List { json }),
            DlqCommand::Show { ids, topic } => {
                (Selection { is_of_topic: topic, ids, ..Selection::default() }, Action::Show)
            }
            DlqCommand::Replay { ids, which, to } => (of(ids, which), Action::Replay { to }),
        }
    }
}
