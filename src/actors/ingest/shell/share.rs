//! How a feed's instruments are shared out among its connections.
//!
//! Promises: an instrument is on one connection, that of its stream, or left out with the reason; no connection has more
//! instruments than it may, and no key more instruments or connections. What a limit leaves out is what comes last: of the
//! instruments by their order, of the connections by that of the streams. Nothing here fails.

use super::super::config::VenueConfig;
use super::super::venue::{Instruments, Needs, Transport, Venue};
use reqwest::Url;
use std::num::NonZeroUsize;

/// What one connection brings.
pub(super) struct Share {
    /// Where its stream is; may hold a key.
    pub url: Url,
    /// The place of the stream among those of the venue.
    pub stream: usize,
    /// Places of its instruments.
    pub places: Vec<usize>,
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
    let asked = config.max_symbols_per_connection.map_or(usize::MAX, NonZeroUsize::get);
    let most = needs.symbols_per_connection_max.unwrap_or(usize::MAX).min(asked);
    let symbols_max = needs.symbols_max.unwrap_or(usize::MAX);
    let num_symbols = instruments.all().len();
    let share_of = |(stream, url): (usize, &Url)| {
        let is_own = |at: &usize| venue.stream_of(&instruments.all()[*at].venue_symbol) == stream;
        let places: Vec<usize> = (0..num_symbols.min(symbols_max)).filter(is_own).collect();
        let chunks = places.chunks(most.min(places.len()).max(1));
        chunks.map(|places| Share { url: url.clone(), stream, places: places.to_vec() }).collect::<Vec<_>>()
    };
    let mut all: Vec<Share> = streams.iter().enumerate().flat_map(share_of).collect();
    let connections_max = config.max_connections.map(NonZeroUsize::get).or(needs.connections_max);
    let connections_max = connections_max.unwrap_or(usize::MAX);
    let unconnected = all.split_off(connections_max.min(all.len()));
    let connected = format!("the connections of a key are limited to {connections_max}, and taken");
    let counted = format!("the symbols of a key are limited to {symbols_max}, and taken");
    let unconnected = unconnected.into_iter().flat_map(|share| share.places);
    let left_out = unconnected.map(|place| (place, connected.clone()));
    let uncounted = (symbols_max..num_symbols).map(|place| (place, counted.clone()));
    Shares { all, left_out: left_out.chain(uncounted).collect() }
}
