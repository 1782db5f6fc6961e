//! Panics that tests plan, to show what a panic costs. Nothing panics here unless a test has planned it.

use super::guard::ActorKind;
use crate::models::entry::Position;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Which actors panic, and on which entries.
#[derive(Debug, Default)]
pub struct FaultPlan {
    armed: AtomicBool,
    plan: Mutex<Planned>,
}

#[derive(Debug, Default)]
struct Planned {
    /// How often the symbol's actor panics on an entry.
    entries: BTreeMap<Position, u32>,
    /// How often the symbol's actor panics on setting an entry aside.
    asides: BTreeMap<Position, u32>,
    /// How often an actor of a kind panics on its next message.
    actors: Vec<(ActorKind, u32)>,
}

impl FaultPlan {
    /// Plans panics of a symbol's actor on an entry.
    pub fn at_entry(&self, pos: Position, times: u32) {
        self.change(|plan| _ = plan.entries.insert(pos, times));
    }

    /// Plans panics of a symbol's actor on setting an entry aside as poison.
    pub fn at_set_aside(&self, pos: Position, times: u32) {
        self.change(|plan| _ = plan.asides.insert(pos, times));
    }

    /// Plans panics of any actor of the kind on its next messages.
    pub fn at_actor(&self, kind: ActorKind, times: u32) {
        self.change(|plan| plan.actors.push((kind, times)));
    }

    fn change(&self, change: impl FnOnce(&mut Planned)) {
        change(&mut self.plan.lock().unwrap_or_else(PoisonError::into_inner));
        self.armed.store(true, Ordering::Release);
    }

    /// True when anything was ever planned; costs one load.
    #[must_use]
    pub fn is_armed(&self) -> bool {
        self.armed.load(Ordering::Acquire)
    }

    /// Panics if that was planned for this entry.
    ///
    /// # Panics
    /// On purpose.
    pub fn entry(&self, pos: Position) {
        self.panic_at(pos, |plan| &mut plan.entries);
    }

    /// Panics if that was planned for setting this entry aside.
    ///
    /// # Panics
    /// On purpose.
    pub fn set_aside(&self, pos: Position) {
        self.panic_at(pos, |plan| &mut plan.asides);
    }

    fn panic_at(&self, pos: Position, times: impl FnOnce(&mut Planned) -> &mut BTreeMap<Position, u32>) {
        if !self.is_armed() {
            return;
        }
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(times) = times(&mut plan).get_mut(&pos).filter(|times| **times > 0) {
            *times -= 1;
            drop(plan);
            panic!("planned panic at entry {pos}");
        }
    }

    /// Panics if that was planned for this kind of actor.
    ///
    /// # Panics
    /// On purpose.
    pub fn actor(&self, kind: ActorKind) {
        if !self.is_armed() {
            return;
        }
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, times)) =
            plan.actors.iter_mut().find(|(planned, times)| *planned == kind && *times > 0)
        {
            *times -= 1;
            drop(plan);
            panic!("planned panic of actor {}", kind.as_str());
        }
    }
}
