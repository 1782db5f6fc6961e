//! The bars of an export, with their indicators: symbol by symbol, and a file for each day that has any.
//!
//! A bar belongs to the day in which its window begins. Bars of a running process are exported as they are when they are
//! read; forming ones are not in the history.

use super::Source;
use super::destination::{Destination, PUBLISHED_AT_ONCE};
use super::manifest::Manifest;
use super::parquet_file::{Finished, ParquetFile};
use super::partition::{Date, file_name};
use crate::models::bar::Bar;
use crate::models::effect::IndicatorPoint;
use crate::models::indicators::IndicatorValues;
use crate::models::symbol::{SymbolId, SymbolSpec};
use crate::models::time::{Nanos, Width};
use crate::stores::history::WindowQuery;
use crate::wire::columns::{About, Dataset, bars, bars_schema};
use anyhow::Context;
use indicatif::{HumanCount, ProgressBar};
use std::collections::BTreeMap;

/// Exports the bars, as far as they are not done.
pub(super) async fn export(
    source: &Source,
    destination: &Destination,
    manifest: &mut Manifest,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    let symbols = source.symbols();
    bar.set_prefix("bars");
    bar.set_length(symbols.len() as u64);
    for (at, (name, symbol)) in (1..).zip(&symbols) {
        if manifest.bars_done.as_ref().is_none_or(|done| done < name) {
            let mut finished: Vec<Finished> = Vec::new();
            let mut date = manifest.from.map_or(Date::FIRST, Date::of);
            let last = manifest.to.map_or(Date::LAST, |to| Date::of(to.plus(-1)));
            while let Some(next) = next_date(source, *symbol, date, last).await? {
                if let Some(file) = export_day(source, destination, manifest, *symbol, next).await? {
                    manifest.written.bars += file.rows;
                    manifest.written.files += 1;
                    manifest.written.bytes += file.bytes;
                    finished.push(file);
                }
                if finished.len() >= PUBLISHED_AT_ONCE {
                    destination.publish_all(&finished).await?;
                    finished.clear();
                }
                // A signal is heard between days.
                tokio::task::yield_now().await;
                date = next.plus(1);
            }
            destination.publish_all(&finished).await?;
            manifest.bars_done = Some(name.clone());
            manifest.save(destination).await?;
        }
        bar.set_position(at);
        bar.set_message(format!("{} bars", HumanCount(manifest.written.bars)));
    }
    Ok(())
}

/// Finds the first day from `date` to `last` that has bars: a few questions, however long the symbol was quiet.
async fn next_date(
    source: &Source,
    symbol: SymbolId,
    date: Date,
    last: Date,
) -> anyhow::Result<Option<Date>> {
    let (mut begin, mut days) = (date, 1);
    loop {
        if begin > last {
            return Ok(None);
        }
        if has_bars(source, symbol, begin, begin.plus(days - 1).min(last)).await? {
            break;
        }
        begin = begin.plus(days);
        days *= 2;
    }
    while days > 1 {
        let half = days / 2;
        if has_bars(source, symbol, begin, begin.plus(half - 1).min(last)).await? {
            days = half;
        } else {
            begin = begin.plus(half);
            days -= half;
        }
    }
    Ok(Some(begin))
}

async fn has_bars(source: &Source, symbol: SymbolId, first: Date, last: Date) -> anyhow::Result<bool> {
    for &width in &source.widths {
        let query = WindowQuery { symbol, width, start: first.start(), end: last.end(), limit: 1 };
        if !source.history.bars(&query).await.context(READING)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

const READING: &str = "cannot read the history";

/// Writes the bars of a day; `None` where none of them is in the range.
async fn export_day(
    source: &Source,
    destination: &Destination,
    manifest: &Manifest,
    symbol: SymbolId,
    date: Date,
) -> anyhow::Result<Option<Finished>> {
    let mut rows = Vec::new();
    for &width in &source.widths {
        rows.extend(windows(source, symbol, width, date).await?);
    }
    rows.retain(|(bar, _)| manifest.includes(bar.start));
    if rows.is_empty() {
        return Ok(None);
    }
    let spec = source.spec(symbol);
    let name = file_name(Dataset::Bars, date, Some(&spec.name), 0);
    let symbol = Some(SymbolSpec::clone(&spec));
    let about = About { dataset: Dataset::Bars, log: source.tail.epoch, symbol };
    let mut file = ParquetFile::begin(destination.staging(), name, bars_schema(), &about)?;
    let columns = bars(&rows, &spec);
    file.write(&columns.with_context(|| format!("cannot export the bars of `{}`", spec.name))?)?;
    file.finish().map(Some)
}

/// Returns the bars of a day and width with their indicators, oldest first.
async fn windows(
    source: &Source,
    symbol: SymbolId,
    width: Width,
    date: Date,
) -> anyhow::Result<Vec<(Bar, IndicatorPoint)>> {
    let query = WindowQuery { symbol, width, start: date.start(), end: date.end(), limit: usize::MAX };
    let bars = source.history.bars(&query).await.context(READING)?;
    let points = source.history.indicators(&query).await.context(READING)?;
    let points: BTreeMap<Nanos, IndicatorPoint> =
        points.into_iter().map(|point| (point.start, point)).collect();
    let with_point = |bar: Bar| {
        let Bar { symbol, width, start, close, vwap, log_pos, .. } = bar;
        // A bar whose indicators are not there (yet) has none that are warm.
        let values = IndicatorValues::default();
        let none = IndicatorPoint { symbol, width, start, close, vwap, values, log_pos };
        (bar, points.get(&start).copied().unwrap_or(none))
    };
    Ok(bars.into_iter().rev().map(with_point).collect())
}
