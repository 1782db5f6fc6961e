//! The seam to a venue: what the shell needs to know to run any of them.
//!
//! A venue is pure. It says where to connect, what to send, what a frame means and which page of trades or bars to ask for; it
//! opens no socket and reads no clock. The shell (`shell/`) does the rest for all venues alike.
//!
//! Promises of an implementation, which `contract` in its tests checks: no frame whatever makes it panic; every frame
//! becomes events, a counted fault, or a counted frame that is none of ours; what it subscribes covers every symbol it
//! is given; the same frame gives the same events again, with the same trade ids. A trade's id, price, size and time are the
//! same from the stream and from REST, to the last bit. Keys stand in [`Request`]s and in messages to send, and in no error.

mod events;
mod instruments;
mod request;

pub use events::{FrameFault, Heard, Refusal, Step, Then, VenueEvent};
pub use instruments::{Context, Instrument, Instruments, Listed};
pub use request::{BarsPage, Cursor, Judgement, Poll, Request, TradesPage};

use reqwest::Url;
use std::time::Duration;

/// A venue, as the shell runs it. What a venue has no use for has a default.
pub trait Venue: Send + Sync + 'static {
    /// Returns the venue's name: that of its source, its section of the configuration and its metrics.
    fn name(&self) -> &'static str;

    /// Returns what the venue needs of the shell.
    fn needs(&self) -> Needs;

    /// Spells one of our symbols in the venue's way without asking the venue, for venues that have no list of instruments,
    /// or whose list cannot be had.
    ///
    /// # Errors
    /// When the venue cannot have such a symbol: why.
    fn spell(&self, symbol: &str) -> Result<Listed, String>;

    /// Returns the place in [`Transport::Streams`] of the stream that brings an instrument.
    fn stream_of(&self, _venue_symbol: &str) -> usize {
        0
    }

    /// Returns how far a stream is behind the market, where our clock tells the time: one of several may be.
    fn delay_of(&self, _stream: usize) -> Duration {
        match self.needs().clock {
            Clock::Told => Duration::ZERO,
            Clock::Ours { delay } => delay,
        }
    }

    /// Returns the messages of [`Step::Authenticate`].
    fn authenticate(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns the messages of [`Step::Subscribe`], for the symbols (in the venue's spelling) that a connection is to bring.
    fn subscribe(&self, venue_symbols: &[&str]) -> Vec<String>;

    /// Returns the messages that end the subscription of symbols.
    fn unsubscribe(&self, venue_symbols: &[&str]) -> Vec<String>;

    /// Reads one frame of the stream.
    fn parse(&self, frame: &str, context: &Context<'_>, heard: &mut Heard);

    /// Says what an answer over REST means before its body is read: venues tell faults by status, or in the body of a good one.
    fn judge(&self, status: u16, body: &str) -> Judgement {
        Judgement::by_status(status, body)
    }

    /// Returns where the list of instruments is; `None` where the venue has none.
    fn instruments_request(&self) -> Option<Request> {
        None
    }

    /// Reads the list of instruments.
    ///
    /// # Errors
    /// When the body is not such a list.
    fn read_instruments(&self, _body: &str) -> Result<Vec<Listed>, FrameFault> {
        Err(FrameFault::unasked("list of instruments"))
    }

    /// Returns where instruments are found by a part of their names, of a venue that has no list of them; `None` where they
    /// cannot be searched.
    fn search_request(&self, _query: &str, _limit: usize) -> Option<Request> {
        None
    }

    /// Reads what was found.
    ///
    /// # Errors
    /// When the body is not such an answer.
    fn read_search(&self, _body: &str) -> Result<Vec<Listed>, FrameFault> {
        Err(FrameFault::unasked("list of instruments that were found"))
    }

    /// Returns where a page of past trades is; `None` where the venue has none.
    fn trades_request(&self, _page: &TradesPage<'_>) -> Option<Request> {
        None
    }

    /// Reads a page of past trades, in any order. Returns where the next page is; `None` when the hole is reached, or there
    /// is nothing more.
    ///
    /// # Errors
    /// When the body is not such a page. One trade in it that cannot be read is a fault in `heard` and no error.
    fn read_trades(
        &self,
        _body: &str,
        _page: &TradesPage<'_>,
        _context: &Context<'_>,
        _heard: &mut Heard,
    ) -> Result<Option<Cursor>, FrameFault> {
        Err(FrameFault::unasked("page of trades"))
    }

    /// Returns where a page of ready-made bars is; `None` where the venue has none of that width for the instrument.
    fn bars_request(&self, _page: &BarsPage<'_>) -> Option<Request> {
        None
    }

    /// Reads a page of ready-made bars, in any order, as reports of [`VenueBar`](crate::models::entry::VenueBar). A bar
    /// that is still forming is left out. Returns where the next page is.
    ///
    /// # Errors
    /// As [`Venue::read_trades`].
    fn read_bars(
        &self,
        _body: &str,
        _page: &BarsPage<'_>,
        _context: &Context<'_>,
        _heard: &mut Heard,
    ) -> Result<Option<Cursor>, FrameFault> {
        Err(FrameFault::unasked("page of bars"))
    }

    /// Returns what is asked again and again of a venue that is polled, in turn.
    fn polls(&self, _venue_symbols: &[&str]) -> Vec<Poll> {
        Vec::new()
    }

    /// Reads the answer to a poll.
    ///
    /// # Errors
    /// As [`Venue::read_trades`].
    fn read_poll(
        &self,
        _body: &str,
        _poll: &Poll,
        _context: &Context<'_>,
        _heard: &mut Heard,
    ) -> Result<(), FrameFault> {
        Err(FrameFault::unasked("poll"))
    }
}

/// What a venue needs of the shell.
#[derive(Clone, Debug)]
pub struct Needs {
    /// How data comes.
    pub transport: Transport,
    /// What is done once a connection is open.
    pub first: Step,
    /// The venue speaks at least every few seconds, in frames, so that a silent connection is a lost one although its
    /// pongs come. Without, pongs count too.
    pub has_heartbeats: bool,
    /// A connection that brings nothing for this long is lost, unless the configuration says otherwise.
    pub idle_timeout: Duration,
    /// Who tells the time.
    pub clock: Clock,
    /// What a symbol's trade ids tell.
    pub ids: Ids,
    /// The venue ends each connection at this age; another one takes its place some time before.
    pub connection_age_max: Option<Duration>,
    /// Symbols that the venue gives one connection at the most.
    pub symbols_per_connection_max: Option<usize>,
    /// Symbols that the venue gives one key at the most, over all connections.
    pub symbols_max: Option<usize>,
    /// Connections that the venue gives one key at a time, unless the configuration says otherwise.
    pub connections_max: Option<usize>,
}

/// How a venue's data comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Over WebSocket: where each stream is. A venue has several where its markets are apart. An address may hold a key.
    Streams(Vec<Url>),
    /// By asking again and again, see [`Venue::polls`].
    Polls,
}

/// Who tells the time up to which a venue has said everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The venue, see [`VenueEvent::Clock`].
    Told,
    /// Nobody: while a subscribed connection is alive it is our time less the venue's delay.
    Ours {
        /// How far the venue is behind the market: 15 minutes for some plans. See also [`Venue::delay_of`].
        delay: Duration,
    },
}

/// What the trade ids of a symbol tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ids {
    /// They are numbers without holes, so that a hole in them is a loss.
    Consecutive,
    /// They tell trades apart.
    Unique,
    /// There are none: the shell tells trades apart by time, price, size and how many alike came before.
    None,
}
