//! Panics on purpose, in every kind of actor of the data path: nothing is lost, and nobody else notices. Those of the
//! hub, which cost its clients frames, are in `websocket/panics.rs`.

use crate::support::process::wait_for;
use crate::support::rows::{assert_same_rows, damage_checkpoints, history_rows, log_entries, rows_by_log};
use crate::support::scenario::bad_day;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tickwire::actors::faults::FaultPlan;
use tickwire::actors::guard::ActorKind;
use tickwire::actors::ingest::simulated::{
    InjectedFaults, MarketSettings, SimulatedFeed, SimulatedSymbol, initial_price, start, symbol_names,
};
use tickwire::actors::messages::Ingest;
use tickwire::actors::pipeline::Pipeline;
use tickwire::config::{Config, Sources};
use tickwire::metrics::Metrics;
use tickwire::models::entry::{Body, Entry, Position};
use tickwire::models::ledger::Ledger;
use tickwire::models::settings::CoreSettings;
use tickwire::models::symbol::{SymbolId, SymbolSpec};
use tickwire::models::time::Nanos;
use tickwire::node::{Node, pipeline_settings};

pub const NUM_SYMBOLS: u32 = 6;
/// Entries in one message.
pub const BATCH: usize = 300;

/// Actors whose next message can be made to panic; the symbols' actors panic on entries.
const KINDS: [ActorKind; 6] = [
    ActorKind::Log,
    ActorKind::LogWriter,
    ActorKind::Router,
    ActorKind::FanOut,
    ActorKind::History,
    ActorKind::Recovery,
];

/// A configuration with two shards and a checkpoint of each slice every few milliseconds.
pub fn config(dir: &Path, environment: &[(&str, &str)]) -> Config {
    let mut all = vec![
        ("TICKWIRE__DATA_DIR", dir.to_str().unwrap()),
        ("TICKWIRE__CORE__SHARDS", "2"),
        // Nothing here notes what the directory was begun with.
        ("TICKWIRE__CORE__WINDOWS", "1min,5min,15min,1h,1d"),
        ("TICKWIRE__RECOVERY__MAX_AGE", "320ms"),
        ("TICKWIRE__RECOVERY__MAX_ENTRIES", "500"),
    ];
    all.extend(environment);
    let environment = all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config::load(&Sources { environment, ..Sources::default() }).unwrap()
}

/// What came of a run.
pub struct Played {
    pub ledger: Ledger,
    pub metrics: Arc<Metrics>,
    /// Everything that the history gives out.
    scanned: String,
}

impl Played {
    pub fn restarts(&self, kind: ActorKind) -> u64 {
        restarts(&self.metrics, kind)
    }
}

/// Reads `tickwire_actor_restarts_total` of a kind.
fn restarts(metrics: &Metrics, kind: ActorKind) -> u64 {
    let name = format!("tickwire_actor_restarts_total{{actor=\"{}\"}} ", kind.as_str());
    let text = metrics.encode();
    text.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |count| count.parse().unwrap())
}

/// Feeds a pipeline a day, letting `disturb` plan faults before each message, and finishes it.
pub fn play(
    config: &Config,
    is_kept: bool,
    day: &[Entry],
    disturb: impl FnMut(usize, &FaultPlan, &Metrics),
) -> Played {
    play_drained(config, is_kept, day, None, disturb)
}

