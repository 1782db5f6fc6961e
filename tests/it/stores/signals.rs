//! What every history promises of anomalies, predictions and alerts.

use super::*;
use tickwire::models::alert::{Alert, AlertStatus};
use tickwire::models::anomaly::{Anomaly, AnomalyState, Severity};
use tickwire::models::prediction::Prediction;
use tickwire::stores::history::signals::{
    AlertQuery, AnomalyQuery, Numbered, PredictionQuery, SignalBatch, SignalHistory, SignalPage,
};

pub fn anomaly_at(id: u64, time: i64, log_pos: Position) -> Anomaly {
    let metadata =
        serde_json::json!({"bars": 20, "z": 3.5, "by": {"method": "mean", "why": ["a", null, true]}});
    Anomaly {
        id: format!("{id}-0"),
        time: Nanos(BEGIN + time),
        symbol: ["AAPL", "MSFT"][id as usize % 2].to_owned(),
        anomaly_type: ["price_spike", "volume_spike", "rsi_overbought"][id as usize % 3].to_owned(),
        severity: Severity::ALL[log_pos as usize % 4],
        description: format!("\"{log_pos}\" above, \u{2014} 'so'"),
        current_value: Some(1.0 / 3.0 + log_pos as f64),
        expected_value: id.is_multiple_of(2).then_some(0.1),
        threshold: None,
        metadata: if id.is_multiple_of(5) {
            serde_json::Map::default()
        } else {
            metadata.as_object().unwrap().clone()
        },
        state: AnomalyState::ALL[log_pos as usize % 3],
        log_pos,
    }
}

pub fn prediction_at(symbol: &str, time: i64, horizon_minutes: u32, model: u32) -> Prediction {
    Prediction {
        symbol: symbol.to_owned(),
        time: Nanos(BEGIN + time),
        horizon_minutes,
        model_version: format!("v{model}"),
        current_price: 150.25,
        predicted_price: 150.25 + f64::from(model) / 7.0,
        confidence: 0.625,
        lower: (model > 1).then_some(149.0),
        upper: (model > 1).then_some(151.0),
        abstained: model == 1,
        actual_price: None,
        skill: (model > 1).then_some(-0.25),
    }
}

pub fn alert_at(id: u64, time: i64, attempts: u32, status: AlertStatus) -> Alert {
    Alert {
        id: id.to_string(),
        time: Nanos(BEGIN + time),
        symbol: ["AAPL", "MSFT"][id as usize % 2].to_owned(),
        anomaly_type: "price_spike".to_owned(),
        severity: Severity::ALL[id as usize % 4],
        channel: ["slack", "email", "webhook"][id as usize % 3].to_owned(),
        status,
        reason: if status == AlertStatus::Sent { String::new() } else { "HTTP 503".to_owned() },
        attempts,
        anomaly_id: format!("{id}-0"),
    }
}

fn anomalies_of(page: SignalPage) -> AnomalyQuery {
    AnomalyQuery { symbol: None, anomaly_type: None, severity: None, page }
}

fn alerts_of(page: SignalPage) -> AlertQuery {
    AlertQuery {
        symbol: None,
        anomaly_type: None,
        severity: None,
        channel: None,
        status: None,
        anomaly_id: None,
        page,
    }
}

fn rows<T>(found: Vec<Numbered<T>>) -> Vec<T> {
    found.into_iter().map(|found| found.row).collect()
}

