//! Rows once, whatever is sent again; one writer; rows that the server refuses; tables of another version.

use super::{Names, block_on, migrate, migrated};
use crate::support::postgres::SharedPostgres;
use std::sync::Arc;
use tickwire::models::effect::Effect;
use tickwire::models::entry::{Body, Cancel, Correction, Entry, Position, Trade, TradeId, Updates};
use tickwire::models::num::{Price, Size};
use tickwire::models::report::AcceptedReport;
use tickwire::models::symbol::{SymbolId, SymbolSpec};
use tickwire::models::time::{Nanos, SECOND};
use tickwire::stores::StoreError;
use tickwire::stores::history::{History, HistoryBatch};

const BEGIN: i64 = 1_780_000_000 * SECOND;

fn names() -> Names {
    let names = Names::default();
    for name in ["AAPL", "MSFT"] {
        names.symbols.intern(SymbolSpec::named(name));
    }
    names
}

fn trade(names: &Names, pos: Position, id: TradeId) -> Trade {
    Trade {
        ts: Nanos(BEGIN + pos as i64),
        received: Nanos(BEGIN + 5_000_000),
        price: Price(150_250_000_000 + pos as i64),
        size: Size(300_000_000),
        seq: 70 + pos,
        id,
        source: names.sources.intern("simulated"),
        updates: Updates::ALL,
    }
}

fn report(names: &Names, symbol: u32, pos: Position) -> AcceptedReport {
    let body = Body::Trade(trade(names, pos, TradeId::number(pos)));
    AcceptedReport { seq: Some(pos), entry: Entry { pos, symbol: SymbolId(symbol), body } }
}

fn batch(reports: Vec<AcceptedReport>, acknowledged: Position) -> HistoryBatch {
    HistoryBatch { reports: vec![Arc::new(reports)], acknowledged, ..HistoryBatch::default() }
}

fn ticks(database: &SharedPostgres) -> Vec<String> {
    database.rows("SELECT symbol, log_pos FROM tick_data ORDER BY log_pos")
}

#[test]
fn every_report_is_there_once_with_all_that_it_says() {
    let Some(database) = migrated("reports") else { return };
    block_on(async {
        let names = names();
        let history = names.open(&database.url, 7).await.unwrap();
        assert!(history.keeps_reports());
        let correction =
            Correction { target: TradeId::number(1), trade: trade(&names, 3, TradeId::from_text(b"x-3")) };
        let cancel = Cancel {
            ts: Nanos(BEGIN + 4),
            received: Nanos::MIN,
            target: TradeId::number(2),
            source: names.sources.intern("simulated"),
        };
        let at = |pos, seq, body| AcceptedReport { seq, entry: Entry { pos, symbol: SymbolId(0), body } };
        let reports = vec![
            report(&names, 0, 1),
            report(&names, 1, 2),
            at(3, Some(2), Body::Correction(correction)),
            at(4, None, Body::Cancel(cancel)),
        ];
        // A price with more digits than a double has.
        let mut exact = trade(&names, 5, TradeId::number(5));
        exact.price = Price((1 << 58) + 1);
        let reports = [reports, vec![at(5, Some(3), Body::Trade(exact))]].concat();
        history.write(&batch(reports.clone(), 2)).await.unwrap();
        // One shard is ahead: what it brought is brought again with the rest.
        history.write(&batch(reports.clone(), 4)).await.unwrap();
        history.write(&batch(reports.clone(), 0)).await.unwrap();
        assert_eq!(history.acknowledged().await.unwrap(), 4);
        drop(history);
        // Another process of the same log knows it too.
        let history = names.open(&database.url, 7).await.unwrap();
        assert_eq!(history.acknowledged().await.unwrap(), 4);
        history.write(&batch(reports, 5)).await.unwrap();
        history.close().await.unwrap();
    });
    let rows = database.rows(
        "SELECT symbol, tick_type, price, volume, trade_id, ref_trade_id, seq, updates, provider, ts_ns, log_pos, venue_seq, \
         exact, received_at IS NULL AS unknown FROM tick_data ORDER BY log_pos",
    );
    assert_eq!(
        rows,
        [
            "AAPL|trade|150.250000001|3|1|1|hcv|simulated|1780000000000000001|1|71|false",
            "MSFT|trade|150.250000002|3|2|2|hcv|simulated|1780000000000000002|2|72|false",
            "AAPL|correction|150.250000003|3|x-3|1|2|hcv|simulated|1780000000000000003|3|73|false",
            "AAPL|cancel|2|simulated|1780000000000000004|4|true",
            "AAPL|trade|288230376.15171176|3|5|3|hcv|simulated|1780000000000000005|5|75|288230376151711745,300000000|false",
        ]
    );
    // Each day has a partition of its own.
    assert_eq!(
        database.rows("SELECT DISTINCT tableoid::regclass::text AS part FROM tick_data"),
        ["tick_data_20260528"]
    );
}

