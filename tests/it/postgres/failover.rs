//! A standby that is promoted under load is found, and nothing is lost or there twice.

use super::{block_on, migrate};
use crate::support::postgres::{PostgresServer, execute, rows};
use crate::support::process::{Program, command, run_args, wait_for};
use crate::support::rows::apply_log;
use tickwire::models::settings::CoreSettings;
use tickwire::models::time::{SECOND, Width};

/// Returns what `tick_data` has: symbol, `seq` and place in the log.
fn ticks(url: &str) -> Vec<String> {
    rows(url, "SELECT symbol, coalesce(seq, 0) AS seq, log_pos FROM tick_data ORDER BY log_pos")
}

#[test]
fn a_standby_that_is_promoted_under_load_is_found() {
    let Some(mut primary) = PostgresServer::start("promoted") else { return };
    let standby = primary.standby("promoted");
    // What is acknowledged is on both.
    let admin = primary.url("postgres");
    execute(&admin, "ALTER SYSTEM SET synchronous_standby_names = '*'");
    execute(&admin, "SELECT pg_reload_conf()");
    wait_for("a standby that is waited for", || {
        let state = rows(&admin, "SELECT sync_state FROM pg_stat_replication");
        (state == ["sync"]).then_some(())
    });
    block_on(migrate(&admin)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let port =
        |server: &PostgresServer| server.url("").split(':').nth(2).unwrap().trim_end_matches('/').to_owned();
    let url = format!(
        "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres?target_session_attrs=read-write",
        port(&standby),
        port(&primary)
    );
    let mut run = command(&run_args(dir.path(), &["--rate", "2000", "--symbol-count", "10"]));
    run.env("DATABASE_URL", &url)
        .env("TICKWIRE__PROVIDER__WARM_UP", "0s")
        .env("TICKWIRE__CORE__WINDOWS", "1s")
        .env("TICKWIRE__POSTGRES__RETRY_MAX_DELAY", "200ms");
    let program = Program::start(run);
    program.line_with(" ready");
    let batches = |url: &str| -> u64 {
        rows(url, "SELECT batch FROM progress").first().map_or(0, |batch| batch.parse().unwrap())
    };
    wait_for("some batches", || (batches(&admin) > 5).then_some(()));
    primary.kill();
    program.line_with("failed to write the history");
    standby.promote();
    let new = standby.url("postgres");
    let before = batches(&new);
    wait_for("batches on the other server", || (batches(&new) > before + 5).then_some(()));
    program.line_with("history can be written again");
    let health = program.get("REST", "/health").unwrap().json();
    assert_eq!(health["components"]["history"].as_str(), Some("healthy"), "{health}");
    program.stop();
    let core = CoreSettings { widths: vec![Width::new(SECOND).unwrap()], ..CoreSettings::default() };
    let applied = apply_log(dir.path(), core, false);
    let name = |id| applied.symbols.spec(id).name.clone();
    let expected: Vec<String> = applied
        .reports
        .iter()
        .map(|report| {
            format!("{}|{}|{}", name(report.entry.symbol), report.seq.unwrap_or(0), report.entry.pos)
        })
        .collect();
    assert!(expected.len() > 100, "{}", expected.len());
    assert!(ticks(&new) == expected, "{} rows for {}", ticks(&new).len(), expected.len());
}

#[test]
fn a_server_that_lost_what_it_had_acknowledged_is_told() {
    let Some(mut primary) = PostgresServer::start("lost") else { return };
    let admin = primary.url("postgres");
    block_on(migrate(&admin)).unwrap();
    let standby = primary.standby("lost");
    // The standby hears nothing any more, and nobody waits for it.
    execute(&standby.url("postgres"), "ALTER SYSTEM SET primary_conninfo = ''");
    execute(&standby.url("postgres"), "SELECT pg_reload_conf()");
    wait_for("an end of the replication", || {
        rows(&admin, "SELECT pid FROM pg_stat_replication").is_empty().then_some(())
    });
    let dir = tempfile::tempdir().unwrap();
    let hosts: Vec<String> =
        [&admin, &standby.url("postgres")].map(|url| url.split(['@', '/']).nth(3).unwrap().to_owned()).into();
    let url = format!("postgres://postgres@{}/postgres", hosts.join(","));
    let program = |rate| {
        let mut run = command(&run_args(dir.path(), &["--rate", rate, "--symbol-count", "4"]));
        run.env("DATABASE_URL", &url)
            .env("TICKWIRE__PROVIDER__WARM_UP", "0s")
            .env("TICKWIRE__CORE__WINDOWS", "1s")
            .env("TICKWIRE__POSTGRES__RETRY_MAX_DELAY", "200ms");
        let program = Program::start(run);
        program.line_with(" ready");
        program
    };
    let running = program("500");
    wait_for("ticks", || (ticks(&admin).len() > 50).then_some(()));
    primary.kill();
    standby.promote();
    let line = running.line_with("has lost what it had acknowledged");
    assert!(line.contains("start again"), "{line}");
    running.kill();
    let again = program("500");
    wait_for("a history that has caught up", || {
        let health = again.get("REST", "/health").unwrap().json();
        (health["components"]["history"].as_str() == Some("healthy")).then_some(())
    });
    again.stop();
    let core = CoreSettings { widths: vec![Width::new(SECOND).unwrap()], ..CoreSettings::default() };
    let applied = apply_log(dir.path(), core, false);
    let new = standby.url("postgres");
    assert_eq!(ticks(&new).len(), applied.reports.len(), "the start has brought what was lost");
}
