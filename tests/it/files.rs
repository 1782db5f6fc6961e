//! Recorded trades as a whole: real recordings, every fault, and that nothing depends on how the input is cut.

use crate::support::skip::skipped_data;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tickwire::actors::ingest::file::{BadRow, FileError, FileInput, FileOptions, InputBatch};
use tickwire::models::asset_class::AssetClass;
use tickwire::models::entry::{Body, Entry, SourceId, TradeId, Updates};
use tickwire::models::num::{Price, Size};
use tickwire::models::symbol::SymbolSpec;
use tickwire::models::time::{MINUTE, Nanos, SECOND};
use tickwire::names::{SourceTable, SymbolTable};

const OPTIONS: FileOptions = FileOptions { symbols: None, symbols_max: 100, horizon: 5 * MINUTE, epoch: 7 };

/// What came of an input.
#[derive(Debug, Default)]
struct Outcome {
    entries: Vec<Entry>,
    bad_rows: Vec<BadRow>,
    rows: u64,
    skipped: u64,
    failure: Option<FileError>,
}

impl Outcome {
    fn reports(&self) -> Vec<Entry> {
        self.entries.iter().filter(|entry| !entry.body.is_broadcast()).copied().collect()
    }

    fn marks(&self) -> Vec<Nanos> {
        self.entries.iter().filter(|entry| entry.body.is_broadcast()).map(|entry| entry.body.time()).collect()
    }
}

fn open(paths: &[PathBuf]) -> Result<FileInput, FileError> {
    FileInput::open(paths, OPTIONS, Arc::default(), Arc::default())
}

fn drain(mut input: FileInput, max_rows: usize) -> Outcome {
    let mut outcome = Outcome::default();
    let mut batch = InputBatch::default();
    loop {
        match input.next_batch(max_rows, &mut batch) {
            Ok(true) => {
                assert!(batch.entries.len() <= 2 * max_rows, "at most an entry and a mark per row");
                outcome.entries.append(&mut batch.entries);
                outcome.bad_rows.append(&mut batch.bad_rows);
                (outcome.rows, outcome.skipped) = (batch.rows, batch.skipped);
            }
            Ok(false) => return outcome,
            Err(failure) => {
                outcome.failure = Some(failure);
                assert!(!input.next_batch(max_rows, &mut batch).expect("an error comes once"));
                return outcome;
            }
        }
    }
}

fn read(paths: &[PathBuf]) -> Outcome {
    drain(open(paths).expect("readable"), 1_000)
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/file").join(name)
}

/// Returns the folder of recordings; says so where there is none.
fn recordings() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("TICKWIRE_SHARED").map_or(beside, PathBuf::from).join("data");
    if !folder.is_dir() {
        skipped_data(&format!(
            "no recordings are in `{}`; TICKWIRE_SHARED names their folder",
            folder.display()
        ));
        return None;
    }
    Some(folder)
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().expect("writable"))
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).expect("writable");
        path
    }
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).expect("memory takes everything");
    encoder.finish().expect("memory takes everything")
}

fn trade(entry: &Entry) -> tickwire::models::entry::Trade {
    match entry.body {
        Body::Trade(trade) => trade,
        other => panic!("no trade: {other:?}"),
    }
}

#[test]
fn every_recording_is_read_to_the_last_row() {
    let Some(folder) = recordings() else { return };
    let readme = fs::read_to_string(folder.join("README.md")).expect("the recordings have a read-me");
    let mut num_files = 0;
    for line in
        readme.lines().filter(|line| line.contains("_trades.csv.gz` |") || line.contains("_mids.csv.gz` |"))
    {
        let mut cells = line.split('|').skip(1).map(|cell| cell.trim().trim_matches('`'));
        let (name, rows) = (cells.next().expect("a name"), cells.next().expect("a count"));
        let outcome = read(&[folder.join(name)]);
        assert!(
            outcome.failure.is_none() && outcome.bad_rows.is_empty(),
            "{name}: {:?}",
            outcome.bad_rows.first()
        );
        assert_eq!(outcome.reports().len().to_string(), rows, "{name}");
        assert!(outcome.marks().is_sorted() && !outcome.marks().is_empty(), "{name}");
        num_files += 1;
    }
    assert!(num_files >= 10, "the read-me lists {num_files} recordings");
}

