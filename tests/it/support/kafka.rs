//! A real Kafka broker for tests: the one that `make test` has started, or one of a test's own, to be stopped and brought
//! back; and what tests do with topics by a client of their own.

use super::process::wait_for;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::metadata::MetadataTopic;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// Longest wait for an answer of a broker.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// Where a broker is, and names that are a test's own.
#[derive(Clone)]
pub struct Kafka {
    /// Its address: `host:port`.
    pub servers: String,
    /// What the names of the test's topics begin with.
    pub prefix: String,
    /// Where no broker was given: one of the test's own, as long as it lasts.
    _own: Option<Arc<KafkaServer>>,
}

/// A message as it stands in a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    pub key: String,
    pub value: String,
}

impl Kafka {
    /// Takes the broker that `make test` has started, else one of its own. Where there is none to start it says so, and with
    /// `CI=true` it fails.
    pub fn take(test: &str) -> Option<Kafka> {
        if let Ok(servers) = std::env::var("TICKWIRE_TEST_KAFKA") {
            return Some(Kafka { servers, prefix: prefix(test), _own: None });
        }
        let own = Arc::new(KafkaServer::start(test)?);
        Some(Kafka { _own: Some(Arc::clone(&own)), ..own.client(test) })
    }

    /// Returns the same broker as it is reached by another port of this machine.
    pub fn at(&self, port: u16) -> Kafka {
        Kafka { servers: format!("127.0.0.1:{port}"), ..self.clone() }
    }

    /// Returns the name of a topic of this test.
    pub fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Returns the environment that has a run write to topics of this test alone.
    pub fn topics(&self) -> [(&'static str, String); 6] {
        [
            ("KAFKA_TICK_TOPIC", "tick_data"),
            ("KAFKA_AGGREGATED_TOPIC", "aggregated_data"),
            ("TICKWIRE__KAFKA__TOPICS__INDICATORS", "technical_indicators"),
            ("TICKWIRE__KAFKA__TOPICS__ANOMALIES", "anomalies"),
            ("TICKWIRE__KAFKA__TOPICS__PREDICTIONS", "predictions"),
            ("TICKWIRE__KAFKA__TOPICS__DLQ", "tick_data_dlq"),
        ]
        .map(|(variable, name)| (variable, self.topic(name)))
    }

    /// Returns properties of a client of the test's own.
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.servers);
        config
    }

    /// Makes a topic.
    pub fn create(&self, topic: &str, partitions: i32, settings: &[(&str, &str)]) {
        create(&self.client(), topic, partitions, settings);
    }

    /// Returns a producer that is told to put keys where Java clients put them, unless `settings` say otherwise.
    pub fn producer(&self, settings: &[(&str, &str)]) -> ThreadedProducer<DefaultProducerContext> {
        let mut config = self.client();
        config.set("partitioner", "murmur2_random").set("queue.buffering.max.messages", "2000000");
        for (name, value) in settings {
            config.set(*name, *value);
        }
        config.create().unwrap()
    }

    /// Writes messages, each with its key, and waits until the broker has them.
    pub fn produce<'a>(&self, topic: &str, messages: impl IntoIterator<Item = (&'a str, &'a [u8])>) {
        let producer = self.producer(&[]);
        for (key, value) in messages {
            producer.send(BaseRecord::to(topic).key(key).payload(value)).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(ANSWER_MAX).unwrap();
    }

    /// Returns every message that a topic holds now, partition by partition.
    pub fn consume(&self, topic: &str) -> Vec<Record> {
        consume(&self.client(), topic)
    }

    /// Returns the number of messages that a topic holds; 0 where it is not there.
    pub fn num_messages(&self, topic: &str) -> u64 {
        self.counter(topic)()
    }

    /// Returns what tells the number of messages that a topic holds, as often as it is asked; 0 where it is not there.
    pub fn counter(&self, topic: &str) -> impl Fn() -> u64 + use<> {
        let (consumer, topic): (BaseConsumer, _) = (self.client().create().unwrap(), topic.to_owned());
        move || watermarks(&consumer, &topic).iter().map(|(_, low, high)| (high - low) as u64).sum()
    }
}

