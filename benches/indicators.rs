//! What one closed bar costs the indicators: at the end, in the preview, and amended behind five later bars.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use tickwire::models::indicators::IndicatorSeries;
use tickwire::models::num::{Price, Scale};
use tickwire::models::time::Nanos;

fn close(bar: i64) -> Price {
    Price(46_000_000_000_000 + bar * 7_919 % 1_013 * 10_000_000)
}

fn warm() -> IndicatorSeries {
    let mut series = IndicatorSeries::new(Scale::PRICE);
    for bar in 0..300 {
        series.upsert(Nanos(bar), close(bar));
    }
    series.seal(Nanos(294));
    series
}

fn indicators(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("indicators");

    let (mut series, mut bar) = (warm(), 300);
    group.bench_function("append, seal, read", |bencher| {
        bencher.iter(|| {
            let index = series.upsert(Nanos(bar), close(bar));
            series.seal(Nanos(bar - 5));
            bar += 1;
            black_box((index, series.latest()))
        });
    });

    let (mut series, mut bar) = (warm(), 300);
    group.bench_function("append", |bencher| {
        bencher.iter(|| {
            bar += 1;
            // Seals seldom: nearly only the step itself is measured.
            if bar % 1_024 == 0 {
                series.seal(Nanos(bar));
            }
            black_box(series.upsert(Nanos(bar), close(bar)))
        });
    });

    let series = warm();
    group
        .bench_function("preview", |bencher| bencher.iter(|| black_box(series.preview(black_box(close(1))))));

    let series = warm();
    group.bench_function("amend with five later bars", |bencher| {
        bencher.iter_batched_ref(
            || series.clone(),
            |series| black_box(series.upsert(Nanos(294), Price(1))),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, indicators);
criterion_main!(benches);
