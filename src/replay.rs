//! Works out the bars and indicators of recorded ticks.

use crate::cli::ReplayOptions;
use crate::config::Config;

/// Replays the files.
///
/// # Errors
/// When a file cannot be read or an output cannot be written.
pub fn run(_options: ReplayOptions, _config: Config) -> anyhow::Result<()> {
    anyhow::bail!("`replay` is not wired yet")
}