#[test]
fn who_finds_that_another_one_has_written_writes_nothing_any_more() {
    let Some(database) = migrated("fenced") else { return };
    block_on(async {
        let (ours, theirs) = (names(), names());
        let first = ours.open(&database.url, 7).await.unwrap();
        first.write(&batch(vec![report(&ours, 0, 1)], 1)).await.unwrap();
        let second = theirs.open(&database.url, 7).await.unwrap();
        second.write(&batch(vec![report(&theirs, 0, 2)], 2)).await.unwrap();
        for _ in 0..2 {
            let error = first.write(&batch(vec![report(&ours, 0, 2)], 2)).await.expect_err("fenced");
            assert!(!error.is_transient() && error.to_string().contains("another process writes"), "{error}");
        }
        second.write(&batch(vec![report(&theirs, 0, 3)], 3)).await.unwrap();
        // Positions of another log say nothing here.
        let error = ours.open(&database.url, 8).await.err().expect("refused");
        assert!(!error.is_transient() && error.to_string().contains("another log"), "{error}");
    });
    assert_eq!(ticks(&database), ["AAPL|1", "AAPL|2", "AAPL|3"]);
}

#[test]
fn a_commit_whose_answer_is_cut_off_is_found_to_be_done() {
    let Some(database) = migrated("cut") else { return };
    block_on(async {
        let names = names();
        let history = names.open(&database.url, 7).await.unwrap();
        history.write(&batch(vec![report(&names, 0, 1)], 1)).await.unwrap();
        // A write that is given up in the middle, at every place where it waits.
        for polls in 0..40 {
            let rows = batch(vec![report(&names, 0, 2), report(&names, 1, 3)], 3);
            let write = history.write(&rows);
            let mut write = std::pin::pin!(write);
            let mut left = polls;
            let given_up = std::future::poll_fn(|cx| {
                if left == 0 {
                    return std::task::Poll::Ready(());
                }
                left -= 1;
                write.as_mut().poll(cx).map(|_| ())
            });
            given_up.await;
        }
        history.write(&batch(vec![report(&names, 0, 2), report(&names, 1, 3)], 3)).await.unwrap();
    });
    assert_eq!(ticks(&database), ["AAPL|1", "AAPL|2", "MSFT|3"]);
}

#[test]
fn a_row_that_the_server_cannot_hold_is_named_and_one_that_it_refuses_is_told() {
    let Some(database) = migrated("refused") else { return };
    let add = "ALTER TABLE tick_data ADD CONSTRAINT told CHECK (price < 1e8)";
    database.execute(add);
    block_on(async {
        let names = names();
        let history = names.open(&database.url, 7).await.unwrap();
        let odd = trade(&names, 2, TradeId::from_text(b"a\0b"));
        let odd = AcceptedReport {
            seq: Some(2),
            entry: Entry { pos: 2, symbol: SymbolId(0), body: Body::Trade(odd) },
        };
        let mut rows = batch(vec![report(&names, 0, 1), odd, report(&names, 0, 3)], 3);
        rows.effects = vec![Arc::new(Vec::<Effect>::new())];
        match history.write(&rows).await.expect_err("refused") {
            StoreError::Refused { rows, .. } => assert_eq!(rows, [1]),
            other => panic!("{other:?}"),
        }
        let mut dear = trade(&names, 4, TradeId::number(4));
        dear.price = Price(1 << 58);
        let dear = AcceptedReport {
            seq: Some(2),
            entry: Entry { pos: 4, symbol: SymbolId(0), body: Body::Trade(dear) },
        };
        let error = history.write(&batch(vec![report(&names, 0, 1), dear], 4)).await.expect_err("refused");
        assert!(matches!(error, StoreError::Refused { .. }) && error.to_string().contains("told"), "{error}");
        assert_eq!(history.acknowledged().await.unwrap(), 0, "nothing of it is there");
        history.write(&batch(vec![report(&names, 0, 1)], 4)).await.unwrap();
    });
    assert_eq!(ticks(&database), ["AAPL|1"]);
}

