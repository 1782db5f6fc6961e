//! Every history driven through the same random operations, and compared with a model that is lists and nothing else:
//! batches that come again, late and in parts; rows that meet older and newer ones; reads of every kind, with pages of any
//! length.

use super::history::{bar_at, point_of};
use super::signals::{alert_at, anomaly_at, prediction_at};
use super::*;
use proptest::test_runner::TestRunner;
use std::cmp::Reverse;
use tickwire::models::alert::{Alert, AlertStatus};
use tickwire::models::anomaly::{Anomaly, Severity};
use tickwire::models::prediction::Prediction;
use tickwire::models::report::AcceptedReport;
use tickwire::stores::history::signals::{
    AlertQuery, AnomalyQuery, Numbered, PredictionQuery, SignalBatch, SignalPage,
};

/// Widths in minutes.
const WIDTHS: [i64; 2] = [1, 5];

/// A window: number of the symbol, width in minutes, and which one of that width.
type WindowPlace = (u32, i64, i64);

/// One thing that is done to a history.
#[derive(Clone, Debug)]
enum Op {
    /// Commits what these log positions did to these windows, dead letters, and reports: so many new ones behind so many
    /// that were there before. What is acknowledged stays behind the last of them.
    Write {
        changes: Vec<(Position, WindowPlace)>,
        letters: Vec<(u8, i64)>,
        new: Position,
        again: Position,
        behind: Position,
    },
    /// Walks through the ticks of a symbol in a range of seconds.
    Ticks { symbol: u32, start: i64, seconds: i64, page: usize },
    /// Commits anomalies (id, log position), predictions (time, horizon, model, price that came) and alerts (id, attempts,
    /// status).
    Signal {
        anomalies: Vec<(u64, u64)>,
        predictions: Vec<(i64, u32, u32, bool)>,
        alerts: Vec<(u64, u32, usize)>,
    },
    /// Reads bars, indicators and newest revisions of a symbol in a range of minutes.
    Windows { symbol: u32, width: i64, start: i64, minutes: i64, limit: usize },
    /// Reads everything page by page.
    Scan { page: usize },
    /// Walks through the dead letters of a reason and a symbol.
    Letters { reason: Option<u8>, symbol: Option<u32>, since: Option<i64>, page: usize },
    /// Walks through anomalies, predictions and alerts.
    Signals { symbol: Option<u32>, kind: usize, start: i64, seconds: i64, page: usize },
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let window = (0_u32..3, prop::sample::select(WIDTHS.to_vec()), 0_i64..5);
    let change = (1_u64..40, window);
    let letters = prop::collection::vec((0_u8..12, 0_i64..6), 0..4);
    let reports = (0_u64..9, 0_u64..6, 0_u64..5);
    let write = (prop::collection::vec(change, 0..12), letters, reports);
    let write = write.prop_map(|(mut changes, letters, (new, again, behind))| {
        // A batch is in log order.
        changes.sort_unstable();
        Op::Write { changes, letters, new, again, behind }
    });
    let signal = (
        prop::collection::vec((0_u64..8, 1_u64..20), 0..4),
        prop::collection::vec((0_i64..4, 1_u32..3, 1_u32..3, any::<bool>()), 0..4),
        prop::collection::vec((0_u64..8, 0_u32..3, 0_usize..4), 0..4),
    );
    let signal =
        signal.prop_map(|(anomalies, predictions, alerts)| Op::Signal { anomalies, predictions, alerts });
    let windows = (0_u32..3, prop::sample::select(WIDTHS.to_vec()), -2_i64..30, 0_i64..40, 1_usize..8);
    let windows = windows.prop_map(|(symbol, width, start, minutes, limit)| Op::Windows {
        symbol,
        width,
        start,
        minutes,
        limit,
    });
    let letters =
        (prop::option::of(0_u8..3), prop::option::of(0_u32..3), prop::option::of(0_i64..6), 1_usize..5);
    let letters =
        letters.prop_map(|(reason, symbol, since, page)| Op::Letters { reason, symbol, since, page });
    let signals = (prop::option::of(0_u32..2), 0_usize..4, -1_i64..4, 0_i64..5, 1_usize..4);
    let signals = signals.prop_map(|(symbol, kind, start, seconds, page)| Op::Signals {
        symbol,
        kind,
        start,
        seconds,
        page,
    });
    let ticks = (0_u32..3, -1_i64..6, 0_i64..8, 1_usize..6);
    let ticks = ticks.prop_map(|(symbol, start, seconds, page)| Op::Ticks { symbol, start, seconds, page });
    let op = prop_oneof![
        4 => write,
        1 => ticks,
        2 => signal,
        3 => windows,
        1 => (1_usize..6).prop_map(|page| Op::Scan { page }),
        1 => letters,
        2 => signals,
    ];
    prop::collection::vec(op, 1..24)
}