/// The same, where everything before one of the messages is applied before faults are planned for it.
pub fn play_drained(
    config: &Config,
    is_kept: bool,
    day: &[Entry],
    drained_at: Option<usize>,
    mut disturb: impl FnMut(usize, &FaultPlan, &Metrics),
) -> Played {
    actix::System::new().block_on(async {
        let node = if is_kept { Node::open(config).await } else { Node::in_memory(config, usize::MAX).await };
        let mut node = node.unwrap();
        let storage = node.storage(true);
        let env = node.env.clone();
        let pipeline = Pipeline::start(env.clone(), pipeline_settings(config), storage, node.health.clone())
            .await
            .unwrap();
        let source = node.sources.intern("venue");
        // A log that is opened again gives symbols the numbers they had.
        let names = symbol_names(NUM_SYMBOLS as usize);
        let ids: Vec<SymbolId> =
            names.iter().map(|name| node.symbols.intern(SymbolSpec::named(name))).collect();
        for (at, part) in day.chunks(BATCH).enumerate() {
            if drained_at == Some(at) {
                pipeline.drain().await.unwrap();
            }
            disturb(at, &env.faults, &env.metrics);
            let mut entries = part.to_vec();
            for entry in &mut entries {
                assert_eq!(entry.body.source(), source);
                if let Some(id) = ids.get(entry.symbol.index()) {
                    entry.symbol = *id;
                }
            }
            let ingest = Ingest { entries, dead_letters: Vec::new(), progress: None, received: (env.now)() };
            pipeline.log().send(ingest).await.unwrap();
        }
        let ledger = pipeline.finish().await.unwrap();
        pipeline.end();
        let scanned = format!("{:?}", node.history.scan(None, usize::MAX >> 1).await.unwrap());
        Played { ledger, metrics: Arc::clone(&env.metrics), scanned }
    })
}

pub fn undisturbed(_: usize, _: &FaultPlan, _: &Metrics) {}

/// Plans three panics of each kind, at random messages, and panics of symbols at every 97th entry.
fn disturb_all(seed: u64, num_entries: usize) -> (Vec<(usize, ActorKind)>, Vec<Position>) {
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let num_messages = num_entries.div_ceil(BATCH);
    let mut plan = Vec::new();
    for kind in KINDS {
        plan.extend((0..3).map(|_| (random.random_range(0..num_messages), kind)));
    }
    let first = random.random_range(1..97);
    (plan, (first..num_entries as Position).step_by(97).collect())
}

fn disturbed(
    plan: &[(usize, ActorKind)],
    at_entries: &[Position],
) -> impl FnMut(usize, &FaultPlan, &Metrics) {
    move |at, faults, _| {
        if at == 0 {
            at_entries.iter().for_each(|pos| faults.at_entry(*pos, 1));
        }
        for (_, kind) in plan.iter().filter(|(message, _)| *message == at) {
            faults.at_actor(*kind, 1);
        }
    }
}

#[test]
fn a_panic_of_any_actor_loses_nothing() {
    let day = bad_day(NUM_SYMBOLS, 4.0, 12_000, 11);
    let (calm_dir, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let calm = play(&config(calm_dir.path(), &[]), true, &day, undisturbed);
    let expected = history_rows(calm_dir.path());
    let (plan, at_entries) = disturb_all(12, day.len());
    let rough = play(&config(dir.path(), &[]), true, &day, disturbed(&plan, &at_entries));
    assert_eq!(rough.ledger, calm.ledger);
    assert_eq!((calm.ledger.residue(), rough.ledger.residue()), (0, 0));
    assert_same_rows(&expected, &history_rows(dir.path()), "after panics");
    let entries = log_entries(dir.path());
    assert_eq!(entries.len(), day.len());
    assert!(entries.iter().map(|entry| entry.pos).eq(1..=day.len() as Position), "positions have holes");
    assert_same_rows(&rows_by_log(calm_dir.path(), CoreSettings::default(), true).0, &expected, "by the log");
    for kind in KINDS {
        assert_eq!((calm.restarts(kind), rough.restarts(kind)), (0, 3), "{kind:?}");
    }
    let num_own = at_entries.iter().filter(|pos| !day[**pos as usize - 1].body.is_broadcast()).count() as u64;
    assert!(rough.restarts(ActorKind::Symbol) >= num_own, "{}", rough.restarts(ActorKind::Symbol));
}

#[test]
fn a_panic_of_any_actor_loses_nothing_in_memory() {
    let day = bad_day(NUM_SYMBOLS, 4.0, 8_000, 21);
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), &[]);
    let calm = play(&config, false, &day, undisturbed);
    let (plan, at_entries) = disturb_all(22, day.len());
    let rough = play(&config, false, &day, disturbed(&plan, &at_entries));
    assert_eq!((calm.ledger.residue(), rough.ledger), (0, calm.ledger));
    assert!(calm.scanned.len() > 10_000 && calm.scanned == rough.scanned, "the histories differ");
    for kind in KINDS.into_iter().filter(|kind| *kind != ActorKind::Recovery) {
        assert_eq!(rough.restarts(kind), 3, "{kind:?}");
    }
}

