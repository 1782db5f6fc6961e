//! What every log promises, and what the one in SQLite promises besides.

use super::*;
use tickwire::models::detection::document::Document;

fn arb_id() -> impl Strategy<Value = TradeId> {
    prop_oneof![
        any::<u64>().prop_map(TradeId::number),
        (any::<u32>(), any::<u64>()).prop_map(|(epoch, counter)| TradeId::given(epoch, counter)),
        "[ -~]{0,40}".prop_map(|text| TradeId::from_text(text.as_bytes())),
        prop::collection::vec(any::<u8>(), 0..16).prop_map(|text| TradeId::from_text(&text)),
        any::<u64>().prop_map(|number| TradeId::number(number).corrected()),
        (any::<u64>(), any::<u64>()).prop_map(|(hi, lo)| TradeId::from_words(hi, lo)),
    ]
}

fn arb_definition() -> impl Strategy<Value = SymbolDefinition> {
    let scale = || (0_u8..=12).prop_map(|decimals| Scale::new(decimals).expect("at most 12"));
    let prices = vec![PriceSource::Trade, PriceSource::Mid, PriceSource::Bid, PriceSource::Ask];
    let classes = vec![AssetClass::Equity, AssetClass::Pair, AssetClass::Future, AssetClass::Unknown];
    let (prices, classes) = (prop::sample::select(prices), prop::sample::select(classes));
    (scale(), scale(), classes, prices, "[ -~]{0,32}").prop_map(
        |(price_scale, size_scale, asset_class, price, spelling)| SymbolDefinition {
            price_scale,
            size_scale,
            asset_class,
            price,
            venue_symbol: VenueSymbol::new(&spelling).expect("short enough"),
        },
    )
}

fn arb_time() -> impl Strategy<Value = Nanos> {
    prop_oneof![
        (0_i64..DAY).prop_map(|after| Nanos(BEGIN + after)),
        any::<i64>().prop_map(Nanos),
        Just(Nanos::MIN),
        Just(Nanos::MAX),
    ]
}

fn arb_source() -> impl Strategy<Value = SourceId> {
    prop_oneof![Just(SourceId(0)), Just(SourceId(1)), Just(SourceId::ANY)]
}

fn arb_trade() -> impl Strategy<Value = Trade> {
    let seq = prop_oneof![Just(0), any::<u64>()];
    (arb_time(), arb_time(), any::<i64>(), any::<i64>(), seq, arb_id(), arb_source(), any::<u8>()).prop_map(
        |(ts, received, price, size, seq, id, source, updates)| {
            let updates = Updates::from_bits(updates);
            Trade { ts, received, price: Price(price), size: Size(size), seq, id, source, updates }
        },
    )
}

