//! What a feed is started with.

use super::super::super::config::VenueConfig;
use super::super::super::venue::{Instruments, Venue};
use super::super::hole::Hole;
use super::super::job::Job;
use super::super::recorder::Recorder;
use super::super::request_limit::RequestLimit;
use crate::models::entry::SourceId;
use crate::models::time::Nanos;
use std::sync::Arc;
use tokio::sync::mpsc;

/// What a feed is started with.
pub struct FeedSettings {
    /// Name of the feed, as health calls it.
    pub name: String,
    /// The venue.
    pub venue: Arc<dyn Venue>,
    /// How it is reached.
    pub config: VenueConfig,
    /// How often it may be asked over REST.
    pub limit: RequestLimit,
    /// What is followed.
    pub instruments: Instruments,
    /// The venue as a source.
    pub source: SourceId,
    /// Where the log ended, if this is no first start: the time since is a gap.
    pub down_since: Option<Nanos>,
    /// Bars of each window that a new symbol begins with, as far as a venue of the feed has them; 0: none are asked for.
    pub warm_up_bars: u32,
    /// Frames a second that are taken at the most.
    pub rate_max: Option<u32>,
    /// Who keeps the frames as they come.
    pub recorder: Option<Arc<dyn Recorder>>,
}

/// Where work waits that is done beside the connections.
pub(in super::super) struct Queues {
    /// Holes whose trades are to be fetched.
    pub jobs: mpsc::Sender<Job>,
    /// Holes whose trades cannot be had.
    pub holes: mpsc::Sender<Hole>,
}