/// Returns what a log position made of a window: the same whenever it is said.
fn bar_of((log_pos, (symbol, width, at)): (Position, WindowPlace)) -> Bar {
    let state = if log_pos.is_multiple_of(5) { BarState::Void } else { BarState::Amended };
    Bar { volume: 1_250_000_000 + i128::from(log_pos), ..bar_at(symbol, width, at, state, log_pos) }
}

fn effects_of(change: (Position, WindowPlace)) -> Vec<Effect> {
    let bar = bar_of(change);
    match (bar.state, bar.log_pos % 4) {
        (BarState::Void, _) => vec![Effect::Bar(bar)],
        // An earlier bar changed: the indicators follow, the bar does not.
        (_, 3) => vec![Effect::Indicators(point_of(&bar))],
        _ => vec![Effect::Bar(bar), Effect::Indicators(point_of(&bar))],
    }
}

const REASONS: [&str; 3] = ["late", "bad_price", "malformed"];
const SYMBOLS: [&str; 3] = ["MSFT", "AAPL", "BTC-USD"];

/// Makes a dead letter: by its place in the log, by its origin, or by nothing that tells it apart.
fn letter_of((key, second): (u8, i64)) -> DeadLetterRecord {
    let reason = REASONS[usize::from(key) % 3].to_owned();
    let (pos, origin) = match key % 4 {
        0 | 1 => (Some(Position::from(key)), String::new()),
        2 => (None, format!("day.csv:{key}")),
        _ => (None, String::new()),
    };
    // What is known by a key says the same each time.
    let second = if pos.is_some() || !origin.is_empty() { i64::from(key) % 6 } else { second };
    DeadLetterRecord {
        reason,
        symbol: (key % 3 != 0).then(|| SYMBOLS[usize::from(key) % 3].to_owned()),
        provider: "file".to_owned(),
        received_at: Nanos(BEGIN + second * SECOND),
        payload: format!("{{\"key\":{key}}}"),
        pos,
        origin,
        id: 0,
    }
}

/// Returns the report at a position of the log.
fn report_at(pos: Position) -> AcceptedReport {
    let symbol = SymbolId(pos as u32 % 3);
    // Some at one time, some earlier than the one before.
    let ts = Nanos(BEGIN + (pos as i64 * 7 % 5) * SECOND + pos as i64 % 2 * 1_001);
    let trade = |id| Trade {
        ts,
        received: ts.plus(5_000_000).to_micros(),
        price: Price(150_250_000_000 + pos as i64 * if pos.is_multiple_of(4) { 1 << 45 } else { 1 }),
        size: Size(300_000_000 + pos as i64),
        seq: pos % 3,
        id,
        source: SourceId(pos as u16 % 2),
        updates: Updates::from_bits(7 - (pos % 2) as u8 * 4),
    };
    let body = match pos % 5 {
        0 => Body::Cancel(Cancel {
            ts,
            received: Nanos::MIN,
            target: TradeId::number(pos - 1),
            source: SourceId(0),
        }),
        1 => Body::Correction(Correction {
            target: TradeId::from_text(b"a-very-long-id-of-a-venue"),
            trade: trade(TradeId::from_text(format!("T{pos}").as_bytes())),
        }),
        _ => Body::Trade(trade(TradeId::number(pos))),
    };
    AcceptedReport { seq: (!pos.is_multiple_of(5)).then_some(pos), entry: Entry { pos, symbol, body } }
}

