//! What is read of a topic, and what goes from the reading thread to the feed.

use super::config::Start;
use super::positions::Positions;
use crate::models::entry::Entry;
use crate::models::time::Nanos;
use crate::names::SourceTable;
use crate::stores::error::StoreError;
use crate::stores::history::DeadLetterRecord;
use crate::stores::kafka::settings::KafkaSettings;
use crate::stores::log::LogReader;
use std::sync::Arc;
use tokio::sync::oneshot;

/// What is read, and from where on.
#[derive(Clone)]
pub struct TopicPlan {
    /// The feed's name in health.
    pub name: String,
    /// How the brokers are reached.
    pub kafka: KafkaSettings,
    /// The topic.
    pub topic: String,
    /// The group of metrics.
    pub group: String,
    /// Where it is begun where the log holds no position of it.
    pub start: Start,
    /// Only these symbols, aliases included; `None` for all.
    pub wanted: Option<Vec<String>>,
    /// New symbols are refused when the process knows so many.
    pub symbols_max: usize,
    /// Most messages a second.
    pub rate_max: Option<u32>,
    /// The newest time in the log; `None` at a first start.
    pub ended: Option<Nanos>,
    /// Sources of the process.
    pub sources: Arc<SourceTable>,
    /// Holds the positions.
    pub kept: Arc<dyn LogReader>,
}

/// What the reading thread says.
pub(super) enum FromReader {
    /// It wants to know what the log holds under a key.
    Positions(String, oneshot::Sender<Result<Option<Vec<u8>>, StoreError>>),
    /// What it has read, and of which cluster.
    Stretch(String, Box<Stretch>),
}

/// A stretch of the topic.
pub(super) struct Stretch {
    /// What became entries, and marks.
    pub entries: Vec<Entry>,
    /// What could not be read.
    pub dead_letters: Vec<DeadLetterRecord>,
    /// How far the topic is read with it.
    pub positions: Positions,
    /// When the oldest of it was received; [`Nanos::MIN`] of what was read later than it happened.
    pub received: Nanos,
}