#[test]
fn tables_that_are_missing_old_or_newer_are_not_touched() {
    let Some(database) = SharedPostgres::take("schema") else { return };
    let refused = |expected: &str| {
        let error = block_on(names().open(&database.url, 7)).err().expect("refused");
        assert!(!error.is_transient() && error.to_string().contains(expected), "{error}");
    };
    refused("run `tickwire migrate`");
    assert_eq!(database.rows("SELECT count(*) FROM pg_class WHERE relname = 'tick_data'"), ["0"]);
    block_on(migrate(&database.url)).unwrap();
    assert!(block_on(names().open(&database.url, 7)).is_ok());
    database.execute("DELETE FROM _sqlx_migrations WHERE version > 1");
    refused("run `tickwire migrate`");
    database.execute("UPDATE _sqlx_migrations SET version = 9999");
    refused("newer version");
    let error = block_on(migrate(&database.url)).expect_err("refused");
    assert!(!error.is_transient(), "{error}");
}

#[test]
fn days_become_partitions_and_old_ones_go() {
    let Some(database) = migrated("days") else { return };
    database.execute("UPDATE tickwire_settings SET value = '365 days' WHERE name LIKE 'retention%'");
    database.execute(
        "INSERT INTO tick_data (time, symbol) SELECT now() - nth * interval '1 day', 'AAPL' FROM generate_series(3, 400, 60) AS nth",
    );
    let parts = "SELECT count(*) AS parts FROM pg_inherits WHERE inhparent = 'tick_data'::regclass";
    assert_eq!(database.rows(parts), ["10"], "yesterday, today, seven more, and the rest");
    let asked = "SELECT made, dropped FROM tickwire_partitions(ARRAY[(now() - interval '3 days')::date, (now() - interval '400 days')::date])";
    assert_eq!(database.rows(asked), ["3|0"], "one a table, none of what is too old");
    let left = "SELECT count(*) AS num, count(*) FILTER (WHERE tableoid::regclass::text LIKE '%default') AS rest FROM tick_data";
    assert_eq!(database.rows(left), ["7|6"], "its row has moved, and the old ones are gone");
    // Nobody but the owner of the tables keeps more than he should.
    database.execute("UPDATE tickwire_settings SET value = '2 days' WHERE name LIKE 'retention%'");
    assert_eq!(database.rows("SELECT made, dropped FROM tickwire_partitions()"), ["0|3"]);
    assert_eq!(database.rows("SELECT count(*) AS num FROM tick_data"), ["0"]);
}

#[test]
fn a_large_batch_is_copied_and_reads_as_small_ones_do() {
    let (Some(large), Some(small)) = (migrated("copied"), migrated("inserted")) else { return };
    block_on(async {
        let names = names();
        let mut reports: Vec<AcceptedReport> =
            (1..=6_000).map(|pos| report(&names, u32::from(pos % 3 == 0), pos)).collect();
        let target = TradeId::number(1);
        let cancel = Cancel {
            ts: Nanos(BEGIN),
            received: Nanos::MIN,
            target,
            source: names.sources.intern("simulated"),
        };
        reports[4_000].entry.body = Body::Cancel(cancel);
        reports[4_000].seq = None;
        let mut exact = trade(&names, 4_002, TradeId::from_text("\u{e9}".as_bytes()));
        exact.price = Price((1 << 58) + 1);
        reports[4_001].entry.body = Body::Correction(Correction { target, trade: exact });
        names.open(&large.url, 7).await.unwrap().write(&batch(reports.clone(), 6_000)).await.unwrap();
        let history = names.open(&small.url, 7).await.unwrap();
        for part in reports.chunks(1_500) {
            history.write(&batch(part.to_vec(), part[0].entry.pos)).await.unwrap();
        }
    });
    let all = "SELECT * FROM tick_data ORDER BY log_pos";
    let rows = large.rows(all);
    assert_eq!(rows.len(), 6_000);
    assert!(rows == small.rows(all));
}
