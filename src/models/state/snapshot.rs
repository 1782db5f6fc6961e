//! The state as others may see it.

use super::SymbolState;
use super::outcomes::SourceLedger;
use super::window::{BarHeader, BarLifecycle};
use crate::models::bar::Bar;
use crate::models::effect::IndicatorPoint;
use crate::models::indicators::IndicatorValues;
use crate::models::ledger::Ledger;
use crate::models::snapshot::{SymbolSnapshot, WindowSnapshot};
use crate::models::time::Nanos;

impl SymbolState {
    /// Returns the outcomes of all its reports.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        let mut sum = Ledger::default();
        for ledger in self.outcomes_by_source() {
            sum.merge(&ledger);
        }
        sum
    }

    /// Returns the outcomes of its reports, by source.
    #[must_use]
    pub fn ledgers(&self) -> Vec<SourceLedger> {
        self.retained.sources().ids().zip(self.outcomes_by_source()).collect()
    }

    /// Returns the bars in progress, one a width, ascending: those of windows whose end the watermark has not passed.
    pub fn forming(&self) -> impl Iterator<Item = Option<Bar>> + '_ {
        (0..self.tracks.len()).map(|at| self.forming_bar(at))
    }

    /// Returns the indicators as they would be if the forming bar of a width closed now.
    #[must_use]
    pub fn preview(&self, at: usize) -> Option<(Bar, IndicatorValues)> {
        let bar = self.forming_bar(at)?;
        Some((bar, self.tracks[at].indicators.preview(bar.close)))
    }

    fn forming_bar(&self, at: usize) -> Option<Bar> {
        let track = &self.tracks[at];
        let (start, lifecycle): (Nanos, &BarLifecycle) = if at == 0 {
            self.base.back().map(|window| (window.start, &window.lifecycle))?
        } else {
            track.larger.back().map(|window| (window.start, &window.lifecycle))?
        };
        if lifecycle.closed {
            return None;
        }
        let figures = self.figures(at, start)?;
        let lifecycle = BarLifecycle { coverage: self.coverage(at, start), ..*lifecycle };
        let header =
            BarHeader { symbol: self.symbol, width: track.width, start, seq: track.seq, log_pos: self.pos };
        Some(header.bar(Some(figures), &lifecycle, self.tally(at, start)))
    }

    /// Returns the snapshot that readers share.
    #[must_use]
    pub fn snapshot(&self) -> SymbolSnapshot {
        self.snapshot_with(false)
    }

    /// Returns the snapshot that readers share, with or without previews of the indicators.
    #[must_use]
    pub fn snapshot_with(&self, previews: bool) -> SymbolSnapshot {
        let windows = (0..self.tracks.len()).map(|at| self.window_snapshot(at, previews)).collect();
        let ledgers = self.ledgers();
        let mut ledger = Ledger::default();
        ledgers.iter().for_each(|(_, of_source)| ledger.merge(of_source));
        SymbolSnapshot {
            symbol: self.symbol,
            pos: self.pos,
            last: self.newest.map(|newest| newest.trade),
            reference: self.newest.map(|newest| newest.reference),
            source: self.schedule.primary().unwrap_or_default(),
            charged_from: self.schedule.charged_from(),
            watermark: self.watermark(),
            sealed_until: self.sealed_until,
            ledger,
            ledgers: ledgers.into(),
            windows,
        }
    }

    fn window_snapshot(&self, at: usize, previews: bool) -> WindowSnapshot {
        let track = &self.tracks[at];
        let point = |(start, close, values)| IndicatorPoint {
            symbol: self.symbol,
            width: track.width,
            start,
            close,
            vwap: track.newest.filter(|newest| newest.start == start).and_then(|newest| newest.vwap),
            values,
            log_pos: track.newest.map_or(0, |newest| newest.log_pos),
        };
        WindowSnapshot {
            width: track.width,
            forming: self.forming_bar(at),
            closed: track.newest,
            indicators: track.indicators.latest().map(point),
            preview: previews.then(|| self.preview(at)).flatten().map(|(bar, values)| {
                Box::new(IndicatorPoint {
                    symbol: self.symbol,
                    width: track.width,
                    start: bar.start,
                    close: bar.close,
                    vwap: bar.vwap,
                    values,
                    log_pos: self.pos,
                })
            }),
            seq: track.seq,
        }
    }
}
