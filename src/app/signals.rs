//! The signals that end the program, received by a thread of their own from start to exit.
//!
//! Promises: SIGINT, SIGTERM and SIGHUP are received whatever the program is doing, and the process then ends within a
//! limit: in order if it can, else at once with exit code 1. SIGHUP stops it like the others, unless the parent had it
//! ignored (`nohup`). On failure: when the limit ends the process, the log is intact, and the next start continues
//! from there.

use anyhow::Context;
use std::future::pending;
use std::process::exit;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// How much longer than the limit of a stop the process lives if the stop itself hangs.
const LAST_RESORT: Duration = Duration::from_millis(700);

/// Waits for the signals that stop the program.
pub struct Signals {
    received: watch::Receiver<Option<&'static str>>,
}

impl Signals {
    /// Starts to receive signals. `stop_timeout` is the limit of a stop.
    ///
    /// # Errors
    /// When the system refuses a handler or a thread.
    pub fn arm(stop_timeout: Duration) -> anyhow::Result<Signals> {
        const ARMING: &str = "failed to listen for signals";
        let runtime = Builder::new_current_thread().enable_all().build().context(ARMING)?;
        let (mut interrupt, mut terminate, mut hangup) = {
            let _inside = runtime.enter();
            let hangup = (!is_hangup_ignored()).then(|| signal(SignalKind::hangup())).transpose();
            (
                signal(SignalKind::interrupt()).context(ARMING)?,
                signal(SignalKind::terminate()).context(ARMING)?,
                hangup.context(ARMING)?,
            )
        };
        let (sender, received) = watch::channel(None);
        let listen = async move {
            let by = tokio::select! {
                _ = interrupt.recv() => "interrupted",
                _ = terminate.recv() => "told to stop",
                () = next(hangup.as_mut()) => "hung up",
            };
            sender.send_replace(Some(by));
            tokio::time::sleep(stop_timeout + LAST_RESORT).await;
            tracing::error!("the stop hangs; the process ends without it");
            exit(1);
        };
        let thread = std::thread::Builder::new().name("signals".to_owned());
        thread.spawn(move || runtime.block_on(listen)).context(ARMING)?;
        Ok(Signals { received })
    }

    /// Waits for a signal and returns its name.
    pub async fn received(&self) -> &'static str {
        let mut received = self.received.clone();
        match received.wait_for(Option::is_some).await.map(|by| *by) {
            Ok(Some(by)) => by,
            // The listener ends only with the process.
            Ok(None) | Err(_) => pending().await,
        }
    }
}

async fn next(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => _ = signal.recv().await,
        None => pending().await,
    }
}

/// True when the program was started to outlive its terminal; false where the system does not say.
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignores_hangup(&status)
}

/// Reads the mask of ignored signals, of which SIGHUP is the lowest bit.
fn ignores_hangup(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hangup_that_the_parent_ignores_is_found() {
        assert!(ignores_hangup("Name:\ttickwire\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000000\n"));
        assert!(!ignores_hangup("Name:\ttickwire\nSigIgn:\t0000000000001000\nSigCgt:\t0000000000000001\n"));
        assert!(!ignores_hangup("nothing"));
    }
}
