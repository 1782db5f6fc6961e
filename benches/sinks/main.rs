//! How fast the stores take what this program writes: PostgreSQL, SQLite, InfluxDB and Redis.
//!
//! `scripts/bench/sinks.py` starts the servers, runs this and writes the figures down, beside those of the peers. `cargo bench
//! --bench sinks -- --json` by itself needs their addresses in TICKWIRE_TEST_POSTGRES, TICKWIRE_TEST_INFLUXDB (with its token in
//! TICKWIRE_TEST_INFLUXDB_TOKEN) and TICKWIRE_TEST_REDIS; one that is not named is left out. Prints an object a line.

mod influxdb;
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
    actix::System::new().block_on(async {
        let node = Node::in_memory(&Config::default(), usize::MAX).await.expect("a node in memory");
        for at in 0..NUM_SYMBOLS {
            node.symbols.intern(SymbolSpec::named(&format!("SIM{at:04}")));
        }
        node.sources.intern("simulated");
        sqlite::measure(&node).await;
        let given = |name: &str| std::env::var(name).ok();
        if let Some(url) = given("TICKWIRE_TEST_POSTGRES") {
            postgres::measure(&node, &url).await;
        }
        if let Some((url, token)) = given("TICKWIRE_TEST_INFLUXDB").zip(given("TICKWIRE_TEST_INFLUXDB_TOKEN"))
        {
            influxdb::measure(&node, &url, &token).await;
        }
        if let Some(url) = given("TICKWIRE_TEST_REDIS") {
            redis::measure(&node, &url).await;
        }
    });
}