fn batch_of(
    changes: &[(Position, WindowPlace)],
    letters: &[(u8, i64)],
    reports: std::ops::RangeInclusive<Position>,
    acknowledged: Position,
) -> HistoryBatch {
    let effects: Vec<Effect> = changes.iter().copied().flat_map(effects_of).collect();
    HistoryBatch {
        effects: vec![Arc::new(effects)],
        reports: vec![Arc::new(reports.map(report_at).collect())],
        dead_letters: letters.iter().copied().map(letter_of).collect(),
        acknowledged,
    }
}

fn signals_of(
    anomalies: &[(u64, u64)],
    predictions: &[(i64, u32, u32, bool)],
    alerts: &[(u64, u32, usize)],
) -> SignalBatch {
    SignalBatch {
        anomalies: anomalies
            .iter()
            .map(|(id, log_pos)| anomaly_at(*id, (*id as i64 % 3) * SECOND, *log_pos))
            .collect(),
        predictions: predictions
            .iter()
            .map(|(second, horizon, model, has_come)| Prediction {
                actual_price: has_come.then_some(151.5),
                ..prediction_at(SYMBOLS[*horizon as usize % 2], second * SECOND, *horizon, *model)
            })
            .collect(),
        alerts: alerts
            .iter()
            .map(|(id, attempts, status)| {
                alert_at(*id, (*id as i64 % 3) * SECOND, *attempts, AlertStatus::ALL[*status])
            })
            .collect(),
    }
}

/// What a history should hold, as lists.
#[derive(Default)]
struct Model {
    bars: BTreeMap<(String, Width, Nanos), Bar>,
    /// `None` stands for the indicators of a void bar.
    points: BTreeMap<(String, Width, Nanos), (Position, Option<IndicatorPoint>)>,
    letters: Vec<DeadLetterRecord>,
    /// Reports up to here are there.
    reported: Position,
    acknowledged: Position,
    anomalies: Vec<Anomaly>,
    predictions: Vec<Prediction>,
    alerts: Vec<Alert>,
}

impl Model {
    fn write(&mut self, batch: &HistoryBatch) {
        let name = |symbol: SymbolId| SYMBOLS[symbol.index()].to_owned();
        for effect in batch.effects.iter().flat_map(|part| part.iter()) {
            match effect {
                Effect::Bar(bar) => {
                    let key = (name(bar.symbol), bar.width, bar.start);
                    let stored = self.bars.entry(key.clone()).or_insert(*bar);
                    if bar.log_pos >= stored.log_pos {
                        *stored = *bar;
                    }
                    if bar.state == BarState::Void {
                        self.put_point(key, bar.log_pos, None);
                    }
                }
                Effect::Indicators(point) => {
                    self.put_point(
                        (name(point.symbol), point.width, point.start),
                        point.log_pos,
                        Some(*point),
                    );
                }
                Effect::Anomaly(_) | Effect::DeadLetter(_) | Effect::Sealed(_) => {}
            }
        }
        for letter in &batch.dead_letters {
            let is_known = self.letters.iter().any(|known| match letter.pos {
                Some(pos) => known.pos == Some(pos),
                None => !letter.origin.is_empty() && known.pos.is_none() && known.origin == letter.origin,
            });
            if !is_known {
                self.letters.push(letter.clone());
            }
        }
        let reports = batch.reports.iter().flat_map(|part| part.iter());
        self.reported = reports.map(|report| report.entry.pos).fold(self.reported, Position::max);
        self.acknowledged = self.acknowledged.max(batch.acknowledged);
    }

    /// Makes the batch of a write as it follows on what there is.
    fn batch(&self, op: &Op) -> Option<HistoryBatch> {
        let Op::Write { changes, letters, new, again, behind } = op else { return None };
        let reports = self.reported.saturating_sub(*again) + 1..=self.reported + new;
        let acknowledged = reports.end().saturating_sub(*behind);
        Some(batch_of(changes, letters, reports, acknowledged))
    }

    fn put_point(&mut self, key: (String, Width, Nanos), log_pos: Position, point: Option<IndicatorPoint>) {
        let stored = self.points.entry(key).or_insert((log_pos, point));
        if log_pos >= stored.0 {
            *stored = (log_pos, point);
        }
    }

