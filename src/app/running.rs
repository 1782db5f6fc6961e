//! The feeds of a run: they are stopped together, and each is told what to follow.

use super::candidate::{Candidate, Refused};
use super::live_feed::LiveFeed;
use super::simulator::SimulatedMarket;
use crate::actors::ingest::failover::FeedChange;
use crate::actors::ingest::handle::FeedHandle;
use crate::actors::ingest::registry::{KAFKA, SIMULATED};
use crate::actors::ingest::simulated::MarketChange;
use crate::actors::ingest::venue::Listed;
use crate::models::entry::SourceId;
use crate::models::symbol::SymbolId;
use crate::node::Node;
use crate::web::symbol_control::{RefusalReason, UnaskedVenue};
use futures_util::future::join_all;
use std::collections::BTreeSet;
use tokio::sync::mpsc;

/// Changes that a feed may be behind with. It takes them at once, unless the log takes nothing: then whoever changes symbols
/// waits.
pub const CHANGES_MAX: usize = 16;

/// The feeds of a run.
pub struct RunningFeeds(pub Vec<RunningFeed>);

impl RunningFeeds {
    /// Stops them all: what they have received is handed to the log first.
    pub async fn stop(self) {
        join_all(self.0.into_iter().map(|feed| feed.handle.stop())).await;
    }
}

/// A feed that runs.
pub struct RunningFeed {
    /// Its name.
    pub name: String,
    /// The symbols that it began with.
    pub names: BTreeSet<String>,
    /// Stops it.
    pub handle: FeedHandle,
    /// What it brings.
    pub kind: FeedKind,
}

/// What a feed brings.
pub enum FeedKind {
    /// A made-up market.
    Simulated(SimulatedMarket, mpsc::Sender<MarketChange>),
    /// Live venues; the source is that of the first one.
    Live(Box<LiveFeed>, SourceId, mpsc::Sender<FeedChange>),
    /// A topic, which has whatever its writers put there.
    Topic,
}

impl RunningFeed {
    /// True when the configuration names a symbol for it.
    #[must_use]
    pub fn is_configured(&self, name: &str) -> bool {
        match &self.kind {
            FeedKind::Simulated(market, _) => market.is_configured(name),
            FeedKind::Live(feed, ..) => feed.is_configured(name),
            FeedKind::Topic => false,
        }
    }

    /// Finds a symbol that it may follow.
    ///
    /// # Errors
    /// When it cannot have it.
    pub async fn find(&mut self, name: &str) -> Result<Candidate, Refused> {
        match &mut self.kind {
            FeedKind::Simulated(..) => Ok(SimulatedMarket::find(name)),
            FeedKind::Live(feed, ..) => feed.find(name).await,
            FeedKind::Topic => {
                let detail = "the topic has the symbols that are written to it; none can be added".to_owned();
                Err(Refused { reason: RefusalReason::UnknownSymbol, detail })
            }
        }
    }

    /// Follows symbols from now on. Returns their ids.
    pub async fn follow(&mut self, node: &Node, candidates: Vec<Candidate>) -> Vec<SymbolId> {
        match &self.kind {
            FeedKind::Simulated(_, changes) => {
                let symbols: Vec<_> = candidates
                    .iter()
                    .map(|candidate| SimulatedMarket::symbol(node, &candidate.spec))
                    .collect();
                let ids = symbols.iter().map(|symbol| symbol.id).collect();
                self.note_gone(changes.send(MarketChange::Follow(symbols)).await.is_err());
                ids
            }
            FeedKind::Live(feed, source, changes) => {
                let (follow, ids) = feed.follow(node, *source, &candidates);
                self.note_gone(changes.send(FeedChange::Follow(follow)).await.is_err());
                ids
            }
            FeedKind::Topic => Vec::new(),
        }
    }

    /// Follows symbols no more.
    pub async fn leave(&mut self, symbols: Vec<SymbolId>) {
        let is_gone = match &self.kind {
            FeedKind::Simulated(_, changes) => changes.send(MarketChange::Leave(symbols)).await.is_err(),
            FeedKind::Live(.., changes) => changes.send(FeedChange::Leave(symbols)).await.is_err(),
            FeedKind::Topic => false,
        };
        self.note_gone(is_gone);
    }

    fn note_gone(&self, is_gone: bool) {
        if is_gone {
            tracing::error!(feed = self.name, "the feed has ended; the change holds from the next start on");
        }
    }

    /// Searches what its venues have. Returns what was found where, and the venues that did not answer.
    pub async fn search(
        &mut self,
        query: &str,
        limit: usize,
    ) -> (Vec<(&'static str, Listed)>, Vec<UnaskedVenue>) {
        match &mut self.kind {
            FeedKind::Simulated(..) => {
                let reason = "it lists nothing: it makes a market of any name up".to_owned();
                (Vec::new(), vec![UnaskedVenue { venue: SIMULATED.to_owned(), reason }])
            }
            FeedKind::Live(feed, ..) => feed.search(query, limit).await,
            FeedKind::Topic => {
                let reason = "a topic lists nothing: it has whatever is written to it".to_owned();
                (Vec::new(), vec![UnaskedVenue { venue: KAFKA.to_owned(), reason }])
            }
        }
    }
}
