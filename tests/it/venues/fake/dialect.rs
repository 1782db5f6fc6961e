//! What a venue says on the wire: everything by which one fake differs from another.
//!
//! A dialect writes literal bytes: text with `<name>` where a value stands. It imports nothing from `src`, so that a
//! mistake there cannot stand on both sides. A new one goes into `dialects/`, and into `dialects::ALL`, which runs the
//! suite `every_venue` over it.

use super::market::{Form, MarketBar, MarketTrade, bars};
use super::sockets::{HttpAnswer, HttpRequest};
use std::fmt::Display;

/// A venue's way of speaking. What a venue does not have is left as it is here.
pub trait Dialect: Send + Sync {
    /// Its name, as `--provider` takes it.
    fn name(&self) -> &'static str;

    /// What its market trades, in our spelling; the first one trades more.
    fn symbols(&self) -> [&'static str; 2];

    /// What the ids of its trades tell.
    fn ids(&self) -> Ids;

    /// What its wire form can carry.
    fn form(&self) -> Form;

    /// Whether past trades can be had over REST.
    fn has_past_trades(&self) -> bool;

    /// Who tells the time up to which everything was said.
    fn clock(&self) -> Clock {
        Clock::Ours
    }

    /// A file of the shared data with a market like its own, and the symbols in it that stand for [`Dialect::symbols`].
    fn recording(&self) -> Recording {
        let [first, _] = self.symbols();
        Recording { file: "crypto_coinbase_btcusd_20230905_trades.csv.gz", symbols: vec![("BTC-USD", first)] }
    }

    /// The keys of its section that lead to the fake, and the key it asks for. The addresses have no slash at the end.
    fn section(&self, stream_url: &str, rest_url: &str) -> Vec<(&'static str, String)> {
        vec![("stream_url", stream_url.to_owned()), ("rest_url", rest_url.to_owned())]
    }

    /// The keys of its section that hold the user's secrets; empty where it asks for none.
    fn keys(&self) -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }

    /// What is said once a connection is open.
    fn greeting(&self, _session: &mut Session) -> Vec<String> {
        Vec::new()
    }

    /// Answers a message. Notes in the session what was asked for: a session without symbols gets no trades.
    fn hear(&self, message: &str, session: &mut Session, past: &Past<'_>) -> Vec<String>;

    /// Says trades, each to be taken by the client in this order; several in a frame where the venue can do so.
    fn trades(&self, trades: &[&MarketTrade]) -> Vec<String>;

    /// What is said about every fifty trades, and all the time when nothing trades.
    fn heartbeat(&self, _session: &Session, _past: &Past<'_>) -> Vec<String> {
        Vec::new()
    }

    /// Answers a request over REST.
    fn answer(&self, request: &HttpRequest, past: &Past<'_>) -> HttpAnswer;

    /// The text of an answer that fails with a status and says nothing of use.
    fn failure(&self, _status: &str) -> String {
        String::new()
    }

    /// Every way in which the stream refuses a key.
    fn refusals(&self) -> Vec<Refusal> {
        Vec::new()
    }

    /// Every way in which REST refuses a key.
    fn rest_refusals(&self) -> Vec<HttpAnswer> {
        Vec::new()
    }

    /// Trades that happen before each answer, for venues that are only asked.
    fn trades_per_answer(&self) -> usize {
        0
    }
}

/// What the ids of a symbol's trades tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ids {
    /// Numbers without holes.
    Consecutive,
    /// They tell trades apart.
    Unique,
    /// There are none.
    None,
}

/// Who tells the time up to which everything was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The venue, in its heartbeats.
    Told,
    /// Nobody.
    Ours,
}

/// A file of the shared data.
#[derive(Clone, Debug)]
pub struct Recording {
    /// Its name.
    pub file: &'static str,
    /// Symbols of the file, and what they are called here.
    pub symbols: Vec<(&'static str, &'static str)>,
}

/// A way to refuse a key.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// In place of the connection: status and body.
    Upgrade(&'static str, &'static str),
    /// At the greeting, and the connection is closed.
    Greeting(Vec<String>),
    /// In place of the first answer, and the connection is closed.
    Answer(Vec<String>),
    /// By closing the connection after the first message, with a code and a reason.
    Close(u16, &'static str),
}

/// One connection, as far as the dialect knows it.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// What the client asked for when it opened the connection: path and query.
    pub target: String,
    /// The client has shown its key.
    pub is_authenticated: bool,
    /// What it is subscribed to, in our spelling.
    pub symbols: Vec<String>,
    /// What it is subscribed to besides: channels, streams.
    pub channels: Vec<String>,
}

impl Session {
    /// Subscribes to a symbol, in our spelling.
    pub fn add(&mut self, symbol: &str) {
        if !self.symbols.iter().any(|known| known == symbol) {
            self.symbols.push(symbol.to_owned());
        }
    }
}

/// What has happened so far.
pub struct Past<'a> {
    /// All of it, in order.
    pub trades: &'a [MarketTrade],
    /// What REST does not know.
    pub forgotten: &'a [MarketTrade],
    /// The market's time.
    pub now: i64,
    /// What is traded, in our spelling.
    pub symbols: &'a [String],
    /// Where REST is.
    pub rest_url: &'a str,
}

impl Past<'_> {
    /// Returns the last trade of a symbol, if there was one.
    pub fn last(&self, symbol: &str) -> Option<&MarketTrade> {
        self.trades.iter().rev().find(|trade| trade.symbol == symbol)
    }

    /// Returns the trades of a symbol that REST knows, oldest first.
    pub fn known(&self, symbol: &str) -> impl DoubleEndedIterator<Item = &MarketTrade> {
        self.trades.iter().filter(move |trade| trade.symbol == symbol && !self.forgotten.contains(trade))
    }

    /// Returns the bars of a symbol that have ended.
    pub fn bars(&self, symbol: &str, width: i64) -> Vec<MarketBar> {
        let mut bars = bars(self.known(symbol), width);
        bars.retain(|bar| bar.start + width <= self.now);
        bars
    }
}

/// Fills a template: `<name>` becomes the value of that name.
///
/// # Panics
/// When the template has no such place.
pub fn fill(template: &str, values: &[(&str, &dyn Display)]) -> String {
    let mut text = template.to_owned();
    for (name, value) in values {
        let place = format!("<{name}>");
        assert!(text.contains(&place), "there is no {place} in {template}");
        text = text.replace(&place, &value.to_string());
    }
    text
}