#[test]
fn a_panic_at_the_end_of_the_input_loses_nothing_and_one_that_comes_always_hangs_nothing() {
    let day = bad_day(NUM_SYMBOLS, 4.0, 4_000, 61);
    let last = day.len().div_ceil(BATCH) - 1;
    for is_kept in [true, false] {
        let (calm_dir, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let calm = play(&config(calm_dir.path(), &[]), is_kept, &day, undisturbed);
        let panicking = |dir: &Path, times| {
            // Symbols panic on entries before; only their end takes this.
            let plan = |at, faults: &FaultPlan, _: &Metrics| {
                if at == last {
                    faults.at_actor(ActorKind::Symbol, times);
                }
            };
            play(&config(dir, &[]), is_kept, &day, plan)
        };
        let rough = panicking(dir.path(), 2);
        assert_eq!((rough.restarts(ActorKind::Symbol), rough.ledger), (2, calm.ledger));
        assert!(calm.scanned.len() > 10_000 && calm.scanned == rough.scanned, "the histories differ");
        if is_kept {
            assert_same_rows(&history_rows(calm_dir.path()), &history_rows(dir.path()), "after panics");
        }
        let other = tempfile::tempdir().unwrap();
        let hopeless = panicking(other.path(), u32::MAX);
        assert!(hopeless.restarts(ActorKind::Symbol) >= u64::from(NUM_SYMBOLS));
        assert_eq!(hopeless.ledger.received, calm.ledger.received, "what came is still known");
    }
}

/// Damages the checkpoints in the store of a pipeline that runs.
fn damage_while_running(dir: &Path, only_newest: bool) -> usize {
    let dir = dir.to_owned();
    let damaged = std::thread::spawn(move || damage_checkpoints(&dir, only_newest).0);
    damaged.join().unwrap()
}

#[test]
fn a_panic_on_damaged_checkpoints_loses_nothing() {
    let day = bad_day(NUM_SYMBOLS, 4.0, 12_000, 51);
    let calm_dir = tempfile::tempdir().unwrap();
    let calm = play(&config(calm_dir.path(), &[]), true, &day, undisturbed);
    let expected = history_rows(calm_dir.path());
    for only_newest in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let mut num_damaged = 0;
        let rough = play(&config(dir.path(), &[]), true, &day, |at, faults, _| {
            if at % 8 == 7 {
                // A busy machine may not have saved any yet.
                let damaged = || Some(damage_while_running(dir.path(), only_newest)).filter(|num| *num > 0);
                num_damaged += wait_for("checkpoints to damage", damaged);
                let first = (at * BATCH) as Position + 1;
                (first..first + 16).for_each(|pos| faults.at_entry(pos, 1));
            }
        });
        assert!(
            num_damaged > 0 && rough.restarts(ActorKind::Symbol) > 30,
            "{num_damaged} checkpoints damaged"
        );
        assert_eq!(rough.ledger, calm.ledger);
        assert_same_rows(&expected, &history_rows(dir.path()), "after panics on damaged checkpoints");
        assert!(!rough.metrics.encode().contains("tickwire_poison_entries_total 1"));
    }
}

