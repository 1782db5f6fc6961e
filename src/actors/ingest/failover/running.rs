//! A venue that runs, or that is compared, and how it stands.
//!
//! Promises: reading it changes nothing, and nothing here fails.

use super::divergence::Divergence;
use super::member::Seen;
use super::moment::Told;
use crate::actors::health::{Health, HealthRegistry};
use crate::actors::ingest::handle::StopSwitch;
use crate::actors::ingest::shell::{Changes, Phase, Standing};
use crate::metrics::DivergenceMetrics;
use crate::models::time::Nanos;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long the log may take for what it is handed before a venue counts as held up by it.
const HELD_UP_MIN: Duration = Duration::from_millis(100);

/// A venue that runs.
pub(super) struct Running {
    pub standing: Rc<Standing>,
    pub board: Arc<HealthRegistry>,
    pub changes: Rc<Changes>,
    pub stop: StopSwitch,
    pub task: JoinHandle<()>,
    /// From here on it tells everything.
    pub since: Nanos,
}

impl Running {
    pub fn told(&self) -> Told {
        let standing = &self.standing;
        let (clock, newest) = (standing.clock(), standing.newest());
        Told { since: self.since, clock, newest, gap: standing.whole_until() }
    }

    /// Returns the newest time that it vouched for.
    pub fn clock(&self) -> Nanos {
        self.standing.clock().max(self.standing.newest())
    }

    pub fn seen(&self, num_instruments: usize) -> Seen {
        let standing = &self.standing;
        Seen {
            phase: standing.phase(),
            num_breaks: standing.num_breaks(),
            num_reports: standing.num_reports(),
            newest: standing.newest(),
            is_whole: standing.gap() == Nanos::MAX,
            is_held_up: standing.is_held_up(HELD_UP_MIN),
            num_symbols: num_instruments.saturating_sub(standing.num_left_out()),
            refused: standing.refused(),
        }
    }

    pub fn said(&self) -> Option<(Health, String)> {
        self.board.components().into_iter().next().map(|(_, said)| (said.status, said.detail))
    }
}

/// A venue that is compared.
pub(super) struct Compared {
    pub running: Running,
    pub name: &'static str,
    pub divergence: Rc<RefCell<Divergence>>,
    pub metrics: DivergenceMetrics,
}

impl Compared {
    pub fn in_words(&self) -> String {
        let name = self.name;
        if self.running.standing.phase() != Phase::Up {
            return format!("`{name}` to compare with is not there: {}", self.running.standing.reason());
        }
        let divergence = self.divergence.borrow();
        match (divergence.price_bps(), divergence.volume_share()) {
            (None, None) => format!("`{name}` is compared"),
            (price, volume) => {
                let (price, volume) = (price.unwrap_or_default(), volume.unwrap_or_default() * 100.0);
                format!("`{name}` differs by {price:.1} bps in price and {volume:.0} % in volume")
            }
        }
    }
}
