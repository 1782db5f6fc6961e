//! Makes the state of a symbol anew after a panic: from its newest usable checkpoint, the entries since then read back
//! from the log, and from the journal as far as the log may not hold them yet.
//!
//! Promises: the state ends as the one that was lost. Nothing is left out for a failure of the store that may go away: it
//! is tried again until it does. Only the symbol waits for that; the other symbols of its shard go on.
//! On failure: what will not go away is said, and the state is made without. An entry on which this panics was applied
//! before, so it is quarantined at once, and one that panics even so is passed over; every try leaves out one entry more,
//! so this ends. Where there is no entry to blame, the checkpoints are done without, and in the end the state begins
//! anew.

use super::shard::{Shard, SymbolCell};
use crate::actors::guard::{self, ActorKind};
use crate::models::effect::Effect;
use crate::models::entry::{Body, Entry, Position};
use crate::models::state::SymbolState;
use crate::models::symbol::SymbolId;
use crate::retry::{Backoff, RetryPolicy};
use crate::stores::error::StoreError;
use crate::stores::log::TickLog;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

/// Entries that are read at once: under 1 MB.
const PAGE_ENTRIES: usize = 8_192;

/// A state in the making.
pub struct Rebuild {
    shard: Rc<Shard>,
    cell: Rc<SymbolCell>,
    symbol: SymbolId,
    name: Arc<str>,
    /// What the journal held when this began: entries that the log holds by the time they are read are in both.
    journal: Vec<Entry>,
    /// The state becomes what it was after this entry.
    applied: Position,
    state: SymbolState,
    /// What follows from entries was published when they were applied first.
    published: Vec<Effect>,
    /// Clock marks that were kept from the symbol, since nothing was due.
    undelivered: Vec<Entry>,
    /// The entry being applied.
    applying: Position,
    /// A try without checkpoints is under way.
    without_checkpoints: bool,
}

impl Rebuild {
    /// Returns the state of a symbol as it was after the last entry it applied.
    pub async fn run(shard: Rc<Shard>, cell: Rc<SymbolCell>, symbol: SymbolId) -> SymbolState {
        let applied = cell.applied.get();
        let journal = {
            let mut journal = cell.journal.borrow_mut();
            journal.forget_after(applied);
            journal.up_to(applied)
        };
        let spec = shard.env.symbols.spec(symbol);
        let (settings, names) = (Arc::clone(&shard.env.settings), Arc::clone(&shard.env.names));
        let mut state = SymbolState::new(symbol, &spec, settings, names);
        if let Some(document) = cell.looked_for.get() {
            state.look_for(document);
        }
        let mut rebuild = Rebuild {
            shard: Rc::clone(&shard),
            cell,
            symbol,
            name: spec.name.as_str().into(),
            journal,
            applied,
            state,
            published: Vec::new(),
            undelivered: Vec::new(),
            applying: 0,
            without_checkpoints: false,
        };
        let metrics = Arc::clone(&shard.env.metrics);
        while guard::watch(ActorKind::Symbol, &metrics, rebuild.attempt()).await.is_none() {
            if !rebuild.leave_out_more() {
                rebuild.state = rebuild.fresh();
                break;
            }
        }
        rebuild.state
    }

    fn fresh(&self) -> SymbolState {
        let env = &self.shard.env;
        let (settings, names) = (Arc::clone(&env.settings), Arc::clone(&env.names));
        let mut state = SymbolState::new(self.symbol, &env.symbols.spec(self.symbol), settings, names);
        if let Some(document) = self.cell.looked_for.get() {
            state.look_for(document);
        }
        state
    }

    /// Has the next try do without what this one panicked on. Returns false when there is nothing left to do without.
    fn leave_out_more(&mut self) -> bool {
        if self.applying != 0 {
            if self.shard.is_poison(self.applying) {
                self.shard.pass_over(&self.name, self.applying);
            } else {
                self.shard.quarantine(&self.name, self.applying);
            }
            return true;
        }
        let name = &*self.name;
        if std::mem::replace(&mut self.without_checkpoints, true) {
            tracing::error!(
                symbol = name,
                "state cannot be made anew: what the symbol knew is missing until the next start"
            );
            return false;
        }
        tracing::error!(
            symbol = name,
            "checkpoints cannot be used; the symbol's entries are read from the first on"
        );
        true
    }

