//! The health of the components of the process, for `/health`, readiness and people.
//!
//! Promises: the overall health is that of the worst component in use. Nothing here fails.

use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;

/// The health of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Not in use: has no effect on the overall health.
    Disabled,
    /// Does its work.
    Healthy,
    /// Does part of its work, or late.
    Degraded,
    /// Does not do its work.
    Unhealthy,
}

impl Health {
    /// Returns the word that answers use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Health::Disabled => "disabled",
            Health::Healthy => "healthy",
            Health::Degraded => "degraded",
            Health::Unhealthy => "unhealthy",
        }
    }
}

/// The health of one component, and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentHealth {
    /// How well it works.
    pub status: Health,
    /// The reason, for people; may be empty.
    pub detail: String,
}

/// A store that everything waits for cannot be written, and trying again will not help: somebody has to repair it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {store} cannot be written: {cause}")]
pub struct StoreBroken {
    /// `log`, or the name of a durable sink.
    pub store: &'static str,
    /// What the store said.
    pub cause: String,
}

/// Another process writes to a store in place of this one, which is to stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this process stops, since the {store} is another one's: {cause}")]
pub struct Fenced {
    /// The name of the durable sink.
    pub store: &'static str,
    /// What the store said.
    pub cause: String,
}

/// The health of every component, by name.
#[derive(Default)]
pub struct HealthRegistry {
    components: Mutex<BTreeMap<String, ComponentHealth>>,
    /// Components that requests can do without.
    optional: Mutex<BTreeSet<&'static str>>,
    ready: AtomicBool,
    broken: watch::Sender<Option<StoreBroken>>,
    fenced: watch::Sender<Option<Fenced>>,
}

impl HealthRegistry {
    /// Sets the health of a component.
    pub fn set(&self, name: &str, status: Health, detail: impl Into<String>) {
        let health = ComponentHealth { status, detail: detail.into() };
        let mut components = self.components.lock().unwrap_or_else(PoisonError::into_inner);
        match components.get_mut(name) {
            Some(known) => *known = health,
            None => _ = components.insert(name.to_owned(), health),
        }
    }

    /// Notes that a store will not be written again until somebody repairs it. The first one stays.
    pub fn set_broken(&self, broken: StoreBroken) {
        self.broken.send_if_modified(|first| {
            let is_first = first.is_none();
            first.get_or_insert(broken);
            is_first
        });
    }

    /// Waits until a store is found broken, for those who have nothing to do without it.
    pub async fn broken(&self) -> StoreBroken {
        let mut receiver = self.broken.subscribe();
        let found = receiver.wait_for(Option::is_some).await.expect("the sender is `self`");
        found.clone().expect("it was waited for")
    }

    /// Notes that another process writes to a store in place of this one.
    pub fn set_fenced(&self, fenced: Fenced) {
        self.fenced.send_replace(Some(fenced));
    }

    /// Waits until another process writes in place of this one.
    pub async fn fenced(&self) -> Fenced {
        let mut receiver = self.fenced.subscribe();
        let found = receiver.wait_for(Option::is_some).await.expect("the sender is `self`");
        found.clone().expect("it was waited for")
    }

    /// Says whether the process takes requests: recovered, and not stopping.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }

    /// Says that requests should come to the process also while a component does not do its work: what does not need it is
    /// answered, and the same component is away for every other process as well.
    pub fn set_optional(&self, name: &'static str) {
        self.optional.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
    }

    /// True when a component is [`Health::Unhealthy`] that requests cannot do without.
    #[must_use]
    pub fn lacks_what_is_needed(&self) -> bool {
        let optional = self.optional.lock().unwrap_or_else(PoisonError::into_inner);
        let components = self.components.lock().unwrap_or_else(PoisonError::into_inner);
        components
            .iter()
            .any(|(name, known)| known.status == Health::Unhealthy && !optional.contains(name.as_str()))
    }

    /// True when the process takes requests and nothing that it needs is [`Health::Unhealthy`].
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire) && !self.lacks_what_is_needed()
    }

    /// Returns the worst health of any component; [`Health::Healthy`] without one.
    #[must_use]
    pub fn overall(&self) -> Health {
        let components = self.components.lock().unwrap_or_else(PoisonError::into_inner);
        components.values().map(|component| component.status).fold(Health::Healthy, Health::max)
    }

    /// Returns all components by name.
    #[must_use]
    pub fn components(&self) -> Vec<(String, ComponentHealth)> {
        let components = self.components.lock().unwrap_or_else(PoisonError::into_inner);
        components.iter().map(|(name, health)| (name.clone(), health.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_broken_store_is_told_to_whoever_waits_and_whoever_asks_later() {
        let registry = HealthRegistry::default();
        let broken = |store| StoreBroken { store, cause: "malformed".to_owned() };
        let find = async {
            registry.set_broken(broken("history"));
            registry.set_broken(broken("log"));
        };
        let (found, ()) = futures_util::future::join(registry.broken(), find).await;
        assert_eq!((found, registry.broken().await), (broken("history"), broken("history")));
    }

    #[test]
    fn the_whole_is_as_well_as_its_worst_part() {
        let registry = HealthRegistry::default();
        assert_eq!((registry.overall(), registry.is_ready()), (Health::Healthy, false));
        registry.set_ready(true);
        registry.set("redis", Health::Disabled, "");
        assert_eq!((registry.overall(), registry.is_ready()), (Health::Healthy, true));
        registry.set("history", Health::Degraded, "busy");
        assert_eq!((registry.overall(), registry.is_ready()), (Health::Degraded, true));
        registry.set("log", Health::Unhealthy, "disk full");
        assert_eq!((registry.overall(), registry.is_ready()), (Health::Unhealthy, false));
        registry.set_optional("log");
        assert_eq!((registry.overall(), registry.is_ready()), (Health::Unhealthy, true));
        registry.set("log", Health::Healthy, "");
        assert_eq!(registry.overall(), Health::Degraded);
        let names: Vec<String> = registry.components().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["history", "log", "redis"]);
    }
}
