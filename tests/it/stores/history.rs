//! What every history promises, and what the one in SQLite promises besides.

use super::*;

fn minute(width: i64) -> Width {
    Width::new(width * MINUTE).expect("divides a day")
}

pub fn bar_at(symbol: u32, width: i64, at: i64, state: BarState, log_pos: Position) -> Bar {
    Bar {
        symbol: SymbolId(symbol),
        width: minute(width),
        start: Nanos(at * width * MINUTE),
        open: Price(10_500_000_000),
        high: Price(11_000_000_000),
        low: Price(10_000_000_000),
        close: Price(10_250_000_000 + log_pos as i64),
        volume: if log_pos.is_multiple_of(5) { i128::MAX - 3 } else { 1_250_000_000 },
        vwap: (state != BarState::Void).then_some(10_300_000_000),
        trade_count: 12,
        state,
        revision: 1,
        coverage: 0.75,
        late: 2,
        duplicates: 3,
        cancelled: 4,
        origin: [BarOrigin::Trades, BarOrigin::Quotes, BarOrigin::Vendor][log_pos as usize % 3],
        seq: log_pos + 1,
        log_pos,
    }
}

pub fn point_of(bar: &Bar) -> IndicatorPoint {
    let values = IndicatorValues {
        sma_20: Some(1.0 / 3.0),
        rsi_14: Some(bar.log_pos as f64 / 7.0),
        ..IndicatorValues::default()
    };
    let Bar { symbol, width, start, close, vwap, log_pos, .. } = *bar;
    IndicatorPoint { symbol, width, start, close, vwap, values, log_pos }
}