    fn signal(&mut self, batch: &SignalBatch) {
        for anomaly in &batch.anomalies {
            match self.anomalies.iter_mut().find(|known| known.id == anomaly.id) {
                Some(known) if anomaly.replaces(known) => *known = anomaly.clone(),
                Some(_) => {}
                None => self.anomalies.push(anomaly.clone()),
            }
        }
        for prediction in &batch.predictions {
            let key =
                |of: &Prediction| (of.symbol.clone(), of.time, of.horizon_minutes, of.model_version.clone());
            match self.predictions.iter_mut().find(|known| key(known) == key(prediction)) {
                Some(known) => _ = known.learn(prediction),
                None => self.predictions.push(prediction.clone()),
            }
        }
        for alert in &batch.alerts {
            match self.alerts.iter_mut().find(|known| known.id == alert.id) {
                Some(known) if alert.replaces(known) => *known = alert.clone(),
                Some(_) => {}
                None => self.alerts.push(alert.clone()),
            }
        }
    }

    fn bars(&self, symbol: u32, width: i64) -> Vec<Bar> {
        let of = |bar: &&Bar| bar.symbol == SymbolId(symbol) && bar.width.nanos() == width * MINUTE;
        self.bars.values().rev().filter(of).copied().collect()
    }

    fn points(&self, symbol: u32, width: i64) -> Vec<IndicatorPoint> {
        let points = self.points.values().rev().filter_map(|(_, point)| *point);
        points.filter(|of| of.symbol == SymbolId(symbol) && of.width.nanos() == width * MINUTE).collect()
    }
}

/// Returns rows newest first, those of one time in no order that matters here, so that lists of rows can be compared whose
/// stores numbered them in different orders.
fn ordered<T: std::fmt::Debug>(mut rows: Vec<T>, time: impl Fn(&T) -> Nanos) -> Vec<T> {
    rows.sort_by_key(|row| (Reverse(time(row)), format!("{row:?}")));
    rows
}

/// Walks all pages of a list by time; checks that times never rise.
async fn walk<T: Clone>(
    page: SignalPage,
    time: impl Fn(&T) -> Nanos,
    mut read: impl AsyncFnMut(SignalPage) -> Vec<Numbered<T>>,
) -> Vec<T> {
    let (mut rows, mut page) = (Vec::<T>::new(), page);
    loop {
        let found = read(page).await;
        assert!(found.len() <= page.limit);
        let Some(last) = found.last() else { return rows };
        page.before = Some((time(&last.row), last.number));
        for found in found {
            assert!(rows.last().is_none_or(|before| time(before) >= time(&found.row)));
            rows.push(found.row);
        }
    }
}