#[test]
fn of_two_anomalies_with_one_id_the_later_one_stays() {
    run(async {
        let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
        for history in &names.histories(dir.path()).await.all {
            let first = anomaly_at(1, 0, 10);
            let later = Anomaly { log_pos: 11, state: AnomalyState::Ended, ..anomaly_at(1, 0, 11) };
            let earlier = anomaly_at(1, 0, 9);
            for (written, stored) in
                [(&first, &first), (&later, &later), (&earlier, &later), (&first, &later), (&later, &later)]
            {
                let batch = SignalBatch { anomalies: vec![written.clone()], ..SignalBatch::default() };
                history.write_signals(&batch).await.expect("writes");
                let found = history.anomalies(&anomalies_of(SignalPage::newest(10))).await.expect("finds");
                assert_eq!(rows(found), std::slice::from_ref(stored));
            }
            // In one batch too, and in any order of it.
            let batch = SignalBatch {
                anomalies: vec![anomaly_at(2, 5, 21), anomaly_at(2, 5, 22), anomaly_at(2, 5, 20)],
                ..SignalBatch::default()
            };
            history.write_signals(&batch).await.expect("writes");
            let found = history.anomalies(&anomalies_of(SignalPage::newest(1))).await.expect("finds");
            assert_eq!(rows(found), [Anomaly { time: Nanos(BEGIN), ..anomaly_at(2, 5, 22) }], "microseconds");
        }
    });
}

#[test]
fn of_a_prediction_the_first_stays_and_learns_the_price_that_came() {
    run(async {
        let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
        for history in &names.histories(dir.path()).await.all {
            let first = prediction_at("AAPL", 0, 5, 1);
            let other = Prediction { predicted_price: 9.0, ..first.clone() };
            let came = Prediction { actual_price: Some(150.5), ..other.clone() };
            let again = Prediction { actual_price: Some(151.0), ..other.clone() };
            let write = async |prediction: &Prediction| {
                let batch = SignalBatch { predictions: vec![prediction.clone()], ..SignalBatch::default() };
                history.write_signals(&batch).await.expect("writes");
                history.newest_predictions("AAPL").await.expect("finds")
            };
            assert_eq!(write(&first).await, std::slice::from_ref(&first));
            assert_eq!(write(&other).await, std::slice::from_ref(&first));
            let known = Prediction { actual_price: Some(150.5), ..first };
            assert_eq!(write(&came).await, std::slice::from_ref(&known));
            assert_eq!(write(&again).await, std::slice::from_ref(&known));

            // The newest of each horizon, whatever is newest in others; another model's is another one.
            let (hour, day) = (HOUR, DAY);
            let batch = SignalBatch {
                predictions: vec![
                    prediction_at("AAPL", hour, 5, 1),
                    prediction_at("AAPL", hour, 5, 2),
                    prediction_at("AAPL", -day, 1, 1),
                    prediction_at("AAPL", -2 * day, 1, 1),
                    prediction_at("MSFT", 2 * day, 15, 1),
                ],
                ..SignalBatch::default()
            };
            history.write_signals(&batch).await.expect("writes");
            let newest = history.newest_predictions("AAPL").await.expect("finds");
            assert_eq!(newest, [prediction_at("AAPL", -day, 1, 1), prediction_at("AAPL", hour, 5, 2)]);
            assert_eq!(history.newest_predictions("BTC-USD").await.expect("finds"), []);
            let page = SignalPage { start: Nanos(BEGIN - day), end: Nanos(BEGIN), ..SignalPage::newest(10) };
            let query = PredictionQuery { symbol: "AAPL".to_owned(), page };
            let found = rows(history.predictions(&query).await.expect("finds"));
            assert_eq!(found, [known, prediction_at("AAPL", -day, 1, 1)], "both ends are in the range");
        }
    });
}

#[test]
fn an_alert_only_moves_on() {
    run(async {
        let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
        for history in &names.histories(dir.path()).await.all {
            use AlertStatus::{Held, Retrying, Sent};
            for (attempts, status, expected) in [
                (1, Retrying, (1, Retrying)),
                (0, Held, (1, Retrying)),
                (2, Sent, (2, Sent)),
                (2, Retrying, (2, Sent)),
                (1, Retrying, (2, Sent)),
            ] {
                let batch =
                    SignalBatch { alerts: vec![alert_at(7, 0, attempts, status)], ..SignalBatch::default() };
                history.write_signals(&batch).await.expect("writes");
                let found = rows(history.alerts(&alerts_of(SignalPage::newest(9))).await.expect("finds"));
                assert_eq!(found, [alert_at(7, 0, expected.0, expected.1)]);
            }
        }
    });
}

