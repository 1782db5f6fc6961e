//! The file form of raw frames: what a venue sent over its streams, or answered to polls, to be read again.
//!
//! JSON lines. The first one says whose frames they are, how the symbols were spelled and which settings decide what
//! frames mean ([`Header`]); each other one is a frame ([`RecordedFrame`]). Promises: the user's keys are in neither, so a
//! file may be shown to others; a file of a later form is known as such. On failure: a line that is no frame is a fault of
//! that line alone.

use super::config::{BarStamp, BarZone, Entitlement, VenueConfig};
use super::venue::{Instrument, Instruments};
use crate::models::asset_class::AssetClass;
use crate::models::num::Scale;
use crate::models::symbol::{PriceSource, SymbolId, SymbolSpec};
use crate::models::time::Nanos;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What every file of frames begins with.
pub const MAGIC: &str = "{\"tickwire_frames\":";

/// The form that is written, and the only one that is read.
pub const VERSION: u32 = 1;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The form of the file. Stands first, so that the file is known by it.
    #[serde(rename = "tickwire_frames")]
    pub version: u32,
    /// The venue's name.
    pub venue: String,
    /// The channels that were subscribed to; empty: the venue's own choice.
    pub channels: Vec<String>,
    /// The other settings that decide what a frame means.
    #[serde(default, skip_serializing_if = "ReadSettings::is_default")]
    pub settings: ReadSettings,
    /// What was followed.
    pub symbols: Vec<RecordedSymbol>,
}

/// Settings of a venue, beside its channels, that decide what its frames mean; not set: the venue's own choice. They have
/// the names that they have in the venue's section of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReadSettings {
    /// Whether trades outside the regular session make prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extended_hours: Option<bool>,
    /// Whether sale conditions say what a trade counts for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conditions: Option<bool>,
    /// What the key may have of the current day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entitlement: Option<Entitlement>,
    /// The clock on which bars are written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bar_zone: Option<BarZone>,
    /// Which end of a bar its time is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bar_stamp: Option<BarStamp>,
}

impl ReadSettings {
    /// Takes those of a section. Whoever adds a key to sections decides here whether frames are read by it.
    fn of(config: &VenueConfig) -> ReadSettings {
        let VenueConfig {
            extended_hours,
            conditions,
            entitlement,
            bar_zone,
            bar_stamp,
            // These say how the venue is reached and watched, or stand in the header by themselves.
            channels: _,
            key: _,
            key_file: _,
            socket_key: _,
            socket_key_file: _,
            stream_url: _,
            crypto_stream_url: _,
            forex_stream_url: _,
            rest_url: _,
            trades_url: _,
            proxy_url: _,
            ca_file: _,
            connect_timeout: _,
            idle_timeout: _,
            ping_interval: _,
            retry_delay: _,
            retry_max_delay: _,
            breaker_failures: _,
            breaker_open: _,
            requests_per_minute: _,
            max_symbols_per_connection: _,
            max_connections: _,
            poll_interval: _,
            reconnect_at: _,
        } = config;
        ReadSettings {
            extended_hours: *extended_hours,
            conditions: *conditions,
            entitlement: *entitlement,
            bar_zone: *bar_zone,
            bar_stamp: *bar_stamp,
        }
    }

    fn is_default(&self) -> bool {
        *self == ReadSettings::default()
    }
}

/// A symbol that was followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedSymbol {
    /// Our spelling.
    pub symbol: String,
    /// The venue's.
    pub venue_symbol: String,
    /// Decimals of its prices.
    pub price_scale: u8,
    /// Decimals of its sizes.
    pub size_scale: u8,
    /// What kind of instrument it is: `equity`, `pair`, ....
    pub asset_class: String,
    /// What its bars are made of: `trade`, `mid`, ....
    pub price: String,
}

/// A frame as it came, on one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedFrame<'a> {
    /// When it was received, in nanoseconds since 1970.
    pub received_ns: i64,
    /// Which of the feed's connections brought it; 0 for the answer to a poll.
    pub connection: usize,
    /// Of an answer, the place of its poll among those of the symbols in the header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<usize>,
    /// The frame itself.
    #[serde(borrow)]
    pub frame: Cow<'a, str>,
}

/// What brought a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A connection of the feed, by its place.
    Connection(usize),
    /// A poll, by its place.
    Poll(usize),
}

impl Header {
    /// Makes the header of a feed.
    #[must_use]
    pub fn new(
        venue: &str,
        config: &VenueConfig,
        instruments: &Instruments,
        spec_of: impl Fn(SymbolId) -> SymbolSpec,
    ) -> Header {
        let symbol = |instrument: &Instrument| {
            let spec = spec_of(instrument.symbol);
            RecordedSymbol {
                symbol: spec.name,
                venue_symbol: instrument.venue_symbol.clone(),
                price_scale: instrument.price_scale.decimals(),
                size_scale: instrument.size_scale.decimals(),
                asset_class: spec.asset_class.as_str().to_owned(),
                price: spec.price.as_str().to_owned(),
            }
        };
        Header {
            version: VERSION,
            venue: venue.to_owned(),
            channels: config.channels.clone(),
            settings: ReadSettings::of(config),
            symbols: instruments.all().iter().map(symbol).collect(),
        }
    }

