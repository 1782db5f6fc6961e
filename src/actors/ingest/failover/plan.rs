//! What a feed of several venues is started with.

use super::charge::Rules;
use crate::actors::environment::Environment;
use crate::actors::ingest::config::VenueConfig;
use crate::actors::ingest::shell::{BarsClient, FeedSettings, PastVenue, Pasts, RequestLimit, Tls};
use crate::actors::ingest::venue::{Instrument, Instruments, TradesPage, Venue};
use crate::models::entry::{Entry, SourceId};
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// A feed: its venues, and when which of them is in charge.
pub struct FeedPlan {
    /// Name of the feed, as health calls it.
    pub name: String,
    /// Its venues; the first one is in charge when it begins. There is one at least.
    pub venues: Vec<VenuePlan>,
    /// Venues that are compared with the one in charge.
    pub compared: Vec<VenuePlan>,
    /// When the charge changes.
    pub rules: Rules,
    /// How long its clock may stand still before it is dead.
    pub dead_after: Duration,
    /// What the log is told before anything else: what symbols are, and that the first venue is in charge.
    pub opening: Vec<Entry>,
    /// No later hand-over may lie before this.
    pub charged_from: Nanos,
    /// Where the log ended, if this is no first start: the time since is a gap.
    pub down_since: Option<Nanos>,
    /// Frames a second that are taken of each venue at the most.
    pub rate_max: Option<u32>,
    /// Tells which symbols are to be followed while it runs.
    pub changes: mpsc::Receiver<FeedChange>,
}

/// A change of what a feed follows.
#[derive(Clone, Debug)]
pub enum FeedChange {
    /// Symbols are followed from now on.
    Follow(Follow),
    /// Symbols are followed no more.
    Leave(Vec<SymbolId>),
}

/// Symbols that are followed from now on.
#[derive(Clone, Debug, Default)]
pub struct Follow {
    /// What each venue is followed for besides, in the order of [`FeedPlan::venues`].
    pub venues: Vec<Vec<Instrument>>,
    /// The same of the venues that are compared.
    pub compared: Vec<Vec<Instrument>>,
    /// What new symbols are.
    pub definitions: Vec<Entry>,
    /// Symbols that the log knows, and who was in charge of them.
    pub known: Vec<(SymbolId, SourceId)>,
}

/// One venue of a feed.
pub struct VenuePlan {
    /// The venue.
    pub venue: Arc<dyn Venue>,
    /// How it is reached.
    pub config: VenueConfig,
    /// How TLS is spoken with it.
    pub tls: Tls,
    /// How often it may be asked over REST.
    pub limit: RequestLimit,
    /// What it is followed for.
    pub instruments: Instruments,
    /// The venue as a source.
    pub source: SourceId,
    /// Bars of each window that a new symbol begins with; 0: none.
    pub warm_up_bars: u32,
}

impl VenuePlan {
    /// Returns what its shell is started with. `down_since` is as in [`FeedPlan`].
    pub(super) fn settings(&self, down_since: Option<Nanos>, rate_max: Option<u32>) -> FeedSettings {
        FeedSettings {
            name: self.venue.name().to_owned(),
            venue: Arc::clone(&self.venue),
            config: self.config.clone(),
            limit: self.limit.clone(),
            instruments: self.instruments.clone(),
            source: self.source,
            down_since,
            warm_up_bars: self.warm_up_bars,
            rate_max,
            recorder: None,
        }
    }

    /// True when the venue can be asked for past trades.
    #[must_use]
    pub fn has_past(&self) -> bool {
        self.instruments.all().first().is_some_and(|instrument| {
            let page = TradesPage {
                instrument,
                after: None,
                before: None,
                since: Nanos(0),
                until: None,
                cursor: None,
            };
            self.venue.trades_request(&page).is_some()
        })
    }

    /// Returns the venue's spelling of a symbol, for people; empty where it does not have it.
    pub(super) fn spelled(&self, symbol: SymbolId) -> String {
        let place = self.instruments.place(symbol);
        place.map(|place| self.instruments.all()[place].venue_symbol.clone()).unwrap_or_default()
    }

    /// Returns what asks the venue for the past of new symbols, whether or not it runs.
    pub(super) fn past(&self, env: &Environment) -> PastVenue {
        let (venue, limit) = (Arc::clone(&self.venue), self.limit.clone());
        PastVenue {
            name: self.venue.name(),
            client: BarsClient::new(venue, &self.config, limit, &self.tls, self.source, env),
            instruments: RefCell::new(self.instruments.clone()),
        }
    }

    /// Returns the symbols that it is followed for.
    pub(super) fn symbols(&self) -> BTreeSet<SymbolId> {
        self.instruments.all().iter().map(|instrument| instrument.symbol).collect()
    }
}

/// Returns what the venues of a feed share for the past of new symbols.
pub(super) fn pasts(venues: &[VenuePlan], env: &Environment, down_since: Option<Nanos>) -> Pasts {
    let pasts = Pasts {
        venues: if venues.len() > 1 {
            venues.iter().map(|plan| plan.past(env)).collect()
        } else {
            Rc::new([])
        },
        ..Pasts::default()
    };
    let snapshots = env.published.snapshots.as_ref();
    // Where nobody could tell, those of a first start are new.
    let is_new = |symbol| snapshots.map_or(down_since.is_none(), |snapshots| snapshots.get(symbol).is_none());
    let warmed = venues.iter().filter(|plan| plan.warm_up_bars > 0);
    let symbols: BTreeSet<SymbolId> = warmed.flat_map(VenuePlan::symbols).collect();
    symbols.into_iter().filter(|&symbol| is_new(symbol)).for_each(|symbol| pasts.newcomers.add(symbol));
    pasts
}
