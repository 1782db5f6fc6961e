//! PostgreSQL away, hanging, slow, refusing, and reset in the middle of what is written; not there at the start, and there
//! without its tables: the history catches up with every row.

use super::{Load, QUICK, RATE, WINDOWS, widths};
use crate::postgres::kill::{all_rows, write};
use crate::postgres::{block_on, migrate, migrated};
use crate::support::postgres::{SharedPostgres, execute};
use crate::support::process::{Program, wait_for};
use crate::support::proxy::{Mode, Proxy};
use crate::support::rows::{apply_log, assert_same_rows};
use std::path::Path;
use std::time::Duration;
use tickwire::models::settings::CoreSettings;
use url::Url;

const ARGS: [&str; 6] = ["--symbols", "AAPL,MSFT", "--rate", RATE, "--data-dir", "data"];

/// The place of the queue's length in [`environment`].
const QUEUE_ROWS: usize = 7;

/// A queue that a second or two fill, and quick tries.
fn environment(url: &str) -> [(&'static str, &str); 9] {
    [
        WINDOWS,
        ("DATABASE_URL", url),
        ("TICKWIRE__POSTGRES__TIMEOUT", "1s"),
        ("TICKWIRE__POSTGRES__STATEMENT_TIMEOUT", "1s"),
        ("TICKWIRE__POSTGRES__RETRY_MAX_DELAY", QUICK),
        ("TICKWIRE__POSTGRES__BREAKER_OPEN", QUICK),
        ("TICKWIRE__POSTGRES__BATCH__MAX_AGE", "20ms"),
        ("TICKWIRE__POSTGRES__QUEUE_ROWS", "2000"),
        ("TICKWIRE__PROVIDER__WARM_UP", "0s"),
    ]
}

/// A database behind a proxy.
struct Behind {
    database: SharedPostgres,
    proxy: Proxy,
    url: String,
}

impl Behind {
    fn new(database: SharedPostgres) -> Behind {
        let mut url = Url::parse(&database.url).unwrap();
        let proxy = Proxy::before(url.port().unwrap());
        url.set_port(Some(proxy.port())).unwrap();
        Behind { database, proxy, url: url.into() }
    }

    /// Waits until the database has everything that the log has now.
    fn catches_up(&self, load: &Load<'_>) {
        let acknowledged = || {
            let found = self.database.rows("SELECT pos FROM progress");
            found.first().map_or(0, |pos| pos.parse::<u64>().unwrap())
        };
        let position = load.metric("tickwire_log_position ");
        wait_for("the history to catch up", || (acknowledged() >= position).then_some(()));
        load.wait_for_health("healthy");
    }

    /// Has a last process, of a quiet market and with room for everything, bring what a stop has left to the next start: the
    /// one before may have been behind again. Then compares every row with those that follow from the log.
    fn ends_well(self, dir: &Path) {
        let mut environment = environment(&self.url);
        environment[QUEUE_ROWS].1 = "200000";
        let args = ["--symbols", "AAPL,MSFT", "--rate", "100", "--data-dir", "data"];
        let load = Load { program: Program::serve(dir, &args, &environment), backend: "history" };
        self.catches_up(&load);
        load.program.stop();
        let data = &dir.join("data");
        let core = CoreSettings { widths: widths(), ..CoreSettings::default() };
        let applied = apply_log(data, core, false);
        assert_eq!(applied.ledger.residue(), 0);
        assert!(applied.reports.len() > 4_000, "{}", applied.reports.len());
        let Some(expected) = migrated("expected") else { return };
        write(&expected, &applied);
        assert_same_rows(&all_rows(&expected.url), &all_rows(&self.database.url), "after every outage");
    }
}

fn message(load: &Load<'_>) -> String {
    let health = load.program.get("REST", "/health").unwrap().json();
    health["details"]["messages"]["history"].as_str().unwrap_or_default().to_owned()
}

fn wait_for_message(load: &Load<'_>, text: &str) {
    wait_for(text, || message(load).contains(text).then_some(()));
}

#[test]
fn whatever_postgresql_does_nothing_waits_and_the_history_catches_up_with_every_row() {
    let Some(database) = migrated("outage") else { return };
    let behind = Behind::new(database);
    let dir = tempfile::tempdir().unwrap();
    let environment = environment(&behind.url);
    let load = Load { program: Program::serve(dir.path(), &ARGS, &environment), backend: "history" };
    behind.catches_up(&load);
    let deferred = || load.metric("tickwire_sink_deferred_total{sink=\"history\"} ");
    let ways =
        [Mode::Close, Mode::Hang, Mode::Slow(Duration::from_secs(2)), Mode::Reset(20_000), Mode::Reset(0)];
    for mode in ways {
        let before = deferred();
        behind.proxy.set(mode);
        wait_for("its health", || (load.health() != "healthy").then_some(()));
        load.goes_on(2_000);
        wait_for("rows that are let go of", || (deferred() > before).then_some(()));
        load.goes_on(2_000);
        behind.proxy.set(Mode::Pass);
        behind.catches_up(&load);
    }
    assert!(behind.proxy.num_resets() > 0, "the proxy had no part in it");

    // It answers, and takes nothing.
    let name = behind.url.rsplit('/').next().unwrap();
    let refuse = |how: &str| {
        execute(&behind.database.server, &format!("ALTER DATABASE {name} {how}"));
        let end = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid()"
        );
        execute(&behind.database.server, &end);
    };
    refuse("SET default_transaction_read_only = on");
    wait_for_message(&load, "positions of the log behind");
    load.goes_on(2_000);
    refuse("RESET default_transaction_read_only");
    behind.catches_up(&load);
    load.program.stop();
    behind.ends_well(dir.path());
}