    async fn attempt(&mut self) {
        self.applying = 0;
        self.undelivered.clear();
        let store = self.shard.context.store.clone();
        let checkpoints = match &store {
            _ if self.without_checkpoints => Vec::new(),
            Some(store) => self.checkpoints(store).await,
            None => self.cell.journal.borrow().checkpoint().map(<[u8]>::to_vec).into_iter().collect(),
        };
        let env = &self.shard.env;
        let state = checkpoints.iter().find_map(|bytes| {
            let decoded = SymbolState::decode(bytes, Arc::clone(&env.settings), Arc::clone(&env.names));
            // The next one serves, or the log.
            decoded.map_err(|error| tracing::warn!(%error, "checkpoint is of no use")).ok()
        });
        let begins_after = self.cell.journal.borrow().begins_after();
        let mut after = state.as_ref().map_or(begins_after, SymbolState::pos);
        self.state = state.unwrap_or_else(|| self.fresh());
        while let Some(store) = store.as_ref().filter(|_| after < self.applied) {
            let page = self.page(store, after).await;
            let Some(last) = page.last() else { break };
            after = last.pos;
            self.reapply(up_to(&page, self.applied));
        }
        for entry in std::mem::take(&mut self.undelivered) {
            self.apply(&entry);
        }
        for at in 0..self.journal.len() {
            let entry = self.journal[at];
            self.apply(&entry);
        }
        self.applying = 0;
    }

    /// Applies an entry that the symbol does not know yet, as its actor did.
    fn apply(&mut self, entry: &Entry) {
        if entry.pos <= self.state.pos() {
            return;
        }
        self.applying = entry.pos;
        self.shard.apply(&mut self.state, entry, &mut self.published);
        self.published.clear();
    }

    /// Applies entries of the log as the router gave them: it holds clock marks back until something is due or the
    /// symbol's next entry comes, and a symbol begins with an entry of its own.
    fn reapply(&mut self, entries: &[Entry]) {
        for entry in entries {
            let is_early = match entry.body {
                Body::ClockMark { source, time } => {
                    self.undelivered.retain(|mark| mark.body.source() != source);
                    time < self.state.next_due()
                }
                _ => false,
            };
            if self.state.pos() == 0 && entry.is_broadcast() {
                if let Some(document) = entry.body.looked_for() {
                    self.state.look_for(document);
                }
                continue;
            }
            self.undelivered.push(*entry);
            if !is_early {
                for entry in std::mem::take(&mut self.undelivered) {
                    self.apply(&entry);
                }
            }
        }
    }

    /// Returns the symbol's encoded checkpoints, newest first.
    async fn checkpoints(&self, store: &Arc<dyn TickLog>) -> Vec<Vec<u8>> {
        let partition = self.shard.context.partition;
        let found = self.retry(|| store.checkpoints_of(partition, &self.name)).await;
        found.into_iter().map(|checkpoint| checkpoint.bytes).collect()
    }

    /// Returns what comes next after a position: entries of the symbol and broadcasts. Nothing at the log's end.
    async fn page(&self, store: &Arc<dyn TickLog>, after: Position) -> Vec<Entry> {
        self.retry(|| store.read_of(self.symbol, after, PAGE_ENTRIES)).await
    }

    /// Asks the store until it answers, or says that it never will.
    async fn retry<T, F>(&self, ask: impl Fn() -> F) -> T
    where
        T: Default,
        F: Future<Output = Result<T, StoreError>>,
    {
        let (mut backoff, name) = (Backoff::new(RetryPolicy::LOCAL), &*self.name);
        loop {
            match ask().await {
                Ok(found) => return found,
                Err(error) if error.is_transient() => {
                    tracing::error!(symbol = name, %error, "failed to read a symbol back; it is tried again");
                }
                Err(error) => {
                    tracing::error!(symbol = name, %error, "failed to read a symbol back; it goes on without");
                    return T::default();
                }
            }
            tokio::time::sleep(backoff.failed()).await;
        }
    }
}

/// Returns the entries up to a position.
fn up_to(entries: &[Entry], last: Position) -> &[Entry] {
    &entries[..entries.partition_point(|entry| entry.pos <= last)]
}
