//! What a topic has dropped before it was read: counted, and a gap of each of its sources.
//!
//! Promises: a source that is met later has the gaps too, so a window in which messages are missing never looks whole. Nothing
//! here fails.

use crate::metrics::{KafkaMetrics, VenueMetrics};
use crate::models::entry::{Body, Entry, Gap, SourceId};
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What was lost since the reading began.
pub(super) struct Losses {
    topic: String,
    kafka: Arc<KafkaMetrics>,
    venue: VenueMetrics,
    /// From when to when.
    spans: Vec<(Nanos, Nanos)>,
    /// Sources whose gaps are these.
    told: BTreeSet<SourceId>,
    num_messages: u64,
}

impl Losses {
    /// Makes it; nothing is lost yet.
    pub fn new(topic: String, kafka: Arc<KafkaMetrics>, venue: VenueMetrics) -> Losses {
        let (spans, told) = (Vec::new(), BTreeSet::new());
        Losses { topic, kafka, venue, spans, told, num_messages: 0 }
    }

    /// Counts messages that were dropped.
    pub fn count(&mut self, partition: i32, num_lost: u64) {
        tracing::error!(
            topic = self.topic,
            partition,
            num_lost,
            "the topic has dropped messages that were not read; their time is a gap"
        );
        self.num_messages += num_lost;
        self.kafka.missed(&self.topic, num_lost);
    }

    /// Returns how many messages were dropped, as far as that is known.
    pub fn num_messages(&self) -> u64 {
        self.num_messages
    }

    /// Notes that messages of a stretch of time are missing, and says so for these sources. Where nothing was read before, nobody
    /// knows when the stretch begins.
    pub fn add(
        &mut self,
        (from, to): (Nanos, Nanos),
        sources: impl Iterator<Item = SourceId>,
        entries: &mut Vec<Entry>,
    ) {
        self.venue.holes.inc();
        self.venue.given_up.inc();
        if from == Nanos::MIN || from >= to {
            return;
        }
        self.spans.push((from, to));
        for source in sources {
            self.told.insert(source);
            entries.push(gap(source, from, to));
        }
    }

    /// Says what is missing of a source that may be new.
    pub fn meet(&mut self, source: SourceId, entries: &mut Vec<Entry>) {
        if !self.spans.is_empty() && self.told.insert(source) {
            entries.extend(self.spans.iter().map(|&(from, to)| gap(source, from, to)));
        }
    }
}

fn gap(source: SourceId, from: Nanos, to: Nanos) -> Entry {
    Entry { pos: 0, symbol: SymbolId::NONE, body: Body::Gap(Gap { source, from, to, filled: false }) }
}
