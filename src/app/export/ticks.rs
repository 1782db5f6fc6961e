//! The ticks of an export, and what else the log holds: one pass over the log, in its order.
//!
//! Rows are collected by day and symbol and go into a group of their file whenever the log has come to another
//! [`GROUP_POSITIONS`] positions, which bounds memory. A day's files end when the log's clock is an hour past the day: what
//! comes later for it gets a file of its own. Both follow from positions and clock marks alone, so a pass that begins in
//! the middle writes the same files.

use super::Source;
use super::destination::{Destination, PUBLISHED_AT_ONCE};
use super::manifest::Manifest;
use super::parquet_file::ParquetFile;
use super::partition::{Date, file_name};
use crate::models::entry::{Body, Entry, Position};
use crate::models::symbol::{PriceSource, SymbolDefinition, SymbolId, SymbolSpec, VenueSymbol};
use crate::models::time::{HOUR, Nanos};
use crate::wire::columns::{About, Dataset, control, control_schema, ticks, ticks_schema};
use anyhow::Context;
use indicatif::{HumanCount, ProgressBar};
use std::collections::BTreeMap;

/// Entries read from the log at once.
const PAGE: usize = 8_192;

/// Positions whose rows are collected: 120 MB of them at most, whatever the number of symbols.
const GROUP_POSITIONS: Position = 1 << 20;

/// After so many positions all files end, so that an interrupted export never repeats more than those.
const FILE_POSITIONS: Position = 1 << 26;

/// Rows put into columns at once.
const ROWS_AT_ONCE: usize = 8_192;

/// How far the clock must be past a day: what is back-filled or late has come by then.
const DAY_ENDS_AFTER: i64 = HOUR;

/// A day of a symbol, or of what names none; ordered by day.
type Key = (Date, Option<SymbolId>);

/// Rows of one file.
struct Open {
    /// Position of the first row.
    first: Position,
    /// Rows that are in no group yet.
    rows: Vec<Entry>,
    file: Option<ParquetFile>,
}

struct Pass<'a> {
    source: &'a Source,
    destination: &'a Destination,
    manifest: &'a mut Manifest,
    open: BTreeMap<Key, Open>,
    clock: Nanos,
}

/// Exports the ticks, as far as they are not done.
pub(super) async fn export(
    source: &Source,
    destination: &Destination,
    manifest: &mut Manifest,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    let through = manifest.through;
    bar.set_prefix("ticks");
    bar.set_length(through);
    for (name, &price) in &manifest.prices {
        // A log entry before the place where this pass begins said so.
        if let Some(symbol) = source.symbols.get(name) {
            learn_price(source, symbol, price);
        }
    }
    let mut after = manifest.ticks.through;
    let clock = manifest.ticks.clock.unwrap_or(Nanos::MIN);
    let mut pass = Pass { source, destination, manifest, open: BTreeMap::new(), clock };
    while after < through {
        let page = source.log.read(after, PAGE).await.context("cannot read the log")?;
        let Some(last) = page.last().map(|entry| entry.pos.min(through)) else { break };
        if page.first().is_some_and(|first| first.pos > after + 1) && after >= source.tail.dropped_through {
            let (first, last) = (after + 1, page.first().map_or(0, |entry| entry.pos - 1));
            tracing::warn!(
                first,
                last,
                "the log lacks these positions: a process ended before they were kept, or retention drops them meanwhile"
            );
        }
        for entry in page.iter().take_while(|entry| entry.pos <= through) {
            pass.take(after, entry).await?;
            after = entry.pos;
        }
        after = after.max(last);
        bar.set_position(after);
        bar.set_message(format!("{} rows", HumanCount(pass.manifest.written.ticks)));
        // A signal is heard between pages.
        tokio::task::yield_now().await;
    }
    pass.end_files(|_| true).await?;
    pass.manifest.ticks.through = through;
    pass.manifest.save(destination).await
}

/// Takes note of which prices make a symbol's bars, which the table of the log's file does not say.
fn learn_price(source: &Source, symbol: SymbolId, price: PriceSource) {
    let spec = SymbolSpec { price, ..SymbolSpec::clone(&source.spec(symbol)) };
    source.symbols.define(symbol, &SymbolDefinition::of(&spec, VenueSymbol::default()));
}