#[test]
fn a_recording_reads_the_same_unpacked() {
    let Some(folder) = recordings() else { return };
    let packed = folder.join("crypto_coinbase_btcusd_20230905_trades.csv.gz");
    let mut plain = Vec::new();
    GzDecoder::new(File::open(&packed).expect("there")).read_to_end(&mut plain).expect("gzip");
    let dir = Folder::new();
    let plain = read(&[dir.file("plain.csv", plain)]);
    assert_eq!(plain.entries, read(&[packed]).entries);
    let first = trade(&plain.entries[0]);
    assert_eq!((first.price, first.size), (Price(25_741_020_000_000), Size(2_188_038)));
    assert_eq!((first.ts, first.id), (Nanos(1_693_929_601_281_719_000), TradeId::number(1)));
    assert_eq!(first.received, Nanos::MIN, "nobody knows when a row of a recording was received");
}

#[test]
fn every_kind_of_tick_is_read() {
    let (symbols, sources) = (Arc::new(SymbolTable::default()), Arc::new(SourceTable::default()));
    let input =
        FileInput::open(&[fixture("kinds.jsonl")], OPTIONS, Arc::clone(&symbols), Arc::clone(&sources));
    let outcome = drain(input.expect("readable"), 100);
    assert_eq!(outcome.bad_rows, []);
    assert_eq!((outcome.rows, outcome.skipped), (8, 1), "the control line is not for the log");
    let entries = outcome.reports();
    let file = SourceId(0);
    let polygon = SourceId(1);
    assert_eq!(sources.all(), ["file", "polygon"]);

    let plain = trade(&entries[0]);
    assert_eq!((plain.price, plain.size, plain.source), (Price(189_950_000_000), Size(10_000_000_000), file));
    assert_eq!((plain.id, plain.updates), (TradeId::from_text(b"A-1"), Updates::ALL));
    let full = trade(&entries[1]);
    assert_eq!((full.ts, full.seq, full.source), (Nanos(1_700_000_100_250_000_001), 9, polygon));
    assert_eq!((full.id, full.updates.as_str()), (TradeId::number(52), "hv"));
    assert_eq!(full.received, Nanos(1_700_000_100_300_000_000));
    let Body::Quote(quote) = entries[2].body else { panic!("{:?}", entries[2]) };
    assert_eq!((quote.bid, quote.ask), (Price(189_940_000_000), Price(189_980_000_000)));
    assert_eq!(
        (quote.bid_size, quote.ask_size, quote.ts),
        (Size(300_000_000), Size(0), Nanos(1_700_000_100_500_000_000))
    );
    let Body::Cancel(cancel) = entries[3].body else { panic!("{:?}", entries[3]) };
    assert_eq!((cancel.target, cancel.ts.0 / SECOND), (plain.id, 1_700_000_101));
    let Body::Correction(correction) = entries[4].body else { panic!("{:?}", entries[4]) };
    assert_eq!(
        (correction.target, correction.trade.id, correction.trade.source),
        (full.id, full.id, polygon)
    );
    assert_eq!(correction.trade.price, Price(189_960_000_000));
    let Body::VenueBar(bar) = entries[5].body else { panic!("{:?}", entries[5]) };
    assert_eq!((bar.start.0 / SECOND, bar.width_ms, bar.trade_count), (1_700_000_040, 60_000, 4));
    assert_eq!((bar.open.0, bar.high.0, bar.vwap.0), (1_000_000_000, 4_000_000_000, 2_500_000_000));
    let spaced = trade(&entries[6]);
    assert_eq!((spaced.price, spaced.size), (Price(150_000_000_000), Size(1)));
    let again = FileInput::open(
        &[fixture("kinds.jsonl")],
        FileOptions { epoch: 8, ..OPTIONS },
        symbols.clone(),
        sources,
    );
    let again = drain(again.expect("readable"), 100).reports();
    assert_eq!(trade(&again[6]).id, spaced.id, "the id that it is given follows from the file alone");
    assert_ne!(spaced.id, TradeId::given(7, 9));
    assert_eq!(symbols.spec(entries[6].symbol).name, "BTC-USD");
}

