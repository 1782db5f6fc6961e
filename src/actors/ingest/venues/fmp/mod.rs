//! Financial Modeling Prep: trades of US shares and coins and quotes of currencies over WebSocket, ready-made bars over
//! REST. Needs a key, and a plan that has WebSocket.
//!
//! Promises: those of [`Venue`]. Trades have no ids, conditions or corrections; a break cancels the newest trade of its price
//! and size. Past trades cannot be had, so that a hole in the stream stays one, and shows in the coverage. A key has one
//! connection and 100 symbols: of symbols of several markets, those of the first one are followed.
//!
//! Protocol: <https://site.financialmodelingprep.com/developer/docs>.

mod backfill;
mod config;
mod parse;
mod subscribe;
mod wire;

use super::super::config::{BarZone, VenueConfig};
use super::super::venue::{
    BarsPage, Clock, Context, Cursor, FrameFault, Heard, Ids, Judgement, Listed, Needs, Request, Step,
    Transport, Venue,
};
use super::pairs::{self, Market, market_of};
use config::Settings;
pub use config::{DEFAULT_SYMBOLS, NAME, REQUESTS_PER_MINUTE, channel_fault};
use std::sync::Arc;
use std::time::Duration;

/// Symbols of a key. A subscription to more is refused as a whole.
const SYMBOLS_MAX: usize = 100;

/// Heartbeats come at an interval that is not documented; clients wait so long for one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The venue.
pub struct Fmp(Settings);

impl Fmp {
    /// Makes the venue of a configuration.
    #[must_use]
    pub fn open(config: &VenueConfig) -> Arc<dyn Venue> {
        Arc::new(Fmp(Settings::of(config)))
    }
}

/// Returns the market of a symbol in the venue's spelling, which has no separator in a pair.
fn market(venue_symbol: &str) -> Market {
    if venue_symbol.contains('-') { Market::Stocks } else { market_of(&venue_symbol.to_ascii_uppercase()).1 }
}

impl Venue for Fmp {
    fn name(&self) -> &'static str {
        NAME
    }

    fn needs(&self) -> Needs {
        Needs {
            transport: Transport::Streams(self.0.streams.clone()),
            first: Step::Authenticate,
            // They come, but nobody says how often, or whether on every stream.
            has_heartbeats: false,
            idle_timeout: IDLE_TIMEOUT,
            clock: Clock::Ours { delay: Duration::ZERO },
            ids: Ids::None,
            connection_age_max: None,
            symbols_per_connection_max: None,
            symbols_max: Some(SYMBOLS_MAX),
            // Of two connections the newer one ends the older, again and again.
            connections_max: Some(1),
        }
    }

    /// Pairs lose their separator, and classes of shares have a dash: `btcusd`, `brk-b`.
    fn spell(&self, symbol: &str) -> Result<Listed, String> {
        let (name, market) = market_of(symbol);
        let spelled = match market {
            Market::Stocks => name.replace('.', "-"),
            Market::Crypto | Market::Forex => name.replace('-', ""),
        };
        Ok(pairs::listed(&name, &spelled.to_ascii_lowercase(), market))
    }

    fn stream_of(&self, venue_symbol: &str) -> usize {
        config::place_of(market(venue_symbol))
    }

    fn authenticate(&self) -> Vec<String> {
        vec![subscribe::login(&self.0.key)]
    }

    fn subscribe(&self, venue_symbols: &[&str]) -> Vec<String> {
        vec![subscribe::subscribe(venue_symbols)]
    }

    fn unsubscribe(&self, venue_symbols: &[&str]) -> Vec<String> {
        vec![subscribe::unsubscribe(venue_symbols)]
    }

    fn parse(&self, frame: &str, context: &Context<'_>, heard: &mut Heard) {
        parse::frame(frame, self.0.has_quotes, context, heard);
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
        let zone = match market(&page.instrument.venue_symbol) {
            Market::Stocks => BarZone::Eastern,
            Market::Crypto | Market::Forex => self.0.pair_zone,
        };
        backfill::read(body, zone, page, context, heard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_have_the_venue_spelling_and_their_stream() {
        let venue = Fmp::open(&VenueConfig::default());
        for (symbol, name, spelled, stream, has_only_quotes) in [
            ("AAPL", "AAPL", "aapl", 0, false),
            ("BRK.B", "BRK.B", "brk-b", 0, false),
            ("BTC-USD", "BTC-USD", "btcusd", 1, false),
            ("OPUSD", "OP-USD", "opusd", 1, false),
            ("EUR-USD", "EUR-USD", "eurusd", 2, true),
        ] {
            let listed = venue.spell(symbol).expect("any symbol can be asked for");
            assert_eq!((listed.name.as_str(), listed.venue_symbol.as_str()), (name, spelled));
            assert_eq!(
                (venue.stream_of(spelled), listed.has_only_quotes),
                (stream, has_only_quotes),
                "{symbol}"
            );
        }
    }
}
