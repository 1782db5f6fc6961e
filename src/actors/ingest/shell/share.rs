//! How a feed's instruments are shared out among its connections, at the start and later.
//!
//! Promises: an instrument is on one connection, that of its stream, or left out with the reason; no connection has more
//! instruments than it may, and no key more instruments or connections. What a limit leaves out is what comes last: of the
//! instruments by their order, of the connections by that of the streams. Nothing here fails.

use super::super::config::VenueConfig;
use super::super::venue::{Instruments, Needs, Transport, Venue};
use reqwest::Url;
use std::cell::RefCell;
use std::num::NonZeroUsize;
use tokio::sync::Notify;

/// What one connection brings.
pub(super) struct Share {
    /// The place of its stream among the venue's.
    pub stream: usize,
    /// Where its stream is; may hold a key.
    pub url: Url,
    /// Places of its instruments. The connection compares them with what it brings when it is told to.
    pub places: RefCell<Vec<usize>>,
    /// Tells the connection that it is to bring something else.
    pub changed: Notify,
}

impl Share {
    /// Makes the share of a connection.
    pub fn new(stream: usize, url: Url, places: Vec<usize>) -> Share {
        Share { stream, url, places: RefCell::new(places), changed: Notify::new() }
    }
}

/// How much the venue gives one key.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Symbols of a connection.
    pub per_connection: usize,
    /// Symbols of all connections.
    pub symbols: usize,
    /// Connections.
    pub connections: usize,
}

impl Limits {
    /// Returns those of a venue; the configuration may set others.
    pub fn of(needs: &Needs, config: &VenueConfig) -> Limits {
        let asked = config.max_symbols_per_connection.map_or(usize::MAX, NonZeroUsize::get);
        let connections = config.max_connections.map(NonZeroUsize::get).or(needs.connections_max);
        Limits {
            per_connection: needs.symbols_per_connection_max.unwrap_or(usize::MAX).min(asked),
            symbols: needs.symbols_max.unwrap_or(usize::MAX),
            connections: connections.unwrap_or(usize::MAX),
        }
    }

    /// Says that there are no more connections.
    pub fn connections_are_taken(&self) -> String {
        format!("the connections of a key are limited to {}, and taken", self.connections)
    }

    /// Says that there are no more symbols.
    pub fn symbols_are_taken(&self) -> String {
        format!("the symbols of a key are limited to {}, and taken", self.symbols)
    }
}

/// What the connections of a feed bring.
#[derive(Default)]
pub(super) struct Shares {
    /// Of each connection.
    pub all: Vec<Share>,
    /// Places of instruments that no connection brings, and why.
    pub left_out: Vec<(usize, String)>,
}

/// Returns what each connection of a feed brings.
pub(super) fn shares(
    venue: &dyn Venue,
    needs: &Needs,
    config: &VenueConfig,
    instruments: &Instruments,
) -> Shares {
    let Transport::Streams(streams) = &needs.transport else { return Shares::default() };
    let limits = Limits::of(needs, config);
    let num_symbols = instruments.all().len();
    let share_of = |(stream, url): (usize, &Url)| {
        let is_own = |at: &usize| venue.stream_of(&instruments.all()[*at].venue_symbol) == stream;
        let places: Vec<usize> = (0..num_symbols.min(limits.symbols)).filter(is_own).collect();
        let chunks = places.chunks(limits.per_connection.min(places.len()).max(1));
        chunks.map(|places| Share::new(stream, url.clone(), places.to_vec())).collect::<Vec<_>>()
    };
    let mut all: Vec<Share> = streams.iter().enumerate().flat_map(share_of).collect();
    let unconnected = all.split_off(limits.connections.min(all.len()));
    let unconnected = unconnected.into_iter().flat_map(|share| share.places.into_inner());
    let left_out = unconnected.map(|place| (place, limits.connections_are_taken()));
    let uncounted = (limits.symbols..num_symbols).map(|place| (place, limits.symbols_are_taken()));
    Shares { all, left_out: left_out.chain(uncounted).collect() }
}