#[test]
fn an_entry_that_panics_twice_is_set_aside_for_good() {
    let day = bad_day(NUM_SYMBOLS, 4.0, 6_000, 31);
    let (first, second) = day.split_at(day.len() / 2);
    let dir = tempfile::tempdir().unwrap();
    let is_trade = |entry: &&Entry| matches!(entry.body, Body::Trade(trade) if trade.price.0 > 0);
    let at = first.iter().skip(1_000).position(|entry| is_trade(&entry)).unwrap() + 1_000;
    let poison = at as Position + 1;
    let config = config(dir.path(), &[]);
    let played = play(&config, true, first, |at, faults, _| {
        if at == 0 {
            faults.at_entry(poison, 2);
        }
    });
    assert_eq!((played.restarts(ActorKind::Symbol), played.ledger.residue()), (2, 0));
    assert!(played.metrics.encode().contains("tickwire_poison_entries_total 1"));
    let rows = history_rows(dir.path());
    assert_same_rows(&rows_by_log(dir.path(), CoreSettings::default(), true).0, &rows, "all but the poison");
    let letters: Vec<_> = rows.iter().filter(|row| row.starts_with("dead_letters|'poison'")).collect();
    assert!(matches!(letters[..], [letter] if letter.contains(&format!("|{poison}|"))), "{letters:?}");

    // Without checkpoints the whole log is read again, the poison with it.
    crate::support::rows::execute(dir.path(), "log.db", "DELETE FROM checkpoints");
    crate::support::rows::execute(dir.path(), "log.db", "DELETE FROM checkpoint_sets");
    let again = play(&config, true, second, |_, faults, _| faults.at_entry(poison, u32::MAX));
    assert_eq!((again.restarts(ActorKind::Symbol), again.ledger.residue()), (0, 0));
    let (expected, ledger) = rows_by_log(dir.path(), CoreSettings::default(), true);
    assert_same_rows(&expected, &history_rows(dir.path()), "after a restart");
    assert_eq!(again.ledger, ledger);
}

#[test]
fn a_venue_that_panics_tells_the_gap_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), &[]);
    actix::System::new().block_on(async {
        let mut node = Node::open(&config).await.unwrap();
        let storage = node.storage(true);
        let env = node.env.clone();
        let settings = pipeline_settings(&config);
        let pipeline = Pipeline::start(env.clone(), settings, storage, node.health.clone()).await.unwrap();
        let source = node.sources.intern("simulated");
        let symbols = symbol_names(3).into_iter().map(|name| SimulatedSymbol {
            id: node.symbols.intern(SymbolSpec::named(&name)),
            initial_price: initial_price(&name),
        });
        let now: Nanos = (env.now)();
        let market = MarketSettings {
            rate_per_second: 2_000.0,
            ..MarketSettings::new(symbols.collect(), source, now)
        };
        let faults = InjectedFaults::default();
        let (_, changes) = tokio::sync::mpsc::channel(1);
        let feed = SimulatedFeed { market, past: None, faults, down_since: None, rate_max: None, changes };
        let provider = start(feed, pipeline.log().clone(), env.clone(), Arc::clone(&node.health));
        let metrics = Arc::clone(&env.metrics);
        let num_ticks = || node.log.tail();
        for num_panics in 1..=3 {
            let before = num_ticks().await.unwrap().last;
            env.faults.at_actor(ActorKind::Provider, 1);
            let begun = Instant::now();
            while restarts(&metrics, ActorKind::Provider) < num_panics
                || num_ticks().await.unwrap().last < before + 100
            {
                assert!(begun.elapsed() < Duration::from_secs(30), "the venue does not go on");
                tokio::task::yield_now().await;
            }
        }
        provider.stop().await;
        pipeline.stop().await.unwrap();
    });
    let entries = log_entries(dir.path());
    assert!(entries.iter().map(|entry| entry.pos).eq(1..=entries.len() as Position), "positions have holes");
    let num_gaps = entries.iter().filter(|entry| matches!(entry.body, Body::Gap(_))).count();
    assert_eq!(num_gaps, 3);
    let (_, ledger) = rows_by_log(dir.path(), CoreSettings::default(), false);
    assert_eq!(ledger.residue(), 0);
    wait_for("the lock of the directory", || std::fs::File::open(dir.path().join("lock")).ok());
}
