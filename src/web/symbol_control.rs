//! What the API asks of whoever runs the feeds: to follow symbols, to stop following them, and what venues have.
//!
//! Promises: an answer says of every symbol that was named what became of it; what was accepted is kept before it is
//! answered. On failure: [`ControlError`] says whether another try can help, and nothing has changed.

use super::rest::param_docs::SymbolName;
use crate::models::symbol::SymbolId;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Changes which symbols are followed, and searches what could be.
pub trait SymbolControl: Send + Sync {
    /// Follows symbols from now on.
    fn follow(&self, wanted: FollowSymbols) -> BoxFuture<'static, Result<SymbolsFollowed, ControlError>>;

    /// Follows symbols no more. What is known of them stays.
    fn unfollow(&self, symbols: Vec<String>) -> BoxFuture<'static, Result<SymbolsUnfollowed, ControlError>>;

    /// Searches what the venues list, at most so many instruments of each.
    fn search(&self, query: String, limit: usize) -> BoxFuture<'static, Result<SearchResult, ControlError>>;

    /// True while a symbol is followed.
    fn is_followed(&self, symbol: SymbolId) -> bool;
}

/// Why nothing was changed or found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// A field of the request cannot be used.
    #[error("{detail}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// Another try may help.
    #[error("{0}")]
    Unavailable(String),
}

/// Symbols to follow.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FollowSymbols {
    /// Symbols or aliases of them, each once.
    #[schema(value_type = Vec<SymbolName>, example = json!(["SOL-USD"]), min_items = 1, max_items = 1000)]
    pub symbols: Vec<String>,
    /// Name of the feed that is to bring them; without it, the first feed whose first venue has the symbol.
    pub feed: Option<String>,
}

/// What became of symbols that were to be followed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct SymbolsFollowed {
    /// Those that are followed from now on, in our spelling.
    #[schema(example = json!(["SOL-USD"]))]
    pub added: Vec<String>,
    /// Those that were followed already.
    #[schema(example = json!(["BTC-USD"]))]
    pub present: Vec<String>,
    /// Those that are not followed.
    pub refused: Vec<RefusedSymbol>,
}

/// What became of symbols that were to be followed no more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct SymbolsUnfollowed {
    /// Those that are not followed any more.
    #[schema(example = json!(["SOL-USD"]))]
    pub removed: Vec<String>,
    /// Those that were not followed before, and of which something is known.
    #[schema(example = json!([]))]
    pub absent: Vec<String>,
    /// Those that nobody knows, or that may be several.
    pub refused: Vec<RefusedSymbol>,
}

/// A symbol that cannot be followed, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RefusedSymbol {
    /// As it was named.
    #[schema(example = "NOPE-USD")]
    pub symbol: String,
    /// For programs.
    pub reason: RefusalReason,
    /// For people.
    #[schema(example = "`coinbase` has no symbol `NOPE-USD`")]
    pub detail: String,
}

/// Why a symbol cannot be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    /// It is not written as symbols are, or may be several.
    BadSymbol,
    /// No venue that was asked has it, or nobody knows it.
    UnknownSymbol,
    /// Another feed brings it.
    OtherFeed,
    /// `core.max_symbols` symbols are known.
    TooManySymbols,
    /// Its bars were made of something else before, such as of trades and not of quotes.
    SymbolFixed,
    /// The venue did not say now whether it has it.
    Unavailable,
}

/// What the venues list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct SearchResult {
    /// Instruments whose names fit, the best first, feed by feed.
    pub found: Vec<FoundInstrument>,
    /// Venues that did not answer, and why.
    pub unasked: Vec<UnaskedVenue>,
}

/// An instrument of a venue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FoundInstrument {
    /// The symbol in our spelling.
    #[schema(example = "SOL-USD")]
    pub symbol: String,
    /// The venue that has it.
    #[schema(example = "coinbase")]
    pub venue: String,
    /// The feed that would bring it.
    #[schema(example = "coinbase")]
    pub feed: String,
    /// The venue's spelling.
    #[schema(example = "SOL-USD")]
    pub venue_symbol: String,
    /// `equity`, `pair`, `crypto`, `future` or `unknown`.
    #[schema(example = "crypto")]
    pub asset_class: &'static str,
    /// It can be traded now.
    pub is_trading: bool,
    /// It is followed.
    pub is_followed: bool,
}

/// A venue that did not answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UnaskedVenue {
    /// The venue.
    #[schema(example = "finage")]
    pub venue: String,
    /// Why.
    #[schema(example = "this venue cannot be searched")]
    pub reason: String,
}
