//! What REST reads from the cache when this process has no snapshot of a symbol, since another process may have one.
//!
//! Promises: nothing waits for the cache longer than its reader allows; each read counts as hit or miss. A request
//! with a range or a limit, or for a table, never comes here. On failure: the cache counts as empty.

use crate::models::feed::{self, AgeLimits};
use crate::models::symbol::{SymbolError, is_symbol_name};
use crate::models::time::Nanos;
use crate::web::answer::error::ApiError;
use crate::web::state::AppState;
use crate::wire::{self, LatestObject};

/// Returns the cached value of a key.
pub(super) async fn read(state: &AppState, key: &str) -> Option<Vec<u8>> {
    let found = state.cache.as_ref()?.get(key).await;
    let counter = if found.is_some() { &state.metrics.cache_hits } else { &state.metrics.cache_misses };
    counter.inc();
    found
}

/// Returns the name under which the cache may hold a symbol that a user names: ours where this process knows it, else
/// the user's in our spelling.
///
/// # Errors
/// For a text that names no symbol, or several.
pub(super) fn name_of(state: &AppState, text: &str) -> Result<String, ApiError> {
    match state.symbols.resolve(text) {
        Ok(id) => Ok(state.symbols.spec(id).name.clone()),
        Err(SymbolError::Unknown(_)) if state.cache.is_some() && is_symbol_name(text.as_bytes()) => {
            let name = text.rsplit(':').next().unwrap_or(text);
            Ok(name.to_ascii_uppercase().replace(['/', '_'], "-"))
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns a cached newest trade for the present: its age has grown, and the state of the feed may have changed.
/// `None` for bytes that are no such object.
pub(super) fn latest_now(cached: &[u8], now: Nanos) -> Option<Vec<u8>> {
    let mut object: LatestObject<'_> = serde_json::from_slice(cached).ok()?;
    let traded = object.timestamp.0;
    object.age_ms = now.since(traded).div_euclid(1_000_000);
    // What its feed calls stale only the process that follows it knows.
    object.feed = feed::state(now, traded, traded, traded, AgeLimits::default());
    Some(wire::to_json(&object))
}
