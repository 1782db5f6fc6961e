//! Finage: trades of US shares and coins and quotes of currencies over WebSocket, ready-made bars over REST. Each account has
//! addresses and a socket key of its own, a stream a market.
//!
//! Promises: those of [`Venue`]. Trades have no ids, cancels or corrections. Past trades cannot be had, so that a hole in the
//! stream stays one, and shows in the coverage. Subscriptions are not acknowledged.
//!
//! Protocol: <https://finage.co.uk/docs/api>.

mod backfill;
mod config;
mod parse;
mod subscribe;
mod wire;

use super::super::config::VenueConfig;
use super::super::venue::{
    BarsPage, Clock, Context, Cursor, FrameFault, Heard, Ids, Judgement, Listed, Needs, Request, Step,
    Transport, Venue,
};
use super::pairs::{self, Market, market_of};
use config::Settings;
pub use config::{DEFAULT_SYMBOLS, NAME, REQUESTS_PER_MINUTE, channel_fault};
use std::sync::Arc;
use std::time::Duration;

/// Whether the venue speaks by itself, and how soon it answers a ping, is not documented.
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);

/// The venue.
pub struct Finage(Settings);

impl Finage {
    /// Makes the venue of a configuration.
    #[must_use]
    pub fn open(config: &VenueConfig) -> Arc<dyn Venue> {
        Arc::new(Finage(Settings::of(config)))
    }
}

impl Venue for Finage {
    fn name(&self) -> &'static str {
        NAME
    }

    fn needs(&self) -> Needs {
        Needs {
            transport: Transport::Streams(self.0.streams()),
            // It greets, and wants no subscription before.
            first: Step::Wait,
            has_heartbeats: false,
            idle_timeout: IDLE_TIMEOUT,
            clock: Clock::Ours { delay: Duration::ZERO },
            ids: Ids::None,
            connection_age_max: None,
            symbols_per_connection_max: None,
            symbols_max: None,
            connections_max: None,
        }
    }

    /// Pairs of coins lose their separator and those of currencies have a slash: `BTCUSD`, `EUR/USD`.
    fn spell(&self, symbol: &str) -> Result<Listed, String> {
        let (name, market) = market_of(symbol);
        if let Some(missing) = self.0.missing(market) {
            return Err(missing);
        }
        let spelled = match market {
            Market::Stocks => name.clone(),
            Market::Crypto => name.replace('-', ""),
            Market::Forex => name.replace('-', "/"),
        };
        Ok(pairs::listed(&name, &spelled, market))
    }

    fn stream_of(&self, venue_symbol: &str) -> usize {
        self.0.place_of(match () {
            () if parse::is_forex(venue_symbol) => Market::Forex,
            () if pairs::split(venue_symbol).is_some() => Market::Crypto,
            () => Market::Stocks,
        })
    }

    fn subscribe(&self, venue_symbols: &[&str]) -> Vec<String> {
        vec![subscribe::subscribe(venue_symbols)]
    }

    fn unsubscribe(&self, venue_symbols: &[&str]) -> Vec<String> {
        vec![subscribe::unsubscribe(venue_symbols)]
    }

    fn parse(&self, frame: &str, context: &Context<'_>, heard: &mut Heard) {
        parse::frame(frame, self.0.reading, context, heard);
    }

    fn judge(&self, status: u16, body: &str) -> Judgement {
        backfill::judge(status, body)
    }

    fn bars_request(&self, page: &BarsPage<'_>) -> Option<Request> {
        backfill::request(&self.0.rest_url, &self.0.key, page)
    }

    fn read_bars(
        &self,
        body: &str,
        page: &BarsPage<'_>,
        context: &Context<'_>,
        heard: &mut Heard,
    ) -> Result<Option<Cursor>, FrameFault> {
        backfill::read(body, page, context, heard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_have_the_venue_spelling_and_their_stream() {
        let section = "stream_url = 'ws://127.0.0.1:1'\ncrypto_stream_url = 'ws://127.0.0.1:2'\n\
                       forex_stream_url = 'ws://127.0.0.1:3'\nsocket_key = 's'\n";
        let venue = Finage::open(&toml::from_str(section).expect("a section"));
        for (symbol, name, spelled, stream, has_only_quotes) in [
            ("AAPL", "AAPL", "AAPL", 0, false),
            ("BTC-USD", "BTC-USD", "BTCUSD", 1, false),
            ("BTCUSD", "BTC-USD", "BTCUSD", 1, false),
            ("EUR-USD", "EUR-USD", "EUR/USD", 2, true),
        ] {
            let listed = venue.spell(symbol).expect("its stream is configured");
            assert_eq!((listed.name.as_str(), listed.venue_symbol.as_str()), (name, spelled));
            assert_eq!(
                (venue.stream_of(spelled), listed.has_only_quotes),
                (stream, has_only_quotes),
                "{symbol}"
            );
        }
        let said = Finage::open(&VenueConfig::default()).spell("AAPL").expect_err("no address");
        assert!(said.contains("`venues.finage.stream_url`"), "{said}");
    }
}