fn arb_body() -> impl Strategy<Value = Body> {
    let numbers = any::<[i64; 6]>;
    prop_oneof![
        arb_trade().prop_map(Body::Trade),
        (arb_time(), arb_time(), arb_id(), arb_source())
            .prop_map(|(ts, received, target, source)| Body::Cancel(Cancel { ts, received, target, source })),
        (arb_id(), arb_trade()).prop_map(|(target, trade)| Body::Correction(Correction { target, trade })),
        (arb_time(), arb_time(), numbers(), arb_source()).prop_map(|(ts, received, n, source)| {
            let (bid, ask, bid_size, ask_size) = (Price(n[0]), Price(n[1]), Size(n[2]), Size(n[3]));
            Body::Quote(Quote { ts, received, bid, ask, bid_size, ask_size, source })
        }),
        (arb_time(), arb_time(), numbers(), any::<(u32, u32)>(), arb_source()).prop_map(
            |(start, received, n, (trade_count, width_ms), source)| {
                let [open, high, low, close, vwap] = [n[0], n[1], n[2], n[3], n[4]].map(Price);
                let volume = Size(n[5]);
                Body::VenueBar(VenueBar {
                    start,
                    received,
                    open,
                    high,
                    low,
                    close,
                    volume,
                    vwap,
                    trade_count,
                    width_ms,
                    source,
                })
            }
        ),
        (arb_source(), arb_time(), arb_time(), any::<bool>())
            .prop_map(|(source, from, to, filled)| Body::Gap(Gap { source, from, to, filled })),
        (arb_source(), arb_time()).prop_map(|(source, from)| Body::SourceInCharge { source, from }),
        (arb_source(), arb_time(), arb_definition())
            .prop_map(|(source, received, definition)| Body::Symbol { source, received, definition }),
        (arb_source(), arb_time()).prop_map(|(source, time)| Body::ClockMark { source, time }),
        (arb_time(), "[ -~]{0,40}").prop_map(|(at, text)| {
            let document = Document::new(&text).expect("short");
            Body::Detection { at, document }
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn every_entry_comes_back_as_it_was(
        bodies in prop::collection::vec((arb_body(), 0_u32..3, 1_u64..1_000), 1..200),
        group_len in 1_usize..80,
    ) {
        run(async {
            let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
            let log = names.log(dir.path(), small_parts(60)).await.expect("opens");
            let mut pos = 0;
            let entries: Vec<Entry> = bodies.iter().map(|(body, symbol, step)| {
                pos += step;
                let symbol = if body.is_broadcast() { SymbolId::NONE } else { SymbolId(*symbol) };
                Entry { pos, symbol, body: *body }
            }).collect();
            for chunk in entries.chunks(group_len) {
                log.append(&LogGroup { entries: chunk.to_vec(), progress: None }).await.expect("appends");
            }
            assert_eq!(read_all(&log).await, entries);
            let tail = log.tail().await.expect("knows");
            assert_eq!((tail.first, tail.last), (entries[0].pos, pos));

            drop(log);
            let names = Names::new();
            let log = names.log(dir.path(), small_parts(60)).await.expect("opens");
            assert_eq!(names.symbols.get("BTC-USD"), Some(SymbolId(2)), "ids are those of before");
            assert_eq!(log.tail().await.expect("knows"), tail);
            assert_eq!(read_all(&log).await, entries);
        });
    }

    #[test]
    fn ticks_are_those_of_a_sorted_list(
        ticks in prop::collection::vec((0_i64..200, 0_u32..3, prop::bool::weighted(0.9)), 1..400),
        part_entries in 20_u64..200,
        (start, end, limit) in (0_i64..100, 50_i64..250, 1_usize..40),
    ) {
        run(async {
            let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
            let entries: Vec<Entry> = (1..).zip(&ticks).map(|(pos, (ts, symbol, is_trade))| {
                let tick = trade_at(pos, *symbol, BEGIN + ts);
                let mark = Body::ClockMark { source: SourceId::ANY, time: Nanos(BEGIN + ts) };
                if *is_trade { tick } else { Entry { pos, symbol: SymbolId::NONE, body: mark } }
            }).collect();
            for log in names.logs(dir.path(), small_parts(part_entries)).await {
                for chunk in entries.chunks(17) {
                    log.append(&LogGroup { entries: chunk.to_vec(), progress: None }).await.expect("appends");
                }
                for symbol in (0..3).map(SymbolId) {
                    let (start, end) = (Nanos(BEGIN + start), Nanos(BEGIN + end));
                    let mut expected: Vec<Entry> = entries.iter().copied()
                        .filter(|entry| entry.symbol == symbol)
                        .filter(|entry| (start..=end).contains(&entry.body.time()))
                        .collect();
                    expected.sort_by_key(|entry| std::cmp::Reverse((entry.body.time(), entry.pos)));
                    let (mut found, mut before) = (Vec::new(), None);
                    loop {
                        let query = TickQuery { symbol, start, end, before, limit };
                        let page = log.ticks(&query).await.expect("finds");
                        assert!(page.len() <= limit);
                        let Some(last) = page.last() else { break };
                        before = Some((last.body.time(), last.pos));
                        found.extend(page);
                    }
                    assert_eq!(found, expected);
                }
            }
        });
    }
}

#[test]
fn ticks_are_found_across_whole_blocks() {
    run(async {
        let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
        let log = names.log(dir.path(), SqliteSettings::default()).await.expect("opens");
        // One symbol ticks once at the beginning, another one all the time: two blocks are written, one is open.
        log.append(&LogGroup { entries: vec![trade_at(1, 1, BEGIN)], progress: None })
            .await
            .expect("appends");
        for group in 0..14_u64 {
            let positions = group * 10_000 + 2..=group * 10_000 + 10_001;
            let entries = positions.map(|pos| trade_at(pos, 0, BEGIN + pos as i64)).collect();
            log.append(&LogGroup { entries, progress: None }).await.expect("appends");
        }
        drop(log);
        let log = names.log(dir.path(), SqliteSettings::default()).await.expect("opens");
        let query = |symbol, limit| TickQuery {
            symbol: SymbolId(symbol),
            start: Nanos::MIN,
            end: Nanos::MAX,
            before: None,
            limit,
        };
        let newest = log.ticks(&query(0, 20_000)).await.expect("finds");
        let positions: Vec<Position> = newest.iter().map(|entry| entry.pos).collect();
        assert_eq!(positions, (120_002..=140_001).rev().collect::<Vec<_>>());
        assert_eq!(log.ticks(&query(1, 5)).await.expect("finds").len(), 1);
        let cursor = TickQuery { before: Some((Nanos(BEGIN + 3), 3)), ..query(0, 5) };
        assert_eq!(log.ticks(&cursor).await.expect("finds").len(), 1, "only the tick at 2 is older");
    });
}

#[test]
fn a_log_goes_on_where_it_stopped() {
    run(async {
        let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
        let log = names.log(dir.path(), small_parts(25)).await.expect("opens");
        assert_eq!(log.tail().await.expect("knows").newest, None);
        let progress = |value: &[u8]| Some(Progress { key: "day.csv".to_owned(), value: value.to_vec() });
        log.append(&LogGroup { progress: progress(b"40"), ..trades(1..=40) }).await.expect("appends");
        log.append(&LogGroup { progress: progress(b"end"), entries: Vec::new() }).await.expect("appends");
        log.mark_poison(Partition::EMBEDDED, 17).await.expect("marks");
        log.mark_poison(Partition::EMBEDDED, 17).await.expect("marks");
        let tail = log.tail().await.expect("knows");
        assert_eq!(tail.newest, Some(Nanos(BEGIN + 40_000)));
        drop(log);

        let log = names.log(dir.path(), small_parts(25)).await.expect("opens");
        assert_eq!(log.tail().await.expect("knows"), tail);
        assert_eq!(log.progress("day.csv").await.expect("knows").as_deref(), Some(&b"end"[..]));
        assert_eq!(log.progress("other.csv").await.expect("knows"), None);
        assert_eq!(log.poison(Partition::EMBEDDED).await.expect("knows"), [17]);
        let again = log.append(&trades(40..=45)).await.expect_err("position 40 is taken");
        assert!(!again.is_transient(), "{again}");
        names.symbols.intern(SymbolSpec::named("NEW"));
        let entry = trade_at(41, 3, BEGIN);
        log.append(&LogGroup { entries: vec![entry], progress: None }).await.expect("appends");
        assert_eq!(log.read(40, 9).await.expect("reads"), [entry]);

        let other = tempfile::tempdir().expect("a directory");
        let other = names.log(other.path(), small_parts(25)).await.expect("opens");
        assert_ne!(other.tail().await.expect("knows").epoch, tail.epoch);
    });
}

#[test]
fn a_log_gives_back_what_it_was_told() {
    run(async {
        let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
        for log in names.logs(dir.path(), small_parts(25)).await {
            let tail = log.tail().await.expect("knows");
            assert_eq!((tail.last, tail.newest), (0, None));
            let progress = |value: &[u8]| Some(Progress { key: "day.csv".to_owned(), value: value.to_vec() });
            log.append(&LogGroup { progress: progress(b"40"), ..trades(1..=40) }).await.expect("appends");
            log.append(&LogGroup { progress: progress(b"end"), entries: Vec::new() }).await.expect("appends");
            let tail = log.tail().await.expect("knows");
            assert_eq!((tail.last, tail.newest), (40, Some(Nanos(BEGIN + 40_000))));
            assert_eq!(log.progress("day.csv").await.expect("knows").as_deref(), Some(&b"end"[..]));
            assert_eq!(log.progress("other.csv").await.expect("knows"), None);
            for _ in 0..2 {
                log.mark_poison(Partition(2), 17).await.expect("marks");
            }
            assert_eq!(log.poison(Partition(2)).await.expect("knows"), [17]);
            let again = log.append(&trades(40..=45)).await.expect_err("position 40 is taken");
            assert!(!again.is_transient(), "{again}");
            assert_eq!(log.tail().await.expect("knows"), tail, "nothing of it is there");
            log.append(&trades(50..=55)).await.expect("a position may be left out");
            assert_eq!(log.damage(), None);
            log.close().await.expect("closes");
        }
    });
}

#[test]
fn names_met_in_another_order_are_translated() {
    run(async {
        let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
        let log = names.log(dir.path(), small_parts(5)).await.expect("opens");
        for first in [1, 7, 13] {
            log.append(&trades(first..=first + 5)).await.expect("appends");
        }
        drop(log);

        let names = Names::new();
        for name in ["NEW", "BTC-USD", "AAPL"] {
            names.symbols.intern(SymbolSpec::named(name));
        }
        names.sources.intern("other");
        let log = names.log(dir.path(), small_parts(5)).await.expect("opens");
        let aapl = names.symbols.get("AAPL").expect("known");
        let entries = log.read(0, 100).await.expect("reads");
        for entry in &entries {
            let name = ["MSFT", "AAPL", "BTC-USD"][(entry.pos % 3) as usize];
            assert_eq!(names.symbols.spec(entry.symbol).name, name);
            assert_eq!(names.sources.name(entry.body.source()), "simulated");
        }
        let query = TickQuery { symbol: aapl, start: Nanos::MIN, end: Nanos::MAX, before: None, limit: 100 };
        assert_eq!(log.ticks(&query).await.expect("finds").len(), 6);
        let new = Entry { symbol: names.symbols.get("NEW").expect("known"), ..trade_at(19, 0, BEGIN) };
        log.append(&LogGroup { entries: vec![new], progress: None }).await.expect("appends");
        assert_eq!(log.read(18, 9).await.expect("reads"), [new]);

        let other = Names::new();
        let scale = Scale::new(2).expect("valid");
        other.symbols.intern(SymbolSpec {
            price_scale: scale,
            asset_class: AssetClass::Equity,
            ..SymbolSpec::named("AAPL")
        });
        let refused = other.log(dir.path(), small_parts(5)).await.err().expect("refused");
        assert!(!refused.is_transient() && refused.to_string().contains("`AAPL`"), "{refused}");
    });
}

#[test]
fn the_two_newest_checkpoints_of_a_partition_are_kept() {
    run(async {
        let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
        // Names that neither the process nor the file has seen: a store needs no numbers.
        let checkpoint =
            |symbol: &str, pos| Checkpoint { symbol: symbol.into(), pos, bytes: vec![pos as u8] };
        let set = |slice, covers_through: u64, checkpoints| CheckpointSet {
            slice,
            covers_through,
            context: vec![covers_through as u8],
            checkpoints,
        };
        let sets = [
            set(0, 3, vec![checkpoint("NEW", 3)]),
            set(0, 6, vec![checkpoint("NEW", 5)]),
            set(2, 7, vec![checkpoint("ALSO", 6)]),
            set(0, 9, vec![checkpoint("NEW", 8)]),
            set(0, 12, Vec::new()),
        ];
        let (here, elsewhere) = (Partition(3), Partition(4));
        for log in names.logs(dir.path(), SqliteSettings::default()).await {
            log.append(&trades(1..=12)).await.expect("appends");
            for set in &sets {
                log.save_checkpoints(here, set).await.expect("saves");
            }
            log.save_checkpoints(here, &sets[4]).await.expect("a repeat is no new set");
            log.save_checkpoints(elsewhere, &sets[0]).await.expect("saves");
            let found = log.load_checkpoints(here).await.expect("loads");
            assert_eq!((found.slices.len(), found.relied_on), (NUM_SLICES as usize, Some(12)));
            let header = |covers_through: u64| SetHeader {
                covers_through,
                context: if covers_through == 0 { vec![] } else { vec![covers_through as u8] },
            };
            let expected = [[header(12), header(9)], [header(0), header(0)], [header(7), header(0)]];
            assert_eq!(found.slices[..3], expected);
            let of_new = vec![checkpoint("NEW", 8), checkpoint("NEW", 5)];
            assert_eq!(found.symbols, [vec![checkpoint("ALSO", 6)], of_new.clone()]);
            assert_eq!(log.checkpoints_of(here, "NEW").await.expect("loads"), of_new);
            assert_eq!(log.checkpoints_of(here, "NONE").await.expect("loads"), []);
            let found = log.load_checkpoints(elsewhere).await.expect("loads");
            assert_eq!((found.symbols, found.relied_on), (vec![vec![checkpoint("NEW", 3)]], Some(3)));
        }
    });
}

#[test]
fn retention_drops_whole_parts_that_nobody_needs() {
    run(async {
        let (dir, names) = (tempfile::tempdir().expect("a directory"), Names::some());
        let log = names.log(dir.path(), small_parts(10)).await.expect("opens");
        for first in [1, 11, 21, 31] {
            log.append(&trades(first..=first + 9)).await.expect("appends");
        }
        let (now, later) = (wall_clock(), wall_clock().plus(8 * DAY));
        assert_eq!(log.retain(now, 100).await.expect("retains"), 0, "nothing is old yet");
        assert_eq!(log.retain(later, 20).await.expect("retains"), 10, "the entry at 20 is needed");
        assert_eq!(log.tail().await.expect("knows").first, 11);
        assert_eq!(log.retain(later, 100).await.expect("retains"), 20, "the newest part stays");
        assert_eq!(log.retain(later, 100).await.expect("retains"), 0);
        assert_eq!(read_all(&log).await, trades(31..=40).entries);
        let query =
            TickQuery { symbol: SymbolId(1), start: Nanos::MIN, end: Nanos::MAX, before: None, limit: 100 };
        assert_eq!(log.ticks(&query).await.expect("finds").len(), 4);
        let tail = log.tail().await.expect("knows");
        assert_eq!((tail.first, tail.last), (31, 40));
        drop(log);
        let settings = SqliteSettings { retention_ticks_bytes: 0, ..small_parts(10) };
        let log = names.log(dir.path(), settings).await.expect("opens");
        assert_eq!(log.tail().await.expect("knows"), tail);
        log.append(&trades(41..=42)).await.expect("appends");
        assert_eq!(log.retain(now, 100).await.expect("retains"), 10, "more bytes than allowed");
        log.append(&trades(43..=44)).await.expect("appends");
        assert_eq!(read_all(&log).await, trades(41..=44).entries);
    });
}

const CHILD_DIR: &str = "TICKWIRE_TEST_CHILD_DIR";

/// Not a test of its own: the process that [`what_was_acknowledged_survives_a_kill`] kills.
#[test]
fn child_that_appends_until_it_is_killed() {
    let Ok(dir) = std::env::var(CHILD_DIR) else { return };
    run(async {
        let log = Names::some().log(Path::new(&dir), small_parts(2_000)).await.expect("opens");
        let mut last = 0;
        loop {
            let group_len = last % 37 + 1;
            log.append(&trades(last + 1..=last + group_len)).await.expect("appends");
            last += group_len;
            // Straight to the pipe: what the harness captures would be lost.
            writeln!(std::io::stdout(), " {last}").expect("the parent reads");
        }
    });
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut child = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", "stores::log::child_that_appends_until_it_is_killed", "--nocapture"])
        .env(CHILD_DIR, dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut acknowledged: Position = 0;
    for line in stdout.lines() {
        let line = line.expect("text");
        let Some(last) = line.rsplit(' ').next().and_then(|word| word.parse().ok()) else { continue };
        acknowledged = last;
        if acknowledged > 5_000 {
            child.kill().expect("is alive");
        }
    }
    child.wait().expect("ends");
    assert!(acknowledged > 5_000, "the child ended early");
    run(async {
        let names = Names::new();
        let log = names.log(dir.path(), small_parts(2_000)).await.expect("opens");
        let last = log.tail().await.expect("knows").last;
        assert!(last >= acknowledged, "{acknowledged} was acknowledged, {last} is there");
        assert_eq!(log.read(0, usize::MAX).await.expect("reads"), trades(1..=last).entries);
        let query = TickQuery {
            symbol: SymbolId(0),
            start: Nanos::MIN,
            end: Nanos::MAX,
            before: None,
            limit: usize::MAX,
        };
        assert_eq!(log.ticks(&query).await.expect("finds").len(), last as usize / 3);
        log.append(&trades(last + 1..=last + 9)).await.expect("goes on");
    });
}
