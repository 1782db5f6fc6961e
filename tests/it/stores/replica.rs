//! Reads of the history that go to a replica: used while it keeps up, passed over while it lags or is gone.

use super::history::{bar_at, batch};
use super::*;
use crate::support::postgres::{PostgresServer, execute, rows};
use tickwire::stores::history::ReplicaUse;

/// Does something again and again until it holds.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = std::time::Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed().as_secs() < 60, "{what}: in vain");
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
}

#[test]
fn reads_go_to_a_replica_that_keeps_up_and_else_to_the_primary() {
    let Some(primary) = PostgresServer::start("replica") else { return };
    execute(&primary.url("postgres"), "CREATE DATABASE history");
    let mut standby = primary.standby("replica");
    run(async {
        let names = Names::some();
        names.postgres(&primary.url("history")).await.expect("opens").close().await.expect("closes");
        let settings = PostgresSettings {
            read_url: Some(standby.url("history")),
            max_replica_lag: std::time::Duration::from_secs(2),
            ..PostgresSettings::of_url(&primary.url("history"))
        };
        let (symbols, sources) = (Arc::clone(&names.symbols), Arc::clone(&names.sources));
        let history = PostgresHistory::open(&settings, symbols, sources, EPOCH).await.expect("opens");
        let query = WindowQuery {
            symbol: SymbolId(0),
            width: Width::parse("1min").expect("a width"),
            start: Nanos::MIN,
            end: Nanos::MAX,
            limit: 10,
        };
        let count = async || history.bars(&query).await.expect("reads").len();
        let write = async |at: i64| {
            let bar = bar_at(0, 1, at, BarState::Closed, at as u64 + 1);
            history.write(&batch(vec![Effect::Bar(bar)])).await.expect("writes");
        };
        write(0).await;
        let is_read = async || (history.replica().await == Some(ReplicaUse::Read)).then_some(());
        until("the replica is used", is_read).await;
        until("it shows a bar", async || (count().await == 1).then_some(())).await;
        // Nobody has asked for indicators before.
        history.indicators(&query).await.expect("reads");
        let reads = "SELECT count(*) > 0 AS some FROM pg_stat_activity \
                     WHERE query LIKE '%technical_indicators AS points%' AND pid <> pg_backend_pid()";
        let was_asked = |server: &PostgresServer| rows(&server.url("history"), reads);
        assert_eq!(
            (was_asked(&standby), was_asked(&primary)),
            (vec!["true".to_owned()], vec!["false".to_owned()])
        );

        // What it has not replayed yet is not there; and what reads are told to show is not more.
        execute(&standby.url("postgres"), "SELECT pg_wal_replay_pause()");
        write(1).await;
        assert_eq!(history.acknowledged().await.expect("knows"), 2);
        if history.replica().await == Some(ReplicaUse::Read) && count().await == 1 {
            assert_eq!(history.readable().await.expect("knows"), 1);
        }
        until("a replica that lags is passed over", async || (count().await == 2).then_some(())).await;
        match history.replica().await {
            Some(ReplicaUse::PassedOver(reason)) => assert!(reason.contains("lags"), "{reason}"),
            other => panic!("{other:?}"),
        }
        execute(&standby.url("postgres"), "SELECT pg_wal_replay_resume()");
        until("it is used again", async || (history.replica().await == Some(ReplicaUse::Read)).then_some(()))
            .await;
        assert_eq!(count().await, 2);

        standby.kill();
        write(2).await;
        until("a replica that is gone is passed over", async || (count().await == 3).then_some(())).await;
        assert!(matches!(history.replica().await, Some(ReplicaUse::PassedOver(_))));
        assert_eq!(history.readable().await.expect("knows"), 3);
        assert!(standby.start_again());
        until("it is used once it is back", is_read).await;
        assert_eq!(count().await, 3);
        history.close().await.expect("closes");
    });
}