pub fn batch(effects: Vec<Effect>) -> HistoryBatch {
    let acknowledged = effects.iter().map(Effect::log_pos).max().unwrap_or(0);
    HistoryBatch { effects: vec![Arc::new(effects)], acknowledged, ..HistoryBatch::default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn batches_in_any_order_end_in_the_same_history(
        changes in prop::collection::vec((0_u32..3, prop::sample::select(vec![1_i64, 5]), 0_i64..4, 0_u8..3), 1..60),
        batches in prop::collection::vec((any::<prop::sample::Index>(), 1_usize..10), 0..20),
    ) {
        run(async {
            let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
            let mut effects = Vec::new();
            let mut bars: BTreeMap<(String, Width, Nanos), (Bar, Option<IndicatorPoint>)> = BTreeMap::new();
            for (log_pos, (symbol, width, at, kind)) in (1..).zip(&changes) {
                let state = if *kind == 0 { BarState::Void } else { BarState::Amended };
                let bar = bar_at(*symbol, *width, *at, state, log_pos);
                let key = (names.symbols.spec(bar.symbol).name.clone(), bar.width, bar.start);
                match kind {
                    0 => {
                        effects.push(Effect::Bar(bar));
                        bars.insert(key, (bar, None));
                    }
                    1 => {
                        effects.extend([Effect::Bar(bar), Effect::Indicators(point_of(&bar))]);
                        bars.insert(key, (bar, Some(point_of(&bar))));
                    }
                    // A bar before it changed: the indicators follow, the bar does not. A void bar has none.
                    _ => if let Some((bar, Some(point))) = bars.get_mut(&key) {
                        *point = IndicatorPoint { log_pos, ..point_of(bar) };
                        effects.push(Effect::Indicators(*point));
                    },
                }
            }
            // Some stretches come early and again, then everything in order, then some once more.
            for history in names.histories(dir.path()).await.all {
                let stretch = |(at, len): &(prop::sample::Index, usize)| {
                    let at = at.index(effects.len().max(1)).min(effects.len());
                    batch(effects[at..(at + len).min(effects.len())].to_vec())
                };
                let (early, again) = batches.split_at(batches.len() / 2);
                for part in early {
                    history.write(&stretch(part)).await.expect("writes");
                }
                for chunk in effects.chunks(7) {
                    history.write(&batch(chunk.to_vec())).await.expect("writes");
                }
                for part in again {
                    history.write(&stretch(part)).await.expect("writes");
                }
                let expected: Vec<(Bar, IndicatorPoint)> = bars.values()
                    .filter_map(|(bar, point)| Some((*bar, (*point)?)))
                    .collect();
                let (mut found, mut after) = (Vec::new(), None);
                loop {
                    let page = history.scan(after, 3).await.expect("scans");
                    let Some((last, _)) = page.last() else { break };
                    after = Some((last.symbol, last.width, last.start));
                    found.extend(page);
                }
                assert_eq!(found, expected);
                for (symbol, width) in [(0, 1), (1, 5), (2, 1)] {
                    let query = WindowQuery {
                        symbol: SymbolId(symbol), width: minute(width),
                        start: Nanos(MINUTE), end: Nanos(3 * width * MINUTE), limit: 2,
                    };
                    let mut wanted: Vec<&(Bar, IndicatorPoint)> = expected.iter().filter(|(bar, _)| {
                        (bar.symbol, bar.width) == (query.symbol, query.width)
                            && bar.start >= query.start && bar.end() <= query.end
                    }).collect();
                    wanted.reverse();
                    wanted.truncate(2);
                    let (wanted_bars, wanted_points): (Vec<Bar>, Vec<IndicatorPoint>) = wanted.into_iter().copied().unzip();
                    assert_eq!(history.bars(&query).await.expect("finds"), wanted_bars);
                    assert_eq!(history.indicators(&query).await.expect("finds"), wanted_points);
                }
                let last = effects.iter().map(Effect::log_pos).max().unwrap_or(0);
                assert_eq!(history.acknowledged().await.expect("knows"), last);
            }
        });
    }
}

#[test]
fn dead_letters_are_kept_once() {
    run(async {
        let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
        let late = DeadLetter {
            pos: 4,
            symbol: SymbolId(1),
            reason: DeadReason::Late,
            body: trade_at(4, 1, BEGIN).body,
        };
        let letter = |origin: &str, received_at| DeadLetterRecord {
            reason: "malformed".to_owned(),
            symbol: None,
            provider: "file".to_owned(),
            received_at: Nanos(received_at),
            payload: "?".to_owned(),
            pos: None,
            origin: origin.to_owned(),
            id: 0,
        };
        let batch = HistoryBatch {
            effects: vec![Arc::new(vec![Effect::DeadLetter(late)])],
            dead_letters: vec![letter("day.csv:7", BEGIN + SECOND), letter("day.csv:8", BEGIN - SECOND)],
            acknowledged: 4,
            ..HistoryBatch::default()
        };
        for history in names.histories(dir.path()).await.all {
            history.write(&batch).await.expect("writes");
            history.write(&batch).await.expect("writes");
            let query = DeadLetterQuery { limit: 10, ..DeadLetterQuery::default() };
            let all = history.dead_letters(&query).await.expect("finds");
            let origins: Vec<(&str, Option<Position>)> =
                all.iter().map(|letter| (letter.origin.as_str(), letter.pos)).collect();
            assert_eq!(origins, [("day.csv:7", None), ("", Some(4)), ("day.csv:8", None)]);
            assert_eq!(all[1].symbol.as_deref(), Some("AAPL"));
            for (query, expected) in [
                (DeadLetterQuery { reason: Some("late".to_owned()), ..query.clone() }, 1),
                (DeadLetterQuery { symbol: Some("AAPL".to_owned()), ..query.clone() }, 1),
                (DeadLetterQuery { start: Some(Nanos(BEGIN)), ..query.clone() }, 2),
                (DeadLetterQuery { limit: 2, ..query.clone() }, 2),
            ] {
                assert_eq!(history.dead_letters(&query).await.expect("finds").len(), expected, "{query:?}");
            }
            // New letters of any time, the same time too, neither repeat nor hide what a walk has still to come.
            let mut walked = Vec::new();
            let mut query = DeadLetterQuery { limit: 1, ..query };
            for number in 0.. {
                let page = history.dead_letters(&query).await.expect("finds");
                let Some(last) = page.first() else { break };
                query.before = Some((last.received_at, last.id));
                walked.push(last.origin.clone());
                if number < 2 {
                    let newer =
                        [letter(&format!("new:{number}"), last.received_at.0), letter("", BEGIN + DAY)];
                    let batch = HistoryBatch { dead_letters: newer.into(), acknowledged: 4, ..batch.clone() };
                    history.write(&batch).await.expect("writes");
                }
            }
            assert_eq!(walked, ["day.csv:7", "", "day.csv:8"]);
        }
        let sqlite = names.history(dir.path()).await.expect("opens");
        assert_eq!(sqlite.retain(Nanos(BEGIN).plus(365 * DAY)).await.expect("retains"), 1);
    });
}

#[test]
fn old_windows_are_dropped_and_another_log_is_refused() {
    run(async {
        let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
        let history = names.history(dir.path()).await.expect("opens");
        let mut effects = Vec::new();
        for (log_pos, at) in (1..).zip(0..10) {
            for symbol in 0..2 {
                let bar = bar_at(symbol, 1, at, BarState::Closed, log_pos);
                effects.extend([Effect::Bar(bar), Effect::Indicators(point_of(&bar))]);
            }
        }
        history.write(&batch(effects)).await.expect("writes");
        let now = Nanos(4 * MINUTE).plus(365 * DAY);
        assert_eq!(
            history.retain(now).await.expect("retains"),
            16,
            "four windows of two symbols end by then"
        );
        assert_eq!(history.scan(None, 100).await.expect("scans").len(), 12);
        drop(history);

        let history = names.history(dir.path()).await.expect("opens");
        assert_eq!(history.acknowledged().await.expect("knows"), 10);
        let Names { symbols, sources } = names;
        let other =
            SqliteHistory::open(dir.path(), symbols, sources, SqliteSettings::default(), EPOCH + 1).await;
        let refused = other.err().expect("refused");
        assert!(!refused.is_transient() && refused.to_string().contains("another log"), "{refused}");
    });
}

/// Returns what the view shows of a symbol's bar: close and volume.
async fn shown(dir: &Path, symbol: &str) -> (f64, f64) {
    let url = format!("sqlite://{}", dir.join("history.db").display());
    let mut conn = SqliteConnection::connect(&url).await.expect("connects");
    let row = sqlx::query_as("SELECT close, volume FROM aggregated_data WHERE symbol = ?").bind(symbol);
    row.fetch_one(&mut conn).await.expect("one bar")
}

#[test]
fn views_show_prices_by_what_the_log_said_last_of_a_symbol() {
    let definition = SymbolDefinition {
        price_scale: Scale::new(2).expect("valid"),
        size_scale: Scale::new(0).expect("valid"),
        asset_class: AssetClass::Equity,
        price: PriceSource::Trade,
        venue_symbol: VenueSymbol::default(),
    };
    // Which of the files came to know it before the process ended.
    for (is_log_told, is_history_told) in [(true, true), (true, false), (false, true)] {
        run(async {
            let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
            let log = names.log(dir.path(), SqliteSettings::default()).await.expect("opens");
            let history = names.history(dir.path()).await.expect("opens");
            // Both files have all symbols from here on, with the decimals that these have without a word of the log.
            log.append(&trades(1..=1)).await.expect("appends");
            let other = Bar { log_pos: 1, ..bar_at(0, 1, 1, BarState::Closed, 1) };
            history.write(&batch(vec![Effect::Bar(other)])).await.expect("writes");
            names.symbols.define(SymbolId(1), &definition);
            if is_log_told {
                log.append(&trades(2..=2)).await.expect("appends");
            }
            let bar = Bar { close: Price(12_345), volume: 7, ..bar_at(1, 1, 1, BarState::Closed, 2) };
            if is_history_told {
                history.write(&batch(vec![Effect::Bar(bar)])).await.expect("writes");
                assert_eq!(shown(dir.path(), "AAPL").await, (123.45, 7.0));
            }
            drop((log, history));

            let names = Names::new();
            let log = names.log(dir.path(), SqliteSettings::default()).await.expect("opens");
            let history = names.history(dir.path()).await.expect("opens");
            let symbol = names.symbols.get("AAPL").expect("known");
            // As the core does when it reads the log again.
            names.symbols.define(symbol, &definition);
            let again = Bar { symbol, log_pos: 3, close: Price(12_346), ..bar };
            history.write(&batch(vec![Effect::Bar(again)])).await.expect("writes");
            assert_eq!(shown(dir.path(), "AAPL").await, (123.46, 7.0), "{is_log_told}, {is_history_told}");
            log.append(&trades(3..=3)).await.expect("appends");
            drop((log, history));
            names_agree(dir.path()).await;
        });
    }
}

/// Checks that both files say the same of every symbol.
async fn names_agree(dir: &Path) {
    let mut said = Vec::new();
    for file in ["log.db", "history.db"] {
        let url = format!("sqlite://{}", dir.join(file).display());
        let mut conn = SqliteConnection::connect(&url).await.expect("connects");
        let sql = "SELECT name, price_scale, size_scale, asset_class FROM symbols ORDER BY name";
        let rows: Vec<(String, i64, i64, String)> =
            sqlx::query_as(sql).fetch_all(&mut conn).await.expect("reads");
        said.push(rows);
    }
    assert_eq!((said[0].len(), &said[0]), (3, &said[1]));
}