/// Returns a prefix of topics that nobody else has.
fn prefix(test: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{test}-{}-{}-", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Makes a topic with a client's properties.
pub fn create(client: &ClientConfig, topic: &str, partitions: i32, settings: &[(&str, &str)]) {
    let admin: AdminClient<DefaultClientContext> = client.create().unwrap();
    let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(-1));
    for (name, value) in settings {
        new = new.set(name, value);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let options = AdminOptions::new().operation_timeout(Some(ANSWER_MAX));
    let made = runtime.block_on(admin.create_topics([&new], &options)).unwrap();
    assert_eq!(made, [Ok(topic.to_owned())]);
    wait_for("leaders of a new topic", || {
        let metadata = admin.inner().fetch_metadata(Some(topic), ANSWER_MAX).ok()?;
        let found = metadata.topics().first()?;
        let is_led = found.partitions().iter().all(|partition| partition.leader() >= 0);
        (found.partitions().len() == partitions as usize && is_led).then_some(())
    });
}

/// Returns the first offset and the one after the last of each partition.
fn watermarks(consumer: &BaseConsumer, topic: &str) -> Vec<(i32, i64, i64)> {
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER_MAX).unwrap();
    let partitions = metadata.topics().first().map(MetadataTopic::partitions).unwrap_or_default();
    let of = |partition: i32| {
        // Right after its creation a partition may not know its leader.
        wait_for("watermarks", || consumer.fetch_watermarks(topic, partition, ANSWER_MAX).ok())
    };
    partitions
        .iter()
        .map(|partition| {
            let (low, high) = of(partition.id());
            (partition.id(), low, high)
        })
        .collect()
}

/// Returns every message that a topic holds now, partition by partition, with a client's properties.
pub fn consume(client: &ClientConfig, topic: &str) -> Vec<Record> {
    let mut config = client.clone();
    config.set("group.id", "reader-of-the-tests").set("enable.auto.commit", "false");
    config.set("enable.partition.eof", "false");
    let consumer: BaseConsumer = config.create().unwrap();
    let (mut places, mut left) = (TopicPartitionList::new(), BTreeMap::new());
    for (partition, low, high) in watermarks(&consumer, topic).into_iter().filter(|(_, low, high)| low < high)
    {
        places.add_partition_offset(topic, partition, Offset::Offset(low)).unwrap();
        left.insert(partition, high);
    }
    // All at once: one after the other, each would wait until the broker has nothing more to tell of the one before.
    consumer.assign(&places).unwrap();
    let mut records = Vec::new();
    while !left.is_empty() {
        let message = consumer.poll(ANSWER_MAX).expect("a message").unwrap();
        let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        let (partition, offset) = (message.partition(), message.offset());
        // What came after the watermarks were asked for is left to the next reader.
        let Some(&high) = left.get(&partition) else { continue };
        if offset + 1 >= high {
            left.remove(&partition);
        }
        if offset < high {
            records.push(Record {
                topic: topic.to_owned(),
                partition,
                offset,
                timestamp: message.timestamp().to_millis().unwrap_or_default(),
                key: text(message.key()),
                value: text(message.payload()),
            });
        }
    }
    records.sort_by_key(|record| (record.partition, record.offset));
    records
}

/// A broker of a test's own.
pub struct KafkaServer {
    child: Child,
    port: u16,
    dir: TempDir,
}

/// Ports of a broker that is about to start.
#[derive(Clone, Copy)]
pub struct Ports {
    pub broker: u16,
    pub controller: u16,
}

impl KafkaServer {
    /// Starts a broker without topics on a free port.
    pub fn start(test: &str) -> Option<KafkaServer> {
        KafkaServer::start_with(test, &[], |_| String::new())
    }

    /// Starts one with further arguments for the tool that formats its folder, and with properties that follow from its
    /// ports: where it is known to clients, what its listeners ask of them.
    pub fn start_with(
        test: &str,
        format_arguments: &[&str],
        properties: impl Fn(Ports) -> String,
    ) -> Option<KafkaServer> {
        if !is_here(test) {
            return None;
        }
        // Between the choice of a port and its use somebody else may take it.
        (0..20).find_map(|_| {
            let ports = Ports { broker: free_port(), controller: free_port() };
            let dir = tempfile::tempdir().unwrap();
            let further = dir.path().join("further.properties");
            std::fs::write(&further, properties(ports)).unwrap();
            let child = spawn(dir.path(), ports, &further, format_arguments);
            up(child, ports.broker, dir)
        })
    }