impl Pass<'_> {
    /// Takes the next entry; `before` is the position of the one before it.
    async fn take(&mut self, before: Position, entry: &Entry) -> anyhow::Result<()> {
        if before / FILE_POSITIONS != entry.pos / FILE_POSITIONS {
            self.end_files(|_| true).await?;
            self.manifest.ticks.through = before;
            self.manifest.ticks.clock = Some(self.clock);
            self.manifest.save(self.destination).await?;
        } else if before / GROUP_POSITIONS != entry.pos / GROUP_POSITIONS {
            self.end_groups()?;
        }
        match &entry.body {
            Body::ClockMark { time, .. } => self.advance(before, *time).await?,
            Body::Symbol { definition, .. } => self.define(entry.symbol, definition),
            _ => {}
        }
        let (time, date) = (entry.body.time(), Date::of(entry.body.time()));
        let is_tick = entry.body.is_report() || matches!(entry.body, Body::Quote(_) | Body::VenueBar(_));
        let is_asked_for = match entry.body {
            // What holds from some time on holds in the range, too.
            Body::Symbol { .. } | Body::SourceInCharge { .. } | Body::Detection { .. } => {
                self.manifest.is_before_end(time)
            }
            _ => self.manifest.includes(time),
        };
        let is_of_wanted = entry.symbol == SymbolId::NONE || self.source.is_wanted(entry.symbol);
        if !is_asked_for || !is_of_wanted || self.manifest.ticks.covers(date, entry.pos) {
            return Ok(());
        }
        let key = (date, is_tick.then_some(entry.symbol));
        let open =
            self.open.entry(key).or_insert_with(|| Open { first: entry.pos, rows: Vec::new(), file: None });
        open.rows.push(*entry);
        Ok(())
    }

    /// Takes note of what a symbol is. A definition with other decimals than the table came too late: the core passed over it.
    fn define(&mut self, symbol: SymbolId, definition: &SymbolDefinition) {
        let spec = self.source.spec(symbol);
        let is_ours = (spec.price_scale, spec.size_scale) == (definition.price_scale, definition.size_scale);
        if is_ours && definition.price.is_quotes() {
            learn_price(self.source, symbol, definition.price);
            self.manifest.prices.insert(spec.name.clone(), definition.price);
        }
    }

    /// Ends the files of days that are over by the clock. `before` is the last position before the mark.
    async fn advance(&mut self, before: Position, time: Nanos) -> anyhow::Result<()> {
        let day = |clock: Nanos| Date::of(clock.plus(-DAY_ENDS_AFTER));
        let was = self.clock;
        self.clock = was.max(time);
        let today = day(self.clock);
        if day(was) == today {
            return Ok(());
        }
        self.end_files(|date| date < today).await?;
        let done = &mut self.manifest.ticks;
        let first = self.open.values().map(|open| open.first).min();
        done.through = done.through.max(first.map_or(before, |first| first - 1));
        done.date = Some(Date::of(today.start().plus(-1)));
        done.date_through = before;
        done.clock = Some(self.clock);
        self.manifest.save(self.destination).await
    }

    /// Puts everything that is collected into groups of the files.
    fn end_groups(&mut self) -> anyhow::Result<()> {
        for (key, open) in &mut self.open {
            write(self.source, self.destination, *key, open)?;
        }
        Ok(())
    }

    /// Ends the files of some days and moves them into place.
    async fn end_files(&mut self, is_over: impl Fn(Date) -> bool) -> anyhow::Result<()> {
        let over: Vec<Key> = self.open.keys().filter(|(date, _)| is_over(*date)).copied().collect();
        for keys in over.chunks(PUBLISHED_AT_ONCE) {
            let mut finished = Vec::with_capacity(keys.len());
            for key in keys {
                let Some(mut open) = self.open.remove(key) else { continue };
                write(self.source, self.destination, *key, &mut open)?;
                let Some(file) = open.file else { continue };
                let file = file.finish()?;
                let written = &mut self.manifest.written;
                match key.1 {
                    Some(_) => written.ticks += file.rows,
                    None => written.control += file.rows,
                }
                written.files += 1;
                written.bytes += file.bytes;
                finished.push(file);
            }
            self.destination.publish_all(&finished).await?;
        }
        Ok(())
    }
}

/// Writes the rows of a file that are in no group yet as one.
fn write(source: &Source, destination: &Destination, key: Key, open: &mut Open) -> anyhow::Result<()> {
    if open.rows.is_empty() {
        return Ok(());
    }
    let (date, symbol) = key;
    let spec = symbol.map(|symbol| source.spec(symbol));
    let file = match &mut open.file {
        Some(file) => file,
        None => {
            let (dataset, schema) = match symbol {
                Some(_) => (Dataset::Ticks, ticks_schema()),
                None => (Dataset::Control, control_schema()),
            };
            let name = file_name(dataset, date, spec.as_ref().map(|spec| spec.name.as_str()), open.first);
            let symbol = spec.as_ref().map(|spec| SymbolSpec::clone(spec));
            let about = About { dataset, log: source.tail.epoch, symbol };
            open.file.insert(ParquetFile::begin(destination.staging(), name, schema, &about)?)
        }
    };
    let names = |id| source.sources.name(id);
    for rows in open.rows.chunks(ROWS_AT_ONCE) {
        let columns = match &spec {
            Some(spec) => ticks(rows, spec, names)?,
            None => control(rows, |symbol| source.spec(symbol).name.clone(), names)?,
        };
        file.write(&columns)?;
    }
    open.rows = Vec::new();
    file.end_group()
}
