//! Days that are over are rewritten in the order of their keys, once, and hold the same rows.

use super::{Names, block_on, migrated};
use crate::support::postgres::SharedPostgres;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};
use tickwire::models::time::Nanos;
use tickwire::stores::history::History;

/// Two days of three symbols, an hour's bars each, as they come in: by time. Yesterday ended less than a day ago.
const ROWS: &str = "
SELECT tickwire_partitions(ARRAY[(now() AT TIME ZONE 'UTC')::date - 3, (now() AT TIME ZONE 'UTC')::date - 1]);
INSERT INTO aggregated_data (time, symbol, window_duration, open, high, low, close, volume, trade_count, state, revision, log_pos)
SELECT (date_trunc('day', now() AT TIME ZONE 'UTC') - days * interval '1 day' + minute * interval '1 minute') AT TIME ZONE 'UTC',
    symbol, '1min', minute, minute, minute, minute, 1, 1, 'closed', 0, minute
FROM unnest(ARRAY[3, 1]) AS days, generate_series(1, 60) AS minute, unnest(ARRAY['MSFT', 'AAPL', 'IBM']) AS symbol
ORDER BY 1, 2;
";

/// Of each day: how often the symbol differs from that of the row before it in the file, the number of rows, and their sum.
const PLACES: &str = "
SELECT day, sum(turns)::bigint AS turns, count(*) AS num, sum(close)::bigint AS total FROM (
    SELECT (now() AT TIME ZONE 'UTC')::date - (time AT TIME ZONE 'UTC')::date AS day, close,
        (symbol <> lag(symbol) OVER (PARTITION BY tableoid ORDER BY ctid))::integer AS turns
    FROM aggregated_data
) AS placed GROUP BY day ORDER BY day
";

fn is_ordered(database: &SharedPostgres) -> Vec<String> {
    database.rows(
        "SELECT relname, count(*) FROM pg_index JOIN pg_class ON pg_class.oid = indrelid WHERE indisclustered \
         AND relname LIKE 'aggregated_data%' GROUP BY relname",
    )
}

#[test]
fn days_that_are_over_lie_in_the_order_of_their_key() {
    let Some(database) = migrated("order") else { return };
    database.execute(ROWS);
    assert_eq!(database.rows(PLACES), ["1|179|180|5490", "3|179|180|5490"]);
    block_on(async {
        let history = Names::default().open(&database.url, 7).await.unwrap();
        for _ in 0..2 {
            history.retain(Nanos(0)).await.unwrap();
            assert_eq!(database.rows(PLACES), ["1|179|180|5490", "3|2|180|5490"]);
            assert_eq!(is_ordered(&database).len(), 1);
        }
        history.close().await.unwrap();
    });
}

#[test]
fn a_day_that_somebody_holds_is_left_for_later() {
    let Some(database) = migrated("order-held") else { return };
    database.execute(ROWS);
    let day =
        database.rows("SELECT to_char((now() AT TIME ZONE 'UTC')::date - 3, 'YYYYMMDD') AS day").remove(0);
    block_on(async {
        let mut other = PgConnection::connect(&database.url).await.unwrap();
        let held = format!("BEGIN; LOCK TABLE aggregated_data_{day} IN ROW EXCLUSIVE MODE");
        sqlx::raw_sql(AssertSqlSafe(held)).execute(&mut other).await.unwrap();
        let history = Names::default().open(&database.url, 7).await.unwrap();
        history.retain(Nanos(0)).await.unwrap();
        assert_eq!(is_ordered(&database).len(), 0);
        other.execute("ROLLBACK").await.unwrap();
        history.retain(Nanos(0)).await.unwrap();
        assert_eq!(is_ordered(&database).len(), 1);
        history.close().await.unwrap();
    });
}
