//! A bad day at the simulated venue, from the first trade to the last, together with the truth about it.
//!
//! Promises: seeded, and the same however the batches are cut. What it delivers is what a provider would put into the
//! log; of what it withholds because its outcome would be a matter of luck, [`Truth::num_withheld`] keeps count.

use super::truth::Truth;
use crate::actors::ingest::simulated::{
    FaultInjector, InjectedCounts, InjectedFaults, Market, MarketSettings,
};
use crate::models::entry::{Body, Entry};
use crate::models::settings::CoreSettings;
use crate::models::time::Nanos;

/// Clean trades that are made at once.
const CHUNK: usize = 1_024;

/// A market, the faults injected into its feed, and the truth about what arrives.
#[derive(Clone, Debug)]
pub struct Scenario {
    market: Market,
    injector: FaultInjector,
    truth: Truth,
    num_clean_left: usize,
    clean: Vec<Entry>,
    arrived: Vec<Entry>,
    num_taken: usize,
    ended: bool,
}

impl Scenario {
    /// Prepares a day of `num_trades` clean trades.
    #[must_use]
    pub fn new(
        market: &MarketSettings,
        faults: &InjectedFaults,
        core: CoreSettings,
        num_trades: usize,
    ) -> Scenario {
        Scenario {
            injector: FaultInjector::new(faults, market.source, market.symbols.len(), market.seed),
            market: Market::new(market),
            truth: Truth::new(core),
            num_clean_left: num_trades,
            clean: Vec::new(),
            arrived: Vec::new(),
            num_taken: 0,
            ended: false,
        }
    }

    /// Appends at most `max` entries in order of arrival, and returns whether there are more to come.
    pub fn next_batch(&mut self, max: usize, out: &mut Vec<Entry>) -> bool {
        let wanted = out.len() + max;
        while out.len() < wanted {
            if self.num_taken == self.arrived.len() && !self.refill() {
                return false;
            }
            let entry = self.arrived[self.num_taken];
            self.num_taken += 1;
            if self.truth.witness(&entry) {
                out.push(entry);
            }
        }
        true
    }

    /// Makes more entries arrive; false at the end of the day.
    fn refill(&mut self) -> bool {
        self.arrived.clear();
        self.num_taken = 0;
        while self.arrived.is_empty() && !self.ended {
            let chunk = self.num_clean_left.min(CHUNK);
            self.num_clean_left -= chunk;
            self.clean.clear();
            self.market.fill(Nanos::MAX, chunk, &mut self.clean);
            self.clean.iter().for_each(|entry| self.injector.send(entry));
            match self.clean.last().map(|entry| entry.body) {
                Some(Body::Trade(last)) => self.injector.deliver(last.received, &mut self.arrived),
                _ => {
                    self.injector.deliver_rest(&mut self.arrived);
                    self.ended = true;
                }
            }
        }
        !self.arrived.is_empty()
    }

    /// Returns the truth about everything that was handed out so far. Its bars are those after the end of input.
    #[must_use]
    pub const fn truth(&self) -> &Truth {
        &self.truth
    }

    /// Returns how often each fault was injected so far.
    #[must_use]
    pub const fn counts(&self) -> InjectedCounts {
        self.injector.counts()
    }
}