#[test]
fn lists_of_signals_are_filtered_and_walked() {
    run(async {
        let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
        let second = |id: u64| (id / 4) as i64 * SECOND;
        let anomalies: Vec<Anomaly> = (0..30).map(|id| anomaly_at(id, second(id), id + 1)).collect();
        let alerts: Vec<Alert> =
            (0..30).map(|id| alert_at(id, second(id), 1, AlertStatus::ALL[id as usize % 4])).collect();
        for history in &names.histories(dir.path()).await.all {
            let batch = SignalBatch {
                anomalies: anomalies.clone(),
                alerts: alerts.clone(),
                ..SignalBatch::default()
            };
            history.write_signals(&batch).await.expect("writes");

            let everything = anomalies_of(SignalPage::newest(100));
            let whole = rows(history.anomalies(&everything).await.expect("finds"));
            let newest_first: Vec<Anomaly> = anomalies.iter().rev().cloned().collect();
            assert_eq!(whole, newest_first, "by time, then in the order in which they came");
            for (query, fits) in [
                (
                    AnomalyQuery { symbol: Some("MSFT".to_owned()), ..everything.clone() },
                    (|row| row.symbol == "MSFT") as fn(&Anomaly) -> bool,
                ),
                (
                    AnomalyQuery { anomaly_type: Some("volume_spike".to_owned()), ..everything.clone() },
                    |row| row.anomaly_type == "volume_spike",
                ),
                (AnomalyQuery { severity: Some(Severity::Critical), ..everything.clone() }, |row| {
                    row.severity == Severity::Critical
                }),
                (
                    AnomalyQuery {
                        page: SignalPage {
                            start: Nanos(BEGIN + SECOND),
                            end: Nanos(BEGIN + 3 * SECOND),
                            ..SignalPage::newest(100)
                        },
                        ..everything.clone()
                    },
                    |row| (BEGIN + SECOND..=BEGIN + 3 * SECOND).contains(&row.time.0),
                ),
            ] {
                let expected: Vec<Anomaly> = newest_first.iter().filter(|row| fits(row)).cloned().collect();
                assert!(!expected.is_empty(), "{query:?}");
                assert_eq!(rows(history.anomalies(&query).await.expect("finds")), expected, "{query:?}");
            }
            let query = AlertQuery {
                symbol: Some("AAPL".to_owned()),
                channel: Some("slack".to_owned()),
                status: Some(AlertStatus::Failed),
                severity: Some(Severity::High),
                anomaly_type: Some("price_spike".to_owned()),
                ..alerts_of(SignalPage::newest(100))
            };
            let found = rows(history.alerts(&query).await.expect("finds"));
            let ids: Vec<&str> = found.iter().map(|alert| alert.id.as_str()).collect();
            assert_eq!(ids, ["18", "6"]);

            // New rows of any time, the same time too, and changed ones neither repeat nor hide what a walk has to come.
            let mut query = alerts_of(SignalPage::newest(3));
            let mut walked = Vec::new();
            loop {
                let page = history.alerts(&query).await.expect("finds");
                let Some(last) = page.last() else { break };
                query.page.before = Some((last.row.time, last.number));
                let next = 100 + walked.len() as u64;
                let batch = SignalBatch {
                    alerts: vec![
                        Alert { time: last.row.time, ..alert_at(next, 0, 1, AlertStatus::Sent) },
                        alert_at(next + 1_000, 3_600 * SECOND, 1, AlertStatus::Sent),
                        Alert { attempts: 2, ..last.row.clone() },
                    ],
                    ..SignalBatch::default()
                };
                history.write_signals(&batch).await.expect("writes");
                walked.extend(page.into_iter().map(|found| found.row.id));
            }
            let ids: Vec<String> = alerts.iter().rev().map(|alert| alert.id.clone()).collect();
            assert_eq!(walked, ids);
        }
    });
}

