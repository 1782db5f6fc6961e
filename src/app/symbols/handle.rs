//! The handle through which the API changes symbols, and the requests that it brings to the service.

use crate::app::requests::{self, RequestQueue};
use crate::models::symbol::SymbolId;
use crate::web::symbol_control::{
    ControlError, FollowSymbols, SearchResult, SymbolControl, SymbolsFollowed, SymbolsUnfollowed,
};
use futures_util::future::BoxFuture;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::mpsc;

/// Requests that may wait: they are done one after the other. A further one is told to come again.
const WAITING_MAX: usize = 32;

/// Where an answer goes.
pub type Reply<T> = requests::Reply<T, ControlError>;

/// A request.
pub enum Request {
    /// Symbols are to be followed.
    Follow(FollowSymbols, Reply<SymbolsFollowed>),
    /// Symbols are to be followed no more.
    Unfollow(Vec<String>, Reply<SymbolsUnfollowed>),
    /// The venues are searched, for at most so many instruments of each.
    Search(String, usize, Reply<SearchResult>),
}

/// Requests on their way to the service.
pub type Requests = mpsc::Receiver<Request>;

/// Which symbols are followed, and the place of the feed that brings each.
#[derive(Debug, Default)]
pub struct FollowedSymbols(RwLock<HashMap<SymbolId, usize>>);

impl FollowedSymbols {
    /// Returns the place of the feed that brings a symbol; `None` where none does.
    #[must_use]
    pub fn feed_of(&self, symbol: SymbolId) -> Option<usize> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&symbol).copied()
    }

    /// Notes that a feed brings a symbol.
    pub fn insert(&self, symbol: SymbolId, feed: usize) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(symbol, feed);
    }

    /// Notes that no feed brings a symbol.
    pub fn remove(&self, symbol: SymbolId) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&symbol);
    }
}

/// The handle.
pub struct SymbolHandle {
    requests: RequestQueue<Request>,
    followed: Arc<FollowedSymbols>,
}

impl SymbolHandle {
    /// Makes a handle, and where its requests come out. Until somebody takes them they wait.
    #[must_use]
    pub fn new(followed: Arc<FollowedSymbols>) -> (SymbolHandle, Requests) {
        let (requests, waiting) = RequestQueue::new(WAITING_MAX, "GET /api/v1/symbols");
        (SymbolHandle { requests, followed }, waiting)
    }

    fn ask<T: Send + 'static>(
        &self,
        request: impl FnOnce(Reply<T>) -> Request,
    ) -> BoxFuture<'static, Result<T, ControlError>> {
        self.requests.ask(request, ControlError::Unavailable)
    }
}

impl SymbolControl for SymbolHandle {
    fn follow(&self, wanted: FollowSymbols) -> BoxFuture<'static, Result<SymbolsFollowed, ControlError>> {
        self.ask(|reply| Request::Follow(wanted, reply))
    }

    fn unfollow(&self, symbols: Vec<String>) -> BoxFuture<'static, Result<SymbolsUnfollowed, ControlError>> {
        self.ask(|reply| Request::Unfollow(symbols, reply))
    }

    fn search(&self, query: String, limit: usize) -> BoxFuture<'static, Result<SearchResult, ControlError>> {
        self.ask(|reply| Request::Search(query, limit, reply))
    }

    fn is_followed(&self, symbol: SymbolId) -> bool {
        self.followed.feed_of(symbol).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_is_followed_until_it_is_removed() {
        let followed = Arc::<FollowedSymbols>::default();
        let (handle, _requests) = SymbolHandle::new(Arc::clone(&followed));
        followed.insert(SymbolId(3), 1);
        assert_eq!((followed.feed_of(SymbolId(3)), handle.is_followed(SymbolId(3))), (Some(1), true));
        followed.remove(SymbolId(3));
        assert!(!handle.is_followed(SymbolId(3)));
    }
}