async fn apply(op: &Op, batch: Option<&HistoryBatch>, history: &dyn History, model: &Model) {
    match op {
        Op::Write { .. } => {
            let batch = batch.expect("a write has one");
            history.write(batch).await.expect("writes");
            assert_eq!(history.acknowledged().await.expect("knows"), model.acknowledged);
            assert_eq!(history.readable().await.expect("knows"), model.acknowledged);
        }
        Op::Signal { anomalies, predictions, alerts } => {
            history.write_signals(&signals_of(anomalies, predictions, alerts)).await.expect("writes");
        }
        Op::Windows { symbol, width, start, minutes, limit } => {
            let query = WindowQuery {
                symbol: SymbolId(*symbol),
                width: Width::new(width * MINUTE).expect("divides a day"),
                start: Nanos(start * MINUTE),
                end: Nanos((start + minutes) * MINUTE),
                limit: *limit,
            };
            let fits = |start: Nanos| start >= query.start && start.plus(width * MINUTE) <= query.end;
            let all = model.bars(*symbol, *width);
            let bars = all.iter().filter(|bar| bar.state != BarState::Void && fits(bar.start));
            let bars: Vec<Bar> = bars.take(*limit).copied().collect();
            assert_eq!(history.bars(&query).await.expect("reads"), bars, "{query:?}");
            let points = model.points(*symbol, *width);
            let points: Vec<IndicatorPoint> =
                points.into_iter().filter(|point| fits(point.start)).take(*limit).collect();
            assert_eq!(history.indicators(&query).await.expect("reads"), points, "{query:?}");
            let newest: Vec<Bar> = all.into_iter().take(*limit).collect();
            let revisions = history.revisions(query.symbol, query.width, *limit).await.expect("reads");
            assert_eq!(revisions, newest);
        }
        Op::Ticks { symbol, start, seconds, page } => {
            let mut query = TickQuery {
                symbol: SymbolId(*symbol),
                start: Nanos(BEGIN + start * SECOND),
                end: Nanos(BEGIN + (start + seconds) * SECOND + 1_000),
                before: None,
                limit: *page,
            };
            let mut found = Vec::new();
            // One that keeps no reports says so.
            let Some(mut rows) = history.ticks(&query).await.expect("reads") else { return };
            while let Some(last) = rows.last() {
                query.before = Some((last.body.time(), last.pos));
                found.extend(rows);
                rows = history.ticks(&query).await.expect("reads").expect("keeps them");
            }
            let mut expected: Vec<Entry> = (1..=model.reported)
                .map(|pos| report_at(pos).entry)
                .filter(|entry| entry.symbol == query.symbol)
                .filter(|entry| (query.start..=query.end).contains(&entry.body.time()))
                .collect();
            expected.sort_by_key(|entry| Reverse((entry.body.time(), entry.pos)));
            assert_eq!(found, expected);
        }
        Op::Scan { page } => {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let rows = history.scan(after, *page).await.expect("scans");
                let Some((last, _)) = rows.last() else { break };
                after = Some((last.symbol, last.width, last.start));
                found.extend(rows.into_iter().map(|(bar, point)| (bar, point.values)));
            }
            let shown = model.bars.iter().filter(|(_, bar)| bar.state != BarState::Void);
            let expected: Vec<(Bar, IndicatorValues)> = shown
                .map(|(key, bar)| {
                    let point = model.points.get(key).and_then(|(_, point)| *point);
                    (*bar, point.map(|point| point.values).unwrap_or_default())
                })
                .collect();
            assert_eq!(found, expected);
        }
        Op::Letters { reason, symbol, since, page } => {
            let mut query = DeadLetterQuery {
                reason: reason.map(|reason| REASONS[usize::from(reason)].to_owned()),
                symbol: symbol.map(|symbol| SYMBOLS[symbol as usize].to_owned()),
                start: since.map(|second| Nanos(BEGIN + second * SECOND)),
                before: None,
                limit: *page,
            };
            let mut found = Vec::new();
            loop {
                let rows = history.dead_letters(&query).await.expect("reads");
                let Some(last) = rows.last() else { break };
                query.before = Some((last.received_at, last.id));
                found.extend(rows.into_iter().map(|letter| DeadLetterRecord { id: 0, ..letter }));
            }
            let fits = |letter: &&DeadLetterRecord| {
                query.reason.as_ref().is_none_or(|reason| *reason == letter.reason)
                    && (query.symbol.is_none() || query.symbol == letter.symbol)
                    && query.start.is_none_or(|start| letter.received_at >= start)
            };
            let expected = model.letters.iter().filter(fits).cloned().collect();
            let received = |letter: &DeadLetterRecord| letter.received_at;
            assert!(found.is_sorted_by_key(|letter| Reverse(letter.received_at)));
            assert_eq!(ordered(found, received), ordered(expected, received));
        }
        Op::Signals { symbol, kind, start, seconds, page } => {
            let page = SignalPage {
                start: Nanos(BEGIN + start * SECOND),
                end: Nanos(BEGIN + (start + seconds) * SECOND),
                ..SignalPage::newest(*page)
            };
            let named = symbol.map(|symbol| SYMBOLS[symbol as usize].to_owned());
            let fits = |of: &str, time: Nanos| {
                named.as_ref().is_none_or(|name| name == of) && (page.start..=page.end).contains(&time)
            };
            let severity = Severity::ALL.get(*kind).copied().filter(|_| kind % 2 == 1);
            let read = async |page| {
                let query = AnomalyQuery { symbol: named.clone(), anomaly_type: None, severity, page };
                history.anomalies(&query).await.expect("reads")
            };
            let found = walk(page, |anomaly: &Anomaly| anomaly.time, read).await;
            let expected = model.anomalies.iter().filter(|of| fits(&of.symbol, of.time));
            let expected = expected.filter(|of| severity.is_none_or(|asked| asked == of.severity)).cloned();
            assert_eq!(ordered(found, |of| of.time), ordered(expected.collect(), |of| of.time));

            let status = AlertStatus::ALL.get(*kind).copied().filter(|_| kind % 2 == 0);
            let read = async |page| {
                let query = AlertQuery {
                    symbol: named.clone(),
                    anomaly_type: Some("price_spike".to_owned()),
                    severity: None,
                    channel: None,
                    status,
                    anomaly_id: None,
                    page,
                };
                history.alerts(&query).await.expect("reads")
            };
            let found = walk(page, |alert: &Alert| alert.time, read).await;
            let expected = model.alerts.iter().filter(|of| fits(&of.symbol, of.time));
            let expected = expected.filter(|of| status.is_none_or(|asked| asked == of.status)).cloned();
            assert_eq!(ordered(found, |of| of.time), ordered(expected.collect(), |of| of.time));

            for symbol in &SYMBOLS[..2] {
                let read = async |page| {
                    let query = PredictionQuery { symbol: (*symbol).to_owned(), page };
                    history.predictions(&query).await.expect("reads")
                };
                let found = walk(page, |prediction: &Prediction| prediction.time, read).await;
                let of_symbol = || model.predictions.iter().filter(|of| of.symbol == *symbol);
                let expected = of_symbol().filter(|of| (page.start..=page.end).contains(&of.time)).cloned();
                assert_eq!(ordered(found, |of| of.time), ordered(expected.collect(), |of| of.time));
                let newest = history.newest_predictions(symbol).await.expect("reads");
                let horizons: Vec<u32> = newest.iter().map(|of| of.horizon_minutes).collect();
                let mut expected: Vec<u32> = of_symbol().map(|of| of.horizon_minutes).collect();
                expected.sort_unstable();
                expected.dedup();
                assert_eq!(horizons, expected);
                for found in newest {
                    let of_horizon = of_symbol().filter(|of| of.horizon_minutes == found.horizon_minutes);
                    let times: Vec<Nanos> = of_horizon.clone().map(|of| of.time).collect();
                    assert_eq!(times.iter().max(), Some(&found.time));
                    assert!(of_horizon.into_iter().any(|of| *of == found));
                }
            }
        }
    }
}

