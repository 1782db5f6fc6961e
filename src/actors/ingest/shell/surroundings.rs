//! What a feed is run with beside its settings: where its entries go, and how it is told and watched.

use super::super::handle::StopSignal;
use super::followed::Changes;
use super::standing::Standing;
use crate::actors::environment::Environment;
use crate::actors::health::HealthRegistry;
use crate::actors::partition::log::LogActor;
use crate::models::entry::Entry;
use actix::Addr;
use std::rc::Rc;
use std::sync::Arc;

/// Hears each report of a venue.
pub type Tap = Rc<dyn Fn(&Entry)>;

/// What a feed is run with beside its settings. It stays on its thread.
pub struct Surroundings {
    /// Where its entries go.
    pub log: Addr<LogActor>,
    /// What the data path works with.
    pub env: Environment,
    /// Where it says how it is.
    pub health: Arc<HealthRegistry>,
    /// Where it says how it stands.
    pub standing: Rc<Standing>,
    /// Tells it to follow other symbols.
    pub changes: Rc<Changes>,
    /// Tells it to stop.
    pub stop: StopSignal,
    /// Hears its reports, where somebody compares venues.
    pub tap: Option<Tap>,
    /// Its entries go to the log; those of a venue that is only compared do not.
    pub is_logged: bool,
}
