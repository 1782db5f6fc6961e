//! Kraken, its spot market: every trade of a pair over WebSocket v2, past trades, bars and the list of pairs over REST. None
//! of it needs a key.
//!
//! Promises: those of [`Venue`]. A pair's trades have consecutive ids, on the stream and over REST alike, so a hole is seen
//! and can be filled. The venue sends no corrections, cancels or sale conditions, and no time between trades: its
//! heartbeats, which come once a second while nothing else does, show that it is there.
//!
//! Protocol: <https://docs.kraken.com/exchange/guides/websockets/introduction>.

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
pub use config::{DEFAULT_SYMBOLS, NAME, REQUESTS_PER_MINUTE, channel_fault};
use config::{rest_url, stream_url};
use reqwest::Url;
use std::sync::Arc;
use std::time::Duration;

/// The venue speaks once a second at least, and calls a connection dead that is silent for so long.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(10);

/// The venue.
pub struct Kraken {
    stream_url: Url,
    rest_url: Url,
}

impl Kraken {
    /// Makes the venue of a configuration.
    #[must_use]
    pub fn open(config: &VenueConfig) -> Arc<dyn Venue> {
        Arc::new(Kraken { stream_url: stream_url(config), rest_url: rest_url(config) })
    }
}

impl Venue for Kraken {
    fn name(&self) -> &'static str {
        NAME
    }

    fn needs(&self) -> Needs {
        Needs {
            transport: Transport::Streams(vec![self.stream_url.clone()]),
            first: Step::Subscribe,
            has_heartbeats: true,
            idle_timeout: HEARTBEAT_TIMEOUT,
            clock: Clock::Ours { delay: Duration::ZERO },
            ids: Ids::Consecutive,
            connection_age_max: None,
            symbols_per_connection_max: None,
            symbols_max: None,
            connections_max: None,
        }
    }

    fn spell(&self, symbol: &str) -> Result<Listed, String> {
        instruments::spell(symbol)
    }

    fn subscribe(&self, venue_symbols: &[&str]) -> Vec<String> {
        subscribe::subscribe(venue_symbols)
    }

    fn unsubscribe(&self, venue_symbols: &[&str]) -> Vec<String> {
        subscribe::unsubscribe(venue_symbols)
    }

    fn parse(&self, frame: &str, context: &Context<'_>, heard: &mut Heard) {
        parse::frame(frame, context, heard);
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
        Some(backfill::trades_request(&self.rest_url, page))
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
        backfill::read_bars(body, page, context, heard).map(|()| None)
    }
}
