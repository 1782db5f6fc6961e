//! Panics on purpose, so that tests can show what a panic costs. Nothing is planned unless a test plans it.

use super::guard::ActorKind;
use crate::models::entry::Position;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Which actors are to panic, and at which entries.
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
    /// Lets the actor of an entry's symbol panic on it so many times.
    pub fn at_entry(&self, pos: Position, times: u32) {
        self.change(|plan| _ = plan.entries.insert(pos, times));
    }

    /// Lets the actor of an entry's symbol panic so many times on setting it aside as poison.
    pub fn at_set_aside(&self, pos: Position, times: u32) {
        self.change(|plan| _ = plan.asides.insert(pos, times));
    }

    /// Lets the next so many messages of any actor of the kind panic.
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
