//! A database that holds the former system's tables, rows and duplicates becomes ours.

use super::{Names, block_on};
use crate::support::postgres::SharedPostgres;
use crate::support::process::{Program, command, wait_for};
use tickwire::models::time::Width;
use tickwire::stores::history::{History, WindowQuery};

/// The tables as they were, of types that differ a little from ours, with what people put beside them.
const BEFORE: &str = "
CREATE TABLE tick_data (time timestamptz NOT NULL, symbol varchar(20) NOT NULL, price double precision NOT NULL,
    volume double precision, tick_type varchar(10), bid double precision, ask double precision, bid_size double precision,
    ask_size double precision, exchange varchar(10), metadata jsonb);
CREATE TABLE aggregated_data (id bigserial PRIMARY KEY, time timestamptz NOT NULL, symbol varchar(20), window_start timestamptz,
    window_end timestamptz, window_duration varchar(10), open double precision, high double precision, low double precision,
    close double precision, volume double precision, vwap double precision, trade_count integer);
CREATE TABLE technical_indicators (time timestamptz NOT NULL, symbol varchar(20), sma_20 double precision,
    sma_50 double precision, sma_200 double precision, ema_12 double precision, ema_26 double precision, rsi double precision,
    macd double precision, macd_signal double precision, macd_histogram double precision, bb_upper double precision,
    bb_middle double precision, bb_lower double precision);
CREATE INDEX ON tick_data (symbol, time DESC);
INSERT INTO tick_data (time, symbol, price, volume)
    SELECT t, 'AAPL', 100.25, 2 FROM generate_series(timestamptz '2026-11-01 00:00Z', timestamptz '2026-11-01 01:00Z', interval '1 min') AS t;
INSERT INTO aggregated_data (time, symbol, window_start, window_end, window_duration, open, high, low, close, volume, vwap, trade_count)
    SELECT t, symbol, t - interval '1 min', t, '1min', 1, 2, 0.5, 100.1, 10 * nth, 1.5, least(nth, 2)
    FROM generate_series(timestamptz '2026-11-01 00:00Z', timestamptz '2026-11-01 01:00Z', interval '1 min') AS t,
        unnest(ARRAY['AAPL', 'OLD']) AS symbol, generate_series(1, 3) AS nth;
INSERT INTO technical_indicators (time, symbol, sma_20, rsi)
    SELECT t, 'AAPL', 100, CASE nth WHEN 1 THEN 50 END
    FROM generate_series(timestamptz '2026-11-01 00:00Z', timestamptz '2026-11-01 01:00Z', interval '1 min') AS t, generate_series(1, 2) AS nth;
CREATE VIEW daily AS SELECT symbol, sum(volume) AS volume FROM aggregated_data GROUP BY symbol;
";

fn migrate(url: &str, args: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let mut migrate = command(&["migrate", "--data-dir", dir.path().join("data").to_str().unwrap()]);
    migrate.args(args).env("DATABASE_URL", url);
    let ended = Program::start(migrate).wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    ended.stdout
}

#[test]
fn tables_of_before_keep_their_rows_and_lose_those_that_are_there_twice() {
    let Some(database) = SharedPostgres::take("takeover") else { return };
    database.execute(BEFORE);
    let rows = "SELECT count(*) AS num FROM aggregated_data";
    let shown = migrate(&database.url, &["--dry-run"]);
    for step in [
        "to do: migration 0001",
        "to do: aggregated_data: 244 bars that are there twice go",
        "to do: technical_indicators: 61 indicators that are there twice go",
        "to do: aggregated_data: becomes partitions by day",
    ] {
        assert!(shown.contains(step), "{step}: {shown}");
    }
    assert_eq!(database.rows(rows), ["366"], "nothing was changed");
    let done = migrate(&database.url, &[]);
    assert!(done.contains("doing: migration 0001"), "{done}");
    assert!(migrate(&database.url, &["--dry-run"]).contains("as this version has them"));

    // What people ask of it.
    assert_eq!(database.rows(rows), ["122"]);
    let kept = "SELECT DISTINCT trade_count, volume FROM aggregated_data";
    assert_eq!(database.rows(kept), ["2|30"], "the higher count stays, then the higher volume");
    let old = "SELECT time, symbol, open, high, low, close, volume, vwap, trade_count FROM aggregated_data \
               WHERE symbol = 'AAPL' AND window_duration = '1min' AND time > timestamptz '2026-11-01 00:58Z' ORDER BY time";
    assert_eq!(
        database.rows(old),
        [
            "2026-11-01T00:59:00+00:00|AAPL|1|2|0.5|100.1|30|1.5|2",
            "2026-11-01T01:00:00+00:00|AAPL|1|2|0.5|100.1|30|1.5|2"
        ]
    );
    assert_eq!(
        database.rows("SELECT DISTINCT rsi FROM technical_indicators"),
        ["50"],
        "the one that knows more"
    );
    assert_eq!(
        database.rows("SELECT count(*) AS num, sum(price * volume) AS sum FROM tick_data"),
        ["61|12230.5"]
    );
    database.execute("INSERT INTO aggregated_data (time, symbol, window_duration, volume) VALUES (now(), 'NEW', '1min', 7)");
    assert_eq!(database.rows("SELECT * FROM daily ORDER BY symbol"), ["AAPL|1830", "NEW|7", "OLD|1830"]);

    block_on(async {
        let names = Names::default();
        let history = names.open(&database.url, 7).await.unwrap();
        let symbol = names.symbols.get("OLD").unwrap();
        let query = WindowQuery {
            symbol,
            width: Width::parse("1min").unwrap(),
            start: tickwire::models::time::Nanos(0),
            end: tickwire::models::time::Nanos::MAX,
            limit: 1_000,
        };
        let bars = history.bars(&query).await.unwrap();
        assert_eq!(bars.len(), 61);
        assert_eq!(
            (bars[0].close.0, bars[0].volume, bars[0].trade_count),
            (100_100_000_000, 3_000_000_000, 2)
        );
    });
}

#[test]
fn a_program_that_runs_over_it_shows_the_rows_of_before() {
    let Some(database) = SharedPostgres::take("shows") else { return };
    database.execute(BEFORE);
    migrate(&database.url, &[]);
    let dir = tempfile::tempdir().unwrap();
    let environment = [("DATABASE_URL", database.url.as_str()), ("TICKWIRE__PROVIDER__WARM_UP", "0s")];
    let program = Program::serve(dir.path(), &["--symbols", "AAPL", "--rate", "50"], &environment);
    let path =
        "/api/v1/aggregated/OLD?window=1min&start_time=2026-11-01T00:00:00Z&end_time=2026-11-01T00:10:00Z";
    let bars = program.get("REST", path).unwrap().json();
    assert_eq!(bars.as_array().unwrap().len(), 10, "{bars}");
    assert_eq!((bars[0]["close"].as_f64(), bars[0]["state"].as_str()), (Some(100.1), Some("closed")));
    wait_for("ticks", || (database.rows("SELECT count(seq) AS num FROM tick_data") != ["0"]).then_some(()));
    program.stop();
    let new = database.rows("SELECT count(*) > 0 AS some, count(DISTINCT seq) = count(*) AS once FROM tick_data WHERE seq IS NOT NULL");
    assert_eq!(new, ["true|true"]);
}
