//! The feed that is read from a topic of Kafka.
//!
//! Promises: the files that the configuration names for Kafka are read before anything is opened; brokers that do not answer hold
//! nobody up.

use super::kafka;
use super::running::{FeedKind, RunningFeed};
use crate::actors::ingest::kafka::{TopicPlan, start};
use crate::actors::pipeline::Pipeline;
use crate::config::{Config, FeedSpec};
use crate::models::time::Nanos;
use crate::node::Node;
use crate::stores::kafka::settings::KafkaSettings;
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;

/// A feed of a topic before it is started.
pub struct TopicFeed {
    spec: FeedSpec,
    kafka: KafkaSettings,
    topic: String,
}

impl TopicFeed {
    /// Reads what it needs to reach the brokers.
    ///
    /// # Errors
    /// When a file that the configuration names cannot be read.
    pub fn make(config: &Config, spec: FeedSpec) -> anyhow::Result<TopicFeed> {
        let topic = config.topic_read().unwrap_or_default().to_owned();
        Ok(TopicFeed { kafka: kafka::settings(&config.kafka)?, topic, spec })
    }

    /// Returns the name of the feed.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Returns the topic that is read.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Starts it on a thread of its own. `ended` is the newest time in the log.
    #[must_use]
    pub fn start(
        self,
        config: &Config,
        node: &Node,
        pipeline: &Pipeline,
        ended: Option<Nanos>,
    ) -> RunningFeed {
        let TopicFeed { spec, kafka, topic } = self;
        let section = &config.venues.kafka;
        let plan = TopicPlan {
            name: spec.name.clone(),
            kafka,
            topic,
            group: section.group.clone(),
            start: section.start,
            wanted: Some(spec.symbols).filter(|symbols| !symbols.is_empty()),
            symbols_max: config.core.max_symbols.get(),
            rate_max: config.provider.max_messages_per_second.map(NonZeroU32::get),
            ended,
            sources: Arc::clone(&node.sources),
            kept: Arc::clone(&node.log) as _,
        };
        RunningFeed {
            name: spec.name,
            names: BTreeSet::new(),
            handle: start(plan, pipeline.log().clone(), node.env.clone(), Arc::clone(&node.health)),
            kind: FeedKind::Topic,
        }
    }
}
