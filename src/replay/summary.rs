//! What came of a replay: counts, the digest, and the files asked for.

use crate::models::digest::Digest;
use crate::models::ledger::Ledger;
use crate::models::symbol::SymbolTable;
use crate::models::time::Width;
use crate::output::{BarWriter, IndicatorWriter};
use crate::stores::History;
use indicatif::HumanCount;
use serde_json::json;
use std::io::Write;
use std::time::Duration;

/// Bars read from the history at once.
const PAGE: usize = 10_000;

/// What came of a replay.
pub struct Summary {
    bars: Vec<(Width, u64)>,
    digest: String,
    ledger: Ledger,
}

impl Summary {
    /// Goes through all final bars, in the order of symbol, window and start, and writes them where asked.
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
        let mut after = None;
        loop {
            let page = history.scan(after, PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some((last.symbol, last.width, last.start));
            for (bar, point) in &page {
                let spec = symbols.spec(bar.symbol);
                digest.add(&spec.name, &spec, bar, &point.values);
                if let Some((_, count)) = bars.iter_mut().find(|(width, _)| *width == bar.width) {
                    *count += 1;
                }
                if let Some(out) = &mut bars_out {
                    out.write(&spec, bar)?;
                }
                if let Some(out) = &mut indicators_out {
                    out.write(&spec, point)?;
                }
            }
        }
        bars_out.map(BarWriter::finish).transpose()?;
        indicators_out.map(IndicatorWriter::finish).transpose()?;
        Ok(Summary { bars, digest: digest.finish(), ledger })
    }

    /// Prints it for people, and as one line of JSON at the end if asked.
    pub fn print(&self, elapsed: Duration, as_json: bool) -> anyhow::Result<()> {
        let seconds = elapsed.as_secs_f64();
        let ticks = self.ledger.received;
        let rate = ticks as f64 / seconds;
        let mut out = std::io::stdout().lock();
        let Ledger { in_bars, filtered, late, duplicate, cancelled, .. } = self.ledger;
        let (rejected, residue) = (self.ledger.num_rejected(), self.ledger.residue());
        if as_json {
            let bars: serde_json::Map<String, serde_json::Value> =
                self.bars.iter().map(|(width, count)| (width.to_string(), json!(count))).collect();
            let ledger = json!({
                "received": ticks, "in_bars": in_bars, "filtered": filtered, "late": late,
                "duplicate": duplicate, "rejected": rejected, "cancelled": cancelled, "residue": residue,
            });
            let line = json!({
                "ticks": ticks, "bars": bars, "seconds": seconds, "ticks_per_second": rate,
                "digest": self.digest, "ledger": ledger,
            });
            writeln!(out, "{line}")?;
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
