//! What a feed is run with beside its settings: where its entries go, and how it is told and watched.

use super::super::handle::StopSignal;
use super::super::venue::{Instrument, Instruments};
use super::bars::BarsClient;
use super::followed::Changes;
use super::newcomers::Newcomers;
use super::standing::Standing;
use crate::actors::environment::Environment;
use crate::actors::health::HealthRegistry;
use crate::actors::partition::log::LogActor;
use crate::models::entry::Entry;
use crate::models::symbol::SymbolId;
use actix::Addr;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// Hears each report of a venue.
pub type Tap = Rc<dyn Fn(&Entry)>;

/// A venue of the feed that may be asked for the past of new symbols, whether it runs or not.
pub struct PastVenue {
    /// Its name.
    pub name: &'static str,
    /// Asks it.
    pub client: BarsClient,
    /// What it has.
    pub instruments: RefCell<Instruments>,
}

impl PastVenue {
    /// Returns how it spells a symbol; `None` where it does not have it.
    pub(super) fn instrument(&self, symbol: SymbolId) -> Option<Instrument> {
        let instruments = self.instruments.borrow();
        Some(instruments.all()[instruments.place(symbol)?].clone())
    }
}

/// What the venues of a feed share, so that a new symbol begins with one past, of whichever has it.
#[derive(Clone)]
pub struct Pasts {
    /// The symbols that are new.
    pub newcomers: Rc<Newcomers>,
    /// All venues of the feed, in its order; empty where there is one.
    pub venues: Rc<[PastVenue]>,
}

impl Default for Pasts {
    fn default() -> Pasts {
        Pasts { newcomers: Rc::default(), venues: Rc::new([]) }
    }
}

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
    /// New symbols, and whom their past may be asked of.
    pub pasts: Pasts,
}
