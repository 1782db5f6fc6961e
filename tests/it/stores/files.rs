//! The files of the stores as others see them: refused where they are foreign, readable by name where they are ours.

use super::history::{bar_at, batch, point_of};
use super::*;

#[test]
fn a_foreign_or_damaged_file_is_refused_and_left_alone() {
    run(async {
        let names = Names::some();
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(
            dir.path().join("log.db"),
            "not a database, but long enough to be read as one".repeat(99),
        )
        .expect("writes");
        let refused = names.log(dir.path(), SqliteSettings::default()).await.err().expect("refused");
        assert!(!refused.is_transient() && refused.to_string().contains("log.db"), "{refused}");

        let path = dir.path().join("history.db");
        let url = format!("sqlite://{}?mode=rwc", path.display());
        let mut conn = SqliteConnection::connect(&url).await.expect("connects");
        sqlx::query("CREATE TABLE theirs (x)").execute(&mut conn).await.expect("creates");
        conn.close().await.expect("closes");
        let before = std::fs::read(&path).expect("reads");
        let refused = names.history(dir.path()).await.err().expect("refused");
        assert!(!refused.is_transient() && refused.to_string().contains("history.db"), "{refused}");
        assert_eq!(std::fs::read(&path).expect("reads"), before);
    });
}

#[test]
fn people_read_the_relations_they_know() {
    run(async {
        let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
        let log = names.log(dir.path(), small_parts(3)).await.expect("opens");
        let quote = Quote {
            ts: Nanos(BEGIN + 1_500_000),
            received: Nanos::MIN,
            bid: Price(1_500_000_000),
            ask: Price(1_750_000_000),
            bid_size: Size(50_000_000),
            ask_size: Size(25_000_000),
            source: SourceId(1),
        };
        let text_id = |pos, text: &str| {
            let mut entry = trade_at(pos, 2, BEGIN);
            if let Body::Trade(trade) = &mut entry.body {
                trade.id = TradeId::from_text(text.as_bytes());
            }
            entry
        };
        let entries = vec![
            trade_at(1, 1, BEGIN),
            Entry { pos: 2, symbol: SymbolId(2), body: Body::Quote(quote) },
            Entry {
                pos: 3,
                symbol: SymbolId::NONE,
                body: Body::ClockMark { source: SourceId::ANY, time: Nanos(BEGIN) },
            },
        ];
        log.append(&LogGroup { entries, progress: None }).await.expect("appends");
        let entries = vec![text_id(4, "A-7"), text_id(5, "a text that is longer than fifteen bytes")];
        log.append(&LogGroup { entries, progress: None }).await.expect("appends");
        let history = names.history(dir.path()).await.expect("opens");
        let bar = bar_at(1, 5, 3, BarState::Amended, 10);
        let void = bar_at(1, 5, 4, BarState::Void, 11);
        let effects = vec![Effect::Bar(bar), Effect::Indicators(point_of(&bar)), Effect::Bar(void)];
        history.write(&batch(effects)).await.expect("writes");

        let connect = |file: &str| {
            let url = format!("sqlite://{}?mode=ro", dir.path().join(file).display());
            async move { SqliteConnection::connect(&url).await.expect("connects") }
        };
        let (mut log_db, mut history_db) = (connect("log.db").await, connect("history.db").await);
        let ticks = sqlx::query("SELECT * FROM tick_data ORDER BY log_pos").fetch_all(&mut log_db).await;
        let ticks = ticks.expect("reads");
        assert_eq!(
            columns(&ticks[0]),
            "time symbol price volume tick_type bid ask bid_size ask_size exchange metadata trade_id provider \
             conditions received_at ts_ns log_pos"
        );
        assert_eq!(ticks.len(), 4, "the clock mark is none of them");
        let text = |at: usize, column: &str| ticks[at].get::<Option<String>, _>(column);
        let real = |at: usize, column: &str| ticks[at].get::<Option<f64>, _>(column);
        assert_eq!(text(0, "time").as_deref(), Some("2026-05-28T20:26:40.000000Z"));
        assert_eq!(text(0, "received_at").as_deref(), Some("2026-05-28T20:26:40.005000Z"));
        assert_eq!(text(0, "symbol").as_deref(), Some("AAPL"));
        assert_eq!((real(0, "price"), real(0, "volume"), real(0, "bid")), (Some(150.25), Some(3.0), None));
        assert_eq!(text(0, "tick_type").as_deref(), Some("trade"));
        assert_eq!(
            (text(0, "trade_id").as_deref(), text(0, "conditions").as_deref()),
            (Some("1"), Some("hcv"))
        );
        assert_eq!(ticks[0].get::<i64, _>("ts_ns"), BEGIN);
        assert_eq!((real(1, "price"), real(1, "bid"), real(1, "ask")), (None, Some(1.5), Some(1.75)));
        assert_eq!((real(1, "bid_size"), real(1, "ask_size")), (Some(0.5), Some(0.25)));
        assert_eq!((text(1, "received_at"), text(1, "trade_id")), (None, None));
        assert_eq!(text(1, "provider").as_deref(), Some("file"));
        assert_eq!(text(2, "trade_id").as_deref(), Some("A-7"));
        let hashed = text(3, "trade_id").expect("a trade has an id");
        assert!(hashed.starts_with('#') && hashed.len() == 33, "a hash: {hashed}");

        let bars =
            sqlx::query("SELECT * FROM aggregated_data").fetch_all(&mut history_db).await.expect("reads");
        assert_eq!(
            columns(&bars[0]),
            "time symbol window_start window_end window_duration open high low close volume vwap trade_count \
             state revision coverage log_pos"
        );
        assert_eq!(bars.len(), 1, "void bars are left out");
        assert_eq!(bars[0].get::<String, _>("window_start"), "1970-01-01T00:15:00.000000Z");
        assert_eq!(bars[0].get::<String, _>("time"), "1970-01-01T00:20:00.000000Z");
        assert_eq!(bars[0].get::<String, _>("window_duration"), "5min");
        assert_eq!((bars[0].get::<f64, _>("open"), bars[0].get::<f64, _>("vwap")), (10.5, 10.3));
        assert!(bars[0].get::<f64, _>("volume") > 1e30);
        let points = sqlx::query("SELECT * FROM technical_indicators").fetch_all(&mut history_db).await;
        let points = points.expect("reads");
        assert_eq!(
            columns(&points[0]),
            "time symbol sma_20 sma_50 sma_200 ema_12 ema_26 rsi macd macd_signal macd_histogram bb_upper \
             bb_middle bb_lower window_duration vwap log_pos"
        );
        assert_eq!(points.len(), 1);
        assert_eq!(points[0].get::<Option<f64>, _>("sma_50"), None);
    });
}

