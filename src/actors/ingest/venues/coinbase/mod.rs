//! Coinbase, its Exchange feed: every trade of a product over WebSocket (`matches`), a heartbeat a second, past trades
//! and the list of products over REST. None of it needs a key.
//!
//! Promises: those of [`Venue`]. A product's trades have consecutive ids, on the stream and over REST alike, so a hole
//! is seen and can be filled. The venue sends no corrections, cancels or sale conditions.
//!
//! Protocol: <https://docs.cdp.coinbase.com/exchange/websocket-feed/overview>.

mod backfill;
mod config;
mod parse;
mod subscribe;
mod wire;

use super::super::config::VenueConfig;
use super::super::venue::{Context, FrameFault, Heard, Instrument, Listed, Needs, TradesPage, Venue};
pub use config::{DEFAULT_SYMBOLS, NAME, REQUESTS_PER_MINUTE, channel_fault};
use config::{channels, rest_url, stream_url};
use reqwest::Url;
use std::sync::Arc;

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
        Needs {
            stream_url: self.stream_url.clone(),
            has_heartbeats: self.channels.iter().any(|channel| channel == config::HEARTBEAT),
            has_consecutive_ids: true,
        }
    }

    fn subscribe(&self, venue_symbols: &[&str]) -> Vec<String> {
        subscribe::message(venue_symbols, &self.channels)
    }

    fn parse(&self, frame: &str, context: &Context<'_>, heard: &mut Heard) {
        parse::frame(frame, context, heard);
    }

    fn instruments_url(&self) -> Option<Url> {
        Some(backfill::products_url(&self.rest_url))
    }

    fn read_instruments(&self, body: &str) -> Result<Vec<Listed>, FrameFault> {
        backfill::read_products(body)
    }

    fn trades_url(&self, page: &TradesPage<'_>) -> Option<Url> {
        Some(backfill::trades_url(&self.rest_url, page))
    }

    fn read_trades(
        &self,
        body: &str,
        instrument: &Instrument,
        context: &Context<'_>,
        heard: &mut Heard,
    ) -> Result<(), FrameFault> {
        backfill::read_trades(body, instrument, context, heard)
    }
}
