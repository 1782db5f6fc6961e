//! The program on a fake venue, and what it must come to.

use super::dialects;
use super::fake::market::{self, MarketTrade};
use super::fake::{Dialect, FakeVenue};
use crate::support::process::{Program, command, replay_command, run_args, wait_for};
use crate::support::rows::block_on;
use crate::support::shared;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tickwire::config::Config;
use tickwire::models::bar::Bar;
use tickwire::models::digest::Digest;
use tickwire::models::time::Width;
use tickwire::names::{SourceTable, SymbolTable};
use tickwire::stores::history::History;
use tickwire::stores::history::sqlite::SqliteHistory;
use tickwire::stores::log::sqlite::SqliteLog;

/// Windows that a market of some minutes fills.
pub const WINDOWS: (&str, &str) = ("TICKWIRE__CORE__WINDOWS", "1min,5min,15min");

/// Settings under which a market may trade a whole day in a moment: what comes over REST must find its windows open. What is
/// compared with a replay of the trades has no bars of the time before them, and windows that end before the market does.
pub const OPEN_WINDOWS: [(&str, &str); 4] = [
    WINDOWS,
    ("TICKWIRE__CORE__HORIZON", "48h"),
    ("TICKWIRE__CORE__GAP_HOLD", "48h"),
    ("TICKWIRE__PROVIDER__WARM_UP", "0s"),
];

/// Returns the market of a dialect: made up, some twelve minutes for 1,500 trades.
pub fn made_market(dialect: &dyn Dialect, num_trades: usize) -> Vec<MarketTrade> {
    market::formed(market::made(dialect.symbols(), num_trades), dialect.form())
}

/// Returns a recorded market in the form of a dialect, if the shared data is there.
pub fn recorded_market(dialect: &dyn Dialect) -> Option<Vec<MarketTrade>> {
    let recording = dialect.recording();
    let symbols: BTreeMap<&str, &str> = recording.symbols.iter().copied().collect();
    // Files number the rows of several symbols or leave numbers out; venues number each symbol's trades.
    let mut ids: BTreeMap<&str, u64> = BTreeMap::new();
    let trade = |row: Vec<String>| {
        let symbol = *symbols.get(row[1].as_str())?;
        let id = ids.entry(symbol).or_insert(1_000);
        *id += 1;
        Some(MarketTrade {
            symbol: symbol.to_owned(),
            id: *id,
            ts: shared::nanos(&row[0]).0,
            price: row[2].clone(),
            size: row[3].clone(),
        })
    };
    let trades = shared::open(recording.file)?.filter_map(trade).collect();
    Some(market::formed(trades, dialect.form()))
}

/// Returns what the plain replay of trades comes to.
pub fn replayed(dir: &Path, trades: &[MarketTrade]) -> Held {
    let mut text = "ts_ns,symbol,price,size,trade_id\n".to_owned();
    for MarketTrade { symbol, id, ts, price, size } in trades {
        writeln!(text, "{ts},{symbol},{price},{size},{id}").unwrap();
    }
    let (file, data) = (dir.join("trades.csv"), dir.join("replayed"));
    std::fs::write(&file, text).unwrap();
    let mut run = replay_command(&[file.to_str().unwrap(), "--data-dir", data.to_str().unwrap()]);
    run.envs([WINDOWS]);
    let summary = Program::start(run).wait().summary();
    assert_eq!(summary["ledger"]["in_bars"], trades.len());
    let held = held(&data);
    assert_eq!(summary["digest"], held.digest.as_str());
    held
}

/// What a data directory holds in the end.
#[derive(Default)]
pub struct Held {
    pub digest: String,
    /// By symbol, window and start.
    pub bars: BTreeMap<(String, Width, i64), Bar>,
}

/// Reads a data directory.
pub fn held(dir: &Path) -> Held {
    block_on(async {
        let (symbols, sources) = (Arc::<SymbolTable>::default(), Arc::<SourceTable>::default());
        let settings = Config::default().sqlite_settings();
        let log =
            SqliteLog::open(dir, Arc::clone(&symbols), Arc::clone(&sources), settings.clone()).await.unwrap();
        let history =
            SqliteHistory::open(dir, Arc::clone(&symbols), sources, settings, log.epoch()).await.unwrap();
        let (mut digest, mut after, mut held) = (Digest::new(), None, Held::default());
        loop {
            let page = history.scan(after, 10_000).await.unwrap();
            let Some((last, _)) = page.last() else { break };
            after = Some((last.symbol, last.width, last.start));
            for (bar, point) in page {
                let spec = symbols.spec(bar.symbol);
                digest.add(&spec.name, &spec, &bar, &point.values);
                held.bars.insert((spec.name.clone(), bar.width, bar.start.0), bar);
            }
        }
        Held { digest: digest.finish(), ..held }
    })
}

/// The program on a fake venue.
pub struct Live {
    pub program: Program,
    venue: &'static str,
    data: PathBuf,
}

impl Live {
    /// Starts it.
    pub fn start(dir: &Path, venue: &FakeVenue, symbols: &str, environment: &[(&str, &str)]) -> Live {
        let data = dir.join("data");
        let name = venue.dialect().name();
        let mut run = command(&run_args(&data, &["--provider", name, "--symbols", symbols]));
        run.envs(OPEN_WINDOWS).envs(venue.environment()).envs(environment.iter().copied());
        Live { program: Program::start(run), venue: name, data }
    }

    /// Returns a counter of the venue.
    pub fn metric(&self, name: &str) -> u64 {
        self.program.metric(&format!("tickwire_venue_{name}{{venue=\"{}\"}}", self.venue))
    }

    /// Returns how many frames could not be read, by the word for it.
    pub fn num_faults(&self, kind: &str) -> u64 {
        let labels = format!("{{kind=\"{kind}\",venue=\"{}\"}}", self.venue);
        self.program.metric(&format!("tickwire_venue_faults_total{labels}"))
    }

    /// Returns how many reports had an outcome.
    pub fn ledger(&self, outcome: &str) -> u64 {
        let labels = format!("{{fate=\"{outcome}\",source=\"{}\"}}", self.venue);
        self.program.metric(&format!("tickwire_ledger_reports{labels}"))
    }

    /// Returns how many reports nobody can account for.
    pub fn residue(&self) -> u64 {
        self.program.metric(&format!("tickwire_ledger_residue{{source=\"{}\"}}", self.venue))
    }

    /// Waits until every trade counts and no gap is open.
    pub fn wait_until_whole(&self, num_trades: usize) {
        self.program.line_with(" ready");
        wait_for("trades that all count", || {
            let is_whole = self.ledger("in_bars") == num_trades as u64 && self.metric("gaps_open") == 0;
            is_whole.then_some(())
        });
    }

    /// Closes every bar where the venue tells the time, stops the program, and returns the digest.
    pub fn finish(self, venue: &FakeVenue) -> String {
        venue.finish();
        let [symbol, _] = venue.dialect().symbols();
        let path = format!(
            "/api/v1/aggregated/{symbol}?window=15min&limit=1&include_forming=true&start_time=2000-01-01"
        );
        wait_for("bars that are closed", || {
            let bars = self.program.get("REST", &path)?.json();
            (bars[0]["state"] != "forming").then_some(())
        });
        assert_eq!(self.residue(), 0);
        self.program.stop();
        held(&self.data).digest
    }
}

#[test]
fn every_dialect_speaks_of_a_venue_once() {
    let mut names: Vec<&str> = dialects::ALL.iter().map(|dialect| dialect.name()).collect();
    assert!(names.is_sorted());
    names.dedup();
    assert_eq!(names.len(), dialects::ALL.len());
}