#[test]
fn a_postgresql_that_comes_late_and_without_tables_delays_nothing_but_itself() {
    let Some(database) = SharedPostgres::take("late") else { return };
    let behind = Behind::new(database);
    behind.proxy.set(Mode::Close);
    let dir = tempfile::tempdir().unwrap();
    let environment = environment(&behind.url);
    let load = Load { program: Program::serve(dir.path(), &ARGS, &environment), backend: "history" };
    load.wait_for_health("unhealthy");
    load.goes_on(2_000);
    // The log answers for it where it can; what only the history knows is not there now.
    assert_eq!(load.program.get("REST", "/api/v1/ticks/AAPL").unwrap().status, 200);
    let bars = load.program.get("REST", "/api/v1/aggregated/AAPL?window=1s").unwrap();
    assert_eq!((bars.status, bars.content_type.as_str()), (503, "application/problem+json"), "{}", bars.body);
    let stopped = load.program.stop();
    assert!(stopped.status.success(), "{}", stopped.stderr);

    // It is away at the next start too, then there, and nobody has made its tables.
    let load = Load { program: Program::serve(dir.path(), &ARGS, &environment), backend: "history" };
    load.goes_on(2_000);
    behind.proxy.set(Mode::Pass);
    wait_for_message(&load, "run `tickwire migrate`");
    load.goes_on(2_000);
    wait_for_message(&load, "run `tickwire migrate`");
    block_on(migrate(&behind.database.url)).unwrap();
    behind.catches_up(&load);
    load.program.stop();
    behind.ends_well(dir.path());
}

#[test]
fn a_server_whose_name_nobody_knows_delays_nothing_but_itself() {
    let dir = tempfile::tempdir().unwrap();
    let environment = environment("postgres://tickwire@no-such-server.invalid:5432/market");
    let load = Load { program: Program::serve(dir.path(), &ARGS, &environment), backend: "history" };
    load.wait_for_health("unhealthy");
    load.goes_on(2_000);
    let stopped = load.program.stop();
    assert!(stopped.status.success(), "{}", stopped.stderr);
}
