//! What the tests of venues without ids begin with: instruments by the venue's spelling, and a way to read with them.

use crate::actors::ingest::venue::{Context, Heard, Instrument, Instruments};
use crate::models::entry::SourceId;
use crate::models::num::Scale;
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;

/// A little after the times of the samples.
pub(super) const RECEIVED: Nanos = Nanos(1_788_877_000_000_000_000);

/// Returns an instrument with so many decimals of its prices and of its sizes.
pub(super) fn instrument(symbol: u32, venue_symbol: &str, [price, size]: [u8; 2]) -> Instrument {
    Instrument {
        symbol: SymbolId(symbol),
        venue_symbol: venue_symbol.to_owned(),
        price_scale: Scale::new(price).expect("a scale"),
        size_scale: Scale::new(size).expect("a scale"),
    }
}

/// Returns a time of RFC 3339.
pub(super) fn at(text: &str) -> Nanos {
    Nanos::from_rfc3339(text).expect("RFC 3339")
}

/// Reads with instruments whose symbols are their places.
pub(super) fn hear(
    venue_symbols: &[&str],
    decimals: [u8; 2],
    read: impl FnOnce(&Context<'_>, &mut Heard),
) -> Heard {
    let all = (0..).zip(venue_symbols).map(|(at, name)| instrument(at, name, decimals));
    let instruments = Instruments::new(all.collect());
    let mut heard = Heard::default();
    read(&Context { instruments: &instruments, source: SourceId(7), received: RECEIVED }, &mut heard);
    heard
}
