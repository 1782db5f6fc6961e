//! The settings of the simulated venue as a user writes them, except those that every venue has or that a flag sets:
//! symbols, rate and seed come from the caller.
//!
//! Promises: the defaults have no fault. On failure: [`SimulatedConfig::validate`] names every fault with its key.

use super::faults::InjectedFaults;
use super::market::{MarketSettings, SimulatedSymbol};
use super::symbols::initial_price;
use crate::models::entry::SourceId;
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use serde::{Deserialize, Serialize};

/// The simulated venue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimulatedConfig {
    /// Whether a quote comes before each trade.
    pub quotes: bool,
    /// How unevenly symbols trade: the n-th one n^-popularity times as often as the first. 0 makes them equal.
    pub popularity: f64,
    /// How much livelier the ends of the (UTC) day are: the rate is between 1 - swing and 1 + 2 × swing of its mean.
    pub swing: f64,
    /// Yearly volatility of prices: 0.3 is 30 %.
    pub volatility: f64,
    /// How many bars of the smallest window the simulated past has at most, all symbols together: with more symbols it
    /// gets shorter, down to what the indicators need of each window.
    pub warm_up_trades_max: usize,
    /// The faults injected into the feed; none by default. Users know the section by its first name.
    #[serde(rename = "misbehaviour")]
    pub faults: InjectedFaults,
}

impl Default for SimulatedConfig {
    fn default() -> Self {
        SimulatedConfig {
            quotes: false,
            popularity: 0.8,
            swing: 0.1,
            volatility: 0.3,
            warm_up_trades_max: 100_000,
            faults: InjectedFaults::default(),
        }
    }
}

impl SimulatedConfig {
    /// Returns every fault: its key, such as `misbehaviour.delay.probability`, and what is wrong.
    #[must_use]
    pub fn validate(&self) -> Vec<(&'static str, String)> {
        let mut faults = self.faults.validate();
        let ranges = [
            ("popularity", self.popularity, 0.0, 3.0),
            ("swing", self.swing, 0.0, 0.9),
            ("volatility", self.volatility, 0.0, 10.0),
        ];
        for (key, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                faults.push((key, format!("must be from {least} to {most}")));
            }
        }
        faults
    }

    /// Returns the market of these symbols, the most popular one first, from `start` on: `rate_per_second` trades, all
    /// symbols together, as the mean of a day.
    #[must_use]
    pub fn market(
        &self,
        symbols: &[(SymbolId, &str)],
        source: SourceId,
        start: Nanos,
        rate_per_second: f64,
        seed: u64,
    ) -> MarketSettings {
        let symbols = symbols
            .iter()
            .map(|(id, name)| SimulatedSymbol { id: *id, initial_price: initial_price(name) })
            .collect();
        MarketSettings {
            rate_per_second,
            seed,
            quotes: self.quotes,
            popularity: self.popularity,
            swing: self.swing,
            volatility: self.volatility,
            ..MarketSettings::new(symbols, source, start)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::faults::{Shift, Spike};
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_printed_reads_back() {
        for faults in [InjectedFaults::default(), InjectedFaults::everything()] {
            let config = SimulatedConfig { faults, ..SimulatedConfig::default() };
            assert_eq!(config.validate(), []);
            let text = toml::to_string(&config).expect("plain data");
            assert_eq!(toml::from_str::<SimulatedConfig>(&text).expect("reads back"), config, "{text}");
        }
    }

    #[test]
    fn what_is_not_given_has_its_default_and_unknown_keys_are_refused() {
        let config: SimulatedConfig =
            toml::from_str("swing = 0.5\nmisbehaviour.delay = { probability = 0.5, max = \"2min\" }")
                .expect("valid");
        assert_eq!((config.swing, config.popularity), (0.5, SimulatedConfig::default().popularity));
        assert_eq!(config.faults.delay.max, Duration::from_secs(120));
        assert!(!config.faults.is_off() && SimulatedConfig::default().faults.is_off());
        for text in ["swings = 1", "misbehaviour.drops = 1", "misbehaviour.delay.max = \"soon\""] {
            assert!(toml::from_str::<SimulatedConfig>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_fault_is_named() {
        let faults = InjectedFaults {
            drop: 1.5,
            delay: Shift { probability: -0.1, ..Shift::default() },
            price_spike: Spike { probability: 2.0, factor: 0.0 },
            conditions: f64::NAN,
            ..InjectedFaults::default()
        };
        let config = SimulatedConfig { swing: 1.0, volatility: -1.0, faults, ..SimulatedConfig::default() };
        let mut keys: Vec<&str> = config.validate().into_iter().map(|(key, _)| key).collect();
        keys.sort_unstable();
        let expected = [
            "misbehaviour.conditions",
            "misbehaviour.delay.probability",
            "misbehaviour.drop",
            "misbehaviour.price_spike.factor",
            "misbehaviour.price_spike.probability",
            "swing",
            "volatility",
        ];
        assert_eq!(keys, expected);
    }
}
