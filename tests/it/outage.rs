//! A backend that is away, hangs, is slow or refuses writes while a market trades: the rest goes on, `/health` names it, what
//! waits for it is bounded, and afterwards it catches up, or what it missed was counted. The history, whatever happened,
//! ends in the rows that follow from the log.

mod cache;
mod history;
mod metrics;

use crate::support::process::{Program, wait_for};
use crate::support::rows::{assert_same_rows, history_rows, rows_by_log};
use std::path::Path;
use tickwire::models::settings::CoreSettings;
use tickwire::models::time::Width;

/// A market whose smallest bars close every second.
const WINDOWS: (&str, &str) = ("TICKWIRE__CORE__WINDOWS", "1s,1min");
/// Failures are answered by another try soon.
const QUICK: &str = "200ms";
/// Simulated ticks a second.
const RATE: &str = "2000";
/// Rows that a sink may have waiting: what the shell holds at most, and what is on its way to it.
const WAITING_MAX: u64 = 110_000;

fn widths() -> Vec<Width> {
    ["1s", "1min"].map(|name| Width::parse(name).unwrap()).to_vec()
}

/// A program under load, and one of its backends.
struct Load<'a> {
    program: Program,
    /// The backend as `/health` and metrics call it.
    backend: &'a str,
}

impl Load<'_> {
    fn health(&self) -> String {
        let health = self.program.get("REST", "/health").unwrap().json();
        health["components"][self.backend].as_str().unwrap_or_default().to_owned()
    }

    fn wait_for_health(&self, status: &str) {
        wait_for(status, || (self.health() == status).then_some(()));
    }

    fn metric(&self, name: &str) -> u64 {
        self.program.metric(name)
    }

    /// Waits until so many more entries are durable, and checks that everything else is as it should be.
    fn goes_on(&self, num_entries: u64) {
        let position = || self.metric("tickwire_log_position ");
        let before = position();
        wait_for("live entries", || (position() > before + num_entries).then_some(()));
        assert_eq!(self.program.get("REST", "/health/ready").unwrap().status, 200, "nothing else is worse");
        // Bars of the past are in the history alone.
        let bars: &[&str] = if self.backend == "history" { &[] } else { &["aggregated/AAPL?window=1s"] };
        for path in ["latest/AAPL", "ticks/AAPL"].iter().chain(bars) {
            // The first bar has yet to close where the program has just begun.
            let status = || self.program.get("REST", &format!("/api/v1/{path}")).unwrap().status;
            wait_for(path, || (status() == 200).then_some(()));
        }
        let waiting = self.metric(&format!("tickwire_sink_queue_length{{sink=\"{}\"}} ", self.backend));
        assert!(waiting <= WAITING_MAX, "{waiting} rows wait");
    }

    /// Stops it, and compares the history of its data directory with what follows from the log.
    fn ends_well(self, dir: &Path, context: &str) {
        self.program.stop();
        let data = dir.join("data");
        let core = CoreSettings { widths: widths(), ..CoreSettings::default() };
        let (expected, ledger) = rows_by_log(&data, core, false);
        assert_same_rows(&expected, &history_rows(&data), context);
        assert_eq!(ledger.residue(), 0);
    }
}
