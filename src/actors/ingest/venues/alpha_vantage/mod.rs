//! Alpha Vantage: ready-made bars of US shares, currencies and coins, and exchange rates, by asking again and again. Needs a
//! key; a free one has so few requests a day that its bars come hours late, if its plan has bars within a day at all.
//!
//! Promises: those of [`Venue`]. There are no trades, and no stream; bars are the venue's own.
//!
//! Protocol: <https://www.alphavantage.co/documentation/>.

mod config;
mod judge;
mod parse;
mod subscribe;
mod wire;

use super::super::config::VenueConfig;
use super::super::venue::{
    Clock, Context, FrameFault, Heard, Ids, Judgement, Listed, Needs, Poll, Step, Transport, Venue,
};
use super::pairs::market_of;
use config::Settings;
pub use config::{DEFAULT_SYMBOLS, NAME, REQUESTS_PER_MINUTE, channel_fault};
use parse::Reading;
use std::sync::Arc;
use std::time::Duration;

/// The venue.
pub struct AlphaVantage(Settings);

impl AlphaVantage {
    /// Makes the venue of a configuration.
    #[must_use]
    pub fn open(config: &VenueConfig) -> Arc<dyn Venue> {
        Arc::new(AlphaVantage(Settings::of(config)))
    }
}

impl Venue for AlphaVantage {
    fn name(&self) -> &'static str {
        NAME
    }

    fn needs(&self) -> Needs {
        Needs {
            transport: Transport::Polls,
            first: Step::Wait,
            has_heartbeats: false,
            // Polls are no connection.
            idle_timeout: Duration::MAX,
            // Without an entitlement data may be a day old: then what comes tells how far it is.
            clock: self.0.delay().map_or(Clock::Told, |delay| Clock::Ours { delay }),
            ids: Ids::None,
            connection_age_max: None,
            symbols_per_connection_max: None,
            symbols_max: None,
            connections_max: None,
        }
    }

    /// Shares are spelled as we do, with the venue's suffix where they are traded elsewhere; so are pairs.
    fn spell(&self, symbol: &str) -> Result<Listed, String> {
        let (name, market) = market_of(symbol);
        Ok(Listed { asset_class: market.asset_class(), ..Listed::pair(&name, &name) })
    }

    fn subscribe(&self, _venue_symbols: &[&str]) -> Vec<String> {
        Vec::new()
    }

    fn unsubscribe(&self, _venue_symbols: &[&str]) -> Vec<String> {
        Vec::new()
    }

    /// There is no stream, so nothing that could come over it is one of its frames.
    fn parse(&self, _frame: &str, _context: &Context<'_>, heard: &mut Heard) {
        heard.num_ignored += 1;
    }

    fn judge(&self, status: u16, body: &str) -> Judgement {
        judge::judge(status, body, &self.0.key)
    }

    fn polls(&self, venue_symbols: &[&str]) -> Vec<Poll> {
        subscribe::polls(&self.0, venue_symbols)
    }

    fn read_poll(
        &self,
        body: &str,
        poll: &Poll,
        context: &Context<'_>,
        heard: &mut Heard,
    ) -> Result<(), FrameFault> {
        let reading = Reading { stamp: self.0.stamp, delay: self.0.delay().unwrap_or_default() };
        poll.venue_symbols.iter().try_for_each(|symbol| parse::answer(body, symbol, reading, context, heard))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::asset_class::AssetClass;

    #[test]
    fn symbols_have_our_spelling() {
        let venue = AlphaVantage::open(&VenueConfig::default());
        for (symbol, name, asset_class) in [
            ("MSFT", "MSFT", AssetClass::Equity),
            ("TSCO.LON", "TSCO.LON", AssetClass::Equity),
            ("EURUSD", "EUR-USD", AssetClass::Pair),
            ("BTC-USD", "BTC-USD", AssetClass::Crypto),
        ] {
            let listed = venue.spell(symbol).expect("any symbol can be asked for");
            assert_eq!((listed.name.as_str(), listed.venue_symbol.as_str()), (name, name));
            assert_eq!((listed.asset_class, listed.has_only_quotes), (asset_class, false));
        }
    }
}
