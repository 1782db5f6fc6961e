//! Polygon, which calls itself Massive since 2025: trades of US stocks and of crypto, quotes of forex, bars on request.
//!
//! Promises: those of [`Venue`]. Each market has a stream of its own, behind one key. What a stock's trade counts for
//! follows from its sale conditions. The streams tell no time, and neither cancels nor corrections: past trades over REST
//! do, where the key's plan has them.
//!
//! Protocol: <https://massive.com/docs/websocket>, <https://massive.com/docs/rest>.

mod backfill;
mod bars;
mod config;
#[cfg(test)]
mod fixture;
mod identity;
mod parse;
mod rest;
mod search;
mod status;
mod subscribe;
mod symbols;
mod wire;

use super::super::config::VenueConfig;
use super::super::venue::{
    BarsPage, Clock, Context, Cursor, FrameFault, Heard, Ids, Judgement, Listed, Needs, Request, Step,
    TradesPage, Transport, Venue,
};
use super::pairs::Market;
use crate::secret::Secret;
pub use config::{
    ALIASES, DEFAULT_SYMBOLS, KEY_VARIABLE, NAME, OWN_KEYS, REQUESTS_PER_MINUTE, channel_fault, channel_width,
};
use config::{Addresses, Channels};
use parse::Parser;
use std::sync::Arc;
use std::time::Duration;
use symbols::{MARKETS, market_of};

/// The venue says nothing by itself; its own client waits so long for the answer to a ping.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The venue.
pub struct Polygon {
    addresses: Addresses,
    key: Option<Secret>,
    parser: Parser,
}

impl Polygon {
    /// Makes the venue of a configuration.
    #[must_use]
    pub fn open(config: &VenueConfig) -> Arc<dyn Venue> {
        Arc::new(Polygon {
            addresses: Addresses::of_config(config),
            key: config.key.clone(),
            parser: Parser {
                channels: Channels::of_config(config),
                has_extended_hours: config.extended_hours.unwrap_or(true),
            },
        })
    }
}

impl Venue for Polygon {
    fn name(&self) -> &'static str {
        NAME
    }

    fn needs(&self) -> Needs {
        Needs {
            transport: Transport::Streams(self.addresses.streams.clone()),
            first: Step::Wait,
            has_heartbeats: false,
            idle_timeout: IDLE_TIMEOUT,
            clock: Clock::Ours { delay: self.addresses.delay },
            ids: Ids::Unique,
            connection_age_max: None,
            symbols_per_connection_max: None,
            symbols_max: None,
            connections_max: None,
        }
    }

    fn spell(&self, symbol: &str) -> Result<Listed, String> {
        symbols::spell(symbol)
    }

    fn stream_of(&self, venue_symbol: &str) -> usize {
        let market = market_of(venue_symbol);
        MARKETS.iter().position(|one| *one == market).expect("every market is among all of them")
    }

    /// The delayed plans have stocks alone: coins and currencies come in time.
    fn delay_of(&self, stream: usize) -> Duration {
        if MARKETS[stream] == Market::Stocks { self.addresses.delay } else { Duration::ZERO }
    }

    fn authenticate(&self) -> Vec<String> {
        subscribe::authenticate(self.key.as_ref())
    }

    fn subscribe(&self, venue_symbols: &[&str]) -> Vec<String> {
        subscribe::subscribe(venue_symbols, &self.parser.channels)
    }

    fn unsubscribe(&self, venue_symbols: &[&str]) -> Vec<String> {
        subscribe::unsubscribe(venue_symbols, &self.parser.channels)
    }

    fn parse(&self, frame: &str, context: &Context<'_>, heard: &mut Heard) {
        self.parser.frame(frame, context, heard);
    }

    fn judge(&self, status: u16, body: &str) -> Judgement {
        rest::judge(status, body)
    }

    fn search_request(&self, query: &str, limit: usize) -> Option<Request> {
        Some(search::search_request(&self.addresses.rest, query, limit, self.key.as_ref()))
    }

    fn read_search(&self, body: &str) -> Result<Vec<Listed>, FrameFault> {
        search::read_search(body)
    }

    fn trades_request(&self, page: &TradesPage<'_>) -> Option<Request> {
        backfill::trades_request(&self.addresses.rest, page, self.key.as_ref())
    }

    fn read_trades(
        &self,
        body: &str,
        page: &TradesPage<'_>,
        context: &Context<'_>,
        heard: &mut Heard,
    ) -> Result<Option<Cursor>, FrameFault> {
        backfill::read_trades(&self.parser, &self.addresses.rest, body, page, context, heard)
    }

    fn bars_request(&self, page: &BarsPage<'_>) -> Option<Request> {
        bars::bars_request(&self.addresses.rest, page, self.key.as_ref())
    }

    fn read_bars(
        &self,
        body: &str,
        page: &BarsPage<'_>,
        context: &Context<'_>,
        heard: &mut Heard,
    ) -> Result<Option<Cursor>, FrameFault> {
        let Addresses { rest, delay, .. } = &self.addresses;
        bars::read_bars(rest, *delay, body, page, context, heard)
    }
}