#[test]
fn what_is_wrong_with_a_row_is_said_and_stops_nothing() {
    let outcome = read(&[fixture("malformed.jsonl")]);
    let ids: Vec<String> = outcome.reports().iter().map(|entry| trade(entry).id.to_text()).collect();
    assert_eq!((ids[0].as_str(), ids[ids.len() - 1].as_str()), ("first", "last"));
    assert_eq!((ids.len(), trade(&outcome.reports()[1]).size), (3, Size(-500_000_000)));
    let expected = [
        ("malformed", "not a json object"),
        ("malformed", "not a json object"),
        ("malformed", "not a json object"),
        ("malformed", "`symbol` is missing"),
        ("malformed", "`symbol` is no symbol: `A B`"),
        ("malformed", "`symbol` is no text: `7`"),
        ("malformed", "`price` is missing"),
        ("malformed", "`price` is missing"),
        ("bad_price", "`price` is unusable, not a decimal number: `NaN`"),
        ("bad_price", "`price` is unusable, number does not fit: `1e30`"),
        ("bad_price", "number does not fit"),
        ("bad_size", "`size` is unusable, not a decimal number: `true`"),
        ("bad_size", "number does not fit"),
        ("malformed", "`timestamp` is missing"),
        ("malformed", "`ts` is no RFC 3339 time: `noon`"),
        ("bad_time", "`ts` is outside the range of nanoseconds"),
        ("malformed", "`ts_ns` is no integer of nanoseconds"),
        ("malformed", "`tick_type` is none of"),
        ("malformed", "`updates` is not made of"),
        ("malformed", "`ref_trade_id` is missing"),
        ("malformed", "`bid` is missing"),
        ("malformed", "`seq` is no count"),
    ];
    assert_eq!(outcome.bad_rows.len(), expected.len());
    for (row, (bad, (reason, message))) in (2..).zip(outcome.bad_rows.iter().zip(expected)) {
        assert_eq!(bad.record.reason, reason, "row {row}: {}", bad.fault);
        assert!(bad.fault.to_string().contains(message), "row {row}: {}", bad.fault);
        assert!(bad.record.origin.ends_with(&format!("malformed.jsonl:{row}")), "{}", bad.record.origin);
    }
    assert_eq!(outcome.bad_rows[8].record.symbol.as_deref(), Some("AAPL"));
    assert_eq!(outcome.bad_rows[0].record.payload, "not json");
}

#[test]
fn bytes_that_are_no_text_and_endless_rows_stop_nothing() {
    let dir = Folder::new();
    let mut csv = b"\xef\xbb\xbfts_ns,symbol,price,size,trade_id\r\n1,A,1,1,1\r\n2,A,1,1,\xff\r\n3,A,1,1\r\n4,A,,1,4\r\n".to_vec();
    csv.extend(std::iter::repeat_n(b'9', 3 << 20));
    csv.extend_from_slice(b"\r\n\r\n5,A,1,1,5");
    let outcome = read(&[dir.file("bad.csv", csv)]);
    let ids: Vec<TradeId> = outcome.reports().iter().map(|entry| trade(entry).id).collect();
    assert_eq!(ids, [TradeId::number(1), TradeId::number(5)]);
    let faults: Vec<String> = outcome.bad_rows.iter().map(|bad| bad.fault.to_string()).collect();
    assert_eq!(
        faults,
        [
            "row is not utf-8 text",
            "row has 4 columns, the header has 5",
            "`price` is missing",
            "row is longer than 1048576 bytes"
        ]
    );
    assert!(outcome.bad_rows[3].record.payload.len() <= 4_096);
    assert_eq!(outcome.rows, 6);
}

#[test]
fn files_that_cannot_be_read_say_what_to_do() {
    let dir = Folder::new();
    let quotes = dir.file("quotes.csv", "ts_ns,symbol,bid,ask\n1,A,1,2\n");
    let message = |paths: &[PathBuf]| open(paths).err().expect("unreadable").to_string();
    let header = message(&[quotes]);
    for part in ["quotes.csv", "row 1", "`price`, `size`, `trade_id`", "ts_ns,symbol,bid,ask"] {
        assert!(header.contains(part), "{header}");
    }
    for (name, text) in [("empty.csv", ""), ("blank.csv", "\n"), ("blank.csv", "  \r\n")] {
        let empty = message(&[dir.file(name, text)]);
        assert!(
            empty.contains(&format!("{name}` is empty"))
                && empty.contains("ts_ns,symbol,price,size,trade_id"),
            "{empty}"
        );
    }
    assert!(message(&[dir.0.path().join("none.csv")]).contains("check the path"));
    assert!(message(&[dir.0.path().to_owned()]).contains("cannot open"));
    assert!(message(&[]).contains("name at least one"));
    assert!(message(&["-".into(), "-".into()]).contains("twice"));
    assert_eq!(read(&[dir.file("empty.jsonl", "")]).rows, 0);
}

