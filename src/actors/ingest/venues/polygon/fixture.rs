//! What the tests of this venue's files begin with: instruments of its three markets, and a parser for them.

use super::config::Channels;
use super::parse::Parser;
use crate::actors::ingest::config::VenueConfig;
use crate::actors::ingest::venue::{Context, Heard, Instrument, Instruments, VenueEvent};
use crate::models::entry::SourceId;
use crate::models::num::Scale;
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;

/// A little after the times of the samples.
pub(super) const RECEIVED: Nanos = Nanos(1_788_876_900_000_000_000);

/// Returns the instruments; their symbols are their places.
pub(super) fn instruments() -> Instruments {
    let instrument = |(at, name): (u32, &str)| Instrument {
        symbol: SymbolId(at),
        venue_symbol: name.to_owned(),
        price_scale: Scale::new(4).expect("at most 12"),
        size_scale: Scale::SIZE,
    };
    Instruments::new((0..).zip(["MSFT", "AAPL", "BTC-USD", "EUR/USD"]).map(instrument).collect())
}

/// Returns a parser of a section of the configuration.
pub(super) fn parser(section: &str) -> Parser {
    let config: VenueConfig = toml::from_str(section).expect("a section");
    Parser {
        channels: Channels::of_config(&config),
        has_extended_hours: config.extended_hours.unwrap_or(true),
    }
}

/// Returns what frames and answers are read with.
pub(super) fn context(instruments: &Instruments) -> Context<'_> {
    Context { instruments, source: SourceId(7), received: RECEIVED }
}

/// Reads a frame.
pub(super) fn read(text: &str) -> Heard {
    let (instruments, mut heard) = (instruments(), Heard::default());
    parser("").frame(text, &context(&instruments), &mut heard);
    heard
}

/// Returns the one event of a frame.
pub(super) fn one(heard: Heard) -> VenueEvent {
    assert_eq!((heard.faults.as_slice(), heard.events.len()), (&[][..], 1));
    heard.events.into_iter().next().expect("one")
}