#[test]
fn a_time_of_a_symbol_is_read_without_the_rest_of_the_log() {
    let manual = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("reads");
    let (_, query) =
        manual.split_once("```sql\nSELECT * FROM tick_data\n").expect("the manual has the query");
    let query = format!("SELECT * FROM tick_data\n{}", query.split("```").next().expect("it ends"));
    run(async {
        let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
        let log = names.log(dir.path(), small_parts(64)).await.expect("opens");
        for first in (1..=640).step_by(64) {
            log.append(&trades(first..=first + 63)).await.expect("appends");
        }
        let url = format!("sqlite://{}?mode=ro", dir.path().join("log.db").display());
        let mut conn = SqliteConnection::connect(&url).await.expect("connects");
        let without_end = query.trim_end().rsplit_once("\n").expect("it has lines").0.to_owned();
        let slow = "SELECT * FROM tick_data WHERE symbol = :symbol AND ts_ns BETWEEN :from AND :to";
        for (query, from, to) in
            [(&query, 200, 300), (&query, 1, 64), (&query, 64, 65), (&without_end, 500, 9_999)]
        {
            let given = |sql: &str| {
                let time = |pos: i64| (BEGIN + pos * 1_000).to_string();
                sql.replace(":symbol", "'AAPL'").replace(":from", &time(from)).replace(":to", &time(to))
            };
            let mut positions = Vec::new();
            for sql in [given(query), given(slow)] {
                let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(&mut conn).await.expect("reads");
                positions.push(rows.iter().map(|row| row.get::<i64, _>("log_pos")).collect::<Vec<_>>());
            }
            assert!(
                !positions[0].is_empty() && positions[0] == positions[1],
                "{from} to {to}: {positions:?}"
            );
            let plan = format!("EXPLAIN QUERY PLAN {}", given(query));
            let steps = sqlx::query(sqlx::AssertSqlSafe(plan)).fetch_all(&mut conn).await.expect("explains");
            let steps: Vec<String> = steps.iter().map(|step| step.get("detail")).collect();
            let of_log =
                |verb: &str| steps.iter().filter(|step| step.starts_with(&format!("{verb} log_"))).count();
            assert_eq!((of_log("SEARCH"), of_log("SCAN")), (10, 0), "{steps:#?}");
        }
    });
}

#[test]
fn the_view_covers_as_many_parts_as_retention_leaves() {
    run(async {
        let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
        let log = names.log(dir.path(), small_parts(1)).await.expect("opens");
        for pos in 1..=150 {
            log.append(&trades(pos..=pos)).await.expect("appends");
        }
        let url = format!("sqlite://{}?mode=ro", dir.path().join("log.db").display());
        let mut conn = SqliteConnection::connect(&url).await.expect("connects");
        let count = "SELECT count(*) FROM tick_data WHERE symbol = 'AAPL' AND price = 150.25";
        let count: i64 = sqlx::query_scalar(count).fetch_one(&mut conn).await.expect("counts");
        assert_eq!(count, 50);
    });
}

fn columns(row: &sqlx::sqlite::SqliteRow) -> String {
    row.columns().iter().map(Column::name).collect::<Vec<_>>().join(" ")
}