#[test]
fn a_cut_off_gzip_gives_what_stands_before_the_cut() {
    let dir = Folder::new();
    let mut rows = String::from("ts_ns,symbol,price,size,trade_id\n");
    for n in 0..20_000_u64 {
        rows.push_str(&format!("{},A,{}.{},1,{n}\n", n * 1_000_000, 1 + n * n % 89, n * 7919 % 997));
    }
    let whole = gzip(rows.as_bytes());
    let expected = read(&[dir.file("whole.csv.gz", &whole)]);
    assert_eq!((expected.rows, expected.failure.is_none()), (20_000, true));
    for (name, damaged) in [
        ("half.csv.gz", whole[..whole.len() / 2].to_vec()),
        ("crc.csv.gz", {
            let mut damaged = whole.clone();
            let at = damaged.len() - 6;
            damaged[at] ^= 1;
            damaged
        }),
    ] {
        let outcome = read(&[dir.file(name, damaged)]);
        assert!(outcome.rows > 1_000 && outcome.bad_rows.is_empty(), "{name}");
        assert_eq!(outcome.entries, expected.entries[..outcome.entries.len()], "{name}");
        let failure = outcome.failure.expect("a fault").to_string();
        assert!(
            failure.contains(name) && failure.contains(&format!("row {}", outcome.rows + 1)),
            "{failure}"
        );
    }
    let two_members = [gzip(b"ts_ns,symbol,price,size,trade_id\n1,A,1,1,1\n2,A,1"), gzip(b",1,2\n")].concat();
    assert_eq!(read(&[dir.file("members.csv.gz", two_members)]).reports().len(), 2);
}

#[test]
fn files_are_merged_by_time_and_keep_their_own_order() {
    let dir = Folder::new();
    let a = dir.file(
        "a.csv",
        "ts_ns,symbol,price,size,trade_id\n1000,A,1,1,1\n3000,A,1,1,2\n2000,A,1,1,3\n6000,A,1,1,4\n",
    );
    let b = dir.file("b.jsonl.gz", gzip(
        b"{\"symbol\":\"B\",\"price\":1,\"size\":1,\"ts_ns\":2500,\"id\":11}\nbad\n{\"symbol\":\"B\",\"price\":1,\"size\":1,\"ts_ns\":\"5000\",\"id\":12}\n",
    ));
    let c = dir.file("c.csv", "ts_ns,symbol,price,size,trade_id\n");
    let outcome = read(&[a, b, c]);
    let ids: Vec<String> = outcome.reports().iter().map(|entry| trade(entry).id.to_text()).collect();
    assert_eq!(ids, ["1", "11", "2", "3", "12", "4"]);
    assert_eq!((outcome.rows, outcome.bad_rows.len()), (7, 1));
}

#[test]
fn one_wrong_time_holds_up_no_file_and_moves_no_clock() {
    let dir = Folder::new();
    let file = |name: &str, symbol: &str, seconds: &[i64]| {
        let mut rows = String::from("ts_ns,symbol,price,size,trade_id\n");
        for second in seconds {
            rows.push_str(&format!("{},{symbol},1,1,{second}\n", second * SECOND));
        }
        dir.file(name, rows)
    };
    let wrong = 4_000_000;
    let a = file("a.csv", "A", &[wrong, 1_000, 1_002, wrong, 1_004, 50_000, 50_002]);
    let b = file("b.csv", "B", &[1_001, 1_003, 1_005, 50_001, 50_003]);
    let outcome = read(&[a, b]);
    let seconds: Vec<i64> = outcome.reports().iter().map(|entry| entry.body.time().0 / SECOND).collect();
    assert_eq!(
        seconds,
        [wrong, 1_000, 1_001, 1_002, wrong, 1_003, 1_004, 1_005, 50_000, 50_001, 50_002, 50_003]
    );
    let marks: Vec<i64> = outcome.marks().iter().map(|mark| mark.0 / SECOND).collect();
    // Two times agree with the third row only, and the earlier one counts.
    assert_eq!(marks, [1_000, 1_002, 1_003, 1_004, 1_005, 50_000, 50_002, 50_003]);
}

