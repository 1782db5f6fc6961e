//! Whose data do not come.
//!
//! Promises: a symbol that never traded is not among them. Nothing here fails.

use crate::actors::snapshots::SymbolSnapshots;
use crate::actors::source_clocks::SourceClocks;
use crate::models::settings::CoreSettings;
use crate::models::time::Nanos;
use crate::names::SymbolTable;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Says whose data do not come.
pub trait FeedWatch: Send + Sync {
    /// Returns the symbols whose feed is stale or dead.
    fn down(&self, now: Nanos) -> BTreeSet<String>;
}

/// Judges feeds as `latest` and the page do.
pub struct SnapshotFeeds {
    /// What the symbols published last.
    pub snapshots: Arc<SymbolSnapshots>,
    /// How far the clocks of their sources are.
    pub clocks: Arc<SourceClocks>,
    /// Their names.
    pub symbols: Arc<SymbolTable>,
    /// By how much watermarks are behind.
    pub core: Arc<CoreSettings>,
}

impl FeedWatch for SnapshotFeeds {
    fn down(&self, now: Nanos) -> BTreeSet<String> {
        let mut down = BTreeSet::new();
        for snapshot in self.snapshots.all() {
            let limits = self.clocks.limits_of(snapshot.symbol, snapshot.source);
            let clock = self.clocks.get(snapshot.source);
            let feed = snapshot.feed(clock, self.core.lateness, limits, now);
            if matches!(feed, Some("stale" | "dead")) {
                down.insert(self.symbols.spec(snapshot.symbol).name.clone());
            }
        }
        down
    }
}