    /// Returns the section of a venue that reads frames as they were read.
    #[must_use]
    pub fn config(&self) -> VenueConfig {
        let ReadSettings { extended_hours, conditions, entitlement, bar_zone, bar_stamp } = self.settings;
        VenueConfig {
            channels: self.channels.clone(),
            extended_hours,
            conditions,
            entitlement,
            bar_zone,
            bar_stamp,
            ..VenueConfig::default()
        }
    }

    /// Reads a first line.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn read(line: &[u8]) -> Result<Header, String> {
        #[derive(Deserialize)]
        struct Form {
            tickwire_frames: u32,
        }
        let text = std::str::from_utf8(line).map_err(|error| error.to_string())?;
        let form: Form = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if form.tickwire_frames != VERSION {
            let version = form.tickwire_frames;
            return Err(format!("frames of form {version} were recorded by another version of tickwire"));
        }
        serde_json::from_str(text).map_err(|error| error.to_string())
    }
}

impl RecordedSymbol {
    /// Returns it as a symbol of ours; `None` where a word in it is unknown, or a number too large.
    #[must_use]
    pub fn spec(&self) -> Option<SymbolSpec> {
        let mut spec = SymbolSpec::named(&self.symbol);
        spec.price_scale = Scale::new(self.price_scale)?;
        spec.size_scale = Scale::new(self.size_scale)?;
        spec.asset_class = AssetClass::parse(&self.asset_class)?;
        spec.price = PriceSource::parse(&self.price)?;
        Some(spec)
    }
}

impl RecordedFrame<'_> {
    /// Makes the line of a frame, with its end.
    #[must_use]
    pub fn line(received: Nanos, origin: Origin, frame: &str) -> String {
        let (connection, poll) = match origin {
            Origin::Connection(connection) => (connection, None),
            Origin::Poll(poll) => (0, Some(poll)),
        };
        let frame = RecordedFrame { received_ns: received.0, connection, poll, frame: Cow::Borrowed(frame) };
        let mut line = serde_json::to_string(&frame).expect("a frame is plain data");
        line.push('\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let spec = SymbolSpec { price_scale: Scale::new(11).expect("valid"), ..SymbolSpec::named("BTC-USD") };
        let instrument = Instrument {
            symbol: SymbolId(3),
            venue_symbol: "XBT/USD".to_owned(),
            price_scale: spec.price_scale,
            size_scale: spec.size_scale,
        };
        let instruments = Instruments::new(vec![instrument]);
        let section = "channels = ['trade']\nkey = 'hunter2-hunter2'\nbar_zone = 'UTC'\nconditions = true";
        let section: VenueConfig = toml::from_str(section).expect("a section");
        let header = Header::new("kraken", &section, &instruments, |_| spec.clone());
        let line = serde_json::to_string(&header).expect("plain");
        assert!(line.starts_with(MAGIC) && !line.contains("hunter2"), "{line}");
        let read = Header::read(line.as_bytes()).expect("it is a header");
        assert_eq!(read, header);
        assert_eq!(read.symbols[0].spec(), Some(spec));
        assert_eq!(read.config(), VenueConfig { key: None, ..section });
        for (origin, place) in [(Origin::Connection(1), (1, None)), (Origin::Poll(4), (0, Some(4)))] {
            let line = RecordedFrame::line(Nanos(7), origin, "a \"frame\"\n");
            let frame: RecordedFrame<'_> = serde_json::from_str(&line).expect("it is a frame");
            assert_eq!((frame.received_ns, &*frame.frame), (7, "a \"frame\"\n"));
            assert_eq!((frame.connection, frame.poll), place);
            assert!(line.ends_with("}\n") && line.matches('\n').count() == 1);
        }
        let old = r#"{"tickwire_frames":1,"venue":"kraken","channels":[],"symbols":[]}"#;
        assert_eq!(Header::read(old.as_bytes()).expect("it is a header").config(), VenueConfig::default());
    }

    #[test]
    fn a_header_of_another_form_says_so() {
        for (line, said) in [
            ("{\"tickwire_frames\":2,\"x\":1}", "frames of form 2 were recorded by another version"),
            ("{\"tickwire_frames\":1}", "missing field `venue`"),
            ("{\"tickwire_frames\":", "EOF"),
        ] {
            let fault = Header::read(line.as_bytes()).expect_err("no header");
            assert!(fault.contains(said), "{fault}");
        }
    }
}
