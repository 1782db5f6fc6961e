//! Runs a live venue: connects, subscribes, watches, comes back, finds what is missing and fetches it.
//!
//! Promises, for every venue alike: what is received goes to the log in the order received, and nothing else is read
//! while the log is full, so that a full pipeline holds up the socket; a lost connection or a hole in the trade ids is a
//! gap in the log, which is filled as soon as REST has brought what was missing, or stays for good after `gap_hold`; a symbol that is new begins
//! with the past that the venue has of it, as ready-made bars;
//! heartbeats become clock marks, or, where the venue does not tell the time, signs of life do; frames that cannot be read
//! are counted and kept as dead letters, and never end the stream; what the venue refuses is said once and left: a symbol,
//! past trades, or, with a wrong key, the connection; a stop takes less than a second. Everything is counted
//! (`tickwire_venue_*`).
//! On failure: a panic loses the frames being read; the connection is made anew, and what was missed is a gap.

mod backfill;
mod bars;
mod brought;
mod connect;
mod connection;
mod continuity;
mod feed;
mod followed;
mod gaps;
mod health;
mod hearing;
mod held;
mod hole;
mod identity;
mod job;
mod letters;
mod limit;
mod listing;
mod newcomers;
mod offset;
mod outages;
mod past;
mod poll;
mod recorder;
mod request_limit;
mod rest;
mod schedule;
mod session;
mod share;
mod standing;
mod subscription;
mod surroundings;
mod symbols;
mod talk;
mod warm_up;

pub use bars::{BarsAsked, BarsClient, BarsError, given_width};
pub use brought::Brought;
pub use feed::FeedSettings;
pub use followed::{Change, Changes};
pub use identity::{Alike, RecentTrades};
pub use listing::InstrumentClient;
pub use newcomers::Newcomers;
pub use recorder::Recorder;
pub use request_limit::RequestLimit;
pub use standing::{Phase, Standing};
pub use surroundings::{PastVenue, Pasts, Surroundings, Tap};

use super::config::VenueConfig;
use super::handle::FeedHandle;
use crate::actors::environment::Environment;
use crate::actors::health::HealthRegistry;
use crate::actors::partition::log::LogActor;
use crate::models::time::MINUTE;
use crate::tls::{self, CertificateError};
use actix::Addr;
use feed::{Feed, Queues};
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Holes that may wait to be filled: one of each symbol that a process may know, and some more. Each is small; a further
/// one is given up, since a venue that loses so much is not made whole by asking for it.
const JOBS_MAX: usize = 32_768;

/// How far ahead of its receipt an event may claim to be: more is a fault of the venue's, or a unit that was misread.
pub const AHEAD_MAX: i64 = 5 * MINUTE;

/// How TLS is spoken with a venue.
#[derive(Clone)]
pub struct Tls(Arc<rustls::ClientConfig>);

impl Tls {
    /// Reads the certificates that a venue's section names.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn of(config: &VenueConfig) -> Result<Tls, CertificateError> {
        tls::client(config.ca_file.as_deref()).map(Tls)
    }
}

/// Starts the feed of one venue on a thread of its own. Its symbols begin without a past.
///
/// # Errors
/// When the certificates that the configuration names cannot be read.
pub fn start(
    settings: FeedSettings,
    log: Addr<LogActor>,
    env: Environment,
    health: Arc<HealthRegistry>,
) -> Result<FeedHandle, CertificateError> {
    let tls = Tls::of(&settings.config)?;
    Ok(FeedHandle::spawn(move |stop| {
        let (standing, changes) = (Rc::default(), Rc::default());
        let (tap, is_logged, pasts) = (None, true, Pasts::default());
        run(settings, tls, Surroundings { log, env, health, standing, changes, stop, tap, is_logged, pasts })
    }))
}

/// Runs the feed of one venue on this thread, until it is told to stop.
pub async fn run(settings: FeedSettings, tls: Tls, surroundings: Surroundings) {
    let (jobs, waiting) = mpsc::channel(JOBS_MAX);
    let (holes, without_trades) = mpsc::channel(warm_up::HOLES_MAX);
    let feed = Rc::new(Feed::new(settings, tls.0, Queues { jobs, holes }, surroundings));
    let brings = async { tokio::join!(symbols::run(&feed), poll::run(Rc::clone(&feed))) };
    tokio::select! {
        _ = brings => {}
        () = backfill::run(&feed, waiting) => {}
        () = warm_up::run(&feed, without_trades) => {}
    }
    warm_up::stop(&feed).await;
    feed.settle().await;
}
