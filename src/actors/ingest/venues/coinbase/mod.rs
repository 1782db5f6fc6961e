//! Coinbase, its Exchange feed: every trade of a product over WebSocket (`matches`), a heartbeat a second, past trades,
//! bars and the list of products over REST. None of it needs a key.
//!
//! Promises: those of [`Venue`]. A product's trades have consecutive ids, on the stream and over REST alike, so a hole
//! is seen and can be filled. The venue sends no corrections, cancels or sale conditions.
//!
//! Protocol: <https://docs.cdp.coinbase.com/exchange/websocket-feed/overview>.

mod backfill;
mod candles;
mod config;
mod parse;
mod subscribe;
mod wire;

use super::super::config::VenueConfig;
use super::super::venue::{
    BarsPage, Clock, Context, Cursor, FrameFault, Heard, Ids, Listed, Needs, Request, Step, TradesPage,
    Transport, Venue,
};
pub use config::{DEFAULT_SYMBOLS, NAME, REQUESTS_PER_MINUTE, channel_fault};
use config::{channels, rest_url, stream_url};
use reqwest::Url;
use std::sync::Arc;
use std::time::Duration;

/// Each product has a heartbeat a second, so a connection that is silent for so long is lost.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(10);

/// The same where heartbeats are not subscribed to, and the answer to a ping is all that a quiet market brings.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// The venue.
pub struct Coinbase {
    stream_url: Url,
    rest_url: Url,
    channels: Vec<String>,
}

impl Coinbase {
    /// Makes the venue of a configuration.
    #[must_use]
    pub fn open(config: &VenueConfig) -> Arc<dyn Venue> {
        Arc::new(Coinbase {
            stream_url: stream_url(config),
            rest_url: rest_url(config),
            channels: channels(config),
        })
    }
}

impl Venue for Coinbase {
    fn name(&self) -> &'static str {
        NAME
    }

    fn needs(&self) -> Needs {
        let has_heartbeats = self.channels.iter().any(|channel| channel == config::HEARTBEAT);
        Needs {
            transport: Transport::Streams(vec![self.stream_url.clone()]),
            first: Step::Subscribe,
            has_heartbeats,
            idle_timeout: if has_heartbeats { HEARTBEAT_TIMEOUT } else { IDLE_TIMEOUT },
            // Nothing else tells the time of a quiet market.
            clock: if has_heartbeats { Clock::Told } else { Clock::Ours { delay: Duration::ZERO } },
            ids: Ids::Consecutive,
            connection_age_max: None,
            symbols_per_connection_max: None,
            symbols_max: None,
            connections_max: None,
        }
    }

    fn spell(&self, symbol: &str) -> Result<Listed, String> {
        Ok(Listed::pair(symbol, symbol))
    }

    fn subscribe(&self, venue_symbols: &[&str]) -> Vec<String> {
        subscribe::subscribe(venue_symbols, &self.channels)
    }

    fn unsubscribe(&self, venue_symbols: &[&str]) -> Vec<String> {
        subscribe::unsubscribe(venue_symbols, &self.channels)
    }

    fn parse(&self, frame: &str, context: &Context<'_>, heard: &mut Heard) {
        parse::frame(frame, context, heard);
    }

    fn instruments_request(&self) -> Option<Request> {
        Some(backfill::products_request(&self.rest_url))
    }

    fn read_instruments(&self, body: &str) -> Result<Vec<Listed>, FrameFault> {
        backfill::read_products(body)
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
        candles::request(&self.rest_url, page)
    }

    fn read_bars(
        &self,
        body: &str,
        page: &BarsPage<'_>,
        context: &Context<'_>,
        heard: &mut Heard,
    ) -> Result<Option<Cursor>, FrameFault> {
        candles::read(body, page, context, heard)
    }
}
