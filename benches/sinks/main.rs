//! How fast the stores take what this program writes: PostgreSQL, SQLite, InfluxDB, Redis and Kafka;
//! and how fast ticks are read from Kafka.
//!
//! `scripts/bench/sinks.py` starts the servers, runs this and writes the figures down, beside those of the peers. `cargo bench
//! --bench sinks -- --json` by itself needs their addresses in `TICKWIRE_TEST_POSTGRES`, `TICKWIRE_TEST_INFLUXDB` (with its token in
//! `TICKWIRE_TEST_INFLUXDB_TOKEN`), `TICKWIRE_TEST_REDIS` and `TICKWIRE_TEST_KAFKA`; one that is not named is left out. `-- kafka` measures
//! one of them alone. Prints an object a line.

mod influxdb;
mod kafka;
mod kafka_venue;
mod measure;
mod postgres;
mod redis;
mod rows;
mod sqlite;

use tickwire::config::Config;
use tickwire::models::symbol::SymbolSpec;
use tickwire::node::Node;

const NUM_SYMBOLS: u32 = 1_000;
/// Rows of a request to InfluxDB and Redis, as `influxdb.batch.max_events` has it.
const BATCH_ROWS: usize = 5_000;
const NUM_BATCHES: usize = 100;

fn main() {
    let names = ["sqlite", "postgres", "influxdb", "redis", "kafka"];
    let only: Vec<String> = std::env::args().filter(|word| names.contains(&word.as_str())).collect();
    let is_wanted = |name: &str| only.is_empty() || only.iter().any(|word| word == name);
    actix::System::new().block_on(async {
        let node = Node::in_memory(&Config::default(), usize::MAX).await.expect("a node in memory");
        for at in 0..NUM_SYMBOLS {
            node.symbols.intern(SymbolSpec::named(&format!("SIM{at:04}")));
        }
        node.sources.intern("simulated");
        if is_wanted("sqlite") {
            sqlite::measure(&node).await;
        }
        let given = |name: &str| std::env::var(name).ok();
        if let Some(url) = given("TICKWIRE_TEST_POSTGRES").filter(|_| is_wanted("postgres")) {
            postgres::measure(&node, &url).await;
        }
        let influxdb = given("TICKWIRE_TEST_INFLUXDB").zip(given("TICKWIRE_TEST_INFLUXDB_TOKEN"));
        if let Some((url, token)) = influxdb.filter(|_| is_wanted("influxdb")) {
            influxdb::measure(&node, &url, &token).await;
        }
        if let Some(url) = given("TICKWIRE_TEST_REDIS").filter(|_| is_wanted("redis")) {
            redis::measure(&node, &url).await;
        }
        if let Some(brokers) = given("TICKWIRE_TEST_KAFKA").filter(|_| is_wanted("kafka")) {
            kafka::measure(&node, &brokers).await;
            kafka_venue::measure(&brokers).await;
        }
    });
}