#[test]
fn signals_in_a_file_are_read_as_the_contract_names_them_and_dropped_when_old() {
    run(async {
        let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
        let history = names.history(dir.path()).await.expect("opens");
        let batch = SignalBatch {
            anomalies: vec![anomaly_at(1, SECOND / 8, 10), anomaly_at(2, DAY, 11)],
            predictions: vec![prediction_at("AAPL", 0, 5, 1), prediction_at("AAPL", DAY, 5, 1)],
            alerts: vec![alert_at(1, 0, 1, AlertStatus::Sent), alert_at(2, DAY, 1, AlertStatus::Sent)],
        };
        history.write_signals(&batch).await.expect("writes");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(dir.path().join("history.db"));
        let mut file = SqliteConnection::connect_with(&options).await.expect("opens");
        for (view, columns) in [
            (
                "anomalies",
                "time, symbol, anomaly_type, severity, description, current_value, expected_value, threshold, metadata, \
                 id, state",
            ),
            (
                "predictions",
                "time, symbol, current_price, predicted_price, confidence, time_horizon_minutes, model_version, lower, \
                 upper, abstained, actual_price",
            ),
            (
                "alerts",
                "id, time, symbol, anomaly_type, severity, channel, status, reason, attempts, anomaly_id",
            ),
        ] {
            let sql = sqlx::AssertSqlSafe(format!("SELECT {columns} FROM {view} ORDER BY time"));
            let rows = sqlx::query(sql).fetch_all(&mut file).await.expect("reads");
            assert_eq!(rows.len(), 2, "{view}");
            let time: String = rows[0].try_get("time").expect("a text");
            let fraction = if view == "anomalies" { "125000" } else { "000000" };
            assert_eq!(time, format!("2026-05-28T20:26:40.{fraction}Z"), "{view}");
        }
        file.close().await.expect("closes");

        let dropped = history.retain(Nanos(BEGIN).plus(365 * DAY).plus(HOUR)).await.expect("retains");
        assert_eq!(dropped, 3);
        let found = rows(history.anomalies(&anomalies_of(SignalPage::newest(9))).await.expect("finds"));
        assert_eq!(found, [anomaly_at(2, DAY, 11)]);
    });
}

#[test]
fn a_damaged_signal_is_named_and_never_read_as_data() {
    run(async {
        let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
        let history = names.history(dir.path()).await.expect("opens");
        let batch = SignalBatch {
            anomalies: vec![anomaly_at(1, 0, 10), anomaly_at(2, DAY, 11)],
            ..SignalBatch::default()
        };
        history.write_signals(&batch).await.expect("writes");
        history.close().await.expect("closes");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(dir.path().join("history.db"));
        let mut file = SqliteConnection::connect_with(&options).await.expect("opens");
        sqlx::query("UPDATE anomaly_rows SET threshold = 4 WHERE number = 1")
            .execute(&mut file)
            .await
            .expect("runs");
        file.close().await.expect("closes");

        let history = names.history(dir.path()).await.expect("opens");
        let newest = history.anomalies(&anomalies_of(SignalPage::newest(1))).await.expect("reads sound rows");
        assert_eq!(rows(newest), [anomaly_at(2, DAY, 11)]);
        let error = history.anomalies(&anomalies_of(SignalPage::newest(9))).await.expect_err("is damaged");
        assert!(error.to_string().contains("`anomaly_rows`, number 1"), "{error}");
        drop(history);

        for (mends, num_findings) in [(false, 1), (true, 1), (false, 0)] {
            let checked =
                tickwire::stores::history::sqlite::check_history(dir.path(), mends, &mut |_, _| {}).await;
            assert_eq!(checked.expect("checks").findings.len(), num_findings);
        }
        let history = names.history(dir.path()).await.expect("opens");
        let found = rows(history.anomalies(&anomalies_of(SignalPage::newest(9))).await.expect("finds"));
        assert_eq!(found, [anomaly_at(2, DAY, 11)]);
    });
}
