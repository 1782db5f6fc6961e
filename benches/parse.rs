//! Cost of a line: recorded trades from text to entries, without the disk.
//!
//! Run with `cargo bench --bench parse`. `TICKWIRE_BENCH_FILE` names a file to be read whole instead of a generated one.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tickwire::actors::ingest::file::{FileInput, FileOptions, InputBatch};
use tickwire::models::time::MINUTE;

const NUM_ROWS: u64 = 200_000;

#[derive(Clone, Copy)]
enum Form {
    Json,
    SpacedJson,
    Csv,
}

fn write_rows(path: &Path, form: Form) {
    let mut text = String::new();
    if let Form::Csv = form {
        text.push_str("ts_ns,symbol,price,size,trade_id\n");
    }
    for n in 0..NUM_ROWS {
        let symbol = ["AAPL", "MSFT", "NVDA", "QAEX", "QCZX", "V", "TSLA"][(n * n % 7) as usize];
        let (whole, rest, size) = (100 + n % 400, n * 7919 % 10_000, 1 + n * 31 % 999);
        let ts = 1_700_000_100_000 + n * 4;
        match form {
            Form::Json => writeln!(
                text,
                r#"{{"symbol":"{symbol}","price":{whole}.{rest:04},"size":{size},"ts":{ts},"id":"{symbol}-{n:09}"}}"#
            ),
            Form::SpacedJson => writeln!(
                text,
                r#"{{"symbol": "{symbol}", "price": {whole}.{rest:04}, "size": {size}, "ts": {ts}, "id": "{symbol}-{n:09}"}}"#
            ),
            Form::Csv => writeln!(text, "{ts}000000,{symbol},{whole}.{rest:04},{size},{n}"),
        }
        .expect("strings take everything");
    }
    std::fs::write(path, text).expect("the folder is writable");
}

fn open(path: &Path) -> FileInput {
    let options = FileOptions { symbols: None, symbols_max: 100, horizon: 5 * MINUTE, epoch: 0 };
    FileInput::open(&[PathBuf::from(path)], options, Default::default(), Default::default())
        .expect("readable")
}

fn read_all(mut input: FileInput, batch: &mut InputBatch) -> u64 {
    while input.next_batch(4_096, batch).expect("readable") {
        std::hint::black_box(&batch.entries);
    }
    batch.rows
}

fn parse(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("the folder is writable");
    let mut group = c.benchmark_group("parse");
    group.measurement_time(Duration::from_secs(5)).sample_size(20);
    let mut batch = InputBatch::default();
    let mut files = Vec::new();
    for (name, form) in [("json", Form::Json), ("json_spaced", Form::SpacedJson), ("csv", Form::Csv)] {
        let path = dir.path().join(format!("{name}.txt"));
        write_rows(&path, form);
        files.push((name, path));
    }
    if let Some(path) = std::env::var_os("TICKWIRE_BENCH_FILE") {
        files.push(("file", PathBuf::from(path)));
    }
    for (name, path) in files {
        let num_rows = read_all(open(&path), &mut batch);
        group.throughput(Throughput::Elements(num_rows));
        group.bench_function(name, |b| {
            b.iter_batched(|| open(&path), |input| read_all(input, &mut batch), BatchSize::PerIteration);
        });
    }
    group.finish();
}

criterion_group!(benches, parse);
criterion_main!(benches);
