//! Binance, its spot market: every trade of a pair over combined streams, past trades, bars and the list of pairs over REST.
//! None of it needs a key.
//!
//! Promises: those of [`Venue`]. A pair's trades have consecutive ids, on the stream and over REST alike, so a hole is seen
//! and can be filled; so have aggregates of them, which are read in their place where the configuration asks for `aggTrade`. The
//! venue sends no corrections, cancels or sale conditions, and no time between trades. It ends each connection after a day,
//! so connections are replaced before.
//!
//! Protocol: <https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams>.

mod backfill;
mod config;
mod instruments;
mod judge;
mod parse;
mod subscribe;
mod wire;

use super::super::config::VenueConfig;
use super::super::venue::{
    BarsPage, Clock, Context, Cursor, FrameFault, Heard, Ids, Judgement, Listed, Needs, Request, Step,
    TradesPage, Transport, Venue,
};
use config::Channel;
pub use config::{DEFAULT_SYMBOLS, NAME, OWN_KEYS, REQUESTS_PER_MINUTE, channel_fault};
use reqwest::Url;
use std::sync::Arc;
use std::time::Duration;

/// Age at which the venue ends a connection.
const CONNECTION_AGE_MAX: Duration = Duration::from_hours(24);

/// The venue pings every 20 seconds, and half as much again is time for one that is late.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The venue.
pub struct Binance {
    stream_url: Url,
    rest_url: Url,
    trades_url: Url,
    channel: Channel,
}

impl Binance {
    /// Makes the venue of a configuration.
    #[must_use]
    pub fn open(config: &VenueConfig) -> Arc<dyn Venue> {
        let channel = Channel::of(config);
        Arc::new(Binance {
            stream_url: config::stream_url(config),
            rest_url: config::rest_url(config),
            trades_url: config::trades_url(config, channel),
            channel,
        })
    }
}

impl Venue for Binance {
    fn name(&self) -> &'static str {
        NAME
    }

    fn needs(&self) -> Needs {
        Needs {
            transport: Transport::Streams(vec![self.stream_url.clone()]),
            first: Step::Subscribe,
            has_heartbeats: false,
            idle_timeout: IDLE_TIMEOUT,
            clock: Clock::Ours { delay: Duration::ZERO },
            ids: Ids::Consecutive,
            connection_age_max: Some(CONNECTION_AGE_MAX),
            symbols_per_connection_max: Some(subscribe::STREAMS_MAX),
            symbols_max: None,
            connections_max: None,
        }
    }

    fn spell(&self, symbol: &str) -> Result<Listed, String> {
        instruments::spell(symbol)
    }

    fn subscribe(&self, venue_symbols: &[&str]) -> Vec<String> {
        subscribe::subscribe(venue_symbols, self.channel)
    }

    fn unsubscribe(&self, venue_symbols: &[&str]) -> Vec<String> {
        subscribe::unsubscribe(venue_symbols, self.channel)
    }

    fn parse(&self, frame: &str, context: &Context<'_>, heard: &mut Heard) {
        parse::frame(frame, self.channel, context, heard);
    }

    fn judge(&self, status: u16, body: &str) -> Judgement {
        judge::judge(status, body)
    }

    fn instruments_request(&self) -> Option<Request> {
        Some(instruments::request(&self.rest_url))
    }

    fn read_instruments(&self, body: &str) -> Result<Vec<Listed>, FrameFault> {
        instruments::read(body)
    }

    fn trades_request(&self, page: &TradesPage<'_>) -> Option<Request> {
        Some(backfill::trades_request(&self.trades_url, self.channel, page))
    }

    fn read_trades(
        &self,
        body: &str,
        page: &TradesPage<'_>,
        context: &Context<'_>,
        heard: &mut Heard,
    ) -> Result<Option<Cursor>, FrameFault> {
        backfill::read_trades(body, page, context, heard)
    }

    fn bars_request(&self, page: &BarsPage<'_>) -> Option<Request> {
        backfill::bars_request(&self.rest_url, page)
    }

    fn read_bars(
        &self,
        body: &str,
        page: &BarsPage<'_>,
        context: &Context<'_>,
        heard: &mut Heard,
    ) -> Result<Option<Cursor>, FrameFault> {
        backfill::read_bars(body, page, context, heard)
    }
}
