//! Decides which symbol gets its simulated past next, and when.
//!
//! Promises: a symbol's past is one message, so the log holds all of it or nothing, no clock mark comes in between, and a
//! start can see from the symbol alone whether it has a past: the next start makes those that a kill prevented. A symbol
//! does not trade until its past is on its way. The most popular symbols come first. The next past waits until the last
//! one is applied and the history has nearly caught up, so that live trades wait for the work of at most one past, and
//! memory stays about the same. Nothing here fails.

use super::history::{History, HistorySettings};
use super::market::MarketSettings;
use crate::actors::environment::Environment;
use crate::actors::health::{Health, HealthRegistry};
use crate::metrics::Stage;
use crate::models::entry::Entry;
use crate::models::num::Price;
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Effects that may wait for the history when another past is made: what it writes at once; some 10 MB with copies.
const BACKLOG_MAX: u64 = 12_000;

/// How often the progress is logged.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// The pasts to make.
pub struct PastSettings {
    /// The settings of each past.
    pub history: HistorySettings,
    /// Places of the symbols that lack a past, ascending.
    pub lacking: Vec<usize>,
}

/// Pasts that are still to be made.
pub struct Past {
    history: History,
    /// The symbols of the market by place, and whether each may trade by id.
    symbols: Vec<SymbolId>,
    is_open: Vec<bool>,
    /// Places of the symbols that lack a past, the next one last.
    lacking: Vec<usize>,
    total: usize,
    /// The symbol whose past was made last.
    last: Option<SymbolId>,
    is_done: bool,
    begun: Instant,
    logged: Instant,
    env: Environment,
    health: Arc<HealthRegistry>,
}

impl Past {
    /// Prepares the pasts; `None` when no symbol lacks one.
    #[must_use]
    pub fn new(
        market: &MarketSettings,
        settings: PastSettings,
        env: Environment,
        health: Arc<HealthRegistry>,
    ) -> Option<Past> {
        let PastSettings { history, mut lacking } = settings;
        lacking.reverse();
        let symbols: Vec<SymbolId> = market.symbols.iter().map(|symbol| symbol.id).collect();
        let len = symbols.iter().map(|symbol| symbol.index() + 1).max().unwrap_or(0);
        let mut is_open = vec![true; len];
        for place in &lacking {
            is_open[symbols[*place].index()] = false;
        }
        let history = History::new(market, &history);
        let (now, last, is_done) = (Instant::now(), None, false);
        let total = lacking.len();
        let past = Past {
            history,
            symbols,
            is_open,
            lacking,
            total,
            last,
            is_done,
            begun: now,
            logged: now,
            env,
            health,
        };
        if total == 0 {
            return None;
        }
        if past.history.is_shortened() {
            tracing::info!(
                symbols = past.symbols.len(),
                "so many symbols get a shorter past: the bars that the indicators of each window need, older ones coarser"
            );
        }
        past.publish();
        Some(past)
    }

    /// Returns the symbols that lack a past still, the next one first.
    #[must_use]
    pub fn lacking(&self) -> Vec<SymbolId> {
        self.lacking.iter().rev().map(|&place| self.symbols[place]).collect()
    }

    /// True when the symbol trades: it has its past, or needs none.
    #[must_use]
    pub fn is_open(&self, symbol: SymbolId) -> bool {
        self.is_open.get(symbol.index()).copied().unwrap_or(true)
    }

    /// True when the last past is made and applied.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.is_done
    }

    /// Returns the whole past of the next symbol up to now, and opens its market; `None` while the pipeline is busy.
    /// `price` returns the current price of the symbol at a place.
    pub fn next(&mut self, now: Nanos, price: impl Fn(usize) -> Price) -> Option<Vec<Entry>> {
        if !self.is_applied() || self.backlog() > BACKLOG_MAX {
            return None;
        }
        let Some(&place) = self.lacking.last() else {
            self.is_done = true;
            let seconds = self.begun.elapsed().as_secs_f64();
            self.publish();
            tracing::info!(symbols = self.total, seconds, "every symbol has its past; all markets are open");
            return None;
        };
        let mut entries = Vec::new();
        self.history.append(place, price(place), now, &mut entries);
        let symbol = self.symbols[place];
        self.lacking.pop();
        self.is_open[symbol.index()] = true;
        self.last = Some(symbol);
        self.publish();
        if self.logged.elapsed() >= PROGRESS_INTERVAL {
            self.logged = Instant::now();
            tracing::info!(symbols = self.num_made(), of = self.total, "making up the past");
        }
        Some(entries)
    }

    /// True when the last past is applied, so that its symbol has a snapshot; always true without readers.
    fn is_applied(&self) -> bool {
        match (&self.env.published.snapshots, self.last) {
            (Some(snapshots), Some(symbol)) => snapshots.get(symbol).is_some(),
            _ => true,
        }
    }

    /// Returns how many effects wait for the history.
    fn backlog(&self) -> u64 {
        let history = self.env.metrics.stage(Stage::History);
        history.received.get().saturating_sub(history.sent.get())
    }

    fn num_made(&self) -> usize {
        self.total - self.lacking.len()
    }

    /// Publishes the progress in metrics and health.
    fn publish(&self) {
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.env.metrics.past_symbols.set(count(self.total));
        self.env.metrics.past_symbols_made.set(count(self.num_made()));
        let detail = if self.lacking.is_empty() {
            "simulated".to_owned()
        } else {
            format!("simulated; making up the past: {} of {} symbols", self.num_made(), self.total)
        };
        self.health.set("provider", Health::Healthy, detail);
    }
}
