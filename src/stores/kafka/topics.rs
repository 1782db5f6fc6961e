//! The topics: they are made where they are missing, and compared where they are there.
//!
//! Promises: a topic that is there is never changed. What differs from the configuration is told with topic, setting, what
//! is found and what is wanted. On failure: a [`KafkaFault`] that names the topic.

use super::client::Contact;
use super::fault::KafkaFault;
use super::settings::KafkaSettings;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// What a topic is to be like.
#[derive(Clone, Debug)]
pub struct TopicSettings {
    /// Whether one that is missing is made.
    pub create: bool,
    /// Its partitions.
    pub partitions: u32,
    /// Copies of each; -1 takes what the brokers are set to.
    pub replication: i32,
    /// Copies that must be there for a message to be taken.
    pub min_insync_replicas: u32,
    /// How its batches are compressed: `none` or a name.
    pub compression: String,
    /// How long it keeps messages.
    pub retention: Duration,
}

/// Where a topic differs from what is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The topic.
    pub topic: String,
    /// Which setting.
    pub setting: &'static str,
    /// What it is.
    pub found: String,
    /// What the configuration wants.
    pub wanted: String,
    /// The key of the configuration.
    pub key: &'static str,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { topic, setting, found, wanted, key } = self;
        write!(f, "topic `{topic}` has `{setting}` {found}, and `{key}` wants {wanted}")
    }
}

/// What came of [`prepare`].
#[derive(Debug, Default)]
pub struct Prepared {
    /// Topics that were made.
    pub made: Vec<String>,
    /// How the others differ.
    pub differences: Vec<Difference>,
}

/// Makes the topics that are missing and compares the others. `there` are those of the cluster, with their partitions.
///
/// # Errors
/// When no broker answers, a topic cannot be made, or one is missing that is not to be made.
pub async fn prepare(
    settings: &KafkaSettings,
    wanted: &TopicSettings,
    names: &[String],
    there: &BTreeMap<String, usize>,
) -> Result<Prepared, KafkaFault> {
    let contact = Contact::without_statistics("topics");
    let setup = settings.client("topics", &[]);
    let admin: AdminClient<Contact> =
        setup.config.create_with_context(contact).map_err(|error| KafkaFault::of(&error))?;
    let timeout = settings.timeout;
    let missing: Vec<&String> = names.iter().filter(|name| !there.contains_key(name.as_str())).collect();
    let options = AdminOptions::new().request_timeout(Some(timeout)).operation_timeout(Some(timeout));
    if !missing.is_empty() {
        make(&admin, wanted, &missing, &options).await?;
    }
    let present: Vec<(&str, usize)> =
        names.iter().filter_map(|name| Some((name.as_str(), *there.get(name)?))).collect();
    let differences = compare(&admin, wanted, &present, &options).await?;
    Ok(Prepared { made: missing.into_iter().cloned().collect(), differences })
}

async fn make(
    admin: &AdminClient<Contact>,
    wanted: &TopicSettings,
    missing: &[&String],
    options: &AdminOptions,
) -> Result<(), KafkaFault> {
    if !wanted.create {
        let names: Vec<&str> = missing.iter().map(|name| name.as_str()).collect();
        return Err(KafkaFault::permanent(format!(
            "there is no topic {}, and `kafka.create_topics` is false",
            names.join(", ")
        )));
    }
    let (retention, min_insync) = (retention_ms(wanted), wanted.min_insync_replicas.to_string());
    let partitions = i32::try_from(wanted.partitions).unwrap_or(i32::MAX);
    let mut new = Vec::with_capacity(missing.len());
    for name in missing {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(wanted.replication));
        let topic = topic.set("compression.type", compression_type(&wanted.compression));
        new.push(topic.set("retention.ms", &retention).set("min.insync.replicas", &min_insync));
    }
    let made = admin.create_topics(&new, options).await.map_err(|error| KafkaFault::of(&error))?;
    for result in made {
        match result {
            Ok(_) | Err((_, rdkafka::types::RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => {
                let fault = KafkaFault::explain(code, "");
                return Err(KafkaFault { text: format!("topic `{topic}` cannot be made: {fault}"), ..fault });
            }
        }
    }
    Ok(())
}

async fn compare(
    admin: &AdminClient<Contact>,
    wanted: &TopicSettings,
    present: &[(&str, usize)],
    options: &AdminOptions,
) -> Result<Vec<Difference>, KafkaFault> {
    let mut differences = Vec::new();
    let mut differs = |topic: &str, setting, found: &str, wanted: &str, key| {
        let (topic, found, wanted) = (topic.to_owned(), found.to_owned(), wanted.to_owned());
        differences.push(Difference { topic, setting, found, wanted, key });
    };
    for (topic, partitions) in present {
        if *partitions != wanted.partitions as usize {
            differs(
                topic,
                "partitions",
                &partitions.to_string(),
                &wanted.partitions.to_string(),
                "kafka.partitions",
            );
        }
    }
    let resources: Vec<ResourceSpecifier<'_>> =
        present.iter().map(|(topic, _)| ResourceSpecifier::Topic(topic)).collect();
    if resources.is_empty() {
        return Ok(differences);
    }
    let described =
        admin.describe_configs(&resources, options).await.map_err(|error| KafkaFault::of(&error))?;
    for ((topic, _), resource) in present.iter().zip(described) {
        // Who may write to a topic need not be allowed to look at its settings.
        let Ok(resource) = resource else { continue };
        let value = |name: &str| resource.get(name).and_then(|entry| entry.value.clone()).unwrap_or_default();
        let (found, expected) = (value("retention.ms"), retention_ms(wanted));
        if found != expected {
            differs(topic, "retention.ms", &found, &expected, "kafka.retention");
        }
        let (found, expected) = (value("compression.type"), compression_type(&wanted.compression));
        // `producer` keeps batches as they come.
        if found != expected && found != "producer" {
            differs(topic, "compression.type", &found, expected, "kafka.compression");
        }
    }
    Ok(differences)
}

fn retention_ms(wanted: &TopicSettings) -> String {
    wanted.retention.as_millis().to_string()
}

/// Returns what a topic calls a compression.
fn compression_type(name: &str) -> &str {
    if name == "none" { "uncompressed" } else { name }
}
