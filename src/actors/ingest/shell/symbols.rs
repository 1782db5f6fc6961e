//! Runs the connections of a feed, and changes what they bring.
//!
//! Promises: a symbol that is added is subscribed to over a connection that is open and has room, or over a new one; those
//! that stay notice nothing of it. One that is left is unsubscribed, and nothing of it is handed on any more. On failure: a
//! venue that refuses a symbol has it left out, as at the start.

use super::super::venue::{Instrument, Transport};
use super::connection::Connection;
use super::feed::Feed;
use super::followed::Change;
use super::share::{Limits, Share};
use crate::models::symbol::SymbolId;
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use std::rc::Rc;

/// Runs the connections until the feed stops.
pub(super) async fn run(feed: &Rc<Feed>) {
    let mut lines = Lines { feed: Rc::clone(feed), all: Vec::new(), running: FuturesUnordered::new() };
    for share in feed.take_shares() {
        let (at, share) = (lines.all.len(), Rc::new(share));
        lines.all.push(Rc::clone(&share));
        lines.running.push(Box::pin(Connection::new(Rc::clone(feed), at, share).run()));
    }
    loop {
        tokio::select! {
            // Each of them ends with the stop, or with the log.
            Some(()) = lines.running.next(), if !lines.running.is_empty() => {}
            changes = feed.changes.next() => changes.into_iter().for_each(|change| lines.change(change)),
            () = feed.stop.told() => break,
        }
    }
    while lines.running.next().await.is_some() {}
}

/// The connections of a feed.
struct Lines {
    feed: Rc<Feed>,
    all: Vec<Rc<Share>>,
    running: FuturesUnordered<LocalBoxFuture<'static, ()>>,
}

impl Lines {
    fn change(&mut self, change: Change) {
        match change {
            Change::Follow(instruments) => {
                instruments.into_iter().for_each(|instrument| self.follow(instrument));
            }
            Change::Leave(symbols) => symbols.into_iter().for_each(|symbol| self.leave(symbol)),
        }
        self.feed.is_changed.notify_one();
        self.feed.show();
    }

    fn follow(&mut self, instrument: Instrument) {
        let feed = Rc::clone(&self.feed);
        let Transport::Streams(streams) = &feed.needs.transport else {
            feed.follow(instrument);
            return;
        };
        let stream = feed.venue.stream_of(&instrument.venue_symbol);
        let (venue, symbol) = (feed.venue.name(), instrument.venue_symbol.clone());
        let Some(place) = feed.follow(instrument) else { return };
        tracing::info!(venue, symbol, "the symbol is followed from now on");
        let limits = Limits::of(&feed.needs, &feed.config);
        let has_room = |share: &&Rc<Share>| {
            share.stream == stream && share.places.borrow().len() < limits.per_connection
        };
        let num_followed: usize = self.all.iter().map(|share| share.places.borrow().len()).sum();
        let share = match self.all.iter().find(has_room) {
            _ if num_followed >= limits.symbols => return self.leave_out(place, &limits.symbols_are_taken()),
            Some(share) => Rc::clone(share),
            None if self.all.len() >= limits.connections => {
                return self.leave_out(place, &limits.connections_are_taken());
            }
            None => self.open(stream, streams[stream].clone()),
        };
        share.places.borrow_mut().push(place);
        share.changed.notify_one();
    }

    /// Goes on without a symbol that the venue's limits leave no room for.
    fn leave_out(&self, place: usize, reason: &str) {
        let (venue, symbol) = (self.feed.venue.name(), self.feed.instruments.venue_symbol(place));
        tracing::warn!(venue, symbol, reason, "this symbol is left out");
        self.feed.leave_out(place, Some(reason.to_owned()));
    }

    /// Opens one more connection.
    fn open(&mut self, stream: usize, url: reqwest::Url) -> Rc<Share> {
        let (at, share) = (self.feed.add_connection(), Rc::new(Share::new(stream, url, Vec::new())));
        self.all.push(Rc::clone(&share));
        let connection = Connection::added(Rc::clone(&self.feed), at, Rc::clone(&share));
        self.running.push(Box::pin(connection.run()));
        share
    }

    fn leave(&self, symbol: SymbolId) {
        let feed = &self.feed;
        let Some(place) = feed.leave(symbol) else { return };
        let (venue, symbol) = (feed.venue.name(), feed.instruments.venue_symbol(place));
        tracing::info!(venue, symbol, "the symbol is followed no more");
        for share in &self.all {
            let mut places = share.places.borrow_mut();
            let before = places.len();
            places.retain(|&other| other != place);
            if places.len() < before {
                share.changed.notify_one();
            }
        }
    }
}
