//! The seam to a venue: what the shell needs to know to run any of them.
//!
//! A venue is pure. It says where to connect, what to send, what a frame means and which page of trades to ask for; it
//! opens no socket and reads no clock. The shell (`shell/`) does the rest for all venues alike.
//!
//! Promises of an implementation, which `contract` in its tests checks: no frame whatever makes it panic; every frame
//! becomes events, a counted fault, or a counted frame that is none of ours; what it subscribes covers every symbol it
//! is given; the same frame gives the same events again, with the same trade ids.

use crate::models::entry::{Body, Entry, SourceId};
use crate::models::num::Scale;
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use reqwest::Url;
use std::collections::HashMap;

/// A venue, as the shell runs it.
pub trait Venue: Send + Sync + 'static {
    /// Returns the venue's name: that of its source, its section of the configuration and its metrics.
    fn name(&self) -> &'static str;

    /// Returns what the venue needs of the shell.
    fn needs(&self) -> Needs;

    /// Returns the messages that follow the opening of a connection, for the symbols (in the venue's spelling) that this
    /// connection is to bring.
    fn subscribe(&self, venue_symbols: &[&str]) -> Vec<String>;

    /// Reads one frame of the stream.
    fn parse(&self, frame: &str, context: &Context<'_>, heard: &mut Heard);

    /// Returns where the list of instruments is; `None` where the venue has none.
    fn instruments_url(&self) -> Option<Url>;

    /// Reads the list of instruments.
    ///
    /// # Errors
    /// When the body is not such a list.
    fn read_instruments(&self, body: &str) -> Result<Vec<Listed>, FrameFault>;

    /// Returns where a page of past trades is; `None` where the venue has none.
    fn trades_url(&self, page: &TradesPage<'_>) -> Option<Url>;

    /// Reads a page of past trades, in any order.
    ///
    /// # Errors
    /// When the body is not such a page. One trade in it that cannot be read is a fault in `heard` and no error.
    fn read_trades(
        &self,
        body: &str,
        instrument: &Instrument,
        context: &Context<'_>,
        heard: &mut Heard,
    ) -> Result<(), FrameFault>;
}

/// What a venue needs of the shell.
#[derive(Clone, Debug)]
pub struct Needs {
    /// Where the stream is.
    pub stream_url: Url,
    /// The venue sends its time at least every few seconds, so that a silent connection is a lost one although its pongs
    /// come. Without, every frame counts, pongs among them.
    pub has_heartbeats: bool,
    /// The trade ids of a symbol are numbers without holes, so that a hole in them is a loss.
    pub has_consecutive_ids: bool,
}

/// A page of past trades: the newest ones before an id, or before now.
#[derive(Clone, Copy, Debug)]
pub struct TradesPage<'a> {
    /// The symbol in the venue's spelling.
    pub venue_symbol: &'a str,
    /// Trades with lower ids are wanted; `None` begins at the newest.
    pub before: Option<u64>,
    /// Trades before this time are not wanted.
    pub since: Nanos,
}

/// An instrument as the venue lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The venue's spelling.
    pub venue_symbol: String,
    /// Decimals of its prices, where the venue says so.
    pub price_scale: Option<Scale>,
    /// Decimals of its sizes, where the venue says so.
    pub size_scale: Option<Scale>,
    /// It can be traded now.
    pub is_trading: bool,
}

/// An instrument that is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// Its id in this process.
    pub symbol: SymbolId,
    /// The venue's spelling.
    pub venue_symbol: String,
    /// Decimals of its prices.
    pub price_scale: Scale,
    /// Decimals of its sizes.
    pub size_scale: Scale,
}

/// The instruments that are followed, by their place and by the venue's spelling.
#[derive(Clone, Debug, Default)]
pub struct Instruments {
    all: Vec<Instrument>,
    by_venue_symbol: HashMap<String, usize>,
    by_symbol: HashMap<SymbolId, usize>,
}

impl Instruments {
    /// Takes the instruments; of two with one spelling the later one counts.
    #[must_use]
    pub fn new(all: Vec<Instrument>) -> Instruments {
        let by_venue_symbol =
            all.iter().enumerate().map(|(at, one)| (one.venue_symbol.clone(), at)).collect();
        let by_symbol = all.iter().enumerate().map(|(at, one)| (one.symbol, at)).collect();
        Instruments { all, by_venue_symbol, by_symbol }
    }

    /// Returns them all.
    #[must_use]
    pub fn all(&self) -> &[Instrument] {
        &self.all
    }

    /// Returns the one that the venue spells so.
    #[must_use]
    pub fn find(&self, venue_symbol: &str) -> Option<&Instrument> {
        self.by_venue_symbol.get(venue_symbol).map(|&at| &self.all[at])
    }

    /// Returns the place of a symbol.
    #[must_use]
    pub fn place(&self, symbol: SymbolId) -> Option<usize> {
        self.by_symbol.get(&symbol).copied()
    }
}

/// What a frame is read with.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The instruments that are followed.
    pub instruments: &'a Instruments,
    /// The venue as a source.
    pub source: SourceId,
    /// When the frame was received.
    pub received: Nanos,
}

/// What a venue says, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VenueEvent {
    /// Something happened: an entry of the log without its position.
    Report(Entry),
    /// The newest trade there was when the subscription began; it may be old.
    LastTrade(Entry),
    /// The venue's clock.
    Clock {
        /// Its time.
        time: Nanos,
        /// How far the trade ids of a symbol have come, where it says so.
        reached: Option<(SymbolId, u64)>,
    },
    /// The subscription is confirmed.
    Subscribed,
    /// The venue refuses what it was asked; without another try nothing comes.
    Refused(String),
}

impl VenueEvent {
    /// Returns the symbol and number of a trade that has one.
    #[must_use]
    pub fn trade_number(entry: &Entry) -> Option<(SymbolId, u64, Nanos)> {
        let Body::Trade(trade) = &entry.body else { return None };
        match trade.id.words() {
            (0, number) => Some((entry.symbol, number, trade.ts)),
            _ => None,
        }
    }
}

/// Why a frame, or a part of it, says nothing that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct FrameFault {
    /// One of few words: it becomes a label, and the reason of the dead letter.
    pub kind: &'static str,
    /// What is wrong, for people.
    pub reason: String,
    /// The symbol it speaks of, as far as it can be read.
    pub venue_symbol: Option<String>,
}

/// What [`Venue::parse`] fills; its room is used again.
#[derive(Debug, Default)]
pub struct Heard {
    /// What was said.
    pub events: Vec<VenueEvent>,
    /// What could not be read.
    pub faults: Vec<FrameFault>,
    /// Frames that are right and none of ours: confirmations, channels that nobody asked for.
    pub num_ignored: u64,
    /// Numbers with more decimals than their symbol's scale, which were rounded.
    pub num_rounded: u64,
}

impl Heard {
    /// Empties it.
    pub fn clear(&mut self) {
        self.events.clear();
        self.faults.clear();
        (self.num_ignored, self.num_rounded) = (0, 0);
    }
}
