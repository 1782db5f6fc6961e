//! Puts the program together, serves, waits for a signal, stops.

use crate::config::Config;

/// Takes ticks in and serves what comes of them, until stopped.
///
/// # Errors
/// When something that it cannot do without fails.
pub fn run(_config: Config) -> anyhow::Result<()> {
    anyhow::bail!("`run` is not wired yet")
}

/// Brings the stores of the data directory to the form this version needs.
///
/// # Errors
/// When a store cannot be opened or changed.
pub fn migrate(_config: Config) -> anyhow::Result<()> {
    anyhow::bail!("`migrate` is not wired yet")
}
