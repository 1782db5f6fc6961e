//! Rows of the former system, as REST reads them: what they lack is empty, and pages neither repeat nor omit those that
//! nothing tells apart.

use super::block_on;
use crate::support::postgres::SharedPostgres;
use crate::support::process::Program;
use std::collections::BTreeSet;
use tickwire::stores::history::postgres::PostgresSettings;
use tickwire::stores::history::postgres::migrate::{Migration, MigrationSettings};

/// Three ticks at each of ten times; anomalies in words of another case, or in none of ours; a prediction that is there twice.
const BEFORE: &str = "
CREATE TABLE tick_data (time timestamptz NOT NULL, symbol varchar(20) NOT NULL, price double precision NOT NULL,
    volume double precision, tick_type varchar(10), bid double precision, ask double precision, bid_size double precision,
    ask_size double precision, exchange varchar(10), metadata jsonb);
CREATE TABLE anomalies (time timestamptz NOT NULL, symbol varchar(20), anomaly_type varchar(50), severity varchar(20),
    description text, current_value double precision, expected_value double precision, threshold double precision, metadata jsonb);
CREATE TABLE predictions (time timestamptz NOT NULL, symbol varchar(20), current_price double precision,
    predicted_price double precision, confidence double precision, time_horizon_minutes integer, model_version varchar(50));
INSERT INTO tick_data (time, symbol, price, volume)
    SELECT date_trunc('day', now()) - interval '2 days' + n / 3 * interval '1 minute', 'AAPL', 100.25, n + 1 FROM generate_series(0, 29) AS n;
INSERT INTO anomalies (time, symbol, anomaly_type, severity, metadata) VALUES
    (now() - interval '2 days', 'AAPL', 'price_spike', 'HIGH', '{\"bars\": 20}'), (now() - interval '2 days', 'AAPL', 'price_spike', 'severe', NULL);
INSERT INTO predictions (time, symbol, current_price, predicted_price, confidence, time_horizon_minutes, model_version)
    SELECT date_trunc('day', now()) - interval '2 days', 'AAPL', 100, 101 + nth, 0.5, minutes, 'v1'
    FROM unnest(ARRAY[5, 1]) AS minutes, generate_series(0, 1) AS nth;
";

/// Walks all pages of a list, from the path on.
fn walk(program: &Program, path: &str) -> Vec<serde_json::Value> {
    let address = program.address("REST");
    let (mut rows, mut next) = (Vec::new(), Some(path.to_owned()));
    while let Some(path) = next {
        let mut answer = ureq::get(format!("{address}{path}")).call().unwrap();
        let page: Vec<serde_json::Value> = serde_json::from_reader(answer.body_mut().as_reader()).unwrap();
        rows.extend(page);
        let link = answer.headers().get("link").map(|link| link.to_str().unwrap());
        next = link.and_then(|link| link.split(['<', '>']).nth(1)).map(str::to_owned);
        assert!(rows.len() <= 100, "the pages never end");
    }
    rows
}

#[test]
fn rows_of_before_are_read_by_rest() {
    let Some(database) = SharedPostgres::take("reading") else { return };
    database.execute(BEFORE);
    block_on(async {
        let settings = PostgresSettings::of_url(&database.url);
        let mut migration = Migration::begin(&settings, MigrationSettings::default()).await.unwrap();
        let plan = migration.plan().await.unwrap();
        assert!(plan.steps.contains(&"predictions: 2 that are there twice go".to_owned()), "{plan:?}");
        migration.apply().await.unwrap();
    });
    let dir = tempfile::tempdir().unwrap();
    let environment = [("DATABASE_URL", database.url.as_str()), ("TICKWIRE__PROVIDER__WARM_UP", "0s")];
    let program = Program::serve(dir.path(), &["--symbols", "MSFT", "--rate", "1"], &environment);

    let everything = "start_time=2000-01-01&end_time=now";
    for limit in [1, 2, 4, 7, 1_000] {
        let ticks = walk(&program, &format!("/api/v1/ticks/AAPL?{everything}&limit={limit}"));
        let volumes: BTreeSet<u64> = ticks.iter().map(|tick| tick["volume"].as_u64().unwrap()).collect();
        assert_eq!((ticks.len(), volumes.len()), (30, 30), "{limit} a page");
        assert!(ticks.iter().all(|tick| tick["price"] == 100.25 && tick["tick_type"] == "trade"));
    }
    let anomalies = walk(&program, "/api/v1/anomalies?symbol=AAPL&limit=1");
    let severities: Vec<&str> = anomalies.iter().map(|of| of["severity"].as_str().unwrap()).collect();
    assert_eq!(severities, ["low", "high"]);
    assert_eq!((&anomalies[1]["metadata"]["bars"], anomalies[0]["id"].as_str()), (&20.into(), Some("row 2")));
    assert_eq!(walk(&program, "/api/v1/anomalies?severity=high").len(), 1);
    let newest = walk(&program, "/api/v1/predictions/AAPL");
    let said: Vec<(u64, f64)> = newest
        .iter()
        .map(|of| (of["time_horizon_minutes"].as_u64().unwrap(), of["predicted_price"].as_f64().unwrap()))
        .collect();
    assert_eq!(said, [(1, 101.0), (5, 101.0)], "what was said first stays");
    assert_eq!(walk(&program, "/api/v1/predictions/AAPL?limit=1").len(), 2);
    program.stop();
}
