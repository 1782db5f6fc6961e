//! The client as the program sets it up, and the broker of the tests.

use crate::support::kafka::{Kafka, Record};
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::collections::BTreeMap;
use std::time::Duration;
use tickwire::stores::kafka::client::Contact;
use tickwire::stores::kafka::settings::KafkaSettings;

fn settings(servers: &str) -> KafkaSettings {
    KafkaSettings {
        bootstrap_servers: servers.to_owned(),
        tls: None,
        sasl: None,
        properties: BTreeMap::new(),
        timeout: Duration::from_secs(10),
    }
}

#[test]
fn what_is_produced_is_consumed() {
    let Some(kafka) = Kafka::take("what_is_produced_is_consumed") else { return };
    let topic = kafka.topic("ticks");
    kafka.create(&topic, 3, &[("compression.type", "snappy")]);
    kafka.produce(&topic, (0..100).map(|number| (["A", "B", "C"][number % 3], &b"{\"v\":1}"[..])));
    let records = kafka.consume(&topic);
    assert_eq!(records.len(), 100);
    assert_eq!(kafka.num_messages(&topic), 100);
    let partitions: BTreeMap<&str, Vec<&Record>> =
        records.iter().fold(BTreeMap::new(), |mut map: BTreeMap<_, Vec<_>>, record| {
            map.entry(record.key.as_str()).or_default().push(record);
            map
        });
    assert_eq!(partitions.len(), 3);
    for (key, records) in partitions {
        assert!(records.iter().all(|record| record.partition == records[0].partition), "{key}");
    }

    let setup = settings(&kafka.servers).client("test", &[]);
    assert_eq!(setup.overridden, []);
    let contact = Contact::without_statistics("test");
    let consumer: BaseConsumer<Contact> = setup.config.create_with_context(contact).unwrap();
    let metadata = consumer.fetch_metadata(Some(&topic), Duration::from_secs(10)).unwrap();
    assert_eq!(metadata.topics()[0].partitions().len(), 3);
    assert_eq!(consumer.context().fault(), None);
}

#[test]
fn a_broker_that_is_not_there_is_one_fault_that_names_it() {
    let setup = settings("127.0.0.1:1").client("test", &[]);
    let consumer: BaseConsumer<Contact> =
        setup.config.create_with_context(Contact::without_statistics("test")).unwrap();
    let fault = crate::support::process::wait_for("a fault", || {
        assert!(consumer.poll(Duration::from_millis(50)).is_none_or(|polled| polled.is_err()));
        consumer.context().fault()
    });
    assert!(fault.is_transient && fault.text.contains("127.0.0.1:1"), "{fault}");
}
