//! How PostgreSQL answers: the plans that the server makes for the program's own statements, as its `auto_explain` writes
//! them down. A read of one day touches the partitions of that day, by an index, however many days there are.

use super::*;
use crate::support::postgres::{PostgresServer, execute};
use crate::support::process::wait_for;
use std::collections::BTreeSet;
use tickwire::stores::history::signals::{AnomalyQuery, SignalHistory, SignalPage};

/// Days with rows.
const DAYS: i64 = 40;

/// The tables that are read, whose partitions' names begin with theirs.
const TABLES: [&str; 5] = ["aggregated_data", "void_bars", "technical_indicators", "tick_data", "anomalies"];

/// Fills a day after another with bars, indicators and ticks of ten symbols, and some anomalies.
const FILL: &str = "
    SELECT tickwire_partitions(ARRAY(SELECT (now() - n * interval '1 day')::date FROM generate_series(0, 41) AS n));
    INSERT INTO symbols SELECT 'S' || n, 9, 8, 'unknown' FROM generate_series(0, 9) AS n;
    INSERT INTO aggregated_data (time, symbol, window_start, window_end, window_duration, open, high, low, close, volume,
        trade_count, state, log_pos)
    SELECT time, 'S' || n, time - interval '1 minute', time, '1min', 10, 11, 9, 10.5, 3, 4, 'closed', 1
    FROM generate_series(date_trunc('minute', now()) - interval '39 days', now(), interval '4 minutes') AS time,
        generate_series(0, 9) AS n;
    INSERT INTO technical_indicators (time, symbol, window_duration, close, sma_20, log_pos)
    SELECT time, symbol, window_duration, close, 10, 1 FROM aggregated_data;
    INSERT INTO tick_data (time, symbol, price, volume, tick_type, ts_ns, log_pos)
    SELECT time, symbol, close, 1, 'trade', extract(epoch FROM time)::bigint * 1000000000, row_number() OVER (ORDER BY time)
    FROM aggregated_data;
    INSERT INTO anomalies (time, symbol, anomaly_type, severity, id, state)
    SELECT time, symbol, 'price_spike', 'low', symbol || time, 'active' FROM aggregated_data WHERE random() < 0.1;
    ANALYZE;
";

/// One statement in the server's log: its text, and the plan that it was answered by.
fn plans(log: &str) -> Vec<String> {
    log.split("Query Text: ")
        .skip(1)
        .map(|plan| plan.split(" LOG:").next().unwrap_or(plan).to_owned())
        .collect()
}

/// Returns the tables that a plan scans; panics where it reads one from its beginning to its end, unless it is empty, as those
/// of coming days are.
fn scanned(plan: &str) -> BTreeSet<String> {
    for line in plan.lines().filter(|line| line.contains("Seq Scan")) {
        assert!(line.contains(" rows=0 loops=1)") || line.contains("(never executed)"), "{plan}");
    }
    let scans = plan.lines().filter(|line| line.contains(" Scan ") && !line.contains("Bitmap Index Scan"));
    let table =
        |line: &str| line.rsplit(" on ").next().and_then(|rest| rest.split(' ').next()).map(str::to_owned);
    let is_table = |name: &String| TABLES.iter().any(|table| name.starts_with(table));
    scans.filter_map(table).filter(is_table).collect()
}

#[test]
fn a_read_touches_the_days_that_it_is_about_by_an_index() {
    let Some(server) = PostgresServer::start("plans") else { return };
    execute(&server.url("postgres"), "CREATE DATABASE plans");
    run(async {
        let names = Names::some();
        names.postgres(&server.url("plans")).await.expect("opens").close().await.expect("closes");
        execute(&server.url("plans"), FILL);
        execute(
            &server.url("postgres"),
            "ALTER DATABASE plans SET session_preload_libraries = 'auto_explain'; \
             ALTER DATABASE plans SET auto_explain.log_min_duration = 0; \
             ALTER DATABASE plans SET auto_explain.log_analyze = on",
        );
        let settings = PostgresSettings::of_url(&server.url("plans"));
        let (symbols, sources) = (Arc::clone(&names.symbols), Arc::clone(&names.sources));
        let history = PostgresHistory::open(&settings, symbols, sources, EPOCH).await.expect("opens");
        let symbol = names.symbols.get("S3").expect("is known from the table");
        let now = wall_clock();
        let noon = |days_ago: i64| Nanos((now.0.div_euclid(DAY) - days_ago) * DAY + DAY / 2);
        let window = |start, end, limit| WindowQuery {
            symbol,
            width: Width::parse("1min").expect("a width"),
            start,
            end,
            limit,
        };
        // The first read without an end learns where the rows are.
        history.bars(&window(Nanos::MIN, Nanos::MAX, 1)).await.expect("reads");
        let mut read = server.log().len();
        let mut check = |what: &str, tables: &[&str], partitions_max: usize| {
            let log = wait_for("the plan in the log", || {
                let log = server.log();
                tables.iter().all(|table| log[read..].contains(table)).then_some(log)
            });
            let found: BTreeSet<String> = plans(&log[read..]).iter().flat_map(|plan| scanned(plan)).collect();
            assert!(!found.is_empty() && found.len() <= partitions_max, "{what}: {found:?}");
            read = log.len();
        };
        for days_ago in [1, 17, 36] {
            let (from, until) = (noon(days_ago).plus(-HOUR), noon(days_ago).plus(HOUR));
            assert!(!history.bars(&window(from, until, 500)).await.expect("reads").is_empty());
            check("bars of two hours", &["aggregated_data"], 1);
            assert!(!history.indicators(&window(from, until, 500)).await.expect("reads").is_empty());
            check("indicators of two hours", &["technical_indicators"], 1);
            let ticks = TickQuery { symbol, start: from, end: until, before: None, limit: 100 };
            let ticks = history.ticks(&ticks).await.expect("reads").expect("keeps them");
            assert!(!ticks.is_empty());
            check("ticks of two hours", &["tick_data"], 1);
            // Without a beginning it could be any day before.
            assert_eq!(history.bars(&window(Nanos::MIN, until, 100)).await.expect("reads").len(), 100);
            check("a hundred bars before a time", &["aggregated_data"], 3);
            let ticks = TickQuery { symbol, start: Nanos::MIN, end: until, before: None, limit: 100 };
            assert_eq!(history.ticks(&ticks).await.expect("reads").expect("keeps them").len(), 100);
            check("a hundred ticks before a time", &["tick_data"], 3);
        }
        // The newest of all: today, what was yesterday, and the days to come with the default partition.
        assert_eq!(history.bars(&window(Nanos::MIN, Nanos::MAX, 100)).await.expect("reads").len(), 100);
        check("the newest bars", &["aggregated_data"], 12);
        assert_eq!(
            history.revisions(symbol, window(now, now, 1).width, 100).await.expect("reads").len(),
            100
        );
        check("the newest revisions", &["aggregated_data", "void_bars"], 13);
        let query = AnomalyQuery {
            symbol: Some("S3".to_owned()),
            anomaly_type: None,
            severity: None,
            page: SignalPage::newest(10),
        };
        assert_eq!(history.anomalies(&query).await.expect("reads").len(), 10);
        check("the newest anomalies", &["anomalies"], 1);
        const { assert!(DAYS > 36, "the days that were read are there") };
        history.close().await.expect("closes");
    });
}