#[test]
fn symbols_keep_the_scale_they_have_and_others_are_left_out() {
    let symbols = Arc::new(SymbolTable::default());
    let scale = |n| tickwire::models::num::Scale::new(n).expect("at most 12");
    symbols.intern(SymbolSpec {
        price_scale: scale(2),
        size_scale: scale(0),
        asset_class: AssetClass::Equity,
        ..SymbolSpec::named("A")
    });
    let dir = Folder::new();
    let path =
        dir.file("a.csv", "ts_ns,symbol,price,size,trade_id\n1,A,1.005,7,1\n2,B,1,1,2\n3,A,1.015,7.5,3\n");
    let options = FileOptions { symbols: Some(vec!["a".to_owned()]), ..OPTIONS };
    let outcome =
        drain(FileInput::open(&[path], options, Arc::clone(&symbols), Arc::default()).expect("readable"), 10);
    let read: Vec<(Price, Size)> =
        outcome.reports().iter().map(|entry| (trade(entry).price, trade(entry).size)).collect();
    assert_eq!(read, [(Price(100), Size(7)), (Price(102), Size(8))], "half to even beyond the scale");
    assert_eq!((outcome.rows, outcome.skipped, symbols.len()), (3, 1, 1));
}

/// Rows of one file: mostly orderly, with late ones, wrong times, quiet nights and rows that cannot be read.
fn rows() -> impl Strategy<Value = String> {
    let step = prop_oneof![
        8 => (0_i64..800).prop_map(|ms| (ms, 0_i64)),
        2 => (-30_000_i64..0).prop_map(|ms| (0, ms)),
        1 => Just((0, 400_000_000)),
        1 => Just((7_200_000, 0)),
        1 => Just((0, i64::MIN)),
    ];
    prop::collection::vec((step, 0_usize..4, any::<bool>()), 0..60).prop_map(|steps| {
        let mut now = 1_700_000_000_000_i64;
        let mut text = String::new();
        for (n, ((forward, aside), symbol, has_id)) in steps.into_iter().enumerate() {
            now += forward;
            let symbol = ["AA", "BB", "CC-DD", "E"][symbol];
            text.push_str(&match aside {
                i64::MIN => "{\"symbol\":\n".to_owned(),
                _ if has_id => format!(
                    "{{\"symbol\":\"{symbol}\",\"price\":1.5,\"size\":2,\"ts\":{},\"id\":{n}}}\n",
                    now + aside
                ),
                _ => format!(
                    "{{\"symbol\": \"{symbol}\", \"price\": 1.5, \"size\": 2, \"ts\": {}}}\n",
                    now + aside
                ),
            });
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn neither_batches_nor_interruptions_change_the_log(
        files in prop::collection::vec(rows(), 1..4),
        max_rows in 1_usize..40,
        cut in any::<prop::sample::Index>(),
    ) {
        let dir = Folder::new();
        let paths: Vec<PathBuf> =
            files.iter().enumerate().map(|(n, rows)| dir.file(&format!("{n}.jsonl"), rows)).collect();
        let whole = read(&paths);
        prop_assert_eq!(whole.rows, files.iter().map(|rows| rows.lines().count() as u64).sum::<u64>());
        let in_pieces = drain(open(&paths).expect("readable"), max_rows);
        prop_assert_eq!(&in_pieces.entries, &whole.entries);
        prop_assert_eq!(&in_pieces.bad_rows, &whole.bad_rows);

        // Stop after some rows, open anew, go on.
        let first_rows = cut.index(whole.rows as usize + 1);
        let mut before = InputBatch::default();
        open(&paths).expect("readable").next_batch(first_rows, &mut before).expect("readable");
        let mut input = open(&paths).expect("readable");
        prop_assert_eq!(input.skip_rows(first_rows as u64).expect("readable"), first_rows as u64);
        let after = drain(input, max_rows);
        prop_assert_eq!([before.entries, after.entries].concat(), whole.entries);
        prop_assert_eq!([before.bad_rows, after.bad_rows].concat(), whole.bad_rows);
    }

    #[test]
    fn marks_never_go_back_and_stand_in_seconds_of_their_own(rows in rows()) {
        let dir = Folder::new();
        let marks = read(&[dir.file("rows.jsonl", rows)]).marks();
        prop_assert!(marks.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert!(marks.iter().all(|mark| mark.0 % SECOND == 0));
    }
}
