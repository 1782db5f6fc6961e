//! Requests to a venue over REST: what is asked for, and what an answer means before it is read.

use super::instruments::Instrument;
use crate::models::time::{Nanos, Width};
use reqwest::Url;
use std::fmt;
use std::time::Duration;

/// A request, always `GET`. Prints without what may hold a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// Where to; may hold a key.
    pub url: Url,
    /// Headers beside those of every request; may hold a key.
    pub headers: Vec<(&'static str, String)>,
    /// What it costs of the venue's limit: 1, where the venue counts requests alike.
    pub cost: u32,
}

impl Request {
    /// Makes a plain one.
    #[must_use]
    pub const fn to(url: Url) -> Request {
        Request { url, headers: Vec::new(), cost: 1 }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GET {}", self.url.path())
    }
}

/// Where the next page is, in words of the venue that only it reads: an id, a time, a URL of its own.
pub type Cursor = String;

/// A page of past trades: a part of a hole.
#[derive(Clone, Copy, Debug)]
pub struct TradesPage<'a> {
    /// The instrument whose trades are asked for, with the venue's spelling of it.
    pub instrument: &'a Instrument,
    /// The last id before the hole; `None` where ids are unknown, or no numbers.
    pub after: Option<u64>,
    /// The first id behind the hole; `None` where it is unknown: then up to the newest trade.
    pub before: Option<u64>,
    /// Trades before this time are not wanted.
    pub since: Nanos,
    /// Trades from this time on are not wanted; `None`: up to the newest one.
    pub until: Option<Nanos>,
    /// What the page before said; `None` asks for the first page.
    pub cursor: Option<&'a Cursor>,
}

/// A page of ready-made bars.
#[derive(Clone, Copy, Debug)]
pub struct BarsPage<'a> {
    /// The instrument whose bars are asked for, with the venue's spelling of it.
    pub instrument: &'a Instrument,
    /// Their width.
    pub width: Width,
    /// Start of the first one.
    pub from: Nanos,
    /// Bars that start at this time or later are not wanted.
    pub to: Nanos,
    /// What the page before said; `None` asks for the first page.
    pub cursor: Option<&'a Cursor>,
}

/// Something that a polled venue is asked again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poll {
    /// What is asked.
    pub request: Request,
    /// The symbols whose data it brings, in the venue's spelling.
    pub venue_symbols: Vec<String>,
    /// Time from one request to the next, at the least.
    pub every: Duration,
}

/// What an answer means, before its body is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It is what was asked for.
    Good,
    /// Another try may help, after the pause where the venue says one.
    Transient {
        /// What happened, for people.
        reason: String,
        /// When to try again at the earliest.
        pause: Option<Duration>,
    },
    /// Another try gives the same.
    Permanent {
        /// What happened, for people.
        reason: String,
    },
    /// The key is wrong, or its plan does not have this: nothing of the kind is asked for again.
    NotEntitled {
        /// What happened, for people.
        reason: String,
    },
}

/// Characters of a body that stand in a message.
const SAID_MAX: usize = 120;

impl Judgement {
    /// Judges by the status alone, for venues whose bodies do not contradict it.
    #[must_use]
    pub fn by_status(status: u16, body: &str) -> Judgement {
        let said: String = body.chars().take(SAID_MAX).collect();
        let reason = format!("answer is {status}: {said}");
        match status {
            200..=299 => Judgement::Good,
            408 | 429 | 500.. => Judgement::Transient { reason, pause: None },
            401 | 403 => Judgement::NotEntitled { reason },
            _ => Judgement::Permanent { reason },
        }
    }
}