    /// Starts three brokers that know each other; what is written needs two of them.
    pub fn start_three(test: &str) -> Option<[KafkaServer; 3]> {
        if !is_here(test) {
            return None;
        }
        (0..20).find_map(|_| {
            let ports: [Ports; 3] =
                std::array::from_fn(|_| Ports { broker: free_port(), controller: free_port() });
            let voters = ports.iter().zip(1..).map(|(ports, id)| format!("{id}@127.0.0.1:{}", ports.controller));
            let voters = voters.collect::<Vec<_>>().join(",");
            // None is up before two of them are.
            let children = ports.iter().zip(1..).map(|(ports, id)| {
                let dir = tempfile::tempdir().unwrap();
                let further = dir.path().join("further.properties");
                let text = format!(
                    "node.id={id}\ncontroller.quorum.voters={voters}\nbroker.session.timeout.ms=6000\n\
                     default.replication.factor=3\nmin.insync.replicas=2\noffsets.topic.replication.factor=3\n"
                );
                std::fs::write(&further, text).unwrap();
                (spawn(dir.path(), *ports, &further, &[]), ports.broker, dir)
            });
            let children: Vec<(Child, u16, TempDir)> = children.collect();
            let servers: Vec<Option<KafkaServer>> =
                children.into_iter().map(|(child, port, dir)| up(child, port, dir)).collect();
            servers.into_iter().collect::<Option<Vec<KafkaServer>>>()?.try_into().ok()
        })
    }

    /// Returns the broker as tests use it.
    pub fn client(&self, test: &str) -> Kafka {
        Kafka { servers: format!("127.0.0.1:{}", self.port), prefix: prefix(test), _own: None }
    }

    /// Returns the folder of its partitions.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Returns what its log says.
    pub fn log(&self) -> String {
        log(self.dir.path())
    }

    /// Ends it as `kill -9` does. Returns what it takes to bring it back.
    pub fn kill(mut self) -> StoppedKafka {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap());
        StoppedKafka { port: self.port, dir }
    }
}

impl Drop for KafkaServer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A broker that was killed.
pub struct StoppedKafka {
    port: u16,
    dir: TempDir,
}

impl StoppedKafka {
    /// Starts it again where it was, with what it holds.
    pub fn start(self) -> KafkaServer {
        let ports = Ports { broker: self.port, controller: self.port };
        std::fs::rename(self.dir.path().join("server.log"), self.dir.path().join("server.log.before"))
            .unwrap();
        let child = spawn(self.dir.path(), ports, Path::new("-"), &[]);
        up(child, self.port, self.dir).expect("its own port is free")
    }
}

/// True where there is a broker to start. Where there is none it says so, and with `CI=true` it fails.
fn is_here(test: &str) -> bool {
    let found = is_there();
    if let Err(reason) = &found {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "Kafka is missing: {reason}");
        eprintln!("{test}: skipped: {reason}");
    }
    found.is_ok()
}

/// Says why there is no broker to start.
fn is_there() -> Result<(), String> {
    let found = Command::new(script()).arg("--cached").output().map_err(|error| error.to_string())?;
    let reason = || {
        let said = String::from_utf8_lossy(&found.stderr).trim().to_owned();
        if said.is_empty() { "Kafka has not been fetched: scripts/kafka.sh does".to_owned() } else { said }
    };
    if found.status.success() { Ok(()) } else { Err(reason()) }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/kafka.sh")
}

fn spawn(dir: &Path, ports: Ports, further: &Path, format_arguments: &[&str]) -> Child {
    let mut command = Command::new(script());
    command.arg("run").arg(dir).args([ports.broker.to_string(), ports.controller.to_string()]);
    command.arg(further).args(format_arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
    command.spawn().unwrap()
}

/// Waits until a broker serves; gives nothing where it has ended.
fn up(child: Child, port: u16, dir: TempDir) -> Option<KafkaServer> {
    let mut server = KafkaServer { child, port, dir };
    let is_up = wait_for("start of Kafka, or its end", || {
        if server.child.try_wait().unwrap().is_some() {
            return Some(false);
        }
        server.log().contains("Kafka Server started").then_some(true)
    });
    if !is_up {
        let last: Vec<String> = server.log().lines().rev().take(5).map(str::to_owned).collect();
        eprintln!("Kafka has ended: {last:#?}");
    }
    is_up.then_some(server)
}

fn log(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("server.log")).unwrap_or_default()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
