//! Follows and leaves symbols while feeds run, and searches what their venues have.
//!
//! Promises: one request after the other; what is accepted is on the disk before anything of it happens, so that a kill in
//! between does it with the next start; the symbols that stay notice nothing. On failure: nothing has changed, and the answer
//! says why.

use super::file::{FILE_NAME, KeptSymbols};
use super::handle::{FollowedSymbols, Request, Requests};
use crate::app::candidate::{Candidate, Refused};
use crate::app::running::RunningFeeds;
use crate::models::symbol::{NAME_LEN_MAX, SymbolError, SymbolId, is_symbol_name, shortened};
use crate::node::Node;
use crate::web::symbol_control::{
    ControlError, FollowSymbols, FoundInstrument, RefusalReason, RefusedSymbol, SearchResult,
    SymbolsFollowed, SymbolsUnfollowed,
};
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The service. It owns the feeds of the run.
pub struct SymbolService<'a> {
    node: &'a Node,
    feeds: RunningFeeds,
    kept: KeptSymbols,
    followed: Arc<FollowedSymbols>,
    symbols_max: usize,
}

/// What becomes of a symbol that is to be followed.
enum Outcome {
    Present(String),
    /// By the feed at a place.
    Added(usize, Candidate),
}

impl<'a> SymbolService<'a> {
    /// Makes the service of running feeds. At most `symbols_max` symbols are known at a time.
    #[must_use]
    pub fn new(
        node: &'a Node,
        feeds: RunningFeeds,
        kept: KeptSymbols,
        followed: Arc<FollowedSymbols>,
        symbols_max: usize,
    ) -> SymbolService<'a> {
        for (at, feed) in feeds.0.iter().enumerate() {
            for name in &feed.names {
                followed.insert(node.symbols.get(name).expect("the feed has begun with it"), at);
            }
        }
        // What the log knows besides was removed, or is configured no more.
        let known = node.env.published.snapshots.iter().flat_map(|snapshots| snapshots.all());
        let known = known.map(|snapshot| snapshot.symbol);
        let left: Vec<SymbolId> = known.filter(|&symbol| followed.feed_of(symbol).is_none()).collect();
        node.env.published.clocks.note_followed(&left, false);
        SymbolService { node, feeds, kept, followed, symbols_max }
    }

    /// Does what is asked for, until it is dropped.
    pub async fn serve(&mut self, requests: &mut Requests) {
        while let Some(request) = requests.recv().await {
            // Whoever asked may have gone meanwhile.
            match request {
                Request::Follow(wanted, reply) => _ = reply.send(self.follow(wanted).await),
                Request::Unfollow(symbols, reply) => _ = reply.send(self.unfollow(symbols).await),
                Request::Search(query, limit, reply) => _ = reply.send(Ok(self.search(&query, limit).await)),
            }
        }
    }

    /// Stops the feeds: what they have received is handed to the log first.
    pub async fn stop(self) {
        self.feeds.stop().await;
    }

    async fn follow(&mut self, wanted: FollowSymbols) -> Result<SymbolsFollowed, ControlError> {
        let feed = match &wanted.feed {
            None => None,
            Some(name) => Some(self.feed_named(name)?),
        };
        let mut answer = SymbolsFollowed::default();
        let mut added: Vec<(usize, Candidate)> = Vec::new();
        for symbol in wanted.symbols {
            match self.outcome(&symbol, feed, &added).await {
                Ok(Outcome::Present(name)) => answer.present.push(name),
                Ok(Outcome::Added(at, candidate)) => added.push((at, candidate)),
                Err(Refused { reason, detail }) => {
                    answer.refused.push(RefusedSymbol { symbol, reason, detail });
                }
            }
        }
        let mut kept = self.kept.clone();
        for (at, candidate) in &added {
            let feed = &self.feeds.0[*at];
            kept.follow(&feed.name, candidate.name(), feed.is_configured(candidate.name()));
        }
        self.keep(kept).await?;
        let mut by_feed: BTreeMap<usize, Vec<Candidate>> = BTreeMap::new();
        for (at, candidate) in added {
            answer.added.push(candidate.name().to_owned());
            by_feed.entry(at).or_default().push(candidate);
        }
        for (at, candidates) in by_feed {
            let symbols = self.feeds.0[at].follow(self.node, candidates).await;
            symbols.iter().for_each(|&symbol| self.followed.insert(symbol, at));
            self.node.env.published.clocks.note_followed(&symbols, true);
        }
        if !answer.added.is_empty() {
            tracing::info!(
                symbols = answer.added.join(","),
                "symbols are followed from now on, as the API was asked"
            );
        }
        Ok(answer)
    }

    fn feed_named(&self, name: &str) -> Result<usize, ControlError> {
        self.feeds.0.iter().position(|feed| feed.name == name).ok_or_else(|| {
            let all: Vec<String> = self.feeds.0.iter().map(|feed| format!("`{}`", feed.name)).collect();
            let shown = shortened(name, NAME_LEN_MAX);
            let detail = format!("there is no feed `{shown}`; there is {}", all.join(", "));
            ControlError::Field { field: "feed", detail }
        })
    }

    /// Finds out what becomes of a symbol. `feed` is the place of the feed that is asked for; `added`, what is added already
    /// by the same request.
    async fn outcome(
        &mut self,
        symbol: &str,
        feed: Option<usize>,
        added: &[(usize, Candidate)],
    ) -> Result<Outcome, Refused> {
        if !is_symbol_name(symbol.as_bytes()) {
            let shown = shortened(symbol, NAME_LEN_MAX);
            let detail = format!("`{shown}` is not written as symbols are");
            return Err(Refused { reason: RefusalReason::BadSymbol, detail });
        }
        if let Ok(id) = self.node.symbols.resolve(symbol)
            && let Some(outcome) = self.present(id, feed)
        {
            return outcome;
        }
        let places: Vec<usize> = feed.map_or_else(|| (0..self.feeds.0.len()).collect(), |at| vec![at]);
        let mut refused = None;
        for at in places {
            match self.feeds.0[at].find(symbol).await {
                Ok(candidate) => return self.admitted(at, candidate, feed, added),
                // Of several reasons the one that may pass by itself says most.
                Err(refusal) if refused.is_none() || refusal.reason == RefusalReason::Unavailable => {
                    refused = Some(refusal);
                }
                Err(_) => {}
            }
        }
        Err(refused.expect("there is a feed"))
    }

    /// Returns what becomes of a symbol that a feed brings already; `None` where none does.
    fn present(&self, id: SymbolId, feed: Option<usize>) -> Option<Result<Outcome, Refused>> {
        let name = self.node.symbols.spec(id).name.clone();
        let at = self.followed.feed_of(id)?;
        if feed.is_some_and(|wanted| wanted != at) {
            let detail = format!("`{name}` is brought by the feed `{}`", self.feeds.0[at].name);
            return Some(Err(Refused { reason: RefusalReason::OtherFeed, detail }));
        }
        Some(Ok(Outcome::Present(name)))
    }

    /// Looks whether there is room for a symbol that a feed has, and whether it is what it was.
    fn admitted(
        &self,
        at: usize,
        candidate: Candidate,
        feed: Option<usize>,
        added: &[(usize, Candidate)],
    ) -> Result<Outcome, Refused> {
        let name = candidate.name();
        if added.iter().any(|(_, other)| other.name() == name) {
            return Ok(Outcome::Present(name.to_owned()));
        }
        let known = self.node.symbols.get(name);
        if let Some(outcome) = known.and_then(|id| self.present(id, feed)) {
            return outcome;
        }
        let num_new = added.iter().filter(|(_, other)| self.node.symbols.get(other.name()).is_none()).count();
        if known.is_none() && self.node.symbols.len() + num_new >= self.symbols_max {
            let detail = format!(
                "`{name}` is one symbol too many; {} are known, `core.max_symbols` sets the limit",
                self.symbols_max
            );
            return Err(Refused { reason: RefusalReason::TooManySymbols, detail });
        }
        candidate.check(self.node)?;
        Ok(Outcome::Added(at, candidate))
    }

    async fn unfollow(&mut self, symbols: Vec<String>) -> Result<SymbolsUnfollowed, ControlError> {
        let mut answer = SymbolsUnfollowed::default();
        let mut by_feed: BTreeMap<usize, Vec<(SymbolId, String)>> = BTreeMap::new();
        for symbol in symbols {
            let id = match self.node.symbols.resolve(&symbol) {
                Ok(id) => id,
                Err(error) => {
                    let reason = match error {
                        SymbolError::Unknown(_) => RefusalReason::UnknownSymbol,
                        _ => RefusalReason::BadSymbol,
                    };
                    answer.refused.push(RefusedSymbol { symbol, reason, detail: error.to_string() });
                    continue;
                }
            };
            let name = self.node.symbols.spec(id).name.clone();
            match self.followed.feed_of(id) {
                None => answer.absent.push(name),
                Some(at) => {
                    let left = by_feed.entry(at).or_default();
                    if !left.contains(&(id, name.clone())) {
                        left.push((id, name.clone()));
                        answer.removed.push(name);
                    }
                }
            }
        }
        let mut kept = self.kept.clone();
        for (&at, left) in &by_feed {
            let feed = &self.feeds.0[at];
            left.iter().for_each(|(_, name)| kept.leave(&feed.name, name, feed.is_configured(name)));
        }
        self.keep(kept).await?;
        for (at, left) in by_feed {
            let left: Vec<SymbolId> = left.into_iter().map(|(id, _)| id).collect();
            left.iter().for_each(|&id| self.followed.remove(id));
            self.node.env.published.clocks.note_followed(&left, false);
            self.feeds.0[at].leave(left).await;
        }
        if !answer.removed.is_empty() {
            tracing::info!(
                symbols = answer.removed.join(","),
                "symbols are followed no more, as the API was asked"
            );
        }
        Ok(answer)
    }

    /// Puts changes on the disk.
    async fn keep(&mut self, kept: KeptSymbols) -> Result<(), ControlError> {
        kept.save().await.map_err(|error| {
            tracing::error!(%error, "`{FILE_NAME}` cannot be written; the symbols stay as they are");
            ControlError::Unavailable(format!(
                "`{FILE_NAME}` cannot be written, so the symbols stay as they are"
            ))
        })?;
        self.kept = kept;
        Ok(())
    }

    async fn search(&mut self, query: &str, limit: usize) -> SearchResult {
        let (node, followed) = (self.node, Arc::clone(&self.followed));
        let is_followed =
            |name: &str| node.symbols.get(name).is_some_and(|id| followed.feed_of(id).is_some());
        let asked = join_all(self.feeds.0.iter_mut().map(|feed| feed.search(query, limit))).await;
        let mut answer = SearchResult::default();
        for (feed, (found, unasked)) in self.feeds.0.iter().zip(asked) {
            answer.found.extend(found.into_iter().map(|(venue, listed)| FoundInstrument {
                is_followed: is_followed(&listed.name),
                symbol: listed.name,
                venue: venue.to_owned(),
                feed: feed.name.clone(),
                venue_symbol: listed.venue_symbol,
                asset_class: listed.asset_class.as_str(),
                is_trading: listed.is_trading,
            }));
            answer.unasked.extend(unasked);
        }
        answer
    }
}
