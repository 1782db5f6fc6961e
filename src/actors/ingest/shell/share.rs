//! How a feed's instruments are shared out among its connections. Nothing here fails.

use super::super::config::VenueConfig;
use super::super::venue::{Instruments, Needs, Transport, Venue};
use reqwest::Url;
use std::num::NonZeroUsize;

/// What one connection brings.
pub(super) struct Share {
    /// Where its stream is; may hold a key.
    pub url: Url,
    /// Places of its instruments.
    pub places: Vec<usize>,
}

/// Returns what each connection of a feed brings: instruments of one stream, and no more of them than it may.
pub(super) fn shares(
    venue: &dyn Venue,
    needs: &Needs,
    config: &VenueConfig,
    instruments: &Instruments,
) -> Vec<Share> {
    let Transport::Streams(streams) = &needs.transport else { return Vec::new() };
    let asked = config.max_symbols_per_connection.map_or(usize::MAX, NonZeroUsize::get);
    let most = needs.symbols_per_connection_max.unwrap_or(usize::MAX).min(asked);
    let share_of = |(stream, url): (usize, &Url)| {
        let is_own = |at: &usize| venue.stream_of(&instruments.all()[*at].venue_symbol) == stream;
        let places: Vec<usize> = (0..instruments.all().len()).filter(is_own).collect();
        let chunks = places.chunks(most.min(places.len()).max(1));
        chunks.map(|places| Share { url: url.clone(), places: places.to_vec() }).collect::<Vec<_>>()
    };
    streams.iter().enumerate().flat_map(share_of).collect()
}
