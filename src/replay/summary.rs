//! The result of a replay: counts, the digest, and the output files.

use crate::models::digest::Digest;
use crate::models::ledger::Ledger;
use crate::models::symbol::{SymbolId, SymbolSpec};
use crate::models::time::Width;
use crate::names::SymbolTable;
use crate::output::{BarWriter, IndicatorWriter};
use crate::stores::history::History;
use indicatif::HumanCount;
use serde::{Serialize, Serializer};
use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::time::Duration;

/// Bars read from the history at once: 1 MB, which the allocator keeps from page to page.
const PAGE: usize = 2_048;

/// The line that `--json` prints: names and order are what scripts rely on.
#[derive(Serialize)]
struct Line<'a> {
    ticks: u64,
    bars: Counts<'a>,
    seconds: f64,
    ticks_per_second: f64,
    digest: &'a str,
    ledger: LedgerLine,
}

#[derive(Serialize)]
struct LedgerLine {
    received: u64,
    in_bars: u64,
    filtered: u64,
    late: u64,
    duplicate: u64,
    rejected: u64,
    cancelled: u64,
    residue: i64,
}

/// Bars by the name of their window, ascending by width.
struct Counts<'a>(&'a [(Width, u64)]);

impl Serialize for Counts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(width, count)| (width.to_string(), count)))
    }
}

/// The result of a replay.
pub struct Summary {
    bars: Vec<(Width, u64)>,
    digest: String,
    ledger: Ledger,
}

impl Summary {
    /// Reads all final bars, in the order of symbol, window and start, and writes the output files.
    pub async fn collect(
        history: &dyn History,
        symbols: &SymbolTable,
        widths: &[Width],
        ledger: Ledger,
        mut bars_out: Option<BarWriter>,
        mut indicators_out: Option<IndicatorWriter>,
    ) -> anyhow::Result<Summary> {
        let mut bars: Vec<(Width, u64)> = widths.iter().map(|&width| (width, 0)).collect();
        let mut digest = Digest::new();
        let (mut after, mut known) = (None, None::<(SymbolId, Arc<SymbolSpec>)>);
        loop {
            let page = history.scan(after, PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some((last.symbol, last.width, last.start));
            for (bar, point) in &page {
                if known.as_ref().is_none_or(|(symbol, _)| *symbol != bar.symbol) {
                    known = Some((bar.symbol, symbols.spec(bar.symbol)));
                }
                let Some((_, spec)) = &known else { continue };
                digest.add(&spec.name, spec, bar, &point.values);
                if let Some((_, count)) = bars.iter_mut().find(|(width, _)| *width == bar.width) {
                    *count += 1;
                }
                if let Some(out) = &mut bars_out {
                    out.write(spec, bar)?;
                }
                if let Some(out) = &mut indicators_out {
                    out.write(spec, point)?;
                }
            }
        }
        bars_out.map(BarWriter::finish).transpose()?;
        indicators_out.map(IndicatorWriter::finish).transpose()?;
        Ok(Summary { bars, digest: digest.finish(), ledger })
    }

    /// Prints the result for people, and on request as one line of JSON at the end. A closed pipe, as behind `head`, is
    /// no failure: everything else is done by then.
    pub fn print(&self, elapsed: Duration, as_json: bool) -> anyhow::Result<()> {
        match self.write(&mut io::stdout().lock(), elapsed, as_json) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn write(&self, out: &mut impl Write, elapsed: Duration, as_json: bool) -> io::Result<()> {
        let seconds = elapsed.as_secs_f64();
        let ticks = self.ledger.received;
        let rate = ticks as f64 / seconds;
        let Ledger { in_bars, filtered, late, duplicate, cancelled, .. } = self.ledger;
        let (rejected, residue) = (self.ledger.num_rejected(), self.ledger.residue());
        if as_json {
            let ledger = LedgerLine {
                received: ticks,
                in_bars,
                filtered,
                late,
                duplicate,
                rejected,
                cancelled,
                residue,
            };
            let bars = Counts(&self.bars);
            let line = Line { ticks, bars, seconds, ticks_per_second: rate, digest: &self.digest, ledger };
            writeln!(out, "{}", serde_json::to_string(&line)?)?;
            return Ok(());
        }
        writeln!(out, "ticks      {}", HumanCount(ticks))?;
        for (width, count) in &self.bars {
            writeln!(out, "{width:<10} {} bars", HumanCount(*count))?;
        }
        writeln!(
            out,
            "ledger     {in_bars} in bars, {filtered} filtered, {late} late, {duplicate} duplicate,"
        )?;
        writeln!(out, "           {rejected} rejected, {cancelled} cancelled; residue {residue}")?;
        writeln!(out, "time       {seconds:.2} s, {} ticks/s", HumanCount(rate as u64))?;
        writeln!(out, "digest     {}", self.digest)?;
        Ok(())
    }
}