/// Ages in the tests go by no clock: rows of 1970 are as good as others.
const NEVER: std::time::Duration = std::time::Duration::from_hours(24 * 36_500);

/// Makes the tables that all cases use one after another.
async fn migrated(database: &SharedPostgres) -> PostgresSettings {
    let settings = PostgresSettings::of_url(&database.url);
    let kept =
        MigrationSettings { retention_ticks: NEVER, retention_bars: NEVER, ..MigrationSettings::default() };
    Migration::begin(&settings, kept).await.expect("connects").apply().await.expect("makes the tables");
    settings
}

/// Empties the tables.
const EMPTY: &str = "TRUNCATE tick_data, aggregated_data, technical_indicators, void_bars, dead_letters, anomalies, \
                     predictions, alerts, symbols, progress";

async fn drive(ops: &[Op], history: &dyn History) {
    let mut model = Model::default();
    for op in ops {
        let batch = model.batch(op);
        if let Some(batch) = &batch {
            model.write(batch);
        }
        if let Op::Signal { anomalies, predictions, alerts } = op {
            model.signal(&signals_of(anomalies, predictions, alerts));
        }
        apply(op, batch.as_ref(), history, &model).await;
    }
}

#[test]
fn every_history_holds_what_a_list_would() {
    let database = SharedPostgres::take("property");
    let settings = database.as_ref().map(|database| run(migrated(database)));
    let mut runner = TestRunner::new(ProptestConfig::with_cases(32));
    let outcome = runner.run(&ops(), |ops| {
        run(async {
            let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
            let (symbols, sources) = (&names.symbols, &names.sources);
            let memory = MemoryHistory::new(Arc::clone(symbols), Arc::clone(sources), usize::MAX);
            drive(&ops, &memory).await;
            drive(&ops, &names.history(dir.path()).await.expect("opens")).await;
            if let (Some(database), Some(settings)) = (&database, &settings) {
                database.execute(EMPTY);
                let (symbols, sources) = (Arc::clone(symbols), Arc::clone(sources));
                let history = PostgresHistory::open(settings, symbols, sources, EPOCH).await.expect("opens");
                drive(&ops, &history).await;
                history.close().await.expect("closes");
            }
        });
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}
