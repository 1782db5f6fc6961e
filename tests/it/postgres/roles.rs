//! The roles of the documentation: the service writes and owns nothing, readers read.

use super::{Names, block_on, migrated};
use std::sync::Arc;
use tickwire::models::entry::{Body, Entry, Trade, TradeId, Updates};
use tickwire::models::num::{Price, Size};
use tickwire::models::report::AcceptedReport;
use tickwire::models::symbol::SymbolSpec;
use tickwire::models::time::{Nanos, SECOND};
use tickwire::stores::history::{History, HistoryBatch};

/// Returns the SQL of the documentation, with names of roles that no other test has.
fn documented(nth: u32) -> (String, [String; 2]) {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/postgres.md")).unwrap();
    let (_, behind) = page.split_once("```sql\n").expect("the page has the roles");
    let (sql, _) = behind.split_once("```").unwrap();
    let names = ["tickwire", "market_reader"].map(|name| format!("{name}_{}_{nth}", std::process::id()));
    let sql = sql.replace(" TO tickwire;", &format!(" TO {};", names[0]));
    let sql =
        sql.replace("ROLE tickwire ", &format!("ROLE {} ", names[0])).replace("market_reader", &names[1]);
    (sql, names)
}

#[test]
fn the_service_writes_and_owns_nothing_and_readers_read() {
    let Some(database) = migrated("roles") else { return };
    let (sql, [service, reader]) = documented(0);
    database.execute(&sql);
    let as_role = |role: &str| database.url.replace("//postgres@", &format!("//{role}@"));
    block_on(async {
        let names = Names::default();
        let symbol = names.symbols.intern(SymbolSpec::named("AAPL"));
        let history = names.open(&as_role(&service), 7).await.unwrap();
        let trade = Trade {
            ts: Nanos(1_780_000_000 * SECOND),
            received: Nanos::MIN,
            price: Price(1),
            size: Size(1),
            seq: 0,
            id: TradeId::number(1),
            source: names.sources.intern("simulated"),
            updates: Updates::ALL,
        };
        let report =
            AcceptedReport { seq: Some(1), entry: Entry { pos: 1, symbol, body: Body::Trade(trade) } };
        let batch = HistoryBatch {
            reports: vec![Arc::new(vec![report])],
            acknowledged: 1,
            ..HistoryBatch::default()
        };
        history.write(&batch).await.unwrap();
        history.retain(Nanos(0)).await.unwrap();
        history.close().await.unwrap();
    });
    // A day that cannot be rewritten is only told of, so that the right to do it is asked for by itself.
    assert_eq!(crate::support::postgres::try_execute(&as_role(&service), "SELECT tickwire_order()"), Ok(()));
    let count = "SELECT count(*) AS num, min(tableoid::regclass::text) AS part FROM tick_data";
    assert_eq!(crate::support::postgres::rows(&as_role(&reader), count), ["1|tick_data_20260528"]);
    for (role, statement) in [
        (&service, "DROP TABLE tick_data"),
        (&service, "ALTER TABLE tick_data ADD COLUMN x integer"),
        (&reader, "DELETE FROM tick_data"),
        (&reader, "SELECT tickwire_partitions()"),
        (&reader, "SELECT tickwire_order()"),
    ] {
        let refused = crate::support::postgres::try_execute(&as_role(role), statement);
        assert!(
            refused
                .is_err_and(|error| error.contains("permission denied") || error.contains("must be owner")),
            "{statement}"
        );
    }
    database.execute(&format!("DROP OWNED BY {service}, {reader}; DROP ROLE {service}, {reader}"));
}
